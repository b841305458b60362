/* SPDX-License-Identifier: GPL-2.0-or-later */
/* May this state follow that one? Pure predicates (states-and-resync 4.3, 4.4). */
#include "core/cluster.h"
#include "core/fencing.h"
#include "core/resync_int.h"
#include "core/state.h"

enum state_rv state_check_hard(const struct core *core, const struct state *old,
			       const struct state *next)
{
	FOR_EACH_PEER(core, peer) {
		enum conn_state was = old->peer[peer->id].conn;
		enum conn_state is = next->peer[peer->id].conn;

		if (was == is)
			continue;
		if (was == CONN_STANDALONE && is == CONN_DISCONNECTING)
			return SS_ALREADY_STANDALONE;
		if (was == CONN_STANDALONE && is != CONN_UNCONNECTED)
			return SS_NEED_CONNECTION;
		if (was >= CONN_TIMEOUT && was <= CONN_TEAR_DOWN && is != CONN_UNCONNECTED &&
		    is != CONN_DISCONNECTING)
			return SS_IN_TRANSIENT_STATE;
		if (was == CONN_DISCONNECTING && is != CONN_STANDALONE)
			return SS_IN_TRANSIENT_STATE;
	}
	FOR_EACH_VOLUME(core, vol) {
		if (old->vol[vol->v].disk == DISK_DISKLESS &&
		    (next->vol[vol->v].disk == DISK_FAILED ||
		     next->vol[vol->v].disk == DISK_DETACHING))
			return SS_IS_DISKLESS;
	}
	return SS_SUCCESS;
}

/* Both sides have to be where the other one writes. */
static bool both_good(const struct core *core, const struct peer *peer, const struct state *st)
{
	FOR_EACH_VOLUME(core, vol) {
		if (!vol_is_aside(vol) &&
		    (st->vol[vol->v].disk != DISK_UP_TO_DATE ||
		     st->pd[peer->id][vol->v].pdsk != DISK_UP_TO_DATE))
			return false;
	}
	return true;
}

/* Rules 1, 4 to 8: roles and connections. */
static enum state_rv check_peer(const struct core *core, const struct peer *peer,
				const struct state *old, const struct state *next)
{
	const struct state_peer *was = &old->peer[peer->id];
	const struct state_peer *is = &next->peer[peer->id];

	bool two = cluster_allows_two_primaries(core, peer);
	/*
	 * Two that have lost each other may meet without good disks, as they may lose these while
	 * they are connected: what waits until then would never be answered, nor the volume closed.
	 */
	bool meets = old->role == ROLE_PRIMARY && was->conn != CONN_CONNECTED;

	if (next->role == ROLE_PRIMARY && is->role == ROLE_PRIMARY &&
	    (old->role != ROLE_PRIMARY || was->role != ROLE_PRIMARY) &&
	    !(two && (meets || both_good(core, peer, next))))
		return SS_TWO_PRIMARIES;
	/* Rule 17: a Primary that goes on without having fenced it. */
	FOR_EACH_VOLUME(core, vol) {
		if (next->role == ROLE_PRIMARY && !vol_is_aside(vol) &&
		    fencing_unseen(core, next, peer->id, vol->v) &&
		    !(old->role == ROLE_PRIMARY && fencing_unseen(core, old, peer->id, vol->v)))
			return SS_PRIMARY_NOP;
	}
	if (was->conn == CONN_UNCONNECTED && is->conn == CONN_DISCONNECTING)
		return SS_IN_TRANSIENT_STATE;
	if (was->conn < CONN_UNCONNECTED && is->conn == CONN_CONNECTING)
		return SS_NO_NET_CONFIG;
	if (was->role != ROLE_PRIMARY && is->role == ROLE_PRIMARY && !two) {
		FOR_EACH_VOLUME(core, vol) {
			if (vol->open_ro && !vol->open_rw)
				return SS_PRIMARY_READER;
		}
	}
	return SS_SUCCESS;
}

/* May the local disk be declared Outdated? (below 4.4) */
static bool may_outdate(const struct core *core, const struct state *old, const struct state *next,
			unsigned v)
{
	bool primary_neighbour = false, arriving = false, syncing = false;
	bool target_of_good = false;

	FOR_EACH_PEER(core, peer) {
		const struct state_peer_device *pd = &next->pd[peer->id][v];

		/* The handshake with one that comes has found that we are behind. */
		if (next->peer[peer->id].conn == CONN_CONNECTED &&
		    old->peer[peer->id].conn != CONN_CONNECTED)
			arriving = true;
		if (next->peer[peer->id].role == ROLE_PRIMARY)
			primary_neighbour = true;
		switch (pd->repl) {
		case REPL_WF_BITMAP_T:
			target_of_good |= pd->pdsk == DISK_UP_TO_DATE;
			syncing = true;
			break;
		case REPL_STARTING_SYNC_T:
		case REPL_SYNC_TARGET:
		case REPL_PAUSED_SYNC_T:
			syncing = true;
			break;
		default:
			break;
		}
	}
	if (next->role == ROLE_PRIMARY)
		return target_of_good;
	return !primary_neighbour || syncing || arriving;
}

/* A SyncTarget just became Established on some connection: what it got may be Outdated data. */
static bool resync_ended(const struct core *core, const struct state *old,
			 const struct state *next, unsigned v)
{
	FOR_EACH_PEER(core, peer) {
		if (old->pd[peer->id][v].repl == REPL_SYNC_TARGET &&
		    next->pd[peer->id][v].repl == REPL_ESTABLISHED)
			return true;
	}
	return false;
}

/* A peer whose data are not good yet may make the redundancy too little
 * for a while; without it there would never be more. */
static bool somebody_comes(const struct core *core, const struct state *old,
			   const struct state *next)
{
	FOR_EACH_PEER(core, peer) {
		if (next->peer[peer->id].conn == CONN_CONNECTED &&
		    old->peer[peer->id].conn != CONN_CONNECTED)
			return true;
	}
	return false;
}

/* Rules 10 to 16, 20: the local disk and its users. */
static enum state_rv check_volume(const struct core *core, const struct volume *vol,
				  const struct state *old, const struct state *next)
{
	enum disk_state was = old->vol[vol->v].disk, is = next->vol[vol->v].disk;
	bool had_data = state_data_accessible(core, old, vol->v);
	bool has_data = state_data_accessible(core, next, vol->v);
	bool primary = next->role == ROLE_PRIMARY && !vol_is_aside(vol);
	unsigned negotiating = is == DISK_NEGOTIATING;

	/* Who has it open since before a demotion by force holds what may be written over. */
	if (old->role != next->role && vol->open_rw &&
	    (next->role == ROLE_PRIMARY || !core->commands.ignore_openers))
		return SS_DEVICE_IN_USE;
	if (was == DISK_DISKLESS && is > DISK_ATTACHING)
		return SS_IS_DISKLESS;
	if (is == DISK_OUTDATED && was < DISK_OUTDATED && was != DISK_ATTACHING &&
	    was != DISK_NEGOTIATING && !resync_ended(core, old, next, vol->v))
		return SS_LOWER_THAN_OUTDATED;
	if (primary && !has_data && (old->role != ROLE_PRIMARY || had_data))
		return SS_NO_UP_TO_DATE_DISK;
	if (vol->open_ro && had_data && !has_data)
		return SS_NO_UP_TO_DATE_DISK;
	if (primary && !next->vol[vol->v].have_quorum &&
	    (old->role != ROLE_PRIMARY || old->vol[vol->v].have_quorum) &&
	    !somebody_comes(core, old, next))
		return SS_NO_QUORUM;
	FOR_EACH_PEER(core, peer)
		negotiating += next->pd[peer->id][vol->v].pdsk == DISK_NEGOTIATING;
	if (negotiating > 1)
		return SS_IN_TRANSIENT_STATE;
	if (was > DISK_OUTDATED && is == DISK_OUTDATED && !may_outdate(core, old, next, vol->v))
		return SS_CONNECTED_OUTDATES;
	return SS_SUCCESS;
}

static bool is_source(enum repl_state repl)
{
	return repl == REPL_SYNC_SOURCE || repl == REPL_PAUSED_SYNC_S;
}

static bool is_target(enum repl_state repl)
{
	return repl == REPL_SYNC_TARGET || repl == REPL_PAUSED_SYNC_T;
}

static bool verifies(enum repl_state repl)
{
	return repl == REPL_VERIFY_S || repl == REPL_VERIFY_T;
}

/* Rules 21, 25, 26: begin of a verify. */
static enum state_rv check_verify(const struct peer *peer, enum repl_state was)
{
	if (!peer->verify_alg[0])
		return SS_NO_VERIFY_ALG;
	if (was < REPL_ESTABLISHED)
		return SS_NEED_CONNECTION;
	return was > REPL_ESTABLISHED ? SS_RESYNC_RUNNING : SS_SUCCESS;
}

/*
 * A full sync, or one by bitmap, that an operator asks for from a disk that a Primary's generation
 * has not reached yet: it would be on no good disk, and be lost with its way to the source.
 */
static bool comes_too_early(const struct core *core, const struct peer *peer,
			    const struct volume *vol, const struct state_peer_device *was,
			    const struct state_peer_device *is)
{
	const struct peer_device *pd = &peer->pd[vol->v];

	if (was->repl < REPL_ESTABLISHED || !vol_has_md(vol) || !pd->uuids_valid ||
	    uuid_eq(pd->uuids.current, vol->md.current_uuid))
		return false;
	if (is->repl == REPL_STARTING_SYNC_T || is->repl == REPL_WF_BITMAP_T)
		return disk_of(core, vol) == DISK_UP_TO_DATE && sync_is_older(core, peer, vol);
	if (is->repl == REPL_STARTING_SYNC_S || is->repl == REPL_WF_BITMAP_S)
		return was->pdsk == DISK_UP_TO_DATE && sync_is_newer(core, peer, vol);
	return false;
}

/* Rules 18, 19, 23, 24, 27, 28, 29: replication to one peer. */
static enum state_rv check_peer_device(const struct core *core, const struct peer *peer,
				       unsigned v, const struct state *old,
				       const struct state *next)
{
	const struct state_peer_device *was = &old->pd[peer->id][v];
	const struct state_peer_device *is = &next->pd[peer->id][v];
	bool starting = is->repl == REPL_STARTING_SYNC_S || is->repl == REPL_STARTING_SYNC_T;

	if (was->pdsk == DISK_DISKLESS && is->pdsk > DISK_DISKLESS && is->pdsk != DISK_UNKNOWN &&
	    !peer->conf->has_disk[v])
		return SS_ATTACH_NO_BITMAP;
	if (was->repl == is->repl)
		return SS_SUCCESS;
	if (is->repl > REPL_ESTABLISHED && next->vol[v].disk < DISK_INCONSISTENT)
		return SS_NO_LOCAL_DISK;
	if (is->repl > REPL_ESTABLISHED && is->pdsk < DISK_INCONSISTENT)
		return SS_NO_REMOTE_DISK;
	if ((is_source(was->repl) && is->repl == REPL_WF_BITMAP_S) ||
	    (is_target(was->repl) && is->repl == REPL_WF_BITMAP_T))
		return SS_RESYNC_RUNNING;
	if (starting && was->repl > REPL_ESTABLISHED)
		return SS_RESYNC_RUNNING;
	if (starting && was->repl < REPL_ESTABLISHED)
		return SS_NEED_CONNECTION;
	if ((is_source(is->repl) || is_target(is->repl)) && was->repl < REPL_OFF)
		return SS_NEED_CONNECTION;
	if (comes_too_early(core, peer, core->vol[v], was, is))
		return SS_IN_TRANSIENT_STATE;
	return verifies(is->repl) ? check_verify(peer, was->repl) : SS_SUCCESS;
}

enum state_rv state_check_soft(const struct core *core, const struct state *old,
			       const struct state *next)
{
	enum state_rv rv;

	FOR_EACH_PEER(core, peer) {
		rv = check_peer(core, peer, old, next);
		if (rv < SS_SUCCESS)
			return rv;
	}
	FOR_EACH_VOLUME(core, vol) {
		rv = check_volume(core, vol, old, next);
		if (rv < SS_SUCCESS)
			return rv;
		FOR_EACH_PEER(core, peer) {
			rv = check_peer_device(core, peer, vol->v, old, next);
			if (rv < SS_SUCCESS)
				return rv;
		}
	}
	return SS_SUCCESS;
}

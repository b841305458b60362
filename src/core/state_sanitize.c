/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Derives what follows from a proposed state (states-and-resync
 * 4.2; the row numbers are those of its table). */
#include "core/cluster.h"
#include "core/core_hooks.h"
#include "core/fencing.h"
#include "core/quorum.h"
#include "core/resync_int.h"
#include "core/state.h"

/* A present source keeps its place unless another one has this many bits less to send (5.3). */
#define SOURCE_HYSTERESIS_BITS 256U

struct clamp {
	enum disk_state disk_min, disk_max, pdsk_min, pdsk_max;
};

/* The clamp table of row 19. */
static struct clamp clamp_of(enum repl_state repl)
{
	switch (repl) {
	case REPL_OFF:
		return (struct clamp){ DISK_DISKLESS, DISK_UP_TO_DATE, DISK_INCONSISTENT,
				       DISK_UNKNOWN };
	case REPL_WF_BITMAP_T:
	case REPL_STARTING_SYNC_T:
	case REPL_WF_SYNC_UUID:
	case REPL_BEHIND:
		return (struct clamp){ DISK_INCONSISTENT, DISK_OUTDATED, DISK_INCONSISTENT,
				       DISK_UP_TO_DATE };
	case REPL_VERIFY_S:
	case REPL_VERIFY_T:
		return (struct clamp){ DISK_INCONSISTENT, DISK_UP_TO_DATE, DISK_INCONSISTENT,
				       DISK_UP_TO_DATE };
	case REPL_WF_BITMAP_S:
	case REPL_PAUSED_SYNC_S:
	case REPL_STARTING_SYNC_S:
	case REPL_AHEAD:
		return (struct clamp){ DISK_INCONSISTENT, DISK_UP_TO_DATE, DISK_INCONSISTENT,
				       DISK_CONSISTENT };
	case REPL_SYNC_TARGET:
	case REPL_PAUSED_SYNC_T:
		return (struct clamp){ DISK_INCONSISTENT, DISK_INCONSISTENT, DISK_INCONSISTENT,
				       DISK_UP_TO_DATE };
	case REPL_SYNC_SOURCE:
		return (struct clamp){ DISK_INCONSISTENT, DISK_UP_TO_DATE, DISK_INCONSISTENT,
				       DISK_INCONSISTENT };
	case REPL_ESTABLISHED:
		break;
	}
	return (struct clamp){ DISK_DISKLESS, DISK_UP_TO_DATE, DISK_DISKLESS, DISK_UP_TO_DATE };
}

static enum disk_state clamped(enum disk_state disk, enum disk_state min, enum disk_state max)
{
	if (disk < min)
		return min;
	return disk > max ? max : disk;
}

static bool is_target(enum repl_state repl)
{
	return repl == REPL_SYNC_TARGET || repl == REPL_PAUSED_SYNC_T;
}

/* Row 1, and replication ends with the connection. */
static void sanitize_peer(const struct core *core, const struct peer *peer, struct state *next)
{
	struct state_peer *sp = &next->peer[peer->id];

	if (sp->conn == CONN_CONNECTED)
		return;
	sp->role = ROLE_UNKNOWN;
	for (unsigned v = 0; v < core->vol_count; v++)
		next->pd[peer->id][v].repl = REPL_OFF;
}

/* Rows 10, 13 and 20. */
static void sanitize_pd_early(const struct state_peer_device *was, struct state_peer_device *pd,
			      enum disk_state disk)
{
	if (pd->repl < REPL_ESTABLISHED) {
		pd->susp_peer = false;
		pd->quorate = pd->held = false;
		if (pd->pdsk < DISK_INCONSISTENT || pd->pdsk > DISK_UNKNOWN)
			pd->pdsk = DISK_UNKNOWN;
	}
	if (was->pdsk == DISK_DISKLESS &&
	    (pd->pdsk == DISK_FAILED || pd->pdsk == DISK_DETACHING))
		pd->pdsk = DISK_DISKLESS;
	if (pd->repl > REPL_ESTABLISHED && (disk <= DISK_FAILED || pd->pdsk <= DISK_FAILED))
		pd->repl = REPL_ESTABLISHED;
}

bool state_may_be_source(const struct state_peer_device *pd)
{
	return is_target(pd->repl) && !pd->susp_user && !pd->susp_peer &&
	       pd->pdsk >= DISK_OUTDATED && pd->pdsk != DISK_UNKNOWN;
}

/*
 * 5.3: at most one active source; -1 = none. A Primary goes before all others: what comes
 * from a node that is fed by it would have to be fetched again.
 */
static int choose_source(struct core *core, const struct state *old, struct state *next,
			 struct volume *vol)
{
	uint64_t best_bits = 0, present_bits = 0;
	int best = -1, present = -1;
	bool primary = false;

	FOR_EACH_PEER(core, peer)
		primary |= state_may_be_source(&next->pd[peer->id][vol->v]) &&
			   next->peer[peer->id].role == ROLE_PRIMARY;
	FOR_EACH_PEER(core, peer) {
		uint64_t bits;

		if (!state_may_be_source(&next->pd[peer->id][vol->v]) ||
		    (primary && next->peer[peer->id].role != ROLE_PRIMARY))
			continue;
		bits = bitmap_weight(vol, peer->id);
		if (old->pd[peer->id][vol->v].repl == REPL_SYNC_TARGET) {
			present = peer->id;
			present_bits = bits;
		}
		if (best < 0 || bits <= best_bits) {
			best = peer->id;
			best_bits = bits;
		}
	}
	if (present >= 0 && present_bits < best_bits + SOURCE_HYSTERESIS_BITS)
		best = present;
	/* Never two: what is in flight from another source has to come in first. */
	FOR_EACH_PEER(core, peer) {
		if (peer->id != best && next->pd[peer->id][vol->v].repl >= REPL_ESTABLISHED &&
		    resync_active(core, &peer->pd[vol->v]))
			return -1;
	}
	return best;
}

static void sanitize_targets(struct core *core, const struct state *old, struct state *next,
			     struct volume *vol)
{
	const struct state_volume *sv = &next->vol[vol->v];
	bool any = false, held = sv->susp_dependency || sv->susp_parallel;
	int chosen;

	FOR_EACH_PEER(core, peer)
		any |= is_target(next->pd[peer->id][vol->v].repl);
	if (!any) {
		FOR_EACH_PEER(core, peer)
			next->pd[peer->id][vol->v].susp_other = false;
		return;
	}
	chosen = held ? -1 : choose_source(core, old, next, vol);
	FOR_EACH_PEER(core, peer) {
		struct state_peer_device *pd = &next->pd[peer->id][vol->v];
		bool is_chosen = peer->id == chosen;

		pd->susp_other = false;
		if (!is_target(pd->repl))
			continue;
		pd->repl = is_chosen ? REPL_SYNC_TARGET : REPL_PAUSED_SYNC_T;
		/* Each of the paused ones says why. */
		pd->susp_other = !is_chosen &&
				 (chosen >= 0 || !(held || pd->susp_user || pd->susp_peer));
	}
}

/* Rows 15 and 16: a source that is itself a target waits until that is over. */
static void sanitize_sources(struct core *core, struct state *next, const struct volume *vol)
{
	bool target = false;

	FOR_EACH_PEER(core, peer) {
		enum repl_state repl = next->pd[peer->id][vol->v].repl;

		target |= is_target(repl) || repl == REPL_WF_BITMAP_T;
	}
	FOR_EACH_PEER(core, peer) {
		struct state_peer_device *pd = &next->pd[peer->id][vol->v];

		if (pd->repl != REPL_SYNC_SOURCE && pd->repl != REPL_PAUSED_SYNC_S)
			continue;
		pd->susp_other = target;
		pd->repl = pd->susp_user || pd->susp_peer || pd->susp_other ||
					   next->vol[vol->v].susp_dependency ?
				   REPL_PAUSED_SYNC_S :
				   REPL_SYNC_SOURCE;
	}
}

/* Row 19. */
static void sanitize_clamp(struct core *core, struct state *next, const struct volume *vol)
{
	enum disk_state *disk = &next->vol[vol->v].disk;

	FOR_EACH_PEER(core, peer) {
		struct state_peer_device *pd = &next->pd[peer->id][vol->v];
		struct clamp c = clamp_of(pd->repl);

		*disk = clamped(*disk, c.disk_min, c.disk_max);
		pd->pdsk = clamped(pd->pdsk, c.pdsk_min, c.pdsk_max);
	}
}

static bool target_of_any(const struct core *core, const struct state *next, unsigned v)
{
	FOR_EACH_PEER(core, peer) {
		enum repl_state repl = next->pd[peer->id][v].repl;

		if (is_target(repl) || repl == REPL_WF_BITMAP_T || repl == REPL_STARTING_SYNC_T)
			return true;
	}
	return false;
}

/* Blocks are marked towards each other: equal generations do not mean equal data. */
static bool differs(const struct peer *peer, const struct volume *vol)
{
	return peer->pd[vol->v].uuids.dirty_bits || bitmap_weight(vol, peer->id);
}

/*
 * This disk was left behind by a Primary that meant to go on without it, and crashed. Now that is
 * back, still at this generation, so it did not go on, and what the crash has left is resynced from
 * here: the disk is as good as that one would be without us. So it is with a Secondary that comes
 * back after a power loss.
 */
static bool is_back_without_more(const struct volume *vol, const struct peer_device *info,
				 const struct state_peer_device *pd)
{
	uint64_t flags = info->uuids.flags;

	return pd->repl == REPL_WF_BITMAP_S &&
	       (info->state_word & SW_DISK_MASK) >> SW_DISK_SHIFT == DISK_UP_TO_DATE &&
	       info->uuids_valid &&
	       (flags & UUID_FLAG_CRASHED_PRIMARY || !(flags & UUID_FLAG_WENT_ON)) &&
	       !(flags & UUID_FLAG_DISCARD_MY_DATA) && !vol->crashed_primary &&
	       uuid_eq(info->uuids.current, vol->md.current_uuid);
}

/* Rows 21, 23, 24: a peer vouches for our data, or nobody can any more be ahead of us. */
static void sanitize_own_disk(const struct core *core, const struct peer *peer,
			      const struct volume *vol, const struct state *old,
			      struct state *next)
{
	const struct peer_device *info = &peer->pd[vol->v];
	const struct state_peer_device *was = &old->pd[peer->id][vol->v];
	struct state_peer_device *pd = &next->pd[peer->id][vol->v];
	enum disk_state *disk = &next->vol[vol->v].disk;
	bool came_up = was->repl < REPL_ESTABLISHED && pd->repl >= REPL_ESTABLISHED;
	bool stable = info->uuids_valid && (info->uuids.flags & UUID_FLAG_STABLE);
	bool got_stable = info->uuids_valid && (info->uuids.flags & UUID_FLAG_GOT_STABLE);

	if (*disk != DISK_OUTDATED && *disk != DISK_CONSISTENT)
		return;
	/* Equal to one that a Primary out of sight may be about to have fenced, too. */
	if (next->peer[peer->id].role != ROLE_PRIMARY && fencing_keeps_back(core, next, vol->v))
		return;
	if (pd->repl == REPL_ESTABLISHED && *disk == DISK_OUTDATED &&
	    pd->pdsk >= DISK_CONSISTENT && stable && !target_of_any(core, next, vol->v) &&
	    uuid_eq(info->uuids.current, vol->md.current_uuid) && !differs(peer, vol) &&
	    uuid_disk_is_shown(vol, next->role) &&
	    (came_up || got_stable || was->pdsk == DISK_OUTDATED))
		*disk = pd->pdsk;
	if (came_up && *disk == DISK_OUTDATED && !target_of_any(core, next, vol->v) &&
	    uuid_disk_is_shown(vol, next->role) && is_back_without_more(vol, info, pd))
		*disk = DISK_UP_TO_DATE;
	if (came_up && *disk == DISK_CONSISTENT && cluster_may_be_up_to_date(core, next, vol->v))
		*disk = DISK_UP_TO_DATE;
	if (*disk == DISK_CONSISTENT && was->pdsk == DISK_CONSISTENT &&
	    pd->pdsk == DISK_UP_TO_DATE && stable)
		*disk = DISK_UP_TO_DATE;
}

/*
 * Is the peer's data as new as what this diskless node has shown? A Primary's users expect exactly
 * that; a Secondary may go on from any later generation.
 */
static bool is_shown(const struct volume *vol, const struct peer_device *info, enum role role)
{
	uint64_t shown = vol->exposed_uuid;

	if (!shown || !info->uuids_valid || uuid_eq(info->uuids.current, shown))
		return true;
	if (role == ROLE_PRIMARY)
		return false;
	return uuid_comes_after(&info->uuids, shown);
}

/*
 * The disk of a Primary that crashed, and one that went on in the same generation: they have to
 * meet, the first one may lack what was answered. A Primary remembers that when the other is gone.
 */
static bool is_beside_survivor(const struct core *core, const struct state *st,
			       const struct volume *vol, const struct peer_device *info)
{
	if (!info->uuids_valid || !(info->uuids.flags & UUID_FLAG_CRASHED_PRIMARY))
		return false;
	if (st->role == ROLE_PRIMARY && st->pd[info->p][vol->v].untrusted)
		return true;
	FOR_EACH_PEER(core, other) {
		const struct peer_device *pd = &other->pd[vol->v];

		if (pd != info && st->pd[other->id][vol->v].repl >= REPL_ESTABLISHED &&
		    st->pd[other->id][vol->v].pdsk == DISK_UP_TO_DATE && pd->uuids_valid &&
		    !(pd->uuids.flags & UUID_FLAG_CRASHED_PRIMARY) &&
		    uuid_eq(pd->uuids.current, info->uuids.current))
			return true;
	}
	return false;
}

/*
 * The disk has gone on from this generation of that node: its reference towards the node says so,
 * and any other one if the node has missed generations since. But while this node is Primary its
 * peers take its own generations over one after the other.
 */
static bool has_left(const struct state *st, const struct peer_device *pd, unsigned node,
		     uint64_t uuid)
{
	return uuid_is_among(&pd->uuids.bitmap[node], 1, uuid) ||
	       (st->role != ROLE_PRIMARY && uuid_comes_after(&pd->uuids, uuid));
}

/* Another good disk has gone on from where this one still is. */
static bool is_left(const struct core *core, const struct state *st, const struct volume *vol,
		    const struct peer_device *info)
{
	if (!info->uuids_valid)
		return false;
	FOR_EACH_PEER(core, other) {
		const struct peer_device *pd = &other->pd[vol->v];

		if (pd != info && st->pd[other->id][vol->v].repl >= REPL_ESTABLISHED &&
		    st->pd[other->id][vol->v].pdsk == DISK_UP_TO_DATE && pd->uuids_valid &&
		    has_left(st, pd, info->p, info->uuids.current) &&
		    !uuid_eq(pd->uuids.current, info->uuids.current))
			return true;
	}
	return false;
}

static bool is_trusted(const struct core *core, const struct state *st, const struct volume *vol,
		       const struct peer_device *info)
{
	return is_shown(vol, info, st->role) && !is_beside_survivor(core, st, vol, info) &&
	       !is_left(core, st, vol, info);
}

bool state_gains_trust(const struct core *core, const struct peer_device *pd)
{
	return core->st.pd[pd->p][pd->v].untrusted &&
	       is_trusted(core, &core->st, core->vol[pd->v], pd);
}

/* Writes are under way that others have and this peer has not, in no generation of their own. */
static bool lacks_writes(const struct core *core, const struct peer *peer,
			 const struct volume *vol, const struct state *next)
{
	if (next->role != ROLE_PRIMARY || !vol->new_uuid_wanted ||
	    !request_unanswered_without(core, vol, peer->id))
		return false;
	FOR_EACH_PEER(core, other) {
		if (other != peer && next->pd[other->id][vol->v].pdsk == DISK_UP_TO_DATE &&
		    next->pd[other->id][vol->v].repl >= REPL_ESTABLISHED)
			return true;
	}
	return false;
}

/*
 * A peer that comes back, or its disk, is not what this Primary without a good disk can count on,
 * when it says so too early: it must have the generation in use, and first meet those who have the
 * writes that are under way.
 */
static void sanitize_trust(const struct core *core, const struct peer *peer,
			   const struct volume *vol, const struct state *old, struct state *next)
{
	const struct peer_device *info = &peer->pd[vol->v];
	const struct state_peer_device *was = &old->pd[peer->id][vol->v];
	struct state_peer_device *pd = &next->pd[peer->id][vol->v];
	bool trusted = is_trusted(core, next, vol, info);
	bool lacks = lacks_writes(core, peer, vol, next);

	pd->behind |= (was->repl < REPL_ESTABLISHED || was->pdsk < DISK_INCONSISTENT) &&
		      pd->repl >= REPL_ESTABLISHED &&
		      (pd->pdsk == DISK_UP_TO_DATE || (pd->pdsk == DISK_CONSISTENT && lacks));
	if (pd->behind && !lacks) {
		pd->behind = false;
		/* Unless it has said that it is in doubt. */
		pd->untrusted |= pd->pdsk == DISK_UP_TO_DATE || info->disk_rx == DISK_UP_TO_DATE;
	}
	pd->behind &= pd->pdsk >= DISK_CONSISTENT;
	if (pd->pdsk == DISK_UP_TO_DATE && pd->behind) {
		pd->pdsk = DISK_CONSISTENT;
	} else if (pd->pdsk == DISK_UP_TO_DATE && !trusted &&
		   (was->pdsk != DISK_UP_TO_DATE || is_shown(vol, info, next->role) ||
		    is_left(core, next, vol, info))) {
		pd->pdsk = DISK_CONSISTENT;
		pd->untrusted = true;
	} else if (pd->untrusted && pd->pdsk == DISK_CONSISTENT && trusted) {
		/* What it has told of its disk came before what it has told of its generation. */
		pd->pdsk = DISK_UP_TO_DATE;
	}
	pd->untrusted &= pd->pdsk == DISK_CONSISTENT;
}

static bool third_disk(const struct core *core, const struct peer *but, const struct volume *vol)
{
	FOR_EACH_PEER(core, peer) {
		if (peer != but && peer->conf->has_disk[vol->v])
			return true;
	}
	return false;
}

/*
 * Rows 26 to 28: a diskless Primary shows which generation counts. While its I/O waits it may have
 * writes that a third node has got and we have not, in no generation of their own.
 */
static void sanitize_diskless_primary(const struct core *core, const struct peer *peer,
				      const struct volume *vol, const struct state *old,
				      struct state *next)
{
	const struct peer_device *info = &peer->pd[vol->v];
	const struct state_peer_device *was = &old->pd[peer->id][vol->v];
	struct state_peer_device *pd = &next->pd[peer->id][vol->v];
	enum disk_state *disk = &next->vol[vol->v].disk;
	bool came = old->peer[peer->id].role == ROLE_UNKNOWN;
	bool own_is_good;

	if ((came || (was->held && !pd->held)) && next->peer[peer->id].role == ROLE_PRIMARY &&
	    pd->pdsk <= DISK_FAILED && *disk >= DISK_NEGOTIATING && info->current_uuid_rx != 0) {
		if (!uuid_eq(info->current_uuid_rx, vol->md.current_uuid)) {
			if (came && *disk == DISK_UP_TO_DATE)
				*disk = DISK_CONSISTENT;
		} else if (*disk > DISK_INCONSISTENT && !target_of_any(core, next, vol->v) &&
			   !(pd->held && third_disk(core, peer, vol))) {
			*disk = DISK_UP_TO_DATE;
		}
	}
	/* A Primary's own disk that is not good serves nobody, and may still be refused. */
	own_is_good = next->role == ROLE_PRIMARY ? *disk == DISK_UP_TO_DATE : *disk > DISK_FAILED;
	if (!own_is_good)
		sanitize_trust(core, peer, vol, old, next);
}

/* Row 34: nobody is left who could answer our attach. */
static void sanitize_negotiating(const struct core *core, const struct volume *vol,
				 struct state *next)
{
	enum disk_state *disk = &next->vol[vol->v].disk;

	if (*disk != DISK_NEGOTIATING)
		return;
	FOR_EACH_PEER(core, peer) {
		if (peer->pd[vol->v].attach_pending &&
		    next->peer[peer->id].conn == CONN_CONNECTED)
			return;
	}
	*disk = volume_disk_alone(core, next, vol);
}

/* Row 35: after the crash of the last Primary nobody knows who has its last writes. */
static void sanitize_lost_primary(const struct core *core, const struct state *old,
				  struct state *next)
{
	if (next->role == ROLE_PRIMARY || !state_primary_lost(core, old, next) ||
	    cluster_primaries(core, next))
		return;
	FOR_EACH_VOLUME(core, vol) {
		if (next->vol[vol->v].disk == DISK_UP_TO_DATE)
			next->vol[vol->v].disk = DISK_CONSISTENT;
	}
}

bool state_primary_lost(const struct core *core, const struct state *old,
			const struct state *next)
{
	FOR_EACH_PEER(core, peer) {
		enum conn_state conn = next->peer[peer->id].conn;

		if (old->peer[peer->id].conn != CONN_CONNECTED ||
		    old->peer[peer->id].role != ROLE_PRIMARY)
			continue;
		if (conn >= CONN_TIMEOUT && conn <= CONN_PROTOCOL_ERROR)
			return true;
		if (conn == CONN_DISCONNECTING && peer->forced_down)
			return true;
	}
	return false;
}

/* Who is lost before it has said that it knows may go on as what it was. */
static void sanitize_left_behind(const struct peer *peer, unsigned v, const struct state *old,
				 struct state *next)
{
	struct state_peer_device *pd = &next->pd[peer->id][v];

	if (old->pd[peer->id][v].repl >= REPL_ESTABLISHED && pd->repl < REPL_ESTABLISHED &&
	    pd->pdsk == DISK_OUTDATED && peer->pd[v].left_behind &&
	    peer->pd[v].disk_rx > DISK_OUTDATED)
		pd->pdsk = DISK_UNKNOWN;
}

/*
 * A sync target that is lost may have finished in the same moment, unless more bits were left than
 * can be in flight: it could have quorum then. Before the resync begins here it may have found that
 * there is nothing to ask for, or is good again as soon as it has lost us: it was Outdated because
 * of us alone.
 */
static void sanitize_lost_target(const struct core *core, const struct peer *peer,
				 const struct volume *vol, const struct state *old,
				 struct state *next)
{
	struct state_peer_device *pd = &next->pd[peer->id][vol->v];

	enum repl_state was = old->pd[peer->id][vol->v].repl;
	bool few_left = bitmap_weight(vol, peer->id) <= peer->conf->net.max_buffers;

	if (fencing_or_quorum(core, peer) && pd->repl < REPL_ESTABLISHED &&
	    pd->pdsk <= DISK_OUTDATED &&
	    (was == REPL_WF_BITMAP_S ||
	     (resync_is_source(was) && pd->pdsk == DISK_INCONSISTENT && few_left)))
		pd->pdsk = DISK_UNKNOWN;
}

/* Not by agreement. */
static bool is_cut(enum conn_state conn)
{
	return conn >= CONN_TIMEOUT && conn <= CONN_PROTOCOL_ERROR;
}

/*
 * Outdated beside our good disk of the same generation: it may have become good by that (row 21),
 * and the word of it be lost with the connection.
 */
static void sanitize_lost_outdated(const struct core *core, const struct peer *peer,
				   const struct volume *vol, const struct state *old,
				   struct state *next)
{
	const struct peer_device *info = &peer->pd[vol->v];
	const struct state_peer_device *was = &old->pd[peer->id][vol->v];
	struct state_peer_device *pd = &next->pd[peer->id][vol->v];

	if (fencing_or_quorum(core, peer) && was->repl == REPL_ESTABLISHED &&
	    was->pdsk == DISK_OUTDATED && pd->repl < REPL_ESTABLISHED &&
	    pd->pdsk == DISK_OUTDATED && is_cut(next->peer[peer->id].conn) &&
	    old->vol[vol->v].disk == DISK_UP_TO_DATE && info->uuids_valid &&
	    uuid_eq(info->uuids.current, vol->md.current_uuid))
		pd->pdsk = DISK_UNKNOWN;
}

/* What is known of disks out of sight, when one goes that could give them better data. */
static void sanitize_still_outdated(const struct core *core, const struct volume *vol,
				    const struct state *old, struct state *next)
{
	if (!quorum_forgets_outdated(core, old, next, vol->v))
		return;
	FOR_EACH_PEER(core, peer) {
		struct state_peer_device *pd = &next->pd[peer->id][vol->v];

		if (pd->repl < REPL_ESTABLISHED && pd->pdsk < DISK_UNKNOWN)
			pd->pdsk = DISK_UNKNOWN;
	}
}

/*
 * A peer without its disk has seen a generation that we never heard of, and no Primary is here to
 * tell us more, nor about to be: quorum may have gone on without us.
 */
static void sanitize_missed(const struct core *core, const struct volume *vol, struct state *next)
{
	enum disk_state *disk = &next->vol[vol->v].disk;

	if (core->conf.quorum == QUORUM_OFF || *disk <= DISK_OUTDATED ||
	    next->role == ROLE_PRIMARY || !state_is_stable(core, next) ||
	    core->twopc.phase != TWOPC_IDLE || quorum_is_shared(core, vol, next))
		return;
	FOR_EACH_PEER(core, peer) {
		uint64_t seen = peer->pd[vol->v].current_uuid_rx;

		if (next->pd[peer->id][vol->v].repl >= REPL_ESTABLISHED &&
		    next->pd[peer->id][vol->v].pdsk <= DISK_FAILED && seen &&
		    !uuid_known(vol, seen))
			*disk = DISK_OUTDATED;
	}
}

/* Row 36: a Primary's I/O waits from the moment its last good data get out of reach. */
static void sanitize_no_data(const struct core *core, const struct state *old, struct state *next)
{
	bool had = true, has = true;

	FOR_EACH_VOLUME(core, vol) {
		if (vol_is_aside(vol))
			continue;
		had &= state_data_accessible(core, old, vol->v);
		has &= state_data_accessible(core, next, vol->v);
	}
	if (core->commands.give_up_io)
		next->susp_user = false;
	if (next->role != ROLE_PRIMARY || has || core->conf.on_no_data != NO_DATA_SUSPEND ||
	    core->commands.give_up_io)
		next->susp_nod = false;
	else if (had || old->role != ROLE_PRIMARY)
		next->susp_nod = true;
}

/* Rows 32, 33 and 37. */
static void sanitize_quorum(const struct core *core, const struct state *old, struct state *next)
{
	FOR_EACH_VOLUME(core, vol) {
		FOR_EACH_PEER(core, peer) {
			sanitize_lost_target(core, peer, vol, old, next);
			sanitize_lost_outdated(core, peer, vol, old, next);
		}
		sanitize_still_outdated(core, vol, old, next);
		sanitize_missed(core, vol, next);
		next->vol[vol->v].have_quorum = quorum_of(core, old, next, vol->v);
	}
	next->susp_quorum = next->role == ROLE_PRIMARY && !quorum_all(core, next) &&
			    quorum_waits_for_io(core);
}

void state_sanitize(struct core *core, const struct state *old, struct state *next)
{
	FOR_EACH_PEER(core, peer)
		sanitize_peer(core, peer, next);
	FOR_EACH_VOLUME(core, vol) {
		enum disk_state *disk = &next->vol[vol->v].disk;

		if (old->vol[vol->v].disk == DISK_DISKLESS && *disk == DISK_DETACHING)
			*disk = DISK_DISKLESS;
		sanitize_negotiating(core, vol, next);
		FOR_EACH_PEER(core, peer)
			sanitize_pd_early(&old->pd[peer->id][vol->v],
					  &next->pd[peer->id][vol->v], *disk);
		sanitize_targets(core, old, next, vol);
		sanitize_sources(core, next, vol);
		sanitize_clamp(core, next, vol);
		FOR_EACH_PEER(core, peer)
			sanitize_own_disk(core, peer, vol, old, next);
		/* What one peer vouches for may be what another one's coming up was waiting for. */
		FOR_EACH_PEER(core, peer)
			sanitize_own_disk(core, peer, vol, old, next);
		FOR_EACH_PEER(core, peer)
			sanitize_diskless_primary(core, peer, vol, old, next);
	}
	replicate_sanitize(core, old, next);
	FOR_EACH_PEER(core, peer) {
		for (unsigned v = 0; v < core->vol_count; v++)
			sanitize_left_behind(peer, v, old, next);
	}
	sanitize_lost_primary(core, old, next);
	sanitize_no_data(core, old, next);
	sanitize_quorum(core, old, next);
	fencing_sanitize(core, old, next);
}

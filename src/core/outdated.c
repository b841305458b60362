/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Disks that are Outdated only by name, and pairs of disks that need one more decision. */
#include "core/bitmap_io.h"
#include "core/cluster.h"
#include "core/core_hooks.h"
#include "core/drbd8.h"
#include "core/fencing.h"
#include "core/resync_int.h"
#include "core/state.h"

#define UNSETTLED_NS (3 * NS_PER_S)
#define LEFTOVER_NS (10 * NS_PER_S)
#define AFTER_CRASH_NS NS_PER_MS
#define ASK_AGAIN_NS (60 * NS_PER_S)

/* This connected peer holds what we hold. */
static bool same_data(const struct core *core, const struct volume *vol,
		      const struct peer_device *pd)
{
	enum disk_state pdsk = pdsk_of(core, pd);

	return repl_is_settled(repl_of(core, pd)) && pdsk >= DISK_OUTDATED &&
	       pdsk != DISK_UNKNOWN && pd->uuids_valid &&
	       !(pd->uuids.flags & UUID_FLAG_SYNC_TARGET) &&
	       uuid_eq(pd->uuids.current, vol->md.current_uuid) &&
	       bitmap_weight(vol, pd->p) == 0 && pd->uuids.dirty_bits == 0 &&
	       !resync_source_unstable(core, pd);
}

/* A Primary whose disk is gone, and that has shown what is on ours. */
static bool shows_our_data(const struct core *core, const struct volume *vol,
			   const struct peer *peer)
{
	const struct peer_device *pd = &peer->pd[vol->v];

	return core->st.peer[peer->id].role == ROLE_PRIMARY &&
	       repl_of(core, pd) >= REPL_ESTABLISHED && pdsk_of(core, pd) <= DISK_FAILED &&
	       uuid_eq(pd->current_uuid_rx, vol->md.current_uuid);
}

/* Whose disk leads, as a Primary's own one, or one that has the same; ROLE_UNKNOWN: nobody's
 * here. */
static enum role leads_as(const struct core *core, const struct volume *vol)
{
	enum role role = core->st.role;

	FOR_EACH_PEER(core, peer) {
		if (core->st.peer[peer->id].role != ROLE_PRIMARY)
			continue;
		if (core->st.role == ROLE_PRIMARY || !same_data(core, vol, &peer->pd[vol->v]))
			return ROLE_UNKNOWN;
		role = ROLE_PRIMARY;
	}
	return role;
}

/* It has no connection to a Primary that is in sight here, and follows no other one. */
static bool sees_no_primary(const struct peer_device *pd)
{
	const uint64_t apart = UUID_FLAG_SEES_NOT_ALL | UUID_FLAG_STABLE;

	return (pd->uuids.flags & apart) == apart;
}

/*
 * Outdated as well, or the target of somebody: at our generation it has nothing newer, and the next
 * resync between the two will be from here. As long as this one sees a Primary that the peer does
 * not see, there is none: what counts is what that Primary would send it. A Primary that has shown
 * what its own disk has is the source of all itself, as often as they are compared.
 */
static bool is_behind(const struct core *core, const struct volume *vol, const struct peer *peer)
{
	const struct peer_device *pd = &peer->pd[vol->v];
	enum disk_state pdsk = pdsk_of(core, pd);
	enum role role = leads_as(core, vol);

	if (disk_of(core, vol) != DISK_OUTDATED || role == ROLE_UNKNOWN ||
	    repl_of(core, pd) < REPL_ESTABLISHED || !pd->uuids_valid ||
	    !uuid_eq(pd->uuids.current, vol->md.current_uuid) || resync_source_unstable(core, pd))
		return false;
	if (role == ROLE_PRIMARY && core->st.role != ROLE_PRIMARY && !sees_no_primary(pd))
		return false;
	return pdsk == DISK_INCONSISTENT ||
	       (pdsk == DISK_OUTDATED && sync_leads(core, peer, vol, role));
}

/*
 * A Primary whose disk is gone has shown our data, and this one is at an older generation, and not
 * good: nothing was written there. It is resynced from here, but may have to wait for a source that
 * is stable; that waits for us, where it has no connection to the Primary.
 */
static bool is_left(const struct core *core, const struct volume *vol, const struct peer *peer)
{
	const struct peer_device *pd = &peer->pd[vol->v];
	enum disk_state pdsk = pdsk_of(core, pd);

	return cluster_primaries(core, &core->st) && repl_of(core, pd) >= REPL_ESTABLISHED &&
	       (pdsk == DISK_INCONSISTENT || pdsk == DISK_OUTDATED) && pd->uuids_valid &&
	       !(pd->uuids.flags & UUID_FLAG_SYNC_TARGET) && sync_lacks_told(core, peer, vol);
}

/* No other node has a disk, as far as is known here: nothing can have been answered elsewhere. */
static bool is_only_disk(const struct core *core, const struct volume *vol)
{
	if (!core->peer_count || cluster_lost_a_disk(core, vol))
		return false;
	FOR_EACH_PEER(core, peer) {
		if (peer->conf->has_disk[vol->v] ||
		    vol->md.peers[peer->id].flags & MDF_PEER_DEVICE_SEEN)
			return false;
	}
	return true;
}

/*
 * A disk is marked Outdated because a node out of sight may have gone on. When a good disk of the
 * same generation is in sight, or all disks there are, then that did not happen or is over. A good
 * disk beside a Primary may be ahead, but without one a Primary has nowhere to write to.
 */
static bool is_newest(const struct core *core, const struct volume *vol)
{
	bool all = !cluster_lost_a_disk(core, vol), good = false, any = is_only_disk(core, vol);

	if (!uuid_disk_is_shown(vol, core->st.role))
		return false;
	/* A Primary that is to be fenced first is asked itself, or one that has fenced it. */
	if (!cluster_primaries(core, &core->st) && fencing_keeps_back(core, &core->st, vol->v))
		return false;
	FOR_EACH_PEER(core, peer) {
		const struct peer_device *pd = &peer->pd[vol->v];

		/* It has shown something that no disk in sight has. From what this one comes from,
		 * it has gone on with this one, without a word. */
		if (core->st.peer[peer->id].role == ROLE_PRIMARY && pd->current_uuid_rx &&
		    !uuid_known(vol, pd->current_uuid_rx))
			return false;
		if (!peer->conf->has_disk[vol->v])
			continue;
		any = true;
		if (!same_data(core, vol, pd))
			all &= shows_our_data(core, vol, peer) || is_behind(core, vol, peer) ||
			       is_left(core, vol, peer);
		else
			good |= pdsk_of(core, pd) == DISK_UP_TO_DATE;
	}
	return cluster_primaries(core, &core->st) ? any && all && !good : good || (any && all);
}

/* ---- pairs that no event will settle any more ---- */

/* One of the two has what a crash has left, the other has got something else since. */
static bool crash_divides(const struct volume *vol, const struct peer_device *pd)
{
	return vol->crashed_primary != !!(pd->uuids.flags & UUID_FLAG_CRASHED_PRIMARY);
}

/* A DRBD kernel: it does not tell when the last of what it has marked towards us is gone. */
static bool keeps_its_count(const struct core *core, const struct peer_device *pd)
{
	const struct peer *peer = core->peer[pd->p];

	return !(peer->features & FEATURE_DRBDFS) && !peer_is_drbd8(peer);
}

/* Of two that nothing resyncs, 0 = they are equal. Bits between equal disks wait longest: third
 * nodes may tell that the blocks are equal. */
static uint64_t differ_for(const struct core *core, const struct volume *vol,
			   const struct peer_device *pd)
{
	if (!uuid_eq(pd->uuids.current, vol->md.current_uuid) ||
	    disk_of(core, vol) != pdsk_of(core, pd))
		return UNSETTLED_NS;
	if (pd->ov.found)
		return 0;
	if (!bitmap_weight(vol, pd->p))
		return pd->uuids.dirty_bits && keeps_its_count(core, pd) ? LEFTOVER_NS : 0;
	if (!crash_divides(vol, pd))
		return LEFTOVER_NS;
	/* What a lost Primary has sent says more. */
	return core->reconcile.pending ? 0 : AFTER_CRASH_NS;
}

/*
 * How long to wait before the peer is asked to decide again, 0 = all is settled, or a resync
 * settles it. This is asked of every peer whenever something has changed: first what looks at
 * that peer alone.
 */
static uint64_t unsettled_for(const struct core *core, const struct volume *vol,
			      const struct peer_device *pd)
{
	enum disk_state disk = disk_of(core, vol), pdsk = pdsk_of(core, pd);
	uint64_t wait;

	if (!vol_has_md(vol) || disk < DISK_INCONSISTENT || repl_of(core, pd) != REPL_ESTABLISHED ||
	    pdsk < DISK_INCONSISTENT || pdsk == DISK_UNKNOWN)
		return 0;
	/* Its disk was attached while the connection was made. */
	if (!pd->uuids_valid)
		return UNSETTLED_NS;
	wait = differ_for(core, vol, pd);
	if (!wait || pd->uuids.flags & UUID_FLAG_SYNC_TARGET ||
	    (disk == DISK_INCONSISTENT && pdsk == DISK_INCONSISTENT) ||
	    uuid_sync_source(core, vol, NODES_MAX) || !resync_same_primaries(core, pd))
		return 0;
	/* One of them waits for a node out of sight, which may have fenced it. */
	if (uuid_eq(pd->uuids.current, vol->md.current_uuid) && !bitmap_weight(vol, pd->p) &&
	    !pd->uuids.dirty_bits && fencing_keeps_back(core, &core->st, vol->v))
		return 0;
	return wait;
}

/* Or Consistent: a diskless Primary that knew better is gone, and nobody is left to ask. */
static bool is_in_doubt(enum disk_state disk)
{
	return disk == DISK_OUTDATED || disk == DISK_CONSISTENT;
}

void leftover_run(struct core *core, struct peer_device *pd)
{
	struct volume *vol = core->vol[pd->v];
	uint64_t *at = &pd->fence.leftover_at_ns;
	uint64_t wait;

	/* What is marked towards a disk in doubt keeps it so. */
	if (is_in_doubt(pdsk_of(core, pd)) && repl_of(core, pd) == REPL_ESTABLISHED &&
	    pd->sent_valid && pd->sent.dirty_bits && !bitmap_weight(vol, pd->p))
		uuid_send(core, core->peer[pd->p], pd->v, 0, 0);
	if (pd->ov.found && !bitmap_weight(vol, pd->p))
		pd->ov.found = false;
	if (vol_has_md(vol) && !bitmap_weight(vol, pd->p))
		pd->fence.resync_marks = false;
	wait = unsettled_for(core, vol, pd);
	if (!wait)
		*at = 0;
	else if (!*at)
		*at = core->now_ns + wait;
}

/* The peer decides first; we follow when it reports its new state. */
void leftover_time(struct core *core, struct peer_device *pd)
{
	struct volume *vol = core->vol[pd->v];
	uint64_t *at = &pd->fence.leftover_at_ns;

	if (!*at || core->now_ns < *at)
		return;
	leftover_run(core, pd);
	if (!*at)
		return;
	/* Not in step with other pairs, whose resyncs start the announcements again. */
	if (unsettled_for(core, vol, pd) == LEFTOVER_NS &&
	    (!actlog_is_idle(vol) || vol->rs.announce)) {
		*at = core->now_ns + UNSETTLED_NS;
		return;
	}
	*at = core->now_ns + (keeps_its_count(core, pd) ? ASK_AGAIN_NS : LEFTOVER_NS);
	/* To one that has become stable a DRBD kernel answers with how much it has marked now. */
	if (!vol->bump_seq)
		uuid_send(core, core->peer[pd->p], pd->v,
			  keeps_its_count(core, pd) ? UUID_FLAG_GOT_STABLE : UUID_FLAG_RESYNC, 0);
}

/* ---- disks ---- */

void outdated_run(struct core *core)
{
	uint32_t newest = 0;
	struct state *next;

	if (core->reconcile.pending || core->far_primaries & ~cluster_neighbours(core))
		return;
	FOR_EACH_VOLUME(core, vol) {
		if (vol_has_md(vol) && is_in_doubt(disk_of(core, vol)) &&
		    !uuid_eq(vol->md.current_uuid, UUID_JUST_CREATED) && is_newest(core, vol))
			newest |= UINT32_C(1) << vol->v;
	}
	if (!newest)
		return;
	next = state_begin(core);
	FOR_EACH_VOLUME(core, vol) {
		if ((newest >> vol->v) & 1)
			next->vol[vol->v].disk = DISK_UP_TO_DATE;
	}
	state_end(core, STATE_HARD);
}

/* What this node has shown may go on with one peer after another has told its generation. */
void trust_run(struct core *core)
{
	bool any = false;

	FOR_EACH_VOLUME(core, vol) {
		FOR_EACH_PEER(core, peer)
			any |= state_gains_trust(core, &peer->pd[vol->v]);
	}
	if (!any)
		return;
	state_begin(core);
	state_end(core, STATE_HARD);
}

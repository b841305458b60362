/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Data generations of the own disk: history, rotation, new ones, and
 * what a state change means for them (states-and-resync 1). */
#include "core/uuid.h"

#include <string.h>

#include "core/cluster.h"
#include "core/core_hooks.h"
#include "core/fencing.h"
#include "core/core_int.h"
#include "core/drbd8.h"
#include "core/resync_int.h"
#include "core/state.h"

/* ---- history and rotation ---- */

void uuid_push_history(struct volume *vol, uint64_t value, unsigned node)
{
	uint64_t *history = vol->md.history;

	value &= ~UUID_PRIMARY;
	if (!value || value == UUID_JUST_CREATED || uuid_eq(value, vol->md.current_uuid))
		return;
	if (!history[0]) {
		history[0] = value;
		return;
	}
	/* A reference without a slot is not told to anybody. */
	for (unsigned n = 0; n < NODES_MAX; n++)
		if (n != node && vol->md.peers[n].bitmap_index >= 0 &&
		    uuid_eq(value, vol->md.peers[n].bitmap_uuid))
			return;
	for (unsigned i = 0; i < HISTORY_UUIDS; i++)
		if (uuid_eq(value, history[i]))
			return;
	memmove(&history[1], &history[0], (HISTORY_UUIDS - 1) * sizeof(history[0]));
	history[0] = value;
}

void uuid_forget_bitmap_uuid(struct core *core, struct volume *vol, unsigned p)
{
	struct md_peer *mp = &vol->md.peers[p];

	if (!mp->bitmap_uuid)
		return;
	uuid_push_history(vol, mp->bitmap_uuid, p);
	mp->bitmap_uuid = 0;
	mp->bitmap_dagtag = 0;
	md_sync(core, vol);
}

void uuid_set_current(struct core *core, struct volume *vol, uint64_t value)
{
	uuid_put_current(core, vol, value);
	uuid_adopt_at_once(core, vol);
}

void uuid_put_current(struct core *core, struct volume *vol, uint64_t value)
{
	value &= ~UUID_PRIMARY;
	if (core->st.role == ROLE_PRIMARY)
		value |= UUID_PRIMARY;
	if (!uuid_eq(value, vol->md.current_uuid)) {
		vol->uuid_given_away = false;
		vol->origin = core->self;
		vol->lost_primaries = 0;
	}
	vol->md.current_uuid = value;
	core_work(core, WORK_SYNC);
}

uint64_t uuid_random(struct core *core)
{
	uint64_t value;

	do
		value = core_random64(core) & ~UUID_PRIMARY;
	while (!value || value == UUID_JUST_CREATED || uuid_eq(value, UUID_UNKNOWN));
	return value;
}

/* Steps 2 of the rotation: configured peers. */
static bool rotate_peers(struct core *core, struct volume *vol, uint64_t prev, uint64_t weak,
			 uint64_t dagtag)
{
	bool set = false;

	FOR_EACH_PEER(core, peer) {
		struct md_peer *mp = &vol->md.peers[peer->id];
		enum disk_state pdsk = pdsk_of(core, &peer->pd[vol->v]);
		bool absent = pdsk <= DISK_UNKNOWN && pdsk != DISK_NEGOTIATING;

		if (mp->bitmap_uuid && !uuid_eq(mp->bitmap_uuid, prev))
			continue;
		if (pdsk == DISK_DISKLESS && mp->bitmap_index < 0)
			continue;
		if (!absent && !(weak & node_bit(peer->id)))
			continue;
		mp->bitmap_uuid = prev;
		mp->bitmap_dagtag = dagtag;
		set = true;
	}
	return set;
}

/* Step 3: everybody else; counts only when a slot can stand behind the id. */
static bool rotate_others(struct core *core, struct volume *vol, uint64_t prev, uint64_t dagtag)
{
	uint32_t taken = bitmap_slots_of(vol, UINT32_MAX);
	bool set = false;

	for (unsigned n = 0; n < NODES_MAX; n++) {
		struct md_peer *mp = &vol->md.peers[n];
		unsigned slot;

		if (n == core->self || core->peer[n])
			continue;
		if (mp->bitmap_uuid && !uuid_eq(mp->bitmap_uuid, prev))
			continue;
		if (mp->bitmap_index >= 0) {
			slot = (unsigned)mp->bitmap_index;
		} else if (taken == UINT32_MAX) {
			slot = NODES_MAX;
		} else {
			slot = (unsigned)__builtin_ctz(~taken);
			taken |= UINT32_C(1) << slot;
		}
		mp->bitmap_uuid = prev;
		mp->bitmap_dagtag = dagtag;
		set |= slot < vol->md.max_peers;
	}
	return set;
}

bool uuid_rotate(struct core *core, struct volume *vol, uint64_t weak, uint64_t dagtag)
{
	uint64_t prev = vol->md.current_uuid;
	bool set;

	if (uuid_eq(prev, UUID_JUST_CREATED) || !prev)
		prev = uuid_random(core);
	set = rotate_peers(core, vol, prev, weak, dagtag);
	set |= rotate_others(core, vol, prev, dagtag);
	return set;
}

/* A real generation that never had a successor. */
static bool is_day_0(const struct core *core, const struct volume *vol)
{
	if (uuid_eq(vol->md.current_uuid, UUID_JUST_CREATED))
		return false;
	for (unsigned i = 0; i < HISTORY_UUIDS; i++)
		if (vol->md.history[i])
			return false;
	for (unsigned n = 0; n < NODES_MAX; n++)
		if (n != core->self && vol->md.peers[n].bitmap_uuid)
			return false;
	return true;
}

/* ---- new generations ---- */

/* A node out of sight that is behind by its reference, but
 * may have caught up, or shown what is here, when nobody could tell us. */
static bool may_be_shared(const struct core *core, const struct volume *vol)
{
	if (!vol->uuid_given_away)
		return false;
	for (unsigned n = 0; n < NODES_MAX; n++) {
		const struct md_peer *mp = &vol->md.peers[n];
		const struct peer *peer = core->peer[n];
		bool is_node = mp->bitmap_uuid && (peer || mp->bitmap_index >= 0);

		/* Also a Primary that is no peer any more. */
		if ((is_node || vol->lost_primaries & node_bit(n)) &&
		    !(peer && repl_of(core, &peer->pd[vol->v]) >= REPL_ESTABLISHED))
			return true;
	}
	return false;
}

/* Rotates and makes a new current; the rest happens when the superblock is durable. */
static void bump_disk(struct core *core, struct volume *vol, uint64_t rotate_weak, bool always,
		      uint64_t flags)
{
	uint64_t old = vol->md.current_uuid;
	bool day_0 = is_day_0(core, vol);

	/* Whoever has no connection to this node takes no part, whatever its reference says:
	 * that is of the last generation in which somebody told of it. */
	always |= may_be_shared(core, vol) || cluster_far_disks(core, vol);
	if (!uuid_rotate(core, vol, rotate_weak, request_own_dagtag(core)) && !day_0 && !always)
		return;
	uuid_set_current(core, vol, uuid_random(core));
	uuid_made(vol, old);
	/* Where no reference that is told has it, the history keeps it; the first generation
	 * always: all others come from it. */
	uuid_push_history(vol, old, NODES_MAX);
	vol->exposed_uuid = vol->md.current_uuid;
	vol->bump_weak = cluster_weak_nodes(core, vol->v);
	vol->bump_flags = flags;
	vol->bump_seq = md_sync(core, vol);
	core_log(core, LOG_LEVEL_INFO, "%s/%u: new data generation %016llX", core->conf.name,
		 vol->vnr, (unsigned long long)vol->md.current_uuid);
}

bool uuid_bump_running(const struct core *core)
{
	FOR_EACH_VOLUME(core, vol) {
		if ((vol->bump_seq || vol->adoption.waits) && vol_has_disk(core, vol))
			return true;
	}
	return false;
}

bool uuid_owed(const struct core *core)
{
	bool owed = false;

	FOR_EACH_VOLUME(core, vol)
		owed |= vol->new_uuid_wanted && vol->new_uuid_owed;
	return owed && core->quorum_unproved;
}

bool uuid_peer_follows(const struct peer_device *pd, const struct volume *vol)
{
	return pd->uuids_valid && uuid_eq(pd->uuids.current, vol->exposed_uuid) &&
	       !(pd->uuids.flags & (UUID_FLAG_NOT_DURABLE | UUID_FLAG_SYNC_TARGET));
}

bool uuid_bump_if_wanted(struct core *core)
{
	bool wait = false;

	if (core->st.role != ROLE_PRIMARY)
		return false;
	FOR_EACH_VOLUME(core, vol) {
		if (!vol->new_uuid_wanted || vol->bump_seq ||
		    !state_data_accessible(core, &core->st, vol->v))
			continue;
		if (two_primaries_other_bumps(core, vol)) {
			wait |= disk_of(core, vol) != DISK_UP_TO_DATE;
			continue;
		}
		/* Never without quorum: it would be a fork without a write in it. */
		if (!core->st.vol[vol->v].have_quorum)
			continue;
		if (volume_may_lead(core, vol) || core->quorum_unproved ||
		    fencing_holds_io(&core->st)) {
			wait = true;
			continue;
		}
		vol->new_uuid_wanted = vol->new_uuid_owed = false;
		if (vol_has_md(vol) && disk_of(core, vol) == DISK_UP_TO_DATE)
			bump_disk(core, vol, 0, false, UUID_FLAG_NEW_DATAGEN);
		else
			uuid_bump_exposed(core, vol);
		if (disk_of(core, vol) <= DISK_FAILED)
			local_flush_forget(vol);
	}
	return wait || uuid_bump_running(core);
}

bool uuid_adopting(const struct core *core)
{
	FOR_EACH_VOLUME(core, vol) {
		if (vol->adopt_seq && vol_has_disk(core, vol))
			return true;
	}
	return false;
}

/*
 * A Primary counts on what is on our disk: it does not answer before. And who was told that it is
 * not there yet takes us for no source.
 */
static void tell_adopted(struct core *core, struct volume *vol)
{
	if (!vol->adopt_seq || vol->md_durable_seq < vol->adopt_seq)
		return;
	vol->adopt_seq = 0;
	FOR_EACH_PEER(core, peer) {
		const struct peer_device *pd = &peer->pd[vol->v];

		if (repl_of(core, pd) >= REPL_ESTABLISHED &&
		    (core->st.peer[peer->id].role == ROLE_PRIMARY ||
		     pd->sent.flags & UUID_FLAG_NOT_DURABLE))
			uuid_send(core, peer, vol->v, 0, 0);
	}
	core_work(core, WORK_RECONCILE);
}

void uuid_md_durable(struct core *core, struct volume *vol)
{
	tell_adopted(core, vol);
	if (!vol->bump_seq || vol->md_durable_seq < vol->bump_seq)
		return;
	vol->bump_seq = vol->made_uuid = 0;
	request_new_epoch(core);
	uuid_send_all(core, vol->v, vol->bump_flags, vol->bump_weak);
	core_work(core, WORK_REQUESTS | WORK_COMMAND);
}

void uuid_forced_primary(struct core *core)
{
	FOR_EACH_VOLUME(core, vol) {
		uint64_t weak = 0;

		vol->new_uuid_wanted = false;
		if (!vol_has_md(vol) || disk_of(core, vol) < DISK_UP_TO_DATE)
			continue;
		FOR_EACH_PEER(core, peer) {
			const struct peer_device *pd = &peer->pd[vol->v];

			if (repl_is_settled(repl_of(core, pd)) &&
			    pdsk_of(core, pd) == DISK_INCONSISTENT)
				weak |= node_bit(peer->id);
		}
		bump_disk(core, vol, weak, true, 0);
	}
}

/* Every peer that would be left behind is absent, or nothing was ever written here. */
static bool may_start_anew(const struct core *core, const struct volume *vol, bool clear_bitmap)
{
	FOR_EACH_PEER(core, peer) {
		enum repl_state repl = repl_of(core, &peer->pd[vol->v]);

		if (repl <= REPL_OFF)
			continue;
		if (!clear_bitmap || repl != REPL_ESTABLISHED ||
		    !uuid_eq(vol->md.current_uuid, UUID_JUST_CREATED))
			return false;
	}
	return true;
}

/* All connected disks are declared equal; towards
 * nodes that do not hear of it everything differs. */
static void declare_equal(struct core *core, struct volume *vol)
{
	uint64_t connected = 0;
	struct state *next;

	FOR_EACH_PEER(core, peer) {
		if (repl_of(core, &peer->pd[vol->v]) == REPL_ESTABLISHED)
			connected |= node_bit(peer->id);
	}
	for (unsigned slot = 0; slot < vol->bm.slots; slot++)
		bitmap_clear_slot(core, vol, slot);
	for (unsigned n = 0; n < NODES_MAX; n++) {
		if (n == core->self || connected & node_bit(n))
			vol->md.peers[n].bitmap_uuid = 0;
		else
			bitmap_set(core, vol, bitmap_slots_of(vol, node_bit(n)), 0,
				   vol->size_sectors);
	}
	uuid_send_all(core, vol->v, UUID_FLAG_SKIP_INITIAL_SYNC, 0);
	next = state_begin(core);
	next->vol[vol->v].disk = DISK_UP_TO_DATE;
	FOR_EACH_PEER(core, peer) {
		struct state_peer_device *pd = &next->pd[peer->id][vol->v];

		if (connected & node_bit(peer->id) && pd->pdsk >= DISK_INCONSISTENT)
			pd->pdsk = DISK_UP_TO_DATE;
	}
	state_end(core, STATE_HARD);
}

enum state_rv uuid_new_current(struct core *core, struct volume *vol, bool clear_bitmap)
{
	uint64_t old = vol->md.current_uuid;

	if (!vol_has_md(vol))
		return SS_NO_LOCAL_DISK;
	if (!may_start_anew(core, vol, clear_bitmap))
		return SS_NOT_SUPPORTED;
	for (unsigned n = 0; n < NODES_MAX; n++)
		uuid_forget_bitmap_uuid(core, vol, n);
	uuid_rotate(core, vol, 0, request_own_dagtag(core));
	uuid_set_current(core, vol, uuid_random(core));
	uuid_push_history(vol, old, NODES_MAX);
	md_sync(core, vol);
	if (clear_bitmap)
		declare_equal(core, vol);
	return SS_SUCCESS;
}

/* ---- after state changes ---- */

static bool usable(enum disk_state pdsk)
{
	return pdsk >= DISK_INCONSISTENT && pdsk != DISK_UNKNOWN && pdsk != DISK_OUTDATED;
}

/* The triggers of 1.6 that do not depend on fencing or Ahead. */
static bool needs_new_generation(const struct core *core, const struct state *old,
				 const struct volume *vol)
{
	unsigned v = vol->v;
	enum disk_state was = old->vol[v].disk, is = disk_of(core, vol);

	if (core->st.role != ROLE_PRIMARY)
		return false;
	/* As a second Primary this node goes on with what the first one has. */
	if (old->role != ROLE_PRIMARY)
		return !cluster_other_primary(core);
	/* What it brings was not shown by this Primary yet: as at a promotion. */
	if (vol->comes && was != DISK_UP_TO_DATE && is == DISK_UP_TO_DATE)
		return true;
	if (was >= DISK_INCONSISTENT && is < DISK_INCONSISTENT)
		return true;
	/* Peers that were Outdated with us may not have noticed yet. */
	if (was == DISK_OUTDATED && is == DISK_UP_TO_DATE)
		return true;
	FOR_EACH_PEER(core, peer) {
		enum disk_state p_was = old->pd[peer->id][v].pdsk;
		enum disk_state p_is = core->st.pd[peer->id][v].pdsk;

		if (usable(p_was) && !usable(p_is))
			return true;
		if (is == DISK_UP_TO_DATE && p_was == DISK_UNKNOWN && !usable(p_is) &&
		    p_is != DISK_UNKNOWN && !vol->md.peers[peer->id].bitmap_uuid &&
		    peer->conf->has_disk[v])
			return true;
	}
	return false;
}

/* A target that has nothing to ask for does not wait for its source to begin. */
static bool may_end_unheard(enum repl_state repl)
{
	return resync_is_source(repl) || repl == REPL_WF_BITMAP_S;
}

/*
 * A sync target that is lost may have finished in the same moment and be as good as we were then;
 * a Primary that is lost has shown what we have, also without a disk of its own, and goes on with
 * that if nothing tells it that others did. Their references still say what they had before. Who
 * becomes Primary without having seen that target has to know.
 */
static void note_given_away(struct core *core, const struct state *old, struct volume *vol)
{
	bool target_lost = false, known = vol->uuid_given_away;

	FOR_EACH_PEER(core, peer) {
		if (repl_of(core, &peer->pd[vol->v]) >= REPL_ESTABLISHED) {
			vol->lost_primaries &= ~node_bit(peer->id);
			continue;
		}
		target_lost |= may_end_unheard(old->pd[peer->id][vol->v].repl);
		if (old->peer[peer->id].role != ROLE_PRIMARY)
			continue;
		vol->uuid_given_away = true;
		vol->lost_primaries |= node_bit(peer->id);
	}
	if (!target_lost)
		return;
	vol->new_uuid_wanted = vol->uuid_given_away = true;
	FOR_EACH_PEER(core, peer) {
		if (!known && vol_has_md(vol) && repl_is_settled(repl_of(core, &peer->pd[vol->v])))
			uuid_send(core, peer, vol->v, 0, 0);
	}
}

/* Peers must know whether what we have is being changed behind their back. */
static void tell_stable(struct core *core, struct volume *vol)
{
	bool stable = state_is_stable(core, &core->st);
	uint64_t authoritative = uuid_authoritative_nodes(core, vol->v);
	bool got_stable = stable && !vol->was_stable;

	if (stable == vol->was_stable && authoritative == vol->was_authoritative)
		return;
	vol->was_stable = stable;
	vol->was_authoritative = authoritative;
	if (!vol_has_md(vol) || disk_of(core, vol) < DISK_INCONSISTENT)
		return;
	FOR_EACH_PEER(core, peer) {
		const struct peer_device *pd = &peer->pd[vol->v];
		enum disk_state pdsk = pdsk_of(core, pd);
		/* It could not trust what it got from us. */
		bool matters = pdsk >= DISK_INCONSISTENT && pdsk <= DISK_OUTDATED;

		if (peer_connected(core, peer) && repl_of(core, pd) >= REPL_ESTABLISHED)
			uuid_send(core, peer, vol->v,
				  got_stable && matters ? UUID_FLAG_GOT_STABLE : 0, 0);
	}
}

static bool both_good(const struct state *st, unsigned p, unsigned v)
{
	return repl_is_settled(st->pd[p][v].repl) && st->pd[p][v].pdsk == DISK_UP_TO_DATE &&
	       st->vol[v].disk == DISK_UP_TO_DATE;
}

/* A further node is known to have what we have: others may count on it. */
static void tell_in_sync(struct core *core, const struct state *old, struct volume *vol)
{
	FOR_EACH_PEER(core, peer) {
		bool is = both_good(&core->st, peer->id, vol->v);

		if (is == both_good(old, peer->id, vol->v))
			continue;
		announce_fences_reset(core, vol);
		if (is)
			announce_all(core, vol);
	}
}

static bool is_equal(const struct core *core, const struct volume *vol, const struct peer *peer)
{
	const struct peer_device *pd = &peer->pd[vol->v];

	return repl_is_settled(repl_of(core, pd)) && pdsk_of(core, pd) == DISK_UP_TO_DATE &&
	       !bitmap_weight(vol, peer->id);
}

/* Equal, and it has been compared with all the disks, of which this node does not see some. */
static bool knows_the_others(const struct volume *vol, const struct peer_device *pd)
{
	return pd->uuids_valid && uuid_eq(pd->uuids.current, vol->md.current_uuid) &&
	       pd->uuids.flags & UUID_FLAG_KEEPS_BITS &&
	       !(pd->uuids.flags & (UUID_FLAG_CRASHED_PRIMARY | UUID_FLAG_SEES_NOT_ALL));
}

/* Nobody is left who could know more than a Primary that
 * crashed; or what is here counts again: a Primary goes on with it. */
static bool crash_is_over(const struct core *core, const struct volume *vol)
{
	bool all = !cluster_lost_a_disk(core, vol);

	if (core->st.role == ROLE_PRIMARY)
		return true;
	if (disk_of(core, vol) != DISK_UP_TO_DATE)
		return false;
	FOR_EACH_PEER(core, peer) {
		const struct peer_device *pd = &peer->pd[vol->v];
		bool equal = is_equal(core, vol, peer);

		if (equal && (core->st.peer[peer->id].role == ROLE_PRIMARY ||
			      (cluster_far_disks(core, vol) && knows_the_others(vol, pd))))
			return true;
		all &= equal || !peer->conf->has_disk[vol->v];
	}
	return all;
}

/* What is here is what has been used all the time. */
static bool is_compared(const struct core *core, const struct volume *vol)
{
	if (crash_is_over(core, vol))
		return true;
	if (disk_of(core, vol) != DISK_UP_TO_DATE)
		return false;
	FOR_EACH_PEER(core, peer) {
		const struct peer_device *pd = &peer->pd[vol->v];

		if (is_equal(core, vol, peer) && pd->uuids_valid &&
		    pd->uuids.flags & UUID_FLAG_WENT_ON)
			return true;
		if (core->st.peer[peer->id].role == ROLE_PRIMARY &&
		    repl_is_settled(repl_of(core, pd)))
			return true;
	}
	return false;
}

void uuid_settle_crash(struct core *core, struct volume *vol)
{
	if (vol->just_attached && is_compared(core, vol))
		vol->just_attached = false;
	if ((!vol->crashed_primary && !vol->lagged) || !crash_is_over(core, vol))
		return;
	vol->crashed_primary = vol->lagged = false;
	if (!vol_has_md(vol))
		return;
	/* Who has no disk, or does not see all, does not see otherwise that there is nothing to
	 * wait for any more. */
	FOR_EACH_PEER(core, peer) {
		const struct peer_device *pd = &peer->pd[vol->v];
		bool asks = pdsk_of(core, pd) == DISK_DISKLESS ||
			    (pd->uuids_valid && pd->uuids.flags & UUID_FLAG_SEES_NOT_ALL);

		if (repl_of(core, pd) >= REPL_ESTABLISHED && asks &&
		    pd->sent.flags & UUID_FLAG_CRASHED_PRIMARY)
			uuid_send(core, peer, vol->v, 0, 0);
	}
	if (core->st.role != ROLE_PRIMARY)
		vol->md.flags &= ~MDF_CRASHED_PRIMARY;
	md_dirty(core, vol);
}

/* A peer that comes back must hear, without a write, of what a lost one may have. */
static bool bump_is_due(const struct core *core)
{
	bool busy = false;

	/*
	 * Another Primary goes on with the generation that it is told. What a disk that has failed
	 * had not flushed may be gone from it, and has been answered: it is not what peers have.
	 * What cannot get one does not let the others go on alone.
	 */
	FOR_EACH_VOLUME(core, vol)
		busy |= vol->new_uuid_wanted && state_data_accessible(core, &core->st, vol->v) &&
			(vol->lost_uuids || vol->new_uuid_owed ||
			 !request_volume_idle(core, vol) ||
			 request_volume_logged(core, vol) || cluster_other_primary(core) ||
			 (disk_of(core, vol) <= DISK_FAILED && !local_flush_is_clean(vol)));
	return busy;
}

void uuid_bump_for_writes(struct core *core)
{
	if (bump_is_due(core))
		uuid_bump_if_wanted(core);
}

/* Some of what it has answered may have been on its way to us; by protocol B it has arrived. */
static bool lost_async_primary(const struct core *core, const struct state *old,
			       const struct volume *vol)
{
	FOR_EACH_PEER(core, peer) {
		const struct peer_device *pd = &peer->pd[vol->v];

		if (old->peer[peer->id].role == ROLE_PRIMARY && !peer_connected(core, peer) &&
		    old->pd[peer->id][vol->v].repl >= REPL_ESTABLISHED &&
		    peer->conf->net.protocol == PROTOCOL_A && pdsk_of(core, pd) == DISK_UNKNOWN)
			return true;
	}
	return false;
}

/*
 * Behind protocol A or B a peer that is lost may lack what was answered. The others have to agree
 * first that it is lost; by then there may be no write under way that would show it.
 */
static void note_answered_without(const struct core *core, const struct state *old,
				  struct volume *vol)
{
	FOR_EACH_PEER(core, peer)
		vol->new_uuid_owed |= core->st.role == ROLE_PRIMARY &&
				      old->pd[peer->id][vol->v].repl >= REPL_ESTABLISHED &&
				      repl_of(core, &peer->pd[vol->v]) < REPL_ESTABLISHED &&
				      request_answered_without(core, vol, peer->id);
}

void uuid_state_changed(struct core *core, const struct state *old)
{
	FOR_EACH_VOLUME(core, vol) {
		/* A generation that did not get onto the disk before
		 * it failed: a new one is made without it. */
		if (disk_of(core, vol) <= DISK_FAILED && vol->bump_seq)
			uuid_announce_pending(core, vol);
		vol->lagged |= lost_async_primary(core, old, vol);
		uuid_settle_crash(core, vol);
		if (needs_new_generation(core, old, vol))
			vol->new_uuid_wanted = true;
		note_given_away(core, old, vol);
		if (core->st.role != ROLE_PRIMARY) {
			vol->new_uuid_wanted = vol->new_uuid_owed = false;
			vol->absent_forgotten = false;
			/* The superblock on disk may keep the mark. */
			if (old->role == ROLE_PRIMARY)
				vol->md.current_uuid &= ~UUID_PRIMARY;
		}
		two_primaries_parted(core, old, vol);
		uuid_disk_lost(core, old, vol);
		note_answered_without(core, old, vol);
		uuid_note_lagging(core, old, vol);
		uuid_peers_lost(core, vol);
		uuid_take_back_exposed(core, vol);
		vol->awaits_disk &= core->st.role == ROLE_PRIMARY;
		lost_source_state_changed(core, old, vol);
		uuid_update_exposed(core, vol);
		tell_stable(core, vol);
		tell_in_sync(core, old, vol);
	}
	/* The peers take it over from a Primary only: at a promotion they hear of that first. */
	if (old->role == core->st.role)
		uuid_bump_for_writes(core);
	else
		core->resync_wants_uuid |= bump_is_due(core);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Data generations of the own disk: history, rotation, new
 * generations, what peers are told (states-and-resync 1). */
#include "core/uuid.h"

#include <errno.h>
#include <string.h>

#include "core/cluster.h"
#include "core/core_hooks.h"
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
	value &= ~UUID_PRIMARY;
	if (core->st.role == ROLE_PRIMARY)
		value |= UUID_PRIMARY;
	vol->md.current_uuid = value;
	core_work(core, WORK_SYNC);
}

static uint64_t random_uuid(struct core *core)
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
		prev = random_uuid(core);
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

/* A disk out of sight that is behind by its reference,
 * but may have caught up when nobody could tell us. */
static bool may_be_shared(const struct core *core, const struct volume *vol)
{
	if (!vol->uuid_given_away)
		return false;
	for (unsigned n = 0; n < NODES_MAX; n++) {
		const struct peer *peer = core->peer[n];

		if (vol->md.peers[n].bitmap_uuid && vol->md.peers[n].bitmap_index >= 0 &&
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

	always |= may_be_shared(core, vol);
	if (!uuid_rotate(core, vol, rotate_weak, request_own_dagtag(core)) && !day_0 && !always)
		return;
	uuid_set_current(core, vol, random_uuid(core));
	/* Where no reference has it, the history keeps it; the
	 * first generation always: all others come from it. */
	if (day_0 || always || !vol->md.history[0])
		uuid_push_history(vol, old, NODES_MAX);
	vol->uuid_given_away = false;
	vol->exposed_uuid = vol->md.current_uuid;
	vol->bump_weak = cluster_weak_nodes(core, vol->v);
	vol->bump_flags = flags;
	vol->bump_seq = md_sync(core, vol);
	core_log(core, LOG_LEVEL_INFO, "%s/%u: new data generation %016llX", core->conf.name,
		 vol->vnr, (unsigned long long)vol->md.current_uuid);
}

/* Some configured disk does not take part in what is written from now on. */
static bool somebody_is_missing(const struct core *core, const struct volume *vol)
{
	bool missing = vol->conf->disk.has_disk;

	FOR_EACH_PEER(core, peer) {
		enum disk_state pdsk = pdsk_of(core, &peer->pd[vol->v]);

		/* It makes one itself when nobody else has the data. */
		if (peer_connected(core, peer) && peer_is_drbd8(peer))
			return false;
		missing |= peer->conf->has_disk[vol->v] && pdsk != DISK_UP_TO_DATE &&
			   repl_of(core, &peer->pd[vol->v]) < REPL_WF_BITMAP_S;
	}
	return missing;
}

static void send_current(struct core *core, struct peer *peer, unsigned v)
{
	struct volume *vol = core->vol[v];
	struct pkt pkt = { .type = P_CURRENT_UUID, .vnr = vol->vnr };

	pkt.u.current_uuid.uuid = vol->exposed_uuid;
	pkt.u.current_uuid.weak_nodes = cluster_weak_nodes(core, v);
	core_send(core, peer, STREAM_DATA, &pkt);
}

/* Without a good disk of our own the generation lives on the peers' disks (1.13). */
static void bump_diskless(struct core *core, struct volume *vol)
{
	uint64_t not_good = 0;

	if (!somebody_is_missing(core, vol))
		return;
	vol->exposed_uuid = random_uuid(core) | UUID_PRIMARY;
	vol->awaits_disk = true;
	request_new_epoch(core);
	FOR_EACH_PEER(core, peer) {
		if (pdsk_of(core, &peer->pd[vol->v]) != DISK_UP_TO_DATE)
			not_good |= node_bit(peer->id);
		if (peer_connected(core, peer) &&
		    repl_of(core, &peer->pd[vol->v]) >= REPL_ESTABLISHED)
			send_current(core, peer, vol->v);
	}
	finish_promised(core, vol, core->self, vol->exposed_uuid, not_good);
}

bool uuid_bump_running(const struct core *core)
{
	FOR_EACH_VOLUME(core, vol) {
		if (vol_has_md(vol) && vol->bump_seq && disk_of(core, vol) > DISK_FAILED)
			return true;
	}
	return false;
}

bool uuid_peer_follows(const struct peer_device *pd, const struct volume *vol)
{
	return pd->uuids_valid && uuid_eq(pd->uuids.current, vol->exposed_uuid) &&
	       !(pd->uuids.flags & UUID_FLAG_NOT_DURABLE);
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
		if (volume_may_lead(core, vol)) {
			wait = true;
			continue;
		}
		vol->new_uuid_wanted = false;
		if (vol_has_md(vol) && disk_of(core, vol) == DISK_UP_TO_DATE)
			bump_disk(core, vol, 0, false, UUID_FLAG_NEW_DATAGEN);
		else
			bump_diskless(core, vol);
	}
	return wait || uuid_bump_running(core);
}

bool uuid_adopting(const struct core *core)
{
	FOR_EACH_VOLUME(core, vol) {
		if (vol_has_md(vol) && vol->adopt_seq && disk_of(core, vol) > DISK_FAILED)
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
	vol->bump_seq = 0;
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
	uuid_set_current(core, vol, random_uuid(core));
	uuid_push_history(vol, old, NODES_MAX);
	md_sync(core, vol);
	if (clear_bitmap)
		declare_equal(core, vol);
	return SS_SUCCESS;
}

/* ---- attach ---- */

int uuid_attach(struct core *core, struct volume *vol, const char **reason)
{
	uint64_t guarded = 0;
	bool lost_log = vol->md.flags & MDF_CRASHED_PRIMARY && vol->md.flags & MDF_AL_DISABLED &&
			vol->md.flags & MDF_PRIMARY_IND;

	if (!vol->md.current_uuid)
		vol->md.current_uuid = UUID_JUST_CREATED;
	FOR_EACH_PEER(core, peer) {
		if (peer->conf->has_disk[vol->v] && bitmap_alloc_slot(vol, peer->id)) {
			*reason = "no free bitmap slot for a configured peer: forget a peer, or "
				  "create the metadata with more slots";
			return -ENOSPC;
		}
	}
	if (!uuid_eq(vol->md.current_uuid, UUID_JUST_CREATED))
		uuid_set_current(core, vol, vol->md.current_uuid);
	vol->crashed_primary = vol->md.flags & MDF_CRASHED_PRIMARY;
	vol->bump_seq = vol->adopt_seq = 0;
	vol->md_mark_seq = 0;
	vol->uuid_given_away = false;
	for (unsigned n = 0; n < NODES_MAX; n++) {
		/* A resync to it may have ended since that reference was made. */
		vol->uuid_given_away |= vol->md.peers[n].bitmap_uuid != 0;
		if (vol->md.peers[n].flags & MDF_PEER_FULL_SYNC)
			guarded |= node_bit(n);
	}
	if (guarded || lost_log)
		bitmap_set_all(core, vol, guarded, lost_log);
	md_dirty(core, vol);
	return 0;
}

/* ---- telling the peers ---- */

struct peer_device *uuid_sync_source(const struct core *core, const struct volume *vol,
				     unsigned but)
{
	struct peer_device *found = NULL;

	FOR_EACH_PEER(core, peer) {
		struct peer_device *pd = &peer->pd[vol->v];
		enum repl_state repl = repl_of(core, pd);

		if (peer->id == but || pd->rs.released)
			continue;
		if (repl == REPL_SYNC_TARGET)
			return pd;
		if (repl == REPL_PAUSED_SYNC_T && !found)
			found = pd;
	}
	return found;
}

/* Primaries whose writes reach us. */
static uint64_t authoritative_nodes(const struct core *core, unsigned v)
{
	uint64_t nodes = 0;

	FOR_EACH_PEER(core, peer) {
		if (core->st.peer[peer->id].role == ROLE_PRIMARY &&
		    repl_of(core, &peer->pd[v]) >= REPL_ESTABLISHED)
			nodes |= node_bit(peer->id);
	}
	return nodes;
}

static enum disk_state effective_disk(const struct core *core, const struct volume *vol)
{
	enum disk_state disk = disk_of(core, vol);

	return disk == DISK_NEGOTIATING ? volume_disk_from_md(vol) : disk;
}

/* The resync is done and its generation adopted; the state follows in this step. */
static bool resync_finishing(const struct core *core, const struct volume *vol)
{
	FOR_EACH_PEER(core, source) {
		const struct peer_device *pd = &source->pd[vol->v];

		if (repl_of(core, pd) == REPL_SYNC_TARGET && pd->rs.finish_seq)
			return true;
	}
	return false;
}

/*
 * Another good disk is here: together we are what goes on, and a Primary that comes back from a
 * crash has to follow, also if only the other one has seen it before.
 */
static bool in_live_group(const struct core *core, const struct peer *but, const struct volume *vol)
{
	if (vol->crashed_primary || disk_of(core, vol) != DISK_UP_TO_DATE)
		return false;
	FOR_EACH_PEER(core, peer) {
		const struct peer_device *pd = &peer->pd[vol->v];

		if (peer != but && repl_is_settled(repl_of(core, pd)) &&
		    pdsk_of(core, pd) == DISK_UP_TO_DATE && pd->uuids_valid &&
		    uuid_eq(pd->uuids.current, vol->md.current_uuid))
			return true;
	}
	return false;
}

static uint64_t own_flags(const struct core *core, const struct peer *peer,
			  const struct volume *vol)
{
	uint64_t flags = UUID_FLAG_KEEPS_BITS;

	if (peer->discard_my_data)
		flags |= UUID_FLAG_DISCARD_MY_DATA;
	if (vol->crashed_primary)
		flags |= UUID_FLAG_CRASHED_PRIMARY;
	if (effective_disk(core, vol) == DISK_INCONSISTENT && !resync_finishing(core, vol))
		flags |= UUID_FLAG_INCONSISTENT;
	if (vol->adopt_seq)
		flags |= UUID_FLAG_NOT_DURABLE;
	if (state_is_stable(core, &core->st))
		flags |= UUID_FLAG_STABLE;
	/* What a crash has left was not compared with anything
	 * yet, also if the node was connected without it. */
	if ((peer->was_connected && !vol->crashed_primary) || in_live_group(core, peer, vol))
		flags |= UUID_FLAG_RECONNECT;
	return flags;
}

/* Entries by node id: those with a slot or known to exist, the own one (0), one day-0 entry. */
static void fill_bitmap_uuids(const struct core *core, const struct volume *vol,
			      struct pkt_uuids *out)
{
	unsigned day_0 = NODES_MAX;

	for (unsigned n = 0; n < NODES_MAX; n++) {
		const struct md_peer *mp = &vol->md.peers[n];

		out->bitmap[n] = UUID_UNKNOWN;
		if (n == core->self || mp->bitmap_index >= 0 || mp->flags & MDF_PEER_NODE_EXISTS) {
			out->bitmap[n] = n == core->self ? 0 : mp->bitmap_uuid;
			out->bitmap_mask |= node_bit(n);
		} else if (mp->bitmap_uuid && day_0 == NODES_MAX) {
			day_0 = n;
		}
	}
	if (day_0 < NODES_MAX && vol->bm.free_slots) {
		out->bitmap[day_0] = vol->md.peers[day_0].bitmap_uuid;
		out->bitmap_mask |= node_bit(day_0);
		out->flags |= UUID_FLAG_HAS_UNALLOC | (uint64_t)day_0 << UUID_FLAG_UNALLOC_SHIFT;
	}
	FOR_EACH_PEER(core, source) {
		const struct peer_device *pd = &source->pd[vol->v];

		if (resync_is_target(repl_of(core, pd)) && !pd->rs.released && pd->uuids_valid &&
		    pd->uuids.current && out->bitmap_mask & node_bit(source->id) &&
		    !uuid_eq(pd->uuids.current, vol->md.current_uuid))
			out->bitmap[source->id] = UUID_UNKNOWN;
	}
}

void uuid_fill(const struct core *core, const struct peer *peer, const struct volume *vol,
	       uint64_t flags, uint64_t node_mask, struct pkt_uuids *out)
{
	const struct peer_device *source = uuid_sync_source(core, vol, peer->id);

	memset(out, 0, sizeof(*out));
	out->current = vol->md.current_uuid;
	out->flags = own_flags(core, peer, vol) | flags;
	if (source && source->uuids_valid && source->uuids.current &&
	    !uuid_eq(source->uuids.current, vol->md.current_uuid)) {
		out->current = source->uuids.current;
		out->flags |= UUID_FLAG_SYNC_TARGET;
	}
	out->dirty_bits = bitmap_weight(vol, peer->id);
	if (!(out->flags & UUID_FLAG_STABLE))
		out->node_mask = authoritative_nodes(core, vol->v);
	else if (node_mask)
		out->node_mask = node_mask;
	else if (core->st.role == ROLE_PRIMARY)
		out->node_mask = cluster_weak_nodes(core, vol->v);
	fill_bitmap_uuids(core, vol, out);
	memcpy(out->history, vol->md.history, sizeof(out->history));
}

static void send_uuids(struct core *core, struct peer *peer, unsigned v, uint64_t flags,
		       uint64_t node_mask)
{
	struct volume *vol = core->vol[v];
	struct pkt pkt = { .type = P_UUIDS110, .vnr = vol->vnr };
	struct pkt_uuids *uuids;

	uuids = core_scratch(core, sizeof(*uuids));
	uuid_fill(core, peer, vol, flags, node_mask, uuids);
	peer->pd[v].sent = *uuids;
	peer->pd[v].sent_bitmap = vol->md.peers[peer->id].bitmap_uuid;
	peer->pd[v].sent_valid = true;
	pkt.u.uuids = uuids;
	core_send(core, peer, STREAM_DATA, &pkt);
}

void uuid_send(struct core *core, struct peer *peer, unsigned v, uint64_t flags, uint64_t node_mask)
{
	if (vol_has_md(core->vol[v]) && disk_of(core, core->vol[v]) >= DISK_NEGOTIATING) {
		send_uuids(core, peer, v, flags, node_mask);
		return;
	}
	peer->pd[v].sent_valid = false;
	peer->pd[v].sent.current = core->vol[v]->exposed_uuid;
	send_current(core, peer, v);
}

/*
 * The disk goes while its new generation was being written; it may come back with it or without.
 * Nothing was written in it, but the peers must know it before they hear of the next one. Only a
 * good disk may take it over: one that is about to end a resync would have a generation that no
 * good disk has.
 */
static void announce_pending(struct core *core, struct volume *vol)
{
	FOR_EACH_PEER(core, peer) {
		const struct peer_device *pd = &peer->pd[vol->v];

		if (vol_has_md(vol) && peer_connected(core, peer) &&
		    repl_of(core, pd) >= REPL_ESTABLISHED && pdsk_of(core, pd) == DISK_UP_TO_DATE)
			send_uuids(core, peer, vol->v, vol->bump_flags, vol->bump_weak);
	}
	vol->bump_seq = 0;
}

void uuid_send_all(struct core *core, unsigned v, uint64_t flags, uint64_t node_mask)
{
	FOR_EACH_PEER(core, peer) {
		if (peer_connected(core, peer) && repl_of(core, &peer->pd[v]) >= REPL_ESTABLISHED)
			uuid_send(core, peer, v, flags, node_mask);
	}
}

/* ---- after state changes ---- */

static bool usable(enum disk_state pdsk)
{
	return pdsk >= DISK_INCONSISTENT && pdsk != DISK_UNKNOWN && pdsk != DISK_OUTDATED;
}

/* The triggers of 1.6 that do not depend on quorum, fencing or Ahead. */
static bool needs_new_generation(const struct core *core, const struct state *old,
				 const struct volume *vol)
{
	unsigned v = vol->v;
	enum disk_state was = old->vol[v].disk, is = disk_of(core, vol);

	if (core->st.role != ROLE_PRIMARY)
		return false;
	if (old->role != ROLE_PRIMARY)
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

/*
 * A sync target that is lost may have finished in the same moment and be as good as we were then;
 * its reference still says what it had before.
 */
static bool lost_target(const struct core *core, const struct state *old, const struct volume *vol)
{
	FOR_EACH_PEER(core, peer) {
		if (resync_is_source(old->pd[peer->id][vol->v].repl) &&
		    repl_of(core, &peer->pd[vol->v]) < REPL_ESTABLISHED)
			return true;
	}
	return false;
}

static void update_exposed(struct core *core, struct volume *vol)
{
	if (vol_has_md(vol) && disk_of(core, vol) >= DISK_CONSISTENT) {
		if (!uuid_eq(vol->md.current_uuid, UUID_JUST_CREATED))
			vol->exposed_uuid = vol->md.current_uuid;
		return;
	}
	if (core->st.role == ROLE_PRIMARY)
		return;
	FOR_EACH_PEER(core, peer) {
		const struct peer_device *pd = &peer->pd[vol->v];

		if (pdsk_of(core, pd) == DISK_UP_TO_DATE && repl_of(core, pd) >= REPL_ESTABLISHED &&
		    pd->uuids_valid && !uuid_eq(pd->uuids.current, UUID_JUST_CREATED))
			vol->exposed_uuid = pd->uuids.current;
	}
}

/* Peers must know whether what we have is being changed behind their back. */
static void tell_stable(struct core *core, struct volume *vol)
{
	bool stable = state_is_stable(core, &core->st);
	uint64_t authoritative = authoritative_nodes(core, vol->v);
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

/* Nobody is left who could know more than a Primary that
 * crashed; or what is here counts again: a Primary goes on with it. */
static bool crash_is_over(const struct core *core, const struct volume *vol)
{
	if (core->st.role == ROLE_PRIMARY)
		return true;
	if (disk_of(core, vol) != DISK_UP_TO_DATE)
		return false;
	FOR_EACH_PEER(core, peer) {
		const struct peer_device *pd = &peer->pd[vol->v];

		if (core->st.peer[peer->id].role == ROLE_PRIMARY &&
		    repl_is_settled(repl_of(core, pd)) &&
		    pdsk_of(core, pd) == DISK_UP_TO_DATE && !bitmap_weight(vol, peer->id))
			return true;
	}
	FOR_EACH_PEER(core, peer) {
		const struct peer_device *pd = &peer->pd[vol->v];

		if (peer->conf->has_disk[vol->v] &&
		    (!repl_is_settled(repl_of(core, pd)) ||
		     pdsk_of(core, pd) != DISK_UP_TO_DATE || bitmap_weight(vol, peer->id)))
			return false;
	}
	return true;
}

void uuid_state_changed(struct core *core, const struct state *old)
{
	bool busy = false;

	FOR_EACH_VOLUME(core, vol) {
		/* A generation that did not get onto the disk before
		 * it failed: a new one is made without it. */
		if (disk_of(core, vol) <= DISK_FAILED && vol->bump_seq)
			announce_pending(core, vol);
		if (vol->crashed_primary && crash_is_over(core, vol)) {
			vol->crashed_primary = false;
			if (vol_has_md(vol))
				md_dirty(core, vol);
		}
		if (needs_new_generation(core, old, vol))
			vol->new_uuid_wanted = true;
		if (lost_target(core, old, vol))
			vol->new_uuid_wanted = vol->uuid_given_away = true;
		if (core->st.role != ROLE_PRIMARY) {
			vol->new_uuid_wanted = vol->absent_forgotten = vol->awaits_disk = false;
			/* The superblock on disk may keep the mark. */
			if (old->role == ROLE_PRIMARY)
				vol->md.current_uuid &= ~UUID_PRIMARY;
		}
		update_exposed(core, vol);
		tell_stable(core, vol);
		tell_in_sync(core, old, vol);
		busy |= vol->new_uuid_wanted && !request_volume_idle(core, vol);
	}
	/* Writes under way complete without a lost peer:
	 * their generation must differ from its own. */
	if (busy)
		uuid_bump_if_wanted(core);
}

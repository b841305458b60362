/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Generations that peers report: new ones to adopt, ends of
 * resyncs, third nodes (states-and-resync 1.8, 1.11). */
#include "core/cluster.h"
#include "core/core_hooks.h"
#include "core/core_int.h"
#include "core/resync_int.h"
#include "core/state.h"

/* ---- which generations are ours ---- */

bool uuid_known(const struct volume *vol, uint64_t uuid)
{
	for (unsigned n = 0; n < NODES_MAX; n++)
		if (uuid_eq(uuid, vol->md.peers[n].bitmap_uuid))
			return true;
	for (unsigned i = 0; i < HISTORY_UUIDS; i++)
		if (uuid_eq(uuid, vol->md.history[i]))
			return true;
	return uuid_eq(uuid, vol->md.current_uuid);
}

bool uuid_is_among(const uint64_t *uuids, unsigned count, uint64_t uuid)
{
	for (unsigned i = 0; i < count; i++) {
		if (uuids[i] && uuids[i] != UUID_UNKNOWN && uuid_eq(uuids[i], uuid))
			return true;
	}
	return false;
}

bool uuid_comes_after(const struct pkt_uuids *its, uint64_t uuid)
{
	return uuid_is_among(its->bitmap, NODES_MAX, uuid) ||
	       uuid_is_among(its->history, HISTORY_UUIDS, uuid);
}

/* The generation that the peer has told last, 0 = not known. */
static uint64_t told_generation(const struct peer_device *pd)
{
	if (pd->current_uuid_rx)
		return pd->current_uuid_rx;
	return pd->uuids_valid && !(pd->uuids.flags & UUID_FLAG_SYNC_TARGET) ? pd->uuids.current :
										0;
}

/*
 * What the Primary goes on from is nothing that this disk ever had: a generation before the new one
 * did not get here, or was lost by a crash. The Primary may not know that.
 */
static bool missed_generation(const struct core *core, const struct volume *vol, uint64_t before)
{
	return before && !uuid_eq(before, UUID_JUST_CREATED) && core->st.role != ROLE_PRIMARY &&
	       !uuid_known(vol, before) && !uuid_sync_source(core, vol, NODES_MAX);
}

void uuid_told_given_away(struct core *core, struct volume *vol, const struct peer_device *pd)
{
	if (vol->uuid_given_away || !(pd->uuids.flags & UUID_FLAG_GIVEN_AWAY) ||
	    !uuid_eq(pd->uuids.current, vol->md.current_uuid))
		return;
	/* A target names its source's generation, and says this of its own. */
	if (pd->uuids.flags & UUID_FLAG_SYNC_TARGET)
		return;
	vol->uuid_given_away = true;
	if (core->st.role == ROLE_PRIMARY)
		vol->new_uuid_wanted = true;
}

/* ---- a new generation ---- */

static void remember_for_target(struct core *core, struct volume *vol, const struct peer *sender,
				uint64_t uuid, uint64_t weak)
{
	finish_promised(core, vol, sender->id, uuid, weak);
	FOR_EACH_PEER(core, other) {
		if (repl_is_settled(repl_of(core, &other->pd[vol->v])))
			uuid_send(core, other, vol->v, 0, 0);
	}
}

/* Absent for me, but with the Primary: that node has the same data as I at this moment. */
static void follow_strong_nodes(struct core *core, struct volume *vol, uint64_t uuid, uint64_t weak,
				unsigned sender)
{
	for (unsigned n = 0; n < NODES_MAX; n++) {
		struct md_peer *mp = &vol->md.peers[n];

		if (n == core->self || n == sender || weak & node_bit(n))
			continue;
		if (mp->bitmap_index < 0 || !mp->bitmap_uuid)
			continue;
		uuid_push_history(vol, mp->bitmap_uuid, n);
		mp->bitmap_uuid = uuid;
	}
}

static bool wants_to_know(const struct core *core, const struct peer_device *pd, bool rotated)
{
	enum repl_state repl = repl_of(core, pd);

	if (repl < REPL_ESTABLISHED)
		return false;
	return rotated || repl_is_settled(repl) || resync_is_source(repl) ||
	       repl == REPL_WF_BITMAP_S || pdsk_of(core, pd) == DISK_DISKLESS;
}

/* Connected to us, but not to the Primary: what it holds is old from now on. */
static void leave_behind(struct core *core, struct volume *vol, const struct peer *sender,
			 uint64_t weak)
{
	struct state *next = state_begin(core);

	FOR_EACH_PEER(core, other) {
		struct peer_device *pd = &other->pd[vol->v];
		enum disk_state *pdsk = &next->pd[other->id][vol->v].pdsk;

		if (other == sender || !(weak & node_bit(other->id)) ||
		    !repl_is_settled(repl_of(core, pd)) || *pdsk <= DISK_OUTDATED)
			continue;
		pd->left_behind = true;
		*pdsk = DISK_OUTDATED;
	}
	state_end(core, STATE_HARD);
}

/* 1.8: the Primary's generation, or that of a diskless one. */
static void adopt_new_current(struct core *core, struct volume *vol, struct peer *sender,
			      uint64_t uuid, uint64_t weak)
{
	uint64_t old = vol->md.current_uuid;
	uint64_t before[NODES_MAX];

	if (uuid_eq(old, uuid))
		return;
	for (unsigned n = 0; n < NODES_MAX; n++)
		before[n] = vol->md.peers[n].bitmap_uuid;
	uuid_adopt_begin(core, vol);
	uuid_rotate(core, vol, weak, peer_rx_dagtag(sender));
	follow_strong_nodes(core, vol, uuid, weak, sender->id);
	uuid_put_current(core, vol, uuid);
	uuid_push_history(vol, old, NODES_MAX);
	vol->exposed_uuid = vol->md.current_uuid;
	uuid_adopt_sync(core, vol);
	FOR_EACH_PEER(core, other) {
		const struct peer_device *pd = &other->pd[vol->v];
		bool rotated = before[other->id] != vol->md.peers[other->id].bitmap_uuid;

		if (wants_to_know(core, pd, rotated))
			uuid_send(core, other, vol->v, 0, 0);
	}
	leave_behind(core, vol, sender, weak);
}

static void new_current(struct core *core, struct volume *vol, struct peer *sender, uint64_t uuid,
			uint64_t weak)
{
	if (uuid_sync_source(core, vol, NODES_MAX)) {
		remember_for_target(core, vol, sender, uuid, weak);
		return;
	}
	/* Not part of the generation: the Primary keeps a reference towards this disk. */
	if (disk_of(core, vol) != DISK_UP_TO_DATE && disk_of(core, vol) != DISK_CONSISTENT)
		return;
	/* A packet that is late: what a resync has brought since came after it. */
	if (uuid_known(vol, uuid))
		return;
	adopt_new_current(core, vol, sender, uuid, weak);
}

/* ---- what a peer's entries tell ---- */

/*
 * What was written since this node is Primary, and what is, differs from what an absent node has,
 * which may have our generation. Once is enough: after that a peer that counts the node as equal is
 * mistaken.
 */
static void forget_absent(struct core *core, struct volume *vol, unsigned n)
{
	const struct peer *peer = core->peer[n];
	bool absent = !peer || repl_of(core, &peer->pd[vol->v]) < REPL_ESTABLISHED;

	if (core->st.role != ROLE_PRIMARY || !absent) {
		uuid_forget_bitmap_uuid(core, vol, n);
		return;
	}
	if (vol->absent_forgotten)
		return;
	vol->absent_forgotten = true;
	uuid_forget_bitmap_uuid(core, vol, n);
	vol->new_uuid_wanted = true;
	uuid_bump_if_wanted(core);
}

/*
 * A node that we were ahead of has caught up. A Primary that does not see it must know before it
 * writes on: its own reference is of a generation that the node has left behind.
 */
static void forget_caught_up(struct core *core, struct volume *vol, struct peer *peer)
{
	bool had = vol->md.peers[peer->id].bitmap_uuid != 0;

	uuid_forget_bitmap_uuid(core, vol, peer->id);
	FOR_EACH_PEER(core, other) {
		if (had && other != peer && core->st.peer[other->id].role == ROLE_PRIMARY &&
		    repl_is_settled(repl_of(core, &other->pd[vol->v])))
			uuid_send(core, other, vol->v, 0, 0);
	}
}

/*
 * The peer is at the same generation and has no reference towards a node any more: neither needs
 * we. Bits are not touched: they go by P_PEERS_IN_SYNC, block by block, which is ordered with peer
 * acks.
 */
static void references_settled(struct core *core, struct volume *vol, struct peer *peer)
{
	const struct pkt_uuids *uuids = &peer->pd[vol->v].uuids;

	if (uuids->flags & UUID_FLAG_SYNC_TARGET || uuid_sync_source(core, vol, NODES_MAX) ||
	    !uuid_eq(uuids->current, vol->md.current_uuid) || vol->bump_seq)
		return;
	if (disk_of(core, vol) < DISK_OUTDATED || uuids->flags & UUID_FLAG_INCONSISTENT)
		return;
	if (uuids->bitmap[core->self] == 0)
		forget_caught_up(core, vol, peer);
	for (unsigned n = 0; n < NODES_MAX; n++) {
		if (n == core->self || n == peer->id || !vol->md.peers[n].bitmap_uuid)
			continue;
		if (uuids->bitmap[n] != 0 || !(uuids->bitmap_mask & node_bit(n)))
			continue;
		if (core->peer[n] && repl_of(core, &core->peer[n]->pd[vol->v]) > REPL_ESTABLISHED)
			continue;
		forget_absent(core, vol, n);
	}
}

static void note_nodes(struct core *core, struct volume *vol, const struct pkt_uuids *uuids)
{
	unsigned day_0 = uuids->flags & UUID_FLAG_HAS_UNALLOC ?
				 (unsigned)(uuids->flags >> UUID_FLAG_UNALLOC_SHIFT) : NODES_MAX;

	for (unsigned n = 0; n < NODES_MAX; n++) {
		struct md_peer *mp = &vol->md.peers[n];

		if (n == day_0 || !(uuids->bitmap_mask & node_bit(n)) || mp->bitmap_index >= 0 ||
		    mp->flags & MDF_PEER_NODE_EXISTS)
			continue;
		mp->flags |= MDF_PEER_NODE_EXISTS;
		md_dirty(core, vol);
	}
}

/* new-current-uuid --clear-bitmap on the peer: both disks are declared equal. */
static void skip_initial_sync(struct core *core, struct volume *vol, struct peer *peer)
{
	struct state *next;

	core_log(core, LOG_LEVEL_NOTICE, "%s/%u %s: initial sync skipped at the peer's request",
		 core->conf.name, vol->vnr, peer->conf->name);
	for (unsigned slot = 0; slot < vol->bm.slots; slot++)
		bitmap_clear_slot(core, vol, slot);
	for (unsigned n = 0; n < NODES_MAX; n++)
		vol->md.peers[n].bitmap_uuid = 0;
	/* The peer's word covers those that heard it too; others differ in everything. */
	FOR_EACH_PEER(core, other) {
		if (repl_of(core, &other->pd[vol->v]) < REPL_ESTABLISHED)
			bitmap_set(core, vol, bitmap_slots_of(vol, node_bit(other->id)), 0,
				   vol->size_sectors);
	}
	uuid_set_current(core, vol, peer->pd[vol->v].uuids.current);
	md_sync(core, vol);
	next = state_begin(core);
	next->vol[vol->v].disk = DISK_UP_TO_DATE;
	next->pd[peer->id][vol->v].pdsk = DISK_UP_TO_DATE;
	state_end(core, STATE_HARD);
	/* The peer, too: later decisions are made with what both have last sent. */
	FOR_EACH_PEER(core, other) {
		if (repl_of(core, &other->pd[vol->v]) >= REPL_ESTABLISHED)
			uuid_send(core, other, vol->v, 0, 0);
	}
}

/* H29: our source does not see the Primary's writes;
 * what it would send is older than what we get. */
static void leave_weak_source(struct core *core, struct volume *vol, const struct peer *primary,
			      uint64_t weak)
{
	struct state *next;
	uint64_t weak_sources = 0;

	if (core->st.peer[primary->id].role != ROLE_PRIMARY)
		return;
	FOR_EACH_PEER(core, source) {
		if (source != primary && weak & node_bit(source->id) &&
		    resync_is_target(repl_of(core, &source->pd[vol->v])))
			weak_sources |= node_bit(source->id);
	}
	if (!weak_sources)
		return;
	next = state_begin(core);
	FOR_EACH_PEER(core, source) {
		if (!(weak_sources & node_bit(source->id)))
			continue;
		source->pd[vol->v].rs.aborted = true;
		next->pd[source->id][vol->v].repl = REPL_ESTABLISHED;
	}
	state_end(core, STATE_HARD);
}

/* ---- packets ---- */

/* The peer follows a Primary that does not see us: our generation is its reference towards us. */
static bool am_left_behind(const struct core *core, const struct volume *vol,
			   const struct peer_device *pd)
{
	uint64_t reference = pd->uuids.bitmap[core->self];

	return repl_of(core, pd) == REPL_ESTABLISHED && core->st.role != ROLE_PRIMARY &&
	       disk_of(core, vol) >= DISK_CONSISTENT && pdsk_of(core, pd) >= DISK_CONSISTENT &&
	       reference && reference != UUID_UNKNOWN &&
	       uuid_eq(reference, vol->md.current_uuid) &&
	       !uuid_eq(pd->uuids.current, vol->md.current_uuid) &&
	       !uuid_sync_source(core, vol, NODES_MAX);
}

static void outdate(struct core *core, const struct volume *vol)
{
	struct state *next;

	if (disk_of(core, vol) <= DISK_OUTDATED)
		return;
	next = state_begin(core);
	next->vol[vol->v].disk = DISK_OUTDATED;
	state_end(core, STATE_HARD);
}

/* `behind`: the peer has gone on from what we have. */
static void decide_again(struct core *core, struct volume *vol, struct peer *peer, bool behind)
{
	struct peer_device *pd = &peer->pd[vol->v];

	if (resync_is_target(repl_of(core, pd)) || resync_is_source(repl_of(core, pd))) {
		pd->rs.again = true;
		return;
	}
	/* It decides with this once it sees our state change. */
	uuid_send(core, peer, vol->v, 0, 0);
	sync_propose(core, peer, vol);
	/* As long as that has to wait, nobody may take what we have for the latest. */
	if (behind || am_left_behind(core, vol, pd))
		outdate(core, vol);
	/* Or it asked because of an old picture of us. */
	if (repl_of(core, pd) == REPL_ESTABLISHED)
		peer_send_state(core, peer, vol->v);
}

void uuid_follow_if_behind(struct core *core, struct volume *vol, struct peer *peer)
{
	if (peer->pd[vol->v].uuids_valid && am_left_behind(core, vol, &peer->pd[vol->v]))
		decide_again(core, vol, peer, false);
}

static void uuids_while_connected(struct core *core, struct volume *vol, struct peer *peer,
				  uint64_t before)
{
	struct peer_device *pd = &peer->pd[vol->v];
	const struct pkt_uuids *uuids = &pd->uuids;
	bool stable_now = uuids->flags & UUID_FLAG_GOT_STABLE;
	uint64_t primary_weak = uuids->flags & UUID_FLAG_STABLE ? uuids->node_mask : 0;
	bool missed = uuids->flags & UUID_FLAG_NEW_DATAGEN &&
		      missed_generation(core, vol, before);

	finish_uuids_received(core, pd);
	/* What it has marked towards us may be what kept us from calling it in sync. */
	if (!uuids->dirty_bits && repl_of(core, pd) == REPL_ESTABLISHED)
		announce_all(core, vol);
	if (resync_is_target(repl_of(core, pd)) && resync_source_unstable(core, pd))
		pd->rs.unstable = true;
	if (uuids->flags & UUID_FLAG_SKIP_INITIAL_SYNC &&
	    repl_of(core, pd) == REPL_ESTABLISHED && disk_of(core, vol) >= DISK_INCONSISTENT &&
	    uuid_eq(vol->md.current_uuid, UUID_JUST_CREATED)) {
		skip_initial_sync(core, vol, peer);
		return;
	}
	/* Without us in it, it is one to resync to like any other. */
	if (uuids->flags & UUID_FLAG_NEW_DATAGEN && !missed &&
	    (!(uuids->node_mask & node_bit(core->self)) ||
	     uuid_sync_source(core, vol, NODES_MAX))) {
		new_current(core, vol, peer, uuids->current, uuids->node_mask);
		leave_weak_source(core, vol, peer, primary_weak);
		return;
	}
	references_settled(core, vol, peer);
	leave_weak_source(core, vol, peer, primary_weak);
	if (stable_now && repl_of(core, pd) == REPL_ESTABLISHED &&
	    state_is_stable(core, &core->st)) {
		if (reconcile_awaits(core, peer, vol))
			return;
		/* A target of another one would not take part in what it asks for, and the peer
		 * would begin alone, with all: what a target says it has is not its own. */
		uuid_send(core, peer, vol->v,
			  uuid_sync_source(core, vol, NODES_MAX) ? 0 : UUID_FLAG_RESYNC, 0);
		sync_propose(core, peer, vol);
	} else if (uuids->flags & UUID_FLAG_RESYNC || missed || am_left_behind(core, vol, pd)) {
		decide_again(core, vol, peer, missed);
	}
}

/* What follows for the states, besides states. */
static void reconsider(struct core *core)
{
	state_begin(core);
	state_end(core, STATE_HARD);
}

static void reconsider_quorum(struct core *core)
{
	if (core->conf.quorum != QUORUM_OFF)
		reconsider(core);
}

void rx_uuids(struct core *core, struct peer *peer, const struct pkt *pkt)
{
	struct volume *vol = core_volume_by_vnr(core, pkt->vnr);
	struct peer_device *pd;
	uint64_t before;

	if (!vol)
		return;
	pd = &peer->pd[vol->v];
	before = told_generation(pd);
	pd->uuids = *pkt->u.uuids;
	pd->uuids_valid = true;
	if (uuid_eq(pd->uuids.current, vol->md.current_uuid))
		pd->left_behind = false;
	pd->have_uuids = true;
	pd->current_uuid_rx = 0;
	/* It got onto a disk after all, which is Outdated as long as we show the one before. */
	if (!vol->awaits_disk && uuid_was_lost(vol, pd->uuids.current) &&
	    !(pd->uuids.flags & UUID_FLAG_NOT_DURABLE)) {
		vol->exposed_uuid = pd->uuids.current;
		vol->lost_uuids = 0;
		uuid_send_exposed(core, vol);
	}
	two_primaries_follow(core, vol, pd);
	if (uuid_peer_follows(pd, vol)) {
		/* Not yet where a Primary will make one after them. */
		if (vol->awaits_disk || core->st.role != ROLE_PRIMARY)
			vol->lost_uuids = 0;
		vol->awaits_disk = false;
	}
	/* Answers may wait for the peer to follow. */
	if (core->req.answers_held)
		core_work(core, WORK_REQUESTS);
	if (core->st.pd[peer->id][vol->v].untrusted)
		reconsider(core);
	if (!vol_has_md(vol)) {
		uuid_update_exposed(core, vol);
		core_work(core, WORK_SYNC);
		return;
	}
	note_nodes(core, vol, &pd->uuids);
	lost_source_judge(core, peer, vol);
	uuid_told_given_away(core, vol, pd);
	if (peer_connected(core, peer) && repl_of(core, pd) >= REPL_ESTABLISHED)
		uuids_while_connected(core, vol, peer, before);
	core_work(core, WORK_SYNC);
}

/*
 * A diskless node that had our generation has another now: somebody wrote without us. Not while a
 * transaction runs: it may be what makes the one that wrote a Primary in sight of us, and that one
 * tells us itself.
 */
static void moved_on(struct core *core, const struct volume *vol, struct peer_device *pd,
		     uint64_t was)
{
	uint64_t is = pd->current_uuid_rx;

	if (!is || !was || !uuid_eq(was, vol->md.current_uuid) || uuid_known(vol, is) ||
	    !state_is_stable(core, &core->st))
		return;
	if (core->twopc.phase == TWOPC_IDLE)
		outdate(core, vol);
	else
		pd->moved_from = was;
}

void uuid_twopc_over(struct core *core)
{
	bool any = false;

	FOR_EACH_VOLUME(core, vol) {
		FOR_EACH_PEER(core, peer) {
			struct peer_device *pd = &peer->pd[vol->v];
			uint64_t was = pd->moved_from;

			pd->moved_from = 0;
			if (!was || !vol_has_md(vol) || repl_of(core, pd) < REPL_ESTABLISHED)
				continue;
			any = true;
			moved_on(core, vol, pd, was);
		}
	}
	if (any)
		reconsider_quorum(core);
}

/* The generation of a Primary without a good disk: it lives on the disks that take part. */
static void new_diskless_current(struct core *core, struct volume *vol, struct peer *peer,
				 uint64_t uuid, uint64_t weak, uint64_t before)
{
	bool target = uuid_sync_source(core, vol, NODES_MAX) != NULL;
	bool left_out = weak & node_bit(core->self) || missed_generation(core, vol, before);

	if (!uuid || (disk_of(core, vol) != DISK_UP_TO_DATE && !target))
		return;
	if (left_out && !target && !uuid_eq(uuid, vol->md.current_uuid))
		outdate(core, vol);
	else
		new_current(core, vol, peer, uuid, weak | node_bit(peer->id));
	leave_weak_source(core, vol, peer, weak);
}

void rx_current_uuid(struct core *core, struct peer *peer, const struct pkt *pkt)
{
	struct volume *vol = core_volume_by_vnr(core, pkt->vnr);
	struct peer_device *pd;
	uint64_t was, before, is = pkt->u.current_uuid.uuid;

	if (!vol)
		return;
	pd = &peer->pd[vol->v];
	was = pd->current_uuid_rx;
	before = told_generation(pd);
	pd->current_uuid_rx = pd->shown_uuid = is;
	pd->have_uuids = true;
	/* A Primary that says so has just lost its disk, even if its state comes a moment later. */
	if (pdsk_of(core, pd) >= DISK_INCONSISTENT && pd->uuids_valid &&
	    peer_connected(core, peer) && core->st.peer[peer->id].role != ROLE_PRIMARY) {
		pd->uuids.current = is;
		return;
	}
	/* A Primary whose disk is a sync target makes generations like a diskless one. */
	if (pdsk_of(core, pd) != DISK_INCONSISTENT || !peer_connected(core, peer))
		pd->uuids_valid = false;
	if (!vol_has_md(vol) || !peer_connected(core, peer) ||
	    repl_of(core, pd) < REPL_ESTABLISHED)
		return;
	if (core->st.peer[peer->id].role != ROLE_PRIMARY) {
		moved_on(core, vol, pd, was);
		reconsider_quorum(core);
		return;
	}
	new_diskless_current(core, vol, peer, is, pkt->u.current_uuid.weak_nodes, before);
	reconsider_quorum(core);
}

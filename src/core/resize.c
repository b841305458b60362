/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A volume's way to another size on this node: metadata, bitmap, superblock, resync. */
#include "core/resize.h"

#include <errno.h>
#include <stdio.h>

#include "core/cluster.h"
#include "core/core_hooks.h"
#include "core/core_int.h"
#include "core/state.h"

/*
 * It has heard the COMMIT of what this node has only agreed to: it grew since. Where that comes
 * from is read on: a node without a disk may have the size of another one before.
 */
static bool is_ahead(const struct core *core, const struct peer *peer, const struct volume *vol)
{
	return twopc_may_resize(core, vol) && !(core->twopc.parents & node_bit(peer->id)) &&
	       peer->pd[vol->v].have_sizes &&
	       peer->pd[vol->v].sizes.c_sectors > vol->resize.peer_sectors[peer->id];
}

/* More slots do not change what the volume is to those that know it. */
static bool is_changing(const struct core *core, const struct peer *peer, const struct volume *vol)
{
	return vol->resize.phase != RESIZE_NONE &&
	       !(vol->resize.slots && peer_connected(core, peer));
}

bool resize_holds(const struct core *core, const struct peer *peer)
{
	FOR_EACH_VOLUME(core, vol) {
		if (is_changing(core, peer, vol) || is_ahead(core, peer, vol))
			return true;
	}
	return false;
}

static void ask_driver(struct core *core, struct volume *vol, bool move)
{
	struct core_action *action = core_act(core, AC_RESIZE);

	action->u.resize.vnr = vol->vnr;
	action->u.resize.move = move;
	action->u.resize.slots = move ? vol->resize.slots : 0;
	action->u.resize.sectors = vol->bm.sectors;
	vol->resize.busy = true;
	vol->resize.moving = move;
	/* It takes as long as there is to copy. */
	local_io_begin(core, vol, tag_make(TAG_RESIZE, vol->v), true, false);
}

void resize_remember(struct core *core, const struct twopc_change *change)
{
	struct volume *vol = change->kind == TWOPC_RESIZE ?
				     core_volume_by_vnr(core, change->vnr) : NULL;

	if (!vol)
		return;
	FOR_EACH_PEER(core, peer)
		vol->resize.peer_sectors[peer->id] = peer->pd[vol->v].sizes.c_sectors;
}

bool resize_measure(struct core *core, struct volume *vol)
{
	if (!vol || !vol_has_disk(core, vol))
		return false;
	vol->resize.reason[0] = '\0';
	if (!vol->resize.busy)
		ask_driver(core, vol, false);
	return true;
}

/* ---- after the last step ---- */

static void start_resync(struct core *core, struct peer_device *pd, bool source)
{
	struct state *next;

	/* Both were UpToDate when they agreed: here one may be the target of a third by now. */
	if (repl_of(core, pd) != REPL_ESTABLISHED || pdsk_of(core, pd) < DISK_INCONSISTENT ||
	    pdsk_of(core, pd) == DISK_UNKNOWN || disk_of(core, core->vol[pd->v]) <= DISK_FAILED)
		return;
	/* No exchange separates what it reported before from what it is going to report. */
	pd->begin_awaited = source;
	next = state_begin(core);
	next->pd[pd->p][pd->v].repl = source ? REPL_SYNC_SOURCE : REPL_SYNC_TARGET;
	state_end(core, STATE_HARD);
}

static void finish(struct core *core, struct volume *vol)
{
	struct resize *rz = &vol->resize;
	uint64_t sources = rz->sources, targets = rz->targets;

	rz->phase = RESIZE_NONE;
	rz->sources = rz->targets = 0;
	sizes_set(core, vol, rz->to_sectors, rz->agreed);
	/* At an attach the volume had that size before its disk. */
	bitmap_size_changed(core, vol);
	core_work(core, WORK_REQUESTS | WORK_COMMAND | WORK_TWOPC | WORK_SEND_STATE | WORK_SYNC);
	FOR_EACH_PEER(core, peer) {
		if ((sources | targets) & node_bit(peer->id))
			start_resync(core, &peer->pd[vol->v], targets & node_bit(peer->id));
	}
}

/* ---- the steps ---- */

static void name_size(struct core *core, struct volume *vol)
{
	struct resize *rz = &vol->resize;

	rz->phase = RESIZE_NAMES;
	vol->md.effective_sectors = rz->to_sectors;
	rz->seq = md_sync(core, vol);
}

static void mark(struct core *core, struct volume *vol)
{
	struct resize *rz = &vol->resize;
	uint64_t old = vol->md.effective_sectors;

	if (rz->to_sectors <= old) {
		name_size(core, vol);
		return;
	}
	rz->phase = RESIZE_MARKS;
	bitmap_grow(core, vol, rz->to_sectors, rz->clean);
	/* No write of a Primary is behind these bits: only a resync settles them. */
	FOR_EACH_PEER(core, peer)
		peer->pd[vol->v].fence.resync_marks |= !rz->clean;
	bitmap_write_range(core, vol, old, rz->to_sectors - old);
}

void resize_bitmap_durable(struct core *core, struct volume *vol)
{
	if (vol->resize.phase == RESIZE_MARKS)
		name_size(core, vol);
}

void resize_md_durable(struct core *core, struct volume *vol)
{
	if (vol->resize.phase == RESIZE_NAMES && vol->md_durable_seq >= vol->resize.seq)
		finish(core, vol);
}

void resize_bitmap_idle(struct core *core, struct volume *vol)
{
	if (vol->resize.phase == RESIZE_MOVES && !vol->resize.busy && !vol->bm.in_flight)
		ask_driver(core, vol, true);
}

static void begin(struct core *core, struct volume *vol, uint64_t sectors)
{
	struct resize *rz = &vol->resize;

	ASSERT(rz->phase == RESIZE_NONE);
	rz->to_sectors = sectors;
	core_log(core, LOG_LEVEL_INFO, "%s/%u: resize from %llu to %llu sectors", core->conf.name,
		 vol->vnr, (unsigned long long)vol->md.effective_sectors,
		 (unsigned long long)sectors);
	if (rz->possible_sectors <= vol->data_sectors) {
		mark(core, vol);
		return;
	}
	rz->phase = RESIZE_MOVES;
	resize_bitmap_idle(core, vol);
}

static void give_up(struct core *core, struct volume *vol)
{
	struct resize *rz = &vol->resize;

	core_log(core, LOG_LEVEL_ERR, "%s/%u: resize: %s", core->conf.name, vol->vnr, rz->reason);
	/* Moving for its own sake; else the others have a size that this disk cannot have. */
	if (rz->to_sectors <= vol->data_sectors) {
		mark(core, vol);
		return;
	}
	volume_io_error(core, vol, -ENOSPC, "resize");
}

/* Who is about to connect has heard that there was more room. */
static void tell_room(struct core *core)
{
	FOR_EACH_PEER(core, peer) {
		if (peer->streams_up && !peer_connected(core, peer))
			peer_fail(core, peer, CONN_NETWORK_FAILURE,
				  "the metadata here have become larger meanwhile");
	}
}

static void slots_added(struct core *core, struct volume *vol, bool error)
{
	struct resize *rz = &vol->resize;

	if (!error) {
		vol->md.max_peers = rz->slots;
		core_log(core, LOG_LEVEL_NOTICE, "%s/%u: the metadata have %u bitmap slots now",
			 core->conf.name, vol->vnr, rz->slots);
		tell_room(core);
	}
	rz->slots = 0;
	rz->phase = RESIZE_NONE;
	bitmap_resume(core, vol);
	core_work(core, WORK_REQUESTS | WORK_COMMAND | WORK_TWOPC | WORK_MD);
}

static void moved(struct core *core, struct volume *vol, const struct ev_resized *ev)
{
	struct resize *rz = &vol->resize;

	if (rz->phase != RESIZE_MOVES)
		return;
	if (!ev->error) {
		vol->data_sectors = ev->data_sectors;
		vol->md.md_size_sectors = ev->md_size_sectors;
		vol->md.al_offset_sectors = ev->al_offset_sectors;
		vol->md.bm_offset_sectors = ev->bm_offset_sectors;
		bitmap_moved(core, vol, &ev->bitmap, rz->slots ? rz->slots : vol->bm.slots);
	}
	if (rz->slots) {
		slots_added(core, vol, ev->error);
		return;
	}
	if (ev->error || vol->data_sectors < rz->to_sectors)
		give_up(core, vol);
	else
		mark(core, vol);
	bitmap_resume(core, vol);
}

static void driver_done(struct core *core, struct volume *vol, const struct ev_resized *ev)
{
	struct resize *rz = &vol->resize;

	ASSERT(rz->busy);
	rz->busy = false;
	core_work(core, WORK_COMMAND | WORK_PEERS);
	if (ev->error || ev->reason)
		snprintf(rz->reason, sizeof(rz->reason), "%s",
			 ev->reason ? ev->reason : "no memory for the bitmap");
	if (!vol_has_md(vol)) {
		rz->possible_sectors = 0;
	} else if (ev->moved) {
		moved(core, vol, ev);
		rz->possible_sectors = vol->data_sectors;
	} else {
		rz->possible_sectors = ev->error ? 0 : ev->data_sectors;
		resize_bitmap_idle(core, vol);
	}
	twopc_measured(core, resize_possible(vol));
}

void resize_driver_done(struct core *core, const struct ev_resized *ev)
{
	struct volume *vol = core_volume_by_vnr(core, ev->vnr);

	if (local_io_end(core, tag_make(TAG_RESIZE, vol->v)))
		driver_done(core, vol, ev);
}

void resize_hangs(struct core *core, struct volume *vol)
{
	struct ev_resized ev = { .vnr = vol->vnr, .moved = vol->resize.moving,
				 .error = -ETIMEDOUT, .reason = "the disk does not answer" };

	driver_done(core, vol, &ev);
}

void resize_disk_gone(struct core *core, struct volume *vol)
{
	struct resize *rz = &vol->resize;

	rz->possible_sectors = 0;
	if (rz->phase == RESIZE_NONE)
		return;
	rz->phase = RESIZE_NONE;
	if (!rz->slots)
		sizes_set(core, vol, rz->to_sectors, rz->agreed);
	rz->slots = 0;
	core_work(core, WORK_COMMAND);
}

void resize_peer_lost(struct core *core, const struct peer *peer)
{
	FOR_EACH_VOLUME(core, vol) {
		vol->resize.sources &= ~node_bit(peer->id);
		vol->resize.targets &= ~node_bit(peer->id);
	}
}

void resize_add_slots(struct core *core, struct volume *vol, uint32_t slots)
{
	struct resize *rz = &vol->resize;

	ASSERT(rz->phase == RESIZE_NONE && !rz->busy && slots > vol->bm.slots);
	rz->reason[0] = '\0';
	rz->slots = slots;
	rz->phase = RESIZE_MOVES;
	resize_bitmap_idle(core, vol);
}

void resize_follow(struct core *core, struct volume *vol, uint64_t sectors)
{
	if (vol->resize.phase != RESIZE_NONE)
		return;
	vol->resize.clean = vol->resize.agreed = false;
	begin(core, vol, sectors);
}

/* ---- what was agreed ---- */

/*
 * 7.1: from the Primary, of two from the lower node id; without one, from the initiator on. Who has
 * that size already, from a handshake, resyncs with those who get it now.
 */
static void choose_sources(struct core *core, struct volume *vol, const struct twopc_change *change)
{
	const struct twopc *tp = &core->twopc;
	bool mine = tp->primary & node_bit(core->self), grows = tp->new_sectors > vol->size_sectors;

	FOR_EACH_PEER(core, peer) {
		bool its = tp->primary & node_bit(peer->id), source, target;

		if (!grows && vol->resize.peer_sectors[peer->id] >= tp->new_sectors)
			continue;
		if (tp->primary) {
			source = mine && (!its || core->self < peer->id);
			target = its && !source;
		} else {
			target = change->initiator != core->self &&
				 tp->parents & node_bit(peer->id);
			source = !target && tp->asked & node_bit(peer->id);
		}
		if (target)
			vol->resize.sources |= node_bit(peer->id);
		if (source)
			vol->resize.targets |= node_bit(peer->id);
	}
}

void resize_commit(struct core *core, const struct twopc_change *change)
{
	struct volume *vol = core_volume_by_vnr(core, change->vnr);
	uint64_t sectors = core->twopc.new_sectors;
	bool clean = change->dds_flags & DDS_NO_RESYNC;

	if (!vol)
		return;
	vol->resize.agreed_sectors = sectors;
	vol->resize.user_sectors = whole_blocks(change->user_sectors);
	FOR_EACH_PEER(core, peer) {
		struct pkt_sizes *its = &peer->pd[vol->v].sizes;

		if (!peer_connected(core, peer) || !its->c_sectors)
			continue;
		its->c_sectors = sectors;
		its->u_sectors = vol->resize.user_sectors;
		if (its->d_sectors && its->d_sectors < sectors)
			its->d_sectors = sectors;
		peer->pd[vol->v].sectors_sent = sectors;
	}
	vol->resize.sources = vol->resize.targets = 0;
	if (!vol_has_disk(core, vol)) {
		sizes_set(core, vol, sectors, true);
		return;
	}
	if (sectors >= vol->size_sectors && !clean)
		choose_sources(core, vol, change);
	if (sectors == vol->size_sectors && !(vol->resize.sources | vol->resize.targets))
		return;
	vol->resize.clean = clean;
	vol->resize.agreed = true;
	begin(core, vol, sectors);
}

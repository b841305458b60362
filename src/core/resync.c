/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Life of a resync: what entering and leaving the replication
 * states does; requests both sides share (5.1). */
#include "core/resync.h"

#include <string.h>

#include "base/bits.h"
#include "core/bitmap_io.h"
#include "core/cluster.h"
#include "core/core_hooks.h"
#include "core/drbd8.h"
#include "core/resync_int.h"
#include "core/state.h"

/* ---- memory ---- */

size_t sync_mem_bytes(void)
{
	return core_rounded(RS_TARGET_REQUESTS * sizeof(struct rs_request)) +
	       core_rounded(RS_SOURCE_REQUESTS * sizeof(struct rs_request)) +
	       core_rounded(BM_GRANULES_MAX) + 2 * core_rounded(BM_GRANULES_MAX / 8);
}

static void pool_create(struct core *core, struct rs_pool *pool, uint32_t max)
{
	if (!pool->items)
		pool->items = core_arena_untouched(core, max * sizeof(*pool->items));
	pool->max = max;
	list_init(&pool->free);
}

void sync_volume_create(struct core *core, struct volume *vol)
{
	struct rs_volume *rs = &vol->rs;

	pool_create(core, &rs->target, RS_TARGET_REQUESTS);
	pool_create(core, &rs->source, RS_SOURCE_REQUESTS);
	list_init(&rs->asked);
	list_init(&rs->replied);
	list_init(&rs->marking);
	list_init(&rs->written);
	list_init(&rs->settling);
	list_init(&rs->wait_dagtag);
	list_init(&rs->wait_window);
	list_init(&rs->said_same);
	list_init(&rs->serving);
	list_init(&rs->ov_asked);
	list_init(&rs->ov_again);
	range_map_init(&rs->target_map);
	range_map_init(&rs->source_map);
	rs->announce_at_ns = NEVER_NS;
	if (!vol->bm.state) {
		vol->bm.state = core_arena(core, BM_GRANULES_MAX);
		vol->bm.dirty = core_arena(core, BM_GRANULES_MAX / 8);
		vol->bm.want = core_arena(core, BM_GRANULES_MAX / 8);
	}
	vol->md_write_at_ns = NEVER_NS;
	vol->was_stable = true;
}

void sync_create(struct core *core)
{
	core->reconcile.lost = NODES_MAX;
	for (unsigned n = 0; n < NODES_MAX; n++)
		core->reconcile.sent_node[n] = NODES_MAX;
}

/* ---- requests ---- */

/* One more than were ever in use at once. */
static struct rs_request *make(struct rs_pool *pool, uint8_t v)
{
	struct rs_request *rq;

	if (pool->made == pool->max)
		return NULL;
	rq = &pool->items[pool->made];
	memset(rq, 0, sizeof(*rq));
	rq->index = pool->made++;
	rq->v = v;
	hold_init(&rq->hold, HOLD_RS_READ, 0, 0, NULL);
	list_init(&rq->watch.link);
	list_init(&rq->link);
	return rq;
}

static struct rs_request *take(struct rs_pool *pool, const struct volume *vol,
			       struct range_map *map, uint64_t sector, uint32_t bytes)
{
	struct list *entry = list_first(&pool->free);
	struct rs_request *rq;

	if (entry) {
		list_del(entry);
		rq = LIST_ENTRY(entry, struct rs_request, link);
	} else {
		rq = make(pool, vol->v);
		if (!rq)
			return NULL;
	}
	rq->sector = sector;
	rq->bytes = bytes;
	rq->superseded = rq->overwritten = rq->dirtied = rq->failed = rq->orphan = false;
	rq->zeroes = false;
	rq->kind = RS_DATA;
	rq->tries = 0;
	rq->digest_bytes = 0;
	rq->dagtag_node = NODES_MAX;
	rq->dagtag = 0;
	rq->payload = (struct payload){ .id = 0 };
	rq->watch.sector = sector;
	rq->watch.sectors = bytes / SECTOR_BYTES;
	range_map_insert(map, &rq->watch);
	return rq;
}

static void give_back(struct core *core, struct volume *vol, struct rs_request *rq,
		      struct range_map *map, struct rs_pool *pool)
{
	hold_release(core, vol, &rq->hold);
	core_payload_put(core, &rq->payload);
	range_map_remove(map, &rq->watch);
	list_del(&rq->link);
	rq->state = RS_FREE;
	list_push_back(&pool->free, &rq->link);
}

struct rs_request *rs_target_get(struct volume *vol, uint64_t sector, uint32_t bytes)
{
	struct rs_request *rq = take(&vol->rs.target, vol, &vol->rs.target_map, sector,
				     bytes);

	if (rq)
		vol->rs.target_count++;
	return rq;
}

struct rs_request *rs_source_get(struct volume *vol, uint64_t sector, uint32_t bytes,
				 enum rs_kind kind)
{
	struct rs_request *rq = take(&vol->rs.source, vol, &vol->rs.source_map, sector,
				     bytes);

	if (!rq)
		return NULL;
	rq->kind = (uint8_t)kind;
	vol->rs.source_count++;
	return rq;
}

void rs_target_put(struct core *core, struct volume *vol, struct rs_request *rq)
{
	vol->rs.target_count--;
	give_back(core, vol, rq, &vol->rs.target_map, &vol->rs.target);
}

void rs_source_put(struct core *core, struct volume *vol, struct rs_request *rq)
{
	vol->rs.source_count--;
	if (rq->kind == RS_OV_SOURCE)
		verify_source_freed(core, vol, rq);
	give_back(core, vol, rq, &vol->rs.source_map, &vol->rs.source);
}

uint64_t rs_block_id(struct volume *vol, const struct rs_request *rq)
{
	return (uint64_t)(++vol->rs.serial & INT32_MAX) << 32 | rq->index;
}

void rs_set_dependency(const struct core *core, struct pkt_block *block)
{
	if (core->st.role == ROLE_PRIMARY) {
		block->dagtag_node = core->self;
		block->dagtag = request_own_dagtag(core);
		return;
	}
	FOR_EACH_PEER(core, primary) {
		if (peer_connected(core, primary) &&
		    core->st.peer[primary->id].role == ROLE_PRIMARY) {
			block->dagtag_node = primary->id;
			block->dagtag = primary->rx.dagtag_heard ? peer_rx_dagtag(primary) : 0;
			return;
		}
	}
}

void rs_answer(struct core *core, const struct rs_request *rq, enum packet type)
{
	struct peer *peer = core->peer[rq->p];
	struct pkt pkt = { .type = (uint16_t)type, .vnr = core->vol[rq->v]->vnr };

	if (type == P_RS_NEG_ACK && peer->apv < 122)
		pkt.type = P_NEG_ACK;
	pkt.u.block.sector = rq->sector;
	pkt.u.block.bytes = rq->bytes;
	pkt.u.block.block_id = peer->apv >= 122 ? rq->block_id : UINT64_MAX;
	pkt.u.block.seq = ++peer->pd[rq->v].seq_tx;
	core_send(core, peer, STREAM_CONTROL, &pkt);
}

bool rs_id_matches(const struct peer *peer, const struct rs_request *rq, uint64_t block_id)
{
	return peer->apv < 122 || block_id == rq->block_id;
}

bool rs_range_ok(const struct volume *vol, const struct pkt_block *block)
{
	uint64_t sectors = block->bytes / SECTOR_BYTES;

	return sectors && block->bytes % SECTOR_BYTES == 0 &&
	       block->bytes <= RS_REQUEST_MAX_BYTES && block->sector < vol->size_sectors &&
	       sectors <= vol->size_sectors - block->sector;
}

/* ---- writes and bits that meet requests under way ---- */

/* What is read for a peer at this moment, by a source or in a verify, may lack the write. */
static void write_meets_reads(struct volume *vol, uint64_t sector, uint64_t sectors)
{
	struct range *r = NULL;

	while ((r = range_map_overlap(&vol->rs.source_map, sector, sectors, r))) {
		struct rs_request *rq = CONTAINER_OF(r, struct rs_request, watch);

		rq->superseded = true;
		rq->overwritten |= sector <= rq->sector &&
				   sector + sectors >= rq->sector + rq->bytes / SECTOR_BYTES;
	}
}

void resync_write_overlaps(struct core *core, struct volume *vol, uint64_t sector, uint64_t sectors)
{
	struct range *r = NULL;

	(void)core;
	if (!(vol->rs.target_count | vol->rs.source_count))
		return;
	if (vol->rs.source_count)
		write_meets_reads(vol, sector, sectors);
	while ((r = range_map_overlap(&vol->rs.target_map, sector, sectors, r))) {
		struct rs_request *rq = CONTAINER_OF(r, struct rs_request, watch);

		if (rq->state <= RS_WAIT_HOLD)
			rq->superseded = true;
	}
}

static void mark_dirtied(struct volume *vol, struct range_map *map, uint32_t slots, uint64_t sector,
			 uint64_t sectors)
{
	struct range *r = NULL;

	while ((r = range_map_overlap(map, sector, sectors, r))) {
		struct rs_request *rq = CONTAINER_OF(r, struct rs_request, watch);
		int slot = bitmap_slot(vol, rq->p);

		if (slot >= 0 && (slots >> slot) & 1)
			rq->dirtied = true;
	}
}

void resync_bits_set(struct volume *vol, uint32_t slots, uint64_t sector, uint64_t sectors)
{
	if (vol->rs.target_count)
		mark_dirtied(vol, &vol->rs.target_map, slots, sector, sectors);
	if (vol->rs.source_count)
		mark_dirtied(vol, &vol->rs.source_map, slots, sector, sectors);
}

/* ---- states ---- */

bool resync_is_target(enum repl_state repl)
{
	return repl == REPL_SYNC_TARGET || repl == REPL_PAUSED_SYNC_T;
}

bool resync_is_source(enum repl_state repl)
{
	return repl == REPL_SYNC_SOURCE || repl == REPL_PAUSED_SYNC_S;
}

uint64_t resync_unseen_primaries(const struct core *core, const struct peer_device *pd)
{
	uint64_t seen = node_bit(core->self);

	if (pd->uuids.flags & UUID_FLAG_STABLE)
		return 0;
	FOR_EACH_PEER(core, primary) {
		if (core->st.peer[primary->id].role == ROLE_PRIMARY &&
		    repl_of(core, &primary->pd[pd->v]) >= REPL_ESTABLISHED)
			seen |= node_bit(primary->id);
	}
	return pd->uuids.node_mask & ~seen;
}

bool resync_source_unstable(const struct core *core, const struct peer_device *pd)
{
	return resync_unseen_primaries(core, pd) != 0;
}

bool resync_same_primaries(const struct core *core, const struct peer_device *pd)
{
	uint64_t its = pd->uuids.flags & UUID_FLAG_STABLE ? 0 : pd->uuids.node_mask;
	uint64_t mine = 0;

	FOR_EACH_PEER(core, primary) {
		if (core->st.peer[primary->id].role == ROLE_PRIMARY &&
		    repl_of(core, &primary->pd[pd->v]) >= REPL_ESTABLISHED)
			mine |= node_bit(primary->id);
	}
	return !(mine & ~(its | node_bit(pd->p))) && !resync_source_unstable(core, pd);
}

uint64_t resync_left(const struct core *core, const struct peer_device *pd)
{
	if (verify_is_running(repl_of(core, pd)))
		return pd->ov.left_bits;
	return bitmap_weight(core->vol[pd->v], pd->p);
}

bool resync_active(const struct core *core, const struct peer_device *pd)
{
	(void)core;
	return pd->rs.in_flight > 0;
}

void resync_begin(struct core *core, struct peer_device *pd)
{
	struct resync *rs = &pd->rs;
	uint32_t in_flight = rs->in_flight;
	uint64_t in_flight_sectors = rs->in_flight_sectors;
	uint32_t flushes = rs->flushes;
	uint64_t promised_uuid = rs->promised_uuid;
	uint8_t promised_by = rs->promised_by;

	memset(rs, 0, sizeof(*rs));
	/* Named while the bitmaps were exchanged. */
	rs->promised_uuid = promised_uuid;
	rs->promised_by = promised_by;
	/* Of a resync that was given up: their replies still come. */
	rs->in_flight = in_flight;
	rs->in_flight_sectors = in_flight_sectors;
	rs->flushes = flushes;
	rs->running = true;
	rs->total_bits = rs->pass_bits = resync_left(core, pd);
	rs->started_ns = core->now_ns;
	rs->mark_ns[0] = core->now_ns;
	rs->mark_left[0] = rs->total_bits;
	rs->mark_next = rs->mark_count = 1;
	rs->tick_at_ns = NEVER_NS;
	rs->unstable = resync_source_unstable(core, pd);
}

/* Another resync may have brought a new generation while this one was paused. */
static void reference_target(struct core *core, struct peer_device *pd)
{
	uuid_resync_start(core, pd);
	pd->rs.begin_seq = md_sync(core, core->vol[pd->v]);
}

static void note_pause(struct core *core, struct resync *rs, bool paused)
{
	if (paused) {
		rs->paused_since_ns = core->now_ns;
	} else if (rs->paused_since_ns) {
		rs->paused_ns += core->now_ns - rs->paused_since_ns;
		rs->paused_since_ns = 0;
	}
}

static void enter(struct core *core, struct peer_device *pd, enum repl_state repl,
		  enum repl_state old)
{
	struct peer *peer = core->peer[pd->p];
	struct volume *vol = core->vol[pd->v];

	switch (repl) {
	case REPL_WF_BITMAP_S:
		pd->ov.found = false;
		xfer_expect(pd);
		request_record_pending(core, pd);
		/* A peer that follows our state must expect the bitmap before it comes. */
		peer_send_state(core, peer, pd->v);
		if (!handler_before_resync(core, pd))
			xfer_send(core, pd);
		return;
	case REPL_WF_BITMAP_T:
		pd->ov.found = false;
		xfer_expect(pd);
		return;
	case REPL_STARTING_SYNC_S:
	case REPL_STARTING_SYNC_T:
		pd->ov.found = false;
		bitmap_set_all(core, vol, node_bit(pd->p), repl == REPL_STARTING_SYNC_T);
		return;
	case REPL_SYNC_TARGET:
	case REPL_PAUSED_SYNC_T:
		if (!resync_is_target(old)) {
			resync_begin(core, pd);
			pd->wants_data = false;
		}
		reference_target(core, pd);
		note_pause(core, &pd->rs, repl == REPL_PAUSED_SYNC_T);
		if (repl == REPL_SYNC_TARGET)
			target_start(core, pd);
		return;
	case REPL_SYNC_SOURCE:
	case REPL_PAUSED_SYNC_S:
		if (!resync_is_source(old))
			resync_begin(core, pd);
		note_pause(core, &pd->rs, repl == REPL_PAUSED_SYNC_S);
		return;
	case REPL_VERIFY_S:
	case REPL_VERIFY_T:
		verify_enter(core, pd);
		return;
	default:
		return;
	}
}

static void leave(struct core *core, struct peer_device *pd, enum repl_state old,
		  enum repl_state repl)
{
	bool connected = repl >= REPL_ESTABLISHED;

	xfer_reset(pd);
	handler_forget_resync(pd);
	if (old == REPL_WF_BITMAP_T)
		save_forget(pd);
	if (resync_is_target(old) && !resync_is_target(repl)) {
		target_drop(core, pd, connected);
		pd->rs.running = false;
		pd->rs.tick_at_ns = NEVER_NS;
	}
	if (repl != REPL_WF_BITMAP_T && !resync_is_target(repl))
		pd->rs.promised_uuid = 0;
	if (resync_is_source(old) && !resync_is_source(repl)) {
		source_drop(core, pd, connected);
		pd->rs.running = false;
	}
	if (verify_is_running(old))
		verify_leave(core, pd, old, connected);
}

void sync_repl_changed(struct core *core, struct peer_device *pd, enum repl_state old)
{
	enum repl_state repl = repl_of(core, pd);

	leave(core, pd, old, repl);
	if (vol_has_md(core->vol[pd->v]))
		enter(core, pd, repl, old);
	core_work(core, WORK_SYNC | WORK_RECONCILE);
}

void sync_peer_lost(struct core *core, struct peer *peer)
{
	for (unsigned v = 0; v < core->vol_count; v++) {
		struct peer_device *pd = &peer->pd[v];

		xfer_reset(pd);
		handler_forget_resync(pd);
		save_forget(pd);
		pd->sync_uuid = 0;
		pd->begin_awaited = pd->end_told = false;
		pd->fence = (struct claim_fence){ .resync_marks = pd->fence.resync_marks };
		target_drop(core, pd, false);
		source_drop(core, pd, false);
		pd->rs.running = false;
		pd->rs.tick_at_ns = NEVER_NS;
		verify_peer_lost(core, pd);
	}
	resize_peer_lost(core, peer);
	source_dependency_lost(core, peer->id);
	finish_peer_lost(core, peer);
	core->reconcile.noticed[peer->id] = false;
	core_work(core, WORK_SYNC | WORK_RECONCILE);
}

void resync_disk_gone(struct core *core, struct volume *vol)
{
	FOR_EACH_PEER(core, peer) {
		struct peer_device *pd = &peer->pd[vol->v];
		bool connected = peer_connected(core, peer);

		target_drop(core, pd, connected);
		source_drop(core, pd, connected);
		pd->rs.running = false;
	}
	target_disk_gone(core, vol);
	vol->rs.announce = false;
	vol->rs.announce_at_ns = NEVER_NS;
}

/* ---- deferred work and time ---- */

/* Set-all is guarded by the superblock; without an exchange of bitmaps the resync just starts. */
static void start_full(struct core *core, struct peer_device *pd)
{
	struct volume *vol = core->vol[pd->v];
	enum repl_state repl = repl_of(core, pd);
	struct state *next;

	if (vol->bm.guard_seq || pd->before_resync.running)
		return;
	if (!pd->before_resync_agreed && handler_before_resync(core, pd))
		return;
	if (peer_is_drbd8(core->peer[pd->p])) {
		drbd8_start_full(core, pd);
		return;
	}
	next = state_begin(core);
	next->pd[pd->p][pd->v].repl =
		repl == REPL_STARTING_SYNC_S ? REPL_SYNC_SOURCE : REPL_SYNC_TARGET;
	state_end(core, STATE_HARD);
}

/* Asked for while a resync was running (1.9, last row), or a resize. */
static void once_more(struct core *core, struct peer_device *pd)
{
	if (sync_waits_for_resize(core, core->vol[pd->v]))
		return;
	pd->rs.again = false;
	sync_consider(core, core->peer[pd->p], core->vol[pd->v]);
}

void resync_run(struct core *core)
{
	FOR_EACH_VOLUME(core, vol) {
		if (!vol_has_md(vol))
			continue;
		uuid_settle_crash(core, vol);
		lost_source_run(core, vol);
		FOR_EACH_PEER(core, peer) {
			struct peer_device *pd = &peer->pd[vol->v];
			enum repl_state repl = repl_of(core, pd);

			announce_count(core, pd);
			announce_fence(core, pd);
			leftover_run(core, pd);
			if (repl == REPL_STARTING_SYNC_S || repl == REPL_STARTING_SYNC_T)
				start_full(core, pd);
			else if (repl == REPL_SYNC_TARGET)
				target_run(core, pd);
			else if (repl == REPL_SYNC_SOURCE || repl == REPL_PAUSED_SYNC_S)
				drbd8_source_run(core, pd);
			else if (verify_is_running(repl))
				verify_run(core, pd);
			else if (repl == REPL_ESTABLISHED && pd->rs.again)
				once_more(core, pd);
		}
		source_run(core, vol);
	}
	if (core->resync_wants_uuid) {
		core->resync_wants_uuid = false;
		uuid_bump_if_wanted(core);
	}
	outdated_run(core);
	trust_run(core);
}

static void note_progress(struct core *core, struct peer_device *pd)
{
	struct resync *rs = &pd->rs;
	unsigned last = (rs->mark_next + RS_MARKS - 1) % RS_MARKS;

	if (!rs->running || core->now_ns - rs->mark_ns[last] < RS_MARK_NS)
		return;
	rs->mark_ns[rs->mark_next] = core->now_ns;
	rs->mark_left[rs->mark_next] = resync_left(core, pd);
	rs->mark_next = (rs->mark_next + 1) % RS_MARKS;
	if (rs->mark_count < RS_MARKS)
		rs->mark_count++;
}

void resync_time(struct core *core)
{
	verify_schedule_time(core);
	FOR_EACH_VOLUME(core, vol) {
		FOR_EACH_PEER(core, peer) {
			struct peer_device *pd = &peer->pd[vol->v];

			note_progress(core, pd);
			leftover_time(core, pd);
			if (repl_of(core, pd) == REPL_SYNC_TARGET)
				target_time(core, pd);
			else if (repl_of(core, pd) == REPL_VERIFY_S)
				verify_time(core, pd);
		}
		announce_time(core, vol);
		source_time(core, vol);
	}
}

/* ---- resyncs of other resources ---- */

void resync_gate(struct core *core, const struct ev_resync_gate *gate)
{
	const struct volume *vol = core_volume_in_use(core, gate->vnr);
	struct state *next;

	if (!vol)
		return;
	next = state_begin(core);
	next->vol[vol->v].susp_dependency = gate->dependency;
	next->vol[vol->v].susp_parallel = gate->parallel;
	state_end(core, STATE_HARD);
}

void core_resync(const struct core *core, uint16_t vnr, bool *busy, bool *wants, bool *runs)
{
	*busy = *wants = *runs = false;
	FOR_EACH_VOLUME(core, vol) {
		if (vol->vnr != vnr)
			continue;
		FOR_EACH_PEER(core, peer) {
			const struct state_peer_device *pd = &core->st.pd[peer->id][vol->v];
			bool target = resync_is_target(pd->repl);

			*busy |= repl_resyncs(pd->repl);
			*wants |= target && state_may_be_source(pd);
			*runs |= target && (pd->repl == REPL_SYNC_TARGET ||
					    resync_active(core, &peer->pd[vol->v]));
		}
	}
}

uint64_t resync_deadline(const struct core *core)
{
	uint64_t t = verify_schedule_deadline(core);

	FOR_EACH_VOLUME(core, vol) {
		if (vol->rs.announce_at_ns < t)
			t = vol->rs.announce_at_ns;
		if (source_deadline(vol) < t)
			t = source_deadline(vol);
		FOR_EACH_PEER(core, peer) {
			uint64_t d = target_deadline(core, &peer->pd[vol->v]);
			uint64_t l = peer->pd[vol->v].fence.leftover_at_ns;

			if (l && l < t)
				t = l;
			if (d < t)
				t = d;
		}
	}
	if (core->reconcile.deadline_ns && core->reconcile.deadline_ns < t)
		t = core->reconcile.deadline_ns;
	return t;
}

void resync_md_durable(struct core *core, struct volume *vol)
{
	(void)vol;
	core_work(core, WORK_SYNC);
}

void resync_bitmap_durable(struct core *core, struct volume *vol)
{
	target_bitmap_durable(core, vol);
}

/* ---- what peers tell about bits ---- */

void rx_out_of_sync(struct core *core, struct peer *peer, const struct pkt *pkt)
{
	struct volume *vol = core_volume_by_vnr(core, pkt->vnr);
	const struct pkt_block *block = &pkt->u.block;

	if (!vol || block->sector >= vol->size_sectors ||
	    (block->bytes + SECTOR_BYTES - 1) / SECTOR_BYTES > vol->size_sectors - block->sector) {
		peer_fail(core, peer, CONN_PROTOCOL_ERROR,
			  "%s sent P_OUT_OF_SYNC for sectors %llu+%u bytes, beyond the device",
			  peer->conf->name, (unsigned long long)block->sector, block->bytes);
		return;
	}
	bitmap_set(core, vol, bitmap_slots_of(vol, node_bit(peer->id)), block->sector,
		   (block->bytes + SECTOR_BYTES - 1) / SECTOR_BYTES);
	core_work(core, WORK_SYNC);
}

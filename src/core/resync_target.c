/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The target's side of a resync: requests, replies,
 * writes, acknowledgements (wire-protocol 5.4, 5.5). */
#include <errno.h>
#include <string.h>

#include "base/bits.h"
#include "core/bitmap_io.h"
#include "core/cluster.h"
#include "core/core_hooks.h"
#include "core/request.h"
#include "core/resync_int.h"
#include "core/state.h"

#define KICK_NS (10 * NS_PER_MS)
/* Tags of disk flushes, among the indexes of requests: of a settling; before the first digest of
 * a resync with node n, + n. */
#define FLUSH_INDEX UINT32_MAX
#define FIRST_FLUSH_INDEX (UINT32_MAX - NODES_MAX)

static uint64_t write_tag(const struct volume *vol, uint32_t index)
{
	return tag_make(TAG_RS_WRITE, (uint64_t)vol->v << 32 | index);
}

static uint32_t source_slot(const struct volume *vol, unsigned p)
{
	return bitmap_slots_of(vol, node_bit(p));
}

/* ---- asking ---- */

/*
 * Bits between equal generations, where not every node has a connection to every other one. What is
 * written here marks the block towards other peers; if it was the same already, such marks would go
 * round in a ring for ever.
 */
static bool may_go_round(const struct core *core, const struct peer_device *pd)
{
	return pd->sent_valid &&
	       (pd->sent.flags | pd->uuids.flags) & UUID_FLAG_SEES_NOT_ALL &&
	       uuid_eq(pd->uuids.current, core->vol[pd->v]->md.current_uuid) &&
	       resync_digest(core->peer[pd->p])[0];
}

static bool uses_checksums(const struct core *core, const struct peer_device *pd)
{
	const struct peer *peer = core->peer[pd->p];
	bool crashed = core->vol[pd->v]->crashed_primary ||
		       pd->uuids.flags & UUID_FLAG_CRASHED_PRIMARY;

	if (may_go_round(core, pd))
		return true;
	return peer->csums_alg[0] && (crashed || !peer->conf->net.csums_after_crash_only);
}

/*
 * The source takes an equal digest for an acknowledgement: what an earlier resync has written and
 * did not come to flush must be durable before it counts.
 */
static void flush_first(struct core *core, struct peer_device *pd)
{
	struct volume *vol = core->vol[pd->v];

	pd->rs.flushes++;
	request_local_begin(core, vol, AC_DISK_FLUSH, write_tag(vol, FIRST_FLUSH_INDEX + pd->p));
}

void target_start(struct core *core, struct peer_device *pd)
{
	rate_reset(core, pd);
	pd->rs.checksums = uses_checksums(core, pd);
	if (pd->rs.checksums)
		flush_first(core, pd);
	pd->rs.target_since_ns = core->now_ns;
	pd->rs.tick_at_ns = core->now_ns;
	core_work(core, WORK_SYNC);
}

/* Blocks of that size need not travel where they are all zero; 0 = all do. */
static uint32_t thin_bytes(const struct core *core, const struct peer_device *pd)
{
	uint32_t bytes = core->vol[pd->v]->conf->disk.rs_discard_bytes;

	if (!(core->peer[pd->p]->features & FEATURE_THIN_RESYNC) || pd->rs.checksums ||
	    bytes < BM_BLOCK_BYTES)
		return 0;
	return UINT32_C(1) << (31 - __builtin_clz(bytes));
}

static uint32_t request_max_bytes(const struct core *core, const struct peer_device *pd)
{
	uint32_t thin = thin_bytes(core, pd);

	return thin ? thin : RS_REQUEST_MAX_BYTES;
}

static enum packet request_type(const struct peer *peer, const struct rs_request *rq)
{
	bool dagtag = peer->features & FEATURE_RESYNC_DAGTAG;

	if (rq->digest_bytes)
		return dagtag ? P_RS_CSUM_DAGTAG_REQ : P_CSUM_RS_REQUEST;
	if (rq->kind == RS_THIN)
		return dagtag ? P_RS_THIN_DAGTAG_REQ : P_RS_THIN_REQ;
	return dagtag ? P_RS_DAGTAG_REQ : P_RS_DATA_REQUEST;
}

static void send_request(struct core *core, struct peer_device *pd, struct volume *vol,
			 struct rs_request *rq)
{
	struct peer *peer = core->peer[pd->p];
	struct pkt pkt = { .vnr = vol->vnr };

	rq->kind = rq->bytes == thin_bytes(core, pd) ? RS_THIN : RS_DATA;
	pkt.type = (uint16_t)request_type(peer, rq);
	rq->state = RS_REQUESTED;
	rq->block_id = rs_block_id(vol, rq);
	pkt.u.block.sector = rq->sector;
	pkt.u.block.bytes = rq->bytes;
	pkt.u.block.block_id = peer->apv >= 122 ? rq->block_id : UINT64_MAX;
	if (peer->features & FEATURE_RESYNC_DAGTAG)
		rs_set_dependency(core, &pkt.u.block);
	pkt.var = rq->digest_bytes ? rq->digest : NULL;
	pkt.var_bytes = rq->digest_bytes;
	core_send(core, peer, STREAM_DATA, &pkt);
}

/* The own data are read first: what is the same there need not travel. */
static void read_own(struct core *core, struct peer_device *pd, struct volume *vol,
		     struct rs_request *rq)
{
	struct core_action *action =
		request_local_begin(core, vol, AC_DISK_READ, write_tag(vol, rq->index));

	rq->state = RS_DIGESTING;
	action->u.disk.sector = rq->sector;
	action->u.disk.bytes = rq->bytes;
	action->u.disk.digest_alg = resync_digest(core->peer[pd->p]);
}

static void request(struct core *core, struct peer_device *pd, struct volume *vol,
		    struct rs_request *rq)
{
	rq->p = pd->p;
	list_push_back(&vol->rs.asked, &rq->link);
	pd->rs.in_flight++;
	pd->rs.in_flight_sectors += rq->bytes / SECTOR_BYTES;
	if (pd->rs.checksums)
		read_own(core, pd, vol, rq);
	else
		send_request(core, pd, vol, rq);
}

static bool requested(const struct volume *vol, uint64_t bit, uint64_t bits)
{
	return range_map_overlap(&vol->rs.target_map, bit * BM_BLOCK_SECTORS,
				 bits * BM_BLOCK_SECTORS, NULL) != NULL;
}

/* Bits of one request from `bit` on: all set, aligned
 * to their size, the last one cut at the end. */
static uint64_t merge(const struct volume *vol, unsigned slot, uint64_t bit, uint64_t most)
{
	const struct bitmap *bm = &vol->bm;
	uint64_t size = 1;

	while (size < most && bit % (size * 2) == 0 && bit + size < bm->bits) {
		uint64_t end = bit + size * 2 < bm->bits ? bit + size * 2 : bm->bits;

		if (bits_next_clear(bm->store.slot[slot], bit + size, end) != BITS_NONE ||
		    requested(vol, bit + size, end - bit - size))
			break;
		size *= 2;
	}
	return bit + size < bm->bits ? size : bm->bits - bit;
}

enum ask { ASKED, SKIPPED, END_OF_DEVICE, NO_ROOM };

/* Looks at the next set bit from the cursor on. */
static enum ask ask_next(struct core *core, struct peer_device *pd, struct volume *vol,
			 unsigned slot, uint64_t *sectors)
{
	struct resync *rs = &pd->rs;
	struct rs_request *rq;
	uint64_t bit = bits_next_set(vol->bm.store.slot[slot], rs->cursor_bit, vol->bm.bits);
	uint64_t bits, sector;

	/* What the volume is growing by is marked first, and here when the size is. */
	if (bit == BITS_NONE || bit * BM_BLOCK_SECTORS >= vol->size_sectors)
		return END_OF_DEVICE;
	rs->cursor_bit = bit + 1;
	if (requested(vol, bit, 1))
		return SKIPPED;
	bits = merge(vol, slot, bit, request_max_bytes(core, pd) / BM_BLOCK_BYTES);
	sector = bit * BM_BLOCK_SECTORS;
	*sectors = bits * BM_BLOCK_SECTORS;
	if (*sectors > vol->size_sectors - sector)
		*sectors = vol->size_sectors - sector;
	/* A write at the disk now may end after the reply was written: ask again later. */
	if (hold_write_overlaps(vol, sector, *sectors)) {
		rs->cursor_bit = bit + bits;
		return SKIPPED;
	}
	rq = rs_target_get(vol, sector, (uint32_t)(*sectors * SECTOR_BYTES));
	if (!rq) {
		rs->cursor_bit = bit;
		return NO_ROOM;
	}
	rs->cursor_bit = bit + bits;
	request(core, pd, vol, rq);
	return ASKED;
}

/*
 * A Primary that the source is fed by will bring all that is marked, whatever came from the source
 * before. So it gets the time of two attempts to connect before the source is asked.
 */
static bool awaits_primary(const struct core *core, const struct peer_device *pd)
{
	uint64_t unseen = resync_unseen_primaries(core, pd);

	FOR_EACH_PEER(core, primary) {
		uint64_t patience_ns = 2 * primary->conf->net.connect_int_s * NS_PER_S;

		if (core->st.peer[primary->id].role == ROLE_PRIMARY &&
		    repl_of(core, &primary->pd[pd->v]) == REPL_WF_BITMAP_T)
			return true;
		if (unseen & node_bit(primary->id) && primary->want_connect &&
		    core->now_ns < pd->rs.target_since_ns + patience_ns)
			return true;
	}
	return false;
}

static bool may_ask(const struct core *core, const struct peer_device *pd)
{
	const struct volume *vol = core->vol[pd->v];

	return vol_has_md(vol) && vol->size_sectors &&
	       disk_of(core, vol) == DISK_INCONSISTENT && !pd->rs.finish_seq &&
	       vol->md_durable_seq >= pd->rs.begin_seq && !awaits_primary(core, pd) &&
	       (!pd->rs.checksums || !pd->rs.flushes);
}

/* Asks for at least `budget_sectors` where there is that much;
 * a pass over the device ends when nothing is in flight. */
static uint64_t ask(struct core *core, struct peer_device *pd, uint64_t budget_sectors)
{
	struct volume *vol = core->vol[pd->v];
	struct resync *rs = &pd->rs;
	uint64_t most = (uint64_t)core->peer[pd->p]->conf->net.max_buffers * BM_BLOCK_SECTORS;
	int slot = bitmap_slot(vol, pd->p);
	uint64_t asked = 0;
	bool wrapped = false;

	if (slot < 0)
		return 0;
	while (asked < budget_sectors && rs->in_flight_sectors < most) {
		uint64_t sectors = 0;
		enum ask result = ask_next(core, pd, vol, (unsigned)slot, &sectors);

		if (result == NO_ROOM)
			break;
		if (result == ASKED)
			asked += sectors;
		if (result != END_OF_DEVICE)
			continue;
		if (rs->in_flight || wrapped || !rs->cursor_bit)
			break;
		if (rs->failed_bits && rs->failed_bits >= resync_left(core, pd))
			break;
		wrapped = true;
		rs->cursor_bit = 0;
		rs->failed_bits = 0;
		replicate_pass_ended(core, pd);
	}
	if (rs->in_flight_sectors >= most)
		rs->limit = LIMIT_BUFFERS;
	return asked;
}

void target_time(struct core *core, struct peer_device *pd)
{
	struct resync *rs = &pd->rs;
	uint64_t sectors, asked;

	if (core->now_ns < rs->tick_at_ns)
		return;
	rs->tick_at_ns = core->now_ns + RS_TICK_NS;
	if (!may_ask(core, pd)) {
		rs->limit = awaits_primary(core, pd) ? LIMIT_PRIMARY : LIMIT_NONE;
		return;
	}
	sectors = rate_tick(core, pd);
	if (sectors < BM_BLOCK_SECTORS)
		sectors = BM_BLOCK_SECTORS;
	if (rs->owed_sectors >= sectors) {
		rs->owed_sectors -= sectors;
	} else {
		sectors -= rs->owed_sectors;
		asked = ask(core, pd, sectors);
		rs->owed_sectors = asked > sectors ? asked - sectors : 0;
	}
	core_work(core, WORK_SYNC);
}

uint64_t target_deadline(const struct core *core, const struct peer_device *pd)
{
	enum repl_state repl = repl_of(core, pd);

	return repl == REPL_SYNC_TARGET || repl == REPL_VERIFY_S ? pd->rs.tick_at_ns : NEVER_NS;
}

void target_run(struct core *core, struct peer_device *pd)
{
	struct resync *rs = &pd->rs;
	uint64_t left = resync_left(core, pd);

	if (rs->in_flight || !vol_has_md(core->vol[pd->v]) ||
	    core->vol[pd->v]->md_durable_seq < rs->begin_seq)
		return;
	if (!left || (rs->failed_bits && rs->failed_bits >= left)) {
		finish_try(core, pd);
		return;
	}
	/* Bits were set meanwhile: the end has to be prepared again. */
	rs->finish_seq = 0;
	rs->flush_seq = 0;
	/* All that was in flight is back early: do not wait for the tick. */
	if (rs->last_tick_ns + KICK_NS < rs->tick_at_ns)
		rs->tick_at_ns = rs->last_tick_ns + KICK_NS;
	if (core->now_ns >= rs->tick_at_ns)
		target_time(core, pd);
}

/* ---- ends of requests ---- */

static void finished(struct core *core, struct volume *vol, struct rs_request *rq)
{
	struct resync *rs = &core->peer[rq->p]->pd[vol->v].rs;

	if (!rq->orphan) {
		ASSERT(rs->in_flight > 0);
		rs->in_flight--;
		rs->in_flight_sectors -= rq->bytes / SECTOR_BYTES;
	}
	rs_target_put(core, vol, rq);
	core_work(core, WORK_SYNC);
}

/* Nobody waits for the end of this request any more;
 * it stays only until the disk is done with it. */
static void orphan(struct core *core, struct volume *vol, struct rs_request *rq)
{
	struct resync *rs = &core->peer[rq->p]->pd[vol->v].rs;

	if (rq->orphan)
		return;
	rq->orphan = true;
	rs->in_flight--;
	rs->in_flight_sectors -= rq->bytes / SECTOR_BYTES;
}

static void drop_list(struct core *core, struct volume *vol, struct list *list, unsigned p,
		      bool connected)
{
	LIST_FOR_EACH_SAFE(it, list) {
		struct rs_request *rq = LIST_ENTRY(it, struct rs_request, link);

		if (rq->p != p)
			continue;
		if (connected) {
			/* The source waits for its acknowledgement. */
			rq->failed = true;
			continue;
		}
		orphan(core, vol, rq);
		if (rq->state != RS_DIGESTING && rq->state != RS_WRITING &&
		    rq->state != RS_SETTLING)
			rs_target_put(core, vol, rq);
	}
}

void target_drop(struct core *core, struct peer_device *pd, bool connected)
{
	struct volume *vol = core->vol[pd->v];

	drop_list(core, vol, &vol->rs.asked, pd->p, connected);
	drop_list(core, vol, &vol->rs.replied, pd->p, connected);
	drop_list(core, vol, &vol->rs.marking, pd->p, connected);
	drop_list(core, vol, &vol->rs.written, pd->p, connected);
	drop_list(core, vol, &vol->rs.settling, pd->p, connected);
}

/* ---- settling: durable before it is acknowledged ---- */

/* The source clears its bits when it gets the acknowledgement:
 * by then the data must survive a power cut. */
static void start_flush(struct core *core, struct volume *vol)
{
	struct rs_volume *rs = &vol->rs;
	bool data = false;

	list_splice_back(&rs->settling, &rs->written);
	LIST_FOR_EACH(it, &rs->settling) {
		struct rs_request *rq = LIST_ENTRY(it, struct rs_request, link);

		rq->state = RS_SETTLING;
		data |= !rq->superseded && !rq->failed;
	}
	rs->settle_error = vol_has_md(vol) ? 0 : -EIO;
	if (!data || rs->settle_error)
		return;
	rs->flush_running = true;
	request_local_begin(core, vol, AC_DISK_FLUSH, write_tag(vol, FLUSH_INDEX));
}

static void acknowledge(struct core *core, struct volume *vol, struct rs_request *rq, bool durable)
{
	if (!rq->orphan) {
		bool good = durable && !rq->failed;

		rs_answer(core, rq, good ? P_RS_WRITE_ACK : P_RS_NEG_ACK);
		if (good && !rq->superseded && !rq->dirtied)
			bitmap_clear(core, vol, source_slot(vol, rq->p), rq->sector,
				     rq->bytes / SECTOR_BYTES);
	}
	finished(core, vol, rq);
}

static void settle(struct core *core, struct volume *vol)
{
	struct rs_volume *rs = &vol->rs;

	while (!rs->flush_running) {
		LIST_FOR_EACH_SAFE(it, &rs->settling) {
			acknowledge(core, vol, LIST_ENTRY(it, struct rs_request, link),
				    !rs->settle_error);
		}
		if (list_empty(&rs->written))
			return;
		start_flush(core, vol);
	}
}

static void flush_done(struct core *core, struct volume *vol, int error)
{
	vol->rs.flush_running = false;
	vol->rs.settle_error = error;
	if (error)
		volume_store_error(core, vol, error, "flush of resynced data");
	settle(core, vol);
	request_local_end(core, vol);
}

static void to_settle(struct core *core, struct volume *vol, struct rs_request *rq)
{
	rq->state = RS_WRITTEN;
	list_del(&rq->link);
	list_push_back(&vol->rs.written, &rq->link);
	settle(core, vol);
}

/* ---- replies: mark, write ---- */

static void write_ready(struct core *core, struct volume *vol, struct hold *hold)
{
	struct rs_request *rq = CONTAINER_OF(hold, struct rs_request, hold);
	struct core_action *action;

	if (rq->superseded || rq->failed || disk_of(core, vol) < DISK_INCONSISTENT) {
		rq->failed |= disk_of(core, vol) < DISK_INCONSISTENT;
		hold_release(core, vol, &rq->hold);
		core_payload_put(core, &rq->payload);
		to_settle(core, vol, rq);
		return;
	}
	rq->state = RS_WRITING;
	action = request_local_begin(core, vol, rq->zeroes ? AC_DISK_ZEROES : AC_DISK_WRITE,
				     write_tag(vol, rq->index));
	action->u.disk.sector = rq->sector;
	action->u.disk.bytes = rq->bytes;
	action->u.disk.unmap = rq->zeroes;
	action->u.disk.payload = rq->payload;
}

static void start_write(struct core *core, struct volume *vol, struct rs_request *rq)
{
	list_del(&rq->link);
	list_push_back(&vol->rs.asked, &rq->link);
	rq->state = RS_WAIT_HOLD;
	hold_init(&rq->hold, HOLD_RS_WRITE, rq->sector, rq->bytes / SECTOR_BYTES, write_ready);
	if (hold_acquire(core, vol, &rq->hold))
		write_ready(core, vol, &rq->hold);
}

static bool resyncs_from_us(const struct core *core, const struct peer_device *pd)
{
	enum repl_state repl = repl_of(core, pd);

	return resync_is_source(repl) || repl == REPL_WF_BITMAP_S;
}

/*
 * The range changes here. Peers that resync from us have to fetch it again, also where they have
 * asked already: what they got may be of before.
 */
static void mark_others(struct core *core, struct volume *vol, const struct rs_request *rq)
{
	struct pkt pkt = { .type = P_OUT_OF_SYNC, .vnr = vol->vnr };

	pkt.u.block.sector = rq->sector;
	pkt.u.block.bytes = rq->bytes;
	bitmap_set(core, vol, SLOTS_ALL & ~source_slot(vol, rq->p), rq->sector,
		   rq->bytes / SECTOR_BYTES);
	FOR_EACH_PEER(core, peer) {
		if (peer->id == rq->p)
			continue;
		peer->pd[vol->v].fence.resync_marks = true;
		if (resyncs_from_us(core, &peer->pd[vol->v]))
			core_send(core, peer, STREAM_DATA, &pkt);
	}
}

/*
 * What comes differs from what every other node may have, and the bits that say so must be on disk
 * before the data. So must our own bits, for a reply that is acknowledged without being written.
 */
static void mark(struct core *core, struct volume *vol)
{
	struct rs_volume *rs = &vol->rs;

	while (list_empty(&rs->marking) && !list_empty(&rs->replied)) {
		list_splice_back(&rs->marking, &rs->replied);
		LIST_FOR_EACH(it, &rs->marking) {
			struct rs_request *rq = LIST_ENTRY(it, struct rs_request, link);

			rq->state = RS_MARKING;
			if (!rq->superseded) {
				mark_others(core, vol, rq);
				peer_writes_overwritten(core, vol, rq->sector,
							rq->bytes / SECTOR_BYTES);
			}
			bitmap_settle(core, vol, rq->sector, rq->bytes / SECTOR_BYTES);
		}
		if (!bitmap_settled(core, vol))
			return;
		LIST_FOR_EACH_SAFE(it, &rs->marking) {
			start_write(core, vol, LIST_ENTRY(it, struct rs_request, link));
		}
	}
}

void target_bitmap_durable(struct core *core, struct volume *vol)
{
	LIST_FOR_EACH_SAFE(it, &vol->rs.marking) {
		start_write(core, vol, LIST_ENTRY(it, struct rs_request, link));
	}
	mark(core, vol);
}

void target_disk_gone(struct core *core, struct volume *vol)
{
	struct rs_volume *rs = &vol->rs;

	list_splice_back(&rs->written, &rs->replied);
	list_splice_back(&rs->written, &rs->marking);
	LIST_FOR_EACH(it, &rs->written) {
		struct rs_request *rq = LIST_ENTRY(it, struct rs_request, link);

		rq->state = RS_WRITTEN;
		rq->failed = true;
		core_payload_put(core, &rq->payload);
	}
	settle(core, vol);
}

static struct rs_request *find_request(const struct peer *peer, struct volume *vol,
				       const struct pkt_block *block)
{
	struct range *r = NULL;

	while ((r = range_map_overlap(&vol->rs.target_map, block->sector,
				      block->bytes / SECTOR_BYTES, r))) {
		struct rs_request *rq = CONTAINER_OF(r, struct rs_request, watch);

		if (rq->p == peer->id && rq->state == RS_REQUESTED && !rq->orphan &&
		    rq->sector == block->sector && rq->bytes == block->bytes &&
		    rs_id_matches(peer, rq, block->block_id))
			return rq;
	}
	return NULL;
}

static void no_such_request(struct core *core, struct peer *peer, const struct pkt *pkt)
{
	peer_fail(core, peer, CONN_PROTOCOL_ERROR,
		  "%s answered (%s) a request that does not exist: sector %llu, %u bytes",
		  peer->conf->name, packet_name(pkt->type),
		  (unsigned long long)pkt->u.block.sector, pkt->u.block.bytes);
}

static void reply_here(struct core *core, struct peer *peer, struct volume *vol,
		       struct rs_request *rq)
{
	peer->pd[vol->v].rs.in_sectors += rq->bytes / SECTOR_BYTES;
	rq->state = RS_REPLY_HERE;
	list_del(&rq->link);
	list_push_back(&vol->rs.replied, &rq->link);
	mark(core, vol);
}

static bool takes_replies(const struct core *core, const struct volume *vol)
{
	return vol_has_md(vol) && disk_of(core, vol) >= DISK_INCONSISTENT;
}

static void refuse_reply(struct core *core, struct volume *vol, struct rs_request *rq)
{
	rs_answer(core, rq, P_RS_NEG_ACK);
	finished(core, vol, rq);
}

void rx_rs_reply(struct core *core, struct peer *peer, const struct pkt *pkt)
{
	struct volume *vol = core_volume_by_vnr(core, pkt->vnr);
	struct payload payload = pkt->payload;
	struct rs_request *rq;

	rq = find_request(peer, vol, &pkt->u.block);
	if (!rq)
		no_such_request(core, peer, pkt);
	if (!rq || payload.bytes != rq->bytes || !takes_replies(core, vol)) {
		core_payload_put(core, &payload);
		if (rq)
			refuse_reply(core, vol, rq);
		return;
	}
	peer->pd[vol->v].received_sectors += rq->bytes / SECTOR_BYTES;
	rq->payload = payload;
	reply_here(core, peer, vol, rq);
}

void rx_rs_deallocated(struct core *core, struct peer *peer, const struct pkt *pkt)
{
	struct volume *vol = core_volume_by_vnr(core, pkt->vnr);
	struct rs_request *rq = find_request(peer, vol, &pkt->u.block);

	if (!rq || rq->kind != RS_THIN) {
		no_such_request(core, peer, pkt);
		return;
	}
	if (!takes_replies(core, vol)) {
		refuse_reply(core, vol, rq);
		return;
	}
	rq->zeroes = true;
	peer->pd[vol->v].rs.zero_bits += rq->bytes / BM_BLOCK_BYTES;
	reply_here(core, peer, vol, rq);
}

static void first_flush_done(struct core *core, struct volume *vol, unsigned p, int error)
{
	struct resync *rs = &core->peer[p]->pd[vol->v].rs;

	rs->flushes--;
	if (error) {
		rs->checksums = false;
		volume_store_error(core, vol, error, "flush before a resync");
	}
	core_work(core, WORK_SYNC);
	request_local_end(core, vol);
}

static void own_read(struct core *core, struct volume *vol, struct rs_request *rq,
		     const struct ev_done *done)
{
	struct peer_device *pd = &core->peer[rq->p]->pd[vol->v];
	struct payload payload = done->payload;

	core_payload_put(core, &payload);
	rq->digest_bytes = 0;
	/* None, when the peer has taken its csums-alg back in the meantime. */
	if (!done->error && done->digest_bytes && done->digest_bytes <= DIGEST_MAX_BYTES) {
		rq->digest_bytes = (uint8_t)done->digest_bytes;
		memcpy(rq->digest, done->digest, done->digest_bytes);
	}
	if (done->error)
		volume_io_error(core, vol, done->error, "read of the own data for a resync");
	/* What a write has changed since is asked for again. */
	if (rq->orphan || rq->failed || rq->superseded || repl_of(core, pd) != REPL_SYNC_TARGET)
		finished(core, vol, rq);
	else
		send_request(core, pd, vol, rq);
	request_local_end(core, vol);
}

void resync_write_done(struct core *core, const struct ev_done *done)
{
	uint64_t rest = tag_rest(done->tag);
	struct volume *vol = core->vol[rest >> 32];
	uint32_t index = (uint32_t)rest;
	struct rs_request *rq;

	if (index == FLUSH_INDEX) {
		flush_done(core, vol, done->error);
		return;
	}
	if (index >= FIRST_FLUSH_INDEX) {
		first_flush_done(core, vol, index - FIRST_FLUSH_INDEX, done->error);
		return;
	}
	ASSERT(index < vol->rs.target.made);
	rq = &vol->rs.target.items[index];
	if (rq->state == RS_DIGESTING) {
		own_read(core, vol, rq, done);
		return;
	}
	ASSERT(rq->state == RS_WRITING);
	hold_release(core, vol, &rq->hold);
	core_payload_put(core, &rq->payload);
	if (done->error) {
		volume_io_error(core, vol, done->error, "write of resynced data");
		rq->failed = true;
	}
	if (rq->orphan)
		rs_target_put(core, vol, rq);
	else
		to_settle(core, vol, rq);
	request_local_end(core, vol);
}

void rx_rs_negative(struct core *core, struct peer *peer, const struct pkt *pkt)
{
	struct volume *vol = core_volume_by_vnr(core, pkt->vnr);
	struct rs_request *rq = find_request(peer, vol, &pkt->u.block);

	if (!rq) {
		if (!verify_refused(core, peer, vol, &pkt->u.block))
			no_such_request(core, peer, pkt);
		return;
	}
	if (pkt->type == P_NEG_RS_DREPLY) {
		peer->pd[vol->v].rs.failed_bits +=
			(rq->bytes + BM_BLOCK_BYTES - 1) / BM_BLOCK_BYTES;
		core_log(core, LOG_LEVEL_WARNING, "%s/%u: %s cannot read sector %llu, %u bytes",
			 core->conf.name, vol->vnr, peer->conf->name,
			 (unsigned long long)rq->sector, rq->bytes);
	}
	finished(core, vol, rq);
}

/* The source has the same: both clear their bits, for what no write has changed meanwhile. */
void rx_rs_is_in_sync(struct core *core, struct peer *peer, const struct pkt *pkt)
{
	struct volume *vol = core_volume_by_vnr(core, pkt->vnr);
	struct rs_request *rq = find_request(peer, vol, &pkt->u.block);
	struct resync *rs = &peer->pd[vol->v].rs;

	if (!rq || !rq->digest_bytes) {
		no_such_request(core, peer, pkt);
		return;
	}
	rs->in_sectors += rq->bytes / SECTOR_BYTES;
	rs->same_bits += (rq->bytes + BM_BLOCK_BYTES - 1) / BM_BLOCK_BYTES;
	if (!rq->failed && !rq->superseded && !rq->dirtied)
		bitmap_clear(core, vol, source_slot(vol, peer->id), rq->sector,
			     rq->bytes / SECTOR_BYTES);
	finished(core, vol, rq);
}

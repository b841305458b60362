/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The source's side of a resync, and the reads of a verify: reads on account
 * of peers, replies, acknowledgements (wire-protocol 5.4, 5.5). */
#include <string.h>

#include "core/bitmap_io.h"
#include "core/cluster.h"
#include "core/core_hooks.h"
#include "core/drbd8.h"
#include "core/request.h"
#include "core/resync_int.h"
#include "core/state.h"

static uint32_t sectors_of(const struct rs_request *rq)
{
	return rq->bytes / SECTOR_BYTES;
}

/* ---- ends ---- */

void source_leave_window(struct volume *vol, const struct rs_request *rq)
{
	if (rq->state >= RS_WAIT_READ)
		vol->rs.source_window -= sectors_of(rq);
}

void source_end(struct core *core, struct volume *vol, struct rs_request *rq, unsigned answer)
{
	if (answer && !rq->orphan)
		rs_answer(core, rq, (enum packet)answer);
	source_leave_window(vol, rq);
	rs_source_put(core, vol, rq);
	request_kept_release(core);
	core_work(core, WORK_SYNC);
}

/* It is not served. */
static void cancel(struct core *core, struct volume *vol, struct rs_request *rq)
{
	if (rq->kind == RS_OV_SOURCE)
		verify_skip(core, vol, rq);
	else
		source_end(core, vol, rq, P_RS_CANCEL);
}

/* ---- reading ---- */

static bool serves(const struct core *core, const struct peer_device *pd, enum rs_kind kind)
{
	const struct volume *vol = core->vol[pd->v];

	if (!vol_has_md(vol) || disk_of(core, vol) < DISK_OUTDATED)
		return false;
	if (kind == RS_OV_TARGET)
		return core->peer[pd->p]->verify_alg[0];
	if (kind == RS_OV_SOURCE)
		return repl_of(core, pd) == REPL_VERIFY_S;
	return resync_is_source(repl_of(core, pd));
}

const char *resync_digest(const struct peer *peer)
{
	return peer->csums_alg[0] || !(peer->features & FEATURE_DRBDFS) ? peer->csums_alg :
									  peer->verify_alg;
}

/* What is wanted of the data that are read; NULL = nothing. */
static const char *digest_alg(const struct peer *peer, enum rs_kind kind)
{
	if (kind == RS_DATA || kind == RS_THIN || (kind == RS_CHECKSUM && !resync_digest(peer)[0]))
		return NULL;
	return kind == RS_CHECKSUM ? resync_digest(peer) : peer->verify_alg;
}

static void read_ready(struct core *core, struct volume *vol, struct hold *hold)
{
	struct rs_request *rq = CONTAINER_OF(hold, struct rs_request, hold);
	struct peer *peer = core->peer[rq->p];
	uint64_t tag = tag_make(TAG_RS_READ, (uint64_t)vol->v << 32 | rq->index);
	struct core_action *action;

	if (!serves(core, &peer->pd[vol->v], (enum rs_kind)rq->kind)) {
		cancel(core, vol, rq);
		return;
	}
	rq->state = RS_READING;
	/* What is marked from here on may not be in what we read. */
	rq->dirtied = false;
	if (rq->kind != RS_OV_SOURCE)
		rq->superseded = false;
	action = request_local_begin(core, vol, AC_DISK_READ, tag);
	action->u.disk.sector = rq->sector;
	action->u.disk.bytes = rq->bytes;
	action->u.disk.digest_alg = digest_alg(peer, (enum rs_kind)rq->kind);
	action->u.disk.find_zeroes = rq->kind == RS_THIN;
}

/*
 * A target of DRBD 9.0 or 9.1 lets no write into the 128 MiB around what it has asked for before
 * it has the answers (5.4), and it reads nothing that comes behind the barrier of such a write. So
 * a request is refused while a write is on its way that may be kept back there: what waits here for
 * that write would wait for itself, and so would an answer that is sent after it. And a write does
 * not go out before the answers to what is being read (resync_keeps_write()).
 */
static bool may_wait(const struct peer *peer)
{
	return (peer->features & FEATURE_RESYNC_DAGTAG) || peer_is_drbd8(peer);
}

static uint64_t lock_begin(uint64_t sector)
{
	return sector / RS_LOCK_SECTORS * RS_LOCK_SECTORS;
}

/* From lock_begin() to the end of the last extent of the range. */
static uint64_t lock_sectors(uint64_t sector, uint64_t sectors)
{
	return lock_begin(sector + sectors - 1) + RS_LOCK_SECTORS - lock_begin(sector);
}

static bool write_in_the_way(struct core *core, struct volume *vol, const struct rs_request *rq)
{
	const struct peer *peer = core->peer[rq->p];

	if (may_wait(peer) || rq->kind == RS_OV_SOURCE)
		return false;
	return hold_write_known(vol, rq->sector, sectors_of(rq)) ||
	       request_unwritten(core, peer, vol, lock_begin(rq->sector),
				 lock_sectors(rq->sector, sectors_of(rq)));
}

/*
 * DRBD 9.3 clears the bit of what it was sent when that is on its disk, also if it was told of a
 * later write meanwhile (5.9). Ours do not.
 */
static bool forgets_marks(const struct core *core, const struct rs_request *rq)
{
	return core->st.pd[rq->p][rq->v].no_data && !(core->peer[rq->p]->features & FEATURE_DRBDFS);
}

static bool overtakes_answer(const struct core *core, struct volume *vol, uint64_t sector,
			     uint64_t sectors)
{
	struct range *r = NULL;

	while ((r = range_map_overlap(&vol->rs.source_map, sector, sectors, r))) {
		const struct rs_request *rq = CONTAINER_OF(r, struct rs_request, watch);

		if (rq->state >= RS_REPLIED && rq->kind < RS_OV_SOURCE && !rq->orphan &&
		    forgets_marks(core, rq))
			return true;
	}
	return false;
}

bool resync_keeps_write(struct core *core, struct volume *vol, uint64_t sector, uint64_t sectors)
{
	uint64_t begin = lock_begin(sector), span = lock_sectors(sector, sectors);
	struct range *r, *next;
	bool keeps = false;

	if (!vol->rs.source_count || !request_local_writable(core, vol))
		return false;
	if (overtakes_answer(core, vol, sector, sectors))
		return true;
	for (r = range_map_overlap(&vol->rs.source_map, begin, span, NULL); r; r = next) {
		struct rs_request *rq = CONTAINER_OF(r, struct rs_request, watch);

		next = range_map_overlap(&vol->rs.source_map, begin, span, r);
		if (rq->orphan || rq->kind == RS_OV_SOURCE || may_wait(core->peer[rq->p]))
			continue;
		if (rq->state == RS_READING)
			keeps = true;
		else if (rq->state >= RS_WAIT_DAGTAG && rq->state < RS_READING)
			cancel(core, vol, rq);
	}
	return keeps;
}

void source_read(struct core *core, struct volume *vol, struct rs_request *rq)
{
	rq->state = RS_WAIT_READ;
	if (write_in_the_way(core, vol, rq)) {
		cancel(core, vol, rq);
		return;
	}
	hold_init(&rq->hold, HOLD_RS_READ, rq->sector, sectors_of(rq), read_ready);
	if (hold_acquire(core, vol, &rq->hold))
		read_ready(core, vol, &rq->hold);
}

static void start_read(struct core *core, struct volume *vol, struct rs_request *rq)
{
	list_del(&rq->link);
	list_push_back(&vol->rs.serving, &rq->link);
	vol->rs.source_window += sectors_of(rq);
	source_read(core, vol, rq);
}

static void end_said_same(struct core *core, struct volume *vol)
{
	LIST_FOR_EACH_SAFE(it, &vol->rs.said_same) {
		struct rs_request *rq = LIST_ENTRY(it, struct rs_request, link);

		if (keepalive_answered(core->peer[rq->p], rq->ping))
			source_end(core, vol, rq, 0);
	}
}

void source_run(struct core *core, struct volume *vol)
{
	struct list *first;

	end_said_same(core, vol);
	while ((first = list_first(&vol->rs.wait_window)) != NULL) {
		struct rs_request *rq = LIST_ENTRY(first, struct rs_request, link);

		if (vol->rs.source_window &&
		    vol->rs.source_window + sectors_of(rq) > RS_SOURCE_WINDOW_SECTORS)
			return;
		/* A Primary that is a target may wait for it. */
		if (core->st.peer[rq->p].role != ROLE_PRIMARY &&
		    rate_source_waits(core, vol, sectors_of(rq)))
			return;
		start_read(core, vol, rq);
	}
}

/* The stream that the peer refers to has reached the position here (5.4). */
static bool dependency_met(const struct core *core, const struct rs_request *rq)
{
	const struct peer *primary;

	/* Of our own stream: overlapping writes hold their range until they are on disk. */
	if (!rq->dagtag || rq->dagtag_node >= NODES_MAX || rq->dagtag_node == core->self)
		return true;
	primary = core->peer[rq->dagtag_node];
	return !primary || !peer_connected(core, primary) ||
	       peer_rx_dagtag(primary) >= rq->dagtag;
}

void source_queue(struct core *core, struct volume *vol, struct rs_request *rq)
{
	list_del(&rq->link);
	if (dependency_met(core, rq)) {
		rq->state = RS_WAIT_WINDOW;
		list_push_back(&vol->rs.wait_window, &rq->link);
		core_work(core, WORK_SYNC);
	} else {
		rq->state = RS_WAIT_DAGTAG;
		rq->since_ns = core->now_ns;
		list_push_back(&vol->rs.wait_dagtag, &rq->link);
	}
}

void resync_dagtag_reached(struct core *core, struct peer *peer)
{
	FOR_EACH_VOLUME(core, vol) {
		LIST_FOR_EACH_SAFE(it, &vol->rs.wait_dagtag) {
			struct rs_request *rq = LIST_ENTRY(it, struct rs_request, link);

			if (rq->dagtag_node == peer->id && dependency_met(core, rq))
				source_queue(core, vol, rq);
		}
	}
}

static uint64_t dagtag_deadline(const struct volume *vol)
{
	const struct list *first = vol->rs.wait_dagtag.next;

	if (first == &vol->rs.wait_dagtag)
		return NEVER_NS;
	return LIST_ENTRY(first, const struct rs_request, link)->since_ns + RS_DAGTAG_WAIT_NS;
}

uint64_t source_deadline(const struct volume *vol)
{
	uint64_t again_ns = vol->rs.read_again_ns ? vol->rs.read_again_ns : NEVER_NS;
	uint64_t dagtag_ns = dagtag_deadline(vol);

	return dagtag_ns < again_ns ? dagtag_ns : again_ns;
}

void source_time(struct core *core, struct volume *vol)
{
	if (vol->rs.read_again_ns && core->now_ns >= vol->rs.read_again_ns) {
		vol->rs.read_again_ns = 0;
		core_work(core, WORK_SYNC);
	}
	while (core->now_ns >= dagtag_deadline(vol))
		cancel(core, vol,
		       LIST_ENTRY(vol->rs.wait_dagtag.next, struct rs_request, link));
}

void source_dependency_lost(struct core *core, unsigned node)
{
	FOR_EACH_VOLUME(core, vol) {
		LIST_FOR_EACH_SAFE(it, &vol->rs.wait_dagtag) {
			struct rs_request *rq = LIST_ENTRY(it, struct rs_request, link);

			if (rq->dagtag_node == node)
				cancel(core, vol, rq);
		}
	}
}

/* ---- packets ---- */

static void refuse(struct core *core, struct peer *peer, const struct volume *vol,
		   const struct pkt_block *block)
{
	struct rs_request rq = {
		.p = peer->id,
		.v = vol->v,
		.sector = block->sector,
		.bytes = block->bytes,
		.block_id = block->block_id,
	};

	rs_answer(core, &rq, P_RS_CANCEL);
}

static enum rs_kind kind_of(unsigned type)
{
	if (type == P_OV_REQUEST || type == P_OV_DAGTAG_REQ)
		return RS_OV_TARGET;
	if (type == P_RS_THIN_REQ || type == P_RS_THIN_DAGTAG_REQ)
		return RS_THIN;
	return type == P_CSUM_RS_REQUEST || type == P_RS_CSUM_DAGTAG_REQ ? RS_CHECKSUM : RS_DATA;
}

void source_note(struct rs_request *rq, const struct pkt *pkt)
{
	const struct pkt_block *block = &pkt->u.block;

	/* Without the feature both are 0. */
	rq->dagtag = block->dagtag;
	rq->dagtag_node = block->dagtag_node < NODES_MAX ? (uint8_t)block->dagtag_node : NODES_MAX;
	rq->digest_bytes = 0;
	if (pkt->var_bytes && pkt->var_bytes <= DIGEST_MAX_BYTES) {
		rq->digest_bytes = (uint8_t)pkt->var_bytes;
		memcpy(rq->digest, pkt->var, pkt->var_bytes);
	}
}

void rx_rs_request(struct core *core, struct peer *peer, const struct pkt *pkt)
{
	struct volume *vol = core_volume_by_vnr(core, pkt->vnr);
	const struct pkt_block *block = &pkt->u.block;
	enum rs_kind kind = kind_of(pkt->type);
	struct rs_request *rq = NULL;

	if (!vol || !rs_range_ok(vol, block)) {
		peer_fail(
			core, peer, CONN_PROTOCOL_ERROR,
			"%s asked for sector %llu, %u bytes: beyond the device or too large",
			peer->conf->name, (unsigned long long)block->sector, block->bytes);
		return;
	}
	if (kind == RS_OV_TARGET)
		verify_requested(core, &peer->pd[vol->v], block);
	if (serves(core, &peer->pd[vol->v], kind))
		rq = rs_source_get(vol, block->sector, block->bytes, kind);
	if (!rq) {
		refuse(core, peer, vol, block);
		return;
	}
	rq->p = peer->id;
	rq->block_id = block->block_id;
	source_note(rq, pkt);
	/* At once: the window may be full of what waits for the application. */
	if (write_in_the_way(core, vol, rq)) {
		rq->state = RS_WAIT_WINDOW;
		cancel(core, vol, rq);
		return;
	}
	source_queue(core, vol, rq);
}

static void send_reply(struct core *core, struct volume *vol, struct rs_request *rq,
		       struct payload payload)
{
	struct peer *peer = core->peer[rq->p];
	struct pkt pkt = { .type = P_RS_DATA_REPLY, .vnr = vol->vnr, .payload = payload };

	pkt.u.block.sector = rq->sector;
	pkt.u.block.bytes = rq->bytes;
	pkt.u.block.block_id = peer->apv >= 122 ? rq->block_id : UINT64_MAX;
	core_send(core, peer, STREAM_DATA, &pkt);
	peer->pd[vol->v].sent_sectors += sectors_of(rq);
	rq->state = RS_REPLIED;
}

/* It is to punch a hole. Acknowledged like data. */
static void send_zeroes(struct core *core, struct volume *vol, struct rs_request *rq)
{
	struct peer *peer = core->peer[rq->p];
	struct pkt pkt = { .type = P_RS_DEALLOCATED, .vnr = vol->vnr };

	if (peer->apv >= 122)
		pkt.type = P_RS_DEALLOCATED_ID;
	pkt.u.block.sector = rq->sector;
	pkt.u.block.bytes = rq->bytes;
	pkt.u.block.block_id = rq->block_id;
	core_send(core, peer, STREAM_DATA, &pkt);
	peer->pd[vol->v].rs.zero_bits += (sectors_of(rq) + BM_BLOCK_SECTORS - 1) /
					 BM_BLOCK_SECTORS;
	rq->state = RS_REPLIED;
}

static void read_failed(struct core *core, struct volume *vol, struct rs_request *rq, int error)
{
	volume_io_error(core, vol, error, "read for a peer");
	bitmap_set(core, vol, SLOTS_ALL, rq->sector, sectors_of(rq));
	if (rq->kind < RS_OV_SOURCE)
		source_end(core, vol, rq, P_NEG_RS_DREPLY);
	else
		verify_read_done(core, vol, rq, NULL, 0);
}

static bool is_same(const struct rs_request *rq, const struct ev_done *done)
{
	return rq->kind == RS_CHECKSUM && done->digest_bytes &&
	       done->digest_bytes == rq->digest_bytes &&
	       !memcmp(done->digest, rq->digest, done->digest_bytes);
}

/* The target has the same already. */
static void reply_in_sync(struct core *core, struct volume *vol, struct rs_request *rq)
{
	struct peer *peer = core->peer[rq->p];

	bitmap_clear(core, vol, bitmap_slots_of(vol, node_bit(peer->id)), rq->sector,
		     sectors_of(rq));
	peer->pd[vol->v].rs.same_bits += (sectors_of(rq) + BM_BLOCK_SECTORS - 1) /
					 BM_BLOCK_SECTORS;
	if (!forgets_marks(core, rq)) {
		source_end(core, vol, rq, P_RS_IS_IN_SYNC);
		return;
	}
	/* It has no ack, and what it is told on the other stream after it may arrive before it. */
	rs_answer(core, rq, P_RS_IS_IN_SYNC);
	rq->state = RS_SAID_SAME;
	rq->ping = keepalive_ping(core, peer);
	list_del(&rq->link);
	list_push_back(&vol->rs.said_same, &rq->link);
}

/*
 * A write that came after the read went out before the reply: a target would put the older data on
 * top of it. DRBD 8.4 and 9.2 rely on the order of what they get. DRBD 9.0 and 9.1 do not, their
 * write waits for the reply.
 */
static bool too_old(const struct core *core, const struct rs_request *rq)
{
	return rq->superseded && may_wait(core->peer[rq->p]);
}

void resync_read_done(struct core *core, const struct ev_done *done)
{
	uint64_t rest = tag_rest(done->tag);
	struct volume *vol = core->vol[rest >> 32];
	struct rs_request *rq = &vol->rs.source.items[(uint32_t)rest];
	struct payload payload = done->payload;

	ASSERT((uint32_t)rest < vol->rs.source.made && rq->state == RS_READING);
	hold_release(core, vol, &rq->hold);
	if (rq->orphan)
		source_end(core, vol, rq, 0);
	else if (done->error)
		read_failed(core, vol, rq, done->error);
	else if (!serves(core, &core->peer[rq->p]->pd[vol->v], (enum rs_kind)rq->kind))
		cancel(core, vol, rq);
	else if (rq->kind >= RS_OV_SOURCE)
		verify_read_done(core, vol, rq, done->digest, done->digest_bytes);
	else if (is_same(rq, done) && !rq->dirtied)
		reply_in_sync(core, vol, rq);
	else if (too_old(core, rq))
		source_read(core, vol, rq);
	else if (done->zeroes)
		send_zeroes(core, vol, rq);
	else
		send_reply(core, vol, rq, payload);
	core_payload_put(core, &payload);
	request_kept_release(core);
	request_local_end(core, vol);
}

struct rs_request *source_find(const struct peer *peer, struct volume *vol,
			       const struct pkt_block *block, enum rs_state state,
			       bool (*is_kind)(enum rs_kind kind), bool by_id)
{
	struct range *r = NULL;

	while ((r = range_map_overlap(&vol->rs.source_map, block->sector,
				      block->bytes / SECTOR_BYTES, r))) {
		struct rs_request *rq = CONTAINER_OF(r, struct rs_request, watch);

		if (rq->p == peer->id && rq->state == state && is_kind((enum rs_kind)rq->kind) &&
		    rq->sector == block->sector && rq->bytes == block->bytes &&
		    (!by_id || rs_id_matches(peer, rq, block->block_id)))
			return rq;
	}
	return NULL;
}

static bool is_resync(enum rs_kind kind)
{
	return kind < RS_OV_SOURCE;
}

void rx_rs_ack(struct core *core, struct peer *peer, const struct pkt *pkt)
{
	struct volume *vol = core_volume_by_vnr(core, pkt->vnr);
	struct rs_request *rq;

	/* The ack of a write that leaves both in sync has a packet of its own from 122 on. */
	if (peer->apv < 122 && pkt->u.block.block_id != UINT64_MAX) {
		rx_block_ack(core, peer, pkt);
		return;
	}
	rq = vol ? source_find(peer, vol, &pkt->u.block, RS_REPLIED, is_resync, true) : NULL;
	if (!rq) {
		peer_fail(core, peer, CONN_PROTOCOL_ERROR,
			  "%s acknowledged a resync reply that was not sent: sector %llu, %u bytes",
			  peer->conf->name, (unsigned long long)pkt->u.block.sector,
			  pkt->u.block.bytes);
		return;
	}
	if (pkt->type == P_RS_WRITE_ACK && !rq->dirtied)
		bitmap_clear(core, vol, bitmap_slots_of(vol, node_bit(peer->id)), rq->sector,
			     sectors_of(rq));
	source_end(core, vol, rq, 0);
}

/* ---- the end of serving ---- */

static void drop_list(struct core *core, struct volume *vol, struct list *list, unsigned p,
		      bool connected)
{
	LIST_FOR_EACH_SAFE(it, list) {
		struct rs_request *rq = LIST_ENTRY(it, struct rs_request, link);

		if (rq->p != p)
			continue;
		if (rq->state == RS_READING)
			rq->orphan |= !connected;
		else if (!connected)
			source_end(core, vol, rq, 0);
		else if (rq->state < RS_REPLIED && rq->state != RS_OV_ASKED)
			cancel(core, vol, rq);
	}
}

void source_drop(struct core *core, struct peer_device *pd, bool connected)
{
	struct volume *vol = core->vol[pd->v];

	drop_list(core, vol, &vol->rs.wait_dagtag, pd->p, connected);
	drop_list(core, vol, &vol->rs.wait_window, pd->p, connected);
	drop_list(core, vol, &vol->rs.serving, pd->p, connected);
	drop_list(core, vol, &vol->rs.said_same, pd->p, connected);
	drop_list(core, vol, &vol->rs.ov_asked, pd->p, connected);
	drop_list(core, vol, &vol->rs.ov_again, pd->p, connected);
	request_kept_release(core);
}

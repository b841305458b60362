/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Online verify (wire-protocol 5.10): its source asks for digests, compares them with its own and
 * tells the results; its target reads and answers. What differs is marked on both sides.
 *
 * Both read the same writes or none. The target reads behind all writes that the source had sent or
 * received, the source behind all that the target had. A write that comes while the target reads
 * makes it read again; one that comes to the source between its request and the end of its read
 * makes it ask again (a DRBD kernel counts each request, so there the block is skipped).
 */
#include <string.h>

#include "core/bitmap_io.h"
#include "core/cluster.h"
#include "core/core_hooks.h"
#include "core/drbd8.h"
#include "core/resync_int.h"
#include "core/state.h"

#define KICK_NS (10 * NS_PER_MS)
#define REQUESTS_MAX 512U
#define ASKS_MAX 50U           /* for a block that writes come in the way of */
#define READS_MAX 20U          /* for one request */

/* Block ids of P_OV_RESULT. */
#define RESULT_ID_FIRST 4710U  /* + enum verify_result */

enum verify_result { VERIFY_SKIPPED, VERIFY_IN_SYNC, VERIFY_OUT_OF_SYNC };

bool verify_is_running(enum repl_state repl)
{
	return repl == REPL_VERIFY_S || repl == REPL_VERIFY_T;
}

static bool is_ov_source(enum rs_kind kind)
{
	return kind == RS_OV_SOURCE;
}

static bool is_ov_target(enum rs_kind kind)
{
	return kind == RS_OV_TARGET;
}

static uint32_t sectors_of(const struct rs_request *rq)
{
	return rq->bytes / SECTOR_BYTES;
}

/* ---- progress and results ---- */

/* One line for each range, however many blocks it has. */
static void log_range(struct core *core, struct peer_device *pd)
{
	struct verify *ov = &pd->ov;

	if (ov->range_sectors)
		core_log(core, LOG_LEVEL_WARNING,
			 "%s/%u %s: out of sync: sector %llu, %llu sectors", core->conf.name,
			 core->vol[pd->v]->vnr, core->peer[pd->p]->conf->name,
			 (unsigned long long)ov->range_sector,
			 (unsigned long long)ov->range_sectors);
	ov->range_sectors = 0;
}

static void mark(struct core *core, struct peer_device *pd, const struct rs_request *rq)
{
	struct volume *vol = core->vol[pd->v];
	struct verify *ov = &pd->ov;
	uint32_t slot = bitmap_slots_of(vol, node_bit(pd->p));
	bool before = rq->sector + sectors_of(rq) == ov->range_sector;

	if (!before && ov->range_sector + ov->range_sectors != rq->sector)
		log_range(core, pd);
	if (before || !ov->range_sectors)
		ov->range_sector = rq->sector;
	ov->range_sectors += sectors_of(rq);
	ov->found_bits++;
	/*
	 * What was marked before is resynced without being asked for. Of what is marked there only
	 * the number is known here: who takes that for found, and does not let go of it, is in the
	 * way of that resync, which the other one waits for. What is more than that is found.
	 */
	if (ov->found_bits > ov->marked && !bitmap_test(vol, slot, rq->sector, sectors_of(rq)))
		ov->found = true;
	bitmap_set(core, vol, slot, rq->sector, sectors_of(rq));
}

static void count(struct core *core, struct peer_device *pd, const struct rs_request *rq,
		  enum verify_result result)
{
	if (pd->ov.left_bits)
		pd->ov.left_bits--;
	if (result == VERIFY_OUT_OF_SYNC)
		mark(core, pd, rq);
	else if (result == VERIFY_SKIPPED)
		pd->ov.skipped_bits++;
}

/* ---- begin and end ---- */

void verify_enter(struct core *core, struct peer_device *pd)
{
	struct volume *vol = core->vol[pd->v];
	struct verify *ov = &pd->ov;
	bool source = repl_of(core, pd) == REPL_VERIFY_S;

	/* The target gets to know the range with the first request. */
	if (!source) {
		ov->start_bit = 0;
		ov->end_bit = vol->bm.bits;
	}
	if (ov->end_bit > vol->bm.bits)
		ov->end_bit = vol->bm.bits;
	if (ov->start_bit >= ov->end_bit)
		ov->start_bit = 0;
	ov->next_bit = ov->start_bit;
	ov->left_bits = ov->end_bit - ov->start_bit;
	ov->found_bits = ov->skipped_bits = 0;
	ov->range_sectors = 0;
	ov->marked = ov->found ? 0 : pd->uuids.dirty_bits;
	ov->target_started = false;
	resync_begin(core, pd);
	if (!source)
		return;
	rate_reset(core, pd);
	pd->rs.tick_at_ns = core->now_ns;
	core_log(core, LOG_LEVEL_NOTICE, "%s/%u %s: verify begins at sector %llu", core->conf.name,
		 vol->vnr, core->peer[pd->p]->conf->name,
		 (unsigned long long)(ov->start_bit * BM_BLOCK_SECTORS));
}

void verify_size_changed(struct core *core, struct volume *vol)
{
	FOR_EACH_PEER(core, peer) {
		struct verify *ov = &peer->pd[vol->v].ov;
		uint64_t gone = ov->end_bit > vol->bm.bits ? ov->end_bit - vol->bm.bits : 0;

		ov->end_bit -= gone;
		ov->left_bits -= gone < ov->left_bits ? gone : ov->left_bits;
	}
}

/* Everything below has been compared or given up. */
static uint64_t reached_bit(const struct volume *vol, const struct peer_device *pd)
{
	uint64_t bit = pd->ov.next_bit;

	for (uint32_t i = 0; i < vol->rs.source.made; i++) {
		const struct rs_request *rq = &vol->rs.source.items[i];

		if (rq->state != RS_FREE && rq->kind == RS_OV_SOURCE && rq->p == pd->p &&
		    rq->sector / BM_BLOCK_SECTORS < bit)
			bit = rq->sector / BM_BLOCK_SECTORS;
	}
	return bit;
}

/* The last one, as the status shows it. Whole: up to the end, and what is before its start was
 * compared by one that was ended. */
static void note_result(struct core *core, struct peer_device *pd, bool connected)
{
	const struct volume *vol = core->vol[pd->v];
	struct verify *ov = &pd->ov;

	ov->last.ended_ns = core->now_ns;
	ov->last.whole = connected && vol_has_md(vol) && ov->next_bit >= vol->bm.bits &&
			 !ov->elsewhere;
	ov->last.found_bits = ov->found_bits;
	ov->last.skipped_bits = ov->skipped_bits;
	if (ov->last.whole)
		verify_schedule_next(core, pd);
	if (ov->found_bits)
		history_differences(core, pd);
	if (ov->found_bits && connected)
		handler_call(core, HANDLER_OUT_OF_SYNC, core->peer[pd->p], vol);
	core->notify = true;
}

static void log_end(struct core *core, struct peer_device *pd)
{
	const struct volume *vol = core->vol[pd->v];
	const struct verify *ov = &pd->ov;

	core_log(core, ov->found_bits ? LOG_LEVEL_WARNING : LOG_LEVEL_NOTICE,
		 "%s/%u %s: verify %s sector %llu: %llu blocks of 4 KiB out of sync, %llu skipped "
		 "because of writes",
		 core->conf.name, vol->vnr, core->peer[pd->p]->conf->name,
		 ov->next_bit >= ov->end_bit ? "done up to" : "ended at",
		 (unsigned long long)(ov->next_bit * BM_BLOCK_SECTORS),
		 (unsigned long long)ov->found_bits, (unsigned long long)ov->skipped_bits);
}

void verify_leave(struct core *core, struct peer_device *pd, enum repl_state old, bool connected)
{
	struct volume *vol = core->vol[pd->v];
	struct verify *ov = &pd->ov;
	bool source = old == REPL_VERIFY_S;

	if (source)
		ov->next_bit = reached_bit(vol, pd);
	source_drop(core, pd, connected);
	pd->rs.running = false;
	pd->rs.tick_at_ns = NEVER_NS;
	log_range(core, pd);
	if (source)
		log_end(core, pd);
	note_result(core, pd, connected);
	/* Of all that was to be compared; else what was found stays marked. When the ping is
	 * answered the peer has heard of all that was found; later it would mark that for ever. */
	if (source && ov->repair && connected && ov->next_bit >= ov->end_bit && ov->found_bits) {
		ov->repair_due = true;
		ov->ping = keepalive_ping(core, core->peer[pd->p]);
	}
	ov->repair = ov->elsewhere = false;
	/* The next one begins where this one was ended. */
	if (!source || ov->next_bit >= vol->bm.bits)
		ov->next_bit = 0;
}

/*
 * The next handshake decides about what was found. DRBD 8.4 does not look at bits where the
 * generations are equal; so a Primary of it makes a new one when its peer leaves.
 */
void verify_peer_lost(struct core *core, struct peer_device *pd)
{
	if (pd->ov.found && peer_is_drbd8(core->peer[pd->p]))
		core->resync_wants_uuid = true;
	pd->ov.found = pd->ov.repair_due = pd->ov.begin_due = false;
}

static void end_verify(struct core *core, struct peer_device *pd)
{
	struct state *next = state_begin(core);

	next->pd[pd->p][pd->v].repl = REPL_ESTABLISHED;
	state_end(core, STATE_HARD);
}

void verify_alg_changed(struct core *core, struct peer *peer)
{
	FOR_EACH_VOLUME(core, vol) {
		if (repl_of(core, &peer->pd[vol->v]) == REPL_VERIFY_S)
			end_verify(core, &peer->pd[vol->v]);
	}
}

/* Only what both vouch for is compared. */
static bool may_go_on(const struct core *core, const struct peer_device *pd)
{
	return disk_of(core, core->vol[pd->v]) == DISK_UP_TO_DATE &&
	       pdsk_of(core, pd) == DISK_UP_TO_DATE && !core->reconcile.pending;
}

void verify_run(struct core *core, struct peer_device *pd)
{
	struct resync *rs = &pd->rs;
	const struct verify *ov = &pd->ov;

	if (!may_go_on(core, pd)) {
		end_verify(core, pd);
		return;
	}
	if (repl_of(core, pd) == REPL_VERIFY_T)
		return;
	if (ov->next_bit >= ov->end_bit) {
		if (!ov->requests)
			end_verify(core, pd);
		return;
	}
	/* All that was asked for is here early: do not wait for the tick. */
	if (!rs->in_flight_sectors && rs->last_tick_ns + KICK_NS < rs->tick_at_ns)
		rs->tick_at_ns = rs->last_tick_ns + KICK_NS;
	if (core->now_ns >= rs->tick_at_ns)
		verify_time(core, pd);
}

/* ---- source: asking ---- */

static void finished(struct core *core, struct volume *vol, struct rs_request *rq,
		     enum verify_result result)
{
	struct peer_device *pd = &core->peer[rq->p]->pd[vol->v];

	if (repl_of(core, pd) == REPL_VERIFY_S)
		count(core, pd, rq, result);
	source_end(core, vol, rq, 0);
}

void verify_source_freed(struct core *core, const struct volume *vol, const struct rs_request *rq)
{
	struct peer_device *pd = &core->peer[rq->p]->pd[vol->v];

	ASSERT(pd->ov.requests > 0);
	pd->ov.requests--;
	if (rq->state == RS_OV_ASKED)
		pd->rs.in_flight_sectors -= sectors_of(rq);
}

static void later(struct volume *vol, struct rs_request *rq)
{
	rq->state = RS_OV_AGAIN;
	list_del(&rq->link);
	list_push_back(&vol->rs.ov_again, &rq->link);
}

static void ask(struct core *core, struct peer_device *pd, struct volume *vol,
		struct rs_request *rq)
{
	struct peer *peer = core->peer[pd->p];
	struct pkt pkt = { .type = P_OV_REQUEST, .vnr = vol->vnr };

	rq->tries++;
	/* It may be under way to the peer, and come behind our request. */
	if (hold_write_known(vol, rq->sector, sectors_of(rq))) {
		if (rq->tries < ASKS_MAX)
			later(vol, rq);
		else
			finished(core, vol, rq, VERIFY_SKIPPED);
		return;
	}
	rq->state = RS_OV_ASKED;
	rq->superseded = false;
	rq->block_id = rs_block_id(vol, rq);
	list_del(&rq->link);
	list_push_back(&vol->rs.ov_asked, &rq->link);
	pd->rs.in_flight_sectors += sectors_of(rq);
	pkt.u.block.sector = rq->sector;
	pkt.u.block.bytes = rq->bytes;
	pkt.u.block.block_id = peer->apv >= 122 ? rq->block_id : UINT64_MAX;
	if (peer->features & FEATURE_RESYNC_DAGTAG) {
		pkt.type = P_OV_DAGTAG_REQ;
		rs_set_dependency(core, &pkt.u.block);
	}
	core_send(core, peer, STREAM_DATA, &pkt);
}

/* False: no more now. */
static bool ask_next(struct core *core, struct peer_device *pd, struct volume *vol)
{
	struct verify *ov = &pd->ov;
	uint64_t sector = ov->next_bit * BM_BLOCK_SECTORS, sectors = BM_BLOCK_SECTORS;
	struct rs_request *rq;

	if (ov->next_bit >= ov->end_bit || ov->requests >= REQUESTS_MAX)
		return false;
	if (sectors > vol->size_sectors - sector)
		sectors = vol->size_sectors - sector;
	rq = rs_source_get(vol, sector, (uint32_t)(sectors * SECTOR_BYTES), RS_OV_SOURCE);
	if (!rq)
		return false;
	rq->p = pd->p;
	ov->requests++;
	ov->next_bit++;
	rq->state = RS_OV_AGAIN;
	ask(core, pd, vol, rq);
	return true;
}

static void ask_again(struct core *core, struct peer_device *pd, struct volume *vol)
{
	struct list now;

	list_init(&now);
	list_splice_back(&now, &vol->rs.ov_again);
	while (!list_empty(&now)) {
		struct list *it = now.next;
		struct rs_request *rq = LIST_ENTRY(it, struct rs_request, link);

		list_del(it);
		if (rq->p == pd->p)
			ask(core, pd, vol, rq);
		else
			list_push_back(&vol->rs.ov_again, it);
	}
}

void verify_time(struct core *core, struct peer_device *pd)
{
	struct volume *vol = core->vol[pd->v];
	uint64_t blocks;

	if (core->now_ns < pd->rs.tick_at_ns)
		return;
	pd->rs.tick_at_ns = core->now_ns + RS_TICK_NS;
	if (!may_go_on(core, pd) || !vol->size_sectors)
		return;
	blocks = rate_tick(core, pd) / BM_BLOCK_SECTORS;
	ask_again(core, pd, vol);
	do {
		if (!ask_next(core, pd, vol))
			break;
	} while (blocks-- > 1);
	core_work(core, WORK_SYNC);
}

/* ---- source: replies ---- */

static void tell_result(struct core *core, const struct volume *vol, const struct rs_request *rq,
			enum verify_result result)
{
	struct peer *peer = core->peer[rq->p];
	struct pkt pkt = { .type = P_OV_RESULT, .vnr = vol->vnr };

	pkt.u.block.sector = rq->sector;
	pkt.u.block.bytes = rq->bytes;
	pkt.u.block.block_id = RESULT_ID_FIRST + (unsigned)result;
	pkt.u.block.seq = ++peer->pd[rq->v].seq_tx;
	if (peer->apv >= 122) {
		pkt.type = P_OV_RESULT_ID;
		pkt.u.block.block_id = rq->block_id;
		pkt.u.block.ov_result = result;
	}
	core_send(core, peer, STREAM_CONTROL, &pkt);
}

/* It follows what is asked for, not how often. */
static bool may_ask_again(const struct core *core, const struct peer_device *pd,
			  const struct rs_request *rq)
{
	return repl_of(core, pd) == REPL_VERIFY_S && rq->tries < ASKS_MAX && pd->uuids_valid &&
	       pd->uuids.flags & UUID_FLAG_KEEPS_BITS;
}

/* Takes it out of what is being asked or read. */
static void not_compared(struct core *core, struct volume *vol, struct rs_request *rq)
{
	struct peer_device *pd = &core->peer[rq->p]->pd[vol->v];

	if (!may_ask_again(core, pd, rq)) {
		finished(core, vol, rq, VERIFY_SKIPPED);
		return;
	}
	source_leave_window(vol, rq);
	hold_release(core, vol, &rq->hold);
	later(vol, rq);
	core_work(core, WORK_SYNC);
}

void verify_skip(struct core *core, struct volume *vol, struct rs_request *rq)
{
	/* The peer waits for it once it has answered. */
	if (rq->state != RS_OV_AGAIN)
		tell_result(core, vol, rq, VERIFY_SKIPPED);
	not_compared(core, vol, rq);
}

static void reply_came(struct core *core, struct volume *vol, struct rs_request *rq)
{
	struct peer_device *pd = &core->peer[rq->p]->pd[vol->v];

	pd->rs.in_flight_sectors -= sectors_of(rq);
	pd->rs.in_sectors += sectors_of(rq);
	rq->state = RS_WAIT_DAGTAG;
	core_work(core, WORK_SYNC);
}

bool verify_refused(struct core *core, struct peer *peer, struct volume *vol,
		    const struct pkt_block *block)
{
	struct rs_request *rq = source_find(peer, vol, block, RS_OV_ASKED, is_ov_source, true);

	if (!rq)
		return false;
	reply_came(core, vol, rq);
	not_compared(core, vol, rq);
	return true;
}

void rx_ov_reply(struct core *core, struct peer *peer, const struct pkt *pkt)
{
	struct volume *vol = core_volume_by_vnr(core, pkt->vnr);
	const struct pkt_block *block = &pkt->u.block;
	struct rs_request *rq = source_find(peer, vol, block, RS_OV_ASKED, is_ov_source, true);

	if (!rq) {
		peer_fail(core, peer, CONN_PROTOCOL_ERROR,
			  "%s answered a verify request that does not exist: sector %llu, %u bytes",
			  peer->conf->name, (unsigned long long)block->sector, block->bytes);
		return;
	}
	reply_came(core, vol, rq);
	if (rq->superseded || repl_of(core, &peer->pd[vol->v]) != REPL_VERIFY_S) {
		verify_skip(core, vol, rq);
		return;
	}
	source_note(rq, pkt);
	source_queue(core, vol, rq);
}

static void source_read_done(struct core *core, struct volume *vol, struct rs_request *rq,
			     const uint8_t *digest, uint32_t digest_bytes)
{
	bool equal = digest && digest_bytes && digest_bytes == rq->digest_bytes &&
		     !memcmp(digest, rq->digest, digest_bytes);
	enum verify_result result = equal ? VERIFY_IN_SYNC : VERIFY_OUT_OF_SYNC;

	/* Or the disk is given up, because it could not be read. */
	if (rq->superseded || repl_of(core, &core->peer[rq->p]->pd[vol->v]) != REPL_VERIFY_S) {
		verify_skip(core, vol, rq);
		return;
	}
	tell_result(core, vol, rq, result);
	finished(core, vol, rq, result);
}

/* ---- target ---- */

void verify_requested(struct core *core, struct peer_device *pd, const struct pkt_block *block)
{
	struct verify *ov = &pd->ov;
	uint64_t bit = block->sector / BM_BLOCK_SECTORS;
	uint64_t end = bit + (block->bytes + BM_BLOCK_BYTES - 1) / BM_BLOCK_BYTES;

	if (repl_of(core, pd) != REPL_VERIFY_T)
		return;
	if (ov->next_bit < end)
		ov->next_bit = end;
	if (ov->target_started)
		return;
	ov->target_started = true;
	ov->start_bit = bit;
	ov->left_bits = ov->end_bit - ov->start_bit;
	pd->rs.total_bits = ov->left_bits;
}

/* A digest of nothing but zeroes stands for a block that cannot be read. */
static void send_digest(struct core *core, struct volume *vol, struct rs_request *rq,
			const uint8_t *digest, uint32_t digest_bytes)
{
	struct peer *peer = core->peer[rq->p];
	struct pkt pkt = { .type = P_OV_REPLY, .vnr = vol->vnr };
	uint8_t *copy = core_scratch(core, DIGEST_MAX_BYTES);

	if (digest)
		memcpy(copy, digest, digest_bytes);
	pkt.var = copy;
	pkt.var_bytes = digest_bytes;
	pkt.u.block.sector = rq->sector;
	pkt.u.block.bytes = rq->bytes;
	/* Echoed in every version, all bits set by the old ones. */
	pkt.u.block.block_id = rq->block_id;
	if (peer->features & FEATURE_RESYNC_DAGTAG) {
		pkt.type = P_OV_DAGTAG_REPLY;
		rs_set_dependency(core, &pkt.u.block);
	}
	core_send(core, peer, STREAM_DATA, &pkt);
	rq->overwritten = false;
	rq->state = RS_REPLIED;
}

static void target_read_done(struct core *core, struct volume *vol, struct rs_request *rq,
			     const uint8_t *digest, uint32_t digest_bytes)
{
	const struct peer *peer = core->peer[rq->p];
	bool written = rq->superseded || hold_write_known(vol, rq->sector, sectors_of(rq));

	if (!digest)
		digest_bytes = (uint32_t)core->conf.crypto.digest_bytes(core->conf.crypto.ctx,
									peer->verify_alg);
	/* The name was changed here to one that is not known: the connection ends by that. */
	if (!digest_bytes)
		source_end(core, vol, rq, P_RS_CANCEL);
	else if (written && digest && ++rq->tries < READS_MAX)
		source_read(core, vol, rq);
	/* DRBD 8.4 would wait for ever. */
	else if (written && digest && peer->apv >= 110)
		source_end(core, vol, rq, P_RS_CANCEL);
	else
		send_digest(core, vol, rq, digest, digest_bytes);
}

void verify_read_done(struct core *core, struct volume *vol, struct rs_request *rq,
		      const uint8_t *digest, uint32_t digest_bytes)
{
	if (rq->kind == RS_OV_SOURCE)
		source_read_done(core, vol, rq, digest, digest_bytes);
	else
		target_read_done(core, vol, rq, digest, digest_bytes);
}

static enum verify_result result_of(const struct pkt *pkt)
{
	uint64_t id = pkt->u.block.block_id;

	if (pkt->type == P_OV_RESULT_ID)
		return (enum verify_result)pkt->u.block.ov_result;
	return id >= RESULT_ID_FIRST && id <= RESULT_ID_FIRST + VERIFY_OUT_OF_SYNC ?
		       (enum verify_result)(id - RESULT_ID_FIRST) : VERIFY_IN_SYNC;
}

void rx_ov_result(struct core *core, struct peer *peer, const struct pkt *pkt)
{
	struct volume *vol = core_volume_by_vnr(core, pkt->vnr);
	const struct pkt_block *block = &pkt->u.block;
	struct rs_request *rq = source_find(peer, vol, block, RS_REPLIED, is_ov_target,
					    pkt->type == P_OV_RESULT_ID);
	enum verify_result result = result_of(pkt);

	if (!rq) {
		peer_fail(core, peer, CONN_PROTOCOL_ERROR,
			  "%s told the result of a verify that was not asked for: sector %llu, %u "
			  "bytes", peer->conf->name, (unsigned long long)block->sector,
			  block->bytes);
		return;
	}
	/* What was written over all of it since is the same on both sides. */
	if (result == VERIFY_OUT_OF_SYNC && rq->overwritten)
		result = VERIFY_IN_SYNC;
	/* What is skipped may be asked for again. */
	if (result != VERIFY_SKIPPED)
		count(core, &peer->pd[vol->v], rq, result);
	source_end(core, vol, rq, 0);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Writes, discards and zero-outs received from a peer: checks, order, activity log, disk,
 * answers. */
#include <string.h>

#include "core/cluster.h"
#include "core/core_hooks.h"
#include "core/request.h"

/* The node id is in those bits of the index that no slab of a peer is large enough for. */
#define TAG_PEER_SHIFT 19
#define TAG_PEER_MASK ((uint64_t)(NODES_MAX - 1) << TAG_PEER_SHIFT)

STATIC_ASSERT(NODES_MAX << TAG_PEER_SHIFT == SLAB_COUNT_MAX, "a tag has room for the peer");

/* ---- requests of peers ---- */

bool peer_range_ok(const struct volume *vol, const struct pkt_block *block, uint32_t bytes_max)
{
	uint64_t sectors = block->bytes / SECTOR_BYTES, size = vol->size_sectors;

	if (vol_has_md(vol) && vol->data_sectors < size)
		size = vol->data_sectors;
	return block->bytes > 0 && block->bytes % SECTOR_BYTES == 0 && block->bytes <= bytes_max &&
	       block->sector < size && sectors <= size - block->sector;
}

struct peer_request *peer_request_new(struct core *core, struct peer *peer, struct volume *vol,
				      const struct pkt_block *block)
{
	struct peer_request *preq;

	ASSERT(peer->rx.requests < core->conf.peer_requests_max);
	preq = slab_alloc(&peer->rx.slab);
	ASSERT(preq); /* sized for that limit */
	memset(preq, 0, sizeof(*preq));
	list_init(&preq->link);
	list_init(&preq->drain);
	hold_init(&preq->hold, HOLD_WRITE, 0, 0, NULL);
	actlog_ref_init(&preq->al);
	preq->p = peer->id;
	preq->v = vol->v;
	preq->sector = block->sector;
	preq->bytes = block->bytes;
	preq->block_id = block->block_id;
	preq->dp_flags = block->dp_flags;
	peer->rx.requests++;
	peer->pd[vol->v].unacked++;
	return preq;
}

void peer_request_free(struct core *core, struct peer_request *preq)
{
	struct peer_rx *rx = &core->peer[preq->p]->rx;

	ASSERT(!preq->hold.active && !preq->al.held && preq->payload.id == 0);
	list_del(&preq->link);
	list_del(&preq->drain);
	rx->requests--;
	rx->full_ns = NEVER_NS;
	rx->full_asked = false;
	slab_free(&rx->slab, preq);
}

uint64_t peer_request_tag(const struct core *core, const struct peer_request *preq)
{
	return tag_make(TAG_PEER_REQUEST, slab_handle(&core->peer[preq->p]->rx.slab, preq) |
						  (uint64_t)preq->p << TAG_PEER_SHIFT);
}

static struct peer_request *by_tag(struct core *core, uint64_t tag)
{
	const struct peer *peer = core->peer[(tag >> TAG_PEER_SHIFT) % NODES_MAX];

	return peer ? slab_lookup(&peer->rx.slab, tag_rest(tag) & ~TAG_PEER_MASK) : NULL;
}

void peer_request_answer(struct core *core, struct peer_request *preq, enum packet type)
{
	struct peer *peer = core->peer[preq->p];
	struct pkt pkt = { .type = (uint16_t)type, .vnr = core->vol[preq->v]->vnr };

	if (preq->lost)
		return;
	pkt.u.block.sector = preq->sector;
	pkt.u.block.bytes = preq->bytes;
	pkt.u.block.block_id = preq->block_id;
	pkt.u.block.seq = ++peer->pd[preq->v].seq_tx;
	core_send(core, peer, STREAM_CONTROL, &pkt);
}

/* ---- end of a write ---- */

/* Every node but the sender may lack this write. */
static void settle(struct core *core, struct peer_request *preq)
{
	struct volume *vol = core->vol[preq->v];

	if (!preq->settled && vol_has_md(vol)) {
		bitmap_set(core, vol,
			   SLOTS_ALL & ~bitmap_slots_of(vol, UINT64_C(1) << preq->p), preq->sector,
			   preq->bytes / SECTOR_BYTES);
		peer_ack_tell_targets(core, preq, 0);
	}
	preq->settled = true;
	actlog_put(core, vol, &preq->al);
}

static bool relieve_from(struct core *core, struct volume *vol, struct peer *peer)
{
	bool gave = false;

	LIST_FOR_EACH(it, &peer->rx.writes) {
		struct peer_request *preq = LIST_ENTRY(it, struct peer_request, link);

		if (preq->v != vol->v || preq->stage != PREQ_DONE || !preq->al.held)
			continue;
		settle(core, preq);
		gave = true;
	}
	return gave;
}

static bool any_of(const struct list *requests, const struct volume *vol)
{
	LIST_FOR_EACH(it, requests) {
		if (LIST_ENTRY(it, const struct peer_request, link)->v == vol->v)
			return true;
	}
	return false;
}

bool peer_requests_of(const struct peer *peer, const struct volume *vol)
{
	return any_of(&peer->rx.writes, vol) || any_of(&peer->rx.orphans, vol) ||
	       any_of(&peer->rx.reads, vol);
}

bool peer_write_relieve_al(struct core *core, struct volume *vol)
{
	bool gave = false;

	FOR_EACH_PEER(core, peer)
		gave |= relieve_from(core, vol, peer);
	return gave;
}

static bool lies_in(const struct peer_request *preq, const struct volume *vol, uint64_t sector,
		    uint64_t sectors)
{
	return preq->v == vol->v && preq->sector < sector + sectors &&
	       sector < preq->sector + preq->bytes / SECTOR_BYTES;
}

bool peer_writes_marked_early(const struct core *core, const struct volume *vol, uint64_t sector,
			      uint64_t sectors)
{
	FOR_EACH_PEER(core, peer) {
		if (peer->rx.forgotten)
			return true;
		LIST_FOR_EACH(it, &peer->rx.writes) {
			const struct peer_request *preq = LIST_ENTRY(it, struct peer_request, link);

			if (preq->settled && lies_in(preq, vol, sector, sectors))
				return true;
		}
	}
	return false;
}

void peer_writes_overwritten(struct core *core, const struct volume *vol, uint64_t sector,
			     uint32_t sectors)
{
	FOR_EACH_PEER(core, peer) {
		LIST_FOR_EACH(it, &peer->rx.writes) {
			struct peer_request *preq = LIST_ENTRY(it, struct peer_request, link);

			if (lies_in(preq, vol, sector, sectors))
				preq->overwritten = true;
		}
	}
}

/* Both have the same blocks now, if both say that they resync with each other. */
static bool sets_in_sync(const struct core *core, const struct peer_request *preq)
{
	const struct peer_device *pd = &core->peer[preq->p]->pd[preq->v];
	enum repl_state repl = repl_of(core, pd);

	return !preq->lost && preq->dp_flags & DP_MAY_SET_IN_SYNC &&
	       repl >= REPL_SYNC_SOURCE && repl <= REPL_PAUSED_SYNC_T &&
	       pdsk_of(core, pd) >= DISK_INCONSISTENT;
}

static void answer_written(struct core *core, struct peer_request *preq)
{
	struct volume *vol = core->vol[preq->v];
	const struct peer *peer = core->peer[preq->p];
	enum packet type = P_WRITE_ACK;

	if (!(preq->dp_flags & DP_SEND_WRITE_ACK))
		return;
	if (sets_in_sync(core, preq)) {
		type = peer->apv >= 122 ? P_WRITE_ACK_IN_SYNC : P_RS_WRITE_ACK;
		bitmap_clear(core, vol, bitmap_slots_of(vol, UINT64_C(1) << preq->p), preq->sector,
			     preq->bytes / SECTOR_BYTES);
	}
	peer_request_answer(core, preq, type);
}

/* A sender without disk misses its own write if it ever gets its disk back. */
static void mark_sender(struct core *core, struct peer_request *preq)
{
	struct volume *vol = core->vol[preq->v];

	preq->sender_marked = true;
	bitmap_set(core, vol, bitmap_slots_of(vol, UINT64_C(1) << preq->p), preq->sector,
		   preq->bytes / SECTOR_BYTES);
}

/* It has its answer. */
static void write_over(struct core *core, struct peer_request *preq)
{
	struct volume *vol = core->vol[preq->v];
	struct peer *peer = core->peer[preq->p];

	/* Before the epoch ends, and lets writes of a later one begin. */
	uuid_adopt_written(core, preq);
	hold_release(core, vol, &preq->hold);
	epoch_write_end(core, peer, preq);
	if (preq->lost || !vol_has_md(vol)) {
		settle(core, preq);
		peer_request_free(core, preq);
	} else if (actlog_has_waiters(vol)) {
		settle(core, preq);
	}
}

/* The write is on disk, or never will be. */
static void write_done(struct core *core, struct peer_request *preq, bool ok)
{
	preq->stage = PREQ_DONE;
	preq->failed = !ok;
	if (!preq->lost)
		core->peer[preq->p]->pd[preq->v].unacked--;
	if (ok)
		answer_written(core, preq);
	else
		peer_request_answer(core, preq, P_NEG_ACK);
	write_over(core, preq);
}

/* Its sender may have it, and has not been answered. */
void peer_write_drop(struct core *core, struct peer_request *preq)
{
	core_payload_put(core, &preq->payload);
	preq->lost = preq->failed = true;
	preq->stage = PREQ_DONE;
	list_del(&preq->drain);
	if (vol_has_md(core->vol[preq->v]))
		mark_sender(core, preq);
	write_over(core, preq);
}

/* What is here is what another write has left: nobody else's copy is the same because of this
 * one. */
void peer_write_give_up(struct core *core, struct peer_request *preq, enum packet type)
{
	core_payload_put(core, &preq->payload);
	preq->stage = PREQ_DONE;
	preq->failed = type != P_SUPERSEDED;
	preq->overwritten = true;
	core->peer[preq->p]->pd[preq->v].unacked--;
	peer_request_answer(core, preq, type);
	write_over(core, preq);
}

/* ---- on its way to the disk ---- */

static void submit(struct core *core, struct peer_request *preq)
{
	struct volume *vol = core->vol[preq->v];
	uint64_t tag = peer_request_tag(core, preq);
	enum core_action_kind kind = AC_DISK_WRITE;
	struct core_action *act;

	if (!request_local_writable(core, vol)) {
		core_payload_put(core, &preq->payload);
		write_done(core, preq, false);
		return;
	}
	resync_write_overlaps(core, vol, preq->sector, preq->bytes / SECTOR_BYTES);
	preq->stage = PREQ_DISK;
	if (preq->op != OP_WRITE)
		kind = request_discard_kind(vol, preq->op, preq->sector, preq->bytes);
	act = request_local_begin(core, vol, kind, tag);
	act->u.disk.sector = preq->sector;
	act->u.disk.bytes = preq->bytes;
	act->u.disk.fua = preq->dp_flags & DP_FUA;
	act->u.disk.unmap = preq->op == OP_DISCARD || preq->dp_flags & DP_DISCARD;
	act->u.disk.payload = preq->payload;
	vol->app_sectors += preq->bytes / SECTOR_BYTES;
	core_payload_put(core, &preq->payload);
}

static void al_ready(struct core *core, struct volume *vol, struct al_ref *ref)
{
	(void)vol;
	submit(core, LIST_ENTRY(ref, struct peer_request, al));
}

static void take_al(struct core *core, struct peer_request *preq)
{
	preq->stage = PREQ_AL;
	if (actlog_get(core, core->vol[preq->v], &preq->al, preq->sector,
		       preq->bytes / SECTOR_BYTES, al_ready))
		submit(core, preq);
}

/*
 * With protocol C the sender itself waits for P_WRITE_ACK before it starts a later epoch. With A
 * and B, where an ack may be asked for, too, the epochs of a stream may follow each other closely:
 * what is on disk must be a prefix of them.
 */
static bool comes_in_order(const struct peer *peer, const struct peer_request *preq)
{
	return preq->dp_flags & DP_SEND_WRITE_ACK && peer->conf->net.protocol == PROTOCOL_C;
}

static void hold_ready(struct core *core, struct volume *vol, struct hold *hold)
{
	struct peer_request *preq = LIST_ENTRY(hold, struct peer_request, hold);
	struct peer *peer = core->peer[preq->p];
	struct peer_rx *rx = &peer->rx;

	resync_write_overlaps(core, vol, preq->sector, preq->bytes / SECTOR_BYTES);
	if (!comes_in_order(peer, preq) && rx->drained < preq->epoch) {
		preq->stage = PREQ_DRAIN;
		list_push_back(&rx->drain, &preq->drain);
		return;
	}
	take_al(core, preq);
}

void peer_write_start_drained(struct core *core, struct peer *peer)
{
	struct list ready;

	list_init(&ready);
	LIST_FOR_EACH_SAFE(it, &peer->rx.drain) {
		if (LIST_ENTRY(it, struct peer_request, drain)->epoch > peer->rx.drained)
			continue;
		list_del(it);
		list_push_back(&ready, it);
	}
	while (!list_empty(&ready)) {
		struct list *it = ready.next;

		list_del(it);
		take_al(core, LIST_ENTRY(it, struct peer_request, drain));
	}
}

void peer_request_disk_done(struct core *core, const struct ev_done *done)
{
	struct peer_request *preq = by_tag(core, done->tag);
	struct volume *vol;

	ASSERT(preq && preq->stage == PREQ_DISK);
	vol = core->vol[preq->v];
	if (preq->op == OP_READ) {
		peer_read_done(core, preq, done);
	} else {
		vol->al.written++;
		if (done->error) {
			/* Should the disk stay (pass-on), this block must come from elsewhere. */
			bitmap_set(core, vol, SLOTS_ALL, preq->sector, preq->bytes / SECTOR_BYTES);
			volume_io_error(core, vol, done->error, "write for a peer");
		}
		write_done(core, preq, !done->error && request_local_writable(core, vol));
	}
	request_local_end(core, vol);
}

/* ---- arrival ---- */

/* Without P_ZEROES a P_TRIM may stand for one: what it covers must read as zeroes. */
static enum request_op op_of(const struct peer *peer, const struct pkt *pkt)
{
	if (pkt->type == P_DATA)
		return OP_WRITE;
	if (pkt->type == P_TRIM && (peer->features & FEATURE_WZEROES))
		return OP_DISCARD;
	return OP_ZEROES;
}

/* Text of what is wrong with the packet, NULL = nothing. */
static const char *refused(const struct core *core, const struct peer *peer,
			   const struct volume *vol, const struct pkt *pkt)
{
	const struct pkt_block *block = &pkt->u.block;
	uint32_t bytes_max = pkt->type == P_DATA ? BIO_MAX_BYTES : DISCARD_MAX_BYTES;

	if (!vol)
		return "write to an unknown volume";
	if (core->st.role == ROLE_PRIMARY && cluster_other_primary(core) != peer)
		return "write while this node is Primary";
	if (!peer_range_ok(vol, block, bytes_max))
		return "write beyond the volume or of an illegal size";
	if (pkt->type == P_DATA && pkt->payload.bytes != block->bytes)
		return "write whose data have another size";
	return NULL;
}

static void start(struct core *core, struct peer_request *preq)
{
	struct volume *vol = core->vol[preq->v];
	struct peer *peer = core->peer[preq->p];

	list_push_back(&peer->rx.writes, &preq->link);
	if (vol_has_md(vol) && pdsk_of(core, &peer->pd[preq->v]) < DISK_INCONSISTENT)
		mark_sender(core, preq);
	if (!two_primaries_arrived(core, preq))
		peer_write_go_on(core, preq);
}

void peer_write_go_on(struct core *core, struct peer_request *preq)
{
	struct volume *vol = core->vol[preq->v];

	hold_init(&preq->hold, HOLD_WRITE, preq->sector, preq->bytes / SECTOR_BYTES, hold_ready);
	preq->hold.owner = HOLD_OF_PEER_WRITE;
	preq->stage = PREQ_HOLD;
	if (hold_acquire(core, vol, &preq->hold))
		hold_ready(core, vol, &preq->hold);
}

void rx_data(struct core *core, struct peer *peer, const struct pkt *pkt)
{
	struct volume *vol = core_volume_by_vnr(core, pkt->vnr);
	struct payload payload = pkt->payload;
	const char *text = refused(core, peer, vol, pkt);
	struct peer_request *preq;

	if (text) {
		core_payload_put(core, &payload);
		peer_fail(core, peer, CONN_PROTOCOL_ERROR, "%s (volume %u, sector %llu, %u bytes)",
			  text, pkt->vnr, (unsigned long long)pkt->u.block.sector,
			  pkt->u.block.bytes);
		return;
	}
	preq = peer_request_new(core, peer, vol, &pkt->u.block);
	preq->op = (uint8_t)op_of(peer, pkt);
	preq->payload = payload;
	peer->rx.dagtag += preq->bytes / SECTOR_BYTES;
	peer->rx.dagtag_heard = true;
	preq->dagtag = peer->rx.dagtag;
	preq->arrived_ns = core->now_ns;
	preq->acks = pkt->u.block.seq - ++peer->pd[vol->v].writes_rx;
	peer->pd[vol->v].received_sectors += preq->bytes / SECTOR_BYTES;
	epoch_write_begin(peer, preq);
	if (preq->dp_flags & DP_SEND_RECEIVE_ACK)
		peer_request_answer(core, preq, P_RECV_ACK);
	start(core, preq);
	resync_dagtag_reached(core, peer);
}

void rx_dagtag(struct core *core, struct peer *peer, const struct pkt *pkt)
{
	if (!peer->rx.dagtag_heard)
		reconcile_lost_is_back(core, peer);
	peer->rx.dagtag = pkt->u.dagtag.dagtag;
	peer->rx.dagtag_heard = true;
	resync_dagtag_reached(core, peer);
}

/* ---- back-pressure ---- */

static bool room(const struct core *core, const struct peer *peer, uint16_t type)
{
	switch (type) {
	case P_DATA:
	case P_TRIM:
	case P_ZEROES:
	case P_DATA_REQUEST:
		return epoch_room(peer) && peer->rx.requests < core->conf.peer_requests_max;
	case P_BARRIER:
		return epoch_room(peer);
	default:
		return true;
	}
}

bool peer_rx_room(struct core *core, struct peer *peer, uint16_t type)
{
	if (room(core, peer, type))
		return true;
	if (peer->rx.full_ns == NEVER_NS)
		peer->rx.full_ns = core->now_ns;
	return false;
}

/*
 * The table is full, the peer has the answer to everything in it, and still no peer ack comes: it
 * may wait for something behind the packet that waits here, such as the barrier of an epoch with
 * more writes than the table has entries. A ping tells that none is on its way.
 */
static uint64_t give_up_ns(const struct peer *peer)
{
	const struct peer_rx *rx = &peer->rx;

	if (rx->full_ns == NEVER_NS || !peer_rx_idle(peer) || list_empty(&rx->writes) ||
	    (rx->full_asked && !keepalive_answered(peer, rx->full_ping)))
		return NEVER_NS;
	return rx->full_ns + (uint64_t)peer->conf->net.timeout_ds * 50 * NS_PER_MS;
}

/* Every node may lack these writes, the sender too: it has not said that its disk took them. */
static void forget_all(struct core *core, struct peer *peer)
{
	while (!list_empty(&peer->rx.writes)) {
		struct peer_request *preq =
			LIST_ENTRY(peer->rx.writes.next, struct peer_request, link);

		if (vol_has_md(core->vol[preq->v]))
			mark_sender(core, preq);
		settle(core, preq);
		peer->rx.forgotten = preq->dagtag;
		peer_request_free(core, preq);
	}
}

void peer_write_time(struct core *core)
{
	FOR_EACH_PEER(core, peer) {
		if (core->now_ns < give_up_ns(peer))
			continue;
		if (!peer->rx.full_asked) {
			peer->rx.full_asked = true;
			peer->rx.full_ping = keepalive_ping(core, peer);
			continue;
		}
		core_log(core, LOG_LEVEL_NOTICE,
			 "%s %s: %u writes fill the table and the peer does not say who has them: "
			 "they are marked as out of sync, so that it can go on",
			 core->conf.name, peer->conf->name, peer->rx.requests);
		forget_all(core, peer);
	}
}

uint64_t peer_write_deadline(const struct core *core)
{
	uint64_t t = NEVER_NS;

	FOR_EACH_PEER(core, peer) {
		uint64_t at = give_up_ns(peer);

		t = at < t ? at : t;
	}
	return t;
}

/* ---- coming and going of the sender ---- */

void peer_rx_connected(struct peer *peer)
{
	peer->rx.dagtag_heard = false;
	ASSERT(list_empty(&peer->rx.writes));
}

/* What was received is completed: which writes a survivor has is judged by the dagtag of the last
 * one, and while some are at the disk by the one before the oldest of those. */
void peer_rx_lost(struct core *core, struct peer *peer)
{
	epoch_lost(core, peer);
	peer->rx.forgotten = 0;
	peer->rx.full_ns = NEVER_NS;
	peer->rx.full_asked = false;
	while (!list_empty(&peer->rx.writes)) {
		struct peer_request *preq =
			LIST_ENTRY(peer->rx.writes.next, struct peer_request, link);
		bool done = preq->stage == PREQ_DONE;
		struct volume *vol = core->vol[preq->v];

		preq->lost = true;
		list_del(&preq->link);
		if (done) {
			settle(core, preq);
			peer_request_free(core, preq);
			continue;
		}
		list_push_back(&peer->rx.orphans, &preq->link);
		if (vol_has_md(vol) && !preq->settled) {
			bitmap_set(core, vol,
				   SLOTS_ALL & ~bitmap_slots_of(vol, UINT64_C(1) << preq->p),
				   preq->sector, preq->bytes / SECTOR_BYTES);
			peer_ack_tell_targets(core, preq, 0);
		}
	}
	two_primaries_lost(core, peer);
	peer_reads_lost(core, peer);
}

void peer_write_disk_lost(struct core *core, const struct peer_device *pd)
{
	struct volume *vol = core->vol[pd->v];

	if (pdsk_of(core, pd) >= DISK_INCONSISTENT || !vol_has_md(vol))
		return;
	LIST_FOR_EACH(it, &core->peer[pd->p]->rx.writes) {
		struct peer_request *preq = LIST_ENTRY(it, struct peer_request, link);

		if (preq->v == pd->v && !preq->sender_marked)
			mark_sender(core, preq);
	}
}

void peer_write_record_pending(struct core *core, const struct peer_device *pd)
{
	struct volume *vol = core->vol[pd->v];
	uint32_t slot = bitmap_slots_of(vol, UINT64_C(1) << pd->p);

	FOR_EACH_PEER(core, sender) {
		if (sender->id == pd->p)
			continue;
		LIST_FOR_EACH(it, &sender->rx.writes) {
			const struct peer_request *preq = LIST_ENTRY(it, struct peer_request, link);

			if (preq->v == pd->v)
				bitmap_set(core, vol, slot, preq->sector,
					   preq->bytes / SECTOR_BYTES);
		}
	}
}

bool peer_rx_idle(const struct peer *peer)
{
	return peer->rx.unfinished == 0 && peer->rx.flushes == 0;
}

uint64_t peer_rx_dagtag(const struct peer *peer)
{
	return peer->rx.dagtag;
}

uint64_t peer_rx_written_dagtag(const struct peer *peer)
{
	const struct peer_request *oldest;

	if (list_empty(&peer->rx.orphans))
		return peer->rx.dagtag;
	oldest = LIST_ENTRY(peer->rx.orphans.next, struct peer_request, link);
	return oldest->dagtag - oldest->bytes / SECTOR_BYTES;
}

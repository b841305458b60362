/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The sending side's view of a peer: acknowledgements it sends, its coming and going. */
#include "core/request.h"

#include "core/core_hooks.h"
#include "core/resync_int.h"
#include "core/state.h"

/* A move of the request towards this peer, with the counters that follow from it. */
static bool move(struct core *core, struct peer *peer, struct request *req, enum net_event event)
{
	struct peer_device *pd = &peer->pd[req->v];
	const unsigned expected = 1U << NET_WANTED | 1U << NET_ACK_DUE;
	const unsigned arrived = 1U << NET_WRITTEN | 1U << NET_FAILED | 1U << NET_REFUSED |
				 1U << NET_STABLE | 1U << NET_LOST;
	unsigned before = net_bits_of(&req->net, peer->id), after;

	(void)core;
	if (!net_move(&req->net, peer->id, event))
		return false;
	after = net_bits_of(&req->net, peer->id);
	if ((before & expected) && !(after & expected))
		pd->pending--;
	if (!(before & arrived) && (after & arrived))
		peer->tx.in_flight_sectors -= req->bytes / SECTOR_BYTES;
	return true;
}

static void set_out_of_sync(struct core *core, const struct peer *peer, const struct request *req)
{
	struct volume *vol = core->vol[req->v];

	if (vol_has_md(vol))
		bitmap_set(core, vol, bitmap_slots_of(vol, UINT64_C(1) << peer->id), req->sector,
			   req->bytes / SECTOR_BYTES);
}

/* Next request from `it` on that this peer has not confirmed. */
static struct request *next_open(struct core *core, const struct peer *peer, struct list *it)
{
	for (; it != &core->req.log; it = it->next) {
		struct request *req = LIST_ENTRY(it, struct request, link);
		const struct net_state *net = &req->net;
		uint32_t open = net->of[NET_SENT] & ~net->of[NET_STABLE] & ~net->of[NET_LOST];

		if (open >> peer->id & 1)
			return req;
	}
	return NULL;
}

static bool touches(const struct request *req, const struct volume *vol, uint64_t sector,
		    uint64_t sectors)
{
	return req->v == vol->v && req->sector < sector + sectors &&
	       sector < req->sector + req->bytes / SECTOR_BYTES;
}

bool request_unwritten(struct core *core, const struct peer *peer, const struct volume *vol,
		       uint64_t sector, uint64_t sectors)
{
	LIST_FOR_EACH(it, &core->req.kept) {
		if (touches(LIST_ENTRY(it, struct request, link), vol, sector, sectors))
			return true;
	}
	for (struct request *req = peer->tx.oldest; req;
	     req = next_open(core, peer, req->link.next)) {
		uint32_t answered = req->net.of[NET_WRITTEN] | req->net.of[NET_FAILED];

		if (!(answered >> peer->id & 1) && touches(req, vol, sector, sectors))
			return true;
	}
	return false;
}

/* ---- acknowledgements ---- */

static struct request *find(struct core *core, const struct volume *vol,
			    const struct pkt_block *block)
{
	struct request *req = slab_lookup(&core->req.slab, block->block_id);

	if (!req || req->stage != REQ_LOGGED || req->v != vol->v || req->sector != block->sector)
		return NULL;
	return req;
}

/* P_NEG_ACK for a request that is gone: the block is out of sync there, whatever it was. */
static void stray_neg_ack(struct core *core, struct peer *peer, struct volume *vol,
			  const struct pkt_block *block)
{
	uint64_t sectors = block->bytes / SECTOR_BYTES;

	if (sectors == 0 || block->sector >= vol->size_sectors ||
	    sectors > vol->size_sectors - block->sector) {
		peer_fail(core, peer, CONN_PROTOCOL_ERROR, "negative ack beyond the volume");
		return;
	}
	if (vol_has_md(vol))
		bitmap_set(core, vol, bitmap_slots_of(vol, UINT64_C(1) << peer->id), block->sector,
			   sectors);
}

/*
 * Ahead of the P_STATE that says so: the writes that are answered without that disk must belong to
 * a generation that it does not have; also when it is the one that our own comes from. A sync
 * target gets its block again, it is not good yet anyhow.
 */
static void disk_failed(struct core *core, const struct peer *peer, const struct volume *vol)
{
	const struct peer_device *pd = &peer->pd[vol->v];
	enum disk_state pdsk = pdsk_of(core, pd);

	if (resync_is_source(repl_of(core, pd)) || pdsk <= DISK_INCONSISTENT ||
	    pdsk == DISK_UNKNOWN)
		return;
	state_begin(core)->pd[peer->id][vol->v].pdsk = DISK_FAILED;
	state_end(core, STATE_HARD);
}

void rx_block_ack(struct core *core, struct peer *peer, const struct pkt *pkt)
{
	struct volume *vol = core_volume_by_vnr(core, pkt->vnr);
	const struct pkt_block *block = &pkt->u.block;
	enum net_event event = NET_EV_WRITE_ACK;
	struct request *req;

	if (!vol) {
		peer_fail(core, peer, CONN_PROTOCOL_ERROR, "ack for unknown volume %u", pkt->vnr);
		return;
	}
	if (pkt->type == P_NEG_ACK && peer->apv < 122 && block->block_id == UINT64_MAX) {
		rx_rs_ack(core, peer, pkt); /* it could not write a resync reply */
		return;
	}
	if (pkt->type == P_RECV_ACK)
		event = NET_EV_RECV_ACK;
	else if (pkt->type == P_NEG_ACK)
		event = NET_EV_NEG_ACK;
	else if (pkt->type == P_RETRY_WRITE)
		event = NET_EV_RETRY;
	else if (pkt->type == P_WRITE_ACK_IN_SYNC || pkt->type == P_RS_WRITE_ACK)
		event = NET_EV_WRITE_ACK_IN_SYNC; /* P_RS_WRITE_ACK: protocol 121 */
	req = find(core, vol, block);
	if (!req && event == NET_EV_NEG_ACK) {
		stray_neg_ack(core, peer, vol, block);
		disk_failed(core, peer, vol);
		return;
	}
	/* The last word is with one side of the connection. */
	if ((pkt->type == P_RETRY_WRITE || pkt->type == P_SUPERSEDED) &&
	    (peer->resolve_conflicts || !peer->gives_way ||
	     (req && event == NET_EV_RETRY && req->op == OP_WRITE && !req->payload.id)))
		req = NULL;
	if (!req || !move(core, peer, req, event)) {
		peer_fail(core, peer, CONN_PROTOCOL_ERROR, "%s for a write that waits for none",
			  packet_name(pkt->type));
		return;
	}
	if (event == NET_EV_NEG_ACK) {
		set_out_of_sync(core, peer, req);
		disk_failed(core, peer, vol);
	}
	if (event == NET_EV_RETRY) {
		req->refused |= UINT32_C(1) << peer->id;
		if (!list_linked(&req->refused_link))
			list_push_back(&core->req.refused, &req->refused_link);
	}
	request_log_progress(core, req);
	request_log_retire(core);
}

/* A write without a copy here waits for a peer that has one. */
static void log_stable(struct core *core, const struct peer *peer)
{
	LIST_FOR_EACH_SAFE(it, &core->req.log) {
		struct request *req = LIST_ENTRY(it, struct request, link);

		if (!req->completed && req->net.of[NET_STABLE] >> peer->id & 1)
			request_log_progress(core, req);
	}
}

void rx_barrier_ack(struct core *core, struct peer *peer, const struct pkt *pkt)
{
	struct peer_tx *tx = &peer->tx;
	const struct tx_barrier *expected =
		&tx->barriers[tx->barrier_head % core->req.barrier_ring];
	const struct pkt_barrier *got = &pkt->u.barrier;

	if (tx->barrier_head == tx->barrier_tail || got->number != expected->number ||
	    got->set_size != expected->set_size) {
		peer_fail(core, peer, CONN_PROTOCOL_ERROR,
			  "barrier ack %u with %u writes does not fit", got->number, got->set_size);
		return;
	}
	tx->barrier_head++;
	while (tx->oldest && tx->oldest->epoch == got->number) {
		if (!move(core, peer, tx->oldest, NET_EV_STABLE)) {
			peer_fail(core, peer, CONN_PROTOCOL_ERROR,
				  "barrier ack %u before the acks of its writes", got->number);
			return;
		}
		tx->oldest = next_open(core, peer, tx->oldest->link.next);
	}
	log_stable(core, peer);
	request_log_retire(core);
	request_flush_progress(core);
}

/* Counts what the packet names and checks that it is one epoch's oldest part; 0 = it is not. */
static uint32_t confirmed_count(struct core *core, const struct peer *peer,
				const struct pkt_confirm *c)
{
	struct request *req = peer->tx.oldest;
	uint32_t epoch = req ? req->epoch : 0, count = 0;

	if (!req || slab_handle(&core->req.slab, req) != c->oldest_block_id)
		return 0;
	for (; req && req->epoch == epoch; req = next_open(core, peer, req->link.next)) {
		if ((net_bits_of(&req->net, peer->id) & (1U << NET_WANTED | 1U << NET_ACK_DUE)))
			return 0;
		count++;
		if (slab_handle(&core->req.slab, req) == c->youngest_block_id)
			return count == c->set_size ? count : 0;
	}
	return 0;
}

void rx_confirm_stable(struct core *core, struct peer *peer, const struct pkt *pkt)
{
	struct peer_tx *tx = &peer->tx;
	uint32_t count = confirmed_count(core, peer, &pkt->u.confirm);
	uint32_t epoch;

	if (count == 0) {
		peer_fail(core, peer, CONN_PROTOCOL_ERROR,
			  "confirmed writes are not the oldest of an epoch");
		return;
	}
	epoch = tx->oldest->epoch;
	for (uint32_t i = 0; i < count; i++) {
		move(core, peer, tx->oldest, NET_EV_STABLE);
		tx->oldest = next_open(core, peer, tx->oldest->link.next);
	}
	if (tx->epoch_writes > 0 && tx->epoch == epoch)
		tx->epoch_confirmed += count;
	for (uint32_t i = tx->barrier_head; i != tx->barrier_tail; i++) {
		struct tx_barrier *barrier = &tx->barriers[i % core->req.barrier_ring];

		if (barrier->number == epoch)
			barrier->set_size -= count;
	}
	log_stable(core, peer);
	request_log_retire(core);
	/* The peer is short of room in its activity log. */
	peer_ack_flush(core);
	request_flush_progress(core);
}

/* ---- coming and going ---- */

void request_peer_connected(struct core *core, struct peer *peer)
{
	struct peer_tx *tx = &peer->tx;

	ASSERT(!tx->oldest && tx->in_flight_sectors == 0 && !tx->barrier_due);
	tx->active = true;
	tx->epoch_writes = 0;
	tx->epoch_confirmed = 0;
	tx->barrier_head = tx->barrier_tail = 0;
	tx->ack_dagtag = 0;
	FOR_EACH_VOLUME(core, vol) {
		peer->pd[vol->v].seq_tx = 0;
		peer->pd[vol->v].writes_rx = peer->pd[vol->v].acks_rx = 0;
		peer->pd[vol->v].pending = 0;
		peer->pd[vol->v].unacked = 0;
	}
	peer_rx_connected(peer);
	request_epoch_close(core);
	request_dagtag_announce(core, peer);
}

static void note_parted(struct core *core, const struct peer *peer, unsigned v)
{
	LIST_FOR_EACH(it, &core->req.log) {
		struct request *req = LIST_ENTRY(it, struct request, link);

		if (req->v == v)
			req->parted |= 1U << peer->id;
	}
}

/* All that this peer has not confirmed is out of sync there and completes without it. */
static void log_lost(struct core *core, struct peer *peer)
{
	struct request *req = peer->tx.oldest;

	while (req) {
		struct request *next = next_open(core, peer, req->link.next);

		move(core, peer, req, NET_EV_LOST);
		set_out_of_sync(core, peer, req);
		req = next;
	}
	/* Answers last: an answered request may let others start, which go to the end of the
	 * log. */
	LIST_FOR_EACH_SAFE(it, &core->req.log) {
		req = LIST_ENTRY(it, struct request, link);
		if (req->net.of[NET_LOST] >> peer->id & 1)
			request_log_progress(core, req);
	}
}

void request_peer_lost(struct core *core, struct peer *peer)
{
	struct requests *rq = &core->req;
	struct peer_tx *tx = &peer->tx;

	if (tx->barrier_due) {
		tx->barrier_due = false;
		if (--rq->barriers_due == 0)
			rq->barrier_at_ns = NEVER_NS;
	}
	tx->active = false;
	/* Before the epoch is closed: no barrier is owed to it any more. */
	tx->epoch_writes = 0;
	request_epoch_close(core);
	two_primaries_drop(core, peer);
	FOR_EACH_VOLUME(core, vol) {
		note_parted(core, peer, vol->v);
		two_primaries_mark_peer(core, peer, vol->v);
	}
	log_lost(core, peer);
	ASSERT(tx->in_flight_sectors == 0);
	tx->oldest = NULL;
	tx->barrier_head = tx->barrier_tail = 0;
	tx->ack_dagtag = 0;
	if (rq->flush_wait[peer->id].pending) {
		rq->flush_wait[peer->id].pending = false;
		rq->flush_waits--;
	}
	if (rq->answers_held)
		core_work(core, WORK_REQUESTS);
	request_log_retire(core);
	read_peer_lost(core, peer);
	request_flush_progress(core);
	peer_rx_lost(core, peer);
}

void request_peer_mode_changed(struct core *core, struct peer_device *pd)
{
	struct peer *peer = core->peer[pd->p];
	enum disk_state pdsk = pdsk_of(core, pd);

	if (pdsk <= DISK_INCONSISTENT || pdsk == DISK_UNKNOWN)
		request_copies_doubtful(core, core->vol[pd->v], UINT64_C(1) << pd->p);
	if (pdsk < DISK_INCONSISTENT || pdsk == DISK_UNKNOWN)
		note_parted(core, peer, pd->v);
	if (core->req.answers_held)
		core_work(core, WORK_REQUESTS);
	request_epoch_close(core);
	peer_write_disk_lost(core, pd);
	/* Writes that did not go there: resync requests of third nodes may refer to their
	 * position. */
	if (peer->tx.active && peer->tx.dagtag != core->req.dagtag)
		request_dagtag_announce(core, peer);
}

void request_record_pending(struct core *core, struct peer_device *pd)
{
	const struct peer *peer = core->peer[pd->p];

	for (struct request *req = peer->tx.oldest; req;
	     req = next_open(core, peer, req->link.next)) {
		if (req->v == pd->v && !(req->net.of[NET_WRITTEN] >> pd->p & 1))
			set_out_of_sync(core, peer, req);
	}
	two_primaries_mark_peer(core, peer, pd->v);
	peer_write_record_pending(core, pd);
}

uint64_t request_oldest_ns(const struct core *core, const struct peer *peer)
{
	const struct peer_tx *tx = &peer->tx;
	uint64_t t = NEVER_NS;

	if (tx->barrier_head != tx->barrier_tail)
		t = tx->barriers[tx->barrier_head % core->req.barrier_ring].sent_ns;
	if (tx->oldest && (tx->oldest->net.of[NET_WANTED] | tx->oldest->net.of[NET_ACK_DUE]) >>
				      peer->id & 1 && tx->oldest->sent_ns < t)
		t = tx->oldest->sent_ns;
	return t;
}

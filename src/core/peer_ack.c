/* SPDX-License-Identifier: GPL-2.0-or-later */
/* P_PEER_ACK on both sides, and the flush requests of resync targets that depend on it (wire-
 * protocol 4.7, 5.8). */
#include "core/core_hooks.h"
#include "core/request.h"

#define PEER_ACK_WINDOW_SECTORS 4096U
#define PEER_ACK_DELAY_NS (100 * NS_PER_MS)
#define APV_FLUSH_REQUESTS 123U

/* ---- Primary ---- */

void peer_ack_flush(struct core *core)
{
	struct requests *rq = &core->req;
	struct pkt pkt = { .type = P_PEER_ACK, .vnr = VNR_NONE };

	if (!rq->ack_pending)
		return;
	rq->ack_pending = false;
	rq->ack_at_ns = NEVER_NS;
	rq->ack_sectors = 0;
	pkt.u.dagtag.mask = rq->ack_mask;
	FOR_EACH_PEER(core, peer) {
		if (!peer->tx.active || peer->tx.ack_dagtag == 0)
			continue;
		pkt.u.dagtag.dagtag = peer->tx.ack_dagtag;
		peer->tx.ack_dagtag = 0;
		core_send(core, peer, STREAM_CONTROL, &pkt);
	}
}

/* A write that left the log, in dagtag order: joins the acknowledgement that is being collected. */
void peer_ack_add(struct core *core, const struct request *req, uint64_t mask)
{
	struct requests *rq = &core->req;
	uint32_t receivers = req->net.of[NET_SENT] & ~req->net.of[NET_LOST];

	if (rq->ack_pending && rq->ack_mask != mask)
		peer_ack_flush(core);
	if (receivers == 0)
		return;
	for (; receivers; receivers &= receivers - 1) {
		struct peer *peer = core->peer[__builtin_ctz(receivers)];

		if (peer)
			peer->tx.ack_dagtag = req->dagtag;
	}
	rq->ack_pending = true;
	rq->ack_mask = mask;
	rq->ack_sectors += req->bytes / SECTOR_BYTES;
	rq->ack_at_ns = core->now_ns + PEER_ACK_DELAY_NS;
	if (rq->ack_sectors >= PEER_ACK_WINDOW_SECTORS || actlog_has_waiters(core->vol[req->v]))
		peer_ack_flush(core);
}

static void answer_flush(struct core *core, struct peer *initiator, uint64_t sequence)
{
	struct pkt ack = { .type = P_FLUSH_REQUESTS_ACK, .vnr = VNR_NONE };
	struct pkt forward = { .type = P_FLUSH_FORWARD, .vnr = VNR_NONE };

	ack.u.flush.sequence = sequence;
	ack.u.flush.node_id = core->self;
	core_send(core, initiator, STREAM_DATA, &ack);
	forward.u.flush.sequence = sequence;
	forward.u.flush.node_id = initiator->id;
	FOR_EACH_PEER(core, peer) {
		if (peer != initiator && peer->tx.active && peer->apv >= APV_FLUSH_REQUESTS)
			core_send(core, peer, STREAM_CONTROL, &forward);
	}
}

void peer_ack_answer_flushes(struct core *core)
{
	struct requests *rq = &core->req;
	uint64_t done = UINT64_MAX;

	if (!list_empty(&rq->log))
		done = rq->done_dagtag;
	FOR_EACH_PEER(core, peer) {
		struct flush_wait *wait = &rq->flush_wait[peer->id];

		if (!wait->pending || wait->dagtag > done)
			continue;
		wait->pending = false;
		rq->flush_waits--;
		peer_ack_flush(core);
		answer_flush(core, peer, wait->sequence);
	}
}

void rx_flush_requests(struct core *core, struct peer *peer, const struct pkt *pkt)
{
	struct requests *rq = &core->req;
	struct flush_wait *wait = &rq->flush_wait[peer->id];

	if (!wait->pending)
		rq->flush_waits++;
	wait->pending = true;
	wait->sequence = pkt->u.flush.sequence;
	wait->dagtag = rq->dagtag;
	request_epoch_close(core);
	request_barriers_send(core);
	peer_ack_answer_flushes(core);
}

/* ---- Secondary ---- */

/* What preceding peer acks made us send to the initiator is in its stream already. */
void rx_flush_forward(struct core *core, struct peer *peer, const struct pkt *pkt)
{
	const struct pkt_flush *flush = &pkt->u.flush;
	struct pkt ack = { .type = P_FLUSH_REQUESTS_ACK, .vnr = VNR_NONE };
	struct peer *initiator = flush->node_id < NODES_MAX ? core->peer[flush->node_id] : NULL;

	if (!initiator || !initiator->tx.active)
		return;
	ack.u.flush.sequence = flush->sequence;
	ack.u.flush.node_id = peer->id;
	core_send(core, initiator, STREAM_DATA, &ack);
}

void peer_ack_tell_targets(struct core *core, const struct peer_request *preq, uint64_t mask)
{
	struct pkt pkt = { .type = P_OUT_OF_SYNC, .vnr = core->vol[preq->v]->vnr };

	pkt.u.block.sector = preq->sector;
	pkt.u.block.bytes = preq->bytes;
	FOR_EACH_PEER(core, peer) {
		enum repl_state repl = repl_of(core, &peer->pd[preq->v]);

		if (peer->id == preq->p || mask >> peer->id & 1 || !peer->tx.active)
			continue;
		if (repl == REPL_WF_BITMAP_S || repl == REPL_SYNC_SOURCE ||
		    repl == REPL_PAUSED_SYNC_S)
			core_send(core, peer, STREAM_DATA, &pkt);
	}
}

static void apply(struct core *core, struct peer_request *preq, uint64_t mask)
{
	struct volume *vol = core->vol[preq->v];
	uint32_t sectors = preq->bytes / SECTOR_BYTES;
	uint32_t sender, have, lack;

	if (vol_has_md(vol)) {
		sender = bitmap_slots_of(vol, UINT64_C(1) << preq->p);
		have = preq->failed ? 0 : bitmap_slots_of(vol, mask) & ~sender;
		lack = SLOTS_ALL & ~have;
		/* Its own bit is missing when its disk failed with the write. Marked before, it may
		 * have caught up. */
		if (mask >> preq->p & 1 || preq->sender_marked)
			lack &= ~sender;
		bitmap_set(core, vol, lack, preq->sector, sectors);
		if (have && !preq->overwritten)
			bitmap_clear(core, vol, have, preq->sector, sectors);
		if (!preq->failed)
			peer_ack_tell_targets(core, preq, mask);
	}
	actlog_put(core, vol, &preq->al);
}

void rx_peer_ack(struct core *core, struct peer *peer, const struct pkt *pkt)
{
	uint64_t dagtag = pkt->u.dagtag.dagtag;

	if (dagtag > peer->rx.dagtag) {
		peer_fail(core, peer, CONN_PROTOCOL_ERROR, "peer ack for a write that never came");
		return;
	}
	if (dagtag >= peer->rx.forgotten)
		peer->rx.forgotten = 0;
	while (!list_empty(&peer->rx.writes)) {
		struct peer_request *preq =
			LIST_ENTRY(peer->rx.writes.next, struct peer_request, link);

		if (preq->dagtag > dagtag)
			break;
		if (preq->stage != PREQ_DONE) {
			peer_fail(core, peer, CONN_PROTOCOL_ERROR,
				  "peer ack for a write that is not finished");
			return;
		}
		apply(core, preq, pkt->u.dagtag.mask);
		peer_request_free(core, preq);
	}
}

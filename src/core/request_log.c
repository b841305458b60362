/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The transfer log of the sending side: where a write goes, its answer, write epochs,
 * retirement. */
#include "core/request.h"

#include <errno.h>
#include <string.h>

#include "core/cluster.h"
#include "core/core_hooks.h"
#include "core/quorum.h"

/* A closed epoch gets its barrier with the next write, or after this time. */
#define BARRIER_DELAY_NS NS_PER_MS

/* ---- epochs ---- */

static void barrier_send(struct core *core, struct peer *peer)
{
	struct requests *rq = &core->req;
	struct peer_tx *tx = &peer->tx;
	struct tx_barrier *slot = &tx->barriers[tx->barrier_tail % rq->barrier_ring];
	struct pkt pkt = { .type = P_BARRIER, .vnr = VNR_NONE };

	if (tx->barrier_due) {
		tx->barrier_due = false;
		if (--rq->barriers_due == 0)
			rq->barrier_at_ns = NEVER_NS;
	}
	if (tx->barrier_tail - tx->barrier_head == rq->barrier_ring) {
		peer_fail(core, peer, CONN_PROTOCOL_ERROR,
			  "%u barriers without an answer", rq->barrier_ring);
		return;
	}
	slot->number = tx->epoch;
	slot->set_size = tx->epoch_writes - tx->epoch_confirmed;
	slot->sent_ns = core->now_ns;
	tx->barrier_tail++;
	tx->epoch_writes = 0;
	tx->epoch_confirmed = 0;
	pkt.u.barrier.number = tx->epoch;
	core_send(core, peer, STREAM_DATA, &pkt);
}

void request_barriers_send(struct core *core)
{
	FOR_EACH_PEER(core, peer) {
		if (peer->tx.barrier_due)
			barrier_send(core, peer);
	}
}

/* Somebody waits for barrier acks: a flush, a demotion, a resync target, a full log or
 * activity log. */
static bool barriers_urgent(const struct core *core)
{
	const struct requests *rq = &core->req;

	if (rq->flush_waits > 0 || rq->settle_wanted || rq->flushes.next != &rq->flushes ||
	    slab_free_count(&rq->slab) < rq->slab.count / 8)
		return true;
	FOR_EACH_VOLUME(core, vol) {
		if (actlog_has_waiters(vol))
			return true;
	}
	return false;
}

void request_epoch_close(struct core *core)
{
	struct requests *rq = &core->req;

	if (rq->epoch_writes == 0)
		return;
	FOR_EACH_PEER(core, peer) {
		if (peer->tx.epoch_writes > 0 && !peer->tx.barrier_due) {
			peer->tx.barrier_due = true;
			rq->barriers_due++;
		}
	}
	rq->epoch++;
	rq->epoch_writes = 0;
	if (rq->barriers_due == 0)
		return;
	if (barriers_urgent(core))
		request_barriers_send(core);
	else if (rq->barrier_at_ns == NEVER_NS)
		rq->barrier_at_ns = core->now_ns + BARRIER_DELAY_NS;
}

/* ---- where a write goes ---- */

enum write_mode request_mode(const struct core *core, const struct peer_device *pd)
{
	enum repl_state repl = repl_of(core, pd);
	enum disk_state pdsk = pdsk_of(core, pd);

	if (!core->peer[pd->p]->tx.active || repl < REPL_ESTABLISHED)
		return MODE_NONE;
	if (repl == REPL_WF_BITMAP_S || repl == REPL_AHEAD)
		return MODE_OUT_OF_SYNC;
	switch (pdsk) {
	case DISK_UP_TO_DATE:
		return MODE_DATA;
	case DISK_CONSISTENT:
		/* It has all that we have, and is about to learn whether that is the latest. */
		return repl_is_settled(repl) ? MODE_DATA : MODE_OUT_OF_SYNC;
	case DISK_INCONSISTENT:
		if (core->st.pd[pd->p][pd->v].no_data)
			return MODE_OUT_OF_SYNC;
		if (repl_is_settled(repl) || (repl >= REPL_WF_BITMAP_T && repl < REPL_AHEAD))
			return MODE_DATA;
		return MODE_OUT_OF_SYNC;
	case DISK_OUTDATED:
		return MODE_OUT_OF_SYNC;
	default:
		return MODE_NONE;
	}
}

static void pkt_of_request(struct pkt *pkt, const struct core *core, const struct request *req)
{
	*pkt = (struct pkt){ .vnr = core->vol[req->v]->vnr };
	pkt->u.block.sector = req->sector;
	pkt->u.block.block_id = slab_handle(&core->req.slab, req);
	pkt->u.block.bytes = req->bytes;
	pkt->u.block.dp_flags = DP_RW_SYNC | (req->fua ? DP_FUA : 0);
	switch (req->op) {
	case OP_DISCARD:
		pkt->type = P_TRIM;
		pkt->u.block.dp_flags |= DP_DISCARD;
		break;
	case OP_ZEROES:
		pkt->type = P_ZEROES;
		pkt->u.block.dp_flags |= DP_ZEROES;
		break;
	default:
		pkt->type = P_DATA;
		pkt->payload = req->payload;
		break;
	}
}

/* A peer without one of the two packets gets the other: both leave zeroes behind. */
static void pkt_adapt(struct pkt *pkt, const struct peer *peer)
{
	if (pkt->type == P_ZEROES && !(peer->features & FEATURE_WZEROES)) {
		pkt->type = P_TRIM;
		pkt->u.block.dp_flags &= ~DP_ZEROES;
		pkt->u.block.dp_flags |= DP_DISCARD;
	} else if (pkt->type == P_TRIM && !(peer->features & FEATURE_TRIM)) {
		pkt->type = P_ZEROES;
		pkt->u.block.dp_flags |= DP_ZEROES;
	}
}

static void dagtag_send(struct core *core, struct peer *peer, uint64_t dagtag)
{
	struct pkt pkt = { .type = P_DAGTAG, .vnr = VNR_NONE };

	pkt.u.dagtag.dagtag = dagtag;
	peer->tx.dagtag = dagtag;
	core_send(core, peer, STREAM_DATA, &pkt);
}

void request_dagtag_announce(struct core *core, struct peer *peer)
{
	dagtag_send(core, peer, core->req.dagtag);
}

/* A peer that believes this node has the write, because it has a disk, must be told before if
 * it has none. */
static void tell_disk_state(struct core *core, struct peer *peer, unsigned v)
{
	uint32_t sent = peer->pd[v].state_word_sent;

	if (sent && (sent & SW_DISK_MASK) >> SW_DISK_SHIFT != core->st.vol[v].disk)
		peer_send_state(core, peer, v);
}

static void data_send(struct core *core, struct peer *peer, struct request *req, bool local)
{
	struct peer_device *pd = &peer->pd[req->v];
	struct peer_tx *tx = &peer->tx;
	enum repl_state repl = repl_of(core, pd);
	enum wire_protocol protocol = peer->conf->net.protocol;
	uint32_t sectors = req->bytes / SECTOR_BYTES;
	bool in_sync = repl >= REPL_SYNC_SOURCE && repl <= REPL_PAUSED_SYNC_T;
	/* Without a local disk the first copy that counts is the peer's. */
	bool ack_due = protocol == PROTOCOL_C || in_sync || !local;
	struct pkt pkt;

	if (tx->epoch_writes > 0 && tx->epoch != req->epoch)
		barrier_send(core, peer);
	if (!tx->active) {
		/* Failed by the barrier. */
		bitmap_set(core, core->vol[req->v],
			   bitmap_slots_of(core->vol[req->v], UINT64_C(1) << peer->id),
			   req->sector, sectors);
		return;
	}
	tell_disk_state(core, peer, req->v);
	if (tx->dagtag != req->dagtag - sectors)
		dagtag_send(core, peer, req->dagtag - sectors);
	tx->dagtag = req->dagtag;
	tx->epoch = req->epoch;
	tx->epoch_writes++;
	tx->in_flight_sectors += sectors;
	pkt_of_request(&pkt, core, req);
	pkt_adapt(&pkt, peer);
	pkt.u.block.seq = ++pd->seq_tx;
	if (in_sync)
		pkt.u.block.dp_flags |= DP_MAY_SET_IN_SYNC;
	if (ack_due)
		pkt.u.block.dp_flags |= DP_SEND_WRITE_ACK;
	if (protocol == PROTOCOL_B && local)
		pkt.u.block.dp_flags |= DP_SEND_RECEIVE_ACK;
	core_send(core, peer, STREAM_DATA, &pkt);
	net_send(&req->net, peer->id, protocol != PROTOCOL_A || !local, ack_due);
	if (pdsk_of(core, pd) == DISK_UP_TO_DATE)
		req->good |= UINT32_C(1) << peer->id;
	if (protocol != PROTOCOL_A || ack_due)
		pd->pending++;
	pd->sent_sectors += sectors;
	if (!tx->oldest)
		tx->oldest = req;
}

static void out_of_sync_send(struct core *core, struct peer *peer, const struct request *req)
{
	struct pkt pkt = { .type = P_OUT_OF_SYNC, .vnr = core->vol[req->v]->vnr };

	pkt.u.block.sector = req->sector;
	pkt.u.block.bytes = req->bytes;
	core_send(core, peer, STREAM_DATA, &pkt);
	/* Others may wait until this peer knows of all writes up to here (5.4). */
	dagtag_send(core, peer, req->dagtag);
}

static void local_write(struct core *core, struct request *req)
{
	struct volume *vol = core->vol[req->v];
	uint64_t tag = tag_make(TAG_REQUEST, slab_handle(&core->req.slab, req));
	enum core_action_kind kind = AC_DISK_WRITE;
	struct core_action *act;

	/* Discarded blocks read as zero on every node, or they are written as zeroes. */
	if (req->op != OP_WRITE)
		kind = request_discard_kind(vol, req->op, req->sector, req->bytes);
	act = request_local_begin(core, vol, kind, tag);
	act->u.disk.sector = req->sector;
	act->u.disk.bytes = req->bytes;
	act->u.disk.fua = req->fua;
	act->u.disk.unmap = req->op == OP_DISCARD;
	act->u.disk.payload = req->payload;
	req->local_pending = true;
	req->local_good = disk_of(core, vol) == DISK_UP_TO_DATE;
}

enum core_action_kind request_discard_kind(const struct volume *vol, enum request_op op,
					   uint64_t sector, uint32_t bytes)
{
	bool aligned = sector % BM_BLOCK_SECTORS == 0 && bytes % BM_BLOCK_BYTES == 0;

	return op == OP_DISCARD && vol->discard_ok && aligned ? AC_DISK_DISCARD : AC_DISK_ZEROES;
}

/* Fencing keeps the answer back when one of them is lost,
 * and it may be back before it is fenced. */
static bool may_be_sent_again(const struct core *core, uint32_t data)
{
	for (; data; data &= data - 1) {
		const struct peer *peer = core->peer[__builtin_ctz(data)];

		if (peer->conf->net.fencing == FENCING_STONITH &&
		    !(peer->features & FEATURE_DRBDFS))
			return true;
	}
	return false;
}

void request_log_start(struct core *core, struct request *req)
{
	struct requests *rq = &core->req;
	struct volume *vol = core->vol[req->v];
	uint32_t sectors = req->bytes / SECTOR_BYTES;
	uint32_t data = 0, out_of_sync = 0;
	bool local = request_local_writable(core, vol);

	req->again = false;
	req->refused = 0;
	req->resent = req->lacking;
	req->lacking = 0;
	list_del(&req->refused_link);
	resync_write_overlaps(core, vol, req->sector, sectors);
	FOR_EACH_PEER(core, peer) {
		enum write_mode mode = request_mode(core, &peer->pd[req->v]);

		if (mode == MODE_DATA)
			data |= UINT32_C(1) << peer->id;
		else if (mode == MODE_OUT_OF_SYNC)
			out_of_sync |= UINT32_C(1) << peer->id;
	}
	rq->dagtag += sectors;
	req->dagtag = rq->dagtag;
	req->epoch = rq->epoch;
	req->sent_ns = core->now_ns;
	req->stage = REQ_LOGGED;
	rq->epoch_writes++;
	list_push_back(&rq->log, &req->link);
	/*
	 * Who does not get it differs from now on; without a local copy this node does from
	 * everybody. The activity log covers these bits on disk.
	 */
	if (vol_has_md(vol)) {
		uint32_t have = local ? bitmap_slots_of(vol, data) : 0;

		bitmap_set(core, vol, SLOTS_ALL & ~have, req->sector, sectors);
		req->marked = !local;
	}
	if (local) {
		local_write(core, req);
		vol->app_sectors += sectors;
	}
	FOR_EACH_PEER(core, peer) {
		if (data >> peer->id & 1)
			data_send(core, peer, req, local);
		else if (out_of_sync >> peer->id & 1)
			out_of_sync_send(core, peer, req);
	}
	if (!request_waits(core) && !may_be_sent_again(core, data) &&
	    !two_primaries_may_refuse(core, data))
		core_payload_put(core, &req->payload);
	vol->written_sectors += sectors;
	if (rq->epoch_writes >= rq->epoch_max)
		request_epoch_close(core);
	two_primaries_sent(core, req, data);
	request_log_progress(core, req);
}

/* ---- progress ---- */

/* A disk that was given up meanwhile says nothing to anybody. */
static bool has_local_copy(const struct core *core, const struct request *req)
{
	return req->local_ok && req->local_good &&
	       request_local_writable(core, core->vol[req->v]);
}

/*
 * Peers that had an UpToDate disk, have the write and are still there. One that went away, or gave
 * its disk up, does not count: nobody would tell those who lack the write that they do.
 */
static uint32_t good_peers(const struct core *core, const struct request *req)
{
	uint32_t good = req->good & ~req->net.of[NET_FAILED] & ~req->net.of[NET_LOST] &
			~req->net.of[NET_REFUSED];
	uint32_t found = 0;

	for (; good; good &= good - 1) {
		const struct peer *peer = core->peer[__builtin_ctz(good)];

		if (peer && peer_connected(core, peer) &&
		    pdsk_of(core, &peer->pd[req->v]) == DISK_UP_TO_DATE)
			found |= UINT32_C(1) << peer->id;
	}
	return found;
}

/* They have said so; with protocol A or B a write may still be on its way, and fail there. */
static uint32_t peers_with_copy(const struct core *core, const struct request *req)
{
	return good_peers(core, req) & (req->net.of[NET_WRITTEN] | req->net.of[NET_STABLE]);
}

/* No disk that counts is known to have it, but one is about to tell: with the barrier's ack. */
static bool copy_on_its_way(struct core *core, const struct request *req)
{
	if (has_local_copy(core, req) || peers_with_copy(core, req) || !good_peers(core, req))
		return false;
	if (req->epoch == core->req.epoch)
		request_epoch_close(core);
	request_barriers_send(core);
	return true;
}

/*
 * Should this node die now, a good peer that has not heard of the generation takes the lost one's
 * data for its own. DRBD kernels do not say that they have.
 */
static bool good_peers_follow(const struct core *core, const struct volume *vol)
{
	FOR_EACH_PEER(core, peer) {
		const struct peer_device *pd = &peer->pd[vol->v];

		if (peer_connected(core, peer) && repl_of(core, pd) == REPL_ESTABLISHED &&
		    pdsk_of(core, pd) == DISK_UP_TO_DATE && pd->uuids_valid &&
		    pd->uuids.flags & UUID_FLAG_KEEPS_BITS && !uuid_peer_follows(pd, vol))
			return false;
	}
	return true;
}

/*
 * A write that a lost peer or disk does not have is answered when the generation that says so is on
 * a disk that has the write, and the good peers in sight are at it: should this node crash now, the
 * lost one must not take its own data for the same, nor one of them that of the lost one.
 */
static bool told_apart(const struct core *core, const struct request *req)
{
	const struct volume *vol = core->vol[req->v];
	uint32_t peers;

	/* Every disk has it: the own one may have been lost with it. */
	if (!(req->net.of[NET_LOST] | req->net.of[NET_FAILED]) && !vol->awaits_disk)
		return true;
	if (uuid_bump_running(core))
		return false;
	/* It is made only when our disk has been compared with the peers'. */
	if (vol->new_uuid_wanted && volume_may_lead(core, vol))
		return false;
	if (!good_peers_follow(core, vol))
		return false;
	if (has_local_copy(core, req))
		return true;
	peers = peers_with_copy(core, req);
	for (uint32_t left = peers; left; left &= left - 1) {
		if (uuid_peer_follows(&core->peer[__builtin_ctz(left)]->pd[req->v], vol))
			return true;
	}
	return peers == 0;
}

/* Local part and all acks are in: what the peers said to be in sync is; overlapping I/O may go
 * on. */
static void settle(struct core *core, struct request *req)
{
	struct volume *vol = core->vol[req->v];
	uint32_t in_sync = req->net.of[NET_IN_SYNC];

	/* What was marked when they were lost is there now; they do not know that anything was. */
	in_sync |= req->resent & req->net.of[NET_WRITTEN] & ~req->net.of[NET_FAILED];
	in_sync &= ~req->net.of[NET_LOST];
	req->settled = true;
	if (in_sync && req->local_ok)
		bitmap_clear(core, vol, bitmap_slots_of(vol, in_sync), req->sector,
			     req->bytes / SECTOR_BYTES);
	hold_release(core, vol, &req->hold);
}

bool request_waits(const struct core *core)
{
	return quorum_waits_for_io(core) ||
	       (core->conf.on_no_data == NO_DATA_SUSPEND && !core->commands.give_up_io);
}

/* No disk that counts has it, but it is to wait until one does; or a write of the other Primary
 * went first at one. */
static bool may_start_again(const struct core *core, const struct request *req)
{
	return core->st.role == ROLE_PRIMARY &&
	       (req->refused || req->lacking || request_waits(core)) &&
	       (req->op != OP_WRITE || req->payload.id);
}

/*
 * A node that missed the write has it when its bits, set then, were cleared since: only proof of
 * the block's content clears them.
 */
static bool caught_up(const struct volume *vol, const struct request *req, uint64_t nodes)
{
	uint32_t slots = bitmap_slots_of(vol, nodes);

	return slots && !bitmap_test(vol, slots, req->sector, req->bytes / SECTOR_BYTES);
}

/*
 * DRBD kernels that were lost with the write under way, and are back before there was a generation
 * without them: equal generations are equal data for them, whatever is marked here, as their like
 * sends again what it kept.
 */
static uint32_t returned_without(const struct core *core, const struct request *req)
{
	const struct volume *vol = core->vol[req->v];
	uint32_t found = 0;

	for (uint32_t lost = req->net.of[NET_LOST]; lost; lost &= lost - 1) {
		const struct peer *peer = core->peer[__builtin_ctz(lost)];
		const struct peer_device *pd = peer ? &peer->pd[req->v] : NULL;

		if (pd && repl_of(core, pd) == REPL_ESTABLISHED &&
		    request_mode(core, pd) == MODE_DATA && pd->uuids_valid &&
		    !(pd->uuids.flags & UUID_FLAG_KEEPS_BITS) &&
		    !(vol_has_md(vol) && caught_up(vol, req, UINT64_C(1) << peer->id)))
			found |= UINT32_C(1) << peer->id;
	}
	return found;
}

/* Nobody has to be waited for: the answer, or another try. */
static void decide(struct core *core, struct request *req)
{
	bool copy = has_local_copy(core, req) || peers_with_copy(core, req);

	/* What the application writes from now on may depend on this write. */
	if (req->epoch == core->req.epoch)
		request_epoch_close(core);
	req->lacking = returned_without(core, req);
	req->again = (!copy || req->refused || req->lacking) && may_start_again(core, req);
	if (!req->again)
		request_complete(core, req, copy && !quorum_fails_io(core, req->v) ? 0 : -EIO);
}

void request_log_progress(struct core *core, struct request *req)
{
	if (req->local_pending)
		return;
	if (!req->completed && quorum_holds_answers(core)) {
		core->req.answers_held = true;
		/* Quorum may depend on a resync, and that on the range. */
		if (!req->settled && req->net.of[NET_ACK_DUE] == 0)
			settle(core, req);
		return;
	}
	if (!req->completed && !told_apart(core, req)) {
		core->req.answers_held = true;
		return;
	}
	if (!req->completed && !req->again && req->net.of[NET_WANTED] == 0 &&
	    !copy_on_its_way(core, req))
		decide(core, req);
	if ((req->completed || req->again) && !req->settled && req->net.of[NET_ACK_DUE] == 0)
		settle(core, req);
}

static uint64_t nodes_with(const struct core *core, const struct request *req)
{
	const struct volume *vol = core->vol[req->v];
	uint32_t lost = req->net.of[NET_LOST];
	/* What a peer has had may have been overwritten by a resync after it was lost, from one
	 * that gets the write only now. */
	uint64_t mask = net_has(&req->net) & ~(uint64_t)req->parted;

	if (req->local_ok || (req->marked && request_local_writable(core, vol) &&
			      caught_up(vol, req, mask)))
		mask |= UINT64_C(1) << core->self;
	if (!req->local_ok || !vol_has_md(vol))
		return mask;
	for (; lost; lost &= lost - 1) {
		unsigned node = (unsigned)__builtin_ctz(lost);

		if (core->peer[node] && core->peer[node]->tx.active &&
		    caught_up(vol, req, UINT64_C(1) << node))
			mask |= UINT64_C(1) << node;
	}
	return mask;
}

void request_log_retire(struct core *core)
{
	struct requests *rq = &core->req;
	bool retired = false;

	while (!list_empty(&rq->log)) {
		struct request *req = LIST_ENTRY(rq->log.next, struct request, link);

		if (!req->settled || !net_done(&req->net))
			break;
		list_del(&req->link);
		rq->done_dagtag = req->dagtag;
		peer_ack_add(core, req, nodes_with(core, req));
		/* Until it is sent once more the log names it, unless others need the room. */
		if (actlog_has_waiters(core->vol[req->v]))
			two_primaries_mark(core, req);
		if (!list_linked(&req->refused_link))
			actlog_put(core, core->vol[req->v], &req->al);
		retired = true;
		if (req->completed) {
			request_free(core, req);
			continue;
		}
		req->stage = REQ_HELD;
		list_push_back(&rq->held, &req->link);
		if (req->again) {
			rq->answers_held = true;
			core_work(core, WORK_REQUESTS);
		}
	}
	if (!retired)
		return;
	if (rq->flush_waits > 0)
		peer_ack_answer_flushes(core);
	if (rq->settle_wanted && list_empty(&rq->log)) {
		rq->settle_wanted = false;
		peer_ack_flush(core);
		core_work(core, WORK_COMMAND);
	}
}

/* As if it had just been submitted, ahead of what has not begun yet. */
static void start_again(struct request *req, struct list *again)
{
	if (!req->al.held)
		actlog_ref_init(&req->al);
	memset(&req->net, 0, sizeof(req->net));
	req->good = req->parted = 0;
	req->error = 0;
	req->local_ok = req->local_good = req->marked = req->settled = req->prepared = false;
	req->stage = REQ_GATED;
	list_push_back(again, &req->link);
}

void request_log_release(struct core *core)
{
	struct list again;

	list_init(&again);
	LIST_FOR_EACH_SAFE(it, &core->req.held) {
		struct request *req = LIST_ENTRY(it, struct request, link);

		if (req->again && !may_start_again(core, req))
			request_complete(core, req, -EIO);
		else
			request_log_progress(core, req);
		if (!req->completed && !req->again)
			continue;
		list_del(&req->link);
		if (req->completed)
			actlog_put(core, core->vol[req->v], &req->al);
		if (req->completed)
			request_free(core, req);
		else
			start_again(req, &again);
	}
	list_splice_back(&again, &core->req.gated);
	list_splice_back(&core->req.gated, &again);
	/* An answer may add writes to the end of the log, never take one off it. */
	LIST_FOR_EACH(it, &core->req.log)
		request_log_progress(core, LIST_ENTRY(it, struct request, link));
	request_log_retire(core);
}

bool request_unanswered_without(const struct core *core, const struct volume *vol, unsigned node)
{
	const struct list *const lists[] = { &core->req.log, &core->req.held };

	for (unsigned i = 0; i < ARRAY_LEN(lists); i++) {
		LIST_FOR_EACH(it, lists[i]) {
			const struct request *req = LIST_ENTRY(it, struct request, link);

			if (req->v == vol->v && !req->completed &&
			    !(net_has(&req->net) >> node & 1))
				return true;
		}
	}
	return false;
}

bool request_answered_without(const struct core *core, const struct volume *vol, unsigned node)
{
	LIST_FOR_EACH(it, &core->req.log) {
		const struct request *req = LIST_ENTRY(it, struct request, link);
		uint32_t has = req->net.of[NET_WRITTEN] | req->net.of[NET_STABLE];

		if (req->v == vol->v && req->completed && !req->failed &&
		    (req->net.of[NET_SENT] & ~has) >> node & 1)
			return true;
	}
	return false;
}

static void copies_doubtful(const struct core *core, struct list *list, const struct volume *vol,
			    uint64_t nodes)
{
	LIST_FOR_EACH(it, list) {
		struct request *req = LIST_ENTRY(it, struct request, link);

		if (req->v != vol->v || req->completed)
			continue;
		req->good &= ~(uint32_t)nodes;
		req->local_good &= !(nodes >> core->self & 1);
	}
}

void request_copies_doubtful(struct core *core, const struct volume *vol, uint64_t nodes)
{
	copies_doubtful(core, &core->req.log, vol, nodes);
	copies_doubtful(core, &core->req.held, vol, nodes);
}

bool request_relieve_al(struct core *core, struct volume *vol)
{
	request_barriers_send(core);
	peer_ack_flush(core);
	two_primaries_mark_all(core, vol);
	return peer_write_relieve_al(core, vol);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Two-phase commit as participant and forwarder of another
 * node's transaction (wire-protocol 6.4 to 6.6). */
#include <stdio.h>

#include "core/cluster.h"
#include "core/core_hooks.h"
#include "core/fencing.h"
#include "core/state.h"
#include "core/twopc.h"

#define NS_PER_DS (100 * NS_PER_MS)

static void reply_send(struct core *core, struct peer *peer, enum packet type, uint16_t vnr,
		       const struct pkt_twopc_reply *reply)
{
	struct pkt pkt = { .type = (uint16_t)type, .vnr = vnr };

	pkt.u.twopc_reply = *reply;
	core_send(core, peer, STREAM_CONTROL, &pkt);
}

/* Answers a transaction that is not taken up. */
static void refuse(struct core *core, struct peer *peer, const struct pkt *pkt, enum packet type)
{
	struct pkt_twopc_reply reply = {
		.tid = pkt->u.twopc.tid,
		.initiator = pkt->u.twopc.initiator,
		.reachable_nodes = cluster_reachable(core),
	};

	reply_send(core, peer, type, pkt->vnr, &reply);
}

static void answer_parents(struct core *core, enum packet type, uint64_t parents)
{
	struct twopc *tp = &core->twopc;
	struct pkt_twopc_reply reply = {
		.tid = tp->tid,
		.initiator = tp->change.initiator,
		.reachable_nodes = tp->reachable,
		.primary_nodes = tp->primary,
		.weak_nodes = tp->change.kind == TWOPC_RESIZE ? tp->max_sectors : tp->weak,
	};

	FOR_EACH_PEER(core, peer) {
		if (parents & node_bit(peer->id))
			reply_send(core, peer, type, tp->change.vnr, &reply);
	}
}

static bool connects_me(const struct core *core)
{
	const struct twopc_change *c = &core->twopc.change;

	return c->kind == TWOPC_CONNECT && c->target == core->self;
}

static void forget(struct core *core)
{
	struct twopc *tp = &core->twopc;
	bool agreed = tp->phase == TWOPC_ANSWERED && tp->answer == P_TWOPC_YES;
	struct peer *parted = NULL;

	if (connects_me(core) && core->peer[tp->change.initiator] &&
	    !peer_connected(core, core->peer[tp->change.initiator]))
		parted = core->peer[tp->change.initiator];
	if (parted)
		handshake_forget(parted);
	tp->phase = TWOPC_IDLE;
	if (parted && agreed)
		fencing_unsure(core, parted);
	core_work(core, WORK_TWOPC | WORK_COMMAND);
	if (tp->change.kind != TWOPC_RESIZE)
		return;
	core_work(core, WORK_SYNC);
	if (core_volume_by_vnr(core, tp->change.vnr))
		sizes_look_again(core, core_volume_by_vnr(core, tp->change.vnr));
}

static enum packet answer_of(enum state_rv rv)
{
	if (rv >= SS_SUCCESS)
		return P_TWOPC_YES;
	return rv == SS_IN_TRANSIENT_STATE || rv == SS_HANDSHAKE_RETRY ? P_TWOPC_RETRY :
									  P_TWOPC_NO;
}

/* Our own part of a connect, once both have told each other everything. */
static enum state_rv check_connect(struct core *core)
{
	struct twopc *tp = &core->twopc;
	struct peer *peer = core->peer[tp->change.initiator];
	const char *reason = NULL;
	enum state_rv rv = handshake_decide(core, peer, &reason);

	peer->hs_refused = rv == SS_HANDSHAKE_DISCONNECT;
	if (rv >= SS_SUCCESS)
		return twopc_change_try(core, &tp->change);
	if (reason)
		snprintf(peer->reason, sizeof(peer->reason), "%s", reason);
	return rv;
}

void twopc_answer(struct core *core)
{
	struct twopc *tp = &core->twopc;
	enum packet type;

	if (tp->phase != TWOPC_FORWARDING)
		return;
	if (tp->got_retry) {
		type = P_TWOPC_RETRY;
	} else if (tp->local_rv < SS_SUCCESS) {
		type = answer_of(tp->local_rv);
	} else if (tp->pending || tp->handshake_pending || tp->measure_pending) {
		return;
	} else {
		if (connects_me(core))
			tp->local_rv = check_connect(core);
		type = answer_of(tp->local_rv);
		if (type == P_TWOPC_YES && tp->got_no)
			type = P_TWOPC_NO;
	}
	answer_parents(core, type, tp->parents);
	tp->answer = type;
	tp->phase = TWOPC_ANSWERED;
	if (type != P_TWOPC_YES)
		core_log(core, LOG_LEVEL_INFO, "%s: answered %s to transaction %u of node %d: %s",
			 core->conf.name, packet_name(type), tp->tid, tp->change.initiator,
			 state_rv_text(tp->local_rv));
	/* Nobody else waits for the ABORT through us. */
	if (type != P_TWOPC_YES && !tp->asked)
		forget(core);
}

void twopc_measured(struct core *core, uint64_t possible_sectors)
{
	struct twopc *tp = &core->twopc;

	if (tp->phase != TWOPC_FORWARDING || !tp->measure_pending)
		return;
	tp->measure_pending = false;
	if (!possible_sectors)
		tp->local_rv = SS_NO_LOCAL_DISK;
	else if (possible_sectors < tp->max_sectors)
		tp->max_sectors = possible_sectors;
	twopc_answer(core);
}

/* A change that names us as its target needs a neighbour in the right state to come from. */
static bool comes_properly(const struct core *core, const struct peer *peer,
			   const struct twopc_change *c)
{
	bool connected = peer_connected(core, peer);

	if (c->kind == TWOPC_CONNECT && c->target == core->self && c->initiator == peer->id)
		return !connected && core->st.peer[peer->id].conn == CONN_CONNECTING;
	return connected;
}

static bool target_fits(const struct core *core, const struct peer *peer,
			const struct twopc_change *c)
{
	const struct peer *initiator = core->peer[c->initiator];

	if (c->target != core->self)
		return true;
	if (c->kind == TWOPC_CONNECT)
		return c->initiator == peer->id;
	return initiator && peer_connected(core, initiator);
}

/* The transaction that runs already, over a further path. */
static void duplicate(struct core *core, struct peer *peer)
{
	struct twopc *tp = &core->twopc;

	tp->parents |= node_bit(peer->id);
	if (tp->phase == TWOPC_ANSWERED) {
		answer_parents(core, tp->answer, node_bit(peer->id));
		return;
	}
	/* We asked it, and it asks us: it has prepared itself. */
	if (tp->pending & node_bit(peer->id)) {
		tp->pending &= ~node_bit(peer->id);
		twopc_answer(core);
	}
}

/* Somebody thinks that there is no Primary: ours, if we have one, should show that it is alive. */
static void doubt_primaries(struct core *core, struct peer *from,
			    const struct twopc_change *change)
{
	bool promotion = change->kind == TWOPC_ROLE &&
			 (change->val & SW_ROLE_MASK) == ROLE_PRIMARY;

	if (change->kind != TWOPC_EMPTY && !promotion)
		return;
	FOR_EACH_PEER(core, peer) {
		if (peer != from && core->st.peer[peer->id].role == ROLE_PRIMARY)
			keepalive_ping(core, peer);
	}
}

static void accept(struct core *core, struct peer *peer, const struct pkt *pkt,
		   const struct twopc_change *change)
{
	struct twopc *tp = &core->twopc;
	uint64_t nodes = cluster_neighbours(core) & pkt->u.twopc.nodes_to_reach &
			 ~node_bit(peer->id);

	tp->change = *change;
	tp->tid = pkt->u.twopc.tid;
	tp->flags = pkt->u.twopc.flags;
	tp->parents = node_bit(peer->id);
	tp->got_no = false;
	tp->got_retry = false;
	tp->from_primary = core->st.peer[change->initiator].role == ROLE_PRIMARY;
	tp->phase = TWOPC_FORWARDING;
	tp->deadline_ns = core->now_ns + core->conf.twopc_timeout_ds * NS_PER_DS;
	tp->handshake_pending = connects_me(core);
	tp->local_rv = SS_SUCCESS;
	if (!tp->handshake_pending)
		tp->local_rv = twopc_change_try(core, change);
	twopc_change_masks(core, change, &tp->reachable, &tp->primary, &tp->weak);
	tp->max_sectors = RESIZE_SECTORS_MAX;
	resize_remember(core, change);
	tp->measure_pending = change->kind == TWOPC_RESIZE && tp->local_rv >= SS_SUCCESS &&
			      resize_measure(core, core_volume_by_vnr(core, change->vnr));
	if (tp->local_rv < SS_SUCCESS)
		nodes = 0;
	tp->nodes_to_reach = pkt->u.twopc.nodes_to_reach & ~(nodes | node_bit(core->self));
	tp->asked = nodes;
	tp->pending = nodes;
	twopc_send(core, P_TWOPC_PREPARE, nodes);
	doubt_primaries(core, peer, change);
	if (tp->handshake_pending)
		handshake_exchange(core, peer);
	twopc_answer(core);
}

/*
 * An initiator asks its neighbours itself. If its question comes by way of another node, it has no
 * connection to us any more, whatever ours to it looks like.
 */
static void drop_stale_initiator(struct core *core, const struct peer *from,
				 const struct twopc_change *change)
{
	struct peer *initiator = core->peer[change->initiator];

	if (initiator && initiator != from && peer_connected(core, initiator))
		peer_fail(core, initiator, CONN_NETWORK_FAILURE,
			  "it speaks to us through %s only: the connection is dead",
			  from->conf->name);
}

void rx_twopc_prepare(struct core *core, struct peer *peer, const struct pkt *pkt)
{
	struct twopc *tp = &core->twopc;
	struct twopc_change change;

	if (pkt->u.twopc.initiator < 0 || pkt->u.twopc.initiator >= (int)NODES_MAX ||
	    pkt->u.twopc.target >= (int)NODES_MAX || pkt->u.twopc.initiator == core->self) {
		peer_fail(core, peer, CONN_PROTOCOL_ERROR, "%s for impossible nodes %d -> %d",
			  packet_name(pkt->type), pkt->u.twopc.initiator, pkt->u.twopc.target);
		return;
	}
	if (!twopc_change_parse(pkt, &change)) {
		refuse(core, peer, pkt, P_TWOPC_NO);
		return;
	}
	if (!comes_properly(core, peer, &change)) {
		peer_fail(core, peer, CONN_PROTOCOL_ERROR,
			  "a transaction that does not fit the connection's state");
		return;
	}
	drop_stale_initiator(core, peer, &change);
	if (!target_fits(core, peer, &change)) {
		refuse(core, peer, pkt, P_TWOPC_RETRY);
		return;
	}
	if ((tp->phase == TWOPC_FORWARDING || tp->phase == TWOPC_ANSWERED) &&
	    tp->tid == pkt->u.twopc.tid && tp->change.initiator == change.initiator) {
		duplicate(core, peer);
		return;
	}
	/* Two initiators: the lower node id goes on, the other one tries again later. */
	if (tp->phase == TWOPC_INITIATING && change.initiator < (int)core->self)
		twopc_abort_own(core, SS_CONCURRENT_ST_CHG);
	if (tp->phase != TWOPC_IDLE) {
		refuse(core, peer, pkt, P_TWOPC_RETRY);
		return;
	}
	accept(core, peer, pkt, &change);
}

void rx_twopc_reply(struct core *core, struct peer *peer, const struct pkt *pkt)
{
	const struct pkt_twopc_reply *r = &pkt->u.twopc_reply;
	struct twopc *tp = &core->twopc;

	/* A busy target has not begun its part of the exchange. */
	if (pkt->type == P_TWOPC_RETRY && r->tid == peer->hs_owed_tid && peer->hs_owed) {
		peer->hs_owed = false;
		core_work(core, WORK_TWOPC);
	}
	if (tp->phase == TWOPC_IDLE || r->tid != tp->tid || r->initiator != tp->change.initiator ||
	    !(tp->pending & node_bit(peer->id)))
		return;
	tp->pending &= ~node_bit(peer->id);
	if (tp->phase == TWOPC_INITIATING && tp->change.target == peer->id)
		tp->target_reachable |= r->reachable_nodes;
	else
		tp->reachable |= r->reachable_nodes;
	tp->primary |= r->primary_nodes;
	if (tp->change.kind != TWOPC_RESIZE)
		tp->weak |= r->weak_nodes;
	else if (pkt->type == P_TWOPC_YES && r->weak_nodes < tp->max_sectors)
		tp->max_sectors = r->weak_nodes;
	tp->got_no |= pkt->type == P_TWOPC_NO;
	tp->got_retry |= pkt->type == P_TWOPC_RETRY;
	if (tp->phase == TWOPC_INITIATING)
		twopc_decide(core);
	else
		twopc_answer(core);
}

void twopc_abort_remote(struct core *core, const char *why)
{
	struct twopc *tp = &core->twopc;

	core_log(core, LOG_LEVEL_INFO, "%s: transaction %u of node %d aborted: %s", core->conf.name,
		 tp->tid, tp->change.initiator, why);
	twopc_send(core, P_TWOPC_ABORT, tp->asked);
	forget(core);
}

/* A Primary that was made by force has new data for who had no good data either (2.5). */
static void mark_forced(struct core *core, const struct twopc_change *c)
{
	struct peer *peer = core->peer[c->initiator];

	if (!peer || c->kind != TWOPC_ROLE || !(c->mask & SW_DISK_MASK))
		return;
	for (unsigned v = 0; v < core->vol_count; v++)
		peer->pd[v].consider_resync = true;
}

static void commit_remote(struct core *core)
{
	struct twopc *tp = &core->twopc;
	struct twopc_change change = tp->change;
	struct peer *initiator = core->peer[change.initiator];
	bool connect = connects_me(core);
	const char *reason = NULL;

	twopc_send(core, P_TWOPC_COMMIT, tp->asked);
	tp->phase = TWOPC_IDLE;
	core_work(core, WORK_TWOPC | WORK_COMMAND);
	if (connect) {
		if (handshake_decide(core, initiator, &reason) < SS_SUCCESS) {
			peer_fail(core, initiator, CONN_NETWORK_FAILURE,
				  "the data here changed while the connection was made");
			return;
		}
		handshake_commit(core, initiator);
	}
	mark_forced(core, &change);
	twopc_change_commit(core, &change, tp->primary, tp->reachable, tp->flags);
	if (change.kind == TWOPC_RESIZE) {
		core_work(core, WORK_SYNC);
		resize_commit(core, &change);
	}
	if (change.kind == TWOPC_DISCONNECT && change.target == core->self && initiator)
		peer_disconnected(core, initiator, true);
}

void rx_twopc_decision(struct core *core, struct peer *peer, const struct pkt *pkt)
{
	const struct pkt_twopc *t = &pkt->u.twopc;
	struct cause cause = core->cause;
	struct twopc *tp = &core->twopc;

	if ((tp->phase != TWOPC_FORWARDING && tp->phase != TWOPC_ANSWERED) || t->tid != tp->tid ||
	    t->initiator != tp->change.initiator)
		return;
	if (pkt->type == P_TWOPC_ABORT) {
		twopc_abort_remote(core, "its initiator gave it up");
		return;
	}
	if (tp->phase != TWOPC_ANSWERED || tp->answer != P_TWOPC_YES) {
		peer_fail(core, peer, CONN_PROTOCOL_ERROR,
			  "COMMIT of a transaction that was not agreed to");
		return;
	}
	if (tp->change.kind == TWOPC_RESIZE &&
	    (!t->exposed_sectors || t->exposed_sectors > tp->max_sectors)) {
		peer_fail(core, peer, CONN_PROTOCOL_ERROR,
			  "COMMIT of %llu sectors for volume %u, of which at most %llu fit",
			  (unsigned long long)t->exposed_sectors, tp->change.vnr,
			  (unsigned long long)tp->max_sectors);
		return;
	}
	tp->new_sectors = t->exposed_sectors;
	tp->flags = t->flags;
	tp->primary = t->primary_nodes;
	tp->reachable = t->flags & TWOPC_FLAG_HAS_REACHABLE ? t->reachable_nodes : tp->reachable;
	core->cause = history_twopc(core);
	commit_remote(core);
	core->cause = cause;
}

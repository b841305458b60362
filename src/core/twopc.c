/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Two-phase commit as initiator: one transaction at a time,
 * retried after a random pause (wire-protocol 6.4, 6.5). */
#include "core/twopc.h"

#include <stdio.h>
#include <string.h>

#include "core/cluster.h"
#include "core/core_hooks.h"
#include "core/state.h"

#define NS_PER_DS (100 * NS_PER_MS)
#define BACKOFF_SHIFT_MAX 5U

bool twopc_connects(const struct core *core, const struct peer *peer)
{
	const struct twopc *tp = &core->twopc;

	if (tp->phase == TWOPC_IDLE || tp->change.kind != TWOPC_CONNECT)
		return false;
	return (tp->change.initiator == core->self && tp->change.target == peer->id) ||
	       (tp->change.initiator == peer->id && tp->change.target == core->self);
}

bool twopc_starts_resync(const struct core *core, const struct peer *peer,
			 const struct volume *vol)
{
	const struct twopc *tp = &core->twopc;

	return tp->phase == TWOPC_ANSWERED && tp->change.kind == TWOPC_REPL &&
	       tp->change.initiator == peer->id && tp->change.target == core->self &&
	       tp->change.vnr == vol->vnr;
}

bool twopc_may_resize(const struct core *core, const struct volume *vol)
{
	const struct twopc *tp = &core->twopc;

	return tp->phase != TWOPC_IDLE && tp->change.kind == TWOPC_RESIZE &&
	       tp->change.vnr == vol->vnr;
}

void twopc_request_command(struct core *core, const struct twopc_change *change)
{
	struct twopc *tp = &core->twopc;

	ASSERT(!tp->want_command);
	tp->want_command = true;
	tp->command_change = *change;
	tp->command_change.initiator = (int8_t)core->self;
	tp->command_until_ns = core->now_ns + 2 * core->conf.twopc_timeout_ds * NS_PER_DS;
	tp->attempt = 0;
	tp->next_ns = 0;
	core_work(core, WORK_TWOPC);
}

void twopc_request_connect(struct core *core, struct peer *peer)
{
	core->twopc.want_connect |= node_bit(peer->id);
	core_work(core, WORK_TWOPC);
}

void twopc_request_empty(struct core *core)
{
	core->twopc.want_empty = true;
	core->twopc.empty_held = false;
	core_work(core, WORK_TWOPC);
}

void twopc_peer_lost(struct core *core, struct peer *peer)
{
	core->twopc.lost |= node_bit(peer->id);
	core->twopc.want_connect &= ~node_bit(peer->id);
	core_work(core, WORK_TWOPC);
}

static void back_off(struct core *core)
{
	struct twopc *tp = &core->twopc;
	unsigned shift = tp->attempt < BACKOFF_SHIFT_MAX ? tp->attempt : BACKOFF_SHIFT_MAX;
	uint64_t max = core->conf.twopc_retry_timeout_ds * NS_PER_DS *
		       (core->peer_count ? core->peer_count : 1) << shift;

	tp->attempt++;
	tp->next_ns = core->now_ns + NS_PER_MS + core_random64(core) % (max + 1);
}

/* ---- end of an own transaction ---- */

static bool may_retry(enum state_rv rv)
{
	return rv == SS_CONCURRENT_ST_CHG || rv == SS_TIMEOUT || rv == SS_IN_TRANSIENT_STATE;
}

static void finish_own(struct core *core, enum state_rv rv)
{
	struct twopc *tp = &core->twopc;
	struct peer *target = tp->change.target >= 0 ? core->peer[tp->change.target] : NULL;

	tp->phase = TWOPC_IDLE;
	core_work(core, WORK_TWOPC | WORK_COMMAND);
	switch (tp->change.kind) {
	case TWOPC_CONNECT:
		if (rv < SS_SUCCESS && target->phase == HS_READY)
			handshake_failed(core, target, rv);
		return;
	case TWOPC_EMPTY:
		/* When even the second one leaves a disk Consistent, others come first. */
		if (rv < SS_SUCCESS || tp->empty_held)
			back_off(core);
		if (rv >= SS_SUCCESS) {
			tp->empty_held = true;
			quorum_proved(core);
		}
		return;
	case TWOPC_DISCONNECT:
	case TWOPC_ROLE:
	case TWOPC_DISK:
	case TWOPC_REPL:
		break;
	case TWOPC_RESIZE:
		core_work(core, WORK_SYNC);
		break;
	}
	if (may_retry(rv) && core->now_ns < tp->command_until_ns) {
		back_off(core);
		return;
	}
	tp->want_command = false;
	command_twopc_done(core, rv);
}

void twopc_abort_own(struct core *core, enum state_rv rv)
{
	struct twopc *tp = &core->twopc;

	ASSERT(tp->phase == TWOPC_INITIATING);
	core_log(core, LOG_LEVEL_INFO, "%s: transaction %u aborted: %s", core->conf.name, tp->tid,
		 state_rv_text(rv));
	twopc_send(core, P_TWOPC_ABORT, tp->asked);
	finish_own(core, rv);
}

/* Promotions and the like take effect here first; what
 * takes something away, at the others first (6.5). */
static bool commit_goes_first(const struct twopc_change *c)
{
	switch (c->kind) {
	case TWOPC_EMPTY:
		return false;
	case TWOPC_ROLE:
		return (c->val & SW_ROLE_MASK) == ROLE_SECONDARY;
	case TWOPC_REPL:
		return (c->val & SW_CONN_MASK) >> SW_CONN_SHIFT == REPL_WF_BITMAP_S ||
		       (c->val & SW_CONN_MASK) >> SW_CONN_SHIFT == REPL_VERIFY_S;
	case TWOPC_CONNECT:
	case TWOPC_DISCONNECT:
	case TWOPC_DISK:
	case TWOPC_RESIZE:
		break;
	}
	return true;
}

/* A disconnect that splits the cluster tells each side its own members; all else is one side. */
static void join_sides(struct twopc *tp)
{
	if (tp->change.kind == TWOPC_DISCONNECT && !(tp->reachable & tp->target_reachable))
		return;
	tp->reachable |= tp->target_reachable;
	tp->target_reachable = tp->reachable;
}

static void commit_own(struct core *core)
{
	struct twopc *tp = &core->twopc;
	struct twopc_change change = tp->change;
	struct peer *target = change.target >= 0 ? core->peer[change.target] : NULL;
	bool first = commit_goes_first(&change);
	struct cause cause = core->cause;
	enum state_rv rv;

	core->cause = history_twopc(core);
	join_sides(tp);
	if (tp->primary && !tp->weak && change.kind != TWOPC_RESIZE)
		tp->flags |= TWOPC_FLAG_PRI_INCAPABLE;
	if (first)
		twopc_send(core, P_TWOPC_COMMIT, tp->asked);
	if (change.kind == TWOPC_CONNECT)
		handshake_commit(core, target);
	/* Peers may have got or lost their disks since the attach began. */
	if (change.kind == TWOPC_DISK &&
	    (change.val & SW_DISK_MASK) >> SW_DISK_SHIFT == DISK_NEGOTIATING)
		volume_await_peers(core, core_volume_by_vnr(core, change.vnr), true);
	rv = twopc_change_commit(core, &change, tp->primary, tp->reachable, tp->flags);
	if (!first)
		twopc_send(core, P_TWOPC_COMMIT, tp->asked);
	if (change.kind == TWOPC_DISCONNECT)
		peer_disconnected(core, target, false);
	if (change.kind == TWOPC_RESIZE)
		resize_commit(core, &change);
	tp->attempt = 0;
	core->cause = cause;
	finish_own(core, rv);
}

/* At most one Primary in what will be connected (4.6, checks at the initiator), or two that their
 * connection allows: with a third node there would be others. */
static enum state_rv check_primaries(const struct core *core)
{
	const struct twopc *tp = &core->twopc;
	bool adds = tp->change.kind == TWOPC_CONNECT ||
		    (tp->change.kind == TWOPC_ROLE &&
		     (tp->change.val & SW_ROLE_MASK) == ROLE_PRIMARY);

	if (!adds || !(tp->primary & (tp->primary - 1)))
		return SS_SUCCESS;
	FOR_EACH_PEER(core, peer) {
		if (!cluster_allows_two_primaries(core, peer))
			return SS_TWO_PRIMARIES;
	}
	return SS_SUCCESS;
}

static enum state_rv check_connect(struct core *core, struct peer *peer)
{
	const char *reason = NULL;
	enum state_rv rv = handshake_decide(core, peer, &reason);

	if (rv < SS_SUCCESS && reason)
		snprintf(peer->reason, sizeof(peer->reason), "%s", reason);
	return rv;
}

void twopc_decide(struct core *core)
{
	struct twopc *tp = &core->twopc;
	enum state_rv rv = SS_SUCCESS;

	if (tp->phase != TWOPC_INITIATING)
		return;
	if (tp->got_retry) {
		twopc_abort_own(core, SS_CONCURRENT_ST_CHG);
		return;
	}
	/* The others' reasons are in their logs; for a connect our own verdict says it better. */
	if (tp->pending || tp->handshake_pending)
		return;
	if (tp->change.kind == TWOPC_CONNECT)
		rv = check_connect(core, core->peer[tp->change.target]);
	if (rv >= SS_SUCCESS)
		rv = tp->got_no ? SS_CW_FAILED_BY_PEER : check_primaries(core);
	if (rv >= SS_SUCCESS)
		rv = twopc_change_try(core, &tp->change);
	if (rv >= SS_SUCCESS && tp->change.kind == TWOPC_RESIZE)
		rv = resize_decide(core);
	if (rv < SS_SUCCESS || rv == SS_NOTHING_TO_DO)
		twopc_abort_own(core, rv);
	else
		commit_own(core);
}

void twopc_handshake_done(struct core *core, struct peer *peer)
{
	struct twopc *tp = &core->twopc;

	tp->handshake_pending = false;
	peer->hs_owed = false;
	if (tp->phase == TWOPC_INITIATING)
		twopc_decide(core);
	else
		twopc_answer(core);
}

/* ---- begin of an own transaction ---- */

static uint32_t new_tid(struct core *core)
{
	uint32_t tid;

	do {
		tid = (uint32_t)core_random64(core);
	} while (tid == 0);
	return tid;
}

static void begin_own(struct core *core, const struct twopc_change *change)
{
	struct twopc *tp = &core->twopc;
	uint64_t nodes = cluster_neighbours(core);
	struct peer *target = change->target >= 0 ? core->peer[change->target] : NULL;
	enum state_rv rv = SS_SUCCESS;

	tp->change = *change;
	tp->tid = new_tid(core);
	tp->flags = TWOPC_FLAG_V2;
	if (change->kind != TWOPC_RESIZE)
		tp->flags |= TWOPC_FLAG_HAS_REACHABLE;
	tp->got_no = false;
	tp->got_retry = false;
	tp->handshake_pending = change->kind == TWOPC_CONNECT;
	tp->parents = 0;
	tp->target_reachable = 0;
	tp->phase = TWOPC_INITIATING;
	tp->deadline_ns = core->now_ns + core->conf.twopc_timeout_ds * NS_PER_DS;
	twopc_change_masks(core, change, &tp->reachable, &tp->primary, &tp->weak);
	tp->max_sectors = resize_own_max(core, change);
	resize_remember(core, change);
	if (change->kind == TWOPC_CONNECT)
		nodes |= node_bit(target->id);
	else
		rv = twopc_change_try(core, change);
	tp->asked = 0;
	tp->pending = 0;
	if (rv < SS_SUCCESS) {
		finish_own(core, rv);
		return;
	}
	tp->asked = nodes;
	tp->pending = nodes;
	tp->nodes_to_reach = ~(nodes | node_bit(core->self));
	twopc_send(core, P_TWOPC_PREPARE, nodes);
	if (change->kind == TWOPC_CONNECT) {
		target->hs_owed = true;
		target->hs_owed_tid = tp->tid;
		handshake_exchange(core, target);
	}
	twopc_decide(core);
}

static struct peer *next_to_connect(struct core *core)
{
	FOR_EACH_PEER(core, peer) {
		if (!(core->twopc.want_connect & node_bit(peer->id)) || peer->hs_owed ||
		    peer->phase != HS_READY ||
		    core->st.peer[peer->id].conn != CONN_CONNECTING)
			continue;
		return peer;
	}
	return NULL;
}

static void begin_connect(struct core *core, struct peer *peer)
{
	struct twopc_change change = {
		.kind = TWOPC_CONNECT,
		.initiator = (int8_t)core->self,
		.target = (int8_t)peer->id,
		.vnr = VNR_NONE,
		.mask = SW_ROLE_MASK | SW_CONN_MASK,
		.val = (uint32_t)core->st.role | (uint32_t)CONN_CONNECTED << SW_CONN_SHIFT,
	};

	core->twopc.want_connect &= ~node_bit(peer->id);
	begin_own(core, &change);
}

static void begin_empty(struct core *core)
{
	struct twopc_change change = {
		.kind = TWOPC_EMPTY,
		.initiator = (int8_t)core->self,
		.target = -1,
		.vnr = VNR_NONE,
	};

	core->quorum_asked = true;
	begin_own(core, &change);
}

/*
 * The empty change has a purpose as long as a disk is Consistent, or when a Primary asks for
 * quorum. It runs at once, because a
 * Primary that others still see makes our data Outdated; and again when the survivors have settled
 * who has its last writes.
 */
static bool empty_needed(const struct core *core)
{
	if (core->quorum_unproved)
		return true;
	for (unsigned v = 0; v < core->vol_count; v++) {
		if (core->st.vol[v].disk == DISK_CONSISTENT)
			return true;
	}
	return false;
}

static bool empty_due(const struct core *core)
{
	const struct twopc *tp = &core->twopc;

	return tp->want_empty &&
	       (!tp->empty_held || core->quorum_unproved || !reconcile_holds(core));
}

/* ---- lost connections ---- */

static void lost_own(struct core *core, uint64_t lost)
{
	struct twopc *tp = &core->twopc;
	bool target_lost = tp->change.target >= 0 && (lost & node_bit((unsigned)tp->change.target));

	if (target_lost) {
		twopc_abort_own(core, SS_NEED_CONNECTION);
		return;
	}
	if (tp->pending & lost)
		tp->got_retry = true;
	tp->pending &= ~lost;
	tp->asked &= ~lost;
	twopc_decide(core);
}

/*
 * We have agreed to a disconnect that a Primary wants, and its COMMIT was overtaken by the end of
 * the connection: it goes on without us.
 */
static bool left_by_primary(const struct core *core)
{
	const struct twopc *tp = &core->twopc;

	return tp->phase == TWOPC_ANSWERED && tp->answer == P_TWOPC_YES &&
	       tp->change.kind == TWOPC_DISCONNECT && tp->change.target == core->self &&
	       tp->from_primary && core->st.role != ROLE_PRIMARY;
}

static void outdate_own(struct core *core)
{
	struct state *next = state_begin(core);

	FOR_EACH_VOLUME(core, vol) {
		if (next->vol[vol->v].disk > DISK_OUTDATED)
			next->vol[vol->v].disk = DISK_OUTDATED;
	}
	state_end(core, STATE_HARD);
}

static void lost_remote(struct core *core, uint64_t lost)
{
	struct twopc *tp = &core->twopc;

	tp->parents &= ~lost;
	if (tp->pending & lost)
		tp->got_retry = true;
	tp->pending &= ~lost;
	tp->asked &= ~lost;
	if (!tp->parents && left_by_primary(core)) {
		twopc_abort_remote(core, "it has disconnected from us");
		outdate_own(core);
	} else if (!tp->parents) {
		twopc_abort_remote(core, "the connection it came over is gone");
	} else {
		twopc_answer(core);
	}
}

static void look_after_lost(struct core *core)
{
	struct twopc *tp = &core->twopc;
	uint64_t lost = tp->lost;

	tp->lost = 0;
	if (!lost || tp->phase == TWOPC_IDLE)
		return;
	if (tp->phase == TWOPC_INITIATING)
		lost_own(core, lost);
	else
		lost_remote(core, lost);
}

void twopc_run(struct core *core)
{
	struct twopc *tp = &core->twopc;
	struct peer *peer;

	look_after_lost(core);
	if (tp->phase != TWOPC_IDLE)
		return;
	uuid_twopc_over(core);
	if (tp->want_empty && !empty_needed(core))
		tp->want_empty = false;
	peer = next_to_connect(core);
	if (tp->want_command && core->now_ns >= tp->next_ns && !(peer && tp->serve_connect_next)) {
		tp->serve_connect_next = true;
		begin_own(core, &tp->command_change);
	} else if (peer) {
		tp->serve_connect_next = false;
		begin_connect(core, peer);
	} else if (empty_due(core) && core->now_ns >= tp->next_ns) {
		begin_empty(core);
	}
}

void twopc_time(struct core *core)
{
	struct twopc *tp = &core->twopc;

	if (tp->phase != TWOPC_IDLE && core->now_ns >= tp->deadline_ns) {
		if (tp->phase == TWOPC_INITIATING)
			twopc_abort_own(core, SS_TIMEOUT);
		else
			twopc_abort_remote(core, "no decision came in time");
	}
	if (tp->phase == TWOPC_IDLE && (tp->want_command || tp->want_empty))
		core_work(core, WORK_TWOPC);
}

uint64_t twopc_deadline(const struct core *core)
{
	const struct twopc *tp = &core->twopc;

	if (tp->phase != TWOPC_IDLE)
		return tp->deadline_ns;
	if (tp->want_command || empty_due(core))
		return tp->next_ns > core->now_ns ? tp->next_ns : core->now_ns;
	return NEVER_NS;
}

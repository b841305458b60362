/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a node behind a connection of protocol A or B may lack, and what it may not. */
#include <string.h>

#include "sim.h"

void oracle_async_reset(struct world *w)
{
	struct oracle *o = &w->oracle;

	memset(o->stable, 0, sizeof(o->stable));
	memset(o->up_since, 0, sizeof(o->up_since));
	memset(o->torn, 0, sizeof(o->torn));
	o->left_behind = 0;
}

void oracle_node_started(struct world *w, unsigned node)
{
	w->oracle.up_since[node] = ++w->oracle.clock;
}

void oracle_barrier_sent(struct world *w, struct net_barriers *b, uint32_t number)
{
	b->number[b->next % SIM_BARRIERS] = number;
	b->clock[b->next % SIM_BARRIERS] = w->oracle.clock;
	b->next++;
}

void oracle_barrier_acked(struct world *w, struct net_barriers *b, uint32_t number, unsigned peer)
{
	unsigned first = b->next > SIM_BARRIERS ? b->next - SIM_BARRIERS : 0;

	for (unsigned i = b->next; i-- > first;) {
		if (b->number[i % SIM_BARRIERS] != number)
			continue;
		/* What the application saw end before the barrier went to the peer before it. */
		if (w->oracle.stable[peer] < b->clock[i % SIM_BARRIERS])
			w->oracle.stable[peer] = b->clock[i % SIM_BARRIERS];
		return;
	}
}

void oracle_async_acked(struct world *w, struct oracle_op *op)
{
	const struct resource_status *st;

	op->had_by = UINT32_MAX;
	if (op->node < 0 || !w->nodes[op->node].core || !oracle_may_lag(w, 0))
		return;
	st = node_status(w, (unsigned)op->node);
	for (unsigned n = 0; n < w->node_count; n++) {
		const struct status_peer *sp = status_peer(st, n);

		if (sp && (sp->devices[sim_vnr(op->sector)].repl < REPL_ESTABLISHED ||
			   sp->devices[sim_vnr(op->sector)].peer_disk !=
				   DISK_UP_TO_DATE))
			op->had_by &= ~(UINT32_C(1) << n);
	}
}

/* Behind one such connection all may: who was not there gets what others have. */
bool oracle_may_lag(const struct world *w, unsigned node)
{
	(void)node;
	for (unsigned a = 0; a < w->node_count; a++) {
		for (unsigned b = a + 1; b < w->node_count; b++) {
			if (w->params.protocol[a][b] != PROTOCOL_C)
				return true;
		}
	}
	return false;
}

/* The answer to the write promised that this node has it. */
static bool promised(const struct world *w, const struct oracle_op *op, unsigned node, bool settled)
{
	if (op->node < 0 || op->node == (int)node)
		return true;
	if (w->params.protocol[op->node][node] == PROTOCOL_B)
		return settled && op->issue > w->oracle.up_since[node];
	return w->params.protocol[op->node][node] == PROTOCOL_C && (op->had_by >> node & 1);
}

/* Order number of the latest write of which something is on the disk: all that was answered
 * before it began must be there. */
static uint64_t latest_seen(const struct world *w, unsigned node, uint32_t volumes)
{
	const struct oracle *o = &w->oracle;
	uint64_t latest = 0;

	for (unsigned i = 0; i < o->touched_count; i++) {
		uint64_t s = o->touched[i], value = disk_peek(&w->nodes[node].disk, s);

		if (!(volumes >> sim_vnr(s) & 1))
			continue;
		for (uint32_t v = o->head[s]; v != 0 && value != 0; v = o->versions[v - 1].next) {
			const struct oracle_version *version = &o->versions[v - 1];

			if (version->value == value && o->ops[version->op].issue > latest)
				latest = o->ops[version->op].issue;
		}
	}
	return latest;
}

struct claim {
	unsigned node;
	bool settled;
	uint64_t since; /* what ended before must be there in any case */
};

static bool may_lack(const struct world *w, const struct claim *c,
		     const struct oracle_version *newer)
{
	const struct oracle_op *op = newer->op == UINT32_MAX ? NULL : &w->oracle.ops[newer->op];

	if (!op || !op->acked || op->lost || newer->left_behind)
		return true;
	return op->end >= c->since && !promised(w, op, c->node, c->settled);
}

static bool is_older(const struct oracle *o, const struct oracle_version *v,
		     const struct oracle_version *than)
{
	uint64_t end = v->op == UINT32_MAX ? 0 : o->ops[v->op].end;

	return than->op != UINT32_MAX && end < o->ops[than->op].issue;
}

static bool version_ok(const struct world *w, const struct claim *c, uint64_t sector,
		       const struct oracle_version *v)
{
	const struct oracle *o = &w->oracle;

	for (uint32_t i = o->head[sector]; i != 0; i = o->versions[i - 1].next) {
		if (is_older(o, v, &o->versions[i - 1]) && !may_lack(w, c, &o->versions[i - 1]))
			return false;
	}
	return true;
}

static bool value_ok(const struct world *w, const struct claim *c, uint64_t sector, uint64_t value)
{
	const struct oracle *o = &w->oracle;

	for (uint32_t i = o->head[sector]; i != 0; i = o->versions[i - 1].next) {
		if (o->versions[i - 1].value == value &&
		    version_ok(w, c, sector, &o->versions[i - 1]))
			return true;
	}
	return false;
}

uint64_t oracle_check_claim(struct world *w, unsigned node, uint32_t volumes, bool settled)
{
	struct oracle *o = &w->oracle;
	struct claim c = { .node = node, .settled = settled && disk_is_idle(w, node),
			   .since = o->stable[node] };
	uint64_t bad = oracle_check_volumes(w, node, volumes), latest;

	if (bad == SIM_NEVER && volumes == (1U << w->params.volumes) - 1)
		o->torn[node] = false;
	if (bad == SIM_NEVER || !oracle_may_lag(w, node))
		return bad;
	latest = o->torn[node] ? 0 : latest_seen(w, node, volumes);
	if (c.since < latest)
		c.since = latest;
	for (unsigned i = 0; i < o->touched_count; i++) {
		uint64_t s = o->touched[i], value = disk_peek(&w->nodes[node].disk, s);

		if ((volumes >> sim_vnr(s) & 1) && !oracle_legal(w, s, value, o->clock) &&
		    !value_ok(w, &c, s, value)) {
			sim_trace(w, "oracle: node %u has all that ended before %llu, and %llu is "
				  "stable there", node, (unsigned long long)c.since,
				  (unsigned long long)o->stable[node]);
			return s;
		}
	}
	return SIM_NEVER;
}

/* The newest version with this value is the one that counts from now on. */
static void go_on_with(struct oracle *o, uint64_t sector, uint64_t value)
{
	uint32_t i = o->head[sector];

	while (i != 0 && o->versions[i - 1].value != value)
		i = o->versions[i - 1].next;
	if (i == 0)
		return;
	for (uint32_t n = o->head[sector]; n != 0; n = o->versions[n - 1].next) {
		if (is_older(o, &o->versions[i - 1], &o->versions[n - 1]))
			o->versions[n - 1].left_behind = true;
	}
	o->versions[i - 1].superseded = SIM_NEVER;
	/* What was durable is durable no more: an unflushed write may uncover this one again. */
	o->versions[i - 1].superseded_durable = false;
	o->left_behind++;
}

void oracle_goes_on(struct world *w, unsigned node, uint32_t volumes)
{
	struct oracle *o = &w->oracle;

	for (unsigned i = 0; i < o->touched_count; i++) {
		uint64_t s = o->touched[i], value = disk_peek(&w->nodes[node].disk, s);

		if ((volumes >> sim_vnr(s) & 1) && !oracle_legal(w, s, value, o->clock))
			go_on_with(o, s, value);
	}
	if (o->left_behind > 0)
		sim_trace(w, "oracle: node %u goes on, %u sectors were left behind so far", node,
			  o->left_behind);
}

/* An answered write that is not stable on this disk is so nowhere any more. */
static void forget_stable(struct oracle *o, const struct oracle_version *v, uint64_t sector,
			  uint64_t stable)
{
	if (v->value == stable)
		return;
	if (v->op != UINT32_MAX)
		o->ops[v->op].durable = false;
	for (uint32_t n = o->head[sector]; n != 0; n = o->versions[n - 1].next) {
		if (o->versions[n - 1].value == stable)
			o->versions[n - 1].superseded_durable = false;
	}
}

static void forced_on(struct oracle *o, uint64_t sector, uint64_t value, uint64_t stable)
{
	uint32_t i = o->head[sector];

	while (i != 0 && o->versions[i - 1].value != value)
		i = o->versions[i - 1].next;
	if (i == 0)
		return;
	for (uint32_t n = o->head[sector]; n != 0; n = o->versions[n - 1].next) {
		struct oracle_version *newer = &o->versions[n - 1];

		if (!is_older(o, &o->versions[i - 1], newer))
			continue;
		newer->left_behind = newer->superseded_durable = true;
		if (newer->superseded > o->clock)
			newer->superseded = o->clock;
	}
	o->versions[i - 1].superseded = SIM_NEVER;
	o->versions[i - 1].superseded_durable = o->versions[i - 1].left_behind = false;
	forget_stable(o, &o->versions[i - 1], sector, stable);
}

void oracle_forced(struct world *w, unsigned node)
{
	struct oracle *o = &w->oracle;

	o->clock++;
	for (unsigned i = 0; i < o->touched_count; i++) {
		uint64_t s = o->touched[i];
		const struct disk_block *b = disk_block(&w->nodes[node].disk, s / BM_BLOCK_SECTORS);
		unsigned at = s % BM_BLOCK_SECTORS;

		forced_on(o, s, b->now[at] & ORACLE_GARBAGE ? 0 : b->now[at],
			  b->durable[at] & ORACLE_GARBAGE ? 0 : b->durable[at]);
	}
	app_trusts(w, node);
	sim_trace(w, "oracle: node %u goes on by force", node);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the application wrote and what it was told: which content each sector may show. */
#include <stdlib.h>
#include <string.h>

#include "sim.h"

#define TAG_SHIFT 24 /* low bits of a tag: the sector, so that misplaced data are noticed */

void oracle_reset(struct world *w)
{
	struct oracle *o = &w->oracle;

	o->life = w->life;
	o->clock = 1;
	o->op_count = o->version_count = o->touched_count = 0;
	o->acked = o->failed = o->durable = o->relaxed = 0;
	oracle_async_reset(w);
}

static uint32_t version_new(struct oracle *o)
{
	if (o->version_count == o->version_cap) {
		o->version_cap = o->version_cap ? o->version_cap * 2 : 4096;
		o->versions = realloc(o->versions, o->version_cap * sizeof(*o->versions));
		ASSERT(o->versions);
	}
	return ++o->version_count;
}

static void touch(struct oracle *o, uint64_t sector)
{
	uint32_t v;

	if (o->head_life[sector] == o->life)
		return;
	o->head_life[sector] = o->life;
	if (o->touched_count == o->touched_cap) {
		o->touched_cap = o->touched_cap ? o->touched_cap * 2 : 4096;
		o->touched = realloc(o->touched, o->touched_cap * sizeof(*o->touched));
		ASSERT(o->touched);
	}
	o->touched[o->touched_count++] = (uint32_t)sector;
	/* Before everything: zeroes. */
	v = version_new(o);
	o->versions[v - 1] = (struct oracle_version){ .op = UINT32_MAX, .superseded = SIM_NEVER };
	o->head[sector] = v;
}

unsigned oracle_issue(struct world *w, uint64_t sector, uint32_t sectors, bool zeroes)
{
	struct oracle *o = &w->oracle;
	unsigned op;

	if (o->op_count == o->op_cap) {
		o->op_cap = o->op_cap ? o->op_cap * 2 : 1024;
		o->ops = realloc(o->ops, o->op_cap * sizeof(*o->ops));
		ASSERT(o->ops);
	}
	op = o->op_count++;
	o->ops[op] = (struct oracle_op){
		.tag = zeroes ? 0 : (uint64_t)(op + 1) << TAG_SHIFT, .sector = sector,
		.sectors = sectors, .issue = ++o->clock, .end = SIM_NEVER, .node = -1,
	};
	for (uint64_t s = sector; s < sector + sectors; s++) {
		uint32_t v;

		touch(o, s);
		v = version_new(o);
		o->versions[v - 1] = (struct oracle_version){
			.op = op, .next = o->head[s], .value = oracle_value(w, op, s),
			.superseded = SIM_NEVER,
		};
		o->head[s] = v;
	}
	return op;
}

uint64_t oracle_value(const struct world *w, unsigned op, uint64_t sector)
{
	uint64_t tag = w->oracle.ops[op].tag;

	return tag == 0 ? 0 : tag | sector;
}

static uint64_t version_end(const struct oracle *o, const struct oracle_version *v)
{
	return v->op == UINT32_MAX ? 0 : o->ops[v->op].end;
}

static bool is_left_behind(const struct oracle *o, const struct oracle_op *op, uint64_t sector)
{
	uint32_t i = o->head[sector];

	while (o->versions[i - 1].op != (uint32_t)(op - o->ops))
		i = o->versions[i - 1].next;
	return o->versions[i - 1].left_behind;
}

/* The op is known to be the newest on stable storage or in the cache: older ones are history. */
static void supersede(struct oracle *o, const struct oracle_op *op, bool durable)
{
	for (uint64_t s = op->sector; s < op->sector + op->sectors; s++) {
		if (is_left_behind(o, op, s))
			continue;
		for (uint32_t i = o->head[s]; i != 0; i = o->versions[i - 1].next) {
			struct oracle_version *v = &o->versions[i - 1];

			if (version_end(o, v) >= op->issue)
				continue;
			if (durable)
				v->superseded_durable = true;
			if (v->superseded > o->clock)
				v->superseded = o->clock;
		}
	}
}

void oracle_ack(struct world *w, unsigned op)
{
	struct oracle *o = &w->oracle;

	o->ops[op].end = ++o->clock;
	o->ops[op].acked = true;
	o->acked++;
	oracle_async_acked(w, &o->ops[op]);
	/* A cache that had it lost it before the answer: what was before may show. */
	if (!o->ops[op].lost)
		supersede(o, &o->ops[op], false);
}

void oracle_fail(struct world *w, unsigned op)
{
	w->oracle.ops[op].end = ++w->oracle.clock;
	w->oracle.failed++;
}

void oracle_op_durable(struct world *w, unsigned op)
{
	struct oracle *o = &w->oracle;

	if (o->ops[op].durable)
		return;
	o->ops[op].durable = true;
	o->durable++;
	o->clock++;
	supersede(o, &o->ops[op], true);
}

/* Another Primary's writes are not flushed everywhere by this one. */
void oracle_durable(struct world *w, unsigned vnr, uint64_t since, unsigned node)
{
	struct oracle *o = &w->oracle;

	for (unsigned i = 0; i < o->op_count; i++) {
		if (o->ops[i].acked && !o->ops[i].durable && !o->ops[i].lost &&
		    o->ops[i].end < since && sim_vnr(o->ops[i].sector) == vnr &&
		    (!w->params.two_primaries || o->ops[i].node == (int)node))
			oracle_op_durable(w, i);
	}
}

static void relax_sector(struct oracle *o, uint64_t sector)
{
	for (uint32_t i = o->head[sector]; i != 0; i = o->versions[i - 1].next) {
		if (!o->versions[i - 1].superseded_durable)
			o->versions[i - 1].superseded = SIM_NEVER;
	}
}

void oracle_relax(struct world *w, unsigned vnr)
{
	struct oracle *o = &w->oracle;

	o->relaxed++;
	sim_trace(w, "oracle: what was not flushed of volume %u may be lost now", vnr);
	/* No later flush can save them. */
	for (unsigned i = 0; i < o->op_count; i++)
		o->ops[i].lost |= !o->ops[i].durable && sim_vnr(o->ops[i].sector) == vnr;
	for (unsigned i = 0; i < o->touched_count; i++) {
		if (sim_vnr(o->touched[i]) == vnr)
			relax_sector(o, o->touched[i]);
	}
}

bool oracle_legal(const struct world *w, uint64_t sector, uint64_t value, uint64_t since)
{
	const struct oracle *o = &w->oracle;

	if (value & ORACLE_GARBAGE)
		value = 0;
	if (o->head_life[sector] != o->life)
		return value == 0;
	for (uint32_t i = o->head[sector]; i != 0; i = o->versions[i - 1].next) {
		const struct oracle_version *v = &o->versions[i - 1];

		if (v->value == value && v->superseded > since)
			return true;
	}
	return false;
}

uint64_t oracle_check_volumes(struct world *w, unsigned node, uint32_t volumes)
{
	const struct oracle *o = &w->oracle;
	const struct disk *d = &w->nodes[node].disk;

	for (unsigned i = 0; i < o->touched_count; i++) {
		uint64_t s = o->touched[i];

		if ((volumes >> sim_vnr(s) & 1) && !oracle_legal(w, s, disk_peek(d, s), o->clock))
			return s;
	}
	return SIM_NEVER;
}

uint64_t oracle_check_node(struct world *w, unsigned node)
{
	return oracle_check_volumes(w, node, UINT32_MAX);
}

void oracle_explain(struct world *w, uint64_t sector)
{
	const struct oracle *o = &w->oracle;

	uint64_t local = sector % SIM_DEVICE_SECTORS_MAX;

	sim_trace(w, "volume %u, sector %llu, block %llu, extent %llu:", sim_vnr(sector),
		  (unsigned long long)local, (unsigned long long)(local / BM_BLOCK_SECTORS),
		  (unsigned long long)(local / AL_EXTENT_SECTORS));
	if (o->head_life[sector] == o->life) {
		for (uint32_t i = o->head[sector]; i != 0; i = o->versions[i - 1].next) {
			const struct oracle_version *v = &o->versions[i - 1];
			const struct oracle_op *op = v->op == UINT32_MAX ? NULL : &o->ops[v->op];

			sim_trace(w,
				  "  op %d value %llx issued %lld ended %lld%s%s, superseded %lld",
				  (int)v->op, (unsigned long long)v->value,
				  op ? (long long)op->issue : 0, op ? (long long)op->end : 0,
				  op && op->acked ? " acked" : "",
				  op && op->durable ? " durable" : "", (long long)v->superseded);
		}
	}
	for (unsigned n = 0; n < w->node_count; n++)
		sim_trace(w, "  node %u has %llx", n,
			  (unsigned long long)disk_peek(&w->nodes[n].disk, sector));
}

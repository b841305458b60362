/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Faults of the kind "faults": shapes of partitions, disks and processes that stand still, errors
 * by class. What an operator does then is in fault_verbs.c. */
#include "sim.h"

#define FLAPS_MAX 12U

void faults_params_draw(struct world *w, uint64_t seed)
{
	unsigned all = (1U << (FAULT_ALL - FAULT_KINDS)) - 1;

	if (!life_is(w, LIFE_FAULTS, seed, &w->fault_rng))
		return;
	/* Some of them, so that rare combinations come. */
	do {
		w->params.more_faults = (unsigned)prng_u64(&w->fault_rng) & all;
	} while (!w->params.more_faults);
}

/* ---- partitions ---- */

static void heal_event(struct world *w, uint64_t a, uint64_t b)
{
	simnet_link(w, (unsigned)a, (unsigned)b, true);
}

static void part_for(struct world *w, unsigned a, unsigned b, uint64_t ns)
{
	simnet_link(w, a, b, false);
	simnet_link(w, b, a, false);
	world_at(w, ns, heal_event, a, b);
	world_at(w, ns, heal_event, b, a);
}

/* One node sees all, the halves of the others do not see each other. */
static void part_bridge(struct world *w, unsigned bridge, uint64_t ns)
{
	unsigned side = (unsigned)prng_u64(&w->fault_rng);

	for (unsigned a = 0; a < w->node_count; a++) {
		for (unsigned b = a + 1; b < w->node_count; b++) {
			/* Of two others each is a half. */
			bool apart = w->node_count == 3 || (side >> a & 1) != (side >> b & 1);

			if (a != bridge && b != bridge && apart)
				part_for(w, a, b, ns);
		}
	}
}

/* Each sees its two neighbours only; or all but the ends of a chain. */
static void part_ring(struct world *w, unsigned first, uint64_t ns)
{
	bool chain = w->node_count < 4 || prng_chance(&w->fault_rng, 1, 2);
	unsigned n = w->node_count;

	for (unsigned i = 0; i < n; i++) {
		for (unsigned k = i + 1; k < n; k++) {
			bool next = k == i + 1 || (!chain && i == 0 && k == n - 1);

			if (!next)
				part_for(w, (first + i) % n, (first + k) % n, ns);
		}
	}
}

static void flap_event(struct world *w, uint64_t nodes, uint64_t left)
{
	unsigned a = nodes & 0xff, b = (unsigned)(nodes >> 8);
	bool up = left % 2 == 0 || !w->faults_on;

	simnet_link(w, a, b, up);
	simnet_link(w, b, a, up);
	if (left > 0 && w->faults_on)
		world_at(w, prng_exp(&w->fault_rng, 2 * NS_SEC) + NS_MS, flap_event, nodes,
			 left - 1);
}

static void inject_net(struct world *w, enum fault fault, unsigned node, unsigned peer)
{
	uint64_t ns = prng_exp(&w->fault_rng, 8 * NS_SEC) + 10 * NS_MS;

	switch (fault) {
	case FAULT_STALL_STREAM:
		simnet_stall(w, node, peer, (int)prng_below(&w->fault_rng, STREAM_COUNT), ns);
		break;
	case FAULT_RESET:
		simnet_reset_conn(w, node, peer);
		break;
	case FAULT_ACCEPT:
		simnet_accept_only(w, node, peer);
		simnet_reset_conn(w, node, peer);
		break;
	case FAULT_BRIDGE:
		part_bridge(w, node, ns);
		break;
	case FAULT_RING:
		part_ring(w, node, ns);
		break;
	default:
		flap_event(w, node | (uint64_t)peer << 8,
			   2 * prng_range(&w->fault_rng, 1, FLAPS_MAX / 2) - 1);
		break;
	}
}

/* ---- disks and processes ---- */

static void unhang_event(struct world *w, uint64_t node, uint64_t life)
{
	if (w->nodes[node].life == life)
		disk_unhang(w, (unsigned)node);
}

static void unpause_event(struct world *w, uint64_t node, uint64_t life)
{
	if (w->nodes[node].life == life)
		node_unpause(w, (unsigned)node);
}

static void mend_event(struct world *w, uint64_t node, uint64_t b)
{
	(void)b;
	w->nodes[node].disk.broken = false;
}

static void fail_some_class(struct world *w, struct disk *d)
{
	unsigned count = (unsigned)prng_range(&w->fault_rng, 1, 3);

	d->forgets = prng_chance(&w->fault_rng, 1, 2);
	switch (prng_below(&w->fault_rng, 6)) {
	case 0:
		d->fail_reads = count;
		break;
	case 1:
		d->fail_writes = count;
		break;
	case 2:
		d->fail_flushes = count;
		break;
	default:
		d->fail_meta = count;
		d->fail_meta_kinds = (uint8_t)(1U << prng_below(&w->fault_rng, MOP_KINDS));
		break;
	}
}

static void inject_disk(struct world *w, enum fault fault, unsigned node)
{
	struct disk *d = &w->nodes[node].disk;
	uint64_t ns = prng_exp(&w->fault_rng, 6 * NS_SEC);

	switch (fault) {
	case FAULT_SLOW_DISK:
		d->slow_until_ns = w->now_ns + 2 * ns;
		d->slow_ns = prng_exp(&w->fault_rng,
				      prng_chance(&w->fault_rng, 1, 5) ? 2 * NS_SEC : 50 * NS_MS);
		return;
	case FAULT_HANG:
		if (d->hangs)
			return;
		disk_hang(w, node);
		world_at(w, 2 * ns, unhang_event, node, w->nodes[node].life);
		return;
	case FAULT_FULL:
		d->full_until_ns = w->now_ns + ns;
		break;
	case FAULT_FLUSH_ERROR:
		d->forgets = prng_chance(&w->fault_rng, 2, 3);
		d->fail_flushes = (unsigned)prng_range(&w->fault_rng, 1, 3);
		break;
	case FAULT_BROKEN:
		d->broken = true;
		world_at(w, ns, mend_event, node, 0);
		break;
	default:
		fail_some_class(w, d);
		break;
	}
	fault_attach_later(w, node);
}

static void pause_node(struct world *w, unsigned node)
{
	uint64_t ns = prng_exp(&w->fault_rng,
			       prng_chance(&w->fault_rng, 1, 4) ? 20 * NS_SEC : NS_SEC);

	if (!w->nodes[node].up || w->nodes[node].paused)
		return;
	node_pause(w, node);
	world_at(w, ns + 100 * NS_MS, unpause_event, node, w->nodes[node].life);
}

enum fault fault_draw_more(struct world *w)
{
	unsigned i;

	do {
		i = (unsigned)prng_below(&w->fault_rng, FAULT_ALL - FAULT_KINDS);
	} while (!(w->params.more_faults >> i & 1));
	return (enum fault)(FAULT_KINDS + i);
}

void fault_inject_more(struct world *w, enum fault fault, unsigned node)
{
	unsigned peer = (node + 1 + (unsigned)prng_below(&w->fault_rng, w->node_count - 1)) %
			w->node_count;

	switch (fault) {
	case FAULT_SLOW_DISK:
	case FAULT_HANG:
	case FAULT_FULL:
	case FAULT_FLUSH_ERROR:
	case FAULT_CLASS_ERROR:
	case FAULT_BROKEN:
		if (w->nodes[node].has_disk)
			inject_disk(w, fault, node);
		break;
	case FAULT_PAUSE:
		pause_node(w, node);
		break;
	case FAULT_VERB:
		fault_verb(w, node, peer);
		break;
	default:
		inject_net(w, fault, node, peer);
		break;
	}
}

void fault_heal_more(struct world *w)
{
	for (unsigned i = 0; i < w->node_count; i++) {
		struct disk *d = &w->nodes[i].disk;

		d->slow_until_ns = d->full_until_ns = 0;
		d->fail_meta_kinds = UINT8_MAX;
		d->forgets = false;
		disk_unhang(w, i);
		node_unpause(w, i);
	}
}

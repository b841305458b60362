/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Lives with disk-timeout: disks stop to answer, for a while or until somebody looks after them. */
#include "sim.h"

void hang_params_draw(struct world *w, uint64_t seed)
{
	if (life_is(w, LIFE_DISK_TIMEOUT, seed, &w->hang_rng))
		w->params.disk_timeout_ds = (uint32_t)prng_range(&w->hang_rng, 3, 50);
}

/* The operator tries to get the disk back; refused as long as it hangs. */
static void attach_event(struct world *w, uint64_t node, uint64_t left)
{
	struct node *n = &w->nodes[node];

	if (!w->faults_on || left == 0)
		return;
	for (unsigned v = 0; n->up && n->has_disk && v < w->params.volumes; v++) {
		if (node_status(w, n->id)->volumes[v].disk == DISK_DISKLESS)
			node_command(w, n->id,
				     (struct ev_command){ .cmd = CMD_ATTACH, .vnr = (uint16_t)v },
				     NULL, 0);
	}
	world_at(w, prng_exp(&w->hang_rng, 3 * NS_SEC), attach_event, node, left - 1);
}

static void unhang_event(struct world *w, uint64_t node, uint64_t b)
{
	(void)b;
	disk_unhang(w, (unsigned)node);
}

static void hang_event(struct world *w, uint64_t a, uint64_t b)
{
	unsigned node = (unsigned)prng_below(&w->hang_rng, w->node_count);

	(void)a;
	(void)b;
	if (!w->faults_on)
		return;
	/* That of the Primary more often than others. */
	if (w->app.node >= 0 && prng_chance(&w->hang_rng, 1, 3))
		node = (unsigned)w->app.node;
	sim_trace(w, "the disk of node %u hangs", node);
	disk_hang(w, node);
	if (prng_chance(&w->hang_rng, 3, 4))
		world_at(w, prng_exp(&w->hang_rng, 4 * NS_SEC), unhang_event, node, 0);
	world_at(w, prng_exp(&w->hang_rng, 4 * NS_SEC), attach_event, node, 4);
	world_at(w, prng_exp(&w->hang_rng, 6 * NS_SEC), hang_event, 0, 0);
}

void hang_at_random(struct world *w)
{
	if (w->params.disk_timeout_ds)
		world_at(w, prng_exp(&w->hang_rng, 2 * NS_SEC), hang_event, 0, 0);
}

void hang_heal(struct world *w)
{
	for (unsigned i = 0; i < w->node_count; i++)
		disk_unhang(w, i);
}

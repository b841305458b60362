/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Operators and other resources that meddle with
 * resyncs as long as there are faults: pause, resume, invalidate, resync-after. */
#include "sim.h"

/* A life has time for full resyncs of small devices only. */
#define FULL_SECTORS_MAX (UINT64_C(16) << 11)
#define RESYNC_STREAM UINT64_C(0x7265737963000000)

void resync_params_draw(struct world *w, uint64_t seed)
{
	struct sim_params *p = &w->params;
	struct prng *rng = &w->resync_rng, own;

	prng_seed(rng, seed ^ RESYNC_STREAM);
	/* A life has not time for a large device block by block. */
	if (prng_chance(rng, 1, 3))
		p->rs_discard_bytes = 4096U << (p->device_sectors > FULL_SECTORS_MAX ?
							4 : prng_below(rng, 5));
	p->meddles = prng_chance(rng, 1, 3);
	p->rs_without_replication = life_is(w, LIFE_UNREPLICATED, seed, &own);
}

static void meddle(struct world *w, unsigned node, unsigned peer)
{
	struct ev_command cmd = { .vnr = (uint16_t)sim_any_volume(w), .peer = (uint8_t)peer };
	struct prng *rng = &w->resync_rng;

	switch (prng_below(rng, 8)) {
	case 0:
	case 1:
	case 2:
		cmd.cmd = CMD_PAUSE_SYNC;
		break;
	case 3:
		cmd.cmd = CMD_INVALIDATE;
		break;
	case 4:
		cmd.cmd = CMD_INVALIDATE_REMOTE;
		break;
	default:
		cmd.cmd = CMD_RESUME_SYNC;
		break;
	}
	cmd.keep_bitmap = w->params.device_sectors > FULL_SECTORS_MAX || prng_chance(rng, 1, 2);
	node_command(w, node, cmd, NULL, 0);
}

void resync_gate_set(struct world *w, unsigned node, bool dependency, bool parallel)
{
	struct core_event ev = { .kind = EV_RESYNC_GATE };

	for (unsigned v = 0; w->nodes[node].up && v < w->params.volumes; v++) {
		ev.u.gate.vnr = (uint16_t)v;
		ev.u.gate.dependency = dependency;
		ev.u.gate.parallel = parallel;
		node_step(w, node, &ev);
	}
}

static void meddle_event(struct world *w, uint64_t a, uint64_t b)
{
	struct prng *rng = &w->resync_rng;
	unsigned node = (unsigned)prng_below(rng, w->node_count);
	unsigned peer = (node + 1 + (unsigned)prng_below(rng, w->node_count - 1)) %
			w->node_count;

	(void)a;
	(void)b;
	if (!w->faults_on)
		return;
	if (w->nodes[node].up && prng_chance(rng, 1, 4)) {
		/* One after the other: arguments are drawn in no order. */
		bool parallel = prng_chance(rng, 1, 3), dependency = prng_chance(rng, 1, 3);

		resync_gate_set(w, node, dependency, parallel);
	} else if (w->nodes[node].up) {
		meddle(w, node, peer);
	}
	world_at(w, prng_exp(rng, 3 * NS_SEC), meddle_event, 0, 0);
}

void resync_meddle_at_random(struct world *w)
{
	if (w->params.meddles)
		world_at(w, prng_exp(&w->resync_rng, 3 * NS_SEC), meddle_event, 0, 0);
}

void resync_heal(struct world *w)
{
	for (unsigned n = 0; n < w->node_count; n++) {
		if (w->nodes[n].up)
			resync_gate_set(w, n, false, false);
		for (unsigned p = 0; p < w->node_count; p++) {
			struct ev_command cmd = { .cmd = CMD_RESUME_SYNC, .peer = (uint8_t)p };

			for (; p != n && w->nodes[n].up && cmd.vnr < w->params.volumes; cmd.vnr++)
				node_command(w, n, cmd, NULL, 0);
		}
	}
}

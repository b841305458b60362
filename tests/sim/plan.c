/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Lives with a plan: which there are, and what is different in them. */
#include "sim.h"

static const struct {
	enum life_kind kind;
	void (*run)(struct world *w);
} plans[] = {
	{ LIFE_AWAY, plan_away },
	{ LIFE_HALVES, plan_halves },
	{ LIFE_RESTLESS, plan_restless },
	{ LIFE_ONE_THING, plan_one_thing },
	{ LIFE_GENERATIONS, plan_generations },
	{ LIFE_FORCED, plan_forced },
};

static void without_quorum(struct sim_params *p)
{
	p->quorum = p->quorum_min_redundancy = QUORUM_OFF;
	p->tiebreaker = false;
	p->on_no_quorum = NO_QUORUM_SUSPEND;
}

static void shape_halves(struct sim_params *p, struct prng *rng)
{
	static const uint8_t sizes[] = { 4, 4, 4, 3, 3, 3, 5, 5 };

	p->nodes = sizes[prng_below(rng, ARRAY_LEN(sizes))];
	p->tiebreaker = p->nodes == 3 ? prng_chance(rng, 1, 2) : prng_chance(rng, 1, 3);
	p->quorum = prng_chance(rng, 1, 8) ? QUORUM_ALL : QUORUM_MAJORITY;
	p->quorum_min_redundancy = prng_chance(rng, 2, 3) ? QUORUM_MAJORITY : QUORUM_OFF;
	p->careful = true;
	p->full_initial_sync = false;
	p->think_ns = prng_range(rng, 300, 1500) * NS_MS;
}

/* One thing at a time: nothing else may hold a request up. */
static void shape_one_thing(struct sim_params *p, struct prng *rng)
{
	p->nodes = (unsigned)prng_range(rng, 3, 4);
	without_quorum(p);
	p->full_initial_sync = false;
	p->careful = true;
	p->device_sectors = SIM_DEVICE_SECTORS_MAX;
	p->hot_blocks = 256;
	p->net_latency_ns = prng_range(rng, 50, 1000) * NS_US;
	p->disk_latency_ns = prng_range(rng, 50, 1000) * NS_US;
	p->requests_max = 256;
	p->qd = APP_IOS_MAX;
	p->think_ns = prng_range(rng, 5, 30) * NS_MS;
	p->suspends = false;
}

static void shape_generations(struct sim_params *p, struct prng *rng)
{
	p->nodes = (unsigned)prng_range(rng, 3, 4);
	without_quorum(p);
	p->full_initial_sync = false;
	p->careful = true;
	p->device_sectors = (8U << 20) / SECTOR_BYTES * prng_range(rng, 1, 2);
}

static void shape_forced(struct sim_params *p, struct prng *rng)
{
	p->nodes = (unsigned)prng_range(rng, 2, 4);
	without_quorum(p);
	if (p->nodes > 2 && prng_chance(rng, 1, 3))
		p->quorum = QUORUM_MAJORITY;
	p->full_initial_sync = false;
	p->careful = true;
	p->device_sectors = (8U << 20) / SECTOR_BYTES * prng_range(rng, 1, 2);
	p->ops = 1000;
	p->suspends = false;
}

static void shape(struct world *w)
{
	struct sim_params *p = &w->params;
	struct prng *rng = &w->plan.rng;

	p->ops = (unsigned)prng_range(rng, 400, 900);
	p->faults = (unsigned)prng_below(rng, 6);
	p->think_ns = prng_range(rng, 20, 200) * NS_MS;
	switch (w->plan.kind) {
	case LIFE_AWAY:
		p->nodes = (unsigned)prng_range(rng, 3, 4);
		break;
	case LIFE_HALVES:
		shape_halves(p, rng);
		break;
	case LIFE_RESTLESS:
		p->nodes = (unsigned)prng_range(rng, 2, 4);
		without_quorum(p);
		p->careful = prng_chance(rng, 1, 2);
		p->net_latency_ns = prng_range(rng, 100, 10000) * NS_US;
		p->hot_blocks = (unsigned)prng_range(rng, 4, 40);
		p->think_ns = prng_range(rng, 1, 20) * NS_MS;
		w->plan.haste = true;
		break;
	case LIFE_ONE_THING:
		shape_one_thing(p, rng);
		break;
	case LIFE_FORCED:
		shape_forced(p, rng);
		break;
	default:
		shape_generations(p, rng);
		break;
	}
	p->room_sectors = p->device_sectors;
}

void plan_params_draw(struct world *w, uint64_t seed)
{
	w->plan.on = w->plan.haste = w->plan.forcing = false;
	w->plan.away = 0;
	for (unsigned i = 0; i < ARRAY_LEN(plans); i++) {
		if (!life_is(w, plans[i].kind, seed, &w->plan.rng))
			continue;
		w->plan.on = true;
		w->plan.kind = plans[i].kind;
		shape(w);
		return;
	}
}

void plan_phase(struct world *w)
{
	if (!w->plan.on)
		return;
	w->split_brain_ok = !w->params.careful;
	for (unsigned i = 0; i < ARRAY_LEN(plans); i++) {
		if (plans[i].kind == w->plan.kind)
			plans[i].run(w);
	}
	sim_trace(w, "the plan ends");
	plan_all_return(w);
	w->app.only = -1;
	w->app.stop = w->app.quiet = false;
	if (w->app.ops_left > 100)
		w->app.ops_left = 100;
}

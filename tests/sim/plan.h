/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Lives in which people and machines act by a plan before the faults begin. */
#ifndef SIM_PLAN_H
#define SIM_PLAN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/prng.h"
#include "kinds.h"

struct world;

struct plan {
	bool on;
	enum life_kind kind;
	struct prng rng; /* of what happens by the plan */
	bool haste;      /* the application moves at once, and again and again */
	unsigned away;   /* nodes that have left, mask */
	bool forcing;    /* one was promoted by force, and not all have heard of it */
	unsigned forced; /* who is promoted by force */
	bool waits;      /* for the answer to that, */
	int rc;          /* which is this; */
	unsigned acked;  /* writes answered before it */
};

/* A life is of one of these kinds at most; changes what was drawn for it. */
void plan_params_draw(struct world *w, uint64_t seed);
/* Between the set-up and the faults. */
void plan_phase(struct world *w);

/* No disk lacks what was answered (life.c). */
void check_acknowledged(struct world *w);

/* ---- what plans are made of (plan_steps.c) ---- */

/* Goes on for so long; all checks now and then. */
void plan_pass(struct world *w, uint64_t ns);
/* Between so many milliseconds. */
void plan_pass_ms(struct world *w, uint64_t least, uint64_t most);
unsigned plan_below(struct world *w, unsigned n);
unsigned plan_other(struct world *w, unsigned node);
/* The node where the volume is open, or any. */
unsigned plan_primary(struct world *w);
/* What a node that is up is told; the result does not matter. */
void plan_order(struct world *w, unsigned node, struct ev_command cmd);
void plan_leave(struct world *w, unsigned node);
void plan_return(struct world *w, unsigned node);
void plan_all_return(struct world *w);
void plan_link(struct world *w, unsigned a, unsigned b, bool up);
/* The application is closed, all nodes are the same: false when that takes too long. */
bool plan_at_rest(struct world *w, bool closed);

/* It is up, and connected to nobody. */
bool plan_is_alone(struct world *w, unsigned node);
/* Somebody writes there, and nobody is told whether that went well. */
void plan_write_elsewhere(struct world *w, unsigned node);

void plan_away(struct world *w);
void plan_halves(struct world *w);
void plan_restless(struct world *w);
void plan_one_thing(struct world *w);
void plan_generations(struct world *w);
void plan_forced(struct world *w);

#endif

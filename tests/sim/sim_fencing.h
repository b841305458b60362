/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The handlers fence-peer and unfence-peer, as a cluster has them: they say what is true. */
#ifndef SIM_FENCING_H
#define SIM_FENCING_H

#include <stdbool.h>
#include <stdint.h>

#include "base/prng.h"
#include "core/core.h"

struct sim_handler_run;
struct world;

/* What fence-peer does. A cluster uses the first two, or the third. */
enum fence_way {
	FENCE_OUTDATE,   /* tells the peer by another network to be Outdated */
	FENCE_SHOOT,     /* has it switched off */
	FENCE_BAR,       /* forbids its use: nobody opens the volume there */
	FENCE_FAIL,
	FENCE_WAYS
};

struct sim_fencing {
	bool plays;      /* else fence-peer says handlers.answer[], and does nothing */
	unsigned ways;   /* bit per enum fence_way, drawn for each call */
	bool late;       /* now and then a handler takes as long as it may */
	bool lan_down;   /* no other network */
	uint32_t only;   /* nodes that may be used, 0 = all */
	unsigned to_act; /* calls that have not done anything yet */
	struct prng rng;
};

void fencing_params_draw(struct world *w, uint64_t seed);
/* In the phase with faults: the other network fails now and then. */
void fencing_at_random(struct world *w);
void fencing_heal(struct world *w);
/* True: a call that is played here; handler_says() tells its end. */
bool fencing_plays(struct world *w, unsigned node, uint64_t run);
/* No call is under way that may still switch somebody off. */
bool fencing_is_over(struct world *w);
bool fencing_allows(const struct world *w, unsigned node);
/* Only fencing keeps two applications from each other, or quorum and that. */
bool fencing_rules(const struct world *w);
bool quorum_or_fencing(const struct world *w);
/* Good ones of its own. */
bool fencing_has_data(struct world *w, unsigned node);
/* A disk that counts as good when the others have been fenced. */
bool fencing_may_help(struct world *w, unsigned node, unsigned vnr);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The second application of lives with two Primaries. */
#ifndef SIM_GUEST_H
#define SIM_GUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "base/prng.h"
#include "core/core.h"

#define GUEST_COOKIE (UINT64_C(1) << 44)
#define GUEST_IOS 4U

struct world;

enum guest_phase { GUEST_IDLE, GUEST_OPENING, GUEST_OPEN };

struct guest_io {
	bool in_use;
	enum request_op op;
	uint32_t bytes;
	unsigned write;      /* its oracle op */
	uint64_t sector, cookie, since;
};

struct guest {
	enum guest_phase phase;
	int node;            /* where it is open or opening, -1 = none */
	bool stop;
	bool counts;         /* connected to the other Primary since it was opened */
	unsigned ops_left, in_flight;
	struct guest_io io[GUEST_IOS];
	uint64_t serial;
	unsigned opens, acks;
	struct prng rng;
};

void guest_params_draw(struct world *w, uint64_t seed);
void guest_reset(struct world *w);
void guest_start(struct world *w);
void guest_completed(struct world *w, unsigned node, const struct ac_complete *ac);
void guest_node_died(struct world *w, unsigned node);

#endif

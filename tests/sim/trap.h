/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Traps for packets of chosen types. */
#ifndef SIM_TRAP_H
#define SIM_TRAP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/prng.h"
#include "wire/wire.h"

struct world;

enum packet_fate {
	PACKET_SENT,
	PACKET_DELAYED, /* by more than the network's latency */
	PACKET_LOST,    /* with its connection, whole or in part */
	PACKET_CUT,     /* a part of it arrived */
	PACKET_FATES,
};

#define SIM_TRAPS 32U

struct sim_trap {
	bool set;
	uint8_t fate;
	uint16_t type;
	uint64_t ns; /* PACKET_DELAYED: for so long */
};

struct sim_traps {
	struct prng rng;
	struct sim_trap trap[SIM_TRAPS];
	unsigned set, next;
};

/* The next packet of this type, wherever it is on its way, meets this. */
void trap_set(struct world *w, enum packet type, enum packet_fate fate, uint64_t ns);
void traps_reset(struct world *w);
/* One life in eight, by a generator of its own. */
void traps_params_draw(struct world *w, uint64_t seed);
/* As long as there are faults. */
void traps_at_random(struct world *w);
/* Healing; and that again from time to time. */
void traps_heal(struct world *w);
void traps_look_after(struct world *w);

#endif

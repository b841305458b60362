/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What goes wrong in a life. */
#ifndef SIM_FAULT_H
#define SIM_FAULT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/prng.h"

struct world;

enum fault {
	FAULT_KILL, FAULT_KILL_AT_ACTION, FAULT_POWER, FAULT_POWER_ALL, FAULT_CUT, FAULT_HALF_OPEN,
	FAULT_PARTITION_ONE, FAULT_PARTITION_HALVES, FAULT_ONE_WAY, FAULT_STALL, FAULT_HOLD_PACKET,
	FAULT_DISK_STALL, FAULT_READ_ERROR, FAULT_WRITE_ERROR, FAULT_META_ERROR, FAULT_DISCONNECT,
	FAULT_DETACH,
	FAULT_KINDS, /* the others are in lives of the kind "faults" only */
	FAULT_STALL_STREAM = FAULT_KINDS, FAULT_RESET, FAULT_BRIDGE, FAULT_RING, FAULT_FLAPPING,
	FAULT_SLOW_DISK, FAULT_HANG, FAULT_FULL, FAULT_FLUSH_ERROR, FAULT_CLASS_ERROR, FAULT_BROKEN,
	FAULT_PAUSE, FAULT_VERB, FAULT_ACCEPT, FAULT_ALL,
};

void fault_inject(struct world *w);
/* One of those that concern one node, or one connection. */
void fault_put(struct world *w, enum fault fault, unsigned node, unsigned peer);
void fault_heal(struct world *w);
void fault_restart_later(struct world *w, unsigned node);
void fault_attach_later(struct world *w, unsigned node);
const char *fault_name(enum fault fault);

/* ---- of the kind "faults" (fault_more.c, fault_verbs.c) ---- */

void faults_params_draw(struct world *w, uint64_t seed);
enum fault fault_draw_more(struct world *w);
void fault_inject_more(struct world *w, enum fault fault, unsigned node);
void fault_verb(struct world *w, unsigned node, unsigned peer);
void fault_heal_more(struct world *w);
/*
 * A flush up to this log position has failed, and what it did not write counts as clean: later
 * flushes succeed without it.
 */
void disk_forget(struct world *w, unsigned node, unsigned vnr, uint64_t seq);
/* The oracle is told first. */
void app_disk_forgets(struct world *w, unsigned node, unsigned vnr);

/* ---- of the kind "replaced" (replaced.c) ---- */

struct replaced {
	struct prng rng;
	int kept;       /* of which node there is a snapshot, -1 = none */
	uint64_t uuid;  /* its generation */
	unsigned left;  /* replacements */
	bool old;       /* the next one */
};

void replaced_params_draw(struct world *w, uint64_t seed);
void replaced_at_random(struct world *w);

#endif

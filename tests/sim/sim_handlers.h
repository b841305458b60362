/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The operator's programs: how long they run, and what they say. */
#ifndef SIM_HANDLERS_H
#define SIM_HANDLERS_H

#include <stdint.h>

#include "core/core.h"

#define SIM_HANDLER_RUNS 512U

struct sim_handler_run {
	uint64_t number;      /* counted from 1 */
	uint64_t life;        /* of the node */
	struct ac_handler call;
	/* sim_fencing.c */
	uint8_t way;
	bool orphan;          /* goes on when its node has died */
	bool said;
	unsigned asked;       /* volumes whose answer is missing */
	int status;
};

struct sim_handlers {
	uint64_t delay_ns;
	int answer[HANDLER_COUNT];
	unsigned calls[SIM_NODES_MAX][HANDLER_COUNT];
	uint64_t count;
	struct sim_handler_run runs[SIM_HANDLER_RUNS];
};

/* A core calls one. */
void handler_runs(struct world *w, unsigned node, const struct ac_handler *call);
/* One that is played; NULL when it is too long ago. */
struct sim_handler_run *handler_run(struct world *w, uint64_t run);
/* Its end, after so long. */
void handler_says(struct world *w, unsigned node, uint64_t run, int status, uint64_t delay_ns);

#endif

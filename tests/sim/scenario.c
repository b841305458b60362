/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Runs the named scenarios. */
#include "scenario.h"

#include <stdio.h>
#include <string.h>

static const struct scenario *const groups[] = {
	scenarios_generations, scenarios_resync,   scenarios_io_error,
	scenarios_history, scenarios_h_data,
	scenarios_h_no_disk,   scenarios_h_decide, scenarios_h_hang,    scenarios_quorum,
	scenarios_operator,    scenarios_resize,   scenarios_peers,   scenarios_protocols,
	scenarios_slots,
	scenarios_forks,       scenarios_drbd8,    scenarios_volumes,
	scenarios_no_disk,     scenarios_unreplicated,
	scenarios_hung,        scenarios_fencing, scenarios_two_primaries,
	scenarios_faults,
	scenarios_shapes,
};

static bool passes(struct world *w, const struct scenario *s)
{
	w->kernels = 0;
	if (setjmp(w->fail_jmp) == 0) {
		s->run(w);
		printf("ok   %s\n", s->name);
		return true;
	}
	printf("FAIL %s at step %llu: %s\n", s->name, (unsigned long long)w->step, w->why);
	return false;
}

unsigned sim_scenarios(struct world *w, const char *only, unsigned *bad)
{
	unsigned run = 0;

	for (unsigned g = 0; g < ARRAY_LEN(groups); g++) {
		for (const struct scenario *s = groups[g]; s->name; s++) {
			if (only && strcmp(only, s->name) != 0)
				continue;
			run++;
			*bad += !passes(w, s);
		}
	}
	return run;
}

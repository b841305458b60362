/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What happens to a life from outside, as numbered lists: faults with operator verbs, and requests
 * of the application. A second life of the same seed may leave some of them out.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim.h"

void schedule_begin(struct world *w)
{
	struct sim_schedule *s = &w->schedule;

	s->next_fault = s->next_op = 0;
	if (!s->again)
		s->faults = s->ops = 0;
}

/* As recorded, while the life has its random numbers from where the first one had them. */
static void repeat(struct world *w, const struct sim_fault_record *r, bool left_out)
{
	struct prng now = w->rng;
	bool same = memcmp(&now, &r->rng, sizeof(now)) == 0;

	w->rng = r->rng;
	w->fault_rng = r->more_rng;
	if (!left_out)
		fault_inject(w);
	if (!same)
		w->rng = now;
}

bool schedule_fault(struct world *w)
{
	struct sim_schedule *s = &w->schedule;
	unsigned i = s->next_fault;

	if (i == SIM_FAULTS_MAX || (s->again && i >= s->faults))
		return false;
	s->next_fault++;
	if (s->again) {
		repeat(w, &s->fault[i], s->fault_out.out[i]);
		return true;
	}
	s->faults = i + 1;
	s->fault[i].rng = w->rng;
	s->fault[i].more_rng = w->fault_rng;
	s->fault[i].time_ns = w->now_ns;
	fault_inject(w);
	return true;
}

uint64_t schedule_pause(const struct world *w, uint64_t drawn_ns)
{
	const struct sim_schedule *s = &w->schedule;

	if (!s->again || s->next_fault >= s->faults)
		return drawn_ns;
	return s->fault[s->next_fault].time_ns - w->now_ns;
}

void schedule_note(struct world *w, enum fault fault, unsigned node)
{
	struct sim_schedule *s = &w->schedule;
	struct sim_fault_record *r = s->next_fault ? &s->fault[s->next_fault - 1] : NULL;

	if (!r || s->again)
		return;
	r->fault = (uint8_t)fault;
	r->node = (uint8_t)node;
}

bool schedule_op(struct world *w)
{
	struct sim_schedule *s = &w->schedule;
	unsigned i = s->next_op;

	if (i == SIM_OPS_MAX)
		return !s->again;
	s->next_op++;
	if (!s->again)
		s->ops = i + 1;
	return !s->again || (i < s->ops && !s->op_out.out[i]);
}

/* ---- as text ---- */

void sim_list_print(FILE *f, const struct sim_list *l, unsigned count)
{
	const char *comma = "";

	for (unsigned i = 0; i < count; i++) {
		unsigned first = i;

		if (l->out[i])
			continue;
		while (i + 1 < count && !l->out[i + 1])
			i++;
		fprintf(f, "%s%u", comma, first + 1);
		if (i > first)
			fprintf(f, "-%u", i + 1);
		comma = ",";
	}
	if (!*comma)
		fputs("none", f);
}

bool sim_list_parse(const char *text, struct sim_list *l)
{
	memset(l->out, true, sizeof(l->out));
	if (strcmp(text, "none") == 0)
		return true;
	for (const char *at = text; ; at++) {
		char *end;
		unsigned long first = strtoul(at, &end, 10), last = first;

		if (*end == '-')
			last = strtoul(end + 1, &end, 10);
		if (first < 1 || last < first || last > ARRAY_LEN(l->out))
			return false;
		memset(l->out + first - 1, false, last - first + 1);
		if (*end == '\0')
			return true;
		if (*end != ',')
			return false;
		at = end;
	}
}

unsigned sim_list_kept(const struct sim_list *l, unsigned count)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < count; i++)
		kept += !l->out[i];
	return kept;
}

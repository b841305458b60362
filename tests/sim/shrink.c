/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From a life that fails to a shorter one that fails in the same way: fewer nodes, then subsets of
 * its faults and requests (delta debugging). */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "sim.h"

struct shrink {
	struct world *w;
	uint64_t seed;
	char class[16];        /* which invariant */
	double until;
	unsigned lives;
	struct sim_result best;
};

static double seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* "I2", or the beginning of what has no name. */
static void class_of(const struct sim_result *r, char *class, size_t n)
{
	snprintf(class, n, "%.*s", (int)strcspn(r->why, ":0123456789") + 1, r->why);
}

static bool fails(struct shrink *s)
{
	struct sim_result r;
	char class[sizeof(s->class)];

	s->lives++;
	sim_life(s->w, s->seed, &r);
	class_of(&r, class, sizeof(class));
	if (!r.failed || strcmp(class, s->class) != 0)
		return false;
	s->best = r;
	return true;
}

/* The same seed with fewer nodes is another life; it becomes the one to go on from. */
static void fewer_nodes(struct shrink *s)
{
	unsigned given = s->w->force_nodes, nodes = s->w->params.nodes;

	for (unsigned n = 2; n < nodes; n++) {
		s->w->force_nodes = n;
		if (fails(s))
			return;
	}
	s->w->force_nodes = given;
	fails(s);
}

/* Marks the kept entries of [first, first + count), counted among the kept ones. */
static unsigned leave_out(struct sim_list *l, unsigned total, unsigned first, unsigned count)
{
	unsigned kept = 0, marked = 0;

	for (unsigned i = 0; i < total; i++) {
		if (l->out[i])
			continue;
		if (kept >= first && kept < first + count) {
			l->out[i] = true;
			marked++;
		}
		kept++;
	}
	return marked;
}

/* Leaves out ever smaller parts as long as the life still fails. */
static void shorten(struct shrink *s, struct sim_list *l, unsigned total)
{
	unsigned part = sim_list_kept(l, total);

	while (part > 0 && seconds() < s->until) {
		bool shorter = false;

		for (unsigned first = 0; seconds() < s->until;) {
			struct sim_list before = *l;

			if (!leave_out(l, total, first, part))
				break;
			if (fails(s)) {
				shorter = true;
				continue;
			}
			*l = before;
			first += part;
		}
		if (!shorter || part == 1)
			part /= 2;
	}
}

static void print(const struct shrink *s, const char *options)
{
	const struct sim_schedule *sch = &s->w->schedule;

	printf("  shortest of %u lives: %u of %u faults, %u of %u requests, %u nodes; "
	       "step %llu: %s\n",
	       s->lives, sim_list_kept(&sch->fault_out, sch->faults), sch->faults,
	       sim_list_kept(&sch->op_out, sch->ops), sch->ops, s->w->params.nodes,
	       (unsigned long long)s->best.step, s->best.why);
	for (unsigned i = 0; i < sch->faults; i++) {
		const struct sim_fault_record *r = &sch->fault[i];

		if (!sch->fault_out.out[i])
			printf("    %2u: %.6f s: %s at node %u\n", i + 1, (double)r->time_ns / 1e9,
			       fault_name((enum fault)r->fault), r->node);
	}
	printf("  again: sim --seed %llu%s", (unsigned long long)s->seed, options);
	if (s->w->force_nodes)
		printf(" --nodes %u", s->w->force_nodes);
	printf(" --only ");
	sim_list_print(stdout, &sch->fault_out, sch->faults);
	printf(" --requests ");
	sim_list_print(stdout, &sch->op_out, sch->ops);
	printf(" --trace\n");
}

void sim_shrink(struct world *w, uint64_t seed, const struct sim_result *r, unsigned limit_s,
		const char *options)
{
	struct shrink s = { .w = w, .seed = seed, .until = seconds() + limit_s, .best = *r };
	struct sim_schedule *sch = &w->schedule;
	unsigned given = w->force_nodes;

	class_of(r, s.class, sizeof(s.class));
	fewer_nodes(&s);
	memset(&sch->fault_out, 0, sizeof(sch->fault_out));
	memset(&sch->op_out, 0, sizeof(sch->op_out));
	sch->again = true;
	if (fails(&s)) {
		shorten(&s, &sch->fault_out, sch->faults);
		shorten(&s, &sch->op_out, sch->ops);
		shorten(&s, &sch->fault_out, sch->faults);
		print(&s, options);
	} else {
		printf("  it does not fail in the same way a second time\n");
	}
	sch->again = false;
	w->force_nodes = given;
	fflush(stdout);
}

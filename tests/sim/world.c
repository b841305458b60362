/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Virtual time: the event queue, the trace and its hash, the end of a failed life. */
#include "sim.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* An ordinary life has some ten thousand; one that fetches five whole disks again, 1.3 million. */
#define STEPS_MAX 4000000U
#define STEPS_MANY_MAX (10 * STEPS_MAX) /* more than nine nodes, which nobody draws */

static struct world *asserting_world;

static _Noreturn void world_assert(const char *expr, const char *file, int line)
{
	sim_fail(asserting_world, "assertion failed: %s at %s:%d", expr, file, line);
}

struct world *world_create(void)
{
	struct world *w = calloc(1, sizeof(*w));

	ASSERT(w);
	w->oracle.head = calloc(SIM_SECTORS_MAX, sizeof(*w->oracle.head));
	w->oracle.head_life = calloc(SIM_SECTORS_MAX, sizeof(*w->oracle.head_life));
	ASSERT(w->oracle.head && w->oracle.head_life);
	return w;
}

void world_reset(struct world *w, uint64_t seed)
{
	asserting_world = w;
	assert_hook = world_assert;
	w->life++;
	prng_seed(&w->rng, seed);
	w->now_ns = 0;
	w->step = 0;
	w->hash = UINT64_C(0xcbf29ce484222325);
	w->queue.count = 0;
	w->queue.seq = 0;
	w->command_cookie = 0;
	memset(w->commands, 0, sizeof(w->commands));
	memset(&w->handlers, 0, sizeof(w->handlers));
	memset(&w->fencing, 0, sizeof(w->fencing));
	w->faults_on = false;
	memset(&w->plan, 0, sizeof(w->plan));
	w->split_brain_ok = w->damaged = false;
	memset(w->fault_count, 0, sizeof(w->fault_count));
	w->why[0] = '\0';
	payload_reset(w);
	simnet_reset(w);
	traps_reset(w);
	w->op_primary = -1;
	for (unsigned i = 0; i < SIM_NODES_MAX; i++)
		w->status_step[i] = SIM_NEVER;
}

/* ---- queue: binary heap by (time, sequence) ---- */

static bool before(const struct sim_event *a, const struct sim_event *b)
{
	return a->time_ns != b->time_ns ? a->time_ns < b->time_ns : a->seq < b->seq;
}

void world_at(struct world *w, uint64_t delay_ns, sim_event_fn fn, uint64_t a, uint64_t b)
{
	struct sim_queue *q = &w->queue;
	struct sim_event ev = { .time_ns = w->now_ns + delay_ns, .seq = q->seq++, .fn = fn,
				.a = a, .b = b };
	unsigned i;

	if (q->count == q->cap) {
		q->cap = q->cap ? q->cap * 2 : 1024;
		q->heap = realloc(q->heap, q->cap * sizeof(*q->heap));
		ASSERT(q->heap);
	}
	for (i = q->count++; i > 0; i = (i - 1) / 2) {
		if (!before(&ev, &q->heap[(i - 1) / 2]))
			break;
		q->heap[i] = q->heap[(i - 1) / 2];
	}
	q->heap[i] = ev;
}

void world_hold(struct sim_held *held, sim_event_fn fn, uint64_t a, uint64_t b)
{
	if (held->count == held->cap) {
		held->cap = held->cap ? held->cap * 2 : 64;
		held->events = realloc(held->events, held->cap * sizeof(*held->events));
		ASSERT(held->events);
	}
	held->events[held->count++] = (struct sim_event){ .fn = fn, .a = a, .b = b };
}

void world_release(struct world *w, struct sim_held *held)
{
	for (unsigned i = 0; i < held->count; i++)
		world_at(w, 0, held->events[i].fn, held->events[i].a, held->events[i].b);
	held->count = 0;
}

static struct sim_event queue_pop(struct sim_queue *q)
{
	struct sim_event top = q->heap[0];
	struct sim_event last = q->heap[--q->count];
	unsigned i = 0;

	for (;;) {
		unsigned child = 2 * i + 1;

		if (child >= q->count)
			break;
		if (child + 1 < q->count && before(&q->heap[child + 1], &q->heap[child]))
			child++;
		if (!before(&q->heap[child], &last))
			break;
		q->heap[i] = q->heap[child];
		i = child;
	}
	q->heap[i] = last;
	return top;
}

bool world_step(struct world *w)
{
	struct sim_event ev;

	if (w->queue.count == 0)
		return false;
	ev = queue_pop(&w->queue);
	w->now_ns = ev.time_ns;
	if (++w->step > (w->node_count > 9 ? STEPS_MANY_MAX : STEPS_MAX))
		sim_fail(w, "I7: the life does not end after %llu steps",
			 (unsigned long long)w->step);
	ev.fn(w, ev.a, ev.b);
	return true;
}

void world_run_for(struct world *w, uint64_t ns)
{
	uint64_t until = w->now_ns + ns;

	while (w->queue.count > 0 && w->queue.heap[0].time_ns <= until)
		world_step(w);
	w->now_ns = until;
}

bool world_run_until(struct world *w, bool (*pred)(struct world *w), uint64_t limit_ns)
{
	uint64_t until = w->now_ns + limit_ns;

	while (!pred(w)) {
		if (w->now_ns >= until)
			return false;
		world_run_for(w, 20 * NS_MS);
	}
	return true;
}

/* ---- trace ---- */

void sim_hash(struct world *w, uint64_t x)
{
	w->hash = (w->hash ^ x) * UINT64_C(0x9e3779b97f4a7c15);
	w->hash ^= w->hash >> 29;
}

void sim_hash_bytes(struct world *w, const void *p, size_t n)
{
	const uint8_t *b = p;

	for (; n >= sizeof(uint64_t); n -= sizeof(uint64_t), b += sizeof(uint64_t)) {
		uint64_t x;

		memcpy(&x, b, sizeof(x));
		sim_hash(w, x);
	}
	if (n > 0) {
		uint64_t x = 0;

		memcpy(&x, b, n);
		sim_hash(w, x ^ (uint64_t)n << 56);
	}
}

void sim_trace(struct world *w, const char *fmt, ...)
{
	va_list ap;

	if (!w->trace)
		return;
	printf("%6llu %12.6f ", (unsigned long long)w->step, (double)w->now_ns / 1e9);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
}

void sim_forked(struct world *w, const char *what)
{
	snprintf(w->why, sizeof(w->why), "%s", what);
	sim_trace(w, "FORKED %s", w->why);
	longjmp(w->fail_jmp, SIM_FORKED);
}

void sim_fail(struct world *w, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(w->why, sizeof(w->why), fmt, ap);
	va_end(ap);
	sim_trace(w, "VIOLATION %s", w->why);
	longjmp(w->fail_jmp, 1);
}

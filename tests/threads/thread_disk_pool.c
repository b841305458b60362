/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Jobs through the worker pool: each runs once and comes
 * back, lanes keep their order, two ports do not mix. */
#include <poll.h>
#include <pthread.h>
#include <stdint.h>

#include "base/assert.h"
#include "disk/disk_pool.h"
#include "thread_check.h"

#define JOBS 20000
#define BATCH 32
#define LANES 3

struct test_job {
	struct disk_job base;
	unsigned number;
	struct owner *owner;
	unsigned runs;
};

struct owner {
	struct disk_pool *pool;
	struct disk_port *port;
	struct disk_lane lanes[LANES];
	unsigned lane_next_run[LANES];  /* changed by workers: the lane itself must serialise it */
	unsigned lane_next_done[LANES];
	unsigned done_count;
	unsigned followed;
	struct test_job jobs[JOBS];
	struct test_job follow_ups[JOBS];
};

static unsigned lane_of(const struct test_job *job)
{
	return job->number % (LANES + 1);
}

static void run(struct disk_job *base)
{
	struct test_job *job = CONTAINER_OF(base, struct test_job, base);
	unsigned lane = lane_of(job);

	job->runs++;
	base->error = -(int)job->number;
	if (lane < LANES) {
		CHECK(job->owner->lane_next_run[lane] == job->number);
		job->owner->lane_next_run[lane] += LANES + 1;
	}
}

static void follow_done(struct disk_job *base)
{
	struct test_job *job = CONTAINER_OF(base, struct test_job, base);

	CHECK(job->runs == 1);
	job->owner->followed--;
}

static void follow_run(struct disk_job *base)
{
	CONTAINER_OF(base, struct test_job, base)->runs++;
}

static void done(struct disk_job *base)
{
	struct test_job *job = CONTAINER_OF(base, struct test_job, base);
	struct owner *o = job->owner;
	unsigned lane = lane_of(job);

	CHECK(job->runs == 1 && base->error == -(int)job->number);
	if (lane < LANES) {
		CHECK(o->lane_next_done[lane] == job->number);
		o->lane_next_done[lane] += LANES + 1;
	}
	o->done_count++;
	if (job->number % 7 == 0) {
		struct test_job *next = &o->follow_ups[job->number];

		/* As the shard does: one completion leads to the next job. */
		list_init(&next->base.link);
		next->owner = o;
		next->base.run = follow_run;
		next->base.done = follow_done;
		o->followed++;
		disk_port_submit(o->port, &next->base);
	}
}

static void *own(void *arg)
{
	struct owner *o = arg;
	unsigned submitted = 0;

	while (o->done_count < JOBS || o->followed > 0) {
		struct pollfd pfd = { .fd = disk_port_fd(o->port), .events = POLLIN };

		for (unsigned i = 0; i < BATCH && submitted < JOBS; i++, submitted++) {
			struct test_job *job = &o->jobs[submitted];
			unsigned lane;

			list_init(&job->base.link);
			job->number = submitted;
			job->owner = o;
			job->base.run = run;
			job->base.done = done;
			lane = lane_of(job);
			if (lane < LANES)
				disk_lane_submit(&o->lanes[lane], o->port, &job->base);
			else
				disk_port_submit(o->port, &job->base);
		}
		disk_port_flush(o->port);
		if (submitted == JOBS)
			CHECK(poll(&pfd, 1, 10000) == 1);
		disk_port_reap(o->port);
		disk_port_flush(o->port);
	}
	CHECK(disk_port_busy(o->port) == 0);
	return NULL;
}

static struct owner owners[2];

int main(void)
{
	struct disk_pool *pool = disk_pool_new(4);
	pthread_t threads[2];

	CHECK(pool);
	for (unsigned i = 0; i < 2; i++) {
		owners[i].pool = pool;
		owners[i].port = disk_port_new(pool);
		CHECK(owners[i].port);
		for (unsigned l = 0; l < LANES; l++) {
			disk_lane_init(&owners[i].lanes[l]);
			owners[i].lane_next_run[l] = l;
			owners[i].lane_next_done[l] = l;
		}
		CHECK(!pthread_create(&threads[i], NULL, own, &owners[i]));
	}
	for (unsigned i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	/* Freeing waits for what is under way. */
	for (unsigned i = 0; i < 2; i++) {
		owners[i].done_count = 0;
		owners[i].jobs[0].runs = 0;
		owners[i].jobs[0].number = LANES;
		owners[i].jobs[0].base.run = follow_run;
		owners[i].jobs[0].base.done = follow_done;
		owners[i].followed = 1;
		disk_port_submit(owners[i].port, &owners[i].jobs[0].base);
		disk_port_free(owners[i].port);
		CHECK(owners[i].followed == 0);
	}
	disk_pool_free(pool);
	return 0;
}

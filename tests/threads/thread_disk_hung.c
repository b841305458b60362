/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Disks that hang with more jobs than there are threads; the jobs of another one go on. */
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>

#include "base/assert.h"
#include "disk/disk_pool.h"
#include "thread_check.h"

#define THREADS 2
#define HUNG_DISKS 3
#define JOBS 100

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t goes_on = PTHREAD_COND_INITIALIZER;
static bool hangs = true;
static unsigned hanging, hanging_max, done_count, hung_done_count;

static void run_hung(struct disk_job *job)
{
	(void)job;
	pthread_mutex_lock(&lock);
	hanging++;
	hanging_max = hanging > hanging_max ? hanging : hanging_max;
	while (hangs)
		pthread_cond_wait(&goes_on, &lock);
	hanging--;
	pthread_mutex_unlock(&lock);
}

static void run_good(struct disk_job *job) { job->error = 1; }
static void done_hung(struct disk_job *job) { (void)job; hung_done_count++; }
static void done_good(struct disk_job *job) { done_count += (unsigned)job->error; }

static void submit(struct disk_port *port, struct disk_job *job, struct disk_share *share,
		   bool good)
{
	list_init(&job->link);
	job->run = good ? run_good : run_hung;
	job->done = good ? done_good : done_hung;
	job->share = share;
	disk_port_submit(port, job);
}

static void reap_until(struct disk_port *port, const unsigned *count, unsigned wanted)
{
	struct pollfd pfd = { .fd = disk_port_fd(port), .events = POLLIN };

	disk_port_flush(port);
	while (*count < wanted) {
		CHECK(poll(&pfd, 1, 30000) == 1);
		disk_port_reap(port);
		disk_port_flush(port);
	}
}

static struct disk_job hung_jobs[HUNG_DISKS][JOBS], jobs[2 * JOBS];

int main(void)
{
	struct disk_pool *pool = disk_pool_new(THREADS);
	struct disk_port *port = pool ? disk_port_new(pool) : NULL;
	struct disk_share hung[HUNG_DISKS], good;

	CHECK(port);
	disk_share_init(&good);
	for (unsigned d = 0; d < HUNG_DISKS; d++) {
		disk_share_init(&hung[d]);
		for (unsigned i = 0; i < JOBS; i++)
			submit(port, &hung_jobs[d][i], &hung[d], false);
	}
	/* Behind all of those, and again when all threads hang already. */
	for (unsigned round = 0; round < 2; round++) {
		for (unsigned i = 0; i < JOBS; i++)
			submit(port, &jobs[round * JOBS + i], &good, true);
		reap_until(port, &done_count, (round + 1) * JOBS);
	}
	pthread_mutex_lock(&lock);
	CHECK(hanging_max <= HUNG_DISKS * THREADS);
	hangs = false;
	pthread_cond_broadcast(&goes_on);
	pthread_mutex_unlock(&lock);
	reap_until(port, &hung_done_count, HUNG_DISKS * JOBS);
	CHECK(disk_port_busy(port) == 0);
	disk_port_free(port);
	disk_pool_free(pool);
	return 0;
}

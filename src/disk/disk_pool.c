/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Owns the worker threads, their queue, and the batches and completion lists of the ports. */
#include "disk/disk_pool.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "disk/disk_aio.h"

/* Nothing has moved for so long although there is something to do: threads hang. */
#define STARVED_NS (200 * 1000000L)

struct disk_pool {
	pthread_mutex_t lock; /* all below, and the shares; leaf */
	pthread_cond_t work;
	pthread_cond_t starved; /* for the watcher: jobs wait, and no thread is idle */
	struct list shares;   /* that have a job to be run, in turn */
	struct disk_share common;
	unsigned idle_count;
	uint64_t taken;       /* jobs so far */
	bool ending, watching;
	unsigned wanted_count; /* threads; a share has so many at most */
	unsigned thread_count;
	pthread_t watcher;
	pthread_t threads[DISK_POOL_THREADS_MAX * (1 + DISK_POOL_HUNG_MAX)];
};

struct disk_port {
	struct disk_pool *pool;
	int event_fd;
	/* owner thread only */
	struct disk_aio *aio;   /* NULL: none here */
	struct list transfers;  /* for it */
	struct list batch;      /* for the workers */
	unsigned batch_count;
	unsigned busy_count;
	pthread_mutex_t lock; /* finished; leaf */
	struct list finished;
};

static void finish(struct disk_job *job)
{
	struct disk_port *port = job->port;
	uint64_t one = 1;
	bool wake;

	pthread_mutex_lock(&port->lock);
	wake = list_empty(&port->finished);
	list_push_back(&port->finished, &job->link);
	/* Under the lock: the owner may free the port as soon as it has seen the job. */
	if (wake && write(port->event_fd, &one, sizeof(one)) < 0)
		ASSERT(errno == EAGAIN);
	pthread_mutex_unlock(&port->lock);
}

/* ---- shares ---- */

void disk_share_init(struct disk_share *share)
{
	list_init(&share->link);
	list_init(&share->waiting);
	share->running = 0;
}

/* In its turn, if it has a job that may be run. */
static void line_up(struct disk_pool *pool, struct disk_share *share)
{
	if (!list_linked(&share->link) && !list_empty(&share->waiting) &&
	    share->running < pool->wanted_count)
		list_push_back(&pool->shares, &share->link);
}

static struct disk_share *share_of(struct disk_pool *pool, const struct disk_job *job)
{
	return job->share ? job->share : &pool->common;
}

/* What waits has no thread: it looks whether that remains so. */
static void call_watcher(struct disk_pool *pool)
{
	if (pool->watching && pool->idle_count == 0 && !list_empty(&pool->shares))
		pthread_cond_signal(&pool->starved);
}

static struct disk_job *take(struct disk_pool *pool)
{
	struct list *first = list_first(&pool->shares);
	struct disk_share *share;
	struct disk_job *job;

	if (!first)
		return NULL;
	share = LIST_ENTRY(first, struct disk_share, link);
	job = LIST_ENTRY(list_first(&share->waiting), struct disk_job, link);
	list_del(&share->link);
	list_del(&job->link);
	share->running++;
	pool->taken++;
	line_up(pool, share);
	call_watcher(pool);
	return job;
}

/* ---- threads ---- */

static struct disk_job *wait_for_job(struct disk_pool *pool)
{
	struct disk_job *job = NULL;

	pthread_mutex_lock(&pool->lock);
	while (!(job = take(pool)) && !pool->ending) {
		pool->idle_count++;
		pthread_cond_wait(&pool->work, &pool->lock);
		pool->idle_count--;
	}
	pthread_mutex_unlock(&pool->lock);
	return job;
}

/* It is not the owner's again yet: nor is its share gone. */
static struct disk_job *next_after(struct disk_pool *pool, struct disk_job *job)
{
	struct disk_share *share = share_of(pool, job);
	struct disk_job *next;

	pthread_mutex_lock(&pool->lock);
	share->running--;
	line_up(pool, share);
	next = take(pool);
	/* The share had had as many threads as it may. */
	if (pool->idle_count > 0 && !list_empty(&pool->shares))
		pthread_cond_signal(&pool->work);
	pthread_mutex_unlock(&pool->lock);
	return next;
}

static void *worker(void *arg)
{
	struct disk_pool *pool = arg;
	struct disk_job *job;

	while ((job = wait_for_job(pool)) != NULL) {
		while (job) {
			struct disk_job *next;

			job->run(job);
			next = next_after(pool, job);
			finish(job);
			job = next;
		}
	}
	return NULL;
}

static bool is_starved(const struct disk_pool *pool)
{
	return !list_empty(&pool->shares) && pool->idle_count == 0 &&
	       pool->thread_count < pool->wanted_count * (1 + DISK_POOL_HUNG_MAX);
}

static void add_thread(struct disk_pool *pool)
{
	if (!pthread_create(&pool->threads[pool->thread_count], NULL, worker, pool))
		pool->thread_count++;
}

/* A thread more where those that there are do not come back. */
static void *watch(void *arg)
{
	struct disk_pool *pool = arg;

	pthread_mutex_lock(&pool->lock);
	while (!pool->ending) {
		uint64_t taken = pool->taken;
		struct timespec until;

		if (!is_starved(pool)) {
			pool->watching = true;
			pthread_cond_wait(&pool->starved, &pool->lock);
			pool->watching = false;
			continue;
		}
		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_nsec += STARVED_NS;
		until.tv_sec += until.tv_nsec / 1000000000L;
		until.tv_nsec %= 1000000000L;
		pthread_cond_timedwait(&pool->starved, &pool->lock, &until);
		if (!pool->ending && pool->taken == taken && is_starved(pool))
			add_thread(pool);
	}
	pthread_mutex_unlock(&pool->lock);
	return NULL;
}

static bool start_threads(struct disk_pool *pool)
{
	sigset_t all, before;

	/* Signals belong to the control thread; those that come later inherit it. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	while (pool->thread_count < pool->wanted_count) {
		unsigned count = pool->thread_count;

		add_thread(pool);
		if (pool->thread_count == count)
			break;
	}
	if (pthread_create(&pool->watcher, NULL, watch, pool))
		pool->watcher = pthread_self();
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return pool->thread_count == pool->wanted_count &&
	       !pthread_equal(pool->watcher, pthread_self());
}

struct disk_pool *disk_pool_new(unsigned thread_count)
{
	struct disk_pool *pool;
	pthread_condattr_t attr;

	ASSERT(thread_count >= 1 && thread_count <= DISK_POOL_THREADS_MAX);
	pool = calloc(1, sizeof(*pool));
	if (!pool)
		return NULL;
	pthread_mutex_init(&pool->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&pool->work, NULL);
	pthread_cond_init(&pool->starved, &attr);
	pthread_condattr_destroy(&attr);
	list_init(&pool->shares);
	disk_share_init(&pool->common);
	pool->wanted_count = thread_count;
	if (!start_threads(pool)) {
		disk_pool_free(pool);
		return NULL;
	}
	return pool;
}

void disk_pool_free(struct disk_pool *pool)
{
	if (!pool)
		return;
	pthread_mutex_lock(&pool->lock);
	pool->ending = true;
	pthread_cond_broadcast(&pool->work);
	pthread_cond_broadcast(&pool->starved);
	pthread_mutex_unlock(&pool->lock);
	/* First: it starts others. */
	if (!pthread_equal(pool->watcher, pthread_self()))
		pthread_join(pool->watcher, NULL);
	for (unsigned i = 0; i < pool->thread_count; i++)
		pthread_join(pool->threads[i], NULL);
	pthread_cond_destroy(&pool->work);
	pthread_cond_destroy(&pool->starved);
	pthread_mutex_destroy(&pool->lock);
	free(pool);
}

/* ---- ports ---- */

struct disk_port *disk_port_new(struct disk_pool *pool)
{
	struct disk_port *port = calloc(1, sizeof(*port));

	if (!port)
		return NULL;
	port->pool = pool;
	port->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (port->event_fd < 0) {
		free(port);
		return NULL;
	}
	pthread_mutex_init(&port->lock, NULL);
	port->aio = disk_aio_new(port->event_fd);
	list_init(&port->transfers);
	list_init(&port->batch);
	list_init(&port->finished);
	return port;
}

void disk_port_free(struct disk_port *port)
{
	if (!port)
		return;
	disk_port_flush(port);
	while (port->busy_count > 0) {
		struct pollfd pfd = { .fd = port->event_fd, .events = POLLIN };

		if (poll(&pfd, 1, -1) > 0)
			disk_port_reap(port);
		disk_port_flush(port);
	}
	/* The last finish() may still be inside its lock. */
	pthread_mutex_lock(&port->lock);
	pthread_mutex_unlock(&port->lock);
	pthread_mutex_destroy(&port->lock);
	disk_aio_free(port->aio);
	close(port->event_fd);
	free(port);
}

int disk_port_fd(const struct disk_port *port)
{
	return port->event_fd;
}

static void add_to_batch(struct disk_port *port, struct disk_job *job)
{
	list_push_back(&port->batch, &job->link);
	port->batch_count++;
}

void disk_port_submit(struct disk_port *port, struct disk_job *job)
{
	job->port = port;
	job->lane = NULL;
	job->error = 0;
	port->busy_count++;
	add_to_batch(port, job);
}

void disk_port_submit_transfer(struct disk_port *port, struct disk_job *job)
{
	if (!port->aio) {
		disk_port_submit(port, job);
		return;
	}
	job->port = port;
	job->lane = NULL;
	job->error = 0;
	port->busy_count++;
	list_push_back(&port->transfers, &job->link);
}

void disk_lane_init(struct disk_lane *lane)
{
	list_init(&lane->waiting);
	lane->busy = false;
}

void disk_lane_submit(struct disk_lane *lane, struct disk_port *port, struct disk_job *job)
{
	job->port = port;
	job->lane = lane;
	job->error = 0;
	port->busy_count++;
	if (lane->busy) {
		list_push_back(&lane->waiting, &job->link);
		return;
	}
	lane->busy = true;
	add_to_batch(port, job);
}

/* What the kernel would have to wait for is for a worker. */
static void take_refused(struct disk_port *port, struct list *refused)
{
	while (!list_empty(refused)) {
		struct list *first = list_first(refused);

		list_del(first);
		add_to_batch(port, LIST_ENTRY(first, struct disk_job, link));
	}
}

void disk_port_flush(struct disk_port *port)
{
	struct disk_pool *pool = port->pool;
	struct list refused, *first;
	unsigned wakes;

	list_init(&refused);
	if (!list_empty(&port->transfers))
		disk_aio_submit(port->aio, &port->transfers, &refused);
	take_refused(port, &refused);
	if (port->batch_count == 0)
		return;
	pthread_mutex_lock(&pool->lock);
	wakes = port->batch_count < pool->idle_count ? port->batch_count : pool->idle_count;
	while ((first = list_first(&port->batch)) != NULL) {
		struct disk_job *job = LIST_ENTRY(first, struct disk_job, link);
		struct disk_share *share = share_of(pool, job);

		list_del(first);
		list_push_back(&share->waiting, first);
		line_up(pool, share);
	}
	port->batch_count = 0;
	for (unsigned i = 0; i < wakes; i++)
		pthread_cond_signal(&pool->work);
	call_watcher(pool);
	pthread_mutex_unlock(&pool->lock);
}

/* The lane's next job may start. */
static void lane_advance(struct disk_lane *lane, struct disk_port *port)
{
	struct list *next = list_first(&lane->waiting);

	if (!next) {
		lane->busy = false;
		return;
	}
	list_del(next);
	add_to_batch(port, LIST_ENTRY(next, struct disk_job, link));
}

unsigned disk_port_reap(struct disk_port *port)
{
	struct list finished, refused;
	uint64_t wakes;
	unsigned count = 0;

	/* Before the list is taken: a wake-up of a later job must not be swallowed. */
	if (read(port->event_fd, &wakes, sizeof(wakes)) < 0)
		ASSERT(errno == EAGAIN || errno == EINTR);
	list_init(&finished);
	pthread_mutex_lock(&port->lock);
	list_splice_back(&finished, &port->finished);
	pthread_mutex_unlock(&port->lock);
	list_init(&refused);
	if (port->aio)
		disk_aio_reap(port->aio, &finished, &refused);
	take_refused(port, &refused);
	while (!list_empty(&finished)) {
		struct list *first = list_first(&finished);
		struct disk_job *job = LIST_ENTRY(first, struct disk_job, link);

		list_del(first);
		port->busy_count--;
		count++;
		if (job->lane)
			lane_advance(job->lane, port);
		job->done(job);
	}
	return count;
}

unsigned disk_port_busy(const struct disk_port *port)
{
	return port->busy_count;
}

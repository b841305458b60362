/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Owns the worker threads, their queue, and the batches and completion lists of the ports. */
#include "disk/disk_pool.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/assert.h"
#include "disk/disk_aio.h"

struct disk_pool {
	pthread_mutex_t lock; /* queue, idle_count, ending; leaf */
	pthread_cond_t work;
	struct list queue;
	unsigned idle_count;
	bool ending;
	unsigned thread_count;
	pthread_t threads[DISK_POOL_THREADS_MAX];
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

static void *worker(void *arg)
{
	struct disk_pool *pool = arg;

	pthread_mutex_lock(&pool->lock);
	for (;;) {
		struct disk_job *job;

		while (list_empty(&pool->queue) && !pool->ending) {
			pool->idle_count++;
			pthread_cond_wait(&pool->work, &pool->lock);
			pool->idle_count--;
		}
		if (list_empty(&pool->queue))
			break;
		job = LIST_ENTRY(list_first(&pool->queue), struct disk_job, link);
		list_del(&job->link);
		pthread_mutex_unlock(&pool->lock);
		job->run(job);
		finish(job);
		pthread_mutex_lock(&pool->lock);
	}
	pthread_mutex_unlock(&pool->lock);
	return NULL;
}

struct disk_pool *disk_pool_new(unsigned thread_count)
{
	struct disk_pool *pool;
	sigset_t all, before;

	ASSERT(thread_count >= 1 && thread_count <= DISK_POOL_THREADS_MAX);
	pool = calloc(1, sizeof(*pool));
	if (!pool)
		return NULL;
	pthread_mutex_init(&pool->lock, NULL);
	pthread_cond_init(&pool->work, NULL);
	list_init(&pool->queue);
	/* Signals belong to the control thread. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	while (pool->thread_count < thread_count &&
	       !pthread_create(&pool->threads[pool->thread_count], NULL, worker, pool))
		pool->thread_count++;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (pool->thread_count < thread_count) {
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
	pthread_mutex_unlock(&pool->lock);
	for (unsigned i = 0; i < pool->thread_count; i++)
		pthread_join(pool->threads[i], NULL);
	pthread_cond_destroy(&pool->work);
	pthread_mutex_destroy(&pool->lock);
	free(pool);
}

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
	struct list refused;
	unsigned wakes;

	list_init(&refused);
	if (!list_empty(&port->transfers))
		disk_aio_submit(port->aio, &port->transfers, &refused);
	take_refused(port, &refused);
	if (port->batch_count == 0)
		return;
	pthread_mutex_lock(&pool->lock);
	wakes = port->batch_count < pool->idle_count ? port->batch_count : pool->idle_count;
	list_splice_back(&pool->queue, &port->batch);
	port->batch_count = 0;
	for (unsigned i = 0; i < wakes; i++)
		pthread_cond_signal(&pool->work);
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

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Disk calls beside the owner's thread: on worker threads, or by the kernel alone where it takes
 * them without blocking; batched submission, batched completion over an eventfd.
 */
#ifndef DISK_POOL_H
#define DISK_POOL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"

#define DISK_POOL_THREADS_MAX 64
/* So many disks may hang at a time before others wait for them. */
#define DISK_POOL_HUNG_MAX 8

/*
 * The jobs of one disk. As many of them as the pool has threads run at a time, so a disk that hangs
 * keeps no more; where nothing moves any more the pool starts others in their place.
 */
struct disk_share {
	struct list link;       /* of those that have a job to be run */
	struct list waiting;
	unsigned running;
};

void disk_share_init(struct disk_share *share);

struct disk_port;
struct disk_lane;

/* All that a read or write consists of: what the kernel can do without a thread of ours. */
struct disk_transfer {
	int fd;                 /* O_DIRECT and able to say that a call would wait; -1 = none */
	bool write;
	void *data;
	uint32_t bytes;
	uint64_t byte;          /* position */
};

/*
 * One blocking piece of work. `run` is called on a worker (or inline on the owner's thread) and
 * stores its result in the job; `done` is called on the thread that owns the port.
 * The owner must not touch the job between submission and `done`.
 */
struct disk_job {
	struct list link;
	void (*run)(struct disk_job *job);
	void (*done)(struct disk_job *job);
	struct disk_port *port;
	struct disk_lane *lane; /* NULL: any order */
	struct disk_share *share; /* set by the owner; NULL: of no disk in particular */
	int error;              /* 0 or -errno */
	struct disk_transfer transfer; /* disk_port_submit_transfer() */
};

struct disk_pool;

/* NULL: threads could not be started. thread_count 1..DISK_POOL_THREADS_MAX. */
struct disk_pool *disk_pool_new(unsigned thread_count);
/* Ends the threads after what they run now. Every port must be freed before. */
void disk_pool_free(struct disk_pool *pool);

/* The meeting point of one owner thread and the pool. */
struct disk_port *disk_port_new(struct disk_pool *pool);
/* Waits for the jobs under way; their `done` is called. */
void disk_port_free(struct disk_port *port);
/* Readable while completions wait. */
int disk_port_fd(const struct disk_port *port);

/* Adds the job to the batch; it starts with disk_port_flush(). */
void disk_port_submit(struct disk_port *port, struct disk_job *job);
/* The same for a job whose `transfer` says all; where that fails, `run` is called. */
void disk_port_submit_transfer(struct disk_port *port, struct disk_job *job);
/* One lock and the necessary wake-ups for the whole batch. */
void disk_port_flush(struct disk_port *port);
/* Calls `done` of all finished jobs; returns their count. May submit further jobs. */
unsigned disk_port_reap(struct disk_port *port);
/* Jobs submitted and not yet reaped. */
unsigned disk_port_busy(const struct disk_port *port);

/* Jobs of one lane run one after the other, in the order of their submission. */
struct disk_lane {
	struct list waiting;
	bool busy;
};

void disk_lane_init(struct disk_lane *lane);
/* As disk_port_submit(), ordered by the lane. */
void disk_lane_submit(struct disk_lane *lane, struct disk_port *port, struct disk_job *job);

#endif

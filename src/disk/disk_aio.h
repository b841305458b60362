/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads and writes that the kernel carries out by itself (native AIO on O_DIRECT descriptors, never
 * waiting in the submission): no worker, no hand-off. What it does not take goes to the pool.
 */
#ifndef DISK_AIO_H
#define DISK_AIO_H

#include "base/list.h"

struct disk_aio;

/* Completions make event_fd (an eventfd) readable. NULL: not available here. */
struct disk_aio *disk_aio_new(int event_fd);
/* Nothing may be under way. NULL is allowed. */
void disk_aio_free(struct disk_aio *aio);

/*
 * Starts the transfers of `jobs` (struct disk_job) and empties the list; those that were not taken
 * are appended to `refused`.
 */
void disk_aio_submit(struct disk_aio *aio, struct list *jobs, struct list *refused);
/*
 * Appends what was done to `finished`. A transfer that would have had to wait, was cut short or
 * failed is appended to `refused` instead: its `run` does all of it, and says what is wrong.
 */
void disk_aio_reap(struct disk_aio *aio, struct list *finished, struct list *refused);

#endif

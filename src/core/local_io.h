/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is under way at the local disks: since when, and what becomes of it when a disk hangs. */
#ifndef CORE_LOCAL_IO_H
#define CORE_LOCAL_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct core;
struct core_conf;
struct ev_done;
struct volume;

#define LOCAL_IO_NONE UINT32_MAX
#define LOCAL_IO_BUCKETS 4096U /* a power of two */
/* Ended in one step: each leads to a few actions, and there is room for so many. */
#define LOCAL_IO_ENDED_MAX 256U

/*
 * One request that the driver has. A disk that does not answer in time is given up: its requests
 * end then with an error, as far as the core is concerned. The driver still has them, with the
 * payload that they need, and they may reach the disk at any moment, so it is not closed, and not
 * attached again, before the last of them has come back.
 */
struct local_io {
	uint64_t tag;
	uint64_t since_ns;
	uint32_t next;           /* of its bucket, or of the free ones */
	uint32_t older, newer;   /* of the volume, without those that are given up */
	uint8_t v;
	bool meta;               /* answered by EV_META_DONE */
	bool timed;              /* false: it may take as long as it likes */
	bool given_up;
};

/* Requests beyond the room are not known here, and are waited for. */
struct local_ios {
	struct local_io *items;
	uint32_t *buckets;
	uint32_t room, made, free;
	uint32_t left;           /* that may be ended in this step */
};

/* Of one volume. */
struct local_queue {
	uint32_t oldest, newest;
	uint32_t given_up;       /* have not come back yet */
	bool hangs;              /* since it was attached it has not answered in time */
	bool attach;             /* what is given up is the attach itself */
};

size_t local_io_mem_bytes(const struct core_conf *conf, unsigned peers, unsigned volumes);
/* At creation, and with more memory later on: what is under way stays known. */
void local_io_create(struct core *core, unsigned peers, unsigned volumes);
void local_io_volume_create(struct volume *vol);

/* With each action whose answer is EV_DISK_DONE or EV_META_DONE. */
void local_io_begin(struct core *core, struct volume *vol, uint64_t tag, bool meta, bool timed);
/* False: it was given up, nobody waits for it any more. */
bool local_io_end(struct core *core, uint64_t tag);
/* The driver has the disk still because of so many requests. */
static inline uint32_t local_io_unanswered(const struct local_queue *io)
{
	return io->given_up;
}

/* How long the oldest request waits. */
uint64_t local_io_age_ns(const struct core *core, const struct volume *vol);
/* The disk is not waited for any more. */
void local_io_give_up(struct core *core, struct volume *vol);
/* Ends what is under way at disks that hang. */
void local_io_run(struct core *core);
void local_io_time(struct core *core);
uint64_t local_io_deadline(const struct core *core);

#endif

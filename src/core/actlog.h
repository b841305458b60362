/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The activity log of one volume: hot extents, pending transaction, waiting writes (on-disk-
 * metadata 8).
 *
 * An extent (4 MiB) is hot when a durable transaction names it. A write takes a reference on each
 * of its extents before it goes anywhere, and gives it back when no node can differ because of it
 * any more. Only extents without a reference are replaced, and only after their data and their
 * bitmap pages are durable: what the log does not name a power loss must not touch.
 *
 * An extent that nobody wrote to for AL_COOL_NS leaves the log, so that a crash only brings those
 * into doubt that were really in use: without that, a small volume stays hot as a whole for ever.
 */
#ifndef CORE_ACTLOG_H
#define CORE_ACTLOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "proto/proto_limits.h"
#include "proto/proto_md.h"

struct core;
struct core_volume_conf;
struct volume;

/* One write's references. Extents of one write always fit one transaction (DISCARD_MAX_BYTES). */
struct al_ref {
	struct list waiting;
	uint32_t first_extent;
	uint32_t extent_count;
	uint32_t incarnation;  /* of the log when taken: an attach or a lost disk makes it void */
	bool held;
	void (*ready)(struct core *core, struct volume *vol, struct al_ref *ref);
};

struct al_slot {
	uint32_t extent;       /* AL_FREE: empty */
	uint32_t refs;
	uint32_t chain;        /* next slot of the hash bucket */
	uint32_t lru_next, lru_prev; /* among unreferenced ones with an extent, coldest first;
				      * lru_next also links the empty slots */
	uint64_t idle_since_ns; /* when the last reference went */
	uint64_t written;      /* actlog.written then: flushed before the extent is dropped */
	bool pending;          /* named by the transaction that is being made */
};

enum al_phase { AL_IDLE, AL_FLUSHES_DATA, AL_WRITES_BITMAP, AL_WRITES_BLOCK };

struct actlog {
	struct al_slot *slots;
	uint32_t *buckets;
	uint32_t slot_count, bucket_count;
	uint32_t slots_max, slots_room; /* of this disk; that there is memory for */
	uint32_t lru_head, lru_tail, lru_count;
	uint32_t empty_head, empty_count;
	uint32_t busy_count;   /* slots with references */
	bool usable;           /* the disk is there and its metadata can be written */
	uint32_t incarnation;
	struct list waiting;   /* al_ref, oldest first */
	struct list admitted;  /* al_ref that the transaction in progress serves */
	struct list granted;   /* al_ref, ready() not called yet */
	bool running, calling; /* against nesting */
	enum al_phase phase;
	uint32_t number;       /* of the next transaction; goes on over detach and attach */
	uint32_t context_slot; /* first slot of the next context */
	struct al_transaction block;   /* being made or written */
	uint32_t evicted[AL_UPDATES_MAX];
	uint16_t evicted_count;
	uint64_t evicted_written; /* what must be flushed before the block */
	/* local_flush.c: data writes that ended, and how many of them a flush has made durable */
	uint64_t written, flushed;
	bool flushing;         /* on behalf of the log */
	bool block_in_flight;  /* also after the disk was given up */
	uint64_t writes;       /* transactions written (statistics) */
};

void actlog_ref_init(struct al_ref *ref);
size_t actlog_mem_bytes(const struct core_volume_conf *conf);
/* The memory that it has is not enough for it. */
bool actlog_outgrows(const struct volume *vol, const struct core_volume_conf *conf);
/* Uses again what it has, if that is enough. */
void actlog_create(struct core *core, struct volume *vol);
/* True: all extents of the range are hot and referenced now. False: ready() follows. While the
 * log is not usable (no disk) it is true at once and nothing is held. */
bool actlog_get(struct core *core, struct volume *vol, struct al_ref *ref, uint64_t sector,
		uint32_t sectors,
		void (*ready)(struct core *core, struct volume *vol, struct al_ref *ref));
/* A local flush covers more than before. */
void actlog_data_flushed(struct core *core, struct volume *vol);
/* It has its references, in the log as it is now. */
static inline bool actlog_has(const struct actlog *al, const struct al_ref *ref)
{
	return ref->held && al->usable && ref->incarnation == al->incarnation;
}
/* Gives the references back, or leaves the queue. Harmless when nothing is held. */
void actlog_put(struct core *core, struct volume *vol, struct al_ref *ref);
/* When an extent cools down next; drops those that did. */
uint64_t actlog_deadline(const struct core *core);
void actlog_time(struct core *core);
/* Extents that a crash now would bring into doubt. */
uint32_t actlog_hot_count(const struct volume *vol);
/* Some write waits for the log. */
bool actlog_has_waiters(const struct volume *vol);
/* The disk is gone: everything that waits goes on without a reference. */
void actlog_disk_lost(struct core *core, struct volume *vol);

#endif

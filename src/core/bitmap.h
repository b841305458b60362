/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The in-core bitmap of one volume: slots, weights,
 * dirty pages, writing them (on-disk-metadata 9). */
#ifndef CORE_BITMAP_H
#define CORE_BITMAP_H

#include <stdbool.h>
#include <stdint.h>

#include "core/core.h"

/* Slots as a mask. */
#define SLOTS_ALL UINT32_MAX

/* Unit of dirty tracking: one metadata page, or a power of two of them on huge devices. */
#define BM_GRANULES_MAX (1U << 16)
#define BM_WRITES_MAX 16U          /* pages in flight per volume */
#define BM_LAZY_NS (UINT64_C(2) * 1000000000)

/* Who waits for granules to be written. */
enum bm_waiter { BM_WAIT_AL, BM_WAIT_RESYNC, BM_WAIT_ALL, BM_WAIT_RANGE, BM_WAITERS };

/* State of one granule. */
#define BM_G_SET 0x01U             /* holds set bits that the disk lacks */
#define BM_G_CLEARED 0x02U         /* only cleared bits: lazy */
#define BM_G_WRITING 0x04U
#define BM_G_WANT_SHIFT 4          /* 0x10 to 0x80: enum bm_waiter waits for its next write */

struct bm_write {
	bool busy;
	uint32_t granule;
	uint64_t page;             /* in flight */
	uint8_t waiters;           /* mask of enum bm_waiter */
};

struct bitmap {
	struct bm_store store;     /* words_per_slot 0 while detached */
	unsigned slots;            /* max_peers of the metadata */
	uint64_t sectors;          /* the size that it stands for */
	uint64_t bits;             /* of that */
	uint64_t weight[NODES_MAX];/* set bits, by slot */
	uint32_t free_slots;       /* without owner: "since day 0" */
	/* dirty tracking */
	uint64_t pages;
	unsigned granule_shift;    /* page >> shift = granule */
	uint32_t granules;
	uint8_t *state;            /* by granule */
	uint64_t *dirty;           /* bit per granule: BM_G_SET or BM_G_CLEARED */
	uint64_t *want;            /* bit per granule: to be written now */
	uint32_t dirty_count, want_count;
	uint32_t waits[BM_WAITERS];/* granules that each waiter waits for */
	struct bm_write writes[BM_WRITES_MAX];
	unsigned in_flight;
	bool unflushed;            /* pages were written since the last flush was asked for */
	bool flush_wanted[BM_WAITERS];
	bool flushing;
	uint8_t flush_for;         /* mask of enum bm_waiter the running flush serves */
	uint64_t lazy_at_ns;
	/* bulk set with the FULL_SYNC guard (9.5) */
	uint64_t guard_nodes;      /* peers whose FULL_SYNC flag is set */
	uint64_t guard_seq;        /* superblock number that must be durable first, then 0 */
};

/* A bitmap transfer being received from one peer for one volume. */
struct bitmap_rx {
	bool active;               /* the peer's bitmap is expected or half received */
	bool started;              /* part of it arrived: nothing else may come in between */
	uint16_t vnr;
	uint64_t pos;              /* bits received */
};

struct volume;

/* Sets all bits towards the peers in `nodes`, or in all slots, in a way that survives a crash
 * (9.5): the FULL_SYNC flags are in the superblock first. Bits count from now on. */
void bitmap_set_all(struct core *core, struct volume *vol, uint64_t nodes, bool all_slots);
/* Adds the bits of one slot to another; they may be equal (no-op). */
void bitmap_copy_slot(struct core *core, struct volume *vol, unsigned from, unsigned to);
/* Clears a slot. The caller has the proof that the peer
 * holds everything (new-current-uuid --clear-bitmap). */
void bitmap_clear_slot(struct core *core, struct volume *vol, unsigned slot);
/* Slot of a node, -1 = none. */
int bitmap_slot(const struct volume *vol, unsigned p);
/* Gives the node the lowest free slot; its bits are those since day 0. -ENOSPC = none left. */
int bitmap_alloc_slot(struct volume *vol, unsigned p);
/* Resync target: writes the pages with set bits of the range.
 * After the last range of a batch ask bitmap_settled(). */
void bitmap_settle(struct core *core, struct volume *vol, uint64_t sector, uint64_t sectors);
/* True when all that bitmap_settle() was asked for is
 * durable; else resync_bitmap_durable() follows. */
bool bitmap_settled(struct core *core, struct volume *vol);
/* For a larger size: the bits of what is new are set in all slots, or clear in all; its pages
 * are to be written either way. */
void bitmap_grow(struct core *core, struct volume *vol, uint64_t sectors, bool clean);
/* Writes the pages of the range, which hold bits that the disk lacks. */
void bitmap_write_range(struct core *core, struct volume *vol, uint64_t sector, uint64_t sectors);
/* All ranges that were asked for are on disk. */
bool bitmap_range_is_durable(const struct volume *vol);
/* The node's slot has no owner any more; what is set in it counts as since day 0. */
void bitmap_free_slot(struct volume *vol, unsigned p);
/* Goes on writing what is wanted: RESIZE_MOVES is over. */
void bitmap_resume(struct core *core, struct volume *vol);
/*
 * The same bits in other memory, which has room for more; with more slots, in which all bits are
 * set, and on disk already. No page may be in flight.
 */
void bitmap_moved(struct core *core, struct volume *vol, const struct bm_store *store,
		  unsigned slots);
/* md.c: a superblock became durable. */
void bitmap_md_durable(struct core *core, struct volume *vol);

#endif

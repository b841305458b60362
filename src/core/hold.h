/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Holds on sector ranges of a volume: the one mechanism that orders overlapping I/O.
 *
 *   new \ active | WRITE  RS_READ  RS_WRITE
 *   WRITE        | waits  -        waits      (application and peer writes, discards, zeroes)
 *   RS_READ      | waits  -        waits      (resync source, reads for a peer, and here what
 *                                              a lost Primary may have written)
 *   RS_WRITE     | -      -        waits      (resync target; what overlaps a write was
 *                                              superseded: resync_write_overlaps();
 *                                              so is what a source has read before it)
 *
 * First come, first served: a new hold also waits behind an older waiter it conflicts with; but not
 * what a peer has written behind a write of this node.
 */
#ifndef CORE_HOLD_H
#define CORE_HOLD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "base/range_map.h"

struct core;
struct volume;

/* Whose write it is. */
enum hold_owner { HOLD_OF_OTHERS, HOLD_OF_REQUEST, HOLD_OF_PEER_WRITE };

enum hold_kind { HOLD_WRITE = 1, HOLD_RS_READ = 2, HOLD_RS_WRITE = 4 };

struct hold {
	struct range range;   /* base/range_map.h: sector, sectors, links */
	struct list waiting;
	enum hold_kind kind;
	enum hold_owner owner;
	bool active;
	/* Called when a queued hold becomes active; may acquire and release holds. */
	void (*ready)(struct core *core, struct volume *vol, struct hold *hold);
};

struct holds {
	struct range_map map; /* active holds */
	struct list waiting;  /* queued, oldest first */
	struct list granted;  /* active, ready() not called yet */
	bool calling;         /* a ready() runs: further grants only queue */
};

void holds_init(struct holds *holds);
/* Prepares the struct; nothing is held. */
void hold_init(struct hold *hold, enum hold_kind kind, uint64_t sector, uint32_t sectors,
	       void (*ready)(struct core *core, struct volume *vol, struct hold *hold));
/* True: active now. False: queued; hold->ready() follows. */
bool hold_acquire(struct core *core, struct volume *vol, struct hold *hold);
/* Also takes a queued hold off the queue. Harmless on one that is neither. */
void hold_release(struct core *core, struct volume *vol, struct hold *hold);
/* An active write hold overlaps the range. */
bool hold_write_overlaps(struct volume *vol, uint64_t sector, uint64_t sectors);
/* Or a queued one does. */
bool hold_write_known(struct volume *vol, uint64_t sector, uint64_t sectors);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A volume on its way to another size (states-and-resync 7.1). */
#ifndef CORE_RESIZE_H
#define CORE_RESIZE_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/proto_enum.h"
#include "proto/proto_limits.h"

/* What a node without a disk has room for. */
#define RESIZE_SECTORS_MAX (UINT64_C(1) << 50)

#define RESIZE_REASON_MAX 288

/* Flags of a resize on the wire. */
#define DDS_ASSUME_PEER_HAS_SPACE 0x1U
#define DDS_NO_RESYNC 0x2U

struct core;
struct ev_resized;
struct peer;
struct peer_device;
struct twopc_change;
struct volume;

/*
 * The steps, each durable before the next one begins. A crash in between leaves the old size: the
 * superblock names the new one only when the bits for what is new are on disk.
 *
 *   grows:   [RESIZE_MOVES] RESIZE_MARKS RESIZE_NAMES, then the users see it
 *   shrinks: [RESIZE_MOVES] RESIZE_NAMES, then the bits beyond go
 */
enum resize_phase {
	RESIZE_NONE,
	/* the driver moves the metadata to the new end of the backing store, or enlarges them */
	RESIZE_MOVES,
	RESIZE_MARKS, /* pages of the bitmap are being written */
	RESIZE_NAMES, /* the superblock is being written */
};

struct resize {
	enum resize_phase phase;
	bool busy;                 /* AC_RESIZE is under way */
	bool moving;               /* with `move` */
	bool clean;                /* what is new counts as in sync */
	bool agreed;               /* by a transaction: who is in sight knows */
	uint32_t slots;            /* RESIZE_MOVES for that many of them, and not for a size */
	uint64_t to_sectors;
	uint64_t agreed_sectors;   /* the last size that this node has taken part in agreeing on */
	uint64_t user_sectors;     /* the size that was named then, 0 = what fits */
	uint64_t possible_sectors; /* room for data that was found last, 0 = none */
	uint64_t seq;              /* RESIZE_NAMES: number of the superblock */
	uint64_t sources, targets; /* nodes that what is new comes from, or goes to */
	/* What was known of the peers' sizes when the transaction began. */
	uint64_t peer_sectors[NODES_MAX];
	char reason[RESIZE_REASON_MAX]; /* why the last one failed */
};

/* Answers EV_RESIZED. */
void resize_driver_done(struct core *core, const struct ev_resized *ev);
/* The disk does not answer it, and is given up. */
void resize_hangs(struct core *core, struct volume *vol);
/* Bits, or the superblock, have become durable. */
void resize_bitmap_durable(struct core *core, struct volume *vol);
void resize_md_durable(struct core *core, struct volume *vol);
/* No page of the bitmap is being written. */
void resize_bitmap_idle(struct core *core, struct volume *vol);
/* The disk is gone: the volume has its new size without it. */
void resize_disk_gone(struct core *core, struct volume *vol);
/* The connection is lost: no resync begins with it. */
void resize_peer_lost(struct core *core, const struct peer *peer);
/* What the peer sends may refer to a size that is not durable here yet: it waits. */
bool resize_holds(const struct core *core, const struct peer *peer);
/* The bitmap gets more slots, as soon as none of its pages is being written. */
void resize_add_slots(struct core *core, struct volume *vol, uint32_t slots);
/* A node that has data takes the larger size that its peers have. */
void resize_follow(struct core *core, struct volume *vol, uint64_t sectors);

/* ---- its two-phase commit ---- */

/*
 * A transaction begins here: what peers say of their sizes from now on is the new size. Not when a
 * command begins, of which there may be one while another node's transaction is under way.
 */
void resize_remember(struct core *core, const struct twopc_change *change);
/* Finds out how large the volume could be; false = it is known: no disk here. */
bool resize_measure(struct core *core, struct volume *vol);
/* Room for data as it was found last, as far as disk-size allows; 0 = none was found. */
uint64_t resize_possible(const struct volume *vol);
/* The room for data here as it is known; RESIZE_SECTORS_MAX without a disk. */
uint64_t resize_own_max(const struct core *core, const struct twopc_change *change);
/* Whether this node can take part. */
enum state_rv resize_try(const struct core *core, const struct twopc_change *change);
/* Initiator: all answers are here. Says what they come to; SS_NOTHING_TO_DO: it has that size. */
enum state_rv resize_decide(struct core *core);
/* The transaction that core->twopc describes is committed. */
void resize_commit(struct core *core, const struct twopc_change *change);

#endif

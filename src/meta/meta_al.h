/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Activity-log blocks: encode, decode, position, replay of a whole ring (on-disk-metadata 8). */
#ifndef META_AL_H
#define META_AL_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/proto_md.h"

#define META_AL_SLOTS_MAX 65534U /* slot numbers are u16 and 0xffff means unused */

/* Update block (8.3). Unused updates and context beyond the table come out as all ones. */
void meta_al_encode(const struct al_transaction *tr, uint8_t block[static MD_PAGE_BYTES]);
/* Initialised block (8.4); all blocks of a fresh ring are equal. */
void meta_al_encode_initialised(uint8_t block[static MD_PAGE_BYTES]);

/* Block, counted from the start of the AL area, at ring position `position` (8.2). */
uint32_t meta_al_block_of_position(uint32_t position, uint32_t stripes, uint32_t stripe_4k);
/* The same for a transaction number. */
uint32_t meta_al_block_of_number(uint32_t number, uint32_t stripes, uint32_t stripe_4k);

/* Transaction number of an update block, without any check but the magic and the type. */
bool meta_al_peek(const uint8_t block[static MD_PAGE_BYTES], uint32_t *number);

enum meta_al_kind {
	META_AL_TORN,        /* bad magic or checksum, or a field out of range */
	META_AL_INITIALISED,
	META_AL_UPDATE,
};

/* Classifies a block; *tr is filled for META_AL_UPDATE only. */
enum meta_al_kind meta_al_decode(const uint8_t block[static MD_PAGE_BYTES],
				 struct al_transaction *tr);

/* The ring to replay. `read` fetches block `index` of the AL area; an -errno ends the replay. */
struct meta_al_ring {
	uint32_t stripes;
	uint32_t stripe_4k;
	uint32_t extent_count; /* al_nr_extents, which only a log in persistent memory needs */
	int (*read)(void *ctx, uint32_t index, uint8_t block[static MD_PAGE_BYTES]);
	void *ctx;
};

enum meta_al_outcome {
	META_AL_EMPTY,      /* no transaction in the log */
	META_AL_REPLAYED,   /* the table holds the hot extents, and nothing is missing */
	META_AL_MARK_ALL,   /* damaged: every extent of the device may be hot */
	META_AL_UNREADABLE, /* not one valid block: refuse */
};

/* Table rebuilt by the replay; about 264 KiB, the caller's memory. */
struct meta_al_table {
	uint32_t extent[META_AL_SLOTS_MAX];      /* AL_FREE = none; duplicates are possible */
	uint64_t known[(META_AL_SLOTS_MAX + 63) / 64]; /* slots whose content is proven */
	uint32_t slot_count;                     /* slots beyond are free */
	uint32_t torn_count;                     /* for messages */
	uint32_t newest;                         /* newest transaction number replayed */
	struct al_transaction tr;                /* working space */
	uint8_t block[MD_PAGE_BYTES];            /* working space */
};

/*
 * Rebuilds the table of hot extents from a whole ring (8.7 b-h), or from the plain array that a
 * kernel with its metadata in persistent memory leaves there (8.9). One torn block is tolerated as
 * far as the log proves itself: the run of consecutive transactions that ends at the newest must
 * either begin with the log or repeat every slot in its contexts. Several torn blocks, or a run
 * that proves less, give META_AL_MARK_ALL. 0 or the error of `read`.
 */
int meta_al_replay(const struct meta_al_ring *ring, struct meta_al_table *table,
		   enum meta_al_outcome *outcome);

#endif

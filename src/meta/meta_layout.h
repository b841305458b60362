/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where metadata lies on a store and how much room it leaves for data (on-disk-metadata 2). */
#ifndef META_LAYOUT_H
#define META_LAYOUT_H

#include <stdint.h>

#include "meta/meta_super.h"
#include "proto/proto_md.h"

#define META_INDEXED_SECTORS 262144U         /* 128 MiB per index */
#define META_DATA_SECTORS_MAX (UINT64_C(1) << 41) /* 1 PiB */
#define META_STORE_BYTES_MIN (68U * 1024U)   /* smaller stores are refused by create-md */

enum md_place {
	MD_PLACE_INTERNAL, /* at the end of the data store */
	MD_PLACE_EXTERNAL, /* flexible external: a store of its own */
	MD_PLACE_INDEXED,  /* 128 MiB slot `index` of a shared store */
};

/* Stores of one volume; internal: both sizes are of the same store. */
struct meta_stores {
	enum md_place place;
	uint32_t index;        /* INDEXED only */
	uint64_t data_sectors; /* size of the data store */
	uint64_t meta_sectors; /* size of the metadata store */
};

/* Absolute positions on the metadata store. */
struct meta_layout {
	uint64_t super_byte;
	uint64_t al_byte;
	uint64_t bitmap_byte;
	uint64_t first_byte;    /* of the whole metadata area */
	uint64_t end_byte;      /* behind it */
	uint32_t ring_blocks;   /* AL blocks of 4096 bytes */
	uint64_t bitmap_pages;  /* whole pages of room */
	uint64_t data_sectors;  /* usable for data: the smallest of all formulas of 2.3 */
	uint64_t dump_sectors;  /* the same as drbdmeta counts, which shows in its dumps */
};

/* Sectors of bitmap for a device of `sectors` (bm(x) of section 2). */
uint64_t meta_bitmap_sectors(uint64_t sectors, uint32_t max_peers, uint32_t bytes_per_bit);

/* Sector of the superblock; META_BAD_SIZE if the store has no room for one. */
enum meta_verdict meta_layout_locate(const struct meta_stores *stores, uint64_t *super_sector);

/*
 * Geometry of fresh metadata: reads max_peers, al_stripes, al_stripe_4k and bm_bytes_per_bit of
 * *super, fills its offsets and md_size and *layout. META_BAD_SIZE if the store is too small or too
 * big.
 */
enum meta_verdict meta_layout_fresh(const struct meta_stores *stores, struct md_super *super,
				    struct meta_layout *layout);
/*
 * Checks the stored geometry of a decoded superblock against the stores (2.4) and fills *layout.
 * META_BAD_ROOM if all is well but that the agreed size has outgrown the store or the bitmap.
 */
enum meta_verdict meta_layout_check(const struct meta_stores *stores, const struct md_super *super,
				    struct meta_layout *layout);

#endif

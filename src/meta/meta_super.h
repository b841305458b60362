/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The v09 superblock: encode, decode with all checks of its fields (on-disk-metadata 3, 5, 6). */
#ifndef META_SUPER_H
#define META_SUPER_H

#include <stdint.h>

#include "proto/proto_md.h"

/* What a block is, and why it cannot be used. */
enum meta_verdict {
	META_OK,
	META_NONE,            /* no magic of any DRBD version */
	META_LEGACY,          /* v07 or v08: see meta_version.h */
	META_BAD_BIT_SIZE,    /* bm_bytes_per_bit is no power of two in 4 KiB .. 1 MiB */
	META_BAD_MAX_PEERS,   /* not 1..32 */
	META_BAD_STRIPES,     /* AL of less than 32 KiB, more than 16 GiB, or a zero factor */
	META_BAD_OFFSETS,     /* al/bm offsets do not fit the placement */
	META_BAD_SIZE,        /* metadata area exceeds the store */
	META_BAD_ROOM,        /* bitmap room too small for the agreed size */
	META_BAD_NODE_ID,     /* not -1..31 */
	META_BAD_SLOT,        /* a slot out of range, taken twice, or owned by the own entry */
};

/* A clause for people, e.g. "the bitmap slots are inconsistent". */
const char *meta_verdict_text(enum meta_verdict verdict);

/* Total for every md_super; padding is zero, HAVE_BITMAP is masked out of the peer flags. */
void meta_super_encode(const struct md_super *super, uint8_t block[static MD_PAGE_BYTES]);
/*
 * Fills *super and returns META_OK only if all fields are in range by themselves; offsets are
 * checked against a store by meta_layout_check(). *super is undefined otherwise.
 */
enum meta_verdict meta_super_decode(const uint8_t block[static MD_PAGE_BYTES],
				    struct md_super *super);
/* Whether every field is in range by itself; META_BAD_SLOT last, when all others are. */
enum meta_verdict meta_super_check(const struct md_super *super);

#endif

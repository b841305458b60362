/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Bitmap pages: slots interleaved on disk, a run of words each in core (on-disk-metadata 9.1). */
#ifndef META_BITMAP_H
#define META_BITMAP_H

#include <stdint.h>

#include "proto/proto_md.h"

/* Pages that hold `bits` bits of every slot. */
uint64_t meta_bitmap_pages(uint64_t bits, uint32_t max_peers);

/*
 * Page `page` from the slots ([0 .. max_peers-1], each words_per_slot long). Disk words beyond the
 * slots come out as zero.
 */
void meta_bitmap_page_encode(uint64_t *const *slots, uint64_t words_per_slot, uint32_t max_peers,
			     uint64_t page, uint8_t block[static MD_PAGE_BYTES]);
/* The reverse; disk words beyond the slots are dropped. */
void meta_bitmap_page_decode(const uint8_t block[static MD_PAGE_BYTES], uint64_t page,
			     uint32_t max_peers, uint64_t *const *slots, uint64_t words_per_slot);

/*
 * The same bitmap for more slots. Pages of the old form that page `page` of the new one is made
 * from: [*first, *end).
 */
void meta_bitmap_wider_needs(uint64_t page, uint32_t max_peers, uint32_t old_peers, uint64_t *first,
			     uint64_t *end);
/* Makes it from `old`, which begins with page `first`. New slots have `bits` bits set. */
void meta_bitmap_wider_page(uint64_t page, uint32_t max_peers, uint32_t old_peers, uint64_t bits,
			    const uint8_t *old, uint64_t first,
			    uint8_t block[static MD_PAGE_BYTES]);

/* Sets bits [first, end) of one slot. */
void meta_bitmap_set(uint64_t *words, uint64_t first, uint64_t end);
/* Clears all bits from `end` on. */
void meta_bitmap_clip(uint64_t *words, uint64_t words_per_slot, uint64_t end);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What bitmap.c and bitmap_io.c offer each other: dirty tracking. */
#ifndef CORE_BITMAP_IO_H
#define CORE_BITMAP_IO_H

#include "core/core_int.h"

/* Bits [first, first + count) of a slot were set or cleared: their pages differ from the disk. */
void bitmap_mark(struct core *core, struct bitmap *bm, unsigned slot, uint64_t first,
		 uint64_t count, bool set);
/* Forgets dirty pages and writes under way. */
void bitmap_io_reset(struct bitmap *bm);
/* Sizes the dirty tracking after attach. */
void bitmap_io_layout(struct core *core, struct bitmap *bm);
/* Each granule has the pages of 2^shift former ones. */
void bitmap_io_coarsen(struct bitmap *bm, unsigned shift);
/* There were `old` slots: what was in one page before is in others now. */
void bitmap_io_widen(struct bitmap *bm, unsigned old);
/* As bitmap_clear(), by bits; true when something changed. */
bool bitmap_clear_where(struct core *core, struct volume *vol, uint32_t slots, uint64_t bit,
			uint64_t count);

/* ORs 64 bits into a slot; bits beyond the end are ignored. */
void bitmap_or_word(struct core *core, struct volume *vol, unsigned slot, uint64_t index,
		    uint64_t value);

#endif

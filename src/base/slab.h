/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Fixed pool of equal items in memory of the caller, named by handles (index + generation)
 * that go stale on free. */
#ifndef BASE_SLAB_H
#define BASE_SLAB_H

#include <stddef.h>
#include <stdint.h>

#include "base/assert.h"

/* A handle is generation << 24 | index: 56 bits, never 0 or all-ones. Live generations are odd. */
#define SLAB_INDEX_BITS 24
#define SLAB_COUNT_MAX (1U << SLAB_INDEX_BITS)
#define SLAB_NONE UINT32_MAX

struct slab_cell {
	uint32_t generation;
	uint32_t next_free;
};

struct slab {
	uint8_t *items;
	struct slab_cell *cells;
	size_t item_bytes;
	uint32_t count;
	uint32_t used;
	uint32_t first_free;
};

/* `items` holds count * item_bytes, `cells` count entries; both stay with the caller. */
static inline void slab_init(struct slab *slab, void *items, size_t item_bytes,
			     struct slab_cell *cells, uint32_t count)
{
	ASSERT(count > 0 && count <= SLAB_COUNT_MAX);
	slab->items = items;
	slab->cells = cells;
	slab->item_bytes = item_bytes;
	slab->count = count;
	slab->used = 0;
	slab->first_free = 0;
	for (uint32_t i = 0; i < count; i++) {
		cells[i].generation = 0;
		cells[i].next_free = i + 1 < count ? i + 1 : SLAB_NONE;
	}
}

static inline uint32_t slab_free_count(const struct slab *slab)
{
	return slab->count - slab->used;
}

static inline uint32_t slab_index(const struct slab *slab, const void *item)
{
	size_t offset = (size_t)((const uint8_t *)item - slab->items);

	ASSERT(offset % slab->item_bytes == 0 && offset / slab->item_bytes < slab->count);
	return (uint32_t)(offset / slab->item_bytes);
}

static inline uint64_t slab_handle(const struct slab *slab, const void *item)
{
	uint32_t i = slab_index(slab, item);

	return (uint64_t)slab->cells[i].generation << SLAB_INDEX_BITS | i;
}

/* An item with unspecified contents; NULL when all are in use. */
static inline void *slab_alloc(struct slab *slab)
{
	uint32_t i = slab->first_free;

	if (i == SLAB_NONE)
		return NULL;
	slab->first_free = slab->cells[i].next_free;
	slab->cells[i].generation++;
	slab->used++;
	return slab->items + (size_t)i * slab->item_bytes;
}

static inline void slab_free(struct slab *slab, void *item)
{
	uint32_t i = slab_index(slab, item);

	ASSERT(slab->cells[i].generation & 1);
	slab->cells[i].generation++;
	slab->cells[i].next_free = slab->first_free;
	slab->first_free = i;
	slab->used--;
}

/* NULL for anything that is not the handle of a live item. */
static inline void *slab_lookup(const struct slab *slab, uint64_t handle)
{
	uint32_t i = (uint32_t)(handle & (SLAB_COUNT_MAX - 1));
	uint64_t generation = handle >> SLAB_INDEX_BITS;

	if (i >= slab->count || !(generation & 1) || slab->cells[i].generation != generation)
		return NULL;
	return slab->items + (size_t)i * slab->item_bytes;
}

#endif

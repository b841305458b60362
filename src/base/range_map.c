/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Overlap search over in-flight sector ranges. */
#include "base/range_map.h"

#include "base/assert.h"

#define BUCKET_SHIFT 9 /* 256 KiB in sectors */

/* A range of at most this many sectors touches two buckets at the most. */
#define SMALL_SECTORS (1U << BUCKET_SHIFT)

static unsigned bucket_of(uint64_t sector)
{
	return (unsigned)((sector >> BUCKET_SHIFT) % RANGE_MAP_BUCKETS);
}

void range_map_init(struct range_map *map)
{
	for (unsigned i = 0; i < RANGE_MAP_BUCKETS; i++)
		list_init(&map->bucket[i]);
	list_init(&map->large);
	map->count = 0;
}

/* A small range is filed under its first sector only; the search looks one bucket further down
 * for it. */
void range_map_insert(struct range_map *map, struct range *range)
{
	struct list *head = &map->large;

	ASSERT(range->sectors > 0);
	if (range->sectors <= SMALL_SECTORS)
		head = &map->bucket[bucket_of(range->sector)];
	list_push_back(head, &range->link);
	map->count++;
}

void range_map_remove(struct range_map *map, struct range *range)
{
	ASSERT(map->count > 0 && list_linked(&range->link));
	list_del(&range->link);
	map->count--;
}

static bool overlaps(const struct range *range, uint64_t sector, uint64_t sectors)
{
	return range->sector < sector + sectors && sector < range->sector + range->sectors;
}

/* Searches the rest of the list that `pos` is on (its head or an entry). */
static struct range *next_on_list(const struct list *head, const struct list *pos, uint64_t sector,
				  uint64_t sectors)
{
	for (pos = pos->next; pos != head; pos = pos->next) {
		struct range *range = LIST_ENTRY((struct list *)(uintptr_t)pos, struct range, link);

		if (overlaps(range, sector, sectors))
			return range;
	}
	return NULL;
}

struct range *range_map_overlap(const struct range_map *map, uint64_t sector, uint64_t sectors,
				const struct range *prev)
{
	uint64_t first = sector >> BUCKET_SHIFT;
	uint64_t last = (sector + sectors - 1) >> BUCKET_SHIFT;
	uint64_t slots, k = 0;
	const struct list *head, *pos;

	ASSERT(sectors > 0);
	if (map->count == 0)
		return NULL;
	if (first > 0)
		first--;
	slots = last - first + 1;
	if (slots > RANGE_MAP_BUCKETS)
		slots = RANGE_MAP_BUCKETS;
	/* Position k counts through the buckets of the search; k == slots is the list of large
	 * ranges. */
	if (prev && prev->sectors > SMALL_SECTORS)
		k = slots;
	else if (prev)
		k = (bucket_of(prev->sector) + RANGE_MAP_BUCKETS -
		     bucket_of(first << BUCKET_SHIFT)) % RANGE_MAP_BUCKETS;
	for (; k <= slots; k++) {
		struct range *found;

		head = k == slots ? &map->large
				  : &map->bucket[(first + k) % RANGE_MAP_BUCKETS];
		pos = prev ? &prev->link : head;
		prev = NULL;
		found = next_on_list(head, pos, sector, sectors);
		if (found)
			return found;
	}
	return NULL;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Overlap search over in-flight sector ranges: intrusive, hashed by 256 KiB bucket, no allocation.
 * Order of results is insertion order within a bucket, so it does not depend on addresses.
 */
#ifndef BASE_RANGE_MAP_H
#define BASE_RANGE_MAP_H

#include <stdint.h>

#include "base/list.h"

#define RANGE_MAP_BUCKETS 256U

struct range {
	struct list link;
	uint64_t sector;
	uint32_t sectors;
};

struct range_map {
	struct list bucket[RANGE_MAP_BUCKETS];
	struct list large;      /* ranges that span more than two buckets (discards) */
	uint32_t count;
};

void range_map_init(struct range_map *map);
void range_map_insert(struct range_map *map, struct range *range);
void range_map_remove(struct range_map *map, struct range *range);
/* Next range after `prev` (NULL: first) that overlaps
 * [sector, sector + sectors); NULL = no more. */
struct range *range_map_overlap(const struct range_map *map, uint64_t sector, uint64_t sectors,
				const struct range *prev);

#endif

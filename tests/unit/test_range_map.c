/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Overlap search over in-flight ranges. */
#include <criterion/criterion.h>

#include "base/range_map.h"

static struct range_map map;

static void range_set(struct range *r, uint64_t sector, uint32_t sectors)
{
	list_init(&r->link);
	r->sector = sector;
	r->sectors = sectors;
	range_map_insert(&map, r);
}

Test(range_map, empty_map_has_no_overlap)
{
	range_map_init(&map);
	cr_assert_null(range_map_overlap(&map, 0, UINT32_MAX, NULL));
}

Test(range_map, touching_is_not_overlapping)
{
	struct range r;

	range_map_init(&map);
	range_set(&r, 100, 8);
	cr_assert_null(range_map_overlap(&map, 92, 8, NULL));
	cr_assert_null(range_map_overlap(&map, 108, 8, NULL));
	cr_assert_eq(range_map_overlap(&map, 107, 1, NULL), &r);
	cr_assert_eq(range_map_overlap(&map, 93, 8, NULL), &r);
	range_map_remove(&map, &r);
	cr_assert_null(range_map_overlap(&map, 100, 8, NULL));
}

Test(range_map, ranges_across_bucket_borders_are_found_from_both_sides)
{
	struct range r;

	range_map_init(&map);
	range_set(&r, 2040, 16);
	cr_assert_eq(range_map_overlap(&map, 2040, 1, NULL), &r);
	cr_assert_eq(range_map_overlap(&map, 2055, 1, NULL), &r);
	cr_assert_null(range_map_overlap(&map, 2056, 1, NULL));
}

Test(range_map, large_ranges_and_searches_larger_than_the_table)
{
	struct range big, small;

	range_map_init(&map);
	range_set(&big, 1000, 262144);
	range_set(&small, 5000000, 8);
	cr_assert_eq(range_map_overlap(&map, 263143, 1, NULL), &big);
	cr_assert_null(range_map_overlap(&map, 263144, 1, NULL));
	cr_assert_eq(range_map_overlap(&map, 4000000, 4000000, NULL), &small);
	cr_assert_eq(range_map_overlap(&map, 0, 8000000, NULL), &small);
	cr_assert_eq(range_map_overlap(&map, 0, 8000000, &small), &big);
	cr_assert_null(range_map_overlap(&map, 0, 8000000, &big));
}

Test(range_map, same_bucket_other_address_does_not_match)
{
	struct range r;

	range_map_init(&map);
	range_set(&r, 0, 8);
	cr_assert_null(range_map_overlap(&map, 2048 * RANGE_MAP_BUCKETS, 8, NULL));
}

Test(range_map, results_come_in_order_of_insertion)
{
	struct range r[3];

	range_map_init(&map);
	for (unsigned i = 0; i < 3; i++)
		range_set(&r[i], 16, 8);
	cr_assert_eq(range_map_overlap(&map, 16, 8, NULL), &r[0]);
	cr_assert_eq(range_map_overlap(&map, 16, 8, &r[0]), &r[1]);
	cr_assert_eq(range_map_overlap(&map, 16, 8, &r[1]), &r[2]);
	cr_assert_null(range_map_overlap(&map, 16, 8, &r[2]));
}

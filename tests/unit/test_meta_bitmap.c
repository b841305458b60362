/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where a bit of a slot lies on disk; pages and slots are two views of the same bits. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "meta/meta_bitmap.h"

#define WORDS 512U

static uint64_t *slots[NODES_MAX];

static void new_slots(void)
{
	for (unsigned i = 0; i < NODES_MAX; i++)
		slots[i] = calloc(WORDS, 8);
}

static void free_slots(void)
{
	for (unsigned i = 0; i < NODES_MAX; i++)
		free(slots[i]);
}

Test(meta_bitmap, bit_position_on_disk, .init = new_slots, .fini = free_slots)
{
	static const struct {
		uint64_t bit;
		unsigned slot, max_peers;
	} cases[] = { { 0, 0, 1 },      { 31, 0, 1 },      { 32, 0, 1 },
		      { 63, 2, 3 },     { 64, 0, 3 },      { 1023, 6, 7 },
		      { 5000, 30, 31 }, { 32767, 31, 32 }, { 12345, 0, 2 } };

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t bit = cases[i].bit,
			 page = bm_disk_page(bit, cases[i].slot, cases[i].max_peers);
		/* Byte and bit straight from on-disk-metadata 9.1. */
		uint64_t byte = (bit / 32 * cases[i].max_peers + cases[i].slot) * 4 + bit % 32 / 8;
		uint8_t block[MD_PAGE_BYTES];
		unsigned ones = 0;

		meta_bitmap_set(slots[cases[i].slot], bit, bit + 1);
		meta_bitmap_page_encode(slots, WORDS, cases[i].max_peers, page, block);
		cr_assert_eq(byte / MD_PAGE_BYTES, page);
		cr_assert_eq(block[byte % MD_PAGE_BYTES], 1U << bit % 8);
		for (unsigned b = 0; b < MD_PAGE_BYTES; b++)
			ones += (unsigned)__builtin_popcount(block[b]);
		cr_assert_eq(ones, 1);
		meta_bitmap_clip(slots[cases[i].slot], WORDS, 0);
	}
}

Test(meta_bitmap, set_and_clip_ranges, .init = new_slots, .fini = free_slots)
{
	static const struct {
		uint64_t first, end;
	} ranges[] = { { 0, 0 },    { 0, 1 },       { 63, 65 },  { 64, 128 },
		       { 1, 1024 }, { 100, 32768 }, { 0, 32768 } };

	for (unsigned i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
		meta_bitmap_clip(slots[0], WORDS, 0);
		meta_bitmap_set(slots[0], ranges[i].first, ranges[i].end);
		for (uint64_t bit = 0; bit < WORDS * 64; bit++)
			cr_assert_eq(slots[0][bit / 64] >> bit % 64 & 1,
				     bit >= ranges[i].first && bit < ranges[i].end);
		meta_bitmap_clip(slots[0], WORDS, 77);
		for (uint64_t bit = 77; bit < WORDS * 64; bit++)
			cr_assert_eq(slots[0][bit / 64] >> bit % 64 & 1, 0);
		cr_assert_eq(slots[0][1] >> 12 & 1, 76 >= ranges[i].first && 76 < ranges[i].end);
	}
}

Test(meta_bitmap, pages_beyond_the_slots_are_zero_and_change_nothing, .init = new_slots,
     .fini = free_slots)
{
	uint8_t block[MD_PAGE_BYTES];

	meta_bitmap_set(slots[0], 0, WORDS * 64);
	memset(block, 0xff, sizeof(block));
	meta_bitmap_page_encode(slots, WORDS, 1, 1, block);
	for (unsigned i = 0; i < MD_PAGE_BYTES; i++)
		cr_assert_eq(block[i], 0);
	meta_bitmap_page_decode(block, 1, 1, slots, WORDS);
	cr_assert_eq(slots[0][WORDS - 1], UINT64_MAX);
	meta_bitmap_page_decode(block, UINT64_MAX / MD_PAGE_WORDS - 1, 1, slots, WORDS);
	cr_assert_eq(slots[0][0], UINT64_MAX);
}

Test(meta_bitmap, page_count)
{
	cr_assert_eq(meta_bitmap_pages(0, 7), 0);
	cr_assert_eq(meta_bitmap_pages(1, 1), 1);
	cr_assert_eq(meta_bitmap_pages(32768, 1), 1);
	cr_assert_eq(meta_bitmap_pages(32769, 1), 2);
	cr_assert_eq(meta_bitmap_pages(262144, 7), 56);
}

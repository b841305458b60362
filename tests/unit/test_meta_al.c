/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Activity-log blocks; replay of young, wrapped, torn and damaged rings. */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "../lib/al_model.h"
#include "base/bytes.h"
#include "base/crc32c.h"

static struct al_model model;
static struct meta_al_table table;

/* One new extent into one slot per transaction. */
static void write_many(uint32_t count, uint32_t slots, uint32_t first_extent)
{
	for (uint32_t i = 0; i < count; i++) {
		uint32_t slot = i * 37 % slots, extent = first_extent + i;

		al_model_write(&model, 1, &slot, &extent);
	}
}

static void tear(uint32_t number)
{
	al_model_block(&model, number)[2000] ^= 0x10;
}

static void expect_table(const uint32_t *extent)
{
	for (uint32_t i = 0; i < model.slot_count; i++)
		cr_assert_eq(table.extent[i], extent[i], "slot %u", i);
}

static void reseal(uint8_t *block)
{
	put_be32(block + 8, 0);
	put_be32(block + 8, crc32c(0, block, MD_PAGE_BYTES));
}

Test(meta_al, initialised_block)
{
	uint8_t b[MD_PAGE_BYTES];
	struct al_transaction tr;

	meta_al_encode_initialised(b);
	cr_assert_eq(get_be32(b), 0x69cb65a2);
	cr_assert_eq(get_be32(b + 8), 0x709cc651);
	cr_assert_eq(get_be16(b + 12), 0xffff);
	for (unsigned i = 14; i < MD_PAGE_BYTES; i++)
		cr_assert_eq(b[i], 0);
	cr_assert_eq(meta_al_decode(b, &tr), META_AL_INITIALISED);
}

Test(meta_al, unused_entries_are_all_ones)
{
	struct al_transaction tr = { .number = 7, .update_count = 1, .context_size = 920,
				     .context_start = 919 };
	uint8_t b[MD_PAGE_BYTES];

	tr.update_slot[0] = 919;
	tr.update_extent[0] = 3;
	tr.context[0] = 5;
	meta_al_encode(&tr, b);
	cr_assert_eq(get_be16(b + 36), 919);
	cr_assert_eq(get_be16(b + 38), 0xffff);
	cr_assert_eq(get_be32(b + 164), 3);
	cr_assert_eq(get_be32(b + 168), 0xffffffff);
	cr_assert_eq(get_be32(b + 420), 5);
	cr_assert_eq(get_be32(b + 424), 0xffffffff);
	cr_assert_eq(get_be32(b + 4092), 0xffffffff);
	for (unsigned i = 20; i < 36; i++)
		cr_assert_eq(b[i], 0);
}

Test(meta_al, stripes_are_used_in_turn)
{
	/* 4 stripes of 16 blocks: 0, 16, 32, 48, 1, 17 ... */
	cr_assert_eq(meta_al_block_of_number(0, 4, 16), 0);
	cr_assert_eq(meta_al_block_of_number(1, 4, 16), 16);
	cr_assert_eq(meta_al_block_of_number(3, 4, 16), 48);
	cr_assert_eq(meta_al_block_of_number(4, 4, 16), 1);
	cr_assert_eq(meta_al_block_of_number(63, 4, 16), 63);
	cr_assert_eq(meta_al_block_of_number(64, 4, 16), 0);
	cr_assert_eq(meta_al_block_of_number(UINT32_MAX, 1, 8), 7);
}

Test(meta_al, contradictory_fields_are_torn)
{
	static const struct {
		unsigned offset;
		uint16_t value;
	} cases[] = { { 12, 1 }, { 14, 65 }, { 14, 0xffff }, { 16, 0 }, { 16, 65535 }, { 18, 100 },
		      { 18, 0xffff }, { 36, 100 }, { 36, 0xffff }, { 38, 5 }, { 16, 50 } };
	struct al_transaction tr = { .number = 1, .update_count = 1, .context_size = 100 }, back;
	uint8_t b[MD_PAGE_BYTES];

	tr.context[99] = 12;
	meta_al_encode(&tr, b);
	cr_assert_eq(meta_al_decode(b, &back), META_AL_UPDATE);
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		meta_al_encode(&tr, b);
		put_be16(b + cases[i].offset, cases[i].value);
		cr_assert_eq(meta_al_decode(b, &back), META_AL_TORN, "checksum, case %u", i);
		reseal(b);
		cr_assert_eq(meta_al_decode(b, &back), META_AL_TORN, "case %u", i);
	}
}

Test(meta_al, fresh_ring_is_empty)
{
	al_model_init(&model, 1, 8, 1237, 0);
	cr_assert_eq(al_model_replay(&model, &table), META_AL_EMPTY);
	cr_assert_eq(table.slot_count, 0);
	al_model_release(&model);
}

Test(meta_al, young_rings)
{
	/* The first number need not be 0: the counter goes on over detach and attach. */
	static const uint32_t first[] = { 0, 57, 0x7ffffffe, 0xfffffffe };

	for (unsigned i = 0; i < 4; i++)
		for (uint32_t count = 1; count < 8; count++) {
			al_model_init(&model, 1, 8, 1237, first[i]);
			write_many(count, 1237, 10);
			cr_assert_eq(al_model_replay(&model, &table), META_AL_REPLAYED, "%u %u", i,
				     count);
			expect_table(model.extent);
			al_model_release(&model);
		}
}

Test(meta_al, full_rings_over_the_wrap_of_the_number)
{
	for (uint32_t start = 0xfffffff0; start != 8; start++) {
		al_model_init(&model, 1, 8, 6433, start);
		write_many(20, 6433, 100);
		cr_assert_eq(al_model_replay(&model, &table), META_AL_REPLAYED, "start %x", start);
		expect_table(model.extent);
		al_model_release(&model);
	}
}

Test(meta_al, torn_newest_gives_the_state_before)
{
	for (uint32_t count = 2; count < 20; count++) {
		al_model_init(&model, 1, 8, 6433, 0xfffffff5);
		write_many(count, 6433, 100);
		tear(model.next_number - 1);
		cr_assert_eq(al_model_replay(&model, &table), META_AL_REPLAYED, "%u", count);
		cr_assert_eq(table.torn_count, 1);
		expect_table(model.before);
		al_model_release(&model);
	}
}

Test(meta_al, torn_first_of_a_fresh_ring_released_nothing)
{
	al_model_init(&model, 1, 8, 1237, 0);
	write_many(1, 1237, 10);
	tear(0);
	cr_assert_eq(al_model_replay(&model, &table), META_AL_EMPTY);
	al_model_release(&model);
}

Test(meta_al, torn_middle_is_repaired_by_later_contexts)
{
	al_model_init(&model, 1, 8, 1237, 100);
	write_many(30, 1237, 100);
	tear(model.next_number - 3);
	cr_assert_eq(al_model_replay(&model, &table), META_AL_REPLAYED);
	expect_table(model.extent);
	al_model_release(&model);
}

Test(meta_al, torn_middle_without_enough_contexts_marks_all)
{
	/* 6433 slots need seven contexts; behind the hole there are two. */
	al_model_init(&model, 1, 8, 6433, 100);
	write_many(30, 6433, 100);
	tear(model.next_number - 3);
	cr_assert_eq(al_model_replay(&model, &table), META_AL_MARK_ALL);
	al_model_release(&model);
}

Test(meta_al, two_torn_blocks_mark_all)
{
	for (uint32_t a = 1; a <= 8; a++)
		for (uint32_t b = 1; b < a; b++) {
			al_model_init(&model, 1, 8, 67, 100);
			write_many(30, 67, 100);
			tear(model.next_number - a);
			tear(model.next_number - b);
			cr_assert_eq(al_model_replay(&model, &table), META_AL_MARK_ALL);
			al_model_release(&model);
		}
}

Test(meta_al, nothing_valid_is_unreadable)
{
	al_model_init(&model, 4, 16, 1237, 0);
	memset(model.ring, 0, 64 * MD_PAGE_BYTES);
	cr_assert_eq(al_model_replay(&model, &table), META_AL_UNREADABLE);
	al_model_release(&model);
}

Test(meta_al, a_write_that_never_reached_the_disk_is_noticed)
{
	uint8_t old[MD_PAGE_BYTES];

	al_model_init(&model, 1, 8, 6433, 100);
	write_many(30, 6433, 100);
	memcpy(old, al_model_block(&model, 126), MD_PAGE_BYTES);
	write_many(6, 6433, 1000);
	/* 134 was to replace 126. */
	memcpy(al_model_block(&model, 134), old, MD_PAGE_BYTES);
	cr_assert_eq(al_model_replay(&model, &table), META_AL_MARK_ALL);
	al_model_release(&model);
}

Test(meta_al, misplaced_block_counts_as_torn)
{
	al_model_init(&model, 1, 8, 67, 100);
	write_many(30, 67, 100);
	memcpy(al_model_block(&model, 124), al_model_block(&model, 129), MD_PAGE_BYTES);
	cr_assert_eq(al_model_replay(&model, &table), META_AL_REPLAYED);
	cr_assert_eq(table.torn_count, 1);
	expect_table(model.extent);
	al_model_release(&model);
}

Test(meta_al, a_table_that_grew_starts_with_free_slots)
{
	al_model_init(&model, 1, 8, 1237, 5);
	write_many(20, 1237, 100);
	model.slot_count = 6433;
	model.context_start = 0;
	write_many(2, 6433, 500);
	cr_assert_eq(al_model_replay(&model, &table), META_AL_REPLAYED);
	expect_table(model.extent);
	al_model_release(&model);
}

static int failing_read(void *ctx, uint32_t index, uint8_t block[static MD_PAGE_BYTES])
{
	(void)ctx;
	meta_al_encode_initialised(block);
	return index == 3 ? -EIO : 0;
}

Test(meta_al, read_errors_are_passed_on)
{
	struct meta_al_ring ring = { .stripes = 1, .stripe_4k = 8, .read = failing_read };
	enum meta_al_outcome outcome;

	cr_assert_eq(meta_al_replay(&ring, &table, &outcome), -EIO);
}

/* ---- the log in persistent memory (on-disk-metadata 8.9) ---- */

static uint8_t pmem_log[8 * MD_PAGE_BYTES];

static int read_pmem(void *ctx, uint32_t index, uint8_t block[static MD_PAGE_BYTES])
{
	(void)ctx;
	cr_assert_lt(index, 8);
	memcpy(block, pmem_log + index * MD_PAGE_BYTES, MD_PAGE_BYTES);
	return 0;
}

static enum meta_al_outcome replay_pmem(uint32_t extents)
{
	const struct meta_al_ring ring = { .stripes = 2, .stripe_4k = 4, .extent_count = extents,
					   .read = read_pmem };
	enum meta_al_outcome outcome;

	cr_assert_eq(meta_al_replay(&ring, &table, &outcome), 0);
	return outcome;
}

Test(meta_al, persistent_memory)
{
	memset(pmem_log, 0xff, sizeof(pmem_log));
	put_be32(pmem_log, 0x6aa667a6);
	put_be32(pmem_log + 4, 17);
	/* The array goes straight on over the blocks, striped or not. */
	put_be32(pmem_log + 4096, 18);
	put_be32(pmem_log + 4 * 8191, 19);
	cr_assert_eq(replay_pmem(8191), META_AL_REPLAYED);
	cr_assert_eq(table.slot_count, 8191);
	cr_assert_eq(table.extent[0], 17);
	cr_assert_eq(table.extent[1], AL_FREE);
	cr_assert_eq(table.extent[1023], 18);
	cr_assert_eq(table.extent[8190], 19);
	cr_assert_eq(replay_pmem(1023), META_AL_REPLAYED);
	cr_assert_eq(table.slot_count, 1023);
	cr_assert_eq(table.extent[1023], AL_FREE);
	cr_assert_eq(replay_pmem(8192), META_AL_MARK_ALL, "more slots than there is room");
	cr_assert_eq(replay_pmem(UINT32_MAX), META_AL_MARK_ALL);
	cr_assert_eq(replay_pmem(0), META_AL_REPLAYED);
	cr_assert_eq(table.slot_count, 0);
}

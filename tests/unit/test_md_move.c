/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Metadata of a store that has grown: moved, or refused; cut off after every write. */
#include <criterion/criterion.h>
#include <string.h>
#include <unistd.h>

#include "../lib/scratch.h"
#include "disk/md_store.h"
#include "meta/meta_al.h"
#include "meta/meta_bitmap.h"
#include "meta/meta_super.h"

#define MIB (UINT64_C(1) << 20)
#define SMALL (16 * MIB)
#define LARGE (SMALL + MIB)
#define START (SMALL - 128 * 1024U) /* all metadata lie behind it */
#define TAIL (LARGE - START)
#define EFFECTIVE 32000U

static const uint64_t changes_from = 0, changes_end = UINT64_MAX;
#include "md_changes.h"

static struct md_where where;

static struct md_store *opened(void)
{
	struct md_store *store = NULL;
	struct err err = ERR_INIT;

	cr_assert_eq(md_store_open(&where, 1, &store, &err), 0, "%s", err.text);
	return store;
}

static void load(struct md_store *store, struct md_loaded *loaded)
{
	struct err err = ERR_INIT;

	cr_assert_eq(md_store_load(store, loaded, &err), 0, "%s", err.text);
}

/* A Primary at work: a hot extent in the log, bits in every slot, one page on disk. */
static struct md_store *at_work(const struct md_where *at)
{
	struct al_transaction tr = { .number = 0, .context_size = 67, .update_count = 1 };
	uint8_t block[MD_PAGE_BYTES];
	struct err err = ERR_INIT;
	struct md_loaded loaded;
	struct md_store *store;

	where = *at;
	cr_assert_eq(md_store_create(&where, 3, false, NULL, &err), 0, "%s", err.text);
	store = opened();
	load(store, &loaded);
	loaded.super.current_uuid = 0x1234567812345678;
	loaded.super.effective_sectors = EFFECTIVE;
	loaded.super.flags = MDF_CONSISTENT | MDF_WAS_UP_TO_DATE | MDF_PRIMARY_IND;
	meta_super_encode(&loaded.super, block);
	cr_assert_eq(md_store_write_super(store, block), 0);
	for (unsigned i = 0; i < 3; i++)
		loaded.slot[i][i] = UINT64_C(0xf0f0) << i;
	meta_bitmap_page_encode(loaded.slot, loaded.words_per_slot, 3, 0, block);
	cr_assert_eq(md_store_write_bitmap_page(store, 0, block), 0);
	for (unsigned i = 0; i < AL_CONTEXT_MAX; i++)
		tr.context[i] = AL_FREE;
	tr.update_slot[0] = 5;
	tr.update_extent[0] = 2;
	meta_al_encode(&tr, block);
	cr_assert_eq(md_store_write_al(store, block), 0);
	return store;
}

static struct md_where internal(void)
{
	return (struct md_where){ .data_path = scratch_file("data", SMALL),
				  .place = MD_PLACE_INTERNAL };
}

static void measure(struct md_store *store, struct md_room *room)
{
	struct err err = ERR_INIT;

	cr_assert_eq(md_store_measure(store, room, &err), 0, "%s", err.text);
}

static void move(struct md_store *store)
{
	struct err err = ERR_INIT;

	cr_assert_eq(md_store_move(store, &err), 0, "%s", err.text);
}

/* All that was there, and the log has its say. */
static void check_found(void)
{
	struct md_store *store = opened();
	struct md_loaded loaded;

	load(store, &loaded);
	cr_assert_eq(loaded.super.current_uuid, 0x1234567812345678);
	cr_assert_eq(loaded.super.effective_sectors, EFFECTIVE);
	cr_assert(loaded.al_applied && !loaded.al_damaged);
	cr_assert_eq(loaded.al_extent_count, 1);
	for (unsigned i = 0; i < 3; i++) {
		cr_assert_eq(loaded.slot[i][i], UINT64_C(0xf0f0) << i);
		cr_assert_eq(loaded.slot[i][32], UINT64_MAX);
	}
	md_store_close(store);
}

TestSuite(md_move, .init = scratch_begin, .fini = scratch_end);

Test(md_move, a_store_of_the_same_size_has_the_same_room)
{
	struct md_where at = internal();
	struct md_store *store = at_work(&at);
	struct md_room room;

	forget_changes();
	measure(store, &room);
	cr_assert_eq(room.data_sectors, md_store_info(store)->data_sectors);
	cr_assert_eq(room.backing_sectors, SMALL / 512);
	cr_assert_not(room.meta_limits);
	move(store);
	cr_assert_eq(change_count, 0);
	md_store_close(store);
}

Test(md_move, internal_metadata_go_to_the_new_end)
{
	struct md_where at = internal();
	struct md_store *store = at_work(&at);
	uint64_t before = md_store_info(store)->data_sectors;
	uint8_t page[4096];
	struct md_room room;

	cr_assert_eq(truncate(where.data_path, (off_t)(40 * MIB)), 0);
	measure(store, &room);
	cr_assert_gt(room.data_sectors, 81000);
	cr_assert_eq(md_store_info(store)->data_sectors, before);
	move(store);
	cr_assert_eq(md_store_grow_slots(store), 0);
	cr_assert_eq(md_store_info(store)->data_sectors, room.data_sectors);
	cr_assert_eq(backing_data_sectors(md_store_backing(store)), room.data_sectors);
	cr_assert_geq(md_store_info(store)->words_per_slot * 64, room.data_sectors / 8);
	cr_assert_eq(md_store_slots(store)[1][1], UINT64_C(0xf0f0) << 1);
	/* Where the superblock was there is nothing that looks like one. */
	scratch_read(where.data_path, SMALL - 4096, page, sizeof(page));
	for (unsigned i = 0; i < sizeof(page); i++)
		cr_assert_eq(page[i], 0);
	md_store_close(store);
	check_found();
}

Test(md_move, too_little_more_is_refused)
{
	struct md_where at = internal();
	struct md_store *store = at_work(&at);
	struct err err = ERR_INIT;
	struct md_room room;

	cr_assert_eq(truncate(where.data_path, (off_t)(SMALL + 8192)), 0);
	forget_changes();
	cr_assert_eq(md_store_measure(store, &room, &err), -ENOSPC);
	cr_assert(strstr(err.text, "bytes larger"), "%s", err.text);
	cr_assert_eq(md_store_move(store, &err), -ENOSPC);
	cr_assert_eq(change_count, 0);
	cr_assert_eq(truncate(where.data_path, (off_t)SMALL), 0);
	md_store_close(store);
	check_found();
}

Test(md_move, a_store_that_has_shrunk_is_an_error)
{
	struct md_where at = internal();
	struct md_store *store = at_work(&at);
	struct err err = ERR_INIT;
	struct md_room room;

	cr_assert_eq(truncate(where.data_path, (off_t)(SMALL - 4096)), 0);
	cr_assert_eq(md_store_measure(store, &room, &err), -EIO);
	cr_assert(strstr(err.text, "smaller"), "%s", err.text);
	md_store_close(store);
}

Test(md_move, external_metadata_stay_and_may_be_too_small)
{
	struct md_where at = { .data_path = scratch_file("data", SMALL),
			       .place = MD_PLACE_EXTERNAL,
			       .meta_path = scratch_file("meta", 128 * 1024) };
	struct md_store *store = at_work(&at);
	struct md_room room;
	uint64_t first;

	/* 88 KiB of bitmap for three peers. */
	cr_assert_eq(truncate(where.data_path, (off_t)(4096 * MIB)), 0);
	measure(store, &room);
	cr_assert(room.meta_limits);
	cr_assert_lt(room.data_sectors, 4096 * MIB / 512);
	first = room.data_sectors;
	cr_assert_eq(truncate(where.meta_path, (off_t)MIB), 0);
	measure(store, &room);
	cr_assert_not(room.meta_limits);
	cr_assert_gt(room.data_sectors, first);
	move(store);
	cr_assert_eq(md_store_grow_slots(store), 0);
	cr_assert_eq(md_store_info(store)->data_sectors, 4096 * MIB / 512);
	md_store_close(store);
	check_found();
	store = opened();
	cr_assert_eq(md_store_info(store)->data_sectors, 4096 * MIB / 512);
	md_store_close(store);
}

static uint8_t before[TAIL], now[TAIL];

/* Found at the new place; or at the old one when the store gets its former size back. */
static void check_cut(void)
{
	struct md_store *store = NULL;
	struct err err = ERR_INIT;
	int rc;

	scratch_write(where.data_path, START, now, TAIL);
	rc = md_store_open(&where, 1, &store, &err);
	if (rc) {
		cr_assert_eq(rc, -ENODATA, "%s", err.text);
		cr_assert(strstr(err.text, "size of the store has changed"), "%s", err.text);
		cr_assert_eq(truncate(where.data_path, (off_t)SMALL), 0);
	} else {
		md_store_close(store);
	}
	check_found();
	cr_assert_eq(truncate(where.data_path, (off_t)LARGE), 0);
}

Test(md_move, a_power_cut_leaves_one_place_or_the_other)
{
	struct md_where at = internal();
	struct md_store *store = at_work(&at);
	static struct change made[CHANGES_MAX];
	unsigned count;
	struct prng rng;

	cr_assert_eq(truncate(where.data_path, (off_t)LARGE), 0);
	scratch_read(where.data_path, START, before, TAIL);
	forget_changes();
	move(store);
	count = change_count;
	memcpy(made, changes, sizeof(made));
	change_count = 0;
	md_store_close(store);
	cr_assert_geq(count, 4);
	prng_seed(&rng, 1);
	for (unsigned cut = 0; cut <= count; cut++) {
		for (unsigned variant = 0; variant < 8; variant++) {
			memcpy(now, before, TAIL);
			apply_changes(made, cut, variant, &rng, now, START, TAIL);
			check_cut();
			forget_changes();
		}
	}
	for (unsigned i = 0; i < count; i++)
		free(made[i].data);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* More bitmap slots for metadata in use: at each place, cut off after every write, refused. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../lib/scratch.h"
#include "disk/md_offline.h"
#include "disk/md_store.h"
#include "meta/meta_al.h"
#include "meta/meta_bitmap.h"
#include "meta/meta_relayout.h"
#include "meta/meta_super.h"

#define MIB (UINT64_C(1) << 20)
#define SMALL (256 * MIB)
#define META (256 * 1024U)
#define IMAGE_MAX (4 * MIB)
#define OLD_PEERS 2U

static const uint64_t changes_from = 0, changes_end = UINT64_MAX;
#include "md_changes.h"

static struct md_where where;
static uint64_t effective; /* sectors */

static struct md_where internal(uint64_t sectors)
{
	effective = sectors;
	return (struct md_where){ .data_path = scratch_file("data", SMALL),
				  .place = MD_PLACE_INTERNAL };
}

static struct md_where external(uint64_t meta_bytes)
{
	effective = SMALL / 512;
	return (struct md_where){ .data_path = scratch_file("data", SMALL),
				  .place = MD_PLACE_EXTERNAL,
				  .meta_path = scratch_file("meta", meta_bytes) };
}

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

static uint64_t word_of(unsigned slot, uint64_t i)
{
	return (i * UINT64_C(0x9e3779b97f4a7c15) >> (slot + 3)) & ~UINT64_C(0xff);
}

static void write_pages(struct md_store *store, struct md_loaded *loaded)
{
	uint64_t bits = effective / 8;
	uint8_t block[MD_PAGE_BYTES];

	for (unsigned s = 0; s < OLD_PEERS; s++) {
		for (uint64_t i = 0; i < bits / 64; i++)
			loaded->slot[s][i] = word_of(s, i);
	}
	for (uint64_t page = 0; page < meta_bitmap_pages(bits, OLD_PEERS); page++) {
		meta_bitmap_page_encode(loaded->slot, loaded->words_per_slot, OLD_PEERS, page,
					block);
		cr_assert_eq(md_store_write_bitmap_page(store, page, block), 0);
	}
	cr_assert_eq(md_store_flush(store), 0);
}

/* A Primary at work: bits everywhere, both slots taken, a hot extent in the log. */
static struct md_store *at_work(struct md_where at)
{
	struct al_transaction tr = { .number = 0, .context_size = 67, .update_count = 1 };
	uint8_t block[MD_PAGE_BYTES];
	struct err err = ERR_INIT;
	struct md_loaded loaded;
	struct md_store *store;

	where = at;
	cr_assert_eq(md_store_create(&where, OLD_PEERS, false, NULL, &err), 0, "%s", err.text);
	store = opened();
	if (effective > md_store_info(store)->data_sectors)
		effective = md_store_info(store)->data_sectors;
	effective = effective / 512 * 512;
	load(store, &loaded);
	loaded.super.current_uuid = 0x1234567812345678;
	loaded.super.effective_sectors = effective;
	loaded.super.flags = MDF_CONSISTENT | MDF_WAS_UP_TO_DATE | MDF_PRIMARY_IND;
	loaded.super.peers[0].bitmap_index = 1;
	loaded.super.peers[2].bitmap_index = 0;
	loaded.super.peers[2].flags = MDF_PEER_CONNECTED;
	loaded.super.peers[0].flags = MDF_PEER_FULL_SYNC;
	meta_super_encode(&loaded.super, block);
	cr_assert_eq(md_store_write_super(store, block), 0);
	write_pages(store, &loaded);
	for (unsigned i = 0; i < AL_CONTEXT_MAX; i++)
		tr.context[i] = AL_FREE;
	tr.update_slot[0] = 5;
	tr.update_extent[0] = 2;
	meta_al_encode(&tr, block);
	cr_assert_eq(md_store_write_al(store, block), 0);
	return store;
}

/* All that was there, the log has its say, and what is new knows nothing of any peer. */
static void check_bitmap(const struct md_loaded *loaded, unsigned peers)
{
	cr_assert_eq(loaded->super.max_peers, peers);
	cr_assert_eq(loaded->super.current_uuid, 0x1234567812345678);
	cr_assert_eq(loaded->super.effective_sectors, effective);
	cr_assert_eq(loaded->super.peers[0].bitmap_index, 1);
	cr_assert_eq(loaded->super.peers[0].flags, MDF_PEER_FULL_SYNC);
	cr_assert_eq(loaded->super.peers[2].flags, MDF_PEER_CONNECTED);
	cr_assert(loaded->al_applied && !loaded->al_damaged);
	cr_assert_eq(loaded->al_extent_count, 1);
	for (uint64_t i = 0; i < loaded->words_per_slot; i++) {
		bool there = i < effective / 512, hot = i >= 32 && i < 48;

		for (unsigned s = 0; s < peers; s++) {
			uint64_t word = !there ? 0 : hot || s >= OLD_PEERS ? UINT64_MAX :
					word_of(s, i);

			cr_assert_eq(loaded->slot[s][i], word, "slot %u word %u of %u", s,
				     (unsigned)i, (unsigned)loaded->words_per_slot);
		}
	}
}

static unsigned check_found(void)
{
	struct md_store *store = opened();
	struct md_loaded loaded;
	unsigned peers;

	load(store, &loaded);
	peers = loaded.super.max_peers;
	check_bitmap(&loaded, peers);
	md_store_close(store);
	return peers;
}

static void widen(struct md_store *store, unsigned peers)
{
	struct err err = ERR_INIT;

	cr_assert_eq(md_store_widen_bitmap(store, peers, effective, &err), 0, "%s", err.text);
	cr_assert_eq(md_store_grow_slots(store), 0);
	cr_assert_eq(md_store_info(store)->max_peers, peers);
	cr_assert_geq(md_store_info(store)->data_sectors, effective);
	cr_assert_eq(md_store_slots(store)[0][1], word_of(0, 1));
	cr_assert_eq(md_store_slots(store)[peers - 1][1], 0);
}

TestSuite(md_slots, .init = scratch_begin, .fini = scratch_end);

Test(md_slots, in_front_of_the_old_bitmap)
{
	struct md_store *store = at_work(internal(SMALL / 2048));

	widen(store, 5);
	md_store_close(store);
	cr_assert_eq(check_found(), 5);
}

Test(md_slots, over_the_old_bitmap_by_way_of_a_copy)
{
	struct md_store *store = at_work(internal((SMALL - 128 * 1024U) / 512));
	uint8_t page[4096], zero[4096] = { 0 };
	uint64_t room;

	widen(store, 3);
	room = md_store_info(store)->data_sectors * 512;
	md_store_close(store);
	cr_assert_eq(check_found(), 3);
	for (uint64_t at = effective * 512; at < room; at += sizeof(page)) {
		scratch_read(where.data_path, at, page, sizeof(page));
		cr_assert_arr_eq(page, zero, sizeof(page));
	}
}

Test(md_slots, at_the_new_end_of_a_larger_store)
{
	struct md_store *store = at_work(internal(SMALL / 512));

	cr_assert_eq(truncate(where.data_path, (off_t)(SMALL + MIB)), 0);
	widen(store, 31);
	md_store_close(store);
	cr_assert_eq(check_found(), 31);
}

Test(md_slots, in_a_store_of_their_own)
{
	struct md_store *store = at_work(external(META));

	widen(store, 4);
	widen(store, 7);
	md_store_close(store);
	cr_assert_eq(check_found(), 7);
}

Test(md_slots, what_is_written_afterwards_has_the_new_form)
{
	struct md_store *store = at_work(external(META));
	struct md_super super = *md_store_super(store);
	uint8_t block[MD_PAGE_BYTES];

	widen(store, 6);
	/* On its way when it was still another one. */
	super.peers[2].flags = MDF_PEER_CONNECTED;
	meta_super_encode(&super, block);
	cr_assert_eq(md_store_write_super(store, block), 0);
	md_store_close(store);
	cr_assert_eq(check_found(), 6);
}

Test(md_slots, without_room_nothing_changes)
{
	struct md_store *store = at_work(internal(SMALL / 512));
	struct err err = ERR_INIT;

	forget_changes();
	cr_assert_eq(md_store_widen_bitmap(store, 31, effective, &err), -ENOSPC);
	cr_assert(strstr(err.text, "make it 2 MiB larger"), "%s", err.text);
	cr_assert(strstr(err.text, "shrink the volume"), "%s", err.text);
	cr_assert_eq(change_count, 0);
	md_store_close(store);
	cr_assert_eq(check_found(), OLD_PEERS);
}

Test(md_slots, the_advice_is_enough)
{
	struct md_store *store = at_work(internal(SMALL / 512));
	struct err err = ERR_INIT;
	unsigned long long kib;

	cr_assert_eq(md_store_widen_bitmap(store, 20, effective, &err), -ENOSPC);
	cr_assert_eq(sscanf(strstr(err.text, "make it"), "make it %llu MiB",
			    &kib), 1);
	cr_assert_eq(truncate(where.data_path, (off_t)(SMALL + kib * MIB)), 0);
	widen(store, 20);
	md_store_close(store);
	cr_assert_eq(check_found(), 20);
	store = at_work(internal(SMALL / 512));
	cr_assert_eq(md_store_widen_bitmap(store, 20, effective, &err), -ENOSPC);
	cr_assert_eq(sscanf(strstr(err.text, "(drbdctl resize) to"), "(drbdctl resize) to %llu KiB",
			    &kib), 1);
	md_store_close(store);
	store = at_work(internal(kib * 2));
	widen(store, 20);
	md_store_close(store);
}

Test(md_slots, a_store_of_their_own_may_be_too_small)
{
	struct md_store *store = at_work(external(72 * 1024));
	struct err err = ERR_INIT;
	unsigned long long kib;

	cr_assert_eq(md_store_widen_bitmap(store, 5, effective, &err), -ENOSPC);
	cr_assert_eq(sscanf(strstr(err.text, "make it"), "make it %llu KiB",
			    &kib), 1, "%s", err.text);
	cr_assert_eq(truncate(where.meta_path, (off_t)(kib * 1024)), 0);
	widen(store, 5);
	md_store_close(store);
	cr_assert_eq(check_found(), 5);
}

Test(md_slots, there_are_no_more_than_31)
{
	struct md_store *store = at_work(external(META));
	struct err err = ERR_INIT;

	cr_assert_eq(md_store_widen_bitmap(store, 32, effective, &err), -EINVAL);
	cr_assert(strstr(err.text, "but 31"), "%s", err.text);
	md_store_close(store);
}

Test(md_slots, what_was_never_used_is_left_alone)
{
	struct md_store *store;
	struct err err = ERR_INIT;

	where = internal(0);
	cr_assert_eq(md_store_create(&where, OLD_PEERS, false, NULL, &err), 0);
	store = opened();
	forget_changes();
	cr_assert_eq(md_store_reserve(store, 0x1c, &err), -ENOSPC);
	cr_assert(strstr(err.text, "create them again"), "%s", err.text);
	cr_assert_eq(change_count, 0);
	md_store_close(store);
}

Test(md_slots, an_attach_makes_as_many_as_it_needs)
{
	struct md_store *store = at_work(external(META));
	struct err err = ERR_INIT;
	struct md_loaded loaded;

	md_store_close(store);
	store = opened();
	/* Two of them have one. */
	cr_assert_eq(md_store_reserve(store, 0x1d, &err), 0, "%s", err.text);
	cr_assert_eq(md_store_info(store)->max_peers, 4);
	load(store, &loaded);
	check_bitmap(&loaded, 4);
	md_store_close(store);
}

/* ---- cuts ---- */

static uint8_t before[IMAGE_MAX], now[IMAGE_MAX];

/* `bytes` of the metadata store from `start` on are all that the metadata lie in. */
static void cut_everywhere(struct md_store *store, const char *path, uint64_t start, size_t bytes,
			   unsigned peers)
{
	static struct change made[CHANGES_MAX];
	unsigned count, found[2] = { 0, 0 };
	struct err err = ERR_INIT;
	struct prng rng;

	cr_assert_leq(bytes, IMAGE_MAX);
	scratch_read(path, start, before, bytes);
	forget_changes();
	cr_assert_eq(md_store_widen_bitmap(store, peers, effective, &err), 0, "%s", err.text);
	count = change_count;
	memcpy(made, changes, sizeof(made));
	change_count = 0;
	md_store_close(store);
	prng_seed(&rng, 1);
	for (unsigned cut = 0; cut <= count; cut++) {
		for (unsigned variant = 0; variant < 8; variant++) {
			memcpy(now, before, bytes);
			apply_changes(made, cut, variant, &rng, now, start, bytes);
			scratch_write(path, start, now, bytes);
			found[check_found() == peers]++;
			forget_changes();
		}
	}
	cr_assert(found[0] && found[1]);
	for (unsigned i = 0; i < count; i++)
		free(made[i].data);
}

Test(md_slots, a_power_cut_leaves_the_old_ones_or_the_new_ones)
{
	struct md_store *store = at_work(internal((SMALL - 128 * 1024U) / 512));

	cut_everywhere(store, where.data_path, SMALL - IMAGE_MAX, IMAGE_MAX, 4);
	store = at_work(internal(SMALL / 2048));
	cut_everywhere(store, where.data_path, SMALL - IMAGE_MAX, IMAGE_MAX, 4);
	store = at_work(external(META));
	cut_everywhere(store, where.meta_path, 0, META, 6);
}

/* The write that ended it is cut, and the next one is cut, too. */
Test(md_slots, a_power_cut_while_a_cut_is_mended)
{
	struct md_store *store = at_work(external(META));
	static uint8_t half[META];
	struct meta_relayout note;
	struct err err = ERR_INIT;
	struct prng rng;
	unsigned noted = 0;

	scratch_read(where.meta_path, 0, before, META);
	forget_changes();
	cr_assert_eq(md_store_widen_bitmap(store, 5, effective, &err), 0, "%s", err.text);
	memcpy(now, before, META);
	for (unsigned i = 0; i < change_count; i++) {
		struct md_super super;

		memcpy(now + changes[i].byte, changes[i].data, changes[i].bytes);
		cr_assert_eq(meta_super_decode(now, &super), META_OK);
		if (super.max_peers == 5 && meta_relayout_decode(now, &super, &note)) {
			memcpy(half, now, META);
			noted++;
		}
	}
	cr_assert_geq(noted, 2);
	md_store_close(store);
	prng_seed(&rng, 1);
	for (unsigned cut = 0; cut < 4; cut++) {
		static struct change made[CHANGES_MAX];
		unsigned count;

		/* Half of the bitmap is where it belongs. */
		memset(half + 40960, 0x55, 8192);
		scratch_write(where.meta_path, 0, half, META);
		forget_changes();
		md_store_close(opened());
		count = change_count < 4 ? change_count : 4;
		memcpy(made, changes, sizeof(made));
		change_count = 0;
		memcpy(now, half, META);
		apply_changes(made, cut < count ? cut : count, true, &rng, now, 0, META);
		scratch_write(where.meta_path, 0, now, META);
		cr_assert_eq(check_found(), 5);
	}
}

/* By somebody who does not know of the note, and who may have changed the bitmap where it is. */
Test(md_slots, a_note_counts_only_with_the_superblock_it_was_written_with)
{
	struct md_super super = { .bm_bytes_per_bit = 4096, .max_peers = 3, .al_stripes = 1,
				  .al_stripe_4k = 8 };
	struct meta_relayout note = { .copy_byte = 8192, .pages = 5, .max_peers = 7 }, found;
	uint8_t block[MD_PAGE_BYTES];

	meta_super_encode(&super, block);
	cr_assert_not(meta_relayout_decode(block, &super, &found));
	meta_relayout_encode(&note, &super, block);
	cr_assert(meta_relayout_decode(block, &super, &found));
	cr_assert_eq(found.pages, 5);
	super.max_peers = 7;
	super.bm_offset_sectors = 16;
	cr_assert(meta_relayout_decode(block, &super, &found));
	super.flags |= MDF_AL_CLEAN;
	cr_assert_not(meta_relayout_decode(block, &super, &found));
}

/* The image of a cut in the middle of overwriting; where its superblock is, in it. */
static uint8_t *cut_with_note(const char *path, uint64_t start, size_t bytes, unsigned peers,
			      struct md_super *super, struct meta_relayout *note)
{
	struct md_store *store = opened();
	struct err err = ERR_INIT;
	uint8_t *found = NULL;

	scratch_read(path, start, now, bytes);
	forget_changes();
	cr_assert_eq(md_store_widen_bitmap(store, peers, effective, &err), 0, "%s", err.text);
	md_store_close(store);
	for (unsigned i = 0; i < change_count && !found; i++) {
		uint8_t *block = now + (changes[i].byte - start);

		memcpy(block, changes[i].data, changes[i].bytes);
		if (changes[i].bytes == MD_PAGE_BYTES &&
		    meta_super_decode(block, super) == META_OK && super->max_peers == peers &&
		    meta_relayout_decode(block, super, note))
			found = block;
	}
	cr_assert(found);
	return found;
}

/* Nobody makes such a note; but what follows one overwrites the bitmap, and what lies there. */
static void refuse_notes(const char *path, uint64_t start, size_t bytes, unsigned peers,
			 const struct meta_relayout *bad, unsigned count)
{
	struct md_store *store = NULL;
	struct meta_relayout note;
	struct md_super super;
	uint8_t *block = cut_with_note(path, start, bytes, peers, &super, &note);

	for (unsigned i = 0; i < count; i++) {
		struct err err = ERR_INIT;

		note.copy_byte = bad[i].copy_byte;
		note.pages = bad[i].pages ? bad[i].pages : note.pages;
		meta_relayout_encode(&note, &super, block);
		scratch_write(path, start, now, bytes);
		forget_changes();
		cr_assert_eq(md_store_open(&where, 1, &store, &err), -EBADMSG, "note %u", i);
		cr_assert_null(store);
		cr_assert(strstr(err.text, path) && strstr(err.text, "the copy of their bitmap") &&
			  strstr(err.text, "restore its size or its metadata"), "%s", err.text);
		cr_assert_eq(change_count, 0, "note %u", i);
		scratch_read(path, start, before, bytes);
		cr_assert_arr_eq(before, now, bytes, "note %u", i);
	}
}

Test(md_slots, a_note_that_points_elsewhere_is_not_followed)
{
	static const struct meta_relayout outside[] = {
		{ .copy_byte = META },
		{ .copy_byte = META - MD_PAGE_BYTES, .pages = 2 },
		{ .copy_byte = UINT64_MAX - MD_PAGE_BYTES + 1, .pages = 1 },
		{ .copy_byte = META - MD_PAGE_BYTES, .pages = UINT64_MAX / MD_PAGE_BYTES + 2 },
		{ .copy_byte = META / 2 + 512, .pages = 1 },
		/* The superblock, and more than the bitmap has room for. */
		{ .copy_byte = 0, .pages = 1 },
		{ .copy_byte = META / 2, .pages = META / 2 / MD_PAGE_BYTES },
	}, inside[] = {
		{ .copy_byte = SMALL },
		/* What is agreed to be data, and the metadata themselves. */
		{ .copy_byte = 0, .pages = 1 },
		{ .copy_byte = SMALL - MD_PAGE_BYTES, .pages = 1 },
	};

	md_store_close(at_work(external(META)));
	refuse_notes(where.meta_path, 0, META, 5, outside, sizeof(outside) / sizeof(*outside));
	md_store_close(at_work(internal((SMALL - 128 * 1024U) / 512)));
	refuse_notes(where.data_path, SMALL - IMAGE_MAX, IMAGE_MAX, 4, inside,
		     sizeof(inside) / sizeof(*inside));
}

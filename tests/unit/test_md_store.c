/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Metadata store on real files: create, open, refuse, load, write, external and indexed places. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../lib/scratch.h"
#include "base/bytes.h"
#include "disk/md_offline.h"
#include "meta/meta_al.h"
#include "meta/meta_bitmap.h"
#include "meta/meta_super.h"

#define MIB (UINT64_C(1) << 20)
#define DISK (16 * MIB)
#define SUPER_AT (DISK - 4096)

static struct md_where internal(const char *path)
{
	return (struct md_where){ .data_path = path, .place = MD_PLACE_INTERNAL };
}

static const char *created(unsigned max_peers)
{
	const char *path = scratch_file("store", DISK);
	struct md_where where = internal(path);
	struct err err = ERR_INIT;
	uint64_t sectors;

	cr_assert_eq(md_store_create(&where, max_peers, false, &sectors, &err), 0, "%s", err.text);
	cr_assert_gt(sectors, 0U);
	return path;
}

static struct md_store *opened(const char *path, uint8_t node_id)
{
	struct md_where where = internal(path);
	struct md_store *store = NULL;
	struct err err = ERR_INIT;

	cr_assert_eq(md_store_open(&where, node_id, &store, &err), 0, "%s", err.text);
	return store;
}

static void refused(const char *path, int rc, const char *word)
{
	struct md_where where = internal(path);
	struct md_store *store = NULL;
	struct err err = ERR_INIT;

	cr_assert_eq(md_store_open(&where, 1, &store, &err), rc, "%s", err.text);
	cr_assert(strstr(err.text, word) && strstr(err.text, path), "%s", err.text);
	cr_assert_null(store);
}

static void create_refused(const struct md_where *where, int rc, const char *word)
{
	struct err err = ERR_INIT;

	cr_assert_eq(md_store_create(where, 3, false, NULL, &err), rc, "%s", err.text);
	cr_assert(strstr(err.text, word), "%s", err.text);
}

static void put_magic(const char *path, uint64_t byte, uint32_t magic)
{
	uint8_t b[4];

	put_be32(b, magic);
	scratch_write(path, byte, b, sizeof(b));
}

static void load_ok(struct md_store *store, struct md_loaded *loaded)
{
	struct err err = ERR_INIT;

	cr_assert_eq(md_store_load(store, loaded, &err), 0, "%s", err.text);
}

static uint64_t count_bits(const struct md_loaded *loaded, unsigned slot)
{
	uint64_t count = 0;

	for (uint64_t i = 0; i < loaded->words_per_slot; i++)
		count += (uint64_t)__builtin_popcountll(loaded->slot[slot][i]);
	return count;
}

static void set_super(const char *path, void (*change)(struct md_super *))
{
	uint8_t block[MD_PAGE_BYTES];
	struct md_super super;

	scratch_read(path, SUPER_AT, block, sizeof(block));
	cr_assert_eq(meta_super_decode(block, &super), META_OK);
	change(&super);
	meta_super_encode(&super, block);
	scratch_write(path, SUPER_AT, block, sizeof(block));
}

TestSuite(md_store, .init = scratch_begin, .fini = scratch_end);

Test(md_store, fresh_metadata)
{
	const char *path = created(7);
	struct md_store *store = opened(path, 5);
	const struct md_store_info *info = md_store_info(store);
	struct md_loaded loaded;

	cr_assert_eq(info->max_peers, 7);
	cr_assert_eq(info->ring_blocks, 8);
	cr_assert_eq(info->backing_sectors, DISK / 512);
	cr_assert_eq(info->data_sectors, 32768 - 8 - 64 - 8);
	cr_assert_eq(info->words_per_slot % 512, 0);
	cr_assert_eq(backing_data_sectors(md_store_backing(store)), info->data_sectors);
	load_ok(store, &loaded);
	cr_assert_not(loaded.al_applied);
	cr_assert_eq(loaded.super.node_id, 5);
	cr_assert_eq(loaded.super.al_nr_extents, 257);
	cr_assert_eq(loaded.super.current_uuid, UUID_JUST_CREATED);
	cr_assert_eq(loaded.super.flags, MDF_AL_CLEAN);
	cr_assert_neq(loaded.super.device_uuid, 0);
	for (unsigned i = 0; i < NODES_MAX; i++) {
		cr_assert_eq(loaded.slot[i] != NULL, i < 7);
		cr_assert_eq(loaded.super.peers[i].bitmap_index, -1);
		if (i < 7)
			cr_assert_eq(count_bits(&loaded, i), 0);
	}
	md_store_close(store);
}

Test(md_store, device_uuids_differ)
{
	uint8_t a[8], b[8];

	scratch_read(created(1), SUPER_AT + 48, a, 8);
	scratch_read(created(1), SUPER_AT + 48, b, 8);
	cr_assert_neq(get_be64(a), get_be64(b));
}

Test(md_store, what_cannot_be_opened)
{
	static const uint8_t noise[4096] = { 1, 2, 3 };
	const char *path = scratch_file("store", DISK);
	uint8_t magic[4];

	refused(path, -ENODATA, "create-md");
	scratch_write(path, SUPER_AT, noise, sizeof(noise));
	refused(path, -ENODATA, "create-md");
	put_be32(magic, 0x8374026b);
	scratch_write(path, SUPER_AT + 60, magic, 4);
	refused(path, -EMEDIUMTYPE, "v08");
	put_be32(magic, 0x8374026c);
	scratch_write(path, SUPER_AT + 60, magic, 4);
	refused(path, -EMEDIUMTYPE, "--from-v08");
	path = scratch_file("tiny", 4096);
	refused(path, -ENODATA, "too small");
	path = scratch_file("empty", 0);
	refused(path, -ENODATA, "too small");
	path = created(3);
	cr_assert_eq(truncate(path, (off_t)DISK - 512), 0);
	refused(path, -ENODATA, "size");
	put_be32(magic, 99);
	path = created(3);
	scratch_write(path, SUPER_AT + 88, magic, 4);
	refused(path, -EBADMSG, "slots");
	path = created(3);
	put_be32(magic, (uint32_t)-8);
	scratch_write(path, SUPER_AT + 76, magic, 4);
	refused(path, -EBADMSG, "offsets");
}

static void belongs_to_2(struct md_super *s) { s->node_id = 2; }
static void own_slot(struct md_super *s) { s->peers[1].bitmap_index = 0; }
static void coarse_bits(struct md_super *s) { s->bm_bytes_per_bit = 65536; }
static void agreed_more(struct md_super *s)
{
	s->effective_sectors = 32768;
	s->flags |= MDF_CONSISTENT;
}

Test(md_store, what_belongs_to_somebody_else)
{
	static const struct {
		void (*change)(struct md_super *);
		int rc;
		const char *word;
	} cases[] = { { belongs_to_2, -EREMCHG, "node id 2" },
		      { own_slot, -EBADMSG, "own id" },
		      { coarse_bits, -EBADMSG, "bytes per bitmap bit" },
		      { agreed_more, -EFBIG, "too small" } };

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *path = created(3);

		set_super(path, cases[i].change);
		refused(path, cases[i].rc, cases[i].word);
	}
}

Test(md_store, in_use)
{
	const char *path = created(3);
	struct md_store *store = opened(path, 1), *second = NULL;
	struct md_where where = internal(path);
	struct md_view view;
	struct err err = ERR_INIT;

	refused(path, -EBUSY, "in use");
	create_refused(&where, -EBUSY, "in use");
	cr_assert_eq(md_store_create(&where, 3, true, NULL, &err), -EBUSY);
	cr_assert_eq(md_offline_open(&where, false, &second, &view, &err), -EBUSY);
	md_store_close(store);
	cr_assert_eq(md_offline_open(&where, false, &second, &view, &err), 0, "%s", err.text);
	cr_assert_eq(view.super_byte, SUPER_AT);
	md_store_close(second);
}

Test(md_store, create_keeps_off_what_is_there)
{
	static const struct {
		const char *word;
		uint64_t at;
		const char *bytes;
		unsigned count;
	} cases[] = {
		{ "LUKS", 0, "LUKS\xba\xbe", 6 },
		{ "unknown data", DISK - 10, "x", 1 },
		{ "unknown data", DISK - 4096 - 32768 - 4096, "x", 1 },
		{ "Linux RAID", 4096, "\xfc\x4e\x2b\xa9", 4 },
		{ "v09", SUPER_AT + 60, "\x83\x74\x02\x6d", 4 },
		{ "v08", SUPER_AT + 60, "\x83\x74\x02\x6b", 4 },
		{ "v07", SUPER_AT + 28, "\x83\x74\x02\x6a", 4 },
	};
	struct err err = ERR_INIT;

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *path = scratch_file("store", DISK);
		struct md_where where = internal(path);

		scratch_write(path, cases[i].at, cases[i].bytes, cases[i].count);
		create_refused(&where, -EEXIST, cases[i].word);
		cr_assert_eq(md_store_create(&where, 3, true, NULL, &err), 0, "%s", err.text);
		md_store_close(opened(path, 0));
	}
}

Test(md_store, create_needs_room_and_a_sane_peer_count)
{
	struct md_where where = internal(scratch_file("store", 64 * 1024));
	struct err err = ERR_INIT;

	create_refused(&where, -ENOSPC, "no room");
	where = internal(scratch_file("store", DISK));
	cr_assert_eq(md_store_create(&where, 0, true, NULL, &err), -EINVAL);
	cr_assert_eq(md_store_create(&where, 32, true, NULL, &err), -EINVAL);
	cr_assert_eq(md_store_create(&where, 31, false, NULL, &err), 0, "%s", err.text);
}

static void unclean_primary(struct md_super *s)
{
	s->flags = MDF_CONSISTENT | MDF_WAS_UP_TO_DATE | MDF_PRIMARY_IND | MDF_CRASHED_PRIMARY;
	s->effective_sectors = 32000;
	s->node_id = 1;
}

static void unclean_secondary(struct md_super *s)
{
	unclean_primary(s);
	s->flags = MDF_CONSISTENT;
}

/* A transaction that makes extents 1 and 3 hot. */
static void write_transaction(const char *path, uint32_t number)
{
	struct al_transaction tr = { .number = number, .update_count = 2, .context_size = 67 };
	uint8_t block[MD_PAGE_BYTES];

	memset(tr.context, 0xff, sizeof(tr.context));
	tr.update_slot[1] = 5;
	tr.update_extent[0] = 1;
	tr.update_extent[1] = 3;
	meta_al_encode(&tr, block);
	scratch_write(path, SUPER_AT - 32768 + number % 8 * 4096, block, sizeof(block));
}

static void expect_clean_disk(const char *path)
{
	uint8_t block[MD_PAGE_BYTES], fresh[MD_PAGE_BYTES];
	struct md_super super;

	scratch_read(path, SUPER_AT, block, sizeof(block));
	cr_assert_eq(meta_super_decode(block, &super), META_OK);
	cr_assert(super.flags & MDF_AL_CLEAN);
	meta_al_encode_initialised(fresh);
	for (unsigned i = 0; i < 8; i++) {
		scratch_read(path, SUPER_AT - 32768 + i * 4096, block, sizeof(block));
		cr_assert_arr_eq(block, fresh, sizeof(block));
	}
}

Test(md_store, log_of_a_crashed_primary_is_applied_to_every_slot)
{
	const char *path = created(3);
	struct md_loaded loaded;
	struct md_store *store;

	set_super(path, unclean_primary);
	write_transaction(path, 0);
	for (unsigned round = 0; round < 2; round++) {
		store = opened(path, 1);
		load_ok(store, &loaded);
		cr_assert_eq(loaded.al_applied, round == 0);
		cr_assert_not(loaded.al_damaged);
		cr_assert_eq(loaded.super.flags, MDF_CONSISTENT | MDF_WAS_UP_TO_DATE |
							 MDF_PRIMARY_IND | MDF_CRASHED_PRIMARY |
							 MDF_AL_CLEAN);
		for (unsigned slot = 0; slot < 3; slot++) {
			/* 4000 bits in all: extent 1 whole, extent 3 up to the agreed size. */
			cr_assert_eq(count_bits(&loaded, slot), 1024 + 4000 - 3 * 1024);
			cr_assert_eq(loaded.slot[slot][15], 0);
			cr_assert_eq(loaded.slot[slot][16], UINT64_MAX);
		}
		md_store_close(store);
		expect_clean_disk(path);
	}
}

Test(md_store, log_of_a_secondary_alone_is_only_renewed)
{
	const char *path = created(3);
	struct md_loaded loaded;
	struct md_store *store;

	set_super(path, unclean_secondary);
	write_transaction(path, 0);
	store = opened(path, 1);
	load_ok(store, &loaded);
	cr_assert(loaded.al_applied);
	cr_assert_eq(loaded.al_extent_count, 0);
	cr_assert_eq(count_bits(&loaded, 0), 0);
	md_store_close(store);
	expect_clean_disk(path);
}

Test(md_store, damaged_log_marks_everything)
{
	static const uint8_t noise[8192] = { 9 };
	const char *path = created(3);
	struct md_loaded loaded;
	struct md_store *store;

	set_super(path, unclean_primary);
	write_transaction(path, 0);
	scratch_write(path, SUPER_AT - 32768 + 4096, noise, sizeof(noise));
	store = opened(path, 1);
	load_ok(store, &loaded);
	cr_assert(loaded.al_damaged);
	for (unsigned slot = 0; slot < 3; slot++)
		cr_assert_eq(count_bits(&loaded, slot), 4000);
	md_store_close(store);
	expect_clean_disk(path);
}

Test(md_store, unreadable_log_is_refused_and_left_alone)
{
	static const uint8_t noise[32768] = { 9 };
	static uint8_t before[DISK], after[DISK];
	const char *path = created(3);
	struct err err = ERR_INIT;
	struct md_loaded loaded;
	struct md_store *store;

	set_super(path, unclean_primary);
	scratch_write(path, SUPER_AT - 32768, noise, sizeof(noise));
	scratch_read(path, 0, before, sizeof(before));
	store = opened(path, 1);
	cr_assert_eq(md_store_load(store, &loaded, &err), -EBADMSG);
	cr_assert(strstr(err.text, "activity log"), "%s", err.text);
	md_store_close(store);
	scratch_read(path, 0, after, sizeof(after));
	cr_assert_arr_eq(before, after, sizeof(after));
}

static void agreed_32000(struct md_super *s) { s->effective_sectors = 32000; }

Test(md_store, bits_beyond_the_agreed_size_are_not_read)
{
	const char *path = created(1);
	uint8_t page[MD_PAGE_BYTES];
	struct md_loaded loaded;
	struct md_store *store;

	memset(page, 0xff, sizeof(page));
	scratch_write(path, SUPER_AT - 32768 - 4096, page, sizeof(page));
	store = opened(path, 1);
	load_ok(store, &loaded);
	cr_assert_eq(count_bits(&loaded, 0), (32768 - 80) / 8,
		     "all of the data area while nothing is agreed");
	md_store_close(store);
	set_super(path, agreed_32000);
	store = opened(path, 1);
	load_ok(store, &loaded);
	cr_assert_eq(count_bits(&loaded, 0), 4000);
	md_store_close(store);
}

Test(md_store, run_time_writes)
{
	static uint8_t data[DISK];
	const char *path = created(3);
	struct al_transaction tr = { .number = 13, .context_size = 67 };
	uint8_t block[MD_PAGE_BYTES], back[MD_PAGE_BYTES];
	struct md_loaded loaded;
	struct md_store *store;
	struct md_super bad;

	memset(data, 0x77, 32688 * 512);
	scratch_write(path, 0, data, 32688 * 512);
	store = opened(path, 1);
	load_ok(store, &loaded);

	loaded.super.current_uuid = UINT64_C(0x1234567890abcdef);
	loaded.super.flags = MDF_CONSISTENT;
	meta_super_encode(&loaded.super, block);
	cr_assert_eq(md_store_write_super(store, block), 0);
	scratch_read(path, SUPER_AT, back, sizeof(back));
	cr_assert_arr_eq(back, block, sizeof(back));

	meta_al_encode(&tr, block);
	cr_assert_eq(md_store_write_al(store, block), 0);
	scratch_read(path, SUPER_AT - 32768 + 5 * 4096, back, sizeof(back));
	cr_assert_arr_eq(back, block, sizeof(back));

	loaded.slot[2][0] = 1;
	meta_bitmap_page_encode(loaded.slot, loaded.words_per_slot, 3, 0, block);
	cr_assert_eq(md_store_write_bitmap_page(store, 0, block), 0);
	cr_assert_eq(md_store_flush(store), 0);
	scratch_read(path, SUPER_AT - 32768 - 4096, back, sizeof(back));
	cr_assert_eq(back[8], 1);

	/* Nothing that does not belong here. */
	cr_assert_eq(md_store_write_bitmap_page(store, md_store_info(store)->bitmap_pages, block),
		     -EINVAL);
	cr_assert_eq(md_store_write_bitmap_page(store, UINT64_MAX, block), -EINVAL);
	cr_assert_eq(md_store_write_al(store, block), -EINVAL);
	cr_assert_eq(md_store_write_super(store, block), -EINVAL);
	for (unsigned i = 0; i < 4; i++) {
		bad = loaded.super;
		bad.node_id += i == 0;
		bad.max_peers -= i == 1;
		bad.bm_bytes_per_bit *= i == 2 ? 2 : 1;
		bad.al_stripe_4k *= i == 3 ? 2 : 1;
		meta_super_encode(&bad, block);
		cr_assert_eq(md_store_write_super(store, block), -EINVAL, "%u", i);
	}
	/* Where things lie is the store's to know. */
	bad = loaded.super;
	bad.bm_offset_sectors -= 8;
	meta_super_encode(&bad, block);
	cr_assert_eq(md_store_write_super(store, block), 0);
	scratch_read(path, SUPER_AT, back, sizeof(back));
	meta_super_encode(&loaded.super, block);
	cr_assert_arr_eq(back, block, sizeof(back));
	md_store_close(store);
	scratch_read(path, 0, data, 32688 * 512);
	for (unsigned i = 0; i < 32688 * 512; i++)
		cr_assert_eq(data[i], 0x77);
	store = opened(path, 1);
	load_ok(store, &loaded);
	cr_assert_eq(loaded.super.current_uuid, UINT64_C(0x1234567890abcdef));
	cr_assert_eq(loaded.slot[2][0], 1);
	md_store_close(store);
}

Test(md_store, orderly_end_leaves_a_clean_log_unless_a_primary_was_around)
{
	for (unsigned primary = 0; primary < 2; primary++) {
		const char *path = created(3);
		struct al_transaction tr = { .number = 0, .context_size = 67 };
		struct md_store *store = opened(path, 1);
		uint8_t block[MD_PAGE_BYTES];
		struct md_loaded loaded;

		load_ok(store, &loaded);
		loaded.super.flags = MDF_CONSISTENT | MDF_PRIMARY_IND;
		meta_super_encode(&loaded.super, block);
		cr_assert_eq(md_store_write_super(store, block), 0);
		memset(tr.context, 0xff, sizeof(tr.context));
		meta_al_encode(&tr, block);
		cr_assert_eq(md_store_write_al(store, block), 0);
		if (!primary) {
			loaded.super.flags = MDF_CONSISTENT;
			meta_super_encode(&loaded.super, block);
			cr_assert_eq(md_store_write_super(store, block), 0);
		}
		md_store_close(store);
		if (!primary)
			expect_clean_disk(path);
		store = opened(path, 1);
		load_ok(store, &loaded);
		cr_assert_eq(loaded.al_applied, primary);
		md_store_close(store);
	}
}

Test(md_store, external_metadata)
{
	struct md_where where = { .data_path = scratch_file("data", DISK + 512),
				  .place = MD_PLACE_EXTERNAL,
				  .meta_path = scratch_file("meta", MIB) };
	struct err err = ERR_INIT;
	struct md_loaded loaded;
	struct md_store *store;
	uint64_t sectors;

	/* What is on the data store stays; what is on the metadata store does not. */
	scratch_write(where.data_path, 0, "XFSB\0\0\x10\0\0\0\0\0\0\0\x10\0", 16);
	cr_assert_eq(md_store_create(&where, 2, false, &sectors, &err), 0, "%s", err.text);
	cr_assert_eq(sectors, DISK / 512 + 1);
	cr_assert_eq(md_store_open(&where, 0, &store, &err), 0, "%s", err.text);
	load_ok(store, &loaded);
	cr_assert_eq(md_store_info(store)->data_sectors, DISK / 512 + 1);
	md_store_close(store);
	create_refused(&where, -EEXIST, "v09");
	where.meta_path = scratch_file("other", MIB);
	scratch_write(where.meta_path, 0, "XFSB\0\0\x10\0\0\0\0\0\0\0\0\x10", 16);
	create_refused(&where, -EEXIST, "XFS");
	where.meta_path = where.data_path;
	create_refused(&where, -EINVAL, "at once");
}

/* A volume with internal metadata, empty so far, is given as the place for those of another. */
Test(md_store, metadata_does_not_go_onto_another_volume)
{
	struct md_where where = { .data_path = scratch_file("data", DISK),
				  .meta_path = created(1) };
	static uint8_t before[DISK], after[DISK];
	struct err err = ERR_INIT;

	scratch_read(where.meta_path, 0, before, sizeof(before));
	where.place = MD_PLACE_EXTERNAL;
	create_refused(&where, -EEXIST, "is a volume itself: DRBD 9 metadata (v09) are at its end");
	scratch_read(where.meta_path, 0, after, sizeof(after));
	cr_assert_arr_eq(before, after, sizeof(after));
	put_magic(where.meta_path, SUPER_AT + META_MAGIC_OFFSET, META_MAGIC_V08);
	create_refused(&where, -EEXIST, "is a volume itself: DRBD 8 metadata (v08) are at its end");
	cr_assert_eq(md_store_create(&where, 1, true, NULL, &err), 0, "%s", err.text);
}

Test(md_store, indexed_metadata_shares_a_store)
{
	const char *meta = scratch_file("meta", 3 * 128 * MIB);
	struct md_where where[3];
	struct md_store *store[3];
	struct md_loaded loaded;
	struct err err = ERR_INIT;
	const char *names[] = { "a", "b", "c" };

	for (uint32_t i = 0; i < 3; i++) {
		where[i] = (struct md_where){ .data_path = scratch_file(names[i], DISK),
					      .place = MD_PLACE_INDEXED,
					      .meta_path = meta,
					      .index = i };
		cr_assert_eq(md_store_create(&where[i], 3, false, NULL, &err), 0, "%s", err.text);
	}
	for (uint32_t i = 0; i < 3; i++) {
		cr_assert_eq(md_store_open(&where[i], 0, &store[i], &err), 0, "%s", err.text);
		load_ok(store[i], &loaded);
	}
	where[2].data_path = scratch_file("d", DISK);
	create_refused(&where[2], -EBUSY, "index 2");
	for (uint32_t i = 0; i < 3; i++)
		md_store_close(store[i]);
	where[2].index = 3;
	create_refused(&where[2], -ENOSPC, "no room");
}

/* ---- other versions, offline ---- */

static void offline_refused(const char *path, int rc, const char *word)
{
	struct md_where where = { .data_path = path, .place = MD_PLACE_INTERNAL };
	struct md_store *store = NULL;
	struct err err = ERR_INIT;
	struct md_view view;

	cr_assert_eq(md_offline_open(&where, false, &store, &view, &err), rc, "%s", err.text);
	cr_assert(strstr(err.text, word), "%s", err.text);
	cr_assert_null(store);
}

Test(md_store, metadata_before_v08_is_named)
{
	const uint64_t large = UINT64_C(200) << 20;
	const char *path = scratch_file("old", large + 1536);
	struct md_where where = { .data_path = path, .place = MD_PLACE_INTERNAL };
	struct err err = ERR_INIT;

	offline_refused(path, -ENODATA, "no DRBD metadata at its end");
	/* Fixed-size internal metadata: 128 MiB in front of the end. */
	put_magic(path, large - (UINT64_C(128) << 20) + 28, 0x8374026a);
	offline_refused(path, -EMEDIUMTYPE, "DRBD 0.7 metadata (v07)");
	cr_assert_eq(md_offline_wipe(&where, &err), -ENODATA, "only what lies at the end");
	path = scratch_file("flexible", DISK);
	put_magic(path, SUPER_AT + 28, 0x8374026a);
	offline_refused(path, -EMEDIUMTYPE, "bring it to v08");
	where.data_path = path;
	cr_assert_eq(md_offline_wipe(&where, &err), -EMEDIUMTYPE);
}

Test(md_store, what_nobody_can_attach_can_be_looked_at)
{
	const char *path = created(3);
	struct md_where where = { .data_path = path, .place = MD_PLACE_INTERNAL };
	struct err err = ERR_INIT;
	uint8_t block[MD_PAGE_BYTES];
	struct md_store *store;
	struct md_super super;
	struct md_view view;

	scratch_read(path, SUPER_AT, block, sizeof(block));
	cr_assert_eq(meta_super_decode(block, &super), META_OK);
	super.peers[1].bitmap_index = super.peers[2].bitmap_index = 2;
	super.effective_sectors = UINT64_MAX;
	meta_super_encode(&super, block);
	scratch_write(path, SUPER_AT, block, sizeof(block));
	cr_assert_eq(md_store_open(&where, 0, &store, &err), -EBADMSG);
	cr_assert_eq(md_offline_open(&where, false, &store, &view, &err), 0, "%s", err.text);
	cr_assert_eq(view.super.effective_sectors, UINT64_MAX);
	cr_assert_eq(view.dump_sectors, 32768 - 8 - 64 - 8);
	md_store_close(store);
	/* But not what does not say where its bitmap is. */
	super.effective_sectors = 0;
	super.bm_offset_sectors = 8;
	meta_super_encode(&super, block);
	scratch_write(path, SUPER_AT, block, sizeof(block));
	offline_refused(path, -EBADMSG, "offsets");
}

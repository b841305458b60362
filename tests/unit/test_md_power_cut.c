/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Offline changes of metadata, cut off after every write: what is then on the store is usable. */
#include <criterion/criterion.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "../lib/al_model.h"
#include "../lib/scratch.h"
#include "disk/md_offline.h"
#include "meta/meta_al.h"
#include "meta/meta_bitmap.h"
#include "meta/meta_super.h"
#include "meta/meta_text.h"
#include "meta/meta_v08.h"

#define DISK (UINT64_C(16) << 20)
#define TAIL 131072U /* all metadata lie in it */
#define START (DISK - TAIL)
#define HOT_EXTENT 2U

static const uint64_t changes_from = START, changes_end = DISK;
#include "md_changes.h"

/* ---- the store ---- */

static uint8_t before[TAIL], now[TAIL];
static struct md_where where;

static const struct meta_stores stores = { .place = MD_PLACE_INTERNAL,
					   .data_sectors = DISK / 512,
					   .meta_sectors = DISK / 512 };

struct found {
	enum meta_version version;
	struct md_super super;
	struct meta_layout layout;
	uint8_t block[MD_PAGE_BYTES];
};

static uint8_t *at_byte(uint8_t tail[static TAIL], uint64_t byte)
{
	return tail + (byte - START);
}

/* Version NONE if there is nothing that could be used. */
static void find(uint8_t tail[static TAIL], struct found *f)
{
	enum meta_verdict verdict;

	memcpy(f->block, tail + TAIL - MD_PAGE_BYTES, MD_PAGE_BYTES);
	f->version = meta_version_recognise(f->block);
	verdict = f->version == META_VERSION_V09 ? meta_super_decode(f->block, &f->super)
						  : meta_v08_decode(f->block, &f->super);
	if (verdict != META_OK ||
	    meta_layout_check(&stores, &f->super, &f->layout) != META_OK)
		f->version = META_VERSION_NONE;
}

static bool is_clean(const struct found *f)
{
	return f->version == META_VERSION_V09 ? f->super.flags & MDF_AL_CLEAN
					      : meta_v08_is_clean(&f->super, f->version);
}

static bool bits_include(uint8_t have[static TAIL], uint8_t want[static TAIL],
			 const struct found *f)
{
	uint64_t bytes = f->layout.bitmap_pages * MD_PAGE_BYTES;
	const uint8_t *a = at_byte(have, f->layout.bitmap_byte);
	const uint8_t *b = at_byte(want, f->layout.bitmap_byte);

	for (uint64_t i = 0; i < bytes; i++)
		if ((a[i] & b[i]) != b[i])
			return false;
	return true;
}

static bool hot_is_marked(uint8_t tail[static TAIL], const struct found *f)
{
	for (uint64_t bit = HOT_EXTENT * 1024; bit < (HOT_EXTENT + 1) * 1024; bit++)
		for (uint32_t slot = 0; slot < f->super.max_peers; slot++) {
			uint64_t word = bm_disk_word(bit, slot, f->super.max_peers);
			const uint8_t *p = at_byte(tail, f->layout.bitmap_byte) + word * 4;

			if (!(p[bit % 32 / 8] & 1U << bit % 8))
				return false;
		}
	return true;
}

static bool ring_is(uint8_t tail[static TAIL], uint8_t other[static TAIL], const struct found *f)
{
	return memcmp(at_byte(tail, f->layout.al_byte), at_byte(other, f->layout.al_byte),
		      (size_t)f->layout.ring_blocks * MD_PAGE_BYTES) == 0;
}

/* What a crashed Primary leaves, of any version. */
static void crashed(enum meta_version version, unsigned max_peers)
{
	static struct al_model model;
	uint32_t slot = 5, extent = HOT_EXTENT;
	uint8_t block[MD_PAGE_BYTES], *bitmap;
	struct err err = ERR_INIT;
	struct found f;

	where = (struct md_where){ .data_path = scratch_file("data", DISK),
				   .place = MD_PLACE_INTERNAL };
	cr_assert_eq(md_store_create(&where, max_peers, false, NULL, &err), 0, "%s", err.text);
	scratch_read(where.data_path, START, before, TAIL);
	find(before, &f);
	f.super.current_uuid = 0x1234567812345678;
	f.super.effective_sectors = 32000;
	f.super.flags = MDF_CONSISTENT | MDF_WAS_UP_TO_DATE | MDF_PRIMARY_IND;
	f.super.node_id = version == META_VERSION_V09 ? 1 : -1;
	if (version == META_VERSION_V09)
		meta_super_encode(&f.super, block);
	else
		meta_v08_encode(&f.super, version, block);
	memcpy(before + TAIL - MD_PAGE_BYTES, block, sizeof(block));
	bitmap = at_byte(before, f.layout.bitmap_byte);
	for (unsigned i = 0; i < 200; i++)
		bitmap[i * 7 % 400] |= (uint8_t)(1U << i % 8);
	al_model_init(&model, 1, 8, 67, 0);
	al_model_write(&model, 1, &slot, &extent);
	memcpy(at_byte(before, f.layout.al_byte), model.ring, 8 * MD_PAGE_BYTES);
	al_model_release(&model);
	scratch_write(where.data_path, START, before, TAIL);
	forget_changes();
}

/*
 * Every state that a cut can leave: all that was flushed, and of what was not, any part. Calls
 * `check` with each.
 */
static void each_cut(void (*check)(uint8_t tail[static TAIL]))
{
	struct prng rng;

	prng_seed(&rng, 1);
	for (unsigned cut = 0; cut <= change_count; cut++) {
		for (unsigned variant = 0; variant < 8; variant++) {
			memcpy(now, before, TAIL);
			apply_changes(changes, cut, variant, &rng, now, START, TAIL);
			check(now);
		}
	}
	/* The last one was all of it. */
	scratch_read(where.data_path, START, now, TAIL);
	forget_changes();
}

static struct md_store *opened(void)
{
	struct err err = ERR_INIT;
	struct md_store *store;
	struct md_view view;

	cr_assert_eq(md_offline_open(&where, true, &store, &view, &err), 0, "%s", err.text);
	return store;
}

TestSuite(md_power_cut, .init = scratch_begin, .fini = scratch_end);

/* Whoever attaches it next finds the hot extent, in the log or in the bitmap. */
static void hot_is_not_lost(uint8_t tail[static TAIL])
{
	struct found f;

	find(tail, &f);
	cr_assert_neq(f.version, META_VERSION_NONE);
	cr_assert(bits_include(tail, before, &f));
	cr_assert(hot_is_marked(tail, &f) || (!is_clean(&f) && ring_is(tail, before, &f)));
}

Test(md_power_cut, apply_al)
{
	static const enum meta_version versions[] = { META_VERSION_V09, META_VERSION_V08_UNCLEAN,
						      META_VERSION_V08 };

	for (unsigned i = 0; i < 3; i++) {
		struct md_applied applied;
		struct err err = ERR_INIT;
		struct md_store *store;
		struct found f;

		crashed(versions[i], i ? 1 : 3);
		store = opened();
		cr_assert_eq(md_offline_apply(store, &applied, &err), 0, "%s", err.text);
		md_store_close(store);
		cr_assert_eq(applied.extent_count, 1);
		cr_assert_geq(change_count, 3);
		each_cut(hot_is_not_lost);
		find(now, &f);
		cr_assert(is_clean(&f));
		cr_assert_eq(f.version, i ? META_VERSION_V08 : META_VERSION_V09);
	}
}

static void v08_or_converted(uint8_t tail[static TAIL])
{
	struct found f;

	hot_is_not_lost(tail);
	find(tail, &f);
	if (f.version == META_VERSION_V09) {
		cr_assert(is_clean(&f) && hot_is_marked(tail, &f));
		cr_assert_eq(f.super.peers[7].bitmap_index, 0);
		cr_assert(f.super.flags & MDF_CRASHED_PRIMARY);
	}
}

Test(md_power_cut, conversion)
{
	struct md_applied applied;
	struct err err = ERR_INIT;
	struct md_store *store;
	struct found f;

	crashed(META_VERSION_V08_UNCLEAN, 1);
	store = opened();
	cr_assert_eq(md_offline_convert(store, 3, 7, &applied, &err), 0, "%s", err.text);
	md_store_close(store);
	each_cut(v08_or_converted);
	find(now, &f);
	cr_assert_eq(f.version, META_VERSION_V09);
	cr_assert_eq(f.super.node_id, 3);
	store = opened();
	cr_assert_eq(md_offline_convert(store, 3, 7, &applied, &err), -EEXIST);
	md_store_close(store);
	cr_assert_eq(change_count, 0);
}

static uint8_t set_block[MD_PAGE_BYTES];

static void old_or_set(uint8_t tail[static TAIL])
{
	const uint8_t *block = tail + TAIL - MD_PAGE_BYTES;

	cr_assert(memcmp(block, before + TAIL - MD_PAGE_BYTES, MD_PAGE_BYTES) == 0 ||
		  memcmp(block, set_block, MD_PAGE_BYTES) == 0);
	cr_assert_arr_eq(tail, before, TAIL - MD_PAGE_BYTES);
}

Test(md_power_cut, set_gi)
{
	struct err err = ERR_INIT;
	struct md_store *store;
	struct found f;

	crashed(META_VERSION_V09, 3);
	find(before, &f);
	f.super.current_uuid = 42;
	meta_super_encode(&f.super, set_block);
	store = opened();
	cr_assert_eq(md_offline_put(store, &f.super, &err), 0, "%s", err.text);
	md_store_close(store);
	each_cut(old_or_set);
	find(now, &f);
	cr_assert_eq(f.super.current_uuid, 42);
}

static void all_or_none(uint8_t tail[static TAIL])
{
	struct found f;

	find(tail, &f);
	if (f.version == META_VERSION_NONE)
		cr_assert_eq(meta_version_recognise(f.block), META_VERSION_NONE);
	else
		cr_assert_arr_eq(tail, before, TAIL);
}

Test(md_power_cut, wipe_md)
{
	struct err err = ERR_INIT;
	struct found f;

	crashed(META_VERSION_V09, 3);
	cr_assert_eq(md_offline_wipe(&where, &err), 0, "%s", err.text);
	cr_assert_eq(change_count, 2);
	each_cut(all_or_none);
	find(now, &f);
	cr_assert_eq(f.version, META_VERSION_NONE);
	cr_assert_eq(md_offline_wipe(&where, &err), -ENODATA);
}

/* ---- restore-md ---- */

static char text[1 << 16];
static size_t text_bytes, text_read;
static uint8_t restored_tail[TAIL];

static int read_text(void *ctx, char *buf, size_t room, size_t *got)
{
	(void)ctx;
	*got = text_bytes - text_read < room ? text_bytes - text_read : room;
	memcpy(buf, text + text_read, *got);
	text_read += *got;
	return 0;
}

static int emit(void *ctx, const char *piece, size_t bytes)
{
	(void)ctx;
	cr_assert_leq(text_bytes + bytes, sizeof(text));
	memcpy(text + text_bytes, piece, bytes);
	text_bytes += bytes;
	return 0;
}

static int odd_page(void *ctx, uint64_t page, uint8_t block[static MD_PAGE_BYTES])
{
	(void)ctx;
	for (unsigned i = 0; i < MD_PAGE_BYTES; i++)
		block[i] = (uint8_t)(i * 13 + page);
	return 0;
}

/* A dump of something that has nothing in common with what is on the store. */
static void write_text(enum meta_version version, unsigned max_peers, uint32_t stripe_4k)
{
	struct md_super s = { .effective_sectors = 31000,
			      .current_uuid = 0xabcdef,
			      .flags = MDF_CONSISTENT | MDF_AL_CLEAN,
			      .bm_bytes_per_bit = 4096,
			      .max_peers = max_peers,
			      .node_id = version == META_VERSION_V09 ? 4 : -1,
			      .al_stripes = 1,
			      .al_stripe_4k = stripe_4k };

	for (unsigned i = 0; i < NODES_MAX; i++)
		s.peers[i].bitmap_index = -1;
	text_bytes = text_read = 0;
	cr_assert_eq(meta_text_dump(&(struct meta_text){ .version = version,
							 .super = &s,
							 .usable_sectors = UINT64_MAX,
							 .read_page = odd_page,
							 .emit = emit }), 0);
}

static void restore(void)
{
	const struct md_text_source source = { .read = read_text };
	struct md_restored restored;
	struct err err = ERR_INIT;

	cr_assert_eq(md_offline_restore(&where, &source, false, &restored, &err), -EEXIST);
	cr_assert_eq(change_count, 0, "a refusal writes nothing");
	text_read = 0;
	cr_assert_eq(md_offline_restore(&where, &source, true, &restored, &err), 0, "%s",
		     err.text);
	scratch_read(where.data_path, START, restored_tail, TAIL);
}

static bool distrusts_all(const struct found *f)
{
	if (f->version != META_VERSION_V09)
		return f->super.flags & MDF_V08_FULL_SYNC;
	for (int i = 0; i < NODES_MAX; i++)
		if (i != f->super.node_id && !(f->super.peers[i].flags & MDF_PEER_FULL_SYNC))
			return false;
	return true;
}

/* The old one, all of it or with everything marked; or the new one, all of it. */
static void old_or_restored(uint8_t tail[static TAIL])
{
	struct found f, old;

	find(tail, &f);
	find(before, &old);
	cr_assert_neq(f.version, META_VERSION_NONE);
	if (f.super.current_uuid == 0xabcdef) {
		cr_assert_arr_eq(tail, restored_tail, TAIL);
		return;
	}
	cr_assert_eq(f.super.current_uuid, old.super.current_uuid);
	cr_assert_eq(f.super.effective_sectors, old.super.effective_sectors);
	cr_assert((distrusts_all(&f) && is_clean(&f)) || memcmp(tail, before, TAIL) == 0);
}

Test(md_power_cut, restore_md)
{
	static const enum meta_version versions[] = { META_VERSION_V09, META_VERSION_V08,
						      META_VERSION_V08_UNCLEAN };

	for (unsigned i = 0; i < 12; i++) {
		enum meta_version version = i % 2 ? META_VERSION_V08 : META_VERSION_V09;

		crashed(versions[i / 2 % 3], i / 2 % 3 ? 1 : 3);
		write_text(version, version == META_VERSION_V09 ? 1 + i % 5 : 1, i > 5 ? 12 : 8);
		restore();
		each_cut(old_or_restored);
	}
}

/* Nothing to guard: until the superblock is there, there is none. */
static void none_or_restored(uint8_t tail[static TAIL])
{
	struct found f;

	find(tail, &f);
	if (f.version != META_VERSION_NONE)
		cr_assert_arr_eq(tail, restored_tail, TAIL);
}

Test(md_power_cut, restore_md_onto_an_empty_store)
{
	const struct md_text_source source = { .read = read_text };
	struct md_restored restored;
	struct err err = ERR_INIT;

	where = (struct md_where){ .data_path = scratch_file("data", DISK),
				   .place = MD_PLACE_INTERNAL };
	memset(before, 0, TAIL);
	forget_changes();
	write_text(META_VERSION_V09, 3, 8);
	cr_assert_eq(md_offline_restore(&where, &source, false, &restored, &err), 0, "%s",
		     err.text);
	scratch_read(where.data_path, START, restored_tail, TAIL);
	each_cut(none_or_restored);
}

Test(md_power_cut, a_wrong_dump_writes_nothing)
{
	const struct md_text_source source = { .read = read_text };
	struct md_restored restored;
	struct err err = ERR_INIT;

	crashed(META_VERSION_V09, 3);
	write_text(META_VERSION_V09, 3, 8);
	text[text_bytes - 30] = '?';
	cr_assert_eq(md_offline_restore(&where, &source, true, &restored, &err), -EBADMSG);
	cr_assert(strstr(err.text, "the dump is wrong in line "), "%s", err.text);
	cr_assert_eq(change_count, 0);
}

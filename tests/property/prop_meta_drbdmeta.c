/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Random stores: create-md, dump-md and apply-al beside drbdmeta of drbd-utils. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/al_model.h"
#include "../lib/drbdmeta.h"
#include "../lib/scratch.h"
#include "base/assert.h"
#include "base/prng.h"
#include "disk/md_store.h"
#include "meta/meta_bitmap.h"
#include "meta/meta_super.h"

#define MIB (UINT64_C(1) << 20)

static struct prng rng;

static void create_ok(const struct md_where *where, unsigned max_peers)
{
	struct err err = ERR_INIT;

	if (md_store_create(where, max_peers, false, NULL, &err) != 0) {
		printf("%s\n", err.text);
		ASSERT(false);
	}
}

/* The last MiB before `end` of both files is equal but for the 8 bytes at `uuid_byte`. */
static void same_but_uuid(const char *ours, const char *theirs, uint64_t end, uint64_t uuid_byte)
{
	uint64_t from = end > MIB ? end - MIB : 0;
	uint8_t *a = calloc(2, MIB), *b = a + MIB;

	ASSERT(a);
	scratch_read(ours, from, a, end - from);
	scratch_read(theirs, from, b, end - from);
	memset(a + (uuid_byte - from), 0, 8);
	ASSERT(memcmp(a, b, MIB) == 0);
	free(a);
}

static void created_bytes_are_equal(void)
{
	static const uint64_t sizes[] = { 69632, MIB, MIB + 512, 10 * MIB + 3584, 300 * MIB + 512 };
	static const char *const counts[] = { "1", "2", "3", "7", "31" };

	for (unsigned i = 0; i < ARRAY_LEN(sizes) * ARRAY_LEN(counts); i++) {
		const char *count = counts[i % ARRAY_LEN(counts)];
		uint64_t size = sizes[i / ARRAY_LEN(counts)];
		const char *ours = scratch_file("ours", size),
			   *theirs = scratch_file("theirs", size);
		struct md_where where = { .data_path = ours, .place = MD_PLACE_INTERNAL };

		create_ok(&where, (unsigned)atoi(count));
		where.data_path = theirs;
		ASSERT(drbdmeta("v09", &where, NULL, "create-md", count, NULL) == 0);
		same_but_uuid(ours, theirs, size, size / 4096 * 4096 - 4096 + 48);
	}
	for (unsigned i = 0; i < ARRAY_LEN(counts); i++) {
		const char *data = scratch_file("data", 64 * MIB);
		const char *ours = scratch_file("ours", MIB + 2560),
			   *theirs = scratch_file("theirs", MIB + 2560);
		struct md_where where = { .data_path = data,
					  .place = MD_PLACE_EXTERNAL,
					  .meta_path = ours };

		create_ok(&where, (unsigned)atoi(counts[i]));
		where.meta_path = theirs;
		ASSERT(drbdmeta("v09", &where, NULL, "create-md", counts[i], NULL) == 0);
		same_but_uuid(ours, theirs, MIB, 48);

		ours = scratch_file("ours", 256 * MIB);
		theirs = scratch_file("theirs", 256 * MIB);
		where.place = MD_PLACE_INDEXED;
		where.meta_path = ours;
		where.index = 1;
		create_ok(&where, (unsigned)atoi(counts[i]));
		where.meta_path = theirs;
		ASSERT(drbdmeta("v09", &where, NULL, "create-md", counts[i], NULL) == 0);
		same_but_uuid(ours, theirs, 129 * MIB, 128 * MIB + 48);
	}
}

static void dumps_are_equal(const char *path)
{
	drbdmeta_same_dump(&(struct md_where){ .data_path = path }, "v09");
}

/* Fresh metadata, then every field that may be anything is something. */
static void scramble_super(const char *path, uint64_t disk_bytes, struct md_super *s)
{
	uint64_t at = disk_bytes / 4096 * 4096 - 4096;
	uint8_t block[MD_PAGE_BYTES];

	scratch_read(path, at, block, sizeof(block));
	ASSERT(meta_super_decode(block, s) == META_OK);
	s->current_uuid = prng_u64(&rng);
	s->device_uuid = prng_u64(&rng);
	s->flags = (uint32_t)prng_u64(&rng);
	s->node_id = (int32_t)prng_below(&rng, 32);
	s->al_nr_extents = (uint32_t)prng_u64(&rng);
	s->la_peer_max_bio_bytes = (uint32_t)prng_u64(&rng);
	s->members = prng_u64(&rng);
	s->effective_sectors = prng_below(&rng, (disk_bytes - MIB) / 512);
	drbdmeta_random_peers(s, &rng);
	for (unsigned i = 0; i < HISTORY_UUIDS; i++)
		s->history[i] = prng_u64(&rng);
	meta_super_encode(s, block);
	scratch_write(path, at, block, sizeof(block));
}

static void scramble_bitmap(const char *path, uint64_t disk_bytes, const struct md_super *s)
{
	uint64_t at =
		disk_bytes / 4096 * 4096 - 4096 + (uint64_t)(s->bm_offset_sectors * INT64_C(512));
	size_t bytes = (size_t)(s->al_offset_sectors - s->bm_offset_sectors) * 512;
	uint8_t *bitmap = malloc(bytes);

	drbdmeta_random_bitmap(bitmap, bytes, s->max_peers, &rng);
	scratch_write(path, at, bitmap, bytes);
	free(bitmap);
}

static void random_dumps(void)
{
	for (unsigned run = 0; run < 60; run++) {
		uint64_t size = prng_range(&rng, 2 * MIB, 512 * MIB) / 512 * 512;
		struct md_where where = { .data_path = scratch_file("store", size),
					  .place = MD_PLACE_INTERNAL };
		struct md_super super;

		create_ok(&where, (unsigned)prng_range(&rng, 1, 31));
		dumps_are_equal(where.data_path);
		scramble_super(where.data_path, size, &super);
		scramble_bitmap(where.data_path, size, &super);
		dumps_are_equal(where.data_path);
	}
}

/* Bitmaps beyond 32 MiB: drbdmeta reads them in pieces, and its text shows where a piece ends. */
static void large_dump(unsigned max_peers)
{
	uint64_t size = 40 * MIB * 32768 / max_peers / 4096 * 4096;
	struct md_where where = { .data_path = scratch_file("store", size),
				  .place = MD_PLACE_INTERNAL };
	uint64_t at = size / 4096 * 4096 - 4096, bitmap;
	uint8_t block[MD_PAGE_BYTES], ones[256];
	struct md_super super;

	create_ok(&where, max_peers);
	scratch_read(where.data_path, at, block, sizeof(block));
	ASSERT(meta_super_decode(block, &super) == META_OK);
	super.effective_sectors =
		(at + (uint64_t)(super.bm_offset_sectors * INT64_C(512))) / 4096 * 8;
	meta_super_encode(&super, block);
	scratch_write(where.data_path, at, block, sizeof(block));
	bitmap = at + (uint64_t)(super.bm_offset_sectors * INT64_C(512));
	memset(ones, 0xff, sizeof(ones));
	for (unsigned i = 0; i < 40; i++)
		scratch_write(where.data_path,
			      bitmap + 32 * MIB / (4096 * max_peers) * 4096 * max_peers - 1024 +
				      prng_below(&rng, 2048),
			      ones, (size_t)prng_below(&rng, sizeof(ones)));
	dumps_are_equal(where.data_path);
}

/*
 * Bits that both must have: drbd-utils from 9.34 on leave out an extent whose words end with, or
 * beyond, the pages of the bitmap (on-disk-metadata 8.7 i).
 */
static uint64_t comparable_bits(const struct md_super *s, uint64_t bits)
{
	uint64_t area = meta_bitmap_pages(bits, s->max_peers) * MD_PAGE_BYTES;
	uint64_t extents = (area - 1) / (128 * s->max_peers);

	return drbdmeta_has_bit_sizes() && extents * 1024 < bits ? extents * 1024 : bits;
}

/* Bits of the agreed size, slot by slot; what lies beyond is nobody's business. */
static void same_bits(const char *a, const char *b, uint64_t disk_bytes, const struct md_super *s)
{
	uint64_t at =
		disk_bytes / 4096 * 4096 - 4096 + (uint64_t)(s->bm_offset_sectors * INT64_C(512));
	uint64_t bits = (s->effective_sectors + 7) / 8, words = (bits + 63) / 64;
	uint64_t *slot[2][NODES_MAX];

	for (unsigned f = 0; f < 2; f++) {
		uint8_t block[MD_PAGE_BYTES];

		for (uint32_t i = 0; i < s->max_peers; i++)
			slot[f][i] = calloc(words + 1, 8);
		for (uint64_t page = 0; page < meta_bitmap_pages(bits, s->max_peers); page++) {
			scratch_read(f ? b : a, at + page * MD_PAGE_BYTES, block, sizeof(block));
			meta_bitmap_page_decode(block, page, s->max_peers, slot[f], words);
		}
	}
	for (uint32_t i = 0; i < s->max_peers; i++) {
		meta_bitmap_clip(slot[0][i], words, comparable_bits(s, bits));
		meta_bitmap_clip(slot[1][i], words, comparable_bits(s, bits));
		ASSERT(memcmp(slot[0][i], slot[1][i], words * 8) == 0);
		free(slot[0][i]);
		free(slot[1][i]);
	}
}

/* A ring like that of a Primary that died, the newest block torn in some of the runs. */
static void write_ring(const char *path, uint64_t al_byte)
{
	static struct al_model model;
	uint32_t slots = (uint32_t)prng_range(&rng, AL_EXTENTS_MIN, AL_EXTENTS_MAX);
	uint32_t first = prng_chance(&rng, 1, 3) ? 0U - (uint32_t)prng_below(&rng, 12) : 0;
	unsigned count = (unsigned)prng_range(&rng, 2, 30);

	al_model_init(&model, 1, 8, slots, first);
	for (unsigned i = 0; i < count; i++) {
		uint32_t slot[AL_UPDATES_MAX], extent[AL_UPDATES_MAX];
		unsigned n = (unsigned)prng_below(&rng, AL_UPDATES_MAX + 1);

		for (unsigned u = 0; u < n; u++) {
			slot[u] = (uint32_t)prng_below(&rng, slots);
			extent[u] = (uint32_t)prng_below(&rng, 140);
		}
		al_model_write(&model, n, slot, extent);
	}
	if (prng_chance(&rng, 1, 3))
		al_model_block(&model, model.next_number - 1)[77] ^= 4;
	scratch_write(path, al_byte, model.ring, 8 * MD_PAGE_BYTES);
	al_model_release(&model);
}

static void copy_tail(const char *from, const char *to, uint64_t size)
{
	uint8_t *p = malloc(MIB);

	ASSERT(p);
	scratch_read(from, size - MIB, p, MIB);
	scratch_write(to, size - MIB, p, MIB);
	free(p);
}

static void applied_logs_are_equal(void)
{
	for (unsigned run = 0; run < 60; run++) {
		uint64_t size = prng_range(&rng, 2 * MIB, 512 * MIB) / 512 * 512;
		uint64_t at = size / 4096 * 4096 - 4096;
		const char *ours = scratch_file("ours", size),
			   *theirs = scratch_file("theirs", size);
		struct md_where where = { .data_path = ours, .place = MD_PLACE_INTERNAL };
		uint8_t a[9 * MD_PAGE_BYTES], b[9 * MD_PAGE_BYTES];
		struct err err = ERR_INIT;
		struct md_loaded loaded;
		struct md_store *store;
		struct md_super super;

		create_ok(&where, (unsigned)prng_range(&rng, 1, 31));
		scramble_super(ours, size, &super);
		scramble_bitmap(ours, size, &super);
		write_ring(ours, at - 32768);
		super.flags = MDF_CONSISTENT | (prng_chance(&rng, 4, 5) ? MDF_PRIMARY_IND : 0);
		super.effective_sectors |= 1;
		meta_super_encode(&super, a);
		scratch_write(ours, at, a, MD_PAGE_BYTES);
		copy_tail(ours, theirs, size);
		ASSERT(md_store_open(&where, (uint8_t)super.node_id, &store, &err) == 0);
		ASSERT(md_store_load(store, &loaded, &err) == 0);
		ASSERT(loaded.al_applied && !loaded.al_damaged);
		md_store_close(store);
		where.data_path = theirs;
		ASSERT(drbdmeta("v09", &where, NULL, "apply-al", NULL) == 0);
		/* Ring and superblock to the byte. */
		scratch_read(ours, at - 32768, a, sizeof(a));
		scratch_read(theirs, at - 32768, b, sizeof(b));
		if (!drbdmeta_has_members()) /* it drops what it does not know */
			memset(a + 8 * MD_PAGE_BYTES + 16, 0, 8);
		ASSERT(memcmp(a, b, sizeof(a)) == 0);
		same_bits(ours, theirs, size, &super);
	}
}

static void run_all(uint64_t seed)
{
	prng_seed(&rng, seed);
	created_bytes_are_equal();
	random_dumps();
	large_dump(1);
	large_dump(7);
	applied_logs_are_equal();
}

int main(int argc, char **argv)
{
	return drbdmeta_test(argc > 1 ? strtoull(argv[1], NULL, 0) : 30, run_all);
}

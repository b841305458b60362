/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Random metadata, v08 and v09: dump, restore, generations, log and conversion beside drbdmeta. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/al_model.h"
#include "../lib/drbdmeta.h"
#include "../lib/scratch.h"
#include "base/assert.h"
#include "base/bytes.h"
#include "base/prng.h"
#include "meta/meta_gi.h"
#include "meta/meta_super.h"
#include "meta/meta_v08.h"

#define MIB (UINT64_C(1) << 20)
#define RUNS 16U

static struct prng rng;

/* ---- a volume, with metadata in one of the places ---- */

struct volume {
	struct md_where where;
	char data[256], meta[256];
	uint64_t data_bytes, meta_bytes; /* meta: of the store that has the metadata */
	enum meta_version version;
};

static const char *name_of(const struct volume *v)
{
	return v->version == META_VERSION_V09 ? "v09" : "v08";
}

static const char *meta_path(const struct volume *v)
{
	return v->where.meta_path ? v->where.meta_path : v->where.data_path;
}

static void volume_files(struct volume *v, const char *name)
{
	char file[64];

	(void)snprintf(file, sizeof(file), "%s.data", name);
	(void)snprintf(v->data, sizeof(v->data), "%s", scratch_file(file, v->data_bytes));
	v->where.data_path = v->data;
	v->where.meta_path = NULL;
	if (v->where.place == MD_PLACE_INTERNAL)
		return;
	(void)snprintf(file, sizeof(file), "%s.meta", name);
	(void)snprintf(v->meta, sizeof(v->meta), "%s", scratch_file(file, v->meta_bytes));
	v->where.meta_path = v->meta;
}

/* Fresh metadata, made by drbdmeta: any place, striping, number of slots and size of bits. */
static void volume_make(struct volume *v, const char *name)
{
	char stripes[32], size[32], bits[48], peers[8];

	memset(v, 0, sizeof(*v));
	v->version = prng_chance(&rng, 1, 3) ? META_VERSION_V08 : META_VERSION_V09;
	/* drbdmeta takes its time to write the 128 MiB of an indexed place. */
	v->where.place = prng_chance(&rng, 1, 8)   ? MD_PLACE_INDEXED
			 : prng_chance(&rng, 1, 2) ? MD_PLACE_EXTERNAL
						   : MD_PLACE_INTERNAL;
	v->where.index = v->where.place == MD_PLACE_INDEXED ? (uint32_t)prng_below(&rng, 2) : 0;
	v->data_bytes = prng_range(&rng, 4 * MIB, 160 * MIB) / 512 * 512;
	v->meta_bytes = v->where.place == MD_PLACE_INTERNAL ? v->data_bytes
			: v->where.place == MD_PLACE_INDEXED
				? (v->where.index + 1) * 128 * MIB
				: prng_range(&rng, 2 * MIB, 8 * MIB) / 512 * 512;
	volume_files(v, name);
	(void)snprintf(peers, sizeof(peers), "%u", (unsigned)prng_range(&rng, 1, 31));
	(void)snprintf(stripes, sizeof(stripes), "--al-stripes=1");
	(void)snprintf(size, sizeof(size), "--al-stripe-size-kB=32");
	(void)snprintf(bits, sizeof(bits), "--bitmap-block-size=4096");
	if (v->where.place != MD_PLACE_INDEXED) {
		(void)snprintf(stripes, sizeof(stripes), "--al-stripes=%u",
			       (unsigned)prng_range(&rng, 1, 6));
		(void)snprintf(size, sizeof(size), "--al-stripe-size-kB=%u",
			       4 * (unsigned)prng_range(&rng, 8, 24));
		if (v->version == META_VERSION_V09)
			(void)snprintf(bits, sizeof(bits), "--bitmap-block-size=%u",
				       1U << prng_range(&rng, 12, 20));
	}
	if (drbdmeta_has_bit_sizes() && v->version == META_VERSION_V09)
		ASSERT(drbdmeta_with(bits, "v09", &v->where, NULL, "create-md", stripes, size,
				     peers, NULL) == 0);
	else
		ASSERT(drbdmeta(name_of(v), &v->where, NULL, "create-md", stripes, size,
				v->version == META_VERSION_V09 ? peers : NULL, NULL) == 0);
}

/* ---- what is on it ---- */

struct raw {
	struct md_super super;
	struct meta_layout layout;
	enum meta_version version;
	uint8_t block[MD_PAGE_BYTES];
};

static void raw_read(const struct volume *v, struct raw *raw)
{
	struct meta_stores stores = { .place = v->where.place,
				      .index = v->where.index,
				      .data_sectors = v->data_bytes / 512,
				      .meta_sectors = v->meta_bytes / 512 };
	enum meta_verdict verdict;
	uint64_t sector;

	ASSERT(meta_layout_locate(&stores, &sector) == META_OK);
	scratch_read(meta_path(v), sector * 512, raw->block, MD_PAGE_BYTES);
	raw->version = meta_version_recognise(raw->block);
	verdict = raw->version == META_VERSION_V09 ? meta_super_decode(raw->block, &raw->super)
						    : meta_v08_decode(raw->block, &raw->super);
	ASSERT(verdict == META_OK);
	verdict = meta_layout_check(&stores, &raw->super, &raw->layout);
	ASSERT(verdict == META_OK || verdict == META_BAD_ROOM);
}

static void raw_write(const struct volume *v, struct raw *raw)
{
	if (raw->version == META_VERSION_V09)
		meta_super_encode(&raw->super, raw->block);
	else
		meta_v08_encode(&raw->super, raw->version, raw->block);
	scratch_write(meta_path(v), raw->layout.super_byte, raw->block, MD_PAGE_BYTES);
}

static void scramble_peers(struct md_super *s)
{
	s->node_id = (int32_t)prng_below(&rng, 33) - 1;
	s->members = drbdmeta_has_members() ? prng_u64(&rng) : 0;
	drbdmeta_random_peers(s, &rng);
	for (unsigned i = META_V08_HISTORY; i < HISTORY_UUIDS; i++)
		s->history[i] = prng_u64(&rng);
}

/* Another store of the same make, empty or with the same metadata. */
static void volume_twin(const struct volume *v, const struct raw *raw, struct volume *twin,
			const char *name, bool copy)
{
	uint64_t bytes = raw->layout.end_byte - raw->layout.first_byte;
	uint8_t *p;

	*twin = *v;
	volume_files(twin, name);
	if (!copy)
		return;
	/* No test writes further into a bitmap. */
	bytes = bytes < 4 * MIB ? bytes : 4 * MIB;
	p = malloc(bytes);
	ASSERT(p);
	scratch_read(meta_path(v), raw->layout.first_byte, p, bytes);
	scratch_write(meta_path(twin), raw->layout.first_byte, p, bytes);
	free(p);
}

/* All that may be anything is something; the extremes come more often than by chance. */
static void scramble_super(struct raw *raw, bool may_be_too_large)
{
	struct md_super *s = &raw->super;
	uint64_t most = raw->layout.data_sectors;

	s->current_uuid = prng_chance(&rng, 1, 4) ? UINT64_MAX : prng_u64(&rng);
	s->peers[0].bitmap_uuid = prng_u64(&rng);
	s->history[0] = prng_u64(&rng);
	s->history[1] = prng_chance(&rng, 1, 2) ? 0 : prng_u64(&rng);
	s->device_uuid = prng_u64(&rng);
	s->flags = (uint32_t)prng_u64(&rng) | MDF_AL_CLEAN;
	s->al_nr_extents = prng_chance(&rng, 1, 3) ? UINT32_MAX : (uint32_t)prng_u64(&rng);
	s->la_peer_max_bio_bytes = prng_chance(&rng, 1, 3) ? UINT32_MAX : (uint32_t)prng_u64(&rng);
	s->effective_sectors = prng_below(&rng, most + 1);
	/* Cut down to what fits it would, with pages that are whole, end behind the store. */
	if (may_be_too_large && raw->layout.end_byte % MD_PAGE_BYTES == 0 &&
	    prng_chance(&rng, 1, 5))
		s->effective_sectors = most + prng_below(&rng, 1 << 20);
	if (raw->version == META_VERSION_V09)
		scramble_peers(s);
}

/* Also beyond the device. */
static void scramble_bitmap(const struct volume *v, const struct raw *raw)
{
	size_t bytes = (size_t)(raw->layout.bitmap_pages < 64 ? raw->layout.bitmap_pages : 64) *
		       MD_PAGE_BYTES;
	uint8_t *bitmap = malloc(bytes);

	drbdmeta_random_bitmap(bitmap, bytes, raw->super.max_peers, &rng);
	scratch_write(meta_path(v), raw->layout.bitmap_byte, bitmap, bytes);
	free(bitmap);
}

/* ---- comparisons ---- */

/* The bitmap of the agreed size, byte for byte: whole words of 64 bits per slot, padding apart. */
static void same_bitmap(const struct volume *a, const struct volume *b, const struct raw *raw)
{
	const struct md_super *s = &raw->super;
	uint64_t sectors = s->effective_sectors < raw->layout.dump_sectors
				   ? s->effective_sectors : raw->layout.dump_sectors;
	uint64_t bit_sectors = s->bm_bytes_per_bit / 512;
	uint64_t words = ((sectors + bit_sectors - 1) / bit_sectors + 63) / 64 * s->max_peers;
	uint8_t x[MD_PAGE_BYTES], y[MD_PAGE_BYTES];

	for (uint64_t page = 0; page * 512 < words; page++) {
		size_t n = words - page * 512 < 512 ? (size_t)(words - page * 512) * 8 : sizeof(x);

		scratch_read(meta_path(a), raw->layout.bitmap_byte + page * 4096, x, sizeof(x));
		scratch_read(meta_path(b), raw->layout.bitmap_byte + page * 4096, y, sizeof(y));
		if (memcmp(x, y, n) != 0) {
			unsigned i = 0;

			while (x[i] == y[i])
				i++;
			printf("page %" PRIu64 " differs at byte %u, %" PRIu32 " slots, %s\n", page,
			       i, s->max_peers, drbdmeta_place(&a->where));
			ASSERT(false);
		}
	}
}

static void restore(const struct volume *v, const char *file, bool force)
{
	struct md_text_source source;
	struct md_restored restored;
	struct err err = ERR_INIT;
	FILE *f = fopen(file, "r");

	ASSERT(f);
	source = (struct md_text_source){ .read = drbdmeta_read_stdio, .ctx = f };
	if (md_offline_restore(&v->where, &source, force, &restored, &err) != 0) {
		printf("%s\n", err.text);
		ASSERT(false);
	}
	fclose(f);
}

/* Dumps agree, and either program restores the other's dump to what it came from. */
static void dumps_and_restores(void)
{
	for (unsigned run = 0; run < RUNS; run++) {
		struct volume v, ours, theirs;
		struct raw raw, got[2];
		char file[256], *dump;

		volume_make(&v, "v");
		raw_read(&v, &raw);
		scramble_super(&raw, true);
		raw_write(&v, &raw);
		scramble_bitmap(&v, &raw);
		drbdmeta_same_dump(&v.where, name_of(&v));
		dump = drbdmeta_our_dump(&v.where);
		(void)snprintf(file, sizeof(file), "%s", scratch_file("dump.txt", 0));
		scratch_write(file, 0, dump, strlen(dump));
		free(dump);
		volume_twin(&v, &raw, &ours, "ours", prng_chance(&rng, 1, 2));
		volume_twin(&v, &raw, &theirs, "theirs", true);
		restore(&ours, file, true);
		raw_read(&ours, &got[0]);
		same_bitmap(&ours, &v, &raw);
		drbdmeta_same_dump(&ours.where, name_of(&v));
		/* With other bit sizes it dumps what its own restore-md lays out for 4096. */
		if (raw.super.bm_bytes_per_bit != 4096)
			continue;
		ASSERT(drbdmeta(name_of(&v), &theirs.where, NULL, "restore-md", file, NULL) == 0);
		raw_read(&theirs, &got[1]);
		ASSERT(memcmp(got[0].block, got[1].block, MD_PAGE_BYTES) == 0);
		same_bitmap(&ours, &theirs, &raw);
	}
}

/* ---- generations ---- */

static void get_gi(const struct volume *v, const char *node_id, char *line, size_t room)
{
	const char *out = scratch_path("gi");
	size_t bytes;
	char *text;

	ASSERT(drbdmeta_with(node_id, name_of(v), &v->where, out, "get-gi", NULL) == 0);
	text = drbdmeta_slurp(out, &bytes);
	text[strcspn(text, "\n")] = '\0';
	(void)snprintf(line, room, "%s", text);
	free(text);
}

/* A line for set-gi: some fields left empty, some left out at the end. */
static void random_gi(enum meta_version version, char *line, size_t room)
{
	unsigned count;
	size_t used = 0;

	(void)meta_gi_flags(version, &count);
	count = (unsigned)prng_range(&rng, 1, 4 + count);
	for (unsigned i = 0; i < count; i++) {
		const char *colon = i ? ":" : "";

		if (prng_chance(&rng, 1, 3))
			used += (size_t)snprintf(line + used, room - used, "%s", colon);
		else if (i < 4)
			used += (size_t)snprintf(line + used, room - used, "%s%" PRIx64, colon,
						 prng_u64(&rng) >> prng_below(&rng, 64));
		else
			used += (size_t)snprintf(line + used, room - used, "%s%u", colon,
						 (unsigned)prng_below(&rng, 2));
	}
}

static void generations(void)
{
	for (unsigned run = 0; run < RUNS; run++) {
		struct volume v, twin;
		struct raw raw, got;
		struct md_store *store;
		struct err err = ERR_INIT;
		struct md_view view;
		char node_id[24], line[META_GI_BYTES], theirs[512], gi[META_GI_BYTES];
		uint8_t peer = 0;
		unsigned field;

		volume_make(&v, "v");
		raw_read(&v, &raw);
		scramble_super(&raw, false);
		raw_write(&v, &raw);
		if (v.version == META_VERSION_V09)
			peer = (uint8_t)prng_below(&rng, NODES_MAX);
		(void)snprintf(node_id, sizeof(node_id), "--node-id=%u", peer);
		get_gi(&v, node_id, theirs, sizeof(theirs));
		meta_gi_format(&raw.super, raw.version, peer, line);
		ASSERT(strcmp(line, theirs) == 0);
		random_gi(raw.version, gi, sizeof(gi));
		volume_twin(&v, &raw, &twin, "twin", true);
		ASSERT(drbdmeta_with(node_id, name_of(&v), &twin.where, NULL, "set-gi", gi,
				     NULL) == 0);
		ASSERT(md_offline_open(&v.where, true, &store, &view, &err) == 0);
		ASSERT(meta_gi_parse(gi, view.version, peer, &view.super, &field) == 0);
		ASSERT(md_offline_put(store, &view.super, &err) == 0);
		md_store_close(store);
		raw_read(&v, &raw);
		raw_read(&twin, &got);
		ASSERT(memcmp(raw.block, got.block, MD_PAGE_BYTES) == 0);
	}
}

/* ---- the log, and v08 to v09 ---- */

static void write_ring(const struct volume *v, const struct raw *raw)
{
	static struct al_model model;
	uint32_t extents = (uint32_t)(raw->super.effective_sectors / 8192 + 2);
	uint32_t first = prng_chance(&rng, 1, 3) ? 0U - (uint32_t)prng_below(&rng, 12) : 0;
	uint32_t slots = (uint32_t)prng_range(&rng, AL_EXTENTS_MIN, 2000);
	uint32_t blocks = raw->layout.ring_blocks;
	unsigned count = (unsigned)prng_range(&rng, 2, 3 * blocks);

	/* Behind the wrap a ring whose length is no power of two is ambiguous when torn. */
	if (blocks & (blocks - 1))
		first = 0;
	al_model_init(&model, raw->super.al_stripes, raw->super.al_stripe_4k, slots, first);
	for (unsigned i = 0; i < count; i++) {
		uint32_t slot[AL_UPDATES_MAX], extent[AL_UPDATES_MAX];
		unsigned n = (unsigned)prng_below(&rng, AL_UPDATES_MAX + 1);

		for (unsigned u = 0; u < n; u++) {
			slot[u] = (uint32_t)prng_below(&rng, slots);
			extent[u] = (uint32_t)prng_below(&rng, extents);
		}
		al_model_write(&model, n, slot, extent);
	}
	if (prng_chance(&rng, 1, 3))
		al_model_block(&model, model.next_number - 1)[77] ^= 4;
	scratch_write(meta_path(v), raw->layout.al_byte, model.ring,
		      (size_t)blocks * MD_PAGE_BYTES);
	al_model_release(&model);
}

/* The log as a kernel keeps it in persistent memory: a magic, and extents in their slots. */
static void write_pmem(const struct volume *v, struct raw *raw)
{
	size_t bytes = (size_t)raw->layout.ring_blocks * MD_PAGE_BYTES;
	uint32_t extents = (uint32_t)(raw->super.effective_sectors / 8192 + 2);
	uint8_t *log = malloc(bytes);

	ASSERT(log);
	raw->super.al_nr_extents = (uint32_t)prng_range(&rng, AL_EXTENTS_MIN, 2000);
	memset(log, 0xff, bytes);
	put_be32(log, 0x6aa667a6);
	for (uint32_t i = 1; i <= raw->super.al_nr_extents; i++)
		if (prng_chance(&rng, 1, 8))
			put_be32(log + 4 * i, (uint32_t)prng_below(&rng, extents));
	scratch_write(meta_path(v), raw->layout.al_byte, log, bytes);
	raw_write(v, raw);
	free(log);
}

/* Crashed, or taken down by a kernel, which never says AL_CLEAN. */
static void make_unclean(const struct volume *v, struct raw *raw)
{
	scramble_super(raw, false);
	raw->super.flags &= ~(uint32_t)(MDF_AL_CLEAN | MDF_PRIMARY_IND);
	if (prng_chance(&rng, 4, 5))
		raw->super.flags |= MDF_PRIMARY_IND;
	if (raw->version == META_VERSION_V08)
		raw->version = META_VERSION_V08_UNCLEAN;
	raw_write(v, raw);
	scramble_bitmap(v, raw);
	if (raw->version == META_VERSION_V09 && prng_chance(&rng, 1, 5))
		write_pmem(v, raw);
	else
		write_ring(v, raw);
}

/* Bits that both must have, see on-disk-metadata 8.7 i: the tail may be marked beyond the device
 * by one, and left out by the other. */
static void same_bits(const struct volume *a, const struct volume *b, const struct raw *raw)
{
	const struct md_super *s = &raw->super;
	uint64_t bit_sectors = s->bm_bytes_per_bit / 512, extent_bits = 8192 / bit_sectors;
	uint64_t bits = (s->effective_sectors + bit_sectors - 1) / bit_sectors;
	uint64_t pages = meta_bitmap_sectors(s->effective_sectors, s->max_peers,
					     s->bm_bytes_per_bit) / 8;
	uint64_t words = pages * MD_PAGE_WORDS;
	uint8_t *x = malloc(words * 4 + 1), *y = malloc(words * 4 + 1);

	ASSERT(x && y);
	scratch_read(meta_path(a), raw->layout.bitmap_byte, x, words * 4);
	scratch_read(meta_path(b), raw->layout.bitmap_byte, y, words * 4);
	for (uint64_t bit = 0; bit < bits; bit++) {
		uint64_t end = ((bit / extent_bits + 1) * extent_bits + 31) / 32;

		if (drbdmeta_has_bit_sizes() && end * s->max_peers * 4 >= words * 4)
			break;
		for (uint32_t slot = 0; slot < s->max_peers; slot++) {
			uint64_t byte = bm_disk_word(bit, slot, s->max_peers) * 4 + bit % 32 / 8;

			ASSERT(!((x[byte] ^ y[byte]) & 1U << bit % 8));
		}
	}
	free(x);
	free(y);
}

static void applied_logs(void)
{
	for (unsigned run = 0; run < RUNS; run++) {
		struct volume v, twin;
		struct raw raw, got[2];
		struct md_applied applied;
		struct md_store *store;
		struct err err = ERR_INIT;
		struct md_view view;

		volume_make(&v, "v");
		raw_read(&v, &raw);
		make_unclean(&v, &raw);
		volume_twin(&v, &raw, &twin, "twin", true);
		ASSERT(drbdmeta(name_of(&v), &twin.where, NULL, "apply-al", NULL) == 0);
		ASSERT(md_offline_open(&v.where, true, &store, &view, &err) == 0);
		ASSERT(!view.is_clean);
		ASSERT(md_offline_apply(store, &applied, &err) == 0);
		ASSERT(!applied.was_clean && !applied.is_damaged);
		md_store_close(store);
		raw_read(&v, &got[0]);
		raw_read(&twin, &got[1]);
		ASSERT(memcmp(got[0].block, got[1].block, MD_PAGE_BYTES) == 0);
		same_bits(&v, &twin, &got[0]);
	}
}

/* What drbdmeta leaves of v08 when it converts, and what we keep beyond that. */
static void check_converted(const struct md_super *ours, const struct md_super *theirs,
			    const struct md_super *before, uint8_t own, uint8_t peer)
{
	const struct md_peer *entry = &ours->peers[peer];
	uint32_t crashed = before->flags & MDF_PRIMARY_IND ? MDF_CRASHED_PRIMARY : 0;

	ASSERT(ours->current_uuid == theirs->current_uuid);
	ASSERT(ours->device_uuid == theirs->device_uuid);
	ASSERT(ours->effective_sectors == theirs->effective_sectors);
	ASSERT(memcmp(ours->history, theirs->history, sizeof(ours->history)) == 0);
	ASSERT(ours->flags == (theirs->flags | crashed));
	ASSERT(ours->max_peers == 1 && theirs->max_peers == 1);
	ASSERT(ours->md_size_sectors == theirs->md_size_sectors);
	ASSERT(ours->al_offset_sectors == theirs->al_offset_sectors);
	ASSERT(ours->bm_offset_sectors == theirs->bm_offset_sectors);
	ASSERT(ours->al_stripes == theirs->al_stripes);
	ASSERT(ours->al_stripe_4k == theirs->al_stripe_4k);
	ASSERT(ours->al_nr_extents == theirs->al_nr_extents);
	ASSERT(ours->bm_bytes_per_bit == theirs->bm_bytes_per_bit);
	/* It forgets whom the bits are about and from when on. */
	ASSERT(theirs->node_id == -1 && theirs->peers[0].bitmap_index == -1);
	ASSERT(theirs->peers[0].bitmap_uuid == 0);
	ASSERT(ours->node_id == own && entry->bitmap_index == 0);
	ASSERT(entry->bitmap_uuid == before->peers[0].bitmap_uuid);
	ASSERT((entry->flags & ~MDF_PEER_DEVICE_SEEN) == theirs->peers[0].flags);
	for (unsigned i = 0; i < NODES_MAX; i++)
		ASSERT(i == peer || ours->peers[i].bitmap_index == -1);
}

static void conversions(void)
{
	for (unsigned run = 0; run < 2 * RUNS; run++) {
		struct volume v, twin;
		struct raw raw, got[2];
		struct md_applied applied;
		struct md_store *store;
		struct err err = ERR_INIT;
		struct md_view view;
		uint8_t own = (uint8_t)prng_below(&rng, NODES_MAX);
		uint8_t peer = (uint8_t)((own + 1 + prng_below(&rng, NODES_MAX - 1)) % NODES_MAX);

		do
			volume_make(&v, "v");
		while (v.version != META_VERSION_V08);
		raw_read(&v, &raw);
		make_unclean(&v, &raw);
		volume_twin(&v, &raw, &twin, "twin", true);
		ASSERT(drbdmeta("v08", &twin.where, NULL, "apply-al", NULL) == 0);
		ASSERT(drbdmeta("v09", &twin.where, NULL, "create-md", "1", NULL) == 0);
		ASSERT(md_offline_open(&v.where, true, &store, &view, &err) == 0);
		ASSERT(md_offline_convert(store, own, peer, &applied, &err) == 0);
		md_store_close(store);
		raw_read(&v, &got[0]);
		raw_read(&twin, &got[1]);
		ASSERT(got[0].version == META_VERSION_V09 && got[1].version == META_VERSION_V09);
		check_converted(&got[0].super, &got[1].super, &raw.super, own, peer);
		same_bits(&v, &twin, &got[0]);
		drbdmeta_same_dump(&v.where, "v09");
	}
}

static void run_all(uint64_t seed)
{
	prng_seed(&rng, seed);
	dumps_and_restores();
	generations();
	applied_logs();
	conversions();
}

int main(int argc, char **argv)
{
	return drbdmeta_test(argc > 1 ? strtoull(argv[1], NULL, 0) : 31, run_all);
}

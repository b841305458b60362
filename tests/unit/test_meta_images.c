/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Metadata of the kernel module: prints as drbdmeta prints it, encodes to the same bytes. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/meta_image.h"
#include "meta/meta_al.h"
#include "meta/meta_bitmap.h"
#include "meta/meta_super.h"
#include "meta/meta_text.h"
#include "meta/meta_v08.h"

#define WORDS 512U

struct text_sink {
	struct meta_image_reader reader; /* first: also the context of read_page */
	char text[65536];
	size_t used;
};

static int collect(void *ctx, const char *text, size_t bytes)
{
	struct text_sink *sink = ctx;

	cr_assert(sink->used + bytes < sizeof(sink->text));
	memcpy(sink->text + sink->used, text, bytes);
	sink->used += bytes;
	return 0;
}

/*
 * The dumps of v08 were made by drbd-utils 9.22, which print the flags of a v09 peer entry there:
 * always 0.
 */
static void mend_v08_flags(char *dump, uint32_t flags)
{
	char *line = strstr(dump, "uuid {\n"), text[16];

	if (strncmp(dump, "version \"v08\"", 13) != 0)
		return;
	line = strstr(line, "flags 0x00000000;");
	cr_assert(line);
	(void)snprintf(text, sizeof(text), "%08" PRIX32, flags);
	memcpy(line + 8, text, 8);
}

static void check_dump(struct meta_image *image, const char *name)
{
	static struct text_sink sink;
	struct meta_text text = { .super = &sink.reader.super,
				  .read_page = meta_image_read_page,
				  .emit = collect,
				  .ctx = &sink };

	memset(&sink, 0, sizeof(sink));
	cr_assert(meta_image_open(&sink.reader, image), "%s", name);
	text.version = sink.reader.version;
	text.usable_sectors = sink.reader.layout.dump_sectors;
	text.super_byte = sink.reader.layout.super_byte;
	cr_assert_eq(meta_text_dump(&text), 0);
	mend_v08_flags(image->dump, sink.reader.super.flags);
	cr_assert_str_eq(sink.text, image->dump, "%s", name);
}

static void check_bytes(struct meta_image *image, const char *name)
{
	struct meta_image_reader r;
	uint8_t block[MD_PAGE_BYTES];
	struct al_transaction tr;
	uint64_t *words[1], bits;

	cr_assert(meta_image_open(&r, image));
	if (r.version == META_VERSION_V09)
		meta_super_encode(&r.super, block);
	else
		meta_v08_encode(&r.super, r.version, block);
	cr_assert_arr_eq(block, meta_image_at(image, r.layout.super_byte), MD_PAGE_BYTES, "%s",
			 name);
	for (uint32_t i = 0; i < r.layout.ring_blocks; i++) {
		uint8_t *raw = meta_image_at(image, r.layout.al_byte + i * MD_PAGE_BYTES);
		enum meta_al_kind kind = meta_al_decode(raw, &tr);

		cr_assert_neq(kind, META_AL_TORN, "%s block %u", name, i);
		if (kind == META_AL_UPDATE) {
			cr_assert_eq(meta_al_block_of_number(tr.number, r.super.al_stripes,
							     r.super.al_stripe_4k), i);
			meta_al_encode(&tr, block);
		} else {
			meta_al_encode_initialised(block);
		}
		cr_assert_arr_eq(block, raw, MD_PAGE_BYTES, "%s block %u", name, i);
	}
	cr_assert_eq(r.super.max_peers, 1);
	bits = r.super.effective_sectors / 8;
	cr_assert_leq(meta_bitmap_pages(bits, 1), 1);
	words[0] = calloc(WORDS, 8);
	meta_image_read_page(&r, 0, block);
	meta_bitmap_page_decode(block, 0, 1, words, WORDS);
	memset(block, 0xa5, sizeof(block));
	meta_bitmap_page_encode(words, WORDS, 1, 0, block);
	cr_assert_arr_eq(block, meta_image_at(image, r.layout.bitmap_byte), MD_PAGE_BYTES, "%s",
			 name);
	free(words[0]);
}

static const struct {
	const char *name;
	uint64_t disk_bytes;
} vectors[] = {
	{ "v9-1-fresh-16M", 16777216 },
	{ "v9-2-diverged", 2097152 },
	{ "v9-2-diverged-peer-16M", 16777216 },
	{ "v9-3-crashed-primary-16M", 16777216 },
	{ "v84-1-fresh", 2097152 },
	{ "v84-2-diverged-16M", 16777216 },
	{ "v84-2-diverged-peer-16M", 16777216 },
	{ "v84-3-crashed-primary-16M", 16777216 },
};

Test(meta_images, vectors_print_as_drbdmeta_and_encode_to_the_same_bytes)
{
	static struct meta_image image;

	for (unsigned i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
		cr_assert(meta_image_load_vector(&image, vectors[i].name, vectors[i].disk_bytes));
		check_dump(&image, vectors[i].name);
		check_bytes(&image, vectors[i].name);
		meta_image_release(&image);
	}
}

Test(meta_images, log_of_a_crashed_primary_is_replayed)
{
	static struct meta_image image;
	static struct meta_al_table table;
	struct meta_image_reader r;
	struct meta_al_ring ring = {
		.stripes = 1, .stripe_4k = 8, .read = meta_image_read_ring, .ctx = &r
	};
	enum meta_al_outcome outcome;
	unsigned hot = 0;

	cr_assert(meta_image_load_vector(&image, "v9-3-crashed-primary-16M", 16777216));
	cr_assert(meta_image_open(&r, &image));
	cr_assert(r.super.flags & MDF_PRIMARY_IND);
	cr_assert_not(r.super.flags & MDF_AL_CLEAN);
	cr_assert_eq(meta_al_replay(&ring, &table, &outcome), 0);
	cr_assert_eq(outcome, META_AL_REPLAYED);
	for (uint32_t i = 0; i < table.slot_count; i++)
		if (table.extent[i] != AL_FREE) {
			cr_assert_lt(table.extent[i], 4U, "the store has four extents");
			hot++;
		}
	cr_assert_gt(hot, 0U);
	meta_image_release(&image);
}

Test(meta_images, all_captures)
{
	const char *root = getenv("DRBDFS_CAPTURES");
	static struct meta_image image;
	struct dirent *entry;
	unsigned count = 0;
	DIR *dir;

	if (!root || !*root) {
		fprintf(stderr, "SKIP: DRBDFS_CAPTURES is not set\n");
		return;
	}
	dir = opendir(root);
	cr_assert(dir, "%s", root);
	while ((entry = readdir(dir))) {
		char path[512];

		if (strncmp(entry->d_name, "md-v", 4) != 0)
			continue;
		(void)snprintf(path, sizeof(path), "%s/%s", root, entry->d_name);
		cr_assert(meta_image_load_capture(&image, path), "%s", path);
		check_dump(&image, path);
		check_bytes(&image, path);
		meta_image_release(&image);
		count++;
	}
	closedir(dir);
	cr_assert_geq(count, 14U);
}

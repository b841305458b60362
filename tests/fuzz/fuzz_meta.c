/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Attaching a hostile store through the pure codecs: superblock, log, bitmap, dump. */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "base/crc32c.h"
#include "meta/meta_al.h"
#include "meta/meta_bitmap.h"
#include "meta/meta_layout.h"
#include "meta/meta_text.h"
#include "meta/meta_v08.h"

#define TAIL_BYTES 65536U
#define RING_BLOCKS_MAX 256U /* larger rings are only more of the same */
#define DUMP_PAGES_MAX 16U
#define DUMP_BYTES_MAX (1U << 16)
#define WORDS 64U

/*
 * The input edits a sound image: byte 0 bits 0-1 the placement, bit 2 seals the log blocks again,
 * bit 3 takes a size from bytes 1-8, bits 4-5 what is read behind the superblock (enum part); then
 * (u16 position, u8 length, bytes) until the end.
 */
enum part { PART_ALL, PART_LOG, PART_BITMAP, PART_DUMP };

struct image {
	uint8_t tail[TAIL_BYTES];
	struct meta_stores stores;
	enum part part;
	uint64_t tail_start;
	size_t dumped;
};

static uint8_t sound[TAIL_BYTES];
static struct meta_al_table table;
static uint64_t slot_words[NODES_MAX][WORDS];

static void build_sound_image(void)
{
	struct al_transaction tr = { .number = 0xfffffffd,
				     .update_count = 2,
				     .context_size = 1237 };
	struct md_super s;

	memset(&s, 0, sizeof(s));
	s.max_peers = 3;
	s.effective_sectors = 32000;
	s.flags = MDF_PRIMARY_IND | MDF_CONSISTENT;
	s.bm_bytes_per_bit = 4096;
	s.al_stripes = 1;
	s.al_stripe_4k = 8;
	s.md_size_sectors = 80;
	s.al_offset_sectors = -64;
	s.bm_offset_sectors = -72;
	for (unsigned i = 0; i < NODES_MAX; i++)
		s.peers[i].bitmap_index = i >= 1 && i <= 3 ? (int32_t)i - 1 : -1;
	meta_super_encode(&s, sound + TAIL_BYTES - MD_PAGE_BYTES);
	memset(tr.context, 0xff, sizeof(tr.context));
	for (unsigned i = 0; i < 8; i++, tr.number++) {
		tr.context_start = i % 2 ? 919 : 0;
		tr.update_slot[0] = (uint16_t)(i * 100);
		tr.update_slot[1] = 1236;
		tr.update_extent[0] = i;
		tr.update_extent[1] = 0xffff;
		meta_al_encode(&tr, sound + TAIL_BYTES - MD_PAGE_BYTES - 32768 +
					    tr.number % 8 * MD_PAGE_BYTES);
	}
}

static void seal_log(struct image *image)
{
	for (unsigned i = 0; i + MD_PAGE_BYTES <= TAIL_BYTES; i += MD_PAGE_BYTES) {
		uint8_t *block = image->tail + i;

		if (get_be32(block) != 0x69cb65a2)
			continue;
		put_be32(block + 8, 0);
		put_be32(block + 8, crc32c(0, block, MD_PAGE_BYTES));
	}
}

static void edit(struct image *image, const uint8_t *data, size_t size)
{
	uint64_t sectors = 32768;
	struct rd r = rd_init(data, size);
	uint8_t mode = rd_u8(&r);

	memcpy(image->tail, sound, sizeof(sound));
	if (mode & 8)
		sectors = rd_be64(&r) >> 10; /* no store has 2^63 bytes */
	while (r.left > 3 && !r.failed) {
		uint16_t at = rd_be16(&r);
		uint8_t n = rd_u8(&r);
		const uint8_t *p = rd_take(&r, n < r.left ? n : r.left);

		for (unsigned i = 0; p && i < n && p + i < data + size; i++)
			image->tail[(at + i) % TAIL_BYTES] = p[i];
	}
	if (mode & 4)
		seal_log(image);
	image->stores.place = (enum md_place)(mode % 4 % 3);
	image->part = (enum part)(mode >> 4 & 3);
	image->stores.index = 0;
	image->stores.data_sectors = sectors;
	image->stores.meta_sectors = sectors;
	image->tail_start = 0;
	if (image->stores.place == MD_PLACE_INTERNAL && sectors / 8 * 4096 > TAIL_BYTES)
		image->tail_start = sectors / 8 * 4096 - TAIL_BYTES;
	image->dumped = 0;
}

static void read_at(const struct image *image, uint64_t byte, uint8_t block[static MD_PAGE_BYTES])
{
	if (byte >= image->tail_start && byte - image->tail_start <= TAIL_BYTES - MD_PAGE_BYTES)
		memcpy(block, image->tail + (byte - image->tail_start), MD_PAGE_BYTES);
	else
		memset(block, 0, MD_PAGE_BYTES);
}

struct attach {
	struct image *image;
	struct meta_layout layout;
	enum meta_version version;
	struct md_super super;
};

static int read_ring(void *ctx, uint32_t index, uint8_t block[static MD_PAGE_BYTES])
{
	struct attach *a = ctx;

	ASSERT(index < a->layout.ring_blocks);
	read_at(a->image, a->layout.al_byte + (uint64_t)index * MD_PAGE_BYTES, block);
	return 0;
}

static int read_page(void *ctx, uint64_t page, uint8_t block[static MD_PAGE_BYTES])
{
	struct attach *a = ctx;

	ASSERT(page < a->layout.bitmap_pages);
	if (page >= DUMP_PAGES_MAX)
		return -1;
	read_at(a->image, a->layout.bitmap_byte + page * MD_PAGE_BYTES, block);
	return 0;
}

static int count_text(void *ctx, const char *text, size_t bytes)
{
	struct attach *a = ctx;

	ASSERT(text && bytes < 4096);
	a->image->dumped += bytes;
	return a->image->dumped > DUMP_BYTES_MAX ? -1 : 0;
}

static void check_layout(const struct attach *a)
{
	const struct meta_layout *l = &a->layout;
	uint64_t store_bytes = a->image->stores.meta_sectors * 512;

	ASSERT(l->first_byte < l->end_byte && l->end_byte <= store_bytes);
	ASSERT(l->super_byte >= l->first_byte && l->super_byte + MD_PAGE_BYTES <= l->end_byte);
	ASSERT(l->al_byte >= l->first_byte &&
	       l->al_byte + (uint64_t)l->ring_blocks * MD_PAGE_BYTES <= l->end_byte);
	ASSERT(l->bitmap_byte >= l->first_byte &&
	       l->bitmap_byte + l->bitmap_pages * MD_PAGE_BYTES <= l->end_byte);
	ASSERT(IMPLIES(a->image->stores.place == MD_PLACE_INTERNAL,
		       l->data_sectors * 512 <= l->first_byte));
}

static void replay(struct attach *a)
{
	struct meta_al_ring ring = { .stripes = a->super.al_stripes,
				     .stripe_4k = a->super.al_stripe_4k,
				     .extent_count = a->super.al_nr_extents,
				     .read = read_ring,
				     .ctx = a };
	enum meta_al_outcome outcome;

	if (a->layout.ring_blocks > RING_BLOCKS_MAX)
		return;
	ASSERT(meta_al_replay(&ring, &table, &outcome) == 0);
	ASSERT(table.slot_count <= META_AL_SLOTS_MAX);
}

static void load_bitmap(struct attach *a)
{
	uint64_t *slots[NODES_MAX];
	uint8_t block[MD_PAGE_BYTES], again[MD_PAGE_BYTES];

	for (unsigned i = 0; i < NODES_MAX; i++)
		slots[i] = slot_words[i];
	for (uint64_t page = 0; page < a->layout.bitmap_pages && page < DUMP_PAGES_MAX; page++) {
		read_page(a, page, block);
		meta_bitmap_page_decode(block, page, a->super.max_peers, slots, WORDS);
		meta_bitmap_page_encode(slots, WORDS, a->super.max_peers, page, again);
		if ((page + 1) * MD_PAGE_WORDS <= (uint64_t)2 * WORDS * a->super.max_peers)
			ASSERT(memcmp(block, again, MD_PAGE_BYTES) == 0);
	}
}

static void dump(struct attach *a)
{
	(void)meta_text_dump(&(struct meta_text){ .version = a->version,
						  .super = &a->super,
						  .usable_sectors = a->layout.data_sectors,
						  .super_byte = a->layout.super_byte,
						  .read_page = read_page,
						  .emit = count_text,
						  .ctx = a });
}

/* Encodes to what it was decoded from, and converts to something that v09 accepts. */
static void check_v08(const struct attach *a)
{
	uint8_t block[MD_PAGE_BYTES], again[MD_PAGE_BYTES];
	struct md_super back;

	meta_v08_encode(&a->super, a->version, block);
	ASSERT(meta_v08_decode(block, &back) == META_OK);
	meta_v08_encode(&back, a->version, again);
	ASSERT(memcmp(block, again, sizeof(block)) == 0);
	meta_v08_convert(&back, 1, 0);
	meta_super_encode(&back, block);
	ASSERT(meta_super_decode(block, &back) == META_OK);
}

static void attach(struct image *image)
{
	struct attach a = { .image = image };
	uint8_t block[MD_PAGE_BYTES], again[MD_PAGE_BYTES];
	struct md_super back;
	uint64_t sector;

	if (meta_layout_locate(&image->stores, &sector) != META_OK)
		return;
	read_at(image, sector * 512, block);
	a.version = meta_version_recognise(block);
	(void)meta_version_name(a.version);
	(void)meta_version_advice(a.version);
	if (a.version == META_VERSION_V08 || a.version == META_VERSION_V08_UNCLEAN) {
		if (meta_v08_decode(block, &a.super) != META_OK)
			return;
		check_v08(&a);
	} else {
		if (meta_super_decode(block, &a.super) != META_OK)
			return;
		meta_super_encode(&a.super, again);
		ASSERT(meta_super_decode(again, &back) == META_OK);
		meta_super_encode(&back, block);
		ASSERT(memcmp(block, again, sizeof(block)) == 0);
	}
	if (meta_layout_check(&image->stores, &a.super, &a.layout) != META_OK)
		return;
	check_layout(&a);
	if (image->part == PART_ALL || image->part == PART_LOG)
		replay(&a);
	if (image->part == PART_ALL || image->part == PART_BITMAP)
		load_bitmap(&a);
	if (image->part == PART_ALL || image->part == PART_DUMP)
		dump(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct image image;

	if (!get_be32(sound + TAIL_BYTES - MD_PAGE_BYTES + META_MAGIC_OFFSET))
		build_sound_image();
	edit(&image, data, size);
	attach(&image);
	return 0;
}

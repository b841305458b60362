/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Superblock and layout: positions against worked examples, every refusal of a hostile block. */
#include <criterion/criterion.h>
#include <string.h>

#include "base/bytes.h"
#include "meta/meta_layout.h"
#include "meta/meta_version.h"
#include "meta/meta_super.h"

static struct md_super fresh(uint32_t max_peers)
{
	struct md_super s;

	memset(&s, 0, sizeof(s));
	s.current_uuid = UUID_JUST_CREATED;
	s.flags = MDF_AL_CLEAN;
	s.al_nr_extents = 257;
	s.bm_bytes_per_bit = 4096;
	s.max_peers = max_peers;
	s.node_id = -1;
	s.al_stripes = 1;
	s.al_stripe_4k = 8;
	for (unsigned i = 0; i < NODES_MAX; i++)
		s.peers[i].bitmap_index = -1;
	return s;
}

static struct meta_stores internal(uint64_t sectors)
{
	return (struct meta_stores){ .place = MD_PLACE_INTERNAL, .data_sectors = sectors,
				     .meta_sectors = sectors };
}

/* Encodes, changes one 32-bit field and decodes. */
static enum meta_verdict decode_with(struct md_super s, unsigned offset, uint32_t value)
{
	uint8_t block[MD_PAGE_BYTES];

	meta_super_encode(&s, block);
	put_be32(block + offset, value);
	return meta_super_decode(block, &s);
}

Test(meta_layout, worked_example_of_one_gib_with_seven_peers)
{
	struct meta_stores stores = internal(2097152);
	struct md_super s = fresh(7);
	struct meta_layout l;

	cr_assert_eq(meta_layout_fresh(&stores, &s, &l), META_OK);
	cr_assert_eq(s.md_size_sectors, 520);
	cr_assert_eq(s.al_offset_sectors, -64);
	cr_assert_eq(s.bm_offset_sectors, -512);
	cr_assert_eq(l.super_byte, UINT64_C(2097144) * 512);
	cr_assert_eq(l.data_sectors, 2096632);
	cr_assert_eq(l.ring_blocks, 8);
	cr_assert_eq(l.bitmap_pages, 56);
	cr_assert_eq(l.first_byte, UINT64_C(2096632) * 512);
	cr_assert_eq(l.end_byte, UINT64_C(2097152) * 512);
}

Test(meta_layout, odd_sizes_leave_a_tail_behind_the_superblock)
{
	struct md_super s = fresh(3);
	struct meta_layout l;

	for (uint64_t odd = 0; odd < 8; odd++) {
		struct meta_stores stores = internal(614400 + odd);

		cr_assert_eq(meta_layout_fresh(&stores, &s, &l), META_OK);
		cr_assert_eq(l.super_byte, UINT64_C(614392) * 512);
		cr_assert_eq(l.end_byte, UINT64_C(614400) * 512);
		cr_assert_eq(meta_layout_check(&stores, &s, &l), META_OK);
	}
}

Test(meta_layout, indexed_and_external_positions)
{
	struct meta_stores stores = { .place = MD_PLACE_INDEXED,
				      .index = 2,
				      .data_sectors = 1 << 20,
				      .meta_sectors = 3 * META_INDEXED_SECTORS };
	struct md_super s = fresh(1);
	struct meta_layout l;

	cr_assert_eq(meta_layout_fresh(&stores, &s, &l), META_OK);
	cr_assert_eq(l.super_byte, UINT64_C(2) * META_INDEXED_SECTORS * 512);
	cr_assert_eq(s.md_size_sectors, 262144);
	cr_assert_eq(s.al_offset_sectors, 8);
	cr_assert_eq(s.bm_offset_sectors, 72);
	cr_assert_eq(l.data_sectors, 1 << 20);
	stores.index = 3;
	cr_assert_eq(meta_layout_fresh(&stores, &s, &l), META_BAD_SIZE);
	stores.index = UINT32_MAX;
	cr_assert_eq(meta_layout_fresh(&stores, &s, &l), META_BAD_SIZE);

	stores = (struct meta_stores){ .place = MD_PLACE_EXTERNAL,
				       .data_sectors = UINT64_C(1) << 40,
				       .meta_sectors = 6144 };
	cr_assert_eq(meta_layout_fresh(&stores, &s, &l), META_OK);
	cr_assert_eq(s.md_size_sectors, 6144);
	cr_assert_eq(l.super_byte, 0);
	/* 6072 sectors = 759 pages, 512 words each. */
	cr_assert_eq(l.data_sectors, UINT64_C(759) * 512 * 64 * 8);
}

/* The formulas of the two other implementations, as on-disk-metadata 2.3 has them. */
Test(meta_layout, external_room_is_below_every_other_formula)
{
	for (uint32_t peers = 1; peers <= 31; peers++) {
		struct meta_stores stores = { .place = MD_PLACE_EXTERNAL,
					      .data_sectors = META_DATA_SECTORS_MAX,
					      .meta_sectors = 4096 + peers * 8 };
		struct md_super s = fresh(peers);
		struct meta_layout l;
		uint64_t bytes, words, clip;

		cr_assert_eq(meta_layout_fresh(&stores, &s, &l), META_OK);
		bytes = (stores.meta_sectors - 72) * 512;
		words = bytes * 8 / 64 / peers * 64 * 8;
		clip = bytes / 4096 * 4096 / peers * 8 * 8;
		cr_assert_leq(l.data_sectors, words);
		cr_assert_leq(l.data_sectors, clip);
		cr_assert_leq(meta_bitmap_sectors(l.data_sectors, peers, 4096), l.bitmap_pages * 8);
		cr_assert_gt(meta_bitmap_sectors(l.data_sectors + 64 * 8, peers, 4096),
			     l.bitmap_pages * 8, "not a word more than fits, not one less (%u)",
			     peers);
	}
}

Test(meta_layout, too_small_and_too_large_stores)
{
	struct meta_layout l;
	struct md_super s = fresh(31);
	uint64_t sizes[] = { 0, 1, 8, 135, UINT64_MAX / 512, META_DATA_SECTORS_MAX + 1 };

	for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct meta_stores stores = internal(sizes[i]);

		cr_assert_eq(meta_layout_fresh(&stores, &s, &l), META_BAD_SIZE, "%u", i);
	}
	struct meta_stores least = internal(136);
	cr_assert_eq(meta_layout_fresh(&least, &s, &l), META_OK);
	cr_assert_gt(l.data_sectors, 0U);
}

Test(meta_layout, hostile_geometry_is_refused)
{
	static const uint32_t values[] = { 0,
					   1,
					   7,
					   8,
					   9,
					   0x7fffffff,
					   0x80000000,
					   0x80000008,
					   0xffffffff,
					   0xfffffff8,
					   (uint32_t)-72,
					   (uint32_t)-71,
					   (uint32_t)-64 };
	struct meta_stores stores = internal(32768);
	struct md_super s = fresh(3);
	struct meta_layout l;

	cr_assert_eq(meta_layout_fresh(&stores, &s, &l), META_OK);
	for (unsigned i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		struct md_super bad = s;

		bad.al_offset_sectors = (int32_t)values[i];
		cr_assert(meta_layout_check(&stores, &bad, &l) == META_OK
				  ? bad.al_offset_sectors == s.al_offset_sectors : true);
		bad = s;
		bad.bm_offset_sectors = (int32_t)values[i];
		if (meta_layout_check(&stores, &bad, &l) == META_OK) {
			cr_assert_lt(l.bitmap_byte, l.al_byte);
			cr_assert_gt(l.data_sectors, 0U);
		}
	}
	s.bm_offset_sectors = -32768;
	cr_assert_eq(meta_layout_check(&stores, &s, &l), META_BAD_SIZE, "would leave no data");
}

Test(meta_layout, agreed_size_beyond_the_bitmap_is_refused)
{
	struct meta_stores stores = internal(32768);
	struct md_super s = fresh(1);
	struct meta_layout l;

	cr_assert_eq(meta_layout_fresh(&stores, &s, &l), META_OK);
	s.effective_sectors = UINT64_C(8) * 4096 * 8;
	cr_assert_eq(meta_layout_check(&stores, &s, &l), META_OK, "fits the bitmap");
	s.effective_sectors++;
	cr_assert_eq(meta_layout_check(&stores, &s, &l), META_BAD_ROOM);
	s.effective_sectors = UINT64_MAX;
	cr_assert_eq(meta_layout_check(&stores, &s, &l), META_BAD_ROOM);
}

Test(meta_super, bytes_of_a_fresh_one)
{
	struct meta_stores stores = internal(32768);
	struct md_super s = fresh(3);
	struct meta_layout l;
	uint8_t b[MD_PAGE_BYTES];

	cr_assert_eq(meta_layout_fresh(&stores, &s, &l), META_OK);
	meta_super_encode(&s, b);
	cr_assert_eq(get_be64(b + 8), 4);
	cr_assert_eq(get_be32(b + 56), 0x80);
	cr_assert_eq(get_be32(b + 60), 0x8374026d);
	cr_assert_eq(get_be32(b + 72), 257);
	cr_assert_eq(get_be32(b + 92), 0xffffffff);
	cr_assert_eq(get_be32(b + 112 + 31 * 32 + 20), 0xffffffff);
	for (unsigned i = 1136; i < MD_PAGE_BYTES; i++)
		cr_assert_eq(b[i], 0);
}

Test(meta_super, have_bitmap_is_never_stored)
{
	struct md_super s = fresh(2), back;
	uint8_t b[MD_PAGE_BYTES];

	s.peers[4].flags = 0x80010011;
	meta_super_encode(&s, b);
	cr_assert_eq(get_be32(b + 112 + 4 * 32 + 16), 0x00010011);
	put_be32(b + 112 + 4 * 32 + 16, 0x80000008);
	cr_assert_eq(meta_super_decode(b, &back), META_OK);
	cr_assert_eq(back.peers[4].flags, 8);
}

Test(meta_super, fields_out_of_range)
{
	struct md_super s = fresh(3);

	cr_assert_eq(decode_with(s, 60, 0), META_NONE);
	cr_assert_eq(decode_with(s, 60, 0x8374026e), META_NONE);
	cr_assert_eq(decode_with(s, 80, 0), META_BAD_BIT_SIZE);
	cr_assert_eq(decode_with(s, 80, 2048), META_BAD_BIT_SIZE);
	cr_assert_eq(decode_with(s, 80, 5000), META_BAD_BIT_SIZE);
	cr_assert_eq(decode_with(s, 80, 1 << 20), META_OK);
	cr_assert_eq(decode_with(s, 80, 1 << 21), META_BAD_BIT_SIZE);
	cr_assert_eq(decode_with(s, 88, 0), META_BAD_MAX_PEERS);
	cr_assert_eq(decode_with(s, 88, 32), META_OK);
	cr_assert_eq(decode_with(s, 88, 33), META_BAD_MAX_PEERS);
	cr_assert_eq(decode_with(s, 88, 0xffffffff), META_BAD_MAX_PEERS);
	cr_assert_eq(decode_with(s, 92, 31), META_OK);
	cr_assert_eq(decode_with(s, 92, 32), META_BAD_NODE_ID);
	cr_assert_eq(decode_with(s, 92, 0xfffffffe), META_BAD_NODE_ID);
	cr_assert_eq(decode_with(s, 92, 0x80000000), META_BAD_NODE_ID);
	cr_assert_eq(decode_with(s, 96, 0), META_BAD_STRIPES);
	cr_assert_eq(decode_with(s, 96, 0xffffffff), META_BAD_STRIPES);
	cr_assert_eq(decode_with(s, 100, 7), META_BAD_STRIPES);
	cr_assert_eq(decode_with(s, 100, 4194304), META_OK);
	cr_assert_eq(decode_with(s, 100, 4194305), META_BAD_STRIPES);
}

Test(meta_super, slots)
{
	struct md_super s = fresh(3);
	const unsigned index_of_2 = 112 + 2 * 32 + 20;

	s.node_id = 1;
	s.peers[0].bitmap_index = 2;
	cr_assert_eq(decode_with(s, index_of_2, 0), META_OK);
	cr_assert_eq(decode_with(s, index_of_2, 2), META_BAD_SLOT, "taken twice");
	cr_assert_eq(decode_with(s, index_of_2, 3), META_BAD_SLOT, "beyond the slots");
	cr_assert_eq(decode_with(s, index_of_2, 32), META_BAD_SLOT);
	cr_assert_eq(decode_with(s, index_of_2, 0x80000000), META_BAD_SLOT);
	cr_assert_eq(decode_with(s, index_of_2, 0xfffffffe), META_BAD_SLOT);
	cr_assert_eq(decode_with(s, 112 + 1 * 32 + 20, 1), META_BAD_SLOT, "own entry");
}

Test(meta_version, versions_are_told_apart)
{
	uint8_t b[MD_PAGE_BYTES] = { 0 };
	struct md_super s;

	cr_assert_eq(meta_version_recognise(b), META_VERSION_NONE);
	put_be32(b + 60, 0x8374026b);
	cr_assert_eq(meta_version_recognise(b), META_VERSION_V08);
	cr_assert_eq(meta_super_decode(b, &s), META_LEGACY);
	put_be32(b + 60, 0x8374026c);
	cr_assert_eq(meta_version_recognise(b), META_VERSION_V08_UNCLEAN);
	put_be32(b + 60, 0);
	put_be32(b + 28, 0x8374026a);
	cr_assert_eq(meta_version_recognise(b), META_VERSION_V07);
	cr_assert(strstr(meta_version_advice(META_VERSION_V08_UNCLEAN), "--from-v08"));
}

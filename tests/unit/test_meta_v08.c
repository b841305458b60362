/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The superblock of DRBD 8 field by field, and what becomes of it in v09. */
#include <criterion/criterion.h>
#include <string.h>

#include "base/bytes.h"
#include "meta/meta_v08.h"

/* Every field its own value, at the offsets of the table in on-disk-metadata 4. */
static void fill(uint8_t b[static MD_PAGE_BYTES])
{
	memset(b, 0, MD_PAGE_BYTES);
	put_be64(b, 0x1112131415161718);
	put_be64(b + 8, 0x2122232425262728);
	put_be64(b + 16, 0x3132333435363738);
	put_be64(b + 24, 0x4142434445464748);
	put_be64(b + 32, 0x5152535455565758);
	put_be64(b + 40, 0x6162636465666768);
	put_be32(b + 56, 0x71727374);
	put_be32(b + 60, 0x8374026b);
	put_be32(b + 64, 0xfffffff0);
	put_be32(b + 68, 0xffffffc0);
	put_be32(b + 72, 0xffffffff);
	put_be32(b + 76, 0x80000000);
	put_be32(b + 80, 4096);
	put_be32(b + 84, 0x91929394);
	put_be32(b + 88, 3);
	put_be32(b + 92, 5);
}

Test(meta_v08, every_field)
{
	uint8_t b[MD_PAGE_BYTES], again[MD_PAGE_BYTES];
	struct md_super s;

	fill(b);
	cr_assert_eq(meta_v08_decode(b, &s), META_OK);
	cr_assert_eq(s.effective_sectors, 0x1112131415161718);
	cr_assert_eq(s.current_uuid, 0x2122232425262728);
	cr_assert_eq(s.peers[0].bitmap_uuid, 0x3132333435363738);
	cr_assert_eq(s.history[0], 0x4142434445464748);
	cr_assert_eq(s.history[1], 0x5152535455565758);
	cr_assert_eq(s.device_uuid, 0x6162636465666768);
	cr_assert_eq(s.flags, 0x71727374);
	cr_assert_eq(s.md_size_sectors, 0xfffffff0);
	cr_assert_eq(s.al_offset_sectors, -64);
	cr_assert_eq(s.al_nr_extents, UINT32_MAX);
	cr_assert_eq(s.bm_offset_sectors, INT32_MIN);
	cr_assert_eq(s.la_peer_max_bio_bytes, 0x91929394);
	cr_assert_eq(s.al_stripes, 3);
	cr_assert_eq(s.al_stripe_4k, 5);
	cr_assert_eq(s.max_peers, 1);
	cr_assert_eq(s.node_id, -1);
	meta_v08_encode(&s, META_VERSION_V08, again);
	cr_assert_arr_eq(b, again, MD_PAGE_BYTES);
	put_be32(b + 60, 0x8374026c);
	cr_assert_eq(meta_v08_decode(b, &s), META_OK);
	meta_v08_encode(&s, META_VERSION_V08_UNCLEAN, again);
	cr_assert_arr_eq(b, again, MD_PAGE_BYTES);
}

static enum meta_verdict with(unsigned offset, uint32_t value)
{
	uint8_t b[MD_PAGE_BYTES];
	struct md_super s;

	fill(b);
	put_be32(b + offset, value);
	return meta_v08_decode(b, &s);
}

Test(meta_v08, what_is_refused)
{
	cr_assert_eq(with(60, 0x8374026a), META_NONE);
	cr_assert_eq(with(60, 0x8374026d), META_NONE);
	cr_assert_eq(with(60, 0), META_NONE);
	cr_assert_eq(with(80, 8192), META_BAD_BIT_SIZE, "DRBD 8 has no such bits");
	cr_assert_eq(with(80, 0), META_BAD_BIT_SIZE);
	cr_assert_eq(with(88, 0), META_BAD_STRIPES, "only one of both is 0");
	cr_assert_eq(with(92, 0), META_BAD_STRIPES);
	cr_assert_eq(with(92, 2), META_BAD_STRIPES, "less than 32 KiB");
	cr_assert_eq(with(92, UINT32_MAX), META_BAD_STRIPES);
}

Test(meta_v08, before_8_4_there_was_one_size_of_log)
{
	uint8_t b[MD_PAGE_BYTES];
	struct md_super s;

	fill(b);
	put_be32(b + 88, 0);
	put_be32(b + 92, 0);
	cr_assert_eq(meta_v08_decode(b, &s), META_OK);
	cr_assert_eq(s.al_stripes, 1);
	cr_assert_eq(s.al_stripe_4k, 8);
}

static struct md_super converted(uint32_t flags, uint64_t sectors)
{
	uint8_t b[MD_PAGE_BYTES];
	struct md_super s, back;

	fill(b);
	put_be32(b + 56, flags);
	put_be64(b, sectors);
	cr_assert_eq(meta_v08_decode(b, &s), META_OK);
	meta_v08_convert(&s, 30, 0);
	meta_super_encode(&s, b);
	cr_assert_eq(meta_super_decode(b, &back), META_OK);
	return back;
}

Test(meta_v08, conversion_keeps_generations_and_who_they_are_about)
{
	struct md_super s = converted(MDF_CONSISTENT | MDF_WAS_UP_TO_DATE, 1000);

	cr_assert_eq(s.current_uuid, 0x2122232425262728);
	cr_assert_eq(s.peers[0].bitmap_uuid, 0x3132333435363738);
	cr_assert_eq(s.peers[0].bitmap_index, 0);
	cr_assert_eq(s.peers[0].flags, MDF_PEER_DEVICE_SEEN);
	cr_assert_eq(s.history[0], 0x4142434445464748);
	cr_assert_eq(s.history[1], 0x5152535455565758);
	cr_assert_eq(s.history[2], 0);
	cr_assert_eq(s.device_uuid, 0x6162636465666768);
	cr_assert_eq(s.node_id, 30);
	cr_assert_eq(s.max_peers, 1);
	cr_assert_eq(s.flags, MDF_CONSISTENT | MDF_WAS_UP_TO_DATE | MDF_AL_CLEAN);
	for (unsigned i = 1; i < NODES_MAX; i++) {
		cr_assert_eq(s.peers[i].bitmap_index, -1);
		cr_assert_eq(s.peers[i].bitmap_uuid, 0);
	}
	cr_assert_eq(converted(0, 0).peers[0].flags, 0, "never met: no disk has been seen");
}

Test(meta_v08, conversion_moves_the_flags_about_the_peer)
{
	static const struct {
		uint32_t v08, device, peer;
	} rows[] = {
		{ MDF_V08_CONNECTED, 0, MDF_PEER_CONNECTED },
		{ MDF_V08_FULL_SYNC, 0, MDF_PEER_FULL_SYNC },
		{ MDF_V08_PEER_OUTDATED, 0, MDF_PEER_OUTDATED },
		{ MDF_CONSISTENT, MDF_CONSISTENT, 0 },
		{ MDF_CRASHED_PRIMARY, MDF_CRASHED_PRIMARY, 0 },
		{ MDF_AL_DISABLED, MDF_AL_DISABLED, 0 },
		/* 8.4 does not say CRASHED_PRIMARY while it is Primary. */
		{ MDF_PRIMARY_IND, MDF_PRIMARY_IND | MDF_CRASHED_PRIMARY, 0 },
	};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct md_super s = converted(rows[i].v08, 0);

		cr_assert_eq(s.flags, rows[i].device | MDF_AL_CLEAN, "row %u", i);
		cr_assert_eq(s.peers[0].flags, rows[i].peer, "row %u", i);
	}
}

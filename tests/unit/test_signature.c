/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is recognised on a store, and how far it reaches. */
#include <criterion/criterion.h>
#include <string.h>

#include "../lib/scratch.h"
#include "base/bytes.h"
#include "disk/signature.h"

#define MIB (UINT64_C(1) << 20)

static uint8_t head[256 * 1024];

static int find(struct signature *found)
{
	const char *path = scratch_file("store", 4 * MIB);
	struct err err = ERR_INIT;
	struct backing *b = NULL;
	int rc;

	scratch_write(path, 0, head, sizeof(head));
	cr_assert_eq(backing_open(path, 0, NULL, &b, &err), 0, "%s", err.text);
	rc = signature_find(b, found);
	backing_close(b);
	memset(head, 0, sizeof(head));
	return rc;
}

static void expect(const char *word, uint64_t end_byte)
{
	struct signature found = { 0 };

	cr_assert_eq(find(&found), 1, "%s", word);
	cr_assert(strstr(found.what, word), "%s", found.what);
	cr_assert_eq(found.end_byte, end_byte, "%s: %lu", word, (unsigned long)found.end_byte);
}

static void put(size_t at, const char *s, size_t bytes)
{
	memcpy(head + at, s, bytes);
}

static void le16(size_t at, uint16_t v)
{
	head[at] = (uint8_t)v;
	head[at + 1] = (uint8_t)(v >> 8);
}

TestSuite(signature, .init = scratch_begin, .fini = scratch_end);

Test(signature, nothing)
{
	struct signature found;

	cr_assert_eq(find(&found), 0);
	memset(head, 0xff, sizeof(head));
	cr_assert_eq(find(&found), 0);
}

Test(signature, file_systems_and_their_sizes)
{
	le16(0x438, 0xef53);
	put_le32(head + 0x404, 1000);
	put_le32(head + 0x418, 2);
	expect("ext", 4096000);
	le16(0x438, 0xef53);
	put_le32(head + 0x404, 1000);
	put_le32(head + 0x418, 2);
	put_le32(head + 0x460, 0x80);
	put_le32(head + 0x550, 1);
	expect("ext", ((UINT64_C(1) << 32) + 1000) * 4096);
	put(0, "XFSB", 4);
	put_be32(head + 4, 4096);
	put_be64(head + 8, 300);
	expect("XFS", 300 * 4096);
	put(0x10040, "_BHRfS_M", 8);
	put_le64(head + 0x100d1, 777216);
	expect("Btrfs", 777216);
	put(3, "NTFS    ", 8);
	le16(11, 512);
	put_le64(head + 0x28, 2000);
	expect("NTFS", 1024000);
	put(0x36, "FAT16   ", 8);
	put(510, "\x55\xaa", 2);
	le16(11, 512);
	le16(0x13, 1000);
	expect("FAT", 512000);
	put(0x8001, "CD001", 5);
	put_le32(head + 0x8050, 100);
	expect("ISO", 204800);
}

Test(signature, containers_and_tables)
{
	put(0, "LUKS\xba\xbe", 6);
	expect("LUKS", UINT64_MAX);
	put(512, "LABELONE", 8);
	put(512 + 24, "LVM2 001", 8);
	put_le32(head + 512 + 20, 32);
	put_le64(head + 512 + 32 + 32, 3 * MIB);
	expect("LVM", 3 * MIB);
	put(4096 - 10, "SWAPSPACE2", 10);
	put_le32(head + 1028, 255);
	expect("swap", MIB);
	put(510, "\x55\xaa", 2);
	head[446 + 4] = 0xee;
	put_le32(head + 446 + 8, 1);
	put_le32(head + 446 + 12, 0xffffffff);
	put(512, "EFI PART", 8);
	put_le64(head + 512 + 0x20, 8191);
	expect("GPT", 4 * MIB);
	put(510, "\x55\xaa", 2);
	head[446 + 4] = 0x83;
	put_le32(head + 446 + 8, 2048);
	put_le32(head + 446 + 12, 1024);
	expect("MBR", 3072 * 512);
}

/* Sizes are hostile input: they are compared, never used to find anything. */
Test(signature, absurd_sizes)
{
	put(0, "XFSB", 4);
	put_be32(head + 4, 0xffffffff);
	put_be64(head + 8, UINT64_MAX);
	expect("XFS", UINT64_MAX);
	put(512, "EFI PART", 8);
	put_le64(head + 512 + 0x20, UINT64_MAX);
	expect("GPT", UINT64_MAX);
	put(512, "LABELONE", 8);
	put(512 + 24, "LVM2 001", 8);
	put_le32(head + 512 + 20, 0xffffffff);
	expect("LVM", UINT64_MAX);
	le16(0x438, 0xef53);
	put_le32(head + 0x404, 1);
	put_le32(head + 0x418, 0xffffffff);
	struct signature found;
	cr_assert_eq(find(&found), 0, "no such block size");
}

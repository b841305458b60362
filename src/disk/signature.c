/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Table of signatures of file systems, partition tables, volume managers and the like. */
#include "disk/signature.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"

#define HEAD_BYTES (256U * 1024U) /* every signature lies in here */
#define WHOLE UINT64_MAX

/* Start of the store; zero behind its end. */
struct head {
	const uint8_t *p;
};

static uint64_t product(uint64_t count, uint64_t bytes)
{
	uint64_t out;

	return __builtin_mul_overflow(count, bytes, &out) ? WHOLE : out;
}

static uint16_t le16_at(const struct head *h, size_t at)
{
	return (uint16_t)(h->p[at] | h->p[at + 1] << 8);
}

static bool has(const struct head *h, size_t at, const char *magic, size_t bytes)
{
	ASSERT(at + bytes <= HEAD_BYTES);
	return memcmp(h->p + at, magic, bytes) == 0;
}

/* Each probe returns the end of what it found, 0 = not that. */

static uint64_t probe_ext(const struct head *h)
{
	uint64_t blocks;
	uint32_t shift = get_le32(h->p + 0x418);

	if (!has(h, 0x438, "\x53\xef", 2) || shift > 6)
		return 0;
	blocks = get_le32(h->p + 0x404);
	if (get_le32(h->p + 0x460) & 0x80)
		blocks |= (uint64_t)get_le32(h->p + 0x550) << 32;
	return product(blocks, UINT64_C(1024) << shift);
}

static uint64_t probe_xfs(const struct head *h)
{
	return has(h, 0, "XFSB", 4) ? product(get_be64(h->p + 8), get_be32(h->p + 4)) : 0;
}

static uint64_t probe_btrfs(const struct head *h)
{
	/* Size of this device, not of the file system, which may have several. */
	return has(h, 0x10040, "_BHRfS_M", 8) ? get_le64(h->p + 0x100d1) : 0;
}

static uint64_t probe_f2fs(const struct head *h)
{
	return has(h, 0x400, "\x10\x20\xf5\xf2", 4) ? WHOLE : 0;
}

static uint64_t probe_jfs(const struct head *h)
{
	return has(h, 0x8000, "JFS1", 4)
		       ? product(get_le64(h->p + 0x8008), get_le32(h->p + 0x8018)) : 0;
}

static uint64_t probe_reiserfs(const struct head *h)
{
	if (!has(h, 0x10034, "ReIsErFs", 8) && !has(h, 0x10034, "ReIsEr2F", 8) &&
	    !has(h, 0x10034, "ReIsEr3F", 8))
		return 0;
	return product(get_le32(h->p + 0x10000), le16_at(h, 0x1002c));
}

static uint64_t probe_squashfs(const struct head *h)
{
	return has(h, 0, "hsqs", 4) ? get_le64(h->p + 0x28) : 0;
}

static uint64_t probe_iso9660(const struct head *h)
{
	return has(h, 0x8001, "CD001", 5) ? product(get_le32(h->p + 0x8050), 2048) : 0;
}

static uint64_t probe_ntfs(const struct head *h)
{
	return has(h, 3, "NTFS    ", 8) ? product(get_le64(h->p + 0x28), le16_at(h, 11)) : 0;
}

static uint64_t probe_exfat(const struct head *h)
{
	if (!has(h, 3, "EXFAT   ", 8) || h->p[108] > 12)
		return 0;
	return product(get_le64(h->p + 72), UINT64_C(1) << h->p[108]);
}

static bool is_fat(const struct head *h)
{
	return has(h, 510, "\x55\xaa", 2) && (has(h, 0x36, "FAT", 3) || has(h, 0x52, "FAT32", 5));
}

static uint64_t probe_fat(const struct head *h)
{
	uint64_t sectors = le16_at(h, 0x13);

	if (!is_fat(h))
		return 0;
	return product(sectors ? sectors : get_le32(h->p + 0x20), le16_at(h, 11));
}

static uint64_t probe_swap(const struct head *h)
{
	static const size_t page_bytes[] = { 4096, 8192, 16384, 65536 };

	for (unsigned i = 0; i < ARRAY_LEN(page_bytes); i++) {
		size_t at = page_bytes[i] - 10;

		if (has(h, at, "SWAP-SPACE", 10))
			return WHOLE;
		if (has(h, at, "SWAPSPACE2", 10) || has(h, at, "S1SUSPEND\0", 10) ||
		    has(h, at, "S2SUSPEND\0", 10))
			return product((uint64_t)get_le32(h->p + 1028) + 1, page_bytes[i]);
	}
	return 0;
}

static uint64_t probe_luks(const struct head *h)
{
	return has(h, 0, "LUKS\xba\xbe", 6) ? WHOLE : 0;
}

static uint64_t probe_lvm(const struct head *h)
{
	for (size_t at = 0; at < 4 * 512; at += 512) {
		uint32_t header = get_le32(h->p + at + 20);

		if (!has(h, at, "LABELONE", 8) || !has(h, at + 24, "LVM2 001", 8))
			continue;
		if (header > 512 - 40)
			return WHOLE;
		return get_le64(h->p + at + header + 32);
	}
	return 0;
}

static uint64_t probe_md_raid(const struct head *h)
{
	return has(h, 0, "\xfc\x4e\x2b\xa9", 4) || has(h, 4096, "\xfc\x4e\x2b\xa9", 4) ? WHOLE : 0;
}

static uint64_t probe_zfs(const struct head *h)
{
	/* Array of uberblocks in the first label. */
	for (size_t at = 128U * 1024U; at < HEAD_BYTES; at += 1024)
		if (has(h, at, "\x0c\xb1\xba\0\0\0\0\0", 8) ||
		    has(h, at, "\0\0\0\0\0\xba\xb1\x0c", 8))
			return WHOLE;
	return 0;
}

static uint64_t probe_gpt(const struct head *h)
{
	static const uint32_t sector_bytes[] = { 512, 4096 };

	for (unsigned i = 0; i < ARRAY_LEN(sector_bytes); i++) {
		uint32_t at = sector_bytes[i];
		uint64_t backup = get_le64(h->p + at + 0x20);

		if (has(h, at, "EFI PART", 8))
			return product(backup < UINT64_MAX ? backup + 1 : backup, at);
	}
	return 0;
}

/* The boot mark alone says little: file systems carry it too, so the entries must make sense. */
static uint64_t probe_mbr(const struct head *h)
{
	uint64_t end = 0;

	if (!has(h, 510, "\x55\xaa", 2) || is_fat(h) || probe_ntfs(h) || probe_exfat(h))
		return 0;
	for (size_t at = 446; at < 510; at += 16) {
		uint64_t last = (uint64_t)get_le32(h->p + at + 8) + get_le32(h->p + at + 12);

		/* 0xee: the table only protects a GPT, which knows better. */
		if (h->p[at] & 0x7f || h->p[at + 4] == 0xee)
			return 0;
		if (h->p[at + 4] && get_le32(h->p + at + 12) && last * 512 > end)
			end = last * 512;
	}
	return end;
}

static const struct probe {
	const char *what;
	uint64_t (*find)(const struct head *h);
} probes[] = {
	{ "an ext2/3/4 file system", probe_ext },
	{ "an XFS file system", probe_xfs },
	{ "a Btrfs file system", probe_btrfs },
	{ "an F2FS file system", probe_f2fs },
	{ "a JFS file system", probe_jfs },
	{ "a ReiserFS file system", probe_reiserfs },
	{ "a SquashFS file system", probe_squashfs },
	{ "an ISO 9660 file system", probe_iso9660 },
	{ "an NTFS file system", probe_ntfs },
	{ "an exFAT file system", probe_exfat },
	{ "a FAT file system", probe_fat },
	{ "a swap area", probe_swap },
	{ "a LUKS container", probe_luks },
	{ "an LVM physical volume", probe_lvm },
	{ "a member of a Linux RAID", probe_md_raid },
	{ "a ZFS device", probe_zfs },
	{ "a GPT partition table", probe_gpt },
	{ "an MBR partition table", probe_mbr },
};

int signature_find(struct backing *b, struct signature *found)
{
	uint64_t size = backing_info(b)->size_bytes;
	uint8_t *buf = calloc(1, HEAD_BYTES);
	struct head h = { .p = buf };
	int rc;

	if (!buf)
		return -ENOMEM;
	rc = backing_raw_read(b, 0, buf, size < HEAD_BYTES ? (size_t)size : HEAD_BYTES);
	found->end_byte = 0;
	for (unsigned i = 0; i < ARRAY_LEN(probes) && !rc; i++) {
		uint64_t end = probes[i].find(&h);

		if (end > found->end_byte) {
			found->end_byte = end;
			found->what = probes[i].what;
		}
	}
	free(buf);
	return rc ? rc : found->end_byte > 0;
}

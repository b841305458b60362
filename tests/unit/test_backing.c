/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Backing store on real files: bounds, alignment, claims, zeroing, errors. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../lib/scratch.h"
#include "base/prng.h"
#include "disk/backing.h"

#define MIB (1U << 20)

static struct backing *open_ok(const char *path, unsigned flags)
{
	struct err err = ERR_INIT;
	struct backing *b = NULL;

	cr_assert_eq(backing_open(path, flags, NULL, &b, &err), 0, "%s", err.text);
	return b;
}

static uint8_t *aligned(size_t bytes)
{
	void *p = NULL;

	cr_assert_eq(posix_memalign(&p, 4096, bytes), 0);
	return p;
}

TestSuite(backing, .init = scratch_begin, .fini = scratch_end);

Test(backing, nothing_outside_the_data_area)
{
	static const struct {
		uint64_t sector;
		uint32_t bytes;
		int rc;
	} cases[] = {
		{ 0, 4096, 0 },
		{ 2040, 4096, 0 },
		{ 2048, 0, 0 },
		{ 2041, 4096, -EINVAL },
		{ 2048, 512, -EINVAL },
		{ 2049, 0, -EINVAL },
		{ 0, 2 * MIB, -EINVAL },
		{ 0, 0xfffffe00U, -EINVAL },
		{ 0, 511, -EINVAL },
		{ 0, 1, -EINVAL },
		{ 0x7fffffff, 512, -EINVAL },
		{ 0x80000000, 512, -EINVAL },
		{ UINT64_MAX, 512, -EINVAL },
		{ UINT64_MAX / 512, 512, -EINVAL },
		{ (UINT64_C(1) << 55) + 8, 4096, -EINVAL },
	};
	const char *path = scratch_file("store", 4 * MIB);
	struct backing *b = open_ok(path, 0);
	uint8_t *buf = aligned(2 * MIB), *tail = aligned(3 * MIB);

	memset(buf, 0xaa, 2 * MIB);
	memset(tail, 0x55, 3 * MIB);
	scratch_write(path, MIB, tail, 3 * MIB);
	cr_assert_eq(backing_read(b, 0, buf, 512), -EINVAL, "no data area yet");
	cr_assert_eq(backing_write(b, 0, buf, 512, false), -EINVAL);
	backing_limit_data(b, 2048);
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		/* The buffer is never touched by what is refused. */
		cr_assert_eq(backing_write(b, cases[i].sector, buf, cases[i].bytes, i & 1),
			     cases[i].rc, "%u", i);
		cr_assert_eq(backing_read(b, cases[i].sector, buf, cases[i].bytes), cases[i].rc,
			     "%u", i);
		cr_assert_eq(backing_zero(b, cases[i].sector, cases[i].bytes, false), cases[i].rc,
			     "%u", i);
		cr_assert_eq(backing_zero(b, cases[i].sector, cases[i].bytes, true), cases[i].rc,
			     "%u", i);
		if (backing_info(b)->discard_ok)
			cr_assert_eq(backing_discard(b, cases[i].sector, cases[i].bytes),
				     cases[i].rc, "%u", i);
	}
	cr_assert_eq(backing_flush(b), 0);
	backing_close(b);
	scratch_read(path, MIB, buf, 2 * MIB);
	cr_assert_arr_eq(buf, tail, 2 * MIB);
	scratch_read(path, 2 * MIB, buf, 2 * MIB);
	cr_assert_arr_eq(buf, tail, 2 * MIB);
	free(buf);
	free(tail);
}

/*
 * Random requests of every alignment in memory and on disk against a plain copy. DRBDFS_TEST_STORE
 * names a block device (its first MiB is overwritten) to be used instead of a file.
 */
Test(backing, random_requests_equal_a_copy)
{
	const char *device = getenv("DRBDFS_TEST_STORE");
	const char *path = device ? device : scratch_file("store", 4 * MIB);
	struct backing *b = open_ok(path, 0);
	uint8_t *model = aligned(MIB), *buf = aligned(MIB + 4096);
	struct prng rng;

	prng_seed(&rng, 5);
	memset(model, 0, MIB);
	backing_limit_data(b, 2048);
	cr_assert_eq(backing_zero(b, 0, MIB, false), 0);
	for (unsigned i = 0; i < 2000; i++) {
		uint32_t sectors =
			(uint32_t)prng_range(&rng, 1, prng_chance(&rng, 1, 10) ? 600 : 17);
		uint64_t sector = prng_below(&rng, 2048 - sectors + 1);
		uint8_t *at = model + sector * 512,
			*p = buf + (prng_chance(&rng, 1, 2) ? prng_below(&rng, 4096) : 0);

		switch (prng_below(&rng, 6)) {
		case 0:
		case 1:
			prng_bytes(&rng, p, sectors * 512);
			memcpy(at, p, sectors * 512);
			cr_assert_eq(backing_write(b, sector, p, sectors * 512,
						   prng_chance(&rng, 1, 4)),
				     0);
			break;
		case 2:
			memset(at, 0, sectors * 512);
			cr_assert_eq(backing_zero(b, sector, sectors * 512,
						  prng_chance(&rng, 1, 2)),
				     0);
			break;
		case 3:
			if (!backing_info(b)->discard_ok)
				break;
			memset(at, 0, sectors * 512);
			cr_assert_eq(backing_discard(b, sector, sectors * 512), 0);
			break;
		default:
			cr_assert_eq(backing_read(b, sector, p, sectors * 512), 0);
			cr_assert_arr_eq(p, at, sectors * 512);
		}
	}
	cr_assert_eq(backing_flush(b), 0);
	backing_close(b);
	scratch_read(path, 0, buf, MIB);
	cr_assert_arr_eq(buf, model, MIB);
	free(model);
	free(buf);
}

Test(backing, raw_access_reaches_the_whole_object_and_no_further)
{
	const char *path = scratch_file("store", MIB + 100);
	struct backing *b = open_ok(path, 0);
	uint8_t buf[4096];

	memset(buf, 7, sizeof(buf));
	cr_assert_eq(backing_info(b)->size_bytes, MIB + 100);
	cr_assert_eq(backing_raw_write(b, MIB - 3996, buf, 4096), 0);
	cr_assert_eq(backing_raw_write(b, MIB - 3995, buf, 4096), -EINVAL);
	cr_assert_eq(backing_raw_read(b, UINT64_MAX - 1, buf, 4096), -EINVAL);
	cr_assert_eq(backing_raw_zero(b, 0, UINT64_MAX), -EINVAL);
	cr_assert_eq(backing_raw_zero(b, MIB - 100, 200), 0);
	cr_assert_eq(backing_raw_read(b, MIB, buf, 100), 0);
	for (unsigned i = 0; i < 100; i++)
		cr_assert_eq(buf[i], 0);
	backing_close(b);
}

Test(backing, one_user_at_a_time)
{
	const char *path = scratch_file("store", MIB);
	struct backing *b = open_ok(path, 0), *second = NULL;
	struct err err = ERR_INIT;

	cr_assert_eq(backing_open(path, 0, NULL, &second, &err), -EBUSY);
	cr_assert(strstr(err.text, path) && strstr(err.text, "in use"), "%s", err.text);
	cr_assert_eq(backing_open(path, BACKING_READ_ONLY, NULL, &second, &err), -EBUSY);
	backing_close(b);
	b = open_ok(path, BACKING_READ_ONLY);
	second = open_ok(path, BACKING_READ_ONLY);
	backing_close(second);
	cr_assert_eq(backing_open(path, 0, NULL, &second, &err), -EBUSY);
	backing_close(b);
	b = open_ok(path, 0);
	backing_close(b);
}

Test(backing, parts_are_claimed_apart)
{
	const char *path = scratch_file("store", 4 * MIB);
	struct backing_claim first = { 0, MIB }, next = { MIB, MIB }, across = { MIB - 1, 2 };
	struct backing *a = NULL, *b = NULL, *c = NULL;
	struct err err = ERR_INIT;

	cr_assert_eq(backing_open(path, 0, &first, &a, &err), 0, "%s", err.text);
	cr_assert_eq(backing_open(path, 0, &next, &b, &err), 0, "%s", err.text);
	cr_assert_eq(backing_open(path, 0, &across, &c, &err), -EBUSY);
	cr_assert_eq(backing_open(path, 0, NULL, &c, &err), -EBUSY);
	backing_close(a);
	backing_close(b);
	c = open_ok(path, 0);
	backing_close(c);
}

Test(backing, read_only_changes_nothing)
{
	struct backing *b = open_ok(scratch_file("store", MIB), BACKING_READ_ONLY);
	uint8_t buf[512] = { 0 };

	backing_limit_data(b, 2048);
	cr_assert_eq(backing_read(b, 0, buf, 512), 0);
	cr_assert_eq(backing_write(b, 0, buf, 512, false), -EROFS);
	cr_assert_eq(backing_zero(b, 0, 512, true), -EROFS);
	cr_assert_eq(backing_discard(b, 0, 512), -EROFS);
	cr_assert_eq(backing_raw_write(b, 0, buf, 512), -EROFS);
	cr_assert_eq(backing_raw_zero(b, 0, 512), -EROFS);
	backing_close(b);
}

Test(backing, a_file_cut_short_meanwhile_is_an_error)
{
	const char *path = scratch_file("store", MIB);
	struct backing *b = open_ok(path, 0);
	uint8_t *buf = aligned(8192);

	backing_limit_data(b, 2048);
	cr_assert_eq(truncate(path, MIB - 4096), 0);
	cr_assert_eq(backing_read(b, 2032, buf, 8192), -EIO);
	cr_assert_eq(backing_read(b, 2040, buf, 4096), -EIO);
	/* Metadata behind its new end would make it whole again in appearance. */
	memset(buf, 0, 8192);
	cr_assert_eq(backing_raw_write(b, MIB - 4096, buf, 4096), -EIO);
	cr_assert_eq(backing_flush(b), -EIO);
	backing_close(b);
	free(buf);
}

Test(backing, what_is_no_store)
{
	struct backing *b = NULL;
	struct err err = ERR_INIT;

	cr_assert_eq(backing_open(scratch_path("missing"), 0, NULL, &b, &err), -ENOENT);
	cr_assert(strstr(err.text, "missing"), "%s", err.text);
	cr_assert_eq(backing_open("/dev/null", 0, NULL, &b, &err), -EMEDIUMTYPE);
	cr_assert_eq(backing_open("/", 0, NULL, &b, &err), -EMEDIUMTYPE);
	cr_assert_eq(mkfifo(scratch_path("fifo"), 0600), 0);
	cr_assert_eq(backing_open(scratch_path("fifo"), 0, NULL, &b, &err), -EMEDIUMTYPE);
	cr_assert_null(b);
}

Test(backing, discard_gives_space_back)
{
	const char *path = scratch_file("store", 4 * MIB);
	struct backing *b = open_ok(path, 0);
	uint8_t *buf = aligned(MIB);
	struct stat before, after;

	if (!backing_info(b)->discard_ok) {
		fprintf(stderr, "SKIP: the file system of %s cannot punch holes\n", path);
		backing_close(b);
		free(buf);
		return;
	}
	backing_limit_data(b, 4096);
	memset(buf, 1, MIB);
	cr_assert(backing_is_hole(b, 0, MIB));
	cr_assert_eq(backing_write(b, 0, buf, MIB, true), 0);
	cr_assert_not(backing_is_hole(b, 0, MIB));
	cr_assert_not(backing_is_hole(b, 2040, 65536));
	cr_assert(backing_is_hole(b, 2048, 65536));
	cr_assert_not(backing_is_hole(b, 4090, 65536), "beyond the data area");
	cr_assert_eq(stat(path, &before), 0);
	cr_assert_eq(backing_discard(b, 0, MIB), 0);
	cr_assert(backing_is_hole(b, 0, MIB));
	cr_assert_eq(stat(path, &after), 0);
	cr_assert_lt(after.st_blocks, before.st_blocks);
	cr_assert_eq(after.st_size, before.st_size);
	backing_close(b);
	free(buf);
}

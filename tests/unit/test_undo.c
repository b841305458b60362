/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Undo files: what was added comes back; every damage is found; what is unfinished is none. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/str.h"
#include "disk/undo.h"

static char path[64];
static const struct undo_header header = { .resource = "r0", .node = "beta", .vnr = 3,
					   .size_bytes = 1 << 20, .generation = 0x1234 };
static uint8_t data[8192];

static void setup(void)
{
	char dir[] = "/tmp/undo.XXXXXX";

	cr_assert_not_null(mkdtemp(dir));
	(void)str_format(path, sizeof(path), "%s/file", dir);
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 7 + i / 256 + 1);
}

static void teardown(void)
{
	(void)unlink(path);
	*strrchr(path, '/') = '\0';
	(void)rmdir(path);
}

TestSuite(undo, .init = setup, .fini = teardown);

static void make(void)
{
	static const uint8_t zeroes[4096];
	struct undo_writer *w;
	struct err err = ERR_INIT;

	cr_assert_eq(undo_create(path, &header, &w, &err), 0, "%s", err.text);
	cr_assert_eq(undo_add(w, 4096, data, 8192, &err), 0, "%s", err.text);
	cr_assert_eq(undo_add(w, 65536, zeroes, 4096, &err), 0, "%s", err.text);
	cr_assert_eq(undo_add(w, (1 << 20) - 512, data, 512, &err), 0, "%s", err.text);
	cr_assert_eq(undo_finish(w, &err), 0, "%s", err.text);
}

/* 0, or the error of the first call that failed. */
static int read_through(unsigned *count)
{
	struct undo_reader *r;
	struct undo_record rec;
	struct err err = ERR_INIT;
	int rc = undo_open(path, &r, &err);

	*count = 0;
	if (rc)
		return rc;
	while ((rc = undo_next(r, &rec, &err)) == 1)
		++*count;
	undo_close(r);
	cr_assert(rc == 0 || err.text[0]);
	return rc;
}

Test(undo, what_was_added_comes_back)
{
	struct undo_reader *r;
	struct undo_record rec;
	struct err err = ERR_INIT;
	struct stat st;

	make();
	cr_assert_eq(stat(path, &st), 0);
	cr_assert_eq(st.st_mode & 0777, 0600);
	cr_assert_lt(st.st_size, 8192 + 512 + 512 + 4 * 32 + 1);
	cr_assert_eq(undo_open(path, &r, &err), 0, "%s", err.text);
	cr_assert_str_eq(undo_header_of(r)->resource, "r0");
	cr_assert_str_eq(undo_header_of(r)->node, "beta");
	cr_assert_eq(undo_header_of(r)->vnr, 3);
	cr_assert_eq(undo_header_of(r)->size_bytes, 1 << 20);
	cr_assert_eq(undo_header_of(r)->generation, 0x1234);
	for (unsigned pass = 0; pass < 2; pass++) {
		cr_assert_eq(undo_next(r, &rec, &err), 1);
		cr_assert(rec.position == 4096 && rec.bytes == 8192);
		cr_assert_arr_eq(rec.data, data, 8192);
		cr_assert_eq(undo_next(r, &rec, &err), 1);
		cr_assert(rec.position == 65536 && rec.bytes == 4096);
		cr_assert(!((const uint8_t *)rec.data)[0] && !((const uint8_t *)rec.data)[4095]);
		cr_assert_eq(undo_next(r, &rec, &err), 1);
		cr_assert(rec.position == (1 << 20) - 512 && rec.bytes == 512);
		cr_assert_eq(undo_next(r, &rec, &err), 0);
		cr_assert_eq(undo_rewind(r, &err), 0);
	}
	undo_close(r);
}

Test(undo, a_file_that_exists_is_left_alone)
{
	struct undo_writer *w;
	struct err err = ERR_INIT;
	unsigned count;

	make();
	cr_assert_eq(undo_create(path, &header, &w, &err), -EEXIST);
	cr_assert_eq(read_through(&count), 0);
	cr_assert_eq(count, 3);
}

Test(undo, one_that_is_given_up_is_gone)
{
	struct undo_writer *w;
	struct err err = ERR_INIT;

	cr_assert_eq(undo_create(path, &header, &w, &err), 0);
	cr_assert_eq(undo_add(w, 0, data, 512, &err), 0);
	undo_abandon(w);
	cr_assert_neq(access(path, F_OK), 0);
}

Test(undo, every_cut_and_every_changed_byte_is_found)
{
	static uint8_t image[32768];
	size_t bytes;
	unsigned count;
	FILE *f;

	make();
	f = fopen(path, "r");
	bytes = fread(image, 1, sizeof(image), f);
	fclose(f);
	cr_assert_eq(read_through(&count), 0);
	for (size_t cut = 0; cut < bytes; cut += cut < 600 || cut > bytes - 700 ? 1 : 97) {
		cr_assert_eq(truncate(path, 0), 0);
		f = fopen(path, "w");
		fwrite(image, 1, cut, f);
		fclose(f);
		cr_assert_lt(read_through(&count), 0, "cut at %zu", cut);
	}
	for (size_t at = 0; at < bytes; at += at < 600 || at > bytes - 700 ? 1 : 97) {
		image[at] ^= 0x10;
		f = fopen(path, "w");
		fwrite(image, 1, bytes, f);
		fclose(f);
		image[at] ^= 0x10;
		cr_assert_lt(read_through(&count), 0, "byte %zu", at);
	}
}

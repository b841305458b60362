/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Order of writes and flushes of the metadata store, and what failing system calls lead to. */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "../lib/scratch.h"
#include "disk/md_store.h"
#include "meta/meta_al.h"
#include "meta/meta_super.h"

#define DISK (UINT64_C(16) << 20)

/* One letter per call: W pwrite, F fdatasync. */
static char calls[256];
static unsigned call_count;
static unsigned short_writes;  /* so many of the next writes stop half way */
static unsigned interrupts;    /* so many of the next calls end with EINTR */
static unsigned failing_flushes;

static void note(char c)
{
	if (call_count < sizeof(calls) - 1)
		calls[call_count++] = c;
	calls[call_count] = '\0';
}

ssize_t pwrite(int fd, const void *buf, size_t bytes, off_t at)
{
	if (interrupts) {
		interrupts--;
		errno = EINTR;
		return -1;
	}
	note('W');
	if (short_writes) {
		short_writes--;
		bytes = bytes / 1024 * 512;
	}
	return syscall(SYS_pwrite64, fd, buf, bytes, at);
}

int fdatasync(int fd)
{
	if (interrupts) {
		interrupts--;
		errno = EINTR;
		return -1;
	}
	note('F');
	if (failing_flushes) {
		failing_flushes--;
		errno = EIO;
		return -1;
	}
	return (int)syscall(SYS_fdatasync, fd);
}

static struct md_store *store;
static struct md_loaded loaded;
static uint8_t super_block[MD_PAGE_BYTES], al_block[MD_PAGE_BYTES], page[MD_PAGE_BYTES];

static void begin(enum md_place place)
{
	struct al_transaction tr = { .context_size = 67 };
	struct md_where where = { .data_path = scratch_file("data", DISK), .place = place };
	struct err err = ERR_INIT;

	if (place != MD_PLACE_INTERNAL)
		where.meta_path = scratch_file("meta", 1 << 20);
	cr_assert_eq(md_store_create(&where, 1, false, NULL, &err), 0, "%s", err.text);
	cr_assert_eq(md_store_open(&where, 1, &store, &err), 0, "%s", err.text);
	cr_assert_eq(md_store_load(store, &loaded, &err), 0, "%s", err.text);
	meta_super_encode(&loaded.super, super_block);
	meta_al_encode(&tr, al_block);
	call_count = 0;
}

static void expect_calls(const char *wanted)
{
	cr_assert_str_eq(calls, wanted);
	call_count = 0;
	calls[0] = '\0';
}

TestSuite(md_order, .init = scratch_begin, .fini = scratch_end);

Test(md_order, log_block_is_durable_and_after_the_bitmap)
{
	begin(MD_PLACE_INTERNAL);
	cr_assert_eq(md_store_write_al(store, al_block), 0);
	expect_calls("WF");
	cr_assert_eq(md_store_write_bitmap_page(store, 0, page), 0);
	expect_calls("W");
	cr_assert_eq(md_store_write_al(store, al_block), 0);
	expect_calls("FWF");
	cr_assert_eq(md_store_write_al(store, al_block), 0);
	expect_calls("WF");
	cr_assert_eq(md_store_write_bitmap_page(store, 0, page), 0);
	cr_assert_eq(md_store_flush(store), 0);
	cr_assert_eq(md_store_write_al(store, al_block), 0);
	expect_calls("WFWF");
	md_store_close(store);
}

Test(md_order, superblock_follows_data_and_bitmap)
{
	begin(MD_PLACE_INTERNAL);
	cr_assert_eq(md_store_write_super(store, super_block), 0);
	expect_calls("FWF");
	md_store_close(store);
	begin(MD_PLACE_EXTERNAL);
	cr_assert_eq(md_store_write_super(store, super_block), 0);
	expect_calls("FFWF"); /* both stores before */
	md_store_close(store);
}

Test(md_order, half_done_and_interrupted_calls_are_continued)
{
	uint8_t back[MD_PAGE_BYTES];

	begin(MD_PLACE_INTERNAL);
	short_writes = 2;
	interrupts = 3;
	cr_assert_eq(md_store_write_al(store, al_block), 0);
	expect_calls("WWWF");
	md_store_close(store);
	scratch_read(scratch_path("data"), DISK - 4096 - 32768, back, sizeof(back));
	cr_assert_arr_eq(back, al_block, sizeof(back));
}

Test(md_order, a_failed_flush_is_never_forgotten)
{
	begin(MD_PLACE_INTERNAL);
	failing_flushes = 1;
	cr_assert_eq(md_store_write_al(store, al_block), -EIO);
	cr_assert_eq(md_store_write_al(store, al_block), -EIO);
	cr_assert_eq(md_store_flush(store), -EIO);
	cr_assert_eq(md_store_write_super(store, super_block), -EIO);
	cr_assert_eq(backing_flush(md_store_backing(store)), -EIO);
	md_store_close(store);
}

static void unclean(struct md_super *s)
{
	s->flags = MDF_PRIMARY_IND | MDF_CONSISTENT;
}

/* Bitmap, flush, ring, flush, superblock, flush; with one extent there is one bitmap page. */
Test(md_order, applying_the_log)
{
	struct al_transaction tr = { .update_count = 1, .context_size = 67 };
	struct md_where where = { .data_path = scratch_file("data", DISK),
				  .place = MD_PLACE_INTERNAL };
	struct err err = ERR_INIT;

	cr_assert_eq(md_store_create(&where, 1, false, NULL, &err), 0);
	scratch_read(where.data_path, DISK - 4096, super_block, sizeof(super_block));
	cr_assert_eq(meta_super_decode(super_block, &loaded.super), META_OK);
	unclean(&loaded.super);
	meta_super_encode(&loaded.super, super_block);
	scratch_write(where.data_path, DISK - 4096, super_block, sizeof(super_block));
	memset(tr.context, 0xff, sizeof(tr.context));
	tr.update_extent[0] = 2;
	meta_al_encode(&tr, al_block);
	scratch_write(where.data_path, DISK - 4096 - 32768, al_block, sizeof(al_block));
	cr_assert_eq(md_store_open(&where, 1, &store, &err), 0);
	call_count = 0;
	cr_assert_eq(md_store_load(store, &loaded, &err), 0, "%s", err.text);
	expect_calls("WFWFWF");
	cr_assert_eq(loaded.al_extent_count, 1);
	md_store_close(store);
}

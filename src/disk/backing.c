/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Opening, claiming and probing a backing store. */
#include "disk/backing.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/assert.h"
#include "disk/backing_int.h"
#include "proto/proto_limits.h"

/* Serialises the openers that share a block device; no store is that long. */
#define GATE_BYTE (INT64_C(1) << 62)

static const char in_use[] = "it is in use by another drbdfs daemon or drbdctl command; stop that "
			     "one or name another store";

/* Locks are tied to the open file, so two openers conflict even within one process. */
static int lock_range(int fd, uint64_t first, uint64_t count, bool shared, bool wait)
{
	struct flock lock = {
		.l_type = (short)(shared ? F_RDLCK : F_WRLCK),
		.l_whence = SEEK_SET,
		.l_start = (off_t)first,
		.l_len = (off_t)count,
	};

	while (fcntl(fd, wait ? F_OFD_SETLKW : F_OFD_SETLK, &lock) != 0)
		if (errno != EINTR)
			return -errno;
	return 0;
}

/*
 * A whole block device is opened exclusively for as long as we have it, which also keeps file
 * systems, device mapper and RAID away. Those who share one by parts can only try whether that is
 * possible now.
 */
static int open_store(const char *path, unsigned flags, bool whole, bool block)
{
	int access = flags & BACKING_READ_ONLY ? O_RDONLY : O_RDWR;
	int mode = access | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
	int fd, probe;

	if (!block || whole) {
		fd = open(path, mode | (block ? O_EXCL : 0));
		return fd < 0 ? -errno : fd;
	}
	fd = open(path, mode);
	if (fd < 0)
		return -errno;
	(void)lock_range(fd, GATE_BYTE, 1, flags & BACKING_READ_ONLY, true);
	probe = open(path, mode | O_EXCL);
	if (probe < 0) {
		int rc = -errno;

		close(fd);
		return rc;
	}
	close(probe);
	return fd;
}

int backing_measure(struct backing *b, uint64_t *size_bytes)
{
	struct stat st;

	if (b->info.kind == BACKING_BLOCK)
		return ioctl(b->fd, BLKGETSIZE64, size_bytes) ? -errno : 0;
	if (fstat(b->fd, &st))
		return -errno;
	*size_bytes = (uint64_t)st.st_size;
	return 0;
}

void backing_enlarge(struct backing *b, uint64_t size_bytes)
{
	ASSERT(size_bytes >= b->size_bytes);
	b->size_bytes = size_bytes;
}

static bool direct_read_works(int fd, void *buf, size_t bytes, off_t offset)
{
	ssize_t n;

	do
		n = pread(fd, buf, bytes, offset);
	while (n < 0 && errno == EINTR);
	return n == (ssize_t)bytes;
}

/* Whether a read at the beginning may be made conditional on not having to wait; it may fail. */
static bool nowait_works(int fd, void *buf)
{
	struct iovec iov = { .iov_base = buf, .iov_len = BACKING_ALIGN_MAX };

	return preadv2(fd, &iov, 1, 0, RWF_NOWAIT) >= 0 || errno == EAGAIN;
}

/*
 * A second descriptor with O_DIRECT if reads through it work with 512- or 4096-byte alignment. Only
 * these two are told apart: mixed with the page cache for odd requests, units between them could
 * let the cache write back a neighbour's old content.
 */
static void probe_direct(struct backing *b, unsigned flags)
{
	char self[64];
	void *buf;
	int mode = (flags & BACKING_READ_ONLY ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_DIRECT;
	int fd;

	b->direct_fd = -1;
	b->info.align_bytes = SECTOR_BYTES;
	if (b->info.size_bytes < 2 * BACKING_ALIGN_MAX)
		return;
	(void)snprintf(self, sizeof(self), "/proc/self/fd/%d", b->fd);
	fd = open(self, mode);
	if (fd < 0)
		return;
	if (posix_memalign(&buf, BACKING_ALIGN_MAX, 2 * BACKING_ALIGN_MAX) != 0) {
		close(fd);
		return;
	}
	if (direct_read_works(fd, (char *)buf + SECTOR_BYTES, SECTOR_BYTES, SECTOR_BYTES))
		b->info.direct = true;
	else if (direct_read_works(fd, buf, BACKING_ALIGN_MAX, BACKING_ALIGN_MAX)) {
		b->info.direct = true;
		b->info.align_bytes = BACKING_ALIGN_MAX;
	}
	b->info.nowait = b->info.direct && nowait_works(fd, buf);
	free(buf);
	if (b->info.direct)
		b->direct_fd = fd;
	else
		close(fd);
}

/*
 * Files: punching behind the end changes nothing but tells whether it is supported. Block devices:
 * the zero-sized variant does not exist, so the queue limit of write-zeroes is asked.
 */
static bool probe_discard(const struct backing *b, const struct stat *st)
{
	char name[96], text[32];
	ssize_t n;
	int fd;

	if (b->read_only)
		return false;
	if (b->info.kind == BACKING_FILE)
		return fallocate(b->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				 (off_t)((b->info.size_bytes + BACKING_ALIGN_MAX) /
					 BACKING_ALIGN_MAX * BACKING_ALIGN_MAX),
				 BACKING_ALIGN_MAX) == 0;
	(void)snprintf(name, sizeof(name), "/sys/dev/block/%u:%u/queue/write_zeroes_max_bytes",
		       major(st->st_rdev), minor(st->st_rdev));
	fd = open(name, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	return n > 0 && text[0] != '0';
}

static int open_error(struct err *err, int rc, const char *path, bool block)
{
	if (rc == -EBUSY && block)
		return err_set(err, rc,
			       "cannot open `%s`: it is mounted, part of another device, or in use "
			       "by another daemon; release it or name another store",
			       path);
	return err_errno(err, -rc, "cannot open `%s`", path);
}

static int claim(struct backing *b, const char *path, bool whole, const struct backing_claim *part,
		 struct err *err)
{
	uint64_t first = whole ? 0 : part->first_byte;
	/* All of it, but not the gate. */
	uint64_t count = whole ? (uint64_t)GATE_BYTE : part->byte_count;
	int rc = lock_range(b->fd, first, count, b->read_only, false);

	if (!whole)
		(void)fcntl(b->fd, F_OFD_SETLK,
			    &(struct flock){ .l_type = F_UNLCK, .l_whence = SEEK_SET,
					     .l_start = GATE_BYTE, .l_len = 1 });
	if (rc == -EAGAIN || rc == -EACCES)
		return err_set(err, -EBUSY, "cannot use `%s`: %s", path, in_use);
	if (rc)
		return err_errno(err, -rc, "cannot lock `%s` against use by others", path);
	return 0;
}

/* Everything between stat and a usable object; the caller closes on failure. */
static int set_up(struct backing *b, const char *path, unsigned flags, bool whole,
		  const struct backing_claim *part, struct err *err)
{
	struct stat st;
	bool block = b->info.kind == BACKING_BLOCK;
	int rc;

	rc = open_store(path, flags, whole, block);
	if (rc < 0)
		return open_error(err, rc, path, block);
	b->fd = rc;
	if (fstat(b->fd, &st) != 0)
		return err_errno(err, errno, "cannot examine `%s`", path);
	if (S_ISBLK(st.st_mode) != block || (!block && !S_ISREG(st.st_mode)))
		return err_set(err, -EAGAIN, "`%s` was exchanged while it was opened; try again",
			       path);
	rc = claim(b, path, whole, part, err);
	if (rc)
		return rc;
	rc = backing_measure(b, &b->info.size_bytes);
	if (rc)
		return err_errno(err, -rc, "cannot find out the size of `%s`", path);
	b->size_bytes = b->info.size_bytes;
	probe_direct(b, flags);
	b->info.discard_ok = probe_discard(b, &st);
	return 0;
}

int backing_open(const char *path, unsigned flags, const struct backing_claim *part,
		 struct backing **out, struct err *err)
{
	bool whole = !part || part->byte_count == 0;
	struct backing *b;
	struct stat st;
	int rc;

	if (stat(path, &st) != 0)
		return err_errno(err, errno, "cannot open `%s`", path);
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return err_set(err, -EMEDIUMTYPE,
			       "cannot use `%s`: it is neither a regular file nor a block device",
			       path);
	b = calloc(1, sizeof(*b));
	if (!b)
		return err_errno(err, ENOMEM, "cannot open `%s`", path);
	b->fd = -1;
	b->direct_fd = -1;
	b->read_only = flags & BACKING_READ_ONLY;
	b->info.kind = S_ISBLK(st.st_mode) ? BACKING_BLOCK : BACKING_FILE;
	b->info.path = b->path = strdup(path);
	rc = b->path ? set_up(b, path, flags, whole, part, err)
		     : err_errno(err, ENOMEM, "cannot open `%s`", path);
	if (rc) {
		backing_close(b);
		return rc;
	}
	*out = b;
	return 0;
}

void backing_close(struct backing *b)
{
	if (!b)
		return;
	if (b->direct_fd >= 0)
		close(b->direct_fd);
	if (b->fd >= 0)
		close(b->fd);
	free(b->path);
	free(b);
}

const struct backing_info *backing_info(const struct backing *b)
{
	return &b->info;
}

void backing_limit_data(struct backing *b, uint64_t data_sectors)
{
	ASSERT(data_sectors <= b->size_bytes / SECTOR_BYTES);
	b->data_sectors = data_sectors;
}

uint64_t backing_data_sectors(const struct backing *b)
{
	return b->data_sectors;
}

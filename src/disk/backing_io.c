/* SPDX-License-Identifier: GPL-2.0-or-later */
/* I/O on a backing store: bounds, alignment, continued transfers. */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/assert.h"
#include "disk/backing_int.h"
#include "disk/disk_pool.h"
#include "proto/proto_limits.h"

#define ZERO_CHUNK_BYTES (1U << 20)
#define MODE_PUNCH (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE)

/* The last line of defence against a write into the metadata or beyond: nothing gets past it. */
static bool in_data_area(const struct backing *b, uint64_t sector, uint32_t bytes)
{
	uint64_t end = b->data_sectors;

	return bytes % SECTOR_BYTES == 0 && sector <= end && bytes / SECTOR_BYTES <= end - sector;
}

static bool in_object(const struct backing *b, uint64_t byte, uint64_t bytes)
{
	uint64_t end = b->size_bytes;

	return byte <= end && bytes <= end - byte;
}

static int read_all(int fd, uint8_t *buf, size_t bytes, uint64_t byte)
{
	while (bytes) {
		ssize_t n = pread(fd, buf, bytes, (off_t)byte);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -EIO;
		buf += n;
		byte += (uint64_t)n;
		bytes -= (size_t)n;
	}
	return 0;
}

static int write_all(int fd, const uint8_t *buf, size_t bytes, uint64_t byte, bool fua)
{
	while (bytes) {
		struct iovec iov = { .iov_base = (void *)(uintptr_t)buf, .iov_len = bytes };
		ssize_t n = fua ? pwritev2(fd, &iov, 1, (off_t)byte, RWF_DSYNC)
				: pwrite(fd, buf, bytes, (off_t)byte);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -EIO;
		buf += n;
		byte += (uint64_t)n;
		bytes -= (size_t)n;
	}
	return 0;
}

/* What a direct transfer can take: position and length aligned (memory is another matter). */
static bool fits_direct(const struct backing *b, uint64_t byte, size_t bytes)
{
	return b->direct_fd >= 0 && !((byte | bytes) & (b->info.align_bytes - 1));
}

static bool memory_is_aligned(const struct backing *b, const void *buf)
{
	return !((uintptr_t)buf & (b->info.align_bytes - 1));
}

static int read_any(struct backing *b, uint64_t byte, void *buf, size_t bytes)
{
	void *bounce;
	int rc;

	if (!fits_direct(b, byte, bytes))
		return read_all(b->fd, buf, bytes, byte);
	if (memory_is_aligned(b, buf))
		return read_all(b->direct_fd, buf, bytes, byte);
	if (posix_memalign(&bounce, BACKING_ALIGN_MAX, bytes) != 0)
		return -ENOMEM;
	rc = read_all(b->direct_fd, bounce, bytes, byte);
	if (!rc)
		memcpy(buf, bounce, bytes);
	free(bounce);
	return rc;
}

static int write_any(struct backing *b, uint64_t byte, const void *buf, size_t bytes, bool fua)
{
	void *bounce;
	int rc;

	if (!fits_direct(b, byte, bytes))
		return write_all(b->fd, buf, bytes, byte, fua);
	if (memory_is_aligned(b, buf))
		return write_all(b->direct_fd, buf, bytes, byte, fua);
	if (posix_memalign(&bounce, BACKING_ALIGN_MAX, bytes) != 0)
		return -ENOMEM;
	memcpy(bounce, buf, bytes);
	rc = write_all(b->direct_fd, bounce, bytes, byte, fua);
	free(bounce);
	return rc;
}

int backing_read(struct backing *b, uint64_t sector, void *buf, uint32_t bytes)
{
	if (!in_data_area(b, sector, bytes))
		return -EINVAL;
	return read_any(b, sector * SECTOR_BYTES, buf, bytes);
}

int backing_write(struct backing *b, uint64_t sector, const void *buf, uint32_t bytes, bool fua)
{
	if (!in_data_area(b, sector, bytes))
		return -EINVAL;
	if (b->read_only)
		return -EROFS;
	return write_any(b, sector * SECTOR_BYTES, buf, bytes, fua);
}

bool backing_transfer(const struct backing *b, bool write, uint64_t sector, void *buf,
		      uint32_t bytes, struct disk_transfer *out)
{
	if (!b->info.nowait || (write && b->read_only) || !in_data_area(b, sector, bytes) ||
	    !fits_direct(b, sector * SECTOR_BYTES, bytes) || !memory_is_aligned(b, buf))
		return false;
	*out = (struct disk_transfer){
		.fd = b->direct_fd, .write = write, .data = buf, .bytes = bytes,
		.byte = sector * SECTOR_BYTES,
	};
	return true;
}

bool backing_is_hole(const struct backing *b, uint64_t sector, uint32_t bytes)
{
	uint64_t byte = sector * SECTOR_BYTES;
	off_t data;

	if (b->info.kind != BACKING_FILE || !in_data_area(b, sector, bytes))
		return false;
	/* The position of the descriptor is of no use to anybody else. */
	data = lseek(b->fd, (off_t)byte, SEEK_DATA);
	return data < 0 ? errno == ENXIO : (uint64_t)data >= byte + bytes;
}

static int allocate(struct backing *b, int mode, uint64_t byte, uint64_t bytes)
{
	while (fallocate(b->fd, mode, (off_t)byte, (off_t)bytes) != 0)
		if (errno != EINTR)
			return -errno;
	return 0;
}

static bool is_unsupported(int rc)
{
	return rc == -EOPNOTSUPP || rc == -ENOSYS || rc == -EINVAL || rc == -ENODEV;
}

static int write_zeroes(struct backing *b, uint64_t byte, uint64_t bytes)
{
	size_t chunk = bytes < ZERO_CHUNK_BYTES ? (size_t)bytes : ZERO_CHUNK_BYTES;
	void *zero;
	int rc = 0;

	if (posix_memalign(&zero, BACKING_ALIGN_MAX, ZERO_CHUNK_BYTES) != 0)
		return -ENOMEM;
	memset(zero, 0, chunk);
	while (bytes && !rc) {
		size_t n = bytes < chunk ? (size_t)bytes : chunk;

		rc = write_any(b, byte, zero, n, false);
		byte += n;
		bytes -= n;
	}
	free(zero);
	return rc;
}

static int zero_allocated(struct backing *b, uint64_t byte, uint64_t bytes)
{
	uint64_t range[2] = { byte, bytes };
	int rc = allocate(b, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, byte, bytes);

	if (!is_unsupported(rc))
		return rc;
	if (b->info.kind == BACKING_BLOCK && ioctl(b->fd, BLKZEROOUT, range) == 0)
		return 0;
	return write_zeroes(b, byte, bytes);
}

int backing_discard(struct backing *b, uint64_t sector, uint32_t bytes)
{
	if (!in_data_area(b, sector, bytes))
		return -EINVAL;
	if (b->read_only)
		return -EROFS;
	if (!b->info.discard_ok)
		return -EOPNOTSUPP;
	return backing_zero(b, sector, bytes, true);
}

int backing_zero(struct backing *b, uint64_t sector, uint32_t bytes, bool unmap)
{
	int rc;

	if (!in_data_area(b, sector, bytes))
		return -EINVAL;
	if (b->read_only)
		return -EROFS;
	if (!bytes)
		return 0;
	if (unmap && b->info.discard_ok) {
		rc = allocate(b, MODE_PUNCH, sector * SECTOR_BYTES, bytes);
		if (!is_unsupported(rc))
			return rc;
	}
	return zero_allocated(b, sector * SECTOR_BYTES, bytes);
}

/*
 * Writing behind the new end of a file that was cut short would make it long again, with zeroes
 * where data had been, and nobody would notice.
 */
static int check_size(const struct backing *b)
{
	struct stat st;

	if (fstat(b->fd, &st))
		return -errno;
	return S_ISREG(st.st_mode) && (uint64_t)st.st_size < b->size_bytes ? -EIO : 0;
}

int backing_flush(struct backing *b)
{
	int none = 0, rc;

	rc = atomic_load(&b->flush_error);
	if (rc)
		return rc;
	if (b->read_only)
		return 0;
	do
		rc = fdatasync(b->fd) ? -errno : 0;
	while (rc == -EINTR);
	if (!rc)
		rc = check_size(b);
	/* The kernel forgets what it could not write: a second, successful flush would be a lie. */
	if (rc)
		atomic_compare_exchange_strong(&b->flush_error, &none, rc);
	return rc;
}

int backing_raw_read(struct backing *b, uint64_t byte, void *buf, size_t bytes)
{
	if (!in_object(b, byte, bytes))
		return -EINVAL;
	return read_any(b, byte, buf, bytes);
}

int backing_raw_write(struct backing *b, uint64_t byte, const void *buf, size_t bytes)
{
	int rc;

	if (!in_object(b, byte, bytes))
		return -EINVAL;
	if (b->read_only)
		return -EROFS;
	rc = check_size(b);
	return rc ? rc : write_any(b, byte, buf, bytes, false);
}

int backing_raw_zero(struct backing *b, uint64_t byte, uint64_t bytes)
{
	if (!in_object(b, byte, bytes))
		return -EINVAL;
	if (b->read_only)
		return -EROFS;
	if (!bytes)
		return 0;
	return zero_allocated(b, byte, bytes);
}

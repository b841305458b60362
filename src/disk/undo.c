/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Owns the format of undo files, and how they are written safely. */
#include "disk/undo.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/str.h"

#define HEADER_BYTES 512U
#define RECORD_BYTES 32U
#define VERSION 1U
#define RECORD_MAGIC 0x4f444e55U /* "UNDO" */

enum record_kind { UNDO_DATA = 1, UNDO_ZEROES = 2, UNDO_END = 3 };

/* Positions in the header; its checksum is in the last four bytes. */
enum {
	AT_MAGIC = 0,
	AT_VERSION = 8,
	AT_VNR = 12,
	AT_SIZE = 16,
	AT_GENERATION = 24,
	AT_RESOURCE = 32,
	AT_NODE = AT_RESOURCE + NAME_MAX_BYTES,
	AT_CRC = HEADER_BYTES - 4,
};

static const char magic[8] = { 'D', 'R', 'B', 'D', 'U', 'N', 'D', 'O' };

static uint32_t checksum(uint32_t crc, const void *p, size_t n)
{
	return ~crc32c(~crc, p, n);
}

/* ---- writing ---- */

struct undo_writer {
	int fd;
	uint64_t count;
	char path[PATH_MAX];
};

static int write_all(struct undo_writer *w, const void *data, size_t bytes, struct err *err)
{
	const uint8_t *p = data;

	while (bytes) {
		ssize_t n = write(w->fd, p, bytes);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return err_errno(err, n ? errno : EIO, "undo file %s: write", w->path);
		p += n;
		bytes -= (size_t)n;
	}
	return 0;
}

static int write_header(struct undo_writer *w, const struct undo_header *h, struct err *err)
{
	uint8_t raw[HEADER_BYTES] = { 0 };

	memcpy(raw + AT_MAGIC, magic, sizeof(magic));
	put_le32(raw + AT_VERSION, VERSION);
	put_le32(raw + AT_VNR, h->vnr);
	put_le64(raw + AT_SIZE, h->size_bytes);
	put_le64(raw + AT_GENERATION, h->generation);
	memcpy(raw + AT_RESOURCE, h->resource, strnlen(h->resource, NAME_MAX_BYTES - 1));
	memcpy(raw + AT_NODE, h->node, strnlen(h->node, NAME_MAX_BYTES - 1));
	put_le32(raw + AT_CRC, checksum(0, raw, AT_CRC));
	return write_all(w, raw, sizeof(raw), err);
}

int undo_create(const char *path, const struct undo_header *header, struct undo_writer **out,
		struct err *err)
{
	struct undo_writer *w = calloc(1, sizeof(*w));
	int rc;

	if (!w || !str_copy(w->path, sizeof(w->path), path)) {
		free(w);
		return err_set(err, -ENOMEM, "undo file %s: no memory", path);
	}
	w->fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (w->fd < 0) {
		rc = err_errno(err, errno, "undo file %s", path);
		free(w);
		return rc;
	}
	rc = write_header(w, header, err);
	if (rc) {
		undo_abandon(w);
		return rc;
	}
	*out = w;
	return 0;
}

static bool is_zero(const uint8_t *p, uint32_t bytes)
{
	return !p[0] && !memcmp(p, p + 1, bytes - 1);
}

static int write_record(struct undo_writer *w, enum record_kind kind, uint64_t position,
			uint32_t length, const void *data, uint32_t bytes, struct err *err)
{
	uint8_t raw[RECORD_BYTES] = { 0 };
	int rc;

	put_le32(raw, RECORD_MAGIC);
	put_le32(raw + 4, kind);
	put_le64(raw + 8, position);
	put_le32(raw + 16, length);
	put_le32(raw + 28, checksum(checksum(0, raw, 28), data, bytes));
	rc = write_all(w, raw, sizeof(raw), err);
	return rc ? rc : write_all(w, data, bytes, err);
}

int undo_add(struct undo_writer *w, uint64_t position, const void *data, uint32_t bytes,
	     struct err *err)
{
	w->count++;
	if (is_zero(data, bytes))
		return write_record(w, UNDO_ZEROES, position, bytes, "", 0, err);
	return write_record(w, UNDO_DATA, position, bytes, data, bytes, err);
}

/* The name is durable, too. */
static int sync_directory(const struct undo_writer *w, struct err *err)
{
	char copy[PATH_MAX];
	int fd, rc = 0;

	(void)str_copy(copy, sizeof(copy), w->path);
	fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fsync(fd))
		rc = err_errno(err, errno, "undo file %s: sync of its directory", w->path);
	if (fd >= 0)
		(void)close(fd);
	return rc;
}

int undo_finish(struct undo_writer *w, struct err *err)
{
	int rc = write_record(w, UNDO_END, w->count, 0, "", 0, err);

	if (!rc && fsync(w->fd))
		rc = err_errno(err, errno, "undo file %s: sync", w->path);
	if (!rc)
		rc = sync_directory(w, err);
	if (rc) {
		undo_abandon(w);
		return rc;
	}
	(void)close(w->fd);
	free(w);
	return 0;
}

void undo_abandon(struct undo_writer *w)
{
	(void)unlink(w->path);
	(void)close(w->fd);
	free(w);
}

/* ---- reading ---- */

struct undo_reader {
	int fd;
	uint64_t count;
	struct undo_header header;
	char path[PATH_MAX];
	uint8_t data[UNDO_CHUNK_BYTES];
};

static int damaged(const struct undo_reader *r, struct err *err, const char *what)
{
	return err_set(err, -EBADMSG, "undo file %s: %s (record %llu)", r->path, what,
		       (unsigned long long)r->count);
}

static int read_all(struct undo_reader *r, void *out, size_t bytes, struct err *err)
{
	uint8_t *p = out;

	while (bytes) {
		ssize_t n = read(r->fd, p, bytes);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_errno(err, errno, "undo file %s: read", r->path);
		if (n == 0)
			return damaged(r, err,
				       "it ends too early: it was not finished, or was cut");
		p += n;
		bytes -= (size_t)n;
	}
	return 0;
}

static int read_header(struct undo_reader *r, struct err *err)
{
	struct undo_header *h = &r->header;
	uint8_t raw[HEADER_BYTES];
	int rc = read_all(r, raw, sizeof(raw), err);

	if (rc)
		return rc;
	if (memcmp(raw, magic, sizeof(magic)))
		return damaged(r, err, "it is none");
	if (get_le32(raw + AT_CRC) != checksum(0, raw, AT_CRC))
		return damaged(r, err, "its header is damaged");
	if (get_le32(raw + AT_VERSION) != VERSION)
		return err_set(err, -EPROTONOSUPPORT, "undo file %s: version %u is not known",
			       r->path, get_le32(raw + AT_VERSION));
	h->vnr = get_le32(raw + AT_VNR);
	h->size_bytes = get_le64(raw + AT_SIZE);
	h->generation = get_le64(raw + AT_GENERATION);
	memcpy(h->resource, raw + AT_RESOURCE, NAME_MAX_BYTES - 1);
	memcpy(h->node, raw + AT_NODE, NAME_MAX_BYTES - 1);
	return 0;
}

int undo_open(const char *path, struct undo_reader **out, struct err *err)
{
	struct undo_reader *r = calloc(1, sizeof(*r));
	int rc;

	if (!r || !str_copy(r->path, sizeof(r->path), path)) {
		free(r);
		return err_set(err, -ENOMEM, "undo file %s: no memory", path);
	}
	r->fd = open(path, O_RDONLY | O_CLOEXEC);
	rc = r->fd < 0 ? err_errno(err, errno, "undo file %s", path) : read_header(r, err);
	if (rc) {
		undo_close(r);
		return rc;
	}
	*out = r;
	return 0;
}

const struct undo_header *undo_header_of(const struct undo_reader *r)
{
	return &r->header;
}

static int check_range(const struct undo_reader *r, uint64_t position, uint32_t length,
		       struct err *err)
{
	if (!length || length > UNDO_CHUNK_BYTES || position > r->header.size_bytes ||
	    length > r->header.size_bytes - position)
		return damaged(r, err, "a record does not fit the volume");
	return 0;
}

int undo_next(struct undo_reader *r, struct undo_record *record, struct err *err)
{
	uint8_t raw[RECORD_BYTES];
	uint32_t kind, length, bytes;
	int rc = read_all(r, raw, sizeof(raw), err);

	if (rc)
		return rc;
	kind = get_le32(raw + 4);
	length = get_le32(raw + 16);
	record->position = get_le64(raw + 8);
	if (get_le32(raw) != RECORD_MAGIC || kind < UNDO_DATA || kind > UNDO_END)
		return damaged(r, err, "there is something else than a record");
	rc = kind == UNDO_END ? 0 : check_range(r, record->position, length, err);
	if (rc)
		return rc;
	bytes = kind == UNDO_DATA ? length : 0;
	rc = read_all(r, r->data, bytes, err);
	if (rc)
		return rc;
	if (get_le32(raw + 28) != checksum(checksum(0, raw, 28), r->data, bytes))
		return damaged(r, err, "the checksum does not fit");
	if (kind == UNDO_END)
		return record->position == r->count ? 0 : damaged(r, err, "records are missing");
	if (kind == UNDO_ZEROES)
		memset(r->data, 0, length);
	record->bytes = length;
	record->data = r->data;
	r->count++;
	return 1;
}

int undo_rewind(struct undo_reader *r, struct err *err)
{
	r->count = 0;
	if (lseek(r->fd, HEADER_BYTES, SEEK_SET) < 0)
		return err_errno(err, errno, "undo file %s", r->path);
	return 0;
}

void undo_close(struct undo_reader *r)
{
	if (!r)
		return;
	if (r->fd >= 0)
		(void)close(r->fd);
	free(r);
}

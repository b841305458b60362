/* SPDX-License-Identifier: GPL-2.0-or-later */
/* apply-undo: what resolve has saved is written again, after all of it was checked. */
#include "commands.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "disk/undo.h"

static int fail(const struct err *err)
{
	return cli_fail(EXIT_ERROR, "apply-undo: %s", err->text);
}

static int write_at(int fd, const char *target, const struct undo_record *rec, struct err *err)
{
	const uint8_t *p = rec->data;
	uint64_t at = rec->position, left = rec->bytes;

	while (left) {
		ssize_t n = pwrite(fd, p, left, (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return err_errno(err, n ? errno : EIO, "%s: write at byte %" PRIu64,
					 target, at);
		p += n;
		at += (uint64_t)n;
		left -= (uint64_t)n;
	}
	return 0;
}

/* All records, into `fd` or, with -1, nowhere. */
static int pass(struct undo_reader *r, int fd, const char *target, uint64_t *bytes,
		struct err *err)
{
	struct undo_record rec;
	int rc;

	*bytes = 0;
	while ((rc = undo_next(r, &rec, err)) == 1) {
		*bytes += rec.bytes;
		rc = fd < 0 ? 0 : write_at(fd, target, &rec, err);
		if (rc)
			break;
	}
	return rc;
}

static int apply(struct undo_reader *r, const char *target, struct err *err)
{
	const struct undo_header *h = undo_header_of(r);
	int fd = open(target, O_WRONLY | O_CLOEXEC);
	uint64_t bytes;
	off_t end;
	int rc;

	if (fd < 0)
		return err_errno(err, errno, "%s", target);
	end = lseek(fd, 0, SEEK_END);
	if (end < 0 || (uint64_t)end < h->size_bytes)
		rc = err_set(err, -EFBIG, "%s: it has %lld bytes, the volume had %" PRIu64, target,
			     (long long)end, h->size_bytes);
	else
		rc = undo_rewind(r, err);
	if (!rc)
		rc = pass(r, fd, target, &bytes, err);
	if (!rc && fsync(fd))
		rc = err_errno(err, errno, "%s: sync", target);
	if (close(fd) && !rc)
		rc = err_errno(err, errno, "%s: close", target);
	return rc;
}

int cmd_apply_undo(struct cli *cli)
{
	const struct undo_header *h;
	struct undo_reader *r;
	struct err err = ERR_INIT;
	uint64_t bytes = 0;
	int rc;

	if (undo_open(cli->file, &r, &err))
		return fail(&err);
	h = undo_header_of(r);
	rc = pass(r, -1, "", &bytes, &err);
	if (!rc) {
		(void)printf("%s: %" PRIu64 " KiB of %s/%u (%" PRIu64 " bytes) as %s had them in "
			     "generation %016" PRIX64 "\n", cli->file, bytes / 1024, h->resource,
			     h->vnr, h->size_bytes, h->node, h->generation);
		if (cli->operand[0])
			rc = apply(r, cli->operand, &err);
	}
	undo_close(r);
	return rc ? fail(&err) : EXIT_OK;
}

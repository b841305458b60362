/* SPDX-License-Identifier: GPL-2.0-or-later */
/* FUSE operations on files: open and close, reads and writes, flush, discard and zeroes. */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/log.h"
#include "fuse_int.h"

#define MAX_BACKGROUND 256
#define CONGESTION_THRESHOLD 192

/* Of the kernel's interface; libfuse 3.14 has no field for the second. */
#define OPEN_DIRECT_IO (1U << 0)
#define OPEN_PARALLEL_DIRECT_WRITES (1U << 6)

/* struct fuse_open_out of the kernel. */
struct open_answer {
	uint64_t fh;
	uint32_t open_flags;
	int32_t padding;
};

/* An open that waits for the core. */
struct pending_open {
	struct pending base;
	fuse_req_t req;
	struct volume *vol;
	bool write;
};

static void op_init(void *userdata, struct fuse_conn_info *conn)
{
	(void)userdata;
	conn->max_write = BUF_BYTES_MAX;
	conn->max_background = MAX_BACKGROUND;
	conn->congestion_threshold = CONGESTION_THRESHOLD;
	conn->want &= ~(unsigned)(FUSE_CAP_SPLICE_READ | FUSE_CAP_SPLICE_WRITE |
				  FUSE_CAP_SPLICE_MOVE | FUSE_CAP_WRITEBACK_CACHE |
				  FUSE_CAP_AUTO_INVAL_DATA | FUSE_CAP_READDIRPLUS);
	/* Then a truncation at open is told apart from truncate(), and is nothing. */
	conn->want |= conn->capable & (FUSE_CAP_ASYNC_DIO | FUSE_CAP_ASYNC_READ |
				       FUSE_CAP_ATOMIC_O_TRUNC | FUSE_CAP_PARALLEL_DIROPS);
}

/* A file handle says with which incarnation of the
 * resource it was opened, and whether for writing. */
static uint64_t handle_of(const struct volume *vol, bool write)
{
	return vol->res->incarnation << 1 | write;
}

static bool handle_is_valid(const struct volume *vol, uint64_t fh)
{
	return fh >> 1 == vol->res->incarnation;
}

/* The volume of an open file. NULL: answered already. */
static struct volume *volume_of(fuse_req_t req, fuse_ino_t ino, const struct fuse_file_info *fi)
{
	struct shard *shard = fuse_req_userdata(req);
	struct file *f = file_by_ino(shard, ino);

	/* What was opened before the resource went down stays dead when it comes up again. */
	if (!f || !f->vol || !handle_is_valid(f->vol, fi->fh)) {
		fuse_reply_err(req, f ? EIO : EISDIR);
		return NULL;
	}
	return f->vol;
}

static void close_volume(struct volume *vol, bool write)
{
	struct ev_command cmd = { .cmd = CMD_CLOSE, .vnr = vol->vnr, .write = write };

	resource_command(vol->res, &cmd);
}

static void open_replied(struct pending *p, int rc, const char *text)
{
	struct pending_open *o = CONTAINER_OF(p, struct pending_open, base);
	struct open_answer answer = {
		.fh = handle_of(o->vol, o->write),
		.open_flags = OPEN_DIRECT_IO | OPEN_PARALLEL_DIRECT_WRITES,
	};

	if (rc) {
		log_info("%s/%u: open%s: %s", o->vol->res->name, o->vol->vnr,
			 o->write ? " for writing" : "", text);
		fuse_reply_err(o->req, rc < 0 ? -rc : EIO);
	} else if (fuse_reply_buf(o->req, (const char *)&answer, sizeof(answer)) == -ENOENT) {
		/* The opener was interrupted: no release will follow. */
		o->vol->unclosed[o->write]++;
		o->vol->res->unclosed = true;
	} else {
		o->vol->open_count++;
	}
	free(o);
}

static void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct shard *shard = fuse_req_userdata(req);
	struct file *f = file_by_ino(shard, ino);
	struct core_event ev = { .kind = EV_COMMAND };
	struct pending_open *o;
	struct volume *vol;

	if (!f || !f->vol) {
		fuse_reply_err(req, f ? ENODEV : EISDIR);
		return;
	}
	vol = f->vol;
	o = calloc(1, sizeof(*o));
	if (!o) {
		fuse_reply_err(req, ENOMEM);
		return;
	}
	o->base.reply = open_replied;
	o->req = req;
	o->vol = vol;
	o->write = (fi->flags & O_ACCMODE) != O_RDONLY;
	ev.u.command.cookie = (uint64_t)(uintptr_t)&o->base;
	ev.u.command.cmd = CMD_OPEN;
	ev.u.command.vnr = vol->vnr;
	ev.u.command.write = o->write;
	ev.u.command.nonblock = (fi->flags & O_NONBLOCK) != 0;
	resource_step(vol->res, &ev);
}

static void op_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct shard *shard = fuse_req_userdata(req);
	struct file *f = file_by_ino(shard, ino);

	if (f && f->vol && handle_is_valid(f->vol, fi->fh)) {
		f->vol->open_count--;
		close_volume(f->vol, fi->fh & 1);
	}
	fuse_reply_err(req, 0);
}

/*
 * What overlaps with a write under way may be old or new, as on any disk; a write that was answered
 * is on the disk already. False: by way of the core.
 */
static bool read_directly(struct volume *vol, fuse_req_t req, uint64_t off, uint32_t size)
{
	struct buf *buf;
	bool done;

	if (!vol->local_reads || (off | size) % SECTOR_BYTES)
		return false;
	buf = buf_get(vol->res->shard->bufs, BUF_READ, size);
	if (!buf)
		return false;
	done = shard_disk_read_now(vol, off / SECTOR_BYTES, buf->data, size);
	if (done)
		fuse_reply_buf(req, (const char *)buf->data, size);
	buf_put(buf);
	return done;
}

static void op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		    struct fuse_file_info *fi)
{
	struct volume *vol = volume_of(req, ino, fi);
	uint64_t end;

	if (!vol)
		return;
	end = vol->size_sectors * SECTOR_BYTES;
	if (off < 0 || (uint64_t)off >= end || size == 0) {
		fuse_reply_buf(req, NULL, 0);
		return;
	}
	if (size > BIO_MAX_BYTES)
		size = BIO_MAX_BYTES;
	if (size > end - (uint64_t)off)
		size = (size_t)(end - (uint64_t)off);
	if (!read_directly(vol, req, (uint64_t)off, (uint32_t)size))
		app_submit(vol, req, OP_READ, (uint64_t)off, size, false, NULL, NULL);
}

/* The bytes of a request that is not in a pooled buffer of its own. */
static struct buf *copy_in(struct shard *shard, const char *data, size_t size)
{
	struct buf *buf = buf_get_admitted(shard->bufs, BUF_APP, (uint32_t)size);

	if (buf)
		memcpy(buf->data, data, size);
	return buf;
}

static void op_write(fuse_req_t req, fuse_ino_t ino, const char *data, size_t size, off_t off,
		     struct fuse_file_info *fi)
{
	struct shard *shard = fuse_req_userdata(req);
	struct volume *vol = volume_of(req, ino, fi);
	struct buf *buf;
	uint64_t end;

	if (!vol)
		return;
	end = vol->size_sectors * SECTOR_BYTES;
	if (size == 0) {
		fuse_reply_write(req, 0);
		return;
	}
	if (off < 0 || (uint64_t)off >= end) {
		fuse_reply_err(req, ENOSPC);
		return;
	}
	if (size > BUF_BYTES_MAX) {
		fuse_reply_err(req, EINVAL);
		return;
	}
	if (size > end - (uint64_t)off)
		size = (size_t)(end - (uint64_t)off);
	buf = fuse_pump_take(shard, data);
	if (!buf)
		buf = copy_in(shard, data, size);
	if (!buf) {
		fuse_reply_err(req, ENOMEM);
		return;
	}
	app_submit(vol, req, OP_WRITE, (uint64_t)off, size,
		   (fi->flags & (O_DSYNC | O_SYNC)) != 0, buf, buf->data);
}

static void op_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
	struct volume *vol = volume_of(req, ino, fi);

	(void)datasync;
	if (vol)
		app_submit(vol, req, OP_FLUSH, 0, 0, false, NULL, NULL);
}

static void op_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t offset, off_t length,
			 struct fuse_file_info *fi)
{
	struct volume *vol = volume_of(req, ino, fi);
	enum request_op op;
	uint64_t end;

	if (!vol)
		return;
	end = vol->size_sectors * SECTOR_BYTES;
	if (offset < 0 || length <= 0) {
		fuse_reply_err(req, EINVAL);
		return;
	}
	if (mode == (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE)) {
		op = OP_DISCARD;
	} else if ((mode & ~FALLOC_FL_KEEP_SIZE) == FALLOC_FL_ZERO_RANGE) {
		op = OP_ZEROES;
	} else {
		fuse_reply_err(req, EOPNOTSUPP);
		return;
	}
	if ((uint64_t)offset >= end || (uint64_t)length > end - (uint64_t)offset) {
		/* Beyond the end there is nothing to keep; a larger file there cannot be. */
		if (!(mode & FALLOC_FL_KEEP_SIZE)) {
			fuse_reply_err(req, ENOSPC);
			return;
		}
		if ((uint64_t)offset >= end) {
			fuse_reply_err(req, 0);
			return;
		}
		length = (off_t)(end - (uint64_t)offset);
	}
	app_submit(vol, req, op, (uint64_t)offset, (uint64_t)length, false, NULL, NULL);
}

/* ---- what the directory does not allow ---- */

static void op_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
		      struct fuse_file_info *fi)
{
	(void)parent;
	(void)name;
	(void)mode;
	(void)fi;
	fuse_reply_err(req, EPERM);
}

static void op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	(void)parent;
	(void)name;
	(void)mode;
	fuse_reply_err(req, EPERM);
}

static void op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev)
{
	(void)parent;
	(void)name;
	(void)mode;
	(void)rdev;
	fuse_reply_err(req, EPERM);
}

static void op_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name)
{
	(void)target;
	(void)parent;
	(void)name;
	fuse_reply_err(req, EPERM);
}

static void op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	(void)parent;
	(void)name;
	fuse_reply_err(req, EPERM);
}

static void op_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t new_parent,
		      const char *new_name, unsigned flags)
{
	(void)parent;
	(void)name;
	(void)new_parent;
	(void)new_name;
	(void)flags;
	fuse_reply_err(req, EPERM);
}

static const struct fuse_lowlevel_ops ops = {
	.init = op_init,
	.lookup = ns_lookup,
	.getattr = ns_getattr,
	.setattr = ns_setattr,
	.readdir = ns_readdir,
	.statfs = ns_statfs,
	.open = op_open,
	.release = op_release,
	.read = op_read,
	.write = op_write,
	.fsync = op_fsync,
	.fallocate = op_fallocate,
	.create = op_create,
	.mkdir = op_mkdir,
	.mknod = op_mknod,
	.symlink = op_symlink,
	.unlink = op_unlink,
	.rmdir = op_unlink,
	.rename = op_rename,
};

const struct fuse_lowlevel_ops *shard_fuse_ops(void)
{
	return &ops;
}

size_t shard_fuse_ops_bytes(void)
{
	return sizeof(ops);
}

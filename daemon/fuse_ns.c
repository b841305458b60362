/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The names: one flat directory, a file per volume; attributes and what may not be changed. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/str.h"
#include "fuse_int.h"

#define DIR_BUFFER_BYTES_MAX (64U << 10)

struct file *file_by_ino(struct shard *shard, uint64_t ino)
{
	LIST_FOR_EACH(it, &shard->files) {
		struct file *f = LIST_ENTRY(it, struct file, link);

		if (f->ino == ino)
			return f;
	}
	return NULL;
}

static struct file *file_by_name(struct shard *shard, const char *name)
{
	LIST_FOR_EACH(it, &shard->files) {
		struct file *f = LIST_ENTRY(it, struct file, link);

		if (str_eq(f->name, name))
			return f;
	}
	return NULL;
}

void file_bind(struct volume *vol)
{
	struct shard *shard = vol->res->shard;
	char name[sizeof(vol->file->name)];
	struct file *f;

	if (vol->vnr == 0)
		str_copy(name, sizeof(name), vol->res->name);
	else
		str_format(name, sizeof(name), "%s@%u", vol->res->name, vol->vnr);
	f = file_by_name(shard, name);
	if (!f) {
		f = calloc(1, sizeof(*f));
		ASSERT(f);
		str_copy(f->name, sizeof(f->name), name);
		f->ino = shard->next_ino++;
		list_push_back(&shard->files, &f->link);
	}
	ASSERT(!f->vol);
	f->vol = vol;
	vol->file = f;
}

void file_unbind(struct volume *vol)
{
	if (vol->file)
		vol->file->vol = NULL;
	vol->file = NULL;
}

void fuse_ns_free(struct shard *shard)
{
	while (!list_empty(&shard->files)) {
		struct list *first = list_first(&shard->files);

		list_del(first);
		free(LIST_ENTRY(first, struct file, link));
	}
}

static void root_attributes(struct stat *st)
{
	memset(st, 0, sizeof(*st));
	st->st_ino = FUSE_ROOT_ID;
	st->st_mode = S_IFDIR | 0700;
	st->st_nlink = 2;
	st->st_uid = getuid();
	st->st_gid = getgid();
	clock_gettime(CLOCK_REALTIME_COARSE, &st->st_mtim);
	st->st_atim = st->st_ctim = st->st_mtim;
}

static void file_attributes(const struct file *f, struct stat *st)
{
	uint64_t sectors = f->vol ? f->vol->size_sectors : 0;

	memset(st, 0, sizeof(*st));
	st->st_ino = f->ino;
	st->st_mode = S_IFREG | 0600;
	st->st_nlink = 1;
	st->st_uid = getuid();
	st->st_gid = getgid();
	st->st_size = (off_t)(sectors * SECTOR_BYTES);
	st->st_blocks = (blkcnt_t)sectors;
	st->st_blksize = BM_BLOCK_BYTES;
	/* The content has no time of its own: peers change it too. */
	clock_gettime(CLOCK_REALTIME_COARSE, &st->st_mtim);
	st->st_atim = st->st_ctim = st->st_mtim;
}

void ns_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct shard *shard = fuse_req_userdata(req);
	struct fuse_entry_param e = { .ino = 0 };
	struct file *f = parent == FUSE_ROOT_ID ? file_by_name(shard, name) : NULL;

	if (!f || !f->vol) {
		fuse_reply_err(req, ENOENT);
		return;
	}
	/* No caching of names or sizes: both change without the kernel's doing. */
	e.ino = f->ino;
	file_attributes(f, &e.attr);
	fuse_reply_entry(req, &e);
}

void ns_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct shard *shard = fuse_req_userdata(req);
	struct file *f = file_by_ino(shard, ino);
	struct stat st;

	(void)fi;
	if (ino == FUSE_ROOT_ID) {
		root_attributes(&st);
	} else if (f) {
		file_attributes(f, &st);
	} else {
		fuse_reply_err(req, ENOENT);
		return;
	}
	fuse_reply_attr(req, &st, 0);
}

void ns_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int to_set,
		struct fuse_file_info *fi)
{
	struct shard *shard = fuse_req_userdata(req);
	struct file *f = file_by_ino(shard, ino);
	struct stat now;

	if (!f || !f->vol) {
		fuse_reply_err(req, f ? ENODEV : EPERM);
		return;
	}
	file_attributes(f, &now);
	if (to_set & (FUSE_SET_ATTR_MODE | FUSE_SET_ATTR_UID | FUSE_SET_ATTR_GID)) {
		fuse_reply_err(req, EPERM);
		return;
	}
	/* The size is that of the volume, as with a block device. */
	if ((to_set & FUSE_SET_ATTR_SIZE) && attr->st_size != now.st_size) {
		fuse_reply_err(req, EINVAL);
		return;
	}
	ns_getattr(req, ino, fi);
}

void ns_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
	struct shard *shard = fuse_req_userdata(req);
	char *buffer;
	size_t used = 0;
	off_t position = 2;
	struct stat st = { .st_ino = FUSE_ROOT_ID, .st_mode = S_IFDIR };

	(void)fi;
	if (ino != FUSE_ROOT_ID) {
		fuse_reply_err(req, ENOTDIR);
		return;
	}
	if (size > DIR_BUFFER_BYTES_MAX)
		size = DIR_BUFFER_BYTES_MAX;
	buffer = malloc(size);
	if (!buffer) {
		fuse_reply_err(req, ENOMEM);
		return;
	}
	for (off_t dot = off; dot < 2; dot++) {
		size_t n = fuse_add_direntry(req, buffer + used, size - used, dot ? ".." : ".",
					     &st, dot + 1);

		if (n > size - used)
			break;
		used += n;
	}
	st.st_mode = S_IFREG;
	LIST_FOR_EACH(it, &shard->files) {
		struct file *f = LIST_ENTRY(it, struct file, link);
		size_t n;

		/* Positions count all files ever seen, so that they stay while one reads on. */
		if (position++ < off || !f->vol)
			continue;
		st.st_ino = f->ino;
		n = fuse_add_direntry(req, buffer + used, size - used, f->name, &st, position);
		if (n > size - used)
			break;
		used += n;
	}
	fuse_reply_buf(req, buffer, used);
	free(buffer);
}

void ns_statfs(fuse_req_t req, fuse_ino_t ino)
{
	struct shard *shard = fuse_req_userdata(req);
	struct statvfs fs = { .f_bsize = BM_BLOCK_BYTES, .f_frsize = BM_BLOCK_BYTES };

	(void)ino;
	LIST_FOR_EACH(it, &shard->files) {
		struct file *f = LIST_ENTRY(it, struct file, link);

		if (!f->vol)
			continue;
		fs.f_blocks += f->vol->size_sectors / BM_BLOCK_SECTORS;
		fs.f_files++;
	}
	fs.f_namemax = NAME_MAX_BYTES;
	fuse_reply_statfs(req, &fs);
}

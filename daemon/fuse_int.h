/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The FUSE side of a shard: files, requests of applications. The shard's thread only. */
#ifndef FUSE_INT_H
#define FUSE_INT_H

#define FUSE_USE_VERSION 314
#include <fuse_lowlevel.h>

#include "core/core.h"
#include "shard_int.h"

#define APP_PARTS_MAX 3

/* The file of one volume. It stays for the life of the mount, so that its inode number stays. */
struct file {
	struct list link;             /* shard->files */
	char name[NAME_MAX_BYTES + 8];
	uint64_t ino;
	struct volume *vol;           /* NULL: the resource is down */
};

/* Each part is one request to the core; its cookie is the address of the app_req plus its index. */
struct app_part {
	enum request_op op;
	uint64_t sector;
	uint32_t bytes;
	/* write: our reference until it is submitted; read: the result */
	struct buf *buf;
};

enum app_phase {
	APP_WAITS_RANGE,              /* on vol->waiting_writes */
	APP_READS_EDGES,              /* parts read the sectors that a write covers only partly */
	APP_FINAL,                    /* parts are the request itself */
};

/*
 * One request of an application. Offsets that are no multiples of a sector are served by reading
 * the sectors at the edges, changing them, and writing them: such a request is exclusive, no other
 * change of the same sectors is under way meanwhile.
 */
struct app_req {
	struct list link;             /* active_writes, waiting_writes or none */
	struct list blocked_link;     /* resource->blocked, ->completed, or none */
	fuse_req_t req;
	struct volume *vol;
	enum request_op op;
	enum app_phase phase;
	bool exclusive;
	bool fua;
	bool interrupted;
	bool entered;
	uint64_t offset;              /* bytes, as asked for; of the present chunk */
	uint32_t bytes;
	uint64_t left_bytes;          /* discard, zeroes: behind the present chunk */
	uint64_t first_sector, end_sector; /* what the chunk touches */
	struct buf *buf;              /* data of a write */
	const uint8_t *data;          /* in buf, or NULL: zeroes */
	unsigned part_count;
	unsigned parts_open;          /* submitted, not complete */
	struct app_part parts[APP_PARTS_MAX];
	int error;
};

/* app_req.c */
/* offset and bytes lie within the volume; bytes > 0 unless it is a flush. Takes over buf. */
void app_submit(struct volume *vol, fuse_req_t req, enum request_op op, uint64_t offset,
		uint64_t bytes, bool fua, struct buf *buf, const uint8_t *data);
/* Called while the core is being asked for actions. */
void app_complete(struct resource *res, const struct ac_complete *a);
/* After a step: answers or carries on with what is complete. */
void app_settle(struct resource *res);
/* Submits what waited for room in the core. */
void app_unblock(struct resource *res);
void app_free_all(struct shard *shard);

/* app_range.c */
/* Enters a change into the lists of its volume; true: it may start now. */
bool app_range_enter(struct app_req *r);
/* Leaves the lists; *ready receives those that may start now. */
void app_range_leave(struct app_req *r, struct list *ready);

/* fuse_ns.c */
struct file *file_by_ino(struct shard *shard, uint64_t ino);
/* Makes the file of a volume that came up, or finds it again. */
void file_bind(struct volume *vol);
void file_unbind(struct volume *vol);
void fuse_ns_free(struct shard *shard);
void ns_lookup(fuse_req_t req, fuse_ino_t parent, const char *name);
void ns_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void ns_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int to_set,
		struct fuse_file_info *fi);
void ns_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi);
void ns_statfs(fuse_req_t req, fuse_ino_t ino);

/* fuse_pump.c */
/*
 * The request being processed lies in a pooled buffer with its payload at `payload`: takes that
 * buffer, with its reference, out of the pump. NULL: it is not in one of ours.
 */
struct buf *fuse_pump_take(struct shard *shard, const char *payload);
/* 0 or -errno. Takes `ended`, unless it fails, and posts it when the file system is unmounted. */
int fuse_pump_start(struct shard *shard, struct fuse_session *session, struct shard_reply *ended);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A shard: one thread that owns resources with everything they need (core, streams, timers,
 * buffers, disk jobs). Other threads only post messages to it and read what it publishes.
 */
#ifndef SHARD_H
#define SHARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/inbox.h"
#include "conf/conf.h"
#include "control.h"

struct shard;
struct fuse_session;
struct fuse_lowlevel_ops;
struct net_identity;

struct shard_conf {
	struct daemon *daemon;
	struct inbox *replies;      /* of the control thread */
	unsigned disk_threads;
	bool voter;                 /* its resources have no disk and no application here */
	unsigned parallel_resyncs;  /* 0 = any number */
	bool trace_wire;
};

/* An answer to the control thread; freed by the one who runs it. */
struct shard_reply {
	struct inbox_msg msg;
	control_done done;
	void *ctx;
	int rc;                     /* as in ac_reply */
	char text[ERR_TEXT_MAX];
};

/* Resources are created but no thread runs yet. NULL: err says why. */
struct shard *shard_new(const struct shard_conf *conf, struct err *err);
int shard_start(struct shard *shard, struct err *err);
/* All resources must be down. Waits for the thread. */
void shard_stop(struct shard *shard);
void shard_free(struct shard *shard);

/* Control thread: publishes what has changed. Waits for at most SHARD_REFRESH_MAX_MS. */
#define SHARD_REFRESH_MAX_MS 100
void shard_refresh(struct shard *shard);

/*
 * The functions below are called on the control thread. Each leads to one call of `done` there,
 * later; when the inbox is full -EAGAIN is returned and `done` is not called.
 */

/* Creates the resource, attaches its volumes and starts to connect. The configuration is copied. */
int shard_up(struct shard *shard, const struct conf *conf, const struct conf_resource *res,
	     uint8_t own_node_id, control_done done, void *ctx);
/* Disk calls that have ended so far. Any thread. */
uint64_t shard_progress(const struct shard *shard);
/* Demotes, disconnects, detaches, and forgets the resource. */
int shard_down(struct shard *shard, const char *resource, bool force, control_done done, void *ctx);
int shard_command(struct shard *shard, const char *resource, const struct ev_command *cmd,
		  control_done done, void *ctx);
/* Other options, which fit (core_conf_fits()), are copied; then as shard_complete(). */
int shard_configure(struct shard *shard, const struct conf *conf, const struct conf_resource *res,
		    uint8_t own_node_id, control_done done, void *ctx);
/* Before shard_start(), or on the control thread. Takes the identity, also when it fails. */
int shard_set_identity(struct shard *shard, struct net_identity *identity);
/* Attaches and connects whatever is not. */
int shard_complete(struct shard *shard, const char *resource, control_done done, void *ctx);

/*
 * The FUSE session is served by the shard from now on. `ended` runs on the control thread when the
 * file system has been unmounted.
 */
int shard_serve(struct shard *shard, struct fuse_session *session, control_done ended, void *ctx);
/* The operations of the session; userdata of fuse_session_new() is the shard. */
const struct fuse_lowlevel_ops *shard_fuse_ops(void);
size_t shard_fuse_ops_bytes(void);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files share that carry out what the control thread asks of the resources of a shard. */
#ifndef DAEMON_SHARD_MSG_H
#define DAEMON_SHARD_MSG_H

#include "core/core.h"
#include "net/net.h"
#include "shard_int.h"

struct conf;
struct conf_resource;
struct fuse_session;

/* A message from the control thread. */
struct shard_msg {
	struct inbox_msg msg;
	struct shard *shard;
	struct shard_reply *reply;
	char name[NAME_MAX_BYTES];
	struct ev_command cmd;
	bool force;
	bool has_slots;               /* configure: the disks know of all peers to be */
	struct resource *res;         /* up: taken */
	struct net_conn_conf *conns;  /* up, configure: peer_count of them */
	struct core_conf *options;    /* configure */
	struct handler_set *handlers; /* configure: taken */
	struct conf_node_volume *volumes; /* configure: those of options, on this node */
	struct fuse_session *session;
	struct net_identity *identity; /* taken */
};

/* To the shard's thread, where run() frees it. */
int shard_msg_post(struct shard *shard, struct shard_msg *m, void (*run)(struct inbox_msg *msg),
		   control_done done, void *ctx);
struct resource *shard_find(struct shard *shard, const char *name);
void shard_answer(struct shard *shard, struct shard_reply *reply, int rc, const char *text);

/* ---- several commands with one answer ---- */

struct gather {
	struct pending base;
	struct resource *res;
	struct shard_reply *reply;
	unsigned left;
	int rc;
	char text[ERR_TEXT_MAX];
	struct shard_msg *msg; /* configure: what is to be done then */
};

/* NULL: no memory. gather_done() at the end of the commands. */
struct gather *gather_new(struct resource *res, struct shard_reply *reply);
void gather_command(struct gather *g, const struct ev_command *cmd);
void gather_done(struct gather *g);

/* Attaches what has a disk and connects what has a peer; or only what is not yet. */
void shard_attach_and_connect(struct resource *res, struct shard_reply *reply, bool only_missing);
void shard_fill_volume(struct resource *res, struct volume *vol, uint16_t vnr,
		       const struct conf_node_volume *conf);
void shard_fill_connection(const struct conf_resource *cr, uint8_t own, uint8_t peer,
			   struct net_conn_conf *out);

#endif

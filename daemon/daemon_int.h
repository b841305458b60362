/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The process around the shard, from the control thread's side. */
#ifndef DAEMON_INT_H
#define DAEMON_INT_H

#include <limits.h>
#include <pthread.h>
#include <stdbool.h>

#include "base/err.h"
#include "base/inbox.h"
#include "base/list.h"
#include "conf/conf.h"
#include "control.h"
#include "net/net_event.h"
#include "shard.h"

#define DAEMON_REPLIES_MAX 65536U
#define DAEMON_DOWN_DEADLINE_S 15 /* without a disk call that ends */

struct fuse_session;
struct net_identity;

struct daemon_options {
	char config_file[PATH_MAX];
	char node[NAME_MAX_BYTES];
	bool arbiter;               /* no mount, no disk, no Primary: only a voice in quorum */
	char socket_path[CONF_PATH_MAX]; /* "" = none */
	char mountpoint[PATH_MAX];
	const char *fuse_options;   /* NULL = none */
	bool trace_wire;
	struct net_identity *identity; /* to begin with; daemon_new() takes it */
};

/* A configuration that running resources were made from. */
struct conf_ref {
	struct conf *conf;
	unsigned user_count;
};

/* A resource that was brought up, with the configuration it runs with. */
struct daemon_resource {
	struct list link;
	char name[NAME_MAX_BYTES];
	struct conf_ref *conf;
};

/* A picture of one resource; immutable, counted. */
struct published {
	struct list link;
	char name[NAME_MAX_BYTES];
	struct published_status *status;
};

struct published_status {
	unsigned user_count;        /* atomic */
	struct status_resource *resource;
};

enum daemon_phase { DAEMON_STARTING, DAEMON_RUNNING, DAEMON_ENDING };

struct daemon {
	struct daemon_options options;
	struct conf_ref *conf;      /* the latest that was read */
	struct event_base *base;
	struct inbox replies;
	struct shard *shard;
	struct http_server *http;   /* NULL: no control socket */
	struct fuse_session *session;
	bool mounted;
	enum daemon_phase phase;
	int exit_code;
	unsigned coming_up, going_down; /* resources; a daemon may be told to end while it starts */
	bool start_failed;
	struct list running;        /* struct daemon_resource */
	/* Called once: all resources are up and the mount, if there is one, answers. */
	void (*ready)(void *ctx);
	/* A line for whoever started the daemon. */
	void (*say)(void *ctx, const char *text);
	/* SIGHUP; NULL: it ends the daemon as the other signals do. */
	void (*hung_up)(void *ctx);
	void *start_ctx;
	struct event ev_replies, ev_start, ev_down, ev_signals[3];
	uint64_t down_progress;     /* shard_progress() as last seen */
	unsigned down_idle_s;       /* since it last grew */
	pthread_mutex_t history_lock; /* histories; leaf */
	struct list histories;        /* struct history */
	pthread_mutex_t published_lock; /* published; leaf */
	struct list published;
};

/* daemon.c */
/* Takes conf and options->identity. NULL: err says why. */
struct daemon *daemon_new(const struct daemon_options *options, struct conf *conf, struct err *err);
/* Until it ends; returns the exit code. */
int daemon_run(struct daemon *d);
void daemon_free(struct daemon *d);
/* A reply for the control thread itself, delivered from its event loop. */
void daemon_reply_later(control_done done, void *ctx, struct daemon *d, int rc, const char *text);

/* daemon_resource.c */
struct conf_ref *conf_ref_new(struct conf *conf);
void conf_ref_put(struct conf_ref *ref);
struct daemon_resource *daemon_resource_find(struct daemon *d, const char *name);
/* This node in a resource that this daemon has to do with; NULL: it has nothing to do with it. */
const struct conf_node *daemon_node_in(const struct daemon_options *options,
				       const struct conf_resource *res);
/* Starts it from d->conf. `done` as everywhere. */
int daemon_resource_up(struct daemon *d, const struct conf_resource *res, control_done done,
		       void *ctx);
int daemon_resource_down(struct daemon *d, const char *name, bool force, control_done done,
			 void *ctx);

/* daemon_tls.c */
/*
 * What the configuration says of the node's certificate; *out is NULL when nothing is encrypted.
 * False: a message says why it cannot be used.
 */
bool daemon_tls_load(const struct conf *conf, const char *node, struct net_identity **out,
		     struct conf_messages *messages);
/* Takes the identity (NULL: none), for new connections. */
void daemon_tls_use(struct daemon *d, struct net_identity *identity);
/* Reads the files again; the configuration stays as it is. */
void daemon_tls_reload(struct daemon *d);

/* snapshot.c */
void snapshot_init(struct daemon *d);
void snapshot_clear(struct daemon *d);
/* Any thread. Takes status; NULL: the resource is down. */
void daemon_publish(struct daemon *d, const char *name, struct status_resource *status);
bool daemon_is_published(struct daemon *d, const char *name);

/* history.c */
void history_init(struct daemon *d);
void history_clear(struct daemon *d);
/* Any thread. */
void daemon_changed(struct daemon *d, const char *name, const struct state_change *change);

/* mount.c */
/* Makes a dead mount of ours go away, and refuses a mountpoint that cannot be used. */
int mount_prepare(const char *mountpoint, bool nonempty, struct err *err);
/* The absolute path, also of a dead mount. */
int mount_resolve(const char *mountpoint, char out[PATH_MAX], struct err *err);
/* Takes the options of the mount: what is wrong with them is found before anything is up. */
int mount_session_new(struct daemon *d, struct err *err);
int mount_start(struct daemon *d, struct err *err);
void mount_end(struct daemon *d);

/* notify_ready.c */
/* Tells systemd, if it started us. */
void notify_service(const char *state);

#endif

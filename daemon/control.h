/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the control thread (HTTP) may ask of the rest of the daemon. Every function here is called
 * on the control thread only; the work happens on the shard, results come back to the control
 * thread.
 */
#ifndef CONTROL_H
#define CONTROL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/core.h"
#include "proto/proto_status.h"

struct daemon;
struct event_base;

/* Runs on the control thread. rc as in ac_reply (>= 1 success, <= 0 failure); text is borrowed. */
typedef void (*control_done)(void *ctx, int rc, const char *text);

/* The control thread's own event base; `done` callbacks are dispatched from it. */
struct event_base *daemon_control_base(struct daemon *d);

/* 0: posted, `done` will be called exactly once.
 * -ENOENT: the resource is not up (done not called). */
int daemon_command(struct daemon *d, const char *resource, const struct ev_command *cmd,
		   control_done done, void *ctx);
/* Configured but down -> up (attach all, connect all). -ENOENT: not configured. */
int daemon_up(struct daemon *d, const char *resource, control_done done, void *ctx);
int daemon_down(struct daemon *d, const char *resource, bool force, control_done done, void *ctx);
/* Reads the configuration again; what runs goes on as it is. 0, or what is wrong in `text`. */
int daemon_reload(struct daemon *d, char *text, size_t text_bytes);
/* Reads the configuration again and brings the resource to it. */
int daemon_adjust(struct daemon *d, const char *resource, control_done done, void *ctx);
/* Orderly end of the process; the reply to the client is sent first. */
void daemon_shutdown(struct daemon *d);

/* What the core does not know about a volume. */
struct status_backing {
	char path[256];         /* "" = no local disk configured */
	bool direct_io;         /* O_DIRECT, else the page cache */
	bool attached;
};

/* One resource: immutable once published. `up` false: configured only, nothing else is valid. */
struct status_resource {
	char name[NAME_MAX_BYTES];
	bool up;
	struct resource_status core;
	struct status_backing backing[VOLUMES_MAX]; /* same order as core.volumes */
};

/* All configured resources in byte order of their names. */
struct status_snapshot {
	uint64_t taken_ns;      /* CLOCK_MONOTONIC */
	unsigned resource_count;
	struct status_resource *resources;
};

/*
 * Replaces the pictures by those of this moment, so that who asks sees what he has just done.
 * A shard that does not answer at once is not waited for longer than 100 ms: the last ones stay.
 */
void daemon_snapshot_refresh(struct daemon *d);
/* Never waits on I/O or on a shard's work. Release with daemon_snapshot_put(). */
const struct status_snapshot *daemon_snapshot_get(struct daemon *d);
void daemon_snapshot_put(struct daemon *d, const struct status_snapshot *s);

/* The name of this node. */
const char *daemon_node(struct daemon *d);
/* The last state changes of a resource, oldest first, in `out` of CHANGES_KEPT; their count. Also
 * of one that is down by now. */
unsigned daemon_history_get(struct daemon *d, const char *name, struct kept_change *out);

/* Provided by the HTTP side (http_server.c). */
struct http_server;
/* Listens on the Unix socket `path` (directory made 0750, socket 0660; a stale one is replaced, a
 * live one refused). Text of the failure in err_text. NULL on failure. */
struct http_server *http_server_new(struct daemon *d, struct event_base *base, const char *path,
				    char *err_text, unsigned err_bytes);
/* Who may send requests besides root and the daemon's own user: exactly these
 * (security.allowed-control-users), at most CONF_CONTROL_USERS_MAX. */
void http_server_allow(struct http_server *s, const uid_t *users, unsigned count);
/* Closes the listener and all connections, answers
 * nothing more; commands under way are forgotten. */
void http_server_free(struct http_server *s);

#endif

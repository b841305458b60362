/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of the control interface share. */
#ifndef HTTP_INT_H
#define HTTP_INT_H

#include <event2/http.h>
#include <jansson.h>
#include <stdbool.h>

#include "api/api.h"
#include "base/list.h"
#include "conf/conf.h"
#include "control.h"

#define HTTP_CLIENT_TIMEOUT_S 10    /* a client that neither sends nor reads */
#define HTTP_COMMAND_TIMEOUT_S 120  /* then 504; the command itself goes on */
#define HTTP_HEADER_BYTES_MAX (16 << 10)
#define HTTP_ACCEPT_PAUSE_S 1       /* after one that failed for lack of descriptors */
#define HTTP_COMMANDS_MAX 256       /* commands under way */

struct http_server {
	struct daemon *daemon;
	struct event_base *base;
	struct evhttp *http;
	char path[CONF_PATH_MAX];
	dev_t socket_dev;
	ino_t socket_ino;
	unsigned user_count;
	uid_t users[CONF_CONTROL_USERS_MAX];
	unsigned command_count;
	struct list commands;           /* struct http_command, http_command.c */
	/* fires once the reply to the shutdown has had its chance */
	struct event *shutdown_event;
};

/* ---- http_router.c ---- */

/* evhttp's callback for every request. */
void http_route(struct evhttp_request *req, void *server);
/* Sends a JSON value and gives it back; NULL (no memory) becomes a bare 500. */
void http_reply_json(struct evhttp_request *req, int status, json_t *body);
void http_reply_error(struct evhttp_request *req, const struct api_error *error);
/* There is no such resource; `what` is what the message begins with. */
void http_reply_unknown(struct http_server *s, struct evhttp_request *req, const char *what,
			const char *resource);

/* ---- http_command.c ---- */

/* Starts a command; the reply is sent when the daemon answers. */
void http_command_start(struct http_server *s, struct evhttp_request *req,
			const struct api_request *request);
/* No command answers its client any more; their memory goes when the daemon is done with them. */
void http_commands_forget(struct http_server *s);

/* ---- daemon_paths.c ---- */

/* Paths to a peer of a resource that is up, as it was configured; returns their count. */
unsigned daemon_peer_paths(struct daemon *d, const char *resource, unsigned peer_node_id,
			   struct conf_peer_path out[CONF_PATHS_MAX]);

#endif

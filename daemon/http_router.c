/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Owns the way of one HTTP request: who sent it, what it asks, the immediate answers. */
#include "http_int.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http_struct.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "api/api_why.h"
#include "base/log.h"
#include "base/str.h"

void http_reply_json(struct evhttp_request *req, int status, json_t *body)
{
	struct evkeyvalq *headers = evhttp_request_get_output_headers(req);
	struct evbuffer *out = evhttp_request_get_output_buffer(req);
	char *text = body ? json_dumps(body, JSON_INDENT(1) | JSON_REAL_PRECISION(8)) : NULL;

	json_decref(body);
	if (!text) {
		evhttp_send_error(req, HTTP_INTERNAL, NULL);
		return;
	}
	(void)evhttp_add_header(headers, "Content-Type", "application/json");
	(void)evhttp_add_header(headers, "Cache-Control", "no-store");
	(void)evbuffer_add_printf(out, "%s\n", text);
	free(text);
	evhttp_send_reply(req, status, NULL, NULL);
}

void http_reply_error(struct evhttp_request *req, const struct api_error *error)
{
	http_reply_json(req, api_http_status(error->code), api_error_json(error));
}

static void reply_failure(struct evhttp_request *req, enum api_code code, const char *message,
			  const char *hint)
{
	struct api_error error = { .code = code, .hint = hint };

	(void)str_copy(error.message, sizeof(error.message), message);
	http_reply_error(req, &error);
}

/* ---- who ---- */

static bool is_allowed(const struct http_server *s, struct evhttp_request *req, uid_t *uid)
{
	struct evhttp_connection *connection = evhttp_request_get_connection(req);
	struct bufferevent *bev = evhttp_connection_get_bufferevent(connection);
	struct ucred cred;
	socklen_t len = sizeof(cred);

	*uid = (uid_t)-1;
	if (getsockopt(bufferevent_getfd(bev), SOL_SOCKET, SO_PEERCRED, &cred, &len))
		return false;
	*uid = cred.uid;
	if (cred.uid == 0 || cred.uid == geteuid())
		return true;
	for (unsigned i = 0; i < s->user_count; i++) {
		if (s->users[i] == cred.uid)
			return true;
	}
	return false;
}

/* ---- status ---- */

static json_t *resource_json(struct http_server *s, const struct status_resource *r)
{
	struct api_backing backing[VOLUMES_MAX];
	struct api_paths *paths;
	json_t *out;

	if (!r->up)
		return api_resource_down_json(r->name);
	paths = calloc(NODES_MAX, sizeof(*paths));
	if (!paths)
		return NULL;
	for (unsigned i = 0; i < r->core.peer_count; i++)
		paths[i].count = daemon_peer_paths(s->daemon, r->name, r->core.peers[i].node_id,
						   paths[i].path);
	for (unsigned i = 0; i < r->core.volume_count; i++)
		backing[i] = (struct api_backing){ .path = r->backing[i].path,
						   .direct_io = r->backing[i].direct_io,
						   .attached = r->backing[i].attached };
	out = api_resource_json(&r->core, backing, paths);
	free(paths);
	return out;
}

static const struct status_resource *find(const struct status_snapshot *snapshot, const char *name)
{
	for (unsigned i = 0; i < snapshot->resource_count; i++) {
		if (str_eq(snapshot->resources[i].name, name))
			return &snapshot->resources[i];
	}
	return NULL;
}

void http_reply_unknown(struct http_server *s, struct evhttp_request *req, const char *what,
			const char *resource)
{
	const struct status_snapshot *snapshot = daemon_snapshot_get(s->daemon);
	struct str_nearest n = { .wanted = resource };
	char message[API_TEXT_MAX];

	for (unsigned i = 0; snapshot && i < snapshot->resource_count; i++)
		str_nearest_try(&n, snapshot->resources[i].name);
	(void)str_format(message, sizeof(message), "%s: No such resource%s%s", what,
			 n.best ? ", did you mean " : "", n.best ? n.best : "");
	daemon_snapshot_put(s->daemon, snapshot);
	reply_failure(req, API_NOT_FOUND, message,
		      "'drbdctl status' lists the resources of this node");
}

static void reply_status(struct http_server *s, struct evhttp_request *req, const char *resource)
{
	const struct status_snapshot *snapshot;
	json_t *out = json_array();
	bool found = !resource[0];

	daemon_snapshot_refresh(s->daemon);
	snapshot = daemon_snapshot_get(s->daemon);
	for (unsigned i = 0; i < snapshot->resource_count; i++) {
		const struct status_resource *r = &snapshot->resources[i];

		if (resource[0] && !str_eq(r->name, resource))
			continue;
		found = true;
		(void)json_array_append_new(out, resource_json(s, r));
	}
	daemon_snapshot_put(s->daemon, snapshot);
	if (found) {
		http_reply_json(req, 200, out);
		return;
	}
	json_decref(out);
	http_reply_unknown(s, req, resource, resource);
}

static json_t *why_json(struct http_server *s, const struct status_resource *r)
{
	struct kept_change *changes = calloc(CHANGES_KEPT, sizeof(*changes));
	struct resource_status *status = calloc(1, sizeof(*status));
	json_t *out = NULL;

	if (changes && status) {
		if (r->up)
			*status = r->core;
		else
			(void)str_copy(status->name, sizeof(status->name), r->name);
		out = api_why_json(status, r->up, daemon_node(s->daemon), changes,
				   daemon_history_get(s->daemon, r->name, changes));
	}
	free(status);
	free(changes);
	return out;
}

static void reply_why(struct http_server *s, struct evhttp_request *req, const char *resource)
{
	const struct status_snapshot *snapshot;
	const struct status_resource *r;

	daemon_snapshot_refresh(s->daemon);
	snapshot = daemon_snapshot_get(s->daemon);
	r = find(snapshot, resource);
	if (r)
		http_reply_json(req, 200, why_json(s, r));
	daemon_snapshot_put(s->daemon, snapshot);
	if (!r)
		http_reply_unknown(s, req, resource, resource);
}

/* ---- commands ---- */

/* What the snapshot can tell about a command before the daemon is asked. True: go on. */
static bool prepare(struct http_server *s, struct evhttp_request *req, struct api_request *r)
{
	const struct status_snapshot *snapshot = daemon_snapshot_get(s->daemon);
	const struct status_resource *resource = find(snapshot, r->resource);
	struct api_error error;
	bool known = resource != NULL;
	char what[API_WHAT_MAX];
	/* After adjust a resource may be new in the file. */
	bool may_be_new = r->verb == VERB_ADJUST || r->verb == VERB_UP;
	bool down = known && !resource->up && r->verb == VERB_CORE;
	bool good = (known || may_be_new) && !down &&
		    (r->verb != VERB_CORE || api_request_bind(r, &resource->core, &error));

	daemon_snapshot_put(s->daemon, snapshot);
	if (good)
		return true;
	api_request_what(r, what);
	if (!known) {
		http_reply_unknown(s, req, what, r->resource);
	} else if (down) {
		(void)str_format(error.message, sizeof(error.message), "%s: the resource is down",
				 what);
		reply_failure(req, API_NOT_FOUND, error.message, "start it with 'drbdctl up'");
	} else {
		http_reply_error(req, &error);
	}
	return false;
}

static void on_shutdown_replied(struct evhttp_request *req, void *arg)
{
	struct http_server *s = arg;

	(void)req;
	event_active(s->shutdown_event, EV_TIMEOUT, 0);
}

static void start_shutdown(struct http_server *s, struct evhttp_request *req)
{
	/* Should the client not take the reply, the shutdown happens all the same. */
	struct timeval limit = { .tv_sec = 1 };

	(void)evtimer_add(s->shutdown_event, &limit);
	evhttp_request_set_on_complete_cb(req, on_shutdown_replied, s);
	http_reply_json(req, 200, api_success_json("shutting down"));
}

static void reload(struct http_server *s, struct evhttp_request *req)
{
	char text[API_TEXT_MAX];

	if (daemon_reload(s->daemon, text, sizeof(text)))
		reply_failure(req, API_FAILED, text, "");
	else
		http_reply_json(req, 200, api_success_json("the configuration was read again"));
}

/* The daemon makes files for nobody whom it would not let make them himself. */
static bool may_save(const struct api_request *r, uid_t uid, struct api_error *error)
{
	if (!r->command.save_to[0] || uid == 0 || uid == geteuid())
		return true;
	*error = (struct api_error){ .code = API_FORBIDDEN,
				     .hint = "run it as root or as the user of the daemon" };
	return !str_copy(error->message, sizeof(error->message),
			 "connect: only root and the daemon's own user may have it write a file");
}

static void dispatch(struct http_server *s, struct evhttp_request *req, struct api_request *r)
{
	switch (r->verb) {
	case VERB_VERSION:
		http_reply_json(req, 200, api_version_json());
		return;
	case VERB_STATUS:
		reply_status(s, req, r->resource);
		return;
	case VERB_WHY:
		reply_why(s, req, r->resource);
		return;
	case VERB_RELOAD:
		reload(s, req);
		return;
	case VERB_SHUTDOWN:
		start_shutdown(s, req);
		return;
	case VERB_UP:
	case VERB_DOWN:
	case VERB_ADJUST:
	case VERB_CORE:
		if (prepare(s, req, r))
			http_command_start(s, req, r);
		return;
	}
}

void http_route(struct evhttp_request *req, void *server)
{
	enum evhttp_cmd_type type = evhttp_request_get_command(req);
	struct evbuffer *in = evhttp_request_get_input_buffer(req);
	const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(req);
	const char *path = uri ? evhttp_uri_get_path(uri) : NULL;
	size_t bytes = evbuffer_get_length(in);
	const char *body = bytes ? (const char *)evbuffer_pullup(in, -1) : "";
	struct api_request request;
	struct api_error error;
	uid_t uid;

	if (!is_allowed(server, req, &uid)) {
		log_warning("control socket: request of user %u refused", (unsigned)uid);
		reply_failure(
			req, API_FORBIDDEN, "you may not control this daemon",
			"run drbdctl as root or as the user of the daemon, or add the user to "
			"security.allowed-control-users");
	} else if (type != EVHTTP_REQ_GET && type != EVHTTP_REQ_POST) {
		reply_failure(req, API_METHOD, "only GET and POST are used here", "");
	} else if (!body) {
		evhttp_send_error(req, HTTP_INTERNAL, NULL);
	} else if (!api_request_parse(type == EVHTTP_REQ_GET ? API_GET : API_POST, path ? path : "",
				      body, bytes, &request, &error)) {
		http_reply_error(req, &error);
	} else if (!may_save(&request, uid, &error)) {
		http_reply_error(req, &error);
	} else {
		dispatch(server, req, &request);
	}
}

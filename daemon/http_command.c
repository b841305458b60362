/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns commands under way. A command lives until the daemon has called back, however early its
 * client leaves or its time is up:
 *
 *   req set            the client waits; exactly one reply is sent, or its connection closes
 *   req NULL           answered, timed out or gone; the result is dropped
 *   server NULL        the control interface is gone, too
 */
#include "http_int.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/str.h"

struct http_command {
	struct list link;
	struct http_server *server;
	struct evhttp_request *req;
	struct event *timer;
	struct api_request request;
};

static void command_free(struct http_command *c)
{
	if (c->server)
		c->server->command_count--;
	list_del(&c->link);
	if (c->timer)
		event_free(c->timer);
	free(c);
}

/* The client is answered (or gone): its request is no longer ours. */
static struct evhttp_request *take_request(struct http_command *c)
{
	struct evhttp_request *req = c->req;

	c->req = NULL;
	if (c->timer)
		(void)event_del(c->timer);
	if (req)
		evhttp_connection_set_closecb(evhttp_request_get_connection(req), NULL, NULL);
	return req;
}

static void on_client_closed(struct evhttp_connection *connection, void *arg)
{
	struct http_command *c = arg;

	(void)connection;
	c->req = NULL;
	(void)event_del(c->timer);
}

static void on_timeout(evutil_socket_t fd, short what, void *arg)
{
	struct http_command *c = arg;
	struct evhttp_request *req = take_request(c);
	struct api_error error = { .code = API_TIMED_OUT,
				   .hint = "it goes on; 'drbdctl status' shows what it waits for" };
	char command[API_WHAT_MAX];

	(void)fd;
	(void)what;
	api_request_what(&c->request, command);
	(void)str_format(error.message, sizeof(error.message), "%s: no result within %d seconds",
			 command, HTTP_COMMAND_TIMEOUT_S);
	if (req)
		http_reply_error(req, &error);
}

static void on_done(void *ctx, int rc, const char *text)
{
	struct http_command *c = ctx;
	struct evhttp_request *req = take_request(c);
	struct api_error error;

	if (req && api_result(&c->request, rc, text, &error))
		http_reply_json(req, 200, api_success_json(text));
	else if (req)
		http_reply_error(req, &error);
	command_free(c);
}

static struct http_command *command_new(struct http_server *s, struct evhttp_request *req,
					const struct api_request *request)
{
	struct timeval limit = { .tv_sec = HTTP_COMMAND_TIMEOUT_S };
	struct http_command *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->request = *request;
	c->timer = evtimer_new(s->base, on_timeout, c);
	if (!c->timer || evtimer_add(c->timer, &limit)) {
		if (c->timer)
			event_free(c->timer);
		free(c);
		return NULL;
	}
	c->server = s;
	c->req = req;
	list_push_back(&s->commands, &c->link);
	s->command_count++;
	evhttp_connection_set_closecb(evhttp_request_get_connection(req), on_client_closed, c);
	return c;
}

static int post(struct http_server *s, struct http_command *c)
{
	const struct api_request *r = &c->request;

	switch (r->verb) {
	case VERB_UP:
		return daemon_up(s->daemon, r->resource, on_done, c);
	case VERB_DOWN:
		return daemon_down(s->daemon, r->resource, r->command.force, on_done, c);
	case VERB_ADJUST:
		return daemon_adjust(s->daemon, r->resource, on_done, c);
	case VERB_CORE:
		return daemon_command(s->daemon, r->resource, &r->command, on_done, c);
	case VERB_VERSION:
	case VERB_STATUS:
	case VERB_WHY:
	case VERB_RELOAD:
	case VERB_SHUTDOWN:
		break;
	}
	ASSERT(false); /* a command */
	return -EINVAL;
}

void http_command_start(struct http_server *s, struct evhttp_request *req,
			const struct api_request *request)
{
	struct api_error error = { .code = API_FAILED, .hint = "try again later" };
	struct http_command *c = NULL;
	char what[API_WHAT_MAX];
	int rc;

	api_request_what(request, what);
	if (s->command_count < HTTP_COMMANDS_MAX)
		c = command_new(s, req, request);
	if (!c) {
		(void)str_format(error.message, sizeof(error.message),
				 "%s: too many commands under way", what);
		http_reply_error(req, &error);
		return;
	}
	rc = post(s, c);
	if (rc == 0)
		return;
	/* Not posted: the callback will not come. */
	req = take_request(c);
	command_free(c);
	error.hint = "";
	(void)str_format(error.message, sizeof(error.message), "%s: %s", what,
			 strerrordesc_np(-rc));
	if (req && rc == -ENOENT)
		http_reply_unknown(s, req, what, request->resource);
	else if (req)
		http_reply_error(req, &error);
}

void http_commands_forget(struct http_server *s)
{
	LIST_FOR_EACH_SAFE(it, &s->commands) {
		struct http_command *c = LIST_ENTRY(it, struct http_command, link);

		(void)take_request(c);
		event_free(c->timer);
		c->timer = NULL;
		c->server = NULL;
		list_del(&c->link);
	}
	s->command_count = 0;
}

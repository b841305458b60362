/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Owns the Unix socket of the control interface and its limits. */
#include "http_int.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/err.h"
#include "base/log.h"
#include "base/str.h"

#define LISTEN_BACKLOG 64
#define SOCKET_MODE 0660
#define DIRECTORY_MODE 0750

/* Makes the directory of the socket, and those above it that are missing. */
static int directory_make(const char *path, struct err *err)
{
	char dir[CONF_PATH_MAX];

	if (!str_copy(dir, sizeof(dir), path))
		return err_set(err, -ENAMETOOLONG, "control socket %s: path too long", path);
	for (char *p = strchr(dir + 1, '/'); p; p = strchr(p + 1, '/')) {
		*p = '\0';
		if (mkdir(dir, DIRECTORY_MODE) && errno != EEXIST)
			return err_errno(err, errno, "control socket %s: cannot make directory %s",
					 path, dir);
		*p = '/';
	}
	return 0;
}

static int address_fill(const char *path, struct sockaddr_un *sun, struct err *err)
{
	memset(sun, 0, sizeof(*sun));
	sun->sun_family = AF_UNIX;
	if (!str_copy(sun->sun_path, sizeof(sun->sun_path), path))
		return err_set(
			err, -ENAMETOOLONG,
			"control socket %s: the system allows %zu bytes; choose another with "
			"-s or node.control-socket",
			path, sizeof(sun->sun_path) - 1);
	return 0;
}

/* Removes a socket that nobody listens on; refuses anything else that is in the way. */
static int stale_remove(const struct sockaddr_un *sun, struct err *err)
{
	const char *path = sun->sun_path;
	struct stat st;
	int fd, rc;

	if (lstat(path, &st))
		return errno == ENOENT ? 0 : err_errno(err, errno, "control socket %s", path);
	if (!S_ISSOCK(st.st_mode))
		return err_set(
			err, -EEXIST,
			"control socket %s: there is something else than a socket; remove it "
			"or choose another path with -s",
			path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_errno(err, errno, "control socket %s", path);
	rc = connect(fd, (const struct sockaddr *)sun, sizeof(*sun)) ? errno : 0;
	(void)close(fd);
	if (rc != ECONNREFUSED)
		return err_set(err, -EADDRINUSE,
			       "control socket %s: another drbdfs listens on it; end it with "
			       "'drbdctl shutdown' or choose another path with -s", path);
	if (unlink(path) && errno != ENOENT)
		return err_errno(err, errno, "control socket %s: cannot remove the stale one",
				 path);
	return 0;
}

static int socket_listen(struct http_server *s, struct err *err)
{
	struct sockaddr_un sun;
	struct stat st;
	int fd, rc = address_fill(s->path, &sun, err);

	if (rc || (rc = directory_make(s->path, err)) || (rc = stale_remove(&sun, err)))
		return rc;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	/* The mode set before bind() is that of the new
	 * file: there is no moment with a wider one. */
	if (fd < 0 || fchmod(fd, SOCKET_MODE) ||
	    bind(fd, (const struct sockaddr *)&sun, sizeof(sun)) ||
	    chmod(s->path, SOCKET_MODE) || listen(fd, LISTEN_BACKLOG) || stat(s->path, &st)) {
		rc = err_errno(err, errno, "control socket %s", s->path);
		if (fd >= 0)
			(void)close(fd);
		return rc;
	}
	s->socket_dev = st.st_dev;
	s->socket_ino = st.st_ino;
	return fd;
}

static void on_accept_again(evutil_socket_t fd, short what, void *listener)
{
	(void)fd;
	(void)what;
	(void)evconnlistener_enable(listener);
}

/* No descriptors left: what waits stays readable, and libevent would try again at once. */
static void on_accept_error(struct evconnlistener *listener, void *http)
{
	const struct timeval pause = { .tv_sec = HTTP_ACCEPT_PAUSE_S };

	(void)http;
	log_warning("control socket: cannot accept connections at present: %s", strerror(errno));
	if (!event_base_once(evconnlistener_get_base(listener), -1, EV_TIMEOUT, on_accept_again,
			     listener, &pause))
		(void)evconnlistener_disable(listener);
}

static void on_shutdown(evutil_socket_t fd, short what, void *arg)
{
	struct http_server *s = arg;

	(void)fd;
	(void)what;
	(void)event_del(s->shutdown_event);
	daemon_shutdown(s->daemon);
}

static int http_start(struct http_server *s, struct err *err)
{
	struct evhttp_bound_socket *bound;
	int fd;

	s->http = evhttp_new(s->base);
	s->shutdown_event = evtimer_new(s->base, on_shutdown, s);
	if (!s->http || !s->shutdown_event)
		return err_set(err, -ENOMEM, "control socket %s: out of memory", s->path);
	evhttp_set_timeout(s->http, HTTP_CLIENT_TIMEOUT_S);
	evhttp_set_max_headers_size(s->http, HTTP_HEADER_BYTES_MAX);
	evhttp_set_max_body_size(s->http, API_BODY_BYTES_MAX);
	evhttp_set_gencb(s->http, http_route, s);
	fd = socket_listen(s, err);
	if (fd < 0)
		return fd;
	bound = evhttp_accept_socket_with_handle(s->http, fd);
	if (!bound) {
		(void)close(fd);
		return err_set(err, -ENOMEM, "control socket %s: cannot listen", s->path);
	}
	evconnlistener_set_error_cb(evhttp_bound_socket_get_listener(bound), on_accept_error);
	return 0;
}

struct http_server *http_server_new(struct daemon *d, struct event_base *base, const char *path,
				    char *err_text, unsigned err_bytes)
{
	struct http_server *s = calloc(1, sizeof(*s));
	struct err err = ERR_INIT;

	if (!s) {
		(void)str_copy(err_text, err_bytes, "out of memory");
		return NULL;
	}
	s->daemon = d;
	s->base = base;
	list_init(&s->commands);
	if (!str_copy(s->path, sizeof(s->path), path))
		(void)err_set(&err, -ENAMETOOLONG, "control socket %s: path too long", path);
	if (err.code || http_start(s, &err)) {
		(void)str_copy(err_text, err_bytes, err.text);
		http_server_free(s);
		return NULL;
	}
	return s;
}

void http_server_allow(struct http_server *s, const uid_t *users, unsigned count)
{
	ASSERT(count <= CONF_CONTROL_USERS_MAX);
	memcpy(s->users, users, count * sizeof(*users));
	s->user_count = count;
}

void http_server_free(struct http_server *s)
{
	struct stat st;

	if (!s)
		return;
	http_commands_forget(s);
	if (s->http)
		evhttp_free(s->http);
	if (s->shutdown_event)
		event_free(s->shutdown_event);
	/* Only our own socket: a successor may have replaced it. */
	if (s->socket_ino && !stat(s->path, &st) && st.st_dev == s->socket_dev &&
	    st.st_ino == s->socket_ino)
		(void)unlink(s->path);
	free(s);
}

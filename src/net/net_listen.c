/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Listeners, one per local address; what is accepted is matched to a peer by its source address and
 * handed over when its first packet has named the stream.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/log.h"
#include "net/net_addr.h"
#include "net/net_int.h"

#define ACCEPTS_PER_TURN 16
#define ACCEPT_PAUSE_MS 200     /* after one that failed for lack of descriptors or memory */
/* Lines about who is not a peer yet: anybody can cause them. */
#define STRANGER_LINES_MAX 20U
#define STRANGER_PERIOD_S 60

static bool may_log(struct net *net)
{
	struct timeval now = { .tv_sec = 0 };

	(void)event_base_gettimeofday_cached(net->base, &now);
	if (now.tv_sec - net->strangers_since_s >= STRANGER_PERIOD_S ||
	    now.tv_sec < net->strangers_since_s) {
		if (net->strangers_count > STRANGER_LINES_MAX)
			log_notice("%u more lines about incoming connections were left out",
				   net->strangers_count - STRANGER_LINES_MAX);
		net->strangers_since_s = now.tv_sec;
		net->strangers_count = 0;
	}
	return net->strangers_count++ < STRANGER_LINES_MAX;
}

static void inbound_free(struct net_inbound *in, bool close_fd)
{
	event_del(&in->ev);
	list_del(&in->link);
	in->net->inbound_count--;
	if (close_fd)
		close(in->fd);
	free(in);
}

void net_inbound_forget(struct net_conn *conn)
{
	LIST_FOR_EACH_SAFE(it, &conn->net->inbounds) {
		struct net_inbound *in = LIST_ENTRY(it, struct net_inbound, link);

		if (in->conn == conn)
			inbound_free(in, true);
	}
}

static void on_first_bytes(evutil_socket_t fd, short what, void *arg)
{
	struct net_inbound *in = arg;
	struct net_conn *conn = in->conn;
	uint8_t path_idx = in->path_idx;
	int kind;
	ssize_t n;

	if (what & EV_TIMEOUT) {
		if (may_log(in->net))
			log_notice("%s: the peer connected, but did not say which stream it is",
				   conn->conf.name);
		inbound_free(in, true);
		return;
	}
	n = recv(fd, in->first + in->got_bytes, WIRE_INITIAL_BYTES - in->got_bytes, 0);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		inbound_free(in, true);
		return;
	}
	in->got_bytes += (uint32_t)n;
	if (in->got_bytes < WIRE_INITIAL_BYTES)
		return;
	kind = wire_decode_initial(in->first);
	if (kind < 0) {
		if (may_log(in->net))
			log_warning("%s: closed an incoming connection: its first packet is "
				    "wrong: %s", conn->conf.name, wire_error_text(kind));
		inbound_free(in, true);
		return;
	}
	inbound_free(in, false);
	net_connect_inbound(conn, (enum stream)kind, path_idx, fd);
}

/* A path of the connection that a socket from `from`, accepted at `local`, can belong to. */
static int find_path(const struct net_conn *conn, const struct sockaddr_storage *local,
		     const struct sockaddr_storage *from)
{
	for (unsigned i = 0; i < conn->conf.path_count; i++) {
		const struct net_path *path = &conn->conf.paths[i];

		if (net_addr_equal(&path->local, local) && net_addr_same_host(&path->remote, from))
			return (int)i;
	}
	return -1;
}

/* NULL: no configured peer, or none that can be told. */
static struct net_conn *match(struct net_listener *l, const struct sockaddr_storage *from,
			      uint8_t *path_idx)
{
	struct net_conn *found = NULL;

	LIST_FOR_EACH(it, &l->net->conns) {
		struct net_conn *conn = LIST_ENTRY(it, struct net_conn, link);
		int path = find_path(conn, &l->local, from);

		if (path < 0)
			continue;
		/* See net_connect.c: then the source port says the node id. */
		if (conn->conf.peer_address_shared &&
		    net_addr_port(from) % NODES_MAX != conn->conf.peer_node_id)
			continue;
		found = conn;
		*path_idx = (uint8_t)path;
		break;
	}
	return found;
}

static void inbound_new(struct net_listener *l, int fd, const struct sockaddr_storage *from)
{
	const struct timeval deadline = { .tv_sec = NET_INBOUND_DEADLINE_MS / 1000 };
	struct net *net = l->net;
	struct net_inbound *in;
	struct net_conn *conn;
	char text[NET_ADDR_TEXT_BYTES];
	uint8_t path_idx = 0;

	conn = match(l, from, &path_idx);
	if (!conn) {
		net_addr_format(from, text);
		if (may_log(net))
			log_notice("closed a connection from %s: not a configured peer", text);
		close(fd);
		return;
	}
	if (net->inbound_count == NET_INBOUND_MAX)
		inbound_free(LIST_ENTRY(list_first(&net->inbounds), struct net_inbound, link),
			     true);
	in = calloc(1, sizeof(*in));
	if (!in) {
		close(fd);
		return;
	}
	net_set_nonblocking_options(fd);
	in->net = net;
	in->conn = conn;
	in->path_idx = path_idx;
	in->fd = fd;
	list_push_back(&net->inbounds, &in->link);
	net->inbound_count++;
	event_assign(&in->ev, net->base, fd, EV_READ | EV_PERSIST, on_first_bytes, in);
	event_add(&in->ev, &deadline);
}

/* What waits stays readable: without a pause this thread would do nothing else. */
static void pause_accepting(struct net_listener *l)
{
	const struct timeval pause = { .tv_usec = ACCEPT_PAUSE_MS * 1000 };

	if (may_log(l->net))
		log_warning("cannot accept connections at present: %s", strerror(errno));
	event_del(&l->ev);
	event_add(&l->ev_again, &pause);
}

static void on_again(evutil_socket_t fd, short what, void *arg)
{
	struct net_listener *l = arg;

	(void)fd;
	(void)what;
	event_add(&l->ev, NULL);
}

static void on_accept(evutil_socket_t fd, short what, void *arg)
{
	struct net_listener *l = arg;

	(void)what;
	for (unsigned i = 0; i < ACCEPTS_PER_TURN; i++) {
		struct sockaddr_storage from;
		socklen_t len = sizeof(from);
		int accepted;

		memset(&from, 0, sizeof(from));
		accepted = accept4(fd, (struct sockaddr *)&from, &len,
				   SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (accepted < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOBUFS ||
				     errno == ENOMEM))
			pause_accepting(l);
		if (accepted < 0)
			return;
		inbound_new(l, accepted, &from);
	}
}

static int open_listener(const struct sockaddr_storage *local, socklen_t len, struct err *err)
{
	char text[NET_ADDR_TEXT_BYTES];
	int fd, rc, one = 1;

	net_addr_format(local, text);
	fd = socket(local->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_errno(err, errno, "listen on %s: create a socket", text);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (const struct sockaddr *)local, len) == 0 && listen(fd, 32) == 0)
		return fd;
	rc = errno;
	close(fd);
	if (rc == EADDRINUSE)
		return err_set(err, -rc, "listen on %s: another program uses this address; "
			       "is a daemon for this node running already?", text);
	if (rc == EADDRNOTAVAIL)
		return err_set(err, -rc, "listen on %s: no interface of this machine has this "
			       "address; is it the right node (-n)?", text);
	return err_errno(err, rc, "listen on %s", text);
}

int net_listener_get(struct net *net, const struct sockaddr_storage *local, socklen_t len,
		     struct net_listener **out, struct err *err)
{
	struct net_listener *l;
	int fd;

	LIST_FOR_EACH(it, &net->listeners) {
		l = LIST_ENTRY(it, struct net_listener, link);
		if (net_addr_equal(&l->local, local)) {
			l->user_count++;
			*out = l;
			return 0;
		}
	}
	fd = open_listener(local, len, err);
	if (fd < 0)
		return fd;
	l = calloc(1, sizeof(*l));
	if (!l) {
		close(fd);
		return err_set(err, -ENOMEM, "no memory for a listener");
	}
	l->net = net;
	l->local = *local;
	l->fd = fd;
	l->user_count = 1;
	list_push_back(&net->listeners, &l->link);
	event_assign(&l->ev, net->base, fd, EV_READ | EV_PERSIST, on_accept, l);
	event_add(&l->ev, NULL);
	event_assign(&l->ev_again, net->base, -1, EV_TIMEOUT, on_again, l);
	*out = l;
	return 0;
}

void net_listener_put(struct net_listener *l)
{
	ASSERT(l->user_count > 0);
	if (--l->user_count > 0)
		return;
	event_del(&l->ev);
	event_del(&l->ev_again);
	list_del(&l->link);
	close(l->fd);
	free(l);
}

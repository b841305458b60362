/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Life of one TCP connection in use: events, lingering
 * close, deferred freeing; the plain byte layer. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/assert.h"
#include "net/net_int.h"

static ssize_t plain_read(struct net_stream *s, const struct iovec *iov, int iov_count)
{
	ssize_t n;

	do
		n = readv(s->fd, iov, iov_count);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

static ssize_t plain_write(struct net_stream *s, const struct iovec *iov, int iov_count)
{
	struct msghdr msg = {
		.msg_iov = (struct iovec *)(uintptr_t)iov,
		.msg_iovlen = (size_t)iov_count,
	};
	ssize_t n;

	do
		n = sendmsg(s->fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

static bool plain_never(const struct net_stream *s)
{
	(void)s;
	return false;
}

static void plain_end(struct net_stream *s)
{
	shutdown(s->fd, SHUT_WR);
}

static const char *plain_error_text(const struct net_stream *s, int error)
{
	(void)s;
	return strerror(-error);
}

const struct net_layer net_layer_plain = {
	.read = plain_read,
	.write = plain_write,
	.read_ready = plain_never,
	.write_held = plain_never,
	.end = plain_end,
	.error_text = plain_error_text,
};

/* While it lingers: throws away what still arrives; the peer's end of stream ends it. */
static void linger_read(struct net_stream *s)
{
	for (unsigned i = 0; i < 8; i++) {
		struct iovec iov = { .iov_base = s->rx.bytes, .iov_len = NET_RX_BUFFER_BYTES };
		ssize_t n = s->layer->read(s, &iov, 1);

		if (n > 0)
			continue;
		if (n != -EAGAIN)
			net_stream_close(s);
		return;
	}
}

void net_stream_readable(struct net_stream *s)
{
	if (s->closed)
		return;
	if (s->conn)
		net_rx_run(s, NET_RX_BYTES_PER_TURN);
	else
		linger_read(s);
	/* The socket will not tell of what has been taken out of it already. */
	if (!s->closed && !s->starved && s->layer->read_ready(s) && !list_linked(&s->unread_link))
		list_push_back(&s->net->unread, &s->unread_link);
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	net_stream_readable(arg);
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct net_stream *s = arg;

	(void)fd;
	(void)what;
	if (s->closed)
		return;
	s->tx.blocked = false;
	if (!list_linked(&s->output_link))
		list_push_back(&s->net->output, &s->output_link);
}

static void on_linger_end(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	net_stream_close(arg);
}

struct net_stream *net_stream_new(struct net_conn *conn, enum stream kind, int fd,
				  struct net_tls *tls)
{
	struct net_stream *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->net = conn->net;
	s->conn = conn;
	s->kind = kind;
	s->layer = tls ? &net_layer_tls : &net_layer_plain;
	s->fd = fd;
	list_init(&s->link);
	list_init(&s->output_link);
	list_init(&s->starved_link);
	list_init(&s->unread_link);
	if (net_rx_init(s)) {
		free(s);
		return NULL;
	}
	event_assign(&s->ev_read, s->net->base, fd, EV_READ | EV_PERSIST, on_readable, s);
	event_assign(&s->ev_write, s->net->base, fd, EV_WRITE, on_writable, s);
	event_assign(&s->ev_linger, s->net->base, -1, EV_TIMEOUT, on_linger_end, s);
	if (event_add(&s->ev_read, NULL)) {
		net_rx_clear(s);
		free(s);
		return NULL;
	}
	s->tls = tls;
	if (s->layer->read_ready(s))
		list_push_back(&s->net->unread, &s->unread_link);
	return s;
}

void net_stream_close(struct net_stream *s)
{
	struct net_stream *partner = s->partner;

	if (s->closed)
		return;
	s->closed = true;
	s->partner = NULL;
	if (partner) {
		partner->partner = NULL;
		if (s->kind == STREAM_DATA)
			net_stream_close(partner);
	}
	s->conn = NULL;
	event_del(&s->ev_read);
	event_del(&s->ev_write);
	event_del(&s->ev_linger);
	close(s->fd);
	s->fd = -1;
	list_del(&s->output_link);
	list_del(&s->starved_link);
	list_del(&s->unread_link);
	net_tx_clear(s);
	/* A packet callback may be running above us: the receive state is freed later. */
	list_del(&s->link);
	list_push_back(&s->net->graves, &s->link);
}

void net_stream_linger(struct net_stream *s)
{
	const struct timeval deadline = {
		.tv_sec = NET_LINGER_MS / 1000, .tv_usec = NET_LINGER_MS % 1000 * 1000,
	};

	s->conn = NULL;
	list_del(&s->starved_link);
	list_del(&s->link);
	list_push_back(&s->net->lingering, &s->link);
	if (!list_linked(&s->output_link))
		list_push_back(&s->net->output, &s->output_link);
	event_add(&s->ev_read, NULL);
	event_add(&s->ev_linger, &deadline);
}

void net_stream_bury(struct net *net)
{
	while (!list_empty(&net->graves)) {
		struct net_stream *s =
			LIST_ENTRY(list_first(&net->graves), struct net_stream, link);

		list_del(&s->link);
		net_rx_clear(s);
		net_tls_free(s->tls);
		free(s);
	}
}

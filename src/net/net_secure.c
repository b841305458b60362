/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * TLS handshakes on both streams of a connection that shall be encrypted (wire-protocol 1.6).
 *
 * They begin when both TCP connections have proved alive: on the control stream, then on the data
 * stream without waiting. Who opened a TCP connection is the client on it. Nothing is read as
 * packets before both are done; whatever goes wrong ends both, and a new attempt follows.
 */
#include <stdio.h>

#include "base/assert.h"
#include "base/log.h"
#include "net/net_int.h"

static void refuse(struct net_conn *conn, enum stream kind, const char *why)
{
	char problem[sizeof(conn->problem)];

	snprintf(problem, sizeof(problem), "TLS on the %s stream: %s",
		 kind == STREAM_DATA ? "data" : "control", why);
	net_secure_stop(conn);
	net_connect_refused(conn, problem);
}

static void on_ready(evutil_socket_t fd, short what, void *arg);

/* Goes on with one of the two handshakes. */
static void step(struct net_conn *conn, enum stream kind)
{
	struct net_half *half = &conn->half[kind];
	struct net_tls_info info;
	char why[ERR_TEXT_MAX];
	enum net_tls_step next = net_tls_handshake(half->tls, why);

	switch (next) {
	case NET_TLS_FAILED:
		refuse(conn, kind, why);
		return;
	case NET_TLS_WANTS_READ:
	case NET_TLS_WANTS_WRITE:
		event_assign(&conn->ev_secure[kind], conn->net->base, half->fd,
			     next == NET_TLS_WANTS_READ ? EV_READ : EV_WRITE, on_ready, conn);
		event_add(&conn->ev_secure[kind], NULL);
		return;
	case NET_TLS_DONE:
		break;
	}
	if (!net_tls_done(conn->half[!kind].tls))
		return;
	event_del(&conn->ev_timer);
	net_tls_info(half->tls, &info);
	log_info("%s: encrypted with %s%s", conn->conf.name, info.cipher,
		 info.kernel ? " by the kernel" : "");
	net_conn_established(conn);
}

static void on_ready(evutil_socket_t fd, short what, void *arg)
{
	struct net_conn *conn = arg;

	(void)what;
	ASSERT(conn->phase == NET_SECURING);
	step(conn, fd == conn->half[STREAM_DATA].fd ? STREAM_DATA : STREAM_CONTROL);
}

void net_secure_start(struct net_conn *conn)
{
	const struct timeval limit = {
		.tv_sec = conn->conf.tls_handshake_ms / 1000,
		.tv_usec = conn->conf.tls_handshake_ms % 1000 * 1000,
	};

	conn->phase = NET_SECURING;
	for (unsigned i = 0; i < STREAM_COUNT; i++) {
		struct net_half *half = &conn->half[i];

		event_assign(&conn->ev_secure[i], conn->net->base, half->fd, EV_READ, on_ready,
			     conn);
		half->tls = net_tls_new(conn, half->fd, half->accepted);
	}
	if (!conn->half[STREAM_DATA].tls || !conn->half[STREAM_CONTROL].tls) {
		refuse(conn, STREAM_CONTROL, "no memory");
		return;
	}
	event_add(&conn->ev_timer, &limit);
	step(conn, STREAM_CONTROL);
	if (conn->phase == NET_SECURING)
		step(conn, STREAM_DATA);
}

void net_secure_timeout(struct net_conn *conn)
{
	enum stream kind = net_tls_done(conn->half[STREAM_CONTROL].tls) ? STREAM_DATA :
									  STREAM_CONTROL;
	char why[ERR_TEXT_MAX];

	snprintf(why, sizeof(why), "no handshake within %u ms; is tls set on the peer, too?",
		 conn->conf.tls_handshake_ms);
	refuse(conn, kind, why);
}

void net_secure_stop(struct net_conn *conn)
{
	for (unsigned i = 0; i < STREAM_COUNT; i++)
		event_del(&conn->ev_secure[i]);
	event_del(&conn->ev_timer);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Establishment of the two streams to a peer (wire-protocol 1.2).
 *
 * Both ends connect and listen. Who has the greater configured address opens the data stream with
 * its first connect, the other one the control stream; who has one stream and lacks the other opens
 * that one. If two streams of one kind cross, each end keeps the one that it accepted; a coin
 * decides whether it waits or tries again, so that two ends in step fall out of step. When both
 * streams have existed for sock_check_ms and are still alive, the connection is up; or, with TLS,
 * handshakes follow (net_secure.c).
 *
 * How the acceptor knows which peer it is. A kernel peer is known by its source address alone, its
 * port is ephemeral. That is not enough when nodes of one resource share an address and differ in
 * the port only, as several nodes on one machine do; and no packet on the control stream names its
 * sender. Such a node (own_address_shared) binds the source port of every connection that it opens
 * to a port whose remainder modulo 32 is its node id. The acceptor (peer_address_shared) reads the
 * node id from there. To everybody else it is an ephemeral port like any other, nothing is added to
 * the wire, and any mix-up is still caught by the node ids in P_CONNECTION_FEATURES.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/log.h"
#include "base/str.h"
#include "net/net_addr.h"
#include "net/net_int.h"

#define SOURCE_PORT_FIRST 32768U
#define SOURCE_PORT_LAST 60999U
#define SOURCE_PORT_TRIES 32
#define RETRY_FIRST_MS 250U

static void try_connect(struct net_conn *conn);

void net_set_nonblocking_options(int fd)
{
	int one = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}

static void set_keepalive(int fd)
{
	int one = 1, idle_s = 23, interval_s = 23, count = 9;

	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof(idle_s));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval_s, sizeof(interval_s));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof(count));
}

static void half_close(struct net_half *half)
{
	if (half->fd >= 0)
		close(half->fd);
	half->fd = -1;
	net_tls_free(half->tls);
	half->tls = NULL;
}

static void arm(struct net_conn *conn, uint64_t ms)
{
	const struct timeval tv = {
		.tv_sec = (time_t)(ms / 1000), .tv_usec = (suseconds_t)(ms % 1000 * 1000),
	};

	event_add(&conn->ev_timer, &tv);
}

/* connect-int, a seventh more or less, so that two ends do not stay in step. */
static uint64_t wait_ms(struct net_conn *conn)
{
	uint64_t ms = conn->conf.connect_int_s * 1000ULL;

	return prng_range(&conn->net->prng, ms - ms / 7, ms + ms / 7);
}

static uint64_t backoff_ms(struct net_conn *conn)
{
	uint32_t shift = conn->failed_tries < 8 ? conn->failed_tries : 8;
	uint64_t ms = (uint64_t)RETRY_FIRST_MS << shift;
	uint64_t most = wait_ms(conn);

	return ms < most ? prng_range(&conn->net->prng, ms - ms / 7, ms + ms / 7) : most;
}

static bool have(const struct net_conn *conn, enum stream kind)
{
	return conn->half[kind].fd >= 0;
}

/* ESTABLISHED, and the peer has not sent an end of stream. */
static bool half_alive(const struct net_half *half)
{
	struct tcp_info tcp;
	socklen_t len = sizeof(tcp);
	char byte;

	if (getsockopt(half->fd, IPPROTO_TCP, TCP_INFO, &tcp, &len) ||
	    tcp.tcpi_state != TCP_ESTABLISHED)
		return false;
	return recv(half->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) != 0;
}

/* ---- several paths ---- */

/* Both streams use one path. Of two that crossed both ends keep the same one. */
static int path_order(const struct net_path *a, const struct net_path *b)
{
	bool a_first = net_addr_compare(&a->local, a->local_len, &a->remote, a->remote_len) < 0;
	bool b_first = net_addr_compare(&b->local, b->local_len, &b->remote, b->remote_len) < 0;

	return net_addr_compare(a_first ? &a->local : &a->remote, a->local_len,
				b_first ? &b->local : &b->remote, b->local_len);
}

/* The path of the halves that there are; -1 = there is none. */
static int halves_path(const struct net_conn *conn)
{
	for (unsigned i = 0; i < STREAM_COUNT; i++) {
		if (conn->half[i].fd >= 0)
			return conn->half[i].path_idx;
	}
	return -1;
}

static void drop_path(struct net_conn *conn, uint8_t path_idx)
{
	for (unsigned i = 0; i < STREAM_COUNT; i++) {
		if (conn->half[i].fd >= 0 && conn->half[i].path_idx == path_idx)
			half_close(&conn->half[i]);
	}
}

/* A new stream on this path: makes way for it; false: the ones that there are stay. */
static bool take_path(struct net_conn *conn, uint8_t path_idx)
{
	int other = halves_path(conn);

	if (other < 0 || other == path_idx)
		return true;
	if (path_order(&conn->conf.paths[other], &conn->conf.paths[path_idx]) < 0)
		return false;
	drop_path(conn, (uint8_t)other);
	return true;
}

/* After a change of the halves: what comes next. */
static void progress(struct net_conn *conn, bool may_connect)
{
	event_del(&conn->ev_timer);
	if (have(conn, STREAM_DATA) && have(conn, STREAM_CONTROL)) {
		conn->phase = NET_CHECKING;
		arm(conn, conn->conf.sock_check_ms);
		return;
	}
	conn->phase = NET_TRYING;
	if (conn->try_fd >= 0)
		return;
	if (may_connect)
		try_connect(conn);
	else
		arm(conn, wait_ms(conn));
}

static void check_halves(struct net_conn *conn)
{
	for (unsigned i = 0; i < STREAM_COUNT; i++) {
		if (!half_alive(&conn->half[i]))
			half_close(&conn->half[i]);
	}
	if (!have(conn, STREAM_DATA) || !have(conn, STREAM_CONTROL)) {
		progress(conn, true);
		return;
	}
	if (conn->try_fd >= 0) {
		event_del(&conn->ev_try);
		close(conn->try_fd);
		conn->try_fd = -1;
	}
	if (conn->conf.tls)
		net_secure_start(conn);
	else
		net_conn_established(conn);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct net_conn *conn = arg;

	(void)fd;
	(void)what;
	if (conn->phase == NET_CHECKING)
		check_halves(conn);
	else if (conn->phase == NET_SECURING)
		net_secure_timeout(conn);
	else if (conn->phase == NET_TRYING && conn->try_fd < 0)
		try_connect(conn);
}

/* ---- the active side ---- */

/* One line per kind of failure, not one per try. */
static void tell_problem(struct net_conn *conn, enum log_level level, const char *problem)
{
	if (strcmp(problem, conn->problem))
		log_print(level, "%s: %s; going on trying", conn->conf.name, problem);
	str_copy(conn->problem, sizeof(conn->problem), problem);
}

static void try_failed(struct net_conn *conn, int error)
{
	char text[NET_ADDR_TEXT_BYTES];
	char problem[sizeof(conn->problem)];

	net_addr_format(&conn->conf.paths[conn->try_path_idx].remote, text);
	snprintf(problem, sizeof(problem), "connecting to %s: %s", text, strerror(error));
	/* What was wrong when the peer could be reached is worth more. */
	if (!conn->tls_refused)
		tell_problem(conn, LOG_LEVEL_INFO, problem);
	if (conn->try_fd >= 0)
		close(conn->try_fd);
	conn->try_fd = -1;
	/* A stream on a path that does not work is not waited for. */
	if (conn->phase == NET_TRYING && conn->conf.path_count > 1)
		drop_path(conn, conn->try_path_idx);
	conn->try_path_idx = (uint8_t)((conn->try_path_idx + 1U) % conn->conf.path_count);
	if (conn->phase != NET_TRYING)
		return;
	arm(conn, backoff_ms(conn));
	conn->failed_tries++;
}

/* What a stream that we opened shall be (1.2 step 1). */
static enum stream choose_kind(const struct net_conn *conn, const struct net_path *path)
{
	if (have(conn, STREAM_CONTROL))
		return STREAM_DATA;
	if (have(conn, STREAM_DATA))
		return STREAM_CONTROL;
	return net_addr_compare(&path->local, path->local_len, &path->remote, path->remote_len) > 0
		       ? STREAM_DATA
		       : STREAM_CONTROL;
}

static void try_succeeded(struct net_conn *conn)
{
	const struct net_path *path = &conn->conf.paths[conn->try_path_idx];
	uint8_t first[WIRE_INITIAL_BYTES];
	enum stream kind;
	int fd = conn->try_fd;

	if (!take_path(conn, conn->try_path_idx)) {
		close(fd);
		conn->try_fd = -1;
		progress(conn, true);
		return;
	}
	if (have(conn, STREAM_DATA) && have(conn, STREAM_CONTROL)) {
		/* Both came in meanwhile. */
		close(fd);
		conn->try_fd = -1;
		return;
	}
	kind = choose_kind(conn, path);
	wire_encode_initial(kind, first);
	/* The first bytes of a connection always fit into its send buffer. */
	if (send(fd, first, sizeof(first), MSG_NOSIGNAL) != sizeof(first)) {
		try_failed(conn, errno);
		return;
	}
	conn->try_fd = -1;
	if (kind == STREAM_DATA)
		set_keepalive(fd);
	conn->half[kind] = (struct net_half){
		.fd = fd, .accepted = false, .path_idx = conn->try_path_idx,
	};
	progress(conn, false);
}

static void on_connected(evutil_socket_t fd, short what, void *arg)
{
	struct net_conn *conn = arg;
	int error = 0;
	socklen_t len = sizeof(error);

	event_del(&conn->ev_try);
	if (what & EV_TIMEOUT)
		error = ETIMEDOUT;
	else if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len))
		error = errno;
	if (error)
		try_failed(conn, error);
	else
		try_succeeded(conn);
}

/* Binds to the own address, port free to choose or one that tells the node id. */
static int bind_source(struct net_conn *conn, int fd, const struct net_path *path)
{
	struct sockaddr_storage source = path->local;
	int one = 1;

	if (!conn->conf.own_address_shared) {
		net_addr_set_port(&source, 0);
		return bind(fd, (struct sockaddr *)&source, path->local_len) ? -errno : 0;
	}
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	for (unsigned i = 0; i < SOURCE_PORT_TRIES; i++) {
		uint64_t port = prng_range(&conn->net->prng, SOURCE_PORT_FIRST / NODES_MAX,
					   SOURCE_PORT_LAST / NODES_MAX - 1);

		port = port * NODES_MAX + conn->conf.own_node_id;
		net_addr_set_port(&source, (uint16_t)port);
		if (bind(fd, (struct sockaddr *)&source, path->local_len) == 0)
			return 0;
		if (errno != EADDRINUSE)
			return -errno;
	}
	return -EADDRINUSE;
}

static void try_connect(struct net_conn *conn)
{
	const struct timeval deadline = { .tv_sec = (time_t)conn->conf.connect_int_s };
	const struct net_path *path;
	int rc;

	ASSERT(conn->try_fd < 0 && conn->phase == NET_TRYING);
	if (halves_path(conn) >= 0)
		conn->try_path_idx = (uint8_t)halves_path(conn);
	path = &conn->conf.paths[conn->try_path_idx];
	conn->try_fd = socket(path->remote.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
			      0);
	if (conn->try_fd < 0) {
		try_failed(conn, errno);
		return;
	}
	net_set_nonblocking_options(conn->try_fd);
	rc = bind_source(conn, conn->try_fd, path);
	if (rc) {
		try_failed(conn, -rc);
		return;
	}
	if (connect(conn->try_fd, (const struct sockaddr *)&path->remote, path->remote_len) &&
	    errno != EINPROGRESS) {
		try_failed(conn, errno);
		return;
	}
	/* Also when it is connected already: the result is always taken from the event loop. */
	event_assign(&conn->ev_try, conn->net->base, conn->try_fd, EV_WRITE, on_connected, conn);
	event_add(&conn->ev_try, &deadline);
}

/* ---- the passive side ---- */

static void on_early_expired(evutil_socket_t fd, short what, void *arg)
{
	struct net_conn *conn = arg;

	(void)fd;
	(void)what;
	for (unsigned i = 0; i < STREAM_COUNT; i++)
		half_close(&conn->early[i]);
}

/* The core has not asked for a connection yet, or does not know that the old one is dead. */
static void keep_early(struct net_conn *conn, enum stream kind, uint8_t path_idx, int fd)
{
	const struct timeval deadline = { .tv_sec = NET_EARLY_DEADLINE_MS / 1000 };

	half_close(&conn->early[kind]);
	conn->early[kind] = (struct net_half){ .fd = fd, .accepted = true, .path_idx = path_idx };
	event_add(&conn->ev_early, &deadline);
}

void net_connect_inbound(struct net_conn *conn, enum stream kind, uint8_t path_idx, int fd)
{
	bool crossed = false;

	if (kind == STREAM_DATA)
		set_keepalive(fd);
	if (conn->phase == NET_IDLE || conn->phase == NET_SECURING || conn->phase == NET_UP) {
		keep_early(conn, kind, path_idx, fd);
		return;
	}
	if (!take_path(conn, path_idx)) {
		close(fd);
		return;
	}
	if (have(conn, kind)) {
		crossed = true;
		half_close(&conn->half[kind]);
	}
	conn->half[kind] = (struct net_half){ .fd = fd, .accepted = true, .path_idx = path_idx };
	progress(conn, !crossed || prng_chance(&conn->net->prng, 1, 2));
}

/* ---- start and stop ---- */

void net_connect_init(struct net_conn *conn)
{
	conn->phase = NET_IDLE;
	conn->try_fd = -1;
	for (unsigned i = 0; i < STREAM_COUNT; i++) {
		conn->half[i].fd = -1;
		conn->early[i].fd = -1;
	}
	event_assign(&conn->ev_timer, conn->net->base, -1, EV_TIMEOUT, on_timer, conn);
	event_assign(&conn->ev_early, conn->net->base, -1, EV_TIMEOUT, on_early_expired, conn);
}

/* Begins with what the peer has opened already. */
static void take_early(struct net_conn *conn)
{
	event_del(&conn->ev_early);
	for (unsigned i = 0; i < STREAM_COUNT; i++) {
		conn->half[i] = conn->early[i];
		conn->early[i].fd = -1;
		if (conn->half[i].fd >= 0 && !half_alive(&conn->half[i]))
			half_close(&conn->half[i]);
	}
	if (have(conn, STREAM_DATA) && have(conn, STREAM_CONTROL) &&
	    conn->half[STREAM_DATA].path_idx != conn->half[STREAM_CONTROL].path_idx)
		half_close(&conn->half[STREAM_CONTROL]);
}

void net_connect_start(struct net_conn *conn)
{
	conn->phase = NET_TRYING;
	conn->failed_tries = 0;
	take_early(conn);
	progress(conn, true);
}

void net_connect_refused(struct net_conn *conn, const char *problem)
{
	bool told = conn->tls_refused && !strcmp(problem, conn->problem);

	for (unsigned i = 0; i < STREAM_COUNT; i++)
		half_close(&conn->half[i]);
	tell_problem(conn, LOG_LEVEL_WARNING, problem);
	conn->tls_refused = true;
	conn->phase = NET_TRYING;
	take_early(conn);
	if (have(conn, STREAM_DATA) || have(conn, STREAM_CONTROL))
		progress(conn, true);
	else
		arm(conn, backoff_ms(conn));
	conn->failed_tries++;
	if (!told && conn->net->cb->tls_problem)
		conn->net->cb->tls_problem(conn->ctx);
}

void net_connect_stop(struct net_conn *conn)
{
	if (conn->phase == NET_SECURING)
		net_secure_stop(conn);
	event_del(&conn->ev_timer);
	event_del(&conn->ev_early);
	if (conn->try_fd >= 0) {
		event_del(&conn->ev_try);
		close(conn->try_fd);
		conn->try_fd = -1;
	}
	for (unsigned i = 0; i < STREAM_COUNT; i++) {
		half_close(&conn->half[i]);
		half_close(&conn->early[i]);
	}
	if (conn->phase != NET_UP)
		conn->phase = NET_IDLE;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Connections from outside: creation, up and down, queueing, the flush at the end of a turn. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/log.h"
#include "base/str.h"
#include "net/net_addr.h"
#include "net/net_int.h"

struct net *net_new(struct event_base *base, struct buf_pool *pool,
		    const struct net_callbacks *callbacks)
{
	struct net *net = calloc(1, sizeof(*net));
	uint64_t seed = 0;

	if (!net)
		return NULL;
	net->base = base;
	net->pool = pool;
	net->cb = callbacks;
	/* Only for jitter: a failure leaves a constant seed, which is no harm. */
	if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed))
		log_warning("no random numbers for the pace of reconnects");
	prng_seed(&net->prng, seed);
	list_init(&net->conns);
	list_init(&net->listeners);
	list_init(&net->inbounds);
	list_init(&net->output);
	list_init(&net->starved);
	list_init(&net->lingering);
	list_init(&net->graves);
	list_init(&net->unread);
	return net;
}

void net_free(struct net *net)
{
	if (!net)
		return;
	ASSERT(list_empty(&net->conns) && list_empty(&net->listeners));
	while (!list_empty(&net->lingering))
		net_stream_close(
			LIST_ENTRY(list_first(&net->lingering), struct net_stream, link));
	net_stream_bury(net);
	net_tx_free_chunks(net);
	net_identity_free(net->identity);
	net_tls_net_free(net);
	free(net);
}

void net_set_identity(struct net *net, struct net_identity *identity)
{
	net_identity_free(net->identity);
	net->identity = identity;
}

void net_set_trace(struct net *net, bool on)
{
	net->trace = on;
}

void net_trace(const struct net_stream *s, const char *arrow, const struct pkt *pkt)
{
	char line[512];

	wire_format(pkt, line, sizeof(line));
	log_debug("%s %s %c %s", s->conn->conf.name, arrow, s->kind == STREAM_DATA ? 'D' : 'C',
		  line);
}

static void put_listeners(struct net_conn *conn)
{
	for (unsigned i = 0; i < conn->conf.path_count; i++) {
		if (conn->listeners[i])
			net_listener_put(conn->listeners[i]);
		conn->listeners[i] = NULL;
	}
}

int net_conn_new(struct net *net, const struct net_conn_conf *conf, void *ctx,
		 struct net_conn **out, struct err *err)
{
	struct net_conn *conn = calloc(1, sizeof(*conn));

	if (!conn)
		return err_set(err, -ENOMEM, "connection %s: no memory", conf->name);
	ASSERT(conf->path_count >= 1 && conf->path_count <= NET_PATHS_MAX);
	conn->net = net;
	conn->conf = *conf;
	conn->ctx = ctx;
	net_connect_init(conn);
	for (unsigned i = 0; i < conf->path_count; i++) {
		const struct net_path *path = &conf->paths[i];
		int rc = net_listener_get(net, &path->local, path->local_len,
					  &conn->listeners[i], err);

		if (rc) {
			put_listeners(conn);
			free(conn);
			return rc;
		}
	}
	list_push_back(&net->conns, &conn->link);
	*out = conn;
	return 0;
}

/* Takes the two streams off the connection. */
static void end_incarnation(struct net_conn *conn, bool linger)
{
	if (linger && conn->streams[STREAM_DATA] && conn->streams[STREAM_CONTROL]) {
		conn->streams[STREAM_DATA]->partner = conn->streams[STREAM_CONTROL];
		conn->streams[STREAM_CONTROL]->partner = conn->streams[STREAM_DATA];
	}
	for (unsigned i = 0; i < STREAM_COUNT; i++) {
		struct net_stream *s = conn->streams[i];

		conn->streams[i] = NULL;
		if (!s)
			continue;
		if (linger)
			net_stream_linger(s);
		else
			net_stream_close(s);
	}
	conn->wire_rx = conn->wire_tx = (struct wire_ctx){ .apv = 0 };
	conn->digest_rx = conn->digest_tx = (struct net_digest){ .bytes = 0 };
	conn->features_sent = false;
	conn->phase = NET_IDLE;
}

void net_conn_free(struct net_conn *conn)
{
	if (!conn)
		return;
	net_connect_stop(conn);
	net_inbound_forget(conn);
	end_incarnation(conn, true);
	put_listeners(conn);
	list_del(&conn->link);
	free(conn);
}

void net_conn_connect(struct net_conn *conn)
{
	if (conn->phase == NET_IDLE)
		net_connect_start(conn);
}

void net_conn_disconnect(struct net_conn *conn)
{
	if (conn->phase == NET_UP)
		end_incarnation(conn, true);
	else
		net_connect_stop(conn);
	conn->problem[0] = '\0';
	conn->tls_refused = false;
}

const char *net_conn_problem(const struct net_conn *conn)
{
	return conn->phase == NET_UP ? "" : conn->problem;
}

const char *net_conn_tls_problem(const struct net_conn *conn)
{
	return conn->tls_refused ? net_conn_problem(conn) : "";
}

void net_conn_tls_info(const struct net_conn *conn, struct net_tls_info *info)
{
	const struct net_stream *data = conn->streams[STREAM_DATA];

	*info = (struct net_tls_info){ .on = false };
	if (conn->phase == NET_UP && data && data->tls)
		net_tls_info(data->tls, info);
}

bool net_conn_congested(const struct net_conn *conn)
{
	const struct net_stream *data = conn->streams[STREAM_DATA];

	return conn->phase == NET_UP && data && data->tx.blocked;
}

void net_conn_established(struct net_conn *conn)
{
	bool resolve_conflicts = conn->half[STREAM_CONTROL].accepted;
	bool failed = false;

	conn->path_idx = conn->half[STREAM_DATA].path_idx;
	for (unsigned i = 0; i < STREAM_COUNT; i++) {
		struct net_half *half = &conn->half[i];

		conn->streams[i] = net_stream_new(conn, i, half->fd, half->tls);
		if (!conn->streams[i]) {
			close(half->fd);
			net_tls_free(half->tls);
			failed = true;
		}
		half->fd = -1;
		half->tls = NULL;
	}
	conn->phase = NET_UP;
	conn->problem[0] = '\0';
	conn->tls_refused = false;
	conn->failed_tries = 0;
	if (failed) {
		net_conn_fail(conn, "no memory for the streams");
		return;
	}
	log_debug("%s: both streams are established, the %s opened the control stream",
		  conn->conf.name, resolve_conflicts ? "peer" : "own node");
	conn->net->cb->up(conn->ctx, resolve_conflicts);
}

void net_conn_fail(struct net_conn *conn, const char *fmt, ...)
{
	char reason[ERR_TEXT_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(reason, sizeof(reason), fmt, ap);
	va_end(ap);
	ASSERT(conn->phase == NET_UP);
	end_incarnation(conn, false);
	str_copy(conn->problem, sizeof(conn->problem), reason);
	conn->tls_refused = false;
	log_notice("%s: connection lost: %s", conn->conf.name, reason);
	conn->net->cb->down(conn->ctx, reason);
}

void net_conn_configure(struct net_conn *conn, const struct net_conn_conf *conf)
{
	conn->conf.connect_int_s = conf->connect_int_s;
	conn->conf.sock_check_ms = conf->sock_check_ms;
	conn->conf.tls = conf->tls;
	conn->conf.tls_handshake_ms = conf->tls_handshake_ms;
	memcpy(conn->conf.peer_fingerprint, conf->peer_fingerprint,
	       sizeof(conn->conf.peer_fingerprint));
}

int net_conn_path(const struct net_conn *conn)
{
	return conn->phase == NET_UP ? conn->path_idx : -1;
}

static bool same_path(const struct net_path *a, const struct net_path *b)
{
	return net_addr_equal(&a->local, &b->local) && net_addr_equal(&a->remote, &b->remote);
}

/* -1: it is not among them. */
static int find_path(const struct net_conn_conf *conf, const struct net_path *path)
{
	for (unsigned i = 0; i < conf->path_count; i++) {
		if (same_path(&conf->paths[i], path))
			return (int)i;
	}
	return -1;
}

static bool same_paths(const struct net_conn_conf *a, const struct net_conn_conf *b)
{
	if (a->path_count != b->path_count || a->own_address_shared != b->own_address_shared ||
	    a->peer_address_shared != b->peer_address_shared)
		return false;
	for (unsigned i = 0; i < a->path_count; i++) {
		if (!same_path(&a->paths[i], &b->paths[i]))
			return false;
	}
	return true;
}

static int get_listeners(struct net *net, const struct net_conn_conf *conf,
			 struct net_listener *out[static NET_PATHS_MAX], struct err *err)
{
	int rc = 0;

	for (unsigned i = 0; i < conf->path_count && !rc; i++)
		rc = net_listener_get(net, &conf->paths[i].local, conf->paths[i].local_len,
				      &out[i], err);
	for (unsigned i = 0; rc && i < conf->path_count && out[i]; i++)
		net_listener_put(out[i]);
	return rc;
}

static void take_paths(struct net_conn *conn, const struct net_conn_conf *conf,
		       struct net_listener *const listeners[static NET_PATHS_MAX])
{
	put_listeners(conn);
	memcpy(conn->listeners, listeners, sizeof(conn->listeners));
	memcpy(conn->conf.paths, conf->paths, sizeof(conn->conf.paths));
	conn->conf.path_count = conf->path_count;
	conn->conf.own_address_shared = conf->own_address_shared;
	conn->conf.peer_address_shared = conf->peer_address_shared;
	conn->try_path_idx = 0;
}

int net_conn_set_paths(struct net_conn *conn, const struct net_conn_conf *conf, bool *ended,
		       struct err *err)
{
	struct net_listener *listeners[NET_PATHS_MAX] = { NULL };
	bool trying = conn->phase != NET_IDLE && conn->phase != NET_UP;
	int kept = -1, rc;

	*ended = false;
	if (same_paths(&conn->conf, conf))
		return 0;
	rc = get_listeners(conn->net, conf, listeners, err);
	if (rc)
		return rc;
	if (conn->phase == NET_UP)
		kept = find_path(conf, &conn->conf.paths[conn->path_idx]);
	*ended = conn->phase == NET_UP && kept < 0;
	net_inbound_forget(conn);
	net_connect_stop(conn);
	if (*ended)
		end_incarnation(conn, false);
	take_paths(conn, conf, listeners);
	if (kept >= 0)
		conn->path_idx = (uint8_t)kept;
	if (trying)
		net_connect_start(conn);
	return 0;
}

void net_conn_send(struct net_conn *conn, enum stream stream, const struct pkt *pkt)
{
	struct net_stream *s = conn->streams[stream];

	if (!s)
		return;
	if (pkt->type == P_CONNECTION_FEATURES) {
		conn->own_features = pkt->u.features;
		conn->features_sent = true;
	}
	net_tx_packet(s, &conn->wire_tx, &conn->digest_tx, pkt);
	if (pkt->type == P_PROTOCOL) {
		/* The configuration takes no other algorithm. */
		bool known = net_digest_set(&conn->digest_tx, pkt->u.protocol.integrity_alg);

		ASSERT(known);
		conn->wire_tx.integrity_bytes = conn->digest_tx.bytes;
	}
}

void net_conn_send_bitmap(struct net_conn *conn, uint16_t vnr, const uint64_t *words, uint64_t bits)
{
	if (conn->streams[STREAM_DATA])
		net_tx_bitmap(conn->streams[STREAM_DATA], &conn->wire_tx, vnr, words, bits);
}

bool net_has_output(const struct net *net)
{
	return !list_empty(&net->output) || !list_empty(&net->graves) ||
	       !list_empty(&net->unread);
}

/*
 * Everything a lingering stream had to send is sent: now its end is announced. That of the control
 * stream is not, while the data stream is open: the peer would take it for a failure, and not
 * read what is still under way on the data stream.
 */
static void end_lingering_output(struct net_stream *s)
{
	if (s->tx.count > 0 || s->layer->write_held(s) || s->write_ended ||
	    (s->kind == STREAM_CONTROL && s->partner))
		return;
	s->write_ended = true;
	s->layer->end(s);
}

static void flush_stream(struct net_stream *s)
{
	const char *kind = s->kind == STREAM_DATA ? "data" : "control";
	int64_t sent;

	if (s->broken && s->conn) {
		net_conn_fail(s->conn, "%s stream: %s", kind, s->broken);
		return;
	}
	sent = net_tx_run(s);
	if (sent < 0) {
		if (s->conn)
			net_conn_fail(s->conn, "%s stream: %s", kind,
				      s->layer->error_text(s, (int)sent));
		else
			net_stream_close(s);
		return;
	}
	if (!s->tx.blocked && (s->tx.count > 0 || s->layer->write_held(s)) &&
	    !list_linked(&s->output_link))
		list_push_back(&s->net->output, &s->output_link);
	if (!s->conn)
		end_lingering_output(s);
	else if (sent > 0)
		s->net->cb->tx_done(s->conn->ctx, s->kind, (uint32_t)sent);
}

void net_flush(struct net *net)
{
	struct list now;

	/* What the callbacks queue leaves in the next turn. */
	list_init(&now);
	list_splice_back(&now, &net->output);
	while (!list_empty(&now)) {
		struct list *first = list_first(&now);

		list_del(first);
		flush_stream(LIST_ENTRY(first, struct net_stream, output_link));
	}
	net_stream_bury(net);
}

void net_resume(struct net *net)
{
	struct list now;

	list_init(&now);
	list_splice_back(&now, &net->starved);
	while (!list_empty(&now)) {
		struct list *first = list_first(&now);
		struct net_stream *s = LIST_ENTRY(first, struct net_stream, starved_link);

		list_del(first);
		event_add(&s->ev_read, NULL);
		net_stream_readable(s);
	}
	list_splice_back(&now, &net->unread);
	while (!list_empty(&now)) {
		struct list *first = list_first(&now);

		list_del(first);
		net_stream_readable(LIST_ENTRY(first, struct net_stream, unread_link));
	}
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Drives struct net instances the way a shard does. */
#include "net_world.h"

#include <arpa/inet.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/log.h"
#include "certs.h"
#include "scratch.h"

#define LIMIT_MS 60000

static void on_up(void *ctx, bool resolve_conflicts)
{
	struct world_end *end = ctx;

	end->up_count++;
	end->resolve_conflicts = resolve_conflicts;
}

static void on_down(void *ctx, const char *reason)
{
	struct world_end *end = ctx;

	end->down_count++;
	snprintf(end->reason, sizeof(end->reason), "%s", reason);
}

static bool on_room(void *ctx, uint16_t type)
{
	const struct world_end *end = ctx;

	return !end->full || type != P_DATA;
}

static void on_packet(void *ctx, enum stream stream, const struct pkt *pkt)
{
	struct world_end *end = ctx;

	ASSERT(end->packet_count < WORLD_PACKETS_MAX);
	end->streams[end->packet_count] = (uint8_t)stream;
	end->packets[end->packet_count++] = *pkt;
	if (end->on_packet)
		end->on_packet(end, pkt);
}

static void on_tx_done(void *ctx, enum stream stream, uint32_t bytes)
{
	struct world_end *end = ctx;

	end->tx_bytes[stream] += bytes;
}

static const struct net_callbacks callbacks = {
	.up = on_up, .down = on_down, .room = on_room, .packet = on_packet, .tx_done = on_tx_done,
};

/* Free ports in ascending order: the order of addresses is then that of the nodes. */
static void choose_ports(struct world *w)
{
	/* Tests that run beside this one have the next process numbers: they start elsewhere.
	 * Those of tests/lib/cluster.sh begin with 20000. */
	uint16_t port = (uint16_t)(11000 + getpid() % 1000 * 8);

	for (unsigned i = 0; i < w->node_count; i++) {
		for (;; port++) {
			struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(port) };
			int fd = socket(AF_INET, SOCK_STREAM, 0), rc;

			in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
			rc = bind(fd, (struct sockaddr *)&in, sizeof(in));
			close(fd);
			if (rc == 0)
				break;
		}
		w->ports[i] = port++;
	}
}

void world_open(struct world *w, unsigned count, uint64_t peer_budget_bytes)
{
	const uint64_t budgets[BUF_USE_COUNT] = {
		[BUF_APP] = 64U << 20, [BUF_PEER] = peer_budget_bytes,
	};

	memset(w, 0, sizeof(*w));
	log_set_level(LOG_LEVEL_ERR);
	w->base = event_base_new();
	w->node_count = count;
	choose_ports(w);
	for (unsigned i = 0; i < count; i++) {
		w->pools[i] = buf_pool_new(budgets);
		w->nets[i] = net_new(w->base, w->pools[i], &callbacks);
		ASSERT(w->pools[i] && w->nets[i]);
	}
}

void world_close(struct world *w)
{
	for (unsigned i = 0; i < w->node_count; i++) {
		for (unsigned k = 0; k < w->node_count; k++) {
			struct world_end *end = &w->ends[i][k];

			for (unsigned p = 0; p < end->packet_count; p++) {
				if (end->packets[p].payload.id)
					buf_put(buf_by_id(w->pools[i], end->packets[p].payload.id));
			}
			if (end->conn)
				net_conn_free(end->conn);
		}
		net_free(w->nets[i]);
	}
	/* Every reference must be back: freeing the pool asserts it. */
	for (unsigned i = 0; i < w->node_count; i++)
		buf_pool_free(w->pools[i]);
	event_base_free(w->base);
}

static void address(const struct world *w, uint8_t node, struct sockaddr_storage *ss,
		    socklen_t *len)
{
	struct sockaddr_in *in = (struct sockaddr_in *)ss;

	memset(ss, 0, sizeof(*ss));
	in->sin_family = AF_INET;
	in->sin_port = htons(w->ports[node]);
	in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	*len = sizeof(*in);
}

static void open_end(struct world *w, uint8_t node, uint8_t peer)
{
	struct world_end *end = &w->ends[node][peer];
	struct err err = ERR_INIT;
	struct net_conn_conf conf = {
		.own_node_id = node,
		.peer_node_id = peer,
		.own_address_shared = w->node_count > 2,
		.peer_address_shared = w->node_count > 2,
		.path_count = 1,
		.connect_int_s = 1,
		.sock_check_ms = 20,
	};

	snprintf(conf.name, sizeof(conf.name), "%u:%u", node, peer);
	snprintf(conf.peer_name, sizeof(conf.peer_name), "node%u", peer);
	conf.tls = w->tls[node];
	conf.tls_handshake_ms = 1000;
	memcpy(conf.peer_fingerprint, w->fingerprints[peer], sizeof(conf.peer_fingerprint));
	address(w, node, &conf.paths[0].local, &conf.paths[0].local_len);
	address(w, peer, &conf.paths[0].remote, &conf.paths[0].remote_len);
	end->world = w;
	end->node = node;
	end->peer = peer;
	ASSERT(net_conn_new(w->nets[node], &conf, end, &end->conn, &err) == 0);
}

void world_identity(struct world *w, uint8_t node, const char *stem, const char *ca)
{
	char name[16], certificate[512], key[512];
	struct net_identity_conf conf = {
		.own_name = name, .certificate = certificate, .private_key = key, .ca = ca,
	};
	struct net_identity *identity;
	struct err err = ERR_INIT;

	snprintf(name, sizeof(name), "node%u", node);
	snprintf(certificate, sizeof(certificate), "%s.pem", stem);
	snprintf(key, sizeof(key), "%s.key", stem);
	if (net_identity_new(&conf, &identity, &err)) {
		fprintf(stderr, "%s\n", err.text);
		ASSERT(false);
	}
	net_set_identity(w->nets[node], identity);
	w->tls[node] = true;
}

void world_use_tls(struct world *w)
{
	scratch_begin();
	certs_ca(scratch_path("ca"));
	for (uint8_t i = 0; i < w->node_count; i++) {
		char name[16];

		snprintf(name, sizeof(name), "node%u", i);
		certs_node(scratch_path("ca"), scratch_path(name), name, -3600, 3600);
		world_identity(w, i, scratch_path(name), scratch_path("ca.pem"));
	}
	scratch_end();
}

void world_link(struct world *w, uint8_t a, uint8_t b)
{
	open_end(w, a, b);
	open_end(w, b, a);
}

static void turn(struct world *w, bool wait)
{
	for (unsigned i = 0; i < w->node_count; i++)
		wait &= !net_has_output(w->nets[i]);
	event_base_loop(w->base, EVLOOP_ONCE | (wait ? 0 : EVLOOP_NONBLOCK));
	for (unsigned i = 0; i < w->node_count; i++) {
		net_resume(w->nets[i]);
		net_flush(w->nets[i]);
	}
}

static void on_limit(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	((struct world *)arg)->timed_out = true;
}

static bool run(struct world *w, bool (*cond)(void *ctx), void *ctx, unsigned ms)
{
	const struct timeval tv = { .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 };
	struct event *limit = evtimer_new(w->base, on_limit, w);
	bool held, wait = false;

	w->timed_out = false;
	event_add(limit, &tv);
	/* No event tells of a buffer that the test has given back: the first turn does not wait. */
	while (!(held = cond(ctx)) && !w->timed_out) {
		turn(w, wait);
		wait = true;
	}
	event_free(limit);
	return held;
}

bool world_run(struct world *w, bool (*cond)(void *ctx), void *ctx)
{
	return run(w, cond, ctx, LIMIT_MS);
}

static bool never(void *ctx)
{
	(void)ctx;
	return false;
}

void world_idle(struct world *w, unsigned ms)
{
	run(w, never, NULL, ms);
}

struct pair {
	struct world_end *a, *b;
	unsigned a_up, b_up;
};

static bool both_up(void *ctx)
{
	const struct pair *p = ctx;

	return p->a->up_count > p->a_up && p->b->up_count > p->b_up;
}

bool world_connect(struct world *w, uint8_t a, uint8_t b)
{
	struct pair p = { .a = &w->ends[a][b], .b = &w->ends[b][a] };

	p.a_up = p.a->up_count;
	p.b_up = p.b->up_count;
	net_conn_connect(p.a->conn);
	net_conn_connect(p.b->conn);
	return world_run(w, both_up, &p);
}

void world_send_features(struct world_end *end)
{
	struct pkt pkt = { .type = P_CONNECTION_FEATURES, .vnr = VNR_NONE };

	pkt.u.features.protocol_min = APV_MIN;
	pkt.u.features.protocol_max = APV_MAX;
	pkt.u.features.features = FEATURES_OFFERED;
	pkt.u.features.sender_node_id = end->node;
	pkt.u.features.receiver_node_id = end->peer;
	net_conn_send(end->conn, STREAM_DATA, &pkt);
}

static bool both_heard(void *ctx)
{
	const struct pair *p = ctx;

	return p->a->packet_count > 0 && p->b->packet_count > 0;
}

bool world_agree(struct world *w, uint8_t a, uint8_t b)
{
	struct pair p = { .a = &w->ends[a][b], .b = &w->ends[b][a] };

	p.a->packet_count = p.b->packet_count = 0;
	world_send_features(p.a);
	world_send_features(p.b);
	if (!world_run(w, both_heard, &p))
		return false;
	return p.a->packets[0].type == P_CONNECTION_FEATURES &&
	       p.b->packets[0].type == P_CONNECTION_FEATURES;
}

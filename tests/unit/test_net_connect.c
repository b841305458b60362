/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Establishment with real sockets: who opens what, late
 * starters, several nodes on one address, strangers. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../lib/net_world.h"
#include "wire/wire.h"

static struct world w;

/* Node 1 has the greater port: it opens data, node
 * 0 opens control, so node 1 resolves conflicts. */
Test(net_connect, roles)
{
	world_open(&w, 2, 1 << 20);
	world_link(&w, 0, 1);
	for (unsigned i = 0; i < 5; i++) {
		cr_assert(world_connect(&w, 0, 1), "round %u", i);
		cr_assert(w.ends[1][0].resolve_conflicts);
		cr_assert_not(w.ends[0][1].resolve_conflicts);
		net_conn_disconnect(w.ends[0][1].conn);
		net_conn_disconnect(w.ends[1][0].conn);
	}
	cr_assert_eq(w.ends[0][1].down_count, 0);
	cr_assert_eq(w.ends[1][0].down_count, 0);
	world_close(&w);
}

static bool tried_in_vain(void *ctx)
{
	return net_conn_problem(ctx)[0] != '\0';
}

/* One end tries before the other one listens. */
static void late(uint8_t first, uint8_t second)
{
	struct net_conn *conn;

	world_open(&w, 2, 1 << 20);
	world_link(&w, 0, 1);
	conn = w.ends[first][second].conn;
	net_conn_free(w.ends[second][first].conn);
	w.ends[second][first].conn = NULL;
	net_conn_connect(conn);
	cr_assert(world_run(&w, tried_in_vain, conn));
	cr_assert(strstr(net_conn_problem(conn), "refused"));
	net_conn_free(conn);
	world_link(&w, 0, 1);
	net_conn_connect(w.ends[first][second].conn);
	world_idle(&w, 100);
	cr_assert(world_connect(&w, 0, 1));
	/* One stream each, as with a simultaneous start: the ends must differ. */
	cr_assert_neq(w.ends[0][1].resolve_conflicts, w.ends[1][0].resolve_conflicts);
	cr_assert(world_agree(&w, 0, 1));
	world_close(&w);
}

Test(net_connect, late_greater)
{
	late(0, 1);
}

Test(net_connect, late_smaller)
{
	late(1, 0);
}

static bool all_heard(void *ctx)
{
	(void)ctx;
	for (unsigned i = 0; i < w.node_count; i++) {
		for (unsigned k = 0; k < w.node_count; k++) {
			if (i != k && w.ends[i][k].packet_count == 0)
				return false;
		}
	}
	return true;
}

static bool all_up(void *ctx)
{
	(void)ctx;
	for (unsigned i = 0; i < w.node_count; i++) {
		for (unsigned k = 0; k < w.node_count; k++) {
			if (i != k && w.ends[i][k].up_count == 0)
				return false;
		}
	}
	return true;
}

/* Four nodes on one address: every stream must end at the connection of the node that opened it. */
Test(net_connect, shared_address)
{
	world_open(&w, 4, 1 << 20);
	for (uint8_t a = 0; a < 4; a++) {
		for (uint8_t b = (uint8_t)(a + 1); b < 4; b++)
			world_link(&w, a, b);
	}
	for (unsigned i = 0; i < 16; i++) {
		if (i / 4 != i % 4)
			net_conn_connect(w.ends[i / 4][i % 4].conn);
	}
	cr_assert(world_run(&w, all_up, NULL));
	for (unsigned i = 0; i < 16; i++) {
		struct pkt ping = { .type = P_PING, .vnr = VNR_NONE };

		if (i / 4 == i % 4)
			continue;
		world_send_features(&w.ends[i / 4][i % 4]);
		net_conn_send(w.ends[i / 4][i % 4].conn, STREAM_CONTROL, &ping);
	}
	cr_assert(world_run(&w, all_heard, NULL));
	world_idle(&w, 50);
	for (unsigned i = 0; i < 16; i++) {
		struct world_end *end = &w.ends[i / 4][i % 4];
		unsigned features = 0, pings = 0;

		if (i / 4 == i % 4)
			continue;
		for (unsigned p = 0; p < end->packet_count; p++) {
			if (end->packets[p].type == P_PING) {
				pings++;
				continue;
			}
			features++;
			cr_assert_eq(end->packets[p].u.features.sender_node_id, end->peer);
			cr_assert_eq(end->packets[p].u.features.receiver_node_id, end->node);
		}
		cr_assert_eq(features, 1);
		cr_assert_eq(pings, 1);
	}
	world_close(&w);
}

static int raw_connect(const char *from, uint16_t port)
{
	struct sockaddr_in local = { .sin_family = AF_INET };
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(port) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

	inet_pton(AF_INET, from, &local.sin_addr);
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	cr_assert_eq(bind(fd, (struct sockaddr *)&local, sizeof(local)), 0);
	cr_assert(connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0 || errno == EINPROGRESS);
	return fd;
}

static bool is_closed(void *ctx)
{
	char byte;
	ssize_t n = recv(*(int *)ctx, &byte, 1, MSG_DONTWAIT);

	return n == 0 || (n < 0 && errno == ECONNRESET);
}

Test(net_connect, strangers)
{
	int fd;

	world_open(&w, 2, 1 << 20);
	world_link(&w, 0, 1);
	/* No configured peer has this address. */
	fd = raw_connect("127.0.0.9", w.ports[0]);
	cr_assert(world_run(&w, is_closed, &fd));
	close(fd);
	/* The address is right, the first packet is not. */
	fd = raw_connect("127.0.0.1", w.ports[0]);
	world_idle(&w, 20);
	cr_assert_eq(send(fd, "GET / HTTP/1.0\r\n\r\n", 18, 0), 18);
	cr_assert(world_run(&w, is_closed, &fd));
	close(fd);
	/* Nor do they disturb those who belong here. */
	cr_assert(world_connect(&w, 0, 1));
	world_close(&w);
}

/* Many that say nothing must not keep the peer out. */
Test(net_connect, silent_crowd)
{
	int fds[2 * NET_INBOUND_MAX];

	world_open(&w, 2, 1 << 20);
	world_link(&w, 0, 1);
	for (unsigned i = 0; i < 2 * NET_INBOUND_MAX; i++) {
		fds[i] = raw_connect("127.0.0.1", w.ports[0]);
		world_idle(&w, 1);
	}
	cr_assert(world_run(&w, is_closed, &fds[0]));
	cr_assert(world_connect(&w, 0, 1));
	for (unsigned i = 0; i < 2 * NET_INBOUND_MAX; i++)
		close(fds[i]);
	world_close(&w);
}

/* A stream that arrives before this end wants to connect is kept for a while. */
Test(net_connect, early_stream)
{
	world_open(&w, 2, 1 << 20);
	world_link(&w, 0, 1);
	net_conn_connect(w.ends[1][0].conn);
	world_idle(&w, 200);
	cr_assert_eq(w.ends[1][0].up_count, 0);
	cr_assert(world_connect(&w, 0, 1));
	cr_assert(w.ends[1][0].resolve_conflicts);
	world_close(&w);
}

static bool down(void *ctx)
{
	return ((struct world_end *)ctx)->down_count > 0;
}

Test(net_connect, loss_is_reported_once)
{
	world_open(&w, 2, 1 << 20);
	world_link(&w, 0, 1);
	cr_assert(world_connect(&w, 0, 1));
	net_conn_disconnect(w.ends[0][1].conn);
	cr_assert(world_run(&w, down, &w.ends[1][0]));
	world_idle(&w, 50);
	cr_assert_eq(w.ends[1][0].down_count, 1);
	cr_assert_eq(w.ends[0][1].down_count, 0);
	cr_assert(strstr(w.ends[1][0].reason, "closed"));
	/* And both can come back. */
	cr_assert(world_connect(&w, 0, 1));
	world_close(&w);
}

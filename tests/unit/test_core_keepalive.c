/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Pings: one at a time. */
#include "core_node.h"

static struct node n;

static void done(void)
{
	node_close(&n);
}

/* DRBD 9.2 and later answer two pings that they find together with one P_PING_ACK. */
Test(keepalive, pings_go_out_one_at_a_time, .fini = done)
{
	struct pkt pong = { .type = P_PING_ACK, .vnr = VNR_NONE };
	struct peer *peer;
	uint32_t first, second, third;

	node_open(&n, ROLE_PRIMARY, 1, PROTOCOL_C);
	peer = n.core->peer[1];
	first = keepalive_ping(n.core, peer);
	second = keepalive_ping(n.core, peer);
	third = keepalive_ping(n.core, peer);
	node_pull(&n);
	cr_assert(node_sent(&n, 1, P_PING, 0));
	cr_assert_null(node_sent(&n, 1, P_PING, 1));
	node_rx(&n, 1, STREAM_CONTROL, &pong);
	cr_assert(keepalive_answered(peer, first));
	cr_assert_not(keepalive_answered(peer, second));
	cr_assert(node_sent(&n, 1, P_PING, 0));
	node_rx(&n, 1, STREAM_CONTROL, &pong);
	cr_assert(keepalive_answered(peer, second));
	cr_assert(keepalive_answered(peer, third));
	cr_assert_null(node_sent(&n, 1, P_PING, 0));
	node_time(&n, 1000);
	cr_assert_not(node_failed(&n, 1));
	second = keepalive_ping(n.core, peer);
	third = keepalive_ping(n.core, peer);
	node_pull(&n);
	keepalive_reset(peer);
	cr_assert(keepalive_answered(peer, third));
	cr_assert_eq(third, second + 1);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Pings on the control stream, and the age of unanswered writes (wire-protocol 1.5). */
#include "core/cluster.h"
#include "core/core_hooks.h"

#define NS_PER_DS (100 * NS_PER_MS)

static uint64_t ping_timeout_ns(const struct peer *peer)
{
	return peer->conf->net.ping_timeout_ds * NS_PER_DS;
}

static void ping_send(struct core *core, struct peer *peer)
{
	struct pkt pkt = { .type = P_PING, .vnr = VNR_NONE };

	core_send(core, peer, STREAM_CONTROL, &pkt);
	peer->ping_deadline_ns = core->now_ns + ping_timeout_ns(peer);
	peer->ping_sent++;
}

/* One at a time: DRBD 9.2 and later answer pings that come together only once. */
uint32_t keepalive_ping(struct core *core, struct peer *peer)
{
	if (peer->ping_sent != peer->ping_acked) {
		peer->ping_again = true;
		return peer->ping_sent + 1;
	}
	ping_send(core, peer);
	return peer->ping_sent;
}

void keepalive_reset(struct peer *peer)
{
	if (peer->ping_again)
		peer->ping_sent++;
	peer->ping_again = false;
	peer->ping_acked = peer->ping_sent;
	peer->ping_deadline_ns = NEVER_NS;
}

bool keepalive_answered(const struct peer *peer, uint32_t number)
{
	return (int32_t)(peer->ping_acked - number) >= 0;
}

void keepalive_rx(struct core *core, struct peer *peer)
{
	peer->ping_at_ns = core->now_ns + peer->conf->net.ping_int_s * NS_PER_S;
}

void rx_ping(struct core *core, struct peer *peer, const struct pkt *pkt)
{
	struct pkt ack = { .type = P_PING_ACK, .vnr = VNR_NONE };

	(void)pkt;
	core_send(core, peer, STREAM_CONTROL, &ack);
}

void rx_ping_ack(struct core *core, struct peer *peer, const struct pkt *pkt)
{
	(void)pkt;
	/* More answers than questions: nothing that a correct peer sends, and nothing to act on. */
	if (peer->ping_acked == peer->ping_sent)
		return;
	peer->ping_acked++;
	peer->ping_deadline_ns = NEVER_NS;
	if (peer->ping_again) {
		peer->ping_again = false;
		ping_send(core, peer);
	}
	core_work(core, WORK_SYNC | WORK_COMMAND);
}

static uint64_t request_age_max_ns(const struct peer *peer)
{
	const struct core_net_conf *net = &peer->conf->net;

	return (uint64_t)net->timeout_ds * net->ko_count * NS_PER_DS;
}

/* When the oldest unanswered write becomes too old. */
static uint64_t ko_deadline(const struct core *core, const struct peer *peer)
{
	uint64_t oldest, age = request_age_max_ns(peer);

	if (!peer_connected(core, peer) || age == 0)
		return NEVER_NS;
	oldest = request_oldest_ns(core, peer);
	return oldest == NEVER_NS ? NEVER_NS : oldest + age;
}

static void peer_time_one(struct core *core, struct peer *peer)
{
	if (core->now_ns >= peer->ping_deadline_ns) {
		peer_fail(core, peer, CONN_NETWORK_FAILURE, "no answer to a ping within %u00 ms",
			  peer->conf->net.ping_timeout_ds);
		return;
	}
	if (core->now_ns >= ko_deadline(core, peer)) {
		peer_fail(core, peer, CONN_TIMEOUT,
			  "a write was not acknowledged within %u x %u00 ms (ko-count x timeout)",
			  peer->conf->net.ko_count, peer->conf->net.timeout_ds);
		return;
	}
	if (core->now_ns >= peer->ping_at_ns) {
		keepalive_ping(core, peer);
		keepalive_rx(core, peer);
	}
}

void keepalive_time(struct core *core)
{
	FOR_EACH_PEER(core, peer) {
		if (peer->streams_up)
			peer_time_one(core, peer);
	}
}

uint64_t keepalive_deadline(const struct core *core)
{
	uint64_t t = NEVER_NS;

	FOR_EACH_PEER(core, peer) {
		uint64_t ko;

		if (!peer->streams_up)
			continue;
		ko = ko_deadline(core, peer);
		if (ko < t)
			t = ko;
		if (peer->ping_at_ns < t)
			t = peer->ping_at_ns;
		if (peer->ping_deadline_ns < t)
			t = peer->ping_deadline_ns;
	}
	return t;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the connections report, as events for the core. */
#include "core/core.h"
#include "shard_int.h"

static void on_up(void *ctx, bool resolve_conflicts)
{
	struct peer *peer = ctx;
	struct core_event ev = { .kind = EV_STREAMS_UP };

	ev.u.streams.peer = peer->node_id;
	ev.u.streams.resolve_conflicts = resolve_conflicts;
	resource_step(peer->res, &ev);
}

static void on_down(void *ctx, const char *reason)
{
	struct peer *peer = ctx;
	struct core_event ev = { .kind = EV_STREAMS_DOWN };

	ev.u.streams.peer = peer->node_id;
	ev.u.streams.reason = reason;
	save_cancel(peer->res, peer->node_id);
	resource_step(peer->res, &ev);
}

static bool on_room(void *ctx, uint16_t type)
{
	const struct peer *peer = ctx;

	return core_peer_room(peer->res->core, peer->node_id, type);
}

static void on_packet(void *ctx, enum stream stream, const struct pkt *pkt)
{
	struct peer *peer = ctx;
	struct core_event ev; /* not zeroed as a whole: it is large, and this is the hot path */

	ev.kind = EV_PKT;
	ev.u.pkt = (struct ev_pkt){
		.peer = peer->node_id, .stream = (uint8_t)stream, .pkt = pkt,
	};
	resource_step(peer->res, &ev);
}

static void on_tx_done(void *ctx, enum stream stream, uint32_t bytes)
{
	struct peer *peer = ctx;
	struct core_event ev;

	ev.kind = EV_TX_DONE;
	ev.u.tx = (struct ev_tx){
		.peer = peer->node_id, .stream = (uint8_t)stream, .bytes = bytes,
	};
	resource_step(peer->res, &ev);
}

static void on_tls_problem(void *ctx)
{
	struct peer *peer = ctx;

	peer->res->notify = true;
	shard_publish_step(peer->res);
}

const struct net_callbacks shard_net_callbacks = {
	.up = on_up,
	.down = on_down,
	.room = on_room,
	.packet = on_packet,
	.tx_done = on_tx_done,
	.tls_problem = on_tls_problem,
};

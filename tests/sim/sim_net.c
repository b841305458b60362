/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Connections: two byte streams each with TCP semantics,
 * coming up, breaking, closing; partitions. */
#include "sim_net.h"

#include <stdio.h>
#include <string.h>

struct net_conn *simnet_conn(struct world *w, unsigned a, unsigned b)
{
	return a < b ? &w->net.conn[a][b] : &w->net.conn[b][a];
}

uint64_t conn_key(const struct net_conn *c, unsigned side, unsigned stream)
{
	return c->node[0] | (uint64_t)c->node[1] << 8 | (uint64_t)side << 16 |
	       (uint64_t)stream << 17;
}

struct net_conn *conn_of_key(struct world *w, uint64_t key)
{
	return &w->net.conn[key & 0xff][(key >> 8) & 0xff];
}

bool simnet_path_up(const struct world *w, unsigned a, unsigned b)
{
	return !w->net.down[a][b] && !w->net.down[b][a];
}

static uint64_t latency(struct world *w)
{
	return NS_US * 20 + prng_exp(&w->rng, w->params.net_latency_ns);
}

void simnet_reset(struct world *w)
{
	struct net *net = &w->net;

	for (unsigned a = 0; a < SIM_NODES_MAX; a++) {
		for (unsigned b = a + 1; b < SIM_NODES_MAX; b++) {
			memset(&net->conn[a][b], 0, sizeof(net->conn[a][b]));
			net->conn[a][b].node[0] = (uint8_t)a;
			net->conn[a][b].node[1] = (uint8_t)b;
		}
	}
	memset(net->down, 0, sizeof(net->down));
	net->free_head = 0;
	for (uint32_t i = net->packet_count; i >= 1; i--) {
		net->packets[i - 1].next = net->free_head;
		net->free_head = i;
	}
}

/* ---- opening ---- */

static void try_open(struct world *w, struct net_conn *c);

static void up_event(struct world *w, uint64_t key, uint64_t gen)
{
	struct net_conn *c = conn_of_key(w, key);
	unsigned side = (key >> 16) & 1;
	unsigned node = c->node[side];
	struct core_event ev = { .kind = EV_STREAMS_UP };

	if (c->gen != gen || c->side[side] != SIDE_UP || !w->nodes[node].up ||
	    node_holds(w, node, up_event, key, gen))
		return;
	c->told_up[side] = true;
	ev.u.streams.peer = c->node[!side];
	ev.u.streams.resolve_conflicts = c->resolver == side;
	for (unsigned s = 0; s < STREAM_COUNT; s++)
		stream_kick(w, c, !side, s);
	node_step(w, node, &ev);
}

static void open_event(struct world *w, uint64_t key, uint64_t unused)
{
	struct net_conn *c = conn_of_key(w, key);

	(void)unused;
	c->opening = false;
	if (c->side[0] != SIDE_WANT || c->side[1] != SIDE_WANT)
		return;
	if (!simnet_path_up(w, c->node[0], c->node[1]))
		return;
	for (unsigned i = 0; i < 2 * STREAM_COUNT; i++) {
		struct net_stream *st = &c->stream[i / STREAM_COUNT][i % STREAM_COUNT];

		stream_drop(w, st, 0);
		/* A packet that is waited for may come on a later connection. */
		*st = (struct net_stream){ .hold_on = st->hold_on, .hold_type = st->hold_type,
					   .hold_ns = st->hold_ns };
	}
	memset(c->ctx, 0, sizeof(c->ctx));
	memset(c->sent_features, 0, sizeof(c->sent_features));
	memset(c->got_features, 0, sizeof(c->got_features));
	c->gen++;
	c->cut = false;
	c->resolver = (uint8_t)prng_below(&w->rng, 2);
	for (unsigned side = 0; side < 2; side++) {
		if (c->unaware[side]) {
			c->unaware[side] = false;
			c->cut = true;
			continue;
		}
		c->side[side] = SIDE_UP;
		c->told_up[side] = false;
		world_at(w, latency(w), up_event, conn_key(c, side, 0), c->gen);
	}
}

static void try_open(struct world *w, struct net_conn *c)
{
	if (c->opening || c->side[0] != SIDE_WANT || c->side[1] != SIDE_WANT)
		return;
	if (!simnet_path_up(w, c->node[0], c->node[1]))
		return;
	c->opening = true;
	world_at(w, 3 * latency(w), open_event, conn_key(c, 0, 0), 0);
}

void simnet_want(struct world *w, unsigned node, unsigned peer)
{
	struct net_conn *c = simnet_conn(w, node, peer);
	unsigned side = c->node[1] == node;

	if (c->side[side] != SIDE_IDLE)
		sim_fail(w, "node %u: AC_CONNECT to %u while one is under way", node, peer);
	c->side[side] = SIDE_WANT;
	try_open(w, c);
}

/* ---- closing ---- */

/* The side's end is gone; the other side learns it when the close marker arrives. */
static void side_close(struct world *w, struct net_conn *c, unsigned side)
{
	c->side[side] = SIDE_IDLE;
	c->told_up[side] = false;
	for (unsigned s = 0; s < STREAM_COUNT; s++) {
		stream_drop(w, &c->stream[!side][s], 0);
		if (!c->cut && c->side[!side] == SIDE_UP)
			stream_push_fin(w, c, side, s);
	}
}

void simnet_close(struct world *w, unsigned node, unsigned peer)
{
	struct net_conn *c = simnet_conn(w, node, peer);
	unsigned side = c->node[1] == node;

	if (c->side[side] == SIDE_UP)
		side_close(w, c, side);
	else
		c->side[side] = SIDE_IDLE;
}

void conn_side_down(struct world *w, struct net_conn *c, unsigned side, const char *reason)
{
	struct core_event ev = { .kind = EV_STREAMS_DOWN };
	bool told = c->told_up[side];

	if (c->side[side] != SIDE_UP)
		return;
	side_close(w, c, side);
	ev.u.streams.peer = c->node[!side];
	ev.u.streams.reason = reason;
	/* Broken while coming up: the core hears that it could not be made. */
	(void)told;
	node_step(w, c->node[side], &ev);
}

static void down_event(struct world *w, uint64_t key, uint64_t gen)
{
	struct net_conn *c = conn_of_key(w, key);
	unsigned side = (key >> 16) & 1;

	if (c->gen != gen || c->side[side] != SIDE_UP ||
	    node_holds(w, c->node[side], down_event, key, gen))
		return;
	/* A reset needs the way back. */
	if (w->net.down[c->node[!side]][c->node[side]]) {
		world_at(w, NS_SEC, down_event, key, gen);
		return;
	}
	conn_side_down(w, c, side, "connection reset by peer");
}

void simnet_cut(struct world *w, unsigned a, unsigned b, bool half)
{
	struct net_conn *c = simnet_conn(w, a, b);
	unsigned only = (unsigned)prng_below(&w->rng, 2);

	if (c->side[0] != SIDE_UP || c->side[1] != SIDE_UP)
		return;
	c->cut = true;
	for (unsigned side = 0; side < 2; side++) {
		for (unsigned s = 0; s < STREAM_COUNT; s++) {
			struct net_stream *st = &c->stream[side][s];

			stream_cut(w, st, (unsigned)prng_below(&w->rng, st->count + 1));
		}
		if (!half || side == only)
			world_at(w, prng_exp(&w->rng, 20 * NS_MS), down_event,
				 conn_key(c, side, 0), c->gen);
	}
}

void conn_break_at(struct world *w, struct net_conn *c, unsigned from, unsigned stream, bool part)
{
	c->cut = true;
	for (unsigned i = 0; i < 2 * STREAM_COUNT; i++) {
		struct net_stream *st = &c->stream[i / STREAM_COUNT][i % STREAM_COUNT];

		if (st != &c->stream[from][stream])
			stream_cut(w, st, (unsigned)prng_below(&w->rng, st->count + 1));
		else if (part)
			stream_cut(w, st, 0);
		else
			stream_drop(w, st, 0);
	}
	/* The sender may have closed it already. */
	for (unsigned side = 0; side < 2; side++) {
		if (c->side[side] == SIDE_UP)
			world_at(w, prng_exp(&w->rng, 20 * NS_MS), down_event, conn_key(c, side, 0),
				 c->gen);
	}
}

void simnet_reset_conn(struct world *w, unsigned a, unsigned b)
{
	struct net_conn *c = simnet_conn(w, a, b);

	if (c->side[0] != SIDE_UP || c->side[1] != SIDE_UP)
		return;
	c->cut = true;
	for (unsigned i = 0; i < 2 * STREAM_COUNT; i++)
		stream_cut(w, &c->stream[i / STREAM_COUNT][i % STREAM_COUNT], 0);
	for (unsigned side = 0; side < 2; side++)
		world_at(w, 0, down_event, conn_key(c, side, 0), c->gen);
}

void simnet_node_died(struct world *w, unsigned node, bool power_lost)
{
	for (unsigned peer = 0; peer < w->node_count; peer++) {
		struct net_conn *c;
		unsigned side;

		if (peer == node)
			continue;
		c = simnet_conn(w, node, peer);
		side = c->node[1] == node;
		if (c->side[side] != SIDE_UP) {
			c->side[side] = SIDE_IDLE;
			continue;
		}
		for (unsigned s = 0; s < STREAM_COUNT; s++) {
			struct net_stream *st = &c->stream[side][s];

			/* What was still queued in the process is lost. */
			stream_cut(w, st, (unsigned)prng_below(&w->rng, st->count + 1));
		}
		c->cut |= power_lost;
		side_close(w, c, side);
	}
}

void simnet_node_started(struct world *w, unsigned node)
{
	for (unsigned peer = 0; peer < w->node_count; peer++) {
		struct net_conn *c;
		unsigned other;

		if (peer == node)
			continue;
		c = simnet_conn(w, node, peer);
		other = c->node[1] != node;
		/* The first keepalive of a peer that missed our death is answered by a reset. */
		if (c->side[other] == SIDE_UP && c->side[!other] != SIDE_UP && c->cut)
			world_at(w, prng_below(&w->rng, 3 * NS_SEC), down_event,
				 conn_key(c, other, 0), c->gen);
	}
}

void simnet_read_on(struct world *w, unsigned node)
{
	for (unsigned peer = 0; peer < w->node_count; peer++) {
		struct net_conn *c = peer == node ? NULL : simnet_conn(w, node, peer);
		unsigned sender = c && c->node[1] == peer;

		if (c && c->stream[sender][STREAM_DATA].no_room)
			stream_kick(w, c, sender, STREAM_DATA);
	}
}

/* ---- partitions and stalls ---- */

void simnet_link(struct world *w, unsigned from, unsigned to, bool up)
{
	struct net_conn *c = simnet_conn(w, from, to);

	w->net.down[from][to] = !up;
	if (!up)
		return;
	for (unsigned s = 0; s < STREAM_COUNT; s++)
		stream_kick(w, c, c->node[1] == from, s);
	try_open(w, c);
}

void simnet_stall(struct world *w, unsigned from, unsigned to, int stream, uint64_t ns)
{
	struct net_conn *c = simnet_conn(w, from, to);
	unsigned side = c->node[1] == from;

	for (int s = 0; s < STREAM_COUNT; s++) {
		if (stream < 0 || stream == s)
			c->stream[side][s].stall_until_ns = w->now_ns + ns;
	}
}

void simnet_hold_type(struct world *w, unsigned from, unsigned to, enum packet type, uint64_t ns)
{
	struct net_conn *c = simnet_conn(w, from, to);
	unsigned side = c->node[1] == from;

	for (unsigned s = 0; s < STREAM_COUNT; s++) {
		c->stream[side][s].hold_type = (uint16_t)type;
		c->stream[side][s].hold_on = true;
		c->stream[side][s].hold_ns = ns;
	}
}

void simnet_accept_only(struct world *w, unsigned from, unsigned to)
{
	struct net_conn *c = simnet_conn(w, from, to);

	c->unaware[c->node[1] == to] = true;
	c->unaware[c->node[1] == from] = false;
}

void simnet_heal(struct world *w)
{
	for (unsigned a = 0; a < w->node_count; a++) {
		for (unsigned b = 0; b < w->node_count; b++) {
			struct net_conn *c;
			unsigned side;

			if (a == b)
				continue;
			c = simnet_conn(w, a, b);
			side = c->node[1] == a;
			c->unaware[side] = false;
			for (unsigned s = 0; s < STREAM_COUNT; s++) {
				c->stream[side][s].hold_on = false;
				c->stream[side][s].stall_until_ns = 0;
			}
			simnet_link(w, a, b, true);
		}
	}
}

bool simnet_in_flight(const struct world *w, enum packet type)
{
	for (unsigned a = 0; a < w->node_count; a++) {
		for (unsigned b = a + 1; b < w->node_count; b++) {
			const struct net_conn *c = &w->net.conn[a][b];

			for (unsigned i = 0; i < 2 * STREAM_COUNT; i++) {
				if (stream_has(w, &c->stream[i / 2][i % 2], type))
					return true;
			}
		}
	}
	return false;
}

bool simnet_quiet(const struct world *w)
{
	for (unsigned a = 0; a < w->node_count; a++) {
		for (unsigned b = a + 1; b < w->node_count; b++) {
			const struct net_conn *c = &w->net.conn[a][b];

			if (c->opening || c->side[0] != c->side[1])
				return false;
			for (unsigned i = 0; i < 2 * STREAM_COUNT; i++) {
				if (!stream_quiet(w, &c->stream[i / 2][i % 2]))
					return false;
			}
		}
	}
	return true;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Peers that are taken out of a running core, and put into it again. */
#include <stdlib.h>

#include "sim.h"

void peers_params_draw(struct world *w, uint64_t seed)
{
	w->params.peers_leave = life_is(w, LIFE_PEERS, seed, &w->peers_rng);
}

static uint32_t missing_peers(struct world *w, unsigned node)
{
	const struct core_conf *conf = &w->nodes[node].conf;
	uint32_t missing = 0;

	for (unsigned i = 0; i < conf->peer_count; i++) {
		if (!status_peer(node_status(w, node), conf->peers[i].node_id))
			missing |= 1U << conf->peers[i].node_id;
	}
	return missing;
}

void node_adjust(struct world *w, unsigned node)
{
	struct node *n = &w->nodes[node];
	struct core_event ev = { .kind = EV_CONFIGURE, .u.configure.conf = &n->conf };
	size_t bytes = core_configure_bytes(n->core, &n->conf);
	uint32_t missing = missing_peers(w, node);

	if (bytes) {
		ASSERT(!n->more);
		n->more = aligned_alloc(64, (bytes + 63) / 64 * 64);
		ASSERT(n->more);
		ev.u.configure.mem = n->more;
		ev.u.configure.mem_bytes = bytes;
	}
	node_step(w, node, &ev);
	for (; missing && n->up; missing &= missing - 1) {
		unsigned peer = (unsigned)__builtin_ctz(missing);

		sim_trace(w, "node %u gets node %u as a peer", node, peer);
		node_command(w, node,
			     (struct ev_command){ .cmd = CMD_CONNECT, .peer = (uint8_t)peer }, NULL,
			     0);
	}
}

static void adjust(struct world *w, unsigned node)
{
	if (w->nodes[node].up && missing_peers(w, node))
		node_adjust(w, node);
}

static void adjust_event(struct world *w, uint64_t node, uint64_t b)
{
	(void)b;
	adjust(w, (unsigned)node);
}

static void leave(struct world *w, unsigned node, unsigned peer)
{
	struct ev_command cmd = { .cmd = CMD_DEL_PEER, .peer = (uint8_t)peer,
				  .force = prng_chance(&w->peers_rng, 1, 3) };

	/* Without metadata it forgets that the peer had a vote. */
	if (!w->nodes[node].up ||
	    (w->params.quorum != QUORUM_OFF && !w->nodes[node].attached))
		return;
	node_command(w, node, cmd, NULL, 0);
	world_at(w, prng_exp(&w->peers_rng, 2 * NS_SEC), adjust_event, node, 0);
}

static void leave_event(struct world *w, uint64_t a, uint64_t b)
{
	unsigned node = (unsigned)prng_below(&w->peers_rng, w->node_count);
	unsigned peer = (node + 1 + (unsigned)prng_below(&w->peers_rng, w->node_count - 1)) %
			w->node_count;

	(void)a;
	(void)b;
	if (!w->faults_on)
		return;
	leave(w, node, peer);
	if (prng_chance(&w->peers_rng, 1, 2))
		leave(w, peer, node);
	world_at(w, prng_exp(&w->peers_rng, 4 * NS_SEC), leave_event, 0, 0);
}

void peers_at_random(struct world *w)
{
	if (w->params.peers_leave)
		world_at(w, prng_exp(&w->peers_rng, 2 * NS_SEC), leave_event, 0, 0);
}

void peers_look_after(struct world *w)
{
	for (unsigned i = 0; w->params.peers_leave && i < w->node_count; i++)
		adjust(w, i);
}

/* Nobody is about to be taken out, and who was is back. */
static bool peers_stay(struct world *w)
{
	for (unsigned i = 0; i < ARRAY_LEN(w->commands); i++) {
		if (w->commands[i].cookie && w->commands[i].cmd.cmd == CMD_DEL_PEER)
			return false;
	}
	for (unsigned i = 0; i < w->node_count; i++) {
		if (w->nodes[i].up && missing_peers(w, i))
			return false;
	}
	return true;
}

void peers_await(struct world *w)
{
	if (!w->params.peers_leave || peers_stay(w))
		return;
	for (unsigned tries = 0; !peers_stay(w); tries++) {
		if (tries == 120)
			sim_fail(w, "I7: a peer is not taken out, or not put in again");
		world_run_for(w, NS_SEC);
		peers_look_after(w);
	}
	life_expect_converged(w);
}

/* ---- bitmap slots ---- */

#define SLOTS_MAX 31U

void slots_params_draw(struct world *w, uint64_t seed)
{
	w->params.slots_grow = life_is(w, LIFE_SLOTS, seed, &w->slots_rng);
}

/* For some more nodes that nobody has heard of than there are slots, up to the largest number. */
static struct ev_command reserve(struct world *w, unsigned node, uint16_t vnr)
{
	struct ev_command cmd = { .cmd = CMD_RESERVE_SLOTS, .vnr = vnr };
	uint32_t has = w->nodes[node].disk.md[vnr].max_peers;
	unsigned more = has + (unsigned)prng_range(&w->slots_rng, 1, 6);

	for (unsigned n = w->node_count; n < NODES_MAX && more > 0 && has < SLOTS_MAX; n++, more--)
		cmd.nodes |= UINT64_C(1) << n;
	while (__builtin_popcountll(cmd.nodes) + w->node_count - 1 > SLOTS_MAX)
		cmd.nodes &= cmd.nodes - 1;
	return cmd;
}

static void slots_event(struct world *w, uint64_t a, uint64_t b)
{
	unsigned node = (unsigned)prng_below(&w->slots_rng, w->node_count);
	uint16_t vnr = (uint16_t)prng_below(&w->slots_rng, w->params.volumes);
	struct node *n = &w->nodes[node];

	(void)a;
	(void)b;
	if (!w->faults_on)
		return;
	if (n->up && n->attached >> vnr & 1) {
		if (prng_chance(&w->slots_rng, 1, 4)) {
			n->die_after_actions = (unsigned)prng_range(&w->slots_rng, 1, 12);
			n->die_power = prng_chance(&w->slots_rng, 1, 2);
		}
		node_command(w, node, reserve(w, node, vnr), NULL, 0);
	}
	world_at(w, prng_exp(&w->slots_rng, 5 * NS_SEC), slots_event, 0, 0);
}

void slots_at_random(struct world *w)
{
	if (w->params.slots_grow)
		world_at(w, prng_exp(&w->slots_rng, 3 * NS_SEC), slots_event, 0, 0);
}

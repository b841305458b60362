/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What plans are made of: nodes that leave and return, links, orders, time that passes. */
#include "scenario.h"

unsigned plan_below(struct world *w, unsigned n)
{
	return (unsigned)prng_below(&w->plan.rng, n);
}

unsigned plan_other(struct world *w, unsigned node)
{
	return (node + 1 + plan_below(w, w->node_count - 1)) % w->node_count;
}

unsigned plan_primary(struct world *w)
{
	return w->app.node >= 0 ? (unsigned)w->app.node : plan_below(w, w->node_count);
}

static void look(struct world *w)
{
	check_states(w);
	app_track_suspects(w);
	check_primary_peers(w);
	check_difference_covered(w, "while running by a plan");
	moments_check(w);
}

void plan_pass(struct world *w, uint64_t ns)
{
	uint64_t end = w->now_ns + ns;

	while (w->now_ns < end) {
		uint64_t rest = end - w->now_ns;

		world_run_for(w, rest > 2 * NS_SEC ? 2 * NS_SEC : rest);
		look(w);
	}
}

void plan_pass_ms(struct world *w, uint64_t least, uint64_t most)
{
	plan_pass(w, prng_range(&w->plan.rng, least, most) * NS_MS);
}

void plan_order(struct world *w, unsigned node, struct ev_command cmd)
{
	if (w->nodes[node].up)
		node_command(w, node, cmd, NULL, 0);
}

void plan_link(struct world *w, unsigned a, unsigned b, bool up)
{
	simnet_link(w, a, b, up);
	simnet_link(w, b, a, up);
}

static void connect(struct world *w, unsigned node, unsigned peer)
{
	const struct status_peer *sp;

	if (!w->nodes[node].up)
		return;
	sp = status_peer(node_status(w, node), peer);
	if (sp && sp->conn == CONN_STANDALONE)
		plan_order(w, node,
			   (struct ev_command){ .cmd = CMD_CONNECT, .peer = (uint8_t)peer });
}

void plan_leave(struct world *w, unsigned node)
{
	unsigned how = plan_below(w, 5), primary = plan_primary(w);

	w->plan.away |= 1U << node;
	switch (how) {
	case 0:
	case 1:
		node_kill(w, node, how == 1);
		break;
	case 2:
		if (primary != node) {
			plan_order(w, primary,
				   (struct ev_command){ .cmd = CMD_DISCONNECT,
							.peer = (uint8_t)node });
			break;
		}
		/* fall through */
	default:
		for (unsigned p = 0; p < w->node_count; p++) {
			if (p != node)
				plan_link(w, node, p, false);
		}
		break;
	}
}

void plan_return(struct world *w, unsigned node)
{
	w->plan.away &= ~(1U << node);
	if (!w->nodes[node].up)
		node_start(w, node);
	for (unsigned p = 0; p < w->node_count; p++) {
		if (p == node)
			continue;
		plan_link(w, node, p, true);
		connect(w, node, p);
		connect(w, p, node);
	}
}

void plan_all_return(struct world *w)
{
	for (unsigned n = 0; n < w->node_count; n++) {
		plan_return(w, n);
		if (w->nodes[n].has_disk && !w->nodes[n].attached &&
		    node_status(w, n)->volumes[0].disk == DISK_DISKLESS)
			plan_order(w, n,
				   (struct ev_command){ .cmd = CMD_ATTACH, .vnr = SIM_VNR });
	}
}

static bool is_alike(struct world *w)
{
	char why[400];

	return check_converged(w, why, sizeof(why));
}

static bool is_closed(struct world *w)
{
	return w->app.phase == APP_IDLE && is_alike(w);
}

bool plan_at_rest(struct world *w, bool closed)
{
	bool rests;

	if (closed) {
		w->app.stop = true;
		app_kick(w);
	}
	rests = world_run_until(w, closed ? is_closed : is_alike, 90 * NS_SEC);
	w->app.stop = false;
	return rests;
}

bool plan_is_alone(struct world *w, unsigned node)
{
	for (unsigned p = 0; p < w->node_count; p++) {
		const struct status_peer *sp = p != node && w->nodes[node].up ?
						       status_peer(node_status(w, node), p) : NULL;

		if (sp && sp->conn == CONN_CONNECTED)
			return false;
	}
	return w->nodes[node].up;
}

void plan_write_elsewhere(struct world *w, unsigned node)
{
	sc_write_elsewhere(w, node, w->app.hot[plan_below(w, w->app.hot_count)]);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Plans: nodes that stay away for long; parts of a cluster with quorum; a restless application. */
#include "sim.h"

/* ---- nodes that stay away for long ---- */

/* The Primary's disk is detached, then nobody else is left, and the old disk comes back. */
static void last_disk(struct world *w)
{
	unsigned primary = plan_primary(w), opens = w->app.opens;
	bool writes = w->app.phase == APP_OPEN && w->nodes[primary].up;

	plan_order(w, primary,
		   (struct ev_command){ .cmd = CMD_DETACH, .vnr = SIM_VNR,
					.force = plan_below(w, 2) });
	plan_pass_ms(w, 200, 3000);
	for (unsigned n = 0; n < w->node_count; n++) {
		if (n != primary && !(w->plan.away >> n & 1))
			plan_leave(w, n);
	}
	plan_pass_ms(w, 100, 15000);
	plan_order(w, primary, (struct ev_command){ .cmd = CMD_ATTACH, .vnr = SIM_VNR });
	plan_pass_ms(w, 500, 5000);
	/*
	 * It has seen with its own eyes what its disk lacks. A node that is only about to be opened
	 * has not: one that lost the Primary before it was told that this one goes on may be behind
	 * it, and stays as good as it was.
	 */
	if (writes && w->app.phase == APP_OPEN && w->app.opens == opens &&
	    plan_is_alone(w, primary) &&
	    node_status(w, primary)->volumes[0].disk == DISK_UP_TO_DATE &&
	    !w->app.suspects[0].suspect[primary] && oracle_check_node(w, primary) != SIM_NEVER)
		sim_fail(w, "I1: node %u counts as UpToDate what it was left with while others "
			    "went on", primary);
}

/* By order, and nobody sees anybody then. */
static void primary_leaves(struct world *w)
{
	unsigned primary = plan_primary(w);

	for (unsigned a = 0; a < w->node_count; a++) {
		for (unsigned b = a + 1; b < w->node_count; b++) {
			if (a != primary && b != primary)
				plan_link(w, a, b, false);
		}
	}
	plan_pass_ms(w, 0, 14000);
	for (unsigned n = 0; n < w->node_count; n++) {
		if (n != primary)
			plan_order(w, primary,
				   (struct ev_command){ .cmd = CMD_DISCONNECT,
							.peer = (uint8_t)n });
	}
	plan_pass_ms(w, 12000, 16000);
}

static void away_step(struct world *w)
{
	unsigned node = plan_below(w, w->node_count), dice = plan_below(w, 14);

	if (dice < 5) {
		if (!(w->plan.away >> node & 1) &&
		    __builtin_popcount(w->plan.away) + 2 <= (int)w->node_count)
			plan_leave(w, node);
	} else if (dice < 8) {
		for (unsigned i = 0; i < w->node_count && !(w->plan.away >> node & 1); i++)
			node = (node + 1) % w->node_count;
		plan_return(w, node);
	} else if (dice < 10) {
		/* The order of two draws in one call is the compiler's. */
		bool up = plan_below(w, 2);

		plan_link(w, node, plan_other(w, node), up);
	} else if (dice < 11) {
		last_disk(w);
	} else if (dice < 13) {
		primary_leaves(w);
	} else {
		plan_all_return(w);
	}
}

void plan_away(struct world *w)
{
	unsigned steps = 6 + plan_below(w, 12);

	app_kick(w);
	while (steps-- > 0) {
		away_step(w);
		if (plan_below(w, 3))
			plan_pass_ms(w, 200, 3000);
		else
			plan_pass_ms(w, 2000, 14000);
	}
}

/* ---- parts of a cluster with quorum ---- */

static void split(struct world *w)
{
	unsigned side = 1 + plan_below(w, (1U << w->node_count) - 2);

	for (unsigned a = 0; a < w->node_count; a++) {
		for (unsigned b = a + 1; b < w->node_count; b++)
			plan_link(w, a, b, (side >> a & 1) == (side >> b & 1));
	}
}

static void restart_some(struct world *w)
{
	unsigned nodes = plan_below(w, 1U << w->node_count);
	bool power = plan_below(w, 2);

	if (plan_below(w, 3) == 0)
		nodes = (1U << w->node_count) - 1;
	for (unsigned n = 0; n < w->node_count; n++) {
		if (nodes >> n & 1)
			node_kill(w, n, power);
	}
	plan_pass_ms(w, 0, 3000);
	if (plan_below(w, 2))
		split(w);
	for (unsigned n = 0; n < w->node_count; n++) {
		if (!w->nodes[n].up)
			node_start(w, n);
	}
}

/* None remembers who had quorum. */
static void cold_start(struct world *w)
{
	for (unsigned n = 0; n < w->node_count; n++)
		node_kill(w, n, plan_below(w, 2));
	split(w);
	for (unsigned n = 0; n < w->node_count; n++)
		node_start(w, n);
}

/* The Primary loses one, then tells another one to go; these two find each other. */
static void left_in_turn(struct world *w)
{
	unsigned primary = plan_primary(w), lost = plan_other(w, primary);

	plan_all_return(w);
	plan_pass_ms(w, 2000, 6000);
	for (unsigned n = 0; n < w->node_count; n++) {
		if (n != lost)
			plan_link(w, n, lost, false);
	}
	plan_pass_ms(w, 12000, 15000);
	for (unsigned n = 0; n < w->node_count; n++) {
		if (n == primary || n == lost)
			continue;
		plan_order(w, primary,
			   (struct ev_command){ .cmd = CMD_DISCONNECT, .peer = (uint8_t)n });
		plan_link(w, n, lost, true);
	}
}

void plan_halves(struct world *w)
{
	unsigned steps = 5 + plan_below(w, 6);

	app_kick(w);
	while (steps-- > 0) {
		unsigned primary = plan_primary(w);
		bool up;

		switch (plan_below(w, 8)) {
		case 0:
		case 1:
			split(w);
			break;
		case 2:
			restart_some(w);
			break;
		case 5:
			cold_start(w);
			break;
		case 6:
			left_in_turn(w);
			break;
		case 3:
			plan_order(w, primary,
				   (struct ev_command){ .cmd = CMD_DISCONNECT,
							.peer = (uint8_t)plan_other(w, primary) });
			break;
		case 4:
			up = plan_below(w, 2);
			plan_link(w, primary, plan_other(w, primary), up);
			break;
		default:
			plan_all_return(w);
			break;
		}
		if (plan_below(w, 2))
			plan_pass_ms(w, 50000, 70000);
		else
			plan_pass_ms(w, 500, 15000);
	}
}

/* ---- a restless application, and connections that flap ---- */

static void flap(struct world *w)
{
	unsigned a = plan_below(w, w->node_count), b = plan_other(w, a);
	unsigned times = 3 + plan_below(w, 12);

	while (times-- > 0) {
		simnet_cut(w, a, b, plan_below(w, 6) == 0);
		plan_pass(w, prng_exp(&w->plan.rng, 12 * w->params.net_latency_ns) + NS_US);
	}
}

static void hold_transaction(struct world *w)
{
	static const uint16_t held[] = { P_TWOPC_PREPARE, P_TWOPC_YES, P_TWOPC_COMMIT,
					 P_TWOPC_NO, P_DISCONNECT, P_STATE, P_UUIDS110,
					 P_COMPRESSED_BITMAP, P_CURRENT_UUID };
	unsigned a = plan_below(w, w->node_count);
	uint64_t ns = prng_exp(&w->plan.rng, 600 * NS_MS);
	uint16_t type = held[plan_below(w, ARRAY_LEN(held))];

	simnet_hold_type(w, a, plan_other(w, a), type, ns);
}

/* Its last writes are on some survivors only. */
static void uneven_loss(struct world *w)
{
	unsigned primary = plan_primary(w);
	bool power = plan_below(w, 4) != 0;

	simnet_stall(w, primary, plan_other(w, primary), STREAM_DATA, 3 * NS_SEC);
	plan_pass(w, prng_exp(&w->plan.rng, 100 * NS_MS));
	node_kill(w, primary, power);
	if (power)
		plan_pass_ms(w, 11000, 14000);
	else
		plan_pass_ms(w, 0, 5000);
	if (!w->nodes[primary].up)
		node_start(w, primary);
}

/* Its disk comes back while a connection is being made. */
static void attach_in_handshake(struct world *w)
{
	static const uint16_t held[] = { P_STATE, P_UUIDS110, P_SIZES, P_TWOPC_YES,
					 P_TWOPC_COMMIT };
	unsigned a = plan_below(w, w->node_count), b = plan_other(w, a);
	bool back = plan_below(w, 2);
	uint64_t ns;
	uint16_t type;

	plan_order(w, a, (struct ev_command){ .cmd = CMD_DETACH, .vnr = SIM_VNR });
	plan_pass_ms(w, 100, 600);
	ns = prng_exp(&w->plan.rng, 500 * NS_MS);
	type = held[plan_below(w, ARRAY_LEN(held))];
	simnet_hold_type(w, back ? b : a, back ? a : b, type, ns);
	simnet_cut(w, a, b, false);
	plan_pass(w, prng_exp(&w->plan.rng, 600 * NS_MS));
	plan_order(w, a, (struct ev_command){ .cmd = CMD_ATTACH, .vnr = SIM_VNR });
	plan_pass_ms(w, 100, 1000);
}

/* Where lineages may fork: another one writes, too, and the verdict does not get through. */
static void fork_and_cut(struct world *w)
{
	static const uint16_t held[] = { P_STATE, P_UUIDS110, P_TWOPC_YES, P_TWOPC_NO,
					 P_DISCONNECT };
	unsigned primary = plan_primary(w), other = plan_other(w, primary);
	bool back = plan_below(w, 2);

	if (!w->split_brain_ok || w->app.phase != APP_OPEN || !w->nodes[other].up ||
	    node_status(w, other)->volumes[0].disk != DISK_UP_TO_DATE)
		return;
	for (unsigned n = 0; n < w->node_count; n++) {
		if (n != other)
			plan_link(w, n, other, false);
	}
	plan_pass_ms(w, 12000, 15000);
	if (w->app.phase != APP_OPEN || w->app.node != (int)primary || !plan_is_alone(w, other))
		return;
	plan_write_elsewhere(w, other);
	simnet_hold_type(w, back ? other : primary, back ? primary : other,
			 held[plan_below(w, ARRAY_LEN(held))], NS_SEC);
	plan_link(w, primary, other, true);
	plan_pass_ms(w, 500, 2000);
	simnet_cut(w, primary, other, false);
	plan_pass_ms(w, 70000, 75000);
}

/* Both sides go on, if they may; then one connection after the other is made. */
static void part_and_flap(struct world *w)
{
	unsigned node = plan_below(w, w->node_count);

	for (unsigned p = 0; p < w->node_count; p++) {
		if (p != node)
			plan_link(w, node, p, false);
	}
	plan_pass_ms(w, 5000, 25000);
	plan_return(w, node);
	plan_pass_ms(w, 0, 500);
	flap(w);
}

static void kill_at_action(struct world *w)
{
	unsigned node = plan_below(w, w->node_count);

	w->nodes[node].die_after_actions = 1 + plan_below(w, 100);
	w->nodes[node].die_power = plan_below(w, 3) == 0;
	plan_pass_ms(w, 0, 1500);
	w->nodes[node].die_after_actions = 0;
	if (!w->nodes[node].up)
		node_start(w, node);
}

void plan_restless(struct world *w)
{
	static void (*const steps[])(struct world *) = {
		flap, flap, hold_transaction, hold_transaction, uneven_loss, part_and_flap,
		kill_at_action, plan_all_return, attach_in_handshake, fork_and_cut,
	};
	unsigned left = 8 + plan_below(w, 16);

	app_kick(w);
	while (left-- > 0) {
		steps[plan_below(w, ARRAY_LEN(steps))](w);
		if (plan_below(w, 3) == 0)
			plan_pass_ms(w, 0, 2000);
	}
	w->plan.haste = false;
	plan_all_return(w);
	plan_pass_ms(w, 40000, 45000);
}

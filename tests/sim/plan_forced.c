/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Plan: promotions by force, when the nodes that had everything are gone for long. */
#include "sim.h"

#define ALL_GONE_NS (15 * NS_SEC)
#define FORCE_NS (60 * NS_SEC)
#define RESOLVED_NS (300 * NS_SEC)

static void cut_off(struct world *w, unsigned node, bool up)
{
	for (unsigned p = 0; p < w->node_count; p++) {
		if (p != node)
			plan_link(w, node, p, up);
	}
}

static bool is_target(struct world *w, unsigned node)
{
	for (unsigned p = 0; p < w->node_count; p++) {
		const struct status_peer *sp = p != node && w->nodes[node].up ?
						       status_peer(node_status(w, node), p) : NULL;

		if (sp && sp->devices[SIM_VNR].repl == REPL_SYNC_TARGET)
			return true;
	}
	return false;
}

/* Its resync stands still, or has got so far. */
static void in_a_resync(struct world *w, unsigned node)
{
	bool still = plan_below(w, 2);

	cut_off(w, node, false);
	plan_pass_ms(w, 12000, 15000);
	for (unsigned p = 0; p < w->node_count; p++) {
		if (p != node && still)
			simnet_hold_type(w, p, node, P_RS_DATA_REPLY, 20 * NS_SEC);
	}
	cut_off(w, node, true);
	for (unsigned i = 0; i < 2000 && !is_target(w, node); i++)
		world_run_for(w, 5 * NS_MS);
	world_run_for(w, prng_exp(&w->plan.rng, 20 * NS_MS));
}

static void left_behind(struct world *w, unsigned node)
{
	plan_order(w, plan_primary(w),
		   (struct ev_command){ .cmd = CMD_DISCONNECT, .peer = (uint8_t)node });
	plan_pass_ms(w, 100, 8000);
}

/* What it lacks when all others are gone: perhaps nothing. */
static void set_back(struct world *w, unsigned node)
{
	switch (plan_below(w, 6)) {
	case 0:
		break;
	case 1:
		left_behind(w, node);
		break;
	case 2:
		cut_off(w, node, false);
		plan_pass_ms(w, 0, 15000);
		break;
	default:
		in_a_resync(w, node);
		break;
	}
}

static void lose(struct world *w, unsigned node)
{
	w->plan.away |= 1U << node;
	node_kill(w, node, plan_below(w, 2));
}

/* In any order, such that a Primary may still write when the first ones are gone. */
static void lose_all_but(struct world *w, unsigned left)
{
	unsigned first = plan_below(w, w->node_count);
	bool at_once = plan_below(w, 2);

	for (unsigned i = 0; i < w->node_count; i++) {
		unsigned n = (first + i) % w->node_count;

		if (!(left >> n & 1))
			lose(w, n);
		if (!at_once)
			plan_pass_ms(w, 0, 3000);
	}
}

/* Who is as good as before needs no force, and is no reason to force another one. */
static void lose_the_good(struct world *w, unsigned node)
{
	for (unsigned n = 0; n < w->node_count; n++) {
		if (n != node && w->nodes[n].up &&
		    node_status(w, n)->volumes[SIM_VNR].disk == DISK_UP_TO_DATE)
			lose(w, n);
	}
}

static bool is_closed(struct world *w)
{
	return w->app.phase == APP_IDLE;
}

static void replied(struct world *w, unsigned node, int rc, uint64_t arg)
{
	(void)arg;
	w->plan.waits = false;
	w->plan.rc = rc;
	/* What it has now is what counts. */
	if (rc >= SS_SUCCESS)
		oracle_forced(w, node);
}

static bool no_answer_due(struct world *w)
{
	return !w->plan.waits || !w->nodes[w->plan.forced].up;
}

static bool has_gone_on(struct world *w)
{
	return w->oracle.acked > w->plan.acked || !w->nodes[w->plan.forced].up;
}

/* Repeated as long as it is refused: what is under way with who is gone has to end first. */
static void promote(struct world *w, unsigned node)
{
	static const struct ev_command primary = { .cmd = CMD_PRIMARY, .force = true };
	uint64_t end = w->now_ns + FORCE_NS;

	do {
		if (w->now_ns > end)
			sim_fail(w, "I7: node %u is not promoted by force: %d (%s)", node,
				 w->plan.rc, state_rv_text((enum state_rv)w->plan.rc));
		if (!w->nodes[node].up)
			node_start(w, node);
		plan_pass_ms(w, 500, 3000);
		if (!w->nodes[node].up)
			continue;
		w->plan.waits = true;
		w->plan.rc = SS_TIMEOUT;
		node_command(w, node, primary, replied, 0);
		world_run_until(w, no_answer_due, FORCE_NS);
		w->plan.waits = false;
	} while (w->plan.rc < SS_SUCCESS);
}

/* As long as nothing has been answered there it may die, and be as it was: it is forced again. */
static void force(struct world *w, unsigned node)
{
	w->plan.forcing = true;
	w->plan.forced = node;
	w->plan.acked = w->oracle.acked;
	if (w->app.ops_left < 100)
		w->app.ops_left = 100;
	if (plan_below(w, 4) == 0)
		w->nodes[node].die_after_actions = 1 + plan_below(w, 40);
	do {
		/* It may be opened without force when it is back. */
		w->app.stop = true;
		promote(w, node);
		w->app.last = w->app.only = (int)node;
		w->app.stop = false;
		app_kick(w);
		if (!world_run_until(w, has_gone_on, FORCE_NS))
			sim_fail(w, "I7: node %u answers no write after a promotion by force",
				 node);
	} while (w->oracle.acked == w->plan.acked);
	w->nodes[node].die_after_actions = 0;
	plan_pass_ms(w, 0, 6000);
}

static void restart_alone(struct world *w, unsigned node)
{
	node_kill(w, node, plan_below(w, 2));
	plan_pass_ms(w, 0, 2000);
	node_start(w, node);
}

/* The one that was forced is lost, too, and one of the others is all that is left. */
static unsigned force_another(struct world *w, unsigned node)
{
	unsigned other = plan_other(w, node);

	for (unsigned n = 0; n < w->node_count; n++)
		lose(w, n);
	if (!w->nodes[other].up)
		node_start(w, other);
	plan_pass_ms(w, 0, 5000);
	force(w, other);
	return other;
}

static void all_come_back(struct world *w)
{
	unsigned first = plan_below(w, w->node_count);

	for (unsigned i = 0; i < w->node_count; i++) {
		plan_return(w, (first + i) % w->node_count);
		if (plan_below(w, 2))
			plan_pass_ms(w, 0, 3000);
	}
}

static bool nobody_primary(struct world *w)
{
	for (unsigned n = 0; n < w->node_count; n++) {
		if (w->nodes[n].up && node_status(w, n)->role == ROLE_PRIMARY)
			return false;
	}
	return true;
}

/*
 * Who has more, or something else, is in a split brain or follows; nothing is mixed. With quorum it
 * is no split brain but a connection that is tried again: the one that gets quorum leads, and that
 * may be those that the operator has given up by his force. He says so to them.
 */
static void reunite(struct world *w)
{
	uint64_t end = w->now_ns + RESOLVED_NS;
	unsigned looks = 0;
	char why[400];

	while (!check_converged(w, why, sizeof(why))) {
		if (w->now_ns > end)
			sim_fail(w, "I7: after a promotion by force: %s", why);
		for (unsigned a = 0; a < w->node_count; a++) {
			for (unsigned b = a + 1; b < w->node_count; b++)
				operator_resolve(w, a, b);
		}
		if (w->params.quorum != QUORUM_OFF && looks++ % 5 == 2)
			operator_prefers(w);
		plan_pass(w, 2 * NS_SEC);
	}
	w->app.stop = true;
	app_kick(w);
	if (!world_run_until(w, is_closed, FORCE_NS))
		sim_fail(w, "I7: the application cannot close on node %d", w->app.node);
	for (unsigned n = 0; n < w->node_count; n++)
		plan_order(w, n, (struct ev_command){ .cmd = CMD_SECONDARY });
	if (!world_run_until(w, nobody_primary, FORCE_NS))
		sim_fail(w, "I7: a node stays Primary that nobody uses");
	if (!plan_at_rest(w, true))
		sim_fail(w, "I7: after a promotion by force the nodes do not stay the same");
	w->plan.forcing = false;
	check_identical(w, "after a promotion by force");
	check_acknowledged(w);
}

static void one_round(struct world *w)
{
	unsigned node, left;

	w->app.only = -1;
	w->app.stop = false;
	app_kick(w);
	plan_pass_ms(w, 500, 4000);
	node = plan_other(w, plan_primary(w));
	left = 1U << node;
	if (w->node_count > 2 && plan_below(w, 3) == 0) {
		unsigned other = plan_other(w, node);

		left |= 1U << other;
		if (other != plan_primary(w))
			set_back(w, other);
	}
	set_back(w, node);
	lose_all_but(w, left);
	w->app.stop = true;
	plan_pass(w, plan_below(w, 2) ? ALL_GONE_NS : plan_below(w, 1000) * NS_MS);
	lose_the_good(w, node);
	if (w->app.node >= 0)
		node_kill(w, (unsigned)w->app.node, false);
	cut_off(w, node, true);
	if (plan_below(w, 3) == 0)
		restart_alone(w, node);
	force(w, node);
	/* With quorum the one that has it leads, also if it got that by force as the other did. */
	if (plan_below(w, 3) == 0 && w->params.quorum == QUORUM_OFF)
		node = force_another(w, node);
	if (plan_below(w, 4) == 0)
		node_kill(w, node, plan_below(w, 2));
	all_come_back(w);
	reunite(w);
}

void plan_forced(struct world *w)
{
	bool careful = w->params.careful;

	/* Whoever was not forced is kept away by the operator. */
	w->params.careful = false;
	w->split_brain_ok = true;
	for (unsigned left = 1 + plan_below(w, 3); left > 0; left--)
		one_round(w);
	for (unsigned n = 0; n < w->node_count; n++)
		w->nodes[n].saw_split_brain = false;
	w->params.careful = careful;
}

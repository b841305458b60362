/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Plan: one thing goes wrong at a time, and all that does not depend on it goes on at once. */
#include "sim.h"

/* Many times what the network and the disks of these lives take. */
#define PROMPT_NS (4 * NS_SEC)
#define HELD_NS (8 * NS_SEC) /* a peer that answers no ping for so long is still there */

static void check_prompt(struct world *w, const char *what)
{
	const struct app *app = &w->app;

	if (app->phase != APP_OPEN && app->phase != APP_DRAINING)
		return;
	for (unsigned i = 0; i < APP_IOS_MAX; i++) {
		if (app->io[i].in_use && w->now_ns - app->io[i].start_ns > PROMPT_NS)
			sim_fail(w, "I7: request #%llu on node %d waits while %s",
				 (unsigned long long)app->io[i].cookie, app->node, what);
	}
}

static void pass_promptly(struct world *w, uint64_t ns, const char *what)
{
	for (uint64_t end = w->now_ns + ns; w->now_ns < end;) {
		world_run_for(w, 20 * NS_MS);
		check_prompt(w, what);
	}
}

static bool is_drained(struct world *w)
{
	return w->app.in_flight == 0;
}

/* A peer's activity log keeps what it has until the peer ack comes: more extents than fit in. */
static void peer_acks_held(struct world *w, unsigned primary, unsigned other)
{
	unsigned first = plan_below(w, 1024);

	w->app.quiet = true;
	if (!world_run_until(w, is_drained, 10 * NS_SEC) || w->app.phase != APP_OPEN)
		return;
	simnet_hold_type(w, primary, other, P_PEER_ACK, HELD_NS);
	for (unsigned i = 0; i < 128 && w->app.phase == APP_OPEN; i++) {
		while (w->app.in_flight == APP_IOS_MAX)
			pass_promptly(w, 20 * NS_MS, "a peer ack is on its way");
		if (w->app.phase == APP_OPEN)
			app_do(w, OP_WRITE, ((uint64_t)i * 1024 + first) * BM_BLOCK_SECTORS,
			       BM_BLOCK_BYTES);
	}
	pass_promptly(w, HELD_NS - NS_SEC, "a peer ack is on its way");
}

/*
 * Of a peer that has returned. The application does not move to that one meanwhile: what would be
 * held up then is the stream that its own writes go by.
 */
static void resync_held(struct world *w, unsigned primary, unsigned other)
{
	static const uint16_t held[] = { P_COMPRESSED_BITMAP, P_COMPRESSED_BITMAP,
					 P_RS_DATA_REQUEST };

	w->app.only = (int)primary;
	simnet_hold_type(w, other, primary, held[plan_below(w, ARRAY_LEN(held))], HELD_NS);
	simnet_cut(w, primary, other, false);
	pass_promptly(w, HELD_NS - NS_SEC, "a resync is held up");
	w->app.only = -1;
}

static bool follows(struct world *w, unsigned a, unsigned b)
{
	return w->nodes[a].up && w->nodes[b].up && status_peer_uptodate(node_status(w, a), b, 0) &&
	       status_peer_uptodate(node_status(w, b), a, 0) &&
	       node_status(w, a)->volumes[0].disk == DISK_UP_TO_DATE &&
	       node_status(w, b)->volumes[0].disk == DISK_UP_TO_DATE;
}

/* A node that is away keeps nobody from becoming UpToDate. */
static void resync_beside_absent(struct world *w, unsigned primary, unsigned other)
{
	unsigned away = plan_other(w, primary);

	if (w->node_count < 3)
		return;
	while (away == other)
		away = plan_other(w, primary);
	node_kill(w, away, plan_below(w, 2));
	plan_pass_ms(w, 100, 12000);
	plan_link(w, primary, other, false);
	plan_pass_ms(w, 12000, 15000);
	plan_link(w, primary, other, true);
	for (uint64_t end = w->now_ns + 40 * NS_SEC; !follows(w, primary, other);) {
		world_run_for(w, 100 * NS_MS);
		if (w->now_ns > end)
			sim_fail(w, "I7: nodes %u and %u do not become the same while node %u is "
				    "away", primary, other, away);
	}
	plan_return(w, away);
}

static bool resync_is_over(struct world *w)
{
	for (unsigned i = 0; i < w->node_count; i++) {
		for (unsigned p = 0; p < w->node_count; p++) {
			if (i != p && !follows(w, i, p))
				return false;
		}
	}
	return w->app.phase == APP_IDLE;
}

static bool is_target(struct world *w, unsigned node, unsigned peer)
{
	return status_peer(node_status(w, node), peer)->devices[0].repl == REPL_SYNC_TARGET;
}

static uint64_t marked_for(struct world *w, unsigned node, unsigned peer)
{
	return status_peer(node_status(w, node), peer)->devices[0].out_of_sync_sectors;
}

/* What is resynced while the Primary is demoted comes once. */
static void resync_beside_demotion(struct world *w, unsigned primary, unsigned other)
{
	unsigned third;
	uint64_t before, marked, received;

	if (w->node_count < 3)
		return;
	third = plan_other(w, primary);
	while (third == other)
		third = plan_other(w, primary);
	plan_link(w, primary, other, false);
	plan_pass_ms(w, 12000, 15000);
	w->app.quiet = true;
	world_run_for(w, 4 * NS_SEC);
	if (w->app.phase != APP_OPEN || w->app.in_flight || w->app.node != (int)primary)
		return;
	before = status_peer(node_status(w, other), primary)->devices[0].received_sectors;
	marked = marked_for(w, primary, other) + marked_for(w, other, primary);
	simnet_hold_type(w, primary, other, P_RS_DATA_REPLY, 300 * NS_MS);
	plan_link(w, primary, other, true);
	for (unsigned i = 0; i < 2000 && !is_target(w, other, primary); i++)
		world_run_for(w, 10 * NS_MS);
	simnet_hold_type(w, third, primary, P_TWOPC_YES, NS_SEC);
	w->app.stop = true;
	app_kick(w);
	if (!world_run_until(w, resync_is_over, 60 * NS_SEC))
		sim_fail(w, "I7: a resync beside a demotion does not end");
	received = status_peer(node_status(w, other), primary)->devices[0].received_sectors;
	if (received >= before)
		received -= before;
	if (received > marked + 256)
		sim_fail(w, "E1: node %u was %llu sectors behind, and %llu came", other,
			 (unsigned long long)marked, (unsigned long long)received);
}

void plan_one_thing(struct world *w)
{
	static void (*const things[])(struct world *, unsigned, unsigned) = {
		peer_acks_held, resync_held, resync_beside_absent, resync_beside_demotion,
		resync_beside_demotion,
	};
	unsigned left = 3 + plan_below(w, 4);

	app_kick(w);
	while (left-- > 0) {
		unsigned primary, other;

		w->app.stop = w->app.quiet = false;
		app_kick(w);
		plan_pass_ms(w, 500, 3000);
		if (!plan_at_rest(w, false))
			sim_fail(w, "I7: after one thing that went wrong not all are the same");
		if (w->app.phase != APP_OPEN || !w->nodes[w->app.node].up)
			continue;
		primary = (unsigned)w->app.node;
		other = plan_other(w, primary);
		things[plan_below(w, ARRAY_LEN(things))](w, primary, other);
		plan_all_return(w);
	}
}

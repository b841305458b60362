/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Plan: what happens to generations by hand: disks that are new or of the first day, nodes that are
 * not configured, a log that is off. */
#include "scenario.h"

/* Its disk as it was when the volume was given to the nodes, and never used. */
static void first_day_disk(struct world *w, unsigned node)
{
	if (!plan_at_rest(w, false) || w->app.node == (int)node || !sc_old_disk_known(w))
		return;
	node_kill(w, node, false);
	plan_pass_ms(w, 0, 12000);
	sc_old_disk(w, node);
	node_start(w, node);
}

static void new_disk(struct world *w, unsigned node)
{
	if (!plan_at_rest(w, false) || w->app.node == (int)node)
		return;
	node_kill(w, node, false);
	plan_pass_ms(w, 0, 12000);
	sc_new_disk(w, node);
	node_start(w, node);
	plan_pass_ms(w, 50, 4000);
}

/* Two get new disks; the first one loses its source in the middle of its first resync. */
static void two_new_disks(struct world *w)
{
	unsigned source, first, second;

	if (w->node_count < 3 || !plan_at_rest(w, false) || w->app.node < 0)
		return;
	source = (unsigned)w->app.node;
	first = plan_other(w, source);
	do
		second = plan_other(w, source);
	while (second == first);
	node_kill(w, first, false);
	node_kill(w, second, false);
	plan_pass_ms(w, 0, 12000);
	sc_new_disk(w, first);
	sc_new_disk(w, second);
	node_start(w, first);
	plan_pass_ms(w, 300, 3000);
	for (unsigned n = 0; n < w->node_count; n++) {
		if (n != first && n != second)
			node_kill(w, n, false);
	}
	node_start(w, second);
	plan_pass_ms(w, 1000, 8000);
	plan_all_return(w);
}

/* Their way to each other is only by hand: one goes on alone, and knows nobody else. */
static void not_configured(struct world *w)
{
	unsigned node = plan_below(w, w->node_count), peers;
	struct core_conf *conf = &w->nodes[node].conf;

	if (!plan_at_rest(w, true))
		return;
	w->app.only = (int)node;
	for (unsigned n = 0; n < w->node_count; n++)
		node_kill(w, n, false);
	peers = conf->peer_count;
	conf->peer_count = 0;
	node_start(w, node);
	app_kick(w);
	plan_pass_ms(w, 500, 3000);
	if (plan_below(w, 4)) {
		w->app.stop = true;
		plan_pass_ms(w, 2000, 4000);
		w->app.stop = false;
		plan_order(w, node,
			   (struct ev_command){ .cmd = CMD_NEW_CURRENT_UUID, .vnr = SIM_VNR,
						.clear_bitmap = plan_below(w, 3) != 0 });
		plan_pass_ms(w, 100, 500);
		app_kick(w);
		plan_pass_ms(w, 500, 3000);
	}
	w->app.stop = true;
	app_kick(w);
	plan_pass_ms(w, 2000, 4000);
	w->app.stop = false;
	node_kill(w, node, false);
	conf->peer_count = peers;
	w->app.only = -1;
	for (unsigned n = 0; n < w->node_count; n++)
		node_start(w, n);
}

/* The Primary crashes without an activity log, while a peer is behind. */
static void log_was_off(struct world *w)
{
	unsigned node;

	if (!plan_at_rest(w, false) || w->app.node < 0)
		return;
	node = (unsigned)w->app.node;
	simnet_stall(w, node, plan_other(w, node), STREAM_DATA, 5 * NS_SEC);
	plan_pass_ms(w, 50, 2000);
	for (unsigned n = 0; n < w->node_count; n++) {
		if (n != node)
			node_kill(w, n, plan_below(w, 2));
	}
	node_kill(w, node, false);
	sc_log_was_off(w, node);
	node_start(w, node);
	plan_pass_ms(w, 500, 3000);
	for (unsigned n = 0; n < w->node_count; n++) {
		if (n != node)
			node_start(w, n);
	}
}

void plan_generations(struct world *w)
{
	unsigned old = plan_below(w, w->node_count), left = 3 + plan_below(w, 4);

	for (unsigned n = 0; n < w->node_count; n++) {
		node_kill(w, n, false);
		sc_day_0(w, n);
	}
	sc_keep_disk(w, old);
	for (unsigned n = 0; n < w->node_count; n++)
		node_start(w, n);
	plan_at_rest(w, false);
	app_kick(w);
	while (left-- > 0) {
		plan_pass_ms(w, 500, 3000);
		switch (plan_below(w, 5)) {
		case 0:
			first_day_disk(w, old);
			break;
		case 1:
			new_disk(w, plan_below(w, w->node_count));
			break;
		case 2:
			two_new_disks(w);
			break;
		case 3:
			not_configured(w);
			break;
		default:
			log_was_off(w);
			break;
		}
		app_kick(w);
	}
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The operator of the healing phase: attaches disks, resolves
 * split brains (the last Primary keeps its data). */
#include <string.h>

#include "sim.h"

#define LOOK_NS (2 * NS_SEC)

static bool is_standalone(struct world *w, unsigned node, unsigned peer)
{
	const struct status_peer *sp = status_peer(node_status(w, node), peer);

	return sp && sp->conn == CONN_STANDALONE;
}

/* Not one that was only disconnected: the generations tell which side of it is newer. */
static bool is_split_brain(struct world *w, unsigned node, unsigned peer)
{
	const struct status_peer *sp = status_peer(node_status(w, node), peer);

	/* Who was promoted by force leads, also where those who follow have quorum. */
	if (sp && sp->conn == CONN_STANDALONE && w->plan.forcing && strstr(sp->reason, "refused"))
		return true;
	/* Of two Primaries only one may have written before both noticed that they were apart. */
	return sp && sp->conn == CONN_STANDALONE &&
	       (strstr(sp->reason, "split brain") != NULL ||
		(w->params.two_primaries && strstr(sp->reason, "would be overwritten") != NULL));
}

/* Where the application was last; that had no disk: the first one that lacks nothing. */
static unsigned whose_data(struct world *w)
{
	unsigned last = 0;

	for (unsigned i = 1; i < w->node_count; i++) {
		if (w->rival.opened_at[i] > w->rival.opened_at[last])
			last = i;
	}
	if (fencing_rules(w) && w->rival.opened_at[last] && w->nodes[last].has_disk)
		return last;
	if (w->app.last >= 0 && w->nodes[w->app.last].has_disk)
		return (unsigned)w->app.last;
	for (unsigned i = 0; i < w->node_count && w->app.last >= 0; i++) {
		if (w->nodes[i].has_disk && oracle_check_node(w, i) == SIM_NEVER)
			return i;
	}
	return shape_disk(w, 0);
}

static bool follows(struct world *w, unsigned node, unsigned authority)
{
	const struct md_super *mine, *theirs;

	for (uint16_t v = 0; node != authority && v < w->params.volumes; v++) {
		mine = core_md(w->nodes[node].core, v);
		theirs = core_md(w->nodes[authority].core, v);
		if (!mine || !theirs || !uuid_eq(mine->current_uuid, theirs->current_uuid))
			return false;
	}
	return true;
}

static void reconnect(struct world *w, unsigned node, unsigned peer, bool discard)
{
	struct ev_command ev;

	if (!w->nodes[node].up)
		return;
	if (!discard && !is_standalone(w, node, peer))
		return;
	/* It may connect already, or be about to: what is given up is said to a new connection. */
	if (discard)
		node_command(w, node,
			     (struct ev_command){ .cmd = CMD_DISCONNECT, .peer = (uint8_t)peer },
			     NULL, 0);
	/* It may crash in that step, or did in the peer's. */
	if (!w->nodes[node].up)
		return;
	ev = (struct ev_command){ .cmd = CMD_CONNECT, .peer = (uint8_t)peer,
				  .discard_my_data = discard };
	if (discard && prng_chance(&w->rng, 1, 2)) {
		strcpy(ev.save_to, "undo");
		w->nodes[node].disk.fail_save = prng_chance(&w->rng, 1, 4);
	}
	node_command(w, node, ev, NULL, 0);
}

void operator_resolve(struct world *w, unsigned a, unsigned b)
{
	unsigned authority = whose_data(w);
	bool keep_a = true, keep_b = true;

	if (!w->nodes[a].up || !w->nodes[b].up || !w->nodes[authority].up)
		return;
	if (!is_standalone(w, a, b) && !is_standalone(w, b, a))
		return;
	/* With quorum there is none; a Primary that was superseded has refused to follow. */
	if (w->split_brain_ok && (is_split_brain(w, a, b) || is_split_brain(w, b, a))) {
		keep_a = follows(w, a, authority);
		keep_b = follows(w, b, authority);
	}
	/* While disks fail a victim may be left with neither its own data nor the others'. */
	if (w->faults_on && !(keep_a && keep_b))
		return;
	/* Two losers wait until one of them has met a winner. */
	if (!keep_a && !keep_b)
		return;
	sim_trace(w, "the operator reconnects %u%s and %u%s", a, keep_a ? "" : " (discards)", b,
		  keep_b ? "" : " (discards)");
	reconnect(w, a, b, !keep_a);
	reconnect(w, b, a, !keep_b);
}

static bool is_connected(struct world *w, unsigned node, unsigned peer)
{
	const struct status_peer *sp = status_peer(node_status(w, node), peer);

	return sp && sp->conn >= CONN_CONNECTED;
}

void operator_prefers(struct world *w)
{
	unsigned authority = whose_data(w);

	if (!w->nodes[authority].up)
		return;
	for (unsigned n = 0; n < w->node_count; n++) {
		if (n == authority || !w->nodes[n].up || is_connected(w, n, authority) ||
		    is_connected(w, authority, n) || follows(w, n, authority))
			continue;
		sim_trace(w, "the operator lets %u give way to %u", n, authority);
		reconnect(w, n, authority, true);
		reconnect(w, authority, n, false);
	}
}

/* ---- disks ---- */

static void attached(struct world *w, unsigned node, int rc, uint64_t vnr)
{
	bool connected = false, on_its_way = false;

	if (rc >= SS_SUCCESS || !(w->split_brain_ok || w->params.resizes))
		return;
	/* It is to be attached alone and enlarged, and nobody can use the volume meanwhile: neither
	 * the application nor its rival, which is not open for long, but waits for quorum, too. */
	if ((w->app.node == (int)node || w->rival.node == (int)node) &&
	    w->nodes[node].disk.md[vnr].capacity_sectors < w->nodes[node].size_sectors[vnr]) {
		w->app.stop = true;
		app_kick(w);
		/* What waits for quorum, which waits for this disk, has to fail. */
		if (!node_status(w, node)->volumes[vnr].quorum)
			node_command(w, node,
				     (struct ev_command){ .cmd = CMD_SECONDARY, .force = true },
				     NULL, 0);
		return;
	}
	/* The disk is not what a Primary needs, and no peer
	 * has that: one that is on its way may have it. */
	for (unsigned p = 0; p < w->node_count; p++) {
		const struct status_peer *sp = status_peer(node_status(w, node), p);

		connected |= sp && sp->conn == CONN_CONNECTED;
		on_its_way |= sp && w->nodes[p].up && sp->conn < CONN_CONNECTED &&
			      sp->conn != CONN_STANDALONE;
	}
	/* In a chain those who are connected need not have heard of it. */
	if (!connected || (on_its_way && !sim_is_mesh(&w->params) &&
			   node_status(w, node)->role == ROLE_PRIMARY))
		return;
	/* Its peers do not accept it, or have another size: attach it alone, then resolve it. A
	 * Primary that has its peers fenced does not let it go, and is not asked. */
	for (unsigned p = 0; p < w->node_count; p++) {
		if (p != node)
			node_command(w, node,
				     (struct ev_command){ .cmd = CMD_DISCONNECT,
							  .force = fencing_rules(w),
							  .peer = (uint8_t)p },
				     NULL, 0);
	}
	node_command(w, node, (struct ev_command){ .cmd = CMD_ATTACH, .vnr = (uint16_t)vnr }, NULL,
		     0);
}

static void look_after_disk(struct world *w, unsigned node)
{
	struct node *n = &w->nodes[node];

	for (unsigned v = 0; n->up && n->has_disk && v < w->params.volumes; v++) {
		if (node_status(w, node)->volumes[v].disk == DISK_DISKLESS &&
		    !(n->attached >> v & 1))
			node_command(w, node,
				     (struct ev_command){ .cmd = CMD_ATTACH, .vnr = (uint16_t)v },
				     attached, v);
	}
}

/* ---- application I/O that waits by command ---- */

static void resume(struct world *w, unsigned node)
{
	if (w->nodes[node].up && node_status(w, node)->susp_user)
		node_command(w, node, (struct ev_command){ .cmd = CMD_RESUME_IO }, NULL, 0);
}

static void suspend_event(struct world *w, uint64_t a, uint64_t b)
{
	unsigned node = (unsigned)prng_below(&w->rng, w->node_count);

	(void)a;
	(void)b;
	if (!w->faults_on)
		return;
	for (unsigned n = 0; n < w->node_count; n++)
		resume(w, n);
	if (w->nodes[node].up && prng_chance(&w->rng, 1, 2))
		node_command(w, node, (struct ev_command){ .cmd = CMD_SUSPEND_IO }, NULL, 0);
	world_at(w, prng_exp(&w->rng, 2 * NS_SEC), suspend_event, 0, 0);
}

void operator_suspends(struct world *w)
{
	if (w->params.suspends)
		world_at(w, prng_exp(&w->rng, 2 * NS_SEC), suspend_event, 0, 0);
}

static void look_event(struct world *w, uint64_t a, uint64_t b)
{
	(void)a;
	(void)b;
	for (unsigned x = 0; x < w->node_count; x++) {
		resume(w, x);
		look_after_disk(w, x);
	}
	resize_look_after(w);
	peers_look_after(w);
	traps_look_after(w);
	links_look_after(w);
	if (!w->split_brain_ok && w->params.quorum == QUORUM_OFF) {
		world_at(w, LOOK_NS, look_event, 0, 0);
		return;
	}
	for (unsigned x = 0; x < w->node_count; x++) {
		for (unsigned y = x + 1; y < w->node_count; y++)
			operator_resolve(w, x, y);
	}
	world_at(w, LOOK_NS, look_event, 0, 0);
}

void operator_start(struct world *w)
{
	world_at(w, LOOK_NS, look_event, 0, 0);
}

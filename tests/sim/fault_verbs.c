/* SPDX-License-Identifier: GPL-2.0-or-later */
/* An operator who gives any command at any moment, wrong ones, too. */
#include <string.h>

#include "sim.h"

#define LARGE_SECTORS (UINT64_C(16) << 11) /* beyond it a life has no time for whole resyncs */

static void give(struct world *w, unsigned node, struct ev_command cmd)
{
	if (w->nodes[node].up)
		node_command(w, node, cmd, NULL, 0);
}

/* ---- Primary by command, for a while ---- */

static void demote_event(struct world *w, uint64_t node, uint64_t life)
{
	const struct node *n = &w->nodes[node];

	bool waits = w->op_waits && n->life == life;

	if (!waits && (n->life != life || node_status(w, (unsigned)node)->role != ROLE_PRIMARY)) {
		w->op_primary = -1;
		return;
	}
	/* It is refused as long as the application has the volume open. */
	if (!waits)
		give(w, (unsigned)node, (struct ev_command){ .cmd = CMD_SECONDARY });
	world_at(w, 2 * NS_SEC, demote_event, node, life);
}

/* Without quorum only the operator takes care that there is one lineage. */
static bool may_promote(struct world *w, unsigned node)
{
	if (w->op_primary >= 0 || !fencing_allows(w, node))
		return false;
	if (w->params.quorum != QUORUM_OFF)
		return true;
	if (w->app.node >= 0 && w->app.node != (int)node)
		return false;
	for (unsigned m = 0; m < w->node_count; m++) {
		if (m != node && w->nodes[m].up && node_status(w, m)->role == ROLE_PRIMARY)
			return false;
	}
	return app_lineage_ok(w, node) && app_is_current(w, node);
}

static void promoted(struct world *w, unsigned node, int rc, uint64_t life)
{
	(void)rc;
	if (w->nodes[node].life == life)
		w->op_waits = false;
}

static void promote(struct world *w, unsigned node)
{
	if (!w->nodes[node].up || !may_promote(w, node))
		return;
	w->op_primary = (int)node;
	w->op_waits = true;
	node_command(w, node, (struct ev_command){ .cmd = CMD_PRIMARY }, promoted,
		     w->nodes[node].life);
	world_at(w, prng_range(&w->fault_rng, NS_SEC, 4 * NS_SEC), demote_event, node,
		 w->nodes[node].life);
}

/* ---- down and up ---- */

static void stop_event(struct world *w, uint64_t node, uint64_t life)
{
	if (w->nodes[node].life != life)
		return;
	node_kill(w, (unsigned)node, false);
	fault_restart_later(w, (unsigned)node);
}

static void went_down(struct world *w, unsigned node, int rc, uint64_t life)
{
	/* Not within the step that tells. */
	if (rc >= SS_SUCCESS)
		world_at(w, prng_below(&w->fault_rng, NS_SEC), stop_event, node, life);
}

static void down(struct world *w, unsigned node)
{
	if (w->nodes[node].up && w->app.node != (int)node && w->rival.node != (int)node)
		node_command(w, node, (struct ev_command){ .cmd = CMD_SHUTDOWN }, went_down,
			     w->nodes[node].life);
}

/* ---- all others ---- */

static void resume_event(struct world *w, uint64_t node, uint64_t b)
{
	(void)b;
	give(w, (unsigned)node, (struct ev_command){ .cmd = CMD_RESUME_IO });
}

static void sync_event(struct world *w, uint64_t node, uint64_t peer)
{
	give(w, (unsigned)node,
	     (struct ev_command){ .cmd = CMD_RESUME_SYNC, .vnr = SIM_VNR, .peer = (uint8_t)peer });
}

/* It would fork the lineage: while a peer is there it is refused. */
static void new_generation(struct world *w, unsigned node)
{
	struct ev_command cmd = { .cmd = CMD_NEW_CURRENT_UUID, .vnr = SIM_VNR,
				  .clear_bitmap = prng_chance(&w->fault_rng, 1, 2) };
	bool refused = false;

	for (unsigned p = 0; p < w->node_count && w->nodes[node].up; p++) {
		const struct status_peer *sp =
			p == node ? NULL : status_peer(node_status(w, node), p);

		refused |= sp && sp->devices[0].repl > REPL_OFF;
	}
	if (refused && !w->nodes[node].paused)
		give(w, node, cmd);
}

static void verify(struct world *w, unsigned node, unsigned peer)
{
	struct ev_command cmd = { .cmd = CMD_VERIFY, .vnr = SIM_VNR, .peer = (uint8_t)peer,
				  .has_start = true, .abort = prng_chance(&w->fault_rng, 1, 3) };

	cmd.start_sector = prng_below(&w->fault_rng, w->params.device_sectors);
	cmd.stop_sector = cmd.start_sector + prng_range(&w->fault_rng, 1, LARGE_SECTORS / 2);
	give(w, node, cmd);
}

static void invalidate(struct world *w, unsigned node, unsigned peer)
{
	struct ev_command cmd = { .vnr = SIM_VNR, .peer = (uint8_t)peer };

	cmd.cmd = prng_chance(&w->fault_rng, 1, 2) ? CMD_INVALIDATE : CMD_INVALIDATE_REMOTE;
	cmd.keep_bitmap = w->params.device_sectors > LARGE_SECTORS ||
			  prng_chance(&w->fault_rng, 1, 2);
	give(w, node, cmd);
}

/* Of volumes and peers that are not there. */
static void give_nonsense(struct world *w, unsigned node)
{
	static const uint8_t any[] = {
		CMD_ATTACH, CMD_DETACH, CMD_CONNECT, CMD_DISCONNECT, CMD_INVALIDATE,
		CMD_INVALIDATE_REMOTE, CMD_PAUSE_SYNC, CMD_RESUME_SYNC, CMD_VERIFY,
		CMD_NEW_CURRENT_UUID, CMD_RESIZE, CMD_FORGET_PEER, CMD_DEL_VOLUME, CMD_DEL_PEER,
	};
	static const uint8_t peers[] = { SIM_NODES_MAX, NODES_MAX - 1, NODES_MAX, UINT8_MAX };
	struct ev_command cmd = { .vnr = 7, .peer = (uint8_t)node };

	cmd.cmd = (enum core_command)any[prng_below(&w->fault_rng, ARRAY_LEN(any))];
	cmd.force = prng_chance(&w->fault_rng, 1, 3);
	if (prng_chance(&w->fault_rng, 2, 3))
		cmd.peer = peers[prng_below(&w->fault_rng, ARRAY_LEN(peers))];
	give(w, node, cmd);
}

static void resize(struct world *w, unsigned node)
{
	struct ev_command cmd = { .cmd = CMD_RESIZE, .vnr = SIM_VNR };

	/* As large as possible, as now; or larger than any disk. */
	if (prng_chance(&w->fault_rng, 1, 2))
		cmd.size_sectors = 16 * w->params.room_sectors;
	give(w, node, cmd);
}

static void give_simple(struct world *w, unsigned node, unsigned peer)
{
	static const struct { uint8_t cmd; bool forced; } simple[] = {
		{ CMD_ATTACH, false }, { CMD_CONNECT, false }, { CMD_SECONDARY, false },
		{ CMD_RESUME_SYNC, false }, { CMD_RESUME_IO, false },
		{ CMD_FORGET_PEER, true },
	};
	unsigned i = (unsigned)prng_below(&w->fault_rng, ARRAY_LEN(simple));

	/* It would say that peers out of sight are harmless. */
	if (simple[i].cmd == CMD_RESUME_IO && fencing_rules(w))
		return;
	give(w, node, (struct ev_command){ .cmd = (enum core_command)simple[i].cmd, .vnr = SIM_VNR,
					   .peer = (uint8_t)peer, .force = simple[i].forced });
}

void fault_verb(struct world *w, unsigned node, unsigned peer)
{
	uint64_t ns = prng_exp(&w->fault_rng, 3 * NS_SEC);

	switch (prng_below(&w->fault_rng, 13)) {
	case 0:
		promote(w, node);
		break;
	case 1:
		down(w, node);
		break;
	case 2:
		if (fencing_rules(w))
			break;
		give(w, node, (struct ev_command){ .cmd = CMD_SUSPEND_IO });
		world_at(w, ns, resume_event, node, 0);
		break;
	case 3:
		give(w, node, (struct ev_command){ .cmd = CMD_PAUSE_SYNC, .vnr = SIM_VNR,
						   .peer = (uint8_t)peer });
		world_at(w, ns, sync_event, node, peer);
		break;
	case 4:
		new_generation(w, node);
		break;
	case 5:
		verify(w, node, peer);
		break;
	case 6:
		invalidate(w, node, peer);
		break;
	case 7:
		resize(w, node);
		break;
	case 8:
		fault_put(w, FAULT_DISCONNECT, node, peer);
		break;
	case 9:
		fault_put(w, FAULT_DETACH, node, peer);
		break;
	case 10:
		give_nonsense(w, node);
		break;
	default:
		give_simple(w, node, peer);
		break;
	}
}

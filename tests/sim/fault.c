/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What goes wrong, and how it is put right again. */
#include "sim.h"

static const char *const names[FAULT_ALL] = {
	"kill", "kill at an action", "power loss", "power loss of all", "cut", "half-open",
	"partition of one", "partition in halves", "one-way partition", "stall", "held packet",
	"slow disk", "read error", "write error", "metadata error", "disconnect", "detach",
	"stalled stream", "reset", "bridge", "ring or chain", "flapping link", "slow phase",
	"hanging disk", "full disk", "flush error", "error of one class", "broken disk", "pause",
	"command", "accept without handshake",
};

const char *fault_name(enum fault fault)
{
	return names[fault];
}

static unsigned any_node(struct world *w)
{
	/* The Primary is the interesting one. */
	if (w->app.node >= 0 && prng_chance(&w->rng, 1, 3))
		return (unsigned)w->app.node;
	return (unsigned)prng_below(&w->rng, w->node_count);
}

static unsigned any_other(struct world *w, unsigned node)
{
	return (node + 1 + (unsigned)prng_below(&w->rng, w->node_count - 1)) % w->node_count;
}

/* ---- deaths and restarts ---- */

static void start_event(struct world *w, uint64_t node, uint64_t life)
{
	struct node *n = &w->nodes[node];

	if (!n->up && n->life == life)
		node_start(w, n->id);
}

void fault_restart_later(struct world *w, unsigned node)
{
	struct node *n = &w->nodes[node];
	uint64_t delay = prng_chance(&w->rng, 1, 2) ? prng_range(&w->rng, 50 * NS_MS, 2 * NS_SEC) :
						      prng_range(&w->rng, NS_SEC, 30 * NS_SEC);

	if (n->up || n->starting)
		return;
	n->starting = true;
	world_at(w, delay, start_event, node, n->life);
}

/* Deaths at an action boundary happen inside a step: look after them from time to time. */
static void restart_dead(struct world *w)
{
	for (unsigned i = 0; i < w->node_count; i++)
		fault_restart_later(w, i);
}

/* ---- partitions ---- */

static void heal_event(struct world *w, uint64_t a, uint64_t b)
{
	simnet_link(w, (unsigned)a, (unsigned)b, true);
}

static void link_for(struct world *w, unsigned a, unsigned b, bool both, uint64_t ns)
{
	simnet_link(w, a, b, false);
	world_at(w, ns, heal_event, a, b);
	if (!both)
		return;
	simnet_link(w, b, a, false);
	world_at(w, ns, heal_event, b, a);
}

static void partition(struct world *w, unsigned side)
{
	uint64_t ns = prng_exp(&w->rng, 8 * NS_SEC) + 10 * NS_MS;

	for (unsigned a = 0; a < w->node_count; a++) {
		for (unsigned b = a + 1; b < w->node_count; b++) {
			if ((side >> a & 1) != (side >> b & 1))
				link_for(w, a, b, true, ns);
		}
	}
}

/* ---- disks and operators ---- */

static void attach_event(struct world *w, uint64_t node, uint64_t life)
{
	struct node *n = &w->nodes[node];

	n->disk.fail_reads = n->disk.fail_writes = 0;
	n->disk.fail_flushes = n->disk.fail_meta = 0;
	n->disk.fail_meta_kinds = UINT8_MAX;
	n->disk.forgets = false;
	if (!n->up || !n->has_disk || n->life != life)
		return;
	for (unsigned v = 0; v < w->params.volumes; v++) {
		if (node_status(w, n->id)->volumes[v].disk == DISK_DISKLESS)
			node_command(w, n->id,
				     (struct ev_command){ .cmd = CMD_ATTACH, .vnr = (uint16_t)v },
				     NULL, 0);
	}
}

void fault_attach_later(struct world *w, unsigned node)
{
	world_at(w, prng_range(&w->rng, 500 * NS_MS, 15 * NS_SEC), attach_event, node,
		 w->nodes[node].life);
}

static void connect_event(struct world *w, uint64_t node, uint64_t peer)
{
	if (!w->nodes[node].up)
		return;
	node_command(w, (unsigned)node,
		     (struct ev_command){ .cmd = CMD_CONNECT, .peer = (uint8_t)peer }, NULL, 0);
}

static void inject_disk(struct world *w, enum fault fault, unsigned node)
{
	struct disk *d = &w->nodes[node].disk;
	uint16_t vnr;

	switch (fault) {
	case FAULT_DISK_STALL:
		d->stall_until_ns = w->now_ns + prng_exp(&w->rng, 2 * NS_SEC);
		return;
	case FAULT_READ_ERROR:
		d->fail_reads = 1;
		break;
	case FAULT_WRITE_ERROR:
		d->fail_writes = 1;
		break;
	case FAULT_META_ERROR:
		d->fail_meta = 1;
		break;
	default:
		vnr = (uint16_t)sim_any_volume(w);
		if (w->nodes[node].up)
			node_command(w, node,
				     (struct ev_command){ .cmd = CMD_DETACH, .vnr = vnr,
							  .force = prng_chance(&w->rng, 1, 3) },
				     NULL, 0);
		break;
	}
	fault_attach_later(w, node);
}

static void inject_net(struct world *w, enum fault fault, unsigned node, unsigned peer)
{
	static const uint16_t held[] = {
		P_DATA, P_BARRIER, P_BARRIER_ACK, P_WRITE_ACK, P_PEER_ACK, P_UUIDS110, P_STATE,
		P_SIZES, P_COMPRESSED_BITMAP, P_RS_DATA_REQUEST, P_RS_DAGTAG_REQ, P_RS_DATA_REPLY,
		P_RS_WRITE_ACK, P_TWOPC_PREPARE, P_TWOPC_YES, P_TWOPC_COMMIT, P_TWOPC_NO,
		P_TWOPC_ABORT, P_PEERS_IN_SYNC, P_OUT_OF_SYNC, P_CURRENT_UUID, P_PEER_DAGTAG,
		P_PROTOCOL, P_TRIM, P_DISCONNECT,
	};
	uint64_t ns = prng_chance(&w->rng, 1, 4) ? prng_exp(&w->rng, 6 * NS_SEC) :
						   prng_exp(&w->rng, 200 * NS_MS);

	switch (fault) {
	case FAULT_CUT:
	case FAULT_HALF_OPEN:
		simnet_cut(w, node, peer, fault == FAULT_HALF_OPEN);
		break;
	case FAULT_PARTITION_ONE:
		partition(w, 1U << node);
		break;
	case FAULT_PARTITION_HALVES:
		partition(w, (unsigned)prng_range(&w->rng, 1, (UINT64_C(1) << w->node_count) - 2));
		break;
	case FAULT_ONE_WAY:
		link_for(w, node, peer, false, prng_exp(&w->rng, 8 * NS_SEC) + 10 * NS_MS);
		break;
	case FAULT_STALL:
		simnet_stall(w, node, peer, (int)prng_below(&w->rng, 3) - 1, ns);
		break;
	case FAULT_HOLD_PACKET:
		simnet_hold_type(w, node, peer,
			      (enum packet)held[prng_below(&w->rng, ARRAY_LEN(held))], ns);
		break;
	default:
		if (!w->nodes[node].up)
			break;
		node_command(w, node,
			     (struct ev_command){ .cmd = CMD_DISCONNECT, .peer = (uint8_t)peer,
						  .force = prng_chance(&w->rng, 1, 4) },
			     NULL, 0);
		world_at(w, prng_range(&w->rng, 10 * NS_MS, 10 * NS_SEC), connect_event, node,
			 peer);
		break;
	}
}

void fault_put(struct world *w, enum fault fault, unsigned node, unsigned peer)
{
	switch (fault) {
	case FAULT_DISK_STALL:
	case FAULT_READ_ERROR:
	case FAULT_WRITE_ERROR:
	case FAULT_META_ERROR:
	case FAULT_DETACH:
		inject_disk(w, fault, node);
		break;
	default:
		inject_net(w, fault, node, peer);
		break;
	}
}

static void inject(struct world *w, enum fault fault, unsigned node)
{
	switch (fault) {
	case FAULT_KILL:
	case FAULT_POWER:
		node_kill(w, node, fault == FAULT_POWER);
		break;
	case FAULT_KILL_AT_ACTION:
		w->nodes[node].die_after_actions = (unsigned)prng_range(&w->rng, 1, 150);
		w->nodes[node].die_power = prng_chance(&w->rng, 1, 3) &&
					   (w->params.fault_mask >> FAULT_POWER & 1);
		break;
	case FAULT_POWER_ALL:
		for (unsigned i = 0; i < w->node_count; i++)
			node_kill(w, i, true);
		break;
	case FAULT_DISK_STALL:
	case FAULT_READ_ERROR:
	case FAULT_WRITE_ERROR:
	case FAULT_META_ERROR:
	case FAULT_DETACH:
		inject_disk(w, fault, node);
		break;
	default:
		inject_net(w, fault, node, any_other(w, node));
		break;
	}
}

void fault_inject(struct world *w)
{
	enum fault fault;
	unsigned node = any_node(w);

	do {
		fault = (enum fault)prng_below(&w->rng, FAULT_KINDS);
	} while (!(w->params.fault_mask >> fault & 1));
	if (w->params.more_faults && prng_chance(&w->fault_rng, 1, 2))
		fault = fault_draw_more(w);
	sim_trace(w, "fault: %s at node %u", names[fault], node);
	schedule_note(w, fault, node);
	w->fault_count[fault]++;
	if (fault >= FAULT_KINDS)
		fault_inject_more(w, fault, node);
	else
		inject(w, fault, node);
	restart_dead(w);
}

void fault_heal(struct world *w)
{
	simnet_heal(w);
	hang_heal(w);
	fault_heal_more(w);
	for (unsigned i = 0; i < w->node_count; i++) {
		struct node *n = &w->nodes[i];

		n->die_after_actions = 0;
		n->disk.stall_until_ns = 0;
		n->disk.broken = false;
		n->disk.fail_reads = n->disk.fail_writes = 0;
		n->disk.fail_flushes = n->disk.fail_meta = 0;
		if (!n->up)
			node_start(w, i);
		else
			world_at(w, NS_SEC, attach_event, i, n->life);
	}
}

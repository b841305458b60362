/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which nodes have a connection: a chain, a ring, a star, two groups with one node in common. */
#include <string.h>

#include "sim.h"

void sim_unlink(struct sim_params *p, unsigned a, unsigned b)
{
	p->unlinked[a] |= UINT32_C(1) << b;
	p->unlinked[b] |= UINT32_C(1) << a;
}

bool sim_linked(const struct sim_params *p, unsigned a, unsigned b)
{
	return !(p->unlinked[a] >> b & 1);
}

uint32_t sim_far_disks(const struct sim_params *p, unsigned node)
{
	uint32_t far = 0;

	for (unsigned i = 0; i < p->nodes; i++)
		far |= (uint32_t)(!sim_linked(p, node, i) && sim_has_disk(p, i)) << i;
	return far;
}

bool sim_is_mesh(const struct sim_params *p)
{
	for (unsigned i = 0; i < p->nodes; i++) {
		if (p->unlinked[i])
			return false;
	}
	return true;
}

/* By place in the shape; a < b. */
static bool is_link(enum shape shape, unsigned nodes, unsigned a, unsigned b)
{
	unsigned middle = nodes / 2;

	switch (shape) {
	case SHAPE_CHAIN:
		return b == a + 1;
	case SHAPE_RING:
		return b == a + 1 || (a == 0 && b == nodes - 1);
	case SHAPE_STAR:
		return a == 0;
	case SHAPE_BRIDGE:
		return b <= middle || a >= middle;
	default:
		return a != 0 || b != nodes - 1;
	}
}

static void lay_out(struct sim_params *p, enum shape shape, const uint8_t *place)
{
	for (unsigned a = 0; a < p->nodes; a++) {
		for (unsigned b = a + 1; b < p->nodes; b++) {
			if (!is_link(shape, p->nodes, a, b))
				sim_unlink(p, place[a], place[b]);
		}
	}
}

void sim_shape(struct sim_params *p, enum shape shape)
{
	uint8_t place[SIM_NODES_MAX];

	for (unsigned i = 0; i < SIM_NODES_MAX; i++)
		place[i] = (uint8_t)i;
	lay_out(p, shape, place);
}

static void draw(struct sim_params *p, struct prng *rng)
{
	uint8_t place[SIM_NODES_MAX];

	for (unsigned i = 0; i < p->nodes; i++) {
		unsigned k = (unsigned)prng_below(rng, i + 1);

		place[i] = place[k];
		place[k] = (uint8_t)i;
	}
	/* Of three nodes each shape is the chain; a ring of three is a mesh. */
	lay_out(p, p->nodes == 3 ? SHAPE_CHAIN : (enum shape)prng_below(rng, SHAPES), place);
}

/* Data get from each disk to each other one: only nodes with a disk pass them on. */
static bool disks_are_linked(const struct sim_params *p)
{
	uint32_t disks = 0, reached = 0, before;

	for (unsigned i = 0; i < p->nodes; i++)
		disks |= (uint32_t)sim_has_disk(p, i) << i;
	reached = disks & -disks;
	do {
		before = reached;
		for (unsigned i = 0; i < p->nodes; i++) {
			if (reached >> i & 1)
				reached |= disks & ~p->unlinked[i];
		}
	} while (reached != before);
	return reached == disks;
}

/* A node without a disk has a connection to all that have one: it writes to its neighbours only. */
static void link_clients(struct sim_params *p)
{
	for (unsigned i = 0; i < p->nodes; i++) {
		for (unsigned k = 0; k < p->nodes; k++) {
			if (sim_has_disk(p, i))
				continue;
			p->unlinked[i] &= ~(UINT32_C(1) << k);
			p->unlinked[k] &= ~(UINT32_C(1) << i);
		}
	}
}

void shapes_params_draw(struct world *w, uint64_t seed)
{
	struct sim_params *p = &w->params;
	struct prng rng;

	if (!life_is(w, LIFE_SHAPES, seed, &rng) || p->two_primaries)
		return;
	if (p->nodes == 2 && w->force_nodes == 0)
		p->nodes = (unsigned)prng_range(&rng, 3, 5);
	if (p->nodes < 3)
		return;
	/* The first node would be promoted, which need not see a majority. */
	if (p->quorum != QUORUM_OFF)
		p->full_initial_sync = false;
	do {
		memset(p->unlinked, 0, sizeof(p->unlinked));
		draw(p, &rng);
		link_clients(p);
	} while (!disks_are_linked(p));
}

/* Slots of the peers that have a disk; no bit is set there. */
static void give_slots(struct world *w, unsigned node, struct md_super *super)
{
	int32_t slot = 0;

	for (unsigned p = 0; p < w->node_count; p++) {
		if (p == node || !sim_linked(&w->params, node, p) || !w->nodes[p].has_disk)
			continue;
		super->peers[p].bitmap_index = slot++;
		super->peers[p].flags |= MDF_PEER_NODE_EXISTS | MDF_PEER_DEVICE_SEEN;
	}
}

void sim_same_start(struct world *w)
{
	for (unsigned v = 0; v < w->params.volumes; v++) {
		uint64_t first = prng_u64(&w->rng) & ~UUID_PRIMARY;

		for (unsigned i = 0; i < w->node_count; i++) {
			struct disk *d = &w->nodes[i].disk;
			struct md_super super;

			if (!w->nodes[i].has_disk || !disk_super(d, v, &super))
				continue;
			super.current_uuid = first;
			super.node_id = (int32_t)i;
			super.effective_sectors = sim_volume_sectors(w, v);
			super.flags |= MDF_CONSISTENT | MDF_WAS_UP_TO_DATE;
			give_slots(w, i, &super);
			disk_put_super(d, v, &super);
		}
	}
}

/* ---- what only somebody who sees all nodes can tell ---- */

/* Equal to the neighbours, and nothing is under way. */
static bool rests(struct world *w, unsigned node, uint16_t v)
{
	const struct resource_status *st = node_status(w, node);

	for (unsigned p = 0; p < w->node_count; p++) {
		const struct status_peer *sp;

		if (p == node || !w->nodes[p].has_disk || !sim_linked(&w->params, node, p))
			continue;
		sp = status_peer(st, p);
		if (!sp || sp->devices[v].repl != REPL_ESTABLISHED ||
		    sp->devices[v].out_of_sync_sectors)
			return false;
	}
	return true;
}

/* The state and the generation of all disks, if they are the same. */
static enum disk_state state_of_all(struct world *w, uint16_t v)
{
	unsigned first = shape_disk(w, 0);
	enum disk_state all = DISK_UNKNOWN;
	uint64_t uuid = 0;

	for (unsigned i = 0; i < w->node_count; i++) {
		const struct md_super *md;

		if (!w->nodes[i].has_disk)
			continue;
		md = w->nodes[i].up ? core_md(w->nodes[i].core, v) : NULL;
		if (!md || node_status(w, i)->role == ROLE_PRIMARY || !rests(w, i, v))
			return DISK_UNKNOWN;
		if (i == first) {
			all = node_status(w, i)->volumes[v].disk;
			uuid = md->current_uuid;
		}
		if (node_status(w, i)->volumes[v].disk != all || !uuid_eq(md->current_uuid, uuid))
			return DISK_UNKNOWN;
	}
	return all;
}

/* Each disk is Outdated because others may have gone on; none has, and no node sees all of them. */
static bool all_are_outdated(struct world *w)
{
	bool any = false;

	for (unsigned i = 0; i < w->node_count; i++) {
		if (w->nodes[i].has_disk && !sim_far_disks(&w->params, i))
			return false;
	}
	for (uint16_t v = 0; v < w->params.volumes; v++) {
		enum disk_state all = state_of_all(w, v);

		if (all != DISK_OUTDATED && all != DISK_UP_TO_DATE)
			return false;
		any |= all == DISK_OUTDATED;
	}
	return any;
}

/*
 * Where all disks, or more good ones than there are, have to be in sight for quorum, no node can be
 * promoted by force: nothing goes on with these options.
 */
static void forced(struct world *w, unsigned node, int rc, uint64_t arg)
{
	const struct sim_params *p = &w->params;

	(void)arg;
	if (rc >= SS_SUCCESS)
		node_command(w, node, (struct ev_command){ .cmd = CMD_SECONDARY }, NULL, 0);
	else if (rc == SS_NO_QUORUM && (p->quorum == QUORUM_ALL || p->quorum_min_redundancy))
		sim_forked(w, "no node has quorum by force");
}

/*
 * A Primary without a disk sees all disks, waits for one of them to be good, and nobody else can be
 * promoted meanwhile: nothing is answered there before, so it is reset.
 */
static bool reset_primary(struct world *w)
{
	for (unsigned i = 0; i < w->node_count; i++) {
		if (!w->nodes[i].up || node_status(w, i)->role != ROLE_PRIMARY)
			continue;
		sim_trace(w, "the operator resets node %u", i);
		node_kill(w, i, false);
		fault_restart_later(w, i);
		return true;
	}
	return false;
}

/* All are equal: the one that sees most of the others. The end of a chain has no quorum. */
static unsigned best_connected(struct world *w)
{
	unsigned best = shape_disk(w, 0);

	for (unsigned i = 0; i < w->node_count; i++) {
		if (w->nodes[i].has_disk &&
		    __builtin_popcount(sim_far_disks(&w->params, i)) <
			    __builtin_popcount(sim_far_disks(&w->params, best)))
			best = i;
	}
	return best;
}

static void force_event(struct world *w, uint64_t a, uint64_t b)
{
	unsigned node = best_connected(w);

	(void)a;
	(void)b;
	if (!all_are_outdated(w))
		return;
	if (reset_primary(w)) {
		world_at(w, 30 * NS_SEC, force_event, 0, 0);
		return;
	}
	sim_trace(w, "the operator says that node %u has what counts", node);
	node_command(w, node, (struct ev_command){ .cmd = CMD_PRIMARY, .force = true }, forced, 0);
}

void links_look_after(struct world *w)
{
	if (!sim_is_mesh(&w->params) && all_are_outdated(w))
		world_at(w, 30 * NS_SEC, force_event, 0, 0);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How many nodes, which of them have no disk, and what that means for a Primary among them. */
#include "sim.h"

#define USUAL_NODES 5U /* no life of another kind has more */

/* A life of many nodes takes about as long as others. */
static void divide(struct sim_params *p)
{
	uint64_t sectors = (8U << 20) / SECTOR_BYTES;
	unsigned usual = USUAL_NODES + p->nodes;

	if (p->device_sectors > sectors)
		p->device_sectors = p->room_sectors = sectors;
	p->ops = p->ops * 2 * USUAL_NODES / usual;
	p->faults = 1 + p->faults * 2 * USUAL_NODES / usual;
}

void many_params_draw(struct world *w, uint64_t seed)
{
	struct sim_params *p = &w->params;
	struct prng rng;

	if (life_is(w, LIFE_MANY, seed, &rng) && w->force_nodes == 0)
		p->nodes = (unsigned)prng_range(&rng, 6, 9);
	if (p->nodes > USUAL_NODES)
		divide(p);
}

/* One in most lives; at least one node keeps its disk. */
void diskless_params_draw(struct world *w, uint64_t seed)
{
	struct sim_params *p = &w->params;
	struct prng rng;
	unsigned none = 1;

	if (!life_is(w, LIFE_DISKLESS, seed, &rng))
		return;
	if (prng_chance(&rng, 1, 3))
		none = (unsigned)prng_range(&rng, 1, p->nodes - 1);
	p->tiebreaker = false;
	while (none > 0) {
		uint32_t bit = UINT32_C(1) << prng_below(&rng, p->nodes);

		none -= !(p->no_disk & bit);
		p->no_disk |= bit;
	}
}

bool sim_has_disk(const struct sim_params *p, unsigned node)
{
	return !(p->no_disk >> node & 1) && !(p->tiebreaker && node + 1 == p->nodes);
}

unsigned shape_disks(const struct world *w)
{
	unsigned disks = 0;

	for (unsigned i = 0; i < w->node_count; i++)
		disks += w->nodes[i].has_disk;
	return disks;
}

unsigned shape_disk(const struct world *w, unsigned k)
{
	unsigned i = 0;

	while (!w->nodes[i].has_disk || k-- > 0)
		i++;
	ASSERT(i < w->node_count);
	return i;
}

/* ---- what a node works with ---- */

uint32_t app_sources(struct world *w, unsigned node, unsigned vnr)
{
	const struct resource_status *st = node_status(w, node);
	uint32_t sources = 0;

	if (st->volumes[vnr].disk == DISK_UP_TO_DATE)
		return UINT32_C(1) << node;
	/* Nobody uses the volume on a tie-breaker. */
	for (unsigned m = 0; m < w->node_count && w->params.no_disk >> node & 1; m++) {
		if (m != node && status_peer_uptodate(st, m, vnr))
			sources |= UINT32_C(1) << m;
	}
	return sources;
}

/* Also of a node that was opened while its own disk is being resynced, or is out of reach. */
static bool reads_from(struct world *w, unsigned node, unsigned m, unsigned vnr)
{
	const struct resource_status *st = node_status(w, node);
	const struct status_peer *sp = status_peer(st, m);

	if (st->volumes[vnr].disk == DISK_UP_TO_DATE || w->params.no_disk >> node & 1)
		return app_sources(w, node, vnr) >> m & 1;
	return sp && sp->conn == CONN_CONNECTED && sp->devices[vnr].peer_disk == DISK_UP_TO_DATE;
}

/* Volumes that the node has on a disk of m. */
static uint32_t volumes_from(struct world *w, unsigned node, unsigned m)
{
	uint32_t volumes = 0;

	for (unsigned v = 0; v < w->params.volumes; v++)
		volumes |= (uint32_t)reads_from(w, node, m, v) << v;
	return volumes;
}

uint64_t app_sources_bad(struct world *w, unsigned node)
{
	for (unsigned m = 0; m < w->node_count; m++) {
		uint32_t volumes = volumes_from(w, node, m);
		uint64_t bad = volumes ? oracle_check_claim(w, m, volumes, true) : SIM_NEVER;

		if (bad != SIM_NEVER)
			return bad;
	}
	return SIM_NEVER;
}

void app_sources_go_on(struct world *w, unsigned node)
{
	for (unsigned m = 0; m < w->node_count; m++) {
		uint32_t volumes = volumes_from(w, node, m);

		if (volumes)
			oracle_goes_on(w, m, volumes);
	}
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Backing stores that grow under way, resizes at any moment, and what an operator makes of it. */
#include <string.h>

#include "sim.h"

#define MIB_SECTORS ((1U << 20) / SECTOR_BYTES)

void resize_params_draw(struct world *w, uint64_t seed)
{
	struct sim_params *p = &w->params;

	prng_seed(&w->resize_rng, seed * UINT64_C(0x9e3779b97f4a7c15) + 7);
	p->resizes = prng_chance(&w->resize_rng, 1, 4) && p->device_sectors <= 64 * MIB_SECTORS;
	if (!p->resizes)
		return;
	p->room_sectors = p->device_sectors * prng_range(&w->resize_rng, 2, 4);
	p->internal_md = prng_chance(&w->resize_rng, 1, 2);
}

/* No resize makes the volume smaller than this: what is written is never cut off. */
static uint64_t least_sectors(const struct world *w)
{
	return (w->params.device_sectors + w->params.room_sectors) / 2 / BM_BLOCK_SECTORS *
	       BM_BLOCK_SECTORS;
}

uint64_t resize_app_sectors(const struct world *w)
{
	uint64_t sectors = w->app.node >= 0 ? w->nodes[w->app.node].size_sectors[SIM_VNR] : 0;

	if (!sectors)
		sectors = w->params.device_sectors;
	return sectors < least_sectors(w) ? sectors : least_sectors(w);
}

static uint64_t any_size(struct world *w, uint64_t least)
{
	return prng_range(&w->resize_rng, least, w->params.room_sectors) / BM_BLOCK_SECTORS *
	       BM_BLOCK_SECTORS;
}

static void enlarge_some(struct world *w)
{
	uint64_t sectors = any_size(w, w->params.device_sectors);
	unsigned nodes = prng_chance(&w->resize_rng, 1, 2) ?
				 UINT32_MAX : (unsigned)prng_u64(&w->resize_rng);

	for (unsigned i = 0; i < w->node_count; i++) {
		if (nodes >> i & 1)
			disk_enlarge(w, i, sectors);
	}
}

static void command(struct world *w, unsigned node, uint64_t sectors, bool force)
{
	struct ev_command cmd = { .cmd = CMD_RESIZE, .vnr = SIM_VNR, .size_sectors = sectors,
				  .force = force };

	if (w->nodes[node].up)
		node_command(w, node, cmd, NULL, 0);
}

/* What belongs to a resize comes late at one of its nodes. */
static void hold_something(struct world *w)
{
	static const uint16_t held[] = { P_TWOPC_PREP_RSZ, P_TWOPC_YES, P_TWOPC_COMMIT, P_SIZES,
					 P_STATE, P_RS_DATA_REQUEST, P_DATA };
	unsigned from = (unsigned)prng_below(&w->resize_rng, w->node_count);
	unsigned to = (from + 1 + (unsigned)prng_below(&w->resize_rng, w->node_count - 1)) %
		      w->node_count;
	/* One after the other: arguments are drawn in no order. */
	uint64_t delay_ns = prng_exp(&w->resize_rng, NS_SEC);
	enum packet type = (enum packet)held[prng_below(&w->resize_rng, ARRAY_LEN(held))];

	simnet_hold_type(w, from, to, type, delay_ns);
}

static void command_somehow(struct world *w, unsigned node, bool to_largest)
{
	bool force = prng_chance(&w->resize_rng, 1, to_largest ? 4 : 3);

	command(w, node, to_largest ? 0 : any_size(w, least_sectors(w)), force);
}

static void random_resize(struct world *w, uint64_t a, uint64_t b)
{
	unsigned node = (unsigned)prng_below(&w->resize_rng, w->node_count);
	unsigned dice = (unsigned)prng_below(&w->resize_rng, 100);

	(void)a;
	(void)b;
	if (!w->faults_on)
		return;
	if (prng_chance(&w->resize_rng, 1, 4))
		hold_something(w);
	if (dice < 35)
		enlarge_some(w);
	else
		command_somehow(w, node, dice < 60);
	if (prng_chance(&w->resize_rng, 1, 6) && w->nodes[node].up) {
		w->nodes[node].die_after_actions = (unsigned)prng_range(&w->resize_rng, 1, 60);
		w->nodes[node].die_power = prng_chance(&w->resize_rng, 1, 2);
	}
	world_at(w, prng_exp(&w->resize_rng, 3 * NS_SEC), random_resize, 0, 0);
}

void resize_at_random(struct world *w)
{
	if (w->params.resizes)
		world_at(w, prng_exp(&w->resize_rng, 2 * NS_SEC), random_resize, 0, 0);
}

/* ---- healing ---- */

void resize_heal(struct world *w)
{
	for (unsigned i = 0; w->params.resizes && i < w->node_count; i++)
		disk_enlarge(w, i, w->params.room_sectors);
}

/* Each of them has room for what the other has; who has no disk takes any size. */
static bool may_meet(const struct world *w, unsigned a, unsigned b)
{
	if (!w->nodes[a].has_disk || !w->nodes[b].has_disk)
		return true;
	return w->nodes[a].disk.md[SIM_VNR].capacity_sectors >= w->nodes[b].size_sectors[SIM_VNR] &&
	       w->nodes[b].disk.md[SIM_VNR].capacity_sectors >= w->nodes[a].size_sectors[SIM_VNR];
}

/* That is for who resolves it. */
static bool is_split_brain(struct world *w, unsigned node, unsigned peer)
{
	const struct status_peer *sp =
		w->nodes[node].up ? status_peer(node_status(w, node), peer) : NULL;

	return sp && strstr(sp->reason, "split brain");
}

static void reconnect(struct world *w, unsigned node)
{
	for (unsigned p = 0; p < w->node_count; p++) {
		const struct status_peer *sp =
			p == node ? NULL : status_peer(node_status(w, node), p);

		if (sp && sp->conn == CONN_STANDALONE && may_meet(w, node, p) &&
		    !is_split_brain(w, node, p) && !is_split_brain(w, p, node))
			node_command(w, node,
				     (struct ev_command){ .cmd = CMD_CONNECT, .peer = (uint8_t)p },
				     NULL, 0);
	}
}

bool resize_is_over(struct world *w)
{
	for (unsigned i = 0; w->params.resizes && i < w->node_count; i++) {
		if (w->nodes[i].up && (w->nodes[i].attached >> SIM_VNR & 1) &&
		    w->nodes[i].size_sectors[SIM_VNR] < w->params.room_sectors)
			return false;
	}
	return true;
}

/* All grow as far as they can; those that were refused for their size come together again. */
void resize_look_after(struct world *w)
{
	for (unsigned i = 0; w->params.resizes && i < w->node_count; i++) {
		if (!w->nodes[i].up)
			continue;
		if ((w->nodes[i].attached >> SIM_VNR & 1) &&
		    w->nodes[i].size_sectors[SIM_VNR] < w->params.room_sectors)
			command(w, i, 0, true);
		reconnect(w, i);
	}
}

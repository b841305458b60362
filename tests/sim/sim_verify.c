/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Online verify: begun at random while there are faults; and of disks that were changed behind
 * their node's back, under load: what differs in the end is marked, nothing else is.
 */
#include <string.h>

#include "sim.h"

#define RANGE_SECTORS (UINT64_C(8) << 11) /* 8 MiB */
#define RANGE_BLOCKS (RANGE_SECTORS / BM_BLOCK_SECTORS)

/* Not more of a large device than a life has time for. */
static void choose_range(struct world *w, struct ev_command *cmd)
{
	uint64_t sectors = w->params.device_sectors;

	if (sectors <= RANGE_SECTORS && prng_chance(&w->rng, 2, 3))
		return;
	cmd->start_sector = prng_below(&w->rng, sectors);
	cmd->stop_sector = cmd->start_sector + prng_range(&w->rng, 1, RANGE_SECTORS);
}

/* ---- at random ---- */

static void random_verify(struct world *w, uint64_t a, uint64_t b)
{
	struct ev_command cmd = { .cmd = CMD_VERIFY, .vnr = (uint16_t)sim_any_volume(w) };
	unsigned node = (unsigned)prng_below(&w->rng, w->node_count);

	(void)a;
	(void)b;
	if (!w->faults_on)
		return;
	cmd.peer = (uint8_t)((node + 1 + prng_below(&w->rng, w->node_count - 1)) % w->node_count);
	cmd.abort = prng_chance(&w->rng, 1, 4);
	choose_range(w, &cmd);
	cmd.has_start = cmd.start_sector || prng_chance(&w->rng, 1, 2);
	if (w->nodes[node].up && w->nodes[node].has_disk)
		node_command(w, node, cmd, NULL, 0);
	world_at(w, prng_exp(&w->rng, 5 * NS_SEC), random_verify, 0, 0);
}

void verify_at_random(struct world *w)
{
	if (w->params.verifies)
		world_at(w, prng_exp(&w->rng, 3 * NS_SEC), random_verify, 0, 0);
}

void verify_schedule(struct world *w, uint32_t interval_s)
{
	for (unsigned i = 0; i < w->node_count; i++) {
		w->nodes[i].conf.verify_interval_s = interval_s;
		if (w->nodes[i].up)
			node_adjust(w, i);
	}
}

/* ---- with differences ---- */

/* What rots there, or what was meant for another place; not what is there already. */
static uint64_t wrong_content(struct world *w, unsigned node, uint64_t is)
{
	const struct app *app = &w->app;
	uint64_t rot = prng_u64(&w->rng) | 1, block, other;

	if (!w->params.more_faults || prng_chance(&w->fault_rng, 1, 2))
		return rot;
	block = app->hot[prng_below(&w->fault_rng, app->hot_count)];
	other = disk_peek(&w->nodes[node].disk,
			  block * BM_BLOCK_SECTORS + prng_below(&w->fault_rng, BM_BLOCK_SECTORS));
	return other == is ? rot : other;
}

/* In the working set, or anywhere in what is verified. */
static void damage_disk(struct world *w, unsigned node, const struct ev_command *cmd,
			struct sim_damage *out)
{
	unsigned count = (unsigned)prng_below(&w->rng, SIM_DAMAGE_MAX + 1);
	uint64_t blocks = w->params.device_sectors / BM_BLOCK_SECTORS;
	uint64_t first = cmd->start_sector / BM_BLOCK_SECTORS;

	out->count = 0;
	while (out->count < count) {
		uint64_t block = prng_chance(&w->rng, 1, 2) ?
					 w->app.hot[prng_below(&w->rng, w->app.hot_count)] :
					 first + prng_below(&w->rng, RANGE_BLOCKS);
		unsigned sector = (unsigned)prng_below(&w->rng, BM_BLOCK_SECTORS);
		struct disk_block *b;

		block %= blocks;
		b = disk_block(&w->nodes[node].disk, block);
		b->now[sector] = b->durable[sector] = wrong_content(w, node, b->now[sector]);
		out->block[out->count++] = block;
		sim_trace(w, "node %u: block %llu is changed behind its back", node,
			  (unsigned long long)block);
	}
}

static bool is_damaged(const struct sim_damage *d, uint64_t block)
{
	for (unsigned i = 0; i < d->count; i++) {
		if (d->block[i] == block)
			return true;
	}
	return false;
}

bool verify_may_read_damage(const struct world *w, uint64_t sector)
{
	return w->damaged && w->params.read_balancing != READ_PREFER_LOCAL &&
	       is_damaged(&w->damage, sector / BM_BLOCK_SECTORS);
}

/* Bits may also be there for want of room in an activity log; what a verify says counts. */
void verify_reported(struct world *w, unsigned node, uint64_t sector, uint64_t sectors)
{
	for (uint64_t s = sector; w->damaged && s < sector + sectors; s += BM_BLOCK_SECTORS) {
		if (!is_damaged(&w->damage, s / BM_BLOCK_SECTORS))
			sim_fail(w, "node %u: verify finds a difference in block %llu", node,
				 (unsigned long long)(s / BM_BLOCK_SECTORS));
	}
}

static bool is_marked(struct world *w, unsigned node, unsigned peer, uint64_t block)
{
	const struct md_super *md = core_md(w->nodes[node].core, SIM_VNR);
	const struct bm_store *bm = core_bitmap(w->nodes[node].core, SIM_VNR);
	int slot = md->peers[peer].bitmap_index;

	return slot >= 0 && (bm->slot[slot][block / 64] >> (block % 64) & 1);
}

static bool differs(struct world *w, unsigned a, unsigned b, uint64_t block)
{
	for (unsigned s = 0; s < BM_BLOCK_SECTORS; s++) {
		uint64_t sector = block * BM_BLOCK_SECTORS + s;

		if (disk_peek(&w->nodes[a].disk, sector) != disk_peek(&w->nodes[b].disk, sector))
			return true;
	}
	return false;
}

/* Damaged blocks in the range of the verify that still differ: all, or those not marked. */
static unsigned differing(struct world *w, const struct ev_command *cmd, bool marked_too)
{
	const struct sim_damage *d = &w->damage;
	struct sim_damage seen = { 0 };
	unsigned a = w->verify_source, b = cmd->peer, count = 0;

	for (unsigned i = 0; i < d->count; i++) {
		uint64_t block = d->block[i], sector = block * BM_BLOCK_SECTORS;
		bool known = is_marked(w, a, b, block) && is_marked(w, b, a, block);

		if (is_damaged(&seen, block))
			continue;
		seen.block[seen.count++] = block;
		if (sector + BM_BLOCK_SECTORS <= cmd->start_sector ||
		    (cmd->stop_sector && sector >= cmd->stop_sector))
			continue;
		count += differs(w, a, b, block) && (marked_too || !known);
	}
	return count;
}

static unsigned marks(struct world *w, unsigned a, unsigned b)
{
	uint64_t blocks = w->params.device_sectors / BM_BLOCK_SECTORS;
	unsigned count = 0;

	for (uint64_t block = 0; block < blocks; block++)
		count += is_marked(w, a, b, block) || is_marked(w, b, a, block);
	return count;
}

static uint64_t skipped(struct world *w, const struct ev_command *cmd)
{
	return status_peer(node_status(w, w->verify_source), cmd->peer)->devices[0].verify
		.skipped_bits;
}

/* True: all that differs is marked, and something does. */
static bool check_marks(struct world *w, const struct ev_command *cmd)
{
	unsigned missing = differing(w, cmd, false);

	if (missing > skipped(w, cmd))
		sim_fail(w, "verify of %u and %u leaves %u differences unmarked and skips %llu",
			 w->verify_source, cmd->peer, missing,
			 (unsigned long long)skipped(w, cmd));
	return !cmd->start_sector && !cmd->stop_sector && !missing &&
	       marks(w, w->verify_source, cmd->peer);
}

static void check_repaired(struct world *w, const struct ev_command *cmd)
{
	unsigned left = differing(w, cmd, true);

	if (left > skipped(w, cmd))
		sim_fail(w, "verify of %u and %u leaves %u differences, and skips %llu",
			 w->verify_source, cmd->peer, left, (unsigned long long)skipped(w, cmd));
}

static void repair(struct world *w, unsigned victim)
{
	struct ev_command cmd = { .cmd = CMD_INVALIDATE, .vnr = SIM_VNR, .keep_bitmap = true };

	node_command(w, victim, cmd, NULL, 0);
	life_expect_converged(w);
}

static void started(struct world *w, unsigned node, int rc, uint64_t arg)
{
	(void)arg;
	if (rc < SS_SUCCESS)
		sim_fail(w, "node %u: verify refused with %d (%s)", node, rc,
			 state_rv_text((enum state_rv)rc));
	w->verify_started = true;
}

static bool is_over(struct world *w)
{
	const struct resource_status *st = node_status(w, w->verify_source);

	if (!w->verify_started)
		return false;
	for (unsigned p = 0; p < st->peer_count; p++) {
		if (st->peers[p].devices[0].repl != REPL_ESTABLISHED)
			return false;
	}
	return true;
}

static bool is_repaired(struct world *w)
{
	return is_over(w) && !marks(w, w->verify_source, w->verify_target);
}

static bool is_quiet(struct world *w)
{
	if (w->app.phase != APP_IDLE || w->app.in_flight > 0 || !simnet_quiet(w))
		return false;
	for (unsigned i = 0; i < w->node_count; i++) {
		if (w->nodes[i].disk.ops_high > 0)
			return false;
	}
	return true;
}

/* A fence-peer that is late may switch off one that has been back for long. */
static void await_fencing(struct world *w)
{
	if (fencing_is_over(w))
		return;
	if (!world_run_until(w, fencing_is_over, 120 * NS_SEC))
		sim_fail(w, "a handler does nothing");
	life_expect_converged(w);
}

void verify_phase(struct world *w)
{
	struct ev_command cmd = { .cmd = CMD_VERIFY, .vnr = SIM_VNR, .has_start = true };
	unsigned disks = shape_disks(w), from, to, node, victim;

	/* Who uses the data must be a neighbour of all. */
	if (!w->params.verifies || disks < 2 || !sim_is_mesh(&w->params))
		return;
	peers_await(w);
	await_fencing(w);
	from = (unsigned)prng_below(&w->rng, disks);
	node = shape_disk(w, from);
	w->verify_source = node;
	w->verify_started = false;
	to = (from + 1 + (unsigned)prng_below(&w->rng, disks - 1)) % disks;
	cmd.peer = (uint8_t)shape_disk(w, to);
	w->verify_target = cmd.peer;
	choose_range(w, &cmd);
	if (prng_chance(&w->rng, 1, 2))
		to = from;
	victim = shape_disk(w, to);
	/* A disk that is needed for the redundancy is not given up for that. */
	cmd.repair = w->params.repairs && victim == cmd.peer &&
		     w->params.quorum_min_redundancy == QUORUM_OFF;
	w->damaged = true;
	damage_disk(w, victim, &cmd, &w->damage);
	/* Who uses the data reads its own disk, not the changed one; but read-balancing. */
	to = (to + 1 + (unsigned)prng_below(&w->rng, disks - 1)) % disks;
	w->app.only = (int)shape_disk(w, to);
	w->app.stop = false;
	w->app.ops_left = (unsigned)prng_below(&w->rng, 120);
	app_kick(w);
	world_run_for(w, prng_exp(&w->rng, NS_SEC));
	node_command(w, node, cmd, started, 0);
	if (!world_run_until(w, is_over, 1200 * NS_SEC))
		sim_fail(w, "I7: verify of %u and %u does not end", node, cmd.peer);
	/* What differs there and was skipped does not go by itself. */
	if (cmd.repair && !world_run_until(w, is_repaired, 120 * NS_SEC))
		sim_fail(w, "I7: what %u and %u differ in is not repaired", node, cmd.peer);
	w->app.stop = true;
	app_kick(w);
	/* Peer acks come late; they clear bits that were set for want of room. */
	world_run_for(w, NS_SEC);
	if (!world_run_until(w, is_quiet, 120 * NS_SEC))
		sim_fail(w, "I7: no rest after a verify");
	if (cmd.repair)
		check_repaired(w, &cmd);
	else if (check_marks(w, &cmd))
		repair(w, victim);
}

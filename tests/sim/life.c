/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One simulated cluster life: set-up, faulted phase, healing, convergence, all checks. */
#include <stdio.h>
#include <string.h>

#include "sim.h"

#define VOLUME_SECTORS_MAX ((UINT64_C(16) << 20) / SECTOR_BYTES)
#define VOLUME_SECTORS_LESS ((UINT64_C(128) << 10) / SECTOR_BYTES)

static void draw_quorum(struct sim_params *p, struct prng *rng)
{
	p->quorum = prng_chance(rng, 1, 8) ? QUORUM_ALL : QUORUM_MAJORITY;
	p->on_no_quorum = prng_chance(rng, 1, 3) ? NO_QUORUM_IO_ERROR : NO_QUORUM_SUSPEND;
	p->tiebreaker = prng_chance(rng, 1, 3);
	if (!p->full_initial_sync && prng_chance(rng, 1, 4))
		p->quorum_min_redundancy = QUORUM_MAJORITY;
	p->careful = true;
}

static void draw_suspension(struct sim_params *p, struct prng *rng)
{
	p->on_no_data = prng_chance(rng, 1, 4) ? NO_DATA_SUSPEND : NO_DATA_IO_ERROR;
	p->on_outdated = prng_chance(rng, 1, 3) ? OUTDATED_FORCE_SECONDARY : OUTDATED_DISCONNECT;
	p->suspends = prng_chance(rng, 1, 8);
}

void sim_params_protocol(struct sim_params *p, enum wire_protocol protocol)
{
	memset(p->protocol, protocol, sizeof(p->protocol));
}

void sim_params_draw(struct sim_params *p, struct prng *rng)
{
	static const uint8_t sizes[] = { 3, 3, 3, 3, 3, 3, 3, 3, 3, 2, 2, 2, 4, 4, 5, 5 };
	static const uint16_t mib[] = { 8, 16, 64, 512 };

	memset(p, 0, sizeof(*p));
	p->nodes = sizes[prng_below(rng, ARRAY_LEN(sizes))];
	p->volumes = 1;
	p->full_initial_sync = prng_chance(rng, 1, 10);
	p->device_sectors = p->full_initial_sync ?
				    (2U << 20) / SECTOR_BYTES * prng_range(rng, 1, 4) :
				    ((uint64_t)mib[prng_below(rng, ARRAY_LEN(mib))] << 20) /
					    SECTOR_BYTES;
	p->al_extents = AL_EXTENTS_MIN;
	sim_params_protocol(p, PROTOCOL_C);
	p->auth = prng_chance(rng, 1, 5);
	p->careful = prng_chance(rng, 4, 5);
	p->discard_ok = prng_chance(rng, 3, 4);
	p->net_latency_ns = prng_exp(rng, 2 * NS_MS) + 10 * NS_US;
	p->disk_latency_ns = prng_exp(rng, NS_MS) + 10 * NS_US;
	p->ops = (unsigned)prng_range(rng, 50, 300);
	p->faults = (unsigned)prng_range(rng, 3, 20);
	p->qd = (unsigned)prng_range(rng, 1, 12);
	p->think_ns = prng_exp(rng, 30 * NS_MS) + NS_US;
	p->hot_blocks = (unsigned)prng_range(rng, 4, 256);
	p->healing_io = prng_chance(rng, 1, 3);
	p->max_epoch_size = prng_chance(rng, 1, 4) ? 20 : 2048;
	p->requests_max = prng_chance(rng, 1, 4) ? 16 : 64;
	p->csums = prng_chance(rng, 1, 3);
	p->csums_after_crash_only = prng_chance(rng, 1, 3);
	p->verifies = prng_chance(rng, 1, 3);
	p->room_sectors = p->device_sectors;
	if (p->nodes > 2 && prng_chance(rng, 2, 5))
		draw_quorum(p, rng);
	/* Swarm: a life has only some kinds of faults, so that rare combinations come. */
	do {
		p->fault_mask = (unsigned)prng_below(rng, 1U << FAULT_KINDS);
		if (prng_chance(rng, 1, 2))
			p->fault_mask &= (unsigned)prng_u64(rng);
	} while (p->fault_mask == 0);
	draw_suspension(p, rng);
}

/*
 * Features that came later draw from streams of their own, so that a life without one of them is
 * what it was before.
 */
static void draw_read_balancing(struct sim_params *p, uint64_t seed)
{
	static const uint8_t policies[] = {
		READ_PREFER_REMOTE, READ_ROUND_ROBIN, READ_LEAST_PENDING,
		READ_WHEN_CONGESTED_REMOTE, READ_STRIPING_32K,
	};
	struct prng rng;

	prng_seed(&rng, seed ^ UINT64_C(0x72656164));
	if (prng_chance(&rng, 1, 3))
		p->read_balancing = policies[prng_below(&rng, ARRAY_LEN(policies))];
}

static void draw_repairs(struct sim_params *p, uint64_t seed)
{
	struct prng rng;

	prng_seed(&rng, seed ^ UINT64_C(0x726570616972));
	p->repairs = p->verifies && prng_chance(&rng, 2, 3);
}

/* A life has not time to compare a large device again and again. */
static void draw_verify_interval(struct sim_params *p, uint64_t seed)
{
	struct prng rng;

	prng_seed(&rng, seed ^ UINT64_C(0x696e74657276616c));
	if (p->device_sectors <= (8U << 20) / SECTOR_BYTES && prng_chance(&rng, 2, 3))
		p->verify_interval_s = (uint32_t)prng_range(&rng, 5, 40);
}

/* Without this kind 32 lives of 100 have quorum: three nodes or more, and no plan against it. */
static void draw_more_quorum(struct world *w, uint64_t seed)
{
	struct prng rng;

	if (w->params.nodes > 2 && w->params.quorum == QUORUM_OFF &&
	    life_is(w, LIFE_QUORUM, seed, &rng))
		draw_quorum(&w->params, &rng);
}

/* One for all connections, or each its own. */
static void draw_protocols(struct world *w, uint64_t seed)
{
	enum { DRAWN = 5 };
	struct sim_params *p = &w->params;
	struct prng rng;
	bool mixed;

	if (!life_is(w, LIFE_PROTOCOLS, seed, &rng))
		return;
	mixed = prng_chance(&rng, 2, 3);
	sim_params_protocol(p, prng_chance(&rng, 1, 2) ? PROTOCOL_A : PROTOCOL_B);
	for (unsigned a = 0; mixed && a < DRAWN; a++) {
		for (unsigned b = a + 1; b < DRAWN; b++)
			p->protocol[a][b] = p->protocol[b][a] =
				(uint8_t)prng_range(&rng, PROTOCOL_A, PROTOCOL_C);
	}
	/* Those of further nodes are as between some of the first. */
	for (unsigned a = 0; mixed && a < SIM_NODES_MAX; a++) {
		for (unsigned b = a + 1 > DRAWN ? a + 1 : DRAWN; b < SIM_NODES_MAX; b++)
			p->protocol[a][b] = p->protocol[b][a] =
				p->protocol[a % DRAWN][(b + (a % DRAWN == b % DRAWN)) % DRAWN];
	}
}

/* Several volumes are small, as a life has not time for more. */
static void draw_volumes(struct world *w, uint64_t seed)
{
	struct sim_params *p = &w->params;

	if (!life_is(w, LIFE_VOLUMES, seed, &w->volumes_rng))
		return;
	p->volumes = (unsigned)prng_range(&w->volumes_rng, 2, SIM_VOLUMES_MAX);
	if (p->device_sectors <= VOLUME_SECTORS_MAX)
		return;
	p->room_sectors = p->room_sectors / (p->device_sectors / VOLUME_SECTORS_MAX);
	p->device_sectors = VOLUME_SECTORS_MAX;
}

uint64_t sim_volume_sectors(const struct world *w, unsigned vnr)
{
	return w->params.device_sectors - vnr * VOLUME_SECTORS_LESS;
}

unsigned sim_any_volume(struct world *w)
{
	return w->params.volumes == 1 ? 0 :
	       (unsigned)prng_below(&w->volumes_rng, w->params.volumes);
}

/* ---- set-up ---- */

static uint32_t all_volumes(const struct world *w)
{
	return (1U << w->params.volumes) - 1;
}

static bool is_established(const struct world *w, const struct status_peer *sp)
{
	for (unsigned v = 0; v < w->params.volumes; v++) {
		if (sp->devices[v].repl != REPL_ESTABLISHED)
			return false;
	}
	return sp->conn == CONN_CONNECTED;
}

static bool all_connected(struct world *w)
{
	for (unsigned i = 0; i < w->node_count; i++) {
		const struct resource_status *st;

		if (!w->nodes[i].up ||
		    w->nodes[i].attached != (w->nodes[i].has_disk ? all_volumes(w) : 0))
			return false;
		st = node_status(w, i);
		for (unsigned p = 0; p < st->peer_count; p++) {
			if (!is_established(w, &st->peers[p]))
				return false;
		}
	}
	return true;
}

static char reason[400];

static bool converged(struct world *w)
{
	return check_converged(w, reason, sizeof(reason));
}

static bool converged_quiet(struct world *w)
{
	if (!converged(w))
		return false;
	snprintf(reason, sizeof(reason), "requests or packets are still in flight");
	if (w->app.in_flight > 0 || !simnet_quiet(w))
		return false;
	for (unsigned i = 0; i < w->node_count; i++) {
		if (!disk_is_idle(w, i))
			return false;
	}
	return true;
}

static void expect_success(struct world *w, unsigned node, int rc, uint64_t cmd)
{
	if (rc < SS_SUCCESS)
		sim_fail(w, "node %u: command %llu fails with %d (%s)", node,
			 (unsigned long long)cmd, rc, state_rv_text((enum state_rv)rc));
}

static void command(struct world *w, unsigned node, struct ev_command cmd)
{
	node_command(w, node, cmd, expect_success, cmd.cmd);
}

/* Different old contents on all disks; only those of the first are to survive. */
static void fill_garbage(struct world *w, unsigned vnr)
{
	uint64_t blocks = sim_volume_sectors(w, vnr) / BM_BLOCK_SECTORS;
	unsigned first = shape_disk(w, 0);

	for (unsigned n = 0; n < w->node_count; n++) {
		for (unsigned i = 0; i < 40; i++) {
			uint64_t block = sim_sector(vnr, 0) / BM_BLOCK_SECTORS +
					 prng_below(&w->rng, blocks);
			struct disk_block *b = disk_block(&w->nodes[n].disk, block);
			unsigned op = 0;

			if (n == first) {
				op = oracle_issue(w, block * BM_BLOCK_SECTORS, BM_BLOCK_SECTORS,
						  false);
				oracle_ack(w, op);
				oracle_op_durable(w, op);
			}
			for (unsigned s = 0; s < BM_BLOCK_SECTORS; s++) {
				uint64_t sector = block * BM_BLOCK_SECTORS + s;

				b->now[s] = b->durable[s] = n == first ?
								    oracle_value(w, op, sector) :
								    prng_u64(&w->rng) | 1;
			}
		}
	}
}

static bool those_up_connected(struct world *w)
{
	for (unsigned i = 0; i < w->node_count; i++) {
		const struct resource_status *st = w->nodes[i].up ? node_status(w, i) : NULL;

		for (unsigned p = 0; st && p < st->peer_count; p++) {
			if (w->nodes[st->peers[p].node_id].up && !is_established(w, &st->peers[p]))
				return false;
		}
	}
	return true;
}

/* Each connection is a transaction of all nodes. Very many start one after the other, such that the
 * new one begins them all: else they keep each other from it for minutes. */
static void start_all(struct world *w)
{
	bool at_once = w->node_count <= 9;

	for (unsigned i = 0; i < w->node_count; i++) {
		node_start(w, at_once ? i : w->node_count - 1 - i);
		if (!at_once)
			world_run_until(w, those_up_connected, 60 * NS_SEC);
	}
}

static void set_up(struct world *w)
{
	unsigned first;

	w->node_count = w->params.nodes;
	if (w->params.room_sectors < w->params.device_sectors)
		w->params.room_sectors = w->params.device_sectors;
	oracle_reset(w);
	app_reset(w);
	rival_reset(w);
	guest_reset(w);
	moments_reset(w);
	for (unsigned i = 0; i < w->node_count; i++)
		node_init(w, i);
	for (unsigned v = 0; w->params.full_initial_sync && v < w->params.volumes; v++)
		fill_garbage(w, v);
	if (!w->params.full_initial_sync && !sim_is_mesh(&w->params))
		sim_same_start(w);
	start_all(w);
	/* Each connection is a transaction of all. */
	if (!world_run_until(w, all_connected, (w->node_count > 9 ? 600 : 60) * NS_SEC)) {
		converged(w);
		sim_fail(w, "I7: the nodes do not connect: %s", reason);
	}
	first = shape_disk(w, 0);
	if (w->params.full_initial_sync) {
		command(w, first, (struct ev_command){ .cmd = CMD_PRIMARY, .force = true });
		world_run_for(w, prng_range(&w->rng, 100 * NS_MS, 3 * NS_SEC));
		command(w, first, (struct ev_command){ .cmd = CMD_SECONDARY });
	} else if (sim_is_mesh(&w->params)) {
		for (uint16_t v = 0; v < w->params.volumes; v++)
			command(w, first,
				(struct ev_command){ .cmd = CMD_NEW_CURRENT_UUID, .vnr = v,
						     .clear_bitmap = true });
	}
	/* Sometimes faults begin while the first sync runs. */
	if (w->params.full_initial_sync && prng_chance(&w->rng, 1, 2)) {
		world_run_for(w, prng_range(&w->rng, NS_SEC, 4 * NS_SEC));
		return;
	}
	if (!world_run_until(w, converged_quiet, 120 * NS_SEC))
		sim_fail(w, "I7: the initial state is not reached: %s", reason);
	check_identical(w, "after the set-up");
}

struct sim_params *life_plain(struct world *w, uint64_t seed, unsigned nodes)
{
	struct sim_params *p = &w->params;

	world_reset(w, seed);
	prng_seed(&w->fault_rng, seed);
	memset(p, 0, sizeof(*p));
	p->nodes = nodes;
	p->volumes = 1;
	p->device_sectors = (16U << 20) / SECTOR_BYTES;
	p->al_extents = AL_EXTENTS_MIN;
	sim_params_protocol(p, PROTOCOL_C);
	p->careful = true;
	p->discard_ok = true;
	p->net_latency_ns = 100 * NS_US;
	p->disk_latency_ns = 100 * NS_US;
	p->room_sectors = p->device_sectors;
	p->qd = APP_IOS_MAX;
	p->hot_blocks = 16;
	p->max_epoch_size = 2048;
	p->requests_max = 64;
	p->skip_al = w->force_no_al;
	return p;
}

void life_set_up(struct world *w)
{
	set_up(w);
}

void life_set_up_plain(struct world *w, uint64_t seed, unsigned nodes)
{
	life_plain(w, seed, nodes);
	set_up(w);
}

/* ---- phases ---- */

static void fault_event(struct world *w, uint64_t a, uint64_t b)
{
	uint64_t pause;

	(void)a;
	(void)b;
	if (!w->faults_on || w->faults_left == 0)
		return;
	w->faults_left--;
	if (!schedule_fault(w)) {
		w->faults_left = 0;
		return;
	}
	check_states(w);
	pause = prng_exp(&w->rng, prng_chance(&w->rng, 1, 3) ? 100 * NS_MS : 3 * NS_SEC);
	world_at(w, schedule_pause(w, pause), fault_event, 0, 0);
}

static void check_event(struct world *w, uint64_t a, uint64_t b)
{
	(void)a;
	(void)b;
	check_states(w);
	if (w->damaged)
		return;
	app_track_suspects(w);
	check_primary_peers(w);
	check_difference_covered(w, "while running");
	moments_check(w);
	if (w->faults_on)
		world_at(w, NS_SEC + prng_exp(&w->rng, 2 * NS_SEC), check_event, 0, 0);
}

static bool phase_over(struct world *w)
{
	return w->app.ops_left == 0 && w->faults_left == 0 && w->app.in_flight == 0;
}

static void faulted_phase(struct world *w)
{
	w->faults_on = true;
	/* A generation that is made in the moment of the cut is told, though nothing was answered
	 * in it. */
	w->split_brain_ok = !w->params.careful || fencing_rules(w) ||
			    w->params.two_primaries;
	w->faults_left = w->params.faults;
	app_kick(w);
	rival_start(w);
	guest_start(w);
	world_at(w, prng_exp(&w->rng, NS_SEC), fault_event, 0, 0);
	world_at(w, NS_SEC, check_event, 0, 0);
	verify_at_random(w);
	operator_suspends(w);
	resync_meddle_at_random(w);
	resize_at_random(w);
	if (w->params.verify_interval_s)
		verify_schedule(w, w->params.verify_interval_s);
	peers_at_random(w);
	slots_at_random(w);
	traps_at_random(w);
	replaced_at_random(w);
	fencing_at_random(w);
	hang_at_random(w);
	world_run_until(w, phase_over, 60 * NS_SEC + w->params.faults * 3 * NS_SEC);
	w->faults_on = false;
}

void check_acknowledged(struct world *w)
{
	for (unsigned i = 0; i < w->node_count; i++) {
		uint64_t bad = w->nodes[i].has_disk ? oracle_check_node(w, i) : SIM_NEVER;

		if (bad == SIM_NEVER)
			continue;
		oracle_explain(w, bad);
		sim_fail(w, "I1: node %u ends without an acknowledged write at sector %llu", i,
			 (unsigned long long)bad);
	}
}

void life_expect_converged(struct world *w)
{
	if (!world_run_until(w, converged_quiet, 300 * NS_SEC))
		sim_fail(w, "I7: does not converge: %s", reason);
	check_states(w);
	check_difference_covered(w, "after convergence");
	check_identical(w, "after convergence");
	check_acknowledged(w);
}

static bool app_closed(struct world *w)
{
	return w->app.phase == APP_IDLE;
}

/* What was closed is told at once; the demotion may wait for other commands. */
static bool nobody_primary(struct world *w)
{
	for (unsigned i = 0; i < w->node_count; i++) {
		if (w->nodes[i].up && node_status(w, i)->role == ROLE_PRIMARY)
			return false;
	}
	return true;
}

static bool has_written(struct world *w)
{
	return w->app.ops_left == 0;
}

/* Nobody is as good as a Primary that he has no connection to. */
static void close_for_far_nodes(struct world *w)
{
	if (w->params.healing_io)
		world_run_until(w, has_written, 120 * NS_SEC);
	w->app.stop = true;
	app_kick(w);
}

static void heal(struct world *w)
{
	sim_trace(w, "healing");
	if (w->params.verify_interval_s)
		verify_schedule(w, 0);
	traps_heal(w);
	fencing_heal(w);
	fault_heal(w);
	if (w->params.meddles || w->params.more_faults)
		resync_heal(w);
	resize_heal(w);
	operator_start(w);
	w->rival.stop = w->guest.stop = true;
	if (w->params.healing_io && w->app.ops_left < 30)
		w->app.ops_left = 30;
	if (!w->params.healing_io) {
		if (prng_chance(&w->rng, 1, 2))
			w->app.stop = true;
		else
			w->app.quiet = true;
	}
	app_kick(w);
	/* Partitions and operators of the faulted phase end after at most so long. */
	world_run_for(w, 10 * NS_SEC);
	if (!sim_is_mesh(&w->params))
		close_for_far_nodes(w);
	if (!world_run_until(w, converged_quiet, 600 * NS_SEC)) {
		for (unsigned i = 0; i < APP_IOS_MAX; i++) {
			if (w->app.io[i].in_use)
				sim_fail(w,
					 "I7: request #%llu on node %d is blocked for %llu s; %s",
					 (unsigned long long)w->app.io[i].cookie, w->app.node,
					 (unsigned long long)((w->now_ns - w->app.io[i].start_ns) /
							      NS_SEC),
					 reason);
		}
		sim_fail(w, "I7: does not converge: %s", reason);
	}
	check_states(w);
	check_difference_covered(w, "after healing");
	check_identical(w, "after healing");
	w->app.quiet = false;
	w->app.stop = true;
	app_kick(w);
	if (!world_run_until(w, app_closed, 60 * NS_SEC))
		sim_fail(w, "I7: the application cannot close on node %d", w->app.node);
	if (!world_run_until(w, nobody_primary, 120 * NS_SEC))
		sim_fail(w, "I7: a node stays Primary that nobody uses");
	if (!world_run_until(w, resize_is_over, 300 * NS_SEC))
		sim_fail(w, "I7: a volume does not grow although all disks have room");
	world_run_for(w, NS_SEC);
	if (!world_run_until(w, converged_quiet, 300 * NS_SEC))
		sim_fail(w, "I7: does not stay converged: %s", reason);
	check_states(w);
	check_identical(w, "at the end");
	check_acknowledged(w);
}

static void run(struct world *w)
{
	set_up(w);
	plan_phase(w);
	faulted_phase(w);
	heal(w);
	verify_phase(w);
}

void sim_life(struct world *w, uint64_t seed, struct sim_result *result)
{
	world_reset(w, seed);
	sim_params_draw(&w->params, &w->rng);
	plan_params_draw(w, seed);
	if (w->force_nodes != 0)
		w->params.nodes = w->force_nodes;
	if (!w->plan.on) {
		many_params_draw(w, seed);
		draw_more_quorum(w, seed);
	}
	resize_params_draw(w, seed);
	draw_read_balancing(&w->params, seed);
	resync_params_draw(w, seed);
	draw_repairs(&w->params, seed);
	draw_verify_interval(&w->params, seed);
	peers_params_draw(w, seed);
	slots_params_draw(w, seed);
	traps_params_draw(w, seed);
	if (!w->plan.on) {
		draw_protocols(w, seed);
		draw_volumes(w, seed);
		faults_params_draw(w, seed);
		replaced_params_draw(w, seed);
		hang_params_draw(w, seed);
		diskless_params_draw(w, seed);
		guest_params_draw(w, seed);
		shapes_params_draw(w, seed);
		fencing_params_draw(w, seed);
	}
	w->params.skip_al = w->force_no_al;
	schedule_begin(w);
	switch (setjmp(w->fail_jmp)) {
	case 0:
		run(w);
		result->failed = false;
		break;
	case SIM_FORKED:
		result->failed = false;
		break;
	default:
		result->failed = true;
		break;
	}
	result->step = w->step;
	result->hash = w->hash;
	snprintf(result->why, sizeof(result->why), "%s", w->why);
}

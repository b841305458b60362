/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Volumes that grow and shrink: under load, with nodes that die or are away. */
#include "scenario.h"

#define MIB_SECTORS ((UINT64_C(1) << 20) / SECTOR_BYTES)
#define SMALL (16 * MIB_SECTORS)
#define LARGE (48 * MIB_SECTORS)
#define NEW_BLOCK (SMALL / BM_BLOCK_SECTORS + 100)
#define CRASH_ACTIONS 48U

static void begin(struct world *w, unsigned nodes, bool internal)
{
	struct sim_params *p = life_plain(w, w->scenario_seed, nodes);

	p->room_sectors = LARGE;
	p->internal_md = internal;
	prng_seed(&w->resize_rng, w->scenario_seed);
	life_set_up(w);
}

static void enlarge_all(struct world *w)
{
	for (unsigned i = 0; i < w->node_count; i++)
		disk_enlarge(w, i, LARGE);
}

static struct ev_command to_size(uint64_t sectors)
{
	return (struct ev_command){ .cmd = CMD_RESIZE, .vnr = SIM_VNR, .size_sectors = sectors };
}

static void resize(struct world *w, unsigned node, uint64_t sectors)
{
	sc_command(w, node, to_size(sectors), SS_SUCCESS);
}

static void expect_size(struct world *w, unsigned node, uint64_t sectors)
{
	sc_expect(w, w->nodes[node].size_sectors[SIM_VNR] == sectors, "another size");
}

/* Its answer is not waited for. */
static void resize_async(struct world *w, unsigned node, uint64_t sectors)
{
	node_command(w, node, to_size(sectors), NULL, 0);
}

static void grow_in_use(struct world *w)
{
	for (unsigned internal = 0; internal < 2; internal++) {
		begin(w, 3, internal);
		sc_open(w, A);
		sc_write(w, 0);
		enlarge_all(w);
		/* A Secondary asks, and what is new comes from the Primary. */
		resize(w, B, 0);
		sc_wait_repl(w, C, A, REPL_SYNC_TARGET);
		expect_size(w, A, LARGE);
		sc_write(w, NEW_BLOCK);
		sc_read(w, NEW_BLOCK);
		sc_read(w, 0);
		life_expect_converged(w);
		sc_close(w);
		sc_open(w, C);
		sc_read(w, NEW_BLOCK);
	}
}

/* C has its new size, and A, whose transaction it is not, waits for the COMMIT when it is told to
 * resize, too. What C says of the new size is for later all the same. */
static void second_command(struct world *w)
{
	begin(w, 3, false);
	enlarge_all(w);
	sc_open(w, A);
	simnet_hold_type(w, B, A, P_TWOPC_COMMIT, NS_SEC);
	simnet_hold_type(w, C, A, P_RS_DAGTAG_REQ, 2 * NS_SEC);
	resize_async(w, B, 0);
	sc_wait_repl(w, C, A, REPL_SYNC_TARGET);
	sc_wait(w, 100);
	expect_size(w, A, SMALL);
	resize_async(w, A, 0);
	life_expect_converged(w);
	expect_size(w, A, LARGE);
}

static void assume_clean(struct world *w)
{
	struct ev_command cmd = { .cmd = CMD_RESIZE, .vnr = SIM_VNR, .assume_clean = true };

	begin(w, 2, false);
	for (unsigned i = 0; i < 2; i++)
		w->nodes[i].disk.md[SIM_VNR].store_sectors = LARGE;
	sc_command(w, A, cmd, SS_SUCCESS);
	sc_wait(w, 3000);
	sc_expect(w, sc_received(w, B, A) < MIB_SECTORS, "no resync");
	expect_size(w, B, LARGE);
	life_expect_converged(w);
}

/* H13: whichever node dies at whichever moment, each is found with the one size or the other, and
 * together they come to one. */
static void crash(struct world *w, unsigned victim, unsigned actions, uint64_t from, uint64_t to)
{
	begin(w, 2, true);
	enlarge_all(w);
	if (from != SMALL)
		resize(w, A, from);
	life_expect_converged(w);
	w->nodes[victim].die_after_actions = actions;
	w->nodes[victim].die_power = actions % 2;
	resize_async(w, A, to);
	sc_wait(w, 5000);
	w->nodes[victim].die_after_actions = 0;
	if (w->nodes[victim].up)
		sc_kill(w, victim);
	sc_start(w, victim);
	sc_wait(w, 5000);
	for (unsigned i = 0; i < 2; i++) {
		uint64_t sectors = w->nodes[i].size_sectors[SIM_VNR];

		sc_expect(w, sectors == from || sectors == to, "the old size or the new one");
	}
	life_expect_converged(w);
}

static void crash_growing(struct world *w)
{
	for (unsigned i = 1; i < CRASH_ACTIONS; i++)
		crash(w, i % 4 < 2 ? A : B, i, SMALL, LARGE);
}

static void crash_shrinking(struct world *w)
{
	for (unsigned i = 1; i < CRASH_ACTIONS; i++)
		crash(w, i % 4 < 2 ? A : B, i, LARGE, SMALL);
}

/* H10 */
static void bits_of_before(struct world *w)
{
	struct ev_command cmd = { .cmd = CMD_RESIZE, .vnr = SIM_VNR, .force = true };

	begin(w, 2, false);
	sc_open(w, A);
	sc_write(w, 0);
	/* B's own marks, too, which it finds on its disk. */
	sc_detach(w, B);
	sc_write_scattered(w, 0, 20);
	enlarge_all(w);
	sc_command(w, A, (struct ev_command){ .cmd = CMD_RESIZE, .vnr = SIM_VNR },
		   SS_NEED_CONNECTION);
	expect_size(w, A, SMALL);
	sc_command(w, A, cmd, SS_SUCCESS);
	sc_write(w, NEW_BLOCK);
	sc_attach(w, B);
	expect_size(w, B, LARGE);
	life_expect_converged(w);
	sc_close(w);
	sc_open(w, B);
	sc_read(w, 3);
	sc_read(w, NEW_BLOCK);
}

/* H59 */
static void scattered_writes(struct world *w)
{
	begin(w, 2, true);
	sc_open(w, A);
	enlarge_all(w);
	for (unsigned i = 0; i < 8; i++)
		sc_write_async(w, 7 + 509 * i);
	resize_async(w, A, 0);
	for (unsigned i = 8; i < APP_IOS_MAX; i++)
		sc_write_async(w, 5 + 257 * i);
	life_expect_converged(w);
	expect_size(w, B, LARGE);
}

/* Who has agreed and never heard the end follows one that has. */
static void commit_missed(struct world *w)
{
	begin(w, 3, false);
	enlarge_all(w);
	simnet_hold_type(w, A, C, P_TWOPC_COMMIT, 5 * NS_SEC);
	resize_async(w, A, 0);
	sc_wait(w, 1000);
	expect_size(w, B, LARGE);
	expect_size(w, C, SMALL);
	sc_kill(w, A);
	sc_wait_conn(w, C, A, CONN_CONNECTING);
	sc_wait_reunited(w, B, C);
	expect_size(w, C, LARGE);
	sc_start(w, A);
	life_expect_converged(w);
}

/* The target has told that it begins, and asks for data, before the source hears of it. */
static void target_first(struct world *w)
{
	begin(w, 3, false);
	enlarge_all(w);
	sc_open(w, A);
	simnet_hold_type(w, B, A, P_TWOPC_COMMIT, NS_SEC);
	resize_async(w, B, 0);
	sc_wait(w, 500);
	expect_size(w, A, SMALL);
	sc_wait_repl(w, C, A, REPL_SYNC_TARGET);
	sc_wait(w, 600);
	expect_size(w, A, LARGE);
	sc_wait_repl(w, C, A, REPL_SYNC_TARGET);
	life_expect_converged(w);
}

/* C has its new size from a handshake with D, and A and B have not heard of it when B resizes. */
static void had_it_already(struct world *w)
{
	struct ev_command alone = { .cmd = CMD_RESIZE, .vnr = SIM_VNR, .force = true };

	for (unsigned primary = 0; primary < 2; primary++) {
		begin(w, 4, false);
		for (unsigned i = A; i < D; i++)
			sc_part(w, i, D);
		enlarge_all(w);
		/* Refused; after that each knows what room it has. */
		sc_command(w, C, to_size(0), SS_NEED_CONNECTION);
		sc_command(w, D, alone, SS_SUCCESS);
		if (primary)
			sc_open(w, A);
		simnet_hold_type(w, C, A, P_SIZES, 20 * NS_SEC);
		simnet_hold_type(w, C, B, P_SIZES, 20 * NS_SEC);
		sc_join(w, C, D);
		sc_wait_repl(w, C, D, REPL_ESTABLISHED);
		expect_size(w, C, LARGE);
		/* Refused with other delays, where A or B has heard of it after all. */
		resize_async(w, B, 0);
		sc_wait(w, 1000);
		sc_join(w, A, D);
		sc_join(w, B, D);
		life_expect_converged(w);
	}
}

static void shrink(struct world *w)
{
	begin(w, 3, true);
	enlarge_all(w);
	resize(w, C, 0);
	life_expect_converged(w);
	sc_open(w, B);
	sc_write(w, 0);
	/* What somebody uses is not cut off; nor is it by a disk that is too small. */
	sc_command(w, A, to_size(SMALL), SS_DEVICE_IN_USE);
	expect_size(w, A, LARGE);
	sc_close(w);
	resize(w, A, SMALL);
	sc_wait(w, 1000);
	for (unsigned i = 0; i < 3; i++)
		expect_size(w, i, SMALL);
	for (unsigned i = 0; i < 3; i++)
		sc_restart(w, i);
	life_expect_converged(w);
	expect_size(w, B, SMALL);
}

static void absent_peer_brings_its_size_back(struct world *w)
{
	struct ev_command cmd = to_size(SMALL);

	begin(w, 2, false);
	enlarge_all(w);
	resize(w, A, 0);
	life_expect_converged(w);
	sc_part(w, A, B);
	sc_command(w, A, cmd, SS_NEED_CONNECTION);
	expect_size(w, A, LARGE);
	cmd.force = true;
	sc_command(w, A, cmd, SS_SUCCESS);
	expect_size(w, A, SMALL);
	sc_join(w, A, B);
	sc_wait_reunited(w, A, B);
	expect_size(w, A, LARGE);
	life_expect_converged(w);
}

/* The Primary B tells C, a client, its size when its disk has not got the new one yet; it has it
 * when C has agreed to connect. */
static void told_too_early(struct world *w)
{
	struct sim_params *p = life_plain(w, w->scenario_seed, 3);

	p->room_sectors = LARGE;
	p->tiebreaker = true;
	life_set_up(w);
	sc_open(w, B);
	sc_part(w, B, C);
	enlarge_all(w);
	simnet_hold_type(w, A, B, P_TWOPC_COMMIT, 3 * NS_SEC);
	resize_async(w, A, 0);
	sc_wait(w, 10);
	sc_join(w, B, C);
	sc_wait_repl(w, C, B, REPL_ESTABLISHED);
	life_expect_converged(w);
	expect_size(w, C, LARGE);
}

/* H46: a node that was forgotten comes back, after the others have gone on. */
static void forgotten_peer(struct world *w)
{
	struct ev_command forget = { .cmd = CMD_FORGET_PEER, .peer = C };
	struct core_conf *conf;

	for (unsigned day_0 = 0; day_0 < 2; day_0++) {
		begin(w, 3, false);
		sc_open(w, A);
		sc_write(w, 1);
		sc_close(w);
		sc_command(w, A, forget, SS_NOT_SUPPORTED);
		for (unsigned i = 0; i < 2; i++) {
			sc_kill(w, i);
			conf = &w->nodes[i].conf;
			/* C is the last one. */
			conf->peer_count--;
			sc_start(w, i);
		}
		sc_wait_reunited(w, A, B);
		sc_open(w, A);
		sc_write_scattered(w, 0, 20);
		for (unsigned i = 0; i < 2; i++) {
			const struct md_super *md = core_md(w->nodes[i].core, SIM_VNR);

			sc_expect(w, md->peers[C].bitmap_index >= 0, "a slot");
			sc_command(w, i, forget, SS_SUCCESS);
			sc_expect(w, md->peers[C].bitmap_index < 0 && !md->peers[C].flags,
				  "no slot any more");
			sc_expect(w, md->peers[C].bitmap_uuid == md->peers[C + 1].bitmap_uuid,
				  "the reference of those who never had one");
		}
		sc_write_scattered(w, 20, 30);
		sc_close(w);
		if (day_0) {
			sc_kill(w, C);
			sc_new_disk(w, C);
			sc_start(w, C);
		}
		for (unsigned i = 0; i < 2; i++) {
			sc_kill(w, i);
			w->nodes[i].conf.peer_count++;
			sc_start(w, i);
		}
		life_expect_converged(w);
		sc_open(w, C);
		sc_read(w, 3);
		sc_read(w, 3 + 7 * 25);
	}
}

/*
 * C is resynced from B, which has the old size, and connects to A, which has grown meanwhile. Until
 * its own new size is on its slow disk, C has bits for blocks that it does not have.
 */
static void grows_as_target(struct world *w)
{
	struct ev_command cmd = to_size(LARGE);

	begin(w, 3, false);
	sc_leave_behind(w, 20);
	sc_close(w);
	sc_part(w, A, B);
	enlarge_all(w);
	cmd.force = true;
	sc_command(w, A, cmd, SS_SUCCESS);
	expect_size(w, A, LARGE);
	sc_restart(w, C);
	sc_begin_resync(w, B, C);
	w->nodes[C].disk.slow_until_ns = w->now_ns + 20 * NS_SEC;
	w->nodes[C].disk.slow_ns = NS_SEC / 2;
	sc_join(w, A, C);
	sc_wait_disk(w, C, DISK_UP_TO_DATE);
	expect_size(w, C, LARGE);
	/* B's disk has become larger, too. */
	sc_restart(w, B);
	sc_restart(w, C);
	sc_join(w, A, B);
	life_expect_converged(w);
}

/* B reads its disk while D, which has none, connects to A, where the volume has grown: B has no
 * room for that. Its metadata must not say so, or it could not be attached, and so never grow. */
static void grows_while_attaching(struct world *w)
{
	struct ev_command attach = { .cmd = CMD_ATTACH, .vnr = SIM_VNR };
	struct ev_command cmd = to_size(LARGE);
	struct sim_params *p = life_plain(w, w->scenario_seed, 4);

	p->room_sectors = LARGE;
	p->internal_md = true;
	p->no_disk = 1U << D;
	life_set_up(w);
	for (unsigned i = 1; i < w->node_count; i++)
		sc_part(w, A, i);
	disk_enlarge(w, A, LARGE);
	cmd.force = true;
	sc_command(w, A, cmd, SS_SUCCESS);
	expect_size(w, A, LARGE);
	sc_detach(w, B);
	simnet_hold_type(w, D, B, P_TWOPC_COMMIT, NS_SEC);
	sc_join(w, A, D);
	sc_wait_conn(w, D, A, CONN_CONNECTED);
	node_command(w, B, attach, NULL, 0);
	sc_wait(w, 2000);
	sc_restart(w, B);
	sc_wait_disk(w, B, DISK_UP_TO_DATE);
	expect_size(w, B, SMALL);
}

const struct scenario scenarios_resize[] = {
	{ "resize-in-use", grow_in_use },
	{ "resize-second-command", second_command },
	{ "resize-assume-clean", assume_clean },
	{ "H10-bits-of-before-a-resize", bits_of_before },
	{ "H13-crash-while-growing", crash_growing },
	{ "H13-crash-while-shrinking", crash_shrinking },
	{ "H59-resize-under-scattered-writes", scattered_writes },
	{ "resize-commit-missed", commit_missed },
	{ "resize-target-first", target_first },
	{ "resize-had-it-already", had_it_already },
	{ "resize-smaller", shrink },
	{ "resize-without-a-peer", absent_peer_brings_its_size_back },
	{ "resize-told-too-early", told_too_early },
	{ "resize-as-target", grows_as_target },
	{ "resize-while-attaching", grows_while_attaching },
	{ "H46-forgotten-peer", forgotten_peer },
	{ NULL, NULL },
};

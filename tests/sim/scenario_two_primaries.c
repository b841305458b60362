/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Both of two nodes are Primary, and write to the same blocks at once. */
#include "scenario.h"

static bool is_decided(struct world *w)
{
	return simnet_in_flight(w, P_SUPERSEDED) || simnet_in_flight(w, P_RETRY_WRITE);
}

static bool is_over(struct world *w)
{
	return w->app.in_flight == 0 && w->app.foreign_done > 0;
}

/* Their writes cross: neither has got the other one's when it sends its own. */
static void cross(struct world *w, uint32_t blocks_here)
{
	bool decided = false;

	life_plain(w, w->scenario_seed, 2)->two_primaries = true;
	life_set_up(w);
	sc_open(w, A);
	sc_write(w, 4);
	sc_command(w, B, (struct ev_command){ .cmd = CMD_PRIMARY }, SS_SUCCESS);
	simnet_hold_type(w, A, B, P_DATA, 100 * NS_MS);
	simnet_hold_type(w, B, A, P_DATA, 100 * NS_MS);
	app_do(w, OP_WRITE, 4 * BM_BLOCK_SECTORS, blocks_here * BM_BLOCK_BYTES);
	sc_submit_elsewhere(w, B, 4);
	for (unsigned i = 0; i < 10000 && !is_over(w); i++) {
		decided |= is_decided(w);
		world_step(w);
	}
	sc_expect(w, decided, "one of the two gives way");
	sc_expect(w, is_over(w) && w->app.errors == 0, "both are answered");
	sc_write(w, 900);
	sc_command(w, B, (struct ev_command){ .cmd = CMD_SECONDARY }, SS_SUCCESS);
	life_expect_converged(w);
}

/* The same block: the decider's write stays, the other one counts as written before. */
static void same_block(struct world *w)
{
	cross(w, 1);
}

/* One lies within the other: whoever decides, the two copies are the same. */
static void within(struct world *w)
{
	cross(w, 3);
}

/* Cut off while one waits for the other: the copies are made the same again. */
static void cut_in_between(struct world *w)
{
	life_plain(w, w->scenario_seed, 2)->two_primaries = true;
	life_set_up(w);
	w->split_brain_ok = true;
	sc_open(w, A);
	sc_write(w, 4);
	sc_command(w, B, (struct ev_command){ .cmd = CMD_PRIMARY }, SS_SUCCESS);
	simnet_hold_type(w, A, B, P_DATA, 5 * NS_SEC);
	simnet_hold_type(w, B, A, P_DATA, 5 * NS_SEC);
	sc_write_async(w, 4);
	sc_submit_elsewhere(w, B, 4);
	sc_kill_noticed(w, B, A);
	sc_write(w, 5);
	sc_start(w, B);
	life_expect_converged(w);
}

/* A loses its disk, and with that the connection; B goes on. */
static void without_disk_and_peer(struct world *w)
{
	life_plain(w, w->scenario_seed, 2)->two_primaries = true;
	life_set_up(w);
	w->split_brain_ok = true;
	sc_open(w, A);
	sc_write(w, 4);
	sc_command(w, B, (struct ev_command){ .cmd = CMD_PRIMARY }, SS_SUCCESS);
	w->nodes[A].disk.fail_flushes = 1;
	w->nodes[A].disk.forgets = true;
	sc_submit_elsewhere(w, B, 4);
	sc_wait_disk(w, A, DISK_DISKLESS);
	sc_unplug(w, A, B);
	w->nodes[A].disk.forgets = false;
	sc_wait(w, 1000);
}

/* What B has made of what both had is not another lineage. */
static void other_goes_on(struct world *w)
{
	without_disk_and_peer(w);
	sc_command(w, B, (struct ev_command){ .cmd = CMD_SECONDARY }, SS_SUCCESS);
	sc_join(w, A, B);
	sc_wait_conn(w, A, B, CONN_CONNECTED);
	sc_read(w, 4);
	sc_attach(w, A);
	sc_write(w, 5);
	life_expect_converged(w);
}

/* A's disk lacks what B has written meanwhile, and what the flush has lost. */
static void disk_comes_back_alone(struct world *w)
{
	without_disk_and_peer(w);
	sc_command(w, A, (struct ev_command){ .cmd = CMD_ATTACH, .vnr = SIM_VNR }, -1000);
	sc_expect(w, node_status(w, A)->volumes[0].disk != DISK_UP_TO_DATE, "it is behind");
	sc_command(w, B, (struct ev_command){ .cmd = CMD_SECONDARY }, SS_SUCCESS);
	sc_join(w, A, B);
	sc_wait_conn(w, A, B, CONN_CONNECTED);
	sc_attach(w, A);
	sc_read(w, 4);
	life_expect_converged(w);
}

/* One leaves the other by command: neither is behind before somebody writes. */
static void disconnected(struct world *w)
{
	life_plain(w, w->scenario_seed, 2)->two_primaries = true;
	life_set_up(w);
	sc_open(w, A);
	sc_write(w, 4);
	sc_command(w, B, (struct ev_command){ .cmd = CMD_PRIMARY }, SS_SUCCESS);
	sc_command(w, B, (struct ev_command){ .cmd = CMD_DISCONNECT, .peer = A }, SS_SUCCESS);
	sc_write(w, 5);
	sc_command(w, B, (struct ev_command){ .cmd = CMD_SECONDARY }, SS_SUCCESS);
	sc_command(w, B, (struct ev_command){ .cmd = CMD_CONNECT, .peer = A }, SS_SUCCESS);
	life_expect_converged(w);
}

/* B has no disk any more when they part: A goes on, and B goes on with A when it is back. */
static void meet_without_disk(struct world *w)
{
	life_plain(w, w->scenario_seed, 2)->two_primaries = true;
	life_set_up(w);
	w->split_brain_ok = true;
	sc_open(w, A);
	sc_write(w, 4);
	sc_command(w, B, (struct ev_command){ .cmd = CMD_PRIMARY }, SS_SUCCESS);
	sc_command(w, B, (struct ev_command){ .cmd = CMD_DETACH, .vnr = SIM_VNR }, SS_SUCCESS);
	sc_part(w, A, B);
	sc_write(w, 5);
	sc_join(w, A, B);
	sc_wait_conn(w, B, A, CONN_CONNECTED);
	sc_expect(w, node_status(w, A)->role == ROLE_PRIMARY, "A is not disturbed");
	sc_expect(w, node_status(w, B)->role == ROLE_PRIMARY, "B goes on");
	sc_submit_elsewhere(w, B, 6);
	for (unsigned i = 0; i < 10000 && w->app.foreign_done == 0; i++)
		world_step(w);
	sc_expect(w, w->app.foreign_done > 0, "what B writes is answered");
	sc_attach(w, B);
	sc_write(w, 4);
	life_expect_converged(w);
}

/* A makes a generation because B's disk has failed, and gives its own up before B hears of it. */
static void untold(struct world *w)
{
	struct sim_params *params = life_plain(w, w->scenario_seed, 2);

	params->two_primaries = true;
	params->disk_timeout_ds = 20;
	life_set_up(w);
	w->split_brain_ok = true;
	sc_open(w, A);
	sc_write(w, 4);
	sc_command(w, B, (struct ev_command){ .cmd = CMD_PRIMARY }, SS_SUCCESS);
	disk_hang(w, A);
	w->nodes[B].disk.fail_writes = 1;
	sc_submit_elsewhere(w, B, 900);
	sc_wait_disk(w, B, DISK_DISKLESS);
	sc_wait_disk(w, A, DISK_DISKLESS);
	disk_unhang(w, A);
	sc_wait(w, 500);
	sc_attach(w, A);
	sc_wait_conn(w, B, A, CONN_CONNECTED);
	sc_read(w, 4);
	sc_attach(w, B);
	sc_write(w, 5);
	life_expect_converged(w);
}

/* First B's disk goes, then A's, then the connection; A gets its own back and goes on alone. */
static void no_disk_left(struct world *w)
{
	life_plain(w, w->scenario_seed, 2)->two_primaries = true;
	life_set_up(w);
	w->split_brain_ok = true;
	sc_open(w, A);
	sc_write(w, 4);
	sc_command(w, B, (struct ev_command){ .cmd = CMD_PRIMARY }, SS_SUCCESS);
	sc_command(w, B, (struct ev_command){ .cmd = CMD_DETACH, .vnr = SIM_VNR }, SS_SUCCESS);
	sc_write(w, 5);
	w->nodes[A].disk.fail_writes = 1;
	sc_submit_elsewhere(w, B, 6);
	sc_wait_disk(w, A, DISK_DISKLESS);
	sc_part(w, A, B);
	sc_join(w, A, B);
	sc_wait_conn(w, B, A, CONN_CONNECTED);
	sc_part(w, A, B);
	sc_attach(w, A);
	sc_expect(w, node_status(w, A)->volumes[0].disk == DISK_UP_TO_DATE, "it has everything");
	sc_write(w, 4);
	sc_join(w, A, B);
	sc_wait_conn(w, B, A, CONN_CONNECTED);
	sc_attach(w, B);
	sc_write(w, 5);
	life_expect_converged(w);
}

/* B waits for one volume, and writes nothing to the other: that does not go on alone. */
static void other_volume(struct world *w)
{
	struct sim_params *params = life_plain(w, w->scenario_seed, 2);

	params->two_primaries = true;
	params->volumes = 2;
	life_set_up(w);
	w->split_brain_ok = true;
	sc_open(w, A);
	sc_write(w, 4);
	sc_command(w, B, (struct ev_command){ .cmd = CMD_PRIMARY }, SS_SUCCESS);
	sc_command(w, B, (struct ev_command){ .cmd = CMD_DETACH, .vnr = SIM_VNR }, SS_SUCCESS);
	sc_unplug(w, A, B);
	sc_submit_elsewhere(w, B, 6);
	sc_part(w, A, B);
	sc_command(w, B, (struct ev_command){ .cmd = CMD_SECONDARY }, SS_SUCCESS);
	sc_join(w, A, B);
	sc_wait_conn(w, B, A, CONN_CONNECTED);
	sc_attach(w, B);
	sc_write(w, 5);
	life_expect_converged(w);
}

const struct scenario scenarios_two_primaries[] = {
	{ "two-primaries-same-block", same_block },
	{ "two-primaries-within", within },
	{ "two-primaries-cut-in-between", cut_in_between },
	{ "two-primaries-other-goes-on", other_goes_on },
	{ "two-primaries-disk-comes-back-alone", disk_comes_back_alone },
	{ "two-primaries-disconnected", disconnected },
	{ "two-primaries-meet-without-disk", meet_without_disk },
	{ "two-primaries-untold", untold },
	{ "two-primaries-no-disk-left", no_disk_left },
	{ "two-primaries-other-volume", other_volume },
	{ NULL, NULL },
};

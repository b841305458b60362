/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Scenarios about generations that only one side of a cut knows, and promotions by force. */
#include "scenario.h"

static void begin(struct world *w)
{
	life_plain(w, 1, 3)->quorum = QUORUM_MAJORITY;
	life_set_up(w);
}

static enum disk_state disk_of_node(struct world *w, unsigned node)
{
	return node_status(w, node)->volumes[0].disk;
}

/*
 * A is Primary without its disk, and B has what A has written since. A begins to attach the
 * disk, and loses B. C, which missed that, vouches for the disk; but it is not what A has shown.
 */
static void disk_is_not_what_was_shown(struct world *w)
{
	begin(w);
	sc_open(w, C);
	sc_write(w, 1);
	/* Until no extent is hot any more: that would be resynced. */
	sc_wait(w, 15000);
	sc_detach(w, A);
	sc_part(w, A, C);
	sc_part(w, B, C);
	sc_close(w);
	sc_open(w, A);
	sc_write(w, 2);
	sc_unplug(w, A, B);
	sc_attach(w, A);
	sc_wait_disk(w, A, DISK_OUTDATED);
	sc_join(w, A, C);
	sc_wait_conn(w, A, C, CONN_CONNECTED);
	sc_wait(w, 5000);
	sc_expect(w, disk_of_node(w, A) == DISK_OUTDATED, "A lacks what it has written");
	sc_join(w, A, B);
	sc_join(w, B, C);
	life_expect_converged(w);
}

/*
 * A is promoted while it sees C, which has no disk, through B only. C cannot become Outdated: A
 * does not let B go, and is not alone with quorum when C has its disk back.
 */
static void far_node_without_disk(struct world *w)
{
	begin(w);
	sc_detach(w, C);
	sc_part(w, A, C);
	sc_open(w, A);
	sc_write(w, 1);
	sc_command(w, A, (struct ev_command){ .cmd = CMD_DISCONNECT, .peer = B }, SS_NO_QUORUM);
	sc_expect(w, status_peer(node_status(w, A), B)->conn == CONN_CONNECTED,
		  "A does not let B go");
	sc_join(w, A, C);
	sc_wait_conn(w, A, C, CONN_CONNECTED);
	sc_attach(w, C);
	life_expect_converged(w);
}

/*
 * A has lost quorum with a write under way, and gets it back by B, which is going to be resynced.
 * Before B has heard that, and A's disk says that there is quorum again, nothing is answered: A may
 * be lost in that moment, and others go on without the write.
 */
static void quorum_returns_at_the_end(struct world *w)
{
	for (unsigned i = 0; i < 2; i++) {
		begin(w);
		sc_open(w, A);
		sc_write(w, 1);
		sc_unplug(w, A, B);
		sc_unplug(w, A, C);
		sc_write_async(w, 2);
		sc_wait_conn(w, A, B, CONN_CONNECTING);
		sc_wait_conn(w, A, C, CONN_CONNECTING);
		if (i == 0)
			simnet_hold_type(w, A, B, P_TWOPC_COMMIT, 10 * NS_SEC);
		w->nodes[A].disk.stall_until_ns = i ? w->now_ns + 30 * NS_SEC : 0;
		sc_join(w, A, B);
		sc_wait_conn(w, A, B, CONN_CONNECTED);
		sc_wait(w, 100);
		sc_expect(w, w->app.in_flight == 1, "it is not answered yet");
		sc_kill(w, A);
		sc_wait_disk(w, B, DISK_UP_TO_DATE);
		sc_open(w, B);
		sc_write(w, 3);
		sc_close(w);
		sc_start(w, A);
		sc_join(w, A, C);
		life_expect_converged(w);
	}
}

/*
 * C brings quorum back, and what was kept is in a generation that B does not have. C has to know of
 * that one before anything is answered: it is new to C when its resync ends, not somebody else's.
 */
static void quorum_returns_behind(struct world *w)
{
	for (unsigned i = 0; i < 2; i++) {
		struct sim_params *p = life_plain(w, 1, 3);

		p->quorum = QUORUM_MAJORITY;
		p->quorum_min_redundancy = 2;
		life_set_up(w);
		sc_open(w, A);
		sc_write(w, 1);
		sc_part(w, A, C);
		sc_wait_disk(w, C, DISK_OUTDATED);
		sc_write(w, 2);
		sc_part(w, B, C);
		sc_unplug(w, A, B);
		sc_write_async(w, 3);
		sc_wait_conn(w, A, B, CONN_CONNECTING);
		w->nodes[A].disk.stall_until_ns = w->now_ns + 5 * NS_SEC;
		sc_join(w, A, C);
		sc_wait_repl(w, A, C, REPL_SYNC_SOURCE);
		if (i == 0)
			simnet_hold_type(w, A, C, P_UUIDS110, 10 * NS_SEC);
		sc_wait_disk(w, C, DISK_UP_TO_DATE);
		sc_wait(w, 300);
		sc_expect(w, node_status(w, C)->volumes[0].disk == DISK_UP_TO_DATE, "C stays good");
		sc_expect(w, w->app.in_flight == (i == 0), "answered when C knows");
		sc_kill(w, A);
		sc_join(w, B, C);
		sc_wait_disk(w, B, DISK_UP_TO_DATE);
		sc_open(w, B);
		sc_write(w, 4);
		sc_close(w);
		sc_start(w, A);
		sc_join(w, A, B);
		life_expect_converged(w);
	}
}

/* ---- promotions by force: what the node lacks is given up, and nothing else ---- */

static void refuse_without_force(struct world *w, unsigned node, int rc)
{
	sc_command(w, node, (struct ev_command){ .cmd = CMD_PRIMARY }, rc);
	sc_expect(w, node_status(w, node)->role == ROLE_SECONDARY, "it is refused without --force");
}

static void force(struct world *w, unsigned node)
{
	oracle_goes_on(w, node, 1U << SIM_VNR);
	sc_command(w, node, (struct ev_command){ .cmd = CMD_PRIMARY, .force = true }, SS_SUCCESS);
	sc_open(w, node);
}

/* Both have gone on: the loser follows, and what the winner has written since is on both. */
static void resolve(struct world *w, unsigned winner, unsigned loser, uint64_t written)
{
	sc_wait_conn(w, winner, loser, CONN_STANDALONE);
	sc_wait_conn(w, loser, winner, CONN_STANDALONE);
	sc_expect(w, w->nodes[winner].saw_split_brain || w->nodes[loser].saw_split_brain,
		  "the split brain is reported");
	sc_command(w, loser, (struct ev_command){ .cmd = CMD_CONNECT, .peer = (uint8_t)winner,
						  .discard_my_data = true }, SS_SUCCESS);
	sc_command(w, winner, (struct ev_command){ .cmd = CMD_CONNECT, .peer = (uint8_t)loser },
		   SS_SUCCESS);
	sc_wait_reunited(w, winner, loser);
	check_identical(w, "after a promotion by force");
	sc_read(w, written);
	life_expect_converged(w);
}

/* B is forced in the middle of a resync from A, which is gone, and then comes back. */
static void forced_in_a_resync(struct world *w)
{
	sc_begin(w, 2);
	w->split_brain_ok = true;
	sc_make_difference(w, 200);
	sc_begin_resync(w, A, B);
	sc_kill_noticed(w, A, B);
	sc_expect(w, disk_of_node(w, B) == DISK_INCONSISTENT, "B is in the middle of a resync");
	refuse_without_force(w, B, SS_NO_UP_TO_DATE_DISK);
	force(w, B);
	sc_write(w, 7);
	sc_write(w, 300);
	sc_start(w, A);
	resolve(w, B, A, 300);
}

/* B has everything, but the others, which it cannot reach, would have quorum. Forced, it says that
 * they are Outdated, and they follow it: nothing is lost. */
static void forced_without_quorum(struct world *w)
{
	begin(w);
	sc_open(w, A);
	sc_write(w, 1);
	sc_kill(w, A);
	sc_kill(w, C);
	sc_wait_conn(w, B, A, CONN_CONNECTING);
	sc_wait_conn(w, B, C, CONN_CONNECTING);
	refuse_without_force(w, B, SS_NO_QUORUM);
	sc_command(w, B, (struct ev_command){ .cmd = CMD_PRIMARY, .force = true }, SS_SUCCESS);
	sc_open(w, B);
	sc_read(w, 1);
	sc_write(w, 2);
	sc_start(w, A);
	sc_start(w, C);
	sc_wait_reunited(w, B, A);
	sc_wait_reunited(w, B, C);
	check_identical(w, "after a promotion without quorum");
	sc_read(w, 2);
	life_expect_converged(w);
}

/* First B is forced, which was left behind, then A without what B has written. */
static void forced_twice(struct world *w)
{
	sc_begin(w, 2);
	w->split_brain_ok = true;
	sc_open(w, A);
	sc_write(w, 1);
	sc_command(w, A, (struct ev_command){ .cmd = CMD_DISCONNECT, .peer = B }, SS_SUCCESS);
	sc_wait_disk(w, B, DISK_OUTDATED);
	sc_write(w, 2);
	sc_kill(w, A);
	refuse_without_force(w, B, SS_NO_UP_TO_DATE_DISK);
	force(w, B);
	sc_write(w, 3);
	sc_kill(w, B);
	sc_start(w, A);
	sc_wait(w, 1000);
	force(w, A);
	sc_write(w, 4);
	sc_start(w, B);
	resolve(w, A, B, 4);
}

/*
 * A is cut off with B in the moment in which it makes a generation, and answers nothing in it; C
 * has quorum with D and E, and goes on. E, which has missed all this and does not see D, stays good
 * when it meets B, which is beside that Primary.
 */
static void fork_beside_primary(struct world *w)
{
	static const struct { unsigned a, b; } cut[] = { { A, C }, { A, D }, { B, C }, { B, D } };
	const unsigned e = D + 1;

	life_plain(w, 1, 5)->quorum = QUORUM_MAJORITY;
	life_set_up(w);
	for (unsigned n = A; n < e; n++)
		sc_part(w, n, e);
	sc_command(w, A, (struct ev_command){ .cmd = CMD_OPEN, .vnr = SIM_VNR, .write = true }, 0);
	for (unsigned i = 0; i < 4; i++)
		sc_unplug(w, cut[i].a, cut[i].b);
	sc_submit_elsewhere(w, A, 5);
	sc_wait_conn(w, C, A, CONN_CONNECTING);
	sc_wait_conn(w, C, B, CONN_CONNECTING);
	sc_wait_conn(w, D, A, CONN_CONNECTING);
	sc_wait_conn(w, D, B, CONN_CONNECTING);
	sc_expect(w, uuid_eq(sc_uuid(w, A), sc_uuid(w, B)) &&
		  !uuid_eq(sc_uuid(w, A), sc_uuid(w, C)), "B alone follows A");
	sc_join(w, C, e);
	sc_wait_reunited(w, C, e);
	sc_open(w, C);
	sc_write(w, 1);
	sc_close(w);
	sc_join(w, B, e);
	for (unsigned s = 0; s < 10; s++) {
		sc_wait(w, 1000);
		sc_expect(w, disk_of_node(w, e) == DISK_UP_TO_DATE, "E has what was answered");
	}
	sc_command(w, A, (struct ev_command){ .cmd = CMD_SECONDARY, .force = true }, SS_SUCCESS);
	sc_command(w, A, (struct ev_command){ .cmd = CMD_CLOSE, .vnr = SIM_VNR, .write = true }, 0);
	for (unsigned n = A; n < e; n++)
		sc_join(w, n, e);
	for (unsigned i = 0; i < 4; i++)
		sc_join(w, cut[i].a, cut[i].b);
	life_expect_converged(w);
	sc_expect_honest(w);
}

static void part_from_all(struct world *w, unsigned node)
{
	for (unsigned p = A; p <= D; p++) {
		if (p != node)
			sc_unplug(w, p, node);
	}
}

/* C, in the middle of a resync, has the generation that B was left behind by. A and D, who had all
 * of it, are gone for good: what C knows of keeps nobody from quorum when B is forced. */
static void forced_beside_newer(struct world *w)
{
	struct ev_command pause = { .vnr = SIM_VNR, .peer = A };

	life_plain(w, w->scenario_seed, 4)->quorum = QUORUM_MAJORITY;
	life_set_up(w);
	w->split_brain_ok = true;
	sc_open(w, A);
	sc_write(w, 1);
	part_from_all(w, C);
	sc_wait_conn(w, A, C, CONN_CONNECTING);
	sc_write_scattered(w, 0, 50);
	pause.cmd = CMD_PAUSE_SYNC;
	sc_command(w, C, pause, SS_SUCCESS);
	sc_join(w, A, C);
	sc_wait_repl(w, C, A, REPL_PAUSED_SYNC_T);
	part_from_all(w, B);
	sc_wait_conn(w, A, B, CONN_CONNECTING);
	sc_write(w, 2);
	sc_kill(w, A);
	sc_kill(w, D);
	sc_join(w, B, C);
	sc_wait_conn(w, B, C, CONN_CONNECTED);
	refuse_without_force(w, B, SS_NO_UP_TO_DATE_DISK);
	force(w, B);
	sc_write(w, 3);
	sc_start(w, A);
	sc_start(w, D);
	pause.cmd = CMD_RESUME_SYNC;
	sc_command(w, C, pause, SS_SUCCESS);
	sc_join(w, B, A);
	sc_join(w, B, D);
	sc_join(w, C, D);
	sc_wait_reunited(w, B, A);
	sc_wait_reunited(w, B, D);
	check_identical(w, "after a promotion by force");
	sc_read(w, 3);
	life_expect_converged(w);
}

/*
 * A, without quorum, has its disk back, Outdated, and the others come with what their activity
 * logs mark: they are resynced from A and from each other, again and again. A need not wait for it.
 */
static void outdated_primary_leads(struct world *w)
{
	struct ev_command outdate = { .cmd = CMD_OUTDATE };

	begin(w);
	sc_open(w, C);
	sc_write(w, 1);
	sc_close(w);
	sc_part(w, A, B);
	sc_part(w, A, C);
	sc_command(w, A, outdate, SS_SUCCESS);
	sc_detach_forced(w, A);
	sc_join(w, A, B);
	sc_join(w, A, C);
	sc_wait_repl(w, A, B, REPL_ESTABLISHED);
	sc_open(w, A);
	sc_kill_noticed(w, B, A);
	sc_kill_noticed(w, C, A);
	sc_unplug(w, A, B);
	sc_unplug(w, A, C);
	sc_unplug(w, B, C);
	sc_attach(w, A);
	sc_wait_disk(w, A, DISK_OUTDATED);
	for (unsigned i = B; i <= C; i++) {
		sc_start(w, i);
		sc_command(w, i, outdate, SS_SUCCESS);
		simnet_hold_type(w, i, A, P_RS_DAGTAG_REQ, 20 * NS_SEC);
	}
	sc_join(w, A, B);
	sc_join(w, A, C);
	sc_join(w, B, C);
	sc_wait_repl(w, B, A, REPL_SYNC_TARGET);
	sc_wait_conn(w, A, C, CONN_CONNECTED);
	sc_wait(w, 1000);
	sc_expect(w, node_status(w, A)->volumes[0].disk == DISK_UP_TO_DATE, "a good disk");
	sc_write(w, 2);
	life_expect_converged(w);
}

const struct scenario scenarios_forks[] = {
	{ "quorum-returns-at-the-end", quorum_returns_at_the_end },
	{ "quorum-returns-behind", quorum_returns_behind },
	{ "disk-is-not-what-was-shown", disk_is_not_what_was_shown },
	{ "far-node-without-disk", far_node_without_disk },
	{ "fork-beside-primary", fork_beside_primary },
	{ "forced-in-a-resync", forced_in_a_resync },
	{ "forced-without-quorum", forced_without_quorum },
	{ "forced-twice", forced_twice },
	{ "forced-beside-newer", forced_beside_newer },
	{ "outdated-primary-leads", outdated_primary_leads },
	{ NULL, NULL },
};

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What faults of disks, networks and operators have led to; most were found by random lives. */
#include "scenario.h"

/*
 * C resyncs from B and is told by the Primary, which has no disk, of a generation that B never
 * gets. The Primary's disk comes back, and the generation is gone: C need not wait for it.
 */
static void promise_taken_back(struct world *w)
{
	struct sim_params *p = life_plain(w, w->scenario_seed, 3);

	p->quorum = QUORUM_MAJORITY;
	p->on_no_data = NO_DATA_SUSPEND;
	life_set_up(w);
	sc_leave_behind(w, 30);
	sc_join(w, A, C);
	sc_wait_conn(w, A, C, CONN_CONNECTED);
	simnet_hold_type(w, B, C, P_RS_DATA_REPLY, 4 * NS_SEC);
	simnet_hold_type(w, A, C, P_RS_DATA_REPLY, 4 * NS_SEC);
	sc_join(w, B, C);
	sc_wait_conn(w, B, C, CONN_CONNECTED);
	sc_wait(w, 100);
	sc_detach(w, A);
	sc_wait_repl(w, C, B, REPL_SYNC_TARGET);
	sc_unplug(w, A, B);
	sc_write_async(w, 1);
	sc_wait(w, 50);
	sc_part(w, A, B);
	sc_wait(w, 5000);
	sc_join(w, A, B);
	sc_wait_conn(w, A, B, CONN_CONNECTED);
	sc_attach(w, A);
	life_expect_converged(w);
}

/*
 * C resyncs from B, which has lost with its power what it had acknowledged, and is back before the
 * Primary A has noticed. When that is over A is in sight, and had the data all the time.
 */
static void one_restarted_source(struct world *w, uint64_t seed)
{
	life_plain(w, seed, 3)->quorum = QUORUM_MAJORITY;
	life_set_up(w);
	sc_open(w, A);
	sc_write(w, 1);
	sc_kill_noticed(w, C, A);
	sc_part(w, A, C);
	sc_new_disk(w, C);
	simnet_hold_type(w, A, B, P_BARRIER, 60 * NS_SEC);
	sc_write(w, 600);
	sc_unplug(w, A, B);
	sc_power_cut(w, B);
	sc_start(w, B);
	simnet_hold_type(w, B, C, P_RS_DATA_REPLY, 2 * NS_SEC);
	sc_start(w, C);
	sc_wait_repl(w, C, B, REPL_SYNC_TARGET);
	sc_wait_conn(w, A, B, CONN_CONNECTING);
	sc_close(w);
	sc_join(w, A, C);
	sc_wait_repl(w, C, A, REPL_PAUSED_SYNC_T);
	sc_wait_disk(w, C, DISK_UP_TO_DATE);
	sc_open(w, C);
	sc_read(w, 600);
	sc_join(w, A, B);
	life_expect_converged(w);
}

/* What the power loss takes differs. */
static void restarted_source(struct world *w)
{
	for (uint64_t i = 0; i < 4; i++)
		one_restarted_source(w, w->scenario_seed + i);
}

/*
 * A full sync by command that its source cannot begin: the disk of A hangs. C gets all from B
 * instead, and says that it has ended; A must not begin what nobody takes part in.
 */
static void full_sync_ended_elsewhere(struct world *w)
{
	struct ev_command cmd = { .cmd = CMD_INVALIDATE, .vnr = SIM_VNR, .peer = A };

	sc_begin(w, 3);
	sc_open(w, A);
	sc_write(w, 1);
	sc_part(w, B, C);
	disk_hang(w, A);
	sc_command(w, C, cmd, SS_SUCCESS);
	sc_wait_repl(w, C, A, REPL_SYNC_TARGET);
	sc_wait_repl(w, A, C, REPL_STARTING_SYNC_S);
	sc_join(w, B, C);
	sc_wait_repl(w, C, B, REPL_PAUSED_SYNC_T);
	cmd = (struct ev_command){ .cmd = CMD_PAUSE_SYNC, .vnr = SIM_VNR, .peer = C };
	sc_command(w, A, cmd, SS_SUCCESS);
	sc_wait_repl(w, C, B, REPL_SYNC_TARGET);
	sc_wait_repl(w, C, B, REPL_ESTABLISHED);
	sc_wait(w, 20);
	disk_unhang(w, A);
	cmd.cmd = CMD_RESUME_SYNC;
	sc_command(w, A, cmd, SS_SUCCESS);
	life_expect_converged(w);
}

/*
 * C is cut off from the Primary A, which closes: B and D both offer a resync. C has begun the one
 * from B when D's word comes, which must not begin one that C takes no part in: that would be a
 * full one, for C calls B's generation its own and knows nothing of D's marks.
 */
static void offered_by_two(struct world *w, bool source_is_lost)
{
	sc_begin(w, 4);
	sc_open(w, A);
	sc_write(w, 1);
	sc_part(w, A, C);
	sc_write_scattered(w, 10, 40);
	sc_wait_disk(w, C, DISK_OUTDATED);
	simnet_hold_type(w, D, C, P_UUIDS110, 500 * NS_MS);
	simnet_hold_type(w, B, C, P_RS_DATA_REPLY, 2 * NS_SEC);
	sc_close(w);
	sc_wait_repl(w, C, B, REPL_SYNC_TARGET);
	sc_wait(w, 1000);
	sc_expect(w, status_peer(node_status(w, D), C)->conn == CONN_CONNECTED,
		  "the second source stays connected");
	if (source_is_lost) {
		sc_kill(w, B);
		sc_wait_disk(w, C, DISK_UP_TO_DATE);
		sc_start(w, B);
	}
	sc_wait_disk(w, C, DISK_UP_TO_DATE);
	sc_expect(w, sc_received(w, C, B) + sc_received(w, C, D) < 1000,
		  "only what is marked is resynced");
	sc_join(w, A, C);
	life_expect_converged(w);
}

static void resync_offered_by_two(struct world *w)
{
	offered_by_two(w, false);
}

static void resync_offered_by_two_one_lost(struct world *w)
{
	offered_by_two(w, true);
}

/*
 * B agrees that the Primary C, which has no disk, goes on without it, and hears no more of that: it
 * is Outdated. C has not written since. A has lost with its power what it had acknowledged before.
 */
static void left_beside_restarted(struct world *w)
{
	struct ev_command cmd = { .cmd = CMD_DISCONNECT, .peer = B };

	life_plain(w, w->scenario_seed, 3)->no_disk = 1U << C;
	life_set_up(w);
	sc_open(w, C);
	simnet_hold_type(w, C, A, P_BARRIER, 60 * NS_SEC);
	sc_write(w, 1);
	sc_unplug(w, A, C);
	sc_power_cut(w, A);
	node_command(w, C, cmd, NULL, 0);
	sc_wait(w, 20);
	sc_unplug(w, B, C);
	sc_wait_disk(w, B, DISK_OUTDATED);
	sc_start(w, A);
	sc_wait_reunited(w, A, B);
	sc_kill(w, C);
	sc_open(w, A);
	sc_read(w, 1);
	sc_close(w);
	sc_join(w, A, C);
	sc_join(w, B, C);
	sc_start(w, C);
	life_expect_converged(w);
}

/* When it can begin at last the one that was to be the source has been left by the Primary. */
static void resync_asked_for_too_late(struct world *w)
{
	struct ev_command invalidate = { .cmd = CMD_INVALIDATE_REMOTE, .vnr = SIM_VNR, .peer = B,
					 .keep_bitmap = true };

	life_plain(w, w->scenario_seed, 3)->no_disk = 1U << A;
	life_set_up(w);
	sc_open(w, A);
	sc_write(w, 1);
	sc_unplug(w, A, C);
	simnet_hold_type(w, C, B, P_TWOPC_PREPARE, 2 * NS_SEC);
	node_command(w, C, invalidate, NULL, 0);
	sc_wait_conn(w, C, A, CONN_CONNECTING);
	sc_write(w, 2);
	sc_wait_disk(w, C, DISK_OUTDATED);
	for (unsigned i = 0; i < 50; i++) {
		sc_wait(w, 100);
		sc_expect(w, node_status(w, B)->volumes[0].disk == DISK_UP_TO_DATE, "B is good");
	}
	sc_join(w, A, C);
	life_expect_converged(w);
}

const struct scenario scenarios_faults[] = {
	{ "resync-asked-for-too-late", resync_asked_for_too_late },
	{ "left-beside-restarted", left_beside_restarted },
	{ "promise-taken-back", promise_taken_back },
	{ "restarted-source", restarted_source },
	{ "full-sync-ended-elsewhere", full_sync_ended_elsewhere },
	{ "resync-offered-by-two", resync_offered_by_two },
	{ "resync-offered-by-two-one-lost", resync_offered_by_two_one_lost },
	{ NULL, NULL },
};

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Faults that DRBD has had where a node without a disk takes part (reliability 3): here one whose
 * disk cannot be opened. */
#include "scenario.h"

/* H3: A is behind, and gets it all from C while B is out of A's sight; D writes on without it. */
static void h3_caught_up_elsewhere(struct world *w)
{
	sc_begin(w, 4);
	sc_start_without_disk(w, D);
	sc_open(w, D);
	sc_write(w, 1);
	sc_unplug(w, A, B);
	sc_unplug(w, B, C);
	sc_part(w, A, D);
	sc_part(w, A, B);
	sc_part(w, B, C);
	for (unsigned i = 0; i < 20; i++)
		sc_write(w, 2 + 5 * i);
	sc_wait(w, 30000);
	for (unsigned i = 0; i < 5; i++)
		sc_write(w, 2 + 5 * i);
	sc_join(w, A, B);
	sc_wait(w, 3000);
	check_difference_covered(w, "after A met B");
	sc_join(w, B, C);
	sc_join(w, A, D);
	sc_mend(w, D);
	life_expect_converged(w);
}

/* H4: a peer that comes back with the generation in use need not have the write; who has it dies
 * before it answers. */
static void h4_label_is_no_ack(struct world *w)
{
	unsigned errors;

	sc_begin(w, 3);
	sc_start_without_disk(w, A);
	sc_open(w, A);
	sc_write(w, 1);
	sc_unplug(w, B, C);
	sc_part(w, B, C);
	errors = w->app.errors;
	simnet_stall(w, A, B, STREAM_DATA, 30 * NS_SEC);
	w->nodes[C].disk.stall_until_ns = w->now_ns + 30 * NS_SEC;
	sc_write_async(w, 1);
	sc_wait(w, 100);
	simnet_cut(w, A, B, false);
	sc_wait_conn(w, A, B, CONN_CONNECTING);
	sc_wait_conn(w, A, B, CONN_CONNECTED);
	sc_expect(w, w->app.in_flight == 1, "the write is not answered yet");
	node_kill(w, C, false);
	sc_wait(w, 2000);
	sc_expect(w, w->app.in_flight == 0 && w->app.errors == errors + 1,
		  "the write ends with an error");
	node_kill(w, A, true);
	sc_join(w, B, C);
	sc_start(w, C);
	w->nodes[A].disk.broken = false;
	sc_start(w, A);
	life_expect_converged(w);
}

/* H6: the Primary is cut off from the only disk; another one writes to it; the first comes back. */
static void h6_second_client(struct world *w)
{
	sc_begin(w, 3);
	w->split_brain_ok = true;
	sc_start_without_disk(w, A);
	sc_start_without_disk(w, C);
	sc_open(w, A);
	sc_write(w, 1);
	sc_unplug(w, A, C);
	sc_part(w, A, B);
	sc_part(w, A, C);
	sc_wait_disk(w, B, DISK_UP_TO_DATE);
	sc_write_elsewhere(w, C, 1);
	sc_join(w, A, B);
	sc_wait(w, 5000);
	sc_expect(w, !sc_try(w, OP_READ, 1), "A does not go on with other data");
	sc_wait(w, 1000);
	sc_join(w, A, C);
	sc_mend(w, C);
	sc_mend(w, A);
	life_expect_converged(w);
}

/* H7: the Primary is restarted while C is away; B, which has all, meets C alone. */
static void h7_primary_restarts(struct world *w)
{
	sc_begin(w, 4);
	sc_start_without_disk(w, D);
	sc_open(w, D);
	sc_write(w, 1);
	sc_kill_noticed(w, C, D);
	sc_write(w, 2);
	sc_restart(w, D);
	sc_wait_disk(w, A, DISK_UP_TO_DATE);
	sc_wait_disk(w, B, DISK_UP_TO_DATE);
	sc_wait_conn(w, D, A, CONN_CONNECTED);
	sc_wait_conn(w, D, B, CONN_CONNECTED);
	sc_open(w, D);
	sc_write(w, 3);
	sc_unplug(w, A, C);
	sc_unplug(w, D, C);
	sc_start(w, C);
	sc_wait_conn(w, C, B, CONN_CONNECTED);
	sc_write(w, 4);
	sc_wait(w, 3000);
	sc_expect_honest(w);
	sc_join(w, A, C);
	sc_join(w, D, C);
	sc_mend(w, D);
	life_expect_converged(w);
}

/* H9: of two disks one is given up, then the other; the first one is not what is in use. */
static void h9_stale_attach(struct world *w)
{
	sc_begin(w, 3);
	sc_start_without_disk(w, C);
	sc_open(w, C);
	sc_write(w, 1);
	sc_detach(w, A);
	sc_write(w, 1);
	sc_wait(w, 500);
	sc_detach_forced(w, B);
	sc_command(w, A, (struct ev_command){ .cmd = CMD_ATTACH, .vnr = SIM_VNR },
		   SS_UNKNOWN_ERROR - 100);
	sc_wait(w, 1000);
	sc_expect_honest(w);
	sc_expect(w, !sc_try(w, OP_READ, 1), "C does not go on with what A has");
	sc_attach(w, B);
	if (node_status(w, A)->volumes[0].disk == DISK_DISKLESS)
		sc_attach(w, A);
	sc_mend(w, C);
	life_expect_converged(w);
}

/* H27: the first Primary has no disk; what it writes is a generation of its own. */
static void h27_first_promotion(struct world *w)
{
	for (unsigned p = A; p <= B; p++) {
		sc_begin(w, 3);
		sc_start_without_disk(w, p);
		sc_kill_noticed(w, C, p);
		sc_open(w, p);
		sc_write(w, 1);
		sc_write(w, 700);
		sc_close(w);
		/* Nobody but the disks tells what happened. */
		sc_kill(w, p);
		sc_kill(w, !p);
		sc_start(w, C);
		sc_start(w, !p);
		sc_wait(w, 5000);
		w->nodes[p].disk.broken = false;
		sc_start(w, p);
		life_expect_converged(w);
	}
}

/* H30, H31: a disk that was away meets the Primary first; nobody may read from it. */
static void h30_meets_client_first(struct world *w)
{
	sc_begin(w, 3);
	sc_start_without_disk(w, A);
	sc_open(w, A);
	sc_write(w, 1);
	sc_unplug(w, B, C);
	sc_part(w, A, C);
	sc_part(w, B, C);
	sc_write(w, 1);
	sc_write(w, 2);
	sc_join(w, A, C);
	sc_wait_conn(w, A, C, CONN_CONNECTED);
	sc_wait_conn(w, C, A, CONN_CONNECTED);
	sc_expect_honest(w);
	for (unsigned i = 0; i < 8; i++)
		sc_read(w, 1 + i % 2);
	sc_kill_noticed(w, B, A);
	/* The scenario goes on: the application is where it was. */
	w->app.quiet = true;
	sc_expect(w, !sc_try(w, OP_READ, 1), "what C has is not what was written");
	sc_wait(w, 1000);
	sc_start(w, B);
	sc_join(w, B, C);
	sc_wait_disk(w, C, DISK_UP_TO_DATE);
	sc_mend(w, A);
	life_expect_converged(w);
}

/* H32: writes of the Primary during a resync reach its target. */
static void h32_written_to_target(struct world *w)
{
	sc_begin(w, 3);
	sc_start_without_disk(w, A);
	sc_open(w, A);
	sc_write(w, 1);
	sc_kill_noticed(w, C, A);
	w->app.quiet = true;
	sc_write_scattered(w, 0, 30);
	simnet_hold_type(w, B, C, P_RS_DATA_REPLY, 2 * NS_SEC);
	sc_start(w, C);
	sc_wait_repl(w, C, B, REPL_SYNC_TARGET);
	for (unsigned i = 0; i < 10; i++)
		sc_write(w, 3 + 7 * 3 * i);
	sc_write(w, 1000);
	sc_wait_disk(w, C, DISK_UP_TO_DATE);
	sc_kill_noticed(w, B, A);
	sc_read(w, 1000);
	for (unsigned i = 0; i < 30; i++)
		sc_read(w, 3 + 7 * i);
	sc_start(w, B);
	sc_mend(w, A);
	life_expect_converged(w);
}

/* H41: C - A - B: the Primary C loses A, which is between the two, and gets it back. */
static void h41_far_end(struct world *w)
{
	sc_begin(w, 3);
	sc_start_without_disk(w, C);
	sc_part(w, B, C);
	sc_open(w, C);
	sc_write(w, 1);
	sc_part(w, A, C);
	sc_wait(w, 2000);
	sc_join(w, A, C);
	sc_wait_conn(w, C, A, CONN_CONNECTED);
	sc_wait(w, 1000);
	sc_write(w, 2);
	sc_wait(w, 1000);
	sc_expect_honest(w);
	sc_join(w, B, C);
	sc_mend(w, C);
	life_expect_converged(w);
}

/* H54: a node without a disk comes and goes while another one resyncs. */
static void h54_client_flaps(struct world *w)
{
	sc_begin(w, 3);
	sc_start_without_disk(w, C);
	sc_open(w, A);
	sc_write(w, 1);
	sc_kill_noticed(w, B, A);
	sc_write_scattered(w, 0, 300);
	simnet_hold_type(w, A, B, P_RS_DATA_REPLY, NS_SEC);
	sc_start(w, B);
	sc_wait_repl(w, B, A, REPL_SYNC_TARGET);
	for (unsigned i = 0; i < 4; i++) {
		simnet_cut(w, B, C, false);
		if (i % 2)
			simnet_cut(w, A, C, false);
		sc_wait(w, 200);
	}
	sc_unplug(w, B, C);
	sc_unplug(w, A, C);
	simnet_cut(w, B, C, false);
	simnet_cut(w, A, C, false);
	sc_expect(w, node_status(w, B)->volumes[0].disk == DISK_INCONSISTENT,
		  "the resync is under way");
	sc_wait_disk(w, B, DISK_UP_TO_DATE);
	sc_join(w, B, C);
	sc_join(w, A, C);
	sc_mend(w, C);
	life_expect_converged(w);
}

/* H55: promoted and demoted again and again, each time with a write. */
static void h55_burst_of_promotions(struct world *w)
{
	sc_begin(w, 3);
	sc_start_without_disk(w, A);
	for (unsigned i = 0; i < 8; i++) {
		if (i == 2)
			simnet_cut(w, A, C, false);
		if (i == 5)
			simnet_cut(w, B, C, false);
		sc_open(w, A);
		sc_write(w, i);
		sc_close(w);
	}
	sc_wait(w, 20000);
	sc_expect(w, status_peer_uptodate(node_status(w, B), C, SIM_VNR) &&
			     status_peer_uptodate(node_status(w, C), B, SIM_VNR),
		  "B and C are back at rest");
	check_identical(w, "after a burst of promotions");
	sc_mend(w, A);
	life_expect_converged(w);
}

/*
 * A's disk comes back and is to be resynced from B or C. B dies, and A makes a generation for what
 * is being written, just before it hears from C that it is its source.
 */
static void new_generation_while_attaching(struct world *w)
{
	for (unsigned i = 0; i < 8; i++) {
		life_set_up_plain(w, w->scenario_seed + i, 3);
		sc_open(w, A);
		sc_write(w, 1);
		sc_detach_forced(w, A);
		sc_write(w, 2);
		simnet_hold_type(w, C, A, P_STATE, 400 * NS_MS);
		simnet_hold_type(w, B, A, P_COMPRESSED_BITMAP, NS_SEC);
		node_command(w, A, (struct ev_command){ .cmd = CMD_ATTACH, .vnr = SIM_VNR }, NULL,
			     0);
		sc_wait_disk(w, A, DISK_OUTDATED);
		sc_write_async(w, 3);
		sc_kill(w, B);
		sc_wait(w, 2000);
		sc_expect(w, w->app.in_flight == 0 && !w->app.errors, "the write succeeds");
		sc_start(w, B);
		life_expect_converged(w);
	}
}

/*
 * C, which never has a disk, has shown what B wrote alone when A, which had written as well, comes
 * up beside it. B gives its data up: then both are as new as what C has shown.
 */
static void client_follows_winner(struct world *w)
{
	life_plain(w, 1, 3)->tiebreaker = true;
	life_set_up(w);
	w->split_brain_ok = true;
	sc_open(w, A);
	sc_write(w, 1);
	sc_kill_noticed(w, B, A);
	sc_write(w, 2);
	sc_close(w);
	sc_kill(w, A);
	sc_restart(w, C);
	sc_start(w, B);
	sc_wait_disk(w, B, DISK_UP_TO_DATE);
	sc_write_elsewhere(w, B, 5);
	sc_wait_repl(w, C, B, REPL_ESTABLISHED);
	simnet_link(w, A, B, false);
	simnet_link(w, B, A, false);
	sc_start(w, A);
	sc_wait_repl(w, C, A, REPL_ESTABLISHED);
	sc_join(w, A, B);
	sc_wait_conn(w, A, B, CONN_STANDALONE);
	sc_wait_conn(w, B, A, CONN_STANDALONE);
	sc_command(w, B,
		   (struct ev_command){ .cmd = CMD_CONNECT, .peer = A, .discard_my_data = true },
		   SS_SUCCESS);
	sc_command(w, A, (struct ev_command){ .cmd = CMD_CONNECT, .peer = B }, SS_SUCCESS);
	life_expect_converged(w);
}

/*
 * C, which never has a disk, makes a generation that gets onto no disk, and is demoted: what counts
 * is the one before, which B has.
 */
static void generation_of_demoted_client(struct world *w)
{
	life_plain(w, 1, 3)->tiebreaker = true;
	life_set_up(w);
	sc_open(w, C);
	sc_write(w, 1);
	sc_kill_noticed(w, B, C);
	w->app.quiet = false;
	w->nodes[A].disk.fail_meta = 1;
	sc_write_async(w, 2);
	sc_wait_disk(w, A, DISK_DISKLESS);
	sc_wait(w, 1000);
	sc_expect(w, w->app.errors > 0, "the write fails");
	sc_expect(w, node_status(w, C)->role == ROLE_SECONDARY, "C is demoted");
	simnet_link(w, A, B, false);
	simnet_link(w, B, A, false);
	sc_start(w, B);
	sc_wait_repl(w, C, B, REPL_ESTABLISHED);
	sc_wait(w, 1000);
	sc_expect(w, status_peer_uptodate(node_status(w, C), B, SIM_VNR), "B has what counts");
	sc_join(w, A, B);
	sc_attach(w, A);
	life_expect_converged(w);
}

/*
 * With quorum: A has made a generation that nobody else got, and has no disk when it comes back. B
 * and C are good, and a majority: nothing can have been answered in that generation.
 */
static void fork_without_disk(struct world *w)
{
	uint64_t shared;

	life_plain(w, 1, 3)->quorum = QUORUM_MAJORITY;
	life_set_up(w);
	sc_open(w, A);
	sc_write(w, 1);
	shared = sc_uuid(w, A);
	sc_part(w, A, B);
	sc_wait(w, 100);
	w->nodes[A].disk.stall_until_ns = w->now_ns + 300 * NS_MS;
	sc_write_async(w, 2);
	sc_wait(w, 20);
	sc_unplug(w, A, C);
	sc_wait_conn(w, C, A, CONN_CONNECTING);
	sc_expect(w, sc_uuid(w, A) != shared && sc_uuid(w, C) == shared,
		  "only A has the generation");
	sc_kill(w, A);
	sc_write_elsewhere(w, B, 5);
	sc_start(w, A);
	sc_wait(w, 1000);
	sc_detach_forced(w, A);
	sc_join(w, A, B);
	sc_join(w, A, C);
	sc_wait_conn(w, A, B, CONN_CONNECTED);
	sc_wait_conn(w, A, C, CONN_CONNECTED);
	sc_wait(w, 2000);
	sc_expect(w, node_status(w, B)->volumes[0].disk == DISK_UP_TO_DATE, "B is still good");
	sc_attach(w, A);
	life_expect_converged(w);
}

/*
 * The same, and A is still Primary, without quorum, behind the tie-breaker D, which brings it into
 * sight of the others.
 */
static void fork_behind_tiebreaker(struct world *w)
{
	struct sim_params *p = life_plain(w, 1, 4);

	p->quorum = QUORUM_MAJORITY;
	p->tiebreaker = true;
	life_set_up(w);
	sc_open(w, A);
	sc_write(w, 1);
	sc_part(w, B, D);
	sc_part(w, C, D);
	sc_part(w, A, B);
	sc_wait(w, 100);
	simnet_stall(w, A, C, STREAM_DATA, 60 * NS_SEC);
	sc_write_async(w, 2);
	sc_wait(w, 10);
	sc_part(w, A, C);
	simnet_stall(w, A, C, STREAM_DATA, 0);
	sc_wait(w, 1000);
	sc_expect(w, sc_uuid(w, A) != sc_uuid(w, C), "only A has the generation");
	sc_write_elsewhere(w, B, 5);
	sc_join(w, B, D);
	sc_wait_conn(w, B, D, CONN_CONNECTED);
	sc_wait(w, 1000);
	sc_expect(w, node_status(w, A)->role == ROLE_PRIMARY && w->app.in_flight == 1,
		  "A waits for quorum");
	sc_expect(w, node_status(w, B)->volumes[0].disk == DISK_UP_TO_DATE, "B is still good");
	sc_expect(w, node_status(w, C)->volumes[0].disk == DISK_UP_TO_DATE, "so is C");
	sc_kill(w, A);
	sc_start(w, A);
	sc_join(w, C, D);
	sc_join(w, A, B);
	sc_join(w, A, C);
	life_expect_converged(w);
}

/*
 * A has got the generation of a Primary without a disk, and loses its disk and the connection
 * before it can say so. B takes it back, and goes on with it when A's disk is there again.
 */
static void generation_on_a_lost_disk(struct world *w)
{
	life_plain(w, w->scenario_seed, 2)->on_no_data = NO_DATA_SUSPEND;
	life_set_up(w);
	sc_open(w, B);
	sc_write(w, 0);
	simnet_hold_type(w, A, B, P_UUIDS110, 10 * NS_SEC);
	w->nodes[B].disk.fail_reads = 1;
	app_do(w, OP_READ, 0, 4096);
	sc_wait_disk(w, B, DISK_DISKLESS);
	sc_wait(w, 100);
	sc_detach_forced(w, A);
	sc_part(w, A, B);
	sc_join(w, A, B);
	sc_wait_repl(w, B, A, REPL_ESTABLISHED);
	sc_attach(w, A);
	sc_wait_disk(w, A, DISK_UP_TO_DATE);
	sc_attach(w, B);
	life_expect_converged(w);
}

/*
 * B, without its disk, has lost C in the middle of its resync. What B begins with A passes C by,
 * which has been filled meanwhile.
 */
static void lost_while_inconsistent(struct world *w)
{
	life_plain(w, w->scenario_seed, 3)->on_no_data = NO_DATA_SUSPEND;
	life_set_up(w);
	sc_open(w, B);
	sc_write(w, 0);
	w->nodes[B].disk.fail_reads = 1;
	sc_read(w, 0);
	sc_wait_disk(w, B, DISK_DISKLESS);
	sc_unplug(w, A, B);
	sc_part(w, B, C);
	sc_wait_conn(w, B, A, CONN_CONNECTING);
	sc_wait_disk(w, C, DISK_UP_TO_DATE);
	simnet_hold_type(w, A, C, P_RS_DATA_REPLY, 20 * NS_SEC);
	sc_command(w, C,
		   (struct ev_command){ .cmd = CMD_INVALIDATE, .vnr = SIM_VNR, .peer = A },
		   SS_SUCCESS);
	sc_wait_repl(w, C, A, REPL_SYNC_TARGET);
	sc_write_async(w, 1);
	sc_join(w, B, C);
	sc_wait_repl(w, B, C, REPL_ESTABLISHED);
	sc_part(w, B, C);
	sc_wait_disk(w, C, DISK_UP_TO_DATE);
	sc_join(w, A, B);
	sc_wait_repl(w, A, B, REPL_ESTABLISHED);
	sc_wait(w, 500);
	sc_expect_honest(w);
	sc_join(w, B, C);
	sc_attach(w, B);
	life_expect_converged(w);
}

const struct scenario scenarios_h_no_disk[] = {
	{ "H3-caught-up-elsewhere", h3_caught_up_elsewhere },
	{ "H4-label-is-no-ack", h4_label_is_no_ack },
	{ "H6-second-client", h6_second_client },
	{ "H7-primary-restarts", h7_primary_restarts },
	{ "H9-stale-attach", h9_stale_attach },
	{ "H27-first-promotion", h27_first_promotion },
	{ "H30-meets-client-first", h30_meets_client_first },
	{ "H32-written-to-target", h32_written_to_target },
	{ "H41-far-end", h41_far_end },
	{ "H54-client-flaps", h54_client_flaps },
	{ "H55-burst-of-promotions", h55_burst_of_promotions },
	{ "new-generation-while-attaching", new_generation_while_attaching },
	{ "client-follows-winner", client_follows_winner },
	{ "generation-of-demoted-client", generation_of_demoted_client },
	{ "fork-without-disk", fork_without_disk },
	{ "fork-behind-tiebreaker", fork_behind_tiebreaker },
	{ "generation-on-a-lost-disk", generation_on_a_lost_disk },
	{ "lost-while-inconsistent", lost_while_inconsistent },
	{ NULL, NULL },
};

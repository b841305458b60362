/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Faults that DRBD has had: false split brains, wrong decisions, replication that is stuck
 * (reliability 3.2, and 3.1 where a decision was wrong). */
#include "scenario.h"

/* Both are Outdated, because the Primary has disconnected from them; one is forced to be Primary,
 * and the other follows it. */
static void forced_outdated(struct world *w, uint64_t seed)
{
	life_set_up_plain(w, seed, 3);
	sc_open(w, A);
	sc_write(w, 1);
	sc_command(w, A, (struct ev_command){ .cmd = CMD_DISCONNECT, .peer = B }, SS_SUCCESS);
	sc_command(w, A, (struct ev_command){ .cmd = CMD_DISCONNECT, .peer = C }, SS_SUCCESS);
	sc_wait_disk(w, B, DISK_OUTDATED);
	sc_wait_disk(w, C, DISK_OUTDATED);
	sc_kill(w, A);
	sc_command(w, B, (struct ev_command){ .cmd = CMD_PRIMARY, .force = true }, SS_SUCCESS);
	sc_open(w, B);
	sc_write(w, 2);
	sc_wait_disk(w, C, DISK_UP_TO_DATE);
	sc_wait_repl(w, C, B, REPL_ESTABLISHED);
	sc_wait_repl(w, B, C, REPL_ESTABLISHED);
	sc_wait(w, 1000);
	check_identical(w, "after a forced promotion");
	sc_start(w, A);
	life_expect_converged(w);
}

/* H40: the last word of a disconnect may be overtaken by the end of the connection. */
static void h40_forced_outdated(struct world *w)
{
	for (unsigned i = 0; i < 8; i++)
		forced_outdated(w, w->scenario_seed + i);
}

/* H44: A is isolated and gives up its role, B goes on; C is at the old and the new in turn. */
static void h44_history(struct world *w)
{
	sc_begin(w, 3);
	sc_open(w, A);
	sc_write(w, 1);
	sc_unplug(w, A, C);
	sc_part(w, A, B);
	sc_part(w, A, C);
	sc_close(w);
	sc_wait_disk(w, B, DISK_UP_TO_DATE);
	sc_open(w, B);
	sc_write(w, 2);
	for (unsigned i = 0; i < 3; i++) {
		simnet_cut(w, B, C, false);
		sc_wait_conn(w, B, C, CONN_CONNECTING);
		sc_write(w, 3 + i);
		sc_wait_repl(w, B, C, REPL_ESTABLISHED);
		sc_wait(w, 500);
	}
	sc_join(w, A, C);
	sc_wait(w, 3000);
	check_states(w);
	sc_join(w, A, B);
	life_expect_converged(w);
}

/* H45: C is older than B; C meets A, then B meets C first. */
static void h45_older_node(struct world *w)
{
	sc_begin(w, 3);
	sc_open(w, A);
	sc_write(w, 1);
	sc_kill_noticed(w, C, A);
	sc_write(w, 2);
	sc_command(w, B, (struct ev_command){ .cmd = CMD_SHUTDOWN }, SS_SUCCESS);
	sc_kill_noticed(w, B, A);
	sc_write(w, 3);
	sc_start(w, C);
	sc_wait_repl(w, C, A, REPL_ESTABLISHED);
	sc_wait_disk(w, C, DISK_UP_TO_DATE);
	sc_unplug(w, A, B);
	sc_start(w, B);
	sc_wait_conn(w, B, C, CONN_CONNECTED);
	sc_wait(w, 3000);
	check_states(w);
	sc_expect_honest(w);
	sc_join(w, A, B);
	life_expect_converged(w);
}

/* H50: a node comes back to two others at once, one of them slow at one kind of packet. */
static void h50_parallel_connects(struct world *w)
{
	static const enum packet held[] = { P_STATE, P_SIZES, P_UUIDS110, P_COMPRESSED_BITMAP,
					    P_TWOPC_PREPARE, P_TWOPC_YES, P_TWOPC_COMMIT,
					    P_RS_DATA_REPLY, P_OUT_OF_SYNC };

	for (unsigned i = 0; i < 2 * ARRAY_LEN(held); i++) {
		unsigned slow = i % 2 ? B : C;

		sc_begin(w, 3);
		sc_open(w, B);
		sc_write(w, 0);
		sc_kill_noticed(w, A, B);
		sc_write_scattered(w, 0, 20);
		simnet_hold_type(w, slow, A, held[i / 2], 3 * NS_SEC);
		simnet_hold_type(w, A, slow, held[i / 2], NS_SEC);
		sc_start(w, A);
		sc_wait(w, 500);
		sc_write(w, 10);
		life_expect_converged(w);
	}
}

/* H52: both wrote while apart, whatever was lost of the first attempts to connect. */
static void h52_seen_on_both(struct world *w)
{
	static const enum packet held[] = { P_STATE, P_UUIDS110, P_TWOPC_YES, P_TWOPC_NO,
					    P_DISCONNECT };

	for (unsigned i = 0; i < 10; i++) {
		life_set_up_plain(w, w->scenario_seed + i, 2);
		w->split_brain_ok = true;
		sc_open(w, A);
		sc_part(w, A, B);
		sc_write(w, 2);
		sc_write_elsewhere(w, B, 3);
		simnet_hold_type(w, i % 2, !(i % 2), held[i / 2], NS_SEC);
		sc_join(w, A, B);
		sc_wait(w, 1500);
		simnet_cut(w, A, B, false);
		sc_wait(w, 30000);
		sc_expect(w, w->nodes[A].saw_split_brain && w->nodes[B].saw_split_brain,
			  "both ends report the split brain");
		sc_expect(w, status_peer(node_status(w, A), B)->conn != CONN_CONNECTED &&
				     status_peer(node_status(w, B), A)->conn != CONN_CONNECTED,
			  "neither goes on");
	}
}

/* H53: a node with an empty disk joins a Primary that writes all the time. */
static void h53_new_disk(struct world *w)
{
	sc_begin(w, 3);
	sc_open(w, A);
	sc_write(w, 1);
	sc_kill(w, C);
	sc_new_disk(w, C);
	sc_start(w, C);
	sc_wait_repl(w, C, A, REPL_SYNC_TARGET);
	for (unsigned i = 0; i < 100; i++) {
		sc_write(w, i * 37 % 4096);
		sc_wait(w, 50);
	}
	life_expect_converged(w);
}

/* An empty disk has got a part of the data when its source is lost: it knows nothing of what was
 * before, and is no other data than those of a node that was away all the time. */
static void first_resync_interrupted(struct world *w)
{
	for (unsigned i = 0; i < 3; i++) {
		sc_begin(w, 3);
		sc_leave_behind(w, 3);
		sc_kill(w, B);
		sc_new_disk(w, B);
		sc_write(w, 2);
		simnet_hold_type(w, A, B, P_RS_DATA_REPLY, 5 * NS_SEC);
		sc_start(w, B);
		sc_wait_repl(w, B, A, REPL_SYNC_TARGET);
		if (i == 1)
			sc_part(w, A, B);
		if (i == 2)
			sc_kill(w, A);
		sc_join(w, B, C);
		sc_wait(w, 3000);
		if (i == 2)
			sc_start(w, A);
		sc_join(w, A, C);
		sc_join(w, A, B);
		life_expect_converged(w);
	}
}

/* A survivor's disk hangs while it is told a new generation: the crashed Primary, which has that on
 * its disk, does not give its data up for those of one that may still lose all of it. */
static void source_not_durable(struct world *w)
{
	/* What hangs may be done or not when the power is lost. */
	for (unsigned i = 0; i < 12; i++) {
		life_set_up_plain(w, w->scenario_seed + i, 3);
		sc_open(w, A);
		sc_write(w, 0);
		disk_hang(w, B);
		sc_kill_noticed(w, C, A);
		for (unsigned k = 1; k < 8; k++)
			sc_write_async(w, 1024 * (k % 4) + k);
		sc_wait(w, 1000 + i);
		sc_restart(w, A);
		simnet_hold_type(w, B, A, P_RS_DATA_REPLY, 20 * NS_SEC);
		sc_wait(w, 3000);
		sc_power_cut(w, B);
		sc_start(w, B);
		sc_start(w, C);
		life_expect_converged(w);
	}
}

static void expect_marked(struct world *w, unsigned node, unsigned peer)
{
	const struct status_peer *sp = status_peer(node_status(w, node), peer);

	sc_expect(w, sp->devices[0].out_of_sync_sectors > 0, "the write that hangs stays marked");
}

/* A survivor's disk hangs with a write of the lost Primary: it does not say that it has it, and the
 * other one keeps it marked. */
static void lost_primarys_write_hangs(struct world *w)
{
	for (unsigned i = 0; i < 8; i++) {
		life_set_up_plain(w, w->scenario_seed + i, 3);
		sc_open(w, A);
		sc_write(w, 0);
		sc_part(w, B, C);
		sc_join(w, B, C);
		sc_wait_reunited(w, B, C);
		disk_hang(w, C);
		sc_write_async(w, 3000);
		sc_wait(w, 50);
		sc_unplug(w, A, B);
		sc_part(w, A, C);
		sc_wait_conn(w, B, A, CONN_CONNECTING);
		sc_wait(w, 8000);
		expect_marked(w, B, C);
		sc_part(w, B, C);
		expect_marked(w, B, C);
		sc_join(w, B, C);
		sc_wait(w, 8000);
		expect_marked(w, B, C);
		if (i % 2)
			sc_power_cut(w, C);
		else
			disk_unhang(w, C);
		sc_join(w, A, B);
		sc_join(w, A, C);
		if (i % 2)
			sc_start(w, C);
		life_expect_converged(w);
	}
}

/* H56: bits are cleared while the Primary is being demoted. */
static void h56_cleared_while_demoting(struct world *w)
{
	for (unsigned ms = 0; ms < 1000; ms += 200) {
		sc_begin(w, 3);
		sc_make_difference(w, 50);
		sc_begin_resync(w, A, B);
		simnet_hold_type(w, C, A, P_TWOPC_YES, NS_SEC);
		sc_wait(w, ms);
		sc_close(w);
		life_expect_converged(w);
		sc_expect(w, sc_received(w, B, A) <= 60 * BM_BLOCK_SECTORS,
			  "nothing comes a second time");
	}
}

/* H57: the resync from one source is through; what waits for another one is settled, too. */
static void h57_paused_target(struct world *w)
{
	sc_begin(w, 3);
	sc_open(w, A);
	sc_write(w, 0);
	sc_part(w, A, C);
	sc_write_scattered(w, 0, 20);
	sc_part(w, B, C);
	sc_write_scattered(w, 20, 40);
	sc_close(w);
	simnet_hold_type(w, A, C, P_RS_DATA_REPLY, NS_SEC);
	sc_join(w, A, C);
	sc_join(w, B, C);
	sc_wait_repl(w, C, A, REPL_ESTABLISHED);
	sc_wait_repl(w, C, B, REPL_ESTABLISHED);
	sc_wait_disk(w, C, DISK_UP_TO_DATE);
	life_expect_converged(w);
}

/* H58: one of two survivors has lost the Primary long before the other. */
static void h58_one_sided(struct world *w)
{
	sc_begin(w, 3);
	sc_open(w, A);
	sc_write(w, 1);
	sc_part(w, A, C);
	sc_wait(w, 1000);
	sc_write(w, 2);
	sc_kill_noticed(w, A, B);
	sc_wait_reunited(w, B, C);
	sc_wait(w, 1000);
	check_identical(w, "after the survivors met");
	sc_join(w, A, C);
	sc_start(w, A);
	life_expect_converged(w);
}

const struct scenario scenarios_h_decide[] = {
	{ "H40-forced-outdated", h40_forced_outdated },
	{ "H44-history", h44_history },
	{ "H45-older-node", h45_older_node },
	{ "H50-parallel-connects", h50_parallel_connects },
	{ "H52-seen-on-both", h52_seen_on_both },
	{ "H53-new-disk", h53_new_disk },
	{ "first-resync-interrupted", first_resync_interrupted },
	{ "source-not-durable", source_not_durable },
	{ "lost-primarys-write-hangs", lost_primarys_write_hangs },
	{ "H56-cleared-while-demoting", h56_cleared_while_demoting },
	{ "H57-paused-target", h57_paused_target },
	{ "H58-one-sided", h58_one_sided },
	{ NULL, NULL },
};

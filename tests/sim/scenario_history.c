/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Schedules of faults that replication systems have
 * had (reliability 3.1, those that apply here). */
#include "scenario.h"

/* H2: B and C are at different points of A's stream when all links break; B and C meet first. */
static void h2_stream_points(struct world *w)
{
	sc_begin(w, 3);
	sc_open(w, A);
	sc_write(w, 1);
	simnet_stall(w, A, C, STREAM_DATA, 60 * NS_SEC);
	sc_write_async(w, 2);
	sc_wait(w, 300);
	sc_unplug(w, B, C);
	sc_kill(w, A);
	sc_part(w, B, C);
	sc_wait(w, 2000);
	sc_join(w, B, C);
	sc_wait_reunited(w, B, C);
	sc_wait(w, 1000);
	check_identical(w, "after the links came back");
	sc_start(w, A);
	life_expect_converged(w);
}

/* A write reached B only; the Primary dies, C is promoted at once: it must not serve the old
 * block once the survivors have agreed on the new one. */
static void promote_at_once(struct world *w, uint64_t seed)
{
	uint64_t shown;

	life_set_up_plain(w, seed, 3);
	sc_open(w, A);
	sc_write(w, 1);
	simnet_stall(w, A, C, STREAM_DATA, 60 * NS_SEC);
	sc_write_async(w, 1);
	sc_wait(w, 300);
	/* What B has to say about the lost stream comes late. */
	simnet_hold_type(w, B, C, P_PEER_DAGTAG, NS_SEC);
	sc_kill_noticed(w, A, C);
	sc_open(w, C);
	sc_read(w, 1);
	shown = disk_peek(&w->nodes[C].disk, BM_BLOCK_SECTORS);
	sc_write(w, 2);
	sc_read(w, 1);
	sc_wait(w, 2000);
	sc_expect(w, disk_peek(&w->nodes[C].disk, BM_BLOCK_SECTORS) == shown,
		  "what was read does not change");
	check_identical(w, "after the promotion");
	sc_start(w, A);
	life_expect_converged(w);
}

/* H5: whichever of the two learns first that the Primary is lost. */
static void h5_promote_at_once(struct world *w)
{
	for (unsigned i = 0; i < 8; i++)
		promote_at_once(w, w->scenario_seed + i);
}

/* H20: B and C both resync from A, A is lost, B and C connect: no bit may get lost. */
static void h20_two_inconsistent(struct world *w)
{
	sc_begin(w, 3);
	sc_open(w, A);
	sc_write(w, 1);
	sc_kill(w, B);
	sc_kill(w, C);
	sc_wait_conn(w, A, B, CONN_CONNECTING);
	sc_wait_conn(w, A, C, CONN_CONNECTING);
	for (unsigned i = 0; i < 60; i++)
		sc_write(w, 2 + 5 * i);
	sc_unplug(w, B, C);
	simnet_hold_type(w, A, C, P_RS_DATA_REPLY, 10 * NS_SEC);
	sc_start(w, B);
	sc_start(w, C);
	sc_wait_repl(w, B, A, REPL_SYNC_TARGET);
	sc_wait_repl(w, C, A, REPL_SYNC_TARGET);
	sc_expect(w, sc_received(w, B, A) > 0, "B has got more than C");
	sc_kill(w, A);
	sc_join(w, B, C);
	sc_wait(w, 5000);
	check_difference_covered(w, "two targets met");
	sc_start(w, A);
	life_expect_converged(w);
}

/* H28: no out-of-sync for a detached disk. */
static void h28_detached(struct world *w)
{
	sc_begin(w, 2);
	sc_detach(w, B);
	sc_wait_disk(w, B, DISK_DISKLESS);
	sc_open(w, A);
	sc_write(w, 1);
	sc_write(w, 500);
	sc_attach(w, B);
	life_expect_converged(w);
}

/* H35: scattered writes over more than one activity-log transaction, crash of the Primary. */
static void h35_scattered(struct world *w)
{
	for (unsigned at = 10; at < 400; at += 30) {
		life_set_up_plain(w, at, 2);
		sc_open(w, A);
		w->nodes[A].die_after_actions = at;
		for (unsigned i = 0; i < 200 && w->nodes[A].up; i++) {
			if (w->app.in_flight < APP_IOS_MAX && core_room(w->nodes[A].core) > 0)
				sc_write_async(w, i * 1024 % 4096 + i);
			sc_wait(w, 1);
		}
		w->nodes[A].die_after_actions = 0;
		sc_wait(w, 5000);
		if (w->nodes[A].up)
			sc_kill(w, A);
		sc_start(w, A);
		life_expect_converged(w);
	}
}

/* H37: after a flush a power cut of both loses nothing. */
static void h37_power_cut(struct world *w)
{
	for (unsigned seed = 1; seed < 12; seed++) {
		life_set_up_plain(w, seed, 2);
		sc_open(w, A);
		for (unsigned i = 0; i < 10; i++)
			sc_write(w, i);
		sc_flush(w);
		for (unsigned i = 0; i < 5; i++)
			sc_write(w, i);
		sc_power_cut(w, A);
		sc_power_cut(w, B);
		sc_expect(w, oracle_check_node(w, A) == SIM_NEVER &&
				     oracle_check_node(w, B) == SIM_NEVER,
			  "each of the disks has what was flushed");
		sc_start(w, A);
		sc_start(w, B);
		life_expect_converged(w);
	}
}

/* H47: a new generation must be durable before a write of it is answered. */
static void h47_durable_generation(struct world *w)
{
	sc_begin(w, 3);
	sc_open(w, A);
	sc_write(w, 1);
	sc_part(w, A, C);
	sc_write(w, 2);
	node_kill(w, B, true);
	sc_start(w, B);
	sc_wait(w, 3000);
	sc_join(w, A, C);
	life_expect_converged(w);
}

/* H49: promote races demote. */
static void h49_promote_demote(struct world *w)
{
	sc_begin(w, 3);
	sc_open(w, A);
	sc_write(w, 1);
	simnet_hold_type(w, A, B, P_TWOPC_PREPARE, NS_SEC);
	w->app.stop = true;
	app_kick(w);
	node_command(w, B, (struct ev_command){ .cmd = CMD_PRIMARY }, NULL, 0);
	sc_wait(w, 15000);
	check_states(w);
	life_expect_converged(w);
}

/* H64: disconnect in the middle of a resync, from either end. */
static void h64_disconnect_in_resync(struct world *w)
{
	for (unsigned who = 0; who < 2; who++) {
		sc_begin(w, 2);
		sc_make_difference(w, 40);
		simnet_hold_type(w, A, B, P_RS_DATA_REPLY, 2 * NS_SEC);
		sc_begin_resync(w, A, B);
		sc_command(w, who, (struct ev_command){ .cmd = CMD_DISCONNECT,
							.peer = (uint8_t)!who },
			   SS_UNKNOWN_ERROR - 100);
		sc_wait(w, 3000);
		sc_command(w, who, (struct ev_command){ .cmd = CMD_CONNECT,
							.peer = (uint8_t)!who }, SS_SUCCESS);
		sc_command(w, !who, (struct ev_command){ .cmd = CMD_CONNECT, .peer = (uint8_t)who },
			   SS_UNKNOWN_ERROR - 100);
		life_expect_converged(w);
	}
}

/*
 * C does not know yet that B has lost its power. B gets from A, which has lost its own, what was
 * before a write; A gets the write from C: C's claim to be equal with both must not be believed.
 */
static void claim_of_half_open(struct world *w)
{
	for (unsigned i = 0; i < 6; i++) {
		life_set_up_plain(w, w->scenario_seed + i, 3);
		sc_open(w, A);
		sc_write(w, 1);
		sc_wait(w, 500);
		sc_power_cut(w, A);
		sc_wait_conn(w, B, A, CONN_CONNECTING);
		sc_wait_conn(w, C, A, CONN_CONNECTING);
		sc_wait(w, 500);
		sc_unplug(w, B, C);
		sc_unplug(w, A, C);
		node_kill(w, B, true);
		sc_start(w, A);
		sc_start(w, B);
		sc_wait_repl(w, B, A, REPL_ESTABLISHED);
		sc_wait_disk(w, B, DISK_UP_TO_DATE);
		sc_wait(w, 500);
		sc_expect(w, status_peer(node_status(w, C), B)->conn == CONN_CONNECTED,
			  "C has not noticed");
		sc_join(w, A, C);
		sc_wait_repl(w, A, C, REPL_ESTABLISHED);
		sc_wait_disk(w, A, DISK_UP_TO_DATE);
		sc_wait(w, 5000);
		check_difference_covered(w, "after a claim");
		sc_join(w, B, C);
		life_expect_converged(w);
	}
}

/*
 * The Primary B loses its power, and what was not flushed; A, which is behind, resyncs from what is
 * left. C has all that was answered, and never was without it: when it learns of the loss, A must
 * not be its source.
 */
static void blind_survivor(struct world *w)
{
	for (unsigned i = 0; i < 8; i++) {
		life_set_up_plain(w, w->scenario_seed + i, 3);
		sc_open(w, B);
		sc_write(w, 1);
		sc_part(w, A, B);
		sc_write(w, 1);
		sc_write(w, 2);
		sc_wait(w, 500);
		sc_unplug(w, B, C);
		sc_power_cut(w, B);
		sc_start(w, B);
		sc_join(w, A, B);
		sc_wait_repl(w, A, B, REPL_ESTABLISHED);
		sc_wait_conn(w, C, B, CONN_CONNECTING);
		sc_wait(w, 5000);
		sc_expect(w, oracle_check_node(w, C) == SIM_NEVER, "C keeps what was answered");
		sc_join(w, B, C);
		life_expect_converged(w);
	}
}

/*
 * The Primary B loses its power, and what was not flushed; A, which is behind, resyncs from what is
 * left, and then from C, which has all that was answered. Now B lacks what A has got: it must not
 * stay in sync with A, nor become C's source later.
 */
static void left_behind_by_target(struct world *w)
{
	for (unsigned i = 0; i < 8; i++) {
		life_set_up_plain(w, w->scenario_seed + i, 3);
		sc_open(w, B);
		sc_write(w, 1);
		sc_part(w, A, B);
		sc_part(w, A, C);
		sc_write(w, 1);
		sc_write(w, 2);
		sc_wait(w, 500);
		sc_unplug(w, B, C);
		sc_power_cut(w, B);
		sc_start(w, B);
		sc_join(w, A, B);
		sc_wait_repl(w, A, B, REPL_ESTABLISHED);
		sc_wait_disk(w, A, DISK_UP_TO_DATE);
		sc_join(w, A, C);
		sc_wait_repl(w, A, C, REPL_SYNC_TARGET);
		sc_wait_repl(w, A, C, REPL_ESTABLISHED);
		sc_wait_disk(w, A, DISK_UP_TO_DATE);
		sc_expect(w, oracle_check_node(w, A) == SIM_NEVER, "A has got all from C");
		sc_wait(w, 300);
		sc_open(w, A);
		sc_write(w, 3);
		check_primary_peers(w);
		sc_join(w, B, C);
		life_expect_converged(w);
	}
}

/* A has lost C and goes on; B tells C so, but not a byte gets there any more. */
static void left_behind_unheard(struct world *w)
{
	sc_begin(w, 3);
	sc_open(w, A);
	sc_write(w, 1);
	sc_unplug(w, B, C);
	simnet_cut(w, A, C, false);
	sc_write(w, 2);
	sc_wait_conn(w, B, C, CONN_CONNECTING);
	sc_expect(w, status_peer(node_status(w, B), C)->devices[0].peer_disk == DISK_UNKNOWN,
		  "B does not count on C being Outdated");
	sc_join(w, B, C);
	life_expect_converged(w);
}

/*
 * C has lost the Primary A, and resyncs from B. That somebody may have what it had then says
 * nothing about the generation that it names now, its source's: A makes no new one because of that,
 * each time the two try to connect.
 */
static void target_returns_to_primary(struct world *w)
{
	uint64_t generation;

	sc_begin(w, 3);
	sc_open(w, A);
	sc_write_scattered(w, 0, 40);
	sc_part(w, A, C);
	sc_part(w, B, C);
	sc_write_scattered(w, 0, 40);
	sc_join(w, B, C);
	simnet_hold_type(w, B, C, P_RS_DATA_REPLY, 60 * NS_SEC);
	sc_wait_repl(w, C, B, REPL_SYNC_TARGET);
	generation = sc_uuid(w, A);
	sc_join(w, A, C);
	for (unsigned i = 0; i < 6; i++) {
		sc_wait(w, 1000);
		sc_write(w, 50 + i);
	}
	sc_expect(w, status_peer(node_status(w, A), C)->conn == CONN_CONNECTED, "A has C");
	sc_expect(w, sc_uuid(w, A) == generation, "no new generation");
	life_expect_converged(w);
}

const struct scenario scenarios_history[] = {
	{ "H2-stream-points", h2_stream_points },
	{ "H5-promote-at-once", h5_promote_at_once },
	{ "H20-two-inconsistent", h20_two_inconsistent },
	{ "H28-detached", h28_detached },
	{ "H35-scattered", h35_scattered },
	{ "H37-power-cut", h37_power_cut },
	{ "H47-durable-generation", h47_durable_generation },
	{ "H49-promote-demote", h49_promote_demote },
	{ "H64-disconnect-in-resync", h64_disconnect_in_resync },
	{ "claim-of-half-open", claim_of_half_open },
	{ "blind-survivor", blind_survivor },
	{ "left-behind-by-target", left_behind_by_target },
	{ "left-behind-unheard", left_behind_unheard },
	{ "target-returns-to-primary", target_returns_to_primary },
	{ NULL, NULL },
};

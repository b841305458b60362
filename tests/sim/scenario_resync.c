/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Scenarios about resyncs and their interruptions (states-and-resync 8.3, numbers 8, 9, 10). */
#include "scenario.h"

static void no_full_sync_of(struct world *w, unsigned node, uint64_t blocks)
{
	uint64_t all = w->params.device_sectors;

	sc_expect(w, sc_received(w, node, A) <= blocks * BM_BLOCK_SECTORS && blocks * 8 < all,
		  "no full resync");
}

static void no_full_sync(struct world *w, uint64_t blocks)
{
	no_full_sync_of(w, B, blocks);
}

/* Only what differs travels. */
static void bitmap_resync(struct world *w)
{
	sc_begin(w, 2);
	sc_make_difference(w, 50);
	sc_join(w, A, B);
	life_expect_converged(w);
	no_full_sync(w, 60);
}

/* 8: cut right at the start, in the middle, at the end of the resync; it goes on by bitmap. */
static void interrupted_at(struct world *w, enum packet held, unsigned from)
{
	sc_begin(w, 2);
	sc_make_difference(w, 50);
	simnet_hold_type(w, from, from == A ? B : A, held, 5 * NS_SEC);
	sc_join(w, A, B);
	sc_wait(w, 3000);
	simnet_cut(w, A, B, false);
	sc_wait(w, 100);
	life_expect_converged(w);
	no_full_sync(w, 120);
}

static void interrupted_start(struct world *w)
{
	interrupted_at(w, P_COMPRESSED_BITMAP, A);
}

static void interrupted_start_target(struct world *w)
{
	interrupted_at(w, P_COMPRESSED_BITMAP, B);
}

static void interrupted_middle(struct world *w)
{
	interrupted_at(w, P_RS_DATA_REPLY, A);
}

static void interrupted_ack(struct world *w)
{
	interrupted_at(w, P_RS_WRITE_ACK, B);
}

/* 8: the target has written the new generation, the source was not told. */
static void end_untold(struct world *w)
{
	sc_begin(w, 2);
	sc_make_difference(w, 5);
	simnet_hold_type(w, A, B, P_RS_DATA_REPLY, 100 * NS_MS);
	sc_begin_resync(w, A, B);
	/* From here on the next uuids of B are the ones of the end. */
	simnet_hold_type(w, B, A, P_UUIDS110, 60 * NS_SEC);
	sc_wait_repl(w, B, A, REPL_ESTABLISHED);
}

static void missed_end(struct world *w)
{
	end_untold(w);
	sc_wait_disk(w, B, DISK_UP_TO_DATE);
	simnet_cut(w, A, B, false);
	sc_wait(w, 100);
	life_expect_converged(w);
	no_full_sync(w, 60);
}

/* The same, and the source goes on after a pause as Secondary,
 * or after a restart: what it writes is something new. */
static void missed_end_then_writes(struct world *w, bool restart)
{
	uint64_t taken_over;

	end_untold(w);
	sc_part(w, A, B);
	taken_over = sc_uuid(w, B);
	sc_expect(w, uuid_eq(taken_over, sc_uuid(w, A)), "B took over the generation of A");
	sc_close(w);
	if (restart) {
		sc_wait(w, 6000);
		sc_kill(w, A);
		sc_start(w, A);
		sc_wait_disk(w, A, DISK_UP_TO_DATE);
	}
	sc_open(w, A);
	sc_write(w, 1);
	sc_expect(w, !uuid_eq(taken_over, sc_uuid(w, A)), "A writes in a new generation");
	sc_join(w, A, B);
	life_expect_converged(w);
}

static void missed_end_reopen(struct world *w)
{
	missed_end_then_writes(w, false);
}

static void missed_end_restart(struct world *w)
{
	missed_end_then_writes(w, true);
}

/* The source begins a new generation while the target is writing the one that it has got. */
static void generation_at_end(struct world *w)
{
	sc_begin(w, 3);
	sc_part(w, B, C);
	sc_make_difference(w, 5);
	simnet_hold_type(w, A, B, P_FLUSH_REQUESTS_ACK, 2 * NS_SEC);
	sc_begin_resync(w, A, B);
	sc_wait(w, 500);
	sc_expect(w, status_peer(node_status(w, B), A)->devices[0].repl == REPL_SYNC_TARGET,
		  "the resync waits for its end");
	w->nodes[B].disk.stall_until_ns = w->now_ns + 4 * NS_SEC;
	sc_detach(w, C);
	sc_write_async(w, 1);
	sc_wait_repl(w, B, A, REPL_ESTABLISHED);
	sc_wait(w, 500);
	check_identical(w, "after the resync");
	sc_attach(w, C);
	sc_join(w, B, C);
	life_expect_converged(w);
}

/* 8: either side dies in the middle. */
static void death_in_resync(struct world *w, unsigned victim)
{
	sc_begin(w, 3);
	sc_open(w, A);
	sc_write(w, 0);
	sc_kill_noticed(w, B, A);
	sc_write_scattered(w, 0, 50);
	sc_start(w, B);
	simnet_hold_type(w, A, B, P_RS_DATA_REPLY, 3 * NS_SEC);
	sc_wait_repl(w, B, A, REPL_SYNC_TARGET);
	sc_kill(w, victim);
	sc_wait(w, 500);
	sc_start(w, victim);
	life_expect_converged(w);
}

static void target_dies(struct world *w)
{
	death_in_resync(w, B);
}

static void source_dies(struct world *w)
{
	death_in_resync(w, A);
}

/* Writes go on during the resync, over blocks that are resynced at the same time. */
static void write_during_resync(struct world *w)
{
	sc_begin(w, 3);
	sc_make_difference(w, 50);
	sc_begin_resync(w, A, B);
	for (unsigned i = 0; i < 50; i++) {
		sc_write(w, 3 + 7 * (49 - i));
		sc_write(w, 1000 + i);
	}
	life_expect_converged(w);
}

/* H25, H34: writes exactly while the bitmaps are exchanged. */
static void write_during_exchange(struct world *w)
{
	sc_begin(w, 2);
	sc_make_difference(w, 5);
	simnet_hold_type(w, B, A, P_COMPRESSED_BITMAP, 2 * NS_SEC);
	sc_join(w, A, B);
	sc_wait_repl(w, A, B, REPL_WF_BITMAP_S);
	for (unsigned i = 0; i < 10; i++)
		sc_write(w, 3 + 70 * i);
	life_expect_converged(w);
}

/*
 * The power of both is cut; what A's crash has left is the source. A connection that ends before B
 * has got anything makes nothing better of what B has.
 */
static void lost_before_it_begins(struct world *w)
{
	sc_begin(w, 2);
	sc_open(w, A);
	sc_write(w, 1);
	sc_write_async(w, 2);
	sc_power_cut(w, A);
	sc_power_cut(w, B);
	sc_start(w, A);
	simnet_hold_type(w, A, B, P_COMPRESSED_BITMAP, 60 * NS_SEC);
	sc_start(w, B);
	sc_wait_repl(w, B, A, REPL_WF_BITMAP_T);
	sc_part(w, A, B);
	simnet_hold_type(w, A, B, P_RS_DATA_REPLY, 2 * NS_SEC);
	sc_join(w, A, B);
	sc_wait_repl(w, B, A, REPL_SYNC_TARGET);
	life_expect_converged(w);
}

/*
 * A and C attach at the same moment. A has told of its disk before it hears of C's, and hears of it
 * while it waits for B's answer: C's answer counts as well.
 */
static void attached_at_once(struct world *w)
{
	sc_begin(w, 3);
	sc_leave_behind(w, 20);
	sc_close(w);
	sc_detach(w, A);
	sc_detach(w, C);
	sc_join(w, A, C);
	sc_wait_conn(w, A, C, CONN_CONNECTED);
	simnet_hold_type(w, C, A, P_STATE, 500 * NS_MS);
	simnet_hold_type(w, B, A, P_STATE, 2 * NS_SEC);
	sc_attach(w, C);
	sc_attach(w, A);
	sc_wait_reunited(w, A, C);
	sc_join(w, B, C);
	life_expect_converged(w);
}

/*
 * B was down when A's disk failed, and finds its own only later, beside a Primary that is being
 * resynced: that one cannot be a source, but it knows that B lacks something.
 */
static void attached_beside_target(struct world *w)
{
	sc_begin(w, 3);
	sc_open(w, A);
	sc_write(w, 1);
	sc_kill_noticed(w, B, A);
	sc_unplug(w, B, C);
	w->nodes[A].disk.fail_writes = 1;
	sc_write(w, 2);
	sc_wait_disk(w, A, DISK_DISKLESS);
	sc_write(w, 3);
	w->nodes[B].disk.broken = true;
	sc_start(w, B);
	sc_wait_repl(w, B, A, REPL_ESTABLISHED);
	simnet_hold_type(w, C, A, P_RS_DATA_REPLY, 10 * NS_SEC);
	sc_attach(w, A);
	sc_wait_repl(w, A, C, REPL_SYNC_TARGET);
	sc_mend(w, B);
	sc_expect_honest(w);
	sc_expect(w, node_status(w, B)->volumes[0].disk == DISK_OUTDATED, "B knows that it is old");
	sc_write(w, 4);
	sc_detach_forced(w, A);
	sc_write(w, 5);
	sc_attach(w, A);
	sc_expect_honest(w);
	sc_join(w, B, C);
	life_expect_converged(w);
}

/*
 * A resync paused by its target, by its source, or by both: nothing travels, writes still go to
 * both, and what the pause has left is fetched afterwards. The flag outlives a connection.
 */
static void paused(struct world *w, bool by_target, bool by_source)
{
	struct ev_command pause = { .cmd = CMD_PAUSE_SYNC, .vnr = SIM_VNR, .peer = A };
	uint64_t before;

	sc_begin(w, 2);
	if (by_target)
		sc_command(w, B, pause, SS_SUCCESS);
	pause.peer = B;
	if (by_source)
		sc_command(w, A, pause, SS_SUCCESS);
	sc_make_difference(w, 50);
	before = sc_received(w, B, A);
	sc_join(w, A, B);
	sc_wait_repl(w, A, B, REPL_PAUSED_SYNC_S);
	sc_wait_repl(w, B, A, REPL_PAUSED_SYNC_T);
	/* Inside and outside of what is marked. */
	sc_write(w, 3 + 7 * 5);
	sc_write(w, 1000);
	sc_wait(w, 5000);
	sc_expect(w, sc_received(w, B, A) == before + 2 * BM_BLOCK_SECTORS, "nothing but writes");
	pause.cmd = CMD_RESUME_SYNC;
	if (by_source)
		sc_command(w, A, pause, SS_SUCCESS);
	if (by_source && by_target) {
		sc_wait(w, 2000);
		sc_wait_repl(w, A, B, REPL_PAUSED_SYNC_S);
	}
	pause.peer = A;
	if (by_target)
		sc_command(w, B, pause, SS_SUCCESS);
	life_expect_converged(w);
	no_full_sync(w, 60);
}

static void paused_by_target(struct world *w)
{
	paused(w, true, false);
}

static void paused_by_source(struct world *w)
{
	paused(w, false, true);
}

static void paused_by_both(struct world *w)
{
	paused(w, true, true);
}

/*
 * Resyncs of other resources come first: at the source, then at the target, then too many run. As
 * H18 the Primary writes meanwhile.
 */
static void other_resources_first(struct world *w)
{
	sc_begin(w, 2);
	resync_gate_set(w, A, true, false);
	sc_make_difference(w, 50);
	sc_join(w, A, B);
	sc_wait_repl(w, A, B, REPL_PAUSED_SYNC_S);
	sc_wait_repl(w, B, A, REPL_PAUSED_SYNC_T);
	sc_write(w, 3 + 7 * 5);
	sc_write(w, 1000);
	resync_gate_set(w, B, true, false);
	resync_gate_set(w, A, false, false);
	sc_wait(w, 2000);
	sc_expect(w, status_peer(node_status(w, A), B)->devices[0].susp_peer, "B comes later");
	sc_write(w, 1001);
	resync_gate_set(w, B, false, true);
	sc_wait(w, 2000);
	/* The limit is the target's; the source goes on waiting for requests. */
	sc_wait_repl(w, A, B, REPL_SYNC_SOURCE);
	sc_wait_repl(w, B, A, REPL_PAUSED_SYNC_T);
	sc_write(w, 3 + 7 * 6);
	resync_gate_set(w, B, false, false);
	life_expect_converged(w);
	no_full_sync(w, 60);
}

/*
 * Thin: what was discarded in blocks of 64 KiB travels as a word, a part of one as data, also where
 * the target holds something else.
 */
static void thin(struct world *w)
{
	uint64_t before;

	life_plain(w, w->scenario_seed, 2)->rs_discard_bytes = 64 << 10;
	life_set_up(w);
	sc_open(w, A);
	for (unsigned i = 0; i < 64; i++)
		sc_write(w, i);
	before = sc_received(w, B, A);
	sc_part(w, A, B);
	sc_discard(w, 0, 40); /* two blocks and a half */
	sc_write(w, 63);
	simnet_hold_type(w, A, B, P_RS_DEALLOCATED_ID, NS_SEC);
	sc_begin_resync(w, A, B);
	/* While the word is under way: the other 15 of that block are asked for in smaller ones. */
	sc_write(w, 5);
	life_expect_converged(w);
	sc_expect(w, sc_received(w, B, A) - before <= (8 + 2 + 15) * BM_BLOCK_SECTORS,
		  "zeroes do not travel");
}

/* Of two sources one is paused: the other one serves, and it is enough. */
static void paused_other_source(struct world *w)
{
	struct ev_command pause = { .cmd = CMD_PAUSE_SYNC, .vnr = SIM_VNR, .peer = B };

	sc_begin(w, 3);
	sc_leave_behind(w, 50);
	sc_close(w);
	simnet_hold_type(w, B, C, P_RS_DATA_REPLY, 2 * NS_SEC);
	sc_begin_resync(w, B, C);
	sc_command(w, C, pause, SS_SUCCESS);
	sc_join(w, A, C);
	life_expect_converged(w);
	no_full_sync_of(w, C, 60);
}

static bool all_up_to_date(struct world *w)
{
	for (unsigned i = 0; i < w->node_count; i++) {
		if (node_status(w, i)->volumes[0].disk != DISK_UP_TO_DATE)
			return false;
	}
	return true;
}

/* 9: a forced full resync is interrupted and goes on. */
static void full_sync_interrupted(struct world *w)
{
	sc_begin(w, 2);
	sc_open(w, A);
	for (unsigned i = 0; i < 10; i++)
		sc_write(w, 5 * i);
	sc_command(w, B, (struct ev_command){ .cmd = CMD_INVALIDATE, .vnr = SIM_VNR }, SS_SUCCESS);
	sc_wait_repl(w, B, A, REPL_SYNC_TARGET);
	simnet_hold_type(w, A, B, P_RS_DATA_REPLY, 5 * NS_SEC);
	sc_wait(w, 300);
	sc_expect(w, !all_up_to_date(w), "the resync takes longer than that");
	simnet_cut(w, A, B, false);
	sc_wait_conn(w, B, A, CONN_CONNECTING);
	life_expect_converged(w);
	sc_expect(w, sc_received(w, B, A) < w->params.device_sectors * 3 / 2,
		  "the resync goes on where it was");
}

/* 10: B is a target of A, C with an older generation joins; in the end all are equal. */
static void chain(struct world *w)
{
	sc_begin(w, 3);
	sc_open(w, A);
	sc_write(w, 0);
	sc_kill_noticed(w, C, A);
	sc_write(w, 10);
	sc_kill_noticed(w, B, A);
	sc_write_scattered(w, 0, 50);
	sc_unplug(w, A, C);
	sc_start(w, B);
	sc_wait_repl(w, B, A, REPL_SYNC_TARGET);
	sc_start(w, C);
	sc_wait(w, 5000);
	sc_join(w, A, C);
	life_expect_converged(w);
}

/*
 * C returns and reaches B before A, the Primary. What it lacks comes once: from A when the
 * connection is made soon, from B when it is not.
 */
static void return_beside_primary(struct world *w, bool cut)
{
	sc_begin(w, 3);
	sc_leave_behind(w, 50);
	sc_begin_resync(w, B, C);
	sc_wait(w, cut ? 40000 : 3000);
	if (cut)
		sc_expect(w, sc_received(w, C, B) >= 50 * BM_BLOCK_SECTORS, "B goes on alone");
	sc_join(w, A, C);
	life_expect_converged(w);
	if (cut)
		return;
	sc_expect(w, sc_received(w, C, B) == 0, "nothing from B");
	no_full_sync_of(w, C, 60);
}

static void return_primary_follows(struct world *w)
{
	return_beside_primary(w, false);
}

static void return_primary_cut_off(struct world *w)
{
	return_beside_primary(w, true);
}

/* Blocks of B differ from those of A, and C's do not; A is right, and is written to. */
static void verify_repairs(struct world *w)
{
	sc_begin(w, 3);
	sc_open(w, A);
	sc_write_scattered(w, 0, 30);
	for (unsigned i = 0; i < 20; i++)
		disk_block(&w->nodes[B].disk, 3 + 7 * i)->now[i % 8] ^= 1;
	sc_command(w, A, (struct ev_command){ .cmd = CMD_VERIFY, .vnr = SIM_VNR, .peer = B,
					      .has_start = true, .repair = true }, SS_SUCCESS);
	for (unsigned i = 0; i < 12; i++)
		sc_write_async(w, 3 + 14 * i);
	sc_wait_repl(w, A, B, REPL_SYNC_SOURCE);
	for (unsigned i = 0; i < 10; i++)
		sc_write(w, 4 + 7 * i);
	sc_wait_reunited(w, A, B);
	life_expect_converged(w);
}

/* B hears of what was found when that has been resynced: it must not mark it for ever. */
static void verify_result_late(struct world *w)
{
	sc_begin(w, 3);
	sc_open(w, A);
	sc_write(w, 3);
	disk_block(&w->nodes[B].disk, 3)->now[0] ^= 1;
	simnet_hold_type(w, A, B, P_OV_RESULT_ID, 400 * NS_MS);
	sc_command(w, A, (struct ev_command){ .cmd = CMD_VERIFY, .vnr = SIM_VNR, .peer = B,
					      .has_start = true, .repair = true }, SS_SUCCESS);
	sc_wait(w, 2000);
	sc_expect(w, sc_received(w, B, A) == 2 * BM_BLOCK_SECTORS,
		  "the block was written, and then resynced");
	life_expect_converged(w);
}

/*
 * C resyncs from B when A, which went on alone and crashed, becomes its source and is Primary
 * again: what C has then is newer than B, however well B has come through.
 */
static void crashed_source_is_newer(struct world *w)
{
	sc_begin(w, 3);
	sc_leave_behind(w, 20);
	sc_unplug(w, A, B);
	sc_wait_conn(w, A, B, CONN_CONNECTING);
	sc_write_scattered(w, 20, 30);
	sc_kill(w, A);
	sc_start(w, A);
	simnet_hold_type(w, B, C, P_RS_DATA_REPLY, NS_SEC);
	sc_begin_resync(w, B, C);
	sc_join(w, A, C);
	sc_wait_repl(w, C, A, REPL_PAUSED_SYNC_T);
	sc_open(w, A);
	sc_wait_repl(w, C, B, REPL_PAUSED_SYNC_T);
	sc_wait_repl(w, C, A, REPL_ESTABLISHED);
	sc_expect(w, node_status(w, C)->volumes[0].disk == DISK_UP_TO_DATE,
		  "C has all, and wants nothing of B");
	sc_join(w, A, B);
	life_expect_converged(w);
}

/* C counts as good, and is lost to B in the same moment. */
static void ends_unheard(struct world *w)
{
	sc_wait_disk(w, C, DISK_UP_TO_DATE);
	sc_unplug(w, B, C);
	simnet_cut(w, B, C, false);
	sc_wait(w, 1000);
	sc_expect(w, !status_peer_uptodate(node_status(w, B), C, SIM_VNR), "B has not heard of it");
}

/* What is written now, and not by B, must not be in the generation that C has. */
static void not_written_on(struct world *w, unsigned writer)
{
	uint64_t had = sc_uuid(w, C);

	sc_open(w, writer);
	sc_write(w, 500);
	sc_close(w);
	sc_expect(w, sc_uuid(w, writer) != had, "a new generation");
	sc_join(w, A, C);
	sc_join(w, B, C);
	life_expect_converged(w);
}

/* A was not there when C got from B what it missed, and the end of that did not get to B. */
static void end_unheard(struct world *w)
{
	static const unsigned writers[] = { A, B };

	for (unsigned i = 0; i < 3; i++) {
		sc_begin(w, 3);
		sc_leave_behind(w, 20);
		sc_close(w);
		simnet_hold_type(w, B, C, P_RS_DATA_REPLY, 100 * NS_MS);
		sc_begin_resync(w, B, C);
		simnet_hold_type(w, C, B, P_UUIDS110, 60 * NS_SEC);
		ends_unheard(w);
		if (i == 2)
			sc_restart(w, B);
		not_written_on(w, writers[i % 2]);
	}
}

/* C has resynced from B, which follows a Primary that C does not see: it has to once more. */
static void resync_again_with_nothing(struct world *w)
{
	sc_leave_behind(w, 20);
	sc_begin_resync(w, B, C);
	sc_wait_repl(w, C, B, REPL_ESTABLISHED);
	sc_expect(w, node_status(w, C)->volumes[0].disk == DISK_INCONSISTENT,
		  "there will be another resync");
	simnet_hold_type(w, C, B, P_COMPRESSED_BITMAP, 60 * NS_SEC);
	sc_close(w);
}

/* The same, and for B, a kernel, the resync had not begun: nothing was left to be asked for. */
static void end_unheard_before_start(struct world *w)
{
	w->kernels = 1;
	sc_begin(w, 3);
	resync_again_with_nothing(w);
	ends_unheard(w);
	not_written_on(w, A);
}

/*
 * C has nothing to ask for, and B has not begun: what is written there now C is told of, and does
 * not get. Without B it does not have that, and must not count as good.
 */
static void source_begins_first(struct world *w)
{
	sc_begin(w, 3);
	resync_again_with_nothing(w);
	sc_wait_repl(w, C, B, REPL_SYNC_TARGET);
	sc_open(w, B);
	sc_write(w, 500);
	sc_wait(w, 1000);
	sc_kill(w, A);
	sc_kill(w, B);
	sc_wait_conn(w, C, B, CONN_CONNECTING);
	sc_expect(w, node_status(w, C)->volumes[0].disk < DISK_UP_TO_DATE, "C lacks a write");
	sc_start(w, A);
	sc_start(w, B);
	sc_join(w, A, C);
	life_expect_converged(w);
}

const struct scenario scenarios_resync[] = {
	{ "8-bitmap-resync", bitmap_resync },
	{ "8-interrupted-start", interrupted_start },
	{ "8-interrupted-start-target", interrupted_start_target },
	{ "8-interrupted-middle", interrupted_middle },
	{ "8-interrupted-ack", interrupted_ack },
	{ "8-missed-end", missed_end },
	{ "generation-at-end", generation_at_end },
	{ "8-missed-end-reopen", missed_end_reopen },
	{ "8-missed-end-restart", missed_end_restart },
	{ "8-target-dies", target_dies },
	{ "8-source-dies", source_dies },
	{ "9-full-sync-interrupted", full_sync_interrupted },
	{ "10-chain", chain },
	{ "return-primary-follows", return_primary_follows },
	{ "return-primary-cut-off", return_primary_cut_off },
	{ "write-during-resync", write_during_resync },
	{ "write-during-exchange", write_during_exchange },
	{ "paused-by-target", paused_by_target },
	{ "paused-by-source", paused_by_source },
	{ "paused-by-both", paused_by_both },
	{ "paused-other-source", paused_other_source },
	{ "other-resources-first", other_resources_first },
	{ "thin", thin },
	{ "lost-before-it-begins", lost_before_it_begins },
	{ "attached-at-once", attached_at_once },
	{ "attached-beside-target", attached_beside_target },
	{ "crashed-source-is-newer", crashed_source_is_newer },
	{ "end-unheard", end_unheard },
	{ "end-unheard-before-start", end_unheard_before_start },
	{ "source-begins-first", source_begins_first },
	{ "verify-repairs", verify_repairs },
	{ "verify-result-late", verify_result_late },
	{ NULL, NULL },
};

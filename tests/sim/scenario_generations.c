/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Scenarios about generations and roles (states-and-resync 8.3, numbers 1 to 7). */
#include <stdio.h>

#include "scenario.h"

/* 1: A Primary, B; A crashes in every place of a write; restart: A is the source. */
static void crash_anywhere(struct world *w)
{
	for (unsigned at = 1; at < 40; at++) {
		sc_begin(w, 2);
		sc_open(w, A);
		sc_write(w, 1);
		w->nodes[A].die_after_actions = at;
		for (unsigned i = 0; i < 8 && w->nodes[A].up; i++)
			sc_write_async(w, 1 + i % 2 * 700);
		sc_wait(w, 1000);
		w->nodes[A].die_after_actions = 0;
		if (w->nodes[A].up)
			sc_kill(w, A);
		sc_wait(w, 1000);
		sc_kill(w, B);
		sc_start(w, A);
		sc_start(w, B);
		life_expect_converged(w);
	}
}

/* 2: a write reached B only when A died: both survivors are equal in the end. */
static void survivors_reconcile(struct world *w)
{
	sc_begin(w, 3);
	sc_open(w, A);
	sc_write(w, 1);
	simnet_stall(w, A, C, STREAM_DATA, 30 * NS_SEC);
	sc_write_async(w, 2);
	sc_wait(w, 200);
	sc_expect(w, disk_peek(&w->nodes[B].disk, 16) != disk_peek(&w->nodes[C].disk, 16),
		  "the write reached B only");
	sc_kill(w, A);
	simnet_stall(w, A, C, STREAM_DATA, 0);
	sc_wait_conn(w, B, A, CONN_CONNECTING);
	sc_wait_disk(w, B, DISK_UP_TO_DATE);
	sc_wait_disk(w, C, DISK_UP_TO_DATE);
	sc_wait(w, 2000);
	check_identical(w, "two survivors");
	sc_start(w, A);
	life_expect_converged(w);
}

/* The last thing that A did was a new generation, which reached C only and is not on its disk when
 * A is lost: with the same data both go on in it. */
static void survivors_share_generation(struct world *w)
{
	sc_begin(w, 3);
	sc_open(w, A);
	sc_write(w, 1);
	simnet_stall(w, A, B, STREAM_DATA, 30 * NS_SEC);
	w->nodes[A].disk.fail_writes = 1;
	w->nodes[A].disk.stall_until_ns = w->now_ns + 20 * NS_MS + NS_MS / 2;
	sc_write_async(w, 2);
	sc_wait(w, 10);
	w->nodes[C].disk.stall_until_ns = w->now_ns + 300 * NS_MS;
	/* Before the barrier, which C would have to wait for its disk with. */
	sc_wait(w, 11);
	sc_expect(w, node_status(w, A)->volumes[0].disk == DISK_DISKLESS, "A has lost its disk");
	sc_kill(w, A);
	simnet_stall(w, A, B, STREAM_DATA, 0);
	sc_wait_conn(w, B, A, CONN_CONNECTING);
	sc_wait_disk(w, B, DISK_UP_TO_DATE);
	sc_wait_disk(w, C, DISK_UP_TO_DATE);
	sc_wait(w, 1000);
	sc_expect(w, sc_uuid(w, B) == sc_uuid(w, C), "one generation");
	check_identical(w, "two survivors");
}

/* 3: as 2, and B-C is cut at the same moment. */
static void survivors_reconcile_later(struct world *w)
{
	sc_begin(w, 3);
	sc_open(w, A);
	sc_write(w, 1);
	simnet_stall(w, A, C, STREAM_DATA, 30 * NS_SEC);
	sc_write_async(w, 2);
	sc_wait(w, 200);
	sc_unplug(w, B, C);
	sc_kill(w, A);
	sc_part(w, B, C);
	simnet_stall(w, A, C, STREAM_DATA, 0);
	sc_wait(w, 3000);
	sc_join(w, B, C);
	sc_wait_reunited(w, B, C);
	sc_wait(w, 2000);
	check_identical(w, "two survivors that met later");
	sc_start(w, A);
	life_expect_converged(w);
}

/* 4: lose B, write, lose C; B and C meet: C is the source by bitmap. A returns. */
static void lose_one_then_other(struct world *w, bool write_alone)
{
	uint64_t received;

	sc_begin(w, 3);
	sc_open(w, A);
	sc_write(w, 1);
	sc_unplug(w, B, C);
	sc_part(w, A, B);
	sc_wait_conn(w, C, B, CONN_CONNECTING);
	sc_write(w, 2);
	sc_part(w, A, C);
	if (write_alone)
		sc_write(w, 3);
	sc_join(w, B, C);
	sc_wait_repl(w, C, B, REPL_ESTABLISHED);
	sc_wait_repl(w, B, C, REPL_ESTABLISHED);
	received = sc_received(w, B, C);
	sc_expect(w, received > 0 && received < 8 * 64, "B is resynced from C by bitmap");
	sc_join(w, A, B);
	sc_join(w, A, C);
	life_expect_converged(w);
}

static void lose_one_then_other_idle(struct world *w)
{
	lose_one_then_other(w, false);
}

static void lose_one_then_other_busy(struct world *w)
{
	lose_one_then_other(w, true);
}

/* The disks of both nodes fail in turn: what was
 * answered in between is on the one that failed last. */
static void both_disks_fail(struct world *w)
{
	static const unsigned order[][2] = { { A, B }, { B, A } };

	for (unsigned i = 0; i < 4; i++) {
		sc_begin(w, 2);
		sc_open(w, A);
		sc_write(w, 1);
		sc_wait(w, 500);
		w->nodes[B].disk.fail_writes = 1;
		/* Also in the moment when the generation that leaves B out is written. */
		w->nodes[A].disk.fail_meta = i / 2;
		sc_write_async(w, 1);
		sc_wait(w, 500);
		if (i < 2) {
			w->nodes[A].disk.fail_writes = 1;
			sc_write_async(w, 2);
		}
		sc_wait_disk(w, A, DISK_DISKLESS);
		sc_wait_disk(w, B, DISK_DISKLESS);
		sc_wait(w, 500);
		for (unsigned k = 0; k < 2; k++)
			sc_attach(w, order[i % 2][k]);
		life_expect_converged(w);
	}
}

/*
 * B loses its power, A its disk while it writes the generation that leaves B out: no flush may have
 * been answered that only A carried out.
 */
static void flush_without_generation(struct world *w)
{
	unsigned errors;

	sc_begin(w, 2);
	sc_open(w, A);
	sc_write(w, 1);
	sc_wait(w, 500);
	simnet_stall(w, A, B, -1, 10 * NS_SEC);
	errors = w->app.errors;
	sc_write_async(w, 1);
	app_do(w, OP_FLUSH, 0, 0);
	sc_wait(w, 100);
	node_kill(w, B, true);
	w->nodes[A].disk.fail_meta = 1;
	simnet_cut(w, A, B, false);
	sc_wait_disk(w, A, DISK_DISKLESS);
	sc_expect(w, w->app.errors == errors + 2, "neither write nor flush is answered as done");
}

/*
 * A has no disk, C is lost, B's disk fails while the generation that leaves C out is written: no
 * write may have been answered that only B has, be it of that generation or of the one before, nor
 * a flush that only B has carried out.
 */
static void answer_without_generation(struct world *w)
{
	for (unsigned i = 0; i < 3; i++) {
		unsigned errors;

		sc_begin(w, 3);
		sc_open(w, A);
		sc_write(w, 1);
		sc_detach(w, A);
		sc_write(w, 1);
		sc_wait(w, 500);
		errors = w->app.errors;
		if (i == 2) {
			/* Its barrier does not get through. */
			simnet_hold_type(w, A, C, P_BARRIER, 10 * NS_SEC);
			sc_write(w, 1);
		}
		simnet_stall(w, A, C, STREAM_DATA, 10 * NS_SEC);
		if (i == 0)
			sc_write_async(w, 1);
		if (i == 2)
			app_do(w, OP_FLUSH, 0, 0);
		sc_wait(w, 100);
		w->nodes[B].disk.fail_meta = 1;
		simnet_cut(w, A, C, false);
		if (i == 1) {
			sc_wait_conn(w, A, C, CONN_CONNECTING);
			sc_write_async(w, 1);
		}
		sc_wait_disk(w, B, DISK_DISKLESS);
		sc_wait(w, 100);
		sc_expect(w, w->app.errors == errors + 1, "the request is not answered as done");
	}
}

/* The Primary loses its power, the survivor its disk before it notices. */
static void survivor_loses_disk(struct world *w)
{
	sc_begin(w, 2);
	sc_open(w, A);
	sc_write(w, 1);
	sc_write(w, 2);
	simnet_stall(w, A, B, -1, 10 * NS_SEC);
	sc_power_cut(w, A);
	sc_detach_forced(w, B);
	sc_start(w, A);
	sc_wait_disk(w, A, DISK_UP_TO_DATE);
	sc_attach(w, B);
	life_expect_converged(w);
}

/*
 * A's disk fails with the generation that leaves C out, while B is about to end its resync from A:
 * B must not end at a generation that is on no disk: what A and C have would look old.
 */
static void target_of_a_generation_on_no_disk(struct world *w)
{
	sc_begin(w, 3);
	sc_open(w, A);
	sc_write(w, 1);
	sc_part(w, A, B);
	sc_part(w, B, C);
	for (unsigned i = 0; i < 10; i++)
		sc_write(w, 2 + 5 * i);
	simnet_hold_type(w, A, B, P_FLUSH_REQUESTS_ACK, 6 * NS_SEC);
	sc_begin_resync(w, A, B);
	sc_wait(w, 1000);
	sc_expect(w, sc_received(w, B, A) > 0, "B has got what it lacks");
	simnet_cut(w, A, C, false);
	sc_wait_conn(w, A, C, CONN_CONNECTING);
	sc_unplug(w, A, C);
	w->nodes[A].disk.fail_meta = 1;
	sc_write_async(w, 3);
	sc_wait_disk(w, A, DISK_DISKLESS);
	sc_wait(w, 8000);
	sc_attach(w, A);
	sc_join(w, A, C);
	sc_join(w, B, C);
	life_expect_converged(w);
}

/*
 * A is alone, and the superblock with its next generation cannot be written. Nobody has heard of
 * that one: what counts is what A's disk has, also as long as nobody else is in sight.
 */
static void generation_on_no_disk_alone(struct world *w)
{
	uint64_t before;

	sc_begin(w, 3);
	sc_open(w, A);
	sc_write(w, 1);
	sc_part(w, A, B);
	sc_write(w, 2);
	before = sc_uuid(w, A);
	sc_part(w, A, C);
	w->nodes[A].disk.fail_meta = 1;
	sc_write_async(w, 3);
	sc_wait_disk(w, A, DISK_DISKLESS);
	sc_attach(w, A);
	sc_wait_disk(w, A, DISK_UP_TO_DATE);
	sc_open(w, A);
	sc_write(w, 4);
	sc_expect(w, sc_uuid(w, A) != before, "another one leaves C behind");
	sc_join(w, A, B);
	sc_join(w, A, C);
	life_expect_converged(w);
}

/* The disk is attached after the node has told its peer, inside the handshake, that it has none. */
static void attached_in_handshake(struct world *w)
{
	sc_begin(w, 2);
	sc_open(w, B);
	sc_write(w, 1);
	sc_part(w, A, B);
	sc_wait_disk(w, A, DISK_UP_TO_DATE);
	sc_detach(w, A);
	simnet_hold_type(w, B, A, P_STATE, 3 * NS_SEC);
	sc_join(w, A, B);
	sc_wait(w, 2000);
	/* Nor does B any more have what it told. */
	sc_write(w, 1);
	sc_attach(w, A);
	sc_expect(w, node_status(w, A)->volumes[0].disk == DISK_UP_TO_DATE, "A is attached alone");
	sc_wait_conn(w, B, A, CONN_CONNECTED);
	sc_wait(w, 500);
	check_identical(w, "after an attach inside the handshake");
	life_expect_converged(w);
}

static void two_primaries(struct world *w)
{
	w->split_brain_ok = true;
	sc_begin(w, 2);
	w->split_brain_ok = true;
	sc_open(w, A);
	sc_write(w, 1);
	sc_part(w, A, B);
	sc_write(w, 2);
	sc_write_elsewhere(w, B, 3);
}

static void resolve(struct world *w)
{
	sc_wait_conn(w, A, B, CONN_STANDALONE);
	sc_wait_conn(w, B, A, CONN_STANDALONE);
	sc_expect(w, w->nodes[A].saw_split_brain && w->nodes[B].saw_split_brain,
		  "both ends report the split brain");
	sc_write(w, 4);
	sc_command(w, B, (struct ev_command){ .cmd = CMD_CONNECT, .peer = A,
					      .discard_my_data = true }, SS_SUCCESS);
	sc_command(w, A, (struct ev_command){ .cmd = CMD_CONNECT, .peer = B }, SS_SUCCESS);
	life_expect_converged(w);
}

/* C was away, and is behind both: it follows one, and is in a split brain with the other. */
static void split_brain_third(struct world *w)
{
	uint64_t a, b;

	w->split_brain_ok = true;
	sc_begin(w, 3);
	w->split_brain_ok = true;
	sc_open(w, A);
	sc_write(w, 1);
	sc_part(w, A, C);
	sc_part(w, B, C);
	sc_part(w, A, B);
	sc_write(w, 2);
	sc_close(w);
	sc_write_elsewhere(w, B, 3);
	sc_join(w, A, B);
	sc_wait_conn(w, A, B, CONN_STANDALONE);
	a = sc_uuid(w, A);
	b = sc_uuid(w, B);
	sc_join(w, A, C);
	simnet_hold_type(w, A, C, P_COMPRESSED_BITMAP, 2 * NS_SEC);
	sc_wait_repl(w, C, A, REPL_WF_BITMAP_T);
	sc_join(w, B, C);
	sc_wait_conn(w, C, B, CONN_STANDALONE);
	sc_expect(w, uuid_eq(a, sc_uuid(w, A)) && uuid_eq(b, sc_uuid(w, B)),
		  "neither follows the other by way of C");
	sc_expect(w, uuid_eq(a, sc_uuid(w, C)), "C follows A");
}

/* 5: both wrote while apart: split brain on both ends, discard-my-data resolves it. */
static void split_brain(struct world *w)
{
	two_primaries(w);
	sc_join(w, A, B);
	resolve(w);
}

static void give_up(struct world *w, unsigned loser, unsigned winner)
{
	struct ev_command ev = { .cmd = CMD_CONNECT, .peer = (uint8_t)winner,
				 .discard_my_data = true, .save_to = "undo" };

	sc_command(w, loser, ev, SS_SUCCESS);
	sc_command(w, winner, (struct ev_command){ .cmd = CMD_CONNECT, .peer = (uint8_t)loser },
		   SS_SUCCESS);
}

/* The same with what is given up saved before: a save that fails leaves everything as it was. */
static void split_brain_saved(struct world *w)
{
	uint64_t uuid;

	two_primaries(w);
	sc_join(w, A, B);
	sc_wait_conn(w, A, B, CONN_STANDALONE);
	sc_wait_conn(w, B, A, CONN_STANDALONE);
	uuid = sc_uuid(w, B);
	w->nodes[B].disk.fail_save = true;
	give_up(w, B, A);
	sc_wait(w, 5000);
	sc_expect(w, !w->nodes[B].disk.fail_save, "it was to be saved");
	sc_wait_conn(w, B, A, CONN_STANDALONE);
	sc_wait_conn(w, A, B, CONN_STANDALONE);
	sc_expect(w, sc_uuid(w, B) == uuid, "the generation is as it was");
	sc_write(w, 3);
	sc_write(w, 4);
	give_up(w, B, A);
	life_expect_converged(w);
	sc_read(w, 3);
}

/* 6: the same with one more generation in between. */
static void split_brain_twice(struct world *w)
{
	two_primaries(w);
	sc_close(w);
	sc_open(w, A);
	sc_write(w, 5);
	sc_join(w, A, B);
	resolve(w);
}

/* 7: promote, no write, demote, reconnect: nothing happens to the generation. */
static void idle_promotion(struct world *w)
{
	uint64_t uuid;

	sc_begin(w, 2);
	uuid = sc_uuid(w, A);
	sc_open(w, A);
	sc_close(w);
	sc_part(w, A, B);
	sc_open(w, B);
	sc_close(w);
	sc_join(w, A, B);
	life_expect_converged(w);
	sc_expect(w, sc_uuid(w, A) == uuid && sc_uuid(w, B) == uuid,
		  "the generation is unchanged");
}

/* A second Primary is refused while connected. */
static void one_primary(struct world *w)
{
	sc_begin(w, 3);
	sc_open(w, A);
	sc_command(w, B, (struct ev_command){ .cmd = CMD_PRIMARY }, SS_UNKNOWN_ERROR - 100);
	sc_expect(w, node_status(w, B)->role == ROLE_SECONDARY, "B stays Secondary");
	sc_write(w, 1);
	life_expect_converged(w);
}

/* Planned switch-over, back and forth. */
static void switch_over(struct world *w)
{
	sc_begin(w, 3);
	for (unsigned i = 0; i < 6; i++) {
		sc_open(w, i % 3);
		sc_write(w, i);
		sc_read(w, i / 2);
		sc_flush(w);
		sc_close(w);
	}
	life_expect_converged(w);
}

/* A promotion that a node hears of through a third one only:
 * what its own connection to the new Primary says is void. */
static void half_open_promotion(struct world *w)
{
	unsigned primary, stale;

	sc_begin(w, 3);
	sc_unplug(w, A, C);
	simnet_cut(w, A, C, true);
	sc_wait(w, 300);
	primary = status_peer(node_status(w, A), C)->conn == CONN_CONNECTED ? C : A;
	stale = primary == A ? C : A;
	sc_expect(w, status_peer(node_status(w, stale), primary)->conn == CONN_CONNECTED,
		  "one side has not noticed");
	sc_open(w, primary);
	sc_write(w, 1);
	sc_expect(w, status_peer(node_status(w, stale), primary)->conn != CONN_CONNECTED,
		  "the connection is given up");
	sc_expect(w, node_status(w, stale)->volumes[0].disk != DISK_UP_TO_DATE,
		  "what is not written to is not UpToDate");
	sc_join(w, A, C);
	life_expect_converged(w);
}

/* 15: two nodes want to be Primary at once: exactly one becomes it. */
static void promotion_race(struct world *w)
{
	sc_begin(w, 2);
	node_command(w, A, (struct ev_command){ .cmd = CMD_PRIMARY }, NULL, 0);
	node_command(w, B, (struct ev_command){ .cmd = CMD_PRIMARY }, NULL, 0);
	sc_wait(w, 10000);
	sc_expect(w, (node_status(w, A)->role == ROLE_PRIMARY) +
			     (node_status(w, B)->role == ROLE_PRIMARY) == 1,
		  "exactly one Primary");
	life_expect_converged(w);
}

/*
 * B loses its source A in the middle of a resync, or A its disk, and meets C, which was parted from
 * A before A was Primary with the last generation: C lacks what A has answered, and B knows of it.
 */
static void lose_source(struct world *w, bool disk_only)
{
	sc_begin(w, 3);
	sc_open(w, A);
	sc_write(w, 0);
	sc_kill_noticed(w, B, A);
	sc_write_scattered(w, 0, 50);
	sc_close(w);
	sc_part(w, A, C);
	sc_open(w, A);
	sc_write(w, 1);
	sc_unplug(w, B, C);
	simnet_hold_type(w, A, B, P_RS_DATA_REPLY, 20 * NS_SEC);
	sc_start(w, B);
	sc_wait_repl(w, B, A, REPL_SYNC_TARGET);
	sc_write(w, 2);
	if (disk_only) {
		sc_close(w);
		sc_detach_forced(w, A);
		sc_wait_repl(w, B, A, REPL_ESTABLISHED);
	} else {
		sc_kill_noticed(w, A, B);
	}
	sc_join(w, B, C);
	sc_wait_repl(w, B, C, REPL_ESTABLISHED);
	sc_wait(w, 3000);
	sc_expect(w, node_status(w, B)->volumes[0].disk == DISK_INCONSISTENT, "B waits for A");
	sc_expect(w, node_status(w, C)->volumes[0].disk == DISK_OUTDATED, "C knows that it is old");
}

/* Neither is good before A is back. */
static void source_lost_in_resync(struct world *w)
{
	lose_source(w, false);
	sc_join(w, A, C);
	sc_start(w, A);
	life_expect_converged(w);
}

static void source_disk_lost_in_resync(struct world *w)
{
	lose_source(w, true);
	sc_join(w, A, C);
	sc_attach(w, A);
	life_expect_converged(w);
}

/* Two targets lose it, and meet only then: neither is behind the other. */
static void source_lost_by_two(struct world *w)
{
	sc_begin(w, 3);
	sc_open(w, A);
	sc_write(w, 0);
	sc_kill_noticed(w, B, A);
	sc_kill_noticed(w, C, A);
	sc_write_scattered(w, 0, 50);
	sc_unplug(w, B, C);
	simnet_hold_type(w, A, B, P_RS_DATA_REPLY, 20 * NS_SEC);
	simnet_hold_type(w, A, C, P_RS_DATA_REPLY, 20 * NS_SEC);
	sc_start(w, B);
	sc_start(w, C);
	sc_wait_repl(w, B, A, REPL_SYNC_TARGET);
	sc_wait_repl(w, C, A, REPL_SYNC_TARGET);
	sc_kill_noticed(w, A, B);
	sc_join(w, B, C);
	sc_wait_repl(w, B, C, REPL_ESTABLISHED);
	sc_wait(w, 3000);
	sc_expect(w, status_peer(node_status(w, B), C)->conn == CONN_CONNECTED, "they stay so");
	sc_start(w, A);
	life_expect_converged(w);
}

/* A is gone for good: an operator decides for C, and B follows. */
static void source_lost_for_good(struct world *w)
{
	lose_source(w, false);
	sc_command(w, C, (struct ev_command){ .cmd = CMD_PRIMARY, .force = true }, SS_SUCCESS);
	sc_wait_reunited(w, B, C);
	sc_command(w, C, (struct ev_command){ .cmd = CMD_SECONDARY }, SS_SUCCESS);
}

const struct scenario scenarios_generations[] = {
	{ "1-crash-anywhere", crash_anywhere },
	{ "2-survivors-reconcile", survivors_reconcile },
	{ "survivors-share-generation", survivors_share_generation },
	{ "3-survivors-reconcile-later", survivors_reconcile_later },
	{ "4-lose-one-then-other", lose_one_then_other_idle },
	{ "4-lose-one-then-other-busy", lose_one_then_other_busy },
	{ "5-split-brain", split_brain },
	{ "split-brain-third", split_brain_third },
	{ "split-brain-saved", split_brain_saved },
	{ "6-split-brain-twice", split_brain_twice },
	{ "7-idle-promotion", idle_promotion },
	{ "15-promotion-race", promotion_race },
	{ "half-open-promotion", half_open_promotion },
	{ "both-disks-fail", both_disks_fail },
	{ "flush-without-generation", flush_without_generation },
	{ "answer-without-generation", answer_without_generation },
	{ "survivor-loses-disk", survivor_loses_disk },
	{ "attached-in-handshake", attached_in_handshake },
	{ "target-of-a-generation-on-no-disk", target_of_a_generation_on_no_disk },
	{ "generation-on-no-disk-alone", generation_on_no_disk_alone },
	{ "one-primary", one_primary },
	{ "switch-over", switch_over },
	{ "source-lost-in-resync", source_lost_in_resync },
	{ "source-disk-lost-in-resync", source_disk_lost_in_resync },
	{ "source-lost-by-two", source_lost_by_two },
	{ "source-lost-for-good", source_lost_for_good },
	{ NULL, NULL },
};

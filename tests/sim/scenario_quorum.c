/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Scenarios about quorum, Primaries without a disk,
 * and answers that wait (states-and-resync 4.8). */
#include "scenario.h"

static void begin(struct world *w, uint32_t min_redundancy)
{
	struct sim_params *p = life_plain(w, 1, 3);

	p->quorum = QUORUM_MAJORITY;
	p->quorum_min_redundancy = min_redundancy;
	life_set_up(w);
}

static enum disk_state disk_of_node(struct world *w, unsigned node)
{
	return node_status(w, node)->volumes[0].disk;
}

static bool same_block(struct world *w, unsigned a, unsigned b, uint64_t block)
{
	uint64_t s = block * BM_BLOCK_SECTORS;

	return disk_peek(&w->nodes[a].disk, s) == disk_peek(&w->nodes[b].disk, s);
}

static bool all_answered(struct world *w)
{
	return w->app.in_flight == 0;
}

/* The disk of A fails with a write; A goes on through the others. */
static void lose_disk(struct world *w, unsigned node)
{
	w->nodes[node].disk.fail_writes = 1;
	sc_write_async(w, 2);
	sc_wait_disk(w, node, DISK_DISKLESS);
}

static void attach(struct world *w, unsigned node)
{
	if (disk_of_node(w, node) == DISK_DISKLESS)
		sc_attach(w, node);
}

/* A is Primary without a disk when it is lost: the next Primary makes a new generation,
 * although the reference towards A says already that its disk is behind. */
static void primary_without_disk_is_lost(struct world *w)
{
	uint64_t shared;

	begin(w, QUORUM_OFF);
	sc_open(w, A);
	sc_write(w, 1);
	lose_disk(w, A);
	sc_wait(w, 1000);
	shared = sc_uuid(w, B);
	sc_part(w, A, B);
	sc_part(w, A, C);
	sc_write_elsewhere(w, B, 5);
	sc_expect(w, sc_uuid(w, B) != shared, "A does not know what B has written");
}

/*
 * A is Primary without a disk and without quorum, its write is on C only; B comes back with the
 * same generation: that does not make B good, and with B alone there is no answer.
 */
static void suspended_primary_meets(struct world *w, bool alone)
{
	begin(w, QUORUM_MAJORITY);
	sc_open(w, A);
	sc_write(w, 1);
	lose_disk(w, A);
	sc_wait(w, 1000);
	simnet_stall(w, A, B, STREAM_DATA, 30 * NS_SEC);
	sc_write_async(w, 3);
	sc_wait(w, 20);
	simnet_cut(w, A, B, false);
	simnet_stall(w, A, B, STREAM_DATA, 0);
	sc_wait_conn(w, B, A, CONN_CONNECTING);
	if (alone)
		sc_part(w, B, C);
	sc_expect(w, !same_block(w, B, C, 3) && w->app.in_flight == 1, "the write is on C only");
	sc_wait(w, 5);
	sc_wait_conn(w, A, B, CONN_CONNECTED);
	for (unsigned i = 0; i < 40; i++) {
		sc_wait(w, 5);
		sc_expect(w, same_block(w, B, C, 3) ||
				     (w->app.in_flight == 1 &&
				      (alone || disk_of_node(w, B) != DISK_UP_TO_DATE)),
			  "B is good only with the write");
	}
	sc_join(w, B, C);
	sc_wait_conn(w, B, C, CONN_CONNECTED);
	attach(w, A);
	life_expect_converged(w);
}

static void suspended_primary_meets_outdated(struct world *w)
{
	suspended_primary_meets(w, false);
}

static void suspended_primary_meets_unaware(struct world *w)
{
	suspended_primary_meets(w, true);
}

/* A is Primary and sync target of B, whose disk fails with a write that C has. It is not answered
 * before C is in a generation that B does not have, however late B's state comes. */
static void write_fails_at_the_source(struct world *w)
{
	uint64_t before;

	sc_begin(w, 3);
	sc_open(w, A);
	sc_write(w, 1);
	lose_disk(w, A);
	for (unsigned i = 0; i < 8; i++)
		sc_write(w, 10 + 3 * i);
	simnet_hold_type(w, B, A, P_RS_DATA_REPLY, NS_SEC);
	simnet_hold_type(w, C, A, P_RS_DATA_REPLY, NS_SEC);
	sc_attach(w, A);
	sc_wait(w, 20);
	before = sc_uuid(w, B);
	for (unsigned n = B; n <= C; n++) {
		const struct status_peer *sp = status_peer(node_status(w, A), n);

		if (sp->devices[0].repl == REPL_SYNC_TARGET)
			w->nodes[n].disk.fail_writes = 1;
	}
	sc_write_async(w, 7);
	world_run_until(w, all_answered, 200 * NS_MS);
	sc_expect(w, disk_of_node(w, A) == DISK_INCONSISTENT &&
			     (disk_of_node(w, B) == DISK_DISKLESS ||
			      disk_of_node(w, C) == DISK_DISKLESS),
		  "the source has lost its disk");
	sc_expect(w, w->app.in_flight || (sc_uuid(w, C) ? sc_uuid(w, C) : sc_uuid(w, B)) != before,
		  "a generation of its own");
	sc_wait(w, 1000);
	attach(w, B);
	attach(w, C);
	life_expect_converged(w);
}

/* A was Primary when it crashed; B, resynced from it, is Primary. The mark of A's crash ends, also
 * when the last acknowledgement of the resync comes after B's state. */
static void crash_mark_ends(struct world *w)
{
	const struct md_super *md;

	sc_begin(w, 2);
	sc_open(w, A);
	sc_write(w, 1);
	sc_part(w, A, B);
	for (unsigned i = 0; i < 20; i++)
		sc_write(w, 10 + 3 * i);
	sc_kill(w, A);
	sc_start(w, A);
	sc_wait(w, 200);
	w->nodes[B].disk.stall_until_ns = w->now_ns + 20 * NS_SEC;
	sc_join(w, A, B);
	sc_wait_repl(w, B, A, REPL_SYNC_TARGET);
	sc_open(w, B);
	simnet_hold_type(w, B, A, P_RS_WRITE_ACK, 300 * NS_MS);
	w->nodes[B].disk.stall_until_ns = 0;
	sc_wait_disk(w, B, DISK_UP_TO_DATE);
	sc_wait(w, 3000);
	md = core_md(w->nodes[A].core, SIM_VNR);
	sc_expect(w, md && !(md->flags & MDF_CRASHED_PRIMARY), "the crash is over");
	life_expect_converged(w);
}

/* The tie-breaker hears of the generation that B makes
 * without C before A knows that B is Primary. */
static void tiebreaker_hears_first(struct world *w)
{
	struct sim_params *p = life_plain(w, 1, 4);

	p->quorum = QUORUM_MAJORITY;
	p->tiebreaker = true;
	life_set_up(w);
	sc_kill(w, C);
	sc_wait_conn(w, A, C, CONN_CONNECTING);
	sc_wait_conn(w, B, C, CONN_CONNECTING);
	simnet_hold_type(w, B, A, P_TWOPC_COMMIT, 300 * NS_MS);
	sc_open(w, B);
	sc_write_async(w, 1);
	for (unsigned i = 0; i < 40; i++) {
		sc_wait(w, 10);
		sc_expect(w, disk_of_node(w, A) == DISK_UP_TO_DATE, "nobody went on without A");
	}
	sc_expect(w, w->app.in_flight == 0, "the write is done");
}

/* B becomes good while A, Primary without a disk, makes a generation: what B has told of its disk
 * and what it tells of its generation come in the wrong order. */
static void report_crosses_generation(struct world *w)
{
	begin(w, QUORUM_MAJORITY);
	sc_open(w, A);
	sc_write(w, 1);
	sc_kill(w, B);
	sc_wait_conn(w, A, B, CONN_CONNECTING);
	for (unsigned i = 0; i < 8; i++)
		sc_write(w, 10 + 3 * i);
	lose_disk(w, A);
	sc_wait(w, 500);
	sc_write_async(w, 5);
	w->nodes[B].disk.stall_until_ns = w->now_ns + 20 * NS_SEC;
	sc_start(w, B);
	w->nodes[B].disk.stall_until_ns = 0;
	sc_wait_repl(w, B, C, REPL_SYNC_TARGET);
	sc_wait_conn(w, B, A, CONN_CONNECTED);
	simnet_hold_type(w, B, A, P_UUIDS110, 300 * NS_MS);
	sc_wait_disk(w, B, DISK_UP_TO_DATE);
	sc_wait(w, 3000);
	sc_expect(w, status_peer_uptodate(node_status(w, A), B, SIM_VNR), "A takes B for good");
	sc_expect(w, w->app.in_flight == 0, "the writes are answered");
	attach(w, A);
	life_expect_converged(w);
}

/* A's disk fails with a write that B has: it is answered when B has the generation that says so on
 * its disk, or B's own failure would bring A's disk back without the write. */
static void answer_waits_for_generation(struct world *w)
{
	sc_begin(w, 2);
	sc_open(w, A);
	sc_write(w, 1);
	w->nodes[A].disk.fail_writes = 1;
	w->nodes[A].disk.stall_until_ns = w->now_ns + 20 * NS_MS;
	sc_write_async(w, 2);
	sc_wait(w, 10);
	w->nodes[B].disk.fail_meta = 1;
	sc_wait(w, 500);
	sc_expect(w, disk_of_node(w, A) == DISK_DISKLESS, "A has lost its disk");
	sc_expect(w, disk_of_node(w, B) == DISK_DISKLESS, "B could not write the generation");
	w->nodes[B].disk.fail_meta = 0;
	attach(w, B);
	attach(w, A);
	life_expect_converged(w);
}

/* A makes a generation that gets onto no disk, and loses its own. When all disks are in sight it
 * takes its own back; the connection is lost before that is settled. */
static void generation_on_no_disk(struct world *w)
{
	life_plain(w, 1, 2)->on_no_data = NO_DATA_SUSPEND;
	life_set_up(w);
	sc_open(w, A);
	sc_write(w, 1);
	simnet_stall(w, A, B, -1, 30 * NS_SEC);
	w->nodes[A].disk.fail_writes = 1;
	sc_write_async(w, 2);
	sc_wait_disk(w, A, DISK_DISKLESS);
	sc_part(w, A, B);
	simnet_stall(w, A, B, -1, 0);
	sc_wait(w, 1000);
	sc_join(w, A, B);
	sc_wait_conn(w, A, B, CONN_CONNECTED);
	simnet_stall(w, B, A, -1, 10 * NS_SEC);
	node_command(w, A, (struct ev_command){ .cmd = CMD_ATTACH, .vnr = SIM_VNR }, NULL, 0);
	sc_wait(w, 50);
	sc_part(w, A, B);
	simnet_stall(w, B, A, -1, 0);
	sc_wait_disk(w, A, DISK_OUTDATED);
	sc_join(w, A, B);
	sc_wait_conn(w, A, B, CONN_CONNECTED);
	life_expect_converged(w);
}

/* A makes a generation when its disk fails, B takes it over, and A does not hear of that before the
 * connection is lost: what A goes on from is the one before, and what B has is A's as well. */
static void generation_not_known_to_be_taken(struct world *w, bool attach_first)
{
	life_plain(w, 1, 2)->on_no_data = NO_DATA_SUSPEND;
	life_set_up(w);
	sc_open(w, A);
	sc_write(w, 1);
	simnet_stall(w, B, A, -1, 30 * NS_SEC);
	w->nodes[A].disk.fail_writes = 1;
	sc_write_async(w, 2);
	sc_wait_disk(w, A, DISK_DISKLESS);
	sc_wait(w, 20);
	sc_part(w, A, B);
	simnet_stall(w, B, A, -1, 0);
	sc_wait(w, 1000);
	if (attach_first) {
		node_command(w, A, (struct ev_command){ .cmd = CMD_ATTACH, .vnr = SIM_VNR }, NULL,
			     0);
		sc_wait(w, 1000);
		sc_expect(w, disk_of_node(w, A) == DISK_DISKLESS, "B may have newer data");
	}
	sc_join(w, A, B);
	sc_wait_conn(w, A, B, CONN_CONNECTED);
	sc_expect(w, world_run_until(w, all_answered, 30 * NS_SEC), "what waits is answered");
	attach(w, A);
	life_expect_converged(w);
}

static void generation_taken_unheard(struct world *w)
{
	generation_not_known_to_be_taken(w, false);
}

static void generation_taken_unheard_attach(struct world *w)
{
	generation_not_known_to_be_taken(w, true);
}

/* B takes over what A makes when its disk fails, and A does not hear of it; A's disk, which could
 * not be told, comes back while they are connected, and is alone before they have compared: B may
 * have newer data. */
static void generation_taken_unheard_in_attach(struct world *w)
{
	life_plain(w, 1, 2)->on_no_data = NO_DATA_IO_ERROR;
	life_set_up(w);
	sc_open(w, A);
	sc_write(w, 1);
	simnet_stall(w, B, A, -1, 30 * NS_SEC);
	w->nodes[A].disk.fail_writes = w->nodes[A].disk.fail_meta = 1;
	sc_write_async(w, 2);
	sc_wait_disk(w, A, DISK_DISKLESS);
	sc_wait(w, 20);
	node_command(w, A, (struct ev_command){ .cmd = CMD_ATTACH, .vnr = SIM_VNR }, NULL, 0);
	sc_wait(w, 20);
	sc_part(w, A, B);
	simnet_stall(w, B, A, -1, 0);
	sc_wait_disk(w, A, DISK_OUTDATED);
	sc_join(w, A, B);
	sc_wait_conn(w, A, B, CONN_CONNECTED);
	life_expect_converged(w);
}

/* What A makes when its disk fails gets to C alone, and A does not hear of it; A goes on with B,
 * with what has waited or after a rest, and C has older data. */
static void generation_goes_to_one(struct world *w, enum on_no_data on_no_data)
{
	life_plain(w, 1, 3)->on_no_data = on_no_data;
	life_set_up(w);
	sc_command(w, A, (struct ev_command){ .cmd = CMD_PRIMARY }, SS_SUCCESS);
	sc_open(w, A);
	sc_write(w, 1);
	simnet_stall(w, A, B, -1, 30 * NS_SEC);
	simnet_stall(w, C, A, -1, 30 * NS_SEC);
	simnet_stall(w, C, B, -1, 30 * NS_SEC);
	w->nodes[A].disk.fail_writes = 1;
	sc_write_async(w, 2);
	sc_wait_disk(w, A, DISK_DISKLESS);
	sc_wait(w, 20);
	sc_part(w, B, C);
	sc_part(w, A, C);
	sc_part(w, A, B);
	simnet_stall(w, A, B, -1, 0);
	simnet_stall(w, C, A, -1, 0);
	simnet_stall(w, C, B, -1, 0);
	sc_expect(w, sc_uuid(w, B) != sc_uuid(w, C), "only C has it");
	sc_wait(w, 1000);
	sc_join(w, A, B);
	sc_wait_conn(w, A, B, CONN_CONNECTED);
	sc_expect(w, world_run_until(w, all_answered, 30 * NS_SEC), "what waits is answered");
	attach(w, A);
	sc_wait_disk(w, A, DISK_UP_TO_DATE);
	if (w->app.phase == APP_IDLE)
		sc_open(w, A);
	sc_write(w, 3);
	sc_join(w, A, C);
	sc_join(w, B, C);
	sc_wait_conn(w, B, C, CONN_CONNECTED);
	life_expect_converged(w);
}

static void generation_taken_by_one(struct world *w)
{
	generation_goes_to_one(w, NO_DATA_SUSPEND);
}

static void generation_taken_by_one_idle(struct world *w)
{
	generation_goes_to_one(w, NO_DATA_IO_ERROR);
}

/* A forced detach waits behind suspend-io for a write; in the step that answers it the disk goes,
 * and quorum with it. */
static void detach_behind_write(struct world *w)
{
	life_plain(w, 1, 2)->quorum = 1;
	life_set_up(w);
	sc_open(w, A);
	sc_write(w, 1);
	sc_kill_noticed(w, B, A);
	sc_write(w, 1);
	w->nodes[A].disk.stall_until_ns = w->now_ns + NS_SEC;
	sc_write_async(w, 2);
	sc_wait(w, 20);
	node_command(w, A, (struct ev_command){ .cmd = CMD_SUSPEND_IO }, NULL, 0);
	node_command(w, A, (struct ev_command){ .cmd = CMD_DETACH, .vnr = SIM_VNR, .force = true },
		     NULL, 0);
	sc_wait_disk(w, A, DISK_DISKLESS);
	sc_expect(w, w->app.in_flight == 0 && w->oracle.failed == 0, "the write is answered first");
	sc_command(w, A, (struct ev_command){ .cmd = CMD_RESUME_IO }, SS_SUCCESS);
	sc_attach(w, A);
	sc_start(w, B);
	life_expect_converged(w);
}

/* The disks of A and B fail with one write; an earlier report of B's comes after the word of that,
 * and A makes a generation for B. It gets onto no disk: what B has is the latest. */
static void generation_for_a_lost_disk(struct world *w)
{
	life_plain(w, 1, 2)->on_no_data = NO_DATA_SUSPEND;
	life_set_up(w);
	sc_open(w, A);
	sc_write(w, 1);
	lose_disk(w, A);
	sc_wait(w, 500);
	for (unsigned i = 0; i < 8; i++)
		sc_write(w, 10 + 3 * i);
	simnet_hold_type(w, B, A, P_RS_DATA_REPLY, NS_SEC);
	sc_attach(w, A);
	sc_wait_disk(w, A, DISK_INCONSISTENT);
	simnet_hold_type(w, B, A, P_STATE, 200 * NS_MS);
	w->nodes[A].disk.fail_writes = w->nodes[B].disk.fail_writes = 1;
	sc_write_async(w, 7);
	sc_wait_disk(w, B, DISK_DISKLESS);
	sc_wait(w, 3000);
	attach(w, B);
	sc_expect(w, world_run_until(w, all_answered, 30 * NS_SEC), "what waits is answered");
	attach(w, A);
	life_expect_converged(w);
}

/* A is Primary and cut off, B goes on with C; A's disk is detached, and comes back when A sees both
 * again: what A's users have seen is not exchanged for what B has written. */
static void attach_to_other_data(struct world *w)
{
	struct sim_params *p = life_plain(w, 1, 3);

	p->quorum = QUORUM_MAJORITY;
	p->on_no_data = NO_DATA_SUSPEND;
	life_set_up(w);
	sc_open(w, A);
	sc_write(w, 1);
	sc_part(w, A, B);
	sc_part(w, A, C);
	sc_write_async(w, 2);
	sc_write_elsewhere(w, B, 5);
	sc_detach_forced(w, A);
	sc_join(w, A, B);
	sc_join(w, A, C);
	sc_wait_conn(w, A, B, CONN_CONNECTED);
	node_command(w, A, (struct ev_command){ .cmd = CMD_ATTACH, .vnr = SIM_VNR }, NULL, 0);
	sc_wait(w, 15000);
	sc_expect(w, disk_of_node(w, A) != DISK_UP_TO_DATE && w->app.in_flight == 1,
		  "A waits for its own data");
	sc_command(w, A, (struct ev_command){ .cmd = CMD_SECONDARY, .force = true }, SS_SUCCESS);
	attach(w, A);
	life_expect_converged(w);
}

/* H26: A loses C and then quorum; when it has quorum again through C, and later B, both get what
 * they lack. */
static void h26_resync_after_quorum(struct world *w)
{
	begin(w, QUORUM_OFF);
	sc_open(w, A);
	sc_write(w, 1);
	sc_kill(w, C);
	sc_wait_conn(w, A, C, CONN_CONNECTING);
	sc_write(w, 2);
	sc_part(w, A, B);
	sc_write_async(w, 3);
	sc_wait(w, 1000);
	sc_expect(w, w->app.in_flight == 1, "the write waits for quorum");
	sc_start(w, C);
	sc_expect(w, world_run_until(w, all_answered, 30 * NS_SEC), "C gives quorum");
	sc_wait_disk(w, C, DISK_UP_TO_DATE);
	sc_expect(w, same_block(w, A, C, 2) && same_block(w, A, C, 3), "C has all writes");
	sc_join(w, A, B);
	life_expect_converged(w);
}

/* A and B have lost their power, and C, which was Primary, has not: it has all that was answered,
 * also when the two have found each other first. */
static void two_return_together(struct world *w)
{
	sc_begin(w, 3);
	sc_open(w, C);
	sc_write(w, 1);
	sc_flush(w);
	simnet_hold_type(w, C, A, P_BARRIER, NS_SEC);
	simnet_hold_type(w, C, B, P_BARRIER, NS_SEC);
	for (unsigned i = 0; i < 8; i++)
		sc_write_async(w, 2 + i);
	world_run_until(w, all_answered, 200 * NS_MS);
	sc_power_cut(w, A);
	sc_power_cut(w, B);
	sc_wait_conn(w, C, A, CONN_CONNECTING);
	sc_wait_conn(w, C, B, CONN_CONNECTING);
	sc_close(w);
	sc_unplug(w, A, C);
	sc_unplug(w, B, C);
	sc_start(w, A);
	sc_start(w, B);
	sc_wait_conn(w, A, B, CONN_CONNECTED);
	sc_wait_reunited(w, A, B);
	/* A has been here for longer than B now. */
	sc_restart(w, B);
	sc_wait_conn(w, B, A, CONN_CONNECTED);
	sc_wait_reunited(w, A, B);
	sc_join(w, B, C);
	sc_wait_conn(w, B, C, CONN_CONNECTED);
	sc_join(w, A, C);
	life_expect_converged(w);
	sc_expect_honest(w);
}

/* A has lost quorum and has it again: no write begins before its disk knows that it has. */
static void quorum_mark_ends(struct world *w)
{
	begin(w, QUORUM_OFF);
	sc_kill(w, C);
	sc_wait_conn(w, A, C, CONN_CONNECTING);
	sc_open(w, A);
	sc_write(w, 1);
	sc_part(w, A, B);
	sc_wait(w, 6000);
	sc_join(w, A, B);
	sc_wait_reunited(w, A, B);
	sc_write(w, 2);
	sc_power_cut(w, A);
	sc_wait_conn(w, B, A, CONN_CONNECTING);
	sc_start(w, A);
	sc_wait_disk(w, A, DISK_UP_TO_DATE);
	sc_expect(w, !(core_md(w->nodes[A].core, SIM_VNR)->flags & MDF_PRIMARY_LOST_QUORUM),
		  "A was not without quorum when it was lost");
	sc_start(w, C);
	life_expect_converged(w);
}

static bool role_is_secondary(struct world *w)
{
	return node_status(w, A)->role == ROLE_SECONDARY;
}

/* H48: A is cut off, and its ping-timeout is so long that it does not notice; B takes over. What A
 * has begun since is not answered, and it gives way. */
static void h48_late_notice(struct world *w)
{
	begin(w, QUORUM_OFF);
	sc_kill(w, A);
	w->nodes[A].conf.on_suspended_primary_outdated = OUTDATED_FORCE_SECONDARY;
	for (unsigned i = 0; i < w->nodes[A].conf.peer_count; i++)
		w->nodes[A].conf.peers[i].net.ping_timeout_ds = 300;
	sc_start(w, A);
	sc_wait_disk(w, A, DISK_UP_TO_DATE);
	sc_open(w, A);
	sc_write(w, 1);
	sc_unplug(w, A, B);
	sc_unplug(w, A, C);
	sc_wait_conn(w, B, A, CONN_CONNECTING);
	sc_wait_conn(w, C, A, CONN_CONNECTING);
	sc_write_async(w, 2);
	sc_write_elsewhere(w, B, 5);
	sc_command(w, B, (struct ev_command){ .cmd = CMD_OPEN, .vnr = SIM_VNR, .write = true }, 0);
	sc_expect(w, node_status(w, A)->volumes[0].quorum, "A has not noticed");
	sc_wait_conn(w, A, B, CONN_CONNECTING);
	sc_wait_conn(w, A, C, CONN_CONNECTING);
	sc_wait(w, 1000);
	sc_expect(w, w->app.in_flight == 1, "what A has begun waits");
	sc_command(w, B, (struct ev_command){ .cmd = CMD_CLOSE, .vnr = SIM_VNR, .write = true }, 0);
	sc_join(w, A, B);
	sc_join(w, A, C);
	sc_expect(w, world_run_until(w, role_is_secondary, 30 * NS_SEC), "A gives way");
	sc_wait_conn(w, A, B, CONN_CONNECTED);
	life_expect_converged(w);
	sc_expect(w, w->app.in_flight == 0, "what A had begun has failed");
}

/* A leaves in good order, and is brought up to date by B while C sees neither; then B leaves C. */
static void outdated_comes_back_elsewhere(struct world *w)
{
	begin(w, QUORUM_OFF);
	sc_open(w, C);
	sc_write(w, 1);
	sc_wait(w, 1000);
	sc_part(w, A, B);
	sc_command(w, C, (struct ev_command){ .cmd = CMD_DISCONNECT, .peer = A }, SS_SUCCESS);
	sc_wait_disk(w, A, DISK_OUTDATED);
	sc_part(w, B, C);
	sc_join(w, A, B);
	sc_wait_repl(w, A, B, REPL_ESTABLISHED);
	sc_wait_disk(w, A, DISK_UP_TO_DATE);
	sc_wait(w, 1000);
	sc_part(w, A, B);
	sc_join(w, B, C);
	sc_wait_repl(w, C, B, REPL_ESTABLISHED);
	sc_wait(w, 1000);
	/* Only forced: A may be good by now. */
	sc_command(w, C,
		   (struct ev_command){ .cmd = CMD_DISCONNECT, .peer = B, .force = true },
		   SS_SUCCESS);
	sc_join(w, A, B);
	sc_wait_repl(w, B, A, REPL_ESTABLISHED);
	sc_wait(w, 1000);
	sc_expect(w, node_status(w, A)->volumes[0].quorum, "A and B have quorum");
	sc_expect(w, !node_status(w, C)->volumes[0].quorum, "C has none besides");
}

/*
 * B misses what A writes, which keeps its quorum by the tie-breaker C. After a restart of all only
 * the disk of B is there: for C, too, it is one of two.
 */
static void disk_fails_beside_tiebreaker(struct world *w)
{
	life_plain(w, 1, 3);
	w->params.quorum = QUORUM_MAJORITY;
	w->params.tiebreaker = true;
	life_set_up(w);
	sc_start_without_disk(w, B);
	sc_open(w, C);
	sc_write(w, 1);
	sc_close(w);
	sc_expect(w, node_status(w, A)->volumes[0].quorum, "A and C keep it");
	for (unsigned n = 0; n < 3; n++)
		sc_kill(w, n);
	w->nodes[B].disk.broken = false;
	sc_start(w, B);
	sc_start(w, C);
	sc_start_without_disk(w, A);
	sc_wait_repl(w, C, B, REPL_ESTABLISHED);
	sc_expect(w, !node_status(w, B)->volumes[0].quorum, "B has one of two disks");
	sc_expect(w, !node_status(w, C)->volumes[0].quorum, "C sees one of two disks");
	sc_mend(w, A);
	sc_wait_reunited(w, A, B);
	sc_open(w, C);
	sc_read(w, 1);
	life_expect_converged(w);
}

/*
 * A has no disk, and gets its quorum back by that of C, which is being attached. A does not know
 * yet what C is worth: what A writes now passes C by, and the generation must not become C's.
 */
static void write_passes_attaching_disk(struct world *w)
{
	begin(w, QUORUM_OFF);
	sc_open(w, A);
	sc_write(w, 1);
	sc_detach_forced(w, A);
	sc_write(w, 2);
	/* Until no extent is hot any more: that of C would be resynced. */
	sc_wait(w, 15000);
	sc_kill(w, C);
	sc_wait_conn(w, A, C, CONN_CONNECTING);
	sc_wait_conn(w, B, C, CONN_CONNECTING);
	sc_part(w, A, B);
	sc_part(w, B, C);
	sc_write_async(w, 3);
	w->nodes[C].disk.broken = true;
	sc_start(w, C);
	sc_wait_conn(w, A, C, CONN_CONNECTED);
	sc_join(w, B, C);
	sc_wait_disk(w, B, DISK_OUTDATED);
	sc_join(w, A, B);
	sc_wait_conn(w, A, B, CONN_CONNECTED);
	simnet_hold_type(w, C, A, P_SIZES, 400 * NS_MS);
	simnet_hold_type(w, A, C, P_CURRENT_UUID, 100 * NS_MS);
	sc_mend(w, C);
	sc_wait(w, 200);
	sc_expect(w, w->app.in_flight == 0 && !w->app.errors, "the write succeeds");
	sc_expect_honest(w);
	sc_attach(w, A);
	life_expect_converged(w);
}

/*
 * C is Primary and has lost quorum with a write under way. A attaches its disk, and is good by what
 * B, which is behind, says of it; what C says comes later, and must be understood as C means it.
 */
static void attached_by_another_word(struct world *w)
{
	begin(w, QUORUM_OFF);
	sc_open(w, C);
	sc_write(w, 1);
	sc_kill_noticed(w, B, C);
	sc_wait_conn(w, A, B, CONN_CONNECTING);
	sc_write(w, 2);
	simnet_stall(w, C, A, STREAM_DATA, 30 * NS_SEC);
	sc_write_async(w, 3);
	sc_wait(w, 20);
	w->nodes[A].disk.fail_meta = 1;
	sc_part(w, C, A);
	sc_part(w, C, B);
	simnet_stall(w, C, A, STREAM_DATA, 0);
	sc_wait_disk(w, A, DISK_DISKLESS);
	sc_start(w, B);
	sc_wait_conn(w, A, B, CONN_CONNECTED);
	sc_join(w, C, A);
	sc_wait_conn(w, A, C, CONN_CONNECTED);
	sc_wait(w, 1000);
	simnet_hold_type(w, C, A, P_STATE, 300 * NS_MS);
	sc_attach(w, A);
	sc_wait(w, 500);
	sc_expect(w, status_peer(node_status(w, C), A)->conn == CONN_CONNECTED, "both agree");
	sc_wait(w, 1500);
	sc_expect(w, node_status(w, C)->role == ROLE_PRIMARY && w->app.in_flight == 0,
		  "the write of C is answered");
	sc_expect_honest(w);
	sc_join(w, C, B);
	life_expect_converged(w);
}

/* H62: requests wait for quorum; the node connects and obeys all the same. */
static void h62_work_while_requests_wait(struct world *w)
{
	begin(w, QUORUM_OFF);
	sc_open(w, A);
	sc_write(w, 1);
	simnet_stall(w, A, B, STREAM_DATA, 60 * NS_SEC);
	simnet_stall(w, A, C, STREAM_DATA, 60 * NS_SEC);
	for (unsigned i = 0; i < 8; i++)
		sc_write_async(w, 2 + 3 * i);
	sc_wait(w, 20);
	sc_part(w, A, B);
	sc_part(w, A, C);
	simnet_stall(w, A, B, STREAM_DATA, 0);
	simnet_stall(w, A, C, STREAM_DATA, 0);
	sc_wait(w, 1000);
	sc_expect(w, w->app.in_flight == 8, "the writes wait for quorum");
	sc_command(w, A, (struct ev_command){ .cmd = CMD_DISCONNECT, .peer = C }, SS_SUCCESS);
	sc_command(w, A, (struct ev_command){ .cmd = CMD_CONNECT, .peer = C }, SS_SUCCESS);
	sc_expect(w, w->app.in_flight == 8, "they wait still");
	sc_join(w, A, C);
	sc_wait_conn(w, A, C, CONN_CONNECTED);
	sc_expect(w, world_run_until(w, all_answered, 5 * NS_SEC), "C gives quorum");
	sc_join(w, A, B);
	life_expect_converged(w);
}

/*
 * C gets from B all that is left, nothing, and counts as good before B has begun the resync, when
 * it is lost. For quorum B must not go by what it knew of C last: it does not let A go, which would
 * be Outdated for B and still have quorum with C.
 */
static void target_ends_unheard(struct world *w)
{
	w->kernels = 1;
	begin(w, QUORUM_OFF);
	sc_leave_behind(w, 20);
	sc_begin_resync(w, B, C);
	sc_wait_repl(w, C, B, REPL_ESTABLISHED);
	simnet_hold_type(w, C, B, P_COMPRESSED_BITMAP, 60 * NS_SEC);
	sc_close(w);
	sc_wait_disk(w, C, DISK_UP_TO_DATE);
	sc_unplug(w, B, C);
	simnet_cut(w, B, C, false);
	sc_open(w, B);
	sc_command(w, B, (struct ev_command){ .cmd = CMD_DISCONNECT, .peer = A }, SS_NO_QUORUM);
	sc_expect(w, status_peer(node_status(w, B), A)->conn == CONN_CONNECTED,
		  "B does not let A go");
	sc_join(w, A, C);
	sc_join(w, B, C);
	life_expect_converged(w);
}

const struct scenario scenarios_quorum[] = {
	{ "primary-without-disk-is-lost", primary_without_disk_is_lost },
	{ "suspended-primary-meets-outdated", suspended_primary_meets_outdated },
	{ "suspended-primary-meets-unaware", suspended_primary_meets_unaware },
	{ "write-fails-at-the-source", write_fails_at_the_source },
	{ "crash-mark-ends", crash_mark_ends },
	{ "tiebreaker-hears-first", tiebreaker_hears_first },
	{ "report-crosses-generation", report_crosses_generation },
	{ "answer-waits-for-generation", answer_waits_for_generation },
	{ "generation-on-no-disk", generation_on_no_disk },
	{ "generation-taken-unheard", generation_taken_unheard },
	{ "generation-taken-unheard-attach", generation_taken_unheard_attach },
	{ "generation-taken-unheard-in-attach", generation_taken_unheard_in_attach },
	{ "detach-behind-write", detach_behind_write },
	{ "attach-to-other-data", attach_to_other_data },
	{ "generation-taken-by-one", generation_taken_by_one },
	{ "generation-taken-by-one-idle", generation_taken_by_one_idle },
	{ "generation-for-a-lost-disk", generation_for_a_lost_disk },
	{ "two-return-together", two_return_together },
	{ "quorum-mark-ends", quorum_mark_ends },
	{ "H26-resync-after-quorum", h26_resync_after_quorum },
	{ "H48-late-notice", h48_late_notice },
	{ "outdated-comes-back-elsewhere", outdated_comes_back_elsewhere },
	{ "disk-fails-beside-tiebreaker", disk_fails_beside_tiebreaker },
	{ "write-passes-attaching-disk", write_passes_attaching_disk },
	{ "attached-by-another-word", attached_by_another_word },
	{ "H62-work-while-requests-wait", h62_work_while_requests_wait },
	{ "quorum-target-ends-unheard", target_ends_unheard },
	{ NULL, NULL },
};

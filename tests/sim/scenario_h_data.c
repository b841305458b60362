/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Faults that DRBD has had, data lost or diverged silently (reliability 3.1): all nodes with
 * their disks. */
#include "scenario.h"

/* H1: equal generations, of which one side has bits and the other was restarted. */
static void h1_bits_left(struct world *w)
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
	sc_restart(w, C);
	sc_wait(w, 2000);
	sc_join(w, B, C);
	sc_wait_reunited(w, B, C);
	sc_wait(w, 1000);
	check_identical(w, "after the links came back");
	sc_start(w, A);
	life_expect_converged(w);
}

/* H8: C is not configured when A declares its data new; it returns with the old generation. */
static void h8_unconfigured(struct world *w)
{
	struct core_conf *conf;
	unsigned peers;

	sc_begin(w, 2);
	conf = &w->nodes[A].conf;
	sc_open(w, A);
	sc_write(w, 1);
	sc_close(w);
	sc_kill(w, A);
	peers = conf->peer_count;
	conf->peer_count = 0;
	sc_start(w, A);
	sc_wait_disk(w, A, DISK_UP_TO_DATE);
	sc_open(w, A);
	sc_write(w, 3000);
	sc_close(w);
	sc_command(w, A, (struct ev_command){ .cmd = CMD_NEW_CURRENT_UUID, .vnr = SIM_VNR,
					      .clear_bitmap = true }, SS_SUCCESS);
	sc_open(w, A);
	sc_write(w, 2);
	sc_write(w, 700);
	sc_close(w);
	sc_command(w, A, (struct ev_command){ .cmd = CMD_SHUTDOWN }, SS_SUCCESS);
	sc_kill(w, A);
	conf->peer_count = peers;
	sc_start(w, A);
	life_expect_converged(w);
}

/* H11: the nodes begin with one generation that was given to them; the first Primary writes, and a
 * node comes back as it was in the beginning. */
static void h11_day_0(struct world *w)
{
	sc_begin(w, 3);
	for (unsigned n = A; n <= C; n++) {
		sc_kill(w, n);
		sc_day_0(w, n);
	}
	sc_keep_disk(w, C);
	for (unsigned n = A; n <= C; n++)
		sc_start(w, n);
	life_expect_converged(w);
	sc_open(w, A);
	sc_write(w, 1);
	sc_write(w, 700);
	sc_kill(w, C);
	sc_old_disk(w, C);
	sc_start(w, C);
	life_expect_converged(w);
}

/*
 * The same when all slots are given away: the reference of the first day that every other node id
 * has stands for no bitmap, and the disk is resynced in full.
 */
static void first_day_without_slot(struct world *w)
{
	sc_begin(w, 3);
	for (unsigned n = A; n <= C; n++) {
		sc_kill(w, n);
		sc_day_0(w, n);
	}
	sc_keep_disk(w, C);
	for (unsigned n = A; n <= C; n++)
		sc_start(w, n);
	life_expect_converged(w);
	sc_open(w, A);
	sc_write(w, 1);
	sc_close(w);
	/* The activity log names no extent any more. */
	for (unsigned n = A; n <= B; n++) {
		sc_restart(w, n);
		life_expect_converged(w);
	}
	sc_kill(w, C);
	sc_old_disk(w, C);
	check_difference_covered(w, "a disk of the first day is here");
	sc_start(w, C);
	life_expect_converged(w);
	sc_expect(w, disk_peek(&w->nodes[C].disk, 8) == disk_peek(&w->nodes[A].disk, 8),
		  "C has the block");
}

/*
 * H14: the target has all by checksums while the word of a write is still on its way to it. A
 * drbdfs source says behind that word that it has begun; with a kernel only the flush tells.
 */
static void h14_out_of_sync_on_its_way(struct world *w)
{
	w->kernels = 1;
	life_plain(w, w->scenario_seed, 2)->csums = true;
	life_set_up(w);
	sc_open(w, A);
	sc_write(w, 1);
	simnet_hold_type(w, B, A, P_WRITE_ACK, 5 * NS_SEC);
	sc_write_async(w, 2);
	sc_wait(w, 500);
	sc_expect(w, disk_peek(&w->nodes[A].disk, 16) == disk_peek(&w->nodes[B].disk, 16),
		  "B has the block that A marks");
	sc_unplug(w, A, B);
	sc_part(w, A, B);
	simnet_hold_type(w, B, A, P_COMPRESSED_BITMAP, 2 * NS_SEC);
	sc_join(w, A, B);
	sc_wait_repl(w, A, B, REPL_WF_BITMAP_S);
	simnet_hold_type(w, A, B, P_OUT_OF_SYNC, 6 * NS_SEC);
	sc_write(w, 3);
	sc_wait_repl(w, B, A, REPL_SYNC_TARGET);
	for (unsigned i = 0; i < 50; i++) {
		sc_wait(w, 100);
		check_primary_peers(w);
		sc_expect_honest(w);
	}
	life_expect_converged(w);
	sc_expect(w, sc_received(w, B, A) <= 4 * BM_BLOCK_SECTORS, "B had the other blocks");
}

/* H16: what a resync brings is missing at third nodes. */
static void third_node(struct world *w, uint32_t rs_discard_bytes)
{
	life_plain(w, w->scenario_seed, 3)->rs_discard_bytes = rs_discard_bytes;
	life_set_up(w);
	sc_open(w, A);
	for (unsigned i = 500; i < 564; i++)
		sc_write(w, i);
	/* In another extent: no activity log covers those of the resync. */
	sc_write(w, 3000);
	sc_part(w, A, B);
	sc_part(w, A, C);
	sc_write_scattered(w, 0, 50);
	sc_discard(w, 500, 64);
	sc_unplug(w, B, C);
	sc_part(w, B, C);
	sc_begin_resync(w, A, B);
	sc_wait(w, 300);
	sc_expect(w, sc_received(w, B, A) > 0, "B has got something");
	sc_part(w, A, B);
	sc_join(w, B, C);
	sc_wait(w, 3000);
	check_difference_covered(w, "a target that lost its source, and a third node");
	sc_join(w, A, B);
	sc_join(w, A, C);
	life_expect_converged(w);
}

static void h16_third_node(struct world *w)
{
	third_node(w, 0);
}

/* As the bug was: the resync brings that something was discarded. */
static void h16_thin(struct world *w)
{
	third_node(w, 16 << 10);
}

/* H17: a barrier is not acknowledged before a write that is held up. */
static void h17_barrier_of_held_write(struct world *w)
{
	sim_params_protocol(life_plain(w, w->scenario_seed, 2), PROTOCOL_A);
	life_set_up(w);
	sc_open(w, A);
	sc_write(w, 1);
	sc_wait(w, 1000);
	w->nodes[B].disk.stall_until_ns = w->now_ns + 30 * NS_SEC;
	/* Cold extents: they wait for the activity log. */
	for (unsigned i = 1; i < 4; i++)
		sc_write(w, 1 + i * 1024);
	sc_wait(w, 100);
	sc_expect(w, status_peer(node_status(w, A), B)->conn == CONN_CONNECTED,
		  "no acknowledgement says more than there is");
	simnet_cut(w, A, B, false);
	sc_wait_conn(w, A, B, CONN_CONNECTING);
	node_kill(w, B, true);
	sc_start(w, B);
	life_expect_converged(w);
}

/* H18: a disk that is Outdated in the eyes of a new Primary, for want of the latest news. */
static void h18_outdated(struct world *w)
{
	sc_begin(w, 3);
	sc_open(w, A);
	sc_write(w, 1);
	sc_command(w, A, (struct ev_command){ .cmd = CMD_DISCONNECT, .peer = B }, SS_SUCCESS);
	sc_wait_disk(w, B, DISK_OUTDATED);
	simnet_hold_type(w, B, C, P_STATE, 3 * NS_SEC);
	sc_close(w);
	sc_open(w, C);
	sc_write(w, 2);
	for (unsigned i = 0; i < 50; i++) {
		sc_wait(w, 100);
		check_primary_peers(w);
	}
	sc_command(w, A, (struct ev_command){ .cmd = CMD_CONNECT, .peer = B }, SS_SUCCESS);
	life_expect_converged(w);
}

/* H21: C is to be fed by B, which is fed by A; then A sees C. */
static void h21_right_slot(struct world *w)
{
	sc_begin(w, 3);
	sc_leave_behind(w, 20);
	sc_part(w, A, B);
	sc_write_scattered(w, 20, 40);
	simnet_hold_type(w, A, B, P_RS_DATA_REPLY, 3 * NS_SEC);
	sc_begin_resync(w, A, B);
	sc_join(w, B, C);
	sc_wait(w, 2000);
	sc_join(w, A, C);
	life_expect_converged(w);
}

/* H22: C is fed by B when the bitmap of A comes in, and its last bits go at the same time. */
static void h22_done_twice(struct world *w)
{
	for (unsigned ms = 0; ms < 3000; ms += 500) {
		sc_begin(w, 3);
		sc_leave_behind(w, 20);
		sc_close(w);
		sc_begin_resync(w, B, C);
		simnet_hold_type(w, A, C, P_COMPRESSED_BITMAP, ms * NS_MS + NS_MS);
		sc_join(w, A, C);
		sc_wait(w, 500);
		sc_open(w, A);
		sc_write(w, 10);
		life_expect_converged(w);
	}
}

/* H29: B feeds C and loses the Primary, which C now sees. */
static void h29_weak_source(struct world *w)
{
	sc_begin(w, 3);
	sc_leave_behind(w, 50);
	simnet_hold_type(w, B, C, P_RS_DATA_REPLY, 3 * NS_SEC);
	sc_begin_resync(w, B, C);
	sc_wait(w, 22000);
	sc_unplug(w, A, B);
	sc_join(w, A, C);
	sc_wait_conn(w, C, A, CONN_CONNECTED);
	sc_write_scattered(w, 0, 50);
	sc_part(w, A, B);
	sc_wait(w, 5000);
	check_primary_peers(w);
	sc_join(w, A, B);
	life_expect_converged(w);
}

/* H36: flags and generations change while the superblock is being written, then a crash. */
static void h36_metadata_race(struct world *w)
{
	for (unsigned at = 1; at < 50; at += 2) {
		sc_begin(w, 3);
		sc_open(w, A);
		sc_write(w, 1);
		sc_wait(w, 300);
		w->nodes[A].disk.stall_until_ns = w->now_ns + 200 * NS_MS;
		node_command(w, C, (struct ev_command){ .cmd = CMD_DETACH, .vnr = SIM_VNR }, NULL,
			     0);
		simnet_cut(w, A, B, false);
		sc_write_async(w, 2);
		sc_wait(w, 100);
		w->nodes[A].die_after_actions = at;
		for (unsigned i = 0; i < 4 && w->nodes[A].up; i++) {
			sc_write_async(w, 2 + i);
			sc_wait(w, 50);
		}
		sc_wait(w, 1000);
		w->nodes[A].die_after_actions = 0;
		if (w->nodes[A].up)
			sc_kill(w, A);
		sc_start(w, A);
		sc_wait(w, 2000);
		if (node_status(w, C)->volumes[0].disk == DISK_DISKLESS)
			sc_attach(w, C);
		life_expect_converged(w);
	}
}

/* H39: the Primary crashes while its metadata say that its activity log is off. */
static void h39_log_off(struct world *w)
{
	sc_begin(w, 2);
	sc_open(w, A);
	sc_write(w, 1);
	simnet_stall(w, A, B, STREAM_DATA, 10 * NS_SEC);
	sc_write_async(w, 2000);
	sc_wait(w, 300);
	node_kill(w, B, true);
	sc_kill(w, A);
	sc_log_was_off(w, A);
	sc_start(w, A);
	sc_start(w, B);
	life_expect_converged(w);
}

/* H43: a disk of the day before, and an empty one, are not what the others resync from. */
static void h43_replaced_disk(struct world *w)
{
	for (unsigned i = 0; i < 2; i++) {
		sc_begin(w, 3);
		sc_open(w, A);
		sc_write(w, 1);
		sc_kill(w, C);
		sc_keep_disk(w, C);
		sc_start(w, C);
		life_expect_converged(w);
		sc_write(w, 2);
		sc_write(w, 1);
		sc_close(w);
		sc_kill(w, C);
		if (i == 0)
			sc_old_disk(w, C);
		else
			sc_new_disk(w, C);
		sc_kill(w, A);
		sc_kill(w, B);
		sc_start(w, C);
		sc_wait(w, 1000);
		sc_start(w, A);
		sc_start(w, B);
		life_expect_converged(w);
	}
}

/*
 * C's writes reach A late. B has had one, lost its disk and is filled again by A, which does not
 * have it yet: that C has heard of B's copy says nothing about what is there now.
 */
static void acked_before_a_resync(struct world *w)
{
	sc_begin(w, 3);
	sc_open(w, C);
	sc_write(w, 0);
	simnet_stall(w, C, A, STREAM_DATA, 8 * NS_SEC);
	sc_write_async(w, 1);
	sc_wait(w, 200);
	sc_detach(w, B);
	sc_command(w, B, (struct ev_command){ .cmd = CMD_DISCONNECT, .peer = C }, SS_SUCCESS);
	sc_attach(w, B);
	sc_wait_repl(w, B, A, REPL_ESTABLISHED);
	sc_wait(w, 8000);
	sc_close(w);
	sc_wait(w, 2000);
	sc_expect_honest(w);
	sc_command(w, B, (struct ev_command){ .cmd = CMD_CONNECT, .peer = C }, SS_SUCCESS);
	life_expect_converged(w);
}

const struct scenario scenarios_h_data[] = {
	{ "H1-bits-left", h1_bits_left },
	{ "H8-unconfigured", h8_unconfigured },
	{ "H11-day-0", h11_day_0 },
	{ "first-day-without-slot", first_day_without_slot },
	{ "H14-out-of-sync-on-its-way", h14_out_of_sync_on_its_way },
	{ "H16-third-node", h16_third_node },
	{ "H16-thin", h16_thin },
	{ "H17-barrier-of-held-write", h17_barrier_of_held_write },
	{ "H18-outdated", h18_outdated },
	{ "H21-right-slot", h21_right_slot },
	{ "H22-done-twice", h22_done_twice },
	{ "H29-weak-source", h29_weak_source },
	{ "H36-metadata-race", h36_metadata_race },
	{ "H39-log-off", h39_log_off },
	{ "H43-replaced-disk", h43_replaced_disk },
	{ "acked-before-a-resync", acked_before_a_resync },
	{ NULL, NULL },
};

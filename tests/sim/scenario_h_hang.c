/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Faults that DRBD has had: deadlocks and hangs, local errors, bounds (reliability 3.3, 3.4). */
#include "scenario.h"

/* Requests over the whole device of 16 MiB. */
static void write_everything(struct world *w)
{
	for (unsigned i = 0; i < APP_IOS_MAX; i++)
		app_do(w, OP_WRITE, (uint64_t)i << 11, 1U << 20);
}

static bool is_answered(struct world *w)
{
	return w->app.in_flight == 0;
}

static void expect_answers(struct world *w, uint64_t ms)
{
	if (!world_run_until(w, is_answered, ms * NS_MS))
		sim_fail(w, "I7: %u requests are not answered after %llu ms", w->app.in_flight,
			 (unsigned long long)ms);
}

/* H60: one block of each extent in a burst, more of them than the activity logs hold. */
static void h60_full_logs(struct world *w)
{
	struct sim_params *p = life_plain(w, w->scenario_seed, 3);

	p->device_sectors = SIM_DEVICE_SECTORS_MAX;
	p->requests_max = 256;
	life_set_up(w);
	sc_open(w, A);
	/* Until it comes B's log keeps what it has. */
	simnet_hold_type(w, A, B, P_PEER_ACK, 60 * NS_SEC);
	for (unsigned i = 0; i < 8 * APP_IOS_MAX; i++) {
		sc_write_async(w, (uint64_t)i * 1024);
		/* Before the connection to B is given up for its silence. */
		if (w->app.in_flight == APP_IOS_MAX)
			expect_answers(w, 500);
	}
	expect_answers(w, 500);
	life_expect_converged(w);
}

/* H63: the COMMIT of a connection does not come; the passive side is of use again soon. */
static void h63_commit_held(struct world *w)
{
	uint64_t start;

	sc_begin(w, 3);
	sc_unplug(w, A, B);
	sc_part(w, A, B);
	simnet_hold_type(w, A, B, P_TWOPC_COMMIT, 80 * NS_SEC);
	sc_join(w, A, B);
	sc_wait(w, 8000);
	start = w->now_ns;
	sc_open(w, C);
	sc_expect(w, w->now_ns < start + 5 * NS_SEC, "the promotion does not wait");
	sc_write(w, 1);
	sc_write(w, 2);
	sc_close(w);
	life_expect_converged(w);
}

/* H64: both ends of a resync disconnect at once. */
static void h64_both_disconnect(struct world *w)
{
	static const struct ev_command from_a = { .cmd = CMD_DISCONNECT, .peer = B };
	static const struct ev_command from_b = { .cmd = CMD_DISCONNECT, .peer = A };

	sc_begin(w, 2);
	sc_make_difference(w, 50);
	simnet_hold_type(w, A, B, P_RS_DATA_REPLY, 2 * NS_SEC);
	sc_begin_resync(w, A, B);
	node_command(w, A, from_a, NULL, 0);
	node_command(w, B, from_b, NULL, 0);
	sc_wait_conn(w, A, B, CONN_STANDALONE);
	sc_wait(w, 3000);
	sc_command(w, A, (struct ev_command){ .cmd = CMD_CONNECT, .peer = B }, SS_SUCCESS);
	sc_command(w, B, (struct ev_command){ .cmd = CMD_CONNECT, .peer = A },
		   SS_UNKNOWN_ERROR - 100);
	life_expect_converged(w);
}

/* H65: the Primary begins a new generation while a connection is being made. */
static void h65_generation_in_handshake(struct world *w)
{
	static const enum packet held[] = { P_STATE, P_UUIDS110, P_SIZES, P_TWOPC_YES,
					    P_TWOPC_COMMIT };

	for (unsigned i = 0; i < 2 * ARRAY_LEN(held); i++) {
		sc_begin(w, 3);
		sc_open(w, A);
		sc_write(w, 1);
		sc_part(w, A, B);
		sc_write(w, 2);
		simnet_hold_type(w, i % 2, !(i % 2), held[i / 2], 2 * NS_SEC);
		sc_join(w, A, B);
		sc_wait(w, 1000);
		simnet_cut(w, A, C, false);
		sc_wait_conn(w, A, C, CONN_CONNECTING);
		sc_write(w, 3);
		life_expect_converged(w);
	}
}

/* H66: writes wait for blocks that a resync writes, and the connection is lost. */
static void h66_held_writes_lost(struct world *w)
{
	for (unsigned ms = 0; ms < 1000; ms += 100) {
		life_plain(w, w->scenario_seed, 2)->disk_latency_ns = 100 * NS_MS;
		life_set_up(w);
		sc_make_difference(w, 50);
		sc_begin_resync(w, A, B);
		sc_wait(w, ms);
		write_everything(w);
		sc_wait(w, 20);
		simnet_cut(w, A, B, false);
		expect_answers(w, 20000);
		life_expect_converged(w);
	}
}

/* H67: discards are under way when the connection of a resync is lost, more than once. */
static void h67_lost_with_discards(struct world *w)
{
	life_plain(w, w->scenario_seed, 3)->disk_latency_ns = 20 * NS_MS;
	life_set_up(w);
	sc_make_difference(w, 20);
	simnet_hold_type(w, A, B, P_RS_DATA_REPLY, 2 * NS_SEC);
	sc_begin_resync(w, A, B);
	for (unsigned i = 0; i < 3; i++) {
		for (unsigned k = 0; k < 4; k++)
			app_do(w, k % 2 ? OP_DISCARD : OP_ZEROES, k * 1024 + i * 256, 512U << 10);
		sc_wait(w, 20);
		simnet_cut(w, A, B, false);
		expect_answers(w, 5000);
		sc_wait_conn(w, B, A, CONN_CONNECTING);
		sc_wait_conn(w, B, A, CONN_CONNECTED);
	}
	life_expect_converged(w);
}

/* H68: writers that wait for the activity log while the disk hangs go on with it. */
static void h68_writers_woken(struct world *w)
{
	for (unsigned node = 0; node < 2; node++) {
		sc_begin(w, 2);
		sc_open(w, A);
		sc_write(w, 0);
		w->nodes[node].disk.stall_until_ns = w->now_ns + 3 * NS_SEC;
		for (unsigned i = 0; i < 5; i++)
			sc_write_async(w, i % 4 * 1024 + i);
		sc_wait(w, 2000);
		sc_expect(w, w->app.in_flight == 5, "the writes wait for the disk");
		expect_answers(w, 2000);
		life_expect_converged(w);
	}
}

static void set_rr_conflict(struct world *w, enum after_sb policy)
{
	for (unsigned n = 0; n < w->node_count; n++) {
		struct core_conf *conf = &w->nodes[n].conf;

		for (unsigned p = 0; p < conf->peer_count; p++)
			conf->peers[p].net.rr_conflict = policy;
		sc_restart(w, n);
	}
	life_expect_converged(w);
}

/* H70: a Primary that is refused again and again can still be demoted, and follows then. */
static void h70_demoted_while_refused(struct world *w)
{
	sc_begin(w, 2);
	set_rr_conflict(w, ASB_RETRY_CONNECT);
	sc_open(w, A);
	sc_write(w, 1);
	sc_close(w);
	sc_open(w, A);
	sc_part(w, A, B);
	sc_write_elsewhere(w, B, 3);
	sc_join(w, A, B);
	sc_wait(w, 5000);
	sc_expect(w, status_peer(node_status(w, A), B)->conn != CONN_CONNECTED &&
			     status_peer(node_status(w, A), B)->conn != CONN_STANDALONE,
		  "A is refused, and tries again");
	sc_close(w);
	life_expect_converged(w);
}

/* H71: bitmaps that get through at the fifth attempt only hold up nobody; nor does an order to
 * disconnect in the middle. */
static void h71_bad_network(struct world *w)
{
	sc_begin(w, 2);
	sc_make_difference(w, 50);
	for (unsigned i = 0; i < 5; i++) {
		simnet_hold_type(w, i % 2, !(i % 2), P_COMPRESSED_BITMAP, 60 * NS_SEC);
		sc_join(w, A, B);
		sc_wait_repl(w, A, B, REPL_WF_BITMAP_S);
		sc_write_async(w, 10 + i);
		expect_answers(w, 1000);
		if (i < 4)
			simnet_cut(w, A, B, false);
		sc_wait(w, 500);
	}
	sc_command(w, B, (struct ev_command){ .cmd = CMD_SHUTDOWN }, SS_SUCCESS);
	sc_restart(w, B);
	life_expect_converged(w);
}

/* H85: a read error where there is no peer to ask. */
static void h85_read_error_alone(struct world *w)
{
	sc_begin(w, 2);
	sc_open(w, A);
	sc_write(w, 1);
	sc_part(w, A, B);
	w->nodes[A].disk.fail_reads = 1;
	sc_expect(w, !sc_try(w, OP_READ, 1), "the read ends with an error");
	sc_wait_disk(w, A, DISK_DISKLESS);
	sc_wait(w, 1000);
	sc_join(w, A, B);
	sc_attach(w, A);
	life_expect_converged(w);
}

/* H79: devices whose bitmap ends with a page of the metadata, or a block before or behind it. */
static void h79_page_boundary(struct world *w)
{
	for (uint64_t blocks = 32767; blocks <= 32769; blocks++) {
		life_plain(w, w->scenario_seed, 2)->device_sectors = blocks * BM_BLOCK_SECTORS;
		life_set_up(w);
		sc_open(w, A);
		sc_write(w, blocks - 1);
		sc_part(w, A, B);
		sc_write(w, blocks - 1);
		sc_write(w, blocks - 2);
		sc_join(w, A, B);
		life_expect_converged(w);
		sc_command(w, B, (struct ev_command){ .cmd = CMD_INVALIDATE, .vnr = SIM_VNR },
			   SS_SUCCESS);
		sc_write(w, blocks - 1);
		sc_read(w, blocks - 1);
		life_expect_converged(w);
	}
}

const struct scenario scenarios_h_hang[] = {
	{ "H60-full-logs", h60_full_logs },
	{ "H63-commit-held", h63_commit_held },
	{ "H64-both-disconnect", h64_both_disconnect },
	{ "H65-generation-in-handshake", h65_generation_in_handshake },
	{ "H66-held-writes-lost", h66_held_writes_lost },
	{ "H67-lost-with-discards", h67_lost_with_discards },
	{ "H68-writers-woken", h68_writers_woken },
	{ "H70-demoted-while-refused", h70_demoted_while_refused },
	{ "H71-bad-network", h71_bad_network },
	{ "H79-page-boundary", h79_page_boundary },
	{ "H85-read-error-alone", h85_read_error_alone },
	{ NULL, NULL },
};

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Disks that do not answer, and are given up: disk-timeout, detach by force. */
#include "scenario.h"

#define TIMEOUT_DS 20

static void begin(struct world *w, unsigned nodes)
{
	life_plain(w, w->scenario_seed, nodes)->disk_timeout_ds = TIMEOUT_DS;
	life_set_up(w);
}

static bool is_answered(struct world *w)
{
	return w->app.in_flight == 0;
}

static void expect_answers(struct world *w, uint64_t ms)
{
	unsigned errors = w->app.errors;

	if (!world_run_until(w, is_answered, ms * NS_MS))
		sim_fail(w, "I7: %u requests are not answered after %llu ms", w->app.in_flight,
			 (unsigned long long)ms);
	sc_expect(w, w->app.errors == errors, "the requests succeed");
}

static void write_some(struct world *w)
{
	for (unsigned i = 0; i < 6; i++)
		sc_write_async(w, i % 4 * 1024 + i);
}

static void expect_not_attached(struct world *w, unsigned node)
{
	sc_command(w, node, (struct ev_command){ .cmd = CMD_ATTACH, .vnr = SIM_VNR },
		   SS_IN_TRANSIENT_STATE);
	sc_expect(w, node_status(w, node)->volumes[0].disk == DISK_DISKLESS,
		  "a disk that has not answered is not attached");
}

/* It answers again, and what was under way arrives; then it gets what it lacks. */
static void expect_return(struct world *w, unsigned node)
{
	expect_not_attached(w, node);
	disk_unhang(w, node);
	sc_wait(w, 500);
	sc_expect(w, node_status(w, node)->volumes[0].unanswered == 0, "the disk is closed");
	sc_attach(w, node);
	life_expect_converged(w);
}

/* The disk of the Primary, or of its peer, hangs for good under writes; users notice a delay. */
static void hangs_under_writes(struct world *w, unsigned nodes, unsigned node)
{
	begin(w, nodes);
	sc_open(w, A);
	sc_write(w, 0);
	disk_hang(w, node);
	write_some(w);
	sc_wait(w, TIMEOUT_DS * 100 - 500);
	sc_expect(w, node_status(w, node)->volumes[0].disk == DISK_UP_TO_DATE, "it has time yet");
	expect_answers(w, 5000);
	sc_wait_disk(w, node, DISK_DISKLESS);
	/* Later than those that are still on their way to the disk. */
	write_some(w);
	expect_answers(w, 5000);
	sc_read(w, 0);
	expect_return(w, node);
}

static void primary_hangs(struct world *w)
{
	hangs_under_writes(w, 2, A);
	hangs_under_writes(w, 3, A);
}

static void secondary_hangs(struct world *w)
{
	hangs_under_writes(w, 2, B);
	hangs_under_writes(w, 3, C);
}

/* A read finds another copy. */
static void read_hangs(struct world *w)
{
	begin(w, 2);
	sc_open(w, A);
	sc_write(w, 0);
	disk_hang(w, A);
	sc_read(w, 0);
	sc_wait_disk(w, A, DISK_DISKLESS);
	expect_return(w, A);
}

/* It hangs for less than the limit. */
static void in_time(struct world *w)
{
	begin(w, 2);
	sc_open(w, A);
	sc_write(w, 0);
	for (unsigned node = A; node <= B; node++) {
		disk_hang(w, node);
		write_some(w);
		sc_wait(w, TIMEOUT_DS * 100 - 200);
		disk_unhang(w, node);
		expect_answers(w, 1000);
		sc_expect(w, node_status(w, node)->volumes[0].disk == DISK_UP_TO_DATE,
			  "the disk stays");
	}
	life_expect_converged(w);
}

/* The node dies before the disk has answered, by itself or with its power. */
static void dies_meanwhile(struct world *w)
{
	for (unsigned i = 0; i < 4; i++) {
		begin(w, 2);
		sc_open(w, A);
		sc_write(w, 0);
		disk_hang(w, i % 2 ? A : B);
		write_some(w);
		expect_answers(w, 5000);
		write_some(w);
		expect_answers(w, 5000);
		if (i % 2) {
			sc_close(w);
			sc_open(w, B);
			write_some(w);
			expect_answers(w, 5000);
		}
		if (i < 2)
			sc_kill(w, i % 2 ? A : B);
		else
			sc_power_cut(w, i % 2 ? A : B);
		disk_unhang(w, i % 2 ? A : B);
		sc_start(w, i % 2 ? A : B);
		life_expect_converged(w);
	}
}

/* What hangs is the superblock with a new generation; it gets onto the disk when others are at a
 * later one. */
static void late_generation(struct world *w)
{
	for (unsigned ms = 0; ms < 3000; ms += 300) {
		begin(w, 3);
		sc_open(w, A);
		sc_write(w, 0);
		disk_hang(w, A);
		sc_part(w, A, B);
		write_some(w);
		sc_wait(w, ms);
		sc_join(w, A, B);
		expect_answers(w, 9000);
		sc_wait_disk(w, A, DISK_DISKLESS);
		write_some(w);
		expect_answers(w, 5000);
		expect_return(w, A);
	}
}

/* The same, and another node has been Primary since; the process that knew of the generation is
 * gone. */
static void late_generation_elsewhere(struct world *w)
{
	for (unsigned ms = 0; ms < 3000; ms += 300) {
		begin(w, 3);
		sc_open(w, A);
		sc_write(w, 0);
		disk_hang(w, A);
		sc_part(w, A, B);
		write_some(w);
		sc_wait(w, ms);
		expect_answers(w, 9000);
		sc_wait_disk(w, A, DISK_DISKLESS);
		sc_close(w);
		sc_open(w, C);
		write_some(w);
		expect_answers(w, 9000);
		if (ms % 600)
			disk_unhang(w, A);
		sc_wait(w, 100);
		sc_kill(w, A);
		disk_unhang(w, A);
		sc_join(w, A, B);
		sc_start(w, A);
		life_expect_converged(w);
	}
}

/* Of a resync the source's disk hangs, or the target's. */
static void resync_hangs(struct world *w)
{
	for (unsigned node = A; node <= B; node++) {
		begin(w, 3);
		sc_make_difference(w, 50);
		simnet_hold_type(w, A, B, P_RS_DATA_REPLY, NS_SEC);
		sc_begin_resync(w, A, B);
		disk_hang(w, node);
		write_some(w);
		expect_answers(w, 9000);
		sc_wait_disk(w, node, DISK_DISKLESS);
		expect_return(w, node);
	}
}

/* Without another copy the requests fail, in time. */
static void alone(struct world *w)
{
	begin(w, 2);
	sc_make_difference(w, 1);
	disk_hang(w, A);
	sc_expect(w, !sc_try(w, OP_WRITE, 5), "the write fails");
	sc_wait_disk(w, A, DISK_DISKLESS);
	sc_close(w);
	sc_join(w, A, B);
	expect_return(w, A);
}

/* Without disk-timeout an operator says so. */
static void forced_detach(struct world *w)
{
	for (unsigned node = A; node <= B; node++) {
		sc_begin(w, 2);
		sc_open(w, A);
		sc_write(w, 0);
		disk_hang(w, node);
		write_some(w);
		sc_wait(w, 2000);
		sc_expect(w, w->app.in_flight > 0, "the writes wait for the disk");
		sc_detach_forced(w, node);
		expect_answers(w, 2000);
		sc_wait_disk(w, node, DISK_DISKLESS);
		write_some(w);
		expect_answers(w, 2000);
		expect_return(w, node);
	}
}

/* A resource whose disk hangs goes down as far as it can, and wholly when the disk is back. */
static void down_hangs(struct world *w)
{
	static const struct ev_command down = { .cmd = CMD_SHUTDOWN };

	sc_begin(w, 2);
	sc_open(w, A);
	sc_write(w, 0);
	disk_hang(w, B);
	sc_write_async(w, 3);
	sc_wait(w, 100);
	sc_command(w, B, down, SS_IN_TRANSIENT_STATE);
	expect_answers(w, 1000);
	sc_wait_conn(w, B, A, CONN_STANDALONE);
	sc_expect(w, node_status(w, B)->volumes[0].unanswered > 0, "the disk is not closed");
	disk_unhang(w, B);
	sc_wait(w, 500);
	sc_command(w, B, down, SS_SUCCESS);
	sc_restart(w, B);
	life_expect_converged(w);
}

static void unhang_event(struct world *w, uint64_t node, uint64_t b)
{
	(void)b;
	disk_unhang(w, (unsigned)node);
}

static void begin_attach(struct world *w)
{
	struct ev_command attach = { .cmd = CMD_ATTACH, .vnr = SIM_VNR };

	sc_open(w, A);
	sc_write(w, 0);
	sc_detach(w, B);
	sc_write(w, 1);
	disk_hang(w, B);
	node_command(w, B, attach, NULL, 0);
	sc_wait(w, 1500);
	sc_expect(w, node_status(w, B)->volumes[0].disk == DISK_ATTACHING, "it is not read yet");
}

/* It hangs already when it is attached: after disk-timeout, or by force, nobody waits for it. */
static void hangs_in_attach(struct world *w)
{
	struct ev_command force = { .cmd = CMD_DETACH, .vnr = SIM_VNR, .force = true };

	for (unsigned forced = 0; forced < 2; forced++) {
		life_plain(w, w->scenario_seed, 3)->disk_timeout_ds = forced ? 0 : TIMEOUT_DS;
		life_set_up(w);
		begin_attach(w);
		if (forced)
			sc_command(w, B, force, SS_SUCCESS);
		sc_wait_disk(w, B, DISK_DISKLESS);
		sc_expect(w, node_status(w, B)->volumes[0].unanswered == 1, "the attach");
		write_some(w);
		expect_answers(w, 5000);
		expect_return(w, B);
	}
}

/* Who goes down does not wait for long either; a disk that answers in time is closed. */
static void hangs_in_attach_and_down(struct world *w)
{
	for (unsigned late = 0; late < 2; late++) {
		sc_begin(w, 3);
		begin_attach(w);
		if (!late)
			world_at(w, 3 * NS_SEC, unhang_event, B, 0);
		sc_command(w, B, (struct ev_command){ .cmd = CMD_SHUTDOWN },
			   late ? SS_IN_TRANSIENT_STATE : SS_SUCCESS);
		sc_kill(w, B);
		sc_start(w, B);
		life_expect_converged(w);
	}
}

/*
 * B makes a generation that is on its disk alone, with nothing in it, and loses its power. It comes
 * back without its disk, and goes on through those of the others. When its disk and one of these
 * are here again, without quorum, B knows on which of the two it has gone on.
 */
static void fork_of_the_same_primary(struct world *w)
{
	life_plain(w, w->scenario_seed, 4)->quorum = QUORUM_MAJORITY;
	life_set_up(w);
	sc_open(w, B);
	sc_write(w, 1);
	sc_detach_forced(w, C);
	sc_detach_forced(w, D);
	sc_write(w, 2);
	sc_kill_noticed(w, A, B);
	sc_flush(w);
	sc_expect(w, sc_uuid(w, A) != sc_uuid(w, B), "a new generation");
	sc_power_cut(w, B);
	sc_restart(w, C);
	sc_restart(w, D);
	sc_start(w, A);
	sc_wait_disk(w, C, DISK_UP_TO_DATE);
	sc_wait_disk(w, D, DISK_UP_TO_DATE);
	sc_start_without_disk(w, B);
	sc_wait_conn(w, B, A, CONN_CONNECTED);
	sc_wait_conn(w, B, C, CONN_CONNECTED);
	sc_wait_conn(w, B, D, CONN_CONNECTED);
	sc_open(w, B);
	sc_write(w, 3);
	sc_close(w);
	sc_kill(w, C);
	sc_kill(w, D);
	sc_detach_forced(w, A);
	sc_mend(w, B);
	sc_attach(w, B);
	sc_wait_disk(w, B, DISK_OUTDATED);
	sc_attach(w, A);
	sc_wait_disk(w, A, DISK_UP_TO_DATE);
	sc_start(w, C);
	sc_start(w, D);
	life_expect_converged(w);
}

/*
 * A has no disk, and its write has got onto that of B alone. The generation that says so does not
 * reach B any more: the write fails, so nothing was answered that B lacks, and when the disk of C
 * has been given up nobody waits for that generation.
 */
static void client_generation_on_no_disk(struct world *w)
{
	struct sim_params *p = life_plain(w, w->scenario_seed, 3);

	p->no_disk = 1U << A;
	p->on_no_data = NO_DATA_IO_ERROR;
	p->disk_timeout_ds = TIMEOUT_DS;
	life_set_up(w);
	sc_open(w, A);
	sc_write(w, 1);
	disk_hang(w, C);
	simnet_hold_type(w, C, A, P_BARRIER_ACK, 60 * NS_SEC);
	sc_part(w, B, C);
	sc_write_async(w, 2);
	sc_wait(w, 1000);
	simnet_link(w, A, B, false);
	simnet_link(w, B, A, false);
	sc_wait_disk(w, C, DISK_DISKLESS);
	sc_wait_conn(w, A, B, CONN_CONNECTING);
	sc_wait(w, 100);
	sc_expect(w, w->app.in_flight == 0 && w->app.errors == 1, "the write has failed");
	sc_part(w, A, C);
	sc_close(w);
	disk_unhang(w, C);
	sc_join(w, A, B);
	sc_join(w, A, C);
	sc_join(w, B, C);
	sc_wait(w, 500);
	sc_attach(w, C);
	life_expect_converged(w);
	sc_open(w, A);
	sc_read(w, 1);
}

const struct scenario scenarios_hung[] = {
	{ "hung-disk-in-attach", hangs_in_attach },
	{ "hung-disk-in-attach-and-down", hangs_in_attach_and_down },
	{ "disk-timeout-primary", primary_hangs },
	{ "disk-timeout-secondary", secondary_hangs },
	{ "disk-timeout-read", read_hangs },
	{ "disk-timeout-in-time", in_time },
	{ "disk-timeout-dies", dies_meanwhile },
	{ "disk-timeout-late-generation", late_generation },
	{ "disk-timeout-late-elsewhere", late_generation_elsewhere },
	{ "disk-timeout-resync", resync_hangs },
	{ "disk-timeout-alone", alone },
	{ "detach-force-hangs", forced_detach },
	{ "down-hangs", down_hangs },
	{ "disk-timeout-client", client_generation_on_no_disk },
	{ "fork-of-the-same-primary", fork_of_the_same_primary },
	{ NULL, NULL },
};

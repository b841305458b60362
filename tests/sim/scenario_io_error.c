/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Scenarios about errors of disks: who reads elsewhere, and what a failed disk lacks. */
#include "scenario.h"

/* Disk error on the Primary: it goes on through its peers, and comes back by resync. */
static void primary_loses_disk(struct world *w)
{
	sc_begin(w, 3);
	sc_open(w, A);
	sc_write(w, 1);
	w->nodes[A].disk.fail_writes = 1;
	sc_write(w, 2);
	sc_wait_disk(w, A, DISK_DISKLESS);
	sc_write(w, 3);
	sc_read(w, 1);
	sc_read(w, 2);
	sc_read(w, 3);
	sc_attach(w, A);
	sc_write(w, 4);
	life_expect_converged(w);
}

static void secondary_loses_disk(struct world *w)
{
	sc_begin(w, 3);
	sc_open(w, A);
	sc_write(w, 1);
	w->nodes[B].disk.fail_writes = 1;
	sc_write(w, 2);
	sc_wait_disk(w, B, DISK_DISKLESS);
	sc_write(w, 3);
	sc_attach(w, B);
	life_expect_converged(w);
}

static void read_error(struct world *w)
{
	sc_begin(w, 2);
	sc_open(w, A);
	sc_write(w, 1);
	w->nodes[A].disk.fail_reads = 1;
	sc_read(w, 1);
	sc_wait_disk(w, A, DISK_DISKLESS);
	sc_attach(w, A);
	life_expect_converged(w);
}

static void begin_pass_on(struct world *w)
{
	life_plain(w, w->scenario_seed, 2)->pass_on = true;
	life_set_up(w);
	sc_open(w, A);
	sc_write(w, 1);
}

/* A disk that stays gets the block that it could not read from the peer. */
static void read_error_passed_on(struct world *w)
{
	begin_pass_on(w);
	sc_received(w, A, B);
	w->nodes[A].disk.fail_reads = 1;
	sc_read(w, 1);
	sc_wait_disk(w, A, DISK_UP_TO_DATE);
	sc_expect(w, sc_received(w, A, B) > BM_BLOCK_SECTORS,
		  "the block was read, and then resynced");
	life_expect_converged(w);
}

/* A read whose answer does not come goes to the next copy; so does one that a peer cannot serve. */
static void read_elsewhere(struct world *w)
{
	life_plain(w, w->scenario_seed, 3)->read_balancing = READ_PREFER_REMOTE;
	life_set_up(w);
	sc_open(w, A);
	sc_write(w, 1);
	simnet_hold_type(w, B, A, P_DATA_REPLY, 30 * NS_SEC);
	simnet_hold_type(w, C, A, P_DATA_REPLY, 30 * NS_SEC);
	app_do(w, OP_READ, BM_BLOCK_SECTORS, BM_BLOCK_BYTES);
	sc_wait(w, 100);
	sc_expect(w, w->app.in_flight == 1, "a peer was asked");
	simnet_cut(w, A, B, false);
	sc_wait(w, 100);
	simnet_cut(w, A, C, false);
	sc_wait(w, 100);
	sc_expect(w, w->app.in_flight == 0 && !w->app.errors, "the disk here serves it");
	sc_wait_reunited(w, A, B);
	sc_wait_reunited(w, A, C);
	w->nodes[B].disk.fail_reads = w->nodes[C].disk.fail_reads = 1;
	sc_read(w, 1);
	sc_read(w, 1);
	sc_wait_disk(w, B, DISK_DISKLESS);
	sc_wait_disk(w, C, DISK_DISKLESS);
	sc_attach(w, B);
	sc_attach(w, C);
	life_expect_converged(w);
}

/* What a flush that failed has lost is gone, whatever later ones say: such a disk does not stay. */
static void flush_error_not_passed_on(struct world *w)
{
	begin_pass_on(w);
	w->nodes[A].disk.forgets = w->nodes[B].disk.forgets = true;
	w->nodes[B].disk.fail_flushes = 1;
	sc_write(w, 2);
	sc_wait_disk(w, B, DISK_DISKLESS);
	sc_write(w, 3);
	sc_attach(w, B);
	sc_wait_reunited(w, A, B);
	w->nodes[A].disk.fail_flushes = 1;
	sc_write(w, 4);
	sc_flush(w);
	sc_wait_disk(w, A, DISK_DISKLESS);
	sc_attach(w, A);
	life_expect_converged(w);
}

/* The same under a Primary, behind whose back it happens: B alone has what was answered. */
static void flush_error_under_primary(struct world *w)
{
	sc_begin(w, 2);
	sc_make_difference(w, 5);
	sc_join(w, A, B);
	sc_wait_reunited(w, A, B);
	sc_write(w, 12);
	w->nodes[A].disk.forgets = true;
	w->nodes[A].disk.fail_flushes = 1;
	sc_wait_disk(w, A, DISK_DISKLESS);
	sc_unplug(w, A, B);
	sc_wait_conn(w, A, B, CONN_CONNECTING);
	sc_command(w, A, (struct ev_command){ .cmd = CMD_ATTACH, .vnr = SIM_VNR },
		   SS_UNKNOWN_ERROR - 100);
	sc_expect(w, node_status(w, A)->volumes[0].disk == DISK_DISKLESS, "A lacks something");
	sc_join(w, A, B);
	sc_wait_conn(w, A, B, CONN_CONNECTED);
	sc_attach(w, A);
	sc_read(w, 12);
	life_expect_converged(w);
}

/* The same of a receiver, while the Primary has no quorum to begin a generation without it. */
static void flush_error_ends_quorum(struct world *w)
{
	life_plain(w, 1, 2)->quorum = QUORUM_ALL;
	life_set_up(w);
	sc_open(w, B);
	sc_write(w, 1);
	w->nodes[A].disk.forgets = true;
	w->nodes[A].disk.fail_flushes = 1;
	for (unsigned i = 0; i < 8; i++)
		sc_write_async(w, 2 + i);
	sc_wait_disk(w, A, DISK_DISKLESS);
	sc_unplug(w, A, B);
	sc_wait_conn(w, A, B, CONN_CONNECTING);
	sc_close(w);
	sc_attach(w, A);
	sc_join(w, A, B);
	life_expect_converged(w);
}

const struct scenario scenarios_io_error[] = {
	{ "primary-loses-disk", primary_loses_disk },
	{ "secondary-loses-disk", secondary_loses_disk },
	{ "read-error", read_error },
	{ "read-error-passed-on", read_error_passed_on },
	{ "read-elsewhere", read_elsewhere },
	{ "flush-error-not-passed-on", flush_error_not_passed_on },
	{ "flush-error-under-primary", flush_error_under_primary },
	{ "flush-error-ends-quorum", flush_error_ends_quorum },
	{ NULL, NULL },
};

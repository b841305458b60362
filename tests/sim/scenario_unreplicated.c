/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Resync without replication: the target is told of what is written, and fetches it. */
#include "scenario.h"

static void told_only(struct world *w)
{
	life_plain(w, w->scenario_seed, 2)->rs_without_replication = true;
	life_set_up(w);
	sc_make_difference(w, 40);
	simnet_hold_type(w, A, B, P_RS_DATA_REPLY, NS_SEC);
	sc_begin_resync(w, A, B);
}

/* H15: what is written during a resync is told, and got with the rest. */
static void without_replication(struct world *w)
{
	uint64_t start_ns;

	told_only(w);
	start_ns = w->now_ns;
	sc_write_scattered(w, 35, 45);
	sc_expect(w, w->now_ns - start_ns < NS_SEC / 2, "no write is behind what is held back");
	sc_expect(w, node_status(w, B)->volumes[0].disk == DISK_INCONSISTENT, "B is behind");
	life_expect_converged(w);
	sc_write(w, 700);
	sc_expect(w, disk_peek(&w->nodes[B].disk, 700 * BM_BLOCK_SECTORS) ==
			     disk_peek(&w->nodes[A].disk, 700 * BM_BLOCK_SECTORS),
		  "it is sent again");
}

/* It ends however much is written, because the last pass has all sent again. */
static void without_replication_ends(struct world *w)
{
	told_only(w);
	for (unsigned i = 0; i < 3000 && node_status(w, B)->volumes[0].disk != DISK_UP_TO_DATE; i++)
		sc_write(w, 70 * (i % 50));
	sc_expect(w, node_status(w, B)->volumes[0].disk == DISK_UP_TO_DATE, "B has come up");
	sc_kill(w, A);
	sc_wait_conn(w, B, A, CONN_CONNECTING);
	sc_expect_honest(w);
	sc_start(w, A);
	life_expect_converged(w);
}

/*
 * A is promoted when B has asked for everything again and has all, but A has not got that word. B
 * must not count as good with what A writes then.
 */
static void promoted_at_the_end(struct world *w)
{
	told_only(w);
	sc_close(w);
	simnet_hold_type(w, B, A, P_ENABLE_REPLICATION, 3 * NS_SEC);
	sc_wait(w, 1500);
	sc_open(w, A);
	sc_write(w, 700);
	sc_kill(w, A);
	sc_wait_conn(w, B, A, CONN_CONNECTING);
	sc_expect(w, node_status(w, B)->volumes[0].disk < DISK_UP_TO_DATE, "B lacks a write");
	sc_start(w, A);
	life_expect_converged(w);
}

const struct scenario scenarios_unreplicated[] = {
	{ "H15-without-replication", without_replication },
	{ "without-replication-ends", without_replication_ends },
	{ "without-replication-promoted", promoted_at_the_end },
	{ NULL, NULL },
};

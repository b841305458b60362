/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Scenarios about generations that only one side of a cut knows. */
#include "scenario.h"

static void begin(struct world *w)
{
	life_plain(w, 1, 3)->quorum = QUORUM_MAJORITY;
	life_set_up(w);
}

static enum disk_state disk_of_node(struct world *w, unsigned node)
{
	return node_status(w, node)->volumes[0].disk;
}

/*
 * A is Primary without its disk, and B has what A has written since. A begins to attach the
 * disk, and loses B. C, which missed that, vouches for the disk; but it is not what A has shown.
 */
static void disk_is_not_what_was_shown(struct world *w)
{
	begin(w);
	sc_open(w, C);
	sc_write(w, 1);
	/* Until no extent is hot any more: that would be resynced. */
	sc_wait(w, 15000);
	sc_detach(w, A);
	sc_part(w, A, C);
	sc_part(w, B, C);
	sc_close(w);
	sc_open(w, A);
	sc_write(w, 2);
	sc_unplug(w, A, B);
	sc_attach(w, A);
	sc_wait_disk(w, A, DISK_OUTDATED);
	sc_join(w, A, C);
	sc_wait_conn(w, A, C, CONN_CONNECTED);
	sc_wait(w, 5000);
	sc_expect(w, disk_of_node(w, A) == DISK_OUTDATED, "A lacks what it has written");
	sc_join(w, A, B);
	sc_join(w, B, C);
	life_expect_converged(w);
}

/*
 * A is promoted while it sees C, which has no disk, through B only. C cannot become Outdated: A
 * does not let B go, and is not alone with quorum when C has its disk back.
 */
static void far_node_without_disk(struct world *w)
{
	begin(w);
	sc_detach(w, C);
	sc_part(w, A, C);
	sc_open(w, A);
	sc_write(w, 1);
	sc_command(w, A, (struct ev_command){ .cmd = CMD_DISCONNECT, .peer = B }, SS_NO_QUORUM);
	sc_expect(w, status_peer(node_status(w, A), B)->conn == CONN_CONNECTED,
		  "A does not let B go");
	sc_join(w, A, C);
	sc_wait_conn(w, A, C, CONN_CONNECTED);
	sc_attach(w, C);
	life_expect_converged(w);
}

/*
 * A has lost quorum with a write under way, and gets it back by B, which is going to be resynced.
 * Before B has heard that, and A's disk says that there is quorum again, nothing is answered: A may
 * be lost in that moment, and others go on without the write.
 */
static void quorum_returns_at_the_end(struct world *w)
{
	for (unsigned i = 0; i < 2; i++) {
		begin(w);
		sc_open(w, A);
		sc_write(w, 1);
		sc_unplug(w, A, B);
		sc_unplug(w, A, C);
		sc_write_async(w, 2);
		sc_wait_conn(w, A, B, CONN_CONNECTING);
		sc_wait_conn(w, A, C, CONN_CONNECTING);
		if (i == 0)
			simnet_hold_type(w, A, B, P_TWOPC_COMMIT, 10 * NS_SEC);
		w->nodes[A].disk.stall_until_ns = i ? w->now_ns + 30 * NS_SEC : 0;
		sc_join(w, A, B);
		sc_wait_conn(w, A, B, CONN_CONNECTED);
		sc_wait(w, 100);
		sc_expect(w, w->app.in_flight == 1, "it is not answered yet");
		sc_kill(w, A);
		sc_wait_disk(w, B, DISK_UP_TO_DATE);
		sc_open(w, B);
		sc_write(w, 3);
		sc_close(w);
		sc_start(w, A);
		sc_join(w, A, C);
		life_expect_converged(w);
	}
}

const struct scenario scenarios_forks[] = {
	{ "quorum-returns-at-the-end", quorum_returns_at_the_end },
	{ "disk-is-not-what-was-shown", disk_is_not_what_was_shown },
	{ "far-node-without-disk", far_node_without_disk },
	{ NULL, NULL },
};

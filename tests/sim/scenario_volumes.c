/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Volumes that come and go while their resource is in use. */
#include "scenario.h"

#define FIRST_BLOCK 40

static const struct ev_command del = { .cmd = CMD_DEL_VOLUME, .vnr = SIM_VNR };

static void leave(struct world *w, unsigned node)
{
	sc_command(w, node, del, SS_SUCCESS);
	sc_expect(w, node_status(w, node)->volume_count == 0, "no volume");
}

static void back(struct world *w, unsigned node)
{
	node_adjust(w, node);
	sc_expect(w, node_status(w, node)->volume_count == 1, "its volume");
	sc_attach(w, node);
}

/* Nobody else notices more than that its disk is gone. */
static void leaves_with_writes(struct world *w)
{
	sc_begin(w, 3);
	sc_open(w, A);
	sc_write_scattered(w, 0, 10);
	simnet_hold_type(w, A, C, P_PEER_ACK, NS_SEC);
	for (unsigned i = 0; i < 8; i++)
		sc_write_async(w, FIRST_BLOCK + i);
	leave(w, C);
	sc_write(w, 1);
	sc_write(w, FIRST_BLOCK + 9);
	sc_expect(w, status_peer(node_status(w, C), A)->conn == CONN_CONNECTED, "still connected");
	back(w, C);
	life_expect_converged(w);
	sc_close(w);
	sc_open(w, C);
	sc_read(w, 1);
	sc_read(w, FIRST_BLOCK + 3);
	sc_read(w, FIRST_BLOCK + 9);
}

static void in_use_is_refused(struct world *w)
{
	sc_begin(w, 2);
	sc_open(w, A);
	sc_write(w, 1);
	sc_command(w, A, del, SS_DEVICE_IN_USE);
	sc_write(w, 2);
	life_expect_converged(w);
}

/* The Primary uses it through the other node. */
static void last_copy_is_refused(struct world *w)
{
	sc_begin(w, 2);
	sc_open(w, A);
	sc_write(w, 1);
	sc_detach(w, A);
	sc_command(w, B, del, SS_CW_FAILED_BY_PEER);
	sc_expect(w, node_status(w, B)->volume_count == 1, "still there");
	sc_write(w, 2);
	sc_attach(w, A);
	leave(w, B);
	back(w, B);
	life_expect_converged(w);
}

/* Without the volume on both no connection is made; after that there is one. */
static void connection_is_lost_meanwhile(struct world *w)
{
	sc_begin(w, 3);
	sc_open(w, A);
	leave(w, C);
	sc_write(w, 1);
	sc_part(w, A, C);
	sc_join(w, A, C);
	sc_wait(w, 10000);
	sc_write(w, 2);
	sc_expect(w, status_peer(node_status(w, A), C)->conn != CONN_CONNECTED, "not connected");
	back(w, C);
	life_expect_converged(w);
	sc_close(w);
	sc_open(w, C);
	sc_read(w, 1);
	sc_read(w, 2);
}

static void leaves_in_resync(struct world *w)
{
	for (unsigned node = A; node <= C; node += C - A) {
		sc_begin(w, 3);
		sc_leave_behind(w, 30);
		sc_close(w);
		simnet_hold_type(w, A, C, P_RS_DATA_REPLY, NS_SEC);
		sc_begin_resync(w, A, C);
		leave(w, node);
		sc_wait(w, 50);
		back(w, node);
		for (unsigned n = A; n <= B; n++)
			sc_join(w, n, C);
		life_expect_converged(w);
	}
}

/* It comes to both only after it has gone from both. */
static void goes_everywhere(struct world *w)
{
	sc_begin(w, 3);
	sc_open(w, A);
	sc_write(w, 1);
	sc_close(w);
	for (unsigned n = A; n <= C; n++)
		leave(w, n);
	sc_part(w, A, B);
	sc_join(w, A, B);
	for (unsigned n = C + 1; n-- > A;)
		back(w, n);
	life_expect_converged(w);
	sc_open(w, B);
	sc_read(w, 1);
}

const struct scenario scenarios_volumes[] = {
	{ "volume-leaves-with-writes", leaves_with_writes },
	{ "volume-in-use-stays", in_use_is_refused },
	{ "volume-of-last-copy-stays", last_copy_is_refused },
	{ "volume-leaves-and-connection-is-lost", connection_is_lost_meanwhile },
	{ "volume-leaves-in-resync", leaves_in_resync },
	{ "volume-leaves-everywhere", goes_everywhere },
	{ NULL, NULL },
};

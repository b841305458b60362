/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Peers that come and go while a node is in use. */
#include "scenario.h"

#define FIRST_BLOCK 40

/* The last one, which the node has not had since it started. */
static void join(struct world *w, unsigned node)
{
	w->nodes[node].conf.peer_count = w->node_count - 1;
	node_adjust(w, node);
}

static void leave(struct world *w, unsigned node, unsigned peer, bool force)
{
	struct ev_command cmd = { .cmd = CMD_DEL_PEER, .peer = (uint8_t)peer, .force = force };

	sc_command(w, node, cmd, SS_SUCCESS);
	sc_expect(w, !status_peer(node_status(w, node), peer), "no such peer");
}

static void restart_without(struct world *w, unsigned node)
{
	sc_kill(w, node);
	w->nodes[node].conf.peer_count--; /* C is the last one */
	sc_start(w, node);
}

static void joins_in_use(struct world *w)
{
	sc_begin(w, 3);
	restart_without(w, A);
	restart_without(w, B);
	sc_wait_reunited(w, A, B);
	sc_open(w, A);
	sc_write_scattered(w, 0, 20);
	for (unsigned i = 20; i < 28; i++)
		sc_write_async(w, FIRST_BLOCK + i);
	join(w, A);
	join(w, B);
	sc_wait_conn(w, A, C, CONN_CONNECTED);
	sc_write(w, FIRST_BLOCK);
	life_expect_converged(w);
	sc_close(w);
	sc_open(w, C);
	sc_read(w, 3);
	sc_read(w, FIRST_BLOCK + 25);
}

/* A node without a disk uses it through the one that goes, and through the one that comes. */
static void client_changes_peers(struct world *w)
{
	sc_begin(w, 3);
	sc_open(w, A);
	sc_write(w, 1);
	sc_detach(w, A);
	leave(w, A, B, false);
	sc_write(w, 2);
	w->nodes[A].conf.peer_count = 2;
	node_adjust(w, A);
	sc_wait_conn(w, A, B, CONN_CONNECTED);
	sc_wait_reunited(w, B, C);
	sc_wait(w, 1000);
	leave(w, A, C, false);
	sc_write(w, 3);
	sc_read(w, 2);
	node_adjust(w, A);
	sc_attach(w, A);
	life_expect_converged(w);
}

/* What has begun with the peer ends without it. */
static void leaves_with_writes(struct world *w)
{
	for (unsigned back = 0; back < 2; back++) {
		sc_begin(w, 3);
		sc_open(w, A);
		simnet_hold_type(w, C, A, P_WRITE_ACK, 5 * NS_SEC);
		simnet_hold_type(w, A, C, P_PEER_ACK, 5 * NS_SEC);
		for (unsigned i = 0; i < 8; i++)
			sc_write_async(w, FIRST_BLOCK + i);
		sc_wait(w, 20);
		leave(w, A, C, true);
		if (back)
			leave(w, C, A, true);
		sc_wait(w, 100);
		sc_write(w, 1);
		node_adjust(w, A);
		if (back)
			node_adjust(w, C);
		life_expect_converged(w);
		sc_close(w);
		sc_open(w, C);
		sc_read(w, FIRST_BLOCK + 3);
		sc_read(w, 1);
	}
}

static void leaves_in_resync(struct world *w)
{
	for (unsigned node = A; node <= C; node += C - A) {
		unsigned peer = C - node;

		sc_begin(w, 3);
		sc_leave_behind(w, 30);
		simnet_hold_type(w, A, C, P_RS_DATA_REPLY, NS_SEC);
		sc_begin_resync(w, A, C);
		leave(w, node, peer, true);
		sc_wait(w, 50);
		node_adjust(w, node);
		for (unsigned n = A; n <= B; n++)
			sc_join(w, n, C);
		life_expect_converged(w);
	}
}

/* Its vote stays, as at a restart, until it is forgotten. */
static void votes_until_forgotten(struct world *w)
{
	struct ev_command forget = { .cmd = CMD_FORGET_PEER, .peer = C };
	struct sim_params *p = life_plain(w, w->scenario_seed, 3);

	p->quorum = QUORUM_MAJORITY;
	p->on_no_quorum = NO_QUORUM_IO_ERROR;
	life_set_up(w);
	sc_kill(w, C);
	for (unsigned n = A; n <= B; n++)
		leave(w, n, C, true);
	sc_open(w, A);
	sc_write(w, 1);
	sc_expect(w, node_status(w, A)->volumes[0].quorum, "quorum of two of three");
	for (unsigned n = A; n <= B; n++)
		sc_command(w, n, forget, SS_SUCCESS);
	sc_write(w, 2);
	sc_close(w);
	sc_kill(w, B);
	sc_wait_conn(w, A, B, CONN_CONNECTING);
	sc_expect(w, !node_status(w, A)->volumes[0].quorum, "no quorum of one of two");
	sc_start(w, B);
	sc_wait_reunited(w, A, B);
	sc_start(w, C);
	for (unsigned n = A; n <= B; n++)
		node_adjust(w, n);
	life_expect_converged(w);
}

/* A Primary that was taken out goes on: who is left with older data waits for it. */
static void may_have_gone_on(struct world *w)
{
	struct ev_command forget = { .cmd = CMD_FORGET_PEER, .peer = A };

	for (unsigned forgotten = 0; forgotten < 2; forgotten++) {
		sc_begin(w, 3);
		sc_open(w, A);
		sc_write(w, 1);
		sc_part(w, A, C);
		leave(w, A, B, false);
		leave(w, B, A, false);
		sc_write(w, 2);
		sc_part(w, B, C);
		sc_join(w, B, C);
		sc_wait_conn(w, B, C, CONN_CONNECTED);
		sc_wait(w, 20000);
		sc_expect(w, node_status(w, B)->volumes[0].disk == DISK_OUTDATED, "waits for A");
		sc_expect_honest(w);
		if (forgotten) {
			sc_close(w);
			w->split_brain_ok = true;
			sc_command(w, B, forget, SS_SUCCESS);
			sc_wait_disk(w, B, DISK_UP_TO_DATE);
			return;
		}
		node_adjust(w, A);
		node_adjust(w, B);
		sc_join(w, A, C);
		life_expect_converged(w);
	}
}

/* Who has no slot is taken to be where the first generation ended, and this one is not. */
static void forgotten_when_behind(struct world *w)
{
	struct ev_command forget = { .cmd = CMD_FORGET_PEER, .peer = C };

	sc_begin(w, 3);
	sc_leave_behind(w, 5);
	for (unsigned n = A; n <= B; n++)
		sc_join(w, n, C);
	sc_wait_reunited(w, A, C);
	sc_wait_reunited(w, B, C);
	for (unsigned n = A; n <= B; n++)
		leave(w, n, C, false);
	sc_write(w, 1);
	for (unsigned n = A; n <= B; n++)
		sc_command(w, n, forget, SS_SUCCESS);
	sc_write(w, 2);
	for (unsigned n = A; n <= B; n++)
		node_adjust(w, n);
	life_expect_converged(w);
}

/* Each of the connections is a transaction of all nodes: they let each other finish. */
static void many_nodes_meet(struct world *w)
{
	struct sim_params *p = life_plain(w, w->scenario_seed, 18);

	p->device_sectors = p->room_sectors = (1U << 20) / SECTOR_BYTES;
	p->net_latency_ns = 4 * NS_MS;
	life_set_up(w);
	sc_expect(w, w->now_ns < 30 * NS_SEC, "within half a minute");
}

const struct scenario scenarios_peers[] = {
	{ "peer-joins-in-use", joins_in_use },
	{ "peer-of-client-changes", client_changes_peers },
	{ "peer-leaves-with-writes", leaves_with_writes },
	{ "peer-leaves-in-resync", leaves_in_resync },
	{ "peer-votes-until-forgotten", votes_until_forgotten },
	{ "forgotten-peer-is-behind", forgotten_when_behind },
	{ "former-peer-may-have-gone-on", may_have_gone_on },
	{ "many-nodes-meet", many_nodes_meet },
	{ NULL, NULL },
};

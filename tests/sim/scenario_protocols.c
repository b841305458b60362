/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Scenarios behind protocols A and B: what was answered without a proof that somebody has it. */
#include "scenario.h"

static void begin(struct world *w, unsigned nodes, enum wire_protocol protocol)
{
	sim_params_protocol(life_plain(w, w->scenario_seed, nodes), protocol);
	life_set_up(w);
	sc_open(w, A);
	sc_write(w, 0);
	sc_wait(w, 1000);
}

/* The Primary has no disk; what has arrived at the only one may still fail there. */
static void no_copy(struct world *w)
{
	begin(w, 2, PROTOCOL_B);
	sc_detach_forced(w, A);
	w->nodes[B].disk.fail_writes = 1;
	sc_expect(w, !sc_try(w, OP_WRITE, 1), "a write that no disk has is an error");
}

/* The Primary's disk fails with the write in flight, the peer's a moment later. */
static void failed_everywhere(struct world *w)
{
	begin(w, 2, PROTOCOL_A);
	w->nodes[A].disk.fail_writes = w->nodes[B].disk.fail_writes = 1;
	w->nodes[B].disk.stall_until_ns = w->now_ns + NS_SEC;
	sc_expect(w, !sc_try(w, OP_WRITE, 1), "a write that no disk has is an error");
}

/* As before, but the peer gets it onto its disk: its word comes with the barrier's ack. */
static void failed_here(struct world *w)
{
	begin(w, 2, PROTOCOL_A);
	w->nodes[A].disk.fail_writes = 1;
	w->nodes[B].disk.stall_until_ns = w->now_ns + NS_SEC;
	sc_write(w, 1);
	sc_read(w, 1);
	sc_close(w);
	sc_attach(w, A);
	life_expect_converged(w);
}

/* The peer's disk fails after the answer, and nothing is written any more. */
static void failed_after_answer(struct world *w)
{
	uint64_t before;

	begin(w, 2, PROTOCOL_A);
	before = sc_uuid(w, A);
	w->nodes[B].disk.fail_writes = 1;
	sc_write(w, 1);
	sc_wait_disk(w, B, DISK_DISKLESS);
	sc_close(w);
	sc_wait(w, 1000);
	sc_expect(w, !uuid_eq(before, sc_uuid(w, A)), "A is in a generation that B does not have");
	sc_kill(w, A);
	sc_kill(w, B);
	sc_start(w, B);
	sc_start(w, A);
	life_expect_converged(w);
}

/* What it has answered is on the disk that failed only: a peer that lags is no stand-in for it. */
static void lagging(struct world *w, unsigned nodes)
{
	begin(w, nodes, PROTOCOL_A);
	for (unsigned n = B; n < nodes; n++)
		sc_unplug(w, A, n);
	sc_write(w, 1);
	sc_detach_forced(w, A);
	/* What was under way is lost. */
	for (unsigned n = B; n < nodes; n++) {
		sc_wait_conn(w, A, n, CONN_CONNECTING);
		sc_wait_conn(w, n, A, CONN_CONNECTING);
	}
	for (unsigned n = B; n < nodes; n++)
		sc_join(w, A, n);
	for (unsigned n = B; n < nodes; n++)
		sc_wait_conn(w, A, n, CONN_CONNECTED);
	sc_expect(w, !sc_try(w, OP_WRITE, 2), "nothing is written on what lags");
	sc_close(w);
	sc_attach(w, A);
	life_expect_converged(w);
}

static void lagging_peer(struct world *w)
{
	lagging(w, 2);
}

static void lagging_peers(struct world *w)
{
	lagging(w, 3);
}

/*
 * The peers are noticed to be lost first, and with them quorum: no generation is made without them.
 * What was answered before is on no disk but the one that fails next.
 */
static void lagging_without_quorum(struct world *w)
{
	struct sim_params *p = life_plain(w, w->scenario_seed, 3);

	sim_params_protocol(p, PROTOCOL_A);
	p->quorum = QUORUM_MAJORITY;
	p->on_no_quorum = NO_QUORUM_IO_ERROR;
	life_set_up(w);
	sc_open(w, A);
	sc_write(w, 0);
	sc_wait(w, 100);
	sc_unplug(w, A, B);
	sc_unplug(w, A, C);
	sc_write(w, 1);
	for (unsigned n = B; n <= C; n++) {
		sc_wait_conn(w, A, n, CONN_CONNECTING);
		sc_wait_conn(w, n, A, CONN_CONNECTING);
	}
	sc_detach_forced(w, A);
	sc_join(w, A, B);
	sc_wait_conn(w, A, B, CONN_CONNECTED);
	sc_expect(w, !sc_try(w, OP_READ, 1), "nothing is read from what lags");
	sc_close(w);
	sc_attach(w, A);
	sc_join(w, A, C);
	life_expect_converged(w);
	sc_open(w, B);
	sc_read(w, 1);
}

/*
 * The disk fails while the Primary asks the only peer left, which is gone already, whether it has
 * quorum with it: no generation is made, and what was answered is on that disk alone.
 */
static void lagging_while_asked(struct world *w)
{
	struct sim_params *p = life_plain(w, w->scenario_seed, 3);

	sim_params_protocol(p, PROTOCOL_A);
	p->quorum = QUORUM_MAJORITY;
	life_set_up(w);
	sc_open(w, A);
	sc_write(w, 0);
	sc_wait(w, 1000);
	sc_unplug(w, A, B);
	sc_write(w, 1);
	sc_kill_noticed(w, C, A);
	sc_detach_forced(w, A);
	sc_wait_conn(w, A, B, CONN_CONNECTING);
	sc_wait_conn(w, B, A, CONN_CONNECTING);
	sc_join(w, A, B);
	sc_wait_conn(w, A, B, CONN_CONNECTED);
	sc_start(w, C);
	sc_wait_conn(w, A, C, CONN_CONNECTED);
	sc_attach(w, A);
	life_expect_converged(w);
	sc_read(w, 1);
}

/* As before, and it gets its disk back before it notices that the peer is lost. */
static void attached_in_time(struct world *w)
{
	begin(w, 2, PROTOCOL_A);
	sc_unplug(w, A, B);
	sc_write(w, 1);
	sc_detach_forced(w, A);
	node_command(w, A, (struct ev_command){ .cmd = CMD_ATTACH, .vnr = SIM_VNR }, NULL, 0);
	sc_wait_conn(w, A, B, CONN_CONNECTING);
	sc_wait_conn(w, B, A, CONN_CONNECTING);
	sc_join(w, A, B);
	sc_wait_conn(w, A, B, CONN_CONNECTED);
	sc_attach(w, A);
	life_expect_converged(w);
	sc_read(w, 1);
}

/* What it has answered since its first disk failed is on B's disk: the one that fails in the middle
 * of its resync had nothing that B may lack. */
static void lost_in_resync(struct world *w)
{
	begin(w, 2, PROTOCOL_A);
	sc_detach_forced(w, A);
	sc_write_scattered(w, 0, 20);
	node_command(w, A, (struct ev_command){ .cmd = CMD_ATTACH, .vnr = SIM_VNR }, NULL, 0);
	sc_wait_repl(w, A, B, REPL_SYNC_TARGET);
	sc_unplug(w, A, B);
	sc_wait_conn(w, A, B, CONN_CONNECTING);
	sc_wait_conn(w, B, A, CONN_CONNECTING);
	sc_detach_forced(w, A);
	sc_join(w, A, B);
	sc_wait_conn(w, A, B, CONN_CONNECTED);
	sc_write(w, 1);
	sc_attach(w, A);
	life_expect_converged(w);
}

/* What has arrived by protocol B survives the Primary, by A only what was written. */
static void survivor(struct world *w, enum wire_protocol protocol)
{
	begin(w, 3, protocol);
	sc_write_scattered(w, 0, 20);
	sc_kill(w, A);
	sc_wait_disk(w, B, DISK_UP_TO_DATE);
	sc_wait(w, 1000);
	sc_open(w, B);
	sc_write(w, 1);
	sc_start(w, A);
	life_expect_converged(w);
}

static void survivor_a(struct world *w)
{
	survivor(w, PROTOCOL_A);
}

static void survivor_b(struct world *w)
{
	survivor(w, PROTOCOL_B);
}

/* B has all that was answered, by protocol C, and C, by protocol A, has no less: it lacks nothing
 * that the power cut may have left of A. */
static void mixed_survivors(struct world *w)
{
	struct sim_params *p = life_plain(w, w->scenario_seed, 3);
	uint64_t received;

	p->protocol[A][C] = p->protocol[C][A] = PROTOCOL_A;
	life_set_up(w);
	sc_open(w, A);
	sc_write_scattered(w, 0, 20);
	sc_wait(w, 100);
	sc_power_cut(w, A);
	sc_wait_disk(w, B, DISK_UP_TO_DATE);
	sc_wait_disk(w, C, DISK_UP_TO_DATE);
	sc_wait(w, 3000);
	received = sc_received(w, C, A);
	sc_unplug(w, A, B);
	sc_start(w, A);
	sc_wait_conn(w, A, C, CONN_CONNECTED);
	sc_wait(w, 3000);
	sc_expect(w, sc_received(w, C, A) == received, "C takes nothing from A");
	sc_join(w, A, B);
	life_expect_converged(w);
}

/* B loses the Primary first, with more of its stream than C has got when that loses it, too: C does
 * not lead because it had the Primary a moment longer. */
static void left_with_more(struct world *w)
{
	uint64_t received;

	begin(w, 3, PROTOCOL_A);
	simnet_stall(w, A, C, STREAM_DATA, 30 * NS_SEC);
	sc_write(w, 1);
	sc_wait(w, 100);
	received = sc_received(w, B, C);
	sc_part(w, A, B);
	sc_wait_disk(w, B, DISK_OUTDATED);
	sc_part(w, A, C);
	sc_wait_disk(w, B, DISK_UP_TO_DATE);
	sc_wait_disk(w, C, DISK_UP_TO_DATE);
	sc_wait(w, 1000);
	sc_expect(w, sc_received(w, B, C) == received, "B takes nothing from C");
	sc_join(w, A, B);
	sc_join(w, A, C);
	life_expect_converged(w);
}

/*
 * C has got more of the Primary's stream than B. The two meet when that one is back at B, without
 * its disk: what was stable on C is not overwritten with what is on B.
 */
static void back_without_disk(struct world *w)
{
	begin(w, 3, PROTOCOL_A);
	sc_write(w, 2);
	simnet_stall(w, A, B, STREAM_DATA, 30 * NS_SEC);
	sc_write(w, 1);
	sc_write(w, 3);
	/* No peer ack has come: both have blocks marked for each other. */
	sc_wait(w, 10);
	/* The generation that it makes when it loses them does not get onto its disk. */
	w->nodes[A].disk.fail_meta = 1;
	w->nodes[A].disk.fail_meta_kinds = 1 << MOP_SUPER;
	sc_unplug(w, A, B);
	sc_unplug(w, A, C);
	sc_part(w, B, C);
	for (unsigned n = B; n <= C; n++) {
		sc_wait_conn(w, A, n, CONN_CONNECTING);
		sc_wait_conn(w, n, A, CONN_CONNECTING);
	}
	sc_wait_disk(w, A, DISK_DISKLESS);
	sc_close(w);
	sc_join(w, A, B);
	sc_wait_conn(w, B, A, CONN_CONNECTED);
	sc_join(w, B, C);
	sc_wait_reunited(w, B, C);
	sc_open(w, C);
	sc_read(w, 1);
	sc_close(w);
	sc_join(w, A, C);
	sc_attach(w, A);
	life_expect_converged(w);
}

/*
 * A has answered what B never got, and nothing is written any more when C has agreed that B is
 * lost. Then A's disk fails, and comes back when A has met B.
 */
static void left_behind_at_the_end(struct world *w)
{
	struct sim_params *p = life_plain(w, w->scenario_seed, 3);

	sim_params_protocol(p, PROTOCOL_A);
	p->no_disk = 1U << C;
	p->quorum = QUORUM_MAJORITY;
	life_set_up(w);
	sc_open(w, A);
	sc_write(w, 1);
	sc_wait(w, 1000);
	sc_unplug(w, A, B);
	sc_unplug(w, B, C);
	sc_write(w, 2);
	sc_wait_conn(w, A, B, CONN_CONNECTING);
	sc_close(w);
	sc_wait(w, 1000);
	sc_expect(w, !uuid_eq(sc_uuid(w, A), sc_uuid(w, B)), "B does not have A's generation");
	sc_detach_forced(w, A);
	sc_join(w, A, B);
	sc_join(w, B, C);
	sc_wait_conn(w, B, A, CONN_CONNECTED);
	sc_attach(w, A);
	sc_wait_reunited(w, A, B);
	sc_open(w, B);
	sc_read(w, 2);
	life_expect_converged(w);
}

/*
 * B does not hear that A has become Secondary, loses it, and takes it for a lost Primary; C, which
 * has heard it, has nothing to compare. Who becomes Primary meanwhile shows C's data, and is
 * resynced from there like one whose disk is not good.
 */
static void promoted_while_comparing(struct world *w)
{
	begin(w, 3, PROTOCOL_A);
	simnet_hold_type(w, A, B, P_TWOPC_COMMIT, 80 * NS_SEC);
	/* B does not get the peer ack, and marks it. */
	simnet_stall(w, A, B, STREAM_CONTROL, 80 * NS_SEC);
	sc_write(w, 1);
	sc_close(w);
	sc_part(w, A, B);
	sc_wait_disk(w, B, DISK_CONSISTENT);
	sc_open(w, B);
	sc_write(w, 2);
	sc_wait_disk(w, B, DISK_UP_TO_DATE);
	sc_write(w, 3);
	sc_read(w, 1);
	sc_read(w, 2);
	sc_join(w, A, B);
	life_expect_converged(w);
}

/*
 * A has no disk, and makes a generation without D. C has it, to B it is still on its way: B does
 * not become the source of C on command, whose disk would be the only one that has it, and not
 * good.
 */
static void invalidated_too_early(struct world *w)
{
	struct sim_params *p = life_plain(w, w->scenario_seed, 4);
	const struct ev_command invalidate = { .cmd = CMD_INVALIDATE_REMOTE, .vnr = SIM_VNR,
					       .peer = C, .keep_bitmap = true };

	sim_params_protocol(p, PROTOCOL_A);
	p->no_disk = 1U << A;
	life_set_up(w);
	sc_open(w, A);
	sc_write(w, 0);
	sc_wait(w, 1000);
	sc_kill(w, D);
	for (unsigned n = A; n < D; n++)
		sc_wait_conn(w, n, D, CONN_CONNECTING);
	simnet_stall(w, A, B, STREAM_DATA, 60 * NS_SEC);
	sc_write_async(w, 1);
	sc_wait(w, 100);
	sc_expect(w, !uuid_eq(sc_uuid(w, B), sc_uuid(w, C)), "C alone has the generation");
	node_command(w, B, invalidate, NULL, 0);
	sc_wait(w, 20);
	sc_unplug(w, A, B);
	sc_part(w, B, C);
	sc_wait_conn(w, A, B, CONN_CONNECTING);
	sc_wait_conn(w, B, A, CONN_CONNECTING);
	sc_join(w, A, B);
	sc_join(w, B, C);
	sc_wait_reunited(w, B, C);
	sc_start(w, D);
	life_expect_converged(w);
}

/* What has been answered by protocol B is at the peer, whatever a power cut leaves of the Primary:
 * the peer is the source when that is back, and nobody has gone on meanwhile. */
static void survivor_leads(struct world *w)
{
	begin(w, 2, PROTOCOL_B);
	sc_write_scattered(w, 0, 20);
	sc_wait(w, 100);
	sc_power_cut(w, A);
	sc_wait_disk(w, B, DISK_UP_TO_DATE);
	sc_start(w, A);
	sc_wait_reunited(w, A, B);
	sc_open(w, A);
	for (uint64_t i = 0; i < 20; i++)
		sc_read(w, 3 + 7 * i);
	life_expect_converged(w);
}

const struct scenario scenarios_protocols[] = {
	{ "protocol-a-promoted-while-comparing", promoted_while_comparing },
	{ "protocol-a-left-behind-at-the-end", left_behind_at_the_end },
	{ "protocol-b-no-copy", no_copy },
	{ "protocol-a-failed-everywhere", failed_everywhere },
	{ "protocol-a-failed-here", failed_here },
	{ "protocol-a-failed-after-answer", failed_after_answer },
	{ "protocol-a-lagging-peer", lagging_peer },
	{ "protocol-a-lagging-peers", lagging_peers },
	{ "protocol-a-lagging-without-quorum", lagging_without_quorum },
	{ "protocol-a-lagging-while-asked", lagging_while_asked },
	{ "protocol-a-attached-in-time", attached_in_time },
	{ "protocol-a-lost-in-resync", lost_in_resync },
	{ "protocol-a-survivor", survivor_a },
	{ "protocol-b-survivor", survivor_b },
	{ "protocols-mixed-survivors", mixed_survivors },
	{ "protocol-a-left-with-more", left_with_more },
	{ "protocol-a-back-without-disk", back_without_disk },
	{ "invalidated-too-early", invalidated_too_early },
	{ "protocol-b-survivor-leads", survivor_leads },
	{ NULL, NULL },
};

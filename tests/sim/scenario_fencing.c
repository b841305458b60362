/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Fencing: what waits for fence-peer, what it says, and who goes on then. */
#include "scenario.h"

static void fenced_by(struct world *w, unsigned nodes, enum fencing policy, enum fence_way way)
{
	struct sim_params *p = life_plain(w, w->scenario_seed, nodes);

	p->fencing = policy;
	p->handlers = 1U << HANDLER_FENCE_PEER | 1U << HANDLER_UNFENCE_PEER;
	w->fencing.plays = true;
	w->fencing.ways = 1U << way;
	prng_seed(&w->fencing.rng, w->scenario_seed);
	life_set_up(w);
}

static void stonith(struct world *w, unsigned nodes, enum fence_way way)
{
	fenced_by(w, nodes, FENCING_STONITH, way);
}

static bool is_suspended(struct world *w, unsigned node)
{
	return node_status(w, node)->susp_fencing;
}

static unsigned calls(struct world *w, unsigned node)
{
	return w->handlers.calls[node][HANDLER_FENCE_PEER];
}

static enum disk_state pdsk(struct world *w, unsigned node, unsigned peer)
{
	return status_peer(node_status(w, node), peer)->devices[0].peer_disk;
}

/* A promotion that has to be refused. */
static void refused(struct world *w, unsigned node)
{
	sc_command(w, node, (struct ev_command){ .cmd = CMD_PRIMARY }, -1000);
	sc_expect(w, node_status(w, node)->role == ROLE_SECONDARY, "nobody is promoted there");
}

static bool io_ends(struct world *w)
{
	return w->app.in_flight == 0;
}

static void sc_wait_io(struct world *w)
{
	sc_expect(w, world_run_until(w, io_ends, 60 * NS_SEC) && w->app.errors == 0,
		  "the write is answered");
}

/* A is Primary, a write is on its way when B is cut off. */
static void parted(struct world *w)
{
	sc_open(w, A);
	sc_write(w, 1);
	sc_unplug(w, A, B);
	sc_write_async(w, 2);
	sc_wait_conn(w, A, B, CONN_CONNECTING);
	sc_expect(w, w->app.in_flight == 1 && is_suspended(w, A), "the write waits");
}

/* Exit code 4, and what follows for the other side. */
static void outdated(struct world *w)
{
	stonith(w, 2, FENCE_OUTDATE);
	parted(w);
	sc_wait_io(w);
	sc_expect(w, pdsk(w, A, B) == DISK_OUTDATED, "A knows it");
	sc_wait_disk(w, B, DISK_OUTDATED);
	refused(w, B);
	sc_restart(w, B);
	sc_wait_disk(w, B, DISK_OUTDATED);
	refused(w, B);
	sc_join(w, A, B);
	sc_wait_reunited(w, A, B);
	sc_expect(w, w->handlers.calls[A][HANDLER_UNFENCE_PEER] == 2, "and lets it in again");
	life_expect_converged(w);
}

/* 7: it comes back, and has nothing to say. */
static void shot(struct world *w)
{
	stonith(w, 2, FENCE_SHOOT);
	parted(w);
	sc_wait_io(w);
	sc_expect(w, w->nodes[B].life > 1, "B was switched off");
	if (!w->nodes[B].up)
		sc_start(w, B);
	sc_wait_disk(w, B, DISK_CONSISTENT);
	/* Nor does shooting the other one help: who was shot does not know what it lacks. */
	sc_close(w);
	refused(w, B);
	sc_expect(w, w->nodes[A].life > 1, "A was switched off in turn");
	if (!w->nodes[A].up)
		sc_start(w, A);
	sc_wait_disk(w, A, DISK_UP_TO_DATE);
	sc_open(w, A);
	sc_write(w, 3);
	sc_join(w, A, B);
	life_expect_converged(w);
}

/* 5: the survivor of a crash was there all the time. */
static void down(struct world *w)
{
	stonith(w, 2, FENCE_OUTDATE);
	sc_open(w, A);
	sc_write(w, 1);
	sc_kill_noticed(w, A, B);
	sc_wait_disk(w, B, DISK_CONSISTENT);
	sc_open(w, B);
	sc_expect(w, calls(w, B) == 1 && pdsk(w, B, A) == DISK_OUTDATED, "A is down");
	sc_write(w, 2);
	sc_start(w, A);
	life_expect_converged(w);
}

/* 6: the other one is Primary. */
static void primary_there(struct world *w)
{
	stonith(w, 2, FENCE_OUTDATE);
	sc_open(w, A);
	sc_write(w, 1);
	w->fencing.lan_down = true;
	sc_part(w, A, B);
	sc_wait(w, 5000);
	sc_expect(w, is_suspended(w, A) && calls(w, A) == 1, "A could not fence B");
	w->fencing.lan_down = false;
	refused(w, B);
	sc_wait_disk(w, B, DISK_OUTDATED);
	sc_expect(w, is_suspended(w, A), "A does not know it");
	sc_join(w, A, B);
	sc_wait_reunited(w, A, B);
	sc_write(w, 2);
	life_expect_converged(w);
}

/* 3: it was in the middle of a resync. */
static void inconsistent(struct world *w)
{
	stonith(w, 2, FENCE_OUTDATE);
	sc_make_difference(w, 20);
	simnet_hold_type(w, A, B, P_RS_DATA_REPLY, NS_SEC);
	sc_begin_resync(w, A, B);
	sc_part(w, A, B);
	sc_write(w, 700);
	refused(w, B);
	sc_join(w, A, B);
	life_expect_converged(w);
}

/* Broken: until somebody says that B is harmless, or it is back. */
static void fails(struct world *w)
{
	stonith(w, 2, FENCE_FAIL);
	parted(w);
	sc_wait(w, 70000);
	sc_expect(w, w->app.in_flight == 1 && calls(w, A) == 1, "the write waits");
	sc_join(w, A, B);
	sc_wait_io(w);
	sc_part(w, A, B);
	sc_write_async(w, 5);
	sc_wait(w, 70000);
	sc_expect(w, w->app.in_flight == 1 && calls(w, A) == 2, "the write waits");
	sc_command(w, A, (struct ev_command){ .cmd = CMD_RESUME_IO }, SS_SUCCESS);
	sc_wait_io(w);
	sc_join(w, A, B);
	life_expect_converged(w);
}

/* What it says when the peer is back is over. */
static void too_late(struct world *w)
{
	stonith(w, 2, FENCE_OUTDATE);
	w->fencing.plays = false;
	w->handlers.answer[HANDLER_FENCE_PEER] = 4;
	w->handlers.delay_ns = 20 * NS_SEC;
	parted(w);
	sc_join(w, A, B);
	sc_wait_reunited(w, A, B);
	sc_wait_io(w);
	sc_part(w, A, B);
	sc_write_async(w, 5);
	sc_wait(w, 8000);
	sc_expect(w, is_suspended(w, A) && pdsk(w, A, B) == DISK_UNKNOWN, "of the first call");
	sc_join(w, A, B);
	sc_wait(w, 30000);
	life_expect_converged(w);
}

/* Another rule than that of the disk: the cluster does not use B. */
static void barred(struct world *w)
{
	stonith(w, 3, FENCE_BAR);
	sc_open(w, A);
	sc_write(w, 1);
	sc_part(w, A, B);
	sc_write(w, 2);
	sc_expect(w, fencing_allows(w, A) && !fencing_allows(w, B) && fencing_allows(w, C),
		  "B is barred");
	sc_join(w, A, B);
	life_expect_converged(w);
	sc_expect(w, fencing_allows(w, B), "B may be used again");
}

/* Nothing waits, but nobody is promoted beside the other one. */
static void resource_only(struct world *w)
{
	fenced_by(w, 2, FENCING_RESOURCE, FENCE_OUTDATE);
	sc_open(w, A);
	w->fencing.lan_down = true;
	sc_part(w, A, B);
	sc_write(w, 1);
	sc_expect(w, pdsk(w, A, B) == DISK_UNKNOWN, "B is not fenced");
	refused(w, B);
	w->fencing.lan_down = false;
	refused(w, B);
	sc_wait_disk(w, B, DISK_OUTDATED);
	sc_join(w, A, B);
	life_expect_converged(w);
}

/* ---- with quorum ---- */

static void with_quorum(struct world *w, enum fence_way way)
{
	struct sim_params *p = life_plain(w, w->scenario_seed, 3);

	p->fencing = FENCING_STONITH;
	p->handlers = 1U << HANDLER_FENCE_PEER;
	p->quorum = QUORUM_MAJORITY;
	w->fencing.plays = true;
	w->fencing.ways = 1U << way;
	prng_seed(&w->fencing.rng, w->scenario_seed);
	life_set_up(w);
}

/* Both have to agree: with quorum I/O waits until the lost peer is fenced. */
static void quorum_and_fencing(struct world *w)
{
	with_quorum(w, FENCE_OUTDATE);
	w->fencing.lan_down = true;
	sc_open(w, A);
	sc_write(w, 1);
	sc_unplug(w, B, C);
	sc_part(w, A, C);
	sc_write_async(w, 2);
	sc_wait(w, 20000);
	sc_expect(w, node_status(w, A)->volumes[0].quorum && w->app.in_flight == 1,
		  "A has quorum, and C is not fenced");
	sc_join(w, A, C);
	sc_wait_io(w);
	sc_join(w, B, C);
	life_expect_converged(w);
}

/* Who has made all others Outdated has quorum; those have it, too, and nothing to go on with. */
static void fencing_gives_quorum(struct world *w)
{
	with_quorum(w, FENCE_OUTDATE);
	sc_open(w, A);
	sc_write(w, 1);
	sc_unplug(w, A, B);
	sc_unplug(w, A, C);
	sc_write_async(w, 2);
	sc_wait_io(w);
	sc_expect(w, pdsk(w, A, B) == DISK_OUTDATED && pdsk(w, A, C) == DISK_OUTDATED,
		  "both are fenced");
	sc_wait(w, 20000);
	sc_expect(w, node_status(w, B)->volumes[0].disk == DISK_OUTDATED, "B stays so");
	refused(w, B);
	refused(w, C);
	sc_join(w, A, B);
	sc_join(w, A, C);
	life_expect_converged(w);
}

/* The majority goes on when it has switched off the Primary that has none. */
static void majority_shoots(struct world *w)
{
	with_quorum(w, FENCE_SHOOT);
	sc_open(w, A);
	sc_write(w, 1);
	w->fencing.plays = false;
	w->handlers.answer[HANDLER_FENCE_PEER] = 1;
	sc_unplug(w, A, C);
	sc_part(w, A, B);
	sc_write_async(w, 2);
	sc_wait(w, 20000);
	sc_expect(w, w->app.in_flight == 1, "A waits for both");
	w->fencing.plays = true;
	w->app.quiet = true;
	sc_command(w, B, (struct ev_command){ .cmd = CMD_PRIMARY }, SS_SUCCESS);
	sc_expect(w, w->nodes[A].life > 1, "A was switched off");
	sc_command(w, B, (struct ev_command){ .cmd = CMD_SECONDARY }, SS_SUCCESS);
	sc_open(w, B);
	sc_write(w, 2);
	if (!w->nodes[A].up)
		sc_start(w, A);
	sc_join(w, A, B);
	sc_join(w, A, C);
	life_expect_converged(w);
}

/* ---- flaws that random lives have found ---- */

/* A Primary that works with a peer's disk can write as well, and a third one has to be fenced. */
static void without_its_disk(struct world *w)
{
	stonith(w, 3, FENCE_OUTDATE);
	sc_open(w, A);
	sc_write(w, 1);
	sc_detach(w, A);
	sc_write(w, 2);
	sc_unplug(w, B, C);
	sc_part(w, A, C);
	sc_write(w, 3);
	sc_expect(w, calls(w, A) == 1 && pdsk(w, A, C) == DISK_OUTDATED, "C is fenced");
	refused(w, C);
	sc_attach(w, A);
	sc_join(w, A, C);
	sc_join(w, B, C);
	life_expect_converged(w);
}

/*
 * B is back before it was fenced. A sees it as the target of a resync, dies, and B has not heard
 * of that: it is as good as it was. What A has written without it must not have been answered.
 */
static void back_and_unaware(struct world *w)
{
	stonith(w, 2, FENCE_OUTDATE);
	w->fencing.lan_down = true;
	parted(w);
	sc_wait(w, 3000);
	simnet_hold_type(w, A, B, P_TWOPC_COMMIT, 20 * NS_SEC);
	sc_join(w, A, B);
	sc_wait_conn(w, A, B, CONN_CONNECTED);
	sc_wait(w, 300);
	sc_expect(w, w->app.in_flight == 1, "B does not know yet that it is behind");
	sc_kill_noticed(w, A, B);
	w->fencing.lan_down = false;
	sc_open(w, B);
	sc_write(w, 3);
	sc_start(w, A);
	life_expect_converged(w);
}

/*
 * A has no disk and waits for C to be fenced. When C is back, B has what is kept and C has not: the
 * generation that is made then is not C's.
 */
static void back_and_lacking(struct world *w)
{
	stonith(w, 3, FENCE_FAIL);
	sc_open(w, A);
	sc_write(w, 1);
	sc_detach(w, A);
	sc_write(w, 2);
	sc_part(w, B, C);
	sc_unplug(w, A, C);
	sc_write_async(w, 3);
	sc_wait_conn(w, A, C, CONN_CONNECTING);
	sc_expect(w, w->app.in_flight == 1, "the write waits");
	sc_join(w, A, C);
	sc_wait_io(w);
	sc_expect_honest(w);
	sc_join(w, B, C);
	sc_attach(w, A);
	life_expect_converged(w);
}

/*
 * B is Outdated beside A until it sees C, too. The word that it is good then is lost: A must not
 * count on it being Outdated when it goes on alone.
 */
static void good_and_unknown(struct world *w)
{
	stonith(w, 3, FENCE_OUTDATE);
	sc_open(w, A);
	sc_write(w, 1);
	sc_part(w, B, C);
	sc_command(w, B, (struct ev_command){ .cmd = CMD_DISCONNECT, .peer = A, .force = true },
		   SS_SUCCESS);
	sc_write(w, 2);
	sc_wait_disk(w, B, DISK_OUTDATED);
	sc_close(w);
	sc_command(w, B, (struct ev_command){ .cmd = CMD_CONNECT, .peer = A }, SS_SUCCESS);
	sc_wait_repl(w, A, B, REPL_ESTABLISHED);
	sc_expect(w, pdsk(w, A, B) == DISK_OUTDATED, "B does not see C, which may go on");
	simnet_hold_type(w, B, A, P_STATE, 60 * NS_SEC);
	sc_join(w, B, C);
	sc_wait_disk(w, B, DISK_UP_TO_DATE);
	sc_expect(w, pdsk(w, A, B) == DISK_OUTDATED, "A has not heard of it");
	sc_part(w, A, B);
	sc_part(w, A, C);
	sc_open(w, A);
	sc_write(w, 3);
	sc_kill(w, A);
	refused(w, B);
	sc_start(w, A);
	sc_join(w, A, B);
	sc_join(w, A, C);
	life_expect_converged(w);
}

/*
 * B has seen C Outdated, and does not see that A makes it good again. When A is lost C may go on,
 * and has to be fenced, too.
 */
static void good_elsewhere(struct world *w)
{
	stonith(w, 3, FENCE_OUTDATE);
	sc_open(w, A);
	sc_write(w, 1);
	sc_part(w, A, C);
	sc_wait_disk(w, C, DISK_OUTDATED);
	sc_write(w, 2);
	sc_part(w, B, C);
	sc_expect(w, pdsk(w, B, C) == DISK_OUTDATED, "C is behind");
	sc_join(w, A, C);
	sc_wait_disk(w, C, DISK_UP_TO_DATE);
	sc_kill_noticed(w, A, B);
	sc_open(w, B);
	sc_write(w, 3);
	sc_kill(w, B);
	refused(w, C);
	sc_start(w, B);
	sc_start(w, A);
	sc_join(w, B, C);
	life_expect_converged(w);
}

/* A Primary without a disk waits with what B has got and A has not, in no generation of its own: A
 * is back, and is not good by that. */
static void client_waits(struct world *w)
{
	struct sim_params *p = life_plain(w, w->scenario_seed, 3);

	p->no_disk = 1U << C;
	p->quorum = QUORUM_MAJORITY;
	p->quorum_min_redundancy = QUORUM_MAJORITY;
	p->fencing = FENCING_STONITH;
	p->handlers = 1U << HANDLER_FENCE_PEER;
	w->fencing.plays = true;
	w->fencing.ways = 1U << FENCE_FAIL;
	prng_seed(&w->fencing.rng, w->scenario_seed);
	life_set_up(w);
	sc_open(w, C);
	sc_write(w, 1);
	sc_unplug(w, A, C);
	sc_write_async(w, 2);
	sc_wait_conn(w, C, A, CONN_CONNECTING);
	sc_expect(w, w->app.in_flight == 1 && is_suspended(w, C), "the write waits");
	sc_join(w, A, C);
	sc_wait_io(w);
	sc_close(w);
	sc_open(w, A);
	sc_read(w, 2);
	life_expect_converged(w);
}

/*
 * Equal generations are equal data for a DRBD kernel, whatever is marked here: one that is back
 * before it was fenced gets the write that was on its way, before that is answered.
 */
static void kernel_comes_back(struct world *w)
{
	w->kernels = 2;
	stonith(w, 2, FENCE_FAIL);
	parted(w);
	sc_join(w, A, B);
	sc_wait_io(w);
	sc_expect_honest(w);
	sc_wait(w, 1000);
	sc_expect(w, status_peer(node_status(w, A), B)->devices[0].out_of_sync_sectors == 0,
		  "and is not marked any more");
	sc_close(w);
	sc_kill(w, A);
	w->fencing.ways = 1U << FENCE_SHOOT;
	sc_open(w, B);
	sc_read(w, 2);
	if (!w->nodes[A].up)
		sc_start(w, A);
	life_expect_converged(w);
}

/* The same of quorum, and a third one that is away. */
static void kernel_gives_quorum(struct world *w)
{
	struct sim_params *p = life_plain(w, w->scenario_seed, 3);

	p->quorum = QUORUM_MAJORITY;
	w->kernels = 2;
	life_set_up(w);
	sc_open(w, A);
	sc_write(w, 1);
	simnet_stall(w, A, B, STREAM_DATA, 60 * NS_SEC);
	simnet_stall(w, A, C, STREAM_DATA, 60 * NS_SEC);
	for (unsigned i = 0; i < 8; i++)
		sc_write_async(w, 2 + i);
	sc_wait(w, 20);
	sc_part(w, A, B);
	sc_part(w, A, C);
	simnet_stall(w, A, B, STREAM_DATA, 0);
	simnet_stall(w, A, C, STREAM_DATA, 0);
	sc_expect(w, w->app.in_flight == 8, "the writes wait for quorum");
	sc_join(w, A, B);
	sc_wait_io(w);
	sc_expect_honest(w);
	sc_kill(w, A);
	sc_open(w, B);
	sc_read(w, 2);
	sc_join(w, A, C);
	sc_start(w, A);
	life_expect_converged(w);
}

const struct scenario scenarios_fencing[] = {
	{ "kernel-back-before-it-is-fenced", kernel_comes_back },
	{ "kernel-gives-quorum-back", kernel_gives_quorum },
	{ "fencing-client-waits", client_waits },
	{ "fencing-outdated", outdated },
	{ "fencing-shot", shot },
	{ "fencing-down", down },
	{ "fencing-primary-there", primary_there },
	{ "fencing-inconsistent", inconsistent },
	{ "fencing-fails", fails },
	{ "fencing-too-late", too_late },
	{ "fencing-barred", barred },
	{ "fencing-resource-only", resource_only },
	{ "fencing-and-quorum", quorum_and_fencing },
	{ "fencing-gives-quorum", fencing_gives_quorum },
	{ "fencing-majority-shoots", majority_shoots },
	{ "fencing-without-its-disk", without_its_disk },
	{ "fencing-back-and-unaware", back_and_unaware },
	{ "fencing-back-and-lacking", back_and_lacking },
	{ "fencing-good-and-unknown", good_and_unknown },
	{ "fencing-good-elsewhere", good_elsewhere },
	{ NULL, NULL },
};

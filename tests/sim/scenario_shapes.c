/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Scenarios in which not every node has a connection to every other one (states-and-resync 4.6).
 * Writes do not travel on: a node that has no connection to the Primary is Outdated, and gets them
 * by a resync when the Primary has closed.
 */
#include <string.h>

#include "scenario.h"

static void begin(struct world *w, unsigned nodes, enum shape shape)
{
	sim_shape(life_plain(w, w->scenario_seed, nodes), shape);
	life_set_up(w);
}

/* The middle node has the highest number. */
static void begin_middle_last(struct world *w)
{
	sim_unlink(life_plain(w, w->scenario_seed, 3), A, B);
	life_set_up(w);
}

static enum disk_state disk_of_node(struct world *w, unsigned node)
{
	return node_status(w, node)->volumes[SIM_VNR].disk;
}

static bool has_block(struct world *w, unsigned node, unsigned like, uint64_t block)
{
	uint64_t s = block * BM_BLOCK_SECTORS;

	return disk_peek(&w->nodes[node].disk, s) == disk_peek(&w->nodes[like].disk, s);
}

static int refusal;

static void note_reply(struct world *w, unsigned node, int rc, uint64_t arg)
{
	(void)w;
	(void)node;
	(void)arg;
	refusal = rc;
}

static bool has_replied(struct world *w)
{
	(void)w;
	return refusal != SS_SUCCESS;
}

/* Nothing that the node says is guessed: the promotion has to be refused in time. */
static void expect_no_promotion(struct world *w, unsigned node)
{
	refusal = SS_SUCCESS;
	node_command(w, node, (struct ev_command){ .cmd = CMD_PRIMARY }, note_reply, 0);
	world_run_until(w, has_replied, 60 * NS_SEC);
	sc_expect(w, refusal < SS_SUCCESS, "the promotion is refused");
}

/* It may resync from a neighbour meanwhile, and is not good by that (1.9, unstable source). */
static void stays_behind(struct world *w, unsigned node)
{
	sc_wait(w, 1000);
	sc_expect(w, disk_of_node(w, node) <= DISK_OUTDATED, "the node is behind, and knows it");
}

/* A - B - C: what A has written is on B; C follows when A has closed. */
static void chain(struct world *w)
{
	begin(w, 3, SHAPE_CHAIN);
	sc_open(w, A);
	sc_expect(w, disk_of_node(w, C) == DISK_OUTDATED, "C does not hear of what A writes");
	sc_write(w, 1);
	sc_expect(w, has_block(w, B, A, 1) && !has_block(w, C, A, 1), "B has it, C has not");
	expect_no_promotion(w, C);
	sc_close(w);
	life_expect_converged(w);
	sc_open(w, C);
	sc_read(w, 1);
	sc_write(w, 2);
	sc_expect(w, disk_of_node(w, A) == DISK_OUTDATED, "A does not hear of what C writes");
	sc_close(w);
	life_expect_converged(w);
}

/*
 * A - B - C: C is Primary, its disk is gone, and B's fails, too, while A is down. What C has shown
 * is on B's disk, and A, which is older, cannot be resynced from B before B is good: B is it at
 * once.
 */
static void chain_disks_return(struct world *w)
{
	life_plain(w, w->scenario_seed, 3)->on_no_data = NO_DATA_SUSPEND;
	sim_shape(&w->params, SHAPE_CHAIN);
	life_set_up(w);
	sc_kill_noticed(w, A, B);
	sc_open(w, C);
	sc_write(w, 1);
	/* B does not know yet that C goes on without its disk. */
	simnet_hold_type(w, C, B, P_STATE, NS_SEC);
	w->nodes[C].disk.fail_writes = w->nodes[B].disk.fail_writes = 1;
	sc_write_async(w, 2);
	sc_wait_disk(w, C, DISK_DISKLESS);
	sc_wait_disk(w, B, DISK_DISKLESS);
	sc_start(w, A);
	sc_wait_conn(w, A, B, CONN_CONNECTED);
	sc_attach(w, B);
	sc_wait_disk(w, B, DISK_UP_TO_DATE);
	sc_write(w, 4);
	sc_attach(w, C);
	sc_close(w);
	life_expect_converged(w);
}

/*
 * A - B - C: C is Primary, makes a generation without its disk, and gets that back; B's disk fails
 * before it hears of the generation, while A is resynced from it. It got onto no disk; what C
 * brings up to date is B, and A, which C does not see, has what B had before.
 */
static void chain_primary_returns(struct world *w)
{
	struct sim_params *p = life_plain(w, w->scenario_seed, 3);

	p->on_no_data = NO_DATA_SUSPEND;
	sim_shape(p, SHAPE_CHAIN);
	life_set_up(w);
	sc_kill_noticed(w, A, B);
	sc_open(w, C);
	sc_write_scattered(w, 0, 60);
	simnet_hold_type(w, C, B, P_CURRENT_UUID, 3 * NS_SEC);
	w->nodes[C].disk.fail_writes = 1;
	sc_write_async(w, 2);
	sc_wait_disk(w, C, DISK_DISKLESS);
	node_command(w, C, (struct ev_command){ .cmd = CMD_ATTACH, .vnr = SIM_VNR }, NULL, 0);
	w->nodes[B].disk.fail_reads = 1;
	sc_start(w, A);
	sc_wait_disk(w, B, DISK_DISKLESS);
	sc_wait_disk(w, C, DISK_OUTDATED);
	sc_attach(w, B);
	sc_write(w, 3);
	sc_close(w);
	life_expect_converged(w);
}

/*
 * A - B - C - D - E: A, Primary, leaves B behind and crashes, without having written. When A is
 * back B has all that A had: A is resynced from it, and all of them are good again, though nobody
 * sees all disks.
 */
static void chain_left_by_crashed(struct world *w)
{
	begin(w, 5, SHAPE_CHAIN);
	sc_open(w, A);
	sc_write(w, 1);
	sc_command(w, A, (struct ev_command){ .cmd = CMD_DISCONNECT, .peer = B }, SS_SUCCESS);
	sc_wait_disk(w, B, DISK_OUTDATED);
	sc_kill(w, A);
	sc_start(w, A);
	life_expect_converged(w);
}

/*
 * A - B - C: C gets its disk of before, while B is in the middle of a resync from A. B has marked
 * what C has missed since a later generation: towards that disk it is not enough.
 */
static void chain_older_disk(struct world *w)
{
	begin(w, 3, SHAPE_CHAIN);
	sc_keep_disk(w, C);
	sc_open(w, C);
	sc_write(w, 100);
	sc_close(w);
	life_expect_converged(w);
	sc_kill_noticed(w, C, B);
	sc_open(w, A);
	sc_write(w, 1);
	sc_part(w, A, B);
	sc_write_scattered(w, 200, 220);
	sc_begin_resync(w, A, B);
	sc_part(w, A, B);
	sc_close(w);
	sc_old_disk(w, C);
	sc_start(w, C);
	sc_wait_repl(w, C, B, REPL_ESTABLISHED);
	sc_join(w, A, B);
	life_expect_converged(w);
}

/*
 * A - B - C, and D without a disk sees all. A was resynced from what a crash had left of B, before
 * B has met C, which went on. When A is equal to B after that, D counts on A, too.
 */
static void chain_seen_by_client(struct world *w)
{
	struct sim_params *p = life_plain(w, w->scenario_seed, 4);

	p->tiebreaker = true;
	sim_unlink(p, A, C);
	life_set_up(w);
	sc_kill_noticed(w, A, B);
	sc_open(w, B);
	sc_write(w, 1);
	sc_kill(w, B);
	sc_wait_conn(w, C, B, CONN_CONNECTING);
	sc_unplug(w, B, C);
	sc_start(w, A);
	sc_start(w, B);
	sc_wait_reunited(w, A, B);
	sc_join(w, B, C);
	life_expect_converged(w);
}

/* A is Primary with an open volume and good data everywhere: only A itself can refuse C. */
static void chain_asks_the_end(struct world *w)
{
	begin(w, 3, SHAPE_CHAIN);
	sc_open(w, A);
	sc_write(w, 1);
	sc_part(w, B, C);
	sc_join(w, B, C);
	sc_wait_conn(w, C, B, CONN_CONNECTED);
	stays_behind(w, C);
	node_command(w, C, (struct ev_command){ .cmd = CMD_PRIMARY, .force = true }, NULL, 0);
	sc_wait(w, 5000);
	sc_expect(w, node_status(w, C)->role == ROLE_SECONDARY, "A refuses even force");
	sc_close(w);
	life_expect_converged(w);
}

/* C meets B when A writes already. */
static void chain_comes_late(struct world *w)
{
	begin(w, 3, SHAPE_CHAIN);
	sc_part(w, B, C);
	sc_open(w, A);
	sc_write(w, 1);
	sc_join(w, B, C);
	sc_wait_conn(w, C, B, CONN_CONNECTED);
	stays_behind(w, C);
	sc_write(w, 2);
	sc_close(w);
	life_expect_converged(w);
}

/* Nobody is left to tell C of A, which goes on. */
static void chain_breaks(struct world *w)
{
	begin(w, 3, SHAPE_CHAIN);
	sc_open(w, A);
	sc_write(w, 1);
	sc_kill_noticed(w, B, A);
	sc_wait_conn(w, C, B, CONN_CONNECTING);
	sc_write(w, 2);
	expect_no_promotion(w, C);
	sc_start(w, B);
	sc_wait_reunited(w, A, B);
	stays_behind(w, C);
	sc_close(w);
	life_expect_converged(w);
}

/* A and B go on without C in sight, then C alone: that is a split brain, and nobody's data go. */
static void chain_forks(struct world *w)
{
	const struct status_peer *sp;

	begin(w, 3, SHAPE_CHAIN);
	sc_part(w, B, C);
	sc_open(w, A);
	sc_write(w, 1);
	sc_close(w);
	sc_kill(w, A);
	sc_wait_conn(w, B, A, CONN_CONNECTING);
	sc_write_elsewhere(w, C, 1);
	sc_join(w, B, C);
	sc_wait_conn(w, B, C, CONN_STANDALONE);
	sp = status_peer(node_status(w, B), C);
	sc_expect(w, strstr(sp->reason, "split brain"), "the fork is seen");
	sc_expect_honest(w);
}

/*
 * A - B - C, and all have the generation that B made as Primary. A goes on in a generation of its
 * own, though it has never seen C: else C would pass for as good as A.
 */
static void chain_far_generation(struct world *w)
{
	uint64_t shared;

	begin(w, 3, SHAPE_CHAIN);
	sc_open(w, B);
	sc_write(w, 1);
	sc_close(w);
	life_expect_converged(w);
	shared = sc_uuid(w, C);
	sc_part(w, B, C);
	sc_open(w, A);
	sc_write(w, 2);
	sc_expect(w, sc_uuid(w, A) != shared, "a generation that C does not have");
	sc_kill_noticed(w, A, B);
	sc_join(w, B, C);
	sc_wait_reunited(w, B, C);
	sc_expect(w, has_block(w, C, B, 2), "C has followed B");
	sc_start(w, A);
	life_expect_converged(w);
}

/* A - B - C - D: C is about to be resynced, which is all that D sees. */
static void chain_far_end_waits(struct world *w)
{
	begin(w, 4, SHAPE_CHAIN);
	sc_open(w, A);
	sc_write_scattered(w, 0, 20);
	simnet_hold_type(w, B, C, P_RS_DATA_REPLY, 5 * NS_SEC);
	sc_close(w);
	sc_wait_repl(w, C, B, REPL_SYNC_TARGET);
	sc_wait(w, 1000);
	sc_expect(w, disk_of_node(w, D) == DISK_OUTDATED, "D lacks what A has written");
	life_expect_converged(w);
}

/* A - B - C - D, cut in the middle: neither half has most of the four disks. */
static void chain_halves(struct world *w)
{
	struct sim_params *p = life_plain(w, w->scenario_seed, 4);

	p->quorum = QUORUM_MAJORITY;
	sim_shape(p, SHAPE_CHAIN);
	life_set_up(w);
	sc_open(w, B);
	sc_write(w, 1);
	sc_close(w);
	life_expect_converged(w);
	sc_part(w, B, C);
	sc_wait(w, 1000);
	expect_no_promotion(w, B);
	expect_no_promotion(w, C);
	sc_join(w, B, C);
	life_expect_converged(w);
}

/*
 * A - C - B, all lose power, A as Primary. Whoever has what A's crash has left passes it on, also
 * to who has no connection to A.
 */
static void chain_crash(struct world *w)
{
	begin_middle_last(w);
	sc_open(w, A);
	sc_write_scattered(w, 0, 20);
	sc_flush(w);
	sc_kill(w, C);
	sc_kill(w, B);
	sc_kill(w, A);
	sc_start(w, B);
	sc_start(w, C);
	sc_wait_conn(w, C, B, CONN_CONNECTED);
	sc_start(w, A);
	life_expect_converged(w);
}

/* New disks get their first data along the chain. */
static void chain_first_sync(struct world *w)
{
	struct sim_params *p = life_plain(w, w->scenario_seed, 4);

	p->full_initial_sync = true;
	p->device_sectors = p->room_sectors = (1U << 20) / SECTOR_BYTES;
	sim_shape(p, SHAPE_CHAIN);
	life_set_up(w);
	life_expect_converged(w);
}

static uint64_t all_received(struct world *w)
{
	return sc_received(w, A, C) + sc_received(w, B, C) + sc_received(w, C, A) +
	       sc_received(w, C, B);
}

/*
 * A - C - B: C gets everything from one of them, which marks it towards the other one. These marks
 * go with one more resync, and not back and forth between the ends for ever.
 */
static void chain_middle_invalidated(struct world *w)
{
	uint64_t received;

	begin_middle_last(w);
	sc_open(w, C);
	sc_write(w, 1);
	sc_close(w);
	sc_command(w, C, (struct ev_command){ .cmd = CMD_INVALIDATE, .vnr = SIM_VNR }, SS_SUCCESS);
	life_expect_converged(w);
	received = all_received(w);
	sc_wait(w, 60000);
	sc_expect(w, all_received(w) == received, "nothing more is resynced");
}

/* The middle of a star reaches all; what an end writes the other ends get later. */
static void star(struct world *w)
{
	begin(w, 4, SHAPE_STAR);
	sc_open(w, A);
	sc_write(w, 1);
	sc_expect(w, has_block(w, B, A, 1) && has_block(w, C, A, 1) && has_block(w, D, A, 1),
		  "all have it");
	sc_close(w);
	life_expect_converged(w);
	sc_open(w, B);
	sc_write(w, 2);
	sc_expect(w, disk_of_node(w, C) == DISK_OUTDATED && disk_of_node(w, D) == DISK_OUTDATED,
		  "the other ends do not hear of it");
	sc_kill_noticed(w, A, B);
	sc_write(w, 3);
	expect_no_promotion(w, D);
	sc_start(w, A);
	sc_wait_reunited(w, A, B);
	sc_close(w);
	life_expect_converged(w);
}

/*
 * Of four disks an end of a star sees two: without its own, it is not promoted by the word of the
 * middle, which sees all. It would be without quorum for good when its disk is back.
 */
static void star_end_without_disk(struct world *w)
{
	struct sim_params *p = life_plain(w, w->scenario_seed, 4);

	p->quorum = QUORUM_MAJORITY;
	sim_shape(p, SHAPE_STAR);
	life_set_up(w);
	sc_detach(w, B);
	sc_wait(w, 1000);
	expect_no_promotion(w, B);
	sc_attach(w, B);
	sc_open(w, A);
	sc_write(w, 1);
	sc_close(w);
	life_expect_converged(w);
}

/* A - B - C - D - A: when the link to B is cut, B still reaches A, and knows that it goes on. */
static void ring_with_a_cut(struct world *w)
{
	begin(w, 4, SHAPE_RING);
	sc_open(w, A);
	sc_write(w, 1);
	sc_expect(w, disk_of_node(w, C) == DISK_OUTDATED, "C is opposite of A");
	sc_part(w, A, B);
	sc_wait_disk(w, B, DISK_OUTDATED);
	sc_write(w, 2);
	sc_expect(w, has_block(w, D, A, 2) && !has_block(w, B, A, 2), "D has it");
	expect_no_promotion(w, B);
	sc_close(w);
	sc_wait_disk(w, B, DISK_UP_TO_DATE);
	sc_expect(w, has_block(w, B, A, 2), "it came by way of D and C");
	sc_join(w, A, B);
	life_expect_converged(w);
}

/*
 * A - B - C, and D without a disk that sees all. All lose their power, A as Primary: B meets A,
 * and then C. A sees no C, and is told by B that there is nobody left who could have more.
 */
static void chain_crash_beside_client(struct world *w)
{
	struct sim_params *p = life_plain(w, w->scenario_seed, 4);

	sim_unlink(p, A, C);
	p->no_disk = 1U << D;
	life_set_up(w);
	sc_open(w, A);
	sc_write(w, 1);
	for (unsigned n = A; n <= D; n++)
		sc_power_cut(w, n);
	sc_start(w, A);
	sc_start(w, B);
	sc_start(w, D);
	sc_wait_reunited(w, A, B);
	sc_start(w, C);
	sc_wait_reunited(w, B, C);
	sc_wait(w, 5000);
	for (unsigned n = A; n <= C; n++)
		sc_expect(w, status_peer(node_status(w, D), n)->devices[0].peer_disk ==
				     DISK_UP_TO_DATE, "D can count on each of the disks");
	life_expect_converged(w);
}

/* A - B - C: B's disk is good again, and gives quorum. The generation that A makes then is told
 * when it is on A's disk, not before with the news that nothing is marked any more: B goes on. */
static void generation_told_once(struct world *w)
{
	struct sim_params *p = life_plain(w, w->scenario_seed, 3);
	bool good = false;

	p->quorum = p->quorum_min_redundancy = QUORUM_MAJORITY;
	sim_shape(p, SHAPE_CHAIN);
	life_set_up(w);
	sc_open(w, A);
	sc_write(w, 1);
	w->nodes[B].disk.fail_writes = 1;
	sc_write_async(w, 2);
	sc_wait_disk(w, B, DISK_DISKLESS);
	sc_attach(w, B);
	for (unsigned i = 0; i < 500; i++) {
		enum disk_state disk = disk_of_node(w, B);

		sc_expect(w, disk == DISK_UP_TO_DATE || !good, "B stays good");
		good |= disk == DISK_UP_TO_DATE;
		sc_wait(w, 1);
	}
	sc_expect(w, good, "B is good");
	sc_expect(w, w->app.in_flight == 0, "the write is answered");
	sc_close(w);
	life_expect_converged(w);
}

static bool is_answered(struct world *w)
{
	return w->app.in_flight == 0;
}

/*
 * B - A - C: A is Primary without a disk and without quorum, its write is on B only, and C comes
 * back with the same generation. The disk of A, attached, has quorum again, but is compared with
 * those of the others first: the write is not answered before there is a generation that C does
 * not have.
 */
static void chain_middle_gets_quorum_back(struct world *w)
{
	uint64_t before;

	life_plain(w, w->scenario_seed, 3)->quorum = QUORUM_ALL;
	sim_unlink(&w->params, B, C);
	life_set_up(w);
	sc_open(w, A);
	sc_write(w, 1);
	simnet_stall(w, A, C, STREAM_DATA, 30 * NS_SEC);
	w->nodes[A].disk.fail_writes = 1;
	sc_write_async(w, 3);
	sc_wait_disk(w, A, DISK_DISKLESS);
	sc_wait(w, 20);
	simnet_cut(w, A, C, false);
	simnet_stall(w, A, C, STREAM_DATA, 0);
	sc_wait_conn(w, A, C, CONN_CONNECTING);
	sc_wait_conn(w, A, C, CONN_CONNECTED);
	sc_expect(w, has_block(w, C, B, 1) && !has_block(w, C, B, 3) && !is_answered(w),
		  "the write is on B only, and waits");
	before = sc_uuid(w, C);
	simnet_hold_type(w, B, A, P_UUIDS110, 300 * NS_MS);
	sc_attach(w, A);
	world_run_until(w, is_answered, 200 * NS_MS);
	sc_expect(w, !is_answered(w) || sc_uuid(w, B) != before, "a generation of its own");
	sc_expect_honest(w);
	life_expect_converged(w);
}

const struct scenario scenarios_shapes[] = {
	{ "shapes-chain", chain },
	{ "shapes-chain-disks-return", chain_disks_return },
	{ "shapes-chain-primary-returns", chain_primary_returns },
	{ "shapes-chain-left-by-crashed", chain_left_by_crashed },
	{ "shapes-chain-older-disk", chain_older_disk },
	{ "shapes-chain-seen-by-client", chain_seen_by_client },
	{ "shapes-chain-asks-the-end", chain_asks_the_end },
	{ "shapes-chain-comes-late", chain_comes_late },
	{ "shapes-chain-breaks", chain_breaks },
	{ "shapes-chain-forks", chain_forks },
	{ "shapes-chain-far-generation", chain_far_generation },
	{ "shapes-chain-far-end-waits", chain_far_end_waits },
	{ "shapes-chain-halves", chain_halves },
	{ "shapes-chain-crash", chain_crash },
	{ "shapes-chain-crash-beside-client", chain_crash_beside_client },
	{ "shapes-chain-first-sync", chain_first_sync },
	{ "shapes-chain-middle-invalidated", chain_middle_invalidated },
	{ "shapes-chain-middle-gets-quorum-back", chain_middle_gets_quorum_back },
	{ "shapes-star", star },
	{ "shapes-star-end-without-disk", star_end_without_disk },
	{ "shapes-ring-with-a-cut", ring_with_a_cut },
	{ "shapes-generation-told-once", generation_told_once },
	{ NULL, NULL },
};

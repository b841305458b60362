/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Nodes that have no disk from the beginning; A is one. */
#include "scenario.h"

static void begin(struct world *w, unsigned nodes)
{
	life_plain(w, w->scenario_seed, nodes)->no_disk = 1U << A;
	life_set_up(w);
}

/* The disk of a node that is no peer of the Primary any more does not get what is written. */
static void client_forgets_peer(struct world *w)
{
	struct ev_command cmd = { .cmd = CMD_DEL_PEER, .peer = C, .force = true };

	begin(w, 3);
	sc_open(w, A);
	sc_write(w, 1);
	sc_part(w, A, C);
	sc_part(w, B, C);
	sc_command(w, A, cmd, SS_SUCCESS);
	sc_write(w, 2);
	sc_expect(w, sc_uuid(w, B) != sc_uuid(w, C), "a new generation");
	sc_join(w, B, C);
	sc_join(w, A, C);
	node_adjust(w, A);
	life_expect_converged(w);
	sc_close(w);
	sc_open(w, C);
	sc_read(w, 2);
}

/* The same when it was behind once, and has been resynced where this node did not see it. */
static void client_forgets_caught_up(struct world *w)
{
	struct ev_command cmd = { .cmd = CMD_DEL_PEER, .peer = C, .force = true };

	begin(w, 3);
	sc_open(w, B);
	sc_write(w, 1);
	sc_part(w, A, C);
	sc_part(w, B, C);
	sc_write(w, 2);
	sc_close(w);
	sc_join(w, B, C);
	sc_wait_reunited(w, B, C);
	sc_command(w, A, cmd, SS_SUCCESS);
	simnet_hold_type(w, B, A, P_UUIDS110, 100 * NS_MS);
	sc_open(w, A);
	sc_write(w, 3);
	sc_expect(w, sc_uuid(w, B) != sc_uuid(w, C), "a new generation");
	sc_join(w, A, C);
	node_adjust(w, A);
	sc_wait_conn(w, A, C, CONN_CONNECTED);
	sc_read(w, 3);
	life_expect_converged(w);
	sc_close(w);
	sc_open(w, C);
	sc_read(w, 3);
}

/* What nobody has taken over is told again at the next promotion, but to peers that know of it. */
static void client_promoted_again(struct world *w)
{
	begin(w, 3);
	sc_open(w, A);
	sc_write(w, 1);
	sc_part(w, A, C);
	simnet_link(w, A, B, false);
	simnet_link(w, B, A, false);
	sc_write_async(w, 2);
	sc_wait_conn(w, A, B, CONN_CONNECTING);
	sc_wait(w, 1000);
	sc_expect(w, w->app.phase == APP_IDLE, "the write has failed");
	sc_part(w, B, C);
	sc_open(w, B);
	sc_write(w, 3);
	sc_close(w);
	sc_join(w, A, B);
	sc_open(w, A);
	sc_write(w, 4);
	sc_join(w, A, C);
	sc_join(w, B, C);
	life_expect_converged(w);
}

static void begin_with_reads(struct world *w, enum read_balancing policy)
{
	struct sim_params *p = life_plain(w, w->scenario_seed, 3);

	p->no_disk = 1U << A;
	p->read_balancing = policy;
	life_set_up(w);
}

/* What a power loss has left of a Primary does not serve beside a disk that went on. */
static void client_beside_crashed(struct world *w)
{
	begin_with_reads(w, READ_ROUND_ROBIN);
	sc_open(w, C);
	for (unsigned i = 1; i < 9; i++)
		sc_write(w, i);
	sc_unplug(w, B, C);
	sc_power_cut(w, C);
	sc_wait_conn(w, A, C, CONN_CONNECTING);
	sc_wait_disk(w, B, DISK_UP_TO_DATE);
	sc_start(w, C);
	sc_wait_conn(w, A, C, CONN_CONNECTED);
	sc_open(w, A);
	for (unsigned i = 1; i < 9; i++)
		sc_read(w, i);
	sc_write(w, 9);
	sc_join(w, B, C);
	life_expect_converged(w);
}

/* A node that comes back without a disk had the last generation: it is not forgotten. */
static void clients_flap(struct world *w)
{
	life_plain(w, w->scenario_seed, 3)->no_disk = 1U << A | 1U << C;
	life_set_up(w);
	for (unsigned client = A; client <= C; client += C - A) {
		sc_part(w, B, client);
		sc_open(w, B);
		sc_write(w, 1);
		sc_close(w);
		sc_join(w, B, client);
		sc_wait_conn(w, B, client, CONN_CONNECTED);
	}
	life_expect_converged(w);
}

/* B has the only disk. It was away, and C still sees the Primary: nobody has anything newer. */
static void only_disk(struct world *w)
{
	for (unsigned i = 0; i < 2; i++) {
		life_plain(w, w->scenario_seed, 3)->no_disk = 1U << A | 1U << C;
		life_set_up(w);
		sc_open(w, A);
		sc_write(w, 1);
		sc_unplug(w, A, B);
		sc_restart(w, B);
		sc_wait_conn(w, B, C, CONN_CONNECTED);
		sc_wait_disk(w, B, DISK_OUTDATED);
		if (i == 0)
			sc_close(w);
		sc_join(w, A, B);
		life_expect_converged(w);
	}
}

/* C went on without the others. It meets B beside a diskless Primary, which settles nothing. */
static void fork_beside_client(struct world *w)
{
	begin(w, 3);
	w->split_brain_ok = true;
	sc_part(w, A, C);
	sc_part(w, B, C);
	sc_open(w, A);
	sc_write(w, 1);
	sc_write_elsewhere(w, C, 2);
	sc_join(w, A, C);
	sc_wait_conn(w, C, A, CONN_CONNECTED);
	sc_join(w, B, C);
	sc_wait(w, 2000);
	sc_expect(w, w->nodes[B].saw_split_brain && w->nodes[C].saw_split_brain,
		  "the split brain is told");
}

/* A meets C, which crashed, and then B, which has gone on without both: only B's disk counts. */
static void client_between_generations(struct world *w)
{
	begin(w, 3);
	sc_open(w, C);
	sc_write(w, 1);
	sc_unplug(w, B, C);
	sc_kill(w, C);
	sc_wait_disk(w, B, DISK_UP_TO_DATE);
	sc_part(w, A, B);
	sc_open(w, B);
	sc_write(w, 2);
	sc_close(w);
	sc_start(w, C);
	sc_wait_conn(w, A, C, CONN_CONNECTED);
	sc_join(w, A, B);
	sc_wait_conn(w, A, B, CONN_CONNECTED);
	sc_open(w, A);
	sc_read(w, 2);
	sc_write(w, 3);
	sc_join(w, B, C);
	life_expect_converged(w);
}

/* B dies before its disk has A's last generation; C has told of it only as B's target. */
static void told_once(struct world *w, unsigned seed)
{
	life_plain(w, w->scenario_seed + seed, 4)->no_disk = 1U << A;
	life_set_up(w);
	sc_open(w, A);
	sc_write(w, 0);
	sc_part(w, A, C);
	sc_part(w, B, C);
	sc_write_scattered(w, 0, 50);
	sc_unplug(w, C, D);
	simnet_hold_type(w, B, C, P_RS_DATA_REPLY, 60 * NS_SEC);
	sc_join(w, A, C);
	sc_join(w, B, C);
	sc_wait_repl(w, C, B, REPL_SYNC_TARGET);
	sc_part(w, A, C);
	sc_part(w, B, D);
	w->nodes[B].disk.stall_until_ns = w->now_ns + 60 * NS_SEC;
	sc_part(w, A, D);
	sc_write_async(w, 1);
	sc_wait(w, 100);
	sc_join(w, A, C);
	sc_wait_conn(w, A, C, CONN_CONNECTED);
	w->nodes[B].disk.stall_until_ns = 0;
	sc_power_cut(w, B);
	sc_wait(w, 2000);
	if (w->app.phase != APP_IDLE)
		sc_close(w);
	sc_start(w, B);
	sc_join(w, A, D);
	sc_join(w, B, D);
	sc_join(w, C, D);
	life_expect_converged(w);
}

/* What a power cut leaves is drawn. */
static void told_by_target(struct world *w)
{
	for (unsigned i = 0; i < 6; i++)
		told_once(w, i);
}

/*
 * Both disks have lost the Primary, which learns it from one of them and makes a generation for the
 * other one. Nobody has it: what they have is what counts.
 */
static void client_lost_by_both(struct world *w)
{
	struct sim_params *p = life_plain(w, w->scenario_seed, 3);

	p->no_disk = 1U << C;
	p->on_no_data = NO_DATA_SUSPEND;
	life_set_up(w);
	sc_open(w, C);
	sc_write(w, 1);
	sc_unplug(w, C, A);
	sc_unplug(w, C, B);
	sc_write_async(w, 2);
	sc_wait_conn(w, A, C, CONN_CONNECTING);
	sc_wait_conn(w, B, C, CONN_CONNECTING);
	sc_wait_disk(w, A, DISK_UP_TO_DATE);
	sc_join(w, C, A);
	sc_wait_conn(w, C, A, CONN_CONNECTED);
	sc_wait_conn(w, C, B, CONN_CONNECTING);
	sc_join(w, C, B);
	life_expect_converged(w);
	sc_read(w, 1);
	sc_read(w, 2);
}

/*
 * A resyncs from B, which the Primary has lost without knowing it: what that makes for B nobody
 * gets, and A does not wait for it.
 */
static void client_counts_on_lost(struct world *w)
{
	struct sim_params *p = life_plain(w, w->scenario_seed, 3);

	p->no_disk = 1U << C;
	p->quorum = QUORUM_MAJORITY;
	p->on_no_quorum = NO_QUORUM_SUSPEND;
	p->on_no_data = NO_DATA_SUSPEND;
	life_set_up(w);
	sc_open(w, C);
	sc_write(w, 1);
	simnet_hold_type(w, C, B, P_PEER_ACK, 30 * NS_SEC);
	sc_write(w, 2);
	sc_unplug(w, C, B);
	sc_part(w, A, B);
	sc_wait_conn(w, B, C, CONN_CONNECTING);
	simnet_hold_type(w, B, A, P_RS_DATA_REPLY, 5 * NS_SEC);
	sc_join(w, A, B);
	sc_wait_repl(w, A, B, REPL_SYNC_TARGET);
	sc_write_async(w, 3);
	sc_wait_conn(w, C, B, CONN_CONNECTING);
	sc_join(w, C, B);
	life_expect_converged(w);
	sc_read(w, 2);
	sc_read(w, 3);
}

/*
 * B, Primary, lost C and then D, which it took for a part of the generation in between. A meets it
 * again before they do: neither of the two has what was written.
 */
static void client_beside_older(struct world *w)
{
	begin(w, 4);
	sc_open(w, B);
	sc_write(w, 1);
	sc_part(w, B, A);
	sc_part(w, B, C);
	sc_unplug(w, B, D);
	sc_write_async(w, 2);
	sc_wait_conn(w, B, D, CONN_CONNECTING);
	sc_write(w, 3);
	sc_close(w);
	sc_wait_disk(w, C, DISK_UP_TO_DATE);
	sc_wait_disk(w, D, DISK_UP_TO_DATE);
	sc_join(w, A, B);
	sc_wait_conn(w, A, B, CONN_CONNECTED);
	sc_open(w, A);
	sc_read(w, 3);
	sc_write(w, 4);
	sc_join(w, B, C);
	sc_join(w, B, D);
	life_expect_converged(w);
}

/* One disk takes the other for connected, which is not so, and learns from A that it is Primary. */
static void client_tells_of_primary(struct world *w)
{
	unsigned primary, stale;

	begin(w, 3);
	sc_part(w, A, B);
	sc_part(w, A, C);
	sc_unplug(w, B, C);
	simnet_cut(w, B, C, true);
	sc_wait(w, 300);
	primary = status_peer(node_status(w, B), C)->conn == CONN_CONNECTED ? C : B;
	stale = primary == B ? C : B;
	sc_join(w, A, primary);
	sc_wait_conn(w, A, primary, CONN_CONNECTED);
	sc_open(w, primary);
	sc_expect(w, status_peer(node_status(w, stale), primary)->conn == CONN_CONNECTED,
		  "one side has not noticed");
	sc_join(w, A, stale);
	sc_wait_conn(w, stale, A, CONN_CONNECTED);
	sc_expect(w, status_peer(node_status(w, stale), primary)->conn != CONN_CONNECTED,
		  "the connection is given up");
	sc_expect(w, node_status(w, stale)->volumes[0].disk == DISK_OUTDATED,
		  "what is not written to is Outdated");
	sc_write(w, 1);
	sc_wait(w, 3000);
	sc_expect(w, node_status(w, stale)->volumes[0].disk == DISK_OUTDATED,
		  "and stays so");
	sc_close(w);
	sc_join(w, B, C);
	life_expect_converged(w);
}

/* A Primary without a disk is lost. Who is the next one makes a generation: it may come back. */
static void client_lost_as_primary(struct world *w)
{
	uint64_t uuid;

	life_plain(w, w->scenario_seed, 3)->no_disk = 1U << A | 1U << C;
	life_set_up(w);
	sc_open(w, C);
	sc_write(w, 1);
	sc_part(w, C, A);
	sc_part(w, C, B);
	uuid = sc_uuid(w, B);
	sc_write_elsewhere(w, A, 2);
	sc_expect(w, sc_uuid(w, B) != uuid, "a new generation");
	sc_close(w);
	sc_join(w, C, A);
	sc_join(w, C, B);
	life_expect_converged(w);
}

/* The same, and it is no peer any more. */
static void client_lost_and_forgotten(struct world *w)
{
	struct ev_command cmd = { .cmd = CMD_DEL_PEER, .peer = A, .force = true };
	uint64_t uuid;

	begin(w, 3);
	sc_part(w, A, B);
	sc_open(w, B);
	sc_write(w, 1);
	sc_close(w);
	sc_join(w, A, B);
	life_expect_converged(w);
	sc_open(w, A);
	sc_write(w, 2);
	sc_part(w, A, B);
	sc_part(w, A, C);
	sc_command(w, B, cmd, SS_SUCCESS);
	sc_command(w, C, cmd, SS_SUCCESS);
	uuid = sc_uuid(w, B);
	sc_write_elsewhere(w, B, 3);
	sc_expect(w, sc_uuid(w, B) != uuid, "a new generation");
	sc_close(w);
	sc_join(w, A, B);
	sc_join(w, A, C);
	node_adjust(w, B);
	node_adjust(w, C);
	life_expect_converged(w);
}

/* The others have gone on while the I/O of A waits: what it has begun fails. */
static void client_left_behind(struct world *w)
{
	struct ev_command demote = { .cmd = CMD_SECONDARY, .force = true };
	struct sim_params *p;

	for (unsigned i = 0; i < 2; i++) {
		p = life_plain(w, w->scenario_seed, 3);
		p->no_disk = 1U << A;
		p->quorum = QUORUM_MAJORITY;
		p->on_no_quorum = NO_QUORUM_SUSPEND;
		p->on_no_data = NO_DATA_SUSPEND;
		p->on_outdated = i ? OUTDATED_DISCONNECT : OUTDATED_FORCE_SECONDARY;
		life_set_up(w);
		sc_open(w, A);
		sc_write(w, 1);
		sc_part(w, A, B);
		sc_part(w, A, C);
		sc_write_async(w, 2);
		sc_write_elsewhere(w, B, 5);
		sc_expect(w, w->app.in_flight == 1, "what A has begun waits");
		sc_join(w, A, B);
		sc_join(w, A, C);
		sc_wait_conn(w, A, B, CONN_CONNECTED);
		sc_wait_conn(w, A, C, CONN_CONNECTED);
		sc_wait(w, 1000);
		sc_expect(w, (w->app.in_flight == 1) == (i == 1), "it fails by itself, or waits");
		if (i == 1)
			sc_command(w, A, demote, SS_SUCCESS);
		life_expect_converged(w);
		sc_expect(w, w->app.in_flight == 0, "what A had begun has failed");
	}
}

/*
 * A has shown what B had before B went on alone, and says nothing when it follows: nothing waits
 * for that here. B's disk comes back under A as Primary, and is the newest one there is.
 */
static void client_follows_unheard(struct world *w)
{
	struct sim_params *p = life_plain(w, w->scenario_seed, 2);

	p->no_disk = 1U << A;
	p->on_no_data = NO_DATA_IO_ERROR;
	p->fencing = FENCING_RESOURCE;
	life_set_up(w);
	sc_open(w, A);
	sc_write(w, 1);
	sc_close(w);
	sc_part(w, A, B);
	sc_open(w, B);
	sc_write(w, 2);
	sc_close(w);
	sc_join(w, A, B);
	sc_wait_conn(w, A, B, CONN_CONNECTED);
	sc_command(w, A, (struct ev_command){ .cmd = CMD_PRIMARY }, SS_SUCCESS);
	sc_detach_forced(w, B);
	sc_attach(w, B);
	sc_wait_disk(w, B, DISK_UP_TO_DATE);
	life_expect_converged(w);
}

/*
 * A Primary without a disk loses quorum with the disk of C, which fails at a write that B has got.
 * When C's disk is back it is at the generation in use, and lacks that write: it does not count.
 */
static void client_disk_back_and_lacking(struct world *w, enum shape shape)
{
	struct sim_params *p = life_plain(w, w->scenario_seed, 3);

	p->no_disk = 1U << A;
	p->quorum = QUORUM_MAJORITY;
	p->quorum_min_redundancy = 2;
	p->on_no_quorum = NO_QUORUM_SUSPEND;
	if (shape == SHAPE_CHAIN)
		sim_unlink(p, B, C);
	life_set_up(w);
	sc_open(w, A);
	sc_write(w, 1);
	w->nodes[C].disk.fail_writes = 1;
	sc_write_async(w, 2);
	sc_wait_disk(w, C, DISK_DISKLESS);
	sc_wait(w, 1000);
	sc_expect(w, w->app.in_flight == 1, "the write waits for quorum");
	sc_attach(w, C);
	sc_wait(w, 5000);
	if (w->app.in_flight)
		sc_expect(w, shape == SHAPE_CHAIN, "in a mesh C gets it from B");
	sc_expect_honest(w);
}

static void client_disk_back_mesh(struct world *w)
{
	client_disk_back_and_lacking(w, SHAPES);
	life_expect_converged(w);
}

static void client_disk_back_chain(struct world *w)
{
	client_disk_back_and_lacking(w, SHAPE_CHAIN);
}

static bool all_answered(struct world *w)
{
	return w->app.in_flight == 0;
}

/*
 * B loses its disk as Primary. C takes over the generation made without it, which B does not hear;
 * D's disk fails with that, B makes another one, and loses C before it is told. That one is on no
 * disk, whatever A without a disk has heard of it: what C has counts.
 */
static void generation_heard_by_client(struct world *w)
{
	struct sim_params *p = life_plain(w, w->scenario_seed, 4);

	p->no_disk = 1U << A;
	p->on_no_data = NO_DATA_SUSPEND;
	life_set_up(w);
	sc_open(w, B);
	sc_write(w, 1);
	simnet_stall(w, C, B, -1, 30 * NS_SEC);
	w->nodes[D].disk.fail_meta = 1;
	w->nodes[D].disk.stall_until_ns = w->now_ns + 60 * NS_MS;
	w->nodes[B].disk.fail_writes = 1;
	sc_write_async(w, 2);
	sc_wait_disk(w, B, DISK_DISKLESS);
	sc_wait(w, 20);
	simnet_stall(w, B, C, -1, 30 * NS_SEC);
	sc_wait_disk(w, D, DISK_DISKLESS);
	sc_wait(w, 20);
	sc_kill_noticed(w, D, B);
	sc_part(w, B, C);
	simnet_stall(w, B, C, -1, 0);
	simnet_stall(w, C, B, -1, 0);
	w->nodes[D].disk.fail_meta = 0;
	w->nodes[B].disk.fail_writes = 0;
	sc_wait(w, 500);
	sc_join(w, B, C);
	sc_start(w, D);
	sc_expect(w, world_run_until(w, all_answered, 30 * NS_SEC), "what waits is answered");
	for (unsigned n = B; n <= D; n += D - B)
		if (node_status(w, n)->volumes[0].disk == DISK_DISKLESS)
			sc_attach(w, n);
	life_expect_converged(w);
}

const struct scenario scenarios_no_disk[] = {
	{ "client-forgets-peer", client_forgets_peer },
	{ "client-forgets-caught-up", client_forgets_caught_up },
	{ "client-promoted-again", client_promoted_again },
	{ "client-beside-crashed", client_beside_crashed },
	{ "clients-flap", clients_flap },
	{ "only-disk", only_disk },
	{ "told-by-target", told_by_target },
	{ "client-between-generations", client_between_generations },
	{ "client-lost-by-both", client_lost_by_both },
	{ "client-tells-of-primary", client_tells_of_primary },
	{ "client-lost-as-primary", client_lost_as_primary },
	{ "client-lost-and-forgotten", client_lost_and_forgotten },
	{ "client-beside-older", client_beside_older },
	{ "client-counts-on-lost", client_counts_on_lost },
	{ "fork-beside-client", fork_beside_client },
	{ "client-left-behind", client_left_behind },
	{ "client-disk-back-and-lacking", client_disk_back_mesh },
	{ "client-disk-back-and-lacking-chain", client_disk_back_chain },
	{ "client-follows-unheard", client_follows_unheard },
	{ "client-hears-of-generation", generation_heard_by_client },
	{ NULL, NULL },
};

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Metadata that get bitmap slots for more peers while the volume is in use. */
#include "scenario.h"

#define FIRST_BLOCK 40
#define STRANGER 9 /* a node that is about to come */
#define CRASH_ACTIONS 40U

static struct ev_command reserve(unsigned strangers)
{
	struct ev_command cmd = { .cmd = CMD_RESERVE_SLOTS, .vnr = SIM_VNR };

	cmd.nodes = ((UINT64_C(1) << strangers) - 1) << STRANGER;
	return cmd;
}

static uint32_t slots_of(struct world *w, unsigned node)
{
	struct md_super super;

	sc_expect(w, disk_super(&w->nodes[node].disk, SIM_VNR, &super), "a superblock");
	return super.max_peers;
}

/* What C lacks is marked before, meanwhile and afterwards; some of it is not on disk yet. */
static void in_use(struct world *w)
{
	for (unsigned strangers = 1; strangers < 8; strangers += 3) {
		sc_begin(w, 3);
		sc_open(w, A);
		sc_part(w, A, C);
		sc_part(w, B, C);
		sc_write_scattered(w, 0, 20);
		for (unsigned i = 20; i < 28; i++)
			sc_write_async(w, FIRST_BLOCK + i);
		sc_command(w, A, reserve(strangers), SS_SUCCESS);
		sc_command(w, B, reserve(strangers), SS_SUCCESS);
		sc_expect(w, slots_of(w, A) == 2 + strangers, "as many slots as nodes");
		sc_write_scattered(w, 28, 40);
		sc_close(w);
		sc_restart(w, A);
		sc_power_cut(w, B);
		sc_start(w, B);
		sc_wait_reunited(w, A, B);
		for (unsigned n = A; n <= B; n++)
			sc_join(w, n, C);
		life_expect_converged(w);
		sc_open(w, C);
		sc_read(w, FIRST_BLOCK + 25);
		sc_read(w, FIRST_BLOCK + 35);
	}
}

/* Whenever the node dies it is found with the old number of slots or the new one, and all marks. */
static void power_cut(struct world *w)
{
	unsigned found[2] = { 0, 0 };

	for (unsigned i = 1; i < CRASH_ACTIONS; i++) {
		sc_begin(w, 3);
		sc_open(w, A);
		sc_part(w, A, C);
		sc_part(w, B, C);
		sc_write_scattered(w, 0, 12);
		w->nodes[A].die_after_actions = i;
		w->nodes[A].die_power = i % 2;
		node_command(w, A, reserve(2), NULL, 0);
		for (unsigned k = 12; k < 18 && w->app.phase == APP_OPEN; k++)
			sc_write_async(w, FIRST_BLOCK + k);
		sc_wait(w, 3000);
		w->nodes[A].die_after_actions = 0;
		if (w->nodes[A].up)
			sc_kill(w, A);
		found[slots_of(w, A) == 4]++;
		sc_expect(w, slots_of(w, A) == 2 || slots_of(w, A) == 4, "the one or the other");
		sc_start(w, A);
		sc_wait_reunited(w, A, B);
		sc_command(w, A, reserve(2), SS_SUCCESS);
		for (unsigned n = A; n <= B; n++)
			sc_join(w, n, C);
		life_expect_converged(w);
	}
	sc_expect(w, found[0] && found[1], "crashes before and after");
}

static void no_room(struct world *w)
{
	sc_begin(w, 3);
	sc_open(w, A);
	w->nodes[A].disk.md[SIM_VNR].full = true;
	sc_write(w, 1);
	sc_command(w, A, reserve(1), SS_LOWER_THAN_OUTDATED);
	sc_expect(w, slots_of(w, A) == 2, "what was there");
	sc_write(w, 2);
	w->nodes[A].disk.md[SIM_VNR].full = false;
	sc_command(w, A, reserve(1), SS_SUCCESS);
	sc_write(w, 3);
	life_expect_converged(w);
}

/* A resync goes on beside it, on both of its nodes; its pages are to be written in between. */
static void beside_a_resync(struct world *w)
{
	sc_begin(w, 3);
	sc_leave_behind(w, 30);
	simnet_hold_type(w, A, C, P_RS_DATA_REPLY, NS_SEC);
	sc_begin_resync(w, A, C);
	sc_command(w, C, reserve(4), SS_SUCCESS);
	sc_command(w, A, reserve(2), SS_SUCCESS);
	sc_write_scattered(w, 30, 34);
	for (unsigned n = A; n <= B; n++)
		sc_join(w, n, C);
	life_expect_converged(w);
	sc_restart(w, C);
	life_expect_converged(w);
}

/* A node that knows nothing of it, and one that is lost meanwhile, are connected afterwards. */
static void beside_a_connect(struct world *w)
{
	for (unsigned ms = 0; ms < 12; ms++) {
		sc_begin(w, 3);
		sc_open(w, A);
		sc_write(w, 1);
		sc_part(w, A, B);
		sc_wait(w, 2000);
		sc_write(w, 2);
		sc_join(w, A, B);
		sc_wait(w, ms);
		w->nodes[A].disk.stall_until_ns = w->now_ns + 5 * NS_MS;
		sc_command(w, A, reserve(3), SS_SUCCESS);
		sc_write(w, 3);
		life_expect_converged(w);
	}
}

/* The disk fails, or is taken away, in the middle. */
static void disk_goes(struct world *w)
{
	sc_begin(w, 3);
	sc_open(w, A);
	sc_write(w, 1);
	w->nodes[A].disk.fail_meta = 1;
	w->nodes[A].disk.fail_meta_kinds = 1U << MOP_MOVE;
	sc_command(w, A, reserve(1), SS_LOWER_THAN_OUTDATED);
	sc_write(w, 2);
	node_command(w, A, reserve(1), NULL, 0);
	sc_detach(w, A);
	sc_write(w, 3);
	sc_attach(w, A);
	sc_command(w, A, reserve(1), SS_SUCCESS);
	sc_command(w, A, reserve(1), SS_SUCCESS);
	life_expect_converged(w);
	sc_expect(w, slots_of(w, A) == 3, "a slot for one more");
}

const struct scenario scenarios_slots[] = {
	{ "slots-grow-in-use", in_use },
	{ "slots-grow-power-cut", power_cut },
	{ "slots-no-room", no_room },
	{ "slots-grow-in-resync", beside_a_resync },
	{ "slots-grow-while-connecting", beside_a_connect },
	{ "slots-grow-disk-goes", disk_goes },
	{ NULL, NULL },
};

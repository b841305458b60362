/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Two nodes of which each takes the other for DRBD 8.4: what they say, and do of what they hear. */
#include "scenario.h"

static const struct ev_command forget = { .cmd = CMD_DISCONNECT, .peer = B };

static void begin(struct world *w)
{
	struct sim_params *p = life_plain(w, w->scenario_seed, 2);

	p->drbd8 = true;
	/* There is no other way to the first generation. */
	p->full_initial_sync = true;
	p->device_sectors = p->room_sectors = (4U << 20) / SECTOR_BYTES;
	life_set_up(w);
	life_expect_converged(w);
}

static void use(struct world *w, unsigned node, unsigned block)
{
	sc_open(w, node);
	sc_write(w, block);
	sc_write_scattered(w, 20, 30);
	sc_flush(w);
	sc_discard(w, block + 1, 2);
	sc_read(w, block);
	sc_close(w);
}

static void roles_in_turn(struct world *w)
{
	begin(w);
	use(w, A, 100);
	use(w, B, 200);
	use(w, A, 300);
	life_expect_converged(w);
}

/* The Primary is needed elsewhere: refused as long as it is in use. */
static void one_primary(struct world *w)
{
	begin(w);
	sc_open(w, A);
	sc_command(w, B, (struct ev_command){ .cmd = CMD_PRIMARY }, SS_TWO_PRIMARIES);
	sc_close(w);
	sc_command(w, B, (struct ev_command){ .cmd = CMD_PRIMARY }, SS_SUCCESS);
	sc_command(w, B, (struct ev_command){ .cmd = CMD_SECONDARY }, SS_SUCCESS);
	life_expect_converged(w);
}

static void by_bitmap(struct world *w)
{
	begin(w);
	sc_make_difference(w, 10);
	sc_begin_resync(w, A, B);
	sc_write(w, 5);
	sc_wait_reunited(w, A, B);
	/* After the first resync of everything. */
	sc_expect(w, sc_received(w, B, A) < w->params.device_sectors + 40 * BM_BLOCK_SECTORS,
		  "only what differs is resynced");
	life_expect_converged(w);
}

/* Lost while the bitmaps are on their way, and in the middle of the resync. */
static void interrupted(struct world *w)
{
	begin(w);
	sc_make_difference(w, 50);
	simnet_hold_type(w, A, B, P_COMPRESSED_BITMAP, 2 * NS_SEC);
	sc_join(w, A, B);
	sc_wait_repl(w, A, B, REPL_WF_BITMAP_S);
	sc_part(w, A, B);
	sc_write(w, 6);
	simnet_hold_type(w, A, B, P_RS_DATA_REPLY, 2 * NS_SEC);
	sc_begin_resync(w, A, B);
	sc_part(w, A, B);
	sc_write(w, 7);
	sc_join(w, A, B);
	life_expect_converged(w);
}

static void crashes(struct world *w)
{
	begin(w);
	sc_open(w, A);
	sc_write(w, 1);
	simnet_stall(w, A, B, STREAM_DATA, NS_SEC);
	sc_write_async(w, 500);
	sc_wait(w, 100);
	sc_kill_noticed(w, A, B);
	sc_open(w, B);
	sc_write(w, 2);
	sc_start(w, A);
	life_expect_converged(w);
}

static void without_disk(struct world *w)
{
	begin(w);
	sc_open(w, A);
	sc_write(w, 1);
	sc_detach(w, B);
	sc_write(w, 2);
	sc_write(w, 3);
	sc_attach(w, B);
	life_expect_converged(w);
}

static void invalidated(struct world *w)
{
	static const struct ev_command here = { .cmd = CMD_INVALIDATE, .vnr = SIM_VNR, .peer = A };
	static const struct ev_command there = { .cmd = CMD_INVALIDATE_REMOTE, .vnr = SIM_VNR,
						 .peer = B };
	struct ev_command kept = there;

	begin(w);
	use(w, A, 100);
	kept.keep_bitmap = true;
	sc_command(w, A, kept, SS_NOT_SUPPORTED);
	sc_command(w, B, here, SS_SUCCESS);
	life_expect_converged(w);
	sc_command(w, A, there, SS_SUCCESS);
	life_expect_converged(w);
}

static void compared(struct world *w)
{
	begin(w);
	use(w, A, 100);
	sc_command(w, A, (struct ev_command){ .cmd = CMD_VERIFY, .vnr = SIM_VNR, .peer = B },
		   SS_SUCCESS);
	life_expect_converged(w);
}

static void disconnected(struct world *w)
{
	begin(w);
	sc_open(w, A);
	sc_write(w, 1);
	sc_command(w, A, forget, SS_SUCCESS);
	sc_write(w, 2);
	sc_command(w, A, (struct ev_command){ .cmd = CMD_CONNECT, .peer = B }, SS_SUCCESS);
	life_expect_converged(w);
}

/* Nobody tells an 8.4 of it: each side sees a split brain by itself. B gives way. */
static void split_brain(struct world *w)
{
	struct ev_command give_way = { .cmd = CMD_CONNECT, .peer = A, .discard_my_data = true };

	begin(w);
	sc_open(w, A);
	sc_write(w, 1);
	sc_part(w, A, B);
	sc_write(w, 2);
	sc_write_elsewhere(w, B, 3);
	w->split_brain_ok = true;
	sc_join(w, A, B);
	sc_wait_conn(w, B, A, CONN_STANDALONE);
	sc_command(w, B, give_way, SS_SUCCESS);
	life_expect_converged(w);
}

const struct scenario scenarios_drbd8[] = {
	{ "drbd8-roles", roles_in_turn },
	{ "drbd8-one-primary", one_primary },
	{ "drbd8-bitmap", by_bitmap },
	{ "drbd8-interrupted", interrupted },
	{ "drbd8-crash", crashes },
	{ "drbd8-without-disk", without_disk },
	{ "drbd8-invalidate", invalidated },
	{ "drbd8-verify", compared },
	{ "drbd8-disconnect", disconnected },
	{ "drbd8-split-brain", split_brain },
	{ NULL, NULL },
};

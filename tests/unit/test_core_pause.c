/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Resyncs that are paused: by command on either side, by those of other resources; status. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "core/core_int.h"
#include "../lib/core_pair_int.h"

static struct pair *start(void)
{
	struct pair *p = pair_new(&(struct pair_opts){ .nodes = 2 });

	pair_up_to_date(p);
	cr_assert_geq(pair_simple(p, 0, CMD_PRIMARY), SS_SUCCESS);
	return p;
}

/* Node 1 misses 100 blocks. */
static void fall_behind(struct pair *p)
{
	pair_cut(p, 0, 1);
	pair_pass_ms(p, 1000);
	for (unsigned i = 0; i < 100; i++)
		cr_assert_eq(pair_write(p, 0, i * 16, 8, 100 + i), 0);
}

static void reconnect(struct pair *p)
{
	pair_heal(p, 0, 1);
	pair_pass_ms(p, 30000);
}

static struct status_peer_device device(struct pair *p, unsigned node)
{
	struct resource_status *s = calloc(1, sizeof(*s));
	struct status_peer_device d;

	core_status(pair_core(p, node), s);
	d = s->peers[0].devices[0];
	free(s);
	return d;
}

static void expect_suspended(struct pair *p, unsigned node, bool user, bool peer, bool dependency)
{
	struct status_peer_device d = device(p, node);

	cr_assert(d.susp_user == user && d.susp_peer == peer && d.susp_dependency == dependency,
		  "node %u: user %d, peer %d, dependency %d", node, d.susp_user, d.susp_peer,
		  d.susp_dependency);
}

static void expect_healthy(struct pair *p)
{
	cr_assert(pair_wait(p, 60000, pair_healthy), "%s", pair_describe(p));
	cr_assert(pair_same(p, 0, 1));
}

Test(pause, the_target_pauses)
{
	struct pair *p = start();

	fall_behind(p);
	cr_assert_eq(pair_peer_command(p, 1, CMD_PAUSE_SYNC, 0), SS_SUCCESS, "%s", pair_text(p));
	reconnect(p);
	cr_assert_eq(pair_repl(p, 1, 0), REPL_PAUSED_SYNC_T);
	cr_assert_eq(pair_repl(p, 0, 1), REPL_PAUSED_SYNC_S);
	expect_suspended(p, 1, true, false, false);
	expect_suspended(p, 0, false, true, false);
	cr_assert_eq(pair_out_of_sync(p, 1, 0), 800);
	/* A write of a whole block is one that needs no resync any more. */
	cr_assert_eq(pair_write(p, 0, 16, 8, 7), 0);
	cr_assert_eq(pair_out_of_sync(p, 1, 0), 792);
	cr_assert_eq(pair_peer_command(p, 1, CMD_RESUME_SYNC, 0), SS_SUCCESS, "%s", pair_text(p));
	expect_healthy(p);
	expect_suspended(p, 0, false, false, false);
	pair_free(p);
}

Test(pause, the_source_pauses)
{
	struct pair *p = start();

	fall_behind(p);
	cr_assert_eq(pair_peer_command(p, 0, CMD_PAUSE_SYNC, 1), SS_SUCCESS, "%s", pair_text(p));
	reconnect(p);
	expect_suspended(p, 0, true, false, false);
	expect_suspended(p, 1, false, true, false);
	/* What the other side has paused it has to resume. */
	cr_assert_eq(pair_peer_command(p, 1, CMD_RESUME_SYNC, 0), SS_NOTHING_TO_DO);
	cr_assert_not_null(strstr(pair_text(p), "paused on that node"), "%s", pair_text(p));
	cr_assert_eq(pair_repl(p, 1, 0), REPL_PAUSED_SYNC_T);
	cr_assert_eq(pair_peer_command(p, 0, CMD_RESUME_SYNC, 1), SS_SUCCESS, "%s", pair_text(p));
	expect_healthy(p);
	pair_free(p);
}

Test(pause, in_the_middle_what_was_asked_for_still_comes)
{
	struct pair *p = start();
	uint64_t left;

	fall_behind(p);
	pair_hold(p, 0, 1, STREAM_DATA, false);
	pair_heal(p, 0, 1);
	for (unsigned i = 0; i < 200 && pair_repl(p, 1, 0) != REPL_SYNC_TARGET; i++)
		pair_pass_ms(p, 10);
	pair_hold(p, 0, 1, STREAM_DATA, true);
	cr_assert_eq(pair_peer_command(p, 1, CMD_PAUSE_SYNC, 0), SS_SUCCESS);
	pair_hold(p, 0, 1, STREAM_DATA, false);
	pair_pass_ms(p, 1000);
	left = pair_out_of_sync(p, 1, 0);
	pair_pass_ms(p, 5000);
	cr_assert_eq(pair_out_of_sync(p, 1, 0), left);
	cr_assert_eq(pair_core(p, 1)->peer[0]->pd[0].rs.in_flight, 0);
	cr_assert_eq(pair_peer_command(p, 1, CMD_RESUME_SYNC, 0), SS_SUCCESS);
	expect_healthy(p);
	pair_free(p);
}

Test(pause, the_flag_outlives_connections_but_not_the_process)
{
	struct pair *p = start();

	cr_assert_eq(pair_peer_command(p, 1, CMD_PAUSE_SYNC, 0), SS_SUCCESS);
	cr_assert_eq(pair_peer_command(p, 1, CMD_PAUSE_SYNC, 0), SS_NOTHING_TO_DO);
	expect_suspended(p, 0, false, true, false);
	fall_behind(p);
	expect_suspended(p, 0, false, false, false);
	reconnect(p);
	expect_suspended(p, 0, false, true, false);
	expect_suspended(p, 1, true, false, false);
	pair_crash(p, 1);
	pair_pass_ms(p, 2000);
	pair_restart(p, 1);
	expect_healthy(p);
	expect_suspended(p, 0, false, false, false);
	pair_free(p);
}

Test(pause, who_connects_without_a_resync_is_told)
{
	struct pair *p = start();

	cr_assert_eq(pair_peer_command(p, 1, CMD_PAUSE_SYNC, 0), SS_SUCCESS);
	pair_cut(p, 0, 1);
	pair_pass_ms(p, 1000);
	reconnect(p);
	cr_assert_eq(pair_repl(p, 0, 1), REPL_ESTABLISHED);
	expect_suspended(p, 0, false, true, false);
	cr_assert_eq(pair_peer_command(p, 1, CMD_RESUME_SYNC, 0), SS_SUCCESS);
	expect_suspended(p, 0, false, false, false);
	cr_assert_eq(pair_peer_command(p, 1, CMD_RESUME_SYNC, 0), SS_NOTHING_TO_DO);
	pair_free(p);
}

static void gate(struct pair *p, unsigned node, bool dependency, bool parallel)
{
	struct core_event ev = { .kind = EV_RESYNC_GATE };

	ev.u.gate.dependency = dependency;
	ev.u.gate.parallel = parallel;
	world_step(p, node, &ev);
	cr_assert(pair_run(p));
}

static void expect_resync(struct pair *p, unsigned node, bool busy, bool wants, bool runs)
{
	bool b, w, r;

	core_resync(pair_core(p, node), 0, &b, &w, &r);
	cr_assert(b == busy && w == wants && r == runs, "node %u: busy %d, wants %d, runs %d",
		  node, b, w, r);
}

Test(pause, the_resync_of_another_resource_comes_first)
{
	struct pair *p = start();

	fall_behind(p);
	gate(p, 0, true, false);
	expect_resync(p, 0, false, false, false);
	reconnect(p);
	expect_suspended(p, 0, false, false, true);
	expect_suspended(p, 1, false, true, false);
	expect_resync(p, 0, true, false, false);
	/* It holds no turn that others could use. */
	expect_resync(p, 1, true, false, false);
	gate(p, 0, false, false);
	expect_healthy(p);
	expect_resync(p, 1, false, false, false);
	pair_free(p);
}

Test(pause, too_many_run_at_the_target)
{
	struct pair *p = start();

	fall_behind(p);
	gate(p, 0, false, true); /* a source's limit says nothing */
	gate(p, 1, false, true);
	reconnect(p);
	cr_assert_eq(pair_repl(p, 1, 0), REPL_PAUSED_SYNC_T);
	cr_assert_eq(pair_repl(p, 0, 1), REPL_SYNC_SOURCE);
	cr_assert(device(p, 1).susp_parallel);
	cr_assert_not(device(p, 0).susp_parallel);
	expect_suspended(p, 1, false, false, false);
	expect_resync(p, 1, true, true, false);
	expect_resync(p, 0, true, false, false);
	gate(p, 1, false, false);
	expect_healthy(p);
	pair_free(p);
}

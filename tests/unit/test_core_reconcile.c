/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The survivors of a Primary agree on its last writes,
 * connected or not (states-and-resync 5.6, 2.6). */
#include <criterion/criterion.h>

#include "core/core_hooks.h"
#include "core/core_int.h"
#include "../lib/core_pair.h"

/* Node 0 is Primary; a write of it reached node 1, not node 2; then node 0 dies. */
static struct pair *half_replicated(void)
{
	struct pair *p = pair_new(&(struct pair_opts){ .nodes = 3 });

	pair_up_to_date(p);
	cr_assert(pair_healthy(p), "%s", pair_describe(p));
	cr_assert_geq(pair_simple(p, 0, CMD_PRIMARY), SS_SUCCESS);
	cr_assert_eq(pair_write(p, 0, 0, 8, 1), 0);
	pair_pass_ms(p, 1000);
	pair_hold(p, 0, 2, STREAM_DATA, true);
	pair_submit_write(p, 0, 80, 8, 2);
	pair_run(p);
	cr_assert_eq(pair_disk_tag(p, 1, 80), 2);
	cr_assert_neq(pair_disk_tag(p, 2, 80), 2);
	return p;
}

static bool two_and_one_agree(struct pair *p)
{
	return pair_repl(p, 1, 2) == REPL_ESTABLISHED && pair_repl(p, 2, 1) == REPL_ESTABLISHED &&
	       pair_disk(p, 1) == DISK_UP_TO_DATE && pair_disk(p, 2) == DISK_UP_TO_DATE &&
	       pair_out_of_sync(p, 1, 2) == 0 && pair_out_of_sync(p, 2, 1) == 0;
}

Test(reconcile, who_has_more_of_the_stream_is_source)
{
	struct pair *p = half_replicated();

	pair_crash(p, 0);
	cr_assert(pair_wait(p, 30000, two_and_one_agree), "%s", pair_describe(p));
	cr_assert_eq(pair_disk_tag(p, 2, 80), 2);
	cr_assert(pair_same(p, 1, 2));
	pair_hold(p, 0, 2, STREAM_DATA, false);
	pair_restart(p, 0);
	cr_assert(pair_wait(p, 60000, pair_healthy), "%s", pair_describe(p));
	cr_assert(pair_same(p, 0, 1));
	pair_free(p);
}

/* H5: nobody is UpToDate, and so promoted, before that is settled. */
Test(reconcile, a_stale_survivor_is_not_promoted)
{
	struct pair *p = half_replicated();

	pair_hold(p, 1, 2, STREAM_DATA, true);
	pair_crash(p, 0);
	pair_pass_ms(p, 100);
	cr_assert_neq(pair_disk(p, 2), DISK_UP_TO_DATE, "%s", pair_describe(p));
	cr_assert(reconcile_holds(pair_core(p, 2)));
	pair_hold(p, 1, 2, STREAM_DATA, false);
	cr_assert(pair_wait(p, 30000, two_and_one_agree), "%s", pair_describe(p));
	cr_assert_not(reconcile_holds(pair_core(p, 2)));
	cr_assert_eq(pair_disk_tag(p, 2, 80), 2);
	pair_free(p);
}

/* H2: equal generations, different data, and they meet only later. */
Test(reconcile, survivors_that_meet_later)
{
	struct pair *p = half_replicated();

	pair_cut(p, 1, 2);
	pair_crash(p, 0);
	pair_pass_ms(p, 5000);
	pair_heal(p, 1, 2);
	cr_assert(pair_wait(p, 60000, two_and_one_agree), "%s", pair_describe(p));
	/* Each named the lost Primary inside the handshake. */
	cr_assert_geq(pair_sent(p, 1, 2, P_PEER_DAGTAG), 1);
	cr_assert_geq(pair_sent(p, 2, 1, P_PEER_DAGTAG), 1);
	cr_assert_eq(pair_disk_tag(p, 2, 80), 2);
	cr_assert(pair_same(p, 1, 2));
	pair_free(p);
}

Test(reconcile, nothing_moves_when_both_have_everything)
{
	struct pair *p = pair_new(&(struct pair_opts){ .nodes = 3 });
	unsigned before;

	pair_up_to_date(p);
	cr_assert_geq(pair_simple(p, 0, CMD_PRIMARY), SS_SUCCESS);
	for (unsigned i = 0; i < 10; i++)
		cr_assert_eq(pair_write(p, 0, i * 8, 8, i + 1), 0);
	before = pair_sent(p, 1, 2, P_RS_DAGTAG_REQ) + pair_sent(p, 2, 1, P_RS_DAGTAG_REQ);
	pair_crash(p, 0);
	cr_assert(pair_wait(p, 30000, two_and_one_agree), "%s", pair_describe(p));
	cr_assert_eq(pair_sent(p, 1, 2, P_RS_DAGTAG_REQ) + pair_sent(p, 2, 1, P_RS_DAGTAG_REQ),
		     before);
	cr_assert_geq(pair_sent(p, 1, 2, P_PEER_DAGTAG), 1);
	pair_free(p);
}

/* What a resync has changed on one of them may be missing on the other. */
Test(reconcile, marks_of_a_resync_stay_when_both_have_everything)
{
	struct pair *p = pair_new(&(struct pair_opts){ .nodes = 3 });
	struct core *core;
	unsigned before;

	pair_up_to_date(p);
	cr_assert_geq(pair_simple(p, 0, CMD_PRIMARY), SS_SUCCESS);
	cr_assert_eq(pair_write(p, 0, 0, 8, 1), 0);
	pair_pass_ms(p, 5000);
	core = pair_core(p, 1);
	bitmap_set(core, core->vol[0], bitmap_slots_of(core->vol[0], 4), 64, 8);
	core->peer[2]->pd[0].fence.resync_marks = true;
	before = pair_sent(p, 1, 2, P_RS_DAGTAG_REQ) + pair_sent(p, 2, 1, P_RS_DAGTAG_REQ);
	pair_crash(p, 0);
	cr_assert(pair_wait(p, 30000, two_and_one_agree), "%s", pair_describe(p));
	pair_pass_ms(p, 30000);
	cr_assert_eq(pair_sent(p, 1, 2, P_RS_DAGTAG_REQ) + pair_sent(p, 2, 1, P_RS_DAGTAG_REQ),
		     before + 1);
	pair_free(p);
}

static uint64_t generation(struct pair *p, unsigned node)
{
	return core_md(pair_core(p, node), 0)->current_uuid & ~UUID_PRIMARY;
}

static bool both_up_to_date(struct pair *p)
{
	return pair_disk(p, 1) == DISK_UP_TO_DATE && pair_disk(p, 2) == DISK_UP_TO_DATE;
}

/* The Primary dies while it tells its new generation:
 * whoever did not hear of it gets it from who did. */
Test(reconcile, a_generation_that_only_one_survivor_knows)
{
	struct pair *p = pair_new(&(struct pair_opts){ .nodes = 4 });

	pair_up_to_date(p);
	cr_assert(pair_healthy(p), "%s", pair_describe(p));
	pair_crash(p, 3);
	pair_pass_ms(p, 1000);
	cr_assert_geq(pair_simple(p, 0, CMD_PRIMARY), SS_SUCCESS);
	pair_pass_ms(p, 1000);
	pair_hold(p, 0, 2, STREAM_DATA, true);
	pair_submit_write(p, 0, 80, 8, 2);
	pair_run(p);
	cr_assert_eq(generation(p, 0), generation(p, 1));
	cr_assert_neq(generation(p, 0), generation(p, 2));
	pair_crash(p, 0);
	pair_run(p);
	/* Never may one of them be promoted with the older one. */
	cr_assert(pair_wait(p, 30000, both_up_to_date), "%s", pair_describe(p));
	cr_assert_eq(generation(p, 1), generation(p, 2));
	cr_assert(pair_wait(p, 30000, two_and_one_agree), "%s", pair_describe(p));
	cr_assert(pair_same(p, 1, 2));
	pair_free(p);
}

/* A survivor that still has the Primary sends no notice: the other one does not wait for ever. */
static bool two_is_paused(struct pair *p)
{
	return pair_repl(p, 2, 1) == REPL_PAUSED_SYNC_T;
}

/* Else the command that lets the resync go on would wait behind the one that waits for its end. */
Test(reconcile, a_lost_peer_is_taken_out_beside_a_paused_resync)
{
	struct pair *p = half_replicated();

	cr_assert_eq(pair_peer_command(p, 2, CMD_PAUSE_SYNC, 1), SS_SUCCESS, "%s", pair_text(p));
	pair_crash(p, 0);
	cr_assert(pair_wait(p, 30000, two_is_paused), "%s", pair_describe(p));
	cr_assert(reconcile_holds(pair_core(p, 2)));
	cr_assert_eq(pair_peer_command(p, 2, CMD_DEL_PEER, 0), SS_SUCCESS, "%s", pair_text(p));
	cr_assert_eq(pair_peer_command(p, 2, CMD_RESUME_SYNC, 1), SS_SUCCESS, "%s", pair_text(p));
	cr_assert(pair_wait(p, 30000, two_and_one_agree), "%s", pair_describe(p));
	cr_assert(pair_same(p, 1, 2));
	pair_free(p);
}

Test(reconcile, a_lost_connection_is_not_a_lost_primary)
{
	struct pair *p = pair_new(&(struct pair_opts){ .nodes = 3 });

	pair_up_to_date(p);
	cr_assert_geq(pair_simple(p, 0, CMD_PRIMARY), SS_SUCCESS);
	cr_assert_eq(pair_write(p, 0, 0, 8, 1), 0);
	pair_cut(p, 0, 2);
	pair_pass_ms(p, 20000);
	cr_assert_not(reconcile_holds(pair_core(p, 2)), "%s", pair_describe(p));
	/* It knows of a Primary that it cannot reach. */
	cr_assert_eq(pair_disk(p, 2), DISK_OUTDATED, "%s", pair_describe(p));
	cr_assert_eq(pair_write(p, 0, 8, 8, 2), 0);
	pair_heal(p, 0, 2);
	cr_assert(pair_wait(p, 60000, pair_healthy), "%s", pair_describe(p));
	cr_assert(pair_same(p, 0, 2));
	pair_free(p);
}

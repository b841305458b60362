/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Fencing: what waits, what the exit codes of fence-peer do, who may become Primary. */
#include <criterion/criterion.h>
#include <string.h>

#include "core/core_int.h"
#include "core/fencing.h"
#include "../lib/core_pair.h"

#define BLOCK BM_BLOCK_SECTORS

static void policy(struct core_conf *conf, enum fencing fencing)
{
	conf->handlers = 1U << HANDLER_FENCE_PEER | 1U << HANDLER_UNFENCE_PEER;
	for (unsigned i = 0; i < conf->peer_count; i++)
		conf->peers[i].net.fencing = fencing;
}

static void stonith(struct core_conf *conf)
{
	policy(conf, FENCING_STONITH);
}

static void resource_only(struct core_conf *conf)
{
	policy(conf, FENCING_RESOURCE);
}

static struct pair *up(unsigned nodes, void (*tune)(struct core_conf *conf))
{
	struct pair *p = pair_new(
		&(struct pair_opts){ .nodes = nodes, .tune = tune, .no_auto_promote = true });

	pair_up_to_date(p);
	return p;
}

/* 0 is Primary, and has lost 1 with a write on its way. */
static struct pair *parted(void (*tune)(struct core_conf *conf))
{
	struct pair *p = up(2, tune);

	cr_assert_eq(pair_simple(p, 0, CMD_PRIMARY), SS_SUCCESS, "%s", pair_text(p));
	cr_assert_eq(pair_write(p, 0, 0, BLOCK, 1), 0);
	pair_hold(p, 0, 1, STREAM_DATA, true);
	pair_submit_write(p, 0, 2 * BLOCK, BLOCK, 2);
	pair_cut(p, 0, 1);
	pair_hold(p, 0, 1, STREAM_DATA, false);
	pair_run(p);
	cr_assert_eq(pair_calls(p, 0, HANDLER_FENCE_PEER, 1), 1, "%s", pair_describe(p));
	return p;
}

/* The same without one. */
static struct pair *parted_idle(void)
{
	struct pair *p = up(2, stonith);

	cr_assert_eq(pair_simple(p, 0, CMD_PRIMARY), SS_SUCCESS, "%s", pair_text(p));
	cr_assert_eq(pair_write(p, 0, 0, BLOCK, 1), 0);
	pair_cut(p, 0, 1);
	pair_run(p);
	return p;
}

static uint64_t generation(struct pair *p, unsigned node)
{
	return core_md(pair_core(p, node), 0)->current_uuid & ~UUID_PRIMARY;
}

Test(fencing, with_stonith_nothing_is_answered_before)
{
	struct pair *p = parted(stonith);
	uint64_t before = generation(p, 0);

	pair_submit_write(p, 0, 4 * BLOCK, BLOCK, 3);
	pair_pass_ms(p, 60000);
	cr_assert_eq(pair_outstanding(p), 2);
	cr_assert_eq(generation(p, 0), before);
	cr_assert(pair_core(p, 0)->st.susp_fen);
	pair_answer_call(p, 0, HANDLER_FENCE_PEER, 7);
	pair_run(p);
	cr_assert_eq(pair_outstanding(p), 0, "%s", pair_describe(p));
	cr_assert_eq(pair_last_error(p), 0);
	cr_assert_eq(pair_pdsk(p, 0, 1), DISK_OUTDATED);
	cr_assert_neq(generation(p, 0), before);
	cr_assert_eq(pair_calls(p, 0, HANDLER_UNFENCE_PEER, 1), 1, "when they first met");
	pair_heal(p, 0, 1);
	pair_pass_ms(p, 20000);
	cr_assert(pair_healthy(p), "%s", pair_describe(p));
	cr_assert(pair_same(p, 0, 1));
	cr_assert_eq(pair_calls(p, 0, HANDLER_UNFENCE_PEER, 1), 2);
	pair_free(p);
}

Test(fencing, with_resource_only_io_goes_on)
{
	struct pair *p = parted(resource_only);

	cr_assert_eq(pair_write(p, 0, 4 * BLOCK, BLOCK, 3), 0);
	cr_assert_eq(pair_outstanding(p), 0);
	cr_assert_eq(pair_pdsk(p, 0, 1), DISK_UNKNOWN);
	pair_answer_call(p, 0, HANDLER_FENCE_PEER, 4);
	pair_run(p);
	cr_assert_eq(pair_pdsk(p, 0, 1), DISK_OUTDATED);
	pair_free(p);
}

Test(fencing, exit_codes)
{
	static const struct {
		int status;
		enum disk_state pdsk;
	} rows[] = { { 3, DISK_INCONSISTENT }, { 4, DISK_OUTDATED }, { 5, DISK_OUTDATED },
		     { 7, DISK_OUTDATED },     { 6, DISK_UNKNOWN },  { 0, DISK_UNKNOWN },
		     { 1, DISK_UNKNOWN },      { 127, DISK_UNKNOWN }, { -1, DISK_UNKNOWN } };

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct pair *p = parted(stonith);
		bool good = rows[i].pdsk != DISK_UNKNOWN;

		pair_answer_call(p, 0, HANDLER_FENCE_PEER, rows[i].status);
		pair_run(p);
		cr_assert_eq(pair_pdsk(p, 0, 1), rows[i].pdsk, "exit code %d", rows[i].status);
		cr_assert_eq(pair_outstanding(p), good ? 0 : 1, "exit code %d", rows[i].status);
		cr_assert_eq(pair_disk(p, 0), DISK_UP_TO_DATE);
		/* The operator says that it is harmless. */
		if (!good) {
			cr_assert_eq(pair_simple(p, 0, CMD_RESUME_IO), SS_SUCCESS);
			pair_run(p);
			cr_assert_eq(pair_outstanding(p), 0);
		}
		pair_free(p);
	}
}

Test(fencing, a_peer_that_is_back_is_not_fenced)
{
	struct pair *p = parted(stonith);

	pair_heal(p, 0, 1);
	pair_pass_ms(p, 20000);
	cr_assert(pair_healthy(p), "%s", pair_describe(p));
	cr_assert_eq(pair_outstanding(p), 0);
	cr_assert_eq(pair_last_error(p), 0);
	pair_answer_call(p, 0, HANDLER_FENCE_PEER, 4);
	pair_run(p);
	cr_assert(pair_healthy(p), "%s", pair_describe(p));
	/* Nor is what it said then of any use when it is lost again. */
	pair_cut(p, 0, 1);
	pair_run(p);
	cr_assert_eq(pair_calls(p, 0, HANDLER_FENCE_PEER, 1), 2);
	cr_assert(pair_core(p, 0)->st.susp_fen);
	pair_free(p);
}

Test(fencing, a_promotion_fences_whom_it_does_not_see)
{
	struct pair *p = up(2, stonith);
	struct ev_command ev = { .cmd = CMD_PRIMARY };
	uint64_t cookie;
	int rc;

	pair_cut(p, 0, 1);
	pair_run(p);
	cr_assert_eq(pair_calls(p, 0, HANDLER_FENCE_PEER, 1), 0, "nobody is Primary");
	cookie = pair_submit_command(p, 0, &ev);
	pair_pass_ms(p, 5000);
	cr_assert_not(pair_replied(p, cookie, &rc));
	cr_assert_eq(pair_calls(p, 0, HANDLER_FENCE_PEER, 1), 1);
	pair_answer_call(p, 0, HANDLER_FENCE_PEER, 4);
	pair_run(p);
	cr_assert(pair_replied(p, cookie, &rc));
	cr_assert_eq(rc, SS_SUCCESS, "%s", pair_text(p));
	cr_assert_eq(pair_write(p, 0, 0, BLOCK, 5), 0);
	pair_free(p);
}

static void refused_promotion(int status, enum disk_state own)
{
	struct pair *p = up(2, stonith);
	struct ev_command ev = { .cmd = CMD_PRIMARY };
	uint64_t cookie;
	int rc;

	pair_cut(p, 0, 1);
	pair_run(p);
	cookie = pair_submit_command(p, 0, &ev);
	pair_pass_ms(p, 5000);
	pair_answer_call(p, 0, HANDLER_FENCE_PEER, status);
	pair_pass_ms(p, 60000);
	cr_assert(pair_replied(p, cookie, &rc));
	cr_assert_lt(rc, SS_SUCCESS);
	cr_assert_eq(pair_role(p, 0), ROLE_SECONDARY);
	cr_assert_eq(pair_disk(p, 0), own, "%s", pair_describe(p));
	/* By force it goes on, as with a disk that is old. */
	ev.force = true;
	cookie = pair_submit_command(p, 0, &ev);
	pair_pass_ms(p, 5000);
	if (pair_calls(p, 0, HANDLER_FENCE_PEER, 1) == 2)
		pair_answer_call(p, 0, HANDLER_FENCE_PEER, status);
	pair_pass_ms(p, 60000);
	cr_assert(pair_replied(p, cookie, &rc));
	cr_assert_eq(rc, SS_SUCCESS, "%s", pair_text(p));
	pair_free(p);
}

Test(fencing, a_promotion_is_refused_when_that_fails)
{
	refused_promotion(1, DISK_UP_TO_DATE);
	refused_promotion(6, DISK_OUTDATED);
}

Test(fencing, after_a_crash_the_survivor_takes_over)
{
	struct pair *p = up(2, stonith);
	struct ev_command ev = { .cmd = CMD_PRIMARY };
	uint64_t cookie;
	int rc;

	cr_assert_eq(pair_simple(p, 0, CMD_PRIMARY), SS_SUCCESS);
	cr_assert_eq(pair_write(p, 0, 0, BLOCK, 5), 0);
	pair_crash(p, 0);
	pair_pass_ms(p, 1000);
	cr_assert_eq(pair_disk(p, 1), DISK_CONSISTENT, "%s", pair_describe(p));
	cookie = pair_submit_command(p, 1, &ev);
	pair_pass_ms(p, 10000);
	cr_assert_eq(pair_calls(p, 1, HANDLER_FENCE_PEER, 0), 1, "%s", pair_describe(p));
	pair_answer_call(p, 1, HANDLER_FENCE_PEER, 7);
	pair_pass_ms(p, 1000);
	cr_assert(pair_replied(p, cookie, &rc));
	cr_assert_eq(rc, SS_SUCCESS, "%s", pair_text(p));
	cr_assert_eq(pair_write(p, 1, 0, BLOCK, 6), 0);
	/* Back, it has nothing to say. */
	pair_restart(p, 0);
	pair_pass_ms(p, 20000);
	cr_assert(pair_healthy(p), "%s", pair_describe(p));
	cr_assert(pair_same(p, 0, 1));
	pair_free(p);
}

/* 1 was shot by 0, which went on alone and then crashed: that says nothing of what 1 lacks. */
Test(fencing, who_was_shot_does_not_take_over)
{
	struct pair *p = parted_idle();
	struct ev_command ev = { .cmd = CMD_PRIMARY };
	uint64_t cookie;
	int rc;

	pair_crash(p, 1);
	pair_answer_call(p, 0, HANDLER_FENCE_PEER, 7);
	pair_run(p);
	cr_assert_eq(pair_write(p, 0, 4 * BLOCK, BLOCK, 3), 0);
	pair_crash(p, 0);
	pair_restart(p, 1);
	pair_pass_ms(p, 2000);
	cr_assert_eq(pair_disk(p, 1), DISK_CONSISTENT, "%s", pair_describe(p));
	cookie = pair_submit_command(p, 1, &ev);
	pair_pass_ms(p, 10000);
	pair_answer_call(p, 1, HANDLER_FENCE_PEER, 7);
	pair_pass_ms(p, 10000);
	cr_assert(pair_replied(p, cookie, &rc));
	cr_assert_lt(rc, SS_SUCCESS);
	pair_heal(p, 0, 1);
	pair_restart(p, 0);
	pair_pass_ms(p, 30000);
	cr_assert(pair_healthy(p), "%s", pair_describe(p));
	cr_assert_eq(pair_disk_tag(p, 1, 4 * BLOCK), 3);
	pair_free(p);
}

/* 1 was switched off and does not know that it was left behind: 0 is not outdated for it. */
Test(fencing, outdate_is_refused_for_one_that_was_left_behind)
{
	struct pair *p = parted_idle();
	struct ev_command ev = { .cmd = CMD_OUTDATE, .has_peer = true, .peer = 1 };

	pair_answer_call(p, 0, HANDLER_FENCE_PEER, 7);
	pair_run(p);
	cr_assert_eq(pair_write(p, 0, 4 * BLOCK, BLOCK, 3), 0);
	cr_assert_eq(pair_simple(p, 0, CMD_SECONDARY), SS_SUCCESS);
	pair_crash(p, 0);
	pair_restart(p, 0);
	pair_pass_ms(p, 1000);
	cr_assert_eq(pair_command(p, 0, &ev), SS_PRIMARY_NOP, "%s", pair_text(p));
	ev.has_peer = false;
	cr_assert_eq(pair_command(p, 0, &ev), SS_PRIMARY_NOP, "%s", pair_text(p));
	cr_assert_geq(pair_disk(p, 0), DISK_CONSISTENT);
	pair_free(p);
}

/* While one handler runs the next one is due: there is nothing to wake up for. */
Test(fencing, the_next_call_waits_for_the_end_of_the_last_one)
{
	struct pair *p = parted_idle();
	struct core *core = pair_core(p, 0);

	core->peer[1]->fence_due = true;
	cr_assert_eq(fencing_deadline(core), UINT64_MAX);
	pair_free(p);
}

Test(fencing, outdate_is_for_a_node_that_no_primary_sees)
{
	struct pair *p = parted_idle();
	struct ev_command ev = { .cmd = CMD_OUTDATE };

	cr_assert_eq(pair_command(p, 1, &ev), SS_SUCCESS, "%s", pair_text(p));
	cr_assert_eq(pair_disk(p, 1), DISK_OUTDATED);
	cr_assert_eq(pair_command(p, 1, &ev), SS_SUCCESS);
	cr_assert_lt(pair_command(p, 0, &ev), SS_SUCCESS);
	/* It is so after a restart. */
	pair_crash(p, 1);
	pair_restart(p, 1);
	pair_pass_ms(p, 1000);
	cr_assert_eq(pair_disk(p, 1), DISK_OUTDATED, "%s", pair_describe(p));
	pair_answer_call(p, 0, HANDLER_FENCE_PEER, 4);
	pair_run(p);
	pair_heal(p, 0, 1);
	pair_pass_ms(p, 20000);
	cr_assert(pair_healthy(p), "%s", pair_describe(p));
	cr_assert_lt(pair_command(p, 1, &ev), SS_SUCCESS, "connected to a Primary");
	pair_free(p);
}

/* A node that a promotion outside has made Outdated is not good again by a third one, which is the
 * next to be fenced. */
Test(fencing, an_equal_disk_does_not_undo_it)
{
	struct pair *p = up(3, stonith);
	struct ev_command outdate = { .cmd = CMD_OUTDATE };

	pair_cut(p, 0, 1);
	pair_cut(p, 0, 2);
	pair_cut(p, 1, 2);
	pair_run(p);
	cr_assert_eq(pair_command(p, 1, &outdate), SS_SUCCESS);
	pair_heal(p, 1, 2);
	pair_pass_ms(p, 20000);
	cr_assert_eq(pair_conn(p, 1, 2), CONN_CONNECTED);
	cr_assert_eq(pair_disk(p, 1), DISK_OUTDATED, "%s", pair_describe(p));
	pair_heal(p, 0, 1);
	pair_heal(p, 0, 2);
	pair_pass_ms(p, 20000);
	cr_assert(pair_healthy(p), "%s", pair_describe(p));
	pair_free(p);
}

static bool written_as_outdated(struct pair *p, unsigned node, unsigned peer)
{
	return core_md(pair_core(p, node), 0)->peers[peer].flags & MDF_PEER_OUTDATED;
}

/* One that is connected may become good before this node's metadata say so, and go on. */
Test(fencing, what_is_connected_is_not_written_as_outdated)
{
	struct pair *p = up(3, stonith);
	struct ev_command outdate = { .cmd = CMD_OUTDATE };

	pair_cut(p, 0, 1);
	pair_cut(p, 0, 2);
	pair_cut(p, 1, 2);
	pair_run(p);
	cr_assert_eq(pair_command(p, 1, &outdate), SS_SUCCESS);
	pair_heal(p, 1, 2);
	pair_pass_ms(p, 20000);
	cr_assert_eq(pair_pdsk(p, 2, 1), DISK_OUTDATED, "%s", pair_describe(p));
	cr_assert_not(written_as_outdated(p, 2, 1));
	pair_free(p);
}

/* Of two that were lost one was fenced before the crash: the other one may have gone on with it. */
Test(fencing, after_a_crash_all_are_fenced_again_if_one_was_not)
{
	struct pair *p = up(3, stonith);

	cr_assert_eq(pair_simple(p, 0, CMD_PRIMARY), SS_SUCCESS);
	pair_cut(p, 0, 1);
	pair_run(p);
	pair_answer_call(p, 0, HANDLER_FENCE_PEER, 4);
	pair_run(p);
	cr_assert(written_as_outdated(p, 0, 1));
	pair_cut(p, 0, 2);
	pair_pass_ms(p, 1000);
	pair_crash(p, 0);
	pair_restart(p, 0);
	pair_pass_ms(p, 1000);
	cr_assert_eq(pair_disk(p, 0), DISK_CONSISTENT, "%s", pair_describe(p));
	cr_assert_eq(pair_pdsk(p, 0, 1), DISK_UNKNOWN);
	pair_free(p);
}

/* If all were, nobody can go on without this one. */
Test(fencing, after_a_crash_who_has_fenced_all_goes_on)
{
	struct pair *p = parted_idle();

	pair_answer_call(p, 0, HANDLER_FENCE_PEER, 4);
	pair_run(p);
	pair_pass_ms(p, 10000);
	pair_crash(p, 0);
	pair_restart(p, 0);
	pair_pass_ms(p, 1000);
	cr_assert_eq(pair_disk(p, 0), DISK_UP_TO_DATE, "%s", pair_describe(p));
	cr_assert_eq(pair_simple(p, 0, CMD_PRIMARY), SS_SUCCESS);
	pair_free(p);
}

Test(fencing, an_orderly_disconnect_outdates)
{
	struct pair *p = up(2, stonith);

	cr_assert_eq(pair_simple(p, 0, CMD_PRIMARY), SS_SUCCESS);
	cr_assert_eq(pair_peer_command(p, 0, CMD_DISCONNECT, 1), SS_SUCCESS, "%s", pair_text(p));
	cr_assert_eq(pair_pdsk(p, 0, 1), DISK_OUTDATED);
	cr_assert_eq(pair_disk(p, 1), DISK_OUTDATED);
	cr_assert_eq(pair_calls(p, 0, HANDLER_FENCE_PEER, 1), 0);
	cr_assert_eq(pair_write(p, 0, 0, BLOCK, 5), 0);
	pair_free(p);
}

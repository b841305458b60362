/* SPDX-License-Identifier: GPL-2.0-or-later */
/* When the operator's programs are called, and what their ends mean. */
#include <criterion/criterion.h>
#include <string.h>

#include "core/core_int.h"
#include "../lib/core_pair.h"

#define BLOCK BM_BLOCK_SECTORS

static void all_handlers(struct core_conf *conf)
{
	conf->handlers = (1U << HANDLER_COUNT) - 1;
	conf->volumes[0].disk.on_io_error = IOERR_CALL_HANDLER;
	conf->quorum = QUORUM_OFF;
}

static void with_quorum(struct core_conf *conf)
{
	all_handlers(conf);
	conf->quorum = QUORUM_MAJORITY;
}

static void call_pri_lost(struct core_conf *conf)
{
	all_handlers(conf);
	conf->peers[0].net.rr_conflict = ASB_CALL_PRI_LOST;
}

static struct pair *up(unsigned nodes, void (*tune)(struct core_conf *conf))
{
	struct pair *p = pair_new(
		&(struct pair_opts){ .nodes = nodes, .tune = tune, .no_auto_promote = true });

	pair_up_to_date(p);
	return p;
}

/* 0 is Primary and has written what 1 lacks; then the two meet again. */
static struct pair *about_to_resync(void)
{
	struct pair *p = up(2, all_handlers);

	cr_assert_eq(pair_simple(p, 0, CMD_PRIMARY), SS_SUCCESS);
	pair_cut(p, 0, 1);
	pair_run(p);
	cr_assert_eq(pair_write(p, 0, 0, 4 * BLOCK, 7), 0);
	pair_heal(p, 0, 1);
	pair_pass_ms(p, 20000);
	return p;
}

Test(handlers, none_is_called_that_there_is_not)
{
	struct pair *p = pair_new(&(struct pair_opts){ .nodes = 2 });

	pair_up_to_date(p);
	pair_cut(p, 0, 1);
	pair_run(p);
	for (unsigned h = 0; h < HANDLER_COUNT; h++)
		cr_assert_eq(pair_calls(p, 0, (enum handler)h, 1), 0);
	pair_free(p);
}

Test(handlers, a_resync_waits_for_both_sides)
{
	struct pair *p = about_to_resync();

	/* The source keeps its bitmap back until its handler has agreed. */
	cr_assert_eq(pair_calls(p, 0, HANDLER_BEFORE_RESYNC_SOURCE, 1), 1);
	cr_assert_eq(pair_calls(p, 1, HANDLER_BEFORE_RESYNC_TARGET, 0), 0);
	cr_assert_eq(pair_repl(p, 0, 1), REPL_WF_BITMAP_S);
	pair_answer_call(p, 0, HANDLER_BEFORE_RESYNC_SOURCE, 3);
	pair_run(p);
	/* Then the target, before anything is overwritten. */
	cr_assert_eq(pair_calls(p, 1, HANDLER_BEFORE_RESYNC_TARGET, 0), 1);
	cr_assert_eq(pair_repl(p, 1, 0), REPL_WF_BITMAP_T);
	cr_assert_neq(pair_disk_tag(p, 1, 0), 7);
	/* Writes meanwhile get through. */
	cr_assert_eq(pair_write(p, 0, 8 * BLOCK, BLOCK, 9), 0);
	pair_answer_call(p, 1, HANDLER_BEFORE_RESYNC_TARGET, 0);
	pair_pass_ms(p, 5000);
	cr_assert(pair_healthy(p), "%s", pair_describe(p));
	cr_assert(pair_same(p, 0, 1));
	cr_assert_eq(pair_calls(p, 1, HANDLER_AFTER_RESYNC_TARGET, 0), 1);
	cr_assert_eq(pair_calls(p, 0, HANDLER_AFTER_RESYNC_TARGET, 1), 0);
	pair_free(p);
}

static void refused(unsigned node, enum handler what, int status)
{
	struct pair *p = about_to_resync();

	if (node == 1) {
		pair_answer_call(p, 0, HANDLER_BEFORE_RESYNC_SOURCE, 0);
		pair_run(p);
	}
	pair_answer_call(p, node, what, status);
	pair_pass_ms(p, 5000);
	cr_assert_eq(pair_conn(p, node, 1 - node), CONN_STANDALONE, "%s", pair_describe(p));
	cr_assert(strstr(pair_core(p, node)->peer[1 - node]->reason, handler_name(what)));
	cr_assert_neq(pair_disk_tag(p, 1, 0), 7);
	pair_free(p);
}

Test(handlers, a_refused_resync_does_not_begin)
{
	refused(1, HANDLER_BEFORE_RESYNC_TARGET, 1);
	refused(1, HANDLER_BEFORE_RESYNC_TARGET, 3);
	refused(1, HANDLER_BEFORE_RESYNC_TARGET, -1);
	refused(0, HANDLER_BEFORE_RESYNC_SOURCE, 1);
}

Test(handlers, the_end_of_one_that_was_lost_means_nothing)
{
	struct pair *p = about_to_resync();

	pair_cut(p, 0, 1);
	pair_run(p);
	pair_answer_call(p, 0, HANDLER_BEFORE_RESYNC_SOURCE, 1);
	pair_run(p);
	cr_assert_neq(pair_conn(p, 0, 1), CONN_STANDALONE);
	pair_heal(p, 0, 1);
	pair_pass_ms(p, 20000);
	cr_assert_eq(pair_calls(p, 0, HANDLER_BEFORE_RESYNC_SOURCE, 1), 2);
	cr_assert_eq(pair_repl(p, 0, 1), REPL_WF_BITMAP_S);
	pair_free(p);
}

Test(handlers, a_full_sync_by_command_waits_as_well)
{
	struct pair *p = up(2, all_handlers);
	struct ev_command cmd = { .cmd = CMD_INVALIDATE };

	cr_assert_eq(pair_command(p, 1, &cmd), SS_SUCCESS, "%s", pair_text(p));
	pair_pass_ms(p, 2000);
	cr_assert_eq(pair_repl(p, 1, 0), REPL_STARTING_SYNC_T, "%s", pair_describe(p));
	cr_assert_eq(pair_calls(p, 1, HANDLER_BEFORE_RESYNC_TARGET, 0), 1);
	pair_answer_call(p, 1, HANDLER_BEFORE_RESYNC_TARGET, 0);
	pair_answer_call(p, 0, HANDLER_BEFORE_RESYNC_SOURCE, 0);
	pair_pass_ms(p, 60000);
	cr_assert(pair_healthy(p), "%s", pair_describe(p));
	cr_assert_eq(pair_calls(p, 1, HANDLER_BEFORE_RESYNC_TARGET, 0), 1);
	pair_free(p);
}

Test(handlers, connections_disks_and_quorum)
{
	struct pair *p = up(3, with_quorum);

	cr_assert_eq(pair_simple(p, 0, CMD_PRIMARY), SS_SUCCESS);
	pair_cut(p, 0, 1);
	pair_run(p);
	cr_assert_eq(pair_calls(p, 0, HANDLER_DISCONNECTED, 1), 1);
	cr_assert_eq(pair_calls(p, 1, HANDLER_DISCONNECTED, 0), 1);
	cr_assert_eq(pair_calls(p, 0, HANDLER_QUORUM_LOST, NODES_MAX), 0);
	pair_cut(p, 0, 2);
	pair_run(p);
	cr_assert_eq(pair_calls(p, 0, HANDLER_QUORUM_LOST, NODES_MAX), 1);
	/* Nor does it say anything on a Secondary. */
	cr_assert_eq(pair_calls(p, 1, HANDLER_QUORUM_LOST, NODES_MAX), 0);
	pair_free(p);
	p = up(2, all_handlers);
	cr_assert_eq(pair_simple(p, 0, CMD_PRIMARY), SS_SUCCESS);
	pair_break_disk(p, 0);
	cr_assert_eq(pair_write(p, 0, 0, BLOCK, 5), 0);
	cr_assert_eq(pair_calls(p, 0, HANDLER_LOCAL_IO_ERROR, NODES_MAX), 1);
	cr_assert_eq(pair_disk(p, 0), DISK_DISKLESS, "%s", pair_describe(p));
	cr_assert_eq(pair_calls(p, 0, HANDLER_PRI_ON_INCON_DEGR, NODES_MAX), 0);
	pair_cut(p, 0, 1);
	pair_run(p);
	cr_assert_eq(pair_calls(p, 0, HANDLER_PRI_ON_INCON_DEGR, NODES_MAX), 1);
	pair_free(p);
}

/* Both were Primary; with one of them still being it, or none. */
static struct pair *split(bool primary)
{
	struct pair *p = up(2, all_handlers);

	cr_assert_eq(pair_simple(p, 0, CMD_PRIMARY), SS_SUCCESS);
	pair_cut(p, 0, 1);
	pair_run(p);
	cr_assert_eq(pair_write(p, 0, 0, BLOCK, 2), 0);
	if (!primary)
		cr_assert_eq(pair_simple(p, 0, CMD_SECONDARY), SS_SUCCESS);
	cr_assert_eq(pair_command(p, 1, &(struct ev_command){ .cmd = CMD_PRIMARY, .force = true }),
		     SS_SUCCESS);
	cr_assert_eq(pair_write(p, 1, 2 * BLOCK, BLOCK, 3), 0);
	cr_assert_eq(pair_simple(p, 1, CMD_SECONDARY), SS_SUCCESS);
	pair_heal(p, 0, 1);
	pair_pass_ms(p, 20000);
	return p;
}

Test(handlers, a_split_brain_is_told_once_to_each_side)
{
	struct pair *p = split(false);

	for (unsigned n = 0; n < 2; n++) {
		cr_assert_eq(pair_conn(p, n, 1 - n), CONN_STANDALONE);
		cr_assert_eq(pair_calls(p, n, HANDLER_INITIAL_SPLIT_BRAIN, 1 - n), 1);
		cr_assert_eq(pair_calls(p, n, HANDLER_SPLIT_BRAIN, 1 - n), 1);
	}
	/* Another attempt is told of again. */
	cr_assert_geq(pair_peer_command(p, 0, CMD_CONNECT, 1), SS_SUCCESS);
	cr_assert_geq(pair_peer_command(p, 1, CMD_CONNECT, 0), SS_SUCCESS);
	pair_pass_ms(p, 20000);
	cr_assert_eq(pair_calls(p, 0, HANDLER_SPLIT_BRAIN, 1), 2);
	pair_free(p);
}

Test(handlers, a_primary_that_would_be_overwritten)
{
	struct pair *p = up(2, call_pri_lost);

	/* 1 goes on with the newer data, 0 is promoted by force meanwhile, and writes nothing. */
	cr_assert_eq(pair_simple(p, 1, CMD_PRIMARY), SS_SUCCESS);
	pair_cut(p, 0, 1);
	pair_run(p);
	cr_assert_eq(pair_write(p, 1, 0, BLOCK, 2), 0);
	cr_assert_eq(pair_simple(p, 1, CMD_SECONDARY), SS_SUCCESS);
	cr_assert_eq(pair_simple(p, 0, CMD_PRIMARY), SS_SUCCESS, "%s", pair_text(p));
	pair_heal(p, 0, 1);
	pair_pass_ms(p, 20000);
	cr_assert_eq(pair_calls(p, 0, HANDLER_PRI_LOST, 1), 1, "%s", pair_describe(p));
	cr_assert_eq(pair_calls(p, 1, HANDLER_PRI_LOST, 0), 0);
	cr_assert_eq(pair_conn(p, 0, 1), CONN_STANDALONE);
	pair_free(p);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a node gives up after a split brain is saved before anything is overwritten,
 * or not given up. */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "core/core_hooks.h"
#include "core/core_int.h"
#include "../lib/core_pair.h"

#define BLOCK BM_BLOCK_SECTORS

/* Both have written alone: 0 to blocks 10 and 11, 1 to blocks 11 and 12. */
static struct pair *split(void)
{
	struct pair *p = pair_new(&(struct pair_opts){ .no_auto_promote = true });

	pair_up_to_date(p);
	cr_assert_eq(pair_simple(p, 0, CMD_PRIMARY), SS_SUCCESS);
	cr_assert_eq(pair_write(p, 0, 10 * BLOCK, 3 * BLOCK, 1), 0);
	pair_cut(p, 0, 1);
	pair_run(p);
	cr_assert_eq(pair_write(p, 0, 10 * BLOCK, 2 * BLOCK, 2), 0);
	cr_assert_eq(pair_command(p, 1, &(struct ev_command){ .cmd = CMD_PRIMARY, .force = true }),
		     SS_SUCCESS);
	cr_assert_eq(pair_write(p, 1, 11 * BLOCK, 2 * BLOCK, 3), 0);
	cr_assert_eq(pair_simple(p, 1, CMD_SECONDARY), SS_SUCCESS);
	pair_heal(p, 0, 1);
	pair_pass_ms(p, 20000);
	cr_assert_eq(pair_conn(p, 0, 1), CONN_STANDALONE, "%s", pair_describe(p));
	cr_assert_eq(pair_conn(p, 1, 0), CONN_STANDALONE, "%s", pair_describe(p));
	return p;
}

static struct ev_command give_up(void)
{
	struct ev_command ev = { .cmd = CMD_CONNECT, .peer = 0, .discard_my_data = true };

	strcpy(ev.save_to, "/a/file");
	return ev;
}

/* Until 1 saves. */
static void begin(struct pair *p)
{
	struct ev_command ev = give_up();

	cr_assert_eq(pair_command(p, 1, &ev), SS_SUCCESS, "%s", pair_text(p));
	cr_assert_eq(pair_peer_command(p, 0, CMD_CONNECT, 1), SS_SUCCESS);
	pair_pass_ms(p, 5000);
	cr_assert(pair_saves(p, 1), "%s", pair_describe(p));
	cr_assert_eq(pair_repl(p, 1, 0), REPL_WF_BITMAP_T);
	cr_assert_eq(pair_repl(p, 0, 1), REPL_WF_BITMAP_S);
}

static void is_as_it_was(struct pair *p)
{
	cr_assert_eq(pair_disk_tag(p, 1, 10 * BLOCK), 1);
	cr_assert_eq(pair_disk_tag(p, 1, 11 * BLOCK), 3);
	cr_assert_eq(pair_disk_tag(p, 1, 12 * BLOCK), 3 + BLOCK);
}

Test(save, nothing_is_overwritten_before_it_is_done)
{
	struct pair *p = split();

	begin(p);
	/* Of what either side has changed, all is marked by now. */
	cr_assert_eq(pair_out_of_sync(p, 1, 0), 3 * BLOCK);
	/* The winner is in use meanwhile, also where it will be overwritten. */
	cr_assert_eq(pair_write(p, 0, 10 * BLOCK, 3 * BLOCK, 4), 0);
	pair_pass_ms(p, 120000);
	is_as_it_was(p);
	pair_answer_save(p, 1, 0);
	cr_assert(pair_wait(p, 10000, pair_healthy), "%s", pair_describe(p));
	cr_assert(pair_same(p, 0, 1));
	cr_assert_eq(pair_disk_tag(p, 1, 12 * BLOCK), 4 + 2 * BLOCK);
	pair_free(p);
}

Test(save, a_failure_ends_it_before_anything_is_overwritten)
{
	struct pair *p = split();

	begin(p);
	pair_answer_save(p, 1, -ENOSPC);
	pair_pass_ms(p, 20000);
	is_as_it_was(p);
	cr_assert_eq(pair_conn(p, 1, 0), CONN_STANDALONE);
	cr_assert_eq(pair_conn(p, 0, 1), CONN_STANDALONE);
	cr_assert(strstr(pair_core(p, 1)->peer[0]->reason, "nothing was overwritten"));
	/* And without an order it is a split brain again. */
	cr_assert_eq(pair_peer_command(p, 1, CMD_CONNECT, 0), SS_SUCCESS);
	cr_assert_eq(pair_peer_command(p, 0, CMD_CONNECT, 1), SS_SUCCESS);
	pair_pass_ms(p, 20000);
	cr_assert_eq(pair_conn(p, 1, 0), CONN_STANDALONE, "%s", pair_describe(p));
	is_as_it_was(p);
	begin(p);
	pair_answer_save(p, 1, 0);
	cr_assert(pair_wait(p, 10000, pair_healthy), "%s", pair_describe(p));
	cr_assert(pair_same(p, 0, 1));
	pair_free(p);
}

Test(save, a_lost_connection_and_a_late_answer)
{
	struct pair *p = split();

	begin(p);
	pair_cut(p, 0, 1);
	pair_pass_ms(p, 1000);
	pair_answer_save(p, 1, 0);
	pair_heal(p, 0, 1);
	pair_pass_ms(p, 20000);
	/* The order was for that connection. */
	cr_assert_eq(pair_conn(p, 1, 0), CONN_STANDALONE, "%s", pair_describe(p));
	is_as_it_was(p);
	pair_free(p);
}

Test(save, the_disk_goes_away_only_when_it_is_done)
{
	struct pair *p = split();
	struct ev_command ev = { .cmd = CMD_DETACH };

	begin(p);
	(void)pair_submit_command(p, 1, &ev);
	pair_pass_ms(p, 1000);
	cr_assert_eq(pair_core(p, 1)->vol[0]->phase, VOL_ATTACHED);
	pair_answer_save(p, 1, 0);
	pair_pass_ms(p, 1000);
	cr_assert_eq(pair_disk(p, 1), DISK_DISKLESS, "%s", pair_describe(p));
	is_as_it_was(p);
	pair_free(p);
}

Test(save, of_another_volume_nothing_is_given_up)
{
	struct pair *p = split();
	struct ev_command ev = give_up();

	ev.one_volume = true;
	ev.vnr = 7;
	cr_assert_eq(pair_command(p, 1, &ev), SS_SUCCESS);
	cr_assert_eq(pair_peer_command(p, 0, CMD_CONNECT, 1), SS_SUCCESS);
	pair_pass_ms(p, 20000);
	cr_assert_eq(pair_conn(p, 1, 0), CONN_STANDALONE, "%s", pair_describe(p));
	is_as_it_was(p);
	pair_free(p);
}

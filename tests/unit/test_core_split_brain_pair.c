/* SPDX-License-Identifier: GPL-2.0-or-later */
/* call-pri-lost-after-sb with two nodes: the victim gives its role up, and follows; not while it is
 * in use. */
#include <criterion/criterion.h>
#include <string.h>

#include "core/core_int.h"
#include "core/state.h"
#include "../lib/core_pair.h"

#define BLOCK BM_BLOCK_SECTORS

static void tune(struct core_conf *conf)
{
	conf->peers[0].net.after_sb_0p = ASB_DISCARD_LEAST_CHANGES;
	conf->peers[0].net.after_sb_1p = ASB_CALL_PRI_LOST;
	conf->peers[0].net.after_sb_2p = ASB_CALL_PRI_LOST;
}

/* Both are Primary; 1 has changed less. */
static struct pair *split_with(void (*options)(struct core_conf *conf), bool open)
{
	struct pair *p = pair_new(&(struct pair_opts){ .no_auto_promote = true, .tune = options });
	struct ev_command ev = { .cmd = CMD_OPEN, .write = true };

	pair_up_to_date(p);
	cr_assert_eq(pair_simple(p, 0, CMD_PRIMARY), SS_SUCCESS);
	cr_assert_eq(pair_write(p, 0, 0, BLOCK, 1), 0);
	pair_cut(p, 0, 1);
	pair_run(p);
	cr_assert_eq(pair_write(p, 0, 0, 5 * BLOCK, 2), 0);
	cr_assert_eq(pair_command(p, 1, &(struct ev_command){ .cmd = CMD_PRIMARY, .force = true }),
		     SS_SUCCESS);
	cr_assert_eq(pair_write(p, 1, 2 * BLOCK, BLOCK, 3), 0);
	if (open)
		cr_assert_eq(pair_command(p, 1, &ev), 0, "%s", pair_text(p));
	pair_heal(p, 0, 1);
	return p;
}

static struct pair *split(bool open)
{
	return split_with(tune, open);
}

Test(split_brain_pair, the_victim_gives_its_role_up_and_follows)
{
	struct pair *p = split(false);

	cr_assert(pair_wait(p, 30000, pair_healthy), "%s", pair_describe(p));
	cr_assert_eq(pair_role(p, 0), ROLE_PRIMARY);
	cr_assert_eq(pair_role(p, 1), ROLE_SECONDARY);
	cr_assert(pair_same(p, 0, 1));
	cr_assert_eq(pair_disk_tag(p, 1, 2 * BLOCK), 2 + 2 * BLOCK);
	pair_free(p);
}

Test(split_brain_pair, not_while_it_is_in_use)
{
	struct pair *p = split(true);

	pair_pass_ms(p, 30000);
	cr_assert_eq(pair_conn(p, 1, 0), CONN_STANDALONE, "%s", pair_describe(p));
	cr_assert_eq(pair_conn(p, 0, 1), CONN_STANDALONE, "%s", pair_describe(p));
	cr_assert(strstr(pair_core(p, 1)->peer[0]->reason, "split brain"));
	cr_assert_eq(pair_role(p, 1), ROLE_PRIMARY);
	cr_assert_eq(pair_disk_tag(p, 1, 2 * BLOCK), 3);
	pair_free(p);
}

Test(split_brain_pair, with_one_primary_the_secondary_follows_at_once)
{
	struct pair *p = split(false);

	pair_cut(p, 0, 1);
	cr_assert_eq(pair_simple(p, 1, CMD_SECONDARY), SS_SUCCESS);
	pair_heal(p, 0, 1);
	cr_assert(pair_wait(p, 30000, pair_healthy), "%s", pair_describe(p));
	cr_assert_eq(pair_role(p, 0), ROLE_PRIMARY);
	cr_assert(pair_same(p, 0, 1));
	pair_free(p);
}

Test(split_brain_pair, a_promotion_without_good_data_names_what_helps)
{
	struct pair *p = split_with(NULL, false);

	pair_pass_ms(p, 30000);
	cr_assert_eq(pair_simple(p, 1, CMD_SECONDARY), SS_SUCCESS);
	state_begin(pair_core(p, 1))->vol[0].disk = DISK_OUTDATED;
	cr_assert_geq(state_end(pair_core(p, 1), STATE_HARD), SS_SUCCESS);
	cr_assert_eq(pair_simple(p, 1, CMD_PRIMARY), SS_NO_UP_TO_DATE_DISK);
	cr_assert(strstr(pair_text(p), "the local disk is Outdated, and"), "%s", pair_text(p));
	cr_assert(strstr(pair_text(p), "connect to it with --discard-my-data"), "%s", pair_text(p));
	cr_assert(strstr(pair_text(p), "as they are"), "%s", pair_text(p));
	pair_free(p);
}

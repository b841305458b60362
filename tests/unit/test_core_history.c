/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Every change of a state is told once, with its cause. */
#include <criterion/criterion.h>
#include <string.h>

#include "../lib/core_pair.h"

#define TOLD_MAX 4096

static struct state_change told[TOLD_MAX];
static unsigned told_count;

static void changed(void *ctx, const struct state_change *change)
{
	(void)ctx;
	cr_assert_lt(told_count, TOLD_MAX);
	told[told_count++] = *change;
}

/* Node 0 tells. */
static void tune(struct core_conf *conf)
{
	if (conf->node_id == 0)
		conf->changed = changed;
}

static struct pair *pair(void)
{
	struct pair *p = pair_new(&(struct pair_opts){ .tune = tune });

	pair_up_to_date(p);
	cr_assert(pair_wait(p, 10000, pair_healthy), "%s", pair_describe(p));
	return p;
}

/* The only change to this value since told_count was 0. */
static const struct state_change *find(enum change_what what, unsigned to)
{
	const struct state_change *found = NULL;

	for (unsigned i = 0; i < told_count; i++) {
		cr_assert_neq(told[i].from, told[i].to);
		if (told[i].what != what || told[i].to != to)
			continue;
		cr_assert_null(found, "told twice");
		found = &told[i];
	}
	cr_assert_not_null(found, "%d to %u was not told", (int)what, to);
	return found;
}

Test(history, commands_and_those_of_the_peer)
{
	struct pair *p = pair();
	const struct state_change *c;

	told_count = 0;
	cr_assert_eq(pair_simple(p, 0, CMD_PRIMARY), SS_SUCCESS);
	c = find(CHANGE_ROLE, ROLE_PRIMARY);
	cr_assert_eq(c->cause, CAUSE_COMMAND);
	cr_assert_str_eq(c->detail, "primary");
	cr_assert_eq(c->from, ROLE_SECONDARY);
	cr_assert_eq(pair_simple(p, 0, CMD_SECONDARY), SS_SUCCESS);
	told_count = 0;
	cr_assert_eq(pair_simple(p, 1, CMD_PRIMARY), SS_SUCCESS);
	c = find(CHANGE_PEER_ROLE, ROLE_PRIMARY);
	cr_assert_eq(c->cause, CAUSE_TWOPC);
	cr_assert_eq(c->cause_node, 1);
	cr_assert_eq(c->node, 1);
	pair_free(p);
}

Test(history, a_lost_connection)
{
	struct pair *p = pair();
	const struct state_change *c;

	told_count = 0;
	pair_cut(p, 0, 1);
	pair_run(p);
	c = find(CHANGE_CONNECTION, CONN_NETWORK_FAILURE);
	cr_assert_eq(c->cause, CAUSE_CONNECTION);
	cr_assert_eq(c->cause_node, 1);
	cr_assert_neq(c->reason[0], '\0');
	cr_assert_eq(find(CHANGE_PEER_DISK, DISK_UNKNOWN)->cause, CAUSE_CONNECTION);
	cr_assert_eq(find(CHANGE_REPLICATION, REPL_OFF)->from, REPL_ESTABLISHED);
	pair_free(p);
}

Test(history, a_disk_that_fails)
{
	struct pair *p = pair();
	const struct state_change *c;

	cr_assert_eq(pair_simple(p, 0, CMD_PRIMARY), SS_SUCCESS);
	told_count = 0;
	pair_break_disk(p, 0);
	cr_assert_eq(pair_write(p, 0, 0, 8, 1), 0, "%s", pair_describe(p));
	c = find(CHANGE_DISK, DISK_FAILED);
	cr_assert_eq(c->cause, CAUSE_DISK);
	cr_assert_neq(c->reason[0], '\0');
	cr_assert_eq(find(CHANGE_DISK, DISK_DISKLESS)->from, DISK_FAILED);
	pair_free(p);
}

Test(history, a_timer)
{
	struct pair *p = pair();

	told_count = 0;
	pair_hold(p, 1, 0, STREAM_CONTROL, true);
	pair_hold(p, 1, 0, STREAM_DATA, true);
	pair_pass_ms(p, 60000);
	cr_assert_gt(told_count, 0);
	cr_assert_eq(told[0].cause, CAUSE_TIMER);
	pair_free(p);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Two Primaries: who may be one, and writes of both to the same blocks. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/core_hooks.h"
#include "core/core_int.h"
#include "core/request.h"
#include "../lib/core_pair.h"

static void two(struct core_conf *conf)
{
	for (unsigned i = 0; i < conf->peer_count; i++)
		conf->peers[i].net.two_primaries = true;
}

static void not_two(struct core_conf *conf)
{
	for (unsigned i = 0; i < conf->peer_count; i++)
		conf->peers[i].net.two_primaries = false;
}

static struct pair *both_up(uint64_t seed)
{
	struct pair *p = pair_new(&(struct pair_opts){ .seed = seed, .tune = two });

	pair_up_to_date(p);
	return p;
}

static struct pair *both_primary(uint64_t seed)
{
	struct pair *p = both_up(seed);

	for (unsigned n = 0; n < 2; n++)
		cr_assert_eq(pair_simple(p, n, CMD_PRIMARY), SS_SUCCESS, "%s", pair_text(p));
	return p;
}

/* The one that has the last word. */
static unsigned decider(struct pair *p)
{
	return pair_core(p, 0)->peer[1]->resolve_conflicts ? 0 : 1;
}

static void all_equal(struct pair *p, const char *what)
{
	cr_assert(pair_run(p), "%s: %s", what, pair_describe(p));
	pair_pass_ms(p, 500);
	cr_assert_eq(pair_outstanding(p), 0, "%s: %s", what, pair_describe(p));
	cr_assert(pair_same(p, 0, 1), "%s: %s", what, pair_describe(p));
	cr_assert_eq(pair_out_of_sync(p, 0, 1), 0, "%s: %s", what, pair_describe(p));
	cr_assert_eq(pair_out_of_sync(p, 1, 0), 0, "%s: %s", what, pair_describe(p));
}

/* ---- roles ---- */

Test(two_primaries, only_when_the_connection_allows_it)
{
	struct pair *p = pair_new(&(struct pair_opts){ 0 });

	pair_up_to_date(p);
	cr_assert_eq(pair_simple(p, 0, CMD_PRIMARY), SS_SUCCESS);
	cr_assert_eq(pair_simple(p, 1, CMD_PRIMARY), SS_TWO_PRIMARIES);
	/* It is an option of both nodes, whoever sets it first. */
	pair_configure(p, 0, two);
	pair_run(p);
	cr_assert_eq(pair_simple(p, 1, CMD_PRIMARY), SS_SUCCESS, "%s", pair_text(p));
	cr_assert_eq(pair_role(p, 0), ROLE_PRIMARY);
	cr_assert_eq(pair_role(p, 1), ROLE_PRIMARY);
	pair_configure(p, 1, not_two);
	pair_run(p);
	cr_assert(pair_healthy(p), "%s", pair_describe(p));
	cr_assert_eq(pair_simple(p, 1, CMD_SECONDARY), SS_SUCCESS, "%s", pair_text(p));
	cr_assert_eq(pair_simple(p, 1, CMD_PRIMARY), SS_TWO_PRIMARIES);
	pair_free(p);
}

static void two_and_protocol_a(struct core_conf *conf)
{
	two(conf);
	conf->peers[0].net.protocol = PROTOCOL_A;
}

Test(two_primaries, needs_protocol_c)
{
	struct pair *p = pair_new(&(struct pair_opts){ .tune = two_and_protocol_a });

	pair_up_to_date(p);
	cr_assert_eq(pair_simple(p, 0, CMD_PRIMARY), SS_SUCCESS);
	cr_assert_eq(pair_simple(p, 1, CMD_PRIMARY), SS_TWO_PRIMARIES);
	cr_assert(strstr(pair_text(p), "protocol C"), "%s", pair_text(p));
	pair_free(p);
}

Test(two_primaries, not_with_a_third_node)
{
	struct pair *p = pair_new(&(struct pair_opts){ .nodes = 3, .tune = two });

	pair_up_to_date(p);
	cr_assert_eq(pair_simple(p, 0, CMD_PRIMARY), SS_SUCCESS);
	cr_assert_eq(pair_simple(p, 1, CMD_PRIMARY), SS_TWO_PRIMARIES);
	cr_assert(strstr(pair_text(p), "two nodes"), "%s", pair_text(p));
	pair_free(p);
}

Test(two_primaries, both_disks_have_to_be_good)
{
	struct pair *p = both_up(0);

	cr_assert_eq(pair_simple(p, 0, CMD_PRIMARY), SS_SUCCESS);
	cr_assert_geq(pair_simple(p, 1, CMD_DETACH), SS_SUCCESS, "%s", pair_text(p));
	cr_assert_eq(pair_simple(p, 1, CMD_PRIMARY), SS_TWO_PRIMARIES);
	cr_assert(strstr(pair_text(p), "both disks"), "%s", pair_text(p));
	pair_free(p);
}

Test(two_primaries, one_gives_its_role_up_and_the_other_goes_on)
{
	struct pair *p = both_primary(0);

	cr_assert_eq(pair_write(p, 0, 0, 8, 100), 0);
	cr_assert_eq(pair_write(p, 1, 8, 8, 200), 0);
	cr_assert_eq(pair_simple(p, 0, CMD_SECONDARY), SS_SUCCESS, "%s", pair_text(p));
	cr_assert_eq(pair_write(p, 0, 0, 8, 300), -EROFS);
	cr_assert_eq(pair_write(p, 1, 0, 8, 400), 0);
	all_equal(p, "after a demotion");
	cr_assert_eq(pair_disk_tag(p, 0, 0), 400);
	pair_free(p);
}

/* ---- crossing writes ---- */

struct shape {
	const char *name;
	uint64_t sector[2];
	uint32_t sectors[2];
};

static const struct shape shapes[] = {
	{ "equal", { 16, 16 }, { 8, 8 } },
	{ "0 inside 1", { 20, 16 }, { 2, 8 } },
	{ "1 inside 0", { 16, 20 }, { 8, 2 } },
	{ "0 begins first", { 16, 20 }, { 8, 8 } },
	{ "1 begins first", { 20, 16 }, { 8, 8 } },
	{ "apart", { 16, 32 }, { 8, 8 } },
	{ "over extents", { 8188, 8190 }, { 8, 8 } },
};

static const struct {
	unsigned from;
	enum stream stream;
} streams[4] = {
	{ 0, STREAM_DATA }, { 1, STREAM_DATA }, { 0, STREAM_CONTROL }, { 1, STREAM_CONTROL },
};

static void hold_all(struct pair *p, bool hold)
{
	for (unsigned i = 0; i < 4; i++)
		pair_hold(p, streams[i].from, 1 - streams[i].from, streams[i].stream, hold);
}

static void release(struct pair *p, unsigned i)
{
	pair_hold(p, streams[i].from, 1 - streams[i].from, streams[i].stream, false);
	pair_run(p);
}

/* The n-th order of four. */
static void order_of(unsigned n, unsigned order[4])
{
	unsigned left[4] = { 0, 1, 2, 3 }, count = 4;

	for (unsigned i = 0; i < 4; i++) {
		unsigned k = n % count;

		n /= count;
		order[i] = left[k];
		for (unsigned j = k; j + 1 < count; j++)
			left[j] = left[j + 1];
		count--;
	}
}

Test(two_primaries, crossing_writes_in_every_order_of_the_streams)
{
	for (unsigned s = 0; s < ARRAY_LEN(shapes); s++) {
		for (unsigned n = 0; n < 24; n++) {
			struct pair *p = both_primary(0);
			const struct shape *shape = &shapes[s];
			unsigned order[4];
			char what[100];

			order_of(n, order);
			snprintf(what, sizeof(what), "%s, %u%u%u%u", shape->name, order[0],
				 order[1], order[2], order[3]);
			hold_all(p, true);
			for (unsigned i = 0; i < 2; i++)
				pair_submit_write(p, i, shape->sector[i], shape->sectors[i],
						  1000 + 1000 * i);
			pair_run(p);
			for (unsigned i = 0; i < 4; i++)
				release(p, order[i]);
			all_equal(p, what);
			cr_assert(pair_healthy(p), "%s: %s", what, pair_describe(p));
			pair_free(p);
		}
	}
}

Test(two_primaries, what_is_covered_is_superseded)
{
	struct pair *p = both_primary(0);
	unsigned r = decider(p), n = 1 - r;

	hold_all(p, true);
	pair_submit_write(p, r, 16, 8, 1000);
	pair_submit_write(p, n, 18, 2, 2000);
	pair_run(p);
	hold_all(p, false);
	all_equal(p, "superseded");
	cr_assert_eq(pair_sent(p, r, n, P_SUPERSEDED), 1);
	cr_assert_eq(pair_sent(p, r, n, P_RETRY_WRITE), 0);
	cr_assert_eq(pair_disk_tag(p, 0, 18), 1002);
	pair_free(p);
}

Test(two_primaries, what_is_not_covered_comes_once_more)
{
	struct pair *p = both_primary(0);
	unsigned r = decider(p), n = 1 - r;

	hold_all(p, true);
	pair_submit_write(p, r, 16, 8, 1000);
	pair_submit_write(p, n, 20, 8, 2000);
	pair_run(p);
	hold_all(p, false);
	all_equal(p, "once more");
	cr_assert_eq(pair_sent(p, r, n, P_RETRY_WRITE), 1);
	cr_assert_eq(pair_sent(p, r, n, P_SUPERSEDED), 0);
	cr_assert_eq(pair_disk_tag(p, 0, 16), 1000);
	cr_assert_eq(pair_disk_tag(p, 0, 20), 2000);
	pair_free(p);
}

/* It was written after the other one had come, so it is the last; its data are faster than the
 * ack that says so. */
Test(two_primaries, a_write_that_overtakes_an_ack_waits_for_it)
{
	struct pair *p = both_primary(0);
	unsigned r = decider(p), n = 1 - r;

	pair_hold(p, n, r, STREAM_CONTROL, true);
	pair_submit_write(p, r, 16, 8, 1000);
	pair_run(p);
	cr_assert_eq(pair_disk_tag(p, n, 16), 1000);
	pair_submit_write(p, n, 16, 8, 2000);
	pair_run(p);
	cr_assert_eq(pair_disk_tag(p, r, 16), 1000);
	pair_hold(p, n, r, STREAM_CONTROL, false);
	all_equal(p, "overtaken");
	cr_assert_eq(pair_disk_tag(p, r, 16), 2000);
	cr_assert_eq(pair_sent(p, r, n, P_SUPERSEDED) + pair_sent(p, r, n, P_RETRY_WRITE), 0);
	pair_free(p);
}

Test(two_primaries, acks_that_do_not_come_end_the_connection)
{
	struct pair *p = both_primary(0);
	unsigned r = decider(p), n = 1 - r;

	pair_hold(p, n, r, STREAM_CONTROL, true);
	pair_submit_write(p, r, 16, 8, 1000);
	pair_run(p);
	pair_submit_write(p, n, 16, 8, 2000);
	pair_run(p);
	pair_pass_ms(p, 600);
	cr_assert_neq(pair_conn(p, r, n), CONN_CONNECTED, "%s", pair_describe(p));
	cr_assert_gt(pair_out_of_sync(p, r, n), 0, "%s", pair_describe(p));
	pair_free(p);
}

/* A kernel: it does not know these answers. */
Test(two_primaries, a_peer_that_cannot_give_way_is_disconnected)
{
	struct pair *p = both_primary(0);
	unsigned r = decider(p), n = 1 - r;

	pair_core(p, r)->peer[n]->gives_way = false;
	pair_hold(p, r, n, STREAM_DATA, true);
	pair_submit_write(p, r, 16, 8, 1000);
	pair_submit_write(p, n, 20, 8, 2000);
	pair_run(p);
	cr_assert_neq(pair_conn(p, r, n), CONN_CONNECTED, "%s", pair_describe(p));
	pair_cut(p, 0, 1);
	pair_hold(p, r, n, STREAM_DATA, false);
	pair_pass_ms(p, 100);
	cr_assert_eq(pair_outstanding(p), 0, "%s", pair_describe(p));
	cr_assert_gt(pair_out_of_sync(p, r, n), 0, "%s", pair_describe(p));
	cr_assert_gt(pair_out_of_sync(p, n, r), 0, "%s", pair_describe(p));
	cr_assert_eq(pair_sent(p, r, n, P_RETRY_WRITE), 0);
	pair_free(p);
}

Test(two_primaries, many_writes_of_both_in_random_order)
{
	for (uint64_t seed = 1; seed <= 300; seed++) {
		struct pair *p = both_primary(seed);
		char what[40];

		snprintf(what, sizeof(what), "seed %d", (int)seed);
		for (unsigned i = 0; i < 40; i++) {
			uint64_t z = seed * 7919 + i * UINT64_C(2654435761);

			pair_submit_write(p, i & 1, 16 + z / 7 % 12, 1 + (uint32_t)(z / 5 % 9),
					  10000 * (i + 1));
			if (z % 3 == 0)
				pair_run(p);
		}
		all_equal(p, what);
		cr_assert(pair_healthy(p), "%s: %s", what, pair_describe(p));
		pair_free(p);
	}
}

/* ---- losses ---- */

/* Between the refusal and the second try: the nodes differ, and that is marked. */
Test(two_primaries, a_connection_lost_before_the_second_try_leaves_marks)
{
	struct pair *p = both_primary(0);
	unsigned r = decider(p), n = 1 - r;

	hold_all(p, true);
	pair_submit_write(p, r, 16, 8, 1000);
	pair_submit_write(p, n, 20, 16, 2000);
	pair_run(p);
	pair_hold(p, n, r, STREAM_DATA, false);
	pair_run(p);
	pair_hold(p, r, n, STREAM_CONTROL, false);
	pair_run(p);
	cr_assert_eq(pair_sent(p, r, n, P_RETRY_WRITE), 1);
	pair_cut(p, 0, 1);
	hold_all(p, false);
	pair_pass_ms(p, 1000);
	cr_assert_eq(pair_outstanding(p), 0, "%s", pair_describe(p));
	/* Blocks of 8 sectors. */
	cr_assert_geq(pair_out_of_sync(p, n, r), 3, "%s", pair_describe(p));
	cr_assert_geq(pair_out_of_sync(p, r, n), 1, "%s", pair_describe(p));
	pair_heal(p, 0, 1);
	pair_pass_ms(p, 30000);
	for (unsigned i = 0; i < 2; i++)
		cr_assert_eq(pair_conn(p, i, 1 - i), CONN_STANDALONE, "%s", pair_describe(p));
	pair_free(p);
}

/* The peer's write is one that nobody was told of yet; of ours the application is told now. */
Test(two_primaries, what_came_from_a_lost_peer_does_not_go_over_what_is_answered)
{
	struct pair *p = both_primary(0);
	unsigned r = decider(p), n = 1 - r;

	pair_hold(p, n, r, STREAM_DATA, true);
	pair_submit_write(p, n, 16, 8, 2000);
	pair_submit_write(p, r, 18, 8, 1000);
	pair_run(p);
	pair_cut(p, 0, 1);
	pair_hold(p, n, r, STREAM_DATA, false);
	pair_pass_ms(p, 1000);
	cr_assert_eq(pair_outstanding(p), 0, "%s", pair_describe(p));
	cr_assert_eq(pair_disk_tag(p, n, 18), 2002);
	cr_assert_geq(pair_out_of_sync(p, n, r), 2, "%s", pair_describe(p));
	pair_free(p);
}

Test(two_primaries, a_connection_lost_while_nothing_is_written_comes_back)
{
	struct pair *p = both_primary(0);

	cr_assert_eq(pair_write(p, 0, 0, 8, 100), 0);
	pair_pass_ms(p, 500);
	pair_cut(p, 0, 1);
	pair_pass_ms(p, 1000);
	pair_heal(p, 0, 1);
	pair_pass_ms(p, 30000);
	cr_assert(pair_healthy(p), "%s", pair_describe(p));
	cr_assert_eq(pair_role(p, 0), ROLE_PRIMARY);
	cr_assert_eq(pair_role(p, 1), ROLE_PRIMARY);
	cr_assert_eq(pair_write(p, 1, 0, 8, 200), 0);
	cr_assert_eq(pair_write(p, 0, 8, 8, 300), 0);
	all_equal(p, "after a reconnect");
	pair_free(p);
}

Test(two_primaries, one_crashes_and_is_resynced)
{
	struct pair *p = both_primary(0);

	cr_assert_eq(pair_write(p, 0, 0, 8, 100), 0);
	cr_assert_eq(pair_write(p, 1, 8, 8, 200), 0);
	pair_crash(p, 1);
	pair_pass_ms(p, 1000);
	cr_assert_eq(pair_write(p, 0, 16, 8, 300), 0);
	pair_restart(p, 1);
	pair_pass_ms(p, 30000);
	all_equal(p, "restarted");
	cr_assert(pair_healthy(p), "%s", pair_describe(p));
	cr_assert_eq(pair_simple(p, 1, CMD_PRIMARY), SS_SUCCESS, "%s", pair_text(p));
	pair_free(p);
}

/* The one with the disk makes the new generation; the other one goes on with that. */
Test(two_primaries, either_may_lose_its_disk)
{
	for (unsigned n = 0; n < 2; n++) {
		struct pair *p = both_primary(0);
		uint64_t tag;

		cr_assert_eq(pair_write(p, 0, 0, 8, 100), 0);
		pair_break_disk(p, n);
		cr_assert_eq(pair_write(p, n, 8, 8, 200), 0, "%s", pair_describe(p));
		cr_assert_lt(pair_disk(p, n), DISK_INCONSISTENT, "%s", pair_describe(p));
		cr_assert_eq(pair_write(p, 1 - n, 16, 8, 300), 0, "%s", pair_describe(p));
		cr_assert_eq(pair_write(p, n, 16, 8, 400), 0, "%s", pair_describe(p));
		cr_assert_eq(pair_read(p, n, 16, 1, &tag), 0, "%s", pair_describe(p));
		cr_assert_eq(tag, 400);
		cr_assert_eq(pair_disk_tag(p, 1 - n, 8), 200);
		pair_free(p);
	}
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Thin resync: what is all zero travels as a word, in blocks of one size, and becomes a hole. */
#include <criterion/criterion.h>
#include <string.h>

#include "core/core_hooks.h"
#include "core/core_int.h"
#include "../lib/core_pair_int.h"

#define THIN_SECTORS 128U /* 64 KiB */

static void tune(struct core_conf *conf)
{
	conf->volumes[0].disk.rs_discard_bytes = THIN_SECTORS * SECTOR_BYTES;
}

/* Both full of something in the first 4 blocks of 64 KiB. */
static struct pair *start(unsigned nodes)
{
	struct pair *p = pair_new(&(struct pair_opts){ .nodes = nodes, .tune = tune });

	pair_up_to_date(p);
	cr_assert_geq(pair_simple(p, 0, CMD_PRIMARY), SS_SUCCESS);
	cr_assert_eq(pair_write(p, 0, 0, 4 * THIN_SECTORS, 7), 0);
	cr_assert_eq(pair_flush(p, 0), 0);
	pair_pass_ms(p, 1000);
	return p;
}

/* Node 0 writes what turns out to be zeroes. */
static void zero(struct pair *p, uint64_t sector, uint32_t sectors)
{
	cr_assert_eq(pair_write(p, 0, sector, sectors, 1), 0);
	memset(p->node[0].store.tags + sector, 0, sectors * sizeof(uint64_t));
}

static void part(struct pair *p)
{
	pair_cut(p, 0, 1);
	pair_pass_ms(p, 1000);
}

static void expect_healthy(struct pair *p, unsigned nodes)
{
	cr_assert(pair_wait(p, 60000, pair_healthy), "%s", pair_describe(p));
	for (unsigned i = 1; i < nodes; i++)
		cr_assert(pair_same(p, 0, i), "disks 0 and %u differ", i);
}

static uint64_t received(struct pair *p)
{
	return pair_core(p, 1)->peer[0]->pd[0].received_sectors;
}

Test(thin, zeroes_do_not_travel)
{
	struct pair *p = start(2);
	uint64_t before;

	part(p);
	zero(p, 0, 3 * THIN_SECTORS);
	cr_assert_eq(pair_write(p, 0, THIN_SECTORS + 8, 8, 9), 0);
	before = received(p);
	pair_heal(p, 0, 1);
	expect_healthy(p, 2);
	cr_assert_eq(pair_sent(p, 1, 0, P_RS_THIN_DAGTAG_REQ), 3);
	cr_assert_eq(pair_sent(p, 0, 1, P_RS_DEALLOCATED_ID), 2);
	cr_assert_eq(received(p) - before, THIN_SECTORS);
	cr_assert_eq(pair_disk_tag(p, 1, 0), 0);
	cr_assert_eq(pair_disk_tag(p, 1, THIN_SECTORS + 8), 9);
	pair_free(p);
}

Test(thin, smaller_blocks_travel)
{
	struct pair *p = start(2);

	part(p);
	zero(p, 0, 64);
	pair_heal(p, 0, 1);
	expect_healthy(p, 2);
	cr_assert_eq(pair_sent(p, 1, 0, P_RS_THIN_DAGTAG_REQ), 0);
	cr_assert_eq(pair_sent(p, 1, 0, P_RS_DAGTAG_REQ), 1);
	pair_free(p);
}

Test(thin, a_write_meanwhile_counts)
{
	struct pair *p = start(2);

	part(p);
	zero(p, 0, THIN_SECTORS);
	pair_hold(p, 0, 1, STREAM_DATA, true);
	pair_heal(p, 0, 1);
	pair_hold(p, 0, 1, STREAM_DATA, false);
	for (unsigned i = 0; i < 200 && !pair_sent(p, 1, 0, P_RS_THIN_DAGTAG_REQ); i++)
		pair_pass_ms(p, 10);
	pair_hold(p, 0, 1, STREAM_DATA, true);
	pair_submit_write(p, 0, 16, 8, 5);
	pair_pass_ms(p, 100);
	pair_hold(p, 0, 1, STREAM_DATA, false);
	expect_healthy(p, 2);
	cr_assert_eq(pair_disk_tag(p, 1, 16), 5);
	pair_free(p);
}

Test(thin, third_nodes_are_marked)
{
	struct pair *p = start(3);

	pair_cut(p, 0, 1);
	pair_cut(p, 0, 2);
	pair_cut(p, 1, 2);
	pair_pass_ms(p, 1000);
	zero(p, 0, 2 * THIN_SECTORS);
	pair_heal(p, 0, 1);
	cr_assert(pair_wait(p, 60000, pair_healthy) || pair_disk(p, 1) == DISK_UP_TO_DATE, "%s",
		  pair_describe(p));
	cr_assert_eq(pair_sent(p, 0, 1, P_RS_DEALLOCATED_ID), 2);
	cr_assert_eq(pair_out_of_sync(p, 1, 2), 2 * THIN_SECTORS);
	pair_heal(p, 0, 2);
	pair_heal(p, 1, 2);
	expect_healthy(p, 3);
	pair_free(p);
}

Test(thin, before_122_the_word_has_no_id)
{
	struct pair *p = start(2);

	part(p);
	zero(p, 0, THIN_SECTORS);
	pair_heal(p, 0, 1);
	for (unsigned i = 0; i < 200 && pair_conn(p, 1, 0) != CONN_CONNECTED; i++)
		pair_pass_ms(p, 10);
	pair_core(p, 0)->peer[1]->apv = pair_core(p, 1)->peer[0]->apv = 120;
	expect_healthy(p, 2);
	cr_assert_eq(pair_sent(p, 0, 1, P_RS_DEALLOCATED) +
		     pair_sent(p, 0, 1, P_RS_DEALLOCATED_ID), 1);
	pair_free(p);
}

Test(thin, nobody_may_say_it_unasked)
{
	struct pair *p = start(2);
	struct pkt pkt = { .type = P_RS_DEALLOCATED_ID };

	pkt.u.block.bytes = 4096;
	pair_inject(p, 0, 1, STREAM_DATA, &pkt);
	cr_assert(pair_run(p));
	cr_assert_neq(pair_conn(p, 1, 0), CONN_CONNECTED, "%s", pair_describe(p));
	pair_free(p);
}

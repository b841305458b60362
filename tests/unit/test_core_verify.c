/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Online verify and checksum-based resync between whole cores. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "core/core_hooks.h"
#include "core/core_int.h"
#include "../lib/core_pair_int.h"

#define BLOCKS (PAIR_SECTORS / BM_BLOCK_SECTORS)

static void verifies(struct core_conf *conf)
{
	for (unsigned i = 0; i < conf->peer_count; i++)
		strcpy(conf->peers[i].net.verify_alg, "crc32c");
}

/* So that something can happen meanwhile. */
static void verifies_slowly(struct core_conf *conf)
{
	verifies(conf);
	conf->volumes[0].disk.c_max_rate_kib = 8192;
}

static void by_checksum(struct core_conf *conf)
{
	verifies(conf);
	for (unsigned i = 0; i < conf->peer_count; i++)
		strcpy(conf->peers[i].net.csums_alg, "crc32c");
}

static void by_checksum_after_crash(struct core_conf *conf)
{
	by_checksum(conf);
	for (unsigned i = 0; i < conf->peer_count; i++)
		conf->peers[i].net.csums_after_crash_only = true;
}

static struct pair *start(unsigned nodes, void (*tune)(struct core_conf *conf))
{
	struct pair *p = pair_new(&(struct pair_opts){ .nodes = nodes, .tune = tune });

	pair_up_to_date(p);
	cr_assert(pair_healthy(p), "%s", pair_describe(p));
	cr_assert_geq(pair_simple(p, 0, CMD_PRIMARY), SS_SUCCESS);
	return p;
}

/* Behind the node's back. */
static void change(struct pair *p, unsigned node, uint64_t block)
{
	p->node[node].store.tags[block * BM_BLOCK_SECTORS + 3] ^= 0xbad;
}

static int verify(struct pair *p, unsigned node, unsigned peer, uint64_t first, uint64_t stop)
{
	return pair_command(p, node, &(struct ev_command){ .cmd = CMD_VERIFY,
							   .peer = (uint8_t)peer,
							   .has_start = true,
							   .start_sector = first * 8,
							   .stop_sector = stop * 8 });
}

static bool is_over(struct pair *p)
{
	return pair_repl(p, 0, 1) == REPL_ESTABLISHED && pair_repl(p, 1, 0) == REPL_ESTABLISHED;
}

static void verified(struct pair *p)
{
	cr_assert(pair_wait(p, 600000, is_over), "%s", pair_describe(p));
}

static const struct verify *state_of(struct pair *p, unsigned node, unsigned peer)
{
	return &pair_core(p, node)->peer[peer]->pd[0].ov;
}

static void expect_same(struct pair *p)
{
	cr_assert(pair_wait(p, 60000, pair_healthy), "%s", pair_describe(p));
	cr_assert(pair_same(p, 0, 1));
}

Test(verify, what_differs_is_marked_and_nothing_else)
{
	struct pair *p = start(2, verifies);

	change(p, 1, 10);
	change(p, 1, 100);
	change(p, 1, BLOCKS - 1);
	cr_assert_geq(verify(p, 0, 1, 0, 0), SS_SUCCESS, "%s", pair_text(p));
	cr_assert_eq(pair_repl(p, 0, 1), REPL_VERIFY_S);
	cr_assert_eq(pair_repl(p, 1, 0), REPL_VERIFY_T);
	verified(p);
	cr_assert_eq(pair_sent(p, 0, 1, P_OV_DAGTAG_REQ), BLOCKS);
	for (unsigned node = 0; node < 2; node++) {
		struct volume *vol = pair_core(p, node)->vol[0];

		cr_assert_eq(pair_out_of_sync(p, node, 1 - node), 24);
		cr_assert(bitmap_test(vol, SLOTS_ALL, 10 * 8, 8));
		cr_assert(bitmap_test(vol, SLOTS_ALL, 100 * 8, 8));
		cr_assert(bitmap_test(vol, SLOTS_ALL, (BLOCKS - 1) * 8, 8));
		cr_assert_eq(state_of(p, node, 1 - node)->found_bits, 3);
	}
	pair_free(p);
}

/* As many as a DRBD kernel with the default max-buffers has under way. */
Test(verify, many_small_requests_are_served)
{
	struct pair *p = start(2, verifies);
	unsigned count = 2048;

	pair_hold(p, 1, 0, STREAM_DATA, true);
	for (unsigned i = 0; i < count; i++) {
		struct pkt pkt = { .type = P_OV_DAGTAG_REQ, .vnr = 0 };

		pkt.u.block.sector = i * (uint64_t)BM_BLOCK_SECTORS;
		pkt.u.block.bytes = BM_BLOCK_BYTES;
		pkt.u.block.block_id = i;
		pkt.u.block.dagtag_node = NODES_MAX;
		pair_inject(p, 0, 1, STREAM_DATA, &pkt);
	}
	pair_run(p);
	cr_assert_eq(pair_sent(p, 1, 0, P_RS_CANCEL), 0);
	cr_assert_eq(pair_sent(p, 1, 0, P_OV_DAGTAG_REPLY), count);
	pair_free(p);
}

/* Nobody but the operator knows which side is right. */
Test(verify, what_was_found_stays_until_a_resync_is_asked_for)
{
	struct pair *p = start(2, verifies);

	change(p, 1, 10);
	cr_assert_geq(verify(p, 0, 1, 0, 0), SS_SUCCESS);
	verified(p);
	pair_pass_ms(p, 120000);
	cr_assert_eq(pair_out_of_sync(p, 0, 1), 8);
	cr_assert_eq(pair_out_of_sync(p, 1, 0), 8);
	cr_assert_geq(pair_command(p, 1, &(struct ev_command){ .cmd = CMD_INVALIDATE,
							       .keep_bitmap = true }),
		      SS_SUCCESS, "%s", pair_text(p));
	expect_same(p);
	cr_assert_eq(pair_core(p, 1)->peer[0]->pd[0].received_sectors, 8);
	pair_free(p);
}

/* Else it would keep back the resync that is due without it. */
Test(verify, what_was_marked_before_is_resynced_all_the_same)
{
	struct pair *p = start(2, verifies);

	change(p, 1, 10);
	for (unsigned node = 0; node < 2; node++)
		bitmap_set(pair_core(p, node), pair_core(p, node)->vol[0], SLOTS_ALL, 10 * 8, 8);
	cr_assert_geq(verify(p, 0, 1, 0, 0), SS_SUCCESS, "%s", pair_text(p));
	verified(p);
	cr_assert_eq(state_of(p, 0, 1)->found_bits, 1);
	cr_assert_not(state_of(p, 0, 1)->found);
	expect_same(p);
	pair_free(p);
}

/* The other side has been told how many they are. */
Test(verify, what_one_side_has_marked_before_is_resynced_all_the_same)
{
	for (unsigned node = 0; node < 2; node++) {
		struct pair *p = start(2, verifies);
		struct core *core = pair_core(p, node);

		change(p, 1, 10);
		bitmap_set(core, core->vol[0], SLOTS_ALL, 10 * 8, 8);
		pair_core(p, 1 - node)->peer[node]->pd[0].uuids.dirty_bits = 1;
		cr_assert_geq(verify(p, 0, 1, 0, 0), SS_SUCCESS, "%s", pair_text(p));
		verified(p);
		cr_assert_eq(state_of(p, 0, 1)->found_bits, 1);
		expect_same(p);
		pair_free(p);
	}
}

/* Of what is marked there the number is known: what is more is for the operator. */
Test(verify, what_is_more_than_one_side_has_marked_is_found)
{
	struct pair *p = start(2, verifies);

	change(p, 1, 10);
	change(p, 1, 20);
	pair_core(p, 0)->peer[1]->pd[0].uuids.dirty_bits = 1;
	cr_assert_geq(verify(p, 0, 1, 0, 0), SS_SUCCESS, "%s", pair_text(p));
	verified(p);
	cr_assert_eq(state_of(p, 0, 1)->found_bits, 2);
	cr_assert(pair_core(p, 0)->peer[1]->pd[0].ov.found);
	pair_free(p);
}

static int verify_and_repair(struct pair *p, unsigned node, unsigned peer)
{
	return pair_command(p, node, &(struct ev_command){ .cmd = CMD_VERIFY,
							   .peer = (uint8_t)peer,
							   .has_start = true, .repair = true });
}

Test(verify, a_repair_resyncs_what_was_found_from_here)
{
	struct pair *p = start(2, verifies_slowly);

	/* Nothing differs: nothing follows. */
	cr_assert_geq(verify_and_repair(p, 0, 1), SS_SUCCESS, "%s", pair_text(p));
	verified(p);
	cr_assert_eq(pair_sent(p, 0, 1, P_RS_DATA_REPLY), 0);
	change(p, 1, 10);
	change(p, 1, 500);
	cr_assert_geq(verify_and_repair(p, 0, 1), SS_SUCCESS, "%s", pair_text(p));
	expect_same(p);
	cr_assert_eq(pair_disk_tag(p, 1, 10 * 8 + 3), 0);
	cr_assert_eq(pair_core(p, 1)->peer[0]->pd[0].received_sectors, 16);
	cr_assert_not(state_of(p, 0, 1)->found);
	/* The next one is asked for it again. */
	change(p, 1, 10);
	cr_assert_geq(verify(p, 0, 1, 0, 0), SS_SUCCESS);
	verified(p);
	pair_pass_ms(p, 60000);
	cr_assert_eq(pair_out_of_sync(p, 0, 1), 8);
	pair_free(p);
}

/* What the Primary has shown is not replaced, whenever it became one. */
Test(verify, a_primary_is_not_repaired)
{
	struct pair *p = start(2, verifies_slowly);

	change(p, 0, 10);
	cr_assert_eq(verify_and_repair(p, 1, 0), SS_TWO_PRIMARIES);
	cr_assert(strstr(pair_text(p), "is Primary"), "%s", pair_text(p));
	cr_assert_eq(pair_repl(p, 1, 0), REPL_ESTABLISHED);
	cr_assert_geq(pair_simple(p, 0, CMD_SECONDARY), SS_SUCCESS);
	cr_assert_geq(verify_and_repair(p, 1, 0), SS_SUCCESS, "%s", pair_text(p));
	cr_assert_geq(pair_simple(p, 0, CMD_PRIMARY), SS_SUCCESS, "%s", pair_text(p));
	verified(p);
	pair_pass_ms(p, 60000);
	cr_assert_eq(pair_out_of_sync(p, 1, 0), 8, "it stays marked");
	cr_assert_eq(pair_disk_tag(p, 0, 10 * 8 + 3), 0xbad);
	pair_free(p);
}

Test(verify, one_that_is_ended_repairs_nothing)
{
	struct pair *p = start(2, verifies_slowly);

	change(p, 1, 10);
	cr_assert_geq(verify_and_repair(p, 0, 1), SS_SUCCESS);
	pair_pass_ms(p, 500);
	cr_assert_eq(pair_repl(p, 0, 1), REPL_VERIFY_S);
	cr_assert_geq(pair_command(p, 0, &(struct ev_command){ .cmd = CMD_VERIFY, .peer = 1,
							       .abort = true }), SS_SUCCESS);
	pair_pass_ms(p, 60000);
	cr_assert_eq(pair_out_of_sync(p, 0, 1), 8);
	pair_free(p);
}

Test(verify, a_reconnect_repairs_from_the_primary)
{
	struct pair *p = start(2, verifies);

	/* Had the Secondary the lower node id, that would decide. */
	cr_assert_geq(pair_simple(p, 0, CMD_SECONDARY), SS_SUCCESS);
	cr_assert_geq(pair_simple(p, 1, CMD_PRIMARY), SS_SUCCESS);
	change(p, 0, 10);
	cr_assert_geq(verify(p, 0, 1, 0, 0), SS_SUCCESS);
	verified(p);
	cr_assert_geq(pair_peer_command(p, 0, CMD_DISCONNECT, 1), SS_SUCCESS);
	cr_assert_geq(pair_peer_command(p, 0, CMD_CONNECT, 1), SS_SUCCESS);
	expect_same(p);
	cr_assert_eq(pair_disk_tag(p, 0, 10 * 8 + 3), 0);
	pair_free(p);
}

/* The source has the write, the digest that is under way was made without it. */
Test(verify, a_write_between_request_and_comparison_is_no_difference)
{
	struct pair *p = start(2, verifies);

	pair_hold(p, 1, 0, STREAM_DATA, true);
	cr_assert_geq(verify(p, 0, 1, 0, 64), SS_SUCCESS);
	for (unsigned i = 0; i < 64; i++)
		cr_assert_eq(pair_write(p, 0, i * 8, 8, 1000 + i), 0);
	pair_hold(p, 1, 0, STREAM_DATA, false);
	verified(p);
	cr_assert_eq(pair_out_of_sync(p, 0, 1), 0);
	cr_assert_eq(pair_out_of_sync(p, 1, 0), 0);
	cr_assert_eq(state_of(p, 0, 1)->skipped_bits, 0, "asked again when no write is on its way");
	pair_free(p);
}

/* The request is behind the write on the data stream, the write is not at the disk yet. */
Test(verify, the_target_reads_behind_what_was_sent_before)
{
	struct pair *p = start(2, verifies);

	pair_hold(p, 0, 1, STREAM_DATA, true);
	for (unsigned i = 0; i < 8; i++)
		pair_submit_write(p, 0, i * 8, 8, 2000 + i);
	cr_assert_geq(pair_submit_command(p, 0, &(struct ev_command){ .cmd = CMD_VERIFY,
								      .peer = 1,
								      .has_start = true }), 0);
	cr_assert(pair_run(p));
	pair_hold(p, 0, 1, STREAM_DATA, false);
	verified(p);
	cr_assert_eq(pair_out_of_sync(p, 0, 1), 0);
	cr_assert_eq(pair_out_of_sync(p, 1, 0), 0);
	pair_free(p);
}

Test(verify, writes_of_the_target_as_primary_are_no_difference)
{
	struct pair *p = start(2, verifies);

	/* What it sends comes to the source before its digest, or makes it read again. */
	cr_assert_geq(verify(p, 1, 0, 0, 64), SS_SUCCESS);
	for (unsigned i = 0; i < 200; i++)
		pair_submit_write(p, 0, i % 64 * 8 + i % 3, 8, 3000 + i);
	verified(p);
	cr_assert_eq(pair_out_of_sync(p, 0, 1), 0);
	cr_assert_eq(pair_out_of_sync(p, 1, 0), 0);
	pair_free(p);
}

Test(verify, random_orders_of_delivery_give_no_false_difference)
{
	for (uint64_t seed = 1; seed <= 40; seed++) {
		struct pair *p = pair_new(&(struct pair_opts){ .nodes = 3, .tune = verifies,
							       .seed = seed });

		pair_up_to_date(p);
		cr_assert_geq(pair_simple(p, 2, CMD_PRIMARY), SS_SUCCESS);
		change(p, 1, 20);
		cr_assert_geq(verify(p, 0, 1, 0, 48), SS_SUCCESS);
		for (unsigned i = 0; i < 60; i++)
			pair_submit_write(p, 2, i % 12 * 8 + i % 5, 9, 4000 + i);
		verified(p);
		cr_assert_eq(pair_out_of_sync(p, 0, 1), 8, "seed %u", (unsigned)seed);
		cr_assert_eq(pair_out_of_sync(p, 1, 0), 8, "seed %u", (unsigned)seed);
		pair_free(p);
	}
}

Test(verify, only_the_range_that_was_asked_for)
{
	struct pair *p = start(2, verifies);

	change(p, 1, 10);
	change(p, 1, 20);
	change(p, 1, 30);
	cr_assert_geq(verify(p, 0, 1, 15, 25), SS_SUCCESS);
	verified(p);
	cr_assert_eq(pair_sent(p, 0, 1, P_OV_DAGTAG_REQ), 10);
	cr_assert_eq(pair_out_of_sync(p, 0, 1), 8);
	/* The next one goes on there. */
	cr_assert_geq(pair_peer_command(p, 0, CMD_VERIFY, 1), SS_SUCCESS);
	verified(p);
	cr_assert_eq(pair_sent(p, 0, 1, P_OV_DAGTAG_REQ), 10 + BLOCKS - 25);
	cr_assert_eq(pair_out_of_sync(p, 0, 1), 16);
	pair_free(p);
}

Test(verify, goes_on_where_a_lost_connection_ended_it)
{
	struct pair *p = start(2, verifies_slowly);
	uint64_t reached;

	cr_assert_geq(verify(p, 0, 1, 0, 0), SS_SUCCESS);
	pair_pass_ms(p, 300);
	pair_cut(p, 0, 1);
	pair_pass_ms(p, 1000);
	reached = state_of(p, 0, 1)->next_bit;
	cr_assert(reached > 0 && reached < BLOCKS, "%llu", (unsigned long long)reached);
	pair_heal(p, 0, 1);
	cr_assert(pair_wait(p, 60000, pair_healthy), "%s", pair_describe(p));
	cr_assert_geq(pair_peer_command(p, 0, CMD_VERIFY, 1), SS_SUCCESS);
	cr_assert_eq(state_of(p, 0, 1)->start_bit, reached);
	verified(p);
	cr_assert_eq(state_of(p, 0, 1)->next_bit, 0);
	pair_free(p);
}

Test(verify, ends_on_request)
{
	struct pair *p = start(2, verifies_slowly);

	cr_assert_geq(verify(p, 0, 1, 0, 0), SS_SUCCESS);
	pair_pass_ms(p, 200);
	cr_assert_geq(pair_command(p, 0, &(struct ev_command){ .cmd = CMD_VERIFY, .peer = 1,
							       .abort = true }), SS_SUCCESS);
	cr_assert(pair_run(p));
	cr_assert(is_over(p), "%s", pair_describe(p));
	pair_pass_ms(p, 5000);
	cr_assert(pair_healthy(p), "%s", pair_describe(p));
	cr_assert_eq(pair_core(p, 1)->vol[0]->rs.source_count, 0);
	cr_assert_eq(pair_core(p, 0)->vol[0]->rs.source_count, 0);
	pair_free(p);
}

Test(verify, a_broken_disk_ends_it)
{
	for (unsigned broken = 0; broken < 2; broken++) {
		struct pair *p = start(2, verifies_slowly);

		cr_assert_geq(verify(p, 0, 1, 0, 0), SS_SUCCESS);
		pair_pass_ms(p, 200);
		pair_break_disk(p, broken);
		pair_pass_ms(p, 5000);
		cr_assert(is_over(p), "%s", pair_describe(p));
		cr_assert_eq(pair_conn(p, 0, 1), CONN_CONNECTED);
		cr_assert_eq(pair_disk(p, broken), DISK_DISKLESS, "%s", pair_describe(p));
		pair_free(p);
	}
}

/* An answer without a digest cannot be sent. */
Test(verify, a_block_that_cannot_be_read_is_not_answered_for_an_unknown_algorithm)
{
	struct pair *p = start(2, verifies_slowly);
	unsigned answered;

	cr_assert_geq(verify(p, 0, 1, 0, 0), SS_SUCCESS);
	pair_pass_ms(p, 200);
	answered = pair_sent(p, 1, 0, P_OV_DAGTAG_REPLY);
	cr_assert_gt(answered, 0);
	strcpy(pair_core(p, 1)->peer[0]->verify_alg, "unknown");
	pair_break_disk(p, 1);
	pair_pass_ms(p, 5000);
	cr_assert_eq(pair_sent(p, 1, 0, P_OV_DAGTAG_REPLY), answered);
	pair_free(p);
}

static void verifies_at_node_0(struct core_conf *conf)
{
	if (conf->node_id == 0)
		verifies(conf);
}

Test(verify, is_refused_where_the_algorithms_differ)
{
	struct pair *p = start(2, NULL);

	cr_assert_eq(verify(p, 0, 1, 0, 0), SS_NO_VERIFY_ALG);
	pair_free(p);
	p = start(2, verifies_at_node_0);
	cr_assert_eq(verify(p, 0, 1, 0, 0), SS_NO_VERIFY_ALG);
	cr_assert_eq(verify(p, 1, 0, 0, 0), SS_NO_VERIFY_ALG);
	pair_free(p);
}

Test(verify, is_refused_while_another_one_or_a_resync_runs)
{
	struct pair *p = start(2, verifies);

	cr_assert_geq(verify(p, 0, 1, 0, 0), SS_SUCCESS);
	cr_assert_eq(verify(p, 1, 0, 0, 0), SS_RESYNC_RUNNING);
	cr_assert_eq(verify(p, 0, 1, 0, 0), SS_RESYNC_RUNNING);
	verified(p);
	cr_assert_lt(verify(p, 0, 1, BLOCKS, 0), SS_SUCCESS, "beyond the end");
	pair_free(p);
}

static void other_alg(struct core_conf *conf)
{
	verifies_slowly(conf);
	strcpy(conf->peers[0].net.verify_alg, "sha1");
}

/* Digests of before and after would all differ. */
Test(verify, another_algorithm_ends_it)
{
	for (unsigned node = 0; node < 2; node++) {
		struct pair *p = start(2, verifies_slowly);

		cr_assert_geq(verify(p, 0, 1, 0, 0), SS_SUCCESS);
		pair_pass_ms(p, 100);
		pair_configure(p, node, other_alg);
		pair_pass_ms(p, 1000);
		cr_assert(is_over(p), "%s", pair_describe(p));
		cr_assert_eq(pair_out_of_sync(p, 0, 1), 0);
		cr_assert_geq(verify(p, 0, 1, 0, 0), SS_SUCCESS, "the peer has followed");
		verified(p);
		cr_assert_eq(pair_out_of_sync(p, 0, 1), 0);
		pair_free(p);
	}
}

/* ---- checksums ---- */

static void diverge(struct pair *p)
{
	for (unsigned i = 0; i < 16; i++)
		cr_assert_eq(pair_write(p, 0, i * 64, 8, 500 + i), 0);
	pair_cut(p, 0, 1);
	pair_pass_ms(p, 1000);
	/* Every second one gets what it had. */
	for (unsigned i = 0; i < 16; i++)
		cr_assert_eq(pair_write(p, 0, i * 64, 8, i % 2 ? 500 + i : 900 + i), 0);
}

Test(csums, equal_blocks_do_not_travel)
{
	struct pair *p = start(2, by_checksum);
	uint64_t before;

	diverge(p);
	before = pair_core(p, 1)->peer[0]->pd[0].received_sectors;
	cr_assert_eq(pair_out_of_sync(p, 0, 1), 128);
	pair_heal(p, 0, 1);
	expect_same(p);
	cr_assert_eq(pair_core(p, 1)->peer[0]->pd[0].received_sectors - before, 64);
	cr_assert_eq(pair_sent(p, 0, 1, P_RS_IS_IN_SYNC), 8);
	cr_assert_eq(pair_sent(p, 1, 0, P_RS_DAGTAG_REQ), 0);
	pair_free(p);
}

Test(csums, only_after_a_crash_where_that_is_configured)
{
	struct pair *p = start(2, by_checksum_after_crash);

	diverge(p);
	pair_heal(p, 0, 1);
	expect_same(p);
	cr_assert_eq(pair_sent(p, 1, 0, P_RS_CSUM_DAGTAG_REQ), 0);
	pair_crash(p, 0);
	pair_pass_ms(p, 1000);
	pair_restart(p, 0);
	expect_same(p);
	cr_assert(pair_sent(p, 1, 0, P_RS_CSUM_DAGTAG_REQ) +
		  pair_sent(p, 0, 1, P_RS_CSUM_DAGTAG_REQ) > 0);
	pair_free(p);
}

Test(csums, writes_meanwhile_are_kept)
{
	for (uint64_t seed = 1; seed <= 30; seed++) {
		struct pair *p = pair_new(&(struct pair_opts){ .nodes = 2, .tune = by_checksum,
							       .seed = seed });

		pair_up_to_date(p);
		cr_assert_geq(pair_simple(p, 0, CMD_PRIMARY), SS_SUCCESS);
		diverge(p);
		pair_heal(p, 0, 1);
		for (unsigned i = 0; i < 64; i++)
			pair_submit_write(p, 0, i % 16 * 64 + i % 5, 7, 7000 + i);
		expect_same(p);
		pair_free(p);
	}
}

static void by_checksum_at_node_0(struct core_conf *conf)
{
	if (conf->node_id == 0)
		by_checksum(conf);
}

Test(csums, other_algorithms_do_not_connect)
{
	struct pair *p = pair_new(&(struct pair_opts){ .nodes = 2, .tune = by_checksum_at_node_0 });

	pair_up(p);
	pair_pass_ms(p, 3000);
	cr_assert_eq(pair_conn(p, 0, 1), CONN_STANDALONE);
	cr_assert_eq(pair_conn(p, 1, 0), CONN_STANDALONE);
	pair_free(p);
}

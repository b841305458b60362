/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Resyncs between whole cores, and the corner cases of source and target packet by packet. */
#include <criterion/criterion.h>
#include <string.h>

#include "core/core_hooks.h"
#include "core/core_int.h"
#include "core/resync_int.h"
#include "core/state.h"
#include "../lib/core_pair_int.h"

#define BLOCKS (PAIR_SECTORS / BM_BLOCK_SECTORS)

static struct pair *start(unsigned nodes)
{
	struct pair *p = pair_new(&(struct pair_opts){ .nodes = nodes });

	pair_up_to_date(p);
	cr_assert(pair_healthy(p), "%s", pair_describe(p));
	return p;
}

static void inject(struct pair *p, unsigned from, unsigned to, enum stream stream,
		   const struct pkt *pkt)
{
	pair_inject(p, from, to, stream, pkt);
	cr_assert(pair_run(p));
}

static void primary(struct pair *p, unsigned node)
{
	cr_assert_geq(pair_simple(p, node, CMD_PRIMARY), SS_SUCCESS, "%s", pair_text(p));
}

static void write_blocks(struct pair *p, unsigned node, unsigned count, unsigned step, uint64_t tag)
{
	for (unsigned i = 0; i < count; i++)
		cr_assert_eq(pair_write(p, node, (uint64_t)i * step * 8, 8, tag + i), 0);
}

/* Node 0 becomes Primary, node 1 is cut off and misses its writes. */
static void fall_behind(struct pair *p, unsigned count, unsigned step, uint64_t tag)
{
	primary(p, 0);
	pair_cut(p, 0, 1);
	pair_pass_ms(p, 1000);
	write_blocks(p, 0, count, step, tag);
}

static void pass_until_target(struct pair *p)
{
	for (unsigned i = 0; i < 200 && pair_repl(p, 1, 0) != REPL_SYNC_TARGET; i++)
		pair_pass_ms(p, 10);
}

static void expect_healthy(struct pair *p, unsigned nodes)
{
	cr_assert(pair_wait(p, 60000, pair_healthy), "%s", pair_describe(p));
	for (unsigned i = 1; i < nodes; i++)
		cr_assert(pair_same(p, 0, i), "disks 0 and %u differ", i);
}

static uint64_t received(struct pair *p, unsigned node, unsigned peer)
{
	return pair_core(p, node)->peer[peer]->pd[0].received_sectors;
}

Test(resync, only_what_differs_travels)
{
	struct pair *p = start(2);
	uint64_t before;

	fall_behind(p, 20, 7, 1000);
	cr_assert_eq(pair_out_of_sync(p, 0, 1), 160);
	before = received(p, 1, 0);
	pair_heal(p, 0, 1);
	expect_healthy(p, 2);
	cr_assert_eq(received(p, 1, 0) - before, 160);
	cr_assert_eq(pair_disk_tag(p, 1, 7 * 8), 1001);
	pair_free(p);
}

Test(resync, runs_are_merged_into_aligned_requests)
{
	struct pair *p = start(2);
	unsigned before;

	fall_behind(p, 64, 1, 1); /* 256 KiB from 0 on */
	before = pair_sent(p, 1, 0, P_RS_DAGTAG_REQ);
	pair_heal(p, 0, 1);
	expect_healthy(p, 2);
	cr_assert_eq(pair_sent(p, 1, 0, P_RS_DAGTAG_REQ) - before, 1);
	pair_free(p);
}

Test(resync, writes_of_both_sides_meet)
{
	struct pair *p = start(2);

	/* The target's log makes it mark more than the source knows: the union counts (trap 20). */
	primary(p, 1);
	pair_write(p, 1, 800, 8, 5);
	pair_crash(p, 1);
	pair_pass_ms(p, 2000);
	primary(p, 0);
	write_blocks(p, 0, 3, 100, 50);
	pair_restart(p, 1);
	expect_healthy(p, 2);
	pair_free(p);
}

Test(resync, goes_on_after_an_interruption)
{
	struct pair *p = start(2);

	fall_behind(p, 200, 3, 1);
	pair_hold(p, 0, 1, STREAM_DATA, false);
	pair_heal(p, 0, 1);
	pass_until_target(p);
	pair_hold(p, 0, 1, STREAM_DATA, true);
	pair_pass_ms(p, 50);
	pair_cut(p, 0, 1);
	pair_pass_ms(p, 1000);
	pair_hold(p, 0, 1, STREAM_DATA, false);
	cr_assert_eq(pair_disk(p, 1), DISK_INCONSISTENT, "%s", pair_describe(p));
	pair_heal(p, 0, 1);
	expect_healthy(p, 2);
	pair_free(p);
}

Test(resync, the_target_may_crash)
{
	struct pair *p = start(2);
	uint64_t before;

	fall_behind(p, 100, 3, 1);
	pair_heal(p, 0, 1);
	pass_until_target(p);
	pair_crash(p, 1);
	pair_pass_ms(p, 2000);
	pair_restart(p, 1);
	before = received(p, 1, 0);
	expect_healthy(p, 2);
	/* By bitmap, not everything again. */
	cr_assert_leq(received(p, 1, 0) - before, BLOCKS * 8 / 2);
	pair_free(p);
}

Test(resync, writes_go_on_meanwhile)
{
	struct pair *p = start(2);

	fall_behind(p, 200, 5, 1);
	pair_heal(p, 0, 1);
	for (unsigned i = 0; i < 100; i++) {
		/* Whole blocks, parts of blocks, over and beside what is resynced. */
		cr_assert_eq(pair_write(p, 0, (i * 13) % 6000 * 8 % (PAIR_SECTORS - 64), 8,
					9000 + i),
			     0);
		cr_assert_eq(pair_write(p, 0, (i * 40) + 3, 2, 20000 + i), 0);
		pair_pass_ms(p, 10);
	}
	expect_healthy(p, 2);
	pair_free(p);
}

static int invalidate(struct pair *p, unsigned node)
{
	return pair_simple(p, node, CMD_INVALIDATE);
}

Test(resync, invalidate_fetches_everything)
{
	struct pair *p = start(2);
	uint64_t before = received(p, 1, 0);

	primary(p, 0);
	write_blocks(p, 0, 4, 1, 1);
	cr_assert_geq(invalidate(p, 1), SS_SUCCESS, "%s", pair_text(p));
	expect_healthy(p, 2);
	cr_assert_geq(received(p, 1, 0) - before, PAIR_SECTORS);
	pair_free(p);
}

Test(resync, invalidate_remote_overwrites_the_peer)
{
	struct pair *p = start(2);
	uint64_t before = received(p, 1, 0);

	cr_assert_geq(pair_peer_command(p, 0, CMD_INVALIDATE_REMOTE, 1), SS_SUCCESS, "%s",
		      pair_text(p));
	expect_healthy(p, 2);
	cr_assert_geq(received(p, 1, 0) - before, PAIR_SECTORS);
	pair_free(p);
}

Test(resync, forced_promotion_of_a_fresh_node_fills_the_other)
{
	struct pair *p = pair_new(&(struct pair_opts){ .nodes = 2 });
	struct ev_command force = { .cmd = CMD_PRIMARY, .force = true };

	pair_up(p);
	cr_assert_geq(pair_command(p, 0, &force), SS_SUCCESS, "%s", pair_text(p));
	cr_assert_eq(pair_write(p, 0, 80, 8, 77), 0);
	expect_healthy(p, 2);
	cr_assert_eq(pair_disk_tag(p, 1, 80), 77);
	pair_free(p);
}

Test(resync, the_third_node_keeps_its_marks_until_it_is_back)
{
	struct pair *p = start(3);

	primary(p, 0);
	pair_cut(p, 0, 1);
	pair_cut(p, 0, 2);
	pair_cut(p, 1, 2);
	pair_pass_ms(p, 1000);
	write_blocks(p, 0, 10, 2, 1);
	pair_heal(p, 0, 1);
	pair_pass_ms(p, 20000);
	cr_assert_eq(pair_disk(p, 1), DISK_UP_TO_DATE, "%s", pair_describe(p));
	/* What node 1 got by the resync differs from what node 2 has. */
	cr_assert_geq(pair_out_of_sync(p, 1, 2), 80, "%s", pair_describe(p));
	/* Node 0 goes; node 1 alone can bring node 2 up. */
	pair_crash(p, 0);
	pair_heal(p, 1, 2);
	pair_pass_ms(p, 30000);
	cr_assert(pair_same(p, 1, 2), "%s", pair_describe(p));
	pair_heal(p, 0, 2);
	pair_restart(p, 0);
	expect_healthy(p, 3);
	pair_free(p);
}

Test(resync, one_source_at_a_time)
{
	struct pair *p = start(3);

	primary(p, 0);
	pair_cut(p, 0, 2);
	pair_cut(p, 1, 2);
	pair_pass_ms(p, 1000);
	write_blocks(p, 0, 300, 3, 1);
	pair_heal(p, 0, 2);
	pair_heal(p, 1, 2);
	for (unsigned i = 0; i < 4000; i++) {
		pair_pass_ms(p, 5);
		cr_assert_not(pair_repl(p, 2, 0) == REPL_SYNC_TARGET &&
			      pair_repl(p, 2, 1) == REPL_SYNC_TARGET);
	}
	expect_healthy(p, 3);
	pair_free(p);
}

Test(resync, a_request_beyond_the_device_ends_the_connection)
{
	static const struct { uint64_t sector; uint32_t bytes; } wrong[] = {
		{ PAIR_SECTORS, 4096 }, { PAIR_SECTORS - 4, 4096 }, { 0, 0 }, { 0, 513 },
		{ 0, (1U << 20) + 512 }, { UINT64_MAX - 4, 4096 }, { 8, 0x80000000U },
	};

	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		struct pair *p = start(2);
		struct pkt pkt = { .type = P_RS_DAGTAG_REQ };

		pkt.u.block.sector = wrong[i].sector;
		pkt.u.block.bytes = wrong[i].bytes;
		pkt.u.block.block_id = 1;
		inject(p, 1, 0, STREAM_DATA, &pkt);
		cr_assert_neq(pair_conn(p, 0, 1), CONN_CONNECTED, "case %zu", i);
		pair_free(p);
	}
}

Test(resync, who_is_no_source_cancels)
{
	struct pair *p = start(2);
	struct pkt pkt = { .type = P_RS_DAGTAG_REQ };
	unsigned before = pair_sent(p, 0, 1, P_RS_CANCEL);

	pkt.u.block.bytes = 4096;
	pkt.u.block.block_id = 99;
	pair_hold(p, 0, 1, STREAM_CONTROL, true);
	inject(p, 1, 0, STREAM_DATA, &pkt);
	cr_assert_eq(pair_sent(p, 0, 1, P_RS_CANCEL) - before, 1);
	pair_free(p);
}

Test(resync, an_answer_without_a_question_ends_the_connection)
{
	struct pair *p = start(2);
	struct pkt pkt = { .type = P_RS_WRITE_ACK };

	pkt.u.block.bytes = 4096;
	inject(p, 1, 0, STREAM_CONTROL, &pkt);
	cr_assert_neq(pair_conn(p, 0, 1), CONN_CONNECTED);
	pair_free(p);
}

Test(resync, out_of_sync_marks_the_block)
{
	struct pair *p = start(2);
	struct pkt pkt = { .type = P_OUT_OF_SYNC };

	pkt.u.block.sector = 4;
	pkt.u.block.bytes = 4096;
	inject(p, 1, 0, STREAM_DATA, &pkt);
	cr_assert_eq(pair_out_of_sync(p, 0, 1), 16);
	/* Two good disks do not stay marked: that is resynced by itself. */
	expect_healthy(p, 2);
	pair_free(p);
}

/* What node 2 got from us before may be older than what we get now, and it has asked for it. */
Test(resync, a_target_is_told_of_a_block_that_its_source_gets_itself)
{
	struct pair *p = start(3);
	struct core *core = pair_core(p, 1);
	struct volume *vol = core->vol[0];
	unsigned before = pair_sent(p, 1, 2, P_OUT_OF_SYNC);

	fall_behind(p, 1, 1, 1);
	core->st.pd[2][0].repl = REPL_PAUSED_SYNC_S;
	bitmap_set(core, vol, bitmap_slots_of(vol, 1 << 2), 0, 8);
	pair_heal(p, 0, 1);
	pair_pass_ms(p, 3000);
	cr_assert_gt(pair_sent(p, 1, 2, P_OUT_OF_SYNC), before, "%s", pair_describe(p));
	pair_free(p);
}

/* It does not say when its last mark is gone; what is in sync with it could never be told. */
Test(resync, a_kernel_is_asked_what_it_has_marked)
{
	struct pair *p = start(2);
	struct core *core = pair_core(p, 0);
	struct peer_device *pd = &core->peer[1]->pd[0];

	pair_pass_ms(p, 5000);
	core->peer[1]->features &= ~FEATURE_DRBDFS;
	pd->uuids.dirty_bits = 20;
	core_work(core, WORK_SYNC);
	pair_pass_ms(p, 11000);
	cr_assert_eq(pd->uuids.dirty_bits, 0);
	pair_free(p);
}

/* Else resyncs of other pairs, each of which begins them anew, could put it off for ever. */
Test(resync, bits_left_are_settled_soon_after_the_announcements)
{
	struct pair *p = start(2);
	struct core *core = pair_core(p, 0);
	struct volume *vol = core->vol[0];

	bitmap_set(core, vol, bitmap_slots_of(vol, 1 << 1), 0, 8);
	core_work(core, WORK_SYNC);
	vol->rs.announce = true;
	vol->rs.announce_at_ns = UINT64_MAX;
	pair_pass_ms(p, 11000);
	cr_assert_eq(pair_out_of_sync(p, 0, 1), 8);
	vol->rs.announce = false;
	pair_pass_ms(p, 4000);
	cr_assert_eq(pair_out_of_sync(p, 0, 1), 0);
	pair_free(p);
}

/* It does not answer for a node with which it has no connection yet. */
Test(resync, the_end_does_not_wait_for_a_peer_that_is_just_connecting)
{
	struct pair *p = start(3);

	fall_behind(p, 20, 7, 1000);
	pair_hold(p, 2, 1, STREAM_DATA, true);
	pair_core(p, 1)->peer[2]->pd[0].conn_rx = 0;
	pair_heal(p, 0, 1);
	pair_pass_ms(p, 5000);
	cr_assert_eq(pair_disk(p, 1), DISK_UP_TO_DATE, "%s", pair_describe(p));
	pair_hold(p, 2, 1, STREAM_DATA, false);
	expect_healthy(p, 3);
	pair_free(p);
}

/* A Primary remembers the last question only; two resyncs that end at the same time ask both. */
Test(resync, an_answer_to_a_flush_request_stands_for_those_before)
{
	struct pkt ack = { .type = P_FLUSH_REQUESTS_ACK, .vnr = VNR_NONE };
	struct pair *p = start(3);
	struct core *core = pair_core(p, 1);

	for (unsigned s = 0; s <= 2; s += 2) {
		struct resync *rs = &core->peer[s]->pd[0].rs;

		rs->flush_seq = ++core->reconcile.flush_serial;
		rs->flush_wait[0] = 1U << 0 | 1U << 2;
	}
	ack.u.flush.sequence = core->reconcile.flush_serial;
	inject(p, 0, 1, STREAM_DATA, &ack);
	cr_assert_eq(core->peer[0]->pd[0].rs.flush_wait[0], 1U << 2);
	cr_assert_eq(core->peer[2]->pd[0].rs.flush_wait[0], 1U << 2);
	ack.u.flush.sequence--;
	inject(p, 2, 1, STREAM_DATA, &ack);
	cr_assert_eq(core->peer[0]->pd[0].rs.flush_wait[0], 0);
	cr_assert_eq(core->peer[2]->pd[0].rs.flush_wait[0], 1U << 2);
	ack.u.flush.sequence += 2;
	inject(p, 2, 1, STREAM_DATA, &ack);
	cr_assert_eq(core->peer[2]->pd[0].rs.flush_wait[0], 1U << 2, "it was not asked yet");
	pair_free(p);
}

/* The peer knows generations and bits of the node as they are now. */
static void tell(struct pair *p, unsigned node, unsigned peer)
{
	struct core *core = pair_core(p, node);
	struct volume *vol = core->vol[0];
	struct peer_device *pd = &core->peer[peer]->pd[0];

	uuid_fill(core, core->peer[peer], vol, 0, 0, &pd->sent);
	pd->sent_bitmap = vol->md.peers[peer].bitmap_uuid;
	pair_core(p, peer)->peer[node]->pd[0].uuids = pd->sent;
}

/* A resync ends others that were paused: then nothing changes here any more. */
Test(resync, peers_are_told_that_a_target_is_through)
{
	struct pair *p = start(3);
	struct peer_device *pd = &pair_core(p, 0)->peer[1]->pd[0];

	pd->sent.flags |= UUID_FLAG_SYNC_TARGET;
	pair_core(p, 1)->peer[0]->pd[0].uuids.flags |= UUID_FLAG_SYNC_TARGET;
	core_work(pair_core(p, 0), WORK_SYNC);
	pair_pass_ms(p, 15000);
	cr_assert_eq(pair_core(p, 1)->peer[0]->pd[0].uuids.flags & UUID_FLAG_SYNC_TARGET, 0);
	pair_free(p);
}

static void outdate(struct pair *p, unsigned node)
{
	struct core *core = pair_core(p, node);

	state_begin(core)->vol[0].disk = DISK_OUTDATED;
	state_end(core, STATE_HARD);
}

/* A Primary without any good disk in sight wrote nothing that is not on the disks there are. */
Test(resync, disks_outdated_by_name_serve_a_primary_again)
{
	struct pair *p = start(3);

	primary(p, 0);
	cr_assert_eq(pair_write(p, 0, 0, 8, 100), 0);
	pair_pass_ms(p, 5000);
	for (unsigned i = 0; i < 3; i++)
		outdate(p, i);
	expect_healthy(p, 3);
	cr_assert_eq(pair_write(p, 0, 8, 8, 200), 0);
	expect_healthy(p, 3);
	pair_free(p);
}

/* A generation that is on no disk: it did not get onto one, and nothing was answered in it. */
Test(resync, a_primary_gets_its_disk_back_when_no_other_disk_has_its_generation)
{
	for (unsigned i = 0; i < 2; i++) {
		struct pair *p = start(2);

		primary(p, 0);
		cr_assert_geq(pair_simple(p, 0, CMD_DETACH), SS_SUCCESS, "%s", pair_text(p));
		pair_core(p, 0)->vol[0]->exposed_uuid = 0x1110;
		outdate(p, 1);
		pair_run(p);
		if (i)
			pair_cut(p, 0, 1);
		cr_assert_eq(pair_simple(p, 0, CMD_ATTACH) >= SS_SUCCESS, i == 0, "%s",
			     pair_text(p));
		if (!i)
			expect_healthy(p, 2);
		pair_free(p);
	}
}

/* All disks there are, of one generation: nobody can know of a better one. */
Test(resync, disks_in_doubt_are_good_when_all_are_there)
{
	struct pair *p = start(2);

	for (unsigned i = 0; i < 2; i++) {
		struct core *core = pair_core(p, i);
		struct state *next = state_begin(core);

		next->vol[0].disk = DISK_CONSISTENT;
		next->pd[!i][0].pdsk = DISK_CONSISTENT;
		state_end(core, STATE_HARD);
	}
	cr_assert_eq(pair_disk(p, 0), DISK_CONSISTENT);
	cr_assert_eq(pair_disk(p, 1), DISK_CONSISTENT);
	expect_healthy(p, 2);
	pair_free(p);
}

/* Two lineages of one past on connected nodes. */
static void fork_lineage(struct pair *p, unsigned node, uint64_t current)
{
	struct core *core = pair_core(p, node);
	struct volume *vol = core->vol[0];

	vol->md.peers[!node].bitmap_uuid = vol->md.current_uuid;
	vol->md.current_uuid = current;
	tell(p, node, !node);
}

Test(resync, a_split_brain_ends_the_connection_whenever_it_is_seen)
{
	struct pair *p = start(2);

	fork_lineage(p, 0, 0x1110);
	fork_lineage(p, 1, 0x2220);
	core_work(pair_core(p, 0), WORK_SYNC);
	pair_pass_ms(p, 20000);
	cr_assert_eq(pair_conn(p, 0, 1), CONN_STANDALONE, "%s", pair_describe(p));
	cr_assert_eq(pair_conn(p, 1, 0), CONN_STANDALONE, "%s", pair_describe(p));
	cr_assert(strstr(pair_describe(p), "plit"), "%s", pair_describe(p));
	pair_free(p);
}

/* Until a third node settles it, neither has what the other has. */
Test(resync, an_outdated_disk_is_no_better_for_a_peer_with_another_generation)
{
	struct pair *p = start(2);

	outdate(p, 1);
	fork_lineage(p, 0, 0x1110);
	fork_lineage(p, 1, 0x2220);
	for (unsigned i = 0; i < 2; i++) {
		struct peer_device *pd = &pair_core(p, i)->peer[!i]->pd[0];

		pd->uuids.flags &= ~UUID_FLAG_STABLE;
		pd->sent.flags &= ~UUID_FLAG_STABLE;
	}
	sync_consider(pair_core(p, 1), pair_core(p, 1)->peer[0], pair_core(p, 1)->vol[0]);
	cr_assert_eq(pair_disk(p, 1), DISK_OUTDATED);
	pair_free(p);
}

/* H24, H20: a claim says nothing to a node that is not in sync with the one who makes it. */
Test(resync, claims_need_two_nodes_in_sync)
{
	struct pair *p = start(3);
	struct pkt claim = { .type = P_PEERS_IN_SYNC };
	struct volume *vol = pair_core(p, 0)->vol[0];
	uint32_t slot1 = bitmap_slots_of(vol, 2), slot2 = bitmap_slots_of(vol, 4);

	pair_pass_ms(p, 5000);
	claim.u.in_sync.bytes = 4U << 20;
	bitmap_set(pair_core(p, 0), vol, slot2, 0, 16);
	claim.u.in_sync.mask = 0x4; /* node 1 says: in sync with node 2, but not with us */
	inject(p, 1, 0, STREAM_CONTROL, &claim);
	cr_assert_eq(pair_out_of_sync(p, 0, 2), 16);
	bitmap_set(pair_core(p, 0), vol, slot1, 0, 8);
	claim.u.in_sync.mask = 0x5;
	inject(p, 1, 0, STREAM_CONTROL, &claim);
	cr_assert_eq(pair_out_of_sync(p, 0, 2), 8); /* only where we are in sync with node 1 */
	pair_free(p);
}

Test(resync, rate_follows_what_comes_back)
{
	struct pair *p = start(2);
	struct core *core = pair_core(p, 1);
	struct peer_device *pd = &core->peer[0]->pd[0];
	struct core_disk_conf *disk = (struct core_disk_conf *)&core->vol[0]->conf->disk;

	disk->resync_rate_kib = 250;
	disk->c_plan_ahead_ds = 20;
	disk->c_fill_target_sectors = 100;
	disk->c_max_rate_kib = 102400;
	rate_reset(core, pd);
	core->now_ns += RS_TICK_NS;
	/* Start: resync-rate, spread over the plan. */
	cr_assert_eq(rate_tick(core, pd), 50);
	core->now_ns += RS_TICK_NS;
	pd->rs.in_sectors = 4000;
	pd->rs.in_flight_sectors = 100;
	cr_assert_geq(rate_tick(core, pd), 3900);
	core->now_ns += RS_TICK_NS;
	pd->rs.in_sectors = 4000000;
	cr_assert_eq(rate_tick(core, pd), 102400 * 2 / 10); /* c-max-rate */
	disk->c_plan_ahead_ds = 0;
	rate_reset(core, pd);
	cr_assert_eq(rate_tick(core, pd), 50); /* fixed */
	pd->rs.in_flight_sectors = 0;
	pair_free(p);
}

/* Node 1 gets the generation of node 2 from node 0; node 2 writes on before it is told so. */
Test(third_node, a_generation_that_an_absent_node_has_got_elsewhere_is_not_written_on)
{
	struct pair *p = start(3);

	primary(p, 2);
	write_blocks(p, 2, 1, 1, 100);
	pair_cut(p, 1, 2);
	pair_run(p);
	write_blocks(p, 2, 2, 1, 200);
	cr_assert_geq(pair_simple(p, 2, CMD_SECONDARY), SS_SUCCESS, "%s", pair_text(p));
	pair_pass_ms(p, 2000);
	cr_assert_eq(pair_disk(p, 1), DISK_UP_TO_DATE, "%s", pair_describe(p));
	cr_assert(pair_same(p, 0, 1));
	pair_cut(p, 0, 1);
	pair_run(p);
	pair_hold(p, 0, 2, STREAM_DATA, true);
	primary(p, 2);
	write_blocks(p, 2, 3, 1, 300);
	pair_hold(p, 0, 2, STREAM_DATA, false);
	pair_run(p);
	cr_assert_geq(pair_simple(p, 2, CMD_SECONDARY), SS_SUCCESS, "%s", pair_text(p));
	pair_heal(p, 1, 2);
	pair_pass_ms(p, 20000);
	cr_assert_eq(pair_disk_tag(p, 1, 16), 302, "%s", pair_describe(p));
	cr_assert_eq(pair_disk_tag(p, 2, 16), 302);
	pair_heal(p, 0, 1);
	expect_healthy(p, 3);
	pair_free(p);
}

/* The ack of a write that waits in the queue from node 1 to 0. */
static struct pkt *held_ack(struct pair *p)
{
	primary(p, 0);
	pair_core(p, 0)->peer[1]->apv = 121;
	pair_core(p, 1)->peer[0]->apv = 121;
	pair_hold(p, 1, 0, STREAM_CONTROL, true);
	pair_submit_write(p, 0, 0, 8, 100);
	pair_run(p);
	for (struct msg *m = p->queue[1][0][STREAM_CONTROL].head; m != NULL; m = m->next)
		if (!m->down && m->pkt.type == P_WRITE_ACK)
			return &m->pkt;
	cr_assert_fail("no ack: %s", pair_describe(p));
	return NULL;
}

/* Before 122 a block that a resync wanted as well is acknowledged under the resync's number. */
Test(resync, before_122_the_block_id_tells_what_is_acknowledged)
{
	struct pair *p = start(2);

	held_ack(p)->type = P_RS_WRITE_ACK;
	pair_hold(p, 1, 0, STREAM_CONTROL, false);
	pair_run(p);
	cr_assert_eq(pair_conn(p, 0, 1), CONN_CONNECTED, "%s", pair_describe(p));
	cr_assert_eq(pair_outstanding(p), 0);
	cr_assert_eq(pair_last_error(p), 0);
	pair_free(p);
}

/* As above, of a write that failed there: no resync block, for it has an id. */
Test(resync, before_122_a_write_that_failed_is_told_from_a_resync_block)
{
	struct pair *p = start(2);

	held_ack(p)->type = P_NEG_ACK;
	pair_hold(p, 1, 0, STREAM_CONTROL, false);
	pair_run(p);
	cr_assert_eq(pair_conn(p, 0, 1), CONN_CONNECTED, "%s", pair_describe(p));
	cr_assert_eq(pair_outstanding(p), 0);
	cr_assert_eq(pair_sent(p, 0, 1, P_RS_DATA_REPLY), 1); /* out of sync, and mended at once */
	expect_healthy(p, 2);
	pair_free(p);
}

/*
 * DRBD 9.0 and 9.1 let no write into a range that they have asked for before the answer is there:
 * it must not wait for the write that waits for them.
 */
Test(resync, without_dagtags_no_answer_waits_for_a_write)
{
	struct pair *p = start(2);
	struct core *core = pair_core(p, 0);
	struct pkt pkt = { .type = P_RS_DATA_REQUEST };

	primary(p, 0);
	core->peer[1]->apv = 121;
	core->peer[1]->features &= ~FEATURE_RESYNC_DAGTAG;
	core->st.pd[1][0].repl = REPL_SYNC_SOURCE;
	pair_hold(p, 1, 0, STREAM_CONTROL, true);
	pair_submit_write(p, 0, 0, 8, 100);
	pair_hold(p, 0, 1, STREAM_CONTROL, true);
	pkt.u.block.bytes = 8192;
	pkt.u.block.block_id = UINT64_MAX;
	inject(p, 1, 0, STREAM_DATA, &pkt);
	cr_assert_eq(pair_outstanding(p), 1);
	cr_assert_eq(pair_sent(p, 0, 1, P_RS_CANCEL), 1);
	/* What is closed to writes there is 128 MiB, not the range alone. */
	pkt.u.block.sector = 16;
	inject(p, 1, 0, STREAM_DATA, &pkt);
	cr_assert_eq(pair_sent(p, 0, 1, P_RS_CANCEL), 2);
	cr_assert_eq(pair_sent(p, 0, 1, P_RS_DATA_REPLY), 0);
	pair_free(p);
}

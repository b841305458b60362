/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The table of generations row by row, and what overrides it. */
#include "sync_input.h"

TestSuite(uuid_compare, .init = setup);
TestSuite(sync_decide, .init = setup);

static void expect(enum sync_strategy strategy, enum sync_rule rule)
{
	struct sync_input swapped;
	struct sync_decision d = uuid_compare(&in);

	cr_assert_eq(d.strategy, strategy, "%s (%s)", sync_strategy_name(d.strategy),
		     sync_rule_name(d.rule));
	cr_assert_eq(d.rule, rule, "%s", sync_rule_name(d.rule));
	sync_input_swap(&in, &swapped);
	d = uuid_compare(&swapped);
	cr_assert_eq(d.strategy, strategy_mirror(strategy), "mirror: %s (%s)",
		     sync_strategy_name(d.strategy), sync_rule_name(d.rule));
}

static struct sync_decision decide(enum sync_strategy strategy, enum repl_state repl)
{
	struct sync_decision d = sync_decide(&in);

	cr_assert_eq(d.strategy, strategy, "%s (%s) %s", sync_strategy_name(d.strategy),
		     sync_rule_name(d.rule), d.reason ? d.reason : "");
	cr_assert_eq(d.repl, repl, "%s", repl_state_name(d.repl));
	return d;
}

Test(uuid_compare, rows_1_to_3_just_created)
{
	in.me.current = UUID_JUST_CREATED;
	expect(SYNC_TARGET_SET_BITMAP, RULE_JUST_CREATED_SELF);
	in.peer.current = 0; /* counts as just created */
	expect(SYNC_NONE, RULE_JUST_CREATED_BOTH);
	in.me.current = X;
	expect(SYNC_SOURCE_SET_BITMAP, RULE_JUST_CREATED_PEER);
}

Test(uuid_compare, before_120_reconnect_comes_after_lost_quorum)
{
	in.peer.current = X;
	in.me.flags |= UUID_FLAG_RECONNECT;
	in.peer.flags |= UUID_FLAG_RECONNECT | UUID_FLAG_PRIMARY_LOST_QUORUM;
	expect(SYNC_NONE, RULE_RECONNECTED);
	in.apv = 119;
	expect(SYNC_TARGET_IF_BOTH_FAILED, RULE_LOST_QUORUM);
	in.peer.flags &= ~UUID_FLAG_PRIMARY_LOST_QUORUM;
	expect(SYNC_NONE, RULE_RECONNECTED);
	in.peer.flags &= ~UUID_FLAG_RECONNECT;
	in.peer.flags |= UUID_FLAG_CRASHED_PRIMARY;
	expect(SYNC_SOURCE_IF_BOTH_FAILED, RULE_RECONNECTED);
	in.apv = 120;
	expect(SYNC_SOURCE_IF_BOTH_FAILED, RULE_LOST_QUORUM);
}

Test(uuid_compare, before_121_a_crashed_primary_is_none_of_protocol_a)
{
	in.peer.current = X;
	in.async = true;
	in.me.flags = UUID_FLAG_STABLE | UUID_FLAG_CRASHED_PRIMARY;
	in.peer.flags |= UUID_FLAG_RECONNECT;
	expect(SYNC_SOURCE_USE_BITMAP, RULE_CRASHED_PRIMARY);
	in.apv = 120;
	expect(SYNC_TARGET_IF_BOTH_FAILED, RULE_LOST_QUORUM);
}

/* The mark passes to whoever resyncs from it; the survivor itself says that it may lack more. */
Test(uuid_compare, a_crashed_primary_has_more_than_who_was_behind_protocol_a)
{
	in.peer.current = X;
	in.me.flags |= UUID_FLAG_CRASHED_PRIMARY;
	in.peer.flags |= UUID_FLAG_RECONNECT;
	in.async = true;
	expect(SYNC_TARGET_IF_BOTH_FAILED, RULE_LOST_QUORUM);
	in.peer.flags |= UUID_FLAG_LAGGED;
	expect(SYNC_SOURCE_USE_BITMAP, RULE_CRASHED_PRIMARY);
	in.async = false;
	expect(SYNC_SOURCE_USE_BITMAP, RULE_CRASHED_PRIMARY);
	/* A kernel goes by the connection. */
	in.peer.flags &= ~UUID_FLAG_KEEPS_BITS;
	expect(SYNC_TARGET_IF_BOTH_FAILED, RULE_LOST_QUORUM);
	in.async = true;
	expect(SYNC_SOURCE_USE_BITMAP, RULE_CRASHED_PRIMARY);
}

Test(sync_decide, bits_left_come_from_who_was_not_behind_protocol_a)
{
	in.peer.current = X;
	in.me.dirty_bits = 1;
	in.me.flags |= UUID_FLAG_LAGGED | UUID_FLAG_RECONNECT;
	in.peer.flags |= UUID_FLAG_RECONNECT;
	decide(SYNC_TARGET_USE_BITMAP, REPL_WF_BITMAP_T);
	/* It was away, and has lost its power perhaps. */
	in.peer.flags &= ~UUID_FLAG_RECONNECT;
	decide(SYNC_SOURCE_USE_BITMAP, REPL_WF_BITMAP_S);
}

Test(sync_decide, before_119_only_an_inconsistent_disk_overrides)
{
	in.peer.current = X;
	in.me.flags = in.peer.flags = UUID_FLAG_STABLE;
	in.me.flags |= UUID_FLAG_CRASHED_PRIMARY;
	in.me.disk = DISK_OUTDATED;
	decide(SYNC_TARGET_USE_BITMAP, REPL_WF_BITMAP_T);
	in.apv = 118;
	decide(SYNC_SOURCE_IF_BOTH_FAILED, REPL_WF_BITMAP_S);
	in.me.disk = DISK_INCONSISTENT;
	decide(SYNC_TARGET_USE_BITMAP, REPL_WF_BITMAP_T);
}

Test(sync_decide, before_121_discard_my_data_does_not_reverse)
{
	in.peer.bitmap[0] = X; /* I am behind */
	in.peer.flags |= UUID_FLAG_DISCARD_MY_DATA;
	decide(SYNC_SOURCE_USE_BITMAP, REPL_WF_BITMAP_S);
	in.apv = 120;
	decide(SYNC_TARGET_USE_BITMAP, REPL_WF_BITMAP_T);
}

Test(uuid_compare, the_primary_mark_is_masked)
{
	in.peer.current = X | UUID_PRIMARY;
	expect(SYNC_NONE, RULE_BOTH_OFF);
}

Test(uuid_compare, rows_4_and_5_missed_finish)
{
	in.peer.current = X;
	in.me.bitmap[1] = Z;
	in.me.dirty_bits = 3;
	expect(SYNC_SOURCE_USE_BITMAP, RULE_SOURCE_MISSED_FINISH);
	in.me.bitmap[1] = 0;
	in.peer.bitmap[0] = Z;
	expect(SYNC_TARGET_USE_BITMAP, RULE_TARGET_PEER_MISSED_FINISH);
}

/* A kernel decides by row 4 whatever a crash has left of the source: both ends must agree. */
Test(uuid_compare, missed_finish_of_a_crashed_primary)
{
	in.peer.current = X;
	in.me.bitmap[1] = Z;
	in.me.dirty_bits = 3;
	in.me.flags |= UUID_FLAG_CRASHED_PRIMARY;
	in.peer.flags |= UUID_FLAG_RECONNECT;
	expect(SYNC_TARGET_IF_BOTH_FAILED, RULE_LOST_QUORUM);
	in.peer.flags &= ~UUID_FLAG_KEEPS_BITS;
	expect(SYNC_SOURCE_USE_BITMAP, RULE_SOURCE_MISSED_FINISH);
}

Test(uuid_compare, missed_finish_without_bits_is_only_seen_before_124)
{
	in.peer.current = X;
	in.me.bitmap[1] = Z;
	expect(SYNC_NONE, RULE_BOTH_OFF);
	in.apv = 123;
	expect(SYNC_SOURCE_USE_BITMAP, RULE_SOURCE_MISSED_FINISH);
}

Test(uuid_compare, rows_6_to_19_equal_generations)
{
	in.peer.current = X;
	in.me.flags |= UUID_FLAG_CRASHED_PRIMARY;
	expect(SYNC_SOURCE_IF_BOTH_FAILED, RULE_BOTH_OFF);
	in.peer.flags |= UUID_FLAG_LAGGED;
	expect(SYNC_SOURCE_USE_BITMAP, RULE_CRASHED_PRIMARY);
	in.peer.flags &= ~UUID_FLAG_LAGGED;
	in.peer.flags |= UUID_FLAG_RECONNECT;
	expect(SYNC_TARGET_IF_BOTH_FAILED, RULE_LOST_QUORUM);
	in.me.flags |= UUID_FLAG_RECONNECT;
	expect(SYNC_NONE, RULE_RECONNECTED);
	in.me.flags = STABLE;
	expect(SYNC_NONE, RULE_LOST_QUORUM);
	in.peer.flags = STABLE | UUID_FLAG_CRASHED_PRIMARY;
	in.me.flags = UUID_FLAG_STABLE | UUID_FLAG_CRASHED_PRIMARY; /* a kernel node */
	in.peer.rc = !in.me.rc;
	expect(SYNC_TARGET_IF_BOTH_FAILED, RULE_BOTH_OFF);
}

/* What each connection draws for itself makes three nodes resync in a ring, all three of them. */
Test(uuid_compare, rows_11_and_16_go_by_the_order_of_nodes)
{
	const uint64_t marks[] = { UUID_FLAG_CRASHED_PRIMARY, UUID_FLAG_PRIMARY_LOST_QUORUM };

	in.peer.current = X;
	for (unsigned i = 0; i < 4; i++) {
		in.me.flags = in.peer.flags = STABLE | marks[i / 2];
		in.me.rc = i % 2;
		in.peer.rc = !in.me.rc;
		expect(SYNC_SOURCE_IF_BOTH_FAILED, i / 2 ? RULE_LOST_QUORUM : RULE_BOTH_OFF);
	}
}

Test(uuid_compare, rows_9_to_11_lost_quorum)
{
	in.peer.current = X;
	in.me.flags |= UUID_FLAG_PRIMARY_LOST_QUORUM;
	expect(SYNC_SOURCE_IF_BOTH_FAILED, RULE_LOST_QUORUM);
	in.peer.flags |= UUID_FLAG_PRIMARY_LOST_QUORUM;
	expect(SYNC_SOURCE_IF_BOTH_FAILED, RULE_LOST_QUORUM);
}

Test(uuid_compare, rows_20_and_22_bitmap)
{
	in.me.bitmap[1] = Y | UUID_PRIMARY;
	expect(SYNC_SOURCE_USE_BITMAP, RULE_BITMAP_SELF);
	in.me.bitmap[1] = 0;
	in.peer.bitmap[0] = X;
	expect(SYNC_TARGET_USE_BITMAP, RULE_BITMAP_PEER);
}

Test(uuid_compare, rows_21_and_23_slot_of_another_node)
{
	in.me.bitmap[5] = Y;
	expect(SYNC_SOURCE_COPY_BITMAP, RULE_BITMAP_SELF_OTHER);
	cr_assert_eq(uuid_compare(&in).copy_from, 5);
	in.me.bitmap[5] = 0;
	in.peer.bitmap[7] = X;
	expect(SYNC_TARGET_CLEAR_BITMAP, RULE_BITMAP_PEER_OTHER);
	cr_assert_eq(uuid_compare(&in).copy_from, 7);
}

Test(uuid_compare, an_unknown_reference_never_matches)
{
	in.me.current = UUID_UNKNOWN & ~UUID_PRIMARY;
	in.peer.bitmap[0] = UUID_UNKNOWN;
	in.peer.bitmap[9] = UUID_UNKNOWN;
	expect(SYNC_UNRELATED_DATA, RULE_HISTORY_BOTH);
	/* What one has as a reference the other one may have in its history. */
	in.me.bitmap[5] = Z;
	in.peer.history[1] = Z;
	expect(SYNC_SPLIT_BRAIN_DISCONNECT, RULE_HISTORY_BOTH);
	in.me.bitmap[5] = UUID_UNKNOWN;
	in.peer.history[1] = 0;
	in.peer.bitmap[6] = UUID_UNKNOWN;
	expect(SYNC_UNRELATED_DATA, RULE_HISTORY_BOTH);
}

Test(uuid_compare, rows_24_to_28_history)
{
	in.peer.history[2] = X;
	expect(SYNC_TARGET_SET_BITMAP, RULE_HISTORY_PEER);
	in.me.history[0] = Y; /* circular: neither is the older one */
	in.me.history[1] = Z;
	in.peer.history[0] = Z;
	expect(SYNC_SPLIT_BRAIN_DISCONNECT, RULE_HISTORY_BOTH);
	in.me.bitmap[1] = in.peer.bitmap[0] = Z;
	expect(SYNC_SPLIT_BRAIN_AUTO_RECOVER, RULE_BITMAP_BOTH);
	in.me.bitmap[1] = in.peer.bitmap[0] = 0;
	in.me.history[1] = in.peer.history[0] = 0;
	in.me.history[0] = in.peer.history[2] = 0;
	expect(SYNC_UNRELATED_DATA, RULE_HISTORY_BOTH);
}

/* ---- overrides ---- */

Test(sync_decide, leftover_bits_are_never_dropped)
{
	in.peer.current = X;
	decide(SYNC_NONE, REPL_ESTABLISHED);
	in.me.dirty_bits = 1;
	decide(SYNC_SOURCE_USE_BITMAP, REPL_WF_BITMAP_S);
	in.peer.dirty_bits = 1;
	decide(SYNC_SOURCE_USE_BITMAP, REPL_WF_BITMAP_S); /* lower node id */
	in.me.named_lost = in.peer.named_lost = true;
	in.peer.lost_dagtag = 8;
	decide(SYNC_TARGET_USE_BITMAP, REPL_WF_BITMAP_T);
	in.me.role = ROLE_PRIMARY;
	decide(SYNC_SOURCE_USE_BITMAP, REPL_WF_BITMAP_S);
	in.me.disk = DISK_OUTDATED;
	decide(SYNC_TARGET_USE_BITMAP, REPL_WF_BITMAP_T);
}

/* It has what is not answered yet. A Primary that is
 * here itself, or data that are not good, come first. */
Test(sync_decide, of_two_with_bits_left_the_one_beside_a_primary_without_quorum_leads)
{
	in.peer.current = X;
	in.me.dirty_bits = in.peer.dirty_bits = 1;
	in.me.flags |= UUID_FLAG_STABLE | UUID_FLAG_WENT_ON;
	in.peer.flags &= ~(UUID_FLAG_STABLE | UUID_FLAG_WENT_ON);
	decide(SYNC_SOURCE_USE_BITMAP, REPL_WF_BITMAP_S);
	in.peer.no_quorum = true;
	decide(SYNC_TARGET_USE_BITMAP, REPL_WF_BITMAP_T);
	in.peer.disk = DISK_CONSISTENT;
	decide(SYNC_SOURCE_USE_BITMAP, REPL_WF_BITMAP_S);
	in.peer.disk = DISK_UP_TO_DATE;
	in.me.role = ROLE_PRIMARY;
	decide(SYNC_SOURCE_USE_BITMAP, REPL_WF_BITMAP_S);
}

/* Who has the bits differs from pair to pair; among
 * many nodes only an order of them comes to an end. */
Test(sync_decide, once_connected_leftover_bits_go_by_the_order_of_nodes)
{
	in.again = true;
	in.peer.current = X;
	in.peer.dirty_bits = 1;
	decide(SYNC_SOURCE_USE_BITMAP, REPL_WF_BITMAP_S);
	in.me.flags |= UUID_FLAG_RECONNECT;
	in.peer.flags |= UUID_FLAG_RECONNECT;
	decide(SYNC_SOURCE_USE_BITMAP, REPL_WF_BITMAP_S);
	in.me.flags |= UUID_FLAG_CRASHED_PRIMARY;
	decide(SYNC_TARGET_USE_BITMAP, REPL_WF_BITMAP_T);
	in.me.flags &= ~UUID_FLAG_CRASHED_PRIMARY;
	in.peer.role = ROLE_PRIMARY;
	decide(SYNC_TARGET_USE_BITMAP, REPL_WF_BITMAP_T);
}

#define RING 5

/* Nodes in a ring, of which none sees all; what is written marks the block towards the next. */
struct ring {
	unsigned content[RING];
	uint8_t origin[RING];
	bool marked[RING][RING];
};

static void resync(struct ring *r, unsigned source, unsigned target)
{
	for (unsigned n = 0; n < RING; n++) {
		bool next = n == (target + 1) % RING || target == (n + 1) % RING;

		r->marked[target][n] |= next && r->content[target] != r->content[source];
	}
	r->marked[target][source] = r->marked[source][target] = false;
	r->content[target] = r->content[source];
	r->origin[target] = r->origin[source];
}

static bool settle_pair(struct ring *r, unsigned a, unsigned b)
{
	in.me.node_id = (uint8_t)a;
	in.peer.node_id = (uint8_t)b;
	in.me.origin = r->origin[a];
	in.peer.origin = r->origin[b];
	in.me.dirty_bits = r->marked[a][b];
	in.peer.dirty_bits = r->marked[b][a];
	if (!in.me.dirty_bits && !in.peer.dirty_bits)
		return false;
	if (sync_decide(&in).strategy == SYNC_SOURCE_USE_BITMAP)
		resync(r, a, b);
	else
		resync(r, b, a);
	return true;
}

/* Each would be overwritten by the one behind it, and overwrite the one before it. */
Test(sync_decide, two_that_differ_do_not_chase_each_other_round_a_ring)
{
	struct ring r = { .content = { 1, 1, 2, 2, 2 }, .origin = { 0, 1, 2, 3, 4 } };
	unsigned rounds = 0;
	bool any = true;

	in.peer.current = X;
	in.again = true;
	in.me.flags |= UUID_FLAG_SEES_NOT_ALL;
	in.peer.flags |= UUID_FLAG_SEES_NOT_ALL;
	r.marked[1][2] = r.marked[4][0] = true;
	for (; any; rounds++) {
		any = false;
		cr_assert_lt(rounds, 3 * RING);
		for (unsigned n = RING; n-- > 0;)
			any |= settle_pair(&r, n, (n + 1) % RING);
	}
	for (unsigned n = 1; n < RING; n++)
		cr_assert_eq(r.content[n], r.content[0], "node %u", n);
}

/* Both ends of a chain have got what the middle had, at different times. */
Test(sync_decide, the_middle_does_not_resync_from_both_ends_that_follow_it)
{
	in.again = true;
	in.peer.current = X;
	in.peer.node_id = in.peer.origin = in.me.origin = 2;
	in.me.flags |= UUID_FLAG_SEES_NOT_ALL | UUID_FLAG_RESYNCED;
	in.peer.dirty_bits = 1;
	decide(SYNC_TARGET_USE_BITMAP, REPL_WF_BITMAP_T);
}

/* The middle of a chain has got it later than the end: resyncs from both ends in turn would never
 * end. */
Test(sync_decide, of_two_that_follow_the_same_node_who_has_marked_something_leads)
{
	in.again = true;
	in.peer.current = X;
	in.me.node_id = 2;
	in.peer.node_id = 1;
	in.me.origin = in.peer.origin = 0;
	in.me.flags |= UUID_FLAG_SEES_NOT_ALL | UUID_FLAG_RESYNCED;
	in.peer.flags |= UUID_FLAG_RESYNCED;
	in.me.dirty_bits = 5;
	decide(SYNC_SOURCE_USE_BITMAP, REPL_WF_BITMAP_S);
	in.me.dirty_bits = 0;
	in.peer.dirty_bits = 5;
	decide(SYNC_TARGET_USE_BITMAP, REPL_WF_BITMAP_T);
}

/*
 * The end of the chain was restarted, and has what the middle had before. The middle has what went
 * on by now, and beside that would not be good by a resync from the end.
 */
Test(sync_decide, in_a_chain_who_went_on_leads_though_the_other_has_data_of_a_lower_node)
{
	in.again = true;
	in.peer.current = X;
	in.me.node_id = 1;
	in.peer.node_id = 3;
	in.me.origin = 4;
	in.peer.origin = 1;
	in.me.flags |= UUID_FLAG_SEES_NOT_ALL | UUID_FLAG_RESYNCED | UUID_FLAG_WENT_ON;
	in.peer.flags |= UUID_FLAG_SEES_NOT_ALL | UUID_FLAG_RESYNCED;
	in.me.dirty_bits = 5;
	decide(SYNC_SOURCE_USE_BITMAP, REPL_WF_BITMAP_S);
	in.me.flags &= ~UUID_FLAG_WENT_ON;
	decide(SYNC_TARGET_USE_BITMAP, REPL_WF_BITMAP_T);
}

/* It has got that from a survivor which the other does not see. */
Test(sync_decide, once_connected_what_a_crash_has_left_follows_where_not_all_see_each_other)
{
	in.again = true;
	in.peer.current = X;
	in.me.flags |= UUID_FLAG_SEES_NOT_ALL | UUID_FLAG_RESYNCED;
	in.peer.flags |= UUID_FLAG_CRASHED_PRIMARY;
	in.me.dirty_bits = 5;
	decide(SYNC_SOURCE_USE_BITMAP, REPL_WF_BITMAP_S);
	in.again = false;
	in.peer.dirty_bits = 5;
	cr_assert_eq(sync_decide(&in).strategy, SYNC_TARGET_IF_BOTH_FAILED);
}

/* The middle, with the highest id, would resync from both ends in turn. */
Test(sync_decide, of_two_that_a_crash_has_left_the_one_whose_data_are_passed_on_leads)
{
	in.again = true;
	in.peer.current = X;
	in.me.node_id = 2;
	in.me.origin = 0;
	in.peer.node_id = in.peer.origin = 1;
	in.me.flags |= UUID_FLAG_CRASHED_PRIMARY | UUID_FLAG_RESYNCED;
	in.peer.flags |= UUID_FLAG_CRASHED_PRIMARY | UUID_FLAG_SEES_NOT_ALL;
	in.me.dirty_bits = 5;
	decide(SYNC_SOURCE_USE_BITMAP, REPL_WF_BITMAP_S);
}

Test(sync_decide, a_crashed_primary_alone_is_no_better_than_a_disk_that_is_attached)
{
	in.peer.current = X;
	in.me.flags |= UUID_FLAG_CRASHED_PRIMARY | UUID_FLAG_RECONNECT;
	in.peer.flags |= UUID_FLAG_RECONNECT;
	in.me.dirty_bits = 1;
	in.peer.disk = DISK_CONSISTENT;
	decide(SYNC_TARGET_USE_BITMAP, REPL_WF_BITMAP_T);
	in.peer.disk = DISK_OUTDATED;
	decide(SYNC_SOURCE_USE_BITMAP, REPL_WF_BITMAP_S);
}

/* It was alone when it came up, so it is in no doubt; the survivor has just lost the Primary. */
Test(sync_decide, a_survivor_is_not_overwritten_by_a_secondary_after_a_power_loss)
{
	in.peer.current = X;
	in.me.disk = DISK_CONSISTENT;
	in.me.flags |= UUID_FLAG_RECONNECT;
	in.me.dirty_bits = in.peer.dirty_bits = 5;
	decide(SYNC_SOURCE_USE_BITMAP, REPL_WF_BITMAP_S);
	in.me.disk = DISK_OUTDATED;
	decide(SYNC_TARGET_USE_BITMAP, REPL_WF_BITMAP_T);
	in.me.disk = DISK_CONSISTENT;
	in.me.flags &= ~UUID_FLAG_RECONNECT;
	decide(SYNC_TARGET_USE_BITMAP, REPL_WF_BITMAP_T);
	in.me.flags |= UUID_FLAG_WENT_ON; /* the peer was taken out, and back */
	in.me.disk = DISK_UP_TO_DATE;
	in.me.dirty_bits = 0;
	decide(SYNC_SOURCE_USE_BITMAP, REPL_WF_BITMAP_S);
	/* its Primary meant to go on without it, and has not: nothing is newer */
	in.me.disk = DISK_OUTDATED;
	decide(SYNC_SOURCE_USE_BITMAP, REPL_WF_BITMAP_S);
	in.me.flags |= UUID_FLAG_LAGGED;
	decide(SYNC_TARGET_USE_BITMAP, REPL_WF_BITMAP_T);
}

Test(sync_decide, a_kernel_peer_keeps_its_own_rule)
{
	in.peer.current = X;
	in.peer.flags = UUID_FLAG_STABLE;
	in.me.dirty_bits = 1;
	decide(SYNC_NONE, REPL_ESTABLISHED);
	in.me.named_lost = in.peer.named_lost = true;
	decide(SYNC_SOURCE_USE_BITMAP, REPL_WF_BITMAP_S);
}

Test(sync_decide, fresh_nodes_stay_as_they_are)
{
	in.me.current = in.peer.current = UUID_JUST_CREATED;
	in.me.disk = in.peer.disk = DISK_INCONSISTENT;
	in.me.dirty_bits = in.peer.dirty_bits = 100;
	decide(SYNC_NONE, REPL_ESTABLISHED);
}

Test(sync_decide, the_better_disk_is_the_source)
{
	in.peer.current = X;
	in.me.disk = DISK_INCONSISTENT;
	decide(SYNC_TARGET_USE_BITMAP, REPL_WF_BITMAP_T);
	in.me.flags |= UUID_FLAG_CRASHED_PRIMARY;
	decide(SYNC_TARGET_USE_BITMAP, REPL_WF_BITMAP_T);
}

/* What the crash has left calls itself UpToDate; who went on is about to find out that it is. */
Test(sync_decide, a_survivor_is_not_overwritten_by_the_crashed_primary)
{
	in.peer.current = X;
	in.me.disk = DISK_CONSISTENT;
	in.me.flags |= UUID_FLAG_RECONNECT;
	in.peer.flags |= UUID_FLAG_CRASHED_PRIMARY;
	in.me.dirty_bits = in.peer.dirty_bits = 5;
	decide(SYNC_SOURCE_IF_BOTH_FAILED, REPL_WF_BITMAP_S);
	/* its disk was given up in time, and the Primary thought to go on */
	in.me.disk = DISK_OUTDATED;
	decide(SYNC_SOURCE_IF_BOTH_FAILED, REPL_WF_BITMAP_S);
	in.me.disk = DISK_INCONSISTENT;
	decide(SYNC_TARGET_USE_BITMAP, REPL_WF_BITMAP_T);
	in.me.disk = DISK_CONSISTENT;
	in.me.flags &= ~UUID_FLAG_RECONNECT;
	decide(SYNC_TARGET_USE_BITMAP, REPL_WF_BITMAP_T);
}

Test(sync_decide, an_interrupted_target_of_another_source_needs_the_right_slot)
{
	/* My current is that of my source; the peer, which
	 * has it too, must know since when I differ. */
	in.peer.current = X;
	in.me.disk = DISK_INCONSISTENT;
	in.me.flags |= UUID_FLAG_SYNC_TARGET;
	in.me.bitmap[1] = Z;
	decide(SYNC_TARGET_SET_BITMAP, REPL_WF_BITMAP_T);
	in.peer.bitmap[4] = Z;
	decide(SYNC_TARGET_CLEAR_BITMAP, REPL_WF_BITMAP_T);
	in.peer.bitmap[0] = Z;
	decide(SYNC_TARGET_USE_BITMAP, REPL_WF_BITMAP_T);
}

Test(sync_decide, an_interrupted_target_lacks_more_than_its_sources_slot_has_marked)
{
	/* My source had X when the peer went on to Y; I have not all of X. */
	in.peer.bitmap[4] = X;
	decide(SYNC_TARGET_CLEAR_BITMAP, REPL_WF_BITMAP_T);
	in.me.disk = DISK_INCONSISTENT;
	in.me.flags |= UUID_FLAG_SYNC_TARGET;
	in.me.bitmap[1] = Z;
	decide(SYNC_TARGET_SET_BITMAP, REPL_WF_BITMAP_T);
	in.peer.bitmap[5] = Z;
	cr_assert_eq(decide(SYNC_TARGET_CLEAR_BITMAP, REPL_WF_BITMAP_T).copy_from, 5);
}

Test(sync_decide, an_interrupted_target_lacks_more_than_its_own_slot_has_marked)
{
	/* I had X when the peer went on to Y; now I have an older disk, and not all of X yet. */
	in.peer.bitmap[0] = X;
	decide(SYNC_TARGET_USE_BITMAP, REPL_WF_BITMAP_T);
	in.me.disk = DISK_INCONSISTENT;
	in.me.flags |= UUID_FLAG_SYNC_TARGET;
	in.me.bitmap[1] = Z;
	decide(SYNC_TARGET_SET_BITMAP, REPL_WF_BITMAP_T);
	/* One that has got no older disk has stayed at X when its resync began. */
	in.me.bitmap[1] = X;
	decide(SYNC_TARGET_USE_BITMAP, REPL_WF_BITMAP_T);
}

Test(sync_decide, an_inconsistent_disk_is_no_source)
{
	struct sync_input swapped;

	in.me.bitmap[1] = Y;
	in.me.disk = DISK_INCONSISTENT;
	cr_assert_eq(decide(SYNC_NONE, REPL_ESTABLISHED).behind, SYNC_BEHIND_PEER);
	sync_input_swap(&in, &swapped);
	cr_assert_eq(sync_decide(&swapped).behind, SYNC_BEHIND_ME);
}

Test(sync_decide, a_present_primary_is_source_when_the_rule_was_arbitrary)
{
	in.peer.current = X;
	in.me.flags |= UUID_FLAG_CRASHED_PRIMARY;
	in.peer.role = ROLE_PRIMARY;
	decide(SYNC_TARGET_USE_BITMAP, REPL_WF_BITMAP_T);
}

Test(sync_decide, a_primary_is_not_overwritten)
{
	struct sync_decision d;

	in.peer.bitmap[0] = X;
	in.peer.dirty_bits = 4;
	in.me.role = ROLE_PRIMARY;
	d = sync_decide(&in);
	cr_assert_eq(d.kind, VERDICT_DISCONNECT);
	cr_assert_not_null(d.reason);
	in.rr_conflict = ASB_RETRY_CONNECT;
	cr_assert_eq(sync_decide(&in).kind, VERDICT_RETRY);
	in.rr_conflict = ASB_VIOLENTLY;
	decide(SYNC_TARGET_USE_BITMAP, REPL_WF_BITMAP_T);
	in.rr_conflict = ASB_DISCONNECT;
	in.me.attaching = true; /* its disk comes back: nobody uses it yet */
	decide(SYNC_TARGET_USE_BITMAP, REPL_WF_BITMAP_T);
}

Test(sync_decide, circular_references_are_a_split_brain)
{
	in.me.bitmap[1] = Y;
	in.peer.bitmap[0] = X;
	cr_assert_eq(sync_decide(&in).kind, VERDICT_DISCONNECT);
}

Test(sync_decide, an_unstable_split_brain_waits_for_the_third_node)
{
	in.me.bitmap[1] = in.peer.bitmap[0] = Z;
	in.peer.flags &= ~UUID_FLAG_STABLE;
	decide(SYNC_NONE, REPL_ESTABLISHED);
}

/* It never lost the connection to a peer that has got, from elsewhere, what a crash has left of a
 * Primary. */
Test(sync_decide, who_was_there_at_the_crash_leads)
{
	in.peer.current = X;
	in.me.flags |= UUID_FLAG_WENT_ON;
	in.peer.flags |= UUID_FLAG_CRASHED_PRIMARY;
	in.me.disk = DISK_CONSISTENT;
	in.again = true;
	decide(SYNC_SOURCE_IF_BOTH_FAILED, REPL_WF_BITMAP_S);
	expect(SYNC_SOURCE_IF_BOTH_FAILED, RULE_LOST_QUORUM);
	in.me.flags &= ~UUID_FLAG_WENT_ON;
	decide(SYNC_TARGET_USE_BITMAP, REPL_WF_BITMAP_T);
}

/* After a restart of all nodes the two may have no quorum without each other. */
Test(sync_decide, of_two_without_quorum_the_one_that_lost_it_as_primary_gives_way)
{
	in.me.bitmap[1] = in.peer.bitmap[0] = Z;
	in.me.flags |= UUID_FLAG_KEEPS_BITS;
	in.peer.flags |= UUID_FLAG_KEEPS_BITS;
	in.by_quorum = in.me.no_quorum = in.peer.no_quorum = true;
	cr_assert_eq(sync_decide(&in).kind, VERDICT_RETRY);
	in.me.flags |= UUID_FLAG_PRIMARY_LOST_QUORUM;
	decide(SYNC_TARGET_USE_BITMAP, REPL_WF_BITMAP_T);
	in.peer.flags |= UUID_FLAG_PRIMARY_LOST_QUORUM;
	cr_assert_eq(sync_decide(&in).kind, VERDICT_RETRY);
	in.me.flags |= UUID_FLAG_WENT_ON; /* the disk of the other one was gone for a while */
	cr_assert_eq(sync_decide(&in).kind, VERDICT_RETRY);
	in.me.flags &= ~(UUID_FLAG_WENT_ON | UUID_FLAG_PRIMARY_LOST_QUORUM);
	decide(SYNC_SOURCE_USE_BITMAP, REPL_WF_BITMAP_S);
	/* Part of it may be answered. */
	in.peer.flags |= UUID_FLAG_WENT_ON;
	cr_assert_eq(sync_decide(&in).kind, VERDICT_RETRY);
	in.peer.flags &= ~UUID_FLAG_WENT_ON;
	in.me.disk = DISK_OUTDATED;
	cr_assert_eq(sync_decide(&in).kind, VERDICT_RETRY);
	in.me.disk = DISK_UP_TO_DATE;
	in.peer.flags &= ~UUID_FLAG_KEEPS_BITS; /* a DRBD kernel */
	cr_assert_eq(sync_decide(&in).kind, VERDICT_RETRY);
}

/* Also when neither disk is good: the one has led on the other's, and knows it. */
Test(sync_decide, of_two_without_quorum_the_one_that_made_the_others_generation_gives_way)
{
	in.me.bitmap[1] = in.peer.bitmap[0] = Z;
	in.me.flags |= UUID_FLAG_KEEPS_BITS;
	in.peer.flags |= UUID_FLAG_KEEPS_BITS;
	in.by_quorum = in.me.no_quorum = in.peer.no_quorum = true;
	in.me.disk = in.peer.disk = DISK_OUTDATED;
	cr_assert_eq(sync_decide(&in).kind, VERDICT_RETRY);
	in.me.flags |= UUID_FLAG_MADE_YOURS;
	decide(SYNC_TARGET_USE_BITMAP, REPL_WF_BITMAP_T);
	in.peer.flags |= UUID_FLAG_PRIMARY_LOST_QUORUM;
	decide(SYNC_TARGET_USE_BITMAP, REPL_WF_BITMAP_T);
	in.peer.flags |= UUID_FLAG_MADE_YOURS;
	in.peer.flags &= ~UUID_FLAG_PRIMARY_LOST_QUORUM;
	cr_assert_eq(sync_decide(&in).kind, VERDICT_RETRY);
	in.me.flags &= ~UUID_FLAG_MADE_YOURS;
	decide(SYNC_SOURCE_USE_BITMAP, REPL_WF_BITMAP_S);
	in.peer.no_quorum = false;
	in.peer.disk = DISK_UP_TO_DATE; /* it leads, as before */
	decide(SYNC_TARGET_USE_BITMAP, REPL_WF_BITMAP_T);
}

/* The quorum of disks that others have left behind: nobody has gone on there. */
Test(sync_decide, a_disk_that_is_not_good_does_not_lead_by_its_quorum)
{
	in.me.bitmap[1] = in.peer.bitmap[0] = Z;
	in.me.flags |= UUID_FLAG_KEEPS_BITS;
	in.peer.flags |= UUID_FLAG_KEEPS_BITS;
	in.by_quorum = in.peer.no_quorum = true;
	decide(SYNC_SOURCE_USE_BITMAP, REPL_WF_BITMAP_S);
	in.me.disk = DISK_OUTDATED;
	cr_assert_eq(sync_decide(&in).kind, VERDICT_RETRY);
	in.peer.no_quorum = false;
	decide(SYNC_TARGET_USE_BITMAP, REPL_WF_BITMAP_T);
	in.peer.no_quorum = true;
	in.peer.flags &= ~UUID_FLAG_KEEPS_BITS; /* a DRBD kernel goes by quorum alone */
	decide(SYNC_SOURCE_USE_BITMAP, REPL_WF_BITMAP_S);
}

Test(sync_decide, a_resync_target_is_no_split_brain)
{
	in.me.bitmap[1] = in.peer.bitmap[0] = Z;
	in.me.flags |= UUID_FLAG_SYNC_TARGET;
	cr_assert_eq(sync_decide(&in).kind, VERDICT_RETRY);
}

Test(sync_decide, discard_my_data_chooses_the_victim)
{
	in.me.bitmap[1] = in.peer.bitmap[0] = Z;
	cr_assert_eq(sync_decide(&in).kind, VERDICT_DISCONNECT);
	in.me.flags |= UUID_FLAG_DISCARD_MY_DATA;
	decide(SYNC_TARGET_USE_BITMAP, REPL_WF_BITMAP_T);
	/* Without a common reference only a full resync is right (H19). */
	in.me.bitmap[1] = in.peer.bitmap[0] = 0;
	in.me.history[0] = in.peer.history[0] = Z;
	decide(SYNC_TARGET_SET_BITMAP, REPL_WF_BITMAP_T);
}

/* It has lost its disk, and written on at ours: what its disk has is of before. */
Test(sync_decide, my_data_are_not_discarded_for_the_outdated_disk_of_a_primary)
{
	in.me.bitmap[1] = Y; /* the peer is behind */
	in.me.flags |= UUID_FLAG_DISCARD_MY_DATA;
	in.peer.disk = DISK_OUTDATED;
	decide(SYNC_TARGET_USE_BITMAP, REPL_WF_BITMAP_T);
	in.peer.role = ROLE_PRIMARY;
	decide(SYNC_SOURCE_USE_BITMAP, REPL_WF_BITMAP_S);
	in.peer.disk = DISK_UP_TO_DATE;
	in.rr_conflict = ASB_VIOLENTLY;
	decide(SYNC_TARGET_USE_BITMAP, REPL_WF_BITMAP_T);
}

Test(sync_decide, before_124_a_missed_finish_without_bits_is_noted_first)
{
	in.apv = 123;
	in.peer.current = X;
	in.me.bitmap[1] = Z;
	cr_assert_eq(sync_decide(&in).kind, VERDICT_RETRY);
	in.me.bitmap[1] = 0;
	in.peer.bitmap[0] = Z;
	decide(SYNC_TARGET_USE_BITMAP, REPL_WF_BITMAP_T);
	in.me.role = ROLE_PRIMARY;
	cr_assert_eq(sync_decide(&in).kind, VERDICT_DISCONNECT);
}

Test(uuid_compare, before_110_a_present_primary_leads_after_a_crash)
{
	in.apv = 101;
	in.me.flags = in.peer.flags = UUID_FLAG_STABLE;
	in.peer.current = X;
	in.me.flags |= UUID_FLAG_CRASHED_PRIMARY;
	expect(SYNC_SOURCE_USE_BITMAP, RULE_BOTH_OFF);
	in.peer.role = ROLE_PRIMARY;
	expect(SYNC_TARGET_USE_BITMAP, RULE_BOTH_OFF);
	in.me.role = ROLE_PRIMARY;
	expect(SYNC_SPLIT_BRAIN_DISCONNECT, RULE_BOTH_OFF);
	in.me.flags = UUID_FLAG_STABLE;
	in.peer.role = ROLE_SECONDARY;
	expect(SYNC_NONE, RULE_BOTH_OFF);
}

Test(uuid_compare, before_110_a_lost_sync_uuid_leaves_the_bitmap_valid)
{
	in.apv = 101;
	in.me.flags = in.peer.flags = UUID_FLAG_STABLE;
	in.me.history[0] = Y;
	in.me.bitmap[1] = Y + SYNC_UUID_STEP;
	expect(SYNC_SOURCE_USE_BITMAP, RULE_BITMAP_SELF);
	in.me.bitmap[1] = Z;
	expect(SYNC_SOURCE_SET_BITMAP, RULE_HISTORY_SELF);
}

Test(sync_decide, before_110_a_full_sync_stays_full_when_disks_choose_the_source)
{
	in.apv = 101;
	in.me.flags = in.peer.flags = UUID_FLAG_STABLE;
	in.peer.current = UUID_JUST_CREATED;
	in.peer.disk = DISK_INCONSISTENT;
	decide(SYNC_SOURCE_SET_BITMAP, REPL_WF_BITMAP_S);
	in.peer.current = Y;
	in.me.bitmap[1] = Y;
	decide(SYNC_SOURCE_USE_BITMAP, REPL_WF_BITMAP_S);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The policies after a split brain. */
#include "sync_input.h"

TestSuite(split_brain, .init = setup);

static void policy(enum after_sb p0, enum sync_strategy expected)
{
	in.after_sb_0p = p0;
	cr_assert_eq(split_brain_policy(&in), expected, "policy %d: %s", (int)p0,
		     sync_strategy_name(split_brain_policy(&in)));
}

#define SOURCE SYNC_SOURCE_USE_BITMAP
#define TARGET SYNC_TARGET_USE_BITMAP
#define UNSOLVED SYNC_SPLIT_BRAIN_DISCONNECT

Test(split_brain, without_primary)
{
	in.me.dirty_bits = 5;
	in.peer.dirty_bits = 2;
	policy(ASB_DISCONNECT, UNSOLVED);
	policy(ASB_DISCARD_LEAST_CHANGES, SOURCE);
	policy(ASB_DISCARD_ZERO_CHANGES, UNSOLVED);
	policy(ASB_DISCARD_LOCAL, TARGET);
	policy(ASB_DISCARD_REMOTE, SOURCE);
	policy(ASB_DISCARD_YOUNGER_PRIMARY, SOURCE); /* undecided: fewer changes lose */
	in.peer.dirty_bits = 0;
	policy(ASB_DISCARD_ZERO_CHANGES, SOURCE);
	in.me.dirty_bits = 0;
	policy(ASB_DISCARD_ZERO_CHANGES, TARGET); /* tie: who resolves conflicts yields */
	in.me.rc = false;
	policy(ASB_DISCARD_LEAST_CHANGES, SOURCE);
	policy(ASB_CONSENSUS, UNSOLVED);
}

Test(split_brain, by_the_mark_of_the_last_primary)
{
	in.peer.bitmap[0] = Z | UUID_PRIMARY;
	in.me.bitmap[1] = Z;
	policy(ASB_DISCARD_YOUNGER_PRIMARY, TARGET);
	policy(ASB_DISCARD_OLDER_PRIMARY, SOURCE);
}

Test(split_brain, with_one_primary)
{
	in.me.role = ROLE_PRIMARY;
	in.after_sb_1p = ASB_DISCARD_SECONDARY;
	policy(ASB_DISCONNECT, SOURCE);
	in.after_sb_1p = ASB_CONSENSUS;
	policy(ASB_DISCARD_REMOTE, SOURCE);
	policy(ASB_DISCARD_LOCAL, UNSOLVED);
	in.after_sb_1p = ASB_VIOLENTLY;
	policy(ASB_DISCARD_LOCAL, TARGET);
	in.after_sb_1p = ASB_DISCONNECT;
	policy(ASB_DISCARD_REMOTE, UNSOLVED);
}

Test(split_brain, with_two_primaries)
{
	in.me.role = in.peer.role = ROLE_PRIMARY;
	in.after_sb_2p = ASB_DISCONNECT;
	policy(ASB_DISCARD_REMOTE, UNSOLVED);
	in.after_sb_2p = ASB_VIOLENTLY;
	policy(ASB_DISCARD_REMOTE, SOURCE);
}

Test(split_brain, names)
{
	cr_assert_str_eq(sync_strategy_name(SYNC_SOURCE_COPY_BITMAP), "source-copy-other-bitmap");
	cr_assert_str_eq(sync_rule_name(RULE_BITMAP_BOTH), "bitmap-both");
	cr_assert_str_eq(sync_rule_name((enum sync_rule)99), "?");
}

/* ---- before 110: DRBD 8.4 ---- */

/* It has quorum with others that have its generation, and is in doubt as they are. */
Test(split_brain, who_has_a_generation_with_most_others_leads_a_fork_without_quorum)
{
	in.me.bitmap[1] = in.peer.bitmap[0] = Z;
	in.me.flags |= UUID_FLAG_KEEPS_BITS;
	in.peer.flags |= UUID_FLAG_KEEPS_BITS;
	in.by_quorum = in.peer.no_quorum = true;
	in.me.disk = DISK_OUTDATED;
	cr_assert_eq(sync_decide(&in).kind, VERDICT_RETRY);
	in.me.flags |= UUID_FLAG_SHARED;
	cr_assert_eq(sync_decide(&in).strategy, SYNC_SOURCE_USE_BITMAP);
	in.me.no_quorum = true;
	cr_assert_eq(sync_decide(&in).kind, VERDICT_RETRY);
}

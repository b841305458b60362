/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who resyncs from whom: the comparison of generations
 * as one pure function (states-and-resync 2.2, 2.3). */
#include <stddef.h>

#include "base/assert.h"
#include "core/uuid.h"

/* ---- strategies ---- */

struct strategy {
	const char *name;
	int direction; /* 1 source, -1 target */
	enum sync_strategy reverse, full, mirror;
};

static const struct strategy strategies[] = {
	[SYNC_NONE] = { "no-sync", 0, SYNC_NONE, SYNC_NONE, SYNC_NONE },
	[SYNC_SOURCE_IF_BOTH_FAILED] = { "source-if-both-failed", 1, SYNC_TARGET_IF_BOTH_FAILED,
					 SYNC_NONE, SYNC_TARGET_IF_BOTH_FAILED },
	[SYNC_SOURCE_USE_BITMAP] = { "source-use-bitmap", 1, SYNC_TARGET_USE_BITMAP,
				     SYNC_SOURCE_SET_BITMAP, SYNC_TARGET_USE_BITMAP },
	[SYNC_SOURCE_SET_BITMAP] = { "source-set-bitmap", 1, SYNC_TARGET_SET_BITMAP,
				     SYNC_SOURCE_SET_BITMAP, SYNC_TARGET_SET_BITMAP },
	[SYNC_SOURCE_COPY_BITMAP] = { "source-copy-other-bitmap", 1, SYNC_NONE, SYNC_NONE,
				      SYNC_TARGET_CLEAR_BITMAP },
	[SYNC_TARGET_IF_BOTH_FAILED] = { "target-if-both-failed", -1, SYNC_SOURCE_IF_BOTH_FAILED,
					 SYNC_NONE, SYNC_SOURCE_IF_BOTH_FAILED },
	[SYNC_TARGET_USE_BITMAP] = { "target-use-bitmap", -1, SYNC_SOURCE_USE_BITMAP,
				     SYNC_TARGET_SET_BITMAP, SYNC_SOURCE_USE_BITMAP },
	[SYNC_TARGET_SET_BITMAP] = { "target-set-bitmap", -1, SYNC_SOURCE_SET_BITMAP,
				     SYNC_TARGET_SET_BITMAP, SYNC_SOURCE_SET_BITMAP },
	[SYNC_TARGET_CLEAR_BITMAP] = { "target-clear-bitmap", -1, SYNC_NONE, SYNC_NONE,
				       SYNC_SOURCE_COPY_BITMAP },
	[SYNC_SPLIT_BRAIN_AUTO_RECOVER] = { "split-brain-auto-recover", 0, SYNC_NONE, SYNC_NONE,
					    SYNC_SPLIT_BRAIN_AUTO_RECOVER },
	[SYNC_SPLIT_BRAIN_DISCONNECT] = { "split-brain-disconnect", 0, SYNC_NONE, SYNC_NONE,
					  SYNC_SPLIT_BRAIN_DISCONNECT },
	[SYNC_UNRELATED_DATA] = { "unrelated-data", 0, SYNC_NONE, SYNC_NONE, SYNC_UNRELATED_DATA },
	[SYNC_RETRY_CONNECT] = { "retry-connect", 0, SYNC_NONE, SYNC_NONE, SYNC_RETRY_CONNECT },
	[SYNC_REQUIRES_PROTO_124] = { "requires-protocol-124", 0, SYNC_NONE, SYNC_NONE,
				      SYNC_RETRY_CONNECT },
};

const char *sync_strategy_name(enum sync_strategy s)
{
	return (size_t)s < ARRAY_LEN(strategies) ? strategies[s].name : "?";
}

bool strategy_is_source(enum sync_strategy s)
{
	return strategies[s].direction > 0;
}

bool strategy_is_target(enum sync_strategy s)
{
	return strategies[s].direction < 0;
}

bool strategy_is_split_brain(enum sync_strategy s)
{
	return s == SYNC_SPLIT_BRAIN_AUTO_RECOVER || s == SYNC_SPLIT_BRAIN_DISCONNECT;
}

enum sync_strategy strategy_reverse(enum sync_strategy s)
{
	return strategies[s].reverse;
}

enum sync_strategy strategy_full(enum sync_strategy s)
{
	return strategies[s].full;
}

enum sync_strategy strategy_mirror(enum sync_strategy s)
{
	return strategies[s].mirror;
}

const char *sync_rule_name(enum sync_rule r)
{
	static const char *const names[] = {
		[RULE_NONE] = "none",
		[RULE_INITIAL_HANDSHAKE_CHANGED] = "initial-handshake-changed",
		[RULE_JUST_CREATED_BOTH] = "just-created-both",
		[RULE_JUST_CREATED_SELF] = "just-created-self",
		[RULE_JUST_CREATED_PEER] = "just-created-peer",
		[RULE_SOURCE_MISSED_FINISH] = "source-missed-finish",
		[RULE_TARGET_PEER_MISSED_FINISH] = "target-peer-missed-finish",
		[RULE_RECONNECTED] = "reconnected",
		[RULE_CRASHED_PRIMARY] = "crashed-primary",
		[RULE_LOST_QUORUM] = "lost-quorum",
		[RULE_BOTH_OFF] = "both-off",
		[RULE_BITMAP_PEER] = "bitmap-peer",
		[RULE_BITMAP_PEER_OTHER] = "bitmap-peer-other",
		[RULE_BITMAP_SELF] = "bitmap-self",
		[RULE_BITMAP_SELF_OTHER] = "bitmap-self-other",
		[RULE_HISTORY_PEER] = "history-peer",
		[RULE_HISTORY_SELF] = "history-self",
		[RULE_BITMAP_BOTH] = "bitmap-both",
		[RULE_HISTORY_BOTH] = "history-both",
	};

	return (size_t)r < ARRAY_LEN(names) ? names[r] : "?";
}

/* ---- the table ---- */

static struct sync_decision decided(enum sync_strategy strategy, enum sync_rule rule)
{
	return (struct sync_decision){
		.strategy = strategy,
		.rule = rule,
		.copy_from = NODES_MAX,
	};
}

static bool just_created(const struct uuid_side *side)
{
	return !side->current || uuid_eq(side->current, UUID_JUST_CREATED);
}

static bool in_history(const struct uuid_side *side, uint64_t uuid)
{
	for (unsigned i = 0; i < HISTORY_UUIDS; i++)
		if (side->history[i] && uuid_eq(side->history[i], uuid))
			return true;
	return false;
}

/* Node id (not `but`) towards which this side's reference is `uuid`, NODES_MAX = none. */
static unsigned other_bitmap(const struct uuid_side *side, uint64_t uuid, unsigned but)
{
	for (unsigned n = 0; n < NODES_MAX; n++)
		if (n != but && side->bitmap[n] != UUID_UNKNOWN && side->bitmap[n] &&
		    uuid_eq(side->bitmap[n], uuid))
			return n;
	return NODES_MAX;
}

/* `source` was resync source of `target` and did not see the end (1.11). */
static bool missed_finish(const struct sync_input *in, const struct uuid_side *source,
			  const struct uuid_side *target)
{
	uint64_t reference = source->bitmap[target->node_id];

	if ((source->flags | target->flags) & UUID_FLAG_SYNC_TARGET || in->again)
		return false;
	/* What a crash has left of the source is not what the target got, from it or from a
	 * third node. A DRBD kernel does not ask. */
	if (source->flags & UUID_FLAG_CRASHED_PRIMARY &&
	    !(target->flags & UUID_FLAG_CRASHED_PRIMARY) &&
	    source->flags & target->flags & UUID_FLAG_KEEPS_BITS)
		return false;
	if (in->apv >= 124 && !source->dirty_bits && !target->dirty_bits)
		return false;
	return reference && reference != UUID_UNKNOWN && !uuid_eq(reference, target->current) &&
	       target->bitmap[source->node_id] == 0;
}

/*
 * Who is source where nothing tells the two apart. The kernel goes by RESOLVE_CONFLICTS, which is
 * drawn anew for each connection: among more than two nodes resyncs in a ring would never end. An
 * order of the nodes leads to one source of all.
 */
static bool i_lead(const struct sync_input *in, bool by_rc)
{
	if (in->me.flags & in->peer.flags & UUID_FLAG_KEEPS_BITS)
		return in->me.node_id < in->peer.node_id;
	return by_rc;
}

/*
 * Was there when the Primary crashed, also if it never lost the connection to this peer, which has
 * got what the crash has left from elsewhere. A DRBD kernel does not tell.
 */
static bool outlived(const struct uuid_side *side)
{
	return side->flags & UUID_FLAG_WENT_ON && !(side->flags & UUID_FLAG_CRASHED_PRIMARY);
}

/*
 * A survivor that was behind protocol A may lack what the crash has left, and is the target; so is
 * one that was behind B and was restarted. It says so itself: the mark of the crash passes to
 * whoever resyncs from there, and the connection to that one may be another. A DRBD kernel goes by
 * the connection.
 */
static bool crash_has_more(const struct sync_input *in)
{
	const struct uuid_side *me = &in->me, *peer = &in->peer;
	const struct uuid_side *survivor = me->flags & UUID_FLAG_CRASHED_PRIMARY ? peer : me;

	if (!((me->flags ^ peer->flags) & UUID_FLAG_CRASHED_PRIMARY))
		return false;
	if (me->flags & peer->flags & UUID_FLAG_KEEPS_BITS)
		return survivor->flags & UUID_FLAG_LAGGED;
	return in->apv >= 121 && in->async;
}

/*
 * Two that have met before, and are good: who is not marked as what a crash has left any more has
 * got other data since from one that outlived it, which the other need not see. Its data are passed
 * on; and of two that are marked, those of the one that is to be the source of all (by_loss() and
 * by_bits() in sync_decide.c).
 */
static bool passes_on(const struct sync_input *in)
{
	const struct uuid_side *me = &in->me, *peer = &in->peer;

	return in->again && me->disk == DISK_UP_TO_DATE && peer->disk == DISK_UP_TO_DATE &&
	       !me->attaching && !peer->attaching &&
	       me->flags & peer->flags & UUID_FLAG_KEEPS_BITS &&
	       (me->flags | peer->flags) & UUID_FLAG_SEES_NOT_ALL;
}

/* Rows 4 to 19: equal generations. */
static struct sync_decision compare_equal(const struct sync_input *in)
{
	const struct uuid_side *me = &in->me, *peer = &in->peer;
	bool i_crashed = me->flags & UUID_FLAG_CRASHED_PRIMARY;
	bool it_crashed = peer->flags & UUID_FLAG_CRASHED_PRIMARY;
	bool i_was = me->flags & UUID_FLAG_RECONNECT, it_was = peer->flags & UUID_FLAG_RECONNECT;
	bool my_quorum_lost = me->flags & UUID_FLAG_PRIMARY_LOST_QUORUM;
	bool its_quorum_lost = peer->flags & UUID_FLAG_PRIMARY_LOST_QUORUM;
	/* The name that the rows with one RECONNECT run under. */
	enum sync_rule once = in->apv >= 120 ? RULE_LOST_QUORUM : RULE_RECONNECTED;

	if (missed_finish(in, me, peer))
		return decided(SYNC_SOURCE_USE_BITMAP, RULE_SOURCE_MISSED_FINISH);
	if (missed_finish(in, peer, me))
		return decided(SYNC_TARGET_USE_BITMAP, RULE_TARGET_PEER_MISSED_FINISH);
	if (in->apv >= 120 && i_was && it_was)
		return decided(SYNC_NONE, RULE_RECONNECTED);
	if (crash_has_more(in))
		return decided(i_crashed ? SYNC_SOURCE_USE_BITMAP : SYNC_TARGET_USE_BITMAP,
			       RULE_CRASHED_PRIMARY);
	if (its_quorum_lost && my_quorum_lost)
		return decided(i_lead(in, me->rc) ? SYNC_SOURCE_IF_BOTH_FAILED :
						    SYNC_TARGET_IF_BOTH_FAILED,
			       RULE_LOST_QUORUM);
	if (its_quorum_lost)
		return decided(SYNC_TARGET_IF_BOTH_FAILED, RULE_LOST_QUORUM);
	if (my_quorum_lost)
		return decided(SYNC_SOURCE_IF_BOTH_FAILED, RULE_LOST_QUORUM);
	if (i_was && it_was)
		return decided(SYNC_NONE, RULE_RECONNECTED);
	if (it_crashed && (i_was || outlived(me)))
		return decided(SYNC_SOURCE_IF_BOTH_FAILED, once);
	if (i_crashed && (it_was || outlived(peer)))
		return decided(SYNC_TARGET_IF_BOTH_FAILED, once);
	if (i_was || it_was)
		return decided(SYNC_NONE, once);
	if (i_crashed && it_crashed && !passes_on(in))
		return decided(i_lead(in, !me->rc) ? SYNC_SOURCE_IF_BOTH_FAILED :
						     SYNC_TARGET_IF_BOTH_FAILED,
			       RULE_BOTH_OFF);
	if (i_crashed && !passes_on(in))
		return decided(SYNC_SOURCE_IF_BOTH_FAILED, RULE_BOTH_OFF);
	if (it_crashed && !passes_on(in))
		return decided(SYNC_TARGET_IF_BOTH_FAILED, RULE_BOTH_OFF);
	return decided(SYNC_NONE, RULE_BOTH_OFF);
}

/* The source has taken its step, and P_SYNC_UUID did not reach the target (before 110). */
static bool lost_sync_uuid(const struct sync_input *in, const struct uuid_side *source,
			   const struct uuid_side *target)
{
	return in->apv < 110 && source->history[0] &&
	       uuid_eq(source->history[0], target->current) &&
	       uuid_eq(source->history[0] + SYNC_UUID_STEP, source->bitmap[target->node_id]);
}

static bool knows(const struct uuid_side *side, uint64_t uuid)
{
	return in_history(side, uuid) || other_bitmap(side, uuid, NODES_MAX) < NODES_MAX;
}

/* A generation that a reference has is not in the history (1.4); it is an ancestor all the same. */
static bool share_ancestor(const struct uuid_side *a, const struct uuid_side *b)
{
	for (unsigned i = 0; i < HISTORY_UUIDS; i++)
		if (a->history[i] && knows(b, a->history[i]))
			return true;
	for (unsigned n = 0; n < NODES_MAX; n++)
		if (a->bitmap[n] && a->bitmap[n] != UUID_UNKNOWN && knows(b, a->bitmap[n]))
			return true;
	return false;
}

/* Rows 20 to 28: different generations. */
static struct sync_decision compare_different(const struct sync_input *in)
{
	const struct uuid_side *me = &in->me, *peer = &in->peer;
	uint64_t mine = me->bitmap[peer->node_id], its = peer->bitmap[me->node_id];
	bool mine_known = mine && mine != UUID_UNKNOWN, its_known = its && its != UUID_UNKNOWN;
	struct sync_decision d;
	unsigned n;

	if (its_known && uuid_eq(me->current, its))
		return decided(SYNC_TARGET_USE_BITMAP, RULE_BITMAP_PEER);
	n = other_bitmap(peer, me->current, me->node_id);
	if (n < NODES_MAX) {
		d = decided(SYNC_TARGET_CLEAR_BITMAP, RULE_BITMAP_PEER_OTHER);
		d.copy_from = (uint8_t)n;
		return d;
	}
	if (mine_known && uuid_eq(mine, peer->current))
		return decided(SYNC_SOURCE_USE_BITMAP, RULE_BITMAP_SELF);
	n = other_bitmap(me, peer->current, peer->node_id);
	if (n < NODES_MAX) {
		d = decided(SYNC_SOURCE_COPY_BITMAP, RULE_BITMAP_SELF_OTHER);
		d.copy_from = (uint8_t)n;
		return d;
	}
	if (lost_sync_uuid(in, peer, me))
		return decided(SYNC_TARGET_USE_BITMAP, RULE_BITMAP_PEER);
	if (lost_sync_uuid(in, me, peer))
		return decided(SYNC_SOURCE_USE_BITMAP, RULE_BITMAP_SELF);
	if (in_history(peer, me->current) && !in_history(me, peer->current))
		return decided(SYNC_TARGET_SET_BITMAP, RULE_HISTORY_PEER);
	if (in_history(me, peer->current) && !in_history(peer, me->current))
		return decided(SYNC_SOURCE_SET_BITMAP, RULE_HISTORY_SELF);
	if (mine_known && its_known && uuid_eq(mine, its))
		return decided(SYNC_SPLIT_BRAIN_AUTO_RECOVER, RULE_BITMAP_BOTH);
	if (share_ancestor(me, peer))
		return decided(SYNC_SPLIT_BRAIN_DISCONNECT, RULE_HISTORY_BOTH);
	return decided(SYNC_UNRELATED_DATA, RULE_HISTORY_BOTH);
}

/* Before 110: who was source of a resync has a reference left if either did not see its end. */
static struct sync_decision compare_equal_before_110(const struct sync_input *in)
{
	const struct uuid_side *me = &in->me, *peer = &in->peer;
	uint64_t mine = me->bitmap[peer->node_id], its = peer->bitmap[me->node_id];
	bool i_crashed = me->flags & UUID_FLAG_CRASHED_PRIMARY;
	bool it_crashed = peer->flags & UUID_FLAG_CRASHED_PRIMARY;

	if (mine && !its)
		return decided(SYNC_SOURCE_USE_BITMAP, RULE_SOURCE_MISSED_FINISH);
	if (its && !mine)
		return decided(SYNC_TARGET_USE_BITMAP, RULE_TARGET_PEER_MISSED_FINISH);
	if (!i_crashed && !it_crashed)
		return decided(SYNC_NONE, RULE_BOTH_OFF);
	/* Who is Primary now has gone on from there, whoever was it before the crash. */
	if (me->role == ROLE_PRIMARY && peer->role == ROLE_PRIMARY)
		return decided(SYNC_SPLIT_BRAIN_DISCONNECT, RULE_BOTH_OFF);
	if (me->role == ROLE_PRIMARY)
		return decided(SYNC_SOURCE_USE_BITMAP, RULE_BOTH_OFF);
	if (peer->role == ROLE_PRIMARY)
		return decided(SYNC_TARGET_USE_BITMAP, RULE_BOTH_OFF);
	if (i_crashed && it_crashed)
		return decided(me->rc ? SYNC_TARGET_USE_BITMAP : SYNC_SOURCE_USE_BITMAP,
			       RULE_BOTH_OFF);
	return decided(i_crashed ? SYNC_SOURCE_USE_BITMAP : SYNC_TARGET_USE_BITMAP,
		       RULE_BOTH_OFF);
}

struct sync_decision uuid_compare(const struct sync_input *in)
{
	bool i_am_new = just_created(&in->me), it_is_new = just_created(&in->peer);

	if (i_am_new && it_is_new)
		return decided(SYNC_NONE, RULE_JUST_CREATED_BOTH);
	if (i_am_new)
		return decided(SYNC_TARGET_SET_BITMAP, RULE_JUST_CREATED_SELF);
	if (it_is_new)
		return decided(SYNC_SOURCE_SET_BITMAP, RULE_JUST_CREATED_PEER);
	if (uuid_eq(in->me.current, in->peer.current))
		return in->apv < 110 ? compare_equal_before_110(in) : compare_equal(in);
	return compare_different(in);
}

void sync_input_swap(const struct sync_input *in, struct sync_input *out)
{
	*out = *in;
	out->me = in->peer;
	out->peer = in->me;
	/* The settings must agree, and these two agree when they are opposite. */
	if (in->after_sb_0p == ASB_DISCARD_LOCAL)
		out->after_sb_0p = ASB_DISCARD_REMOTE;
	if (in->after_sb_0p == ASB_DISCARD_REMOTE)
		out->after_sb_0p = ASB_DISCARD_LOCAL;
}

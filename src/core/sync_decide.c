/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From the comparison of generations to what the connection
 * does: overrides, policies, roles (2.4 to 2.7): pure. */
#include <stddef.h>

#include "core/uuid.h"

/* ---- disk states (2.4) ---- */

static bool comparable(enum disk_state disk)
{
	return disk >= DISK_INCONSISTENT && disk != DISK_UNKNOWN;
}

/* How far the slots reach when the disk states make
 * `source` the source: node id whose slot serves. */
static enum sync_strategy override_source(const struct uuid_side *source,
					  const struct uuid_side *target, uint8_t *copy_from)
{
	uint64_t its = target->bitmap[source->node_id];

	*copy_from = NODES_MAX;
	if (!(target->flags & UUID_FLAG_SYNC_TARGET))
		return SYNC_SOURCE_USE_BITMAP;
	if (!its || its == UUID_UNKNOWN)
		return SYNC_SOURCE_SET_BITMAP;
	if (uuid_eq(its, target->current) && uuid_eq(its, source->current))
		return SYNC_SOURCE_USE_BITMAP;
	if (source->bitmap[target->node_id] != UUID_UNKNOWN &&
	    uuid_eq(its, source->bitmap[target->node_id]))
		return SYNC_SOURCE_USE_BITMAP;
	for (unsigned n = 0; n < NODES_MAX; n++) {
		if (source->bitmap[n] == UUID_UNKNOWN || !uuid_eq(its, source->bitmap[n]))
			continue;
		*copy_from = (uint8_t)n;
		return SYNC_SOURCE_COPY_BITMAP;
	}
	return SYNC_SOURCE_SET_BITMAP;
}

static bool is_if_both_failed(enum sync_strategy s)
{
	return s == SYNC_SOURCE_IF_BOTH_FAILED || s == SYNC_TARGET_IF_BOTH_FAILED;
}

/*
 * Has lost its Primary and does not know yet whether what it has is the latest, or has lost its
 * disk and takes it that the Primary went on. At the same generation that is no less than what the
 * crash has left of the Primary, which calls itself UpToDate: without this disk no write was
 * answered in it.
 */
static bool is_survivor_of(const struct uuid_side *side, const struct uuid_side *crashed)
{
	bool undecided = side->disk == DISK_CONSISTENT || side->disk == DISK_OUTDATED;

	return undecided && side->flags & (UUID_FLAG_RECONNECT | UUID_FLAG_WENT_ON) &&
	       !(side->flags & UUID_FLAG_CRASHED_PRIMARY) &&
	       crashed->flags & UUID_FLAG_CRASHED_PRIMARY &&
	       side->flags & crashed->flags & UUID_FLAG_KEEPS_BITS;
}

static bool is_full(enum sync_strategy s)
{
	return s == SYNC_SOURCE_SET_BITMAP || s == SYNC_TARGET_SET_BITMAP;
}

static void disk_states_override(const struct sync_input *in, struct sync_decision *d)
{
	/* Before 110 only the direction changes. */
	bool full = in->apv < 110 &&
		    (is_full(d->strategy) || d->strategy == SYNC_SPLIT_BRAIN_DISCONNECT);
	enum disk_state mine = in->me.disk, its = in->peer.disk;
	bool rule_yields = d->rule == RULE_RECONNECTED || d->rule == RULE_LOST_QUORUM ||
			   d->rule == RULE_BOTH_OFF;
	bool one_inconsistent = (mine == DISK_INCONSISTENT) != (its == DISK_INCONSISTENT);

	if (mine == its || !comparable(mine) || !comparable(its))
		return;
	if (in->apv < 119 && (!one_inconsistent ||
			      (in->apv >= 110 && d->rule != RULE_BOTH_OFF &&
			       d->strategy != SYNC_NONE)))
		return;
	if (in->apv >= 119 && !(rule_yields && is_if_both_failed(d->strategy)) &&
	    !(d->strategy == SYNC_NONE && one_inconsistent))
		return;
	if (is_survivor_of(&in->me, &in->peer) || is_survivor_of(&in->peer, &in->me))
		return;
	d->strategy = mine > its ?
			      override_source(&in->me, &in->peer, &d->copy_from) :
			      strategy_mirror(override_source(&in->peer, &in->me, &d->copy_from));
	if (full)
		d->strategy = strategy_full(d->strategy);
}

/* The target's reference says where it is itself: is that where its slot begins? */
static bool own_slot_reaches_back(const struct uuid_side *source, const struct uuid_side *target)
{
	uint64_t its = target->bitmap[source->node_id];

	return !its || its == UUID_UNKNOWN || uuid_eq(its, source->current) ||
	       uuid_eq(its, source->bitmap[target->node_id]);
}

static bool marks_reach_back(const struct sync_decision *d, const struct uuid_side *source,
			     const struct uuid_side *target)
{
	if (!(target->flags & UUID_FLAG_SYNC_TARGET))
		return true;
	if (d->rule == RULE_BITMAP_SELF || d->rule == RULE_BITMAP_PEER)
		return own_slot_reaches_back(source, target);
	return d->strategy != SYNC_SOURCE_COPY_BITMAP && d->strategy != SYNC_TARGET_CLEAR_BITMAP;
}

/*
 * A target names its source's generation, and does not have all of it: what has been marked since
 * then is not enough, in another one's slot, or in its own when it has had that generation before
 * and then got an older disk. DRBD takes it for enough; the union of both bitmaps is resynced.
 */
static void marks_must_reach_back(const struct sync_input *in, struct sync_decision *d)
{
	if (strategy_is_source(d->strategy) && !marks_reach_back(d, &in->me, &in->peer))
		d->strategy = override_source(&in->me, &in->peer, &d->copy_from);
	else if (strategy_is_target(d->strategy) && !marks_reach_back(d, &in->peer, &in->me))
		d->strategy = strategy_mirror(
			override_source(&in->peer, &in->me, &d->copy_from));
}

/* ---- bits left at equal generations (2.6, and rule 4 of reliability 3.5) ---- */

/*
 * Who has more of what a lost Primary had answered: 1 = me, 0 = no difference. What its crash has
 * left may lack some by a power cut, one that was behind it by protocol A, or by B and was
 * restarted, more; one that was away has nothing to say.
 */
static int by_loss(const struct sync_input *in)
{
	const struct uuid_side *me = &in->me, *peer = &in->peer;
	const uint64_t was_there = UUID_FLAG_RECONNECT | UUID_FLAG_CRASHED_PRIMARY;
	const struct uuid_side *other = me->flags & UUID_FLAG_LAGGED ? peer : me;
	uint64_t differ = me->flags ^ peer->flags;

	if (differ & UUID_FLAG_LAGGED && other->flags & was_there)
		return me->flags & UUID_FLAG_LAGGED ? -1 : 1;
	if (differ & UUID_FLAG_CRASHED_PRIMARY)
		return me->flags & UUID_FLAG_CRASHED_PRIMARY ? -1 : 1;
	return 0;
}

/*
 * Who went on without a break has all that was answered; a restart after a power loss has not.
 * Also when nobody remembers a connection from before it, because the peer was taken out and back.
 */
static int by_break(const struct sync_input *in)
{
	const struct uuid_side *me = &in->me, *peer = &in->peer;
	uint64_t differ = me->flags ^ peer->flags;

	if (differ & UUID_FLAG_RECONNECT)
		return me->flags & UUID_FLAG_RECONNECT ? 1 : -1;
	if (differ & UUID_FLAG_WENT_ON && me->flags & peer->flags & UUID_FLAG_KEEPS_BITS)
		return me->flags & UUID_FLAG_WENT_ON ? 1 : -1;
	return 0;
}

/*
 * Left by its Primary, who meant to go on without it, or cut off from it. Nobody has in the same
 * generation, and it has never been without power: the other one may lack something by that.
 */
static bool was_left(const struct uuid_side *side, const struct uuid_side *other)
{
	return side->disk == DISK_OUTDATED && other->disk >= DISK_CONSISTENT &&
	       side->flags & UUID_FLAG_WENT_ON && !(other->flags & UUID_FLAG_WENT_ON) &&
	       !(side->flags & (UUID_FLAG_LAGGED | UUID_FLAG_CRASHED_PRIMARY)) &&
	       side->flags & other->flags & UUID_FLAG_KEEPS_BITS;
}

/* 1: I am source. Looks the same from both sides. */
static int by_bits(const struct sync_input *in)
{
	const struct uuid_side *me = &in->me, *peer = &in->peer;
	uint64_t differ = me->flags ^ peer->flags;

	if (by_loss(in))
		return by_loss(in);
	/*
	 * Once connected, bits are left only for what was never answered, or equal already. Who has
	 * them differs from pair to pair, and resyncs in a ring would never end: an order of the
	 * nodes leads to one source of all. That needs a connection between any two: else several
	 * nodes would be sources that know of no other, and the one between them would resync from
	 * each in turn. There each passes on whose data it has got, and that node itself leads; not
	 * towards one that went on, with which the other would not be good by that.
	 */
	if (in->again && (me->flags | peer->flags) & UUID_FLAG_SEES_NOT_ALL) {
		if (differ & UUID_FLAG_WENT_ON && me->flags & peer->flags & UUID_FLAG_KEEPS_BITS)
			return me->flags & UUID_FLAG_WENT_ON ? 1 : -1;
		if (me->origin != peer->origin)
			return me->origin < peer->origin ? 1 : -1;
		if (me->origin == me->node_id || me->origin == peer->node_id)
			return me->origin == me->node_id ? 1 : -1;
		/* Both have got it from the same node, one of them something newer since. */
		if (!me->dirty_bits != !peer->dirty_bits)
			return me->dirty_bits ? 1 : -1;
	}
	if (in->again)
		return me->node_id < peer->node_id ? 1 : -1;
	if (by_break(in))
		return by_break(in);
	if (!me->dirty_bits != !peer->dirty_bits)
		return me->dirty_bits ? 1 : -1;
	if (me->named_lost && peer->named_lost && me->lost_dagtag != peer->lost_dagtag)
		return me->lost_dagtag > peer->lost_dagtag ? 1 : -1;
	return me->node_id < peer->node_id ? 1 : -1;
}

/*
 * Who sees a Primary without quorum has what this one wrote and keeps back until it has quorum. It
 * would give that up for data of one that was left behind in the same generation, and the Primary
 * goes on to count on it.
 */
static bool has_what_is_kept_back(const struct uuid_side *side)
{
	return side->no_quorum && !(side->flags & UUID_FLAG_STABLE) &&
	       side->disk == DISK_UP_TO_DATE && side->role != ROLE_PRIMARY;
}

static int by_primary_in_sight(const struct sync_input *in)
{
	bool mine = has_what_is_kept_back(&in->me), its = has_what_is_kept_back(&in->peer);

	if (in->again || mine == its || in->me.role == ROLE_PRIMARY ||
	    in->peer.role == ROLE_PRIMARY)
		return 0;
	return mine ? 1 : -1;
}

static int leftover_direction(const struct sync_input *in)
{
	const struct uuid_side *me = &in->me, *peer = &in->peer;
	bool i_am_primary = me->role == ROLE_PRIMARY, it_is = peer->role == ROLE_PRIMARY;
	bool both_good = me->disk >= DISK_CONSISTENT && peer->disk >= DISK_CONSISTENT;

	/* Alone after its crash a Primary's disk counts as
	 * good, and it may lack what it had answered. */
	if (both_good && by_loss(in))
		return by_loss(in);
	if (both_good && by_primary_in_sight(in))
		return by_primary_in_sight(in);
	/* A Secondary that was alone after a power loss is in no doubt; who went on without a
	 * break and is, because the Primary is lost, has all that was answered. */
	if (both_good && !in->again && !i_am_primary && !it_is && by_break(in))
		return by_break(in);
	if (!in->again && !i_am_primary && !it_is && (was_left(me, peer) || was_left(peer, me)))
		return was_left(me, peer) ? 1 : -1;
	if (me->disk != peer->disk)
		return me->disk > peer->disk ? 1 : -1;
	if (i_am_primary != it_is)
		return i_am_primary ? 1 : -1;
	return by_bits(in);
}

/* The kernel does it only after the loss of a Primary
 * that both name; otherwise it drops its bits (2.6). */
static bool reconciles(const struct sync_input *in)
{
	const uint64_t crashed = UUID_FLAG_CRASHED_PRIMARY | UUID_FLAG_PRIMARY_LOST_QUORUM;

	return !in->again && in->me.disk == DISK_UP_TO_DATE && in->peer.disk == DISK_UP_TO_DATE &&
	       in->me.named_lost && in->peer.named_lost &&
	       !((in->me.flags | in->peer.flags) & crashed);
}

/* Later the empty resync orders it against writes under way;
 * while connecting, the state rules do (4.2 row 21). */
static bool outdated_by_name(const struct sync_input *in)
{
	return in->again && in->me.disk != in->peer.disk &&
	       (in->me.disk == DISK_UP_TO_DATE || in->peer.disk == DISK_UP_TO_DATE);
}

static void leftover_bits(const struct sync_input *in, struct sync_decision *d)
{
	bool kept = in->me.flags & in->peer.flags & UUID_FLAG_KEEPS_BITS;

	if (d->strategy != SYNC_NONE || d->rule == RULE_JUST_CREATED_BOTH || in->counts_stale)
		return;
	if (!comparable(in->me.disk) || !comparable(in->peer.disk) ||
	    (in->me.disk == DISK_INCONSISTENT && in->peer.disk == DISK_INCONSISTENT))
		return;
	if (!in->me.dirty_bits && !in->peer.dirty_bits && !outdated_by_name(in))
		return;
	if (!kept && !reconciles(in))
		return;
	d->leftover = true;
	d->strategy = (kept ? leftover_direction(in) : by_bits(in)) > 0 ? SYNC_SOURCE_USE_BITMAP :
									   SYNC_TARGET_USE_BITMAP;
}

/* ---- split brain (2.5 e to i) ---- */

/*
 * Others have gone on where a disk is not good, unless so many have its generation that nobody had
 * quorum without them. A DRBD kernel goes by quorum alone.
 */
static bool lacks_quorum(const struct sync_input *in, const struct uuid_side *side)
{
	bool kept = in->me.flags & in->peer.flags & UUID_FLAG_KEEPS_BITS;

	return side->no_quorum || (in->by_quorum && kept && side->disk <= DISK_OUTDATED &&
				   !(side->flags & UUID_FLAG_SHARED));
}

/*
 * With both restarted, neither may get it without the other: then who was Primary when it was lost
 * has written in vain. Not one that is there all the time, or whose disk is the better one: it may
 * have answered what it wrote before, and somebody may come who has that, too. Where both were
 * Primary one of them had quorum before, and nothing tells which. A DRBD kernel leaves all this to
 * the operator.
 */
static bool quorum_was_lost(const struct sync_input *in, const struct uuid_side *side,
			    const struct uuid_side *other)
{
	uint64_t differ = in->me.flags ^ in->peer.flags;

	if (!lacks_quorum(in, &in->me) || !lacks_quorum(in, &in->peer))
		return lacks_quorum(in, side);
	/* It went on in the other's generation itself, and comes with an older disk. */
	if (differ & UUID_FLAG_MADE_YOURS)
		return side->flags & UUID_FLAG_MADE_YOURS;
	return differ & side->flags & UUID_FLAG_PRIMARY_LOST_QUORUM &&
	       !(side->flags & UUID_FLAG_WENT_ON) && side->disk <= other->disk &&
	       in->me.flags & in->peer.flags & UUID_FLAG_KEEPS_BITS;
}

static void split_brain(const struct sync_input *in, struct sync_decision *d)
{
	bool ambiguous = d->strategy == SYNC_SPLIT_BRAIN_DISCONNECT;
	bool mine = in->me.flags & UUID_FLAG_DISCARD_MY_DATA;
	bool its = in->peer.flags & UUID_FLAG_DISCARD_MY_DATA;
	bool i_lost = quorum_was_lost(in, &in->me, &in->peer);

	/* What was written without quorum was not answered. */
	if (in->apv >= 113 && i_lost != quorum_was_lost(in, &in->peer, &in->me)) {
		d->strategy = i_lost ? SYNC_TARGET_USE_BITMAP : SYNC_SOURCE_USE_BITMAP;
		if (ambiguous)
			d->strategy = strategy_full(d->strategy);
		return;
	}
	if (!ambiguous || in->always_asbp) {
		enum sync_strategy s = split_brain_policy(in);

		d->strategy = ambiguous ? strategy_full(s) : s;
		if (d->strategy == SYNC_NONE)
			d->strategy = SYNC_SPLIT_BRAIN_DISCONNECT;
		d->demote = !its && split_brain_demotes(in, d->strategy);
	}
	if (d->strategy == SYNC_SPLIT_BRAIN_DISCONNECT && mine != its) {
		d->strategy = mine ? SYNC_TARGET_USE_BITMAP : SYNC_SOURCE_USE_BITMAP;
		if (ambiguous)
			d->strategy = strategy_full(d->strategy);
	}
}

/* ---- discard-my-data, rr-conflict (2.5 j, k) ---- */

/* The data that a Primary with an Outdated disk has shown
 * are those of others; on its own disk is what was before. */
static bool can_be_preferred(const struct sync_input *in, const struct uuid_side *source)
{
	bool kept = in->me.flags & in->peer.flags & UUID_FLAG_KEEPS_BITS;

	if (kept && source->role == ROLE_PRIMARY && source->disk == DISK_OUTDATED)
		return false;
	return source->disk > DISK_INCONSISTENT;
}

static void discard_my_data(const struct sync_input *in, struct sync_decision *d)
{
	bool mine = in->me.flags & UUID_FLAG_DISCARD_MY_DATA;
	bool its = in->peer.flags & UUID_FLAG_DISCARD_MY_DATA;
	enum sync_strategy reverse = strategy_reverse(d->strategy);

	if (in->apv < 121 || mine == its || reverse == SYNC_NONE ||
	    !can_be_preferred(in, mine ? &in->peer : &in->me))
		return;
	if ((mine && strategy_is_source(d->strategy)) || (its && strategy_is_target(d->strategy)))
		d->strategy = reverse;
}

static bool changes_data(const struct sync_input *in, const struct sync_decision *d)
{
	return in->me.dirty_bits || in->peer.dirty_bits || d->strategy == SYNC_TARGET_SET_BITMAP ||
	       d->strategy == SYNC_TARGET_CLEAR_BITMAP;
}

static void refuse(struct sync_decision *d, enum verdict_kind kind, const char *reason)
{
	d->kind = kind;
	d->reason = reason;
	d->repl = REPL_OFF;
}

/*
 * An application runs on this data. Not on a disk that is Consistent: who became Primary beside a
 * good peer, while it was not known what a lost Primary had written, shows that one's data.
 */
static bool in_use(const struct uuid_side *side)
{
	return side->role == ROLE_PRIMARY && side->disk > DISK_CONSISTENT && !side->attaching;
}

/* The data under a running application would be exchanged. */
static void rr_conflict(const struct sync_input *in, struct sync_decision *d)
{
	bool yields = in->rr_conflict == ASB_AUTO_DISCARD && d->rule == RULE_CRASHED_PRIMARY;

	if (yields && d->strategy == SYNC_SOURCE_USE_BITMAP && in_use(&in->peer) &&
	    changes_data(in, d)) {
		d->strategy = SYNC_TARGET_USE_BITMAP;
		return;
	}
	if (!in_use(&in->me) || !strategy_is_target(d->strategy) ||
	    d->strategy == SYNC_TARGET_IF_BOTH_FAILED ||
	    !changes_data(in, d))
		return;
	if (yields && d->strategy == SYNC_TARGET_USE_BITMAP) {
		d->strategy = SYNC_SOURCE_USE_BITMAP;
		return;
	}
	if (in->rr_conflict == ASB_VIOLENTLY)
		return;
	if (in->rr_conflict == ASB_RETRY_CONNECT)
		refuse(d, VERDICT_RETRY,
		       "this node is Primary and its data would be overwritten by "
		       "a resync (rr-conflict retry-connect)");
	else
		refuse(d, VERDICT_DISCONNECT,
		       "this node is Primary and its data would be overwritten by a resync: "
		       "demote it, or connect the peer with --discard-my-data");
	d->pri_lost = in->rr_conflict == ASB_CALL_PRI_LOST;
}

/* ---- the whole decision ---- */

/* Circular references can make both sides target; that is no base for a resync (2.3 trap a). */
static bool is_mirrored(const struct sync_input *in, enum sync_strategy mine)
{
	struct sync_input swapped;

	sync_input_swap(in, &swapped);
	return uuid_compare(&swapped).strategy == strategy_mirror(mine);
}

/* Missed ends count only when the source of that resync still has good data (2.5 l). */
static void missed_finish_needs_good_source(const struct sync_input *in, struct sync_decision *d)
{
	if (d->rule == RULE_SOURCE_MISSED_FINISH && d->strategy == SYNC_SOURCE_USE_BITMAP &&
	    in->me.disk != DISK_UP_TO_DATE)
		d->strategy = SYNC_NONE;
	if (d->rule == RULE_TARGET_PEER_MISSED_FINISH && d->strategy == SYNC_TARGET_USE_BITMAP &&
	    in->peer.disk != DISK_UP_TO_DATE)
		d->strategy = SYNC_NONE;
}

/*
 * The target of that resync had everything when it took over the generation. If it is Primary now,
 * it has what was written since as well, and the bits that its source still has are of before: it
 * leads.
 */
static void missed_finish_primary_leads(const struct sync_input *in, struct sync_decision *d)
{
	bool missed = d->rule == RULE_SOURCE_MISSED_FINISH ||
		      d->rule == RULE_TARGET_PEER_MISSED_FINISH;

	if (!missed || d->strategy == SYNC_NONE || in_use(&in->me) == in_use(&in->peer) ||
	    in->me.disk != DISK_UP_TO_DATE || in->peer.disk != DISK_UP_TO_DATE ||
	    !(in->me.flags & in->peer.flags & UUID_FLAG_KEEPS_BITS))
		return;
	d->strategy = in_use(&in->me) ? SYNC_SOURCE_USE_BITMAP : SYNC_TARGET_USE_BITMAP;
}

/* Protocols before 124 cannot tell an end that left no bits from one that did (2.5 c). */
static bool needs_newer_peer(const struct sync_input *in, struct sync_decision *d)
{
	if (in->apv >= 124 || in->apv < 110 || in->me.dirty_bits || in->peer.dirty_bits)
		return false;
	if (d->rule == RULE_SOURCE_MISSED_FINISH) {
		d->strategy = SYNC_RETRY_CONNECT;
		refuse(d, VERDICT_RETRY, "the end of the last resync has to be noted first");
		return true;
	}
	if (d->rule == RULE_TARGET_PEER_MISSED_FINISH && in->me.role == ROLE_PRIMARY) {
		d->strategy = SYNC_REQUIRES_PROTO_124;
		refuse(d, VERDICT_DISCONNECT,
		       "the peer missed the end of a resync while this node is Primary: demote it");
		return true;
	}
	return false;
}

/* The rule was arbitrary: a present Primary is the source (2.5 o). */
static void primary_overrides(const struct sync_input *in, struct sync_decision *d)
{
	bool i_am_primary = in->me.role == ROLE_PRIMARY, it_is = in->peer.role == ROLE_PRIMARY;

	if (!is_if_both_failed(d->strategy) || (!i_am_primary && !it_is))
		return;
	if (i_am_primary && it_is)
		d->strategy = SYNC_NONE;
	else
		d->strategy = i_am_primary ? SYNC_SOURCE_USE_BITMAP : SYNC_TARGET_USE_BITMAP;
}

static enum repl_state repl_for(enum sync_strategy s)
{
	if (strategy_is_source(s))
		return REPL_WF_BITMAP_S;
	return strategy_is_target(s) ? REPL_WF_BITMAP_T : REPL_ESTABLISHED;
}

/* A newer generation that is not on its disk yet may be lost with it, and then the target's is
 * the newest one that is left. */
static bool is_good_source(const struct uuid_side *source, const struct uuid_side *target)
{
	return source->disk > DISK_INCONSISTENT &&
	       (!(source->flags & UUID_FLAG_NOT_DURABLE) ||
		uuid_eq(source->current, target->current));
}

/*
 * A target that has the generation on its own disk would give good data up for those of a source
 * that may lose the generation with all of them: it waits. A DRBD kernel does not tell.
 */
static bool source_is_unsafe(const struct uuid_side *source, const struct uuid_side *target)
{
	return source->flags & UUID_FLAG_NOT_DURABLE && !(target->flags & UUID_FLAG_NOT_DURABLE) &&
	       target->disk > DISK_INCONSISTENT && uuid_eq(source->current, target->current);
}

/* An Inconsistent disk cannot be a source, whatever its generation says: wait for a better one. */
static void source_must_be_good(const struct sync_input *in, struct sync_decision *d)
{
	bool i_am_source = strategy_is_source(d->strategy);
	const struct uuid_side *source = i_am_source ? &in->me : &in->peer;
	const struct uuid_side *target = i_am_source ? &in->peer : &in->me;

	if (!i_am_source && !strategy_is_target(d->strategy))
		return;
	if (source_is_unsafe(source, target)) {
		refuse(d, VERDICT_RETRY,
		       "the generation is not on the disk of the one that has better data yet");
		return;
	}
	if (is_good_source(source, target))
		return;
	/* The kernel lets a target wait for a source that is a target itself. */
	if (source->flags & UUID_FLAG_SYNC_TARGET &&
	    !(in->me.flags & in->peer.flags & UUID_FLAG_KEEPS_BITS))
		return;
	if (uuid_eq(source->current, target->current) && target->disk > DISK_INCONSISTENT)
		d->strategy = i_am_source ? SYNC_TARGET_USE_BITMAP : SYNC_SOURCE_USE_BITMAP;
	else
		d->strategy = SYNC_NONE;
	if (d->strategy == SYNC_NONE && !uuid_eq(in->me.current, in->peer.current))
		d->behind = i_am_source ? SYNC_BEHIND_PEER : SYNC_BEHIND_ME;
}

/* A new disk has its source's generation from the beginning of its first resync on, the history
 * only at the end: it is no rival of anybody. */
static bool is_being_filled(const struct uuid_side *side)
{
	return side->disk == DISK_INCONSISTENT && !side->history[0] &&
	       side->flags & UUID_FLAG_KEEPS_BITS;
}

struct sync_decision sync_decide(const struct sync_input *in)
{
	struct sync_decision d = uuid_compare(in);
	/* With the Primary itself here there is no third node that will settle it. */
	bool unstable = !(in->me.flags & in->peer.flags & UUID_FLAG_STABLE) &&
			in->me.role != ROLE_PRIMARY && in->peer.role != ROLE_PRIMARY &&
			!in->nobody_settles;

	d.kind = VERDICT_GO;
	if (!is_mirrored(in, d.strategy)) {
		d.strategy = SYNC_SPLIT_BRAIN_DISCONNECT;
		d.rule = RULE_BITMAP_BOTH;
	}
	if (((in->me.flags | in->peer.flags) & UUID_FLAG_SYNC_TARGET &&
	     (d.strategy == SYNC_UNRELATED_DATA || strategy_is_split_brain(d.strategy))) ||
	    (d.strategy == SYNC_UNRELATED_DATA &&
	     (is_being_filled(&in->me) || is_being_filled(&in->peer)))) {
		/* A target tells its source's generation with a history of its own. */
		d.strategy = SYNC_RETRY_CONNECT;
		refuse(&d, VERDICT_RETRY, "a resync that is under way has to end first");
		return d;
	}
	if (d.strategy == SYNC_UNRELATED_DATA) {
		refuse(&d, VERDICT_DISCONNECT,
		       "unrelated data: the two disks have no common history");
		return d;
	}
	if (needs_newer_peer(in, &d))
		return d;
	disk_states_override(in, &d);
	marks_must_reach_back(in, &d);
	if (d.strategy == SYNC_SPLIT_BRAIN_AUTO_RECOVER && unstable) {
		/* Settled by the third node that makes one of us unstable. */
		d.strategy = SYNC_NONE;
		d.repl = REPL_ESTABLISHED;
		return d;
	}
	missed_finish_needs_good_source(in, &d);
	missed_finish_primary_leads(in, &d);
	leftover_bits(in, &d);
	if (strategy_is_split_brain(d.strategy))
		split_brain(in, &d);
	if (d.demote) {
		refuse(&d, VERDICT_RETRY,
		       "split brain: this Primary is the victim (call-pri-lost-after-sb) and gives "
		       "its role up first");
		return d;
	}
	if (strategy_is_split_brain(d.strategy) && in->by_quorum) {
		/* Neither has it yet, or one does not know yet that it has lost it. */
		refuse(&d, VERDICT_RETRY,
		       "both nodes changed their data alone: the one that gets quorum leads; "
		       "or connect one with --discard-my-data");
		return d;
	}
	if (strategy_is_split_brain(d.strategy)) {
		refuse(&d, VERDICT_DISCONNECT,
		       "split brain: both nodes changed their data alone; choose the victim and "
		       "connect it with --discard-my-data");
		return d;
	}
	primary_overrides(in, &d);
	discard_my_data(in, &d);
	source_must_be_good(in, &d);
	rr_conflict(in, &d);
	if (d.kind == VERDICT_GO)
		d.repl = repl_for(d.strategy);
	return d;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Every after-split-brain policy with every combination of roles, changes, marks of the last
 * Primary and --discard-my-data, against the tables of states-and-resync 3.1 to 3.5 written down a
 * second time, and mirrored from the other end.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "core/uuid.h"

#define X UINT64_C(0x1111111111111110)
#define Y UINT64_C(0x2222222222222220)
#define Z UINT64_C(0x3333333333333330)

enum winner { NOBODY, ME, PEER };

/* One situation; everything that the tables mention. */
struct situation {
	enum after_sb p0, p1, p2, rr;
	bool always_asbp;
	bool ambiguous;              /* no common reference, only history */
	bool i_am_primary, it_is;
	uint64_t my_bits, its_bits;
	bool i_was, it_was;          /* Primary when they parted */
	bool rc;
	bool my_discard, its_discard;
};

static enum winner not(enum winner w)
{
	return w == ME ? PEER : w == PEER ? ME : NOBODY;
}

/* ---- the tables ---- */

static enum winner zero_changes(const struct situation *s)
{
	if (!s->my_bits && !s->its_bits)
		return s->rc ? PEER : ME;
	if (s->my_bits && s->its_bits)
		return NOBODY;
	return s->my_bits ? ME : PEER;
}

static enum winner least_changes(const struct situation *s)
{
	if (s->my_bits == s->its_bits)
		return s->rc ? PEER : ME;
	return s->my_bits > s->its_bits ? ME : PEER;
}

static enum winner by_mark(const struct situation *s, bool discard_younger)
{
	enum winner older = s->i_was ? ME : PEER;
	enum winner zero = zero_changes(s);

	/* Who was Primary when they parted is the older Primary. */
	if (s->i_was != s->it_was)
		return discard_younger ? older : not(older);
	return zero != NOBODY ? zero : least_changes(s);
}

static enum winner table_0p(const struct situation *s)
{
	switch (s->p0) {
	case ASB_DISCARD_YOUNGER_PRIMARY:
		return by_mark(s, true);
	case ASB_DISCARD_OLDER_PRIMARY:
		return by_mark(s, false);
	case ASB_DISCARD_ZERO_CHANGES:
		return zero_changes(s);
	case ASB_DISCARD_LEAST_CHANGES:
		return least_changes(s);
	case ASB_DISCARD_LOCAL:
		return PEER;
	case ASB_DISCARD_REMOTE:
		return ME;
	default:
		return NOBODY;
	}
}

static enum winner table(const struct situation *s)
{
	enum winner primary = s->i_am_primary ? ME : PEER;

	if (!s->i_am_primary && !s->it_is)
		return table_0p(s);
	if (s->i_am_primary && s->it_is)
		return s->p2 == ASB_DISCONNECT ? NOBODY : table_0p(s);
	switch (s->p1) {
	case ASB_CONSENSUS:
		return table_0p(s) == primary ? primary : NOBODY;
	case ASB_VIOLENTLY:
	case ASB_CALL_PRI_LOST:
		return table_0p(s);
	case ASB_DISCARD_SECONDARY:
		return primary;
	default:
		return NOBODY;
	}
}

static enum winner expected_winner(const struct situation *s)
{
	enum winner w = s->ambiguous && !s->always_asbp ? NOBODY : table(s);

	/* Who gives up his data is the victim, whatever a policy says. */
	if (s->my_discard != s->its_discard)
		w = s->my_discard ? PEER : ME;
	return w;
}

/* 3.4: a Primary's data would be exchanged under its users. */
static bool overwrites_primary(const struct situation *s, enum winner w, bool mine)
{
	bool primary = mine ? s->i_am_primary : s->it_is;

	return w == (mine ? PEER : ME) && primary && s->rr != ASB_VIOLENTLY &&
	       (s->ambiguous || s->my_bits || s->its_bits);
}

/* 3.2, 3.3 call-pri-lost-after-sb: a victim that is Primary gives its role up before it follows. */
static bool gives_up_role(const struct situation *s, enum winner w, bool mine)
{
	bool primary = mine ? s->i_am_primary : s->it_is;
	bool policy = (s->i_am_primary && s->it_is ? s->p2 : s->p1) == ASB_CALL_PRI_LOST;

	return w == (mine ? PEER : ME) && primary && policy && (!s->ambiguous || s->always_asbp);
}

/* ---- the same situation for the decision ---- */

static void build(const struct situation *s, struct sync_input *in)
{
	uint64_t keeps = UUID_FLAG_STABLE | UUID_FLAG_KEEPS_BITS;

	memset(in, 0, sizeof(*in));
	in->apv = 124;
	in->me.node_id = 0;
	in->peer.node_id = 1;
	in->me.current = X;
	in->peer.current = Y;
	in->me.disk = in->peer.disk = DISK_UP_TO_DATE;
	in->me.role = s->i_am_primary ? ROLE_PRIMARY : ROLE_SECONDARY;
	in->peer.role = s->it_is ? ROLE_PRIMARY : ROLE_SECONDARY;
	in->me.rc = s->rc;
	in->peer.rc = !s->rc;
	in->me.dirty_bits = s->my_bits;
	in->peer.dirty_bits = s->its_bits;
	in->me.flags = keeps | (s->my_discard ? UUID_FLAG_DISCARD_MY_DATA : 0);
	in->peer.flags = keeps | (s->its_discard ? UUID_FLAG_DISCARD_MY_DATA : 0);
	/* In an ambiguous one the references are of two generations that the other never had. */
	in->me.bitmap[1] = (s->ambiguous ? Z + 0x100 : Z) | (s->i_was ? UUID_PRIMARY : 0);
	in->peer.bitmap[0] = (s->ambiguous ? Z + 0x200 : Z) | (s->it_was ? UUID_PRIMARY : 0);
	in->me.history[0] = in->peer.history[0] = Z + 0x300;
	in->after_sb_0p = s->p0;
	in->after_sb_1p = s->p1;
	in->after_sb_2p = s->p2;
	in->rr_conflict = s->rr;
	in->always_asbp = s->always_asbp;
}

static void describe(const struct situation *s, char *text, size_t bytes)
{
	snprintf(text, bytes, "0pri %d 1pri %d 2pri %d rr %d asbp %d ambiguous %d roles %d/%d bits "
		 "%d/%d marks %d/%d rc %d discard %d/%d", (int)s->p0, (int)s->p1, (int)s->p2,
		 (int)s->rr, s->always_asbp, s->ambiguous, s->i_am_primary, s->it_is,
		 (int)s->my_bits, (int)s->its_bits, s->i_was, s->it_was, s->rc, s->my_discard,
		 s->its_discard);
}

static enum sync_strategy strategy_for(const struct situation *s, enum winner w)
{
	if (w == NOBODY)
		return SYNC_SPLIT_BRAIN_DISCONNECT;
	if (s->ambiguous)
		return w == ME ? SYNC_SOURCE_SET_BITMAP : SYNC_TARGET_SET_BITMAP;
	return w == ME ? SYNC_SOURCE_USE_BITMAP : SYNC_TARGET_USE_BITMAP;
}

static void check_end(const struct situation *s, const struct sync_input *in, enum winner w,
		      bool mine, const char *what)
{
	struct sync_decision d = sync_decide(in);
	enum sync_strategy want = strategy_for(s, mine ? w : not(w));
	enum verdict_kind refusal =
		s->rr == ASB_RETRY_CONNECT ? VERDICT_RETRY : VERDICT_DISCONNECT;

	cr_assert_eq(d.strategy, want, "%s: %s, not %s", what, sync_strategy_name(d.strategy),
		     sync_strategy_name(want));
	if (w == NOBODY)
		cr_assert_eq(d.kind, VERDICT_DISCONNECT, "%s", what);
	else if (gives_up_role(s, w, mine))
		cr_assert(d.kind == VERDICT_RETRY && d.demote, "%s: kind %d", what, (int)d.kind);
	else if (overwrites_primary(s, w, mine))
		cr_assert_eq(d.kind, refusal, "%s: kind %d", what, (int)d.kind);
	else
		cr_assert_eq(d.kind, VERDICT_GO, "%s: %s", what, d.reason);
	cr_assert_eq(d.kind == VERDICT_GO, d.reason == NULL, "%s", what);
}

static void check(const struct situation *s)
{
	enum winner w = expected_winner(s);
	struct sync_input in, swapped;
	char what[256];

	/* A Primary cannot be connected with --discard-my-data, nor both ends. */
	if ((s->my_discard && (s->i_am_primary || s->its_discard)) ||
	    (s->its_discard && s->it_is))
		return;
	describe(s, what, sizeof(what));
	build(s, &in);
	check_end(s, &in, w, true, what);
	sync_input_swap(&in, &swapped);
	check_end(s, &swapped, w, false, what);
}

/* ---- all of them ---- */

static const enum after_sb all_0p[] = {
	ASB_DISCONNECT, ASB_DISCARD_YOUNGER_PRIMARY, ASB_DISCARD_OLDER_PRIMARY,
	ASB_DISCARD_ZERO_CHANGES, ASB_DISCARD_LEAST_CHANGES, ASB_DISCARD_LOCAL, ASB_DISCARD_REMOTE,
};
static const enum after_sb all_1p[] = {
	ASB_DISCONNECT, ASB_CONSENSUS, ASB_VIOLENTLY, ASB_DISCARD_SECONDARY, ASB_CALL_PRI_LOST,
};
static const enum after_sb all_2p[] = { ASB_DISCONNECT, ASB_VIOLENTLY, ASB_CALL_PRI_LOST };
static const enum after_sb all_rr[] = { ASB_DISCONNECT, ASB_RETRY_CONNECT, ASB_VIOLENTLY,
					ASB_AUTO_DISCARD };
static const uint64_t all_bits[][2] = { { 0, 0 }, { 0, 3 }, { 3, 0 }, { 3, 5 }, { 5, 3 },
					{ 4, 4 } };

/* The 10 bits of `n` are the yes and no questions. */
static void check_flags(struct situation *s)
{
	for (unsigned n = 0; n < 1U << 9; n++) {
		s->always_asbp = n & 1;
		s->ambiguous = n >> 1 & 1;
		s->i_am_primary = n >> 2 & 1;
		s->it_is = n >> 3 & 1;
		s->i_was = n >> 4 & 1;
		s->it_was = n >> 5 & 1;
		s->rc = n >> 6 & 1;
		s->my_discard = n >> 7 & 1;
		s->its_discard = n >> 8 & 1;
		check(s);
	}
}

static void check_policies(struct situation *s)
{
	for (unsigned i = 0; i < ARRAY_LEN(all_0p); i++) {
		for (unsigned k = 0; k < ARRAY_LEN(all_1p) * ARRAY_LEN(all_2p); k++) {
			s->p0 = all_0p[i];
			s->p1 = all_1p[k % ARRAY_LEN(all_1p)];
			s->p2 = all_2p[k / ARRAY_LEN(all_1p)];
			check_flags(s);
		}
	}
}

Test(split_brain_table, every_policy_in_every_situation_from_both_ends)
{
	struct situation s;

	memset(&s, 0, sizeof(s));
	for (unsigned r = 0; r < ARRAY_LEN(all_rr); r++) {
		for (unsigned b = 0; b < ARRAY_LEN(all_bits); b++) {
			s.rr = all_rr[r];
			s.my_bits = all_bits[b][0];
			s.its_bits = all_bits[b][1];
			check_policies(&s);
		}
	}
}

/* ---- rr-conflict without a split brain ---- */

static const struct {
	enum after_sb rr;
	bool crashed;                /* the rule is that of a crashed Primary */
	enum verdict_kind kind;      /* at the Primary that would be target */
	enum sync_strategy strategy;
} conflicts[] = {
	{ ASB_DISCONNECT, false, VERDICT_DISCONNECT, SYNC_TARGET_USE_BITMAP },
	{ ASB_RETRY_CONNECT, false, VERDICT_RETRY, SYNC_TARGET_USE_BITMAP },
	{ ASB_VIOLENTLY, false, VERDICT_GO, SYNC_TARGET_USE_BITMAP },
	{ ASB_AUTO_DISCARD, false, VERDICT_DISCONNECT, SYNC_TARGET_USE_BITMAP },
	{ ASB_DISCONNECT, true, VERDICT_DISCONNECT, SYNC_TARGET_USE_BITMAP },
	{ ASB_RETRY_CONNECT, true, VERDICT_RETRY, SYNC_TARGET_USE_BITMAP },
	{ ASB_VIOLENTLY, true, VERDICT_GO, SYNC_TARGET_USE_BITMAP },
	{ ASB_AUTO_DISCARD, true, VERDICT_GO, SYNC_SOURCE_USE_BITMAP },
};

Test(split_brain_table, rr_conflict_at_a_primary_that_is_behind)
{
	for (unsigned i = 0; i < ARRAY_LEN(conflicts); i++) {
		struct situation s = { .rr = conflicts[i].rr, .i_am_primary = true, .its_bits = 3,
				       .rc = true };
		struct sync_input in, swapped;
		struct sync_decision d;

		build(&s, &in);
		in.async = true;
		in.me.bitmap[1] = 0;
		if (conflicts[i].crashed) {
			in.me.current = Y;
			in.me.flags |= UUID_FLAG_LAGGED;
			in.peer.flags |= UUID_FLAG_CRASHED_PRIMARY;
			in.peer.bitmap[0] = 0;
		} else {
			in.peer.bitmap[0] = X; /* I am at what the peer has left behind */
		}
		d = sync_decide(&in);
		cr_assert_eq(d.kind, conflicts[i].kind, "%u: kind %d: %s", i, (int)d.kind,
			     d.reason);
		cr_assert_eq(d.strategy, conflicts[i].strategy, "%u: %s (%s)", i,
			     sync_strategy_name(d.strategy), sync_rule_name(d.rule));
		/* Only the Primary's users are in question: the other end goes along. */
		sync_input_swap(&in, &swapped);
		d = sync_decide(&swapped);
		cr_assert_eq(d.kind, VERDICT_GO, "%u", i);
		cr_assert_eq(d.strategy, strategy_mirror(conflicts[i].strategy), "%u: %s", i,
			     sync_strategy_name(d.strategy));
	}
}

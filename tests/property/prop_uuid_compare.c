/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The resync decision looks the same from both sides (S13): exhaustively over a small model, and at
 * random over full sets of generations. Neither side becomes source with inconsistent data, and no
 * bits are forgotten.
 */
#include <stdio.h>
#include <string.h>

#include "base/prng.h"
#include "core/uuid.h"

#define X UINT64_C(0x1111111111111110)
#define Y UINT64_C(0x2222222222222220)
#define RANDOM_ROUNDS 400000U

static uint64_t checked;

/* Towards a kernel, a node that is a target itself waits as source until it is through. */
static bool may_be_source(const struct uuid_side *side, const struct sync_input *in)
{
	return side->disk > DISK_INCONSISTENT ||
	       (side->flags & UUID_FLAG_SYNC_TARGET &&
		!(in->me.flags & in->peer.flags & UUID_FLAG_KEEPS_BITS));
}

static const char *problem(const struct sync_input *in, const struct sync_decision *a,
			   const struct sync_decision *b)
{
	bool both_inconsistent = in->me.disk == DISK_INCONSISTENT &&
				 in->peer.disk == DISK_INCONSISTENT;
	bool bits = in->me.dirty_bits || in->peer.dirty_bits;

	if (a->kind != VERDICT_GO || b->kind != VERDICT_GO)
		return NULL; /* the connection is not made when one refuses */
	if ((a->repl == REPL_WF_BITMAP_S) != (b->repl == REPL_WF_BITMAP_T) ||
	    (a->repl == REPL_WF_BITMAP_T) != (b->repl == REPL_WF_BITMAP_S))
		return "not mirrored";
	if (a->repl == REPL_WF_BITMAP_S && !may_be_source(&in->me, in))
		return "an inconsistent source";
	if (a->repl == REPL_WF_BITMAP_T && !may_be_source(&in->peer, in))
		return "an inconsistent source at the peer";
	if (a->repl == REPL_ESTABLISHED && bits && !both_inconsistent &&
	    uuid_eq(in->me.current, in->peer.current) &&
	    !uuid_eq(in->me.current, UUID_JUST_CREATED) &&
	    !(in->me.role == ROLE_PRIMARY && in->peer.role == ROLE_PRIMARY))
		return "bits forgotten";
	return NULL;
}

static void print_side(const char *name, const struct uuid_side *s)
{
	printf("  %s: node %u cur %llx bm0 %llx bm1 %llx bm2 %llx hist %llx flags %llx bits %llu "
	       "disk %d role %d rc %d\n", name, s->node_id, (unsigned long long)s->current,
	       (unsigned long long)s->bitmap[0], (unsigned long long)s->bitmap[1],
	       (unsigned long long)s->bitmap[2], (unsigned long long)s->history[0],
	       (unsigned long long)s->flags, (unsigned long long)s->dirty_bits, (int)s->disk,
	       (int)s->role, s->rc);
}

static bool check(const struct sync_input *in)
{
	struct sync_input swapped;
	struct sync_decision a = sync_decide(in), b;
	const char *why;

	sync_input_swap(in, &swapped);
	b = sync_decide(&swapped);
	checked++;
	why = problem(in, &a, &b);
	if (!why)
		return true;
	printf("prop_uuid_compare: %s: %s (%s) against %s (%s)\n", why,
	       sync_strategy_name(a.strategy), sync_rule_name(a.rule),
	       sync_strategy_name(b.strategy), sync_rule_name(b.rule));
	print_side("me", &in->me);
	print_side("peer", &in->peer);
	return false;
}

/* ---- small model: nodes 0 and 1, an absent node 2, generations X and Y ---- */

#define SIDES (3 * 3 * 2 * 3 * 4 * 2)

static void small_side(unsigned n, unsigned node, struct uuid_side *s)
{
	static const uint64_t current[] = { UUID_JUST_CREATED, X, Y };
	static const uint64_t reference[] = { 0, X, Y };
	static const uint64_t flags[] = { 0, UUID_FLAG_CRASHED_PRIMARY, UUID_FLAG_RECONNECT,
					  UUID_FLAG_CRASHED_PRIMARY | UUID_FLAG_RECONNECT };

	memset(s, 0, sizeof(*s));
	s->node_id = (uint8_t)node;
	s->current = current[n % 3];
	n /= 3;
	s->bitmap[1 - node] = reference[n % 3];
	n /= 3;
	s->bitmap[2] = n % 2 ? X : 0;
	n /= 2;
	s->history[0] = reference[n % 3];
	n /= 3;
	s->flags = flags[n % 4] | UUID_FLAG_STABLE | UUID_FLAG_KEEPS_BITS;
	n /= 4;
	s->dirty_bits = n % 2 ? 7 : 0;
	s->role = ROLE_SECONDARY;
}

static bool small_model(void)
{
	static const enum disk_state disks[] = { DISK_INCONSISTENT, DISK_OUTDATED,
						 DISK_UP_TO_DATE };
	struct sync_input in;

	memset(&in, 0, sizeof(in));
	in.apv = 124;
	in.after_sb_0p = ASB_DISCARD_LEAST_CHANGES;
	in.rr_conflict = ASB_DISCONNECT;
	for (unsigned m = 0; m < SIDES; m++) {
		for (unsigned p = 0; p < SIDES; p++) {
			small_side(m, 0, &in.me);
			small_side(p, 1, &in.peer);
			in.me.rc = (m + p) % 2;
			in.peer.rc = !in.me.rc;
			for (unsigned d = 0; d < 9; d++) {
				in.me.disk = disks[d % 3];
				in.peer.disk = disks[d / 3];
				if (!check(&in))
					return false;
			}
		}
	}
	return true;
}

/* ---- random full sets ---- */

static uint64_t any_uuid(struct prng *rng)
{
	switch (prng_below(rng, 8)) {
	case 0:
	case 1:
		return 0;
	case 2:
		return UUID_UNKNOWN;
	default:
		return (X + (prng_below(rng, 6) << 8)) | prng_below(rng, 2);
	}
}

static void random_side(struct prng *rng, unsigned node, struct uuid_side *s)
{
	static const enum disk_state disks[] = { DISK_INCONSISTENT, DISK_OUTDATED, DISK_CONSISTENT,
						 DISK_UP_TO_DATE };

	memset(s, 0, sizeof(*s));
	s->node_id = (uint8_t)node;
	s->current = prng_chance(rng, 1, 10) ? UUID_JUST_CREATED :
					       X + (prng_below(rng, 6) << 8);
	for (unsigned n = 0; n < NODES_MAX; n++)
		s->bitmap[n] = n == node ? 0 : prng_chance(rng, 1, 3) ? any_uuid(rng) : 0;
	for (unsigned i = 0, n = (unsigned)prng_below(rng, 4); i < n; i++)
		s->history[i] = X + (prng_below(rng, 6) << 8);
	s->flags = prng_below(rng, 16) << 1 & (UUID_FLAG_CRASHED_PRIMARY | UUID_FLAG_INCONSISTENT);
	s->flags |= prng_chance(rng, 1, 2) ? UUID_FLAG_RECONNECT : 0;
	s->flags |= prng_chance(rng, 5, 6) ? UUID_FLAG_STABLE : 0;
	s->flags |= prng_chance(rng, 1, 6) ? UUID_FLAG_SYNC_TARGET : 0;
	s->flags |= prng_chance(rng, 1, 8) ? UUID_FLAG_DISCARD_MY_DATA : 0;
	s->dirty_bits = prng_chance(rng, 1, 2) ? prng_below(rng, 3) : 0;
	s->disk = disks[prng_below(rng, 4)];
	s->role = prng_chance(rng, 1, 4) ? ROLE_PRIMARY : ROLE_SECONDARY;
	s->lost_dagtag = prng_below(rng, 3);
}

static bool random_sets(void)
{
	struct prng rng;
	struct sync_input in;

	prng_seed(&rng, 42);
	for (unsigned i = 0; i < RANDOM_ROUNDS; i++) {
		uint64_t kept = prng_chance(&rng, 9, 10) ? UUID_FLAG_KEEPS_BITS : 0;

		memset(&in, 0, sizeof(in));
		random_side(&rng, 0, &in.me);
		random_side(&rng, 1, &in.peer);
		/* A kernel drops its bits, and both sides know that. */
		in.me.flags |= UUID_FLAG_KEEPS_BITS;
		in.peer.flags |= kept;
		if (!kept)
			in.me.dirty_bits = in.peer.dirty_bits = 0;
		in.me.rc = prng_below(&rng, 2);
		in.peer.rc = !in.me.rc;
		in.me.named_lost = in.peer.named_lost = prng_chance(&rng, 1, 3);
		in.apv = 118 + (unsigned)prng_below(&rng, 7);
		in.async = prng_chance(&rng, 1, 3);
		in.after_sb_0p = (enum after_sb)prng_below(&rng, 7);
		in.after_sb_1p = (enum after_sb)prng_below(&rng, 11);
		in.after_sb_2p = (enum after_sb)prng_below(&rng, 11);
		in.rr_conflict = prng_chance(&rng, 1, 2) ? ASB_DISCONNECT : ASB_VIOLENTLY;
		in.always_asbp = prng_chance(&rng, 1, 2);
		if (!check(&in))
			return false;
	}
	return true;
}

int main(void)
{
	if (!small_model() || !random_sets())
		return 1;
	printf("prop_uuid_compare: %llu pairs\n", (unsigned long long)checked);
	return 0;
}

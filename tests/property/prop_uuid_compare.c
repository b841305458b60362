/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who resyncs from whom, at random over full sets of generations, protocols and policies. */
#include <stdio.h>
#include <string.h>

#include "base/prng.h"
#include "../lib/sync_oracle.h"

#define X UINT64_C(0x1111111111111110)
#define RANDOM_ROUNDS 400000U

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
	/* A disk without a generation has no data. */
	if (s->current == UUID_JUST_CREATED)
		s->disk = DISK_INCONSISTENT;
	s->role = prng_chance(rng, 1, 4) ? ROLE_PRIMARY : ROLE_SECONDARY;
	s->lost_dagtag = prng_below(rng, 3);
}

int main(void)
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
		if (sync_oracle(&in))
			return 1;
	}
	printf("prop_uuid_compare: %u pairs\n", RANDOM_ROUNDS);
	return 0;
}

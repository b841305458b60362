/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who resyncs from whom, exhaustively over a small model: nodes 0 and 1 decide, node 2 is known to
 * both; three generations X, Y, Z besides that of an empty disk; each side has bits or none. First
 * all sets of generations, then all flags, states and roles for each kind of set.
 */
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "../lib/sync_oracle.h"

#define X UINT64_C(0x1111111111111110)
#define Y UINT64_C(0x2222222222222220)
#define Z UINT64_C(0x3333333333333330)

static const uint64_t generations[] = { 0, X, Y, Z };
static uint64_t cases;

/* A disk without a generation has no data. */
static bool is_possible(const struct uuid_side *s)
{
	return s->current != UUID_JUST_CREATED || s->disk == DISK_INCONSISTENT;
}

static bool check(const struct sync_input *in)
{
	if (!is_possible(&in->me) || !is_possible(&in->peer))
		return true;
	cases++;
	return sync_oracle(in) == NULL;
}

static void begin(struct sync_input *in)
{
	memset(in, 0, sizeof(*in));
	in->apv = 124;
	in->after_sb_0p = ASB_DISCONNECT;
	in->rr_conflict = ASB_DISCONNECT;
	in->me.node_id = 0;
	in->peer.node_id = 1;
	in->me.role = in->peer.role = ROLE_SECONDARY;
	in->me.rc = true;
	for (unsigned n = 3; n < NODES_MAX; n++)
		in->me.bitmap[n] = in->peer.bitmap[n] = UUID_UNKNOWN;
}

/* Takes the next digit of a mixed number. */
static unsigned digit(unsigned *number, unsigned base)
{
	unsigned d = *number % base;

	*number /= base;
	return d;
}

/* ---- all sets of generations ---- */

/* Current, reference towards the other, towards node 2, history. */
#define SETS (4U * 4U * 5U * 8U)

static void fill_set(unsigned n, struct uuid_side *s)
{
	unsigned current = digit(&n, 4), third, history, used = 0;

	s->current = current ? generations[current] : UUID_JUST_CREATED;
	s->bitmap[1 - s->node_id] = generations[digit(&n, 4)];
	third = digit(&n, 5);
	s->bitmap[2] = third == 4 ? UUID_UNKNOWN : generations[third];
	history = digit(&n, 8);
	for (unsigned i = 0; i < 3; i++) {
		s->history[i] = 0;
		if (history >> i & 1)
			s->history[used++] = generations[i + 1];
	}
}

static unsigned number_of(uint64_t uuid)
{
	for (unsigned i = 1; i < ARRAY_LEN(generations); i++)
		if (generations[i] == uuid)
			return i;
	return 0;
}

/* X, Y, Z are names: of sets that differ only in them one is enough, the one in which they appear
 * in this order. */
static bool is_in_order(const struct sync_input *in)
{
	const uint64_t seen[] = { in->me.current, in->peer.current, in->me.bitmap[1],
				  in->peer.bitmap[0], in->me.bitmap[2], in->peer.bitmap[2] };
	unsigned next = 1;

	for (unsigned i = 0; i < ARRAY_LEN(seen); i++) {
		unsigned n = number_of(seen[i]);

		if (n > next)
			return false;
		next += n == next;
	}
	return true;
}

/* A set with each combination of disks, roles and bits that matters. */
static bool check_set(struct sync_input *in)
{
	static const enum disk_state disks[] = { DISK_INCONSISTENT, DISK_INCONSISTENT,
						 DISK_UP_TO_DATE };
	const uint64_t flags = UUID_FLAG_STABLE | UUID_FLAG_KEEPS_BITS;

	for (unsigned i = 0; i < 3 * 3 * 4 * 2; i++) {
		unsigned n = i, mine = digit(&n, 3), its = digit(&n, 3), bits = digit(&n, 4);

		in->me.disk = disks[mine];
		in->peer.disk = disks[its];
		in->me.flags = flags | (mine == 0 ? UUID_FLAG_SYNC_TARGET : 0);
		in->peer.flags = flags | (its == 0 ? UUID_FLAG_SYNC_TARGET : 0);
		in->me.dirty_bits = bits & 1;
		in->peer.dirty_bits = bits >> 1;
		in->me.role = digit(&n, 2) ? ROLE_PRIMARY : ROLE_SECONDARY;
		if (!check(in))
			return false;
	}
	return true;
}

static bool all_sets(void)
{
	struct sync_input in;

	begin(&in);
	for (unsigned m = 0; m < SETS; m++) {
		fill_set(m, &in.me);
		for (unsigned p = 0; p < SETS; p++) {
			fill_set(p, &in.peer);
			if (is_in_order(&in) && !check_set(&in))
				return false;
		}
	}
	return true;
}

/* ---- all flags ---- */

/* One set for each way in which two disks are related. */
struct relation {
	uint64_t mine, its;                     /* current */
	uint64_t my_reference, its_reference;   /* towards each other */
	uint64_t my_third, its_third;
	uint64_t my_history, its_history;
};

static const struct relation relations[] = {
	{ X, X, 0, 0, 0, 0, 0, 0 },             /* equal */
	{ X, X, Y, 0, 0, 0, 0, 0 },             /* the peer has finished a resync, I missed that */
	{ X, X, Y, Y, 0, 0, 0, 0 },
	{ X, X, 0, 0, Y, Y, Z, Z },
	{ Y, X, X, 0, 0, 0, X, 0 },             /* I went on from what the peer has */
	{ Y, X, 0, 0, X, 0, 0, 0 },             /* and so did a node that I have a slot for */
	{ Y, X, 0, 0, 0, 0, X, 0 },             /* long ago */
	{ Y, Z, X, X, 0, 0, X, X },             /* both went on */
	{ Y, Z, 0, 0, 0, 0, X, X },             /* the same, long ago */
	{ Y, Z, 0, 0, 0, 0, 0, 0 },             /* unrelated */
	{ UUID_JUST_CREATED, X, 0, 0, 0, 0, 0, 0 },
};

static void fill_relation(const struct relation *r, struct sync_input *in)
{
	in->me.current = r->mine;
	in->peer.current = r->its;
	in->me.bitmap[1] = r->my_reference;
	in->peer.bitmap[0] = r->its_reference;
	in->me.bitmap[2] = r->my_third;
	in->peer.bitmap[2] = r->its_third;
	in->me.history[0] = r->my_history;
	in->peer.history[0] = r->its_history;
}

/* What a node may tell of itself: flags, disk, role, bits. */
#define SIDES (3U * 2U * 2U * 7U * 2U * 2U)

static void fill_side(unsigned n, struct uuid_side *s)
{
	static const struct {
		enum disk_state disk;
		uint64_t flag;
	} disks[] = {
		{ DISK_INCONSISTENT, 0 }, { DISK_INCONSISTENT, UUID_FLAG_SYNC_TARGET },
		{ DISK_OUTDATED, 0 },     { DISK_CONSISTENT, 0 },
		{ DISK_UP_TO_DATE, 0 },   { DISK_CONSISTENT, UUID_FLAG_NOT_DURABLE },
		{ DISK_UP_TO_DATE, UUID_FLAG_NOT_DURABLE },
	};
	static const uint64_t losses[] = { 0, UUID_FLAG_CRASHED_PRIMARY, UUID_FLAG_LAGGED };
	unsigned disk = digit(&n, ARRAY_LEN(disks));

	s->disk = disks[disk].disk;
	s->flags = disks[disk].flag | UUID_FLAG_KEEPS_BITS;
	s->flags |= losses[digit(&n, ARRAY_LEN(losses))];
	s->flags |= digit(&n, 2) ? UUID_FLAG_RECONNECT : 0;
	s->flags |= digit(&n, 2) ? UUID_FLAG_PRIMARY_LOST_QUORUM : 0;
	s->role = digit(&n, 2) ? ROLE_PRIMARY : ROLE_SECONDARY;
	s->dirty_bits = digit(&n, 2);
}

/* What the two have in common. */
static bool check_pair(struct sync_input *in)
{
	const uint64_t mine = in->me.flags, its = in->peer.flags;

	for (unsigned i = 0; i < 3 * 2 * 3; i++) {
		unsigned n = i, discard = digit(&n, 3), stable = digit(&n, 2), how = digit(&n, 3);

		in->me.flags = mine | (discard == 1 ? UUID_FLAG_DISCARD_MY_DATA : 0);
		in->peer.flags = its | (discard == 2 ? UUID_FLAG_DISCARD_MY_DATA : 0) |
				 UUID_FLAG_STABLE;
		in->me.flags |= stable ? UUID_FLAG_STABLE : 0;
		in->again = how == 1;
		in->me.named_lost = in->peer.named_lost = how == 2;
		if (!check(in))
			return false;
	}
	return true;
}

static bool all_flags(const struct relation *r)
{
	struct sync_input in;

	begin(&in);
	fill_relation(r, &in);
	in.me.lost_dagtag = 1;
	for (unsigned m = 0; m < SIDES; m++) {
		for (unsigned p = 0; p < SIDES; p++) {
			fill_side(m, &in.me);
			fill_side(p, &in.peer);
			in.me.rc = (m + p) % 2;
			in.peer.rc = !in.me.rc;
			if (!check_pair(&in))
				return false;
		}
	}
	return true;
}

int main(void)
{
	uint64_t sets;

	if (!all_sets())
		return 1;
	sets = cases;
	for (unsigned i = 0; i < ARRAY_LEN(relations); i++)
		if (!all_flags(&relations[i]))
			return 1;
	printf("prop_decide_model: %llu cases of generations, %llu of flags\n",
	       (unsigned long long)sets, (unsigned long long)(cases - sets));
	return 0;
}

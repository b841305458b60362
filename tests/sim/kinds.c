/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Kinds of lives: what is in some lives only, and can be asked for by name. */
#include <stdio.h>
#include <string.h>

#include "sim.h"

static const struct {
	const char *name, *what;
	uint64_t stream;  /* never changes: a seed means the same life for ever */
	uint8_t share[2]; /* so many of so many lives */
	bool every_run;
} kind_table[LIFE_KINDS] = {
	[LIFE_PEERS] = { "peers", "peers are taken out and put in again",
			 UINT64_C(0x7065657273), { 1, 4 }, true },
	[LIFE_FAULTS] = { "faults", "more faults of networks, disks and processes, any command",
			  UINT64_C(0x6661756c7473), { 1, 2 }, false },
	[LIFE_REPLACED] = { "replaced", "disks are replaced by empty ones, and by older ones",
			    UINT64_C(0x7265706c), { 1, 6 }, true },
	[LIFE_PROTOCOLS] = { "protocols", "connections of protocols A and B, or of all three",
			     UINT64_C(0x70726f746f636f6c), { 1, 3 }, true },
	[LIFE_VOLUMES] = { "volumes", "two to four volumes in one write order",
			   UINT64_C(0x766f6c756d6573), { 1, 4 }, true },
	[LIFE_DISKLESS] = { "diskless", "some nodes have no disk, also the Primary",
			    UINT64_C(0x6469736b6c657373), { 3, 4 }, true },
	[LIFE_MANY] = { "many", "six to nine nodes", UINT64_C(0x6d616e79), { 1, 32 }, true },
	[LIFE_UNREPLICATED] = { "unreplicated", "targets of a resync are told of writes only",
				UINT64_C(0x756e7265706c6963), { 1, 4 }, true },
	[LIFE_TRAPS] = { "traps", "packets of chosen types are delayed, lost and cut",
			 UINT64_C(0x7472617073), { 1, 8 }, true },
	[LIFE_AWAY] = { "away", "nodes stay away for long, one after the other",
			UINT64_C(0x61776179), { 1, 10 }, true },
	[LIFE_HALVES] = { "halves", "parts of a cluster with quorum do not see each other",
			  UINT64_C(0x68616c766573), { 1, 10 }, false },
	[LIFE_RESTLESS] = { "restless", "an application that moves at once, links that flap",
			    UINT64_C(0x726573746c657373), { 1, 10 }, false },
	[LIFE_ONE_THING] = { "one-thing", "one thing goes wrong at a time: the rest is prompt",
			     UINT64_C(0x6f6e65), { 1, 10 }, true },
	[LIFE_GENERATIONS] = { "generations", "new disks, peers that are not configured",
			       UINT64_C(0x67656e73), { 1, 10 }, true },
	[LIFE_SLOTS] = { "slots", "metadata get bitmap slots for more peers",
			 UINT64_C(0x736c6f7473), { 1, 8 }, true },
	[LIFE_DISK_TIMEOUT] = { "disk-timeout", "disks hang, and are given up",
				UINT64_C(0x68616e6773), { 1, 4 }, false },
	[LIFE_FENCING] = { "fencing", "peers out of sight are fenced first",
			   UINT64_C(0x66656e6365), { 1, 6 }, true },
	[LIFE_SHAPES] = { "shapes", "not every node has a connection to every other one",
			  UINT64_C(0x736861706573), { 3, 8 }, true },
	[LIFE_TWO_PRIMARIES] = { "two-primaries", "both of two nodes are Primary now and then",
				 UINT64_C(0x74776f707269), { 1, 16 }, true },
	[LIFE_QUORUM] = { "quorum", "quorum where it would not have been",
			  UINT64_C(0x71756f72756d), { 3, 10 }, true },
	[LIFE_FORCED] = { "forced", "promotions by force when the good nodes are gone",
			  UINT64_C(0x666f72636564), { 1, 10 }, false },
};

#define BIT(kind) (UINT32_C(1) << LIFE_##kind)

/* In a run by default not in lives of these kinds. */
static const uint32_t apart[LIFE_KINDS] = {
	[LIFE_PROTOCOLS] = BIT(SHAPES) | BIT(TRAPS),
	[LIFE_UNREPLICATED] = BIT(SHAPES) | BIT(TRAPS),
	[LIFE_SHAPES] = BIT(TRAPS) | BIT(MANY),
};

/* Beside the kinds: some of them are kept apart. */
#define KINDS_APART (UINT32_C(1) << LIFE_KINDS)

uint32_t kinds_default(void)
{
	uint32_t kinds = KINDS_APART;

	for (unsigned i = 0; i < LIFE_KINDS; i++)
		kinds |= (uint32_t)kind_table[i].every_run << i;
	return kinds;
}

static bool parse_one(const char *name, size_t len, uint32_t *kinds)
{
	for (unsigned i = 0; i < LIFE_KINDS; i++) {
		if (strlen(kind_table[i].name) != len || memcmp(kind_table[i].name, name, len) != 0)
			continue;
		*kinds |= 1U << i;
		return true;
	}
	return false;
}

bool kinds_parse(const char *list, uint32_t *kinds)
{
	*kinds = 0;
	if (strcmp(list, "none") == 0)
		return true;
	if (strcmp(list, "all") == 0) {
		*kinds = (1U << LIFE_KINDS) - 1;
		return true;
	}
	for (;; list++) {
		size_t len = strcspn(list, ",");

		if (len == 7 && memcmp(list, "default", 7) == 0)
			*kinds |= kinds_default();
		else if (!parse_one(list, len, kinds))
			return false;
		list += len;
		if (*list == '\0')
			return true;
	}
}

void kinds_print(FILE *f)
{
	for (unsigned i = 0; i < LIFE_KINDS; i++) {
		fprintf(f, "    %-12s %u of %u lives%s", kind_table[i].name,
			kind_table[i].share[0], kind_table[i].share[1],
			kind_table[i].every_run ? "" : " if asked for");
		for (uint32_t others = apart[i]; others; others &= others - 1)
			fprintf(f, ", not %s", kind_table[__builtin_ctz(others)].name);
		fprintf(f, ": %s\n", kind_table[i].what);
	}
}

static bool is_drawn(unsigned kind, uint64_t seed, struct prng *stream)
{
	const uint8_t *share = kind_table[kind].share;

	prng_seed(stream, seed ^ kind_table[kind].stream);
	return prng_chance(stream, share[0], share[1]);
}

static bool is_apart(unsigned kind, uint32_t kinds, uint64_t seed)
{
	uint32_t others = kinds & KINDS_APART ? apart[kind] & kinds : 0;
	struct prng stream;

	for (; others; others &= others - 1) {
		if (is_drawn((unsigned)__builtin_ctz(others), seed, &stream))
			return true;
	}
	return false;
}

bool life_is(struct world *w, enum life_kind kind, uint64_t seed, struct prng *stream)
{
	return is_drawn(kind, seed, stream) && (w->kinds >> kind & 1) &&
	       !is_apart(kind, w->kinds, seed);
}

bool kinds_have(uint32_t wanted, uint32_t kinds, uint64_t seed)
{
	struct prng stream;

	for (unsigned i = 0; i < LIFE_KINDS; i++) {
		if ((wanted & kinds) >> i & 1 && is_drawn(i, seed, &stream) &&
		    !is_apart(i, kinds, seed))
			return true;
	}
	return false;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Kinds of lives: what is in some lives only, and can be asked for by name. */
#ifndef SIM_KINDS_H
#define SIM_KINDS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct prng;
struct world;

/* In the order of the table in kinds.c. */
enum life_kind {
	LIFE_PEERS,
	LIFE_FAULTS,
	LIFE_REPLACED,
	LIFE_PROTOCOLS,
	LIFE_VOLUMES,
	LIFE_DISKLESS,
	LIFE_MANY,
	LIFE_UNREPLICATED,
	LIFE_TRAPS,
	LIFE_AWAY,
	LIFE_HALVES,
	LIFE_RESTLESS,
	LIFE_ONE_THING,
	LIFE_GENERATIONS,
	LIFE_SLOTS,
	LIFE_DISK_TIMEOUT,
	LIFE_FENCING,
	LIFE_SHAPES,
	LIFE_TWO_PRIMARIES,
	LIFE_QUORUM,
	LIFE_FORCED,
	LIFE_KINDS
};

/* The kinds that every run draws from, some of them apart from each other. */
uint32_t kinds_default(void);
/* Names separated by commas, or "default", "all", "none"; false when a name is not known. */
bool kinds_parse(const char *list, uint32_t *kinds);
void kinds_print(FILE *f);
/*
 * True when the life of this seed is of that kind. The stream is the kind's own, so that a life
 * without it is what it would be if the kind did not exist; it goes on with what the kind draws.
 */
bool life_is(struct world *w, enum life_kind kind, uint64_t seed, struct prng *stream);
/* sim_peers.c: metadata get more slots, for nodes that never come. */
void slots_params_draw(struct world *w, uint64_t seed);
void slots_at_random(struct world *w);
/* operator.c: who is not connected to the node with what counts, and has something else, is told to
 * give way. */
void operator_prefers(struct world *w);
/* The life of this seed is of one of the wanted kinds, if lives are drawn from `kinds`. */
bool kinds_have(uint32_t wanted, uint32_t kinds, uint64_t seed);

#endif

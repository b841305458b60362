/* SPDX-License-Identifier: GPL-2.0-or-later */
/* range_map against a plain array, random insertions, removals and searches. */
#include <stdio.h>
#include <stdlib.h>

#include "base/prng.h"
#include "base/range_map.h"

#define RANGES 200U
#define ROUNDS 200000U

static struct range_map map;
static struct range range[RANGES];
static bool present[RANGES];

static bool overlaps(const struct range *r, uint64_t sector, uint64_t sectors)
{
	return r->sector < sector + sectors && sector < r->sector + r->sectors;
}

static uint64_t random_sector(struct prng *rng)
{
	/* Half of them close together, so that overlaps are common. */
	return prng_chance(rng, 1, 2) ? prng_below(rng, 20000) : prng_below(rng, UINT64_C(1) << 40);
}

static uint32_t random_sectors(struct prng *rng)
{
	if (prng_chance(rng, 1, 10))
		return (uint32_t)prng_range(rng, 1, 262144);
	return (uint32_t)prng_range(rng, 1, 2048);
}

/* Every range of the model is found exactly once, and nothing else. */
static bool search_is_right(struct prng *rng)
{
	uint64_t sector = random_sector(rng);
	uint64_t sectors = prng_chance(rng, 1, 20) ? prng_range(rng, 1, UINT64_C(1) << 41) :
						     random_sectors(rng);
	unsigned seen[RANGES] = { 0 };
	struct range *r = NULL;

	while ((r = range_map_overlap(&map, sector, sectors, r)))
		seen[r - range]++;
	for (unsigned i = 0; i < RANGES; i++) {
		unsigned want = present[i] && overlaps(&range[i], sector, sectors);

		if (seen[i] != want)
			return false;
	}
	return true;
}

int main(void)
{
	struct prng rng;

	prng_seed(&rng, 1);
	range_map_init(&map);
	for (unsigned round = 0; round < ROUNDS; round++) {
		unsigned i = (unsigned)prng_below(&rng, RANGES);

		if (present[i]) {
			range_map_remove(&map, &range[i]);
		} else {
			list_init(&range[i].link);
			range[i].sector = random_sector(&rng);
			range[i].sectors = random_sectors(&rng);
			range_map_insert(&map, &range[i]);
		}
		present[i] = !present[i];
		if (!search_is_right(&rng)) {
			fprintf(stderr, "prop_range_map: wrong answer in round %u\n", round);
			return EXIT_FAILURE;
		}
	}
	printf("prop_range_map: %u rounds\n", ROUNDS);
	return EXIT_SUCCESS;
}

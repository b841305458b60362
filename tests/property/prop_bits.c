/* SPDX-License-Identifier: GPL-2.0-or-later */
/* base/bits against one bool per bit: random ranges, edges of words, empty ranges. */
#include <stdio.h>
#include <string.h>

#include "base/bits.h"
#include "base/prng.h"

#define BITS 1000U
#define ROUNDS 300000U

static uint64_t words[(BITS + 63) / 64 + 1];
static bool model[BITS];

static uint64_t model_count(uint64_t first, uint64_t count)
{
	uint64_t n = 0;

	for (uint64_t i = first; i < first + count; i++)
		n += model[i];
	return n;
}

static uint64_t model_next(uint64_t from, uint64_t end, bool value)
{
	for (uint64_t i = from; i < end; i++)
		if (model[i] == value)
			return i;
	return BITS_NONE;
}

static bool change(struct prng *rng, uint64_t first, uint64_t count)
{
	bool set = prng_chance(rng, 1, 2);
	uint64_t ones = model_count(first, count);
	uint64_t changed = set ? bits_set_range(words, first, count) :
				 bits_clear_range(words, first, count);

	for (uint64_t i = first; i < first + count; i++)
		model[i] = set;
	return changed == (set ? count - ones : ones);
}

static bool same(void)
{
	for (uint64_t i = 0; i < BITS; i++)
		if (bits_test(words, i) != model[i])
			return false;
	/* Nothing beyond the last bit is touched. */
	return words[(BITS + 63) / 64] == 0;
}

static bool round_is_right(struct prng *rng)
{
	uint64_t first = prng_below(rng, BITS);
	uint64_t most = prng_chance(rng, 1, 2) ? 3 : BITS - first;
	uint64_t count = prng_below(rng, (most < BITS - first ? most : BITS - first) + 1);

	if (!change(rng, first, count))
		return false;
	first = prng_below(rng, BITS);
	count = prng_below(rng, BITS - first + 1);
	return bits_weight(words, first, count) == model_count(first, count) &&
	       bits_any(words, first, count) == (model_count(first, count) > 0) &&
	       bits_next_set(words, first, first + count) ==
		       model_next(first, first + count, true) &&
	       bits_next_clear(words, first, first + count) ==
		       model_next(first, first + count, false);
}

int main(void)
{
	struct prng rng;

	prng_seed(&rng, 1);
	for (unsigned i = 0; i < ROUNDS; i++) {
		if (!round_is_right(&rng) || (i % 100 == 0 && !same())) {
			printf("prop_bits: round %u differs from the model\n", i);
			return 1;
		}
	}
	if (!same()) {
		printf("prop_bits: the bits differ from the model at the end\n");
		return 1;
	}
	printf("prop_bits: %u rounds\n", ROUNDS);
	return 0;
}

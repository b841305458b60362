/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Ranges of bits in arrays of 64-bit words. */
#include "base/bits.h"

#include <stddef.h>

/* The part of word `w` that [first, first + count) covers, for a word the range touches. */
static uint64_t word_mask(uint64_t w, uint64_t first, uint64_t count)
{
	uint64_t mask = ~UINT64_C(0);
	uint64_t end = first + count;

	if (w == first / 64)
		mask &= ~UINT64_C(0) << (first % 64);
	if (w == end / 64)
		mask &= (UINT64_C(1) << (end % 64)) - 1;
	return mask;
}

uint64_t bits_set_range(uint64_t *words, uint64_t first, uint64_t count)
{
	uint64_t changed = 0;

	if (!count)
		return 0;
	for (uint64_t w = first / 64; w <= (first + count - 1) / 64; w++) {
		uint64_t new_bits = word_mask(w, first, count) & ~words[w];

		changed += (uint64_t)__builtin_popcountll(new_bits);
		words[w] |= new_bits;
	}
	return changed;
}

uint64_t bits_clear_range(uint64_t *words, uint64_t first, uint64_t count)
{
	uint64_t changed = 0;

	if (!count)
		return 0;
	for (uint64_t w = first / 64; w <= (first + count - 1) / 64; w++) {
		uint64_t gone = word_mask(w, first, count) & words[w];

		changed += (uint64_t)__builtin_popcountll(gone);
		words[w] &= ~gone;
	}
	return changed;
}

uint64_t bits_weight(const uint64_t *words, uint64_t first, uint64_t count)
{
	uint64_t weight = 0;

	if (!count)
		return 0;
	for (uint64_t w = first / 64; w <= (first + count - 1) / 64; w++)
		weight += (uint64_t)__builtin_popcountll(words[w] & word_mask(w, first, count));
	return weight;
}

bool bits_any(const uint64_t *words, uint64_t first, uint64_t count)
{
	if (!count)
		return false;
	for (uint64_t w = first / 64; w <= (first + count - 1) / 64; w++)
		if (words[w] & word_mask(w, first, count))
			return true;
	return false;
}

/* First bit in [from, end) whose value differs from the one that `flip` selects. */
static uint64_t next_bit(const uint64_t *words, uint64_t from, uint64_t end, uint64_t flip)
{
	if (from >= end)
		return BITS_NONE;
	for (uint64_t w = from / 64; w <= (end - 1) / 64; w++) {
		uint64_t word = (words[w] ^ flip) & word_mask(w, from, end - from);

		if (word)
			return w * 64 + (uint64_t)__builtin_ctzll(word);
	}
	return BITS_NONE;
}

uint64_t bits_next_set(const uint64_t *words, uint64_t from, uint64_t end)
{
	return next_bit(words, from, end, 0);
}

uint64_t bits_next_clear(const uint64_t *words, uint64_t from, uint64_t end)
{
	return next_bit(words, from, end, ~UINT64_C(0));
}

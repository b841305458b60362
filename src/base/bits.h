/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Ranges of bits in arrays of 64-bit words: bit n is bit n % 64 of words[n / 64]. */
#ifndef BASE_BITS_H
#define BASE_BITS_H

#include <stdbool.h>
#include <stdint.h>

#define BITS_NONE UINT64_MAX

static inline uint64_t bits_words(uint64_t bits)
{
	return bits / 64 + (bits % 64 != 0);
}

static inline bool bits_test(const uint64_t *words, uint64_t bit)
{
	return (words[bit / 64] >> (bit % 64)) & 1;
}

/* Set or clear [first, first + count); return how many bits changed. */
uint64_t bits_set_range(uint64_t *words, uint64_t first, uint64_t count);
uint64_t bits_clear_range(uint64_t *words, uint64_t first, uint64_t count);
/* Bits that are set in [first, first + count). */
uint64_t bits_weight(const uint64_t *words, uint64_t first, uint64_t count);
bool bits_any(const uint64_t *words, uint64_t first, uint64_t count);
/* First set (clear) bit in [from, end), BITS_NONE when there is none. */
uint64_t bits_next_set(const uint64_t *words, uint64_t from, uint64_t end);
uint64_t bits_next_clear(const uint64_t *words, uint64_t from, uint64_t end);

#endif

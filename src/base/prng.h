/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Seeded pseudo-random numbers (xoshiro256**): reproducible, not for secrets. */
#ifndef BASE_PRNG_H
#define BASE_PRNG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct prng {
	uint64_t s[4];
};

/* Every seed, 0 too, gives a good state; equal seeds give equal sequences on every machine. */
void prng_seed(struct prng *r, uint64_t seed);
uint64_t prng_u64(struct prng *r);
/* Uniform in [0, n); 0 for n == 0. */
uint64_t prng_below(struct prng *r, uint64_t n);
/* Uniform in [lo, hi], both included; lo <= hi. */
uint64_t prng_range(struct prng *r, uint64_t lo, uint64_t hi);
/* True with probability num / den. */
bool prng_chance(struct prng *r, uint32_t num, uint32_t den);
/* Exponentially distributed around `mean` without floating point, at most 16 times it. */
uint64_t prng_exp(struct prng *r, uint64_t mean);
void prng_bytes(struct prng *r, void *out, size_t bytes);

#endif

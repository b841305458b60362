/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Seeded pseudo-random numbers: xoshiro256** seeded by splitmix64. */
#include "base/prng.h"

#include <string.h>

#include "base/assert.h"

static uint64_t rotl(uint64_t x, unsigned k)
{
	return (x << k) | (x >> (64 - k));
}

void prng_seed(struct prng *r, uint64_t seed)
{
	for (unsigned i = 0; i < ARRAY_LEN(r->s); i++) {
		uint64_t z = seed += UINT64_C(0x9e3779b97f4a7c15);

		z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
		z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
		r->s[i] = z ^ (z >> 31);
	}
}

uint64_t prng_u64(struct prng *r)
{
	uint64_t *s = r->s;
	uint64_t result = rotl(s[1] * 5, 7) * 9;
	uint64_t t = s[1] << 17;

	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= t;
	s[3] = rotl(s[3], 45);
	return result;
}

uint64_t prng_below(struct prng *r, uint64_t n)
{
	uint64_t reject, x;

	if (n == 0)
		return 0;
	/* Values below 2^64 mod n would favour small results. */
	reject = -n % n;
	do {
		x = prng_u64(r);
	} while (x < reject);
	return x % n;
}

uint64_t prng_range(struct prng *r, uint64_t lo, uint64_t hi)
{
	ASSERT(lo <= hi);
	if (hi - lo == UINT64_MAX)
		return prng_u64(r);
	return lo + prng_below(r, hi - lo + 1);
}

bool prng_chance(struct prng *r, uint32_t num, uint32_t den)
{
	ASSERT(den > 0);
	return prng_below(r, den) < num;
}

uint64_t prng_exp(struct prng *r, uint64_t mean)
{
	/* -ln(u) by halving: the whole part of log2 from leading zeros, the rest linear. */
	uint64_t u = prng_u64(r) | 1;
	unsigned zeros = (unsigned)__builtin_clzll(u);
	uint64_t frac = 65536 - ((zeros == 63 ? 0 : u << (zeros + 1)) >> 48);
	uint64_t log2_q16 = ((uint64_t)zeros << 16) + frac;
	uint64_t scaled;

	/* ln 2 = 45426 / 65536. */
	scaled = (log2_q16 * 45426) >> 16;
	if (scaled > (16U << 16))
		scaled = 16U << 16;
	return mean / 65536 * scaled + (mean % 65536) * scaled / 65536;
}

void prng_bytes(struct prng *r, void *out, size_t bytes)
{
	uint8_t *p = out;

	while (bytes > 0) {
		uint64_t x = prng_u64(r);
		size_t n = bytes < sizeof(x) ? bytes : sizeof(x);

		memcpy(p, &x, n);
		p += n;
		bytes -= n;
	}
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Tests of the seeded pseudo-random numbers: known sequence, bounds, rough distribution. */
#include "base/prng.h"

#include <criterion/criterion.h>

Test(prng, sequence_is_fixed)
{
	struct prng r;

	/* Reference: the published xoshiro256** with state {1, 2, 3, 4}. */
	r = (struct prng){ .s = { 1, 2, 3, 4 } };
	cr_assert_eq(prng_u64(&r), UINT64_C(11520));
	cr_assert_eq(prng_u64(&r), UINT64_C(0));
	cr_assert_eq(prng_u64(&r), UINT64_C(1509978240));
	cr_assert_eq(prng_u64(&r), UINT64_C(1215971899390074240));
}

Test(prng, seed_is_splitmix64)
{
	struct prng r;

	prng_seed(&r, 0);
	cr_assert_eq(r.s[0], UINT64_C(0xe220a8397b1dcdaf));
	cr_assert_eq(r.s[1], UINT64_C(0x6e789e6aa1b965f4));
}

Test(prng, below_stays_below_and_reaches_all)
{
	struct prng r;
	unsigned seen[7] = { 0 };

	prng_seed(&r, 42);
	cr_assert_eq(prng_below(&r, 0), 0);
	for (unsigned i = 0; i < 7000; i++) {
		uint64_t x = prng_below(&r, 7);

		cr_assert_lt(x, 7);
		seen[x]++;
	}
	for (unsigned i = 0; i < 7; i++)
		cr_assert(seen[i] > 800 && seen[i] < 1200, "value %u came %u times", i, seen[i]);
}

Test(prng, range_includes_both_ends)
{
	struct prng r;
	bool lo = false, hi = false;

	prng_seed(&r, 1);
	for (unsigned i = 0; i < 200; i++) {
		uint64_t x = prng_range(&r, 10, 13);

		cr_assert(x >= 10 && x <= 13);
		lo |= x == 10;
		hi |= x == 13;
	}
	cr_assert(lo && hi);
	cr_assert_eq(prng_range(&r, 5, 5), 5);
}

Test(prng, exp_has_its_mean)
{
	struct prng r;
	uint64_t sum = 0;
	const uint64_t mean = 1000000;

	prng_seed(&r, 7);
	for (unsigned i = 0; i < 20000; i++) {
		uint64_t x = prng_exp(&r, mean);

		cr_assert_leq(x, 16 * mean);
		sum += x;
	}
	sum /= 20000;
	cr_assert(sum > mean * 9 / 10 && sum < mean * 11 / 10, "mean is %lu", (unsigned long)sum);
}

Test(prng, bytes_fill_exactly)
{
	struct prng a, b;
	uint8_t x[24] = { 0 }, y[24] = { 0 };

	prng_seed(&a, 3);
	prng_seed(&b, 3);
	prng_bytes(&a, x, 13);
	prng_bytes(&b, y, 13);
	cr_assert_arr_eq(x, y, sizeof(x));
	for (unsigned i = 13; i < 24; i++)
		cr_assert_eq(x[i], 0);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Known answers of CRC-32C and agreement of its two implementations. */
#include <criterion/criterion.h>
#include <string.h>

#include "base/crc32c.h"

/* RFC 3720 B.4 gives these with inversion before and after. */
static uint32_t usual(const void *p, size_t n)
{
	return ~crc32c(~0U, p, n);
}

Test(crc32c, known_answers)
{
	uint8_t b[32];

	cr_assert_eq(usual("123456789", 9), 0xe3069283U);
	memset(b, 0, sizeof(b));
	cr_assert_eq(usual(b, sizeof(b)), 0x8a9136aaU);
	memset(b, 0xff, sizeof(b));
	cr_assert_eq(usual(b, sizeof(b)), 0x62a8ab43U);
	for (unsigned i = 0; i < sizeof(b); i++)
		b[i] = (uint8_t)i;
	cr_assert_eq(usual(b, sizeof(b)), 0x46dd794eU);
}

Test(crc32c, raw_form_has_no_inversion)
{
	uint8_t zeros[64] = { 0 };
	uint8_t one = 0x80;

	cr_assert_eq(crc32c(0, zeros, sizeof(zeros)), 0);
	cr_assert_eq(crc32c(0, &one, 1), 0x82f63b78U);
	cr_assert_eq(crc32c(0x1234, zeros, 0), 0x1234);
}

Test(crc32c, implementations_agree_at_every_length_and_alignment)
{
	uint8_t b[300];
	uint32_t x = 1;

	for (unsigned i = 0; i < sizeof(b); i++) {
		x = x * 1664525U + 1013904223U;
		b[i] = (uint8_t)(x >> 24);
	}
	for (unsigned off = 0; off < 9; off++) {
		for (unsigned n = 0; n + off <= sizeof(b); n++)
			cr_assert_eq(crc32c(n, b + off, n), crc32c_table(n, b + off, n));
	}
}

Test(crc32c, chains)
{
	const char *s = "a run of bytes cut at every place";
	size_t n = strlen(s);

	for (size_t i = 0; i <= n; i++)
		cr_assert_eq(crc32c(crc32c(7, s, i), s + i, n - i), crc32c(7, s, n));
}

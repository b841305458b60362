/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Run-length code of bitmaps: levels of variable-length integers packed LSB first. */
#include "base/vli.h"

#include <errno.h>

#include "base/assert.h"
#include "base/bytes.h"

/* A code is `prefix` in the low prefix_bits, then run - base in data_bits. */
struct level {
	uint64_t base;
	uint8_t prefix;
	uint8_t prefix_bits;
	uint8_t data_bits;
};

static const struct level levels[] = {
	{ 1, 0x00, 1, 1 },
	{ 3, 0x01, 2, 1 },
	{ 5, 0x03, 3, 2 },
	{ 9, 0x07, 4, 3 },
	{ 17, 0x0f, 5, 5 },
	{ 49, 0x1f, 6, 8 },
	{ 305, 0x3f, 8, 13 },
	{ 8497, 0x7f, 8, 21 },
	{ 2105649, 0xbf, 8, 34 },
	{ UINT64_C(17181974833), 0xff, 8, 56 },
};

#define LEVEL_ONES_MAX 5U /* levels up to here are told apart by the ones before the first zero */

static const struct level *level_of_run(uint64_t run)
{
	unsigned l = 0;

	while (l + 1 < ARRAY_LEN(levels) && run >= levels[l + 1].base)
		l++;
	return &levels[l];
}

static const struct level *level_of_code(uint64_t code)
{
	unsigned ones = (unsigned)__builtin_ctzll(~code | (UINT64_C(1) << 63));

	if (ones > LEVEL_ONES_MAX)
		ones = LEVEL_ONES_MAX + 1 + ((code >> 6) & 3);
	return &levels[ones];
}

/* End of the run of equal bits that begins at pos < bits. */
static uint64_t find_run_end(const uint64_t *words, uint64_t bits, uint64_t pos, bool set)
{
	uint64_t flip = set ? UINT64_MAX : 0;
	uint64_t w = (words[pos / 64] ^ flip) >> (pos % 64);

	if (!w) {
		pos -= pos % 64;
		do {
			pos += 64;
			if (pos >= bits)
				return bits;
			w = words[pos / 64] ^ flip;
		} while (!w);
	}
	pos += (unsigned)__builtin_ctzll(w);
	return pos < bits ? pos : bits;
}

/* Appends the low n bits of v at bit position `at`; bytes not yet begun are overwritten. */
static void put_bits(uint8_t *out, uint64_t at, uint64_t v, unsigned n)
{
	uint8_t *p = out + at / 8;
	unsigned used = at % 8;

	if (used) {
		unsigned take = 8 - used < n ? 8 - used : n;

		*p = (uint8_t)(*p | (v & ((1U << take) - 1)) << used);
		v >>= take;
		n -= take;
		p++;
	}
	while (n) {
		unsigned take = n < 8 ? n : 8;

		*p++ = (uint8_t)(v & ((1U << take) - 1));
		v >>= take;
		n -= take;
	}
}

size_t vli_encode(const uint64_t *words, uint64_t bits, uint64_t *pos, uint8_t *out, size_t cap,
		  bool *first_set, unsigned *pad_bits)
{
	uint64_t at = *pos, used_bits = 0;
	size_t bytes;
	bool set;

	ASSERT(bits <= VLI_RUN_MAX && at <= bits);
	if (at == bits)
		return 0;
	set = words[at / 64] >> (at % 64) & 1;
	*first_set = set;
	while (at < bits) {
		uint64_t end = find_run_end(words, bits, at, set);
		const struct level *l = level_of_run(end - at);
		unsigned n = (unsigned)l->prefix_bits + l->data_bits;

		if (used_bits + n > (uint64_t)cap * 8)
			break;
		put_bits(out, used_bits, (end - at - l->base) << l->prefix_bits | l->prefix, n);
		used_bits += n;
		at = end;
		set = !set;
	}
	bytes = (size_t)((used_bits + 7) / 8);
	if (!bytes || bytes * 8 > at - *pos)
		return 0;
	*pad_bits = (unsigned)(bytes * 8 - used_bits);
	*pos = at;
	return bytes;
}

/* The 64 bits from bit position `at` on, zeros beyond the end. */
static uint64_t peek_bits(const uint8_t *code, size_t n, uint64_t at)
{
	size_t i = (size_t)(at / 8);
	unsigned shift = at % 8;
	uint8_t part[9] = { 0 };
	const uint8_t *p = code + i;

	if (n - i < sizeof(part)) {
		memcpy(part, p, n - i);
		p = part;
	}
	return shift ? get_le64(p) >> shift | (uint64_t)p[8] << (64 - shift) : get_le64(p);
}

int vli_decode(const uint8_t *code, size_t n, unsigned pad_bits, bool first_set, uint64_t bits,
	       uint64_t *pos, void (*set_run)(void *ctx, uint64_t first, uint64_t count),
	       void *ctx)
{
	uint64_t at = *pos, used_bits = 0, code_bits = (uint64_t)n * 8 - pad_bits;
	bool set = first_set;

	if (!n || pad_bits > 7 || at > bits)
		return -EPROTO;
	while (used_bits < code_bits) {
		uint64_t v = peek_bits(code, n, used_bits);
		const struct level *l = level_of_code(v);
		unsigned width = (unsigned)l->prefix_bits + l->data_bits;
		uint64_t run;

		if (width > code_bits - used_bits)
			return -EPROTO;
		run = l->base + (v >> l->prefix_bits & ((UINT64_C(1) << l->data_bits) - 1));
		if (run > bits - at)
			return -EPROTO;
		if (set)
			set_run(ctx, at, run);
		at += run;
		used_bits += width;
		set = !set;
	}
	*pos = at;
	return 0;
}

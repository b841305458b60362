/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Hostile run-length codes: runs stay inside the bitmap, and what decodes, when it is small
 * enough to be coded again, codes to the same bytes. Input: flags, position, size, code.
 */
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/vli.h"

#define PREFIX_BYTES 17U
#define BITS_MAX (1U << 16)

struct sink {
	uint64_t bits, start, next;
	uint64_t words[BITS_MAX / 64];
};

static void require(bool ok)
{
	if (!ok)
		abort();
}

static void set_run(void *ctx, uint64_t first, uint64_t count)
{
	struct sink *s = ctx;

	require(count && first >= s->next && first <= s->bits && count <= s->bits - first);
	s->next = first + count;
	for (uint64_t i = first; s->bits <= BITS_MAX && i < first + count; i++)
		s->words[i / 64] |= UINT64_C(1) << i % 64;
}

/* The codes of the format are unique, so a whole decoded bitmap has only this one. */
static void check_again(const struct sink *s, uint64_t end, const uint8_t *code, size_t n,
			bool first_set, unsigned pad_bits)
{
	static uint8_t again[BITS_MAX];
	uint64_t pos = s->start;
	unsigned pad;
	bool set;
	size_t m = vli_encode(s->words, end, &pos, again, sizeof(again), &set, &pad);

	if (n * 8 > end - s->start) {
		require(m == 0 && pos == s->start);
		return;
	}
	require(m == n && pos == end && set == first_set && pad == pad_bits);
	require(!memcmp(again, code, n - 1));
	require(again[n - 1] == (code[n - 1] & 0xff >> pad_bits));
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static struct sink s;
	unsigned pad_bits;
	uint64_t pos;
	uint8_t *code;
	bool first_set, small;
	int rc;

	if (n < PREFIX_BYTES)
		return 0;
	pad_bits = p[0] & 15;
	first_set = p[0] & 0x80;
	small = p[0] & 0x40;
	memset(&s, 0, sizeof(s));
	s.bits = get_be64(p + 1);
	pos = get_be64(p + 9);
	if (small) {
		s.bits %= BITS_MAX + 1;
		pos %= s.bits + 1;
	}
	s.start = s.next = pos;
	p += PREFIX_BYTES;
	n -= PREFIX_BYTES;
	code = malloc(n ? n : 1);
	memcpy(code, p, n);
	rc = vli_decode(code, n, pad_bits, first_set, s.bits, &pos, set_run, &s);
	if (rc)
		require(pos == s.start);
	else
		require(n && pos > s.start && pos <= s.bits && s.next <= pos);
	if (!rc && s.bits <= BITS_MAX && n < BITS_MAX)
		check_again(&s, pos, code, n, first_set, pad_bits);
	free(code);
	return 0;
}

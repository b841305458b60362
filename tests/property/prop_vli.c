/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The run-length code against a model that writes and reads it one bit at a time. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/prng.h"
#include "base/vli.h"

#define BITS_MAX 70000U
#define WORDS_MAX (BITS_MAX / 64U + 1U)
#define CODE_MAX 4079U
#define ROUNDS 500U

#define CHECK(cond)                                                                                \
	do {                                                                                       \
		if (!(cond)) {                                                                     \
			fprintf(stderr, "%s:%d: round %u: %s\n", __FILE__, __LINE__, round,        \
				#cond);                                                            \
			exit(1);                                                                   \
		}                                                                                  \
	} while (0)

/* The table of the code, as its prefix is written: first bit first. */
static const struct {
	const char *prefix;
	unsigned data_bits;
	uint64_t first, last;
} model_levels[] = {
	{ "0", 1, 1, 2 },
	{ "10", 1, 3, 4 },
	{ "110", 2, 5, 8 },
	{ "1110", 3, 9, 16 },
	{ "11110", 5, 17, 48 },
	{ "111110", 8, 49, 304 },
	{ "11111100", 13, 305, 8496 },
	{ "11111110", 21, 8497, 2105648 },
	{ "11111101", 34, 2105649, 17181974832ULL },
	{ "11111111", 56, 17181974833ULL, UINT64_MAX },
};
#define MODEL_LEVELS (sizeof(model_levels) / sizeof(model_levels[0]))

struct model {
	char bit[CODE_MAX * 8 + 80]; /* '0' and '1' */
	unsigned count;
};

static bool get_bit(const uint64_t *words, uint64_t i)
{
	return words[i / 64] >> i % 64 & 1;
}

static void model_append(struct model *m, uint64_t run)
{
	unsigned l = 0;

	while (run > model_levels[l].last)
		l++;
	for (const char *p = model_levels[l].prefix; *p; p++)
		m->bit[m->count++] = *p;
	for (unsigned i = 0; i < model_levels[l].data_bits; i++)
		m->bit[m->count++] = (run - model_levels[l].first) >> i & 1 ? '1' : '0';
}

/* What the encoder should write from pos on; returns the position it should reach. */
static uint64_t model_encode(struct model *m, const uint64_t *words, uint64_t bits, uint64_t pos,
			     size_t cap)
{
	m->count = 0;
	while (pos < bits) {
		unsigned before = m->count;
		uint64_t end = pos;

		while (end < bits && get_bit(words, end) == get_bit(words, pos))
			end++;
		model_append(m, end - pos);
		if (m->count > cap * 8) {
			m->count = before;
			break;
		}
		pos = end;
	}
	return pos;
}

struct sink {
	uint64_t words[WORDS_MAX];
	uint64_t next; /* runs come in order and do not touch */
	unsigned bad;
};

static void set_run(void *ctx, uint64_t first, uint64_t count)
{
	struct sink *s = ctx;

	if (!count || first < s->next || first + count > BITS_MAX)
		s->bad++;
	for (uint64_t i = first; i < first + count && i < BITS_MAX; i++)
		s->words[i / 64] |= UINT64_C(1) << i % 64;
	s->next = first + count + 1;
}

static void ignore_run(void *ctx, uint64_t first, uint64_t count)
{
	(void)ctx;
	(void)first;
	(void)count;
}

/* One call of the encoder, compared bit by bit. Returns the bytes it wrote. */
static size_t check_encode(unsigned round, const uint64_t *words, uint64_t bits, uint64_t *pos,
			   uint8_t *code, size_t cap, bool *first_set, unsigned *pad_bits)
{
	static struct model m;
	uint64_t start = *pos, want = model_encode(&m, words, bits, start, cap);
	size_t want_bytes = (m.count + 7) / 8;
	size_t n = vli_encode(words, bits, pos, code, cap, first_set, pad_bits);

	if (!m.count || want_bytes * 8 > want - start) {
		CHECK(n == 0 && *pos == start);
		return 0;
	}
	CHECK(n == want_bytes && *pos == want);
	CHECK(*pad_bits == n * 8 - m.count && *first_set == get_bit(words, start));
	for (unsigned i = 0; i < n * 8; i++)
		CHECK((code[i / 8] >> i % 8 & 1) == (i < m.count && m.bit[i] == '1'));
	return n;
}

static void check_bitmap(unsigned round, struct prng *r, const uint64_t *words, uint64_t bits)
{
	static struct sink got;
	static uint8_t code[CODE_MAX];
	size_t cap = prng_chance(r, 1, 2) ? CODE_MAX : prng_range(r, 1, 60);
	uint64_t pos = 0, seen = 0;

	memset(&got, 0, sizeof(got));
	while (pos < bits) {
		bool first_set;
		unsigned pad_bits;
		uint64_t before = pos;
		size_t n = check_encode(round, words, bits, &pos, code, cap, &first_set, &pad_bits);

		if (!n) { /* as a plain chunk would: on to a later word */
			pos = before / 64 * 64 + 64;
			for (uint64_t i = before; i < pos && i < bits; i++)
				got.words[i / 64] |= (uint64_t)get_bit(words, i) << i % 64;
			got.next = seen = pos;
			continue;
		}
		CHECK(vli_decode(code, n, pad_bits, first_set, bits, &seen, set_run, &got) == 0);
		CHECK(seen == pos && !got.bad);
		got.next = seen;
		/* One bit less of code, of bitmap, or one run more must not pass. */
		seen = before;
		CHECK(pos == before + 1 || vli_decode(code, n, pad_bits, first_set, pos - 1, &seen,
						      ignore_run, NULL) < 0);
		CHECK(seen == before);
		seen = pos;
	}
	for (uint64_t i = 0; i < bits; i++)
		CHECK(get_bit(got.words, i) == get_bit(words, i));
}

/* Garbage either fails or moves forward within the bitmap. */
static void check_garbage(unsigned round, struct prng *r)
{
	uint8_t code[64];
	size_t n = prng_range(r, 1, sizeof(code));
	uint64_t bits = prng_u64(r) >> prng_below(r, 60), pos = prng_below(r, bits + 1);
	uint64_t before = pos;
	int rc;

	prng_bytes(r, code, n);
	rc = vli_decode(code, n, (unsigned)prng_below(r, 9), prng_chance(r, 1, 2), bits, &pos,
			ignore_run, NULL);
	CHECK(rc ? pos == before : pos > before && pos <= bits);
}

int main(void)
{
	static const uint64_t borders[] = { 1, 63, 64, 65, 127, 128, 129, 510 * 64 - 1, 510 * 64,
					    510 * 64 + 1, BITS_MAX };
	static uint64_t words[WORDS_MAX];
	struct prng r;

	prng_seed(&r, 42);
	for (unsigned round = 0; round < ROUNDS; round++) {
		uint64_t bits = round < 200 ? borders[round % 11] : prng_range(&r, 1, BITS_MAX);
		uint64_t mean = UINT64_C(1) << prng_below(&r, 14), at = 0;
		bool set = prng_chance(&r, 1, 2);

		memset(words, 0, sizeof(words));
		while (at < bits) {
			for (uint64_t run = 1 + prng_exp(&r, mean); run && at < bits; run--, at++)
				words[at / 64] |= (uint64_t)set << at % 64;
			set = !set;
		}
		check_bitmap(round, &r, words, bits);
		for (unsigned i = 0; i < 20; i++)
			check_garbage(round, &r);
	}
	return 0;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The run-length code: vectors recorded between kernel nodes, level borders, hostile codes. */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "base/assert.h"
#include "base/vli.h"

#define BITS_MAX 8192U

struct model {
	uint64_t words[BITS_MAX / 64];
	uint64_t set_count;
	uint64_t last_first, last_count;
};

static void note_run(void *ctx, uint64_t first, uint64_t count)
{
	struct model *m = ctx;

	m->set_count += count;
	m->last_first = first;
	m->last_count = count;
	for (uint64_t i = first; i < first + count && i < BITS_MAX; i++)
		m->words[i / 64] |= UINT64_C(1) << i % 64;
}

struct vector {
	uint64_t bits;
	uint8_t packet[10]; /* encoding byte, then the code */
	uint8_t packet_bytes;
	uint16_t runs[8]; /* 0 ends them */
};

/* Recorded between kernel nodes, with the runs they stand for. */
static const struct vector vectors[] = {
	{ 502, { 0xb2, 0x3f, 0xc5, 0x00 }, 4, { 502 } },
	{ 4086, { 0xb2, 0x3f, 0xc5, 0x0e }, 4, { 4086 } },
	{ 4086, { 0x62, 0xe1, 0x27, 0xd8, 0x01 }, 5, { 3, 1, 4082 } },
	{ 4086,
	  { 0xd2, 0x7e, 0x0d, 0xf7, 0x9f, 0x27, 0xc3, 0x0f, 0xbd, 0x01 },
	  10,
	  { 2, 62, 16, 1920, 1, 2085 } },
};

static void build(struct model *m, const struct vector *v)
{
	bool set = v->packet[0] & 0x80;
	uint64_t at = 0;

	memset(m, 0, sizeof(*m));
	for (unsigned i = 0; i < ARRAY_LEN(v->runs) && v->runs[i]; i++, set = !set) {
		if (set)
			note_run(m, at, v->runs[i]);
		at += v->runs[i];
	}
	cr_assert_eq(at, v->bits);
}

Test(vli, recorded_codes_decode)
{
	for (unsigned i = 0; i < ARRAY_LEN(vectors); i++) {
		const struct vector *v = &vectors[i];
		struct model want, got = { 0 };
		uint64_t pos = 0;

		build(&want, v);
		cr_assert_eq(vli_decode(v->packet + 1, v->packet_bytes - 1U,
					v->packet[0] >> 4 & 7, v->packet[0] & 0x80, v->bits, &pos,
					note_run, &got),
			     0);
		cr_assert_eq(pos, v->bits);
		cr_assert_arr_eq(got.words, want.words, sizeof(want.words));
	}
}

Test(vli, recorded_bitmaps_encode_to_the_same_bytes)
{
	for (unsigned i = 0; i < ARRAY_LEN(vectors); i++) {
		const struct vector *v = &vectors[i];
		struct model m;
		uint64_t pos = 0;
		uint8_t out[64];
		bool first_set;
		unsigned pad_bits;
		size_t n;

		build(&m, v);
		n = vli_encode(m.words, v->bits, &pos, out, sizeof(out), &first_set, &pad_bits);
		cr_assert_eq(n, v->packet_bytes - 1U);
		cr_assert_eq((first_set ? 0x80 : 0) | pad_bits << 4 | 2, v->packet[0]);
		cr_assert_arr_eq(out, v->packet + 1, n);
		cr_assert_eq(pos, v->bits);
	}
}

/* First and last run of every level of the table. */
static const uint64_t borders[] = {
	1,    2,    3,	  4,	   5,	    8,		   9,		   16,
	17,   48,   49,	  304,	   305,	    8496,	   8497,	   2105648,
	2105649,    UINT64_C(17181974832), UINT64_C(17181974833),
	UINT64_C(17181974833) + (UINT64_C(1) << 56) - 1,
};

static const uint8_t border_widths[] = { 2,  2,	 3,  3,	 5,  5,	 7,  7,	 10, 10,
					 14, 14, 21, 21, 29, 29, 42, 42, 64, 64 };
static const uint64_t border_bases[] = { 1,   1,   3,	 3,    5,    5,	      9,       9,	 17,
					 17,  49,  49,	 305,  305,  8497,    8497,    2105649,
					 2105649,  UINT64_C(17181974833), UINT64_C(17181974833) };
static const uint8_t border_prefixes[] = { 0x00, 0x00, 0x01, 0x01, 0x03, 0x03, 0x07,
					   0x07, 0x0f, 0x0f, 0x1f, 0x1f, 0x3f, 0x3f,
					   0x7f, 0x7f, 0xbf, 0xbf, 0xff, 0xff };
static const uint8_t border_prefix_bits[] = { 1, 1, 2, 2, 3, 3, 4, 4, 5, 5,
					      6, 6, 8, 8, 8, 8, 8, 8, 8, 8 };

static size_t code_of(unsigned i, uint8_t out[8], unsigned *pad_bits)
{
	uint64_t v = (borders[i] - border_bases[i]) << border_prefix_bits[i] | border_prefixes[i];
	size_t n = (border_widths[i] + 7U) / 8U;

	for (unsigned b = 0; b < 8; b++)
		out[b] = (uint8_t)(v >> (8 * b));
	*pad_bits = (unsigned)(n * 8 - border_widths[i]);
	return n;
}

Test(vli, every_level_border_decodes)
{
	STATIC_ASSERT(ARRAY_LEN(borders) == ARRAY_LEN(border_widths), "one width per border");
	for (unsigned i = 0; i < ARRAY_LEN(borders); i++) {
		struct model m = { 0 };
		uint8_t code[8];
		unsigned pad_bits;
		size_t n = code_of(i, code, &pad_bits);
		uint64_t pos = 7;

		cr_assert_eq(vli_decode(code, n, pad_bits, false, borders[i] + 7, &pos, note_run,
					&m),
			     0);
		cr_assert_eq(pos, borders[i] + 7, "border %u", i);
		cr_assert_eq(m.set_count, 0);
	}
}

Test(vli, run_one_bit_too_long_is_refused)
{
	for (unsigned i = 0; i < ARRAY_LEN(borders); i++) {
		struct model m = { 0 };
		uint8_t code[8];
		unsigned pad_bits;
		size_t n = code_of(i, code, &pad_bits);
		uint64_t pos = 7;

		for (int set = 0; set < 2; set++) {
			cr_assert_eq(vli_decode(code, n, pad_bits, set, borders[i] + 6, &pos,
						note_run, &m),
				     -EPROTO);
			cr_assert_eq(pos, 7);
			cr_assert_eq(m.set_count, 0);
		}
	}
}

Test(vli, run_lengths_of_the_short_levels_round_trip)
{
	for (unsigned run = 1; run < BITS_MAX; run++) {
		struct model m = { 0 }, got = { 0 };
		uint64_t pos = 0, end = 0;
		uint8_t out[16];
		bool first_set;
		unsigned pad_bits;
		size_t n;

		note_run(&m, 0, run);
		n = vli_encode(m.words, BITS_MAX, &pos, out, sizeof(out), &first_set, &pad_bits);
		cr_assert(n > 0 && first_set && pos == BITS_MAX);
		cr_assert_eq(vli_decode(out, n, pad_bits, true, BITS_MAX, &end, note_run, &got), 0);
		cr_assert_eq(end, BITS_MAX);
		cr_assert_eq(got.last_first, 0);
		cr_assert_eq(got.last_count, run);
	}
}

/* No code begins with another one, so a part of one is never whole. */
Test(vli, code_cut_in_the_middle_is_refused)
{
	for (unsigned i = 0; i < ARRAY_LEN(borders); i++) {
		for (unsigned width = 1; width < border_widths[i]; width++) {
			struct model m = { 0 };
			uint8_t code[8];
			unsigned pad_bits;
			uint64_t pos = 0;

			code_of(i, code, &pad_bits);
			cr_assert_eq(vli_decode(code, (width + 7U) / 8U, -width % 8, true,
						VLI_RUN_MAX * 2, &pos, note_run, &m),
				     -EPROTO, "%u bits of border %u", width, i);
			cr_assert_eq(m.set_count, 0);
		}
	}
}

Test(vli, bits_left_over_after_the_end_are_refused)
{
	/* 502 ones (21 bits), and one more run of one where three pad bits were. */
	uint8_t code[] = { 0x3f, 0xc5, 0x00 };
	struct model m = { 0 };
	uint64_t pos = 0;

	cr_assert_eq(vli_decode(code, 3, 1, true, 502, &pos, note_run, &m), -EPROTO);
	cr_assert_eq(vli_decode(code, 3, 3, true, 502, &pos, note_run, &m), 0);
}

Test(vli, bad_arguments_from_the_wire_are_refused)
{
	uint8_t code[] = { 0x00 };
	struct model m = { 0 };
	uint64_t pos = 0;

	cr_assert_eq(vli_decode(code, 0, 0, true, 100, &pos, note_run, &m), -EPROTO);
	cr_assert_eq(vli_decode(code, 1, 8, true, 100, &pos, note_run, &m), -EPROTO);
	cr_assert_eq(vli_decode(code, 1, 0xffffffffU, true, 100, &pos, note_run, &m), -EPROTO);
	pos = 101;
	cr_assert_eq(vli_decode(code, 1, 0, true, 100, &pos, note_run, &m), -EPROTO);
	cr_assert_eq(m.set_count, 0);
}

Test(vli, runs_are_left_for_the_next_packet_when_the_space_ends)
{
	struct model m = { 0 }, got = { 0 };
	uint64_t pos = 0, end = 0;
	unsigned packets = 0;

	for (uint64_t i = 0; i < BITS_MAX; i += 40)
		note_run(&m, i, 1 + i % 39);
	while (pos < BITS_MAX) {
		uint8_t out[5];
		bool first_set;
		unsigned pad_bits;
		size_t n = vli_encode(m.words, BITS_MAX, &pos, out, sizeof(out), &first_set,
				      &pad_bits);

		cr_assert(n > 0 && n <= sizeof(out));
		cr_assert_eq(vli_decode(out, n, pad_bits, first_set, BITS_MAX, &end, note_run,
					&got),
			     0);
		cr_assert_eq(end, pos);
		packets++;
	}
	cr_assert(packets > 10);
	cr_assert_arr_eq(got.words, m.words, sizeof(m.words));
}

Test(vli, dense_bitmap_is_left_to_the_plain_form)
{
	uint64_t words[2] = { 0x5555555555555555U, 0x5555555555555555U };
	uint64_t pos = 3;
	uint8_t out[64];
	bool first_set;
	unsigned pad_bits;

	cr_assert_eq(vli_encode(words, 128, &pos, out, sizeof(out), &first_set, &pad_bits), 0);
	cr_assert_eq(pos, 3);
	cr_assert_eq(vli_encode(words, 128, &pos, out, 0, &first_set, &pad_bits), 0);
	pos = 128;
	cr_assert_eq(vli_encode(words, 128, &pos, out, sizeof(out), &first_set, &pad_bits), 0);
	cr_assert_eq(pos, 128);
}

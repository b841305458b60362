/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whole bitmap transfers: what the packets say is the bitmap, and they end as they must. */
#include <criterion/criterion.h>
#include <string.h>

#include "../lib/wire_check.h"
#include "base/assert.h"
#include "base/bytes.h"
#include "base/prng.h"
#include "base/vli.h"

#define BITS_MAX (510U * 64U * 5U)
#define WORDS_MAX (BITS_MAX / 64U)

static const struct wire_ctx agreed = { .apv = 124, .features = 0x3ff };

/* A receiver that knows no more than the rules of the transfer. */
struct receiver {
	uint64_t bits;
	uint64_t pos;
	uint64_t words[WORDS_MAX];
	bool complete;
	unsigned plain, compressed, empty;
};

static void set_run(void *ctx, uint64_t first, uint64_t count)
{
	struct receiver *r = ctx;

	for (uint64_t i = first; i < first + count; i++)
		r->words[i / 64] |= UINT64_C(1) << i % 64;
}

static void receive_plain(struct receiver *r, const struct pkt *pkt)
{
	uint64_t first = r->pos / 64, total = (r->bits + 63) / 64;
	uint64_t left_bytes = r->pos < r->bits ? (total - first) * 8 : 0;

	cr_assert_eq(pkt->var_bytes, left_bytes < 4080 ? left_bytes : 4080);
	if (!pkt->var_bytes) {
		r->complete = true;
		r->empty++;
		return;
	}
	for (uint32_t i = 0; i < pkt->var_bytes / 8; i++)
		r->words[first + i] |= get_le64(pkt->var + 8 * i);
	r->pos = (first + pkt->var_bytes / 8) * 64;
	if (r->pos > r->bits)
		r->pos = r->bits;
	r->plain++;
}

static void receive(struct receiver *r, const struct pkt *pkt)
{
	cr_assert(!r->complete);
	if (pkt->type == P_BITMAP) {
		receive_plain(r, pkt);
		return;
	}
	cr_assert_eq(pkt->type, P_COMPRESSED_BITMAP);
	cr_assert_eq(vli_decode(pkt->var, pkt->var_bytes, pkt->u.bitmap_encoding >> 4 & 7,
				pkt->u.bitmap_encoding & 0x80, r->bits, &r->pos, set_run, r),
		     0);
	r->complete = r->pos == r->bits;
	r->compressed++;
}

/* Sends all of it and compares; the bits beyond the end are garbage on the sender's side. */
static void transfer(struct receiver *r, uint64_t *words, uint64_t bits)
{
	uint8_t buf[WIRE_PACKET_MAX_BYTES];
	uint64_t pos = 0, total = (bits + 63) / 64;
	size_t n;

	memset(r, 0, sizeof(*r));
	r->bits = bits;
	if (bits % 64)
		words[total - 1] |= UINT64_MAX << bits % 64;
	while ((n = wire_encode_bitmap(&agreed, 3, words, bits, &pos, buf, sizeof(buf)))) {
		struct decoded d;

		cr_assert_leq(n, sizeof(buf));
		cr_assert_eq(decode_packet(&agreed, STREAM_DATA, buf, n, &d), 0);
		cr_assert_eq(d.header.bytes + d.header.length, n);
		cr_assert_eq(d.pkt.vnr, 3);
		receive(r, &d.pkt);
	}
	cr_assert(r->complete);
	cr_assert_eq(wire_encode_bitmap(&agreed, 3, words, bits, &pos, buf, sizeof(buf)), 0);
	if (bits % 64)
		words[total - 1] &= ~(UINT64_MAX << bits % 64);
	cr_assert_arr_eq(r->words, words, total * 8);
}

static uint64_t words[WORDS_MAX];
static struct receiver receiver;

Test(wire_bitmap, no_bits_is_one_empty_packet)
{
	transfer(&receiver, words, 0);
	cr_assert(receiver.empty == 1 && !receiver.plain && !receiver.compressed);
}

Test(wire_bitmap, uniform_bitmaps_are_one_compressed_packet)
{
	for (uint64_t bits = 16; bits < BITS_MAX; bits += 1 + bits / 3) {
		for (int fill = 0; fill < 2; fill++) {
			memset(words, fill ? 0xff : 0, sizeof(words));
			if (bits % 64)
				words[bits / 64] &= ~(UINT64_MAX << bits % 64);
			transfer(&receiver, words, bits);
			cr_assert(receiver.compressed == 1 && !receiver.plain && !receiver.empty);
		}
	}
}

Test(wire_bitmap, recorded_packet)
{
	static const uint8_t want[] = { 0x86, 0x20, 0xec, 0x20, 0, 0,	 0,    0x24, 0,	   0,
					0,    4,    0,	  0,	0, 0, 0xb2, 0x3f, 0xc5, 0 };
	uint8_t buf[WIRE_PACKET_MAX_BYTES];
	uint64_t pos = 0;

	memset(words, 0xff, sizeof(words));
	cr_assert_eq(wire_encode_bitmap(&agreed, 0, words, 502, &pos, buf, sizeof(buf)),
		     sizeof(want));
	cr_assert_arr_eq(buf, want, sizeof(want));
}

Test(wire_bitmap, alternating_bits_go_plain_and_end_with_the_empty_packet)
{
	static const uint64_t sizes[] = { 1,	 7,	8,     63,    64,    65,    128,
					  32639, 32640, 32641, 65280, 65281, 97920 };

	for (unsigned i = 0; i < ARRAY_LEN(sizes); i++) {
		unsigned chunks = (unsigned)((sizes[i] + 32639) / 32640);

		memset(words, 0x55, sizeof(words));
		if (sizes[i] % 64)
			words[sizes[i] / 64] &= ~(UINT64_MAX << sizes[i] % 64);
		transfer(&receiver, words, sizes[i]);
		if (sizes[i] % 32640 > 100 || sizes[i] == 128)
			cr_assert(receiver.plain == chunks && receiver.empty == 1 &&
				  !receiver.compressed);
	}
}

/* Sparse, dense, sparse: a plain chunk starts inside what compressed packets have covered. */
Test(wire_bitmap, plain_chunks_after_compressed_ones_start_at_the_word)
{
	uint64_t sparse = 32640 * 2 + 37;
	uint8_t buf[WIRE_PACKET_MAX_BYTES];
	struct decoded d;
	uint64_t pos = 0;
	bool seen_plain = false;

	memset(words, 0, sizeof(words));
	for (uint64_t i = 0; i < sparse; i += 5)
		words[i / 64] |= UINT64_C(3) << (i % 64 < 63 ? i % 64 : 62);
	for (uint64_t i = sparse; i < sparse + 40000; i += 2)
		words[i / 64] |= UINT64_C(1) << i % 64;
	transfer(&receiver, words, BITS_MAX);
	cr_assert(receiver.compressed && receiver.plain && !receiver.empty);
	while (!seen_plain) {
		uint64_t before = pos;
		size_t n = wire_encode_bitmap(&agreed, 0, words, BITS_MAX, &pos, buf, sizeof(buf));

		cr_assert(n > 0);
		cr_assert_eq(decode_packet(&agreed, STREAM_DATA, buf, n, &d), 0);
		seen_plain = d.pkt.type == P_BITMAP;
		if (seen_plain)
			cr_assert_eq(pos, before / 64 * 64 + 32640);
	}
}

Test(wire_bitmap, random_bitmaps)
{
	struct prng r;

	prng_seed(&r, 5);
	for (unsigned round = 0; round < 150; round++) {
		uint64_t bits = prng_range(&r, 1, BITS_MAX), at = 0;
		bool set = prng_chance(&r, 1, 2);

		memset(words, 0, sizeof(words));
		while (at < bits) {
			uint64_t mean = prng_chance(&r, 1, 300) ? 20000 : round % 30 + 1;
			uint64_t run = prng_range(&r, 1, 2 * mean);

			for (; run && at < bits; run--, at++)
				words[at / 64] |= (uint64_t)set << at % 64;
			set = !set;
		}
		transfer(&receiver, words, bits);
	}
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Cuts a bitmap into the packets of one transfer (wire-protocol 5.2, 5.3). */
#include "base/assert.h"
#include "base/bytes.h"
#include "base/vli.h"
#include "wire/wire_int.h"

#define ENCODING_VLI 2U
#define ENCODING_PAD_SHIFT 4
#define ENCODING_FIRST_SET 0x80U
#define CHUNK_WORDS (WIRE_BITMAP_CHUNK_BYTES / 8)
/* Value of *pos once the transfer is complete. At `bits` the closing packet is still to come. */
#define POS_COMPLETE UINT64_MAX

static size_t put_compressed(const struct wire_ctx *ctx, uint16_t vnr, const uint64_t *words,
			     uint64_t bits, uint64_t *pos, uint8_t *buf)
{
	const struct wire_rule *rule = wire_rule(P_COMPRESSED_BITMAP);
	size_t head = wire_header_bytes(ctx, rule), n;
	uint8_t *code = buf + head + BYTES_COMPRESSED_BITMAP;
	unsigned pad_bits = 0;
	bool first_set = false;

	n = vli_encode(words, bits, pos, code, WIRE_BITMAP_CHUNK_BYTES - BYTES_COMPRESSED_BITMAP,
		       &first_set, &pad_bits);
	if (!n)
		return 0;
	buf[head] = (uint8_t)(ENCODING_VLI | pad_bits << ENCODING_PAD_SHIFT |
			      (first_set ? ENCODING_FIRST_SET : 0));
	wire_put_header(ctx, rule, vnr, (uint32_t)(BYTES_COMPRESSED_BITMAP + n), buf);
	return head + BYTES_COMPRESSED_BITMAP + n;
}

/* A plain chunk starts at the word that holds *pos; with *pos == bits it is the closing packet. */
static size_t put_plain(const struct wire_ctx *ctx, uint16_t vnr, const uint64_t *words,
			uint64_t bits, uint64_t *pos, uint8_t *buf)
{
	const struct wire_rule *rule = wire_rule(P_BITMAP);
	size_t head = wire_header_bytes(ctx, rule);
	uint64_t first = *pos / 64, count = 0;

	if (*pos < bits)
		count = (bits + 63) / 64 - first;
	if (count > CHUNK_WORDS)
		count = CHUNK_WORDS;
	for (uint64_t i = 0; i < count; i++) {
		uint64_t w = words[first + i], base = (first + i) * 64;

		if (bits - base < 64)
			w &= (UINT64_C(1) << (bits - base)) - 1;
		put_le64(buf + head + 8 * i, w);
	}
	wire_put_header(ctx, rule, vnr, (uint32_t)(8 * count), buf);
	if (!count)
		*pos = POS_COMPLETE;
	else
		*pos = bits / 64 < first + count ? bits : (first + count) * 64;
	return head + 8 * (size_t)count;
}

size_t wire_encode_bitmap(const struct wire_ctx *ctx, uint16_t vnr, const uint64_t *words,
			  uint64_t bits, uint64_t *pos, uint8_t *buf, size_t cap)
{
	size_t n;

	ASSERT(cap >= WIRE_PACKET_MAX_BYTES && ctx->apv >= 100);
	if (*pos == POS_COMPLETE)
		return 0;
	if (*pos < bits) {
		n = put_compressed(ctx, vnr, words, bits, pos, buf);
		if (n) {
			if (*pos == bits)
				*pos = POS_COMPLETE;
			return n;
		}
	}
	return put_plain(ctx, vnr, words, bits, pos, buf);
}

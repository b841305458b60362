/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Packets recorded between kernel nodes: decode, encode to the same bytes, text of the trace. */
#include <criterion/criterion.h>
#include <string.h>

#include "../lib/wire_check.h"
#include "base/assert.h"
#include "wire_vectors.h"

static uint8_t nibble(char c)
{
	return (uint8_t)(c <= '9' ? c - '0' : c - 'a' + 10);
}

static struct wire_ctx load(const struct wire_vector *v, uint8_t bytes[WIRE_PACKET_MAX_BYTES])
{
	cr_assert_eq(strlen(v->hex), 2U * v->bytes);
	for (unsigned i = 0; i < v->bytes; i++)
		bytes[i] = (uint8_t)(nibble(v->hex[2 * i]) << 4 | nibble(v->hex[2 * i + 1]));
	/* header80 comes before the features exchange, and in answers that overtake it */
	return (struct wire_ctx){ .apv = bytes[0] == 0x86 ? 124 : 0,
				  .features = 0x3ff,
				  .integrity_bytes = v->integrity_bytes };
}

Test(wire_vectors, encode_to_the_recorded_bytes)
{
	for (unsigned i = 0; i < ARRAY_LEN(wire_vectors); i++) {
		const struct wire_vector *v = &wire_vectors[i];
		uint8_t bytes[WIRE_PACKET_MAX_BYTES], again[WIRE_PACKET_MAX_BYTES];
		struct wire_ctx ctx = load(v, bytes);
		struct decoded d;
		int rc = decode_packet(&ctx, (enum stream)v->stream, bytes, v->bytes, &d);

		cr_assert_eq(rc, 0, "vector %u: %s", i, wire_error_text(rc));
		cr_assert_eq(d.pkt.type, v->type);
		cr_assert_eq(d.header.bytes + d.body_bytes, v->bytes);
		cr_assert_eq(wire_encode(&ctx, &d.pkt, again, sizeof(again)), v->bytes,
			     "vector %u", i);
		cr_assert_arr_eq(again, bytes, v->bytes, "vector %u: %s", i, v->text);
		cr_assert_eq(wire_encode(&ctx, &d.pkt, again, v->bytes - 1U), 0);
	}
}

Test(wire_vectors, are_for_their_stream_only)
{
	for (unsigned i = 0; i < ARRAY_LEN(wire_vectors); i++) {
		const struct wire_vector *v = &wire_vectors[i];
		uint8_t bytes[WIRE_PACKET_MAX_BYTES];
		struct wire_ctx ctx = load(v, bytes);
		struct decoded d;

		ctx.apv = 124; /* early headers are good for any stream otherwise */
		if (bytes[0] != 0x86)
			continue;
		cr_assert_eq(decode_packet(&ctx,
					   v->stream == STREAM_DATA ? STREAM_CONTROL : STREAM_DATA,
					   bytes, v->bytes, &d),
			     WIRE_ERR_STREAM);
	}
}

Test(wire_vectors, every_shorter_piece_asks_for_more)
{
	for (unsigned i = 0; i < ARRAY_LEN(wire_vectors); i++) {
		const struct wire_vector *v = &wire_vectors[i];
		uint8_t bytes[WIRE_PACKET_MAX_BYTES];
		struct wire_ctx ctx = load(v, bytes);
		struct decoded d;

		for (unsigned n = 0; n < v->bytes; n++)
			cr_assert_eq(decode_packet(&ctx, (enum stream)v->stream, bytes, n, &d),
				     WIRE_MORE);
	}
}

Test(wire_vectors, trace_text)
{
	for (unsigned i = 0; i < ARRAY_LEN(wire_vectors); i++) {
		const struct wire_vector *v = &wire_vectors[i];
		uint8_t bytes[WIRE_PACKET_MAX_BYTES];
		struct wire_ctx ctx = load(v, bytes);
		struct decoded d;
		char line[512], brief[20];

		cr_assert_eq(decode_packet(&ctx, (enum stream)v->stream, bytes, v->bytes, &d), 0);
		cr_assert_eq(wire_format(&d.pkt, line, sizeof(line)), (int)strlen(v->text));
		cr_assert_str_eq(line, v->text);
		memset(brief, 'x', sizeof(brief));
		wire_format(&d.pkt, brief, sizeof(brief) - 1);
		cr_assert_eq(strncmp(brief, v->text, sizeof(brief) - 2), 0);
		cr_assert_eq(brief[sizeof(brief) - 1], 'x');
		cr_assert_leq(strlen(brief), sizeof(brief) - 2);
	}
}

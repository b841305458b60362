/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The three header forms and everything that is refused before a body is read. */
#include <criterion/criterion.h>
#include <string.h>

#include "../lib/wire_sample.h"
#include "base/assert.h"
#include "wire/wire.h"

static const struct wire_ctx early;
static const struct wire_ctx agreed = { .apv = 124, .features = 0x3ff };

static int check(const struct wire_ctx *ctx, enum stream stream, unsigned type, uint16_t vnr,
		 uint32_t length)
{
	struct wire_header h = { .form = WIRE_HEADER_100,
				 .bytes = 16,
				 .type = (uint16_t)type,
				 .vnr = vnr,
				 .length = length };
	uint32_t fixed_bytes = 0, payload_bytes = 0;
	int rc = wire_check_header(ctx, &h, stream, &fixed_bytes, &payload_bytes);

	if (rc)
		return rc;
	cr_assert_eq((uint64_t)fixed_bytes + payload_bytes, length);
	cr_assert_leq(fixed_bytes, WIRE_BODY_MAX_BYTES);
	cr_assert_leq(payload_bytes, BIO_MAX_BYTES);
	return 0;
}

Test(wire_header, initial_packets)
{
	static const uint8_t data[] = { 0x83, 0x74, 0x02, 0x67, 0xff, 0xf2, 0, 0 };
	static const uint8_t control[] = { 0x83, 0x74, 0x02, 0x67, 0xff, 0xf1, 0, 0 };
	uint8_t out[WIRE_INITIAL_BYTES];

	wire_encode_initial(STREAM_DATA, out);
	cr_assert_arr_eq(out, data, sizeof(data));
	cr_assert_eq(wire_decode_initial(out), STREAM_DATA);
	wire_encode_initial(STREAM_CONTROL, out);
	cr_assert_arr_eq(out, control, sizeof(control));
	cr_assert_eq(wire_decode_initial(out), STREAM_CONTROL);
	out[7] = 1;
	cr_assert_eq(wire_decode_initial(out), WIRE_ERR_LENGTH);
	out[7] = 0;
	out[5] = 0xf3;
	cr_assert_eq(wire_decode_initial(out), WIRE_ERR_UNKNOWN);
	cr_assert_eq(wire_decode_initial((const uint8_t *)"GET / HT"), WIRE_ERR_MAGIC);
}

Test(wire_header, forms)
{
	static const uint8_t h80[] = { 0x83, 0x74, 0x02, 0x67, 0xff, 0xfe, 0x00, 0x48 };
	static const uint8_t h95[] = { 0x83, 0x5a, 0x00, 0x13, 0x00, 0x01, 0x00, 0x02 };
	static const uint8_t h100[] = { 0x86, 0x20, 0xec, 0x20, 0xff, 0xff, 0x00, 0x14,
					0x01, 0x02, 0x03, 0x04, 0,    0,    0,	  0 };
	struct wire_header h;
	size_t need;

	cr_assert_eq(wire_decode_header(h80, sizeof(h80), &h, &need), 0);
	cr_assert(need == 8 && h.bytes == 8 && h.form == WIRE_HEADER_80);
	cr_assert(h.type == P_CONNECTION_FEATURES && h.length == 72 && h.vnr == VNR_NONE);
	cr_assert_eq(wire_decode_header(h95, sizeof(h95), &h, &need), 0);
	cr_assert(need == 8 && h.bytes == 8 && h.form == WIRE_HEADER_95);
	cr_assert(h.type == P_PING && h.length == 0x10002 && h.vnr == VNR_NONE);
	cr_assert_eq(wire_decode_header(h100, sizeof(h100), &h, &need), 0);
	cr_assert(need == 16 && h.bytes == 16 && h.form == WIRE_HEADER_100);
	cr_assert(h.type == P_PING_ACK && h.length == 0x01020304 && h.vnr == 0xffff);
}

Test(wire_header, bytes_needed_come_in_two_steps)
{
	static const uint8_t h100[] = { 0x86, 0x20, 0xec, 0x20, 0, 0, 0, 0,
					0,    0,    0,	  0,	0, 0, 0, 0 };
	static const uint8_t h80[] = { 0x83, 0x74, 0x02, 0x67, 0, 0, 0, 0 };
	struct wire_header h;
	size_t need;

	for (size_t n = 0; n < 16; n++) {
		cr_assert_eq(wire_decode_header(h100, n, &h, &need), WIRE_MORE);
		cr_assert_eq(need, n < 4 ? 8 : 16);
	}
	for (size_t n = 0; n < 8; n++) {
		cr_assert_eq(wire_decode_header(h80, n, &h, &need), WIRE_MORE);
		cr_assert_eq(need, 8);
	}
}

Test(wire_header, garbage_is_seen_after_four_bytes)
{
	struct wire_header h;
	size_t need;

	cr_assert_eq(wire_decode_header((const uint8_t *)"SSH-", 4, &h, &need), WIRE_ERR_MAGIC);
	cr_assert_eq(wire_decode_header((const uint8_t *)"\x86\x20\xec\x21", 4, &h, &need),
		     WIRE_ERR_MAGIC);
}

Test(wire_header, pad_must_be_zero)
{
	uint8_t h100[] = { 0x86, 0x20, 0xec, 0x20, 0, 0, 0, 0x14, 0, 0, 0, 0, 0, 0, 0, 0 };
	struct wire_header h;
	size_t need;

	for (unsigned i = 12; i < 16; i++) {
		h100[i] = 1;
		cr_assert_eq(wire_decode_header(h100, sizeof(h100), &h, &need), WIRE_ERR_PAD);
		h100[i] = 0;
	}
	cr_assert_eq(wire_decode_header(h100, sizeof(h100), &h, &need), 0);
}

Test(wire_header, which_form_goes_where)
{
	struct wire_header ping = { .form = WIRE_HEADER_80, .type = P_PING_ACK, .vnr = VNR_NONE };
	struct wire_header features = { .type = P_CONNECTION_FEATURES,
					.vnr = VNR_NONE,
					.length = 72 };
	struct wire_header state = { .type = P_STATE, .vnr = VNR_NONE, .length = 4 };
	uint32_t fixed_bytes, payload_bytes;

	/* A ping may be older than the features exchange; data packets may not. */
	for (ping.form = WIRE_HEADER_80; ping.form <= WIRE_HEADER_100; ping.form++) {
		cr_assert_eq(wire_check_header(&agreed, &ping, STREAM_CONTROL, &fixed_bytes,
					       &payload_bytes),
			     0);
		cr_assert_eq(wire_check_header(&early, &ping, STREAM_CONTROL, &fixed_bytes,
					       &payload_bytes),
			     0);
	}
	for (state.form = WIRE_HEADER_80; state.form <= WIRE_HEADER_100; state.form++)
		cr_assert_eq(wire_check_header(&agreed, &state, STREAM_DATA, &fixed_bytes,
					       &payload_bytes),
			     state.form == WIRE_HEADER_100 ? 0 : WIRE_ERR_MAGIC);
	for (unsigned form = WIRE_HEADER_80; form <= WIRE_HEADER_100; form++) {
		features.form = (uint8_t)form;
		cr_assert_eq(wire_check_header(&early, &features, STREAM_DATA, &fixed_bytes,
					       &payload_bytes),
			     form == WIRE_HEADER_95 ? WIRE_ERR_MAGIC : 0);
	}
}

Test(wire_header, phases)
{
	cr_assert_eq(check(&early, STREAM_DATA, P_CONNECTION_FEATURES, VNR_NONE, 72), 0);
	cr_assert_eq(check(&agreed, STREAM_DATA, P_CONNECTION_FEATURES, VNR_NONE, 72),
		     WIRE_ERR_PHASE);
	for (unsigned i = 0; i < sample_type_count; i++) {
		unsigned type = sample_types[i].type;
		enum stream stream = sample_types[i].streams & 1U ? STREAM_DATA : STREAM_CONTROL;

		if (type == P_CONNECTION_FEATURES || type == P_PING || type == P_PING_ACK)
			continue;
		cr_assert_eq(check(&early, stream, type, 0, 0), WIRE_ERR_PHASE, "%s",
			     packet_name(type));
	}
	cr_assert_eq(check(&early, STREAM_DATA, P_INITIAL_DATA, VNR_NONE, 0), WIRE_ERR_UNKNOWN);
}

/* The peer's features may have been read before ours are written. */
Test(wire_header, features_go_out_in_the_early_form_at_any_time)
{
	struct pkt pkt = { .type = P_CONNECTION_FEATURES, .vnr = VNR_NONE };
	uint8_t a[WIRE_PACKET_MAX_BYTES], b[WIRE_PACKET_MAX_BYTES];

	cr_assert_eq(wire_encode(&early, &pkt, a, sizeof(a)), 8 + 72);
	cr_assert_eq(wire_encode(&agreed, &pkt, b, sizeof(b)), 8 + 72);
	cr_assert_arr_eq(a, b, 8 + 72);
}

/* All numbers: only the catalogue's are known, each on its stream only. */
Test(wire_header, every_number_on_every_stream)
{
	for (unsigned type = 0; type <= UINT16_MAX; type++) {
		unsigned streams = 0;

		for (unsigned i = 0; i < sample_type_count; i++) {
			if (sample_types[i].type == type)
				streams = sample_types[i].streams;
		}
		for (unsigned stream = 0; stream < STREAM_COUNT; stream++) {
			struct wire_ctx ctx = agreed;
			int rc;

			if (sample_is_of_8_4(type)) {
				cr_assert_neq(check(&ctx, (enum stream)stream, type, 0, 0), 0);
				ctx.apv = 101;
			}
			rc = check(&ctx, (enum stream)stream, type, 0, UINT32_MAX);

			if (!streams)
				cr_assert_eq(rc, WIRE_ERR_UNKNOWN, "0x%x", type);
			else if (!(streams & 1U << stream))
				cr_assert_eq(rc, WIRE_ERR_STREAM, "0x%x", type);
			else
				cr_assert(rc != 0 && rc != WIRE_ERR_STREAM &&
						  rc != WIRE_ERR_UNKNOWN,
					  "0x%x", type);
		}
	}
}

/* DRBD 8.4 gives connection-wide packets a volume; later versions do not. */
Test(wire_header, volume_0_before_110)
{
	struct wire_ctx old = { .apv = 101, .features = 0xf };

	cr_assert_eq(check(&old, STREAM_DATA, P_BARRIER, 0, 8), 0);
	cr_assert_eq(check(&old, STREAM_DATA, P_BARRIER, VNR_NONE, 8), 0);
	cr_assert_eq(check(&old, STREAM_DATA, P_BARRIER, 1, 8), WIRE_ERR_VOLUME);
	cr_assert_eq(check(&agreed, STREAM_DATA, P_BARRIER, 0, 8), WIRE_ERR_VOLUME);
}

Test(wire_header, lengths)
{
	static const struct {
		uint16_t type;
		uint16_t vnr;
		uint8_t stream;
		int expected;
		uint32_t length;
	} cases[] = {
		{ P_DATA, 0, STREAM_DATA, WIRE_ERR_LENGTH, 0 },
		{ P_DATA, 0, STREAM_DATA, WIRE_ERR_LENGTH, 23 },
		{ P_DATA, 0, STREAM_DATA, WIRE_ERR_BLOCK_SIZE, 24 },
		{ P_DATA, 0, STREAM_DATA, WIRE_ERR_BLOCK_SIZE, 24 + 511 },
		{ P_DATA, 0, STREAM_DATA, 0, 24 + 512 },
		{ P_DATA, 0, STREAM_DATA, 0, 24 + (1U << 20) },
		{ P_DATA, 0, STREAM_DATA, WIRE_ERR_BLOCK_SIZE, 24 + (1U << 20) + 512 },
		{ P_DATA, 0, STREAM_DATA, WIRE_ERR_BLOCK_SIZE, 0x7fffffff },
		{ P_DATA, 0, STREAM_DATA, WIRE_ERR_BLOCK_SIZE, 0x80000000 },
		{ P_DATA, 0, STREAM_DATA, WIRE_ERR_BLOCK_SIZE, 0xffffffff },
		{ P_DATA_REPLY, 0, STREAM_DATA, WIRE_ERR_BLOCK_SIZE, 0x80000000 },
		{ P_DATA_REPLY, 0, STREAM_DATA, WIRE_ERR_BLOCK_SIZE, 0xfffffff8 },
		{ P_DATA_REPLY, 65534, STREAM_DATA, WIRE_ERR_BLOCK_SIZE, 0x80000018 },
		{ P_CSUM_RS_REQUEST, 0, STREAM_DATA, WIRE_ERR_LENGTH, 24 + 65 },
		{ P_CSUM_RS_REQUEST, 0, STREAM_DATA, WIRE_ERR_LENGTH, 0x80000019 },
		{ P_OV_REPLY, 0, STREAM_DATA, WIRE_ERR_LENGTH, 0x80000019 },
		{ P_RS_CSUM_DAGTAG_REQ, 0, STREAM_DATA, WIRE_ERR_LENGTH, 0xffffffff },
		{ P_RS_DATA_REPLY, 65534, STREAM_DATA, 0, 24 + 4096 },
		{ P_BITMAP, 0, STREAM_DATA, 0, 0 },
		{ P_BITMAP, 0, STREAM_DATA, 0, 4080 },
		{ P_BITMAP, 0, STREAM_DATA, WIRE_ERR_LENGTH, 4088 },
		{ P_BITMAP, 0, STREAM_DATA, WIRE_ERR_LENGTH, 4 },
		{ P_COMPRESSED_BITMAP, 0, STREAM_DATA, WIRE_ERR_LENGTH, 0 },
		{ P_COMPRESSED_BITMAP, 0, STREAM_DATA, WIRE_ERR_LENGTH, 1 },
		{ P_COMPRESSED_BITMAP, 0, STREAM_DATA, 0, 2 },
		{ P_COMPRESSED_BITMAP, 0, STREAM_DATA, 0, 4080 },
		{ P_COMPRESSED_BITMAP, 0, STREAM_DATA, WIRE_ERR_LENGTH, 4081 },
		{ P_SIZES, 0, STREAM_DATA, WIRE_ERR_LENGTH, 32 },
		{ P_SIZES, 0, STREAM_DATA, 0, 56 },
		{ P_UUIDS110, 0, STREAM_DATA, 0, 40 },
		{ P_UUIDS110, 0, STREAM_DATA, WIRE_ERR_LENGTH, 44 },
		{ P_UUIDS110, 0, STREAM_DATA, 0, 40 + 8 * 64 },
		{ P_UUIDS110, 0, STREAM_DATA, WIRE_ERR_LENGTH, 40 + 8 * 65 },
		{ P_AUTH_CHALLENGE, VNR_NONE, STREAM_DATA, WIRE_ERR_LENGTH, 63 },
		{ P_AUTH_CHALLENGE, VNR_NONE, STREAM_DATA, 0, 64 },
		{ P_AUTH_CHALLENGE, VNR_NONE, STREAM_DATA, WIRE_ERR_LENGTH, 65 },
		{ P_AUTH_RESPONSE, VNR_NONE, STREAM_DATA, WIRE_ERR_LENGTH, 0 },
		{ P_AUTH_RESPONSE, VNR_NONE, STREAM_DATA, WIRE_ERR_LENGTH, 65 },
		{ P_PROTOCOL, VNR_NONE, STREAM_DATA, WIRE_ERR_LENGTH, 24 },
		{ P_PROTOCOL, VNR_NONE, STREAM_DATA, 0, 25 },
		{ P_PROTOCOL, VNR_NONE, STREAM_DATA, WIRE_ERR_LENGTH, 24 + 65 },
		{ P_SYNC_PARAM89, 0, STREAM_DATA, WIRE_ERR_LENGTH, 147 },
		{ P_SYNC_PARAM89, 0, STREAM_DATA, WIRE_ERR_LENGTH, 149 },
		{ P_OV_DAGTAG_REPLY, 0, STREAM_DATA, WIRE_ERR_LENGTH, 32 },
		{ P_OV_DAGTAG_REPLY, 0, STREAM_DATA, WIRE_ERR_LENGTH, 32 + 65 },
		{ P_WRITE_ACK, 0, STREAM_CONTROL, WIRE_ERR_LENGTH, 25 },
		{ P_PING, VNR_NONE, STREAM_CONTROL, WIRE_ERR_LENGTH, 1 },
		{ P_PING, VNR_NONE, STREAM_CONTROL, WIRE_ERR_LENGTH, 0xffffffff },
		{ P_DISCONNECT, VNR_NONE, STREAM_DATA, 0, 0 },
	};

	for (unsigned i = 0; i < ARRAY_LEN(cases); i++)
		cr_assert_eq(check(&agreed, (enum stream)cases[i].stream, cases[i].type,
				   cases[i].vnr, cases[i].length),
			     cases[i].expected, "case %u", i);
}

Test(wire_header, the_integrity_digest_comes_out_of_the_payload)
{
	struct wire_ctx ctx = agreed;
	struct wire_header h = { .form = WIRE_HEADER_100, .type = P_DATA, .length = 24 + 20 + 512 };
	uint32_t fixed_bytes, payload_bytes;

	ctx.integrity_bytes = 20;
	cr_assert_eq(wire_check_header(&ctx, &h, STREAM_DATA, &fixed_bytes, &payload_bytes), 0);
	cr_assert(fixed_bytes == 44 && payload_bytes == 512);
	h.length = 24 + 512;
	cr_assert_eq(wire_check_header(&ctx, &h, STREAM_DATA, &fixed_bytes, &payload_bytes),
		     WIRE_ERR_BLOCK_SIZE);
	/* No room for the digest. */
	h.type = P_DATA_REPLY;
	h.length = 24 + 10;
	cr_assert_neq(wire_check_header(&ctx, &h, STREAM_DATA, &fixed_bytes, &payload_bytes), 0);
}

Test(wire_header, volumes)
{
	cr_assert_eq(check(&agreed, STREAM_DATA, P_DATA, VNR_NONE, 24 + 512), WIRE_ERR_VOLUME);
	cr_assert_eq(check(&agreed, STREAM_CONTROL, P_WRITE_ACK, VNR_NONE, 24), WIRE_ERR_VOLUME);
	cr_assert_eq(check(&agreed, STREAM_DATA, P_BARRIER, 0, 8), WIRE_ERR_VOLUME);
	cr_assert_eq(check(&agreed, STREAM_DATA, P_STATE, VNR_NONE, 4), 0);
	cr_assert_eq(check(&agreed, STREAM_DATA, P_STATE, 0, 4), 0);
	cr_assert_eq(check(&agreed, STREAM_DATA, P_TWOPC_PREPARE, 7, 36), 0);
	cr_assert_eq(check(&agreed, STREAM_DATA, P_TWOPC_PREP_RSZ, VNR_NONE, 36),
		     WIRE_ERR_VOLUME);
}

Test(wire_header, versions_and_features)
{
	static const struct {
		uint16_t type;
		uint8_t stream;
		uint8_t length;
		uint8_t first_apv;
		uint16_t features;
	} cases[] = {
		{ P_WRITE_ACK_IN_SYNC, STREAM_CONTROL, 24, 122, 0 },
		{ P_RS_NEG_ACK, STREAM_CONTROL, 24, 122, 0 },
		{ P_OV_RESULT_ID, STREAM_CONTROL, 32, 122, 0 },
		{ P_RS_DEALLOCATED_ID, STREAM_DATA, 24, 122, FEATURE_THIN_RESYNC },
		{ P_TRIM, STREAM_DATA, 28, 118, FEATURE_TRIM },
		{ P_ZEROES, STREAM_DATA, 28, 118, FEATURE_WZEROES },
		{ P_RS_DAGTAG_REQ, STREAM_DATA, 32, 118, FEATURE_RESYNC_DAGTAG },
		{ P_RS_THIN_DAGTAG_REQ, STREAM_DATA, 32, 118,
		  FEATURE_RESYNC_DAGTAG | FEATURE_THIN_RESYNC },
		{ P_ENABLE_REPLICATION, STREAM_DATA, 4, 118, FEATURE_RESYNC_WITHOUT_REPLICATION },
	};

	for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
		for (unsigned apv = APV_MIN; apv <= APV_MAX; apv++) {
			struct wire_ctx ctx = { .apv = apv, .features = cases[i].features };

			cr_assert_eq(check(&ctx, (enum stream)cases[i].stream, cases[i].type, 0,
					   cases[i].length),
				     apv < cases[i].first_apv ? WIRE_ERR_VERSION : 0);
			for (unsigned bit = 0; bit < 16; bit++) {
				ctx.features = cases[i].features & ~(1U << bit);
				if (ctx.features == cases[i].features || apv < cases[i].first_apv)
					continue;
				cr_assert_eq(check(&ctx, (enum stream)cases[i].stream,
						   cases[i].type, 0, cases[i].length),
					     WIRE_ERR_FEATURE);
			}
		}
	}
	for (unsigned apv = APV_MIN; apv <= APV_MAX; apv++) {
		struct wire_ctx ctx = { .apv = apv };

		cr_assert_eq(check(&ctx, STREAM_DATA, P_FLUSH_REQUESTS, VNR_NONE, 8),
			     apv < 123 ? WIRE_ERR_VERSION : 0);
	}
}

Test(wire_header, errors_have_distinct_texts)
{
	for (int a = WIRE_ERR_RANGE; a <= WIRE_ERR_MAGIC; a++) {
		cr_assert_str_neq(wire_error_text(a), wire_error_text(-1));
		for (int b = a + 1; b <= WIRE_ERR_MAGIC; b++)
			cr_assert_str_neq(wire_error_text(a), wire_error_text(b));
	}
}

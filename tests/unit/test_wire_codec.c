/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Every packet type through encode and decode, and every field at its extremes. */
#include <criterion/criterion.h>
#include <string.h>

#include "../lib/wire_check.h"
#include "../lib/wire_sample.h"
#include "base/assert.h"
#include "base/bytes.h"
#include "base/prng.h"

#define ALL_FEATURES 0x3ffU
#define ROUNDS 300

/* Agreements that change layouts. */
static const struct wire_ctx agreements[] = {
	{ .apv = 124, .features = ALL_FEATURES },
	{ .apv = 124, .features = ALL_FEATURES, .integrity_bytes = 4 },
	{ .apv = 124, .features = ALL_FEATURES, .integrity_bytes = WIRE_DIGEST_MAX_BYTES },
	{ .apv = 123, .features = ALL_FEATURES & ~FEATURE_WSAME },
	{ .apv = 123, .features = ALL_FEATURES & ~FEATURE_TWOPC_V2 },
};

/* Before the features exchange only for the packet that makes it. */
static struct wire_ctx ctx_for(const struct wire_ctx *agreed, unsigned type)
{
	struct wire_ctx ctx = *agreed;

	if (type == P_CONNECTION_FEATURES)
		return (struct wire_ctx){ 0 };
	if (sample_is_of_8_4(type))
		ctx.apv = 101;
	return ctx;
}

static enum stream stream_of(const struct sample_type *t)
{
	return t->streams & 1U << STREAM_DATA ? STREAM_DATA : STREAM_CONTROL;
}

Test(wire_codec, samples_cover_the_whole_enumeration)
{
	static const unsigned numbers[] = {
#define X(number, name) number,
		PACKETS(X)
#undef X
	};
	unsigned initial = 0;

	for (unsigned i = 0; i < ARRAY_LEN(numbers); i++) {
		bool found = false;

		for (unsigned t = 0; t < sample_type_count; t++)
			found |= sample_types[t].type == numbers[i];
		initial += !found;
		cr_assert(found || numbers[i] == P_INITIAL_DATA || numbers[i] == P_INITIAL_META);
	}
	cr_assert_eq(initial, 2);
}

Test(wire_codec, decode_of_encode_is_identity)
{
	struct prng r;

	prng_seed(&r, 1);
	for (unsigned i = 0; i < ARRAY_LEN(agreements) * sample_type_count * ROUNDS; i++) {
		const struct sample_type *t = &sample_types[i % sample_type_count];
		struct wire_ctx ctx = ctx_for(
			&agreements[i / sample_type_count % ARRAY_LEN(agreements)], t->type);
		uint8_t bytes[WIRE_PACKET_MAX_BYTES];
		struct sample s;
		struct decoded d;
		size_t n;
		int rc;

		sample_packet(&s, &r, &ctx, t->type);
		n = wire_encode(&ctx, &s.pkt, bytes, sizeof(bytes));
		cr_assert(n >= 8, "%s", packet_name(t->type));
		rc = decode_packet(&ctx, stream_of(t), bytes, n, &d);
		cr_assert_eq(rc, 0, "%s: %s", packet_name(t->type), wire_error_text(rc));
		cr_assert_eq(d.header.bytes + d.body_bytes, n);
		cr_assert_eq(d.payload_bytes, s.pkt.payload.bytes);
		cr_assert(same_packet(&d.pkt, &s.pkt), "%s", packet_name(t->type));
	}
}

Test(wire_codec, encode_never_writes_beyond_its_space)
{
	struct prng r;

	prng_seed(&r, 2);
	for (unsigned i = 0; i < sample_type_count * 20; i++) {
		unsigned type = sample_types[i % sample_type_count].type;
		struct wire_ctx ctx = ctx_for(&agreements[1], type);
		uint8_t bytes[WIRE_PACKET_MAX_BYTES + 1];
		struct sample s;
		size_t n, cap;

		sample_packet(&s, &r, &ctx, type);
		n = wire_encode(&ctx, &s.pkt, bytes, WIRE_PACKET_MAX_BYTES);
		cap = prng_below(&r, n);
		memset(bytes, 0xa5, sizeof(bytes));
		cr_assert_eq(wire_encode(&ctx, &s.pkt, bytes, cap), 0);
		cr_assert_eq(bytes[cap], 0xa5);
		cr_assert_eq(wire_encode(&ctx, &s.pkt, bytes, n), n);
		cr_assert_eq(bytes[n], 0xa5);
	}
}

static const uint64_t extremes[] = {
	0,	    1,		2,	    31,		32,	    33,		  64,
	511,	    512,	513,	    0x7f,	0x80,	    0xff,	  0x7fff,
	0x8000,	    0xffff,	0x100000,   0x100200,	0x400000,   0x400200,	  0x8000000,
	0x8000200,  0x7fffffff, 0x80000000, 0xfffffe00, 0xffffffff, 0x100000000,  1ULL << 54,
	(1ULL << 54) - 1,	1ULL << 55, INT64_MAX,	1ULL << 63, UINT64_MAX, UINT64_MAX - 1,
};

static void put_be(uint8_t *p, uint64_t v, unsigned bytes)
{
	while (bytes) {
		p[--bytes] = (uint8_t)v;
		v >>= 8;
	}
}

/* What a mutated packet may do: be refused by a rule, or mean something that survives. */
static void check_mutant(const struct wire_ctx *ctx, enum stream stream, const uint8_t *bytes,
			 size_t n)
{
	uint8_t again[WIRE_PACKET_MAX_BYTES];
	struct decoded d, e;
	char line[1024];
	int rc = decode_packet(ctx, stream, bytes, n, &d);
	size_t m;

	if (rc) {
		cr_assert(rc == WIRE_MORE || (rc <= WIRE_ERR_MAGIC && rc >= WIRE_ERR_RANGE));
		cr_assert_str_neq(wire_error_text(rc), wire_error_text(1000));
		return;
	}
	cr_assert_leq(d.body_bytes, WIRE_BODY_MAX_BYTES);
	cr_assert_leq(d.payload_bytes, BIO_MAX_BYTES);
	cr_assert(wire_format(&d.pkt, line, sizeof(line)) > 0);
	m = wire_encode(ctx, &d.pkt, again, sizeof(again));
	cr_assert(m > 0);
	cr_assert_eq(decode_packet(ctx, stream, again, m, &e), 0);
	cr_assert(same_packet(&d.pkt, &e.pkt), "%s", line);
}

Test(wire_codec, every_place_takes_every_extreme)
{
	struct prng r;

	prng_seed(&r, 3);
	for (unsigned i = 0; i < sample_type_count * ARRAY_LEN(agreements); i++) {
		const struct sample_type *t = &sample_types[i % sample_type_count];
		struct wire_ctx ctx = ctx_for(&agreements[i / sample_type_count], t->type);
		uint8_t bytes[WIRE_PACKET_MAX_BYTES], mutant[WIRE_PACKET_MAX_BYTES];
		struct sample s;
		size_t n, places;

		sample_packet(&s, &r, &ctx, t->type);
		n = wire_encode(&ctx, &s.pkt, bytes, sizeof(bytes));
		places = n < 360 ? n : 40;
		for (size_t at = 0; at < places; at++) {
			for (unsigned e = 0; e < ARRAY_LEN(extremes) * 4; e++) {
				unsigned width = 1U << e % 4;

				if (at + width > n)
					continue;
				memcpy(mutant, bytes, n);
				put_be(mutant + at, extremes[e / 4], width);
				check_mutant(&ctx, stream_of(t), mutant, n);
			}
		}
	}
}

/* One field of a body, and what becomes of a value in it. */
struct field_case {
	uint16_t type;
	uint8_t at;    /* in the body */
	uint8_t width;
	int expected;  /* 0 or enum wire_error */
	uint64_t value;
};

#define SECTORS_2_63 ((uint64_t)INT64_MAX / 512)

/* The sample's other fields: sector 0, bytes 4096 or 512 of payload, ids 1. */
static const struct field_case field_cases[] = {
	{ P_DATA, 0, 8, 0, SECTORS_2_63 - 1 },
	{ P_DATA, 0, 8, WIRE_ERR_SECTOR, SECTORS_2_63 },
	{ P_DATA, 0, 8, WIRE_ERR_SECTOR, UINT64_MAX },
	{ P_DATA, 0, 8, WIRE_ERR_SECTOR, UINT64_MAX - 7 },
	{ P_DATA, 0, 8, WIRE_ERR_SECTOR, 1ULL << 55 },
	{ P_DATA, 8, 8, 0, UINT64_MAX },
	{ P_DATA, 20, 4, 0, 0xffffffff },
	{ P_TRIM, 24, 4, WIRE_ERR_BLOCK_SIZE, 0 },
	{ P_TRIM, 24, 4, WIRE_ERR_BLOCK_SIZE, 1 },
	{ P_TRIM, 24, 4, 0, 512 },
	{ P_TRIM, 24, 4, WIRE_ERR_BLOCK_SIZE, 513 },
	{ P_TRIM, 24, 4, 0, 128U << 20 },
	{ P_TRIM, 24, 4, WIRE_ERR_BLOCK_SIZE, (128U << 20) + 512 },
	{ P_TRIM, 24, 4, WIRE_ERR_BLOCK_SIZE, 0x80000000 },
	{ P_TRIM, 24, 4, WIRE_ERR_BLOCK_SIZE, 0xfffffe00 },
	{ P_ZEROES, 24, 4, 0, 128U << 20 },
	{ P_ZEROES, 24, 4, WIRE_ERR_BLOCK_SIZE, 0xffffffff },
	{ P_WRITE_ACK, 16, 4, WIRE_ERR_BLOCK_SIZE, 0 },
	{ P_WRITE_ACK, 16, 4, 0, 128U << 20 },
	{ P_WRITE_ACK, 16, 4, WIRE_ERR_BLOCK_SIZE, 0x7ffffe00 },
	{ P_WRITE_ACK, 0, 8, WIRE_ERR_SECTOR, SECTORS_2_63 },
	{ P_WRITE_ACK, 20, 4, 0, 0xffffffff },
	{ P_RS_DAGTAG_REQ, 16, 4, 0, 1U << 20 },
	{ P_RS_DAGTAG_REQ, 16, 4, WIRE_ERR_BLOCK_SIZE, (1U << 20) + 512 },
	{ P_RS_DAGTAG_REQ, 16, 4, WIRE_ERR_BLOCK_SIZE, 0x80000000 },
	{ P_RS_DAGTAG_REQ, 20, 4, 0, 31 },
	{ P_RS_DAGTAG_REQ, 20, 4, WIRE_ERR_NODE_ID, 32 },
	{ P_RS_DAGTAG_REQ, 20, 4, WIRE_ERR_NODE_ID, 0xffffffff },
	{ P_DATA_REQUEST, 16, 4, WIRE_ERR_BLOCK_SIZE, 0 },
	{ P_DATA_REQUEST, 16, 4, WIRE_ERR_BLOCK_SIZE, 4095 },
	{ P_DATA_REQUEST, 20, 4, 0, 0xffffffff },
	{ P_OUT_OF_SYNC, 8, 4, 0, 0xfffffe00 },
	{ P_OUT_OF_SYNC, 8, 4, WIRE_ERR_BLOCK_SIZE, 0xffffffff },
	{ P_OUT_OF_SYNC, 12, 4, 0, 0xffffffff },
	{ P_PEERS_IN_SYNC, 16, 4, WIRE_ERR_BLOCK_SIZE, 0 },
	{ P_PEERS_IN_SYNC, 0, 8, WIRE_ERR_SECTOR, UINT64_MAX },
	{ P_OV_RESULT_ID, 24, 4, 0, 2 },
	{ P_OV_RESULT_ID, 24, 4, WIRE_ERR_RANGE, 3 },
	{ P_TWOPC_PREPARE, 0, 4, WIRE_ERR_TID, 0 },
	{ P_TWOPC_PREPARE, 4, 4, WIRE_ERR_RANGE, 0x7fffffff },
	{ P_TWOPC_PREPARE, 10, 1, 0, 31 },
	{ P_TWOPC_PREPARE, 10, 1, WIRE_ERR_NODE_ID, 32 },
	{ P_TWOPC_PREPARE, 10, 1, WIRE_ERR_NODE_ID, 0xff },
	{ P_TWOPC_PREPARE, 11, 1, 0, 0xff },
	{ P_TWOPC_PREPARE, 11, 1, WIRE_ERR_NODE_ID, 0x80 },
	{ P_TWOPC_PREPARE, 11, 1, WIRE_ERR_NODE_ID, 0x7f },
	{ P_TWOPC_PREP_RSZ, 20, 8, 0, SECTORS_2_63 },
	{ P_TWOPC_PREP_RSZ, 20, 8, WIRE_ERR_SECTOR, SECTORS_2_63 + 1 },
	{ P_TWOPC_COMMIT, 20, 8, 0, UINT64_MAX },
	{ P_TWOPC_YES, 0, 4, WIRE_ERR_TID, 0 },
	{ P_TWOPC_YES, 4, 4, WIRE_ERR_NODE_ID, 32 },
	{ P_TWOPC_YES, 4, 4, WIRE_ERR_NODE_ID, 0xffffffff },
	{ P_UUIDS110, 32, 8, WIRE_ERR_UUIDS, 1ULL << 32 },
	{ P_UUIDS110, 32, 8, WIRE_ERR_UUIDS, UINT64_MAX },
	{ P_UUIDS110, 32, 8, WIRE_ERR_UUIDS, 0 }, /* 33 history UUIDs then */
	{ P_UUIDS110, 32, 8, 0, 0xffffffff },
	{ P_SIZES, 0, 8, WIRE_ERR_SECTOR, SECTORS_2_63 + 1 },
	{ P_SIZES, 8, 8, WIRE_ERR_SECTOR, UINT64_MAX },
	{ P_SIZES, 16, 8, 0, SECTORS_2_63 },
	{ P_SIZES, 55, 1, 0, 8 },
	{ P_SIZES, 55, 1, WIRE_ERR_RANGE, 9 },
	{ P_PEER_DAGTAG, 8, 4, WIRE_ERR_NODE_ID, 32 },
	{ P_FLUSH_FORWARD, 8, 4, WIRE_ERR_NODE_ID, 0x80000000 },
	{ P_FLUSH_REQUESTS_ACK, 8, 4, 0, 31 },
	{ P_ENABLE_REPLICATION, 0, 1, WIRE_ERR_RANGE, 2 },
	{ P_COMPRESSED_BITMAP, 0, 1, WIRE_ERR_RANGE, 0xb1 },
	{ P_COMPRESSED_BITMAP, 0, 1, 0, 0xf2 },
	{ P_CONNECTION_FEATURES, 12, 4, WIRE_ERR_NODE_ID, 32 },
	{ P_CONNECTION_FEATURES, 16, 4, WIRE_ERR_NODE_ID, 0xffffffff },
	{ P_CONNECTION_FEATURES, 68, 4, 0, 0xffffffff },
	{ P_STATE, 0, 4, 0, 0xffffffff },
	{ P_BARRIER, 0, 4, 0, 0xffffffff },
	{ P_BARRIER, 4, 4, 0, 0xffffffff },
};

/* A packet of plain values, so that one field decides alone. */
static void plain_packet(struct sample *s, struct prng *r, const struct wire_ctx *ctx,
			 unsigned type)
{
	sample_packet(s, r, ctx, type);
	switch (type) {
	case P_DATA:
		s->pkt.payload.bytes = 512;
		/* fall through */
	case P_TRIM:
	case P_ZEROES:
	case P_WRITE_ACK:
	case P_RS_DAGTAG_REQ:
	case P_DATA_REQUEST:
	case P_OUT_OF_SYNC:
	case P_OV_RESULT_ID:
		s->pkt.u.block.sector = 0;
		s->pkt.u.block.bytes = type == P_DATA ? 512 : 4096;
		return;
	case P_PEERS_IN_SYNC:
		s->pkt.u.in_sync.sector = 0;
		s->pkt.u.in_sync.bytes = 4096;
		return;
	case P_UUIDS110:
		s->uuids.bitmap_mask = 1;
		return;
	default:
		return;
	}
}

Test(wire_codec, fields_are_accepted_and_refused_by_their_rule)
{
	struct prng r;

	prng_seed(&r, 4);
	for (unsigned i = 0; i < ARRAY_LEN(field_cases); i++) {
		const struct field_case *f = &field_cases[i];
		struct wire_ctx ctx = ctx_for(&agreements[0], f->type);
		enum stream stream = STREAM_DATA;
		uint8_t bytes[WIRE_PACKET_MAX_BYTES];
		struct sample s;
		struct decoded d;
		size_t n;
		int rc;

		for (unsigned t = 0; t < sample_type_count; t++) {
			if (sample_types[t].type == f->type)
				stream = stream_of(&sample_types[t]);
		}
		plain_packet(&s, &r, &ctx, f->type);
		n = wire_encode(&ctx, &s.pkt, bytes, sizeof(bytes));
		cr_assert_eq(decode_packet(&ctx, stream, bytes, n, &d), 0);
		put_be(bytes + d.header.bytes + f->at, f->value, f->width);
		rc = decode_packet(&ctx, stream, bytes, n, &d);
		cr_assert_eq(rc, f->expected, "case %u, %s: %s", i, packet_name(f->type),
			     wire_error_text(rc));
	}
}

Test(wire_codec, small_discards_without_wsame)
{
	struct wire_ctx ctx = { .apv = 124, .features = ALL_FEATURES & ~FEATURE_WSAME };
	struct pkt pkt = { .type = P_TRIM, .u.block.bytes = 4U << 20 };
	uint8_t bytes[WIRE_PACKET_MAX_BYTES];
	struct decoded d;
	size_t n = wire_encode(&ctx, &pkt, bytes, sizeof(bytes));

	cr_assert_eq(decode_packet(&ctx, STREAM_DATA, bytes, n, &d), 0);
	pkt.u.block.bytes += 512;
	n = wire_encode(&ctx, &pkt, bytes, sizeof(bytes));
	cr_assert_eq(decode_packet(&ctx, STREAM_DATA, bytes, n, &d), WIRE_ERR_BLOCK_SIZE);
}

Test(wire_codec, first_request_layout_ids)
{
	static const struct {
		uint32_t initiator, target;
		int expected;
	} cases[] = {
		{ 31, 0xffffffff, 0 },
		{ 0, 31, 0 },
		{ 32, 0, WIRE_ERR_NODE_ID },
		{ 0xffffffff, 0, WIRE_ERR_NODE_ID },
		{ 0, 32, WIRE_ERR_NODE_ID },
		{ 0, 0xfffffffe, WIRE_ERR_NODE_ID },
		{ 0, 0x800000ff, WIRE_ERR_NODE_ID },
	};
	struct wire_ctx ctx = { .apv = 121, .features = FEATURE_TRIM };
	struct pkt pkt = { .type = P_TWOPC_COMMIT, .vnr = VNR_NONE };

	pkt.u.twopc = (struct pkt_twopc){ .tid = 7, .target = -1, .mask = 0x1f3, .val = 0x91 };
	for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
		uint8_t bytes[WIRE_PACKET_MAX_BYTES];
		struct decoded d;
		size_t n = wire_encode(&ctx, &pkt, bytes, sizeof(bytes));

		put_be32(bytes + 20, cases[i].initiator);
		put_be32(bytes + 24, cases[i].target);
		cr_assert_eq(decode_packet(&ctx, STREAM_DATA, bytes, n, &d), cases[i].expected);
		cr_assert(cases[i].expected || d.pkt.u.twopc.target == (int)cases[i].target);
		cr_assert(cases[i].expected || d.pkt.u.twopc.mask == 0x1f3);
	}
}

Test(wire_codec, names_need_their_nul)
{
	struct wire_ctx ctx = { .apv = 124 };
	struct pkt pkt = { .type = P_PROTOCOL, .vnr = VNR_NONE };
	uint8_t bytes[WIRE_PACKET_MAX_BYTES];
	struct decoded d;
	size_t n;

	memset(pkt.u.protocol.integrity_alg, 'a', ALG_NAME_MAX);
	cr_assert_eq(wire_encode(&ctx, &pkt, bytes, sizeof(bytes)), 0);
	pkt.u.protocol.integrity_alg[ALG_NAME_MAX - 1] = '\0';
	n = wire_encode(&ctx, &pkt, bytes, sizeof(bytes));
	cr_assert_eq(n, 16 + 24 + 64);
	cr_assert_eq(decode_packet(&ctx, STREAM_DATA, bytes, n, &d), 0);
	bytes[n - 1] = 'a';
	cr_assert_eq(decode_packet(&ctx, STREAM_DATA, bytes, n, &d), WIRE_ERR_STRING);

	pkt = (struct pkt){ .type = P_SYNC_PARAM89 };
	n = wire_encode(&ctx, &pkt, bytes, sizeof(bytes));
	memset(bytes + 16 + 68, 'a', 64);
	cr_assert_eq(decode_packet(&ctx, STREAM_DATA, bytes, n, &d), WIRE_ERR_STRING);
	memset(bytes + 16 + 4, 'a', 64);
	bytes[16 + 68] = 0;
	cr_assert_eq(decode_packet(&ctx, STREAM_DATA, bytes, n, &d), WIRE_ERR_STRING);
}

Test(wire_codec, what_cannot_be_sent_is_not_encoded)
{
	struct wire_ctx ctx = { .apv = 124, .integrity_bytes = 4 };
	uint8_t digest[4] = { 1, 2, 3, 4 }, bytes[WIRE_PACKET_MAX_BYTES];
	struct pkt_uuids uuids = { .bitmap_mask = 1ULL << 32 };
	struct pkt data = { .type = P_DATA, .payload.bytes = 4096, .var = digest, .var_bytes = 4 };
	struct pkt pkt;

	cr_assert_eq(wire_encode(&ctx, &data, bytes, sizeof(bytes)), 16 + 24 + 4);
	pkt = data;
	pkt.var_bytes = 3;
	cr_assert_eq(wire_encode(&ctx, &pkt, bytes, sizeof(bytes)), 0);
	pkt = data;
	pkt.payload.bytes = 0;
	cr_assert_eq(wire_encode(&ctx, &pkt, bytes, sizeof(bytes)), 0);
	pkt.payload.bytes = BIO_MAX_BYTES + 512;
	cr_assert_eq(wire_encode(&ctx, &pkt, bytes, sizeof(bytes)), 0);
	pkt = (struct pkt){ .type = P_TRIM, .u.block.bytes = 512 };
	cr_assert_eq(wire_encode(&ctx, &pkt, bytes, sizeof(bytes)), 0);
	pkt = (struct pkt){ .type = P_INITIAL_DATA };
	cr_assert_eq(wire_encode(&ctx, &pkt, bytes, sizeof(bytes)), 0);
	pkt = (struct pkt){ .type = 0x05 };
	cr_assert_eq(wire_encode(&ctx, &pkt, bytes, sizeof(bytes)), 0);
	pkt = (struct pkt){ .type = P_UUIDS110, .u.uuids = &uuids };
	cr_assert_eq(wire_encode(&ctx, &pkt, bytes, sizeof(bytes)), 0);
	pkt = (struct pkt){ .type = P_AUTH_CHALLENGE, .u.auth.bytes = 63 };
	cr_assert_eq(wire_encode(&ctx, &pkt, bytes, sizeof(bytes)), 0);
	pkt = (struct pkt){ .type = P_STATE };
	ctx.apv = 0;
	cr_assert_eq(wire_encode(&ctx, &pkt, bytes, sizeof(bytes)), 0);
}

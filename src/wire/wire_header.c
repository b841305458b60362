/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Packet headers in their three forms, and the rules that judge a packet before its body. */
#include "base/assert.h"
#include "base/bytes.h"
#include "wire/wire_int.h"

#define MAGIC_80 0x83740267U
#define MAGIC_95 0x835aU
#define MAGIC_100 0x8620ec20U
#define BYTES_80 8U
#define BYTES_95 8U
#define BYTES_100 16U

const char *wire_error_text(int error)
{
	switch (error) {
	case WIRE_OK:
		return "no error";
	case WIRE_MORE:
		return "packet is not complete yet";
	case WIRE_ERR_MAGIC:
		return "bad magic in the packet header";
	case WIRE_ERR_PAD:
		return "bad padding in the packet header";
	case WIRE_ERR_UNKNOWN:
		return "unknown packet";
	case WIRE_ERR_STREAM:
		return "packet on the wrong stream";
	case WIRE_ERR_PHASE:
		return "packet at the wrong time of the handshake";
	case WIRE_ERR_VERSION:
		return "packet of a newer protocol version than agreed";
	case WIRE_ERR_FEATURE:
		return "packet of a feature that was not agreed";
	case WIRE_ERR_VOLUME:
		return "volume number does not suit the packet";
	case WIRE_ERR_LENGTH:
		return "bad packet length";
	case WIRE_ERR_SECTOR:
		return "sector out of range";
	case WIRE_ERR_BLOCK_SIZE:
		return "bad block size";
	case WIRE_ERR_NODE_ID:
		return "node id out of range";
	case WIRE_ERR_TID:
		return "transaction id is zero";
	case WIRE_ERR_STRING:
		return "name is not terminated";
	case WIRE_ERR_UUIDS:
		return "bad list of UUIDs";
	case WIRE_ERR_RANGE:
		return "field out of range";
	default:
		return "unknown decoding error";
	}
}

void wire_encode_initial(enum stream stream, uint8_t out[WIRE_INITIAL_BYTES])
{
	put_be32(out, MAGIC_80);
	put_be16(out + 4, stream == STREAM_DATA ? P_INITIAL_DATA : P_INITIAL_META);
	put_be16(out + 6, 0);
}

int wire_decode_initial(const uint8_t in[WIRE_INITIAL_BYTES])
{
	if (get_be32(in) != MAGIC_80)
		return WIRE_ERR_MAGIC;
	if (get_be16(in + 6))
		return WIRE_ERR_LENGTH;
	switch (get_be16(in + 4)) {
	case P_INITIAL_DATA:
		return STREAM_DATA;
	case P_INITIAL_META:
		return STREAM_CONTROL;
	default:
		return WIRE_ERR_UNKNOWN;
	}
}

static int get_header80(const uint8_t *p, struct wire_header *h)
{
	*h = (struct wire_header){ .form = WIRE_HEADER_80,
				   .bytes = BYTES_80,
				   .type = get_be16(p + 4),
				   .vnr = VNR_NONE,
				   .length = get_be16(p + 6) };
	return 0;
}

static int get_header95(const uint8_t *p, struct wire_header *h)
{
	*h = (struct wire_header){ .form = WIRE_HEADER_95,
				   .bytes = BYTES_95,
				   .type = get_be16(p + 2),
				   .vnr = VNR_NONE,
				   .length = get_be32(p + 4) };
	return 0;
}

static int get_header100(const uint8_t *p, struct wire_header *h)
{
	if (get_be32(p + 12))
		return WIRE_ERR_PAD;
	*h = (struct wire_header){ .form = WIRE_HEADER_100,
				   .bytes = BYTES_100,
				   .type = get_be16(p + 6),
				   .vnr = get_be16(p + 4),
				   .length = get_be32(p + 8) };
	return 0;
}

int wire_decode_header(const uint8_t *p, size_t n, struct wire_header *h, size_t *need)
{
	uint32_t magic;

	*need = BYTES_80;
	if (n < sizeof(magic))
		return WIRE_MORE;
	magic = get_be32(p);
	if (magic == MAGIC_100) {
		*need = BYTES_100;
		return n < BYTES_100 ? WIRE_MORE : get_header100(p, h);
	}
	if (magic == MAGIC_80)
		return n < BYTES_80 ? WIRE_MORE : get_header80(p, h);
	if (magic >> 16 == MAGIC_95)
		return n < BYTES_95 ? WIRE_MORE : get_header95(p, h);
	return WIRE_ERR_MAGIC;
}

/*
 * The data stream uses the form of the agreed version. The control stream takes any form: a ping
 * may overtake the features exchange. The features packet comes in header100 from a peer whose
 * least version was raised above 99.
 */
static bool is_form_allowed(const struct wire_ctx *ctx, const struct wire_header *h,
			    enum stream stream)
{
	if (stream == STREAM_CONTROL || h->form == WIRE_HEADER_100)
		return true;
	return !ctx->apv && h->form == WIRE_HEADER_80;
}

/* DRBD 8.4 puts 0 where no volume belongs. */
static bool is_vnr_allowed(const struct wire_ctx *ctx, const struct wire_rule *rule, uint16_t vnr)
{
	switch ((enum wire_vnr)rule->vnr) {
	case VNR_IS_VOLUME:
		return vnr != VNR_NONE;
	case VNR_IS_NONE:
		return vnr == VNR_NONE || (vnr == 0 && ctx->apv < 110);
	case VNR_IS_ANY:
		return true;
	}
	return false;
}

int wire_check_length(const struct wire_ctx *ctx, const struct wire_rule *rule, uint32_t length,
		      uint32_t *fixed_bytes, uint32_t *payload_bytes)
{
	uint32_t fixed = wire_fixed_bytes(ctx, rule), rest;

	if (wire_has_payload(rule))
		fixed += ctx->integrity_bytes;
	if (length < fixed)
		return WIRE_ERR_LENGTH;
	rest = length - fixed;
	if (wire_has_payload(rule)) {
		if (!rest || rest % SECTOR_BYTES || rest > BIO_MAX_BYTES)
			return WIRE_ERR_BLOCK_SIZE;
		*fixed_bytes = fixed;
		*payload_bytes = rest;
		return 0;
	}
	if (rest < rule->var_min_bytes || rest > rule->var_max_bytes)
		return WIRE_ERR_LENGTH;
	/* Bitmap chunks and UUID lists are made of 64-bit words. */
	if ((rule->layout == LAYOUT_BITMAP || rule->layout == LAYOUT_UUIDS) && rest % 8)
		return WIRE_ERR_LENGTH;
	*fixed_bytes = length;
	*payload_bytes = 0;
	return 0;
}

int wire_check_header(const struct wire_ctx *ctx, const struct wire_header *h, enum stream stream,
		      uint32_t *fixed_bytes, uint32_t *payload_bytes)
{
	const struct wire_rule *rule = wire_rule(h->type);
	int rc;

	if (!is_form_allowed(ctx, h, stream))
		return WIRE_ERR_MAGIC;
	if (!rule)
		return WIRE_ERR_UNKNOWN;
	if (!(rule->streams & 1U << stream))
		return WIRE_ERR_STREAM;
	rc = wire_check_agreed(ctx, rule);
	if (rc)
		return rc;
	if (!is_vnr_allowed(ctx, rule, h->vnr))
		return WIRE_ERR_VOLUME;
	return wire_check_length(ctx, rule, h->length, fixed_bytes, payload_bytes);
}

size_t wire_header_bytes(const struct wire_ctx *ctx, const struct wire_rule *rule)
{
	return ctx->apv && rule->phase != PHASE_FEATURES ? BYTES_100 : BYTES_80;
}

void wire_put_header(const struct wire_ctx *ctx, const struct wire_rule *rule, uint16_t vnr,
		     uint32_t length, uint8_t *buf)
{
	if (wire_header_bytes(ctx, rule) == BYTES_80) {
		ASSERT(length <= UINT16_MAX);
		put_be32(buf, MAGIC_80);
		put_be16(buf + 4, rule->type);
		put_be16(buf + 6, (uint16_t)length);
		return;
	}
	put_be32(buf, MAGIC_100);
	put_be16(buf + 4, vnr);
	put_be16(buf + 6, rule->type);
	put_be32(buf + 8, length);
	put_be32(buf + 12, 0);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Bodies of packets about a range of sectors: data, discards, requests and the acks for them. */
#include "base/bytes.h"
#include "wire/wire_int.h"

#define SMALL_DISCARD_MAX_BYTES (4U << 20) /* without WSAME */
#define VERIFY_RESULT_MAX 2U               /* 0 skipped, 1 in sync, 2 out of sync */

/* Acks answer discards too. An out-of-sync range may be a merge of many requests. */
static uint32_t max_bytes(const struct wire_ctx *ctx, const struct wire_rule *rule)
{
	switch (rule->layout) {
	case LAYOUT_TRIM:
		return ctx->features & FEATURE_WSAME ? DISCARD_MAX_BYTES : SMALL_DISCARD_MAX_BYTES;
	case LAYOUT_ACK:
	case LAYOUT_VERIFY_RESULT:
		return DISCARD_MAX_BYTES;
	case LAYOUT_RANGE:
		return rule->type == P_OUT_OF_SYNC ? UINT32_MAX : BIO_MAX_BYTES;
	default:
		return BIO_MAX_BYTES;
	}
}

int wire_get_block(const struct wire_ctx *ctx, const struct wire_rule *rule, const uint8_t *b,
		   struct pkt *out)
{
	struct pkt_block *f = &out->u.block;

	f->sector = get_be64(b);
	if (rule->layout == LAYOUT_RANGE) {
		f->bytes = get_be32(b + 8);
		return wire_check_range(f->sector, f->bytes, max_bytes(ctx, rule));
	}
	f->block_id = get_be64(b + 8);
	switch (rule->layout) {
	case LAYOUT_DATA:
		f->bytes = out->payload.bytes;
		f->seq = get_be32(b + 16);
		f->dp_flags = get_be32(b + 20);
		break;
	case LAYOUT_TRIM:
		f->seq = get_be32(b + 16);
		f->dp_flags = get_be32(b + 20);
		f->bytes = get_be32(b + 24);
		break;
	case LAYOUT_VERIFY_RESULT:
		f->ov_result = get_be32(b + 24);
		if (f->ov_result > VERIFY_RESULT_MAX)
			return WIRE_ERR_RANGE;
		f->bytes = get_be32(b + 16);
		f->seq = get_be32(b + 20);
		break;
	case LAYOUT_ACK:
		f->bytes = get_be32(b + 16);
		f->seq = get_be32(b + 20);
		break;
	case LAYOUT_DAGTAG_REQUEST:
		f->dagtag_node = get_be32(b + 20);
		if (f->dagtag_node >= NODES_MAX)
			return WIRE_ERR_NODE_ID;
		f->bytes = get_be32(b + 16);
		f->dagtag = get_be64(b + 24);
		break;
	default: /* LAYOUT_REQUEST */
		f->bytes = get_be32(b + 16);
		break;
	}
	return wire_check_range(f->sector, f->bytes, max_bytes(ctx, rule));
}

void wire_put_block(const struct wire_rule *rule, const struct pkt_block *f, uint8_t *b)
{
	put_be64(b, f->sector);
	if (rule->layout == LAYOUT_RANGE) {
		put_be32(b + 8, f->bytes);
		return;
	}
	put_be64(b + 8, f->block_id);
	switch (rule->layout) {
	case LAYOUT_TRIM:
		put_be32(b + 24, f->bytes);
		/* fall through */
	case LAYOUT_DATA:
		put_be32(b + 16, f->seq);
		put_be32(b + 20, f->dp_flags);
		return;
	case LAYOUT_VERIFY_RESULT:
		put_be32(b + 24, f->ov_result);
		/* fall through */
	case LAYOUT_ACK:
		put_be32(b + 16, f->bytes);
		put_be32(b + 20, f->seq);
		return;
	case LAYOUT_DAGTAG_REQUEST:
		put_be32(b + 16, f->bytes);
		put_be32(b + 20, f->dagtag_node);
		put_be64(b + 24, f->dagtag);
		return;
	default: /* LAYOUT_REQUEST */
		put_be32(b + 16, f->bytes);
		return;
	}
}

int wire_get_in_sync(const uint8_t *b, struct pkt_in_sync *f)
{
	f->sector = get_be64(b);
	f->mask = get_be64(b + 8);
	f->bytes = get_be32(b + 16);
	return wire_check_range(f->sector, f->bytes, UINT32_MAX);
}

void wire_put_in_sync(const struct pkt_in_sync *f, uint8_t *b)
{
	put_be64(b, f->sector);
	put_be64(b + 8, f->mask);
	put_be32(b + 16, f->bytes);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Ties header, table and body codecs together: bytes to struct pkt and back. */
#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "wire/wire_int.h"

#define ENCODING_CODE_MASK 0x0fU
#define ENCODING_CODE_VLI 2U

STATIC_ASSERT(sizeof(((struct pkt_auth *)0)->data) >= AUTH_CHALLENGE_BYTES &&
	      sizeof(((struct pkt_auth *)0)->data) >= WIRE_DIGEST_MAX_BYTES,
	      "struct pkt_auth holds what the table lets through");
STATIC_ASSERT(WIRE_BODY_MAX_BYTES >= WIRE_BITMAP_CHUNK_BYTES, "bitmap chunks fit a body");

static int check_node(uint32_t node_id)
{
	return node_id < NODES_MAX ? 0 : WIRE_ERR_NODE_ID;
}

static int get_auth(const uint8_t *b, size_t n, struct pkt_auth *f)
{
	f->bytes = (uint32_t)n;
	memcpy(f->data, b, n);
	return 0;
}

static int get_flush(const uint8_t *b, size_t n, struct pkt_flush *f)
{
	f->sequence = get_be64(b);
	if (n == BYTES_FLUSH)
		return 0;
	f->node_id = get_be32(b + 8);
	return check_node(f->node_id);
}

static int get_confirm(const uint8_t *b, struct pkt_confirm *f)
{
	f->oldest_block_id = get_be64(b);
	f->youngest_block_id = get_be64(b + 8);
	f->set_size = get_be32(b + 16);
	return 0;
}

static int get_encoding(uint8_t encoding)
{
	return (encoding & ENCODING_CODE_MASK) == ENCODING_CODE_VLI ? 0 : WIRE_ERR_RANGE;
}

/* Packets of the handshake and of state changes. */
static int get_rare_body(const struct wire_ctx *ctx, const struct wire_rule *rule, const uint8_t *b,
			 size_t n, struct pkt *out)
{
	switch ((enum wire_layout)rule->layout) {
	case LAYOUT_FEATURES:
		return wire_get_features(b, &out->u.features);
	case LAYOUT_AUTH:
		return get_auth(b, n, &out->u.auth);
	case LAYOUT_PROTOCOL:
		return wire_get_protocol(b, n, &out->u.protocol);
	case LAYOUT_SYNC_PARAM:
		return wire_get_sync_param(b, &out->u.sync_param);
	case LAYOUT_SIZES:
		return wire_get_sizes(ctx, b, &out->u.sizes);
	case LAYOUT_CURRENT_UUID:
		out->u.current_uuid.uuid = get_be64(b);
		out->u.current_uuid.weak_nodes = get_be64(b + 8);
		return 0;
	case LAYOUT_STATE:
		out->u.state = get_be32(b);
		return 0;
	case LAYOUT_UUIDS_8:
		return wire_get_uuids_8(b, &out->u.uuids_8);
	case LAYOUT_SYNC_UUID:
		out->u.sync_uuid = get_be64(b);
		return 0;
	case LAYOUT_CHANGE:
		out->u.change = (struct pkt_change){ get_be32(b), get_be32(b + 4) };
		return 0;
	case LAYOUT_CHANGE_REPLY:
		out->u.change_result = (int32_t)get_be32(b);
		return 0;
	case LAYOUT_TWOPC:
		return wire_get_twopc(ctx, rule->type, b, &out->u.twopc);
	case LAYOUT_TWOPC_REPLY:
		return wire_get_twopc_reply(b, &out->u.twopc_reply);
	case LAYOUT_ENABLE:
		out->u.enable_replication = b[0];
		return b[0] <= 1 ? 0 : WIRE_ERR_RANGE;
	default: /* without fields, or only var */
		return 0;
	}
}

static int get_body(const struct wire_ctx *ctx, const struct wire_rule *rule, const uint8_t *b,
		    size_t n, struct pkt *out)
{
	if (wire_is_block(rule))
		return wire_get_block(ctx, rule, b, out);
	switch ((enum wire_layout)rule->layout) {
	case LAYOUT_BARRIER_ACK:
		out->u.barrier.set_size = get_be32(b + 4);
		/* fall through */
	case LAYOUT_BARRIER:
		out->u.barrier.number = get_be32(b);
		return 0;
	case LAYOUT_PEER_ACK:
		out->u.dagtag.mask = get_be64(b);
		out->u.dagtag.dagtag = get_be64(b + 8);
		return 0;
	case LAYOUT_DAGTAG:
		out->u.dagtag.dagtag = get_be64(b);
		return 0;
	case LAYOUT_PEER_DAGTAG:
		out->u.dagtag.dagtag = get_be64(b);
		out->u.dagtag.node_id = get_be32(b + 8);
		return check_node(out->u.dagtag.node_id);
	case LAYOUT_IN_SYNC:
		return wire_get_in_sync(b, &out->u.in_sync);
	case LAYOUT_CONFIRM:
		return get_confirm(b, &out->u.confirm);
	case LAYOUT_FLUSH:
	case LAYOUT_FLUSH_NODE:
		return get_flush(b, n, &out->u.flush);
	case LAYOUT_COMPRESSED_BITMAP:
		out->u.bitmap_encoding = b[0];
		return get_encoding(b[0]);
	default:
		return get_rare_body(ctx, rule, b, n, out);
	}
}

/* Variable parts that a struct pkt points to; the others are decoded into its union. */
static bool has_var(const struct wire_rule *rule)
{
	return wire_has_payload(rule) || rule->layout == LAYOUT_REQUEST ||
	       rule->layout == LAYOUT_DAGTAG_REQUEST || rule->layout == LAYOUT_BITMAP ||
	       rule->layout == LAYOUT_COMPRESSED_BITMAP;
}

/* All of it, so that equal packets are equal bytes; two short fills beat one long one. */
static void clear_packet(struct pkt *pkt)
{
	size_t half = offsetof(struct pkt, u) + sizeof(pkt->u.block);

	memset(pkt, 0, half);
	memset((uint8_t *)pkt + half, 0, sizeof(*pkt) - half);
}

int wire_decode_body(const struct wire_ctx *ctx, const struct wire_header *h, const uint8_t *body,
		     size_t n, struct pkt *out, struct pkt_uuids *uuids)
{
	const struct wire_rule *rule = wire_rule(h->type);
	uint32_t fixed_bytes, payload_bytes;
	int rc;

	if (!rule)
		return WIRE_ERR_UNKNOWN;
	rc = wire_check_length(ctx, rule, h->length, &fixed_bytes, &payload_bytes);
	if (rc)
		return rc;
	if (n != fixed_bytes)
		return WIRE_ERR_LENGTH;
	clear_packet(out);
	out->type = h->type;
	out->vnr = rule->vnr == VNR_IS_NONE ? VNR_NONE : h->vnr;
	out->payload.bytes = payload_bytes;
	if (has_var(rule) && n > rule->fixed_bytes) {
		out->var = body + rule->fixed_bytes;
		out->var_bytes = (uint32_t)(n - rule->fixed_bytes);
	}
	if (rule->layout == LAYOUT_UUIDS) {
		out->u.uuids = uuids;
		return wire_get_uuids(body, n, uuids);
	}
	return get_body(ctx, rule, body, n, out);
}

static void put_rare_body(const struct wire_ctx *ctx, const struct wire_rule *rule,
			  const struct pkt *pkt, uint8_t *b)
{
	switch ((enum wire_layout)rule->layout) {
	case LAYOUT_FEATURES:
		wire_put_features(&pkt->u.features, b);
		return;
	case LAYOUT_AUTH:
		memcpy(b, pkt->u.auth.data, pkt->u.auth.bytes);
		return;
	case LAYOUT_PROTOCOL:
		wire_put_protocol(&pkt->u.protocol, b);
		return;
	case LAYOUT_SYNC_PARAM:
		wire_put_sync_param(&pkt->u.sync_param, b);
		return;
	case LAYOUT_SIZES:
		wire_put_sizes(ctx, &pkt->u.sizes, b);
		return;
	case LAYOUT_UUIDS:
		wire_put_uuids(pkt->u.uuids, b);
		return;
	case LAYOUT_CURRENT_UUID:
		put_be64(b, pkt->u.current_uuid.uuid);
		put_be64(b + 8, pkt->u.current_uuid.weak_nodes);
		return;
	case LAYOUT_STATE:
		put_be32(b, pkt->u.state);
		return;
	case LAYOUT_UUIDS_8:
		wire_put_uuids_8(&pkt->u.uuids_8, b);
		return;
	case LAYOUT_SYNC_UUID:
		put_be64(b, pkt->u.sync_uuid);
		return;
	case LAYOUT_CHANGE:
		put_be32(b, pkt->u.change.mask);
		put_be32(b + 4, pkt->u.change.val);
		return;
	case LAYOUT_CHANGE_REPLY:
		put_be32(b, (uint32_t)pkt->u.change_result);
		return;
	case LAYOUT_TWOPC:
		wire_put_twopc(ctx, rule->type, &pkt->u.twopc, b);
		return;
	case LAYOUT_TWOPC_REPLY:
		wire_put_twopc_reply(&pkt->u.twopc_reply, b);
		return;
	case LAYOUT_ENABLE:
		b[0] = pkt->u.enable_replication;
		return;
	default: /* without fields, or only var */
		return;
	}
}

static void put_body(const struct wire_ctx *ctx, const struct wire_rule *rule,
		     const struct pkt *pkt, uint8_t *b)
{
	if (wire_is_block(rule)) {
		wire_put_block(rule, &pkt->u.block, b);
		return;
	}
	switch ((enum wire_layout)rule->layout) {
	case LAYOUT_BARRIER_ACK:
		put_be32(b + 4, pkt->u.barrier.set_size);
		/* fall through */
	case LAYOUT_BARRIER:
		put_be32(b, pkt->u.barrier.number);
		return;
	case LAYOUT_PEER_ACK:
		put_be64(b, pkt->u.dagtag.mask);
		put_be64(b + 8, pkt->u.dagtag.dagtag);
		return;
	case LAYOUT_PEER_DAGTAG:
		put_be32(b + 8, pkt->u.dagtag.node_id);
		/* fall through */
	case LAYOUT_DAGTAG:
		put_be64(b, pkt->u.dagtag.dagtag);
		return;
	case LAYOUT_IN_SYNC:
		wire_put_in_sync(&pkt->u.in_sync, b);
		return;
	case LAYOUT_CONFIRM:
		put_be64(b, pkt->u.confirm.oldest_block_id);
		put_be64(b + 8, pkt->u.confirm.youngest_block_id);
		put_be32(b + 16, pkt->u.confirm.set_size);
		return;
	case LAYOUT_FLUSH_NODE:
		put_be32(b + 8, pkt->u.flush.node_id);
		/* fall through */
	case LAYOUT_FLUSH:
		put_be64(b, pkt->u.flush.sequence);
		return;
	case LAYOUT_COMPRESSED_BITMAP:
		b[0] = pkt->u.bitmap_encoding;
		return;
	default:
		put_rare_body(ctx, rule, pkt, b);
		return;
	}
}

/* Bytes after the fixed part, bulk payload aside. */
static size_t var_bytes(const struct wire_rule *rule, const struct pkt *pkt)
{
	switch (rule->layout) {
	case LAYOUT_AUTH:
		return pkt->u.auth.bytes;
	case LAYOUT_PROTOCOL:
		return wire_protocol_var_bytes(&pkt->u.protocol);
	case LAYOUT_UUIDS:
		return wire_uuids_var_bytes(pkt->u.uuids);
	default:
		return has_var(rule) ? pkt->var_bytes : 0;
	}
}

size_t wire_encode(const struct wire_ctx *ctx, const struct pkt *pkt, uint8_t *buf, size_t cap)
{
	const struct wire_rule *rule = wire_rule(pkt->type);
	uint32_t body_bytes, payload_bytes, fixed, payload;
	size_t head, var, copied;

	if (!rule)
		return 0;
	/* Ours may go out after the peer's has been read: its form is fixed. */
	if (rule->phase != PHASE_FEATURES && wire_check_agreed(ctx, rule))
		return 0;
	head = wire_header_bytes(ctx, rule);
	fixed = wire_fixed_bytes(ctx, rule);
	var = var_bytes(rule, pkt);
	payload = wire_has_payload(rule) ? pkt->payload.bytes : 0;
	if (var > WIRE_BODY_MAX_BYTES - fixed || payload > BIO_MAX_BYTES)
		return 0;
	/* A digest of another length than agreed shows as a payload that is cut elsewhere. */
	if (wire_check_length(ctx, rule, fixed + (uint32_t)var + payload, &body_bytes,
			      &payload_bytes) ||
	    payload_bytes != payload || cap < head + body_bytes)
		return 0;
	copied = has_var(rule) ? var : 0;
	wire_put_header(ctx, rule, pkt->vnr, body_bytes + payload, buf);
	memset(buf + head, 0, body_bytes - copied);
	put_body(ctx, rule, pkt, buf + head);
	if (copied)
		memcpy(buf + head + fixed, pkt->var, copied);
	return head + body_bytes;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Bodies of the two-phase commit, both request layouts (wire-protocol 6.1, 6.2). */
#include "base/bytes.h"
#include "wire/wire_int.h"

#define TARGET_NONE (-1)
#define TARGET_NONE_V1 0xffffffffU

static bool has_v2(const struct wire_ctx *ctx)
{
	return ctx->features & FEATURE_TWOPC_V2;
}

/* Flags and node ids; the layouts differ in nothing else up to the masks. */
static int get_ids(const struct wire_ctx *ctx, const uint8_t *b, struct pkt_twopc *f)
{
	uint32_t initiator, target;
	bool has_target;

	if (has_v2(ctx)) {
		f->flags = get_be32(b + 4);
		initiator = b[10];
		target = b[11];
		has_target = b[11] != (uint8_t)TARGET_NONE;
		if (!(f->flags & TWOPC_FLAG_V2))
			return WIRE_ERR_RANGE;
	} else {
		initiator = get_be32(b + 4);
		target = get_be32(b + 8);
		has_target = target != TARGET_NONE_V1;
	}
	if (initiator >= NODES_MAX || (has_target && target >= NODES_MAX))
		return WIRE_ERR_NODE_ID;
	f->initiator = (int8_t)initiator;
	f->target = has_target ? (int8_t)target : TARGET_NONE;
	return 0;
}

/*
 * Nothing in a commit or abort tells the one of a resize from the one of a state change: without
 * reachable nodes the last word is given as both.
 */
int wire_get_twopc(const struct wire_ctx *ctx, unsigned type, const uint8_t *b,
		   struct pkt_twopc *f)
{
	int rc;

	f->tid = get_be32(b);
	if (!f->tid)
		return WIRE_ERR_TID;
	rc = get_ids(ctx, b, f);
	if (rc)
		return rc;
	f->nodes_to_reach = get_be64(b + 12);
	if (type == P_TWOPC_PREP_RSZ) {
		f->user_sectors = get_be64(b + 20);
		f->dds_flags = get_be16(b + 28);
		return f->user_sectors > SECTOR_END_MAX ? WIRE_ERR_SECTOR : 0;
	}
	f->primary_nodes = get_be64(b + 20);
	if (type != P_TWOPC_PREPARE && f->flags & TWOPC_FLAG_HAS_REACHABLE) {
		f->reachable_nodes = get_be64(b + 28);
		return 0;
	}
	f->mask = get_be32(b + 28);
	f->val = get_be32(b + 32);
	if (type != P_TWOPC_PREPARE)
		f->exposed_sectors = get_be64(b + 28);
	return 0;
}

void wire_put_twopc(const struct wire_ctx *ctx, unsigned type, const struct pkt_twopc *f,
		    uint8_t *b)
{
	put_be32(b, f->tid);
	if (has_v2(ctx)) {
		put_be32(b + 4, f->flags | TWOPC_FLAG_V2);
		b[10] = (uint8_t)f->initiator;
		b[11] = (uint8_t)f->target;
	} else {
		put_be32(b + 4, (uint32_t)f->initiator);
		put_be32(b + 8, f->target < 0 ? TARGET_NONE_V1 : (uint32_t)f->target);
	}
	put_be64(b + 12, f->nodes_to_reach);
	if (type == P_TWOPC_PREP_RSZ) {
		put_be64(b + 20, f->user_sectors);
		put_be16(b + 28, f->dds_flags);
		return;
	}
	put_be64(b + 20, f->primary_nodes);
	if (type != P_TWOPC_PREPARE && has_v2(ctx) && f->flags & TWOPC_FLAG_HAS_REACHABLE) {
		put_be64(b + 28, f->reachable_nodes);
	} else if (type != P_TWOPC_PREPARE && f->exposed_sectors) {
		put_be64(b + 28, f->exposed_sectors);
	} else {
		put_be32(b + 28, f->mask);
		put_be32(b + 32, f->val);
	}
}

int wire_get_twopc_reply(const uint8_t *b, struct pkt_twopc_reply *f)
{
	uint32_t initiator = get_be32(b + 4);

	f->tid = get_be32(b);
	if (!f->tid)
		return WIRE_ERR_TID;
	if (initiator >= NODES_MAX)
		return WIRE_ERR_NODE_ID;
	f->initiator = (int32_t)initiator;
	f->reachable_nodes = get_be64(b + 8);
	f->primary_nodes = get_be64(b + 16);
	f->weak_nodes = get_be64(b + 24);
	return 0;
}

void wire_put_twopc_reply(const struct pkt_twopc_reply *f, uint8_t *b)
{
	put_be32(b, f->tid);
	put_be32(b + 4, (uint32_t)f->initiator);
	put_be64(b + 8, f->reachable_nodes);
	put_be64(b + 16, f->primary_nodes);
	put_be64(b + 24, f->weak_nodes);
}

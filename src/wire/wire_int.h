/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the parts of the packet codec share: the table of packets and the body layouts. */
#ifndef WIRE_INT_H
#define WIRE_INT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/proto_pkt.h"
#include "wire/wire.h"

/* Body layouts (3.1 and the sections of section 2): X(NAME, bytes of the fixed part). */
#define WIRE_LAYOUTS(X)                                                                            \
	X(NONE, 0)                                                                                 \
	X(FEATURES, 72)                                                                            \
	X(AUTH, 0)                                                                                 \
	X(PROTOCOL, 24)                                                                            \
	X(SYNC_PARAM, 148)                                                                         \
	X(SIZES, 32)                                                                               \
	X(UUIDS, 40)                                                                               \
	X(CURRENT_UUID, 16)                                                                        \
	X(UUIDS_8, 48)                                                                             \
	X(SYNC_UUID, 8)                                                                            \
	X(CHANGE, 8)                                                                               \
	X(CHANGE_REPLY, 4)                                                                         \
	X(STATE, 4)                                                                                \
	X(DATA, 24)                                                                                \
	X(TRIM, 28)                                                                                \
	X(ACK, 24)                                                                                 \
	X(VERIFY_RESULT, 32)                                                                       \
	X(REQUEST, 24)                                                                             \
	X(DAGTAG_REQUEST, 32)                                                                      \
	X(RANGE, 16)                                                                               \
	X(BARRIER, 8)                                                                              \
	X(BARRIER_ACK, 8)                                                                          \
	X(CONFIRM, 24)                                                                             \
	X(DAGTAG, 8)                                                                               \
	X(PEER_DAGTAG, 12)                                                                         \
	X(PEER_ACK, 16)                                                                            \
	X(IN_SYNC, 24)                                                                             \
	X(FLUSH, 8)                                                                                \
	X(FLUSH_NODE, 12)                                                                          \
	X(ENABLE, 4)                                                                               \
	X(TWOPC, 36)                                                                               \
	X(TWOPC_REPLY, 32)                                                                         \
	X(BITMAP, 0)                                                                               \
	X(COMPRESSED_BITMAP, 1)                                                                    \
	X(DELAY_PROBE, 8)

enum wire_layout {
#define X(name, fixed) LAYOUT_##name,
	WIRE_LAYOUTS(X)
#undef X
};

enum wire_layout_size {
#define X(name, fixed) BYTES_##name = (fixed),
	WIRE_LAYOUTS(X)
#undef X
};

#define BYTES_SIZES_LIMITS 24U /* rest of P_SIZES when WSAME is agreed */

/* Which volume numbers a packet may carry. */
enum wire_vnr { VNR_IS_VOLUME, VNR_IS_NONE, VNR_IS_ANY };

/* When a packet may come. P_INITIAL_* come before all and are not in the table. */
enum wire_phase { PHASE_AFTER, PHASE_FEATURES, PHASE_ALWAYS };

#define ON_DATA (1U << STREAM_DATA)
#define ON_CONTROL (1U << STREAM_CONTROL)
#define ON_BOTH (ON_DATA | ON_CONTROL)

struct wire_rule {
	uint16_t type;
	bool known;           /* the slot of the table is in use */
	uint8_t streams;      /* ON_* */
	uint8_t layout;       /* enum wire_layout */
	uint8_t vnr;          /* enum wire_vnr */
	uint8_t phase;        /* enum wire_phase */
	uint8_t min_apv, max_apv;
	uint16_t features;    /* all of them must be agreed */
	uint16_t fixed_bytes; /* of the layout; P_SIZES is longer with WSAME */
	uint16_t var_min_bytes;
	uint16_t var_max_bytes;
};

/* By packet number up to the last of the dense ones; then the one that is far off. */
#define WIRE_RULES (P_ENABLE_REPLICATION + 1U)
extern const struct wire_rule wire_rules[WIRE_RULES];
extern const struct wire_rule wire_rule_features;

/* NULL for an unknown number. */
static inline const struct wire_rule *wire_rule(unsigned type)
{
	if (type < WIRE_RULES)
		return wire_rules[type].known ? &wire_rules[type] : NULL;
	return type == P_CONNECTION_FEATURES ? &wire_rule_features : NULL;
}

/* Fixed part under ctx. */
static inline uint32_t wire_fixed_bytes(const struct wire_ctx *ctx, const struct wire_rule *rule)
{
	if (rule->layout == LAYOUT_SIZES && ctx->features & FEATURE_WSAME)
		return BYTES_SIZES + BYTES_SIZES_LIMITS;
	return rule->fixed_bytes;
}

/* 0 when the rule's phase, version and features are met, else enum wire_error. */
static inline int wire_check_agreed(const struct wire_ctx *ctx, const struct wire_rule *rule)
{
	if (!ctx->apv)
		return rule->phase == PHASE_AFTER ? WIRE_ERR_PHASE : 0;
	if (rule->phase == PHASE_FEATURES)
		return WIRE_ERR_PHASE;
	if (ctx->apv < rule->min_apv || ctx->apv > rule->max_apv)
		return WIRE_ERR_VERSION;
	return (ctx->features & rule->features) == rule->features ? 0 : WIRE_ERR_FEATURE;
}

/* About a range of sectors (wire_block.c): these layouts stand together in WIRE_LAYOUTS. */
static inline bool wire_is_block(const struct wire_rule *rule)
{
	return rule->layout >= LAYOUT_DATA && rule->layout <= LAYOUT_RANGE;
}

/* Bulk payload follows: P_DATA, P_DATA_REPLY, P_RS_DATA_REPLY. */
static inline bool wire_has_payload(const struct wire_rule *rule)
{
	return rule->layout == LAYOUT_DATA;
}

/* Last sector that a range may end at, so that byte offsets stay below 2^63. */
#define SECTOR_END_MAX ((uint64_t)INT64_MAX / SECTOR_BYTES)

/* 0, WIRE_ERR_BLOCK_SIZE or WIRE_ERR_SECTOR. */
static inline int wire_check_range(uint64_t sector, uint32_t bytes, uint32_t max_bytes)
{
	if (!bytes || bytes % SECTOR_BYTES || bytes > max_bytes)
		return WIRE_ERR_BLOCK_SIZE;
	if (sector > SECTOR_END_MAX - bytes / SECTOR_BYTES)
		return WIRE_ERR_SECTOR;
	return 0;
}

/*
 * Body codecs, one pair per layout or family of layouts; plain copies of a field or two are in
 * wire_codec.c. `b` holds at least the fixed part. Decoders fill a zeroed struct and return 0 or
 * enum wire_error. Encoders fill zeroed bytes.
 */
int wire_get_features(const uint8_t *b, struct pkt_features *f);
int wire_get_protocol(const uint8_t *b, size_t n, struct pkt_protocol *f);
int wire_get_sync_param(const uint8_t *b, struct pkt_sync_param *f);
int wire_get_sizes(const struct wire_ctx *ctx, const uint8_t *b, struct pkt_sizes *f);
int wire_get_uuids(const uint8_t *b, size_t n, struct pkt_uuids *f);
int wire_get_uuids_8(const uint8_t *b, struct pkt_uuids_8 *f);
int wire_get_block(const struct wire_ctx *ctx, const struct wire_rule *rule, const uint8_t *b,
		   struct pkt *out);
int wire_get_in_sync(const uint8_t *b, struct pkt_in_sync *f);
int wire_get_twopc(const struct wire_ctx *ctx, unsigned type, const uint8_t *b,
		   struct pkt_twopc *f);
int wire_get_twopc_reply(const uint8_t *b, struct pkt_twopc_reply *f);

void wire_put_features(const struct pkt_features *f, uint8_t *b);
void wire_put_protocol(const struct pkt_protocol *f, uint8_t *b);
void wire_put_sync_param(const struct pkt_sync_param *f, uint8_t *b);
void wire_put_sizes(const struct wire_ctx *ctx, const struct pkt_sizes *f, uint8_t *b);
void wire_put_uuids(const struct pkt_uuids *f, uint8_t *b);
void wire_put_uuids_8(const struct pkt_uuids_8 *f, uint8_t *b);
void wire_put_block(const struct wire_rule *rule, const struct pkt_block *f, uint8_t *b);
void wire_put_in_sync(const struct pkt_in_sync *f, uint8_t *b);
void wire_put_twopc(const struct wire_ctx *ctx, unsigned type, const struct pkt_twopc *f,
		    uint8_t *b);
void wire_put_twopc_reply(const struct pkt_twopc_reply *f, uint8_t *b);

/* Bytes of the strings and lists that are kept decoded; SIZE_MAX when they have no encoding. */
size_t wire_protocol_var_bytes(const struct pkt_protocol *f);
size_t wire_uuids_var_bytes(const struct pkt_uuids *f);

/* The header form that belongs to ctx: its size, and writing it. */
size_t wire_header_bytes(const struct wire_ctx *ctx, const struct wire_rule *rule);
void wire_put_header(const struct wire_ctx *ctx, const struct wire_rule *rule, uint16_t vnr,
		     uint32_t length, uint8_t *buf);

/* The length rule of a packet, without its other conditions; as wire_check_header. */
int wire_check_length(const struct wire_ctx *ctx, const struct wire_rule *rule, uint32_t length,
		      uint32_t *fixed_bytes, uint32_t *payload_bytes);

#endif

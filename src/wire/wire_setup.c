/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Bodies of the handshake packets: features, protocol, sync parameters, sizes, UUIDs. */
#include <string.h>

#include "base/bytes.h"
#include "wire/wire_int.h"

#define SHIFT_MINUS_12_MAX 8U /* bitmap blocks up to 1 MiB */

int wire_get_features(const uint8_t *b, struct pkt_features *f)
{
	f->protocol_min = get_be32(b);
	f->features = get_be32(b + 4);
	f->protocol_max = get_be32(b + 8);
	f->sender_node_id = get_be32(b + 12);
	f->receiver_node_id = get_be32(b + 16);
	if (f->sender_node_id >= NODES_MAX || f->receiver_node_id >= NODES_MAX)
		return WIRE_ERR_NODE_ID;
	return 0;
}

void wire_put_features(const struct pkt_features *f, uint8_t *b)
{
	put_be32(b, f->protocol_min);
	put_be32(b + 4, f->features);
	put_be32(b + 8, f->protocol_max);
	put_be32(b + 12, f->sender_node_id);
	put_be32(b + 16, f->receiver_node_id);
}

/* Copies a name up to its NUL; what follows the NUL is dropped. dst is zeroed. */
static int get_name(const uint8_t *b, size_t n, char dst[ALG_NAME_MAX])
{
	const uint8_t *end = memchr(b, 0, n);

	if (!end)
		return WIRE_ERR_STRING;
	memcpy(dst, b, (size_t)(end - b));
	return 0;
}

/* Bytes of a name without its NUL; ALG_NAME_MAX when it has none. */
static size_t name_bytes(const char src[ALG_NAME_MAX])
{
	const char *end = memchr(src, 0, ALG_NAME_MAX);

	return end ? (size_t)(end - src) : ALG_NAME_MAX;
}

/* The last byte of the field stays the NUL that is there already. */
static void put_name(uint8_t *b, const char src[ALG_NAME_MAX])
{
	size_t n = name_bytes(src);

	memcpy(b, src, n < ALG_NAME_MAX ? n : ALG_NAME_MAX - 1);
}

int wire_get_protocol(const uint8_t *b, size_t n, struct pkt_protocol *f)
{
	f->protocol = get_be32(b);
	f->after_sb_0p = get_be32(b + 4);
	f->after_sb_1p = get_be32(b + 8);
	f->after_sb_2p = get_be32(b + 12);
	f->conn_flags = get_be32(b + 16);
	f->two_primaries = get_be32(b + 20);
	return get_name(b + BYTES_PROTOCOL, n - BYTES_PROTOCOL, f->integrity_alg);
}

size_t wire_protocol_var_bytes(const struct pkt_protocol *f)
{
	size_t n = name_bytes(f->integrity_alg);

	return n < ALG_NAME_MAX ? n + 1 : SIZE_MAX;
}

void wire_put_protocol(const struct pkt_protocol *f, uint8_t *b)
{
	put_be32(b, f->protocol);
	put_be32(b + 4, f->after_sb_0p);
	put_be32(b + 8, f->after_sb_1p);
	put_be32(b + 12, f->after_sb_2p);
	put_be32(b + 16, f->conn_flags);
	put_be32(b + 20, f->two_primaries);
	put_name(b + BYTES_PROTOCOL, f->integrity_alg);
}

int wire_get_sync_param(const uint8_t *b, struct pkt_sync_param *f)
{
	f->resync_rate = get_be32(b);
	f->c_plan_ahead = get_be32(b + 132);
	f->c_delay_target = get_be32(b + 136);
	f->c_fill_target = get_be32(b + 140);
	f->c_max_rate = get_be32(b + 144);
	if (get_name(b + 4, ALG_NAME_MAX, f->verify_alg))
		return WIRE_ERR_STRING;
	return get_name(b + 68, ALG_NAME_MAX, f->csums_alg);
}

void wire_put_sync_param(const struct pkt_sync_param *f, uint8_t *b)
{
	put_be32(b, f->resync_rate);
	put_name(b + 4, f->verify_alg);
	put_name(b + 68, f->csums_alg);
	put_be32(b + 132, f->c_plan_ahead);
	put_be32(b + 136, f->c_delay_target);
	put_be32(b + 140, f->c_fill_target);
	put_be32(b + 144, f->c_max_rate);
}

int wire_get_sizes(const struct wire_ctx *ctx, const uint8_t *b, struct pkt_sizes *f)
{
	f->d_sectors = get_be64(b);
	f->u_sectors = get_be64(b + 8);
	f->c_sectors = get_be64(b + 16);
	f->max_bio_bytes = get_be32(b + 24);
	f->queue_order_type = get_be16(b + 28);
	f->dds_flags = get_be16(b + 30);
	if (f->d_sectors > SECTOR_END_MAX || f->u_sectors > SECTOR_END_MAX ||
	    f->c_sectors > SECTOR_END_MAX)
		return WIRE_ERR_SECTOR;
	if (!(ctx->features & FEATURE_WSAME))
		return 0;
	b += BYTES_SIZES;
	f->physical_block_bytes = get_be32(b);
	f->logical_block_bytes = get_be32(b + 4);
	f->alignment_offset = get_be32(b + 8);
	f->io_min = get_be32(b + 12);
	f->io_opt = get_be32(b + 16);
	f->discard_enabled = b[20];
	f->discard_zeroes_data = b[21];
	f->write_same_capable = b[22];
	f->bm_block_shift_minus_12 = b[23];
	return f->bm_block_shift_minus_12 > SHIFT_MINUS_12_MAX ? WIRE_ERR_RANGE : 0;
}

void wire_put_sizes(const struct wire_ctx *ctx, const struct pkt_sizes *f, uint8_t *b)
{
	put_be64(b, f->d_sectors);
	put_be64(b + 8, f->u_sectors);
	put_be64(b + 16, f->c_sectors);
	put_be32(b + 24, f->max_bio_bytes);
	put_be16(b + 28, f->queue_order_type);
	put_be16(b + 30, f->dds_flags);
	if (!(ctx->features & FEATURE_WSAME))
		return;
	b += BYTES_SIZES;
	put_be32(b, f->physical_block_bytes);
	put_be32(b + 4, f->logical_block_bytes);
	put_be32(b + 8, f->alignment_offset);
	put_be32(b + 12, f->io_min);
	put_be32(b + 16, f->io_opt);
	b[20] = f->discard_enabled;
	b[21] = f->discard_zeroes_data;
	b[22] = f->write_same_capable;
	b[23] = f->bm_block_shift_minus_12;
}

int wire_get_uuids(const uint8_t *b, size_t n, struct pkt_uuids *f)
{
	const uint8_t *end = b + n;
	unsigned i;

	f->current = get_be64(b);
	f->dirty_bits = get_be64(b + 8);
	f->flags = get_be64(b + 16);
	f->node_mask = get_be64(b + 24);
	f->bitmap_mask = get_be64(b + 32);
	if (f->bitmap_mask >> NODES_MAX)
		return WIRE_ERR_UUIDS;
	b += BYTES_UUIDS;
	for (i = 0; i < NODES_MAX; i++) {
		f->bitmap[i] = UUID_UNKNOWN;
		if (!(f->bitmap_mask >> i & 1))
			continue;
		if (b == end)
			return WIRE_ERR_UUIDS;
		f->bitmap[i] = get_be64(b);
		b += 8;
	}
	if ((size_t)(end - b) > sizeof(f->history))
		return WIRE_ERR_UUIDS;
	for (i = 0; i < HISTORY_UUIDS; i++) {
		f->history[i] = 0;
		if (b == end)
			continue;
		f->history[i] = get_be64(b);
		b += 8;
	}
	return 0;
}

size_t wire_uuids_var_bytes(const struct pkt_uuids *f)
{
	size_t n = HISTORY_UUIDS;

	if (f->bitmap_mask >> NODES_MAX)
		return SIZE_MAX;
	for (uint64_t mask = f->bitmap_mask; mask; mask &= mask - 1)
		n++;
	return 8 * n;
}

/* All history slots travel, as the kernel does it. */
void wire_put_uuids(const struct pkt_uuids *f, uint8_t *b)
{
	unsigned i;

	put_be64(b, f->current);
	put_be64(b + 8, f->dirty_bits);
	put_be64(b + 16, f->flags);
	put_be64(b + 24, f->node_mask);
	put_be64(b + 32, f->bitmap_mask);
	b += BYTES_UUIDS;
	for (i = 0; i < NODES_MAX; i++) {
		if (!(f->bitmap_mask >> i & 1))
			continue;
		put_be64(b, f->bitmap[i]);
		b += 8;
	}
	for (i = 0; i < HISTORY_UUIDS; i++, b += 8)
		put_be64(b, f->history[i]);
}

int wire_get_uuids_8(const uint8_t *b, struct pkt_uuids_8 *f)
{
	f->current = get_be64(b);
	f->bitmap = get_be64(b + 8);
	f->history[0] = get_be64(b + 16);
	f->history[1] = get_be64(b + 24);
	f->dirty_bits = get_be64(b + 32);
	f->flags = get_be64(b + 40);
	return 0;
}

void wire_put_uuids_8(const struct pkt_uuids_8 *f, uint8_t *b)
{
	put_be64(b, f->current);
	put_be64(b + 8, f->bitmap);
	put_be64(b + 16, f->history[0]);
	put_be64(b + 24, f->history[1]);
	put_be64(b + 32, f->dirty_bits);
	put_be64(b + 40, f->flags);
}

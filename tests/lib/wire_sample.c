/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Random packets, written from the packet catalogue and not from the codec's table. */
#include "wire_sample.h"

#include <string.h>

#include "base/assert.h"

#define D 1U
#define C 2U

const struct sample_type sample_types[] = {
	{ P_DATA, D },		  { P_DATA_REPLY, D },	       { P_RS_DATA_REPLY, D },
	{ P_BARRIER, D },	  { P_BITMAP, D },	       { P_UNPLUG_REMOTE, D },
	{ P_DATA_REQUEST, D },	  { P_RS_DATA_REQUEST, D },    { P_PROTOCOL, D },
	{ P_SIZES, D },		  { P_STATE, D },	       { P_AUTH_CHALLENGE, D },
	{ P_AUTH_RESPONSE, D },	  { P_PING, C },	       { P_PING_ACK, C },
	{ P_RECV_ACK, C },	  { P_WRITE_ACK, C },	       { P_RS_WRITE_ACK, C },
	{ P_SUPERSEDED, C },	  { P_NEG_ACK, C },	       { P_NEG_DREPLY, C },
	{ P_NEG_RS_DREPLY, C },	  { P_BARRIER_ACK, C },	       { P_OV_REQUEST, D },
	{ P_OV_REPLY, D },	  { P_OV_RESULT, C },	       { P_CSUM_RS_REQUEST, D },
	{ P_RS_IS_IN_SYNC, C },	  { P_SYNC_PARAM89, D },       { P_COMPRESSED_BITMAP, D },
	{ P_DELAY_PROBE, D | C }, { P_OUT_OF_SYNC, D },	       { P_RS_CANCEL, C },
	{ P_RETRY_WRITE, C },	  { P_PROTOCOL_UPDATE, D },    { P_TWOPC_PREPARE, D },
	{ P_TWOPC_ABORT, D },	  { P_DAGTAG, D },	       { P_TRIM, D },
	{ P_RS_THIN_REQ, D },	  { P_RS_DEALLOCATED, D },     { P_TWOPC_PREP_RSZ, D },
	{ P_ZEROES, D },	  { P_PEER_ACK, C },	       { P_PEERS_IN_SYNC, C },
	{ P_UUIDS110, D },	  { P_PEER_DAGTAG, D },	       { P_CURRENT_UUID, D },
	{ P_TWOPC_YES, C },	  { P_TWOPC_NO, C },	       { P_TWOPC_COMMIT, D },
	{ P_TWOPC_RETRY, C },	  { P_CONFIRM_STABLE, C },     { P_RS_CANCEL_AHEAD, C },
	{ P_DISCONNECT, D },	  { P_RS_DAGTAG_REQ, D },      { P_RS_CSUM_DAGTAG_REQ, D },
	{ P_RS_THIN_DAGTAG_REQ, D }, { P_OV_DAGTAG_REQ, D },   { P_OV_DAGTAG_REPLY, D },
	{ P_WRITE_ACK_IN_SYNC, C }, { P_RS_NEG_ACK, C },       { P_OV_RESULT_ID, C },
	{ P_RS_DEALLOCATED_ID, D }, { P_FLUSH_REQUESTS, D },   { P_FLUSH_FORWARD, C },
	{ P_FLUSH_REQUESTS_ACK, D }, { P_ENABLE_REPLICATION_NEXT, D },
	{ P_ENABLE_REPLICATION, D }, { P_CONNECTION_FEATURES, D },
	{ P_UUIDS, D },		  { P_SYNC_UUID, D },	       { P_STATE_CHG_REQ, D },
	{ P_STATE_CHG_REPLY, C }, { P_CONN_ST_CHG_REQ, D },    { P_CONN_ST_CHG_REPLY, C },
};
const unsigned sample_type_count = ARRAY_LEN(sample_types);

/* Mostly small, sometimes extreme. */
static uint64_t any64(struct prng *r)
{
	switch (prng_below(r, 5)) {
	case 0:
		return 0;
	case 1:
		return UINT64_MAX;
	case 2:
		return prng_below(r, 1000);
	default:
		return prng_u64(r);
	}
}

static uint32_t any32(struct prng *r)
{
	return (uint32_t)any64(r);
}

static uint32_t any_bytes(struct prng *r, uint32_t max_bytes)
{
	if (prng_chance(r, 1, 8))
		return max_bytes / SECTOR_BYTES * SECTOR_BYTES;
	return (uint32_t)prng_range(r, 1, max_bytes / SECTOR_BYTES) * SECTOR_BYTES;
}

/* A sector whose range may just reach the last byte below 2^63. */
static uint64_t any_sector(struct prng *r, uint32_t bytes)
{
	uint64_t last = (uint64_t)INT64_MAX / SECTOR_BYTES - bytes / SECTOR_BYTES;

	switch (prng_below(r, 4)) {
	case 0:
		return 0;
	case 1:
		return last;
	default:
		return prng_below(r, last + 1);
	}
}

static void any_name(struct prng *r, char name[ALG_NAME_MAX])
{
	uint64_t n = prng_below(r, ALG_NAME_MAX);

	for (uint64_t i = 0; i < n; i++)
		name[i] = (char)prng_range(r, 1, 255);
}

static void fill_var(struct sample *s, struct prng *r, uint32_t bytes)
{
	prng_bytes(r, s->var, bytes);
	s->pkt.var = bytes ? s->var : NULL;
	s->pkt.var_bytes = bytes;
}

static void fill_uuids(struct sample *s, struct prng *r)
{
	struct pkt_uuids *u = &s->uuids;

	u->current = any64(r);
	u->dirty_bits = any64(r);
	u->flags = any64(r);
	u->node_mask = any64(r);
	u->bitmap_mask = any32(r);
	for (unsigned i = 0; i < NODES_MAX; i++)
		u->bitmap[i] = u->bitmap_mask >> i & 1 ? any64(r) : UUID_UNKNOWN;
	for (unsigned i = 0; i < HISTORY_UUIDS; i++)
		u->history[i] = any64(r);
	s->pkt.u.uuids = u;
}

static void fill_twopc(struct pkt_twopc *t, struct prng *r, const struct wire_ctx *ctx,
		       unsigned type)
{
	bool has_v2 = ctx->features & FEATURE_TWOPC_V2;

	t->tid = (uint32_t)prng_range(r, 1, UINT32_MAX);
	t->initiator = (int8_t)prng_below(r, NODES_MAX);
	t->target = (int8_t)((int)prng_below(r, NODES_MAX + 1) - 1);
	t->nodes_to_reach = any64(r);
	if (has_v2)
		t->flags = any32(r) | TWOPC_FLAG_V2;
	if (type == P_TWOPC_PREP_RSZ) {
		t->user_sectors = any_sector(r, SECTOR_BYTES);
		t->dds_flags = (uint16_t)any32(r);
		return;
	}
	t->primary_nodes = any64(r);
	if (type != P_TWOPC_PREPARE && t->flags & TWOPC_FLAG_HAS_REACHABLE) {
		t->reachable_nodes = any64(r);
		return;
	}
	t->mask = any32(r);
	t->val = any32(r);
	if (type != P_TWOPC_PREPARE)
		t->exposed_sectors = (uint64_t)t->mask << 32 | t->val;
}

static void fill_sizes(struct pkt_sizes *f, struct prng *r, const struct wire_ctx *ctx)
{
	f->d_sectors = any_sector(r, 0);
	f->u_sectors = any_sector(r, 0);
	f->c_sectors = any_sector(r, 0);
	f->max_bio_bytes = any32(r);
	f->queue_order_type = (uint16_t)any32(r);
	f->dds_flags = (uint16_t)any32(r);
	if (!(ctx->features & FEATURE_WSAME))
		return;
	f->physical_block_bytes = any32(r);
	f->logical_block_bytes = any32(r);
	f->alignment_offset = any32(r);
	f->io_min = any32(r);
	f->io_opt = any32(r);
	f->discard_enabled = (uint8_t)any32(r);
	f->discard_zeroes_data = (uint8_t)any32(r);
	f->write_same_capable = (uint8_t)any32(r);
	f->bm_block_shift_minus_12 = (uint8_t)prng_below(r, 9);
}

/* Everything of struct pkt_block but the sector and size. */
static void fill_block(struct pkt_block *b, struct prng *r, uint32_t bytes)
{
	b->bytes = bytes;
	b->sector = any_sector(r, bytes);
	b->block_id = any64(r);
}

static bool fill_range_packet(struct sample *s, struct prng *r, const struct wire_ctx *ctx,
			      unsigned type)
{
	struct pkt_block *b = &s->pkt.u.block;

	switch (type) {
	case P_DATA:
	case P_DATA_REPLY:
	case P_RS_DATA_REPLY:
		fill_block(b, r, any_bytes(r, BIO_MAX_BYTES));
		s->pkt.payload.bytes = b->bytes;
		b->seq = any32(r);
		b->dp_flags = any32(r);
		fill_var(s, r, ctx->integrity_bytes);
		return true;
	case P_TRIM:
	case P_ZEROES:
		fill_block(b, r,
			   any_bytes(r, ctx->features & FEATURE_WSAME ? DISCARD_MAX_BYTES :
									4U << 20));
		b->seq = any32(r);
		b->dp_flags = any32(r);
		return true;
	case P_OUT_OF_SYNC:
	case P_RS_DEALLOCATED:
		fill_block(b, r,
			   any_bytes(r, type == P_OUT_OF_SYNC ? UINT32_MAX : BIO_MAX_BYTES));
		b->block_id = 0;
		return true;
	case P_OV_REPLY:
	case P_CSUM_RS_REQUEST:
	case P_DATA_REQUEST:
	case P_RS_DATA_REQUEST:
	case P_RS_THIN_REQ:
	case P_OV_REQUEST:
		fill_block(b, r, any_bytes(r, BIO_MAX_BYTES));
		if (type == P_OV_REPLY || type == P_CSUM_RS_REQUEST)
			fill_var(s, r, (uint32_t)prng_range(r, 1, 64));
		return true;
	case P_OV_DAGTAG_REPLY:
	case P_RS_CSUM_DAGTAG_REQ:
	case P_RS_DAGTAG_REQ:
	case P_RS_THIN_DAGTAG_REQ:
	case P_OV_DAGTAG_REQ:
		fill_block(b, r, any_bytes(r, BIO_MAX_BYTES));
		b->dagtag = any64(r);
		b->dagtag_node = (uint32_t)prng_below(r, NODES_MAX);
		if (type == P_OV_DAGTAG_REPLY || type == P_RS_CSUM_DAGTAG_REQ)
			fill_var(s, r, (uint32_t)prng_range(r, 1, 64));
		return true;
	case P_OV_RESULT_ID:
		b->ov_result = (uint32_t)prng_below(r, 3);
		/* fall through */
	case P_RECV_ACK:
	case P_WRITE_ACK:
	case P_RS_WRITE_ACK:
	case P_SUPERSEDED:
	case P_NEG_ACK:
	case P_NEG_DREPLY:
	case P_NEG_RS_DREPLY:
	case P_OV_RESULT:
	case P_RS_IS_IN_SYNC:
	case P_RS_CANCEL:
	case P_RETRY_WRITE:
	case P_RS_CANCEL_AHEAD:
	case P_WRITE_ACK_IN_SYNC:
	case P_RS_NEG_ACK:
	case P_RS_DEALLOCATED_ID:
		fill_block(b, r, any_bytes(r, DISCARD_MAX_BYTES));
		b->seq = any32(r);
		return true;
	default:
		return false;
	}
}

static void fill_setup_packet(struct sample *s, struct prng *r, const struct wire_ctx *ctx,
			      unsigned type)
{
	struct pkt *p = &s->pkt;

	switch (type) {
	case P_CONNECTION_FEATURES:
		p->u.features.protocol_min = any32(r);
		p->u.features.protocol_max = any32(r);
		p->u.features.features = any32(r);
		p->u.features.sender_node_id = (uint32_t)prng_below(r, NODES_MAX);
		p->u.features.receiver_node_id = (uint32_t)prng_below(r, NODES_MAX);
		return;
	case P_AUTH_CHALLENGE:
	case P_AUTH_RESPONSE:
		p->u.auth.bytes = type == P_AUTH_CHALLENGE ? 64 : (uint32_t)prng_range(r, 1, 64);
		prng_bytes(r, p->u.auth.data, p->u.auth.bytes);
		return;
	case P_PROTOCOL:
	case P_PROTOCOL_UPDATE:
		p->u.protocol.protocol = any32(r);
		p->u.protocol.after_sb_0p = any32(r);
		p->u.protocol.after_sb_1p = any32(r);
		p->u.protocol.after_sb_2p = any32(r);
		p->u.protocol.conn_flags = any32(r);
		p->u.protocol.two_primaries = any32(r);
		any_name(r, p->u.protocol.integrity_alg);
		return;
	case P_SYNC_PARAM89:
		p->u.sync_param.resync_rate = any32(r);
		any_name(r, p->u.sync_param.verify_alg);
		any_name(r, p->u.sync_param.csums_alg);
		p->u.sync_param.c_plan_ahead = any32(r);
		p->u.sync_param.c_delay_target = any32(r);
		p->u.sync_param.c_fill_target = any32(r);
		p->u.sync_param.c_max_rate = any32(r);
		return;
	case P_SIZES:
		fill_sizes(&p->u.sizes, r, ctx);
		return;
	case P_UUIDS110:
		fill_uuids(s, r);
		return;
	case P_CURRENT_UUID:
		p->u.current_uuid.uuid = any64(r);
		p->u.current_uuid.weak_nodes = any64(r);
		return;
	case P_STATE:
		p->u.state = any32(r);
		return;
	case P_UUIDS:
		p->u.uuids_8 = (struct pkt_uuids_8){ any64(r), any64(r),
						     { any64(r), any64(r) }, any64(r), any64(r) };
		return;
	case P_SYNC_UUID:
		p->u.sync_uuid = any64(r);
		return;
	case P_STATE_CHG_REQ:
	case P_CONN_ST_CHG_REQ:
		p->u.change = (struct pkt_change){ any32(r), any32(r) };
		return;
	case P_STATE_CHG_REPLY:
	case P_CONN_ST_CHG_REPLY:
		p->u.change_result = (int32_t)any32(r);
		return;
	case P_TWOPC_YES:
	case P_TWOPC_NO:
	case P_TWOPC_RETRY:
		p->u.twopc_reply.tid = (uint32_t)prng_range(r, 1, UINT32_MAX);
		p->u.twopc_reply.initiator = (int32_t)prng_below(r, NODES_MAX);
		p->u.twopc_reply.reachable_nodes = any64(r);
		p->u.twopc_reply.primary_nodes = any64(r);
		p->u.twopc_reply.weak_nodes = any64(r);
		return;
	default: /* P_TWOPC_PREPARE, PREP_RSZ, COMMIT, ABORT */
		fill_twopc(&p->u.twopc, r, ctx, type);
		return;
	}
}

static bool fill_small_packet(struct sample *s, struct prng *r, unsigned type)
{
	struct pkt *p = &s->pkt;

	switch (type) {
	case P_UNPLUG_REMOTE:
	case P_PING:
	case P_PING_ACK:
	case P_DISCONNECT:
	case P_DELAY_PROBE:
		return true;
	case P_BITMAP:
		fill_var(s, r, 8 * (uint32_t)prng_below(r, 511));
		return true;
	case P_COMPRESSED_BITMAP:
		p->u.bitmap_encoding = (uint8_t)(any32(r) << 4 | 2);
		fill_var(s, r, (uint32_t)prng_range(r, 1, 4079));
		return true;
	case P_BARRIER_ACK:
		p->u.barrier.set_size = any32(r);
		/* fall through */
	case P_BARRIER:
		p->u.barrier.number = any32(r);
		return true;
	case P_PEER_ACK:
		p->u.dagtag.mask = any64(r);
		p->u.dagtag.dagtag = any64(r);
		return true;
	case P_PEER_DAGTAG:
		p->u.dagtag.node_id = (uint32_t)prng_below(r, NODES_MAX);
		/* fall through */
	case P_DAGTAG:
		p->u.dagtag.dagtag = any64(r);
		return true;
	case P_PEERS_IN_SYNC:
		p->u.in_sync.bytes = any_bytes(r, UINT32_MAX);
		p->u.in_sync.sector = any_sector(r, p->u.in_sync.bytes);
		p->u.in_sync.mask = any64(r);
		return true;
	case P_CONFIRM_STABLE:
		p->u.confirm.oldest_block_id = any64(r);
		p->u.confirm.youngest_block_id = any64(r);
		p->u.confirm.set_size = any32(r);
		return true;
	case P_FLUSH_FORWARD:
	case P_FLUSH_REQUESTS_ACK:
		p->u.flush.node_id = (uint32_t)prng_below(r, NODES_MAX);
		/* fall through */
	case P_FLUSH_REQUESTS:
		p->u.flush.sequence = any64(r);
		return true;
	case P_ENABLE_REPLICATION_NEXT:
	case P_ENABLE_REPLICATION:
		p->u.enable_replication = (uint8_t)prng_below(r, 2);
		return true;
	default:
		return false;
	}
}

static bool is_connection_wide(unsigned type)
{
	switch (type) {
	case P_BARRIER:
	case P_BARRIER_ACK:
	case P_PROTOCOL:
	case P_PROTOCOL_UPDATE:
	case P_AUTH_CHALLENGE:
	case P_AUTH_RESPONSE:
	case P_PING:
	case P_PING_ACK:
	case P_DAGTAG:
	case P_PEER_ACK:
	case P_PEER_DAGTAG:
	case P_CONFIRM_STABLE:
	case P_DISCONNECT:
	case P_FLUSH_REQUESTS:
	case P_FLUSH_FORWARD:
	case P_FLUSH_REQUESTS_ACK:
	case P_CONNECTION_FEATURES:
	case P_UNPLUG_REMOTE:
	case P_CONN_ST_CHG_REQ:
	case P_CONN_ST_CHG_REPLY:
		return true;
	default:
		return false;
	}
}

/* Either, as the change they are about. */
static bool is_any_vnr(unsigned type)
{
	return type == P_STATE || (type >= P_TWOPC_PREPARE && type <= P_TWOPC_ABORT) ||
	       (type >= P_TWOPC_YES && type <= P_TWOPC_RETRY);
}

bool sample_is_of_8_4(unsigned type)
{
	return type == P_UUIDS || type == P_SYNC_UUID || type == P_STATE_CHG_REQ ||
	       type == P_STATE_CHG_REPLY || type == P_CONN_ST_CHG_REQ ||
	       type == P_CONN_ST_CHG_REPLY;
}

void sample_packet(struct sample *s, struct prng *r, const struct wire_ctx *ctx, unsigned type)
{
	memset(s, 0, sizeof(*s));
	s->pkt.type = (uint16_t)type;
	s->pkt.vnr = (uint16_t)prng_below(r, VNR_MAX + 1);
	if (is_connection_wide(type) || (is_any_vnr(type) && prng_chance(r, 1, 2)))
		s->pkt.vnr = VNR_NONE;
	if (!fill_range_packet(s, r, ctx, type) && !fill_small_packet(s, r, type))
		fill_setup_packet(s, r, ctx, type);
}

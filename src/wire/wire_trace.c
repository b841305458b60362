/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One line of text per packet for the trace. */
#include <string.h>

#include "wire/wire_int.h"

/* Role, peer, connection and both disks; flags are above. */
#define SW_LOW_BITS 17
#define SW_LOW_MASK ((1U << SW_LOW_BITS) - 1)

/* Bounded text; what does not fit is dropped, the NUL always fits. */
struct line {
	char *p;
	size_t room;
	size_t used;
};

static void put_char(struct line *l, char c)
{
	if (l->used < l->room)
		l->p[l->used++] = c;
}

static void put_text(struct line *l, const char *s)
{
	while (*s)
		put_char(l, *s++);
}

static void put_number(struct line *l, uint64_t v, unsigned base, unsigned digits_min)
{
	char digits[20];
	unsigned n = 0;

	do {
		digits[n++] = "0123456789abcdef"[v % base];
		v /= base;
	} while (v || n < digits_min);
	while (n)
		put_char(l, digits[--n]);
}

static void put_dec(struct line *l, const char *label, uint64_t v)
{
	put_text(l, label);
	put_number(l, v, 10, 1);
}

static void put_signed(struct line *l, const char *label, int v)
{
	put_text(l, label);
	if (v < 0)
		put_char(l, '-');
	put_number(l, (uint64_t)(v < 0 ? -(int64_t)v : v), 10, 1);
}

static void put_hex(struct line *l, const char *label, uint64_t v)
{
	put_text(l, label);
	put_number(l, v, 16, 1);
}

static void put_hex32(struct line *l, const char *label, uint32_t v)
{
	put_text(l, label);
	put_number(l, v, 16, 8);
}

static void put_hex64(struct line *l, const char *label, uint64_t v)
{
	put_text(l, label);
	put_number(l, v, 16, 16);
}

/* A name from the peer: nothing in it may reach a terminal. */
static void put_name(struct line *l, const char *label, const char name[ALG_NAME_MAX])
{
	put_text(l, label);
	for (unsigned i = 0; i < ALG_NAME_MAX && name[i]; i++)
		put_char(l, name[i] > ' ' && name[i] <= '~' ? name[i] : '?');
}

/* Between fields, but not after an opening bracket. */
static void put_gap(struct line *l)
{
	if (l->used && l->p[l->used - 1] != '[')
		put_char(l, ' ');
}

static void put_conn(struct line *l, uint32_t conn)
{
	put_gap(l);
	put_dec(l, "conn=", conn);
	put_char(l, '(');
	put_text(l, conn < REPL_OFF ? conn_state_name((enum conn_state)conn) :
				      repl_state_name((enum repl_state)conn));
	put_char(l, ')');
}

static void put_state_field(struct line *l, const char *label, uint32_t v)
{
	put_gap(l);
	put_dec(l, label, v);
}

/* The fields of a state word that `mask` selects. */
static void put_state(struct line *l, uint32_t v, uint32_t mask)
{
	if (mask & SW_ROLE_MASK)
		put_state_field(l, "role=", v & SW_ROLE_MASK);
	if (mask & SW_PEER_MASK)
		put_state_field(l, "peer=", (v & SW_PEER_MASK) >> SW_PEER_SHIFT);
	if (mask & SW_CONN_MASK)
		put_conn(l, (v & SW_CONN_MASK) >> SW_CONN_SHIFT);
	if (mask & SW_DISK_MASK)
		put_state_field(l, "disk=", (v & SW_DISK_MASK) >> SW_DISK_SHIFT);
	if (mask & SW_PDSK_MASK)
		put_state_field(l, "pdsk=", (v & SW_PDSK_MASK) >> SW_PDSK_SHIFT);
	if (mask & ~SW_LOW_MASK) {
		put_gap(l);
		put_hex(l, "bits17+=0x", v >> SW_LOW_BITS);
	}
}

static void put_block(struct line *l, const struct wire_rule *rule, const struct pkt *pkt)
{
	const struct pkt_block *f = &pkt->u.block;

	put_dec(l, " sector=", f->sector);
	if (rule->layout != LAYOUT_TRIM && rule->layout != LAYOUT_RANGE)
		put_hex64(l, " id=", f->block_id);
	switch (rule->layout) {
	case LAYOUT_DATA:
	case LAYOUT_TRIM:
		put_dec(l, " seq=", f->seq);
		put_hex(l, " dpf=0x", f->dp_flags);
		if (rule->layout == LAYOUT_DATA)
			put_dec(l, " data=", (uint64_t)pkt->payload.bytes + pkt->var_bytes);
		else
			put_dec(l, " size=", f->bytes);
		return;
	case LAYOUT_ACK:
	case LAYOUT_VERIFY_RESULT:
		put_dec(l, " size=", f->bytes);
		put_dec(l, " seq=", f->seq);
		if (rule->layout == LAYOUT_VERIFY_RESULT)
			put_dec(l, " result=", f->ov_result);
		return;
	case LAYOUT_DAGTAG_REQUEST:
		put_dec(l, " size=", f->bytes);
		put_dec(l, " dagtag=", f->dagtag);
		put_dec(l, "@node", f->dagtag_node);
		put_dec(l, " extra=", pkt->var_bytes);
		return;
	case LAYOUT_REQUEST:
		put_dec(l, " size=", f->bytes);
		put_dec(l, " extra=", pkt->var_bytes);
		return;
	default: /* LAYOUT_RANGE */
		put_dec(l, " size=", f->bytes);
		return;
	}
}

static void put_uuids(struct line *l, const struct pkt_uuids *f)
{
	unsigned history = 0;
	const char *label = " bitmap_uuids=[";

	put_hex64(l, " cur=", f->current);
	put_dec(l, " dirty=", f->dirty_bits);
	put_hex(l, " flags=0x", f->flags);
	put_hex(l, " node_mask=", f->node_mask);
	put_hex(l, " bm_mask=", f->bitmap_mask);
	for (unsigned i = 0; i < NODES_MAX; i++) {
		if (!(f->bitmap_mask >> i & 1))
			continue;
		put_hex64(l, label, f->bitmap[i]);
		label = ",";
	}
	put_text(l, *label == ',' ? "]" : " bitmap_uuids=[]");
	for (unsigned i = 0; i < HISTORY_UUIDS; i++)
		history += f->history[i] != 0;
	put_dec(l, " history=", history);
}

static void put_twopc(struct line *l, unsigned type, const struct pkt_twopc *f)
{
	put_hex32(l, " tid=", f->tid);
	if (f->flags & TWOPC_FLAG_V2)
		put_hex(l, " flags=0x", f->flags);
	put_signed(l, " init=", f->initiator);
	put_signed(l, " tgt=", f->target);
	put_hex64(l, " reach=", f->nodes_to_reach);
	if (type == P_TWOPC_PREPARE) {
		put_hex(l, " mask=0x", f->mask);
		put_hex(l, " val=0x", f->val);
		put_text(l, " [");
		put_state(l, f->val, f->mask);
		put_char(l, ']');
		return;
	}
	if (type == P_TWOPC_PREP_RSZ) {
		put_hex64(l, " A=", f->user_sectors);
		put_hex64(l, " B=", (uint64_t)f->dds_flags << 48);
		return;
	}
	put_hex64(l, " A=", f->primary_nodes);
	if (f->flags & TWOPC_FLAG_HAS_REACHABLE)
		put_hex64(l, " B=", f->reachable_nodes);
	else if (f->exposed_sectors)
		put_hex64(l, " B=", f->exposed_sectors);
	else
		put_hex64(l, " B=", (uint64_t)f->mask << 32 | f->val);
}

static void put_uuids_8(struct line *l, const struct pkt_uuids_8 *f)
{
	put_hex64(l, " cur=", f->current);
	put_hex64(l, " bm=", f->bitmap);
	put_hex64(l, " h0=", f->history[0]);
	put_hex64(l, " h1=", f->history[1]);
	put_dec(l, " dirty=", f->dirty_bits);
	put_hex(l, " flags=0x", f->flags);
}

static void put_change(struct line *l, const struct pkt_change *f)
{
	put_hex(l, " mask=0x", f->mask);
	put_hex(l, " val=0x", f->val);
	put_text(l, " [");
	put_state(l, f->val, f->mask);
	put_char(l, ']');
}

static void put_twopc_reply(struct line *l, const struct pkt_twopc_reply *f)
{
	put_hex32(l, " tid=", f->tid);
	put_signed(l, " init=", f->initiator);
	put_hex(l, " reachable=", f->reachable_nodes);
	put_hex(l, " primary=", f->primary_nodes);
	put_hex(l, " weak=", f->weak_nodes);
}

static void put_sizes(struct line *l, const struct pkt_sizes *f)
{
	put_dec(l, " d=", f->d_sectors);
	put_dec(l, " u=", f->u_sectors);
	put_dec(l, " c=", f->c_sectors);
	put_dec(l, " max_bio=", f->max_bio_bytes);
	put_dec(l, " qo=", f->queue_order_type);
	put_dec(l, " dds=", f->dds_flags);
	put_dec(l, " qlim phys=", f->physical_block_bytes);
	put_dec(l, " log=", f->logical_block_bytes);
	put_dec(l, " align=", f->alignment_offset);
	put_dec(l, " iomin=", f->io_min);
	put_dec(l, " ioopt=", f->io_opt);
	put_dec(l, " disc=", f->discard_enabled);
	put_dec(l, " dz=", f->discard_zeroes_data);
	put_dec(l, " ws=", f->write_same_capable);
	put_dec(l, " bmshift=", f->bm_block_shift_minus_12);
}

static void put_protocol(struct line *l, const struct pkt_protocol *f)
{
	put_dec(l, " prot=", f->protocol);
	put_dec(l, " sb=", f->after_sb_0p);
	put_dec(l, "/", f->after_sb_1p);
	put_dec(l, "/", f->after_sb_2p);
	put_dec(l, " cf=", f->conn_flags);
	put_dec(l, " 2pri=", f->two_primaries);
	put_name(l, " alg=", f->integrity_alg);
}

static void put_features(struct line *l, const struct pkt_features *f)
{
	put_dec(l, " min=", f->protocol_min);
	put_hex(l, " feat=0x", f->features);
	put_dec(l, " max=", f->protocol_max);
	put_dec(l, " sender=", f->sender_node_id);
	put_dec(l, " receiver=", f->receiver_node_id);
}

static void put_in_sync(struct line *l, const struct pkt_in_sync *f)
{
	put_dec(l, " sector=", f->sector);
	put_hex(l, " mask=", f->mask);
	put_dec(l, " size=", f->bytes);
}

static void put_confirm(struct line *l, const struct pkt_confirm *f)
{
	put_hex64(l, " oldest=", f->oldest_block_id);
	put_hex64(l, " youngest=", f->youngest_block_id);
	put_dec(l, " n=", f->set_size);
}

/* Packets with at most three fields. */
static void put_small(struct line *l, const struct wire_rule *rule, const struct pkt *pkt)
{
	switch (rule->layout) {
	case LAYOUT_BARRIER:
	case LAYOUT_BARRIER_ACK:
		put_hex32(l, " barrier=", pkt->u.barrier.number);
		if (rule->layout == LAYOUT_BARRIER_ACK)
			put_dec(l, " n=", pkt->u.barrier.set_size);
		return;
	case LAYOUT_PEER_ACK:
		put_hex(l, " mask=", pkt->u.dagtag.mask);
		put_dec(l, " dagtag=", pkt->u.dagtag.dagtag);
		return;
	case LAYOUT_DAGTAG:
	case LAYOUT_PEER_DAGTAG:
		put_dec(l, " dagtag=", pkt->u.dagtag.dagtag);
		if (rule->layout == LAYOUT_PEER_DAGTAG)
			put_dec(l, " node=", pkt->u.dagtag.node_id);
		return;
	case LAYOUT_FLUSH:
	case LAYOUT_FLUSH_NODE:
		put_dec(l, " flush_seq=", pkt->u.flush.sequence);
		if (rule->layout == LAYOUT_FLUSH_NODE)
			put_dec(l, " node=", pkt->u.flush.node_id);
		return;
	case LAYOUT_CURRENT_UUID:
		put_hex64(l, " uuid=", pkt->u.current_uuid.uuid);
		put_hex64(l, " weak=", pkt->u.current_uuid.weak_nodes);
		return;
	case LAYOUT_SYNC_PARAM:
		put_dec(l, " rate=", pkt->u.sync_param.resync_rate);
		put_name(l, " verify=", pkt->u.sync_param.verify_alg);
		put_name(l, " csums=", pkt->u.sync_param.csums_alg);
		return;
	case LAYOUT_SYNC_UUID:
		put_hex64(l, " uuid=", pkt->u.sync_uuid);
		return;
	case LAYOUT_CHANGE_REPLY:
		put_signed(l, " ret=", pkt->u.change_result);
		return;
	case LAYOUT_ENABLE:
		put_dec(l, " enable=", pkt->u.enable_replication);
		return;
	case LAYOUT_BITMAP:
		put_dec(l, " len=", pkt->var_bytes);
		return;
	case LAYOUT_COMPRESSED_BITMAP:
		put_text(l, " enc=0x");
		put_number(l, pkt->u.bitmap_encoding, 16, 2);
		put_dec(l, " len=", pkt->var_bytes);
		return;
	default: /* without fields, or secret: P_AUTH_* */
		return;
	}
}

static void put_fields(struct line *l, const struct wire_rule *rule, const struct pkt *pkt)
{
	if (wire_is_block(rule)) {
		put_block(l, rule, pkt);
		return;
	}
	switch ((enum wire_layout)rule->layout) {
	case LAYOUT_FEATURES:
		put_features(l, &pkt->u.features);
		return;
	case LAYOUT_PROTOCOL:
		put_protocol(l, &pkt->u.protocol);
		return;
	case LAYOUT_SIZES:
		put_sizes(l, &pkt->u.sizes);
		return;
	case LAYOUT_UUIDS:
		put_uuids(l, pkt->u.uuids);
		return;
	case LAYOUT_UUIDS_8:
		put_uuids_8(l, &pkt->u.uuids_8);
		return;
	case LAYOUT_CHANGE:
		put_change(l, &pkt->u.change);
		return;
	case LAYOUT_STATE:
		put_state(l, pkt->u.state, UINT32_MAX);
		return;
	case LAYOUT_TWOPC:
		put_twopc(l, pkt->type, &pkt->u.twopc);
		return;
	case LAYOUT_TWOPC_REPLY:
		put_twopc_reply(l, &pkt->u.twopc_reply);
		return;
	case LAYOUT_IN_SYNC:
		put_in_sync(l, &pkt->u.in_sync);
		return;
	case LAYOUT_CONFIRM:
		put_confirm(l, &pkt->u.confirm);
		return;
	default:
		put_small(l, rule, pkt);
		return;
	}
}

int wire_format(const struct pkt *pkt, char *buf, size_t n)
{
	const struct wire_rule *rule = wire_rule(pkt->type);
	const char *name = packet_name(pkt->type);
	struct line l = { .p = buf, .room = n ? n - 1 : 0 };

	if (pkt->vnr == VNR_NONE)
		put_text(&l, "vol=-");
	else
		put_dec(&l, "vol=", pkt->vnr);
	put_char(&l, ' ');
	if (!name)
		put_hex(&l, "0x", pkt->type);
	else
		put_text(&l, name[0] == 'P' && name[1] == '_' ? name + 2 : name);
	if (rule)
		put_fields(&l, rule, pkt);
	if (n)
		buf[l.used] = '\0';
	return (int)l.used;
}

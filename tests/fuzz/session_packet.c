/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a scripted peer says when it is connected: answers, and packets that an input asks for. */
#include <string.h>

#include "base/assert.h"
#include "session.h"
#include "session_input.h"

#define SECTOR_STEP 8U
#define EDGE_FIRST 224U
#define BLOCKS_MAX 8U

static const struct seen *seen_of(const struct script *sc, unsigned choice)
{
	unsigned n = sc->seen_count < SEEN_MAX ? sc->seen_count : SEEN_MAX;

	return n ? &sc->seen[choice % n] : NULL;
}

static void remember(struct script *sc, const struct pkt *pkt)
{
	struct seen *seen = &sc->seen[sc->seen_count++ % SEEN_MAX];

	seen->type = pkt->type;
	seen->block = pkt->u.block;
	if (pkt->payload.bytes)
		seen->block.bytes = pkt->payload.bytes;
}

/* ---- answers ---- */

static const uint8_t some_digest[WIRE_DIGEST_MAX_BYTES];

static void send_ack(struct session *s, struct script *sc, enum packet type, const struct pkt *got)
{
	struct pkt pkt = { .type = (uint16_t)type, .vnr = got->vnr };

	pkt.u.block = got->u.block;
	if (got->payload.bytes)
		pkt.u.block.bytes = got->payload.bytes;
	script_send(s, sc, STREAM_CONTROL, &pkt);
}

static void send_block(struct session *s, struct script *sc, enum packet type,
		       const struct pkt *asked)
{
	struct pkt pkt = { .type = (uint16_t)type, .vnr = asked->vnr };

	pkt.u.block = asked->u.block;
	pkt.payload.bytes = asked->u.block.bytes;
	script_send(s, sc, STREAM_DATA, &pkt);
}

/* Of data that are all zeroes but for what was written, so that some differ. */
static void send_digest(struct session *s, struct script *sc, enum packet type,
			const struct pkt *asked)
{
	struct pkt pkt = { .type = (uint16_t)type, .vnr = asked->vnr };

	pkt.u.block = asked->u.block;
	pkt.var = some_digest;
	pkt.var_bytes = 4;
	script_send(s, sc, STREAM_DATA, &pkt);
}

static void rx_write(struct session *s, struct script *sc, const struct pkt *got)
{
	sc->epoch_writes++;
	if (got->u.block.dp_flags & DP_SEND_WRITE_ACK)
		send_ack(s, sc, P_WRITE_ACK, got);
	else if (got->u.block.dp_flags & DP_SEND_RECEIVE_ACK)
		send_ack(s, sc, P_RECV_ACK, got);
}

static void rx_barrier(struct session *s, struct script *sc, const struct pkt *got)
{
	struct pkt pkt = { .type = P_BARRIER_ACK, .vnr = VNR_NONE };

	pkt.u.barrier = got->u.barrier;
	pkt.u.barrier.set_size = sc->epoch_writes;
	sc->barrier = pkt.u.barrier;
	sc->epoch_writes = 0;
	script_send(s, sc, STREAM_CONTROL, &pkt);
}

/* Our node begins a resync: so do we; and it has a new disk: it wants to know what ours is. */
static void rx_state(struct session *s, struct script *sc, const struct pkt *got)
{
	struct pkt pkt = { .type = P_STATE };
	unsigned conn = (got->u.state & SW_CONN_MASK) >> SW_CONN_SHIFT;
	unsigned disk = (got->u.state & SW_DISK_MASK) >> SW_DISK_SHIFT;

	if (sc->phase == SCRIPT_CONNECTED &&
	    disk == DISK_NEGOTIATING - (sc->ctx.apv == APV_8_4)) {
		pkt.u.state = script_state_word(s, sc, sc->repl);
		script_send(s, sc, STREAM_DATA, &pkt);
		return;
	}
	if (sc->phase != SCRIPT_CONNECTED || sc->mirrored ||
	    (conn != REPL_WF_BITMAP_S && conn != REPL_WF_BITMAP_T))
		return;
	sc->mirrored = true;
	sc->repl = conn == REPL_WF_BITMAP_S ? REPL_WF_BITMAP_T : REPL_WF_BITMAP_S;
	pkt.u.state = script_state_word(s, sc, sc->repl);
	script_send(s, sc, STREAM_DATA, &pkt);
	if (!s->conf.bitmap_later)
		script_send_bitmap(s, sc, s->conf.bitmap_plain ? 0 : UINT64_C(0xff00ff));
}

void script_rx(struct session *s, struct script *sc, enum stream stream, const struct pkt *got)
{
	struct pkt pkt = { .type = P_PING_ACK, .vnr = VNR_NONE };

	(void)stream;
	if (sc->silent && !sc->healthy) {
		remember(sc, got);
		return;
	}
	switch (got->type) {
	case P_CONNECTION_FEATURES:
		script_rx_features(s, sc, &got->u.features);
		return;
	case P_AUTH_CHALLENGE:
	case P_AUTH_RESPONSE:
		script_rx_auth(s, sc, got);
		return;
	case P_PROTOCOL:
		script_rx_protocol(s, sc);
		return;
	case P_TWOPC_PREPARE:
	case P_TWOPC_COMMIT:
	case P_TWOPC_ABORT:
		if (got->type != P_TWOPC_ABORT)
			script_rx_twopc(s, sc, got);
		return;
	case P_TWOPC_YES:
	case P_TWOPC_NO:
	case P_TWOPC_RETRY:
		script_rx_twopc(s, sc, got);
		return;
	case P_STATE:
		if (sc->ctx.apv == APV_8_4)
			sc->phase = SCRIPT_CONNECTED;
		rx_state(s, sc, got);
		return;
	case P_PING:
		script_send(s, sc, STREAM_CONTROL, &pkt);
		return;
	case P_STATE_CHG_REQ:
	case P_CONN_ST_CHG_REQ:
		pkt.type = got->type == P_STATE_CHG_REQ ? P_STATE_CHG_REPLY : P_CONN_ST_CHG_REPLY;
		pkt.vnr = got->vnr;
		pkt.u.change_result = SS_SUCCESS;
		script_send(s, sc, STREAM_CONTROL, &pkt);
		return;
	case P_BARRIER:
		rx_barrier(s, sc, got);
		return;
	case P_DATA:
	case P_TRIM:
	case P_ZEROES:
		remember(sc, got);
		rx_write(s, sc, got);
		return;
	case P_DATA_REQUEST:
		remember(sc, got);
		send_block(s, sc, P_DATA_REPLY, got);
		return;
	case P_RS_DATA_REQUEST:
	case P_RS_DAGTAG_REQ:
		remember(sc, got);
		send_block(s, sc, P_RS_DATA_REPLY, got);
		return;
	case P_OV_REQUEST:
	case P_OV_DAGTAG_REQ:
		remember(sc, got);
		send_digest(s, sc, got->type == P_OV_REQUEST ? P_OV_REPLY : P_OV_DAGTAG_REPLY, got);
		return;
	case P_OV_REPLY:
	case P_OV_DAGTAG_REPLY:
		remember(sc, got);
		send_ack(s, sc, sc->ctx.apv >= 122 ? P_OV_RESULT_ID : P_OV_RESULT, got);
		return;
	case P_CSUM_RS_REQUEST:
	case P_RS_CSUM_DAGTAG_REQ:
		remember(sc, got);
		send_ack(s, sc, P_RS_IS_IN_SYNC, got);
		return;
	case P_RS_DATA_REPLY:
		remember(sc, got);
		send_ack(s, sc, P_RS_WRITE_ACK, got);
		return;
	default:
		return;
	}
}

/* ---- packets that an input asks for ---- */

static uint64_t uuid_of(const struct session *s, const struct script *sc, unsigned choice)
{
	switch (choice % 8) {
	case 0:
		return sc->current_uuid;
	case 1:
		return node_uuid(s);
	case 2:
		return SESSION_UUID_BASE;
	case 3:
		return SESSION_UUID_PEER;
	case 4:
		return UUID_JUST_CREATED;
	case 5:
		return 0;
	case 6:
		return node_uuid(s) | UUID_PRIMARY;
	default:
		return UINT64_C(0x4444444444444440) + 16 * (choice / 8);
	}
}

/* Most at the beginning, some on both sides of the end, one far beyond every device. */
static uint64_t sector_of(uint8_t choice)
{
	if (choice == UINT8_MAX)
		return UINT64_C(1) << 52;
	if (choice >= CHOICE_BORDERS && choice < EDGE_FIRST)
		return disk_edge(choice);
	if (choice >= EDGE_FIRST)
		return disk_sectors() + (uint64_t)choice * SECTOR_STEP - CHOICE_END * SECTOR_STEP;
	return (uint64_t)choice * SECTOR_STEP;
}

/* A range of its own, or what an earlier packet of ours had. */
static void choose_block(const struct script *sc, const struct packet_choice *ch, struct pkt *pkt)
{
	const struct seen *seen = seen_of(sc, ch->c);
	struct pkt_block *b = &pkt->u.block;

	if (seen && ch->c < CHOICE_OWN_RANGE) {
		*b = seen->block;
	} else {
		b->sector = sector_of(ch->a);
		b->block_id = ch->c;
		b->bytes = ch->b == UINT8_MAX ? SECTOR_BYTES :
						(1 + ch->b % BLOCKS_MAX) * BM_BLOCK_BYTES;
	}
	b->dp_flags = ch->d;
	/* Now and then a volume that there is not. */
	pkt->vnr = ch->d >> 12 == 0xf;
	b->seq = ch->a;
	b->dagtag_node = ch->b % NODE_IDS;
	b->dagtag = sc->dagtag;
	if (pkt->type == P_DATA || pkt->type == P_DATA_REPLY || pkt->type == P_RS_DATA_REPLY)
		pkt->payload.bytes = b->bytes;
}

static void choose_generations(const struct session *s, const struct script *sc,
			       const struct packet_choice *ch, struct pkt_uuids *u)
{
	for (unsigned i = 0; i < NODES_MAX; i++)
		u->bitmap[i] = UUID_UNKNOWN;
	u->current = uuid_of(s, sc, ch->a);
	u->bitmap_mask = UINT64_C(1) << session_own_id(s);
	u->bitmap[session_own_id(s)] = uuid_of(s, sc, ch->b);
	if (ch->d & 0x8000) {
		u->bitmap_mask = 0xf;
		for (unsigned i = 0; i < NODE_IDS; i++)
			u->bitmap[i] = uuid_of(s, sc, ch->b >> i);
	}
	u->history[0] = uuid_of(s, sc, ch->c);
	u->history[1] = SESSION_UUID_BASE;
	u->flags = ch->d & 0x1fff;
	u->node_mask = ch->c >> 4;
	u->dirty_bits = ch->c;
}

static void choose_change(const struct session *s, struct script *sc,
			  const struct packet_choice *ch, struct pkt *pkt)
{
	struct pkt_twopc *t = &pkt->u.twopc;
	unsigned kind = ch->a % 8;

	t->tid = pkt->type == P_TWOPC_PREPARE ? 0x6000U + ch->c : sc->own_tid;
	if (pkt->type == P_TWOPC_PREPARE)
		sc->own_tid = t->tid;
	t->flags = TWOPC_FLAG_V2 | (ch->d & 1 ? TWOPC_FLAG_HAS_REACHABLE : 0);
	t->initiator = (int8_t)(ch->b & 8 ? ch->b % NODE_IDS : sc->id);
	t->target = (int8_t)(kind < 4 ? session_own_id(s) : -1);
	t->nodes_to_reach = ch->d & 2 ? UINT64_MAX : 0;
	t->primary_nodes = ch->d >> 4 & 0xf;
	t->reachable_nodes = ch->d >> 8 & 0xf;
	pkt->vnr = kind == 2 || kind == 3 || kind == 6 ? 0 : VNR_NONE;
	if (kind < 2) {
		t->mask = SW_CONN_MASK | (ch->d & 4 ? SW_ROLE_MASK : 0);
		t->val = (uint32_t)(kind ? CONN_DISCONNECTING : CONN_CONNECTED) << SW_CONN_SHIFT;
		t->val |= ch->d >> 4 & SW_ROLE_MASK;
	} else if (kind < 4) {
		t->mask = SW_CONN_MASK;
		t->val = (REPL_STARTING_SYNC_S + ch->b % 4U) << SW_CONN_SHIFT;
	} else if (kind < 6) {
		t->mask = SW_ROLE_MASK | (ch->d & 4 ? SW_DISK_MASK : 0);
		t->val = (uint32_t)(kind - 3) | (uint32_t)DISK_UP_TO_DATE << SW_DISK_SHIFT;
	} else if (kind == 6) {
		t->mask = SW_DISK_MASK;
		t->val = (uint32_t)(ch->b % 10U) << SW_DISK_SHIFT;
	}
}

static void choose_state(const struct session *s, struct script *sc,
			 const struct packet_choice *ch, struct pkt *pkt)
{
	pkt->u.state = script_state_word(s, sc, ch->a % 24U);
	if (ch->d & 1)
		pkt->u.state = (pkt->u.state & ~SW_ROLE_MASK) | (ch->b & SW_ROLE_MASK);
	if (ch->d & 2)
		pkt->u.state = (pkt->u.state & ~SW_DISK_MASK) |
			       (uint32_t)(ch->b >> 2) % 10U << SW_DISK_SHIFT;
	if (ch->d & 4)
		pkt->u.state |= SW_USER_ISP;
	pkt->vnr = ch->d & 8 ? VNR_NONE : 0;
}

static void choose_connection_wide(const struct session *s, struct script *sc,
				   const struct packet_choice *ch, struct pkt *pkt)
{
	pkt->vnr = VNR_NONE;
	switch (pkt->type) {
	case P_BARRIER:
		pkt->u.barrier.number = ch->c;
		return;
	case P_BARRIER_ACK:
		pkt->u.barrier = sc->barrier;
		pkt->u.barrier.set_size += ch->a & 1;
		return;
	case P_DAGTAG:
	case P_PEER_DAGTAG:
	case P_PEER_ACK:
		sc->dagtag += ch->a;
		pkt->u.dagtag = (struct pkt_dagtag){
			.dagtag = sc->dagtag, .mask = ch->b, .node_id = ch->c % NODE_IDS,
		};
		return;
	case P_CONFIRM_STABLE:
		pkt->u.confirm = (struct pkt_confirm){ ch->a, ch->b, ch->c };
		return;
	case P_FLUSH_REQUESTS:
	case P_FLUSH_FORWARD:
	case P_FLUSH_REQUESTS_ACK:
		pkt->u.flush = (struct pkt_flush){ ch->a, ch->b % NODE_IDS };
		return;
	case P_PROTOCOL:
	case P_PROTOCOL_UPDATE:
		pkt->u.protocol.protocol = (uint32_t)s->conf.protocol + (ch->d & 1);
		pkt->u.protocol.conn_flags = ch->a & 3;
		pkt->u.protocol.after_sb_0p = ch->b % 13;
		if (s->conf.integrity)
			strcpy(pkt->u.protocol.integrity_alg, "crc32c");
		return;
	case P_CONN_ST_CHG_REQ:
		pkt->u.change.mask = ch->d & 1 ? SW_CONN_MASK : SW_ROLE_MASK;
		pkt->u.change.val = ch->a;
		return;
	default:
		return;
	}
}

static void choose_reply(const struct script *sc, const struct packet_choice *ch, struct pkt *pkt)
{
	pkt->vnr = VNR_NONE;
	pkt->u.twopc_reply = (struct pkt_twopc_reply){
		.tid = ch->d & 1 ? ch->d : sc->their_tid,
		.initiator = sc->their_initiator,
		.reachable_nodes = ch->a & 0xf,
		.primary_nodes = ch->b & 0xf,
		.weak_nodes = ch->c & 0xf,
	};
}

/* False: it is not one of the packets whose fields are chosen here. */
static bool choose_special(struct session *s, struct script *sc, const struct packet_choice *ch,
			   struct pkt *pkt, struct pkt_uuids *u)
{
	switch (pkt->type) {
	case P_UUIDS110:
		choose_generations(s, sc, ch, u);
		pkt->u.uuids = u;
		return true;
	case P_UUIDS:
		pkt->u.uuids_8 = (struct pkt_uuids_8){
			.current = uuid_of(s, sc, ch->a), .bitmap = uuid_of(s, sc, ch->b),
			.history = { uuid_of(s, sc, ch->c) }, .flags = ch->d & 0xf,
		};
		return true;
	case P_CURRENT_UUID:
		pkt->u.current_uuid = (struct pkt_current_uuid){ uuid_of(s, sc, ch->a), ch->b };
		return true;
	case P_SYNC_UUID:
		pkt->u.sync_uuid = uuid_of(s, sc, ch->a);
		return true;
	case P_STATE:
		choose_state(s, sc, ch, pkt);
		return true;
	case P_STATE_CHG_REQ:
		pkt->u.change.mask = SW_CONN_MASK;
		pkt->u.change.val = (uint32_t)(ch->a % 24U) << SW_CONN_SHIFT;
		return true;
	case P_STATE_CHG_REPLY:
	case P_CONN_ST_CHG_REPLY:
		pkt->vnr = pkt->type == P_STATE_CHG_REPLY ? 0 : VNR_NONE;
		pkt->u.change_result = (int8_t)ch->a;
		return true;
	case P_PEERS_IN_SYNC:
		pkt->u.in_sync = (struct pkt_in_sync){ sector_of(ch->a), ch->b,
						       (1U + ch->c) * BM_BLOCK_BYTES };
		return true;
	case P_SIZES:
		pkt->u.sizes = (struct pkt_sizes){
			.d_sectors = disk_sectors() + ch->a - ch->b, .max_bio_bytes = BIO_MAX_BYTES,
			.c_sectors = disk_sectors() - ch->c, .u_sectors = ch->d,
		};
		return true;
	case P_SYNC_PARAM89:
		if (ch->d & 1)
			strcpy(pkt->u.sync_param.verify_alg, "crc32c");
		if (ch->d & 2)
			strcpy(pkt->u.sync_param.csums_alg, "crc32c");
		return true;
	default:
		return false;
	}
}

static bool has_digest(uint16_t type)
{
	return type == P_OV_REPLY || type == P_OV_DAGTAG_REPLY || type == P_CSUM_RS_REQUEST ||
	       type == P_RS_CSUM_DAGTAG_REQ;
}

static bool is_connection_wide(uint16_t type)
{
	return type == P_BARRIER || type == P_BARRIER_ACK || type == P_DAGTAG ||
	       type == P_PEER_DAGTAG || type == P_PEER_ACK || type == P_CONFIRM_STABLE ||
	       type == P_FLUSH_REQUESTS || type == P_FLUSH_FORWARD ||
	       type == P_FLUSH_REQUESTS_ACK || type == P_PROTOCOL || type == P_PROTOCOL_UPDATE ||
	       type == P_CONN_ST_CHG_REQ || type == P_DISCONNECT || type == P_PING ||
	       type == P_PING_ACK;
}

void script_send_choice(struct session *s, struct script *sc, enum stream stream,
			const struct packet_choice *ch)
{
	struct pkt pkt = { .type = ch->type };
	struct pkt_uuids uuids = { 0 };
	static const uint64_t zero_words[BITMAP_WORDS + 2];

	switch (ch->type) {
	case P_TWOPC_PREPARE:
	case P_TWOPC_PREP_RSZ:
	case P_TWOPC_COMMIT:
	case P_TWOPC_ABORT:
		choose_change(s, sc, ch, &pkt);
		break;
	case P_TWOPC_YES:
	case P_TWOPC_NO:
	case P_TWOPC_RETRY:
		choose_reply(sc, ch, &pkt);
		break;
	case P_BITMAP:
		/* Of any length. */
		pkt.var = (const uint8_t *)zero_words;
		pkt.var_bytes = ch->b % (BITMAP_WORDS + 2) * 8;
		break;
	case P_COMPRESSED_BITMAP:
		script_send_bitmap(s, sc, (uint64_t)ch->d << ch->a % 48);
		return;
	default:
		if (is_connection_wide(ch->type))
			choose_connection_wide(s, sc, ch, &pkt);
		else if (!choose_special(s, sc, ch, &pkt, &uuids))
			choose_block(sc, ch, &pkt);
		if (has_digest(ch->type)) {
			pkt.var = some_digest;
			pkt.var_bytes = 4;
		}
		break;
	}
	script_send(s, sc, stream, &pkt);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A scripted peer: opens the streams, goes through the handshake and answers what our node sends,
 * as far as it takes to get into every state. What it sends can be tampered with on its way.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/assert.h"
#include "session.h"

#define RX_BYTES (64U << 10)
#define TX_BYTES (64U << 10)
#define WRITE_TRIES 64U
#define ATTEMPTS_MAX 6U
#define HMAC_BYTES 20U
#define ANSWER_BYTES_MAX (64U << 10)
#define FRONT_BYTES 48U            /* header and body of packets with a payload */

static const uint8_t challenge[AUTH_CHALLENGE_BYTES] = { 1, 2, 3, 4 };
static uint8_t packet_bytes[WIRE_PACKET_MAX_BYTES + ANSWER_BYTES_MAX + 64];

void script_init(struct session *s, unsigned i)
{
	struct script *sc = &s->script[i];
	enum relation rel = (enum relation)s->conf.relation[i];

	*sc = (struct script){
		.rx = { sc->rx[0], sc->rx[1] },
		.tx = { sc->tx[0], sc->tx[1] },
	};
	for (unsigned k = 0; k < STREAM_COUNT; k++) {
		if (!sc->rx[k].bytes) {
			sc->rx[k].bytes = malloc(RX_BYTES);
			sc->tx[k].bytes = malloc(TX_BYTES);
		}
		sc->rx[k].start = sc->rx[k].count = sc->rx[k].skip = sc->tx[k].count = 0;
		sc->fd[k] = -1;
	}
	sc->id = (uint8_t)(s->conf.own_id_last ? i : i + 1);
	sc->role = i == 0 && s->conf.peer_primary ? ROLE_PRIMARY : ROLE_SECONDARY;
	sc->disk = (enum disk_state)s->conf.peer_disk;
	sc->repl = REPL_ESTABLISHED;
	sc->current_uuid = rel == REL_EQUAL ? SESSION_UUID_OWN :
			   rel == REL_OLDER ? SESSION_UUID_BASE : SESSION_UUID_PEER;
	if (rel == REL_NEWER)
		sc->bitmap_uuid = SESSION_UUID_OWN;
	if (rel == REL_SPLIT)
		sc->bitmap_uuid = SESSION_UUID_BASE;
	if (rel == REL_FRESH)
		sc->current_uuid = UUID_JUST_CREATED;
	sc->dagtag = 1000;
}

/* ---- streams ---- */

/* Of our node's doings: only later ones count for streams that begin or end here. */
static void forget(struct session *s, const struct script *sc)
{
	memset(s->node.sent[sc->id], 0, sizeof(s->node.sent[sc->id]));
	s->node.ends[sc->id] = false;
}

static void write_now(struct session *s, struct script *sc, enum stream stream, const uint8_t *p,
		      size_t n)
{
	for (unsigned tries = 0; n > 0 && tries < WRITE_TRIES && sc->fd[stream] != -1; tries++) {
		ssize_t done = send(sc->fd[stream], p, n, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (s->node.read_turns == 0)
			s->node.read_turns = 1;
		if (done > 0) {
			p += done;
			n -= (size_t)done;
			continue;
		}
		if (done < 0 && errno != EAGAIN)
			return;
		/* Our node reads only when it is its turn. */
		node_turn(s);
	}
}

static bool flush_stream(struct session *s, struct script *sc, enum stream stream)
{
	struct script_tx *tx = &sc->tx[stream];
	uint32_t n = tx->count;

	tx->count = 0;
	write_now(s, sc, stream, tx->bytes, n);
	return n > 0;
}

bool script_flush(struct session *s, struct script *sc)
{
	bool moved = false;

	for (unsigned k = 0; k < STREAM_COUNT; k++)
		moved |= flush_stream(s, sc, k);
	return moved;
}

void script_write(struct session *s, struct script *sc, enum stream stream, const uint8_t *p,
		  size_t n)
{
	struct script_tx *tx = &sc->tx[stream];

	if (sc->fd[stream] == -1)
		return;
	if (n > TX_BYTES - tx->count)
		flush_stream(s, sc, stream);
	if (n > TX_BYTES) {
		write_now(s, sc, stream, p, n);
		return;
	}
	memcpy(tx->bytes + tx->count, p, n);
	tx->count += (uint32_t)n;
}

/* An end is read behind what came before it. */
static void expect_end(struct session *s)
{
	s->node.read_turns = 2;
}

void script_close(struct session *s, struct script *sc)
{
	script_flush(s, sc);
	expect_end(s);
	forget(s, sc);
	for (unsigned k = 0; k < STREAM_COUNT; k++) {
		if (sc->fd[k] != -1)
			close(sc->fd[k]);
		sc->fd[k] = -1;
		sc->rx[k].start = sc->rx[k].count = sc->rx[k].skip = 0;
	}
	sc->phase = SCRIPT_DOWN;
}

void script_end_stream(struct session *s, struct script *sc, enum stream stream)
{
	flush_stream(s, sc, stream);
	expect_end(s);
	if (sc->fd[stream] != -1)
		shutdown(sc->fd[stream], SHUT_WR);
}

static void send_features(struct session *s, struct script *sc)
{
	struct pkt pkt = { .type = P_CONNECTION_FEATURES, .vnr = VNR_NONE };

	sc->apv = s->conf.apv;
	sc->features = s->conf.features;
	pkt.u.features = (struct pkt_features){
		.protocol_min = sc->apv == APV_8_4 ? 86 : APV_8_4,
		.protocol_max = sc->apv,
		.features = sc->features,
		.sender_node_id = sc->apv == APV_8_4 ? 0 : sc->id,
		.receiver_node_id = sc->apv == APV_8_4 ? 0 : session_own_id(s),
	};
	script_send(s, sc, STREAM_DATA, &pkt);
}

static void open_pair(const struct session *s, int pair[static 2])
{
	int rc = 0;

	if (s->conf.sockets)
		rc = socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair);
	else
		pipe_pair(pair);
	ASSERT(rc == 0);
}

void script_connect(struct session *s, struct script *sc)
{
	int ours[STREAM_COUNT];

	if (!s->node.wanted[sc->id] || sc->phase != SCRIPT_DOWN || !node_is_down(s, sc->id))
		return;
	for (unsigned k = 0; k < STREAM_COUNT; k++) {
		int pair[2];

		open_pair(s, pair);
		ours[k] = pair[0];
		sc->fd[k] = pair[1];
	}
	forget(s, sc);
	sc->phase = SCRIPT_FEATURES;
	sc->blind = sc->responded = sc->answered = sc->mirrored = sc->exchanged = false;
	sc->ctx = (struct wire_ctx){ .apv = 0 };
	sc->digest = (struct net_digest){ .bytes = 0 };
	sc->own_tid = sc->their_tid = 0;
	sc->attempts = 0;
	sc->epoch_writes = 0;
	sc->repl = REPL_ESTABLISHED;
	node_streams(s, sc->id, ours);
	send_features(s, sc);
}

/* ---- tampering ---- */

static void fix_length(uint8_t *p, size_t n)
{
	if (n >= 16 && get_be32(p) == SESSION_MAGIC_100)
		put_be32(p + 8, (uint32_t)(n - 16));
}

/* The packet as it goes out; the number of bytes. */
static size_t tamper(struct tamper *t, uint8_t *p, size_t n, size_t room)
{
	/* Half of the time in what is not payload. */
	size_t front = t->at >= 0x8000 && n > FRONT_BYTES ? FRONT_BYTES : n;
	size_t at = front ? t->at % front : 0;
	size_t count = t->count % 9;

	switch (t->kind) {
	case TAMPER_SET:
	case TAMPER_XOR:
		for (size_t i = 0; i < count && at + i < n; i++)
			p[at + i] = t->bytes[i % 8] ^ (t->kind == TAMPER_XOR ? p[at + i] : 0);
		return n;
	case TAMPER_CUT:
		return at;
	case TAMPER_DROP:
		return 0;
	case TAMPER_TWICE:
		if (2 * n > room)
			return n;
		memcpy(p + n, p, n);
		return 2 * n;
	case TAMPER_INSERT:
		if (n + count > room)
			return n;
		memmove(p + at + count, p + at, n - at);
		memcpy(p + at, t->bytes, count > 8 ? 8 : count);
		fix_length(p, n + count);
		return n + count;
	case TAMPER_REMOVE:
		count = count < n - at ? count : n - at;
		memmove(p + at, p + at + count, n - at - count);
		fix_length(p, n - count);
		return n - count;
	case TAMPER_TYPE:
		if (n >= 8)
			p[7] = t->bytes[0];
		return n;
	default:
		return n;
	}
}

/* What packet_bytes begin with. */
static void send_tampered(struct session *s, struct script *sc, enum stream stream, size_t n)
{
	for (unsigned i = 0; i < TAMPERS_MAX && !sc->healthy; i++) {
		struct tamper *t = &sc->tamper[i];

		if (!t->armed || t->skip-- > 0)
			continue;
		t->armed = false;
		n = tamper(t, packet_bytes, n, sizeof(packet_bytes));
	}
	script_write(s, sc, stream, packet_bytes, n);
}

void script_send(struct session *s, struct script *sc, enum stream stream, const struct pkt *pkt)
{
	struct pkt with = *pkt;
	uint8_t digest[WIRE_DIGEST_MAX_BYTES];
	size_t n;

	if (sc->phase == SCRIPT_DOWN || pkt->payload.bytes > ANSWER_BYTES_MAX)
		return;
	if (pkt->payload.bytes && sc->ctx.integrity_bytes) {
		static const uint8_t zeroes[ANSWER_BYTES_MAX];

		net_digest_of(&sc->digest, zeroes, pkt->payload.bytes, digest);
		with.var = digest;
		with.var_bytes = sc->ctx.integrity_bytes;
	}
	n = wire_encode(&sc->ctx, &with, packet_bytes, WIRE_PACKET_MAX_BYTES);
	if (n == 0)
		return;
	memset(packet_bytes + n, 0, pkt->payload.bytes);
	send_tampered(s, sc, stream, n + pkt->payload.bytes);
}

void script_send_bitmap(struct session *s, struct script *sc, uint64_t pattern)
{
	uint64_t words[BITMAP_WORDS] = { pattern, 0, pattern }, pos = 0;
	size_t n;

	if (sc->phase == SCRIPT_DOWN || sc->ctx.apv < 100)
		return;
	/* Those go plain: a code would be longer. */
	for (unsigned i = 0; i < BITMAP_WORDS && pattern % 2 == 0; i++)
		words[i] = UINT64_C(0x5555555555555555);
	for (;;) {
		n = wire_encode_bitmap(&sc->ctx, 0, words, disk_sectors() / BM_BLOCK_SECTORS, &pos,
				       packet_bytes, WIRE_PACKET_MAX_BYTES);
		if (n == 0)
			return;
		send_tampered(s, sc, STREAM_DATA, n);
	}
}

/* ---- the handshake ---- */

uint32_t script_state_word(const struct session *s, const struct script *sc, unsigned conn)
{
	enum disk_state disk = sc->healthy ? DISK_DISKLESS : sc->disk;
	enum role role = sc->healthy ? ROLE_SECONDARY : sc->role;
	uint32_t word, shifted = sc->ctx.apv == APV_8_4 && disk > DISK_DETACHING;

	(void)s;
	word = (uint32_t)role | (uint32_t)ROLE_SECONDARY << SW_PEER_SHIFT |
	       (uint32_t)conn << SW_CONN_SHIFT;
	word |= ((uint32_t)disk - shifted) << SW_DISK_SHIFT;
	return word | ((uint32_t)DISK_UNKNOWN - (sc->ctx.apv == APV_8_4)) << SW_PDSK_SHIFT;
}

static void send_generations(struct session *s, struct script *sc)
{
	struct pkt pkt = { .type = P_UUIDS110 };
	struct pkt_uuids u = { .current = sc->current_uuid };
	uint8_t own = session_own_id(s);

	for (unsigned i = 0; i < NODES_MAX; i++)
		u.bitmap[i] = UUID_UNKNOWN;
	u.bitmap_mask = UINT64_C(1) << own;
	u.bitmap[own] = sc->bitmap_uuid;
	u.history[0] = SESSION_UUID_BASE;
	u.dirty_bits = sc->bitmap_uuid ? 40 : 0;
	u.flags = UUID_FLAG_STABLE;
	if (sc->disk == DISK_INCONSISTENT)
		u.flags |= UUID_FLAG_INCONSISTENT;
	pkt.u.uuids = &u;
	if (sc->ctx.apv == APV_8_4) {
		pkt.type = P_UUIDS;
		pkt.u.uuids_8 = (struct pkt_uuids_8){
			.current = u.current, .bitmap = sc->bitmap_uuid,
			.history = { SESSION_UUID_BASE }, .dirty_bits = u.dirty_bits,
		};
	} else if (sc->healthy || sc->disk < DISK_NEGOTIATING) {
		pkt.type = P_CURRENT_UUID;
		pkt.u.current_uuid = (struct pkt_current_uuid){ .uuid = 0 };
	}
	if (pkt.type != P_UUIDS || (!sc->healthy && sc->disk >= DISK_NEGOTIATING))
		script_send(s, sc, STREAM_DATA, &pkt);
}

static void script_exchange(struct session *s, struct script *sc)
{
	struct pkt pkt = { .type = P_SYNC_PARAM89 };
	bool has_disk = !sc->healthy && sc->disk >= DISK_NEGOTIATING;

	pkt.u.sync_param.resync_rate = 250;
	if (s->conf.checksums) {
		strcpy(pkt.u.sync_param.verify_alg, "crc32c");
		strcpy(pkt.u.sync_param.csums_alg, "crc32c");
	}
	script_send(s, sc, STREAM_DATA, &pkt);
	pkt = (struct pkt){ .type = P_SIZES };
	pkt.u.sizes = (struct pkt_sizes){
		.d_sectors = has_disk ? STORE_BYTES / SECTOR_BYTES : 0,
		.c_sectors = has_disk && sc->current_uuid != UUID_JUST_CREATED &&
			     !s->conf.diskless ? disk_sectors() : 0,
		.max_bio_bytes = BIO_MAX_BYTES,
		.physical_block_bytes = BM_BLOCK_BYTES,
		.logical_block_bytes = SECTOR_BYTES,
		.discard_enabled = 1,
	};
	script_send(s, sc, STREAM_DATA, &pkt);
	send_generations(s, sc);
	pkt = (struct pkt){ .type = P_STATE };
	pkt.u.state = script_state_word(s, sc, CONN_CONNECTING);
	script_send(s, sc, STREAM_DATA, &pkt);
	sc->exchanged = true;
}

/* The transaction that connects, which the lower id begins. */
static void send_connect(struct session *s, struct script *sc, enum packet type)
{
	struct pkt pkt = { .type = (uint16_t)type, .vnr = VNR_NONE };
	enum role role = sc->healthy ? ROLE_SECONDARY : sc->role;
	uint64_t both = UINT64_C(1) << sc->id | UINT64_C(1) << session_own_id(s);

	if (type == P_TWOPC_PREPARE)
		sc->own_tid = 0x5000 + sc->id * 0x100U + ++sc->attempts;
	pkt.u.twopc = (struct pkt_twopc){
		.tid = sc->own_tid,
		.flags = TWOPC_FLAG_V2 | TWOPC_FLAG_HAS_REACHABLE,
		.initiator = (int8_t)sc->id,
		.target = (int8_t)session_own_id(s),
		.nodes_to_reach = ~both,
		.mask = SW_ROLE_MASK | SW_CONN_MASK,
		.val = (uint32_t)role | (uint32_t)CONN_CONNECTED << SW_CONN_SHIFT,
	};
	if (type == P_TWOPC_COMMIT) {
		pkt.u.twopc.mask = pkt.u.twopc.val = 0;
		pkt.u.twopc.primary_nodes = (role == ROLE_PRIMARY ? UINT64_C(1) << sc->id : 0);
		if (node_is_primary(s))
			pkt.u.twopc.primary_nodes |= UINT64_C(1) << session_own_id(s);
		pkt.u.twopc.reachable_nodes = both;
	}
	script_send(s, sc, STREAM_DATA, &pkt);
	if (type == P_TWOPC_PREPARE)
		script_exchange(s, sc);
}

static void send_protocol(struct session *s, struct script *sc)
{
	struct pkt pkt = { .type = P_PROTOCOL, .vnr = VNR_NONE };

	pkt.u.protocol.protocol = (uint32_t)s->conf.protocol;
	/* It may have announced another one, which our node has followed. */
	if (sc->healthy)
		pkt.u.protocol.protocol = (uint32_t)node_protocol(s, sc->id);
	if (s->conf.integrity)
		strcpy(pkt.u.protocol.integrity_alg, "crc32c");
	script_send(s, sc, STREAM_DATA, &pkt);
	if (net_digest_set(&sc->digest, pkt.u.protocol.integrity_alg))
		sc->ctx.integrity_bytes = sc->digest.bytes;
	sc->phase = SCRIPT_READY;
}

void script_rx_features(struct session *s, struct script *sc, const struct pkt_features *f)
{
	struct pkt pkt = { .type = P_AUTH_CHALLENGE, .vnr = VNR_NONE };

	sc->ctx.apv = sc->apv < f->protocol_max ? sc->apv : f->protocol_max;
	sc->ctx.features = sc->features & f->features;
	if (!s->conf.auth) {
		send_protocol(s, sc);
		return;
	}
	sc->phase = SCRIPT_AUTH;
	pkt.u.auth.bytes = AUTH_CHALLENGE_BYTES;
	memcpy(pkt.u.auth.data, challenge, AUTH_CHALLENGE_BYTES);
	script_send(s, sc, STREAM_DATA, &pkt);
}

void script_rx_auth(struct session *s, struct script *sc, const struct pkt *got)
{
	struct pkt pkt = { .type = P_AUTH_RESPONSE, .vnr = VNR_NONE };
	uint8_t message[AUTH_CHALLENGE_BYTES + 4], hmac[64];

	if (got->type == P_AUTH_RESPONSE) {
		sc->answered = true;
	} else {
		memcpy(message, got->u.auth.data, AUTH_CHALLENGE_BYTES);
		put_be32(message + AUTH_CHALLENGE_BYTES, sc->id);
		session_hmac(NULL, "", "secret", 6, message,
			     sizeof(message) - (sc->ctx.apv == APV_8_4 ? 4 : 0), hmac);
		pkt.u.auth.bytes = HMAC_BYTES;
		memcpy(pkt.u.auth.data, hmac, HMAC_BYTES);
		script_send(s, sc, STREAM_DATA, &pkt);
		sc->responded = true;
	}
	if (sc->phase == SCRIPT_AUTH && sc->answered && sc->responded)
		send_protocol(s, sc);
}

void script_rx_protocol(struct session *s, struct script *sc)
{
	if (sc->ctx.apv == APV_8_4)
		script_exchange(s, sc);
	else if (sc->id < session_own_id(s))
		send_connect(s, sc, P_TWOPC_PREPARE);
}

static void send_reply(struct session *s, struct script *sc, enum packet type,
		       const struct pkt *asked)
{
	struct pkt pkt = { .type = (uint16_t)type, .vnr = asked->vnr };

	pkt.u.twopc_reply = (struct pkt_twopc_reply){
		.tid = asked->u.twopc.tid,
		.initiator = asked->u.twopc.initiator,
		.reachable_nodes = UINT64_C(1) << sc->id,
		.primary_nodes = sc->role == ROLE_PRIMARY && !sc->healthy ?
					 UINT64_C(1) << sc->id : 0,
	};
	script_send(s, sc, STREAM_CONTROL, &pkt);
}

void script_rx_twopc(struct session *s, struct script *sc, const struct pkt *got)
{
	switch (got->type) {
	case P_TWOPC_PREPARE:
		sc->their_tid = got->u.twopc.tid;
		sc->their_initiator = got->u.twopc.initiator;
		if (got->u.twopc.target == sc->id && sc->phase == SCRIPT_READY)
			script_exchange(s, sc);
		send_reply(s, sc, P_TWOPC_YES, got);
		return;
	case P_TWOPC_COMMIT:
		sc->phase = SCRIPT_CONNECTED;
		return;
	case P_TWOPC_YES:
		if (got->u.twopc_reply.tid != sc->own_tid || sc->phase != SCRIPT_READY)
			return;
		send_connect(s, sc, P_TWOPC_COMMIT);
		sc->phase = SCRIPT_CONNECTED;
		return;
	default:
		if (got->u.twopc_reply.tid != sc->own_tid || sc->phase != SCRIPT_READY)
			return;
		send_connect(s, sc, P_TWOPC_ABORT);
		if (sc->attempts < ATTEMPTS_MAX)
			send_connect(s, sc, P_TWOPC_PREPARE);
		return;
	}
}

/* ---- reading ---- */

/* One packet out of what has arrived; false: it is not complete. */
static bool take_packet(struct session *s, struct script *sc, enum stream stream)
{
	struct script_rx *rx = &sc->rx[stream];
	const uint8_t *p = rx->bytes + rx->start;
	uint32_t fixed, payload, left = rx->count - rx->start;
	struct pkt_uuids uuids;
	struct wire_header h;
	struct pkt pkt;
	size_t need;
	int rc = wire_decode_header(p, left, &h, &need);

	if (rc == WIRE_MORE)
		return false;
	if (!rc)
		rc = wire_check_header(&sc->ctx, &h, stream, &fixed, &payload);
	if (!rc && left < need + fixed)
		return false;
	if (!rc)
		rc = wire_decode_body(&sc->ctx, &h, p + need, fixed, &pkt, &uuids);
	if (rc) {
		/* What was agreed on was tampered with. */
		ASSERT(!sc->healthy);
		sc->blind = true;
		return false;
	}
	script_rx(s, sc, stream, &pkt);
	/* It may have closed the streams. */
	if (sc->phase == SCRIPT_DOWN)
		return false;
	left -= (uint32_t)need + fixed;
	rx->skip = payload < left ? 0 : payload - left;
	rx->start += (uint32_t)need + fixed + payload - rx->skip;
	return true;
}

enum filled { FILLED_NOTHING, FILLED_ALL, FILLED_MORE };

/* What is not parsed yet moves to the front, and what the socket has comes behind it. */
static enum filled fill(struct session *s, struct script *sc, enum stream stream)
{
	struct script_rx *rx = &sc->rx[stream];
	uint32_t room;
	ssize_t n;

	rx->count -= rx->start;
	memmove(rx->bytes, rx->bytes + rx->start, rx->count);
	rx->start = 0;
	room = RX_BYTES - rx->count;
	n = recv(sc->fd[stream], rx->bytes + rx->count, room, MSG_DONTWAIT);
	if (n < 0 && errno == EAGAIN)
		return FILLED_NOTHING;
	if (n <= 0) {
		script_close(s, sc);
		return FILLED_NOTHING;
	}
	rx->count += (uint32_t)n;
	if (sc->blind)
		rx->count = 0;
	rx->start = rx->skip < rx->count ? rx->skip : rx->count;
	rx->skip -= rx->start;
	return (size_t)n < room ? FILLED_ALL : FILLED_MORE;
}

bool script_run(struct session *s, struct script *sc)
{
	bool moved = false;

	for (unsigned k = 0; k < STREAM_COUNT; k++) {
		enum filled filled = FILLED_NOTHING;

		if (sc->fd[k] != -1 && (s->node.sent[sc->id][k] || s->node.ends[sc->id]))
			filled = FILLED_MORE;
		s->node.sent[sc->id][k] = false;

		while (filled == FILLED_MORE && sc->fd[k] != -1) {
			filled = fill(s, sc, k);
			moved |= filled != FILLED_NOTHING;
			while (!sc->blind && sc->phase != SCRIPT_DOWN && take_packet(s, sc, k))
				;
		}
	}
	return moved;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Bytes of a stream to packets: header, check, body, and bulk payload into a pooled buffer. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "net/net_int.h"

#define MIN(a, b) ((a) < (b) ? (a) : (b))

int net_rx_init(struct net_stream *s)
{
	s->rx.bytes = malloc(NET_RX_BUFFER_BYTES);
	s->rx.state = NET_RX_HEADER;
	return s->rx.bytes ? 0 : -ENOMEM;
}

void net_rx_clear(struct net_stream *s)
{
	if (s->rx.payload)
		buf_put(s->rx.payload);
	s->rx.payload = NULL;
	free(s->rx.bytes);
	s->rx.bytes = NULL;
}

/* What both ends agreed on decides the form of everything that follows. */
static void agree(struct net_conn *conn, const struct pkt_features *theirs)
{
	const struct pkt_features *ours = &conn->own_features;

	if (!conn->features_sent)
		return;
	conn->wire_rx.apv = MIN(ours->protocol_max,
				theirs->protocol_max ? theirs->protocol_max : theirs->protocol_min);
	conn->wire_rx.features = ours->features & theirs->features;
	conn->wire_tx.apv = conn->wire_rx.apv;
	conn->wire_tx.features = conn->wire_rx.features;
}

/* The digest that the peer announces is on all its payloads from here on. False: unknown. */
static bool follow_digest(struct net_conn *conn, const struct pkt_protocol *theirs)
{
	if (!net_digest_set(&conn->digest_rx, theirs->integrity_alg))
		return false;
	conn->wire_rx.integrity_bytes = conn->digest_rx.bytes;
	return true;
}

static bool payload_intact(const struct net_stream *s, const struct pkt *pkt)
{
	const struct net_digest *digest = &s->conn->digest_rx;
	uint8_t own[WIRE_DIGEST_MAX_BYTES];

	if (!digest->bytes)
		return true;
	net_digest_of(digest, s->rx.payload->data, s->rx.payload_bytes, own);
	return pkt->var_bytes == digest->bytes && !memcmp(own, pkt->var, digest->bytes);
}

static void fail_packet(struct net_stream *s, int error)
{
	const struct wire_header *h = &s->rx.header;
	const char *name = packet_name(h->type);

	net_conn_fail(s->conn, "%s stream: packet 0x%04x (%s), volume %u, length %u: %s",
		      s->kind == STREAM_DATA ? "data" : "control", h->type, name ? name : "unknown",
		      h->vnr, h->length, wire_error_text(error));
}

/* The packet is complete; its body lies at `body`. False: the stream is gone. */
static bool deliver(struct net_stream *s, const uint8_t *body)
{
	struct net_rx *rx = &s->rx;
	struct pkt pkt;
	int rc;

	rx->state = NET_RX_HEADER;
	rc = wire_decode_body(&s->conn->wire_rx, &rx->header, body, rx->fixed_bytes, &pkt,
			      &s->net->uuids);
	if (rc) {
		fail_packet(s, rc);
		return false;
	}
	if (rx->payload && !payload_intact(s, &pkt)) {
		net_conn_fail(s->conn,
			      "data-integrity-alg: %s for sector %llu, %u bytes, was damaged on "
			      "its way; is a network card or memory faulty?",
			      packet_name(pkt.type), (unsigned long long)pkt.u.block.sector,
			      rx->payload_bytes);
		return false;
	}
	if (rx->payload) {
		pkt.payload.id = rx->payload->id;
		rx->payload = NULL;
	}
	if (s->net->trace)
		net_trace(s, "<-", &pkt);
	if (pkt.type == P_CONNECTION_FEATURES)
		agree(s->conn, &pkt.u.features);
	if ((pkt.type == P_PROTOCOL || pkt.type == P_PROTOCOL_UPDATE) &&
	    !follow_digest(s->conn, &pkt.u.protocol)) {
		net_conn_fail(s->conn, "data-integrity-alg %s of the peer is not available here",
			      pkt.u.protocol.integrity_alg);
		return false;
	}
	s->net->cb->packet(s->conn->ctx, s->kind, &pkt);
	return !s->closed && s->conn;
}

static bool has_room(const struct net_stream *s, uint16_t type)
{
	return s->kind != STREAM_DATA || !s->net->cb->room ||
	       s->net->cb->room(s->conn->ctx, type);
}

/* 1: goes on; 0: more bytes are needed (or a buffer, or room: starved); -1: the stream is gone. */
static int parse_header(struct net_stream *s)
{
	struct net_rx *rx = &s->rx;
	bool is_tls;
	size_t need;
	int rc;

	rc = wire_decode_header(rx->bytes + rx->start, rx->end - rx->start, &rx->header, &need);
	if (rc == WIRE_MORE)
		return 0;
	if (rc) {
		is_tls = net_tls_is_record(rx->bytes + rx->start, rx->end - rx->start);
		memset(&rx->header, 0, sizeof(rx->header));
		net_conn_fail(s->conn, "%s stream: what arrived is %s%s",
			      s->kind == STREAM_DATA ? "data" : "control",
			      is_tls ? "TLS; tls must be set on both nodes, or on none" :
				       "no packet: ", is_tls ? "" : wire_error_text(rc));
		return -1;
	}
	rc = wire_check_header(&s->conn->wire_rx, &rx->header, s->kind, &rx->fixed_bytes,
			       &rx->payload_bytes);
	if (rc) {
		fail_packet(s, rc);
		return -1;
	}
	ASSERT(rx->fixed_bytes <= WIRE_BODY_MAX_BYTES && rx->payload_bytes <= BUF_BYTES_MAX);
	if (!has_room(s, rx->header.type)) {
		s->starved = true;
		return 0;
	}
	rx->start += rx->header.bytes;
	rx->state = NET_RX_BODY;
	return 1;
}

static int parse_body(struct net_stream *s)
{
	struct net_rx *rx = &s->rx;
	const uint8_t *body = rx->bytes + rx->start;

	if (rx->end - rx->start < rx->fixed_bytes)
		return 0;
	if (rx->payload_bytes == 0) {
		rx->start += rx->fixed_bytes;
		return deliver(s, body) ? 1 : -1;
	}
	rx->payload = buf_get(s->net->pool, BUF_PEER, rx->payload_bytes);
	if (!rx->payload) {
		s->starved = true;
		return 0;
	}
	memcpy(rx->body, body, rx->fixed_bytes);
	rx->start += rx->fixed_bytes;
	rx->payload_got = 0;
	rx->state = NET_RX_PAYLOAD;
	return 1;
}

static int parse_payload(struct net_stream *s)
{
	struct net_rx *rx = &s->rx;
	uint32_t n = MIN(rx->end - rx->start, rx->payload_bytes - rx->payload_got);

	/* Only what a read ahead brought; the rest arrives in place. */
	memcpy(rx->payload->data + rx->payload_got, rx->bytes + rx->start, n);
	rx->start += n;
	rx->payload_got += n;
	if (rx->payload_got < rx->payload_bytes)
		return 0;
	return deliver(s, rx->body) ? 1 : -1;
}

/* Parses what is there. False: the stream is gone. */
static bool parse(struct net_stream *s)
{
	int rc;

	do {
		switch (s->rx.state) {
		case NET_RX_HEADER:
			rc = parse_header(s);
			break;
		case NET_RX_BODY:
			rc = parse_body(s);
			break;
		case NET_RX_PAYLOAD:
			rc = parse_payload(s);
			break;
		default:
			ASSERT(false);
		}
	} while (rc > 0);
	return rc == 0;
}

static ssize_t fill(struct net_stream *s)
{
	struct net_rx *rx = &s->rx;
	struct iovec iov[2];
	uint32_t missing = 0;
	int count = 0;
	ssize_t n;

	if (rx->start == rx->end) {
		rx->start = rx->end = 0;
	} else if (rx->start > 0) {
		memmove(rx->bytes, rx->bytes + rx->start, rx->end - rx->start);
		rx->end -= rx->start;
		rx->start = 0;
	}
	if (rx->state == NET_RX_PAYLOAD) {
		missing = rx->payload_bytes - rx->payload_got;
		iov[count++] = (struct iovec){ rx->payload->data + rx->payload_got, missing };
	}
	ASSERT(rx->end < NET_RX_BUFFER_BYTES);
	iov[count++] = (struct iovec){ rx->bytes + rx->end, NET_RX_BUFFER_BYTES - rx->end };
	n = s->layer->read(s, iov, count);
	if (n <= 0)
		return n;
	rx->payload_got += (uint32_t)MIN((size_t)n, missing);
	if ((size_t)n > missing)
		rx->end += (uint32_t)((size_t)n - missing);
	return n;
}

/* The peer has closed this stream, but what it said before on the other one counts. */
static void read_out_other(struct net_stream *s)
{
	struct net_conn *conn = s->conn;
	struct net_stream *other = conn->streams[!s->kind];

	event_del(&s->ev_read);
	if (other && !other->closed && event_pending(&other->ev_read, EV_READ, NULL))
		net_rx_run(other, 4 * NET_RX_BYTES_PER_TURN);
}

static void ended(struct net_stream *s, ssize_t rc)
{
	const char *kind = s->kind == STREAM_DATA ? "data" : "control";

	read_out_other(s);
	if (s->closed || !s->conn)
		return;
	if (rc == 0)
		net_conn_fail(s->conn, "the peer closed the %s stream", kind);
	else
		net_conn_fail(s->conn, "%s stream: %s", kind, s->layer->error_text(s, (int)rc));
}

void net_rx_run(struct net_stream *s, uint32_t max_bytes)
{
	uint32_t total = 0;

	if (s->starved) {
		s->starved = false;
		if (!parse(s))
			return;
	}
	while (!s->starved && total < max_bytes) {
		struct net_rx *rx = &s->rx;
		uint32_t room = NET_RX_BUFFER_BYTES - (rx->end - rx->start);
		ssize_t n;

		if (rx->state == NET_RX_PAYLOAD)
			room += rx->payload_bytes - rx->payload_got;
		n = fill(s);
		if (n == -EAGAIN)
			return;
		if (n <= 0) {
			ended(s, n);
			return;
		}
		total += (uint32_t)n;
		if (!parse(s))
			return;
		/* A short read means that the socket is empty: saves a call that finds nothing. */
		if ((uint32_t)n < room && !s->starved)
			return;
	}
	if (s->starved && !list_linked(&s->starved_link)) {
		event_del(&s->ev_read);
		list_push_back(&s->net->starved, &s->starved_link);
	}
}

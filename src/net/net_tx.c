/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The send queue of a stream: encoded headers and payload references, gathered into one sendmsg. */
#include <errno.h>
#include <stdlib.h>

#include "base/assert.h"
#include "net/net_int.h"

#define RING_FIRST 256U
#define RING_MAX (1U << 20)
#define IOV_MAX_COUNT 512
#define FREE_CHUNKS_MAX 32U

/* ---- chunks ---- */

static struct net_chunk *chunk_get(struct net *net)
{
	struct net_chunk *c = net->free_chunks;

	if (c) {
		net->free_chunks = c->next_free;
		net->free_chunk_count--;
	} else {
		c = malloc(sizeof(*c));
		if (!c)
			return NULL;
	}
	c->next_free = NULL;
	c->users = 1;
	c->used_bytes = 0;
	return c;
}

static void chunk_put(struct net *net, struct net_chunk *c)
{
	ASSERT(c->users > 0);
	if (--c->users > 0)
		return;
	if (net->free_chunk_count >= FREE_CHUNKS_MAX) {
		free(c);
		return;
	}
	c->next_free = net->free_chunks;
	net->free_chunks = c;
	net->free_chunk_count++;
}

void net_tx_free_chunks(struct net *net)
{
	while (net->free_chunks) {
		struct net_chunk *c = net->free_chunks;

		net->free_chunks = c->next_free;
		free(c);
	}
	net->free_chunk_count = 0;
}

/* Room for one more packet in the current chunk. */
static struct net_chunk *chunk_with_room(struct net_stream *s)
{
	struct net_tx *tx = &s->tx;

	if (tx->current && NET_CHUNK_BYTES - tx->current->used_bytes >= WIRE_PACKET_MAX_BYTES)
		return tx->current;
	if (tx->current)
		chunk_put(s->net, tx->current);
	tx->current = chunk_get(s->net);
	return tx->current;
}

/* ---- segments ---- */

static struct net_segment *segment_at(struct net_tx *tx, uint32_t i)
{
	return &tx->ring[(tx->head + i) & (tx->capacity - 1)];
}

static bool ring_grow(struct net_tx *tx)
{
	uint32_t capacity = tx->capacity ? 2 * tx->capacity : RING_FIRST;
	struct net_segment *ring;

	if (capacity > RING_MAX)
		return false;
	ring = calloc(capacity, sizeof(*ring));
	if (!ring)
		return false;
	for (uint32_t i = 0; i < tx->count; i++)
		ring[i] = *segment_at(tx, i);
	free(tx->ring);
	tx->ring = ring;
	tx->capacity = capacity;
	tx->head = 0;
	return true;
}

static struct net_segment *segment_push(struct net_tx *tx)
{
	if (tx->count == tx->capacity && !ring_grow(tx))
		return NULL;
	tx->count++;
	return segment_at(tx, tx->count - 1);
}

static void segment_drop(struct net_stream *s, struct net_segment *seg)
{
	if (seg->chunk)
		chunk_put(s->net, seg->chunk);
	if (seg->buf)
		buf_put(seg->buf);
	*seg = (struct net_segment){ .base = NULL };
}

void net_tx_clear(struct net_stream *s)
{
	struct net_tx *tx = &s->tx;

	for (uint32_t i = 0; i < tx->count; i++)
		segment_drop(s, segment_at(tx, i));
	free(tx->ring);
	if (tx->current)
		chunk_put(s->net, tx->current);
	*tx = (struct net_tx){ .ring = NULL };
}

static void queue_output(struct net_stream *s)
{
	if (!s->tx.blocked && !list_linked(&s->output_link))
		list_push_back(&s->net->output, &s->output_link);
}

static void break_stream(struct net_stream *s, const char *why)
{
	if (!s->broken)
		s->broken = why;
	s->tx.blocked = false;
	queue_output(s);
}

/* Appends n bytes that were just written behind chunk->used_bytes. */
static bool push_bytes(struct net_stream *s, struct net_chunk *c, uint32_t n)
{
	struct net_tx *tx = &s->tx;
	const uint8_t *base = c->bytes + c->used_bytes;
	struct net_segment *last = tx->count ? segment_at(tx, tx->count - 1) : NULL;

	if (last && last->chunk == c && last->base + last->bytes == base) {
		last->bytes += n;
	} else {
		struct net_segment *seg = segment_push(tx);

		if (!seg)
			return false;
		*seg = (struct net_segment){ .base = base, .bytes = n, .chunk = c };
		c->users++;
	}
	c->used_bytes += n;
	tx->queued_bytes += n;
	return true;
}

/* The packet with the digest of its payload. */
static size_t encode_with_digest(struct net_stream *s, const struct wire_ctx *wire,
				 const struct net_digest *digest, const struct pkt *pkt,
				 struct net_chunk *c)
{
	uint8_t bytes[WIRE_DIGEST_MAX_BYTES];
	struct pkt with = *pkt;

	net_digest_of(digest, buf_by_id(s->net->pool, pkt->payload.id)->data, pkt->payload.bytes,
		      bytes);
	with.var = bytes;
	with.var_bytes = digest->bytes;
	return wire_encode(wire, &with, c->bytes + c->used_bytes, NET_CHUNK_BYTES - c->used_bytes);
}

void net_tx_packet(struct net_stream *s, const struct wire_ctx *wire,
		   const struct net_digest *digest, const struct pkt *pkt)
{
	struct net_chunk *c = chunk_with_room(s);
	size_t n;

	if (!c) {
		break_stream(s, "no memory to send");
		return;
	}
	if (digest->bytes && pkt->payload.id)
		n = encode_with_digest(s, wire, digest, pkt, c);
	else
		n = wire_encode(wire, pkt, c->bytes + c->used_bytes,
				NET_CHUNK_BYTES - c->used_bytes);
	if (n == 0) {
		break_stream(s, "a packet to send does not exist in the agreed protocol");
		return;
	}
	if (!push_bytes(s, c, (uint32_t)n)) {
		break_stream(s, "too much is queued to send");
		return;
	}
	if (pkt->payload.id) {
		struct buf *buf = buf_by_id(s->net->pool, pkt->payload.id);
		struct net_segment *seg = segment_push(&s->tx);

		if (!seg) {
			break_stream(s, "too much is queued to send");
			return;
		}
		buf_ref(buf);
		*seg = (struct net_segment){
			.base = buf->data, .bytes = pkt->payload.bytes, .buf = buf,
		};
		s->tx.queued_bytes += pkt->payload.bytes;
	}
	if (s->net->trace)
		net_trace(s, "->", pkt);
	queue_output(s);
}

void net_tx_bitmap(struct net_stream *s, const struct wire_ctx *wire, uint16_t vnr,
		   const uint64_t *words, uint64_t bits)
{
	uint64_t pos = 0;

	for (;;) {
		struct net_chunk *c = chunk_with_room(s);
		size_t n;

		if (!c) {
			break_stream(s, "no memory to send");
			return;
		}
		n = wire_encode_bitmap(wire, vnr, words, bits, &pos, c->bytes + c->used_bytes,
				       NET_CHUNK_BYTES - c->used_bytes);
		if (n == 0)
			break;
		if (!push_bytes(s, c, (uint32_t)n)) {
			break_stream(s, "too much is queued to send");
			return;
		}
	}
	queue_output(s);
}

/* ---- sending ---- */

static void advance(struct net_stream *s, uint64_t sent)
{
	struct net_tx *tx = &s->tx;

	tx->queued_bytes -= sent;
	while (sent > 0) {
		struct net_segment *seg = segment_at(tx, 0);

		if (sent < seg->bytes) {
			seg->base += sent;
			seg->bytes -= (uint32_t)sent;
			return;
		}
		sent -= seg->bytes;
		segment_drop(s, seg);
		tx->head = (tx->head + 1) & (tx->capacity - 1);
		tx->count--;
	}
}

int64_t net_tx_run(struct net_stream *s)
{
	struct net_tx *tx = &s->tx;
	struct iovec iov[IOV_MAX_COUNT];
	int64_t total = 0;

	while ((tx->count > 0 || s->layer->write_held(s)) && total < NET_TX_BYTES_PER_TURN) {
		uint64_t offered = 0;
		int count = 0;
		ssize_t n;

		while ((uint32_t)count < tx->count && count < IOV_MAX_COUNT) {
			const struct net_segment *seg = segment_at(tx, (uint32_t)count);

			iov[count++] = (struct iovec){
				(void *)(uintptr_t)seg->base, seg->bytes,
			};
			offered += seg->bytes;
		}
		n = s->layer->write(s, iov, count);
		if (n < 0 && n != -EAGAIN)
			return n;
		if (n > 0) {
			advance(s, (uint64_t)n);
			total += n;
		}
		if (n < 0 || (uint64_t)n < offered || s->layer->write_held(s)) {
			tx->blocked = true;
			event_add(&s->ev_write, NULL);
			break;
		}
	}
	return total;
}

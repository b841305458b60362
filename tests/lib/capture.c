/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reads pcap files of Ethernet frames with IPv4 and TCP; puts the streams together. */
#include "capture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "wire_check.h"

#define HALVES_MAX 256U
#define FRAMES_MAX (1U << 20)
#define STREAM_BYTES_MAX (4U << 20)
#define PCAP_MAGIC_LE_USEC 0xa1b2c3d4U
#define LINK_ETHERNET 1U
#define TCP_FIN 0x01U
#define TCP_SYN 0x02U
#define TCP_RST 0x04U

static struct capture_half *find_half(struct capture *c, const uint32_t addr[2],
				      const uint16_t port[2])
{
	for (unsigned i = c->half_count; i-- > 0;) {
		struct capture_half *h = &c->halves[i];

		if (!memcmp(h->addr, addr, sizeof(h->addr)) &&
		    !memcmp(h->port, port, sizeof(h->port)))
			return h;
	}
	return NULL;
}

static struct capture_half *add_half(struct capture *c, const uint32_t addr[2],
				     const uint16_t port[2], uint32_t seq_base)
{
	struct capture_half *h = &c->halves[c->half_count++];

	ASSERT(c->half_count <= HALVES_MAX);
	memcpy(h->addr, addr, sizeof(h->addr));
	memcpy(h->port, port, sizeof(h->port));
	h->seq_base = seq_base;
	h->bytes = calloc(1, STREAM_BYTES_MAX);
	h->seen = calloc(1, STREAM_BYTES_MAX);
	ASSERT(h->bytes && h->seen);
	h->first_frame = c->frame_count - 1;
	h->closed_frame = UINT32_MAX;
	return h;
}

static void add_node(struct capture *c, uint32_t addr)
{
	unsigned i = 0;

	while (i < c->node_count && c->addr[i] < addr)
		i++;
	if (i < c->node_count && c->addr[i] == addr)
		return;
	ASSERT(c->node_count < CAPTURE_NODES_MAX);
	memmove(&c->addr[i + 1], &c->addr[i], (c->node_count - i) * sizeof(c->addr[0]));
	c->addr[i] = addr;
	c->node_count++;
}

static void add_bytes(struct capture *c, struct capture_half *h, uint32_t at, const uint8_t *p,
		      size_t n)
{
	ASSERT(at + n <= STREAM_BYTES_MAX);
	memcpy(h->bytes + at, p, n);
	memset(h->seen + at, 1, n);
	if (h->mark_count == h->mark_room) {
		h->mark_room = h->mark_room ? 2 * h->mark_room : 64;
		h->marks = realloc(h->marks, h->mark_room * sizeof(*h->marks));
		ASSERT(h->marks);
	}
	h->marks[h->mark_count++] =
		(struct capture_mark){ at + (uint32_t)n, c->frame_count - 1 };
}

static void add_segment(struct capture *c, const uint8_t *ip, size_t n)
{
	size_t ip_bytes = (ip[0] & 15U) * 4U, total = get_be16(ip + 2), tcp_bytes;
	const uint8_t *tcp = ip + ip_bytes;
	uint32_t addr[2] = { get_be32(ip + 12), get_be32(ip + 16) };
	uint16_t port[2] = { get_be16(tcp), get_be16(tcp + 2) };
	struct capture_half *h = find_half(c, addr, port);
	uint32_t at;

	ASSERT(total <= n);
	tcp_bytes = (tcp[12] >> 4) * 4U;
	n = total - ip_bytes - tcp_bytes;
	add_node(c, addr[0]);
	add_node(c, addr[1]);
	if (tcp[13] & TCP_SYN) {
		add_half(c, addr, port, get_be32(tcp + 4) + 1);
		return;
	}
	if (h && tcp[13] & (TCP_FIN | TCP_RST) && h->closed_frame == UINT32_MAX)
		h->closed_frame = c->frame_count - 1;
	if (!n)
		return;
	if (!h) {
		h = add_half(c, addr, port, get_be32(tcp + 4));
		h->is_late = true;
	}
	at = get_be32(tcp + 4) - h->seq_base;
	if (at >= 1U << 31) /* keepalive probes repeat the byte before the first */
		return;
	add_bytes(c, h, at, tcp + tcp_bytes, n);
}

static void read_frames(struct capture *c, const char *path)
{
	static uint8_t frame[1U << 18];
	FILE *f = fopen(path, "rb");
	uint8_t head[24], record[16];
	uint64_t first = 0;

	ASSERT(f && fread(head, 1, sizeof(head), f) == sizeof(head));
	ASSERT(get_le32(head) == PCAP_MAGIC_LE_USEC && get_le32(head + 20) == LINK_ETHERNET);
	while (fread(record, 1, sizeof(record), f) == sizeof(record)) {
		uint64_t ns = get_le32(record) * UINT64_C(1000000000) +
			      get_le32(record + 4) * UINT64_C(1000);
		uint32_t n = get_le32(record + 8);

		ASSERT(n <= sizeof(frame) && fread(frame, 1, n, f) == n);
		ASSERT(c->frame_count < FRAMES_MAX);
		first = c->frame_count ? first : ns;
		c->frame_ns[c->frame_count++] = ns - first;
		if (n >= 54 && get_be16(frame + 12) == 0x800 && frame[14 + 9] == 6)
			add_segment(c, frame + 14, n - 14);
	}
	fclose(f);
}

/* ---- which stream, which connection ---- */

static int stream_of_late(const struct capture_half *h)
{
	/* The streams of a packet do not depend on what was agreed on, but its existence does. */
	static const struct wire_ctx agreed[] = { { .apv = 124, .features = 0x3ff },
						  { .apv = 101, .features = 0xf } };
	struct decoded d;

	for (unsigned i = 0; i < 2; i++) {
		if (decode_packet(&agreed[i], STREAM_DATA, h->bytes, h->end, &d) == WIRE_ERR_STREAM)
			return STREAM_CONTROL;
	}
	return STREAM_DATA;
}

static bool is_reverse(const struct capture_half *a, const struct capture_half *b)
{
	return a->addr[0] == b->addr[1] && a->addr[1] == b->addr[0] && a->port[0] == b->port[1] &&
	       a->port[1] == b->port[0] && a->is_late == b->is_late;
}

/* The opener names the stream; the other direction of the connection carries no first packet. */
static void find_stream(const struct capture *c, struct capture_half *h)
{
	h->stream = -1;
	if (h->is_late && h->end >= WIRE_INITIAL_BYTES) {
		h->stream = stream_of_late(h);
		return;
	}
	if (h->end >= WIRE_INITIAL_BYTES && wire_decode_initial(h->bytes) >= 0) {
		h->stream = wire_decode_initial(h->bytes);
		h->skip = WIRE_INITIAL_BYTES;
		return;
	}
	for (unsigned i = 0; i < c->half_count; i++) {
		const struct capture_half *o = &c->halves[i];

		if (is_reverse(h, o) && o->end >= WIRE_INITIAL_BYTES &&
		    wire_decode_initial(o->bytes) >= 0)
			h->stream = wire_decode_initial(o->bytes);
	}
}

static unsigned node_of(const struct capture *c, uint32_t addr)
{
	unsigned i = 0;

	while (c->addr[i] != addr)
		i++;
	return i;
}

static bool same_nodes(const struct capture_half *a, const struct capture_half *b)
{
	return (a->addr[0] == b->addr[0] && a->addr[1] == b->addr[1]) ||
	       (a->addr[0] == b->addr[1] && a->addr[1] == b->addr[0]);
}

static bool has_features(const struct capture_half *h)
{
	struct wire_header header;
	size_t need;

	return h->end > h->skip && !wire_decode_header(h->bytes + h->skip, h->end - h->skip,
						       &header, &need) &&
	       header.type == P_CONNECTION_FEATURES;
}

/* Whether a half is the lower address' one of a data stream that was used. */
static bool begins_connection(const struct capture_half *h)
{
	return h->stream == STREAM_DATA && h->addr[0] < h->addr[1] &&
	       (h->is_late || has_features(h));
}

/* The frame that brought the first packet after the one that names the stream. */
static uint32_t first_packet_frame(const struct capture_half *h)
{
	for (unsigned m = 0; m < h->mark_count; m++) {
		if (h->marks[m].end > h->skip)
			return h->marks[m].frame;
	}
	return h->first_frame;
}

static bool belongs_to(const struct capture_half *h, const struct capture_half *data)
{
	if (h->stream == STREAM_DATA)
		return h == data || is_reverse(h, data);
	if (h->is_late || data->is_late)
		return h->is_late && data->is_late;
	/* The control stream is opened before the first packet of the data stream. */
	return h->first_frame <= first_packet_frame(data);
}

/* Connections count by data streams of these two nodes that were used, in order of time. */
static unsigned connection_of(const struct capture *c, const struct capture_half *h)
{
	unsigned k = 0;

	for (unsigned i = 0; i < c->half_count; i++) {
		const struct capture_half *data = &c->halves[i];

		if (!begins_connection(data) || !same_nodes(data, h))
			continue;
		if (belongs_to(h, data))
			return k;
		k++;
	}
	return CAPTURE_NO_CONNECTION;
}

/* ---- packets ---- */

static void add_packet(struct capture *c, const struct capture_half *h, unsigned connection,
		       uint32_t frame, const uint8_t *bytes, size_t n)
{
	if ((c->packet_count & (c->packet_count - 1)) == 0)
		c->packets = realloc(c->packets, (c->packet_count ? 2 * c->packet_count : 1) *
							 sizeof(*c->packets));
	ASSERT(c->packets);
	c->packets[c->packet_count++] = (struct capture_packet){
		.time_ns = c->frame_ns[frame],
		.frame = frame,
		.from = (uint8_t)node_of(c, h->addr[0]),
		.to = (uint8_t)node_of(c, h->addr[1]),
		.stream = (uint8_t)h->stream,
		.is_late = h->is_late,
		.connection = connection,
		.bytes = bytes,
		.n = n,
	};
}

/* When the last of the first `end` bytes was there. */
static uint32_t frame_of(const struct capture_half *h, uint32_t end)
{
	uint32_t frame = 0, covered = 0;

	for (unsigned i = 0; i < h->mark_count && covered < end; i++) {
		if (h->marks[i].end <= covered)
			continue;
		covered = h->marks[i].end;
		frame = frame > h->marks[i].frame ? frame : h->marks[i].frame;
	}
	return frame;
}

static void split(struct capture *c, const struct capture_half *h)
{
	unsigned connection = connection_of(c, h);
	uint32_t at = h->skip;

	while (at < h->end) {
		struct wire_header header;
		size_t need, n;
		int rc = wire_decode_header(h->bytes + at, h->end - at, &header, &need);

		if (rc == WIRE_MORE || (!rc && h->end - at - need < header.length))
			break; /* the recording ends inside a packet */
		ASSERT(rc == 0);
		n = need + header.length;
		add_packet(c, h, connection, frame_of(h, at + (uint32_t)n), h->bytes + at, n);
		at += (uint32_t)n;
	}
	if (h->closed_frame != UINT32_MAX)
		add_packet(c, h, connection, h->closed_frame, NULL, 0);
}

static int by_time(const void *a, const void *b)
{
	const struct capture_packet *x = a, *y = b;

	if (x->frame != y->frame)
		return x->frame < y->frame ? -1 : 1;
	if (!x->n != !y->n)
		return x->n ? -1 : 1;
	return x->bytes < y->bytes ? -1 : x->bytes > y->bytes;
}

void capture_agreed(const struct capture *c, struct wire_ctx *ctx)
{
	*ctx = (struct wire_ctx){ .apv = 124, .features = 0x3ff };
	for (unsigned i = 0; i < c->packet_count; i++) {
		const struct capture_packet *p = &c->packets[i];
		static const struct wire_ctx early = { 0 };
		struct decoded d;

		if (!p->n || decode_packet(&early, STREAM_DATA, p->bytes, p->n, &d) ||
		    d.pkt.type != P_CONNECTION_FEATURES)
			continue;
		if (d.pkt.u.features.protocol_max < ctx->apv)
			ctx->apv = d.pkt.u.features.protocol_max;
		ctx->features &= d.pkt.u.features.features;
	}
}

struct capture *capture_read(const char *path)
{
	struct capture *c = calloc(1, sizeof(*c));

	ASSERT(c);
	c->halves = calloc(HALVES_MAX, sizeof(*c->halves));
	c->frame_ns = calloc(FRAMES_MAX, sizeof(*c->frame_ns));
	ASSERT(c->halves && c->frame_ns);
	read_frames(c, path);
	for (unsigned i = 0; i < c->half_count; i++) {
		struct capture_half *h = &c->halves[i];

		while (h->end < STREAM_BYTES_MAX && h->seen[h->end])
			h->end++;
	}
	for (unsigned i = 0; i < c->half_count; i++)
		find_stream(c, &c->halves[i]);
	for (unsigned i = 0; i < c->half_count; i++) {
		if (c->halves[i].stream >= 0)
			split(c, &c->halves[i]);
	}
	qsort(c->packets, c->packet_count, sizeof(*c->packets), by_time);
	return c;
}

void capture_free(struct capture *c)
{
	for (unsigned i = 0; i < c->half_count; i++) {
		free(c->halves[i].bytes);
		free(c->halves[i].seen);
		free(c->halves[i].marks);
	}
	for (unsigned i = 0; c->owns_packets && i < c->packet_count; i++)
		free((void *)(uintptr_t)c->packets[i].bytes);
	free(c->halves);
	free(c->frame_ns);
	free(c->packets);
	free(c);
}

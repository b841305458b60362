/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Decodes and re-encodes every packet of the recordings in the directory $DRBDFS_CAPTURES. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/wire_check.h"
#include "base/bytes.h"

#define STREAMS_MAX 128
#define STREAM_BYTES_MAX (4U << 20)
#define PCAP_MAGIC_LE_USEC 0xa1b2c3d4U
#define LINK_ETHERNET 1U
#define TCP_SYN 0x02U

/* One direction of one TCP connection; the bytes in order, as far as they were recorded. */
struct half {
	uint32_t addr[2];
	uint16_t port[2];
	uint32_t seq_base;
	uint8_t *bytes;
	uint8_t *seen; /* one byte per byte of the stream */
	uint32_t end;
	bool is_late; /* the recording began when the connection stood already */
};

/* What all these nodes agreed on. */
static const struct wire_ctx agreed = { .apv = 124, .features = 0x3ff };

struct capture {
	struct half halves[STREAMS_MAX];
	unsigned half_count;
	unsigned packets;
};

static struct half *find_half(struct capture *c, const uint32_t addr[2], const uint16_t port[2])
{
	for (unsigned i = c->half_count; i-- > 0;) {
		struct half *h = &c->halves[i];

		if (!memcmp(h->addr, addr, sizeof(h->addr)) &&
		    !memcmp(h->port, port, sizeof(h->port)))
			return h;
	}
	return NULL;
}

static struct half *add_half(struct capture *c, const uint32_t addr[2], const uint16_t port[2],
			     uint32_t seq_base)
{
	struct half *h = &c->halves[c->half_count++];

	cr_assert_leq(c->half_count, STREAMS_MAX);
	memcpy(h->addr, addr, sizeof(h->addr));
	memcpy(h->port, port, sizeof(h->port));
	h->seq_base = seq_base;
	h->bytes = calloc(1, STREAM_BYTES_MAX);
	h->seen = calloc(1, STREAM_BYTES_MAX);
	cr_assert(h->bytes && h->seen);
	return h;
}

static void add_segment(struct capture *c, const uint8_t *ip, size_t n)
{
	size_t ip_bytes = (ip[0] & 15U) * 4U, total = get_be16(ip + 2), tcp_bytes;
	const uint8_t *tcp = ip + ip_bytes;
	uint32_t addr[2] = { get_be32(ip + 12), get_be32(ip + 16) };
	uint16_t port[2] = { get_be16(tcp), get_be16(tcp + 2) };
	struct half *h = find_half(c, addr, port);
	uint32_t at;

	cr_assert(total <= n);
	tcp_bytes = (tcp[12] >> 4) * 4U;
	n = total - ip_bytes - tcp_bytes;
	if (tcp[13] & TCP_SYN) {
		add_half(c, addr, port, get_be32(tcp + 4) + 1);
		return;
	}
	if (!n)
		return;
	if (!h) {
		h = add_half(c, addr, port, get_be32(tcp + 4));
		h->is_late = true;
	}
	at = get_be32(tcp + 4) - h->seq_base;
	if (at >= 1U << 31) /* keepalive probes repeat the byte before the first */
		return;
	cr_assert(at + n <= STREAM_BYTES_MAX);
	memcpy(h->bytes + at, tcp + tcp_bytes, n);
	memset(h->seen + at, 1, n);
}

static void read_capture(struct capture *c, const char *path)
{
	FILE *f = fopen(path, "rb");
	uint8_t head[24], record[16], frame[70000];

	cr_assert(f && fread(head, 1, sizeof(head), f) == sizeof(head), "cannot read %s", path);
	cr_assert_eq(get_le32(head), PCAP_MAGIC_LE_USEC);
	cr_assert_eq(get_le32(head + 20), LINK_ETHERNET);
	while (fread(record, 1, sizeof(record), f) == sizeof(record)) {
		uint32_t n = get_le32(record + 8);

		cr_assert(n <= sizeof(frame) && fread(frame, 1, n, f) == n, "%s is cut", path);
		if (n > 54 && get_be16(frame + 12) == 0x800 && frame[14 + 9] == 6)
			add_segment(c, frame + 14, n - 14);
	}
	fclose(f);
	for (unsigned i = 0; i < c->half_count; i++) {
		struct half *h = &c->halves[i];

		while (h->end < STREAM_BYTES_MAX && h->seen[h->end])
			h->end++;
	}
}

/* For want of a first packet, the stream that the packets belong on. */
static int stream_of_packet(const struct half *h)
{
	struct decoded d;
	int rc = decode_packet(&agreed, STREAM_DATA, h->bytes, h->end, &d);

	return rc == WIRE_ERR_STREAM ? STREAM_CONTROL : STREAM_DATA;
}

/* The opener names the stream; the other direction of the connection carries no first packet. */
static int stream_of(const struct capture *c, const struct half *h, uint32_t *skip)
{
	int s;

	*skip = 0;
	if (h->end < WIRE_INITIAL_BYTES)
		return -1;
	if (h->is_late)
		return stream_of_packet(h);
	s = wire_decode_initial(h->bytes);
	if (s >= 0) {
		*skip = WIRE_INITIAL_BYTES;
		return s;
	}
	for (unsigned i = 0; i < c->half_count; i++) {
		const struct half *o = &c->halves[i];

		if (o->addr[0] == h->addr[1] && o->addr[1] == h->addr[0] &&
		    o->port[0] == h->port[1] && o->port[1] == h->port[0] &&
		    o->end >= WIRE_INITIAL_BYTES)
			return wire_decode_initial(o->bytes);
	}
	return -1;
}

/* The data-integrity-alg of these recordings is crc32c; the digest precedes the payload. */
static uint32_t digest_bytes(const char *alg)
{
	if (!*alg)
		return 0;
	cr_assert_str_eq(alg, "crc32c");
	return 4;
}

/* Bytes that a sender leaves uninitialised, or that only it understands. */
static void clear_garbage(uint16_t type, uint8_t *body, size_t n)
{
	if (type == P_OUT_OF_SYNC || type == P_RS_DEALLOCATED)
		memset(body + 12, 0, 4);
	if ((type == P_DATA_REQUEST || type == P_OV_REQUEST || type == P_OV_REPLY) && n >= 24)
		memset(body + 20, 0, 4);
}

static void check_packet(struct capture *c, const struct wire_ctx *ctx, enum stream stream,
			 const uint8_t *p, size_t n, struct decoded *d, const char *where)
{
	int rc = decode_packet(ctx, stream, p, n, d);
	struct wire_ctx sender = *ctx;
	uint8_t want[WIRE_PACKET_MAX_BYTES], got[WIRE_PACKET_MAX_BYTES];
	size_t bytes = d->header.bytes + d->body_bytes;

	cr_assert_eq(rc, 0, "%s: packet 0x%x: %s", where, d->header.type, wire_error_text(rc));
	memcpy(want, p, bytes);
	clear_garbage(d->header.type, want + d->header.bytes, d->body_bytes);
	/* A ping from before the features exchange may have the early header at any time. */
	if (d->header.form == WIRE_HEADER_80)
		sender.apv = 0;
	cr_assert_eq(wire_encode(&sender, &d->pkt, got, sizeof(got)), bytes, "%s: packet 0x%x",
		     where, d->header.type);
	cr_assert_arr_eq(got, want, bytes, "%s: packet 0x%x differs", where, d->header.type);
	c->packets++;
}

/* Both ends recorded here offered the same; the agreed values follow from either. */
static void follow(struct wire_ctx *ctx, const struct pkt *pkt)
{
	if (pkt->type == P_CONNECTION_FEATURES) {
		ctx->apv = pkt->u.features.protocol_max;
		ctx->features = pkt->u.features.features;
	}
	if (pkt->type == P_PROTOCOL)
		ctx->integrity_bytes = digest_bytes(pkt->u.protocol.integrity_alg);
}

static void check_half(struct capture *c, const struct half *h, const char *where)
{
	struct wire_ctx ctx = { 0 };
	uint32_t at;
	int stream = stream_of(c, h, &at);

	if (stream < 0)
		return;
	if (stream == STREAM_CONTROL || h->is_late)
		ctx = agreed;
	while (at < h->end) {
		struct decoded d;
		size_t need;
		int rc = wire_decode_header(h->bytes + at, h->end - at, &d.header, &need);

		if (rc == WIRE_MORE || (!rc && h->end - at - need < d.header.length))
			return; /* the recording ends inside a packet */
		cr_assert_eq(rc, 0, "%s at %u: %s", where, at, wire_error_text(rc));
		check_packet(c, &ctx, (enum stream)stream, h->bytes + at, h->end - at, &d, where);
		cr_assert_eq(d.body_bytes + d.payload_bytes, d.header.length);
		follow(&ctx, &d.pkt);
		at += d.header.bytes + d.header.length;
	}
}

static unsigned check_file(const char *dir, const char *name)
{
	struct capture *c = calloc(1, sizeof(*c));
	char path[4096];
	unsigned packets;

	cr_assert_not_null(c);
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	read_capture(c, path);
	for (unsigned i = 0; i < c->half_count; i++)
		check_half(c, &c->halves[i], name);
	packets = c->packets;
	for (unsigned i = 0; i < c->half_count; i++) {
		free(c->halves[i].bytes);
		free(c->halves[i].seen);
	}
	free(c);
	return packets;
}

/* Recordings of protocol 101 ("v84", "mix") are not for this codec. */
Test(wire_captures, every_recorded_packet_survives_decode_and_encode)
{
	const char *dir_name = getenv("DRBDFS_CAPTURES");
	DIR *dir = dir_name && *dir_name ? opendir(dir_name) : NULL;
	unsigned files = 0, packets = 0;
	struct dirent *e;

	if (!dir) {
		printf("SKIP: no recordings: DRBDFS_CAPTURES does not name a directory\n");
		return;
	}
	while ((e = readdir(dir))) {
		const char *dot = strrchr(e->d_name, '.');

		if (strncmp(e->d_name, "v9-", 3) || !dot || strcmp(dot, ".pcap"))
			continue;
		packets += check_file(dir_name, e->d_name);
		files++;
	}
	closedir(dir);
	printf("%u packets of %u recordings\n", packets, files);
	cr_assert(files == 0 || packets > 0);
	if (!files)
		printf("SKIP: no v9-*.pcap in %s\n", dir_name);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A stream of packets from a hostile peer: nothing may crash, and what decodes must mean the same
 * after encoding and decoding it again. Input: version, features, digest, stream, then the bytes.
 */
#include <stdlib.h>
#include <string.h>

#include "../lib/wire_check.h"
#include "base/bytes.h"

#define PREFIX_BYTES 5U
#define FEATURES_ALL 0x3ffU

static void require(bool ok)
{
	if (!ok)
		abort();
}

/* The first input byte picks the agreed version; early packets are a case of their own. */
static struct wire_ctx get_ctx(const uint8_t *p)
{
	unsigned version = p[0] % (APV_MAX - APV_MIN + 2U);

	return (struct wire_ctx){ .apv = version ? APV_MIN - 1U + version : 0,
				  .features = get_be16(p + 1) & FEATURES_ALL,
				  .integrity_bytes = p[3] % (WIRE_DIGEST_MAX_BYTES + 1) };
}

/* Re-encoding a packet that came with an early header needs the early form. */
static struct wire_ctx sender_ctx(const struct wire_ctx *ctx, const struct wire_header *h)
{
	struct wire_ctx s = *ctx;

	if (h->form != WIRE_HEADER_100 && (h->type == P_PING || h->type == P_PING_ACK))
		s.apv = 0;
	return s;
}

static void check_packet(const struct wire_ctx *ctx, enum stream stream, const struct decoded *d)
{
	struct wire_ctx sender = sender_ctx(ctx, &d->header);
	static uint8_t again[WIRE_PACKET_MAX_BYTES];
	struct decoded e;
	char line[1024];
	int n = wire_format(&d->pkt, line, sizeof(line));
	size_t m;

	require(n > 0 && (size_t)n == strlen(line));
	require(d->body_bytes <= WIRE_BODY_MAX_BYTES && d->payload_bytes <= BIO_MAX_BYTES);
	require((uint64_t)d->body_bytes + d->payload_bytes == d->header.length);
	require(d->pkt.payload.bytes == d->payload_bytes);
	m = wire_encode(&sender, &d->pkt, again, sizeof(again));
	require(m && m <= sizeof(again));
	require(decode_packet(ctx, stream, again, m, &e) == 0);
	/* The early header has no volume, and needs none. */
	if (e.header.form != WIRE_HEADER_100)
		e.pkt.vnr = d->pkt.vnr;
	require(same_packet(&d->pkt, &e.pkt));
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct wire_ctx ctx;
	enum stream stream;

	if (n < PREFIX_BYTES)
		return 0;
	ctx = get_ctx(p);
	stream = p[4] & 1 ? STREAM_CONTROL : STREAM_DATA;
	p += PREFIX_BYTES;
	n -= PREFIX_BYTES;
	if (n >= WIRE_INITIAL_BYTES)
		wire_decode_initial(p);
	for (;;) {
		struct decoded d;
		/* A copy of its own, so that the sanitizer sees every read beyond the packet. */
		uint8_t *copy = malloc(n ? n : 1);
		int rc;

		memcpy(copy, p, n);
		rc = decode_packet(&ctx, stream, copy, n, &d);
		if (!rc)
			check_packet(&ctx, stream, &d);
		else
			require(*wire_error_text(rc) != '\0');
		free(copy);
		if (rc || n - d.header.bytes < d.header.length)
			return 0;
		p += d.header.bytes + d.header.length;
		n -= d.header.bytes + d.header.length;
	}
}

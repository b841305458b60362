/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Decodes and re-encodes every packet of the recordings in the directory $DRBDFS_CAPTURES. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/capture.h"
#include "../lib/wire_check.h"
#include "base/bytes.h"

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

static void check_packet(const struct wire_ctx *ctx, const struct capture_packet *p,
			 struct decoded *d, const char *where)
{
	int rc = decode_packet(ctx, (enum stream)p->stream, p->bytes, p->n, d);
	struct wire_ctx sender = *ctx;
	uint8_t want[WIRE_PACKET_MAX_BYTES], got[WIRE_PACKET_MAX_BYTES];
	size_t bytes = d->header.bytes + d->body_bytes;

	cr_assert_eq(rc, 0, "%s: packet 0x%x: %s", where, d->header.type, wire_error_text(rc));
	memcpy(want, p->bytes, bytes);
	if (d->header.form == WIRE_HEADER_100) /* 8.4 has a volume everywhere */
		put_be16(want + 4, d->pkt.vnr);
	clear_garbage(d->header.type, want + d->header.bytes, d->body_bytes);
	/* A ping from before the features exchange may have the early header at any time. */
	if (d->header.form == WIRE_HEADER_80)
		sender.apv = 0;
	cr_assert_eq(wire_encode(&sender, &d->pkt, got, sizeof(got)), bytes, "%s: packet 0x%x",
		     where, d->header.type);
	cr_assert_arr_eq(got, want, bytes, "%s: packet 0x%x differs", where, d->header.type);
	cr_assert_eq(bytes + d->payload_bytes, p->n);
}

static void follow(const struct wire_ctx *agreed, struct wire_ctx *ctx, const struct pkt *pkt)
{
	if (pkt->type == P_CONNECTION_FEATURES)
		*ctx = *agreed;
	if (pkt->type == P_PROTOCOL)
		ctx->integrity_bytes = digest_bytes(pkt->u.protocol.integrity_alg);
}

static unsigned check_file(const char *dir, const char *name)
{
	char path[4096];
	struct capture *c;
	struct wire_ctx agreed;
	struct wire_ctx ctx[CAPTURE_NODES_MAX][CAPTURE_NODES_MAX] = { 0 };
	unsigned last[CAPTURE_NODES_MAX][CAPTURE_NODES_MAX] = { 0 }, packets = 0;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	c = capture_read(path);
	capture_agreed(c, &agreed);
	for (unsigned i = 0; i < c->packet_count; i++) {
		const struct capture_packet *p = &c->packets[i];
		struct wire_ctx *x = &ctx[p->from][p->to];
		struct decoded d;

		if (!p->n || p->connection == CAPTURE_NO_CONNECTION)
			continue;
		if (p->connection != last[p->from][p->to])
			*x = (struct wire_ctx){ 0 };
		if (p->is_late)
			*x = agreed;
		last[p->from][p->to] = p->connection;
		check_packet(p->stream == STREAM_CONTROL ? &agreed : x, p, &d, name);
		follow(&agreed, x, &d.pkt);
		packets++;
	}
	capture_free(c);
	return packets;
}

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

		if (!dot || strcmp(dot, ".pcap") != 0)
			continue;
		packets += check_file(dir_name, e->d_name);
		files++;
	}
	closedir(dir);
	printf("%u packets of %u recordings\n", packets, files);
	cr_assert(files == 0 || packets > 0);
	if (!files)
		printf("SKIP: no *.pcap in %s\n", dir_name);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Recordings of traffic between nodes: a pcap file as packets in the order in which they came. */
#ifndef TESTS_LIB_CAPTURE_H
#define TESTS_LIB_CAPTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/proto_enum.h"
#include "wire/wire.h"

#define CAPTURE_NODES_MAX 8
#define CAPTURE_NO_CONNECTION (~0U)

/* One direction of one TCP connection; the bytes in order, as far as they were recorded. */
struct capture_half {
	uint32_t addr[2];
	uint16_t port[2];
	uint32_t seq_base;
	uint8_t *bytes;
	uint8_t *seen;        /* one byte per byte of the stream */
	uint32_t end;
	bool is_late;         /* the recording began when the connection stood already */
	int stream;           /* enum stream; -1 = never said */
	uint32_t skip;        /* bytes of the first packet, which names the stream */
	uint32_t first_frame;
	uint32_t closed_frame; /* FIN or RST; UINT32_MAX = none */
	struct capture_mark *marks; /* which bytes came when */
	unsigned mark_count, mark_room;
};

struct capture_mark {
	uint32_t end;
	uint32_t frame;
};

/* One packet, or the end of a direction (n = 0). */
struct capture_packet {
	uint64_t time_ns;     /* since the start of the recording */
	uint32_t frame;
	uint8_t from, to;     /* by ascending address */
	uint8_t stream;
	bool is_late;         /* of a connection that the recording began in */
	unsigned connection;  /* of these two nodes, from 0; CAPTURE_NO_CONNECTION = not used */
	const uint8_t *bytes; /* header and all that follows it */
	size_t n;
};

struct capture {
	struct capture_half *halves;
	unsigned half_count;
	uint32_t addr[CAPTURE_NODES_MAX];
	unsigned node_count;
	uint64_t *frame_ns;
	unsigned frame_count;
	struct capture_packet *packets;
	unsigned packet_count;
	bool owns_packets;    /* their bytes are no part of a half */
};

/* Asserts that the file is a recording that can be read. */
struct capture *capture_read(const char *path);
/* The form in which excerpts are kept in tests/vectors/replay. */
struct capture *capture_read_text(const char *path);
void capture_write_text(const struct capture *c, const char *path);
/* What two nodes of the recording agreed on: both ends' first feature packets. */
void capture_agreed(const struct capture *c, struct wire_ctx *ctx);
void capture_free(struct capture *c);

#endif

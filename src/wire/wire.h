/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Codec between bytes of the two streams and struct pkt: no allocation, no I/O, no state. */
#ifndef WIRE_H
#define WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/proto_enum.h"
#include "proto/proto_pkt.h"

#define WIRE_INITIAL_BYTES 8U         /* first bytes of the side that opened a TCP connection */
#define WIRE_HEADER_MAX_BYTES 16U
#define WIRE_BODY_MAX_BYTES 4080U     /* fixed and small variable part, no bulk payload */
#define WIRE_PACKET_MAX_BYTES (WIRE_HEADER_MAX_BYTES + WIRE_BODY_MAX_BYTES)
#define WIRE_DIGEST_MAX_BYTES 64U
#define WIRE_BITMAP_CHUNK_BYTES 4080U /* plain chunk, unless it is the last one (5.2) */

/* What the two ends agreed on; one per direction because of the digest. */
struct wire_ctx {
	unsigned apv;            /* agreed protocol version, 0 = before the features exchange */
	uint32_t features;       /* agreed FEATURE_* */
	/* Digest that the sender puts before the bulk payload (data-integrity-alg), 0 = none. */
	uint32_t integrity_bytes;
};

enum wire_header_form { WIRE_HEADER_80, WIRE_HEADER_95, WIRE_HEADER_100 };

struct wire_header {
	uint8_t form;    /* enum wire_header_form */
	uint8_t bytes;   /* of the header itself: 8 or 16 */
	uint16_t type;
	uint16_t vnr;    /* VNR_NONE in the forms that have no volume */
	uint32_t length; /* bytes after the header */
};

/* Results of the decoding functions; wire_error_text() names them. */
enum wire_error {
	WIRE_MORE = 1,             /* not an error: more bytes are needed */
	WIRE_OK = 0,
	WIRE_ERR_MAGIC = -2001,    /* no known magic, or a form this stream does not allow */
	WIRE_ERR_PAD = -2002,      /* last word of header100 is not 0 */
	WIRE_ERR_UNKNOWN = -2003,  /* no such packet number */
	WIRE_ERR_STREAM = -2004,   /* belongs on the other stream */
	WIRE_ERR_PHASE = -2005,    /* only before, or only after, the features exchange */
	WIRE_ERR_VERSION = -2006,  /* newer than the agreed protocol version */
	WIRE_ERR_FEATURE = -2007,  /* feature not agreed */
	WIRE_ERR_VOLUME = -2008,   /* volume number missing, or given where none belongs */
	WIRE_ERR_LENGTH = -2009,
	WIRE_ERR_SECTOR = -2010,   /* range ends beyond 2^63 bytes */
	WIRE_ERR_BLOCK_SIZE = -2011, /* 0, not a multiple of 512, or above the packet's limit */
	WIRE_ERR_NODE_ID = -2012,
	WIRE_ERR_TID = -2013,      /* transaction id 0 */
	WIRE_ERR_STRING = -2014,   /* name without its NUL */
	WIRE_ERR_UUIDS = -2015,    /* mask bits from 32 on, or counts that contradict the length */
	WIRE_ERR_RANGE = -2016,    /* another field out of range */
};

/* A short phrase for logs; never NULL. */
const char *wire_error_text(int error);

/*
 * The eight bytes with which the opener of a TCP connection names its stream (1.1).
 * wire_decode_initial returns STREAM_DATA or STREAM_CONTROL, or an enum wire_error below 0.
 */
void wire_encode_initial(enum stream stream, uint8_t out[WIRE_INITIAL_BYTES]);
int wire_decode_initial(const uint8_t in[WIRE_INITIAL_BYTES]);

/*
 * Reads a header of any of the three forms (1.4). Returns 0 and sets *need to its size;
 * WIRE_MORE when the n bytes do not suffice, with *need the total to come back with;
 * WIRE_ERR_MAGIC or WIRE_ERR_PAD.
 */
int wire_decode_header(const uint8_t *p, size_t n, struct wire_header *h, size_t *need);

/*
 * Judges a header against the packet table (3.2, 3.3) before anything of its body is read.
 * On 0, *fixed_bytes (at most WIRE_BODY_MAX_BYTES) are to be collected for wire_decode_body,
 * and *payload_bytes (at most BIO_MAX_BYTES) of bulk data follow them.
 */
int wire_check_header(const struct wire_ctx *ctx, const struct wire_header *h, enum stream stream,
		      uint32_t *fixed_bytes, uint32_t *payload_bytes);

/*
 * Decodes the body of a packet whose header passed wire_check_header; n = its fixed_bytes.
 * P_UUIDS110 is decoded into *uuids, to which out->u.uuids then points. out->var points into
 * body (bitmap chunks; digests of P_*_REPLY and P_*CSUM*; integrity digest before a payload).
 * out->payload.bytes is set, its id is 0. Fields whose range does not depend on the device are
 * checked; 0 or enum wire_error.
 */
int wire_decode_body(const struct wire_ctx *ctx, const struct wire_header *h, const uint8_t *body,
		     size_t n, struct pkt *out, struct pkt_uuids *uuids);

/*
 * Encodes header, fixed part and small variable part; the caller sends pkt->payload right after
 * it, the header counts it already. Returns the bytes written, at most WIRE_PACKET_MAX_BYTES, or
 * 0: it does not fit into cap, or the packet does not exist under ctx (type, version, feature).
 * P_CONNECTION_FEATURES always gets the early header, whatever ctx says.
 */
size_t wire_encode(const struct wire_ctx *ctx, const struct pkt *pkt, uint8_t *buf, size_t cap);

/*
 * Writes the next packet of a bitmap transfer (5.2, 5.3) and returns its size, or 0 when the
 * transfer is complete. *pos is 0 at first and private to this function between the calls.
 * cap >= WIRE_PACKET_MAX_BYTES; words as for vli_encode; `bits` in units of BM_BLOCK_BYTES.
 * ctx->apv >= 100.
 */
size_t wire_encode_bitmap(const struct wire_ctx *ctx, uint16_t vnr, const uint64_t *words,
			  uint64_t bits, uint64_t *pos, uint8_t *buf, size_t cap);

/*
 * One line for a trace, without newline, NUL-terminated, cut at n: "vol=0 DATA sector=8 ...".
 * Returns the length of the line as written.
 */
int wire_format(const struct pkt *pkt, char *buf, size_t n);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One whole packet through the codec and back, and equality of decoded packets; for tests. */
#ifndef TESTS_LIB_WIRE_CHECK_H
#define TESTS_LIB_WIRE_CHECK_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "wire/wire.h"

/* A decoded packet with the room its pointers need. */
struct decoded {
	struct wire_header header;
	uint32_t body_bytes;
	uint32_t payload_bytes;
	struct pkt pkt;
	struct pkt_uuids uuids;
};

/* Decodes one packet without its bulk payload. Returns 0 or enum wire_error. */
static inline int decode_packet(const struct wire_ctx *ctx, enum stream stream, const uint8_t *p,
				size_t n, struct decoded *d)
{
	size_t need;
	int rc = wire_decode_header(p, n, &d->header, &need);

	if (rc)
		return rc;
	rc = wire_check_header(ctx, &d->header, stream, &d->body_bytes, &d->payload_bytes);
	if (rc)
		return rc;
	if (n - need < d->body_bytes)
		return WIRE_MORE;
	return wire_decode_body(ctx, &d->header, p + need, d->body_bytes, &d->pkt, &d->uuids);
}

/* Same meaning: all fields, and the contents of what the packets point to. */
static inline bool same_packet(const struct pkt *a, const struct pkt *b)
{
	struct pkt x = *a, y = *b;

	if (a->var_bytes != b->var_bytes ||
	    (a->var_bytes && memcmp(a->var, b->var, a->var_bytes)))
		return false;
	x.var = y.var = NULL;
	if (a->type == P_UUIDS110 && b->type == P_UUIDS110) {
		if (memcmp(a->u.uuids, b->u.uuids, sizeof(*a->u.uuids)))
			return false;
		x.u.uuids = y.u.uuids = NULL;
	}
	return !memcmp(&x, &y, sizeof(x));
}

#endif

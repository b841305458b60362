/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Random packets that the codec must carry unchanged; for tests. */
#ifndef TESTS_LIB_WIRE_SAMPLE_H
#define TESTS_LIB_WIRE_SAMPLE_H

#include "base/prng.h"
#include "proto/proto_pkt.h"
#include "wire/wire.h"

/* A packet with the room its pointers need. */
struct sample {
	struct pkt pkt;
	struct pkt_uuids uuids;
	uint8_t var[WIRE_BODY_MAX_BYTES];
};

/* All packet numbers but the initial ones, and where each belongs. */
struct sample_type {
	uint16_t type;
	uint8_t streams; /* bit per enum stream */
};
extern const struct sample_type sample_types[];
extern const unsigned sample_type_count;

/* A packet of protocol 101 that later ones do not have. */
bool sample_is_of_8_4(unsigned type);
/* Fills *s with a packet of this type that is valid under ctx. */
void sample_packet(struct sample *s, struct prng *r, const struct wire_ctx *ctx, unsigned type);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Generation identifiers, as held in core, sent in P_UUIDS110 and stored in the superblock. */
#ifndef PROTO_UUID_H
#define PROTO_UUID_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/proto_limits.h"

/* Equality of generations: bit 0 (Primary marker) is masked (states-and-resync 1.1). */
static inline bool uuid_eq(uint64_t a, uint64_t b)
{
	return (a & ~UUID_PRIMARY) == (b & ~UUID_PRIMARY);
}

/* Payload of P_UUIDS110, decoded. A node missing in the mask has bitmap[] = UUID_UNKNOWN. */
struct pkt_uuids {
	uint64_t current;
	uint64_t dirty_bits;
	uint64_t flags;      /* UUID_FLAG_*, unallocated slot's node id in the top byte */
	uint64_t node_mask;  /* weak nodes (STABLE) or authoritative nodes (not STABLE) */
	uint64_t bitmap_mask;
	uint64_t bitmap[NODES_MAX];
	uint64_t history[HISTORY_UUIDS]; /* newest first, zero-filled */
};

#endif

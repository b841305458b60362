/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Digests of data by the names that DRBD uses: crc32c, and what the cryptographic library knows. */
#ifndef NET_DIGEST_H
#define NET_DIGEST_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/proto_limits.h"

struct evp_md_st;

struct net_digest {
	uint32_t bytes;             /* 0 = none */
	const struct evp_md_st *md; /* NULL: crc32c */
};

/* "" = none. False: unknown algorithm. */
bool net_digest_set(struct net_digest *digest, const char *alg);
/* Writes digest->bytes bytes. Callable from any thread. */
void net_digest_of(const struct net_digest *digest, const void *data, uint32_t bytes,
		   uint8_t out[DIGEST_MAX_BYTES]);

#endif

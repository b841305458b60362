/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Digests of data: of payloads (data-integrity-alg), of blocks (verify-alg, csums-alg). */
#include "net/net_digest.h"

#include <openssl/evp.h>
#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "base/crc32c.h"

#define CRC32C_BYTES 4U

STATIC_ASSERT(DIGEST_MAX_BYTES >= EVP_MAX_MD_SIZE, "every digest fits");

bool net_digest_set(struct net_digest *digest, const char *alg)
{
	*digest = (struct net_digest){ .bytes = 0 };
	if (!alg[0])
		return true;
	if (!strcmp(alg, "crc32c")) {
		digest->bytes = CRC32C_BYTES;
		return true;
	}
	digest->md = EVP_get_digestbyname(alg);
	if (!digest->md)
		return false;
	digest->bytes = (uint32_t)EVP_MD_get_size(digest->md);
	return true;
}

void net_digest_of(const struct net_digest *digest, const void *data, uint32_t bytes,
		   uint8_t out[DIGEST_MAX_BYTES])
{
	int done;

	if (!digest->md) {
		put_le32(out, ~crc32c(UINT32_MAX, data, bytes));
		return;
	}
	done = EVP_Digest(data, bytes, out, NULL, digest->md, NULL);
	ASSERT(done == 1); /* it was found by name */
}

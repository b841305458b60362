/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Random numbers, HMAC and digests for the core, by the kernel and by OpenSSL. */
#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <string.h>
#include <sys/random.h>

#include "base/assert.h"
#include "core/core.h"
#include "net/net_digest.h"
#include "shard_int.h"

static void random_bytes(void *ctx, void *out, size_t bytes)
{
	uint8_t *p = out;

	(void)ctx;
	while (bytes > 0) {
		ssize_t n = getrandom(p, bytes, 0);

		if (n < 0 && errno == EINTR)
			continue;
		ASSERT(n > 0);
		p += n;
		bytes -= (size_t)n;
	}
}

/* The configuration has kernel names: "sha256" as well as "hmac(sha256)". */
static bool digest_name(const char *alg, char *out, size_t out_bytes)
{
	size_t n = strlen(alg);

	if (n > 6 && !strncmp(alg, "hmac(", 5) && alg[n - 1] == ')') {
		alg += 5;
		n -= 6;
	}
	if (n == 0 || n >= out_bytes)
		return false;
	memcpy(out, alg, n);
	out[n] = '\0';
	return true;
}

static size_t hmac(void *ctx, const char *alg, const void *key, size_t key_bytes, const void *msg,
		   size_t msg_bytes, uint8_t out[64])
{
	char digest[ALG_NAME_MAX];
	EVP_MAC *mac = NULL;
	EVP_MAC_CTX *mac_ctx = NULL;
	OSSL_PARAM params[2];
	size_t bytes = 0;

	(void)ctx;
	if (!digest_name(alg, digest, sizeof(digest)))
		return 0;
	params[0] = OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0);
	params[1] = OSSL_PARAM_construct_end();
	mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	mac_ctx = mac ? EVP_MAC_CTX_new(mac) : NULL;
	if (!mac_ctx || !EVP_MAC_init(mac_ctx, key, key_bytes, params) ||
	    !EVP_MAC_update(mac_ctx, msg, msg_bytes) || !EVP_MAC_final(mac_ctx, out, &bytes, 64))
		bytes = 0;
	EVP_MAC_CTX_free(mac_ctx);
	EVP_MAC_free(mac);
	return bytes;
}

static size_t digest_bytes(void *ctx, const char *alg)
{
	struct net_digest digest;

	(void)ctx;
	return net_digest_set(&digest, alg) ? digest.bytes : 0;
}

const struct core_crypto crypto_openssl = { .random = random_bytes, .hmac = hmac,
					    .digest_bytes = digest_bytes };

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Mutual challenge and response with a shared secret (wire-protocol 2.3). */
#include <string.h>

#include "base/bytes.h"
#include "core/cluster.h"
#include "core/core_hooks.h"
#include "core/drbd8.h"

#define HMAC_MAX_BYTES 64U
#define MESSAGE_BYTES (AUTH_CHALLENGE_BYTES + 4)

/* HMAC over challenge and the node id of the one who answers it; 0 = unknown algorithm. */
static size_t response_of(struct core *core, const struct peer *peer, const uint8_t *challenge,
			  unsigned responder, uint8_t out[HMAC_MAX_BYTES])
{
	const struct core_crypto *crypto = &core->conf.crypto;
	const struct core_net_conf *net = &peer->conf->net;
	uint8_t message[MESSAGE_BYTES];

	memcpy(message, challenge, AUTH_CHALLENGE_BYTES);
	put_be32(message + AUTH_CHALLENGE_BYTES, responder);
	return crypto->hmac(crypto->ctx, net->cram_hmac_alg, net->shared_secret,
			    strlen(net->shared_secret), message,
			    peer_is_drbd8(peer) ? AUTH_CHALLENGE_BYTES : sizeof(message), out);
}

/* Takes the same time wherever the difference is. */
static bool equal_constant_time(const uint8_t *a, const uint8_t *b, size_t n)
{
	uint8_t diff = 0;

	for (size_t i = 0; i < n; i++)
		diff |= a[i] ^ b[i];
	return diff == 0;
}

void auth_start(struct core *core, struct peer *peer)
{
	struct pkt pkt = { .type = P_AUTH_CHALLENGE, .vnr = VNR_NONE };

	core->conf.crypto.random(core->conf.crypto.ctx, peer->my_challenge,
				 AUTH_CHALLENGE_BYTES);
	pkt.u.auth.bytes = AUTH_CHALLENGE_BYTES;
	memcpy(pkt.u.auth.data, peer->my_challenge, AUTH_CHALLENGE_BYTES);
	core_send(core, peer, STREAM_DATA, &pkt);
}

/* Both directions are proven: nothing but features and authentication was handled so far. */
static void auth_check_done(struct core *core, struct peer *peer)
{
	if (peer->sent_response && peer->got_auth_ok)
		handshake_send_protocol(core, peer);
}

void rx_auth_challenge(struct core *core, struct peer *peer, const struct pkt *pkt)
{
	const struct pkt_auth *auth = &pkt->u.auth;
	struct pkt answer = { .type = P_AUTH_RESPONSE, .vnr = VNR_NONE };
	uint8_t hmac[HMAC_MAX_BYTES];
	size_t n;

	if (auth->bytes != AUTH_CHALLENGE_BYTES || peer->got_challenge) {
		peer_standalone(core, peer, false,
				"authentication failed: malformed challenge from %s",
				peer->conf->name);
		return;
	}
	if (equal_constant_time(auth->data, peer->my_challenge, AUTH_CHALLENGE_BYTES)) {
		peer_standalone(core, peer, false,
				"authentication failed: %s sent our own challenge back",
				peer->conf->name);
		return;
	}
	n = response_of(core, peer, auth->data, core->self, hmac);
	if (n == 0 || n > HMAC_MAX_BYTES) {
		peer_standalone(core, peer, false,
				"authentication failed: cram-hmac-alg %s is not available",
				peer->conf->net.cram_hmac_alg);
		return;
	}
	peer->got_challenge = true;
	peer->sent_response = true;
	answer.u.auth.bytes = (uint32_t)n;
	memcpy(answer.u.auth.data, hmac, n);
	core_send(core, peer, STREAM_DATA, &answer);
	auth_check_done(core, peer);
}

void rx_auth_response(struct core *core, struct peer *peer, const struct pkt *pkt)
{
	const struct pkt_auth *auth = &pkt->u.auth;
	uint8_t hmac[HMAC_MAX_BYTES];
	size_t n = response_of(core, peer, peer->my_challenge, peer->id, hmac);

	if (n == 0 || n > HMAC_MAX_BYTES || peer->got_auth_ok || auth->bytes != n ||
	    !equal_constant_time(auth->data, hmac, n)) {
		peer_standalone(core, peer, false,
				"authentication failed: %s does not have the same shared-secret",
				peer->conf->name);
		return;
	}
	peer->got_auth_ok = true;
	auth_check_done(core, peer);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From two streams to a connection: versions, options, and
 * the exchange inside the connect transaction (2.1). */
#include <stdio.h>
#include <string.h>

#include "core/cluster.h"
#include "core/core_hooks.h"
#include "core/drbd8.h"
#include "core/state.h"

/* Silence that ends a handshake, in ping-timeouts (1.5). */
#define HS_PING_TIMEOUTS 10U
#define HS_AGAIN_NS NS_PER_S
#define HS_AGAIN_SOON_NS (50 * NS_PER_MS)
#define HS_AGAIN_PATIENT 8U  /* so many in a row, and pauses become longer */
#define HS_AGAIN_SHIFT_MAX 6U

/* Each of the connections tries again for itself, and each try concerns all nodes. */
static uint64_t crowd(const struct core *core)
{
	return 1 + (uint64_t)core->peer_count * core->peer_count / 128;
}

void handshake_deadline_arm(struct core *core, struct peer *peer)
{
	uint64_t silence_ns = (uint64_t)peer->conf->net.ping_timeout_ds * HS_PING_TIMEOUTS * 100 *
			      NS_PER_MS;

	/* Both ends wait while the one that begins the transaction pauses between its tries. */
	if (peer->phase == HS_READY)
		silence_ns *= crowd(core);
	peer->hs_deadline_ns = core->now_ns + silence_ns;
}

/* With digests before the payloads a DRBD kernel takes what follows a P_ZEROES for one (4.2). */
static uint32_t features_offered(const struct peer *peer)
{
	if (peer->conf->net.data_integrity_alg[0])
		return FEATURES_OFFERED & ~FEATURE_WZEROES;
	return FEATURES_OFFERED;
}

void handshake_start(struct core *core, struct peer *peer)
{
	struct pkt pkt = { .type = P_CONNECTION_FEATURES, .vnr = VNR_NONE };

	handshake_reset(peer);
	peer->phase = HS_FEATURES;
	handshake_deadline_arm(core, peer);
	pkt.u.features = (struct pkt_features){
		.protocol_min = APV_8_4, /* what lies between is refused when it comes */
		.protocol_max = APV_MAX,
		.features = features_offered(peer),
		.sender_node_id = core->self,
		.receiver_node_id = peer->id,
	};
	core_send(core, peer, STREAM_DATA, &pkt);
}

void handshake_forget(struct peer *peer)
{
	for (unsigned v = 0; v < peer->pd_count; v++) {
		struct peer_device *pd = &peer->pd[v];

		pd->have_sizes = false;
		pd->have_uuids = false;
		pd->have_state = false;
		pd->uuids_valid = false;
		pd->left_behind = false;
		pd->current_uuid_rx = 0;
		pd->verdict = (struct sync_verdict){ .kind = VERDICT_NONE };
	}
	peer->lost_primary_dagtag = 0;
	peer->lost_primary_node = NODES_MAX;
}

void handshake_reset(struct peer *peer)
{
	handshake_forget(peer);
	peer->phase = HS_NONE;
	peer->apv = 0;
	peer->features = 0;
	peer->got_features = false;
	peer->got_challenge = false;
	peer->got_auth_ok = false;
	peer->sent_response = false;
	peer->got_protocol = false;
	peer->gives_way = false;
	peer->discard_their_data = false;
	peer->hs_owed = false;
	peer->hs_refused = false;
}

/* ---- P_CONNECTION_FEATURES ---- */

/* What has to be done about a peer whose versions do not overlap with ours. */
static const char *release_needed(uint32_t max)
{
	if (max >= APV_MIN)
		return "it is newer than this program: update drbdfs here";
	if (max > APV_8_4)
		return "it needs DRBD 9.0.26 or later, or 9.1.0 or later";
	return "it needs DRBD 8.4.2 or later";
}

void rx_features(struct core *core, struct peer *peer, const struct pkt *pkt)
{
	const struct pkt_features *f = &pkt->u.features;
	uint32_t max = f->protocol_max ? f->protocol_max : f->protocol_min;

	if (max == APV_8_4 && core->peer_count > 1) {
		peer_standalone(core, peer, false,
				"%s runs DRBD 8.4, which is for two nodes; this resource has more",
				peer->conf->name);
		return;
	}
	/* 8.4 has no node ids. */
	if (max != APV_8_4 &&
	    (f->sender_node_id != peer->id || f->receiver_node_id != core->self)) {
		peer_fail(core, peer, CONN_NETWORK_FAILURE,
			  "node ids do not match: %s says it is node %u and we are node %u, "
			  "configured are %u and %u",
			  peer->conf->name, f->sender_node_id, f->receiver_node_id, peer->id,
			  core->self);
		return;
	}
	if (f->protocol_min > APV_MAX || (max < APV_MIN && max != APV_8_4)) {
		peer_standalone(core, peer, false,
				"no common protocol version: %u-%u here, %u-%u on %s; %s", APV_MIN,
				APV_MAX, f->protocol_min, max, peer->conf->name,
				release_needed(max));
		return;
	}
	peer->apv = max < APV_MAX ? max : APV_MAX;
	peer->features = f->features & features_offered(peer);
	if (peer->apv == 121 && (peer->features & FEATURE_RESYNC_DAGTAG)) {
		peer_standalone(core, peer, false,
				"%s speaks protocol 121 with dagtag resync (DRBD 9.2.0 to 9.2.2), "
				"which is not compatible",
				peer->conf->name);
		return;
	}
	peer->got_features = true;
	handshake_deadline_arm(core, peer);
	if (peer->conf->net.cram_hmac_alg[0]) {
		peer->phase = HS_AUTH;
		auth_start(core, peer);
	} else {
		handshake_send_protocol(core, peer);
	}
}

/* ---- P_PROTOCOL ---- */

static void protocol_send(struct core *core, struct peer *peer, uint16_t type,
			  uint32_t conn_flags)
{
	const struct core_net_conf *net = &peer->conf->net;
	struct pkt pkt = { .type = type, .vnr = VNR_NONE };

	pkt.u.protocol.protocol = (uint32_t)net->protocol;
	pkt.u.protocol.after_sb_0p = (uint32_t)net->after_sb_0p;
	pkt.u.protocol.after_sb_1p = (uint32_t)net->after_sb_1p;
	pkt.u.protocol.after_sb_2p = (uint32_t)net->after_sb_2p;
	pkt.u.protocol.conn_flags = conn_flags | (net->two_primaries ? CONN_FLAG_GIVES_WAY : 0);
	pkt.u.protocol.two_primaries = net->two_primaries;
	memcpy(pkt.u.protocol.integrity_alg, net->data_integrity_alg, ALG_NAME_MAX);
	core_send(core, peer, STREAM_DATA, &pkt);
}

void handshake_send_protocol(struct core *core, struct peer *peer)
{
	/* Both may give up data, if not those of the same volume: P_UUIDS says of which. */
	bool all = peer->discard_my_data && !peer->discard_one;

	peer->phase = HS_PROTOCOL;
	handshake_deadline_arm(core, peer);
	protocol_send(core, peer, P_PROTOCOL, all ? CONN_FLAG_DISCARD_MY_DATA : 0);
}

void handshake_send_protocol_update(struct core *core, struct peer *peer)
{
	protocol_send(core, peer, P_PROTOCOL_UPDATE, 0);
}

/* "discard-local" on one node is "discard-remote" on the other. */
static uint32_t mirrored(uint32_t asb)
{
	if (asb == ASB_DISCARD_LOCAL)
		return ASB_DISCARD_REMOTE;
	return asb == ASB_DISCARD_REMOTE ? ASB_DISCARD_LOCAL : asb;
}

/* The first option that differs; NULL = all agree. */
static const char *protocol_mismatch(const struct core_net_conf *net, const struct pkt_protocol *p)
{
	if (p->protocol != (uint32_t)net->protocol)
		return "protocol";
	if (mirrored(p->after_sb_0p) != (uint32_t)net->after_sb_0p)
		return "after-sb-0pri";
	if (mirrored(p->after_sb_1p) != (uint32_t)net->after_sb_1p)
		return "after-sb-1pri";
	if (mirrored(p->after_sb_2p) != (uint32_t)net->after_sb_2p)
		return "after-sb-2pri";
	if (!p->two_primaries == net->two_primaries)
		return "allow-two-primaries";
	return strcmp(p->integrity_alg, net->data_integrity_alg) ? "data-integrity-alg" : NULL;
}

void rx_protocol(struct core *core, struct peer *peer, const struct pkt *pkt)
{
	const struct pkt_protocol *p = &pkt->u.protocol;
	const char *option = protocol_mismatch(&peer->conf->net, p);

	if (option) {
		peer_standalone(core, peer, false,
				"option %s differs from that on %s; make both the same", option,
				peer->conf->name);
		return;
	}
	if (p->conn_flags & CONN_FLAG_DRY_RUN) {
		peer_standalone(core, peer, false, "%s asks for a dry run, which is not supported",
				peer->conf->name);
		return;
	}
	if (p->two_primaries && peer_is_drbd8(peer)) {
		peer_standalone(core, peer, false,
				"option allow-two-primaries is not supported with DRBD 8.4");
		return;
	}
	peer->gives_way = p->conn_flags & CONN_FLAG_GIVES_WAY;
	peer->discard_their_data = p->conn_flags & CONN_FLAG_DISCARD_MY_DATA;
	if (peer->discard_their_data && peer->discard_my_data) {
		peer_standalone(core, peer, false,
				"discard-my-data was given on both nodes: nothing would be left");
		return;
	}
	peer->got_protocol = true;
	peer->phase = HS_READY;
	handshake_deadline_arm(core, peer);
	if (peer_is_drbd8(peer))
		handshake_exchange(core, peer);
	else if (core->self < peer->id)
		twopc_request_connect(core, peer);
}

/*
 * The protocol, and whether both may be Primary, is one setting of both nodes, whoever changes it.
 * A policy that discards data is not taken over from anybody: it has to be the same at the next
 * connect. Digests need a new agreement on the features.
 */
void rx_protocol_update(struct core *core, struct peer *peer, const struct pkt *pkt)
{
	const struct pkt_protocol *p = &pkt->u.protocol;
	struct core_net_conf *net = configure_net(core, peer);
	const char *option = protocol_mismatch(net, p);

	peer->gives_way = p->conn_flags & CONN_FLAG_GIVES_WAY;
	if (!option)
		return;
	if (strcmp(p->integrity_alg, net->data_integrity_alg) != 0) {
		peer_standalone(core, peer, true,
				"%s changed option data-integrity-alg; change it here too and "
				"connect again",
				peer->conf->name);
		return;
	}
	core_log(core, LOG_LEVEL_WARNING,
		 "%s %s: option %s was changed there: change it in the configuration here, too, or "
		 "the next connect fails",
		 core->conf.name, peer->conf->name, option);
	if (p->protocol >= PROTOCOL_A && p->protocol <= PROTOCOL_C)
		net->protocol = (enum wire_protocol)p->protocol;
	net->two_primaries = p->two_primaries && !peer_is_drbd8(peer);
	core->notify = true;
}

static bool digest_known(const struct core *core, const char *alg)
{
	const struct core_crypto *crypto = &core->conf.crypto;

	return !alg[0] || crypto->digest_bytes(crypto->ctx, alg) > 0;
}

/* Digests of before and after do not compare. */
static void take_digests(struct core *core, struct peer *peer, const char *csums_alg,
			 const char *verify_alg)
{
	if (strcmp(peer->verify_alg, verify_alg) != 0)
		verify_alg_changed(core, peer);
	snprintf(peer->csums_alg, sizeof(peer->csums_alg), "%s", csums_alg);
	snprintf(peer->verify_alg, sizeof(peer->verify_alg), "%s", verify_alg);
}

void rx_sync_param(struct core *core, struct peer *peer, const struct pkt *pkt)
{
	const struct pkt_sync_param *p = &pkt->u.sync_param;
	const struct core_net_conf *net = &peer->conf->net;
	bool same_verify = !strcmp(p->verify_alg, net->verify_alg);

	if (!peer_connected(core, peer) && strcmp(p->csums_alg, net->csums_alg) != 0) {
		peer_standalone(core, peer, true,
				"option csums-alg is \"%s\" here and \"%s\" on %s; make both the "
				"same",
				net->csums_alg, p->csums_alg, peer->conf->name);
		return;
	}
	if (!digest_known(core, p->verify_alg) || !digest_known(core, p->csums_alg)) {
		peer_standalone(core, peer, true,
				"%s sets verify-alg or csums-alg to \"%s\", which is unknown here",
				peer->conf->name,
				digest_known(core, p->csums_alg) ? p->verify_alg : p->csums_alg);
		return;
	}
	if (!peer_connected(core, peer) && !same_verify)
		core_log(core, LOG_LEVEL_WARNING,
			 "%s %s: verify-alg is \"%s\" here and \"%s\" there: no verify until "
			 "both are the same",
			 core->conf.name, peer->conf->name, net->verify_alg, p->verify_alg);
	/* Changed while it is connected, it is followed: by a DRBD kernel, too. */
	take_digests(core, peer, p->csums_alg,
		     same_verify || peer_connected(core, peer) ? p->verify_alg : "");
}

/* ---- the exchange of 2.1 step 7 ---- */

void handshake_send_sync_param(struct core *core, struct peer *peer, const struct volume *vol)
{
	const struct core_disk_conf *disk = &vol->conf->disk;
	struct pkt pkt = { .type = P_SYNC_PARAM89, .vnr = vol->vnr };

	pkt.u.sync_param.resync_rate = disk->resync_rate_kib;
	pkt.u.sync_param.c_plan_ahead = disk->c_plan_ahead_ds;
	pkt.u.sync_param.c_delay_target = disk->c_delay_target_ds;
	pkt.u.sync_param.c_fill_target = disk->c_fill_target_sectors;
	pkt.u.sync_param.c_max_rate = disk->c_max_rate_kib;
	memcpy(pkt.u.sync_param.verify_alg, peer->conf->net.verify_alg, ALG_NAME_MAX);
	memcpy(pkt.u.sync_param.csums_alg, peer->conf->net.csums_alg, ALG_NAME_MAX);
	core_send(core, peer, STREAM_DATA, &pkt);
}

void handshake_send_digests(struct core *core, struct peer *peer)
{
	const struct core_net_conf *net = &peer->conf->net;

	take_digests(core, peer, net->csums_alg, net->verify_alg);
	FOR_EACH_VOLUME(core, vol)
		handshake_send_sync_param(core, peer, vol);
}

/* So that both know which of them got more of its last writes (2.6). */
static void send_lost_primary(struct core *core, struct peer *peer)
{
	struct pkt pkt = { .type = P_PEER_DAGTAG, .vnr = VNR_NONE };

	if ((peer->features & FEATURE_RECONCILE_RECONNECT) &&
	    reconcile_name_lost(core, peer, &pkt.u.dagtag))
		core_send(core, peer, STREAM_DATA, &pkt);
}

void handshake_exchange(struct core *core, struct peer *peer)
{
	handshake_forget(peer);
	handshake_deadline_arm(core, peer);
	send_lost_primary(core, peer);
	FOR_EACH_VOLUME(core, vol) {
		md_peer_returns(core, vol, peer->id);
		handshake_send_sync_param(core, peer, vol);
		replicate_connects(core, &peer->pd[vol->v]);
		sizes_send(core, peer, vol->v);
		uuid_send(core, peer, vol->v, 0, 0);
		peer_send_state(core, peer, vol->v);
	}
}

bool handshake_complete(const struct core *core, const struct peer *peer)
{
	FOR_EACH_VOLUME(core, vol) {
		if (!peer->pd[vol->v].have_state)
			return false;
	}
	return true;
}

const char *handshake_waiting_for(const struct core *core, const struct peer *peer)
{
	switch (peer->phase) {
	case HS_NONE:
	case HS_FEATURES:
		return "no feature packet";
	case HS_AUTH:
		return "no answer to the authentication; is cram-hmac-alg set on both nodes?";
	case HS_PROTOCOL:
		return "no protocol packet";
	case HS_READY:
		break;
	}
	if (peer_connected(core, peer))
		return "no report about the disk that was attached here";
	if (twopc_connects(core, peer))
		return "not all volumes were reported; are the same volumes up on both nodes?";
	return "no connect transaction";
}

void handshake_rx_state(struct core *core, struct peer *peer, struct volume *vol, uint32_t word)
{
	struct peer_device *pd = &peer->pd[vol->v];

	handshake_deadline_arm(core, peer);
	/* Only counts behind this round's generations (2.8). */
	/* A diskless 8.4 sends none. */
	if ((!pd->have_uuids && !peer_is_drbd8(peer)) || !pd->have_sizes)
		return;
	pd->have_state = true;
	pd->state_word = word;
	if (!handshake_complete(core, peer))
		return;
	if (peer_is_drbd8(peer)) {
		drbd8_connect(core, peer);
		return;
	}
	if (twopc_connects(core, peer)) {
		twopc_handshake_done(core, peer);
		return;
	}
	/* The rest of an aborted round has arrived: the next one may begin. */
	handshake_forget(peer);
	peer->hs_owed = false;
	core_work(core, WORK_TWOPC);
}

static enum disk_state word_disk(const struct peer_device *pd)
{
	enum disk_state disk = (enum disk_state)((pd->state_word & SW_DISK_MASK) >> SW_DISK_SHIFT);

	if (disk != DISK_NEGOTIATING)
		return disk;
	return pd->uuids.flags & UUID_FLAG_INCONSISTENT ? DISK_INCONSISTENT : DISK_CONSISTENT;
}

static enum state_rv decide_volume(struct core *core, struct peer *peer, struct volume *vol,
				   const char **reason)
{
	struct peer_device *pd = &peer->pd[vol->v];
	enum disk_state disk = disk_of(core, vol);
	uint64_t sectors;

	if (disk == DISK_ATTACHING || disk == DISK_NEGOTIATING) {
		*reason = "the local disk is being attached";
		return SS_HANDSHAKE_RETRY;
	}
	if (word_disk(pd) > DISK_FAILED && !peer->conf->has_disk[vol->v]) {
		*reason = "the peer reports a disk but is configured without one";
		return SS_HANDSHAKE_DISCONNECT;
	}
	if (!sizes_agree(core, peer, vol->v, &sectors, reason))
		return SS_HANDSHAKE_DISCONNECT;
	sync_handshake(core, peer, vol);
	sync_fill_growth(core, peer, vol, sizes_missed_growth(core, peer, vol->v));
	*reason = pd->verdict.reason;
	switch (pd->verdict.kind) {
	case VERDICT_DISCONNECT:
		return SS_HANDSHAKE_DISCONNECT;
	case VERDICT_RETRY:
		return SS_HANDSHAKE_RETRY;
	case VERDICT_NONE:
	case VERDICT_GO:
		break;
	}
	return SS_SUCCESS;
}

enum state_rv handshake_decide(struct core *core, struct peer *peer, const char **reason)
{
	enum state_rv result = SS_SUCCESS;

	FOR_EACH_VOLUME(core, vol) {
		const char *why = NULL;
		enum state_rv rv = decide_volume(core, peer, vol, &why);

		if (rv >= SS_SUCCESS)
			continue;
		/* A final refusal outranks a passing one. */
		if (result >= SS_SUCCESS || rv == SS_HANDSHAKE_DISCONNECT) {
			result = rv;
			*reason = why ? why : "the handshake failed";
		}
		if (result == SS_HANDSHAKE_DISCONNECT)
			break;
	}
	return result;
}

/* Older data than another node has are nobody's latest, also while nobody can mend them. */
static void outdate_who_is_behind(const struct peer *peer, struct state *next, unsigned v)
{
	struct state_peer_device *spd = &next->pd[peer->id][v];
	enum disk_state *disk = NULL;

	if (peer->pd[v].verdict.behind == SYNC_BEHIND_ME && next->role != ROLE_PRIMARY)
		disk = &next->vol[v].disk;
	if (peer->pd[v].verdict.behind == SYNC_BEHIND_PEER &&
	    next->peer[peer->id].role != ROLE_PRIMARY)
		disk = &spd->pdsk;
	if (disk && *disk > DISK_OUTDATED)
		*disk = DISK_OUTDATED;
}

void handshake_apply(struct core *core, struct state *next, struct peer *peer)
{
	next->peer[peer->id].conn = CONN_CONNECTED;
	FOR_EACH_VOLUME(core, vol) {
		const struct peer_device *pd = &peer->pd[vol->v];
		struct state_peer_device *spd = &next->pd[peer->id][vol->v];

		next->peer[peer->id].role = (enum role)(pd->state_word & SW_ROLE_MASK);
		spd->pdsk = word_disk(pd);
		spd->untrusted = false;
		spd->quorate = pd->state_word & SW_QUORUM;
		spd->held = pd->state_word & (SW_SUSP | SW_SUSP_FEN);
		spd->susp_peer = pd->state_word & (SW_AFTER_ISP | SW_USER_ISP);
		spd->repl = pd->verdict.kind == VERDICT_GO ? pd->verdict.repl : REPL_ESTABLISHED;
		outdate_who_is_behind(peer, next, vol->v);
	}
}

void handshake_commit(struct core *core, struct peer *peer)
{
	core->twopc.connects_failed /= 2;
	FOR_EACH_VOLUME(core, vol) {
		const char *reason;
		uint64_t sectors;

		if (sizes_agree(core, peer, vol->v, &sectors, &reason)) {
			if (sizes_missed_growth(core, peer, vol->v) > 0)
				resize_follow(core, vol, sectors);
			else
				sizes_set(core, vol, sectors, false);
		}
		if (peer->pd[vol->v].verdict.kind == VERDICT_GO)
			sync_verdict_apply(core, peer, vol);
		/* It may go on calling itself UpToDate. */
		if (peer->pd[vol->v].verdict.behind == SYNC_BEHIND_PEER &&
		    (peer->pd[vol->v].state_word & SW_ROLE_MASK) != ROLE_PRIMARY)
			peer->pd[vol->v].left_behind = true;
	}
	save_ask(core, peer);
	peer_keep_data(core, peer);
	peer->discard_their_data = false;
	peer->retry_count = 0;
	peer->reason[0] = '\0';
	peer->hs_deadline_ns = NEVER_NS;
	peer->hs_again_ns = NEVER_NS;
	peer->fork_at_ns = 0;
}

/* The peer has newer data but will not sync us now:
 * ours must not be promoted in the meantime (2.5 p). */
static void outdate_if_target(struct core *core, struct peer *peer)
{
	struct state *next;

	if (core->st.role == ROLE_PRIMARY)
		return;
	next = state_begin(core);
	FOR_EACH_VOLUME(core, vol) {
		const struct sync_verdict *verdict = &peer->pd[vol->v].verdict;

		if (verdict->kind == VERDICT_GO && verdict->repl == REPL_WF_BITMAP_T &&
		    next->vol[vol->v].disk > DISK_OUTDATED)
			next->vol[vol->v].disk = DISK_OUTDATED;
	}
	state_end(core, STATE_HARD);
}

/* Many nodes that all connect to each other keep each other from it if they do not slow down. */
static uint64_t pause(struct core *core)
{
	unsigned failed = core->twopc.connects_failed++, shift = 0;

	if (failed > HS_AGAIN_PATIENT)
		shift = failed - HS_AGAIN_PATIENT;
	if (shift > HS_AGAIN_SHIFT_MAX)
		shift = HS_AGAIN_SHIFT_MAX;
	return core_random64(core) % ((HS_AGAIN_SOON_NS << shift) * crowd(core));
}

void handshake_failed(struct core *core, struct peer *peer, enum state_rv rv)
{
	bool conflict = rv == SS_TWO_PRIMARIES || rv == SS_CW_FAILED_BY_PEER ||
			rv == SS_WEAKLY_CONNECTED || rv == SS_PRIMARY_READER;

	if (conflict)
		outdate_if_target(core, peer);
	handshake_forget(peer);
	if (rv == SS_HANDSHAKE_DISCONNECT) {
		peer_standalone(core, peer, true, NULL);
	} else if (conflict && peer->conf->net.rr_conflict != ASB_RETRY_CONNECT) {
		snprintf(peer->reason, sizeof(peer->reason), "%s: see the log of %s",
			 state_rv_text(rv), peer->conf->name);
		peer_standalone(core, peer, true, NULL);
	} else if (rv == SS_TIMEOUT || rv == SS_CONCURRENT_ST_CHG) {
		peer->hs_again_ns = core->now_ns + HS_AGAIN_SOON_NS + pause(core);
	} else {
		peer->hs_again_ns = core->now_ns + HS_AGAIN_NS;
	}
}

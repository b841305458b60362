/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which packet is legal when, and who handles it; everything
 * else ends the connection (wire-protocol 9.4). */
#include "core/cluster.h"
#include "core/core_hooks.h"
#include "core/drbd8.h"

enum rx_when {
	RX_NEVER,
	RX_FEATURES,
	RX_AUTH,
	RX_PROTOCOL,
	RX_READY,     /* handshake done: transactions and what belongs to their connect */
	/* control stream: may overtake the COMMIT that makes the connection Connected */
	RX_EARLY,
	RX_CONNECTED,
	RX_READY_8,   /* of DRBD 8.4 only */
	RX_CONNECTED_8,
	RX_ANY,
};

enum rx_volume { NO_VOLUME, NEEDS_VOLUME, SKIPS_UNKNOWN, MAY_HAVE_VOLUME };

struct rx_entry {
	uint8_t when;
	uint8_t volume;
	void (*rx)(struct core *core, struct peer *peer, const struct pkt *pkt);
};

static void rx_ignored(struct core *core, struct peer *peer, const struct pkt *pkt)
{
	(void)core;
	(void)peer;
	(void)pkt;
}

static void rx_uuids_any(struct core *core, struct peer *peer, const struct pkt *pkt)
{
	peer->pd[core_volume_by_vnr(core, pkt->vnr)->v].have_uuids = true;
	if (pkt->type == P_UUIDS110)
		rx_uuids(core, peer, pkt);
	else
		rx_current_uuid(core, peer, pkt);
}

/* P_CONNECTION_FEATURES, the only number beyond the table. */
static const struct rx_entry rx_first = { RX_FEATURES, NO_VOLUME, rx_features };

/* By packet number; what is not listed is never legal. */
#define RX_TABLE_SIZE 0x60U
static const struct rx_entry rx_table[RX_TABLE_SIZE] = {
	[P_AUTH_CHALLENGE] = { RX_AUTH, NO_VOLUME, rx_auth_challenge },
	[P_AUTH_RESPONSE] = { RX_AUTH, NO_VOLUME, rx_auth_response },
	[P_PROTOCOL] = { RX_PROTOCOL, NO_VOLUME, rx_protocol },
	[P_PING] = { RX_ANY, NO_VOLUME, rx_ping },
	[P_PING_ACK] = { RX_ANY, NO_VOLUME, rx_ping_ack },
	[P_DELAY_PROBE] = { RX_ANY, NO_VOLUME, rx_ignored },

	[P_TWOPC_PREPARE] = { RX_READY, MAY_HAVE_VOLUME, rx_twopc_prepare },
	[P_TWOPC_PREP_RSZ] = { RX_READY, MAY_HAVE_VOLUME, rx_twopc_prepare },
	[P_TWOPC_YES] = { RX_READY, MAY_HAVE_VOLUME, rx_twopc_reply },
	[P_TWOPC_NO] = { RX_READY, MAY_HAVE_VOLUME, rx_twopc_reply },
	[P_TWOPC_RETRY] = { RX_READY, MAY_HAVE_VOLUME, rx_twopc_reply },
	[P_TWOPC_COMMIT] = { RX_READY, MAY_HAVE_VOLUME, rx_twopc_decision },
	[P_TWOPC_ABORT] = { RX_READY, MAY_HAVE_VOLUME, rx_twopc_decision },
	[P_DISCONNECT] = { RX_READY, NO_VOLUME, rx_disconnect },
	[P_PROTOCOL_UPDATE] = { RX_READY, NO_VOLUME, rx_protocol_update },
	[P_PEER_DAGTAG] = { RX_READY, NO_VOLUME, rx_peer_dagtag },
	[P_SYNC_PARAM89] = { RX_READY, SKIPS_UNKNOWN, rx_sync_param },
	[P_ENABLE_REPLICATION_NEXT] = { RX_READY, SKIPS_UNKNOWN, rx_enable_replication_next },
	[P_ENABLE_REPLICATION] = { RX_CONNECTED, NEEDS_VOLUME, rx_enable_replication },
	[P_SIZES] = { RX_READY, SKIPS_UNKNOWN, rx_sizes },
	[P_UUIDS110] = { RX_READY, SKIPS_UNKNOWN, rx_uuids_any },
	[P_CURRENT_UUID] = { RX_READY, SKIPS_UNKNOWN, rx_uuids_any },
	[P_STATE] = { RX_READY, SKIPS_UNKNOWN, rx_state },
	[P_UUIDS] = { RX_READY_8, SKIPS_UNKNOWN, rx_drbd8_uuids },
	[P_SYNC_UUID] = { RX_CONNECTED_8, NEEDS_VOLUME, rx_drbd8_sync_uuid },
	[P_STATE_CHG_REQ] = { RX_CONNECTED_8, NEEDS_VOLUME, rx_drbd8_change },
	[P_CONN_ST_CHG_REQ] = { RX_CONNECTED_8, NO_VOLUME, rx_drbd8_change },
	[P_STATE_CHG_REPLY] = { RX_CONNECTED_8, MAY_HAVE_VOLUME, rx_drbd8_change_reply },
	[P_CONN_ST_CHG_REPLY] = { RX_CONNECTED_8, NO_VOLUME, rx_drbd8_change_reply },

	[P_PEERS_IN_SYNC] = { RX_EARLY, NEEDS_VOLUME, rx_peers_in_sync },
	[P_FLUSH_FORWARD] = { RX_EARLY, NO_VOLUME, rx_flush_forward },

	[P_DATA] = { RX_CONNECTED, NEEDS_VOLUME, rx_data },
	[P_TRIM] = { RX_CONNECTED, NEEDS_VOLUME, rx_data },
	[P_ZEROES] = { RX_CONNECTED, NEEDS_VOLUME, rx_data },
	[P_DATA_REQUEST] = { RX_CONNECTED, NEEDS_VOLUME, rx_data_request },
	[P_DATA_REPLY] = { RX_CONNECTED, NEEDS_VOLUME, rx_data_reply },
	[P_NEG_DREPLY] = { RX_CONNECTED, NEEDS_VOLUME, rx_neg_dreply },
	[P_RECV_ACK] = { RX_CONNECTED, NEEDS_VOLUME, rx_block_ack },
	[P_WRITE_ACK] = { RX_CONNECTED, NEEDS_VOLUME, rx_block_ack },
	[P_WRITE_ACK_IN_SYNC] = { RX_CONNECTED, NEEDS_VOLUME, rx_block_ack },
	[P_NEG_ACK] = { RX_CONNECTED, NEEDS_VOLUME, rx_block_ack },
	[P_SUPERSEDED] = { RX_CONNECTED, NEEDS_VOLUME, rx_block_ack },
	[P_RETRY_WRITE] = { RX_CONNECTED, NEEDS_VOLUME, rx_block_ack },
	[P_BARRIER] = { RX_CONNECTED, NO_VOLUME, rx_barrier },
	[P_BARRIER_ACK] = { RX_CONNECTED, NO_VOLUME, rx_barrier_ack },
	[P_CONFIRM_STABLE] = { RX_CONNECTED, NO_VOLUME, rx_confirm_stable },
	[P_DAGTAG] = { RX_CONNECTED, NO_VOLUME, rx_dagtag },
	[P_PEER_ACK] = { RX_CONNECTED, NO_VOLUME, rx_peer_ack },
	[P_UNPLUG_REMOTE] = { RX_CONNECTED, MAY_HAVE_VOLUME, rx_ignored },
	[P_FLUSH_REQUESTS] = { RX_CONNECTED, NO_VOLUME, rx_flush_requests },
	[P_FLUSH_REQUESTS_ACK] = { RX_CONNECTED, NO_VOLUME, rx_flush_requests_ack },
	[P_BITMAP] = { RX_CONNECTED, NEEDS_VOLUME, rx_bitmap },
	[P_COMPRESSED_BITMAP] = { RX_CONNECTED, NEEDS_VOLUME, rx_bitmap },
	[P_RS_DATA_REQUEST] = { RX_CONNECTED, NEEDS_VOLUME, rx_rs_request },
	[P_RS_DAGTAG_REQ] = { RX_CONNECTED, NEEDS_VOLUME, rx_rs_request },
	[P_RS_THIN_REQ] = { RX_CONNECTED, NEEDS_VOLUME, rx_rs_request },
	[P_RS_THIN_DAGTAG_REQ] = { RX_CONNECTED, NEEDS_VOLUME, rx_rs_request },
	[P_RS_DEALLOCATED] = { RX_CONNECTED, NEEDS_VOLUME, rx_rs_deallocated },
	[P_RS_DEALLOCATED_ID] = { RX_CONNECTED, NEEDS_VOLUME, rx_rs_deallocated },
	[P_RS_DATA_REPLY] = { RX_CONNECTED, NEEDS_VOLUME, rx_rs_reply },
	[P_NEG_RS_DREPLY] = { RX_CONNECTED, NEEDS_VOLUME, rx_rs_negative },
	[P_RS_CANCEL] = { RX_CONNECTED, NEEDS_VOLUME, rx_rs_negative },
	[P_RS_CANCEL_AHEAD] = { RX_CONNECTED, NEEDS_VOLUME, rx_rs_negative },
	[P_RS_IS_IN_SYNC] = { RX_CONNECTED, NEEDS_VOLUME, rx_rs_is_in_sync },
	[P_CSUM_RS_REQUEST] = { RX_CONNECTED, NEEDS_VOLUME, rx_rs_request },
	[P_RS_CSUM_DAGTAG_REQ] = { RX_CONNECTED, NEEDS_VOLUME, rx_rs_request },
	[P_OV_REQUEST] = { RX_CONNECTED, NEEDS_VOLUME, rx_rs_request },
	[P_OV_DAGTAG_REQ] = { RX_CONNECTED, NEEDS_VOLUME, rx_rs_request },
	[P_OV_REPLY] = { RX_CONNECTED, NEEDS_VOLUME, rx_ov_reply },
	[P_OV_DAGTAG_REPLY] = { RX_CONNECTED, NEEDS_VOLUME, rx_ov_reply },
	[P_OV_RESULT] = { RX_CONNECTED, NEEDS_VOLUME, rx_ov_result },
	[P_OV_RESULT_ID] = { RX_CONNECTED, NEEDS_VOLUME, rx_ov_result },
	[P_RS_WRITE_ACK] = { RX_CONNECTED, NEEDS_VOLUME, rx_rs_ack },
	[P_RS_NEG_ACK] = { RX_CONNECTED, NEEDS_VOLUME, rx_rs_ack },
	[P_OUT_OF_SYNC] = { RX_CONNECTED, NEEDS_VOLUME, rx_out_of_sync },
};

static bool legal_now(const struct core *core, const struct peer *peer, enum rx_when when)
{
	switch (when) {
	case RX_NEVER:
		return false;
	case RX_FEATURES:
		return peer->phase == HS_FEATURES;
	case RX_AUTH:
		return peer->phase == HS_AUTH;
	case RX_PROTOCOL:
		return peer->phase == HS_PROTOCOL;
	case RX_READY:
	case RX_EARLY:
		return peer->phase == HS_READY;
	case RX_CONNECTED:
		return peer_connected(core, peer);
	case RX_READY_8:
		return peer->phase == HS_READY && peer_is_drbd8(peer);
	case RX_CONNECTED_8:
		return peer_connected(core, peer) && peer_is_drbd8(peer);
	case RX_ANY:
		return true;
	}
	return false;
}

/* What a packet in the wrong phase tells about the two configurations. */
static const char *likely_cause(const struct peer *peer, unsigned type)
{
	if (type == P_AUTH_CHALLENGE && peer->phase == HS_PROTOCOL)
		return ": it wants authentication, but no cram-hmac-alg is configured here";
	if (type == P_PROTOCOL && peer->phase == HS_AUTH)
		return ": it does not authenticate itself, no cram-hmac-alg is configured there";
	return "";
}

/* True: the packet's volume is as the table wants it. */
static bool volume_fits(struct core *core, struct peer *peer, const struct rx_entry *e,
			const struct pkt *pkt)
{
	const struct volume *vol = core_volume_by_vnr(core, pkt->vnr);

	if (e->volume == NO_VOLUME || e->volume == MAY_HAVE_VOLUME ||
	    (pkt->type == P_STATE && pkt->vnr == VNR_NONE))
		return true;
	if (vol && (!vol->gone || repl_of(core, &peer->pd[vol->v]) > REPL_OFF))
		return true;
	if (e->volume == SKIPS_UNKNOWN)
		core_log(core, LOG_LEVEL_WARNING,
			 "%s %s: %s for volume %u, which is not configured here", core->conf.name,
			 peer->conf->name, packet_name(pkt->type), pkt->vnr);
	else
		peer_fail(core, peer, CONN_PROTOCOL_ERROR, "%s for volume %u, which does not exist",
			  packet_name(pkt->type), pkt->vnr);
	return false;
}

/* Of those on the control stream: wire-protocol 4.6. */
static bool is_numbered(unsigned type)
{
	switch (type) {
	case P_RECV_ACK:
	case P_WRITE_ACK:
	case P_WRITE_ACK_IN_SYNC:
	case P_RS_WRITE_ACK:
	case P_SUPERSEDED:
	case P_RETRY_WRITE:
	case P_NEG_ACK:
	case P_NEG_DREPLY:
	case P_NEG_RS_DREPLY:
	case P_RS_NEG_ACK:
	case P_RS_CANCEL:
	case P_RS_CANCEL_AHEAD:
	case P_RS_IS_IN_SYNC:
	case P_OV_RESULT:
	case P_OV_RESULT_ID:
		return true;
	default:
		return false;
	}
}

static const struct rx_entry *rx_entry_of(unsigned type)
{
	static const struct rx_entry never = { RX_NEVER, NO_VOLUME, NULL };

	if (type == P_CONNECTION_FEATURES)
		return &rx_first;
	return type < RX_TABLE_SIZE ? &rx_table[type] : &never;
}

void rx_packet(struct core *core, const struct ev_pkt *ev)
{
	struct peer *peer = ev->peer < NODES_MAX ? core->peer[ev->peer] : NULL;
	struct payload payload = ev->pkt->payload;
	const struct rx_entry *e = rx_entry_of(ev->pkt->type);
	const char *name = packet_name(ev->pkt->type);

	if (!peer || !peer->streams_up) {
		core_payload_put(core, &payload);
		return;
	}
	if (ev->stream == STREAM_CONTROL)
		keepalive_rx(core, peer);
	else
		peer->received_bytes += PKT_OVERHEAD_BYTES + payload.bytes + ev->pkt->var_bytes;
	if (!legal_now(core, peer, (enum rx_when)e->when)) {
		core_payload_put(core, &payload);
		peer_fail(core, peer, CONN_PROTOCOL_ERROR, "unexpected packet %s (0x%x)%s",
			  name ? name : "of unknown type", ev->pkt->type,
			  likely_cause(peer, ev->pkt->type));
		return;
	}
	if (ev->stream == STREAM_DATA && sync_foreign_packet(peer, ev->pkt)) {
		core_payload_put(core, &payload);
		peer_fail(core, peer, CONN_PROTOCOL_ERROR, "%s inside a bitmap transfer", name);
		return;
	}
	if (!volume_fits(core, peer, e, ev->pkt)) {
		core_payload_put(core, &payload);
		return;
	}
	/* It travels on the control stream and may come before the COMMIT on the other one. */
	if (ev->pkt->type == P_PEERS_IN_SYNC && !peer_connected(core, peer))
		return;
	e->rx(core, peer, ev->pkt);
	if (ev->stream == STREAM_CONTROL && is_numbered(ev->pkt->type))
		two_primaries_acked(core, peer, ev->pkt->vnr);
}

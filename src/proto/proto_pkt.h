/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Decoded packets: what the wire codec produces and the core consumes, and the other way round. */
#ifndef PROTO_PKT_H
#define PROTO_PKT_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/proto_enum.h"
#include "proto/proto_limits.h"
#include "proto/proto_uuid.h"

/*
 * Bulk data by reference. The driver maps the id to a pooled buffer (the simulator: to content
 * tags). id 0 = none. Whoever holds a reference drops it with AC_BUF_PUT.
 */
struct payload {
	uint32_t id;
	uint32_t bytes;
};

/* P_CONNECTION_FEATURES (2.2). */
struct pkt_features {
	uint32_t protocol_min;
	uint32_t features;
	uint32_t protocol_max;
	uint32_t sender_node_id;
	uint32_t receiver_node_id;
};

/* P_AUTH_CHALLENGE, P_AUTH_RESPONSE. */
struct pkt_auth {
	uint32_t bytes;
	uint8_t data[128];
};

/* P_PROTOCOL, P_PROTOCOL_UPDATE (2.4). */
struct pkt_protocol {
	uint32_t protocol;
	uint32_t after_sb_0p;
	uint32_t after_sb_1p;
	uint32_t after_sb_2p;
	uint32_t conn_flags;
	uint32_t two_primaries;
	char integrity_alg[ALG_NAME_MAX];
};

/* P_SYNC_PARAM89 (2.5). */
struct pkt_sync_param {
	uint32_t resync_rate;
	char verify_alg[ALG_NAME_MAX];
	char csums_alg[ALG_NAME_MAX];
	uint32_t c_plan_ahead;
	uint32_t c_delay_target;
	uint32_t c_fill_target;
	uint32_t c_max_rate;
};

/* P_SIZES (2.6); the limits block only travels when WSAME is agreed. */
struct pkt_sizes {
	uint64_t d_sectors;
	uint64_t u_sectors;
	uint64_t c_sectors;
	uint32_t max_bio_bytes;
	uint16_t queue_order_type;
	uint16_t dds_flags;
	uint32_t physical_block_bytes;
	uint32_t logical_block_bytes;
	uint32_t alignment_offset;
	uint32_t io_min;
	uint32_t io_opt;
	uint8_t discard_enabled;
	uint8_t discard_zeroes_data;
	uint8_t write_same_capable;
	uint8_t bm_block_shift_minus_12;
};

/* P_CURRENT_UUID. */
struct pkt_current_uuid {
	uint64_t uuid;
	uint64_t weak_nodes;
};

/* P_UUIDS of protocols before 110: two nodes, so one reference, and a short history. */
struct pkt_uuids_8 {
	uint64_t current;
	uint64_t bitmap;
	uint64_t history[2];
	uint64_t dirty_bits;
	uint64_t flags;
};

/* P_STATE_CHG_REQ, P_CONN_ST_CHG_REQ: state words from the sender's view. */
struct pkt_change {
	uint32_t mask;
	uint32_t val;
};

/*
 * Layouts data, trim, ack, req, rsreq and desc of 3.1 in one struct, plus the verify result.
 * Used by: DATA, DATA_REPLY, RS_DATA_REPLY, TRIM, ZEROES, *_REQUEST, *_REQ, all acks, OUT_OF_SYNC.
 */
struct pkt_block {
	uint64_t sector;
	uint64_t block_id;    /* opaque: echoed, never interpreted for a peer's id */
	uint32_t bytes;       /* data: payload bytes; trim/zeroes: size; others: blksize */
	uint32_t seq;
	uint32_t dp_flags;
	uint32_t dagtag_node; /* *_DAGTAG_REQ */
	uint64_t dagtag;
	uint32_t ov_result;   /* OV_RESULT_ID */
};

/* P_BARRIER and P_BARRIER_ACK; the number is opaque to the receiver. */
struct pkt_barrier {
	uint32_t number;
	uint32_t set_size; /* BARRIER_ACK */
};

/* P_TWOPC_PREPARE, PREP_RSZ, COMMIT, ABORT (6.1), layout v2. */
struct pkt_twopc {
	uint32_t tid;
	uint32_t flags;
	int8_t initiator;
	int8_t target; /* -1 = none */
	uint64_t nodes_to_reach;
	uint32_t mask; /* PREPARE, state words from the initiator's view */
	uint32_t val;
	uint64_t primary_nodes;   /* COMMIT */
	uint64_t reachable_nodes; /* COMMIT with HAS_REACHABLE */
	uint64_t user_sectors;    /* PREP_RSZ */
	uint64_t exposed_sectors; /* COMMIT of a resize */
	uint16_t dds_flags;
};

/* P_TWOPC_YES, NO, RETRY (6.2). */
struct pkt_twopc_reply {
	uint32_t tid;
	int32_t initiator;
	uint64_t reachable_nodes;
	uint64_t primary_nodes;
	uint64_t weak_nodes; /* resize: max_possible_size */
};

struct pkt_dagtag {
	uint64_t dagtag;
	uint64_t mask;    /* PEER_ACK */
	uint32_t node_id; /* PEER_DAGTAG */
};

struct pkt_in_sync {
	uint64_t sector;
	uint64_t mask;
	uint32_t bytes;
};

/* P_CONFIRM_STABLE. */
struct pkt_confirm {
	uint64_t oldest_block_id;
	uint64_t youngest_block_id;
	uint32_t set_size;
};

/* P_FLUSH_REQUESTS, FLUSH_FORWARD (node = initiator), FLUSH_REQUESTS_ACK (node = primary). */
struct pkt_flush {
	uint64_t sequence;
	uint32_t node_id;
};

/* One packet. `payload` follows the fixed part of DATA, DATA_REPLY and RS_DATA_REPLY only. */
struct pkt {
	uint16_t type; /* enum packet */
	uint16_t vnr;  /* VNR_NONE = connection-wide */
	struct payload payload;
	/* P_BITMAP, P_COMPRESSED_BITMAP, digests: borrowed, valid during the event or action. */
	const uint8_t *var;
	uint32_t var_bytes;
	union {
		struct pkt_features features;
		struct pkt_auth auth;
		struct pkt_protocol protocol;
		struct pkt_sync_param sync_param;
		struct pkt_sizes sizes;
		const struct pkt_uuids *uuids; /* borrowed, as var */
		struct pkt_current_uuid current_uuid;
		struct pkt_uuids_8 uuids_8;
		uint64_t sync_uuid;
		struct pkt_change change;
		int32_t change_result; /* P_*_CHG_REPLY: enum state_rv */
		uint32_t state; /* P_STATE: state word */
		struct pkt_block block;
		struct pkt_barrier barrier;
		struct pkt_twopc twopc;
		struct pkt_twopc_reply twopc_reply;
		struct pkt_dagtag dagtag;
		struct pkt_in_sync in_sync;
		struct pkt_confirm confirm;
		struct pkt_flush flush;
		uint8_t enable_replication;
		uint8_t bitmap_encoding; /* P_COMPRESSED_BITMAP: byte 0; var = the code string */
	} u;
};

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Owns the table of packets: number, stream, body, first version, features (wire-protocol 3). */
#include "wire/wire_int.h"

#define F_DAGTAG FEATURE_RESYNC_DAGTAG
#define F_THIN FEATURE_THIN_RESYNC
#define F_ENABLE FEATURE_RESYNC_WITHOUT_REPLICATION

/*
 * X(name, stream, layout, vnr, first version, features, least and most bytes of the variable part).
 * Bulk payload and its digest are not counted here.
 */
#define RULES(X)                                                                                   \
	X(DATA, ON_DATA, DATA, VOLUME, 0, 0, 0, 0)                                                 \
	X(DATA_REPLY, ON_DATA, DATA, VOLUME, 0, 0, 0, 0)                                           \
	X(RS_DATA_REPLY, ON_DATA, DATA, VOLUME, 0, 0, 0, 0)                                        \
	X(BARRIER, ON_DATA, BARRIER, NONE, 0, 0, 0, 0)                                             \
	X(BITMAP, ON_DATA, BITMAP, VOLUME, 0, 0, 0, WIRE_BITMAP_CHUNK_BYTES)                       \
	X(UNPLUG_REMOTE, ON_DATA, NONE, ANY, 0, 0, 0, 0)                                           \
	X(DATA_REQUEST, ON_DATA, REQUEST, VOLUME, 0, 0, 0, 0)                                      \
	X(RS_DATA_REQUEST, ON_DATA, REQUEST, VOLUME, 0, 0, 0, 0)                                   \
	X(PROTOCOL, ON_DATA, PROTOCOL, NONE, 0, 0, 1, ALG_NAME_MAX)                                \
	X(UUIDS, ON_DATA, UUIDS_8, VOLUME, 0, 0, 0, 0)                                             \
	X(SIZES, ON_DATA, SIZES, VOLUME, 0, 0, 0, 0)                                               \
	X(STATE, ON_DATA, STATE, ANY, 0, 0, 0, 0)                                                  \
	X(SYNC_UUID, ON_DATA, SYNC_UUID, VOLUME, 96, 0, 0, 0)                                      \
	X(AUTH_CHALLENGE, ON_DATA, AUTH, NONE, 0, 0, AUTH_CHALLENGE_BYTES, AUTH_CHALLENGE_BYTES)   \
	X(AUTH_RESPONSE, ON_DATA, AUTH, NONE, 0, 0, 1, WIRE_DIGEST_MAX_BYTES)                      \
	X(STATE_CHG_REQ, ON_DATA, CHANGE, VOLUME, 0, 0, 0, 0)                                      \
	X(PING, ON_CONTROL, NONE, NONE, 0, 0, 0, 0)                                                \
	X(PING_ACK, ON_CONTROL, NONE, NONE, 0, 0, 0, 0)                                            \
	X(RECV_ACK, ON_CONTROL, ACK, VOLUME, 0, 0, 0, 0)                                           \
	X(WRITE_ACK, ON_CONTROL, ACK, VOLUME, 0, 0, 0, 0)                                          \
	X(RS_WRITE_ACK, ON_CONTROL, ACK, VOLUME, 0, 0, 0, 0)                                       \
	X(SUPERSEDED, ON_CONTROL, ACK, VOLUME, 0, 0, 0, 0)                                         \
	X(NEG_ACK, ON_CONTROL, ACK, VOLUME, 0, 0, 0, 0)                                            \
	X(NEG_DREPLY, ON_CONTROL, ACK, VOLUME, 0, 0, 0, 0)                                         \
	X(NEG_RS_DREPLY, ON_CONTROL, ACK, VOLUME, 0, 0, 0, 0)                                      \
	X(BARRIER_ACK, ON_CONTROL, BARRIER_ACK, NONE, 0, 0, 0, 0)                                  \
	X(STATE_CHG_REPLY, ON_CONTROL, CHANGE_REPLY, VOLUME, 0, 0, 0, 0)                           \
	X(OV_REQUEST, ON_DATA, REQUEST, VOLUME, 88, 0, 0, 0)                                       \
	X(OV_REPLY, ON_DATA, REQUEST, VOLUME, 88, 0, 1, WIRE_DIGEST_MAX_BYTES)                     \
	X(OV_RESULT, ON_CONTROL, ACK, VOLUME, 88, 0, 0, 0)                                         \
	X(CSUM_RS_REQUEST, ON_DATA, REQUEST, VOLUME, 89, 0, 1, WIRE_DIGEST_MAX_BYTES)              \
	X(RS_IS_IN_SYNC, ON_CONTROL, ACK, VOLUME, 89, 0, 0, 0)                                     \
	X(SYNC_PARAM89, ON_DATA, SYNC_PARAM, VOLUME, 95, 0, 0, 0)                                  \
	X(COMPRESSED_BITMAP, ON_DATA, COMPRESSED_BITMAP, VOLUME, 90, 0, 1,                         \
	  WIRE_BITMAP_CHUNK_BYTES - 1)                                                             \
	X(DELAY_PROBE, ON_BOTH, DELAY_PROBE, ANY, 0, 0, 0, 0)                                      \
	X(OUT_OF_SYNC, ON_DATA, RANGE, VOLUME, 96, 0, 0, 0)                                        \
	X(RS_CANCEL, ON_CONTROL, ACK, VOLUME, 96, 0, 0, 0)                                         \
	X(CONN_ST_CHG_REQ, ON_DATA, CHANGE, NONE, 100, 0, 0, 0)                                    \
	X(CONN_ST_CHG_REPLY, ON_CONTROL, CHANGE_REPLY, NONE, 100, 0, 0, 0)                         \
	X(RETRY_WRITE, ON_CONTROL, ACK, VOLUME, 100, 0, 0, 0)                                      \
	X(PROTOCOL_UPDATE, ON_DATA, PROTOCOL, NONE, 100, 0, 1, ALG_NAME_MAX)                       \
	X(TWOPC_PREPARE, ON_DATA, TWOPC, ANY, 110, 0, 0, 0)                                        \
	X(TWOPC_ABORT, ON_DATA, TWOPC, ANY, 110, 0, 0, 0)                                          \
	X(DAGTAG, ON_DATA, DAGTAG, NONE, 110, 0, 0, 0)                                             \
	X(TRIM, ON_DATA, TRIM, VOLUME, 0, FEATURE_TRIM, 0, 0)                                      \
	X(RS_THIN_REQ, ON_DATA, REQUEST, VOLUME, 0, F_THIN, 0, 0)                                  \
	X(RS_DEALLOCATED, ON_DATA, RANGE, VOLUME, 0, F_THIN, 0, 0)                                 \
	X(TWOPC_PREP_RSZ, ON_DATA, TWOPC, VOLUME, 112, 0, 0, 0)                                    \
	X(ZEROES, ON_DATA, TRIM, VOLUME, 0, FEATURE_WZEROES, 0, 0)                                 \
	X(PEER_ACK, ON_CONTROL, PEER_ACK, NONE, 110, 0, 0, 0)                                      \
	X(PEERS_IN_SYNC, ON_CONTROL, IN_SYNC, VOLUME, 110, 0, 0, 0)                                \
	X(UUIDS110, ON_DATA, UUIDS, VOLUME, 110, 0, 0, 8 * (NODES_MAX + HISTORY_UUIDS))            \
	X(PEER_DAGTAG, ON_DATA, PEER_DAGTAG, NONE, 110, 0, 0, 0)                                   \
	X(CURRENT_UUID, ON_DATA, CURRENT_UUID, VOLUME, 110, 0, 0, 0)                               \
	X(TWOPC_YES, ON_CONTROL, TWOPC_REPLY, ANY, 110, 0, 0, 0)                                   \
	X(TWOPC_NO, ON_CONTROL, TWOPC_REPLY, ANY, 110, 0, 0, 0)                                    \
	X(TWOPC_COMMIT, ON_DATA, TWOPC, ANY, 110, 0, 0, 0)                                         \
	X(TWOPC_RETRY, ON_CONTROL, TWOPC_REPLY, ANY, 110, 0, 0, 0)                                 \
	X(CONFIRM_STABLE, ON_CONTROL, CONFIRM, NONE, 114, 0, 0, 0)                                 \
	X(RS_CANCEL_AHEAD, ON_CONTROL, ACK, VOLUME, 115, 0, 0, 0)                                  \
	X(DISCONNECT, ON_DATA, NONE, NONE, 118, 0, 0, 0)                                           \
	X(RS_DAGTAG_REQ, ON_DATA, DAGTAG_REQUEST, VOLUME, 0, F_DAGTAG, 0, 0)                       \
	X(RS_CSUM_DAGTAG_REQ, ON_DATA, DAGTAG_REQUEST, VOLUME, 0, F_DAGTAG, 1,                     \
	  WIRE_DIGEST_MAX_BYTES)                                                                   \
	X(RS_THIN_DAGTAG_REQ, ON_DATA, DAGTAG_REQUEST, VOLUME, 0, F_DAGTAG | F_THIN, 0, 0)         \
	X(OV_DAGTAG_REQ, ON_DATA, DAGTAG_REQUEST, VOLUME, 0, F_DAGTAG, 0, 0)                       \
	X(OV_DAGTAG_REPLY, ON_DATA, DAGTAG_REQUEST, VOLUME, 0, F_DAGTAG, 1, WIRE_DIGEST_MAX_BYTES) \
	X(WRITE_ACK_IN_SYNC, ON_CONTROL, ACK, VOLUME, 122, 0, 0, 0)                                \
	X(RS_NEG_ACK, ON_CONTROL, ACK, VOLUME, 122, 0, 0, 0)                                       \
	X(OV_RESULT_ID, ON_CONTROL, VERIFY_RESULT, VOLUME, 122, 0, 0, 0)                           \
	X(RS_DEALLOCATED_ID, ON_DATA, ACK, VOLUME, 122, F_THIN, 0, 0)                              \
	X(FLUSH_REQUESTS, ON_DATA, FLUSH, NONE, 123, 0, 0, 0)                                      \
	X(FLUSH_FORWARD, ON_CONTROL, FLUSH_NODE, NONE, 123, 0, 0, 0)                               \
	X(FLUSH_REQUESTS_ACK, ON_DATA, FLUSH_NODE, NONE, 123, 0, 0, 0)                             \
	X(ENABLE_REPLICATION_NEXT, ON_DATA, ENABLE, VOLUME, 0, F_ENABLE, 0, 0)                     \
	X(ENABLE_REPLICATION, ON_DATA, ENABLE, VOLUME, 0, F_ENABLE, 0, 0)

/* What two-phase commits and lists of generations took the place of. */
#define MAX_APV_OF(type)                                                                           \
	((type) == P_UUIDS || (type) == P_SYNC_UUID || (type) == P_STATE_CHG_REQ ||                \
			 (type) == P_STATE_CHG_REPLY || (type) == P_CONN_ST_CHG_REQ ||             \
			 (type) == P_CONN_ST_CHG_REPLY ?                                           \
		 109U :                                                                            \
		 UINT8_MAX)

#define RULE(name_, stream_, layout_, vnr_, phase_, apv_, features_, least_, most_)                \
	{                                                                                          \
		.type = P_##name_, .streams = (stream_), .layout = LAYOUT_##layout_,               \
		.vnr = (vnr_), .phase = (phase_), .min_apv = (apv_),                               \
		.max_apv = MAX_APV_OF(P_##name_), .features = (features_),                         \
		.fixed_bytes = BYTES_##layout_, .var_min_bytes = (least_),                         \
		.var_max_bytes = (most_), .known = true                                            \
	}

/* A ping and its answer use the other stream and so may overtake the features exchange. */
#define PHASE_OF(type) ((type) == P_PING || (type) == P_PING_ACK ? PHASE_ALWAYS : PHASE_AFTER)

const struct wire_rule wire_rules[WIRE_RULES] = {
#define X(name, streams, layout, vnr, apv, features, least, most)                                  \
	[P_##name] = RULE(name, streams, layout, VNR_IS_##vnr, PHASE_OF(P_##name), apv, features,  \
			  least, most),
	RULES(X)
#undef X
};

const struct wire_rule wire_rule_features =
	RULE(CONNECTION_FEATURES, ON_DATA, FEATURES, VNR_IS_ANY, PHASE_FEATURES, 0, 0, 0, 0);

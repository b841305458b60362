/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Enumerations of states and packets, with the numbers
 * that travel on the wire (wire-protocol 3, 7). */
#ifndef PROTO_ENUM_H
#define PROTO_ENUM_H

#include <stdint.h>

enum role { ROLE_UNKNOWN = 0, ROLE_PRIMARY = 1, ROLE_SECONDARY = 2 };

enum disk_state {
	DISK_DISKLESS = 0,
	DISK_ATTACHING = 1,
	DISK_DETACHING = 2,
	DISK_FAILED = 3,
	DISK_NEGOTIATING = 4,
	DISK_INCONSISTENT = 5,
	DISK_OUTDATED = 6,
	DISK_UNKNOWN = 7,
	DISK_CONSISTENT = 8,
	DISK_UP_TO_DATE = 9,
};

enum conn_state {
	CONN_STANDALONE = 0,
	CONN_DISCONNECTING = 1,
	CONN_UNCONNECTED = 2,
	CONN_TIMEOUT = 3,
	CONN_BROKEN_PIPE = 4,
	CONN_NETWORK_FAILURE = 5,
	CONN_PROTOCOL_ERROR = 6,
	CONN_TEAR_DOWN = 7,
	CONN_CONNECTING = 8,
	CONN_CONNECTED = 9,
};

enum repl_state {
	REPL_OFF = 9,
	REPL_ESTABLISHED = 10,
	REPL_STARTING_SYNC_S = 11,
	REPL_STARTING_SYNC_T = 12,
	REPL_WF_BITMAP_S = 13,
	REPL_WF_BITMAP_T = 14,
	REPL_WF_SYNC_UUID = 15,
	REPL_SYNC_SOURCE = 16,
	REPL_SYNC_TARGET = 17,
	REPL_VERIFY_S = 18,
	REPL_VERIFY_T = 19,
	REPL_PAUSED_SYNC_S = 20,
	REPL_PAUSED_SYNC_T = 21,
	REPL_AHEAD = 22,
	REPL_BEHIND = 23,
};

enum wire_protocol { PROTOCOL_A = 1, PROTOCOL_B = 2, PROTOCOL_C = 3 };

enum stream { STREAM_DATA = 0, STREAM_CONTROL = 1, STREAM_COUNT = 2 };

/* after-sb-* policies, numbers of P_PROTOCOL. */
enum after_sb {
	ASB_DISCONNECT = 0,
	ASB_DISCARD_YOUNGER_PRIMARY = 1,
	ASB_DISCARD_OLDER_PRIMARY = 2,
	ASB_DISCARD_ZERO_CHANGES = 3,
	ASB_DISCARD_LEAST_CHANGES = 4,
	ASB_DISCARD_LOCAL = 5,
	ASB_DISCARD_REMOTE = 6,
	ASB_CONSENSUS = 7,
	ASB_DISCARD_SECONDARY = 8,
	ASB_CALL_PRI_LOST = 9,
	ASB_VIOLENTLY = 10,
	ASB_RETRY_CONNECT = 11,
	ASB_AUTO_DISCARD = 12,
};

/* What keeps a resync from being faster. */
enum resync_limit {
	LIMIT_NONE,
	LIMIT_RESYNC_RATE,  /* the fixed rate */
	LIMIT_MAX_RATE,     /* c-max-rate */
	LIMIT_APPLICATION,  /* c-min-rate, c-min-share: an application uses the disk */
	LIMIT_FILL_TARGET,  /* the controller: enough is in flight */
	LIMIT_DELAY_TARGET,
	LIMIT_BUFFERS,      /* max-buffers */
	LIMIT_PRIMARY,      /* a Primary is awaited that will bring it */
};
const char *resync_limit_name(enum resync_limit limit);

/* Programs of the operator that are called when something happens (config-and-utilities 4.3). */
enum handler {
	HANDLER_FENCE_PEER,
	HANDLER_UNFENCE_PEER,
	HANDLER_INITIAL_SPLIT_BRAIN,
	HANDLER_SPLIT_BRAIN,
	HANDLER_BEFORE_RESYNC_TARGET,
	HANDLER_BEFORE_RESYNC_SOURCE,
	HANDLER_AFTER_RESYNC_TARGET,
	HANDLER_PRI_ON_INCON_DEGR,
	HANDLER_PRI_LOST_AFTER_SB,
	HANDLER_PRI_LOST,
	HANDLER_LOCAL_IO_ERROR,
	HANDLER_OUT_OF_SYNC,
	HANDLER_QUORUM_LOST,
	HANDLER_DISCONNECTED,
	HANDLER_COUNT,
};
const char *handler_name(enum handler handler);

/* Packets: X(number, NAME). Streams, sizes and versions are in wire/wire_table.c. */
#define PACKETS(X)                                                                                 \
	X(0x00, DATA)                                                                              \
	X(0x01, DATA_REPLY)                                                                        \
	X(0x02, RS_DATA_REPLY)                                                                     \
	X(0x03, BARRIER)                                                                           \
	X(0x04, BITMAP)                                                                            \
	X(0x07, UNPLUG_REMOTE)                                                                     \
	X(0x08, DATA_REQUEST)                                                                      \
	X(0x09, RS_DATA_REQUEST)                                                                   \
	X(0x0b, PROTOCOL)                                                                          \
	X(0x0c, UUIDS)                                                                             \
	X(0x0d, SIZES)                                                                             \
	X(0x0e, STATE)                                                                             \
	X(0x0f, SYNC_UUID)                                                                         \
	X(0x10, AUTH_CHALLENGE)                                                                    \
	X(0x11, AUTH_RESPONSE)                                                                     \
	X(0x12, STATE_CHG_REQ)                                                                     \
	X(0x13, PING)                                                                              \
	X(0x14, PING_ACK)                                                                          \
	X(0x15, RECV_ACK)                                                                          \
	X(0x16, WRITE_ACK)                                                                         \
	X(0x17, RS_WRITE_ACK)                                                                      \
	X(0x18, SUPERSEDED)                                                                        \
	X(0x19, NEG_ACK)                                                                           \
	X(0x1a, NEG_DREPLY)                                                                        \
	X(0x1b, NEG_RS_DREPLY)                                                                     \
	X(0x1c, BARRIER_ACK)                                                                       \
	X(0x1d, STATE_CHG_REPLY)                                                                   \
	X(0x1e, OV_REQUEST)                                                                        \
	X(0x1f, OV_REPLY)                                                                          \
	X(0x20, OV_RESULT)                                                                         \
	X(0x21, CSUM_RS_REQUEST)                                                                   \
	X(0x22, RS_IS_IN_SYNC)                                                                     \
	X(0x23, SYNC_PARAM89)                                                                      \
	X(0x24, COMPRESSED_BITMAP)                                                                 \
	X(0x27, DELAY_PROBE)                                                                       \
	X(0x28, OUT_OF_SYNC)                                                                       \
	X(0x29, RS_CANCEL)                                                                         \
	X(0x2a, CONN_ST_CHG_REQ)                                                                   \
	X(0x2b, CONN_ST_CHG_REPLY)                                                                 \
	X(0x2c, RETRY_WRITE)                                                                       \
	X(0x2d, PROTOCOL_UPDATE)                                                                   \
	X(0x2e, TWOPC_PREPARE)                                                                     \
	X(0x2f, TWOPC_ABORT)                                                                       \
	X(0x30, DAGTAG)                                                                            \
	X(0x31, TRIM)                                                                              \
	X(0x32, RS_THIN_REQ)                                                                       \
	X(0x33, RS_DEALLOCATED)                                                                    \
	X(0x35, TWOPC_PREP_RSZ)                                                                    \
	X(0x36, ZEROES)                                                                            \
	X(0x40, PEER_ACK)                                                                          \
	X(0x41, PEERS_IN_SYNC)                                                                     \
	X(0x42, UUIDS110)                                                                          \
	X(0x43, PEER_DAGTAG)                                                                       \
	X(0x44, CURRENT_UUID)                                                                      \
	X(0x45, TWOPC_YES)                                                                         \
	X(0x46, TWOPC_NO)                                                                          \
	X(0x47, TWOPC_COMMIT)                                                                      \
	X(0x48, TWOPC_RETRY)                                                                       \
	X(0x49, CONFIRM_STABLE)                                                                    \
	X(0x4a, RS_CANCEL_AHEAD)                                                                   \
	X(0x4b, DISCONNECT)                                                                        \
	X(0x4c, RS_DAGTAG_REQ)                                                                     \
	X(0x4d, RS_CSUM_DAGTAG_REQ)                                                                \
	X(0x4e, RS_THIN_DAGTAG_REQ)                                                                \
	X(0x4f, OV_DAGTAG_REQ)                                                                     \
	X(0x50, OV_DAGTAG_REPLY)                                                                   \
	X(0x51, WRITE_ACK_IN_SYNC)                                                                 \
	X(0x52, RS_NEG_ACK)                                                                        \
	X(0x53, OV_RESULT_ID)                                                                      \
	X(0x54, RS_DEALLOCATED_ID)                                                                 \
	X(0x55, FLUSH_REQUESTS)                                                                    \
	X(0x56, FLUSH_FORWARD)                                                                     \
	X(0x57, FLUSH_REQUESTS_ACK)                                                                \
	X(0x58, ENABLE_REPLICATION_NEXT)                                                           \
	X(0x59, ENABLE_REPLICATION)                                                                \
	X(0xfff1, INITIAL_META)                                                                    \
	X(0xfff2, INITIAL_DATA)                                                                    \
	X(0xfffe, CONNECTION_FEATURES)

enum packet {
#define X(number, name) P_##name = (number),
	PACKETS(X)
#undef X
};

/* dp_flags (wire-protocol 4.1). */
#define DP_RW_SYNC 0x002U
#define DP_MAY_SET_IN_SYNC 0x004U
#define DP_FUA 0x010U
#define DP_FLUSH 0x020U
#define DP_DISCARD 0x040U
#define DP_SEND_RECEIVE_ACK 0x080U
#define DP_SEND_WRITE_ACK 0x100U
#define DP_ZEROES 0x400U

/* Flags of P_UUIDS110 (states-and-resync 1.3). */
#define UUID_FLAG_DISCARD_MY_DATA UINT64_C(0x001)
#define UUID_FLAG_CRASHED_PRIMARY UINT64_C(0x002)
#define UUID_FLAG_INCONSISTENT UINT64_C(0x004)
#define UUID_FLAG_SKIP_INITIAL_SYNC UINT64_C(0x008)
#define UUID_FLAG_NEW_DATAGEN UINT64_C(0x010)
#define UUID_FLAG_STABLE UINT64_C(0x020)
#define UUID_FLAG_GOT_STABLE UINT64_C(0x040)
#define UUID_FLAG_RESYNC UINT64_C(0x080)
#define UUID_FLAG_RECONNECT UINT64_C(0x100)
#define UUID_FLAG_DISKLESS_PRIMARY UINT64_C(0x200)
#define UUID_FLAG_PRIMARY_LOST_QUORUM UINT64_C(0x400)
#define UUID_FLAG_SYNC_TARGET UINT64_C(0x800)
#define UUID_FLAG_HAS_UNALLOC UINT64_C(0x1000)
/* Of this program alone: its bits stay until the peer has the
 * blocks, also at equal generations. Others ignore it. */
#define UUID_FLAG_KEEPS_BITS (UINT64_C(1) << 40)
/* The generation that is told is not on the disk yet; it is told again when it is. */
#define UUID_FLAG_NOT_DURABLE (UINT64_C(1) << 41)
/* Its disk has been compared with one that was there all the time, since the node was restarted. */
#define UUID_FLAG_WENT_ON (UINT64_C(1) << 42)
/* The sender was behind a lost Primary of protocol A or B: it may lack what was answered. */
#define UUID_FLAG_LAGGED (UINT64_C(1) << 43)
/* A node out of sight may have taken over the generation that is told. */
#define UUID_FLAG_GIVEN_AWAY (UINT64_C(1) << 44)
/* The sender has no connection to some node: not everybody will be compared with everybody. */
#define UUID_FLAG_SEES_NOT_ALL (UINT64_C(1) << 45)
/* Only beside that, by either of the two: a resync has given the sender what another node had,
 * whose id follows. */
#define UUID_FLAG_RESYNCED (UINT64_C(1) << 46)
#define UUID_FLAG_ORIGIN_SHIFT 47 /* 5 bits */
/* With quorum, and without this disk, the sender has itself made the receiver's generation: that is
 * where the cluster went on, whatever else this disk has. */
#define UUID_FLAG_MADE_YOURS (UINT64_C(1) << 52)
/* The sender's disk is in doubt, but so many have its generation that without them nobody has had
 * quorum. */
#define UUID_FLAG_SHARED (UINT64_C(1) << 53)
#define UUID_FLAG_UNALLOC_SHIFT 56

#define CONN_FLAG_DISCARD_MY_DATA 1U
#define CONN_FLAG_DRY_RUN 2U
/* A flag of this program alone: as one of two Primaries it sends a write again that is answered by
 * P_RETRY_WRITE, and takes P_SUPERSEDED for written. DRBD since 9.1.4 knows neither packet. */
#define CONN_FLAG_GIVES_WAY 0x40000000U

/* Flags of P_TWOPC_* layout v2. */
#define TWOPC_FLAG_V2 0x80000000U
#define TWOPC_FLAG_HAS_REACHABLE 0x40000000U
#define TWOPC_FLAG_PRI_INCAPABLE 0x20000000U

/* State word (wire-protocol 7.1): shifts and masks. */
#define SW_ROLE_MASK 0x00000003U
#define SW_PEER_SHIFT 2
#define SW_PEER_MASK 0x0000000cU
#define SW_CONN_SHIFT 4
#define SW_CONN_MASK 0x000001f0U
#define SW_DISK_SHIFT 9
#define SW_DISK_MASK 0x00001e00U
#define SW_PDSK_SHIFT 13
#define SW_PDSK_MASK 0x0001e000U
#define SW_SUSP 0x00020000U
#define SW_AFTER_ISP 0x00040000U
#define SW_PEER_ISP 0x00080000U
#define SW_USER_ISP 0x00100000U
#define SW_SUSP_NOD 0x00200000U
#define SW_SUSP_FEN 0x00400000U
#define SW_QUORUM 0x00800000U

/* Results of state changes (states-and-resync 0.2). */
enum state_rv {
	SS_CW_SUCCESS = 3,
	SS_NOTHING_TO_DO = 2,
	SS_SUCCESS = 1,
	SS_UNKNOWN_ERROR = 0,
	SS_TWO_PRIMARIES = -1,
	SS_NO_UP_TO_DATE_DISK = -2,
	SS_NO_LOCAL_DISK = -4,
	SS_NO_REMOTE_DISK = -5,
	SS_CONNECTED_OUTDATES = -6,
	SS_PRIMARY_NOP = -7,
	SS_RESYNC_RUNNING = -8,
	SS_ALREADY_STANDALONE = -9,
	SS_CW_FAILED_BY_PEER = -10,
	SS_IS_DISKLESS = -11,
	SS_DEVICE_IN_USE = -12,
	SS_NO_NET_CONFIG = -13,
	SS_NO_VERIFY_ALG = -14,
	SS_NEED_CONNECTION = -15,
	SS_LOWER_THAN_OUTDATED = -16,
	SS_NOT_SUPPORTED = -17,
	SS_IN_TRANSIENT_STATE = -18,
	SS_CONCURRENT_ST_CHG = -19,
	SS_O_VOL_PEER_PRI = -20,
	SS_INTERRUPTED = -21,
	SS_PRIMARY_READER = -22,
	SS_TIMEOUT = -23,
	SS_WEAKLY_CONNECTED = -24,
	SS_NO_QUORUM = -25,
	SS_ATTACH_NO_BITMAP = -26,
	SS_HANDSHAKE_DISCONNECT = -27,
	SS_HANDSHAKE_RETRY = -28,
};

/* State words exactly as the utilities print them (config-and-utilities 3.1); "?" out of range. */
const char *role_name(enum role role);
const char *disk_state_name(enum disk_state disk);
const char *conn_state_name(enum conn_state conn);
const char *repl_state_name(enum repl_state repl);
/* "P_DATA" etc.; NULL for an unknown number. */
const char *packet_name(unsigned type);
/* One sentence for a result code. */
const char *state_rv_text(enum state_rv rv);

#endif

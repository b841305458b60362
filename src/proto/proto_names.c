/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Owns the words for states, packets and results. */
#include "proto/proto_enum.h"

#include <stddef.h>

#define NAME_OF(table, i)                                                                          \
	(((size_t)(i) < sizeof(table) / sizeof((table)[0]) && (table)[i]) ? (table)[i] : "?")

const char *role_name(enum role role)
{
	static const char *const names[] = { "Unknown", "Primary", "Secondary" };

	return NAME_OF(names, role);
}

const char *disk_state_name(enum disk_state disk)
{
	static const char *const names[] = { "Diskless",     "Attaching", "Detaching",
					     "Failed",       "Negotiating", "Inconsistent",
					     "Outdated",     "DUnknown",  "Consistent",
					     "UpToDate" };

	return NAME_OF(names, disk);
}

const char *conn_state_name(enum conn_state conn)
{
	static const char *const names[] = { "StandAlone",     "Disconnecting", "Unconnected",
					     "Timeout",        "BrokenPipe",    "NetworkFailure",
					     "ProtocolError",  "TearDown",      "Connecting",
					     "Connected" };

	return NAME_OF(names, conn);
}

const char *repl_state_name(enum repl_state repl)
{
	static const char *const names[] = {
		[REPL_OFF] = "Off",
		[REPL_ESTABLISHED] = "Established",
		[REPL_STARTING_SYNC_S] = "StartingSyncS",
		[REPL_STARTING_SYNC_T] = "StartingSyncT",
		[REPL_WF_BITMAP_S] = "WFBitMapS",
		[REPL_WF_BITMAP_T] = "WFBitMapT",
		[REPL_WF_SYNC_UUID] = "WFSyncUUID",
		[REPL_SYNC_SOURCE] = "SyncSource",
		[REPL_SYNC_TARGET] = "SyncTarget",
		[REPL_VERIFY_S] = "VerifyS",
		[REPL_VERIFY_T] = "VerifyT",
		[REPL_PAUSED_SYNC_S] = "PausedSyncS",
		[REPL_PAUSED_SYNC_T] = "PausedSyncT",
		[REPL_AHEAD] = "Ahead",
		[REPL_BEHIND] = "Behind",
	};

	return NAME_OF(names, repl);
}

const char *handler_name(enum handler handler)
{
	static const char *const names[] = {
		[HANDLER_FENCE_PEER] = "fence-peer",
		[HANDLER_UNFENCE_PEER] = "unfence-peer",
		[HANDLER_INITIAL_SPLIT_BRAIN] = "initial-split-brain",
		[HANDLER_SPLIT_BRAIN] = "split-brain",
		[HANDLER_BEFORE_RESYNC_TARGET] = "before-resync-target",
		[HANDLER_BEFORE_RESYNC_SOURCE] = "before-resync-source",
		[HANDLER_AFTER_RESYNC_TARGET] = "after-resync-target",
		[HANDLER_PRI_ON_INCON_DEGR] = "pri-on-incon-degr",
		[HANDLER_PRI_LOST_AFTER_SB] = "pri-lost-after-sb",
		[HANDLER_PRI_LOST] = "pri-lost",
		[HANDLER_LOCAL_IO_ERROR] = "local-io-error",
		[HANDLER_OUT_OF_SYNC] = "out-of-sync",
		[HANDLER_QUORUM_LOST] = "quorum-lost",
		[HANDLER_DISCONNECTED] = "disconnected",
	};

	return NAME_OF(names, handler);
}

const char *resync_limit_name(enum resync_limit limit)
{
	static const char *const names[] = {
		[LIMIT_NONE] = "none",
		[LIMIT_RESYNC_RATE] = "resync-rate",
		[LIMIT_MAX_RATE] = "c-max-rate",
		[LIMIT_APPLICATION] = "application",
		[LIMIT_FILL_TARGET] = "c-fill-target",
		[LIMIT_DELAY_TARGET] = "c-delay-target",
		[LIMIT_BUFFERS] = "max-buffers",
		[LIMIT_PRIMARY] = "primary",
	};

	return NAME_OF(names, limit);
}

const char *packet_name(unsigned type)
{
	switch (type) {
#define X(number, name)                                                                            \
	case number:                                                                               \
		return "P_" #name;
		PACKETS(X)
#undef X
	default:
		return NULL;
	}
}

const char *state_rv_text(enum state_rv rv)
{
	switch (rv) {
	case SS_CW_SUCCESS:
	case SS_SUCCESS:
		return "success";
	case SS_NOTHING_TO_DO:
		return "nothing to do";
	case SS_UNKNOWN_ERROR:
		return "unspecified error";
	case SS_TWO_PRIMARIES:
		return "a peer is Primary already";
	case SS_NO_UP_TO_DATE_DISK:
		return "no UpToDate data can be reached";
	case SS_NO_LOCAL_DISK:
		return "needs a local disk";
	case SS_NO_REMOTE_DISK:
		return "needs a disk at the peer";
	case SS_CONNECTED_OUTDATES:
		return "refused to outdate a node that is connected to a Primary";
	case SS_PRIMARY_NOP:
		return "the peer must be outdated (fenced) first";
	case SS_RESYNC_RUNNING:
		return "a resync is running";
	case SS_ALREADY_STANDALONE:
		return "the connection is StandAlone already";
	case SS_CW_FAILED_BY_PEER:
		return "a peer refused the state change";
	case SS_IS_DISKLESS:
		return "the volume has no disk";
	case SS_DEVICE_IN_USE:
		return "the volume is held open";
	case SS_NO_NET_CONFIG:
		return "the connection is not configured";
	case SS_NO_VERIFY_ALG:
		return "no verify-alg, or not the same on both nodes";
	case SS_NEED_CONNECTION:
		return "needs an established connection";
	case SS_LOWER_THAN_OUTDATED:
		return "the disk is in a lower state than Outdated";
	case SS_NOT_SUPPORTED:
		return "the peer does not support it";
	case SS_IN_TRANSIENT_STATE:
		return "another state change is in progress, try again";
	case SS_CONCURRENT_ST_CHG:
		return "another cluster-wide state change is running";
	case SS_O_VOL_PEER_PRI:
		return "the peer is Primary for another volume";
	case SS_INTERRUPTED:
		return "interrupted";
	case SS_PRIMARY_READER:
		return "a peer has the volume open for reading";
	case SS_TIMEOUT:
		return "timed out waiting for a peer's answer";
	case SS_WEAKLY_CONNECTED:
		return "not directly connected to all Primaries";
	case SS_NO_QUORUM:
		return "no quorum";
	case SS_ATTACH_NO_BITMAP:
		return "a peer without bitmap slot cannot have a disk";
	case SS_HANDSHAKE_DISCONNECT:
		return "the handshake refused the connection";
	case SS_HANDSHAKE_RETRY:
		return "the handshake must be tried again";
	}
	return "unknown result";
}

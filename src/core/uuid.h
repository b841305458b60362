/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Generation identifiers and the decision who resyncs from whom (states-and-resync 1, 2). */
#ifndef CORE_UUID_H
#define CORE_UUID_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/proto_enum.h"
#include "proto/proto_uuid.h"

/* What we sent in the handshake: the comparison uses these, not the present values (2.3 row 0). */
struct sent_uuids {
	bool valid;
	uint64_t current;  /* resolved */
	uint64_t bitmap;   /* towards that peer */
	uint64_t flags;
	uint64_t dirty_bits;
};

/* Strategies of 2.2. */
enum sync_strategy {
	SYNC_NONE,
	SYNC_SOURCE_IF_BOTH_FAILED,
	SYNC_SOURCE_USE_BITMAP,
	SYNC_SOURCE_SET_BITMAP,
	SYNC_SOURCE_COPY_BITMAP,
	SYNC_TARGET_IF_BOTH_FAILED,
	SYNC_TARGET_USE_BITMAP,
	SYNC_TARGET_SET_BITMAP,
	SYNC_TARGET_CLEAR_BITMAP,
	SYNC_SPLIT_BRAIN_AUTO_RECOVER,
	SYNC_SPLIT_BRAIN_DISCONNECT,
	SYNC_UNRELATED_DATA,
	SYNC_RETRY_CONNECT,
	SYNC_REQUIRES_PROTO_124,
};

enum sync_rule {
	RULE_NONE,
	RULE_INITIAL_HANDSHAKE_CHANGED,
	RULE_JUST_CREATED_BOTH,
	RULE_JUST_CREATED_SELF,
	RULE_JUST_CREATED_PEER,
	RULE_SOURCE_MISSED_FINISH,
	RULE_TARGET_PEER_MISSED_FINISH,
	RULE_RECONNECTED,
	RULE_CRASHED_PRIMARY,
	RULE_LOST_QUORUM,
	RULE_BOTH_OFF,
	RULE_BITMAP_PEER,
	RULE_BITMAP_PEER_OTHER,
	RULE_BITMAP_SELF,
	RULE_BITMAP_SELF_OTHER,
	RULE_HISTORY_PEER,
	RULE_HISTORY_SELF,
	RULE_BITMAP_BOTH,
	RULE_HISTORY_BOTH,
};

/* Outcome of the handshake for one peer device. */
enum verdict_kind { VERDICT_NONE, VERDICT_GO, VERDICT_RETRY, VERDICT_DISCONNECT };

struct sync_verdict {
	enum verdict_kind kind;
	enum repl_state repl;     /* GO: ESTABLISHED, WF_BITMAP_S or WF_BITMAP_T */
	enum sync_strategy strategy;
	enum sync_rule rule;
	uint8_t copy_from;        /* node id whose slot is copied (COPY, CLEAR) */
	const char *reason;       /* DISCONNECT, RETRY: for people */
};

const char *sync_strategy_name(enum sync_strategy s);
const char *sync_rule_name(enum sync_rule r);

#endif

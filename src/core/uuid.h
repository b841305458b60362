/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Generation identifiers and the decision who resyncs from whom (states-and-resync 1, 2). */
#ifndef CORE_UUID_H
#define CORE_UUID_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/proto_enum.h"
#include "proto/proto_uuid.h"

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

/* Who has older data, although there is no resync: the newer data are not whole. */
enum sync_behind { SYNC_BEHIND_NOBODY, SYNC_BEHIND_ME, SYNC_BEHIND_PEER };

struct sync_verdict {
	enum verdict_kind kind;
	enum repl_state repl;     /* GO: ESTABLISHED, WF_BITMAP_S or WF_BITMAP_T */
	enum sync_behind behind;
	enum sync_strategy strategy;
	enum sync_rule rule;
	uint8_t copy_from;        /* node id whose slot is copied (COPY, CLEAR) */
	const char *reason;       /* DISCONNECT, RETRY: for people */
};

/* One side of the comparison: what it sent in the handshake. */
struct uuid_side {
	uint64_t current;             /* resolved (1.2) */
	uint64_t bitmap[NODES_MAX];   /* by node id; UUID_UNKNOWN = not told */
	uint64_t history[HISTORY_UUIDS];
	uint64_t flags;               /* UUID_FLAG_* */
	uint64_t dirty_bits;
	enum disk_state disk;         /* Negotiating already replaced by what the metadata says */
	enum role role;
	uint8_t node_id;
	uint8_t origin;               /* uuid_origin() */
	bool no_quorum;               /* never without one configured */
	bool attaching;               /* `disk` is what its metadata says, nobody uses it yet */
	bool rc;                      /* holds RESOLVE_CONFLICTS: exactly one side */
	/* named a lost Primary in this handshake, the same as the other side */
	bool named_lost;
	uint64_t lost_dagtag;         /* last dagtag received from it */
};

/* Everything the decision depends on; the other side
 * has the same with `me` and `peer` exchanged. */
struct sync_input {
	struct uuid_side me, peer;
	unsigned apv;
	bool async;                   /* protocol A or B */
	bool again;                   /* not while connecting: 2.7 */
	bool counts_stale;            /* the two dirty_bits are not what both sides decide with */
	enum after_sb after_sb_0p, after_sb_1p, after_sb_2p, rr_conflict;
	bool always_asbp;
	bool by_quorum;               /* quorum is configured */
	bool nobody_settles;          /* who is Primary beside the two has no disk */
};

struct sync_decision {
	enum sync_strategy strategy;
	enum sync_rule rule;
	uint8_t copy_from;            /* COPY, CLEAR: node id */
	/* equal generations, but bits remained (decision 6 of the README) */
	bool leftover;
	enum verdict_kind kind;
	enum repl_state repl;
	enum sync_behind behind;
	bool demote;                  /* RETRY: this Primary has to give its role up first */
	bool pri_lost;                /* DISCONNECT: rr-conflict call-pri-lost */
	const char *reason;           /* DISCONNECT, RETRY */
};

/* Whose data a node has, as far as resyncs at one generation have given it those of another one. */
uint8_t uuid_origin(uint64_t flags, uint8_t node_id);

/* The table of 2.3 alone. */
struct sync_decision uuid_compare(const struct sync_input *in);
/* All of 2.5. Pure: mirrored inputs give mirrored results, or both refuse (S13). */
struct sync_decision sync_decide(const struct sync_input *in);
void sync_input_swap(const struct sync_input *in, struct sync_input *out);

/* split_brain.c: 3.1 to 3.3. SOURCE_USE, TARGET_USE, or SPLIT_BRAIN_DISCONNECT: not solved. */
enum sync_strategy split_brain_policy(const struct sync_input *in);
/* call-pri-lost-after-sb: I am the victim, and may follow only once I am no Primary any more. */
bool split_brain_demotes(const struct sync_input *in, enum sync_strategy s);

bool strategy_is_source(enum sync_strategy s);
bool strategy_is_target(enum sync_strategy s);
bool strategy_is_split_brain(enum sync_strategy s);
/* The same with the other direction, with a full sync, as
 * the other side sees it; SYNC_NONE = there is none. */
enum sync_strategy strategy_reverse(enum sync_strategy s);
enum sync_strategy strategy_full(enum sync_strategy s);
enum sync_strategy strategy_mirror(enum sync_strategy s);

const char *sync_strategy_name(enum sync_strategy s);
const char *sync_rule_name(enum sync_rule r);

#endif

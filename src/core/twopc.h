/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Cluster-wide state changes by two-phase commit (wire-protocol
 * 6), and the operator commands that use them. */
#ifndef CORE_TWOPC_H
#define CORE_TWOPC_H

#include <stdbool.h>
#include <stdint.h>

#include "core/core.h"
#include "proto/proto_enum.h"

struct peer;
struct state;
struct volume;

/* What a cluster-wide change is about (6.3). */
enum twopc_kind {
	TWOPC_EMPTY,      /* who is still there, after a lost Primary */
	TWOPC_CONNECT,
	TWOPC_DISCONNECT,
	TWOPC_ROLE,
	TWOPC_DISK,       /* attach, detach */
	TWOPC_REPL,       /* start of a resync on request */
	TWOPC_RESIZE,
};

/* A change as P_TWOPC_PREPARE describes it: mask and val are seen from the initiator. */
struct twopc_change {
	enum twopc_kind kind;
	int8_t initiator;
	int8_t target;    /* -1 = all */
	uint16_t vnr;     /* VNR_NONE = whole resource */
	uint32_t mask, val;
	uint64_t user_sectors; /* RESIZE: wanted size, 0 = as large as possible */
	uint16_t dds_flags;    /* RESIZE */
};

enum twopc_phase {
	TWOPC_IDLE,
	TWOPC_INITIATING, /* own transaction: answers outstanding */
	TWOPC_FORWARDING, /* of another node: not answered yet */
	TWOPC_ANSWERED,   /* of another node: waits for COMMIT or ABORT */
};

struct twopc {
	enum twopc_phase phase;
	struct twopc_change change;
	uint32_t tid;
	uint32_t flags;
	uint64_t nodes_to_reach;  /* as forwarded */
	uint64_t parents;         /* who sent us PREPARE */
	uint64_t asked;           /* to whom we sent PREPARE */
	uint64_t pending;         /* of these, not answered yet */
	uint64_t lost;            /* connections that went away, not looked at yet */
	uint64_t reachable, primary, weak; /* answers combined */
	uint64_t max_sectors;     /* RESIZE: answers combined */
	uint64_t new_sectors;     /* RESIZE: what is committed */
	uint64_t target_reachable;  /* of the target, as initiator: the other side of a split */
	bool handshake_pending;   /* connect: the exchange of 2.1 step 7 is not complete */
	bool measure_pending;     /* RESIZE: the own room for data is not known yet */
	bool got_no, got_retry;
	bool from_primary;        /* its initiator was Primary when it asked us */
	enum packet answer;       /* ANSWERED: what we said; COMMIT is legal after YES only */
	enum state_rv local_rv;   /* what our own check said */
	uint64_t deadline_ns;
	/* initiator: what is wanted, one at a time */
	bool want_empty;
	bool empty_held;          /* it ran, but the reconciliation keeps disks at Consistent */
	bool want_command;
	bool serve_connect_next;  /* commands and connects take turns */
	uint64_t want_connect;    /* peers whose handshake is ready and who have a higher id */
	struct twopc_change command_change;
	uint64_t command_until_ns;/* no retry of the command's change after this */
	unsigned attempt;
	uint64_t next_ns;         /* back-off: no own transaction before */
	unsigned connects_failed; /* of late, by other transactions */
};

/* ---- twopc.c: as initiator ---- */

/* Hands a change over for the running command; command_twopc_done() gets the result. */
void twopc_request_command(struct core *core, const struct twopc_change *change);
/* The peer passed P_PROTOCOL and has the higher id: connect to it when possible. */
void twopc_request_connect(struct core *core, struct peer *peer);
/* Starts what is wanted if nothing runs; looks after lost connections. */
void twopc_run(struct core *core);
void twopc_time(struct core *core);
uint64_t twopc_deadline(const struct core *core);
/* The connection is gone: answers it owed count as
 * RETRY, transactions that came over it are aborted. */
void twopc_peer_lost(struct core *core, struct peer *peer);
/* The exchange inside the running connect transaction is complete: go on. */
void twopc_handshake_done(struct core *core, struct peer *peer);
/* The running transaction connects us to this peer. */
bool twopc_connects(const struct core *core, const struct peer *peer);
/* We agreed to a resync or verify with this peer, its decision is to come: it may report the state
 * that it leads to before. */
bool twopc_starts_resync(const struct core *core, const struct peer *peer,
			 const struct volume *vol);
/* A resize of this volume may still be committed. */
bool twopc_may_resize(const struct core *core, const struct volume *vol);
/* Own transaction: all answers are in, or one that decides. */
void twopc_decide(struct core *core);
/* Gives up the own transaction with this result; tells the others. */
void twopc_abort_own(struct core *core, enum state_rv rv);

/* ---- twopc_peer.c: as participant and forwarder ---- */

void rx_twopc_prepare(struct core *core, struct peer *peer, const struct pkt *pkt);
/* YES NO RETRY */
void rx_twopc_reply(struct core *core, struct peer *peer, const struct pkt *pkt);
/* COMMIT ABORT */
void rx_twopc_decision(struct core *core, struct peer *peer, const struct pkt *pkt);
/* Another node's transaction: answers its parents when all that is needed is known. */
void twopc_answer(struct core *core);
/* Another node's RESIZE: the own room for data is known; 0 = it cannot be found out. */
void twopc_measured(struct core *core, uint64_t possible_sectors);
/* Another node's transaction: undoes it, and passes the ABORT on. */
void twopc_abort_remote(struct core *core, const char *why);

/* ---- twopc_change.c: meaning of a change ---- */

/* Kind of a PREPARE; false when it is none that is supported. */
bool twopc_change_parse(const struct pkt *pkt, struct twopc_change *change);
/* Edits *next as the change demands of this node; nothing where it does not concern it. */
void twopc_change_apply(struct core *core, struct state *next, const struct twopc_change *change);
/* The change as seen before it is committed: result of the soft rules. */
enum state_rv twopc_change_try(struct core *core, const struct twopc_change *change);
/* Commits the change with the effects of 6.6. */
enum state_rv twopc_change_commit(struct core *core, const struct twopc_change *change,
				  uint64_t primary, uint64_t reachable, uint32_t flags);
/* This node's part of the answer masks (6.2). */
void twopc_change_masks(const struct core *core, const struct twopc_change *change,
			uint64_t *reachable, uint64_t *primary, uint64_t *weak);
/* P_TWOPC_PREPARE, COMMIT or ABORT of the running transaction, to every node in the mask. */
void twopc_send(struct core *core, enum packet type, uint64_t nodes);

#define COMMANDS_MAX 64U

/* The operator commands: a queue, of which the head runs. */
struct commands {
	struct ev_command queue[COMMANDS_MAX];
	unsigned head, count;
	unsigned step;            /* of the head; 0 = not begun. Meaning depends on the command */
	unsigned tries;
	uint64_t deadline_ns;     /* of the present step, NEVER_NS = none */
	uint64_t give_up_ns;      /* promotion, demotion: of the whole */
	uint32_t ping_seq[NODES_MAX]; /* pings sent before a promotion */
	uint64_t ping_peers;
	bool twopc_running;
	enum state_rv twopc_rv;   /* valid once it does not run any more */
	bool ignore_openers;      /* demotion by force or at shutdown */
	bool local_up_to_date;    /* forced promotion declares the local data good */
	bool give_up_io;          /* what waits fails: the node is to be demoted */
	bool demotes;             /* a forced demotion of its own is on the queue */
	bool fenced;              /* promotion: the handlers were called */
	bool outdate_peers;       /* forced promotion: who is out of sight counts as Outdated */
	bool auto_promoted;       /* Primary because of an open; the last writer's close demotes */
};

void command_submit(struct core *core, const struct ev_command *ev);
void command_run(struct core *core);
void command_time(struct core *core);
uint64_t command_deadline(const struct core *core);
void command_twopc_done(struct core *core, enum state_rv rv);

#endif

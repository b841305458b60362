/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A change of a state with its cause: told by the core, kept by the daemon, shown by the API. */
#ifndef PROTO_CHANGE_H
#define PROTO_CHANGE_H

#include <stdint.h>

#include "proto/proto_enum.h"
#include "proto/proto_limits.h"
#include "proto/proto_status.h"

/* What changed; `from` and `to` are of the enumeration in brackets. */
enum change_what {
	CHANGE_ROLE,         /* [role] */
	CHANGE_SUSPENDED,    /* [bits SUSPENDED_*] */
	CHANGE_DISK,         /* [disk_state] of volume vnr */
	CHANGE_CONNECTION,   /* [conn_state] to node */
	CHANGE_PEER_ROLE,    /* [role] of node */
	CHANGE_REPLICATION,  /* [repl_state] of volume vnr with node */
	CHANGE_PEER_DISK,    /* [disk_state] of volume vnr at node */
	CHANGE_QUORUM,       /* [0 or 1] of volume vnr */
	CHANGE_PAUSED,       /* [bits PAUSED_*] of the resync of volume vnr with node */
	CHANGE_DIFFERS,      /* [0 or 1] volume vnr from that of node, as a verify has found */
	/* [0 or 1: it runs] a handler, about node and vnr; which, and what became of it, is the
	 * reason */
	CHANGE_HANDLER,
};

#define SUSPENDED_USER 1U
#define SUSPENDED_NO_DATA 2U
#define SUSPENDED_GENERATION 4U
#define SUSPENDED_QUORUM 8U
#define SUSPENDED_FENCING 16U
#define PAUSED_USER 1U
#define PAUSED_PEER 2U
#define PAUSED_DEPENDENCY 4U
#define PAUSED_PARALLEL 8U

enum change_cause {
	CAUSE_COMMAND,       /* detail: which */
	CAUSE_PEER,          /* cause_node has told something; detail: the packet */
	CAUSE_CONNECTION,    /* the one to cause_node was made or lost */
	CAUSE_DISK,          /* a local disk has answered */
	CAUSE_TIMER,
	CAUSE_TWOPC,         /* cluster-wide change that cause_node began */
	CAUSE_RESYNCS,       /* those of other resources */
	CAUSE_HANDLER,       /* one has ended; detail: which; about cause_node */
	CAUSE_REQUEST,       /* reading and writing, or other options */
};

struct state_change {
	enum change_what what;
	enum change_cause cause;
	uint8_t node;        /* NODES_MAX = this one */
	uint8_t cause_node;  /* NODES_MAX = none */
	uint8_t from, to;
	uint32_t vnr;        /* VNR_NONE = not of one volume */
	const char *detail;  /* static, or NULL */
	char reason[STATUS_REASON_MAX]; /* why a connection or a disk was given up, "" = none */
};

/* As the daemon keeps it: the last ones of each resource. */
#define CHANGES_KEPT 1000U
#define CHANGES_KEPT_ARBITER 100U /* it is to stay small */

struct kept_change {
	int64_t unix_ms;
	struct state_change change;
};

#endif

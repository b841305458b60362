/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What was written and answered, and what a node may show of it. Sectors are of all volumes. */
#ifndef SIM_ORACLE_H
#define SIM_ORACLE_H

#include <stdbool.h>
#include <stdint.h>

struct net_barriers;
struct world;

/* ---- oracle (oracle.c): what was written, what may be read ---- */

/* Content that was on a disk before the volume had it. */
#define ORACLE_GARBAGE (UINT64_C(1) << 63)

enum op_state { OP_PENDING, OP_ACKED, OP_FAILED };

struct oracle_op {
	uint64_t tag;            /* content = tag + sector, 0 for discards and zeroes */
	uint64_t sector;
	uint32_t sectors;
	uint64_t issue;          /* order numbers, not times */
	uint64_t end;            /* SIM_NEVER while pending */
	bool acked, durable;
	bool lost;               /* perhaps: unflushed when all copies lost power */
	uint32_t had_by;         /* nodes that its Primary called good when it was answered */
	int8_t node;             /* where it was issued, -1 = before the life, or does not matter */
};

struct oracle_version {
	uint32_t op;
	uint32_t next;                /* index + 1 */
	uint64_t value;
	/* order number of the ack that made it old, SIM_NEVER = not */
	uint64_t superseded;
	bool superseded_durable;
	bool left_behind;             /* a survivor behind protocol A or B went on without it */
};

struct oracle {
	uint32_t life;
	uint64_t clock;               /* order numbers */
	struct oracle_op *ops;
	unsigned op_count, op_cap;
	struct oracle_version *versions;
	unsigned version_count, version_cap;
	uint32_t *head;               /* per sector, index + 1 */
	uint32_t *head_life;
	uint32_t *touched;            /* sectors with a version */
	unsigned touched_count, touched_cap;
	unsigned acked, failed, durable, relaxed, left_behind;
	uint64_t stable[SIM_NODES_MAX];   /* what ended before is on stable storage there */
	uint64_t up_since[SIM_NODES_MAX];
	bool torn[SIM_NODES_MAX];         /* lost power, perhaps later writes than it kept */
};

void oracle_reset(struct world *w);
/* Returns the index of the new write; its tags are oracle_value(). */
unsigned oracle_issue(struct world *w, uint64_t sector, uint32_t sectors, bool zeroes);
uint64_t oracle_value(const struct world *w, unsigned op, uint64_t sector);
void oracle_ack(struct world *w, unsigned op);
/* It ended without success: its content may or may not appear. */
void oracle_fail(struct world *w, unsigned op);
/* A flush of the volume issued at order number `since` was answered. */
void oracle_durable(struct world *w, unsigned vnr, uint64_t since, unsigned node);
/* The write has been answered: who takes part in that promise. */
void oracle_async_acked(struct world *w, struct oracle_op *op);
void oracle_op_durable(struct world *w, unsigned op);
/* All acknowledged but unflushed data of the volume may be gone from now on. */
void oracle_relax(struct world *w, unsigned vnr);
/* Is the value possible for a read that began at order number `since`? */
bool oracle_legal(const struct world *w, uint64_t sector, uint64_t value, uint64_t since);
/* First sector whose stored value on the node is not possible now, or SIM_NEVER. */
uint64_t oracle_check_node(struct world *w, unsigned node);
uint64_t oracle_check_volumes(struct world *w, unsigned node, uint32_t volumes);
void oracle_explain(struct world *w, uint64_t sector);

/* ---- behind protocols A and B (oracle_async.c): what a node may lack ---- */

void oracle_async_reset(struct world *w);
void oracle_node_started(struct world *w, unsigned node);
/* It is behind some peer by protocol A or B. */
bool oracle_may_lag(const struct world *w, unsigned node);
/* A barrier leaves the node for the peer; its ack is back. */
void oracle_barrier_sent(struct world *w, struct net_barriers *b, uint32_t number);
void oracle_barrier_acked(struct world *w, struct net_barriers *b, uint32_t number, unsigned peer);
/*
 * First sector of these volumes where an UpToDate disk lacks what it must have, or SIM_NEVER: what
 * was answered by protocol C, what is stable there, and whatever came before anything that is
 * there, on whichever volume. Settled: what has arrived by protocol B is written.
 */
uint64_t oracle_check_claim(struct world *w, unsigned node, uint32_t volumes, bool settled);
/* The node goes on as Primary: what it lacks is lost. */
void oracle_goes_on(struct world *w, unsigned node, uint32_t volumes);
/* It is promoted by force: what it has is what counts, and nothing newer may show again. */
void oracle_forced(struct world *w, unsigned node);

#endif

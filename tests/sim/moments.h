/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What must not change under an application, and what must not last, while things go wrong. */
#ifndef SIM_MOMENTS_H
#define SIM_MOMENTS_H

#include <stdbool.h>
#include <stdint.h>

struct ev_command;
struct world;

/* Since when, 0 = it is not so. */
struct moments {
	uint64_t ready_since_ns; /* the application waits by no order */
	uint64_t belief_ns[SIM_NODES_MAX][SIM_NODES_MAX];
	bool met[SIM_NODES_MAX][SIM_NODES_MAX];
	/* the connection that an order to disconnect has found, 0 = none; volumes whose disk there
	 * is Outdated since, because both have agreed */
	uint64_t asked[SIM_NODES_MAX][SIM_NODES_MAX];
	uint32_t agreed[SIM_NODES_MAX][SIM_NODES_MAX];
	uint64_t exchange_ns[SIM_NODES_MAX][SIM_NODES_MAX];
	uint64_t gen[SIM_NODES_MAX][SIM_NODES_MAX];
	uint64_t one_sided_ns[SIM_NODES_MAX][SIM_NODES_MAX];
	uint64_t refused_life[SIM_NODES_MAX][SIM_NODES_MAX]; /* of the other one, before that */
	bool retried[SIM_NODES_MAX][SIM_NODES_MAX]; /* the other one knew, and was given an order */
	unsigned part[SIM_NODES_MAX]; /* who is with the node, mask */
	uint64_t life[SIM_NODES_MAX];
	uint64_t parts_since_ns;
	uint64_t unfenced_ns[SIM_NODES_MAX][SIM_NODES_MAX];
};

void moments_reset(struct world *w);
/* A node is given an order about a peer; it closes the connection to it. */
void moments_command(struct world *w, unsigned node, const struct ev_command *cmd);
void moments_closed(struct world *w, unsigned node, unsigned peer);
/* Now and then. */
void moments_check(struct world *w);
/* The application has read this; the read was issued at order number `since`. */
void moments_read(struct world *w, uint64_t sector, uint64_t value, uint64_t since);

#endif

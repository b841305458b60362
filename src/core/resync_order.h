/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which volumes of a node may resync now: resync-after, and the limit of parallel resyncs. Pure,
 * and over all resources of the node; the result goes to each core as EV_RESYNC_GATE.
 *
 * The limit counts where this node is the target, since the target asks and the source follows: so
 * each resync waits in one queue only, and two nodes never wait for each other's.
 */
#ifndef CORE_RESYNC_ORDER_H
#define CORE_RESYNC_ORDER_H

#include <stdbool.h>
#include <stdint.h>

#define RESYNC_AFTER_NONE UINT32_MAX

struct resync_slot {
	uint32_t after;        /* index of another slot, or RESYNC_AFTER_NONE */
	uint32_t group;        /* of one resource: these stand together */
	bool busy, wants, runs; /* as core_resync() tells */
	bool dependency, parallel; /* the gate as it is; then as it shall be */
};

/* Slots are in the order in which they get their turn. `limit` 0 = none. */
void resync_order(struct resync_slot *slots, unsigned count, unsigned limit);

#endif

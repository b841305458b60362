/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What goes wrong in a life. */
#ifndef SIM_FAULT_H
#define SIM_FAULT_H

struct world;

enum fault {
	FAULT_KILL, FAULT_KILL_AT_ACTION, FAULT_POWER, FAULT_POWER_ALL, FAULT_CUT, FAULT_HALF_OPEN,
	FAULT_PARTITION_ONE, FAULT_PARTITION_HALVES, FAULT_ONE_WAY, FAULT_STALL, FAULT_HOLD_PACKET,
	FAULT_DISK_STALL, FAULT_READ_ERROR, FAULT_WRITE_ERROR, FAULT_META_ERROR, FAULT_DISCONNECT,
	FAULT_DETACH, FAULT_KINDS,
};

void fault_inject(struct world *w);
/* One of those that concern one node, or one connection. */
void fault_put(struct world *w, enum fault fault, unsigned node, unsigned peer);
void fault_heal(struct world *w);
void fault_restart_later(struct world *w, unsigned node);
const char *fault_name(enum fault fault);

#endif

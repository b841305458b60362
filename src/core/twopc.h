/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Cluster-wide state changes by two-phase commit (wire-protocol 6), and the operator commands that use them. */
#ifndef CORE_TWOPC_H
#define CORE_TWOPC_H

#include <stdbool.h>
#include <stdint.h>

struct twopc {
	bool active;
};

struct commands {
	uint32_t count;
};

#endif

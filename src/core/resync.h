/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One resync of one peer device, and the reconciliation after a lost Primary (states-and-resync 5). */
#ifndef CORE_RESYNC_H
#define CORE_RESYNC_H

#include <stdbool.h>
#include <stdint.h>

struct resync {
	bool running;
};

struct reconcile {
	bool pending;
};

#endif

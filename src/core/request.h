/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Application requests, transfer log, epochs of the sending side; received writes of the other side. */
#ifndef CORE_REQUEST_H
#define CORE_REQUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "core/hold.h"

struct requests {
	uint32_t in_use;
};

/* Per peer, while we are Primary. */
struct peer_tx {
	uint32_t epoch;
};

/* Per peer, while it is Primary. */
struct peer_rx {
	uint64_t dagtag;
};

#endif

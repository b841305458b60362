/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The in-core bitmap of one volume: slots, weights, dirty pages (on-disk-metadata 9). */
#ifndef CORE_BITMAP_H
#define CORE_BITMAP_H

#include <stdint.h>

#include "core/core.h"

struct bitmap {
	struct bm_store store;
	uint64_t bits; /* of the agreed size */
};

/* A bitmap transfer being received from one peer for one volume. */
struct bitmap_rx {
	bool active;
	uint64_t pos;
};

#endif

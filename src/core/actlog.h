/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The activity log of one volume: hot extents, pending transaction, waiting writes (on-disk-metadata 8). */
#ifndef CORE_ACTLOG_H
#define CORE_ACTLOG_H

#include <stdint.h>

struct actlog {
	uint64_t writes; /* transactions written (statistics) */
};

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* When wait-connect and wait-sync are done. */
#ifndef WAIT_H
#define WAIT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* True when all connections (to `peer`, "" = any) are established, for_sync: and no resync runs. A
 * connection below Unconnected counts as done. Else `missing` says what is still to come. */
bool wait_done(const json_t *resource, const char *peer, bool for_sync, char *missing,
	       size_t bytes);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The two sides of a handshake, as the tests of what it decides begin with them. */
#ifndef TEST_SYNC_INPUT_H
#define TEST_SYNC_INPUT_H

#include <criterion/criterion.h>
#include <string.h>

#include "core/uuid.h"

#define X UINT64_C(0x1111111111111110)
#define Y UINT64_C(0x2222222222222220)
#define Z UINT64_C(0x3333333333333330)
#define STABLE (UUID_FLAG_STABLE | UUID_FLAG_KEEPS_BITS)

static struct sync_input in;

/* Node 0 (me) and node 1, both UpToDate Secondaries
 * that were never connected, me at X, peer at Y. */
static inline void setup(void)
{
	memset(&in, 0, sizeof(in));
	in.apv = 124;
	in.me.node_id = 0;
	in.peer.node_id = 1;
	in.me.current = X;
	in.peer.current = Y;
	in.me.flags = in.peer.flags = STABLE;
	in.me.disk = in.peer.disk = DISK_UP_TO_DATE;
	in.me.role = in.peer.role = ROLE_SECONDARY;
	in.me.rc = true;
	in.rr_conflict = ASB_DISCONNECT;
}

#endif

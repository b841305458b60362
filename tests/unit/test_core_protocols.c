/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Answers to writes that the node's own disk does not have, behind protocols A and B. */
#include <errno.h>

#include "core/state.h"
#include "core_node.h"

static struct node n;

static void done(void)
{
	node_close(&n);
}

#define ProtocolsTest(name) Test(core_protocols, name, .fini = done)

/* That it has arrived says nothing about a disk, and no other disk has it. */
ProtocolsTest(without_a_disk_protocol_b_asks_for_the_written_copy)
{
	struct pkt data;

	node_open(&n, ROLE_PRIMARY, 1, PROTOCOL_B);
	n.core->st.vol[0].disk = DISK_DISKLESS;
	node_write(&n, 1, 80);
	data = *node_sent(&n, 1, P_DATA, 0);
	cr_assert_eq(data.u.block.dp_flags, 0x102);
	cr_assert_eq(node_answer(&n, 1), INT32_MAX);
	node_ack(&n, 1, P_NEG_ACK, &data);
	cr_assert_eq(node_answer(&n, 1), -EIO);
}

/* Our disk fails with the write in flight: a peer that may still fail is no copy either. */
static void fails_here(enum wire_protocol protocol)
{
	node_open(&n, ROLE_PRIMARY, 1, protocol);
	node_write(&n, 1, 80);
	if (protocol == PROTOCOL_B) {
		struct pkt data = *node_sent(&n, 1, P_DATA, 0);
		uint64_t tag = node_act(&n, AC_DISK_WRITE, 0)->u.disk.tag;

		node_ack(&n, 1, P_RECV_ACK, &data);
		node_disk_done(&n, tag, -EIO);
	} else {
		node_disk_done(&n, node_act(&n, AC_DISK_WRITE, 0)->u.disk.tag, -EIO);
	}
	cr_assert_eq(node_answer(&n, 1), INT32_MAX);
	/* The barrier does not wait for the next write. */
	cr_assert(node_sent(&n, 1, P_BARRIER, 0));
}

/* The peer says that the generation without our disk is on its own. */
static void follows(void)
{
	struct peer_device *pd = &n.core->peer[1]->pd[0];

	cr_assert_eq(node_answer(&n, 1), INT32_MAX);
	pd->uuids_valid = true;
	pd->uuids.current = n.vol->exposed_uuid;
	pd->uuids.flags = 0;
	core_work(n.core, WORK_REQUESTS);
	node_time(&n, 1);
}

ProtocolsTest(a_failed_write_waits_for_the_peer_of_protocol_a)
{
	fails_here(PROTOCOL_A);
	node_barrier_ack(&n, 1, 0, 1);
	cr_assert_not(node_failed(&n, 1));
	follows();
	cr_assert_eq(node_answer(&n, 1), 0);
	cr_assert_eq(n.core->req.slab.used, 0);
}

ProtocolsTest(a_failed_write_waits_for_the_peer_of_protocol_b)
{
	fails_here(PROTOCOL_B);
	node_barrier_ack(&n, 1, 0, 1);
	follows();
	cr_assert_eq(node_answer(&n, 1), 0);
}

ProtocolsTest(a_write_that_fails_everywhere_is_an_error)
{
	struct pkt data;

	node_open(&n, ROLE_PRIMARY, 1, PROTOCOL_A);
	node_write(&n, 1, 80);
	data = *node_sent(&n, 1, P_DATA, 0);
	node_disk_done(&n, node_act(&n, AC_DISK_WRITE, 0)->u.disk.tag, -EIO);
	node_ack(&n, 1, P_NEG_ACK, &data);
	cr_assert_eq(node_answer(&n, 1), -EIO);
}

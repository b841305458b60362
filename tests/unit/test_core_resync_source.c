/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The source's side of a resync, request by request. */
#include "core/state.h"
#include "core_node.h"

static struct node n;

static void done(void)
{
	node_close(&n);
}

/* A peer asks for a block, and the application writes it while it is read; true: the reply went. */
static bool overtaken(unsigned apv, uint32_t features)
{
	struct pkt ask = { .type = P_RS_DATA_REQUEST };
	uint64_t read, write;
	struct pkt data;

	node_open(&n, ROLE_PRIMARY, 1, PROTOCOL_C);
	n.core->peer[1]->apv = (uint16_t)apv;
	n.core->peer[1]->features = features;
	n.core->st.pd[1][0].repl = REPL_SYNC_SOURCE;
	n.core->st.pd[1][0].pdsk = DISK_INCONSISTENT;
	bitmap_set(n.core, n.vol, 1, 80, 8);
	ask.u.block.sector = 80;
	ask.u.block.bytes = 4096;
	ask.u.block.block_id = UINT64_MAX;
	node_rx(&n, 1, STREAM_DATA, &ask);
	read = node_act(&n, AC_DISK_READ, 0)->u.disk.tag;
	node_write(&n, 7, 80);
	data = *node_sent(&n, 1, P_DATA, 0);
	write = node_act(&n, AC_DISK_WRITE, 0)->u.disk.tag;
	node_disk_done(&n, read, 0);
	if (node_sent(&n, 1, P_RS_DATA_REPLY, 0))
		return true;
	node_disk_done(&n, write, 0);
	node_ack(&n, 1, P_WRITE_ACK, &data);
	read = node_act(&n, AC_DISK_READ, 0)->u.disk.tag;
	node_disk_done(&n, read, 0);
	cr_assert(node_sent(&n, 1, P_RS_DATA_REPLY, 0));
	return false;
}

/* What a write has overtaken is read again, or it would end up on top of it. */
Test(resync_source, no_reply_is_older_than_a_write_before_it, .fini = done)
{
	cr_assert_not(overtaken(101, 0));
	done();
	cr_assert_not(overtaken(124, FEATURE_RESYNC_DAGTAG));
}

/* DRBD 9.0 and 9.1 keep the write back until the reply is there: it must not wait for the write. */
Test(resync_source, a_target_that_keeps_writes_back_gets_its_reply, .fini = done)
{
	cr_assert(overtaken(121, 0));
}

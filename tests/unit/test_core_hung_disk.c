/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Commands while the local disk does not answer. */
#include <string.h>

#include "core_node.h"

#define FROM 1U
#define THIRD 2U

static struct node n;

static void done(void)
{
	node_close(&n);
}

#define HungDiskTest(name) Test(core_hung_disk, name, .fini = done)

static void open_secondary(void)
{
	node_open(&n, ROLE_SECONDARY, 2, PROTOCOL_C);
	n.core->st.peer[THIRD].role = ROLE_SECONDARY;
}

static void rx_write(uint64_t sector)
{
	struct pkt pkt = { .type = P_DATA, .payload = { n.payload_next++, 4096 } };

	pkt.u.block.sector = sector;
	pkt.u.block.bytes = 4096;
	pkt.u.block.dp_flags = DP_SEND_WRITE_ACK | DP_RW_SYNC;
	node_rx(&n, FROM, STREAM_DATA, &pkt);
}

static const struct ac_reply *command(enum core_command cmd, bool force)
{
	struct core_event ev = node_event(&n, EV_COMMAND);

	ev.u.command.cmd = cmd;
	ev.u.command.force = force;
	ev.u.command.cookie = (uint64_t)cmd + 1;
	node_step(&n, &ev);
	return node_act(&n, AC_REPLY, 0) ? &node_act(&n, AC_REPLY, 0)->u.reply : NULL;
}

static const struct ac_reply *reply_after(uint64_t ms)
{
	node_time(&n, ms);
	return node_act(&n, AC_REPLY, 0) ? &node_act(&n, AC_REPLY, 0)->u.reply : NULL;
}

HungDiskTest(a_forced_detach_is_answered_although_the_disk_hangs)
{
	const struct ac_reply *reply;
	uint64_t tag;

	open_secondary();
	rx_write(80);
	tag = node_act(&n, AC_DISK_WRITE, 0)->u.disk.tag;
	cr_assert_null(command(CMD_DETACH, true));
	cr_assert_eq(n.core->st.vol[0].disk, DISK_FAILED);
	cr_assert_null(reply_after(999));
	reply = reply_after(1);
	cr_assert(reply);
	cr_assert_eq(reply->rc, SS_SUCCESS);
	cr_assert(strstr(reply->text, "answered the 1 requests under way"), "%s", reply->text);
	/* Nor does an attach keep other commands waiting. */
	cr_assert_null(command(CMD_ATTACH, false));
	reply = reply_after(1000);
	cr_assert(reply);
	cr_assert_eq(reply->rc, SS_IN_TRANSIENT_STATE);
	node_disk_done(&n, tag, 0);
	cr_assert(node_act(&n, AC_DETACH, 0));
	cr_assert_eq(n.core->st.vol[0].disk, DISK_DISKLESS);
}

/* One without force is at the head of the queue, and waits for the disk. */
HungDiskTest(a_forced_detach_behind_another_is_answered_too)
{
	open_secondary();
	rx_write(80);
	n.core->st.peer[THIRD].conn = n.core->st.peer[FROM].conn = CONN_STANDALONE;
	n.core->peer[FROM]->tx.active = n.core->peer[THIRD]->tx.active = false;
	n.core->st.vol[0].disk = DISK_DETACHING;
	cr_assert_null(command(CMD_DETACH, false));
	cr_assert_null(reply_after(60000));
	cr_assert_null(command(CMD_DETACH, true));
	cr_assert_null(reply_after(999));
	cr_assert(reply_after(1));
	cr_assert_eq(n.core->commands.count, 1);
	cr_assert(reply_after(1000));
	cr_assert_eq(n.core->commands.count, 0);
}

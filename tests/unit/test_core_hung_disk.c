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

static void detached(void)
{
	struct core_event ev = node_event(&n, EV_DETACHED);

	node_step(&n, &ev);
}

static unsigned unanswered(void)
{
	return n.vol->io.given_up;
}

/* A completion of what was given up changes nothing; then it can be attached again. */
static void closes_after(uint64_t tag)
{
	const struct ac_reply *reply;
	unsigned before = unanswered();

	cr_assert_eq(n.vol->phase, VOL_DETACHING);
	node_disk_done(&n, tag, 0);
	cr_assert_eq(unanswered(), before - 1);
	cr_assert_eq(n.count, 1);
	cr_assert(node_act(&n, AC_NOTIFY, 0));
	if (unanswered() > 0)
		return;
	detached();
	cr_assert_eq(n.vol->phase, VOL_DETACHED);
	reply = command(CMD_ATTACH, false);
	cr_assert_null(reply);
	cr_assert(node_act(&n, AC_ATTACH, 0));
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
	cr_assert(node_act(&n, AC_DETACH, 0));
	/* Nor does an attach keep other commands waiting. */
	cr_assert_null(command(CMD_ATTACH, false));
	reply = reply_after(1000);
	cr_assert(reply);
	cr_assert_eq(reply->rc, SS_IN_TRANSIENT_STATE);
	cr_assert_eq(n.core->st.vol[0].disk, DISK_DISKLESS);
	closes_after(tag);
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

/* ---- disk-timeout ---- */

#define TIMEOUT_MS 3000U

static void open_with_timeout(enum role role)
{
	node_open(&n, role, 2, PROTOCOL_C);
	n.core->conf.volumes[0].disk.disk_timeout_ds = TIMEOUT_MS / 100;
}

static void expect_given_up(unsigned requests)
{
	cr_assert_eq(n.core->st.vol[0].disk, DISK_DISKLESS);
	cr_assert(node_act(&n, AC_DETACH, 0));
	cr_assert_eq(unanswered(), requests, "%u", unanswered());
	cr_assert(strstr(n.vol->reason, "no answer for 3.0 s"), "%s", n.vol->reason);
}

HungDiskTest(a_write_that_hangs_is_answered_through_the_peers)
{
	uint64_t tag;

	open_with_timeout(ROLE_PRIMARY);
	node_write(&n, 7, 80);
	tag = node_act(&n, AC_DISK_WRITE, 0)->u.disk.tag;
	node_time(&n, TIMEOUT_MS - 1);
	cr_assert_eq(n.core->st.vol[0].disk, DISK_UP_TO_DATE);
	cr_assert_eq(core_deadline_ns(n.core), n.now_ns + NS_PER_MS);
	node_time(&n, 1);
	expect_given_up(1);
	closes_after(tag);
}

/* Another request is younger, and is given up with it. */
HungDiskTest(all_that_is_under_way_is_given_up)
{
	uint64_t tag[2];

	open_with_timeout(ROLE_SECONDARY);
	n.core->st.peer[THIRD].role = ROLE_SECONDARY;
	rx_write(80);
	tag[0] = node_act(&n, AC_DISK_WRITE, 0)->u.disk.tag;
	node_time(&n, TIMEOUT_MS / 2);
	rx_write(160);
	tag[1] = node_act(&n, AC_DISK_WRITE, 0)->u.disk.tag;
	node_time(&n, TIMEOUT_MS / 2);
	expect_given_up(2);
	cr_assert(node_sent(&n, FROM, P_NEG_ACK, 1));
	closes_after(tag[1]);
	closes_after(tag[0]);
}

HungDiskTest(an_answer_in_time_starts_no_clock)
{
	open_with_timeout(ROLE_SECONDARY);
	n.core->st.peer[THIRD].role = ROLE_SECONDARY;
	for (unsigned i = 0; i < 5; i++) {
		uint64_t tag;

		rx_write(80);
		tag = node_act(&n, AC_DISK_WRITE, 0)->u.disk.tag;
		node_time(&n, TIMEOUT_MS - 1);
		cr_assert_eq(n.core->st.vol[0].disk, DISK_UP_TO_DATE);
		node_disk_done(&n, tag, 0);
		cr_assert(node_sent(&n, FROM, P_WRITE_ACK, 0));
	}
	cr_assert_eq(n.core->st.vol[0].disk, DISK_UP_TO_DATE);
}

/* What a read brings late goes back. */
HungDiskTest(a_late_read_gives_its_payload_back)
{
	struct core_event ev;
	uint64_t tag;

	open_with_timeout(ROLE_PRIMARY);
	node_submit(&n, OP_READ, 7, 80, 4096);
	tag = node_act(&n, AC_DISK_READ, 0)->u.disk.tag;
	node_time(&n, TIMEOUT_MS);
	expect_given_up(1);
	ev = node_event(&n, EV_DISK_DONE);
	ev.u.done.tag = tag;
	ev.u.done.payload = (struct payload){ n.payload_next++, 4096 };
	node_step(&n, &ev);
	cr_assert(node_act(&n, AC_BUF_PUT, 0));
	cr_assert_eq(node_act(&n, AC_BUF_PUT, 0)->u.payload.id, ev.u.done.payload.id);
	cr_assert_eq(unanswered(), 0);
}

/* A transaction of the activity log, and the writes that wait for it. */
HungDiskTest(a_log_that_hangs_is_given_up)
{
	struct core_event ev;
	uint64_t tag;

	open_with_timeout(ROLE_PRIMARY);
	n.al_manual = true;
	node_write(&n, 7, 80);
	cr_assert_null(node_act(&n, AC_DISK_WRITE, 0));
	tag = node_act(&n, AC_META_AL, 0)->u.meta.tag;
	node_time(&n, TIMEOUT_MS);
	expect_given_up(1);
	cr_assert(node_sent(&n, FROM, P_DATA, 0));
	ev = node_event(&n, EV_META_DONE);
	ev.u.done.tag = tag;
	node_step(&n, &ev);
	cr_assert_eq(unanswered(), 0);
	detached();
	cr_assert_eq(n.vol->phase, VOL_DETACHED);
}

/* More than are ended in one step. */
HungDiskTest(many_requests_are_given_up_in_several_steps)
{
	struct core_event ev;

	open_with_timeout(ROLE_SECONDARY);
	n.core->st.peer[THIRD].role = ROLE_SECONDARY;
	for (unsigned i = 0; i < 400; i++)
		rx_write(80 + 8 * i);
	n.now_ns += TIMEOUT_MS * NS_PER_MS;
	ev = node_event(&n, EV_TIME);
	core_step(n.core, &ev);
	node_pull(&n);
	cr_assert_eq(n.core->st.vol[0].disk, DISK_FAILED);
	cr_assert_eq(unanswered(), 256);
	cr_assert_eq(core_deadline_ns(n.core), n.now_ns);
	node_time(&n, 0);
	/* And the superblock that the change of the disk's state has led to. */
	expect_given_up(401);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Write epochs: barriers of the sending side, draining, flushing and barrier acks of the
 * receiving side. */
#include <errno.h>

#include "core_node.h"

static struct node n;

static void done(void)
{
	node_close(&n);
}

#define EpochTest(name) Test(core_epoch, name, .fini = done)

/* ---- sender ---- */

static struct pkt sent[8];

static void write_some(unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		node_write(&n, i, 80 + 8 * i);
		sent[i] = *node_sent(&n, 1, P_DATA, 0);
		if (node_act(&n, AC_DISK_WRITE, 0))
			node_disk_done(&n, node_act(&n, AC_DISK_WRITE, 0)->u.disk.tag, 0);
	}
}

EpochTest(writes_issued_together_share_an_epoch)
{
	node_open(&n, ROLE_PRIMARY, 1, PROTOCOL_C);
	write_some(4);
	for (unsigned i = 0; i < 4; i++)
		node_ack(&n, 1, P_WRITE_ACK, &sent[3 - i]);
	node_time(&n, 2);
	cr_assert(node_sent(&n, 1, P_BARRIER, 0));
	node_time(&n, 2);
	cr_assert_null(node_sent(&n, 1, P_BARRIER, 0));
	node_barrier_ack(&n, 1, 0, 4);
	cr_assert_not(node_failed(&n, 1));
	cr_assert_eq(n.core->req.slab.used, 0);
}

EpochTest(later_write_is_preceded_by_the_barrier)
{
	node_open(&n, ROLE_PRIMARY, 1, PROTOCOL_C);
	write_some(2);
	node_ack(&n, 1, P_WRITE_ACK, &sent[0]);
	cr_assert_null(node_sent(&n, 1, P_BARRIER, 0));
	node_write(&n, 50, 4000);
	cr_assert_eq(node_sent(&n, 1, P_BARRIER, 0)->u.barrier.number, 0);
	cr_assert(node_sent(&n, 1, P_BARRIER, 0) < node_sent(&n, 1, P_DATA, 0));
	/* The timer has nothing left to do. */
	node_time(&n, 2);
	cr_assert_null(node_sent(&n, 1, P_BARRIER, 0));
}

EpochTest(wrong_barrier_acks_end_the_connection)
{
	static const struct {
		uint32_t number, set_size;
	} row[] = { { 0, 1 }, { 0, 3 }, { 1, 2 }, { 0xff000000, 2 } };

	for (unsigned i = 0; i < ARRAY_LEN(row); i++) {
		node_open(&n, ROLE_PRIMARY, 1, PROTOCOL_C);
		write_some(2);
		node_ack(&n, 1, P_WRITE_ACK, &sent[0]);
		node_ack(&n, 1, P_WRITE_ACK, &sent[1]);
		node_time(&n, 2);
		node_barrier_ack(&n, 1, row[i].number, row[i].set_size);
		cr_assert(node_failed(&n, 1), "row %u", i);
		cr_assert(node_bit(&n, 1, 80));
		if (i + 1 < ARRAY_LEN(row))
			node_close(&n);
	}
}

EpochTest(barrier_ack_before_the_write_acks_ends_the_connection)
{
	node_open(&n, ROLE_PRIMARY, 1, PROTOCOL_C);
	write_some(2);
	node_ack(&n, 1, P_WRITE_ACK, &sent[0]);
	node_time(&n, 2);
	node_barrier_ack(&n, 1, 0, 2);
	cr_assert(node_failed(&n, 1));
	cr_assert(node_bit(&n, 1, 88));
}

EpochTest(barrier_ack_without_barrier_ends_the_connection)
{
	node_open(&n, ROLE_PRIMARY, 1, PROTOCOL_C);
	node_barrier_ack(&n, 1, 0, 0);
	cr_assert(node_failed(&n, 1));
}

EpochTest(full_epoch_is_closed)
{
	node_open(&n, ROLE_PRIMARY, 1, PROTOCOL_C);
	n.core->req.epoch_max = 3;
	write_some(4);
	node_time(&n, 2);
	/* The fourth write was preceded by the barrier of the three before. */
	cr_assert_null(node_sent(&n, 1, P_BARRIER, 0));
	for (unsigned i = 0; i < 3; i++)
		node_ack(&n, 1, P_WRITE_ACK, &sent[i]);
	node_barrier_ack(&n, 1, 0, 3);
	cr_assert_not(node_failed(&n, 1));
	cr_assert_eq(n.core->req.slab.used, 1);
}

EpochTest(confirmed_writes_are_not_counted_again)
{
	struct pkt c = { .type = P_CONFIRM_STABLE, .vnr = VNR_NONE };

	node_open(&n, ROLE_PRIMARY, 1, PROTOCOL_C);
	write_some(4);
	for (unsigned i = 0; i < 4; i++)
		node_ack(&n, 1, P_WRITE_ACK, &sent[i]);
	c.u.confirm.oldest_block_id = sent[0].u.block.block_id;
	c.u.confirm.youngest_block_id = sent[1].u.block.block_id;
	c.u.confirm.set_size = 2;
	node_rx(&n, 1, STREAM_CONTROL, &c);
	cr_assert_not(node_failed(&n, 1));
	cr_assert_eq(n.core->req.slab.used, 2);
	/* The peer is short of activity-log slots: told at once. */
	cr_assert_eq(node_sent(&n, 1, P_PEER_ACK, 0)->u.dagtag.dagtag, 16);
	node_time(&n, 2);
	cr_assert(node_sent(&n, 1, P_BARRIER, 0));
	/* Again, the barrier being on its way. */
	c.u.confirm.oldest_block_id = sent[2].u.block.block_id;
	c.u.confirm.youngest_block_id = sent[2].u.block.block_id;
	c.u.confirm.set_size = 1;
	node_rx(&n, 1, STREAM_CONTROL, &c);
	node_barrier_ack(&n, 1, 0, 1);
	cr_assert_not(node_failed(&n, 1));
	cr_assert_eq(n.core->req.slab.used, 0);
	/* Confirmed twice. */
	node_rx(&n, 1, STREAM_CONTROL, &c);
	cr_assert(node_failed(&n, 1));
}

/* ---- receiver ---- */

#define FROM 1U

static void rx_write(uint64_t sector, uint32_t dp_flags, uint64_t id)
{
	struct pkt pkt = { .type = P_DATA, .payload = { n.payload_next++, 4096 } };

	pkt.u.block.sector = sector;
	pkt.u.block.block_id = id;
	pkt.u.block.bytes = 4096;
	pkt.u.block.dp_flags = dp_flags;
	node_rx(&n, FROM, STREAM_DATA, &pkt);
}

static void rx_barrier_number(uint32_t number)
{
	struct pkt pkt = { .type = P_BARRIER, .vnr = VNR_NONE };

	pkt.u.barrier.number = number;
	node_rx(&n, FROM, STREAM_DATA, &pkt);
}

static uint64_t tag_of(enum core_action_kind kind)
{
	cr_assert(node_act(&n, kind, 0));
	return node_act(&n, kind, 0)->u.disk.tag;
}

EpochTest(barrier_ack_follows_writes_and_flush)
{
	uint64_t w[2], flush;

	node_open(&n, ROLE_SECONDARY, 1, PROTOCOL_C);
	for (unsigned i = 0; i < 2; i++) {
		rx_write(80 + 8 * i, 0x102, i);
		w[i] = tag_of(AC_DISK_WRITE);
	}
	rx_barrier_number(0xabcdef01);
	node_disk_done(&n, w[1], 0);
	cr_assert_eq(node_sent(&n, FROM, P_WRITE_ACK, 0)->u.block.block_id, 1);
	cr_assert_null(node_act(&n, AC_DISK_FLUSH, 0));
	node_disk_done(&n, w[0], 0);
	cr_assert(node_sent(&n, FROM, P_WRITE_ACK, 0));
	flush = tag_of(AC_DISK_FLUSH);
	cr_assert_null(node_sent(&n, FROM, P_BARRIER_ACK, 0));
	node_disk_done(&n, flush, 0);
	cr_assert_eq(node_sent(&n, FROM, P_BARRIER_ACK, 0)->u.barrier.number, 0xabcdef01);
	cr_assert_eq(node_sent(&n, FROM, P_BARRIER_ACK, 0)->u.barrier.set_size, 2);
}

EpochTest(epochs_that_end_during_a_flush_share_the_next)
{
	uint64_t flush;

	node_open(&n, ROLE_SECONDARY, 1, PROTOCOL_C);
	for (unsigned i = 0; i < 4; i++) {
		rx_write(80 + 8 * i, 0x102, i);
		node_disk_done(&n, tag_of(AC_DISK_WRITE), 0);
		rx_barrier_number(i);
		if (i == 0)
			flush = tag_of(AC_DISK_FLUSH);
		else
			cr_assert_null(node_act(&n, AC_DISK_FLUSH, 0));
	}
	node_disk_done(&n, flush, 0);
	cr_assert_eq(node_sent(&n, FROM, P_BARRIER_ACK, 0)->u.barrier.number, 0);
	cr_assert_null(node_sent(&n, FROM, P_BARRIER_ACK, 1));
	node_disk_done(&n, tag_of(AC_DISK_FLUSH), 0);
	for (unsigned i = 0; i < 3; i++)
		cr_assert_eq(node_sent(&n, FROM, P_BARRIER_ACK, i)->u.barrier.number, i + 1);
	cr_assert_null(node_act(&n, AC_DISK_FLUSH, 0));
}

static void expect_epoch_by_epoch(enum wire_protocol protocol, uint32_t dp_flags)
{
	uint64_t w[2];

	node_open(&n, ROLE_SECONDARY, 1, protocol);
	for (unsigned i = 0; i < 2; i++) {
		rx_write(80 + 8 * i, dp_flags, i);
		w[i] = tag_of(AC_DISK_WRITE);
	}
	rx_barrier_number(0);
	rx_write(800, dp_flags, 3);
	cr_assert_null(node_act(&n, AC_DISK_WRITE, 0));
	rx_barrier_number(1);
	rx_write(808, dp_flags, 4);
	node_disk_done(&n, w[0], 0);
	cr_assert_null(node_act(&n, AC_DISK_WRITE, 0));
	node_disk_done(&n, w[1], 0);
	cr_assert_eq(node_act(&n, AC_DISK_WRITE, 0)->u.disk.sector, 800);
	cr_assert_null(node_act(&n, AC_DISK_WRITE, 1));
	node_disk_done(&n, tag_of(AC_DISK_WRITE), 0);
	cr_assert_eq(node_act(&n, AC_DISK_WRITE, 0)->u.disk.sector, 808);
}

EpochTest(writes_without_write_ack_reach_the_disk_epoch_by_epoch)
{
	expect_epoch_by_epoch(PROTOCOL_A, 0x002);
}

/* The sender asks for it while it verifies, or resyncs, and does not wait for it. */
EpochTest(with_protocols_a_and_b_also_those_with_write_ack)
{
	expect_epoch_by_epoch(PROTOCOL_A, 0x102);
	node_close(&n);
	expect_epoch_by_epoch(PROTOCOL_B, 0x182);
}

EpochTest(failed_flush_ends_the_connection_instead_of_an_ack)
{
	node_open(&n, ROLE_SECONDARY, 1, PROTOCOL_C);
	rx_write(80, 0x102, 1);
	node_disk_done(&n, tag_of(AC_DISK_WRITE), 0);
	rx_barrier_number(7);
	node_disk_done(&n, tag_of(AC_DISK_FLUSH), -EIO);
	cr_assert_null(node_sent(&n, FROM, P_BARRIER_ACK, 0));
	cr_assert(node_failed(&n, FROM));
}

EpochTest(too_many_epochs_wait_for_the_disk)
{
	uint64_t tag;
	unsigned i;

	node_open(&n, ROLE_SECONDARY, 1, PROTOCOL_C);
	rx_write(80, 0x102, 1);
	tag = tag_of(AC_DISK_WRITE);
	for (i = 0; core_peer_room(n.core, FROM, P_BARRIER); i++) {
		cr_assert_lt(i, 5000);
		rx_barrier_number(i);
	}
	cr_assert_gt(i, n.conf.peer_requests_max);
	cr_assert_not(core_peer_room(n.core, FROM, P_DATA));
	cr_assert(core_peer_room(n.core, FROM, P_STATE));
	cr_assert_not(node_failed(&n, FROM));
	node_disk_done(&n, tag, 0);
	node_disk_done(&n, tag_of(AC_DISK_FLUSH), 0);
	cr_assert(core_peer_room(n.core, FROM, P_BARRIER));
	cr_assert(core_peer_room(n.core, FROM, P_DATA));
}

EpochTest(a_lost_connection_closes_its_epoch_also_when_there_are_many)
{
	uint64_t tag;

	node_open(&n, ROLE_SECONDARY, 1, PROTOCOL_C);
	rx_write(80, 0x102, 1);
	tag = tag_of(AC_DISK_WRITE);
	while (core_peer_room(n.core, FROM, P_BARRIER)) {
		rx_barrier_number(1);
		if (core_peer_room(n.core, FROM, P_DATA))
			rx_write(160, 0x102, 2);
	}
	node_lose(&n, FROM);
	node_disk_done(&n, tag, 0);
	cr_assert(core_peer_room(n.core, FROM, P_BARRIER));
}

EpochTest(diskless_receiver_counts_and_acks)
{
	node_open(&n, ROLE_SECONDARY, 1, PROTOCOL_C);
	n.core->st.vol[0].disk = DISK_DISKLESS;
	n.vol->phase = VOL_DETACHED;
	rx_write(80, 0x102, 1);
	cr_assert(node_sent(&n, FROM, P_NEG_ACK, 0));
	cr_assert_eq(n.puts, 1);
	rx_barrier_number(7);
	cr_assert_eq(node_sent(&n, FROM, P_BARRIER_ACK, 0)->u.barrier.set_size, 1);
	cr_assert_eq(n.core->peer[FROM]->rx.slab.used, 0);
}

EpochTest(nothing_is_owed_to_a_lost_sender)
{
	uint64_t w;

	node_open(&n, ROLE_SECONDARY, 1, PROTOCOL_C);
	rx_write(80, 0x102, 1);
	w = tag_of(AC_DISK_WRITE);
	rx_barrier_number(7);
	node_lose(&n, FROM);
	cr_assert_not(peer_rx_idle(n.core->peer[FROM]));
	node_disk_done(&n, w, 0);
	cr_assert(peer_rx_idle(n.core->peer[FROM]));
	cr_assert_null(node_act(&n, AC_DISK_FLUSH, 0));
	/* A new connection starts with an empty epoch. */
	node_connect(&n, FROM);
	rx_write(160, 0x102, 2);
	node_disk_done(&n, tag_of(AC_DISK_WRITE), 0);
	rx_barrier_number(0);
	node_disk_done(&n, tag_of(AC_DISK_FLUSH), 0);
	cr_assert_eq(node_sent(&n, FROM, P_BARRIER_ACK, 0)->u.barrier.number, 0);
	cr_assert_eq(node_sent(&n, FROM, P_BARRIER_ACK, 0)->u.barrier.set_size, 1);
	cr_assert_null(node_sent(&n, FROM, P_BARRIER_ACK, 1));
}

/* Its last write's epoch is closed by the loss: the next connection may come before the barrier
 * would have gone out. */
EpochTest(a_lost_peer_is_owed_no_barrier)
{
	node_open(&n, ROLE_PRIMARY, 1, PROTOCOL_C);
	node_write(&n, 1, 80);
	node_lose(&n, FROM);
	cr_assert_eq(n.core->req.barriers_due, 0);
	node_connect(&n, FROM);
	cr_assert(n.core->peer[FROM]->tx.active);
}

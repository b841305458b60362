/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Writes and reads received from peers: bounds, order, answers, peer acks, loss of the
 * Primary, a full activity log. */
#include <errno.h>

#include "core/resync_int.h"
#include "core_node.h"

#define FROM 1U
#define THIRD 2U

static struct node n;

static void done(void)
{
	node_close(&n);
}

#define PeerWriteTest(name) Test(core_peer_write, name, .fini = done)

static void open_secondary(void)
{
	node_open(&n, ROLE_SECONDARY, 2, PROTOCOL_C);
	n.core->st.peer[THIRD].role = ROLE_SECONDARY;
}

static struct pkt write_pkt(uint64_t sector, uint32_t bytes, uint64_t id)
{
	struct pkt pkt = { .type = P_DATA, .payload = { n.payload_next++, bytes } };

	pkt.u.block.sector = sector;
	pkt.u.block.block_id = id;
	pkt.u.block.bytes = bytes;
	pkt.u.block.dp_flags = DP_SEND_WRITE_ACK | DP_RW_SYNC;
	return pkt;
}

static void rx(const struct pkt *pkt)
{
	node_rx(&n, FROM, STREAM_DATA, pkt);
}

static void rx_write(uint64_t sector, uint64_t id)
{
	struct pkt pkt = write_pkt(sector, 4096, id);

	rx(&pkt);
}

static void rx_ack(uint64_t mask, uint64_t dagtag)
{
	struct pkt pkt = { .type = P_PEER_ACK, .vnr = VNR_NONE };

	pkt.u.dagtag.mask = mask;
	pkt.u.dagtag.dagtag = dagtag;
	node_rx(&n, FROM, STREAM_CONTROL, &pkt);
}

static uint64_t tag_of(enum core_action_kind kind)
{
	cr_assert(node_act(&n, kind, 0));
	return node_act(&n, kind, 0)->u.disk.tag;
}

static void write_and_finish(uint64_t sector)
{
	rx_write(sector, sector);
	node_disk_done(&n, tag_of(AC_DISK_WRITE), 0);
}

/* As resync target of THIRD gets an answer for the block, which it asked for before. */
static void resync_block(uint64_t sector)
{
	struct pkt pkt = { .type = P_RS_DATA_REPLY, .payload = { n.payload_next++, 4096 } };
	struct rs_request *rq = rs_target_get(n.vol, sector, 4096);

	n.core->st.vol[0].disk = DISK_INCONSISTENT;
	n.core->st.pd[THIRD][0].repl = REPL_SYNC_TARGET;
	rq->p = THIRD;
	rq->state = RS_REQUESTED;
	list_push_back(&n.vol->rs.asked, &rq->link);
	n.core->peer[THIRD]->pd[0].rs.in_flight = 1;
	n.core->peer[THIRD]->pd[0].rs.in_flight_sectors = 8;
	pkt.u.block.sector = sector;
	pkt.u.block.bytes = 4096;
	pkt.u.block.block_id = rq->block_id;
	node_rx(&n, THIRD, STREAM_DATA, &pkt);
}

/* ---- life ---- */

PeerWriteTest(activity_log_comes_before_the_disk)
{
	struct core_event ev;

	open_secondary();
	n.al_manual = true;
	rx_write(80, 0x1122334455667788);
	cr_assert(node_act(&n, AC_META_AL, 0));
	cr_assert_null(node_act(&n, AC_DISK_WRITE, 0));
	ev = node_event(&n, EV_META_DONE);
	ev.u.done.tag = node_act(&n, AC_META_AL, 0)->u.meta.tag;
	node_step(&n, &ev);
	cr_assert_eq(node_act(&n, AC_DISK_WRITE, 0)->u.disk.payload.id, 1000);
	cr_assert_eq(n.puts, 1);
	cr_assert_eq(n.core->peer[FROM]->pd[0].unacked, 1);
	node_disk_done(&n, tag_of(AC_DISK_WRITE), 0);
	cr_assert_eq(node_sent(&n, FROM, P_WRITE_ACK, 0)->u.block.block_id, 0x1122334455667788);
	cr_assert_eq(node_sent(&n, FROM, P_WRITE_ACK, 0)->u.block.sector, 80);
	cr_assert_eq(node_sent(&n, FROM, P_WRITE_ACK, 0)->u.block.bytes, 4096);
	cr_assert_eq(node_sent(&n, FROM, P_WRITE_ACK, 0)->u.block.seq, 1);
	cr_assert_eq(n.core->peer[FROM]->pd[0].unacked, 0);
	/* Until the peer ack the extent stays hot: others may lack the write. */
	cr_assert(actlog_extent_busy(n.vol, 0));
	rx_ack(7, 8);
	cr_assert_not(actlog_extent_busy(n.vol, 0));
	cr_assert_eq(n.core->peer[FROM]->rx.slab.used, 0);
}

/* What THIRD has is older: the write is at nodes 0 and 3, but not any more what is here. */
PeerWriteTest(an_ack_says_nothing_about_what_a_resync_has_overwritten)
{
	node_open(&n, ROLE_SECONDARY, 3, PROTOCOL_C);
	n.core->st.peer[THIRD].role = n.core->st.peer[3].role = ROLE_SECONDARY;
	write_and_finish(80);
	write_and_finish(160);
	resync_block(80);
	cr_assert_eq(bitmap_weight(n.vol, 3), 1);
	rx_ack(0xb, 16);
	cr_assert_eq(bitmap_weight(n.vol, 3), 1);
	cr_assert_eq(n.core->peer[FROM]->rx.slab.used, 0);
}

PeerWriteTest(overlapping_writes_keep_their_order)
{
	uint64_t tag;

	open_secondary();
	rx_write(80, 1);
	tag = tag_of(AC_DISK_WRITE);
	rx_write(84, 2);
	cr_assert_null(node_act(&n, AC_DISK_WRITE, 0));
	rx_write(160, 3);
	cr_assert_eq(node_act(&n, AC_DISK_WRITE, 0)->u.disk.sector, 160);
	node_disk_done(&n, tag, 0);
	cr_assert_eq(node_act(&n, AC_DISK_WRITE, 0)->u.disk.sector, 84);
}

PeerWriteTest(failed_write_is_answered_and_marked_for_everybody)
{
	open_secondary();
	rx_write(80, 1);
	node_disk_done(&n, tag_of(AC_DISK_WRITE), -EIO);
	cr_assert(node_sent(&n, FROM, P_NEG_ACK, 0));
	cr_assert_null(node_sent(&n, FROM, P_WRITE_ACK, 0));
	cr_assert_null(node_sent(&n, FROM, P_WRITE_ACK_IN_SYNC, 0));
}

PeerWriteTest(discards_and_zeroes)
{
	struct pkt pkt;

	open_secondary();
	pkt = write_pkt(80, 1 << 20, 1);
	pkt.type = P_TRIM;
	pkt.payload = (struct payload){ 0 };
	pkt.u.block.dp_flags = 0x142;
	rx(&pkt);
	cr_assert(node_act(&n, AC_DISK_ZEROES, 0)->u.disk.unmap);
	n.vol->discard_ok = true;
	pkt.u.block.sector = 8000;
	rx(&pkt);
	cr_assert(node_act(&n, AC_DISK_DISCARD, 0));
	pkt.type = P_ZEROES;
	pkt.u.block.dp_flags = 0x502;
	pkt.u.block.sector = 16000;
	rx(&pkt);
	cr_assert_not(node_act(&n, AC_DISK_ZEROES, 0)->u.disk.unmap);
	pkt.u.block.dp_flags |= DP_DISCARD;
	pkt.u.block.sector = 24000;
	rx(&pkt);
	cr_assert(node_act(&n, AC_DISK_ZEROES, 0)->u.disk.unmap);
	cr_assert_eq(peer_rx_dagtag(n.core->peer[FROM]), 4 * 2048);
	/* Without P_ZEROES that is what a P_TRIM may mean. */
	n.core->peer[FROM]->features &= ~FEATURE_WZEROES;
	pkt.type = P_TRIM;
	pkt.u.block.dp_flags = 0x142;
	pkt.u.block.sector = 32000;
	rx(&pkt);
	cr_assert(node_act(&n, AC_DISK_ZEROES, 0)->u.disk.unmap);
	cr_assert_null(node_act(&n, AC_DISK_DISCARD, 0));
}

/* ---- hostile input ---- */

PeerWriteTest(bounds_of_writes)
{
	static const struct {
		enum packet type;
		uint64_t sector;
		uint32_t bytes, payload_bytes;
	} row[] = {
		{ P_DATA, NODE_SECTORS, 512, 512 },
		{ P_DATA, NODE_SECTORS - 7, 4096, 4096 },
		{ P_DATA, UINT64_MAX, 4096, 4096 },
		{ P_DATA, UINT64_MAX - 7, 4096, 4096 },
		{ P_DATA, 80, 0, 0 },
		{ P_DATA, 80, 513, 513 },
		{ P_DATA, 80, BIO_MAX_BYTES + 512, BIO_MAX_BYTES + 512 },
		{ P_DATA, 80, 0x80000000, 4096 },
		{ P_DATA, 80, 0xfffffe00, 4096 },
		{ P_DATA, 80, 4096, 8192 },
		{ P_TRIM, 0, DISCARD_MAX_BYTES + 512, 0 },
		{ P_TRIM, NODE_SECTORS - 8, 8192, 0 },
		{ P_ZEROES, 80, 0xfffffe00, 0 },
		{ P_ZEROES, 80, 100, 0 },
		{ P_DATA_REQUEST, NODE_SECTORS, 4096, 0 },
		{ P_DATA_REQUEST, 80, 0, 0 },
		{ P_DATA_REQUEST, 80, BIO_MAX_BYTES + 512, 0 },
		{ P_DATA_REQUEST, UINT64_MAX - 7, 4096, 0 },
	};

	for (unsigned i = 0; i < ARRAY_LEN(row); i++) {
		struct pkt pkt;

		open_secondary();
		pkt = write_pkt(row[i].sector, row[i].bytes, 1);
		pkt.type = (uint16_t)row[i].type;
		pkt.payload.bytes = row[i].payload_bytes;
		if (row[i].type != P_DATA)
			pkt.payload.id = 0;
		rx(&pkt);
		cr_assert(node_failed(&n, FROM), "row %u", i);
		cr_assert_eq(n.puts, row[i].type == P_DATA, "row %u", i);
		for (unsigned k = AC_DISK_READ; k <= AC_DISK_FLUSH; k++)
			cr_assert_null(node_act(&n, (enum core_action_kind)k, 0), "row %u", i);
		cr_assert_eq(n.core->peer[FROM]->rx.slab.used, 0);
		if (i + 1 < ARRAY_LEN(row))
			node_close(&n);
	}
}

PeerWriteTest(smaller_local_disk_bounds_too)
{
	open_secondary();
	n.vol->data_sectors = 80;
	rx_write(80, 1);
	cr_assert(node_failed(&n, FROM));
}

PeerWriteTest(unknown_volume)
{
	struct pkt pkt;

	open_secondary();
	pkt = write_pkt(80, 4096, 1);
	pkt.vnr = 3;
	rx(&pkt);
	cr_assert(node_failed(&n, FROM));
	cr_assert_eq(n.puts, 1);
}

PeerWriteTest(a_primary_takes_no_writes)
{
	struct pkt pkt;

	node_open(&n, ROLE_PRIMARY, 1, PROTOCOL_C);
	pkt = write_pkt(80, 4096, 1);
	rx(&pkt);
	cr_assert(node_failed(&n, FROM));
	cr_assert_null(node_act(&n, AC_DISK_WRITE, 0));
}

/* As many writes as are taken. */
static unsigned fill(void)
{
	unsigned i;

	for (i = 0; core_peer_room(n.core, FROM, P_DATA); i++)
		write_and_finish(80 + 8 * i);
	return i;
}

PeerWriteTest(when_all_entries_are_taken_the_peer_waits_for_its_own_acks)
{
	struct pkt barrier = { .type = P_BARRIER, .vnr = VNR_NONE };
	unsigned count;

	open_secondary();
	count = fill();
	cr_assert_eq(count, n.conf.peer_requests_max);
	cr_assert_not(core_peer_room(n.core, FROM, P_TRIM));
	cr_assert_not(core_peer_room(n.core, FROM, P_ZEROES));
	cr_assert_not(core_peer_room(n.core, FROM, P_DATA_REQUEST));
	/* What the peer acks depend on passes. */
	cr_assert(core_peer_room(n.core, FROM, P_BARRIER));
	cr_assert(core_peer_room(n.core, FROM, P_STATE));
	cr_assert(core_peer_room(n.core, THIRD, P_DATA));
	rx(&barrier);
	node_disk_done(&n, tag_of(AC_DISK_FLUSH), 0);
	cr_assert(node_sent(&n, FROM, P_BARRIER_ACK, 0));
	rx_ack(7, 8);
	cr_assert(core_peer_room(n.core, FROM, P_DATA));
	write_and_finish(80);
	cr_assert_not(core_peer_room(n.core, FROM, P_DATA));
	rx_ack(7, 8 * (count + 1));
	cr_assert_eq(n.core->peer[FROM]->rx.slab.used, 0);
	cr_assert_eq(fill(), count);
	cr_assert_not(node_failed(&n, FROM));
}

static void answer_ping(void)
{
	struct pkt pkt = { .type = P_PING_ACK, .vnr = VNR_NONE };

	node_rx(&n, FROM, STREAM_CONTROL, &pkt);
	node_time(&n, 0);
}

/* The peer sends the barrier of a long epoch behind the write that waits. */
PeerWriteTest(entries_that_are_kept_in_vain_are_given_up)
{
	struct pkt claim = { .type = P_PEERS_IN_SYNC };
	unsigned count, half_ms;

	open_secondary();
	for (unsigned p = FROM; p <= THIRD; p++) {
		struct peer_device *pd = &n.core->peer[p]->pd[0];

		pd->uuids.current = n.vol->md.current_uuid;
		pd->uuids_valid = true;
		pd->fence.current = n.vol->md.current_uuid & ~UUID_PRIMARY;
	}
	half_ms = n.core->peer[FROM]->conf->net.timeout_ds * 50;
	count = fill();
	node_time(&n, half_ms - 1);
	rx_ack(7, 8);
	cr_assert_not(node_bit(&n, THIRD, 80));
	write_and_finish(80);
	cr_assert_not(core_peer_room(n.core, FROM, P_DATA));
	node_time(&n, half_ms - 1);
	cr_assert_not(core_peer_room(n.core, FROM, P_DATA));
	cr_assert_not(node_bit(&n, THIRD, 88));
	node_time(&n, 1);
	cr_assert(node_sent(&n, FROM, P_PING, 0));
	cr_assert_not(core_peer_room(n.core, FROM, P_DATA));
	cr_assert_not(node_bit(&n, THIRD, 88));
	answer_ping();
	cr_assert(core_peer_room(n.core, FROM, P_DATA));
	cr_assert_eq(n.core->peer[FROM]->rx.slab.used, 0);
	cr_assert(node_bit(&n, THIRD, 88));
	cr_assert(node_bit(&n, FROM, 88));
	cr_assert_not(node_failed(&n, FROM));
	/* What the peer says of the area counts on peer acks to come. */
	bitmap_set(n.core, n.vol, bitmap_slots_of(n.vol, 1U << THIRD), 0, 8);
	claim.u.in_sync.bytes = AL_EXTENT_SECTORS * SECTOR_BYTES;
	claim.u.in_sync.mask = 1 | 1U << THIRD;
	node_rx(&n, FROM, STREAM_CONTROL, &claim);
	cr_assert(node_bit(&n, THIRD, 0));
	rx_ack(3, 8 * (count + 1));
	cr_assert_not(node_failed(&n, FROM));
	cr_assert(node_bit(&n, THIRD, 88));
	node_rx(&n, FROM, STREAM_CONTROL, &claim);
	cr_assert_not(node_bit(&n, THIRD, 0));
}

PeerWriteTest(a_slow_disk_is_waited_for)
{
	unsigned count = 0;
	uint64_t first;

	open_secondary();
	rx_write(80, 1);
	first = tag_of(AC_DISK_WRITE);
	for (count = 1; core_peer_room(n.core, FROM, P_DATA); count++)
		write_and_finish(80 + 8 * count);
	node_time(&n, 60000);
	cr_assert_eq(n.core->peer[FROM]->rx.slab.used, count);
	node_disk_done(&n, first, 0);
	node_time(&n, 1);
	answer_ping();
	cr_assert(core_peer_room(n.core, FROM, P_DATA));
}

/* A peer ack that comes before the answer to the ping is none that never comes. */
PeerWriteTest(a_late_peer_ack_is_waited_for)
{
	open_secondary();
	fill();
	node_time(&n, n.core->peer[FROM]->conf->net.timeout_ds * 50);
	cr_assert(node_sent(&n, FROM, P_PING, 0));
	rx_ack(7, 8);
	answer_ping();
	cr_assert_not(node_bit(&n, THIRD, 88));
	cr_assert(core_peer_room(n.core, FROM, P_DATA));
}

PeerWriteTest(peer_acks_for_what_was_not_sent_or_is_not_done)
{
	open_secondary();
	write_and_finish(80);
	rx_ack(7, 9);
	cr_assert(node_failed(&n, FROM));
	node_close(&n);
	open_secondary();
	rx_write(80, 1);
	rx_ack(7, 8);
	cr_assert(node_failed(&n, FROM));
}

/* ---- bits ---- */

PeerWriteTest(peer_ack_sets_and_clears_bits_by_its_mask)
{
	open_secondary();
	bitmap_set(n.core, n.vol, bitmap_slots_of(n.vol, 1U << THIRD), 80, 8);
	write_and_finish(80);
	write_and_finish(160);
	write_and_finish(240);
	rx_ack(7, 8);
	cr_assert_not(node_bit(&n, THIRD, 80));
	rx_ack(3, 24);
	cr_assert(node_bit(&n, THIRD, 160));
	cr_assert(node_bit(&n, THIRD, 240));
	cr_assert_not(node_bit(&n, FROM, 160));
	/* A node that nobody knows yet lacks all of it. */
	cr_assert(bitmap_test(n.vol, 4, 80, 8));
	cr_assert(bitmap_test(n.vol, 4, 160, 8));
}

/* On a half-open connection the peer ack may never
 * come; the bitmap must not go without these bits. */
PeerWriteTest(writes_not_peer_acked_are_in_the_bitmap_for_a_target)
{
	uint64_t tag;

	open_secondary();
	write_and_finish(80);
	rx_write(160, 160);
	tag = tag_of(AC_DISK_WRITE);
	cr_assert_eq(bitmap_weight(n.vol, THIRD), 0);
	request_record_pending(n.core, &n.core->peer[THIRD]->pd[0]);
	cr_assert_eq(bitmap_weight(n.vol, THIRD), 2);
	cr_assert_eq(bitmap_weight(n.vol, FROM), 0);
	node_disk_done(&n, tag, 0);
	rx_ack(0x7, 16); /* it has both */
	cr_assert_eq(bitmap_weight(n.vol, THIRD), 0);
}

PeerWriteTest(resync_target_of_ours_is_told_what_it_lacks)
{
	open_secondary();
	n.core->st.pd[THIRD][0].repl = REPL_SYNC_SOURCE;
	n.core->st.pd[THIRD][0].pdsk = DISK_INCONSISTENT;
	write_and_finish(80);
	write_and_finish(160);
	rx_ack(7, 8);
	cr_assert_null(node_sent(&n, THIRD, P_OUT_OF_SYNC, 0));
	rx_ack(3, 16);
	cr_assert_eq(node_sent(&n, THIRD, P_OUT_OF_SYNC, 0)->u.block.sector, 160);
}

PeerWriteTest(writes_during_resync_clear_bits_on_both_sides)
{
	struct pkt pkt;

	open_secondary();
	n.core->st.pd[FROM][0].repl = REPL_SYNC_TARGET;
	n.core->st.vol[0].disk = DISK_INCONSISTENT;
	bitmap_set(n.core, n.vol, 1, 80, 16);
	pkt = write_pkt(80, 4096, 1);
	pkt.u.block.dp_flags |= DP_MAY_SET_IN_SYNC;
	rx(&pkt);
	cr_assert(node_bit(&n, FROM, 80));
	node_disk_done(&n, tag_of(AC_DISK_WRITE), 0);
	cr_assert(node_sent(&n, FROM, P_WRITE_ACK_IN_SYNC, 0));
	cr_assert_not(node_bit(&n, FROM, 80));
	/* Without the flag the bit stays; part of a block never clears it. */
	rx_write(88, 2);
	node_disk_done(&n, tag_of(AC_DISK_WRITE), 0);
	cr_assert(node_sent(&n, FROM, P_WRITE_ACK, 0));
	cr_assert(node_bit(&n, FROM, 88));
	pkt = write_pkt(88, 2048, 3);
	pkt.u.block.dp_flags |= DP_MAY_SET_IN_SYNC;
	rx(&pkt);
	node_disk_done(&n, tag_of(AC_DISK_WRITE), 0);
	cr_assert(node_bit(&n, FROM, 88));
}

PeerWriteTest(diskless_primary_is_out_of_sync)
{
	struct pkt pkt;

	open_secondary();
	n.core->st.pd[FROM][0].pdsk = DISK_DISKLESS;
	pkt = write_pkt(80, 4096, 1);
	pkt.u.block.dp_flags |= DP_MAY_SET_IN_SYNC;
	rx(&pkt);
	cr_assert(node_bit(&n, FROM, 80));
	node_disk_done(&n, tag_of(AC_DISK_WRITE), 0);
	cr_assert(node_sent(&n, FROM, P_WRITE_ACK, 0));
	cr_assert(node_bit(&n, FROM, 80));
}

/* The disk of the Primary fails with a write in flight: its state comes, then a peer ack
 * without itself. */
PeerWriteTest(a_primary_whose_disk_failed_is_out_of_sync)
{
	open_secondary();
	write_and_finish(80);
	write_and_finish(160);
	rx_ack(5, 8);
	cr_assert(node_bit(&n, FROM, 80));
	cr_assert_not(node_bit(&n, THIRD, 80));
	cr_assert_not(node_bit(&n, FROM, 160));
	n.core->st.pd[FROM][0].pdsk = DISK_FAILED;
	request_peer_mode_changed(n.core, &n.core->peer[FROM]->pd[0]);
	cr_assert(node_bit(&n, FROM, 160));
}

/* ---- loss of the Primary ---- */

PeerWriteTest(lost_primary_leaves_bits_towards_all_others)
{
	uint64_t tag;

	open_secondary();
	write_and_finish(80);
	rx_ack(7, 8);
	write_and_finish(160);
	rx_write(240, 3);
	tag = tag_of(AC_DISK_WRITE);
	rx_write(244, 4);
	node_lose(&n, FROM);
	cr_assert_not(node_bit(&n, THIRD, 80));
	cr_assert(node_bit(&n, THIRD, 160));
	cr_assert(node_bit(&n, THIRD, 240));
	cr_assert_not(node_bit(&n, FROM, 240));
	cr_assert_not(peer_rx_idle(n.core->peer[FROM]));
	/* What was received is finished: the dagtag says that we have it. */
	cr_assert_eq(peer_rx_dagtag(n.core->peer[FROM]), 32);
	node_disk_done(&n, tag, 0);
	cr_assert_eq(node_act(&n, AC_DISK_WRITE, 0)->u.disk.sector, 244);
	node_disk_done(&n, tag_of(AC_DISK_WRITE), 0);
	cr_assert(peer_rx_idle(n.core->peer[FROM]));
	cr_assert_eq(n.core->peer[FROM]->rx.slab.used, 0);
	cr_assert_not(actlog_extent_busy(n.vol, 0));
}

/* An extent leaves the log when its data are durable. */
static void flush_for_log(void)
{
	if (node_act(&n, AC_DISK_FLUSH, 0))
		node_disk_done(&n, tag_of(AC_DISK_FLUSH), 0);
}

/* H60: peer acks wait for the barrier, the barrier for writes, these for the activity log, it
 * for peer acks. */
PeerWriteTest(full_activity_log_does_not_wait_for_peer_acks)
{
	open_secondary();
	n.vol->size_sectors = n.vol->data_sectors = UINT64_C(1) << 30;
	for (unsigned i = 0; i < 3 * AL_EXTENTS_MIN; i++) {
		rx_write((uint64_t)i * AL_EXTENT_SECTORS, i);
		flush_for_log();
		cr_assert(node_act(&n, AC_DISK_WRITE, 0), "write %u", i);
		node_disk_done(&n, tag_of(AC_DISK_WRITE), 0);
		cr_assert(node_sent(&n, FROM, P_WRITE_ACK, 0));
	}
	/* Given up early: until the peer ack tells, the third node may lack it. */
	cr_assert(node_bit(&n, THIRD, 0));
	rx_ack(7, 8 * 3 * AL_EXTENTS_MIN);
	cr_assert_not(node_failed(&n, FROM));
	cr_assert_not(node_bit(&n, THIRD, 0));
	cr_assert_eq(n.core->peer[FROM]->rx.slab.used, 0);
}

/* The Primary counts on its peer acks to mark what the third node lacks: it may be lost before. */
PeerWriteTest(a_claim_does_not_clear_what_was_marked_early)
{
	struct pkt claim = { .type = P_PEERS_IN_SYNC };

	open_secondary();
	n.vol->size_sectors = n.vol->data_sectors = UINT64_C(1) << 30;
	for (unsigned p = FROM; p <= THIRD; p++) {
		struct peer_device *pd = &n.core->peer[p]->pd[0];

		pd->uuids.current = n.vol->md.current_uuid;
		pd->uuids_valid = true;
		pd->fence.current = n.vol->md.current_uuid & ~UUID_PRIMARY;
	}
	for (unsigned i = 0; i <= AL_EXTENTS_MIN; i++) {
		rx_write((uint64_t)i * AL_EXTENT_SECTORS, i);
		flush_for_log();
		node_disk_done(&n, tag_of(AC_DISK_WRITE), 0);
	}
	bitmap_set(n.core, n.vol, bitmap_slots_of(n.vol, UINT64_C(1) << THIRD),
		   800 * AL_EXTENT_SECTORS, 8);
	claim.u.in_sync.bytes = UINT32_C(1) << 30;
	claim.u.in_sync.mask = 1 | 1U << THIRD;
	node_rx(&n, FROM, STREAM_CONTROL, &claim);
	claim.u.in_sync.sector = 800 * AL_EXTENT_SECTORS;
	node_rx(&n, FROM, STREAM_CONTROL, &claim);
	cr_assert_not(node_bit(&n, THIRD, 800 * AL_EXTENT_SECTORS));
	cr_assert(node_bit(&n, THIRD, 0));
	rx_ack(7, 8 * (AL_EXTENTS_MIN + 1));
	cr_assert_not(node_failed(&n, FROM));
	cr_assert_not(node_bit(&n, THIRD, 0));
}

PeerWriteTest(full_activity_log_with_all_writes_in_flight)
{
	uint64_t tags[AL_EXTENTS_MIN];

	open_secondary();
	n.vol->size_sectors = n.vol->data_sectors = UINT64_C(1) << 30;
	for (unsigned i = 0; i < AL_EXTENTS_MIN; i++) {
		rx_write((uint64_t)i * AL_EXTENT_SECTORS, i);
		tags[i] = tag_of(AC_DISK_WRITE);
	}
	rx_write((uint64_t)500 * AL_EXTENT_SECTORS, 500);
	cr_assert_null(node_act(&n, AC_DISK_WRITE, 0));
	node_disk_done(&n, tags[3], 0);
	flush_for_log();
	cr_assert_eq(node_act(&n, AC_DISK_WRITE, 0)->u.disk.sector,
		     (uint64_t)500 * AL_EXTENT_SECTORS);
}

/* ---- reads ---- */

static void ask(uint64_t sector)
{
	struct pkt pkt = { .type = P_DATA_REQUEST };

	pkt.u.block.sector = sector;
	pkt.u.block.block_id = 77;
	pkt.u.block.bytes = 4096;
	rx(&pkt);
}

PeerWriteTest(read_for_a_peer_waits_for_earlier_writes)
{
	struct core_event ev;
	uint64_t tag;

	open_secondary();
	rx_write(80, 1);
	tag = tag_of(AC_DISK_WRITE);
	ask(84);
	cr_assert_null(node_act(&n, AC_DISK_READ, 0));
	node_disk_done(&n, tag, 0);
	tag = tag_of(AC_DISK_READ);
	ev = node_event(&n, EV_DISK_DONE);
	ev.u.done.tag = tag;
	ev.u.done.payload = (struct payload){ 99, 4096 };
	node_step(&n, &ev);
	cr_assert_eq(node_sent(&n, FROM, P_DATA_REPLY, 0)->payload.id, 99);
	cr_assert_eq(node_sent(&n, FROM, P_DATA_REPLY, 0)->u.block.block_id, 77);
	cr_assert_eq(node_act(&n, AC_BUF_PUT, 0)->u.payload.id, 99);
}

PeerWriteTest(only_an_up_to_date_disk_serves_reads)
{
	static const enum disk_state disk[] = { DISK_DISKLESS, DISK_FAILED, DISK_INCONSISTENT,
						DISK_OUTDATED, DISK_CONSISTENT };

	open_secondary();
	for (unsigned i = 0; i < ARRAY_LEN(disk); i++) {
		n.core->st.vol[0].disk = disk[i];
		ask(80);
		cr_assert_null(node_act(&n, AC_DISK_READ, 0));
		cr_assert_eq(node_sent(&n, FROM, P_NEG_DREPLY, 0)->u.block.block_id, 77);
	}
	n.core->st.vol[0].disk = DISK_UP_TO_DATE;
	ask(80);
	node_disk_done(&n, tag_of(AC_DISK_READ), -EIO);
	cr_assert(node_sent(&n, FROM, P_NEG_DREPLY, 0));
	cr_assert_eq(n.core->peer[FROM]->rx.slab.used, 0);
}

/* ---- flush requests of resync targets ---- */

PeerWriteTest(forwarded_flush_is_answered_to_its_initiator)
{
	struct pkt pkt = { .type = P_FLUSH_FORWARD, .vnr = VNR_NONE };

	open_secondary();
	pkt.u.flush.sequence = 5;
	pkt.u.flush.node_id = THIRD;
	node_rx(&n, FROM, STREAM_CONTROL, &pkt);
	cr_assert_eq(node_sent(&n, THIRD, P_FLUSH_REQUESTS_ACK, 0)->u.flush.sequence, 5);
	cr_assert_eq(node_sent(&n, THIRD, P_FLUSH_REQUESTS_ACK, 0)->u.flush.node_id, FROM);
	pkt.u.flush.node_id = 31;
	node_rx(&n, FROM, STREAM_CONTROL, &pkt);
	pkt.u.flush.node_id = 0xffffffff;
	node_rx(&n, FROM, STREAM_CONTROL, &pkt);
	cr_assert_eq(n.count, 0);
}

PeerWriteTest(primary_answers_flush_requests_after_its_peer_acks)
{
	struct pkt pkt = { .type = P_FLUSH_REQUESTS, .vnr = VNR_NONE };
	struct pkt data[2];

	node_open(&n, ROLE_PRIMARY, 2, PROTOCOL_C);
	pkt.u.flush.sequence = 5;
	rx(&pkt);
	cr_assert_eq(node_sent(&n, FROM, P_FLUSH_REQUESTS_ACK, 0)->u.flush.node_id, 0);
	cr_assert_eq(node_sent(&n, THIRD, P_FLUSH_FORWARD, 0)->u.flush.node_id, FROM);
	node_write(&n, 1, 80);
	data[0] = *node_sent(&n, FROM, P_DATA, 0);
	data[1] = *node_sent(&n, THIRD, P_DATA, 0);
	node_disk_done(&n, tag_of(AC_DISK_WRITE), 0);
	pkt.u.flush.sequence = 6;
	rx(&pkt);
	cr_assert_null(node_sent(&n, FROM, P_FLUSH_REQUESTS_ACK, 0));
	node_ack(&n, FROM, P_WRITE_ACK, &data[0]);
	node_ack(&n, THIRD, P_WRITE_ACK, &data[1]);
	node_barrier_ack(&n, FROM, 0, 1);
	cr_assert_null(node_sent(&n, FROM, P_FLUSH_REQUESTS_ACK, 0));
	node_barrier_ack(&n, THIRD, 0, 1);
	cr_assert_eq(node_sent(&n, FROM, P_FLUSH_REQUESTS_ACK, 0)->u.flush.sequence, 6);
	cr_assert(node_sent(&n, FROM, P_PEER_ACK, 0) <
		  node_sent(&n, FROM, P_FLUSH_REQUESTS_ACK, 0));
	cr_assert(node_sent(&n, THIRD, P_PEER_ACK, 0) < node_sent(&n, THIRD, P_FLUSH_FORWARD, 0));
}

PeerWriteTest(peer_acks_are_merged_while_the_mask_stays)
{
	struct pkt data[2];

	node_open(&n, ROLE_PRIMARY, 2, PROTOCOL_C);
	for (unsigned i = 0; i < 3; i++) {
		node_write(&n, i, 80 + 8 * i);
		data[0] = *node_sent(&n, FROM, P_DATA, 0);
		data[1] = *node_sent(&n, THIRD, P_DATA, 0);
		node_disk_done(&n, tag_of(AC_DISK_WRITE), 0);
		node_ack(&n, FROM, P_WRITE_ACK, &data[0]);
		node_ack(&n, THIRD, i == 2 ? P_NEG_ACK : P_WRITE_ACK, &data[1]);
		node_time(&n, 2);
		node_barrier_ack(&n, FROM, i, 1);
		node_barrier_ack(&n, THIRD, i, 1);
		if (i < 2)
			cr_assert_null(node_sent(&n, FROM, P_PEER_ACK, 0));
	}
	/* The third write is not at the third node: what came before is told first. */
	cr_assert_eq(node_sent(&n, FROM, P_PEER_ACK, 0)->u.dagtag.dagtag, 16);
	cr_assert_eq(node_sent(&n, FROM, P_PEER_ACK, 0)->u.dagtag.mask, 7);
	node_time(&n, 101);
	cr_assert_eq(node_sent(&n, THIRD, P_PEER_ACK, 0)->u.dagtag.dagtag, 24);
	cr_assert_eq(node_sent(&n, THIRD, P_PEER_ACK, 0)->u.dagtag.mask, 3);
}

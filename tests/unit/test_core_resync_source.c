/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The source's side of a resync, request by request. */
#include "core/resync_int.h"
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

/* ---- a target of DRBD 9.1: it keeps writes back from 128 MiB around what it has asked for ---- */

#define EXTENT_SECTORS (UINT64_C(128) << 11)

static void open_drbd91(enum wire_protocol protocol)
{
	node_open(&n, ROLE_PRIMARY, 1, protocol);
	n.core->peer[1]->apv = 121;
	n.core->peer[1]->features = 0;
	n.core->st.pd[1][0].repl = REPL_SYNC_SOURCE;
	n.core->st.pd[1][0].pdsk = DISK_INCONSISTENT;
}

static void ask_as(enum packet type, uint64_t sector)
{
	struct pkt ask = { .type = (uint16_t)type };

	bitmap_set(n.core, n.vol, 1, sector, 8);
	ask.u.block.sector = sector;
	ask.u.block.bytes = 4096;
	ask.u.block.block_id = UINT64_MAX;
	node_rx(&n, 1, STREAM_DATA, &ask);
}

static void ask(uint64_t sector)
{
	ask_as(P_RS_DATA_REQUEST, sector);
}

static uint64_t asked(uint64_t sector)
{
	ask(sector);
	cr_assert(node_act(&n, AC_DISK_READ, 0));
	return node_act(&n, AC_DISK_READ, 0)->u.disk.tag;
}

static bool refused(uint64_t sector)
{
	const struct pkt *pkt = node_sent(&n, 1, P_RS_CANCEL, 0);

	return pkt && pkt->u.block.sector == sector && !node_act(&n, AC_DISK_READ, 0);
}

static bool goes_out(void)
{
	return node_sent(&n, 1, P_DATA, 0) && node_act(&n, AC_DISK_WRITE, 0);
}

/* Nothing is read there any more once the barrier behind the write is there. */
Test(resync_source, a_write_follows_the_answers_that_keep_it_back, .fini = done)
{
	uint64_t first, second;

	open_drbd91(PROTOCOL_A);
	first = asked(80);
	second = asked(160);
	node_write(&n, 7, 8000); /* another block of the same extent */
	cr_assert_not(goes_out());
	node_disk_done(&n, first, 0);
	cr_assert(node_sent(&n, 1, P_RS_DATA_REPLY, 0));
	cr_assert_not(goes_out());
	node_disk_done(&n, second, 0);
	cr_assert(goes_out());
	for (unsigned i = 0; i < n.count; i++) {
		if (n.acts[i].kind != AC_SEND || n.acts[i].u.send.stream != STREAM_DATA)
			continue;
		cr_assert_eq(n.acts[i].u.send.pkt.type, P_RS_DATA_REPLY, "the answer is first");
		break;
	}
}

Test(resync_source, a_write_elsewhere_is_not_kept, .fini = done)
{
	open_drbd91(PROTOCOL_C);
	asked(80);
	node_write(&n, 7, EXTENT_SECTORS);
	cr_assert(goes_out());
	node_write(&n, 8, EXTENT_SECTORS - 8);
	cr_assert_not(goes_out());
	node_submit(&n, OP_WRITE, 9, EXTENT_SECTORS - 8, 8192);
	cr_assert_not(goes_out());
}

/* A write that was sent may stand before its lock. */
Test(resync_source, no_request_is_served_behind_a_write_it_may_keep_back, .fini = done)
{
	struct pkt data;
	uint64_t write;

	open_drbd91(PROTOCOL_C);
	node_write(&n, 7, 8000);
	data = *node_sent(&n, 1, P_DATA, 0);
	write = node_act(&n, AC_DISK_WRITE, 0)->u.disk.tag;
	ask(80);
	cr_assert(refused(80));
	node_disk_done(&n, write, 0);
	ask(80);
	cr_assert(refused(80));
	asked(EXTENT_SECTORS);
	node_ack(&n, 1, P_WRITE_ACK, &data);
	asked(80);
}

/* Sent before the resync: no P_WRITE_ACK is due. */
Test(resync_source, with_protocol_a_the_barrier_ack_says_that_a_write_is_there, .fini = done)
{
	open_drbd91(PROTOCOL_A);
	n.core->st.pd[1][0].repl = REPL_ESTABLISHED;
	n.core->st.pd[1][0].pdsk = DISK_UP_TO_DATE;
	node_write(&n, 7, 8000);
	node_disk_done(&n, node_act(&n, AC_DISK_WRITE, 0)->u.disk.tag, 0);
	node_time(&n, 2);
	strcpy(n.core->peer[1]->verify_alg, "crc32c");
	n.core->st.pd[1][0].repl = REPL_VERIFY_T;
	ask_as(P_OV_REQUEST, 80);
	cr_assert(refused(80));
	node_barrier_ack(&n, 1, 0, 1);
	ask_as(P_OV_REQUEST, 80);
	cr_assert(node_act(&n, AC_DISK_READ, 0));
}

/* While one is kept no further request is taken in, or it would wait for ever. */
Test(resync_source, nothing_new_is_read_before_a_kept_write, .fini = done)
{
	uint64_t read, write;

	open_drbd91(PROTOCOL_C);
	read = asked(80);
	node_write(&n, 7, 8000);
	ask(240);
	cr_assert(refused(240));
	node_disk_done(&n, read, 0);
	cr_assert(goes_out());
	write = node_act(&n, AC_DISK_WRITE, 0)->u.disk.tag;
	node_disk_done(&n, write, 0);
	cr_assert_eq(node_answer(&n, 7), INT32_MAX);
}

/* What waits for its turn is refused: the write need not wait for that as well. */
Test(resync_source, what_is_not_read_yet_makes_way, .fini = done)
{
	uint64_t read;

	open_drbd91(PROTOCOL_C);
	read = asked(80);
	n.vol->rs.source_window = RS_SOURCE_WINDOW_SECTORS;
	ask(160);
	cr_assert_not(node_act(&n, AC_DISK_READ, 0));
	node_write(&n, 7, 8000);
	cr_assert(refused(160));
	n.vol->rs.source_window = 8;
	node_disk_done(&n, read, 0);
	cr_assert(goes_out());
}

Test(resync_source, a_kept_write_goes_on_when_the_target_is_lost, .fini = done)
{
	struct core_event ev;

	open_drbd91(PROTOCOL_C);
	asked(80);
	node_write(&n, 7, 8000);
	cr_assert_not(goes_out());
	node_lose(&n, 1);
	source_drop(n.core, &n.core->peer[1]->pd[0], false);
	ev = node_event(&n, EV_TIME);
	node_step(&n, &ev);
	cr_assert(node_act(&n, AC_DISK_WRITE, 0));
}

/* ---- a target of DRBD 9.3 that is told of writes only: no mark survives an answer ---- */

static void open_drbd93(void)
{
	node_open(&n, ROLE_PRIMARY, 1, PROTOCOL_B);
	n.core->peer[1]->apv = 124;
	n.core->peer[1]->features = FEATURE_RESYNC_DAGTAG | FEATURE_RESYNC_WITHOUT_REPLICATION;
	n.core->st.pd[1][0].repl = REPL_SYNC_SOURCE;
	n.core->st.pd[1][0].pdsk = DISK_INCONSISTENT;
	n.core->st.pd[1][0].no_data = true;
}

static struct pkt answered(uint64_t sector)
{
	node_disk_done(&n, asked(sector), 0);
	cr_assert(node_sent(&n, 1, P_RS_DATA_REPLY, 0));
	return *node_sent(&n, 1, P_RS_DATA_REPLY, 0);
}

static bool told_of(uint64_t sector)
{
	const struct pkt *pkt = node_sent(&n, 1, P_OUT_OF_SYNC, 0);

	return pkt && pkt->u.block.sector == sector && node_act(&n, AC_DISK_WRITE, 0);
}

Test(resync_source, a_write_waits_until_the_answer_before_it_is_on_the_targets_disk, .fini = done)
{
	struct pkt ack;

	open_drbd93();
	ack = answered(80);
	node_write(&n, 7, 80);
	cr_assert_not(told_of(80));
	node_write(&n, 8, 8000);
	cr_assert(told_of(8000));
	ack.type = P_RS_WRITE_ACK;
	node_rx(&n, 1, STREAM_CONTROL, &ack);
	cr_assert(told_of(80));
}

/* Ours keep the mark, and so does one that gets what is written. */
Test(resync_source, a_write_does_not_wait_for_a_target_that_keeps_its_marks, .fini = done)
{
	open_drbd93();
	n.core->peer[1]->features |= FEATURE_DRBDFS;
	answered(80);
	node_write(&n, 7, 80);
	cr_assert(told_of(80));
	done();
	open_drbd93();
	n.core->st.pd[1][0].no_data = false;
	answered(80);
	node_write(&n, 7, 80);
	cr_assert(goes_out());
}

/* The same is said on the other stream, and has no ack. */
Test(resync_source, a_write_waits_until_the_target_has_heard_what_is_in_sync, .fini = done)
{
	static const uint8_t digest[4] = "same";
	struct pkt ask = { .type = P_RS_CSUM_DAGTAG_REQ, .var = digest, .var_bytes = 4 };
	struct pkt pong = { .type = P_PING_ACK, .vnr = VNR_NONE };
	struct core_event ev;

	open_drbd93();
	strcpy(n.core->peer[1]->csums_alg, "crc32c");
	bitmap_set(n.core, n.vol, 1, 80, 8);
	ask.u.block.sector = 80;
	ask.u.block.bytes = 4096;
	ask.u.block.block_id = 1;
	node_rx(&n, 1, STREAM_DATA, &ask);
	ev = node_event(&n, EV_DISK_DONE);
	ev.u.done.tag = node_act(&n, AC_DISK_READ, 0)->u.disk.tag;
	ev.u.done.digest_bytes = 4;
	ev.u.done.digest = digest;
	node_step(&n, &ev);
	cr_assert(node_sent(&n, 1, P_RS_IS_IN_SYNC, 0));
	cr_assert(node_sent(&n, 1, P_PING, 0));
	node_write(&n, 7, 80);
	cr_assert_not(told_of(80));
	node_rx(&n, 1, STREAM_CONTROL, &pong);
	cr_assert(told_of(80));
	cr_assert_eq(n.vol->rs.source_count, 0);
}

Test(resync_source, what_waits_for_an_ack_goes_on_when_the_target_is_lost, .fini = done)
{
	struct core_event ev;

	open_drbd93();
	answered(80);
	node_write(&n, 7, 80);
	cr_assert_not(node_act(&n, AC_DISK_WRITE, 0));
	node_lose(&n, 1);
	source_drop(n.core, &n.core->peer[1]->pd[0], false);
	ev = node_event(&n, EV_TIME);
	node_step(&n, &ev);
	cr_assert(node_act(&n, AC_DISK_WRITE, 0));
}

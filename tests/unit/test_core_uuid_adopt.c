/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Behind protocols A and B a new generation reaches the disk after what came before it. */
#include <errno.h>

#include "core_uuid.h"

TestSuite(uuid_adopt, .fini = teardown);

#define PENDING_MAX 64U

static uint64_t on_disk;      /* generation of the last superblock that was written */
static uint64_t writes[8];    /* tags of writes at the disk, in their order */
static unsigned write_count;

static void note(const struct core_action *act, uint64_t *pending, unsigned *count)
{
	switch (act->kind) {
	case AC_META_SUPER:
		on_disk = act->u.meta.super->current_uuid;
		/* fall through */
	case AC_META_AL:
	case AC_META_BITMAP:
	case AC_META_FLUSH:
		cr_assert_lt(*count, PENDING_MAX);
		pending[(*count)++] = act->u.meta.tag;
		break;
	case AC_DISK_WRITE:
		writes[write_count++] = act->u.disk.tag;
		break;
	default:
		break;
	}
}

/* One event, and the ends of all metadata writes that follow. */
static void step(const struct core_event *ev)
{
	uint64_t pending[PENDING_MAX];
	unsigned count = 0, done = 0;

	core_step(n.core, ev);
	for (;;) {
		struct core_event end = node_event(&n, EV_META_DONE);

		node_pull(&n);
		for (unsigned i = 0; i < n.count; i++)
			note(&n.acts[i], pending, &count);
		if (done == count)
			return;
		end.u.done.tag = pending[done++];
		core_step(n.core, &end);
	}
}

static void packet(const struct pkt *pkt)
{
	struct core_event ev = node_event(&n, EV_PKT);

	ev.u.pkt.peer = 1;
	ev.u.pkt.stream = STREAM_DATA;
	ev.u.pkt.pkt = pkt;
	step(&ev);
}

static void data(uint64_t sector)
{
	struct pkt pkt = { .type = P_DATA, .payload = { n.payload_next++, 4096 } };

	pkt.u.block.sector = sector;
	pkt.u.block.bytes = 4096;
	packet(&pkt);
}

static void barrier(uint32_t number)
{
	struct pkt pkt = { .type = P_BARRIER, .vnr = VNR_NONE };

	pkt.u.barrier.number = number;
	packet(&pkt);
}

static void generation(uint64_t uuid)
{
	struct pkt pkt = { .type = P_CURRENT_UUID };

	pkt.u.current_uuid.uuid = uuid;
	pkt.u.current_uuid.weak_nodes = UINT64_C(1) << 1;
	packet(&pkt);
}

static void written(unsigned write, int error)
{
	struct core_event ev = node_event(&n, EV_DISK_DONE);

	ev.u.done.tag = writes[write];
	ev.u.done.error = error;
	step(&ev);
}

/* The Primary has just lost its own disk, and with it the only other copy of this write. */
static void open_behind(enum wire_protocol protocol)
{
	node_open(&n, ROLE_SECONDARY, 2, protocol);
	n.core->st.peer[2].role = ROLE_SECONDARY;
	write_count = 0;
	on_disk = OLD;
	data(80);
	cr_assert_eq(write_count, 1);
	n.core->st.pd[1][0].pdsk = DISK_DISKLESS;
}

static bool told_durable(void)
{
	const struct pkt_uuids *sent = &n.core->peer[1]->pd[0].sent;

	return sent->current == NEW && !(sent->flags & UUID_FLAG_NOT_DURABLE);
}

Test(uuid_adopt, it_waits_for_what_came_before_it)
{
	open_behind(PROTOCOL_A);
	generation(NEW);
	cr_assert_eq(n.vol->md.current_uuid, NEW);
	cr_assert_eq(on_disk, OLD);
	cr_assert_not(told_durable());
	/* What else changes meanwhile goes to the disk beside the old one. */
	md_sync(n.core, n.vol);
	node_time(&n, 1);
	cr_assert_not(told_durable());
	written(0, 0);
	cr_assert_eq(on_disk, NEW);
	cr_assert(told_durable());
}

/* The disk that is lost, and attached again, does not pass for one that has everything. */
Test(uuid_adopt, a_failed_disk_keeps_the_one_before)
{
	open_behind(PROTOCOL_A);
	generation(NEW);
	written(0, -EIO);
	cr_assert_eq(on_disk, OLD);
	cr_assert_not(told_durable());
}

/* A write of the new one is not on the disk before it. */
Test(uuid_adopt, what_comes_after_it_waits_for_it)
{
	open_behind(PROTOCOL_A);
	generation(NEW);
	barrier(1);
	data(160);
	cr_assert_eq(write_count, 1);
	written(0, 0);
	cr_assert_eq(on_disk, NEW);
	cr_assert_eq(write_count, 2);
	written(1, 0);
	cr_assert_eq(n.core->peer[1]->rx.unfinished, 0);
}

/* Two in a row: the disk keeps the old one until everything before the last is there. */
Test(uuid_adopt, of_two_only_the_last_reaches_the_disk)
{
	open_behind(PROTOCOL_A);
	generation(A);
	data(320);
	cr_assert_eq(write_count, 2);
	generation(NEW);
	written(0, 0);
	cr_assert_eq(on_disk, OLD);
	written(1, 0);
	cr_assert_eq(on_disk, NEW);
	cr_assert(told_durable());
}

/* With protocol C nothing was answered that is not written: it need not wait. */
Test(uuid_adopt, protocol_c_waits_for_nothing)
{
	open_behind(PROTOCOL_C);
	generation(NEW);
	cr_assert_eq(on_disk, NEW);
}

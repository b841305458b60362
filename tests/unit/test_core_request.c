/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Application requests of a Primary: where they go, when they are answered, what they leave in
 * the bitmap. */
#include <errno.h>

#include "core/state.h"
#include "core_node.h"

static struct node n;

static void done(void)
{
	node_close(&n);
}

#define RequestTest(name) Test(core_request, name, .fini = done)

/* ---- per-peer state ---- */

#define B(x) (1U << NET_##x)

/* Written out by hand: what request.h says in words. */
static bool in_list(unsigned bits)
{
	static const unsigned open[] = { 0, B(WANTED), B(ACK_DUE), B(WANTED) | B(ACK_DUE) };
	static const unsigned ends[] = { 0, B(STABLE), B(LOST) };
	static const unsigned answers[] = { 0, B(WRITTEN), B(WRITTEN) | B(IN_SYNC), B(FAILED),
					    B(REFUSED) };

	if (bits == 0)
		return true;
	for (unsigned i = 0; i < 4; i++) {
		if (bits == (B(SENT) | open[i]))
			return true;
		if (!(open[i] & B(WANTED)) && bits == (B(SENT) | B(RECEIVED) | open[i]))
			return true;
	}
	for (unsigned r = 0; r < 2; r++) {
		for (unsigned e = 0; e < 3; e++) {
			for (unsigned a = 0; a < (r ? 4U : 5U); a++) {
				if (bits == (B(SENT) | (r ? B(RECEIVED) : 0) | ends[e] |
					     answers[a]))
					return true;
			}
		}
	}
	return false;
}

Test(net_state, legal_combinations)
{
	for (unsigned bits = 0; bits < 1U << NET_BITS; bits++)
		cr_assert_eq(net_legal(bits), in_list(bits), "bits 0x%x", bits);
}

Test(net_state, every_move_from_every_state_stays_legal_or_is_refused)
{
	for (unsigned bits = 0; bits < 1U << NET_BITS; bits++) {
		if (!net_legal(bits))
			continue;
		for (unsigned e = NET_EV_RECV_ACK; e <= NET_EV_LOST; e++) {
			struct net_state net = { { 0 }, { 0 } };
			unsigned after;
			bool ok;

			net.bits[7] = (uint16_t)bits;
			for (unsigned i = 0; i < NET_BITS; i++)
				net.of[i] = (bits >> i & 1U) << 7;
			ok = net_move(&net, 7, (enum net_event)e);
			after = net_bits_of(&net, 7);
			cr_assert(net_legal(after));
			for (unsigned i = 0; i < NET_BITS; i++)
				cr_assert_eq(net.of[i], (after >> i & 1U) << 7);
			cr_assert(ok || after == bits);
			cr_assert(IMPLIES(bits & (B(STABLE) | B(LOST)), !ok));
			cr_assert_eq(net_bits_of(&net, 6), 0);
			/* An open write can always be lost. */
			if (e == NET_EV_LOST && bits & B(SENT) && !(bits & (B(STABLE) | B(LOST))))
				cr_assert(ok && after & B(LOST) && !(after & B(WANTED)));
		}
	}
}

Test(net_state, no_ack_counts_twice)
{
	struct net_state net = { { 0 }, { 0 } };

	net_send(&net, 1, true, true);
	cr_assert(net_move(&net, 1, NET_EV_WRITE_ACK));
	cr_assert_not(net_move(&net, 1, NET_EV_WRITE_ACK));
	cr_assert_not(net_move(&net, 1, NET_EV_NEG_ACK));
	cr_assert_not(net_move(&net, 2, NET_EV_WRITE_ACK));
	cr_assert_not(net_done(&net));
	cr_assert(net_move(&net, 1, NET_EV_STABLE));
	cr_assert(net_done(&net));
	cr_assert_eq(net_has(&net), 2);
}

Test(net_state, what_was_refused_is_not_there)
{
	struct net_state net = { { 0 }, { 0 } };

	net_send(&net, 1, true, true);
	cr_assert(net_move(&net, 1, NET_EV_RETRY));
	cr_assert_not(net_move(&net, 1, NET_EV_RETRY));
	cr_assert_not(net_move(&net, 1, NET_EV_WRITE_ACK));
	cr_assert(net_move(&net, 1, NET_EV_STABLE));
	cr_assert(net_done(&net));
	cr_assert_eq(net_has(&net), 0);
}

/* ---- the write path ---- */

/* The write that was just begun gets to the local disk, and peer 1 answers. */
static void finish_write(enum packet ack)
{
	struct pkt data = *node_sent(&n, 1, P_DATA, 0);

	node_disk_done(&n, node_act(&n, AC_DISK_WRITE, 0)->u.disk.tag, 0);
	node_ack(&n, 1, ack, &data);
}

RequestTest(write_goes_to_disk_and_all_peers_after_the_activity_log)
{
	const struct pkt *data;

	node_open(&n, ROLE_PRIMARY, 2, PROTOCOL_C);
	n.al_manual = true;
	node_write(&n, 7, 80);
	cr_assert(node_act(&n, AC_META_AL, 0));
	cr_assert_null(node_act(&n, AC_DISK_WRITE, 0));
	cr_assert_eq(node_sends(&n, 1) + node_sends(&n, 2), 0);
	{
		struct core_event ev = node_event(&n, EV_META_DONE);

		ev.u.done.tag = node_act(&n, AC_META_AL, 0)->u.meta.tag;
		node_step(&n, &ev);
	}
	cr_assert_eq(node_act(&n, AC_DISK_WRITE, 0)->u.disk.sector, 80);
	cr_assert_eq(node_act(&n, AC_DISK_WRITE, 0)->u.disk.payload.id, 1000);
	for (unsigned p = 1; p <= 2; p++) {
		data = node_sent(&n, p, P_DATA, 0);
		cr_assert(data);
		cr_assert_eq(data->u.block.sector, 80);
		cr_assert_eq(data->u.block.seq, 1);
		cr_assert_eq(data->u.block.dp_flags, 0x102);
		cr_assert_eq(data->payload.id, 1000);
		/* Counting from the announced 0. */
		cr_assert_null(node_sent(&n, p, P_DAGTAG, 0));
	}
	cr_assert_eq(n.puts, 1);
}

RequestTest(hot_extent_needs_no_transaction)
{
	node_open(&n, ROLE_PRIMARY, 1, PROTOCOL_C);
	node_write(&n, 1, 80);
	node_write(&n, 2, 160);
	cr_assert_null(node_act(&n, AC_META_AL, 0));
	cr_assert(node_act(&n, AC_DISK_WRITE, 0));
}

/* One write to one protocol C peer, up to the ack of its barrier. */
RequestTest(life_of_a_write)
{
	struct pkt data;
	uint64_t tag;

	node_open(&n, ROLE_PRIMARY, 1, PROTOCOL_C);
	node_write(&n, 7, 80);
	data = *node_sent(&n, 1, P_DATA, 0);
	tag = node_act(&n, AC_DISK_WRITE, 0)->u.disk.tag;
	cr_assert_eq(request_in_flight_sectors(n.core, n.core->peer[1]), 8);
	cr_assert_eq(request_oldest_ns(n.core, n.core->peer[1]), n.now_ns);
	node_disk_done(&n, tag, 0);
	cr_assert_eq(node_answer(&n, 7), INT32_MAX);
	cr_assert_not(request_volume_idle(n.core, n.vol));
	node_ack(&n, 1, P_WRITE_ACK, &data);
	cr_assert_eq(node_answer(&n, 7), 0);
	cr_assert(request_volume_idle(n.core, n.vol));
	cr_assert_eq(request_oldest_ns(n.core, n.core->peer[1]), NEVER_NS);
	/* A lone write is followed by its own barrier. */
	cr_assert_leq(core_deadline_ns(n.core), n.now_ns + 2 * NS_PER_MS);
	node_time(&n, 2);
	cr_assert(node_sent(&n, 1, P_BARRIER, 0));
	cr_assert_eq(node_sent(&n, 1, P_BARRIER, 0)->u.barrier.number, 0);
	cr_assert_eq(n.core->req.slab.used, 1);
	node_barrier_ack(&n, 1, 0, 1);
	cr_assert_not(node_failed(&n, 1));
	cr_assert_eq(n.core->req.slab.used, 0);
	cr_assert_null(node_sent(&n, 1, P_PEER_ACK, 0));
	node_time(&n, 101);
	cr_assert_eq(node_sent(&n, 1, P_PEER_ACK, 0)->u.dagtag.mask, 3);
	cr_assert_eq(node_sent(&n, 1, P_PEER_ACK, 0)->u.dagtag.dagtag, 8);
	cr_assert_not(node_bit(&n, 1, 80));
}

RequestTest(protocol_levels)
{
	static const struct {
		enum wire_protocol protocol;
		uint32_t dp_flags;
		enum packet ack; /* 0: none needed */
	} row[] = {
		{ PROTOCOL_A, 0x002, P_DATA },
		{ PROTOCOL_B, 0x082, P_RECV_ACK },
		{ PROTOCOL_C, 0x102, P_WRITE_ACK },
	};

	for (unsigned i = 0; i < ARRAY_LEN(row); i++) {
		struct pkt data;

		node_open(&n, ROLE_PRIMARY, 1, row[i].protocol);
		node_write(&n, 7, 80);
		data = *node_sent(&n, 1, P_DATA, 0);
		cr_assert_eq(data.u.block.dp_flags, row[i].dp_flags);
		node_disk_done(&n, node_act(&n, AC_DISK_WRITE, 0)->u.disk.tag, 0);
		if (row[i].ack != P_DATA) {
			cr_assert_eq(node_answer(&n, 7), INT32_MAX);
			node_ack(&n, 1, row[i].ack, &data);
		}
		cr_assert_eq(node_answer(&n, 7), 0);
		node_time(&n, 2);
		node_barrier_ack(&n, 1, 0, 1);
		cr_assert_not(node_failed(&n, 1));
		cr_assert_eq(n.core->req.slab.used, 0);
		if (i + 1 < ARRAY_LEN(row))
			node_close(&n);
	}
}

RequestTest(overlapping_writes_follow_each_other)
{
	struct pkt data;
	uint64_t tag;

	node_open(&n, ROLE_PRIMARY, 1, PROTOCOL_C);
	node_write(&n, 1, 80);
	data = *node_sent(&n, 1, P_DATA, 0);
	tag = node_act(&n, AC_DISK_WRITE, 0)->u.disk.tag;
	node_write(&n, 2, 84);
	cr_assert_null(node_act(&n, AC_DISK_WRITE, 0));
	cr_assert_eq(node_sends(&n, 1), 0);
	node_disk_done(&n, tag, 0);
	cr_assert_null(node_act(&n, AC_DISK_WRITE, 0));
	node_ack(&n, 1, P_WRITE_ACK, &data);
	cr_assert_eq(node_answer(&n, 1), 0);
	cr_assert_eq(node_act(&n, AC_DISK_WRITE, 0)->u.disk.sector, 84);
	/* The first one was answered: its epoch is over, and said to be so before the next
	 * write. */
	cr_assert(node_sent(&n, 1, P_BARRIER, 0) < node_sent(&n, 1, P_DATA, 0));
}

RequestTest(connection_lost_sets_bits_and_answers)
{
	node_open(&n, ROLE_PRIMARY, 2, PROTOCOL_C);
	node_write(&n, 7, 80);
	finish_write(P_WRITE_ACK);
	cr_assert_eq(node_answer(&n, 7), INT32_MAX);
	node_lose(&n, 2);
	cr_assert_eq(node_answer(&n, 7), 0);
	cr_assert(node_bit(&n, 2, 80));
	cr_assert_not(node_bit(&n, 1, 80));
	cr_assert_eq(n.core->peer[2]->pd[0].pending, 0);
	/* Written alone from now on: the bit is there before the disk is. */
	node_write(&n, 8, 800);
	cr_assert(node_bit(&n, 2, 800));
	cr_assert_null(node_sent(&n, 2, P_DATA, 0));
	cr_assert(node_sent(&n, 1, P_BARRIER, 0));
	node_barrier_ack(&n, 1, 0, 1);
	node_time(&n, 101);
	cr_assert_eq(node_sent(&n, 1, P_PEER_ACK, 0)->u.dagtag.mask, 3);
	cr_assert_null(node_sent(&n, 2, P_PEER_ACK, 0));
}

/* Acknowledged and even answered is not enough: without the barrier ack it counts as not
 * written. */
RequestTest(written_but_not_stable_is_out_of_sync_after_a_loss)
{
	node_open(&n, ROLE_PRIMARY, 1, PROTOCOL_C);
	node_write(&n, 7, 80);
	finish_write(P_WRITE_ACK);
	cr_assert_not(node_bit(&n, 1, 80));
	node_lose(&n, 1);
	cr_assert(node_bit(&n, 1, 80));
	cr_assert_eq(n.core->req.slab.used, 0);
}

RequestTest(spare_slots_get_a_bit_for_every_write)
{
	node_open(&n, ROLE_PRIMARY, 1, PROTOCOL_C);
	node_write(&n, 7, 80);
	cr_assert_not(bitmap_test(n.vol, 1, 80, 8));
	cr_assert(bitmap_test(n.vol, 2, 80, 8));
	cr_assert(bitmap_test(n.vol, 8, 80, 8));
}

RequestTest(negative_ack_sets_the_bit_and_is_no_error)
{
	struct pkt data;

	node_open(&n, ROLE_PRIMARY, 1, PROTOCOL_C);
	node_write(&n, 7, 80);
	data = *node_sent(&n, 1, P_DATA, 0);
	node_disk_done(&n, node_act(&n, AC_DISK_WRITE, 0)->u.disk.tag, 0);
	node_ack(&n, 1, P_NEG_ACK, &data);
	cr_assert_eq(node_answer(&n, 7), 0);
	cr_assert(node_bit(&n, 1, 80));
	node_time(&n, 2);
	node_barrier_ack(&n, 1, 0, 1);
	node_time(&n, 101);
	cr_assert_eq(node_sent(&n, 1, P_PEER_ACK, 0)->u.dagtag.mask, 1);
	/* Unknown by now: still marked, and still no reason to hang up. */
	data.u.block.sector = 8000;
	node_ack(&n, 1, P_NEG_ACK, &data);
	cr_assert(node_bit(&n, 1, 8000));
	cr_assert_not(node_failed(&n, 1));
}

/* Else this node could lose it too, and the peer come
 * back with the same generation and without the write. */
RequestTest(a_write_that_a_failed_disk_lacks_belongs_to_a_new_generation)
{
	uint64_t before;

	node_open(&n, ROLE_PRIMARY, 1, PROTOCOL_C);
	before = n.vol->md.current_uuid;
	node_write(&n, 7, 80);
	finish_write(P_NEG_ACK);
	cr_assert_eq(node_answer(&n, 7), 0);
	cr_assert(!uuid_eq(n.vol->md.current_uuid, before));
	cr_assert_eq(n.vol->bump_seq, 0);
	for (unsigned i = 0, written = 0; i < n.count; i++) {
		written |= n.acts[i].kind == AC_META_SUPER;
		cr_assert(written || n.acts[i].kind != AC_COMPLETE, "answered too early");
	}
}

RequestTest(stale_and_forged_ids_end_the_connection)
{
	for (unsigned i = 0; i < 4; i++) {
		struct pkt data;

		node_open(&n, ROLE_PRIMARY, 1, PROTOCOL_C);
		node_write(&n, 7, 80);
		data = *node_sent(&n, 1, P_DATA, 0);
		if (i == 0)
			data.u.block.sector++;
		else if (i == 1)
			data.u.block.block_id += UINT64_C(2) << SLAB_INDEX_BITS;
		else if (i == 2)
			data.u.block.block_id = UINT64_MAX;
		else
			node_ack(&n, 1, P_WRITE_ACK, &data);
		node_ack(&n, 1, P_WRITE_ACK, &data);
		cr_assert(node_failed(&n, 1), "case %u", i);
		if (i < 3)
			node_close(&n);
	}
}

RequestTest(resync_acks_clear_bits_only_when_all_is_written)
{
	struct pkt data;
	uint64_t tag;

	node_open(&n, ROLE_PRIMARY, 1, PROTOCOL_C);
	n.core->st.pd[1][0].repl = REPL_SYNC_SOURCE;
	n.core->st.pd[1][0].pdsk = DISK_INCONSISTENT;
	bitmap_set(n.core, n.vol, 1, 80, 16);
	node_write(&n, 7, 80);
	data = *node_sent(&n, 1, P_DATA, 0);
	cr_assert_eq(data.u.block.dp_flags, 0x106);
	tag = node_act(&n, AC_DISK_WRITE, 0)->u.disk.tag;
	node_ack(&n, 1, P_WRITE_ACK_IN_SYNC, &data);
	cr_assert(node_bit(&n, 1, 80));
	node_disk_done(&n, tag, 0);
	cr_assert_not(node_bit(&n, 1, 80));
	cr_assert(node_bit(&n, 1, 88));
	/* A plain ack leaves the bit as it is. */
	node_write(&n, 8, 88);
	finish_write(P_WRITE_ACK);
	cr_assert(node_bit(&n, 1, 88));
}

/* Before 122 the ack of a write that leaves both in sync is that of a resync with an id. */
RequestTest(acks_in_sync_before_122)
{
	struct pkt data;
	uint64_t tag;

	node_open(&n, ROLE_PRIMARY, 1, PROTOCOL_C);
	n.core->peer[1]->apv = 121;
	n.core->st.pd[1][0].repl = REPL_SYNC_SOURCE;
	n.core->st.pd[1][0].pdsk = DISK_INCONSISTENT;
	bitmap_set(n.core, n.vol, 1, 80, 8);
	node_write(&n, 7, 80);
	data = *node_sent(&n, 1, P_DATA, 0);
	tag = node_act(&n, AC_DISK_WRITE, 0)->u.disk.tag;
	node_ack(&n, 1, P_RS_WRITE_ACK, &data);
	cr_assert_not(node_failed(&n, 1));
	node_disk_done(&n, tag, 0);
	cr_assert_not(node_bit(&n, 1, 80));
	/* A refusal without an id is that of a resync reply; none was sent. */
	data.u.block.block_id = UINT64_MAX;
	node_ack(&n, 1, P_NEG_ACK, &data);
	cr_assert(node_failed(&n, 1));
}

RequestTest(out_of_sync_mode)
{
	node_open(&n, ROLE_PRIMARY, 1, PROTOCOL_C);
	n.core->st.pd[1][0].repl = REPL_WF_BITMAP_S;
	n.core->st.pd[1][0].pdsk = DISK_OUTDATED;
	node_write(&n, 7, 80);
	cr_assert(node_bit(&n, 1, 80));
	cr_assert_null(node_sent(&n, 1, P_DATA, 0));
	cr_assert_eq(node_sent(&n, 1, P_OUT_OF_SYNC, 0)->u.block.sector, 80);
	cr_assert_eq(node_sent(&n, 1, P_OUT_OF_SYNC, 0)->u.block.bytes, 4096);
	node_disk_done(&n, node_act(&n, AC_DISK_WRITE, 0)->u.disk.tag, 0);
	cr_assert_eq(node_answer(&n, 7), 0);
	cr_assert_eq(n.core->req.slab.used, 0);
	/* Replicating again: the receiver's count was brought up to date with the announcement. */
	n.core->st.pd[1][0].repl = REPL_SYNC_SOURCE;
	n.core->st.pd[1][0].pdsk = DISK_INCONSISTENT;
	node_write(&n, 8, 160);
	cr_assert(node_sent(&n, 1, P_DATA, 0));
	cr_assert_null(node_sent(&n, 1, P_DAGTAG, 0));
}

RequestTest(dagtag_is_told_when_writes_passed_the_peer_by)
{
	node_open(&n, ROLE_PRIMARY, 1, PROTOCOL_C);
	n.core->st.pd[1][0].pdsk = DISK_DISKLESS;
	node_write(&n, 1, 80);
	n.core->st.pd[1][0].pdsk = DISK_UP_TO_DATE;
	node_write(&n, 2, 160);
	cr_assert_eq(node_sent(&n, 1, P_DAGTAG, 0)->u.dagtag.dagtag, 8);
	cr_assert(node_sent(&n, 1, P_DAGTAG, 0) < node_sent(&n, 1, P_DATA, 0));
	node_write(&n, 3, 240);
	cr_assert_null(node_sent(&n, 1, P_DAGTAG, 0));
}

/* It may serve a resync that depends on having seen them. */
RequestTest(dagtag_is_told_to_a_peer_whose_disk_comes_back)
{
	node_open(&n, ROLE_PRIMARY, 1, PROTOCOL_C);
	n.core->st.pd[1][0].pdsk = DISK_DISKLESS;
	node_write(&n, 1, 80);
	n.core->st.pd[1][0].pdsk = DISK_UP_TO_DATE;
	n.core->ring_head = n.core->ring_tail = 0;
	request_peer_mode_changed(n.core, &n.core->peer[1]->pd[0]);
	node_pull(&n);
	cr_assert_eq(node_sent(&n, 1, P_DAGTAG, 0)->u.dagtag.dagtag, 8);
}

RequestTest(peers_know_of_a_failed_disk_before_the_next_write)
{
	node_open(&n, ROLE_PRIMARY, 1, PROTOCOL_C);
	n.core->peer[1]->pd[0].state_word_sent = state_word(n.core, n.core->peer[1], 0);
	n.core->st.vol[0].disk = DISK_FAILED;
	node_write(&n, 1, 80);
	cr_assert(node_sent(&n, 1, P_STATE, 0));
	cr_assert(node_sent(&n, 1, P_STATE, 0) < node_sent(&n, 1, P_DATA, 0));
	node_write(&n, 2, 160);
	cr_assert_null(node_sent(&n, 1, P_STATE, 0));
	/* Answered when the only copy is written. */
	cr_assert_eq(node_answer(&n, 2), INT32_MAX);
	node_ack(&n, 1, P_WRITE_ACK, node_sent(&n, 1, P_DATA, 0));
	cr_assert_eq(node_answer(&n, 2), 0);
}

/* Written here, then the disk is given up, then the peer is lost: nobody has it any more. */
RequestTest(a_copy_on_a_lost_disk_is_none)
{
	node_open(&n, ROLE_PRIMARY, 1, PROTOCOL_C);
	node_write(&n, 1, 80);
	node_disk_done(&n, node_act(&n, AC_DISK_WRITE, 0)->u.disk.tag, 0);
	n.core->st.vol[0].disk = DISK_FAILED;
	n.core->ring_head = n.core->ring_tail = 0;
	request_disk_lost(n.core, n.vol);
	node_pull(&n);
	node_lose(&n, 1);
	cr_assert_eq(node_answer(&n, 1), -EIO);
}

RequestTest(orderly_detach_flushes_first)
{
	uint64_t w;

	node_open(&n, ROLE_PRIMARY, 1, PROTOCOL_C);
	node_write(&n, 1, 80);
	w = node_act(&n, AC_DISK_WRITE, 0)->u.disk.tag;
	n.core->st.vol[0].disk = DISK_DETACHING;
	n.core->ring_head = n.core->ring_tail = 0;
	request_disk_lost(n.core, n.vol);
	node_pull(&n);
	cr_assert_null(node_act(&n, AC_DISK_FLUSH, 0));
	node_disk_done(&n, w, 0);
	cr_assert(node_act(&n, AC_DISK_FLUSH, 0));
	cr_assert_eq(n.vol->local_pending, 1);
	node_disk_done(&n, node_act(&n, AC_DISK_FLUSH, 0)->u.disk.tag, 0);
	cr_assert_eq(n.vol->local_pending, 0);
	cr_assert_null(node_act(&n, AC_DISK_FLUSH, 0));
}

/* While its disk negotiates the Primary writes to peers only: it is the one that differs. */
RequestTest(what_a_negotiating_disk_misses_is_marked)
{
	struct pkt data;

	node_open(&n, ROLE_PRIMARY, 1, PROTOCOL_C);
	n.core->st.vol[0].disk = DISK_NEGOTIATING;
	node_write(&n, 1, 80);
	cr_assert_null(node_act(&n, AC_DISK_WRITE, 0));
	cr_assert(node_bit(&n, 1, 80));
	data = *node_sent(&n, 1, P_DATA, 0);
	node_ack(&n, 1, P_WRITE_ACK, &data);
	cr_assert_eq(node_answer(&n, 1), 0);
	node_time(&n, 2);
	/* Resynced in the meantime or not: the peer ack says so. */
	for (unsigned i = 0; i < 2; i++) {
		if (i == 1) {
			node_write(&n, 2, 80);
			node_ack(&n, 1, P_WRITE_ACK, node_sent(&n, 1, P_DATA, 0));
			node_time(&n, 2);
			n.core->st.vol[0].disk = DISK_INCONSISTENT;
			bitmap_clear(n.core, n.vol, 1, 80, 8);
		}
		node_barrier_ack(&n, 1, i, 1);
		node_time(&n, 101);
		cr_assert_eq(node_sent(&n, 1, P_PEER_ACK, 0)->u.dagtag.mask, i == 0 ? 2 : 3);
	}
}

/* ---- refusals and gates ---- */

RequestTest(illegal_requests)
{
	node_open(&n, ROLE_PRIMARY, 1, PROTOCOL_C);
	node_submit(&n, OP_WRITE, 1, NODE_SECTORS - 4, 4096);
	cr_assert_eq(node_answer(&n, 1), -EIO);
	node_submit(&n, OP_WRITE, 2, UINT64_MAX - 4, 4096);
	cr_assert_eq(node_answer(&n, 2), -EIO);
	node_submit(&n, OP_WRITE, 3, 0, 1000);
	cr_assert_eq(node_answer(&n, 3), -EINVAL);
	node_submit(&n, OP_READ, 4, 0, BIO_MAX_BYTES + 512);
	cr_assert_eq(node_answer(&n, 4), -EINVAL);
	node_submit(&n, OP_READ, 5, 0, 0);
	cr_assert_eq(node_answer(&n, 5), -EINVAL);
	n.core->st.role = ROLE_SECONDARY;
	node_write(&n, 6, 80);
	cr_assert_eq(node_answer(&n, 6), -EROFS);
	cr_assert_eq(n.puts, 4);
	cr_assert_eq(n.core->req.slab.used, 0);
	cr_assert_eq(n.core->req.bytes, 0);
}

RequestTest(suspended_requests_wait_in_order_and_can_be_cancelled)
{
	struct core_event ev;

	node_open(&n, ROLE_PRIMARY, 1, PROTOCOL_A);
	n.core->st.susp_user = true;
	node_write(&n, 1, 80);
	node_submit(&n, OP_READ, 2, 0, 4096);
	node_write(&n, 3, 160);
	cr_assert_eq(n.count, 0);
	ev = node_event(&n, EV_CANCEL);
	ev.u.cancel = 2;
	node_step(&n, &ev);
	cr_assert_eq(node_answer(&n, 2), -EINTR);
	n.core->st.susp_user = false;
	core_work(n.core, WORK_REQUESTS);
	node_time(&n, 1);
	cr_assert_eq(node_act(&n, AC_DISK_WRITE, 0)->u.disk.sector, 80);
	cr_assert_eq(node_act(&n, AC_DISK_WRITE, 1)->u.disk.sector, 160);
}

RequestTest(a_write_that_was_ready_waits_for_the_gate_again)
{
	struct core_event ev;

	node_open(&n, ROLE_PRIMARY, 1, PROTOCOL_C);
	n.al_manual = true;
	node_write(&n, 1, 80);
	n.core->st.susp_user = true;
	ev = node_event(&n, EV_META_DONE);
	ev.u.done.tag = node_act(&n, AC_META_AL, 0)->u.meta.tag;
	node_step(&n, &ev);
	cr_assert_null(node_act(&n, AC_DISK_WRITE, 0));
	cr_assert_eq(node_sends(&n, 1), 0);
	n.core->st.susp_user = false;
	core_work(n.core, WORK_REQUESTS);
	node_time(&n, 1);
	cr_assert(node_act(&n, AC_DISK_WRITE, 0));
	cr_assert(node_sent(&n, 1, P_DATA, 0));
}

RequestTest(room_is_bounded_by_slots_and_bytes)
{
	unsigned room;

	node_open(&n, ROLE_PRIMARY, 1, PROTOCOL_C);
	room = core_room(n.core);
	cr_assert_eq(room, 128);
	node_submit(&n, OP_WRITE, 1, 0, BIO_MAX_BYTES);
	cr_assert_eq(core_room(n.core), room - 1);
	for (unsigned i = 0; core_room(n.core) > 0; i++) {
		cr_assert_lt(i, 300);
		node_write(&n, 100 + i, 8 * i + 4096);
	}
	cr_assert_eq(slab_free_count(&n.core->req.slab), 1);
}

/* ---- flush ---- */

RequestTest(flush_waits_for_disk_and_barrier_ack)
{
	node_open(&n, ROLE_PRIMARY, 1, PROTOCOL_C);
	node_write(&n, 1, 80);
	finish_write(P_WRITE_ACK);
	node_submit(&n, OP_FLUSH, 2, 0, 0);
	cr_assert(node_sent(&n, 1, P_BARRIER, 0));
	node_disk_done(&n, node_act(&n, AC_DISK_FLUSH, 0)->u.disk.tag, 0);
	cr_assert_eq(node_answer(&n, 2), INT32_MAX);
	node_barrier_ack(&n, 1, 0, 1);
	cr_assert_eq(node_answer(&n, 2), 0);
	/* With nothing written since, no barrier. */
	node_submit(&n, OP_FLUSH, 3, 0, 0);
	cr_assert_null(node_sent(&n, 1, P_BARRIER, 0));
	node_disk_done(&n, node_act(&n, AC_DISK_FLUSH, 0)->u.disk.tag, 0);
	cr_assert_eq(node_answer(&n, 3), 0);
}

RequestTest(flush_does_not_wait_for_later_writes_or_lost_peers)
{
	uint64_t tag;

	node_open(&n, ROLE_PRIMARY, 1, PROTOCOL_C);
	node_write(&n, 1, 80);
	finish_write(P_WRITE_ACK);
	node_submit(&n, OP_FLUSH, 2, 0, 0);
	tag = node_act(&n, AC_DISK_FLUSH, 0)->u.disk.tag;
	node_write(&n, 3, 160);
	node_disk_done(&n, tag, 0);
	node_barrier_ack(&n, 1, 0, 1);
	cr_assert_eq(node_answer(&n, 2), 0);
	node_submit(&n, OP_FLUSH, 4, 0, 0);
	node_disk_done(&n, node_act(&n, AC_DISK_FLUSH, 0)->u.disk.tag, 0);
	cr_assert_eq(node_answer(&n, 4), INT32_MAX);
	node_lose(&n, 1);
	cr_assert_eq(node_answer(&n, 4), 0);
}

/* Without a local copy the peers' must be stable, whatever their protocol. */
RequestTest(flush_without_a_disk_waits_for_all_peers)
{
	struct pkt data;

	node_open(&n, ROLE_PRIMARY, 1, PROTOCOL_B);
	n.core->st.vol[0].disk = DISK_DISKLESS;
	node_write(&n, 1, 80);
	data = *node_sent(&n, 1, P_DATA, 0);
	node_ack(&n, 1, P_WRITE_ACK, &data);
	cr_assert_eq(node_answer(&n, 1), 0);
	node_submit(&n, OP_FLUSH, 2, 0, 0);
	cr_assert_eq(node_answer(&n, 2), INT32_MAX);
	node_barrier_ack(&n, 1, 0, 1);
	cr_assert_eq(node_answer(&n, 2), 0);
	/* And with nobody left it fails. */
	node_lose(&n, 1);
	node_submit(&n, OP_FLUSH, 3, 0, 0);
	cr_assert_eq(node_answer(&n, 3), -EIO);
}

RequestTest(one_local_flush_serves_all_that_wait)
{
	uint64_t tag;

	node_open(&n, ROLE_PRIMARY, 0, PROTOCOL_C);
	node_submit(&n, OP_FLUSH, 1, 0, 0);
	tag = node_act(&n, AC_DISK_FLUSH, 0)->u.disk.tag;
	node_submit(&n, OP_FLUSH, 2, 0, 0);
	node_submit(&n, OP_FLUSH, 3, 0, 0);
	cr_assert_eq(n.count, 0);
	node_disk_done(&n, tag, 0);
	cr_assert_eq(node_answer(&n, 1), 0);
	cr_assert_eq(node_answer(&n, 2), INT32_MAX);
	cr_assert_eq(node_count(&n, AC_DISK_FLUSH), 1);
	node_disk_done(&n, node_act(&n, AC_DISK_FLUSH, 0)->u.disk.tag, 0);
	cr_assert_eq(node_answer(&n, 2), 0);
	cr_assert_eq(node_answer(&n, 3), 0);
}

/* ---- discards ---- */

RequestTest(discard_and_zeroes)
{
	node_open(&n, ROLE_PRIMARY, 1, PROTOCOL_C);
	node_submit(&n, OP_DISCARD, 1, 80, 1 << 20);
	cr_assert_eq(node_sent(&n, 1, P_TRIM, 0)->u.block.dp_flags, 0x142);
	cr_assert_eq(node_sent(&n, 1, P_TRIM, 0)->u.block.bytes, 1 << 20);
	/* The store does not promise zeroes after a discard. */
	cr_assert(node_act(&n, AC_DISK_ZEROES, 0)->u.disk.unmap);
	cr_assert_eq(request_own_dagtag(n.core), 2048);
	n.vol->discard_ok = true;
	node_submit(&n, OP_DISCARD, 2, 8000, 1 << 20);
	cr_assert(node_act(&n, AC_DISK_DISCARD, 0));
	node_submit(&n, OP_DISCARD, 3, 16001, 1 << 20);
	cr_assert(node_act(&n, AC_DISK_ZEROES, 0));
	node_submit(&n, OP_ZEROES, 4, 24000, 65536);
	cr_assert_eq(node_sent(&n, 1, P_ZEROES, 0)->u.block.dp_flags, 0x502);
	cr_assert_not(node_act(&n, AC_DISK_ZEROES, 0)->u.disk.unmap);
}

RequestTest(large_discards_go_in_pieces)
{
	uint64_t at = 1000, covered = 0;
	const uint32_t bytes = 200U << 20;

	node_open(&n, ROLE_PRIMARY, 0, PROTOCOL_C);
	node_submit(&n, OP_DISCARD, 1, at, bytes);
	while (node_answer(&n, 1) == INT32_MAX) {
		const struct core_action *act = node_act(&n, AC_DISK_ZEROES, 0);

		cr_assert(act);
		cr_assert_eq(act->u.disk.sector, at + covered / 512);
		cr_assert_leq(act->u.disk.bytes, DISCARD_MAX_BYTES);
		covered += act->u.disk.bytes;
		node_disk_done(&n, act->u.disk.tag, 0);
	}
	cr_assert_eq(node_answer(&n, 1), 0);
	cr_assert_eq(covered, bytes);
	cr_assert_eq(n.core->req.slab.used, 0);
	cr_assert_eq(request_own_dagtag(n.core), bytes / 512);
}

RequestTest(a_failed_piece_fails_the_whole)
{
	unsigned pieces = 0;

	node_open(&n, ROLE_PRIMARY, 0, PROTOCOL_C);
	node_submit(&n, OP_DISCARD, 1, 0, 300U << 20);
	while (node_answer(&n, 1) == INT32_MAX) {
		const struct core_action *act = node_act(&n, AC_DISK_DISCARD, 0);

		cr_assert(act);
		node_disk_done(&n, act->u.disk.tag, pieces++ == 0 ? -EIO : 0);
	}
	cr_assert_lt(node_answer(&n, 1), 0);
}

/* With protocol B all writes are answered, and yet who does not finish their epoch is given up. */
RequestTest(a_peer_that_does_not_answer_a_barrier_is_given_up)
{
	struct pkt data, pong = { .type = P_PING_ACK, .vnr = VNR_NONE };

	node_open(&n, ROLE_PRIMARY, 1, PROTOCOL_B);
	n.core->st.pd[1][0].repl = REPL_SYNC_SOURCE;
	n.core->st.pd[1][0].pdsk = DISK_INCONSISTENT;
	node_write(&n, 7, 80);
	data = *node_sent(&n, 1, P_DATA, 0);
	node_disk_done(&n, node_act(&n, AC_DISK_WRITE, 0)->u.disk.tag, 0);
	node_ack(&n, 1, P_RECV_ACK, &data);
	node_time(&n, 2);
	cr_assert(node_sent(&n, 1, P_BARRIER, 0));
	for (unsigned s = 0; s < 40; s += 5) {
		node_time(&n, 5000);
		if (node_sent(&n, 1, P_PING, 0))
			node_rx(&n, 1, STREAM_CONTROL, &pong);
	}
	cr_assert_not(node_failed(&n, 1));
	node_time(&n, 3000);
	cr_assert(node_failed(&n, 1));
}

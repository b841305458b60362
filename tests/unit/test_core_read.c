/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reads of the application: which copy serves them, and who is asked next when one does not. */
#include <errno.h>

#include "base/prng.h"
#include "core/state.h"
#include "core_node.h"
#include "../lib/core_pair.h"

static struct node n;

static void done(void)
{
	node_close(&n);
}

#define ReadTest(name) Test(core_read, name, .fini = done)

ReadTest(read_falls_back_to_peers_and_then_fails)
{
	struct pkt ask, reply;

	node_open(&n, ROLE_PRIMARY, 2, PROTOCOL_C);
	n.core->st.vol[0].disk = DISK_OUTDATED;
	node_submit(&n, OP_READ, 9, 80, 4096);
	cr_assert_null(node_act(&n, AC_DISK_READ, 0));
	cr_assert(node_sent(&n, 1, P_DATA_REQUEST, 0));
	ask = *node_sent(&n, 1, P_DATA_REQUEST, 0);
	cr_assert_eq(ask.u.block.bytes, 4096);
	node_ack(&n, 1, P_NEG_DREPLY, &ask);
	cr_assert(node_sent(&n, 2, P_DATA_REQUEST, 0));
	node_lose(&n, 2);
	cr_assert_eq(node_answer(&n, 9), -EIO);
	/* And one that is served. */
	node_submit(&n, OP_READ, 10, 80, 4096);
	ask = *node_sent(&n, 1, P_DATA_REQUEST, 0);
	reply = (struct pkt){ .type = P_DATA_REPLY, .vnr = 0, .payload = { 55, 4096 } };
	reply.u.block = ask.u.block;
	node_rx(&n, 1, STREAM_DATA, &reply);
	cr_assert_eq(node_answer(&n, 10), 0);
	cr_assert_eq(node_act(&n, AC_COMPLETE, 0)->u.complete.payload.id, 55);
	/* A second answer, or one of another size, ends the connection and is not leaked. */
	reply.payload.id = 56;
	node_rx(&n, 1, STREAM_DATA, &reply);
	cr_assert(node_failed(&n, 1));
	cr_assert_eq(node_act(&n, AC_BUF_PUT, 0)->u.payload.id, 56);
}

ReadTest(inconsistent_disk_serves_clean_ranges)
{
	node_open(&n, ROLE_PRIMARY, 1, PROTOCOL_C);
	n.core->st.vol[0].disk = DISK_INCONSISTENT;
	bitmap_set(n.core, n.vol, 1, 80, 8);
	node_submit(&n, OP_READ, 1, 72, 8192);
	cr_assert(node_sent(&n, 1, P_DATA_REQUEST, 0));
	node_submit(&n, OP_READ, 2, 72, 4096);
	cr_assert(node_act(&n, AC_DISK_READ, 0));
}

/* A flush that fails may cost what it should have written; what was there before is read again. */
ReadTest(what_a_disk_reads_that_has_failed_does_not_count)
{
	struct core_event ev;
	struct core_action read;

	node_open(&n, ROLE_PRIMARY, 1, PROTOCOL_C);
	node_submit(&n, OP_READ, 9, 80, 4096);
	read = *node_act(&n, AC_DISK_READ, 0);
	volume_store_error(n.core, n.vol, -EIO, "flush");
	node_pull(&n);
	ev = node_event(&n, EV_DISK_DONE);
	ev.u.done.tag = read.u.disk.tag;
	ev.u.done.payload = (struct payload){ 55, 4096 };
	node_step(&n, &ev);
	cr_assert_null(node_act(&n, AC_COMPLETE, 0));
	cr_assert(node_sent(&n, 1, P_DATA_REQUEST, 0));
}

/* Nobody may have been answered: what the application has read as it was before must not change. */
ReadTest(what_a_lost_primary_has_written_is_waited_for)
{
	struct pkt write = { .type = P_DATA, .payload = { 55, 4096 } };
	uint64_t tag;

	node_open(&n, ROLE_SECONDARY, 1, PROTOCOL_C);
	write.u.block.sector = 80;
	write.u.block.bytes = 4096;
	write.u.block.dp_flags = DP_SEND_WRITE_ACK;
	node_rx(&n, 1, STREAM_DATA, &write);
	tag = node_act(&n, AC_DISK_WRITE, 0)->u.disk.tag;
	node_lose(&n, 1);
	n.core->st.peer[1].role = ROLE_UNKNOWN;
	n.core->st.role = ROLE_PRIMARY;
	node_submit(&n, OP_READ, 1, 72, 8192);
	cr_assert_null(node_act(&n, AC_DISK_READ, 0));
	node_submit(&n, OP_READ, 2, 88, 4096);
	cr_assert_eq(node_act(&n, AC_DISK_READ, 0)->u.disk.sector, 88);
	node_disk_done(&n, tag, 0);
	cr_assert_eq(node_act(&n, AC_DISK_READ, 0)->u.disk.sector, 72);
	node_disk_done(&n, node_act(&n, AC_DISK_READ, 0)->u.disk.tag, 0);
	cr_assert_eq(node_answer(&n, 1), 0);
}

/* Its disk may fail while they wait: then a peer is asked. */
ReadTest(a_read_that_has_waited_goes_elsewhere_if_the_disk_fails)
{
	struct pkt write = { .type = P_DATA, .payload = { 55, 4096 } };
	uint64_t tag;

	node_open(&n, ROLE_SECONDARY, 2, PROTOCOL_C);
	n.core->st.peer[2].role = ROLE_SECONDARY;
	write.u.block.sector = 80;
	write.u.block.bytes = 4096;
	write.u.block.dp_flags = DP_SEND_WRITE_ACK;
	node_rx(&n, 1, STREAM_DATA, &write);
	tag = node_act(&n, AC_DISK_WRITE, 0)->u.disk.tag;
	node_lose(&n, 1);
	n.core->st.peer[1].role = ROLE_UNKNOWN;
	n.core->st.role = ROLE_PRIMARY;
	node_submit(&n, OP_READ, 1, 80, 4096);
	cr_assert_null(node_act(&n, AC_DISK_READ, 0));
	cr_assert_null(node_sent(&n, 2, P_DATA_REQUEST, 0));
	node_disk_done(&n, tag, -EIO);
	cr_assert_null(node_act(&n, AC_DISK_READ, 0));
	cr_assert(node_sent(&n, 2, P_DATA_REQUEST, 0));
}

/* It comes back, and is asked once more when the other one fails, too. */
ReadTest(a_lost_connection_does_not_count_against_a_peer)
{
	struct pkt ask;

	node_open(&n, ROLE_PRIMARY, 2, PROTOCOL_C);
	n.core->st.vol[0].disk = DISK_OUTDATED;
	node_submit(&n, OP_READ, 9, 80, 4096);
	cr_assert(node_sent(&n, 1, P_DATA_REQUEST, 0));
	node_lose(&n, 1);
	ask = *node_sent(&n, 2, P_DATA_REQUEST, 0);
	node_connect(&n, 1);
	node_ack(&n, 2, P_NEG_DREPLY, &ask);
	cr_assert(node_sent(&n, 1, P_DATA_REQUEST, 0));
	cr_assert_eq(n.core->peer[1]->pd[0].pending, 1);
	cr_assert_eq(n.core->peer[2]->pd[0].pending, 0);
}

/* ---- read-balancing ---- */

static void open_balanced(unsigned peers, enum read_balancing policy)
{
	node_open(&n, ROLE_PRIMARY, peers, PROTOCOL_C);
	n.core->conf.volumes[0].disk.read_balancing = policy;
}

/* Who is asked: a node id, 0 = the disk here, -1 = nobody. */
static int asked(uint64_t sector)
{
	static uint64_t cookie = 100;

	node_submit(&n, OP_READ, ++cookie, sector, 4096);
	for (unsigned p = 1; p <= n.conf.peer_count; p++) {
		if (node_sent(&n, p, P_DATA_REQUEST, 0))
			return (int)p;
	}
	return node_act(&n, AC_DISK_READ, 0) ? 0 : -1;
}

ReadTest(prefer_remote_asks_peers_in_turn)
{
	int first, second;

	open_balanced(2, READ_PREFER_REMOTE);
	first = asked(0);
	second = asked(0);
	cr_assert(first > 0 && second > 0 && first != second);
	cr_assert_eq(asked(0), first);
	node_lose(&n, 1);
	cr_assert_eq(asked(0), 2);
	node_lose(&n, 2);
	cr_assert_eq(asked(0), 0);
}

ReadTest(round_robin_asks_all_copies_in_turn)
{
	open_balanced(2, READ_ROUND_ROBIN);
	for (int round = 0; round < 3; round++) {
		cr_assert_eq(asked(0), 0);
		cr_assert_eq(asked(0), 1);
		cr_assert_eq(asked(0), 2);
	}
}

ReadTest(least_pending_asks_who_has_least_to_do)
{
	open_balanced(1, READ_LEAST_PENDING);
	cr_assert_eq(asked(0), 0);
	cr_assert_eq(asked(0), 1);
	cr_assert_eq(asked(0), 0, "the one here where both are equal");
	cr_assert_eq(asked(0), 1);
}

ReadTest(only_a_congested_disk_leaves_reads_to_others)
{
	open_balanced(1, READ_WHEN_CONGESTED_REMOTE);
	for (unsigned i = 0; i < 113; i++)
		cr_assert_eq(asked(0), 0);
	cr_assert_eq(asked(0), 1);
}

ReadTest(stripes_keep_to_their_copy)
{
	open_balanced(1, READ_STRIPING_32K);
	for (uint64_t stripe = 0; stripe < 6; stripe++) {
		cr_assert_eq(asked(stripe * 64), (int)(stripe % 2));
		cr_assert_eq(asked(stripe * 64 + 56), (int)(stripe % 2));
	}
	n.core->conf.volumes[0].disk.read_balancing = READ_STRIPING_1M;
	for (uint64_t stripe = 0; stripe < 6; stripe++)
		cr_assert_eq(asked(stripe * 2048 + 2040), (int)(stripe % 2));
	n.core->st.vol[0].disk = DISK_DISKLESS;
	cr_assert_eq(asked(0), 1, "nobody else has one");
}

ReadTest(the_nearest_protocol_serves)
{
	open_balanced(3, READ_PREFER_REMOTE);
	n.core->conf.peers[0].net.protocol = PROTOCOL_A;
	n.core->conf.peers[1].net.protocol = PROTOCOL_B;
	n.core->conf.peers[2].net.protocol = PROTOCOL_B;
	for (unsigned i = 0; i < 6; i++)
		cr_assert_gt(asked(0), 1);
	node_lose(&n, 2);
	node_lose(&n, 3);
	cr_assert_eq(asked(0), 1);
	n.core->conf.peers[0].net.allow_remote_read = false;
	cr_assert_eq(asked(0), 0);
}

/* What a verify has found, or what failed there: not what was answered here. */
ReadTest(a_peer_is_not_asked_for_what_it_lacks)
{
	open_balanced(2, READ_PREFER_REMOTE);
	bitmap_set(n.core, n.vol, bitmap_slots_of(n.vol, UINT64_C(1) << 1), 80, 8);
	for (unsigned i = 0; i < 4; i++)
		cr_assert_eq(asked(80), 2);
	bitmap_set(n.core, n.vol, bitmap_slots_of(n.vol, UINT64_C(1) << 2), 80, 8);
	cr_assert_eq(asked(80), 0);
	cr_assert_gt(asked(88), 0);
}

ReadTest(the_disk_here_serves_what_a_peer_does_not)
{
	struct pkt ask;

	open_balanced(1, READ_PREFER_REMOTE);
	node_submit(&n, OP_READ, 1, 80, 4096);
	ask = *node_sent(&n, 1, P_DATA_REQUEST, 0);
	node_ack(&n, 1, P_NEG_DREPLY, &ask);
	cr_assert(node_act(&n, AC_DISK_READ, 0));
	node_submit(&n, OP_READ, 2, 80, 4096);
	node_lose(&n, 1);
	cr_assert(node_act(&n, AC_DISK_READ, 0));
}

/* ---- whole nodes ---- */

static enum read_balancing policy;

static void balanced(struct core_conf *conf)
{
	conf->volumes[0].disk.read_balancing = policy;
}

/* Written and read at random; a disk breaks and a link is cut under way: every read is right. */
Test(core_read, every_policy_reads_what_was_written)
{
	static const enum read_balancing policies[] = {
		READ_PREFER_LOCAL, READ_PREFER_REMOTE, READ_ROUND_ROBIN, READ_LEAST_PENDING,
		READ_WHEN_CONGESTED_REMOTE, READ_STRIPING_32K, READ_STRIPING_1M,
	};

	for (unsigned i = 0; i < 4 * ARRAY_LEN(policies); i++) {
		struct pair_opts opts = {
			.nodes = 3, .seed = i + 1, .diskless = i % 4 == 3, .tune = balanced,
			.protocol = (enum wire_protocol)(PROTOCOL_A + i % 3),
		};
		struct prng rng;
		struct pair *p;
		uint64_t model[64] = { 0 }, tags[8];

		policy = policies[i / 4];
		prng_seed(&rng, i);
		p = pair_new(&opts);
		pair_up_to_date(p);
		cr_assert_geq(pair_simple(p, 0, CMD_PRIMARY), 1, "%s", pair_text(p));
		for (unsigned op = 0; op < 200; op++) {
			uint64_t block = prng_below(&rng, 64);

			if (op == 80 && i % 4 != 3)
				pair_break_disk(p, i % 2);
			if (op == 140)
				pair_cut(p, 0, 2);
			if (op == 160)
				pair_heal(p, 0, 2);
			if (prng_chance(&rng, 1, 2)) {
				model[block] = 1000 + 8 * (UINT64_C(64) * op + block);
				cr_assert_eq(pair_write(p, 0, block * 16, 8, model[block]), 0);
				continue;
			}
			cr_assert_eq(pair_read(p, 0, block * 16, 8, tags), 0);
			for (unsigned s = 0; s < 8; s++)
				cr_assert_eq(tags[s], model[block] ? model[block] + s : 0,
					     "policy %d, operation %u", (int)policy, op);
		}
		pair_free(p);
	}
}

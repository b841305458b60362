/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Tests of the models themselves: queue, disk, metadata, network, oracle. No core takes part. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "meta/meta_super.h"
#include "sim.h"

static unsigned failed;

#define CHECK(cond)                                                                                \
	do {                                                                                       \
		if (!(cond)) {                                                                     \
			printf("%s:%d: %s\n", __func__, __LINE__, #cond);                          \
			failed++;                                                                  \
		}                                                                                  \
	} while (0)

static struct {
	struct core_event last[2];
	unsigned count[2];
	uint64_t order[64];
	unsigned order_count;
} seen;

static void tap(struct world *w, unsigned node, const struct core_event *ev)
{
	seen.last[node & 1] = *ev;
	seen.count[node & 1]++;
	if (ev->kind == EV_PKT && seen.order_count < ARRAY_LEN(seen.order))
		seen.order[seen.order_count++] = ev->u.pkt.pkt->u.block.sector;
	if (ev->kind == EV_PKT && ev->u.pkt.pkt->payload.id != 0)
		payload_core_put(w, node, ev->u.pkt.pkt->payload);
}

static void begin(struct world *w, uint64_t seed)
{
	world_reset(w, seed);
	sim_params_draw(&w->params, &w->rng);
	w->params.nodes = w->node_count = 2;
	w->params.device_sectors = 16384;
	w->params.discard_ok = true;
	w->tap = tap;
	memset(&seen, 0, sizeof(seen));
	oracle_reset(w);
	app_reset(w);
	for (unsigned i = 0; i < 2; i++) {
		node_init(w, i);
		w->nodes[i].up = true;
		w->nodes[i].attached = 1;
	}
}

static uint64_t order_of[200];
static unsigned order_count;

static void note(struct world *w, uint64_t a, uint64_t b)
{
	(void)w;
	(void)b;
	order_of[order_count++] = a;
}

static void test_queue(struct world *w)
{
	begin(w, 1);
	order_count = 0;
	for (unsigned i = 0; i < 200; i++) {
		uint64_t t = prng_below(&w->rng, 20);

		world_at(w, t, note, t << 32 | i, 0);
	}
	world_run_for(w, 100);
	CHECK(order_count == 200);
	for (unsigned i = 1; i < order_count; i++)
		CHECK(order_of[i - 1] < order_of[i]);
}

static void write_to(struct world *w, uint64_t sector, uint64_t tag, bool fua, bool wait)
{
	struct ac_disk ac = { .tag = tag, .sector = sector, .bytes = 1024, .fua = fua };
	uint64_t *tags;

	ac.payload = payload_new(w, 0, 1024);
	tags = payload_tags(w, ac.payload);
	tags[0] = tags[1] = tag;
	disk_submit(w, 0, DOP_WRITE, &ac);
	payload_core_put(w, 0, ac.payload);
	if (wait)
		world_run_for(w, NS_SEC);
}

static void flush_it(struct world *w)
{
	struct ac_disk ac = { .tag = 99 };

	disk_submit(w, 0, DOP_FLUSH, &ac);
}

static void test_disk_flush(struct world *w)
{
	struct disk *d = &w->nodes[0].disk;

	begin(w, 2);
	write_to(w, 8, 1, false, true);
	CHECK(seen.last[0].kind == EV_DISK_DONE && seen.last[0].u.done.tag == 1);
	CHECK(disk_peek(d, 8) == 1 && disk_block(d, 1)->durable[0] == 0);
	/* A flush covers what was done before it was asked for. */
	flush_it(w);
	write_to(w, 16, 2, false, true);
	CHECK(disk_block(d, 1)->durable[0] == 1);
	CHECK(disk_block(d, 2)->durable[0] == 0);
	write_to(w, 24, 3, true, true);
	CHECK(disk_block(d, 3)->durable[0] == 3);
	/* An older unflushed version must not come back over a FUA write. */
	write_to(w, 32, 4, false, true);
	write_to(w, 32, 5, true, true);
	disk_power_lost(w, 0, POWER_NONE_LOST);
	CHECK(disk_peek(d, 32) == 5 && disk_peek(d, 16) == 2);
}

static void test_disk_power(struct world *w)
{
	unsigned versions[4] = { 0 };

	for (unsigned i = 0; i < 200; i++) {
		struct disk *d = &w->nodes[0].disk;

		begin(w, 100 + i);
		write_to(w, 8, 1, false, true);
		flush_it(w);
		world_run_for(w, NS_SEC);
		write_to(w, 8, 2, false, true);
		write_to(w, 8, 3, false, true);
		CHECK(disk_peek(d, 8) == 3);
		disk_power_lost(w, 0, (enum power_mode)(i % POWER_MODES));
		CHECK(disk_peek(d, 8) >= 1 && disk_peek(d, 8) <= 3);
		if (i % POWER_MODES == POWER_ALL_LOST)
			CHECK(disk_peek(d, 8) == 1);
		if (i % POWER_MODES == POWER_NONE_LOST)
			CHECK(disk_peek(d, 8) == 3);
		versions[disk_peek(d, 8) & 3]++;
	}
	CHECK(versions[1] > 50 && versions[2] > 10 && versions[3] > 50);
}

static void test_disk_death(struct world *w)
{
	unsigned done = 0, torn = 0;

	for (unsigned i = 0; i < 200; i++) {
		struct disk *d = &w->nodes[0].disk;

		begin(w, 400 + i);
		write_to(w, 8, 1, false, true);
		write_to(w, 16, 2, false, false);
		disk_process_died(w, 0);
		w->nodes[0].up = false;
		world_run_for(w, NS_SEC);
		CHECK(disk_peek(d, 8) == 1);
		CHECK(seen.count[0] == 1);
		done += disk_peek(d, 17) == 2;
		torn += disk_peek(d, 16) == 2 && disk_peek(d, 17) == 0;
	}
	CHECK(done > 50 && torn > 5 && done + torn < 180);
}

static void test_disk_full(struct world *w)
{
	struct disk *d = &w->nodes[0].disk;

	begin(w, 7);
	write_to(w, 8, 1, false, true);
	d->full_until_ns = w->now_ns + 10 * NS_SEC;
	write_to(w, 8, 2, false, true);
	CHECK(seen.last[0].u.done.error == 0 && disk_peek(d, 8) == 2);
	write_to(w, 80, 3, false, true);
	CHECK(seen.last[0].u.done.error == -ENOSPC);
}

static void test_metadata(struct world *w)
{
	struct node *n = &w->nodes[0];
	struct md_super super, back;
	struct ac_meta ac = { .tag = 7, .super = &super };

	begin(w, 3);
	CHECK(disk_super(&n->disk, SIM_VNR, &super));
	CHECK(super.current_uuid == UUID_JUST_CREATED && super.max_peers == 1);
	n->bm[SIM_VNR].slot[0][0] = 0xff;
	md_submit(w, 0, AC_META_BITMAP, &(struct ac_meta){ .tag = 6, .page = 0 });
	world_run_for(w, NS_SEC);
	CHECK(seen.last[0].kind == EV_META_DONE && seen.last[0].u.done.tag == 6);
	CHECK(n->disk.md[SIM_VNR].dirty_count > 0);
	CHECK(n->disk.md[SIM_VNR].durable[n->disk.md[SIM_VNR].layout.bitmap_byte] == 0);
	super.current_uuid = 1234;
	md_submit(w, 0, AC_META_SUPER, &ac);
	world_run_for(w, NS_SEC);
	CHECK(n->disk.md[SIM_VNR].durable[n->disk.md[SIM_VNR].layout.bitmap_byte] == 0xff);
	disk_power_lost(w, 0, POWER_ALL_LOST);
	CHECK(disk_super(&n->disk, SIM_VNR, &back) && back.current_uuid == 1234);
}

static void send_sector(struct world *w, uint64_t sector)
{
	struct ac_send ac = { .peer = 1, .stream = STREAM_DATA };
	uint64_t *tags;

	ac.pkt.type = P_DATA;
	ac.pkt.vnr = 0;
	ac.pkt.u.block.sector = sector;
	ac.pkt.u.block.bytes = 4096;
	ac.pkt.payload = payload_new(w, 0, 4096);
	tags = payload_tags(w, ac.pkt.payload);
	for (unsigned i = 0; i < 8; i++)
		tags[i] = sector + i;
	simnet_send(w, 0, &ac);
	payload_core_put(w, 0, ac.pkt.payload);
}

static void connect_two(struct world *w)
{
	simnet_want(w, 0, 1);
	CHECK(seen.count[0] == 0);
	simnet_want(w, 1, 0);
	world_run_for(w, 10 * NS_SEC);
	CHECK(seen.last[0].kind == EV_STREAMS_UP && seen.last[1].kind == EV_STREAMS_UP);
	CHECK(seen.last[0].u.streams.resolve_conflicts != seen.last[1].u.streams.resolve_conflicts);
	for (unsigned i = 0; i < 2; i++)
		simnet_conn(w, 0, 1)->ctx[i] = (struct wire_ctx){ .apv = APV_MAX,
							       .features = FEATURES_OFFERED };
}

/* What comes for a disk that hangs, or for a process that is stopped, comes later, in its order. */
static void test_standstill(struct world *w)
{
	begin(w, 8);
	disk_hang(w, 0);
	write_to(w, 8, 1, false, true);
	CHECK(seen.count[0] == 0 && disk_peek(&w->nodes[0].disk, 8) == 0);
	disk_unhang(w, 0);
	world_run_for(w, 0);
	CHECK(seen.count[0] == 1 && disk_peek(&w->nodes[0].disk, 8) == 1);
	begin(w, 10);
	connect_two(w);
	node_pause(w, 1);
	for (unsigned i = 0; i < 20; i++)
		send_sector(w, i * 8);
	world_run_for(w, 10 * NS_SEC);
	CHECK(seen.order_count == 0 && seen.last[1].kind == EV_STREAMS_UP);
	node_unpause(w, 1);
	world_run_for(w, NS_SEC);
	CHECK(seen.order_count == 20);
	for (unsigned i = 0; i < seen.order_count; i++)
		CHECK(seen.order[i] == i * 8);
}

static void test_accept_only(struct world *w)
{
	begin(w, 9);
	simnet_accept_only(w, 0, 1);
	simnet_want(w, 0, 1);
	simnet_want(w, 1, 0);
	world_run_for(w, 10 * NS_SEC);
	CHECK(seen.last[0].kind == EV_STREAMS_UP && seen.count[1] == 0);
	simnet_close(w, 0, 1);
	simnet_want(w, 0, 1);
	world_run_for(w, 10 * NS_SEC);
	CHECK(seen.count[1] == 1 && seen.last[1].kind == EV_STREAMS_UP);
}

static void test_net_order(struct world *w)
{
	begin(w, 4);
	connect_two(w);
	simnet_link(w, 0, 1, false);
	for (unsigned i = 0; i < 40; i++)
		send_sector(w, i * 8);
	world_run_for(w, 10 * NS_SEC);
	CHECK(seen.order_count == 0);
	CHECK(!simnet_quiet(w));
	simnet_link(w, 0, 1, true);
	world_run_for(w, 10 * NS_SEC);
	CHECK(seen.order_count == 40);
	for (unsigned i = 0; i < seen.order_count; i++)
		CHECK(seen.order[i] == i * 8);
	CHECK(simnet_quiet(w));
	simnet_close(w, 0, 1);
	world_run_for(w, 10 * NS_SEC);
	CHECK(seen.last[1].kind == EV_STREAMS_DOWN);
	CHECK(payload_core_held(w, 0) == 0 && payload_core_held(w, 1) == 0);
}

static void test_net_cut(struct world *w)
{
	unsigned some = 0;

	for (unsigned n = 0; n < 50; n++) {
		begin(w, 700 + n);
		connect_two(w);
		for (unsigned i = 0; i < 20; i++)
			send_sector(w, i * 8);
		simnet_cut(w, 0, 1, false);
		world_run_for(w, 10 * NS_SEC);
		CHECK(seen.last[0].kind == EV_STREAMS_DOWN && seen.last[1].kind == EV_STREAMS_DOWN);
		for (unsigned i = 0; i < seen.order_count; i++)
			CHECK(seen.order[i] == i * 8);
		some += seen.order_count > 0 && seen.order_count < 20;
	}
	CHECK(some > 20);
}

/* Whatever comes before the packet that is waited for arrives; the next one of its type is free. */
static void test_trap(struct world *w)
{
	begin(w, 11);
	connect_two(w);
	trap_set(w, P_DATA, PACKET_DELAYED, 10 * NS_SEC);
	trap_set(w, P_PING, PACKET_LOST, 0);
	send_sector(w, 8);
	world_run_for(w, 9 * NS_SEC);
	CHECK(seen.order_count == 0 && !simnet_quiet(w));
	world_run_for(w, 2 * NS_SEC);
	CHECK(seen.order_count == 1 && seen.last[1].kind == EV_PKT);
	for (unsigned i = 0; i < 2; i++) {
		begin(w, 12 + i);
		connect_two(w);
		send_sector(w, 0);
		world_run_for(w, NS_SEC);
		trap_set(w, P_DATA, i ? PACKET_CUT : PACKET_LOST, 0);
		send_sector(w, 8);
		send_sector(w, 16);
		world_run_for(w, NS_SEC);
		CHECK(seen.order_count == 1 && w->traps.set == 0);
		CHECK(seen.last[0].kind == EV_STREAMS_DOWN && seen.last[1].kind == EV_STREAMS_DOWN);
	}
}

static void test_oracle(struct world *w)
{
	unsigned a, b, c;

	begin(w, 5);
	CHECK(oracle_legal(w, 8, 0, 0) && !oracle_legal(w, 8, 1, 0));
	a = oracle_issue(w, 8, 8, false);
	CHECK(oracle_legal(w, 8, 0, w->oracle.clock));
	CHECK(oracle_legal(w, 8, oracle_value(w, a, 8), w->oracle.clock));
	oracle_ack(w, a);
	CHECK(!oracle_legal(w, 8, 0, w->oracle.clock));
	/* Two at once: either may win, whichever is answered first. */
	b = oracle_issue(w, 8, 1, false);
	c = oracle_issue(w, 8, 1, true);
	oracle_ack(w, b);
	oracle_ack(w, c);
	CHECK(oracle_legal(w, 8, oracle_value(w, b, 8), w->oracle.clock));
	CHECK(oracle_legal(w, 8, 0, w->oracle.clock));
	CHECK(!oracle_legal(w, 8, oracle_value(w, a, 8), w->oracle.clock));
	CHECK(!oracle_legal(w, 9, 0, w->oracle.clock));
	/* Acknowledged but not flushed: gone after a power loss of all. */
	oracle_durable(w, SIM_VNR, w->oracle.ops[b].issue, 0);
	oracle_relax(w, SIM_VNR);
	CHECK(oracle_legal(w, 8, oracle_value(w, a, 8), w->oracle.clock));
	CHECK(!oracle_legal(w, 9, 0, w->oracle.clock));
	/* Under way when the caches were lost: its answer
	 * promises nothing, that of the next one does. */
	b = oracle_issue(w, 10, 1, false);
	oracle_relax(w, SIM_VNR);
	oracle_ack(w, b);
	CHECK(oracle_legal(w, 10, oracle_value(w, a, 10), w->oracle.clock));
	c = oracle_issue(w, 10, 1, false);
	oracle_ack(w, c);
	CHECK(!oracle_legal(w, 10, oracle_value(w, a, 10), w->oracle.clock));
}

static void test_lists(struct world *w)
{
	struct sim_list l;
	char text[32] = "";
	FILE *f = fmemopen(text, sizeof(text), "w");

	begin(w, 6);
	CHECK(sim_list_parse("3,7-9,1024", &l) && sim_list_kept(&l, SIM_OPS_MAX) == 5);
	CHECK(l.out[1] && !l.out[2] && l.out[3] && !l.out[8] && l.out[9]);
	ASSERT(f);
	sim_list_print(f, &l, 12);
	fclose(f);
	CHECK(strcmp(text, "3,7-9") == 0);
	CHECK(sim_list_parse("none", &l) && sim_list_kept(&l, SIM_OPS_MAX) == 0);
	CHECK(!sim_list_parse("", &l) && !sim_list_parse("0", &l) && !sim_list_parse("3-1", &l));
	CHECK(!sim_list_parse("1025", &l) && !sim_list_parse("1;2", &l));
}

/* Node 1 lags behind a Primary of protocol A. */
static void test_oracle_async(struct world *w)
{
	struct disk_block *block;
	unsigned a, b;

	begin(w, 6);
	sim_params_protocol(&w->params, PROTOCOL_A);
	a = oracle_issue(w, 8, 1, false);
	w->oracle.ops[a].node = 0;
	oracle_ack(w, a);
	b = oracle_issue(w, 16, 1, false);
	w->oracle.ops[b].node = 0;
	oracle_ack(w, b);
	CHECK(oracle_check_node(w, 1) != SIM_NEVER);
	CHECK(oracle_check_claim(w, 1, 1, true) == SIM_NEVER);
	/* The later one without the earlier one. */
	block = disk_block(&w->nodes[1].disk, 2);
	block->now[0] = oracle_value(w, b, 16);
	CHECK(oracle_check_claim(w, 1, 1, true) == 8);
	disk_block(&w->nodes[1].disk, 1)->now[0] = oracle_value(w, a, 8);
	block->now[0] = 0;
	CHECK(oracle_check_claim(w, 1, 1, true) == SIM_NEVER);
	/* Stable on the peer. */
	w->oracle.stable[1] = w->oracle.clock;
	CHECK(oracle_check_claim(w, 1, 1, true) == SIM_NEVER);
	w->oracle.stable[1] = ++w->oracle.clock;
	CHECK(oracle_check_claim(w, 1, 1, true) == 16);
	w->oracle.stable[1] = 0;
	/* It arrived by protocol B. */
	sim_params_protocol(&w->params, PROTOCOL_B);
	CHECK(oracle_check_claim(w, 1, 1, true) == 16);
	CHECK(oracle_check_claim(w, 1, 1, false) == SIM_NEVER);
	oracle_goes_on(w, 1, 1);
	CHECK(oracle_check_node(w, 1) == SIM_NEVER);
	CHECK(oracle_check_claim(w, 1, 1, true) == SIM_NEVER);
	oracle_durable(w, SIM_VNR, ++w->oracle.clock, 0);
	CHECK(oracle_check_node(w, 1) == SIM_NEVER);
}

/* What a node has that is promoted by force is what counts, and what it lacks never shows again. */
static void test_oracle_forced(struct world *w)
{
	struct disk_block *mine, *its;
	unsigned a, b;

	begin(w, 6);
	a = oracle_issue(w, 8, 1, false);
	oracle_ack(w, a);
	oracle_op_durable(w, a);
	b = oracle_issue(w, 8, 1, false);
	oracle_ack(w, b);
	oracle_op_durable(w, b);
	its = disk_block(&w->nodes[0].disk, 1);
	its->now[0] = its->durable[0] = oracle_value(w, b, 8);
	mine = disk_block(&w->nodes[1].disk, 1);
	mine->now[0] = oracle_value(w, a, 8);
	CHECK(oracle_check_node(w, 0) == SIM_NEVER);
	CHECK(oracle_check_node(w, 1) == 8);
	oracle_forced(w, 1);
	CHECK(oracle_check_node(w, 0) == 8);
	CHECK(oracle_check_node(w, 1) == SIM_NEVER);
	/* It was not flushed there, and what was is seen again. */
	oracle_relax(w, SIM_VNR);
	mine->now[0] = 0;
	CHECK(oracle_check_node(w, 1) == SIM_NEVER);
	CHECK(oracle_check_node(w, 0) == 8);
}

unsigned sim_self_test(struct world *w)
{
	if (setjmp(w->fail_jmp) != 0) {
		printf("a model failed: %s\n", w->why);
		return failed + 1;
	}
	test_queue(w);
	test_disk_flush(w);
	test_disk_power(w);
	test_disk_death(w);
	test_disk_full(w);
	test_metadata(w);
	test_standstill(w);
	test_accept_only(w);
	test_net_order(w);
	test_net_cut(w);
	test_trap(w);
	test_oracle(w);
	test_lists(w);
	test_oracle_async(w);
	test_oracle_forced(w);
	return failed;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Packets through real sockets: payload by reference,
 * order, back-pressure, garbage, orderly ends. */
#include <criterion/criterion.h>
#include <string.h>

#include "../lib/net_world.h"

static struct world w;

static void fill(struct buf *buf, uint32_t bytes, uint8_t seed)
{
	for (uint32_t i = 0; i < bytes; i++)
		buf->data[i] = (uint8_t)(i * 7 + i / 251 + seed);
}

static void send_data(struct world_end *end, uint64_t sector, uint32_t bytes, uint8_t seed)
{
	struct buf *buf = buf_get(end->world->pools[end->node], BUF_APP, bytes);
	struct pkt pkt = { .type = P_DATA, .vnr = 0 };

	cr_assert(buf);
	fill(buf, bytes, seed);
	pkt.payload = (struct payload){ .id = buf->id, .bytes = bytes };
	pkt.u.block.sector = sector;
	pkt.u.block.block_id = seed;
	pkt.u.block.bytes = bytes;
	pkt.u.block.dp_flags = DP_SEND_WRITE_ACK;
	net_conn_send(end->conn, STREAM_DATA, &pkt);
	buf_put(buf);
}

static void check_data(struct world_end *end, unsigned i, uint64_t sector, uint32_t bytes,
		       uint8_t seed)
{
	struct pkt *pkt = &end->packets[i];
	struct buf *buf = buf_by_id(end->world->pools[end->node], pkt->payload.id);

	cr_assert_eq(pkt->type, P_DATA);
	cr_assert_eq(end->streams[i], STREAM_DATA);
	cr_assert_eq(pkt->u.block.sector, sector);
	cr_assert_eq(pkt->payload.bytes, bytes);
	cr_assert_eq((uintptr_t)buf->data % 4096, 0);
	for (uint32_t k = 0; k < bytes; k++)
		cr_assert_eq(buf->data[k], (uint8_t)(k * 7 + k / 251 + seed), "byte %u", k);
}

struct count {
	struct world_end *end;
	unsigned packets;
};

static bool has_packets(void *ctx)
{
	const struct count *c = ctx;

	return c->end->packet_count >= c->packets;
}

/* test_net_packets_tls.c runs all of this once more. */
static void open_world(uint64_t budget)
{
	world_open(&w, 2, budget);
#ifdef TEST_TLS
	world_use_tls(&w);
#endif
	world_link(&w, 0, 1);
}

static void open_pair(uint64_t budget)
{
	open_world(budget);
	cr_assert(world_connect(&w, 0, 1));
	cr_assert(world_agree(&w, 0, 1));
	w.ends[0][1].packet_count = w.ends[1][0].packet_count = 0;
}

Test(net_packets, sizes_and_order)
{
	static const uint32_t sizes[] = { 512, 4096, 512, 65536, 1 << 20, 4096, 131072 + 512, 512 };
	struct count c = { &w.ends[1][0], 8 };

	open_pair(16 << 20);
	for (unsigned i = 0; i < 8; i++)
		send_data(&w.ends[0][1], i * 4096, sizes[i], (uint8_t)(i + 1));
	cr_assert(world_run(&w, has_packets, &c));
	for (unsigned i = 0; i < 8; i++)
		check_data(c.end, i, i * 4096, sizes[i], (uint8_t)(i + 1));
	/* The sender holds nothing back. */
	cr_assert_eq(buf_pool_used_count(w.pools[0]), 0);
	world_close(&w);
}

/* Every byte that was queued is reported as sent, once. */
Test(net_packets, tx_done)
{
	struct count c = { &w.ends[1][0], 3 };
	uint64_t before;

	open_pair(16 << 20);
	before = w.ends[0][1].tx_bytes[STREAM_DATA];
	for (unsigned i = 0; i < 3; i++)
		send_data(&w.ends[0][1], 0, 4096, 1);
	cr_assert(world_run(&w, has_packets, &c));
	/* header100, the fixed part of P_DATA, payload. */
	cr_assert_eq(w.ends[0][1].tx_bytes[STREAM_DATA] - before, 3 * (16 + 24 + 4096));
	world_close(&w);
}

static bool starved(void *ctx)
{
	(void)ctx;
	return w.ends[1][0].packet_count == 2 && !net_has_output(w.nets[0]);
}

/* Without a buffer the stream waits, the other stream goes on, and nothing is lost. */
Test(net_packets, waits_for_buffers)
{
	struct count c = { &w.ends[1][0], 7 };
	struct pkt ping = { .type = P_PING, .vnr = VNR_NONE };

	open_pair(2 * 4096);
	for (unsigned i = 0; i < 6; i++)
		send_data(&w.ends[0][1], i * 8, 4096, (uint8_t)i);
	cr_assert(world_run(&w, starved, NULL));
	world_idle(&w, 20);
	cr_assert_eq(c.end->packet_count, 2);
	net_conn_send(w.ends[0][1].conn, STREAM_CONTROL, &ping);
	world_idle(&w, 20);
	cr_assert_eq(c.end->packet_count, 3);
	cr_assert_eq(c.end->packets[2].type, P_PING);
	for (unsigned got = 0; got < 6; got++) {
		unsigned i = got < 2 ? got : got + 1;
		struct count more = { c.end, i + 1 };

		cr_assert(world_run(&w, has_packets, &more));
		check_data(c.end, i, got * 8, 4096, (uint8_t)got);
		buf_put(buf_by_id(w.pools[1], c.end->packets[i].payload.id));
		c.end->packets[i].payload.id = 0;
	}
	cr_assert(world_run(&w, has_packets, &c));
	world_close(&w);
}

static void ping_makes_room(struct world_end *end, const struct pkt *pkt)
{
	if (pkt->type == P_PING)
		end->full = false;
}

/* While the receiver has no room for a write, what came before is delivered, and nothing behind. */
Test(net_packets, waits_for_room)
{
	struct count c = { &w.ends[1][0], 1 };
	struct pkt barrier = { .type = P_BARRIER, .vnr = VNR_NONE };
	struct pkt ping = { .type = P_PING, .vnr = VNR_NONE };

	open_pair(16 << 20);
	c.end->full = true;
	net_conn_send(w.ends[0][1].conn, STREAM_DATA, &barrier);
	send_data(&w.ends[0][1], 8, 4096, 1);
	net_conn_send(w.ends[0][1].conn, STREAM_DATA, &barrier);
	send_data(&w.ends[0][1], 16, 1 << 20, 2);
	cr_assert(world_run(&w, has_packets, &c));
	world_idle(&w, 20);
	cr_assert_eq(c.end->packet_count, 1);
	cr_assert_eq(buf_pool_used_count(w.pools[1]), 0);
	c.end->on_packet = ping_makes_room;
	net_conn_send(w.ends[0][1].conn, STREAM_CONTROL, &ping);
	c.packets = 5;
	cr_assert(world_run(&w, has_packets, &c));
	check_data(c.end, 2, 8, 4096, 1);
	cr_assert_eq(c.end->packets[3].type, P_BARRIER);
	check_data(c.end, 4, 16, 1 << 20, 2);
	world_close(&w);
}

static bool is_congested(void *ctx)
{
	return net_conn_congested(((struct world_end *)ctx)->conn);
}

/* A peer that reads nothing: what the sockets do not take is congestion, until the peer reads. */
Test(net_packets, congestion)
{
	struct count c = { &w.ends[1][0], 0 };
	struct world_end *from = &w.ends[0][1];

	open_pair(2 << 20);
	cr_assert_not(is_congested(from));
	while (!is_congested(from)) {
		cr_assert_lt(c.packets, WORLD_PACKETS_MAX);
		send_data(from, 0, 1 << 20, 1);
		c.packets++;
		world_idle(&w, 1);
	}
	for (unsigned i = 0; i < c.packets; i++) {
		struct count more = { c.end, i + 1 };

		cr_assert(world_run(&w, has_packets, &more));
		buf_put(buf_by_id(w.pools[1], c.end->packets[i].payload.id));
		c.end->packets[i].payload.id = 0;
	}
	cr_assert_not(is_congested(from));
	world_close(&w);
}

static void announce_digest(struct world_end *end, const char *alg)
{
	struct pkt pkt = { .type = P_PROTOCOL, .vnr = VNR_NONE };

	pkt.u.protocol.protocol = PROTOCOL_C;
	strcpy(pkt.u.protocol.integrity_alg, alg);
	net_conn_send(end->conn, STREAM_DATA, &pkt);
}

/* data-integrity-alg: a digest before each payload of who announced one. */
Test(net_packets, digests)
{
	static const struct {
		const char *alg;
		uint32_t bytes;
	} algs[] = { { "crc32c", 4 }, { "md5", 16 }, { "sha1", 20 }, { "sha512", 64 } };

	for (unsigned k = 0; k < 4; k++) {
		struct world_end *from = &w.ends[0][1];
		struct count there = { &w.ends[1][0], 4 }, back = { from, 1 };
		uint64_t before;

		open_pair(16 << 20);
		announce_digest(from, algs[k].alg);
		before = from->tx_bytes[STREAM_DATA];
		for (unsigned i = 1; i <= 3; i++)
			send_data(from, i * 8, 4096 * i, (uint8_t)i);
		cr_assert(world_run(&w, has_packets, &there), "%s", from->reason);
		for (unsigned i = 1; i <= 3; i++)
			check_data(there.end, i, i * 8, 4096 * i, (uint8_t)i);
		cr_assert_eq(from->tx_bytes[STREAM_DATA] - before,
			     16 + 24 + strlen(algs[k].alg) + 1 +
				     3 * (16 + 24 + algs[k].bytes) + 6 * 4096);
		/* The other direction has none. */
		send_data(there.end, 0, 512, 9);
		cr_assert(world_run(&w, has_packets, &back));
		check_data(from, 0, 0, 512, 9);
		world_close(&w);
	}
}

static bool is_down(void *ctx)
{
	return ((struct world_end *)ctx)->down_count > 0;
}

/* A packet of the data stream on the control stream ends the connection and says why. */
Test(net_packets, wrong_stream)
{
	struct pkt barrier = { .type = P_BARRIER, .vnr = VNR_NONE };

	open_pair(1 << 20);
	net_conn_send(w.ends[0][1].conn, STREAM_CONTROL, &barrier);
	cr_assert(world_run(&w, is_down, &w.ends[1][0]));
	cr_assert(strstr(w.ends[1][0].reason, "control stream"), "%s", w.ends[1][0].reason);
	cr_assert(strstr(w.ends[1][0].reason, "BARRIER"), "%s", w.ends[1][0].reason);
	world_close(&w);
}

/* What changed after its digest was taken is not delivered. */
Test(net_packets, damaged_payload)
{
	struct buf *buf;
	struct pkt pkt = { .type = P_DATA, .vnr = 0 };

	open_pair(1 << 20);
	announce_digest(&w.ends[0][1], "crc32c");
	buf = buf_get(w.pools[0], BUF_APP, 4096);
	cr_assert(buf);
	fill(buf, 4096, 1);
	pkt.payload = (struct payload){ .id = buf->id, .bytes = 4096 };
	pkt.u.block.bytes = 4096;
	pkt.u.block.sector = 77;
	net_conn_send(w.ends[0][1].conn, STREAM_DATA, &pkt);
	buf->data[4095] ^= 1;
	buf_put(buf);
	cr_assert(world_run(&w, is_down, &w.ends[1][0]));
	cr_assert(strstr(w.ends[1][0].reason, "sector 77"), "%s", w.ends[1][0].reason);
	cr_assert_eq(w.ends[1][0].packet_count, 1);
	cr_assert_eq(buf_pool_used_count(w.pools[1]), 0);
	world_close(&w);
}

/* A peer may announce what this library does not have. */
Test(net_packets, unknown_digest)
{
	struct pkt pkt = { .type = P_PROTOCOL, .vnr = VNR_NONE };

	open_pair(1 << 20);
	strcpy(pkt.u.protocol.integrity_alg, "crc31");
	/* Only the receiving end looks at the name of an update. */
	pkt.type = P_PROTOCOL_UPDATE;
	net_conn_send(w.ends[0][1].conn, STREAM_DATA, &pkt);
	cr_assert(world_run(&w, is_down, &w.ends[1][0]));
	cr_assert(strstr(w.ends[1][0].reason, "crc31"), "%s", w.ends[1][0].reason);
	world_close(&w);
}

/* Before the versions are agreed on, no other packet is accepted on the data stream. */
Test(net_packets, before_features)
{
	struct pkt protocol = { .type = P_DATA, .vnr = 0 };
	struct buf *buf;

	open_world(1 << 20);
	cr_assert(world_connect(&w, 0, 1));
	buf = buf_get(w.pools[0], BUF_APP, 512);
	memset(buf->data, 0, 512);
	protocol.payload = (struct payload){ .id = buf->id, .bytes = 512 };
	protocol.u.block.bytes = 512;
	/* It cannot even be encoded: the sending end drops the connection. */
	net_conn_send(w.ends[0][1].conn, STREAM_DATA, &protocol);
	buf_put(buf);
	cr_assert(world_run(&w, is_down, &w.ends[0][1]));
	cr_assert(world_run(&w, is_down, &w.ends[1][0]));
	cr_assert_eq(w.ends[1][0].packet_count, 0);
	world_close(&w);
}

/* What was queued before a disconnect still arrives, then the end of the stream. */
Test(net_packets, disconnect_sends_the_rest)
{
	struct count c = { &w.ends[1][0], 4 };

	open_pair(16 << 20);
	for (unsigned i = 0; i < 4; i++)
		send_data(&w.ends[0][1], i * 4096, 1 << 20, (uint8_t)i);
	net_conn_disconnect(w.ends[0][1].conn);
	cr_assert(world_run(&w, has_packets, &c));
	for (unsigned i = 0; i < 4; i++)
		check_data(c.end, i, i * 4096, 1 << 20, (uint8_t)i);
	cr_assert(world_run(&w, is_down, c.end));
	world_close(&w);
}

static void disconnect_inside(struct world_end *end, const struct pkt *pkt)
{
	(void)pkt;
	net_conn_disconnect(end->conn);
}

/* The core may close a connection while a packet of it is being delivered. */
Test(net_packets, disconnect_while_receiving)
{
	struct count c = { &w.ends[1][0], 1 };

	open_pair(16 << 20);
	c.end->on_packet = disconnect_inside;
	for (unsigned i = 0; i < 5; i++)
		send_data(&w.ends[0][1], i * 8, 4096, (uint8_t)i);
	cr_assert(world_run(&w, has_packets, &c));
	cr_assert(world_run(&w, is_down, &w.ends[0][1]));
	cr_assert_eq(c.end->packet_count, 1);
	cr_assert_eq(c.end->down_count, 0);
	c.end->on_packet = NULL;
	cr_assert(world_connect(&w, 0, 1));
	world_close(&w);
}

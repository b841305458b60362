/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whole sessions of our node with one to three peers over socket pairs: a valid handshake, then
 * what the input says, then the same node must still be able to connect and to shut down.
 * Input: CONF_BYTES of configuration (parse_conf()), then operations (enum op). With
 * SESSION_VERBOSE in the environment packets and the core's log are shown.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "session.h"
#include "session_input.h"

#define RUN_ROUNDS_MAX 2000U
#define OPS_MAX 100U
#define CONNECT_SOON_MS 5000U
#define CONNECT_MS_MAX 120000U

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);
const char *__asan_default_options(void);

/* Sessions allocate a lot: a long memory of what was freed, and by whom, costs most of the time. */
const char *__asan_default_options(void)
{
	return "quarantine_size_mb=4:malloc_context_size=8";
}

static void show(const char *expr, const char *file, int line)
{
	fprintf(stderr, "%s:%d: assertion failed: %s\n", file, line, expr);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	assert_hook = show;
	return 0;
}

void session_run(struct session *s)
{
	for (unsigned round = 0; round < RUN_ROUNDS_MAX; round++) {
		bool moved = false;

		for (unsigned i = 0; i < s->conf.peer_count; i++)
			moved |= script_flush(s, &s->script[i]);
		moved |= node_turn(s);
		for (unsigned i = 0; i < s->conf.peer_count; i++) {
			script_connect(s, &s->script[i]);
			moved |= script_run(s, &s->script[i]);
		}
		if (!moved)
			return;
	}
}

static void parse_conf(struct session_conf *c, const uint8_t p[static CONF_BYTES])
{
	static const uint8_t versions[] = { 124, 123, 122, 121, 120, 119, 118, APV_8_4 };
	static const uint8_t counts[] = { 1, 2, 3, 1, 1, 1, 2, 1 };
	static const uint8_t disks[] = { DISK_UP_TO_DATE, DISK_CONSISTENT, DISK_OUTDATED,
					 DISK_INCONSISTENT, DISK_DISKLESS, DISK_NEGOTIATING };

	*c = (struct session_conf){
		.peer_count = counts[p[0] & 7],
		.own_id_last = p[0] & 0x10,
		.auth = p[0] & 0x20,
		.integrity = p[0] & 0x40,
		.checksums = p[2] & 0x10,
		.primary = p[1] & 0x10,
		.peer_primary = p[1] & 0x20,
		.diskless = (p[1] & 0xc0) == 0xc0,
		.protocol = (enum wire_protocol)(PROTOCOL_C - (p[1] & 0xf) % 3),
		.apv = versions[p[2] % 8],
		.features = FEATURES_OFFERED & ~(uint32_t)(p[3] << 1),
		.peer_disk = disks[p[4] % 6],
		.sockets = p[CONF_CARRIER] >= CARRIER_BITS,
		.bitmap_plain = p[CONF_CARRIER] & 0x08,
		.bitmap_later = p[CONF_CARRIER] & 0x10,
		.seed = p[7],
	};
	if (c->apv == 121)
		c->features &= ~FEATURE_RESYNC_DAGTAG;
	for (unsigned i = 0; i < PEERS_MAX; i++)
		c->relation[i] = (uint8_t)((i ? p[6] >> 4 * (i - 1) & 0xf : p[5]) % REL_COUNT);
}

static void begin(struct session *s)
{
	node_command(s, CMD_ATTACH, 0, false);
	session_run(s);
	for (unsigned i = 0; i < s->conf.peer_count; i++)
		node_command(s, CMD_CONNECT, s->script[i].id, false);
	session_run(s);
	if (s->conf.primary)
		node_command(s, CMD_PRIMARY, 0, s->conf.seed & 2);
	session_run(s);
}

/* ---- operations ---- */

static void arm_tamper(struct script *sc, struct rd *r)
{
	struct tamper t = { .armed = true };
	const uint8_t *bytes;

	t.skip = rd_u8(r);
	t.kind = rd_u8(r) % TAMPER_COUNT;
	t.at = rd_be16(r);
	t.count = rd_u8(r);
	bytes = rd_take(r, sizeof(t.bytes));
	if (!bytes)
		return;
	memcpy(t.bytes, bytes, sizeof(t.bytes));
	for (unsigned i = 0; i < TAMPERS_MAX; i++) {
		if (!sc->tamper[i].armed) {
			sc->tamper[i] = t;
			return;
		}
	}
}

static void send_raw(struct session *s, struct script *sc, enum stream stream, struct rd *r)
{
	size_t n = rd_be16(r);
	const uint8_t *p;

	n = n < r->left ? n : r->left;
	p = rd_take(r, n);
	if (p)
		script_write(s, sc, stream, p, n);
}

static void send_packet(struct session *s, struct script *sc, enum stream stream, struct rd *r)
{
	struct packet_choice ch = { .type = rd_u8(r) };

	ch.a = rd_u8(r);
	ch.b = rd_u8(r);
	ch.c = rd_u8(r);
	ch.d = rd_be16(r);
	script_send_choice(s, sc, stream, &ch);
}

static void submit(struct session *s, struct rd *r)
{
	enum request_op op = (enum request_op)(rd_u8(r) % (OP_FLUSH + 1));
	uint16_t block = rd_be16(r);
	uint8_t blocks = rd_u8(r);

	node_submit(s, op, (uint64_t)block * BM_BLOCK_SECTORS, (1U + blocks % 16) * BM_BLOCK_BYTES);
}

static void command(struct session *s, const struct script *sc, struct rd *r)
{
	static const uint8_t allowed[] = { CMD_ATTACH,	   CMD_DETACH,	   CMD_CONNECT,
					   CMD_DISCONNECT, CMD_PRIMARY,	   CMD_SECONDARY,
					   CMD_INVALIDATE, CMD_INVALIDATE_REMOTE,
					   CMD_NEW_CURRENT_UUID, CMD_VERIFY };
	uint8_t which = rd_u8(r);
	uint8_t flag = rd_u8(r);

	node_command(s, (enum core_command)allowed[which % sizeof(allowed)], sc->id, flag & 1);
}

static void close_streams(struct session *s, struct script *sc, struct rd *r)
{
	uint8_t how = rd_u8(r);

	if (how & 1)
		script_end_stream(s, sc, how & 2 ? STREAM_CONTROL : STREAM_DATA);
	else
		script_close(s, sc);
}

static void trouble_disk(struct session_node *n, struct rd *r)
{
	uint8_t what = rd_u8(r);

	if (what & 0x80)
		n->fail_count = what & 0x0f;
	else
		n->hold_disk = what & 1;
}

static void run_op(struct session *s, uint8_t byte, struct rd *r)
{
	struct script *sc = &s->script[(byte >> 4 & 3) % s->conf.peer_count];
	enum stream stream = byte & 0x40 ? STREAM_CONTROL : STREAM_DATA;

	switch ((enum op)(byte & 0x0f)) {
	case OP_RAW:
		send_raw(s, sc, stream, r);
		break;
	case OP_PACKET:
	case OP_PACKET_TOO:
		send_packet(s, sc, stream, r);
		break;
	case OP_TIME:
		node_pass_ms(s, UINT64_C(1) << rd_u8(r) % 14);
		break;
	case OP_SUBMIT:
		submit(s, r);
		break;
	case OP_COMMAND:
		command(s, sc, r);
		break;
	case OP_CLOSE:
		close_streams(s, sc, r);
		break;
	case OP_TAMPER:
		arm_tamper(sc, r);
		break;
	case OP_SILENT:
		sc->silent = !sc->silent;
		break;
	case OP_DISK:
		trouble_disk(&s->node, r);
		break;
	}
	if (!(byte & 0x80))
		session_run(s);
}

/* What is to happen to the handshake comes first. */
static void run_tampers(struct session *s, struct rd *r)
{
	while (!r->failed && r->left && (*r->p & 0x0f) == OP_TAMPER) {
		uint8_t byte = rd_u8(r);

		arm_tamper(&s->script[(byte >> 4 & 3) % s->conf.peer_count], r);
	}
}

/* ---- after it ---- */

static bool all_connected(const struct session *s)
{
	for (unsigned i = 0; i < s->conf.peer_count; i++) {
		if (node_conn_state(s, s->script[i].id) != CONN_CONNECTED)
			return false;
	}
	return true;
}

static void make_healthy(struct session *s, struct script *sc)
{
	script_close(s, sc);
	sc->healthy = true;
	session_run(s);
	node_command(s, CMD_CONNECT, sc->id, false);
}

static bool wait_connected(struct session *s, unsigned limit_ms)
{
	for (unsigned ms = 0; !all_connected(s) && ms < limit_ms; ms += 250)
		node_pass_ms(s, 250);
	return all_connected(s);
}

/* Peers that do everything right, and have no data to disagree about: first those that are lost. */
static void connect_again(struct session *s)
{
	s->node.hold_disk = false;
	s->node.fail_count = 0;
	s->conf.features = FEATURES_OFFERED;
	if (s->conf.apv == 121)
		s->conf.features &= ~FEATURE_RESYNC_DAGTAG;
	/* 8.4 is for two nodes. */
	if (s->conf.apv == APV_8_4 && s->conf.peer_count > 1)
		s->conf.apv = APV_MAX;
	session_run(s);
	for (unsigned i = 0; i < s->conf.peer_count; i++) {
		if (node_conn_state(s, s->script[i].id) != CONN_CONNECTED || s->script[i].silent)
			make_healthy(s, &s->script[i]);
	}
	session_run(s);
	if (wait_connected(s, CONNECT_SOON_MS))
		return;
	for (unsigned i = 0; i < s->conf.peer_count; i++)
		make_healthy(s, &s->script[i]);
	ASSERT(wait_connected(s, CONNECT_MS_MAX));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct session s;
	struct rd r = rd_init(data, size);
	const uint8_t *conf = rd_take(&r, CONF_BYTES);

	if (!conf)
		return 0;
	memset(&s.node, 0, sizeof(s.node));
	s.verbose = getenv("SESSION_VERBOSE") != NULL;
	parse_conf(&s.conf, conf);
	for (unsigned i = 0; i < s.conf.peer_count; i++)
		script_init(&s, i);
	node_open(&s);
	run_tampers(&s, &r);
	begin(&s);
	for (unsigned i = 0; r.left && i < OPS_MAX; i++) {
		uint8_t byte = rd_u8(&r);

		run_op(&s, byte, &r);
	}
	disk_check(&s);
	connect_again(&s);
	node_close(&s);
	for (unsigned i = 0; i < s.conf.peer_count; i++)
		script_close(&s, &s.script[i]);
	ASSERT(pipe_open_count() == 0);
	return 0;
}

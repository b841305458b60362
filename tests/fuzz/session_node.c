/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Our node in a session: the core on the real net, events in, actions out, and what must hold. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/log.h"
#include "core/core_int.h"
#include "session.h"

#define STEP_ACTIONS_MAX 20000U    /* more than the loss of a connection needs */
#define SESSION_ACTIONS_MAX 400000U
#define TX_BYTES_MAX (64U << 20)
#define PEER_BUDGET_BYTES (8U << 20)
#define CORE_BYTES_MAX (16U << 20)
#define SHUTDOWN_MS_MAX 120000U
#define STALE_TIMERS_MAX 10000U
#define STREAMS_MAX 64U           /* in use or lingering */

static struct session *current; /* whose callbacks come */

/* ---- what the core needs ---- */

static void random_bytes(void *ctx, void *out, size_t bytes)
{
	struct session *s = ctx;
	uint8_t *p = out;

	for (size_t i = 0; i < bytes; i++) {
		s->node.random = s->node.random * UINT64_C(6364136223846793005) +
				 1442695040888963407U;
		p[i] = (uint8_t)(s->node.random >> 56);
	}
}

/* Stands in for an HMAC: depends on key and message. */
size_t session_hmac(void *ctx, const char *alg, const void *key, size_t key_bytes, const void *msg,
		    size_t msg_bytes, uint8_t out[64])
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	(void)ctx;
	(void)alg;
	for (size_t i = 0; i < key_bytes; i++)
		h = (h ^ ((const uint8_t *)key)[i]) * UINT64_C(0x100000001b3);
	for (size_t i = 0; i < msg_bytes; i++)
		h = (h ^ ((const uint8_t *)msg)[i]) * UINT64_C(0x100000001b3);
	for (unsigned i = 0; i < 20; i++) {
		h = h * UINT64_C(6364136223846793005) + 1442695040888963407U;
		out[i] = (uint8_t)(h >> 56);
	}
	return 20;
}

static size_t digest_bytes(void *ctx, const char *alg)
{
	struct net_digest digest;

	(void)ctx;
	return net_digest_set(&digest, alg) ? digest.bytes : 0;
}

static void log_line(void *ctx, enum log_level level, const char *line)
{
	(void)ctx;
	fprintf(stderr, "core %d %s\n", (int)level, line);
}

static void conf_peer(const struct session_conf *c, struct core_peer_conf *peer, uint8_t id)
{
	struct core_net_conf *net = &peer->net;

	peer->node_id = id;
	snprintf(peer->name, sizeof(peer->name), "n%u", id);
	peer->has_disk[0] = true;
	net->protocol = c->protocol;
	net->timeout_ds = 60;
	net->ko_count = 7;
	net->ping_int_s = 10;
	net->ping_timeout_ds = 5;
	net->connect_int_s = 10;
	net->max_epoch_size = 16;
	net->max_buffers = 128;
	net->rr_conflict = ASB_DISCONNECT;
	net->allow_remote_read = true;
	if (c->auth) {
		strcpy(net->cram_hmac_alg, "sha256");
		strcpy(net->shared_secret, "secret");
	}
	if (c->integrity)
		strcpy(net->data_integrity_alg, "crc32c");
	if (c->checksums) {
		strcpy(net->verify_alg, "crc32c");
		strcpy(net->csums_alg, "crc32c");
	}
}

static void conf_node(struct session *s)
{
	struct core_conf *c = &s->node.conf;
	struct core_disk_conf *d = &c->volumes[0].disk;

	memset(c, 0, sizeof(*c));
	strcpy(c->name, "r0");
	c->node_id = session_own_id(s);
	c->auto_promote = true;
	c->auto_promote_timeout_ds = 20;
	c->twopc_timeout_ds = 20;
	c->twopc_retry_timeout_ds = 1;
	c->volume_count = 1;
	d->has_disk = !s->conf.diskless;
	d->al_extents = AL_EXTENTS_MIN;
	d->resync_rate_kib = 250;
	d->c_plan_ahead_ds = 20;
	d->c_delay_target_ds = 10;
	d->c_fill_target_sectors = 100;
	d->c_max_rate_kib = 1U << 20;
	for (unsigned i = 0; i < s->conf.peer_count; i++)
		conf_peer(&s->conf, &c->peers[c->peer_count++], s->script[i].id);
	c->requests_max = 64;
	c->request_bytes_max = 4U << 20;
	c->peer_requests_max = 128;
	c->crypto.ctx = s;
	c->crypto.random = random_bytes;
	c->crypto.hmac = session_hmac;
	c->crypto.digest_bytes = digest_bytes;
	c->log = s->verbose ? log_line : NULL;
}

/* ---- actions ---- */

static void complete(struct session_node *n, const struct ac_complete *c)
{
	ASSERT(n->requests > 0);
	n->requests--;
	if (c->payload.id)
		buf_put(buf_by_id(n->pool, c->payload.id));
}

static void act(struct session *s, const struct core_action *a)
{
	struct session_node *n = &s->node;

	switch (a->kind) {
	case AC_COMPLETE:
		complete(n, &a->u.complete);
		return;
	case AC_SEND:
		net_conn_send(n->conn[a->u.send.peer], a->u.send.stream, &a->u.send.pkt);
		return;
	case AC_SEND_BITMAP:
		net_conn_send_bitmap(n->conn[a->u.send_bitmap.peer], a->u.send_bitmap.vnr,
				     a->u.send_bitmap.words, a->u.send_bitmap.bits);
		return;
	case AC_CONNECT:
		n->wanted[a->u.peer] = true;
		return;
	case AC_DISCONNECT:
		n->wanted[a->u.peer] = false;
		n->dropped[a->u.peer] = n->ends[a->u.peer] = true;
		net_conn_disconnect(n->conn[a->u.peer]);
		return;
	case AC_BUF_PUT:
		buf_put(buf_by_id(n->pool, a->u.payload.id));
		return;
	case AC_SIZE:
		n->sectors = a->u.size.sectors;
		return;
	case AC_REPLY:
		n->replied |= a->u.reply.cookie == n->command_cookie;
		return;
	case AC_NOTIFY:
	case AC_HANDLER: /* there are none */
		return;
	case AC_ATTACH:
		disk_attach_action(a->u.attach.vnr);
		return;
	case AC_RESIZE:
		disk_resize_action(&a->u.resize);
		return;
	case AC_DETACH:
		disk_detach_action(a->u.vnr);
		return;
	case AC_META_SUPER:
	case AC_META_AL:
	case AC_META_BITMAP:
	case AC_META_FLUSH:
		disk_meta_action(s, a);
		return;
	default:
		disk_data_action(s, a);
		return;
	}
}

/* Who is not connected any more can say why, unless a command has just begun anew. */
static void check_dropped(struct session *s, bool commanded)
{
	struct session_node *n = &s->node;

	for (unsigned i = 0; i < NODE_IDS; i++) {
		if (!n->dropped[i])
			continue;
		n->dropped[i] = false;
		ASSERT(n->core->st.peer[i].conn != CONN_CONNECTED);
		ASSERT(commanded || n->core->peer[i]->reason[0]);
	}
}

static void check_bounds(struct session *s, unsigned actions)
{
	struct session_node *n = &s->node;

	n->action_count += actions;
	ASSERT(actions <= STEP_ACTIONS_MAX);
	ASSERT(n->action_count <= SESSION_ACTIONS_MAX);
	for (unsigned i = 0; i < NODE_IDS; i++) {
		for (unsigned k = 0; n->conn[i] && k < STREAM_COUNT; k++)
			ASSERT(!n->conn[i]->streams[k] ||
			       n->conn[i]->streams[k]->tx.queued_bytes <= TX_BYTES_MAX);
	}
}

static void step(struct session *s, struct core_event *ev)
{
	struct session_node *n = &s->node;
	struct core_action a;
	unsigned actions = 0;
	bool commanded = n->core->commands.count || ev->kind == EV_COMMAND;

	ev->now_ns = n->now_ns;
	n->steps++;
	core_step(n->core, ev);
	for (; core_next(n->core, &a); actions++)
		act(s, &a);
	check_dropped(s, commanded);
	check_bounds(s, actions);
}

/* ---- what the net reports ---- */

static void on_up(void *ctx, bool resolve_conflicts)
{
	struct core_event ev;

	ev.kind = EV_STREAMS_UP;
	ev.u.streams = (struct ev_streams){
		.peer = *(uint8_t *)ctx, .resolve_conflicts = resolve_conflicts,
	};
	step(current, &ev);
}

static void on_down(void *ctx, const char *reason)
{
	struct core_event ev;

	ASSERT(reason[0]);
	ev.kind = EV_STREAMS_DOWN;
	ev.u.streams = (struct ev_streams){ .peer = *(uint8_t *)ctx, .reason = reason };
	current->node.wanted[ev.u.streams.peer] = false;
	current->node.dropped[ev.u.streams.peer] = true;
	current->node.ends[ev.u.streams.peer] = true;
	step(current, &ev);
}

static bool on_room(void *ctx, uint16_t type)
{
	return core_peer_room(current->node.core, *(uint8_t *)ctx, type);
}

/* It asks for something to be done to a range, and that is not on the device. */
static bool is_astray(const struct volume *vol, const struct pkt *pkt)
{
	uint32_t bytes = pkt->payload.bytes ? pkt->payload.bytes : pkt->u.block.bytes;
	uint64_t sector = pkt->u.block.sector;

	switch (pkt->type) {
	case P_DATA:
	case P_TRIM:
	case P_ZEROES:
	case P_DATA_REQUEST:
	case P_RS_DATA_REQUEST:
	case P_RS_DAGTAG_REQ:
	case P_CSUM_RS_REQUEST:
	case P_RS_CSUM_DAGTAG_REQ:
	case P_OV_REQUEST:
	case P_OV_DAGTAG_REQ:
	case P_OUT_OF_SYNC:
		return sector >= vol->size_sectors ||
		       bytes > (vol->size_sectors - sector) * SECTOR_BYTES;
	default:
		return false;
	}
}

/* What varies in length is given in memory of just that length: a sanitizer sees who reads on. */
static void step_packet(struct session *s, struct core_event *ev)
{
	struct pkt exact = *ev->u.pkt.pkt;
	uint8_t *var = malloc(exact.var_bytes);

	ASSERT(var);
	memcpy(var, exact.var, exact.var_bytes);
	exact.var = var;
	ev->u.pkt.pkt = &exact;
	step(s, ev);
	free(var);
}

static void on_packet(void *ctx, enum stream stream, const struct pkt *pkt)
{
	uint8_t peer = *(uint8_t *)ctx;
	struct session *s = current;
	struct core_event ev;
	bool astray = is_astray(s->node.core->vol[0], pkt);

	ev.kind = EV_PKT;
	ev.u.pkt = (struct ev_pkt){ .peer = peer, .stream = (uint8_t)stream, .pkt = pkt };
	if (pkt->var_bytes)
		step_packet(s, &ev);
	else
		step(s, &ev);
	ASSERT(!astray || node_conn_state(s, peer) != CONN_CONNECTED);
}

static void on_tx_done(void *ctx, enum stream stream, uint32_t bytes)
{
	struct core_event ev;

	ev.kind = EV_TX_DONE;
	ev.u.tx = (struct ev_tx){
		.peer = *(uint8_t *)ctx, .stream = (uint8_t)stream, .bytes = bytes,
	};
	current->node.sent[ev.u.tx.peer][stream] = true;
	step(current, &ev);
}

static const struct net_callbacks callbacks = {
	.up = on_up, .down = on_down, .room = on_room, .packet = on_packet, .tx_done = on_tx_done,
};

/* ---- life ---- */

static struct event_base *base_once(void)
{
	static struct event_base *base;

	if (!base) {
		struct event_config *config = event_config_new();

		event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
		/* Connections are too short to tell epoll of each. */
		event_config_avoid_method(config, "epoll");
		base = event_base_new_with_config(config);
		event_config_free(config);
	}
	ASSERT(base);
	return base;
}

/* One for all sessions: what is not given back shows at the end of each. */
static struct buf_pool *pool_once(void)
{
	static struct buf_pool *pool;
	const uint64_t budgets[BUF_USE_COUNT] = {
		[BUF_APP] = PEER_BUDGET_BYTES, [BUF_PEER] = PEER_BUDGET_BYTES,
		[BUF_READ] = PEER_BUDGET_BYTES,
	};

	if (!pool)
		pool = buf_pool_new(budgets);
	ASSERT(pool);
	return pool;
}

static struct net *net_once(struct event_base *base, struct buf_pool *pool)
{
	static struct net *net;

	if (!net)
		net = net_new(base, pool, &callbacks);
	ASSERT(net);
	return net;
}

/* As net_conn_new() does it, but for the listeners. */
static void conn_open(struct session_node *n, uint8_t id)
{
	static uint8_t ids[NODE_IDS] = { 0, 1, 2, 3 };
	struct net_conn *conn = calloc(1, sizeof(*conn));

	ASSERT(conn);
	conn->net = n->net;
	snprintf(conn->conf.name, sizeof(conn->conf.name), "r0:n%u", id);
	conn->conf.own_node_id = n->conf.node_id;
	conn->conf.peer_node_id = id;
	conn->ctx = &ids[id];
	net_connect_init(conn);
	list_push_back(&n->net->conns, &conn->link);
	n->conn[id] = conn;
}

void node_open(struct session *s)
{
	struct session_node *n = &s->node;
	static void *mem;
	size_t bytes;

	current = s;
	n->now_ns = NS_PER_S;
	n->random = s->conf.seed;
	n->base = base_once();
	n->pool = pool_once();
	n->net = net_once(n->base, n->pool);
	log_set_level(s->verbose ? LOG_LEVEL_DEBUG : LOG_LEVEL_ERR);
	net_set_trace(n->net, s->verbose);
	conf_node(s);
	bytes = (core_mem_bytes(&n->conf) + 63) / 64 * 64;
	ASSERT(bytes <= CORE_BYTES_MAX);
	if (!mem)
		mem = aligned_alloc(64, CORE_BYTES_MAX);
	n->core = core_create(&n->conf, mem, bytes);
	for (unsigned i = 0; i < s->conf.peer_count; i++)
		conn_open(n, s->script[i].id);
	disk_open(s);
}

static void settle(struct session *s)
{
	s->node.hold_disk = false;
	s->node.fail_count = 0;
	session_run(s);
}

void node_close(struct session *s)
{
	struct session_node *n = &s->node;

	settle(s);
	node_command(s, CMD_SHUTDOWN, 0, true);
	for (unsigned ms = 0; !n->replied && ms < SHUTDOWN_MS_MAX; ms += 500)
		node_pass_ms(s, 500);
	ASSERT(n->replied);
	ASSERT(n->requests == 0);
	session_run(s);
	for (unsigned i = 0; i < NODE_IDS; i++) {
		if (n->conn[i])
			net_conn_free(n->conn[i]);
		n->conn[i] = NULL;
	}
	while (!list_empty(&n->net->lingering))
		net_stream_close(
			LIST_ENTRY(list_first(&n->net->lingering), struct net_stream, link));
	net_stream_bury(n->net);
	ASSERT(buf_pool_used_count(n->pool) == 0);
	disk_close(s);
}

/* ---- from outside ---- */

void node_command(struct session *s, enum core_command cmd, unsigned peer, bool flag)
{
	struct core_event ev;

	s->node.replied = false;
	s->node.command_cookie = ++s->node.cookie;
	ev.kind = EV_COMMAND;
	ev.u.command = (struct ev_command){
		.cookie = s->node.command_cookie,
		.cmd = cmd,
		.peer = (uint8_t)peer,
		.force = flag,
		.write = flag,
		.discard_my_data = flag,
		.clear_bitmap = flag,
	};
	step(s, &ev);
}

void node_submit(struct session *s, enum request_op op, uint64_t sector, uint32_t bytes)
{
	struct session_node *n = &s->node;
	struct core_event ev;
	struct buf *buf = NULL;

	if (core_room(n->core) == 0 || sector + bytes / SECTOR_BYTES > n->sectors)
		return;
	ev.kind = EV_SUBMIT;
	ev.u.submit = (struct ev_submit){ .op = op };
	if (op == OP_WRITE) {
		buf = buf_get(n->pool, BUF_APP, bytes);
		if (!buf)
			return;
		memset(buf->data, (int)sector | 1, bytes);
		ev.u.submit.payload = (struct payload){ buf->id, bytes };
	}
	n->requests++;
	ev.u.submit.cookie = ++n->cookie;
	ev.u.submit.sector = op == OP_FLUSH ? 0 : sector;
	ev.u.submit.bytes = op == OP_FLUSH ? 0 : bytes;
	step(s, &ev);
}

bool node_is_down(const struct session *s, unsigned peer)
{
	return s->node.conn[peer]->phase == NET_IDLE;
}

void node_streams(struct session *s, unsigned peer, const int fd[STREAM_COUNT])
{
	struct net_conn *conn = s->node.conn[peer];

	ASSERT(conn->phase == NET_IDLE);
	for (unsigned i = 0; i < STREAM_COUNT; i++) {
		conn->half[i].fd = fd[i];
		conn->half[i].accepted = s->conf.own_id_last;
	}
	net_conn_established(conn);
}

static bool turn_sockets(struct session_node *n)
{
	uint64_t steps = n->steps;

	if (n->read_turns == 0 && list_empty(&n->net->lingering))
		return false;
	n->read_turns -= n->read_turns > 0;
	event_base_loop(n->base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
	return n->steps != steps || n->read_turns > 0;
}

struct ready {
	struct net_stream *stream;
	bool readable, writable;
};

/* As libevent does it: what was ready at the beginning of the turn, and is still waited for. */
static bool turn_pipe(const struct ready *ready)
{
	struct net_stream *stream = ready->stream;
	bool reads = ready->readable && event_pending(&stream->ev_read, EV_READ, NULL);
	bool writes = ready->writable && event_pending(&stream->ev_write, EV_WRITE, NULL);

	if (reads)
		net_stream_readable(stream);
	if (writes && event_pending(&stream->ev_write, EV_WRITE, NULL)) {
		event_del(&stream->ev_write);
		event_get_callback(&stream->ev_write)(stream->fd, EV_WRITE, stream);
	}
	return reads || writes;
}

static unsigned find_ready(struct session_node *n, struct ready ready[static STREAMS_MAX])
{
	unsigned count = 0;

	for (unsigned i = 0; i < NODE_IDS; i++) {
		for (unsigned k = 0; n->conn[i] && k < STREAM_COUNT; k++) {
			if (n->conn[i]->streams[k])
				ready[count++].stream = n->conn[i]->streams[k];
		}
	}
	LIST_FOR_EACH(link, &n->net->lingering) {
		ASSERT(count < STREAMS_MAX);
		ready[count++].stream = LIST_ENTRY(link, struct net_stream, link);
	}
	for (unsigned i = 0; i < count; i++) {
		ready[i].readable = pipe_readable(ready[i].stream->fd);
		ready[i].writable = pipe_writable(ready[i].stream->fd);
	}
	return count;
}

/* In the one or the other order. */
static bool turn_pipes(struct session *s)
{
	struct ready ready[STREAMS_MAX];
	unsigned count = find_ready(&s->node, ready);
	bool moved = false;

	for (unsigned i = 0; i < count; i++)
		moved |= turn_pipe(&ready[s->conf.seed & 4 ? count - 1 - i : i]);
	return moved;
}

bool node_turn(struct session *s)
{
	struct session_node *n = &s->node;
	struct core_event ev;
	bool moved = false;

	while (disk_next_done(s, &ev)) {
		step(s, &ev);
		moved = true;
	}
	net_resume(n->net);
	moved |= s->conf.sockets ? turn_sockets(n) : turn_pipes(s);
	if (net_has_output(n->net)) {
		net_flush(n->net);
		moved = true;
	}
	return moved || net_has_output(n->net);
}

void node_pass_ms(struct session *s, uint64_t ms)
{
	struct session_node *n = &s->node;
	uint64_t end = n->now_ns + ms * NS_PER_MS;
	struct core_event ev;
	unsigned timers = 0;

	ev.kind = EV_TIME;
	session_run(s);
	while (core_deadline_ns(n->core) <= end) {
		uint64_t t = core_deadline_ns(n->core);

		/* A deadline that stays in the past would keep a daemon's processor busy. */
		ASSERT(t > n->now_ns || ++timers < STALE_TIMERS_MAX);
		n->now_ns = t > n->now_ns ? t : n->now_ns;
		step(s, &ev);
		session_run(s);
	}
	n->now_ns = end;
	session_run(s);
}

enum conn_state node_conn_state(const struct session *s, unsigned peer)
{
	return s->node.core->st.peer[peer].conn;
}

bool node_is_primary(const struct session *s)
{
	return s->node.core->st.role == ROLE_PRIMARY;
}

uint64_t node_uuid(const struct session *s)
{
	const struct md_super *md = core_md(s->node.core, 0);

	return md ? md->current_uuid : SESSION_UUID_OWN;
}

enum wire_protocol node_protocol(const struct session *s, unsigned peer)
{
	return s->node.core->peer[peer]->conf->net.protocol;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Cores wired together by queues of decoded packets; instant disks, virtual time. */
#include "core_pair_int.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "preset_conf.h"

/* ---- running ---- */

static bool step_local(struct pair *p, unsigned node)
{
	struct node *n = &p->node[node];
	struct queued_event *l = n->up ? event_queue_pop(&n->local) : NULL;

	if (!l)
		return false;
	if (l->ev.kind == EV_STREAMS_UP)
		n->up_pending[l->ev.u.streams.peer] = false;
	world_step(p, node, &l->ev);
	free(l);
	return true;
}

static bool step_queue(struct pair *p, unsigned from, unsigned to, unsigned stream)
{
	struct queue *q = &p->queue[from][to][stream];
	struct core_event ev = { .kind = EV_PKT };
	struct msg *m;

	if (!q->head || q->held || !p->node[to].up || p->node[to].up_pending[from])
		return false;
	if (stream == STREAM_DATA && !q->head->down && p->node[to].streams[from] &&
	    !core_peer_room(p->node[to].core, (uint8_t)from, q->head->pkt.type))
		return false;
	m = world_queue_pop(q);
	if (m->down) {
		/* What the other stream still holds was sent before. */
		while (p->queue[from][to][STREAM_CONTROL].head &&
		       step_queue(p, from, to, STREAM_CONTROL))
			;
		world_streams_down(p, to, from);
	} else if (p->node[to].streams[from]) {
		ev.u.pkt.peer = (uint8_t)from;
		ev.u.pkt.stream = (uint8_t)stream;
		ev.u.pkt.pkt = &m->pkt;
		world_step(p, to, &ev);
	} else {
		world_blob_put(p, m->pkt.payload);
	}
	world_msg_free(m);
	return true;
}

/* Sources of events: a node's own, and each queue. */
static bool step_source(struct pair *p, unsigned i)
{
	unsigned per_node = 1 + p->nodes * STREAM_COUNT;
	unsigned node = i / per_node, k = i % per_node;

	if (k == 0)
		return step_local(p, node);
	k--;
	return step_queue(p, k / STREAM_COUNT, node, k % STREAM_COUNT);
}

static bool step_any(struct pair *p)
{
	unsigned sources = p->nodes * (1 + p->nodes * STREAM_COUNT);
	unsigned first = p->opts.seed ? (unsigned)(world_next_random(p) % sources)
				      : p->steps % sources;

	for (unsigned i = 0; i < sources; i++) {
		if (step_source(p, (first + i) % sources))
			return true;
	}
	return false;
}

bool pair_run(struct pair *p)
{
	for (p->steps = 0; p->steps < STEPS_MAX; p->steps++) {
		bool timer = false;

		if (step_any(p))
			continue;
		for (unsigned i = 0; i < p->nodes; i++) {
			struct core_event ev = { .kind = EV_TIME };

			if (!p->node[i].up || core_deadline_ns(p->node[i].core) > p->now_ns)
				continue;
			world_step(p, i, &ev);
			timer = true;
		}
		if (!timer)
			return true;
	}
	return false;
}

void pair_pass_ms(struct pair *p, uint64_t ms)
{
	uint64_t end = p->now_ns + ms * NS_PER_MS;

	ASSERT(pair_run(p));
	for (;;) {
		uint64_t next = NEVER_NS;

		for (unsigned i = 0; i < p->nodes; i++) {
			uint64_t t = p->node[i].up ? core_deadline_ns(p->node[i].core) : NEVER_NS;

			if (t < next)
				next = t;
		}
		if (next > end)
			break;
		if (next > p->now_ns)
			p->now_ns = next;
		ASSERT(pair_run(p));
	}
	p->now_ns = end;
	ASSERT(pair_run(p));
}

bool pair_wait(struct pair *p, uint64_t ms, bool (*done)(struct pair *p))
{
	ASSERT(pair_run(p));
	for (uint64_t t = 0; t < ms && !done(p); t += 20)
		pair_pass_ms(p, 20);
	return done(p);
}

/* ---- creation ---- */

static void conf_peer(const struct pair *p, struct core_peer_conf *conf, unsigned id)
{
	preset_peer(conf, id);
	conf->has_disk[0] = !(p->opts.diskless & (1U << id));
	if (p->opts.protocol)
		conf->net.protocol = p->opts.protocol;
}

static void conf_node(struct pair *p, unsigned id)
{
	struct node *n = &p->node[id];
	struct core_conf *conf = &n->conf;
	struct core_disk_conf *disk = &conf->volumes[0].disk;

	preset_resource(conf, id);
	conf->auto_promote = !p->opts.no_auto_promote;
	disk->has_disk = !(p->opts.diskless & (1U << id));
	disk->c_max_rate_kib = 1U << 20;
	for (unsigned i = 0; i < p->nodes; i++) {
		if (i != id)
			conf_peer(p, &conf->peers[conf->peer_count++], i);
	}
	conf->requests_max = 1024;
	conf->request_bytes_max = 64U << 20;
	conf->peer_requests_max = 2048;
	conf->crypto.ctx = p;
	conf->crypto.random = world_random_bytes;
	conf->crypto.hmac = world_toy_hmac;
	conf->crypto.digest_bytes = world_digest_bytes;
	if (p->opts.verbose) {
		conf->log = world_log_line;
		conf->log_ctx = n;
	}
	if (p->opts.tune)
		p->opts.tune(conf);
}

static void node_start(struct pair *p, unsigned id)
{
	struct node *n = &p->node[id];
	size_t bytes = core_mem_bytes(&n->conf);

	n->mem = aligned_alloc(64, (bytes + 63) / 64 * 64);
	n->core = core_create(&n->conf, n->mem, bytes);
	n->up = true;
	n->local_reads = false;
	event_queue_init(&n->local);
}

struct pair *pair_new(const struct pair_opts *opts)
{
	struct pair *p = calloc(1, sizeof(*p));

	p->opts = *opts;
	p->nodes = opts->nodes ? opts->nodes : 2;
	ASSERT(p->nodes <= PAIR_NODES_MAX);
	p->rng = opts->seed ? opts->seed : 1;
	p->now_ns = NS_PER_S;
	for (unsigned a = 0; a < p->nodes; a++) {
		for (unsigned b = 0; b < p->nodes; b++) {
			for (unsigned s = 0; s < STREAM_COUNT; s++)
				p->queue[a][b][s].tail = &p->queue[a][b][s].head;
		}
	}
	for (unsigned i = 0; i < p->nodes; i++) {
		struct store *s = &p->node[i].store;
		uint64_t sectors = opts->sectors[i] ? opts->sectors[i] : PAIR_SECTORS;

		s->tags = calloc(sectors, sizeof(*s->tags));
		md_memory_create(&s->md, sectors, PAIR_NODES_MAX);
		conf_node(p, i);
		node_start(p, i);
	}
	return p;
}

static void node_stop(struct node *n)
{
	event_queue_drop(&n->local);
	while (n->more_count)
		free(n->more[--n->more_count]);
	free(n->mem);
	n->mem = NULL;
	n->core = NULL;
	n->up = false;
}

void pair_free(struct pair *p)
{
	for (unsigned a = 0; a < p->nodes; a++) {
		for (unsigned b = 0; b < p->nodes; b++) {
			for (unsigned s = 0; s < STREAM_COUNT; s++)
				world_queue_drop(p, &p->queue[a][b][s]);
		}
		node_stop(&p->node[a]);
		free(p->node[a].store.tags);
		md_memory_free(&p->node[a].store.md);
	}
	for (unsigned i = 0; i < PAYLOADS_MAX; i++)
		free(p->blob[i].tags);
	free(p);
}

struct core *pair_core(struct pair *p, unsigned node)
{
	return p->node[node].core;
}

/* ---- commands ---- */

uint64_t pair_submit_command(struct pair *p, unsigned node, const struct ev_command *command)
{
	struct core_event ev = { .kind = EV_COMMAND };

	ev.u.command = *command;
	ev.u.command.cookie = ++p->cookie;
	world_step(p, node, &ev);
	return ev.u.command.cookie;
}

bool pair_replied(const struct pair *p, uint64_t cookie, int *rc)
{
	for (unsigned i = 0; i < REPLIES_MAX && i < p->reply_count; i++) {
		if (p->reply[i].cookie != cookie)
			continue;
		*rc = p->reply[i].rc;
		return true;
	}
	return false;
}

int pair_command(struct pair *p, unsigned node, const struct ev_command *command)
{
	uint64_t cookie = pair_submit_command(p, node, command);
	int rc = 0;

	ASSERT(pair_run(p));
	for (unsigned i = 0; i < 6000 && !pair_replied(p, cookie, &rc); i++)
		pair_pass_ms(p, 10);
	if (!pair_replied(p, cookie, &rc)) {
		snprintf(p->text, sizeof(p->text), "no reply");
		return SS_TIMEOUT;
	}
	return rc;
}

void pair_configure(struct pair *p, unsigned node, void (*change)(struct core_conf *conf))
{
	static struct core_conf conf;
	struct core_event ev = { .kind = EV_CONFIGURE, .u.configure.conf = &conf };

	conf = p->node[node].core->conf;
	change(&conf);
	ev.u.configure.mem_bytes = core_configure_bytes(p->node[node].core, &conf);
	if (ev.u.configure.mem_bytes) {
		ASSERT(p->node[node].more_count < MORE_MEM_MAX);
		ev.u.configure.mem = aligned_alloc(64, (ev.u.configure.mem_bytes + 63) / 64 * 64);
		p->node[node].more[p->node[node].more_count++] = ev.u.configure.mem;
	}
	world_step(p, node, &ev);
	ASSERT(pair_run(p));
}

int pair_simple(struct pair *p, unsigned node, enum core_command cmd)
{
	struct ev_command ev = { .cmd = cmd };

	return pair_command(p, node, &ev);
}

int pair_peer_command(struct pair *p, unsigned node, enum core_command cmd, unsigned peer)
{
	struct ev_command ev = { .cmd = cmd, .peer = (uint8_t)peer };

	return pair_command(p, node, &ev);
}

const char *pair_text(const struct pair *p)
{
	return p->text;
}

static void node_up(struct pair *p, unsigned i)
{
	if (!(p->opts.diskless & (1U << i)))
		pair_simple(p, i, CMD_ATTACH);
	for (unsigned j = 0; j < p->nodes && !p->opts.no_connect; j++) {
		if (j != i)
			pair_peer_command(p, i, CMD_CONNECT, j);
	}
}

void pair_up(struct pair *p)
{
	for (unsigned i = 0; i < p->nodes; i++)
		node_up(p, i);
	pair_pass_ms(p, 3000);
}

void pair_up_to_date(struct pair *p)
{
	struct ev_command ev = { .cmd = CMD_NEW_CURRENT_UUID, .clear_bitmap = true };
	unsigned i = 0;

	pair_up(p);
	while (p->opts.diskless & (1U << i))
		i++;
	ASSERT(pair_command(p, i, &ev) >= SS_SUCCESS);
	pair_pass_ms(p, 1000);
}

/* ---- application I/O ---- */

static void submit(struct pair *p, unsigned node, enum request_op op, uint64_t sector,
		   uint32_t sectors, struct payload payload, uint64_t cookie)
{
	struct core_event ev = { .kind = EV_SUBMIT };

	ev.u.submit = (struct ev_submit){
		.cookie = cookie,
		.op = op,
		.sector = sector,
		.bytes = sectors * SECTOR_BYTES,
		.payload = payload,
	};
	p->outstanding++;
	world_step(p, node, &ev);
}

static int wait_io(struct pair *p)
{
	ASSERT(pair_run(p));
	for (unsigned i = 0; i < 6000 && !p->io_done; i++)
		pair_pass_ms(p, 10);
	return p->io_done ? p->io_error : -ETIMEDOUT;
}

static uint64_t io_begin(struct pair *p, uint64_t *tags)
{
	p->io_cookie = ++p->cookie;
	p->io_done = false;
	p->io_tags = tags;
	return p->io_cookie;
}

static struct payload tagged(struct pair *p, uint32_t sectors, uint64_t tag)
{
	struct payload pl = world_blob_new(p, sectors);

	for (uint32_t i = 0; i < sectors; i++)
		p->blob[pl.id].tags[i] = tag + i;
	return pl;
}

int pair_write(struct pair *p, unsigned node, uint64_t sector, uint32_t sectors, uint64_t tag)
{
	uint64_t cookie = io_begin(p, NULL);

	submit(p, node, OP_WRITE, sector, sectors, tagged(p, sectors, tag), cookie);
	return wait_io(p);
}

void pair_submit_write(struct pair *p, unsigned node, uint64_t sector, uint32_t sectors,
		       uint64_t tag)
{
	uint64_t cookie = io_begin(p, NULL);

	submit(p, node, OP_WRITE, sector, sectors, tagged(p, sectors, tag), cookie);
}

int pair_last_error(const struct pair *p)
{
	return p->io_done ? p->io_error : -EINPROGRESS;
}

int pair_read(struct pair *p, unsigned node, uint64_t sector, uint32_t sectors, uint64_t *tags)
{
	uint64_t cookie = io_begin(p, tags);

	submit(p, node, OP_READ, sector, sectors, (struct payload){ 0 }, cookie);
	return wait_io(p);
}

int pair_flush(struct pair *p, unsigned node)
{
	uint64_t cookie = io_begin(p, NULL);

	submit(p, node, OP_FLUSH, 0, 0, (struct payload){ 0 }, cookie);
	return wait_io(p);
}

unsigned pair_outstanding(const struct pair *p)
{
	return p->outstanding;
}

/* ---- faults ---- */

void pair_cut(struct pair *p, unsigned a, unsigned b)
{
	p->cut[a][b] = p->cut[b][a] = true;
	world_streams_down(p, a, b);
	world_streams_down(p, b, a);
}

void pair_heal(struct pair *p, unsigned a, unsigned b)
{
	p->cut[a][b] = p->cut[b][a] = false;
	world_match_connections(p);
}

void pair_hold(struct pair *p, unsigned a, unsigned b, enum stream stream, bool hold)
{
	p->queue[a][b][stream].held = hold;
}

void pair_crash(struct pair *p, unsigned node)
{
	struct node *n = &p->node[node];

	node_stop(n);
	for (unsigned i = 0; i < p->nodes; i++) {
		if (i == node)
			continue;
		world_streams_down(p, i, node);
		world_streams_down(p, node, i);
		n->attempt[i] = false;
		n->streams[i] = false;
		n->up_pending[i] = false;
	}
	/* What its application waited for ends with it. */
	p->outstanding = 0;
}

void pair_restart(struct pair *p, unsigned node)
{
	node_start(p, node);
	node_up(p, node);
	pair_run(p);
}

void pair_break_disk(struct pair *p, unsigned node)
{
	p->node[node].broken = true;
}

bool pair_saves(const struct pair *p, unsigned node)
{
	return p->node[node].save_tag != 0;
}

void pair_answer_save(struct pair *p, unsigned node, int error)
{
	struct core_event ev = { .kind = EV_DISK_DONE };

	ASSERT(pair_saves(p, node));
	ev.u.done.tag = p->node[node].save_tag;
	ev.u.done.error = error;
	p->node[node].save_tag = 0;
	event_queue_push(&p->node[node].local, &ev);
}

unsigned pair_calls(const struct pair *p, unsigned node, enum handler what, unsigned peer)
{
	const struct node *n = &p->node[node];
	unsigned count = 0;

	for (unsigned i = 0; i < n->call_count; i++)
		count += n->calls[i].what == what && n->calls[i].peer == peer;
	return count;
}

void pair_answer_call(struct pair *p, unsigned node, enum handler what, int status)
{
	struct node *n = &p->node[node];
	struct core_event ev = { .kind = EV_HANDLER_DONE };
	unsigned i = 0;

	while (i < n->call_count && (n->calls[i].what != what || n->answered[i]))
		i++;
	ASSERT(i < n->call_count);
	n->answered[i] = true;
	ev.u.handler.tag = n->calls[i].tag;
	ev.u.handler.status = status;
	event_queue_push(&n->local, &ev);
}

void pair_inject(struct pair *p, unsigned from, unsigned to, enum stream stream,
		 const struct pkt *pkt)
{
	world_pkt_push(p, from, to, stream, pkt);
}

unsigned pair_sent(const struct pair *p, unsigned a, unsigned b, enum packet type)
{
	return (unsigned)type < PKT_TYPES ? p->node[a].sent[b][type] : 0;
}

/* ---- questions ---- */

bool pair_same(const struct pair *p, unsigned a, unsigned b)
{
	const struct store *x = &p->node[a].store, *y = &p->node[b].store;
	uint64_t sectors = x->md.sectors < y->md.sectors ? x->md.sectors : y->md.sectors;

	return memcmp(x->tags, y->tags, sectors * sizeof(*x->tags)) == 0;
}

uint64_t pair_disk_tag(const struct pair *p, unsigned node, uint64_t sector)
{
	return p->node[node].store.tags[sector];
}

enum role pair_role(struct pair *p, unsigned node)
{
	return p->node[node].core->st.role;
}

enum disk_state pair_disk(struct pair *p, unsigned node)
{
	return p->node[node].core->st.vol[0].disk;
}

enum conn_state pair_conn(struct pair *p, unsigned node, unsigned peer)
{
	return p->node[node].core->st.peer[peer].conn;
}

enum repl_state pair_repl(struct pair *p, unsigned node, unsigned peer)
{
	return p->node[node].core->st.pd[peer][0].repl;
}

enum disk_state pair_pdsk(struct pair *p, unsigned node, unsigned peer)
{
	return p->node[node].core->st.pd[peer][0].pdsk;
}

static struct status_peer_device peer_device_status(struct pair *p, unsigned node, unsigned peer)
{
	struct resource_status *s = malloc(sizeof(*s));
	struct status_peer_device d = { 0 };

	core_status(p->node[node].core, s);
	for (unsigned i = 0; i < s->peer_count; i++) {
		if (s->peers[i].node_id == peer)
			d = s->peers[i].devices[0];
	}
	free(s);
	return d;
}

bool pair_local_reads(const struct pair *p, unsigned node)
{
	return p->node[node].local_reads;
}

uint64_t pair_out_of_sync(struct pair *p, unsigned node, unsigned peer)
{
	return peer_device_status(p, node, peer).out_of_sync_sectors;
}

static bool has_disk(const struct pair *p, unsigned node)
{
	return !(p->opts.diskless & (1U << node));
}

bool pair_healthy(struct pair *p)
{
	for (unsigned i = 0; i < p->nodes; i++) {
		if (!p->node[i].up)
			return false;
		if (has_disk(p, i) && pair_disk(p, i) != DISK_UP_TO_DATE)
			return false;
		for (unsigned j = 0; j < p->nodes; j++) {
			if (j == i)
				continue;
			if (pair_conn(p, i, j) != CONN_CONNECTED ||
			    pair_repl(p, i, j) != REPL_ESTABLISHED)
				return false;
			if (has_disk(p, i) && has_disk(p, j) && pair_out_of_sync(p, i, j))
				return false;
		}
	}
	return true;
}

const char *pair_describe(struct pair *p)
{
	size_t n = 0;

	p->description[0] = '\0';
	for (unsigned i = 0; i < p->nodes; i++) {
		if (!p->node[i].up) {
			n += (size_t)snprintf(p->description + n, sizeof(p->description) - n,
					      "n%u down\n", i);
			continue;
		}
		n += (size_t)snprintf(p->description + n, sizeof(p->description) - n,
				      "n%u %s %s:", i, role_name(pair_role(p, i)),
				      disk_state_name(pair_disk(p, i)));
		for (unsigned j = 0; j < p->nodes; j++) {
			if (j == i)
				continue;
			n += (size_t)snprintf(p->description + n, sizeof(p->description) - n,
					      " [n%u %s %s %s oos %llu \"%s\"]", j,
					      conn_state_name(pair_conn(p, i, j)),
					      repl_state_name(pair_repl(p, i, j)),
					      disk_state_name(pair_pdsk(p, i, j)),
					      (unsigned long long)pair_out_of_sync(p, i, j),
					      p->node[i].core->peer[j]->reason);
		}
		n += (size_t)snprintf(p->description + n, sizeof(p->description) - n, "\n");
	}
	return p->description;
}

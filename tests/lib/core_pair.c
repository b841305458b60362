/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Cores wired together by queues of decoded packets; instant disks, virtual time. */
#include "core_pair.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "core/core_int.h"

#define PAYLOADS_MAX 65536U
#define SLOTS 4U
#define STEPS_MAX 2000000U
#define PKT_TYPES 0x60U
#define AL_SLOTS_MAX 8192U
#define REPLIES_MAX 256U
#define CHUNK_BYTES 4080U

struct blob {
	unsigned refs;
	uint32_t sectors;
	uint64_t *tags;
};

struct msg {
	struct msg *next;
	bool down; /* end of the stream, not a packet */
	struct pkt pkt;
	struct pkt_uuids uuids;
	uint8_t *var;
};

struct queue {
	struct msg *head, **tail;
	bool held;
};

struct local {
	struct local *next;
	struct core_event ev;
};

/* What survives a crash. */
struct store {
	uint64_t sectors;
	uint64_t *tags;
	bool created;
	struct md_super super;
	uint64_t *slot[SLOTS];
	uint64_t words;
	uint32_t al[AL_SLOTS_MAX];
};

struct node {
	struct core_conf conf;
	void *mem;
	struct core *core;
	bool up;
	bool broken;
	struct store store;
	uint64_t *slot[SLOTS]; /* the running core's bitmap */
	struct local *head, **tail;
	bool attempt[PAIR_NODES_MAX], streams[PAIR_NODES_MAX];
	bool up_pending[PAIR_NODES_MAX]; /* EV_STREAMS_UP not delivered yet: packets wait */
	unsigned sent[PAIR_NODES_MAX][PKT_TYPES];
};

struct reply {
	uint64_t cookie;
	int rc;
};

struct pair {
	struct pair_opts opts;
	unsigned nodes;
	struct node node[PAIR_NODES_MAX];
	struct queue queue[PAIR_NODES_MAX][PAIR_NODES_MAX][STREAM_COUNT];
	bool cut[PAIR_NODES_MAX][PAIR_NODES_MAX];
	struct blob blob[PAYLOADS_MAX];
	uint32_t blob_next;
	uint64_t now_ns;
	uint64_t cookie;
	uint64_t rng;
	struct reply reply[REPLIES_MAX];
	unsigned reply_count;
	char text[PAIR_TEXT_MAX];
	char description[2048];
	unsigned outstanding;
	uint64_t io_cookie;
	bool io_done;
	int io_error;
	uint64_t *io_tags;
	unsigned steps;
};

static uint64_t next_random(struct pair *p)
{
	uint64_t z = (p->rng += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

static void random_bytes(void *ctx, void *out, size_t bytes)
{
	uint8_t *b = out;

	for (size_t i = 0; i < bytes; i++)
		b[i] = (uint8_t)next_random(ctx);
}

/* Stands in for an HMAC: depends on algorithm, key and message. */
static size_t toy_hmac(void *ctx, const char *alg, const void *key, size_t key_bytes,
		       const void *msg, size_t msg_bytes, uint8_t out[64])
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	(void)ctx;
	for (size_t i = 0; alg[i]; i++)
		h = (h ^ (uint8_t)alg[i]) * UINT64_C(0x100000001b3);
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

static void log_line(void *ctx, enum log_level level, const char *line)
{
	const struct node *n = ctx;

	fprintf(stderr, "%d.%u %s\n", (int)level, n->conf.node_id, line);
}

/* ---- payload ---- */

static struct payload blob_new(struct pair *p, uint32_t sectors)
{
	for (unsigned i = 0; i < PAYLOADS_MAX; i++) {
		uint32_t id = 1 + (p->blob_next++ % (PAYLOADS_MAX - 1));
		struct blob *b = &p->blob[id];

		if (b->refs)
			continue;
		b->refs = 1;
		b->sectors = sectors;
		b->tags = calloc(sectors, sizeof(*b->tags));
		return (struct payload){ .id = id, .bytes = sectors * SECTOR_BYTES };
	}
	ASSERT(!"payloads leak");
	abort();
}

static void blob_get(struct pair *p, struct payload pl)
{
	if (pl.id)
		p->blob[pl.id].refs++;
}

static void blob_put(struct pair *p, struct payload pl)
{
	struct blob *b = &p->blob[pl.id];

	if (!pl.id)
		return;
	ASSERT(b->refs > 0);
	if (--b->refs == 0) {
		free(b->tags);
		b->tags = NULL;
	}
}

/* ---- queues ---- */

static void queue_push(struct queue *q, struct msg *m)
{
	m->next = NULL;
	*q->tail = m;
	q->tail = &m->next;
}

static struct msg *queue_pop(struct queue *q)
{
	struct msg *m = q->head;

	q->head = m->next;
	if (!q->head)
		q->tail = &q->head;
	return m;
}

static void msg_free(struct msg *m)
{
	free(m->var);
	free(m);
}

static void queue_drop(struct pair *p, struct queue *q)
{
	while (q->head) {
		struct msg *m = queue_pop(q);

		blob_put(p, m->pkt.payload);
		msg_free(m);
	}
}

static void local_push(struct node *n, const struct core_event *ev)
{
	struct local *l = calloc(1, sizeof(*l));

	l->ev = *ev;
	*n->tail = l;
	n->tail = &l->next;
}

static void pkt_push(struct pair *p, unsigned from, unsigned to, unsigned stream,
		     const struct pkt *pkt)
{
	struct msg *m = calloc(1, sizeof(*m));

	m->pkt = *pkt;
	if (pkt->type == P_UUIDS110) {
		m->uuids = *pkt->u.uuids;
		m->pkt.u.uuids = &m->uuids;
	}
	if (pkt->var_bytes) {
		m->var = malloc(pkt->var_bytes);
		memcpy(m->var, pkt->var, pkt->var_bytes);
		m->pkt.var = m->var;
	}
	blob_get(p, pkt->payload);
	if (p->opts.verbose)
		fprintf(stderr, "%u->%u %s vnr %u\n", from, to, packet_name(pkt->type), pkt->vnr);
	if (pkt->type < PKT_TYPES)
		p->node[from].sent[to][pkt->type]++;
	queue_push(&p->queue[from][to][stream], m);
}

static void push_down(struct pair *p, unsigned from, unsigned to)
{
	struct msg *m = calloc(1, sizeof(*m));

	m->down = true;
	queue_push(&p->queue[from][to][STREAM_DATA], m);
}

/* ---- connections ---- */

static void match_connections(struct pair *p)
{
	for (unsigned a = 0; a < p->nodes; a++) {
		for (unsigned b = a + 1; b < p->nodes; b++) {
			struct node *x = &p->node[a], *y = &p->node[b];
			struct core_event ev = { .kind = EV_STREAMS_UP };

			if (!x->attempt[b] || !y->attempt[a] || x->streams[b] || y->streams[a] ||
			    p->cut[a][b] || !x->up || !y->up)
				continue;
			for (unsigned s = 0; s < STREAM_COUNT; s++) {
				queue_drop(p, &p->queue[a][b][s]);
				queue_drop(p, &p->queue[b][a][s]);
			}
			x->streams[b] = x->up_pending[b] = true;
			y->streams[a] = y->up_pending[a] = true;
			ev.u.streams.peer = (uint8_t)b;
			ev.u.streams.resolve_conflicts = true;
			local_push(x, &ev);
			ev.u.streams.peer = (uint8_t)a;
			ev.u.streams.resolve_conflicts = false;
			local_push(y, &ev);
		}
	}
}

/* The other side learns it behind everything that was sent. */
static void disconnect(struct pair *p, unsigned node, unsigned peer)
{
	struct node *n = &p->node[node];

	n->attempt[peer] = false;
	if (!n->streams[peer])
		return;
	n->streams[peer] = false;
	for (unsigned s = 0; s < STREAM_COUNT; s++)
		queue_drop(p, &p->queue[peer][node][s]);
	push_down(p, node, peer);
}

static void streams_down(struct pair *p, unsigned node, unsigned peer)
{
	struct node *n = &p->node[node];
	struct core_event ev = { .kind = EV_STREAMS_DOWN };

	for (unsigned s = 0; s < STREAM_COUNT; s++)
		queue_drop(p, &p->queue[peer][node][s]);
	if (!n->streams[peer])
		return;
	n->streams[peer] = false;
	n->attempt[peer] = false;
	n->up_pending[peer] = false;
	ev.u.streams.peer = (uint8_t)peer;
	ev.u.streams.reason = "the connection was cut";
	if (n->up)
		local_push(n, &ev);
}

/* ---- disk and metadata ---- */

static void disk_action(struct pair *p, struct node *n, const struct core_action *a)
{
	const struct ac_disk *d = &a->u.disk;
	struct core_event ev = { .kind = EV_DISK_DONE };
	uint32_t sectors = d->bytes / SECTOR_BYTES;

	ev.u.done.tag = d->tag;
	if (n->broken) {
		ev.u.done.error = -EIO;
		local_push(n, &ev);
		return;
	}
	if (a->kind != AC_DISK_FLUSH)
		ASSERT(d->sector + sectors <= n->store.sectors);
	switch (a->kind) {
	case AC_DISK_READ:
		ev.u.done.payload = blob_new(p, sectors);
		memcpy(p->blob[ev.u.done.payload.id].tags, n->store.tags + d->sector,
		       sectors * sizeof(uint64_t));
		break;
	case AC_DISK_WRITE:
		ASSERT(d->payload.id && p->blob[d->payload.id].sectors >= sectors);
		memcpy(n->store.tags + d->sector, p->blob[d->payload.id].tags,
		       sectors * sizeof(uint64_t));
		break;
	case AC_DISK_DISCARD:
	case AC_DISK_ZEROES:
		memset(n->store.tags + d->sector, 0, sectors * sizeof(uint64_t));
		break;
	default:
		break;
	}
	local_push(n, &ev);
}

static void persist_page(struct node *n, uint64_t page)
{
	unsigned peers = n->store.super.max_peers;

	for (uint64_t w = page * MD_PAGE_WORDS; w < (page + 1) * MD_PAGE_WORDS; w++) {
		uint64_t word32 = w / peers;
		unsigned slot = (unsigned)(w % peers);
		unsigned shift = (word32 & 1) * 32;
		uint64_t mask = UINT64_C(0xffffffff) << shift;

		if (word32 / 2 >= n->store.words)
			break;
		n->store.slot[slot][word32 / 2] =
			(n->store.slot[slot][word32 / 2] & ~mask) |
			(n->slot[slot][word32 / 2] & mask);
	}
}

static void persist_al(struct node *n, const struct al_transaction *t)
{
	for (unsigned i = 0; i < AL_CONTEXT_MAX && t->context_start + i < t->context_size; i++)
		n->store.al[t->context_start + i] = t->context[i];
	for (unsigned i = 0; i < t->update_count; i++)
		n->store.al[t->update_slot[i]] = t->update_extent[i];
}

static void meta_action(struct node *n, const struct core_action *a)
{
	struct core_event ev = { .kind = EV_META_DONE };

	ev.u.done.tag = a->u.meta.tag;
	if (n->broken)
		ev.u.done.error = -EIO;
	else if (a->kind == AC_META_SUPER)
		n->store.super = *a->u.meta.super;
	else if (a->kind == AC_META_AL)
		persist_al(n, a->u.meta.al);
	else if (a->kind == AC_META_BITMAP)
		persist_page(n, a->u.meta.page);
	local_push(n, &ev);
}

static void create_md(struct store *s)
{
	s->created = true;
	s->super = (struct md_super){
		.current_uuid = UUID_JUST_CREATED,
		.device_uuid = 77,
		.flags = MDF_AL_CLEAN,
		.al_nr_extents = AL_EXTENTS_DEFAULT,
		.bm_bytes_per_bit = BM_BLOCK_BYTES,
		.max_peers = SLOTS,
		.node_id = -1,
		.al_stripes = 1,
		.al_stripe_4k = 8,
	};
	for (unsigned i = 0; i < NODES_MAX; i++)
		s->super.peers[i].bitmap_index = -1;
	for (unsigned i = 0; i < AL_SLOTS_MAX; i++)
		s->al[i] = AL_FREE;
	for (unsigned i = 0; i < SLOTS; i++)
		memset(s->slot[i], 0xff, s->words * 8);
}

/* As drbdmeta apply-al. */
static void apply_al(struct store *s)
{
	if (s->super.flags & MDF_PRIMARY_IND) {
		for (unsigned i = 0; i < AL_SLOTS_MAX; i++) {
			if (s->al[i] == AL_FREE)
				continue;
			for (uint64_t bit = (uint64_t)s->al[i] * 1024;
			     bit < ((uint64_t)s->al[i] + 1) * 1024 && bit / 64 < s->words; bit++) {
				for (unsigned slot = 0; slot < SLOTS; slot++)
					s->slot[slot][bit / 64] |= UINT64_C(1) << (bit % 64);
			}
		}
	}
	for (unsigned i = 0; i < AL_SLOTS_MAX; i++)
		s->al[i] = AL_FREE;
	s->super.flags |= MDF_AL_CLEAN;
}

static void attach_action(struct node *n, uint16_t vnr)
{
	struct core_event ev = { .kind = EV_ATTACHED };
	struct store *s = &n->store;

	if (!s->created)
		create_md(s);
	apply_al(s);
	ev.u.attached.vnr = vnr;
	ev.u.attached.data_sectors = s->sectors;
	ev.u.attached.backing_sectors = s->sectors;
	ev.u.attached.super = s->super;
	ev.u.attached.discard_ok = true;
	ev.u.attached.bitmap.words_per_slot = s->words;
	for (unsigned i = 0; i < SLOTS; i++) {
		memcpy(n->slot[i], s->slot[i], s->words * 8);
		ev.u.attached.bitmap.slot[i] = n->slot[i];
	}
	if (n->broken)
		ev.u.attached.error = -EIO;
	local_push(n, &ev);
}

/* ---- actions ---- */

static void send_bitmap(struct pair *p, unsigned from, const struct ac_send_bitmap *b)
{
	uint64_t bytes = (b->bits + 63) / 64 * 8;
	struct pkt pkt = { .type = P_BITMAP, .vnr = b->vnr };

	for (uint64_t at = 0; at < bytes; at += CHUNK_BYTES) {
		pkt.var = (const uint8_t *)b->words + at;
		pkt.var_bytes = (uint32_t)(bytes - at < CHUNK_BYTES ? bytes - at : CHUNK_BYTES);
		pkt_push(p, from, b->peer, STREAM_DATA, &pkt);
	}
	pkt.var = NULL;
	pkt.var_bytes = 0;
	pkt_push(p, from, b->peer, STREAM_DATA, &pkt);
}

static void complete(struct pair *p, const struct ac_complete *c)
{
	ASSERT(p->outstanding > 0);
	p->outstanding--;
	if (c->cookie == p->io_cookie) {
		p->io_done = true;
		p->io_error = c->error;
		if (!c->error && c->payload.id && p->io_tags)
			memcpy(p->io_tags, p->blob[c->payload.id].tags,
			       c->payload.bytes / SECTOR_BYTES * sizeof(uint64_t));
	}
	blob_put(p, c->payload);
}

static void act(struct pair *p, unsigned node, const struct core_action *a)
{
	struct node *n = &p->node[node];

	switch (a->kind) {
	case AC_COMPLETE:
		complete(p, &a->u.complete);
		return;
	case AC_SEND:
		/* A core that has not heard of the end of its streams yet. */
		if (!n->streams[a->u.send.peer])
			return;
		pkt_push(p, node, a->u.send.peer, a->u.send.stream, &a->u.send.pkt);
		return;
	case AC_SEND_BITMAP:
		if (!n->streams[a->u.send_bitmap.peer])
			return;
		send_bitmap(p, node, &a->u.send_bitmap);
		return;
	case AC_CONNECT:
		n->attempt[a->u.peer] = true;
		return;
	case AC_DISCONNECT:
		disconnect(p, node, a->u.peer);
		return;
	case AC_DISK_READ:
	case AC_DISK_WRITE:
	case AC_DISK_DISCARD:
	case AC_DISK_ZEROES:
	case AC_DISK_FLUSH:
		disk_action(p, n, a);
		return;
	case AC_META_SUPER:
	case AC_META_AL:
	case AC_META_BITMAP:
	case AC_META_FLUSH:
		meta_action(n, a);
		return;
	case AC_ATTACH:
		attach_action(n, a->u.vnr);
		return;
	case AC_DETACH: {
		struct core_event ev = { .kind = EV_DETACHED };

		ev.u.detached_vnr = a->u.vnr;
		local_push(n, &ev);
		return;
	}
	case AC_BUF_PUT:
		blob_put(p, a->u.payload);
		return;
	case AC_REPLY:
		p->reply[p->reply_count++ % REPLIES_MAX] =
			(struct reply){ a->u.reply.cookie, a->u.reply.rc };
		snprintf(p->text, sizeof(p->text), "%s", a->u.reply.text);
		return;
	case AC_SIZE:
	case AC_NOTIFY:
		return;
	}
}

static void step(struct pair *p, unsigned node, struct core_event *ev)
{
	struct core_action a;

	ev->now_ns = p->now_ns;
	core_step(p->node[node].core, ev);
	while (core_next(p->node[node].core, &a))
		act(p, node, &a);
	match_connections(p);
}

/* ---- running ---- */

static bool step_local(struct pair *p, unsigned node)
{
	struct node *n = &p->node[node];
	struct local *l = n->head;

	if (!n->up || !l)
		return false;
	n->head = l->next;
	if (!n->head)
		n->tail = &n->head;
	if (l->ev.kind == EV_STREAMS_UP)
		n->up_pending[l->ev.u.streams.peer] = false;
	step(p, node, &l->ev);
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
	m = queue_pop(q);
	if (m->down) {
		/* What the other stream still holds was sent before. */
		while (p->queue[from][to][STREAM_CONTROL].head &&
		       step_queue(p, from, to, STREAM_CONTROL))
			;
		streams_down(p, to, from);
	} else if (p->node[to].streams[from]) {
		ev.u.pkt.peer = (uint8_t)from;
		ev.u.pkt.stream = (uint8_t)stream;
		ev.u.pkt.pkt = &m->pkt;
		step(p, to, &ev);
	} else {
		blob_put(p, m->pkt.payload);
	}
	msg_free(m);
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
	unsigned first = p->opts.seed ? (unsigned)(next_random(p) % sources) : p->steps % sources;

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
			step(p, i, &ev);
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
	struct core_net_conf *net = &conf->net;

	conf->node_id = (uint8_t)id;
	snprintf(conf->name, sizeof(conf->name), "n%u", id);
	conf->has_disk[0] = !(p->opts.diskless & (1U << id));
	net->protocol = p->opts.protocol ? p->opts.protocol : PROTOCOL_C;
	net->timeout_ds = 60;
	net->ko_count = 7;
	net->ping_int_s = 10;
	net->ping_timeout_ds = 5;
	net->connect_int_s = 10;
	net->max_epoch_size = 2048;
	net->max_buffers = 2048;
	net->rr_conflict = ASB_DISCONNECT;
	net->allow_remote_read = true;
}

static void conf_node(struct pair *p, unsigned id)
{
	struct node *n = &p->node[id];
	struct core_conf *conf = &n->conf;
	struct core_disk_conf *disk = &conf->volumes[0].disk;

	memset(conf, 0, sizeof(*conf));
	snprintf(conf->name, sizeof(conf->name), "r0");
	conf->node_id = (uint8_t)id;
	conf->auto_promote = !p->opts.no_auto_promote;
	conf->auto_promote_timeout_ds = 20;
	conf->twopc_timeout_ds = 300;
	conf->twopc_retry_timeout_ds = 1;
	conf->volume_count = 1;
	disk->has_disk = !(p->opts.diskless & (1U << id));
	disk->al_extents = AL_EXTENTS_DEFAULT;
	disk->resync_rate_kib = 250;
	disk->c_plan_ahead_ds = 20;
	disk->c_delay_target_ds = 10;
	disk->c_fill_target_sectors = 100;
	disk->c_max_rate_kib = 1U << 20;
	for (unsigned i = 0; i < p->nodes; i++) {
		if (i != id)
			conf_peer(p, &conf->peers[conf->peer_count++], i);
	}
	conf->requests_max = 1024;
	conf->request_bytes_max = 64U << 20;
	conf->peer_requests_max = 2048;
	conf->crypto.ctx = p;
	conf->crypto.random = random_bytes;
	conf->crypto.hmac = toy_hmac;
	if (p->opts.verbose) {
		conf->log = log_line;
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
	n->head = NULL;
	n->tail = &n->head;
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

		s->sectors = opts->sectors[i] ? opts->sectors[i] : PAIR_SECTORS;
		s->tags = calloc(s->sectors, sizeof(*s->tags));
		s->words = (s->sectors / BM_BLOCK_SECTORS + 63) / 64 + 1;
		for (unsigned slot = 0; slot < SLOTS; slot++) {
			s->slot[slot] = calloc(s->words, 8);
			p->node[i].slot[slot] = calloc(s->words, 8);
		}
		conf_node(p, i);
		node_start(p, i);
	}
	return p;
}

static void node_stop(struct node *n)
{
	while (n->head) {
		struct local *l = n->head;

		n->head = l->next;
		free(l);
	}
	n->tail = &n->head;
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
				queue_drop(p, &p->queue[a][b][s]);
		}
		node_stop(&p->node[a]);
		free(p->node[a].store.tags);
		for (unsigned slot = 0; slot < SLOTS; slot++) {
			free(p->node[a].store.slot[slot]);
			free(p->node[a].slot[slot]);
		}
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
	step(p, node, &ev);
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
	step(p, node, &ev);
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
	struct payload pl = blob_new(p, sectors);

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
	submit(p, node, OP_WRITE, sector, sectors, tagged(p, sectors, tag), ++p->cookie);
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
	streams_down(p, a, b);
	streams_down(p, b, a);
}

void pair_heal(struct pair *p, unsigned a, unsigned b)
{
	p->cut[a][b] = p->cut[b][a] = false;
	match_connections(p);
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
		streams_down(p, i, node);
		streams_down(p, node, i);
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

void pair_inject(struct pair *p, unsigned from, unsigned to, enum stream stream,
		 const struct pkt *pkt)
{
	pkt_push(p, from, to, stream, pkt);
}

unsigned pair_sent(const struct pair *p, unsigned a, unsigned b, enum packet type)
{
	return (unsigned)type < PKT_TYPES ? p->node[a].sent[b][type] : 0;
}

/* ---- questions ---- */

bool pair_same(const struct pair *p, unsigned a, unsigned b)
{
	const struct store *x = &p->node[a].store, *y = &p->node[b].store;
	uint64_t sectors = x->sectors < y->sectors ? x->sectors : y->sectors;

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

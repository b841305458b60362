/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The world of cores wired together: payload, queues of
 * packets, connections, disks, metadata, actions. */
#include "core_pair_int.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

uint64_t world_next_random(struct pair *p)
{
	uint64_t z = (p->rng += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

void world_random_bytes(void *ctx, void *out, size_t bytes)
{
	uint8_t *b = out;

	for (size_t i = 0; i < bytes; i++)
		b[i] = (uint8_t)world_next_random(ctx);
}

/* Stands in for an HMAC: depends on algorithm, key and message. */
size_t world_toy_hmac(void *ctx, const char *alg, const void *key, size_t key_bytes,
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

size_t world_digest_bytes(void *ctx, const char *alg)
{
	(void)ctx;
	return !strcmp(alg, "crc32c") || !strcmp(alg, "sha1") ? 8 : 0;
}

static bool all_zero(const uint64_t *tags, uint32_t sectors)
{
	for (uint32_t i = 0; i < sectors; i++) {
		if (tags[i])
			return false;
	}
	return true;
}

/* Of tags, in place of what they stand for. */
static void digest_of(const char *alg, const uint64_t *tags, uint32_t sectors, uint8_t *out)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325) + (uint8_t)alg[0];

	for (uint32_t i = 0; i < sectors; i++)
		h = (h ^ tags[i]) * UINT64_C(0x100000001b3) + i;
	memcpy(out, &h, sizeof(h));
}

void world_log_line(void *ctx, enum log_level level, const char *line)
{
	const struct node *n = ctx;

	fprintf(stderr, "%d.%u %s\n", (int)level, n->conf.node_id, line);
}

/* ---- payload ---- */

struct payload world_blob_new(struct pair *p, uint32_t sectors)
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
	assert_fail("payloads leak", __FILE__, __LINE__);
}

static void blob_get(struct pair *p, struct payload pl)
{
	if (pl.id)
		p->blob[pl.id].refs++;
}

void world_blob_put(struct pair *p, struct payload pl)
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

struct msg *world_queue_pop(struct queue *q)
{
	struct msg *m = q->head;

	q->head = m->next;
	if (!q->head)
		q->tail = &q->head;
	return m;
}

void world_msg_free(struct msg *m)
{
	free(m->var);
	free(m);
}

void world_queue_drop(struct pair *p, struct queue *q)
{
	while (q->head) {
		struct msg *m = world_queue_pop(q);

		world_blob_put(p, m->pkt.payload);
		world_msg_free(m);
	}
}

void world_pkt_push(struct pair *p, unsigned from, unsigned to, unsigned stream,
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

void world_match_connections(struct pair *p)
{
	for (unsigned a = 0; a < p->nodes; a++) {
		for (unsigned b = a + 1; b < p->nodes; b++) {
			struct node *x = &p->node[a], *y = &p->node[b];
			struct core_event ev = { .kind = EV_STREAMS_UP };

			if (!x->attempt[b] || !y->attempt[a] || x->streams[b] || y->streams[a] ||
			    p->cut[a][b] || !x->up || !y->up)
				continue;
			for (unsigned s = 0; s < STREAM_COUNT; s++) {
				world_queue_drop(p, &p->queue[a][b][s]);
				world_queue_drop(p, &p->queue[b][a][s]);
			}
			x->streams[b] = x->up_pending[b] = true;
			y->streams[a] = y->up_pending[a] = true;
			ev.u.streams.peer = (uint8_t)b;
			ev.u.streams.resolve_conflicts = true;
			event_queue_push(&x->local, &ev);
			ev.u.streams.peer = (uint8_t)a;
			ev.u.streams.resolve_conflicts = false;
			event_queue_push(&y->local, &ev);
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
		world_queue_drop(p, &p->queue[peer][node][s]);
	push_down(p, node, peer);
}

void world_streams_down(struct pair *p, unsigned node, unsigned peer)
{
	struct node *n = &p->node[node];
	struct core_event ev = { .kind = EV_STREAMS_DOWN };

	for (unsigned s = 0; s < STREAM_COUNT; s++)
		world_queue_drop(p, &p->queue[peer][node][s]);
	if (!n->streams[peer])
		return;
	n->streams[peer] = false;
	n->attempt[peer] = false;
	n->up_pending[peer] = false;
	ev.u.streams.peer = (uint8_t)peer;
	ev.u.streams.reason = "the connection was cut";
	if (n->up)
		event_queue_push(&n->local, &ev);
}

/* ---- disk and metadata ---- */

static void disk_action(struct pair *p, struct node *n, const struct core_action *a)
{
	const struct ac_disk *d = &a->u.disk;
	struct core_event ev = { .kind = EV_DISK_DONE };
	uint32_t sectors = d->bytes / SECTOR_BYTES;
	uint8_t digest[DIGEST_MAX_BYTES];

	ev.u.done.tag = d->tag;
	if (n->broken) {
		ev.u.done.error = -EIO;
		event_queue_push(&n->local, &ev);
		return;
	}
	if (a->kind != AC_DISK_FLUSH)
		ASSERT(d->sector + sectors <= n->store.md.sectors);
	switch (a->kind) {
	case AC_DISK_READ:
		if (d->find_zeroes && all_zero(n->store.tags + d->sector, sectors)) {
			ev.u.done.zeroes = true;
			break;
		}
		ev.u.done.payload = world_blob_new(p, sectors);
		memcpy(p->blob[ev.u.done.payload.id].tags, n->store.tags + d->sector,
		       sectors * sizeof(uint64_t));
		if (d->digest_alg) {
			digest_of(d->digest_alg, n->store.tags + d->sector, sectors, digest);
			ev.u.done.digest = digest;
			ev.u.done.digest_bytes = 8;
		}
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
	event_queue_push(&n->local, &ev);
}

static void meta_action(struct node *n, const struct core_action *a)
{
	struct core_event ev = { .kind = EV_META_DONE };

	ev.u.done.tag = a->u.meta.tag;
	if (n->broken)
		ev.u.done.error = -EIO;
	else
		md_memory_write(&n->store.md, a);
	event_queue_push(&n->local, &ev);
}

static void attach_action(struct node *n, uint16_t vnr)
{
	struct core_event ev = md_memory_attach(&n->store.md, vnr);

	if (n->broken)
		ev.u.attached.error = -EIO;
	event_queue_push(&n->local, &ev);
}

/* ---- actions ---- */

static void send_bitmap(struct pair *p, unsigned from, const struct ac_send_bitmap *b)
{
	uint64_t bytes = (b->bits + 63) / 64 * 8;
	struct pkt pkt = { .type = P_BITMAP, .vnr = b->vnr };

	for (uint64_t at = 0; at < bytes; at += CHUNK_BYTES) {
		pkt.var = (const uint8_t *)b->words + at;
		pkt.var_bytes = (uint32_t)(bytes - at < CHUNK_BYTES ? bytes - at : CHUNK_BYTES);
		world_pkt_push(p, from, b->peer, STREAM_DATA, &pkt);
	}
	pkt.var = NULL;
	pkt.var_bytes = 0;
	world_pkt_push(p, from, b->peer, STREAM_DATA, &pkt);
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
	world_blob_put(p, c->payload);
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
		world_pkt_push(p, node, a->u.send.peer, a->u.send.stream, &a->u.send.pkt);
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
	case AC_SAVE:
		n->save_tag = a->u.disk.tag;
		return;
	case AC_META_SUPER:
	case AC_META_AL:
	case AC_META_BITMAP:
	case AC_META_FLUSH:
		meta_action(n, a);
		return;
	case AC_ATTACH:
		attach_action(n, a->u.attach.vnr);
		return;
	case AC_RESIZE: {
		struct core_event ev = md_memory_resize(&n->store.md, &a->u.resize);

		event_queue_push(&n->local, &ev);
		return;
	}
	case AC_DETACH: {
		struct core_event ev = { .kind = EV_DETACHED };

		ev.u.detached_vnr = a->u.vnr;
		event_queue_push(&n->local, &ev);
		return;
	}
	case AC_BUF_PUT:
		world_blob_put(p, a->u.payload);
		return;
	case AC_REPLY:
		p->reply[p->reply_count++ % REPLIES_MAX] =
			(struct reply){ a->u.reply.cookie, a->u.reply.rc };
		snprintf(p->text, sizeof(p->text), "%s", a->u.reply.text);
		return;
	case AC_SIZE:
		if (a->u.size.vnr == 0)
			p->node[node].local_reads = a->u.size.local_reads;
		return;
	case AC_HANDLER:
		ASSERT(n->call_count < PAIR_CALLS_MAX);
		n->calls[n->call_count++] = a->u.handler;
		return;
	case AC_NOTIFY:
		return;
	}
}

/* Between steps a driver may rely on what it was told last. */
static void check_local_reads(const struct node *n)
{
	struct core *core = n->core;
	const struct volume *vol = core_volume_in_use(core, 0);

	if (!vol)
		return;
	if (core->st.vol[vol->v].disk != DISK_UP_TO_DATE || vol->io_failed ||
	    vol->conf->disk.read_balancing != READ_PREFER_LOCAL || core->st.susp_user ||
	    core->st.susp_nod || core->st.susp_quorum || core->st.susp_uuid ||
	    core->st.susp_fen)
		ASSERT(!n->local_reads);
	else
		ASSERT(n->local_reads);
}

void world_step(struct pair *p, unsigned node, struct core_event *ev)
{
	struct core_action a;

	ev->now_ns = p->now_ns;
	core_step(p->node[node].core, ev);
	while (core_next(p->node[node].core, &a))
		act(p, node, &a);
	check_local_reads(&p->node[node]);
	world_match_connections(p);
}

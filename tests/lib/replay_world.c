/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The world of the replayed node: payload, disk and metadata in memory, actions, virtual time. */
#include <errno.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "net/net_int.h"
#include "replay_int.h"

/* ---- payload ---- */

struct payload replay_payload(struct replay *r, const uint8_t *data, uint32_t bytes)
{
	for (unsigned i = 0; i < REPLAY_BUFS; i++) {
		uint32_t id = 1 + r->buf_next++ % (REPLAY_BUFS - 1);
		struct replay_buf *b = &r->buf[id];

		if (b->refs)
			continue;
		b->refs = 1;
		b->bytes = bytes;
		b->data = malloc(bytes);
		memcpy(b->data, data, bytes);
		return (struct payload){ .id = id, .bytes = bytes };
	}
	ASSERT(false); /* payloads leak */
	abort();
}

static void payload_put(struct replay *r, struct payload pl)
{
	struct replay_buf *b = &r->buf[pl.id];

	if (!pl.id)
		return;
	ASSERT(b->refs);
	if (--b->refs == 0) {
		free(b->data);
		b->data = NULL;
	}
}

/* ---- crypto ---- */

static size_t hmac(void *ctx, const char *alg, const void *key, size_t key_bytes, const void *msg,
		   size_t msg_bytes, uint8_t out[64])
{
	const EVP_MD *md = EVP_get_digestbyname(alg);
	unsigned n = 0;

	(void)ctx;
	if (!md || !HMAC(md, key, (int)key_bytes, msg, msg_bytes, out, &n))
		return 0;
	return n;
}

static size_t digest_bytes(void *ctx, const char *alg)
{
	struct net_digest how;

	(void)ctx;
	return net_digest_set(&how, alg) ? how.bytes : 0;
}

/* The recorded challenge of this node, where one is due; else a stream of numbers. */
static void random_bytes(void *ctx, void *out, size_t bytes)
{
	struct replay *r = ctx;
	uint8_t *b = out;

	for (unsigned i = r->at; bytes == AUTH_CHALLENGE_BYTES && i < r->cap->packet_count; i++) {
		const struct capture_packet *p = &r->cap->packets[i];
		struct wire_header h;
		size_t need;

		if (p->from != r->rc->us || !p->n ||
		    wire_decode_header(p->bytes, p->n, &h, &need) || h.type != P_AUTH_CHALLENGE)
			continue;
		memcpy(out, p->bytes + need, bytes);
		return;
	}
	for (size_t i = 0; i < bytes; i++) {
		r->rng = r->rng * UINT64_C(6364136223846793005) + 1442695040888963407U;
		b[i] = (uint8_t)(r->rng >> 56);
	}
}

static void log_line(void *ctx, enum log_level level, const char *line)
{
	const struct replay *r = ctx;

	if (getenv("REPLAY_VERBOSE"))
		printf("  %9.4f log%d %s\n", (double)(r->now_ns - r->base_ns) / 1e9, (int)level,
		       line);
}

/* ---- disk and metadata ---- */

static bool any_link_up(const struct replay *r)
{
	for (unsigned i = 0; i < NODES_MAX; i++) {
		if (r->link[i].up)
			return true;
	}
	return false;
}

void replay_release_writes(struct replay *r)
{
	event_queue_append(&r->local, &r->held);
}

static void disk_action(struct replay *r, const struct core_action *a)
{
	const struct ac_disk *d = &a->u.disk;
	struct core_event ev = { .kind = EV_DISK_DONE };
	uint8_t *at = r->store.data + d->sector * SECTOR_BYTES;
	uint8_t digest[DIGEST_MAX_BYTES];
	struct net_digest how = { .bytes = 0 };

	ev.u.done.tag = d->tag;
	if (a->kind != AC_DISK_FLUSH)
		ASSERT(d->sector + d->bytes / SECTOR_BYTES <= r->store.md.sectors);
	if (a->kind == AC_DISK_READ && d->digest_alg) {
		ASSERT(net_digest_set(&how, d->digest_alg));
		net_digest_of(&how, at, d->bytes, digest);
		ev.u.done.digest = digest;
		ev.u.done.digest_bytes = how.bytes;
	}
	if (a->kind == AC_DISK_READ && d->find_zeroes && !at[0] &&
	    !memcmp(at, at + 1, d->bytes - 1))
		ev.u.done.zeroes = true;
	else if (a->kind == AC_DISK_READ)
		ev.u.done.payload = replay_payload(r, at, d->bytes);
	else if (a->kind == AC_DISK_WRITE)
		memcpy(at, r->buf[d->payload.id].data, d->bytes);
	else if (a->kind != AC_DISK_FLUSH)
		memset(at, 0, d->bytes);
	if (a->kind != AC_DISK_READ && a->kind != AC_DISK_FLUSH &&
	    tag_kind(d->tag) == TAG_REQUEST && any_link_up(r))
		/* The epoch ends when the first write of it does: as in the recording. */
		event_queue_push(&r->held, &ev);
	else
		event_queue_push(&r->local, &ev);
}

static void meta_action(struct replay *r, const struct core_action *a)
{
	struct core_event ev = { .kind = EV_META_DONE };

	ev.u.done.tag = a->u.meta.tag;
	md_memory_write(&r->store.md, a);
	event_queue_push(&r->local, &ev);
}

/* ---- actions ---- */

static void sent(struct replay *r, unsigned peer, unsigned stream, uint8_t *bytes, size_t n)
{
	replay_sent(r, replay_pkt_new(&r->link[peer].tx, peer, stream, bytes, n));
}

static void send_action(struct replay *r, const struct ac_send *s)
{
	static uint8_t bytes[WIRE_PACKET_MAX_BYTES + BIO_MAX_BYTES];
	struct replay_link *link = &r->link[s->peer];
	uint8_t digest[WIRE_DIGEST_MAX_BYTES];
	struct pkt pkt = s->pkt;
	size_t n;

	if (!link->up)
		return;
	if (pkt.payload.id && link->tx.integrity_bytes) {
		struct net_digest how;
		const struct replay_buf *b = &r->buf[pkt.payload.id];

		ASSERT(net_digest_set(&how, r->rc->integrity_alg));
		net_digest_of(&how, b->data, pkt.payload.bytes, digest);
		pkt.var = digest;
		pkt.var_bytes = link->tx.integrity_bytes;
	}
	n = wire_encode(&link->tx, &pkt, bytes, WIRE_PACKET_MAX_BYTES);
	if (!n) {
		replay_note(r, DIFF_EXTRA, packet_name(s->pkt.type) + 2, "",
			    "does not exist in the agreed protocol");
		return;
	}
	if (s->pkt.payload.id) {
		memcpy(bytes + n, r->buf[s->pkt.payload.id].data, s->pkt.payload.bytes);
		n += s->pkt.payload.bytes;
	}
	sent(r, s->peer, s->stream, bytes, n);
}

static void send_bitmap(struct replay *r, const struct ac_send_bitmap *b)
{
	uint8_t bytes[WIRE_PACKET_MAX_BYTES];
	uint64_t pos = 0;
	size_t n;

	while (r->link[b->peer].up &&
	       (n = wire_encode_bitmap(&r->link[b->peer].tx, b->vnr, b->words, b->bits, &pos, bytes,
				       sizeof(bytes))))
		sent(r, b->peer, STREAM_DATA, bytes, n);
}

static void act(struct replay *r, const struct core_action *a)
{
	struct core_event ev = { .kind = EV_DETACHED };

	switch (a->kind) {
	case AC_COMPLETE:
		r->outstanding--;
		payload_put(r, a->u.complete.payload);
		return;
	case AC_SEND:
		send_action(r, &a->u.send);
		return;
	case AC_SEND_BITMAP:
		send_bitmap(r, &a->u.send_bitmap);
		return;
	case AC_CONNECT:
		r->link[a->u.peer].attempt = true;
		return;
	case AC_DISCONNECT:
		r->link[a->u.peer].attempt = false;
		r->link[a->u.peer].up = false;
		replay_release_writes(r);
		return;
	case AC_DISK_READ:
	case AC_DISK_WRITE:
	case AC_DISK_DISCARD:
	case AC_DISK_ZEROES:
	case AC_DISK_FLUSH:
	case AC_SAVE:
		disk_action(r, a);
		return;
	case AC_META_SUPER:
	case AC_META_AL:
	case AC_META_BITMAP:
	case AC_META_FLUSH:
		meta_action(r, a);
		return;
	case AC_ATTACH:
		ev = md_memory_attach(&r->store.md, a->u.attach.vnr);
		event_queue_push(&r->local, &ev);
		return;
	case AC_RESIZE:
		ev = md_memory_resize(&r->store.md, &a->u.resize);
		event_queue_push(&r->local, &ev);
		return;
	case AC_DETACH:
		ev.u.detached_vnr = a->u.vnr;
		event_queue_push(&r->local, &ev);
		return;
	case AC_BUF_PUT:
		payload_put(r, a->u.payload);
		return;
	case AC_REPLY:
		if (a->u.reply.rc < SS_SUCCESS)
			replay_note(r, DIFF_FIELD, "command", "result", "%d %s", a->u.reply.rc,
				    a->u.reply.text);
		return;
	case AC_SIZE:
	case AC_NOTIFY:
	case AC_HANDLER: /* there are none */
		return;
	}
}

void replay_event(struct replay *r, struct core_event *ev)
{
	struct core_action a;

	ev->now_ns = r->now_ns;
	core_step(r->core, ev);
	while (core_next(r->core, &a))
		act(r, &a);
}

void replay_settle(struct replay *r)
{
	struct queued_event *l;

	while ((l = event_queue_pop(&r->local))) {
		replay_event(r, &l->ev);
		free(l);
	}
}

void replay_pass_until(struct replay *r, uint64_t ns)
{
	replay_settle(r);
	for (unsigned steps = 0; steps < 100000; steps++) {
		uint64_t t = core_deadline_ns(r->core);
		struct core_event ev = { .kind = EV_TIME };

		if (t > ns)
			break;
		if (t > r->now_ns)
			r->now_ns = t;
		replay_event(r, &ev);
		replay_settle(r);
	}
	if (ns > r->now_ns)
		r->now_ns = ns;
}

/* ---- begin and end ---- */

void replay_init(struct replay *r)
{
	r->rng = 7;
	event_queue_init(&r->local);
	event_queue_init(&r->held);
	r->conf.crypto = (struct core_crypto){ .ctx = r, .random = random_bytes, .hmac = hmac,
					       .digest_bytes = digest_bytes };
	r->conf.log = log_line;
	r->conf.log_ctx = r;
}

void replay_start(struct replay *r)
{
	size_t bytes = core_mem_bytes(&r->conf);

	r->mem = aligned_alloc(64, (bytes + 63) / 64 * 64);
	r->core = core_create(&r->conf, r->mem, bytes);
}

void replay_stop(struct replay *r)
{
	event_queue_drop(&r->local);
	event_queue_drop(&r->held);
	for (unsigned i = 0; i < NODES_MAX; i++)
		r->link[i].attempt = r->link[i].up = false;
	for (unsigned i = 0; i < REPLAY_BUFS; i++) {
		free(r->buf[i].data);
		r->buf[i] = (struct replay_buf){ 0 };
	}
	r->outstanding = 0;
	free(r->mem);
	r->mem = NULL;
	r->core = NULL;
}

void replay_close(struct replay *r)
{
	replay_stop(r);
	free(r->store.data);
	md_memory_free(&r->store.md);
}

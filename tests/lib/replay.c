/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Goes through a recording: feeds the peers' packets, does what was done there, matches ours. */
#include "replay.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "net/net_int.h"
#include "replay_int.h"

#define PATIENCE_NS (1500 * NS_PER_MS)
#define RESYNC_PATIENCE_NS (120 * NS_PER_S)
#define CONNECT_PATIENCE_NS (30 * NS_PER_S)
#define LATE_PATIENCE_NS (500 * NS_PER_MS)

static bool verbose(void)
{
	return getenv("REPLAY_VERBOSE") != NULL;
}

static void say(const struct replay *r, const char *mark, const struct replay_pkt *p)
{
	if (verbose())
		printf("  %9.4f %s %u %c %s\n", (double)(r->now_ns - r->base_ns) / 1e9, mark,
		       p->peer, p->stream == STREAM_DATA ? 'd' : 'c', p->text);
}

/* ---- matching ---- */

/* Pings are for whoever wants to know; the answers are those of the recorded peer's kind. */
static void answer_ping(struct replay *r, unsigned peer)
{
	static const struct pkt ack = { .type = P_PING_ACK, .vnr = VNR_NONE };
	struct core_event ev = { .kind = EV_PKT };

	ev.u.pkt.peer = (uint8_t)peer;
	ev.u.pkt.stream = STREAM_CONTROL;
	ev.u.pkt.pkt = &ack;
	event_queue_push(&r->local, &ev);
}

static bool is_change_request(unsigned type)
{
	return type == P_STATE_CHG_REQ || type == P_CONN_ST_CHG_REQ;
}

/* The real node asks for the same, now or next. */
static bool is_change_ahead(const struct replay *r, const struct pkt_change *change)
{
	for (unsigned i = r->at; i < r->cap->packet_count; i++) {
		const struct capture_packet *c = &r->cap->packets[i];
		struct decoded d;

		if (c->from != r->rc->us || !c->n ||
		    decode_packet(&r->agreed, STREAM_DATA, c->bytes, c->n, &d) ||
		    !is_change_request(d.pkt.type))
			continue;
		return d.pkt.u.change.mask == change->mask && d.pkt.u.change.val == change->val;
	}
	return false;
}

/* 8.4 does not ask before a demotion, and agrees to every one. */
static void answer_change(struct replay *r, const struct replay_pkt *p)
{
	static struct pkt reply;
	struct core_event ev = { .kind = EV_PKT };

	reply = (struct pkt){ .vnr = p->d.pkt.vnr };
	reply.type = p->d.pkt.type == P_STATE_CHG_REQ ? P_STATE_CHG_REPLY : P_CONN_ST_CHG_REPLY;
	reply.u.change_result = SS_SUCCESS;
	ev.u.pkt.peer = p->peer;
	ev.u.pkt.stream = STREAM_CONTROL;
	ev.u.pkt.pkt = &reply;
	event_queue_push(&r->local, &ev);
}

static void mark(uint8_t *map, const struct replay *r, uint64_t sector, uint32_t bytes)
{
	for (uint64_t s = sector; map && s < sector + bytes / SECTOR_BYTES; s++) {
		if (s < r->store.md.sectors)
			map[s] = 1;
	}
}

static bool is_resync_request(unsigned type)
{
	return type == P_RS_DATA_REQUEST || type == P_RS_DAGTAG_REQ ||
	       type == P_RS_THIN_DAGTAG_REQ || type == P_RS_THIN_REQ ||
	       type == P_CSUM_RS_REQUEST || type == P_RS_CSUM_DAGTAG_REQ;
}

static bool is_digest(unsigned type)
{
	return type == P_OV_REPLY || type == P_OV_DAGTAG_REPLY;
}

static bool is_repeated(char told[2][REPLAY_TEXT], const struct replay_pkt *p)
{
	unsigned type = p->d.pkt.type;
	char *last = told[type == P_STATE];

	if ((type != P_STATE && type != P_UUIDS110 && type != P_UUIDS) ||
	    p->d.pkt.vnr == VNR_NONE)
		return false;
	if (!strcmp(last, p->text))
		return true;
	memcpy(last, p->text, REPLAY_TEXT);
	return false;
}

void replay_sent(struct replay *r, struct replay_pkt *p)
{
	struct replay_link *link = &r->link[p->peer];

	p->at_ns = r->now_ns;
	pkt_normalise(r, p);
	say(r, "-->", p);
	if (is_repeated(link->told_own, p)) {
		replay_pkt_free(p);
		return;
	}
	if (p->d.pkt.type == P_PEER_ACK) {
		link->acked_own = p->d.pkt.u.dagtag;
		replay_pkt_free(p);
		return;
	}
	if (is_change_request(p->d.pkt.type) && !is_change_ahead(r, &p->d.pkt.u.change)) {
		answer_change(r, p);
		replay_pkt_free(p);
		return;
	}
	if (p->d.pkt.type == P_PING) {
		if (r->now_ns <= link->last_ns)
			answer_ping(r, p->peer);
		replay_pkt_free(p);
		return;
	}
	if (p->d.pkt.type == P_RS_WRITE_ACK) {
		/* Of our own requests, which differ in size: compared as a whole. */
		mark(link->acked_ranges, r, p->d.pkt.u.block.sector, p->d.pkt.u.block.bytes);
		replay_pkt_free(p);
		return;
	}
	if (is_resync_request(p->d.pkt.type)) {
		mark(link->wanted_own, r, p->d.pkt.u.block.sector, p->d.pkt.u.block.bytes);
		list_append(&link->asked, p);
		return;
	}
	if (p->d.pkt.type == P_OV_REQUEST || p->d.pkt.type == P_OV_DAGTAG_REQ)
		list_append(&link->digest_asked,
			    replay_pkt_new(&link->tx, p->peer, p->stream, p->bytes, p->n));
	list_append(&r->out, p);
}

/* What we sent before `got`, and the real node after it. */
static void note_order(struct replay *r, const struct replay_pkt *got)
{
	for (struct replay_pkt *p = r->out.head; p != got; p = p->next) {
		if (p->peer == got->peer && p->stream == got->stream && !p->overtaken_by)
			p->overtaken_by = (uint16_t)(1 + got->d.pkt.type);
	}
	if (got->overtaken_by)
		replay_note(r, DIFF_ORDER, packet_name(got->d.pkt.type) + 2,
			    packet_name(got->overtaken_by - 1U) + 2, "\"%s\"", got->text);
}

static bool match_one(struct replay *r, struct replay_pkt *want)
{
	struct replay_pkt *got = NULL;
	unsigned best = 0;

	for (struct replay_pkt *p = r->out.head; p; p = p->next) {
		unsigned likeness = pkt_same_kind(r, want, p) ? 1 + pkt_likeness(want, p) : 0;

		if (likeness > best) {
			best = likeness;
			got = p;
		}
	}
	if (!got)
		return false;
	note_order(r, got);
	pkt_compare(r, want, got);
	list_remove(&r->out, got);
	replay_pkt_free(got);
	return true;
}

static void match_all(struct replay *r)
{
	struct replay_pkt *next;

	for (struct replay_pkt *p = r->want.head; p; p = next) {
		next = p->next;
		if (match_one(r, p)) {
			list_remove(&r->want, p);
			replay_pkt_free(p);
		}
	}
}

/* What has waited too long, or can not come any more. */
static void give_up(struct replay *r, unsigned peer, uint64_t older_than)
{
	struct replay_pkt *next;

	for (struct replay_pkt *p = r->want.head; p; p = next) {
		next = p->next;
		if (p->at_ns > older_than || (peer != NODES_MAX && p->peer != peer))
			continue;
		replay_note(r, DIFF_MISSING, packet_name(p->d.pkt.type) + 2, "", "%s", p->text);
		r->result->expected++;
		list_remove(&r->want, p);
		replay_pkt_free(p);
	}
	for (struct replay_pkt *p = r->out.head; p; p = next) {
		next = p->next;
		if (p->at_ns > older_than || (peer != NODES_MAX && p->peer != peer))
			continue;
		replay_note(r, DIFF_EXTRA, packet_name(p->d.pkt.type) + 2, "", "%s", p->text);
		list_remove(&r->out, p);
		replay_pkt_free(p);
	}
}

/* ---- the peers' packets ---- */

static bool all_arrived(const struct replay_link *link, const struct pkt_block *b)
{
	for (uint64_t s = b->sector; s < b->sector + b->bytes / SECTOR_BYTES; s++) {
		if (!link->arrived[s])
			return false;
	}
	return true;
}

/* The target chooses the sizes of its requests: ours are answered with what was sent there. */
static void answer_requests(struct replay *r, unsigned peer)
{
	struct replay_link *link = &r->link[peer];
	struct replay_pkt *next;

	for (struct replay_pkt *p = link->asked.head; p; p = next) {
		const struct pkt_block *b = &p->d.pkt.u.block;
		struct pkt pkt = { .type = P_RS_DATA_REPLY, .vnr = p->d.pkt.vnr };
		struct core_event ev = { .kind = EV_PKT };

		next = p->next;
		if (!all_arrived(link, b))
			continue;
		pkt.u.block = (struct pkt_block){ .sector = b->sector, .block_id = b->block_id,
						  .bytes = b->bytes };
		pkt.payload = replay_payload(r, link->content + b->sector * SECTOR_BYTES, b->bytes);
		ev.u.pkt.peer = (uint8_t)peer;
		ev.u.pkt.stream = STREAM_DATA;
		ev.u.pkt.pkt = &pkt;
		list_remove(&link->asked, p);
		replay_event(r, &ev);
		replay_settle(r);
		replay_pkt_free(p);
		next = link->asked.head;
	}
}

/* A verify goes at our pace: recorded digests wait for our requests, or these for them. */
static void answer_digests(struct replay *r, unsigned peer)
{
	struct replay_link *link = &r->link[peer];
	struct replay_pkt *asked, *next;

	for (asked = link->digest_asked.head; asked; asked = next) {
		struct replay_pkt *p = list_find_block(&link->digests, &asked->d.pkt.u.block);
		struct core_event ev = { .kind = EV_PKT };

		next = asked->next;
		if (!p)
			continue;
		list_remove(&link->digests, p);
		list_remove(&link->digest_asked, asked);
		p->d.pkt.u.block.block_id = asked->d.pkt.u.block.block_id;
		ev.u.pkt.peer = p->peer;
		ev.u.pkt.stream = p->stream;
		ev.u.pkt.pkt = &p->d.pkt;
		say(r, "<--", p);
		r->result->fed++;
		replay_event(r, &ev);
		replay_settle(r);
		replay_pkt_free(p);
		replay_pkt_free(asked);
		next = link->digest_asked.head;
	}
}

static void resync_data(struct replay *r, unsigned peer, const struct replay_pkt *p)
{
	struct replay_link *link = &r->link[peer];
	const struct pkt_block *b = &p->d.pkt.u.block;
	uint8_t *at = link->content + b->sector * SECTOR_BYTES;

	if (p->d.payload_bytes)
		memcpy(at, p->bytes + p->n - p->d.payload_bytes, b->bytes);
	else
		memset(at, 0, b->bytes);
	mark(link->arrived, r, b->sector, b->bytes);
	answer_requests(r, peer);
}

static void feed_now(struct replay *r, struct replay_pkt *p)
{
	struct core_event ev = { .kind = EV_PKT };
	struct pkt pkt = p->d.pkt;
	uint32_t bytes = p->d.payload_bytes;

	say(r, "<--", p);
	switch (pkt.type) {
	case P_PING_ACK:
		return;
	case P_RS_DATA_REPLY:
	case P_RS_DEALLOCATED_ID:
		resync_data(r, p->peer, p);
		return;
	default:
		break;
	}
	pkt_translate(r, &pkt, &p->d.uuids);
	if (bytes) { /* the digest is the driver's */
		pkt.var = NULL;
		pkt.var_bytes = 0;
	}
	if (bytes)
		pkt.payload = replay_payload(r, p->bytes + p->n - bytes, bytes);
	ev.u.pkt.peer = p->peer;
	ev.u.pkt.stream = p->stream;
	ev.u.pkt.pkt = &pkt;
	r->result->fed++;
	replay_event(r, &ev);
	replay_settle(r);
}

static void feed(struct replay *r, struct replay_pkt *p)
{
	struct replay_list *late = &r->link[p->peer].late[p->stream];

	if (is_digest(p->d.pkt.type)) {
		list_append(&r->link[p->peer].digests, p);
		answer_digests(r, p->peer);
		return;
	}
	if (late->head || pkt_answers_later(r, &p->d.pkt)) {
		p->at_ns = r->now_ns;
		list_append(late, p);
		return;
	}
	feed_now(r, p);
	replay_pkt_free(p);
}

static void feed_late(struct replay *r)
{
	for (unsigned i = 0; i < NODES_MAX * STREAM_COUNT; i++) {
		struct replay_list *late = &r->link[i / STREAM_COUNT].late[i % STREAM_COUNT];

		while (late->head && (!pkt_answers_later(r, &late->head->d.pkt) ||
				      late->head->at_ns + LATE_PATIENCE_NS < r->now_ns)) {
			struct replay_pkt *p = late->head;

			list_remove(late, p);
			feed_now(r, p);
			replay_pkt_free(p);
		}
	}
}

/* ---- connections ---- */

static void forget_connection(struct replay *r, unsigned peer)
{
	struct replay_link *link = &r->link[peer];

	for (uint64_t s = 0; s < r->store.md.sectors; s++) {
		if (link->arrived[s] && link->wanted_own[s] && !link->acked_ranges[s]) {
			replay_note(r, DIFF_MISSING, "RS_WRITE_ACK", "", "sector %llu",
				    (unsigned long long)s);
			break;
		}
	}
	memset(link->acked_ranges, 0, r->store.md.sectors);
	for (uint64_t s = 0; s < r->store.md.sectors; s++) {
		if (link->wanted_own[s] != link->wanted_rec[s]) {
			replay_note(r, DIFF_FIELD, "RS_DATA_REQUEST", "range",
				    "sector %llu: %s", (unsigned long long)s,
				    link->wanted_own[s] ? "only we asked" : "we did not ask");
			break;
		}
	}
	if (link->acked_own.dagtag != link->acked_rec.dagtag ||
	    link->acked_own.mask != link->acked_rec.mask)
		replay_note(r, DIFF_FIELD, "PEER_ACK", "dagtag",
			    "last want %llu mask %llx got %llu mask %llx",
			    (unsigned long long)link->acked_rec.dagtag,
			    (unsigned long long)link->acked_rec.mask,
			    (unsigned long long)link->acked_own.dagtag,
			    (unsigned long long)link->acked_own.mask);
	link->acked_own = link->acked_rec = (struct pkt_dagtag){ 0 };
	memset(link->wanted_own, 0, r->store.md.sectors);
	memset(link->wanted_rec, 0, r->store.md.sectors);
	memset(link->arrived, 0, r->store.md.sectors);
	list_drop(&link->asked);
	list_drop(&link->digests);
	list_drop(&link->digest_asked);
}

static void link_down(struct replay *r, unsigned peer)
{
	struct replay_link *link = &r->link[peer];
	struct core_event ev = { .kind = EV_STREAMS_DOWN };

	match_all(r);
	for (unsigned s = 0; s < STREAM_COUNT; s++)
		list_drop(&link->late[s]);
	give_up(r, peer, UINT64_MAX);
	forget_connection(r, peer);
	if (!link->up)
		return;
	link->up = link->attempt = false;
	replay_release_writes(r);
	ev.u.streams.peer = (uint8_t)peer;
	ev.u.streams.reason = "the recorded connection ended";
	replay_event(r, &ev);
	replay_settle(r);
}

static uint64_t last_of(const struct replay *r, unsigned peer, unsigned connection)
{
	uint64_t last = 0;

	for (unsigned i = 0; i < r->cap->packet_count; i++) {
		const struct capture_packet *p = &r->cap->packets[i];

		if (p->from == peer && p->to == r->rc->us && p->connection == connection && p->n)
			last = p->time_ns;
	}
	return last;
}

static void link_up(struct replay *r, unsigned peer, unsigned connection)
{
	struct replay_link *link = &r->link[peer];
	struct core_event ev = { .kind = EV_STREAMS_UP };
	uint64_t until = r->now_ns + CONNECT_PATIENCE_NS, was = r->now_ns;

	if (link->up)
		link_down(r, peer);
	if (r->core->st.peer[peer].conn == CONN_STANDALONE)
		replay_command(r, CMD_CONNECT, peer, false);
	while (!link->attempt && r->now_ns < until)
		replay_pass_until(r, r->now_ns + 10 * NS_PER_MS);
	/* The pause before the next attempt is each node's own: the recording waits for ours. */
	r->base_ns += r->now_ns - was;
	memset(link->told_rec, 0, sizeof(link->told_rec));
	memset(link->told_own, 0, sizeof(link->told_own));
	link->up = true;
	link->connection = connection;
	link->last_ns = r->base_ns + last_of(r, peer, connection);
	link->rx = link->own = link->tx = (struct wire_ctx){ 0 };
	ev.u.streams.peer = (uint8_t)peer;
	/* The smaller address opens the control stream (wire-protocol 1.2). */
	ev.u.streams.resolve_conflicts = r->rc->us > peer;
	replay_event(r, &ev);
	replay_settle(r);
}

static void agree(struct replay *r, struct replay_link *link, struct pkt_features *f, bool ours)
{
	struct wire_ctx *recorded[] = { &link->rx, &link->own };

	for (unsigned i = 0; i < 2; i++) {
		struct wire_ctx *c = recorded[i];

		c->features = c->apv ? c->features & f->features : f->features;
		c->apv = c->apv && c->apv < f->protocol_max ? c->apv : f->protocol_max;
	}
	if (ours)
		return;
	if (r->rc->max_apv)
		f->protocol_max = r->rc->max_apv;
	if (r->rc->features)
		f->features = r->rc->features;
	link->tx.apv = f->protocol_max < APV_MAX ? f->protocol_max : APV_MAX;
	link->tx.features = f->features & FEATURES_OFFERED;
	if (r->rc->integrity_alg)
		link->tx.features &= ~FEATURE_WZEROES;
}

static uint32_t digest_bytes(const char *alg)
{
	struct net_digest how;

	return net_digest_set(&how, alg) ? how.bytes : 0;
}

static void follow(struct replay *r, struct replay_link *link, struct pkt *pkt, bool ours)
{
	if (pkt->type == P_CONNECTION_FEATURES)
		agree(r, link, &pkt->u.features, ours);
	if (pkt->type != P_PROTOCOL)
		return;
	if (ours)
		link->own.integrity_bytes = link->tx.integrity_bytes =
			digest_bytes(pkt->u.protocol.integrity_alg);
	else
		link->rx.integrity_bytes = digest_bytes(pkt->u.protocol.integrity_alg);
}

/* ---- records ---- */

static bool is_wanted(const struct replay *r, const struct replay_pkt *p)
{
	for (const struct replay_pkt *w = r->want.head; w; w = w->next) {
		if (w == p)
			return true;
	}
	return false;
}

/* As target of a resync or source of a verify; not if it waits for what is recorded later. */
static bool sets_the_pace(const struct replay *r)
{
	bool sets = false, waits = false;

	for (unsigned i = 0; i < r->conf.peer_count; i++) {
		enum repl_state repl = r->core->st.pd[r->conf.peers[i].node_id][0].repl;

		sets |= repl == REPL_SYNC_TARGET || repl == REPL_VERIFY_S;
	}
	for (const struct replay_pkt *p = r->out.head; p; p = p->next)
		waits |= p->d.pkt.type == P_FLUSH_REQUESTS;
	return sets && !waits;
}

/*
 * The pace of a resync is the target's own: the recording waits for ours to come to its end. `p`,
 * of this type, is gone when it has been matched.
 */
static void wait_for_resync(struct replay *r, const struct replay_pkt *p, unsigned type)
{
	uint64_t was = r->now_ns, until = was + RESYNC_PATIENCE_NS;

	if (type != P_FLUSH_REQUESTS && type != P_UUIDS110 && type != P_STATE)
		return;
	while (is_wanted(r, p) && sets_the_pace(r) && r->now_ns < until) {
		replay_pass_until(r, r->now_ns + 5 * NS_PER_MS);
		for (unsigned i = 0; i < r->conf.peer_count; i++) {
			answer_requests(r, r->conf.peers[i].node_id);
			answer_digests(r, r->conf.peers[i].node_id);
		}
		match_all(r);
	}
	r->base_ns += r->now_ns - was;
	for (unsigned i = 0; i < NODES_MAX; i++)
		r->link[i].last_ns += r->now_ns - was;
	for (struct replay_pkt *w = r->want.head; w; w = w->next)
		w->at_ns += r->now_ns - was;
	for (struct replay_pkt *o = r->out.head; o; o = o->next)
		o->at_ns = r->now_ns;
}

/* The others are taken for older ones than they were. */
static bool is_unknown(const struct replay *r, enum packet type)
{
	return type == P_ENABLE_REPLICATION_NEXT && r->rc->features &&
	       !(r->rc->features & FEATURE_RESYNC_WITHOUT_REPLICATION);
}

static void own_packet(struct replay *r, struct replay_pkt *p)
{
	uint64_t next;
	unsigned type = p->d.pkt.type;

	p->at_ns = r->now_ns;
	pkt_normalise(r, p);
	say(r, "###", p);
	if (type == P_BARRIER || type == P_PEER_ACK) {
		replay_release_writes(r);
		replay_settle(r);
	}
	if (type == P_PEER_ACK)
		r->link[p->peer].acked_rec = p->d.pkt.u.dagtag;
	if (type == P_PING || type == P_PEER_ACK || type == P_RS_WRITE_ACK || is_unknown(r, type) ||
	    is_resync_request(type) || is_repeated(r->link[p->peer].told_rec, p)) {
		if (is_resync_request(type))
			mark(r->link[p->peer].wanted_rec, r, p->d.pkt.u.block.sector,
			     p->d.pkt.u.block.bytes);
		replay_pkt_free(p);
		return;
	}
	/* 8.4 demotes itself without asking. */
	if (type == P_STATE && r->agreed.apv < 110 && r->core->st.role == ROLE_PRIMARY &&
	    (p->d.pkt.u.state & SW_ROLE_MASK) == ROLE_SECONDARY)
		replay_command(r, CMD_SECONDARY, 0, false);
	list_append(&r->want, p);
	match_all(r);
	if (!is_wanted(r, p))
		return;
	if (replay_inject(r, p)) {
		match_all(r);
		return;
	}
	next = r->now_ns + 2 * NS_PER_MS;
	replay_pass_until(r, next);
	match_all(r);
	wait_for_resync(r, p, type);
}

static void step(struct replay *r, const struct replay_step *s)
{
	switch (s->what) {
	case STEP_WRITE:
		replay_submit(r, OP_WRITE, s->sector, s->bytes,
			      r->image + s->sector * SECTOR_BYTES);
		return;
	case STEP_COMMAND:
		replay_command(r, s->cmd, s->peer, false);
		return;
	case STEP_CHANGE:
		for (uint32_t i = 0; i < s->bytes; i++) {
			size_t n = strlen(s->text), at = i % (n + 1);

			r->store.data[s->sector * SECTOR_BYTES + i] =
				(uint8_t)(at == n ? '\n' : s->text[at]);
		}
		return;
	case STEP_CRASH:
		replay_stop(r);
		return;
	case STEP_RESTART:
		replay_start(r);
		replay_command(r, CMD_ATTACH, 0, false);
		for (unsigned i = 0; i < r->conf.peer_count; i++)
			replay_command(r, CMD_CONNECT, r->conf.peers[i].node_id, false);
		return;
	}
}

static void steps_until(struct replay *r, uint64_t time_ns)
{
	while (r->next_step < r->rc->step_count) {
		const struct replay_step *s = &r->rc->steps[r->next_step];
		uint64_t at = s->at_ms * NS_PER_MS;

		if (at > time_ns)
			return;
		if (r->core)
			replay_pass_until(r, r->base_ns + at);
		step(r, s);
		r->next_step++;
	}
}

static bool stops_at(const struct replay *r, const struct capture_packet *c)
{
	struct wire_header h;
	const char *name;
	size_t need;

	if (r->rc->until_ms && c->time_ns >= r->rc->until_ms * NS_PER_MS)
		return true;
	if (!r->rc->stop_at || !c->n || wire_decode_header(c->bytes, c->n, &h, &need))
		return false;
	name = packet_name(h.type);
	return name && !strcmp(name + 2, r->rc->stop_at);
}

static void record(struct replay *r, const struct capture_packet *c)
{
	bool ours = c->from == r->rc->us;
	unsigned peer = ours ? c->to : c->from;
	struct replay_link *link = &r->link[peer];
	struct replay_pkt *p;

	if (stops_at(r, c)) {
		r->stopped = true;
		return;
	}
	if ((!ours && c->to != r->rc->us) || c->connection == CAPTURE_NO_CONNECTION ||
	    c->is_late ||
	    c->time_ns < r->rc->from_ms * NS_PER_MS)
		return;
	steps_until(r, c->time_ns);
	if (!r->core)
		return;
	replay_pass_until(r, r->base_ns + c->time_ns);
	match_all(r);
	if (r->now_ns > PATIENCE_NS)
		give_up(r, NODES_MAX, r->now_ns - PATIENCE_NS);
	if (!c->n) {
		if (link->connection == c->connection)
			link_down(r, peer);
		return;
	}
	if (link->connection != CAPTURE_NO_CONNECTION && c->connection < link->connection)
		return; /* the rest of one that is gone */
	if (link->connection != c->connection)
		link_up(r, peer, c->connection);
	p = replay_pkt_new(ours ? &link->own : &link->rx, peer, c->stream, c->bytes, c->n);
	follow(r, link, &p->d.pkt, ours);
	if (ours) {
		own_packet(r, p);
	} else {
		feed(r, p);
		match_all(r);
	}
	feed_late(r);
	match_all(r);
}

void replay_run(const struct replay_case *rc, const char *dir, bool is_text,
		struct replay_result *result)
{
	struct replay *r = calloc(1, sizeof(*r));
	char path[4096];

	ASSERT(r);
	memset(result, 0, sizeof(*result));
	snprintf(path, sizeof(path), "%s/%s.%s", dir, rc->file, is_text ? "txt" : "pcap");
	r->rc = rc;
	r->result = result;
	r->cap = is_text ? capture_read_text(path) : capture_read(path);
	capture_agreed(r->cap, &r->agreed);
	r->base_ns = r->now_ns = 100 * NS_PER_S;
	list_init_pkts(&r->out);
	list_init_pkts(&r->want);
	replay_prepare(r);
	replay_start(r);
	if (r->conf.volumes[0].disk.has_disk)
		replay_command(r, CMD_ATTACH, 0, false);
	if (rc->primary)
		replay_command(r, CMD_PRIMARY, 0, false);
	r->core->req.dagtag = rc->dagtag;
	for (unsigned i = 0; i < r->conf.peer_count; i++) {
		struct peer *peer = r->core->peer[r->conf.peers[i].node_id];

		for (unsigned v = 0; v < r->core->vol_count; v++)
			peer->pd[v].was_connected = rc->reconnects;
		replay_command(r, CMD_CONNECT, peer->id, false);
	}
	for (; r->at < r->cap->packet_count && !r->stopped; r->at++)
		record(r, &r->cap->packets[r->at]);
	if (r->core) {
		replay_pass_until(r, r->now_ns + 200 * NS_PER_MS);
		match_all(r);
	}
	if (!r->stopped)
		give_up(r, NODES_MAX, UINT64_MAX);
	result->stopped = r->stopped;
	replay_end(r);
	capture_free(r->cap);
	free(r);
}

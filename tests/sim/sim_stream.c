/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One direction of one stream: packets encoded to bytes, in flight, decoded on the other side. */
#include <stdlib.h>
#include <string.h>

#include "sim_net.h"

#define WINDOW_BYTES (256U << 10) /* beyond it EV_TX_DONE waits for the arrival */

static struct net_packet *packet_at(struct world *w, uint32_t index)
{
	return &w->net.packets[index - 1];
}

static uint32_t packet_get(struct world *w)
{
	struct net *net = &w->net;
	uint32_t i = net->free_head;

	if (i != 0) {
		net->free_head = net->packets[i - 1].next;
	} else {
		if (net->packet_count == net->packet_cap) {
			net->packet_cap = net->packet_cap ? net->packet_cap * 2 : 256;
			net->packets = realloc(net->packets,
					       net->packet_cap * sizeof(*net->packets));
			ASSERT(net->packets);
		}
		i = ++net->packet_count;
		memset(packet_at(w, i), 0, sizeof(struct net_packet));
	}
	packet_at(w, i)->bytes_used = 0;
	packet_at(w, i)->tags_used = 0;
	packet_at(w, i)->fin = false;
	packet_at(w, i)->tx_late = false;
	packet_at(w, i)->next = 0;
	return i;
}

static void packet_put(struct world *w, uint32_t index)
{
	packet_at(w, index)->next = w->net.free_head;
	w->net.free_head = index;
}

static uint64_t packet_bytes(const struct net_packet *p)
{
	return p->bytes_used + (uint64_t)p->tags_used * SECTOR_BYTES;
}

void stream_drop(struct world *w, struct net_stream *st, unsigned keep)
{
	uint32_t i = st->head, last = 0;

	if (keep >= st->count)
		return;
	for (unsigned n = 0; n < keep; n++) {
		last = i;
		i = packet_at(w, i)->next;
	}
	while (i != 0) {
		uint32_t next = packet_at(w, i)->next;

		if (!packet_at(w, i)->fin)
			sim_packet_count(packet_at(w, i)->type, PACKET_LOST);
		st->bytes_in_flight -= packet_bytes(packet_at(w, i));
		packet_put(w, i);
		i = next;
	}
	if (last != 0)
		packet_at(w, last)->next = 0;
	else
		st->head = 0;
	st->tail = last;
	st->count = keep;
}

/* The receiver must see that the rest is missing. */
static void expect_part(struct world *w, const struct net_packet *p)
{
	for (size_t n = 1; n < p->bytes_used; n++) {
		struct wire_header h;
		size_t need = 0;
		int error = wire_decode_header(p->bytes, n, &h, &need);

		if (error != WIRE_MORE && (error || need + h.length <= n))
			sim_fail(w, "%zu of %u bytes of packet 0x%x are taken for a packet", n,
				 p->bytes_used, p->type);
	}
}

void stream_cut(struct world *w, struct net_stream *st, unsigned keep)
{
	uint32_t i = st->head;

	for (unsigned n = 0; n < keep && i != 0; n++)
		i = packet_at(w, i)->next;
	if (i != 0 && !packet_at(w, i)->fin) {
		expect_part(w, packet_at(w, i));
		sim_packet_count(packet_at(w, i)->type, PACKET_CUT);
	}
	stream_drop(w, st, keep);
}

bool stream_quiet(const struct world *w, const struct net_stream *st)
{
	for (uint32_t i = st->head; i != 0; i = w->net.packets[i - 1].next) {
		const struct net_packet *p = &w->net.packets[i - 1];

		if (p->fin || (p->type != P_PING && p->type != P_PING_ACK))
			return false;
	}
	return true;
}

bool stream_has(const struct world *w, const struct net_stream *st, enum packet type)
{
	for (uint32_t i = st->head; i != 0; i = w->net.packets[i - 1].next) {
		if (!w->net.packets[i - 1].fin && w->net.packets[i - 1].type == type)
			return true;
	}
	return false;
}

/* ---- sending ---- */

static void tx_event(struct world *w, uint64_t key, uint64_t gen)
{
	struct net_conn *c = conn_of_key(w, key);
	unsigned side = (key >> 16) & 1, stream = (key >> 17) & 1;
	struct net_stream *st = &c->stream[side][stream];
	struct core_event ev = { .kind = EV_TX_DONE };

	if (c->gen != gen || node_holds(w, c->node[side], tx_event, key, gen))
		return;
	st->tx_pending = false;
	if (!c->told_up[side] || st->tx_done_bytes == 0)
		return;
	ev.u.tx.peer = c->node[!side];
	ev.u.tx.stream = (uint8_t)stream;
	ev.u.tx.bytes = (uint32_t)st->tx_done_bytes;
	st->tx_done_bytes = 0;
	node_step(w, c->node[side], &ev);
}

static void tx_account(struct world *w, struct net_conn *c, unsigned side, unsigned stream,
		       uint64_t bytes)
{
	struct net_stream *st = &c->stream[side][stream];

	st->tx_done_bytes += bytes;
	if (st->tx_pending)
		return;
	st->tx_pending = true;
	world_at(w, 20 * NS_US, tx_event, conn_key(c, side, stream), c->gen);
}

static void push(struct world *w, struct net_conn *c, unsigned side, unsigned stream, uint32_t i)
{
	struct net_stream *st = &c->stream[side][stream];
	struct net_packet *p = packet_at(w, i);
	uint64_t arrive = w->now_ns + 20 * NS_US;

	/* Mostly back to back, now and then the network takes its time. */
	if (st->head == 0 || prng_chance(&w->rng, 1, 4))
		arrive += prng_exp(&w->rng, w->params.net_latency_ns);
	if (arrive < st->last_arrive_ns)
		arrive = st->last_arrive_ns;
	p->arrive_ns = st->last_arrive_ns = arrive;
	st->bytes_in_flight += packet_bytes(p);
	p->tx_late = st->bytes_in_flight > WINDOW_BYTES;
	if (!p->tx_late && !p->fin)
		tx_account(w, c, side, stream, packet_bytes(p));
	if (st->tail != 0)
		packet_at(w, st->tail)->next = i;
	else
		st->head = i;
	st->tail = i;
	st->count++;
	stream_kick(w, c, side, stream);
}

void stream_push_fin(struct world *w, struct net_conn *c, unsigned side, unsigned stream)
{
	uint32_t i = packet_get(w);

	packet_at(w, i)->fin = true;
	push(w, c, side, stream, i);
}

static struct net_conn *sending_conn(struct world *w, unsigned node, unsigned peer, unsigned *side)
{
	struct net_conn *c;

	if (peer >= w->node_count || peer == node)
		sim_fail(w, "node %u sends to node %u, which does not exist", node, peer);
	c = simnet_conn(w, node, peer);
	*side = c->node[1] == node;
	if (!c->told_up[*side])
		sim_fail(w, "node %u sends to node %u without streams", node, peer);
	return c;
}

/* As it would be if the program were DRBD 8.4. */
static void features_of_8(struct pkt_features *f)
{
	f->protocol_max = f->protocol_min;
	f->features &= FEATURE_TRIM | FEATURE_THIN_RESYNC | FEATURE_WSAME | FEATURE_WZEROES;
}

/* What else the program would be than what it is. */
static void features_of_others(const struct world *w, struct pkt_features *f)
{
	if (w->params.drbd8)
		features_of_8(f);
	if (w->kernels)
		f->features &= ~FEATURE_DRBDFS;
}

/* Flags of this program alone. */
static void flags_of_others(const struct world *w, struct pkt_uuids *uuids)
{
	if (w->kernels > 1)
		uuids->flags &= ~((UINT64_C(1) << UUID_FLAG_UNALLOC_SHIFT) - UUID_FLAG_KEEPS_BITS);
}

static void agree(struct net_conn *c, unsigned side)
{
	const struct pkt_features *mine = &c->features[side], *theirs = &c->features[!side];

	if (!c->sent_features[side] || !c->got_features[side])
		return;
	c->ctx[side].apv = mine->protocol_max < theirs->protocol_max ? mine->protocol_max :
								       theirs->protocol_max;
	c->ctx[side].features = mine->features & theirs->features;
}

/* The bytes go on their way, or nowhere when the connection is cut. */
static void transmit(struct world *w, struct net_conn *c, unsigned side, unsigned stream,
		     const uint8_t *bytes, size_t n, uint16_t type, struct payload payload)
{
	uint32_t i = packet_get(w);
	struct net_packet *p = packet_at(w, i);

	if (p->bytes_cap < n) {
		p->bytes_cap = (uint32_t)n;
		p->bytes = realloc(p->bytes, n);
		ASSERT(p->bytes);
	}
	memcpy(p->bytes, bytes, n);
	p->bytes_used = (uint32_t)n;
	p->type = type;
	sim_hash_bytes(w, bytes, n);
	if (payload.id != 0) {
		uint32_t sectors = payload.bytes / SECTOR_BYTES;

		payload_io_get(w, c->node[side], payload);
		if (p->tags_cap < sectors) {
			p->tags_cap = sectors;
			p->tags = realloc(p->tags, sectors * sizeof(*p->tags));
			ASSERT(p->tags);
		}
		memcpy(p->tags, payload_tags(w, payload), sectors * sizeof(*p->tags));
		p->tags_used = sectors;
		sim_hash_bytes(w, p->tags, sectors * sizeof(*p->tags));
		payload_io_put(w, payload);
	}
	w->net.packets_sent++;
	sim_packet_count(type, PACKET_SENT);
	if (c->cut || c->side[!side] != SIDE_UP) {
		sim_packet_count(type, PACKET_LOST);
		tx_account(w, c, side, stream, packet_bytes(p));
		packet_put(w, i);
		return;
	}
	push(w, c, side, stream, i);
}

static void trace_packet(struct world *w, const char *what, unsigned node, unsigned peer,
			 unsigned stream, const struct pkt *pkt)
{
	char line[400];

	if (!w->trace)
		return;
	wire_format(pkt, line, sizeof(line));
	sim_trace(w, "node %u %s %u %s %s", node, what, peer,
		  stream == STREAM_DATA ? "data" : "ctrl", line);
}

void simnet_send(struct world *w, unsigned node, const struct ac_send *ac)
{
	static uint8_t buf[WIRE_PACKET_MAX_BYTES];
	unsigned side;
	struct net_conn *c = sending_conn(w, node, ac->peer, &side);
	size_t n;

	trace_packet(w, "->", node, ac->peer, ac->stream, &ac->pkt);
	n = wire_encode(&c->ctx[side], &ac->pkt, buf, sizeof(buf));
	if (n == 0)
		sim_fail(w, "node %u: %s to node %u cannot be encoded (apv %u)", node,
			 packet_name(ac->pkt.type) ? packet_name(ac->pkt.type) : "packet", ac->peer,
			 c->ctx[side].apv);
	if (ac->pkt.type == P_BARRIER)
		oracle_barrier_sent(w, &c->barriers[side], ac->pkt.u.barrier.number);
	transmit(w, c, side, ac->stream, buf, n, ac->pkt.type, ac->pkt.payload);
	if (ac->pkt.type == P_CONNECTION_FEATURES) {
		c->sent_features[side] = true;
		c->features[side] = ac->pkt.u.features;
		features_of_others(w, &c->features[side]);
		agree(c, side);
	}
}

void simnet_send_bitmap(struct world *w, unsigned node, const struct ac_send_bitmap *ac)
{
	static uint8_t buf[WIRE_PACKET_MAX_BYTES];
	unsigned side;
	struct net_conn *c = sending_conn(w, node, ac->peer, &side);
	uint64_t pos = 0;
	size_t n;

	sim_trace(w, "node %u -> %u data bitmap of %llu bits", node, ac->peer,
		  (unsigned long long)ac->bits);
	while ((n = wire_encode_bitmap(&c->ctx[side], ac->vnr, ac->words, ac->bits, &pos, buf,
				       sizeof(buf))) > 0)
		transmit(w, c, side, STREAM_DATA, buf, n, P_COMPRESSED_BITMAP,
			 (struct payload){ 0 });
}

/* ---- receiving ---- */

static void deliver(struct world *w, struct net_conn *c, unsigned side, unsigned stream,
		    struct net_packet *p)
{
	static struct pkt_uuids uuids;
	const struct wire_ctx *ctx = &c->ctx[!side];
	unsigned node = c->node[!side];
	struct wire_header h;
	struct pkt pkt;
	struct core_event ev = { .kind = EV_PKT };
	uint32_t fixed, payload;
	size_t need;
	int error;

	error = wire_decode_header(p->bytes, p->bytes_used, &h, &need);
	if (error == 0)
		error = wire_check_header(ctx, &h, (enum stream)stream, &fixed, &payload);
	if (error == 0 && need + fixed != p->bytes_used)
		sim_fail(w, "node %u receives %u bytes, the codec wants %zu", node, p->bytes_used,
			 need + fixed);
	if (error == 0)
		error = wire_decode_body(ctx, &h, p->bytes + need, fixed, &pkt, &uuids);
	if (error != 0)
		sim_fail(w, "node %u cannot decode packet 0x%x of node %u: %s", node, p->type,
			 c->node[side], wire_error_text(error));
	if (payload != p->tags_used * SECTOR_BYTES || pkt.payload.bytes != payload)
		sim_fail(w, "node %u: %s with %u bytes of payload, %u were sent", node,
			 packet_name(pkt.type), payload, p->tags_used * SECTOR_BYTES);
	if (payload > 0) {
		pkt.payload = payload_new(w, node, payload);
		memcpy(payload_tags(w, pkt.payload), p->tags, p->tags_used * sizeof(*p->tags));
	}
	if (pkt.type == P_UUIDS110)
		flags_of_others(w, &uuids);
	if (pkt.type == P_CONNECTION_FEATURES) {
		c->got_features[!side] = true;
		features_of_others(w, &pkt.u.features);
		agree(c, !side);
	}
	trace_packet(w, "<-", node, c->node[side], stream, &pkt);
	if (pkt.type == P_BARRIER_ACK)
		oracle_barrier_acked(w, &c->barriers[!side], pkt.u.barrier.number, c->node[side]);
	ev.u.pkt.peer = c->node[side];
	ev.u.pkt.stream = (uint8_t)stream;
	ev.u.pkt.pkt = &pkt;
	node_step(w, node, &ev);
}

static void deliver_event(struct world *w, uint64_t key, uint64_t gen)
{
	struct net_conn *c = conn_of_key(w, key);
	unsigned side = (key >> 16) & 1, stream = (key >> 17) & 1;
	struct net_stream *st = &c->stream[side][stream];
	struct net_packet packet;
	uint32_t i;

	if (c->gen != gen || node_holds(w, c->node[!side], deliver_event, key, gen))
		return;
	st->deliver_pending = false;
	i = st->head;
	if (i == 0)
		return;
	packet = *packet_at(w, i);
	if (packet.arrive_ns > w->now_ns || st->stall_until_ns > w->now_ns ||
	    w->net.down[c->node[side]][c->node[!side]] || !c->told_up[!side]) {
		stream_kick(w, c, side, stream);
		return;
	}
	if (!packet.fin && trap_springs(w, c, side, stream, packet.type))
		return;
	if (st->hold_on && packet.type == st->hold_type && !packet.fin) {
		st->hold_on = false;
		st->stall_until_ns = w->now_ns + st->hold_ns;
		stream_kick(w, c, side, stream);
		return;
	}
	if (stream == STREAM_DATA && !packet.fin &&
	    !node_has_room(w, c->node[!side], c->node[side], packet.type)) {
		st->no_room = true;
		return;
	}
	st->head = packet.next;
	if (st->head == 0)
		st->tail = 0;
	st->count--;
	st->bytes_in_flight -= packet_bytes(&packet);
	if (packet.tx_late && !packet.fin)
		tx_account(w, c, side, stream, packet_bytes(&packet));
	stream_kick(w, c, side, stream);
	if (w->now_ns > packet.arrive_ns)
		sim_packet_count(packet.type, PACKET_DELAYED);
	if (packet.fin)
		conn_side_down(w, c, !side, "closed by the peer");
	else
		deliver(w, c, side, stream, &packet);
	/* Only now: the packet's memory was in use during the step. */
	packet_put(w, i);
}

void stream_kick(struct world *w, struct net_conn *c, unsigned side, unsigned stream)
{
	struct net_stream *st = &c->stream[side][stream];
	uint64_t at;

	if (st->deliver_pending || st->head == 0 || !c->told_up[!side] ||
	    w->net.down[c->node[side]][c->node[!side]])
		return;
	st->no_room = false;
	at = packet_at(w, st->head)->arrive_ns;
	if (at < st->stall_until_ns)
		at = st->stall_until_ns;
	st->deliver_pending = true;
	world_at(w, at > w->now_ns ? at - w->now_ns : 0, deliver_event,
		 conn_key(c, side, stream), c->gen);
}

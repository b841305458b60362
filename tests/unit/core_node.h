/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One core whose volume is attached and whose peers are Connected, put together by hand, so that
 * the data path can be tested packet by packet. Nothing answers: the test plays the disk, the
 * metadata and the peers.
 */
#ifndef TEST_CORE_NODE_H
#define TEST_CORE_NODE_H

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "core/core_hooks.h"
#include "core/core_int.h"

#define NODE_SECTORS (UINT64_C(1) << 19) /* 256 MiB */
#define NODE_ACTIONS_MAX 65536
#define NODE_SLOTS 4

struct node {
	struct core_conf conf;
	void *mem;
	struct core *core;
	struct volume *vol;
	uint64_t now_ns;
	struct core_action *acts; /* of the last step */
	unsigned count;
	uint32_t payload_next;
	unsigned puts;            /* AC_BUF_PUT so far */
	bool al_manual;           /* the test completes AC_META_AL itself */
	uint64_t *slot_words;
};

static inline void node_pull(struct node *n)
{
	n->count = 0;
	while (core_next(n->core, &n->acts[n->count])) {
		if (n->acts[n->count].kind == AC_BUF_PUT)
			n->puts++;
		n->count++;
		cr_assert_lt(n->count, NODE_ACTIONS_MAX);
	}
}

static inline struct core_event node_event(struct node *n, enum core_event_kind kind)
{
	struct core_event ev = { .kind = kind, .now_ns = n->now_ns };

	return ev;
}

/* Steps; unless told otherwise completes the metadata writes that follow, keeping all actions
 * in order. */
static inline void node_step(struct node *n, const struct core_event *ev)
{
	unsigned from = 0, have;

	core_step(n->core, ev);
	node_pull(n);
	while (from < n->count) {
		struct core_action act = n->acts[from++];
		struct core_event done = node_event(n, EV_META_DONE);
		struct core_action *more = n->acts;

		if (act.kind != AC_META_AL && act.kind != AC_META_SUPER &&
		    act.kind != AC_META_BITMAP && act.kind != AC_META_FLUSH)
			continue;
		if (act.kind == AC_META_AL && n->al_manual)
			continue;
		done.u.done.tag = act.u.meta.tag;
		core_step(n->core, &done);
		have = n->count;
		n->acts = more + have;
		node_pull(n);
		n->acts = more;
		n->count += have;
	}
}

static uint32_t node_al_extents = AL_EXTENTS_MIN;

/* Counts: every generation differs. */
static inline void node_random(void *ctx, void *out, size_t bytes)
{
	static uint8_t last;

	(void)ctx;
	memset(out, ++last, bytes);
}

static inline void node_conf(struct node *n, unsigned peers, enum wire_protocol protocol)
{
	struct core_conf *c = &n->conf;

	strcpy(c->name, "r0");
	c->volume_count = 1;
	c->volumes[0].disk.has_disk = true;
	c->volumes[0].disk.al_extents = node_al_extents;
	c->peer_count = peers;
	for (unsigned i = 0; i < peers; i++) {
		c->peers[i].node_id = (uint8_t)(i + 1);
		strcpy(c->peers[i].name, "peer");
		c->peers[i].net.protocol = protocol;
		c->peers[i].net.max_epoch_size = 2048;
		c->peers[i].net.timeout_ds = 60;
		c->peers[i].net.ko_count = 7;
		c->peers[i].net.ping_int_s = 10;
		c->peers[i].net.ping_timeout_ds = 5;
		c->peers[i].net.connect_int_s = 10;
		c->peers[i].net.allow_remote_read = true;
		c->peers[i].has_disk[0] = true;
	}
	c->crypto.random = node_random;
	c->requests_max = 256;
	c->request_bytes_max = UINT64_C(128) << 20;
	c->peer_requests_max = 512;
}

static inline void node_attach(struct node *n)
{
	struct volume *vol = n->core->vol[0];
	struct bm_store store = { .words_per_slot = NODE_SECTORS / BM_BLOCK_SECTORS / 64 };

	n->slot_words = calloc(NODE_SLOTS * store.words_per_slot, 8);
	for (unsigned i = 0; i < NODE_SLOTS; i++)
		store.slot[i] = n->slot_words + i * store.words_per_slot;
	vol->phase = VOL_ATTACHED;
	vol->data_sectors = NODE_SECTORS;
	vol->size_sectors = NODE_SECTORS;
	vol->md.max_peers = NODE_SLOTS;
	vol->md.al_stripes = 1;
	vol->md.al_stripe_4k = 8;
	vol->md.effective_sectors = NODE_SECTORS;
	vol->md.current_uuid = UINT64_C(0x1234567890abcdee);
	for (unsigned i = 0; i < NODES_MAX; i++)
		vol->md.peers[i].bitmap_index = -1;
	for (unsigned i = 1; i <= n->conf.peer_count; i++)
		vol->md.peers[i].bitmap_index = (int32_t)i - 1;
	bitmap_attach(n->core, vol, &store);
	bitmap_size_changed(n->core, vol);
	memset(n->slot_words, 0, NODE_SLOTS * store.words_per_slot * 8);
	for (unsigned i = 0; i < NODE_SLOTS; i++)
		vol->bm.weight[i] = 0;
	actlog_attach(n->core, vol);
	n->core->st.vol[0].disk = DISK_UP_TO_DATE;
	n->vol = vol;
}

static inline void node_connect(struct node *n, unsigned p)
{
	struct core *core = n->core;
	struct peer *peer = core->peer[p];

	peer->streams_up = true;
	peer->phase = HS_READY;
	peer->apv = 124;
	peer->features = FEATURES_OFFERED & ~FEATURE_DRBDFS; /* says no more than it is told to */
	core->st.peer[p].conn = CONN_CONNECTED;
	core->st.peer[p].role = core->st.role == ROLE_PRIMARY ? ROLE_SECONDARY : ROLE_PRIMARY;
	core->st.pd[p][0].repl = REPL_ESTABLISHED;
	core->st.pd[p][0].pdsk = DISK_UP_TO_DATE;
	request_peer_connected(core, peer);
	node_pull(n);
}

/* A Primary or Secondary with `peers` Connected peers, ids from 1; own id 0. */
static inline void node_open(struct node *n, enum role role, unsigned peers,
			     enum wire_protocol protocol)
{
	size_t bytes;

	memset(n, 0, sizeof(*n));
	node_conf(n, peers, protocol);
	bytes = (core_mem_bytes(&n->conf) + 63) / 64 * 64;
	n->mem = aligned_alloc(64, bytes);
	n->acts = calloc(NODE_ACTIONS_MAX, sizeof(*n->acts));
	n->core = core_create(&n->conf, n->mem, bytes);
	n->now_ns = NS_PER_S;
	n->core->now_ns = n->now_ns;
	n->core->st.role = role;
	n->payload_next = 1000;
	node_attach(n);
	for (unsigned i = 1; i <= peers; i++)
		node_connect(n, i);
	n->core->work = 0;
}

static inline void node_close(struct node *n)
{
	free(n->mem);
	free(n->acts);
	free(n->slot_words);
}

/* The connection ends: what the state machine does to the data path. */
static inline void node_lose(struct node *n, unsigned p)
{
	struct core *core = n->core;

	core->st.peer[p].conn = CONN_NETWORK_FAILURE;
	core->st.pd[p][0].repl = REPL_OFF;
	core->st.pd[p][0].pdsk = DISK_UNKNOWN;
	core->peer[p]->streams_up = false;
	core->ring_head = core->ring_tail = 0;
	request_peer_lost(core, core->peer[p]);
	node_pull(n);
}

/* ---- the application ---- */

static inline void node_submit(struct node *n, enum request_op op, uint64_t cookie, uint64_t sector,
			       uint32_t bytes)
{
	struct core_event ev = node_event(n, EV_SUBMIT);

	ev.u.submit.cookie = cookie;
	ev.u.submit.op = op;
	ev.u.submit.sector = sector;
	ev.u.submit.bytes = bytes;
	if (op == OP_WRITE)
		ev.u.submit.payload = (struct payload){ n->payload_next++, bytes };
	node_step(n, &ev);
}

static inline void node_write(struct node *n, uint64_t cookie, uint64_t sector)
{
	node_submit(n, OP_WRITE, cookie, sector, 4096);
}

/* ---- looking at the last step ---- */

/* k-th action of this kind, NULL = fewer. */
static inline const struct core_action *node_act(const struct node *n, enum core_action_kind kind,
						 unsigned k)
{
	for (unsigned i = 0; i < n->count; i++) {
		if (n->acts[i].kind == kind && k-- == 0)
			return &n->acts[i];
	}
	return NULL;
}

static inline unsigned node_count(const struct node *n, enum core_action_kind kind)
{
	unsigned k = 0;

	while (node_act(n, kind, k))
		k++;
	return k;
}

/* k-th packet of this type to this peer. */
static inline const struct pkt *node_sent(const struct node *n, unsigned p, enum packet type,
					  unsigned k)
{
	for (unsigned i = 0; i < n->count; i++) {
		const struct core_action *act = &n->acts[i];

		if (act->kind == AC_SEND && act->u.send.peer == p && act->u.send.pkt.type == type &&
		    k-- == 0)
			return &act->u.send.pkt;
	}
	return NULL;
}

static inline unsigned node_sends(const struct node *n, unsigned p)
{
	unsigned k = 0;

	for (unsigned i = 0; i < n->count; i++)
		k += n->acts[i].kind == AC_SEND && n->acts[i].u.send.peer == p;
	return k;
}

/* The answer to this cookie in the last step; INT32_MAX = none. */
static inline int node_answer(const struct node *n, uint64_t cookie)
{
	for (unsigned i = 0; i < n->count; i++) {
		if (n->acts[i].kind == AC_COMPLETE && n->acts[i].u.complete.cookie == cookie)
			return n->acts[i].u.complete.error;
	}
	return INT32_MAX;
}

/* ---- disk and peers ---- */

static inline void node_disk_done(struct node *n, uint64_t tag, int error)
{
	struct core_event ev = node_event(n, EV_DISK_DONE);

	ev.u.done.tag = tag;
	ev.u.done.error = error;
	node_step(n, &ev);
}

static inline void node_rx(struct node *n, unsigned p, enum stream stream, const struct pkt *pkt)
{
	struct core_event ev = node_event(n, EV_PKT);

	ev.u.pkt.peer = (uint8_t)p;
	ev.u.pkt.stream = (uint8_t)stream;
	ev.u.pkt.pkt = pkt;
	node_step(n, &ev);
}

static inline void node_ack(struct node *n, unsigned p, enum packet type, const struct pkt *data)
{
	struct pkt ack = { .type = (uint16_t)type, .vnr = data->vnr };

	ack.u.block.sector = data->u.block.sector;
	ack.u.block.block_id = data->u.block.block_id;
	ack.u.block.bytes = data->u.block.bytes;
	node_rx(n, p, STREAM_CONTROL, &ack);
}

static inline void node_barrier_ack(struct node *n, unsigned p, uint32_t number, uint32_t set_size)
{
	struct pkt ack = { .type = P_BARRIER_ACK, .vnr = VNR_NONE };

	ack.u.barrier.number = number;
	ack.u.barrier.set_size = set_size;
	node_rx(n, p, STREAM_CONTROL, &ack);
}

static inline void node_time(struct node *n, uint64_t ms)
{
	struct core_event ev;

	n->now_ns += ms * NS_PER_MS;
	ev = node_event(n, EV_TIME);
	node_step(n, &ev);
}

static inline bool node_bit(const struct node *n, unsigned p, uint64_t sector)
{
	return bitmap_test(n->vol, bitmap_slots_of(n->vol, UINT64_C(1) << p), sector, 1);
}

static inline bool node_failed(const struct node *n, unsigned p)
{
	return n->core->st.peer[p].conn != CONN_CONNECTED;
}

#endif

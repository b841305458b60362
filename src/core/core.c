/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Creation of the core, dispatch of events, action queue, deferred work, deadlines. */
#include "core/core.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/cluster.h"
#include "core/core_hooks.h"
#include "core/drbd8.h"
#include "core/fencing.h"
#include "core/core_int.h"
#include "core/state.h"

#define SCRATCH_BASE_BYTES (256U << 10)
#define RING_BASE 16384U
#define WORK_ROUNDS_MAX 100000U
#define LOG_LINE_MAX 512

/*
 * The longest step is the loss of a connection: every request completes and gives its buffer back,
 * is announced as out of sync, and every received write is settled. The list is empty at each
 * step's start.
 */
static uint32_t ring_entries(const struct core_conf *conf, unsigned peers, unsigned volumes)
{
	uint64_t n = RING_BASE;

	n += (uint64_t)conf->requests_max * (4 + 2 * peers);
	n += (uint64_t)conf->peer_requests_max * peers * 4;
	n += (uint64_t)volumes * peers * 16;
	return (uint32_t)n;
}

/* P_UUIDS110 to every peer device a few times over, and metadata snapshots of every volume. */
static size_t scratch_entries_bytes(unsigned peers, unsigned volumes)
{
	size_t pairs = (size_t)volumes * (peers + 1);

	return SCRATCH_BASE_BYTES + pairs * 6 * core_rounded(sizeof(struct pkt_uuids)) +
	       (size_t)volumes * 4 *
		       (core_rounded(sizeof(struct al_transaction)) +
			core_rounded(sizeof(struct md_super)));
}

static size_t action_mem_bytes(const struct core_conf *conf, unsigned peers, unsigned volumes)
{
	return core_rounded(ring_entries(conf, peers, volumes) * sizeof(struct core_action)) +
	       core_rounded(scratch_entries_bytes(peers, volumes)) +
	       local_io_mem_bytes(conf, peers, volumes);
}

size_t core_mem_bytes(const struct core_conf *conf)
{
	size_t volumes = 0;

	for (unsigned v = 0; v < conf->volume_count; v++)
		volumes += volume_mem_bytes(&conf->volumes[v]);
	return core_rounded(sizeof(struct core)) +
	       action_mem_bytes(conf, conf->peer_count, conf->volume_count) +
	       conf->peer_count * peer_mem_bytes(conf) + volumes +
	       core_rounded(request_mem_bytes(conf)) + ARENA_ALIGN_BYTES;
}

void *core_arena_untouched(struct core *core, size_t bytes)
{
	void *p = core->arena + core->arena_used;

	ASSERT(bytes <= core->arena_bytes - core->arena_used);
	core->arena_used += core_rounded(bytes);
	if (core->arena_used > core->arena_bytes)
		core->arena_used = core->arena_bytes;
	return p;
}

void *core_arena(struct core *core, size_t bytes)
{
	void *p = core_arena_untouched(core, bytes);

	memset(p, 0, bytes);
	return p;
}

/* Ring and scratch memory are empty between two steps. */
static void create_actions(struct core *core, unsigned peers, unsigned volumes)
{
	core->sized_peers = peers;
	core->sized_volumes = volumes;
	core->ring_size = ring_entries(&core->conf, peers, volumes);
	core->ring = core_arena_untouched(core, core->ring_size * sizeof(struct core_action));
	core->scratch_bytes = scratch_entries_bytes(peers, volumes);
	core->scratch = core_arena_untouched(core, core->scratch_bytes);
	local_io_create(core, peers, volumes);
}

struct core *core_create(const struct core_conf *conf, void *mem, size_t mem_bytes)
{
	struct core *core = mem;

	ASSERT(mem_bytes >= core_mem_bytes(conf));
	ASSERT((uintptr_t)mem % ARENA_ALIGN_BYTES == 0);
	ASSERT(conf->volume_count <= VOLUMES_MAX && conf->peer_count < NODES_MAX);
	ASSERT(conf->node_id < NODES_MAX);
	memset(core, 0, sizeof(*core));
	core->conf = *conf;
	core->self = conf->node_id;
	core->arena = (uint8_t *)mem + core_rounded(sizeof(*core));
	core->arena_bytes = mem_bytes - core_rounded(sizeof(*core));
	create_actions(core, conf->peer_count, conf->volume_count);
	core->st.role = ROLE_SECONDARY;
	core->commands.deadline_ns = NEVER_NS;
	for (unsigned v = 0; v < conf->volume_count; v++)
		volume_create(core, v);
	for (unsigned i = 0; i < core->conf.peer_count; i++)
		peer_add(core, &core->conf.peers[i]);
	request_create(core);
	sync_create(core);
	return core;
}

static unsigned larger(unsigned a, unsigned b)
{
	return a > b ? a : b;
}

/* What both have to be enough for; false: they are. */
static bool actions_grow(const struct core *core, const struct core_conf *to, unsigned *peers,
			 unsigned *volumes)
{
	*peers = larger(core->sized_peers, to->peer_count);
	*volumes = larger(core->sized_volumes, volumes_after(core, to));
	return *peers > core->sized_peers || *volumes > core->sized_volumes;
}

size_t core_configure_bytes(const struct core *core, const struct core_conf *to)
{
	unsigned there = core->peer_count + core->spare_count, grown = to->peer_count;
	size_t bytes = grown > there ? (grown - there) * peer_mem_bytes(&core->conf) : 0;
	unsigned peers, volumes;

	if (actions_grow(core, to, &peers, &volumes))
		bytes += action_mem_bytes(&core->conf, peers, volumes);
	return bytes + volumes_more_bytes(core, to);
}

void core_take_memory(struct core *core, const struct core_conf *to, void *mem, size_t bytes)
{
	unsigned peers, volumes;

	ASSERT(bytes >= core_configure_bytes(core, to) && (uintptr_t)mem % ARENA_ALIGN_BYTES == 0);
	if (bytes == 0)
		return;
	core->arena = mem;
	core->arena_bytes = bytes;
	core->arena_used = 0;
	if (actions_grow(core, to, &peers, &volumes))
		create_actions(core, peers, volumes);
}

/* ---- actions ---- */

struct core_action *core_act(struct core *core, enum core_action_kind kind)
{
	struct core_action *action;

	ASSERT(core->ring_tail < core->ring_size);
	action = &core->ring[core->ring_tail++];
	memset(action, 0, sizeof(*action));
	action->kind = kind;
	return action;
}

bool core_next(struct core *core, struct core_action *action)
{
	if (core->ring_head == core->ring_tail)
		return false;
	*action = core->ring[core->ring_head++];
	return true;
}

void *core_scratch(struct core *core, size_t bytes)
{
	void *p = core->scratch + core->scratch_used;
	size_t need = core_rounded(bytes);

	ASSERT(need <= core->scratch_bytes - core->scratch_used);
	core->scratch_used += need;
	memset(p, 0, bytes);
	return p;
}

void core_log(struct core *core, enum log_level level, const char *fmt, ...)
{
	char line[LOG_LINE_MAX];
	va_list ap;

	if (!core->conf.log)
		return;
	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	core->conf.log(core->conf.log_ctx, level, line);
}

uint64_t core_random64(struct core *core)
{
	uint64_t value = 0;

	core->conf.crypto.random(core->conf.crypto.ctx, &value, sizeof(value));
	return value;
}

void core_send(struct core *core, struct peer *peer, enum stream stream, const struct pkt *pkt)
{
	struct core_action *action;
	struct pkt older;

	if (!peer->streams_up)
		return;
	if (peer_is_drbd8(peer)) {
		older = *pkt;
		pkt = &older;
		if (!drbd8_send(core, peer, &older))
			return;
	}
	action = core_act(core, AC_SEND);
	action->u.send.peer = peer->id;
	action->u.send.stream = (uint8_t)stream;
	action->u.send.pkt = *pkt;
	if (stream == STREAM_DATA)
		peer->sent_bytes += PKT_OVERHEAD_BYTES + pkt->payload.bytes + pkt->var_bytes;
}

void core_payload_put(struct core *core, struct payload *payload)
{
	if (payload->id)
		core_act(core, AC_BUF_PUT)->u.payload = *payload;
	payload->id = 0;
	payload->bytes = 0;
}

struct volume *core_volume_by_vnr(struct core *core, unsigned vnr)
{
	for (unsigned v = 0; v < core->vol_count; v++) {
		if (core->vol[v]->vnr == vnr)
			return core->vol[v];
	}
	return NULL;
}

struct volume *core_volume_in_use(struct core *core, unsigned vnr)
{
	struct volume *vol = core_volume_by_vnr(core, vnr);

	return vol && !vol->gone ? vol : NULL;
}

/* ---- events ---- */

void core_disk_done(struct core *core, const struct ev_done *done)
{
	switch (tag_kind(done->tag)) {
	case TAG_REQUEST:
	case TAG_APP_FLUSH:
		request_disk_done(core, done);
		return;
	case TAG_PEER_REQUEST:
		peer_request_disk_done(core, done);
		return;
	case TAG_EPOCH_FLUSH:
		epoch_flush_done(core, done);
		return;
	case TAG_RS_READ:
		resync_read_done(core, done);
		return;
	case TAG_RS_WRITE:
		resync_write_done(core, done);
		return;
	case TAG_SAVE:
		save_done(core, done);
		return;
	case TAG_MD_SUPER:
	case TAG_AL:
	case TAG_BITMAP:
	case TAG_BITMAP_FLUSH:
	case TAG_RESIZE:
		break;
	}
	assert_fail("completion of a disk action that nobody owns", __FILE__, __LINE__);
}

void core_meta_done(struct core *core, const struct ev_done *done)
{
	switch (tag_kind(done->tag)) {
	case TAG_MD_SUPER:
		md_meta_done(core, done);
		return;
	case TAG_AL:
		actlog_meta_done(core, done);
		return;
	case TAG_BITMAP:
	case TAG_BITMAP_FLUSH:
		bitmap_meta_done(core, done);
		return;
	case TAG_REQUEST:
	case TAG_APP_FLUSH:
	case TAG_PEER_REQUEST:
	case TAG_EPOCH_FLUSH:
	case TAG_RS_READ:
	case TAG_RS_WRITE:
	case TAG_SAVE:
	case TAG_RESIZE:
		break;
	}
	assert_fail("completion of a metadata action that nobody owns", __FILE__, __LINE__);
}

static void driver_done(struct core *core, const struct core_event *event)
{
	struct payload payload = event->u.done.payload;

	if (!local_io_end(core, event->u.done.tag))
		core_payload_put(core, &payload);
	else if (event->kind == EV_DISK_DONE)
		core_disk_done(core, &event->u.done);
	else
		core_meta_done(core, &event->u.done);
}

static void timers(struct core *core)
{
	local_io_time(core);
	keepalive_time(core);
	peer_time(core);
	twopc_time(core);
	command_time(core);
	request_time(core);
	bitmap_time(core);
	fencing_time(core);
	resync_time(core);
	core_work(core, WORK_MD | WORK_RECONCILE);
}

static void dispatch(struct core *core, const struct core_event *event)
{
	switch (event->kind) {
	case EV_TIME:
		timers(core);
		return;
	case EV_SUBMIT:
		request_submit(core, &event->u.submit);
		return;
	case EV_CANCEL:
		request_cancel(core, event->u.cancel);
		return;
	case EV_STREAMS_UP:
		peer_streams_up(core, &event->u.streams);
		return;
	case EV_STREAMS_DOWN:
		peer_streams_down(core, &event->u.streams);
		return;
	case EV_PKT:
		rx_packet(core, &event->u.pkt);
		return;
	case EV_TX_DONE:
		/* Progress of the send queue; supervised by pings and by the age of requests. */
		return;
	case EV_DISK_DONE:
	case EV_META_DONE:
		driver_done(core, event);
		return;
	case EV_ATTACHED:
		volume_attached(core, &event->u.attached);
		return;
	case EV_DETACHED:
		volume_detached(core, event->u.detached_vnr);
		return;
	case EV_RESIZED:
		resize_driver_done(core, &event->u.resized);
		return;
	case EV_COMMAND:
		command_submit(core, &event->u.command);
		return;
	case EV_CONFIGURE:
		core_configure(core, &event->u.configure);
		return;
	case EV_RESYNC_GATE:
		resync_gate(core, &event->u.gate);
		return;
	case EV_HANDLER_DONE:
		handler_done(core, &event->u.handler);
		return;
	}
	assert_fail("unknown event", __FILE__, __LINE__);
}

static void run_one(struct core *core, uint32_t bit)
{
	switch (bit) {
	case WORK_TWOPC:
		twopc_run(core);
		return;
	case WORK_COMMAND:
		command_run(core);
		return;
	case WORK_SEND_STATE:
		peer_send_states(core);
		volume_update_gates(core);
		return;
	case WORK_SYNC:
		resync_run(core);
		state_choose_sync_source(core);
		return;
	case WORK_REQUESTS:
		request_run(core);
		return;
	case WORK_MD:
		md_run(core);
		return;
	case WORK_RECONCILE:
		reconcile_run(core);
		return;
	case WORK_PEERS:
		local_io_run(core);
		peer_run(core);
		fencing_run(core);
		volume_run(core);
		return;
	default:
		assert_fail("unknown work", __FILE__, __LINE__);
	}
}

static void core_run_work(struct core *core)
{
	unsigned rounds = 0;

	while (core->work) {
		uint32_t bit = core->work & -core->work;

		core->work &= ~bit;
		run_one(core, bit);
		ASSERT(++rounds < WORK_ROUNDS_MAX);
	}
	if (core->notify) {
		core->notify = false;
		core_act(core, AC_NOTIFY);
	}
}

void core_step(struct core *core, const struct core_event *event)
{
	ASSERT(core->ring_head == core->ring_tail);
	core->ring_head = 0;
	core->ring_tail = 0;
	core->scratch_used = 0;
	core->local_ios.left = LOCAL_IO_ENDED_MAX;
	/* A driver that batches events may hand over one that was stamped a little earlier. */
	if (event->now_ns > core->now_ns)
		core->now_ns = event->now_ns;
	core->cause = history_event(event);
	dispatch(core, event);
	if (core->work || core->notify)
		core_run_work(core);
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

uint64_t core_deadline_ns(const struct core *core)
{
	uint64_t t = keepalive_deadline(core);

	t = earlier(t, peer_deadline(core));
	t = earlier(t, twopc_deadline(core));
	t = earlier(t, command_deadline(core));
	t = earlier(t, request_deadline(core));
	t = earlier(t, md_deadline(core));
	t = earlier(t, bitmap_deadline(core));
	t = earlier(t, local_io_deadline(core));
	t = earlier(t, fencing_deadline(core));
	return earlier(t, resync_deadline(core));
}

unsigned core_room(const struct core *core)
{
	return request_room(core);
}

bool core_peer_room(struct core *core, uint8_t peer, uint16_t type)
{
	return !resize_holds(core, core->peer[peer]) &&
	       peer_rx_room(core, core->peer[peer], type);
}

const struct md_super *core_md(const struct core *core, uint16_t vnr)
{
	for (unsigned v = 0; v < core->vol_count; v++) {
		if (core->vol[v]->vnr == vnr && vol_has_md(core->vol[v]))
			return &core->vol[v]->md;
	}
	return NULL;
}

const struct bm_store *core_bitmap(const struct core *core, uint16_t vnr)
{
	for (unsigned v = 0; v < core->vol_count; v++) {
		if (core->vol[v]->vnr == vnr && vol_has_md(core->vol[v]))
			return &core->vol[v]->bm.store;
	}
	return NULL;
}

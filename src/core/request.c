/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Application requests: admission, checks, splitting, answers; creation of the data path. */
#include "core/request.h"

#include <errno.h>
#include <string.h>

#include "core/core_hooks.h"
#include "core/quorum.h"
#include "core/state.h"

/* ---- creation ---- */

static uint32_t ring_size(uint32_t entries)
{
	uint32_t n = 16;

	while (n <= entries)
		n *= 2;
	return n;
}

size_t request_mem_bytes(const struct core_conf *conf)
{
	return core_rounded(conf->requests_max * sizeof(struct request)) +
	       core_rounded(conf->requests_max * sizeof(struct slab_cell));
}

size_t request_peer_mem_bytes(const struct core_conf *conf)
{
	uint32_t n = conf->peer_requests_max;

	return core_rounded(n * sizeof(struct peer_request)) +
	       core_rounded(n * sizeof(struct slab_cell)) +
	       core_rounded(ring_size(conf->requests_max) * sizeof(struct tx_barrier)) +
	       core_rounded(ring_size(n) * sizeof(struct rx_epoch));
}

static void take_memory(struct core *core, struct peer *peer)
{
	const struct core_conf *conf = &core->conf;
	uint32_t n = conf->peer_requests_max;
	void *items = core_arena_untouched(core, n * sizeof(struct peer_request));

	slab_init(&peer->rx.slab, items, sizeof(struct peer_request),
		  core_arena(core, n * sizeof(struct slab_cell)), n);
	peer->tx.barriers =
		core_arena(core, ring_size(conf->requests_max) * sizeof(struct tx_barrier));
	peer->rx.epochs = core_arena_untouched(core, ring_size(n) * sizeof(struct rx_epoch));
}

void request_peer_create(struct core *core, struct peer *peer)
{
	if (!peer->tx.barriers)
		take_memory(core, peer);
	peer->rx.ring = ring_size(core->conf.peer_requests_max);
	memset(peer->rx.epochs, 0, peer->rx.ring * sizeof(struct rx_epoch));
	peer->rx.full_ns = NEVER_NS;
	list_init(&peer->rx.writes);
	list_init(&peer->rx.orphans);
	list_init(&peer->rx.reads);
	list_init(&peer->rx.drain);
	list_init(&peer->rx.early);
}

void request_configure(struct core *core)
{
	struct requests *rq = &core->req;

	rq->epoch_max = UINT32_MAX;
	FOR_EACH_PEER(core, peer) {
		uint32_t max = peer->conf->net.max_epoch_size;

		if (max > 0 && max < rq->epoch_max)
			rq->epoch_max = max;
	}
}

void request_create(struct core *core)
{
	const struct core_conf *conf = &core->conf;
	struct requests *rq = &core->req;
	uint32_t n = conf->requests_max;
	void *items = core_arena(core, n * sizeof(struct request));

	slab_init(&rq->slab, items, sizeof(struct request),
		  core_arena(core, n * sizeof(struct slab_cell)), n);
	list_init(&rq->gated);
	list_init(&rq->kept);
	list_init(&rq->log);
	list_init(&rq->held);
	list_init(&rq->refused);
	list_init(&rq->reading);
	list_init(&rq->flushes);
	list_init(&rq->split);
	rq->barrier_ring = ring_size(n);
	request_configure(core);
	rq->barrier_at_ns = NEVER_NS;
	rq->ack_at_ns = NEVER_NS;
}

void request_volume_create(struct core *core, struct volume *vol)
{
	struct volume_io *io = &core->req.vol[vol->v];

	memset(io, 0, sizeof(*io));
	list_init(&io->flushing);
	list_init(&io->waiting);
	list_init(&io->waiting_al);
	holds_init(&vol->holds);
	actlog_create(core, vol);
}

/* ---- the local disk ---- */

bool request_local_writable(const struct core *core, const struct volume *vol)
{
	enum disk_state disk = disk_of(core, vol);

	return vol_has_md(vol) && !vol->io_failed && disk >= DISK_INCONSISTENT &&
	       disk != DISK_UNKNOWN;
}

struct core_action *request_local_begin(struct core *core, struct volume *vol,
					enum core_action_kind kind, uint64_t tag)
{
	struct core_action *act = core_act(core, kind);

	act->u.disk.tag = tag;
	act->u.disk.vnr = vol->vnr;
	vol->local_pending++;
	/* A file is written as fast as its file system takes it. */
	local_io_begin(core, vol, tag, false, kind != AC_SAVE);
	return act;
}

void request_local_end(struct core *core, struct volume *vol)
{
	ASSERT(vol->local_pending > 0);
	if (--vol->local_pending == 0 && !local_flush_before_detach(core, vol))
		volume_local_idle(core, vol);
}

/* ---- life of a request ---- */

static struct request *request_new(struct core *core)
{
	struct request *req = slab_alloc(&core->req.slab);

	if (!req)
		return NULL;
	memset(req, 0, sizeof(*req));
	list_init(&req->link);
	list_init(&req->refused_link);
	hold_init(&req->hold, HOLD_WRITE, 0, 0, NULL);
	actlog_ref_init(&req->al);
	req->server = NODES_MAX;
	return req;
}

static void split_next(struct core *core, struct request *whole);

void request_free(struct core *core, struct request *req)
{
	struct requests *rq = &core->req;
	struct list *waiting;

	ASSERT(!list_linked(&req->link) && !req->hold.active && !req->al.held);
	ASSERT(req->payload.id == 0 && !list_linked(&req->refused_link));
	two_primaries_al_put(core, req);
	if (req->op == OP_WRITE)
		rq->bytes -= req->bytes;
	slab_free(&rq->slab, req);
	waiting = list_first(&rq->split);
	if (waiting) {
		list_del(waiting);
		split_next(core, LIST_ENTRY(waiting, struct request, link));
	}
}

static void answer(struct core *core, uint64_t cookie, int error)
{
	struct core_action *act = core_act(core, AC_COMPLETE);

	act->u.complete.cookie = cookie;
	act->u.complete.error = error;
}

/* A piece of a split request is done: the next one, or the answer for the whole. */
static void split_piece_done(struct core *core, struct request *whole, uint32_t bytes, int error)
{
	whole->split_done_bytes += bytes;
	if (error && !whole->error)
		whole->error = error;
	if (whole->split_done_bytes < whole->bytes && !whole->error) {
		split_next(core, whole);
		return;
	}
	request_complete(core, whole, whole->error);
	request_free(core, whole);
}

void request_complete(struct core *core, struct request *req, int error)
{
	ASSERT(!req->completed);
	req->completed = true;
	req->failed = error != 0;
	two_primaries_mark(core, req);
	core_payload_put(core, &req->payload);
	request_answered(core, req);
	if (req->whole)
		split_piece_done(core, req->whole, req->bytes, error);
	else
		answer(core, req->cookie, error);
}

/* Ends a request that never got onto the log. */
static void refuse(struct core *core, struct request *req, int error)
{
	struct volume *vol = core->vol[req->v];

	actlog_put(core, vol, &req->al);
	hold_release(core, vol, &req->hold);
	request_complete(core, req, error);
	request_free(core, req);
}

/* ---- admission ---- */

/*
 * New I/O may start: not suspended, and the generation it belongs to is on disk. What is refused
 * for want of data begins no generation, nor do other volumes go on because of it.
 */
static bool gate_is_open(struct core *core, unsigned v)
{
	if (state_suspended(core) || uuid_bump_running(core))
		return false;
	return core->st.role != ROLE_PRIMARY || !state_data_accessible(core, &core->st, v) ||
	       !uuid_bump_if_wanted(core);
}

static void write_prepared(struct core *core, struct request *req)
{
	struct volume *vol = core->vol[req->v];

	req->prepared = true;
	/* Holds and the activity log may have taken long: the gate may be closed again. */
	if (!gate_is_open(core, req->v)) {
		req->stage = REQ_GATED;
		list_push_front(&core->req.gated, &req->link);
		if (core->st.susp_quorum || core->st.susp_nod || core->st.susp_fen)
			core_work(core, WORK_REQUESTS);
		return;
	}
	if (core->st.role != ROLE_PRIMARY || quorum_fails_io(core, req->v) ||
	    !state_data_accessible(core, &core->st, req->v) ||
	    req->sector + req->bytes / SECTOR_BYTES > vol->size_sectors) {
		refuse(core, req, -EIO);
		return;
	}
	if (resync_keeps_write(core, vol, req->sector, req->bytes / SECTOR_BYTES)) {
		req->stage = REQ_KEPT;
		list_push_back(&core->req.kept, &req->link);
		return;
	}
	request_log_start(core, req);
}

void request_kept_release(struct core *core)
{
	struct requests *rq = &core->req;

	if (list_empty(&rq->kept))
		return;
	LIST_FOR_EACH(it, &rq->kept)
		LIST_ENTRY(it, struct request, link)->stage = REQ_GATED;
	/* Ahead of what has not begun yet. */
	list_splice_back(&rq->kept, &rq->gated);
	list_splice_back(&rq->gated, &rq->kept);
	core_work(core, WORK_REQUESTS);
}

static void write_al_ready(struct core *core, struct volume *vol, struct al_ref *ref)
{
	(void)vol;
	write_prepared(core, LIST_ENTRY(ref, struct request, al));
}

static void write_hold_ready(struct core *core, struct volume *vol, struct hold *hold)
{
	struct request *req = LIST_ENTRY(hold, struct request, hold);
	uint32_t sectors = req->bytes / SECTOR_BYTES;

	/* From now on a resync reply for this range must not reach the disk. */
	resync_write_overlaps(core, vol, req->sector, sectors);
	req->stage = REQ_AL;
	/* Sent once more: the log names its extents all the time. */
	if (actlog_has(&vol->al, &req->al)) {
		write_prepared(core, req);
		return;
	}
	actlog_put(core, vol, &req->al);
	if (actlog_get(core, vol, &req->al, req->sector, sectors, write_al_ready))
		write_prepared(core, req);
}

static void write_start(struct core *core, struct request *req)
{
	struct volume *vol = core->vol[req->v];

	req->stage = REQ_HOLD;
	if (!two_primaries_al_get(core, req))
		return;
	hold_init(&req->hold, HOLD_WRITE, req->sector, req->bytes / SECTOR_BYTES,
		  write_hold_ready);
	req->hold.owner = HOLD_OF_REQUEST;
	if (hold_acquire(core, vol, &req->hold))
		write_hold_ready(core, vol, &req->hold);
}

/* Starts the next piece of a large discard or zero-out; pieces end at activity-log extents. */
static void split_next(struct core *core, struct request *whole)
{
	uint64_t sector = whole->sector + whole->split_done_bytes / SECTOR_BYTES;
	uint64_t most = DISCARD_MAX_BYTES - sector % AL_EXTENT_SECTORS * SECTOR_BYTES;
	uint64_t left = whole->bytes - whole->split_done_bytes;
	struct request *req = request_new(core);

	if (!req) {
		list_push_back(&core->req.split, &whole->link);
		return;
	}
	req->whole = whole;
	req->op = whole->op;
	req->fua = whole->fua;
	req->v = whole->v;
	req->sector = sector;
	req->bytes = (uint32_t)(left < most ? left : most);
	core->req.vol[req->v].requests++;
	write_start(core, req);
}

/* 0, or why this request cannot be carried out on this volume now. */
static int check(const struct core *core, const struct request *req)
{
	const struct volume *vol = core->vol[req->v];
	uint64_t sectors = req->bytes / SECTOR_BYTES;

	if (req->op != OP_READ && req->op != OP_FLUSH && core->st.role != ROLE_PRIMARY)
		return -EROFS;
	if (req->op != OP_READ && quorum_fails_io(core, req->v))
		return -EIO;
	if (req->op == OP_FLUSH)
		return 0;
	if (req->sector >= vol->size_sectors || sectors > vol->size_sectors - req->sector)
		return -EIO;
	return state_data_accessible(core, &core->st, req->v) ? 0 : -EIO;
}

void request_wait_again(struct core *core, struct request *req)
{
	req->tried = 0;
	req->local_ok = false;
	req->stage = REQ_GATED;
	list_push_back(&core->req.gated, &req->link);
	core_work(core, WORK_REQUESTS);
}

/* Through the gate. */
static void start(struct core *core, struct request *req)
{
	int error = check(core, req);

	if (error) {
		refuse(core, req, error);
		return;
	}
	switch (req->op) {
	case OP_READ:
		read_start(core, req);
		break;
	case OP_FLUSH:
		request_flush_start(core, req);
		break;
	case OP_DISCARD:
	case OP_ZEROES:
		if (req->bytes > DISCARD_MAX_BYTES) {
			req->stage = REQ_SPLIT;
			split_next(core, req);
			break;
		}
		write_start(core, req);
		break;
	default:
		write_start(core, req);
		break;
	}
}

/* The new generation is on disk, or quorum is back: what waited for that is answered. */
static void release_answers(struct core *core)
{
	struct requests *rq = &core->req;

	if (!rq->answers_held || quorum_holds_answers(core) || uuid_bump_running(core))
		return;
	rq->answers_held = false;
	request_log_release(core);
	request_flush_progress(core);
}

/* Quorum may depend on a resync, and that on a range that a write holds which waits for quorum;
 * or on writes that have not left the log. */
static void give_ranges_back(struct core *core)
{
	if (quorum_holds_answers(core)) {
		LIST_FOR_EACH(it, &core->req.log)
			request_log_progress(core, LIST_ENTRY(it, struct request, link));
		request_log_retire(core);
	}
	LIST_FOR_EACH(it, &core->req.gated) {
		struct request *req = LIST_ENTRY(it, struct request, link);

		if (!req->prepared)
			continue;
		req->prepared = false;
		two_primaries_mark(core, req);
		actlog_put(core, core->vol[req->v], &req->al);
		hold_release(core, core->vol[req->v], &req->hold);
	}
}

void request_run(struct core *core)
{
	struct requests *rq = &core->req;

	if (core->st.susp_quorum || core->st.susp_nod)
		give_ranges_back(core);
	release_answers(core);
	FOR_EACH_VOLUME(core, vol) {
		for (struct request *req; (req = two_primaries_al_next(core, vol));)
			write_start(core, req);
	}
	while (!list_empty(&rq->gated)) {
		struct request *req = LIST_ENTRY(rq->gated.next, struct request, link);

		if (!gate_is_open(core, req->v))
			break;
		list_del(&req->link);
		if (req->prepared)
			write_prepared(core, req);
		else
			start(core, req);
	}
}

static bool shape_is_legal(const struct ev_submit *ev)
{
	if (ev->op == OP_FLUSH)
		return true;
	if (ev->bytes == 0 || ev->bytes % SECTOR_BYTES != 0)
		return false;
	if ((ev->op == OP_READ || ev->op == OP_WRITE) && ev->bytes > BIO_MAX_BYTES)
		return false;
	return ev->op != OP_WRITE || (ev->payload.id != 0 && ev->payload.bytes == ev->bytes);
}

void request_submit(struct core *core, const struct ev_submit *ev)
{
	struct requests *rq = &core->req;
	struct volume *vol = core_volume_in_use(core, ev->vnr);
	struct payload payload = ev->payload;
	struct request *req;

	if (!vol || !shape_is_legal(ev)) {
		core_payload_put(core, &payload);
		answer(core, ev->cookie, vol ? -EINVAL : -ENXIO);
		return;
	}
	req = request_new(core);
	ASSERT(req); /* the driver asks core_room() first */
	req->cookie = ev->cookie;
	req->op = (uint8_t)ev->op;
	req->v = vol->v;
	req->sector = ev->sector;
	req->bytes = ev->bytes;
	req->fua = ev->fua;
	req->payload = payload;
	rq->vol[vol->v].requests++;
	if (req->op == OP_WRITE)
		rq->bytes += req->bytes;
	if (!list_empty(&rq->gated) || !gate_is_open(core, vol->v)) {
		req->stage = REQ_GATED;
		list_push_back(&rq->gated, &req->link);
		return;
	}
	start(core, req);
}

void request_cancel(struct core *core, uint64_t cookie)
{
	LIST_FOR_EACH(it, &core->req.gated) {
		struct request *req = LIST_ENTRY(it, struct request, link);

		if (req->cookie != cookie || req->prepared || req->again || req->whole)
			continue;
		list_del(&req->link);
		refuse(core, req, -EINTR);
		return;
	}
}

/* One slot stays free for the pieces of split requests. */
unsigned request_room(const struct core *core)
{
	const struct requests *rq = &core->req;
	uint32_t slots = slab_free_count(&rq->slab);
	uint64_t bytes_max = core->conf.request_bytes_max;
	uint64_t left = rq->bytes < bytes_max ? (bytes_max - rq->bytes) / BIO_MAX_BYTES : 0;

	slots = slots > 0 ? slots - 1 : 0;
	return slots < left ? slots : (unsigned)left;
}

/* ---- events ---- */

static void write_local_done(struct core *core, struct request *req, int error)
{
	struct volume *vol = core->vol[req->v];

	ASSERT(req->stage == REQ_LOGGED && req->local_pending);
	vol->al.written++;
	req->local_pending = false;
	req->local_ok = error == 0 && request_local_writable(core, vol);
	req->error = error;
	if (error) {
		/* Should the disk stay (pass-on), this block must come from elsewhere. */
		bitmap_set(core, vol, SLOTS_ALL, req->sector, req->bytes / SECTOR_BYTES);
		volume_io_error(core, vol, error, "write");
	}
	request_log_progress(core, req);
	request_log_retire(core);
	request_local_end(core, vol);
}

static void app_flush_done(struct core *core, const struct ev_done *done)
{
	uint64_t rest = tag_rest(done->tag);
	struct volume *vol = core->vol[rest & 0xff];

	if (rest & LOCAL_FLUSH_OWN) {
		local_flush_done(core, vol, done);
	} else {
		local_flush_ended(core, vol, rest, done->error);
		request_flush_local_done(core, vol, done->error);
	}
	request_local_end(core, vol);
}

void request_disk_done(struct core *core, const struct ev_done *done)
{
	struct request *req;

	if (tag_kind(done->tag) == TAG_APP_FLUSH) {
		app_flush_done(core, done);
		return;
	}
	req = slab_lookup(&core->req.slab, tag_rest(done->tag));
	ASSERT(req);
	if (req->op == OP_READ)
		read_local_done(core, req, done);
	else
		write_local_done(core, req, done->error);
}

void request_disk_lost(struct core *core, struct volume *vol)
{
	struct list *const lists[] = { &core->req.log, &core->req.held };

	/* Nobody can get at this copy any more, whatever it holds. */
	for (unsigned i = 0; i < 2; i++) {
		LIST_FOR_EACH(it, lists[i]) {
			struct request *req = LIST_ENTRY(it, struct request, link);

			if (req->v == vol->v)
				req->local_ok = false;
		}
	}
	actlog_disk_lost(core, vol);
	request_flush_progress(core);
	if (vol->local_pending == 0)
		local_flush_before_detach(core, vol);
}

void request_role_changed(struct core *core)
{
	request_epoch_close(core);
	request_barriers_send(core);
	peer_ack_flush(core);
	core_work(core, WORK_REQUESTS);
	if (core->st.role == ROLE_PRIMARY)
		return;
	/* Once it is durable the metadata need not remember that this node was Primary. */
	FOR_EACH_VOLUME(core, vol) {
		if (request_local_writable(core, vol))
			local_flush(core, vol);
	}
}

void request_new_epoch(struct core *core)
{
	request_epoch_close(core);
}

bool request_volume_idle(const struct core *core, const struct volume *vol)
{
	return core->req.vol[vol->v].requests == 0;
}

/* Pieces of a split request are begun by its own, the rest of it waits with the next one. */
bool request_under_way(const struct core *core)
{
	uint32_t unanswered = 0, waiting = 0;

	FOR_EACH_VOLUME(core, vol)
		unanswered += core->req.vol[vol->v].requests;
	LIST_FOR_EACH(it, &core->req.gated)
		waiting += LIST_ENTRY(it, struct request, link)->whole ? 2 : 1;
	return unanswered > waiting;
}

void request_answered(struct core *core, const struct request *req)
{
	core->req.vol[req->v].requests--;
	if (core->st.susp_user)
		core_work(core, WORK_COMMAND);
}

bool request_volume_logged(const struct core *core, const struct volume *vol)
{
	LIST_FOR_EACH(it, &core->req.log) {
		if (LIST_ENTRY(it, struct request, link)->v == vol->v)
			return true;
	}
	return false;
}

bool request_settle(struct core *core)
{
	struct requests *rq = &core->req;

	request_epoch_close(core);
	request_barriers_send(core);
	peer_ack_flush(core);
	rq->settle_wanted = !list_empty(&rq->log);
	return !rq->settle_wanted;
}

uint64_t request_own_dagtag(const struct core *core)
{
	return core->req.dagtag;
}

uint64_t request_in_flight_sectors(const struct core *core, const struct peer *peer)
{
	(void)core;
	return peer->tx.in_flight_sectors;
}

uint64_t request_deadline(const struct core *core)
{
	const struct requests *rq = &core->req;
	uint64_t t = actlog_deadline(core), rx = peer_write_deadline(core);

	t = rx < t ? rx : t;
	rx = two_primaries_deadline(core);
	t = rx < t ? rx : t;
	t = rq->barrier_at_ns < t ? rq->barrier_at_ns : t;
	return rq->ack_at_ns < t ? rq->ack_at_ns : t;
}

void request_time(struct core *core)
{
	struct requests *rq = &core->req;

	if (core->now_ns >= rq->barrier_at_ns)
		request_barriers_send(core);
	if (core->now_ns >= rq->ack_at_ns)
		peer_ack_flush(core);
	peer_write_time(core);
	two_primaries_time(core);
	actlog_time(core);
}

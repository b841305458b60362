/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Application flushes: the local disk, and the barrier acks of protocol C peers. */
#include "core/request.h"

#include <errno.h>

#include "core/core_hooks.h"
#include "core/quorum.h"
#include "core/state.h"

/* One local flush serves all requests that wait when it starts: it covers what completed
 * before them. */
static void flush_waiting(struct core *core, struct volume *vol)
{
	struct volume_io *io = &core->req.vol[vol->v];

	if (io->flush_running || list_empty(&io->waiting))
		return;
	if (!request_local_writable(core, vol)) {
		list_splice_back(&core->req.flushes, &io->waiting);
		return;
	}
	io->flush_running = true;
	list_splice_back(&io->flushing, &io->waiting);
	local_flush_submit(core, vol, TAG_APP_FLUSH, vol->v);
}

/* Flushed here, on a disk that is still there. */
static bool has_local_copy(const struct core *core, const struct request *req)
{
	return req->local_ok && request_local_writable(core, core->vol[req->v]);
}

/*
 * Every connected protocol C peer has the flush's epochs on stable storage; every peer at all
 * when the local disk does not have them.
 */
static bool peers_done(const struct core *core, const struct request *req)
{
	FOR_EACH_PEER(core, peer) {
		const struct request *oldest = peer->tx.oldest;

		if (peer->tx.active && oldest &&
		    (!has_local_copy(core, req) || peer->conf->net.protocol == PROTOCOL_C) &&
		    (int32_t)(oldest->epoch - req->epoch) <= 0)
			return false;
	}
	return true;
}

static bool peer_has_data(const struct core *core, unsigned v)
{
	FOR_EACH_PEER(core, peer) {
		if (peer->tx.active && pdsk_of(core, &peer->pd[v]) == DISK_UP_TO_DATE)
			return true;
	}
	return false;
}

static void finish(struct core *core, struct request *req)
{
	bool ok = (has_local_copy(core, req) || peer_has_data(core, req->v)) &&
		  !quorum_fails_io(core, req->v);

	list_del(&req->link);
	if (!ok && state_suspended(core) && request_waits(core)) {
		request_wait_again(core, req);
		return;
	}
	request_complete(core, req, ok ? 0 : -EIO);
	request_free(core, req);
}

/* As with writes: a lost peer that did not flush must
 * not take its data for the same after a crash. */
static bool told_apart(const struct core *core, const struct request *req)
{
	if (quorum_holds_answers(core) || uuid_bump_running(core))
		return false;
	return has_local_copy(core, req) || !core->vol[req->v]->awaits_disk ||
	       !peer_has_data(core, req->v);
}

void request_flush_progress(struct core *core)
{
	LIST_FOR_EACH_SAFE(it, &core->req.flushes) {
		struct request *req = LIST_ENTRY(it, struct request, link);

		if (!told_apart(core, req))
			core->req.answers_held = true;
		else if (peers_done(core, req))
			finish(core, req);
	}
}

void request_flush_start(struct core *core, struct request *req)
{
	struct requests *rq = &core->req;
	struct volume *vol = core->vol[req->v];

	req->stage = REQ_FLUSHING;
	req->epoch = rq->epoch_writes > 0 ? rq->epoch : rq->epoch - 1;
	request_epoch_close(core);
	request_barriers_send(core);
	if (request_local_writable(core, vol)) {
		list_push_back(&rq->vol[vol->v].waiting, &req->link);
		flush_waiting(core, vol);
		return;
	}
	list_push_back(&rq->flushes, &req->link);
	request_flush_progress(core);
}

void request_flush_local_done(struct core *core, struct volume *vol, int error)
{
	struct volume_io *io = &core->req.vol[vol->v];

	io->flush_running = false;
	LIST_FOR_EACH(it, &io->flushing)
		LIST_ENTRY(it, struct request, link)->local_ok =
			!error && request_local_writable(core, vol);
	list_splice_back(&core->req.flushes, &io->flushing);
	if (error)
		volume_store_error(core, vol, error, "flush");
	flush_waiting(core, vol);
	request_flush_progress(core);
}

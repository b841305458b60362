/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Application reads: which copy serves them (read-balancing), another one after an error. */
#include <errno.h>

#include "core/bitmap.h"
#include "core/cluster.h"
#include "core/core_hooks.h"
#include "core/request.h"
#include "core/state.h"

/* From so many requests at it on a disk counts as congested: what Linux took as such in a queue of
 * 128. */
#define CONGESTED_REQUESTS 113U

static void complete(struct core *core, struct request *req, int error, struct payload payload)
{
	struct core_action *act = core_act(core, AC_COMPLETE);

	list_del(&req->link);
	act->u.complete.cookie = req->cookie;
	act->u.complete.error = error;
	act->u.complete.payload = payload;
	if (!error)
		core->vol[req->v]->read_sectors += req->bytes / SECTOR_BYTES;
	req->completed = true;
	request_answered(core, req);
	request_free(core, req);
}

/* The disk holds the latest data of this range. */
static bool local_readable(const struct core *core, const struct request *req)
{
	const struct volume *vol = core->vol[req->v];
	uint32_t owned = SLOTS_ALL & ~bitmap_slots_free(vol);

	if (!request_local_writable(core, vol) || req->tried >> core->self & 1)
		return false;
	if (disk_of(core, vol) == DISK_UP_TO_DATE)
		return true;
	return disk_of(core, vol) == DISK_INCONSISTENT &&
	       !bitmap_test(vol, owned, req->sector, req->bytes / SECTOR_BYTES);
}

static bool peer_readable(const struct core *core, const struct peer *peer,
			  const struct request *req)
{
	const struct peer_device *pd = &peer->pd[req->v];

	return peer->tx.active && peer->conf->net.allow_remote_read &&
	       pdsk_of(core, pd) == DISK_UP_TO_DATE && repl_of(core, pd) >= REPL_ESTABLISHED &&
	       !(req->tried >> peer->id & 1);
}

/* Who may serve a read: peers of the best protocol there is, so that C comes before A. */
struct copies {
	struct peer *peer[NODES_MAX];
	unsigned count;
	bool local;
};

/* While the disk here serves it nobody else is asked for what is marked as missing there. */
static bool peer_is_copy(const struct core *core, const struct peer *peer,
			 const struct request *req, bool local)
{
	const struct volume *vol = core->vol[req->v];

	return peer_readable(core, peer, req) &&
	       (!local || !bitmap_test(vol, bitmap_slots_of(vol, node_bit(peer->id)), req->sector,
				       req->bytes / SECTOR_BYTES));
}

static void find_copies(const struct core *core, const struct request *req, struct copies *c)
{
	c->count = 0;
	c->local = local_readable(core, req);
	FOR_EACH_PEER(core, peer) {
		if (!peer_is_copy(core, peer, req, c->local))
			continue;
		if (c->count && peer->conf->net.protocol < c->peer[0]->conf->net.protocol)
			continue;
		if (c->count && peer->conf->net.protocol > c->peer[0]->conf->net.protocol)
			c->count = 0;
		c->peer[c->count++] = peer;
	}
}

/* Number i of all copies, the one here first; NULL = that one. */
static struct peer *copy_at(const struct copies *c, uint64_t i)
{
	unsigned n = (unsigned)(i % (c->count + c->local));

	if (c->local && n == 0)
		return NULL;
	return c->peer[n - c->local];
}

static struct peer *least_busy(const struct core *core, const struct request *req,
			       const struct copies *c)
{
	struct peer *best = NULL;
	uint32_t least = c->local ? core->vol[req->v]->local_pending : UINT32_MAX;

	for (unsigned i = 0; i < c->count; i++) {
		struct peer *peer = c->peer[(core->req.read_turn + i) % c->count];

		if (peer->pd[req->v].pending < least) {
			best = peer;
			least = best->pd[req->v].pending;
		}
	}
	return best;
}

/* Of at least one copy; NULL = the disk here. */
static struct peer *choose(struct core *core, const struct request *req, const struct copies *c)
{
	const struct volume *vol = core->vol[req->v];
	enum read_balancing policy = vol->conf->disk.read_balancing;
	struct peer *in_turn = c->count ? c->peer[core->req.read_turn % c->count] : NULL;

	switch (policy) {
	case READ_PREFER_LOCAL:
		return c->local ? NULL : in_turn;
	case READ_PREFER_REMOTE:
		return in_turn;
	case READ_WHEN_CONGESTED_REMOTE:
		return c->local && vol->local_pending < CONGESTED_REQUESTS ? NULL : in_turn;
	case READ_ROUND_ROBIN:
		return copy_at(c, core->req.read_turn);
	case READ_LEAST_PENDING:
		return least_busy(core, req, c);
	case READ_STRIPING_32K:
	case READ_STRIPING_64K:
	case READ_STRIPING_128K:
	case READ_STRIPING_256K:
	case READ_STRIPING_512K:
	case READ_STRIPING_1M:
		break;
	}
	return copy_at(c, req->sector * SECTOR_BYTES >> policy);
}

static void send_to(struct core *core, struct peer *peer, struct request *req)
{
	struct pkt pkt = { .type = P_DATA_REQUEST, .vnr = core->vol[req->v]->vnr };

	pkt.u.block.sector = req->sector;
	pkt.u.block.block_id = slab_handle(&core->req.slab, req);
	pkt.u.block.bytes = req->bytes;
	core_send(core, peer, STREAM_DATA, &pkt);
	req->server = peer->id;
	peer->pd[req->v].pending++;
}

static void read_local(struct core *core, struct request *req)
{
	struct volume *vol = core->vol[req->v];
	uint64_t tag = tag_make(TAG_REQUEST, slab_handle(&core->req.slab, req));
	struct core_action *act = request_local_begin(core, vol, AC_DISK_READ, tag);

	act->u.disk.sector = req->sector;
	act->u.disk.bytes = req->bytes;
	vol->app_sectors += req->bytes / SECTOR_BYTES;
	req->server = NODES_MAX;
}

/* A write that this node has received from who is Primary no more is not at its end here. */
static bool meets_left_write(const struct core *core, const struct request *req)
{
	FOR_EACH_PEER(core, peer) {
		if (peer->rx.unfinished && core->st.peer[peer->id].role != ROLE_PRIMARY)
			return hold_write_known(core->vol[req->v], req->sector,
						req->bytes / SECTOR_BYTES);
	}
	return false;
}

static void hold_ready(struct core *core, struct volume *vol, struct hold *hold)
{
	hold_release(core, vol, hold);
	read_start(core, LIST_ENTRY(hold, struct request, hold));
}

/* Read before its end and then after it, the blocks would change without having been written. */
static bool waits_for_left_write(struct core *core, struct request *req)
{
	if (!meets_left_write(core, req))
		return false;
	req->server = NODES_MAX;
	hold_init(&req->hold, HOLD_RS_READ, req->sector, req->bytes / SECTOR_BYTES, hold_ready);
	if (!hold_acquire(core, core->vol[req->v], &req->hold))
		return true;
	hold_release(core, core->vol[req->v], &req->hold);
	return false;
}

void read_start(struct core *core, struct request *req)
{
	struct copies copies;
	struct peer *peer;

	req->stage = REQ_READING;
	if (!list_linked(&req->link))
		list_push_back(&core->req.reading, &req->link);
	find_copies(core, req, &copies);
	if (copies.local || copies.count) {
		peer = choose(core, req, &copies);
		core->req.read_turn++;
		if (peer)
			send_to(core, peer, req);
		else if (!waits_for_left_write(core, req))
			read_local(core, req);
	} else if (state_suspended(core) && request_waits(core)) {
		list_del(&req->link);
		request_wait_again(core, req);
	} else {
		complete(core, req, -EIO, (struct payload){ 0 });
	}
}

void read_local_done(struct core *core, struct request *req, const struct ev_done *done)
{
	struct volume *vol = core->vol[req->v];
	struct payload payload = done->payload;

	ASSERT(req->stage == REQ_READING && req->server == NODES_MAX);
	if (!done->error && !vol->io_failed) {
		complete(core, req, 0, payload);
	} else if (!done->error) {
		/* What a disk has lost in a flush that failed, it reads as before. */
		core_payload_put(core, &payload);
		read_start(core, req);
	} else {
		core_payload_put(core, &payload);
		req->tried |= UINT32_C(1) << core->self;
		bitmap_set(core, vol, SLOTS_ALL, req->sector, req->bytes / SECTOR_BYTES);
		volume_io_error(core, vol, done->error, "read");
		read_start(core, req);
	}
	request_local_end(core, vol);
}

/* The read that this peer answers, or NULL after failing the connection. */
static struct request *answered(struct core *core, struct peer *peer, const struct pkt *pkt)
{
	const struct volume *vol = core_volume_by_vnr(core, pkt->vnr);
	const struct pkt_block *block = &pkt->u.block;
	struct request *req = slab_lookup(&core->req.slab, block->block_id);

	if (!vol || !req || req->stage != REQ_READING || req->server != peer->id ||
	    req->v != vol->v || req->sector != block->sector) {
		peer_fail(core, peer, CONN_PROTOCOL_ERROR, "%s without a request",
			  packet_name(pkt->type));
		return NULL;
	}
	return req;
}

void rx_data_reply(struct core *core, struct peer *peer, const struct pkt *pkt)
{
	struct payload payload = pkt->payload;
	struct request *req = answered(core, peer, pkt);

	if (req && payload.bytes != req->bytes) {
		peer_fail(core, peer, CONN_PROTOCOL_ERROR, "read of %u bytes answered with %u",
			  req->bytes, payload.bytes);
		req = NULL;
	}
	if (!req) {
		core_payload_put(core, &payload);
		return;
	}
	peer->pd[req->v].pending--;
	peer->pd[req->v].received_sectors += req->bytes / SECTOR_BYTES;
	complete(core, req, 0, payload);
}

void rx_neg_dreply(struct core *core, struct peer *peer, const struct pkt *pkt)
{
	struct request *req = answered(core, peer, pkt);

	if (!req)
		return;
	peer->pd[req->v].pending--;
	req->tried |= UINT32_C(1) << peer->id;
	read_start(core, req);
}

/* Restarts what the peer cannot answer any more. Restarted reads stay on the list and go
 * elsewhere; should that fail, too, the peer may be back. */
void read_peer_lost(struct core *core, struct peer *peer)
{
	LIST_FOR_EACH_SAFE(it, &core->req.reading) {
		struct request *req = LIST_ENTRY(it, struct request, link);

		if (req->server != peer->id)
			continue;
		peer->pd[req->v].pending--;
		read_start(core, req);
	}
}

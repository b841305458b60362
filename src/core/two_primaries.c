/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Two Primaries that write to the same blocks: which write goes last, the same on both nodes.
 *
 * Each node writes its own copy at once and sends the data. Of two writes that cross on the wire
 * the one of the node that holds RESOLVE_CONFLICTS counts as the first one to be acknowledged: that
 * node does not write the other's, but answers P_SUPERSEDED (it counts as written just before), or
 * P_RETRY_WRITE (it is sent once more, after the first). The other node keeps what it receives
 * waiting until its own write has that answer, so both copies end with the same write.
 *
 * A write has crossed when the own one is not acknowledged, and all the acks are here that the peer
 * sent before it: the numbers of wire-protocol 4.6 tell. What is acknowledged was there before.
 *
 * From P_RETRY_WRITE until it is sent once more the nodes differ: the activity log covers that, or
 * bits when it cannot any more.
 */
#include "core/cluster.h"
#include "core/core_hooks.h"
#include "core/request.h"

#define LOG_PAUSE_NS (60 * NS_PER_S)

static bool ranges_overlap(uint64_t a, uint32_t a_bytes, uint64_t b, uint32_t b_bytes)
{
	return a < b + b_bytes / SECTOR_BYTES && b < a + a_bytes / SECTOR_BYTES;
}

/* ---- the node that decides ---- */

static bool decides(const struct core *core, const struct peer *peer)
{
	return peer->resolve_conflicts && cluster_other_primary(core) == peer;
}

/* An own write that is on its way to the peer and overlaps. */
static const struct request *crossing(struct core *core, const struct peer_request *preq)
{
	struct volume *vol = core->vol[preq->v];
	struct range *r = NULL;

	while ((r = range_map_overlap(&vol->holds.map, preq->sector, preq->bytes / SECTOR_BYTES,
				      r))) {
		struct hold *hold = LIST_ENTRY(r, struct hold, range);
		const struct request *req = LIST_ENTRY(hold, const struct request, hold);

		if (hold->owner == HOLD_OF_REQUEST && req->stage == REQ_LOGGED &&
		    req->net.of[NET_ACK_DUE] >> preq->p & 1)
			return req;
	}
	return NULL;
}

/* The whole of it is overwritten by what is on this disk already, if not flushed yet. */
static bool is_superseded(const struct peer_request *preq, const struct request *req)
{
	return !(preq->dp_flags & DP_FUA) && !req->local_pending && req->local_ok &&
	       req->sector <= preq->sector &&
	       preq->sector + preq->bytes / SECTOR_BYTES <= req->sector + req->bytes / SECTOR_BYTES;
}

static void refuse(struct core *core, struct peer_request *preq, const struct request *req)
{
	struct peer *peer = core->peer[preq->p];
	enum packet type = is_superseded(preq, req) ? P_SUPERSEDED : P_RETRY_WRITE;

	/* A cluster file system does not do that. */
	if (core->now_ns >= peer->crossed_log_ns) {
		peer->crossed_log_ns = core->now_ns + LOG_PAUSE_NS;
		core_log(core, LOG_LEVEL_WARNING,
			 "%s/%u: both Primaries write to the same blocks at once: sector %llu, %u "
			 "bytes here, sector %llu, %u bytes on %s; more of these within a minute "
			 "are not logged",
			 core->conf.name, core->vol[preq->v]->vnr, (unsigned long long)req->sector,
			 req->bytes, (unsigned long long)preq->sector, preq->bytes,
			 peer->conf->name);
	}
	if (peer->gives_way) {
		peer_write_give_up(core, preq, type);
		return;
	}
	/* As DRBD does since 9.1.4: what either node lacks then is marked. */
	peer_fail(core, peer, CONN_PROTOCOL_ERROR,
		  "both Primaries have written to the same blocks at once (volume %u, sector %llu)",
		  core->vol[preq->v]->vnr, (unsigned long long)preq->sector);
}

static bool acks_are_here(const struct core *core, const struct peer_request *preq)
{
	const struct peer_device *pd = &core->peer[preq->p]->pd[preq->v];

	return (int32_t)(pd->acks_rx - preq->acks) >= 0;
}

bool two_primaries_arrived(struct core *core, struct peer_request *preq)
{
	struct peer *peer = core->peer[preq->p];
	const struct request *req;

	if (!decides(core, peer))
		return false;
	req = crossing(core, preq);
	if (!req)
		return false;
	if (!acks_are_here(core, preq)) {
		preq->stage = PREQ_ACKS;
		list_push_back(&peer->rx.early, &preq->drain);
		return true;
	}
	if (!peer->gives_way)
		peer_write_go_on(core, preq);
	refuse(core, preq, req);
	return true;
}

/* A write of the peer waits for this own one, which it will not be acknowledged before: it has
 * crossed on the way, too. */
static struct peer_request *waits_behind(struct core *core, const struct request *req,
					 const struct peer *peer)
{
	LIST_FOR_EACH(it, &core->vol[req->v]->holds.waiting) {
		struct hold *hold = LIST_ENTRY(it, struct hold, waiting);
		struct peer_request *preq = LIST_ENTRY(hold, struct peer_request, hold);

		if (hold->owner == HOLD_OF_PEER_WRITE && preq->p == peer->id && !preq->lost &&
		    ranges_overlap(req->sector, req->bytes, preq->sector, preq->bytes))
			return preq;
	}
	return NULL;
}

void two_primaries_sent(struct core *core, const struct request *req, uint32_t nodes)
{
	struct peer *peer = cluster_other_primary(core);
	struct peer_request *preq;

	if (!peer || !(nodes >> peer->id & 1) || !decides(core, peer) || !peer->tx.active)
		return;
	while (peer->streams_up && (preq = waits_behind(core, req, peer))) {
		refuse(core, preq, req);
		if (!peer->gives_way)
			return;
	}
}

/* ---- writes that have overtaken acks ---- */

/* Oldest first; those behind it wait for more acks. */
static void go_on(struct core *core, struct peer_request *preq)
{
	list_del(&preq->drain);
	if (preq->lost || !two_primaries_arrived(core, preq))
		peer_write_go_on(core, preq);
}

void two_primaries_acked(struct core *core, struct peer *peer, uint16_t vnr)
{
	struct volume *vol = core_volume_by_vnr(core, vnr);
	struct list ready;

	if (!vol)
		return;
	peer->pd[vol->v].acks_rx++;
	list_init(&ready);
	LIST_FOR_EACH_SAFE(it, &peer->rx.early) {
		const struct peer_request *preq = LIST_ENTRY(it, const struct peer_request, drain);

		if (preq->v != vol->v || !acks_are_here(core, preq))
			continue;
		list_del(it);
		list_push_back(&ready, it);
	}
	while (!list_empty(&ready))
		go_on(core, LIST_ENTRY(ready.next, struct peer_request, drain));
}

/*
 * Own writes that such a one waits for are answered now, and it was not: after them it would
 * overwrite what was answered, with what may have been sent long ago.
 */
void two_primaries_drop(struct core *core, struct peer *peer)
{
	if (core->st.role != ROLE_PRIMARY)
		return;
	LIST_FOR_EACH_SAFE(it, &peer->rx.writes) {
		struct peer_request *preq = LIST_ENTRY(it, struct peer_request, link);

		if (preq->stage == PREQ_ACKS || list_linked(&preq->hold.waiting))
			peer_write_drop(core, preq);
	}
}

void two_primaries_lost(struct core *core, struct peer *peer)
{
	while (!list_empty(&peer->rx.early))
		go_on(core, LIST_ENTRY(peer->rx.early.next, struct peer_request, drain));
}

static uint64_t give_up_ns(const struct peer *peer)
{
	const struct peer_request *oldest;

	if (list_empty(&peer->rx.early))
		return NEVER_NS;
	oldest = LIST_ENTRY(peer->rx.early.next, const struct peer_request, drain);
	return oldest->arrived_ns + peer->conf->net.ping_timeout_ds * 100 * NS_PER_MS;
}

uint64_t two_primaries_deadline(const struct core *core)
{
	uint64_t t = NEVER_NS;

	FOR_EACH_PEER(core, peer) {
		uint64_t at = give_up_ns(peer);

		t = at < t ? at : t;
	}
	return t;
}

void two_primaries_time(struct core *core)
{
	FOR_EACH_PEER(core, peer) {
		if (core->now_ns >= give_up_ns(peer))
			peer_fail(core, peer, CONN_TIMEOUT,
				  "acks that %s sent before a write do not come",
				  peer->conf->name);
	}
}

/* ---- the node that gives way ---- */

bool two_primaries_may_refuse(const struct core *core, uint32_t nodes)
{
	FOR_EACH_PEER(core, peer) {
		if (nodes >> peer->id & 1 && peer->gives_way && !peer->resolve_conflicts)
			return true;
	}
	return false;
}

static void mark(struct core *core, const struct request *req, uint64_t nodes)
{
	struct volume *vol = core->vol[req->v];

	if (vol_has_md(vol) && nodes)
		bitmap_set(core, vol, bitmap_slots_of(vol, nodes), req->sector,
			   req->bytes / SECTOR_BYTES);
}

void two_primaries_mark(struct core *core, struct request *req)
{
	if (!list_linked(&req->refused_link))
		return;
	list_del(&req->refused_link);
	mark(core, req, req->refused);
}

void two_primaries_mark_peer(struct core *core, const struct peer *peer, unsigned v)
{
	LIST_FOR_EACH(it, &core->req.refused) {
		const struct request *req = LIST_ENTRY(it, const struct request, refused_link);

		if (req->v == v)
			mark(core, req, req->refused & UINT32_C(1) << peer->id);
	}
}

void two_primaries_mark_all(struct core *core, struct volume *vol)
{
	LIST_FOR_EACH_SAFE(it, &core->req.refused) {
		struct request *req = LIST_ENTRY(it, struct request, refused_link);

		if (req->v != vol->v || req->stage == REQ_LOGGED || req->stage == REQ_AL)
			continue;
		two_primaries_mark(core, req);
		actlog_put(core, vol, &req->al);
	}
}

/* ---- generations ---- */

/*
 * Of two Primaries one makes the generations: two would cross, and each node be left with the
 * other's. It is the one with a good disk; where both have one, all have what is written, and the
 * lower node id does it.
 */
bool two_primaries_other_bumps(const struct core *core, const struct volume *vol)
{
	const struct peer *peer = cluster_other_primary(core);

	if (!peer || pdsk_of(core, &peer->pd[vol->v]) != DISK_UP_TO_DATE)
		return false;
	return disk_of(core, vol) != DISK_UP_TO_DATE || peer->id < core->self;
}

/*
 * The other one is lost, and its disk is good; or this disk is not, and the other one's is lost,
 * too. Then it makes a generation from what both had, at once or when it has its disk back, of
 * which this node may not be told.
 */
void two_primaries_parted(const struct core *core, const struct state *old, struct volume *vol)
{
	bool good = disk_of(core, vol) == DISK_UP_TO_DATE;
	bool both = core->st.role == ROLE_PRIMARY && old->role == ROLE_PRIMARY;

	FOR_EACH_PEER(core, peer) {
		struct peer_device *pd = &peer->pd[vol->v];
		const struct state_peer_device *was = &old->pd[peer->id][vol->v];
		bool connected = repl_of(core, pd) >= REPL_ESTABLISHED;
		bool lost = was->repl >= REPL_ESTABLISHED && !connected;

		if (was->repl >= REPL_ESTABLISHED && was->pdsk == DISK_UP_TO_DATE &&
		    (lost || pdsk_of(core, pd) <= DISK_FAILED))
			pd->may_go_on = both && old->peer[peer->id].role == ROLE_PRIMARY &&
					(lost || !good);
		else if (connected && pdsk_of(core, pd) == DISK_UP_TO_DATE)
			pd->may_go_on = false;
		pd->may_go_on &= core->st.role == ROLE_PRIMARY;
		pd->goes_on = (pd->goes_on || lost) && pd->may_go_on && !good;
	}
}

bool two_primaries_left_behind(const struct core *core, const struct volume *vol)
{
	FOR_EACH_PEER(core, peer) {
		const struct peer_device *pd = &peer->pd[vol->v];

		if (pd->goes_on && repl_of(core, pd) < REPL_ESTABLISHED)
			return true;
	}
	return false;
}

/* Its disk here, if it had one, may have been lost before that, with the generation before. */
static bool has_gone_on_from(const struct pkt_uuids *its, unsigned self, uint64_t shown)
{
	return uuid_is_among(&its->bitmap[self], 1, shown) ||
	       uuid_is_among(its->history, HISTORY_UUIDS, shown);
}

/*
 * It has gone on from what this node had shown last, and no good disk here has gone on, too: then
 * nothing that was answered here is missing there. This node follows, as if it had been told then.
 */
void two_primaries_follow(const struct core *core, struct volume *vol,
			  const struct peer_device *pd)
{
	uint64_t shown = vol->exposed_uuid;

	if (!pd->may_go_on || disk_of(core, vol) == DISK_UP_TO_DATE || vol->awaits_disk || !shown ||
	    pd->uuids.flags & (UUID_FLAG_NOT_DURABLE | UUID_FLAG_SYNC_TARGET))
		return;
	if (has_gone_on_from(&pd->uuids, core->self, shown))
		vol->exposed_uuid = pd->uuids.current;
}

/* ---- the activity log of both ---- */

/*
 * Own writes keep their place in the log until the peer has them, and what the peer has sent needs
 * a place in ours for that. Were both logs full of own writes, both would wait for ever.
 */
static bool shares_log(const struct core *core)
{
	FOR_EACH_PEER(core, peer) {
		if (peer->conf->net.two_primaries)
			return true;
	}
	return false;
}

static uint32_t extents_of(const struct request *req)
{
	uint64_t last = req->sector + req->bytes / SECTOR_BYTES - 1;

	return (uint32_t)(last / AL_EXTENT_SECTORS - req->sector / AL_EXTENT_SECTORS) + 1;
}

bool two_primaries_al_get(struct core *core, struct request *req)
{
	struct volume *vol = core->vol[req->v];
	struct volume_io *io = &core->req.vol[req->v];
	uint32_t n = extents_of(req);

	if (req->al_share || !shares_log(core) || !vol->al.usable)
		return true;
	if (io->al_used && io->al_used + n > vol->al.slot_count / 2) {
		list_push_back(&io->waiting_al, &req->link);
		return false;
	}
	req->al_share = n;
	io->al_used += n;
	return true;
}

void two_primaries_al_put(struct core *core, struct request *req)
{
	struct volume_io *io = &core->req.vol[req->v];

	io->al_used -= req->al_share;
	req->al_share = 0;
	if (!list_empty(&io->waiting_al))
		core_work(core, WORK_REQUESTS);
}

struct request *two_primaries_al_next(struct core *core, struct volume *vol)
{
	struct volume_io *io = &core->req.vol[vol->v];
	struct request *req;

	if (list_empty(&io->waiting_al))
		return NULL;
	req = LIST_ENTRY(io->waiting_al.next, struct request, link);
	list_del(&req->link);
	if (two_primaries_al_get(core, req))
		return req;
	/* Back to the front. */
	list_del(&req->link);
	list_push_front(&io->waiting_al, &req->link);
	return NULL;
}

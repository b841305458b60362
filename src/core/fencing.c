/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fencing: a Primary that loses a peer, and a node that is to become Primary beside one that it
 * does not see, have it made harmless by the handler fence-peer. With resource-and-stonith nothing
 * is answered before (states-and-resync 4.9).
 */
#include "core/fencing.h"

#include <stdio.h>

#include "core/cluster.h"
#include "core/core_hooks.h"
#include "core/core_int.h"
#include "core/resync_int.h"
#include "core/state.h"

#define AGAIN_NS NS_PER_S

/* Exit codes of fence-peer. */
enum {
	PEER_INCONSISTENT = 3,
	PEER_OUTDATED = 4,
	PEER_DOWN = 5,
	PEER_PRIMARY = 6,
	PEER_STONITHED = 7,
};

bool fencing_wanted(const struct peer *peer)
{
	if (peer->conf->net.fencing == FENCING_DONT_CARE)
		return false;
	for (unsigned v = 0; v < VOLUMES_MAX; v++) {
		if (peer->conf->has_disk[v])
			return true;
	}
	return false;
}

bool fencing_or_quorum(const struct core *core, const struct peer *peer)
{
	return core->conf.quorum != QUORUM_OFF || fencing_wanted(peer);
}

bool fencing_unseen(const struct core *core, const struct state *st, unsigned p, unsigned v)
{
	return fencing_wanted(core->peer[p]) && core->peer[p]->conf->has_disk[v] &&
	       st->pd[p][v].repl < REPL_ESTABLISHED && st->pd[p][v].pdsk > DISK_OUTDATED;
}

static bool any_unseen(const struct core *core, const struct state *st, const struct peer *peer)
{
	FOR_EACH_VOLUME(core, vol) {
		if (!vol_is_aside(vol) && fencing_unseen(core, st, peer->id, vol->v))
			return true;
	}
	return false;
}

/* One that is connected without the disk that it has had may have gone on before. */
static bool is_accounted(const struct state *st, const struct volume *vol,
			 const struct peer *peer)
{
	const struct state_peer_device *pd = &st->pd[peer->id][vol->v];
	uint32_t flags = vol->md.peers[peer->id].flags;

	if (!peer->conf->has_disk[vol->v] || pd->pdsk == DISK_INCONSISTENT ||
	    pd->pdsk == DISK_OUTDATED)
		return true;
	if (pd->repl < REPL_ESTABLISHED)
		return flags & MDF_PEER_OUTDATED;
	return pd->pdsk > DISK_FAILED || !(flags & MDF_PEER_DEVICE_SEEN);
}

bool fencing_keeps_back(const struct core *core, const struct state *st, unsigned v)
{
	const struct volume *vol = core->vol[v];

	FOR_EACH_PEER(core, peer) {
		if (fencing_wanted(peer) && !is_accounted(st, vol, peer))
			return true;
	}
	for (unsigned n = 0; vol_has_md(vol) && n < NODES_MAX; n++) {
		const struct md_peer *mp = &vol->md.peers[n];

		if (n != core->self && !core->peer[n] && mp->flags & MDF_PEER_FENCING &&
		    mp->flags & MDF_PEER_DEVICE_SEEN && !(mp->flags & MDF_PEER_OUTDATED))
			return true;
	}
	return false;
}

/*
 * Outdated at the crash were all but one: from that one the others may have got good data since,
 * with this node fenced. If it was all of them, nobody goes on without this one.
 */
void fencing_attach(const struct core *core, struct volume *vol)
{
	bool all = true;

	FOR_EACH_PEER(core, peer) {
		if (fencing_wanted(peer) && peer->conf->has_disk[vol->v])
			all &= (vol->md.peers[peer->id].flags & MDF_PEER_OUTDATED) != 0;
	}
	FOR_EACH_PEER(core, peer) {
		if (!all && fencing_wanted(peer))
			vol->md.peers[peer->id].flags &= ~MDF_PEER_OUTDATED;
	}
}

bool fencing_holds_io(const struct state *st)
{
	return st->susp_fen != 0;
}

/* ---- whose data would go on ---- */

/*
 * A node that neither has good data nor sees any only would take good ones out of use. Who sees
 * some is able to write, with its own disk or without.
 */
static bool has_a_say(const struct core *core, const struct state *st)
{
	FOR_EACH_VOLUME(core, vol) {
		if (!vol_is_aside(vol) && (st->vol[vol->v].disk >= DISK_CONSISTENT ||
					   state_data_accessible(core, st, vol->v)))
			return true;
	}
	return false;
}

static bool needs_fencing(const struct core *core, const struct state *st, const struct peer *peer)
{
	return any_unseen(core, st, peer) && has_a_say(core, st);
}

/*
 * That the peer is down says nothing of what it has written alone before. A node that was never
 * stopped knows: before anything was answered it would have been fenced itself. One that was, does
 * not, until it has been told.
 */
static bool knows_the_last(const struct core *core)
{
	FOR_EACH_VOLUME(core, vol) {
		enum disk_state disk = disk_of(core, vol);

		if (!vol->conf->disk.has_disk || vol_is_aside(vol))
			continue;
		if (disk != DISK_UP_TO_DATE && !(disk == DISK_CONSISTENT && !vol->unproved))
			return false;
	}
	return true;
}

/* ---- I/O that waits ---- */

/*
 * It is back as a target, and has not said yet that its disk is behind: should this node die now
 * it may not have heard of that, and is as good as it was.
 */
static bool is_unaware(const struct core *core, const struct state *st, const struct peer *peer)
{
	FOR_EACH_VOLUME(core, vol) {
		const struct state_peer_device *pd = &st->pd[peer->id][vol->v];

		if (!vol_is_aside(vol) && pd->repl == REPL_WF_BITMAP_S && pd->pdsk > DISK_OUTDATED)
			return true;
	}
	return false;
}

void fencing_sanitize(const struct core *core, const struct state *old, struct state *next)
{
	bool promoted = old->role != ROLE_PRIMARY;
	uint32_t peers = 0;

	if (next->role != ROLE_PRIMARY || core->commands.give_up_io) {
		next->susp_fen = 0;
		return;
	}
	FOR_EACH_PEER(core, peer) {
		bool unseen = any_unseen(core, next, peer) || is_unaware(core, next, peer);

		peers |= (uint32_t)node_bit(peer->id);
		if (!unseen || peer->conf->net.fencing != FENCING_STONITH)
			next->susp_fen &= ~(uint32_t)node_bit(peer->id);
		else if ((promoted || !needs_fencing(core, old, peer)) &&
			 needs_fencing(core, next, peer))
			next->susp_fen |= (uint32_t)node_bit(peer->id);
	}
	next->susp_fen &= peers;
}

/* ---- handlers ---- */

void fencing_state_changed(struct core *core, const struct state *old)
{
	FOR_EACH_VOLUME(core, vol) {
		if (disk_of(core, vol) == DISK_UP_TO_DATE)
			vol->unproved = false;
	}
	FOR_EACH_PEER(core, peer) {
		if (peer_connected(core, peer)) {
			peer->fence.running = peer->fence_due = peer->fence_failed = false;
			continue;
		}
		if (!fencing_wanted(peer))
			continue;
		peer->fence_failed &= any_unseen(core, &core->st, peer);
		if (core->st.role == ROLE_PRIMARY && needs_fencing(core, &core->st, peer) &&
		    (old->role != ROLE_PRIMARY || !needs_fencing(core, old, peer)))
			peer->fence_due = true;
	}
}

static void failed(struct core *core, struct peer *peer, const char *why)
{
	core_log(core, LOG_LEVEL_ERR, "%s %s: not fenced, %s", core->conf.name, peer->conf->name,
		 why);
	peer->fence_failed = true;
	peer->fence_status = -1;
	core->notify = true;
}

static void call(struct core *core, struct peer *peer)
{
	peer->fence_due = peer->fence_failed = false;
	if (!handler_wait(core, HANDLER_FENCE_PEER, peer, NULL, &peer->fence))
		failed(core, peer, "there is no handler fence-peer");
}

void fencing_run(struct core *core)
{
	FOR_EACH_PEER(core, peer) {
		if (!peer->fence_due || peer->fence.running)
			continue;
		if (core->st.role != ROLE_PRIMARY || !any_unseen(core, &core->st, peer))
			peer->fence_due = false;
		else if (!has_a_say(core, &core->st)) {
			/* What has begun goes on waiting: it may be here alone. */
			peer->fence_due = false;
			failed(core, peer, "no good data are left here");
		} else if (twopc_connects(core, peer))
			peer->fence_at_ns = core->now_ns + AGAIN_NS;
		else
			call(core, peer);
	}
}

/* One that runs ends before the next one. */
static bool waits_for_time(const struct peer *peer)
{
	return peer->fence_due && !peer->fence.running;
}

void fencing_time(struct core *core)
{
	FOR_EACH_PEER(core, peer) {
		if (waits_for_time(peer) && core->now_ns >= peer->fence_at_ns)
			core_work(core, WORK_PEERS);
	}
}

uint64_t fencing_deadline(const struct core *core)
{
	uint64_t t = NEVER_NS;

	FOR_EACH_PEER(core, peer) {
		if (waits_for_time(peer) && peer->fence_at_ns < t)
			t = peer->fence_at_ns;
	}
	return t;
}

/* What the handler has found the peer's disks to be; DISK_UNKNOWN = it has not helped. */
static enum disk_state found(const struct core *core, int status)
{
	switch (status) {
	case PEER_INCONSISTENT:
		return DISK_INCONSISTENT;
	case PEER_OUTDATED:
		return DISK_OUTDATED;
	case PEER_DOWN:
	case PEER_STONITHED:
		return knows_the_last(core) ? DISK_OUTDATED : DISK_UNKNOWN;
	default:
		return DISK_UNKNOWN;
	}
}

static void peer_is_harmless(struct core *core, struct peer *peer, enum disk_state disk)
{
	struct state *next = state_begin(core);

	FOR_EACH_VOLUME(core, vol) {
		enum disk_state *pdsk = &next->pd[peer->id][vol->v].pdsk;

		if (peer->conf->has_disk[vol->v] && *pdsk > disk)
			*pdsk = disk;
	}
	/* Nobody is left who could have newer data. */
	FOR_EACH_VOLUME(core, vol) {
		enum disk_state *own = &next->vol[vol->v].disk;

		if (*own == DISK_CONSISTENT && cluster_may_be_up_to_date(core, next, vol->v))
			*own = DISK_UP_TO_DATE;
	}
	state_end(core, STATE_HARD);
}

/* Another node is Primary, with data that are not seen here. */
static void outdate_self(struct core *core)
{
	struct state *next = state_begin(core);

	FOR_EACH_VOLUME(core, vol) {
		if (next->vol[vol->v].disk > DISK_OUTDATED)
			next->vol[vol->v].disk = DISK_OUTDATED;
	}
	state_end(core, STATE_SOFT);
}

void fencing_done(struct core *core, struct peer *peer, uint64_t tag, int status)
{
	enum disk_state disk = found(core, status);

	if (!handler_ends(&peer->fence, tag))
		return;
	core_work(core, WORK_COMMAND | WORK_PEERS);
	/* What it says may be over: the two are about to meet. */
	if (twopc_connects(core, peer)) {
		peer->fence_due = true;
		peer->fence_at_ns = core->now_ns + AGAIN_NS;
		return;
	}
	peer->fence_status = status;
	peer->fence_failed = disk == DISK_UNKNOWN;
	if (disk != DISK_UNKNOWN) {
		core_log(core, LOG_LEVEL_NOTICE, "%s %s: fenced, its disks are %s",
			 core->conf.name, peer->conf->name, disk_state_name(disk));
		peer_is_harmless(core, peer, disk);
		return;
	}
	core_log(core, LOG_LEVEL_ERR, "%s %s: not fenced, fence-peer has ended with %d",
		 core->conf.name, peer->conf->name, status);
	if (status == PEER_PRIMARY && core->st.role != ROLE_PRIMARY)
		outdate_self(core);
}

void fencing_unsure(struct core *core, struct peer *peer)
{
	struct state *next;

	if (!fencing_wanted(peer) || peer_connected(core, peer))
		return;
	if (peer->fence.running) {
		peer->fence.running = false;
		peer->fence_due = true;
		peer->fence_at_ns = core->now_ns + AGAIN_NS;
	}
	next = state_begin(core);
	FOR_EACH_VOLUME(core, vol)
		next->pd[peer->id][vol->v].pdsk = DISK_UNKNOWN;
	state_end(core, STATE_HARD);
}

bool fencing_begin(struct core *core)
{
	bool any = false;

	FOR_EACH_PEER(core, peer) {
		if (peer_connected(core, peer) || !any_unseen(core, &core->st, peer) ||
		    !has_a_say(core, &core->st))
			continue;
		if (!peer->fence.running)
			call(core, peer);
		any = true;
	}
	return any;
}

bool fencing_under_way(const struct core *core)
{
	FOR_EACH_PEER(core, peer) {
		if (peer->fence.running)
			return true;
	}
	return false;
}

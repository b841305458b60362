/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The end of a resync at its target: writes in flight elsewhere,
 * generation, states (1.9, wire-protocol 5.6, 5.8). */
#include <string.h>

#include "core/bitmap_io.h"
#include "core/cluster.h"
#include "core/core_hooks.h"
#include "core/fencing.h"
#include "core/resync_int.h"
#include "core/state.h"

/* ---- flush requests ---- */

/* The peer receives the writes of that Primary, as it
 * told us itself (1.3, node mask of an unstable node). */
static bool hears_from(const struct peer_device *pd, unsigned primary)
{
	return pd->uuids_valid && !(pd->uuids.flags & UUID_FLAG_STABLE) &&
	       pd->uuids.node_mask & node_bit(primary);
}

/*
 * It takes part already: what one that is just connecting has marked comes with its bitmap. So
 * does what one has marked that has lost its disk; nor does that one tell us any more whom it hears
 * from.
 */
static bool gets_forwards(const struct core *core, const struct peer *peer, unsigned v)
{
	return peer_connected(core, peer) && peer->apv >= 123 && peer->pd[v].conn_rx &&
	       pdsk_of(core, &peer->pd[v]) == DISK_UP_TO_DATE;
}

/*
 * Peer acks that are under way may still make nodes mark blocks as missing here. Each Primary
 * answers when its acks are out, the nodes that hear from it when they have handled them. Who has
 * been told to send no writes, and is about to be Primary, answers when it sends them again.
 */
static void send_flush_requests(struct core *core, struct peer_device *pd)
{
	struct resync *rs = &pd->rs;

	memset(rs->flush_wait, 0, sizeof(rs->flush_wait));
	rs->flush_seq = ++core->reconcile.flush_serial;
	FOR_EACH_PEER(core, primary) {
		struct pkt pkt = { .type = P_FLUSH_REQUESTS, .vnr = VNR_NONE };

		bool sends_none = primary->pd[pd->v].told_no_data &&
				  primary->features & FEATURE_DRBDFS;

		if (!peer_connected(core, primary) || primary->apv < 123 ||
		    (core->st.peer[primary->id].role != ROLE_PRIMARY && !sends_none))
			continue;
		rs->flush_wait[primary->id] = node_bit(primary->id);
		FOR_EACH_PEER(core, other) {
			if (gets_forwards(core, other, pd->v) &&
			    hears_from(&other->pd[pd->v], primary->id))
				rs->flush_wait[primary->id] |= node_bit(other->id);
		}
		pkt.u.flush.sequence = rs->flush_seq;
		core_send(core, primary, STREAM_DATA, &pkt);
	}
}

static bool flush_acked(const struct core *core, const struct peer_device *pd)
{
	for (unsigned n = 0; n < NODES_MAX; n++) {
		for (uint64_t left = pd->rs.flush_wait[n]; left; left &= left - 1) {
			unsigned from = (unsigned)__builtin_ctzll(left);

			if (from == n || gets_forwards(core, core->peer[from], pd->v))
				return false;
		}
	}
	return true;
}

/* Who has lost that Primary will not be asked any
 * more. It has told us before what it had to mark. */
void finish_uuids_received(struct core *core, struct peer_device *teller)
{
	/* Kept: where it goes from there needs no promise. */
	if (uuid_eq(teller->rs.promised_uuid, teller->uuids.current))
		teller->rs.promised_uuid = 0;
	FOR_EACH_PEER(core, source) {
		struct resync *rs = &source->pd[teller->v].rs;

		for (unsigned n = 0; n < NODES_MAX; n++)
			if (n != teller->p && !hears_from(teller, n))
				rs->flush_wait[n] &= ~node_bit(teller->p);
	}
	core_work(core, WORK_SYNC);
}

/*
 * A Primary answers the last of the requests that have come while its writes were under way: that
 * stands for those before it, of resyncs of other volumes that end at the same time.
 */
void rx_flush_requests_ack(struct core *core, struct peer *peer, const struct pkt *pkt)
{
	uint64_t acked = pkt->u.flush.sequence;

	if (pkt->u.flush.node_id >= NODES_MAX || acked > core->reconcile.flush_serial)
		return;
	FOR_EACH_PEER(core, source) {
		for (unsigned v = 0; v < core->vol_count; v++) {
			struct resync *rs = &source->pd[v].rs;

			if (rs->flush_seq && rs->flush_seq <= acked)
				rs->flush_wait[pkt->u.flush.node_id] &= ~node_bit(peer->id);
		}
	}
	core_work(core, WORK_SYNC);
}

void finish_peer_lost(struct core *core, struct peer *peer)
{
	FOR_EACH_PEER(core, source) {
		for (unsigned v = 0; v < core->vol_count; v++) {
			struct resync *rs = &source->pd[v].rs;

			if (rs->promised_by == peer->id)
				rs->promised_uuid = 0;
			rs->flush_wait[peer->id] = 0;
			for (unsigned n = 0; n < NODES_MAX; n++)
				rs->flush_wait[n] &= ~node_bit(peer->id);
		}
	}
}

/* ---- the end ---- */

void finish_promised(struct core *core, const struct volume *vol, unsigned by, uint64_t uuid,
		     uint64_t weak)
{
	FOR_EACH_PEER(core, source) {
		struct resync *rs = &source->pd[vol->v].rs;
		enum repl_state repl = repl_of(core, &source->pd[vol->v]);

		if (source->id == by || weak & node_bit(source->id) ||
		    (repl != REPL_WF_BITMAP_T && !resync_is_target(repl)))
			continue;
		rs->promised_uuid = uuid;
		rs->promised_by = (uint8_t)by;
	}
}

/* The Primary has a good disk again, which is where the source is: the newer one got onto none. */
static bool promise_is_taken_back(const struct core *core, const struct peer_device *source)
{
	const struct peer *by = core->peer[source->rs.promised_by];
	const struct peer_device *its = by ? &by->pd[source->v] : NULL;

	return its && repl_of(core, its) >= REPL_ESTABLISHED &&
	       pdsk_of(core, its) >= DISK_CONSISTENT && its->uuids_valid &&
	       !its->current_uuid_rx && uuid_eq(its->uuids.current, source->uuids.current);
}

/* The source is said to take part in a newer generation.
 * What we have then is decided by what it says itself. */
static bool source_is_behind_promise(const struct core *core, const struct peer_device *pd)
{
	const struct resync *rs = &pd->rs;
	enum role role = rs->promised_by == core->self ? core->st.role :
							  core->st.peer[rs->promised_by].role;

	return rs->promised_uuid && role == ROLE_PRIMARY && pd->uuids_valid &&
	       !uuid_eq(rs->promised_uuid, pd->uuids.current) && !promise_is_taken_back(core, pd);
}

/* It is still where we were: our new generation has it as a reference. */
static bool is_behind(const struct volume *vol, const struct peer_device *pd)
{
	uint64_t reference = vol->md.peers[pd->p].bitmap_uuid;

	return pd->uuids_valid && reference && uuid_eq(reference, pd->uuids.current) &&
	       !uuid_eq(vol->md.current_uuid, pd->uuids.current);
}

/*
 * A Secondary has no mark that tells of its crash: our source may have lost with its power what it
 * had acknowledged, before it had met anybody who went on as this one did.
 */
static bool was_there(const struct peer_device *source, const struct peer_device *other)
{
	return source->rs.source_restarted && other->uuids.flags & UUID_FLAG_WENT_ON &&
	       (source->rs.source_lagged || !(other->uuids.flags & UUID_FLAG_LAGGED));
}

/*
 * What a crash has left of our source is worth less than what this one has, which went on. If it
 * was restarted, too, the two settle it; but not where they may have no connection: it follows us.
 */
static bool outlives(const struct peer_device *source, const struct peer_device *other)
{
	const uint64_t went_on = UUID_FLAG_RECONNECT | UUID_FLAG_WENT_ON;
	bool meet = !((source->uuids.flags | other->uuids.flags) & UUID_FLAG_SEES_NOT_ALL);

	if (other->uuids.flags & UUID_FLAG_CRASHED_PRIMARY)
		return false;
	return was_there(source, other) ||
	       (source->rs.source_crashed && (meet || other->uuids.flags & went_on));
}

static bool same_generation(const struct peer_device *a, const struct peer_device *b)
{
	return a->uuids_valid && b->uuids_valid && uuid_eq(a->uuids.current, b->uuids.current);
}

/* One source was enough, unless another is better or has something newer. */
static void release_others(struct core *core, struct peer_device *pd, enum disk_state disk)
{
	struct volume *vol = core->vol[pd->v];

	FOR_EACH_PEER(core, other) {
		struct peer_device *paused = &other->pd[pd->v];
		bool same = same_generation(paused, pd);
		bool worse = same && outlives(paused, pd);
		bool better = pdsk_of(core, paused) > disk || (same && outlives(pd, paused)) ||
			      sync_is_newer(core, other, vol);

		if (repl_of(core, paused) == REPL_PAUSED_SYNC_T && (worse || !better))
			paused->rs.released = true;
	}
}

/* A disk in sight that what we have got from this source does not come up to; NULL = none. */
static struct peer *better_than(const struct core *core, const struct peer_device *source)
{
	const struct volume *vol = core->vol[source->v];

	FOR_EACH_PEER(core, other) {
		const struct peer_device *pd = &other->pd[source->v];
		bool survived = pdsk_of(core, pd) >= DISK_CONSISTENT &&
				same_generation(source, pd) && outlives(source, pd);
		bool newer = pdsk_of(core, pd) == DISK_UP_TO_DATE &&
			     sync_is_newer(core, other, vol);

		if (other->id != source->p && repl_of(core, pd) >= REPL_ESTABLISHED &&
		    (survived || newer))
			return other;
	}
	return NULL;
}

/* Once more, from this one. */
static void resync_again(struct core *core, struct peer *peer, unsigned v)
{
	uuid_send(core, peer, v, UUID_FLAG_RESYNC, 0);
	peer->pd[v].rs.again = true;
	core_work(core, WORK_SYNC);
}

static void end_states(struct core *core, struct peer_device *pd, enum disk_state disk)
{
	unsigned v = pd->v;
	struct state *next = state_begin(core);

	next->pd[pd->p][v].repl = REPL_ESTABLISHED;
	if (disk != DISK_INCONSISTENT)
		next->vol[v].disk = disk;
	FOR_EACH_PEER(core, other) {
		if (other->pd[v].rs.released && resync_is_target(next->pd[other->id][v].repl))
			next->pd[other->id][v].repl = REPL_ESTABLISHED;
	}
	FOR_EACH_PEER(core, other) {
		struct state_peer_device *spd = &next->pd[other->id][v];

		/* Who was told of the new one may be part of it by now: it is heard first. */
		if (other->id == pd->p || !repl_is_settled(spd->repl) ||
		    spd->pdsk <= DISK_OUTDATED || !is_behind(core->vol[v], &other->pd[v]) ||
		    source_is_behind_promise(core, &other->pd[v]))
			continue;
		other->pd[v].left_behind = true;
		spd->pdsk = DISK_OUTDATED;
	}
	state_end(core, STATE_HARD);
}

static void finish_incomplete(struct core *core, struct peer_device *pd)
{
	core_log(core, LOG_LEVEL_WARNING,
		 "%s/%u %s: resync ended with %llu blocks unreadable there", core->conf.name,
		 core->vol[pd->v]->vnr, core->peer[pd->p]->conf->name,
		 (unsigned long long)pd->rs.failed_bits);
	end_states(core, pd, DISK_INCONSISTENT);
}

/* The copy is as good as the source's. */
static void finish_good(struct core *core, struct peer_device *pd)
{
	struct volume *vol = core->vol[pd->v];
	struct peer *peer = core->peer[pd->p];
	enum disk_state pdsk = pdsk_of(core, pd);
	enum disk_state disk = pdsk > DISK_OUTDATED && pdsk != DISK_UNKNOWN ? pdsk : DISK_OUTDATED;
	struct peer *better = better_than(core, pd);

	/* A Primary out of sight may go on because this disk was Outdated. */
	if (better || (core->st.peer[peer->id].role != ROLE_PRIMARY &&
		       fencing_keeps_back(core, &core->st, pd->v)))
		disk = DISK_OUTDATED;
	core_log(core, LOG_LEVEL_NOTICE, "%s/%u %s: resync done: %llu blocks in %llu ms, "
		 "%llu of them were equal, %llu zero",
		 core->conf.name, vol->vnr, peer->conf->name, (unsigned long long)pd->rs.total_bits,
		 (unsigned long long)((core->now_ns - pd->rs.started_ns) / NS_PER_MS),
		 (unsigned long long)pd->rs.same_bits, (unsigned long long)pd->rs.zero_bits);
	release_others(core, pd, disk);
	/* Ahead of the P_STATE that tells the end (trap 12). */
	uuid_send_all(core, pd->v, 0, 0);
	end_states(core, pd, disk);
	reconcile_resynced(core, pd);
	if (better && repl_of(core, &better->pd[pd->v]) == REPL_ESTABLISHED)
		resync_again(core, better, pd->v);
}

/*
 * While a Primary that we do not see wrote to the source, its bits were not all told to us. Once
 * the source is stable, one more exchange of bitmaps settles it.
 */
static void finish_unstable(struct core *core, struct peer_device *pd)
{
	struct peer *peer = core->peer[pd->p];

	core_log(core, LOG_LEVEL_INFO,
		 "%s/%u %s: resync from an unstable source ended; another has to "
		 "follow",
		 core->conf.name, core->vol[pd->v]->vnr, peer->conf->name);
	end_states(core, pd, DISK_INCONSISTENT);
	if (resync_source_unstable(core, pd))
		return;
	resync_again(core, peer, pd->v);
}

/*
 * Until it has begun, the source tells what is written, and does not send it. It says so when it
 * begins, behind all it has told before; a DRBD kernel does not.
 */
static bool source_has_begun(const struct core *core, const struct peer_device *pd)
{
	return !(core->peer[pd->p]->features & FEATURE_DRBDFS) || resync_is_source(pd->conn_rx);
}

void finish_try(struct core *core, struct peer_device *pd)
{
	struct volume *vol = core->vol[pd->v];
	struct resync *rs = &pd->rs;

	if (!source_has_begun(core, pd))
		return;
	if (rs->failed_bits && resync_left(core, pd)) {
		finish_incomplete(core, pd);
		return;
	}
	if (replicate_enable(core, pd->v))
		rs->flush_seq = 0;
	if (!rs->flush_seq) {
		send_flush_requests(core, pd);
		rs->tick_at_ns = rs->tick_at_ns < core->now_ns + RS_TICK_NS ? rs->tick_at_ns :
							core->now_ns + RS_TICK_NS;
	}
	if (!flush_acked(core, pd) || source_is_behind_promise(core, pd))
		return;
	if (rs->unstable || resync_source_unstable(core, pd)) {
		finish_unstable(core, pd);
		return;
	}
	/* Also when the source has told of a newer one since; what it has written in it is here. */
	if (!rs->finish_seq || !uuid_eq(vol->md.current_uuid, pd->uuids.current))
		rs->finish_seq = uuid_resync_finished(core, pd);
	if (vol->md_durable_seq < rs->finish_seq)
		return;
	finish_good(core, pd);
}

/* ---- generations at the start and the end ---- */

void uuid_resync_start(struct core *core, struct peer_device *pd)
{
	struct volume *vol = core->vol[pd->v];
	struct md_peer *mp = &vol->md.peers[pd->p];
	struct md_peer source = *mp;
	uint64_t its = pd->uuids.bitmap[core->self];

	if (uuid_eq(vol->md.current_uuid, UUID_JUST_CREATED) && its && its != UUID_UNKNOWN)
		uuid_set_current(core, vol, its);
	pd->rs.start_uuid = vol->md.current_uuid;
	pd->rs.source_crashed = pd->uuids.flags & UUID_FLAG_CRASHED_PRIMARY;
	pd->rs.source_lagged = pd->uuids.flags & UUID_FLAG_LAGGED;
	pd->rs.source_restarted =
		(pd->uuids.flags & (UUID_FLAG_KEEPS_BITS | UUID_FLAG_WENT_ON)) ==
		UUID_FLAG_KEEPS_BITS;
	uuid_rotate(core, vol, 0, request_own_dagtag(core));
	/* The source is not left behind. */
	mp->bitmap_uuid = source.bitmap_uuid;
	mp->bitmap_dagtag = source.bitmap_dagtag;
}

/* Node n relative to what we have now: what the source has of it, and our own older reference. */
static void adopt_reference(struct core *core, struct volume *vol, const struct peer_device *pd,
			    unsigned n)
{
	struct md_peer *mp = &vol->md.peers[n];
	uint64_t its = pd->uuids.bitmap[n];
	const struct peer *other = core->peer[n];
	bool there_already = other && peer_connected(core, other) &&
			     other->pd[pd->v].uuids_valid &&
			     uuid_eq(other->pd[pd->v].uuids.current, pd->uuids.current) &&
			     !(other->pd[pd->v].uuids.flags & UUID_FLAG_SYNC_TARGET);

	if (its == UUID_UNKNOWN)
		return;
	if (!its || there_already) {
		uuid_push_history(vol, mp->bitmap_uuid, n);
		mp->bitmap_uuid = 0;
		mp->bitmap_dagtag = 0;
	} else if (!mp->bitmap_uuid) {
		/* All that came since the start is marked in its slot. */
		mp->bitmap_uuid = pd->rs.start_uuid;
	}
}

/*
 * Nodes at a generation that this disk had left before the resync: an older disk than the one that
 * the reference is about. What has been marked since that reference is not all it lacks.
 */
static uint64_t nodes_gone_back(const struct core *core, const struct volume *vol,
				const struct peer_device *source)
{
	uint64_t nodes = 0;

	FOR_EACH_PEER(core, other) {
		const struct peer_device *pd = &other->pd[vol->v];
		uint64_t its = pd->uuids.current;

		if (pd->uuids_valid && !uuid_eq(its, vol->md.peers[other->id].bitmap_uuid) &&
		    !uuid_eq(its, vol->md.current_uuid) && !uuid_eq(its, source->rs.start_uuid) &&
		    uuid_known(vol, its))
			nodes |= node_bit(other->id);
	}
	return nodes;
}

/*
 * What the source tells of a third node is what it knew last. One that is here tells itself where
 * it has stayed: it has to learn that it is behind. Unless a Primary is about to give it what we
 * have.
 */
static void refer_to_older(struct core *core, struct volume *vol, const struct peer_device *source,
			   uint64_t gone_back)
{
	FOR_EACH_PEER(core, other) {
		struct md_peer *mp = &vol->md.peers[other->id];
		const struct pkt_uuids *its = &other->pd[vol->v].uuids;
		bool left = its->flags & UUID_FLAG_STABLE ||
			    uuid_eq(source->uuids.bitmap[other->id], its->current);

		if (other->id == source->p || !left || !sync_is_older(core, other, vol))
			continue;
		uuid_push_history(vol, mp->bitmap_uuid, other->id);
		mp->bitmap_uuid = its->current & ~UUID_PRIMARY;
		if (gone_back & node_bit(other->id))
			bitmap_set_all(core, vol, node_bit(other->id), false);
	}
}

uint64_t uuid_resync_finished(struct core *core, struct peer_device *pd)
{
	struct volume *vol = core->vol[pd->v];
	const struct pkt_uuids *uuids = &pd->uuids;
	uint64_t old = vol->md.current_uuid;
	uint64_t gone_back = nodes_gone_back(core, vol, pd);

	for (unsigned i = HISTORY_UUIDS; i-- > 0;)
		uuid_push_history(vol, uuids->history[i], NODES_MAX);
	/* Its reference towards us, too: others may have stayed at that generation. */
	for (unsigned n = 0; n < NODES_MAX; n++)
		if (uuids->bitmap[n] != UUID_UNKNOWN)
			uuid_push_history(vol, uuids->bitmap[n], NODES_MAX);
	for (unsigned n = 0; n < NODES_MAX; n++)
		if (n != core->self && n != pd->p)
			adopt_reference(core, vol, pd, n);
	uuid_push_history(vol, vol->md.peers[pd->p].bitmap_uuid, pd->p);
	vol->md.peers[pd->p].bitmap_uuid = 0;
	vol->md.peers[pd->p].bitmap_dagtag = 0;
	uuid_set_current(core, vol, uuids->current);
	vol->origin = uuid_origin(uuids->flags, pd->p);
	uuid_told_given_away(core, vol, pd);
	uuid_push_history(vol, old, NODES_MAX);
	refer_to_older(core, vol, pd, gone_back);
	/* Then a survivor of that crash may still have more than the two of us. */
	vol->crashed_primary = pd->rs.source_crashed;
	vol->lagged = pd->rs.source_lagged;
	vol->just_attached |= pd->rs.source_restarted;
	return md_sync(core, vol);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* After the loss of a Primary: its survivors agree on the
 * last writes (states-and-resync 5.6, wire-protocol 4.9). */
#include "core/bitmap_io.h"
#include "core/cluster.h"
#include "core/core_hooks.h"
#include "core/resync_int.h"
#include "core/state.h"

#define NOTICE_WAIT_NS (5 * NS_PER_S)

bool reconcile_holds(const struct core *core)
{
	return core->reconcile.pending;
}

/* ---- inside a handshake (2.6) ---- */

/* It has neither shown nor got anything since: what was received before counts. */
static bool is_back(const struct core *core, const struct peer *peer)
{
	return core->reconcile.back && core->reconcile.lost == peer->id;
}

static uint64_t lost_position(const struct core *core, const struct peer *lost)
{
	return is_back(core, lost) ? core->reconcile.back_dagtag : peer_rx_written_dagtag(lost);
}

bool reconcile_name_lost(struct core *core, struct peer *peer, struct pkt_dagtag *out)
{
	struct reconcile *rc = &core->reconcile;
	unsigned found = 0;

	rc->sent_node[peer->id] = NODES_MAX;
	rc->sent_dagtag[peer->id] = 0;
	if (!(peer->features & FEATURE_RECONCILE_RECONNECT))
		return false;
	FOR_EACH_PEER(core, other) {
		if (other == peer || peer_connected(core, other) || !peer_rx_dagtag(other))
			continue;
		found++;
		rc->sent_node[peer->id] = other->id;
		rc->sent_dagtag[peer->id] = lost_position(core, other);
	}
	/* Nobody else is lost. */
	if (!found && rc->back && rc->lost != peer->id && rc->back_dagtag) {
		found = 1;
		rc->sent_node[peer->id] = rc->lost;
		rc->sent_dagtag[peer->id] = rc->back_dagtag;
	}
	if (found != 1) {
		rc->sent_node[peer->id] = NODES_MAX;
		return false;
	}
	out->node_id = rc->sent_node[peer->id];
	out->dagtag = rc->sent_dagtag[peer->id];
	out->mask = 0;
	return true;
}

/* ---- among connected survivors ---- */

static void stop(struct core *core)
{
	core->reconcile.pending = false;
	core->reconcile.deadline_ns = 0;
	core_work(core, WORK_TWOPC | WORK_COMMAND | WORK_SEND_STATE);
}

bool reconcile_compares(const struct core *core, const struct peer *lost)
{
	const struct reconcile *rc = &core->reconcile;

	return rc->pending && rc->lost == lost->id && (!rc->told || rc->survivors & ~rc->settled);
}

void reconcile_forget(struct core *core, const struct peer *lost)
{
	struct reconcile *rc = &core->reconcile;

	if (rc->lost != lost->id)
		return;
	if (rc->pending)
		stop(core);
	rc->lost = NODES_MAX;
	rc->back = false;
}

/*
 * What a Primary that comes back says of its own stream is not what has got here of it. Others that
 * have lost it, too, and come later, ask for that; unless it brings its data itself.
 */
void reconcile_lost_is_back(struct core *core, const struct peer *peer)
{
	struct reconcile *rc = &core->reconcile;

	if (rc->lost != peer->id || rc->back)
		return;
	rc->back = true;
	rc->back_dagtag = peer_rx_written_dagtag(peer);
}

void reconcile_state_changed(struct core *core)
{
	struct reconcile *rc = &core->reconcile;
	const struct peer *lost = rc->back ? core->peer[rc->lost] : NULL;

	if (!lost || !peer_connected(core, lost))
		return;
	rc->back = core->st.peer[lost->id].role != ROLE_PRIMARY;
	FOR_EACH_VOLUME(core, vol)
		rc->back &= pdsk_of(core, &lost->pd[vol->v]) <= DISK_FAILED;
}

/*
 * Who lost the Primary first is Outdated, for this node had it still: now that it is lost here,
 * too, that one may have more of its stream, and nothing was answered that neither of the two has.
 */
static bool was_left(const struct core *core, const struct peer *peer, const struct volume *vol,
		     enum disk_state disk)
{
	const struct peer_device *pd = &peer->pd[vol->v];

	return disk == DISK_OUTDATED && core->reconcile.noticed[peer->id] &&
	       core->reconcile.notice_node[peer->id] == core->reconcile.lost && pd->uuids_valid &&
	       vol_has_md(vol) && uuid_eq(pd->uuids.current, vol->md.current_uuid);
}

static bool is_survivor(const struct core *core, const struct peer *peer, const struct volume *vol)
{
	enum disk_state disk = disk_of(core, vol), pdsk = pdsk_of(core, &peer->pd[vol->v]);

	return (disk >= DISK_CONSISTENT || was_left(core, peer, vol, disk)) &&
	       (pdsk >= DISK_CONSISTENT || was_left(core, peer, vol, pdsk));
}

void reconcile_primary_lost(struct core *core, struct peer *peer)
{
	struct reconcile *rc = &core->reconcile;

	if (core->st.role == ROLE_PRIMARY)
		return;
	rc->survivors = 0;
	rc->lost = peer->id;
	rc->back = false;
	FOR_EACH_PEER(core, other) {
		FOR_EACH_VOLUME(core, vol) {
			enum disk_state pdsk = pdsk_of(core, &other->pd[vol->v]);

			if (other != peer && peer_connected(core, other) && vol_has_md(vol) &&
			    (pdsk >= DISK_CONSISTENT || was_left(core, other, vol, pdsk)))
				rc->survivors |= node_bit(other->id);
		}
	}
	rc->told = false;
	rc->settled = 0;
	rc->pending = rc->survivors != 0;
	rc->deadline_ns = rc->pending ? core->now_ns + NOTICE_WAIT_NS : 0;
	core_work(core, WORK_RECONCILE);
}

static void send_notice(struct core *core, struct peer *peer)
{
	const struct reconcile *rc = &core->reconcile;
	struct pkt pkt = { .type = P_PEER_DAGTAG, .vnr = VNR_NONE };

	FOR_EACH_VOLUME(core, vol) {
		struct pkt uuid = { .type = P_CURRENT_UUID, .vnr = vol->vnr };

		if (!vol_has_md(vol) || disk_of(core, vol) < DISK_CONSISTENT)
			continue;
		uuid.u.current_uuid.uuid = vol->md.current_uuid;
		uuid.u.current_uuid.weak_nodes = cluster_weak_nodes(core, vol->v);
		core_send(core, peer, STREAM_DATA, &uuid);
	}
	pkt.u.dagtag.dagtag = rc->told_dagtag;
	pkt.u.dagtag.node_id = rc->lost;
	core_send(core, peer, STREAM_DATA, &pkt);
}

/*
 * One of us missed the last generation that the lost Primary made, as it was to take part in it:
 * the other has no reference towards it. Then the bits tell what differs, as between equal
 * generations.
 */
static bool missed_generation(const struct peer_device *pd, unsigned self)
{
	const struct sync_verdict *verdict = &pd->verdict;

	if (!(pd->sent.flags & pd->uuids.flags & UUID_FLAG_KEEPS_BITS))
		return false;
	if (verdict->rule == RULE_HISTORY_SELF || verdict->rule == RULE_BITMAP_SELF_OTHER)
		return pd->sent_bitmap == 0;
	if (verdict->rule == RULE_HISTORY_PEER || verdict->rule == RULE_BITMAP_PEER_OTHER)
		return pd->uuids.bitmap[self] == 0;
	return false;
}

/* Equal generations, and no resync between the two whose end one of them has missed. */
static bool is_arbitrary(enum sync_rule rule)
{
	return rule == RULE_RECONNECTED || rule == RULE_LOST_QUORUM || rule == RULE_BOTH_OFF;
}

/* What the generations say goes first; equal ones leave it to the positions in the lost stream. */
static enum repl_state direction(struct core *core, struct peer *peer, struct volume *vol,
				 uint64_t mine, uint64_t its)
{
	struct peer_device *pd = &peer->pd[vol->v];

	sync_handshake_again(core, peer, vol, true);
	if (pd->verdict.kind != VERDICT_GO)
		return REPL_ESTABLISHED;
	/* A crash says less about who has more than the lost stream does. */
	if (mine != its && is_arbitrary(pd->verdict.rule))
		return mine > its ? REPL_WF_BITMAP_S : REPL_WF_BITMAP_T;
	if (pd->verdict.strategy == SYNC_SOURCE_USE_BITMAP ||
	    pd->verdict.strategy == SYNC_TARGET_USE_BITMAP)
		return pd->verdict.repl;
	if (missed_generation(pd, core->self))
		return pd->verdict.repl;
	if (pd->verdict.strategy != SYNC_NONE)
		return REPL_ESTABLISHED;
	if (mine != its)
		return mine > its ? REPL_WF_BITMAP_S : REPL_WF_BITMAP_T;
	/* Both have every write that the lost Primary sent: what was marked for them is on both
	 * disks. Not what was marked because a resync changed it here. */
	if (!vol->md.peers[peer->id].bitmap_uuid && bitmap_slot(vol, peer->id) >= 0 &&
	    !pd->ov.found && !pd->fence.resync_marks)
		bitmap_clear_slot(core, vol, (unsigned)bitmap_slot(vol, peer->id));
	return REPL_ESTABLISHED;
}

/*
 * A peer that was not behind the lost Primary by protocol A, nor by B and restarted since, has all
 * that was answered: so has who got no less of its stream.
 */
static void settle_lag(struct core *core, const struct peer *peer, struct volume *vol)
{
	const struct peer_device *pd = &peer->pd[vol->v];

	if (!vol->lagged || !pd->uuids_valid || pd->uuids.flags & UUID_FLAG_LAGGED ||
	    !(pd->uuids.flags & UUID_FLAG_WENT_ON) || !(pd->uuids.flags & UUID_FLAG_KEEPS_BITS) ||
	    !uuid_eq(pd->uuids.current, vol->md.current_uuid))
		return;
	vol->lagged = false;
	FOR_EACH_PEER(core, other) {
		if (repl_of(core, &other->pd[vol->v]) >= REPL_ESTABLISHED)
			uuid_send(core, other, vol->v, 0, 0);
	}
}

static void compare(struct core *core, struct peer *peer)
{
	struct reconcile *rc = &core->reconcile;
	uint64_t mine = rc->told_dagtag, its = rc->notice_dagtag[peer->id];
	enum repl_state repl[VOLUMES_MAX];
	struct state *next;

	FOR_EACH_VOLUME(core, vol) {
		const struct peer_device *pd = &peer->pd[vol->v];

		repl[vol->v] = repl_of(core, pd);
		if (repl_of(core, pd) == REPL_ESTABLISHED && vol_has_md(vol) &&
		    is_survivor(core, peer, vol))
			repl[vol->v] = direction(core, peer, vol, mine, its);
		if (vol_has_md(vol) && mine >= its)
			settle_lag(core, peer, vol);
	}
	core_log(core, LOG_LEVEL_INFO, "%s %s: lost %s at stream position %llu here, %llu there",
		 core->conf.name, peer->conf->name, core->peer[rc->lost]->conf->name,
		 (unsigned long long)mine, (unsigned long long)its);
	rc->settled |= node_bit(peer->id);
	next = state_begin(core);
	FOR_EACH_VOLUME(core, vol) {
		next->pd[peer->id][vol->v].repl = repl[vol->v];
		if (repl[vol->v] == REPL_WF_BITMAP_S &&
		    was_left(core, peer, vol, disk_of(core, vol))) {
			next->vol[vol->v].disk = pdsk_of(core, &peer->pd[vol->v]);
			twopc_request_empty(core);
		}
	}
	state_end(core, STATE_HARD);
}

static bool resync_with(const struct core *core, const struct peer *peer)
{
	FOR_EACH_VOLUME(core, vol) {
		if (repl_of(core, &peer->pd[vol->v]) > REPL_ESTABLISHED)
			return true;
	}
	return false;
}

void reconcile_run(struct core *core)
{
	struct reconcile *rc = &core->reconcile;
	bool waiting = false;

	if (!rc->pending)
		return;
	if (peer_connected(core, core->peer[rc->lost])) {
		stop(core);
		return;
	}
	if (!rc->told) {
		/* Its writes that are at the disk still end well or not at all, and so does the
		 * generation that it may have made last; on a disk that hangs they count as
		 * missing. */
		if ((!peer_rx_idle(core->peer[rc->lost]) || uuid_adopting(core)) &&
		    core->now_ns < rc->deadline_ns)
			return;
		rc->told = true;
		rc->told_dagtag = peer_rx_written_dagtag(core->peer[rc->lost]);
		FOR_EACH_PEER(core, peer) {
			if (rc->survivors & node_bit(peer->id) && peer_connected(core, peer))
				send_notice(core, peer);
		}
	}
	FOR_EACH_PEER(core, peer) {
		if (!(rc->survivors & node_bit(peer->id)) || !peer_connected(core, peer))
			continue;
		if (!(rc->settled & node_bit(peer->id)) && rc->noticed[peer->id] &&
		    rc->notice_node[peer->id] == rc->lost)
			compare(core, peer);
		waiting |= !(rc->settled & node_bit(peer->id)) || resync_with(core, peer);
	}
	if (!waiting) {
		stop(core);
	} else if (core->now_ns >= rc->deadline_ns) {
		/* A survivor that still has the Primary sends
		 * no notice; resyncs under way go on. */
		rc->deadline_ns = core->now_ns + NOTICE_WAIT_NS;
		FOR_EACH_PEER(core, peer) {
			if (!(rc->settled & node_bit(peer->id)))
				rc->survivors &= ~node_bit(peer->id);
		}
		core_work(core, WORK_RECONCILE);
	}
}

void reconcile_resynced(struct core *core, const struct peer_device *pd)
{
	struct reconcile *rc = &core->reconcile;
	struct peer *lost;

	core_work(core, WORK_RECONCILE);
	/* What was told of the lost stream is not what is here any more. */
	if (!rc->pending)
		rc->settled |= node_bit(pd->p);
	if (!rc->noticed[pd->p] || rc->notice_node[pd->p] != rc->lost || rc->lost >= NODES_MAX)
		return;
	lost = core->peer[rc->lost];
	/* What the source had of that stream is here too now. */
	if (is_back(core, lost)) {
		if (rc->back_dagtag < rc->notice_dagtag[pd->p])
			rc->back_dagtag = rc->notice_dagtag[pd->p];
	} else if (!peer_connected(core, lost) && lost->rx.dagtag < rc->notice_dagtag[pd->p]) {
		lost->rx.dagtag = rc->notice_dagtag[pd->p];
	}
}

bool reconcile_awaits(const struct core *core, const struct peer *peer, const struct volume *vol)
{
	const struct reconcile *rc = &core->reconcile;
	const struct peer_device *pd = &peer->pd[vol->v];

	return peer->features & FEATURE_DRBDFS && rc->told && rc->lost < NODES_MAX &&
	       !peer_connected(core, core->peer[rc->lost]) &&
	       !(rc->settled & node_bit(peer->id)) && vol_has_md(vol) &&
	       disk_of(core, vol) == DISK_OUTDATED &&
	       uuid_eq(pd->uuids.current, vol->md.current_uuid) &&
	       (pd->uuids.dirty_bits || bitmap_weight(vol, peer->id));
}

/* This node lost the Primary before, was left behind, and waits for nobody any more. */
static bool left_alone(const struct core *core, const struct peer *peer)
{
	const struct reconcile *rc = &core->reconcile;

	if (rc->pending || !rc->told || rc->lost != rc->notice_node[peer->id] ||
	    peer_connected(core, core->peer[rc->lost]) || rc->settled & node_bit(peer->id) ||
	    core->st.role == ROLE_PRIMARY)
		return false;
	FOR_EACH_VOLUME(core, vol) {
		if (was_left(core, peer, vol, disk_of(core, vol)))
			return true;
	}
	return false;
}

void rx_peer_dagtag(struct core *core, struct peer *peer, const struct pkt *pkt)
{
	struct reconcile *rc = &core->reconcile;
	unsigned node = pkt->u.dagtag.node_id;

	if (node >= NODES_MAX || node == core->self || !core->peer[node])
		return;
	if (!peer_connected(core, peer)) {
		peer->lost_primary_node = (uint8_t)node;
		peer->lost_primary_dagtag = pkt->u.dagtag.dagtag;
		return;
	}
	/* That Primary may be lost here a moment later. */
	rc->noticed[peer->id] = true;
	rc->notice_node[peer->id] = (uint8_t)node;
	rc->notice_dagtag[peer->id] = pkt->u.dagtag.dagtag;
	if (left_alone(core, peer)) {
		rc->pending = true;
		rc->survivors = node_bit(peer->id);
		rc->deadline_ns = core->now_ns + NOTICE_WAIT_NS;
	}
	core_work(core, WORK_RECONCILE);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* P_STATE: telling Connected peers about us, and what
 * their reports change here (wire-protocol 2.8, 7). */
#include "core/cluster.h"
#include "core/core_hooks.h"
#include "core/drbd8.h"
#include "core/resync_int.h"
#include "core/state.h"

/* What a peer has to learn; the rest of the word is only our view of itself. */
#define SW_OWN_MASK (~(SW_PEER_MASK | SW_PDSK_MASK))

void peer_send_state(struct core *core, struct peer *peer, unsigned v)
{
	struct pkt pkt = { .type = P_STATE, .vnr = core->vol[v]->vnr };

	pkt.u.state = state_word(core, peer, v);
	peer->pd[v].state_word_sent = pkt.u.state;
	core_send(core, peer, STREAM_DATA, &pkt);
}

/* The end of a Primary is announced for the connection as a whole, before its volumes (8.2). */
static void announce_demotion(struct core *core, struct peer *peer)
{
	struct pkt pkt = { .type = P_STATE, .vnr = VNR_NONE };

	for (unsigned v = 0; v < core->vol_count; v++) {
		uint32_t sent = peer->pd[v].state_word_sent;

		if ((sent & SW_ROLE_MASK) == ROLE_PRIMARY && core->st.role != ROLE_PRIMARY) {
			pkt.u.state = (uint32_t)core->st.role;
			core_send(core, peer, STREAM_DATA, &pkt);
			return;
		}
	}
}

void peer_send_states(struct core *core)
{
	FOR_EACH_PEER(core, peer) {
		if (!peer_connected(core, peer) || !peer->streams_up)
			continue;
		announce_demotion(core, peer);
		for (unsigned v = 0; v < core->vol_count; v++) {
			uint32_t diff = state_word(core, peer, v) ^ peer->pd[v].state_word_sent;

			/* Who has not told of it does not have it. */
			if ((diff & SW_OWN_MASK) && repl_of(core, &peer->pd[v]) > REPL_OFF)
				peer_send_state(core, peer, v);
		}
	}
}

/* ---- reports of a Connected peer ---- */

struct report {
	enum role role;
	enum disk_state disk;
	unsigned conn; /* replication or connection state */
	bool paused;
	bool quorate, held;
};

static bool word_valid(uint32_t word)
{
	return (word & SW_ROLE_MASK) <= ROLE_SECONDARY &&
	       (word & SW_DISK_MASK) >> SW_DISK_SHIFT <= DISK_UP_TO_DATE &&
	       (word & SW_PDSK_MASK) >> SW_PDSK_SHIFT <= DISK_UP_TO_DATE &&
	       (word & SW_CONN_MASK) >> SW_CONN_SHIFT <= REPL_BEHIND;
}

static struct report report_of(const struct peer_device *pd, uint32_t word)
{
	struct report r = {
		.role = (enum role)(word & SW_ROLE_MASK),
		.disk = (enum disk_state)((word & SW_DISK_MASK) >> SW_DISK_SHIFT),
		.conn = (word & SW_CONN_MASK) >> SW_CONN_SHIFT,
		.paused = word & (SW_AFTER_ISP | SW_USER_ISP),
		.quorate = word & SW_QUORUM,
		.held = word & (SW_SUSP | SW_SUSP_FEN),
	};

	if (r.disk == DISK_NEGOTIATING)
		r.disk = pd->uuids.flags & UUID_FLAG_INCONSISTENT ? DISK_INCONSISTENT :
								     DISK_CONSISTENT;
	return r;
}

static bool is_source(enum repl_state repl)
{
	return repl == REPL_SYNC_SOURCE || repl == REPL_PAUSED_SYNC_S;
}

/* What the peer's disk counts as while the two sides are at different points of a resync. */
static enum disk_state believed_disk(const struct core *core, const struct peer_device *pd,
				     const struct report *r)
{
	enum repl_state repl = repl_of(core, pd);
	/* Of before all that it was told since it connected: nobody answers to a skipped sync. */
	bool first_of_8 = peer_is_drbd8(core->peer[pd->p]) && !pd->conn_rx &&
			  r->conn == REPL_ESTABLISHED;

	/* Still preparing to be our target: not yet Inconsistent, but it will be. */
	if (is_source(repl) && r->disk == DISK_UP_TO_DATE && r->conn > REPL_ESTABLISHED &&
	    r->conn < REPL_SYNC_SOURCE)
		return DISK_INCONSISTENT;
	/* Finished here, and its report of the same is on its way. */
	if (repl_is_settled(repl) && pdsk_of(core, pd) == DISK_UP_TO_DATE &&
	    r->disk == DISK_INCONSISTENT && (r->conn > REPL_SYNC_SOURCE || first_of_8))
		return DISK_UP_TO_DATE;
	if (pd->left_behind && repl_is_settled(repl) && r->disk > DISK_OUTDATED)
		return DISK_OUTDATED;
	return r->disk;
}

/* A peer that waits for a bitmap needs one who sends it, and the other way round. */
static bool pairs(enum repl_state here, unsigned there)
{
	if (there == REPL_WF_BITMAP_T)
		return here == REPL_WF_BITMAP_S;
	return there != REPL_WF_BITMAP_S || here == REPL_WF_BITMAP_T;
}

/*
 * Its generation is ours, and it wants to copy what is marked: a DRBD kernel does so after a resync
 * beside a diskless Primary, even if nothing is.
 */
static bool may_copy(const struct core *core, const struct peer_device *pd,
		     const struct volume *vol, const struct report *r)
{
	return r->conn == REPL_WF_BITMAP_T && repl_of(core, pd) == REPL_ESTABLISHED &&
	       r->disk < DISK_UP_TO_DATE && disk_of(core, vol) == DISK_UP_TO_DATE &&
	       pd->uuids_valid && uuid_eq(pd->uuids.current, vol->md.current_uuid) &&
	       resync_same_primaries(core, pd);
}

/* The decision of the handshake is made again, outside of a connect (2.7). */
static void consider_resync(struct core *core, struct peer *peer, struct volume *vol,
			    const struct report *r)
{
	struct peer_device *pd = &peer->pd[vol->v];
	struct state *next;

	pd->consider_resync = false;
	sync_consider(core, peer, vol);
	if (peer_connected(core, peer) && may_copy(core, pd, vol, r)) {
		next = state_begin(core);
		next->pd[peer->id][vol->v].repl = REPL_WF_BITMAP_S;
		state_end(core, STATE_HARD);
	}
	if (peer_connected(core, peer) && !pairs(repl_of(core, pd), r->conn))
		peer_fail(core, peer, CONN_NETWORK_FAILURE,
			  "%s and this node disagree about a resync of volume %u",
			  peer->conf->name, vol->vnr);
}

/* The decision about a disk that one of the two has just attached takes effect. */
static void decide_attached(struct core *core, struct peer *peer, struct volume *vol,
			    const struct report *r)
{
	struct peer_device *pd = &peer->pd[vol->v];
	struct state *next;

	sync_handshake(core, peer, vol);
	if (pd->verdict.kind != VERDICT_GO)
		return;
	sync_verdict_apply(core, peer, vol);
	next = state_begin(core);
	next->pd[peer->id][vol->v].repl = pd->verdict.repl;
	next->pd[peer->id][vol->v].pdsk = r->disk;
	state_end(core, STATE_HARD);
}

/* The peer attaches a disk: both sides decide from what they send each other now (2.5, attach). */
static void answer_attach(struct core *core, struct peer *peer, struct volume *vol,
			  const struct report *r)
{
	struct peer_device *pd = &peer->pd[vol->v];

	if (!vol_has_md(vol) || disk_of(core, vol) < DISK_INCONSISTENT)
		return;
	pd->state_word = (uint32_t)r->role | (uint32_t)r->disk << SW_DISK_SHIFT |
			 (r->quorate ? SW_QUORUM : 0);
	uuid_send(core, peer, vol->v, 0, 0);
	peer_send_state(core, peer, vol->v);
	decide_attached(core, peer, vol, r);
}

/* Both attached before either knew of the other's disk:
 * each told its generations and nobody answered. */
static bool attached_unseen(const struct core *core, const struct peer_device *pd,
			    const struct volume *vol, enum disk_state was)
{
	return was < DISK_INCONSISTENT && pdsk_of(core, pd) >= DISK_INCONSISTENT &&
	       !pd->attach_pending && pd->uuids_valid && vol_has_md(vol) &&
	       disk_of(core, vol) >= DISK_INCONSISTENT &&
	       repl_of(core, pd) == REPL_ESTABLISHED;
}

static void settle_unseen(struct core *core, struct peer *peer, struct volume *vol,
			  const struct report *r)
{
	struct peer_device *pd = &peer->pd[vol->v];

	pd->state_word = (uint32_t)r->role | (uint32_t)r->disk << SW_DISK_SHIFT |
			 (r->quorate ? SW_QUORUM : 0);
	decide_attached(core, peer, vol, r);
	/* An Outdated disk is no rival: it follows another node, or will be detached there. */
	if (pd->verdict.kind != VERDICT_GO && r->disk > DISK_OUTDATED)
		peer_fail(core, peer, CONN_NETWORK_FAILURE, "%s attached a disk: %s",
			  peer->conf->name, pd->verdict.reason);
}

/* The same, but others have a part in our attach: the peer's answer is on its way. */
static bool attaches_at_once(const struct core *core, const struct peer_device *pd,
			     const struct volume *vol, enum disk_state was)
{
	return was < DISK_INCONSISTENT && pdsk_of(core, pd) >= DISK_INCONSISTENT &&
	       !pd->attach_pending && disk_of(core, vol) == DISK_NEGOTIATING;
}

/* The peer asks for a resync that we do not take part in yet, or was promoted by force. */
static bool wants_decision(const struct core *core, const struct peer_device *pd,
			   const struct volume *vol, const struct report *r)
{
	if (repl_of(core, pd) != REPL_ESTABLISHED || !vol_has_md(vol) ||
	    disk_of(core, vol) < DISK_INCONSISTENT || r->disk < DISK_INCONSISTENT)
		return false;
	return pd->consider_resync ||
	       (r->conn >= REPL_STARTING_SYNC_S && r->conn <= REPL_WF_BITMAP_T);
}

static bool is_target_side(unsigned repl)
{
	return repl == REPL_STARTING_SYNC_T || repl == REPL_WF_BITMAP_T ||
	       repl == REPL_SYNC_TARGET || repl == REPL_PAUSED_SYNC_T;
}

/*
 * The target says that it is through, or has given up. A source does not end a resync: what it
 * reports about an earlier one may cross with the beginning of the next. A verify is ended by its
 * source, whose reports and beginnings come in one order.
 */
static bool peer_ended(enum repl_state repl, unsigned was, unsigned is, bool drbd8)
{
	if (is != REPL_ESTABLISHED)
		return false;
	if (repl == REPL_WF_BITMAP_S)
		return was == REPL_WF_BITMAP_T;
	if (repl == REPL_VERIFY_T)
		return was == REPL_VERIFY_S || drbd8;
	/* By another source, while our metadata were not written yet. */
	if (repl == REPL_STARTING_SYNC_S)
		return is_target_side(was);
	return is_source(repl) && was > REPL_ESTABLISHED;
}

static void apply_report(struct core *core, struct peer *peer, struct volume *vol,
			 const struct report *r)
{
	struct peer_device *pd = &peer->pd[vol->v];
	enum disk_state disk = believed_disk(core, pd, r);
	bool ended = !pd->begin_awaited &&
		     peer_ended(repl_of(core, pd), pd->conn_rx, r->conn, peer_is_drbd8(peer));
	bool resynced = peer_is_drbd8(peer) && is_source(repl_of(core, pd)) &&
			r->disk == DISK_UP_TO_DATE;
	struct state *next;
	struct state_peer_device *spd;

	/* It does not tell the begin, and a report from before that may still be on its way; acks
	 * come on the other stream. */
	pd->end_told = ended && resynced && vol_has_md(vol) && bitmap_weight(vol, peer->id);
	ended &= !pd->end_told;
	if (ended && resynced)
		drbd8_source_finished(core, pd);
	next = state_begin(core);
	spd = &next->pd[peer->id][vol->v];
	next->peer[peer->id].role = r->role;
	spd->susp_peer = r->paused;
	spd->quorate = r->quorate;
	spd->held = r->held;
	spd->pdsk = disk;
	spd->untrusted = false;
	spd->behind &= disk >= DISK_CONSISTENT;
	if (ended)
		spd->repl = REPL_ESTABLISHED;
	/* Answers may wait until it has heard of the connection. */
	if (!pd->conn_rx)
		core_work(core, WORK_REQUESTS);
	pd->conn_rx = (uint8_t)r->conn;
	pd->disk_rx = (uint8_t)r->disk;
	if (is_target_side(r->conn))
		pd->begin_awaited = false;
	state_end(core, STATE_HARD);
}

static bool is_source_side(unsigned repl)
{
	return repl == REPL_STARTING_SYNC_S || repl == REPL_WF_BITMAP_S ||
	       repl == REPL_SYNC_SOURCE || repl == REPL_PAUSED_SYNC_S;
}

/* The two decided differently about a resync: only a new handshake settles that. */
static bool both_same_side(enum repl_state here, unsigned there)
{
	return (is_source_side(here) && is_source_side(there)) ||
	       (is_target_side(here) && is_target_side(there));
}

/* Both have it by now. */
static void meet(struct core *core, struct peer *peer, struct volume *vol, const struct report *r)
{
	struct peer_device *pd = &peer->pd[vol->v];

	if (!volume_meet(core, peer, vol, r->disk) || !vol_has_md(vol) ||
	    disk_of(core, vol) < DISK_INCONSISTENT || r->disk < DISK_INCONSISTENT)
		return;
	settle_unseen(core, peer, vol, r);
	pd->conn_rx = (uint8_t)r->conn;
}

static void rx_connected(struct core *core, struct peer *peer, struct volume *vol, uint32_t word)
{
	struct peer_device *pd = &peer->pd[vol->v];
	struct report r = report_of(pd, word);
	bool attaching = (word & SW_DISK_MASK) >> SW_DISK_SHIFT == DISK_NEGOTIATING;
	enum disk_state was = pdsk_of(core, pd);

	/* The rest of an earlier exchange: sent before the connection was committed. */
	if (r.conn < CONN_CONNECTED)
		return;
	if (vol->gone) {
		state_begin(core)->pd[peer->id][vol->v].pdsk = r.disk;
		state_end(core, STATE_HARD);
		return;
	}
	if (repl_of(core, pd) == REPL_OFF) {
		meet(core, peer, vol, &r);
		return;
	}
	if (both_same_side(repl_of(core, pd), r.conn)) {
		peer_fail(core, peer, CONN_NETWORK_FAILURE,
			  "%s and this node both want to be %s of volume %u", peer->conf->name,
			  is_source_side(repl_of(core, pd)) ? "source" : "target", vol->vnr);
		return;
	}
	if (attaching && repl_of(core, pd) <= REPL_ESTABLISHED) {
		answer_attach(core, peer, vol, &r);
		return;
	}
	apply_report(core, peer, vol, &r);
	if (!peer_connected(core, peer))
		return;
	if (pd->attach_pending)
		volume_negotiate(core, peer, vol,
				 (uint32_t)r.role | (uint32_t)r.disk << SW_DISK_SHIFT |
					 (r.quorate ? SW_QUORUM : 0));
	else if (attached_unseen(core, pd, vol, was))
		settle_unseen(core, peer, vol, &r);
	else if (attaches_at_once(core, pd, vol, was))
		volume_await_peer(core, peer, vol);
	else if (twopc_starts_resync(core, peer, vol))
		return;
	else if (wants_decision(core, pd, vol, &r))
		consider_resync(core, peer, vol, &r);
	else if (vol_has_md(vol))
		uuid_follow_if_behind(core, vol, peer);
}

/* Without a volume only the end of a Primary role is told. */
static void rx_state_of_resource(struct core *core, struct peer *peer, uint32_t word)
{
	if (!peer_connected(core, peer) || (word & SW_ROLE_MASK) != ROLE_SECONDARY)
		return;
	state_begin(core)->peer[peer->id].role = ROLE_SECONDARY;
	state_end(core, STATE_HARD);
}

void rx_state(struct core *core, struct peer *peer, const struct pkt *pkt)
{
	struct volume *vol = core_volume_by_vnr(core, pkt->vnr);
	uint32_t word = peer_is_drbd8(peer) ? drbd8_state_received(pkt->u.state) : pkt->u.state;

	if (!word_valid(word)) {
		peer_fail(core, peer, CONN_PROTOCOL_ERROR, "%s sent an impossible state 0x%x",
			  peer->conf->name, pkt->u.state);
		return;
	}
	if (!vol)
		rx_state_of_resource(core, peer, word);
	else if (peer_connected(core, peer))
		rx_connected(core, peer, vol, word);
	else
		handshake_rx_state(core, peer, vol, word);
}

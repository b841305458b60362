/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the change of a two-phase commit means for this node,
 * before and at its commit (wire-protocol 6.3, 6.6). */
#include "core/cluster.h"
#include "core/core_hooks.h"
#include "core/drbd8.h"
#include "core/quorum.h"
#include "core/state.h"
#include "core/twopc.h"

static unsigned mask_conn(uint32_t word)
{
	return (word & SW_CONN_MASK) >> SW_CONN_SHIFT;
}

static enum disk_state mask_disk(uint32_t word)
{
	return (enum disk_state)((word & SW_DISK_MASK) >> SW_DISK_SHIFT);
}

bool twopc_change_parse(const struct pkt *pkt, struct twopc_change *change)
{
	const struct pkt_twopc *t = &pkt->u.twopc;
	unsigned conn = mask_conn(t->val);

	*change = (struct twopc_change){
		.initiator = t->initiator,
		.target = t->target,
		.vnr = pkt->vnr,
		.mask = t->mask,
		.val = t->val,
	};
	if (pkt->type == P_TWOPC_PREP_RSZ) {
		change->kind = TWOPC_RESIZE;
		change->mask = change->val = 0;
		change->user_sectors = t->user_sectors;
		change->dds_flags = t->dds_flags;
		return pkt->vnr != VNR_NONE && t->target < 0;
	}
	if (pkt->type != P_TWOPC_PREPARE)
		return false;
	if (t->mask == 0) {
		change->kind = TWOPC_EMPTY;
	} else if (pkt->vnr == VNR_NONE && (t->mask & SW_CONN_MASK)) {
		change->kind = conn == CONN_CONNECTED ? TWOPC_CONNECT : TWOPC_DISCONNECT;
		return t->target >= 0 && (conn == CONN_CONNECTED || conn == CONN_DISCONNECTING);
	} else if (pkt->vnr == VNR_NONE) {
		change->kind = TWOPC_ROLE;
		return (t->mask & SW_ROLE_MASK) && ((t->val & SW_ROLE_MASK) == ROLE_PRIMARY ||
						    (t->val & SW_ROLE_MASK) == ROLE_SECONDARY);
	} else if (t->mask & SW_CONN_MASK) {
		change->kind = TWOPC_REPL;
		return t->target >= 0 &&
		       ((conn >= REPL_STARTING_SYNC_S && conn <= REPL_WF_BITMAP_T) ||
			conn == REPL_VERIFY_S);
	} else {
		change->kind = TWOPC_DISK;
		return (t->mask & SW_DISK_MASK) && mask_disk(t->val) <= DISK_UP_TO_DATE;
	}
	return true;
}

/* The replication state of the other side of a resync. */
static enum repl_state repl_mirrored(enum repl_state repl)
{
	switch (repl) {
	case REPL_STARTING_SYNC_S:
		return REPL_STARTING_SYNC_T;
	case REPL_STARTING_SYNC_T:
		return REPL_STARTING_SYNC_S;
	case REPL_WF_BITMAP_S:
		return REPL_WF_BITMAP_T;
	case REPL_WF_BITMAP_T:
		return REPL_WF_BITMAP_S;
	case REPL_VERIFY_S:
		return REPL_VERIFY_T;
	default:
		return repl;
	}
}

/* A promotion by force declares the initiator's data good where nobody has better (4.7). */
static bool gains_up_to_date(const struct core *core, const struct state *st, unsigned v)
{
	FOR_EACH_PEER(core, peer) {
		if (st->pd[peer->id][v].pdsk == DISK_UP_TO_DATE)
			return false;
	}
	return st->vol[v].disk >= DISK_INCONSISTENT && st->vol[v].disk < DISK_UP_TO_DATE;
}

static void apply_empty(struct core *core, struct state *next)
{
	FOR_EACH_VOLUME(core, vol) {
		if (next->vol[vol->v].disk == DISK_CONSISTENT &&
		    cluster_may_be_up_to_date(core, next, vol->v))
			next->vol[vol->v].disk = DISK_UP_TO_DATE;
	}
}

/* A promotion by force without quorum: whoever is out of sight has old data from now on. */
static void outdate_absent(const struct core *core, struct state *next)
{
	FOR_EACH_PEER(core, peer) {
		for (unsigned v = 0; v < core->vol_count; v++) {
			if (next->pd[peer->id][v].pdsk == DISK_UNKNOWN)
				next->pd[peer->id][v].pdsk = DISK_OUTDATED;
		}
	}
}

/* A disconnect that makes one side's disks Outdated: `own` and `other` select which in its mask. */
static void outdate_parting(const struct core *core, struct state *next,
			    const struct twopc_change *c, unsigned p, uint32_t own, uint32_t other)
{
	FOR_EACH_VOLUME(core, vol) {
		enum disk_state *pdsk = &next->pd[p][vol->v].pdsk;

		if ((c->mask & own) && next->vol[vol->v].disk > DISK_OUTDATED)
			next->vol[vol->v].disk = DISK_OUTDATED;
		if ((c->mask & other) && *pdsk > DISK_OUTDATED)
			*pdsk = DISK_OUTDATED;
	}
}

static void apply_own(struct core *core, struct state *next, const struct twopc_change *c)
{
	struct volume *vol = core_volume_by_vnr(core, c->vnr);

	switch (c->kind) {
	case TWOPC_EMPTY:
		apply_empty(core, next);
		return;
	case TWOPC_CONNECT:
		handshake_apply(core, next, core->peer[c->target]);
		return;
	case TWOPC_DISCONNECT:
		next->peer[c->target].conn = CONN_DISCONNECTING;
		outdate_parting(core, next, c, (unsigned)c->target, SW_DISK_MASK, SW_PDSK_MASK);
		return;
	case TWOPC_ROLE:
		if (c->mask & SW_DISK_MASK) {
			FOR_EACH_VOLUME(core, each) {
				if (gains_up_to_date(core, next, each->v))
					next->vol[each->v].disk = DISK_UP_TO_DATE;
			}
		}
		next->role = (enum role)(c->val & SW_ROLE_MASK);
		if (core->commands.outdate_peers)
			outdate_absent(core, next);
		return;
	case TWOPC_DISK:
		if (vol)
			next->vol[vol->v].disk = mask_disk(c->val);
		return;
	case TWOPC_REPL:
		if (vol)
			next->pd[c->target][vol->v].repl = (enum repl_state)mask_conn(c->val);
		return;
	case TWOPC_RESIZE:
		return;
	}
}

static void apply_disconnect(struct core *core, struct state *next,
			     const struct twopc_change *c)
{
	next->peer[c->initiator].conn = CONN_TEAR_DOWN;
	outdate_parting(core, next, c, (unsigned)c->initiator, SW_PDSK_MASK, SW_DISK_MASK);
}

static void apply_role(struct core *core, struct state *next, const struct twopc_change *c)
{
	next->peer[c->initiator].role = (enum role)(c->val & SW_ROLE_MASK);
	if (!(c->mask & SW_DISK_MASK))
		return;
	FOR_EACH_VOLUME(core, vol) {
		enum disk_state *pdsk = &next->pd[c->initiator][vol->v].pdsk;

		if (*pdsk >= DISK_INCONSISTENT && *pdsk < DISK_UP_TO_DATE)
			*pdsk = mask_disk(c->val);
	}
}

/* The initiator is a neighbour, or becomes one. */
static void apply_neighbour(struct core *core, struct state *next, const struct twopc_change *c)
{
	struct volume *vol = core_volume_by_vnr(core, c->vnr);
	bool to_me = c->target == core->self;

	switch (c->kind) {
	case TWOPC_EMPTY:
		apply_empty(core, next);
		return;
	case TWOPC_CONNECT:
		if (to_me)
			handshake_apply(core, next, core->peer[c->initiator]);
		return;
	case TWOPC_DISCONNECT:
		if (to_me)
			apply_disconnect(core, next, c);
		return;
	case TWOPC_ROLE:
		apply_role(core, next, c);
		return;
	case TWOPC_DISK:
		if (vol)
			next->pd[c->initiator][vol->v].pdsk = mask_disk(c->val);
		return;
	case TWOPC_REPL:
		if (vol && to_me)
			next->pd[c->initiator][vol->v].repl =
				repl_mirrored((enum repl_state)mask_conn(c->val));
		return;
	case TWOPC_RESIZE:
		return;
	}
}

static bool initiator_is_neighbour(const struct core *core, const struct twopc_change *c)
{
	const struct peer *peer = c->initiator >= 0 ? core->peer[c->initiator] : NULL;

	if (!peer)
		return false;
	return peer_connected(core, peer) || (c->kind == TWOPC_CONNECT && c->target == core->self);
}

void twopc_change_apply(struct core *core, struct state *next, const struct twopc_change *change)
{
	if (change->initiator == core->self)
		apply_own(core, next, change);
	else if (initiator_is_neighbour(core, change))
		apply_neighbour(core, next, change);
	else if (change->kind == TWOPC_EMPTY)
		apply_empty(core, next);
}

/* A node far from the new Primary, itself Primary, sees what its neighbours cannot. */
static enum state_rv check_far(const struct core *core, const struct twopc_change *c)
{
	const struct peer *peer = c->initiator >= 0 ? core->peer[c->initiator] : NULL;

	if (c->kind == TWOPC_ROLE && (c->val & SW_ROLE_MASK) == ROLE_PRIMARY &&
	    core->st.role == ROLE_PRIMARY && c->initiator != core->self &&
	    !(peer && peer_connected(core, peer) && cluster_allows_two_primaries(core, peer)))
		return SS_TWO_PRIMARIES;
	return SS_SUCCESS;
}

/* The same has begun here of itself: the other side may be further already. */
static enum state_rv check_begun(struct core *core, const struct twopc_change *c)
{
	const struct volume *vol = core_volume_by_vnr(core, c->vnr);
	enum repl_state repl = (enum repl_state)mask_conn(c->val);
	bool mine = c->initiator == core->self;
	const struct peer *peer;

	if (c->kind != TWOPC_REPL || !vol || (!mine && c->target != core->self))
		return SS_SUCCESS;
	peer = core->peer[mine ? c->target : c->initiator];
	if (!peer)
		return SS_SUCCESS;
	return repl_of(core, &peer->pd[vol->v]) == (mine ? repl : repl_mirrored(repl)) ?
		       SS_RESYNC_RUNNING : SS_SUCCESS;
}

/*
 * A resync that an operator wants: its source was good when that was asked for, and the transaction
 * may have been tried again and again since. One that has been left behind meanwhile would make the
 * good disk its target.
 */
static enum state_rv check_source(struct core *core, const struct twopc_change *c)
{
	const struct volume *vol = core_volume_by_vnr(core, c->vnr);
	enum repl_state repl = (enum repl_state)mask_conn(c->val);
	bool mine = c->initiator == core->self;
	bool from_initiator = repl == REPL_WF_BITMAP_S || repl == REPL_STARTING_SYNC_S;
	bool to_initiator = repl == REPL_WF_BITMAP_T || repl == REPL_STARTING_SYNC_T;
	const struct peer *peer;
	enum disk_state source;

	if (c->kind != TWOPC_REPL || !vol || (!from_initiator && !to_initiator) ||
	    (!mine && c->target != core->self))
		return SS_SUCCESS;
	peer = core->peer[mine ? c->target : c->initiator];
	if (!peer)
		return SS_SUCCESS;
	source = mine == from_initiator ? disk_of(core, vol) : pdsk_of(core, &peer->pd[vol->v]);
	return source == DISK_UP_TO_DATE ? SS_SUCCESS : SS_NO_UP_TO_DATE_DISK;
}

/* It takes its disk for good, and has not heard yet that this one has gone on without it. */
static bool promotes_unaware(const struct core *core, const struct twopc_change *change)
{
	const struct peer *peer = core->peer[change->initiator];

	if (change->kind != TWOPC_ROLE || !peer ||
	    (change->val & SW_ROLE_MASK) != ROLE_PRIMARY)
		return false;
	FOR_EACH_VOLUME(core, vol) {
		const struct peer_device *pd = &peer->pd[vol->v];

		if (repl_of(core, pd) == REPL_ESTABLISHED &&
		    disk_of(core, vol) == DISK_UP_TO_DATE &&
		    pdsk_of(core, pd) == DISK_OUTDATED && pd->disk_rx > DISK_OUTDATED)
			return true;
	}
	return false;
}

enum state_rv twopc_change_try(struct core *core, const struct twopc_change *change)
{
	enum state_rv rv = change->kind == TWOPC_RESIZE ? resize_try(core, change) :
							 check_far(core, change);

	if (rv >= SS_SUCCESS)
		rv = check_begun(core, change);
	if (rv >= SS_SUCCESS)
		rv = check_source(core, change);
	if (rv < SS_SUCCESS || change->kind == TWOPC_RESIZE)
		return rv;
	if (promotes_unaware(core, change))
		return SS_IN_TRANSIENT_STATE;
	twopc_change_apply(core, state_begin(core), change);
	return state_try(core);
}

void twopc_change_masks(const struct core *core, const struct twopc_change *c,
			uint64_t *reachable, uint64_t *primary, uint64_t *weak)
{
	bool mine = c->initiator == core->self;
	bool is_primary = core->st.role == ROLE_PRIMARY;
	bool accessible = true;

	*reachable = cluster_reachable(core);
	if (c->kind == TWOPC_CONNECT && (mine || c->target == core->self))
		*reachable |= node_bit(mine ? (unsigned)c->target : (unsigned)c->initiator);
	if (c->kind == TWOPC_DISCONNECT && (mine || c->target == core->self))
		*reachable &= ~node_bit(mine ? (unsigned)c->target : (unsigned)c->initiator);
	if (c->kind == TWOPC_ROLE && mine)
		is_primary = (c->val & SW_ROLE_MASK) == ROLE_PRIMARY;
	if (c->kind == TWOPC_RESIZE)
		is_primary = is_primary && resize_own_max(core, c) < RESIZE_SECTORS_MAX;
	FOR_EACH_VOLUME(core, vol)
		accessible &= vol_is_aside(vol) || state_data_accessible(core, &core->st, vol->v);
	*primary = is_primary ? node_bit(core->self) : 0;
	*weak = is_primary && accessible ? ~*reachable : 0;
}

/* 6.6: a Primary that this node will not hear of makes its data old. */
static bool outdated_by(const struct core *core, const struct state *next,
			const struct twopc_change *c, uint64_t primary, uint32_t flags)
{
	uint64_t near = node_bit(core->self);
	bool incapable = flags & TWOPC_FLAG_PRI_INCAPABLE;

	FOR_EACH_PEER(core, peer) {
		if (next->peer[peer->id].conn == CONN_CONNECTED)
			near |= node_bit(peer->id);
	}
	if (!(primary & ~near))
		return false;
	/* Two that part: whether there is a fork is seen when they meet, as after a cut. */
	if (c->kind == TWOPC_DISCONNECT && core->st.role == ROLE_PRIMARY)
		return false;
	if (c->initiator == core->self) {
		return c->kind == TWOPC_CONNECT || c->kind == TWOPC_DISCONNECT ||
		       (c->kind == TWOPC_EMPTY && !incapable);
	}
	if (initiator_is_neighbour(core, c) && (c->target < 0 || c->target == core->self))
		return c->vnr == VNR_NONE;
	return !incapable;
}

/*
 * A Primary that has none of the disks that a quorum needs answers nothing; but when it becomes
 * one, it counts on our being Outdated.
 */
static void outdate(const struct core *core, struct state *next, const struct twopc_change *c)
{
	FOR_EACH_VOLUME(core, vol) {
		enum disk_state *disk = &next->vol[vol->v].disk;

		if (*disk > DISK_OUTDATED &&
		    (c->kind == TWOPC_ROLE || !quorum_is_shared(core, vol, next)))
			*disk = DISK_OUTDATED;
	}
}

/* Keeps in mind which Primaries write without our hearing of it. */
static void far_primaries_update(struct core *core, const struct state *next,
				 const struct twopc_change *c, uint64_t primary,
				 uint64_t reachable)
{
	/* The empty change asks everybody who is left; others speak for the nodes they reach. */
	uint64_t asked = c->kind == TWOPC_EMPTY ? ~UINT64_C(0) : reachable | primary;
	uint64_t near = node_bit(core->self);

	FOR_EACH_PEER(core, peer) {
		if (next->peer[peer->id].conn == CONN_CONNECTED)
			near |= node_bit(peer->id);
	}
	core->far_primaries = ((core->far_primaries & ~asked) | primary) & ~near;
}

/* Who has no quorum, nor sees anybody who has, does not know who else is gone. */
static bool quorum_vouched(const struct core *core)
{
	if (quorum_all(core, &core->st))
		return true;
	FOR_EACH_PEER(core, peer) {
		bool all = peer_connected(core, peer);

		FOR_EACH_VOLUME(core, vol)
			all &= vol_is_aside(vol) || core->st.pd[peer->id][vol->v].quorate;
		if (all)
			return true;
	}
	return false;
}

static void members_set(struct core *core, uint64_t members)
{
	if (members == core->members)
		return;
	core->members = members;
	FOR_EACH_VOLUME(core, vol) {
		if (!vol_has_md(vol))
			continue;
		vol->md.members = members;
		md_dirty(core, vol);
	}
	/* They count for quorum. */
	state_begin(core);
	state_end(core, STATE_HARD);
}

/*
 * A Primary tells its neighbours of its role first. One that others name, and that passes for a
 * Secondary here, has no connection to this node any more, whatever ours to it looks like.
 */
static void drop_unheard_primaries(struct core *core, const struct twopc_change *c,
				   uint64_t primary)
{
	FOR_EACH_PEER(core, peer) {
		if (c->initiator != core->self && c->initiator != peer->id &&
		    primary & node_bit(peer->id) && peer_connected(core, peer) &&
		    core->st.peer[peer->id].role != ROLE_PRIMARY)
			peer_fail(core, peer, CONN_NETWORK_FAILURE,
				  "it is Primary, and has not told us: the connection is dead");
	}
}

enum state_rv twopc_change_commit(struct core *core, const struct twopc_change *change,
				  uint64_t primary, uint64_t reachable, uint32_t flags)
{
	enum state_rv rv;
	struct state *next;

	/* Says nothing about who is where. */
	if (change->kind == TWOPC_RESIZE)
		return SS_SUCCESS;
	drop_unheard_primaries(core, change, primary);
	if (change->kind == TWOPC_CONNECT)
		members_set(core, core->members | node_bit((unsigned)change->initiator) |
					  node_bit((unsigned)change->target));
	next = state_begin(core);
	twopc_change_apply(core, next, change);
	far_primaries_update(core, next, change, primary, reachable);
	if (outdated_by(core, next, change, primary, flags))
		outdate(core, next, change);
	/*
	 * Far away peers that the new Primary leaves behind have outdated themselves (4.7). That is
	 * not enough for quorum: one without its disk may attach it later, as good as it was.
	 */
	if (change->kind == TWOPC_ROLE && change->initiator == core->self &&
	    next->role == ROLE_PRIMARY && core->conf.quorum == QUORUM_OFF) {
		FOR_EACH_PEER(core, peer) {
			if (!(reachable & node_bit(peer->id)) || peer_connected(core, peer))
				continue;
			for (unsigned v = 0; v < core->vol_count; v++) {
				if (next->pd[peer->id][v].pdsk == DISK_UNKNOWN)
					next->pd[peer->id][v].pdsk = DISK_OUTDATED;
			}
		}
	}
	rv = state_end(core, STATE_HARD);
	/* Only who has quorum after it, by the members before it, may leave others out. */
	if (flags & TWOPC_FLAG_HAS_REACHABLE && quorum_vouched(core)) {
		if (change->kind == TWOPC_CONNECT)
			reachable |= node_bit((unsigned)change->initiator) |
				     node_bit((unsigned)change->target);
		members_set(core, reachable);
	}
	return rv;
}

void twopc_send(struct core *core, enum packet type, uint64_t nodes)
{
	struct twopc *tp = &core->twopc;
	struct pkt pkt = { .type = (uint16_t)type, .vnr = tp->change.vnr };

	pkt.u.twopc.tid = tp->tid;
	pkt.u.twopc.flags = tp->flags;
	pkt.u.twopc.initiator = tp->change.initiator;
	pkt.u.twopc.target = tp->change.target;
	pkt.u.twopc.nodes_to_reach = tp->nodes_to_reach;
	/* Layout 1 repeats them with the decision. */
	pkt.u.twopc.mask = tp->change.mask;
	pkt.u.twopc.val = tp->change.val;
	if (tp->change.kind == TWOPC_RESIZE) {
		pkt.u.twopc.user_sectors = tp->change.user_sectors;
		pkt.u.twopc.dds_flags = tp->change.dds_flags;
		pkt.u.twopc.exposed_sectors = tp->new_sectors;
		if (type == P_TWOPC_PREPARE)
			pkt.type = P_TWOPC_PREP_RSZ;
	}
	if (type != P_TWOPC_PREPARE) {
		pkt.u.twopc.primary_nodes = tp->primary;
		pkt.u.twopc.reachable_nodes =
			tp->phase == TWOPC_INITIATING ? tp->target_reachable : tp->reachable;
	}
	FOR_EACH_PEER(core, peer) {
		if (!(nodes & node_bit(peer->id)))
			continue;
		if (peer_is_drbd8(peer)) {
			if (type == P_TWOPC_PREPARE)
				drbd8_request_change(core, peer);
			continue;
		}
		core_send(core, peer, STREAM_DATA, &pkt);
		/* A node that cannot answer should be found out soon. */
		if (type == P_TWOPC_PREPARE)
			keepalive_ping(core, peer);
	}
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The resync decision of a handshake: gathers the inputs,
 * keeps the verdict, prepares the bitmaps (2.5 n). */
#include <string.h>

#include "core/cluster.h"
#include "core/command.h"
#include "core/core_hooks.h"
#include "core/drbd8.h"
#include "core/core_int.h"
#include "core/resync_int.h"
#include "core/state.h"

static enum disk_state own_disk(const struct core *core, const struct volume *vol)
{
	enum disk_state disk = disk_of(core, vol);

	return disk == DISK_NEGOTIATING ? volume_disk_from_md(vol) : disk;
}

static enum disk_state reported_disk(const struct peer_device *pd)
{
	enum disk_state disk =
		(enum disk_state)((pd->state_word & SW_DISK_MASK) >> SW_DISK_SHIFT);

	if (disk != DISK_NEGOTIATING)
		return disk;
	return pd->uuids.flags & UUID_FLAG_INCONSISTENT ? DISK_INCONSISTENT : DISK_CONSISTENT;
}

static void fill_me(const struct core *core, const struct peer *peer, const struct volume *vol,
		    const struct pkt_uuids *own, struct uuid_side *me)
{
	const struct reconcile *rc = &core->reconcile;

	me->current = own->current;
	memcpy(me->bitmap, own->bitmap, sizeof(me->bitmap));
	me->bitmap[peer->id] = peer->pd[vol->v].sent_bitmap;
	memcpy(me->history, own->history, sizeof(me->history));
	me->flags = own->flags;
	me->dirty_bits = own->dirty_bits;
	me->disk = own_disk(core, vol);
	me->attaching = disk_of(core, vol) == DISK_NEGOTIATING;
	me->role = core->st.role;
	me->no_quorum = !(peer->pd[vol->v].state_word_sent & SW_QUORUM);
	me->node_id = core->self;
	me->origin = uuid_origin(own->flags, core->self);
	me->rc = peer->resolve_conflicts;
	me->named_lost = rc->sent_node[peer->id] < NODES_MAX &&
			 rc->sent_node[peer->id] == peer->lost_primary_node;
	me->lost_dagtag = rc->sent_dagtag[peer->id];
}

static void fill_peer(const struct core *core, const struct peer *peer,
		      const struct peer_device *pd, bool named_lost, struct uuid_side *side)
{
	side->current = pd->uuids.current;
	memcpy(side->bitmap, pd->uuids.bitmap, sizeof(side->bitmap));
	memcpy(side->history, pd->uuids.history, sizeof(side->history));
	side->flags = pd->uuids.flags;
	side->dirty_bits = pd->uuids.dirty_bits;
	side->disk = reported_disk(pd);
	side->attaching = pdsk_of(core, pd) == DISK_NEGOTIATING ||
			  (pd->state_word & SW_DISK_MASK) >> SW_DISK_SHIFT == DISK_NEGOTIATING;
	side->role = (enum role)(pd->state_word & SW_ROLE_MASK);
	side->no_quorum = !(pd->state_word & SW_QUORUM);
	side->node_id = peer->id;
	side->origin = uuid_origin(pd->uuids.flags, peer->id);
	side->rc = !peer->resolve_conflicts;
	side->named_lost = named_lost;
	side->lost_dagtag = peer->lost_primary_dagtag;
}

/*
 * Row 0: what the peer decides with is not what we have any more. Nor may it take over a generation
 * that is not on disk yet: after a crash the nodes that were to be told then would not know it.
 */
static bool changed_since_sent(const struct core *core, const struct peer *peer,
			       const struct volume *vol)
{
	const struct peer_device *pd = &peer->pd[vol->v];
	uint32_t changed = state_word(core, peer, vol->v) ^ pd->state_word_sent;
	/* Do not count while connecting: what they say is told in the next handshake. */
	const uint64_t aside = UUID_FLAG_SEES_NOT_ALL | UUID_FLAG_RESYNCED | UUID_FLAG_MADE_YOURS |
			       UINT64_C(31) << UUID_FLAG_ORIGIN_SHIFT;
	struct pkt_uuids own;

	/* Whatever it was told while it is not connected it is not told again. */
	if (changed & (SW_DISK_MASK | SW_ROLE_MASK | SW_QUORUM | SW_SUSP | SW_SUSP_FEN) ||
	    pd->sectors_sent != vol->size_sectors)
		return true;
	/* Without a disk only the generation that this node has shown was told. */
	if (!pd->sent_valid)
		return pd->sent.current != vol->exposed_uuid ||
		       (pd->uuids_valid && uuid_was_lost(vol, pd->uuids.current));
	uuid_fill(core, peer, vol, 0, 0, &own);
	return vol->bump_seq || pd->sent.current != own.current ||
	       pd->sent_bitmap != lost_source_reference(core, peer, vol) ||
	       (pd->sent.flags ^ own.flags) & ~(UUID_FLAG_INCONSISTENT | aside);
}

static bool both_have_data(const struct core *core, const struct volume *vol,
			   const struct peer_device *pd)
{
	return vol_has_md(vol) && own_disk(core, vol) >= DISK_INCONSISTENT && pd->uuids_valid &&
	       pd->sent_valid && reported_disk(pd) >= DISK_INCONSISTENT;
}

static void log_verdict(struct core *core, const struct peer *peer, const struct volume *vol,
			const struct sync_input *in, const struct sync_decision *d)
{
	core_log(core, LOG_LEVEL_INFO, "%s/%u %s: %s by rule %s%s, own bits %llu, peer's %llu",
		 core->conf.name, vol->vnr, peer->conf->name, sync_strategy_name(d->strategy),
		 sync_rule_name(d->rule), d->leftover ? " (bits left)" : "",
		 (unsigned long long)in->me.dirty_bits, (unsigned long long)in->peer.dirty_bits);
}

static void set_verdict(struct peer_device *pd, const struct sync_decision *d)
{
	pd->verdict = (struct sync_verdict){
		.kind = d->kind,
		.repl = d->repl,
		.behind = d->behind,
		.strategy = d->strategy,
		.rule = d->rule,
		.copy_from = d->copy_from,
		.reason = d->reason,
	};
}

/* The last generation that both have had, 0 = none is known. */
static uint64_t ancestor_of(const struct sync_input *in)
{
	uint64_t mine = in->me.bitmap[in->peer.node_id], its = in->peer.bitmap[in->me.node_id];

	if (mine && mine != UUID_UNKNOWN && its != UUID_UNKNOWN && uuid_eq(mine, its))
		return mine;
	for (unsigned i = 0; i < HISTORY_UUIDS && in->me.history[i]; i++) {
		for (unsigned k = 0; k < HISTORY_UUIDS && in->peer.history[k]; k++) {
			if (uuid_eq(in->me.history[i], in->peer.history[k]))
				return in->me.history[i];
		}
	}
	return 0;
}

/* For the operator, who has to choose; kept until a handshake ends otherwise. */
static void note_split(struct peer_device *pd, const struct sync_input *in,
		       const struct sync_decision *d)
{
	uint64_t mine = in->me.bitmap[in->peer.node_id], its = in->peer.bitmap[in->me.node_id];

	memset(&pd->split, 0, sizeof(pd->split));
	if (!strategy_is_split_brain(d->strategy))
		return;
	pd->split = (struct status_split){
		.known = true,
		.whole = !uuid_eq(mine, its) || mine == UUID_UNKNOWN || !mine,
		.ancestor = ancestor_of(in),
		.own_current = in->me.current,
		.peer_current = in->peer.current,
		.peer_bits = in->peer.dirty_bits,
		.was_primary = mine != UUID_UNKNOWN && mine & UUID_PRIMARY,
		.peer_was_primary = its != UUID_UNKNOWN && its & UUID_PRIMARY,
		.peer_is_primary = in->peer.role == ROLE_PRIMARY,
	};
}

static void input_options(const struct peer *peer, bool again, struct sync_input *in)
{
	const struct core_net_conf *net = &peer->conf->net;

	in->apv = peer->apv;
	in->async = net->protocol != PROTOCOL_C;
	in->again = again;
	in->after_sb_0p = net->after_sb_0p;
	in->after_sb_1p = net->after_sb_1p;
	in->after_sb_2p = net->after_sb_2p;
	in->rr_conflict = net->rr_conflict;
	in->always_asbp = net->always_asbp;
}

/* What makes the two unstable is Primaries without a disk: they have nothing to compare with. */
static bool nobody_settles(const struct core *core, const struct peer_device *pd)
{
	uint64_t nodes = 0;

	if (!(pd->sent.flags & UUID_FLAG_STABLE))
		nodes |= pd->sent.node_mask;
	if (!(pd->uuids.flags & UUID_FLAG_STABLE))
		nodes |= pd->uuids.node_mask;
	nodes &= ~(node_bit(core->self) | node_bit(pd->p));
	for (uint64_t rest = nodes; rest; rest &= rest - 1) {
		const struct peer *peer = core->peer[__builtin_ctzll(rest)];

		if (!peer || !peer_connected(core, peer) ||
		    core->st.peer[peer->id].role != ROLE_PRIMARY ||
		    pdsk_of(core, &peer->pd[pd->v]) > DISK_FAILED)
			return false;
	}
	return nodes != 0;
}

/*
 * This Primary has shown its users a generation that lives on the disks of others; what it would
 * get from this peer is another one. It has to wait for one that has it, or to be demoted.
 */
static void refuse_other_data(const struct core *core, const struct volume *vol,
			      const struct sync_input *in, struct sync_decision *d)
{
	enum disk_state disk = disk_of(core, vol);

	if (core->st.role != ROLE_PRIMARY || disk < DISK_NEGOTIATING || disk > DISK_CONSISTENT ||
	    d->kind != VERDICT_GO || !strategy_is_target(d->strategy) || !vol->exposed_uuid ||
	    uuid_eq(vol->exposed_uuid, in->peer.current))
		return;
	/* A peer that had the one before has just been told. */
	if (in->again && vol->awaits_disk && uuid_eq(vol->exposed_before, in->peer.current))
		return;
	d->kind = VERDICT_RETRY;
	d->repl = REPL_OFF;
	d->reason = "this node is Primary without a good disk, and the peer does not have the data "
		    "in use";
}

/* This node is one of those who have quorum, or is where one of them is. */
static bool is_with_quorum(const struct core *core, const struct volume *vol)
{
	if (core->st.vol[vol->v].have_quorum)
		return true;
	FOR_EACH_PEER(core, peer) {
		const struct peer_device *pd = &peer->pd[vol->v];

		if (repl_is_settled(repl_of(core, pd)) && pdsk_of(core, pd) == DISK_UP_TO_DATE &&
		    core->st.pd[pd->p][pd->v].quorate && pd->uuids_valid &&
		    uuid_eq(pd->uuids.current, vol->md.current_uuid))
			return true;
	}
	return false;
}

/*
 * Both have gone on, this side with quorum, and the peer is beside a Primary: connected to a
 * neighbour of that one only, a good disk is Outdated. But who has no quorum answers nothing: it
 * will have to follow, and until then it is not connected.
 */
static void refuse_fork(const struct core *core, const struct volume *vol,
			const struct sync_input *in, struct sync_decision *d)
{
	bool fork = d->rule == RULE_BITMAP_BOTH || d->rule == RULE_HISTORY_BOTH;

	if (!fork || !in->by_quorum || in->again || d->kind != VERDICT_GO ||
	    strategy_is_target(d->strategy) || in->me.disk != DISK_UP_TO_DATE ||
	    !in->peer.no_quorum || in->peer.flags & UUID_FLAG_STABLE ||
	    in->peer.role == ROLE_PRIMARY || !is_with_quorum(core, vol))
		return;
	d->kind = VERDICT_RETRY;
	d->repl = REPL_OFF;
	d->reason = "others have gone on with quorum, and the peer is beside a Primary without: "
		    "that has to be demoted";
}

/* The role first; then it gives its data up as if the operator had said so. */
static void give_up_role(struct core *core, struct peer_device *pd, struct sync_decision *d)
{
	FOR_EACH_VOLUME(core, vol) {
		if (!vol->open_rw)
			continue;
		d->kind = VERDICT_DISCONNECT;
		d->reason = "split brain: this Primary is the victim (call-pri-lost-after-sb), but "
			    "a volume is open for writing: close it, then 'resolve'";
		if (!pd->pri_lost_told)
			handler_call(core, HANDLER_PRI_LOST_AFTER_SB, core->peer[pd->p],
				     core->vol[pd->v]);
		pd->pri_lost_told = true;
		return;
	}
	pd->yields = true;
	core->commands.auto_promoted = true;
	command_enqueue_internal(core, CMD_SECONDARY, false);
}

/*
 * Both changed their data, and both have quorum. Soon one of them will have noticed that it has
 * lost it; else one was promoted by force, and an operator has to choose.
 */
static void judge_fork(const struct core *core, struct peer *peer, const struct sync_input *in,
		       struct sync_decision *d)
{
	uint64_t patience_ns = 2 * NS_PER_S * (peer->conf->net.ping_int_s + 1);

	if (d->kind != VERDICT_RETRY || !strategy_is_split_brain(d->strategy) ||
	    in->me.no_quorum || in->peer.no_quorum)
		return;
	if (!peer->fork_at_ns)
		peer->fork_at_ns = core->now_ns;
	if (core->now_ns - peer->fork_at_ns < patience_ns)
		return;
	d->kind = VERDICT_DISCONNECT;
	d->reason = "split brain: both nodes changed their data alone, one by force; choose "
		    "the victim and connect it with --discard-my-data";
}

/* Others have gone on while this Primary's I/O waits: what it has begun fails, and it follows. */
static void give_way(struct core *core, const struct sync_input *in, struct sync_decision *d)
{
	if (core->conf.on_suspended_primary_outdated != OUTDATED_FORCE_SECONDARY ||
	    in->me.role != ROLE_PRIMARY || !(core->st.susp_quorum || core->st.susp_nod) ||
	    d->kind == VERDICT_GO || !strategy_is_target(d->strategy))
		return;
	d->kind = VERDICT_RETRY;
	d->repl = REPL_OFF;
	d->reason = "others have newer data, and this Primary's I/O waits: it becomes Secondary";
	command_demote_suspended(core);
}

/*
 * The same without a disk: what the peer has comes after what this Primary has shown, and is none
 * of its own that it took back.
 */
static void give_way_without_disk(struct core *core, const struct volume *vol,
				  const struct peer_device *pd)
{
	uint64_t shown = vol->exposed_uuid;

	if (core->conf.on_suspended_primary_outdated != OUTDATED_FORCE_SECONDARY ||
	    core->st.role != ROLE_PRIMARY || !(core->st.susp_quorum || core->st.susp_nod) ||
	    vol_has_md(vol) || !shown || !pd->uuids_valid || uuid_eq(pd->uuids.current, shown) ||
	    uuid_was_lost(vol, pd->uuids.current) || !uuid_comes_after(&pd->uuids, shown))
		return;
	core_log(core, LOG_LEVEL_NOTICE,
		 "%s/%u %s: others have newer data, and this Primary's I/O waits: it becomes "
		 "Secondary", core->conf.name, vol->vnr, core->peer[pd->p]->conf->name);
	command_demote_suspended(core);
}

/*
 * This node is about to become target of another peer, with another generation. What is found in
 * comparison with that one counts, not with what is here still: the two may be in a split brain.
 */
static bool follows_other(const struct core *core, const struct peer *peer,
			  const struct volume *vol)
{
	FOR_EACH_PEER(core, other) {
		const struct peer_device *pd = &other->pd[vol->v];

		if (other != peer && repl_of(core, pd) == REPL_WF_BITMAP_T &&
		    !uuid_eq(pd->uuids.current, peer->pd[vol->v].uuids.current))
			return true;
	}
	return false;
}

static void retry(struct peer_device *pd, const char *reason)
{
	const struct sync_decision d = {
		.kind = VERDICT_RETRY,
		.strategy = SYNC_RETRY_CONNECT,
		.rule = RULE_INITIAL_HANDSHAKE_CHANGED,
		.reason = reason,
	};

	set_verdict(pd, &d);
}

static void decide(struct core *core, struct peer *peer, struct volume *vol, bool counts_stale)
{
	struct peer_device *pd = &peer->pd[vol->v];
	bool again = peer_connected(core, peer);
	struct sync_input in;
	struct sync_decision d = { .kind = VERDICT_GO, .repl = REPL_ESTABLISHED };

	memset(&in, 0, sizeof(in));
	if (!again && changed_since_sent(core, peer, vol)) {
		retry(pd, "the local data or role changed during the handshake");
		return;
	}
	if (!again && vol_has_md(vol) && vol->md_durable_seq < vol->returns_seq) {
		retry(pd, "that the peer returns is not on disk yet");
		return;
	}
	if (!both_have_data(core, vol, pd)) {
		give_way_without_disk(core, vol, pd);
		pd->split.known = false;
		set_verdict(pd, &d);
		return;
	}
	/* Both sides must decide with the same, also when it is not the newest any more. */
	fill_me(core, peer, vol, &pd->sent, &in.me);
	fill_peer(core, peer, pd, in.me.named_lost, &in.peer);
	input_options(peer, again, &in);
	in.by_quorum = core->conf.quorum != QUORUM_OFF;
	if (peer_is_drbd8(peer))
		drbd8_limit_input(&in);
	in.counts_stale = counts_stale;
	in.nobody_settles = !in.by_quorum && nobody_settles(core, pd);
	d = sync_decide(&in);
	if (!again && strategy_is_target(d.strategy) && follows_other(core, peer, vol)) {
		retry(pd, "a resync from another node is about to begin, with other data");
		return;
	}
	refuse_other_data(core, vol, &in, &d);
	refuse_fork(core, vol, &in, &d);
	judge_fork(core, peer, &in, &d);
	give_way(core, &in, &d);
	note_split(pd, &in, &d);
	if (d.demote && !again)
		give_up_role(core, pd, &d);
	log_verdict(core, peer, vol, &in, &d);
	handler_decided(core, pd, &d);
	if (d.rule == RULE_SOURCE_MISSED_FINISH && d.kind == VERDICT_RETRY)
		uuid_forget_bitmap_uuid(core, vol, peer->id);
	set_verdict(pd, &d);
}

void sync_handshake(struct core *core, struct peer *peer, struct volume *vol)
{
	decide(core, peer, vol, false);
}

void sync_fill_growth(struct core *core, struct peer *peer, struct volume *vol, int missed)
{
	struct peer_device *pd = &peer->pd[vol->v];
	struct sync_verdict *verdict = &pd->verdict;
	enum disk_state mine = own_disk(core, vol), its = reported_disk(pd);
	bool i_am_primary = core->st.role == ROLE_PRIMARY;
	bool it_is = (pd->state_word & SW_ROLE_MASK) == ROLE_PRIMARY;
	bool target = missed > 0;

	if (!missed || verdict->kind != VERDICT_GO || verdict->strategy != SYNC_NONE ||
	    !both_have_data(core, vol, pd) || !uuid_eq(pd->uuids.current, pd->sent.current) ||
	    (mine == DISK_INCONSISTENT && its == DISK_INCONSISTENT))
		return;
	if (mine != its)
		target = mine < its;
	else if (i_am_primary != it_is)
		target = it_is;
	verdict->strategy = target ? SYNC_TARGET_USE_BITMAP : SYNC_SOURCE_USE_BITMAP;
	verdict->repl = target ? REPL_WF_BITMAP_T : REPL_WF_BITMAP_S;
}

void sync_handshake_again(struct core *core, struct peer *peer, struct volume *vol,
			  bool counts_stale)
{
	struct peer_device *pd = &peer->pd[vol->v];

	pd->state_word = (uint32_t)core->st.peer[peer->id].role |
			 (uint32_t)pdsk_of(core, pd) << SW_DISK_SHIFT |
			 (core->st.pd[pd->p][pd->v].quorate ? SW_QUORUM : 0);
	/* What a verify has found says nothing about the side that is right. */
	decide(core, peer, vol, counts_stale || pd->ov.found);
}

/* What a decision would be made with now. */
static void input_now(const struct core *core, const struct peer *peer, const struct volume *vol,
		      struct sync_input *in)
{
	struct pkt_uuids own;

	memset(in, 0, sizeof(*in));
	uuid_fill(core, peer, vol, 0, 0, &own);
	fill_me(core, peer, vol, &own, &in->me);
	in->me.bitmap[peer->id] = lost_source_reference(core, peer, vol);
	fill_peer(core, peer, &peer->pd[vol->v], false, &in->peer);
	input_options(peer, true, in);
	if (peer_is_drbd8(peer))
		drbd8_limit_input(in);
}

/* What the generations say now. */
static enum sync_strategy compare_now(const struct core *core, const struct peer *peer,
				      const struct volume *vol)
{
	const struct peer_device *pd = &peer->pd[vol->v];
	struct sync_input in;

	if (!pd->uuids_valid || uuid_eq(pd->uuids.current, vol->md.current_uuid))
		return SYNC_NONE;
	input_now(core, peer, vol, &in);
	return uuid_compare(&in).strategy;
}

bool sync_leads(const struct core *core, const struct peer *peer, const struct volume *vol,
		enum role as)
{
	struct sync_input in;
	struct sync_decision d;

	input_now(core, peer, vol, &in);
	in.peer.disk = pdsk_of(core, &peer->pd[vol->v]);
	in.peer.role = core->st.peer[peer->id].role;
	in.me.role = as;
	d = sync_decide(&in);
	return d.kind == VERDICT_GO && strategy_is_source(d.strategy);
}

bool sync_is_newer(const struct core *core, const struct peer *peer, const struct volume *vol)
{
	return strategy_is_target(compare_now(core, peer, vol));
}

bool sync_lacks_told(const struct core *core, const struct peer *peer, const struct volume *vol)
{
	struct sync_input in;

	input_now(core, peer, vol, &in);
	return !uuid_eq(in.me.current, in.peer.current) &&
	       strategy_is_source(uuid_compare(&in).strategy);
}

bool sync_is_older(const struct core *core, const struct peer *peer, const struct volume *vol)
{
	const struct peer_device *pd = &peer->pd[vol->v];

	return repl_of(core, pd) >= REPL_ESTABLISHED &&
	       !(pd->uuids.flags & UUID_FLAG_SYNC_TARGET) &&
	       strategy_is_source(compare_now(core, peer, vol));
}

/* ---- what the verdict does to bitmaps and references ---- */

static void copy_bitmap(struct core *core, struct volume *vol, unsigned peer_id, unsigned from_node)
{
	int to = bitmap_slot(vol, peer_id), from = bitmap_slot(vol, from_node);
	uint32_t free_slots = bitmap_slots_free(vol);

	if (to < 0)
		return;
	if (from < 0 && free_slots)
		from = __builtin_ctz(free_slots);
	if (from >= 0)
		bitmap_copy_slot(core, vol, (unsigned)from, (unsigned)to);
	else
		bitmap_set_all(core, vol, node_bit(peer_id), false);
}

static void set_bitmap(struct core *core, struct peer *peer, struct volume *vol, bool source)
{
	struct md_peer *mp = &vol->md.peers[peer->id];
	uint64_t its = peer->pd[vol->v].uuids.current;
	bool i_am_new = uuid_eq(vol->md.current_uuid, UUID_JUST_CREATED);

	if (!source && i_am_new && uuid_sync_source(core, vol, peer->id))
		return;
	if (source && !i_am_new && its && !uuid_eq(its, UUID_JUST_CREATED)) {
		uuid_push_history(vol, mp->bitmap_uuid, peer->id);
		mp->bitmap_uuid = its;
	}
	bitmap_set_all(core, vol, node_bit(peer->id), i_am_new);
}

/* Established without resync: nothing differs since this generation (1.10). */
static void no_difference(struct core *core, struct peer *peer, struct volume *vol)
{
	struct peer_device *pd = &peer->pd[vol->v];

	if (own_disk(core, vol) < DISK_OUTDATED || reported_disk(pd) < DISK_OUTDATED)
		return;
	if ((pd->uuids.flags | pd->sent.flags) & UUID_FLAG_SYNC_TARGET ||
	    !uuid_eq(pd->uuids.current, vol->md.current_uuid))
		return;
	uuid_forget_bitmap_uuid(core, vol, peer->id);
}

void sync_verdict_apply(struct core *core, struct peer *peer, struct volume *vol)
{
	struct peer_device *pd = &peer->pd[vol->v];

	if (!vol_has_md(vol) || pd->verdict.kind != VERDICT_GO || !both_have_data(core, vol, pd))
		return;
	if (peer->conf->has_disk[vol->v] && bitmap_alloc_slot(vol, peer->id)) {
		core_log(core, LOG_LEVEL_ERR, "%s/%u %s: no free bitmap slot: forget a peer",
			 core->conf.name, vol->vnr, peer->conf->name);
		return;
	}
	switch (pd->verdict.strategy) {
	case SYNC_NONE:
		no_difference(core, peer, vol);
		return;
	case SYNC_SOURCE_COPY_BITMAP:
		copy_bitmap(core, vol, peer->id, pd->verdict.copy_from);
		return;
	case SYNC_SOURCE_SET_BITMAP:
	case SYNC_TARGET_SET_BITMAP:
		set_bitmap(core, peer, vol, pd->verdict.strategy == SYNC_SOURCE_SET_BITMAP);
		return;
	default:
		/* The slots serve as they are; the target keeps what it has marked itself. */
		return;
	}
}

/* ---- outside of a connect ---- */

/* The peer has some of what we lack, and is no source; nor will a Primary give it to us. */
static bool is_outdated_by(const struct core *core, const struct peer_device *pd,
			   const struct volume *vol)
{
	return pd->verdict.behind == SYNC_BEHIND_ME && core->st.role != ROLE_PRIMARY &&
	       disk_of(core, vol) > DISK_OUTDATED && state_is_stable(core, &core->st) &&
	       pd->uuids.flags & UUID_FLAG_STABLE;
}

/* No resync is due: what the peer has is what we have, or no source of it. */
static void settle_disk(struct core *core, struct peer_device *pd, const struct volume *vol)
{
	enum disk_state disk = disk_of(core, vol), pdsk = pdsk_of(core, pd);
	/* Without a difference between the generations:
	 * a third node may have to settle one first. */
	bool equal = pd->verdict.strategy == SYNC_NONE && disk == DISK_OUTDATED &&
		     pdsk >= DISK_CONSISTENT && pdsk != DISK_UNKNOWN &&
		     uuid_eq(pd->uuids.current, vol->md.current_uuid) &&
		     uuid_disk_is_shown(vol, core->st.role);
	struct state *next;

	if (!equal && !is_outdated_by(core, pd, vol))
		return;
	next = state_begin(core);
	next->vol[vol->v].disk = equal ? pdsk : DISK_OUTDATED;
	state_end(core, STATE_HARD);
}

/*
 * When a resize is through, both ends begin the resync of what is new without a word, if they are
 * Established. Who waited for bitmaps by then would wait for ever.
 */
bool sync_waits_for_resize(const struct core *core, const struct volume *vol)
{
	return twopc_may_resize(core, vol) ||
	       (vol->resize.phase != RESIZE_NONE && !vol->resize.slots);
}

void sync_propose(struct core *core, struct peer *peer, struct volume *vol)
{
	if (sync_waits_for_resize(core, vol))
		peer->pd[vol->v].rs.again = true;
	else
		sync_consider(core, peer, vol);
}

void sync_consider(struct core *core, struct peer *peer, struct volume *vol)
{
	struct peer_device *pd = &peer->pd[vol->v];
	struct state *next;

	if (repl_of(core, pd) != REPL_ESTABLISHED || !vol_has_md(vol) ||
	    uuid_sync_source(core, vol, NODES_MAX) ||
	    (pd->uuids_valid && !resync_same_primaries(core, pd)))
		return;
	sync_handshake_again(core, peer, vol, false);
	if (strategy_is_split_brain(pd->verdict.strategy)) {
		/* The next handshake refuses it on both sides, with the reason. */
		peer_fail(core, peer, CONN_NETWORK_FAILURE, "%s", pd->verdict.reason);
		return;
	}
	if (pd->verdict.kind != VERDICT_GO) {
		core_log(core, LOG_LEVEL_WARNING, "%s/%u %s: no resync: %s", core->conf.name,
			 vol->vnr, peer->conf->name, pd->verdict.reason);
		return;
	}
	sync_verdict_apply(core, peer, vol);
	if (pd->verdict.repl == REPL_ESTABLISHED) {
		settle_disk(core, pd, vol);
		return;
	}
	next = state_begin(core);
	next->pd[peer->id][vol->v].repl = pd->verdict.repl;
	state_end(core, STATE_HARD);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The life of a local disk: attach, introduction to the
 * peers, detach; and what openers may do with the volume. */
#include "core/cluster.h"
#include "core/core_hooks.h"
#include "core/fencing.h"
#include "core/state.h"

#include <stdio.h>

/* The generation that this node showed without its disk is one the disk never heard of. */
static bool missed_a_generation(const struct volume *vol)
{
	uint64_t shown = vol->exposed_uuid;

	if (!shown || uuid_eq(shown, vol->md.current_uuid))
		return false;
	for (unsigned n = 0; n < NODES_MAX; n++) {
		if (uuid_eq(shown, vol->md.peers[n].bitmap_uuid))
			return false;
	}
	for (unsigned i = 0; i < HISTORY_UUIDS; i++) {
		if (uuid_eq(shown, vol->md.history[i]))
			return false;
	}
	return true;
}

enum disk_state volume_disk_from_md(const struct volume *vol)
{
	if (!(vol->md.flags & MDF_CONSISTENT))
		return DISK_INCONSISTENT;
	if (missed_a_generation(vol))
		return DISK_OUTDATED;
	return vol->md.flags & MDF_WAS_UP_TO_DATE ? DISK_CONSISTENT : DISK_OUTDATED;
}

enum disk_state volume_disk_alone(const struct core *core, const struct state *st,
				  const struct volume *vol)
{
	enum disk_state disk = volume_disk_from_md(vol);

	if (disk != DISK_CONSISTENT || reconcile_holds(core) ||
	    fencing_keeps_back(core, st, vol->v))
		return disk;
	return cluster_may_be_up_to_date(core, st, vol->v) ? DISK_UP_TO_DATE : DISK_OUTDATED;
}

static void disk_set(struct core *core, struct volume *vol, enum disk_state disk)
{
	state_begin(core)->vol[vol->v].disk = disk;
	state_end(core, STATE_HARD);
}

void volume_attach(struct core *core, struct volume *vol)
{
	struct core_action *action;

	ASSERT(vol->phase == VOL_DETACHED);
	vol->phase = VOL_ATTACHING;
	vol->io_failed = false;
	vol->md_failed = false;
	vol->io.hangs = false;
	vol->attach_began_ns = core->now_ns;
	vol->reason[0] = '\0';
	disk_set(core, vol, DISK_ATTACHING);
	action = core_act(core, AC_ATTACH);
	action->u.attach.vnr = vol->vnr;
	action->u.attach.nodes = 0;
	FOR_EACH_PEER(core, peer)
		action->u.attach.nodes |= peer->conf->has_disk[vol->v] ? node_bit(peer->id) : 0;
}

/*
 * This node is Primary with another generation, and no disk in sight is good: the one that has it
 * is out of sight, or may be. When all are in sight it never got onto a disk, and nothing was
 * answered in it: what counts is the disk's own again.
 */
const char *volume_refuses_disk(const struct core *core, struct volume *vol)
{
	bool own = uuid_eq(vol->exposed_uuid, vol->md.current_uuid);
	bool all = !cluster_lost_a_disk(core, vol);

	if (two_primaries_left_behind(core, vol))
		return "the other Primary has gone on without this disk: it has to be in sight";
	if (uuid_take_back_made(core, vol) || core->st.role != ROLE_PRIMARY ||
	    !vol->exposed_uuid || (own && !vol->lost_uuids))
		return NULL;
	FOR_EACH_PEER(core, peer) {
		const struct peer_device *pd = &peer->pd[vol->v];

		if (pdsk_of(core, pd) == DISK_UP_TO_DATE)
			return NULL;
		if (peer->conf->has_disk[vol->v] &&
		    (repl_of(core, pd) < REPL_ESTABLISHED || !pd->uuids_valid ||
		     uuid_was_lost(vol, pd->uuids.current) ||
		     (!own && uuid_eq(pd->uuids.current, vol->exposed_uuid))))
			all = false;
	}
	if (!all)
		return "the data is not of the generation in use, and no peer has it";
	vol->exposed_uuid = vol->md.current_uuid;
	vol->lost_uuids = 0;
	return NULL;
}

/* Checks and takes over what was read; NULL or the reason to refuse it. */
static const char *take_over(struct core *core, struct volume *vol, const struct ev_attached *ev)
{
	const char *reason = NULL;
	uint64_t sectors;
	bool resizes;

	vol->md = ev->super;
	vol->data_sectors = ev->data_sectors;
	vol->discard_ok = ev->discard_ok;
	if (vol->md.node_id >= 0 && vol->md.node_id != core->self)
		return "the metadata belongs to another node id";
	if (vol->md.max_peers == 0 || vol->md.max_peers > NODES_MAX)
		return "the metadata has an impossible number of bitmap slots";
	if (vol->md.peers[core->self].bitmap_index >= 0)
		return "the metadata has a bitmap slot for this node itself";
	if (vol->md.effective_sectors > vol->data_sectors)
		return "the backing store is smaller than the volume; enlarge it";
	reason = volume_refuses_disk(core, vol);
	if (reason)
		return reason;
	if (!sizes_at_attach(core, vol, &sectors, &reason))
		return reason;
	vol->md.node_id = core->self;
	vol->phase = VOL_ATTACHED;
	bitmap_attach(core, vol, &ev->bitmap);
	resizes = vol->md.effective_sectors && vol->md.effective_sectors != sectors &&
		  vol->md.current_uuid != UUID_JUST_CREATED;
	if (!resizes && vol->size_sectors == sectors && vol->md.effective_sectors != sectors)
		vol->size_sectors = 0;
	if (!resizes)
		sizes_set(core, vol, sectors, false);
	if (uuid_attach(core, vol, &reason)) {
		bitmap_detach(core, vol);
		return reason ? reason : "the metadata cannot be used";
	}
	actlog_attach(core, vol);
	if (resizes)
		resize_follow(core, vol, sectors);
	core->members |= vol->md.members;
	return NULL;
}

void volume_give_up_attach(struct core *core, struct volume *vol)
{
	snprintf(vol->reason, sizeof(vol->reason),
		 "local disk: no answer for %u s, attach given up",
		 (unsigned)((core->now_ns - vol->attach_began_ns) / NS_PER_S));
	core_log(core, LOG_LEVEL_ERR, "%s/%u: %s", core->conf.name, vol->vnr, vol->reason);
	vol->io.hangs = vol->io.attach = true;
	vol->io.given_up++;
	vol->phase = VOL_DETACHING;
	disk_set(core, vol, DISK_DISKLESS);
}

static void attached_too_late(struct core *core, struct volume *vol, bool open)
{
	vol->io.attach = false;
	vol->io.given_up--;
	core->notify = true;
	core_work(core, WORK_COMMAND);
	if (open)
		core_act(core, AC_DETACH)->u.vnr = vol->vnr;
	else
		vol->phase = VOL_DETACHED;
}

void volume_attached(struct core *core, const struct ev_attached *ev)
{
	struct volume *vol = core_volume_by_vnr(core, ev->vnr);
	const char *reason;

	if (vol && vol->io.attach)
		attached_too_late(core, vol, !ev->error);
	if (!vol || vol->phase != VOL_ATTACHING)
		return;
	core_work(core, WORK_COMMAND);
	if (ev->error) {
		snprintf(vol->reason, sizeof(vol->reason), "%s",
			 ev->reason ? ev->reason : "the backing store cannot be opened");
		vol->phase = VOL_DETACHED;
		disk_set(core, vol, DISK_DISKLESS);
		return;
	}
	reason = take_over(core, vol, ev);
	if (!reason)
		return;
	snprintf(vol->reason, sizeof(vol->reason), "%s", reason);
	vol->phase = VOL_DETACHING;
	disk_set(core, vol, DISK_DISKLESS);
	core_act(core, AC_DETACH)->u.vnr = vol->vnr;
}

void volume_detached(struct core *core, uint16_t vnr)
{
	struct volume *vol = core_volume_by_vnr(core, vnr);

	if (!vol || vol->phase != VOL_DETACHING)
		return;
	ASSERT(vol->io.given_up == 0);
	vol->phase = VOL_DETACHED;
	core->notify = true;
	core_work(core, WORK_COMMAND);
}

static bool peer_has_disk(const struct core *core, const struct peer *peer, unsigned v)
{
	enum disk_state pdsk = core->st.pd[peer->id][v].pdsk;

	return peer_connected(core, peer) && pdsk >= DISK_NEGOTIATING && pdsk != DISK_UNKNOWN;
}

bool volume_await_peers(struct core *core, struct volume *vol, bool pending)
{
	bool any = false;

	FOR_EACH_PEER(core, peer) {
		peer->pd[vol->v].attach_pending = pending && peer_has_disk(core, peer, vol->v);
		any |= peer->pd[vol->v].attach_pending;
	}
	return any;
}

void volume_await_peer(struct core *core, struct peer *peer, const struct volume *vol)
{
	peer->pd[vol->v].attach_pending = true;
	handshake_deadline_arm(core, peer);
}

void volume_introduce(struct core *core, struct volume *vol)
{
	FOR_EACH_PEER(core, peer) {
		if (!peer_connected(core, peer))
			continue;
		sizes_send(core, peer, vol->v);
		uuid_send(core, peer, vol->v, 0, 0);
		peer_send_state(core, peer, vol->v);
		if (peer->pd[vol->v].attach_pending)
			handshake_deadline_arm(core, peer);
	}
}

bool volume_may_lead(const struct core *core, const struct volume *vol)
{
	return disk_of(core, vol) == DISK_NEGOTIATING &&
	       uuid_eq(vol->exposed_uuid, vol->md.current_uuid);
}

/* What our disk is worth, given what the handshake with one peer said. */
static enum disk_state negotiated(const struct core *core, const struct volume *vol,
				  const struct sync_verdict *verdict, enum disk_state pdsk)
{
	enum disk_state disk = volume_disk_from_md(vol);

	/* Or the peer has what we lack, and is no source now. */
	if (verdict->repl == REPL_WF_BITMAP_T || verdict->behind == SYNC_BEHIND_ME)
		return disk > DISK_OUTDATED ? DISK_OUTDATED : disk;
	/* Compared with good data, and found equal. */
	if (disk >= DISK_OUTDATED && verdict->strategy == SYNC_NONE &&
	    verdict->rule >= RULE_RECONNECTED && verdict->rule <= RULE_BOTH_OFF &&
	    pdsk == DISK_UP_TO_DATE)
		return DISK_UP_TO_DATE;
	if (disk == DISK_CONSISTENT && pdsk == DISK_UP_TO_DATE)
		return DISK_UP_TO_DATE;
	return volume_disk_alone(core, &core->st, vol);
}

/* They are compared again when what is in the way is over (outdated.c); the disk waits for it. */
static void decide_later(struct core *core, struct volume *vol)
{
	enum disk_state disk = volume_disk_from_md(vol);

	if (disk_of(core, vol) == DISK_NEGOTIATING)
		disk_set(core, vol, disk > DISK_OUTDATED ? DISK_OUTDATED : disk);
}

void volume_negotiate(struct core *core, struct peer *peer, struct volume *vol, uint32_t word)
{
	struct peer_device *pd = &peer->pd[vol->v];
	enum disk_state pdsk = (enum disk_state)((word & SW_DISK_MASK) >> SW_DISK_SHIFT);
	struct state *next;

	pd->state_word = word;
	sync_handshake(core, peer, vol);
	pd->attach_pending = false;
	peer->hs_deadline_ns = NEVER_NS;
	core_work(core, WORK_COMMAND);
	if (pd->verdict.kind == VERDICT_RETRY) {
		decide_later(core, vol);
		return;
	}
	if (pd->verdict.kind != VERDICT_GO) {
		/* Refused by one: this disk cannot take part
		 * beside it, unless another makes it follow. */
		if (disk_of(core, vol) != DISK_NEGOTIATING)
			return;
		snprintf(vol->reason, sizeof(vol->reason), "%s: %s", peer->conf->name,
			 pd->verdict.reason ? pd->verdict.reason : "no agreement on the data");
		disk_set(core, vol, DISK_DETACHING);
		return;
	}
	sync_verdict_apply(core, peer, vol);
	next = state_begin(core);
	next->pd[peer->id][vol->v].repl = pd->verdict.repl;
	if (next->vol[vol->v].disk == DISK_NEGOTIATING)
		next->vol[vol->v].disk = negotiated(core, vol, &pd->verdict, pdsk);
	state_end(core, STATE_HARD);
}

/* ---- going Diskless ---- */

void volume_local_idle(struct core *core, struct volume *vol)
{
	if (disk_of(core, vol) <= DISK_FAILED)
		core_work(core, WORK_PEERS);
}

static void become_diskless(struct core *core, struct volume *vol)
{
	disk_set(core, vol, DISK_DISKLESS);
	bitmap_detach(core, vol);
	vol->phase = VOL_DETACHING;
	resize_disk_gone(core, vol);
	core_act(core, AC_DETACH)->u.vnr = vol->vnr;
}

void volume_run(struct core *core)
{
	FOR_EACH_VOLUME(core, vol) {
		enum disk_state disk = disk_of(core, vol);

		if (vol->phase != VOL_ATTACHED)
			continue;
		if (vol->io_failed && (disk > DISK_FAILED || disk == DISK_ATTACHING)) {
			disk_set(core, vol, DISK_FAILED);
			disk = disk_of(core, vol);
		}
		if (vol->local_pending || (disk != DISK_FAILED && disk != DISK_DETACHING))
			continue;
		/* An orderly stop leaves metadata that say so. */
		if (disk == DISK_DETACHING && !vol->io_failed && !md_quiesce(core, vol))
			continue;
		/* A disk that others go on without has to know it, if it can still be told. */
		if (disk == DISK_FAILED && vol->md_is_dirty && !vol->md_failed) {
			vol->md_write_at_ns = core->now_ns;
			core_work(core, WORK_MD);
			continue;
		}
		if (md_idle(vol))
			become_diskless(core, vol);
	}
	/* Metadata that became durable may be what a command waits for. */
	if (core->commands.count)
		core_work(core, WORK_COMMAND);
}

/* ---- size and gates ---- */

static bool peer_is_primary(const struct core *core)
{
	return cluster_primaries(core, &core->st) & ~node_bit(core->self);
}

void volume_update_gates(struct core *core)
{
	bool primary = core->st.role == ROLE_PRIMARY;
	bool promotable = primary || (core->conf.auto_promote && !peer_is_primary(core));

	FOR_EACH_VOLUME(core, vol) {
		bool data = state_data_accessible(core, &core->st, vol->v) &&
			    (primary || core->st.vol[vol->v].have_quorum);
		bool readable = data && promotable;
		bool writable = (data || primary) && promotable;
		bool local_reads = vol->conf->disk.read_balancing == READ_PREFER_LOCAL &&
				   request_local_writable(core, vol) &&
				   disk_of(core, vol) == DISK_UP_TO_DATE && !state_suspended(core);
		struct core_action *action;

		if (vol->gate_sectors == vol->size_sectors && vol->gate_readable == readable &&
		    vol->gate_writable == writable && vol->gate_local_reads == local_reads)
			continue;
		vol->gate_sectors = vol->size_sectors;
		vol->gate_readable = readable;
		vol->gate_writable = writable;
		vol->gate_local_reads = local_reads;
		action = core_act(core, AC_SIZE);
		action->u.size.vnr = vol->vnr;
		action->u.size.sectors = vol->size_sectors;
		action->u.size.readable = readable;
		action->u.size.writable = writable;
		action->u.size.local_reads = local_reads;
	}
}

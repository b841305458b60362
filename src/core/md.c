/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The in-core superblock of each volume: when it is
 * written, and its flags (on-disk-metadata 5.2). */
#include <string.h>

#include "core/bitmap_io.h"
#include "core/core_hooks.h"
#include "core/core_int.h"
#include "core/fencing.h"
#include "core/quorum.h"
#include "core/resync_int.h"
#include "core/state.h"

#define MD_LAZY_NS (5 * NS_PER_S)
#define MD_RECHECK_NS NS_PER_S
#define MD_TAG_SEQ_SHIFT 8

/* ---- writing ---- */

static void write_super(struct core *core, struct volume *vol)
{
	struct md_super *snapshot = core_scratch(core, sizeof(*snapshot));
	struct core_action *action = core_act(core, AC_META_SUPER);

	*snapshot = vol->md;
	uuid_adopt_keep_old(vol, snapshot);
	vol->md_is_dirty = false;
	vol->md_writing = true;
	vol->md_writing_seq = vol->md_seq;
	vol->md_write_at_ns = NEVER_NS;
	action->u.meta.tag = tag_make(TAG_MD_SUPER, vol->md_seq << MD_TAG_SEQ_SHIFT | vol->v);
	action->u.meta.vnr = vol->vnr;
	action->u.meta.super = snapshot;
	local_io_begin(core, vol, action->u.meta.tag, true, true);
}

static uint64_t changed(struct core *core, struct volume *vol, uint64_t at_ns)
{
	vol->md_seq++;
	if (!vol->md_is_dirty || at_ns < vol->md_write_at_ns)
		vol->md_write_at_ns = at_ns;
	vol->md_is_dirty = true;
	core_work(core, WORK_MD);
	return vol->md_seq;
}

uint64_t md_sync(struct core *core, struct volume *vol)
{
	return changed(core, vol, core->now_ns);
}

void md_dirty(struct core *core, struct volume *vol)
{
	changed(core, vol, core->now_ns + MD_LAZY_NS);
}

/* The Primary mark may go: nobody writes here, and what was written is settled. */
static bool primary_mark_is_over(const struct core *core, const struct volume *vol)
{
	if (!(vol->md.flags & MDF_PRIMARY_IND) || core->st.role == ROLE_PRIMARY)
		return false;
	if (disk_of(core, vol) < DISK_INCONSISTENT || !request_volume_idle(core, vol) ||
	    !actlog_is_idle(vol) || !local_flush_is_clean(vol))
		return false;
	FOR_EACH_PEER(core, peer) {
		if (core->st.peer[peer->id].role == ROLE_PRIMARY || !peer_rx_idle(peer))
			return false;
	}
	return true;
}

/* Once the mark is off the activity log is not replayed: the bits must be on disk before. */
static void end_primary_mark(struct core *core, struct volume *vol)
{
	if (!bitmap_is_clean(vol)) {
		bitmap_write_all(core, vol);
		return;
	}
	vol->md.flags &= ~MDF_PRIMARY_IND;
	md_dirty(core, vol);
}

void md_run(struct core *core)
{
	FOR_EACH_VOLUME(core, vol) {
		if (!vol_has_md(vol))
			continue;
		if (primary_mark_is_over(core, vol))
			end_primary_mark(core, vol);
		if (vol->md_is_dirty && !vol->md_writing && core->now_ns >= vol->md_write_at_ns &&
		    !vol->md_failed)
			write_super(core, vol);
	}
}

uint64_t md_deadline(const struct core *core)
{
	uint64_t t = NEVER_NS;

	FOR_EACH_VOLUME(core, vol) {
		if (!vol_has_md(vol) || vol->md_failed)
			continue;
		if (vol->md_is_dirty && !vol->md_writing && vol->md_write_at_ns < t)
			t = vol->md_write_at_ns;
		if (vol->md.flags & MDF_PRIMARY_IND && core->st.role != ROLE_PRIMARY &&
		    core->now_ns + MD_RECHECK_NS < t && primary_mark_is_over(core, vol))
			t = core->now_ns + MD_RECHECK_NS;
	}
	return t;
}

void md_meta_done(struct core *core, const struct ev_done *done)
{
	uint64_t rest = tag_rest(done->tag);
	struct volume *vol = core->vol[rest & ((1U << MD_TAG_SEQ_SHIFT) - 1)];
	uint64_t seq = rest >> MD_TAG_SEQ_SHIFT;

	if (seq >= vol->md_writing_seq)
		vol->md_writing = false;
	core_work(core, WORK_MD | WORK_REQUESTS | WORK_SYNC | WORK_PEERS);
	if (done->error) {
		volume_store_error(core, vol, done->error, "write of the superblock");
		return;
	}
	if (seq > vol->md_durable_seq)
		vol->md_durable_seq = seq;
	bitmap_md_durable(core, vol);
	actlog_md_durable(core, vol);
	uuid_md_durable(core, vol);
	resync_md_durable(core, vol);
	resize_md_durable(core, vol);
}

bool md_idle(const struct volume *vol)
{
	return !vol->md_writing && !vol->resize.busy && !vol->bm.in_flight && !vol->bm.flushing &&
	       !vol->al.block_in_flight;
}

/* ---- flags ---- */

static bool primary_around(const struct core *core)
{
	if (core->st.role == ROLE_PRIMARY)
		return true;
	FOR_EACH_PEER(core, peer) {
		if (peer_connected(core, peer) && core->st.peer[peer->id].role == ROLE_PRIMARY)
			return true;
	}
	return false;
}

static bool up_to_date_peer(const struct core *core, const struct volume *vol)
{
	FOR_EACH_PEER(core, peer) {
		if (pdsk_of(core, &peer->pd[vol->v]) == DISK_UP_TO_DATE)
			return true;
	}
	return false;
}

static uint32_t assign(uint32_t flags, uint32_t bit, bool on)
{
	return on ? flags | bit : flags & ~bit;
}

static uint32_t device_flags(const struct core *core, const struct volume *vol)
{
	enum disk_state disk = disk_of(core, vol);
	uint32_t flags = vol->md.flags & ~MDF_AL_CLEAN;
	bool leaving = disk == DISK_DETACHING;

	flags = assign(flags, MDF_CRASHED_PRIMARY,
		       vol->crashed_primary || (core->st.role == ROLE_PRIMARY && !leaving));
	if (disk >= DISK_INCONSISTENT) {
		flags = assign(flags, MDF_CONSISTENT, disk > DISK_INCONSISTENT);
		flags = assign(flags, MDF_WAS_UP_TO_DATE, disk > DISK_OUTDATED);
	} else if ((disk == DISK_FAILED || leaving) && primary_around(core) &&
		   up_to_date_peer(core, vol)) {
		/* That Primary goes on without this copy. */
		flags &= ~MDF_WAS_UP_TO_DATE;
	}
	if (primary_around(core))
		flags |= MDF_PRIMARY_IND;
	flags = assign(flags, MDF_HAVE_QUORUM, core->st.vol[vol->v].have_quorum);
	flags = assign(flags, MDF_PRIMARY_LOST_QUORUM, vol->lost_quorum);
	return flags & ~MDF_AL_DISABLED;
}

static uint32_t peer_flags(const struct core *core, const struct peer_device *pd,
			   enum disk_state was, bool forget, uint32_t flags)
{
	enum disk_state pdsk = pdsk_of(core, pd);

	flags = assign(flags, MDF_PEER_CONNECTED, repl_of(core, pd) > REPL_OFF);
	flags = assign(flags, MDF_PEER_FENCING, fencing_wanted(core->peer[pd->p]));
	if (pdsk >= DISK_INCONSISTENT && pdsk != DISK_UNKNOWN) {
		flags |= MDF_PEER_DEVICE_SEEN;
		flags = assign(flags, MDF_PEER_OUTDATED, pdsk <= DISK_OUTDATED);
	}
	/*
	 * For quorum and fencing it must be true after a crash, too: one that is connected, or
	 * will be, can get good data at any time, and one that was Inconsistent may have got them
	 * in the moment it was lost.
	 */
	if (fencing_or_quorum(core, core->peer[pd->p]) &&
	    (forget || core->peer[pd->p]->streams_up ||
	     (pdsk == DISK_UNKNOWN && was == DISK_INCONSISTENT)))
		flags &= ~MDF_PEER_OUTDATED;
	if (pdsk == DISK_DISKLESS && repl_of(core, pd) > REPL_OFF &&
	    !core->peer[pd->p]->conf->has_disk[pd->v])
		flags &= ~MDF_PEER_DEVICE_SEEN;
	return flags;
}

/* Returns which device flags changed; *other = something else changed. */
static uint32_t update_flags(struct core *core, struct volume *vol, const struct state *old,
			     bool *other)
{
	uint32_t before = vol->md.flags;
	bool forget = quorum_forgets_outdated(core, old, &core->st, vol->v);

	vol->md.flags = device_flags(core, vol);
	FOR_EACH_PEER(core, peer) {
		struct md_peer *mp = &vol->md.peers[peer->id];
		uint32_t flags = peer_flags(core, &peer->pd[vol->v],
					    old->pd[peer->id][vol->v].pdsk, forget, mp->flags);

		*other |= flags != mp->flags;
		mp->flags = flags;
	}
	for (unsigned n = 0; forget && n < NODES_MAX; n++) {
		*other |= !core->peer[n] && vol->md.peers[n].flags & MDF_PEER_OUTDATED;
		vol->md.peers[n].flags &= core->peer[n] ? ~0U : ~(uint32_t)MDF_PEER_OUTDATED;
	}
	*other |= vol->md.members != core->members;
	vol->md.members = core->members;
	return before ^ vol->md.flags;
}

void md_state_changed(struct core *core, const struct state *old)
{
	FOR_EACH_VOLUME(core, vol) {
		enum disk_state disk = disk_of(core, vol);
		bool other = false;
		uint32_t diff;

		if (core->st.vol[vol->v].have_quorum)
			vol->lost_quorum = false;
		else if (core->st.role == ROLE_PRIMARY)
			vol->lost_quorum = true;
		if (!vol_has_md(vol) || disk == DISK_NEGOTIATING || disk == DISK_DISKLESS ||
		    disk == DISK_ATTACHING)
			continue;
		/* Later the log is given up with the disk, and does not tell any more. */
		if (disk != old->vol[vol->v].disk)
			vol->md_unsettled = disk <= DISK_FAILED && !actlog_is_idle(vol);
		diff = update_flags(core, vol, old, &other);
		if (!diff && !other)
			continue;
		md_dirty(core, vol);
		if (diff & (MDF_CONSISTENT | MDF_WAS_UP_TO_DATE | MDF_CRASHED_PRIMARY))
			md_sync(core, vol);
		/*
		 * Two decide whether the activity log counts, the third who is right after a
		 * crash: no write relies on them before.
		 */
		if (diff & (MDF_AL_CLEAN | MDF_PRIMARY_IND | MDF_PRIMARY_LOST_QUORUM)) {
			write_super(core, vol);
			vol->md_mark_seq = vol->md_seq;
		}
	}
	if (old->role != core->st.role)
		core_work(core, WORK_MD);
}

void md_peer_returns(struct core *core, struct volume *vol, unsigned p)
{
	struct md_peer *mp = &vol->md.peers[p];

	if (!fencing_or_quorum(core, core->peer[p]) || !vol_has_md(vol) ||
	    !(mp->flags & MDF_PEER_OUTDATED))
		return;
	mp->flags &= ~MDF_PEER_OUTDATED;
	vol->returns_seq = md_sync(core, vol);
}

bool md_quiesce(struct core *core, struct volume *vol)
{
	uint32_t flags;

	if (!vol_has_md(vol))
		return true;
	if (!bitmap_is_clean(vol)) {
		bitmap_write_all(core, vol);
		return false;
	}
	/* Writes that not every node has for certain are marked by the activity log alone. */
	flags = vol->md.flags;
	if (!vol->md_unsettled)
		flags &= ~MDF_PRIMARY_IND;
	flags = assign(flags, MDF_CRASHED_PRIMARY, vol->crashed_primary);
	if (flags != vol->md.flags) {
		vol->md.flags = flags;
		md_sync(core, vol);
	}
	if (vol->md_is_dirty) {
		vol->md_write_at_ns = core->now_ns;
		core_work(core, WORK_MD);
		return false;
	}
	return vol->md_durable_seq >= vol->md_seq;
}

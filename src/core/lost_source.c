/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the source had that was lost in the middle of a resync:
 * who lacks it is told so, and is no source. */
#include <string.h>

#include "core/cluster.h"
#include "core/core_hooks.h"
#include "core/resync_int.h"
#include "core/state.h"
#include "core/uuid.h"

/*
 * The disk is between two generations, and the newer one is out of sight. A peer that was where the
 * older one is, or anywhere before the newer one, lacks what has been answered since: it must not
 * pass for good, nor make this disk as good as itself. As long as the disk is Inconsistent such a
 * peer is told what the source has told, as if that was still here: then it finds itself behind.
 */

static void forget(struct core *core, struct volume *vol)
{
	vol->lost_source.known = false;
	FOR_EACH_PEER(core, peer)
		peer->pd[vol->v].lacks_lost = false;
}

static void remember(struct core *core, struct volume *vol, const struct peer_device *source)
{
	const struct pkt_uuids *its = &source->uuids;
	struct lost_source *lost = &vol->lost_source;

	if (!source->uuids_valid || uuid_eq(its->current, vol->md.current_uuid) ||
	    its->flags & (UUID_FLAG_NOT_DURABLE | UUID_FLAG_SYNC_TARGET))
		return;
	*lost = (struct lost_source){ .known = true, .is_new = true, .node = source->p };
	lost->uuids = *its;
	/* Others may have stayed where we have. */
	if (its->bitmap[core->self] && its->bitmap[core->self] != UUID_UNKNOWN) {
		memcpy(lost->uuids.history + 1, its->history,
		       sizeof(its->history) - sizeof(its->history[0]));
		lost->uuids.history[0] = its->bitmap[core->self];
	}
	core_work(core, WORK_SYNC);
}

void lost_source_state_changed(struct core *core, const struct state *old, struct volume *vol)
{
	if (disk_of(core, vol) != DISK_INCONSISTENT) {
		if (vol->lost_source.known)
			forget(core, vol);
		return;
	}
	FOR_EACH_PEER(core, peer) {
		const struct peer_device *pd = &peer->pd[vol->v];

		if (resync_is_target(old->pd[peer->id][vol->v].repl) &&
		    (!peer_connected(core, peer) || pdsk_of(core, pd) <= DISK_FAILED))
			remember(core, vol, pd);
	}
}

/* Not where it is a source again: then that one counts. */
static bool is_told(const struct core *core, const struct peer *peer, const struct volume *vol)
{
	return vol->lost_source.known && peer->pd[vol->v].lacks_lost &&
	       !uuid_sync_source(core, vol, peer->id);
}

uint64_t lost_source_reference(const struct core *core, const struct peer *peer,
			       const struct volume *vol)
{
	return is_told(core, peer, vol) ? vol->lost_source.uuids.bitmap[peer->id] :
					  vol->md.peers[peer->id].bitmap_uuid;
}

void lost_source_fill(const struct core *core, const struct peer *peer, const struct volume *vol,
		      struct pkt_uuids *out)
{
	const struct pkt_uuids *lost = &vol->lost_source.uuids;

	if (!is_told(core, peer, vol))
		return;
	out->current = lost->current;
	out->flags |= UUID_FLAG_SYNC_TARGET;
	out->bitmap_mask |= lost->bitmap_mask;
	memcpy(out->bitmap, lost->bitmap, sizeof(out->bitmap));
	out->bitmap[core->self] = 0;
	memcpy(out->history, lost->history, sizeof(out->history));
}

/* While a Primary is here it decides who takes part. */
static bool is_behind(const struct core *core, struct volume *vol, struct peer *peer)
{
	struct peer_device *pd = &peer->pd[vol->v];

	if (!pd->uuids_valid || !(pd->uuids.flags & UUID_FLAG_KEEPS_BITS) ||
	    pd->uuids.flags & UUID_FLAG_INCONSISTENT ||
	    uuid_eq(pd->uuids.current, vol->lost_source.uuids.current) ||
	    !state_is_stable(core, &core->st) || !(pd->uuids.flags & UUID_FLAG_STABLE))
		return false;
	pd->lacks_lost = true;
	return sync_lacks_told(core, peer, vol);
}

static void leave(struct core *core, struct peer_device *pd)
{
	struct state *next;

	if (!resync_is_target(repl_of(core, pd)))
		return;
	pd->rs.aborted = true;
	next = state_begin(core);
	next->pd[pd->p][pd->v].repl = REPL_ESTABLISHED;
	state_end(core, STATE_HARD);
}

void lost_source_judge(struct core *core, struct peer *peer, struct volume *vol)
{
	struct peer_device *pd = &peer->pd[vol->v];
	bool had = pd->lacks_lost;

	if (!vol->lost_source.known)
		return;
	/* What it has now is what there is. */
	if (peer->id == vol->lost_source.node) {
		forget(core, vol);
		return;
	}
	pd->lacks_lost = is_behind(core, vol, peer);
	if (pd->lacks_lost == had || !peer_connected(core, peer) ||
	    repl_of(core, pd) < REPL_ESTABLISHED)
		return;
	if (pd->lacks_lost)
		leave(core, pd);
	uuid_send(core, peer, vol->v, UUID_FLAG_RESYNC, 0);
	pd->rs.again = true;
	core_work(core, WORK_SYNC);
}

void lost_source_run(struct core *core, struct volume *vol)
{
	if (!vol->lost_source.known || !vol->lost_source.is_new)
		return;
	vol->lost_source.is_new = false;
	FOR_EACH_PEER(core, peer) {
		if (peer_connected(core, peer) && peer->id != vol->lost_source.node)
			lost_source_judge(core, peer, vol);
	}
}

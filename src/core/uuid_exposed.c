/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Generations of a Primary without a good disk: they live on the disks of its peers, or on none
 * (states-and-resync 1.13). */
#include "core/cluster.h"
#include "core/core_hooks.h"
#include "core/core_int.h"
#include "core/drbd8.h"
#include "core/resync_int.h"
#include "core/uuid.h"

/*
 * A good peer has had a disk in sight that this node has not: a node that is no peer here any more.
 * It may have been behind by what that peer has told last, but its resync need not be told here.
 */
static bool peers_know_another(const struct core *core, const struct volume *vol)
{
	FOR_EACH_PEER(core, peer) {
		const struct peer_device *pd = &peer->pd[vol->v];

		if (pdsk_of(core, pd) != DISK_UP_TO_DATE || !pd->uuids_valid)
			continue;
		for (unsigned n = 0; n < NODES_MAX; n++) {
			if (n != core->self && n != peer->id && !core->peer[n] &&
			    pd->uuids.bitmap_mask & node_bit(n))
				return true;
		}
	}
	return false;
}

/* Some disk does not take part in what is written from now on. */
static bool somebody_is_missing(const struct core *core, const struct volume *vol)
{
	bool missing = vol->conf->disk.has_disk || cluster_far_disks(core, vol) ||
		       peers_know_another(core, vol);

	FOR_EACH_PEER(core, peer) {
		enum disk_state pdsk = pdsk_of(core, &peer->pd[vol->v]);

		/* It makes one itself when nobody else has the data. */
		if (peer_connected(core, peer) && peer_is_drbd8(peer))
			return false;
		missing |= peer->conf->has_disk[vol->v] && pdsk != DISK_UP_TO_DATE &&
			   repl_of(core, &peer->pd[vol->v]) < REPL_WF_BITMAP_S;
		/* A Primary without a disk waits to go on from the present one. */
		missing |= !peer->conf->has_disk[vol->v] &&
			   repl_of(core, &peer->pd[vol->v]) < REPL_ESTABLISHED;
	}
	return missing;
}

void uuid_send_exposed(struct core *core, struct volume *vol)
{
	FOR_EACH_PEER(core, peer) {
		if (peer_connected(core, peer) &&
		    repl_of(core, &peer->pd[vol->v]) >= REPL_ESTABLISHED)
			uuid_send_current(core, peer, vol->v);
	}
}

/* Without a good disk of our own the generation lives on the peers' disks (1.13). */
void uuid_bump_exposed(struct core *core, struct volume *vol)
{
	uint64_t not_good = 0;

	if (!somebody_is_missing(core, vol))
		return;
	/* The one before this may be on a disk, though nobody has told of it. */
	if (!vol->awaits_disk) {
		vol->exposed_before = vol->exposed_uuid;
		vol->before_lags = false;
	} else if (vol->lost_uuids < LOST_UUIDS_MAX)
		vol->lost_uuid[vol->lost_uuids++] = vol->exposed_uuid;
	/* Should a node that is out of sight have one of them after all, it is older. */
	for (unsigned i = 0; i < vol->lost_uuids; i++) {
		vol->exposed_uuid = vol->lost_uuid[i];
		uuid_send_exposed(core, vol);
	}
	vol->exposed_uuid = uuid_random(core) | UUID_PRIMARY;
	vol->led_uuid = core->conf.quorum != QUORUM_OFF ? vol->exposed_uuid : 0;
	vol->awaits_disk = true;
	request_new_epoch(core);
	uuid_send_exposed(core, vol);
	FOR_EACH_PEER(core, peer) {
		if (pdsk_of(core, &peer->pd[vol->v]) != DISK_UP_TO_DATE)
			not_good |= node_bit(peer->id);
	}
	finish_promised(core, vol, core->self, vol->exposed_uuid, not_good);
}

/*
 * It does not take over what this Primary names: it is Outdated, or Consistent, as one that has met
 * a Primary without a disk whose generation it does not have; or it is being resynced, and will
 * have what its source has; or it is good, and not counted on, for it became so elsewhere.
 */
static bool keeps_its_generation(const struct state_peer_device *pd)
{
	return pd->pdsk == DISK_OUTDATED || pd->pdsk == DISK_INCONSISTENT ||
	       (pd->pdsk == DISK_CONSISTENT && !pd->behind);
}

/* All disks are in sight, none has the last generation, and none will take it over. */
static bool is_on_no_disk(const struct core *core, const struct volume *vol)
{
	if (cluster_lost_a_disk(core, vol))
		return false;
	FOR_EACH_PEER(core, peer) {
		const struct peer_device *pd = &peer->pd[vol->v];

		if (peer->conf->has_disk[vol->v] &&
		    (repl_of(core, pd) != REPL_ESTABLISHED || !pd->uuids_valid ||
		     !keeps_its_generation(&core->st.pd[peer->id][vol->v]) ||
		     uuid_eq(pd->uuids.current, vol->exposed_uuid)))
			return false;
	}
	return true;
}

static bool any_untrusted(const struct core *core, const struct volume *vol)
{
	bool any = false;

	FOR_EACH_PEER(core, peer)
		any |= core->st.pd[peer->id][vol->v].untrusted;
	return any;
}

/* By protocol A or B writes may have been answered in the generation before that nobody has who is
 * left; who has got one of those after it has got them before. */
void uuid_note_lagging(const struct core *core, const struct state *old, struct volume *vol)
{
	FOR_EACH_PEER(core, peer) {
		if (vol->awaits_disk && old->pd[peer->id][vol->v].repl >= REPL_ESTABLISHED &&
		    repl_of(core, &peer->pd[vol->v]) < REPL_ESTABLISHED &&
		    request_answered_without(core, vol, peer->id))
			vol->before_lags = true;
	}
}

/* The latest of those before it that a peer in sight has taken over after all. */
static uint64_t before_exposed(const struct core *core, const struct volume *vol)
{
	for (unsigned i = vol->lost_uuids; i-- > 0;) {
		FOR_EACH_PEER(core, peer) {
			const struct peer_device *pd = &peer->pd[vol->v];

			if (repl_of(core, pd) >= REPL_ESTABLISHED && pd->uuids_valid &&
			    !(pd->uuids.flags & UUID_FLAG_NOT_DURABLE) &&
			    uuid_eq(pd->uuids.current, vol->lost_uuid[i]))
				return vol->lost_uuid[i];
		}
	}
	return vol->before_lags ? vol->exposed_uuid : vol->exposed_before;
}

/*
 * The last peers went before one had the generation on its disk, or their disks did, or this node
 * is not Primary any more: nothing was answered in it, and what counts is the one before. The first
 * peer that comes back goes on from that. Nodes without a disk keep nothing: they do not count, but
 * have heard of it.
 */
void uuid_take_back_exposed(struct core *core, struct volume *vol)
{
	bool alone = true, none;
	uint64_t before;

	if (!vol->awaits_disk || !vol->exposed_before || vol->lost_uuids == LOST_UUIDS_MAX ||
	    disk_of(core, vol) == DISK_UP_TO_DATE)
		return;
	FOR_EACH_PEER(core, peer)
		alone &= !peer->conf->has_disk[vol->v] ||
			 repl_of(core, &peer->pd[vol->v]) < REPL_ESTABLISHED;
	none = is_on_no_disk(core, vol);
	if (!alone && !none && core->st.role == ROLE_PRIMARY)
		return;
	before = before_exposed(core, vol);
	if (!alone && before == vol->exposed_uuid)
		return;
	vol->lost_uuid[vol->lost_uuids++] = vol->exposed_uuid;
	vol->exposed_uuid = before;
	vol->led_uuid = 0;
	vol->awaits_disk = false;
	vol->new_uuid_wanted = core->st.role == ROLE_PRIMARY;
	/* A good one may yet tell that it was named while it was taken for another. */
	if (none && !any_untrusted(core, vol))
		vol->lost_uuids = 0;
	uuid_send_exposed(core, vol);
}

bool uuid_was_lost(const struct volume *vol, uint64_t uuid)
{
	for (unsigned i = 0; i < vol->lost_uuids; i++) {
		if (uuid_eq(vol->lost_uuid[i], uuid))
			return true;
	}
	return false;
}

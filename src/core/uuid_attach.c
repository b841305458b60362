/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What an attach takes over from the metadata: bitmap slots, marks of a crash and
 * of lost quorum, guards; and the generation that a node has shown, with its disk or without. */
#include <errno.h>

#include "core/cluster.h"
#include "core/core_hooks.h"
#include "core/fencing.h"
#include "core/resync_int.h"

/* Whether a Primary was there when this disk was last used is not written down. */
static bool has_async_peer(const struct core *core, const struct volume *vol)
{
	FOR_EACH_PEER(core, peer) {
		if (peer->conf->has_disk[vol->v] && peer->conf->net.protocol != PROTOCOL_C)
			return true;
	}
	return false;
}

int uuid_attach(struct core *core, struct volume *vol, const char **reason)
{
	uint64_t guarded = 0;
	bool lost_log = vol->md.flags & MDF_CRASHED_PRIMARY && vol->md.flags & MDF_AL_DISABLED &&
			vol->md.flags & MDF_PRIMARY_IND;

	if (!vol->md.current_uuid)
		vol->md.current_uuid = UUID_JUST_CREATED;
	FOR_EACH_PEER(core, peer) {
		if (peer->conf->has_disk[vol->v] && bitmap_alloc_slot(vol, peer->id)) {
			*reason = "no free bitmap slot for a configured peer: forget a peer, or "
				  "create the metadata with more slots";
			return -ENOSPC;
		}
	}
	if (!uuid_eq(vol->md.current_uuid, UUID_JUST_CREATED))
		uuid_set_current(core, vol, vol->md.current_uuid);
	fencing_attach(core, vol);
	vol->crashed_primary = vol->md.flags & MDF_CRASHED_PRIMARY;
	vol->lagged = !vol->crashed_primary && has_async_peer(core, vol);
	vol->just_attached = vol->unproved = true;
	if (local_flush_forget(vol)) {
		FOR_EACH_PEER(core, peer)
			peer->pd[vol->v].was_connected = false;
	}
	vol->lost_quorum = vol->md.flags & MDF_PRIMARY_LOST_QUORUM;
	vol->restore_quorum = vol->md.flags & MDF_HAVE_QUORUM &&
			      vol->md.flags & MDF_WAS_UP_TO_DATE &&
			      vol->md.members == node_bit(core->self);
	vol->bump_seq = vol->adopt_seq = 0;
	vol->adoption.waits = false;
	vol->md_mark_seq = 0;
	vol->returns_seq = 0;
	vol->uuid_given_away = false;
	vol->origin = core->self;
	vol->lost_primaries = 0;
	for (unsigned n = 0; n < NODES_MAX; n++) {
		/* A resync to it may have ended since that reference was made. */
		vol->uuid_given_away |= vol->md.peers[n].bitmap_uuid != 0;
		if (vol->md.peers[n].flags & MDF_PEER_FULL_SYNC)
			guarded |= node_bit(n);
	}
	if (guarded || lost_log)
		bitmap_set_all(core, vol, guarded, lost_log);
	md_dirty(core, vol);
	return 0;
}

void uuid_made(struct volume *vol, uint64_t before)
{
	vol->made_uuid = vol->md.current_uuid;
	vol->made_before = before;
	vol->made_told = 0;
}

void uuid_made_told(struct volume *vol, const struct peer *peer, uint64_t uuid)
{
	if (vol->made_uuid && uuid_eq(uuid, vol->made_uuid))
		vol->made_told |= node_bit(peer->id);
}

static bool has_had(const struct peer_device *pd, uint64_t uuid)
{
	return uuid_eq(pd->uuids.current, uuid) || uuid_comes_after(&pd->uuids, uuid);
}

/* Who has got it from one of these after it was told, here or far away, has it from its disk. */
static bool nobody_took_over(const struct core *core, const struct volume *vol)
{
	for (uint64_t told = vol->made_told; told; told &= told - 1) {
		const struct peer *peer = core->peer[__builtin_ctzll(told)];
		const struct peer_device *pd = peer ? &peer->pd[vol->v] : NULL;

		if (!pd || repl_of(core, pd) < REPL_ESTABLISHED || !pd->uuids_valid ||
		    has_had(pd, vol->made_uuid))
			return false;
	}
	return true;
}

bool uuid_take_back_made(const struct core *core, struct volume *vol)
{
	if (!vol->made_uuid || !uuid_eq(vol->made_uuid, vol->exposed_uuid) ||
	    !uuid_eq(vol->made_before, vol->md.current_uuid) || vol->lost_uuids ||
	    !nobody_took_over(core, vol))
		return false;
	vol->exposed_uuid = vol->md.current_uuid;
	vol->made_uuid = 0;
	return true;
}

bool uuid_disk_is_shown(const struct volume *vol, enum role role)
{
	return role != ROLE_PRIMARY || !vol->exposed_uuid ||
	       uuid_eq(vol->exposed_uuid, vol->md.current_uuid);
}

/* It is taken for equal when it comes back, and lacks what was answered by protocol A or B. */
static bool lags_behind(const struct core *core, const struct volume *vol, const struct peer *peer)
{
	return peer->conf->net.protocol != PROTOCOL_C &&
	       repl_of(core, &peer->pd[vol->v]) < REPL_ESTABLISHED &&
	       !vol->md.peers[peer->id].bitmap_uuid && bitmap_weight(vol, peer->id) > 0;
}

static void count_on_none(struct core *core, struct volume *vol)
{
	if (!vol->awaits_disk) {
		vol->exposed_before = vol->exposed_uuid;
		vol->exposed_uuid = uuid_random(core) | UUID_PRIMARY;
		vol->awaits_disk = true;
	}
	vol->before_lags = true;
}

static void leave_lagging(struct core *core, struct volume *vol)
{
	bool lags = false;

	FOR_EACH_PEER(core, peer)
		lags |= lags_behind(core, vol, peer);
	if (lags && !state_data_accessible(core, &core->st, vol->v))
		count_on_none(core, vol);
}

/*
 * While this Primary asks whether it has quorum it makes no generation: what it has answered in the
 * one in which the disk was lost is on that disk alone.
 */
void uuid_peers_lost(struct core *core, struct volume *vol)
{
	if (core->st.role == ROLE_PRIMARY && disk_of(core, vol) <= DISK_NEGOTIATING &&
	    vol->new_uuid_owed && !vol->awaits_disk && vol->left_uuid &&
	    uuid_eq(vol->left_uuid, vol->exposed_uuid) &&
	    !state_data_accessible(core, &core->st, vol->v))
		count_on_none(core, vol);
}

void uuid_tell_exposed(struct core *core, struct volume *vol)
{
	if (core->conf.quorum == QUORUM_OFF && core->conf.on_no_data == NO_DATA_IO_ERROR)
		return;
	FOR_EACH_PEER(core, peer) {
		if (peer_connected(core, peer) &&
		    repl_of(core, &peer->pd[vol->v]) >= REPL_ESTABLISHED)
			uuid_send(core, peer, vol->v, 0, 0);
	}
}

void uuid_disk_lost(struct core *core, const struct state *old, struct volume *vol)
{
	enum disk_state was = old->vol[vol->v].disk;

	if (core->st.role != ROLE_PRIMARY || was <= DISK_FAILED || disk_of(core, vol) > DISK_FAILED)
		return;
	/* What it has answered beside a disk that was not good is on the disks of others. */
	if (was == DISK_UP_TO_DATE) {
		vol->left_uuid = vol->exposed_uuid;
		leave_lagging(core, vol);
	}
	uuid_tell_exposed(core, vol);
}

void uuid_update_exposed(struct core *core, struct volume *vol)
{
	uint64_t before = vol->exposed_uuid;

	/* A Primary whose disk is Consistent shows what its good peers have. */
	if (vol_has_md(vol) && disk_of(core, vol) >= DISK_CONSISTENT &&
	    !(core->st.role == ROLE_PRIMARY && disk_of(core, vol) == DISK_CONSISTENT)) {
		if (!uuid_eq(vol->md.current_uuid, UUID_JUST_CREATED))
			vol->exposed_uuid = vol->md.current_uuid;
		return;
	}
	/* Of two Primaries the one with the disk makes the generations. */
	if (core->st.role == ROLE_PRIMARY && !cluster_other_primary(core))
		return;
	FOR_EACH_PEER(core, peer) {
		const struct peer_device *pd = &peer->pd[vol->v];

		if (pdsk_of(core, pd) == DISK_UP_TO_DATE && repl_of(core, pd) >= REPL_ESTABLISHED &&
		    pd->uuids_valid && !(pd->uuids.flags & UUID_FLAG_NOT_DURABLE) &&
		    !uuid_eq(pd->uuids.current, UUID_JUST_CREATED)) {
			vol->exposed_uuid = pd->uuids.current;
			if (pd->uuids.bitmap[core->self])
				vol->new_uuid_wanted = false;
		}
	}
	if (!vol_has_md(vol) && !uuid_eq(before, vol->exposed_uuid))
		uuid_tell_exposed(core, vol);
}

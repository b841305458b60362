/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What peers are told of the own disk's generations: P_UUIDS110 (states-and-resync 1). */
#include <string.h>

#include "core/cluster.h"
#include "core/core_hooks.h"
#include "core/drbd8.h"
#include "core/quorum.h"
#include "core/resync_int.h"
#include "core/state.h"
#include "core/uuid.h"

void uuid_send_current(struct core *core, struct peer *peer, unsigned v)
{
	struct volume *vol = core->vol[v];
	struct pkt pkt = { .type = P_CURRENT_UUID, .vnr = vol->vnr };

	pkt.u.current_uuid.uuid = vol->exposed_uuid;
	pkt.u.current_uuid.weak_nodes = cluster_weak_nodes(core, v);
	if (!(pkt.u.current_uuid.weak_nodes & node_bit(peer->id)))
		uuid_made_told(vol, peer, vol->exposed_uuid);
	core_send(core, peer, STREAM_DATA, &pkt);
}

struct peer_device *uuid_sync_source(const struct core *core, const struct volume *vol,
				     unsigned but)
{
	struct peer_device *found = NULL;

	FOR_EACH_PEER(core, peer) {
		struct peer_device *pd = &peer->pd[vol->v];
		enum repl_state repl = repl_of(core, pd);

		if (peer->id == but || pd->rs.released)
			continue;
		if (repl == REPL_SYNC_TARGET)
			return pd;
		if (repl == REPL_PAUSED_SYNC_T && !found)
			found = pd;
	}
	return found;
}

/* Primaries whose writes reach us. */
uint64_t uuid_authoritative_nodes(const struct core *core, unsigned v)
{
	uint64_t nodes = 0;

	FOR_EACH_PEER(core, peer) {
		if (core->st.peer[peer->id].role == ROLE_PRIMARY &&
		    repl_of(core, &peer->pd[v]) >= REPL_ESTABLISHED)
			nodes |= node_bit(peer->id);
	}
	return nodes;
}

static enum disk_state effective_disk(const struct core *core, const struct volume *vol)
{
	enum disk_state disk = disk_of(core, vol);

	return disk == DISK_NEGOTIATING ? volume_disk_from_md(vol) : disk;
}

/* The resync is done and its generation adopted; the state follows in this step. */
static bool resync_finishing(const struct core *core, const struct volume *vol)
{
	FOR_EACH_PEER(core, source) {
		const struct peer_device *pd = &source->pd[vol->v];

		if (repl_of(core, pd) == REPL_SYNC_TARGET && pd->rs.finish_seq)
			return true;
	}
	return false;
}

/*
 * Another good disk is here: together we are what goes on, and a Primary that comes back from a
 * crash has to follow, also if only the other one has seen it before.
 */
static bool in_live_group(const struct core *core, const struct peer *but, const struct volume *vol)
{
	if (vol->crashed_primary || vol->just_attached || disk_of(core, vol) != DISK_UP_TO_DATE)
		return false;
	FOR_EACH_PEER(core, peer) {
		const struct peer_device *pd = &peer->pd[vol->v];

		if (peer != but && repl_is_settled(repl_of(core, pd)) &&
		    pdsk_of(core, pd) == DISK_UP_TO_DATE && pd->uuids_valid &&
		    uuid_eq(pd->uuids.current, vol->md.current_uuid))
			return true;
	}
	return false;
}

uint8_t uuid_origin(uint64_t flags, uint8_t node_id)
{
	return flags & UUID_FLAG_RESYNCED ? flags >> UUID_FLAG_ORIGIN_SHIFT & 31 : node_id;
}

/*
 * Some node is known that is no peer here. Where that is so, who passes on what a resync has
 * brought says whose data these are.
 */
static uint64_t flags_of_shape(const struct core *core, const struct peer_device *pd,
			       const struct volume *vol)
{
	uint64_t flags = 0, its = pd->uuids_valid ? pd->uuids.flags : 0;

	for (unsigned n = 0; n < NODES_MAX; n++) {
		if (n != core->self && !core->peer[n] &&
		    vol->md.peers[n].flags & MDF_PEER_NODE_EXISTS)
			flags = UUID_FLAG_SEES_NOT_ALL;
	}
	if (vol->origin != core->self && (flags | its) & UUID_FLAG_SEES_NOT_ALL)
		flags |= UUID_FLAG_RESYNCED | (uint64_t)vol->origin << UUID_FLAG_ORIGIN_SHIFT;
	return flags;
}

/* A fork ends the handshake that it is found in; what was found is still known in the next one. */
static bool made_what_it_has(const struct volume *vol, const struct peer_device *pd)
{
	uint64_t its = pd->uuids_valid ? pd->uuids.current : pd->split.known ?
						 pd->split.peer_current : 0;

	return vol->led_uuid && uuid_eq(vol->led_uuid, its) &&
	       !uuid_eq(vol->led_uuid, vol->md.current_uuid);
}

static uint64_t own_flags(const struct core *core, const struct peer *peer,
			  const struct volume *vol)
{
	const struct peer_device *pd = &peer->pd[vol->v];
	uint64_t flags = UUID_FLAG_KEEPS_BITS;

	if ((peer->discard_my_data && (!peer->discard_one || peer->discard_vnr == vol->vnr)) ||
	    pd->yields)
		flags |= UUID_FLAG_DISCARD_MY_DATA;
	if (vol->crashed_primary)
		flags |= UUID_FLAG_CRASHED_PRIMARY;
	if (vol->lost_quorum)
		flags |= UUID_FLAG_PRIMARY_LOST_QUORUM;
	if (vol->lagged)
		flags |= UUID_FLAG_LAGGED;
	if (effective_disk(core, vol) == DISK_INCONSISTENT && !resync_finishing(core, vol))
		flags |= UUID_FLAG_INCONSISTENT;
	if (vol->adopt_seq)
		flags |= UUID_FLAG_NOT_DURABLE;
	if (state_is_stable(core, &core->st))
		flags |= UUID_FLAG_STABLE;
	/* What a crash has left was not compared with anything
	 * yet, also if the node was connected without it. */
	if ((pd->was_connected && !vol->crashed_primary) || in_live_group(core, peer, vol))
		flags |= UUID_FLAG_RECONNECT;
	if (!vol->just_attached)
		flags |= UUID_FLAG_WENT_ON;
	if (vol->uuid_given_away)
		flags |= UUID_FLAG_GIVEN_AWAY;
	if (made_what_it_has(vol, pd))
		flags |= UUID_FLAG_MADE_YOURS;
	if (quorum_has_gone_on_here(core, vol))
		flags |= UUID_FLAG_SHARED;
	return flags | flags_of_shape(core, pd, vol);
}

/* Entries by node id: those with a slot or known to exist, the own one (0), one day-0 entry. */
static void fill_bitmap_uuids(const struct core *core, const struct volume *vol,
			      struct pkt_uuids *out)
{
	unsigned day_0 = NODES_MAX;

	for (unsigned n = 0; n < NODES_MAX; n++) {
		const struct md_peer *mp = &vol->md.peers[n];

		out->bitmap[n] = UUID_UNKNOWN;
		if (n == core->self || mp->bitmap_index >= 0 || mp->flags & MDF_PEER_NODE_EXISTS) {
			out->bitmap[n] = n == core->self ? 0 : mp->bitmap_uuid;
			out->bitmap_mask |= node_bit(n);
		} else if (mp->bitmap_uuid && day_0 == NODES_MAX) {
			day_0 = n;
		}
	}
	if (day_0 < NODES_MAX && vol->bm.free_slots) {
		out->bitmap[day_0] = vol->md.peers[day_0].bitmap_uuid;
		out->bitmap_mask |= node_bit(day_0);
		out->flags |= UUID_FLAG_HAS_UNALLOC | (uint64_t)day_0 << UUID_FLAG_UNALLOC_SHIFT;
	}
	FOR_EACH_PEER(core, source) {
		const struct peer_device *pd = &source->pd[vol->v];

		if (resync_is_target(repl_of(core, pd)) && !pd->rs.released && pd->uuids_valid &&
		    pd->uuids.current && out->bitmap_mask & node_bit(source->id) &&
		    !uuid_eq(pd->uuids.current, vol->md.current_uuid))
			out->bitmap[source->id] = UUID_UNKNOWN;
	}
}

void uuid_fill(const struct core *core, const struct peer *peer, const struct volume *vol,
	       uint64_t flags, uint64_t node_mask, struct pkt_uuids *out)
{
	const struct peer_device *source = uuid_sync_source(core, vol, peer->id);

	memset(out, 0, sizeof(*out));
	out->current = vol->md.current_uuid;
	out->flags = own_flags(core, peer, vol) | flags;
	if (source && source->uuids_valid && source->uuids.current &&
	    !uuid_eq(source->uuids.current, vol->md.current_uuid)) {
		out->current = source->uuids.current;
		out->flags |= UUID_FLAG_SYNC_TARGET;
	}
	out->dirty_bits = bitmap_weight(vol, peer->id);
	if (!(out->flags & UUID_FLAG_STABLE))
		out->node_mask = uuid_authoritative_nodes(core, vol->v);
	else if (node_mask)
		out->node_mask = node_mask;
	else if (core->st.role == ROLE_PRIMARY)
		out->node_mask = cluster_weak_nodes(core, vol->v);
	fill_bitmap_uuids(core, vol, out);
	memcpy(out->history, vol->md.history, sizeof(out->history));
	lost_source_fill(core, peer, vol, out);
}

static void send_uuids(struct core *core, struct peer *peer, unsigned v, uint64_t flags,
		       uint64_t node_mask)
{
	struct volume *vol = core->vol[v];
	struct pkt pkt = { .type = P_UUIDS110, .vnr = vol->vnr };
	struct pkt_uuids *uuids;

	uuids = core_scratch(core, sizeof(*uuids));
	uuid_fill(core, peer, vol, flags, node_mask, uuids);
	uuid_made_told(vol, peer, uuids->current);
	peer->pd[v].sent = *uuids;
	peer->pd[v].sent_bitmap = lost_source_reference(core, peer, vol);
	peer->pd[v].sent_valid = true;
	pkt.u.uuids = uuids;
	core_send(core, peer, STREAM_DATA, &pkt);
}

/*
 * A generation that is being written is told when it is on disk, to all and as a new one. Told
 * before, it would be one that this node has had while the peer did not: it would take itself for
 * left behind, and be resynced, instead of going on with it.
 */
static bool announcement_follows(const struct core *core, const struct peer *peer, unsigned v)
{
	return core->vol[v]->bump_seq && peer_connected(core, peer) &&
	       repl_of(core, &peer->pd[v]) >= REPL_ESTABLISHED;
}

void uuid_send(struct core *core, struct peer *peer, unsigned v, uint64_t flags, uint64_t node_mask)
{
	if (!flags && !node_mask && announcement_follows(core, peer, v))
		return;
	if (vol_has_md(core->vol[v]) && disk_of(core, core->vol[v]) >= DISK_NEGOTIATING) {
		send_uuids(core, peer, v, flags, node_mask);
		return;
	}
	peer->pd[v].sent_valid = false;
	peer->pd[v].sent.current = core->vol[v]->exposed_uuid;
	uuid_send_current(core, peer, v);
}

/*
 * The disk goes while its new generation was being written; it may come back with it or without.
 * Nothing was written in it, but the peers must know it before they hear of the next one. Only a
 * good disk may take it over: one that is about to end a resync would have a generation that no
 * good disk has.
 */
void uuid_announce_pending(struct core *core, struct volume *vol)
{
	FOR_EACH_PEER(core, peer) {
		const struct peer_device *pd = &peer->pd[vol->v];

		if (vol_has_md(vol) && peer_connected(core, peer) &&
		    repl_of(core, pd) >= REPL_ESTABLISHED && pdsk_of(core, pd) == DISK_UP_TO_DATE)
			send_uuids(core, peer, vol->v, vol->bump_flags | UUID_FLAG_NOT_DURABLE,
				   vol->bump_weak);
	}
	vol->bump_seq = 0;
}

void uuid_send_all(struct core *core, unsigned v, uint64_t flags, uint64_t node_mask)
{
	FOR_EACH_PEER(core, peer) {
		if (peer_connected(core, peer) && repl_of(core, &peer->pd[v]) >= REPL_ESTABLISHED)
			uuid_send(core, peer, v, flags, node_mask);
	}
}

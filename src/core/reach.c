/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who can be reached, who takes part in a generation, who may call its data UpToDate. */
#include "core/cluster.h"
#include "core/core_hooks.h"
#include "core/drbd8.h"
#include "core/fencing.h"
#include "core/resync_int.h"

uint64_t cluster_neighbours(const struct core *core)
{
	uint64_t nodes = 0;

	FOR_EACH_PEER(core, peer) {
		if (peer_connected(core, peer))
			nodes |= node_bit(peer->id);
	}
	return nodes;
}

uint64_t cluster_reachable(const struct core *core)
{
	return cluster_neighbours(core) | node_bit(core->self);
}

uint64_t cluster_primaries(const struct core *core, const struct state *st)
{
	uint64_t nodes = st->role == ROLE_PRIMARY ? node_bit(core->self) : 0;

	FOR_EACH_PEER(core, peer) {
		if (st->peer[peer->id].conn == CONN_CONNECTED &&
		    st->peer[peer->id].role == ROLE_PRIMARY)
			nodes |= node_bit(peer->id);
	}
	return nodes;
}

/*
 * With a third node a write would have to wait for what others do there with writes of the other
 * Primary; DRBD 9 promises nothing about that either.
 */
bool cluster_allows_two_primaries(const struct core *core, const struct peer *peer)
{
	const struct core_net_conf *net = &peer->conf->net;

	return net->two_primaries && net->protocol == PROTOCOL_C && core->peer_count == 1 &&
	       !peer_is_drbd8(peer);
}

struct peer *cluster_other_primary(const struct core *core)
{
	if (core->st.role != ROLE_PRIMARY)
		return NULL;
	FOR_EACH_PEER(core, peer) {
		if (peer_connected(core, peer) && core->st.peer[peer->id].role == ROLE_PRIMARY)
			return peer;
	}
	return NULL;
}

uint64_t cluster_weak_nodes(const struct core *core, unsigned v)
{
	uint64_t strong = core->st.vol[v].disk == DISK_UP_TO_DATE ? node_bit(core->self) : 0;

	FOR_EACH_PEER(core, peer) {
		const struct state_peer_device *pd = &core->st.pd[peer->id][v];

		/* Lost, though known to be Inconsistent, or not counted on yet: what is begun now
		 * passes it by. */
		if (!peer_connected(core, peer) || pd->behind || pd->untrusted)
			continue;
		if (pd->pdsk >= DISK_INCONSISTENT && pd->pdsk != DISK_UNKNOWN &&
		    pd->pdsk != DISK_OUTDATED)
			strong |= node_bit(peer->id);
	}
	return ~strong;
}

uint32_t cluster_far_disks(const struct core *core, const struct volume *vol)
{
	uint32_t nodes = vol->conf->far_disks;

	FOR_EACH_PEER(core, peer)
		nodes &= ~(uint32_t)node_bit(peer->id);
	return nodes;
}

bool cluster_lost_a_disk(const struct core *core, const struct volume *vol)
{
	if (cluster_far_disks(core, vol))
		return true;
	for (unsigned n = 0; n < NODES_MAX; n++) {
		if (n != core->self && !core->peer[n] &&
		    (vol->md.peers[n].flags & MDF_PEER_DEVICE_SEEN))
			return true;
	}
	return false;
}

bool cluster_may_be_up_to_date(const struct core *core, const struct state *st, unsigned v)
{
	const struct volume *vol = core->vol[v];

	if (reconcile_holds(core) || fencing_keeps_back(core, st, v))
		return false;
	/* Without a disk this node has seen a generation that its disk does not have, or has made
	 * one that it took back, and that a peer may have. */
	if (vol->exposed_uuid != 0 && st->vol[v].disk < DISK_CONSISTENT &&
	    (!uuid_eq(vol->exposed_uuid, vol->md.current_uuid) || vol->lost_uuids))
		return false;
	/* A diskless Primary on another generation has written what we do not have. */
	FOR_EACH_PEER(core, peer) {
		const struct peer_device *pd = &peer->pd[v];

		if (st->peer[peer->id].conn == CONN_CONNECTED &&
		    st->peer[peer->id].role == ROLE_PRIMARY &&
		    st->pd[peer->id][v].pdsk <= DISK_FAILED && pd->current_uuid_rx != 0 &&
		    !uuid_eq(pd->current_uuid_rx, vol->md.current_uuid))
			return false;
		/* Another one has lost its disk, but not what it knows. */
		if (core->conf.quorum != QUORUM_OFF &&
		    st->peer[peer->id].conn == CONN_CONNECTED &&
		    st->pd[peer->id][v].pdsk <= DISK_FAILED && pd->current_uuid_rx != 0 &&
		    !uuid_known(vol, pd->current_uuid_rx))
			return false;
		/* A good disk with newer data: they will come from there. */
		if (st->peer[peer->id].conn == CONN_CONNECTED &&
		    repl_is_settled(st->pd[peer->id][v].repl) &&
		    st->pd[peer->id][v].pdsk == DISK_UP_TO_DATE && sync_is_newer(core, peer, vol))
			return false;
	}
	return true;
}

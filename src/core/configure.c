/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Other options for a core that runs (EV_CONFIGURE): which ones may change, and what follows. */
#include <string.h>

#include "core/cluster.h"
#include "core/core_hooks.h"
#include "core/drbd8.h"
#include "core/state.h"

/* ---- what may change: each of these copies all of that, and nothing else ---- */

static void take_resource(struct core_conf *to, const struct core_conf *from)
{
	to->auto_promote = from->auto_promote;
	to->auto_promote_timeout_ds = from->auto_promote_timeout_ds;
	to->twopc_timeout_ds = from->twopc_timeout_ds;
	to->twopc_retry_timeout_ds = from->twopc_retry_timeout_ds;
	to->quorum = from->quorum;
	to->quorum_min_redundancy = from->quorum_min_redundancy;
	to->on_no_quorum = from->on_no_quorum;
	to->on_no_data = from->on_no_data;
	to->on_suspended_primary_outdated = from->on_suspended_primary_outdated;
	to->verify_interval_s = from->verify_interval_s;
	to->handlers = from->handlers;
}

static void take_disk(struct core_disk_conf *to, const struct core_disk_conf *from)
{
	to->on_io_error = from->on_io_error;
	to->size_sectors = from->size_sectors;
	to->disk_timeout_ds = from->disk_timeout_ds;
	to->read_balancing = from->read_balancing;
	to->resync_rate_kib = from->resync_rate_kib;
	to->c_plan_ahead_ds = from->c_plan_ahead_ds;
	to->c_delay_target_ds = from->c_delay_target_ds;
	to->c_fill_target_sectors = from->c_fill_target_sectors;
	to->c_max_rate_kib = from->c_max_rate_kib;
	to->c_min_rate_kib = from->c_min_rate_kib;
	to->c_min_share = from->c_min_share;
	to->rs_discard_bytes = from->rs_discard_bytes;
	to->rs_without_replication = from->rs_without_replication;
	memcpy(to->resync_after, from->resync_after, sizeof(to->resync_after));
}

static bool disk_fits(const struct core_disk_conf *from, const struct core_disk_conf *to)
{
	struct core_disk_conf changed;

	memcpy(&changed, from, sizeof(changed));
	take_disk(&changed, to);
	return !memcmp(&changed, to, sizeof(changed));
}

bool core_conf_fits(const struct core_conf *from, const struct core_conf *to)
{
	unsigned at;

	if (strcmp(from->name, to->name) != 0 || from->node_id != to->node_id)
		return false;
	for (unsigned v = 0; v < from->volume_count; v++) {
		if (volume_in(to, from->volumes[v].vnr, &at) &&
		    !disk_fits(&from->volumes[v].disk, &to->volumes[at].disk))
			return false;
	}
	return true;
}

bool core_volume_stays(const struct core_conf *to, uint16_t vnr)
{
	unsigned at;

	return volume_in(to, vnr, &at);
}

/* ---- peers ---- */

/* What is new does not matter. */
static bool same_disks(const struct core *core, const struct core_peer_conf *a,
		       const struct core_conf *to, const struct core_peer_conf *b)
{
	unsigned at;

	FOR_EACH_VOLUME(core, vol) {
		if (volume_in(to, vol->vnr, &at) && a->has_disk[vol->v] != b->has_disk[at])
			return false;
	}
	return true;
}

static bool is_same(const struct core *core, const struct core_peer_conf *a,
		    const struct core_conf *to, const struct core_peer_conf *b)
{
	return a->node_id == b->node_id && !strcmp(a->name, b->name) &&
	       same_disks(core, a, to, b);
}

uint64_t core_departures(const struct core *core, const struct core_conf *to)
{
	uint64_t gone = 0;

	FOR_EACH_PEER(core, peer) {
		bool stays = false;

		for (unsigned i = 0; i < to->peer_count; i++)
			stays |= is_same(core, peer->conf, to, &to->peers[i]);
		if (!stays)
			gone |= node_bit(peer->id);
	}
	return gone;
}

/* From now on it counts as one that lacks what is written. */
static void give_slots(struct core *core, const struct peer *peer)
{
	FOR_EACH_VOLUME(core, vol) {
		if (!peer->conf->has_disk[vol->v] || !vol_has_md(vol) ||
		    disk_of(core, vol) <= DISK_FAILED)
			continue;
		if (bitmap_alloc_slot(vol, peer->id))
			core_log(core, LOG_LEVEL_WARNING,
				 "%s/%u: no bitmap slot is free for %s: forget a peer, or create "
				 "the metadata with more slots", core->conf.name, vol->vnr,
				 peer->conf->name);
		else
			md_dirty(core, vol);
	}
}

static void add_peer(struct core *core, const struct core_conf *all,
		     const struct core_peer_conf *conf)
{
	struct core_peer_conf *to = &core->conf.peers[core->conf.peer_count++];

	*to = *conf;
	volumes_place_disks(core, all, conf, to);
	peer_add(core, to);
	give_slots(core, core->peer[to->node_id]);
	core_log(core, LOG_LEVEL_NOTICE, "%s: %s (node %u) is a peer now", core->conf.name,
		 to->name, to->node_id);
	FOR_EACH_PEER(core, peer) {
		if (core->peer_count > 1 && peer->streams_up && peer_is_drbd8(peer))
			peer_fail(core, peer, CONN_NETWORK_FAILURE,
				  "DRBD 8.4 has no third node");
	}
}

/* ---- connections: everything may change ---- */

/* What P_PROTOCOL says of both nodes' options. */
static bool agreed_options_differ(const struct core_net_conf *a, const struct core_net_conf *b)
{
	return a->protocol != b->protocol || a->after_sb_0p != b->after_sb_0p ||
	       a->after_sb_1p != b->after_sb_1p || a->after_sb_2p != b->after_sb_2p ||
	       a->two_primaries != b->two_primaries;
}

static bool digests_differ(const struct core_net_conf *a, const struct core_net_conf *b)
{
	return strcmp(a->verify_alg, b->verify_alg) != 0 || strcmp(a->csums_alg, b->csums_alg) != 0;
}

static void configure_peer(struct core *core, struct peer *peer, struct core_net_conf *net,
			   const struct core_net_conf *to)
{
	bool digest = strcmp(net->data_integrity_alg, to->data_integrity_alg) != 0;
	bool tls = net->tls != to->tls;
	bool tell = agreed_options_differ(net, to);
	bool digests = digests_differ(net, to);

	if (net->two_primaries && !to->two_primaries && core->st.role == ROLE_PRIMARY &&
	    core->st.peer[peer->id].role == ROLE_PRIMARY)
		core_log(core, LOG_LEVEL_WARNING,
			 "%s %s: allow-two-primaries was switched off, but both are Primary until "
			 "one gives its role up", core->conf.name, peer->conf->name);
	*net = *to;
	if (!peer->streams_up)
		return;
	/* Features depend on it: it takes a new agreement. */
	if (digest)
		peer_fail(core, peer, CONN_NETWORK_FAILURE, "data-integrity-alg was changed here");
	else if (tls)
		peer_fail(core, peer, CONN_NETWORK_FAILURE, "tls was changed here");
	else if ((tell && peer->phase != HS_READY) || (digests && !peer_connected(core, peer)))
		peer_fail(core, peer, CONN_NETWORK_FAILURE, "options were changed here");
	else if (tell)
		handshake_send_protocol_update(core, peer);
	if (digests && peer_connected(core, peer))
		handshake_send_digests(core, peer);
}

/* A limit below the present size is none: only a resize makes the volume smaller. */
static void configure_volume(struct core *core, const struct volume *vol,
			     const struct core_conf *all)
{
	const struct core_disk_conf *to;
	unsigned at;

	ASSERT(volume_in(all, vol->vnr, &at));
	core->conf.volumes[vol->v].far_disks = all->volumes[at].far_disks;
	to = &all->volumes[at].disk;
	take_disk(&core->conf.volumes[vol->v].disk, to);
	if (to->size_sectors && to->size_sectors < vol->size_sectors)
		core_log(core, LOG_LEVEL_NOTICE,
			 "%s/%u: disk-size is smaller than the volume: drbdctl resize --size "
			 "shrinks it", core->conf.name, vol->vnr);
}

static struct core_peer_conf *conf_of(struct core *core, const struct peer *peer)
{
	return &core->conf.peers[peer->conf - core->conf.peers];
}

struct core_net_conf *configure_net(struct core *core, const struct peer *peer)
{
	return &conf_of(core, peer)->net;
}

static void configure_peers(struct core *core, const struct core_conf *to)
{
	for (unsigned i = 0; i < to->peer_count; i++) {
		const struct core_peer_conf *from = &to->peers[i];
		struct peer *peer = core->peer[from->node_id];

		if (!peer) {
			add_peer(core, to, from);
			continue;
		}
		volumes_place_disks(core, to, from, conf_of(core, peer));
		configure_peer(core, peer, configure_net(core, peer), &from->net);
	}
}

void core_configure(struct core *core, const struct ev_configure *ev)
{
	const struct core_conf *to = ev->conf;
	uint32_t added;

	ASSERT(core_conf_fits(&core->conf, to) && !core_departures(core, to));
	core_take_memory(core, to, ev->mem, ev->mem_bytes);
	if (core->conf.verify_interval_s != to->verify_interval_s)
		verify_schedule_changed(core);
	take_resource(&core->conf, to);
	FOR_EACH_VOLUME(core, vol)
		configure_volume(core, vol, to);
	added = volumes_add(core, to);
	configure_peers(core, to);
	request_configure(core);
	/* Quorum is what the options say. */
	state_begin(core);
	state_end(core, STATE_HARD);
	volumes_introduce(core, added);
	/* Allowed remote reads may open a gate. */
	core_work(core, WORK_SEND_STATE | WORK_REQUESTS);
	core->notify = true;
}

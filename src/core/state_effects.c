/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a committed change causes, in a fixed order (states-and-resync 4.5). */
#include "core/cluster.h"
#include "core/core_hooks.h"
#include "core/fencing.h"
#include "core/quorum.h"
#include "core/request.h"
#include "core/state.h"

static void log_changes(struct core *core, const struct state *old)
{
	const struct state *st = &core->st;

	if (old->role != st->role)
		core_log(core, LOG_LEVEL_NOTICE, "%s: role %s -> %s", core->conf.name,
			 role_name(old->role), role_name(st->role));
	FOR_EACH_VOLUME(core, vol) {
		if (old->vol[vol->v].disk != st->vol[vol->v].disk)
			core_log(core, LOG_LEVEL_NOTICE, "%s/%u: disk %s -> %s", core->conf.name,
				 vol->vnr, disk_state_name(old->vol[vol->v].disk),
				 disk_state_name(st->vol[vol->v].disk));
	}
	FOR_EACH_PEER(core, peer) {
		const struct state_peer *was = &old->peer[peer->id], *is = &st->peer[peer->id];

		if (was->conn != is->conn)
			core_log(core, LOG_LEVEL_NOTICE, "%s %s: connection %s -> %s",
				 core->conf.name, peer->conf->name, conn_state_name(was->conn),
				 conn_state_name(is->conn));
		if (was->role != is->role)
			core_log(core, LOG_LEVEL_NOTICE, "%s %s: peer role %s -> %s",
				 core->conf.name, peer->conf->name, role_name(was->role),
				 role_name(is->role));
		FOR_EACH_VOLUME(core, vol) {
			const struct state_peer_device *a = &old->pd[peer->id][vol->v];
			const struct state_peer_device *b = &st->pd[peer->id][vol->v];

			if (a->repl != b->repl || a->pdsk != b->pdsk)
				core_log(core, LOG_LEVEL_INFO,
					 "%s/%u %s: replication %s -> %s, peer disk %s -> %s",
					 core->conf.name, vol->vnr, peer->conf->name,
					 repl_state_name(a->repl), repl_state_name(b->repl),
					 disk_state_name(a->pdsk), disk_state_name(b->pdsk));
		}
	}
}

static void lost_peers(struct core *core, const struct state *old)
{
	FOR_EACH_PEER(core, peer) {
		bool was_primary = old->peer[peer->id].role == ROLE_PRIMARY;

		if (old->peer[peer->id].conn != CONN_CONNECTED || peer_connected(core, peer))
			continue;
		request_peer_lost(core, peer);
		sync_peer_lost(core, peer);
		for (unsigned v = 0; v < core->vol_count; v++) {
			peer->pd[v].was_connected = old->pd[peer->id][v].repl != REPL_WF_BITMAP_T;
			peer->pd[v].state_word_sent = 0;
			peer->pd[v].conn_rx = 0;
			peer->pd[v].disk_rx = 0;
			peer->pd[v].consider_resync = false;
			peer->pd[v].attach_pending = false;
		}
		if (was_primary && state_primary_lost(core, old, &core->st))
			reconcile_primary_lost(core, peer);
	}
	if (state_primary_lost(core, old, &core->st) && core->st.role == ROLE_SECONDARY &&
	    !cluster_primaries(core, &core->st))
		twopc_request_empty(core);
}

static void new_peers(struct core *core, const struct state *old)
{
	FOR_EACH_PEER(core, peer) {
		if (old->peer[peer->id].conn == CONN_CONNECTED || !peer_connected(core, peer))
			continue;
		request_peer_connected(core, peer);
	}
}

static void disks(struct core *core, const struct state *old)
{
	FOR_EACH_VOLUME(core, vol) {
		enum disk_state was = old->vol[vol->v].disk, is = core->st.vol[vol->v].disk;

		/* An attach that is given up had its metadata in use already. */
		if ((was > DISK_FAILED || was == DISK_ATTACHING) && is <= DISK_FAILED &&
		    is != DISK_ATTACHING)
			request_disk_lost(core, vol);
		if (was != DISK_INCONSISTENT && is == DISK_INCONSISTENT)
			replicate_begins(core, vol->v);
		if (was > DISK_INCONSISTENT && is <= DISK_INCONSISTENT)
			request_copies_doubtful(core, vol, node_bit(core->self));
	}
}

static void roles(struct core *core, const struct state *old)
{
	bool demoted = old->role == ROLE_PRIMARY && core->st.role != ROLE_PRIMARY;

	if (old->role != core->st.role)
		request_role_changed(core);
	FOR_EACH_PEER(core, peer) {
		demoted |= old->peer[peer->id].role == ROLE_PRIMARY &&
			   core->st.peer[peer->id].role == ROLE_SECONDARY;
	}
	if (!demoted)
		return;
	FOR_EACH_VOLUME(core, vol) {
		if (vol_has_md(vol))
			bitmap_write_all(core, vol);
	}
}

static void replication(struct core *core, const struct state *old)
{
	FOR_EACH_PEER(core, peer) {
		FOR_EACH_VOLUME(core, vol) {
			struct peer_device *pd = &peer->pd[vol->v];
			const struct state_peer_device *was = &old->pd[peer->id][vol->v];
			const struct state_peer_device *is = &core->st.pd[peer->id][vol->v];

			if (was->repl != is->repl || was->pdsk != is->pdsk ||
			    was->no_data != is->no_data)
				request_peer_mode_changed(core, pd);
			if (was->repl == is->repl)
				continue;
			sync_repl_changed(core, pd, was->repl);
			/* Each step of a resync is told, however short: the peer follows them. */
			if (peer_connected(core, peer))
				peer_send_state(core, peer, vol->v);
		}
	}
}

void state_effects(struct core *core, const struct state *old)
{
	log_changes(core, old);
	md_state_changed(core, old);
	quorum_state_changed(core, old);
	fencing_state_changed(core, old);
	/* First, as long as writes that a lost peer lacks
	 * are under way: they belong to a new generation. */
	uuid_state_changed(core, old);
	lost_peers(core, old);
	disks(core, old);
	roles(core, old);
	new_peers(core, old);
	reconcile_state_changed(core);
	replication(core, old);
	handlers_state_changed(core, old);
	volumes_settled(core);
	core->notify = true;
	core_work(core, WORK_TWOPC | WORK_COMMAND | WORK_SEND_STATE | WORK_SYNC | WORK_REQUESTS |
				WORK_MD | WORK_RECONCILE | WORK_PEERS);
}

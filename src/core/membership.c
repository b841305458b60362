/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Peers that are there from the beginning, and such that come and go while the core runs. */
#include <string.h>

#include "core/cluster.h"
#include "core/command.h"
#include "core/core_hooks.h"
#include "core/resync_int.h"
#include "core/state.h"

/* What refers to a peer is looked for so often while it is being taken out. */
#define LOOK_NS (10 * NS_PER_MS)

size_t peer_mem_bytes(const struct core_conf *conf)
{
	return core_rounded(sizeof(struct peer)) +
	       core_rounded(VOLUMES_MAX * sizeof(struct peer_device)) +
	       request_peer_mem_bytes(conf);
}

/* The memory of one that has gone, or new one. */
static struct peer *take_peer(struct core *core)
{
	struct peer *peer, old;

	if (core->spare_count == 0) {
		peer = core_arena(core, sizeof(*peer));
		peer->pd = core_arena_untouched(core, VOLUMES_MAX * sizeof(*peer->pd));
		return peer;
	}
	peer = core->spare_peer[--core->spare_count];
	old = *peer;
	memset(peer, 0, sizeof(*peer));
	peer->pd = old.pd;
	peer->tx.barriers = old.tx.barriers;
	peer->rx.epochs = old.rx.epochs;
	peer->rx.slab = old.rx.slab;
	return peer;
}

void peer_device_create(struct core *core, struct peer *peer, unsigned v)
{
	struct peer_device *pd = &peer->pd[v];

	if (peer->pd_count <= v)
		peer->pd_count = v + 1;
	memset(pd, 0, sizeof(*pd));
	pd->p = peer->id;
	pd->v = (uint8_t)v;
	memset(&core->st.pd[peer->id][v], 0, sizeof(core->st.pd[0][0]));
	core->st.pd[peer->id][v].repl = REPL_OFF;
	core->st.pd[peer->id][v].pdsk = DISK_UNKNOWN;
}

static void insert(struct core *core, struct peer *peer)
{
	unsigned at = core->peer_count++;

	for (; at > 0 && core->peer_ids[at - 1] > peer->id; at--)
		core->peer_ids[at] = core->peer_ids[at - 1];
	core->peer_ids[at] = peer->id;
	core->peer[peer->id] = peer;
}

void peer_add(struct core *core, const struct core_peer_conf *conf)
{
	struct peer *peer = take_peer(core);

	ASSERT(conf->node_id < NODES_MAX && conf->node_id != core->self);
	ASSERT(!core->peer[conf->node_id]);
	peer->id = conf->node_id;
	peer->conf = conf;
	peer->retry_at_ns = NEVER_NS;
	peer->hs_deadline_ns = NEVER_NS;
	peer->hs_again_ns = NEVER_NS;
	peer->refused_until_ns = NEVER_NS;
	peer->ping_at_ns = NEVER_NS;
	peer->ping_deadline_ns = NEVER_NS;
	peer->lost_primary_node = NODES_MAX;
	for (unsigned v = 0; v < core->vol_count; v++)
		peer_device_create(core, peer, v);
	insert(core, peer);
	request_peer_create(core, peer);
}

/* ---- a peer goes ---- */

static bool in_pool(const struct rs_pool *pool, const struct peer *peer)
{
	for (uint32_t i = 0; i < pool->made; i++) {
		if (pool->items[i].state != RS_FREE && pool->items[i].p == peer->id)
			return true;
	}
	return false;
}

/* Nothing that is under way comes back to it. */
static bool is_unused(const struct core *core, const struct peer *peer)
{
	if (core->st.peer[peer->id].conn != CONN_STANDALONE || peer->attempt ||
	    core->twopc.phase != TWOPC_IDLE || peer->rx.requests || peer->rx.flushes ||
	    reconcile_compares(core, peer))
		return false;
	FOR_EACH_VOLUME(core, vol) {
		const struct peer_device *pd = &peer->pd[vol->v];

		if (pd->saves || pd->rs.flushes || in_pool(&vol->rs.target, peer) ||
		    in_pool(&vol->rs.source, peer))
			return false;
	}
	return true;
}

static void forget_conf(struct core *core, const struct core_peer_conf *conf)
{
	unsigned i = (unsigned)(conf - core->conf.peers), left = --core->conf.peer_count - i;

	memmove(&core->conf.peers[i], &core->conf.peers[i + 1], left * sizeof(*conf));
	FOR_EACH_PEER(core, peer) {
		if (peer->conf > conf)
			peer->conf--;
	}
}

static void take_out(struct core *core, struct peer *peer)
{
	unsigned at = 0;

	while (core->peer_ids[at] != peer->id)
		at++;
	core->peer_count--;
	for (; at < core->peer_count; at++)
		core->peer_ids[at] = core->peer_ids[at + 1];
	reconcile_forget(core, peer);
	core->peer[peer->id] = NULL;
	core->spare_peer[core->spare_count++] = peer;
	forget_conf(core, peer->conf);
	memset(&core->st.peer[peer->id], 0, sizeof(core->st.peer[0]));
	memset(&core->st.pd[peer->id], 0, sizeof(core->st.pd[0]));
	request_configure(core);
	/* Who counts for quorum is another question now. */
	state_begin(core);
	state_end(core, STATE_HARD);
	core_work(core, WORK_SEND_STATE | WORK_REQUESTS);
	core->notify = true;
}

enum { DEL_PEER_GOES = 2 }; /* behind the steps of command_part() */

enum command_progress command_del_peer(struct core *core, const struct ev_command *ev)
{
	struct peer *peer = ev->peer < NODES_MAX ? core->peer[ev->peer] : NULL;
	char name[NAME_MAX_BYTES];
	enum state_rv rv;

	if (!peer) {
		command_reply(core, SS_NOTHING_TO_DO, "node %u is no peer", ev->peer);
		return COMMAND_DONE;
	}
	if (core->commands.step < DEL_PEER_GOES) {
		if (!command_part(core, ev, peer, &rv))
			return COMMAND_WAITS;
		if (rv < SS_SUCCESS)
			return COMMAND_DONE;
		command_goto(core, DEL_PEER_GOES);
	}
	if (!is_unused(core, peer)) {
		core->commands.deadline_ns = core->now_ns + LOOK_NS;
		return COMMAND_WAITS;
	}
	memcpy(name, peer->conf->name, sizeof(name));
	take_out(core, peer);
	command_reply(core, SS_SUCCESS, "%s is no peer any more", name);
	return COMMAND_DONE;
}

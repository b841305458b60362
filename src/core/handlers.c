/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Calls of the operator's programs: the moments, and what the ends of those mean that are waited
 * for. */
#include "core/handlers.h"

#include <stdio.h>

#include "core/cluster.h"
#include "core/core_hooks.h"
#include "core/core_int.h"
#include "core/fencing.h"
#include "core/resync_int.h"
#include "core/state.h"

/* Tag of an action: serial, handler, peer, place of the volume; the last two NONE = not of one. */
#define TAG_NONE 0xffU
#define TAG_WHAT_SHIFT 16
#define TAG_PEER_SHIFT 8
#define TAG_SERIAL_SHIFT 24

static uint64_t tag_of(enum handler what, const struct peer *peer, const struct volume *vol,
		       uint32_t serial)
{
	return (uint64_t)serial << TAG_SERIAL_SHIFT | (uint64_t)what << TAG_WHAT_SHIFT |
	       (uint64_t)(peer ? peer->id : TAG_NONE) << TAG_PEER_SHIFT |
	       (vol ? vol->v : TAG_NONE);
}

static enum handler what_of(uint64_t tag)
{
	return (enum handler)(tag >> TAG_WHAT_SHIFT & 0xff);
}

static unsigned peer_of(uint64_t tag)
{
	return tag >> TAG_PEER_SHIFT & 0xff;
}

/* ---- calling ---- */

/* On all volumes; such that no node has good data of count for nothing. */
static uint64_t up_to_date_nodes(const struct core *core)
{
	uint64_t nodes = ~UINT64_C(0);

	FOR_EACH_VOLUME(core, vol) {
		uint64_t good = disk_of(core, vol) == DISK_UP_TO_DATE ? node_bit(core->self) : 0;

		FOR_EACH_PEER(core, peer) {
			if (pdsk_of(core, &peer->pd[vol->v]) == DISK_UP_TO_DATE)
				good |= node_bit(peer->id);
		}
		if (good)
			nodes &= good;
	}
	return nodes;
}

static bool call(struct core *core, enum handler what, const struct peer *peer,
		 const struct volume *vol, uint32_t serial)
{
	struct core_action *action;

	if (!(core->conf.handlers >> what & 1))
		return false;
	action = core_act(core, AC_HANDLER);
	action->u.handler.tag = tag_of(what, peer, vol, serial);
	action->u.handler.what = what;
	action->u.handler.peer = peer ? peer->id : NODES_MAX;
	action->u.handler.vnr = vol ? vol->vnr : VNR_NONE;
	action->u.handler.conn = peer ? core->st.peer[peer->id].conn : CONN_STANDALONE;
	action->u.handler.up_to_date = up_to_date_nodes(core);
	history_handler(core, what, peer, vol, NULL);
	core->notify = true;
	return true;
}

bool handler_call(struct core *core, enum handler what, const struct peer *peer,
		  const struct volume *vol)
{
	return call(core, what, peer, vol, 0);
}

bool handler_wait(struct core *core, enum handler what, const struct peer *peer,
		  const struct volume *vol, struct handler_run *run)
{
	if (!call(core, what, peer, vol, run->serial + 1))
		return false;
	run->serial++;
	run->running = true;
	run->since_ns = core->now_ns;
	return true;
}

/* ---- the end of one ---- */

static void status_text(int status, char *out, size_t bytes)
{
	if (status < 0)
		snprintf(out, bytes, "did not run to its end");
	else
		snprintf(out, bytes, "exit code %d", status);
}

bool handler_ends(struct handler_run *run, uint64_t tag)
{
	if (!run->running || run->serial != (uint32_t)(tag >> TAG_SERIAL_SHIFT))
		return false;
	run->running = false;
	return true;
}

/* 3 is what old tools say of a handler that they do not know. */
static bool agrees(enum handler what, int status)
{
	return status == 0 || (what == HANDLER_BEFORE_RESYNC_SOURCE && status == 3);
}

static void before_resync_done(struct core *core, enum handler what, struct peer_device *pd,
			       uint64_t tag, int status)
{
	struct peer *peer = core->peer[pd->p];
	char text[32];

	if (!handler_ends(&pd->before_resync, tag))
		return;
	if (agrees(what, status)) {
		xfer_agreed(core, pd);
		return;
	}
	status_text(status, text, sizeof(text));
	peer_standalone(core, peer, true, "volume %u: the handler %s refused the resync (%s)",
			core->vol[pd->v]->vnr, handler_name(what), text);
}

void handler_done(struct core *core, const struct ev_handler *ev)
{
	enum handler what = what_of(ev->tag);
	unsigned p = peer_of(ev->tag), v = ev->tag & 0xff;
	struct peer *peer = p < NODES_MAX ? core->peer[p] : NULL;
	struct volume *vol = v < core->vol_count ? core_volume_at(core, v) : NULL;
	char text[32];

	status_text(ev->status, text, sizeof(text));
	core->notify = true;
	/* A peer, or a volume, that has gone meanwhile. */
	if ((p != TAG_NONE && !peer) || (v != TAG_NONE && !vol))
		return;
	history_handler(core, what, peer, vol, text);
	switch (what) {
	case HANDLER_BEFORE_RESYNC_TARGET:
	case HANDLER_BEFORE_RESYNC_SOURCE:
		if (peer && vol)
			before_resync_done(core, what, &peer->pd[v], ev->tag, ev->status);
		return;
	case HANDLER_FENCE_PEER:
		if (peer)
			fencing_done(core, peer, ev->tag, ev->status);
		return;
	default:
		return;
	}
}

struct cause handler_cause(const struct ev_handler *ev)
{
	unsigned p = peer_of(ev->tag);

	return (struct cause){ CAUSE_HANDLER, (uint8_t)(p < NODES_MAX ? p : NODES_MAX),
			       handler_name(what_of(ev->tag)) };
}

/* ---- moments ---- */

static void volumes_changed(struct core *core, const struct state *old)
{
	const struct state *st = &core->st;

	if (st->role != ROLE_PRIMARY)
		return;
	FOR_EACH_VOLUME(core, vol) {
		bool had = old->role == ROLE_PRIMARY && !state_data_accessible(core, old, vol->v);

		if (vol_is_aside(vol))
			continue;
		if (!had && !state_data_accessible(core, st, vol->v))
			handler_call(core, HANDLER_PRI_ON_INCON_DEGR, NULL, vol);
		if (old->vol[vol->v].have_quorum && !st->vol[vol->v].have_quorum)
			handler_call(core, HANDLER_QUORUM_LOST, NULL, vol);
	}
}

static void disks_failed(struct core *core, const struct state *old)
{
	FOR_EACH_VOLUME(core, vol) {
		/* Before the peers are told. */
		if (old->vol[vol->v].disk != DISK_FAILED && disk_of(core, vol) == DISK_FAILED &&
		    vol->io_failed && vol->conf->disk.on_io_error == IOERR_CALL_HANDLER)
			handler_call(core, HANDLER_LOCAL_IO_ERROR, NULL, vol);
	}
}

static void resyncs_ended(struct core *core, const struct state *old, const struct peer *peer)
{
	FOR_EACH_VOLUME(core, vol) {
		const struct state_peer_device *was = &old->pd[peer->id][vol->v];
		const struct state_peer_device *is = &core->st.pd[peer->id][vol->v];

		if (resync_is_target(was->repl) && !resync_is_target(is->repl))
			handler_call(core, HANDLER_AFTER_RESYNC_TARGET, peer, vol);
	}
}

static bool all_good(const struct core *core, const struct state *st, const struct peer *peer)
{
	FOR_EACH_VOLUME(core, vol) {
		if (st->vol[vol->v].disk != DISK_UP_TO_DATE ||
		    st->pd[peer->id][vol->v].pdsk != DISK_UP_TO_DATE)
			return false;
	}
	return true;
}

void handlers_state_changed(struct core *core, const struct state *old)
{
	if (!core->conf.handlers)
		return;
	disks_failed(core, old);
	volumes_changed(core, old);
	FOR_EACH_PEER(core, peer) {
		resyncs_ended(core, old, peer);
		if (old->peer[peer->id].conn == CONN_CONNECTED && !peer_connected(core, peer))
			handler_call(core, HANDLER_DISCONNECTED, peer, NULL);
		if (fencing_wanted(peer) && all_good(core, &core->st, peer) &&
		    !all_good(core, old, peer))
			handler_call(core, HANDLER_UNFENCE_PEER, peer, NULL);
	}
}

bool handler_before_resync(struct core *core, struct peer_device *pd)
{
	enum repl_state repl = repl_of(core, pd);
	bool target = repl == REPL_WF_BITMAP_T || repl == REPL_STARTING_SYNC_T;

	return handler_wait(core,
			    target ? HANDLER_BEFORE_RESYNC_TARGET : HANDLER_BEFORE_RESYNC_SOURCE,
			    core->peer[pd->p], core->vol[pd->v], &pd->before_resync);
}

void handler_forget_resync(struct peer_device *pd)
{
	pd->before_resync.running = pd->before_resync_agreed = false;
}

/* ---- split brains ---- */

void handler_decided(struct core *core, struct peer_device *pd, const struct sync_decision *d)
{
	const struct peer *peer = core->peer[pd->p];
	const struct volume *vol = core->vol[pd->v];
	bool split = d->rule == RULE_BITMAP_BOTH || d->rule == RULE_HISTORY_BOTH;
	bool solved = !strategy_is_split_brain(d->strategy) || d->kind != VERDICT_DISCONNECT;

	if (!split) {
		pd->split_told = pd->split_unsolved_told = false;
	} else if (!pd->split_told) {
		pd->split_told = true;
		handler_call(core, HANDLER_INITIAL_SPLIT_BRAIN, peer, vol);
	}
	if (split && !solved && !pd->split_unsolved_told) {
		pd->split_unsolved_told = true;
		handler_call(core, HANDLER_SPLIT_BRAIN, peer, vol);
	}
	if (d->pri_lost && !pd->pri_lost_told) {
		pd->pri_lost_told = true;
		handler_call(core, HANDLER_PRI_LOST, peer, vol);
	}
}

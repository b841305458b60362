/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Tells the driver of every committed change of a state, with its cause. */
#include <stdio.h>

#include "core/cluster.h"
#include "core/core_hooks.h"
#include "core/core_int.h"
#include "core/state.h"

static const char *command_name(enum core_command cmd)
{
	static const char *const names[] = {
		[CMD_ATTACH] = "attach",
		[CMD_DETACH] = "detach",
		[CMD_CONNECT] = "connect",
		[CMD_DISCONNECT] = "disconnect",
		[CMD_PRIMARY] = "primary",
		[CMD_SECONDARY] = "secondary",
		[CMD_SUSPEND_IO] = "suspend-io",
		[CMD_RESUME_IO] = "resume-io",
		[CMD_INVALIDATE] = "invalidate",
		[CMD_INVALIDATE_REMOTE] = "invalidate-remote",
		[CMD_PAUSE_SYNC] = "pause-sync",
		[CMD_RESUME_SYNC] = "resume-sync",
		[CMD_VERIFY] = "verify",
		[CMD_NEW_CURRENT_UUID] = "new-current-uuid",
		[CMD_RESIZE] = "resize",
		[CMD_OUTDATE] = "outdate",
		[CMD_FORGET_PEER] = "forget-peer",
		[CMD_RESERVE_SLOTS] = "change of the peers",
		[CMD_DEL_VOLUME] = "del-volume",
		[CMD_DEL_PEER] = "del-peer",
		[CMD_OPEN] = "open of the volume",
		[CMD_CLOSE] = "close of the volume",
		[CMD_SHUTDOWN] = "down",
	};

	return (size_t)cmd < ARRAY_LEN(names) ? names[cmd] : NULL;
}

struct cause history_command(const struct ev_command *ev)
{
	return (struct cause){ CAUSE_COMMAND, NODES_MAX, command_name(ev->cmd) };
}

struct cause history_event(const struct core_event *event)
{
	switch (event->kind) {
	case EV_TIME:
		return (struct cause){ CAUSE_TIMER, NODES_MAX, NULL };
	case EV_STREAMS_UP:
	case EV_STREAMS_DOWN:
		return (struct cause){ CAUSE_CONNECTION, event->u.streams.peer, NULL };
	case EV_PKT:
		return (struct cause){ CAUSE_PEER, event->u.pkt.peer,
				       packet_name(event->u.pkt.pkt->type) };
	case EV_COMMAND:
		return history_command(&event->u.command);
	case EV_DISK_DONE:
	case EV_META_DONE:
	case EV_ATTACHED:
	case EV_DETACHED:
	case EV_RESIZED:
		return (struct cause){ CAUSE_DISK, NODES_MAX, NULL };
	case EV_SUBMIT:
	case EV_CANCEL:
	case EV_TX_DONE:
	case EV_CONFIGURE:
		break;
	case EV_RESYNC_GATE:
		return (struct cause){ CAUSE_RESYNCS, NODES_MAX, NULL };
	case EV_HANDLER_DONE:
		return handler_cause(&event->u.handler);
	}
	return (struct cause){ CAUSE_REQUEST, NODES_MAX, NULL };
}

struct cause history_twopc(const struct core *core)
{
	const struct twopc_change *c = &core->twopc.change;

	if (c->initiator == core->self && core->commands.count && c->kind != TWOPC_CONNECT &&
	    c->kind != TWOPC_EMPTY)
		return history_command(&core->commands.queue[core->commands.head]);
	return (struct cause){ CAUSE_TWOPC, (uint8_t)c->initiator, NULL };
}

/* ---- what is different ---- */

static void tell(struct core *core, struct state_change *change, unsigned from, unsigned to,
		 const char *reason)
{
	if (from == to)
		return;
	change->from = (uint8_t)from;
	change->to = (uint8_t)to;
	change->cause = core->cause.why;
	change->cause_node = core->cause.node;
	change->detail = core->cause.detail;
	change->reason[0] = '\0';
	if (reason)
		snprintf(change->reason, sizeof(change->reason), "%s", reason);
	core->conf.changed(core->conf.log_ctx, change);
}

static void tell_as(struct core *core, enum change_what what, uint8_t node, uint32_t vnr,
		    unsigned from, unsigned to, const char *reason)
{
	struct state_change change = { .what = what, .node = node, .vnr = vnr };

	tell(core, &change, from, to, reason);
}

void history_differences(struct core *core, const struct peer_device *pd)
{
	char text[STATUS_REASON_MAX];

	snprintf(text, sizeof(text), "verify found %llu KiB that differ",
		 (unsigned long long)pd->ov.found_bits * (BM_BLOCK_BYTES / 1024));
	if (core->conf.changed)
		tell_as(core, CHANGE_DIFFERS, pd->p, core->vol[pd->v]->vnr, false, true, text);
}

void history_handler(struct core *core, enum handler what, const struct peer *peer,
		     const struct volume *vol, const char *end)
{
	char text[STATUS_REASON_MAX];

	snprintf(text, sizeof(text), "%s%s%s", handler_name(what), end ? ": " : "",
		 end ? end : "");
	core_log(core, LOG_LEVEL_NOTICE, "%s%s%s: %s helper %s", core->conf.name, peer ? " " : "",
		 peer ? peer->conf->name : "", end ? "response" : "call", text);
	if (core->conf.changed)
		tell_as(core, CHANGE_HANDLER, peer ? peer->id : NODES_MAX,
			vol ? vol->vnr : VNR_NONE, end != NULL, end == NULL, text);
}

static unsigned suspended_bits(const struct state *st)
{
	return (st->susp_user ? SUSPENDED_USER : 0) | (st->susp_nod ? SUSPENDED_NO_DATA : 0) |
	       (st->susp_uuid ? SUSPENDED_GENERATION : 0) |
	       (st->susp_quorum ? SUSPENDED_QUORUM : 0) |
	       (st->susp_fen ? SUSPENDED_FENCING : 0);
}

static void tell_peer(struct core *core, const struct peer *peer, const struct state *old)
{
	const struct state_peer *was = &old->peer[peer->id], *is = &core->st.peer[peer->id];
	const char *reason = is->conn < CONN_CONNECTING ? peer->reason : NULL;

	tell_as(core, CHANGE_CONNECTION, peer->id, VNR_NONE, was->conn, is->conn, reason);
	tell_as(core, CHANGE_PEER_ROLE, peer->id, VNR_NONE, was->role, is->role, NULL);
	FOR_EACH_VOLUME(core, vol) {
		const struct state_peer_device *pd = &core->st.pd[peer->id][vol->v];
		const struct state_peer_device *pd_was = &old->pd[peer->id][vol->v];

		tell_as(core, CHANGE_REPLICATION, peer->id, vol->vnr, pd_was->repl, pd->repl, NULL);
		tell_as(core, CHANGE_PEER_DISK, peer->id, vol->vnr, pd_was->pdsk, pd->pdsk, NULL);
		tell_as(core, CHANGE_PAUSED, peer->id, vol->vnr,
			state_resync_paused(old, peer->id, vol->v),
			state_resync_paused(&core->st, peer->id, vol->v), NULL);
	}
}

void history_committed(struct core *core, const struct state *old)
{
	const struct state *st = &core->st;

	if (!core->conf.changed)
		return;
	tell_as(core, CHANGE_ROLE, NODES_MAX, VNR_NONE, old->role, st->role, NULL);
	tell_as(core, CHANGE_SUSPENDED, NODES_MAX, VNR_NONE, suspended_bits(old),
		suspended_bits(st), NULL);
	FOR_EACH_VOLUME(core, vol) {
		enum disk_state disk = st->vol[vol->v].disk;

		tell_as(core, CHANGE_DISK, NODES_MAX, vol->vnr, old->vol[vol->v].disk, disk,
			disk < DISK_NEGOTIATING ? vol->reason : NULL);
		tell_as(core, CHANGE_QUORUM, NODES_MAX, vol->vnr, old->vol[vol->v].have_quorum,
			st->vol[vol->v].have_quorum, NULL);
	}
	FOR_EACH_PEER(core, peer)
		tell_peer(core, peer, old);
}

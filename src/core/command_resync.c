/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Commands about resyncs under way: pause-sync, resume-sync. */
#include "core/command.h"
#include "core/state.h"

/* Why a resync does not go on although it is not paused by command here; NULL = nothing does. */
static const char *other_pause(const struct state_peer_device *pd)
{
	if (pd->repl != REPL_PAUSED_SYNC_S && pd->repl != REPL_PAUSED_SYNC_T)
		return NULL;
	return pd->susp_peer ? "it is paused on that node" : "it waits for another resync";
}

static void reply(struct core *core, const struct ev_command *ev, const struct peer *peer,
		  const struct state_peer_device *pd, enum state_rv rv)
{
	const char *why = other_pause(pd);
	const char *word = rv == SS_NOTHING_TO_DO ? " already" : "";

	if (ev->cmd == CMD_PAUSE_SYNC)
		command_reply(core, rv, "resyncs of volume %u with %s are paused%s", ev->vnr,
			      peer->conf->name, word);
	else
		command_reply(core, rv, "resyncs of volume %u with %s are %s%s%s", ev->vnr,
			      peer->conf->name,
			      rv == SS_NOTHING_TO_DO ? "not paused by command" : "resumed",
			      why ? "; " : "", why ? why : "");
}

enum command_progress command_pause(struct core *core, const struct ev_command *ev)
{
	const struct volume *vol = core_volume_in_use(core, ev->vnr);
	const struct peer *peer = ev->peer < NODES_MAX ? core->peer[ev->peer] : NULL;
	enum state_rv rv = SS_NOTHING_TO_DO;
	bool pause = ev->cmd == CMD_PAUSE_SYNC;
	const struct state_peer_device *pd;

	if (!vol || !peer) {
		command_reply(core, vol ? SS_NO_NET_CONFIG : SS_UNKNOWN_ERROR, "no such %s",
			      vol ? "peer" : "volume");
		return COMMAND_DONE;
	}
	pd = &core->st.pd[peer->id][vol->v];
	if (pd->susp_user != pause) {
		/* Who it is about need not be connected: the flag stays. */
		state_begin(core)->pd[peer->id][vol->v].susp_user = pause;
		rv = state_end(core, STATE_HARD);
	}
	reply(core, ev, peer, pd, rv);
	return COMMAND_DONE;
}

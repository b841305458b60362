/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The state transaction: begin, sanitize, check, commit; and questions about a state. */
#include "core/state.h"

#include <string.h>

#include "core/cluster.h"
#include "core/core_hooks.h"
#include "core/fencing.h"

struct state *state_begin(struct core *core)
{
	ASSERT(!core->in_change && !core->in_effects);
	core->in_change = true;
	core->next = core->st;
	return &core->next;
}

void state_abort(struct core *core)
{
	ASSERT(core->in_change);
	core->in_change = false;
}

static enum state_rv check(struct core *core, enum state_check how)
{
	enum state_rv rv;

	state_sanitize(core, &core->st, &core->next);
	rv = state_check_hard(core, &core->st, &core->next);
	if (rv >= SS_SUCCESS && how == STATE_SOFT)
		rv = state_check_soft(core, &core->st, &core->next);
	return rv;
}

enum state_rv state_try(struct core *core)
{
	enum state_rv rv;

	ASSERT(core->in_change);
	rv = check(core, STATE_SOFT);
	core->in_change = false;
	return rv;
}

enum state_rv state_end(struct core *core, enum state_check how)
{
	struct state old;
	enum state_rv rv;

	ASSERT(core->in_change);
	rv = check(core, how);
	core->in_change = false;
	if (rv < SS_SUCCESS)
		return rv;
	if (memcmp(&core->st, &core->next, sizeof(core->st)) == 0)
		return SS_NOTHING_TO_DO;
	old = core->st;
	core->st = core->next;
	history_committed(core, &old);
	core->in_effects = true;
	state_effects(core, &old);
	core->in_effects = false;
	return rv;
}

bool state_data_accessible(const struct core *core, const struct state *st, unsigned v)
{
	if (st->vol[v].disk == DISK_UP_TO_DATE)
		return true;
	FOR_EACH_PEER(core, peer) {
		if (st->pd[peer->id][v].pdsk == DISK_UP_TO_DATE &&
		    peer->conf->net.allow_remote_read)
			return true;
	}
	return false;
}

bool state_is_stable(const struct core *core, const struct state *st)
{
	if (st->role == ROLE_PRIMARY)
		return true;
	FOR_EACH_PEER(core, peer) {
		if (st->peer[peer->id].role != ROLE_PRIMARY)
			continue;
		FOR_EACH_VOLUME(core, vol) {
			if (st->pd[peer->id][vol->v].repl >= REPL_ESTABLISHED)
				return false;
		}
	}
	return true;
}

bool state_suspended(const struct core *core)
{
	return core->st.susp_user || core->st.susp_nod || core->st.susp_quorum ||
	       core->st.susp_uuid || fencing_holds_io(&core->st);
}

unsigned state_resync_paused(const struct state *st, unsigned p, unsigned v)
{
	const struct state_peer_device *pd = &st->pd[p][v];
	const struct state_volume *sv = &st->vol[v];
	bool target = pd->repl == REPL_SYNC_TARGET || pd->repl == REPL_PAUSED_SYNC_T;
	bool dependency = pd->susp_other || (sv->susp_dependency && repl_resyncs(pd->repl));

	return (pd->susp_user ? PAUSED_USER : 0) | (pd->susp_peer ? PAUSED_PEER : 0) |
	       (dependency ? PAUSED_DEPENDENCY : 0) |
	       (target && sv->susp_parallel ? PAUSED_PARALLEL : 0);
}

uint32_t state_word(const struct core *core, const struct peer *peer, unsigned v)
{
	const struct state *st = &core->st;
	const struct state_peer_device *pd = &st->pd[peer->id][v];
	uint32_t conn = pd->repl > REPL_OFF ? (uint32_t)pd->repl :
					      (uint32_t)st->peer[peer->id].conn;
	uint32_t word = st->vol[v].have_quorum ? SW_QUORUM : 0;
	unsigned paused = state_resync_paused(st, peer->id, v);

	word |= (uint32_t)st->role;
	word |= (uint32_t)st->peer[peer->id].role << SW_PEER_SHIFT;
	word |= conn << SW_CONN_SHIFT;
	word |= (uint32_t)st->vol[v].disk << SW_DISK_SHIFT;
	word |= (uint32_t)pd->pdsk << SW_PDSK_SHIFT;
	if (st->susp_user || st->susp_quorum || st->susp_uuid || core->quorum_unproved)
		word |= SW_SUSP;
	if (st->susp_nod)
		word |= SW_SUSP_NOD;
	if (fencing_holds_io(st))
		word |= SW_SUSP_FEN;
	if (paused & PAUSED_DEPENDENCY)
		word |= SW_AFTER_ISP;
	if (paused & PAUSED_PEER)
		word |= SW_PEER_ISP;
	if (paused & PAUSED_USER)
		word |= SW_USER_ISP;
	return word;
}

void state_choose_sync_source(struct core *core)
{
	bool wanted = false;

	FOR_EACH_VOLUME(core, vol) {
		bool paused = false, active = false;

		FOR_EACH_PEER(core, peer) {
			const struct state_peer_device *pd = &core->st.pd[peer->id][vol->v];

			if (pd->repl == REPL_PAUSED_SYNC_T)
				paused = true;
			if (pd->repl == REPL_SYNC_TARGET ||
			    resync_active(core, &peer->pd[vol->v]))
				active = true;
		}
		wanted |= paused && !active;
	}
	if (!wanted)
		return;
	/* Sanitizing makes the choice. */
	state_begin(core);
	state_end(core, STATE_HARD);
}

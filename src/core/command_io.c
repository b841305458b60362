/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Operator commands that hold the application's I/O, and let it go on. */
#include "core/cluster.h"
#include "core/command.h"
#include "core/core_hooks.h"
#include "core/state.h"

#define FINISH_MAX_NS (10 * NS_PER_S)

enum { SUSPEND_BEGIN, SUSPEND_NOT_NEW, SUSPEND_FINISHING };

static bool set_suspended(struct core *core, bool suspend)
{
	struct state *next = state_begin(core);
	bool changed = next->susp_user != suspend ||
		       (!suspend && (next->susp_nod || next->susp_fen));

	next->susp_user = suspend;
	/* What has waited for data in vain fails; a peer is fenced because the operator says so. */
	if (!suspend) {
		next->susp_nod = false;
		next->susp_fen = 0;
	}
	state_end(core, STATE_HARD);
	return changed;
}

/* The reply says that the disks rest: what had begun is finished, unless it waits itself. */
enum command_progress command_suspend_io(struct core *core, const struct ev_command *ev)
{
	struct commands *c = &core->commands;
	enum state_rv rv;

	if (c->step == SUSPEND_BEGIN) {
		c->give_up_ns = core->now_ns + FINISH_MAX_NS;
		command_goto(core, set_suspended(core, true) ? SUSPEND_FINISHING :
							       SUSPEND_NOT_NEW);
	}
	rv = c->step == SUSPEND_NOT_NEW ? SS_NOTHING_TO_DO : SS_SUCCESS;
	(void)ev;
	if (!request_under_way(core)) {
		command_reply(core, rv, "reads and writes wait");
	} else if (core->st.susp_quorum || core->st.susp_nod || core->st.susp_fen ||
		   core->now_ns >= c->give_up_ns) {
		command_reply(core, rv,
			      "reads and writes wait; some had begun before and are not finished");
	} else {
		c->deadline_ns = c->give_up_ns;
		return COMMAND_WAITS;
	}
	return COMMAND_DONE;
}

enum command_progress command_resume_io(struct core *core, const struct ev_command *ev)
{
	enum state_rv rv = set_suspended(core, false) ? SS_SUCCESS : SS_NOTHING_TO_DO;

	(void)ev;
	command_reply(core, rv, core->st.susp_quorum ? "I/O still waits for quorum" :
						       "I/O goes on");
	return COMMAND_DONE;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Operator commands that hold the application's I/O, and let it go on. */
#include "core/command.h"
#include "core/state.h"

static void reply(struct core *core, bool changed)
{
	enum state_rv rv = changed ? SS_SUCCESS : SS_NOTHING_TO_DO;

	if (core->st.susp_user)
		command_reply(core, rv, "I/O waits for resume-io");
	else if (core->st.susp_quorum)
		command_reply(core, rv, "I/O still waits for quorum");
	else
		command_reply(core, rv, "I/O goes on");
}

enum command_progress command_suspend_io(struct core *core, const struct ev_command *ev)
{
	bool suspend = ev->cmd == CMD_SUSPEND_IO;
	struct state *next;
	bool changed;

	next = state_begin(core);
	changed = next->susp_user != suspend || (!suspend && next->susp_nod);
	next->susp_user = suspend;
	/* What has waited for data in vain fails. */
	if (!suspend)
		next->susp_nod = false;
	state_end(core, STATE_HARD);
	reply(core, changed);
	return COMMAND_DONE;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Queue of operator commands; the head runs, one after
 * the other, each ends with exactly one reply. */
#include "core/command.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "core/cluster.h"
#include "core/core_hooks.h"
#include "core/quorum.h"
#include "core/resync_int.h"
#include "core/state.h"

#define REPLY_MAX 320

static struct ev_command *head_of(struct commands *c)
{
	return &c->queue[c->head];
}

static void reply_to(struct core *core, uint64_t cookie, int rc, const char *text)
{
	struct core_action *action;

	if (!cookie)
		return;
	action = core_act(core, AC_REPLY);
	action->u.reply.cookie = cookie;
	action->u.reply.rc = rc;
	action->u.reply.text = text;
}

void command_reply(struct core *core, int rc, const char *fmt, ...)
{
	char *text = core_scratch(core, REPLY_MAX);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, REPLY_MAX, fmt, ap);
	va_end(ap);
	if (rc < 0)
		core_log(core, LOG_LEVEL_NOTICE, "%s: command refused: %s", core->conf.name, text);
	reply_to(core, head_of(&core->commands)->cookie, rc, text);
}

void command_goto(struct core *core, unsigned step)
{
	core->commands.step = step;
	core->commands.deadline_ns = NEVER_NS;
	core_work(core, WORK_COMMAND);
}

void command_twopc(struct core *core, const struct twopc_change *change, unsigned step)
{
	command_goto(core, step);
	core->commands.twopc_running = true;
	twopc_request_command(core, change);
}

void command_twopc_done(struct core *core, enum state_rv rv)
{
	core->commands.twopc_running = false;
	core->commands.twopc_rv = rv;
	core_work(core, WORK_COMMAND);
}

const char *command_rv_text(const struct core *core, enum state_rv rv)
{
	(void)core;
	return state_rv_text(rv);
}

static void push(struct core *core, const struct ev_command *ev)
{
	struct commands *c = &core->commands;

	c->queue[(c->head + c->count) % COMMANDS_MAX] = *ev;
	c->count++;
	core_work(core, WORK_COMMAND);
}

void command_enqueue_internal(struct core *core, enum core_command cmd, bool force)
{
	struct ev_command ev = { .cmd = cmd, .force = force };

	/* One place is always left for these: command_submit() stops before. */
	if (core->commands.count < COMMANDS_MAX)
		push(core, &ev);
}

void command_demote_suspended(struct core *core)
{
	if (core->commands.demotes || core->commands.count >= COMMANDS_MAX)
		return;
	core->commands.demotes = true;
	command_enqueue_internal(core, CMD_SECONDARY, true);
}

void command_submit(struct core *core, const struct ev_command *ev)
{
	if (ev->cmd == CMD_CLOSE) {
		command_close(core, ev);
		reply_to(core, ev->cookie, 0, "closed");
		return;
	}
	if (ev->cmd == CMD_OPEN && command_open_at_once(core, ev)) {
		reply_to(core, ev->cookie, 0, "open");
		return;
	}
	if (core->commands.count >= COMMANDS_MAX - 1) {
		reply_to(core, ev->cookie, SS_IN_TRANSIENT_STATE,
			 "too many commands are waiting; try again later");
		return;
	}
	push(core, ev);
}

static enum command_progress run_command(struct core *core, const struct ev_command *ev)
{
	switch (ev->cmd) {
	case CMD_ATTACH:
		return command_attach(core, ev);
	case CMD_DETACH:
		return command_detach(core, ev);
	case CMD_CONNECT:
		return command_connect(core, ev);
	case CMD_DISCONNECT:
		return command_disconnect(core, ev);
	case CMD_PRIMARY:
		return command_primary(core, ev);
	case CMD_SECONDARY:
		return command_secondary(core, ev);
	case CMD_INVALIDATE:
	case CMD_INVALIDATE_REMOTE:
		return command_invalidate(core, ev);
	case CMD_PAUSE_SYNC:
	case CMD_RESUME_SYNC:
		return command_pause(core, ev);
	case CMD_VERIFY:
		return command_verify(core, ev);
	case CMD_NEW_CURRENT_UUID:
		return command_new_uuid(core, ev);
	case CMD_RESIZE:
		return command_resize(core, ev);
	case CMD_OUTDATE:
		return command_outdate(core, ev);
	case CMD_FORGET_PEER:
		return command_forget_peer(core, ev);
	case CMD_RESERVE_SLOTS:
		return command_reserve_slots(core, ev);
	case CMD_DEL_VOLUME:
		return command_del_volume(core, ev);
	case CMD_DEL_PEER:
		return command_del_peer(core, ev);
	case CMD_OPEN:
		return command_open(core, ev);
	case CMD_CLOSE:
		break;
	case CMD_SUSPEND_IO:
		return command_suspend_io(core, ev);
	case CMD_RESUME_IO:
		return command_resume_io(core, ev);
	case CMD_SHUTDOWN:
		return command_shutdown(core, ev);
	}
	command_reply(core, SS_NOT_SUPPORTED, "unknown command %d", (int)ev->cmd);
	return COMMAND_DONE;
}

static enum command_progress run_head(struct core *core)
{
	struct cause cause = core->cause;
	enum command_progress progress;

	core->cause = history_command(head_of(&core->commands));
	progress = run_command(core, head_of(&core->commands));
	core->cause = cause;
	return progress;
}

/* Behind a shutdown nothing is carried out any more: the driver takes the core apart. */
static void refuse_rest(struct core *core)
{
	struct commands *c = &core->commands;

	for (; c->count > 0; c->head = (c->head + 1) % COMMANDS_MAX, c->count--)
		reply_to(core, head_of(c)->cookie,
			 head_of(c)->cmd == CMD_OPEN ? -ENODEV : SS_IN_TRANSIENT_STATE,
			 "the resource has gone down");
}

/* Commands of the operator come first. */
static bool next_own(struct core *core)
{
	struct ev_command ev;

	if (!verify_next_command(core, &ev))
		return false;
	push(core, &ev);
	return true;
}

void command_run(struct core *core)
{
	struct commands *c = &core->commands;

	/* The steps are entered again whenever something they may wait for has happened. */
	while (!c->twopc_running && (c->count || next_own(core))) {
		enum core_command cmd = head_of(c)->cmd;
		unsigned step = c->step;

		if (run_head(core) == COMMAND_DONE) {
			c->head = (c->head + 1) % COMMANDS_MAX;
			c->count--;
			c->step = 0;
			c->tries = 0;
			c->deadline_ns = NEVER_NS;
			c->demotes &= cmd != CMD_SECONDARY;
			c->ignore_openers = c->local_up_to_date = false;
			c->outdate_peers = c->fenced = false;
			quorum_give_up_io(core, false);
			core->notify = true;
			if (cmd == CMD_SHUTDOWN)
				refuse_rest(core);
		} else if (c->step == step) {
			return;
		}
	}
}

void command_time(struct core *core)
{
	if (core->commands.count && core->now_ns >= core->commands.deadline_ns)
		core_work(core, WORK_COMMAND);
}

uint64_t command_deadline(const struct core *core)
{
	return core->commands.count ? core->commands.deadline_ns : NEVER_NS;
}

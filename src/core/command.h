/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of the operator commands share: each command
 * is a small machine that is run until it is done. */
#ifndef CORE_COMMAND_H
#define CORE_COMMAND_H

#include "core/core_int.h"
#include "core/twopc.h"

/* A step function's result: the command is finished (a reply was sent), or waits for something. */
enum command_progress { COMMAND_DONE, COMMAND_WAITS };

/* Sends the reply to the head command. */
void command_reply(struct core *core, int rc, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* Starts a cluster-wide change for the head command
 * and goes on to `step` when its result is there. */
void command_twopc(struct core *core, const struct twopc_change *change, unsigned step);
/* Moves the head command on; runs again in this step of the core. */
void command_goto(struct core *core, unsigned step);
/* Puts a command without reply at the end of the queue. */
void command_enqueue_internal(struct core *core, enum core_command cmd, bool force);
/* A message for a result code; about what prevents a command. */
const char *command_rv_text(const struct core *core, enum state_rv rv);

/* command_role.c */
/* This node's role becomes `role`. */
struct twopc_change command_role_change(enum role role);
enum command_progress command_primary(struct core *core, const struct ev_command *ev);
enum command_progress command_secondary(struct core *core, const struct ev_command *ev);
enum command_progress command_open(struct core *core, const struct ev_command *ev);
/* Also at once for a command that need not queue: true = answered. */
bool command_open_at_once(struct core *core, const struct ev_command *ev);
void command_close(struct core *core, const struct ev_command *ev);
/* Nothing of the application or of the transfer log is left that a demotion would interrupt. */
bool command_io_settled(struct core *core);

/* All connected peers; each of them has answered, or is lost. */
void command_ping_all(struct core *core);
bool command_pings_answered(const struct core *core);

/* command_io.c */
enum command_progress command_suspend_io(struct core *core, const struct ev_command *ev);
enum command_progress command_resume_io(struct core *core, const struct ev_command *ev);

/* command_disk.c */
/* The one of the command; NULL: there is none, which was replied. */
struct volume *command_volume(struct core *core, const struct ev_command *ev);
struct twopc_change command_disk_change(const struct volume *vol, enum disk_state disk);
enum command_progress command_attach(struct core *core, const struct ev_command *ev);
enum command_progress command_detach(struct core *core, const struct ev_command *ev);
enum command_progress command_invalidate(struct core *core, const struct ev_command *ev);
enum command_progress command_verify(struct core *core, const struct ev_command *ev);
/* Whether one may begin. */
enum state_rv command_may_verify(const struct core *core, const struct peer *peer,
				 const struct volume *vol);
enum command_progress command_new_uuid(struct core *core, const struct ev_command *ev);

/* command_resize.c */
enum command_progress command_resize(struct core *core, const struct ev_command *ev);

/* command_outdate.c */
enum command_progress command_outdate(struct core *core, const struct ev_command *ev);

/* command_forget.c */
enum command_progress command_forget_peer(struct core *core, const struct ev_command *ev);

/* command_slots.c */
enum command_progress command_reserve_slots(struct core *core, const struct ev_command *ev);

/* command_resync.c */
enum command_progress command_pause(struct core *core, const struct ev_command *ev);

/* volume_set.c */
enum command_progress command_del_volume(struct core *core, const struct ev_command *ev);

/* membership.c */
enum command_progress command_del_peer(struct core *core, const struct ev_command *ev);

/* command_net.c */
enum command_progress command_connect(struct core *core, const struct ev_command *ev);
enum command_progress command_disconnect(struct core *core, const struct ev_command *ev);
/*
 * Its first two steps, which end the connection if there is one. False: not yet; else *rv, and a
 * failure was replied.
 */
bool command_part(struct core *core, const struct ev_command *ev, struct peer *peer,
		  enum state_rv *rv);
enum command_progress command_shutdown(struct core *core, const struct ev_command *ev);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* When the operator's programs are called, and what their ends mean (config-and-utilities 4.3). */
#ifndef CORE_HANDLERS_H
#define CORE_HANDLERS_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/proto_enum.h"

struct cause;
struct core;
struct ev_handler;
struct peer;
struct peer_device;
struct state;
struct sync_decision;
struct volume;

/* One that something waits for. */
struct handler_run {
	bool running;
	uint32_t serial;   /* of the last one: an older one's end means nothing any more */
	uint64_t since_ns;
};

/* Asks the driver to run it; peer or vol may be NULL. False: there is none. */
bool handler_call(struct core *core, enum handler what, const struct peer *peer,
		  const struct volume *vol);
/* The same, and `run` is what waits for it. */
bool handler_wait(struct core *core, enum handler what, const struct peer *peer,
		  const struct volume *vol, struct handler_run *run);
/* The end of the one that `run` waits for. */
bool handler_ends(struct handler_run *run, uint64_t tag);
void handler_done(struct core *core, const struct ev_handler *ev);
struct cause handler_cause(const struct ev_handler *ev);
/* After a change: whatever is called because of it, and not waited for. */
void handlers_state_changed(struct core *core, const struct state *old);

/*
 * A resync with this peer is about to begin. True: a handler has to agree first, and
 * handler_resync_agreed() goes on then; a refusal ends the connection.
 */
bool handler_before_resync(struct core *core, struct peer_device *pd);
/* xfer_*: there is no resync with it any more that would begin. */
void handler_forget_resync(struct peer_device *pd);
/* A decision about two disks was made: tells of a split brain. */
void handler_decided(struct core *core, struct peer_device *pd, const struct sync_decision *d);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Fencing: peers out of sight are made harmless by a handler before this node goes on without them
 * (states-and-resync 4.9). */
#ifndef CORE_FENCING_H
#define CORE_FENCING_H

#include <stdbool.h>
#include <stdint.h>

struct core;
struct peer;
struct state;
struct volume;

/* The policy of the connection asks for it, and the peer has a disk that could go on. */
bool fencing_wanted(const struct peer *peer);
/* What is known of its disk while it is out of sight decides who goes on. */
bool fencing_or_quorum(const struct core *core, const struct peer *peer);
/* A peer that has to be fenced first is out of sight, and may have good data. */
bool fencing_unseen(const struct core *core, const struct state *st, unsigned p, unsigned v);
/* Whether the disk may not be called UpToDate, because of such a peer. */
bool fencing_keeps_back(const struct core *core, const struct state *st, unsigned v);
/* After metadata were read: what they say of disks out of sight, and may not be true any more. */
void fencing_attach(const struct core *core, struct volume *vol);
/* Reads, writes and answers wait for it. */
bool fencing_holds_io(const struct state *st);

/* In sanitizing: for which connections I/O waits. */
void fencing_sanitize(const struct core *core, const struct state *old, struct state *next);
/* After a change. */
void fencing_state_changed(struct core *core, const struct state *old);
/* Calls handlers that are due; one whose peer is about to connect has to wait. */
void fencing_run(struct core *core);
void fencing_time(struct core *core);
uint64_t fencing_deadline(const struct core *core);
/* The handler has ended. */
void fencing_done(struct core *core, struct peer *peer, uint64_t tag, int status);
/* A connection was agreed to, and did not come about here, though the peer may have seen it: what
 * is known of it, or about to be told, may not be true any more. */
void fencing_unsure(struct core *core, struct peer *peer);

/* For a promotion: calls the handlers for all peers out of sight. False: there are none. */
bool fencing_begin(struct core *core);
bool fencing_under_way(const struct core *core);

#endif

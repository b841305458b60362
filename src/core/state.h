/* SPDX-License-Identifier: GPL-2.0-or-later */
/* State transactions: propose, sanitize, check, commit, effects (states-and-resync 4). */
#ifndef CORE_STATE_H
#define CORE_STATE_H

#include "core/core_int.h"

/* How a change is checked. HARD: only the hard rules (loss of a connection, disk failure). */
enum state_check { STATE_SOFT, STATE_HARD };

/*
 * Opens a change and returns the proposed state to edit. Changes do not nest: code that is called
 * from effects and needs a further change sets a WORK_* bit instead.
 */
struct state *state_begin(struct core *core);
/* Sanitizes, checks and commits; effects run before it returns. On failure nothing has changed. */
enum state_rv state_end(struct core *core, enum state_check check);
/* Would this change pass? Used by two-phase commit; closes the change without committing. */
enum state_rv state_try(struct core *core);
/* Gives the change up. */
void state_abort(struct core *core);

/* state_rules.c: pure. Result of the first rule that refuses old -> next. */
enum state_rv state_check_hard(const struct core *core, const struct state *old,
			       const struct state *next);
enum state_rv state_check_soft(const struct core *core, const struct state *old,
			       const struct state *next);
/* state_sanitize.c: derives what follows from the proposed state (4.2 with the clamp table). */
void state_sanitize(struct core *core, const struct state *old, struct state *next);
/* A connected Primary goes away between these two states without having said so (row 2 of 4.2). */
bool state_primary_lost(const struct core *core, const struct state *old,
			const struct state *next);
/* state_effects.c: called once after each commit. */
void state_effects(struct core *core, const struct state *old);

/* Picks a source for a volume that has paused sources but no running one (5.3). */
void state_choose_sync_source(struct core *core);
/* A target could go on with this source, as far as the two of them are concerned (5.3). */
bool state_may_be_source(const struct state_peer_device *pd);
/* Own disk UpToDate, or an UpToDate peer that may be read from (4.2, below the table). */
bool state_data_accessible(const struct core *core, const struct state *st, unsigned v);
/* No Primary neighbour with repl >= Established, or we are Primary (UUID_FLAG_STABLE). */
bool state_is_stable(const struct core *core, const struct state *st);
/* The peer's disk was not what this diskless node has shown, and is by now. */
bool state_gains_trust(const struct core *core, const struct peer_device *pd);
/* What keeps a resync with this peer back, or would: PAUSED_* */
unsigned state_resync_paused(const struct state *st, unsigned p, unsigned v);
/* Any reason why application I/O must wait. */
bool state_suspended(const struct core *core);
/* The state word of P_STATE for this peer device (wire-protocol 7.1). */
uint32_t state_word(const struct core *core, const struct peer *peer, unsigned v);

#endif

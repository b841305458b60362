/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who counts for quorum, and whether there is one (states-and-resync 4.8). */
#ifndef CORE_QUORUM_H
#define CORE_QUORUM_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/proto_enum.h"
#include "proto/proto_limits.h"

struct core;
struct state;
struct volume;

/* One other node, as the volume's quorum sees it. */
struct quorum_peer {
	bool client;       /* intentionally diskless: breaks ties, never votes */
	bool connected;
	enum disk_state disk;
	bool outdated;     /* known to have old data, and not able to get better ones unseen */
	bool member;       /* of the last set of nodes that had quorum */
	bool quorate;      /* it says that it has quorum */
	bool knows_more;   /* of data that were never seen here */
};

/* Everything that the answer depends on. */
struct quorum_input {
	uint32_t quorum;         /* QUORUM_OFF, a number, QUORUM_MAJORITY or QUORUM_ALL */
	uint32_t min_redundancy; /* the same, of UpToDate disks */
	bool with_disk;          /* own metadata are there, and will stay: disk > Failed */
	bool client;             /* this node is intentionally diskless */
	enum disk_state disk;
	bool had;                /* there was quorum before */
	bool too_far;            /* with its disk it never has it: too many are no peers */
	unsigned peer_count;
	struct quorum_peer peers[NODES_MAX];
};

/* Pure. */
bool quorum_compute(const struct quorum_input *in);
/* Quorum of a volume in the state `next` that follows `old`; true with quorum off. */
bool quorum_of(const struct core *core, const struct state *old, const struct state *next,
	       unsigned v);
/*
 * A disk goes out of sight that has not agreed to become Outdated: those known as Outdated that are
 * out of sight, too, can get better data from it, and are not known as such any more.
 */
bool quorum_forgets_outdated(const struct core *core, const struct state *old,
			     const struct state *next, unsigned v);
/* There are so many good disks in sight that have what this one has, and follow no Primary, that
 * nobody ever had quorum without any of them. */
bool quorum_is_shared(const struct core *core, const struct volume *vol, const struct state *next);
/* The same of this disk, which is Outdated, and others that may be: whoever made another generation
 * of the one before had no quorum. */
bool quorum_has_gone_on_here(const struct core *core, const struct volume *vol);
/* All volumes have quorum in this state. */
bool quorum_all(const struct core *core, const struct state *st);

/* After a change: a Primary that has lost a peer asks the others whether they are still here. */
void quorum_state_changed(struct core *core, const struct state *old);
/* Answers of writes and flushes wait: for quorum, until those who bring it back know of it, or for
 * the proof that it is still there after a peer was lost; or until that one is fenced. */
bool quorum_holds_answers(const struct core *core);
/* What is begun without quorum, or is lost with it, waits for it. */
bool quorum_waits_for_io(const struct core *core);
/* Writes to this volume do not wait for quorum but fail. */
bool quorum_fails_io(const struct core *core, unsigned v);
/* What waits for quorum fails from now on, or waits again. */
void quorum_give_up_io(struct core *core, bool give_up);

#endif

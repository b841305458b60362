/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Small deterministic scripts; nodes A B C are 0 1 2.
 * A step that does not come about is a violation. */
#ifndef SCENARIO_H
#define SCENARIO_H

#include "sim.h"

enum { A, B, C, D };

struct scenario {
	const char *name;
	void (*run)(struct world *w);
};

/* Each ends with an entry without name. */
extern const struct scenario scenarios_generations[];
extern const struct scenario scenarios_resync[];
extern const struct scenario scenarios_io_error[];
extern const struct scenario scenarios_history[];
extern const struct scenario scenarios_h_data[];
extern const struct scenario scenarios_h_no_disk[];
extern const struct scenario scenarios_h_decide[];
extern const struct scenario scenarios_h_hang[];
extern const struct scenario scenarios_operator[];
extern const struct scenario scenarios_quorum[];
extern const struct scenario scenarios_resize[];
extern const struct scenario scenarios_peers[];
extern const struct scenario scenarios_slots[];
extern const struct scenario scenarios_protocols[];
extern const struct scenario scenarios_forks[];
extern const struct scenario scenarios_drbd8[];
extern const struct scenario scenarios_volumes[];
extern const struct scenario scenarios_unreplicated[];
extern const struct scenario scenarios_no_disk[];
extern const struct scenario scenarios_hung[];
extern const struct scenario scenarios_fencing[];
extern const struct scenario scenarios_two_primaries[];
extern const struct scenario scenarios_faults[];
extern const struct scenario scenarios_shapes[];

void sc_begin(struct world *w, unsigned nodes);
/* A Primary, block 0 written; then B is parted from A and misses the other blocks. */
void sc_make_difference(struct world *w, unsigned blocks);
/* A Primary, block 0 written; then C is parted from A and B and misses the other blocks. */
void sc_leave_behind(struct world *w, unsigned blocks);
/* Promotes by opening, demotes by closing; waits for the answer. */
void sc_open(struct world *w, unsigned node);
void sc_close(struct world *w);
/* One request of the application where it is open; waits for success. */
void sc_write(struct world *w, uint64_t block);
/* Blocks that lie apart, by number; the ones missed above are 0 to `blocks` - 1. */
void sc_write_scattered(struct world *w, unsigned first, unsigned end);
void sc_discard(struct world *w, uint64_t block, uint32_t blocks);
void sc_flush(struct world *w);
/* Every sector of the block must be readable as written. */
void sc_read(struct world *w, uint64_t block);
/* Sent, not waited for. */
void sc_write_async(struct world *w, uint64_t block);
/* One request, which may fail; true = success. */
bool sc_try(struct world *w, enum request_op op, uint64_t block);
/* A write of somebody else, for which the node becomes Primary; its content does not count. */
void sc_write_elsewhere(struct world *w, unsigned node, uint64_t block);
/* The same on a node that is Primary, and not waited for. */
void sc_submit_elsewhere(struct world *w, unsigned node, uint64_t block);
void sc_command(struct world *w, unsigned node, struct ev_command cmd, int least_rc);
void sc_attach(struct world *w, unsigned node);
void sc_detach(struct world *w, unsigned node);
void sc_detach_forced(struct world *w, unsigned node);
void sc_kill(struct world *w, unsigned node);
/* Waits until the other one has noticed, too. */
void sc_kill_noticed(struct world *w, unsigned node, unsigned by);
/* What its disk has not flushed is lost. */
void sc_power_cut(struct world *w, unsigned node);
void sc_start(struct world *w, unsigned node);
void sc_restart(struct world *w, unsigned node);
/* No byte between them from now on; they need not have noticed. */
void sc_unplug(struct world *w, unsigned a, unsigned b);
/* No byte between them from now on; both notice. */
void sc_part(struct world *w, unsigned a, unsigned b);
void sc_join(struct world *w, unsigned a, unsigned b);
/* Joined, and the target resyncs. */
void sc_begin_resync(struct world *w, unsigned source, unsigned target);
void sc_wait(struct world *w, uint64_t ms);
void sc_wait_disk(struct world *w, unsigned node, enum disk_state disk);
void sc_wait_repl(struct world *w, unsigned node, unsigned peer, enum repl_state repl);
void sc_wait_conn(struct world *w, unsigned node, unsigned peer, enum conn_state conn);
/* Connected, at rest, and both UpToDate. */
void sc_wait_reunited(struct world *w, unsigned a, unsigned b);
uint64_t sc_uuid(struct world *w, unsigned node);
void sc_expect(struct world *w, bool cond, const char *what);
/* Resync traffic since the last call: sectors that the node received. */
uint64_t sc_received(struct world *w, unsigned node, unsigned peer);
/* No node calls its data UpToDate that lacks what was answered. */
void sc_expect_honest(struct world *w);

/* ---- disks (scenario_disks.c) ---- */

/* Restarted, and cannot open its disk; it has one again after sc_mend(). */
void sc_start_without_disk(struct world *w, unsigned node);
void sc_mend(struct world *w, unsigned node);
/* The disk as it is now is put by; a node that is down gets it back in place of the present one. */
void sc_keep_disk(struct world *w, unsigned node);
void sc_old_disk(struct world *w, unsigned node);
/* Its generation is still in the metadata of all that are up: 32 later it has fallen out. */
bool sc_old_disk_known(struct world *w);
/* A node that is down gets an empty disk with fresh metadata. */
void sc_new_disk(struct world *w, unsigned node);
/* The metadata of a node that is down know one generation and nothing else. */
void sc_day_0(struct world *w, unsigned node);
/* The metadata of a node that is down say that its activity log was off. */
void sc_log_was_off(struct world *w, unsigned node);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Small deterministic scripts; nodes A B C are 0 1 2.
 * A step that does not come about is a violation. */
#ifndef SCENARIO_H
#define SCENARIO_H

#include "sim.h"

enum { A, B, C };

struct scenario {
	const char *name;
	void (*run)(struct world *w);
};

/* Each ends with an entry without name. */
extern const struct scenario scenarios_generations[];
extern const struct scenario scenarios_resync[];
extern const struct scenario scenarios_history[];

void sc_begin(struct world *w, unsigned nodes);
/* Promotes by opening, demotes by closing; waits for the answer. */
void sc_open(struct world *w, unsigned node);
void sc_close(struct world *w);
/* One request of the application where it is open; waits for success. */
void sc_write(struct world *w, uint64_t block);
void sc_discard(struct world *w, uint64_t block, uint32_t blocks);
void sc_flush(struct world *w);
/* Every sector of the block must be readable as written. */
void sc_read(struct world *w, uint64_t block);
/* Sent, not waited for. */
void sc_write_async(struct world *w, uint64_t block);
/* A write of somebody else on a second Primary; its content does not count. */
void sc_foreign_write(struct world *w, unsigned node, uint64_t block);
void sc_command(struct world *w, unsigned node, struct ev_command cmd, int least_rc);
void sc_kill(struct world *w, unsigned node);
void sc_start(struct world *w, unsigned node);
/* No byte between them from now on; both notice. */
void sc_part(struct world *w, unsigned a, unsigned b);
void sc_join(struct world *w, unsigned a, unsigned b);
void sc_wait(struct world *w, uint64_t ms);
void sc_wait_disk(struct world *w, unsigned node, enum disk_state disk);
void sc_wait_repl(struct world *w, unsigned node, unsigned peer, enum repl_state repl);
void sc_wait_conn(struct world *w, unsigned node, unsigned peer, enum conn_state conn);
uint64_t sc_uuid(struct world *w, unsigned node);
void sc_expect(struct world *w, bool cond, const char *what);
/* Resync traffic since the last call: sectors that the node received. */
uint64_t sc_received(struct world *w, unsigned node, unsigned peer);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How many nodes there are, which of them have a disk, and who has a connection to whom. */
#ifndef SIM_SHAPE_H
#define SIM_SHAPE_H

#include <stdbool.h>
#include <stdint.h>

struct sim_params;
struct world;

/* More nodes than usual, with smaller devices and less of everything for each (sim_shape.c). */
void many_params_draw(struct world *w, uint64_t seed);
/* Which nodes have no disk from the beginning. */
void diskless_params_draw(struct world *w, uint64_t seed);
bool sim_has_disk(const struct sim_params *p, unsigned node);
/* How many have one; the k-th of them. */
unsigned shape_disks(const struct world *w);
unsigned shape_disk(const struct world *w, unsigned k);

/*
 * A promotion takes time: meanwhile a node that had everything may have become the target of what a
 * power loss has left of another one. Who holds the rest was current beside that one then, and is
 * out of sight of both, so neither can know (sim_app.c).
 */
bool app_follows_suspect(struct world *w, unsigned node);
#define APP_FOLLOWS_SUSPECT "what was not flushed is lost with the power of those in sight"

/* ---- connections (sim_links.c) ---- */

enum shape { SHAPE_CHAIN, SHAPE_RING, SHAPE_STAR, SHAPE_BRIDGE, SHAPE_ONE_MISSING, SHAPES };

void shapes_params_draw(struct world *w, uint64_t seed);
/* All nodes but those of the shape; node 0 is an end of a chain, the middle of a star. */
void sim_shape(struct sim_params *p, enum shape shape);
void sim_unlink(struct sim_params *p, unsigned a, unsigned b);
bool sim_linked(const struct sim_params *p, unsigned a, unsigned b);
/* Nodes with a disk that this one has no connection to. */
uint32_t sim_far_disks(const struct sim_params *p, unsigned node);
bool sim_is_mesh(const struct sim_params *p);
/* New disks have the same first generation, and nothing to resync. */
void sim_same_start(struct world *w);
/*
 * The operator of the healing phase: when all disks are Outdated, equal, and at rest for a while,
 * and no node has a connection to all others, only he can know that nobody has gone on; DRBD asks
 * for him, too. What he promotes by force has to have all that was answered.
 */
void links_look_after(struct world *w);

#endif

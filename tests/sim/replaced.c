/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The kind "replaced": a node gets an empty disk, or one as it was at an earlier moment. What the
 * rest of the cluster has must be enough then; see README.md. */
#include "scenario.h"

#define LOOK_NS (100 * NS_MS)

static const struct md_super *super_of(struct world *w, unsigned node)
{
	return w->nodes[node].up && w->nodes[node].attached ?
		       core_md(w->nodes[node].core, SIM_VNR) : NULL;
}

/* Nothing that was answered depends on it: all other disks have all of it, and know each other. */
static bool is_spare(struct world *w, unsigned node)
{
	unsigned others = 0;

	for (unsigned a = 0; a < w->node_count; a++) {
		const struct resource_status *st;

		if (a == node || !w->nodes[a].has_disk)
			continue;
		if (!super_of(w, a) || w->nodes[a].paused ||
		    w->app.suspects[SIM_VNR].suspect[a])
			return false;
		st = node_status(w, a);
		if (st->volumes[0].disk != DISK_UP_TO_DATE || oracle_check_node(w, a) != SIM_NEVER)
			return false;
		for (unsigned b = 0; b < w->node_count; b++) {
			if (b != a && b != node && w->nodes[b].has_disk &&
			    !status_peer_uptodate(st, b, SIM_VNR))
				return false;
		}
		others++;
	}
	return others > 0;
}

/*
 * A disk that names the generation that it has now, or from which others would bring up to date
 * what they have marked, cannot be told from the present one by anything in its metadata.
 */
static bool is_told_apart(struct world *w, unsigned node)
{
	uint64_t uuid = w->replaced.uuid;
	struct md_super mine;

	if (!disk_super(&w->nodes[node].disk, SIM_VNR, &mine) || uuid_eq(mine.current_uuid, uuid))
		return false;
	for (unsigned a = 0; a < w->node_count; a++) {
		const struct md_super *md = a == node ? NULL : super_of(w, a);

		if (!md)
			continue;
		if (uuid_eq(md->current_uuid, uuid))
			return false;
		for (unsigned p = 0; p < NODES_MAX; p++) {
			if (md->peers[p].bitmap_uuid && uuid_eq(md->peers[p].bitmap_uuid, uuid))
				return false;
		}
	}
	return true;
}

static void take_snapshot(struct world *w, unsigned node)
{
	const struct md_super *md = super_of(w, node);

	if (!md || md->current_uuid == UUID_JUST_CREATED)
		return;
	sim_trace(w, "replaced: a snapshot of the disk of node %u, generation %016llx", node,
		  (unsigned long long)md->current_uuid);
	sc_keep_disk(w, node);
	w->replaced.kept = (int)node;
	w->replaced.uuid = md->current_uuid;
}

/* Who uses the volume keeps its disk: without it what its users have seen would be gone. */
static bool is_used(struct world *w, unsigned node)
{
	return w->app.node == (int)node || w->rival.node == (int)node ||
	       node_status(w, node)->role == ROLE_PRIMARY;
}

static bool replace(struct world *w, unsigned node, bool old)
{
	if (!w->nodes[node].up || w->nodes[node].paused || !w->nodes[node].has_disk ||
	    is_used(w, node) || !is_spare(w, node) || (old && !is_told_apart(w, node)))
		return false;
	node_kill(w, node, false);
	sim_trace(w, "replaced: node %u has %s disk now", node, old ? "an older" : "an empty");
	if (old)
		sc_old_disk(w, node);
	else
		sc_new_disk(w, node);
	w->oracle.stable[node] = 0;
	w->oracle.torn[node] = true;
	fault_restart_later(w, node);
	return true;
}

/* Moments at which a disk may be replaced are rare: looks for one until it has come. */
static void look_event(struct world *w, uint64_t a, uint64_t b)
{
	struct replaced *r = &w->replaced;
	bool done;

	(void)a;
	(void)b;
	if (!w->faults_on || r->left == 0)
		return;
	if (r->kept < 0)
		take_snapshot(w, (unsigned)prng_below(&r->rng, w->node_count));
	done = r->old ? r->kept >= 0 && replace(w, (unsigned)r->kept, true) :
			replace(w, (unsigned)prng_below(&r->rng, w->node_count), false);
	if (done) {
		r->left--;
		r->old = prng_chance(&r->rng, 1, 2);
		/* Of what is there now, or the same one again. */
		if (prng_chance(&r->rng, 2, 3))
			r->kept = -1;
	}
	world_at(w, done ? prng_exp(&r->rng, 2 * NS_SEC) : LOOK_NS, look_event, 0, 0);
}

void replaced_params_draw(struct world *w, uint64_t seed)
{
	struct replaced *r = &w->replaced;

	r->kept = -1;
	/* The snapshot is of one volume, and of one size. */
	w->params.replaces = life_is(w, LIFE_REPLACED, seed, &r->rng) && !w->params.resizes &&
			     w->params.volumes == 1;
	r->left = (unsigned)prng_range(&r->rng, 1, 4);
	r->old = prng_chance(&r->rng, 1, 2);
}

void replaced_at_random(struct world *w)
{
	if (w->params.replaces)
		world_at(w, prng_exp(&w->replaced.rng, NS_SEC), look_event, 0, 0);
}

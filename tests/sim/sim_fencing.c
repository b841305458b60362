/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fence-peer and unfence-peer as a cluster has them: by another network, which may be down, by a
 * switch for the power, or by a rule of the cluster software about where the volume may be used.
 * What they say is true, late, or that they have failed.
 */
#include "sim.h"

#define NO_ANSWER_NS (10 * NS_SEC)
#define KILLED_NS (60 * NS_SEC) /* handler-timeout */

enum { SAYS_INCONSISTENT = 3, SAYS_OUTDATED, SAYS_DOWN, SAYS_PRIMARY, SAYS_SHOT };

void fencing_params_draw(struct world *w, uint64_t seed)
{
	struct sim_params *p = &w->params;
	struct sim_fencing *f = &w->fencing;

	if (!life_is(w, LIFE_FENCING, seed, &f->rng) || p->two_primaries)
		return;
	/* Handlers are run for neighbours: who has no connection to the Primary is not fenced by
	 * it, and fences nobody before it is promoted, with all of its own neighbours in sight. */
	if (!sim_is_mesh(p))
		return;
	p->fencing = prng_chance(&f->rng, 1, 4) ? FENCING_RESOURCE : FENCING_STONITH;
	p->handlers |= 1U << HANDLER_FENCE_PEER | 1U << HANDLER_UNFENCE_PEER;
	/* resume-io would say that the peer is harmless, and nobody has looked. */
	p->suspends = false;
	/* Who is no peer is not fenced, and takes a peer that others go on with for harmless when
	 * it has it switched off: that somebody has to know who takes it out. */
	p->peers_leave = false;
	if (p->fencing == FENCING_STONITH)
		p->careful = true;
	for (unsigned a = 0; a < SIM_NODES_MAX; a++) {
		for (unsigned b = 0; b < SIM_NODES_MAX; b++) {
			/* These two do not go together. */
			if (p->fencing == FENCING_STONITH && p->protocol[a][b] == PROTOCOL_A)
				p->protocol[a][b] = PROTOCOL_B;
		}
	}
	f->plays = true;
	f->late = prng_chance(&f->rng, 1, 4);
	if (prng_chance(&f->rng, 1, 4))
		f->ways = 1U << FENCE_BAR;
	else
		f->ways = (unsigned)prng_range(&f->rng, 1, 3) << FENCE_OUTDATE;
	if (prng_chance(&f->rng, 1, 2))
		f->ways |= 1U << FENCE_FAIL;
}

bool fencing_rules(const struct world *w)
{
	return w->params.fencing == FENCING_STONITH;
}

bool quorum_or_fencing(const struct world *w)
{
	return w->params.quorum != QUORUM_OFF || fencing_rules(w);
}

bool fencing_has_data(struct world *w, unsigned node)
{
	for (unsigned v = 0; v < w->params.volumes; v++) {
		if (node_status(w, node)->volumes[v].disk >= DISK_CONSISTENT)
			return true;
	}
	return false;
}

bool fencing_may_help(struct world *w, unsigned node, unsigned vnr)
{
	return w->params.fencing != FENCING_DONT_CARE &&
	       node_status(w, node)->volumes[vnr].disk == DISK_CONSISTENT;
}

bool fencing_allows(const struct world *w, unsigned node)
{
	return w->fencing.only == 0 || w->fencing.only >> node & 1;
}

static uint64_t short_time(struct world *w)
{
	return prng_exp(&w->fencing.rng, 300 * NS_MS) + NS_MS;
}

static void says(struct world *w, unsigned node, uint64_t run, int status)
{
	handler_says(w, node, run, status, short_time(w));
}

static const struct status_peer *peer_of(struct world *w, unsigned a, unsigned b)
{
	return w->nodes[a].up ? status_peer(node_status(w, a), b) : NULL;
}

static bool sees(struct world *w, unsigned a, unsigned b)
{
	const struct status_peer *sp = peer_of(w, a, b);

	return sp && sp->conn == CONN_CONNECTED;
}

/* ---- by another network ---- */

static bool is_inconsistent(struct world *w, unsigned node)
{
	const struct resource_status *st = node_status(w, node);

	for (unsigned v = 0; v < w->params.volumes; v++) {
		if (st->volumes[v].disk != DISK_INCONSISTENT)
			return false;
	}
	return true;
}

static void told(struct world *w, unsigned peer, int rc, uint64_t run)
{
	struct sim_handler_run *r = handler_run(w, run >> 8);
	unsigned node = run & 0xff;

	if (!r || r->said)
		return;
	/* Or the peer was, without this node. */
	if (rc == SS_TWO_PRIMARIES || rc == SS_PRIMARY_NOP)
		says(w, node, run >> 8, SAYS_PRIMARY);
	else if (rc < SS_SUCCESS)
		says(w, node, run >> 8, 1);
	else if (--r->asked == 0)
		says(w, node, run >> 8,
		     is_inconsistent(w, peer) ? SAYS_INCONSISTENT : SAYS_OUTDATED);
}

static void no_answer(struct world *w, uint64_t run, uint64_t node)
{
	struct sim_handler_run *r = handler_run(w, run);

	if (r && !r->said)
		says(w, (unsigned)node, run, w->nodes[r->call.peer].up ? 1 : SAYS_DOWN);
}

static void outdate(struct world *w, unsigned node, uint64_t run)
{
	struct sim_handler_run *r = handler_run(w, run);
	unsigned peer = r->call.peer;

	if (w->fencing.lan_down) {
		says(w, node, run, 1);
		return;
	}
	if (!w->nodes[peer].up) {
		says(w, node, run, SAYS_DOWN);
		return;
	}
	r->asked = w->params.volumes;
	for (unsigned v = 0; v < w->params.volumes; v++)
		node_command(w, peer,
			     (struct ev_command){ .cmd = CMD_OUTDATE, .vnr = (uint16_t)v,
						  .has_peer = w->node_count > 2,
						  .peer = (uint8_t)node },
			     told, run << 8 | node);
	world_at(w, NO_ANSWER_NS, no_answer, run, node);
}

/* ---- by a switch ---- */

static void shoot(struct world *w, unsigned node, uint64_t run)
{
	unsigned peer = handler_run(w, run)->call.peer;

	/* Some look whether the peer is back. */
	if (sees(w, node, peer) && prng_chance(&w->fencing.rng, 1, 2)) {
		says(w, node, run, 1);
		return;
	}
	if (!w->nodes[peer].up && prng_chance(&w->fencing.rng, 1, 3)) {
		says(w, node, run, SAYS_DOWN);
		return;
	}
	node_kill(w, peer, prng_chance(&w->fencing.rng, 1, 3));
	fault_restart_later(w, peer);
	says(w, node, run, SAYS_SHOT);
}

/* ---- by a rule ---- */

static bool is_in_use(const struct world *w, unsigned node)
{
	return w->app.node == (int)node || w->rival.node == (int)node ||
	       w->op_primary == (int)node;
}

static bool is_up_to_date(struct world *w, unsigned node)
{
	return status_uptodate(w, node_status(w, node)) == (1U << w->params.volumes) - 1;
}

/* One rule for the resource: all others than those with good data are barred. */
static void bar(struct world *w, unsigned node, uint64_t run)
{
	const struct ac_handler *call = &handler_run(w, run)->call;
	uint32_t all = (1U << w->node_count) - 1;
	uint32_t only = ((uint32_t)call->up_to_date | 1U << node) & all & ~(1U << call->peer);
	int status = SAYS_OUTDATED;

	if (w->nodes[call->peer].up &&
	    node_status(w, call->peer)->role == ROLE_PRIMARY) {
		says(w, node, run, SAYS_PRIMARY);
		return;
	}
	/* Who may be behind places no rule beside one that is there. */
	if (!w->nodes[node].up || sees(w, node, call->peer) || !fencing_allows(w, node) ||
	    (w->nodes[call->peer].up && !is_up_to_date(w, node))) {
		says(w, node, run, 1);
		return;
	}
	if (!w->nodes[call->peer].up)
		status = SAYS_DOWN;
	if (w->fencing.only)
		only &= w->fencing.only;
	for (unsigned p = 0; p < w->node_count; p++) {
		if (!(only >> p & 1) && is_in_use(w, p))
			status = 1;
	}
	if (status != 1) {
		w->fencing.only = only;
		sim_trace(w, "the volume may be used on %x", only);
	}
	says(w, node, run, status);
}

static void unbar(struct world *w, unsigned node, const struct ac_handler *call)
{
	uint32_t all = (1U << w->node_count) - 1;

	if (!w->fencing.only || !fencing_allows(w, node))
		return;
	w->fencing.only |= (uint32_t)call->up_to_date & all;
	if (w->fencing.only == all)
		w->fencing.only = 0;
	sim_trace(w, "the volume may be used on %x", w->fencing.only);
}

/* ---- calls ---- */

static void fail(struct world *w, unsigned node, uint64_t run)
{
	static const int16_t codes[] = { 0, 1, 2, 127, -1 };
	int status = codes[prng_below(&w->fencing.rng, ARRAY_LEN(codes))];

	handler_says(w, node, run, status, status < 0 ? KILLED_NS : short_time(w));
}

static void acts(struct world *w, uint64_t run, uint64_t node)
{
	const struct sim_handler_run *r = handler_run(w, run);

	w->fencing.to_act--;
	if (!r || (r->life != w->nodes[node].life && !r->orphan))
		return;
	switch ((enum fence_way)r->way) {
	case FENCE_OUTDATE:
		outdate(w, (unsigned)node, run);
		break;
	case FENCE_SHOOT:
		shoot(w, (unsigned)node, run);
		break;
	case FENCE_BAR:
		bar(w, (unsigned)node, run);
		break;
	default:
		fail(w, (unsigned)node, run);
		break;
	}
}

/* Mostly the others than to fail. */
static enum fence_way draw_way(struct world *w)
{
	struct sim_fencing *f = &w->fencing;
	enum fence_way way;

	do {
		way = (enum fence_way)prng_below(&f->rng, FENCE_WAYS);
	} while (!(f->ways >> way & 1) || (way == FENCE_FAIL && prng_chance(&f->rng, 1, 2) &&
					   f->ways != 1U << FENCE_FAIL));
	return way;
}

bool fencing_plays(struct world *w, unsigned node, uint64_t run)
{
	struct sim_handler_run *r = handler_run(w, run);
	struct sim_fencing *f = &w->fencing;
	uint64_t delay_ns;

	if (!f->plays)
		return false;
	if (r->call.what == HANDLER_UNFENCE_PEER)
		unbar(w, node, &r->call);
	if (r->call.what != HANDLER_FENCE_PEER)
		return false;
	delay_ns = short_time(w);
	if (f->late && prng_chance(&f->rng, 1, 4))
		delay_ns += prng_below(&f->rng, KILLED_NS);
	r->way = (uint8_t)draw_way(w);
	r->orphan = prng_chance(&f->rng, 1, 2);
	w->fencing.to_act++;
	world_at(w, delay_ns, acts, run, node);
	return true;
}

bool fencing_is_over(struct world *w)
{
	return w->fencing.to_act == 0;
}

/* ---- the other network ---- */

static void lan_event(struct world *w, uint64_t a, uint64_t b)
{
	(void)a;
	(void)b;
	if (!w->faults_on)
		return;
	w->fencing.lan_down = !w->fencing.lan_down;
	world_at(w, prng_exp(&w->fencing.rng, (w->fencing.lan_down ? 3 : 20) * NS_SEC), lan_event,
		 0, 0);
}

void fencing_at_random(struct world *w)
{
	if (w->fencing.plays && (w->fencing.ways >> FENCE_OUTDATE & 1))
		world_at(w, prng_exp(&w->fencing.rng, 10 * NS_SEC), lan_event, 0, 0);
}

void fencing_heal(struct world *w)
{
	w->fencing.lan_down = false;
}

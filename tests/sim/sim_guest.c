/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Two Primaries: a second application on the other node that writes to the same blocks, and counts
 * only what was answered while both were connected, as one that is fenced does.
 */
#include <string.h>

#include "sim.h"

#define LOOK_NS (300 * NS_MS)

/* Of two nodes with a disk; what else a life may have stays. */
void guest_params_draw(struct world *w, uint64_t seed)
{
	struct sim_params *p = &w->params;

	if (!life_is(w, LIFE_TWO_PRIMARIES, seed, &w->guest.rng))
		return;
	p->two_primaries = true;
	p->nodes = 2;
	p->no_disk = 0;
	p->tiebreaker = p->resizes = p->peers_leave = false;
	p->quorum = p->quorum_min_redundancy = QUORUM_OFF;
	p->careful = true;
	sim_params_protocol(p, PROTOCOL_C);
}

void guest_reset(struct world *w)
{
	struct prng rng = w->guest.rng;

	memset(&w->guest, 0, sizeof(w->guest));
	w->guest.rng = rng;
	w->guest.node = -1;
}

static bool sees(struct world *w, unsigned a, unsigned b)
{
	const struct status_peer *sp =
		w->nodes[a].up ? status_peer(node_status(w, a), b) : NULL;

	return sp && sp->conn == CONN_CONNECTED;
}

static bool together(struct world *w)
{
	return sees(w, 0, 1) && sees(w, 1, 0);
}

/* ---- I/O ---- */

static void pick_range(struct world *w, struct guest_io *io)
{
	const struct app *app = &w->app;
	struct prng *rng = &w->guest.rng;
	uint64_t device = sim_volume_sectors(w, 0);
	/* A part of them, so that the two often meet. */
	unsigned hot = app->hot_count < 4 ? app->hot_count : 4;
	uint64_t sector = app->hot[prng_below(rng, hot)] * BM_BLOCK_SECTORS;
	uint64_t sectors = BM_BLOCK_SECTORS;

	if (prng_chance(rng, 1, 3)) {
		sector += prng_below(rng, BM_BLOCK_SECTORS);
		sectors = prng_range(rng, 1, 3 * BM_BLOCK_SECTORS);
	}
	if (sector > device - sectors)
		sector = device - sectors;
	io->sector = sector;
	io->bytes = (uint32_t)(sectors * SECTOR_BYTES);
}

static void submit(struct world *w)
{
	struct guest *g = &w->guest;
	struct guest_io *io = g->io;
	struct core_event ev = { .kind = EV_SUBMIT };
	unsigned node = (unsigned)g->node, dice = (unsigned)prng_below(&w->guest.rng, 20);

	while (io->in_use)
		io++;
	pick_range(w, io);
	io->in_use = true;
	io->cookie = GUEST_COOKIE + ++g->serial;
	io->op = dice < 14 ? OP_WRITE : dice < 18 ? OP_READ : dice < 19 ? OP_DISCARD : OP_ZEROES;
	ev.u.submit = (struct ev_submit){ .cookie = io->cookie, .op = io->op,
					  .sector = io->sector, .bytes = io->bytes };
	if (io->op != OP_READ) {
		io->write = oracle_issue(w, io->sector, io->bytes / SECTOR_BYTES,
					 io->op != OP_WRITE);
		w->oracle.ops[io->write].node = (int8_t)node;
	}
	if (io->op == OP_WRITE) {
		uint64_t *tags;

		ev.u.submit.payload = payload_new(w, node, io->bytes);
		tags = payload_tags(w, ev.u.submit.payload);
		for (uint32_t i = 0; i < io->bytes / SECTOR_BYTES; i++)
			tags[i] = oracle_value(w, io->write, io->sector + i);
	}
	io->since = ++w->oracle.clock;
	g->in_flight++;
	g->ops_left--;
	sim_trace(w, "node %u guest #%llu op %d %llu+%u", node, (unsigned long long)g->serial,
		  (int)io->op, (unsigned long long)io->sector, io->bytes);
	node_step(w, node, &ev);
}

static void check_read(struct world *w, const struct guest_io *io, struct payload payload)
{
	const uint64_t *tags = payload_tags(w, payload);

	for (uint32_t i = 0; i < io->bytes / SECTOR_BYTES; i++) {
		if (verify_may_read_damage(w, io->sector + i) ||
		    oracle_legal(w, io->sector + i, tags[i], io->since))
			continue;
		oracle_explain(w, io->sector + i);
		sim_fail(w, "I6: the second Primary reads %llx at sector %llu",
			 (unsigned long long)tags[i], (unsigned long long)(io->sector + i));
	}
}

void guest_completed(struct world *w, unsigned node, const struct ac_complete *ac)
{
	struct guest *g = &w->guest;
	struct guest_io *io = NULL;

	for (unsigned i = 0; i < GUEST_IOS; i++) {
		if (g->io[i].in_use && g->io[i].cookie == ac->cookie)
			io = &g->io[i];
	}
	if (!io || g->node != (int)node)
		sim_fail(w, "node %u completes a request of the guest that is not in flight", node);
	io->in_use = false;
	g->in_flight--;
	/* The one that is cut off may be behind, or the other one may. */
	if (io->op == OP_READ) {
		if (!ac->error && g->counts && together(w))
			check_read(w, io, ac->payload);
		if (!ac->error)
			payload_core_put(w, node, ac->payload);
	} else if (ac->error || !g->counts || !together(w)) {
		oracle_fail(w, io->write);
	} else {
		oracle_ack(w, io->write);
		g->acks++;
	}
	if (ac->error)
		g->ops_left = 0;
}

/* ---- where ---- */

static void opened(struct world *w, unsigned node, int rc, uint64_t arg)
{
	struct guest *g = &w->guest;

	(void)arg;
	if (g->phase != GUEST_OPENING || g->node != (int)node)
		return;
	g->phase = rc == 0 ? GUEST_OPEN : GUEST_IDLE;
	g->node = rc == 0 ? g->node : -1;
	g->ops_left = (unsigned)prng_range(&w->guest.rng, 1, 60);
	g->opens += rc == 0;
	g->counts = together(w);
}

static void try_open(struct world *w)
{
	struct guest *g = &w->guest;
	unsigned node = 1 - (unsigned)w->app.node;

	if (w->app.phase != APP_OPEN || !together(w) ||
	    !status_peer_uptodate(node_status(w, 1 - node), node, 0))
		return;
	g->phase = GUEST_OPENING;
	g->node = (int)node;
	node_command(w, node,
		     (struct ev_command){ .cmd = CMD_OPEN, .vnr = SIM_VNR, .write = true }, opened,
		     0);
}

static void close(struct world *w)
{
	struct guest *g = &w->guest;

	node_command(w, (unsigned)g->node,
		     (struct ev_command){ .cmd = CMD_CLOSE, .vnr = SIM_VNR, .write = true }, NULL,
		     0);
	g->phase = GUEST_IDLE;
	g->node = -1;
}

void guest_node_died(struct world *w, unsigned node)
{
	struct guest *g = &w->guest;

	g->counts = false;
	if (g->node != (int)node)
		return;
	for (unsigned i = 0; i < GUEST_IOS; i++) {
		if (g->io[i].in_use && g->io[i].op != OP_READ)
			oracle_fail(w, g->io[i].write);
		g->io[i].in_use = false;
	}
	g->in_flight = 0;
	g->phase = GUEST_IDLE;
	g->node = -1;
}

static void look_event(struct world *w, uint64_t a, uint64_t b)
{
	struct guest *g = &w->guest;
	bool busy = g->phase == GUEST_OPEN;
	bool stop = g->stop || !w->faults_on;

	(void)a;
	(void)b;
	g->counts &= together(w);
	if (busy && (stop || !g->counts || w->app.phase != APP_OPEN))
		g->ops_left = 0;
	if (g->phase == GUEST_IDLE && !stop && prng_chance(&w->guest.rng, 1, 8))
		try_open(w);
	/* Who was fenced has no say when it is back. */
	if (g->phase == GUEST_IDLE && !stop && !together(w) && prng_chance(&w->guest.rng, 1, 8))
		operator_resolve(w, 0, 1);
	if (busy && g->ops_left == 0 && g->in_flight == 0) {
		close(w);
		busy = false;
	}
	while (busy && g->ops_left > 0 && g->in_flight < GUEST_IOS &&
	       core_room(w->nodes[g->node].core) > 0 && prng_chance(&w->guest.rng, 2, 3)) {
		submit(w);
		/* A crash in the step may have ended it all. */
		busy = g->phase == GUEST_OPEN;
	}
	if (w->faults_on || g->phase != GUEST_IDLE)
		world_at(w, prng_exp(&w->guest.rng, busy ? w->params.think_ns : LOOK_NS) + NS_US,
			 look_event, 0, 0);
}

void guest_start(struct world *w)
{
	if (w->params.two_primaries)
		world_at(w, LOOK_NS, look_event, 0, 0);
}

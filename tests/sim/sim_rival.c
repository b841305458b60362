/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A second application that knows nothing of the first: where quorum rules, it opens the volume
 * wherever it can, also while the first one is open elsewhere. Owns the checks that quorum holds.
 */
#include <string.h>

#include "sim.h"

#define LOOK_NS (500 * NS_MS)
#define FENCE_NS (4 * NS_SEC)

void rival_reset(struct world *w)
{
	struct rival *r = &w->rival;

	*r = (struct rival){ .node = -1 };
	for (unsigned i = 0; i < SIM_NODES_MAX; i++)
		r->foreign_first[i] = SIM_NEVER;
}

/* ---- checkers: S9 and S10 ---- */

void quorum_opened(struct world *w, unsigned node)
{
	w->rival.foreign_first[node] = SIM_NEVER;
	w->rival.got_lesser[node] = false;
	w->rival.opened_at[node] = ++w->oracle.clock;
}

bool quorum_superseded(const struct world *w, unsigned node)
{
	return w->rival.foreign_first[node] != SIM_NEVER;
}

void quorum_step_begins(struct world *w, unsigned node, const struct core_event *ev)
{
	struct node *n = &w->nodes[node];
	bool done = ev->kind == EV_DISK_DONE || ev->kind == EV_META_DONE;
	const struct resource_status *st;

	if (w->params.quorum == QUORUM_OFF)
		return;
	st = node_own_status(w, node);
	n->lacked_quorum = n->had_disk = 0;
	for (unsigned v = 0; v < w->params.volumes; v++) {
		n->lacked_quorum |= (uint32_t)!st->volumes[v].quorum << v;
		n->had_disk |= (uint32_t)(st->volumes[v].disk > DISK_FAILED &&
					  !(done && ev->u.done.error)) << v;
	}
	n->answer_to_prove = false;
}

static void s10_violated(struct world *w, unsigned node, int error)
{
	sim_fail(w, "S10: node %u has no quorum and ends a write with %d", node, error);
}

/*
 * A command may take the disk, and quorum with it, in the step in which the one before it ends,
 * which has waited for a write: the write was answered before if its answer comes before the reply.
 */
static bool gave_disk_up(struct world *w, unsigned node, unsigned vnr)
{
	const struct node *n = &w->nodes[node];

	return (n->had_disk >> vnr & 1) && !(n->lacked_quorum >> vnr & 1) &&
	       node_status(w, node)->volumes[vnr].disk <= DISK_FAILED;
}

void quorum_command_replied(struct world *w, unsigned node)
{
	w->nodes[node].answer_to_prove = false;
}

/*
 * A disk that is not UpToDate votes for whoever it is connected to, also for one that does not have
 * the data it was being resynced to; quorum-minimum-redundancy is there to prevent that. Resynced
 * from there it is UpToDate, and the quorum is the same.
 */
static bool lesser_vote_in(struct world *w, unsigned node, unsigned vnr)
{
	const struct resource_status *st = node_status(w, node);

	for (unsigned p = 0; p < st->peer_count; p++) {
		enum disk_state pdsk = st->peers[p].devices[vnr].peer_disk;

		if (st->peers[p].conn == CONN_CONNECTED && pdsk >= DISK_INCONSISTENT &&
		    pdsk < DISK_UP_TO_DATE)
			return true;
	}
	return w->nodes[node].has_disk && st->volumes[vnr].disk != DISK_UP_TO_DATE;
}

static bool lesser_vote(struct world *w, unsigned node)
{
	for (unsigned v = 0; v < w->params.volumes; v++) {
		if (w->params.quorum_min_redundancy == QUORUM_OFF && !fencing_rules(w) &&
		    lesser_vote_in(w, node, v))
			return true;
	}
	return false;
}

static bool got_quorum(struct world *w, unsigned node)
{
	for (unsigned v = 0; v < w->params.volumes; v++) {
		if ((w->nodes[node].lacked_quorum >> v & 1) &&
		    node_status(w, node)->volumes[v].quorum)
			return true;
	}
	return false;
}

void quorum_step_ends(struct world *w, unsigned node)
{
	struct node *n = &w->nodes[node];

	if (n->answer_to_prove)
		s10_violated(w, node, 0);
	if (w->params.quorum != QUORUM_OFF && quorum_superseded(w, node) && got_quorum(w, node))
		w->rival.got_lesser[node] = lesser_vote(w, node);
}

void quorum_opened_behind(struct world *w, unsigned node)
{
	if (w->params.quorum != QUORUM_OFF &&
	    (lesser_vote(w, node) || w->rival.got_lesser[node]) && !app_lineage_ok(w, node))
		sim_forked(w, "a disk that is not UpToDate gave quorum to one that does not have "
			      "what it was being resynced to");
}

/* Cut off from all others by whose word a write waits, a Primary may go on by one of these. */
static bool answers_alone(const struct world *w)
{
	for (unsigned i = 0; i < w->node_count; i++) {
		for (unsigned p = 0; p < w->node_count; p++) {
			if (p != i && w->nodes[p].has_disk &&
			    w->params.protocol[i][p] == PROTOCOL_A)
				return true;
		}
	}
	return false;
}

void quorum_write_ended(struct world *w, unsigned node, unsigned write, int error)
{
	struct rival *r = &w->rival;
	unsigned vnr = sim_vnr(w->oracle.ops[write].sector);
	const struct resource_status *st;
	bool quorum;

	if (!quorum_or_fencing(w))
		return;
	st = node_status(w, node);
	quorum = st->volumes[vnr].quorum || w->params.quorum == QUORUM_OFF;
	/* One that ends with an error may have done so before the step took quorum away. */
	if (!quorum && !error && gave_disk_up(w, node, vnr))
		w->nodes[node].answer_to_prove = true;
	else if (!quorum &&
		 (!error || (st->susp_quorum && w->nodes[node].lacked_quorum >> vnr & 1)))
		s10_violated(w, node, error);
	if (error)
		return;
	/* What began before waited until it was got. */
	if (quorum_superseded(w, node) &&
	    (r->got_lesser[node] || (w->oracle.ops[write].issue > r->foreign_first[node] &&
				     (r->foreign_lesser[node] || lesser_vote(w, node)))))
		sim_forked(w, "two Primaries got quorum in turn by a disk that is not UpToDate");
	if (w->oracle.ops[write].issue > r->foreign_first[node] && answers_alone(w))
		sim_forked(w, "behind protocol A a Primary answers until it notices that it is cut "
			      "off");
	if (w->oracle.ops[write].issue > r->foreign_first[node])
		sim_fail(w, "S9: node %u completes a write that began after another node's was "
			    "completed, and it was not opened since", node);
	r->acks++;
	/* The answer to a write that began before was late on its way. */
	if (quorum_superseded(w, node))
		return;
	for (unsigned i = 0; i < w->node_count; i++) {
		if (i == node || r->foreign_first[i] != SIM_NEVER)
			continue;
		r->foreign_first[i] = ++w->oracle.clock;
		r->foreign_lesser[i] = lesser_vote(w, node);
	}
}

/* ---- the application ---- */

static void look_event(struct world *w, uint64_t a, uint64_t b);

static void opened(struct world *w, unsigned node, int rc, uint64_t arg)
{
	struct rival *r = &w->rival;
	uint64_t bad;

	(void)arg;
	if (r->phase != APP_OPENING || r->node != (int)node)
		return;
	if (rc != 0) {
		r->phase = APP_IDLE;
		r->node = -1;
		return;
	}
	r->phase = APP_OPEN;
	r->opens++;
	r->ops_left = (unsigned)prng_range(&w->rng, 1, 20);
	app_track_suspects(w);
	app_trusts(w, node);
	bad = app_sources_bad(w, node);
	if (bad != SIM_NEVER) {
		quorum_opened_behind(w, node);
		if (app_follows_suspect(w, node))
			sim_forked(w, APP_FOLLOWS_SUSPECT);
		oracle_explain(w, bad);
		sim_fail(w,
			 "I1: node %u became Primary without an acknowledged write at sector %llu",
			 node, (unsigned long long)bad);
	}
	app_sources_go_on(w, node);
	quorum_opened(w, node);
}

static void try_open(struct world *w)
{
	struct rival *r = &w->rival;
	unsigned node = (unsigned)prng_below(&w->rng, w->node_count);

	if (!w->nodes[node].up || w->app.node == (int)node ||
	    (!w->nodes[node].has_disk && !w->params.no_disk))
		return;
	if (!fencing_allows(w, node) || (!fencing_rules(w) && !app_lineage_ok(w, node)))
		return;
	/* It may have become the copy of one a moment ago. */
	app_track_suspects(w);
	if (!app_is_current(w, node))
		return;
	r->phase = APP_OPENING;
	r->node = (int)node;
	node_command(w, node,
		     (struct ev_command){ .cmd = CMD_OPEN, .vnr = SIM_VNR, .write = true }, opened,
		     0);
}

static void submit(struct world *w)
{
	struct rival *r = &w->rival;
	struct app *app = &w->app;
	uint64_t sector = app->hot[prng_below(&w->rng, app->hot_count)] * BM_BLOCK_SECTORS;
	unsigned vnr = sim_any_volume(w);
	struct core_event ev = { .kind = EV_SUBMIT };
	unsigned node = (unsigned)r->node;
	uint64_t *tags;

	if (sector > sim_volume_sectors(w, vnr) - BM_BLOCK_SECTORS)
		sector = 0;
	r->write = oracle_issue(w, sim_sector(vnr, sector), BM_BLOCK_SECTORS, false);
	w->oracle.ops[r->write].node = (int8_t)node;
	r->cookie = RIVAL_COOKIE + ++r->serial;
	r->in_flight = true;
	r->ops_left--;
	ev.u.submit = (struct ev_submit){ .cookie = r->cookie, .vnr = (uint16_t)vnr, .op = OP_WRITE,
					  .sector = sector, .bytes = BM_BLOCK_BYTES,
					  .payload = payload_new(w, node, BM_BLOCK_BYTES) };
	tags = payload_tags(w, ev.u.submit.payload);
	for (unsigned i = 0; i < BM_BLOCK_SECTORS; i++)
		tags[i] = oracle_value(w, r->write, sim_sector(vnr, sector) + i);
	sim_trace(w, "node %u rival write %u:%llu", node, vnr, (unsigned long long)sector);
	node_step(w, node, &ev);
}

void rival_completed(struct world *w, unsigned node, const struct ac_complete *ac)
{
	struct rival *r = &w->rival;

	if (!r->in_flight || r->cookie != ac->cookie || r->node != (int)node)
		sim_fail(w, "node %u completes a request of the rival that is not in flight", node);
	r->in_flight = false;
	if (ac->error)
		oracle_fail(w, r->write);
	else
		oracle_ack(w, r->write);
	quorum_write_ended(w, node, r->write, ac->error);
	if (ac->error)
		r->ops_left = 0;
}

static void close(struct world *w)
{
	struct rival *r = &w->rival;

	node_command(w, (unsigned)r->node,
		     (struct ev_command){ .cmd = CMD_CLOSE, .vnr = SIM_VNR, .write = true }, NULL,
		     0);
	r->phase = APP_IDLE;
	r->node = -1;
}

void rival_node_died(struct world *w, unsigned node)
{
	struct rival *r = &w->rival;

	if (r->node != (int)node)
		return;
	if (r->in_flight)
		oracle_fail(w, r->write);
	r->in_flight = false;
	r->phase = APP_IDLE;
	r->node = -1;
}

/* ---- fencing: a Primary is reset when the volume was opened elsewhere after it ---- */

static bool refuses_to_follow(const struct resource_status *st)
{
	for (unsigned p = 0; p < st->peer_count; p++) {
		if (st->peers[p].conn == CONN_STANDALONE &&
		    strstr(st->peers[p].reason, "would be overwritten"))
			return true;
	}
	return false;
}

static bool comes_after(const struct md_super *md, uint64_t uuid)
{
	if (!md || !uuid || uuid_eq(md->current_uuid, uuid))
		return false;
	for (unsigned n = 0; n < NODES_MAX; n++) {
		if (uuid_eq(md->peers[n].bitmap_uuid, uuid))
			return true;
	}
	for (unsigned i = 0; i < HISTORY_UUIDS; i++) {
		if (uuid_eq(md->history[i], uuid))
			return true;
	}
	return false;
}

/*
 * A Primary that lost its disk and then quorum waits for what it has shown, while the others have
 * gone on from there. Without a disk it is connected, and who looks after it sees that they are
 * only Consistent; with its disk back, which is Outdated, it is not, and says why.
 */
static bool has_been_passed(struct world *w, const struct resource_status *st, unsigned v)
{
	bool no_disk = st->volumes[v].disk == DISK_DISKLESS;

	if (!(st->susp_quorum || st->susp_no_data))
		return false;
	for (unsigned p = 0; p < st->peer_count; p++) {
		const struct status_peer *sp = &st->peers[p];
		bool passed = no_disk ? sp->conn == CONN_CONNECTED &&
						sp->devices[v].peer_disk == DISK_CONSISTENT :
					!!strstr(sp->reason, "does not have the data in use");

		if (passed && w->nodes[sp->node_id].up &&
		    comes_after(core_md(w->nodes[sp->node_id].core, (uint16_t)v),
				st->volumes[v].current_uuid))
			return true;
	}
	return false;
}

static int stale_primary(struct world *w)
{
	unsigned newest = 0;

	for (unsigned i = 1; i < w->node_count; i++) {
		if (w->rival.opened_at[i] > w->rival.opened_at[newest])
			newest = i;
	}
	for (unsigned i = 0; i < w->node_count; i++) {
		const struct resource_status *st = w->nodes[i].up ? node_status(w, i) : NULL;

		if (!st || st->role != ROLE_PRIMARY)
			continue;
		/* The last one is stale when the others went on without hearing of it. */
		if (i != newest || (!st->volumes[0].quorum && refuses_to_follow(st)))
			return (int)i;
		for (unsigned v = 0; v < w->params.volumes; v++) {
			if (has_been_passed(w, st, v))
				return (int)i;
		}
	}
	return -1;
}

static void fence(struct world *w)
{
	int node = stale_primary(w);

	if (node < 0) {
		w->rival.stale_since_ns = 0;
	} else if (w->rival.stale_since_ns == 0) {
		w->rival.stale_since_ns = w->now_ns;
	} else if (w->now_ns - w->rival.stale_since_ns > FENCE_NS) {
		sim_trace(w, "node %d is fenced: the volume was opened elsewhere", node);
		w->rival.fenced++;
		node_kill(w, (unsigned)node, false);
		fault_restart_later(w, (unsigned)node);
	}
}

static void look_event(struct world *w, uint64_t a, uint64_t b)
{
	struct rival *r = &w->rival;

	(void)a;
	(void)b;
	fence(w);
	if (r->phase == APP_OPEN && !r->in_flight && !w->nodes[r->node].paused) {
		if (r->ops_left == 0 || r->stop)
			close(w);
		else if (core_room(w->nodes[r->node].core) > 0)
			submit(w);
	} else if (r->phase == APP_IDLE && !r->stop && prng_chance(&w->rng, 1, 4)) {
		try_open(w);
	}
	world_at(w, prng_exp(&w->rng, LOOK_NS) + NS_MS, look_event, 0, 0);
}

void rival_start(struct world *w)
{
	if (quorum_or_fencing(w))
		world_at(w, prng_exp(&w->rng, LOOK_NS), look_event, 0, 0);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What must not change under an application, and what must not last, while things go wrong. */
#include <string.h>

#include "sim.h"

/* Every wait of a request ends by a timeout: a silent peer's by ping-int and ping-timeout (10.5 s)
 * or ko-count (42 s), a transaction's after 30 s. */
#define REQUEST_LIMIT_NS (90 * NS_SEC)
/* Both notice within ping-int and ping-timeout, and ask the others (30 s at most). */
#define APART_NS (45 * NS_SEC)
/* Refused streams are made again for twice connect-int (20 s). */
#define ONE_SIDED_NS (60 * NS_SEC)
/* A bitmap takes no time; a transaction that it may wait for 30 s. */
#define EXCHANGE_NS (35 * NS_SEC)
#define BELIEF_NS (5 * NS_SEC)
/* A connect that may come about is waited for, 30 s at most. */
#define UNFENCED_NS (35 * NS_SEC)

/* ---- one sector, read twice by who has the volume open ---- */

#define READS 4096U

struct seen {
	uint32_t life;
	unsigned opens;
	uint64_t sector, value;
	uint64_t since; /* order number at which the read was issued */
};

static struct seen seen[READS];

static bool written_since(const struct world *w, uint64_t sector, uint64_t since)
{
	const struct oracle *o = &w->oracle;

	if (o->head_life[sector] != o->life)
		return false;
	for (uint32_t i = o->head[sector]; i != 0; i = o->versions[i - 1].next) {
		const struct oracle_op *op = o->versions[i - 1].op == UINT32_MAX ?
						     NULL : &o->ops[o->versions[i - 1].op];

		/* One that failed under this application is on some disks only. */
		if (op && (op->end > since || (!op->acked && op->issue > w->app.opened_at)))
			return true;
	}
	return false;
}

void moments_read(struct world *w, uint64_t sector, uint64_t value, uint64_t since)
{
	struct seen *s = &seen[sector % READS];
	/* A read that was overtaken by the other one may have been served before it. */
	uint64_t first = since < s->since ? since : s->since;

	if (value & ORACLE_GARBAGE)
		value = 0;
	if (s->life == w->life && s->opens == w->app.opens && s->sector == sector &&
	    s->value != value && !written_since(w, sector, first)) {
		oracle_explain(w, sector);
		sim_fail(w, "I6: sector %llu was read as %llx, then as %llx, and not written since",
			 (unsigned long long)sector, (unsigned long long)s->value,
			 (unsigned long long)value);
	}
	*s = (struct seen){ .life = w->life, .opens = w->app.opens, .sector = sector,
			    .value = value, .since = since };
}

/* ---- what must not last ---- */

void moments_reset(struct world *w)
{
	memset(&w->moments, 0, sizeof(w->moments));
}

/* Since when something is so; it has to be seen so each time. */
static bool lasts(struct world *w, uint64_t *since_ns, bool is_so, uint64_t limit_ns)
{
	if (!is_so)
		*since_ns = 0;
	else if (*since_ns == 0)
		*since_ns = w->now_ns;
	return is_so && w->now_ns - *since_ns >= limit_ns;
}

/* One that stands still notices nothing. */
static bool is_there(const struct world *w, unsigned node)
{
	return w->nodes[node].up && !w->nodes[node].paused;
}

static bool waits_by_order(const struct world *w, const struct resource_status *st)
{
	/* A disk that has not answered yet may still do so. */
	for (unsigned i = 0; i < w->node_count; i++) {
		if (w->nodes[i].disk.hangs)
			return true;
	}
	for (unsigned v = 0; v < w->params.volumes; v++) {
		if (!st->volumes[v].quorum || st->volumes[v].disk != DISK_UP_TO_DATE)
			return true;
	}
	return st->susp_user || st->susp_quorum || st->susp_no_data || st->susp_fencing;
}

static void check_requests(struct world *w)
{
	const struct app *app = &w->app;
	uint64_t oldest = SIM_NEVER;

	if (app->phase != APP_OPEN || !is_there(w, (unsigned)app->node) ||
	    waits_by_order(w, node_status(w, (unsigned)app->node))) {
		w->moments.ready_since_ns = 0;
		return;
	}
	if (w->moments.ready_since_ns == 0)
		w->moments.ready_since_ns = w->now_ns;
	for (unsigned i = 0; i < APP_IOS_MAX; i++) {
		if (app->io[i].in_use && app->io[i].start_ns < oldest)
			oldest = app->io[i].start_ns;
	}
	if (oldest < w->moments.ready_since_ns)
		oldest = w->moments.ready_since_ns;
	if (oldest != SIM_NEVER && w->now_ns - oldest >= REQUEST_LIMIT_NS)
		sim_fail(w, "I7: a request on node %d waits for %llu s, and nothing is in its way",
			 app->node, (unsigned long long)((w->now_ns - oldest) / NS_SEC));
}

static const struct status_peer *peer_of(struct world *w, unsigned a, unsigned b)
{
	return is_there(w, a) ? status_peer(node_status(w, a), b) : NULL;
}

static bool sees(struct world *w, unsigned a, unsigned b)
{
	const struct status_peer *sp = peer_of(w, a, b);

	return sp && sp->conn == CONN_CONNECTED;
}

static bool sees_nobody(struct world *w, unsigned node)
{
	for (unsigned p = 0; p < w->node_count; p++) {
		if (p != node && sees(w, node, p))
			return false;
	}
	return true;
}

static bool knows_of_split(const struct status_peer *sp)
{
	return sp && sp->conn < CONN_CONNECTED && strstr(sp->reason, "split brain");
}

static bool is_refused(const struct status_peer *sp)
{
	return knows_of_split(sp) && sp->conn == CONN_STANDALONE;
}

void moments_command(struct world *w, unsigned node, const struct ev_command *cmd)
{
	unsigned peer = cmd->peer;

	if ((cmd->cmd != CMD_CONNECT && cmd->cmd != CMD_DISCONNECT) || peer >= w->node_count ||
	    peer == node)
		return;
	if (cmd->cmd == CMD_DISCONNECT)
		w->moments.asked[node][peer] = !cmd->force && sees(w, node, peer) ?
						       simnet_conn(w, node, peer)->gen : 0;
	if (knows_of_split(peer_of(w, node, peer)) && is_refused(peer_of(w, peer, node)))
		w->moments.retried[peer][node] = true;
}

void moments_closed(struct world *w, unsigned node, unsigned peer)
{
	const struct status_peer *its = status_peer(node_status(w, node), peer);
	struct moments *m = &w->moments;
	uint32_t volumes = 0;

	for (unsigned v = 0; its && its->conn == CONN_STANDALONE && v < w->params.volumes; v++)
		volumes |= (uint32_t)(its->devices[v].peer_disk == DISK_OUTDATED) << v;
	m->agreed[node][peer] =
		m->asked[node][peer] == simnet_conn(w, node, peer)->gen ? volumes : 0;
	m->asked[node][peer] = 0;
}

static bool is_wrong(const struct world *w, uint32_t agreed, const struct status_peer *its,
		     const struct resource_status *st)
{
	for (unsigned v = 0; v < w->params.volumes; v++) {
		if ((agreed >> v & 1) && its->devices[v].peer_disk == DISK_OUTDATED &&
		    st->volumes[v].disk == DISK_UP_TO_DATE)
			return true;
	}
	return false;
}

/*
 * Who has agreed to be left by a Primary, and has met nobody since, is not as good as before.
 * An order to a connection that is down already is agreed to by nobody: what is known of the peer
 * is from when it was last in sight, or from a third node that saw it, and the peer may since
 * have come back to others, who made it UpToDate, and lost them again. Nobody counts on that for
 * more than quorum, and two parts that both have it are seen below.
 */
static void check_belief(struct world *w, unsigned a, unsigned b)
{
	const struct status_peer *its = peer_of(w, a, b);
	bool believed = its && its->conn == CONN_STANDALONE;
	bool alone = is_there(w, b) && sees_nobody(w, b);

	/* What it meets may make it UpToDate, and the other one never learns of it. */
	if (!believed)
		w->moments.met[a][b] = false;
	else if (is_there(w, b) && !alone)
		w->moments.met[a][b] = true;
	if (lasts(w, &w->moments.belief_ns[a][b],
		  believed && alone && !w->moments.met[a][b] &&
			  node_status(w, a)->role == ROLE_PRIMARY &&
			  is_wrong(w, w->moments.agreed[a][b], its, node_status(w, b)),
		  BELIEF_NS))
		sim_fail(w, "S3: node %u counts on node %u being Outdated, and it is UpToDate", a,
			 b);
}

/*
 * Both ends know of a split brain, or try again. Who has been restarted since knows nothing of it
 * any more: nothing on a disk says so, and the other one waits for its operator. So it does when an
 * operator has told only the other one that knew to try again.
 */
static void check_one_sided(struct world *w, unsigned a, unsigned b)
{
	const struct status_peer *mine = peer_of(w, a, b), *its = peer_of(w, b, a);
	bool wrong = is_refused(mine) && its && its->conn != CONN_STANDALONE &&
		     its->conn != CONN_CONNECTED && !w->net.down[a][b] && !w->net.down[b][a];
	uint64_t *life = &w->moments.refused_life[a][b];
	bool *retried = &w->moments.retried[a][b];

	if (!mine || mine->conn != CONN_STANDALONE)
		*life = w->nodes[b].life;
	*retried &= is_refused(mine);
	wrong = wrong && !*retried && *life == w->nodes[b].life;
	if (lasts(w, &w->moments.one_sided_ns[a][b], wrong, ONE_SIDED_NS))
		sim_fail(w, "I7: node %u has seen a split brain, and node %u waits for it", a, b);
}

static bool is_held(struct world *w, unsigned a, unsigned b)
{
	const struct net_conn *c = simnet_conn(w, a, b);

	for (unsigned i = 0; i < 2 * STREAM_COUNT; i++) {
		const struct net_stream *st = &c->stream[i / STREAM_COUNT][i % STREAM_COUNT];

		if (st->hold_on || st->stall_until_ns > w->now_ns)
			return true;
	}
	return w->net.down[a][b] || w->net.down[b][a] || w->nodes[a].paused || w->nodes[b].paused;
}

/* Bitmaps are exchanged, and then a resync begins or not. */
static void check_exchange(struct world *w, unsigned a, unsigned b)
{
	const struct status_peer *sp = peer_of(w, a, b);
	enum repl_state repl = sp ? sp->devices[0].repl : REPL_OFF;
	bool waits = sp && sp->conn == CONN_CONNECTED && !sp->devices[0].saving &&
		     (repl == REPL_WF_BITMAP_S || repl == REPL_WF_BITMAP_T) && !is_held(w, a, b) &&
		     w->moments.gen[a][b] == simnet_conn(w, a, b)->gen;

	w->moments.gen[a][b] = simnet_conn(w, a, b)->gen;
	if (lasts(w, &w->moments.exchange_ns[a][b], waits, EXCHANGE_NS))
		sim_fail(w, "I7: node %u waits for a bitmap of node %u", a, b);
}

/* I/O waits for a peer to be fenced: somebody is at it, or has failed, and that is said. */
static void check_fenced(struct world *w, unsigned a, unsigned b)
{
	const struct status_peer *sp = peer_of(w, a, b);

	if (lasts(w, &w->moments.unfenced_ns[a][b],
		  sp && sp->suspends && !sp->fencing && !sp->not_fenced, UNFENCED_NS))
		sim_fail(w, "I7: node %u waits for node %u to be fenced, and nobody does that", a,
			 b);
}

/* ---- parts of the cluster that do not see each other ---- */

static unsigned part_of(struct world *w, unsigned node)
{
	unsigned part = 1U << node, before = 0;

	while (part != before) {
		before = part;
		for (unsigned i = 0; i < w->node_count; i++) {
			for (unsigned p = 0; p < w->node_count; p++) {
				if (i != p && (sees(w, i, p) || sees(w, p, i)) && part >> i & 1)
					part |= 1U << p;
			}
		}
	}
	return part;
}

/* It counts on somebody who has lost it already, and will be asked before it does anything. */
static bool is_half_open(struct world *w, unsigned node)
{
	for (unsigned p = 0; p < w->node_count; p++) {
		if (p != node && sees(w, node, p) && !sees(w, p, node))
			return true;
	}
	return false;
}

/* What was answered elsewhere is not here, though most disks must have it. */
static void check_quorate(struct world *w, unsigned node, unsigned vnr)
{
	uint64_t bad;

	if (w->params.quorum_min_redundancy == QUORUM_OFF ||
	    node_status(w, node)->volumes[vnr].disk != DISK_UP_TO_DATE || is_half_open(w, node))
		return;
	bad = oracle_check_claim(w, node, 1U << vnr, true);
	if (bad == SIM_NEVER || w->app.suspects[vnr].suspect[node])
		return;
	oracle_explain(w, bad);
	sim_fail(w, "S9: node %u has quorum, and lacks what was answered at sector %llu", node,
		 (unsigned long long)bad);
}

/* Quorum is of no use where all disks are Outdated: nobody is promoted there. */
static bool has_data(struct world *w, unsigned part, unsigned vnr)
{
	for (; part; part &= part - 1) {
		unsigned i = (unsigned)__builtin_ctz(part);

		if (w->nodes[i].up &&
		    node_status(w, i)->volumes[vnr].disk == DISK_UP_TO_DATE)
			return true;
	}
	return false;
}

/* Parts see nothing of each other; one of them has quorum. */
static void check_volume_parts(struct world *w, unsigned vnr)
{
	const struct moments *m = &w->moments;
	unsigned quorate = 0;

	for (unsigned i = 0; i < w->node_count; i++) {
		if (!is_there(w, i) || !node_status(w, i)->volumes[vnr].quorum ||
		    !has_data(w, m->part[i], vnr))
			continue;
		check_quorate(w, i, vnr);
		if (quorate && !(quorate >> i & 1))
			sim_fail(w, "S9: node %u has quorum, and so has a part of the cluster that "
				    "it does not see", i);
		quorate |= m->part[i];
	}
}

static void check_parts(struct world *w)
{
	unsigned part[SIM_NODES_MAX];
	struct moments *m = &w->moments;
	bool same = true;

	for (unsigned i = 0; i < w->node_count; i++) {
		part[i] = is_there(w, i) ? part_of(w, i) : 0;
		same &= part[i] == m->part[i] && w->nodes[i].life == m->life[i];
		m->part[i] = part[i];
		m->life[i] = w->nodes[i].life;
	}
	if (!same || m->parts_since_ns == 0)
		m->parts_since_ns = w->now_ns;
	if (w->now_ns - m->parts_since_ns < APART_NS)
		return;
	for (unsigned v = 0; v < w->params.volumes; v++)
		check_volume_parts(w, v);
}

void moments_check(struct world *w)
{
	check_requests(w);
	for (unsigned a = 0; a < w->node_count; a++) {
		for (unsigned b = 0; b < w->node_count; b++) {
			if (a == b)
				continue;
			check_belief(w, a, b);
			check_one_sided(w, a, b);
			check_exchange(w, a, b);
			check_fenced(w, a, b);
		}
	}
	/* Force says that all others are Outdated, whom nobody has asked. */
	if (!w->plan.forcing &&
	    (w->params.quorum == QUORUM_MAJORITY || w->params.quorum == QUORUM_ALL))
		check_parts(w);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The application and its cluster software: opens the volume
 * on one node at a time, writes, reads, fails over. */
#include <string.h>

#include "meta/meta_super.h"
#include "sim.h"

static void tick_event(struct world *w, uint64_t a, uint64_t b);

static void tick_after(struct world *w, uint64_t ns)
{
	if (w->app.tick_pending)
		return;
	w->app.tick_pending = true;
	world_at(w, ns, tick_event, 0, 0);
}

/* In haste: a hundredth. */
static uint64_t patience(const struct world *w, uint64_t ns)
{
	return w->plan.haste ? ns / 100 + NS_US : ns;
}

static bool is_time_to_close(struct world *w)
{
	return prng_chance(&w->rng, 1, w->plan.haste ? 12 : 60);
}

void app_kick(struct world *w)
{
	tick_after(w, 0);
}

void app_reset(struct world *w)
{
	struct app *app = &w->app;
	uint64_t blocks = w->params.device_sectors / BM_BLOCK_SECTORS;
	uint64_t near = prng_below(&w->rng, blocks);

	memset(app, 0, sizeof(*app));
	app->node = app->last = app->only = -1;
	app->ops_left = w->params.ops;
	app->hot_count = w->params.hot_blocks;
	for (unsigned i = 0; i < app->hot_count; i++) {
		/* Some neighbours, some far away in extents of their own. */
		if (prng_chance(&w->rng, 1, 3))
			near = prng_below(&w->rng, blocks);
		else
			near = (near + prng_below(&w->rng, 4)) % blocks;
		app->hot[i] = near;
	}
}

/* ---- who may be Primary ---- */

static bool lacks_some(struct world *w, unsigned node, unsigned vnr)
{
	return oracle_check_volumes(w, node, 1U << vnr) != SIM_NEVER;
}

static bool super_of(struct world *w, unsigned node, unsigned vnr, struct md_super *super)
{
	const struct node *n = &w->nodes[node];
	const struct md_super *md = node_md(w, node, vnr);

	if (md) {
		*super = *md;
		return true;
	}
	return n->has_disk && disk_super(&n->disk, vnr, super);
}

static bool knows_generation(const struct md_super *super, uint64_t uuid)
{
	if (uuid_eq(super->current_uuid, uuid))
		return true;
	for (unsigned i = 0; i < NODES_MAX; i++) {
		if (uuid_eq(super->peers[i].bitmap_uuid, uuid) || uuid_eq(super->history[i], uuid))
			return true;
	}
	return false;
}

/* What a disk that hangs has been told, and may still have one day. */
static bool knows_what_is_late(struct world *w, unsigned node, unsigned vnr,
			       const struct md_super *mine)
{
	const struct md_image *m = &w->nodes[node].disk.md[vnr];
	bool closing = w->nodes[node].disk.closing >> vnr & 1;
	struct md_super late;

	for (unsigned i = 0; closing && i < m->count; i++) {
		const struct md_op *op = &m->ops[(m->head + i) % MD_OPS_MAX];

		if (op->kind == MOP_SUPER && meta_super_decode(op->block, &late) == META_OK &&
		    !knows_generation(mine, late.current_uuid))
			return false;
	}
	return true;
}

/* No disk has a generation that this node's disk never heard of. */
static bool lineage_ok(struct world *w, unsigned node, unsigned vnr)
{
	struct md_super mine, other;

	if (!super_of(w, node, vnr, &mine))
		return false;
	for (unsigned m = 0; m < w->node_count; m++) {
		if (m == node || !super_of(w, m, vnr, &other) ||
		    other.current_uuid == UUID_JUST_CREATED)
			continue;
		if (!knows_generation(&mine, other.current_uuid) ||
		    !knows_what_is_late(w, m, vnr, &mine))
			return false;
	}
	return true;
}

/* It may not have noticed yet that it is cut off; the cluster software knows. */
static bool in_reach(struct world *w, unsigned node, unsigned m)
{
	const struct status_peer *sp =
		w->nodes[m].up ? status_peer(node_status(w, m), node) : NULL;

	return sp && sp->conn == CONN_CONNECTED && !w->net.down[node][m] && !w->net.down[m][node];
}

/* Disks in reach of a node without one that may go on; where lineages may fork any that lacks
 * nothing. */
static uint32_t choices(struct world *w, unsigned node, unsigned vnr)
{
	uint32_t chosen = 0;

	for (uint32_t sources = app_sources(w, node, vnr); sources != 0; sources &= sources - 1) {
		unsigned m = (unsigned)__builtin_ctz(sources);

		if (in_reach(w, node, m) &&
		    (w->params.careful ? lineage_ok(w, m, vnr) : !lacks_some(w, m, vnr)))
			chosen |= UINT32_C(1) << m;
	}
	return chosen;
}

static bool volume_lineage_ok(struct world *w, unsigned node, unsigned vnr)
{
	return w->nodes[node].has_disk ? lineage_ok(w, node, vnr) :
					 choices(w, node, vnr) != 0;
}

bool app_lineage_ok(struct world *w, unsigned node)
{
	/* With most disks UpToDate at every write, quorum alone has to be enough. */
	if (w->params.quorum_min_redundancy != QUORUM_OFF)
		return true;
	/* Nor will one get it from a Primary that is gone. */
	if (simnet_in_flight(w, P_CURRENT_UUID) || simnet_in_flight(w, P_UUIDS110))
		return false;
	for (unsigned v = 0; v < w->params.volumes; v++) {
		if (!volume_lineage_ok(w, node, v))
			return false;
	}
	return true;
}

static bool volume_is_current(struct world *w, unsigned node, unsigned vnr)
{
	uint32_t disks = w->nodes[node].has_disk ? UINT32_C(1) << node :
						   app_sources(w, node, vnr);

	for (; disks != 0; disks &= disks - 1) {
		unsigned m = (unsigned)__builtin_ctz(disks);

		if ((!w->params.careful || w->app.suspects[vnr].suspect[m]) &&
		    lacks_some(w, m, vnr))
			return false;
	}
	return true;
}

bool app_is_current(struct world *w, unsigned node)
{
	for (unsigned v = 0; v < w->params.volumes; v++) {
		if (!volume_is_current(w, node, v))
			return false;
	}
	return true;
}

static bool may_open(struct world *w, unsigned node)
{
	if (!w->nodes[node].up || w->rival.node == (int)node || !fencing_allows(w, node))
		return false;
	if (w->params.quorum == QUORUM_OFF && w->op_primary >= 0 && w->op_primary != (int)node)
		return false;
	for (unsigned v = 0; v < w->params.volumes; v++) {
		if (!(w->nodes[node].has_disk ? app_sources(w, node, v) : choices(w, node, v)) &&
		    !fencing_may_help(w, node, v))
			return false;
	}
	/* With quorum, or fencing, that has to be enough to keep it away. */
	for (unsigned m = 0; m < w->node_count && !quorum_or_fencing(w); m++) {
		if (m != node && w->nodes[m].up && node_status(w, m)->role == ROLE_PRIMARY)
			return false;
	}
	if (w->params.careful && !fencing_rules(w) && !app_lineage_ok(w, node))
		return false;
	return app_is_current(w, node);
}

/*
 * A promotion may take seconds. The disks for which a node without one was chosen may be out of
 * reach by then, and older ones in their place: without quorum nothing keeps it from going on with
 * those.
 */
static bool has_lost_its_choice(struct world *w, unsigned node)
{
	for (unsigned v = 0; v < w->params.volumes && w->params.quorum == QUORUM_OFF; v++) {
		if (w->app.from[v] && !(w->app.from[v] & choices(w, node, v)))
			return true;
	}
	return false;
}

static void open_next(struct world *w, unsigned node);

static void close_volume(struct world *w, unsigned node, unsigned vnr, sim_reply_fn fn)
{
	node_command(w, node,
		     (struct ev_command){ .cmd = CMD_CLOSE, .vnr = (uint16_t)vnr, .write = true },
		     fn, vnr);
}

static void open_failed(struct world *w, unsigned node)
{
	struct app *app = &w->app;

	while (app->opening > 0)
		close_volume(w, node, --app->opening, NULL);
	app->open_failed++;
	app->phase = APP_IDLE;
	app->node = -1;
	tick_after(w, patience(w, prng_range(&w->rng, 100 * NS_MS, NS_SEC)));
}

static void opened(struct world *w, unsigned node, int rc, uint64_t arg)
{
	struct app *app = &w->app;
	uint64_t bad;

	(void)arg;
	if (app->phase != APP_OPENING || app->node != (int)node)
		return;
	if (rc != 0) {
		open_failed(w, node);
		return;
	}
	if (++app->opening < w->params.volumes) {
		open_next(w, node);
		return;
	}
	app->phase = APP_OPEN;
	app->opened_at = w->oracle.clock;
	app->opens++;
	app->failovers += app->last >= 0 && app->last != (int)node;
	/* Who was to have the rest may have lost it while this promotion was under way. */
	app_track_suspects(w);
	/* It turned out to have everything. */
	app_trusts(w, node);
	app->last = (int)node;
	bad = app_sources_bad(w, node);
	if (bad != SIM_NEVER) {
		quorum_opened_behind(w, node);
		if (has_lost_its_choice(w, node))
			sim_forked(w, "the disks for which a node without one was to be Primary "
				      "got out of its reach");
		if (app_follows_suspect(w, node))
			sim_forked(w, APP_FOLLOWS_SUSPECT);
		oracle_explain(w, bad);
		sim_fail(w,
			 "I1: node %u became Primary without an acknowledged write at sector %llu",
			 node, (unsigned long long)bad);
	}
	app_sources_go_on(w, node);
	quorum_opened(w, node);
	tick_after(w, w->params.think_ns);
}

static void open_next(struct world *w, unsigned node)
{
	node_command(w, node,
		     (struct ev_command){ .cmd = CMD_OPEN, .vnr = (uint16_t)w->app.opening,
					  .write = true },
		     opened, 0);
}

void app_open_on(struct world *w, unsigned node)
{
	ASSERT(w->app.phase == APP_IDLE);
	w->app.phase = APP_OPENING;
	w->app.node = (int)node;
	w->app.opening = 0;
	for (unsigned v = 0; v < w->params.volumes; v++)
		w->app.from[v] = w->nodes[node].has_disk ? 0 : choices(w, node, v);
	open_next(w, node);
}

static void try_open(struct world *w)
{
	struct app *app = &w->app;
	unsigned first = (unsigned)prng_below(&w->rng, w->node_count);

	/* Mostly it stays where it was. */
	if (app->last >= 0 && prng_chance(&w->rng, 1, 2))
		first = (unsigned)app->last;
	for (unsigned i = 0; i < w->node_count; i++) {
		unsigned node = (first + i) % w->node_count;

		if ((app->only >= 0 && node != (unsigned)app->only) || !may_open(w, node))
			continue;
		app_open_on(w, node);
		return;
	}
	tick_after(w, patience(w, 200 * NS_MS));
}

static void closed(struct world *w, unsigned node, int rc, uint64_t vnr)
{
	struct app *app = &w->app;

	if (app->phase != APP_CLOSING || app->node != (int)node)
		return;
	if (rc != 0)
		sim_fail(w, "node %u: close failed with %d", node, rc);
	if (vnr > 0) {
		close_volume(w, node, (unsigned)vnr - 1, closed);
		return;
	}
	app->phase = APP_IDLE;
	app->node = -1;
	tick_after(w, patience(w, prng_below(&w->rng, 2 * NS_SEC)));
}

/* ---- I/O ---- */

static void pick_range(struct world *w, struct app_io *io)
{
	uint64_t sector = w->app.hot[prng_below(&w->rng, w->app.hot_count)] * BM_BLOCK_SECTORS;
	unsigned vnr = sim_any_volume(w);
	uint64_t sectors = BM_BLOCK_SECTORS;
	uint64_t device = vnr == SIM_VNR ? resize_app_sectors(w) : sim_volume_sectors(w, vnr);
	unsigned dice = (unsigned)prng_below(&w->rng, 100);

	if (dice < 15) {
		/* A part of a block. */
		sector += prng_below(&w->rng, BM_BLOCK_SECTORS);
		sectors = prng_range(&w->rng, 1, BM_BLOCK_SECTORS);
	} else if (dice < 35) {
		sectors = BM_BLOCK_SECTORS * prng_range(&w->rng, 2, 16);
	} else if (dice < 37) {
		sector += prng_below(&w->rng, BM_BLOCK_SECTORS);
		sectors = prng_range(&w->rng, 1, SIM_IO_BYTES_MAX / SECTOR_BYTES);
	}
	/* It has grown: now and then in what is new. */
	if (device > w->params.device_sectors && prng_chance(&w->resize_rng, 1, 4))
		sector = prng_below(&w->resize_rng, device);
	if (sectors > device)
		sectors = device;
	if (sector > device - sectors)
		sector = device - sectors;
	io->sector = sim_sector(vnr, sector);
	io->bytes = (uint32_t)(sectors * SECTOR_BYTES);
}

static void pick_io(struct world *w, struct app_io *io)
{
	unsigned dice = (unsigned)prng_below(&w->rng, 100);

	io->fua = false;
	if (dice < 8) {
		io->op = OP_FLUSH;
		io->sector = sim_sector(sim_any_volume(w), 0);
		io->bytes = 0;
		return;
	}
	pick_range(w, io);
	if (dice < 70) {
		io->op = OP_WRITE;
		io->fua = prng_chance(&w->rng, 1, 16);
	} else if (dice < 92) {
		io->op = OP_READ;
	} else {
		io->op = dice < 97 ? OP_DISCARD : OP_ZEROES;
	}
}

/* Sends a filled-in request on its way. */
static void send_io(struct world *w, struct app_io *io)
{
	struct app *app = &w->app;
	struct core_event ev = { .kind = EV_SUBMIT };
	struct ev_submit *s = &ev.u.submit;
	unsigned node = (unsigned)app->node;

	io->in_use = true;
	io->cookie = ++app->cookie;
	io->start_ns = w->now_ns;
	*s = (struct ev_submit){ .cookie = io->cookie, .vnr = (uint16_t)sim_vnr(io->sector),
				 .op = io->op, .sector = io->sector % SIM_DEVICE_SECTORS_MAX,
				 .bytes = io->bytes, .fua = io->fua };
	if (io->op == OP_WRITE || io->op == OP_DISCARD || io->op == OP_ZEROES)
		io->write = oracle_issue(w, io->sector, io->bytes / SECTOR_BYTES,
					 io->op != OP_WRITE);
	if (io->op == OP_WRITE || io->op == OP_DISCARD || io->op == OP_ZEROES)
		w->oracle.ops[io->write].node = (int8_t)node;
	if (io->op == OP_WRITE) {
		uint64_t *tags;

		s->payload = payload_new(w, node, io->bytes);
		tags = payload_tags(w, s->payload);
		for (uint32_t i = 0; i < io->bytes / SECTOR_BYTES; i++)
			tags[i] = oracle_value(w, io->write, io->sector + i);
	}
	io->since = ++w->oracle.clock;
	app->in_flight++;
	sim_trace(w, "node %u app #%llu %s %u:%llu+%u%s", node, (unsigned long long)io->cookie,
		  (const char *[]){ "read", "write", "discard", "zeroes", "flush" }[io->op],
		  s->vnr, (unsigned long long)s->sector, io->bytes, io->fua ? " fua" : "");
	node_step(w, node, &ev);
}

static struct app_io *free_io(struct app *app)
{
	struct app_io *io = app->io;

	while (io->in_use)
		io++;
	ASSERT(io < app->io + APP_IOS_MAX);
	return io;
}

static void submit(struct world *w)
{
	struct app_io *io = free_io(&w->app);

	pick_io(w, io);
	w->app.ops_left--;
	if (schedule_op(w))
		send_io(w, io);
}

void app_do(struct world *w, enum request_op op, uint64_t sector, uint32_t bytes)
{
	struct app_io *io = free_io(&w->app);

	ASSERT(w->app.phase == APP_OPEN);
	io->op = op;
	io->sector = sector;
	io->bytes = bytes;
	io->fua = false;
	send_io(w, io);
}

static void check_read(struct world *w, const struct app_io *io, struct payload payload)
{
	const uint64_t *tags;

	if (payload.bytes != io->bytes)
		sim_fail(w, "read #%llu of %u bytes returned %u", (unsigned long long)io->cookie,
			 io->bytes, payload.bytes);
	tags = payload_tags(w, payload);
	for (uint32_t i = 0; i < io->bytes / SECTOR_BYTES; i++) {
		if (verify_may_read_damage(w, io->sector + i))
			continue;
		if (oracle_legal(w, io->sector + i, tags[i], io->since)) {
			moments_read(w, io->sector + i, tags[i], io->since);
			continue;
		}
		oracle_explain(w, io->sector + i);
		sim_fail(w, "I6: read #%llu at sector %llu returned %llx",
			 (unsigned long long)io->cookie, (unsigned long long)(io->sector + i),
			 (unsigned long long)tags[i]);
	}
}

static void io_ended(struct world *w, unsigned node, struct app_io *io,
		     const struct ac_complete *ac)
{
	switch (io->op) {
	case OP_READ:
		if (ac->error)
			break;
		/* A Primary that does not know yet that another one goes on shows what it has. */
		if (!quorum_superseded(w, node))
			check_read(w, io, ac->payload);
		payload_core_put(w, node, ac->payload);
		break;
	case OP_WRITE:
	case OP_DISCARD:
	case OP_ZEROES:
		if (ac->error)
			oracle_fail(w, io->write);
		else
			oracle_ack(w, io->write);
		quorum_write_ended(w, node, io->write, ac->error);
		if (ac->error)
			break;
		if (io->fua)
			oracle_op_durable(w, io->write);
		break;
	case OP_FLUSH:
		if (!ac->error)
			oracle_durable(w, sim_vnr(io->sector), io->since, node);
		break;
	}
}

void app_completed(struct world *w, unsigned node, const struct ac_complete *ac)
{
	struct app *app = &w->app;
	struct app_io *io = NULL;

	if (ac->cookie >= GUEST_COOKIE) {
		guest_completed(w, node, ac);
		return;
	}
	if (ac->cookie >= RIVAL_COOKIE) {
		rival_completed(w, node, ac);
		return;
	}
	if (ac->cookie >= APP_COOKIE_FOREIGN) {
		app->foreign_done += ac->error == 0;
		return;
	}
	for (unsigned i = 0; i < APP_IOS_MAX; i++) {
		if (app->io[i].in_use && app->io[i].cookie == ac->cookie)
			io = &app->io[i];
	}
	if (!io || app->node != (int)node)
		sim_fail(w, "node %u completes request %llu, which is not in flight", node,
			 (unsigned long long)ac->cookie);
	io_ended(w, node, io, ac);
	io->in_use = false;
	app->in_flight--;
	app->done++;
	if (ac->error) {
		app->errors++;
		/* Something is wrong with this node: the cluster software moves on. */
		if (app->phase == APP_OPEN)
			app->phase = APP_DRAINING;
	}
	tick_after(w, prng_exp(&w->rng, w->params.think_ns));
}

static void tick_event(struct world *w, uint64_t a, uint64_t b)
{
	struct app *app = &w->app;

	(void)a;
	(void)b;
	if (app->node >= 0 && node_holds(w, (unsigned)app->node, tick_event, 0, 0))
		return;
	app->tick_pending = false;
	app_track_suspects(w);
	if (app->phase == APP_IDLE && app->ops_left > 0 && !app->stop)
		try_open(w);
	if (app->phase == APP_OPEN && (app->stop || (!app->quiet && is_time_to_close(w))))
		app->phase = APP_DRAINING;
	if (app->phase == APP_OPEN && app->ops_left > 0 && !app->quiet) {
		if (app->in_flight < w->params.qd && core_room(w->nodes[app->node].core) > 0)
			submit(w);
		/* A crash in the step may have ended it all. */
		tick_after(w, prng_exp(&w->rng, w->params.think_ns));
	} else if (app->phase == APP_DRAINING && app->in_flight == 0) {
		app->phase = APP_CLOSING;
		close_volume(w, (unsigned)app->node, w->params.volumes - 1, closed);
	}
}

/* ---- deaths ---- */

void app_trusts(struct world *w, unsigned node)
{
	for (unsigned v = 0; v < w->params.volumes; v++)
		w->app.suspects[v].suspect[node] = false;
}

static void holder_lost(struct world *w, unsigned node, unsigned vnr)
{
	struct app_suspects *a = &w->app.suspects[vnr];

	for (unsigned s = 0; s < w->node_count; s++) {
		if (!a->suspect[s])
			continue;
		a->holders[s] &= ~(1U << node);
		if (a->holders[s] != 0)
			continue;
		a->suspect[s] = false;
		oracle_relax(w, vnr);
	}
}

static bool both_current(struct world *w, unsigned a, unsigned b, unsigned vnr)
{
	return w->nodes[a].up && w->nodes[b].up &&
	       status_peer_uptodate(node_status(w, a), b, vnr) &&
	       status_peer_uptodate(node_status(w, b), a, vnr);
}

static bool sees_any(struct world *w, unsigned node, unsigned nodes)
{
	for (unsigned m = 0; m < w->node_count; m++) {
		const struct status_peer *sp = nodes & 1U << m && m != node ?
						       status_peer(node_status(w, node), m) : NULL;

		if (sp && sp->conn == CONN_CONNECTED)
			return true;
	}
	return false;
}

/*
 * Who equals what a power loss has left has no more than that, and cannot know it while nobody is
 * in sight who holds the rest.
 */
static void track_copies(struct world *w, unsigned of, unsigned vnr)
{
	struct app_suspects *a = &w->app.suspects[vnr];

	for (unsigned m = 0; m < w->node_count; m++) {
		if (a->suspect[m] || a->holders[of] & 1U << m || !both_current(w, of, m, vnr) ||
		    sees_any(w, m, a->holders[of]) || !lacks_some(w, m, vnr))
			continue;
		a->suspect[m] = a->copy[m] = true;
		a->holders[m] = a->holders[of];
	}
}

static void track_volume(struct world *w, unsigned vnr)
{
	struct app_suspects *a = &w->app.suspects[vnr];

	for (unsigned s = 0; s < w->node_count; s++) {
		if (a->suspect[s] && w->nodes[s].up)
			track_copies(w, s, vnr);
		if (a->copy[s] && w->nodes[s].up && sees_any(w, s, a->holders[s]))
			a->suspect[s] = a->copy[s] = false;
	}
	for (unsigned s = 0; s < w->node_count; s++) {
		for (unsigned m = 0; m < w->node_count && a->suspect[s]; m++) {
			if (!(a->holders[s] & 1U << m))
				continue;
			if (node_status(w, m)->volumes[vnr].disk != DISK_UP_TO_DATE)
				holder_lost(w, m, vnr);
			else if (w->nodes[s].up && both_current(w, s, m, vnr))
				a->suspect[s] = false;
		}
	}
}

void app_track_suspects(struct world *w)
{
	for (unsigned v = 0; v < w->params.volumes; v++)
		track_volume(w, v);
}

bool app_follows_suspect(struct world *w, unsigned node)
{
	const struct resource_status *st = node_status(w, node);

	for (unsigned v = 0; v < w->params.volumes; v++) {
		const struct app_suspects *a = &w->app.suspects[v];

		for (unsigned m = 0; m < w->node_count; m++) {
			const struct status_peer *sp = m != node ? status_peer(st, m) : NULL;

			if (sp && sp->conn == CONN_CONNECTED && a->suspect[m] &&
			    sp->devices[v].peer_disk == DISK_UP_TO_DATE &&
			    st->volumes[v].disk != DISK_UP_TO_DATE && lacks_some(w, m, v) &&
			    !sees_any(w, m, a->holders[m]) && !sees_any(w, node, a->holders[m]))
				return true;
		}
	}
	return false;
}

/*
 * With protocol A a Primary's own disk counts, not what the peer may have got: also that of
 * one that nobody uses any more, and that has not found everybody's consent to be a Secondary.
 */
static bool holds_for(struct world *w, unsigned node, unsigned m, unsigned vnr)
{
	if (w->params.protocol[node][m] == PROTOCOL_A &&
	    (w->app.node == (int)node || w->rival.node == (int)node ||
	     node_status(w, node)->role == ROLE_PRIMARY))
		return false;
	return both_current(w, node, m, vnr) && (!oracle_may_lag(w, m) || !lacks_some(w, m, vnr));
}

static void volume_node_died(struct world *w, unsigned node, unsigned vnr, bool power)
{
	struct app_suspects *a = &w->app.suspects[vnr];
	unsigned holders = 0;

	for (unsigned m = 0; m < w->node_count; m++) {
		if (m != node && holds_for(w, node, m, vnr))
			holders |= 1U << m;
	}
	holder_lost(w, node, vnr);
	/* Lost twice, and not yet repaired: the holders of the first time still count. */
	if (!power || !w->nodes[node].has_disk || a->suspect[node] || lacks_some(w, node, vnr))
		return;
	a->suspect[node] = holders != 0;
	a->copy[node] = false;
	a->holders[node] = holders;
	if (holders == 0)
		oracle_relax(w, vnr);
}

void app_disk_forgets(struct world *w, unsigned node, unsigned vnr)
{
	w->oracle.torn[node] = true;
	volume_node_died(w, node, vnr, true);
}

void app_node_died(struct world *w, unsigned node, bool power)
{
	struct app *app = &w->app;

	app_track_suspects(w);
	for (unsigned v = 0; v < w->params.volumes; v++)
		volume_node_died(w, node, v, power);
	if (app->node != (int)node)
		return;
	for (unsigned i = 0; i < APP_IOS_MAX; i++) {
		struct app_io *io = &app->io[i];

		if (!io->in_use)
			continue;
		if (io->op == OP_WRITE || io->op == OP_DISCARD || io->op == OP_ZEROES)
			oracle_fail(w, io->write);
		io->in_use = false;
	}
	app->in_flight = 0;
	app->phase = APP_IDLE;
	app->node = -1;
	tick_after(w, patience(w, prng_range(&w->rng, 100 * NS_MS, 5 * NS_SEC)));
}

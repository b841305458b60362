/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A node: the driver of one core, as the daemon's shard is one. Start, step, death. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/preset_conf.h"
#include "sim.h"

/* ---- configuration ---- */

static void crypto_random(void *ctx, void *out, size_t bytes)
{
	struct node *n = ctx;

	prng_bytes(&n->rng, out, bytes);
}

/* A keyed mix is enough: the simulator tests the exchange, not the digest. */
static size_t crypto_hmac(void *ctx, const char *alg, const void *key, size_t key_bytes,
			  const void *msg, size_t msg_bytes, uint8_t out[64])
{
	const uint8_t *k = key, *m = msg;
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	(void)ctx;
	if (strcmp(alg, "sha256") != 0)
		return 0;
	for (size_t i = 0; i < key_bytes; i++)
		h = (h ^ k[i]) * UINT64_C(0x100000001b3);
	for (size_t i = 0; i < msg_bytes; i++)
		h = (h ^ m[i]) * UINT64_C(0x100000001b3);
	for (unsigned i = 0; i < 4; i++) {
		h = (h ^ i) * UINT64_C(0x9e3779b97f4a7c15);
		memcpy(out + 8 * i, &h, 8);
	}
	return 32;
}

static size_t crypto_digest_bytes(void *ctx, const char *alg)
{
	(void)ctx;
	return strcmp(alg, SIM_DIGEST) == 0 ? 8 : 0;
}

static void node_log(void *ctx, enum log_level level, const char *line)
{
	struct node *n = ctx;
	const char *range = strstr(line, ": out of sync: sector ");
	unsigned long long sector, sectors;
	unsigned vnr = 0;

	(void)level;
	sim_trace(n->world, "node %u log %s", n->id, line);
	/* With quorum a fork without an answered write in it settles itself. */
	if (strstr(line, "plit brain") || strstr(line, "nrelated") ||
	    (strstr(line, "plit-brain") && n->world->params.quorum == QUORUM_OFF))
		n->saw_split_brain = true;
	if (range && sscanf(range, ": out of sync: sector %llu, %llu", &sector, &sectors) == 2 &&
	    sscanf(line, "r0/%u", &vnr) == 1)
		verify_reported(n->world, n->id, sim_sector(vnr, sector), sectors);
}

static void conf_net(struct world *w, struct core_net_conf *net, enum wire_protocol protocol)
{
	net->protocol = protocol;
	net->fencing = w->params.fencing;
	net->two_primaries = w->params.two_primaries;
	net->max_epoch_size = w->params.max_epoch_size;
	snprintf(net->verify_alg, sizeof(net->verify_alg), SIM_DIGEST);
	if (w->params.csums)
		snprintf(net->csums_alg, sizeof(net->csums_alg), SIM_DIGEST);
	net->csums_after_crash_only = w->params.csums_after_crash_only;
	if (w->params.auth) {
		snprintf(net->cram_hmac_alg, sizeof(net->cram_hmac_alg), "sha256");
		snprintf(net->shared_secret, sizeof(net->shared_secret), "secret");
	}
}

static void make_bitmap(struct world *w, struct node *n, unsigned vnr)
{
	struct bm_store *bm = &n->bm[vnr];
	uint64_t words = n->disk.md[vnr].layout.bitmap_pages *
				 (MD_PAGE_BYTES / sizeof(uint64_t)) / (w->params.nodes - 1) + 64;
	uint32_t slots = n->disk.md[vnr].max_peers;

	if (slots < w->params.nodes - 1)
		slots = w->params.nodes - 1;
	if (n->bm_cap_words[vnr] < words * slots) {
		n->bm_cap_words[vnr] = words * slots;
		n->bm_words[vnr] = realloc(n->bm_words[vnr],
					   n->bm_cap_words[vnr] * sizeof(uint64_t));
		ASSERT(n->bm_words[vnr]);
	}
	memset(bm, 0, sizeof(*bm));
	bm->words_per_slot = words;
	for (unsigned s = 0; s < slots; s++)
		bm->slot[s] = n->bm_words[vnr] + s * words;
}

static void conf_volumes(const struct world *w, const struct node *n, struct core_conf *conf)
{
	struct core_disk_conf *disk = &conf->volumes[0].disk;

	disk->al_extents = w->params.al_extents;
	if (w->params.pass_on)
		disk->on_io_error = IOERR_PASS_ON;
	disk->has_disk = n->has_disk;
	disk->disk_timeout_ds = w->params.disk_timeout_ds;
	disk->read_balancing = w->params.read_balancing;
	disk->rs_discard_bytes = w->params.rs_discard_bytes;
	disk->rs_without_replication = w->params.rs_without_replication;
	conf->volume_count = w->params.volumes;
	for (unsigned v = 0; v < w->params.volumes; v++)
		conf->volumes[v] = (struct core_volume_conf){
			.vnr = (uint16_t)v, .disk = *disk,
			.far_disks = sim_far_disks(&w->params, n->id),
		};
}

void node_init(struct world *w, unsigned node)
{
	struct node *n = &w->nodes[node];
	struct core_conf *conf = &n->conf;
	n->world = w;
	n->id = (uint8_t)node;
	n->up = n->starting = n->paused = n->saw_split_brain = false;
	n->attached = 0;
	n->held.count = 0;
	n->die_after_actions = 0;
	n->die_power = false;
	n->timer_ns = SIM_NEVER;
	n->life = 0;
	n->has_disk = sim_has_disk(&w->params, node);
	prng_seed(&n->rng, prng_u64(&w->rng));
	disk_reset(w, node);
	/* Also without a disk: nothing of an earlier life may be left. */
	disk_create_md(w, node);
	for (unsigned v = 0; v < w->params.volumes; v++)
		make_bitmap(w, n, v);

	preset_resource(conf, node);
	conf_volumes(w, n, conf);
	conf->quorum = w->params.quorum;
	conf->quorum_min_redundancy = w->params.quorum_min_redundancy;
	conf->on_no_quorum = w->params.on_no_quorum;
	conf->on_no_data = w->params.on_no_data;
	conf->on_suspended_primary_outdated = w->params.on_outdated;
	for (unsigned p = 0; p < w->params.nodes; p++) {
		struct core_peer_conf *pc = &conf->peers[conf->peer_count];

		if (p == node || !sim_linked(&w->params, node, p))
			continue;
		preset_peer(pc, p);
		for (unsigned v = 0; v < w->params.volumes; v++)
			pc->has_disk[v] = sim_has_disk(&w->params, p);
		conf_net(w, &pc->net, (enum wire_protocol)w->params.protocol[node][p]);
		conf->peer_count++;
	}
	conf->requests_max = w->params.requests_max;
	conf->request_bytes_max = 8U << 20;
	/* As in the daemon no more than a Primary's log: what it has acknowledged late waits. */
	conf->peer_requests_max = w->params.requests_max;
	conf->crypto = (struct core_crypto){ .ctx = n, .random = crypto_random,
					     .hmac = crypto_hmac,
					     .digest_bytes = crypto_digest_bytes };
	conf->handlers = w->params.handlers;
	conf->log = node_log;
	conf->log_ctx = n;
	conf->test_skip_al = w->params.skip_al;
}

/* ---- commands ---- */

static void command_event(struct world *w, uint64_t slot, uint64_t cookie)
{
	struct sim_command *c = &w->commands[slot];
	struct core_event ev = { .kind = EV_COMMAND };

	if (c->cookie != cookie || !w->nodes[c->node].up ||
	    node_holds(w, c->node, command_event, slot, cookie))
		return;
	ev.u.command = c->cmd;
	sim_trace(w, "node %u command %u", c->node, c->cmd.cmd);
	moments_command(w, c->node, &c->cmd);
	node_step(w, c->node, &ev);
}

void node_command(struct world *w, unsigned node, struct ev_command cmd, sim_reply_fn fn,
		  uint64_t arg)
{
	for (unsigned i = 0; i < SIM_COMMANDS_MAX; i++) {
		struct sim_command *c = &w->commands[i];

		if (c->cookie != 0)
			continue;
		c->cookie = cmd.cookie = ++w->command_cookie;
		c->node = (uint8_t)node;
		c->fn = fn;
		c->arg = arg;
		c->cmd = cmd;
		world_at(w, 0, command_event, i, c->cookie);
		return;
	}
	sim_fail(w, "node %u: too many commands without a reply, the oldest is %u", node,
		 w->commands[0].cmd.cmd);
}

static void reply(struct world *w, unsigned node, const struct ac_reply *ac)
{
	for (unsigned i = 0; i < SIM_COMMANDS_MAX; i++) {
		struct sim_command *c = &w->commands[i];

		if (c->cookie != ac->cookie || c->cookie == 0)
			continue;
		if (c->node != node)
			break;
		sim_trace(w, "node %u reply to command %u: %d %s", node, c->cmd.cmd, ac->rc,
			  ac->text);
		c->cookie = 0;
		if (c->fn)
			c->fn(w, node, ac->rc, c->arg);
		return;
	}
	sim_fail(w, "node %u replies to an unknown command", node);
}

static void forget_commands(struct world *w, unsigned node)
{
	for (unsigned i = 0; i < SIM_COMMANDS_MAX; i++) {
		if (w->commands[i].node == node)
			w->commands[i].cookie = 0;
	}
}

/* ---- steps ---- */

static void act(struct world *w, struct node *n, const struct core_action *ac)
{
	switch (ac->kind) {
	case AC_COMPLETE:
		app_completed(w, n->id, &ac->u.complete);
		break;
	case AC_SEND:
		simnet_send(w, n->id, &ac->u.send);
		break;
	case AC_SEND_BITMAP:
		simnet_send_bitmap(w, n->id, &ac->u.send_bitmap);
		break;
	case AC_CONNECT:
		simnet_want(w, n->id, ac->u.peer);
		break;
	case AC_DISCONNECT:
		moments_closed(w, n->id, ac->u.peer);
		simnet_close(w, n->id, ac->u.peer);
		break;
	case AC_DISK_READ:
		disk_submit(w, n->id, DOP_READ, &ac->u.disk);
		break;
	case AC_DISK_WRITE:
		disk_submit(w, n->id, DOP_WRITE, &ac->u.disk);
		break;
	case AC_DISK_DISCARD:
		disk_submit(w, n->id, DOP_DISCARD, &ac->u.disk);
		break;
	case AC_DISK_ZEROES:
		disk_submit(w, n->id, DOP_ZEROES, &ac->u.disk);
		break;
	case AC_DISK_FLUSH:
		disk_submit(w, n->id, DOP_FLUSH, &ac->u.disk);
		break;
	case AC_SAVE:
		disk_submit(w, n->id, DOP_SAVE, &ac->u.disk);
		break;
	case AC_META_SUPER:
	case AC_META_AL:
	case AC_META_BITMAP:
	case AC_META_FLUSH:
		md_submit(w, n->id, ac->kind, &ac->u.meta);
		break;
	case AC_ATTACH:
		disk_attach(w, n->id, ac->u.attach.vnr);
		break;
	case AC_DETACH:
		disk_detach(w, n->id, ac->u.vnr);
		break;
	case AC_RESIZE:
		disk_resize(w, n->id, &ac->u.resize);
		break;
	case AC_BUF_PUT:
		payload_core_put(w, n->id, ac->u.payload);
		break;
	case AC_SIZE:
		n->size_sectors[ac->u.size.vnr] = ac->u.size.sectors;
		break;
	case AC_REPLY:
		quorum_command_replied(w, n->id);
		reply(w, n->id, &ac->u.reply);
		break;
	case AC_NOTIFY:
		break;
	case AC_HANDLER:
		handler_runs(w, n->id, &ac->u.handler);
		break;
	}
}

static void trace_action(struct world *w, const struct node *n, const struct core_action *ac)
{
	static const char *const names[] = {
		"COMPLETE", "SEND", "SEND_BITMAP", "CONNECT", "DISCONNECT", "DISK_READ",
		"DISK_WRITE", "DISK_DISCARD", "DISK_ZEROES", "DISK_FLUSH", "SAVE", "META_SUPER",
		"META_AL", "META_BITMAP", "META_FLUSH", "ATTACH", "DETACH", "RESIZE", "BUF_PUT",
		"SIZE", "REPLY", "NOTIFY", "HANDLER",
	};
	const char *name = names[ac->kind];

	sim_hash(w, (uint64_t)ac->kind << 8 | n->id);
	if (!w->trace)
		return;
	switch (ac->kind) {
	case AC_COMPLETE:
		sim_trace(w, "node %u %s #%llu error %d", n->id, name,
			  (unsigned long long)ac->u.complete.cookie, ac->u.complete.error);
		break;
	case AC_CONNECT:
	case AC_DISCONNECT:
		sim_trace(w, "node %u %s %u", n->id, name, ac->u.peer);
		break;
	case AC_DISK_READ:
	case AC_DISK_WRITE:
	case AC_DISK_DISCARD:
	case AC_DISK_ZEROES:
	case AC_DISK_FLUSH:
		sim_trace(w, "node %u %s %u:%llu+%u%s tag %llx", n->id, name, ac->u.disk.vnr,
			  (unsigned long long)ac->u.disk.sector, ac->u.disk.bytes,
			  ac->u.disk.fua ? " fua" : "", (unsigned long long)ac->u.disk.tag);
		break;
	case AC_META_SUPER:
		sim_trace(w, "node %u %s %u uuid %016llx flags %x", n->id, name, ac->u.meta.vnr,
			  (unsigned long long)ac->u.meta.super->current_uuid,
			  ac->u.meta.super->flags);
		break;
	case AC_META_AL:
		sim_trace(w, "node %u %s %u number %u, %u updates, first extent %u", n->id, name,
			  ac->u.meta.vnr,
			  ac->u.meta.al->number, ac->u.meta.al->update_count,
			  ac->u.meta.al->update_extent[0]);
		break;
	case AC_META_BITMAP:
		sim_trace(w, "node %u %s %u page %llu", n->id, name, ac->u.meta.vnr,
			  (unsigned long long)ac->u.meta.page);
		break;
	case AC_SIZE:
		sim_trace(w, "node %u %s %u %llu sectors%s%s%s", n->id, name, ac->u.size.vnr,
			  (unsigned long long)ac->u.size.sectors,
			  ac->u.size.readable ? " readable" : "",
			  ac->u.size.writable ? " writable" : "",
			  ac->u.size.local_reads ? " local reads" : "");
		break;
	case AC_META_FLUSH:
	case AC_ATTACH:
	case AC_DETACH:
		sim_trace(w, "node %u %s", n->id, name);
		break;
	default:
		break;
	}
}

static void timer_event(struct world *w, uint64_t node, uint64_t life)
{
	struct node *n = &w->nodes[node];
	struct core_event ev = { .kind = EV_TIME };

	if (!n->up || n->life != life || n->timer_ns > w->now_ns ||
	    node_holds(w, n->id, timer_event, node, life))
		return;
	n->timer_ns = SIM_NEVER;
	node_step(w, n->id, &ev);
}

static void arm_timer(struct world *w, struct node *n)
{
	uint64_t deadline = core_deadline_ns(n->core);
	uint64_t at;

	if (deadline == UINT64_MAX) {
		n->timer_ns = SIM_NEVER;
		return;
	}
	at = deadline > n->epoch_ns ? deadline - n->epoch_ns : 0;
	if (at < w->now_ns)
		at = w->now_ns;
	/* A core that asks for a time in the past again and again must not stop the clock. */
	if (at == w->now_ns)
		at += NS_US;
	if (at == n->timer_ns)
		return;
	n->timer_ns = at;
	world_at(w, at - w->now_ns, timer_event, n->id, n->life);
}

static int trace_volume(const struct resource_status *st, unsigned vnr, char *line, size_t n)
{
	int used = snprintf(line, n, " | %u: %s%s", vnr, disk_state_name(st->volumes[vnr].disk),
			    st->volumes[vnr].quorum ? "" : " without quorum");

	for (unsigned i = 0; i < st->peer_count && used < (int)n - 1; i++) {
		const struct status_peer_device *device = &st->peers[i].devices[vnr];

		used += snprintf(line + used, n - (size_t)used, "  %u:%s/%s oos %llu",
				 st->peers[i].node_id, repl_state_name(device->repl),
				 disk_state_name(device->peer_disk),
				 (unsigned long long)device->out_of_sync_sectors);
	}
	return used;
}

/* The states of the node in one line, whenever they changed. */
static void trace_state(struct world *w, struct node *n)
{
	const struct resource_status *st;
	char line[1000];
	int used;

	if (!w->trace)
		return;
	st = node_status(w, n->id);
	used = snprintf(line, sizeof(line), "%s %s%s", role_name(st->role),
			disk_state_name(st->volumes[0].disk),
			st->volumes[0].quorum ? "" : " without quorum");
	for (unsigned i = 0; i < st->peer_count && used < (int)sizeof(line) - 1; i++) {
		const struct status_peer *sp = &st->peers[i];

		used += snprintf(line + used, sizeof(line) - (size_t)used,
				 "  %u:%s/%s/%s/%s oos %llu", sp->node_id,
				 conn_state_name(sp->conn), role_name(sp->role),
				 repl_state_name(sp->devices[0].repl),
				 disk_state_name(sp->devices[0].peer_disk),
				 (unsigned long long)sp->devices[0].out_of_sync_sectors);
	}
	for (unsigned v = 1; v < w->params.volumes && used < (int)sizeof(line) - 1; v++)
		used += trace_volume(st, v, line + used, sizeof(line) - (size_t)used);
	if (strcmp(line, n->state_line) == 0)
		return;
	snprintf(n->state_line, sizeof(n->state_line), "%s", line);
	sim_trace(w, "node %u is %s", n->id, line);
}

void node_step(struct world *w, unsigned node, struct core_event *ev)
{
	struct node *n = &w->nodes[node];
	struct core_action ac;
	unsigned actions = 0;

	if (w->tap)
		w->tap(w, node, ev);
	if (!n->up || w->tap)
		return;
	ev->now_ns = w->now_ns + n->epoch_ns;
	sim_hash(w, (uint64_t)ev->kind << 16 | (uint64_t)node << 8 | 1);
	sim_hash(w, w->now_ns);
	quorum_step_begins(w, node, ev);
	w->status_step[node] = SIM_NEVER;
	core_step(n->core, ev);
	while (core_next(n->core, &ac)) {
		trace_action(w, n, &ac);
		act(w, n, &ac);
		if (++actions > 100000)
			sim_fail(w, "node %u: one step does not end", node);
		if (n->die_after_actions > 0 && --n->die_after_actions == 0) {
			node_kill(w, node, n->die_power);
			return;
		}
	}
	quorum_step_ends(w, node);
	arm_timer(w, n);
	trace_state(w, n);
	simnet_read_on(w, node);
}

bool node_has_room(struct world *w, unsigned node, unsigned from, uint16_t type)
{
	struct node *n = &w->nodes[node];

	if (w->tap || core_peer_room(n->core, (uint8_t)from, type))
		return true;
	sim_trace(w, "node %u has no room for %s of node %u", node, packet_name(type), from);
	arm_timer(w, n);
	return false;
}

/* ---- pauses ---- */

void node_pause(struct world *w, unsigned node)
{
	w->nodes[node].paused = w->nodes[node].up;
}

void node_unpause(struct world *w, unsigned node)
{
	struct node *n = &w->nodes[node];

	if (!n->paused)
		return;
	sim_trace(w, "node %u goes on: %u events", node, n->held.count);
	n->paused = false;
	world_release(w, &n->held);
}

bool node_holds(struct world *w, unsigned node, sim_event_fn fn, uint64_t a, uint64_t b)
{
	if (!w->nodes[node].paused)
		return false;
	world_hold(&w->nodes[node].held, fn, a, b);
	return true;
}

/* ---- life and death ---- */

void node_start(struct world *w, unsigned node)
{
	struct node *n = &w->nodes[node];
	size_t bytes = core_mem_bytes(&n->conf);

	ASSERT(!n->up);
	sim_trace(w, "node %u starts", node);
	if (n->mem_bytes < bytes) {
		free(n->mem);
		n->mem = aligned_alloc(64, (bytes + 63) / 64 * 64);
		ASSERT(n->mem);
		n->mem_bytes = bytes;
	}
	free(n->more);
	n->more = NULL;
	n->up = true;
	n->starting = false;
	n->life++;
	n->timer_ns = SIM_NEVER;
	n->attached = 0;
	n->die_after_actions = 0;
	memset(n->size_sectors, 0, sizeof(n->size_sectors));
	/* Clocks of two starts have nothing to do with each other. */
	n->epoch_ns = prng_below(&w->rng, 1000 * NS_SEC);
	n->core = core_create(&n->conf, n->mem, n->mem_bytes);
	oracle_node_started(w, node);
	simnet_node_started(w, node);
	for (unsigned v = 0; n->has_disk && v < w->params.volumes; v++)
		node_command(w, node, (struct ev_command){ .cmd = CMD_ATTACH, .vnr = (uint16_t)v },
			     NULL, 0);
	for (unsigned p = 0; p < w->node_count; p++) {
		if (p != node)
			node_command(w, node,
				     (struct ev_command){ .cmd = CMD_CONNECT, .peer = (uint8_t)p },
				     NULL, 0);
	}
}

void node_kill(struct world *w, unsigned node, bool power)
{
	struct node *n = &w->nodes[node];
	enum power_mode mode = (enum power_mode)prng_below(&w->rng, POWER_MODES);

	if (!n->up)
		return;
	check_primary_peers(w);
	sim_trace(w, "node %u dies%s%s", node, power ? ", power lost, mode " : "",
		  power ? (const char *[]){ "all", "none", "random", "prefix" }[mode] : "");
	node_unpause(w, node);
	app_node_died(w, node, power);
	rival_node_died(w, node);
	guest_node_died(w, node);
	n->up = false;
	n->life++;
	n->attached = 0;
	n->die_after_actions = 0;
	forget_commands(w, node);
	disk_process_died(w, node);
	disk_unhang(w, node);
	simnet_node_died(w, node, power);
	payload_node_died(w, node);
	if (power) {
		w->oracle.torn[node] = true;
		disk_power_lost(w, node, mode);
	}
	w->status_step[node] = SIM_NEVER;
	check_difference_covered(w, "after a death");
}

/* ---- status ---- */

const struct md_super *node_md(const struct world *w, unsigned node, unsigned vnr)
{
	const struct node *n = &w->nodes[node];

	return n->up && (n->attached >> vnr & 1) ? core_md(n->core, (uint16_t)vnr) : NULL;
}

/* Volumes that are not there now count as without their disk; the others are where they belong. */
static void order_volumes(const struct world *w, struct resource_status *st)
{
	unsigned from = st->volume_count;

	for (unsigned v = w->params.volumes; v-- > 0;) {
		bool there = from > 0 && st->volumes[from - 1].vnr == v;

		from -= there;
		if (there && from == v)
			return;
		if (there)
			st->volumes[v] = st->volumes[from];
		else
			memset(&st->volumes[v], 0, sizeof(st->volumes[v]));
		for (unsigned i = 0; i < st->peer_count; i++) {
			struct status_peer_device *device = st->peers[i].devices;

			if (there)
				device[v] = device[from];
			else
				device[v] = (struct status_peer_device){
					.vnr = v, .repl = REPL_OFF, .peer_disk = DISK_UNKNOWN };
		}
	}
}

const struct resource_status *node_status(struct world *w, unsigned node)
{
	ASSERT(w->nodes[node].up);
	if (w->status_step[node] != w->step) {
		core_status(w->nodes[node].core, &w->status[node]);
		order_volumes(w, &w->status[node]);
		w->status_step[node] = w->step;
	}
	return &w->status[node];
}

const struct resource_status *node_own_status(struct world *w, unsigned node)
{
	static struct resource_status own;

	ASSERT(w->nodes[node].up);
	core_status_own(w->nodes[node].core, &own);
	order_volumes(w, &own);
	return &own;
}

const struct status_peer *status_peer(const struct resource_status *st, unsigned peer)
{
	for (unsigned i = 0; i < st->peer_count; i++) {
		if (st->peers[i].node_id == peer)
			return &st->peers[i];
	}
	return NULL;
}

bool status_peer_uptodate(const struct resource_status *st, unsigned peer, unsigned vnr)
{
	const struct status_peer *p = status_peer(st, peer);

	return p && p->conn == CONN_CONNECTED && p->device_count > 0 &&
	       (p->devices[vnr].repl == REPL_ESTABLISHED ||
		p->devices[vnr].repl == REPL_VERIFY_S || p->devices[vnr].repl == REPL_VERIFY_T) &&
	       p->devices[vnr].peer_disk == DISK_UP_TO_DATE;
}

uint32_t status_uptodate(const struct world *w, const struct resource_status *st)
{
	uint32_t volumes = 0;

	for (unsigned v = 0; v < w->params.volumes; v++)
		volumes |= (uint32_t)(st->volumes[v].disk == DISK_UP_TO_DATE) << v;
	return volumes;
}

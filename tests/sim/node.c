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

	(void)level;
	sim_trace(n->world, "node %u log %s", n->id, line);
	/* With quorum a fork without an answered write in it settles itself. */
	if (strstr(line, "plit brain") || strstr(line, "nrelated") ||
	    (strstr(line, "plit-brain") && n->world->params.quorum == QUORUM_OFF))
		n->saw_split_brain = true;
	if (range && sscanf(range, ": out of sync: sector %llu, %llu", &sector, &sectors) == 2)
		verify_reported(n->world, n->id, sector, sectors);
}

static void conf_net(struct world *w, struct core_net_conf *net, enum wire_protocol protocol)
{
	net->protocol = protocol;
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

void node_init(struct world *w, unsigned node)
{
	struct node *n = &w->nodes[node];
	struct core_conf *conf = &n->conf;
	uint64_t words;

	n->world = w;
	n->id = (uint8_t)node;
	n->up = n->attached = n->starting = n->paused = n->saw_split_brain = false;
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
	words = n->disk.md_layout.bitmap_pages * (MD_PAGE_BYTES / sizeof(uint64_t)) /
			(w->params.nodes - 1) + 64;
	if (n->bm_cap_words < words * (SIM_NODES_MAX - 1)) {
		n->bm_cap_words = words * (SIM_NODES_MAX - 1);
		n->bm_words = realloc(n->bm_words, n->bm_cap_words * sizeof(uint64_t));
		ASSERT(n->bm_words);
	}
	memset(&n->bm, 0, sizeof(n->bm));
	n->bm.words_per_slot = words;
	for (unsigned s = 0; s + 1 < w->params.nodes; s++)
		n->bm.slot[s] = n->bm_words + s * words;

	preset_resource(conf, node);
	conf->volumes[0].vnr = SIM_VNR;
	conf->volumes[0].disk.al_extents = w->params.al_extents;
	if (w->params.pass_on)
		conf->volumes[0].disk.on_io_error = IOERR_PASS_ON;
	conf->volumes[0].disk.has_disk = n->has_disk;
	conf->volumes[0].disk.read_balancing = w->params.read_balancing;
	conf->quorum = w->params.quorum;
	conf->quorum_min_redundancy = w->params.quorum_min_redundancy;
	conf->on_no_quorum = w->params.on_no_quorum;
	conf->on_no_data = w->params.on_no_data;
	conf->on_suspended_primary_outdated = w->params.on_outdated;
	conf->volumes[0].disk.rs_discard_bytes = w->params.rs_discard_bytes;
	conf->volumes[0].disk.rs_without_replication = w->params.rs_without_replication;
	for (unsigned p = 0; p < w->params.nodes; p++) {
		struct core_peer_conf *pc = &conf->peers[conf->peer_count];

		if (p == node)
			continue;
		preset_peer(pc, p);
		pc->has_disk[0] = sim_has_disk(&w->params, p);
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
		disk_attach(w, n->id);
		break;
	case AC_DETACH:
		disk_detach(w, n->id);
		break;
	case AC_RESIZE:
		disk_resize(w, n->id, &ac->u.resize);
		break;
	case AC_BUF_PUT:
		payload_core_put(w, n->id, ac->u.payload);
		break;
	case AC_SIZE:
		n->size_sectors = ac->u.size.sectors;
		n->writable = ac->u.size.writable;
		break;
	case AC_REPLY:
		quorum_command_replied(w, n->id);
		reply(w, n->id, &ac->u.reply);
		break;
	case AC_NOTIFY:
		break;
	}
}

static void trace_action(struct world *w, const struct node *n, const struct core_action *ac)
{
	static const char *const names[] = {
		"COMPLETE", "SEND", "SEND_BITMAP", "CONNECT", "DISCONNECT", "DISK_READ",
		"DISK_WRITE", "DISK_DISCARD", "DISK_ZEROES", "DISK_FLUSH", "SAVE", "META_SUPER",
		"META_AL", "META_BITMAP", "META_FLUSH", "ATTACH", "DETACH", "RESIZE", "BUF_PUT",
		"SIZE", "REPLY", "NOTIFY",
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
		sim_trace(w, "node %u %s %llu+%u%s tag %llx", n->id, name,
			  (unsigned long long)ac->u.disk.sector, ac->u.disk.bytes,
			  ac->u.disk.fua ? " fua" : "", (unsigned long long)ac->u.disk.tag);
		break;
	case AC_META_SUPER:
		sim_trace(w, "node %u %s uuid %016llx flags %x", n->id, name,
			  (unsigned long long)ac->u.meta.super->current_uuid,
			  ac->u.meta.super->flags);
		break;
	case AC_META_AL:
		sim_trace(w, "node %u %s number %u, %u updates, first extent %u", n->id, name,
			  ac->u.meta.al->number, ac->u.meta.al->update_count,
			  ac->u.meta.al->update_extent[0]);
		break;
	case AC_META_BITMAP:
		sim_trace(w, "node %u %s page %llu", n->id, name,
			  (unsigned long long)ac->u.meta.page);
		break;
	case AC_SIZE:
		sim_trace(w, "node %u %s %llu sectors%s%s%s", n->id, name,
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

/* The states of the node in one line, whenever they changed. */
static void trace_state(struct world *w, struct node *n)
{
	const struct resource_status *st;
	char line[400];
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
	n->attached = false;
	n->die_after_actions = 0;
	n->size_sectors = 0;
	n->writable = false;
	/* Clocks of two starts have nothing to do with each other. */
	n->epoch_ns = prng_below(&w->rng, 1000 * NS_SEC);
	n->core = core_create(&n->conf, n->mem, n->mem_bytes);
	oracle_node_started(w, node);
	simnet_node_started(w, node);
	if (n->has_disk)
		node_command(w, node, (struct ev_command){ .cmd = CMD_ATTACH, .vnr = SIM_VNR },
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
	n->up = false;
	n->life++;
	n->attached = false;
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

/* What has no volume now counts as a node without its disk. */
static void fill_status(const struct core *core, struct resource_status *st)
{
	core_status(core, st);
	if (st->volume_count)
		return;
	memset(&st->volumes[0], 0, sizeof(st->volumes[0]));
	for (unsigned i = 0; i < st->peer_count; i++) {
		struct status_peer_device *device = &st->peers[i].devices[0];

		memset(device, 0, sizeof(*device));
		device->repl = REPL_OFF;
		device->peer_disk = DISK_UNKNOWN;
	}
}

const struct resource_status *node_status(struct world *w, unsigned node)
{
	ASSERT(w->nodes[node].up);
	if (w->status_step[node] != w->step) {
		fill_status(w->nodes[node].core, &w->status[node]);
		w->status_step[node] = w->step;
	}
	return &w->status[node];
}

const struct status_peer *status_peer(const struct resource_status *st, unsigned peer)
{
	for (unsigned i = 0; i < st->peer_count; i++) {
		if (st->peers[i].node_id == peer)
			return &st->peers[i];
	}
	return NULL;
}

bool status_peer_uptodate(const struct resource_status *st, unsigned peer)
{
	const struct status_peer *p = status_peer(st, peer);

	return p && p->conn == CONN_CONNECTED && p->device_count > 0 &&
	       (p->devices[0].repl == REPL_ESTABLISHED ||
		p->devices[0].repl == REPL_VERIFY_S || p->devices[0].repl == REPL_VERIFY_T) &&
	       p->devices[0].peer_disk == DISK_UP_TO_DATE;
}

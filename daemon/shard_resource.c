/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Resources of a shard: built on the control thread, handed over, commanded, taken down. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/log.h"
#include "base/str.h"
#include "core/core.h"
#include "daemon_int.h"
#include "fuse_int.h"
#include "net/net_addr.h"
#include "shard_int.h"
#include "shard_msg.h"

/* Nobody reads or writes. */
#define VOTER_REQUESTS_MAX 2U

STATIC_ASSERT(NET_FINGERPRINT_BYTES == CONF_FINGERPRINT_BYTES, "one kind of fingerprint");
STATIC_ASSERT((int)LOG_LEVEL_ERR == LOG_LEVEL_ERR && (int)LOG_LEVEL_DEBUG == LOG_LEVEL_DEBUG,
	      "levels of the core are those of the log");

/* ---- answers ---- */

void shard_reply_post(struct shard *shard, struct shard_reply *reply)
{
	list_init(&reply->msg.link);
	/* The control thread is never far behind; it does not wait for this one. */
	while (inbox_post(shard->conf.replies, &reply->msg) == -EAGAIN)
		sched_yield();
}

static void run_reply(struct inbox_msg *msg)
{
	struct shard_reply *r = CONTAINER_OF(msg, struct shard_reply, msg);

	r->done(r->ctx, r->rc, r->text);
	free(r);
}

static struct shard_reply *reply_new(control_done done, void *ctx)
{
	struct shard_reply *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	list_init(&r->msg.link);
	r->msg.run = run_reply;
	r->done = done;
	r->ctx = ctx;
	return r;
}

/* ---- messages from the control thread ---- */

int shard_msg_post(struct shard *shard, struct shard_msg *m, void (*run)(struct inbox_msg *msg),
		control_done done, void *ctx)
{
	int rc;

	m->shard = shard;
	m->msg.run = run;
	list_init(&m->msg.link);
	m->reply = reply_new(done, ctx);
	if (!m->reply)
		return -ENOMEM;
	rc = inbox_post(&shard->inbox, &m->msg);
	if (rc)
		free(m->reply);
	return rc;
}

struct resource *shard_find(struct shard *shard, const char *name)
{
	LIST_FOR_EACH(it, &shard->resources) {
		struct resource *res = LIST_ENTRY(it, struct resource, link);

		if (!res->dead && str_eq(res->name, name))
			return res;
	}
	return NULL;
}

void shard_answer(struct shard *shard, struct shard_reply *reply, int rc, const char *text)
{
	reply->rc = rc;
	str_copy(reply->text, sizeof(reply->text), text);
	shard_reply_post(shard, reply);
}

void resource_command(struct resource *res, const struct ev_command *cmd)
{
	struct core_event ev = { .kind = EV_COMMAND, .u.command = *cmd };

	ev.u.command.cookie = 0;
	resource_step(res, &ev);
}

/* ---- several commands with one answer ---- */

void gather_done(struct gather *g)
{
	if (--g->left > 0)
		return;
	if (g->msg) {
		/* Connections that are not needed any more cannot be taken apart here. */
		g->res->departed = g;
		return;
	}
	/* What the client asks next shall show the effect. */
	shard_publish(g->res);
	shard_answer(g->res->shard, g->reply, g->rc, g->text);
	free(g);
}

static void gather_replied(struct pending *p, int rc, const char *text)
{
	struct gather *g = CONTAINER_OF(p, struct gather, base);

	if (rc < SS_SUCCESS || g->text[0] == '\0') {
		/* The first failure, or the first word. */
		if (g->rc >= SS_SUCCESS) {
			g->rc = rc;
			str_copy(g->text, sizeof(g->text), text);
		} else {
			str_append(g->text, sizeof(g->text), "; %s", text);
		}
	}
	gather_done(g);
}

struct gather *gather_new(struct resource *res, struct shard_reply *reply)
{
	struct gather *g = calloc(1, sizeof(*g));

	if (!g)
		return NULL;
	g->base.reply = gather_replied;
	g->res = res;
	g->reply = reply;
	g->rc = SS_SUCCESS;
	g->left = 1; /* gather_end() */
	return g;
}

void gather_command(struct gather *g, const struct ev_command *cmd)
{
	struct core_event ev = { .kind = EV_COMMAND, .u.command = *cmd };

	g->left++;
	ev.u.command.cookie = (uint64_t)(uintptr_t)&g->base;
	resource_step(g->res, &ev);
}

/* ---- up ---- */

static void core_log(void *ctx, enum log_level level, const char *line)
{
	/* The core names its resource itself. */
	(void)ctx;
	log_print((int)level, "%s", line);
}

static void core_changed(void *ctx, const struct state_change *change)
{
	const struct resource *res = ctx;

	daemon_changed(res->shard->conf.daemon, res->name, change);
}

void shard_fill_volume(struct resource *res, struct volume *vol, uint16_t vnr,
		       const struct conf_node_volume *conf)
{
	memset(vol, 0, sizeof(*vol));
	memcpy(vol->resync_after, conf->options.resync_after, sizeof(vol->resync_after));
	vol->res = res;
	vol->vnr = vnr;
	vol->has_disk = conf->disk[0] != '\0';
	str_copy(vol->disk_path, sizeof(vol->disk_path), conf->disk);
	str_copy(vol->meta_path, sizeof(vol->meta_path), conf->meta_device);
	vol->meta = conf->meta;
	vol->meta_index = conf->meta_index;
	disk_share_init(&vol->share);
	disk_lane_init(&vol->meta_lane);
	list_init(&vol->saves);
	list_init(&vol->active_writes);
	list_init(&vol->waiting_writes);
}

static void resource_free(struct resource *res)
{
	for (unsigned i = 0; i < res->more_count; i++)
		free(res->more_mem[i]);
	handler_set_free(res->handlers);
	free(res->core_mem);
	free(res);
}

static struct resource *resource_new(struct shard *shard, const struct conf *conf,
				     const struct conf_resource *cr, uint8_t own_node_id)
{
	const struct conf_node *node = conf_node_by_id(cr, own_node_id);
	struct resource *res = calloc(1, sizeof(*res));
	struct core_conf *cc = calloc(1, sizeof(*cc));
	size_t bytes;

	if (!res || !cc || conf_to_core(conf, cr, own_node_id, cc, NULL))
		goto fail;
	list_init(&res->link);
	list_init(&res->blocked);
	list_init(&res->completed);
	res->shard = shard;
	str_copy(res->name, sizeof(res->name), cr->name);
	res->own_node_id = own_node_id;
	res->volume_count = cr->volume_count;
	for (unsigned i = 0; i < cr->volume_count; i++)
		shard_fill_volume(res, &res->volumes[i], cr->vnr[i], &node->volumes[i]);
	res->peer_count = cc->peer_count;
	for (unsigned i = 0; i < cc->peer_count; i++) {
		res->peers[i].res = res;
		res->peers[i].node_id = cc->peers[i].node_id;
		res->by_node[cc->peers[i].node_id] = &res->peers[i];
	}
	if (shard->conf.voter) {
		cc->requests_max = VOTER_REQUESTS_MAX;
		cc->request_bytes_max = VOTER_REQUESTS_MAX * (uint64_t)BIO_MAX_BYTES;
	}
	cc->crypto = crypto_openssl;
	cc->log = core_log;
	cc->log_ctx = res;
	cc->changed = core_changed;
	bytes = (core_mem_bytes(cc) + 63) / 64 * 64;
	res->core_mem = aligned_alloc(64, bytes);
	res->handlers = handler_set_new(conf, cr, own_node_id);
	if (!res->core_mem || !res->handlers)
		goto fail;
	res->core = core_create(cc, res->core_mem, bytes);
	free(cc);
	return res;
fail:
	free(cc);
	if (res)
		resource_free(res);
	return NULL;
}

/* Whether a third node has the host address `local` that node `of` uses towards `other`. */
static bool address_shared(const struct conf_resource *cr, uint8_t of, uint8_t other,
			   const struct sockaddr_storage *local)
{
	for (unsigned i = 0; i < cr->node_count; i++) {
		struct conf_peer_path paths[CONF_PATHS_MAX];
		uint8_t id = cr->nodes[i].node_id;
		unsigned count;

		if (id == of || id == other)
			continue;
		count = conf_peer_paths(cr, id, other, paths);
		for (unsigned k = 0; k < count; k++) {
			if (net_addr_same_host(&paths[k].local.ss, local))
				return true;
		}
	}
	return false;
}

void shard_fill_connection(const struct conf_resource *cr, uint8_t own, uint8_t peer,
			    struct net_conn_conf *out)
{
	const struct conf_connection *cc = conf_connection_find(cr, own, peer);
	const struct conf_node *node = conf_node_by_id(cr, peer);
	struct conf_peer_path paths[CONF_PATHS_MAX];
	unsigned count = conf_peer_paths(cr, own, peer, paths);

	str_format(out->name, sizeof(out->name), "%s:%s", cr->name, node->name);
	out->own_node_id = own;
	out->peer_node_id = peer;
	out->connect_int_s = cc->net.connect_int_s;
	out->sock_check_ms = 100 * cc->net.socket_check_timeout_ds;
	if (out->sock_check_ms == 0)
		out->sock_check_ms = 100 * cc->net.ping_timeout_ds;
	out->tls = cc->net.tls;
	out->tls_handshake_ms = 100 * cc->net.timeout_ds;
	str_copy(out->peer_name, sizeof(out->peer_name), node->name);
	memcpy(out->peer_fingerprint, node->fingerprint, sizeof(out->peer_fingerprint));
	out->path_count = count < NET_PATHS_MAX ? count : NET_PATHS_MAX;
	for (unsigned i = 0; i < out->path_count; i++) {
		out->paths[i].local = paths[i].local.ss;
		out->paths[i].local_len = paths[i].local.len;
		out->paths[i].remote = paths[i].remote.ss;
		out->paths[i].remote_len = paths[i].remote.len;
		out->own_address_shared |= address_shared(cr, own, peer, &paths[i].local.ss);
		out->peer_address_shared |= address_shared(cr, peer, own, &paths[i].remote.ss);
	}
}

static void drop_connections(struct resource *res)
{
	for (unsigned i = 0; i < NODES_MAX; i++) {
		net_conn_free(res->peers[i].conn);
		res->peers[i].conn = NULL;
	}
}

void shard_attach_and_connect(struct resource *res, struct shard_reply *reply, bool only_missing)
{
	struct gather *g = gather_new(res, reply);
	struct resource_status *status = calloc(1, sizeof(*status));

	if (!g || !status) {
		free(g);
		free(status);
		shard_answer(res->shard, reply, SS_UNKNOWN_ERROR, "no memory");
		return;
	}
	core_status(res->core, status);
	for (unsigned i = 0; i < status->volume_count; i++) {
		struct ev_command cmd = { .cmd = CMD_ATTACH,
					  .vnr = (uint16_t)status->volumes[i].vnr };

		if (resource_volume(res, cmd.vnr)->has_disk &&
		    (!only_missing || status->volumes[i].disk == DISK_DISKLESS))
			gather_command(g, &cmd);
	}
	for (unsigned i = 0; i < status->peer_count; i++) {
		struct ev_command cmd = { .cmd = CMD_CONNECT, .peer = status->peers[i].node_id };

		if (!only_missing || status->peers[i].conn == CONN_STANDALONE)
			gather_command(g, &cmd);
	}
	free(status);
	gather_done(g);
}

static void insert(struct shard *shard, struct resource *res)
{
	struct list *it = shard->resources.next;

	while (it != &shard->resources &&
	       strcmp(LIST_ENTRY(it, struct resource, link)->name, res->name) < 0)
		it = it->next;
	list_push_back(it, &res->link);
	shard->resyncs_changed = true;
}

static void run_up(struct inbox_msg *msg)
{
	struct shard_msg *m = CONTAINER_OF(msg, struct shard_msg, msg);
	struct shard *shard = m->shard;
	struct resource *res = m->res;
	struct err err = ERR_INIT;
	int rc = 0;

	if (shard_find(shard, res->name)) {
		resource_free(res);
		shard_answer(shard, m->reply, SS_NOTHING_TO_DO, "it is up already");
		goto out;
	}
	for (unsigned i = 0; i < res->peer_count && !rc; i++)
		rc = net_conn_new(shard->net, &m->conns[i], &res->peers[i], &res->peers[i].conn,
				  &err);
	if (rc) {
		drop_connections(res);
		resource_free(res);
		shard_answer(shard, m->reply, SS_UNKNOWN_ERROR, err.text);
		goto out;
	}
	res->incarnation = ++shard->incarnations;
	insert(shard, res);
	FOR_EACH_VOLUME(res, vol)
		file_bind(vol);
	shard_attach_and_connect(res, m->reply, false);
out:
	free(m->conns);
	free(m);
}

int shard_up(struct shard *shard, const struct conf *conf, const struct conf_resource *cr,
	     uint8_t own_node_id, control_done done, void *ctx)
{
	struct shard_msg *m = calloc(1, sizeof(*m));
	int rc = -ENOMEM;

	if (!m)
		return rc;
	m->res = resource_new(shard, conf, cr, own_node_id);
	m->conns = calloc(NODES_MAX, sizeof(*m->conns));
	if (!m->res || !m->conns)
		goto fail;
	for (unsigned i = 0; i < m->res->peer_count; i++)
		shard_fill_connection(cr, own_node_id, m->res->peers[i].node_id, &m->conns[i]);
	rc = shard_msg_post(shard, m, run_up, done, ctx);
	if (!rc)
		return 0;
fail:
	if (m->res)
		resource_free(m->res);
	free(m->conns);
	free(m);
	return rc;
}

/* ---- down ---- */

struct pending_down {
	struct pending base;
	struct resource *res;
	struct shard_reply *reply;
};

static void down_replied(struct pending *p, int rc, const char *text)
{
	struct pending_down *d = CONTAINER_OF(p, struct pending_down, base);

	if (rc >= SS_SUCCESS) {
		/* It is freed at the end of the turn, and answered after that. */
		d->res->dead = true;
		d->res->down_reply = d->reply;
		d->reply->rc = rc;
		str_copy(d->reply->text, sizeof(d->reply->text), text);
	} else {
		shard_publish(d->res);
		shard_answer(d->res->shard, d->reply, rc, text);
	}
	free(d);
}

static const struct volume *open_volume(struct resource *res)
{
	FOR_EACH_VOLUME(res, vol) {
		if (vol->open_count > 0)
			return vol;
	}
	return NULL;
}

/* The core ends its users' work without a question: asking is done here. */
static bool refuse_down(struct shard_msg *m, struct resource *res)
{
	const struct volume *vol = m->force ? NULL : open_volume(res);
	char text[ERR_TEXT_MAX];

	if (!vol)
		return false;
	str_format(text, sizeof(text),
		   "the file of volume %u is open ('down --force' lets its users fail)", vol->vnr);
	shard_answer(m->shard, m->reply, SS_DEVICE_IN_USE, text);
	return true;
}

static void run_down(struct inbox_msg *msg)
{
	struct shard_msg *m = CONTAINER_OF(msg, struct shard_msg, msg);
	struct resource *res = shard_find(m->shard, m->name);
	struct core_event ev = { .kind = EV_COMMAND };
	struct pending_down *d;

	d = res ? calloc(1, sizeof(*d)) : NULL;
	if (!d) {
		shard_answer(m->shard, m->reply, res ? SS_UNKNOWN_ERROR : SS_NOTHING_TO_DO,
		       res ? "no memory" : "it is not up");
		free(m);
		return;
	}
	if (refuse_down(m, res)) {
		free(d);
		free(m);
		return;
	}
	d->base.reply = down_replied;
	d->res = res;
	d->reply = m->reply;
	ev.u.command.cookie = (uint64_t)(uintptr_t)&d->base;
	ev.u.command.cmd = CMD_SHUTDOWN;
	ev.u.command.force = m->force;
	free(m);
	/* Nothing new from here on: what is under way has an end then. */
	FOR_EACH_VOLUME(res, vol)
		file_unbind(vol);
	resource_step(res, &ev);
}

int shard_down(struct shard *shard, const char *resource, bool force, control_done done, void *ctx)
{
	struct shard_msg *m = calloc(1, sizeof(*m));
	int rc;

	if (!m)
		return -ENOMEM;
	str_copy(m->name, sizeof(m->name), resource);
	m->force = force;
	rc = shard_msg_post(shard, m, run_down, done, ctx);
	if (rc)
		free(m);
	return rc;
}

void shard_bury_resources(struct shard *shard)
{
	LIST_FOR_EACH_SAFE(it, &shard->resources) {
		struct resource *res = LIST_ENTRY(it, struct resource, link);
		struct shard_reply *reply = res->down_reply;

		if (!res->dead)
			continue;
		app_unblock(res);
		handler_resource_gone(res);
		FOR_EACH_VOLUME(res, vol)
			ASSERT(vol->jobs == 0);
		drop_connections(res);
		list_del(&res->link);
		shard->resyncs_changed = true;
		shard_publish_gone(res);
		resource_free(res);
		shard_reply_post(shard, reply);
	}
}

/* ---- commands ---- */

static void run_command(struct inbox_msg *msg)
{
	struct shard_msg *m = CONTAINER_OF(msg, struct shard_msg, msg);
	struct resource *res = shard_find(m->shard, m->name);
	struct gather *g = res ? gather_new(res, m->reply) : NULL;

	if (!g) {
		shard_answer(m->shard, m->reply, SS_UNKNOWN_ERROR,
		       res ? "no memory" : "the resource is not up");
	} else {
		gather_command(g, &m->cmd);
		gather_done(g);
	}
	free(m);
}

int shard_command(struct shard *shard, const char *resource, const struct ev_command *cmd,
		  control_done done, void *ctx)
{
	struct shard_msg *m = calloc(1, sizeof(*m));
	int rc;

	if (!m)
		return -ENOMEM;
	str_copy(m->name, sizeof(m->name), resource);
	m->cmd = *cmd;
	rc = shard_msg_post(shard, m, run_command, done, ctx);
	if (rc)
		free(m);
	return rc;
}

static void run_complete(struct inbox_msg *msg)
{
	struct shard_msg *m = CONTAINER_OF(msg, struct shard_msg, msg);
	struct resource *res = shard_find(m->shard, m->name);

	if (res)
		shard_attach_and_connect(res, m->reply, true);
	else
		shard_answer(m->shard, m->reply, SS_UNKNOWN_ERROR, "the resource is not up");
	free(m);
}

int shard_complete(struct shard *shard, const char *resource, control_done done, void *ctx)
{
	struct shard_msg *m = calloc(1, sizeof(*m));
	int rc;

	if (!m)
		return -ENOMEM;
	str_copy(m->name, sizeof(m->name), resource);
	rc = shard_msg_post(shard, m, run_complete, done, ctx);
	if (rc)
		free(m);
	return rc;
}

/* ---- the certificate ---- */

static void run_identity(struct inbox_msg *msg)
{
	struct shard_msg *m = CONTAINER_OF(msg, struct shard_msg, msg);

	net_set_identity(m->shard->net, m->identity);
	free(m);
}

int shard_set_identity(struct shard *shard, struct net_identity *identity)
{
	struct shard_msg *m = calloc(1, sizeof(*m));
	int rc = -ENOMEM;

	if (m) {
		m->shard = shard;
		m->identity = identity;
		m->msg.run = run_identity;
		list_init(&m->msg.link);
		rc = inbox_post(&shard->inbox, &m->msg);
	}
	if (rc) {
		net_identity_free(identity);
		free(m);
	}
	return rc;
}

/* ---- the mount ---- */

static void run_serve(struct inbox_msg *msg)
{
	struct shard_msg *m = CONTAINER_OF(msg, struct shard_msg, msg);
	int rc = fuse_pump_start(m->shard, m->session, m->reply);

	if (rc)
		shard_answer(m->shard, m->reply, SS_UNKNOWN_ERROR, strerror(-rc));
	free(m);
}

int shard_serve(struct shard *shard, struct fuse_session *session, control_done ended, void *ctx)
{
	struct shard_msg *m = calloc(1, sizeof(*m));
	int rc;

	if (!m)
		return -ENOMEM;
	m->session = session;
	rc = shard_msg_post(shard, m, run_serve, ended, ctx);
	if (rc)
		free(m);
	return rc;
}

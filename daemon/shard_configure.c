/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A resource that runs takes over another configuration: options, paths, peers. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "daemon_int.h"
#include "shard_int.h"
#include "shard_msg.h"

static struct peer *by_node(struct resource *res, const struct core_peer_conf *conf)
{
	return res->by_node[conf->node_id];
}

/* Those of peers in front of one that fails have been taken over. */
static int change_paths(struct resource *res, const struct core_conf *options,
			const struct net_conn_conf *conns, struct err *err)
{
	int rc = 0;

	for (unsigned i = 0; i < options->peer_count && !rc; i++) {
		struct peer *peer = by_node(res, &options->peers[i]);
		struct core_event ev = { .kind = EV_STREAMS_DOWN };
		bool ended;

		if (!peer)
			continue;
		rc = net_conn_set_paths(peer->conn, &conns[i], &ended, err);
		if (rc || !ended)
			continue;
		ev.u.streams.peer = peer->node_id;
		ev.u.streams.reason = "the path in use was taken out of the configuration";
		resource_step(res, &ev);
	}
	return rc;
}

static void drop_peers(struct resource *res, uint64_t nodes)
{
	for (unsigned i = 0; i < NODES_MAX; i++) {
		struct peer *peer = &res->peers[i];

		if (!peer->conn || !(nodes >> peer->node_id & 1))
			continue;
		net_conn_free(peer->conn);
		peer->conn = NULL;
		res->by_node[peer->node_id] = NULL;
	}
}

/* All or none. */
static int add_peers(struct resource *res, const struct shard_msg *m, struct err *err)
{
	uint64_t added = 0;
	int rc = 0;

	for (unsigned i = 0; i < m->options->peer_count && !rc; i++) {
		uint8_t id = m->options->peers[i].node_id;
		struct peer *peer = res->peers;

		if (res->by_node[id])
			continue;
		while (peer->conn)
			peer++;
		peer->res = res;
		peer->node_id = id;
		rc = net_conn_new(res->shard->net, &m->conns[i], peer, &peer->conn, err);
		if (rc)
			continue;
		res->by_node[id] = peer;
		added |= UINT64_C(1) << id;
	}
	if (rc)
		drop_peers(res, added);
	return rc;
}

static int take_options(struct resource *res, const struct core_conf *options)
{
	struct core_event ev = { .kind = EV_CONFIGURE, .u.configure.conf = options };
	size_t bytes = (core_configure_bytes(res->core, options) + 63) / 64 * 64;

	if (bytes) {
		if (res->more_count == NODES_MAX)
			return -ENOMEM;
		ev.u.configure.mem = aligned_alloc(64, bytes);
		if (!ev.u.configure.mem)
			return -ENOMEM;
		ev.u.configure.mem_bytes = bytes;
		res->more_mem[res->more_count++] = ev.u.configure.mem;
	}
	resource_step(res, &ev);
	for (unsigned v = 0; v < res->volume_count; v++)
		memcpy(res->volumes[v].resync_after, options->volumes[v].disk.resync_after,
		       VOLUME_REF_MAX);
	return 0;
}

static void configure_free(struct shard_msg *m)
{
	free(m->conns);
	free(m->options);
	free(m);
}

/* Nobody is a peer any more who is none in the new options. */
static void configure(struct resource *res, struct shard_msg *m)
{
	struct err err = ERR_INIT;
	int rc;

	drop_peers(res, m->departed);
	rc = change_paths(res, m->options, m->conns, &err);
	if (!rc)
		rc = add_peers(res, m, &err);
	if (!rc) {
		for (unsigned i = 0; i < m->options->peer_count; i++)
			net_conn_configure(by_node(res, &m->options->peers[i])->conn,
					   &m->conns[i]);
		rc = take_options(res, m->options);
		if (rc)
			err_set(&err, rc, "no memory for more peers");
	}
	if (rc)
		shard_answer(res->shard, m->reply, SS_UNKNOWN_ERROR, err.text);
	else
		shard_attach_and_connect(res, m->reply, true);
}

void shard_go_on_configuring(struct shard *shard)
{
	LIST_FOR_EACH(it, &shard->resources) {
		struct resource *res = LIST_ENTRY(it, struct resource, link);
		struct gather *g = res->departed;

		if (!g)
			continue;
		res->departed = NULL;
		res->configuring = false;
		if (res->dead)
			shard_answer(shard, g->reply, SS_IN_TRANSIENT_STATE,
				     "the resource has gone down");
		else if (g->rc < SS_SUCCESS)
			shard_answer(shard, g->reply, g->rc, g->text);
		else
			configure(res, g->msg);
		configure_free(g->msg);
		free(g);
	}
}

static void run_configure(struct inbox_msg *msg)
{
	struct shard_msg *m = CONTAINER_OF(msg, struct shard_msg, msg);
	struct resource *res = shard_find(m->shard, m->name);
	struct gather *g = res && !res->configuring ? gather_new(res, m->reply) : NULL;

	if (!g) {
		shard_answer(m->shard, m->reply, res ? SS_IN_TRANSIENT_STATE : SS_UNKNOWN_ERROR,
		       res ? "another change of the configuration is under way; try again later" :
			     "the resource is not up");
		configure_free(m);
		return;
	}
	res->configuring = true;
	g->msg = m;
	m->departed = core_departures(res->core, m->options);
	for (unsigned n = 0; n < NODES_MAX; n++) {
		struct ev_command cmd = { .cmd = CMD_DEL_PEER, .peer = (uint8_t)n };

		if (m->departed >> n & 1)
			gather_command(g, &cmd);
	}
	gather_done(g);
}

int shard_configure(struct shard *shard, const struct conf *conf, const struct conf_resource *cr,
		    uint8_t own_node_id, control_done done, void *ctx)
{
	struct shard_msg *m = calloc(1, sizeof(*m));
	int rc = -ENOMEM;

	if (!m)
		return rc;
	str_copy(m->name, sizeof(m->name), cr->name);
	m->options = calloc(1, sizeof(*m->options));
	m->conns = calloc(NODES_MAX, sizeof(*m->conns));
	if (m->options && m->conns && !conf_to_core(conf, cr, own_node_id, m->options, NULL)) {
		for (unsigned i = 0; i < m->options->peer_count; i++)
			shard_fill_connection(cr, own_node_id, m->options->peers[i].node_id,
					&m->conns[i]);
		rc = shard_msg_post(shard, m, run_configure, done, ctx);
	}
	if (!rc)
		return 0;
	free(m->conns);
	free(m->options);
	free(m);
	return rc;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A resource that runs takes over another configuration: options, paths, peers. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "daemon_int.h"
#include "fuse_int.h"
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

static void drop_peer(struct peer *peer)
{
	net_conn_free(peer->conn);
	peer->conn = NULL;
	peer->res->by_node[peer->node_id] = NULL;
}

/* Its file is not there any more, nor does the core know it. */
static void drop_volume(struct volume *vol)
{
	ASSERT(!vol->jobs && !vol->store && !vol->open_count && !vol->file);
	vol->res->shard->resyncs_changed = true;
	vol->res = NULL;
	vol->vnr = VNR_NONE;
}

static bool in_status(const struct resource_status *status, const struct volume *vol)
{
	for (unsigned i = 0; i < status->volume_count; i++) {
		if (status->volumes[i].vnr == vol->vnr)
			return true;
	}
	return false;
}

/* What the core has not any more; what it still has gets its file back. */
static int drop_departed(struct resource *res)
{
	struct resource_status *status = calloc(1, sizeof(*status));

	if (!status)
		return -ENOMEM;
	core_status(res->core, status);
	for (unsigned i = 0; i < NODES_MAX; i++) {
		struct peer *peer = &res->peers[i];
		bool there = !peer->conn;

		for (unsigned k = 0; k < status->peer_count; k++)
			there |= status->peers[k].node_id == peer->node_id;
		if (!there)
			drop_peer(peer);
	}
	FOR_EACH_VOLUME(res, vol) {
		if (!in_status(status, vol))
			drop_volume(vol);
		else if (!vol->file)
			file_bind(vol);
	}
	free(status);
	return 0;
}

/* All or none. */
static int add_peers(struct resource *res, const struct shard_msg *m, struct err *err)
{
	struct peer *added[NODES_MAX];
	unsigned count = 0;
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
		added[count++] = peer;
	}
	while (rc && count)
		drop_peer(added[--count]);
	return rc;
}

static void add_volumes(struct resource *res, const struct shard_msg *m)
{
	for (unsigned i = 0; i < m->options->volume_count; i++) {
		uint16_t vnr = m->options->volumes[i].vnr;
		unsigned at = 0;

		if (resource_volume(res, vnr))
			continue;
		while (at < res->volume_count && res->volumes[at].res)
			at++;
		if (at == res->volume_count)
			res->volume_count++;
		shard_fill_volume(res, &res->volumes[at], vnr, &m->volumes[i]);
		file_bind(&res->volumes[at]);
	}
}

static int take_options(struct resource *res, struct shard_msg *m)
{
	const struct core_conf *options = m->options;
	struct core_event ev = { .kind = EV_CONFIGURE, .u.configure.conf = options };
	size_t bytes = (core_configure_bytes(res->core, options) + 63) / 64 * 64;

	if (bytes) {
		if (res->more_count == MORE_MEM_MAX)
			return -ENOMEM;
		ev.u.configure.mem = aligned_alloc(64, bytes);
		if (!ev.u.configure.mem)
			return -ENOMEM;
		ev.u.configure.mem_bytes = bytes;
		res->more_mem[res->more_count++] = ev.u.configure.mem;
	}
	add_volumes(res, m);
	handler_set_free(res->handlers);
	res->handlers = m->handlers;
	m->handlers = NULL;
	resource_step(res, &ev);
	for (unsigned i = 0; i < options->volume_count; i++) {
		struct volume *vol = resource_volume(res, options->volumes[i].vnr);

		memcpy(vol->resync_after, options->volumes[i].disk.resync_after, VOLUME_REF_MAX);
	}
	res->shard->resyncs_changed = true;
	return 0;
}

static void configure_free(struct shard_msg *m)
{
	handler_set_free(m->handlers);
	free(m->conns);
	free(m->options);
	free(m->volumes);
	free(m);
}

/* What is not in the new options is gone by now. */
static void configure(struct resource *res, struct shard_msg *m)
{
	struct err err = ERR_INIT;
	int rc;

	rc = change_paths(res, m->options, m->conns, &err);
	if (!rc)
		rc = add_peers(res, m, &err);
	if (!rc) {
		for (unsigned i = 0; i < m->options->peer_count; i++)
			net_conn_configure(by_node(res, &m->options->peers[i])->conn,
					   &m->conns[i]);
		rc = take_options(res, m);
		if (rc)
			err_set(&err, rc, "no memory for more peers or volumes");
	}
	if (rc)
		shard_answer(res->shard, m->reply, SS_UNKNOWN_ERROR, err.text);
	else
		shard_attach_and_connect(res, m->reply, true);
}

/* Also when the core would not mind: who has it open would notice. */
static bool refuse(struct shard_msg *m, struct resource *res)
{
	char text[ERR_TEXT_MAX];

	FOR_EACH_VOLUME(res, vol) {
		if (core_volume_stays(m->options, vol->vnr) || !vol->open_count)
			continue;
		str_format(text, sizeof(text), "volume %u is gone from the configuration, and its "
			   "file is open", vol->vnr);
		shard_answer(m->shard, m->reply, SS_DEVICE_IN_USE, text);
		return true;
	}
	return false;
}

static void send_off(struct gather *g, struct resource *res, const struct core_conf *options)
{
	uint64_t departed = core_departures(res->core, options);

	FOR_EACH_VOLUME(res, vol) {
		struct ev_command cmd = { .cmd = CMD_DEL_VOLUME, .vnr = vol->vnr };

		if (core_volume_stays(options, vol->vnr))
			continue;
		file_unbind(vol);
		gather_command(g, &cmd);
	}
	for (unsigned n = 0; n < NODES_MAX; n++) {
		struct ev_command cmd = { .cmd = CMD_DEL_PEER, .peer = (uint8_t)n };

		if (departed >> n & 1)
			gather_command(g, &cmd);
	}
}

/* Before anything else changes: without them the new peers cannot be. */
static void reserve_slots(struct gather *g, struct resource *res, const struct core_conf *options)
{
	for (unsigned k = 0; k < options->volume_count; k++) {
		struct ev_command cmd = { .cmd = CMD_RESERVE_SLOTS,
					  .vnr = options->volumes[k].vnr };

		for (unsigned i = 0; i < options->peer_count; i++)
			if (options->peers[i].has_disk[k])
				cmd.nodes |= UINT64_C(1) << options->peers[i].node_id;
		if (resource_volume(res, cmd.vnr))
			gather_command(g, &cmd);
	}
}

static void run_configure(struct inbox_msg *msg)
{
	struct shard_msg *m = CONTAINER_OF(msg, struct shard_msg, msg);
	struct resource *res = shard_find(m->shard, m->name);
	struct gather *g;

	if (res && refuse(m, res)) {
		configure_free(m);
		return;
	}
	g = res && !res->configuring ? gather_new(res, m->reply) : NULL;
	if (!g) {
		shard_answer(m->shard, m->reply, res ? SS_IN_TRANSIENT_STATE : SS_UNKNOWN_ERROR,
		       res ? "another change of the configuration is under way; try again later" :
			     "the resource is not up");
		configure_free(m);
		return;
	}
	res->configuring = true;
	g->msg = m;
	reserve_slots(g, res, m->options);
	gather_done(g);
}

/* What has departed, or has been reserved, is there; true = more is to depart first. */
static bool goes_on(struct resource *res, struct gather *g)
{
	if (res->dead || g->rc < SS_SUCCESS || g->msg->has_slots)
		return false;
	g->msg->has_slots = true;
	g->text[0] = '\0';
	g->left = 1;
	send_off(g, res, g->msg->options);
	gather_done(g);
	return true;
}

void shard_go_on_configuring(struct shard *shard)
{
	LIST_FOR_EACH(it, &shard->resources) {
		struct resource *res = LIST_ENTRY(it, struct resource, link);
		struct gather *g;

		/* If nothing departs that has been done at once. */
		do {
			g = res->departed;
			res->departed = NULL;
		} while (g && goes_on(res, g));
		if (!g)
			continue;
		res->configuring = false;
		if (res->dead)
			shard_answer(shard, g->reply, SS_IN_TRANSIENT_STATE,
				     "the resource has gone down");
		else if (drop_departed(res))
			shard_answer(shard, g->reply, SS_UNKNOWN_ERROR, "no memory");
		else if (g->rc < SS_SUCCESS)
			shard_answer(shard, g->reply, g->rc, g->text);
		else
			configure(res, g->msg);
		configure_free(g->msg);
		free(g);
	}
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
	m->volumes = calloc(VOLUMES_MAX, sizeof(*m->volumes));
	m->handlers = handler_set_new(conf, cr, own_node_id);
	if (m->options && m->conns && m->volumes && m->handlers &&
	    !conf_to_core(conf, cr, own_node_id, m->options, NULL)) {
		for (unsigned i = 0; i < m->options->peer_count; i++)
			shard_fill_connection(cr, own_node_id, m->options->peers[i].node_id,
					&m->conns[i]);
		memcpy(m->volumes, conf_node_by_id(cr, own_node_id)->volumes,
		       cr->volume_count * sizeof(*m->volumes));
		rc = shard_msg_post(shard, m, run_configure, done, ctx);
	}
	if (rc)
		configure_free(m);
	return rc;
}

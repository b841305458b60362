/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Publishes pictures of the resources for the control
 * thread, at most ten a second unless one is asked for. */
#include <errno.h>
#include <semaphore.h>
#include <stdlib.h>
#include <time.h>

#include "base/assert.h"
#include "base/str.h"
#include "core/core.h"
#include "daemon_int.h"
#include "shard_int.h"

/* What the core does not know of its connections. */
static void fill_connections(const struct resource *res, struct resource_status *status)
{
	for (unsigned i = 0; i < status->peer_count; i++) {
		struct status_peer *out = &status->peers[i];
		const struct peer *peer = res->by_node[out->node_id];
		struct net_tls_info tls;

		if (!peer)
			continue;
		out->path = net_conn_path(peer->conn);
		out->congested = net_conn_congested(peer->conn);
		net_conn_tls_info(peer->conn, &tls);
		out->tls = tls.on;
		out->tls_kernel = tls.kernel;
		out->tls_peer_expires_s = tls.peer_expires_s;
		str_copy(out->tls_cipher, sizeof(out->tls_cipher), tls.cipher);
		if (net_conn_tls_problem(peer->conn)[0])
			str_copy(out->reason, sizeof(out->reason),
				 net_conn_tls_problem(peer->conn));
	}
}

/* The core knows no calendar. */
static int64_t unix_ms_of(const struct resource *res, uint64_t core_ns)
{
	struct timespec now;
	int64_t ms;

	clock_gettime(CLOCK_REALTIME, &now);
	ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
	return ms - (int64_t)(res->shard->now_ns - core_ns) / 1000000;
}

static void fill_backing(const struct volume *vol, struct status_backing *b)
{
	str_copy(b->path, sizeof(b->path), vol->disk_path);
	b->direct_io = vol->direct_io;
	b->attached = vol->attached;
}

void shard_publish(struct resource *res)
{
	struct status_resource *s = calloc(1, sizeof(*s));

	res->dirty = false;
	res->notify = false;
	res->published_ns = res->shard->now_ns;
	/* Without memory the last picture stays; the next attempt is near. */
	if (!s)
		return;
	str_copy(s->name, sizeof(s->name), res->name);
	s->up = true;
	core_status(res->core, &s->core);
	s->core.unix_ms = unix_ms_of(res, s->core.now_ns);
	fill_connections(res, &s->core);
	for (unsigned i = 0; i < s->core.volume_count; i++) {
		const struct volume *vol =
			resource_volume(res, (uint16_t)s->core.volumes[i].vnr);

		fill_backing(vol, &s->backing[i]);
		s->core.volumes[i].read_sectors += vol->direct_read_sectors;
	}
	daemon_publish(res->shard->conf.daemon, res->name, s);
}

void shard_publish_gone(struct resource *res)
{
	daemon_publish(res->shard->conf.daemon, res->name, NULL);
}

void shard_publish_due(struct shard *shard)
{
	shard->publish_ns = SHARD_NEVER_NS;
	LIST_FOR_EACH(it, &shard->resources) {
		struct resource *res = LIST_ENTRY(it, struct resource, link);

		if (res->dirty && !res->dead)
			shard_publish(res);
	}
}

void shard_publish_step(struct resource *res)
{
	const uint64_t interval_ns = SHARD_PUBLISH_INTERVAL_MS * UINT64_C(1000000);
	struct shard *shard = res->shard;

	res->dirty = true;
	if (res->notify && shard->now_ns - res->published_ns >= interval_ns)
		shard_publish(res);
	else if (shard->publish_ns == SHARD_NEVER_NS)
		shard->publish_ns = shard->now_ns + interval_ns;
}

/* Freed by the last of the two who know it. */
struct refresh_msg {
	struct inbox_msg msg;
	struct shard *shard;
	unsigned user_count;
	sem_t published;
};

static void refresh_put(struct refresh_msg *m)
{
	if (__atomic_sub_fetch(&m->user_count, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	sem_destroy(&m->published);
	free(m);
}

static void run_refresh(struct inbox_msg *msg)
{
	struct refresh_msg *m = CONTAINER_OF(msg, struct refresh_msg, msg);

	shard_publish_due(m->shard);
	sem_post(&m->published);
	refresh_put(m);
}

void shard_refresh(struct shard *shard)
{
	struct refresh_msg *m = calloc(1, sizeof(*m));
	struct timespec until;

	if (!m)
		return;
	m->msg.run = run_refresh;
	list_init(&m->msg.link);
	m->shard = shard;
	m->user_count = 2;
	sem_init(&m->published, 0, 0);
	if (inbox_post(&shard->inbox, &m->msg)) {
		m->user_count = 1;
	} else {
		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_nsec += SHARD_REFRESH_MAX_MS * 1000000L;
		until.tv_sec += until.tv_nsec / 1000000000L;
		until.tv_nsec %= 1000000000L;
		while (sem_clockwait(&m->published, CLOCK_MONOTONIC, &until) && errno == EINTR)
			;
	}
	refresh_put(m);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Carries out the actions of a core: nothing here waits or enters the core again. */
#include "base/assert.h"
#include "core/core.h"
#include "fuse_int.h"
#include "shard_int.h"

static struct net_conn *conn_of(struct resource *res, uint8_t node_id)
{
	ASSERT(node_id < NODES_MAX && res->by_node[node_id]);
	return res->by_node[node_id]->conn;
}

static void exec_size(struct resource *res, const struct ac_size *a)
{
	struct volume *vol = resource_volume(res, a->vnr);

	vol->size_sectors = a->sectors;
	vol->readable = a->readable;
	vol->writable = a->writable;
	vol->local_reads = a->local_reads;
}

static void exec_reply(const struct ac_reply *a)
{
	struct pending *p = (struct pending *)(uintptr_t)a->cookie;

	if (p)
		p->reply(p, a->rc, a->text);
}

static void exec_disk(struct resource *res, const struct core_action *action)
{
	switch (action->kind) {
	case AC_DISK_READ:
		shard_disk_data(res, JOB_READ, &action->u.disk);
		break;
	case AC_DISK_WRITE:
		shard_disk_data(res, JOB_WRITE, &action->u.disk);
		break;
	case AC_DISK_DISCARD:
		shard_disk_data(res, JOB_DISCARD, &action->u.disk);
		break;
	case AC_DISK_ZEROES:
		shard_disk_data(res, JOB_ZEROES, &action->u.disk);
		break;
	case AC_DISK_FLUSH:
		shard_disk_data(res, JOB_FLUSH, &action->u.disk);
		break;
	case AC_SAVE:
		shard_disk_save(res, &action->u.disk);
		break;
	case AC_META_SUPER:
		shard_disk_meta(res, JOB_SUPER, &action->u.meta);
		break;
	case AC_META_AL:
		shard_disk_meta(res, JOB_AL, &action->u.meta);
		break;
	case AC_META_BITMAP:
		shard_disk_meta(res, JOB_BITMAP, &action->u.meta);
		break;
	case AC_META_FLUSH:
		shard_disk_meta(res, JOB_META_FLUSH, &action->u.meta);
		break;
	case AC_RESIZE:
		shard_disk_resize(res, &action->u.resize);
		break;
	case AC_ATTACH:
		shard_disk_attach(res, &action->u.attach);
		break;
	case AC_DETACH:
		shard_disk_detach(resource_volume(res, action->u.vnr));
		break;
	default:
		ASSERT(false);
	}
}

void shard_exec(struct resource *res, struct core_action *action)
{
	switch (action->kind) {
	case AC_COMPLETE:
		app_complete(res, &action->u.complete);
		break;
	case AC_SEND:
		net_conn_send(conn_of(res, action->u.send.peer), action->u.send.stream,
			      &action->u.send.pkt);
		break;
	case AC_SEND_BITMAP:
		net_conn_send_bitmap(conn_of(res, action->u.send_bitmap.peer),
				     action->u.send_bitmap.vnr, action->u.send_bitmap.words,
				     action->u.send_bitmap.bits);
		break;
	case AC_CONNECT:
		net_conn_connect(conn_of(res, action->u.peer));
		break;
	case AC_DISCONNECT:
		save_cancel(res, action->u.peer);
		net_conn_disconnect(conn_of(res, action->u.peer));
		break;
	case AC_BUF_PUT:
		buf_put(buf_by_id(res->shard->bufs, action->u.payload.id));
		break;
	case AC_SIZE:
		exec_size(res, &action->u.size);
		break;
	case AC_REPLY:
		exec_reply(&action->u.reply);
		break;
	case AC_HANDLER:
		handler_run(res, &action->u.handler);
		break;
	case AC_NOTIFY:
		res->notify = true;
		res->shard->resyncs_changed = true;
		break;
	default:
		exec_disk(res, action);
		break;
	}
}

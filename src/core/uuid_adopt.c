/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A Primary's new generation on the disk of a peer: never before what the Primary wrote in the one
 * before. */
#include <string.h>

#include "core/core_hooks.h"
#include "core/request.h"

/*
 * By protocol C nothing is answered that is not on the disk. By A and B writes of the generation
 * before may have been answered, and wait here for their turn: a disk that fails now, and is
 * attached later, would lack them and have the generation that the Primary has gone on with.
 */
static unsigned mark_writes(struct core *core, struct volume *vol, const struct list *writes)
{
	unsigned count = 0;

	LIST_FOR_EACH(it, writes) {
		struct peer_request *preq = LIST_ENTRY(it, struct peer_request, link);

		if (preq->v != vol->v || preq->stage == PREQ_DONE ||
		    core->peer[preq->p]->conf->net.protocol == PROTOCOL_C)
			continue;
		preq->adoption = vol->adoption.serial;
		count++;
	}
	return count;
}

static void save(struct adoption *a, const struct md_super *md)
{
	a->current_uuid = md->current_uuid;
	memcpy(a->history, md->history, sizeof(a->history));
	for (unsigned n = 0; n < NODES_MAX; n++) {
		a->bitmap_uuid[n] = md->peers[n].bitmap_uuid;
		a->bitmap_dagtag[n] = md->peers[n].bitmap_dagtag;
	}
}

void uuid_adopt_begin(struct core *core, struct volume *vol)
{
	struct adoption *a = &vol->adoption;

	a->serial++;
	a->failed = false;
	a->writes = 0;
	FOR_EACH_PEER(core, peer) {
		a->writes += mark_writes(core, vol, &peer->rx.writes);
		a->writes += mark_writes(core, vol, &peer->rx.orphans);
	}
	/* The one on the disk, should another one wait already. */
	if (a->writes > 0 && !a->waits)
		save(a, &vol->md);
	a->waits = a->writes > 0;
}

void uuid_adopt_sync(struct core *core, struct volume *vol)
{
	vol->adopt_seq = UINT64_MAX;
	if (vol->adoption.waits) {
		md_dirty(core, vol);
		return;
	}
	vol->adopt_seq = md_sync(core, vol);
	/* What is written in it counts only with it. */
	vol->md_mark_seq = vol->adopt_seq;
}

void uuid_adopt_written(struct core *core, const struct peer_request *preq)
{
	struct volume *vol = core->vol[preq->v];
	struct adoption *a = &vol->adoption;

	if (!a->waits || preq->adoption != a->serial)
		return;
	ASSERT(a->writes > 0);
	a->failed |= preq->failed;
	if (--a->writes > 0 || (a->failed && !request_local_writable(core, vol)))
		return;
	a->waits = false;
	uuid_adopt_sync(core, vol);
}

void uuid_adopt_at_once(struct core *core, struct volume *vol)
{
	if (!vol->adoption.waits)
		return;
	vol->adoption.waits = false;
	uuid_adopt_sync(core, vol);
}

void uuid_adopt_keep_old(const struct volume *vol, struct md_super *super)
{
	const struct adoption *a = &vol->adoption;

	if (!a->waits)
		return;
	super->current_uuid = a->current_uuid;
	memcpy(super->history, a->history, sizeof(super->history));
	for (unsigned n = 0; n < NODES_MAX; n++) {
		super->peers[n].bitmap_uuid = a->bitmap_uuid[n];
		super->peers[n].bitmap_dagtag = a->bitmap_dagtag[n];
	}
}

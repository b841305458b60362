/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Steps of scenarios about disks: missing, old, new ones; metadata as others leave them. */
#include <stdlib.h>
#include <string.h>

#include "meta/meta_al.h"
#include "meta/meta_super.h"
#include "scenario.h"

void sc_start_without_disk(struct world *w, unsigned node)
{
	if (w->nodes[node].up)
		sc_kill(w, node);
	w->nodes[node].disk.broken = true;
	sc_start(w, node);
	for (unsigned p = 0; p < w->node_count; p++) {
		if (p != node && w->nodes[p].up)
			sc_wait_conn(w, node, p, CONN_CONNECTED);
	}
	sc_wait_disk(w, node, DISK_DISKLESS);
	sc_wait(w, 1000);
}

void sc_mend(struct world *w, unsigned node)
{
	w->nodes[node].disk.broken = false;
	sc_attach(w, node);
}

/* ---- other contents ---- */

/* The disk that was put by; one at a time. */
static struct {
	uint32_t *block;
	struct disk_block *content;
	unsigned count, cap;
	uint8_t *md;
	uint64_t md_bytes;
	struct meta_layout layout;
	uint32_t max_peers;
} kept;

void sc_keep_disk(struct world *w, unsigned node)
{
	const struct disk *d = &w->nodes[node].disk;
	const struct md_image *m = &d->md[SIM_VNR];

	if (kept.cap < d->touched_count || !kept.md) {
		kept.cap = d->touched_count + 1;
		kept.block = realloc(kept.block, kept.cap * sizeof(*kept.block));
		kept.content = realloc(kept.content, kept.cap * sizeof(*kept.content));
		kept.md = realloc(kept.md, MD_IMAGE_MAX);
		ASSERT(kept.block && kept.content && kept.md);
	}
	kept.count = d->touched_count;
	for (unsigned i = 0; i < kept.count; i++) {
		kept.block[i] = d->touched[i];
		kept.content[i] = d->blocks[d->touched[i]];
	}
	kept.md_bytes = m->bytes;
	kept.layout = m->layout;
	kept.max_peers = m->max_peers;
	memcpy(kept.md, m->now, m->bytes);
}

static void empty(struct disk *d)
{
	for (unsigned i = 0; i < d->touched_count; i++) {
		struct disk_block *b = disk_block(d, d->touched[i]);

		memset(b->now, 0, sizeof(b->now));
		memset(b->durable, 0, sizeof(b->durable));
	}
	d->log_count = 0;
}

void sc_old_disk(struct world *w, unsigned node)
{
	struct disk *d = &w->nodes[node].disk;
	struct md_image *m = &d->md[SIM_VNR];

	ASSERT(!w->nodes[node].up);
	empty(d);
	for (unsigned i = 0; i < kept.count; i++) {
		struct disk_block *b = disk_block(d, kept.block[i]);

		*b = kept.content[i];
		memcpy(b->durable, b->now, sizeof(b->durable));
	}
	/* The present one may have got more bitmap slots since. */
	m->bytes = kept.md_bytes;
	m->layout = kept.layout;
	m->max_peers = kept.max_peers;
	memcpy(m->now, kept.md, kept.md_bytes);
	memcpy(m->durable, kept.md, kept.md_bytes);
	memset(m->dirty, 0, m->bytes / SECTOR_BYTES * sizeof(*m->dirty));
	m->dirty_count = 0;
}

static bool is_known(const struct md_super *md, uint64_t uuid)
{
	if (uuid_eq(md->current_uuid, uuid))
		return true;
	for (unsigned n = 0; n < NODES_MAX; n++) {
		if (uuid_eq(md->peers[n].bitmap_uuid, uuid))
			return true;
	}
	for (unsigned i = 0; i < HISTORY_UUIDS; i++) {
		if (uuid_eq(md->history[i], uuid))
			return true;
	}
	return false;
}

bool sc_old_disk_known(struct world *w)
{
	const struct md_image *m = &w->nodes[0].disk.md[SIM_VNR];
	struct md_super old;

	if (meta_super_decode(kept.md + m->layout.super_byte, &old) != META_OK)
		return false;
	for (unsigned n = 0; n < w->node_count; n++) {
		const struct md_super *md = node_md(w, n, SIM_VNR);

		if (md && !is_known(md, old.current_uuid))
			return false;
	}
	return true;
}

void sc_new_disk(struct world *w, unsigned node)
{
	ASSERT(!w->nodes[node].up);
	empty(&w->nodes[node].disk);
	disk_create_md(w, node);
}

static void put_super(struct disk *d, const struct md_super *super)
{
	struct md_image *m = &d->md[SIM_VNR];
	uint8_t block[MD_PAGE_BYTES];

	meta_super_encode(super, block);
	memcpy(m->now + m->layout.super_byte, block, sizeof(block));
	memcpy(m->durable, m->now, m->bytes);
}

void sc_day_0(struct world *w, unsigned node)
{
	struct disk *d = &w->nodes[node].disk;
	struct md_super super;

	ASSERT(!w->nodes[node].up && disk_super(d, SIM_VNR, &super));
	memset(super.history, 0, sizeof(super.history));
	for (unsigned n = 0; n < NODES_MAX; n++)
		super.peers[n].bitmap_uuid = super.peers[n].bitmap_dagtag = 0;
	super.flags &= MDF_CONSISTENT | MDF_WAS_UP_TO_DATE | MDF_AL_CLEAN;
	put_super(d, &super);
}

void sc_log_was_off(struct world *w, unsigned node)
{
	struct disk *d = &w->nodes[node].disk;
	struct md_image *m = &d->md[SIM_VNR];
	uint8_t block[MD_PAGE_BYTES];
	struct md_super super;

	ASSERT(!w->nodes[node].up && disk_super(d, SIM_VNR, &super));
	super.flags |= MDF_AL_DISABLED;
	meta_al_encode_initialised(block);
	for (unsigned i = 0; i < m->layout.ring_blocks; i++)
		memcpy(m->now + m->layout.al_byte + (uint64_t)i * MD_PAGE_BYTES, block,
		       sizeof(block));
	put_super(d, &super);
}

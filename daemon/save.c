/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Saves the blocks that a node gives up into an undo file, before a resync overwrites them. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/log.h"
#include "base/str.h"
#include "core/core.h"
#include "daemon_int.h"
#include "disk/backing.h"
#include "disk/undo.h"
#include "shard_int.h"

struct save_work {
	struct list link;              /* volume->saves, until save_end() */
	struct volume *vol;
	uint8_t peer;
	atomic_bool cancelled;
	char path[CONF_PATH_MAX];
	struct undo_header header;
	uint64_t sectors;              /* of the volume */
	uint64_t bits, saved_bits;
	uint64_t *words;               /* a copy */
	struct err err;
};

/* With several volumes each has a file of its own. */
static bool path_of(const struct volume *vol, const char *given, char out[CONF_PATH_MAX])
{
	unsigned count = 0;

	FOR_EACH_VOLUME(vol->res, each)
		count++;
	if (count == 1)
		return str_copy(out, CONF_PATH_MAX, given);
	return str_format(out, CONF_PATH_MAX, "%s.%u", given, vol->vnr);
}

struct save_work *save_new(struct volume *vol, const struct ac_disk *a)
{
	const struct bm_store *bm = core_bitmap(vol->res->core, a->vnr);
	const struct md_super *md = core_md(vol->res->core, a->vnr);
	struct save_work *w = calloc(1, sizeof(*w));

	if (!w || !bm || !md || md->peers[a->peer].bitmap_index < 0)
		goto fail;
	w->vol = vol;
	w->peer = a->peer;
	w->sectors = vol->size_sectors;
	w->bits = (vol->size_sectors + BM_BLOCK_SECTORS - 1) / BM_BLOCK_SECTORS;
	w->words = malloc(bm->words_per_slot * sizeof(uint64_t) + 1);
	if (!w->words || !path_of(vol, a->save_to, w->path))
		goto fail;
	memcpy(w->words, bm->slot[md->peers[a->peer].bitmap_index],
	       bm->words_per_slot * sizeof(uint64_t));
	str_copy(w->header.resource, sizeof(w->header.resource), vol->res->name);
	str_copy(w->header.node, sizeof(w->header.node),
		 daemon_node(vol->res->shard->conf.daemon));
	w->header.vnr = vol->vnr;
	w->header.size_bytes = vol->size_sectors * SECTOR_BYTES;
	w->header.generation = md->current_uuid;
	list_push_back(&vol->saves, &w->link);
	return w;
fail:
	if (w)
		free(w->words);
	free(w);
	return NULL;
}

static bool bit_at(const struct save_work *w, uint64_t bit)
{
	return w->words[bit / 64] >> (bit % 64) & 1;
}

/* Of the next run of marked blocks, at most a record's; false = there is none. */
static bool next_run(const struct save_work *w, uint64_t *bit, uint64_t *count)
{
	uint64_t b = *bit, n = 0;

	while (b < w->bits && !bit_at(w, b))
		b += b % 64 == 0 && !w->words[b / 64] ? 64 : 1;
	*bit = b;
	while (b + n < w->bits && n < UNDO_CHUNK_BYTES / BM_BLOCK_BYTES && bit_at(w, b + n))
		n++;
	*count = n;
	return n > 0;
}

static int save_blocks(struct save_work *w, struct backing *b, struct undo_writer *undo, void *data)
{
	uint64_t bit = 0, count;

	for (; next_run(w, &bit, &count); bit += count) {
		uint64_t sector = bit * BM_BLOCK_SECTORS, end = sector + count * BM_BLOCK_SECTORS;
		uint32_t bytes;
		int rc;

		if (end > w->sectors)
			end = w->sectors;
		bytes = (uint32_t)((end - sector) * SECTOR_BYTES);
		if (atomic_load(&w->cancelled))
			return err_set(&w->err, -ECANCELED, "the connection is gone");
		rc = backing_read(b, sector, data, bytes);
		if (rc)
			return err_errno(&w->err, -rc, "read of sector %llu",
					 (unsigned long long)sector);
		rc = undo_add(undo, sector * SECTOR_BYTES, data, bytes, &w->err);
		if (rc)
			return rc;
		w->saved_bits += count;
	}
	return 0;
}

int save_run(struct save_work *w, struct backing *b)
{
	struct undo_writer *undo;
	void *data;
	int rc;

	if (!w)
		return -ENOMEM;
	data = aligned_alloc(4096, UNDO_CHUNK_BYTES);
	rc = data ? undo_create(w->path, &w->header, &undo, &w->err) : -ENOMEM;
	if (!rc) {
		rc = save_blocks(w, b, undo, data);
		if (rc)
			undo_abandon(undo);
		else
			rc = undo_finish(undo, &w->err);
	}
	free(data);
	return rc;
}

void save_end(struct save_work *w, int rc)
{
	if (!w)
		return;
	if (rc)
		log_err("%s/%u: what this node gives up was not saved to %s: %s",
			  w->header.resource, w->header.vnr, w->path, w->err.text);
	else
		log_notice("%s/%u: %llu KiB that this node gives up are saved in %s",
			   w->header.resource, w->header.vnr,
			   (unsigned long long)w->saved_bits * BM_BLOCK_SECTORS / 2, w->path);
	list_del(&w->link);
	free(w->words);
	free(w);
}

void save_cancel(struct resource *res, uint8_t peer)
{
	FOR_EACH_VOLUME(res, vol) {
		LIST_FOR_EACH(it, &vol->saves) {
			struct save_work *w = LIST_ENTRY(it, struct save_work, link);

			if (w->peer == peer)
				atomic_store(&w->cancelled, true);
		}
	}
}

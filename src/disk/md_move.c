/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Metadata of a store that has become larger (on-disk-metadata 12.1). */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "disk/md_store_int.h"
#include "meta/meta_bitmap.h"
#include "proto/proto_limits.h"

#define COPY_BYTES (1U << 20)

/* Both places have to be whole at once. */
static int refuse_overlap(const struct md_store *store, const struct md_plan *plan, struct err *err)
{
	uint64_t need = store->layout.end_byte;

	if (store->stores.place != MD_PLACE_INTERNAL || plan->layout.first_byte >= need ||
	    plan->layout.super_byte == store->layout.super_byte)
		return 0;
	return err_set(err, -ENOSPC,
		       "`%s` has grown by less than its metadata take: make it %" PRIu64
		       " bytes larger, or give it back its former size before this node stops",
		       md_store_name(store), need - plan->layout.first_byte);
}

int md_store_plan(struct md_store *store, uint32_t max_peers, struct md_plan *plan, struct err *err)
{
	int rc = backing_measure(store->data, &plan->data_bytes);

	if (!rc)
		rc = backing_measure(store->meta, &plan->meta_bytes);
	if (rc)
		return err_errno(err, -rc, "cannot find out the size of `%s`",
				 backing_info(store->data)->path);
	plan->sectors = store->super.effective_sectors;
	plan->stores = store->stores;
	plan->stores.data_sectors = plan->data_bytes / SECTOR_BYTES;
	plan->stores.meta_sectors = plan->meta_bytes / SECTOR_BYTES;
	plan->super = store->super;
	plan->super.max_peers = max_peers;
	if (plan->stores.data_sectors < store->stores.data_sectors ||
	    plan->stores.meta_sectors < store->stores.meta_sectors)
		return err_set(err, -EIO, "`%s` has become smaller: restore its size",
			       md_store_name(store));
	if (plan->stores.data_sectors == store->stores.data_sectors &&
	    plan->stores.meta_sectors == store->stores.meta_sectors &&
	    max_peers == store->super.max_peers) {
		plan->layout = store->layout;
		return 0;
	}
	if (meta_layout_fresh(&plan->stores, &plan->super, &plan->layout) != META_OK)
		return err_set(err, -EFBIG, "`%s` has become too large", md_store_name(store));
	return refuse_overlap(store, plan, err);
}

int md_store_measure(struct md_store *store, struct md_room *room, struct err *err)
{
	struct md_plan plan;
	int rc = md_store_plan(store, store->super.max_peers, &plan, err);

	if (rc)
		return rc;
	room->data_sectors = plan.layout.data_sectors;
	room->backing_sectors = plan.stores.data_sectors;
	room->meta_limits = store->stores.place != MD_PLACE_INTERNAL &&
			    plan.layout.data_sectors < plan.stores.data_sectors / 8 * 8;
	return 0;
}

int md_store_copy(struct md_store *store, uint64_t from, uint64_t to, uint64_t bytes)
{
	uint8_t *chunk;
	int rc = 0;

	if (posix_memalign((void **)&chunk, MD_PAGE_BYTES, COPY_BYTES))
		return -ENOMEM;
	for (uint64_t at = 0; at < bytes && !rc; at += COPY_BYTES) {
		size_t n = bytes - at < COPY_BYTES ? (size_t)(bytes - at) : COPY_BYTES;

		rc = backing_raw_read(store->meta, from + at, chunk, n);
		if (!rc)
			rc = backing_raw_write(store->meta, to + at, chunk, n);
	}
	free(chunk);
	return rc;
}

/* All that the old superblock leads to, then the new one, which leads to the copy. */
static int move_internal(struct md_store *store, const struct md_plan *plan)
{
	const struct meta_layout *old = &store->layout;
	uint64_t first = old->first_byte, end = old->end_byte;
	int rc;

	rc = md_store_copy(store, old->al_byte, plan->layout.al_byte,
		  (uint64_t)old->ring_blocks * MD_PAGE_BYTES);
	if (!rc)
		rc = md_store_put_bitmap(store, plan, plan->layout.bitmap_byte);
	/* The superblock vouches for the data, too. */
	if (!rc)
		rc = md_store_flush(store);
	if (rc)
		return rc;
	store->layout = plan->layout;
	store->super = plan->super;
	rc = md_store_put_super(store, &store->super);
	/* Data will lie here: without a second superblock among them. */
	if (!rc)
		rc = backing_raw_zero(store->meta, first, end - first);
	return rc ? rc : backing_flush(store->meta);
}

/* Where there is the same superblock as before nothing but its fields changes. */
static int move(struct md_store *store, const struct md_plan *plan)
{
	if (plan->layout.super_byte != store->layout.super_byte)
		return move_internal(store, plan);
	if (plan->super.max_peers != store->super.max_peers)
		return md_store_widen(store, plan);
	if (plan->super.md_size_sectors == store->super.md_size_sectors)
		return 0;
	store->super = plan->super;
	return md_store_put_super(store, &store->super);
}

int md_store_follow(struct md_store *store, const struct md_plan *plan, struct err *err)
{
	int rc;

	backing_enlarge(store->data, plan->data_bytes);
	if (store->meta != store->data)
		backing_enlarge(store->meta, plan->meta_bytes);
	rc = move(store, plan);
	if (rc)
		return err_errno(err, -rc, "cannot move the metadata of `%s`",
				 md_store_name(store));
	store->layout = plan->layout;
	store->stores = plan->stores;
	store->info.data_sectors = plan->layout.data_sectors;
	store->info.backing_sectors = plan->stores.data_sectors;
	store->info.bitmap_pages = plan->layout.bitmap_pages;
	backing_limit_data(store->data, plan->layout.data_sectors);
	return 0;
}

int md_store_move(struct md_store *store, struct err *err)
{
	struct md_plan plan;
	int rc = md_store_plan(store, store->super.max_peers, &plan, err);

	return rc ? rc : md_store_follow(store, &plan, err);
}

const struct md_super *md_store_super(const struct md_store *store)
{
	return &store->super;
}

uint64_t *const *md_store_slots(const struct md_store *store)
{
	return store->slot;
}

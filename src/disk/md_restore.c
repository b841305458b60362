/* SPDX-License-Identifier: GPL-2.0-or-later */
/* restore-md: metadata from the text of a dump. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "disk/md_offline.h"
#include "disk/md_store_int.h"
#include "meta/meta_bitmap.h"
#include "meta/meta_parse.h"
#include "meta/meta_v08.h"

#define AL_NR_EXTENTS 257U /* not part of the text; drbdmeta restores this */

struct restore {
	struct md_store *store;
	const struct md_text_source *source;
	struct md_restored *restored;
	struct err *err;
	bool force;
	uint64_t page_count; /* of bitmap, for the agreed size */
};

/* What was on the store before. */
struct former {
	bool is_there;
	enum meta_version version;
	struct md_super super;
	struct meta_layout layout;
};

static int read_text(void *ctx, char *buf, size_t room, size_t *got)
{
	const struct restore *r = ctx;
	int rc = r->source->read(r->source->ctx, buf, room, got);

	return rc ? err_errno(r->err, -rc, "cannot read the dump") : 0;
}

/* The geometry is made for the store as it is now, as create-md would. */
static int lay_out(struct restore *r)
{
	struct md_store *store = r->store;
	uint64_t words;

	if (meta_layout_fresh(&store->stores, &store->super, &store->layout) != META_OK)
		return err_set(r->err, -ENOSPC,
			       "`%s` with %" PRIu64 " bytes has no room for data and metadata "
			       "with %" PRIu32 " bitmap slots, or is too large for them",
			       md_store_name(store), store->stores.meta_sectors * SECTOR_BYTES,
			       store->super.max_peers);
	r->restored->dumped_sectors = store->super.effective_sectors;
	if (store->super.effective_sectors > store->layout.dump_sectors)
		store->super.effective_sectors = store->layout.dump_sectors;
	r->restored->sectors = store->super.effective_sectors;
	r->page_count = meta_bitmap_sectors(store->super.effective_sectors, store->super.max_peers,
					    store->super.bm_bytes_per_bit) / 8;
	if (r->page_count > store->layout.bitmap_pages)
		return err_set(r->err, -ENOSPC, "`%s`: %s", md_store_name(store),
			       meta_verdict_text(META_BAD_ROOM));
	md_store_fill_info(store);
	words = r->page_count * (MD_PAGE_WORDS / 2) / store->super.max_peers + 1;
	if (words > store->info.words_per_slot)
		store->info.words_per_slot = words;
	return 0;
}

static int take_head(void *ctx, enum meta_version version, const struct md_super *super)
{
	struct restore *r = ctx;
	struct md_store *store = r->store;
	int rc;

	store->version = r->restored->version = version;
	store->super = *super;
	store->super.al_nr_extents = AL_NR_EXTENTS;
	/* The log is written fresh. */
	store->super.flags |= MDF_AL_CLEAN;
	rc = lay_out(r);
	if (!rc && !r->force)
		rc = md_store_refuse_overwriting(store, r->err);
	if (rc)
		return rc;
	rc = md_store_map_slots(store);
	return rc ? err_errno(r->err, -rc, "cannot hold the bitmap of `%s` in memory",
			      md_store_name(store))
		  : 0;
}

/* What a dump of a larger store has beyond this one is left out. */
static int take_words(void *ctx, uint32_t slot, uint64_t first, uint64_t count, uint64_t value)
{
	struct restore *r = ctx;
	uint64_t end = r->store->info.words_per_slot;

	if (!value || first >= end)
		return 0;
	if (count < end - first)
		end = first + count;
	for (uint64_t i = first; i < end; i++)
		r->store->slot[slot][i] = value;
	return 0;
}

static int parse(struct restore *r)
{
	const struct meta_parse parse = {
		.read = read_text, .head = take_head, .words = take_words, .ctx = r
	};
	struct meta_parse_error error = { 0 };
	int rc = meta_parse(&parse, &error);

	if (rc == -EBADMSG && error.line)
		return err_set(r->err, rc, "the dump is wrong in line %" PRIu64 ": %s", error.line,
			       error.text);
	return rc;
}

/*
 * While bitmap and log are written over, the former superblock distrusts them: should it be the one
 * that is found after a power cut, everything counts as out of sync (on-disk-metadata 9.5).
 */
static int guard_former(struct md_store *store, const struct former *former)
{
	struct md_super super = former->super;
	struct md_store old = *store;

	old.layout = former->layout;
	old.version = former->version;
	if (former->version == META_VERSION_V09) {
		for (int32_t i = 0; i < NODES_MAX; i++)
			if (i != super.node_id)
				super.peers[i].flags |= MDF_PEER_FULL_SYNC;
	} else {
		super.flags |= MDF_V08_FULL_SYNC;
		old.version = META_VERSION_V08;
	}
	super.flags |= MDF_AL_CLEAN;
	return md_store_put_super(&old, &super);
}

static int write_bitmap(const struct restore *r)
{
	struct md_store *store = r->store;
	uint8_t block[MD_PAGE_BYTES];
	int rc = backing_raw_zero(store->meta, store->layout.bitmap_byte,
				  md_store_used_bitmap_bytes(store));

	for (uint64_t page = 0; page < r->page_count && !rc; page++) {
		meta_bitmap_page_encode(store->slot, store->info.words_per_slot,
					store->super.max_peers, page, block);
		if (!md_store_page_is_zero(block))
			rc = md_store_write_bitmap_page(store, page, block);
	}
	return rc;
}

static int write_all(const struct restore *r, const struct former *former)
{
	struct md_store *store = r->store;
	int rc = 0;

	if (former->is_there)
		rc = guard_former(store, former);
	if (!rc)
		rc = write_bitmap(r);
	if (!rc)
		rc = md_store_clear_ring(store);
	if (!rc)
		rc = md_store_flush(store);
	if (!rc)
		rc = md_store_put_super(store, &store->super);
	return rc ? err_errno(r->err, -rc, "cannot write metadata to `%s`", md_store_name(store))
		  : 0;
}

/* Damaged metadata is nothing that could be guarded, but something to be asked about. */
static int read_former(struct md_store *store, struct former *former, struct err *err)
{
	struct err found = ERR_INIT;
	int rc = md_store_read_any(store, &found);

	former->is_there = !rc;
	former->version = store->version;
	former->super = store->super;
	former->layout = store->layout;
	if (!rc || rc == -ENODATA || rc == -EBADMSG || rc == -EMEDIUMTYPE)
		return 0;
	return err_set(err, rc, "%s", found.text);
}

int md_offline_restore(const struct md_where *where, const struct md_text_source *source,
		       bool force, struct md_restored *restored, struct err *err)
{
	struct md_store *store = calloc(1, sizeof(*store));
	struct restore r = { .store = store, .source = source, .restored = restored, .err = err,
			     .force = force };
	struct former former = { 0 };
	int rc;

	if (!store)
		return err_errno(err, ENOMEM, "cannot open `%s`", where->data_path);
	rc = md_store_claim(store, where, 0, err);
	if (!rc)
		rc = read_former(store, &former, err);
	if (!rc)
		rc = parse(&r);
	if (!rc)
		rc = write_all(&r, &former);
	md_store_close(store);
	return rc;
}

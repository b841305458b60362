/* SPDX-License-Identifier: GPL-2.0-or-later */
/* create-md: refuses to overwrite what is there, then writes fresh metadata. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "disk/md_store_int.h"
#include "disk/signature.h"
#include "meta/meta_bitmap.h"
#include "meta/meta_version.h"
#include "meta/meta_super.h"

#define AL_NR_EXTENTS 257U
#define SCAN_CHUNK_BYTES (1U << 20)
#define OVERWRITE "; if it is not needed any more, repeat with --force"

static void fresh_super(struct md_super *super, unsigned max_peers)
{
	memset(super, 0, sizeof(*super));
	super->current_uuid = UUID_JUST_CREATED;
	super->flags = MDF_AL_CLEAN;
	super->al_nr_extents = AL_NR_EXTENTS;
	super->bm_bytes_per_bit = BM_BLOCK_BYTES;
	super->max_peers = max_peers;
	super->node_id = -1;
	super->al_stripes = 1;
	super->al_stripe_4k = 8;
	for (unsigned i = 0; i < NODES_MAX; i++)
		super->peers[i].bitmap_index = -1;
}

/* Pages that need to be zero: those for the usable size; a later growth brings its own rules. */
uint64_t md_store_used_bitmap_bytes(const struct md_store *store)
{
	return meta_bitmap_sectors(store->stores.place == MD_PLACE_INTERNAL
					   ? store->stores.data_sectors
					   : store->layout.data_sectors,
				   store->super.max_peers, store->super.bm_bytes_per_bit) *
	       SECTOR_BYTES;
}

/* Older and present metadata at the places where each version keeps its superblock. */
static int refuse_metadata(struct md_store *store, struct err *err)
{
	uint64_t sectors = store->stores.meta_sectors, at[2] = { store->layout.super_byte, 0 };
	unsigned count = 1;

	if (store->stores.place == MD_PLACE_INTERNAL && sectors > META_V07_INTERNAL_SECTORS)
		at[count++] = (sectors / 8 * 8 - META_V07_INTERNAL_SECTORS) * SECTOR_BYTES;
	for (unsigned i = 0; i < count; i++) {
		uint8_t block[MD_PAGE_BYTES];
		enum meta_version version;
		int rc = backing_raw_read(store->meta, at[i], block, sizeof(block));

		if (rc)
			return err_errno(err, -rc, "cannot read `%s`", md_store_name(store));
		version = meta_version_recognise(block);
		/* Whatever the fields say, the magic means that somebody put metadata here. */
		if (i == 0 && version == META_VERSION_V09)
			return err_set(err, -EEXIST,
				       "`%s` holds DRBD metadata (v09) already" OVERWRITE
				       " (all peers resynchronise then)",
				       md_store_name(store));
		if (version != META_VERSION_NONE && version != META_VERSION_V09)
			return err_set(err, -EEXIST, "`%s` holds %s already; %s",
				       md_store_name(store), meta_version_name(version),
				       meta_version_advice(version));
	}
	return 0;
}

/* A store that is to take another one's metadata has its own at its end: it is a volume. */
static int refuse_volume(struct md_store *store, struct err *err)
{
	uint64_t blocks = store->stores.meta_sectors * SECTOR_BYTES / MD_PAGE_BYTES;
	uint8_t block[MD_PAGE_BYTES];
	enum meta_version version;
	int rc;

	if (store->meta == store->data || blocks == 0)
		return 0;
	rc = backing_raw_read(store->meta, (blocks - 1) * MD_PAGE_BYTES, block, sizeof(block));
	if (rc)
		return err_errno(err, -rc, "cannot read `%s`", md_store_name(store));
	version = meta_version_recognise(block);
	if (version == META_VERSION_NONE)
		return 0;
	return err_set(err, -EEXIST, "`%s` is a volume itself: %s are at its end" OVERWRITE,
		       md_store_name(store), meta_version_name(version));
}

static int refuse_signature(struct backing *b, uint64_t safe_bytes, struct err *err)
{
	const struct backing_info *info = backing_info(b);
	struct signature found;
	int rc = signature_find(b, &found);

	if (rc < 0)
		return err_errno(err, -rc, "cannot read `%s`", info->path);
	if (rc == 0 || found.end_byte <= safe_bytes)
		return 0;
	if (safe_bytes == 0)
		return err_set(err, -EEXIST,
			       "`%s` holds %s, which the metadata would overwrite" OVERWRITE,
			       info->path, found.what);
	if (found.end_byte == UINT64_MAX)
		return err_set(err, -EEXIST,
			       "`%s` holds %s, and the metadata would overwrite its end: make the "
			       "store larger, use external metadata" OVERWRITE,
			       info->path, found.what);
	return err_set(err, -EEXIST,
		       "`%s` holds %s of %" PRIu64 " bytes, but only %" PRIu64 " bytes remain for "
		       "data: shrink it or make the store larger" OVERWRITE,
		       info->path, found.what, found.end_byte, safe_bytes);
}

static int refuse_data(struct md_store *store, uint64_t byte, uint64_t bytes, struct err *err)
{
	uint8_t *chunk = malloc(SCAN_CHUNK_BYTES);
	int rc = chunk ? 0 : -ENOMEM;

	while (bytes && !rc) {
		size_t n = bytes < SCAN_CHUNK_BYTES ? (size_t)bytes : SCAN_CHUNK_BYTES;

		rc = backing_raw_read(store->meta, byte, chunk, n);
		if (!rc && (chunk[0] || memcmp(chunk, chunk + 1, n - 1) != 0)) {
			free(chunk);
			return err_set(err, -EEXIST,
				       "`%s` holds unknown data where the metadata would lie (near "
				       "byte %" PRIu64 ")" OVERWRITE,
				       md_store_name(store), byte);
		}
		byte += n;
		bytes -= n;
	}
	free(chunk);
	return rc ? err_errno(err, -rc, "cannot read `%s`", md_store_name(store)) : 0;
}

int md_store_refuse_overwriting(struct md_store *store, struct err *err)
{
	const struct meta_layout *layout = &store->layout;
	uint64_t ring_bytes = (uint64_t)layout->ring_blocks * MD_PAGE_BYTES;
	uint64_t usable = layout->data_sectors * SECTOR_BYTES;
	int rc = refuse_metadata(store, err);

	if (!rc)
		rc = refuse_volume(store, err);
	/* With external metadata nothing of the data store is written, it may only be cut short. */
	if (!rc)
		rc = refuse_signature(store->data, usable, err);
	if (!rc && store->meta != store->data)
		rc = refuse_signature(store->meta, layout->first_byte, err);
	if (!rc)
		rc = refuse_data(store, layout->super_byte, MD_PAGE_BYTES, err);
	if (!rc)
		rc = refuse_data(store, layout->al_byte, ring_bytes, err);
	if (!rc)
		rc = refuse_data(store, layout->bitmap_byte,
				 md_store_used_bitmap_bytes(store), err);
	return rc;
}

/* A former superblock goes first, the new one comes last: a crash leaves all or nothing. */
static int write_fresh(struct md_store *store)
{
	int rc = backing_raw_zero(store->meta, store->layout.super_byte, MD_PAGE_BYTES);

	if (!rc)
		rc = md_store_flush(store);
	if (!rc)
		rc = backing_raw_zero(store->meta, store->layout.bitmap_byte,
				      md_store_used_bitmap_bytes(store));
	if (!rc)
		rc = md_store_clear_ring(store);
	if (!rc)
		rc = md_store_flush(store);
	return rc ? rc : md_store_put_super(store, &store->super);
}

static int random_uuid(uint64_t *uuid)
{
	do
		if (getrandom(uuid, sizeof(*uuid), 0) != (ssize_t)sizeof(*uuid))
			return -errno;
	while (!*uuid);
	return 0;
}

static int create(struct md_store *store, unsigned max_peers, bool force, struct err *err)
{
	enum meta_verdict verdict;
	int rc;

	store->version = META_VERSION_V09;
	fresh_super(&store->super, max_peers);
	verdict = meta_layout_fresh(&store->stores, &store->super, &store->layout);
	if (verdict != META_OK)
		return err_set(err, -ENOSPC,
			       "`%s` with %" PRIu64 " bytes has no room for data and metadata "
			       "with %u bitmap slots, or is too large for them",
			       md_store_name(store), store->stores.meta_sectors * SECTOR_BYTES,
			       max_peers);
	if (!force) {
		rc = md_store_refuse_overwriting(store, err);
		if (rc)
			return rc;
	}
	rc = random_uuid(&store->super.device_uuid);
	if (!rc)
		rc = write_fresh(store);
	if (rc)
		return err_errno(err, -rc, "cannot write metadata to `%s`", md_store_name(store));
	return 0;
}

int md_store_create(const struct md_where *where, unsigned max_peers, bool force,
		    uint64_t *data_sectors, struct err *err)
{
	struct md_store *store;
	int rc;

	if (max_peers < 1 || max_peers > MAX_PEERS_MAX)
		return err_set(err, -EINVAL,
			       "cannot create metadata for %u peers: 1 to %u are possible",
			       max_peers, MAX_PEERS_MAX);
	store = calloc(1, sizeof(*store));
	if (!store)
		return err_errno(err, ENOMEM, "cannot open `%s`", where->data_path);
	rc = md_store_claim(store, where, 0, err);
	if (!rc)
		rc = create(store, max_peers, force, err);
	if (!rc && data_sectors)
		*data_sectors = store->layout.data_sectors;
	md_store_close(store);
	return rc;
}

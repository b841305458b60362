/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Opening and checking metadata on a store, and the writes while running. */
#include "disk/md_store.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/assert.h"
#include "disk/md_store_int.h"
#include "meta/meta_al.h"
#include "meta/meta_bitmap.h"
#include "meta/meta_version.h"
#include "meta/meta_super.h"
#include "meta/meta_v08.h"

#define SLOT_ROUND_WORDS (MD_PAGE_BYTES / 8)
#define RING_CHUNK_BLOCKS 64U

const char *md_store_name(const struct md_store *store)
{
	return backing_info(store->meta)->path;
}

/* Opening one store twice would fail with a message that blames somebody else. */
static int refuse_same_store(const struct md_where *where, struct err *err)
{
	struct stat data, meta;

	if (stat(where->data_path, &data) != 0 || stat(where->meta_path, &meta) != 0)
		return 0;
	if ((S_ISBLK(data.st_mode) && S_ISBLK(meta.st_mode)) ? data.st_rdev != meta.st_rdev
							      : data.st_dev != meta.st_dev ||
								      data.st_ino != meta.st_ino)
		return 0;
	return err_set(err, -EINVAL,
		       "`%s` cannot hold data and external metadata at once; use internal "
		       "metadata or another store",
		       where->meta_path);
}

static int claim_meta(struct md_store *store, const struct md_where *where, unsigned flags,
		      struct err *err)
{
	struct backing_claim part = { 0, 0 };
	int rc = refuse_same_store(where, err);

	if (rc)
		return rc;
	if (where->place == MD_PLACE_INDEXED) {
		part.first_byte = (uint64_t)where->index * META_INDEXED_SECTORS * SECTOR_BYTES;
		part.byte_count = (uint64_t)META_INDEXED_SECTORS * SECTOR_BYTES;
	}
	rc = backing_open(where->meta_path, flags, &part, &store->meta, err);
	if (rc == -EBUSY && where->place == MD_PLACE_INDEXED)
		return err_wrap(err, "metadata index %" PRIu32, where->index);
	return rc;
}

int md_store_claim(struct md_store *store, const struct md_where *where, unsigned flags,
		   struct err *err)
{
	int rc = backing_open(where->data_path, flags, NULL, &store->data, err);

	if (rc)
		return rc;
	if (where->place == MD_PLACE_INTERNAL) {
		store->meta = store->data;
	} else {
		rc = claim_meta(store, where, flags, err);
		if (rc)
			return rc;
	}
	store->read_only = flags & BACKING_READ_ONLY;
	store->stores.place = where->place;
	store->stores.index = where->index;
	store->stores.data_sectors = backing_info(store->data)->size_bytes / SECTOR_BYTES;
	store->stores.meta_sectors = backing_info(store->meta)->size_bytes / SECTOR_BYTES;
	return 0;
}

static int no_metadata(const struct md_store *store, uint64_t byte, struct err *err)
{
	if (store->stores.place == MD_PLACE_INTERNAL)
		return err_set(err, -ENODATA,
			       "`%s` has no DRBD metadata at its end (byte %" PRIu64 "): create "
			       "it with `drbdctl create-md`; if there was some before, the size of "
			       "the store has changed and must be restored",
			       md_store_name(store), byte);
	return err_set(err, -ENODATA,
		       "`%s` has no DRBD metadata at byte %" PRIu64 ": create it with "
		       "`drbdctl create-md`",
		       md_store_name(store), byte);
}

/* Fixed-size internal metadata of DRBD 0.7 lies elsewhere. */
static bool is_fixed_v07(struct md_store *store)
{
	uint64_t sectors = store->stores.meta_sectors / 8 * 8;
	uint8_t block[MD_PAGE_BYTES];

	return store->stores.place == MD_PLACE_INTERNAL && sectors > META_V07_INTERNAL_SECTORS &&
	       backing_raw_read(store->meta, (sectors - META_V07_INTERNAL_SECTORS) * SECTOR_BYTES,
				block, sizeof(block)) == 0 &&
	       meta_version_recognise(block) == META_VERSION_V07;
}

/* The superblock and where it leads; -ENODATA and -EMEDIUMTYPE with a message. */
static int decode_super(struct md_store *store, uint64_t byte,
			const uint8_t block[static MD_PAGE_BYTES], enum meta_verdict *verdict,
			struct err *err)
{
	store->version = meta_version_recognise(block);
	if (store->version == META_VERSION_NONE && is_fixed_v07(store))
		store->version = META_VERSION_V07;
	switch (store->version) {
	case META_VERSION_V09:
		*verdict = meta_super_decode(block, &store->super);
		return 0;
	case META_VERSION_V08:
	case META_VERSION_V08_UNCLEAN:
		*verdict = meta_v08_decode(block, &store->super);
		return 0;
	case META_VERSION_V07:
		return err_set(err, -EMEDIUMTYPE, "`%s` has %s; %s", md_store_name(store),
			       meta_version_name(store->version),
			       meta_version_advice(store->version));
	case META_VERSION_NONE:
		break;
	}
	return no_metadata(store, byte, err);
}

/*
 * What may be looked at and mended although nobody could attach it: slots that contradict each
 * other, and an agreed size that does not fit as long as what is left of it has its bitmap.
 */
static bool is_readable(const struct md_store *store, enum meta_verdict verdict)
{
	const struct md_super *super = &store->super;
	const struct meta_layout *layout = &store->layout;
	uint64_t sectors = super->effective_sectors < layout->dump_sectors
				   ? super->effective_sectors : layout->dump_sectors;

	return verdict == META_OK || verdict == META_BAD_SLOT ||
	       (verdict == META_BAD_ROOM &&
		meta_bitmap_sectors(sectors, super->max_peers, super->bm_bytes_per_bit) <=
			layout->bitmap_pages * 8);
}

static int damaged(const struct md_store *store, enum meta_verdict verdict, struct err *err)
{
	return err_set(err, -EBADMSG,
		       "the DRBD metadata of `%s` is damaged or does not belong to this store: "
		       "%s; restore it, or start afresh with `drbdctl create-md --force`",
		       md_store_name(store), meta_verdict_text(verdict));
}

/* Reads the superblock; positions and limits are known afterwards. *verdict: what is wrong. */
static int read_super(struct md_store *store, enum meta_verdict *verdict, struct err *err)
{
	uint8_t block[MD_PAGE_BYTES];
	enum meta_verdict layout;
	uint64_t sector;
	int rc;

	if (meta_layout_locate(&store->stores, &sector) != META_OK)
		return err_set(err, -ENODATA,
			       "`%s` has no DRBD metadata: with %" PRIu64 " bytes it is too small "
			       "to hold any",
			       md_store_name(store), store->stores.meta_sectors * SECTOR_BYTES);
	rc = backing_raw_read(store->meta, sector * SECTOR_BYTES, block, sizeof(block));
	if (rc)
		return err_errno(err, -rc, "cannot read the DRBD metadata of `%s` at byte %" PRIu64,
				 md_store_name(store), sector * SECTOR_BYTES);
	rc = decode_super(store, sector * SECTOR_BYTES, block, verdict, err);
	if (rc || (*verdict != META_OK && *verdict != META_BAD_SLOT))
		return rc;
	layout = meta_layout_check(&store->stores, &store->super, &store->layout);
	if (layout != META_OK)
		*verdict = layout;
	if (*verdict != META_OK || store->version != META_VERSION_V09)
		return 0;
	return md_store_recover(store, block, err);
}

/* What only matters to whoever is going to use the data. */
static int check_use(struct md_store *store, uint8_t node_id, struct err *err)
{
	struct md_super *super = &store->super;

	if (super->bm_bytes_per_bit != BM_BLOCK_BYTES)
		return err_set(err, -EBADMSG,
			       "the DRBD metadata of `%s` counts %" PRIu32 " bytes per bitmap bit, "
			       "only %u are supported; start afresh with `drbdctl create-md "
			       "--force`",
			       md_store_name(store), super->bm_bytes_per_bit, BM_BLOCK_BYTES);
	if (super->node_id != -1 && super->node_id != node_id)
		return err_set(err, -EREMCHG,
			       "the DRBD metadata of `%s` belongs to node id %" PRId32 ", this "
			       "node has id %u: check the store and node-id in the configuration",
			       md_store_name(store), super->node_id, node_id);
	if (super->peers[node_id].bitmap_index != -1)
		return err_set(err, -EBADMSG,
			       "the DRBD metadata of `%s` has a bitmap slot for this node's own id "
			       "%u: check node-id in the configuration",
			       md_store_name(store), node_id);
	if (super->effective_sectors > store->layout.data_sectors && super->flags & MDF_CONSISTENT)
		return err_set(err, -EFBIG,
			       "`%s` has become too small: %" PRIu64 " sectors of data were "
			       "agreed, %" PRIu64 " fit; restore its size, or start afresh with "
			       "`drbdctl create-md --force`",
			       backing_info(store->data)->path, super->effective_sectors,
			       store->layout.data_sectors);
	super->node_id = node_id;
	return 0;
}

void md_store_fill_info(struct md_store *store)
{
	struct md_store_info *info = &store->info;
	uint64_t bit_sectors = store->super.bm_bytes_per_bit / SECTOR_BYTES;
	uint64_t bits = (store->layout.data_sectors + bit_sectors - 1) / bit_sectors;
	uint64_t words = (bits + 63) / 64;

	info->data_sectors = store->layout.data_sectors;
	info->backing_sectors = store->stores.data_sectors;
	info->max_peers = store->super.max_peers;
	info->ring_blocks = store->layout.ring_blocks;
	info->bitmap_pages = store->layout.bitmap_pages;
	info->words_per_slot = (words + SLOT_ROUND_WORDS - 1) / SLOT_ROUND_WORDS * SLOT_ROUND_WORDS;
}

int md_store_read_any(struct md_store *store, struct err *err)
{
	enum meta_verdict verdict;
	int rc = read_super(store, &verdict, err);

	if (rc)
		return rc;
	if (!is_readable(store, verdict))
		return damaged(store, verdict, err);
	md_store_fill_info(store);
	return 0;
}

/* Whether the metadata can be used as they are. */
static int check_sound(const struct md_store *store, enum meta_verdict verdict, struct err *err)
{
	if (store->version != META_VERSION_V09)
		return err_set(err, -EMEDIUMTYPE, "`%s` has %s; %s", md_store_name(store),
			       meta_version_name(store->version),
			       meta_version_advice(store->version));
	return verdict == META_OK ? 0 : damaged(store, verdict, err);
}

int md_store_open(const struct md_where *where, uint8_t node_id, struct md_store **out,
		  struct err *err)
{
	enum meta_verdict verdict = META_NONE;
	struct md_store *store = calloc(1, sizeof(*store));
	int rc;

	ASSERT(node_id < NODES_MAX);
	if (!store)
		return err_errno(err, ENOMEM, "cannot open `%s`", where->data_path);
	rc = md_store_claim(store, where, 0, err);
	if (!rc)
		rc = read_super(store, &verdict, err);
	if (!rc)
		rc = check_sound(store, verdict, err);
	if (!rc)
		rc = check_use(store, node_id, err);
	if (rc) {
		md_store_close(store);
		return rc;
	}
	md_store_fill_info(store);
	backing_limit_data(store->data, store->layout.data_sectors);
	*out = store;
	return 0;
}

/* As apply_log() does for a log that has nothing to say. */
static void renew_log(struct md_store *store)
{
	if (backing_flush(store->data) != 0 || md_store_clear_ring(store) != 0 ||
	    md_store_flush(store) != 0)
		return;
	store->super.flags |= MDF_AL_CLEAN;
	(void)md_store_put_super(store, &store->super);
}

void md_store_close(struct md_store *store)
{
	if (!store)
		return;
	if (store->settled)
		renew_log(store);
	for (unsigned i = 0; i < NODES_MAX; i++)
		if (store->slot[i])
			munmap(store->slot[i], store->info.words_per_slot * 8);
	if (store->meta != store->data)
		backing_close(store->meta);
	backing_close(store->data);
	free(store);
}

const struct md_store_info *md_store_info(const struct md_store *store)
{
	return &store->info;
}

struct backing *md_store_backing(struct md_store *store)
{
	return store->data;
}

/* A superblock of another geometry would make the metadata unreadable. It may be an older one. */
static bool is_own_super(const struct md_store *store, const struct md_super *super)
{
	const struct md_super *own = &store->super;

	return super->bm_bytes_per_bit == own->bm_bytes_per_bit &&
	       super->max_peers >= store->loaded_peers && super->max_peers <= own->max_peers &&
	       super->al_stripes == own->al_stripes &&
	       super->al_stripe_4k == own->al_stripe_4k && super->node_id == own->node_id &&
	       super->effective_sectors <= META_DATA_SECTORS_MAX;
}

static int write_flushed(struct md_store *store, uint64_t byte, const uint8_t block[MD_PAGE_BYTES])
{
	int rc = backing_raw_write(store->meta, byte, block, MD_PAGE_BYTES);

	return rc ? rc : md_store_flush(store);
}

int md_store_write_super(struct md_store *store, const uint8_t block[static MD_PAGE_BYTES])
{
	uint8_t placed[MD_PAGE_BYTES];
	struct md_super super;
	int rc;

	if (meta_super_decode(block, &super) != META_OK || !is_own_super(store, &super))
		return -EINVAL;
	super.max_peers = store->super.max_peers;
	super.md_size_sectors = store->super.md_size_sectors;
	super.al_offset_sectors = store->super.al_offset_sectors;
	super.bm_offset_sectors = store->super.bm_offset_sectors;
	meta_super_encode(&super, placed);
	/* A superblock vouches for bitmap and data: neither may be younger than it. */
	rc = backing_flush(store->data);
	if (!rc && store->meta != store->data)
		rc = md_store_flush(store);
	if (!rc)
		rc = write_flushed(store, store->layout.super_byte, placed);
	store->super = super;
	store->settled = !rc && !(super.flags & (MDF_PRIMARY_IND | MDF_AL_CLEAN));
	return rc;
}

int md_store_put_super(struct md_store *store, const struct md_super *super)
{
	uint8_t block[MD_PAGE_BYTES];

	if (store->version == META_VERSION_V09)
		meta_super_encode(super, block);
	else
		meta_v08_encode(super, store->version, block);
	return write_flushed(store, store->layout.super_byte, block);
}

int md_store_write_al(struct md_store *store, const uint8_t block[static MD_PAGE_BYTES])
{
	uint32_t number, index;
	int rc;

	if (!meta_al_peek(block, &number))
		return -EINVAL;
	/* The bits of an evicted extent must be on disk before the log forgets the extent. */
	if (atomic_load(&store->bitmap_dirty)) {
		rc = md_store_flush(store);
		if (rc)
			return rc;
	}
	index = meta_al_block_of_number(number, store->super.al_stripes, store->super.al_stripe_4k);
	return write_flushed(store, store->layout.al_byte + (uint64_t)index * MD_PAGE_BYTES, block);
}

int md_store_clear_ring(struct md_store *store)
{
	static const size_t chunk_bytes = (size_t)RING_CHUNK_BLOCKS * MD_PAGE_BYTES;
	uint8_t *chunk = malloc(chunk_bytes);
	uint32_t blocks = store->layout.ring_blocks;
	int rc = 0;

	if (!chunk)
		return -ENOMEM;
	for (unsigned i = 0; i < RING_CHUNK_BLOCKS; i++)
		meta_al_encode_initialised(chunk + (size_t)i * MD_PAGE_BYTES);
	for (uint32_t i = 0; i < blocks && !rc; i += RING_CHUNK_BLOCKS) {
		uint32_t n = blocks - i < RING_CHUNK_BLOCKS ? blocks - i : RING_CHUNK_BLOCKS;

		rc = backing_raw_write(store->meta,
				       store->layout.al_byte + (uint64_t)i * MD_PAGE_BYTES, chunk,
				       (size_t)n * MD_PAGE_BYTES);
	}
	free(chunk);
	return rc;
}

int md_store_write_bitmap_page(struct md_store *store, uint64_t page,
			       const uint8_t block[static MD_PAGE_BYTES])
{
	int rc;

	if (page >= store->layout.bitmap_pages)
		return -EINVAL;
	rc = backing_raw_write(store->meta, store->layout.bitmap_byte + page * MD_PAGE_BYTES, block,
			       MD_PAGE_BYTES);
	/* Also after a failure: part of it may have been written. */
	atomic_store(&store->bitmap_dirty, true);
	return rc;
}

int md_store_read_bitmap_page(struct md_store *store, uint64_t page,
			      uint8_t block[static MD_PAGE_BYTES])
{
	if (page >= store->layout.bitmap_pages)
		return -EINVAL;
	return backing_raw_read(store->meta, store->layout.bitmap_byte + page * MD_PAGE_BYTES,
				block, MD_PAGE_BYTES);
}

int md_store_flush(struct md_store *store)
{
	int rc;

	/* Cleared first: a page that is written meanwhile sets it again. */
	atomic_store(&store->bitmap_dirty, false);
	rc = backing_flush(store->meta);
	if (rc)
		atomic_store(&store->bitmap_dirty, true);
	return rc;
}

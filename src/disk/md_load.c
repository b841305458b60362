/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Attaching: applies the activity log, reads the bitmap (on-disk-metadata 8.7, 9.7). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/assert.h"
#include "disk/md_store_int.h"
#include "meta/meta_al.h"
#include "meta/meta_bitmap.h"
#include "meta/meta_v08.h"

#define READ_CHUNK_PAGES 256U

/* Sectors that a bit stands for; only offline others than 8. */
static uint64_t bit_sectors(const struct md_store *store)
{
	return store->super.bm_bytes_per_bit / SECTOR_BYTES;
}

/* Bits that the disk's bitmap is trusted for. */
static uint64_t valid_bits(const struct md_store *store)
{
	uint64_t sectors = store->super.effective_sectors;

	if (!sectors || sectors > store->info.data_sectors)
		sectors = store->info.data_sectors;
	return (sectors + bit_sectors(store) - 1) / bit_sectors(store);
}

/* Mapped rather than allocated: zero without touching it, and large. */
int md_store_map_slots(struct md_store *store)
{
	for (uint32_t i = 0; i < store->info.max_peers; i++) {
		void *words = mmap(NULL, store->info.words_per_slot * 8, PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (words == MAP_FAILED)
			return -ENOMEM;
		store->slot[i] = words;
	}
	return 0;
}

bool md_store_page_is_zero(const uint8_t block[static MD_PAGE_BYTES])
{
	return block[0] == 0 && memcmp(block, block + 1, MD_PAGE_BYTES - 1) == 0;
}

static int read_bitmap(struct md_store *store)
{
	uint64_t bits = valid_bits(store);
	uint64_t pages = meta_bitmap_pages(bits, store->info.max_peers);
	uint8_t *chunk;
	int rc = 0;

	ASSERT(pages <= store->layout.bitmap_pages);
	if (posix_memalign((void **)&chunk, MD_PAGE_BYTES, READ_CHUNK_PAGES * MD_PAGE_BYTES) != 0)
		return -ENOMEM;
	for (uint64_t page = 0; page < pages && !rc; page += READ_CHUNK_PAGES) {
		uint64_t left = pages - page;
		uint32_t n = left < READ_CHUNK_PAGES ? (uint32_t)left : READ_CHUNK_PAGES;

		rc = backing_raw_read(store->meta, store->layout.bitmap_byte + page * MD_PAGE_BYTES,
				      chunk, (size_t)n * MD_PAGE_BYTES);
		for (uint32_t i = 0; i < n && !rc; i++)
			if (!md_store_page_is_zero(chunk + (size_t)i * MD_PAGE_BYTES))
				meta_bitmap_page_decode(chunk + (size_t)i * MD_PAGE_BYTES, page + i,
							store->info.max_peers, store->slot,
							store->info.words_per_slot);
	}
	free(chunk);
	for (uint32_t i = 0; i < store->info.max_peers; i++)
		meta_bitmap_clip(store->slot[i], store->info.words_per_slot, bits);
	return rc;
}

/* Bits [first, end) of every slot, in core and on disk. */
static int mark_bits(struct md_store *store, uint64_t first, uint64_t end)
{
	uint32_t max_peers = store->info.max_peers;
	uint8_t block[MD_PAGE_BYTES];
	uint64_t last = bm_disk_page(end - 1, max_peers - 1, max_peers);
	int rc = 0;

	for (uint32_t i = 0; i < max_peers; i++)
		meta_bitmap_set(store->slot[i], first, end);
	for (uint64_t page = bm_disk_page(first, 0, max_peers); page <= last && !rc; page++) {
		meta_bitmap_page_encode(store->slot, store->info.words_per_slot, max_peers, page,
					block);
		rc = md_store_write_bitmap_page(store, page, block);
	}
	return rc;
}

static bool extent_is_marked(const struct md_store *store, uint64_t first, uint64_t end)
{
	for (uint32_t i = 0; i < store->info.max_peers; i++)
		for (uint64_t bit = first; bit < end; bit++)
			if (!(store->slot[i][bit / 64] & UINT64_C(1) << bit % 64))
				return false;
	return true;
}

/* Extents that lie wholly beyond the agreed size cannot have been written to; they are left out. */
static int mark_table(struct md_store *store, const struct meta_al_table *table, uint64_t *count)
{
	uint64_t bits = valid_bits(store), extent_bits = AL_EXTENT_SECTORS / bit_sectors(store);
	int rc = 0;

	for (uint32_t slot = 0; slot < table->slot_count && !rc; slot++) {
		uint64_t first = (uint64_t)table->extent[slot] * extent_bits;
		uint64_t end = first + extent_bits < bits ? first + extent_bits : bits;

		if (table->extent[slot] == AL_FREE || first >= bits)
			continue;
		++*count;
		if (!extent_is_marked(store, first, end))
			rc = mark_bits(store, first, end);
	}
	return rc;
}

static int read_ring_block(void *ctx, uint32_t index, uint8_t block[static MD_PAGE_BYTES])
{
	struct md_store *store = ctx;

	return backing_raw_read(store->meta,
				store->layout.al_byte + (uint64_t)index * MD_PAGE_BYTES, block,
				MD_PAGE_BYTES);
}

/* Before 8.4 the log had another form; those who upgraded from there may still have it. */
static int unreadable_log(const struct md_store *store, struct err *err)
{
	return err_set(err, -EBADMSG,
		       "the activity log of `%s` is unreadable%s, so it is not known what was "
		       "being written when this node crashed; restore the metadata, or start "
		       "afresh with `drbdctl create-md --force`",
		       md_store_name(store),
		       store->version == META_VERSION_V08
			       ? " (if it is that of DRBD 8.3: run `drbdmeta ... v08 ... apply-al` "
				 "of drbd-utils)"
			       : "");
}

/* The hot extents of the log into the bitmap; durable on return. */
static int replay(struct md_store *store, struct md_loaded *loaded, struct err *err)
{
	const struct meta_al_ring ring = { .stripes = store->super.al_stripes,
					   .stripe_4k = store->super.al_stripe_4k,
					   .extent_count = store->super.al_nr_extents,
					   .read = read_ring_block, .ctx = store };
	struct meta_al_table *table = malloc(sizeof(*table));
	enum meta_al_outcome outcome;
	uint64_t bits = valid_bits(store);
	int rc;

	if (!table)
		return err_errno(err, ENOMEM, "cannot apply the activity log of `%s`",
				 md_store_name(store));
	rc = meta_al_replay(&ring, table, &outcome);
	if (!rc && outcome == META_AL_UNREADABLE) {
		free(table);
		return unreadable_log(store, err);
	}
	if (!rc && outcome == META_AL_MARK_ALL) {
		loaded->al_damaged = true;
		loaded->al_extent_count = (bits * bit_sectors(store) + AL_EXTENT_SECTORS - 1) /
					  AL_EXTENT_SECTORS;
		rc = bits ? mark_bits(store, 0, bits) : 0;
	}
	if (!rc && outcome == META_AL_REPLAYED)
		rc = mark_table(store, table, &loaded->al_extent_count);
	free(table);
	if (!rc)
		rc = md_store_flush(store);
	if (rc)
		return err_errno(err, -rc, "cannot apply the activity log of `%s`",
				 md_store_name(store));
	return 0;
}

/* Without a Primary around nothing was in flight, but transactions to come need a fresh ring. */
int md_store_drain_log(struct md_store *store, struct md_loaded *loaded, struct err *err)
{
	int rc;

	if (store->super.flags & MDF_PRIMARY_IND && !md_store_is_clean(store)) {
		rc = replay(store, loaded, err);
		if (rc)
			return rc;
	}
	rc = md_store_clear_ring(store);
	if (!rc)
		rc = md_store_flush(store);
	if (rc)
		return err_errno(err, -rc, "cannot renew the activity log of `%s`",
				 md_store_name(store));
	return 0;
}

bool md_store_is_clean(const struct md_store *store)
{
	return store->version == META_VERSION_V09 ? store->super.flags & MDF_AL_CLEAN
						   : meta_v08_is_clean(&store->super,
								       store->version);
}

int md_store_read_bitmap(struct md_store *store, struct err *err)
{
	int rc = md_store_map_slots(store);

	if (rc)
		return err_errno(err, -rc, "cannot hold the bitmap of `%s` in memory",
				 md_store_name(store));
	rc = read_bitmap(store);
	if (rc)
		return err_errno(err, -rc, "cannot read the bitmap of `%s`", md_store_name(store));
	return 0;
}

/*
 * Bitmap first, then the ring, then the flag that says so: a crash in between repeats the whole,
 * and setting bits twice does no harm.
 */
int md_store_apply_log(struct md_store *store, struct md_loaded *loaded, struct err *err)
{
	int rc;

	if (md_store_is_clean(store))
		return 0;
	rc = md_store_drain_log(store, loaded, err);
	if (rc)
		return rc;
	store->super.flags |= MDF_AL_CLEAN;
	if (store->version == META_VERSION_V08_UNCLEAN)
		store->version = META_VERSION_V08;
	rc = md_store_put_super(store, &store->super);
	if (rc)
		return err_errno(err, -rc, "cannot write the superblock of `%s`",
				 md_store_name(store));
	loaded->al_applied = true;
	return 0;
}

int md_store_load(struct md_store *store, struct md_loaded *loaded, struct err *err)
{
	int rc;

	ASSERT(!store->loaded && !store->read_only);
	store->loaded = true;
	store->loaded_peers = store->super.max_peers;
	memset(loaded, 0, sizeof(*loaded));
	rc = md_store_read_bitmap(store, err);
	if (!rc)
		rc = md_store_apply_log(store, loaded, err);
	if (rc)
		return rc;
	loaded->super = store->super;
	memcpy(loaded->slot, store->slot, sizeof(loaded->slot));
	loaded->words_per_slot = store->info.words_per_slot;
	return 0;
}

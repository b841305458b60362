/* SPDX-License-Identifier: GPL-2.0-or-later */
/* More bitmap slots than the metadata were created with (on-disk-metadata 9.1, 12.1). */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "disk/md_store_int.h"
#include "meta/meta_bitmap.h"
#include "meta/meta_relayout.h"
#include "meta/meta_super.h"
#include "proto/proto_limits.h"

#define CHUNK_PAGES 256U
#define MIB (UINT64_C(1) << 20)

static uint64_t pages_of(uint64_t sectors, uint32_t max_peers)
{
	return meta_bitmap_pages((sectors + BM_BLOCK_SECTORS - 1) / BM_BLOCK_SECTORS, max_peers);
}

/* ---- the bitmap in its new form ---- */

/* New pages [page, page + n), from what lies between old pages that `old` has room for. */
static int widen_chunk(struct md_store *store, const struct md_plan *plan, uint64_t page,
		       uint32_t n, uint8_t *old, uint8_t *chunk)
{
	uint32_t peers = plan->super.max_peers, old_peers = store->super.max_peers;
	uint64_t bits = (plan->sectors + BM_BLOCK_SECTORS - 1) / BM_BLOCK_SECTORS;
	uint64_t room = store->layout.bitmap_pages, first, end, ignored, have;
	int rc = 0;

	meta_bitmap_wider_needs(page, peers, old_peers, &first, &ignored);
	meta_bitmap_wider_needs(page + n - 1, peers, old_peers, &ignored, &end);
	/* The last page may be wider than what it stands for. */
	have = room > first ? (room < end ? room : end) - first : 0;
	memset(old + have * MD_PAGE_BYTES, 0, (end - first - have) * MD_PAGE_BYTES);
	if (have)
		rc = backing_raw_read(store->meta,
				      store->layout.bitmap_byte + first * MD_PAGE_BYTES, old,
				      (size_t)have * MD_PAGE_BYTES);
	for (uint32_t i = 0; i < n && !rc; i++)
		meta_bitmap_wider_page(page + i, peers, old_peers, bits, old, first,
				       chunk + (size_t)i * MD_PAGE_BYTES);
	return rc;
}

static int widen_to(struct md_store *store, const struct md_plan *plan, uint64_t to)
{
	uint64_t pages = pages_of(plan->sectors, plan->super.max_peers);
	uint8_t *chunk, *old = NULL;
	int rc = 0;

	/* No wider than the new pages, but a piece of a page more at both ends. */
	if (posix_memalign((void **)&chunk, MD_PAGE_BYTES, CHUNK_PAGES * MD_PAGE_BYTES))
		return -ENOMEM;
	if (posix_memalign((void **)&old, MD_PAGE_BYTES, (CHUNK_PAGES + 2) * MD_PAGE_BYTES))
		rc = -ENOMEM;
	for (uint64_t page = 0; page < pages && !rc; page += CHUNK_PAGES) {
		uint32_t n = pages - page < CHUNK_PAGES ? (uint32_t)(pages - page) : CHUNK_PAGES;

		rc = widen_chunk(store, plan, page, n, old, chunk);
		if (!rc)
			rc = backing_raw_write(store->meta, to + page * MD_PAGE_BYTES, chunk,
					       (size_t)n * MD_PAGE_BYTES);
	}
	free(old);
	free(chunk);
	return rc;
}

int md_store_put_bitmap(struct md_store *store, const struct md_plan *plan, uint64_t to)
{
	if (plan->super.max_peers != store->super.max_peers)
		return widen_to(store, plan, to);
	return md_store_copy(store, store->layout.bitmap_byte, to,
			     pages_of(store->super.effective_sectors, store->super.max_peers) *
				     MD_PAGE_BYTES);
}

/* ---- in the place of the old one ---- */

static uint64_t new_bytes(const struct md_plan *plan)
{
	return pages_of(plan->sectors, plan->super.max_peers) * MD_PAGE_BYTES;
}

/* The new bitmap fits in front of the old one. */
static bool is_beside(const struct md_store *store, const struct md_plan *plan)
{
	return plan->layout.bitmap_byte + new_bytes(plan) <= store->layout.bitmap_byte;
}

/* Where it lies whole meanwhile: in front of the new metadata, or behind all that they use. */
static uint64_t copy_byte(const struct md_plan *plan)
{
	return plan->stores.place == MD_PLACE_INTERNAL
		       ? plan->layout.bitmap_byte - new_bytes(plan)
		       : plan->layout.bitmap_byte + new_bytes(plan);
}

static void guard(struct md_super *super)
{
	for (unsigned n = 0; n < NODES_MAX; n++)
		if (super->peers[n].bitmap_index >= 0)
			super->peers[n].flags |= MDF_PEER_FULL_SYNC;
}

static uint32_t guarded(const struct md_super *super)
{
	uint32_t nodes = 0;

	for (unsigned n = 0; n < NODES_MAX; n++)
		if (super->peers[n].flags & MDF_PEER_FULL_SYNC)
			nodes |= UINT32_C(1) << n;
	return nodes;
}

static void unguard(struct md_super *super, uint32_t full_sync)
{
	for (unsigned n = 0; n < NODES_MAX; n++)
		if (!(full_sync >> n & 1))
			super->peers[n].flags &= ~MDF_PEER_FULL_SYNC;
}

static int put_with_note(struct md_store *store, const struct md_super *super,
			 const struct meta_relayout *note)
{
	uint8_t block[MD_PAGE_BYTES];
	int rc;

	meta_super_encode(super, block);
	meta_relayout_encode(note, super, block);
	rc = backing_raw_write(store->meta, store->layout.super_byte, block, sizeof(block));
	return rc ? rc : md_store_flush(store);
}

/* The bitmap is whole where it belongs. Where its copy was data may lie once. */
static int end_overwriting(struct md_store *store, const struct meta_relayout *note)
{
	int rc = md_store_put_super(store, &store->super);

	if (!rc && note->copy_byte < store->layout.bitmap_byte)
		rc = backing_raw_zero(store->meta, note->copy_byte, note->pages * MD_PAGE_BYTES);
	return rc;
}

/*
 * While the bitmap is overwritten the superblock has a note of where it lies whole. A DRBD kernel
 * knows nothing of notes: for that everything is marked as out of sync.
 */
static int overwrite(struct md_store *store, const struct md_plan *plan)
{
	struct meta_relayout note = { .copy_byte = copy_byte(plan),
				      .pages = new_bytes(plan) / MD_PAGE_BYTES,
				      .max_peers = plan->super.max_peers,
				      .full_sync = guarded(&store->super) };
	struct md_super old = store->super, super = plan->super;
	int rc = widen_to(store, plan, note.copy_byte);

	guard(&old);
	guard(&super);
	if (!rc)
		rc = md_store_flush(store);
	/* First what lies in several sectors, then what does in one. */
	if (!rc)
		rc = put_with_note(store, &old, &note);
	if (!rc)
		rc = put_with_note(store, &super, &note);
	if (!rc)
		rc = md_store_copy(store, note.copy_byte, plan->layout.bitmap_byte,
				   note.pages * MD_PAGE_BYTES);
	if (!rc)
		rc = md_store_flush(store);
	if (rc)
		return rc;
	store->layout = plan->layout;
	store->super = plan->super;
	return end_overwriting(store, &note);
}

int md_store_widen(struct md_store *store, const struct md_plan *plan)
{
	int rc;

	if (!is_beside(store, plan))
		return overwrite(store, plan);
	rc = widen_to(store, plan, plan->layout.bitmap_byte);
	if (!rc)
		rc = md_store_flush(store);
	if (rc)
		return rc;
	store->super = plan->super;
	return md_store_put_super(store, &store->super);
}

/*
 * A note is followed only to where one can have been written: in the store, beside the metadata and
 * the data, and no more than the bitmap has room for. All else would be overwritten by it.
 */
static bool note_fits(const struct md_store *store, const struct meta_relayout *note, uint64_t size)
{
	uint64_t room = note->copy_byte < size ? (size - note->copy_byte) / MD_PAGE_BYTES : 0;
	uint64_t bitmap_byte = store->layout.bitmap_byte, bytes = note->pages * MD_PAGE_BYTES;

	if (note->copy_byte % MD_PAGE_BYTES || note->pages > room)
		return false;
	if (store->super.max_peers == note->max_peers && note->pages > store->layout.bitmap_pages)
		return false;
	if (store->stores.place == MD_PLACE_INTERNAL)
		return note->copy_byte >= store->super.effective_sectors * SECTOR_BYTES &&
		       note->copy_byte + bytes <= bitmap_byte;
	/* Behind an index is another one. */
	return note->copy_byte >= bitmap_byte + bytes &&
	       (store->stores.place != MD_PLACE_INDEXED ||
		note->copy_byte + bytes <= store->layout.end_byte);
}

static int check_note(const struct md_store *store, const struct meta_relayout *note,
		      struct err *err)
{
	uint64_t size;
	int rc = backing_measure(store->meta, &size);

	if (rc)
		return err_errno(err, -rc, "cannot measure `%s`", md_store_name(store));
	if (note_fits(store, note, size))
		return 0;
	return err_set(err, -EBADMSG,
		       "the DRBD metadata of `%s` were being enlarged, and the copy of their "
		       "bitmap that they name, %" PRIu64 " pages at byte %" PRIu64
		       ", cannot be where that says (the store has %" PRIu64 " bytes): restore "
		       "its size or its metadata, or start afresh with `drbdctl create-md --force`",
		       md_store_name(store), note->pages, note->copy_byte, size);
}

/* From where it lies whole. */
static int finish_overwriting(struct md_store *store, const struct meta_relayout *note, bool is_new)
{
	int rc = 0;

	if (is_new)
		rc = md_store_copy(store, note->copy_byte, store->layout.bitmap_byte,
				   note->pages * MD_PAGE_BYTES);
	if (!rc)
		rc = md_store_flush(store);
	return rc ? rc : end_overwriting(store, note);
}

int md_store_recover(struct md_store *store, const uint8_t block[static MD_PAGE_BYTES],
		     struct err *err)
{
	struct meta_relayout note;
	bool is_new;
	int rc;

	if (!meta_relayout_decode(block, &store->super, &note))
		return 0;
	rc = check_note(store, &note, err);
	if (rc)
		return rc;
	is_new = store->super.max_peers == note.max_peers;
	unguard(&store->super, note.full_sync);
	if (store->read_only) {
		if (is_new)
			store->layout.bitmap_byte = note.copy_byte;
		return 0;
	}
	rc = finish_overwriting(store, &note, is_new);
	return rc ? err_errno(err, -rc, "cannot finish the enlarging of the DRBD metadata of `%s`",
			      md_store_name(store)) : 0;
}

/* ---- whether there is room ---- */

/* Enlarging the store is the way that does not touch the volume: all goes to its new end. */
static int refuse_internal(const struct md_store *store, const struct md_plan *plan,
			   uint64_t sectors, struct err *err)
{
	uint64_t end = is_beside(store, plan) ? plan->layout.bitmap_byte : copy_byte(plan);
	uint64_t more = (uint64_t)plan->super.md_size_sectors * SECTOR_BYTES + MIB;

	return err_set(err, -ENOSPC,
		       "`%s` has no room for the bitmap of %" PRIu32 " peers behind %" PRIu64
		       " KiB of data: make it %" PRIu64 " MiB larger, shrink the volume (drbdctl "
		       "resize) to %" PRIu64 " KiB, or forget a node (drbdctl forget-peer)",
		       md_store_name(store), plan->super.max_peers, sectors / 2,
		       (more + MIB - 1) / MIB, end / MD_PAGE_BYTES * (MD_PAGE_BYTES / 1024));
}

static int refuse_external(const struct md_store *store, const struct md_plan *plan,
			   struct err *err)
{
	uint64_t need = copy_byte(plan) + new_bytes(plan);

	if (store->stores.place == MD_PLACE_INDEXED)
		return err_set(err, -ENOSPC,
			       "an index of `%s` has no room for the bitmap of %" PRIu32 " peers: "
			       "give the volume metadata of its own, or forget a node (drbdctl "
			       "forget-peer)",
			       md_store_name(store), plan->super.max_peers);
	return err_set(err, -ENOSPC,
		       "`%s` has no room for the bitmap of %" PRIu32 " peers: make it %" PRIu64
		       " KiB large, or forget a node (drbdctl forget-peer)",
		       md_store_name(store), plan->super.max_peers, (need + 1023) / 1024);
}

static int check_room(const struct md_store *store, const struct md_plan *plan, uint64_t sectors,
		      struct err *err)
{
	const struct meta_layout *to = &plan->layout;
	uint64_t first = to->bitmap_byte;

	if (store->stores.place != MD_PLACE_INTERNAL)
		return to->data_sectors < sectors ||
				       copy_byte(plan) + new_bytes(plan) > to->end_byte
			       ? refuse_external(store, plan, err) : 0;
	if (to->super_byte == store->layout.super_byte && !is_beside(store, plan))
		first = first > new_bytes(plan) ? copy_byte(plan) : 0;
	return first < sectors * SECTOR_BYTES || to->data_sectors < sectors ||
			       /* Not where drbdmeta has it. */
			       to->bitmap_byte > store->layout.bitmap_byte +
				       (to->super_byte - store->layout.super_byte)
		       ? refuse_internal(store, plan, sectors, err) : 0;
}

int md_store_widen_bitmap(struct md_store *store, uint32_t max_peers, uint64_t sectors,
			  struct err *err)
{
	struct md_plan plan;
	int rc;

	if (max_peers <= store->super.max_peers)
		return 0;
	if (max_peers > MAX_PEERS_MAX)
		return err_set(err, -EINVAL,
			       "the metadata of `%s` cannot have %" PRIu32 " bitmap slots but %u: "
			       "forget a node (drbdctl forget-peer)",
			       md_store_name(store), max_peers, MAX_PEERS_MAX);
	if (sectors < store->super.effective_sectors)
		sectors = store->super.effective_sectors;
	/* Nobody has agreed on a size: what is in the data area may be somebody's all the same. */
	if (!sectors)
		return err_set(err, -ENOSPC,
			       "the metadata of `%s` have %" PRIu32 " bitmap slots, and %" PRIu32
			       " are needed: they were never used, create them again (drbdctl "
			       "create-md --force)",
			       md_store_name(store), store->super.max_peers, max_peers);
	rc = md_store_plan(store, max_peers, &plan, err);
	if (rc)
		return rc;
	plan.sectors = sectors;
	rc = check_room(store, &plan, sectors, err);
	return rc ? rc : md_store_follow(store, &plan, err);
}

int md_store_reserve(struct md_store *store, uint64_t nodes, struct err *err)
{
	uint32_t taken = 0, wanted = 0;
	int rc;

	for (unsigned n = 0; n < NODES_MAX; n++) {
		bool has = store->super.peers[n].bitmap_index >= 0;

		taken += has;
		wanted += !has && nodes >> n & 1;
	}
	if (taken + wanted <= store->super.max_peers)
		return 0;
	rc = md_store_widen_bitmap(store, taken + wanted, 0, err);
	if (!rc)
		md_store_fill_info(store);
	return rc;
}

/* ---- in memory ---- */

static void *more_words(void *words, uint64_t from, uint64_t to)
{
	if (words)
		return mremap(words, from * 8, to * 8, MREMAP_MAYMOVE);
	return mmap(NULL, to * 8, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

int md_store_grow_slots(struct md_store *store)
{
	uint64_t words = store->info.words_per_slot;

	md_store_fill_info(store);
	/* Less room for data than before: nobody gives memory back for that. */
	if (store->info.words_per_slot < words)
		store->info.words_per_slot = words;
	for (uint32_t i = 0; i < store->info.max_peers; i++) {
		void *moved = more_words(store->slot[i], words, store->info.words_per_slot);

		if (moved == MAP_FAILED)
			return -ENOMEM;
		store->slot[i] = moved;
	}
	return 0;
}

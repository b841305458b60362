/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One volume's data and metadata on disk: open, apply the activity log, load, write. */
#ifndef MD_STORE_H
#define MD_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "disk/backing.h"
#include "base/err.h"
#include "meta/meta_layout.h"
#include "proto/proto_limits.h"
#include "proto/proto_md.h"

/* Where a volume lies; strings are borrowed for the duration of the call. */
struct md_where {
	const char *data_path;
	enum md_place place;
	const char *meta_path; /* NULL when internal */
	uint32_t index;        /* INDEXED only */
};

/* drbdmeta silently takes 32 for 31. */
#define MAX_PEERS_MAX 31U

struct md_store;

/* Constant after md_store_open(), but for what "another size" and "more peers" do below. */
struct md_store_info {
	uint64_t data_sectors;    /* capacity of the data area */
	uint64_t backing_sectors; /* present size of the data store */
	uint32_t max_peers;       /* slots of the bitmap */
	uint32_t ring_blocks;     /* AL blocks */
	uint64_t bitmap_pages;    /* pages that md_store_write_bitmap_page() accepts */
	uint64_t words_per_slot;  /* of the slot arrays of md_store_load() */
};

/* Result of md_store_load(). */
struct md_loaded {
	struct md_super super;         /* AL_CLEAN set, node_id set */
	uint64_t *slot[NODES_MAX];     /* [0 .. max_peers-1], words_per_slot each */
	uint64_t words_per_slot;       /* whole bitmap pages; bits beyond the device are zero */
	bool al_applied;               /* the log was unclean and has been applied */
	bool al_damaged;               /* applied by marking all: the log proves too little */
	uint64_t al_extent_count;      /* extents marked by it */
};

/*
 * Opens and claims the data store (and the metadata store), reads and checks the superblock for
 * node `node_id`. Bounds the data area of md_store_backing(). Nothing is written.
 * -EBUSY in use; -ENODATA no metadata (or none where it is expected); -EMEDIUMTYPE metadata of
 * another version; -EBADMSG metadata that fails its checks; -EREMCHG another node's; -EFBIG data
 * area smaller than the agreed size; other -errno of the system calls. err says more.
 */
int md_store_open(const struct md_where *where, uint8_t node_id, struct md_store **out,
		  struct err *err);
/*
 * Also frees the slot arrays. NULL is allowed. No other call may be under way. If the last
 * superblock written says that no Primary was around (PRIMARY_IND clear), it does now what the next
 * attach would have to do: fresh activity log, AL_CLEAN set, so that dump-md works. A failure of
 * that is harmless.
 */
void md_store_close(struct md_store *store);

const struct md_store_info *md_store_info(const struct md_store *store);
/* The data store; borrowed until md_store_close(). */
struct backing *md_store_backing(struct md_store *store);

/*
 * Once, before anything is written: applies the activity log when it is unclean
 * (on-disk-metadata 8.7), then reads the bitmap up to the agreed size (all of it while that is 0).
 * Blocks for as long as reading the bitmap takes. The slot arrays belong to the store and stay
 * valid until md_store_close(); the caller may change their words.
 */
int md_store_load(struct md_store *store, struct md_loaded *loaded, struct err *err);

/*
 * Run time: called from pool threads with blocks that the owner thread encoded by
 * meta_super_encode(), meta_al_encode(), meta_bitmap_page_encode(). Per store one SUPER or AL write
 * at a time, in order. 0 or -errno; -EINVAL for a block that is not of this store's layout. Where
 * things lie is the store's own to know: it puts that into the superblock.
 *
 * Super and AL: everything written before (bitmap pages; for the superblock the data too) is on
 * stable storage before the block is written, and the block is on return.
 */
int md_store_write_super(struct md_store *store, const uint8_t block[static MD_PAGE_BYTES]);
/* The ring position follows from the transaction number in the block. */
int md_store_write_al(struct md_store *store, const uint8_t block[static MD_PAGE_BYTES]);
/* Durable after the next md_store_flush(), md_store_write_super() or md_store_write_al(). */
int md_store_write_bitmap_page(struct md_store *store, uint64_t page,
			       const uint8_t block[static MD_PAGE_BYTES]);
int md_store_flush(struct md_store *store);

/* ---- another size ---- */

/* What the stores have room for by their present sizes. */
struct md_room {
	uint64_t data_sectors;    /* after md_store_move() */
	uint64_t backing_sectors;
	bool meta_limits;         /* external metadata have room for the bitmap of no more */
};

/* On a pool thread, in order with the writes above. *room as of now; nothing is changed. */
int md_store_measure(struct md_store *store, struct md_room *room, struct err *err);
/*
 * Makes use of a larger store: internal metadata go to its new end, with activity log and bitmap as
 * they are on disk, and the data area becomes as large as md_store_measure() says. A power cut
 * leaves the metadata at one place or the other. -ENOSPC the new place would overlap the old one.
 */
int md_store_move(struct md_store *store, struct err *err);
/*
 * Afterwards, on the owner's thread: room for the bits of all that, and for more slots, which are
 * all zero. The slots may lie elsewhere.
 */
int md_store_grow_slots(struct md_store *store);
/* The superblock's geometry as md_store_write_super() puts it into what it writes. */
const struct md_super *md_store_super(const struct md_store *store);
uint64_t *const *md_store_slots(const struct md_store *store);

/* ---- more peers ---- */

/*
 * On a pool thread, in order with the writes above: a bitmap with `max_peers` slots, for a volume
 * of `sectors`; in those that are new all bits are set. The metadata become larger, if need be at
 * the cost of room for data behind the volume; a power cut leaves the old ones or the new ones.
 * -ENOSPC no room: err says what to do.
 */
int md_store_widen_bitmap(struct md_store *store, uint32_t max_peers, uint64_t sectors,
			  struct err *err);
/* Before md_store_load(): the same if these nodes (a mask) need more slots than there are. */
int md_store_reserve(struct md_store *store, uint64_t nodes, struct err *err);

/* ---- offline ---- */

/*
 * create-md: fresh v09 metadata with 1 x 8 AL blocks, 4096 bytes per bit and a random device_uuid.
 * Without force it refuses (-EEXIST) a store that holds DRBD metadata, a signature of something
 * that does not fit into the data area, or any data where the metadata would lie. -EBUSY in use;
 * -ENOSPC too small; -EINVAL max_peers outside 1..31. On success *data_sectors (may be NULL) is the
 * usable size.
 */
int md_store_create(const struct md_where *where, unsigned max_peers, bool force,
		    uint64_t *data_sectors, struct err *err);

/* For dump-md. -EINVAL beyond the bitmap. */
int md_store_read_bitmap_page(struct md_store *store, uint64_t page,
			      uint8_t block[static MD_PAGE_BYTES]);

#endif

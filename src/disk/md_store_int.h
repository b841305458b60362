/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Fields of a metadata store, shared by the files md_*.c. */
#ifndef MD_STORE_INT_H
#define MD_STORE_INT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "disk/md_store.h"
#include "meta/meta_layout.h"
#include "meta/meta_version.h"

/* Constant after opening, except what is marked as changing. */
struct md_store {
	struct backing *data;
	struct backing *meta;        /* == data when internal */
	struct meta_stores stores;
	struct meta_layout layout;
	struct md_store_info info;
	enum meta_version version;   /* changing: v09, or v08 when offline */
	struct md_super super;       /* changing: the last one read or written, node_id filled in */
	bool read_only;
	bool loaded;                 /* changing */
	uint32_t loaded_peers;       /* changing: slots that there were then */
	bool settled;                /* changing: by the last superblock the log is irrelevant */
	uint64_t *slot[NODES_MAX];   /* mapped memory */
	atomic_bool bitmap_dirty;    /* changing: bitmap pages written, not yet flushed */
};

/* What would be: the sizes now, and the geometry that fits them. */
struct md_plan {
	uint64_t data_bytes, meta_bytes;
	uint64_t sectors;            /* that the bitmap stands for */
	struct meta_stores stores;
	struct meta_layout layout;
	struct md_super super;
};

/* Opens and claims the stores and fills data, meta and stores. */
int md_store_claim(struct md_store *store, const struct md_where *where, unsigned flags,
		   struct err *err);
/*
 * Metadata v08 or v09, also such as cannot be attached but has its bitmap. -ENODATA none,
 * -EMEDIUMTYPE older, -EBADMSG damaged.
 */
int md_store_read_any(struct md_store *store, struct err *err);
/* Capacity of the slot arrays, from the layout. */
void md_store_fill_info(struct md_store *store);
/* Writes a superblock of the store's version and flushes. */
int md_store_put_super(struct md_store *store, const struct md_super *super);
bool md_store_page_is_zero(const uint8_t block[static MD_PAGE_BYTES]);
/* Maps memory for the slots, all zero. */
int md_store_map_slots(struct md_store *store);
/* Maps the slots and reads the bitmap. */
int md_store_read_bitmap(struct md_store *store, struct err *err);
/*
 * The extents that the activity log may have had writes in flight for go into the bitmap, then the
 * log is made fresh; both durable on return. Of the superblock nothing is written.
 */
int md_store_drain_log(struct md_store *store, struct md_loaded *loaded, struct err *err);
/* All of apply-al, with the superblock; nothing to do when it is clean. */
int md_store_apply_log(struct md_store *store, struct md_loaded *loaded, struct err *err);
/* For the present sizes of the stores; -ENOSPC, -EIO, -EFBIG. */
int md_store_plan(struct md_store *store, uint32_t max_peers, struct md_plan *plan,
		  struct err *err);
/* Makes it so. */
int md_store_follow(struct md_store *store, const struct md_plan *plan, struct err *err);
/* With the same superblock, but more slots. */
int md_store_widen(struct md_store *store, const struct md_plan *plan);
/* The bitmap as it is on disk, with as many slots as planned, to another place; not flushed. */
int md_store_put_bitmap(struct md_store *store, const struct md_plan *plan, uint64_t to);
/* Of the metadata store, piece by piece; not flushed. */
int md_store_copy(struct md_store *store, uint64_t from, uint64_t to, uint64_t bytes);
/* Goes on where a crash has interrupted md_store_widen(); `block` is the superblock. */
int md_store_recover(struct md_store *store, const uint8_t block[static MD_PAGE_BYTES],
		     struct err *err);
/* Whether the superblock says that the log has nothing to tell. */
bool md_store_is_clean(const struct md_store *store);
/* create-md, restore-md: -EEXIST if something would be overwritten by the layout of the store. */
int md_store_refuse_overwriting(struct md_store *store, struct err *err);
/* Bytes at the start of the bitmap area that the usable size needs. */
uint64_t md_store_used_bitmap_bytes(const struct md_store *store);
/* Writes initialised blocks over the whole activity log; not flushed. */
int md_store_clear_ring(struct md_store *store);
/* Name of the metadata store for messages. */
const char *md_store_name(const struct md_store *store);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Fields of a metadata store, shared by md_store.c, md_load.c and md_create.c. */
#ifndef MD_STORE_INT_H
#define MD_STORE_INT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "disk/md_store.h"
#include "meta/meta_layout.h"

/* Constant after opening, except what is marked as changing. */
struct md_store {
	struct backing *data;
	struct backing *meta;        /* == data when internal */
	struct meta_stores stores;
	struct meta_layout layout;
	struct md_store_info info;
	struct md_super super;       /* changing: the last one read or written, node_id filled in */
	bool read_only;
	bool loaded;                 /* changing */
	bool settled;                /* changing: by the last superblock the log is irrelevant */
	uint64_t *slot[NODES_MAX];   /* mapped memory */
	atomic_bool bitmap_dirty;    /* changing: bitmap pages written, not yet flushed */
};

/* Opens and claims the stores and fills data, meta and stores. */
int md_store_claim(struct md_store *store, const struct md_where *where, unsigned flags,
		   struct err *err);
/* Writes the superblock as it stands and flushes. */
int md_store_put_super(struct md_store *store, const struct md_super *super);
/* Writes initialised blocks over the whole activity log; not flushed. */
int md_store_clear_ring(struct md_store *store);
/* Name of the metadata store for messages. */
const char *md_store_name(const struct md_store *store);

#endif

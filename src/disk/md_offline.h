/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Metadata of a volume that is down: to look at, to change, to bring back (on-disk-metadata 13). */
#ifndef MD_OFFLINE_H
#define MD_OFFLINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "disk/md_store.h"
#include "meta/meta_version.h"

/* What md_offline_open() finds. */
struct md_view {
	enum meta_version version;    /* v08 or v09 */
	struct md_super super;        /* v08: as meta_v08_decode() fills it */
	uint64_t super_byte;          /* position of the superblock on the metadata store */
	uint64_t dump_sectors;        /* what drbdmeta takes for the largest size */
	bool is_clean;                /* the activity log has nothing to tell */
};

/*
 * Any node's metadata, v08 or v09, also such as cannot be attached. Read-only unless `change`.
 * Close with md_store_close(); md_store_read_bitmap_page() and what is below are allowed.
 * -EBUSY in use; -ENODATA none; -EMEDIUMTYPE older than v08; -EBADMSG damaged.
 */
int md_offline_open(const struct md_where *where, bool change, struct md_store **out,
		    struct md_view *view, struct err *err);

/* What applying the log came to. */
struct md_applied {
	bool was_clean;       /* nothing was to be done */
	bool is_damaged;      /* the log proves too little: all is marked */
	uint64_t extent_count;
};

/* apply-al; v08 stays v08. A power cut leaves the log as it was, with bits added at most. */
int md_offline_apply(struct md_store *store, struct md_applied *applied, struct err *err);

/* set-gi: a superblock with the store's geometry in place of the one that is there. */
int md_offline_put(struct md_store *store, const struct md_super *super, struct err *err);

/*
 * v08 -> v09, for this node and the one that was its peer: applies the activity log, keeps UUIDs,
 * bitmap and flags. A power cut leaves v08 metadata, with the log's bits added at most, or v09.
 * -EEXIST it is v09.
 */
int md_offline_convert(struct md_store *store, uint8_t own, uint8_t peer,
		       struct md_applied *applied, struct err *err);

/* wipe-md, also damaged metadata. -ENODATA when there is none. A power cut leaves all or none. */
int md_offline_wipe(const struct md_where *where, struct err *err);

/* restore-md: where the text comes from. */
struct md_text_source {
	int (*read)(void *ctx, char *buf, size_t room, size_t *got); /* as in struct meta_parse */
	void *ctx;
};

struct md_restored {
	enum meta_version version;
	uint64_t dumped_sectors;  /* the size that the dump says was agreed */
	uint64_t sectors;         /* the same, cut down to what fits */
};

/*
 * restore-md, v08 or v09 as the text says, with geometry made for this store. Nothing is written
 * before all of the text was understood. A power cut leaves the new metadata, or what was there,
 * with everything marked as out of sync. Without force -EEXIST as md_store_create(). -EBADMSG the
 * text is wrong; -ENOSPC no room.
 */
int md_offline_restore(const struct md_where *where, const struct md_text_source *source,
		       bool force, struct md_restored *restored, struct err *err);

#endif

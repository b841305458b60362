/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Looking at and changing metadata in place: view, apply-al, set-gi, convert, wipe-md. */
#include "disk/md_offline.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "disk/md_store_int.h"
#include "meta/meta_v08.h"

static struct md_store *claim(const struct md_where *where, unsigned flags, int *rc,
			      struct err *err)
{
	struct md_store *store = calloc(1, sizeof(*store));

	if (!store) {
		*rc = err_errno(err, ENOMEM, "cannot open `%s`", where->data_path);
		return NULL;
	}
	*rc = md_store_claim(store, where, flags, err);
	return store;
}

int md_offline_open(const struct md_where *where, bool change, struct md_store **out,
		    struct md_view *view, struct err *err)
{
	int rc;
	struct md_store *store = claim(where, change ? 0 : BACKING_READ_ONLY, &rc, err);

	if (!rc)
		rc = md_store_read_any(store, err);
	if (rc) {
		md_store_close(store);
		return rc;
	}
	view->version = store->version;
	view->super = store->super;
	view->super_byte = store->layout.super_byte;
	view->dump_sectors = store->layout.dump_sectors;
	view->is_clean = md_store_is_clean(store);
	*out = store;
	return 0;
}

static void say_applied(const struct md_loaded *loaded, struct md_applied *applied)
{
	applied->is_damaged = loaded->al_damaged;
	applied->extent_count = loaded->al_extent_count;
}

int md_offline_apply(struct md_store *store, struct md_applied *applied, struct err *err)
{
	struct md_loaded loaded;
	int rc;

	ASSERT(!store->read_only);
	memset(&loaded, 0, sizeof(loaded));
	applied->was_clean = md_store_is_clean(store);
	rc = md_store_read_bitmap(store, err);
	if (!rc)
		rc = md_store_apply_log(store, &loaded, err);
	say_applied(&loaded, applied);
	return rc;
}

int md_offline_put(struct md_store *store, const struct md_super *super, struct err *err)
{
	int rc;

	ASSERT(!store->read_only);
	rc = md_store_put_super(store, super);
	return rc ? err_errno(err, -rc, "cannot write the superblock of `%s`", md_store_name(store))
		  : 0;
}

/*
 * Bitmap and log before the superblock: until that is written, all is still v08, whose log says
 * less than before only after the bitmap says the same.
 */
int md_offline_convert(struct md_store *store, uint8_t own, uint8_t peer,
		       struct md_applied *applied, struct err *err)
{
	struct md_super super = store->super;
	struct md_loaded loaded;
	int rc;

	ASSERT(!store->read_only);
	memset(&loaded, 0, sizeof(loaded));
	if (store->version == META_VERSION_V09)
		return err_set(err, -EEXIST, "`%s` has %s already, there is nothing to convert",
			       md_store_name(store), meta_version_name(store->version));
	applied->was_clean = md_store_is_clean(store);
	rc = md_store_read_bitmap(store, err);
	if (!rc)
		rc = md_store_drain_log(store, &loaded, err);
	if (rc)
		return rc;
	say_applied(&loaded, applied);
	meta_v08_convert(&super, own, peer);
	store->version = META_VERSION_V09;
	return md_offline_put(store, &super, err);
}

/* The sector with the magic goes first, so that a torn write leaves no half of a superblock. */
static int wipe(struct md_store *store, struct err *err)
{
	uint8_t block[MD_PAGE_BYTES];
	enum meta_version version;
	uint64_t sector;
	int rc;

	if (meta_layout_locate(&store->stores, &sector) != META_OK)
		return err_set(err, -ENODATA, "`%s` is too small to have DRBD metadata",
			       md_store_name(store));
	rc = backing_raw_read(store->meta, sector * SECTOR_BYTES, block, sizeof(block));
	if (rc)
		return err_errno(err, -rc, "cannot read `%s`", md_store_name(store));
	version = meta_version_recognise(block);
	if (version == META_VERSION_NONE || version == META_VERSION_V07)
		return err_set(err, version == META_VERSION_NONE ? -ENODATA : -EMEDIUMTYPE,
			       "`%s` has %s, which is not wiped", md_store_name(store),
			       meta_version_name(version));
	memset(block, 0, sizeof(block));
	rc = backing_raw_write(store->meta, sector * SECTOR_BYTES, block, SECTOR_BYTES);
	if (!rc)
		rc = backing_flush(store->meta);
	if (!rc)
		rc = backing_raw_write(store->meta, sector * SECTOR_BYTES, block, sizeof(block));
	if (!rc)
		rc = backing_flush(store->meta);
	return rc ? err_errno(err, -rc, "cannot write to `%s`", md_store_name(store)) : 0;
}

int md_offline_wipe(const struct md_where *where, struct err *err)
{
	int rc;
	struct md_store *store = claim(where, 0, &rc, err);

	if (!rc)
		rc = wipe(store, err);
	md_store_close(store);
	return rc;
}

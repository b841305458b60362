/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Magic numbers of all versions; the older ones are recognised to be refused with advice. */
#ifndef META_LEGACY_H
#define META_LEGACY_H

#include <stdint.h>

#include "proto/proto_md.h"

#define META_MAGIC_OFFSET 60 /* v08 and v09 */
#define META_MAGIC_V07 0x8374026aU
#define META_MAGIC_V08 0x8374026bU
#define META_MAGIC_V08_UNCLEAN 0x8374026cU
#define META_MAGIC_V09 0x8374026dU

enum meta_version {
	META_VERSION_NONE, /* v09 or nothing */
	META_VERSION_V07,
	META_VERSION_V08,
	META_VERSION_V08_UNCLEAN,
};

/* The older version that this block is the superblock of. */
enum meta_version meta_legacy_recognise(const uint8_t block[static MD_PAGE_BYTES]);
/* What was found, e.g. "DRBD 8.4 metadata (v08)". */
const char *meta_legacy_name(enum meta_version version);
/* One sentence: how to get to v09. */
const char *meta_legacy_advice(enum meta_version version);

#endif

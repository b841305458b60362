/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Magic numbers: which version of DRBD's metadata a block is the superblock of. */
#ifndef META_VERSION_H
#define META_VERSION_H

#include <stdint.h>

#include "proto/proto_md.h"

#define META_MAGIC_OFFSET 60 /* v08 and v09 */
#define META_MAGIC_V07 0x8374026aU
#define META_MAGIC_V08 0x8374026bU
#define META_MAGIC_V08_UNCLEAN 0x8374026cU
#define META_MAGIC_V09 0x8374026dU

/* v07 kept fixed-size internal metadata so far in front of the end of a store. */
#define META_V07_INTERNAL_SECTORS 262144U

enum meta_version {
	META_VERSION_NONE,
	META_VERSION_V07,
	META_VERSION_V08,
	META_VERSION_V08_UNCLEAN, /* DRBD 8.4 had it attached: its activity log is to be applied */
	META_VERSION_V09,
};

enum meta_version meta_version_recognise(const uint8_t block[static MD_PAGE_BYTES]);
/* What was found, e.g. "DRBD 8 metadata (v08)". */
const char *meta_version_name(enum meta_version version);
/* For versions before v09, one sentence: how to get to v09. */
const char *meta_version_advice(enum meta_version version);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The v08 superblock of DRBD 8, as a struct md_super with one slot, and what becomes of it in v09
 * (on-disk-metadata 4, 5.3). */
#ifndef META_V08_H
#define META_V08_H

#include <stdbool.h>
#include <stdint.h>

#include "meta/meta_super.h"
#include "meta/meta_version.h"
#include "proto/proto_md.h"

#define META_V08_HISTORY 2U

/* Device flags that v08 has beside those of v09; in v09 they belong to the peer. */
#define MDF_V08_CONNECTED 0x004U
#define MDF_V08_FULL_SYNC 0x008U
#define MDF_V08_PEER_OUTDATED 0x020U

/*
 * As meta_super_decode(), for v08. Current, bitmap and both history UUIDs are current_uuid,
 * peers[0].bitmap_uuid and history[0..1]; flags are those of v08; max_peers is 1, node_id and all
 * slots are -1. META_NONE for any other version.
 */
enum meta_verdict meta_v08_decode(const uint8_t block[static MD_PAGE_BYTES],
				  struct md_super *super);
/* meta_super_check(), and what else holds for v08. */
enum meta_verdict meta_v08_check(const struct md_super *super);
/* Takes what meta_v08_decode() fills; `version` says which of the two magics. */
void meta_v08_encode(const struct md_super *super, enum meta_version version,
		     uint8_t block[static MD_PAGE_BYTES]);
/* Is there something in the activity log that the bitmap does not tell yet? */
bool meta_v08_is_clean(const struct md_super *super, enum meta_version version);

/*
 * v08 -> v09 for node `own`, whose peer was `peer`: the bitmap and its UUID become the peer's slot
 * 0, the flags about the peer move to its entry. The activity log counts as applied.
 */
void meta_v08_convert(struct md_super *super, uint8_t own, uint8_t peer);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Codec and conversion of the v08 superblock. */
#include "meta/meta_v08.h"

#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"

#define OFF_UUIDS 8
#define OFF_HISTORY 24
#define OFF_DEVICE_UUID 40
#define OFF_FLAGS 56
#define OFF_GEOMETRY 64
#define BIT_BYTES 4096U /* DRBD 8 knows no other size */

static void read_fields(const uint8_t block[static MD_PAGE_BYTES], struct md_super *super)
{
	memset(super, 0, sizeof(*super));
	super->effective_sectors = get_be64(block);
	super->current_uuid = get_be64(block + OFF_UUIDS);
	super->peers[0].bitmap_uuid = get_be64(block + OFF_UUIDS + 8);
	for (unsigned i = 0; i < META_V08_HISTORY; i++)
		super->history[i] = get_be64(block + OFF_HISTORY + 8 * i);
	super->device_uuid = get_be64(block + OFF_DEVICE_UUID);
	super->flags = get_be32(block + OFF_FLAGS);
	super->md_size_sectors = get_be32(block + OFF_GEOMETRY);
	super->al_offset_sectors = (int32_t)get_be32(block + 68);
	super->al_nr_extents = get_be32(block + 72);
	super->bm_offset_sectors = (int32_t)get_be32(block + 76);
	super->bm_bytes_per_bit = get_be32(block + 80);
	super->la_peer_max_bio_bytes = get_be32(block + 84);
	super->al_stripes = get_be32(block + 88);
	super->al_stripe_4k = get_be32(block + 92);
	/* Before 8.4 there was one size of log, and nothing stored about it. */
	if (!super->al_stripes && !super->al_stripe_4k) {
		super->al_stripes = 1;
		super->al_stripe_4k = 8;
	}
	super->max_peers = 1;
	super->node_id = -1;
	for (unsigned i = 0; i < NODES_MAX; i++)
		super->peers[i].bitmap_index = -1;
}

enum meta_verdict meta_v08_decode(const uint8_t block[static MD_PAGE_BYTES],
				  struct md_super *super)
{
	switch (meta_version_recognise(block)) {
	case META_VERSION_V08:
	case META_VERSION_V08_UNCLEAN:
		break;
	default:
		return META_NONE;
	}
	read_fields(block, super);
	return meta_v08_check(super);
}

enum meta_verdict meta_v08_check(const struct md_super *super)
{
	if (super->bm_bytes_per_bit != BIT_BYTES)
		return META_BAD_BIT_SIZE;
	return meta_super_check(super);
}

void meta_v08_encode(const struct md_super *super, enum meta_version version,
		     uint8_t block[static MD_PAGE_BYTES])
{
	ASSERT(version == META_VERSION_V08 || version == META_VERSION_V08_UNCLEAN);
	memset(block, 0, MD_PAGE_BYTES);
	put_be64(block, super->effective_sectors);
	put_be64(block + OFF_UUIDS, super->current_uuid);
	put_be64(block + OFF_UUIDS + 8, super->peers[0].bitmap_uuid);
	for (unsigned i = 0; i < META_V08_HISTORY; i++)
		put_be64(block + OFF_HISTORY + 8 * i, super->history[i]);
	put_be64(block + OFF_DEVICE_UUID, super->device_uuid);
	put_be32(block + OFF_FLAGS, super->flags);
	put_be32(block + META_MAGIC_OFFSET,
		 version == META_VERSION_V08 ? META_MAGIC_V08 : META_MAGIC_V08_UNCLEAN);
	put_be32(block + OFF_GEOMETRY, super->md_size_sectors);
	put_be32(block + 68, (uint32_t)super->al_offset_sectors);
	put_be32(block + 72, super->al_nr_extents);
	put_be32(block + 76, (uint32_t)super->bm_offset_sectors);
	put_be32(block + 80, super->bm_bytes_per_bit);
	put_be32(block + 84, super->la_peer_max_bio_bytes);
	put_be32(block + 88, super->al_stripes);
	put_be32(block + 92, super->al_stripe_4k);
}

bool meta_v08_is_clean(const struct md_super *super, enum meta_version version)
{
	return version == META_VERSION_V08 && super->flags & MDF_AL_CLEAN;
}

void meta_v08_convert(struct md_super *super, uint8_t own, uint8_t peer)
{
	struct md_peer entry = { .bitmap_uuid = super->peers[0].bitmap_uuid, .bitmap_index = 0 };
	uint32_t flags = super->flags;

	ASSERT(own < NODES_MAX && peer < NODES_MAX && own != peer);
	if (flags & MDF_V08_CONNECTED)
		entry.flags |= MDF_PEER_CONNECTED;
	if (flags & MDF_V08_FULL_SYNC)
		entry.flags |= MDF_PEER_FULL_SYNC;
	if (flags & MDF_V08_PEER_OUTDATED)
		entry.flags |= MDF_PEER_OUTDATED;
	/* A size was agreed, so the peer has had a disk. */
	if (super->effective_sectors)
		entry.flags |= MDF_PEER_DEVICE_SEEN;
	flags &= ~(MDF_V08_CONNECTED | MDF_V08_FULL_SYNC | MDF_V08_PEER_OUTDATED);
	/* DRBD 8 takes either flag for the mark of a crashed Primary, v09 only this one. */
	if (flags & MDF_PRIMARY_IND)
		flags |= MDF_CRASHED_PRIMARY;
	super->flags = flags | MDF_AL_CLEAN;
	super->node_id = own;
	super->peers[0] = (struct md_peer){ .bitmap_index = -1 };
	super->peers[peer] = entry;
}

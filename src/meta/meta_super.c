/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Superblock codec. */
#include "meta/meta_super.h"

#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "meta/meta_version.h"

#define OFF_DEVICE_UUID 48
#define OFF_FLAGS 56
#define OFF_PEERS 112
#define PEER_BYTES 32U
#define OFF_HISTORY (OFF_PEERS + NODES_MAX * PEER_BYTES)
#define PEER_HAVE_BITMAP 0x80000000U /* in core only */
#define AL_BLOCKS_MIN 8U
#define AL_BLOCKS_MAX (UINT64_C(16) << 30 >> 12)
#define BIT_BYTES_MIN 4096U
#define BIT_BYTES_MAX (1U << 20)

STATIC_ASSERT(OFF_HISTORY == 1136, "history follows the peer entries");
STATIC_ASSERT(OFF_HISTORY + HISTORY_UUIDS * 8 == 1392, "end of the used part");

const char *meta_verdict_text(enum meta_verdict verdict)
{
	switch (verdict) {
	case META_OK:
		return "sound";
	case META_NONE:
		return "no DRBD metadata";
	case META_LEGACY:
		return "DRBD metadata of an older version";
	case META_BAD_BIT_SIZE:
		return "the size of a bitmap block is not a power of two from 4 KiB to 1 MiB";
	case META_BAD_MAX_PEERS:
		return "the number of bitmap slots is not in 1..32";
	case META_BAD_STRIPES:
		return "the size of the activity log is out of range";
	case META_BAD_OFFSETS:
		return "the offsets of activity log and bitmap do not fit their place";
	case META_BAD_SIZE:
		return "the metadata area does not fit onto the store";
	case META_BAD_ROOM:
		return "the bitmap is too small for the agreed device size";
	case META_BAD_NODE_ID:
		return "the node id is out of range";
	case META_BAD_SLOT:
		return "the bitmap slots are inconsistent";
	}
	return "unknown";
}

void meta_super_encode(const struct md_super *super, uint8_t block[static MD_PAGE_BYTES])
{
	uint8_t *p;

	memset(block, 0, MD_PAGE_BYTES);
	put_be64(block, super->effective_sectors);
	put_be64(block + 8, super->current_uuid);
	put_be64(block + 16, super->members);
	put_be64(block + OFF_DEVICE_UUID, super->device_uuid);
	put_be32(block + OFF_FLAGS, super->flags);
	put_be32(block + META_MAGIC_OFFSET, META_MAGIC_V09);
	put_be32(block + 64, super->md_size_sectors);
	put_be32(block + 68, (uint32_t)super->al_offset_sectors);
	put_be32(block + 72, super->al_nr_extents);
	put_be32(block + 76, (uint32_t)super->bm_offset_sectors);
	put_be32(block + 80, super->bm_bytes_per_bit);
	put_be32(block + 84, super->la_peer_max_bio_bytes);
	put_be32(block + 88, super->max_peers);
	put_be32(block + 92, (uint32_t)super->node_id);
	put_be32(block + 96, super->al_stripes);
	put_be32(block + 100, super->al_stripe_4k);
	for (unsigned i = 0; i < NODES_MAX; i++) {
		p = block + OFF_PEERS + i * PEER_BYTES;
		put_be64(p, super->peers[i].bitmap_uuid);
		put_be64(p + 8, super->peers[i].bitmap_dagtag);
		put_be32(p + 16, super->peers[i].flags & ~PEER_HAVE_BITMAP);
		put_be32(p + 20, (uint32_t)super->peers[i].bitmap_index);
	}
	for (unsigned i = 0; i < HISTORY_UUIDS; i++)
		put_be64(block + OFF_HISTORY + i * 8, super->history[i]);
}

static void super_read(const uint8_t block[static MD_PAGE_BYTES], struct md_super *super)
{
	const uint8_t *p;

	super->effective_sectors = get_be64(block);
	super->current_uuid = get_be64(block + 8);
	super->members = get_be64(block + 16);
	super->device_uuid = get_be64(block + OFF_DEVICE_UUID);
	super->flags = get_be32(block + OFF_FLAGS);
	super->md_size_sectors = get_be32(block + 64);
	super->al_offset_sectors = (int32_t)get_be32(block + 68);
	super->al_nr_extents = get_be32(block + 72);
	super->bm_offset_sectors = (int32_t)get_be32(block + 76);
	super->bm_bytes_per_bit = get_be32(block + 80);
	super->la_peer_max_bio_bytes = get_be32(block + 84);
	super->max_peers = get_be32(block + 88);
	super->node_id = (int32_t)get_be32(block + 92);
	super->al_stripes = get_be32(block + 96);
	super->al_stripe_4k = get_be32(block + 100);
	for (unsigned i = 0; i < NODES_MAX; i++) {
		p = block + OFF_PEERS + i * PEER_BYTES;
		super->peers[i].bitmap_uuid = get_be64(p);
		super->peers[i].bitmap_dagtag = get_be64(p + 8);
		super->peers[i].flags = get_be32(p + 16) & ~PEER_HAVE_BITMAP;
		super->peers[i].bitmap_index = (int32_t)get_be32(p + 20);
	}
	for (unsigned i = 0; i < HISTORY_UUIDS; i++)
		super->history[i] = get_be64(block + OFF_HISTORY + i * 8);
}

static bool slots_are_sound(const struct md_super *super)
{
	uint32_t taken = 0;

	for (int32_t i = 0; i < NODES_MAX; i++) {
		int32_t slot = super->peers[i].bitmap_index;

		if (slot == -1)
			continue;
		if (slot < 0 || (uint32_t)slot >= super->max_peers || i == super->node_id)
			return false;
		if (taken & (1U << slot))
			return false;
		taken |= 1U << slot;
	}
	return true;
}

enum meta_verdict meta_super_decode(const uint8_t block[static MD_PAGE_BYTES],
				    struct md_super *super)
{
	switch (meta_version_recognise(block)) {
	case META_VERSION_V09:
		super_read(block, super);
		return meta_super_check(super);
	case META_VERSION_NONE:
		return META_NONE;
	default:
		return META_LEGACY;
	}
}

enum meta_verdict meta_super_check(const struct md_super *super)
{
	uint64_t ring;

	if (super->bm_bytes_per_bit < BIT_BYTES_MIN || super->bm_bytes_per_bit > BIT_BYTES_MAX ||
	    (super->bm_bytes_per_bit & (super->bm_bytes_per_bit - 1)))
		return META_BAD_BIT_SIZE;
	if (super->max_peers < 1 || super->max_peers > NODES_MAX)
		return META_BAD_MAX_PEERS;
	ring = (uint64_t)super->al_stripes * super->al_stripe_4k;
	if (ring < AL_BLOCKS_MIN || ring > AL_BLOCKS_MAX)
		return META_BAD_STRIPES;
	if (super->node_id < -1 || super->node_id >= NODES_MAX)
		return META_BAD_NODE_ID;
	if (!slots_are_sound(super))
		return META_BAD_SLOT;
	return META_OK;
}

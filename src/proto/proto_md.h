/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Decoded on-disk metadata: superblock, activity-log transaction,
 * bitmap page addressing (on-disk-metadata 3, 6, 8, 9). */
#ifndef PROTO_MD_H
#define PROTO_MD_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/proto_limits.h"

#define MD_PAGE_BYTES 4096U
#define MD_PAGE_WORDS 1024U /* 32-bit words per bitmap page */

/* Device flags (5.1). */
#define MDF_CONSISTENT 0x001U
#define MDF_PRIMARY_IND 0x002U
#define MDF_WAS_UP_TO_DATE 0x010U
#define MDF_CRASHED_PRIMARY 0x040U
#define MDF_AL_CLEAN 0x080U
#define MDF_AL_DISABLED 0x100U
#define MDF_PRIMARY_LOST_QUORUM 0x200U
#define MDF_HAVE_QUORUM 0x400U

/* Peer flags (6). HAVE_BITMAP is never stored: bitmap_index != -1 says it. */
#define MDF_PEER_CONNECTED 0x001U
#define MDF_PEER_OUTDATED 0x002U
#define MDF_PEER_FENCING 0x004U
#define MDF_PEER_FULL_SYNC 0x008U
#define MDF_PEER_DEVICE_SEEN 0x010U
#define MDF_PEER_NODE_EXISTS 0x10000U

struct md_peer {
	uint64_t bitmap_uuid;
	uint64_t bitmap_dagtag;
	uint32_t flags;
	int32_t bitmap_index; /* slot, -1 = none */
};

/* v09 superblock; units as named. */
struct md_super {
	uint64_t effective_sectors; /* last agreed size, 0 = never */
	uint64_t current_uuid;
	uint64_t members;
	uint64_t device_uuid;
	uint32_t flags;
	uint32_t md_size_sectors;
	int32_t al_offset_sectors; /* relative to the superblock */
	int32_t bm_offset_sectors;
	uint32_t al_nr_extents;
	uint32_t bm_bytes_per_bit;
	uint32_t la_peer_max_bio_bytes;
	uint32_t max_peers;
	int32_t node_id;
	uint32_t al_stripes;
	uint32_t al_stripe_4k;
	struct md_peer peers[NODES_MAX]; /* by node id */
	uint64_t history[HISTORY_UUIDS];
};

/* One activity-log transaction (8.3), type update. */
struct al_transaction {
	uint32_t number;
	uint16_t update_count;
	uint16_t context_size;       /* slots of the table */
	uint16_t context_start;      /* first slot that context[] describes */
	uint16_t update_slot[AL_UPDATES_MAX];
	uint32_t update_extent[AL_UPDATES_MAX];
	uint32_t context[AL_CONTEXT_MAX]; /* before the updates; AL_FREE beyond the table */
};

/*
 * In core every peer slot is a run of 64-bit words, bit n = bm_block n (LSB first). On disk the
 * 32-bit words of all slots are interleaved: word (bit / 32) * max_peers + slot.
 */
static inline uint64_t bm_disk_word(uint64_t bit, unsigned slot, unsigned max_peers)
{
	return bit / 32 * max_peers + slot;
}

static inline uint64_t bm_disk_page(uint64_t bit, unsigned slot, unsigned max_peers)
{
	return bm_disk_word(bit, slot, max_peers) / MD_PAGE_WORDS;
}

#endif

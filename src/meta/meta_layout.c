/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Geometry of the metadata area. */
#include "meta/meta_layout.h"

#include "proto/proto_limits.h"

#define BLOCK_SECTORS 8U
#define INDEXED_AL_SECTORS 64U

static uint64_t align_up(uint64_t value, uint64_t unit)
{
	return (value + unit - 1) / unit * unit;
}

uint64_t meta_bitmap_sectors(uint64_t sectors, uint32_t max_peers, uint32_t bytes_per_bit)
{
	uint64_t sectors_per_bit = bytes_per_bit / SECTOR_BYTES;
	uint64_t bits = (sectors + sectors_per_bit - 1) / sectors_per_bit;

	return align_up(align_up(bits, 64) / 8 * max_peers, MD_PAGE_BYTES) / SECTOR_BYTES;
}

enum meta_verdict meta_layout_locate(const struct meta_stores *stores, uint64_t *super_sector)
{
	uint64_t sectors = stores->meta_sectors;

	switch (stores->place) {
	case MD_PLACE_INTERNAL:
		if (sectors < META_STORE_BYTES_MIN / SECTOR_BYTES)
			return META_BAD_SIZE;
		*super_sector = sectors / BLOCK_SECTORS * BLOCK_SECTORS - BLOCK_SECTORS;
		return META_OK;
	case MD_PLACE_EXTERNAL:
		if (sectors < META_STORE_BYTES_MIN / SECTOR_BYTES)
			return META_BAD_SIZE;
		*super_sector = 0;
		return META_OK;
	case MD_PLACE_INDEXED:
		if (sectors / META_INDEXED_SECTORS <= stores->index)
			return META_BAD_SIZE;
		*super_sector = (uint64_t)stores->index * META_INDEXED_SECTORS;
		return META_OK;
	}
	return META_BAD_SIZE;
}

static uint64_t ring_sectors(const struct md_super *super)
{
	return (uint64_t)super->al_stripes * super->al_stripe_4k * BLOCK_SECTORS;
}

/*
 * Room in sectors -> data sectors that its bits can stand for. Counting whole pages and then whole
 * words per slot is the strictest of the formulas in use, so that no other implementation finds our
 * agreed size too large for the room.
 */
static uint64_t room_data_sectors(uint64_t room_sectors, const struct md_super *super)
{
	uint64_t words = room_sectors / BLOCK_SECTORS * (MD_PAGE_BYTES / 8) / super->max_peers;

	return words * 64 * (super->bm_bytes_per_bit / SECTOR_BYTES);
}

/* drbdmeta's: neither counts whole pages nor knows the data store. */
static uint64_t dump_data_sectors(uint64_t room_sectors, const struct md_super *super)
{
	uint64_t words = room_sectors * SECTOR_BYTES / 8 / super->max_peers;

	return words * 64 * (super->bm_bytes_per_bit / SECTOR_BYTES);
}

static uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* Fills *layout from a geometry that is known to be sound. */
static void layout_fill(const struct meta_stores *stores, const struct md_super *super,
			uint64_t super_sector, struct meta_layout *layout)
{
	uint64_t al = super_sector + (uint64_t)(int64_t)super->al_offset_sectors;
	uint64_t bitmap = super_sector + (uint64_t)(int64_t)super->bm_offset_sectors;
	uint64_t room, capacity;

	if (stores->place == MD_PLACE_INTERNAL) {
		room = al - bitmap;
		capacity = bitmap;
		layout->dump_sectors = bitmap;
		layout->first_byte = bitmap * SECTOR_BYTES;
		layout->end_byte = (super_sector + BLOCK_SECTORS) * SECTOR_BYTES;
	} else {
		room = super->md_size_sectors - (uint64_t)super->bm_offset_sectors;
		capacity = stores->data_sectors;
		layout->dump_sectors = dump_data_sectors(room, super);
		layout->first_byte = super_sector * SECTOR_BYTES;
		layout->end_byte = (super_sector + super->md_size_sectors) * SECTOR_BYTES;
	}
	layout->super_byte = super_sector * SECTOR_BYTES;
	layout->al_byte = al * SECTOR_BYTES;
	layout->bitmap_byte = bitmap * SECTOR_BYTES;
	layout->ring_blocks = (uint32_t)(ring_sectors(super) / BLOCK_SECTORS);
	layout->bitmap_pages = room / BLOCK_SECTORS;
	layout->data_sectors = min_u64(min_u64(capacity, room_data_sectors(room, super)),
				       META_DATA_SECTORS_MAX);
}

enum meta_verdict meta_layout_fresh(const struct meta_stores *stores, struct md_super *super,
				    struct meta_layout *layout)
{
	enum meta_verdict verdict;
	uint64_t super_sector, size;
	uint64_t al = ring_sectors(super);

	verdict = meta_layout_locate(stores, &super_sector);
	if (verdict != META_OK)
		return verdict;
	if (stores->data_sectors > META_DATA_SECTORS_MAX)
		return META_BAD_SIZE;
	if (stores->place == MD_PLACE_INTERNAL) {
		size = BLOCK_SECTORS + al +
		       meta_bitmap_sectors(stores->data_sectors, super->max_peers,
					   super->bm_bytes_per_bit);
		if (size > INT32_MAX || size >= super_sector + BLOCK_SECTORS)
			return META_BAD_SIZE;
		super->al_offset_sectors = -(int32_t)al;
		super->bm_offset_sectors = (int32_t)BLOCK_SECTORS - (int32_t)size;
	} else {
		size = stores->place == MD_PLACE_INDEXED ? META_INDEXED_SECTORS
							 : stores->meta_sectors;
		if (size > UINT32_MAX || al > INT32_MAX - BLOCK_SECTORS ||
		    size < BLOCK_SECTORS + al + BLOCK_SECTORS)
			return META_BAD_SIZE;
		if (stores->place == MD_PLACE_INDEXED && al != INDEXED_AL_SECTORS)
			return META_BAD_STRIPES;
		super->al_offset_sectors = (int32_t)BLOCK_SECTORS;
		super->bm_offset_sectors = (int32_t)(BLOCK_SECTORS + al);
	}
	super->md_size_sectors = (uint32_t)size;
	layout_fill(stores, super, super_sector, layout);
	return layout->data_sectors ? META_OK : META_BAD_SIZE;
}

static enum meta_verdict check_internal(const struct md_super *super, uint64_t super_sector)
{
	int64_t al = super->al_offset_sectors, bitmap = super->bm_offset_sectors;

	if (al != -(int64_t)ring_sectors(super) || bitmap > al)
		return META_BAD_OFFSETS;
	if ((uint64_t)-bitmap >= super_sector ||
	    super->md_size_sectors > super_sector + BLOCK_SECTORS)
		return META_BAD_SIZE;
	return META_OK;
}

static enum meta_verdict check_external(const struct meta_stores *stores,
					const struct md_super *super, uint64_t super_sector)
{
	uint64_t al = ring_sectors(super);

	if (super->al_offset_sectors != (int32_t)BLOCK_SECTORS ||
	    super->bm_offset_sectors < 0 ||
	    (uint64_t)super->bm_offset_sectors != BLOCK_SECTORS + al)
		return META_BAD_OFFSETS;
	if (stores->place == MD_PLACE_INDEXED) {
		if (al != INDEXED_AL_SECTORS || super->al_stripes != 1)
			return META_BAD_STRIPES;
		if (super->md_size_sectors != META_INDEXED_SECTORS)
			return META_BAD_SIZE;
	}
	if (super_sector + super->md_size_sectors > stores->meta_sectors ||
	    super->md_size_sectors <= (uint32_t)super->bm_offset_sectors)
		return META_BAD_SIZE;
	return META_OK;
}

enum meta_verdict meta_layout_check(const struct meta_stores *stores, const struct md_super *super,
				    struct meta_layout *layout)
{
	enum meta_verdict verdict;
	uint64_t super_sector;

	verdict = meta_layout_locate(stores, &super_sector);
	if (verdict != META_OK)
		return verdict;
	if (super->al_offset_sectors % (int32_t)BLOCK_SECTORS ||
	    super->bm_offset_sectors % (int32_t)BLOCK_SECTORS)
		return META_BAD_OFFSETS;
	if (stores->place == MD_PLACE_INTERNAL)
		verdict = check_internal(super, super_sector);
	else
		verdict = check_external(stores, super, super_sector);
	if (verdict != META_OK)
		return verdict;
	layout_fill(stores, super, super_sector, layout);
	if (layout->data_sectors == 0)
		return META_BAD_SIZE;
	if (super->effective_sectors > META_DATA_SECTORS_MAX ||
	    meta_bitmap_sectors(super->effective_sectors, super->max_peers,
				super->bm_bytes_per_bit) > layout->bitmap_pages * BLOCK_SECTORS)
		return META_BAD_ROOM;
	return META_OK;
}

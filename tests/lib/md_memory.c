/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Metadata in memory: written by actions of the core, read when it attaches. */
#include "md_memory.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

#define EXTENT_BITS 1024U

void md_memory_create(struct md_memory *md, uint64_t sectors, unsigned max_peers)
{
	ASSERT(max_peers <= MD_MEMORY_PEERS);
	md->sectors = sectors;
	md->words = (sectors / BM_BLOCK_SECTORS + 63) / 64 + 1;
	md->super = (struct md_super){
		.current_uuid = UUID_JUST_CREATED,
		.device_uuid = 77,
		.flags = MDF_AL_CLEAN,
		.al_nr_extents = AL_EXTENTS_DEFAULT,
		.bm_bytes_per_bit = BM_BLOCK_BYTES,
		.max_peers = max_peers,
		.node_id = -1,
		.al_stripes = 1,
		.al_stripe_4k = 8,
	};
	for (unsigned i = 0; i < NODES_MAX; i++)
		md->super.peers[i].bitmap_index = -1;
	for (unsigned i = 0; i < MD_MEMORY_AL_SLOTS; i++)
		md->al[i] = AL_FREE;
	for (unsigned i = 0; i < MD_MEMORY_PEERS; i++) {
		md->slot[i] = malloc(md->words * 8);
		md->core_slot[i] = calloc(md->words, 8);
		memset(md->slot[i], 0xff, md->words * 8);
	}
}

void md_memory_free(struct md_memory *md)
{
	for (unsigned i = 0; i < MD_MEMORY_PEERS; i++) {
		free(md->slot[i]);
		free(md->core_slot[i]);
	}
}

static void write_page(struct md_memory *md, uint64_t page)
{
	unsigned peers = md->super.max_peers;

	for (uint64_t w = page * MD_PAGE_WORDS; w < (page + 1) * MD_PAGE_WORDS; w++) {
		uint64_t mask = UINT64_C(0xffffffff) << (w / peers & 1) * 32;
		uint64_t at = w / peers / 2;
		uint64_t *word;

		if (at >= md->words)
			break;
		word = &md->slot[w % peers][at];
		*word = (*word & ~mask) | (md->core_slot[w % peers][at] & mask);
	}
}

static void write_al(struct md_memory *md, const struct al_transaction *t)
{
	for (unsigned i = 0; i < AL_CONTEXT_MAX && t->context_start + i < t->context_size; i++)
		md->al[t->context_start + i] = t->context[i];
	for (unsigned i = 0; i < t->update_count; i++)
		md->al[t->update_slot[i]] = t->update_extent[i];
}

void md_memory_write(struct md_memory *md, const struct core_action *a)
{
	if (a->kind == AC_META_SUPER)
		md->super = *a->u.meta.super;
	else if (a->kind == AC_META_AL)
		write_al(md, a->u.meta.al);
	else if (a->kind == AC_META_BITMAP)
		write_page(md, a->u.meta.page);
}

static void mark_extent(struct md_memory *md, uint32_t extent)
{
	uint64_t first = (uint64_t)extent * EXTENT_BITS;

	for (uint64_t bit = first; bit < first + EXTENT_BITS && bit / 64 < md->words; bit++) {
		for (unsigned i = 0; i < MD_MEMORY_PEERS; i++)
			md->slot[i][bit / 64] |= UINT64_C(1) << (bit % 64);
	}
}

static void apply_al(struct md_memory *md)
{
	for (unsigned i = 0; i < MD_MEMORY_AL_SLOTS; i++) {
		if (md->al[i] != AL_FREE && md->super.flags & MDF_PRIMARY_IND)
			mark_extent(md, md->al[i]);
		md->al[i] = AL_FREE;
	}
	md->super.flags |= MDF_AL_CLEAN;
}

static void add_slots(struct md_memory *md, uint32_t slots)
{
	ASSERT(slots <= MD_MEMORY_PEERS);
	for (uint32_t i = md->super.max_peers; i < slots; i++) {
		memset(md->slot[i], 0xff, md->words * 8);
		memset(md->core_slot[i], 0, md->words * 8);
	}
	md->super.max_peers = slots;
}

struct core_event md_memory_resize(struct md_memory *md, const struct ac_resize *a)
{
	struct core_event ev = { .kind = EV_RESIZED };

	if (a->slots)
		add_slots(md, a->slots);
	ev.u.resized.vnr = a->vnr;
	ev.u.resized.moved = a->move;
	ev.u.resized.data_sectors = ev.u.resized.backing_sectors = md->sectors;
	for (unsigned i = 0; i < MD_MEMORY_PEERS; i++)
		ev.u.resized.bitmap.slot[i] = md->core_slot[i];
	ev.u.resized.bitmap.words_per_slot = md->words;
	return ev;
}

struct core_event md_memory_attach(struct md_memory *md, uint16_t vnr)
{
	struct core_event ev = { .kind = EV_ATTACHED };

	apply_al(md);
	ev.u.attached.vnr = vnr;
	ev.u.attached.data_sectors = md->sectors;
	ev.u.attached.backing_sectors = md->sectors;
	ev.u.attached.super = md->super;
	ev.u.attached.discard_ok = true;
	ev.u.attached.bitmap.words_per_slot = md->words;
	for (unsigned i = 0; i < MD_MEMORY_PEERS; i++) {
		memcpy(md->core_slot[i], md->slot[i], md->words * 8);
		ev.u.attached.bitmap.slot[i] = md->core_slot[i];
	}
	return ev;
}

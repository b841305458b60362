/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The in-core bitmap of a volume: bits, weights and slots. Writing it is in bitmap_io.c. */
#include "core/bitmap.h"

#include <errno.h>

#include "base/bits.h"
#include "core/bitmap_io.h"
#include "core/core_hooks.h"
#include "core/core_int.h"
#include "core/resync_int.h"

static uint64_t sectors_to_bits(uint64_t sectors)
{
	return sectors / BM_BLOCK_SECTORS + (sectors % BM_BLOCK_SECTORS != 0);
}

static uint32_t valid_slots(const struct bitmap *bm)
{
	if (!bm->store.words_per_slot)
		return 0;
	return bm->slots >= 32 ? UINT32_MAX : (UINT32_C(1) << bm->slots) - 1;
}

/* ---- slots ---- */

int bitmap_slot(const struct volume *vol, unsigned p)
{
	int32_t index = vol->md.peers[p].bitmap_index;

	if (!vol->bm.store.words_per_slot || index < 0 || (unsigned)index >= vol->bm.slots)
		return -1;
	return index;
}

uint32_t bitmap_slots_of(const struct volume *vol, uint64_t nodes)
{
	uint32_t slots = 0;

	for (nodes &= UINT32_MAX; nodes; nodes &= nodes - 1) {
		int slot = bitmap_slot(vol, (unsigned)__builtin_ctzll(nodes));

		if (slot >= 0)
			slots |= UINT32_C(1) << slot;
	}
	return slots;
}

uint32_t bitmap_slots_free(const struct volume *vol)
{
	return vol->bm.free_slots;
}

static void find_free_slots(struct volume *vol)
{
	vol->bm.free_slots = 0;
	vol->bm.free_slots = valid_slots(&vol->bm) & ~bitmap_slots_of(vol, UINT32_MAX);
}

int bitmap_alloc_slot(struct volume *vol, unsigned p)
{
	if (bitmap_slot(vol, p) >= 0)
		return 0;
	if (!vol->bm.free_slots)
		return -ENOSPC;
	vol->md.peers[p].bitmap_index = __builtin_ctz(vol->bm.free_slots);
	find_free_slots(vol);
	return 0;
}

void bitmap_free_slot(struct volume *vol, unsigned p)
{
	vol->md.peers[p].bitmap_index = -1;
	find_free_slots(vol);
}

uint64_t bitmap_weight(const struct volume *vol, unsigned p)
{
	int slot = bitmap_slot(vol, p);

	return slot < 0 ? 0 : vol->bm.weight[slot];
}

/* ---- bits ---- */

/* The part of [sector, sector + sectors) that exists, in whole bits: rounded outward. */
static bool range_outward(const struct bitmap *bm, uint64_t sector, uint64_t sectors,
			  uint64_t *first, uint64_t *count)
{
	uint64_t end;

	*first = sector / BM_BLOCK_SECTORS;
	if (!sectors || *first >= bm->bits)
		return false;
	end = sectors_to_bits(sectors > UINT64_MAX / 2 ? UINT64_MAX / 2 : sector + sectors);
	if (end > bm->bits)
		end = bm->bits;
	*count = end - *first;
	return *count > 0;
}

/* Rounded inward; the last block counts as whole when the range reaches the end of the device. */
static bool range_inward(const struct volume *vol, uint64_t sector, uint64_t sectors,
			 uint64_t *first, uint64_t *count)
{
	uint64_t end = (sector + sectors) / BM_BLOCK_SECTORS;

	*first = sectors_to_bits(sector);
	if (sector + sectors >= vol->bm.sectors || end > vol->bm.bits)
		end = vol->bm.bits;
	if (end <= *first)
		return false;
	*count = end - *first;
	return true;
}

void bitmap_set(struct core *core, struct volume *vol, uint32_t slots, uint64_t sector,
		uint64_t sectors)
{
	struct bitmap *bm = &vol->bm;
	uint64_t first, count;

	slots &= valid_slots(bm);
	if (!slots || !range_outward(bm, sector, sectors, &first, &count))
		return;
	resync_bits_set(vol, slots, sector, sectors);
	for (; slots; slots &= slots - 1) {
		unsigned slot = (unsigned)__builtin_ctz(slots);
		uint64_t changed = bits_set_range(bm->store.slot[slot], first, count);

		if (!changed)
			continue;
		bm->weight[slot] += changed;
		bitmap_mark(core, bm, slot, first, count, true);
	}
}

/* Clears [first, first + count) of one slot. */
static void clear_bits(struct core *core, struct bitmap *bm, unsigned slot, uint64_t first,
		       uint64_t count)
{
	uint64_t changed;

	if (!bm->weight[slot])
		return;
	changed = bits_clear_range(bm->store.slot[slot], first, count);
	if (!changed)
		return;
	ASSERT(changed <= bm->weight[slot]);
	bm->weight[slot] -= changed;
	bitmap_mark(core, bm, slot, first, count, false);
}

void bitmap_clear(struct core *core, struct volume *vol, uint32_t slots, uint64_t sector,
		  uint64_t sectors)
{
	uint64_t first, count;

	slots &= valid_slots(&vol->bm);
	if (!slots || !range_inward(vol, sector, sectors, &first, &count))
		return;
	for (; slots; slots &= slots - 1)
		clear_bits(core, &vol->bm, (unsigned)__builtin_ctz(slots), first, count);
}

bool bitmap_clear_where(struct core *core, struct volume *vol, uint32_t slots, uint64_t bit,
			uint64_t count)
{
	bool changed = false;

	slots &= valid_slots(&vol->bm);
	for (; slots; slots &= slots - 1) {
		unsigned slot = (unsigned)__builtin_ctz(slots);
		uint64_t before = vol->bm.weight[slot];

		clear_bits(core, &vol->bm, slot, bit, count);
		changed |= vol->bm.weight[slot] != before;
	}
	return changed;
}

bool bitmap_test(const struct volume *vol, uint32_t slots, uint64_t sector, uint64_t sectors)
{
	uint64_t first, count;

	slots &= valid_slots(&vol->bm);
	if (!slots || !range_outward(&vol->bm, sector, sectors, &first, &count))
		return false;
	for (; slots; slots &= slots - 1)
		if (bits_any(vol->bm.store.slot[__builtin_ctz(slots)], first, count))
			return true;
	return false;
}

void bitmap_or_word(struct core *core, struct volume *vol, unsigned slot, uint64_t index,
		    uint64_t value)
{
	struct bitmap *bm = &vol->bm;

	if (index >= bits_words(bm->bits))
		return;
	if ((index + 1) * 64 > bm->bits)
		value &= (UINT64_C(1) << (bm->bits % 64)) - 1;
	value &= ~bm->store.slot[slot][index];
	if (!value)
		return;
	bm->store.slot[slot][index] |= value;
	bm->weight[slot] += (uint64_t)__builtin_popcountll(value);
	bitmap_mark(core, bm, slot, index * 64 + (uint64_t)__builtin_ctzll(value),
		    (uint64_t)(64 - __builtin_clzll(value) - __builtin_ctzll(value)), true);
}

void bitmap_copy_slot(struct core *core, struct volume *vol, unsigned from, unsigned to)
{
	struct bitmap *bm = &vol->bm;
	uint64_t bit = 0;

	ASSERT(from < bm->slots && to < bm->slots);
	if (from == to)
		return;
	while ((bit = bits_next_set(bm->store.slot[from], bit, bm->bits)) != BITS_NONE) {
		uint64_t end = bits_next_clear(bm->store.slot[from], bit, bm->bits);

		if (end == BITS_NONE)
			end = bm->bits;
		bitmap_set(core, vol, UINT32_C(1) << to, bit * BM_BLOCK_SECTORS,
			   (end - bit) * BM_BLOCK_SECTORS);
		bit = end;
	}
}

void bitmap_clear_slot(struct core *core, struct volume *vol, unsigned slot)
{
	ASSERT(slot < vol->bm.slots);
	clear_bits(core, &vol->bm, slot, 0, vol->bm.bits);
}

void bitmap_set_all(struct core *core, struct volume *vol, uint64_t nodes, bool all_slots)
{
	uint32_t slots = all_slots ? SLOTS_ALL : bitmap_slots_of(vol, nodes);

	for (unsigned n = 0; n < NODES_MAX; n++) {
		if (n == core->self || vol->md.peers[n].bitmap_index < 0)
			continue;
		if (!all_slots && !((nodes >> n) & 1))
			continue;
		vol->md.peers[n].flags |= MDF_PEER_FULL_SYNC;
		vol->bm.guard_nodes |= UINT64_C(1) << n;
	}
	vol->bm.guard_seq = md_sync(core, vol);
	bitmap_set(core, vol, slots, 0, vol->bm.bits * BM_BLOCK_SECTORS);
}

/* ---- life ---- */

static void count_weights(struct bitmap *bm)
{
	for (unsigned slot = 0; slot < bm->slots; slot++)
		bm->weight[slot] = bits_weight(bm->store.slot[slot], 0, bm->bits);
}

void bitmap_attach(struct core *core, struct volume *vol, const struct bm_store *store)
{
	struct bitmap *bm = &vol->bm;
	uint64_t sectors = vol->md.effective_sectors;

	bitmap_io_reset(bm);
	bm->store = *store;
	bm->slots = vol->md.max_peers < NODES_MAX ? vol->md.max_peers : NODES_MAX;
	ASSERT(bm->slots > 0 && store->words_per_slot > 0);
	if (sectors > vol->data_sectors)
		sectors = vol->data_sectors;
	bm->sectors = sectors;
	bm->bits = sectors_to_bits(sectors);
	ASSERT(bits_words(bm->bits) <= store->words_per_slot);
	/* apply-al may have left bits beyond the end of the device. */
	for (unsigned slot = 0; slot < bm->slots; slot++)
		bits_clear_range(store->slot[slot], bm->bits,
				 store->words_per_slot * 64 - bm->bits);
	count_weights(bm);
	find_free_slots(vol);
	bitmap_io_layout(core, bm);
}

void bitmap_detach(struct core *core, struct volume *vol)
{
	struct bitmap *bm = &vol->bm;

	bitmap_io_reset(bm);
	bm->store = (struct bm_store){ .words_per_slot = 0 };
	bm->bits = bm->sectors = 0;
	bm->free_slots = 0;
	for (unsigned slot = 0; slot < NODES_MAX; slot++)
		bm->weight[slot] = 0;
	resync_disk_gone(core, vol);
}

void bitmap_size_changed(struct core *core, struct volume *vol)
{
	struct bitmap *bm = &vol->bm;
	uint64_t bits = sectors_to_bits(vol->size_sectors);
	uint64_t old = bm->bits;

	if (!bm->store.words_per_slot)
		return;
	bm->sectors = vol->size_sectors;
	if (bits == old)
		return;
	if (bits > bm->store.words_per_slot * 64)
		bits = bm->store.words_per_slot * 64;
	if (bits < old) {
		for (unsigned slot = 0; slot < bm->slots; slot++)
			clear_bits(core, bm, slot, bits, old - bits);
		bm->bits = bits;
		return;
	}
	bm->bits = bits;
	bitmap_set(core, vol, SLOTS_ALL, old * BM_BLOCK_SECTORS, (bits - old) * BM_BLOCK_SECTORS);
}

void bitmap_grow(struct core *core, struct volume *vol, uint64_t sectors, bool clean)
{
	struct bitmap *bm = &vol->bm;
	uint64_t old = bm->bits, count = sectors_to_bits(sectors) - old;

	ASSERT(sectors > bm->sectors && old + count <= bm->store.words_per_slot * 64);
	bm->sectors = sectors;
	bm->bits = old + count;
	if (!count)
		return;
	if (!clean)
		bitmap_set(core, vol, SLOTS_ALL, old * BM_BLOCK_SECTORS, count * BM_BLOCK_SECTORS);
	/* On disk there may be anything: of a larger size that the volume once had. */
	for (unsigned slot = 0; slot < bm->slots; slot++)
		bitmap_mark(core, bm, slot, old, count, true);
}

void bitmap_moved(struct core *core, struct volume *vol, const struct bm_store *store,
		  unsigned slots)
{
	struct bitmap *bm = &vol->bm;
	unsigned shift = bm->granule_shift, old = bm->slots;

	ASSERT(store->words_per_slot >= bm->store.words_per_slot && slots >= old);
	bm->store = *store;
	bm->slots = slots;
	bitmap_io_layout(core, bm);
	bitmap_io_coarsen(bm, bm->granule_shift - shift);
	if (slots == old)
		return;
	bitmap_io_widen(bm, old);
	for (unsigned slot = old; slot < slots; slot++)
		bm->weight[slot] = bits_set_range(bm->store.slot[slot], 0, bm->bits);
	find_free_slots(vol);
}

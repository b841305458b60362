/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Bitmap page codec. */
#include "meta/meta_bitmap.h"

#include "base/bytes.h"

uint64_t meta_bitmap_pages(uint64_t bits, uint32_t max_peers)
{
	uint64_t disk_words = (bits + 63) / 64 * 2 * max_peers;

	return (disk_words + MD_PAGE_WORDS - 1) / MD_PAGE_WORDS;
}

/* Walks the disk words of a page without a division per word. */
struct disk_cursor {
	uint32_t slot;
	uint64_t half; /* which 32 bits of the slot */
};

static struct disk_cursor cursor_at_page(uint64_t page, uint32_t max_peers)
{
	uint64_t word = page * MD_PAGE_WORDS;

	return (struct disk_cursor){ .slot = (uint32_t)(word % max_peers),
				     .half = word / max_peers };
}

static void cursor_next(struct disk_cursor *at, uint32_t max_peers)
{
	if (++at->slot == max_peers) {
		at->slot = 0;
		at->half++;
	}
}

void meta_bitmap_page_encode(uint64_t *const *slots, uint64_t words_per_slot, uint32_t max_peers,
			     uint64_t page, uint8_t block[static MD_PAGE_BYTES])
{
	struct disk_cursor at = cursor_at_page(page, max_peers);

	for (unsigned i = 0; i < MD_PAGE_WORDS; i++, cursor_next(&at, max_peers)) {
		uint64_t word = at.half / 2 < words_per_slot ? slots[at.slot][at.half / 2] : 0;

		put_le32(block + 4 * i, (uint32_t)(word >> at.half % 2 * 32));
	}
}

void meta_bitmap_page_decode(const uint8_t block[static MD_PAGE_BYTES], uint64_t page,
			     uint32_t max_peers, uint64_t *const *slots, uint64_t words_per_slot)
{
	struct disk_cursor at = cursor_at_page(page, max_peers);

	for (unsigned i = 0; i < MD_PAGE_WORDS; i++, cursor_next(&at, max_peers)) {
		unsigned shift = (unsigned)(at.half % 2 * 32);
		uint64_t *word;

		if (at.half / 2 >= words_per_slot)
			return;
		word = &slots[at.slot][at.half / 2];
		*word = (*word & ~(UINT64_C(0xffffffff) << shift)) |
			(uint64_t)get_le32(block + 4 * i) << shift;
	}
}

void meta_bitmap_wider_needs(uint64_t page, uint32_t max_peers, uint32_t old_peers, uint64_t *first,
			     uint64_t *end)
{
	uint64_t half = page * MD_PAGE_WORDS / max_peers;
	uint64_t last = ((page + 1) * MD_PAGE_WORDS - 1) / max_peers;

	*first = half * old_peers / MD_PAGE_WORDS;
	*end = ((last + 1) * old_peers - 1) / MD_PAGE_WORDS + 1;
}

static uint32_t first_bits(uint64_t half, uint64_t bits)
{
	if (half * 32 >= bits)
		return 0;
	return bits - half * 32 >= 32 ? UINT32_MAX : (UINT32_C(1) << (bits - half * 32)) - 1;
}

void meta_bitmap_wider_page(uint64_t page, uint32_t max_peers, uint32_t old_peers, uint64_t bits,
			    const uint8_t *old, uint64_t first, uint8_t block[static MD_PAGE_BYTES])
{
	struct disk_cursor at = cursor_at_page(page, max_peers);

	for (unsigned i = 0; i < MD_PAGE_WORDS; i++, cursor_next(&at, max_peers)) {
		uint64_t from = at.half * old_peers + at.slot - first * MD_PAGE_WORDS;

		put_le32(block + 4 * i, at.slot < old_peers ? get_le32(old + 4 * from) :
							      first_bits(at.half, bits));
	}
}

void meta_bitmap_set(uint64_t *words, uint64_t first, uint64_t end)
{
	for (uint64_t bit = first; bit < end;) {
		if (bit % 64 == 0 && end - bit >= 64) {
			words[bit / 64] = UINT64_MAX;
			bit += 64;
		} else {
			words[bit / 64] |= UINT64_C(1) << bit % 64;
			bit++;
		}
	}
}

void meta_bitmap_clip(uint64_t *words, uint64_t words_per_slot, uint64_t end)
{
	uint64_t word = end / 64;

	if (word < words_per_slot && end % 64)
		words[word++] &= (UINT64_C(1) << end % 64) - 1;
	while (word < words_per_slot)
		words[word++] = 0;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The note of a bitmap that is being laid out for more slots. */
#include "meta/meta_relayout.h"

#include <string.h>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "meta/meta_super.h"

#define NOTE_AT 2048U /* far behind what DRBD knows of, in a sector of its own */
#define NOTE_BYTES 32U
#define NOTE_MAGIC UINT64_C(0x6472626466735352)

/* Of note and superblock but for its geometry: the same in the old and the new form. */
static uint32_t checksum(const uint8_t *note, const struct md_super *super)
{
	struct md_super same = *super;
	uint8_t block[MD_PAGE_BYTES];

	same.md_size_sectors = same.max_peers = 0;
	same.al_offset_sectors = same.bm_offset_sectors = 0;
	meta_super_encode(&same, block);
	return crc32c(crc32c(~0U, block, NOTE_AT), note, NOTE_BYTES);
}

void meta_relayout_encode(const struct meta_relayout *note, const struct md_super *super,
			  uint8_t block[static MD_PAGE_BYTES])
{
	uint8_t *p = block + NOTE_AT;

	put_be64(p, NOTE_MAGIC);
	put_be64(p + 8, note->copy_byte);
	put_be64(p + 16, note->pages);
	put_be32(p + 24, note->max_peers);
	put_be32(p + 28, note->full_sync);
	put_be32(p + NOTE_BYTES, checksum(p, super));
}

bool meta_relayout_decode(const uint8_t block[static MD_PAGE_BYTES], const struct md_super *super,
			  struct meta_relayout *note)
{
	const uint8_t *p = block + NOTE_AT;

	if (get_be64(p) != NOTE_MAGIC || get_be32(p + NOTE_BYTES) != checksum(p, super))
		return false;
	note->copy_byte = get_be64(p + 8);
	note->pages = get_be64(p + 16);
	note->max_peers = get_be32(p + 24);
	note->full_sync = get_be32(p + 28);
	return true;
}

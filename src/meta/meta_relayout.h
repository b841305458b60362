/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The note, in the padding of a superblock, of a bitmap that is being laid out for more slots. */
#ifndef META_RELAYOUT_H
#define META_RELAYOUT_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/proto_md.h"

struct meta_relayout {
	uint64_t copy_byte;  /* where the bitmap lies whole, in its new form */
	uint64_t pages;
	uint32_t max_peers;  /* of the new form; a superblock with another number is the old one */
	uint32_t full_sync;  /* nodes whose MDF_PEER_FULL_SYNC was set before */
};

/* Into the block of `super`, which meta_super_encode() has filled. */
void meta_relayout_encode(const struct meta_relayout *note, const struct md_super *super,
			  uint8_t block[static MD_PAGE_BYTES]);
/*
 * False: there is none, or somebody has written this superblock since who did not know of it, and
 * the bitmap where it belongs may be ahead of the copy.
 */
bool meta_relayout_decode(const uint8_t block[static MD_PAGE_BYTES], const struct md_super *super,
			  struct meta_relayout *note);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Metadata as text, byte for byte as drbdmeta prints it, streamed (on-disk-metadata 13). */
#ifndef META_TEXT_H
#define META_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "meta/meta_version.h"
#include "proto/proto_md.h"

struct meta_text {
	enum meta_version version; /* v08 or v09 */
	const struct md_super *super;
	uint64_t usable_sectors; /* a larger agreed size is cut down to it */
	uint64_t super_byte;    /* position of the superblock on its store */
	/* Comment lines at the top; NULL title = none of them. */
	const char *date;       /* "2026-01-31 12:00:00 +0000" */
	uint64_t time_s;
	const char *host;
	const char *command;    /* the command line that made the dump */
	/* Leaves out `members`, which restore-md of drbd-utils before 9.27 stumbles over. */
	bool no_members;
	/* Bitmap page `page` of this metadata; 0 or -errno, which ends the dump. */
	int (*read_page)(void *ctx, uint64_t page, uint8_t block[static MD_PAGE_BYTES]);
	/* A piece of the text; 0 or -errno, which ends the dump. */
	int (*emit)(void *ctx, const char *text, size_t bytes);
	void *ctx;
};

/* The whole dump. 0 or the error of a callback. */
int meta_text_dump(const struct meta_text *text);

#endif

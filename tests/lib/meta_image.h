/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Metadata images made by the kernel, and their dumps: recorded vectors and captures. */
#ifndef META_IMAGE_H
#define META_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "meta/meta_layout.h"
#include "meta/meta_version.h"

#define META_IMAGE_TAIL_BYTES 65536U

/* The end of a store with internal metadata; everything before the tail is outside the metadata. */
struct meta_image {
	uint64_t disk_bytes;
	uint8_t tail[META_IMAGE_TAIL_BYTES];
	char *dump;       /* text from `version` to `bits-set`; owned */
};

/* tests/vectors/meta/NAME.img and .txt. False = unreadable. */
bool meta_image_load_vector(struct meta_image *image, const char *name, uint64_t disk_bytes);
/* DIR/last-64KiB-of-disk.img, dump-md.txt and README.md. False = unreadable. */
bool meta_image_load_capture(struct meta_image *image, const char *dir);
void meta_image_release(struct meta_image *image);

/* Pointer to `byte` of the store. */
uint8_t *meta_image_at(struct meta_image *image, uint64_t byte);
/* meta_text's read_page for an image; ctx is struct meta_image_reader. */
struct meta_image_reader {
	struct meta_image *image;
	struct meta_layout layout;
	enum meta_version version;
	struct md_super super;
};
/* Decodes the superblock and checks the layout; false = refused. */
bool meta_image_open(struct meta_image_reader *reader, struct meta_image *image);
int meta_image_read_page(void *ctx, uint64_t page, uint8_t block[static MD_PAGE_BYTES]);
int meta_image_read_ring(void *ctx, uint32_t index, uint8_t block[static MD_PAGE_BYTES]);

#endif

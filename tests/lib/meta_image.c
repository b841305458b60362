/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Loads metadata images for tests. */
#include "meta_image.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "meta/meta_v08.h"

static char *read_text(const char *path)
{
	FILE *f = fopen(path, "r");
	char *text = NULL;
	size_t room = 0;
	ssize_t n;

	if (!f)
		return NULL;
	n = getdelim(&text, &room, '\0', f);
	fclose(f);
	if (n < 0) {
		free(text);
		return NULL;
	}
	return text;
}

/* From `version` to the line of `bits-set`. */
static bool trim_dump(char *text)
{
	char *from = strstr(text, "version "), *last = strstr(text, "# bits-set ");

	if (!from || !last)
		return false;
	last = strchr(last, '\n');
	if (!last)
		return false;
	last[1] = '\0';
	memmove(text, from, strlen(from) + 1);
	return true;
}

/* Lines OFFSET COUNT HEX. */
static bool read_vector(FILE *f, uint8_t *tail)
{
	char line[512], hex[256];
	unsigned at, count, byte;

	while (fgets(line, sizeof(line), f)) {
		if (line[0] == '#')
			continue;
		if (sscanf(line, "%u %u %255s", &at, &count, hex) != 3)
			return false;
		while (count--)
			for (const char *p = hex; *p; p += 2) {
				if (at >= META_IMAGE_TAIL_BYTES || sscanf(p, "%2x", &byte) != 1)
					return false;
				tail[at++] = (uint8_t)byte;
			}
	}
	return true;
}

bool meta_image_load_vector(struct meta_image *image, const char *name, uint64_t disk_bytes)
{
	char path[256];
	bool ok;
	FILE *f;

	memset(image, 0, sizeof(*image));
	image->disk_bytes = disk_bytes;
	(void)snprintf(path, sizeof(path), "tests/vectors/meta/%s.txt", name);
	image->dump = read_text(path);
	(void)snprintf(path, sizeof(path), "tests/vectors/meta/%s.img", name);
	f = fopen(path, "r");
	if (!f)
		return false;
	ok = read_vector(f, image->tail);
	fclose(f);
	return ok && image->dump;
}

bool meta_image_load_capture(struct meta_image *image, const char *dir)
{
	char path[512], *readme, *at;
	size_t n;
	FILE *f;

	memset(image, 0, sizeof(*image));
	(void)snprintf(path, sizeof(path), "%s/README.md", dir);
	readme = read_text(path);
	at = readme ? strstr(readme, "of guest g") : NULL;
	if (at)
		(void)sscanf(at, "of guest g%*d, %" SCNu64 " bytes", &image->disk_bytes);
	free(readme);
	(void)snprintf(path, sizeof(path), "%s/dump-md.txt", dir);
	image->dump = read_text(path);
	(void)snprintf(path, sizeof(path), "%s/last-64KiB-of-disk.img", dir);
	f = fopen(path, "r");
	if (!f)
		return false;
	n = fread(image->tail, 1, sizeof(image->tail), f);
	fclose(f);
	return n == sizeof(image->tail) && image->disk_bytes && image->dump &&
	       trim_dump(image->dump);
}

void meta_image_release(struct meta_image *image)
{
	free(image->dump);
	image->dump = NULL;
}

uint8_t *meta_image_at(struct meta_image *image, uint64_t byte)
{
	uint64_t start = image->disk_bytes - META_IMAGE_TAIL_BYTES;

	ASSERT(byte >= start && byte < image->disk_bytes);
	return image->tail + (byte - start);
}

bool meta_image_open(struct meta_image_reader *reader, struct meta_image *image)
{
	struct meta_stores stores = { .place = MD_PLACE_INTERNAL,
				      .data_sectors = image->disk_bytes / 512,
				      .meta_sectors = image->disk_bytes / 512 };
	enum meta_verdict verdict;
	const uint8_t *block;
	uint64_t sector;

	reader->image = image;
	if (meta_layout_locate(&stores, &sector) != META_OK)
		return false;
	block = meta_image_at(image, sector * 512);
	reader->version = meta_version_recognise(block);
	verdict = reader->version == META_VERSION_V09 ? meta_super_decode(block, &reader->super)
						       : meta_v08_decode(block, &reader->super);
	return verdict == META_OK &&
	       meta_layout_check(&stores, &reader->super, &reader->layout) == META_OK;
}

int meta_image_read_page(void *ctx, uint64_t page, uint8_t block[static MD_PAGE_BYTES])
{
	struct meta_image_reader *reader = ctx;
	uint64_t byte = reader->layout.bitmap_byte + page * MD_PAGE_BYTES;

	memcpy(block, meta_image_at(reader->image, byte), MD_PAGE_BYTES);
	return 0;
}

int meta_image_read_ring(void *ctx, uint32_t index, uint8_t block[static MD_PAGE_BYTES])
{
	struct meta_image_reader *reader = ctx;
	uint64_t byte = reader->layout.al_byte + (uint64_t)index * MD_PAGE_BYTES;

	memcpy(block, meta_image_at(reader->image, byte), MD_PAGE_BYTES);
	return 0;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Hostile text for restore-md and set-gi: what is understood is in range and prints the same. */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "meta/meta_gi.h"
#include "meta/meta_layout.h"
#include "meta/meta_parse.h"
#include "meta/meta_text.h"
#include "meta/meta_v08.h"

#define SLOTS 4U   /* of the bitmap that is kept */
#define WORDS 1024U
#define TEXT_MAX (1U << 20)

/*
 * Byte 0: bit 0 set-gi instead of a dump, bit 1 v08 for that, bits 2-7 how many bytes a read gives
 * at most. The rest is the text.
 */
struct input {
	const uint8_t *data;
	size_t size, used, piece;
};

struct parsed {
	struct input *input;
	enum meta_version version;
	struct md_super super;
	uint32_t slot;       /* the last one that words came for */
	uint64_t next;       /* word in it */
	bool is_kept;        /* small enough to be printed again */
	uint64_t words[SLOTS][WORDS];
};

static char text[TEXT_MAX];
static size_t text_bytes;

static int read_input(void *ctx, char *buf, size_t room, size_t *got)
{
	struct input *in = ((struct parsed *)ctx)->input;
	size_t n = in->size - in->used;

	n = n < room ? n : room;
	n = n < in->piece ? n : in->piece;
	memcpy(buf, in->data + in->used, n);
	in->used += n;
	*got = n;
	return 0;
}

static int take_head(void *ctx, enum meta_version version, const struct md_super *super)
{
	struct parsed *p = ctx;

	ASSERT(version == META_VERSION_V09 || version == META_VERSION_V08);
	ASSERT(meta_super_check(super) == META_OK);
	ASSERT(version == META_VERSION_V09 || meta_v08_check(super) == META_OK);
	p->version = version;
	p->super = *super;
	p->is_kept = super->max_peers <= SLOTS;
	return 0;
}

static int take_words(void *ctx, uint32_t slot, uint64_t first, uint64_t count, uint64_t value)
{
	struct parsed *p = ctx;

	ASSERT(slot < p->super.max_peers && slot >= p->slot && count > 0);
	if (slot != p->slot)
		p->next = 0;
	ASSERT(first == p->next && first + count > first);
	p->slot = slot;
	p->next = first + count;
	p->is_kept = p->is_kept && p->next <= WORDS;
	for (uint64_t i = first; p->is_kept && i < p->next; i++)
		p->words[slot][i] = value;
	return 0;
}

static int page_of_words(void *ctx, uint64_t page, uint8_t block[static MD_PAGE_BYTES])
{
	struct parsed *p = ctx;

	for (unsigned i = 0; i < MD_PAGE_WORDS; i++) {
		uint64_t word = page * MD_PAGE_WORDS + i, half = word / p->super.max_peers;
		uint64_t value = half / 2 < WORDS ? p->words[word % p->super.max_peers][half / 2]
						  : 0;

		for (unsigned k = 0; k < 4; k++)
			block[4 * i + k] = (uint8_t)(value >> (half % 2 * 32 + 8 * k));
	}
	return 0;
}

static int collect(void *ctx, const char *piece, size_t bytes)
{
	(void)ctx;
	if (text_bytes + bytes > sizeof(text))
		return -1;
	memcpy(text + text_bytes, piece, bytes);
	text_bytes += bytes;
	return 0;
}

/* Printed and read again it is the same, as far as the agreed size reaches. */
static void check_again(struct parsed *p)
{
	static struct parsed again;
	struct meta_parse parse = {
		.read = read_input, .head = take_head, .words = take_words, .ctx = &again
	};
	struct input in = { .data = (uint8_t *)text, .piece = 4096 };
	struct meta_parse_error error;
	uint64_t most = (uint64_t)WORDS * 64 * (p->super.bm_bytes_per_bit / 512);

	text_bytes = 0;
	p->super.flags |= MDF_AL_CLEAN;
	if (meta_text_dump(&(struct meta_text){
		    .version = p->version, .super = &p->super, .usable_sectors = most,
		    .read_page = page_of_words, .emit = collect, .ctx = p }) != 0)
		return;
	memset(&again, 0, sizeof(again));
	in.size = text_bytes;
	again.input = &in;
	ASSERT(meta_parse(&parse, &error) == 0);
	if (p->super.effective_sectors > most)
		p->super.effective_sectors = most;
	ASSERT(again.version == p->version);
	ASSERT(memcmp(&again.super, &p->super, sizeof(p->super)) == 0);
}

static void parse_dump(struct input *in)
{
	static struct parsed p;
	struct meta_parse parse = {
		.read = read_input, .head = take_head, .words = take_words, .ctx = &p
	};
	struct meta_parse_error error = { 0 };
	int rc;

	memset(&p, 0, sizeof(p));
	p.input = in;
	rc = meta_parse(&parse, &error);
	if (rc) {
		ASSERT(error.line > 0 && error.text[0] &&
		       memchr(error.text, '\0', sizeof(error.text)));
		return;
	}
	ASSERT(in->used == in->size);
	if (p.is_kept)
		check_again(&p);
}

static void parse_gi(const struct input *in, enum meta_version version)
{
	char line[256], once[META_GI_BYTES], twice[META_GI_BYTES];
	struct md_super super, copy;
	unsigned field = 0;

	if (in->size >= sizeof(line))
		return;
	memcpy(line, in->data, in->size);
	line[in->size] = '\0';
	memset(&super, 0x5a, sizeof(super));
	if (meta_gi_parse(line, version, 0, &super, &field)) {
		ASSERT(field > 0);
		return;
	}
	meta_gi_format(&super, version, 0, once);
	memset(&copy, 0, sizeof(copy));
	ASSERT(meta_gi_parse(once, version, 0, &copy, &field) == 0);
	meta_gi_format(&copy, version, 0, twice);
	ASSERT(strcmp(once, twice) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in;

	if (!size)
		return 0;
	in = (struct input){ .data = data + 1, .size = size - 1, .piece = (data[0] >> 2) + 1U };
	if (data[0] & 1)
		parse_gi(&in, data[0] & 2 ? META_VERSION_V08 : META_VERSION_V09);
	else
		parse_dump(&in);
	return 0;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The text of a dump, read back: recorded dumps, every kind of mistake; the line of set-gi. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/meta_image.h"
#include "meta/meta_bitmap.h"
#include "meta/meta_gi.h"
#include "meta/meta_parse.h"
#include "meta/meta_v08.h"

#define WORDS 512U

struct reading {
	const char *text;
	size_t piece; /* bytes per read */
	enum meta_version version;
	struct md_super super;
	uint64_t words[WORDS]; /* of slot 0 */
	uint64_t word_count;   /* of all slots */
	int head_rc;
};

static int read_piece(void *ctx, char *buf, size_t room, size_t *got)
{
	struct reading *r = ctx;
	size_t n = strlen(r->text);

	n = n < r->piece ? n : r->piece;
	*got = n < room ? n : room;
	memcpy(buf, r->text, *got);
	r->text += *got;
	return 0;
}

static int take_head(void *ctx, enum meta_version version, const struct md_super *super)
{
	struct reading *r = ctx;

	r->version = version;
	r->super = *super;
	return r->head_rc;
}

static int take_words(void *ctx, uint32_t slot, uint64_t first, uint64_t count, uint64_t value)
{
	struct reading *r = ctx;

	r->word_count += count;
	for (uint64_t i = first; slot == 0 && i < first + count && i < WORDS; i++)
		r->words[i] = value;
	return 0;
}

static int parse(struct reading *r, const char *text, struct meta_parse_error *error)
{
	const struct meta_parse p = {
		.read = read_piece, .head = take_head, .words = take_words, .ctx = r
	};

	memset(error, 0, sizeof(*error));
	r->text = text;
	return meta_parse(&p, error);
}

/* An unclean dump as it would be without the word that keeps restore-md away. */
static void make_clean(char *text)
{
	char *from = strstr(text, "This_is"), *to = strstr(text, "# You should");

	if (from && to)
		memmove(from, to, strlen(to) + 1);
}

static const struct {
	const char *name;
	uint64_t disk_bytes;
} vectors[] = {
	{ "v9-1-fresh-16M", 16777216 },		 { "v9-2-diverged", 2097152 },
	{ "v9-2-diverged-peer-16M", 16777216 },	 { "v9-3-crashed-primary-16M", 16777216 },
	{ "v84-1-fresh", 2097152 },		 { "v84-2-diverged-16M", 16777216 },
	{ "v84-2-diverged-peer-16M", 16777216 }, { "v84-3-crashed-primary-16M", 16777216 },
};

/* Everything but what the text does not have. */
static void same_super(const struct md_super *parsed, const struct md_super *stored,
		       enum meta_version version, const char *name)
{
	struct md_super wanted = *stored;

	wanted.md_size_sectors = wanted.al_nr_extents = 0;
	wanted.al_offset_sectors = wanted.bm_offset_sectors = 0;
	/* drbd-utils 9.22 made the dumps of v08. */
	if (version != META_VERSION_V09)
		wanted.flags = 0;
	cr_assert(memcmp(parsed, &wanted, sizeof(wanted)) == 0, "%s", name);
}

Test(meta_parse, recorded_dumps)
{
	static struct meta_image image;
	static struct reading r;

	for (unsigned i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
		struct meta_image_reader reader;
		struct meta_parse_error error;
		uint8_t page[MD_PAGE_BYTES], back[MD_PAGE_BYTES];
		uint64_t *slot = r.words;

		cr_assert(meta_image_load_vector(&image, vectors[i].name, vectors[i].disk_bytes));
		cr_assert(meta_image_open(&reader, &image));
		make_clean(image.dump);
		memset(&r, 0, sizeof(r));
		r.piece = 1 + i * 100;
		cr_assert_eq(parse(&r, image.dump, &error), 0, "%s line %d: %s", vectors[i].name,
			     (int)error.line, error.text);
		cr_assert_eq(r.version == META_VERSION_V09, reader.version == META_VERSION_V09);
		same_super(&r.super, &reader.super, reader.version, vectors[i].name);
		cr_assert_eq(r.word_count, reader.super.effective_sectors ? WORDS : 0);
		meta_image_read_page(&reader, 0, page);
		meta_bitmap_page_encode(&slot, WORDS, 1, 0, back);
		if (reader.super.effective_sectors)
			cr_assert_arr_eq(page, back, MD_PAGE_BYTES, "%s", vectors[i].name);
		meta_image_release(&image);
	}
}

/* The first `from` of a sound dump exchanged; the error is in that line and speaks of `word`. */
static void wrong(const char *from, const char *to, const char *word)
{
	static struct meta_image image;
	static char text[65536];
	struct meta_parse_error error;
	struct reading r = { .piece = 4096 };
	unsigned line = 1;
	char *at;

	cr_assert(meta_image_load_vector(&image, "v9-2-diverged", 2097152));
	make_clean(image.dump);
	at = strstr(image.dump, from);
	cr_assert(at, "%s", from);
	(void)snprintf(text, sizeof(text), "%.*s%s%s", (int)(at - image.dump), image.dump, to,
		       at + strlen(from));
	for (const char *p = image.dump; p < at; p++)
		line += *p == '\n';
	cr_assert_eq(parse(&r, text, &error), -EBADMSG, "%s -> %s", from, to);
	cr_assert(strstr(error.text, word), "%s -> %s: %s", from, to, error.text);
	/* A whole wrong value is only seen at the end of the head. */
	if (word[0] != '*' && !strstr(error.text, "the "))
		cr_assert(error.line == line || error.line == line + 1, "%s -> %s: line %d, not %u",
			  from, to, (int)error.line, line);
	meta_image_release(&image);
}

Test(meta_parse, mistakes)
{
	wrong("\"v09\"", "\"v07\"", "\"v09\" or \"v08\" expected");
	wrong("\"v09\"", "v09", "\"v09\" or \"v08\" expected, but there is `v09`");
	wrong("\"v09\"", "\"v09", "a quoted string");
	wrong("\"v09\"", "\"a string that is too long\"", "a quoted string");
	wrong("max-peers", "max-pears", "max-peers expected, but there is `max-pears`");
	wrong("max-peers 1;", "max-peers 0;", "the number of bitmap slots");
	wrong("max-peers 1;", "max-peers 33;", "the number of bitmap slots");
	wrong("max-peers 1;", "max-peers 5000000000;", "a number of 32 bits");
	wrong("max-peers 1;", "max-peers 12345678901234567890;", "at most 19 digits");
	wrong("max-peers 1;", "max-peers 1x;", "at most 19 digits");
	wrong("max-peers 1;", "max-peers 1 ]", "; expected, but there is `]`");
	wrong("node-id 0;", "node-id 32;", "the node id");
	wrong("node-id 0;", "node-id -2;", "the node id");
	wrong("current-uuid 0x", "current-uuid 0xx", "8 or 16 hexadecimal digits");
	wrong("current-uuid 0x0A4", "current-uuid 0x0A", "8 or 16 hexadecimal digits");
	wrong("flags 0x00000411", "flags 0x0000041100000000", "a hexadecimal number of 8 digits");
	wrong("peer[0]", "peer[32]", "numbered 0 to 31");
	wrong("peer[1]", "peer[0]", "been there already");
	wrong("members ", "member ", "members or peer expected");
	wrong("bitmap-index 0;", "bitmap-index 1;", "the bitmap slots");
	wrong("history-uuids {", "history-uuids [", "{ expected");
	wrong("bm-byte-per-bit 4096", "bm-byte-per-bit 4097", "power of two");
	wrong("al-stripes 1;", "al-stripes 0;", "activity log");
	wrong("bitmap[0]", "bitmap[1]", "ascending order");
	wrong("bitmap[0] {", "bitmap[0] { { ", "a count, a hexadecimal number");
	wrong(" times", "times", "19 digits");
	wrong("504 times", "504 time", "times expected");
	wrong("504 times", "-1 times", "longer than any can be");
	wrong("504 times", "9223372036854775807 times", "longer than any can be");
	wrong("# bits-set", "garbage # bits-set", "the end of the text expected");
	wrong("version", "This_is_an_unclean_meta_data_dump._Don't version", "unclean");
	wrong("node-id", "\xc3\xa4 node-id", "`\\xc3`");
	wrong("node-id", "\x01 node-id", "`\\x01`");
}

Test(meta_parse, what_may_be_otherwise)
{
	static struct meta_image image;
	struct meta_parse_error error;
	struct reading r = { .piece = 7 };
	char *at;

	cr_assert(meta_image_load_vector(&image, "v9-2-diverged", 2097152));
	make_clean(image.dump);
	/* Without `members`, in one line, with comments and without. */
	at = strstr(image.dump, "members ");
	memset(at, ' ', strcspn(at, "\n"));
	cr_assert_eq(parse(&r, image.dump, &error), 0, "%s", error.text);
	cr_assert_eq(r.super.members, 0);
	at = strstr(image.dump, "la-peer-max-bio-size ");
	memcpy(at, "la-peer-max-bio-size -1;     ", 29);
	cr_assert_eq(parse(&r, image.dump, &error), 0, "%s", error.text);
	cr_assert_eq(r.super.la_peer_max_bio_bytes, UINT32_MAX);
	/* Ends at any byte: always an error, never of the memory. */
	for (size_t n = 0; n <= (size_t)(strrchr(image.dump, '}') - image.dump); n += 13) {
		char *cut = strndup(image.dump, n);

		cr_assert_eq(parse(&r, cut, &error), -EBADMSG);
		free(cut);
	}
	r.head_rc = -ENOSPC;
	cr_assert_eq(parse(&r, image.dump, &error), -ENOSPC);
	meta_image_release(&image);
}

/* ---- set-gi ---- */

static unsigned gi_fails(const char *line, enum meta_version version)
{
	struct md_super s = { 0 };
	unsigned field = 0;

	cr_assert_eq(meta_gi_parse(line, version, 0, &s, &field), -EINVAL, "%s", line);
	return field;
}

Test(meta_gi, line_and_back)
{
	struct md_super s = { .current_uuid = 0xabc, .flags = MDF_CONSISTENT | MDF_AL_CLEAN };
	char line[META_GI_BYTES];
	unsigned field;

	s.peers[31].bitmap_uuid = UINT64_MAX;
	s.peers[31].flags = MDF_PEER_OUTDATED | MDF_PEER_NODE_EXISTS;
	s.history[0] = 7;
	meta_gi_format(&s, META_VERSION_V09, 31, line);
	cr_assert_str_eq(line, "0000000000000ABC:FFFFFFFFFFFFFFFF:0000000000000007:"
			       "0000000000000000:1:0:0:0:1:0:0:0:1:0:0:0");
	cr_assert_eq(meta_gi_parse("::0x11:fF:0:1:::::1:1:0", META_VERSION_V09, 31, &s, &field), 0);
	cr_assert_eq(s.current_uuid, 0xabc);
	cr_assert_eq(s.history[0], 0x11);
	cr_assert_eq(s.history[1], 0xff);
	cr_assert_eq(s.flags, MDF_WAS_UP_TO_DATE | MDF_AL_CLEAN | MDF_PRIMARY_LOST_QUORUM);
	cr_assert_eq(s.peers[31].flags, MDF_PEER_CONNECTED | MDF_PEER_NODE_EXISTS);
	cr_assert_eq(meta_gi_parse("", META_VERSION_V09, 31, &s, &field), 0);
}

Test(meta_gi, v08_has_its_own_flags)
{
	struct md_super s = { .flags = MDF_V08_FULL_SYNC | MDF_AL_CLEAN };
	char line[META_GI_BYTES];
	unsigned field;

	s.peers[0].bitmap_uuid = 1;
	meta_gi_format(&s, META_VERSION_V08, 0, line);
	cr_assert_str_eq(line, "0000000000000000:0000000000000001:0000000000000000:"
			       "0000000000000000:0:0:0:0:1:0:0");
	cr_assert_eq(meta_gi_parse("::::::1:1:0:1:1", META_VERSION_V08, 0, &s, &field), 0);
	cr_assert_eq(s.flags, MDF_PRIMARY_IND | MDF_V08_CONNECTED | MDF_V08_PEER_OUTDATED |
				      MDF_CRASHED_PRIMARY | MDF_AL_CLEAN);
}

Test(meta_gi, mistakes)
{
	cr_assert_eq(gi_fails("x", META_VERSION_V09), 1);
	cr_assert_eq(gi_fails(":12345678901234567", META_VERSION_V09), 2);
	cr_assert_eq(gi_fails("::0x", META_VERSION_V09), 3);
	cr_assert_eq(gi_fails(":::-1", META_VERSION_V09), 4);
	cr_assert_eq(gi_fails("::::2", META_VERSION_V09), 5);
	cr_assert_eq(gi_fails("::::1:01", META_VERSION_V09), 6);
	cr_assert_eq(gi_fails("::::::::::::::::1", META_VERSION_V09), 17);
	cr_assert_eq(gi_fails(":::::::::::1", META_VERSION_V08), 12);
	cr_assert_eq(gi_fails(" 1", META_VERSION_V08), 1);
}

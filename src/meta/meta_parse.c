/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Scanner and parser of the text form. */
#include "meta/meta_parse.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "meta/meta_super.h"
#include "meta/meta_v08.h"

#define WORD_CHARS 100U   /* longest word that drbdmeta's scanner takes */
#define STRING_CHARS 20U
#define NUMBER_CHARS 19U  /* digits of a decimal number, to stay within 64 bits */
#define READ_BYTES 4096U
#define WORDS_MAX (UINT64_C(1) << 40) /* no bitmap of any version is that long */
/* How a dump of metadata with an unclean log begins to be unreadable. */
#define UNCLEAN "This_is_an_unclean_meta_data_dump"

enum token {
	TOKEN_END,
	TOKEN_MARK,   /* one of { } ; [ ], in text[0] */
	TOKEN_STRING, /* without its quotes */
	TOKEN_HEX64,
	TOKEN_HEX32,
	TOKEN_NUMBER, /* negative ones wrap around, as drbdmeta's do */
	TOKEN_WORD,
	TOKEN_BAD,    /* already reported */
};

struct scanner {
	const struct meta_parse *parse;
	struct meta_parse_error *error;
	int rc;                /* sticky; no token is read any more */
	char buf[READ_BYTES];
	size_t used, filled;
	bool at_end;
	uint64_t line;
	char text[WORD_CHARS + 1];
	size_t length;
	uint64_t value;        /* of the last number */
};

static int fail(struct scanner *s, const char *expected)
{
	if (s->rc)
		return s->rc;
	s->error->line = s->line;
	(void)snprintf(s->error->text, sizeof(s->error->text),
		       s->length ? "%s expected, but there is `%.60s`"
				 : "%s expected, but there is the end of the text%s",
		       expected, s->text);
	return s->rc = -EBADMSG;
}

static int refuse(struct scanner *s, const char *why)
{
	if (s->rc)
		return s->rc;
	s->error->line = s->line;
	(void)snprintf(s->error->text, sizeof(s->error->text), "%s", why);
	return s->rc = -EBADMSG;
}

/* ---- scanner ---- */

/* The next byte, not taken; -1 at the end or after a failure. */
static int peek(struct scanner *s)
{
	if (s->used == s->filled && !s->at_end && !s->rc) {
		size_t got = 0;

		s->rc = s->parse->read(s->parse->ctx, s->buf, sizeof(s->buf), &got);
		s->used = 0;
		s->filled = s->rc ? 0 : got;
		s->at_end = !got;
	}
	return s->used < s->filled ? (unsigned char)s->buf[s->used] : -1;
}

static void take(struct scanner *s)
{
	s->line += s->buf[s->used++] == '\n';
}

static void take_into_text(struct scanner *s, int c)
{
	s->text[s->length++] = (char)c;
	s->text[s->length] = '\0';
	take(s);
}

static bool is_digit(int c)
{
	return c >= '0' && c <= '9';
}

static bool is_word_char(int c)
{
	return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
	       c == '_';
}

static void skip_space(struct scanner *s)
{
	bool comment = false;
	int c;

	while ((c = peek(s)) >= 0) {
		if (c == '#')
			comment = true;
		if (c == '\n')
			comment = false;
		else if (!comment && c != ' ' && c != '\t' && c != '\r')
			return;
		take(s);
	}
}

/* Value of a hexadecimal digit, 16 for anything else. */
static unsigned hex_digit(char c)
{
	if (is_digit(c))
		return (unsigned)(c - '0');
	if (c >= 'a' && c <= 'f')
		return (unsigned)(c - 'a') + 10;
	return c >= 'A' && c <= 'F' ? (unsigned)(c - 'A') + 10 : 16;
}

/* 0x and 8 or 16 digits, no other count. */
static enum token classify_hex(struct scanner *s)
{
	if (s->length != 10 && s->length != 18)
		return TOKEN_BAD;
	s->value = 0;
	for (size_t i = 2; i < s->length; i++) {
		unsigned digit = hex_digit(s->text[i]);

		if (digit > 15)
			return TOKEN_BAD;
		s->value = s->value << 4 | digit;
	}
	return s->length == 10 ? TOKEN_HEX32 : TOKEN_HEX64;
}

static enum token classify_number(struct scanner *s)
{
	bool negative = s->text[0] == '-';

	if (s->length - negative > NUMBER_CHARS)
		return TOKEN_BAD;
	s->value = 0;
	for (size_t i = negative; i < s->length; i++) {
		if (!is_digit(s->text[i]))
			return TOKEN_BAD;
		s->value = s->value * 10 + (uint64_t)(s->text[i] - '0');
	}
	if (negative)
		s->value = -s->value;
	return TOKEN_NUMBER;
}

static enum token next_word(struct scanner *s)
{
	enum token token = TOKEN_WORD;
	bool is_hex;

	while (is_word_char(peek(s)) && s->length < WORD_CHARS)
		take_into_text(s, peek(s));
	is_hex = s->text[0] == '0' && s->text[1] == 'x';
	if (is_hex)
		token = classify_hex(s);
	else if (is_digit(s->text[0]) || (s->text[0] == '-' && is_digit(s->text[1])))
		token = classify_number(s);
	if (token == TOKEN_BAD)
		(void)fail(s, is_hex ? "8 or 16 hexadecimal digits"
				     : "a number of at most 19 digits");
	return token;
}

static enum token next_string(struct scanner *s)
{
	take(s);
	while (peek(s) >= 0 && peek(s) != '"' && peek(s) != '\n' && s->length < STRING_CHARS)
		take_into_text(s, peek(s));
	if (peek(s) != '"' || !s->length) {
		(void)refuse(s, "a quoted string of 1 to 20 characters expected");
		return TOKEN_BAD;
	}
	take(s);
	return TOKEN_STRING;
}

static enum token next_token(struct scanner *s)
{
	int c;

	s->length = 0;
	s->text[0] = s->text[1] = '\0';
	skip_space(s);
	c = peek(s);
	if (s->rc)
		return TOKEN_BAD;
	if (c < 0)
		return TOKEN_END;
	if (c == '"')
		return next_string(s);
	if (is_word_char(c))
		return next_word(s);
	take_into_text(s, c);
	if (c && strchr("{};[]", c))
		return TOKEN_MARK;
	if (c < ' ' || c > '~')
		(void)snprintf(s->text, sizeof(s->text), "\\x%02x", (unsigned)c);
	(void)fail(s, "a word, a number or punctuation");
	return TOKEN_BAD;
}

/* ---- pieces of the grammar; all do nothing after a failure ---- */

static void expect_mark(struct scanner *s, const char *mark)
{
	if (s->rc)
		return;
	if (next_token(s) != TOKEN_MARK || s->text[0] != mark[0])
		(void)fail(s, mark);
}

static void expect_word(struct scanner *s, const char *word)
{
	enum token token;

	if (s->rc)
		return;
	token = next_token(s);
	if (token == TOKEN_WORD && strcmp(s->text, UNCLEAN) == 0)
		(void)refuse(s, "the dump was taken with an unclean activity log; apply that with "
				"apply-al, and dump again");
	else if (token != TOKEN_WORD || strcmp(s->text, word) != 0)
		(void)fail(s, word);
}

static uint64_t expect_number(struct scanner *s, enum token kind)
{
	if (s->rc)
		return 0;
	if (next_token(s) != kind)
		(void)fail(s, kind == TOKEN_HEX64 ? "a hexadecimal number of 16 digits"
			      : kind == TOKEN_HEX32 ? "a hexadecimal number of 8 digits"
						    : "a decimal number");
	return s->rc ? 0 : s->value;
}

/* A number that drbdmeta keeps in 32 bits, printed with or without sign. */
static uint32_t expect_u32(struct scanner *s)
{
	uint64_t value = expect_number(s, TOKEN_NUMBER);

	if (!s->rc && value > UINT32_MAX && value < (uint64_t)INT32_MIN)
		(void)fail(s, "a number of 32 bits");
	return (uint32_t)value;
}

static uint64_t field_hex64(struct scanner *s, const char *name)
{
	uint64_t value;

	expect_word(s, name);
	value = expect_number(s, TOKEN_HEX64);
	expect_mark(s, ";");
	return value;
}

static uint32_t field_flags(struct scanner *s)
{
	uint64_t value;

	expect_word(s, "flags");
	value = expect_number(s, TOKEN_HEX32);
	expect_mark(s, ";");
	return (uint32_t)value;
}

static uint32_t field_u32(struct scanner *s, const char *name)
{
	uint32_t value;

	expect_word(s, name);
	value = expect_u32(s);
	expect_mark(s, ";");
	return value;
}

static void uuid_list(struct scanner *s, uint64_t *uuids, unsigned count)
{
	for (unsigned i = 0; i < count && !s->rc; i++) {
		uuids[i] = expect_number(s, TOKEN_HEX64);
		expect_mark(s, ";");
	}
}

/* ---- the head ---- */

static void parse_version(struct scanner *s, enum meta_version *version)
{
	expect_word(s, "version");
	if (s->rc)
		return;
	*version = META_VERSION_NONE;
	if (next_token(s) == TOKEN_STRING)
		*version = strcmp(s->text, "v09") == 0 ? META_VERSION_V09
			   : strcmp(s->text, "v08") == 0 ? META_VERSION_V08
							 : META_VERSION_NONE;
	if (*version == META_VERSION_NONE)
		(void)fail(s, "\"v09\" or \"v08\"");
	expect_mark(s, ";");
}

static void parse_v08_uuids(struct scanner *s, struct md_super *super)
{
	uint64_t uuids[2 + META_V08_HISTORY] = { 0 };

	expect_word(s, "uuid");
	expect_mark(s, "{");
	uuid_list(s, uuids, 2 + META_V08_HISTORY);
	super->flags = field_flags(s);
	expect_mark(s, "}");
	super->current_uuid = uuids[0];
	super->peers[0].bitmap_uuid = uuids[1];
	memcpy(super->history, uuids + 2, META_V08_HISTORY * sizeof(uuids[0]));
}

/* From behind the word `peer`. */
static void parse_peer(struct scanner *s, struct md_super *super, uint32_t *seen)
{
	struct md_peer entry = { 0 };
	uint64_t node;

	expect_mark(s, "[");
	node = expect_number(s, TOKEN_NUMBER);
	if (!s->rc && (node >= NODES_MAX || *seen & UINT32_C(1) << node))
		(void)refuse(s, node >= NODES_MAX ? "a peer is numbered 0 to 31"
						  : "this peer has been there already");
	expect_mark(s, "]");
	expect_mark(s, "{");
	entry.bitmap_index = (int32_t)field_u32(s, "bitmap-index");
	entry.bitmap_uuid = field_hex64(s, "bitmap-uuid");
	entry.bitmap_dagtag = field_hex64(s, "bitmap-dagtag");
	entry.flags = field_flags(s);
	expect_mark(s, "}");
	if (s->rc)
		return;
	super->peers[node] = entry;
	*seen |= UINT32_C(1) << node;
}

/* Older drbd-utils do not print `members`. */
static void parse_members(struct scanner *s, struct md_super *super)
{
	enum token token;

	if (s->rc)
		return;
	token = next_token(s);
	if (token == TOKEN_WORD && strcmp(s->text, "peer") == 0)
		return;
	if (token != TOKEN_WORD || strcmp(s->text, "members") != 0) {
		(void)fail(s, "members or peer");
		return;
	}
	super->members = expect_number(s, TOKEN_HEX64);
	expect_mark(s, ";");
	expect_word(s, "peer");
}

static void parse_node(struct scanner *s, struct md_super *super)
{
	uint32_t seen = 0;

	super->node_id = (int32_t)field_u32(s, "node-id");
	super->current_uuid = field_hex64(s, "current-uuid");
	super->flags = field_flags(s);
	parse_members(s, super);
	for (unsigned i = 0; i < NODES_MAX && !s->rc; i++) {
		if (i)
			expect_word(s, "peer");
		parse_peer(s, super, &seen);
	}
	expect_word(s, "history-uuids");
	expect_mark(s, "{");
	uuid_list(s, super->history, HISTORY_UUIDS);
	expect_mark(s, "}");
}

static void parse_head(struct scanner *s, enum meta_version *version, struct md_super *super)
{
	enum meta_verdict verdict;

	memset(super, 0, sizeof(*super));
	super->max_peers = 1;
	super->node_id = -1;
	for (unsigned i = 0; i < NODES_MAX; i++)
		super->peers[i].bitmap_index = -1;
	parse_version(s, version);
	if (!s->rc && *version == META_VERSION_V09) {
		super->max_peers = field_u32(s, "max-peers");
		parse_node(s, super);
	} else {
		parse_v08_uuids(s, super);
	}
	expect_word(s, "la-size-sect");
	super->effective_sectors = expect_number(s, TOKEN_NUMBER);
	expect_mark(s, ";");
	super->bm_bytes_per_bit = field_u32(s, "bm-byte-per-bit");
	super->device_uuid = field_hex64(s, "device-uuid");
	super->la_peer_max_bio_bytes = field_u32(s, "la-peer-max-bio-size");
	super->al_stripes = field_u32(s, "al-stripes");
	super->al_stripe_4k = field_u32(s, "al-stripe-size-4k");
	if (s->rc)
		return;
	verdict = *version == META_VERSION_V09 ? meta_super_check(super) : meta_v08_check(super);
	if (verdict != META_OK)
		(void)refuse(s, meta_verdict_text(verdict));
}

/* ---- the bitmap ---- */

/* A word, or a count and a word; the first token of it has been read. */
static void parse_words(struct scanner *s, enum token token, uint32_t slot, uint64_t *at)
{
	uint64_t count = 1, value;

	if (token == TOKEN_NUMBER) {
		count = s->value;
		expect_word(s, "times");
		value = expect_number(s, TOKEN_HEX64);
	} else {
		if (token != TOKEN_HEX64)
			(void)fail(s, "a count, a hexadecimal number of 16 digits or }");
		value = s->value;
	}
	expect_mark(s, ";");
	if (!s->rc && count > WORDS_MAX - *at)
		(void)refuse(s, "the bitmap is longer than any can be");
	if (s->rc || !count)
		return;
	s->rc = s->parse->words(s->parse->ctx, slot, *at, count, value);
	*at += count;
}

static void parse_slot(struct scanner *s, enum meta_version version, uint32_t slot)
{
	uint64_t at = 0;

	if (version == META_VERSION_V09) {
		expect_word(s, "bitmap");
		expect_mark(s, "[");
		if (expect_number(s, TOKEN_NUMBER) != slot && !s->rc)
			(void)refuse(s, "the slots of the bitmap come in ascending order");
		expect_mark(s, "]");
	} else {
		expect_word(s, "bm");
	}
	expect_mark(s, "{");
	while (!s->rc) {
		enum token token = next_token(s);

		if (token == TOKEN_MARK && s->text[0] == '}')
			return;
		parse_words(s, token, slot, &at);
	}
}

int meta_parse(const struct meta_parse *parse, struct meta_parse_error *error)
{
	struct scanner s = { .parse = parse, .error = error, .line = 1 };
	enum meta_version version = META_VERSION_NONE;
	struct md_super super;

	parse_head(&s, &version, &super);
	if (!s.rc)
		s.rc = parse->head(parse->ctx, version, &super);
	for (uint32_t slot = 0; slot < super.max_peers && !s.rc; slot++)
		parse_slot(&s, version, slot);
	if (!s.rc && next_token(&s) != TOKEN_END)
		(void)fail(&s, "the end of the text");
	return s.rc;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Owns bounded string operations and the parsing of numbers with units. */
#include "base/str.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"

#define DISTANCE_WORD_MAX 63
#define NEAREST_MAX 3U /* edits beyond which a proposal would only confuse */
#define NAME_LENGTH_MAX 127
#define SECTOR_SIZE 512

bool str_copy(char *dst, size_t dst_bytes, const char *src)
{
	size_t n = strnlen(src, dst_bytes);

	ASSERT(dst_bytes > 0);
	if (n == dst_bytes) {
		memcpy(dst, src, dst_bytes - 1);
		dst[dst_bytes - 1] = '\0';
		return false;
	}
	memcpy(dst, src, n + 1);
	return true;
}

bool str_format(char *dst, size_t dst_bytes, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(dst, dst_bytes, fmt, ap);
	va_end(ap);
	return n >= 0 && (size_t)n < dst_bytes;
}

bool str_append(char *dst, size_t dst_bytes, const char *fmt, ...)
{
	size_t used = strnlen(dst, dst_bytes);
	va_list ap;
	int n;

	ASSERT(used < dst_bytes);
	va_start(ap, fmt);
	n = vsnprintf(dst + used, dst_bytes - used, fmt, ap);
	va_end(ap);
	return n >= 0 && (size_t)n < dst_bytes - used;
}

bool str_eq(const char *a, const char *b)
{
	return strcmp(a, b) == 0;
}

/* Reads the digits at the start; *end is the first other character. */
static int parse_digits(const char *s, const char **end, uint64_t *out)
{
	uint64_t v = 0;

	if (*s < '0' || *s > '9')
		return -EINVAL;
	for (; *s >= '0' && *s <= '9'; s++) {
		if (__builtin_mul_overflow(v, 10, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(*s - '0'), &v))
			return -ERANGE;
	}
	*end = s;
	*out = v;
	return 0;
}

int str_to_u64(const char *s, uint64_t *out)
{
	const char *end;
	uint64_t v;
	int rc = parse_digits(s, &end, &v);

	if (rc)
		return rc;
	if (*end)
		return -EINVAL;
	*out = v;
	return 0;
}

/* Bytes (or ones) per suffix of a size; 0 = not a suffix. */
static uint64_t size_suffix(const char *suffix)
{
	if (!suffix[0] || suffix[1])
		return 0;
	switch (suffix[0]) {
	case 'k':
	case 'K':
		return UINT64_C(1) << 10;
	case 'm':
	case 'M':
		return UINT64_C(1) << 20;
	case 'g':
	case 'G':
		return UINT64_C(1) << 30;
	case 's':
		return SECTOR_SIZE;
	default:
		return 0;
	}
}

/* Milliseconds per suffix of a time; 0 = not a suffix. */
static uint64_t time_suffix(const char *suffix)
{
	if (str_eq(suffix, "ms"))
		return 1;
	if (str_eq(suffix, "s"))
		return 1000;
	if (str_eq(suffix, "m"))
		return 60 * 1000;
	if (str_eq(suffix, "h"))
		return 3600 * 1000;
	if (str_eq(suffix, "d"))
		return 86400 * 1000;
	return 0;
}

/* How many bytes or milliseconds one of the unit is. */
static uint64_t unit_size(enum unit unit)
{
	switch (unit) {
	case UNIT_ONE:
	case UNIT_BYTES:
	case UNIT_MS:
		return 1;
	case UNIT_KIB:
		return 1024;
	case UNIT_SECTORS:
		return SECTOR_SIZE;
	case UNIT_S:
		return 1000;
	case UNIT_DS:
		return 100;
	}
	ASSERT(false); /* unit in range */
	return 1;
}

static bool unit_is_time(enum unit unit)
{
	return unit == UNIT_S || unit == UNIT_DS || unit == UNIT_MS;
}

int str_to_value(const char *s, enum unit unit, uint64_t *out)
{
	const char *suffix;
	uint64_t v, factor, divisor = unit_size(unit);
	int rc = parse_digits(s, &suffix, &v);

	if (rc)
		return rc;
	if (!*suffix) {
		*out = v;
		return 0;
	}
	factor = unit_is_time(unit) ? time_suffix(suffix) : size_suffix(suffix);
	if (!factor || (unit == UNIT_ONE && *suffix == 's'))
		return -EINVAL;
	if (__builtin_mul_overflow(v, factor, &v))
		return -ERANGE;
	*out = v / divisor + (v % divisor != 0);
	return 0;
}

const char *unit_text(enum unit unit)
{
	switch (unit) {
	case UNIT_ONE:
		return "";
	case UNIT_BYTES:
		return "bytes";
	case UNIT_KIB:
		return "KiB";
	case UNIT_SECTORS:
		return "sectors of 512 bytes";
	case UNIT_S:
		return "seconds";
	case UNIT_DS:
		return "tenths of a second";
	case UNIT_MS:
		return "milliseconds";
	}
	ASSERT(false); /* unit in range */
	return "";
}

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
	unsigned m = a < b ? a : b;

	return m < c ? m : c;
}

unsigned str_distance(const char *a, const char *b)
{
	unsigned row[DISTANCE_WORD_MAX + 1];
	size_t na = strnlen(a, DISTANCE_WORD_MAX + 1);
	size_t nb = strnlen(b, DISTANCE_WORD_MAX + 1);

	if (na > DISTANCE_WORD_MAX || nb > DISTANCE_WORD_MAX)
		return 2 * DISTANCE_WORD_MAX;
	for (unsigned j = 0; j <= nb; j++)
		row[j] = j;
	for (unsigned i = 1; i <= na; i++) {
		unsigned diagonal = row[0];

		row[0] = i;
		for (unsigned j = 1; j <= nb; j++) {
			unsigned above = row[j];

			row[j] = min3(above + 1, row[j - 1] + 1,
				      diagonal + (a[i - 1] != b[j - 1]));
			diagonal = above;
		}
	}
	return row[nb];
}

void str_nearest_try(struct str_nearest *n, const char *candidate)
{
	unsigned d = str_distance(n->wanted, candidate);

	if (d <= NEAREST_MAX && d < strlen(candidate) && (!n->best || d < n->distance)) {
		n->best = candidate;
		n->distance = d;
	}
}

/* Length of a well-formed sequence that begins with a byte >= 0x80; 0 = malformed. */
static unsigned utf8_sequence(const unsigned char *p)
{
	static const struct {
		unsigned char first, last, second_min, second_max, bytes;
	} forms[] = {
		{ 0xc2, 0xdf, 0x80, 0xbf, 2 }, { 0xe0, 0xe0, 0xa0, 0xbf, 3 },
		{ 0xe1, 0xec, 0x80, 0xbf, 3 }, { 0xed, 0xed, 0x80, 0x9f, 3 },
		{ 0xee, 0xef, 0x80, 0xbf, 3 }, { 0xf0, 0xf0, 0x90, 0xbf, 4 },
		{ 0xf1, 0xf3, 0x80, 0xbf, 4 }, { 0xf4, 0xf4, 0x80, 0x8f, 4 },
	};

	for (unsigned i = 0; i < ARRAY_LEN(forms); i++) {
		if (p[0] < forms[i].first || p[0] > forms[i].last)
			continue;
		if (p[1] < forms[i].second_min || p[1] > forms[i].second_max)
			return 0;
		for (unsigned j = 2; j < forms[i].bytes; j++) {
			if ((p[j] & 0xc0) != 0x80)
				return 0;
		}
		return forms[i].bytes;
	}
	return 0;
}

bool str_is_utf8(const char *s)
{
	const unsigned char *p = (const unsigned char *)s;

	while (*p) {
		unsigned n = *p < 0x80 ? 1 : utf8_sequence(p);

		if (!n)
			return false;
		p += n;
	}
	return true;
}

const char *name_problem(const char *name)
{
	size_t n = strnlen(name, NAME_LENGTH_MAX + 1);

	if (n == 0)
		return "is empty";
	if (n > NAME_LENGTH_MAX)
		return "is longer than 127 bytes";
	if (name[0] == '-')
		return "begins with '-'";
	if (str_eq(name, ".") || str_eq(name, ".."))
		return "is a directory reference";
	for (const unsigned char *p = (const unsigned char *)name; *p; p++) {
		if (*p == '/')
			return "contains '/'";
		if (*p <= ' ' || *p == 0x7f)
			return "contains a space or control character";
	}
	if (!str_is_utf8(name))
		return "is not valid UTF-8";
	return NULL;
}

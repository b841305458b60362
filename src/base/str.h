/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Bounded strings, and numbers, sizes and times with units (config-and-utilities 1.6). */
#ifndef BASE_STR_H
#define BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Copies and terminates; false when `src` did not fit (then a prefix was copied). */
bool str_copy(char *dst, size_t dst_bytes, const char *src);
/* snprintf() that says whether all of it fitted. */
bool str_format(char *dst, size_t dst_bytes, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* snprintf() behind what is in `dst` already; false when it did not fit. */
bool str_append(char *dst, size_t dst_bytes, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
bool str_eq(const char *a, const char *b);

/* Plain decimal digits only (no sign, no space). 0, -EINVAL (not a number), -ERANGE (overflow). */
int str_to_u64(const char *s, uint64_t *out);

/* The unit that a number without suffix has, and into which one with suffix is converted. */
enum unit {
	UNIT_ONE,     /* a count; K, M, G multiply */
	UNIT_BYTES,   /* K, M, G, s (512 bytes) */
	UNIT_KIB,     /* idem */
	UNIT_SECTORS, /* idem */
	UNIT_S,       /* ms, s, m, h, d */
	UNIT_DS,      /* 0.1 s; idem */
	UNIT_MS,      /* idem */
};

/* Converts with rounding up. 0, -EINVAL, -ERANGE as str_to_u64(). Fractions are refused. */
int str_to_value(const char *s, enum unit unit, uint64_t *out);
/* "seconds", "KiB" ... for messages; "" for UNIT_ONE. */
const char *unit_text(enum unit unit);

/* Edit distance of two short words (longer than 63 bytes: a large number). */
unsigned str_distance(const char *a, const char *b);

/* Of the candidates tried, the one that is nearest to a mistyped word. */
struct str_nearest {
	const char *wanted;
	const char *best; /* NULL: none is near enough to be meant */
	unsigned distance;
};

void str_nearest_try(struct str_nearest *n, const char *candidate);

bool str_is_utf8(const char *s);

/* NULL when `name` may name a resource, node or volume (reliability X5), else why not. */
const char *name_problem(const char *name);

#endif

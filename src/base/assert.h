/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Always-on assertions; a failed one calls a replaceable hook and then aborts. */
#ifndef BASE_ASSERT_H
#define BASE_ASSERT_H

#include <stdbool.h>
#include <stddef.h>

/* Called once with the text of the failed condition; may log; must not return normally. */
extern void (*assert_hook)(const char *expr, const char *file, int line);

_Noreturn void assert_fail(const char *expr, const char *file, int line);

#define ASSERT(cond) ((cond) ? (void)0 : assert_fail(#cond, __FILE__, __LINE__))
#define IMPLIES(a, b) (!(a) || (b))
#define STATIC_ASSERT(cond, msg) _Static_assert(cond, msg)
#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define CONTAINER_OF(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

#endif

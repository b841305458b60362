/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Owns the assertion hook. */
#include "base/assert.h"

void (*assert_hook)(const char *expr, const char *file, int line);

_Noreturn void assert_fail(const char *expr, const char *file, int line)
{
	if (assert_hook)
		assert_hook(expr, file, line);
	__builtin_trap();
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Owns the formatting of errors. */
#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void append(char *text, const char *more)
{
	size_t used = strlen(text);

	(void)snprintf(text + used, ERR_TEXT_MAX - used, "%s", more);
}

int err_set(struct err *err, int code, const char *fmt, ...)
{
	va_list ap;

	if (!err)
		return code;
	err->code = code;
	va_start(ap, fmt);
	(void)vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	return code;
}

int err_errno(struct err *err, int errno_value, const char *fmt, ...)
{
	char reason[128];
	va_list ap;

	if (!err)
		return -errno_value;
	err->code = -errno_value;
	va_start(ap, fmt);
	(void)vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	append(err->text, ": ");
	/* The GNU variant may answer with a static string instead of the buffer. */
	append(err->text, strerror_r(errno_value, reason, sizeof(reason)));
	return err->code;
}

int err_wrap(struct err *err, const char *fmt, ...)
{
	char old[ERR_TEXT_MAX];
	va_list ap;

	if (!err)
		return 0;
	memcpy(old, err->text, sizeof(old));
	va_start(ap, fmt);
	(void)vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	append(err->text, ": ");
	append(err->text, old);
	return err->code;
}

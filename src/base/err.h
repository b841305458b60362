/* SPDX-License-Identifier: GPL-2.0-or-later */
/* An error as a code for programs and one sentence for people, without allocation. */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#define ERR_TEXT_MAX 512

/* `code` is 0 (no error) or -errno; `text` is always terminated. */
struct err {
	int code;
	char text[ERR_TEXT_MAX];
};

#define ERR_INIT { .code = 0, .text = "" }

/* Fills *err (may be NULL) and returns `code`, so that `return err_set(...)` reads well. */
int err_set(struct err *err, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* As err_set() for -errno_value, with ": <strerror>" appended. */
int err_errno(struct err *err, int errno_value, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* Puts "<prefix>: " in front of the text; keeps and returns the code. */
int err_wrap(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif

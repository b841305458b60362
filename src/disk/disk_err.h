/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Text of a failure for people: object, operation, cause, next step. */
#ifndef DISK_ERR_H
#define DISK_ERR_H

#define DISK_ERR_BYTES 768

/* Success leaves it untouched. */
struct disk_err {
	char text[DISK_ERR_BYTES];
};

/* Formats the text (err may be NULL) and returns rc, so that `return disk_err_set(...)` is one line. */
__attribute__((format(printf, 3, 4))) int disk_err_set(struct disk_err *err, int rc,
						       const char *format, ...);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A scratch directory with files of a given size, removed at the end. */
#ifndef SCRATCH_H
#define SCRATCH_H

#include <stddef.h>
#include <stdint.h>

/* Makes the directory (in $TMPDIR or /tmp). */
void scratch_begin(void);
/* Removes it with its files. */
void scratch_end(void);
/* Path of `name` in it; valid until the eighth call after. */
const char *scratch_path(const char *name);
/* Creates (or empties) a sparse file and returns its path. */
const char *scratch_file(const char *name, uint64_t bytes);
/* Reads and writes behind the back of the code under test. */
void scratch_read(const char *path, uint64_t byte, void *buf, size_t bytes);
void scratch_write(const char *path, uint64_t byte, const void *buf, size_t bytes);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Fields of a backing store, shared by backing.c (opening) and backing_io.c (I/O). */
#ifndef BACKING_INT_H
#define BACKING_INT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "disk/backing.h"

#define BACKING_ALIGN_MAX 4096U

/* Constant after backing_open(), except what is atomic: the two sizes only grow. */
struct backing {
	struct backing_info info;
	char *path;
	int fd;               /* page cache; holds the lock */
	int direct_fd;        /* O_DIRECT, -1 = does not work here */
	bool read_only;
	_Atomic uint64_t size_bytes;   /* reachable for metadata */
	_Atomic uint64_t data_sectors;
	_Atomic int flush_error; /* -errno of the first flush that failed */
};

#endif

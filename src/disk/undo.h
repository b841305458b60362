/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An undo file: the contents that some blocks of a volume had, before a resync wrote over them.
 *
 *   header  512 bytes: magic "DRBDUNDO", version, resource, node, volume, size, generations
 *   record  32 bytes: magic, kind, position, length, checksum over record and data; then the data
 *   ...
 *   record  of kind UNDO_END; its position is the number of records before it
 *
 * Numbers are little-endian. Checksums are CRC-32C as usually published. A file without its end is
 * no undo file: it was not finished, so nothing was written over either.
 */
#ifndef UNDO_H
#define UNDO_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "proto/proto_limits.h"

#define UNDO_CHUNK_BYTES (1U << 20) /* most data of one record */

struct undo_header {
	char resource[NAME_MAX_BYTES];
	char node[NAME_MAX_BYTES];
	uint32_t vnr;
	uint64_t size_bytes;
	uint64_t generation;       /* of the contents that are kept */
};

/* ---- writing ---- */

struct undo_writer;

/* Makes the file, for the owner's eyes only; one that exists is refused with -EEXIST. */
int undo_create(const char *path, const struct undo_header *header, struct undo_writer **out,
		struct err *err);
/* bytes: 1..UNDO_CHUNK_BYTES. What is all zero takes no space. */
int undo_add(struct undo_writer *w, uint64_t position, const void *data, uint32_t bytes,
	     struct err *err);
/* Ends the file; it is on stable storage on return, with its name. Frees the writer. */
int undo_finish(struct undo_writer *w, struct err *err);
/* Removes the unfinished file and frees the writer. */
void undo_abandon(struct undo_writer *w);

/* ---- reading ---- */

struct undo_reader;

struct undo_record {
	uint64_t position;
	uint32_t bytes;
	const void *data;          /* until the next undo_next(); zeroes too */
};

int undo_open(const char *path, struct undo_reader **out, struct err *err);
const struct undo_header *undo_header_of(const struct undo_reader *r);
/* 1: *record is filled. 0: the end, all was there. -errno: the file is damaged. */
int undo_next(struct undo_reader *r, struct undo_record *record, struct err *err);
/* Back to the first record. */
int undo_rewind(struct undo_reader *r, struct err *err);
void undo_close(struct undo_reader *r);

#endif

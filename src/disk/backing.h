/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A backing store: a claimed file or block device, with I/O that cannot leave the data area. */
#ifndef BACKING_H
#define BACKING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct backing;
struct disk_transfer;

enum backing_kind { BACKING_FILE, BACKING_BLOCK };

/* What backing_open() found out; constant afterwards. */
struct backing_info {
	enum backing_kind kind;
	uint64_t size_bytes;      /* of the whole object when it was opened */
	bool direct;              /* O_DIRECT works; else the page cache is used */
	bool nowait;              /* direct: a call can be told to wait for nothing but the disk */
	uint32_t align_bytes;     /* direct: what is so aligned takes no detour; else 512 */
	bool discard_ok;          /* backing_discard() works and the range reads back as zero */
	const char *path;         /* as given to backing_open() */
};

/* Flags of backing_open(). */
#define BACKING_READ_ONLY 0x1U /* shared lock; every change is refused with -EROFS */

/* Bytes [first, first + count) that this opener claims; count 0 = the whole object. */
struct backing_claim {
	uint64_t first_byte;
	uint64_t byte_count;
};

/*
 * Opens and claims `path`. Another daemon or tool that has claimed an overlapping part makes it
 * fail with -EBUSY; a block device is opened exclusively when the claim is the whole object.
 * `claim` NULL = whole object. No data I/O is possible until backing_limit_data().
 * -ENOENT, -EACCES, -EBUSY, -EMEDIUMTYPE (neither file nor block device), other -errno; err says
 * more.
 */
int backing_open(const char *path, unsigned flags, const struct backing_claim *claim,
		 struct backing **out, struct err *err);
/* Ends the claim. No other call may be under way. NULL is allowed. */
void backing_close(struct backing *b);
const struct backing_info *backing_info(const struct backing *b);

/* Present size of the object. */
int backing_measure(struct backing *b, uint64_t *size_bytes);
/* The object has become larger: the raw calls reach so far from now on. */
void backing_enlarge(struct backing *b, uint64_t size_bytes);
/* Makes [0, data_sectors) reachable by the data calls below; later only more of it. */
void backing_limit_data(struct backing *b, uint64_t data_sectors);
uint64_t backing_data_sectors(const struct backing *b);

/*
 * Data calls: thread-safe, block, return 0 or -errno. A range that is not within [0, data_sectors)
 * or not in whole sectors is refused with -EINVAL before anything is done. Short transfers are
 * continued; end of file inside the data area is -EIO.
 */
int backing_read(struct backing *b, uint64_t sector, void *buf, uint32_t bytes);
/* fua: on stable storage on return (this request only). */
int backing_write(struct backing *b, uint64_t sector, const void *buf, uint32_t bytes, bool fua);
/*
 * Describes what backing_read() or backing_write() (not fua) would do, for who can do it without
 * waiting. False: there is no such way, or the call would be refused.
 */
bool backing_transfer(const struct backing *b, bool write, uint64_t sector, void *buf,
		      uint32_t bytes, struct disk_transfer *out);
/* Nothing is allocated there, so it reads as zero; false: who knows. A file only. */
bool backing_is_hole(const struct backing *b, uint64_t sector, uint32_t bytes);
/* Deallocates; reads as zero afterwards. -EOPNOTSUPP when !discard_ok: use backing_zero(). */
int backing_discard(struct backing *b, uint64_t sector, uint32_t bytes);
/* The range reads as zero afterwards, whatever it takes; unmap: deallocating is allowed. */
int backing_zero(struct backing *b, uint64_t sector, uint32_t bytes, bool unmap);
/*
 * Everything completed before the call is on stable storage on return. After a failure every later
 * flush fails too: what was lost is unknown until the store is opened again.
 */
int backing_flush(struct backing *b);

/*
 * The whole object, for metadata only (md_store, create-md): not bounded by the data area. Byte
 * positions; any alignment is accepted. Beyond the end of the object: -EINVAL.
 */
int backing_raw_read(struct backing *b, uint64_t byte, void *buf, size_t bytes);
int backing_raw_write(struct backing *b, uint64_t byte, const void *buf, size_t bytes);
/* The range reads as zero and stays allocated where the store can do that. */
int backing_raw_zero(struct backing *b, uint64_t byte, uint64_t bytes);

#endif

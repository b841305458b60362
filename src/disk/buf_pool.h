/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Page-aligned, reference-counted payload buffers in size classes, named by small ids. */
#ifndef BUF_POOL_H
#define BUF_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Memory before the payload that belongs to the buffer. A FUSE WRITE request read into
 * data - BUF_FUSE_HEADER_BYTES has its payload exactly at `data`, page aligned, as O_DIRECT needs.
 */
#define BUF_SLACK_BYTES 4096U
#define BUF_FUSE_HEADER_BYTES 80U
#define BUF_BYTES_MAX (1U << 20)
#define BUF_CLASS_COUNT 5 /* 4, 16, 64, 256 KiB and 1 MiB */

/*
 * Who holds a buffer for what. Each use has a budget of its own, so that no use can starve
 * another: received payload only waits for the local disk and must always be able to move on,
 * even when everything that waits for peers is at its limit.
 */
enum buf_use {
	BUF_APP,     /* requests of applications */
	BUF_PEER,    /* received from peers */
	BUF_READ,    /* read from the disk on behalf of a peer */
	BUF_USE_COUNT,
};

/*
 * One buffer. `data`, `capacity_bytes` and `id` never change. The payload is immutable once it was
 * submitted, hence may be read by any thread that holds a reference.
 */
struct buf {
	uint8_t *data;
	uint32_t capacity_bytes;
	uint32_t id;              /* never 0 */
	_Atomic uint32_t refs;
	uint8_t class_idx;
	uint8_t use;              /* enum buf_use */
	struct buf_pool *pool;
	struct buf *next_free;    /* under the lock of the pool */
};

struct buf_pool;

/* Budgets in bytes of capacity by enum buf_use. NULL: no memory. */
struct buf_pool *buf_pool_new(const uint64_t budget_bytes[static BUF_USE_COUNT]);
/* All buffers must be back. */
void buf_pool_free(struct buf_pool *pool);

/* A buffer of at least `bytes` (<= BUF_BYTES_MAX) with one reference; NULL: budget used up. */
struct buf *buf_get(struct buf_pool *pool, enum buf_use use, uint32_t bytes);
/* The same beyond the budget: for work that was admitted already. NULL: no memory. */
struct buf *buf_get_admitted(struct buf_pool *pool, enum buf_use use, uint32_t bytes);
struct buf *buf_by_id(struct buf_pool *pool, uint32_t id);
void buf_ref(struct buf *buf);
/* Drops one reference; the last one returns the buffer to its pool. Any thread. */
void buf_put(struct buf *buf);
/* Buffers out of the pool now. */
uint32_t buf_pool_used_count(const struct buf_pool *pool);

#endif

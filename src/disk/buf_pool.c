/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Owns the memory of payload buffers: slabs per size class, free lists, budgets per use. */
#include "disk/buf_pool.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "base/assert.h"

#define SLAB_BYTES_AIM (4U << 20)
#define SLAB_BUFS_MAX 512U
#define SLAB_COUNT_MAX 4096U
#define ID_INDEX_BITS 10

STATIC_ASSERT(SLAB_BUFS_MAX <= (1U << ID_INDEX_BITS), "index of a buffer fits its id");

static const uint32_t class_bytes[BUF_CLASS_COUNT] = {
	4U << 10, 16U << 10, 64U << 10, 256U << 10, 1U << 20,
};

STATIC_ASSERT(BUF_BYTES_MAX == 1U << 20, "the largest class holds the largest payload");

struct slab {
	struct buf *bufs;
	void *memory;
	size_t memory_bytes;
	uint32_t count;
};

struct buf_pool {
	pthread_mutex_t lock; /* all below; leaf */
	struct buf *free_list[BUF_CLASS_COUNT];
	uint64_t budget_bytes[BUF_USE_COUNT];
	uint64_t used_bytes[BUF_USE_COUNT];
	uint32_t used_count;
	uint32_t slab_count;
	struct slab slabs[SLAB_COUNT_MAX];
};

struct buf_pool *buf_pool_new(const uint64_t budget_bytes[static BUF_USE_COUNT])
{
	struct buf_pool *pool = calloc(1, sizeof(*pool));

	if (!pool)
		return NULL;
	pthread_mutex_init(&pool->lock, NULL);
	for (unsigned i = 0; i < BUF_USE_COUNT; i++)
		pool->budget_bytes[i] = budget_bytes[i];
	return pool;
}

void buf_pool_free(struct buf_pool *pool)
{
	if (!pool)
		return;
	ASSERT(pool->used_count == 0);
	for (uint32_t i = 0; i < pool->slab_count; i++) {
		munmap(pool->slabs[i].memory, pool->slabs[i].memory_bytes);
		free(pool->slabs[i].bufs);
	}
	pthread_mutex_destroy(&pool->lock);
	free(pool);
}

static unsigned class_of(uint32_t bytes)
{
	unsigned c = 0;

	while (class_bytes[c] < bytes)
		c++;
	return c;
}

/* Called with the lock held. */
static bool add_slab(struct buf_pool *pool, unsigned class_idx)
{
	size_t stride = class_bytes[class_idx] + (size_t)BUF_SLACK_BYTES;
	uint32_t count = SLAB_BYTES_AIM / class_bytes[class_idx];
	uint32_t slab_idx = pool->slab_count;
	struct slab *slab;

	if (slab_idx == SLAB_COUNT_MAX)
		return false;
	slab = &pool->slabs[slab_idx];
	if (count > SLAB_BUFS_MAX)
		count = SLAB_BUFS_MAX;
	slab->count = count;
	slab->memory_bytes = count * stride;
	slab->bufs = calloc(count, sizeof(*slab->bufs));
	if (!slab->bufs)
		return false;
	slab->memory = mmap(NULL, slab->memory_bytes, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (slab->memory == MAP_FAILED) {
		free(slab->bufs);
		return false;
	}
	pool->slab_count++;
	for (uint32_t i = count; i-- > 0;) {
		struct buf *buf = &slab->bufs[i];

		buf->data = (uint8_t *)slab->memory + i * stride + BUF_SLACK_BYTES;
		buf->capacity_bytes = class_bytes[class_idx];
		buf->id = (slab_idx << ID_INDEX_BITS) + i + 1;
		buf->class_idx = (uint8_t)class_idx;
		buf->pool = pool;
		buf->next_free = pool->free_list[class_idx];
		pool->free_list[class_idx] = buf;
	}
	return true;
}

static struct buf *take(struct buf_pool *pool, enum buf_use use, uint32_t bytes, bool admitted)
{
	unsigned class_idx;
	struct buf *buf = NULL;

	ASSERT(bytes <= BUF_BYTES_MAX && use < BUF_USE_COUNT);
	class_idx = class_of(bytes);
	pthread_mutex_lock(&pool->lock);
	if (!admitted &&
	    pool->used_bytes[use] + class_bytes[class_idx] > pool->budget_bytes[use])
		goto out;
	if (!pool->free_list[class_idx] && !add_slab(pool, class_idx))
		goto out;
	buf = pool->free_list[class_idx];
	pool->free_list[class_idx] = buf->next_free;
	buf->next_free = NULL;
	buf->use = (uint8_t)use;
	pool->used_bytes[use] += class_bytes[class_idx];
	pool->used_count++;
	atomic_store_explicit(&buf->refs, 1, memory_order_relaxed);
out:
	pthread_mutex_unlock(&pool->lock);
	return buf;
}

struct buf *buf_get(struct buf_pool *pool, enum buf_use use, uint32_t bytes)
{
	return take(pool, use, bytes, false);
}

struct buf *buf_get_admitted(struct buf_pool *pool, enum buf_use use, uint32_t bytes)
{
	return take(pool, use, bytes, true);
}

struct buf *buf_by_id(struct buf_pool *pool, uint32_t id)
{
	uint32_t slab_idx = (id - 1) >> ID_INDEX_BITS;
	uint32_t index = (id - 1) & ((1U << ID_INDEX_BITS) - 1);
	struct buf *buf;

	ASSERT(id != 0 && slab_idx < SLAB_COUNT_MAX && index < pool->slabs[slab_idx].count);
	buf = &pool->slabs[slab_idx].bufs[index];
	ASSERT(atomic_load_explicit(&buf->refs, memory_order_relaxed) > 0);
	return buf;
}

void buf_ref(struct buf *buf)
{
	uint32_t before = atomic_fetch_add_explicit(&buf->refs, 1, memory_order_relaxed);

	ASSERT(before > 0);
}

void buf_put(struct buf *buf)
{
	struct buf_pool *pool = buf->pool;
	uint32_t before = atomic_fetch_sub_explicit(&buf->refs, 1, memory_order_acq_rel);

	ASSERT(before > 0);
	if (before > 1)
		return;
	pthread_mutex_lock(&pool->lock);
	pool->used_bytes[buf->use] -= buf->capacity_bytes;
	pool->used_count--;
	buf->next_free = pool->free_list[buf->class_idx];
	pool->free_list[buf->class_idx] = buf;
	pthread_mutex_unlock(&pool->lock);
}

uint32_t buf_pool_used_count(const struct buf_pool *pool)
{
	struct buf_pool *p = (struct buf_pool *)(uintptr_t)pool;
	uint32_t count;

	pthread_mutex_lock(&p->lock);
	count = p->used_count;
	pthread_mutex_unlock(&p->lock);
	return count;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Buffers taken, shared and returned by several threads; budgets, classes, alignment. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>

#include "disk/buf_pool.h"
#include "thread_check.h"

#define THREADS 4
#define ROUNDS 20000
#define HANDED 64

static struct buf_pool *pool;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct buf *handed[HANDED]; /* each with a reference of its own */

static uint32_t next_random(uint32_t *state)
{
	*state = *state * 1664525U + 1013904223U;
	return *state >> 8;
}

/* Puts a buffer into a shared place and takes away what was there. */
static struct buf *exchange(unsigned i, struct buf *buf)
{
	struct buf *before;

	pthread_mutex_lock(&lock);
	before = handed[i];
	handed[i] = buf;
	pthread_mutex_unlock(&lock);
	return before;
}

static void *churn(void *arg)
{
	uint32_t state = (uint32_t)(uintptr_t)arg;

	for (unsigned i = 0; i < ROUNDS; i++) {
		uint32_t bytes = 1 + next_random(&state) % (64U << 10);
		struct buf *buf = buf_get(pool, next_random(&state) % BUF_USE_COUNT, bytes);
		struct buf *other;

		if (!buf)
			continue;
		CHECK(buf->capacity_bytes >= bytes);
		CHECK((uintptr_t)buf->data % 4096 == 0);
		CHECK(buf_by_id(pool, buf->id) == buf);
		memset(buf->data - BUF_FUSE_HEADER_BYTES, (int)i, BUF_FUSE_HEADER_BYTES);
		memset(buf->data, (int)(buf->id & 0xff), bytes);
		buf_ref(buf);
		other = exchange(next_random(&state) % HANDED, buf);
		if (other) {
			/* Somebody else wrote it; the last reference may be ours. */
			CHECK(other->data[0] == (other->id & 0xff));
			buf_put(other);
		}
		buf_put(buf);
	}
	return NULL;
}

static void check_budget(void)
{
	const uint64_t budgets[BUF_USE_COUNT] = { 8192, 1U << 20, 0 };
	struct buf_pool *small = buf_pool_new(budgets);
	struct buf *a, *b, *c;

	CHECK(small);
	a = buf_get(small, BUF_APP, 4096);
	b = buf_get(small, BUF_APP, 1);
	CHECK(a && b && a != b);
	CHECK(!buf_get(small, BUF_APP, 1));
	/* Another use has its own budget, and admitted work none. */
	c = buf_get(small, BUF_PEER, BUF_BYTES_MAX);
	CHECK(c && c->capacity_bytes == BUF_BYTES_MAX);
	CHECK(!buf_get(small, BUF_READ, 1));
	buf_put(c);
	c = buf_get_admitted(small, BUF_READ, 4097);
	CHECK(c && c->capacity_bytes > 4096);
	CHECK(buf_pool_used_count(small) == 3);
	buf_put(b);
	b = buf_get(small, BUF_APP, 4096);
	CHECK(b);
	buf_put(a);
	buf_put(b);
	buf_put(c);
	CHECK(buf_pool_used_count(small) == 0);
	buf_pool_free(small);
}

int main(void)
{
	const uint64_t budgets[BUF_USE_COUNT] = { 4U << 20, 4U << 20, 4U << 20 };
	pthread_t threads[THREADS];

	check_budget();
	pool = buf_pool_new(budgets);
	CHECK(pool);
	for (uintptr_t i = 0; i < THREADS; i++)
		CHECK(!pthread_create(&threads[i], NULL, churn, (void *)(i + 1)));
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	for (unsigned i = 0; i < HANDED; i++) {
		if (handed[i])
			buf_put(handed[i]);
	}
	CHECK(buf_pool_used_count(pool) == 0);
	buf_pool_free(pool);
	return 0;
}

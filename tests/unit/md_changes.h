/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the code under test does to its file, for tests that cut the power after each write: the
 * calls of the C library, replaced and recorded. A test says before it includes this where writes
 * may go: static const uint64_t changes_from, changes_end.
 */
#ifndef TEST_MD_CHANGES_H
#define TEST_MD_CHANGES_H

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/prng.h"

#define CHANGES_MAX 256U

struct change {
	uint64_t byte;
	size_t bytes;
	uint8_t *data;
	unsigned epoch; /* flushes before it */
};

static struct change changes[CHANGES_MAX];
static unsigned change_count, epoch;

ssize_t pwrite(int fd, const void *buf, size_t bytes, off_t at)
{
	struct change *c = &changes[change_count++];

	cr_assert_leq(change_count, CHANGES_MAX);
	cr_assert((uint64_t)at >= changes_from && (uint64_t)at + bytes <= changes_end);
	*c = (struct change){ .byte = (uint64_t)at, .bytes = bytes, .epoch = epoch };
	c->data = malloc(bytes);
	memcpy(c->data, buf, bytes);
	return syscall(SYS_pwrite64, fd, buf, bytes, at);
}

int fdatasync(int fd)
{
	epoch++;
	return (int)syscall(SYS_fdatasync, fd);
}

/* Zeroes come as writes, then. */
int fallocate(int fd, int mode, off_t at, off_t bytes)
{
	(void)fd;
	(void)mode;
	(void)at;
	(void)bytes;
	errno = EOPNOTSUPP;
	return -1;
}

static inline void forget_changes(void)
{
	while (change_count)
		free(changes[--change_count].data);
	epoch = 0;
}

/*
 * Into `image`, the bytes from `start` on: the first `cut` changes of these. Of those that no flush
 * came after, if `some`, each only by chance.
 */
static inline void apply_changes(const struct change *of, unsigned cut, bool some, struct prng *rng,
				 uint8_t *image, uint64_t start, size_t bytes)
{
	unsigned flushed = cut ? of[cut - 1].epoch : 0;

	for (unsigned i = 0; i < cut; i++) {
		const struct change *c = &of[i];

		cr_assert(c->byte >= start && c->byte + c->bytes <= start + bytes);
		if (c->epoch == flushed && some && !prng_chance(rng, 1, 2))
			continue;
		memcpy(image + (c->byte - start), c->data, c->bytes);
	}
}

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Transfers through a port: each is done once, by the kernel alone or by `run`, and the data are
 * where they belong; what the kernel does not take is run. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "disk/disk_pool.h"
#include "thread_check.h"

#define BLOCK_BYTES 4096U
#define BLOCKS 64U
#define ROUNDS 50U

struct test_job {
	struct disk_job base;
	uint8_t *data;
	unsigned runs, done_count;
};

static struct test_job jobs[BLOCKS];

static void run(struct disk_job *base)
{
	struct test_job *job = CONTAINER_OF(base, struct test_job, base);
	const struct disk_transfer *t = &base->transfer;
	ssize_t n = t->write ? pwrite(t->fd, t->data, t->bytes, (off_t)t->byte)
			     : pread(t->fd, t->data, t->bytes, (off_t)t->byte);

	job->runs++;
	base->error = n == (ssize_t)t->bytes ? 0 : n < 0 ? -errno : -EIO;
}

static void done(struct disk_job *base)
{
	CONTAINER_OF(base, struct test_job, base)->done_count++;
}

static void submit(struct disk_port *port, unsigned block, int fd, bool write)
{
	struct test_job *job = &jobs[block];

	list_init(&job->base.link);
	job->base.run = run;
	job->base.done = done;
	job->runs = job->done_count = 0;
	job->base.transfer = (struct disk_transfer){
		.fd = fd, .write = write, .data = job->data, .bytes = BLOCK_BYTES,
		.byte = (uint64_t)block * BLOCK_BYTES,
	};
	disk_port_submit_transfer(port, &job->base);
}

static void finish_all(struct disk_port *port)
{
	struct pollfd pfd = { .fd = disk_port_fd(port), .events = POLLIN };

	disk_port_flush(port);
	while (disk_port_busy(port) > 0) {
		CHECK(poll(&pfd, 1, 10000) == 1);
		disk_port_reap(port);
		disk_port_flush(port);
	}
}

static void fill(unsigned block, unsigned round)
{
	for (unsigned i = 0; i < BLOCK_BYTES; i++)
		jobs[block].data[i] = (uint8_t)(block * 7 + round * 13 + i);
}

/* All blocks at once, a different number of them in each batch. */
static void write_and_read(struct disk_port *port, int fd, unsigned round)
{
	static uint8_t expected[BLOCK_BYTES];

	for (unsigned b = 0; b < BLOCKS; b++) {
		fill(b, round);
		submit(port, b, fd, true);
		if (b % (round + 1) == 0)
			disk_port_flush(port);
	}
	finish_all(port);
	for (unsigned b = 0; b < BLOCKS; b++) {
		CHECK(jobs[b].done_count == 1 && jobs[b].runs <= 1 && !jobs[b].base.error);
		memset(jobs[b].data, 0, BLOCK_BYTES);
		submit(port, b, fd, false);
	}
	finish_all(port);
	for (unsigned b = 0; b < BLOCKS; b++) {
		CHECK(jobs[b].done_count == 1 && jobs[b].runs <= 1 && !jobs[b].base.error);
		memcpy(expected, jobs[b].data, BLOCK_BYTES);
		fill(b, round);
		CHECK(!memcmp(expected, jobs[b].data, BLOCK_BYTES));
	}
}

int main(void)
{
	char path[] = "/var/tmp/drbdfs-transfer.XXXXXX";
	struct disk_pool *pool = disk_pool_new(2);
	struct disk_port *port = pool ? disk_port_new(pool) : NULL;
	int fd = mkstemp(path), direct_fd, read_fd;

	CHECK(port && fd >= 0);
	direct_fd = open(path, O_RDWR | O_DIRECT | O_CLOEXEC);
	if (direct_fd < 0)
		direct_fd = dup(fd);
	read_fd = open(path, O_RDONLY | O_CLOEXEC);
	CHECK(direct_fd >= 0 && read_fd >= 0 && !unlink(path));
	for (unsigned b = 0; b < BLOCKS; b++)
		CHECK(!posix_memalign((void **)&jobs[b].data, BLOCK_BYTES, BLOCK_BYTES));
	for (unsigned round = 0; round < ROUNDS; round++)
		write_and_read(port, direct_fd, round);
	/* Not open for writing: `run` is asked, and its error counts. */
	submit(port, 0, read_fd, true);
	finish_all(port);
	CHECK(jobs[0].runs == 1 && jobs[0].done_count == 1 && jobs[0].base.error == -EBADF);
	/* Cut short at the end of the file: the same. */
	CHECK(!ftruncate(fd, BLOCK_BYTES / 2));
	submit(port, 0, direct_fd, false);
	finish_all(port);
	CHECK(jobs[0].runs == 1 && jobs[0].done_count == 1 && jobs[0].base.error == -EIO);
	/* Freeing waits for what is under way. */
	submit(port, 1, fd, true);
	disk_port_free(port);
	CHECK(jobs[1].done_count == 1);
	disk_pool_free(pool);
	for (unsigned b = 0; b < BLOCKS; b++)
		free(jobs[b].data);
	close(read_fd);
	close(direct_fd);
	close(fd);
	return 0;
}

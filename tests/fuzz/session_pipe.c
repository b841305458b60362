/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Stream socket pairs in memory, for most sessions: half of the time of one with real sockets is
 * the kernel's. The linker (--wrap) brings the calls of net and peers here; a descriptor below
 * PIPE_NONE is an end of such a pair, every other one goes on to the system.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/assert.h"
#include "session.h"

#define PIPE_NONE (-1)
#define PIPES_MAX 64U
#define PIPE_BYTES (64U << 10)

/* One end: what it can read. */
struct end {
	uint8_t *bytes;          /* [start, start + count) */
	uint32_t start, count;
	bool open;
	bool ended;              /* the other end writes no more */
	bool reset;              /* the other end was closed before it had read everything */
};

static struct {
	struct end end[2];
} pipes[PIPES_MAX];

int __wrap_close(int fd);
int __wrap_shutdown(int fd, int how);
ssize_t __wrap_readv(int fd, const struct iovec *iov, int count);
ssize_t __wrap_recv(int fd, void *p, size_t n, int flags);
ssize_t __wrap_send(int fd, const void *p, size_t n, int flags);
ssize_t __wrap_sendmsg(int fd, const struct msghdr *msg, int flags);
int __real_close(int fd);
int __real_shutdown(int fd, int how);
ssize_t __real_readv(int fd, const struct iovec *iov, int count);
ssize_t __real_recv(int fd, void *p, size_t n, int flags);
ssize_t __real_send(int fd, const void *p, size_t n, int flags);
ssize_t __real_sendmsg(int fd, const struct msghdr *msg, int flags);

bool pipe_is(int fd)
{
	return fd < PIPE_NONE;
}

static struct end *end_of(int fd)
{
	unsigned i = (unsigned)(PIPE_NONE - 1 - fd);
	struct end *e = &pipes[i / 2].end[i % 2];

	ASSERT(i / 2 < PIPES_MAX && e->open);
	return e;
}

static struct end *other_of(int fd)
{
	unsigned i = (unsigned)(PIPE_NONE - 1 - fd);

	return &pipes[i / 2].end[!(i % 2)];
}

static void open_end(struct end *e)
{
	if (!e->bytes)
		e->bytes = malloc(PIPE_BYTES);
	ASSERT(e->bytes);
	*e = (struct end){ .bytes = e->bytes, .open = true };
}

void pipe_pair(int fd[static 2])
{
	unsigned i = 0;

	while (i < PIPES_MAX && (pipes[i].end[0].open || pipes[i].end[1].open))
		i++;
	ASSERT(i < PIPES_MAX);
	for (unsigned k = 0; k < 2; k++) {
		open_end(&pipes[i].end[k]);
		fd[k] = PIPE_NONE - 1 - (int)(2 * i + k);
	}
}

unsigned pipe_open_count(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < PIPES_MAX; i++)
		n += pipes[i].end[0].open + pipes[i].end[1].open;
	return n;
}

bool pipe_readable(int fd)
{
	const struct end *e = end_of(fd);

	return e->count > 0 || e->ended || e->reset;
}

bool pipe_writable(int fd)
{
	const struct end *to = other_of(fd);

	return !to->open || to->count < PIPE_BYTES;
}

static size_t get(struct end *e, void *p, size_t n)
{
	n = n < e->count ? n : e->count;
	memcpy(p, e->bytes + e->start, n);
	e->count -= (uint32_t)n;
	e->start = e->count ? e->start + (uint32_t)n : 0;
	return n;
}

static size_t put(struct end *e, const void *p, size_t n)
{
	if (n > PIPE_BYTES - e->start - e->count) {
		memmove(e->bytes, e->bytes + e->start, e->count);
		e->start = 0;
	}
	n = n < PIPE_BYTES - e->count ? n : PIPE_BYTES - e->count;
	memcpy(e->bytes + e->start + e->count, p, n);
	e->count += (uint32_t)n;
	return n;
}

static ssize_t fails(int error)
{
	errno = error;
	return -1;
}

static ssize_t get_all(int fd, const struct iovec *iov, size_t count)
{
	struct end *e = end_of(fd);
	size_t done = 0;

	if (e->count == 0 && e->reset) {
		e->reset = false;
		return fails(ECONNRESET);
	}
	if (e->count == 0)
		return e->ended ? 0 : fails(EAGAIN);
	for (size_t i = 0; i < count && e->count > 0; i++)
		done += get(e, iov[i].iov_base, iov[i].iov_len);
	return (ssize_t)done;
}

static ssize_t put_all(int fd, const struct iovec *iov, size_t count)
{
	struct end *to = other_of(fd);
	size_t done = 0;

	if (!to->open || to->ended)
		return fails(EPIPE);
	if (to->count == PIPE_BYTES)
		return fails(EAGAIN);
	for (size_t i = 0; i < count && to->count < PIPE_BYTES; i++)
		done += put(to, iov[i].iov_base, iov[i].iov_len);
	return (ssize_t)done;
}

/* ---- what the linker puts in the place of the system's ---- */

int __wrap_close(int fd)
{
	struct end *e, *other;

	if (!pipe_is(fd))
		return __real_close(fd);
	e = end_of(fd);
	other = other_of(fd);
	e->open = false;
	other->ended = true;
	other->reset = e->count > 0;
	return 0;
}

int __wrap_shutdown(int fd, int how)
{
	if (!pipe_is(fd))
		return __real_shutdown(fd, how);
	ASSERT(how == SHUT_WR);
	other_of(fd)->ended = true;
	return 0;
}

ssize_t __wrap_readv(int fd, const struct iovec *iov, int count)
{
	return pipe_is(fd) ? get_all(fd, iov, (size_t)count) : __real_readv(fd, iov, count);
}

ssize_t __wrap_recv(int fd, void *p, size_t n, int flags)
{
	struct iovec iov = { p, n };

	return pipe_is(fd) ? get_all(fd, &iov, 1) : __real_recv(fd, p, n, flags);
}

ssize_t __wrap_send(int fd, const void *p, size_t n, int flags)
{
	struct iovec iov = { (void *)(uintptr_t)p, n };

	return pipe_is(fd) ? put_all(fd, &iov, 1) : __real_send(fd, p, n, flags);
}

ssize_t __wrap_sendmsg(int fd, const struct msghdr *msg, int flags)
{
	return pipe_is(fd) ? put_all(fd, msg->msg_iov, msg->msg_iovlen) :
			     __real_sendmsg(fd, msg, flags);
}

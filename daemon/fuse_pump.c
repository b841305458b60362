/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads requests from the kernel into pooled buffers and hands them to libfuse. The only file that
 * knows how requests arrive.
 *
 * The kernel wants room for the largest request in every read. So that a 4 KiB write does not
 * occupy a 1 MiB buffer, a read is scattered over a buffer of the size that the last write had and
 * a large one behind it. A guess that was too small costs a copy of that small part; one that was
 * too large is copied into a smaller buffer when that is worth it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/log.h"
#include "base/str.h"
#include "fuse_int.h"

#define REQUESTS_PER_TURN 64U
/* turns with one request, after which it is tried to find a second one */
#define PROBE_INTERVAL 8U
#define OPCODE_WRITE 16U   /* FUSE_WRITE of the kernel */
#define OPCODE_OFFSET 4U   /* of struct fuse_in_header */
#define HEADER BUF_FUSE_HEADER_BYTES

struct fuse_pump {
	struct shard *shard;
	struct fuse_session *session;
	int fd;
	struct event ev;
	bool event_on;
	bool readable;
	bool starved;              /* no buffer for the next request */
	bool ended;
	/*
	 * Turns in a row that found one request only. Then the call that would find nothing is left
	 * out: whether there is another one is known from the event loop.
	 */
	unsigned single_turns;
	uint32_t guess_bytes;      /* payload of the last write */
	struct buf *first, *rest;  /* for the next read; rest is of the largest class */
	struct buf *current;       /* holds the request being processed */
	struct shard_reply *end_reply;
};

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct fuse_pump *pump = arg;

	(void)fd;
	(void)what;
	pump->readable = true;
}

static void set_event(struct fuse_pump *pump, bool on)
{
	if (pump->event_on == on)
		return;
	pump->event_on = on;
	if (on)
		event_add(&pump->ev, NULL);
	else
		event_del(&pump->ev);
}

struct buf *fuse_pump_take(struct shard *shard, const char *payload)
{
	struct fuse_pump *pump = shard->pump;
	struct buf *buf = pump->current;

	if (!buf || payload != (const char *)buf->data)
		return NULL;
	pump->current = NULL;
	return buf;
}

static void post_end(struct fuse_pump *pump)
{
	pump->end_reply->rc = SS_SUCCESS;
	str_copy(pump->end_reply->text, sizeof(pump->end_reply->text), "unmounted");
	shard_reply_post(pump->shard, pump->end_reply);
	pump->end_reply = NULL;
}

static bool prepare_buffers(struct fuse_pump *pump)
{
	struct buf_pool *bufs = pump->shard->bufs;

	if (!pump->first)
		pump->first = buf_get(bufs, BUF_APP, pump->guess_bytes);
	if (!pump->rest)
		pump->rest = buf_get(bufs, BUF_APP, BUF_BYTES_MAX);
	return pump->first && pump->rest;
}

/* n bytes lie in `first` and, behind its end, in `rest` at the same distance. Chooses current. */
static void gather(struct fuse_pump *pump, size_t n)
{
	struct buf *first = pump->first, *rest = pump->rest, *smaller;
	size_t first_bytes = HEADER + first->capacity_bytes;
	uint32_t opcode;
	size_t payload;

	pump->current = first;
	pump->first = NULL;
	if (n > first_bytes) {
		memcpy(rest->data - HEADER, first->data - HEADER, first_bytes);
		pump->first = first;
		pump->current = rest;
		pump->rest = NULL;
	}
	memcpy(&opcode, pump->current->data - HEADER + OPCODE_OFFSET, sizeof(opcode));
	if (opcode != OPCODE_WRITE || n <= HEADER)
		return;
	payload = n - HEADER;
	pump->guess_bytes = (uint32_t)payload;
	if (pump->current->capacity_bytes == BM_BLOCK_BYTES ||
	    payload > pump->current->capacity_bytes / 4)
		return;
	smaller = buf_get(pump->shard->bufs, BUF_APP, (uint32_t)payload);
	if (!smaller)
		return;
	memcpy(smaller->data - HEADER, pump->current->data - HEADER, n);
	buf_put(pump->current);
	pump->current = smaller;
}

/* 1: a request was processed; 0: none is there; -1: unmounted. */
static int pump_one(struct fuse_pump *pump)
{
	struct iovec iov[2];
	struct fuse_buf fb = { .flags = 0 };
	struct buf *first = pump->first;
	int iov_count = 1;
	ssize_t n;

	iov[0] = (struct iovec){ first->data - HEADER, HEADER + first->capacity_bytes };
	if (first->capacity_bytes < BUF_BYTES_MAX)
		iov[iov_count++] = (struct iovec){
			pump->rest->data + first->capacity_bytes,
			BUF_BYTES_MAX - first->capacity_bytes,
		};
	n = readv(pump->fd, iov, iov_count);
	if (n < 0) {
		/* ENOENT: the request was interrupted before it was read. */
		if (errno == EAGAIN)
			return 0;
		if (errno == EINTR || errno == ENOENT)
			return 1;
		if (errno != ENODEV)
			log_err("reading FUSE requests: %s", strerror(errno));
		return -1;
	}
	gather(pump, (size_t)n);
	fb.mem = pump->current->data - HEADER;
	fb.size = (size_t)n;
	fuse_session_process_buf(pump->session, &fb);
	if (pump->current)
		buf_put(pump->current);
	pump->current = NULL;
	return 1;
}

/* Reads up to `most` requests; returns how many there were. */
static unsigned pump_some(struct fuse_pump *pump, unsigned most)
{
	struct shard *shard = pump->shard;
	unsigned count = 0;

	shard->direct_bytes = 0;
	while (count < most &&
	       shard->inline_bytes + shard->direct_bytes < SHARD_INLINE_BYTES_MAX) {
		int rc;

		pump->starved = !prepare_buffers(pump);
		if (pump->starved)
			break;
		rc = pump_one(pump);
		if (rc < 0) {
			pump->ended = true;
			set_event(pump, false);
			post_end(pump);
			break;
		}
		if (rc == 0) {
			pump->readable = false;
			break;
		}
		count++;
	}
	return count;
}

void fuse_pump_run(struct shard *shard)
{
	struct fuse_pump *pump = shard->pump;
	bool single;
	unsigned count;

	if (!pump || pump->ended || (!pump->readable && !pump->starved))
		return;
	single = pump->single_turns % PROBE_INTERVAL != 0;
	count = pump_some(pump, single ? 1 : REQUESTS_PER_TURN);
	if (pump->ended)
		return;
	if (single && count == 1)
		pump->readable = false;
	pump->single_turns = count == 1 ? pump->single_turns + 1 : 0;
	set_event(pump, !pump->starved);
}

bool fuse_pump_wants_run(const struct shard *shard)
{
	const struct fuse_pump *pump = shard->pump;

	return pump && !pump->ended && pump->readable && !pump->starved;
}

int fuse_pump_start(struct shard *shard, struct fuse_session *session, struct shard_reply *ended)
{
	struct fuse_pump *pump = calloc(1, sizeof(*pump));
	int fd = fuse_session_fd(session);

	if (!pump)
		return -ENOMEM;
	if (fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) ||
	    fcntl(fd, F_SETFD, FD_CLOEXEC)) {
		free(pump);
		return -errno;
	}
	pump->shard = shard;
	pump->session = session;
	pump->fd = fd;
	pump->guess_bytes = BM_BLOCK_BYTES;
	pump->end_reply = ended;
	event_assign(&pump->ev, shard->base, fd, EV_READ | EV_PERSIST, on_readable, pump);
	shard->pump = pump;
	set_event(pump, true);
	return 0;
}

void fuse_pump_free(struct shard *shard)
{
	struct fuse_pump *pump = shard->pump;

	if (!pump)
		return;
	set_event(pump, false);
	if (pump->first)
		buf_put(pump->first);
	if (pump->rest)
		buf_put(pump->rest);
	free(pump->end_reply);
	free(pump);
	shard->pump = NULL;
}

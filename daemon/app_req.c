/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Requests of applications: cut into what the core takes, parked, answered. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "fuse_int.h"

#define COOKIE_PART_MASK UINT64_C(15)

static struct app_req *req_alloc(struct shard *shard)
{
	struct list *link = list_first(&shard->free_reqs);
	struct app_req *r;

	if (link) {
		list_del(link);
		r = LIST_ENTRY(link, struct app_req, link);
	} else {
		/* The low bits of its address carry the index of a part. */
		r = aligned_alloc(64, (sizeof(*r) + 63) / 64 * 64);
		ASSERT(r);
	}
	memset(r, 0, sizeof(*r));
	list_init(&r->link);
	list_init(&r->blocked_link);
	return r;
}

static void req_free(struct app_req *r)
{
	list_push_front(&r->vol->res->shard->free_reqs, &r->link);
}

void app_free_all(struct shard *shard)
{
	while (!list_empty(&shard->free_reqs)) {
		struct list *link = list_first(&shard->free_reqs);

		list_del(link);
		free(LIST_ENTRY(link, struct app_req, link));
	}
}

static bool is_change(const struct app_req *r)
{
	return r->op == OP_WRITE || r->op == OP_DISCARD || r->op == OP_ZEROES;
}

static bool has_partial_head(const struct app_req *r)
{
	return r->offset % SECTOR_BYTES != 0;
}

static bool has_partial_tail(const struct app_req *r)
{
	return (r->offset + r->bytes) % SECTOR_BYTES != 0;
}

/* ---- submission to the core ---- */

static void submit_parts(struct app_req *r)
{
	unsigned count = r->part_count;

	r->parts_open = count;
	for (unsigned i = 0; i < count; i++) {
		struct app_part *p = &r->parts[i];
		struct core_event ev; /* large: only what is used is set */

		ev.kind = EV_SUBMIT;
		ev.u.submit = (struct ev_submit){
			.cookie = (uint64_t)(uintptr_t)r + i,
			.vnr = r->vol->vnr,
			.op = p->op,
			.sector = p->sector,
			.bytes = p->bytes,
			.fua = r->fua && r->phase == APP_FINAL,
		};
		if (p->op == OP_WRITE) {
			ev.u.submit.payload = (struct payload){ .id = p->buf->id,
								.bytes = p->bytes };
			p->buf = NULL;
		}
		/* The last completion may free the request:
		 * nothing of it is used after that step. */
		resource_step(r->vol->res, &ev);
	}
}

/* The resource has gone down: its core takes nothing any more. */
static void fail(struct app_req *r)
{
	r->error = -EIO;
	list_push_back(&r->vol->res->completed, &r->blocked_link);
}

/* Submits now, or when the core has room. */
static void go(struct app_req *r)
{
	struct resource *res = r->vol->res;

	if (res->dead)
		fail(r);
	else if (list_empty(&res->blocked) && core_room(res->core) >= r->part_count)
		submit_parts(r);
	else
		list_push_back(&res->blocked, &r->blocked_link);
}

void app_unblock(struct resource *res)
{
	while (!list_empty(&res->blocked)) {
		struct list *first = list_first(&res->blocked);
		struct app_req *r = LIST_ENTRY(first, struct app_req, blocked_link);

		if (!res->dead && core_room(res->core) < r->part_count)
			return;
		list_del(first);
		if (res->dead)
			fail(r);
		else
			submit_parts(r);
	}
	if (res->dead)
		app_settle(res);
}

/* ---- what the parts are ---- */

static void add_part(struct app_req *r, enum request_op op, uint64_t sector, uint32_t bytes,
		     struct buf *buf)
{
	ASSERT(r->part_count < APP_PARTS_MAX);
	r->parts[r->part_count++] = (struct app_part){
		.op = op, .sector = sector, .bytes = bytes, .buf = buf,
	};
}

/* Reads cover whole sectors; more than the largest request is cut in two. */
static void plan_read(struct app_req *r)
{
	uint64_t sectors = r->end_sector - r->first_sector;
	uint64_t first = sectors <= BIO_MAX_BYTES / SECTOR_BYTES ? sectors :
								   BIO_MAX_BYTES / SECTOR_BYTES;

	add_part(r, OP_READ, r->first_sector, (uint32_t)(first * SECTOR_BYTES), NULL);
	if (sectors > first)
		add_part(r, OP_READ, r->first_sector + first,
			 (uint32_t)((sectors - first) * SECTOR_BYTES), NULL);
}

static void plan_edges(struct app_req *r)
{
	if (has_partial_head(r))
		add_part(r, OP_READ, r->first_sector, SECTOR_BYTES, NULL);
	if (has_partial_tail(r) &&
	    (!has_partial_head(r) || r->end_sector - r->first_sector > 1))
		add_part(r, OP_READ, r->end_sector - 1, SECTOR_BYTES, NULL);
}

/* Puts the new bytes of the request that fall into `sector` over the old ones. */
static void merge_edge(const struct app_req *r, uint64_t sector, uint8_t *bytes)
{
	uint64_t begin = sector * SECTOR_BYTES, end = begin + SECTOR_BYTES;
	uint64_t from = r->offset > begin ? r->offset : begin;
	uint64_t to = r->offset + r->bytes < end ? r->offset + r->bytes : end;

	if (r->data)
		memcpy(bytes + (from - begin), r->data + (from - r->offset), to - from);
	else
		memset(bytes + (from - begin), 0, to - from);
}

/*
 * The final parts of an exclusive request: partly covered sectors with their old bytes merged in,
 * and the whole sectors between them. edges[] are the reads that have been done.
 */
static int plan_exclusive(struct app_req *r)
{
	uint64_t first = r->first_sector, end = r->end_sector;
	struct buf_pool *bufs = r->vol->res->shard->bufs;
	unsigned edge_count = r->part_count;
	struct app_part edges[2];

	memcpy(edges, r->parts, sizeof(edges));
	r->part_count = 0;
	for (unsigned i = 0; i < edge_count; i++) {
		merge_edge(r, edges[i].sector, edges[i].buf->data);
		add_part(r, OP_WRITE, edges[i].sector, SECTOR_BYTES, edges[i].buf);
		if (edges[i].sector == first)
			first++;
		else
			end--;
	}
	if (first >= end)
		return 0;
	if (!r->data) {
		add_part(r, r->op, first, (uint32_t)((end - first) * SECTOR_BYTES), NULL);
	} else {
		uint32_t bytes = (uint32_t)((end - first) * SECTOR_BYTES);
		struct buf *middle = buf_get_admitted(bufs, BUF_APP, bytes);

		if (!middle)
			return -ENOMEM;
		memcpy(middle->data, r->data + (first * SECTOR_BYTES - r->offset), bytes);
		add_part(r, OP_WRITE, first, bytes, middle);
	}
	return 0;
}

/* ---- the end of a request ---- */

static void drop_part_buffers(struct app_req *r)
{
	for (unsigned i = 0; i < r->part_count; i++) {
		if (r->parts[i].buf)
			buf_put(r->parts[i].buf);
		r->parts[i].buf = NULL;
	}
}

static void reply_read(struct app_req *r)
{
	uint64_t skip = r->offset - r->first_sector * SECTOR_BYTES;
	struct iovec iov[2];
	int count = 0;
	uint64_t left = r->bytes;

	for (unsigned i = 0; i < r->part_count && left > 0; i++) {
		uint64_t n = r->parts[i].bytes - skip;

		if (n > left)
			n = left;
		iov[count++] = (struct iovec){ r->parts[i].buf->data + skip, n };
		left -= n;
		skip = 0;
	}
	fuse_reply_iov(r->req, iov, count);
}

static void start(struct app_req *r);

static void start_all(struct list *ready)
{
	while (!list_empty(ready)) {
		struct list *first = list_first(ready);

		list_del(first);
		start(LIST_ENTRY(first, struct app_req, blocked_link));
	}
}

/* Sets the bounds of the chunk that begins at r->offset with `total` bytes left. */
static void next_chunk(struct app_req *r, uint64_t offset, uint64_t total)
{
	uint64_t most = r->op == OP_DISCARD || r->op == OP_ZEROES ?
				DISCARD_MAX_BYTES - offset % SECTOR_BYTES : total;
	uint64_t bytes = total < most ? total : most;

	r->offset = offset;
	r->bytes = (uint32_t)bytes;
	r->left_bytes = total - bytes;
	r->first_sector = offset / SECTOR_BYTES;
	r->end_sector = (offset + bytes + SECTOR_BYTES - 1) / SECTOR_BYTES;
	r->exclusive = is_change(r) && (has_partial_head(r) || has_partial_tail(r));
	r->part_count = 0;
}

static void enter(struct app_req *r)
{
	if (is_change(r) && !app_range_enter(r))
		r->phase = APP_WAITS_RANGE;
	else
		start(r);
}

/* Answers, unless a further chunk is to be done. */
static void finish(struct app_req *r)
{
	struct list ready;

	list_init(&ready);
	if (is_change(r))
		app_range_leave(r, &ready);
	if (!r->error && !r->interrupted && r->left_bytes > 0) {
		next_chunk(r, r->offset + r->bytes, r->left_bytes);
		enter(r);
		start_all(&ready);
		return;
	}
	if (r->error)
		fuse_reply_err(r->req, -r->error);
	else if (r->op == OP_READ)
		reply_read(r);
	else if (r->op == OP_WRITE)
		fuse_reply_write(r->req, r->bytes);
	else
		fuse_reply_err(r->req, r->left_bytes > 0 ? EINTR : 0);
	drop_part_buffers(r);
	if (r->buf)
		buf_put(r->buf);
	req_free(r);
	start_all(&ready);
}

/* The range is ours. */
static void start(struct app_req *r)
{
	r->part_count = 0;
	if (r->exclusive) {
		r->phase = APP_READS_EDGES;
		plan_edges(r);
	} else {
		r->phase = APP_FINAL;
		if (r->op == OP_READ) {
			plan_read(r);
		} else {
			add_part(r, r->op, r->first_sector, r->bytes, r->buf);
			r->buf = NULL;
		}
	}
	go(r);
}

static void interrupted(fuse_req_t req, void *arg)
{
	struct app_req *r = arg;
	struct resource *res = r->vol->res;

	(void)req;
	r->interrupted = true;
	if (!r->entered)
		return;
	if (r->phase == APP_WAITS_RANGE || list_linked(&r->blocked_link)) {
		list_del(&r->blocked_link);
		r->error = -EINTR;
		finish(r);
		return;
	}
	/* One cookie: a request of several parts is past the point where giving up is of use. */
	if (r->parts_open == 1 && r->part_count == 1) {
		struct core_event ev = { .kind = EV_CANCEL };

		ev.u.cancel = (uint64_t)(uintptr_t)r;
		resource_step(res, &ev);
	}
}

void app_submit(struct volume *vol, fuse_req_t req, enum request_op op, uint64_t offset,
		uint64_t bytes, bool fua, struct buf *buf, const uint8_t *data)
{
	struct app_req *r = req_alloc(vol->res->shard);

	r->req = req;
	r->vol = vol;
	r->op = op;
	r->fua = fua;
	r->buf = buf;
	r->data = data;
	next_chunk(r, offset, bytes);
	/* Before it starts: the answer may come at once and frees the request. */
	fuse_req_interrupt_func(req, interrupted, r);
	if (r->interrupted) {
		fuse_reply_err(req, EINTR);
		if (buf)
			buf_put(buf);
		req_free(r);
		return;
	}
	r->entered = true;
	enter(r);
}

void app_complete(struct resource *res, const struct ac_complete *a)
{
	struct app_req *r = (struct app_req *)(uintptr_t)(a->cookie & ~COOKIE_PART_MASK);
	struct app_part *p = &r->parts[a->cookie & COOKIE_PART_MASK];

	ASSERT(r->parts_open > 0 && r->vol->res == res);
	if (a->error && !r->error)
		r->error = a->error;
	if (a->payload.id)
		p->buf = buf_by_id(res->shard->bufs, a->payload.id);
	/* The core must not be entered from here: see app_settle(). */
	if (--r->parts_open == 0)
		list_push_back(&res->completed, &r->blocked_link);
}

void app_settle(struct resource *res)
{
	if (res->settling)
		return;
	res->settling = true;
	while (!list_empty(&res->completed)) {
		struct list *first = list_first(&res->completed);
		struct app_req *r = LIST_ENTRY(first, struct app_req, blocked_link);

		list_del(first);
		if (r->phase == APP_READS_EDGES && !r->error) {
			r->phase = APP_FINAL;
			r->error = plan_exclusive(r);
			if (!r->error) {
				go(r);
				continue;
			}
		}
		finish(r);
	}
	res->settling = false;
}

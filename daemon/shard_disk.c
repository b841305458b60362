/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Disk and metadata actions as jobs. A store with memory behind it (tmpfs) is served on the shard's
 * own thread, at the end of the turn: a hand-off to a worker costs more than the call. All others,
 * and reads with a digest, go to the pool, metadata of one volume in order; a few small transfers
 * at a time the kernel does without it.
 */
#include <errno.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>

#include "base/assert.h"
#include "base/log.h"
#include "base/str.h"
#include "core/core.h"
#include "disk/backing.h"
#include "meta/meta_al.h"
#include "meta/meta_bitmap.h"
#include "meta/meta_super.h"
#include "shard_int.h"

#define TRANSFER_BYTES_MAX (64U << 10)

/* What an attach brings back from the worker. */
struct attach_work {
	uint8_t own_node_id;
	uint64_t nodes;               /* that need slots */
	struct md_where where;
	struct md_store *store;
	struct md_loaded loaded;
	bool in_memory;
	struct err err;
};

/* What a resize brings back from the worker. */
struct resize_work {
	struct ac_resize what;
	struct md_room room;
	struct err err;
};

struct volume *resource_volume(struct resource *res, uint16_t vnr)
{
	FOR_EACH_VOLUME(res, vol) {
		if (vol->vnr == vnr)
			return vol;
	}
	return NULL;
}

static bool is_in_memory(const char *path)
{
	struct statfs fs;

	return !statfs(path, &fs) && (fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC);
}

static void run_attach(struct job *job)
{
	struct attach_work *w = job->attach;
	int rc = md_store_open(&w->where, w->own_node_id, &w->store, &w->err);

	if (!rc) {
		rc = md_store_reserve(w->store, w->nodes, &w->err);
		if (!rc)
			rc = md_store_load(w->store, &w->loaded, &w->err);
		if (rc) {
			md_store_close(w->store);
			w->store = NULL;
		}
	}
	w->in_memory = is_in_memory(w->where.data_path) &&
		       (!w->where.meta_path || is_in_memory(w->where.meta_path));
	job->base.error = rc;
}

static bool is_zero(const void *data, uint32_t bytes)
{
	const uint8_t *p = data;

	/* Equal to itself, one byte further on. */
	return !p[0] && !memcmp(p, p + 1, bytes - 1);
}

static int run_resize(struct md_store *store, struct resize_work *w)
{
	int rc = 0;

	if (w->what.slots)
		rc = md_store_widen_bitmap(store, w->what.slots, w->what.sectors, &w->err);
	if (!rc)
		rc = md_store_measure(store, &w->room, &w->err);
	if (!rc && w->what.move && !w->what.slots)
		rc = md_store_move(store, &w->err);
	return rc;
}

/* On a worker, or inline: only the job and thread-safe calls. */
static void run_job(struct disk_job *base)
{
	struct job *job = CONTAINER_OF(base, struct job, base);
	struct backing *b = job->vol->backing;
	struct md_store *store = job->vol->store;
	int rc = -EIO;

	if (job->kind == JOB_ATTACH) {
		run_attach(job);
		return;
	}
	/* Nobody waits for what a disk that was given up has not begun. */
	if (!store || (job->kind != JOB_DETACH && atomic_load(&job->vol->closing))) {
		base->error = rc;
		return;
	}
	switch (job->kind) {
	case JOB_READ:
		if (job->find_zeroes && backing_is_hole(b, job->sector, job->bytes)) {
			job->zeroes = true;
			rc = 0;
			break;
		}
		rc = backing_read(b, job->sector, job->buf->data, job->bytes);
		job->zeroes = !rc && job->find_zeroes && is_zero(job->buf->data, job->bytes);
		if (!rc && job->digest.bytes)
			net_digest_of(&job->digest, job->buf->data, job->bytes, job->digest_value);
		break;
	case JOB_WRITE:
		rc = backing_write(b, job->sector, job->buf->data, job->bytes, job->fua);
		break;
	case JOB_DISCARD:
		rc = backing_discard(b, job->sector, job->bytes);
		if (rc == -EOPNOTSUPP)
			rc = backing_zero(b, job->sector, job->bytes, false);
		break;
	case JOB_ZEROES:
		rc = backing_zero(b, job->sector, job->bytes, job->unmap);
		break;
	case JOB_FLUSH:
		rc = backing_flush(b);
		break;
	case JOB_SUPER:
		rc = md_store_write_super(store, job->block);
		break;
	case JOB_AL:
		rc = md_store_write_al(store, job->block);
		break;
	case JOB_BITMAP:
		rc = md_store_write_bitmap_page(store, job->page, job->block);
		break;
	case JOB_META_FLUSH:
		rc = md_store_flush(store);
		break;
	case JOB_SAVE:
		rc = save_run(job->save, b);
		break;
	case JOB_RESIZE:
		rc = run_resize(store, job->resize);
		break;
	case JOB_DETACH:
		md_store_close(store);
		rc = 0;
		break;
	default:
		ASSERT(false);
	}
	base->error = rc;
}

/* ---- completion, on the shard's thread ---- */

static void job_free(struct job *job)
{
	struct shard *shard = job->vol->res->shard;

	list_push_back(&shard->free_jobs, &job->free_link);
}

static void attach_done(struct job *job)
{
	struct volume *vol = job->vol;
	struct attach_work *w = job->attach;
	struct core_event ev = { .kind = EV_ATTACHED };
	const struct md_store_info *info;

	ev.u.attached.vnr = vol->vnr;
	ev.u.attached.error = job->base.error;
	ev.u.attached.reason = w->err.text;
	if (!job->base.error) {
		vol->store = w->store;
		vol->backing = md_store_backing(w->store);
		vol->mode = w->in_memory ? DISK_INLINE : DISK_POOL;
		vol->direct_io = backing_info(vol->backing)->direct;
		vol->attached = true;
		info = md_store_info(w->store);
		vol->max_peers = info->max_peers;
		ev.u.attached.data_sectors = info->data_sectors;
		ev.u.attached.backing_sectors = info->backing_sectors;
		ev.u.attached.super = w->loaded.super;
		memcpy(ev.u.attached.bitmap.slot, w->loaded.slot, sizeof(w->loaded.slot));
		ev.u.attached.bitmap.words_per_slot = w->loaded.words_per_slot;
		ev.u.attached.discard_ok = backing_info(vol->backing)->discard_ok;
		if (w->loaded.al_applied)
			log_notice("%s/%u: the activity log was not clean: %llu extents marked%s",
				   vol->res->name, vol->vnr,
				   (unsigned long long)w->loaded.al_extent_count,
				   w->loaded.al_damaged ? " (it is damaged)" : "");
	} else {
		log_warning("%s/%u: attach: %s", vol->res->name, vol->vnr, w->err.text);
	}
	job_free(job);
	resource_step(vol->res, &ev);
	free(w);
}

/* Between two steps of the core: its pointers into the slots are of no use until the next. */
static int fill_moved(struct volume *vol, struct ev_resized *ev)
{
	const struct md_super *super = md_store_super(vol->store);
	int rc = md_store_grow_slots(vol->store);

	ev->md_size_sectors = super->md_size_sectors;
	ev->al_offset_sectors = super->al_offset_sectors;
	ev->bm_offset_sectors = super->bm_offset_sectors;
	ev->bitmap.words_per_slot = md_store_info(vol->store)->words_per_slot;
	memcpy(ev->bitmap.slot, md_store_slots(vol->store), sizeof(ev->bitmap.slot));
	vol->max_peers = super->max_peers;
	return rc;
}

static void resize_done(struct job *job)
{
	struct volume *vol = job->vol;
	struct resize_work *w = job->resize;
	struct core_event ev = { .kind = EV_RESIZED };
	char reason[ERR_TEXT_MAX];

	ev.u.resized = (struct ev_resized){
		.vnr = vol->vnr, .moved = w->what.move, .error = job->base.error,
		.data_sectors = w->room.data_sectors, .backing_sectors = w->room.backing_sectors,
	};
	if (w->err.text[0]) {
		ev.u.resized.reason = w->err.text;
	} else if (w->room.meta_limits && !w->what.slots) {
		str_format(reason, sizeof(reason), "its metadata have room for the bitmap of %llu "
			   "KiB: enlarge %s", (unsigned long long)w->room.data_sectors / 2,
			   vol->meta == CONF_META_FLEXIBLE ? vol->meta_path :
							     "them (an index has 128 MiB)");
		ev.u.resized.reason = reason;
	}
	if (w->what.move && !job->base.error)
		ev.u.resized.error = fill_moved(vol, &ev.u.resized);
	job_free(job);
	resource_step(vol->res, &ev);
	free(w);
}

static void detach_done(struct job *job)
{
	struct volume *vol = job->vol;
	struct core_event ev = { .kind = EV_DETACHED, .u.detached_vnr = vol->vnr };

	vol->store = NULL;
	vol->backing = NULL;
	vol->attached = false;
	atomic_store(&vol->closing, false);
	job_free(job);
	resource_step(vol->res, &ev);
}

uint64_t shard_progress(const struct shard *shard)
{
	return atomic_load_explicit(&shard->jobs_ended, memory_order_relaxed);
}

static void start_detach(struct volume *vol);

static void job_done(struct disk_job *base)
{
	struct job *job = CONTAINER_OF(base, struct job, base);
	struct volume *vol = job->vol;
	struct core_event ev; /* large: only what is used is set */

	ASSERT(vol->jobs > 0);
	vol->jobs--;
	atomic_fetch_add_explicit(&vol->res->shard->jobs_ended, 1, memory_order_relaxed);
	if (job->kind == JOB_ATTACH) {
		attach_done(job);
		return;
	}
	if (job->kind == JOB_DETACH) {
		detach_done(job);
		return;
	}
	if (job->kind == JOB_SAVE)
		save_end(job->save, base->error);
	if (job->kind == JOB_RESIZE) {
		resize_done(job);
		if (vol->closing && vol->jobs == 0)
			start_detach(vol);
		return;
	}
	ev.kind = job->is_meta ? EV_META_DONE : EV_DISK_DONE;
	ev.u.done = (struct ev_done){ .tag = job->tag, .error = base->error,
				      .digest = job->digest_value,
				      .digest_bytes = base->error ? 0 : job->digest.bytes };
	ev.u.done.zeroes = job->zeroes;
	if (job->kind == JOB_READ && !base->error && !job->zeroes)
		ev.u.done.payload = (struct payload){ .id = job->buf->id, .bytes = job->bytes };
	else if (job->buf)
		buf_put(job->buf);
	job->buf = NULL;
	resource_step(vol->res, &ev);
	job_free(job);
	if (vol->closing && vol->jobs == 0)
		start_detach(vol);
}

/* ---- submission ---- */

static struct job *job_new(struct volume *vol, enum job_kind kind)
{
	struct shard *shard = vol->res->shard;
	struct list *free_link = list_first(&shard->free_jobs);
	struct job *job;
	uint8_t *block = NULL;

	if (free_link) {
		list_del(free_link);
		job = LIST_ENTRY(free_link, struct job, free_link);
		block = job->block;
		memset(job, 0, sizeof(*job));
	} else {
		job = calloc(1, sizeof(*job));
		ASSERT(job);
	}
	list_init(&job->base.link);
	list_init(&job->free_link);
	job->base.run = run_job;
	job->base.done = job_done;
	job->base.share = &vol->share;
	job->block = block;
	job->vol = vol;
	job->kind = kind;
	return job;
}

static uint8_t *job_block(struct job *job)
{
	if (!job->block) {
		/* Aligned for O_DIRECT. */
		job->block = aligned_alloc(MD_PAGE_BYTES, MD_PAGE_BYTES);
		ASSERT(job->block);
	}
	return job->block;
}

/* The core has admitted it within its own bounds. */
static void take_read_buffer(struct job *job)
{
	job->buf = buf_get_admitted(job->vol->res->shard->bufs, BUF_READ, job->bytes);
	ASSERT(job->buf);
}

/* A read or write that the kernel may do without a worker. A large one is worth the hand-off. */
static bool is_transfer(struct job *job)
{
	return (job->kind == JOB_READ || (job->kind == JOB_WRITE && !job->fua)) &&
	       !job->digest.bytes && !job->find_zeroes && job->bytes <= TRANSFER_BYTES_MAX &&
	       backing_transfer(job->vol->backing, job->kind == JOB_WRITE, job->sector,
				job->buf->data, job->bytes, &job->base.transfer);
}

static void submit(struct job *job)
{
	struct volume *vol = job->vol;
	struct shard *shard = vol->res->shard;

	vol->jobs++;
	/* A digest takes longer than the hand-off. */
	if ((vol->mode == DISK_INLINE && !job->digest.bytes) ||
	    (!vol->store && job->kind != JOB_ATTACH)) {
		list_push_back(&shard->inline_jobs, &job->base.link);
		shard->inline_bytes += job->kind <= JOB_WRITE ? job->bytes : 0;
		return;
	}
	if (job->kind == JOB_READ)
		take_read_buffer(job);
	if (job->is_meta)
		disk_lane_submit(&vol->meta_lane, shard->port, &job->base);
	else if (is_transfer(job))
		disk_port_submit_transfer(shard->port, &job->base);
	else
		disk_port_submit(shard->port, &job->base);
}

void shard_disk_data(struct resource *res, enum job_kind kind, const struct ac_disk *a)
{
	struct volume *vol = resource_volume(res, a->vnr);
	struct job *job = job_new(vol, kind);

	job->tag = a->tag;
	job->sector = a->sector;
	job->bytes = a->bytes;
	job->fua = a->fua;
	job->unmap = a->unmap;
	job->find_zeroes = a->find_zeroes;
	if (a->digest_alg)
		(void)net_digest_set(&job->digest, a->digest_alg);
	if (kind == JOB_WRITE) {
		job->buf = buf_by_id(res->shard->bufs, a->payload.id);
		ASSERT(job->buf->capacity_bytes >= a->bytes);
		buf_ref(job->buf);
	}
	submit(job);
}

void shard_disk_save(struct resource *res, const struct ac_disk *a)
{
	struct volume *vol = resource_volume(res, a->vnr);
	struct job *job = job_new(vol, JOB_SAVE);

	job->tag = a->tag;
	job->save = save_new(vol, a);
	vol->jobs++;
	/* It takes long: never on this thread. */
	disk_port_submit(res->shard->port, &job->base);
}

void shard_disk_meta(struct resource *res, enum job_kind kind, const struct ac_meta *a)
{
	struct volume *vol = resource_volume(res, a->vnr);
	struct job *job = job_new(vol, kind);
	const struct bm_store *bm;

	job->tag = a->tag;
	job->is_meta = true;
	job->page = a->page;
	switch (kind) {
	case JOB_SUPER:
		meta_super_encode(a->super, job_block(job));
		break;
	case JOB_AL:
		meta_al_encode(a->al, job_block(job));
		break;
	case JOB_BITMAP:
		bm = core_bitmap(res->core, a->vnr);
		ASSERT(bm);
		meta_bitmap_page_encode(bm->slot, bm->words_per_slot, vol->max_peers, a->page,
					job_block(job));
		break;
	default:
		break;
	}
	submit(job);
}

void shard_disk_attach(struct resource *res, const struct ac_attach *a)
{
	struct volume *vol = resource_volume(res, a->vnr);
	struct job *job = job_new(vol, JOB_ATTACH);
	struct attach_work *w = calloc(1, sizeof(*w));

	ASSERT(w && !vol->store);
	w->own_node_id = res->own_node_id;
	w->nodes = a->nodes;
	w->where.data_path = vol->disk_path;
	w->where.place = vol->meta == CONF_META_INTERNAL ? MD_PLACE_INTERNAL :
			 vol->meta == CONF_META_FLEXIBLE ? MD_PLACE_EXTERNAL : MD_PLACE_INDEXED;
	w->where.meta_path = vol->meta == CONF_META_INTERNAL ? NULL : vol->meta_path;
	w->where.index = vol->meta_index;
	job->attach = w;
	vol->mode = DISK_POOL;
	submit(job);
}

void shard_disk_resize(struct resource *res, const struct ac_resize *a)
{
	struct job *job = job_new(resource_volume(res, a->vnr), JOB_RESIZE);

	job->is_meta = true;
	job->resize = calloc(1, sizeof(*job->resize));
	ASSERT(job->resize);
	job->resize->what = *a;
	submit(job);
}

static void start_detach(struct volume *vol)
{
	struct job *job = job_new(vol, JOB_DETACH);

	vol->jobs++;
	disk_port_submit(vol->res->shard->port, &job->base);
}

void shard_disk_detach(struct volume *vol)
{
	atomic_store(&vol->closing, true);
	if (vol->jobs == 0)
		start_detach(vol);
}

bool shard_disk_read_now(struct volume *vol, uint64_t sector, void *data, uint32_t bytes)
{
	if (vol->mode != DISK_INLINE || !vol->local_reads || !vol->store || vol->closing)
		return false;
	if (backing_read(vol->backing, sector, data, bytes))
		return false;
	vol->direct_read_sectors += bytes / SECTOR_BYTES;
	vol->res->shard->direct_bytes += bytes;
	shard_publish_step(vol->res);
	return true;
}

bool shard_disk_run_inline(struct shard *shard)
{
	for (unsigned i = 0; i < SHARD_INLINE_JOBS_PER_TURN; i++) {
		struct list *first = list_first(&shard->inline_jobs);
		struct job *job;

		if (!first)
			return false;
		list_del(first);
		job = LIST_ENTRY(LIST_ENTRY(first, struct disk_job, link), struct job, base);
		shard->inline_bytes -= job->kind <= JOB_WRITE ? job->bytes : 0;
		/* Not earlier: the buffer that was just given back is still in the cache. */
		if (job->kind == JOB_READ)
			take_read_buffer(job);
		run_job(&job->base);
		job_done(&job->base);
	}
	return !list_empty(&shard->inline_jobs);
}

void shard_disk_free_jobs(struct shard *shard)
{
	while (!list_empty(&shard->free_jobs)) {
		struct list *first = list_first(&shard->free_jobs);
		struct job *job = LIST_ENTRY(first, struct job, free_link);

		list_del(first);
		free(job->block);
		free(job);
	}
}

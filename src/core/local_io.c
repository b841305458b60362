/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is under way at the local disks: since when, and what becomes of it when a disk hangs. */
#include "core/local_io.h"

#include <errno.h>
#include <string.h>

#include "core/cluster.h"
#include "core/core_hooks.h"
#include "core/resize.h"

#define NS_PER_DS (NS_PER_S / 10)
/* Beside the requests of applications and peers: resync, flushes, metadata. */
#define PER_VOLUME 512U

static uint32_t room_for(const struct core_conf *conf, unsigned peers, unsigned volumes)
{
	return conf->requests_max + peers * conf->peer_requests_max + volumes * PER_VOLUME;
}

size_t local_io_mem_bytes(const struct core_conf *conf, unsigned peers, unsigned volumes)
{
	return core_rounded(room_for(conf, peers, volumes) * sizeof(struct local_io)) +
	       core_rounded(LOCAL_IO_BUCKETS * sizeof(uint32_t));
}

void local_io_create(struct core *core, unsigned peers, unsigned volumes)
{
	struct local_ios *ios = &core->local_ios;
	uint32_t room = room_for(&core->conf, peers, volumes);
	struct local_io *items = core_arena_untouched(core, room * sizeof(*items));
	uint32_t *buckets = core_arena(core, LOCAL_IO_BUCKETS * sizeof(*buckets));

	if (ios->items) {
		memcpy(items, ios->items, ios->made * sizeof(*items));
		memcpy(buckets, ios->buckets, LOCAL_IO_BUCKETS * sizeof(*buckets));
	} else {
		memset(buckets, 0xff, LOCAL_IO_BUCKETS * sizeof(*buckets));
		ios->free = LOCAL_IO_NONE;
	}
	ios->items = items;
	ios->buckets = buckets;
	ios->room = room;
}

void local_io_volume_create(struct volume *vol)
{
	vol->io = (struct local_queue){ .oldest = LOCAL_IO_NONE, .newest = LOCAL_IO_NONE };
}

/* ---- the table ---- */

static uint32_t *bucket_of(const struct local_ios *ios, uint64_t tag)
{
	uint64_t h = tag * UINT64_C(0x9e3779b97f4a7c15);

	return &ios->buckets[h >> 32 & (LOCAL_IO_BUCKETS - 1)];
}

static struct local_io *take(struct local_ios *ios, uint32_t *at)
{
	*at = ios->free;
	if (*at != LOCAL_IO_NONE) {
		ios->free = ios->items[*at].next;
		return &ios->items[*at];
	}
	if (ios->made == ios->room)
		return NULL;
	*at = ios->made++;
	return &ios->items[*at];
}

static void unqueue(struct core *core, struct local_io *io)
{
	struct local_io *items = core->local_ios.items;
	struct local_queue *q = &core->vol[io->v]->io;

	*(io->older == LOCAL_IO_NONE ? &q->oldest : &items[io->older].newer) = io->newer;
	*(io->newer == LOCAL_IO_NONE ? &q->newest : &items[io->newer].older) = io->older;
}

void local_io_begin(struct core *core, struct volume *vol, uint64_t tag, bool meta, bool timed)
{
	struct local_ios *ios = &core->local_ios;
	uint32_t *bucket = bucket_of(ios, tag), at;
	struct local_io *io = take(ios, &at);

	if (!io)
		return;
	*io = (struct local_io){
		.tag = tag, .since_ns = core->now_ns, .next = *bucket, .older = vol->io.newest,
		.newer = LOCAL_IO_NONE, .v = vol->v, .meta = meta, .timed = timed,
	};
	*bucket = at;
	*(io->older == LOCAL_IO_NONE ? &vol->io.oldest : &ios->items[io->older].newer) = at;
	vol->io.newest = at;
}

bool local_io_end(struct core *core, uint64_t tag)
{
	struct local_ios *ios = &core->local_ios;
	struct local_io *io;
	struct volume *vol;
	uint32_t at;

	for (uint32_t *link = bucket_of(ios, tag); *link != LOCAL_IO_NONE; link = &io->next) {
		at = *link;
		io = &ios->items[at];
		if (io->tag != tag)
			continue;
		*link = io->next;
		io->next = ios->free;
		ios->free = at;
		if (!io->given_up) {
			unqueue(core, io);
			return true;
		}
		vol = core->vol[io->v];
		ASSERT(vol->io.given_up > 0);
		vol->io.given_up--;
		core->notify = true;
		return false;
	}
	return true;
}

/* ---- giving up ---- */

static const struct local_io *oldest_timed(const struct core *core, const struct volume *vol)
{
	const struct local_io *items = core->local_ios.items;
	uint32_t at = vol->io.oldest;

	while (at != LOCAL_IO_NONE && !items[at].timed)
		at = items[at].newer;
	return at == LOCAL_IO_NONE ? NULL : &items[at];
}

static uint64_t limit_ns(const struct volume *vol)
{
	return vol->conf->disk.disk_timeout_ds * NS_PER_DS;
}

uint64_t local_io_age_ns(const struct core *core, const struct volume *vol)
{
	const struct local_io *oldest = oldest_timed(core, vol);

	return oldest ? core->now_ns - oldest->since_ns : 0;
}

void local_io_give_up(struct core *core, struct volume *vol)
{
	if (vol->phase != VOL_ATTACHED || vol->io.hangs)
		return;
	vol->io.hangs = true;
	volume_hangs(core, vol, local_io_age_ns(core, vol));
}

/* As if the driver had told so; what it tells later is not listened to. */
static void end_one(struct core *core, struct local_io *io)
{
	struct volume *vol = core->vol[io->v];
	struct ev_done done = { .tag = io->tag, .error = -ETIMEDOUT };

	unqueue(core, io);
	io->given_up = true;
	vol->io.given_up++;
	if (tag_kind(io->tag) == TAG_RESIZE)
		resize_hangs(core, vol);
	else if (io->meta)
		core_meta_done(core, &done);
	else
		core_disk_done(core, &done);
}

void local_io_run(struct core *core)
{
	uint32_t *left = &core->local_ios.left;

	FOR_EACH_VOLUME(core, vol) {
		while (vol->io.hangs && vol->io.oldest != LOCAL_IO_NONE && *left > 0) {
			end_one(core, &core->local_ios.items[vol->io.oldest]);
			--*left;
		}
	}
}

void local_io_time(struct core *core)
{
	FOR_EACH_VOLUME(core, vol) {
		if (vol->io.hangs && vol->io.oldest != LOCAL_IO_NONE)
			core_work(core, WORK_PEERS);
		else if (limit_ns(vol) && local_io_age_ns(core, vol) >= limit_ns(vol))
			local_io_give_up(core, vol);
	}
}

uint64_t local_io_deadline(const struct core *core)
{
	uint64_t t = NEVER_NS;

	FOR_EACH_VOLUME(core, vol) {
		const struct local_io *oldest = oldest_timed(core, vol);

		if (vol->io.hangs && vol->io.oldest != LOCAL_IO_NONE)
			return core->now_ns;
		if (oldest && limit_ns(vol) && oldest->since_ns + limit_ns(vol) < t)
			t = oldest->since_ns + limit_ns(vol);
	}
	return t;
}

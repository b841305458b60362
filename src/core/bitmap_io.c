/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Writing the bitmap: dirty pages, who waits for them,
 * flushes, the FULL_SYNC guard (on-disk-metadata 9.4, 9.5). */
#include "core/bitmap_io.h"

#include <string.h>

#include "base/bits.h"
#include "core/core_hooks.h"
#include "core/resync_int.h"

#define LAZY_GRANULES_MAX 256U
#define EXTENT_BITS (AL_EXTENT_SECTORS / BM_BLOCK_SECTORS)

static uint8_t want_bit(enum bm_waiter waiter)
{
	return (uint8_t)(1U << (BM_G_WANT_SHIFT + waiter));
}

/* ---- dirty tracking ---- */

static uint32_t granule_of(const struct bitmap *bm, uint64_t bit, unsigned slot)
{
	return (uint32_t)(bm_disk_page(bit, slot, bm->slots) >> bm->granule_shift);
}

/* The last one with a bit: the store rounds up in memory, what lies behind is not on the disk. */
static uint64_t last_page(const struct bitmap *bm)
{
	return bm->bits ? bm_disk_page(bm->bits - 1, bm->slots - 1, bm->slots) : 0;
}

static void set_dirty(struct bitmap *bm, uint32_t g, bool dirty)
{
	if (bits_test(bm->dirty, g) == dirty)
		return;
	bm->dirty[g / 64] ^= UINT64_C(1) << (g % 64);
	bm->dirty_count += dirty ? 1U : UINT32_MAX;
}

static void set_want(struct bitmap *bm, uint32_t g, bool want)
{
	if (bits_test(bm->want, g) == want)
		return;
	bm->want[g / 64] ^= UINT64_C(1) << (g % 64);
	bm->want_count += want ? 1U : UINT32_MAX;
}

void bitmap_mark(struct core *core, struct bitmap *bm, unsigned slot, uint64_t first,
		 uint64_t count, bool set)
{
	uint32_t last = granule_of(bm, first + count - 1, slot);

	for (uint32_t g = granule_of(bm, first, slot); g <= last; g++) {
		if (set)
			bm->state[g] = (uint8_t)((bm->state[g] & ~BM_G_CLEARED) | BM_G_SET);
		else if (!(bm->state[g] & BM_G_SET))
			bm->state[g] |= BM_G_CLEARED;
		set_dirty(bm, g, true);
	}
	if (!set && !bm->lazy_at_ns)
		bm->lazy_at_ns = core->now_ns + BM_LAZY_NS;
}

void bitmap_io_reset(struct bitmap *bm)
{
	memset(bm->state, 0, BM_GRANULES_MAX);
	memset(bm->dirty, 0, BM_GRANULES_MAX / 8);
	memset(bm->want, 0, BM_GRANULES_MAX / 8);
	memset(bm->writes, 0, sizeof(bm->writes));
	memset(bm->waits, 0, sizeof(bm->waits));
	memset(bm->flush_wanted, 0, sizeof(bm->flush_wanted));
	bm->dirty_count = bm->want_count = 0;
	bm->in_flight = 0;
	bm->unflushed = bm->flushing = false;
	bm->flush_for = 0;
	bm->lazy_at_ns = 0;
	bm->guard_nodes = bm->guard_seq = 0;
}

void bitmap_io_layout(struct core *core, struct bitmap *bm)
{
	uint64_t words = bm->store.words_per_slot * 2 * bm->slots;

	(void)core;
	bm->pages = words / MD_PAGE_WORDS + (words % MD_PAGE_WORDS != 0);
	bm->granule_shift = 0;
	while ((bm->pages - 1) >> bm->granule_shift >= BM_GRANULES_MAX)
		bm->granule_shift++;
	bm->granules = (uint32_t)((bm->pages - 1) >> bm->granule_shift) + 1;
}

/* The counts of a granule whose state has changed as a whole; the old ones are gone. */
static void count_granule(struct bitmap *bm, uint32_t g)
{
	uint8_t state = bm->state[g];

	if (state & BM_G_SET)
		bm->state[g] = (uint8_t)(state & ~BM_G_CLEARED);
	set_dirty(bm, g, state & (BM_G_SET | BM_G_CLEARED));
	set_want(bm, g, state >> BM_G_WANT_SHIFT);
	for (unsigned w = 0; w < BM_WAITERS; w++)
		bm->waits[w] += (state & want_bit((enum bm_waiter)w)) != 0;
}

static void forget_counts(struct bitmap *bm)
{
	ASSERT(!bm->in_flight);
	bm->dirty_count = bm->want_count = 0;
	memset(bm->waits, 0, sizeof(bm->waits));
	memset(bm->dirty, 0, BM_GRANULES_MAX / 8);
	memset(bm->want, 0, BM_GRANULES_MAX / 8);
}

/* Who waits for one of them waits for all. */
void bitmap_io_coarsen(struct bitmap *bm, unsigned shift)
{
	if (!shift)
		return;
	forget_counts(bm);
	for (uint32_t g = 1; g < BM_GRANULES_MAX; g++) {
		uint8_t state = bm->state[g];

		bm->state[g] = 0;
		bm->state[g >> shift] |= state;
	}
	for (uint32_t g = 0; g < bm->granules; g++)
		count_granule(bm, g);
}

/* From behind: no granule has come to lie in front of where it was. */
void bitmap_io_widen(struct bitmap *bm, unsigned old)
{
	uint64_t words = (uint64_t)MD_PAGE_WORDS << bm->granule_shift;

	forget_counts(bm);
	for (uint32_t g = bm->granules; g-- > 0;) {
		uint64_t first = g * words / old * bm->slots / words;
		uint64_t last = (((g + 1) * words - 1) / old * bm->slots + old - 1) / words;
		uint8_t state = bm->state[g];

		bm->state[g] = 0;
		if (last > last_page(bm) >> bm->granule_shift)
			last = last_page(bm) >> bm->granule_shift;
		for (uint64_t to = first; state && to <= last; to++)
			bm->state[to] |= state;
	}
	for (uint32_t g = 0; g < bm->granules; g++)
		count_granule(bm, g);
}

/* ---- writing ---- */

static void write_page(struct core *core, struct volume *vol, unsigned index)
{
	struct core_action *action = core_act(core, AC_META_BITMAP);

	action->u.meta.tag = tag_make(TAG_BITMAP, (uint64_t)vol->v << 8 | index);
	action->u.meta.vnr = vol->vnr;
	action->u.meta.page = vol->bm.writes[index].page;
	local_io_begin(core, vol, action->u.meta.tag, true, true);
	vol->bm_writes++;
}

static bool start_write(struct core *core, struct volume *vol, uint32_t g)
{
	struct bitmap *bm = &vol->bm;

	for (unsigned i = 0; i < BM_WRITES_MAX; i++) {
		struct bm_write *w = &bm->writes[i];

		if (w->busy)
			continue;
		w->busy = true;
		w->granule = g;
		w->page = (uint64_t)g << bm->granule_shift;
		w->waiters = (uint8_t)(bm->state[g] >> BM_G_WANT_SHIFT);
		bm->state[g] = BM_G_WRITING;
		set_dirty(bm, g, false);
		set_want(bm, g, false);
		bm->in_flight++;
		write_page(core, vol, i);
		return true;
	}
	return false;
}

static void pump_writes(struct core *core, struct volume *vol)
{
	struct bitmap *bm = &vol->bm;
	uint64_t g = 0;

	while (bm->want_count && bm->in_flight < BM_WRITES_MAX &&
	       disk_of(core, vol) != DISK_FAILED && vol->resize.phase != RESIZE_MOVES) {
		g = bits_next_set(bm->want, g, bm->granules);
		if (g == BITS_NONE)
			return;
		/* A second write of a page must not overtake the first. */
		if (!(bm->state[g] & BM_G_WRITING) && !start_write(core, vol, (uint32_t)g))
			return;
		g++;
	}
}

static void start_flush(struct core *core, struct volume *vol)
{
	struct bitmap *bm = &vol->bm;
	struct core_action *action;

	if (bm->flushing || disk_of(core, vol) == DISK_FAILED)
		return;
	bm->flush_for = 0;
	for (unsigned w = 0; w < BM_WAITERS; w++) {
		if (!bm->flush_wanted[w] || bm->waits[w])
			continue;
		bm->flush_wanted[w] = false;
		bm->flush_for |= (uint8_t)(1U << w);
	}
	if (!bm->flush_for)
		return;
	bm->flushing = true;
	bm->unflushed = false;
	action = core_act(core, AC_META_FLUSH);
	action->u.meta.tag = tag_make(TAG_BITMAP_FLUSH, vol->v);
	action->u.meta.vnr = vol->vnr;
	local_io_begin(core, vol, action->u.meta.tag, true, true);
}

/* What is written by now, and what `waiter` waits for, becomes durable. True = it is already. */
static bool make_durable(struct core *core, struct volume *vol, enum bm_waiter waiter)
{
	struct bitmap *bm = &vol->bm;

	if (!bm->waits[waiter] && !bm->unflushed) {
		if (!bm->flushing)
			return true;
		/* Nothing was written since it was sent. */
		bm->flush_for |= (uint8_t)(1U << waiter);
		return false;
	}
	bm->flush_wanted[waiter] = true;
	start_flush(core, vol);
	return false;
}

/* Asks for the granule's present content on disk. */
static void want_granule(struct bitmap *bm, uint32_t g, enum bm_waiter waiter)
{
	if (bm->state[g] & (BM_G_SET | BM_G_CLEARED)) {
		if (bm->state[g] & want_bit(waiter))
			return;
		bm->state[g] |= want_bit(waiter);
		bm->waits[waiter]++;
		set_want(bm, g, true);
		return;
	}
	if (!(bm->state[g] & BM_G_WRITING))
		return;
	for (unsigned i = 0; i < BM_WRITES_MAX; i++) {
		struct bm_write *w = &bm->writes[i];

		if (!w->busy || w->granule != g || (w->waiters >> waiter) & 1)
			continue;
		w->waiters |= (uint8_t)(1U << waiter);
		bm->waits[waiter]++;
	}
}

static void want_bits(struct bitmap *bm, uint64_t first, uint64_t end, enum bm_waiter waiter)
{
	uint32_t last;

	if (end > bm->bits)
		end = bm->bits;
	if (first >= end)
		return;
	last = granule_of(bm, end - 1, bm->slots - 1);
	for (uint32_t g = granule_of(bm, first, 0); g <= last; g++)
		if (bm->state[g] & (BM_G_SET | BM_G_WRITING))
			want_granule(bm, g, waiter);
}

bool bitmap_write_extent(struct core *core, struct volume *vol, uint32_t extent)
{
	struct bitmap *bm = &vol->bm;
	uint64_t first = (uint64_t)extent * EXTENT_BITS;

	want_bits(bm, first, first + EXTENT_BITS, BM_WAIT_AL);
	pump_writes(core, vol);
	return bm->waits[BM_WAIT_AL] > 0;
}

void bitmap_settle(struct core *core, struct volume *vol, uint64_t sector, uint64_t sectors)
{
	uint64_t first = sector / BM_BLOCK_SECTORS;

	want_bits(&vol->bm, first, (sector + sectors + BM_BLOCK_SECTORS - 1) / BM_BLOCK_SECTORS,
		  BM_WAIT_RESYNC);
	pump_writes(core, vol);
}

void bitmap_write_range(struct core *core, struct volume *vol, uint64_t sector, uint64_t sectors)
{
	want_bits(&vol->bm, sector / BM_BLOCK_SECTORS, (sector + sectors) / BM_BLOCK_SECTORS,
		  BM_WAIT_RANGE);
	bitmap_resume(core, vol);
	if (make_durable(core, vol, BM_WAIT_RANGE))
		resize_bitmap_durable(core, vol);
}

bool bitmap_range_is_durable(const struct volume *vol)
{
	const struct bitmap *bm = &vol->bm;

	return !bm->waits[BM_WAIT_RANGE] && !bm->flush_wanted[BM_WAIT_RANGE] &&
	       !(bm->flushing && bm->flush_for >> BM_WAIT_RANGE & 1);
}

void bitmap_resume(struct core *core, struct volume *vol)
{
	pump_writes(core, vol);
	start_flush(core, vol);
}

bool bitmap_settled(struct core *core, struct volume *vol)
{
	return make_durable(core, vol, BM_WAIT_RESYNC);
}

void bitmap_write_all(struct core *core, struct volume *vol)
{
	struct bitmap *bm = &vol->bm;
	uint64_t g = 0;

	while ((g = bits_next_set(bm->dirty, g, bm->granules)) != BITS_NONE)
		want_granule(bm, (uint32_t)g++, BM_WAIT_ALL);
	for (unsigned i = 0; i < BM_WRITES_MAX; i++)
		if (bm->writes[i].busy)
			want_granule(bm, bm->writes[i].granule, BM_WAIT_ALL);
	pump_writes(core, vol);
	make_durable(core, vol, BM_WAIT_ALL);
}

bool bitmap_is_clean(const struct volume *vol)
{
	const struct bitmap *bm = &vol->bm;

	return !bm->dirty_count && !bm->in_flight && !bm->unflushed && !bm->flushing;
}

/* ---- the FULL_SYNC guard ---- */

/* All bits that the guard stands for are on disk. */
static void guard_done(struct core *core, struct volume *vol)
{
	struct bitmap *bm = &vol->bm;

	for (unsigned n = 0; n < NODES_MAX; n++)
		if ((bm->guard_nodes >> n) & 1)
			vol->md.peers[n].flags &= ~MDF_PEER_FULL_SYNC;
	bm->guard_nodes = 0;
	md_sync(core, vol);
}

static void guard_check(struct core *core, struct volume *vol)
{
	struct bitmap *bm = &vol->bm;

	if (bm->guard_nodes && !bm->guard_seq && !bm->waits[BM_WAIT_ALL] &&
	    !bm->flush_wanted[BM_WAIT_ALL] && !bm->flushing)
		guard_done(core, vol);
}

void bitmap_md_durable(struct core *core, struct volume *vol)
{
	struct bitmap *bm = &vol->bm;

	if (!bm->guard_seq || vol->md_durable_seq < bm->guard_seq)
		return;
	bm->guard_seq = 0;
	bitmap_write_all(core, vol);
	guard_check(core, vol);
}

/* ---- completions ---- */

static void write_done(struct core *core, struct volume *vol, struct bm_write *w)
{
	struct bitmap *bm = &vol->bm;
	uint8_t waiters = w->waiters;

	bm->state[w->granule] &= (uint8_t)~BM_G_WRITING;
	w->busy = false;
	bm->in_flight--;
	bm->unflushed = true;
	for (unsigned i = 0; i < BM_WAITERS; i++) {
		if (!((waiters >> i) & 1))
			continue;
		ASSERT(bm->waits[i] > 0);
		bm->waits[i]--;
	}
	bitmap_resume(core, vol);
	resize_bitmap_idle(core, vol);
	core_work(core, WORK_PEERS);
	if ((waiters >> BM_WAIT_AL) & 1 && !bm->waits[BM_WAIT_AL])
		actlog_bitmap_clean(core, vol);
}

static void flush_done(struct core *core, struct volume *vol)
{
	struct bitmap *bm = &vol->bm;
	uint8_t done = bm->flush_for;

	bm->flush_for = 0;
	start_flush(core, vol);
	if ((done >> BM_WAIT_RESYNC) & 1)
		resync_bitmap_durable(core, vol);
	if ((done >> BM_WAIT_RANGE) & 1)
		resize_bitmap_durable(core, vol);
	guard_check(core, vol);
	/* A clean stop or the end of a Primary waits for a clean bitmap. */
	core_work(core, WORK_MD | WORK_PEERS);
}

/* Whoever waits for it waits until the disk is given up. */
static void write_failed(struct volume *vol, struct bm_write *w)
{
	struct bitmap *bm = &vol->bm;

	bm->state[w->granule] = (uint8_t)((bm->state[w->granule] & ~BM_G_WRITING) | BM_G_SET);
	set_dirty(bm, w->granule, true);
	w->busy = false;
	bm->in_flight--;
}

static void failed(struct core *core, struct volume *vol, int error, const char *what)
{
	volume_store_error(core, vol, error, what);
	core_work(core, WORK_PEERS);
}

void bitmap_meta_done(struct core *core, const struct ev_done *done)
{
	uint64_t rest = tag_rest(done->tag);
	struct volume *vol;
	struct bm_write *w;

	if (tag_kind(done->tag) == TAG_BITMAP_FLUSH) {
		vol = core->vol[rest];
		if (!vol->bm.flushing)
			return;
		vol->bm.flushing = false;
		if (done->error)
			failed(core, vol, done->error, "flush of the bitmap");
		else
			flush_done(core, vol);
		return;
	}
	vol = core->vol[rest >> 8];
	w = &vol->bm.writes[rest & 0xff];
	if (!w->busy)
		return;
	if (done->error) {
		write_failed(vol, w);
		failed(core, vol, done->error, "write of the bitmap");
		return;
	}
	if (w->page < last_page(&vol->bm) && (w->page + 1) >> vol->bm.granule_shift == w->granule) {
		w->page++;
		write_page(core, vol, (unsigned)(rest & 0xff));
		return;
	}
	write_done(core, vol, w);
}

/* ---- lazy writing of cleared bits ---- */

uint64_t bitmap_deadline(const struct core *core)
{
	uint64_t t = NEVER_NS;

	FOR_EACH_VOLUME(core, vol) {
		if (vol->bm.lazy_at_ns && vol->bm.lazy_at_ns < t)
			t = vol->bm.lazy_at_ns;
	}
	return t;
}

static void write_lazily(struct core *core, struct volume *vol)
{
	struct bitmap *bm = &vol->bm;
	unsigned taken = 0;
	uint64_t g = 0;

	bm->lazy_at_ns = 0;
	while ((g = bits_next_set(bm->dirty, g, bm->granules)) != BITS_NONE) {
		if (bm->state[g] & BM_G_CLEARED && !bits_test(bm->want, g)) {
			if (taken++ == LAZY_GRANULES_MAX) {
				bm->lazy_at_ns = core->now_ns + BM_LAZY_NS;
				break;
			}
			set_want(bm, (uint32_t)g, true);
		}
		g++;
	}
	pump_writes(core, vol);
}

void bitmap_time(struct core *core)
{
	FOR_EACH_VOLUME(core, vol) {
		if (vol->bm.lazy_at_ns && core->now_ns >= vol->bm.lazy_at_ns)
			write_lazily(core, vol);
	}
}

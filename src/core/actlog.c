/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The activity log of one volume: lookup, replacement, transactions, waiting writes. */
#include "core/actlog.h"

#include <string.h>

#include "core/core_hooks.h"
#include "core/request.h"

#define NO_SLOT UINT32_MAX
/* A smaller log cannot take one request of the largest size. */
#define SLOTS_MIN AL_EXTENTS_MIN
#define RING_SMALL_BLOCKS 72U
#define SLOTS_LIMIT 65534U
/* Long against the pauses of a program that works on an extent, short against a crash rate. */
#define AL_COOL_NS (10 * NS_PER_S)
/* One transaction also takes along what would be due soon. */
#define AL_COOL_SOON_NS (AL_COOL_NS / 2)

static uint32_t bucket_count_for(uint32_t slots)
{
	uint32_t n = 64;

	while (n < slots)
		n *= 2;
	return n;
}

static uint32_t conf_slots(const struct core_volume_conf *conf)
{
	uint32_t n = conf->disk.has_disk ? conf->disk.al_extents : 0;

	return n < SLOTS_MIN ? SLOTS_MIN : n > SLOTS_LIMIT ? SLOTS_LIMIT : n;
}

size_t actlog_mem_bytes(const struct core_volume_conf *conf)
{
	uint32_t slots = conf_slots(conf);

	return core_rounded(slots * sizeof(struct al_slot)) +
	       core_rounded(bucket_count_for(slots) * sizeof(uint32_t));
}

bool actlog_outgrows(const struct volume *vol, const struct core_volume_conf *conf)
{
	return conf_slots(conf) > vol->al.slots_room;
}

void actlog_create(struct core *core, struct volume *vol)
{
	struct actlog *al = &vol->al;

	al->slots_max = conf_slots(vol->conf);
	al->bucket_count = bucket_count_for(al->slots_max);
	if (al->slots_max > al->slots_room) {
		al->slots_room = al->slots_max;
		al->slots = core_arena(core, al->slots_max * sizeof(struct al_slot));
		al->buckets = core_arena(core, al->bucket_count * sizeof(uint32_t));
	}
	list_init(&al->waiting);
	list_init(&al->admitted);
	list_init(&al->granted);
}

/* ---- table ---- */

static uint32_t *bucket_of(const struct actlog *al, uint32_t extent)
{
	return &al->buckets[(extent * UINT32_C(2654435761) >> 8) & (al->bucket_count - 1)];
}

static struct al_slot *find(const struct actlog *al, uint32_t extent)
{
	uint32_t i = *bucket_of(al, extent);

	while (i != NO_SLOT && al->slots[i].extent != extent)
		i = al->slots[i].chain;
	return i == NO_SLOT ? NULL : &al->slots[i];
}

static void hash_insert(struct actlog *al, struct al_slot *slot)
{
	uint32_t *head = bucket_of(al, slot->extent);

	slot->chain = *head;
	*head = (uint32_t)(slot - al->slots);
}

static void hash_remove(struct actlog *al, const struct al_slot *slot)
{
	uint32_t *link = bucket_of(al, slot->extent);

	while (&al->slots[*link] != slot)
		link = &al->slots[*link].chain;
	*link = slot->chain;
}

static void lru_append(struct actlog *al, struct al_slot *slot)
{
	uint32_t i = (uint32_t)(slot - al->slots);

	slot->lru_next = NO_SLOT;
	slot->lru_prev = al->lru_tail;
	if (al->lru_tail == NO_SLOT)
		al->lru_head = i;
	else
		al->slots[al->lru_tail].lru_next = i;
	al->lru_tail = i;
	al->lru_count++;
}

static void lru_remove(struct actlog *al, struct al_slot *slot)
{
	if (slot->lru_prev == NO_SLOT)
		al->lru_head = slot->lru_next;
	else
		al->slots[slot->lru_prev].lru_next = slot->lru_next;
	if (slot->lru_next == NO_SLOT)
		al->lru_tail = slot->lru_prev;
	else
		al->slots[slot->lru_next].lru_prev = slot->lru_prev;
	al->lru_count--;
}

static void slot_ref(struct actlog *al, struct al_slot *slot)
{
	if (slot->refs++ > 0)
		return;
	lru_remove(al, slot);
	al->busy_count++;
}

static void slot_unref(struct actlog *al, struct al_slot *slot, uint64_t now_ns)
{
	ASSERT(slot->refs > 0);
	if (--slot->refs > 0)
		return;
	al->busy_count--;
	slot->idle_since_ns = now_ns;
	slot->written = al->written;
	lru_append(al, slot);
}

static void empty_push(struct actlog *al, struct al_slot *slot)
{
	slot->extent = AL_FREE;
	slot->lru_next = al->empty_head;
	al->empty_head = (uint32_t)(slot - al->slots);
	al->empty_count++;
}

static void evict(struct actlog *al, const struct al_slot *slot)
{
	al->evicted[al->evicted_count++] = slot->extent;
	if (slot->written > al->evicted_written)
		al->evicted_written = slot->written;
	hash_remove(al, slot);
}

/* A slot for a new extent, off all lists: an empty one, else the coldest, whose extent is
 * `evicted` then. */
static struct al_slot *slot_take(struct actlog *al)
{
	struct al_slot *slot;

	if (al->empty_head != NO_SLOT) {
		slot = &al->slots[al->empty_head];
		al->empty_head = slot->lru_next;
		al->empty_count--;
		return slot;
	}
	ASSERT(al->lru_head != NO_SLOT);
	slot = &al->slots[al->lru_head];
	lru_remove(al, slot);
	evict(al, slot);
	return slot;
}

void actlog_attach(struct core *core, struct volume *vol)
{
	struct actlog *al = &vol->al;
	uint64_t blocks = (uint64_t)vol->md.al_stripes * vol->md.al_stripe_4k;
	uint32_t n = al->slots_max;

	ASSERT(list_empty(&al->waiting) && list_empty(&al->admitted));
	/* A ring with one block being overwritten must still hold a whole context. */
	if (blocks > 1 && blocks <= RING_SMALL_BLOCKS && n > (blocks - 1) * AL_CONTEXT_MAX)
		n = (uint32_t)(blocks - 1) * AL_CONTEXT_MAX;
	al->slot_count = n;
	al->lru_head = al->lru_tail = al->empty_head = NO_SLOT;
	al->lru_count = al->empty_count = al->busy_count = 0;
	memset(al->buckets, 0xff, al->bucket_count * sizeof(uint32_t));
	memset(al->slots, 0, n * sizeof(al->slots[0]));
	for (uint32_t i = n; i-- > 0;)
		empty_push(al, &al->slots[i]);
	al->context_slot = 0;
	al->flushed = al->written;
	al->phase = AL_IDLE;
	al->incarnation++;
	al->usable = true;
	if (vol->md.al_nr_extents != n) {
		vol->md.al_nr_extents = n;
		md_dirty(core, vol);
	}
}

/* ---- references ---- */

/* A crash now would have the log replayed: without that mark on disk a hot extent protects
 * nothing. */
static bool log_counts(const struct volume *vol)
{
	return vol->md_durable_seq >= vol->md_mark_seq;
}

static bool ref_is_hot(struct actlog *al, const struct al_ref *ref)
{
	for (uint32_t i = 0; i < ref->extent_count; i++) {
		const struct al_slot *slot = find(al, ref->first_extent + i);

		if (!slot || slot->pending)
			return false;
	}
	return true;
}

/* References those extents of the range that the table has; the number of the others. */
static uint32_t ref_present(struct actlog *al, const struct al_ref *ref)
{
	uint32_t missing = 0;

	for (uint32_t i = 0; i < ref->extent_count; i++) {
		struct al_slot *slot = find(al, ref->first_extent + i);

		if (slot)
			slot_ref(al, slot);
		else
			missing++;
	}
	return missing;
}

static void unref_present(struct actlog *al, const struct al_ref *ref, uint64_t now_ns)
{
	for (uint32_t i = 0; i < ref->extent_count; i++) {
		struct al_slot *slot = find(al, ref->first_extent + i);

		if (slot)
			slot_unref(al, slot, now_ns);
	}
}

static void ref_mark_held(const struct actlog *al, struct al_ref *ref)
{
	ref->held = true;
	ref->incarnation = al->incarnation;
}

/* ---- transactions ---- */

/* The context is the table before the updates of its own transaction (8.3). */
static void block_begin(struct actlog *al)
{
	struct al_transaction *block = &al->block;

	memset(block, 0, sizeof(*block));
	block->number = al->number;
	block->context_size = (uint16_t)al->slot_count;
	block->context_start = (uint16_t)al->context_slot;
	for (uint32_t i = 0; i < AL_CONTEXT_MAX; i++) {
		uint32_t slot = al->context_slot + i;

		block->context[i] = slot < al->slot_count ? al->slots[slot].extent : AL_FREE;
	}
	al->evicted_count = 0;
	al->evicted_written = 0;
}

static void block_update(struct actlog *al, struct al_slot *slot)
{
	struct al_transaction *block = &al->block;

	ASSERT(!slot->pending && block->update_count < AL_UPDATES_MAX);
	slot->pending = true;
	block->update_slot[block->update_count] = (uint16_t)(slot - al->slots);
	block->update_extent[block->update_count] = slot->extent;
	block->update_count++;
}

static void block_add(struct actlog *al, uint32_t extent)
{
	struct al_slot *slot = slot_take(al);

	ASSERT(slot->refs == 0);
	slot->refs = 1;
	al->busy_count++;
	slot->extent = extent;
	hash_insert(al, slot);
	block_update(al, slot);
}

/* The coldest extent leaves the log; its slot is empty once the block is durable. */
static void block_drop_coldest(struct actlog *al)
{
	struct al_slot *slot = &al->slots[al->lru_head];

	lru_remove(al, slot);
	evict(al, slot);
	slot->extent = AL_FREE;
	block_update(al, slot);
}

/* Takes what the reference needs into the transaction; false when there is no room for it. */
static bool admit(struct actlog *al, struct al_ref *ref, uint64_t now_ns)
{
	uint32_t missing = ref_present(al, ref);

	if (missing + al->block.update_count > AL_UPDATES_MAX ||
	    missing > al->lru_count + al->empty_count) {
		unref_present(al, ref, now_ns);
		return false;
	}
	for (uint32_t i = 0; missing > 0; i++) {
		if (find(al, ref->first_extent + i))
			continue;
		block_add(al, ref->first_extent + i);
		missing--;
	}
	ref_mark_held(al, ref);
	return true;
}

/* Collects what the oldest waiters need, first come first served. */
static void collect(struct actlog *al, uint64_t now_ns)
{
	block_begin(al);
	while (!list_empty(&al->waiting)) {
		struct al_ref *ref = LIST_ENTRY(al->waiting.next, struct al_ref, waiting);
		bool hot = ref_is_hot(al, ref);

		if (!admit(al, ref, now_ns))
			break;
		list_del(&ref->waiting);
		list_push_back(hot ? &al->granted : &al->admitted, &ref->waiting);
	}
}

/* Bitmap pages of what is dropped from the log must be durable before the block that drops it. */
static void write_when_bitmap_clean(struct core *core, struct volume *vol)
{
	struct actlog *al = &vol->al;
	struct core_action *act;

	if (al->phase != AL_WRITES_BITMAP)
		return;
	while (al->evicted_count > 0) {
		if (bitmap_write_extent(core, vol, al->evicted[al->evicted_count - 1]))
			return;
		al->evicted_count--;
	}
	al->phase = AL_WRITES_BLOCK;
	al->context_slot += AL_CONTEXT_MAX;
	if (al->context_slot >= al->slot_count)
		al->context_slot = 0;
	al->block_in_flight = true;
	act = core_act(core, AC_META_AL);
	act->u.meta.tag = tag_make(TAG_AL, (uint64_t)al->incarnation << 8 | vol->v);
	act->u.meta.vnr = vol->vnr;
	act->u.meta.al = &al->block;
	local_io_begin(core, vol, act->u.meta.tag, true, true);
}

/* Non-nesting: a call may take and give back references. */
static void call_granted(struct core *core, struct volume *vol)
{
	struct actlog *al = &vol->al;

	if (al->calling)
		return;
	al->calling = true;
	while (!list_empty(&al->granted)) {
		struct al_ref *ref = LIST_ENTRY(al->granted.next, struct al_ref, waiting);

		list_del(&ref->waiting);
		ref->ready(core, vol, ref);
	}
	al->calling = false;
}

void actlog_data_flushed(struct core *core, struct volume *vol)
{
	struct actlog *al = &vol->al;

	if (!al->usable || al->phase != AL_FLUSHES_DATA)
		return;
	if (al->evicted_written > al->flushed) {
		local_flush(core, vol);
		return;
	}
	al->phase = AL_WRITES_BITMAP;
	write_when_bitmap_clean(core, vol);
}

/* What was put into the block goes to disk: the pages of all dropped extents at once, then the
 * block. */
static void block_write(struct core *core, struct volume *vol)
{
	struct actlog *al = &vol->al;

	al->phase = AL_FLUSHES_DATA;
	for (unsigned i = 0; i < al->evicted_count; i++)
		bitmap_write_extent(core, vol, al->evicted[i]);
	actlog_data_flushed(core, vol);
}

static void run(struct core *core, struct volume *vol)
{
	struct actlog *al = &vol->al;

	if (al->running || !log_counts(vol))
		return;
	al->running = true;
	while (al->usable && al->phase == AL_IDLE && !list_empty(&al->waiting)) {
		collect(al, core->now_ns);
		if (al->block.update_count > 0)
			block_write(core, vol);
		/* All slots are referenced: ask for what can be given up early. */
		if (list_empty(&al->waiting) || al->phase != AL_IDLE ||
		    !request_relieve_al(core, vol))
			break;
	}
	al->running = false;
	call_granted(core, vol);
}

bool actlog_get(struct core *core, struct volume *vol, struct al_ref *ref, uint64_t sector,
		uint32_t sectors,
		void (*ready)(struct core *core, struct volume *vol, struct al_ref *ref))
{
	struct actlog *al = &vol->al;

	ASSERT(sectors > 0 && !ref->held && !list_linked(&ref->waiting));
	if (!al->usable || core->conf.test_skip_al)
		return true;
	ref->first_extent = (uint32_t)(sector / AL_EXTENT_SECTORS);
	ref->extent_count =
		(uint32_t)((sector + sectors - 1) / AL_EXTENT_SECTORS) - ref->first_extent + 1;
	ref->ready = ready;
	ASSERT(ref->extent_count <= AL_UPDATES_MAX);
	if (log_counts(vol) && ref_is_hot(al, ref)) {
		ref_present(al, ref);
		ref_mark_held(al, ref);
		return true;
	}
	list_push_back(&al->waiting, &ref->waiting);
	run(core, vol);
	return false;
}

void actlog_put(struct core *core, struct volume *vol, struct al_ref *ref)
{
	struct actlog *al = &vol->al;

	list_del(&ref->waiting);
	if (!ref->held)
		return;
	ref->held = false;
	if (ref->incarnation != al->incarnation || !al->usable)
		return;
	unref_present(al, ref, core->now_ns);
	if (!list_empty(&al->waiting))
		run(core, vol);
	/* A shutdown may wait for it. */
	if (actlog_is_idle(vol))
		core_work(core, WORK_COMMAND);
}

void actlog_ref_init(struct al_ref *ref)
{
	memset(ref, 0, sizeof(*ref));
	list_init(&ref->waiting);
}

bool actlog_has_waiters(const struct volume *vol)
{
	return !list_empty(&vol->al.waiting);
}

void actlog_bitmap_clean(struct core *core, struct volume *vol)
{
	if (vol->al.usable)
		write_when_bitmap_clean(core, vol);
}

void actlog_md_durable(struct core *core, struct volume *vol)
{
	/* Also what got its block before the mark that makes it count. */
	if (vol->al.usable && (!list_empty(&vol->al.waiting) || !list_empty(&vol->al.granted)))
		run(core, vol);
}

void actlog_meta_done(struct core *core, const struct ev_done *done)
{
	uint64_t rest = tag_rest(done->tag);
	struct volume *vol = core->vol[rest & 0xff];
	struct actlog *al = &vol->al;

	al->block_in_flight = false;
	core_work(core, WORK_PEERS);
	if ((uint32_t)(rest >> 8) != al->incarnation || !al->usable)
		return;
	ASSERT(al->phase == AL_WRITES_BLOCK);
	if (done->error) {
		/* Stays in this phase, so that nothing is released, until the disk is given up. */
		volume_store_error(core, vol, done->error, "activity log");
		return;
	}
	al->number++;
	al->writes++;
	for (unsigned i = 0; i < al->block.update_count; i++) {
		struct al_slot *slot = &al->slots[al->block.update_slot[i]];

		slot->pending = false;
		if (slot->extent == AL_FREE)
			empty_push(al, slot);
	}
	al->phase = AL_IDLE;
	list_splice_back(&al->granted, &al->admitted);
	run(core, vol);
}

void actlog_disk_lost(struct core *core, struct volume *vol)
{
	struct actlog *al = &vol->al;

	if (!al->usable)
		return;
	al->usable = false;
	al->incarnation++;
	al->phase = AL_IDLE;
	al->evicted_count = 0;
	list_splice_back(&al->granted, &al->admitted);
	list_splice_back(&al->granted, &al->waiting);
	call_granted(core, vol);
}

/* When the coldest extent of the volume leaves the log. */
static uint64_t cools_at_ns(const struct volume *vol)
{
	const struct actlog *al = &vol->al;

	if (!al->usable || !log_counts(vol) || al->phase != AL_IDLE || al->lru_head == NO_SLOT ||
	    !list_empty(&al->waiting))
		return NEVER_NS;
	return al->slots[al->lru_head].idle_since_ns + AL_COOL_NS;
}

uint64_t actlog_deadline(const struct core *core)
{
	uint64_t t = NEVER_NS;

	FOR_EACH_VOLUME(core, vol) {
		uint64_t at = cools_at_ns(vol);

		t = at < t ? at : t;
	}
	return t;
}

static void cool(struct core *core, struct volume *vol)
{
	struct actlog *al = &vol->al;

	block_begin(al);
	while (al->lru_head != NO_SLOT && al->block.update_count < AL_UPDATES_MAX &&
	       al->slots[al->lru_head].idle_since_ns + AL_COOL_SOON_NS <= core->now_ns)
		block_drop_coldest(al);
	block_write(core, vol);
}

void actlog_time(struct core *core)
{
	FOR_EACH_VOLUME(core, vol) {
		if (cools_at_ns(vol) <= core->now_ns)
			cool(core, vol);
	}
}

uint32_t actlog_hot_count(const struct volume *vol)
{
	return vol->al.usable ? vol->al.slot_count - vol->al.empty_count : 0;
}

bool actlog_extent_busy(const struct volume *vol, uint32_t extent)
{
	const struct al_slot *slot = vol->al.usable ? find(&vol->al, extent) : NULL;

	return slot && slot->refs > 0;
}

bool actlog_is_idle(const struct volume *vol)
{
	const struct actlog *al = &vol->al;

	return list_empty(&al->waiting) && list_empty(&al->admitted) &&
	       (!al->usable || al->busy_count == 0);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Holds on sector ranges: who waits for whom. */
#include "core/hold.h"

#include "core/core_int.h"

/* Which active kinds a new hold of this kind waits for. */
static unsigned waits_for(enum hold_kind kind)
{
	switch (kind) {
	case HOLD_WRITE:
		return HOLD_WRITE | HOLD_RS_WRITE;
	case HOLD_RS_READ:
		return HOLD_WRITE | HOLD_RS_WRITE;
	case HOLD_RS_WRITE:
		return HOLD_RS_WRITE;
	}
	return 0;
}

void holds_init(struct holds *holds)
{
	range_map_init(&holds->map);
	list_init(&holds->waiting);
	list_init(&holds->granted);
	holds->calling = false;
}

void hold_init(struct hold *hold, enum hold_kind kind, uint64_t sector, uint32_t sectors,
	       void (*ready)(struct core *core, struct volume *vol, struct hold *hold))
{
	list_init(&hold->range.link);
	list_init(&hold->waiting);
	hold->range.sector = sector;
	hold->range.sectors = sectors;
	hold->kind = kind;
	hold->owner = HOLD_OF_OTHERS;
	hold->active = false;
	hold->ready = ready;
}

static bool overlap(const struct hold *a, const struct hold *b)
{
	return a->range.sector < b->range.sector + b->range.sectors &&
	       b->range.sector < a->range.sector + a->range.sectors;
}

static bool active_conflict(const struct holds *holds, const struct hold *hold)
{
	struct range *r = NULL;

	while ((r = range_map_overlap(&holds->map, hold->range.sector, hold->range.sectors, r)))
		if (LIST_ENTRY(r, struct hold, range)->kind & waits_for(hold->kind))
			return true;
	return false;
}

/*
 * `end` is the hold itself when it is queued, else the list head. A write of the other Primary does
 * not queue behind one of this node that has not begun: that may wait for an ack of the other
 * Primary, which may wait the same way for this one.
 */
static bool older_conflict(struct holds *holds, const struct hold *hold, const struct list *end)
{
	for (struct list *it = holds->waiting.next; it != end; it = it->next) {
		const struct hold *older = LIST_ENTRY(it, struct hold, waiting);

		if (hold->owner == HOLD_OF_PEER_WRITE && older->owner == HOLD_OF_REQUEST)
			continue;
		if ((older->kind & waits_for(hold->kind)) && overlap(older, hold))
			return true;
	}
	return false;
}

static void activate(struct holds *holds, struct hold *hold)
{
	hold->active = true;
	range_map_insert(&holds->map, &hold->range);
}

bool hold_acquire(struct core *core, struct volume *vol, struct hold *hold)
{
	struct holds *holds = &vol->holds;

	(void)core;
	ASSERT(!hold->active && !list_linked(&hold->waiting));
	if (active_conflict(holds, hold) || older_conflict(holds, hold, &holds->waiting)) {
		list_push_back(&holds->waiting, &hold->waiting);
		return false;
	}
	activate(holds, hold);
	return true;
}

/*
 * What waited for `gone` (given back, or out of the queue) and for nothing else becomes active.
 * The calls come last and never nest, so a long chain of waiters does not grow the stack.
 */
static void grant(struct core *core, struct volume *vol, const struct hold *gone)
{
	struct holds *holds = &vol->holds;

	LIST_FOR_EACH_SAFE(it, &holds->waiting) {
		struct hold *hold = LIST_ENTRY(it, struct hold, waiting);

		if (!overlap(hold, gone) || !(gone->kind & waits_for(hold->kind)) ||
		    active_conflict(holds, hold) || older_conflict(holds, hold, it))
			continue;
		list_del(it);
		activate(holds, hold);
		list_push_back(&holds->granted, it);
	}
	if (holds->calling)
		return;
	holds->calling = true;
	while (!list_empty(&holds->granted)) {
		struct hold *hold = LIST_ENTRY(holds->granted.next, struct hold, waiting);

		list_del(&hold->waiting);
		hold->ready(core, vol, hold);
	}
	holds->calling = false;
}

void hold_release(struct core *core, struct volume *vol, struct hold *hold)
{
	bool was_active = hold->active, was_waiting = list_linked(&hold->waiting);

	list_del(&hold->waiting);
	if (was_active) {
		hold->active = false;
		range_map_remove(&vol->holds.map, &hold->range);
	}
	if ((was_active || was_waiting) && !list_empty(&vol->holds.waiting))
		grant(core, vol, hold);
}

bool hold_write_overlaps(struct volume *vol, uint64_t sector, uint64_t sectors)
{
	struct range *r = NULL;

	while ((r = range_map_overlap(&vol->holds.map, sector, sectors, r)))
		if (LIST_ENTRY(r, struct hold, range)->kind == HOLD_WRITE)
			return true;
	return false;
}

bool hold_write_known(struct volume *vol, uint64_t sector, uint64_t sectors)
{
	LIST_FOR_EACH(it, &vol->holds.waiting) {
		const struct hold *hold = LIST_ENTRY(it, struct hold, waiting);

		if (hold->kind == HOLD_WRITE && hold->range.sector < sector + sectors &&
		    sector < hold->range.sector + hold->range.sectors)
			return true;
	}
	return hold_write_overlaps(vol, sector, sectors);
}

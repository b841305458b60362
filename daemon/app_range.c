/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which changes of one volume may be under way together. Whole-sector changes never wait for each
 * other: the core orders those that overlap. An exclusive one (it reads a sector, changes a part of
 * it and writes it) waits for every overlapping change, and every later one waits for it.
 */
#include "base/assert.h"
#include "fuse_int.h"

static bool overlaps(const struct app_req *a, const struct app_req *b)
{
	return a->first_sector < b->end_sector && b->first_sector < a->end_sector;
}

static bool conflicts(const struct app_req *a, const struct app_req *b)
{
	return (a->exclusive || b->exclusive) && overlaps(a, b);
}

/* Against all active ones, and against those that wait in front of it (up to `end`). */
static bool may_start(const struct app_req *r, struct list *end)
{
	struct volume *vol = r->vol;

	LIST_FOR_EACH(it, &vol->active_writes) {
		if (conflicts(r, LIST_ENTRY(it, struct app_req, link)))
			return false;
	}
	for (struct list *it = vol->waiting_writes.next; it != end; it = it->next) {
		if (conflicts(r, LIST_ENTRY(it, struct app_req, link)))
			return false;
	}
	return true;
}

bool app_range_enter(struct app_req *r)
{
	struct volume *vol = r->vol;
	bool start;

	if (r->exclusive)
		vol->exclusive_count++;
	start = vol->exclusive_count == 0 || may_start(r, &vol->waiting_writes);
	list_push_back(start ? &vol->active_writes : &vol->waiting_writes, &r->link);
	return start;
}

void app_range_leave(struct app_req *r, struct list *ready)
{
	struct volume *vol = r->vol;

	ASSERT(list_linked(&r->link));
	list_del(&r->link);
	if (r->exclusive)
		vol->exclusive_count--;
	LIST_FOR_EACH_SAFE(it, &vol->waiting_writes) {
		struct app_req *waiting = LIST_ENTRY(it, struct app_req, link);

		if (!may_start(waiting, it))
			continue;
		list_del(&waiting->link);
		list_push_back(&vol->active_writes, &waiting->link);
		list_push_back(ready, &waiting->blocked_link);
	}
}

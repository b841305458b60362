/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Resyncs of several resources: who has to wait for whom, told to their cores. */
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "core/core.h"
#include "core/resync_order.h"
#include "shard_int.h"

static unsigned volume_total(const struct shard *shard)
{
	unsigned count = 0;

	LIST_FOR_EACH(it, &shard->resources) {
		FOR_EACH_VOLUME(LIST_ENTRY(it, struct resource, link), vol)
			count++;
	}
	return count;
}

/* What is not up has no resync to wait for. */
static uint32_t slot_of(const struct shard *shard, const char *ref)
{
	char name[NAME_MAX_BYTES];
	uint32_t slot = 0;
	uint16_t vnr;

	if (!ref[0] || !conf_volume_ref(ref, name, &vnr))
		return RESYNC_AFTER_NONE;
	LIST_FOR_EACH(it, &shard->resources) {
		struct resource *res = LIST_ENTRY(it, struct resource, link);

		FOR_EACH_VOLUME(res, vol) {
			if (vol->vnr == vnr && str_eq(res->name, name))
				return slot;
			slot++;
		}
	}
	return RESYNC_AFTER_NONE;
}

static void fill(const struct shard *shard, struct resync_slot *slots)
{
	uint32_t group = 0;

	LIST_FOR_EACH(it, &shard->resources) {
		struct resource *res = LIST_ENTRY(it, struct resource, link);

		FOR_EACH_VOLUME(res, vol) {
			slots->after = slot_of(shard, vol->resync_after);
			slots->group = group;
			slots->parallel = vol->resync_parallel;
			if (!res->dead)
				core_resync(res->core, vol->vnr, &slots->busy, &slots->wants,
					    &slots->runs);
			slots++;
		}
		group++;
	}
}

static void tell(struct volume *vol, const struct resync_slot *slot)
{
	struct core_event ev = { .kind = EV_RESYNC_GATE };

	if (vol->resync_dependency == slot->dependency && vol->resync_parallel == slot->parallel)
		return;
	vol->resync_dependency = slot->dependency;
	vol->resync_parallel = slot->parallel;
	ev.u.gate.vnr = vol->vnr;
	ev.u.gate.dependency = slot->dependency;
	ev.u.gate.parallel = slot->parallel;
	resource_step(vol->res, &ev);
}

void shard_resync_order(struct shard *shard)
{
	unsigned count = volume_total(shard);
	struct resync_slot *slots = calloc(count ? count : 1, sizeof(*slots));
	struct resync_slot *slot = slots;

	/* Without memory it stays as it is until something changes again. */
	shard->resyncs_changed = false;
	if (!slots)
		return;
	fill(shard, slots);
	resync_order(slots, count, shard->conf.parallel_resyncs);
	LIST_FOR_EACH(it, &shard->resources) {
		struct resource *res = LIST_ENTRY(it, struct resource, link);

		FOR_EACH_VOLUME(res, vol) {
			if (!res->dead)
				tell(vol, slot);
			slot++;
		}
	}
	free(slots);
}

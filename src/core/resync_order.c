/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Decides which volumes of a node may resync now. */
#include "core/resync_order.h"

/* Something that it comes after, also by way of others, has a resync. */
static bool has_to_wait(const struct resync_slot *slots, unsigned count, uint32_t i)
{
	uint32_t at = slots[i].after;

	for (unsigned steps = 0; at < count && at != i && steps < count; steps++) {
		if (slots[at].busy)
			return true;
		at = slots[at].after;
	}
	return false;
}

/* One of its resource has a turn: that resource is finished before others begin. */
static bool group_is_on(const struct resync_slot *slots, unsigned count, unsigned i)
{
	uint32_t group = slots[i].group;

	while (i > 0 && slots[i - 1].group == group)
		i--;
	for (; i < count && slots[i].group == group; i++) {
		if (!slots[i].parallel && (slots[i].runs || slots[i].wants))
			return true;
	}
	return false;
}

/* Gives the next turns; returns how many are left. */
static unsigned admit(struct resync_slot *slots, unsigned count, unsigned room, bool same_group)
{
	for (unsigned i = 0; i < count && room; i++) {
		struct resync_slot *s = &slots[i];

		if (!s->parallel || !s->wants || s->dependency ||
		    (same_group && !group_is_on(slots, count, i)))
			continue;
		s->parallel = false;
		room--;
	}
	return room;
}

void resync_order(struct resync_slot *slots, unsigned count, unsigned limit)
{
	unsigned room = limit;

	for (unsigned i = 0; i < count; i++)
		slots[i].dependency = has_to_wait(slots, count, i);
	/* Who has a turn keeps it. */
	for (unsigned i = 0; i < count; i++) {
		struct resync_slot *s = &slots[i];
		bool has_turn = !s->parallel && (s->runs || s->wants) && !s->dependency;

		s->parallel = limit && !(has_turn && room);
		room -= limit && !s->parallel;
	}
	room = admit(slots, count, room, true);
	room = admit(slots, count, room, false);
	/* Who does not want one may begin at once as long as there is room. */
	for (unsigned i = 0; i < count; i++) {
		if (!slots[i].wants && room)
			slots[i].parallel = false;
	}
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The command before peers come: each finds a bitmap slot, in larger metadata if need be. */
#include "core/cluster.h"
#include "core/command.h"
#include "core/core_hooks.h"
#include "core/resize.h"

#define LOOK_NS (10 * NS_PER_MS)

enum { SLOTS_BEGIN, SLOTS_ADDED };

/* As many as there have to be. */
static unsigned slots_for(const struct volume *vol, uint64_t nodes)
{
	unsigned slots = vol->bm.slots, free = (unsigned)__builtin_popcount(vol->bm.free_slots);

	for (unsigned n = 0; n < NODES_MAX; n++) {
		if (!(nodes >> n & 1) || bitmap_slot(vol, n) >= 0)
			continue;
		if (free)
			free--;
		else
			slots++;
	}
	return slots;
}

/* Another size, or a part in agreeing on one: both may need the room that is there now. */
static bool is_busy(const struct core *core, const struct volume *vol)
{
	return vol->phase == VOL_ATTACHING || vol->resize.phase != RESIZE_NONE ||
	       vol->resize.busy || core->twopc.phase != TWOPC_IDLE;
}

static enum command_progress begin(struct core *core, const struct ev_command *ev,
				   struct volume *vol)
{
	if (is_busy(core, vol)) {
		core->commands.deadline_ns = core->now_ns + LOOK_NS;
		return COMMAND_WAITS;
	}
	/* Without metadata here an attach makes them. */
	if (!vol_has_md(vol) || disk_of(core, vol) <= DISK_FAILED ||
	    slots_for(vol, ev->nodes) == vol->bm.slots) {
		command_reply(core, SS_SUCCESS, "volume %u has a bitmap slot for every peer",
			      vol->vnr);
		return COMMAND_DONE;
	}
	resize_add_slots(core, vol, slots_for(vol, ev->nodes));
	command_goto(core, SLOTS_ADDED);
	return COMMAND_WAITS;
}

enum command_progress command_reserve_slots(struct core *core, const struct ev_command *ev)
{
	struct volume *vol = command_volume(core, ev);

	if (!vol)
		return COMMAND_DONE;
	if (core->commands.step == SLOTS_BEGIN)
		return begin(core, ev, vol);
	if (vol->resize.phase != RESIZE_NONE)
		return COMMAND_WAITS;
	if (vol->resize.reason[0])
		command_reply(core, SS_LOWER_THAN_OUTDATED,
			      "volume %u lacks bitmap slots: %s", vol->vnr,
			      vol->resize.reason);
	else
		command_reply(core, SS_SUCCESS, "volume %u has %u bitmap slots now", vol->vnr,
			      vol->bm.slots);
	return COMMAND_DONE;
}

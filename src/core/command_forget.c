/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The command forget-peer: a node that is not configured any more gives its bitmap slot back
 * (states-and-resync 7.2). Whoever gets a slot without owner is taken for a node that has been
 * absent since day 0: the slot has to mark as much, and the reference towards the node has to be
 * that of all others without a slot, not none.
 */
#include "core/cluster.h"
#include "core/command.h"
#include "core/core_hooks.h"
#include "core/resync_int.h"

enum { FORGET_BEGINS, FORGET_MARKS, FORGET_NAMES };

/* A node that never had a slot: what it is behind everybody else without one is behind, too. */
static const struct md_peer *day_0_entry(const struct core *core, const struct volume *vol,
					 unsigned except)
{
	for (unsigned n = 0; n < NODES_MAX; n++) {
		const struct md_peer *mp = &vol->md.peers[n];

		if (n != core->self && n != except && !core->peer[n] && mp->bitmap_index < 0 &&
		    !mp->flags)
			return mp;
	}
	return NULL;
}

static bool is_known(const struct core *core, const struct volume *vol, unsigned p)
{
	const struct md_peer *mp = &vol->md.peers[p], *day_0 = day_0_entry(core, vol, p);

	return mp->flags || mp->bitmap_index >= 0 ||
	       (day_0 && mp->bitmap_uuid != day_0->bitmap_uuid);
}

/* The slot may say too much, never too little. */
static void mark(struct core *core, struct volume *vol, unsigned p)
{
	int slot = bitmap_slot(vol, p);
	uint32_t free_slots = bitmap_slots_free(vol);

	if (slot < 0)
		return;
	if (free_slots)
		bitmap_copy_slot(core, vol, (unsigned)__builtin_ctz(free_slots), (unsigned)slot);
	else
		bitmap_set(core, vol, UINT32_C(1) << slot, 0, vol->bm.sectors);
	bitmap_write_range(core, vol, 0, vol->bm.sectors);
}

static void name(struct core *core, struct volume *vol, unsigned p)
{
	struct md_peer *mp = &vol->md.peers[p];
	const struct md_peer *day_0 = day_0_entry(core, vol, p);

	if (day_0) {
		/* Should it come back, it is behind, and not a stranger. */
		uuid_push_history(vol, mp->bitmap_uuid, p);
		mp->bitmap_uuid = day_0->bitmap_uuid;
		mp->bitmap_dagtag = day_0->bitmap_dagtag;
	}
	mp->flags = 0;
	bitmap_free_slot(vol, p);
	vol->forget_seq = md_sync(core, vol);
}

static enum command_progress forget_begins(struct core *core, const struct ev_command *ev)
{
	unsigned attached = 0, known = 0;

	FOR_EACH_VOLUME(core, vol) {
		if (!vol_has_disk(core, vol))
			continue;
		attached++;
		known += is_known(core, vol, ev->peer);
	}
	if (!attached) {
		command_reply(core, SS_NO_LOCAL_DISK,
			      "no volume is attached: attach them, their metadata know the node");
		return COMMAND_DONE;
	}
	if (!known) {
		command_reply(core, SS_NOTHING_TO_DO, "node %u is not known to any volume",
			      ev->peer);
		return COMMAND_DONE;
	}
	FOR_EACH_VOLUME(core, vol) {
		if (vol_has_disk(core, vol))
			mark(core, vol, ev->peer);
	}
	command_goto(core, FORGET_MARKS);
	return COMMAND_WAITS;
}

static enum command_progress forget_marks(struct core *core, const struct ev_command *ev)
{
	FOR_EACH_VOLUME(core, vol) {
		if (vol_has_disk(core, vol) && !bitmap_range_is_durable(vol))
			return COMMAND_WAITS;
	}
	core->members &= ~node_bit(ev->peer);
	core->far_primaries &= ~node_bit(ev->peer);
	FOR_EACH_VOLUME(core, vol) {
		if (!vol_has_disk(core, vol))
			continue;
		vol->md.members = core->members;
		name(core, vol, ev->peer);
	}
	command_goto(core, FORGET_NAMES);
	return COMMAND_WAITS;
}

enum command_progress command_forget_peer(struct core *core, const struct ev_command *ev)
{
	if (ev->peer >= NODES_MAX || ev->peer == core->self) {
		command_reply(core, SS_NOT_SUPPORTED, "node id %u is %s", ev->peer,
			      ev->peer == core->self ? "this node's own" : "none");
		return COMMAND_DONE;
	}
	if (core->peer[ev->peer]) {
		command_reply(core, SS_NOT_SUPPORTED,
			      "node %u (%s) is configured: take it out of the configuration and "
			      "adjust first", ev->peer, core->peer[ev->peer]->conf->name);
		return COMMAND_DONE;
	}
	if (core->commands.step == FORGET_BEGINS)
		return forget_begins(core, ev);
	if (core->commands.step == FORGET_MARKS)
		return forget_marks(core, ev);
	FOR_EACH_VOLUME(core, vol) {
		if (vol_has_disk(core, vol) && vol->md_durable_seq < vol->forget_seq)
			return COMMAND_WAITS;
	}
	/* All disks that are left may be in sight. */
	core_work(core, WORK_SYNC);
	command_reply(core, SS_SUCCESS, "node %u is forgotten", ev->peer);
	return COMMAND_DONE;
}

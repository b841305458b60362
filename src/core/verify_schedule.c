/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Verify on a schedule: any two good disks are compared once in verify-interval, by whichever of
 * the two nodes finds it due first. One that was ended goes on where it was.
 */
#include "core/command.h"
#include "core/core_hooks.h"
#include "core/resync_int.h"

/* When something is in the way. */
#define RETRY_NS (30 * NS_PER_S)
/* A part of the interval: so that not all resources of all nodes begin at once. */
#define JITTER_DIVISOR 8

static uint64_t interval_ns(const struct core *core)
{
	return core->conf.verify_interval_s * NS_PER_S;
}

static uint64_t random_below(struct core *core, uint64_t limit)
{
	return core_random64(core) % limit;
}

void verify_schedule_next(struct core *core, struct peer_device *pd)
{
	uint64_t interval = interval_ns(core);

	if (interval)
		pd->ov.due_at_ns = core->now_ns + interval +
				   random_below(core, interval / JITTER_DIVISOR);
}

void verify_schedule_changed(struct core *core)
{
	FOR_EACH_VOLUME(core, vol)
		FOR_EACH_PEER(core, peer)
			peer->pd[vol->v].ov.due_at_ns = 0;
}

/* Nothing else goes on with this volume, nor is about to, and both disks are good. */
static bool may_begin(const struct core *core, const struct volume *vol, const struct peer *peer)
{
	if (bitmap_weight(vol, peer->id) && !peer->pd[vol->v].ov.found)
		return false;
	if (core->commands.count || command_may_verify(core, peer, vol) < SS_SUCCESS)
		return false;
	FOR_EACH_PEER(core, other)
		if (repl_of(core, &other->pd[vol->v]) > REPL_ESTABLISHED)
			return false;
	return true;
}

static void time_of(struct core *core, const struct volume *vol, const struct peer *peer,
		    struct verify *ov)
{
	/* A node does not remember the last one: at random, so that restarts do not postpone it. */
	if (!ov->due_at_ns)
		ov->due_at_ns = core->now_ns + random_below(core, interval_ns(core));
	if (core->now_ns < ov->due_at_ns)
		return;
	ov->due_at_ns = core->now_ns +
			(interval_ns(core) < RETRY_NS ? interval_ns(core) : RETRY_NS);
	if (!may_begin(core, vol, peer))
		return;
	ov->begin_due = true;
	core_work(core, WORK_COMMAND);
}

void verify_schedule_time(struct core *core)
{
	if (!interval_ns(core))
		return;
	FOR_EACH_VOLUME(core, vol)
		FOR_EACH_PEER(core, peer)
			if (vol->conf->disk.has_disk && peer->conf->has_disk[vol->v])
				time_of(core, vol, peer, &peer->pd[vol->v].ov);
}

uint64_t verify_schedule_deadline(const struct core *core)
{
	uint64_t t = NEVER_NS;

	if (!interval_ns(core))
		return NEVER_NS;
	FOR_EACH_VOLUME(core, vol)
		FOR_EACH_PEER(core, peer)
			if (vol->conf->disk.has_disk && peer->conf->has_disk[vol->v] &&
			    peer->pd[vol->v].ov.due_at_ns < t)
				t = peer->pd[vol->v].ov.due_at_ns;
	return t;
}

bool verify_next_command(struct core *core, struct ev_command *ev)
{
	FOR_EACH_VOLUME(core, vol) {
		FOR_EACH_PEER(core, peer) {
			struct verify *ov = &peer->pd[vol->v].ov;

			*ev = (struct ev_command){ .vnr = vol->vnr, .peer = peer->id };
			if (ov->repair_due && keepalive_answered(peer, ov->ping)) {
				ov->repair_due = false;
				ev->cmd = CMD_INVALIDATE_REMOTE;
				ev->keep_bitmap = ev->repair = true;
				return true;
			}
			if (ov->begin_due) {
				ov->begin_due = false;
				ev->cmd = CMD_VERIFY;
				return true;
			}
		}
	}
	return false;
}

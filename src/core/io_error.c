/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What an error of the local disk leads to (states-and-resync 4.11). */
#include <stdio.h>
#include <string.h>

#include "core/cluster.h"
#include "core/core_hooks.h"
#include "core/state.h"

/* False: the disk is gone already, or going; only the first error counts. */
static bool note_error(struct core *core, struct volume *vol, int error, const char *what)
{
	enum disk_state disk = disk_of(core, vol);

	if (vol->phase != VOL_ATTACHED || vol->io_failed ||
	    (disk <= DISK_FAILED && disk != DISK_DETACHING && disk != DISK_ATTACHING))
		return false;
	snprintf(vol->reason, sizeof(vol->reason), "local disk: %s failed: %s", what,
		 strerrordesc_np(-error));
	core_log(core, LOG_LEVEL_ERR, "%s/%u: %s", core->conf.name, vol->vnr, vol->reason);
	core->notify = true;
	return true;
}

static void give_up(struct core *core, struct volume *vol)
{
	vol->io_failed = true;
	core_work(core, WORK_PEERS);
	/* On its way out anyway: only the orderly end is given up. */
	if (core->in_change || core->in_effects || disk_of(core, vol) == DISK_DETACHING)
		return;
	state_begin(core)->vol[vol->v].disk = DISK_FAILED;
	state_end(core, STATE_HARD);
}

void volume_hangs(struct core *core, struct volume *vol, uint64_t ns)
{
	/* What is on its way there may arrive or not: nothing that is later can be told. */
	vol->md_failed = true;
	core->notify = true;
	core_work(core, WORK_PEERS);
	if (vol->io_failed)
		return;
	snprintf(vol->reason, sizeof(vol->reason), "local disk: no answer for %u.%u s",
		 (unsigned)(ns / NS_PER_S), (unsigned)(ns % NS_PER_S / (NS_PER_S / 10)));
	core_log(core, LOG_LEVEL_ERR, "%s/%u: %s", core->conf.name, vol->vnr, vol->reason);
	give_up(core, vol);
}

void volume_too_small(struct core *core, struct volume *vol)
{
	snprintf(vol->reason, sizeof(vol->reason),
		 "the disk is smaller than the volume that the peers have: enlarge it");
	core->notify = true;
	if (!vol->io_failed)
		give_up(core, vol);
}

void volume_store_error(struct core *core, struct volume *vol, int error, const char *what)
{
	bool first = note_error(core, vol, error, what);

	if (vol->phase == VOL_ATTACHED)
		vol->md_failed = true;
	core_work(core, WORK_PEERS);
	if (first)
		give_up(core, vol);
}

void volume_io_error(struct core *core, struct volume *vol, int error, const char *what)
{
	struct state *next;

	if (!note_error(core, vol, error, what))
		return;
	if (vol->conf->disk.on_io_error != IOERR_PASS_ON || core->in_change || core->in_effects) {
		give_up(core, vol);
		return;
	}
	/* pass_on: stays attached, but its contents are no longer trusted. */
	if (disk_of(core, vol) <= DISK_INCONSISTENT)
		return;
	next = state_begin(core);
	next->vol[vol->v].disk = DISK_INCONSISTENT;
	state_end(core, STATE_HARD);
}

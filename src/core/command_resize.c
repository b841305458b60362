/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The command resize, and what its two-phase commit asks and decides (states-and-resync 7.1). */
#include <stdio.h>

#include "core/cluster.h"
#include "core/command.h"
#include "core/core_hooks.h"
#include "core/drbd8.h"
#include "core/resize.h"

static unsigned long long kib(uint64_t sectors)
{
	return (unsigned long long)(sectors / 2);
}

/* ---- the two-phase commit ---- */

uint64_t resize_possible(const struct volume *vol)
{
	uint64_t limit = whole_blocks(vol->conf->disk.size_sectors);

	return limit && limit < vol->resize.possible_sectors ? limit : vol->resize.possible_sectors;
}

uint64_t resize_own_max(const struct core *core, const struct twopc_change *change)
{
	for (unsigned v = 0; v < core->vol_count; v++) {
		const struct volume *vol = core->vol[v];

		if (vol->vnr == change->vnr && vol_has_disk(core, vol))
			return resize_possible(vol);
	}
	return RESIZE_SECTORS_MAX;
}

enum state_rv resize_try(const struct core *core, const struct twopc_change *change)
{
	FOR_EACH_PEER(core, peer) {
		if (peer_connected(core, peer) && peer_is_drbd8(peer))
			return SS_NOT_SUPPORTED;
	}
	for (unsigned v = 0; v < core->vol_count; v++) {
		const struct volume *vol = core->vol[v];
		enum disk_state disk = disk_of(core, vol);

		if (vol->vnr != change->vnr)
			continue;
		if (vol->resize.phase != RESIZE_NONE || disk == DISK_ATTACHING ||
		    disk == DISK_NEGOTIATING || disk == DISK_DETACHING || disk == DISK_FAILED)
			return SS_IN_TRANSIENT_STATE;
		/* What is new comes from the one or the other of them, with all that is marked. */
		if (vol_has_md(vol) && disk != DISK_UP_TO_DATE)
			return SS_NO_UP_TO_DATE_DISK;
		if (change->user_sectors && change->user_sectors < vol->size_sectors &&
		    vol->open_rw + vol->open_ro > 0)
			return SS_DEVICE_IN_USE;
		FOR_EACH_PEER(core, peer) {
			if (repl_of(core, &peer->pd[v]) > REPL_ESTABLISHED)
				return SS_RESYNC_RUNNING;
		}
	}
	return SS_SUCCESS;
}

/* One whose disk has had no say; NULL = there is none. */
static const struct peer *silent_peer(const struct core *core, const struct volume *vol)
{
	FOR_EACH_PEER(core, peer) {
		enum disk_state pdsk = pdsk_of(core, &peer->pd[vol->v]);

		if (!peer->conf->has_disk[vol->v])
			continue;
		if (!(core->twopc.reachable & node_bit(peer->id)) ||
		    (peer_connected(core, peer) &&
		     (pdsk < DISK_INCONSISTENT || pdsk == DISK_UNKNOWN)))
			return peer;
	}
	return NULL;
}

static enum state_rv refuse_shrink(const struct core *core, struct volume *vol, bool named)
{
	const struct twopc *tp = &core->twopc;
	const struct peer *silent = silent_peer(core, vol);
	char *reason = vol->resize.reason;

	if (!named) {
		snprintf(reason, sizeof(vol->resize.reason),
			 "one of the disks (or its disk-size) has room for %llu KiB, less than "
			 "the volume has: it shrinks only to a size that --size names",
			 kib(tp->max_sectors));
		return SS_LOWER_THAN_OUTDATED;
	}
	if (tp->primary || cluster_primaries(core, &core->st)) {
		snprintf(reason, sizeof(vol->resize.reason),
			 "it can shrink only while no node is Primary");
		return SS_DEVICE_IN_USE;
	}
	if (silent && !(tp->change.dds_flags & DDS_ASSUME_PEER_HAS_SPACE)) {
		snprintf(reason, sizeof(vol->resize.reason),
			 "the disk of %s is not in sight and would bring the larger size back: "
			 "connect and attach it first",
			 silent->conf->name);
		return SS_NEED_CONNECTION;
	}
	return SS_SUCCESS;
}

static enum state_rv refuse_growth(const struct core *core, struct volume *vol, uint64_t wanted)
{
	const struct twopc *tp = &core->twopc;
	const struct peer *silent = silent_peer(core, vol);
	char *reason = vol->resize.reason;

	if (wanted > tp->max_sectors) {
		if (!reason[0] || wanted <= resize_possible(vol))
			snprintf(reason, sizeof(vol->resize.reason),
				 "%llu KiB do not fit: one of the disks (or its disk-size) has "
				 "room for %llu KiB, that of this node for %llu KiB",
				 kib(wanted), kib(tp->max_sectors), kib(resize_possible(vol)));
		return SS_LOWER_THAN_OUTDATED;
	}
	if (silent && !(tp->change.dds_flags & DDS_ASSUME_PEER_HAS_SPACE)) {
		snprintf(reason, sizeof(vol->resize.reason),
			 "the disk of %s is not in sight, it may be too small: connect and attach "
			 "it, or say --assume-peer-has-space",
			 silent->conf->name);
		return SS_NEED_CONNECTION;
	}
	return SS_SUCCESS;
}

enum state_rv resize_decide(struct core *core)
{
	struct twopc *tp = &core->twopc;
	struct volume *vol = core_volume_by_vnr(core, tp->change.vnr);
	uint64_t user = whole_blocks(tp->change.user_sectors);
	uint64_t size = user ? user : whole_blocks(tp->max_sectors);

	tp->new_sectors = size;
	if (size == vol->size_sectors)
		return SS_NOTHING_TO_DO;
	if (size > vol->size_sectors)
		return refuse_growth(core, vol, size);
	return refuse_shrink(core, vol, user != 0);
}

/* ---- the command ---- */

enum { RESIZE_BEGINS, RESIZE_MEASURED, RESIZE_AGREED, RESIZE_TAKES_EFFECT };

static enum command_progress refused(struct core *core, const struct volume *vol, enum state_rv rv)
{
	const char *reason = vol->resize.reason;

	command_reply(core, rv, "cannot resize volume %u: %s", vol->vnr,
		      reason[0] ? reason : state_rv_text(rv));
	return COMMAND_DONE;
}

static enum command_progress measured(struct core *core, const struct ev_command *ev,
				      struct volume *vol)
{
	struct twopc_change change = {
		.kind = TWOPC_RESIZE, .target = -1, .vnr = vol->vnr,
		.user_sectors = whole_blocks(ev->size_sectors),
		.dds_flags = (uint16_t)((ev->force ? DDS_ASSUME_PEER_HAS_SPACE : 0) |
					(ev->assume_clean ? DDS_NO_RESYNC : 0)),
	};

	if (vol->resize.busy)
		return COMMAND_WAITS;
	if (!vol->resize.possible_sectors)
		return refused(core, vol, SS_NO_LOCAL_DISK);
	command_twopc(core, &change, RESIZE_AGREED);
	return COMMAND_WAITS;
}

static enum command_progress agreed(struct core *core, struct volume *vol)
{
	/* The store has grown, and its metadata are not at its end any more. */
	if (vol->resize.phase == RESIZE_NONE && vol_has_disk(core, vol) &&
	    vol->resize.possible_sectors > vol->data_sectors)
		resize_follow(core, vol, vol->size_sectors);
	command_goto(core, RESIZE_TAKES_EFFECT);
	return COMMAND_WAITS;
}

static enum command_progress took_effect(struct core *core, const struct volume *vol)
{
	if (vol->resize.phase != RESIZE_NONE)
		return COMMAND_WAITS;
	if (core->commands.twopc_rv < SS_SUCCESS)
		return refused(core, vol, core->commands.twopc_rv);
	if (disk_of(core, vol) <= DISK_FAILED)
		return refused(core, vol, SS_NO_LOCAL_DISK);
	command_reply(core, SS_SUCCESS, "volume %u has %llu KiB, its disk has room for %llu KiB",
		      vol->vnr, kib(vol->size_sectors), kib(vol->data_sectors));
	return COMMAND_DONE;
}

enum command_progress command_resize(struct core *core, const struct ev_command *ev)
{
	struct volume *vol = core_volume_in_use(core, ev->vnr);

	if (!vol) {
		command_reply(core, SS_UNKNOWN_ERROR, "%s has no volume %u", core->conf.name,
			      ev->vnr);
		return COMMAND_DONE;
	}
	switch (core->commands.step) {
	case RESIZE_BEGINS:
		if (!vol->size_sectors || !resize_measure(core, vol))
			return refused(core, vol, SS_NO_LOCAL_DISK);
		command_goto(core, RESIZE_MEASURED);
		return COMMAND_WAITS;
	case RESIZE_MEASURED:
		return measured(core, ev, vol);
	case RESIZE_AGREED:
		return agreed(core, vol);
	default:
		return took_effect(core, vol);
	}
}

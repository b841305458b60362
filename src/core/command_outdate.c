/* SPDX-License-Identifier: GPL-2.0-or-later */
/* `outdate`: another node goes on without this one. Its fence-peer handler relies on the reply. */
#include "core/cluster.h"
#include "core/command.h"
#include "core/core_hooks.h"
#include "core/state.h"

#define LOOK_NS (100 * NS_PER_MS)

enum { OUTDATE_BEGIN, OUTDATE_WRITING };

static enum command_progress wait_a_moment(struct core *core)
{
	core->commands.deadline_ns = core->now_ns + LOOK_NS;
	return COMMAND_WAITS;
}

/* It has not got the generation that is here, nor has it seen that without its disk. */
static bool lacks_ours(const struct volume *vol, const struct peer *peer)
{
	return vol->md.peers[peer->id].bitmap_uuid != 0 &&
	       !uuid_eq(peer->pd[vol->v].shown_uuid, vol->md.current_uuid);
}

/*
 * A node that was fenced, and does not know it, asks: this one may have been Primary without it. If
 * nobody is named, somebody has to be left who could go on.
 */
static bool asked_by_older(const struct core *core, const struct volume *vol,
			   const struct ev_command *ev)
{
	enum disk_state disk = disk_of(core, vol);
	bool others = false;

	if (!vol_has_md(vol) || disk < DISK_OUTDATED)
		return false;
	if (ev->has_peer)
		return ev->peer < NODES_MAX && core->peer[ev->peer] &&
		       lacks_ours(vol, core->peer[ev->peer]);
	FOR_EACH_PEER(core, peer) {
		if (!peer->conf->has_disk[vol->v])
			continue;
		if (peer_connected(core, peer) || !lacks_ours(vol, peer))
			return false;
		others = true;
	}
	return others && disk > DISK_OUTDATED;
}

static enum command_progress begin(struct core *core, struct volume *vol,
				   const struct ev_command *ev)
{
	enum disk_state disk = disk_of(core, vol);
	enum state_rv rv;

	/* What this node has agreed to may make it, or a peer, Primary. */
	if (core->twopc.phase != TWOPC_IDLE || disk == DISK_NEGOTIATING || disk == DISK_ATTACHING)
		return wait_a_moment(core);
	if (core->st.role == ROLE_PRIMARY) {
		command_reply(core, SS_TWO_PRIMARIES, "this node is Primary");
		return COMMAND_DONE;
	}
	if (disk < DISK_INCONSISTENT) {
		command_reply(core, SS_IS_DISKLESS, "volume %u has no disk attached", vol->vnr);
		return COMMAND_DONE;
	}
	if (asked_by_older(core, vol, ev)) {
		command_reply(core, SS_PRIMARY_NOP,
			      "volume %u has newer data than the node that would go on", vol->vnr);
		return COMMAND_DONE;
	}
	if (disk > DISK_OUTDATED) {
		state_begin(core)->vol[vol->v].disk = DISK_OUTDATED;
		rv = state_end(core, STATE_SOFT);
		if (rv < SS_SUCCESS) {
			command_reply(core, rv, "volume %u cannot be Outdated: %s", vol->vnr,
				      state_rv_text(rv));
			return COMMAND_DONE;
		}
	}
	(void)md_sync(core, vol);
	command_goto(core, OUTDATE_WRITING);
	return COMMAND_WAITS;
}

enum command_progress command_outdate(struct core *core, const struct ev_command *ev)
{
	struct volume *vol = command_volume(core, ev);
	enum disk_state disk;

	if (!vol)
		return COMMAND_DONE;
	if (core->commands.step == OUTDATE_BEGIN)
		return begin(core, vol, ev);
	disk = disk_of(core, vol);
	if (vol_has_md(vol) && disk >= DISK_INCONSISTENT && disk <= DISK_OUTDATED &&
	    vol->md_durable_seq < vol->md_seq)
		return wait_a_moment(core);
	if (disk < DISK_INCONSISTENT || disk > DISK_OUTDATED)
		command_reply(core, SS_IN_TRANSIENT_STATE, "volume %u is %s by now", vol->vnr,
			      disk_state_name(disk));
	else
		command_reply(core, SS_SUCCESS, "volume %u is %s", vol->vnr,
			      disk_state_name(disk));
	return COMMAND_DONE;
}

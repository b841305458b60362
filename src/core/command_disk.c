/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Commands about disks: attach, detach, invalidate, new-current-uuid. */
#include <stdio.h>

#include "core/cluster.h"
#include "core/command.h"
#include "core/core_hooks.h"
#include "core/drbd8.h"
#include "core/state.h"

struct volume *command_volume(struct core *core, const struct ev_command *ev)
{
	struct volume *vol = core_volume_in_use(core, ev->vnr);

	if (!vol)
		command_reply(core, SS_UNKNOWN_ERROR, "%s has no volume %u", core->conf.name,
			      ev->vnr);
	return vol;
}

struct twopc_change command_disk_change(const struct volume *vol, enum disk_state disk)
{
	return (struct twopc_change){
		.kind = TWOPC_DISK,
		.target = -1,
		.vnr = vol->vnr,
		.mask = SW_DISK_MASK,
		.val = (uint32_t)disk << SW_DISK_SHIFT,
	};
}

/* For outstanding I/O of a disk that is going. */
#define DISK_QUIET_NS NS_PER_S
/* It reads the whole bitmap; its requests are not known here, each may be as slow as allowed. */
#define ATTACH_REQUESTS UINT64_C(10)

/* The disk is not quiet in time: what hangs is not waited for any more. */
static bool hangs(struct core *core)
{
	struct commands *c = &core->commands;

	if (c->deadline_ns == NEVER_NS)
		c->deadline_ns = core->now_ns + DISK_QUIET_NS;
	return core->now_ns >= c->deadline_ns;
}

static unsigned requests_at(const struct volume *vol)
{
	return vol->local_pending + vol->io.given_up;
}

/* ---- attach ---- */

enum {
	ATTACH_BEGIN, ATTACH_MEETING, ATTACH_LOADING, ATTACH_AGREED, ATTACH_NEGOTIATING,
	ATTACH_CLOSING,
};

/* Nobody connected has a disk: the metadata alone decide. */
static void attach_alone(struct core *core, struct volume *vol)
{
	struct state *next = state_begin(core);

	FOR_EACH_PEER(core, peer) {
		if (!peer_connected(core, peer) &&
		    (vol->md.peers[peer->id].flags & MDF_PEER_OUTDATED))
			next->pd[peer->id][vol->v].pdsk = DISK_OUTDATED;
	}
	next->vol[vol->v].disk = volume_disk_alone(core, next, vol);
	state_end(core, STATE_HARD);
	volume_introduce(core, vol);
}

static enum command_progress attach_refused(struct core *core, struct volume *vol,
					    const char *reason)
{
	struct state *next = state_begin(core);

	volume_await_peers(core, vol, false);
	snprintf(vol->reason, sizeof(vol->reason), "%s", reason);
	next->vol[vol->v].disk = DISK_DETACHING;
	state_end(core, STATE_HARD);
	command_goto(core, ATTACH_CLOSING);
	return COMMAND_WAITS;
}

/*
 * The last peers may have gone since the disk was read, all of them behind what is in use: then it
 * has what was answered, but none of them the generation after it. As an Outdated disk it would
 * keep them out for good; attached again when all are in sight it counts.
 */
static enum command_progress attach_done(struct core *core, struct volume *vol)
{
	const char *reason = NULL;

	if (disk_of(core, vol) <= DISK_OUTDATED && vol->before_lags)
		reason = volume_refuses_disk(core, vol);
	if (reason)
		return attach_refused(core, vol, reason);
	command_reply(core, SS_SUCCESS, "volume %u is attached, its disk is %s", vol->vnr,
		      disk_state_name(disk_of(core, vol)));
	return COMMAND_DONE;
}

/* One that has to be carried out whatever the disk does is behind the attach. */
static bool is_awaited(const struct core *core, const struct volume *vol)
{
	const struct commands *c = &core->commands;

	for (unsigned i = 1; i < c->count; i++) {
		const struct ev_command *it = &c->queue[(c->head + i) % COMMANDS_MAX];

		if (it->cmd == CMD_SHUTDOWN ||
		    (it->cmd == CMD_DETACH && it->vnr == vol->vnr && it->force))
			return true;
	}
	return false;
}

static bool attach_hangs(struct core *core, const struct volume *vol)
{
	uint32_t timeout_ds = vol->conf->disk.disk_timeout_ds;
	uint64_t limit = NEVER_NS;

	if (timeout_ds)
		limit = vol->attach_began_ns + ATTACH_REQUESTS * timeout_ds * (NS_PER_S / 10);
	if (is_awaited(core, vol) && vol->attach_began_ns + DISK_QUIET_NS < limit)
		limit = vol->attach_began_ns + DISK_QUIET_NS;
	core->commands.deadline_ns = limit;
	return core->now_ns >= limit;
}

static enum command_progress attach_loaded(struct core *core, struct volume *vol)
{
	struct twopc_change change = command_disk_change(vol, DISK_NEGOTIATING);

	if (vol->phase == VOL_ATTACHING && attach_hangs(core, vol)) {
		volume_give_up_attach(core, vol);
		command_reply(core, SS_NO_LOCAL_DISK, "cannot attach volume %u: %s", vol->vnr,
			      vol->reason);
		return COMMAND_DONE;
	}
	if (vol->phase == VOL_ATTACHING || vol->resize.phase != RESIZE_NONE)
		return COMMAND_WAITS;
	if (vol->phase != VOL_ATTACHED) {
		command_goto(core, ATTACH_CLOSING);
		return COMMAND_WAITS;
	}
	if (!volume_await_peers(core, vol, true)) {
		attach_alone(core, vol);
		return attach_done(core, vol);
	}
	command_twopc(core, &change, ATTACH_AGREED);
	return COMMAND_WAITS;
}

static enum command_progress attach_agreed(struct core *core, struct volume *vol)
{
	enum state_rv rv = core->commands.twopc_rv;

	if (vol->phase != VOL_ATTACHED) {
		command_goto(core, ATTACH_CLOSING);
		return COMMAND_WAITS;
	}
	if (rv < SS_SUCCESS)
		return attach_refused(core, vol, state_rv_text(rv));
	volume_introduce(core, vol);
	command_goto(core, ATTACH_NEGOTIATING);
	return COMMAND_WAITS;
}

enum command_progress command_attach(struct core *core, const struct ev_command *ev)
{
	struct volume *vol = command_volume(core, ev);
	enum disk_state disk;

	if (!vol)
		return COMMAND_DONE;
	disk = disk_of(core, vol);
	switch (core->commands.step) {
	case ATTACH_BEGIN:
		if (!vol->conf->disk.has_disk) {
			command_reply(core, SS_ATTACH_NO_BITMAP,
				      "volume %u is configured without a disk on this node",
				      vol->vnr);
			return COMMAND_DONE;
		}
		if (vol->phase == VOL_ATTACHED && disk > DISK_FAILED) {
			command_reply(core, SS_NOTHING_TO_DO, "volume %u is attached already",
				      vol->vnr);
			return COMMAND_DONE;
		}
		if (vol->phase != VOL_DETACHED && hangs(core)) {
			command_reply(core, SS_IN_TRANSIENT_STATE,
				      "cannot attach volume %u: its disk has not answered %u "
				      "requests from before it was given up",
				      vol->vnr, requests_at(vol));
			return COMMAND_DONE;
		}
		if (vol->phase != VOL_DETACHED)
			return COMMAND_WAITS;
		/* A new volume: peers that have it are about to tell what they have. */
		if (volume_is_unmet(core, vol)) {
			command_ping_all(core);
			command_goto(core, ATTACH_MEETING);
			return COMMAND_WAITS;
		}
		__attribute__((fallthrough));
	case ATTACH_MEETING:
		if (volume_is_unmet(core, vol) && !command_pings_answered(core))
			return COMMAND_WAITS;
		volume_attach(core, vol);
		command_goto(core, ATTACH_LOADING);
		return COMMAND_WAITS;
	case ATTACH_LOADING:
		return attach_loaded(core, vol);
	case ATTACH_AGREED:
		return attach_agreed(core, vol);
	case ATTACH_NEGOTIATING:
		if (disk == DISK_NEGOTIATING)
			return COMMAND_WAITS;
		if (disk > DISK_FAILED)
			return attach_done(core, vol);
		command_goto(core, ATTACH_CLOSING);
		return COMMAND_WAITS;
	default:
		if (vol->phase != VOL_DETACHED)
			return COMMAND_WAITS;
		command_reply(core, SS_NO_LOCAL_DISK, "cannot attach volume %u: %s", vol->vnr,
			      vol->reason[0] ? vol->reason : "the disk was given up");
		return COMMAND_DONE;
	}
}

/* ---- detach ---- */

enum { DETACH_BEGIN, DETACH_AGREED, DETACH_CLOSING };

static enum command_progress detach_begin(struct core *core, const struct ev_command *ev,
					  struct volume *vol)
{
	struct twopc_change change = command_disk_change(vol, DISK_DETACHING);

	if (vol->phase == VOL_DETACHED) {
		command_reply(core, SS_NOTHING_TO_DO, "volume %u has no disk attached", vol->vnr);
		return COMMAND_DONE;
	}
	if (vol->phase == VOL_DETACHING || disk_of(core, vol) <= DISK_FAILED) {
		command_goto(core, DETACH_CLOSING);
		return COMMAND_WAITS;
	}
	if (ev->force) {
		struct state *next = state_begin(core);

		next->vol[vol->v].disk = DISK_FAILED;
		state_end(core, STATE_HARD);
		command_goto(core, DETACH_CLOSING);
		return COMMAND_WAITS;
	}
	bitmap_write_all(core, vol);
	command_twopc(core, &change, DETACH_AGREED);
	return COMMAND_WAITS;
}

/* The detach itself, or one that waits behind it. */
static bool is_forced(const struct core *core, const struct ev_command *ev)
{
	const struct commands *c = &core->commands;

	for (unsigned i = 0; i < c->count; i++) {
		const struct ev_command *it = &c->queue[(c->head + i) % COMMANDS_MAX];

		if (it->cmd == CMD_DETACH && it->vnr == ev->vnr && it->force)
			return true;
	}
	return false;
}

static enum command_progress detach_closing(struct core *core, const struct ev_command *ev,
					    struct volume *vol)
{
	if (vol->phase == VOL_DETACHED) {
		command_reply(core, SS_SUCCESS, "volume %u is detached", vol->vnr);
		return COMMAND_DONE;
	}
	if (!is_forced(core, ev) || !hangs(core))
		return COMMAND_WAITS;
	local_io_give_up(core, vol);
	command_reply(core, SS_SUCCESS,
		      "volume %u is given up; it is closed when its disk has answered the %u "
		      "requests under way", vol->vnr, requests_at(vol));
	return COMMAND_DONE;
}

enum command_progress command_detach(struct core *core, const struct ev_command *ev)
{
	struct volume *vol = command_volume(core, ev);
	enum state_rv rv = core->commands.twopc_rv;

	if (!vol)
		return COMMAND_DONE;
	switch (core->commands.step) {
	case DETACH_BEGIN:
		return detach_begin(core, ev, vol);
	case DETACH_AGREED:
		if (rv < SS_SUCCESS && disk_of(core, vol) > DISK_FAILED) {
			command_reply(core, rv, "cannot detach volume %u: %s", vol->vnr,
				      state_rv_text(rv));
			return COMMAND_DONE;
		}
		command_goto(core, DETACH_CLOSING);
		return COMMAND_WAITS;
	default:
		return detach_closing(core, ev, vol);
	}
}

/* ---- repair: what a verify has found is resynced from here ---- */

static bool may_repair(struct core *core, const struct peer *peer)
{
	if (core->st.peer[peer->id].role == ROLE_PRIMARY) {
		command_reply(core, SS_TWO_PRIMARIES,
			      "%s is Primary, what its users have read stays: repair from there",
			      peer->conf->name);
		return false;
	}
	if (peer_is_drbd8(peer)) {
		command_reply(core, SS_NOT_SUPPORTED, "%s runs DRBD 8.4, which cannot resync only "
			      "what differs: leave out --repair", peer->conf->name);
		return false;
	}
	return true;
}

/* ---- invalidate ---- */

enum { INVALIDATE_BEGIN, INVALIDATE_AGREED };

/* The first one; by bitmap, the first one that differs. */
static struct peer *good_source(struct core *core, const struct volume *vol, bool marked)
{
	FOR_EACH_PEER(core, peer) {
		if (marked && !bitmap_weight(vol, peer->id))
			continue;
		if (repl_of(core, &peer->pd[vol->v]) == REPL_ESTABLISHED &&
		    pdsk_of(core, &peer->pd[vol->v]) == DISK_UP_TO_DATE)
			return peer;
	}
	return NULL;
}

static enum command_progress invalidate_begin(struct core *core, const struct ev_command *ev,
					      struct volume *vol)
{
	bool remote = ev->cmd == CMD_INVALIDATE_REMOTE;
	struct twopc_change change = { .kind = TWOPC_REPL, .mask = SW_CONN_MASK };
	enum repl_state begin = remote ? REPL_STARTING_SYNC_S : REPL_STARTING_SYNC_T;
	struct peer *peer;

	/* The bits as they are: what a verify has found. */
	if (ev->keep_bitmap)
		begin = remote ? REPL_WF_BITMAP_S : REPL_WF_BITMAP_T;
	if (remote)
		peer = ev->peer < NODES_MAX ? core->peer[ev->peer] : NULL;
	else
		peer = good_source(core, vol, ev->keep_bitmap);
	if (!peer) {
		command_reply(core, remote ? SS_NO_NET_CONFIG : SS_NO_REMOTE_DISK,
			      remote ? "no such peer" :
				       "no connected peer has UpToDate data to replace the local "
				       "copy with");
		return COMMAND_DONE;
	}
	if (!remote && disk_of(core, vol) < DISK_INCONSISTENT) {
		command_reply(core, SS_NO_LOCAL_DISK, "volume %u has no disk attached", vol->vnr);
		return COMMAND_DONE;
	}
	if (repl_of(core, &peer->pd[vol->v]) < REPL_ESTABLISHED) {
		command_reply(core, SS_NEED_CONNECTION, "%s is not connected", peer->conf->name);
		return COMMAND_DONE;
	}
	if (ev->keep_bitmap && peer_is_drbd8(peer)) {
		command_reply(core, SS_NOT_SUPPORTED, "%s runs DRBD 8.4, which sets the whole "
			      "bitmap: leave out --reset-bitmap=no", peer->conf->name);
		return COMMAND_DONE;
	}
	if (ev->repair && !may_repair(core, peer))
		return COMMAND_DONE;
	if (remote && disk_of(core, vol) != DISK_UP_TO_DATE) {
		command_reply(core, SS_NO_UP_TO_DATE_DISK,
			      "the local disk is %s: it cannot be the source of a full sync",
			      disk_state_name(disk_of(core, vol)));
		return COMMAND_DONE;
	}
	change.target = (int8_t)peer->id;
	change.vnr = vol->vnr;
	change.val = (uint32_t)begin << SW_CONN_SHIFT;
	command_twopc(core, &change, INVALIDATE_AGREED);
	return COMMAND_WAITS;
}

enum command_progress command_invalidate(struct core *core, const struct ev_command *ev)
{
	struct volume *vol = command_volume(core, ev);
	enum state_rv rv = core->commands.twopc_rv;
	const char *what = ev->keep_bitmap ? "resync by bitmap" : "full sync";

	if (!vol)
		return COMMAND_DONE;
	if (core->commands.step == INVALIDATE_BEGIN)
		return invalidate_begin(core, ev, vol);
	if (rv < SS_SUCCESS)
		command_reply(core, rv, "cannot start a %s of volume %u: %s", what, vol->vnr,
			      state_rv_text(rv));
	else
		command_reply(core, SS_SUCCESS, "%s of volume %u started", what, vol->vnr);
	return COMMAND_DONE;
}

/* ---- verify ---- */

enum { VERIFY_BEGIN, VERIFY_AGREED };

enum state_rv command_may_verify(const struct core *core, const struct peer *peer,
				 const struct volume *vol)
{
	const struct peer_device *pd = &peer->pd[vol->v];

	if (repl_of(core, pd) < REPL_ESTABLISHED)
		return SS_NEED_CONNECTION;
	if (repl_of(core, pd) > REPL_ESTABLISHED)
		return SS_RESYNC_RUNNING;
	if (disk_of(core, vol) != DISK_UP_TO_DATE || pdsk_of(core, pd) != DISK_UP_TO_DATE)
		return SS_NO_UP_TO_DATE_DISK;
	return peer->verify_alg[0] ? SS_SUCCESS : SS_NO_VERIFY_ALG;
}

static enum command_progress verify_abort(struct core *core, struct peer *peer,
					  const struct volume *vol)
{
	struct peer_device *pd = &peer->pd[vol->v];

	if (repl_of(core, pd) != REPL_VERIFY_S) {
		command_reply(core, SS_NOTHING_TO_DO,
			      "this node runs no verify of volume %u with %s", vol->vnr,
			      peer->conf->name);
		return COMMAND_DONE;
	}
	state_begin(core)->pd[peer->id][vol->v].repl = REPL_ESTABLISHED;
	state_end(core, STATE_HARD);
	command_reply(core, SS_SUCCESS, "verify of volume %u with %s ended at sector %llu",
		      vol->vnr, peer->conf->name,
		      (unsigned long long)(pd->ov.next_bit * BM_BLOCK_SECTORS));
	return COMMAND_DONE;
}

static enum command_progress verify_begin(struct core *core, const struct ev_command *ev,
					  struct peer *peer, struct volume *vol)
{
	struct twopc_change change = { .kind = TWOPC_REPL, .target = (int8_t)peer->id,
				       .vnr = vol->vnr, .mask = SW_CONN_MASK,
				       .val = (uint32_t)REPL_VERIFY_S << SW_CONN_SHIFT };
	struct verify *ov = &peer->pd[vol->v].ov;
	enum state_rv rv = command_may_verify(core, peer, vol);

	if (rv < SS_SUCCESS) {
		command_reply(core, rv, "cannot verify volume %u with %s: %s", vol->vnr,
			      peer->conf->name, state_rv_text(rv));
		return COMMAND_DONE;
	}
	if (ev->has_start && (ev->start_sector >= vol->size_sectors ||
			      (ev->stop_sector && ev->stop_sector <= ev->start_sector))) {
		command_reply(core, SS_UNKNOWN_ERROR,
			      "nothing to verify from sector %llu on: volume %u has %llu sectors, "
			      "and the stop has to come behind the start",
			      (unsigned long long)ev->start_sector, vol->vnr,
			      (unsigned long long)vol->size_sectors);
		return COMMAND_DONE;
	}
	if (ev->repair && !may_repair(core, peer))
		return COMMAND_DONE;
	ov->repair = ev->repair;
	ov->elsewhere = ev->has_start && ev->start_sector;
	ov->start_bit = ev->has_start ? ev->start_sector / BM_BLOCK_SECTORS : ov->next_bit;
	ov->end_bit = ev->stop_sector ? (ev->stop_sector + BM_BLOCK_SECTORS - 1) /
						BM_BLOCK_SECTORS : UINT64_MAX;
	command_twopc(core, &change, VERIFY_AGREED);
	return COMMAND_WAITS;
}

enum command_progress command_verify(struct core *core, const struct ev_command *ev)
{
	struct volume *vol = command_volume(core, ev);
	struct peer *peer = ev->peer < NODES_MAX ? core->peer[ev->peer] : NULL;
	enum state_rv rv = core->commands.twopc_rv;

	if (!vol)
		return COMMAND_DONE;
	if (!peer) {
		command_reply(core, SS_NO_NET_CONFIG, "no such peer");
		return COMMAND_DONE;
	}
	if (ev->abort)
		return verify_abort(core, peer, vol);
	if (core->commands.step == VERIFY_BEGIN)
		return verify_begin(core, ev, peer, vol);
	if (rv < SS_SUCCESS)
		command_reply(core, rv, "cannot verify volume %u with %s: %s", vol->vnr,
			      peer->conf->name, state_rv_text(rv));
	else
		command_reply(core, SS_SUCCESS, "verify of volume %u with %s started", vol->vnr,
			      peer->conf->name);
	return COMMAND_DONE;
}

/* ---- new-current-uuid ---- */

enum command_progress command_new_uuid(struct core *core, const struct ev_command *ev)
{
	struct volume *vol = command_volume(core, ev);
	enum state_rv rv;

	if (!vol)
		return COMMAND_DONE;
	if (!vol_has_disk(core, vol)) {
		command_reply(core, SS_NO_LOCAL_DISK, "volume %u has no disk attached", vol->vnr);
		return COMMAND_DONE;
	}
	rv = uuid_new_current(core, vol, ev->clear_bitmap);
	if (rv < SS_SUCCESS)
		command_reply(core, rv,
			      "cannot make a new generation of volume %u: %s; disconnect its peers "
			      "first, unless it was never written",
			      vol->vnr, state_rv_text(rv));
	else
		command_reply(core, rv, "volume %u has a new generation%s", vol->vnr,
			      ev->clear_bitmap ? " and counts as in sync" : "");
	return COMMAND_DONE;
}

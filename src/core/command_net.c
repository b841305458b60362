/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Commands about connections, and the shutdown of everything. */
#include "core/cluster.h"
#include "core/command.h"
#include "core/core_hooks.h"
#include "core/quorum.h"
#include "core/state.h"

#define SETTLE_MAX_NS (10 * NS_PER_S)
/* A disk that has not answered a request for so long does not keep a resource from going down. */
#define DISK_HANGS_NS (10 * NS_PER_S)

static struct peer *peer_of(struct core *core, const struct ev_command *ev)
{
	struct peer *peer = ev->peer < NODES_MAX ? core->peer[ev->peer] : NULL;

	if (!peer)
		command_reply(core, SS_NO_NET_CONFIG, "%s has no connection to node %u",
			      core->conf.name, ev->peer);
	return peer;
}

enum command_progress command_connect(struct core *core, const struct ev_command *ev)
{
	struct peer *peer = peer_of(core, ev);

	if (!peer)
		return COMMAND_DONE;
	/* The end of the last connection is still under way. */
	if (core->st.peer[peer->id].conn == CONN_DISCONNECTING)
		return COMMAND_WAITS;
	if (peer->want_connect) {
		command_reply(core, SS_NOTHING_TO_DO, "the connection to %s is %s already",
			      peer->conf->name, conn_state_name(core->st.peer[peer->id].conn));
		return COMMAND_DONE;
	}
	if (ev->discard_my_data && core->st.role == ROLE_PRIMARY) {
		command_reply(core, SS_DEVICE_IN_USE,
			      "a Primary cannot discard its data; make it Secondary first");
		return COMMAND_DONE;
	}
	peer_connect(core, peer, ev);
	command_reply(core, SS_SUCCESS, "connecting to %s", peer->conf->name);
	return COMMAND_DONE;
}

/* With quorum or fencing the one of the two that is not Primary has old data from then on. */
static struct twopc_change disconnect_change(const struct core *core, const struct peer *peer)
{
	struct twopc_change change = {
		.kind = TWOPC_DISCONNECT,
		.target = (int8_t)peer->id,
		.vnr = VNR_NONE,
		.mask = SW_CONN_MASK,
		.val = (uint32_t)CONN_DISCONNECTING << SW_CONN_SHIFT,
	};
	enum role mine = core->st.role, its = core->st.peer[peer->id].role;

	if ((core->conf.quorum == QUORUM_OFF && peer->conf->net.fencing == FENCING_DONT_CARE) ||
	    mine == its)
		return change;
	if (mine == ROLE_PRIMARY) {
		change.mask |= SW_PDSK_MASK;
		change.val |= (uint32_t)DISK_OUTDATED << SW_PDSK_SHIFT;
	} else if (its == ROLE_PRIMARY) {
		change.mask |= SW_DISK_MASK;
		change.val |= (uint32_t)DISK_OUTDATED << SW_DISK_SHIFT;
	}
	return change;
}

enum { PART_BEGIN, PART_AGREED };

bool command_part(struct core *core, const struct ev_command *ev, struct peer *peer,
		  enum state_rv *rv)
{
	struct twopc_change change = disconnect_change(core, peer);
	bool connected = peer_connected(core, peer) && !ev->force;

	*rv = SS_SUCCESS;
	if (core->commands.step == PART_BEGIN && connected) {
		command_twopc(core, &change, PART_AGREED);
		return false;
	}
	if (connected && core->commands.twopc_rv < SS_SUCCESS) {
		*rv = core->commands.twopc_rv;
		command_reply(core, *rv, "cannot disconnect from %s: %s; --force does not ask it",
			      peer->conf->name, state_rv_text(*rv));
		return true;
	}
	/* Lost in the meantime: then only the attempts to come back are left. */
	if (peer->want_connect) {
		peer->forced_down = ev->force;
		peer_leave(core, peer, "disconnected by command");
	}
	return true;
}

enum command_progress command_disconnect(struct core *core, const struct ev_command *ev)
{
	struct peer *peer = peer_of(core, ev);
	enum state_rv rv;

	if (!peer)
		return COMMAND_DONE;
	if (core->commands.step == PART_BEGIN && !peer->want_connect) {
		command_reply(core, SS_NOTHING_TO_DO, "the connection to %s is StandAlone already",
			      peer->conf->name);
		return COMMAND_DONE;
	}
	if (!command_part(core, ev, peer, &rv))
		return COMMAND_WAITS;
	if (rv >= SS_SUCCESS)
		command_reply(core, SS_SUCCESS, "disconnected from %s", peer->conf->name);
	return COMMAND_DONE;
}

/* ---- shutdown: Secondary, metadata written, StandAlone, Diskless ---- */

enum {
	SHUTDOWN_BEGIN,
	SHUTDOWN_DRAINING,
	SHUTDOWN_DEMOTED,
	SHUTDOWN_PEERS,
	SHUTDOWN_PEER_ASKED,
	SHUTDOWN_DISKS,
	SHUTDOWN_CLOSING,
};

/* The disks' last writes go on while the peers are told; closing the disks waits for them. */
static void leave_peers(struct core *core)
{
	core->commands.auto_promoted = false;
	core->commands.give_up_ns = core->now_ns + SETTLE_MAX_NS;
	FOR_EACH_VOLUME(core, vol) {
		if (vol_has_md(vol))
			bitmap_write_all(core, vol);
	}
	command_goto(core, SHUTDOWN_PEERS);
}

static enum command_progress shutdown_drain(struct core *core)
{
	struct commands *c = &core->commands;
	struct twopc_change change = command_role_change(ROLE_SECONDARY);

	if (core->st.role != ROLE_PRIMARY) {
		leave_peers(core);
	} else if (command_io_settled(core) || core->now_ns >= c->give_up_ns) {
		command_twopc(core, &change, SHUTDOWN_DEMOTED);
	} else {
		c->deadline_ns = c->give_up_ns;
	}
	return COMMAND_WAITS;
}

static enum command_progress shutdown_demoted(struct core *core)
{
	if (core->st.role == ROLE_PRIMARY) {
		/* Nobody agreed in time: the process ends all the same. */
		state_begin(core)->role = ROLE_SECONDARY;
		state_end(core, STATE_HARD);
	}
	leave_peers(core);
	return COMMAND_WAITS;
}

/* The next peer that is not StandAlone; NULL = none is left. */
static struct peer *next_peer(struct core *core)
{
	FOR_EACH_PEER(core, peer) {
		if (core->st.peer[peer->id].conn != CONN_STANDALONE || peer->want_connect)
			return peer;
	}
	return NULL;
}

static enum command_progress shutdown_peers(struct core *core)
{
	struct peer *peer = next_peer(core);
	struct twopc_change change;

	if (!peer) {
		command_goto(core, SHUTDOWN_DISKS);
		return COMMAND_WAITS;
	}
	if (peer_connected(core, peer) && core->now_ns < core->commands.give_up_ns) {
		change = disconnect_change(core, peer);
		command_twopc(core, &change, SHUTDOWN_PEER_ASKED);
		return COMMAND_WAITS;
	}
	if (peer->want_connect)
		peer_leave(core, peer, "shutting down");
	return COMMAND_WAITS;
}

static enum command_progress shutdown_peer_asked(struct core *core)
{
	struct peer *peer = next_peer(core);

	if (core->commands.twopc_rv < SS_SUCCESS && peer && peer_connected(core, peer))
		peer_leave(core, peer, "shutting down");
	command_goto(core, SHUTDOWN_PEERS);
	return COMMAND_WAITS;
}

/* What a Primary sent last may still be on its way to the
 * disk: until then only the activity log marks it. */
static bool actlogs_idle(const struct core *core)
{
	FOR_EACH_VOLUME(core, vol) {
		if (vol->phase == VOL_ATTACHED && !actlog_is_idle(vol))
			return false;
	}
	return true;
}

static enum command_progress shutdown_disks(struct core *core)
{
	struct commands *c = &core->commands;
	struct state *next;

	if (!actlogs_idle(core) && core->now_ns < c->give_up_ns) {
		c->deadline_ns = c->give_up_ns;
		return COMMAND_WAITS;
	}
	next = state_begin(core);
	FOR_EACH_VOLUME(core, vol) {
		if (vol->phase == VOL_ATTACHED && next->vol[vol->v].disk > DISK_FAILED)
			next->vol[vol->v].disk = DISK_DETACHING;
	}
	state_end(core, STATE_HARD);
	command_goto(core, SHUTDOWN_CLOSING);
	return COMMAND_WAITS;
}

/* Everything else is down then, and the driver has its request still. */
static enum command_progress shutdown_closing(struct core *core)
{
	struct volume *hangs = NULL;

	FOR_EACH_VOLUME(core, vol) {
		if (vol->phase == VOL_DETACHED)
			continue;
		/* One that is only slow is read to its end in that time. */
		if (vol->io.attach && core->now_ns < vol->attach_began_ns + DISK_HANGS_NS) {
			core->commands.deadline_ns = vol->attach_began_ns + DISK_HANGS_NS;
			return COMMAND_WAITS;
		}
		if (local_io_age_ns(core, vol) >= DISK_HANGS_NS)
			local_io_give_up(core, vol);
		if (!vol->io.hangs || vol->phase != VOL_DETACHING || vol->io.given_up == 0) {
			core->commands.deadline_ns = core->now_ns + NS_PER_S;
			return COMMAND_WAITS;
		}
		hangs = vol;
	}
	if (hangs)
		command_reply(core, SS_IN_TRANSIENT_STATE,
			      "cannot close volume %u: its disk has not answered %u requests; "
			      "everything else of %s is down", hangs->vnr, hangs->io.given_up,
			      core->conf.name);
	else
		command_reply(core, SS_SUCCESS, "%s is down", core->conf.name);
	return COMMAND_DONE;
}

enum command_progress command_shutdown(struct core *core, const struct ev_command *ev)
{
	struct commands *c = &core->commands;

	(void)ev;
	switch (c->step) {
	case SHUTDOWN_BEGIN:
		c->ignore_openers = true;
		quorum_give_up_io(core, true);
		c->give_up_ns = core->now_ns + SETTLE_MAX_NS;
		command_goto(core, SHUTDOWN_DRAINING);
		return COMMAND_WAITS;
	case SHUTDOWN_DRAINING:
		return shutdown_drain(core);
	case SHUTDOWN_DEMOTED:
		return shutdown_demoted(core);
	case SHUTDOWN_PEERS:
		return shutdown_peers(core);
	case SHUTDOWN_PEER_ASKED:
		return shutdown_peer_asked(core);
	case SHUTDOWN_DISKS:
		return shutdown_disks(core);
	default:
		return shutdown_closing(core);
	}
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Promotion and demotion, by command and by opening and closing (states-and-resync 4.7). */
#include <errno.h>

#include "core/cluster.h"
#include "core/command.h"
#include "core/core_hooks.h"
#include "core/fencing.h"
#include "core/quorum.h"
#include "core/state.h"

#define NS_PER_DS (100 * NS_PER_MS)
#define PROMOTE_TRIES_MAX 4U
#define DEMOTE_AGAIN_NS (5 * NS_PER_S)

enum {
	ROLE_BEGIN,
	ROLE_PINGING,    /* a peer that is dead should be noticed first */
	ROLE_SETTLING,   /* consequences of a lost Primary */
	ROLE_ASKING,
	ROLE_DECIDED,
	ROLE_PAUSING,    /* before another try */
	ROLE_DRAINING,   /* demotion: I/O in flight */
	ROLE_FENCING,    /* handlers run that make peers out of sight harmless */
};

static uint64_t largest_ping_timeout_ns(const struct core *core)
{
	uint64_t max = 0;

	FOR_EACH_PEER(core, peer) {
		uint64_t t = peer->conf->net.ping_timeout_ds * NS_PER_DS;

		if (t > max)
			max = t;
	}
	return max;
}

void command_ping_all(struct core *core)
{
	struct commands *c = &core->commands;

	c->ping_peers = cluster_neighbours(core);
	FOR_EACH_PEER(core, peer) {
		if (c->ping_peers & node_bit(peer->id))
			c->ping_seq[peer->id] = keepalive_ping(core, peer);
	}
}

bool command_pings_answered(const struct core *core)
{
	const struct commands *c = &core->commands;

	FOR_EACH_PEER(core, peer) {
		if ((c->ping_peers & node_bit(peer->id)) && peer_connected(core, peer) &&
		    !keepalive_answered(peer, c->ping_seq[peer->id]))
			return false;
	}
	return true;
}

static bool all_accessible(const struct core *core)
{
	FOR_EACH_VOLUME(core, vol) {
		if (!vol_is_aside(vol) && !state_data_accessible(core, &core->st, vol->v))
			return false;
	}
	return true;
}

/* Waits until `ready`, or the command's time is over, with the step's own timer. */
static bool wait_for(struct core *core, bool ready)
{
	struct commands *c = &core->commands;

	if (ready || core->now_ns >= c->give_up_ns)
		return true;
	c->deadline_ns = c->give_up_ns;
	return false;
}

/* ---- promotion; the same machine for the command and for opening ---- */

enum promotion { PROMOTION_WAITS, PROMOTION_OK, PROMOTION_FAILED };

static void promote_begin(struct core *core)
{
	struct commands *c = &core->commands;

	c->give_up_ns = core->now_ns + core->conf.auto_promote_timeout_ds * NS_PER_DS +
			largest_ping_timeout_ns(core);
	command_ping_all(core);
	command_goto(core, ROLE_PINGING);
}

struct twopc_change command_role_change(enum role role)
{
	return (struct twopc_change){
		.kind = TWOPC_ROLE,
		.target = -1,
		.vnr = VNR_NONE,
		.mask = SW_ROLE_MASK,
		.val = role,
	};
}

static void promote_ask(struct core *core)
{
	struct twopc_change change = command_role_change(ROLE_PRIMARY);

	if (core->commands.local_up_to_date) {
		change.mask |= SW_DISK_MASK;
		change.val |= (uint32_t)DISK_UP_TO_DATE << SW_DISK_SHIFT;
	}
	command_twopc(core, &change, ROLE_DECIDED);
}

static void promoted(struct core *core)
{
	if (core->commands.local_up_to_date)
		uuid_forced_primary(core);
	FOR_EACH_PEER(core, peer)
		peer_keep_data(core, peer);
	core_work(core, WORK_REQUESTS | WORK_SEND_STATE);
}

/* Once; a node that is only Consistent may be UpToDate after it. */
static bool fence_once(struct core *core)
{
	struct commands *c = &core->commands;

	if (c->fenced || !fencing_begin(core))
		return false;
	c->fenced = true;
	command_goto(core, ROLE_FENCING);
	return true;
}

static enum promotion pause_promotion(struct core *core)
{
	command_goto(core, ROLE_PAUSING);
	core->commands.deadline_ns = core->now_ns + largest_ping_timeout_ns(core);
	return PROMOTION_WAITS;
}

/* What a refused promotion tries next; PROMOTION_FAILED = nothing. */
static enum promotion promote_again(struct core *core, bool force)
{
	struct commands *c = &core->commands;

	switch (c->twopc_rv) {
	case SS_NO_UP_TO_DATE_DISK:
		if (force && !c->local_up_to_date) {
			c->local_up_to_date = true;
			command_goto(core, ROLE_ASKING);
			return PROMOTION_WAITS;
		}
		if (core->now_ns >= c->give_up_ns)
			return fence_once(core) ? PROMOTION_WAITS : PROMOTION_FAILED;
		/* A peer may just be becoming usable. Where the next step would not wait for it: */
		if (force || all_accessible(core))
			return pause_promotion(core);
		command_goto(core, ROLE_SETTLING);
		return PROMOTION_WAITS;
	case SS_PRIMARY_NOP:
		if (fence_once(core))
			return PROMOTION_WAITS;
		if (!force || c->outdate_peers)
			return PROMOTION_FAILED;
		c->outdate_peers = true;
		command_goto(core, ROLE_ASKING);
		return PROMOTION_WAITS;
	case SS_NO_QUORUM:
		if (force && !c->outdate_peers) {
			c->outdate_peers = true;
			command_goto(core, ROLE_ASKING);
			return PROMOTION_WAITS;
		}
		__attribute__((fallthrough));
	case SS_TWO_PRIMARIES:
	case SS_CW_FAILED_BY_PEER:
		/* The other Primary may be dead, here or as a peer sees it: that takes a
		 * ping-timeout. A node that comes may give quorum. */
		if (++c->tries >= PROMOTE_TRIES_MAX)
			return PROMOTION_FAILED;
		return pause_promotion(core);
	default:
		return PROMOTION_FAILED;
	}
}

static enum promotion promote(struct core *core, bool force)
{
	struct commands *c = &core->commands;

	switch (c->step) {
	case ROLE_BEGIN:
		if (core->st.role == ROLE_PRIMARY)
			return PROMOTION_OK;
		promote_begin(core);
		return PROMOTION_WAITS;
	case ROLE_PINGING:
		if (wait_for(core, command_pings_answered(core)))
			command_goto(core, ROLE_SETTLING);
		return PROMOTION_WAITS;
	case ROLE_SETTLING:
		if (wait_for(core, !reconcile_holds(core) && !core->twopc.want_empty &&
					   (force || (all_accessible(core) &&
						      quorum_all(core, &core->st)))))
			command_goto(core, ROLE_ASKING);
		return PROMOTION_WAITS;
	case ROLE_ASKING:
		promote_ask(core);
		return PROMOTION_WAITS;
	case ROLE_DECIDED:
		if (c->twopc_rv < SS_SUCCESS)
			return promote_again(core, force);
		promoted(core);
		return PROMOTION_OK;
	case ROLE_FENCING:
		if (!fencing_under_way(core))
			command_goto(core, ROLE_ASKING);
		return PROMOTION_WAITS;
	default:
		if (core->now_ns < c->deadline_ns)
			return PROMOTION_WAITS;
		command_ping_all(core);
		command_goto(core, ROLE_PINGING);
		return PROMOTION_WAITS;
	}
}

static struct volume *open_volume(const struct core *core)
{
	FOR_EACH_VOLUME(core, vol) {
		if (vol->open_rw)
			return vol;
	}
	return NULL;
}

/* Why there cannot be a second Primary beside this one. */
static const char *why_not_two(const struct core *core, const struct peer *peer)
{
	if (!peer->conf->net.two_primaries)
		return "";
	if (peer->conf->net.protocol != PROTOCOL_C)
		return "; allow-two-primaries needs protocol C";
	if (core->peer_count > 1)
		return "; allow-two-primaries is for resources of two nodes";
	return "; a second one needs both disks UpToDate";
}

static void reply_no_data(struct core *core, const struct volume *vol)
{
	const char *disk = disk_state_name(disk_of(core, vol));

	FOR_EACH_PEER(core, peer) {
		if (peer_connected(core, peer) || !peer->pd[vol->v].split.known)
			continue;
		command_reply(core, SS_NO_UP_TO_DATE_DISK,
			      "cannot become Primary: no UpToDate data of volume %u can be "
			      "reached, the local disk is %s, and %s has changed its data alone: "
			      "connect to it with --discard-my-data to have those; --force "
			      "accepts the local ones as they are",
			      vol->vnr, disk, peer->conf->name);
		return;
	}
	command_reply(core, SS_NO_UP_TO_DATE_DISK,
		      "cannot become Primary: no UpToDate data of volume %u can be reached, the "
		      "local disk is %s; --force accepts it as it is",
		      vol->vnr, disk);
}

/* Who prevents a promotion, in the words of the user's problem. */
static void reply_not_promoted(struct core *core, enum state_rv rv)
{
	if (rv == SS_DEVICE_IN_USE && open_volume(core)) {
		command_reply(core, rv,
			      "cannot become Primary: volume %u is still open for writing by who "
			      "had it when it was demoted by force",
			      open_volume(core)->vnr);
		return;
	}
	FOR_EACH_PEER(core, peer) {
		if (core->st.peer[peer->id].role == ROLE_PRIMARY) {
			command_reply(core, rv, "cannot become Primary: %s is Primary%s",
				      peer->conf->name, why_not_two(core, peer));
			return;
		}
	}
	FOR_EACH_VOLUME(core, vol) {
		if (rv != SS_NO_UP_TO_DATE_DISK ||
		    state_data_accessible(core, &core->st, vol->v))
			continue;
		reply_no_data(core, vol);
		return;
	}
	if (rv == SS_PRIMARY_NOP)
		command_reply(core, rv,
			      "cannot become Primary: a peer out of sight is not fenced; --force "
			      "declares those out of sight Outdated");
	else if (rv == SS_NO_QUORUM)
		command_reply(core, rv,
			      "cannot become Primary: no quorum, too few of the nodes are "
			      "connected; --force declares those out of sight Outdated");
	else
		command_reply(core, rv, "cannot become Primary: %s", state_rv_text(rv));
}

enum command_progress command_primary(struct core *core, const struct ev_command *ev)
{
	bool was = core->commands.step == ROLE_BEGIN && core->st.role == ROLE_PRIMARY;

	switch (promote(core, ev->force)) {
	case PROMOTION_WAITS:
		return COMMAND_WAITS;
	case PROMOTION_OK:
		core->commands.auto_promoted = false;
		command_reply(core, was ? SS_NOTHING_TO_DO : SS_SUCCESS,
			      was ? "is Primary already" : "is Primary");
		return COMMAND_DONE;
	case PROMOTION_FAILED:
		break;
	}
	reply_not_promoted(core, core->commands.twopc_rv);
	return COMMAND_DONE;
}

/* ---- demotion ---- */

bool command_io_settled(struct core *core)
{
	FOR_EACH_VOLUME(core, vol) {
		if (!request_volume_idle(core, vol))
			return false;
	}
	return request_settle(core);
}

static enum command_progress demote_begin(struct core *core, const struct ev_command *ev)
{
	struct commands *c = &core->commands;
	struct volume *open = open_volume(core);

	if (core->st.role != ROLE_PRIMARY) {
		command_reply(core, SS_NOTHING_TO_DO, "is Secondary already");
		return COMMAND_DONE;
	}
	/* The close that asked for it was followed by another open, or by `primary`. */
	if (!ev->cookie && !ev->force && (open || !c->auto_promoted))
		return COMMAND_DONE;
	if (open && !ev->force) {
		command_reply(core, SS_DEVICE_IN_USE,
			      "cannot become Secondary: volume %u is open for writing (%u times)",
			      open->vnr, open->open_rw);
		return COMMAND_DONE;
	}
	c->ignore_openers = ev->force;
	quorum_give_up_io(core, ev->force);
	c->give_up_ns = core->now_ns + core->conf.twopc_timeout_ds * NS_PER_DS;
	command_goto(core, ROLE_DRAINING);
	return COMMAND_WAITS;
}

/*
 * Nobody has it open any more, and nobody would try again: other changes were in the way, such as
 * many nodes that connect. Commands that have come meanwhile go first.
 */
static enum command_progress demote_again(struct core *core)
{
	struct commands *c = &core->commands;

	if (c->count > 1) {
		command_enqueue_internal(core, CMD_SECONDARY, false);
		return COMMAND_DONE;
	}
	if (core->now_ns >= c->deadline_ns)
		command_goto(core, ROLE_BEGIN);
	return COMMAND_WAITS;
}

enum command_progress command_secondary(struct core *core, const struct ev_command *ev)
{
	struct twopc_change change = command_role_change(ROLE_SECONDARY);
	enum state_rv rv = core->commands.twopc_rv;

	switch (core->commands.step) {
	case ROLE_BEGIN:
		return demote_begin(core, ev);
	case ROLE_DRAINING:
		if (wait_for(core, command_io_settled(core) && (ev->force || !uuid_owed(core))))
			command_twopc(core, &change, ROLE_DECIDED);
		return COMMAND_WAITS;
	case ROLE_PAUSING:
		return demote_again(core);
	default:
		break;
	}
	if (rv < SS_SUCCESS) {
		command_reply(core, rv, "cannot become Secondary: %s", state_rv_text(rv));
		if (ev->cookie || ev->force)
			return COMMAND_DONE;
		command_goto(core, ROLE_PAUSING);
		core->commands.deadline_ns = core->now_ns + DEMOTE_AGAIN_NS;
		return COMMAND_WAITS;
	}
	core->commands.auto_promoted = false;
	command_reply(core, SS_SUCCESS, "is Secondary");
	return COMMAND_DONE;
}

/* ---- open and close ---- */

static void count_open(struct core *core, struct volume *vol, bool write)
{
	if (write)
		vol->open_rw++;
	else
		vol->open_ro++;
	core->notify = true;
}

bool command_open_at_once(struct core *core, const struct ev_command *ev)
{
	struct volume *vol = core_volume_in_use(core, ev->vnr);
	const struct commands *c = &core->commands;

	/* A queued command may be about to change the role: then in turn. */
	if (!vol || c->count || core->st.role != ROLE_PRIMARY)
		return false;
	count_open(core, vol, ev->write);
	return true;
}

static enum command_progress open_done(struct core *core, struct volume *vol,
				       const struct ev_command *ev)
{
	count_open(core, vol, ev->write);
	command_reply(core, 0, "open");
	return COMMAND_DONE;
}

static enum command_progress open_failed(struct core *core, int error, const char *why)
{
	command_reply(core, error, "cannot open: %s", why);
	return COMMAND_DONE;
}

/* An open for writing makes this node Primary. */
static enum command_progress open_write(struct core *core, struct volume *vol,
					const struct ev_command *ev)
{
	struct commands *c = &core->commands;
	bool first = c->step == ROLE_BEGIN && core->st.role != ROLE_PRIMARY;
	enum state_rv rv;

	if (first && !core->conf.auto_promote)
		return open_failed(core, -EROFS, "not Primary, and auto-promote is off");
	if (first && ev->nonblock && core->twopc.phase != TWOPC_IDLE)
		return open_failed(core, -EAGAIN, "a cluster-wide state change is running");
	switch (promote(core, false)) {
	case PROMOTION_WAITS:
		return COMMAND_WAITS;
	case PROMOTION_OK:
		if (c->step != ROLE_BEGIN)
			c->auto_promoted = true;
		return open_done(core, vol, ev);
	case PROMOTION_FAILED:
		break;
	}
	rv = c->twopc_rv;
	if (rv == SS_NO_QUORUM)
		return open_failed(core, -ENODATA, "no quorum");
	return open_failed(core, rv == SS_TIMEOUT || rv == SS_CONCURRENT_ST_CHG ? -EAGAIN : -EROFS,
			   state_rv_text(rv));
}

static bool peer_primary(const struct core *core)
{
	return cluster_primaries(core, &core->st) & ~node_bit(core->self);
}

static bool may_still_connect(const struct core *core)
{
	FOR_EACH_PEER(core, peer) {
		enum conn_state conn = core->st.peer[peer->id].conn;

		if (conn >= CONN_UNCONNECTED && conn < CONN_CONNECTED)
			return true;
	}
	return false;
}

/* Rules for reading on a Secondary. */
static enum command_progress open_read(struct core *core, struct volume *vol,
				       const struct ev_command *ev)
{
	struct commands *c = &core->commands;
	bool data = state_data_accessible(core, &core->st, vol->v);

	if (core->st.role == ROLE_PRIMARY)
		return open_done(core, vol, ev);
	if (!core->conf.auto_promote)
		return open_failed(core, -EMEDIUMTYPE, "not Primary, and auto-promote is off");
	if (!core->st.vol[vol->v].have_quorum)
		return open_failed(core, -ENODATA, "no quorum");
	if (data && !peer_primary(core) && core->twopc.phase == TWOPC_IDLE)
		return open_done(core, vol, ev);
	if (!data && !may_still_connect(core))
		return open_failed(core, -ENODATA, "no UpToDate data can be reached");
	if (ev->nonblock)
		return open_failed(core, peer_primary(core) ? -EMEDIUMTYPE : -EAGAIN,
				   "not readable here at present");
	if (c->step == ROLE_BEGIN) {
		promote_begin(core);
		return COMMAND_WAITS;
	}
	if (core->now_ns < c->give_up_ns) {
		c->deadline_ns = c->give_up_ns;
		return COMMAND_WAITS;
	}
	if (data && !peer_primary(core))
		return open_failed(core, -EAGAIN, "a cluster-wide state change is running");
	return open_failed(core, -EMEDIUMTYPE,
			   peer_primary(core) ? "a peer is Primary" :
						"no UpToDate data can be reached yet");
}

enum command_progress command_open(struct core *core, const struct ev_command *ev)
{
	struct volume *vol = core_volume_in_use(core, ev->vnr);

	if (!vol)
		return open_failed(core, -ENOENT, "no such volume");
	if (core->st.role != ROLE_PRIMARY && open_volume(core))
		return open_failed(core, -ENOTRECOVERABLE,
				   "demoted by force, and not closed since by all who had it open");
	return ev->write ? open_write(core, vol, ev) : open_read(core, vol, ev);
}

void command_close(struct core *core, const struct ev_command *ev)
{
	struct volume *vol = core_volume_in_use(core, ev->vnr);
	unsigned *count;

	if (!vol)
		return;
	count = ev->write ? &vol->open_rw : &vol->open_ro;
	if (*count)
		(*count)--;
	core->notify = true;
	core_work(core, WORK_COMMAND);
	if (ev->write && core->commands.auto_promoted && !open_volume(core))
		command_enqueue_internal(core, CMD_SECONDARY, false);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Quorum: counting the votes of a volume, and what follows for its I/O (states-and-resync 4.8). */
#include "core/quorum.h"

#include "core/cluster.h"
#include "core/core_hooks.h"
#include "core/fencing.h"
#include "core/resync_int.h"
#include "core/state.h"

/* ---- the arithmetic ---- */

struct votes {
	unsigned up_to_date, present; /* in sight */
	unsigned outdated, quorumless, unknown; /* out of sight */
	unsigned diskless, missing_diskless; /* tie-breakers */
	unsigned quorate; /* UpToDate peers that have quorum themselves */
};

static unsigned majority_of(unsigned voters)
{
	return voters / 2 + 1;
}

static unsigned needed(uint32_t option, unsigned voters)
{
	switch (option) {
	case QUORUM_MAJORITY:
		return majority_of(voters);
	case QUORUM_ALL:
		return voters;
	default:
		return option;
	}
}

/*
 * A node without its disk keeps a quorum but gives none, like a tie-breaker: what it knows of later
 * data is gone when it restarts. Who knows of later data does neither.
 */
static bool counts_as_absent(const struct quorum_input *in, const struct quorum_peer *peer)
{
	return peer->knows_more || (peer->disk < DISK_INCONSISTENT && !in->had);
}

/*
 * Where it would never have quorum with its disk, whoever is in sight, it does not get it by
 * another one's word without: it would lose it when the disk is attached, and its writes would wait
 * for ever.
 */
static bool may_not_gain(const struct quorum_input *in)
{
	return in->too_far && !in->client && !in->had;
}

static void count_connected(const struct quorum_input *in, const struct quorum_peer *peer,
			    struct votes *n)
{
	if (peer->client) {
		n->diskless++;
	} else if (counts_as_absent(in, peer)) {
		n->unknown++;
	} else if (peer->disk == DISK_UP_TO_DATE) {
		n->up_to_date++;
		n->quorate += peer->quorate && !in->with_disk && !may_not_gain(in);
	} else {
		n->present++;
	}
}

static void count_absent(const struct quorum_input *in, const struct quorum_peer *peer,
			 struct votes *n)
{
	if (peer->client)
		n->missing_diskless++;
	else if (peer->outdated)
		n->outdated++;
	else if (in->had && !peer->member)
		n->quorumless++;
	else
		n->unknown++;
}

static void count_self(const struct quorum_input *in, struct votes *n)
{
	if (in->with_disk) {
		n->up_to_date += in->disk == DISK_UP_TO_DATE;
		n->present += in->disk != DISK_UP_TO_DATE;
	} else if (in->client) {
		n->diskless++;
	} else {
		n->unknown++;
	}
}

static unsigned absent(const struct votes *n)
{
	return n->outdated + n->quorumless + n->unknown;
}

bool quorum_compute(const struct quorum_input *in)
{
	struct votes n = { 0 };
	unsigned here, voters;

	count_self(in, &n);
	for (unsigned i = 0; i < in->peer_count; i++) {
		if (in->peers[i].connected)
			count_connected(in, &in->peers[i], &n);
		else
			count_absent(in, &in->peers[i], &n);
	}
	here = n.up_to_date + n.present;
	/* The absent ones could have quorum among themselves: nothing is certain about them. */
	if (absent(&n) >= needed(in->quorum, absent(&n) + here)) {
		n.unknown += n.quorumless;
		n.quorumless = 0;
	}
	/* Who is known to be harmless leaves the vote, if all absent ones are. */
	voters = n.unknown ? absent(&n) + here : here;
	if (n.quorate)
		return true;
	if (here >= needed(in->quorum, voters) &&
	    n.up_to_date >= needed(in->min_redundancy, voters))
		return true;
	/* Half of an even number: most of the diskless nodes keep
	 * a quorum, in the place of one disk, but they never give one. */
	return in->had && voters > 0 && voters % 2 == 0 &&
	       here + 1 == needed(in->quorum, voters) &&
	       n.up_to_date + 1 >= needed(in->min_redundancy, voters) &&
	       n.diskless >= majority_of(n.diskless + n.missing_diskless);
}

/* ---- of a volume ---- */

/*
 * Whoever has a disk has a vote, also where there is never a connection to. A DRBD kernel leaves
 * these out: of a chain of four both halves would have quorum.
 */
static void add_far(const struct core *core, const struct volume *vol, struct quorum_input *in)
{
	uint32_t far_disks = cluster_far_disks(core, vol);
	unsigned near = 1;

	for (unsigned i = 0; i < in->peer_count; i++)
		near += !in->peers[i].client;
	in->too_far = near < needed(in->quorum, near + (unsigned)__builtin_popcount(far_disks));
	for (uint32_t far = far_disks; far; far &= far - 1) {
		unsigned n = (unsigned)__builtin_ctz(far);

		in->peers[in->peer_count++] = (struct quorum_peer){
			.disk = DISK_UNKNOWN,
			.member = core->members & node_bit(n),
		};
	}
}

/* Nodes that have a place in the metadata but are not configured (any more). */
static void add_unconfigured(const struct core *core, const struct volume *vol,
			     struct quorum_input *in)
{
	uint32_t far = cluster_far_disks(core, vol);

	for (unsigned n = 0; n < NODES_MAX; n++) {
		const struct md_peer *mp = &vol->md.peers[n];
		uint32_t seen = MDF_PEER_NODE_EXISTS | MDF_PEER_DEVICE_SEEN;

		if (n == core->self || core->peer[n] || far >> n & 1 ||
		    (mp->bitmap_index < 0 && !(mp->flags & seen)))
			continue;
		in->peers[in->peer_count++] = (struct quorum_peer){
			.client = !(mp->flags & MDF_PEER_DEVICE_SEEN),
			.disk = DISK_UNKNOWN,
			.outdated = mp->flags & MDF_PEER_OUTDATED,
			.member = core->members & node_bit(n),
		};
	}
}

bool quorum_forgets_outdated(const struct core *core, const struct state *old,
			     const struct state *next, unsigned v)
{
	FOR_EACH_PEER(core, peer) {
		if (fencing_or_quorum(core, peer) &&
		    old->pd[peer->id][v].repl >= REPL_ESTABLISHED &&
		    next->pd[peer->id][v].repl < REPL_ESTABLISHED &&
		    next->pd[peer->id][v].pdsk == DISK_UNKNOWN)
			return true;
	}
	return false;
}

/*
 * Without its disk it has seen a generation that was never seen here; or its disk has one that this
 * Primary was left behind by.
 */
static bool knows_more(const struct core *core, const struct peer *peer, const struct volume *vol,
		       const struct state *next)
{
	const struct peer_device *pd = &peer->pd[vol->v];
	uint64_t seen = pd->current_uuid_rx;

	/* It is given up where this node is promoted by force, and would keep that from quorum. */
	if (core->commands.local_up_to_date && core->commands.outdate_peers)
		return false;
	if (next->pd[peer->id][vol->v].pdsk < DISK_INCONSISTENT)
		return seen && !uuid_known(vol, seen) && !uuid_eq(seen, vol->exposed_uuid);
	return next->role == ROLE_PRIMARY && vol_has_md(vol) &&
	       next->pd[peer->id][vol->v].repl == REPL_ESTABLISHED &&
	       !uuid_eq(pd->uuids.current, vol->exposed_uuid) && sync_is_newer(core, peer, vol);
}

static struct quorum_peer peer_input(const struct core *core, const struct peer *peer,
				     const struct volume *vol, const struct state *next,
				     bool with_disk)
{
	const struct state_peer_device *pd = &next->pd[peer->id][vol->v];

	return (struct quorum_peer){
		.client = !peer->conf->has_disk[vol->v],
		.connected = pd->repl > REPL_OFF,
		.disk = pd->pdsk,
		.outdated = pd->pdsk <= DISK_OUTDATED ||
			    (with_disk && vol->md.peers[peer->id].flags & MDF_PEER_OUTDATED),
		.member = core->members & node_bit(peer->id),
		.quorate = pd->quorate,
		.knows_more = knows_more(core, peer, vol, next),
	};
}

static bool compute(const struct core *core, const struct state *next, const struct volume *vol,
		    bool with_disk, bool had)
{
	struct quorum_input in = {
		.quorum = core->conf.quorum,
		.min_redundancy = core->conf.quorum_min_redundancy,
		.with_disk = with_disk,
		.client = !vol->conf->disk.has_disk,
		.disk = next->vol[vol->v].disk,
		.had = had,
	};

	FOR_EACH_PEER(core, peer) {
		if (peer->conf->net.allow_remote_read)
			in.peers[in.peer_count++] = peer_input(core, peer, vol, next, with_disk);
	}
	add_far(core, vol, &in);
	if (with_disk)
		add_unconfigured(core, vol, &in);
	return quorum_compute(&in);
}

bool quorum_of(const struct core *core, const struct state *old, const struct state *next,
	       unsigned v)
{
	const struct volume *vol = core->vol[v];
	enum disk_state disk = next->vol[v].disk;
	/* One that is failing will not come back with what is written from now on. */
	bool with_disk = vol_has_md(vol) && disk > DISK_FAILED;
	bool had = old->vol[v].have_quorum;

	if (core->conf.quorum == QUORUM_OFF)
		return true;
	/* It was the only one that had quorum when it was stopped. */
	if (vol->restore_quorum && disk == DISK_UP_TO_DATE &&
	    core->members == node_bit(core->self))
		return true;
	if (compute(core, next, vol, with_disk, had))
		return true;
	/* A disk that is not good yet does not take away the quorum that there is without it. */
	return with_disk && had && disk < DISK_UP_TO_DATE && compute(core, next, vol, false, had);
}

/* Also: it follows no Primary. */
static bool is_good_and_equal(const struct volume *vol, const struct peer_device *pd,
			      const struct state *next)
{
	const struct state_peer_device *st = &next->pd[pd->p][vol->v];

	return repl_is_settled(st->repl) && st->pdsk == DISK_UP_TO_DATE && pd->uuids_valid &&
	       pd->uuids.flags & UUID_FLAG_STABLE &&
	       uuid_eq(pd->uuids.current, vol->md.current_uuid);
}

/* Without so many of the disks nobody has had quorum. */
static bool is_enough(const struct core *core, const struct volume *vol, unsigned nodes)
{
	unsigned voters = 1, least;

	FOR_EACH_PEER(core, peer)
		voters += peer->conf->has_disk[vol->v];
	if (core->conf.quorum == QUORUM_OFF)
		return false;
	for (unsigned n = 0; n < NODES_MAX; n++)
		voters += n != core->self && !core->peer[n] &&
			  (cluster_far_disks(core, vol) >> n & 1 ||
			   vol->md.peers[n].flags & MDF_PEER_DEVICE_SEEN);
	least = needed(core->conf.quorum, voters);
	/* With tie-breakers half of them keep it. */
	if (voters % 2 == 0)
		least--;
	return nodes >= majority_of(voters) && nodes + least > voters;
}

bool quorum_is_shared(const struct core *core, const struct volume *vol, const struct state *next)
{
	unsigned good = next->vol[vol->v].disk == DISK_UP_TO_DATE;

	FOR_EACH_PEER(core, peer)
		good += is_good_and_equal(vol, &peer->pd[vol->v], next);
	return is_enough(core, vol, good);
}

bool quorum_has_gone_on_here(const struct core *core, const struct volume *vol)
{
	unsigned equal = 1;

	if (disk_of(core, vol) != DISK_OUTDATED)
		return false;
	FOR_EACH_PEER(core, peer) {
		const struct peer_device *pd = &peer->pd[vol->v];
		enum disk_state pdsk = pdsk_of(core, pd);

		equal += repl_is_settled(repl_of(core, pd)) && pdsk >= DISK_OUTDATED &&
			 pdsk != DISK_UNKNOWN && pd->uuids_valid &&
			 !(pd->uuids.flags & UUID_FLAG_SYNC_TARGET) &&
			 uuid_eq(pd->uuids.current, vol->md.current_uuid);
	}
	return is_enough(core, vol, equal);
}

bool quorum_all(const struct core *core, const struct state *st)
{
	FOR_EACH_VOLUME(core, vol) {
		if (!st->vol[vol->v].have_quorum && !vol_is_aside(vol))
			return false;
	}
	return true;
}

/* ---- I/O ---- */

/*
 * Quorum came back by a node that connects, lacks what is kept here, and calls its data good until
 * it hears that. And after a crash this disk would be the one of a Primary without quorum, as long
 * as it says so. Lost now, what is answered would be missing on both.
 */
static bool is_regained(const struct core *core)
{
	if (!core->quorum_regained)
		return false;
	FOR_EACH_VOLUME(core, vol) {
		if (vol_has_disk(core, vol) && vol->md_durable_seq < vol->md_mark_seq)
			return true;
		FOR_EACH_PEER(core, peer) {
			const struct peer_device *pd = &peer->pd[vol->v];

			if (repl_of(core, pd) >= REPL_ESTABLISHED && !pd->conn_rx &&
			    pdsk_of(core, pd) >= DISK_INCONSISTENT)
				return true;
		}
	}
	return false;
}

/*
 * The one that is lost first may not be the only one: a majority on the other side would go on
 * without us. Nothing is answered before all who are left have agreed to an empty change, which
 * makes the data of a node Outdated that only they see.
 */
void quorum_state_changed(struct core *core, const struct state *old)
{
	bool lost = false;

	if (core->conf.quorum == QUORUM_OFF || core->st.role != ROLE_PRIMARY) {
		core->quorum_unproved = core->quorum_regained = false;
		return;
	}
	core->quorum_regained = !quorum_all(core, old) ? quorum_all(core, &core->st) :
							 is_regained(core);
	FOR_EACH_PEER(core, peer)
		lost |= old->peer[peer->id].conn == CONN_CONNECTED && !peer_connected(core, peer);
	if (!lost)
		return;
	core->quorum_unproved = true;
	core->quorum_asked = false;
	twopc_request_empty(core);
}

void quorum_proved(struct core *core)
{
	/* A peer that was lost meanwhile is asked about by another change. */
	if (!core->quorum_unproved || !core->quorum_asked)
		return;
	core->quorum_unproved = false;
	uuid_bump_for_writes(core);
	core_work(core, WORK_REQUESTS);
}

bool quorum_holds_answers(const struct core *core)
{
	return core->st.susp_quorum || core->quorum_unproved || is_regained(core) ||
	       fencing_holds_io(&core->st);
}

bool quorum_waits_for_io(const struct core *core)
{
	return core->conf.quorum != QUORUM_OFF && core->conf.on_no_quorum == NO_QUORUM_SUSPEND &&
	       !core->commands.give_up_io;
}

bool quorum_fails_io(const struct core *core, unsigned v)
{
	return !core->st.vol[v].have_quorum && !core->st.susp_quorum;
}

void quorum_give_up_io(struct core *core, bool give_up)
{
	if (core->commands.give_up_io == give_up)
		return;
	core->commands.give_up_io = give_up;
	state_begin(core);
	state_end(core, STATE_HARD);
}

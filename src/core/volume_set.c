/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Volumes that are there from the beginning, and such that come and go while the core runs. */
#include <string.h>

#include "core/cluster.h"
#include "core/command.h"
#include "core/core_hooks.h"
#include "core/resync_int.h"
#include "core/state.h"

/* What refers to a volume is looked for so often while it is being taken out. */
#define LOOK_NS (10 * NS_PER_MS)

#define NO_PLACE UINT8_MAX

/* ---- places and memory ---- */

size_t volume_mem_bytes(const struct core_volume_conf *conf)
{
	return core_rounded(sizeof(struct volume)) + core_rounded(sync_mem_bytes()) +
	       core_rounded(actlog_mem_bytes(conf));
}

bool volume_in(const struct core_conf *conf, uint16_t vnr, unsigned *at)
{
	for (unsigned i = 0; i < conf->volume_count; i++) {
		if (conf->volumes[i].vnr == vnr) {
			*at = i;
			return true;
		}
	}
	return false;
}

/* Where each volume of `to` is, or will be: its own place, that of one that is gone, a new one. */
static unsigned plan(const struct core *core, const struct core_conf *to,
		     uint8_t place[VOLUMES_MAX])
{
	unsigned count = core->vol_count, next = 0, at;
	uint32_t free = 0;

	memset(place, NO_PLACE, VOLUMES_MAX);
	for (unsigned v = 0; v < core->vol_count; v++) {
		if (volume_in(to, core->vol[v]->vnr, &at))
			place[at] = (uint8_t)v;
		else if (core->vol[v]->gone)
			free |= UINT32_C(1) << v;
	}
	for (unsigned i = 0; i < to->volume_count; i++) {
		if (place[i] != NO_PLACE)
			continue;
		while (next < count && !(free >> next & 1))
			next++;
		if (next == count)
			count++;
		place[i] = (uint8_t)next++;
	}
	return count;
}

unsigned volumes_after(const struct core *core, const struct core_conf *to)
{
	uint8_t place[VOLUMES_MAX];

	return plan(core, to, place);
}

size_t volumes_more_bytes(const struct core *core, const struct core_conf *to)
{
	uint8_t place[VOLUMES_MAX];
	size_t bytes = 0;

	plan(core, to, place);
	for (unsigned i = 0; i < to->volume_count; i++) {
		if (place[i] >= core->vol_count)
			bytes += volume_mem_bytes(&to->volumes[i]);
		else if (core->vol[place[i]]->gone &&
			 actlog_outgrows(core->vol[place[i]], &to->volumes[i]))
			bytes += core_rounded(actlog_mem_bytes(&to->volumes[i]));
	}
	return bytes;
}

/* The memory of the one that has been there, or new one. */
static struct volume *take_volume(struct core *core, unsigned v)
{
	struct volume *vol = core->vol[v];
	struct rs_request *target, *source;
	struct actlog al;
	struct bitmap bm;

	if (!vol)
		return core_arena(core, sizeof(*vol));
	target = vol->rs.target.items;
	source = vol->rs.source.items;
	al = vol->al;
	bm = vol->bm;
	memset(vol, 0, sizeof(*vol));
	vol->rs.target.items = target;
	vol->rs.source.items = source;
	vol->al.slots = al.slots;
	vol->al.buckets = al.buckets;
	vol->al.slots_room = al.slots_room;
	vol->bm.state = bm.state;
	vol->bm.dirty = bm.dirty;
	vol->bm.want = bm.want;
	return vol;
}

void volume_create(struct core *core, unsigned v)
{
	struct volume *vol = take_volume(core, v);

	vol->v = (uint8_t)v;
	vol->vnr = core->conf.volumes[v].vnr;
	vol->conf = &core->conf.volumes[v];
	local_io_volume_create(vol);
	core->vol[v] = vol;
	memset(&core->st.vol[v], 0, sizeof(core->st.vol[v]));
	core->st.vol[v].have_quorum = core->conf.quorum == QUORUM_OFF;
	if (core->vol_count <= v)
		core->vol_count = v + 1;
	request_volume_create(core, vol);
	sync_volume_create(core, vol);
}

/* ---- one comes ---- */

static void add(struct core *core, const struct core_volume_conf *conf, unsigned v)
{
	bool known = v < core->vol_count && core->vol[v]->vnr == conf->vnr;

	if (core->conf.volume_count <= v)
		core->conf.volume_count = v + 1;
	core->conf.volumes[v] = *conf;
	if (known) {
		/* Its peers have never heard that it was gone. */
		core->vol[v]->gone = false;
		actlog_create(core, core->vol[v]);
	} else {
		volume_create(core, v);
		FOR_EACH_PEER(core, peer)
			peer_device_create(core, peer, v);
	}
	core->vol[v]->comes = core->st.role == ROLE_PRIMARY;
	core_log(core, LOG_LEVEL_NOTICE, "%s: volume %u is there now", core->conf.name,
		 conf->vnr);
}

static bool is_met(const struct core *core, const struct peer *peer, const struct volume *vol)
{
	return repl_of(core, &peer->pd[vol->v]) > REPL_OFF;
}

/* A peer that has it tells of its own then; one that has not leaves this out. */
static void introduce(struct core *core, struct peer *peer, struct volume *vol)
{
	md_peer_returns(core, vol, peer->id);
	handshake_send_sync_param(core, peer, vol);
	replicate_connects(core, &peer->pd[vol->v]);
	sizes_send(core, peer, vol->v);
	uuid_send(core, peer, vol->v, 0, 0);
	peer_send_state(core, peer, vol->v);
}

uint32_t volumes_add(struct core *core, const struct core_conf *to)
{
	uint8_t place[VOLUMES_MAX];
	uint32_t added = 0;

	plan(core, to, place);
	for (unsigned i = 0; i < to->volume_count; i++) {
		unsigned v = place[i];

		if (v < core->vol_count && !core->vol[v]->gone)
			continue;
		add(core, &to->volumes[i], v);
		added |= UINT32_C(1) << v;
	}
	return added;
}

void volumes_place_disks(const struct core *core, const struct core_conf *to,
			 const struct core_peer_conf *from, struct core_peer_conf *conf)
{
	uint8_t place[VOLUMES_MAX];

	plan(core, to, place);
	memset(conf->has_disk, 0, sizeof(conf->has_disk));
	for (unsigned k = 0; k < to->volume_count; k++)
		conf->has_disk[place[k]] = from->has_disk[k];
}

void volumes_introduce(struct core *core, uint32_t added)
{
	FOR_EACH_PEER(core, peer) {
		if (added && peer->streams_up && !peer_connected(core, peer))
			peer_fail(core, peer, CONN_NETWORK_FAILURE,
				  "the volumes here have changed meanwhile");
		FOR_EACH_VOLUME(core, vol) {
			if ((added >> vol->v & 1) && peer_connected(core, peer) &&
			    !is_met(core, peer, vol))
				introduce(core, peer, vol);
		}
	}
}

bool volume_meet(struct core *core, struct peer *peer, struct volume *vol, enum disk_state disk)
{
	struct peer_device *pd = &peer->pd[vol->v];
	struct state *next;

	/* What came before it was there. */
	if (!pd->have_sizes || !pd->have_uuids)
		return false;
	next = state_begin(core);
	next->pd[peer->id][vol->v].repl = REPL_ESTABLISHED;
	next->pd[peer->id][vol->v].pdsk = disk;
	state_end(core, STATE_HARD);
	if (!peer_connected(core, peer))
		return false;
	introduce(core, peer, vol);
	return true;
}

bool volume_is_unmet(const struct core *core, const struct volume *vol)
{
	FOR_EACH_PEER(core, peer) {
		if (peer_connected(core, peer) && !is_met(core, peer, vol))
			return true;
	}
	return false;
}

void volumes_settled(struct core *core)
{
	FOR_EACH_VOLUME(core, vol) {
		if (core->st.role != ROLE_PRIMARY ||
		    (core->st.vol[vol->v].have_quorum &&
		     state_data_accessible(core, &core->st, vol->v)))
			vol->comes = false;
	}
}

/* ---- one goes ---- */

static bool in_pool(const struct rs_pool *pool)
{
	for (uint32_t i = 0; i < pool->made; i++) {
		if (pool->items[i].state != RS_FREE)
			return true;
	}
	return false;
}

/* Nothing that is under way comes back to it. */
static bool is_unused(const struct core *core, const struct volume *vol)
{
	if (vol->phase != VOL_DETACHED || vol->local_pending || core->twopc.phase != TWOPC_IDLE ||
	    !request_volume_idle(core, vol) || in_pool(&vol->rs.target) ||
	    in_pool(&vol->rs.source))
		return false;
	FOR_EACH_PEER(core, peer) {
		const struct peer_device *pd = &peer->pd[vol->v];

		if (pd->saves || pd->rs.flushes || peer_requests_of(peer, vol))
			return false;
	}
	return true;
}

static void take_out(struct core *core, struct volume *vol)
{
	struct state *next;

	vol->gone = true;
	vol->comes = vol->leaves = false;
	core->conf.volumes[vol->v].vnr = VNR_NONE;
	FOR_EACH_PEER(core, peer) {
		if (peer->streams_up && !peer_connected(core, peer))
			peer_fail(core, peer, CONN_NETWORK_FAILURE,
				  "the volumes here have changed meanwhile");
	}
	/* Whether all volumes have quorum, and data, is another question now; and what paused its
	 * resyncs goes with it. */
	next = state_begin(core);
	next->vol[vol->v].susp_dependency = next->vol[vol->v].susp_parallel = false;
	FOR_EACH_PEER(core, peer)
		next->pd[peer->id][vol->v].susp_user = false;
	state_end(core, STATE_HARD);
	core_work(core, WORK_SEND_STATE | WORK_REQUESTS);
	core->notify = true;
}

enum { DEL_VOLUME_BEGIN, DEL_VOLUME_AGREED, DEL_VOLUME_GOES };

static enum command_progress begin(struct core *core, struct volume *vol)
{
	struct twopc_change change = command_disk_change(vol, DISK_DETACHING);

	if (vol->open_rw || vol->open_ro) {
		command_reply(core, SS_DEVICE_IN_USE, "volume %u is open", vol->vnr);
		return COMMAND_DONE;
	}
	vol->leaves = true;
	if (vol->phase != VOL_ATTACHED || disk_of(core, vol) <= DISK_FAILED) {
		command_goto(core, DEL_VOLUME_GOES);
		return COMMAND_WAITS;
	}
	bitmap_write_all(core, vol);
	command_twopc(core, &change, DEL_VOLUME_AGREED);
	return COMMAND_WAITS;
}

enum command_progress command_del_volume(struct core *core, const struct ev_command *ev)
{
	struct volume *vol = command_volume(core, ev);
	enum state_rv rv = core->commands.twopc_rv;

	if (!vol)
		return COMMAND_DONE;
	if (core->commands.step == DEL_VOLUME_BEGIN)
		return begin(core, vol);
	if (core->commands.step == DEL_VOLUME_AGREED) {
		if (rv < SS_SUCCESS && disk_of(core, vol) > DISK_FAILED) {
			vol->leaves = false;
			command_reply(core, rv, "volume %u cannot be taken out: %s", vol->vnr,
				      state_rv_text(rv));
			return COMMAND_DONE;
		}
		command_goto(core, DEL_VOLUME_GOES);
	}
	if (!is_unused(core, vol)) {
		core->commands.deadline_ns = core->now_ns + LOOK_NS;
		return COMMAND_WAITS;
	}
	take_out(core, vol);
	command_reply(core, SS_SUCCESS, "volume %u is gone", vol->vnr);
	return COMMAND_DONE;
}

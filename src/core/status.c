/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Fills the read model: facts and reasons, no verdicts. */
#include <stddef.h>
#include <string.h>

#include "base/str.h"
#include "core/cluster.h"
#include "core/core_hooks.h"
#include "core/resync_int.h"

/* Over the span of the marks that exist. */
static uint64_t rate_of(const struct core *core, const struct resync *rs, uint64_t left)
{
	unsigned oldest = rs->mark_count < RS_MARKS ? 0 : rs->mark_next;
	uint64_t ns, bits;

	if (rs->mark_count == 0 || core->now_ns <= rs->mark_ns[oldest] ||
	    rs->mark_left[oldest] <= left)
		return 0;
	ns = core->now_ns - rs->mark_ns[oldest];
	bits = rs->mark_left[oldest] - left;
	return (uint64_t)((double)bits * BM_BLOCK_BYTES * (double)NS_PER_S / (double)ns);
}

/* The source only knows when it has kept it back itself. */
static enum resync_limit limit_of(const struct core *core, const struct volume *vol,
				  const struct peer_device *pd)
{
	enum repl_state repl = repl_of(core, pd);

	if (repl == REPL_SYNC_TARGET || repl == REPL_VERIFY_S)
		return (enum resync_limit)pd->rs.limit;
	return repl == REPL_SYNC_SOURCE && vol->rs.yielded_ns &&
			       core->now_ns - vol->rs.yielded_ns < NS_PER_S ?
		       LIMIT_APPLICATION : LIMIT_NONE;
}

static void fill_resync(const struct core *core, const struct volume *vol,
			const struct peer_device *pd, struct status_resync *out)
{
	const struct resync *rs = &pd->rs;

	if (!rs->running)
		return;
	out->running = true;
	out->verify = verify_is_running(repl_of(core, pd));
	out->left_bits = vol_has_md(vol) ? resync_left(core, pd) : 0;
	out->same_bits = rs->same_bits;
	out->zero_bits = rs->zero_bits;
	/* Writes meanwhile may have set more bits than there were at the start. */
	out->total_bits = rs->total_bits > out->left_bits ? rs->total_bits : out->left_bits;
	out->failed_bits = rs->failed_bits;
	out->started_ns = rs->started_ns;
	out->paused_ns = rs->paused_ns;
	out->rate_bytes_s = rate_of(core, rs, out->left_bits);
	out->want_kib_s = rs->want_kib_s;
	out->limit = limit_of(core, vol, pd);
}

static void fill_verify(const struct core *core, const struct volume *vol,
			const struct peer_device *pd, struct status_verify *out)
{
	const struct verify *ov = &pd->ov;
	uint64_t end = ov->end_bit * BM_BLOCK_SECTORS;

	out->found_bits = ov->found_bits;
	out->unresolved = ov->found;
	out->skipped_bits = ov->skipped_bits;
	out->last_ended_ns = ov->last.ended_ns;
	out->last_found_bits = ov->last.found_bits;
	out->last_skipped_bits = ov->last.skipped_bits;
	out->last_whole = ov->last.whole;
	out->next_ns = core->conf.verify_interval_s && ov->due_at_ns ? ov->due_at_ns : NEVER_NS;
	if (!verify_is_running(repl_of(core, pd)))
		return;
	out->start_sector = ov->start_bit * BM_BLOCK_SECTORS;
	out->stop_sector = end < vol->size_sectors ? end : vol->size_sectors;
	out->position_sector = (ov->end_bit - ov->left_bits) * BM_BLOCK_SECTORS;
}

static void fill_peer_device(const struct core *core, const struct peer *peer,
			     const struct volume *vol, struct status_peer_device *out)
{
	const struct peer_device *pd = &peer->pd[vol->v];
	const struct state_peer_device *spd = &core->st.pd[peer->id][vol->v];
	unsigned paused = state_resync_paused(&core->st, peer->id, vol->v);

	memset(out, 0, sizeof(*out));
	out->vnr = vol->vnr;
	out->repl = spd->repl;
	out->peer_disk = spd->pdsk;
	out->peer_client = !peer->conf->has_disk[vol->v];
	out->susp_user = paused & PAUSED_USER;
	out->susp_peer = paused & PAUSED_PEER;
	out->susp_dependency = paused & PAUSED_DEPENDENCY;
	out->susp_parallel = paused & PAUSED_PARALLEL;
	out->received_sectors = pd->received_sectors;
	out->sent_sectors = pd->sent_sectors;
	out->pending = pd->pending;
	out->unacked = pd->unacked;
	if (vol_has_md(vol)) {
		out->out_of_sync_sectors = bitmap_weight(vol, peer->id) * BM_BLOCK_SECTORS;
		out->bitmap_uuid = vol->md.peers[peer->id].bitmap_uuid;
	}
	fill_resync(core, vol, pd, &out->resync);
	fill_verify(core, vol, pd, &out->verify);
	out->split = pd->split;
	out->saving = pd->save_running;
	out->agreeing = pd->before_resync.running;
}

static unsigned by_vnr(const struct core *core, const struct volume *out[VOLUMES_MAX])
{
	unsigned count = 0;

	FOR_EACH_VOLUME(core, vol) {
		unsigned at = count++;

		for (; at > 0 && out[at - 1]->vnr > vol->vnr; at--)
			out[at] = out[at - 1];
		out[at] = vol;
	}
	return count;
}

static void fill_peer(const struct core *core, const struct peer *peer, struct status_peer *out)
{
	const struct volume *vols[VOLUMES_MAX];

	memset(out, 0, offsetof(struct status_peer, devices));
	out->node_id = peer->id;
	str_copy(out->name, sizeof(out->name), peer->conf->name);
	out->conn = core->st.peer[peer->id].conn;
	out->role = core->st.peer[peer->id].role;
	out->apv = peer->apv;
	out->features = peer->features;
	out->protocol = peer->conf->net.protocol;
	out->ap_in_flight_sectors = request_in_flight_sectors(core, peer);
	out->may_be_two = cluster_allows_two_primaries(core, peer);
	out->readable = peer->conf->net.allow_remote_read;
	out->suspends = core->st.susp_fen >> peer->id & 1;
	out->fencing = peer->fence.running;
	out->not_fenced = peer->fence_failed;
	out->fence_status = peer->fence_status;
	out->retry_at_ns = peer->retry_at_ns;
	out->sent_bytes = peer->sent_bytes;
	out->received_bytes = peer->received_bytes;
	if (!peer_connected(core, peer))
		str_copy(out->reason, sizeof(out->reason), peer->reason);
	out->device_count = by_vnr(core, vols);
	for (unsigned i = 0; i < out->device_count; i++) {
		fill_peer_device(core, peer, vols[i], &out->devices[i]);
		out->rs_in_flight_sectors += peer->pd[vols[i]->v].rs.in_flight_sectors;
	}
}

static void fill_volume(const struct core *core, const struct volume *vol,
			struct status_volume *out)
{
	memset(out, 0, sizeof(*out));
	out->vnr = vol->vnr;
	out->disk = disk_of(core, vol);
	out->client = !vol->conf->disk.has_disk;
	out->quorum = core->st.vol[vol->v].have_quorum;
	out->open_rw = vol->open_rw > 0;
	out->open_ro = vol->open_ro > 0;
	out->size_sectors = vol->size_sectors;
	out->read_sectors = vol->read_sectors;
	out->written_sectors = vol->written_sectors;
	out->al_writes = vol->al.writes;
	out->al_hot_extents = actlog_hot_count(vol);
	out->bm_writes = vol->bm_writes;
	out->upper_pending = core->req.vol[vol->v].requests;
	out->lower_pending = vol->local_pending;
	out->unanswered = local_io_unanswered(&vol->io);
	out->current_uuid = vol_has_md(vol) ? vol->md.current_uuid : vol->exposed_uuid;
	str_copy(out->reason, sizeof(out->reason), vol->reason);
}

void core_status_own(const struct core *core, struct resource_status *status)
{
	const struct volume *vols[VOLUMES_MAX];

	memset(status, 0, offsetof(struct resource_status, volumes));
	str_copy(status->name, sizeof(status->name), core->conf.name);
	status->node_id = core->self;
	status->role = core->st.role;
	status->susp_user = core->st.susp_user;
	status->susp_no_data = core->st.susp_nod;
	status->susp_quorum = core->st.susp_quorum;
	status->susp_fencing = core->st.susp_fen != 0;
	status->now_ns = core->now_ns;
	status->volume_count = by_vnr(core, vols);
	for (unsigned i = 0; i < status->volume_count; i++)
		fill_volume(core, vols[i], &status->volumes[i]);
}

void core_status(const struct core *core, struct resource_status *status)
{
	core_status_own(core, status);
	status->peer_count = core->peer_count;
	for (unsigned i = 0; i < core->peer_count; i++)
		fill_peer(core, core->peer[core->peer_ids[i]], &status->peers[i]);
}

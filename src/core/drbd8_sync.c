/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Writes and resyncs with a peer of protocol 101: no peer acks, P_SYNC_UUID, a silent end. */
#include <string.h>

#include "core/cluster.h"
#include "core/core_hooks.h"
#include "core/drbd8.h"
#include "core/resync_int.h"
#include "core/state.h"
#include "core/twopc.h"

#define HISTORY_8 2U
#define FLAGS_8 (UINT64_C(0xf) | UUID_FLAG_STABLE)

void drbd8_epochs_acknowledged(struct core *core, struct peer *peer)
{
	struct pkt ack = { .type = P_PEER_ACK, .vnr = VNR_NONE };
	bool any = false;

	LIST_FOR_EACH(it, &peer->rx.writes) {
		const struct peer_request *preq = LIST_ENTRY(it, struct peer_request, link);

		if (preq->epoch >= peer->rx.first)
			break;
		ack.u.dagtag.dagtag = preq->dagtag;
		any = true;
	}
	ack.u.dagtag.mask = node_bit(core->self) | node_bit(peer->id);
	if (any)
		rx_peer_ack(core, peer, &ack);
}

static void set_reference(struct core *core, struct volume *vol, const struct peer *peer,
			  uint64_t value)
{
	struct md_peer *mp = &vol->md.peers[peer->id];

	uuid_push_history(vol, mp->bitmap_uuid, peer->id);
	mp->bitmap_uuid = value;
	md_sync(core, vol);
}

void drbd8_send_sync_uuid(struct core *core, struct peer_device *pd)
{
	struct volume *vol = core->vol[pd->v];
	struct peer *peer = core->peer[pd->p];
	uint64_t reference = vol->md.peers[pd->p].bitmap_uuid;
	struct pkt pkt = { .type = P_SYNC_UUID, .vnr = vol->vnr };

	/* One that did not reach the target is told once more. */
	if (!uuid_eq(vol->md.history[0] + SYNC_UUID_STEP, reference) ||
	    !uuid_eq(vol->md.history[0], pd->uuids.current)) {
		if (reference && !uuid_eq(reference, UUID_JUST_CREATED))
			reference += SYNC_UUID_STEP;
		else
			reference = core_random64(core) & ~UUID_PRIMARY;
		set_reference(core, vol, peer, reference);
	}
	pkt.u.sync_uuid = reference;
	core_send(core, peer, STREAM_DATA, &pkt);
}

static void become_target(struct core *core, struct peer_device *pd, uint64_t sync_uuid)
{
	struct volume *vol = core->vol[pd->v];
	struct state *next;

	pd->sync_uuid = 0;
	uuid_set_current(core, vol, sync_uuid);
	set_reference(core, vol, core->peer[pd->p], 0);
	next = state_begin(core);
	next->pd[pd->p][pd->v].repl = REPL_SYNC_TARGET;
	state_end(core, STATE_HARD);
}

/* Its answer to our request for a full sync comes on the other stream, and may come later. */
static bool full_sync_begins(const struct core *core, const struct peer_device *pd)
{
	const struct twopc *tp = &core->twopc;

	return repl_of(core, pd) == REPL_STARTING_SYNC_T ||
	       (repl_of(core, pd) == REPL_ESTABLISHED && tp->phase == TWOPC_INITIATING &&
		tp->change.kind == TWOPC_REPL && tp->change.target == (int8_t)pd->p);
}

void rx_drbd8_sync_uuid(struct core *core, struct peer *peer, const struct pkt *pkt)
{
	struct volume *vol = core_volume_by_vnr(core, pkt->vnr);
	struct peer_device *pd = &peer->pd[vol->v];

	if (vol_has_md(vol) && repl_of(core, pd) == REPL_WF_BITMAP_T && !pd->bm_rx.active) {
		become_target(core, pd, pkt->u.sync_uuid);
	} else if (vol_has_md(vol) && full_sync_begins(core, pd)) {
		pd->sync_uuid = pkt->u.sync_uuid;
		core_work(core, WORK_SYNC);
	} else {
		peer_fail(core, peer, CONN_PROTOCOL_ERROR, "P_SYNC_UUID of volume %u without a "
			  "resync that waits for it", vol->vnr);
	}
}

void drbd8_start_full(struct core *core, struct peer_device *pd)
{
	struct state *next;

	if (repl_of(core, pd) == REPL_STARTING_SYNC_T) {
		if (pd->sync_uuid)
			become_target(core, pd, pd->sync_uuid);
		return;
	}
	drbd8_send_sync_uuid(core, pd);
	/* It has agreed to that, and will only tell the end. */
	pd->conn_rx = REPL_STARTING_SYNC_T;
	next = state_begin(core);
	next->pd[pd->p][pd->v].repl = REPL_SYNC_SOURCE;
	state_end(core, STATE_HARD);
}

void drbd8_source_finished(struct core *core, struct peer_device *pd)
{
	struct volume *vol = core->vol[pd->v];

	set_reference(core, vol, core->peer[pd->p], 0);
	pd->uuids.current = vol->md.current_uuid;
	pd->uuids.bitmap[core->self] = 0;
}

void drbd8_source_run(struct core *core, struct peer_device *pd)
{
	struct state *next;

	if (!pd->end_told || bitmap_weight(core->vol[pd->v], pd->p))
		return;
	pd->end_told = false;
	drbd8_source_finished(core, pd);
	next = state_begin(core);
	next->pd[pd->p][pd->v].repl = REPL_ESTABLISHED;
	next->pd[pd->p][pd->v].pdsk = DISK_UP_TO_DATE;
	state_end(core, STATE_HARD);
}

static void limit_side(struct uuid_side *side, unsigned other)
{
	uint64_t reference = side->bitmap[other];

	side->flags &= FLAGS_8;
	memset(side->history + HISTORY_8, 0, sizeof(side->history) - HISTORY_8 * sizeof(uint64_t));
	for (unsigned n = 0; n < NODES_MAX; n++)
		side->bitmap[n] = UUID_UNKNOWN;
	side->bitmap[other] = reference == UUID_UNKNOWN ? 0 : reference;
}

void drbd8_limit_input(struct sync_input *in)
{
	limit_side(&in->me, in->peer.node_id);
	limit_side(&in->peer, in->me.node_id);
}

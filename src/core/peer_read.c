/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reads on behalf of a peer (P_DATA_REQUEST): only from an UpToDate disk, after the writes
 * that came before. */
#include "core/bitmap.h"
#include "core/core_hooks.h"
#include "core/request.h"

static void finish(struct core *core, struct peer_request *preq)
{
	if (!preq->lost)
		core->peer[preq->p]->pd[preq->v].unacked--;
	hold_release(core, core->vol[preq->v], &preq->hold);
	peer_request_free(core, preq);
}

static void refuse(struct core *core, struct peer_request *preq)
{
	peer_request_answer(core, preq, P_NEG_DREPLY);
	finish(core, preq);
}

static void hold_ready(struct core *core, struct volume *vol, struct hold *hold)
{
	struct peer_request *preq = LIST_ENTRY(hold, struct peer_request, hold);
	uint64_t tag = peer_request_tag(core, preq);
	struct core_action *act;

	if (preq->lost || disk_of(core, vol) != DISK_UP_TO_DATE || vol->io_failed) {
		refuse(core, preq);
		return;
	}
	preq->stage = PREQ_DISK;
	act = request_local_begin(core, vol, AC_DISK_READ, tag);
	act->u.disk.sector = preq->sector;
	act->u.disk.bytes = preq->bytes;
	vol->app_sectors += preq->bytes / SECTOR_BYTES;
}

void rx_data_request(struct core *core, struct peer *peer, const struct pkt *pkt)
{
	struct volume *vol = core_volume_by_vnr(core, pkt->vnr);
	struct peer_request *preq;

	if (!vol || !peer_range_ok(vol, &pkt->u.block, BIO_MAX_BYTES)) {
		peer_fail(core, peer, CONN_PROTOCOL_ERROR,
			  "read beyond volume %u or of an illegal size", pkt->vnr);
		return;
	}
	preq = peer_request_new(core, peer, vol, &pkt->u.block);
	preq->op = OP_READ;
	list_push_back(&peer->rx.reads, &preq->link);
	hold_init(&preq->hold, HOLD_RS_READ, preq->sector, preq->bytes / SECTOR_BYTES, hold_ready);
	preq->stage = PREQ_HOLD;
	if (hold_acquire(core, vol, &preq->hold))
		hold_ready(core, vol, &preq->hold);
}

void peer_read_done(struct core *core, struct peer_request *preq, const struct ev_done *done)
{
	struct volume *vol = core->vol[preq->v];
	struct peer *peer = core->peer[preq->p];
	struct payload payload = done->payload;
	struct pkt pkt = { .type = P_DATA_REPLY, .vnr = vol->vnr, .payload = payload };

	if (done->error) {
		core_payload_put(core, &payload);
		bitmap_set(core, vol, SLOTS_ALL, preq->sector, preq->bytes / SECTOR_BYTES);
		volume_io_error(core, vol, done->error, "read for a peer");
		refuse(core, preq);
		return;
	}
	if (!preq->lost) {
		pkt.u.block.sector = preq->sector;
		pkt.u.block.block_id = preq->block_id;
		pkt.u.block.bytes = preq->bytes;
		core_send(core, peer, STREAM_DATA, &pkt);
		peer->pd[preq->v].sent_sectors += preq->bytes / SECTOR_BYTES;
	}
	core_payload_put(core, &payload);
	finish(core, preq);
}

void peer_reads_lost(struct core *core, struct peer *peer)
{
	LIST_FOR_EACH_SAFE(it, &peer->rx.reads) {
		struct peer_request *preq = LIST_ENTRY(it, struct peer_request, link);

		preq->lost = true;
		if (preq->stage != PREQ_DISK)
			finish(core, preq);
	}
}

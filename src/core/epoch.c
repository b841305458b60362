/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Write epochs of the receiving side: barriers, draining, coalesced flushes, barrier acks. */
#include "core/core_hooks.h"
#include "core/drbd8.h"
#include "core/request.h"

static struct rx_epoch *epoch_at(struct peer_rx *rx, uint64_t sequence)
{
	return &rx->epochs[sequence & (rx->ring - 1)];
}

void epoch_write_begin(struct peer *peer, struct peer_request *preq)
{
	struct rx_epoch *e = epoch_at(&peer->rx, peer->rx.current);

	preq->epoch = peer->rx.current;
	e->set_size++;
	e->unfinished++;
	e->volumes |= UINT32_C(1) << preq->v;
	peer->rx.unfinished++;
}

static void acknowledge(struct core *core, struct peer *peer, uint64_t upto)
{
	struct peer_rx *rx = &peer->rx;
	struct pkt pkt = { .type = P_BARRIER_ACK, .vnr = VNR_NONE };

	for (; rx->first < upto; rx->first++) {
		const struct rx_epoch *e = epoch_at(rx, rx->first);

		if (rx->first < rx->void_before)
			continue;
		pkt.u.barrier.number = e->number;
		pkt.u.barrier.set_size = e->set_size;
		core_send(core, peer, STREAM_CONTROL, &pkt);
	}
	if (peer_is_drbd8(peer))
		drbd8_epochs_acknowledged(core, peer);
}

static void flush_volume(struct core *core, struct peer *peer, struct volume *vol)
{
	peer->rx.flushes++;
	local_flush_submit(core, vol, TAG_EPOCH_FLUSH, (uint32_t)vol->v << 8 | peer->id);
}

/* Makes complete epochs stable and acknowledges them, several with one flush. */
static void flush_epochs(struct core *core, struct peer *peer)
{
	struct peer_rx *rx = &peer->rx;
	uint64_t upto = rx->drained;
	uint32_t volumes = 0;

	if (rx->flushes > 0 || rx->first == upto)
		return;
	for (uint64_t i = rx->first; i < upto; i++) {
		if (i >= rx->void_before)
			volumes |= epoch_at(rx, i)->volumes;
	}
	rx->flush_upto = upto;
	rx->flush_failed = false;
	FOR_EACH_VOLUME(core, vol) {
		if (volumes >> vol->v & 1 && request_local_writable(core, vol))
			flush_volume(core, peer, vol);
	}
	if (rx->flushes == 0)
		acknowledge(core, peer, upto);
}

/* Moves past epochs whose writes are all on disk. */
static void advance(struct core *core, struct peer *peer)
{
	struct peer_rx *rx = &peer->rx;
	uint64_t before = rx->drained;

	while (rx->drained < rx->current && epoch_at(rx, rx->drained)->unfinished == 0)
		rx->drained++;
	if (rx->drained == before)
		return;
	if (!list_empty(&rx->drain))
		peer_write_start_drained(core, peer);
	flush_epochs(core, peer);
}

void epoch_write_end(struct core *core, struct peer *peer, struct peer_request *preq)
{
	struct rx_epoch *e = epoch_at(&peer->rx, preq->epoch);

	ASSERT(e->unfinished > 0 && peer->rx.unfinished > 0);
	peer->rx.unfinished--;
	if (--e->unfinished == 0)
		advance(core, peer);
}

static void open_next(struct peer_rx *rx, uint32_t number)
{
	epoch_at(rx, rx->current)->number = number;
	rx->current++;
	*epoch_at(rx, rx->current) = (struct rx_epoch){ 0 };
}

/* An epoch with writes can be closed. */
bool epoch_room(const struct peer *peer)
{
	const struct peer_rx *rx = &peer->rx;

	return rx->current - rx->first + 1 < rx->ring;
}

void rx_barrier(struct core *core, struct peer *peer, const struct pkt *pkt)
{
	ASSERT(epoch_room(peer));
	open_next(&peer->rx, pkt->u.barrier.number);
	advance(core, peer);
}

void epoch_flush_done(struct core *core, const struct ev_done *done)
{
	uint64_t rest = tag_rest(done->tag);
	struct peer *peer = core->peer[rest & 0xff];
	struct volume *vol = core->vol[rest >> 8 & 0xff];
	struct peer_rx *rx = &peer->rx;
	bool failed = done->error != 0 || !request_local_writable(core, vol);

	ASSERT(rx->flushes > 0);
	rx->flushes--;
	rx->flush_failed |= failed;
	if (done->error)
		volume_store_error(core, vol, done->error, "flush");
	local_flush_ended(core, vol, rest, done->error);
	if (rx->flushes == 0) {
		/* Acknowledged writes may be lost here: the sender must count them as not
		 * written. */
		if (rx->flush_failed && rx->flush_upto > rx->void_before) {
			rx->void_before = rx->flush_upto;
			peer_fail(core, peer, CONN_NETWORK_FAILURE,
				  "writes could not be made stable on volume %u", vol->vnr);
		}
		acknowledge(core, peer, rx->flush_upto);
		flush_epochs(core, peer);
	}
	request_local_end(core, vol);
}

void epoch_lost(struct core *core, struct peer *peer)
{
	struct peer_rx *rx = &peer->rx;

	/* Without room for one more epoch no write was taken into this one. */
	if (epoch_at(rx, rx->current)->set_size > 0)
		open_next(rx, 0);
	rx->void_before = rx->current;
	advance(core, peer);
}

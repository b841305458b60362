/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Exchange of bitmaps at the start of a resync (wire-protocol 5.1 to 5.3). */
#include "base/bytes.h"
#include "base/vli.h"
#include "core/bitmap_io.h"
#include "core/core_hooks.h"
#include "core/drbd8.h"
#include "core/core_int.h"
#include "core/resync_int.h"
#include "core/state.h"

#define CHUNK_BYTES 4080U
#define CODE_RLE_VLI 2U

/* ---- sending ---- */

void xfer_send(struct core *core, struct peer_device *pd)
{
	struct volume *vol = core->vol[pd->v];
	int slot = bitmap_slot(vol, pd->p);
	struct core_action *action;

	if (slot < 0 || !core->peer[pd->p]->streams_up)
		return;
	action = core_act(core, AC_SEND_BITMAP);
	action->u.send_bitmap.peer = pd->p;
	action->u.send_bitmap.vnr = vol->vnr;
	action->u.send_bitmap.words = vol->bm.store.slot[slot];
	action->u.send_bitmap.bits = vol->bm.bits;
}

void xfer_expect(struct peer_device *pd)
{
	pd->bm_rx = (struct bitmap_rx){ .active = true };
}

void xfer_reset(struct peer_device *pd)
{
	pd->bm_rx = (struct bitmap_rx){ .active = false };
}

bool sync_foreign_packet(const struct peer *peer, const struct pkt *pkt)
{
	for (unsigned v = 0; v < peer->pd_count; v++) {
		const struct bitmap_rx *rx = &peer->pd[v].bm_rx;

		if (!rx->started)
			continue;
		if ((pkt->type != P_BITMAP && pkt->type != P_COMPRESSED_BITMAP) ||
		    pkt->vnr != rx->vnr)
			return true;
	}
	return false;
}

/* ---- receiving ---- */

struct runs {
	struct core *core;
	struct volume *vol;
	uint32_t slot_mask;
};

static void set_run(void *ctx, uint64_t first, uint64_t count)
{
	struct runs *r = ctx;

	bitmap_set(r->core, r->vol, r->slot_mask, first * BM_BLOCK_SECTORS,
		   count * BM_BLOCK_SECTORS);
}

static uint64_t plain_bytes(const struct volume *vol)
{
	return (vol->bm.bits + 63) / 64 * 8;
}

/* 1 = complete, 0 = more to come, -1 = against the protocol. */
static int rx_plain(struct core *core, struct volume *vol, struct bitmap_rx *rx, unsigned slot,
		    const struct pkt *pkt)
{
	uint64_t start = rx->pos / 64;
	uint64_t left = plain_bytes(vol) - start * 8;
	uint64_t want = left < CHUNK_BYTES ? left : CHUNK_BYTES;

	if (!pkt->var_bytes)
		return rx->pos >= vol->bm.bits ? 1 : -1;
	if (rx->pos >= vol->bm.bits || pkt->var_bytes != want)
		return -1;
	for (uint64_t w = 0; w < want / 8; w++)
		bitmap_or_word(core, vol, slot, start + w, get_le64(pkt->var + w * 8));
	rx->pos = (start + want / 8) * 64;
	return 0;
}

static int rx_coded(struct core *core, struct volume *vol, struct bitmap_rx *rx, unsigned slot,
		    const struct pkt *pkt)
{
	struct runs runs = { core, vol, UINT32_C(1) << slot };
	uint8_t encoding = pkt->u.bitmap_encoding;

	if ((encoding & 0x0f) != CODE_RLE_VLI || rx->pos >= vol->bm.bits)
		return -1;
	if (vli_decode(pkt->var, pkt->var_bytes, (encoding >> 4) & 7, encoding >> 7,
		       vol->bm.bits, &rx->pos, set_run, &runs))
		return -1;
	return rx->pos == vol->bm.bits;
}

void xfer_go_on(struct core *core, struct peer_device *pd)
{
	bool target = repl_of(core, pd) == REPL_WF_BITMAP_T;
	struct state *next;

	if (target)
		xfer_send(core, pd);
	if (peer_is_drbd8(core->peer[pd->p])) {
		if (target)
			return; /* P_SYNC_UUID follows */
		drbd8_send_sync_uuid(core, pd);
	}
	next = state_begin(core);
	next->pd[pd->p][pd->v].repl = target ? REPL_SYNC_TARGET : REPL_SYNC_SOURCE;
	state_end(core, STATE_HARD);
}

/* Both slots are the union now: the resync starts, or what it will overwrite is saved before. */
static void begin(struct core *core, struct peer_device *pd)
{
	if (!save_begin(core, pd))
		xfer_go_on(core, pd);
}

/* As long as a target keeps its bitmap back nothing is overwritten. A source asks before it sends
 * its own. */
static void complete(struct core *core, struct peer_device *pd)
{
	xfer_reset(pd);
	if (repl_of(core, pd) != REPL_WF_BITMAP_T || !handler_before_resync(core, pd))
		begin(core, pd);
}

void xfer_agreed(struct core *core, struct peer_device *pd)
{
	switch (repl_of(core, pd)) {
	case REPL_WF_BITMAP_T:
		begin(core, pd);
		return;
	case REPL_WF_BITMAP_S:
		xfer_send(core, pd);
		return;
	default:
		pd->before_resync_agreed = true;
		core_work(core, WORK_SYNC);
		return;
	}
}

void rx_bitmap(struct core *core, struct peer *peer, const struct pkt *pkt)
{
	struct volume *vol = core_volume_by_vnr(core, pkt->vnr);
	struct peer_device *pd = vol ? &peer->pd[vol->v] : NULL;
	int slot = vol ? bitmap_slot(vol, peer->id) : -1;
	int rc;

	if (slot < 0 || !pd->bm_rx.active) {
		peer_fail(core, peer, CONN_PROTOCOL_ERROR,
			  "%s sent a bitmap of volume %u that was not expected (%s)",
			  peer->conf->name, pkt->vnr,
			  vol ? repl_state_name(repl_of(core, pd)) : "no such volume");
		return;
	}
	pd->bm_rx.started = true;
	pd->bm_rx.vnr = vol->vnr;
	if (pkt->type == P_BITMAP)
		rc = rx_plain(core, vol, &pd->bm_rx, (unsigned)slot, pkt);
	else
		rc = rx_coded(core, vol, &pd->bm_rx, (unsigned)slot, pkt);
	if (rc < 0)
		peer_fail(core, peer, CONN_PROTOCOL_ERROR,
			  "%s sent a malformed bitmap of volume %u at bit %llu",
			  peer->conf->name, vol->vnr, (unsigned long long)pd->bm_rx.pos);
	else if (rc > 0)
		complete(core, pd);
}

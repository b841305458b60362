/* SPDX-License-Identifier: GPL-2.0-or-later */
/* P_PEERS_IN_SYNC: telling third nodes what a resync
 * made equal, and believing it (wire-protocol 5.7). */
#include "base/bits.h"
#include "core/bitmap_io.h"
#include "core/cluster.h"
#include "core/core_hooks.h"
#include "core/resync_int.h"
#include "core/state.h"

#define EXTENT_BITS (AL_EXTENT_SECTORS / BM_BLOCK_SECTORS)
#define SWEEP_STEP_NS (50 * NS_PER_MS)
#define SWEEP_FIRST_NS (200 * NS_PER_MS)
#define SWEEP_ASK_NS (10 * NS_PER_MS)
#define SWEEP_AGAIN_NS NS_PER_S
/* More than one, since who hears it may not be ready to believe it yet. */
#define SWEEP_ROUNDS_MIN 3U
#define SWEEP_ROUNDS_MAX 30U
#define SWEEP_EXTENTS 512U
#define RANGE_EXTENTS_MAX 256U /* 1 GiB per packet */

static bool same_generation(const struct peer_device *pd, const struct volume *vol)
{
	return pd->uuids_valid && uuid_eq(pd->uuids.current, vol->md.current_uuid);
}

/*
 * What this node has in the range is what the peer has: neither has marked anything towards the
 * other. Own bits alone do not tell, since the peer may have got other data by a resync, and marks
 * that on its side.
 */
static bool in_sync_with(const struct core *core, const struct volume *vol,
			 const struct peer_device *pd, uint64_t bit, uint64_t bits)
{
	int slot = bitmap_slot(vol, pd->p);

	return slot >= 0 && !bits_any(vol->bm.store.slot[slot], bit, bits) &&
	       repl_of(core, pd) == REPL_ESTABLISHED && pdsk_of(core, pd) == DISK_UP_TO_DATE &&
	       disk_of(core, vol) == DISK_UP_TO_DATE && same_generation(pd, vol) &&
	       !pd->uuids.dirty_bits;
}

static uint64_t in_sync_mask(const struct core *core, const struct volume *vol, uint64_t bit,
			     uint64_t bits)
{
	uint64_t mask = 0;

	FOR_EACH_PEER(core, peer) {
		if (in_sync_with(core, vol, &peer->pd[vol->v], bit, bits))
			mask |= node_bit(peer->id);
	}
	return mask;
}

/*
 * Until a write is peer-acked, or barrier-acked where it began, the bits do not tell who has it. On
 * the Primary itself they do, together with the acks that follow on the same stream.
 */
static bool undecided(const struct core *core, const struct volume *vol, uint64_t bit)
{
	return core->st.role != ROLE_PRIMARY &&
	       actlog_extent_busy(vol, (uint32_t)(bit / EXTENT_BITS));
}

static void tell(struct core *core, struct volume *vol, uint64_t bit, uint64_t bits, uint64_t mask)
{
	uint64_t sector = bit * BM_BLOCK_SECTORS, sectors = bits * BM_BLOCK_SECTORS;

	if (sectors > vol->size_sectors - sector)
		sectors = vol->size_sectors - sector;
	FOR_EACH_PEER(core, peer) {
		struct pkt pkt = { .type = P_PEERS_IN_SYNC, .vnr = vol->vnr };

		/* To a node that is not in sync with us here it would say nothing. */
		if (!(mask & node_bit(peer->id)))
			continue;
		pkt.u.in_sync.sector = sector;
		pkt.u.in_sync.bytes = (uint32_t)(sectors * SECTOR_BYTES);
		pkt.u.in_sync.mask = mask;
		core_send(core, peer, STREAM_CONTROL, &pkt);
	}
}

/* Bits of the extent that `bit` lies in, up to the end of the device. */
static uint64_t extent_bits(const struct volume *vol, uint64_t first)
{
	return vol->bm.bits - first < EXTENT_BITS ? vol->bm.bits - first : EXTENT_BITS;
}

/* ---- the sweep ---- */

void announce_all(struct core *core, struct volume *vol)
{
	struct rs_volume *rs = &vol->rs;

	if (core->peer_count < 2)
		return;
	if (rs->announce) {
		rs->announce_again = true;
		rs->announce_rounds = 0;
		return;
	}
	rs->announce = true;
	rs->announce_asked = false;
	rs->announce_again = false;
	rs->announce_rounds = 0;
	rs->announce_bit = 0;
	rs->announce_at_ns = core->now_ns + SWEEP_FIRST_NS;
}

static void sweep_ended(struct core *core, struct rs_volume *rs)
{
	rs->announce_bit = 0;
	rs->announce_rounds++;
	if (rs->announce_rounds < SWEEP_ROUNDS_MIN ||
	    (rs->announce_again && rs->announce_rounds < SWEEP_ROUNDS_MAX)) {
		rs->announce_again = false;
		rs->announce_at_ns = core->now_ns + SWEEP_AGAIN_NS;
		return;
	}
	rs->announce = false;
	rs->announce_at_ns = NEVER_NS;
}

/* The next stretch of extents with the same answer; returns how many there were. */
static unsigned sweep_range(struct core *core, struct volume *vol)
{
	struct rs_volume *rs = &vol->rs;
	uint64_t start = rs->announce_bit, end = start, mask = 0;
	unsigned count = 0;

	while (end < vol->bm.bits && count < RANGE_EXTENTS_MAX) {
		bool skip = undecided(core, vol, end);
		uint64_t m = skip ? 0 : in_sync_mask(core, vol, end, extent_bits(vol, end));

		if (count && m != mask)
			break;
		rs->announce_again |= skip;
		mask = m;
		end += extent_bits(vol, end);
		count++;
	}
	if (mask)
		tell(core, vol, start, end - start, mask);
	rs->announce_bit = end;
	return count;
}

/*
 * A peer that was restarted without our noticing may have got other data since. Who answers a ping
 * was there a moment ago; who does not is lost soon.
 */
static bool all_alive(struct core *core, struct volume *vol)
{
	bool ask = !vol->rs.announce_asked, alive = true;

	FOR_EACH_PEER(core, peer) {
		struct claim_fence *fence = &peer->pd[vol->v].fence;

		if (!peer_connected(core, peer))
			continue;
		if (ask)
			fence->alive_ping = keepalive_ping(core, peer);
		alive &= keepalive_answered(peer, fence->alive_ping);
	}
	vol->rs.announce_asked = !alive;
	return alive;
}

void announce_time(struct core *core, struct volume *vol)
{
	struct rs_volume *rs = &vol->rs;
	unsigned done = 0;

	if (!rs->announce || core->now_ns < rs->announce_at_ns)
		return;
	if (!vol_has_md(vol)) {
		rs->announce = false;
		rs->announce_at_ns = NEVER_NS;
		return;
	}
	if (!all_alive(core, vol)) {
		rs->announce_at_ns = core->now_ns + SWEEP_ASK_NS;
		return;
	}
	while (done < SWEEP_EXTENTS && rs->announce_bit < vol->bm.bits)
		done += sweep_range(core, vol);
	rs->announce_at_ns = core->now_ns + SWEEP_STEP_NS;
	if (rs->announce_bit >= vol->bm.bits)
		sweep_ended(core, rs);
}

/* ---- believing it ---- */

void announce_fence(struct core *core, struct peer_device *pd)
{
	const struct volume *vol = core->vol[pd->v];
	struct claim_fence *fence = &pd->fence;
	uint64_t current = vol->md.current_uuid & ~UUID_PRIMARY;

	if (core->peer_count < 2 || repl_of(core, pd) < REPL_ESTABLISHED ||
	    !same_generation(pd, vol)) {
		fence->current = fence->asked = 0;
		return;
	}
	if (fence->current == current)
		return;
	if (fence->asked != current) {
		fence->current = 0;
		fence->asked = current;
		fence->ping = keepalive_ping(core, core->peer[pd->p]);
	} else if (keepalive_answered(core->peer[pd->p], fence->ping)) {
		fence->current = current;
	}
}

/* Of the nodes that a claim names, those of which we
 * know that they are at that generation with a disk. */
static uint64_t believable(const struct core *core, const struct volume *vol, uint64_t nodes)
{
	uint64_t known = 0;

	FOR_EACH_PEER(core, peer) {
		const struct peer_device *pd = &peer->pd[vol->v];
		enum disk_state pdsk = pdsk_of(core, pd);

		if (repl_is_settled(repl_of(core, pd)) && !pd->ov.found &&
		    pdsk >= DISK_INCONSISTENT &&
		    pdsk != DISK_UNKNOWN && same_generation(pd, vol))
			known |= node_bit(peer->id);
	}
	return nodes & known;
}

/*
 * The sender has in this range what the nodes in `mask` have. Where we have what the sender has,
 * the same holds for us: when we are in the mask, and our bits towards the sender are clear. One of
 * the two is not enough, since the sender may have got other data by a resync of its own (H20).
 */
static bool believe(struct core *core, struct volume *vol, unsigned sender_slot, uint32_t slots,
		    uint64_t bit, uint64_t end)
{
	const uint64_t *words = vol->bm.store.slot[sender_slot];
	bool changed = false;

	while (bit < end) {
		uint64_t clean = bits_next_clear(words, bit, end);
		uint64_t stop;

		if (clean == BITS_NONE)
			break;
		stop = bits_next_set(words, clean, end);
		if (stop == BITS_NONE)
			stop = end;
		changed |= bitmap_clear_where(core, vol, slots, clean, stop - clean);
		bit = stop;
	}
	return changed;
}

static bool any_marked(const struct volume *vol, uint32_t slots, uint64_t bit, uint64_t bits)
{
	for (; slots; slots &= slots - 1)
		if (bits_any(vol->bm.store.slot[__builtin_ctz(slots)], bit, bits))
			return true;
	return false;
}

/*
 * A write at the disk now may be missing at those nodes, and one that was marked before its peer
 * ack, which a Primary that makes the claim counts on: leave their extents out.
 */
static bool believe_idle_extents(struct core *core, struct volume *vol, unsigned sender_slot,
				 uint32_t slots, uint64_t bit, uint64_t end)
{
	bool changed = false;

	while (bit < end) {
		uint64_t next = (bit / EXTENT_BITS + 1) * EXTENT_BITS;
		uint64_t sector = bit * BM_BLOCK_SECTORS, sectors;

		if (next > end)
			next = end;
		sectors = (next - bit) * BM_BLOCK_SECTORS;
		if (any_marked(vol, slots, bit, next - bit) &&
		    !hold_write_overlaps(vol, sector, sectors) &&
		    !peer_writes_marked_early(core, vol, sector, sectors))
			changed |= believe(core, vol, sender_slot, slots, bit, next);
		bit = next;
	}
	return changed;
}

/* A peer counts on what we told it: that no bits are left,
 * or that no resync changes our data any more, is news. */
void announce_count(struct core *core, struct peer_device *pd)
{
	const struct volume *vol = core->vol[pd->v];
	bool clean, settled;

	if (!vol_has_md(vol) || repl_of(core, pd) != REPL_ESTABLISHED || !pd->sent_valid)
		return;
	clean = disk_of(core, vol) == DISK_UP_TO_DATE && pd->sent.dirty_bits &&
		!bitmap_weight(vol, pd->p);
	settled = pd->sent.flags & UUID_FLAG_SYNC_TARGET && !uuid_sync_source(core, vol, pd->p);
	if (clean || settled)
		uuid_send(core, core->peer[pd->p], pd->v, 0, 0);
}

void announce_fences_reset(struct core *core, struct volume *vol)
{
	FOR_EACH_PEER(core, peer) {
		struct claim_fence *fence = &peer->pd[vol->v].fence;

		fence->current = fence->asked = 0;
	}
	core_work(core, WORK_SYNC);
}

void rx_peers_in_sync(struct core *core, struct peer *peer, const struct pkt *pkt)
{
	struct volume *vol = core_volume_by_vnr(core, pkt->vnr);
	const struct pkt_in_sync *in = &pkt->u.in_sync;
	uint64_t sectors = in->bytes / SECTOR_BYTES, first, end;
	struct peer_device *pd;
	uint32_t slots;
	int slot;

	if (!vol || in->sector >= vol->size_sectors || sectors > vol->size_sectors - in->sector) {
		peer_fail(core, peer, CONN_PROTOCOL_ERROR,
			  "%s sent P_PEERS_IN_SYNC for sector %llu, %u bytes: beyond the device",
			  peer->conf->name, (unsigned long long)in->sector, in->bytes);
		return;
	}
	pd = &peer->pd[vol->v];
	slot = bitmap_slot(vol, peer->id);
	announce_fence(core, pd);
	if (slot < 0 || !(in->mask & node_bit(core->self)) ||
	    pd->fence.current != (vol->md.current_uuid & ~UUID_PRIMARY) ||
	    disk_of(core, vol) < DISK_INCONSISTENT)
		return;
	slots = bitmap_slots_of(vol, believable(core, vol, in->mask & ~node_bit(peer->id)));
	first = (in->sector + BM_BLOCK_SECTORS - 1) / BM_BLOCK_SECTORS;
	end = (in->sector + sectors) / BM_BLOCK_SECTORS;
	if (in->sector + sectors == vol->size_sectors || end > vol->bm.bits)
		end = vol->bm.bits;
	if (believe_idle_extents(core, vol, (unsigned)slot, slots, first, end)) {
		announce_all(core, vol);
		core_work(core, WORK_SYNC);
	}
}

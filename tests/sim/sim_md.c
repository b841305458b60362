/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Metadata of a node: real bytes through the codec,
 * on a cached image; attach as the daemon does it. */
#include <errno.h>
#include <string.h>

#include "meta/meta_al.h"
#include "meta/meta_bitmap.h"
#include "meta/meta_super.h"
#include "sim.h"

static struct meta_al_table al_table;

static uint64_t md_bits(const struct world *w)
{
	return (w->params.room_sectors + BM_BLOCK_SECTORS - 1) / BM_BLOCK_SECTORS;
}

static void put(struct disk *d, uint64_t byte, const uint8_t *p, uint64_t bytes, bool durable)
{
	memcpy(d->md_now + byte, p, bytes);
	if (durable)
		memcpy(d->md_durable + byte, p, bytes);
	for (uint64_t s = byte / SECTOR_BYTES; s < (byte + bytes) / SECTOR_BYTES; s++) {
		if (d->md_dirty[s] != !durable)
			d->md_dirty_count += durable ? -1U : 1U;
		d->md_dirty[s] = !durable;
	}
}

static void flush(struct disk *d)
{
	for (uint64_t s = 0; d->md_dirty_count > 0 && s < d->md_bytes / SECTOR_BYTES; s++) {
		if (!d->md_dirty[s])
			continue;
		memcpy(d->md_durable + s * SECTOR_BYTES, d->md_now + s * SECTOR_BYTES,
		       SECTOR_BYTES);
		d->md_dirty[s] = false;
		d->md_dirty_count--;
	}
}

void disk_create_md(struct world *w, unsigned node)
{
	struct disk *d = &w->nodes[node].disk;
	struct md_super super = {
		.current_uuid = UUID_JUST_CREATED, .device_uuid = prng_u64(&w->rng),
		.flags = MDF_AL_CLEAN, .al_nr_extents = w->params.al_extents,
		.bm_bytes_per_bit = BM_BLOCK_BYTES, .max_peers = w->params.nodes - 1,
		.node_id = -1, .al_stripes = 1, .al_stripe_4k = 8,
	};
	struct meta_stores stores = { .place = MD_PLACE_EXTERNAL,
				      .data_sectors = w->params.room_sectors };
	uint8_t block[MD_PAGE_BYTES];

	for (unsigned i = 0; i < NODES_MAX; i++)
		super.peers[i].bitmap_index = -1;
	d->store_sectors = d->capacity_sectors = w->params.device_sectors;
	d->md_bytes = MD_PAGE_BYTES * (18 + meta_bitmap_pages(md_bits(w), super.max_peers));
	ASSERT(d->md_bytes <= MD_IMAGE_MAX);
	stores.meta_sectors = d->md_bytes / SECTOR_BYTES;
	if (meta_layout_fresh(&stores, &super, &d->md_layout) != META_OK)
		sim_fail(w, "metadata do not fit");
	ASSERT(d->md_layout.bitmap_pages >= meta_bitmap_pages(md_bits(w), super.max_peers));
	memset(d->md_now, 0, d->md_bytes);
	memset(d->md_durable, 0, d->md_bytes);
	memset(d->md_dirty, 0, d->md_bytes / SECTOR_BYTES * sizeof(*d->md_dirty));
	d->md_dirty_count = 0;
	meta_super_encode(&super, block);
	put(d, d->md_layout.super_byte, block, MD_PAGE_BYTES, true);
	meta_al_encode_initialised(block);
	for (unsigned i = 0; i < d->md_layout.ring_blocks; i++)
		put(d, d->md_layout.al_byte + i * MD_PAGE_BYTES, block, MD_PAGE_BYTES, true);
}

bool disk_super(const struct disk *d, struct md_super *super)
{
	return d->md_bytes > 0 &&
	       meta_super_decode(d->md_now + d->md_layout.super_byte, super) == META_OK;
}

/* ---- run time ---- */

static void run_next(struct world *w, unsigned node);

static void md_apply(struct disk *d, const struct md_op *op)
{
	switch (op->kind) {
	case MOP_SUPER:
		disk_flush_to(d, d->md_data_seq);
		flush(d);
		put(d, op->byte, op->block, MD_PAGE_BYTES, true);
		break;
	case MOP_AL:
		flush(d);
		put(d, op->byte, op->block, MD_PAGE_BYTES, true);
		d->al_writes++;
		break;
	case MOP_BITMAP:
		put(d, op->byte, op->block, MD_PAGE_BYTES, false);
		break;
	case MOP_FLUSH:
	case MOP_KINDS:
		flush(d);
		break;
	case MOP_MOVE:
		flush(d);
		d->capacity_sectors = d->store_sectors;
		break;
	case MOP_MEASURE:
		break;
	}
}

static void resized(struct node *n, const struct md_op *op, struct core_event *ev)
{
	struct md_super super;
	int error = ev->u.done.error;

	*ev = (struct core_event){ .kind = EV_RESIZED };
	ev->u.resized = (struct ev_resized){
		.vnr = (uint16_t)op->byte, .moved = op->kind == MOP_MOVE, .error = error,
		.reason = error ? "input/output error" : NULL,
		.data_sectors = n->disk.store_sectors,
		.backing_sectors = n->disk.store_sectors, .bitmap = n->bm,
	};
	if (!disk_super(&n->disk, &super))
		return;
	ev->u.resized.md_size_sectors = super.md_size_sectors;
	ev->u.resized.al_offset_sectors = super.al_offset_sectors;
	ev->u.resized.bm_offset_sectors = super.bm_offset_sectors;
}

static void md_event(struct world *w, uint64_t node, uint64_t gen)
{
	struct disk *d = &w->nodes[node].disk;
	struct md_op *op = &d->md_ops[d->md_head];
	struct core_event ev = { .kind = EV_META_DONE };

	if (d->md_count == 0 || d->md_gen != gen ||
	    disk_holds(w, (unsigned)node, md_event, node, gen) ||
	    node_holds(w, (unsigned)node, md_event, node, gen))
		return;
	ev.u.done.tag = op->tag;
	if (d->broken || (d->fail_meta > 0 && d->fail_meta_kinds >> op->kind & 1)) {
		ev.u.done.error = -EIO;
		d->fail_meta -= d->fail_meta > 0;
	} else {
		md_apply(d, op);
	}
	if (op->kind >= MOP_MEASURE)
		resized(&w->nodes[node], op, &ev);
	d->md_head = (d->md_head + 1) % MD_OPS_MAX;
	d->md_count--;
	d->md_gen++;
	if (d->md_count > 0)
		run_next(w, (unsigned)node);
	node_step(w, (unsigned)node, &ev);
}

static void run_next(struct world *w, unsigned node)
{
	struct disk *d = &w->nodes[node].disk;

	d->md_data_seq = d->log_seq;
	world_at(w, disk_delay(w, node), md_event, node, d->md_gen);
}

void disk_resize(struct world *w, unsigned node, const struct ac_resize *ac)
{
	struct disk *d = &w->nodes[node].disk;
	struct md_op *op = &d->md_ops[(d->md_head + d->md_count) % MD_OPS_MAX];

	if (!w->nodes[node].attached)
		sim_fail(w, "node %u: AC_RESIZE while detached", node);
	op->kind = ac->move ? MOP_MOVE : MOP_MEASURE;
	op->byte = ac->vnr;
	if (d->md_count++ == 0)
		run_next(w, node);
}

void disk_enlarge(struct world *w, unsigned node, uint64_t sectors)
{
	struct disk *d = &w->nodes[node].disk;
	uint64_t first = d->store_sectors / BM_BLOCK_SECTORS, end = sectors / BM_BLOCK_SECTORS;

	if (sectors <= d->store_sectors)
		return;
	d->store_sectors = sectors;
	sim_trace(w, "node %u: its store has %llu sectors now", node,
		  (unsigned long long)sectors);
	for (unsigned i = 0; i < 40; i++) {
		struct disk_block *b =
			disk_block(d, prng_range(&w->resize_rng, first, end - 1));
		unsigned s = (unsigned)prng_below(&w->resize_rng, BM_BLOCK_SECTORS);

		b->now[s] = b->durable[s] = prng_u64(&w->resize_rng) | ORACLE_GARBAGE;
	}
}

void md_submit(struct world *w, unsigned node, enum core_action_kind kind,
	       const struct ac_meta *ac)
{
	struct node *n = &w->nodes[node];
	struct disk *d = &n->disk;
	struct md_op *op = &d->md_ops[(d->md_head + d->md_count) % MD_OPS_MAX];
	struct md_super super;

	if (!n->attached)
		sim_fail(w, "node %u: metadata request while detached", node);
	if (d->md_count == MD_OPS_MAX)
		sim_fail(w, "node %u: more than %u metadata requests in flight", node, MD_OPS_MAX);
	op->tag = ac->tag;
	switch (kind) {
	case AC_META_SUPER:
		op->kind = MOP_SUPER;
		op->byte = d->md_layout.super_byte;
		meta_super_encode(ac->super, op->block);
		if (meta_super_decode(op->block, &super) != META_OK)
			sim_fail(w, "node %u writes a superblock that cannot be read", node);
		break;
	case AC_META_AL:
		op->kind = MOP_AL;
		meta_al_encode(ac->al, op->block);
		op->byte = d->md_layout.al_byte +
			   MD_PAGE_BYTES * meta_al_block_of_number(ac->al->number, 1, 8);
		break;
	case AC_META_BITMAP:
		op->kind = MOP_BITMAP;
		if (ac->page >= d->md_layout.bitmap_pages)
			sim_fail(w, "node %u: bitmap page %llu does not exist", node,
				 (unsigned long long)ac->page);
		op->byte = d->md_layout.bitmap_byte + MD_PAGE_BYTES * ac->page;
		meta_bitmap_page_encode(n->bm.slot, n->bm.words_per_slot, w->params.nodes - 1,
					ac->page, op->block);
		break;
	default:
		op->kind = MOP_FLUSH;
		break;
	}
	sim_hash_bytes(w, op->block, op->kind == MOP_FLUSH ? 0 : MD_PAGE_BYTES);
	if (d->md_count++ == 0)
		run_next(w, node);
}

void md_process_died(struct world *w, unsigned node)
{
	struct disk *d = &w->nodes[node].disk;

	/* Only the first one had been handed to the kernel. */
	if (d->md_count > 0 && !d->broken) {
		struct md_op *op = &d->md_ops[d->md_head];
		uint64_t part = prng_below(&w->rng, 3);

		if (part == 1) {
			md_apply(d, op);
		} else if (part == 2) {
			/* The flush before it was done; of an AL block any sectors arrived. */
			if (op->kind == MOP_SUPER || op->kind == MOP_AL)
				flush(d);
			for (unsigned s = 0; op->kind == MOP_AL && s < MD_PAGE_BYTES; s += 512) {
				if (prng_chance(&w->rng, 1, 2))
					put(d, op->byte + s, op->block + s, 512, true);
			}
		}
	}
	d->md_head = d->md_count = 0;
	d->md_gen++;
}

void md_power_lost(struct world *w, unsigned node, enum power_mode mode)
{
	struct disk *d = &w->nodes[node].disk;

	for (uint64_t s = 0; d->md_dirty_count > 0 && s < d->md_bytes / SECTOR_BYTES; s++) {
		bool kept = mode == POWER_NONE_LOST ||
			    (mode != POWER_ALL_LOST && prng_chance(&w->rng, 1, 2));
		uint8_t *now = d->md_now + s * SECTOR_BYTES;
		uint8_t *durable = d->md_durable + s * SECTOR_BYTES;

		if (!d->md_dirty[s])
			continue;
		memcpy(kept ? durable : now, kept ? now : durable, SECTOR_BYTES);
		d->md_dirty[s] = false;
		d->md_dirty_count--;
	}
}

/* ---- attach ---- */

static int read_al(void *ctx, uint32_t index, uint8_t block[static MD_PAGE_BYTES])
{
	const struct disk *d = ctx;

	memcpy(block, d->md_now + d->md_layout.al_byte + (uint64_t)index * MD_PAGE_BYTES,
	       MD_PAGE_BYTES);
	return 0;
}

static void mark_extent(const struct bm_store *store, uint32_t slots, uint64_t extent,
			uint64_t bits)
{
	uint64_t first = extent * AL_EXTENT_SECTORS / BM_BLOCK_SECTORS;
	uint64_t end = first + AL_EXTENT_SECTORS / BM_BLOCK_SECTORS;

	for (uint32_t s = 0; s < slots && first < bits; s++)
		meta_bitmap_set(store->slot[s], first, end < bits ? end : bits);
}

static void replay(struct world *w, struct disk *d, const struct md_super *super,
		   struct bm_store *store, uint64_t bits)
{
	struct meta_al_ring ring = { .stripes = super->al_stripes,
				     .stripe_4k = super->al_stripe_4k, .read = read_al, .ctx = d };
	enum meta_al_outcome outcome;

	if (meta_al_replay(&ring, &al_table, &outcome) != 0 || outcome == META_AL_UNREADABLE)
		sim_fail(w, "the activity log cannot be read");
	/* One crash tears one block: everything can be told from the others. */
	if (outcome == META_AL_MARK_ALL)
		sim_fail(w, "the activity log is damaged by a crash");
	if (outcome == META_AL_EMPTY)
		return;
	for (uint32_t i = 0; i < al_table.slot_count; i++) {
		if (al_table.extent[i] != AL_FREE)
			mark_extent(store, super->max_peers, al_table.extent[i], bits);
	}
}

void disk_load_bitmap(struct world *w, unsigned node, const struct md_super *super,
		      struct bm_store *store, bool *replayed)
{
	struct disk *d = &w->nodes[node].disk;
	uint64_t bits = md_bits(w);

	if (super->effective_sectors != 0)
		bits = (super->effective_sectors + BM_BLOCK_SECTORS - 1) / BM_BLOCK_SECTORS;
	for (uint32_t s = 0; s < super->max_peers; s++)
		memset(store->slot[s], 0, store->words_per_slot * sizeof(uint64_t));
	for (uint64_t page = 0; page < meta_bitmap_pages(bits, super->max_peers); page++)
		meta_bitmap_page_decode(d->md_now + d->md_layout.bitmap_byte +
						page * MD_PAGE_BYTES,
					page, super->max_peers, store->slot,
					store->words_per_slot);
	for (uint32_t s = 0; s < super->max_peers; s++)
		meta_bitmap_clip(store->slot[s], store->words_per_slot, bits);
	*replayed = !(super->flags & MDF_AL_CLEAN);
	if (*replayed && (super->flags & MDF_PRIMARY_IND))
		replay(w, d, super, store, bits);
}

/* Writes back what the replay changed, as apply-al does: bitmap, then ring, then superblock. */
static void finish_replay(struct node *n, const struct md_super *super)
{
	struct disk *d = &n->disk;
	uint8_t block[MD_PAGE_BYTES];

	for (uint64_t page = 0; page < d->md_layout.bitmap_pages; page++) {
		meta_bitmap_page_encode(n->bm.slot, n->bm.words_per_slot, super->max_peers, page,
					block);
		put(d, d->md_layout.bitmap_byte + page * MD_PAGE_BYTES, block, MD_PAGE_BYTES, true);
	}
	meta_al_encode_initialised(block);
	for (unsigned i = 0; i < d->md_layout.ring_blocks; i++)
		put(d, d->md_layout.al_byte + i * MD_PAGE_BYTES, block, MD_PAGE_BYTES, true);
	meta_super_encode(super, block);
	put(d, d->md_layout.super_byte, block, MD_PAGE_BYTES, true);
}

static void attach_event(struct world *w, uint64_t node, uint64_t life)
{
	struct node *n = &w->nodes[node];
	struct core_event ev = { .kind = EV_ATTACHED };
	struct ev_attached *at = &ev.u.attached;
	bool replayed;

	if (!n->up || n->life != life || disk_holds(w, n->id, attach_event, node, life) ||
	    node_holds(w, n->id, attach_event, node, life))
		return;
	at->vnr = SIM_VNR;
	/* Metadata of their own need not move. */
	if (!w->params.internal_md)
		n->disk.capacity_sectors = n->disk.store_sectors;
	at->data_sectors = n->disk.capacity_sectors;
	at->backing_sectors = n->disk.store_sectors;
	at->discard_ok = w->params.discard_ok;
	if (n->disk.broken) {
		at->error = -EIO;
		at->reason = "input/output error";
		node_step(w, n->id, &ev);
		return;
	}
	if (!disk_super(&n->disk, &at->super))
		sim_fail(w, "node %u: the superblock cannot be read at attach", n->id);
	if (at->super.node_id == -1)
		at->super.node_id = n->id;
	disk_load_bitmap(w, n->id, &at->super, &n->bm, &replayed);
	at->super.flags |= MDF_AL_CLEAN;
	if (replayed)
		finish_replay(n, &at->super);
	at->bitmap = n->bm;
	n->attached = true;
	sim_trace(w, "node %u attached: uuid %016llx flags %x%s", n->id,
		  (unsigned long long)at->super.current_uuid, at->super.flags,
		  replayed ? ", activity log applied" : "");
	node_step(w, n->id, &ev);
}

void disk_attach(struct world *w, unsigned node)
{
	struct node *n = &w->nodes[node];

	if (n->attached)
		sim_fail(w, "node %u: AC_ATTACH while attached", node);
	world_at(w, disk_delay(w, node), attach_event, node, n->life);
}

static void detach_event(struct world *w, uint64_t node, uint64_t life)
{
	struct node *n = &w->nodes[node];
	struct core_event ev = { .kind = EV_DETACHED };

	if (!n->up || n->life != life || disk_holds(w, n->id, detach_event, node, life) ||
	    node_holds(w, n->id, detach_event, node, life))
		return;
	ev.u.detached_vnr = SIM_VNR;
	n->attached = false;
	node_step(w, n->id, &ev);
}

void disk_detach(struct world *w, unsigned node)
{
	struct node *n = &w->nodes[node];

	if (!n->attached)
		sim_fail(w, "node %u: AC_DETACH while detached", node);
	if (n->disk.ops_high > 0 || n->disk.md_count > 0)
		sim_fail(w, "node %u: AC_DETACH with %u disk and %u metadata requests in flight",
			 node, n->disk.ops_high, n->disk.md_count);
	world_at(w, disk_delay(w, node), detach_event, node, n->life);
}

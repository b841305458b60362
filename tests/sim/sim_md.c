/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Metadata of a node: real bytes through the codec,
 * on a cached image; attach as the daemon does it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "meta/meta_al.h"
#include "meta/meta_bitmap.h"
#include "meta/meta_super.h"
#include "sim.h"

static struct meta_al_table al_table;

/* What the metadata have room for. */
static uint64_t room_sectors(const struct world *w, unsigned vnr)
{
	return vnr == 0 ? w->params.room_sectors : sim_volume_sectors(w, vnr);
}

static uint64_t md_bits(const struct world *w, unsigned vnr)
{
	return (room_sectors(w, vnr) + BM_BLOCK_SECTORS - 1) / BM_BLOCK_SECTORS;
}

static void put(struct md_image *m, uint64_t byte, const uint8_t *p, uint64_t bytes, bool durable)
{
	memcpy(m->now + byte, p, bytes);
	if (durable)
		memcpy(m->durable + byte, p, bytes);
	for (uint64_t s = byte / SECTOR_BYTES; s < (byte + bytes) / SECTOR_BYTES; s++) {
		if (m->dirty[s] != !durable)
			m->dirty_count += durable ? -1U : 1U;
		m->dirty[s] = !durable;
	}
}

static void flush(struct md_image *m)
{
	for (uint64_t s = 0; m->dirty_count > 0 && s < m->bytes / SECTOR_BYTES; s++) {
		if (!m->dirty[s])
			continue;
		memcpy(m->durable + s * SECTOR_BYTES, m->now + s * SECTOR_BYTES,
		       SECTOR_BYTES);
		m->dirty[s] = false;
		m->dirty_count--;
	}
}

static void create_md(struct world *w, unsigned vnr, struct md_image *m)
{
	struct md_super super = {
		.current_uuid = UUID_JUST_CREATED, .device_uuid = prng_u64(&w->rng),
		.flags = MDF_AL_CLEAN, .al_nr_extents = w->params.al_extents,
		.bm_bytes_per_bit = BM_BLOCK_BYTES, .max_peers = w->params.nodes - 1,
		.node_id = -1, .al_stripes = 1, .al_stripe_4k = 8,
	};
	struct meta_stores stores = { .place = MD_PLACE_EXTERNAL,
				      .data_sectors = room_sectors(w, vnr) };
	uint8_t block[MD_PAGE_BYTES];

	for (unsigned i = 0; i < NODES_MAX; i++)
		super.peers[i].bitmap_index = -1;
	m->store_sectors = m->capacity_sectors = sim_volume_sectors(w, vnr);
	m->bytes = MD_PAGE_BYTES * (18 + meta_bitmap_pages(md_bits(w, vnr), super.max_peers));
	ASSERT(m->bytes <= MD_IMAGE_MAX);
	stores.meta_sectors = m->bytes / SECTOR_BYTES;
	if (meta_layout_fresh(&stores, &super, &m->layout) != META_OK)
		sim_fail(w, "metadata do not fit");
	ASSERT(m->layout.bitmap_pages >= meta_bitmap_pages(md_bits(w, vnr), super.max_peers));
	memset(m->now, 0, m->bytes);
	memset(m->durable, 0, m->bytes);
	memset(m->dirty, 0, m->bytes / SECTOR_BYTES * sizeof(*m->dirty));
	m->dirty_count = 0;
	m->max_peers = super.max_peers;
	m->room_bits = md_bits(w, vnr);
	m->full = false;
	meta_super_encode(&super, block);
	put(m, m->layout.super_byte, block, MD_PAGE_BYTES, true);
	meta_al_encode_initialised(block);
	for (unsigned i = 0; i < m->layout.ring_blocks; i++)
		put(m, m->layout.al_byte + i * MD_PAGE_BYTES, block, MD_PAGE_BYTES, true);
}

void disk_create_md(struct world *w, unsigned node)
{
	for (unsigned v = 0; v < w->params.volumes; v++)
		create_md(w, v, &w->nodes[node].disk.md[v]);
}

bool disk_super(const struct disk *d, unsigned vnr, struct md_super *super)
{
	const struct md_image *m = &d->md[vnr];

	return m->bytes > 0 &&
	       meta_super_decode(m->now + m->layout.super_byte, super) == META_OK;
}

void disk_put_super(struct disk *d, unsigned vnr, const struct md_super *super)
{
	struct md_image *m = &d->md[vnr];
	uint8_t block[MD_PAGE_BYTES];

	meta_super_encode(super, block);
	put(m, m->layout.super_byte, block, MD_PAGE_BYTES, true);
}

/* ---- run time ---- */

/* What an event is for. */
static uint64_t key_of(unsigned node, unsigned vnr)
{
	return node | (uint64_t)vnr << 8;
}

static void run_next(struct world *w, unsigned node, unsigned vnr);

static void make_room(struct md_image *m, uint64_t pages)
{
	uint64_t bytes = m->layout.bitmap_byte + pages * MD_PAGE_BYTES;

	ASSERT(bytes <= MD_IMAGE_MAX);
	if (pages <= m->layout.bitmap_pages)
		return;
	memset(m->now + m->bytes, 0, bytes - m->bytes);
	memset(m->durable + m->bytes, 0, bytes - m->bytes);
	memset(m->dirty + m->bytes / SECTOR_BYTES, 0,
	       (bytes - m->bytes) / SECTOR_BYTES * sizeof(*m->dirty));
	m->bytes = bytes;
	m->layout.bitmap_pages = pages;
}

/* The bitmap for more slots, and the superblock that says so; the store is as large as it takes. */
static void widen(struct md_image *m, const struct md_op *op)
{
	uint64_t bits = (op->sectors + BM_BLOCK_SECTORS - 1) / BM_BLOCK_SECTORS, first, end;
	/* The last page may be wider than what it stands for: behind the old ones are zeroes. */
	uint8_t block[MD_PAGE_BYTES], *old = calloc(1, m->bytes + 2 * MD_PAGE_BYTES);
	uint32_t slots = (uint32_t)op->slots;
	struct md_super super;

	if (!old || meta_super_decode(m->now + m->layout.super_byte, &super) != META_OK)
		abort();
	memcpy(old, m->now, m->bytes);
	make_room(m, meta_bitmap_pages(m->room_bits, slots));
	for (uint64_t page = 0; page < meta_bitmap_pages(bits, slots); page++) {
		uint64_t byte = m->layout.bitmap_byte + page * MD_PAGE_BYTES;

		meta_bitmap_wider_needs(page, slots, super.max_peers, &first, &end);
		meta_bitmap_wider_page(page, slots, super.max_peers, bits,
				       old + m->layout.bitmap_byte + first * MD_PAGE_BYTES, first,
				       block);
		put(m, byte, block, MD_PAGE_BYTES, true);
	}
	free(old);
	super.max_peers = m->max_peers = slots;
	super.md_size_sectors = (uint32_t)(m->bytes / SECTOR_BYTES);
	meta_super_encode(&super, block);
	put(m, m->layout.super_byte, block, MD_PAGE_BYTES, true);
}

/* Where things lie is the driver's to know: this one may be older than that. */
static void place_super(const struct md_image *m, struct md_op *op)
{
	struct md_super super;

	if (meta_super_decode(op->block, &super) != META_OK || super.max_peers == m->max_peers)
		return;
	super.max_peers = m->max_peers;
	super.md_size_sectors = (uint32_t)(m->bytes / SECTOR_BYTES);
	meta_super_encode(&super, op->block);
}

static void md_apply(struct disk *d, unsigned vnr, struct md_op *op)
{
	struct md_image *m = &d->md[vnr];

	switch (op->kind) {
	case MOP_SUPER:
		disk_flush_to(d, vnr, m->data_seq);
		flush(m);
		place_super(m, op);
		put(m, op->byte, op->block, MD_PAGE_BYTES, true);
		break;
	case MOP_AL:
		flush(m);
		put(m, op->byte, op->block, MD_PAGE_BYTES, true);
		m->al_writes++;
		break;
	case MOP_BITMAP:
		put(m, op->byte, op->block, MD_PAGE_BYTES, false);
		break;
	case MOP_FLUSH:
	case MOP_KINDS:
		flush(m);
		break;
	case MOP_MOVE:
		flush(m);
		m->capacity_sectors = m->store_sectors;
		if (op->slots)
			widen(m, op);
		break;
	case MOP_MEASURE:
		break;
	}
}

/* More memory for the bitmap: the core looks into it again when it has been told. */
static void more_slots(struct node *n, unsigned vnr, uint32_t slots)
{
	struct bm_store *bm = &n->bm[vnr];
	uint64_t words = bm->words_per_slot;
	uint32_t had = 0;

	while (had < NODES_MAX && bm->slot[had])
		had++;
	if (n->bm_cap_words[vnr] < words * slots) {
		n->bm_cap_words[vnr] = words * slots;
		n->bm_words[vnr] = realloc(n->bm_words[vnr], words * slots * sizeof(uint64_t));
		ASSERT(n->bm_words[vnr]);
	}
	for (uint32_t s = 0; s < slots; s++) {
		bm->slot[s] = n->bm_words[vnr] + s * words;
		if (s >= had)
			memset(bm->slot[s], 0, words * sizeof(uint64_t));
	}
}

static void resized(struct node *n, unsigned vnr, const struct md_op *op, struct core_event *ev)
{
	const struct md_image *m = &n->disk.md[vnr];
	struct md_super super;
	int error = ev->u.done.error;

	if (op->slots && !error)
		more_slots(n, vnr, (uint32_t)op->slots);
	*ev = (struct core_event){ .kind = EV_RESIZED };
	ev->u.resized = (struct ev_resized){
		.vnr = (uint16_t)vnr, .moved = op->kind == MOP_MOVE, .error = error,
		.reason = error == -ENOSPC ? "no room" : error ? "input/output error" : NULL,
		.data_sectors = m->store_sectors,
		.backing_sectors = m->store_sectors, .bitmap = n->bm[vnr],
	};
	if (!disk_super(&n->disk, vnr, &super))
		return;
	ev->u.resized.md_size_sectors = super.md_size_sectors;
	ev->u.resized.al_offset_sectors = super.al_offset_sectors;
	ev->u.resized.bm_offset_sectors = super.bm_offset_sectors;
}

static void power_lost(struct world *w, struct md_image *m, enum power_mode mode)
{
	for (uint64_t s = 0; m->dirty_count > 0 && s < m->bytes / SECTOR_BYTES; s++) {
		bool kept = mode == POWER_NONE_LOST ||
			    (mode != POWER_ALL_LOST && prng_chance(&w->rng, 1, 2));
		uint8_t *now = m->now + s * SECTOR_BYTES;
		uint8_t *durable = m->durable + s * SECTOR_BYTES;

		if (!m->dirty[s])
			continue;
		memcpy(kept ? durable : now, kept ? now : durable, SECTOR_BYTES);
		m->dirty[s] = false;
		m->dirty_count--;
	}
}

/* A superblock is behind a flush of the data, an entry of the log behind one of the metadata. */
static void md_forget(struct world *w, unsigned node, unsigned vnr, const struct md_op *op)
{
	struct disk *d = &w->nodes[node].disk;

	if (op->kind == MOP_SUPER)
		disk_forget(w, node, vnr, d->md[vnr].data_seq);
	if (op->kind == MOP_SUPER || op->kind == MOP_AL || op->kind == MOP_FLUSH)
		power_lost(w, &d->md[vnr], POWER_RANDOM);
}

static void md_event(struct world *w, uint64_t key, uint64_t gen)
{
	unsigned node = (unsigned)(key & 0xff), vnr = (unsigned)(key >> 8);
	struct disk *d = &w->nodes[node].disk;
	struct md_image *m = &d->md[vnr];
	struct md_op *op = &m->ops[m->head];
	struct core_event ev = { .kind = EV_META_DONE };

	if (m->count == 0 || m->gen != gen ||
	    disk_holds(w, node, md_event, key, gen) ||
	    node_holds(w, node, md_event, key, gen))
		return;
	ev.u.done.tag = op->tag;
	if (d->broken || (d->fail_meta > 0 && d->fail_meta_kinds >> op->kind & 1)) {
		ev.u.done.error = -EIO;
		d->fail_meta -= d->fail_meta > 0;
		if (d->forgets)
			md_forget(w, node, vnr, op);
	} else if (op->kind == MOP_MOVE && op->slots && m->full) {
		ev.u.done.error = -ENOSPC;
	} else {
		md_apply(d, vnr, op);
	}
	if (op->kind >= MOP_MEASURE)
		resized(&w->nodes[node], vnr, op, &ev);
	m->head = (m->head + 1) % MD_OPS_MAX;
	m->count--;
	m->gen++;
	if (m->count > 0)
		run_next(w, node, vnr);
	node_step(w, node, &ev);
	disk_went_on(w, node, vnr);
}

static void run_next(struct world *w, unsigned node, unsigned vnr)
{
	struct disk *d = &w->nodes[node].disk;

	d->md[vnr].data_seq = d->log_seq;
	world_at(w, disk_delay(w, node), md_event, key_of(node, vnr), d->md[vnr].gen);
}

void disk_resize(struct world *w, unsigned node, const struct ac_resize *ac)
{
	struct md_image *m = &w->nodes[node].disk.md[ac->vnr];
	struct md_op *op = &m->ops[(m->head + m->count) % MD_OPS_MAX];

	if (!(w->nodes[node].attached >> ac->vnr & 1))
		sim_fail(w, "node %u: AC_RESIZE while detached", node);
	op->kind = ac->move ? MOP_MOVE : MOP_MEASURE;
	op->slots = ac->slots;
	op->sectors = ac->sectors;
	if (m->count++ == 0)
		run_next(w, node, ac->vnr);
}

void disk_enlarge(struct world *w, unsigned node, uint64_t sectors)
{
	struct disk *d = &w->nodes[node].disk;
	struct md_image *m = &d->md[SIM_VNR];
	uint64_t first = m->store_sectors / BM_BLOCK_SECTORS, end = sectors / BM_BLOCK_SECTORS;

	if (sectors <= m->store_sectors)
		return;
	m->store_sectors = sectors;
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
	struct md_image *m = &n->disk.md[ac->vnr];
	struct md_op *op = &m->ops[(m->head + m->count) % MD_OPS_MAX];
	struct md_super super;

	if (!(n->attached >> ac->vnr & 1))
		sim_fail(w, "node %u: metadata request while detached", node);
	if (m->count == MD_OPS_MAX)
		sim_fail(w, "node %u: more than %u metadata requests in flight", node, MD_OPS_MAX);
	op->tag = ac->tag;
	switch (kind) {
	case AC_META_SUPER:
		op->kind = MOP_SUPER;
		op->byte = m->layout.super_byte;
		meta_super_encode(ac->super, op->block);
		if (meta_super_decode(op->block, &super) != META_OK)
			sim_fail(w, "node %u writes a superblock that cannot be read", node);
		break;
	case AC_META_AL:
		op->kind = MOP_AL;
		meta_al_encode(ac->al, op->block);
		op->byte = m->layout.al_byte +
			   MD_PAGE_BYTES * meta_al_block_of_number(ac->al->number, 1, 8);
		break;
	case AC_META_BITMAP:
		op->kind = MOP_BITMAP;
		if (ac->page >= m->layout.bitmap_pages)
			sim_fail(w, "node %u: bitmap page %llu does not exist", node,
				 (unsigned long long)ac->page);
		op->byte = m->layout.bitmap_byte + MD_PAGE_BYTES * ac->page;
		meta_bitmap_page_encode(n->bm[ac->vnr].slot, n->bm[ac->vnr].words_per_slot,
					m->max_peers, ac->page, op->block);
		break;
	default:
		op->kind = MOP_FLUSH;
		break;
	}
	sim_hash_bytes(w, op->block, op->kind == MOP_FLUSH ? 0 : MD_PAGE_BYTES);
	if (m->count++ == 0)
		run_next(w, node, ac->vnr);
}

static void process_died(struct world *w, struct disk *d, unsigned vnr)
{
	struct md_image *m = &d->md[vnr];

	/* Only the first one had been handed to the kernel. */
	if (m->count > 0 && !d->broken) {
		struct md_op *op = &m->ops[m->head];
		uint64_t part = prng_below(&w->rng, 3);

		if (part == 1) {
			md_apply(d, vnr, op);
		} else if (part == 2) {
			/* The flush before it was done; of an AL block any sectors arrived. */
			if (op->kind == MOP_SUPER || op->kind == MOP_AL)
				flush(m);
			for (unsigned s = 0; op->kind == MOP_AL && s < MD_PAGE_BYTES; s += 512) {
				if (prng_chance(&w->rng, 1, 2))
					put(m, op->byte + s, op->block + s, 512, true);
			}
		}
	}
	m->head = m->count = 0;
	m->gen++;
}

void md_process_died(struct world *w, unsigned node)
{
	for (unsigned v = 0; v < w->params.volumes; v++)
		process_died(w, &w->nodes[node].disk, v);
}

void md_power_lost(struct world *w, unsigned node, enum power_mode mode)
{
	for (unsigned v = 0; v < w->params.volumes; v++)
		power_lost(w, &w->nodes[node].disk.md[v], mode);
}

/* ---- attach ---- */

static int read_al(void *ctx, uint32_t index, uint8_t block[static MD_PAGE_BYTES])
{
	const struct md_image *m = ctx;

	memcpy(block, m->now + m->layout.al_byte + (uint64_t)index * MD_PAGE_BYTES,
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

static void replay(struct world *w, struct md_image *m, const struct md_super *super,
		   struct bm_store *store, uint64_t bits)
{
	struct meta_al_ring ring = { .stripes = super->al_stripes,
				     .stripe_4k = super->al_stripe_4k, .read = read_al, .ctx = m };
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

void disk_load_bitmap(struct world *w, unsigned node, unsigned vnr, const struct md_super *super,
		      struct bm_store *store, bool *replayed)
{
	struct md_image *m = &w->nodes[node].disk.md[vnr];
	uint64_t bits = md_bits(w, vnr);

	if (super->effective_sectors != 0)
		bits = (super->effective_sectors + BM_BLOCK_SECTORS - 1) / BM_BLOCK_SECTORS;
	for (uint32_t s = 0; s < super->max_peers; s++)
		memset(store->slot[s], 0, store->words_per_slot * sizeof(uint64_t));
	for (uint64_t page = 0; page < meta_bitmap_pages(bits, super->max_peers); page++)
		meta_bitmap_page_decode(m->now + m->layout.bitmap_byte +
						page * MD_PAGE_BYTES,
					page, super->max_peers, store->slot,
					store->words_per_slot);
	for (uint32_t s = 0; s < super->max_peers; s++)
		meta_bitmap_clip(store->slot[s], store->words_per_slot, bits);
	*replayed = !(super->flags & MDF_AL_CLEAN);
	if (*replayed && (super->flags & MDF_PRIMARY_IND))
		replay(w, m, super, store, bits);
}

/* Writes back what the replay changed, as apply-al does: bitmap, then ring, then superblock. */
static void finish_replay(struct node *n, unsigned vnr, const struct md_super *super)
{
	struct md_image *m = &n->disk.md[vnr];
	const struct bm_store *bm = &n->bm[vnr];
	uint8_t block[MD_PAGE_BYTES];

	for (uint64_t page = 0; page < m->layout.bitmap_pages; page++) {
		meta_bitmap_page_encode(bm->slot, bm->words_per_slot, super->max_peers, page,
					block);
		put(m, m->layout.bitmap_byte + page * MD_PAGE_BYTES, block, MD_PAGE_BYTES, true);
	}
	meta_al_encode_initialised(block);
	for (unsigned i = 0; i < m->layout.ring_blocks; i++)
		put(m, m->layout.al_byte + i * MD_PAGE_BYTES, block, MD_PAGE_BYTES, true);
	meta_super_encode(super, block);
	put(m, m->layout.super_byte, block, MD_PAGE_BYTES, true);
}

static void attach_event(struct world *w, uint64_t key, uint64_t life)
{
	struct node *n = &w->nodes[key & 0xff];
	unsigned vnr = (unsigned)(key >> 8);
	struct md_image *m = &n->disk.md[vnr];
	struct core_event ev = { .kind = EV_ATTACHED };
	struct ev_attached *at = &ev.u.attached;
	bool replayed;

	if (!n->up || n->life != life || disk_holds(w, n->id, attach_event, key, life) ||
	    node_holds(w, n->id, attach_event, key, life))
		return;
	at->vnr = (uint16_t)vnr;
	/* Metadata of their own need not move. */
	if (!w->params.internal_md)
		m->capacity_sectors = m->store_sectors;
	at->data_sectors = m->capacity_sectors;
	at->backing_sectors = m->store_sectors;
	at->discard_ok = w->params.discard_ok;
	if (n->disk.broken) {
		at->error = -EIO;
		at->reason = "input/output error";
		node_step(w, n->id, &ev);
		return;
	}
	if (!disk_super(&n->disk, vnr, &at->super))
		sim_fail(w, "node %u: the superblock cannot be read at attach", n->id);
	if (at->super.node_id == -1)
		at->super.node_id = n->id;
	if (!n->bm[vnr].slot[at->super.max_peers - 1])
		more_slots(n, vnr, at->super.max_peers);
	disk_load_bitmap(w, n->id, vnr, &at->super, &n->bm[vnr], &replayed);
	at->super.flags |= MDF_AL_CLEAN;
	if (replayed)
		finish_replay(n, vnr, &at->super);
	at->bitmap = n->bm[vnr];
	n->attached |= 1U << vnr;
	sim_trace(w, "node %u volume %u attached: uuid %016llx flags %x%s", n->id, vnr,
		  (unsigned long long)at->super.current_uuid, at->super.flags,
		  replayed ? ", activity log applied" : "");
	node_step(w, n->id, &ev);
}

void disk_attach(struct world *w, unsigned node, unsigned vnr)
{
	struct node *n = &w->nodes[node];

	if (n->attached >> vnr & 1)
		sim_fail(w, "node %u: AC_ATTACH while attached", node);
	world_at(w, disk_delay(w, node), attach_event, key_of(node, vnr), n->life);
}

static void detach_event(struct world *w, uint64_t key, uint64_t life)
{
	struct node *n = &w->nodes[key & 0xff];
	unsigned vnr = (unsigned)(key >> 8);
	struct core_event ev = { .kind = EV_DETACHED };

	if (!n->up || n->life != life || disk_holds(w, n->id, detach_event, key, life) ||
	    node_holds(w, n->id, detach_event, key, life))
		return;
	ev.u.detached_vnr = (uint16_t)vnr;
	n->attached &= ~(1U << vnr);
	node_step(w, n->id, &ev);
}

/* Of the volume. */
static unsigned under_way(const struct disk *d, unsigned vnr)
{
	unsigned count = d->md[vnr].count;

	for (unsigned i = 0; i < d->ops_high; i++)
		count += d->ops[i].in_use && sim_vnr(d->ops[i].sector) == vnr;
	return count;
}

static unsigned given_up(struct world *w, unsigned node, unsigned vnr)
{
	const struct resource_status *st = node_status(w, node);

	for (unsigned i = 0; i < st->volume_count; i++) {
		if (st->volumes[i].vnr == vnr)
			return st->volumes[i].unanswered;
	}
	return 0;
}

/* What is under way is what the core has given up. */
void disk_detach(struct world *w, unsigned node, unsigned vnr)
{
	struct node *n = &w->nodes[node];
	unsigned count = under_way(&n->disk, vnr);

	if (!(n->attached >> vnr & 1))
		sim_fail(w, "node %u: AC_DETACH while detached", node);
	if (count != given_up(w, node, vnr))
		sim_fail(w, "node %u: AC_DETACH with %u requests in flight", node, count);
	if (count > 0)
		n->disk.closing |= 1U << vnr;
	else
		world_at(w, disk_delay(w, node), detach_event, key_of(node, vnr), n->life);
}

void disk_went_on(struct world *w, unsigned node, unsigned vnr)
{
	struct disk *d = &w->nodes[node].disk;

	if (!(d->closing >> vnr & 1) || under_way(d, vnr) > 0)
		return;
	d->closing &= ~(1U << vnr);
	world_at(w, disk_delay(w, node), detach_event, key_of(node, vnr), w->nodes[node].life);
}

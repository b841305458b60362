/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Backing store of a node: page cache over a medium,
 * unflushed writes in order, errors, power loss. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sim.h"

static struct disk_suspects suspects;

static void suspect(uint32_t life, uint64_t block)
{
	if (!suspects.block) {
		suspects.block = calloc(SIM_BLOCKS_MAX, sizeof(*suspects.block));
		suspects.listed = calloc(SIM_BLOCKS_MAX, sizeof(*suspects.listed));
		ASSERT(suspects.block && suspects.listed);
	}
	if (suspects.life != life) {
		suspects.life = life;
		suspects.count = 0;
	}
	if (suspects.listed[block] == life)
		return;
	suspects.listed[block] = life;
	suspects.block[suspects.count++] = (uint32_t)block;
}

struct disk_suspects *disk_suspects(uint32_t life)
{
	if (suspects.life != life)
		suspects.count = 0;
	return &suspects;
}

void disk_no_suspect(unsigned i)
{
	suspects.listed[suspects.block[i]] = 0;
	suspects.block[i] = suspects.block[--suspects.count];
}

struct disk_block *disk_block(struct disk *d, uint64_t block)
{
	struct disk_block *b = &d->blocks[block];

	suspect(d->life, block);
	if (d->block_life[block] != d->life) {
		memset(b, 0, sizeof(*b));
		d->block_life[block] = d->life;
		if (d->touched_count == d->touched_cap) {
			d->touched_cap = d->touched_cap ? d->touched_cap * 2 : 1024;
			d->touched = realloc(d->touched, d->touched_cap * sizeof(*d->touched));
			ASSERT(d->touched);
		}
		d->touched[d->touched_count++] = (uint32_t)block;
	}
	return b;
}

static const uint64_t *peek_block(const struct disk *d, uint64_t block)
{
	static const uint64_t zero[BM_BLOCK_SECTORS];

	return d->block_life[block] == d->life ? d->blocks[block].now : zero;
}

uint64_t disk_peek(const struct disk *d, uint64_t sector)
{
	return peek_block(d, sector / BM_BLOCK_SECTORS)[sector % BM_BLOCK_SECTORS];
}

bool disk_same_block(const struct disk *a, const struct disk *b, uint64_t block)
{
	return memcmp(peek_block(a, block), peek_block(b, block),
		      BM_BLOCK_SECTORS * sizeof(uint64_t)) == 0;
}

static void read_sectors(const struct disk *d, uint64_t sector, uint64_t sectors, uint64_t *tags)
{
	while (sectors > 0) {
		uint64_t at = sector % BM_BLOCK_SECTORS, n = BM_BLOCK_SECTORS - at;

		n = n < sectors ? n : sectors;
		memcpy(tags, peek_block(d, sector / BM_BLOCK_SECTORS) + at, n * sizeof(*tags));
		tags += n;
		sector += n;
		sectors -= n;
	}
}

static void log_write(struct disk *d, uint64_t sector, uint64_t tag)
{
	if (d->log_count == d->log_cap) {
		d->log_cap = d->log_cap ? d->log_cap * 2 : 4096;
		d->log = realloc(d->log, d->log_cap * sizeof(*d->log));
		ASSERT(d->log);
	}
	d->log[d->log_count++] =
		(struct disk_log_entry){ .sector = sector, .tag = tag, .seq = ++d->log_seq };
}

/* No tags: zeroes. */
static void write_sectors(struct disk *d, uint64_t sector, uint64_t sectors, const uint64_t *tags,
			  bool fua)
{
	struct disk_block *b = NULL;

	for (uint64_t i = 0; i < sectors; i++) {
		uint64_t at = (sector + i) % BM_BLOCK_SECTORS, tag = tags ? tags[i] : 0;

		if (i == 0 || at == 0)
			b = disk_block(d, (sector + i) / BM_BLOCK_SECTORS);
		b->now[at] = tag;
		if (fua)
			b->durable[at] = tag;
		else
			log_write(d, sector + i, tag);
	}
}

void disk_flush_to(struct disk *d, unsigned vnr, uint64_t seq)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < d->log_count; i++) {
		const struct disk_log_entry *e = &d->log[i];

		/* What is in the log was written in this life, and its block is there. */
		if (e->seq <= seq && sim_vnr(e->sector) == vnr)
			d->blocks[e->sector / BM_BLOCK_SECTORS]
				.durable[e->sector % BM_BLOCK_SECTORS] = e->tag;
		else
			d->log[kept++] = *e;
	}
	d->log_count = kept;
}

/* Drops the log entries of a range that a FUA write has overtaken. */
static void log_forget(struct disk *d, uint64_t sector, uint64_t sectors)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < d->log_count; i++) {
		if (d->log[i].sector - sector >= sectors)
			d->log[kept++] = d->log[i];
	}
	d->log_count = kept;
}

/* The first `sectors` of the operation reach the page cache. */
static void apply(struct world *w, struct disk *d, const struct disk_op *op, uint64_t sectors)
{
	const uint64_t *tags = op->kind == DOP_WRITE ? payload_tags(w, op->payload) : NULL;

	if (op->kind == DOP_DISCARD && !w->params.discard_ok)
		return;
	if (op->fua)
		log_forget(d, op->sector, sectors);
	write_sectors(d, op->sector, sectors, tags, op->fua);
}

static bool is_change(const struct disk_op *op)
{
	return op->kind == DOP_WRITE || op->kind == DOP_DISCARD || op->kind == DOP_ZEROES;
}

static void release(struct world *w, struct disk *d, struct disk_op *op)
{
	if (op->payload.id != 0)
		payload_io_put(w, op->payload);
	op->in_use = false;
	op->payload.id = 0;
	while (d->ops_high > 0 && !d->ops[d->ops_high - 1].in_use)
		d->ops_high--;
}

/* A full file system has no room for what is new. */
static bool lacks_room(const struct disk *d, const struct disk_op *op)
{
	uint64_t last = (op->sector + op->bytes / SECTOR_BYTES - 1) / BM_BLOCK_SECTORS;

	if (op->kind != DOP_WRITE && op->kind != DOP_ZEROES)
		return false;
	for (uint64_t b = op->sector / BM_BLOCK_SECTORS; b <= last; b++) {
		if (d->block_life[b] != d->life)
			return true;
	}
	return false;
}

static int take_error(struct disk *d, struct world *w, const struct disk_op *op)
{
	if (d->broken)
		return -EIO;
	if (d->full_until_ns > w->now_ns && lacks_room(d, op))
		return -ENOSPC;
	if (op->kind == DOP_SAVE && d->fail_save) {
		d->fail_save = false;
		return -ENOSPC;
	}
	if (op->kind == DOP_READ && d->fail_reads > 0) {
		d->fail_reads--;
		return -EIO;
	}
	if (is_change(op) && d->fail_writes > 0) {
		d->fail_writes--;
		return prng_chance(&w->rng, 1, 3) ? -ENOSPC : -EIO;
	}
	if (op->kind == DOP_FLUSH && d->fail_flushes > 0) {
		d->fail_flushes--;
		return -EIO;
	}
	return 0;
}

/* What is not dirty is read from the medium from now on. */
static void evict(struct disk *d, unsigned vnr)
{
	for (unsigned i = 0; i < d->touched_count; i++) {
		const struct disk_block *b = &d->blocks[d->touched[i]];

		if (sim_vnr((uint64_t)d->touched[i] * BM_BLOCK_SECTORS) == vnr &&
		    memcmp(b->now, b->durable, sizeof(b->now)) != 0)
			memcpy(disk_block(d, d->touched[i])->now, b->durable, sizeof(b->now));
	}
	for (unsigned i = 0; i < d->log_count; i++) {
		const struct disk_log_entry *e = &d->log[i];

		if (sim_vnr(e->sector) == vnr)
			disk_block(d, e->sector / BM_BLOCK_SECTORS)
				->now[e->sector % BM_BLOCK_SECTORS] = e->tag;
	}
}

void disk_forget(struct world *w, unsigned node, unsigned vnr, uint64_t seq)
{
	struct disk *d = &w->nodes[node].disk;
	unsigned kept = 0, lost = 0;

	app_disk_forgets(w, node, vnr);
	for (unsigned i = 0; i < d->log_count; i++) {
		const struct disk_log_entry *e = &d->log[i];

		if (e->seq > seq || sim_vnr(e->sector) != vnr) {
			d->log[kept++] = *e;
		} else if (prng_chance(&w->fault_rng, 1, 2)) {
			disk_block(d, e->sector / BM_BLOCK_SECTORS)
				->durable[e->sector % BM_BLOCK_SECTORS] = e->tag;
		} else {
			lost++;
		}
	}
	d->log_count = kept;
	evict(d, vnr);
	sim_trace(w, "node %u: a flush of volume %u failed, and has lost %u sectors", node, vnr,
		  lost);
}

/* Of tags, in place of what they stand for. */
static void digest_of(const uint64_t *tags, uint64_t sectors, uint8_t out[static 8])
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (uint64_t i = 0; i < sectors; i++) {
		h = (h ^ tags[i]) * UINT64_C(0x100000001b3);
		h ^= h >> 29;
	}
	memcpy(out, &h, sizeof(h));
}

static bool is_zero(const struct disk *d, const struct disk_op *op)
{
	for (uint64_t i = 0; i < op->bytes / SECTOR_BYTES; i++) {
		if (disk_peek(d, op->sector + i))
			return false;
	}
	return true;
}

static void op_finish(struct world *w, struct node *n, struct disk_op *op)
{
	struct disk *d = &n->disk;
	uint64_t sectors = op->bytes / SECTOR_BYTES;
	struct core_event ev = { .kind = EV_DISK_DONE };
	unsigned vnr = sim_vnr(op->sector);
	uint8_t digest[8];

	ev.u.done.tag = op->tag;
	ev.u.done.error = take_error(d, w, op);
	if (is_change(op)) {
		/* A failed write leaves any part of itself behind. */
		apply(w, d, op, ev.u.done.error ? prng_below(&w->rng, sectors + 1) : sectors);
	} else if (op->kind == DOP_SAVE) {
		sim_trace(w, "node %u: save of what it gives up: %d", n->id, ev.u.done.error);
	} else if (op->kind == DOP_FLUSH) {
		if (ev.u.done.error == 0)
			disk_flush_to(d, sim_vnr(op->sector), op->flush_seq);
		else if (d->forgets)
			disk_forget(w, n->id, sim_vnr(op->sector), op->flush_seq);
	} else if (ev.u.done.error == 0 && op->find_zeroes && is_zero(d, op)) {
		ev.u.done.zeroes = true;
	} else if (ev.u.done.error == 0) {
		uint64_t *tags;

		ev.u.done.payload = payload_new(w, n->id, op->bytes);
		tags = payload_tags(w, ev.u.done.payload);
		read_sectors(d, op->sector, sectors, tags);
		if (op->digest) {
			digest_of(tags, sectors, digest);
			ev.u.done.digest = digest;
			ev.u.done.digest_bytes = sizeof(digest);
		}
	}
	release(w, d, op);
	node_step(w, n->id, &ev);
	disk_went_on(w, n->id, vnr);
}

static void op_event(struct world *w, uint64_t a, uint64_t gen)
{
	struct node *n = &w->nodes[a & 0xff];
	struct disk_op *op = &n->disk.ops[a >> 8];

	if (!op->in_use || op->gen != gen || disk_holds(w, n->id, op_event, a, gen) ||
	    node_holds(w, n->id, op_event, a, gen))
		return;
	op_finish(w, n, op);
}

/* ---- hangs ---- */

void disk_hang(struct world *w, unsigned node)
{
	w->nodes[node].disk.hangs = true;
}

void disk_unhang(struct world *w, unsigned node)
{
	struct disk *d = &w->nodes[node].disk;

	if (!d->hangs)
		return;
	sim_trace(w, "the disk of node %u goes on: %u events", node, d->held.count);
	d->hangs = false;
	world_release(w, &d->held);
}

bool disk_holds(struct world *w, unsigned node, sim_event_fn fn, uint64_t a, uint64_t b)
{
	if (!w->nodes[node].disk.hangs)
		return false;
	world_hold(&w->nodes[node].disk.held, fn, a, b);
	return true;
}

uint64_t disk_delay(struct world *w, unsigned node)
{
	const struct disk *d = &w->nodes[node].disk;
	uint64_t delay = NS_US * 5 + prng_exp(&w->rng, w->params.disk_latency_ns);

	if (d->slow_until_ns > w->now_ns)
		delay += prng_exp(&w->rng, d->slow_ns);
	if (d->stall_until_ns > w->now_ns)
		delay += d->stall_until_ns - w->now_ns;
	return delay;
}

bool disk_is_idle(const struct world *w, unsigned node)
{
	const struct disk *d = &w->nodes[node].disk;

	for (unsigned v = 0; v < w->params.volumes; v++) {
		if (d->md[v].count > 0)
			return false;
	}
	return d->ops_high == 0;
}

/* What is being saved is overwritten by nobody; of more than two nodes a third one may write. */
static void check_save(struct world *w, unsigned node, const struct disk_op *op)
{
	const uint64_t *words = w->nodes[node].disk.save_words[sim_vnr(op->sector)];
	uint64_t sector = op->sector % SIM_DEVICE_SECTORS_MAX;
	uint64_t last = (sector + op->bytes / SECTOR_BYTES - 1) / BM_BLOCK_SECTORS;

	if (w->params.nodes != 2)
		return;
	for (uint64_t b = sector / BM_BLOCK_SECTORS; b <= last; b++) {
		if (words[b / 64] >> (b % 64) & 1)
			sim_fail(w, "node %u: block %llu is overwritten before it was saved", node,
				 (unsigned long long)b);
	}
}

static void begin_save(struct world *w, unsigned node, uint16_t vnr, unsigned peer)
{
	struct disk *d = &w->nodes[node].disk;
	const struct bm_store *bm = core_bitmap(w->nodes[node].core, vnr);
	const struct md_super *md = core_md(w->nodes[node].core, vnr);
	size_t bytes = bm->words_per_slot * sizeof(uint64_t);

	ASSERT(md->peers[peer].bitmap_index >= 0);
	d->save_words[vnr] = realloc(d->save_words[vnr], bytes);
	ASSERT(d->save_words[vnr]);
	memcpy(d->save_words[vnr], bm->slot[md->peers[peer].bitmap_index], bytes);
}

static void check_submit(struct world *w, unsigned node, const struct disk_op *op)
{
	const struct disk *d = &w->nodes[node].disk;
	uint64_t sectors = op->bytes / SECTOR_BYTES, first = op->sector % SIM_DEVICE_SECTORS_MAX;
	unsigned vnr = sim_vnr(op->sector);

	if (!(w->nodes[node].attached >> vnr & 1))
		sim_fail(w, "node %u: disk request while detached", node);
	if (op->kind == DOP_FLUSH || op->kind == DOP_SAVE)
		return;
	if (sectors == 0 || op->bytes % SECTOR_BYTES || sectors > d->md[vnr].capacity_sectors ||
	    first > d->md[vnr].capacity_sectors - sectors)
		sim_fail(w, "node %u: disk request %llu+%u is outside the device", node,
			 (unsigned long long)first, op->bytes);
	if (!is_change(op))
		return;
	for (unsigned i = 0; i < d->ops_high; i++) {
		const struct disk_op *o = &d->ops[i];

		if (o->in_use && o->kind == DOP_SAVE && sim_vnr(o->sector) == vnr)
			check_save(w, node, op);
		if (o->in_use && is_change(o) && o->sector < op->sector + sectors &&
		    op->sector < o->sector + o->bytes / SECTOR_BYTES)
			sim_fail(w, "node %u: overlapping disk writes %llu+%u and %llu+%u", node,
				 (unsigned long long)o->sector, o->bytes,
				 (unsigned long long)op->sector, op->bytes);
	}
}

void disk_submit(struct world *w, unsigned node, enum disk_op_kind kind, const struct ac_disk *ac)
{
	struct disk *d = &w->nodes[node].disk;
	struct disk_op op = {
		.in_use = true, .kind = (uint8_t)kind, .fua = ac->fua, .tag = ac->tag,
		.digest = ac->digest_alg != NULL, .find_zeroes = ac->find_zeroes,
		.sector = sim_sector(ac->vnr, ac->sector), .bytes = ac->bytes,
		.flush_seq = d->log_seq,
		.gen = ++d->op_gen,
	};
	unsigned i = 0;

	check_submit(w, node, &op);
	while (i < d->ops_high && d->ops[i].in_use)
		i++;
	if (i == DISK_OPS_MAX)
		sim_fail(w, "node %u: more than %u disk requests in flight", node, DISK_OPS_MAX);
	if (kind == DOP_WRITE) {
		if (ac->payload.bytes != ac->bytes)
			sim_fail(w, "node %u: disk write of %u bytes with payload of %u", node,
				 ac->bytes, ac->payload.bytes);
		payload_io_get(w, node, ac->payload);
		op.payload = ac->payload;
	}
	if (kind == DOP_SAVE)
		begin_save(w, node, ac->vnr, ac->peer);
	d->ops[i] = op;
	if (i >= d->ops_high)
		d->ops_high = i + 1;
	world_at(w, disk_delay(w, node), op_event, node | (uint64_t)i << 8, op.gen);
}

void disk_process_died(struct world *w, unsigned node)
{
	struct disk *d = &w->nodes[node].disk;

	for (unsigned i = d->ops_high; i-- > 0;) {
		struct disk_op *op = &d->ops[i];
		uint64_t sectors = op->bytes / SECTOR_BYTES;

		if (!op->in_use)
			continue;
		/* The kernel may have had the call, or a part of it, or nothing. */
		if (is_change(op) && !d->broken) {
			uint64_t part = prng_below(&w->rng, 3);

			if (part > 0)
				apply(w, d, op,
				      part == 1 ? sectors : prng_below(&w->rng, sectors + 1));
		}
		release(w, d, op);
	}
	d->closing = 0;
	md_process_died(w, node);
}

void disk_power_lost(struct world *w, unsigned node, enum power_mode mode)
{
	struct disk *d = &w->nodes[node].disk;
	unsigned cut = (unsigned)prng_below(&w->rng, d->log_count + 1);

	for (unsigned i = 0; i < d->log_count; i++) {
		const struct disk_log_entry *e = &d->log[i];
		bool kept = false;

		switch (mode) {
		case POWER_ALL_LOST:
		case POWER_MODES:
			break;
		case POWER_NONE_LOST:
			kept = true;
			break;
		case POWER_RANDOM:
			/* In order, so each sector ends with any one of its versions. */
			kept = prng_chance(&w->rng, 1, 2);
			break;
		case POWER_PREFIX:
			kept = i < cut;
			break;
		}
		if (kept)
			disk_block(d, e->sector / BM_BLOCK_SECTORS)
				->durable[e->sector % BM_BLOCK_SECTORS] = e->tag;
	}
	for (unsigned i = 0; i < d->log_count; i++) {
		struct disk_block *b = disk_block(d, d->log[i].sector / BM_BLOCK_SECTORS);

		memcpy(b->now, b->durable, sizeof(b->now));
	}
	d->log_count = 0;
	md_power_lost(w, node, mode);
}

static void image_create(struct md_image *m)
{
	m->now = calloc(1, MD_IMAGE_MAX);
	m->durable = calloc(1, MD_IMAGE_MAX);
	m->dirty = calloc(MD_IMAGE_MAX / SECTOR_BYTES, sizeof(*m->dirty));
	m->ops = calloc(MD_OPS_MAX, sizeof(*m->ops));
	ASSERT(m->now && m->durable && m->dirty && m->ops);
}

/* A world has room for many nodes, of which most lives have few. */
static void make_room(struct disk *d)
{
	if (d->blocks)
		return;
	/* What is in a block that this life has not stamped does not matter. */
	d->blocks = aligned_alloc(64, SIM_BLOCKS_MAX * sizeof(*d->blocks));
	d->block_life = calloc(SIM_BLOCKS_MAX, sizeof(*d->block_life));
	d->ops = calloc(DISK_OPS_MAX, sizeof(*d->ops));
	ASSERT(d->blocks && d->block_life && d->ops);
	for (unsigned v = 0; v < SIM_VOLUMES_MAX; v++)
		image_create(&d->md[v]);
}

void disk_reset(struct world *w, unsigned node)
{
	struct disk *d = &w->nodes[node].disk;

	make_room(d);
	d->life = w->life;
	d->touched_count = 0;
	d->log_count = 0;
	d->log_seq = 0;
	memset(d->ops, 0, d->ops_high * sizeof(d->ops[0]));
	d->ops_high = 0;
	d->op_gen = 0;
	for (unsigned v = 0; v < SIM_VOLUMES_MAX; v++) {
		d->md[v].head = d->md[v].count = 0;
		d->md[v].gen = 0;
		d->md[v].al_writes = 0;
	}
	d->stall_until_ns = 0;
	d->fail_reads = d->fail_writes = d->fail_flushes = d->fail_meta = 0;
	d->fail_meta_kinds = UINT8_MAX;
	d->broken = d->hangs = d->forgets = false;
	d->closing = 0;
	d->held.count = 0;
	d->full_until_ns = d->slow_until_ns = 0;
	d->fail_save = false;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The disk of our node: data and metadata area in one run of memory, so that a write that strays
 * is seen. Contents change with the action, completions come when they are asked for.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "meta/meta_al.h"
#include "meta/meta_bitmap.h"
#include "session.h"

#define SLOTS 3U
#define DONE_MAX 16384U
#define ZEROES_MAX 64U
#define PAGES (STORE_BYTES / MD_PAGE_BYTES)

/* A completion, until it becomes an event. */
struct done {
	enum core_event_kind kind;
	uint16_t vnr;
	int error;
	uint64_t tag;
	struct payload payload;
	uint8_t digest_bytes;
	uint8_t digest[WIRE_DIGEST_MAX_BYTES];
};

struct done_queue {
	struct done done[DONE_MAX];
	unsigned head, count;
};

static struct {
	uint8_t *store, *metadata;     /* metadata: what our own writes made of that area */
	struct meta_layout layout;
	struct md_super fresh;
	bool dirty[PAGES];
	uint64_t *slot[SLOTS];
	uint64_t words;
	struct done_queue data, meta;
} disk;

/* ---- contents ---- */

static void create(void)
{
	struct meta_stores stores = {
		.place = MD_PLACE_INTERNAL,
		.data_sectors = STORE_BYTES / SECTOR_BYTES,
		.meta_sectors = STORE_BYTES / SECTOR_BYTES,
	};

	disk.fresh = (struct md_super){
		.device_uuid = 77,
		.al_nr_extents = AL_EXTENTS_MIN,
		.bm_bytes_per_bit = BM_BLOCK_BYTES,
		.max_peers = SLOTS,
		.node_id = -1,
		.al_stripes = 1,
		.al_stripe_4k = 8,
	};
	ASSERT(meta_layout_fresh(&stores, &disk.fresh, &disk.layout) == META_OK);
	disk.store = calloc(1, STORE_BYTES);
	disk.metadata = calloc(1, STORE_BYTES - disk.layout.first_byte);
	disk.words = (disk.layout.data_sectors / BM_BLOCK_SECTORS + 63) / 64;
	for (unsigned i = 0; i < SLOTS; i++)
		disk.slot[i] = calloc(disk.words, 8);
}

static void meta_write(uint64_t byte, const uint8_t block[static MD_PAGE_BYTES])
{
	ASSERT(byte >= disk.layout.first_byte && byte + MD_PAGE_BYTES <= disk.layout.end_byte);
	memcpy(disk.store + byte, block, MD_PAGE_BYTES);
	memcpy(disk.metadata + (byte - disk.layout.first_byte), block, MD_PAGE_BYTES);
}

static void super_write(const struct md_super *super)
{
	uint8_t block[MD_PAGE_BYTES];
	struct md_super back;

	meta_super_encode(super, block);
	ASSERT(meta_super_decode(block, &back) == META_OK);
	meta_write(disk.layout.super_byte, block);
}

static void al_write(const struct al_transaction *tr)
{
	uint32_t at = meta_al_block_of_number(tr->number, disk.fresh.al_stripes,
					      disk.fresh.al_stripe_4k);
	uint8_t block[MD_PAGE_BYTES];
	static struct al_transaction back;

	ASSERT(at < disk.layout.ring_blocks);
	meta_al_encode(tr, block);
	ASSERT(meta_al_decode(block, &back) == META_AL_UPDATE);
	meta_write(disk.layout.al_byte + (uint64_t)at * MD_PAGE_BYTES, block);
}

static void bitmap_write(const struct bm_store *bm, uint64_t page)
{
	uint8_t block[MD_PAGE_BYTES];

	ASSERT(bm && page < disk.layout.bitmap_pages);
	meta_bitmap_page_encode(bm->slot, bm->words_per_slot, SLOTS, page, block);
	meta_write(disk.layout.bitmap_byte + page * MD_PAGE_BYTES, block);
}

static uint8_t *data_at(const struct ac_disk *a)
{
	uint64_t sectors = a->bytes / SECTOR_BYTES;

	ASSERT(a->bytes && a->bytes % SECTOR_BYTES == 0);
	ASSERT(a->sector < disk.layout.data_sectors &&
	       sectors <= disk.layout.data_sectors - a->sector);
	return disk.store + a->sector * SECTOR_BYTES;
}

/* Zeroes need no memory traffic where nothing was written. */
static void zero_data(const struct ac_disk *a)
{
	uint8_t *p = data_at(a);

	for (uint32_t done = 0; done < a->bytes;) {
		uint64_t at = a->sector * SECTOR_BYTES + done;
		uint32_t n = MD_PAGE_BYTES - (uint32_t)(at % MD_PAGE_BYTES);

		n = n < a->bytes - done ? n : a->bytes - done;
		if (disk.dirty[at / MD_PAGE_BYTES])
			memset(p + done, 0, n);
		done += n;
	}
}

static void write_data(const struct session *s, const struct ac_disk *a)
{
	const struct buf *buf = buf_by_id(s->node.pool, a->payload.id);
	uint64_t at = a->sector * SECTOR_BYTES;
	uint8_t *to = data_at(a);

	ASSERT(buf->capacity_bytes >= a->bytes && a->payload.bytes >= a->bytes);
	/* What peers write is zeroes most of the time. */
	if (!buf->data[0] && !memcmp(buf->data, buf->data + 1, a->bytes - 1)) {
		zero_data(a);
		return;
	}
	memcpy(to, buf->data, a->bytes);
	for (uint64_t page = at / MD_PAGE_BYTES; page * MD_PAGE_BYTES < at + a->bytes; page++)
		disk.dirty[page] = true;
}

static struct payload read_data(struct session *s, const struct ac_disk *a)
{
	struct buf *buf = buf_get_admitted(s->node.pool, BUF_READ, a->bytes);

	ASSERT(buf);
	memcpy(buf->data, data_at(a), a->bytes);
	return (struct payload){ buf->id, a->bytes };
}

/* ---- actions ---- */

static struct done *done_push(struct done_queue *q, enum core_event_kind kind, uint64_t tag)
{
	struct done *d = &q->done[(q->head + q->count++) % DONE_MAX];

	ASSERT(q->count <= DONE_MAX);
	d->kind = kind;
	d->tag = tag;
	d->error = 0;
	d->payload = (struct payload){ .id = 0 };
	d->digest_bytes = 0;
	return d;
}

static bool fails(struct session *s, struct done *d)
{
	if (!s->node.fail_count)
		return false;
	s->node.fail_count--;
	d->error = -EIO;
	return true;
}

static bool all_zero(const struct ac_disk *a)
{
	uint64_t at = a->sector * SECTOR_BYTES;

	for (uint64_t page = at / MD_PAGE_BYTES; page * MD_PAGE_BYTES < at + a->bytes; page++) {
		if (disk.dirty[page])
			return false;
	}
	return true;
}

/* Most is read where nothing was written: that digest is made once for each length. */
static void add_digest(struct done *d, const struct ac_disk *a)
{
	static struct { bool known; uint8_t digest[WIRE_DIGEST_MAX_BYTES]; } zeroes[ZEROES_MAX];
	uint32_t pages = a->bytes / MD_PAGE_BYTES;
	const uint8_t *data = data_at(a);
	struct net_digest digest;
	bool known = net_digest_set(&digest, a->digest_alg);
	bool zero = a->bytes % MD_PAGE_BYTES == 0 && pages < ZEROES_MAX && all_zero(a);

	ASSERT(known);
	if (zero && zeroes[pages].known)
		memcpy(d->digest, zeroes[pages].digest, digest.bytes);
	else
		net_digest_of(&digest, data, a->bytes, d->digest);
	if (zero && !zeroes[pages].known) {
		memcpy(zeroes[pages].digest, d->digest, digest.bytes);
		zeroes[pages].known = true;
	}
	d->digest_bytes = digest.bytes;
}

void disk_data_action(struct session *s, const struct core_action *a)
{
	struct done *d = done_push(&disk.data, EV_DISK_DONE, a->u.disk.tag);

	if (fails(s, d))
		return;
	if (a->kind == AC_DISK_READ) {
		d->payload = read_data(s, &a->u.disk);
		if (a->u.disk.digest_alg)
			add_digest(d, &a->u.disk);
	} else if (a->kind == AC_DISK_WRITE) {
		write_data(s, &a->u.disk);
	} else if (a->kind != AC_DISK_FLUSH) {
		zero_data(&a->u.disk);
	}
}

void disk_meta_action(struct session *s, const struct core_action *a)
{
	if (fails(s, done_push(&disk.meta, EV_META_DONE, a->u.meta.tag)))
		return;
	if (a->kind == AC_META_SUPER)
		super_write(a->u.meta.super);
	else if (a->kind == AC_META_AL)
		al_write(a->u.meta.al);
	else if (a->kind == AC_META_BITMAP)
		bitmap_write(core_bitmap(s->node.core, a->u.meta.vnr), a->u.meta.page);
}

void disk_attach_action(uint16_t vnr)
{
	done_push(&disk.meta, EV_ATTACHED, 0)->vnr = vnr;
}

void disk_detach_action(uint16_t vnr)
{
	done_push(&disk.meta, EV_DETACHED, 0)->vnr = vnr;
}

void disk_resize_action(const struct ac_resize *a)
{
	struct done *d = done_push(&disk.meta, EV_RESIZED, a->move);

	d->vnr = a->vnr;
}

/* The store keeps its size. */
static void resized(struct ev_resized *ev, const struct done *d)
{
	*ev = (struct ev_resized){
		.vnr = d->vnr,
		.moved = d->tag,
		.data_sectors = disk.layout.data_sectors,
		.backing_sectors = STORE_BYTES / SECTOR_BYTES,
		.md_size_sectors = disk.fresh.md_size_sectors,
		.al_offset_sectors = disk.fresh.al_offset_sectors,
		.bm_offset_sectors = disk.fresh.bm_offset_sectors,
		.bitmap.words_per_slot = disk.words,
	};
	for (unsigned i = 0; i < SLOTS; i++)
		ev->bitmap.slot[i] = disk.slot[i];
}

/* No data is compared, so that the log of hot extents is not needed. */
static void attached(struct ev_attached *at, uint16_t vnr)
{
	*at = (struct ev_attached){
		.vnr = vnr,
		.data_sectors = disk.layout.data_sectors,
		.backing_sectors = STORE_BYTES / SECTOR_BYTES,
		.discard_ok = true,
		.bitmap.words_per_slot = disk.words,
	};
	ASSERT(meta_super_decode(disk.store + disk.layout.super_byte, &at->super) == META_OK);
	at->super.flags |= MDF_AL_CLEAN;
	for (unsigned i = 0; i < SLOTS; i++) {
		memset(disk.slot[i], 0, disk.words * 8);
		at->bitmap.slot[i] = disk.slot[i];
	}
	for (uint64_t page = 0; page < disk.layout.bitmap_pages; page++)
		meta_bitmap_page_decode(disk.store + disk.layout.bitmap_byte + page * MD_PAGE_BYTES,
					page, SLOTS, disk.slot, disk.words);
	for (unsigned i = 0; i < SLOTS; i++)
		meta_bitmap_clip(disk.slot[i], disk.words,
				 disk.layout.data_sectors / BM_BLOCK_SECTORS);
}

static void to_event(const struct done *d, struct core_event *ev)
{
	ev->kind = d->kind;
	if (d->kind == EV_ATTACHED) {
		attached(&ev->u.attached, d->vnr);
	} else if (d->kind == EV_RESIZED) {
		resized(&ev->u.resized, d);
	} else if (d->kind == EV_DETACHED) {
		ev->u.detached_vnr = d->vnr;
	} else {
		ev->u.done = (struct ev_done){
			.tag = d->tag,
			.error = d->error,
			.payload = d->payload,
			.digest = d->digest_bytes ? d->digest : NULL,
			.digest_bytes = d->digest_bytes,
		};
	}
}

/* Metadata first; it is closed behind all that is under way. */
static struct done_queue *next_queue(void)
{
	bool closes = disk.meta.count && disk.meta.done[disk.meta.head].kind == EV_DETACHED;

	return disk.meta.count && !(closes && disk.data.count) ? &disk.meta : &disk.data;
}

bool disk_next_done(struct session *s, struct core_event *ev)
{
	struct done_queue *q = next_queue();
	static struct done next;
	struct done *first = &q->done[q->head];

	if (!q->count || s->node.hold_disk)
		return false;
	next = *first;
	/* Data complete in any order. */
	if (q == &disk.data && (s->conf.seed & 1)) {
		struct done *last = &q->done[(q->head + q->count - 1) % DONE_MAX];

		next = *last;
		*last = *first;
	}
	q->head = --q->count ? (q->head + 1) % DONE_MAX : 0;
	to_event(&next, ev);
	return true;
}

/* ---- a session's disk ---- */

static void references(const struct session *s, struct md_super *super)
{
	for (unsigned i = 0; i < NODES_MAX; i++)
		super->peers[i].bitmap_index = -1;
	for (unsigned i = 0; i < s->conf.peer_count; i++) {
		const struct script *sc = &s->script[i];
		enum relation rel = (enum relation)s->conf.relation[i];

		super->peers[sc->id].bitmap_index = (int32_t)i;
		if (rel == REL_OLDER || rel == REL_SPLIT)
			super->peers[sc->id].bitmap_uuid = SESSION_UUID_BASE;
		memset(disk.slot[i], 0, disk.words * 8);
		if (rel == REL_FRESH)
			memset(disk.slot[i], 0xff, disk.words * 8);
		else if (rel != REL_EQUAL)
			meta_bitmap_set(disk.slot[i], 8 * i, 8 * i + 40);
	}
}

void disk_open(const struct session *s)
{
	struct md_super super;
	struct bm_store bm = { .words_per_slot = disk.words };
	uint8_t block[MD_PAGE_BYTES];

	if (!disk.store)
		create();
	disk.data.head = disk.data.count = disk.meta.head = disk.meta.count = 0;
	bm.words_per_slot = disk.words;
	for (unsigned i = 0; i < SLOTS; i++)
		bm.slot[i] = disk.slot[i];
	super = disk.fresh;
	super.current_uuid = SESSION_UUID_OWN;
	super.effective_sectors = disk.layout.data_sectors;
	super.flags = MDF_CONSISTENT | MDF_WAS_UP_TO_DATE;
	references(s, &super);
	if (s->conf.relation[0] == REL_FRESH) {
		super.current_uuid = UUID_JUST_CREATED;
		super.effective_sectors = 0;
		super.flags = 0;
	}
	super_write(&super);
	meta_al_encode_initialised(block);
	for (uint32_t i = 0; i < disk.layout.ring_blocks; i++)
		meta_write(disk.layout.al_byte + (uint64_t)i * MD_PAGE_BYTES, block);
	for (uint64_t page = 0; page < disk.layout.bitmap_pages; page++)
		bitmap_write(&bm, page);
}

void disk_close(struct session *s)
{
	for (unsigned i = 0; i < PAGES; i++) {
		if (disk.dirty[i])
			memset(disk.store + (uint64_t)i * MD_PAGE_BYTES, 0, MD_PAGE_BYTES);
	}
	memset(disk.dirty, 0, sizeof(disk.dirty));
	ASSERT(disk.meta.count == 0 && disk.data.count == 0);
	disk_check(s);
}

void disk_check(const struct session *s)
{
	(void)s;
	ASSERT(!memcmp(disk.store + disk.layout.first_byte, disk.metadata,
		       STORE_BYTES - disk.layout.first_byte));
}

uint64_t disk_edge(unsigned choice)
{
	const uint64_t end = disk.layout.data_sectors, extent = AL_EXTENT_SECTORS;
	const uint64_t edges[] = {
		0, extent - BM_BLOCK_SECTORS, extent - 1, extent, end - BM_BLOCK_SECTORS, end - 1,
		end, end + BM_BLOCK_SECTORS,
	};

	return edges[choice % (sizeof(edges) / sizeof(edges[0]))];
}

uint64_t disk_sectors(void)
{
	return disk.layout.data_sectors;
}

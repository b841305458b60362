/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Codec of activity-log blocks and replay of the ring. */
#include "meta/meta_al.h"

#include <errno.h>
#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "base/crc32c.h"

#define AL_MAGIC 0x69cb65a2U
#define AL_PMEM_MAGIC 0x6aa667a6U
#define TYPE_UPDATE 0U
#define TYPE_INITIALISED 0xffffU
#define SLOT_UNUSED 0xffffU
#define OFF_NUMBER 4
#define OFF_CRC 8
#define OFF_TYPE 12
#define OFF_UPDATE_SLOT 36
#define OFF_UPDATE_EXTENT (OFF_UPDATE_SLOT + 2 * AL_UPDATES_MAX)
#define OFF_CONTEXT (OFF_UPDATE_EXTENT + 4 * AL_UPDATES_MAX)

STATIC_ASSERT(OFF_CONTEXT == 420, "context follows the updates");
STATIC_ASSERT(OFF_CONTEXT + 4 * AL_CONTEXT_MAX == MD_PAGE_BYTES, "the context fills the block");

static uint32_t block_crc(const uint8_t block[static MD_PAGE_BYTES])
{
	static const uint8_t zero[4];
	uint32_t crc = crc32c(0, block, OFF_CRC);

	crc = crc32c(crc, zero, sizeof(zero));
	return crc32c(crc, block + OFF_CRC + 4, MD_PAGE_BYTES - OFF_CRC - 4);
}

void meta_al_encode(const struct al_transaction *tr, uint8_t block[static MD_PAGE_BYTES])
{
	ASSERT(tr->update_count <= AL_UPDATES_MAX);
	memset(block, 0, OFF_UPDATE_SLOT);
	put_be32(block, AL_MAGIC);
	put_be32(block + OFF_NUMBER, tr->number);
	put_be16(block + OFF_TYPE, TYPE_UPDATE);
	put_be16(block + 14, tr->update_count);
	put_be16(block + 16, tr->context_size);
	put_be16(block + 18, tr->context_start);
	for (unsigned i = 0; i < AL_UPDATES_MAX; i++) {
		bool used = i < tr->update_count;

		put_be16(block + OFF_UPDATE_SLOT + 2 * i,
			 used ? tr->update_slot[i] : (uint16_t)SLOT_UNUSED);
		put_be32(block + OFF_UPDATE_EXTENT + 4 * i, used ? tr->update_extent[i] : AL_FREE);
	}
	for (unsigned i = 0; i < AL_CONTEXT_MAX; i++) {
		bool in_table = tr->context_start + i < tr->context_size;

		put_be32(block + OFF_CONTEXT + 4 * i, in_table ? tr->context[i] : AL_FREE);
	}
	put_be32(block + OFF_CRC, block_crc(block));
}

void meta_al_encode_initialised(uint8_t block[static MD_PAGE_BYTES])
{
	memset(block, 0, MD_PAGE_BYTES);
	put_be32(block, AL_MAGIC);
	put_be16(block + OFF_TYPE, TYPE_INITIALISED);
	put_be32(block + OFF_CRC, block_crc(block));
}

uint32_t meta_al_block_of_position(uint32_t position, uint32_t stripes, uint32_t stripe_4k)
{
	return position % stripes * stripe_4k + position / stripes;
}

uint32_t meta_al_block_of_number(uint32_t number, uint32_t stripes, uint32_t stripe_4k)
{
	return meta_al_block_of_position(number % (stripes * stripe_4k), stripes, stripe_4k);
}

bool meta_al_peek(const uint8_t block[static MD_PAGE_BYTES], uint32_t *number)
{
	*number = get_be32(block + OFF_NUMBER);
	return get_be32(block) == AL_MAGIC && get_be16(block + OFF_TYPE) == TYPE_UPDATE;
}

static void read_arrays(const uint8_t block[static MD_PAGE_BYTES], struct al_transaction *tr)
{
	for (unsigned i = 0; i < AL_UPDATES_MAX; i++) {
		tr->update_slot[i] = get_be16(block + OFF_UPDATE_SLOT + 2 * i);
		tr->update_extent[i] = get_be32(block + OFF_UPDATE_EXTENT + 4 * i);
	}
	for (unsigned i = 0; i < AL_CONTEXT_MAX; i++)
		tr->context[i] = get_be32(block + OFF_CONTEXT + 4 * i);
}

/* A block whose checksum holds but whose fields contradict each other proves nothing. */
static bool transaction_is_sound(const struct al_transaction *tr)
{
	if (tr->update_count > AL_UPDATES_MAX || tr->context_size < 1 ||
	    tr->context_size > META_AL_SLOTS_MAX || tr->context_start >= tr->context_size)
		return false;
	for (unsigned i = 0; i < tr->update_count; i++)
		if (tr->update_slot[i] >= tr->context_size)
			return false;
	for (unsigned i = tr->update_count; i < AL_UPDATES_MAX; i++)
		if (tr->update_slot[i] != SLOT_UNUSED)
			return false;
	for (unsigned i = tr->context_size - tr->context_start; i < AL_CONTEXT_MAX; i++)
		if (tr->context[i] != AL_FREE)
			return false;
	return true;
}

enum meta_al_kind meta_al_decode(const uint8_t block[static MD_PAGE_BYTES],
				 struct al_transaction *tr)
{
	if (get_be32(block) != AL_MAGIC || get_be32(block + OFF_CRC) != block_crc(block))
		return META_AL_TORN;
	switch (get_be16(block + OFF_TYPE)) {
	case TYPE_INITIALISED:
		return META_AL_INITIALISED;
	case TYPE_UPDATE:
		break;
	default:
		return META_AL_TORN;
	}
	tr->number = get_be32(block + OFF_NUMBER);
	tr->update_count = get_be16(block + 14);
	tr->context_size = get_be16(block + 16);
	tr->context_start = get_be16(block + 18);
	read_arrays(block, tr);
	return transaction_is_sound(tr) ? META_AL_UPDATE : META_AL_TORN;
}

static uint32_t ring_blocks(const struct meta_al_ring *ring)
{
	return ring->stripes * ring->stripe_4k;
}

/* Reads and classifies the block at a ring position into the working space. */
static int read_position(const struct meta_al_ring *ring, struct meta_al_table *table,
			 uint32_t position, enum meta_al_kind *kind)
{
	uint32_t index = meta_al_block_of_position(position, ring->stripes, ring->stripe_4k);
	int rc = ring->read(ring->ctx, index, table->block);

	if (rc)
		return rc;
	*kind = meta_al_decode(table->block, &table->tr);
	/* An update that lies where its number does not belong is as worthless as a torn one. */
	if (*kind == META_AL_UPDATE && table->tr.number % ring_blocks(ring) != position)
		*kind = META_AL_TORN;
	return 0;
}

struct ring_scan {
	uint32_t update_count;
	uint32_t newest;
};

/* Whole ring once: how many blocks are torn, which transaction is the newest. */
static int scan_ring(const struct meta_al_ring *ring, struct meta_al_table *table,
		     struct ring_scan *scan)
{
	memset(scan, 0, sizeof(*scan));
	for (uint32_t i = 0; i < ring_blocks(ring); i++) {
		enum meta_al_kind kind;
		int rc = read_position(ring, table, i, &kind);

		if (rc)
			return rc;
		if (kind == META_AL_TORN)
			table->torn_count++;
		if (kind != META_AL_UPDATE)
			continue;
		/* Numbers wrap, so age is the signed difference. */
		if (!scan->update_count++ || (int32_t)(table->tr.number - scan->newest) > 0)
			scan->newest = table->tr.number;
	}
	return 0;
}

/*
 * Walks back from the newest transaction while the numbers are consecutive. *from_start: the block
 * before the first one was never used, so the table should have been empty when the run began.
 */
static int find_run(const struct meta_al_ring *ring, struct meta_al_table *table, uint32_t newest,
		    uint32_t *run_count, bool *from_start)
{
	uint32_t blocks = ring_blocks(ring);
	uint32_t count = 1;

	*from_start = false;
	while (count < blocks) {
		enum meta_al_kind kind;
		uint32_t position = (newest % blocks + blocks - count) % blocks;
		int rc = read_position(ring, table, position, &kind);

		if (rc)
			return rc;
		*from_start = kind == META_AL_INITIALISED;
		if (kind != META_AL_UPDATE || table->tr.number != newest - count)
			break;
		count++;
	}
	*run_count = count;
	return 0;
}

static void set_slot(struct meta_al_table *table, uint32_t slot, uint32_t extent)
{
	table->extent[slot] = extent;
	table->known[slot / 64] |= UINT64_C(1) << slot % 64;
	if (slot >= table->slot_count)
		table->slot_count = slot + 1;
}

static bool slots_are_known(const struct meta_al_table *table, uint32_t count)
{
	for (uint32_t slot = 0; slot < count; slot++)
		if (!(table->known[slot / 64] & UINT64_C(1) << slot % 64))
			return false;
	return true;
}

/* The context is the table before the transaction, so it goes first. */
static void apply_transaction(struct meta_al_table *table, const struct al_transaction *tr)
{
	for (uint32_t i = 0; i < AL_CONTEXT_MAX && tr->context_start + i < tr->context_size; i++)
		set_slot(table, tr->context_start + i, tr->context[i]);
	for (uint32_t i = 0; i < tr->update_count; i++)
		set_slot(table, tr->update_slot[i], tr->update_extent[i]);
}

/*
 * May this be the first transaction of a log? Its table was empty then. Number 0 can also be the
 * one behind the wrap of the counter, if the ring is no power of two long; a beginning starts the
 * cycle.
 */
static bool may_be_first(const struct al_transaction *tr)
{
	if (tr->number == 0 && tr->context_start != 0)
		return false;
	for (unsigned i = 0; i < AL_CONTEXT_MAX; i++)
		if (tr->context[i] != AL_FREE)
			return false;
	return true;
}

static int replay_run(const struct meta_al_ring *ring, struct meta_al_table *table,
		      const struct ring_scan *scan, enum meta_al_outcome *outcome)
{
	uint32_t blocks = ring_blocks(ring), newest = scan->newest;
	uint32_t run_count, table_size = 0;
	bool from_start;
	int rc = find_run(ring, table, newest, &run_count, &from_start);

	if (rc)
		return rc;
	/* Older updates elsewhere: the unused block is one whose write was lost. */
	from_start = from_start && run_count == scan->update_count;
	table->newest = newest;
	for (uint32_t i = run_count; i-- > 0;) {
		uint32_t old_size = table_size;
		enum meta_al_kind kind;

		rc = read_position(ring, table, (newest % blocks + blocks - i) % blocks, &kind);
		if (rc)
			return rc;
		if (kind != META_AL_UPDATE || table->tr.number != newest - i)
			return -EIO;
		if (i + 1 == run_count)
			from_start = from_start && may_be_first(&table->tr);
		table_size = table->tr.context_size;
		/* Slots that a larger table gains were free until now. */
		if (i + 1 < run_count || from_start)
			for (uint32_t slot = old_size; slot < table_size; slot++)
				set_slot(table, slot, AL_FREE);
		apply_transaction(table, &table->tr);
	}
	*outcome = slots_are_known(table, table_size) ? META_AL_REPLAYED : META_AL_MARK_ALL;
	return 0;
}

/*
 * Where the length of the ring is no power of two, the transaction behind the wrap of the counter
 * does not follow in the ring but may lie on the newest one before the wrap: torn, it has taken it
 * along.
 */
static bool wrap_is_ambiguous(const struct meta_al_ring *ring, const struct ring_scan *scan)
{
	uint32_t blocks = ring_blocks(ring);

	return (blocks & (blocks - 1)) &&
	       (!scan->update_count || scan->newest > UINT32_MAX - blocks);
}

/* Slots follow the magic, one after the other, updated in place and never torn. */
static int replay_pmem(const struct meta_al_ring *ring, struct meta_al_table *table,
		       enum meta_al_outcome *outcome)
{
	const uint32_t per_block = MD_PAGE_BYTES / 4;
	int rc;

	if (ring->extent_count > META_AL_SLOTS_MAX ||
	    ring->extent_count / per_block >= ring_blocks(ring)) {
		*outcome = META_AL_MARK_ALL;
		return 0;
	}
	for (uint32_t slot = 0; slot < ring->extent_count; slot++) {
		uint32_t word = slot + 1;

		if (slot && word % per_block == 0) {
			rc = ring->read(ring->ctx, word / per_block, table->block);
			if (rc)
				return rc;
		}
		set_slot(table, slot, get_be32(table->block + 4 * (word % per_block)));
	}
	*outcome = META_AL_REPLAYED;
	return 0;
}

int meta_al_replay(const struct meta_al_ring *ring, struct meta_al_table *table,
		   enum meta_al_outcome *outcome)
{
	struct ring_scan scan;
	int rc;

	memset(table->extent, 0xff, sizeof(table->extent));
	memset(table->known, 0, sizeof(table->known));
	table->slot_count = 0;
	table->torn_count = 0;
	rc = ring->read(ring->ctx, 0, table->block);
	if (rc)
		return rc;
	if (get_be32(table->block) == AL_PMEM_MAGIC)
		return replay_pmem(ring, table, outcome);
	rc = scan_ring(ring, table, &scan);
	if (rc)
		return rc;
	if (table->torn_count == ring_blocks(ring)) {
		*outcome = META_AL_UNREADABLE;
		return 0;
	}
	if (table->torn_count > 1) {
		*outcome = META_AL_MARK_ALL;
		return 0;
	}
	if (table->torn_count && wrap_is_ambiguous(ring, &scan))
		*outcome = META_AL_MARK_ALL;
	else if (scan.update_count)
		return replay_run(ring, table, &scan, outcome);
	else
		/* At most one torn block: the first one since
		 * the ring was made, which released nothing. */
		*outcome = META_AL_EMPTY;
	return 0;
}

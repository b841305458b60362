/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Codecs over random input: identity, totality, and a replay that misses no hot extent. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/al_model.h"
#include "base/assert.h"
#include "base/prng.h"
#include "meta/meta_bitmap.h"
#include "meta/meta_layout.h"
#include "meta/meta_super.h"

#define RUNS 3000U

static struct prng rng;

static void random_super(struct md_super *s)
{
	memset(s, 0, sizeof(*s));
	s->effective_sectors = prng_u64(&rng);
	s->current_uuid = prng_u64(&rng);
	s->members = prng_u64(&rng);
	s->device_uuid = prng_u64(&rng);
	s->flags = (uint32_t)prng_u64(&rng);
	s->md_size_sectors = (uint32_t)prng_u64(&rng);
	s->al_offset_sectors = (int32_t)prng_u64(&rng);
	s->al_nr_extents = (uint32_t)prng_u64(&rng);
	s->bm_offset_sectors = (int32_t)prng_u64(&rng);
	s->bm_bytes_per_bit = 1U << prng_range(&rng, 12, 20);
	s->la_peer_max_bio_bytes = (uint32_t)prng_u64(&rng);
	s->max_peers = (uint32_t)prng_range(&rng, 1, 32);
	s->node_id = (int32_t)prng_range(&rng, 0, 32) - 1;
	s->al_stripes = (uint32_t)prng_range(&rng, 1, 64);
	s->al_stripe_4k = (uint32_t)prng_range(&rng, 8, 64);
	for (int32_t i = 0, slot = 0; i < NODES_MAX; i++) {
		s->peers[i].bitmap_uuid = prng_u64(&rng);
		s->peers[i].bitmap_dagtag = prng_u64(&rng);
		s->peers[i].flags = (uint32_t)prng_u64(&rng) & 0x7fffffffU;
		s->peers[i].bitmap_index = -1;
		if (i != s->node_id && slot < (int32_t)s->max_peers && prng_chance(&rng, 1, 2))
			s->peers[i].bitmap_index = slot++;
	}
	for (unsigned i = 0; i < HISTORY_UUIDS; i++)
		s->history[i] = prng_u64(&rng);
}

static void super_identity(void)
{
	for (unsigned run = 0; run < RUNS; run++) {
		uint8_t block[MD_PAGE_BYTES], again[MD_PAGE_BYTES];
		struct md_super a, b;

		random_super(&a);
		meta_super_encode(&a, block);
		memset(&b, 0, sizeof(b));
		ASSERT(meta_super_decode(block, &b) == META_OK);
		meta_super_encode(&b, again);
		ASSERT(memcmp(block, again, sizeof(block)) == 0);
		ASSERT(a.effective_sectors == b.effective_sectors && a.node_id == b.node_id);
		ASSERT(memcmp(a.peers, b.peers, sizeof(a.peers)) == 0);
		ASSERT(memcmp(a.history, b.history, sizeof(a.history)) == 0);
	}
}

/* Whatever an accepted superblock says, its areas lie on the store and apart from each other. */
static void accepted_layouts_are_sound(void)
{
	unsigned accepted = 0;

	for (unsigned run = 0; run < RUNS * 10; run++) {
		struct meta_stores stores = {
			.place = (enum md_place)prng_below(&rng, 3),
			.index = (uint32_t)prng_below(&rng, 4),
			.data_sectors = prng_range(&rng, 0, 1 << 21),
			.meta_sectors = prng_range(&rng, 0, 1 << 21),
		};
		struct meta_layout l;
		struct md_super s;

		if (stores.place == MD_PLACE_INTERNAL)
			stores.meta_sectors = stores.data_sectors;
		random_super(&s);
		s.al_stripes = 1;
		s.al_stripe_4k = 8;
		s.effective_sectors = prng_below(&rng, 1 << 21);
		if (meta_layout_fresh(&stores, &s, &l) != META_OK)
			continue;
		ASSERT(IMPLIES(s.effective_sectors <= l.data_sectors,
			       meta_layout_check(&stores, &s, &l) == META_OK));
		s.bm_offset_sectors += (int32_t)prng_range(&rng, 0, 64) * 8 - 256;
		s.al_offset_sectors += prng_chance(&rng, 1, 8) ? 8 : 0;
		s.md_size_sectors += (uint32_t)prng_range(&rng, 0, 64) - 32;
		if (meta_layout_check(&stores, &s, &l) != META_OK)
			continue;
		accepted++;
		ASSERT(l.end_byte <= stores.meta_sectors * 512);
		ASSERT(l.first_byte <= l.bitmap_byte && l.first_byte <= l.super_byte);
		ASSERT(l.super_byte + 4096 <= l.end_byte);
		ASSERT(l.bitmap_byte + l.bitmap_pages * 4096 <= l.end_byte);
		ASSERT(l.al_byte + (uint64_t)l.ring_blocks * 4096 <= l.end_byte);
		ASSERT(l.data_sectors > 0 && l.data_sectors <= stores.data_sectors);
		ASSERT(IMPLIES(stores.place == MD_PLACE_INTERNAL,
			       l.data_sectors * 512 <= l.first_byte));
		ASSERT(meta_bitmap_pages((l.data_sectors * 512 + s.bm_bytes_per_bit - 1) /
						 s.bm_bytes_per_bit,
					 s.max_peers) <= l.bitmap_pages);
	}
	ASSERT(accepted > RUNS / 10);
}

static void bitmap_pages_and_slots_agree(void)
{
	enum { WORDS = 300 };
	static uint64_t memory[2][NODES_MAX][WORDS];

	for (unsigned run = 0; run < 200; run++) {
		uint32_t peers = (uint32_t)prng_range(&rng, 1, 32);
		uint64_t *from[NODES_MAX], *to[NODES_MAX],
			pages = meta_bitmap_pages(WORDS * 64, peers);
		uint8_t block[MD_PAGE_BYTES];

		prng_bytes(&rng, memory[0], sizeof(memory[0]));
		memset(memory[1], 0, sizeof(memory[1]));
		for (unsigned i = 0; i < NODES_MAX; i++) {
			from[i] = memory[0][i];
			to[i] = memory[1][i];
		}
		for (uint64_t page = 0; page < pages; page++) {
			meta_bitmap_page_encode(from, WORDS, peers, page, block);
			meta_bitmap_page_decode(block, page, peers, to, WORDS);
		}
		ASSERT(memcmp(memory[0], memory[1], peers * sizeof(memory[0][0])) == 0);
		for (unsigned n = 0; n < 50; n++) {
			uint64_t bit = prng_below(&rng, WORDS * 64);
			uint32_t slot = (uint32_t)prng_below(&rng, peers);
			uint64_t word = bm_disk_word(bit, slot, peers);

			meta_bitmap_page_encode(from, WORDS, peers, bm_disk_page(bit, slot, peers),
						block);
			ASSERT((block[word % MD_PAGE_WORDS * 4 + bit % 32 / 8] >> bit % 8 & 1) ==
			       (from[slot][bit / 64] >> bit % 64 & 1));
		}
	}
}

enum damage { INTACT, TORN_NEWEST, TORN_OLDER, TORN_TWICE, LOST_WRITE, DAMAGES };

static struct al_model model;
static struct meta_al_table table;

static void random_transactions(uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		uint32_t slot[AL_UPDATES_MAX], extent[AL_UPDATES_MAX];
		unsigned updates = (unsigned)prng_below(&rng, AL_UPDATES_MAX + 1);

		for (unsigned u = 0; u < updates; u++) {
			slot[u] = (uint32_t)prng_below(&rng, model.slot_count);
			extent[u] = prng_chance(&rng, 1, 10) ? AL_FREE
							     : (uint32_t)prng_below(&rng, 1 << 20);
		}
		al_model_write(&model, updates, slot, extent);
	}
}

static void damage_ring(enum damage damage, uint32_t count, uint32_t blocks)
{
	uint32_t used = count < blocks ? count : blocks;
	uint32_t newest = model.next_number - 1;
	uint32_t back = used > 1 ? (uint32_t)prng_range(&rng, 1, used - 1) : 0;
	uint32_t at = 12 + (uint32_t)prng_below(&rng, MD_PAGE_BYTES - 12);

	switch (damage) {
	case INTACT:
	case DAMAGES:
		break;
	case TORN_TWICE:
		al_model_block(&model, newest)[at] ^= 1;
		/* fall through */
	case TORN_OLDER:
		al_model_block(&model, newest - back)[at] ^= 2;
		break;
	case TORN_NEWEST:
		memset(al_model_block(&model, newest) + at / 512 * 512, 0xee, 512);
		break;
	case LOST_WRITE:
		/* Of a young ring's first write nobody else knows, if it is all that is lost. */
		if (back + 1 < used || count > blocks)
			meta_al_encode_initialised(al_model_block(&model, newest - back));
		break;
	}
}

/* Every extent that was certainly hot is found; without damage nothing else is. */
static void check_replay(enum damage damage, enum meta_al_outcome outcome, bool exact_possible)
{
	const uint32_t *truth = damage == TORN_NEWEST ? model.before : model.extent;

	if (outcome == META_AL_MARK_ALL) {
		ASSERT(damage > TORN_NEWEST || !exact_possible);
		return;
	}
	if (outcome == META_AL_EMPTY) {
		for (uint32_t i = 0; i < model.slot_count; i++)
			ASSERT(truth[i] == AL_FREE);
		return;
	}
	ASSERT(outcome == META_AL_REPLAYED);
	ASSERT(damage != TORN_TWICE);
	for (uint32_t i = 0; i < model.slot_count; i++)
		ASSERT(table.extent[i] == truth[i]);
	for (uint32_t i = model.slot_count; i < table.slot_count; i++)
		ASSERT(table.extent[i] == AL_FREE);
}

static void replay_is_never_short(void)
{
	unsigned outcomes[4] = { 0 };

	for (unsigned run = 0; run < RUNS; run++) {
		uint32_t stripes = (uint32_t)prng_range(&rng, 1, 4);
		uint32_t stripe_4k = (uint32_t)prng_range(&rng, 8, 16);
		uint32_t blocks = stripes * stripe_4k;
		uint32_t slots =
			(uint32_t)prng_range(&rng, AL_EXTENTS_MIN, (blocks - 1) * AL_CONTEXT_MAX);
		/* A third of the runs cross the wrap of the number. */
		uint32_t first = prng_chance(&rng, 1, 3) ? 0U - (uint32_t)prng_below(&rng, 40)
							 : (uint32_t)prng_below(&rng, 1U << 31);
		uint32_t count = (uint32_t)prng_range(&rng, 1, 3 * blocks);
		enum damage damage = (enum damage)prng_below(&rng, DAMAGES);
		enum meta_al_outcome outcome;
		bool wraps = 0U - first <= count + blocks && (blocks & (blocks - 1));

		al_model_init(&model, stripes, stripe_4k, slots, first);
		random_transactions(count);
		/* There the number of an older block would name the place of a newer one. */
		if (damage > TORN_NEWEST && (count < 2 || wraps))
			damage = INTACT;
		if (damage == TORN_NEWEST && count == 1 && blocks & (blocks - 1))
			damage = INTACT; /* an only block that need not be the first */
		damage_ring(damage, count, blocks);
		outcome = al_model_replay(&model, &table);
		outcomes[outcome]++;
		check_replay(damage, outcome, !wraps);
		al_model_release(&model);
	}
	ASSERT(outcomes[META_AL_REPLAYED] > RUNS / 4);
	ASSERT(outcomes[META_AL_MARK_ALL] > RUNS / 20);
}

/* Any bytes: a verdict, never a crash (the sanitizer builds look closer). */
static void noise_is_refused(void)
{
	uint8_t block[MD_PAGE_BYTES];
	struct al_transaction tr;
	struct md_super s;

	for (unsigned run = 0; run < RUNS; run++) {
		prng_bytes(&rng, block, sizeof(block));
		ASSERT(meta_super_decode(block, &s) != META_OK);
		ASSERT(meta_al_decode(block, &tr) == META_AL_TORN);
	}
}

static void say_assertion(const char *expr, const char *file, int line)
{
	(void)fflush(stdout);
	fprintf(stderr, "%s:%d: %s\n", file, line, expr);
}

int main(int argc, char **argv)
{
	uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 20;

	printf("seed %" PRIu64 "\n", seed);
	assert_hook = say_assertion;
	prng_seed(&rng, seed);
	super_identity();
	accepted_layouts_are_sound();
	bitmap_pages_and_slots_agree();
	replay_is_never_short();
	noise_is_refused();
	return 0;
}

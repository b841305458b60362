/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The activity log: transactions, replacement, the order against bitmap and data, a full log,
 * a lost disk. */
#include <errno.h>

#include "core_node.h"

#define EXTENT(i) ((uint64_t)(i) * AL_EXTENT_SECTORS)

static struct node n;
static unsigned granted;

static void done(void)
{
	node_close(&n);
}

#define ActlogTest(name) Test(core_actlog, name, .fini = done)

static void on_ready(struct core *core, struct volume *vol, struct al_ref *ref)
{
	(void)core;
	(void)vol;
	(void)ref;
	granted++;
}

static void open_log(void)
{
	node_open(&n, ROLE_PRIMARY, 1, PROTOCOL_C);
	granted = 0;
}

/* Direct calls collect their actions in n.acts. */
static bool get(struct al_ref *ref, uint64_t sector, uint32_t sectors)
{
	bool hot;

	actlog_ref_init(ref);
	n.core->ring_head = n.core->ring_tail = 0;
	hot = actlog_get(n.core, n.vol, ref, sector, sectors, on_ready);
	node_pull(&n);
	return hot;
}

static void put(struct al_ref *ref)
{
	n.core->ring_head = n.core->ring_tail = 0;
	actlog_put(n.core, n.vol, ref);
	node_pull(&n);
}

static void finish(int error)
{
	struct ev_done ev = { .error = error };

	ev.tag = tag_make(TAG_AL, (uint64_t)n.vol->al.incarnation << 8);
	n.core->ring_head = n.core->ring_tail = 0;
	actlog_meta_done(n.core, &ev);
	node_pull(&n);
}

static const struct al_transaction *block(void)
{
	const struct core_action *act = node_act(&n, AC_META_AL, 0);

	return act ? act->u.meta.al : NULL;
}

ActlogTest(first_transaction)
{
	struct al_ref a;

	open_log();
	cr_assert_not(get(&a, EXTENT(5) + 3, 8));
	cr_assert_eq(block()->number, 0);
	cr_assert_eq(block()->update_count, 1);
	cr_assert_eq(block()->update_extent[0], 5);
	cr_assert_eq(block()->context_size, AL_EXTENTS_MIN);
	cr_assert_eq(block()->context_start, 0);
	for (unsigned i = 0; i < AL_CONTEXT_MAX; i++)
		cr_assert_eq(block()->context[i], AL_FREE);
	cr_assert_eq(granted, 0);
	finish(0);
	cr_assert_eq(granted, 1);
	cr_assert_eq(n.vol->al.writes, 1);
	cr_assert(actlog_extent_busy(n.vol, 5));
	put(&a);
	cr_assert_not(actlog_extent_busy(n.vol, 5));
	/* Still hot. */
	cr_assert(get(&a, EXTENT(5), 8));
	cr_assert_null(block());
}

/* A disk that is attached to a Primary gets its mark while the first block is on its way. */
ActlogTest(a_block_that_overtakes_the_mark_waits_for_it)
{
	struct al_ref a;

	open_log();
	cr_assert_not(get(&a, EXTENT(5), 8));
	n.vol->md_mark_seq = n.vol->md_durable_seq + 1;
	finish(0);
	cr_assert_eq(granted, 0);
	n.vol->md_durable_seq++;
	actlog_md_durable(n.core, n.vol);
	cr_assert_eq(granted, 1);
}

ActlogTest(context_is_the_table_before_the_updates)
{
	struct al_ref a, b;
	unsigned slot;

	open_log();
	get(&a, EXTENT(5), 8);
	slot = block()->update_slot[0];
	finish(0);
	get(&b, EXTENT(9), 8);
	cr_assert_eq(block()->number, 1);
	cr_assert_eq(block()->context[slot], 5);
	cr_assert_eq(block()->context[block()->update_slot[0]], AL_FREE);
}

ActlogTest(waiters_share_the_next_transaction)
{
	struct al_ref a, b[3];

	open_log();
	get(&a, EXTENT(1), 8);
	for (unsigned i = 0; i < 3; i++) {
		cr_assert_not(get(&b[i], EXTENT(2 + i / 2), 8));
		cr_assert_null(block());
	}
	/* What is hot does not wait for the transaction in flight. */
	finish(0);
	cr_assert_eq(granted, 1);
	cr_assert_eq(block()->update_count, 2);
	put(&a);
	cr_assert(get(&a, EXTENT(1), 8));
	finish(0);
	cr_assert_eq(granted, 4);
}

ActlogTest(a_write_across_extents_waits_for_all_of_them)
{
	struct al_ref a, b;

	open_log();
	get(&a, EXTENT(1), 8);
	finish(0);
	cr_assert_not(get(&b, EXTENT(2) - 4, 8));
	cr_assert_eq(block()->update_count, 1);
	cr_assert_eq(block()->update_extent[0], 2);
	finish(0);
	cr_assert_eq(granted, 2);
	put(&a);
	cr_assert(actlog_extent_busy(n.vol, 1));
}

ActlogTest(no_more_than_64_updates_in_a_block)
{
	struct al_ref a, whole[3];

	open_log();
	get(&a, EXTENT(60), 8);
	for (unsigned i = 0; i < 2; i++)
		get(&whole[i], EXTENT(30 * i), 30 * AL_EXTENT_SECTORS);
	get(&whole[2], EXTENT(61), 2 * AL_EXTENT_SECTORS);
	finish(0);
	cr_assert_eq(block()->update_count, 62);
	finish(0);
	cr_assert_eq(granted, 4);
}

ActlogTest(coldest_extent_is_replaced_after_its_bitmap_is_durable)
{
	struct al_ref refs[AL_EXTENTS_MIN], a;
	unsigned wait = 0;

	open_log();
	n.vol->size_sectors = EXTENT(1000);
	for (unsigned i = 0; i < AL_EXTENTS_MIN; i++) {
		get(&refs[i], EXTENT(i), 8);
		finish(0);
	}
	bitmap_set(n.core, n.vol, 1, EXTENT(1), 8);
	for (unsigned i = 0; i < AL_EXTENTS_MIN; i++)
		put(&refs[(i + 1) % AL_EXTENTS_MIN]);
	cr_assert_not(get(&a, EXTENT(500), 8));
	cr_assert_null(block());
	cr_assert(node_act(&n, AC_META_BITMAP, 0));
	/* Page, flush, whatever the bitmap needs: only then the block. */
	while (!block()) {
		struct ev_done ev = { 0 };
		uint64_t tag = n.acts[0].u.meta.tag;

		cr_assert_lt(wait++, 8);
		cr_assert_gt(n.count, 0);
		ev.tag = tag;
		n.core->ring_head = n.core->ring_tail = 0;
		bitmap_meta_done(n.core, &ev);
		node_pull(&n);
	}
	cr_assert_eq(block()->update_extent[0], 500);
	cr_assert_eq(block()->context[block()->update_slot[0]], 1);
	finish(0);
	cr_assert_not(get(&refs[1], EXTENT(1), 8));
}

ActlogTest(referenced_extents_are_never_replaced)
{
	struct al_ref refs[AL_EXTENTS_MIN], a;

	open_log();
	n.vol->size_sectors = EXTENT(1000);
	for (unsigned i = 0; i < AL_EXTENTS_MIN; i++) {
		get(&refs[i], EXTENT(i), 8);
		finish(0);
	}
	granted = 0;
	cr_assert_not(get(&a, EXTENT(500), 8));
	cr_assert_eq(n.count, 0);
	cr_assert(actlog_has_waiters(n.vol));
	put(&refs[17]);
	cr_assert_eq(block()->update_extent[0], 500);
	cr_assert_eq(block()->context[block()->update_slot[0]], 17);
	finish(0);
	cr_assert_eq(granted, 1);
}

ActlogTest(a_waiter_may_leave)
{
	struct al_ref a, b, c;

	open_log();
	get(&a, EXTENT(1), 8);
	get(&b, EXTENT(2), 8);
	get(&c, EXTENT(3), 8);
	put(&b);
	finish(0);
	cr_assert_eq(block()->update_count, 1);
	cr_assert_eq(block()->update_extent[0], 3);
}

ActlogTest(lost_disk_lets_everybody_go_without_reference)
{
	struct al_ref a, b, c;

	open_log();
	get(&a, EXTENT(1), 8);
	finish(0);
	get(&b, EXTENT(2), 8);
	get(&c, EXTENT(3), 8);
	n.core->ring_head = n.core->ring_tail = 0;
	actlog_disk_lost(n.core, n.vol);
	node_pull(&n);
	cr_assert_eq(granted, 3);
	cr_assert(get(&b, EXTENT(7), 8));
	cr_assert_not(b.held);
	/* Attached again: references of before must not spoil the new table. */
	n.core->ring_head = n.core->ring_tail = 0;
	actlog_attach(n.core, n.vol);
	node_pull(&n);
	get(&c, EXTENT(1), 8);
	put(&a);
	cr_assert(actlog_extent_busy(n.vol, 1));
}

ActlogTest(context_window_moves_over_a_large_table)
{
	static const uint16_t start[] = { 0, 919, 1838, 0 };
	struct al_ref a;

	node_al_extents = 2000;
	open_log();
	for (unsigned i = 0; i < ARRAY_LEN(start); i++) {
		get(&a, EXTENT(i), 8);
		cr_assert_eq(block()->context_size, 2000);
		cr_assert_eq(block()->context_start, start[i]);
		cr_assert_eq(block()->number, i);
		if (start[i] == 1838) {
			cr_assert_eq(block()->context[2000 - 1838], AL_FREE);
			cr_assert_eq(block()->context[AL_CONTEXT_MAX - 1], AL_FREE);
		}
		finish(0);
	}
}

ActlogTest(a_small_ring_limits_the_table)
{
	struct al_ref a;

	node_al_extents = 6433;
	open_log();
	n.vol->md.al_stripe_4k = 4;
	n.core->ring_head = n.core->ring_tail = 0;
	actlog_attach(n.core, n.vol);
	node_pull(&n);
	get(&a, EXTENT(1), 8);
	cr_assert_eq(block()->context_size, 3 * AL_CONTEXT_MAX);
	cr_assert_eq(n.vol->md.al_nr_extents, 3 * AL_CONTEXT_MAX);
}

/* Nothing may go on under a block that is not on disk. */
ActlogTest(a_failed_block_grants_only_when_the_disk_is_given_up)
{
	struct al_ref a;

	open_log();
	get(&a, EXTENT(1), 8);
	finish(-EIO);
	cr_assert_eq(granted, disk_of(n.core, n.vol) <= DISK_FAILED);
	n.core->ring_head = n.core->ring_tail = 0;
	actlog_disk_lost(n.core, n.vol);
	cr_assert_eq(granted, 1);
	put(&a);
	cr_assert(get(&a, EXTENT(2), 8));
}

/* Whatever the sequence: what the last ring of blocks says covers every referenced extent. */
ActlogTest(replay_of_the_blocks_covers_what_is_referenced)
{
	enum { LIVE = 40, ROUNDS = 3000 };
	uint32_t table[AL_EXTENTS_MIN];
	struct al_ref refs[LIVE];
	uint32_t seed = 12345;

	open_log();
	n.vol->size_sectors = EXTENT(1000);
	for (unsigned i = 0; i < AL_EXTENTS_MIN; i++)
		table[i] = AL_FREE;
	for (unsigned i = 0; i < LIVE; i++)
		actlog_ref_init(&refs[i]);
	for (unsigned round = 0; round < ROUNDS; round++) {
		struct al_ref *ref = &refs[round % LIVE];

		seed = seed * 1664525 + 1013904223;
		put(ref);
		get(ref, EXTENT(seed >> 8 & 127), (seed >> 20 & 1) ? 8 : AL_EXTENT_SECTORS + 8);
		while (block()) {
			const struct al_transaction *b = block();

			for (unsigned i = 0; i < b->context_size; i++)
				cr_assert_eq(b->context[i], table[i]);
			for (unsigned i = 0; i < b->update_count; i++)
				table[b->update_slot[i]] = b->update_extent[i];
			finish(0);
		}
		for (unsigned i = 0; i < LIVE; i++) {
			for (unsigned k = 0; refs[i].held && k < refs[i].extent_count; k++) {
				bool found = false;

				for (unsigned s = 0; s < AL_EXTENTS_MIN; s++)
					found |= table[s] == refs[i].first_extent + k;
				cr_assert(found, "round %u", round);
			}
		}
	}
}

/* Nobody wrote for a while: the extents leave the log, bitmap pages first, and come back like
 * new ones. */
ActlogTest(idle_extents_cool_down)
{
	struct al_ref a, b, c;
	struct core_event time;
	unsigned pages = 0;

	open_log();
	get(&a, EXTENT(1), 8);
	finish(0);
	get(&b, EXTENT(2), 8);
	finish(0);
	put(&a);
	cr_assert_eq(actlog_hot_count(n.vol), 2);
	cr_assert_gt(actlog_deadline(n.core), n.core->now_ns);
	bitmap_set(n.core, n.vol, 1, EXTENT(1), 8);
	n.now_ns = actlog_deadline(n.core);
	n.al_manual = true;
	time = node_event(&n, EV_TIME);
	node_step(&n, &time);
	for (unsigned i = 0; i < n.count && n.acts[i].kind != AC_META_AL; i++)
		pages += n.acts[i].kind == AC_META_BITMAP;
	cr_assert_eq(pages, 1);
	cr_assert_eq(block()->update_count, 1);
	cr_assert_eq(block()->update_extent[0], AL_FREE);
	cr_assert_eq(block()->context[block()->update_slot[0]], 1);
	/* Wanted again meanwhile: needs a transaction of its own. */
	cr_assert_not(get(&c, EXTENT(1), 8));
	finish(0);
	cr_assert_eq(block()->update_extent[0], 1);
	finish(0);
	cr_assert_eq(granted, 3);
	/* What is referenced never cools. */
	cr_assert_eq(actlog_hot_count(n.vol), 2);
	cr_assert_eq(actlog_deadline(n.core), NEVER_NS);
}

ActlogTest(idle_means_no_reference)
{
	struct al_ref a, b;

	open_log();
	cr_assert(actlog_is_idle(n.vol));
	get(&a, EXTENT(1), 8);
	cr_assert_not(actlog_is_idle(n.vol));
	finish(0);
	cr_assert_not(actlog_is_idle(n.vol));
	get(&b, EXTENT(1), 8);
	put(&a);
	cr_assert_not(actlog_is_idle(n.vol));
	put(&b);
	/* Hot, but nobody differs because of it. */
	cr_assert(actlog_is_idle(n.vol));
	cr_assert_eq(actlog_hot_count(n.vol), 1);
}

/* A power loss must not take data that no extent of the log and no bit speaks of. */
ActlogTest(data_are_flushed_before_their_extent_is_dropped)
{
	struct core_event ev;
	uint64_t flush;

	node_open(&n, ROLE_PRIMARY, 0, PROTOCOL_C);
	node_write(&n, 1, EXTENT(1));
	node_disk_done(&n, node_act(&n, AC_DISK_WRITE, 0)->u.disk.tag, 0);
	cr_assert(actlog_is_idle(n.vol));
	cr_assert_not(local_flush_is_clean(n.vol));
	n.now_ns = actlog_deadline(n.core);
	n.al_manual = true;
	ev = node_event(&n, EV_TIME);
	node_step(&n, &ev);
	cr_assert_null(block());
	flush = node_act(&n, AC_DISK_FLUSH, 0)->u.disk.tag;
	node_disk_done(&n, flush, 0);
	cr_assert_eq(block()->update_extent[0], AL_FREE);
	cr_assert(local_flush_is_clean(n.vol));
	finish(0);
	cr_assert_eq(actlog_hot_count(n.vol), 0);
}

/* A flush covers what ended before it began, whoever asked for it. */
ActlogTest(other_flushes_count)
{
	uint64_t flush, w;

	node_open(&n, ROLE_PRIMARY, 0, PROTOCOL_C);
	node_write(&n, 1, EXTENT(1));
	node_disk_done(&n, node_act(&n, AC_DISK_WRITE, 0)->u.disk.tag, 0);
	node_write(&n, 2, EXTENT(1) + 80);
	w = node_act(&n, AC_DISK_WRITE, 0)->u.disk.tag;
	node_submit(&n, OP_FLUSH, 3, 0, 0);
	flush = node_act(&n, AC_DISK_FLUSH, 0)->u.disk.tag;
	node_disk_done(&n, w, 0);
	node_disk_done(&n, flush, 0);
	cr_assert_not(local_flush_is_clean(n.vol));
	node_submit(&n, OP_FLUSH, 4, 0, 0);
	node_disk_done(&n, node_act(&n, AC_DISK_FLUSH, 0)->u.disk.tag, 0);
	cr_assert(local_flush_is_clean(n.vol));
}

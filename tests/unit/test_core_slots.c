/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Bitmap slots for more peers than the metadata were made for, while there is I/O. */
#include <errno.h>

#include "base/bits.h"
#include "base/prng.h"
#include "core/bitmap_io.h"
#include "core_node.h"

#define ALL(from, to) ((UINT64_C(2) << (to)) - (UINT64_C(1) << (from)))
#define COOKIE 77

static struct node n;
static uint64_t *more_words;

static void done(void)
{
	free(more_words);
	node_close(&n);
}

#define SlotsTest(name) Test(core_slots, name, .fini = done)

static const struct ac_reply *answer(void)
{
	return node_act(&n, AC_REPLY, 0) ? &node_act(&n, AC_REPLY, 0)->u.reply : NULL;
}

static const struct ac_reply *reserve(uint64_t nodes)
{
	struct core_event ev = node_event(&n, EV_COMMAND);

	ev.u.command.cmd = CMD_RESERVE_SLOTS;
	ev.u.command.nodes = nodes;
	ev.u.command.cookie = COOKIE;
	node_step(&n, &ev);
	return answer();
}

/* The driver is through with it; without a reason it has done it. */
static const struct ac_reply *widened(unsigned slots, const char *reason)
{
	struct core_event ev = node_event(&n, EV_RESIZED);
	uint64_t words = n.vol->bm.store.words_per_slot;

	ev.u.resized.moved = true;
	ev.u.resized.error = reason ? -ENOSPC : 0;
	ev.u.resized.reason = reason;
	ev.u.resized.data_sectors = NODE_SECTORS;
	ev.u.resized.bitmap = n.vol->bm.store;
	free(more_words);
	more_words = calloc(NODES_MAX * words, 8);
	for (unsigned i = 0; i < slots; i++) {
		ev.u.resized.bitmap.slot[i] = more_words + i * words;
		if (i < n.vol->bm.slots)
			memcpy(more_words + i * words, n.vol->bm.store.slot[i], words * 8);
	}
	node_step(&n, &ev);
	return answer();
}

static const struct ac_resize *asked(void)
{
	return node_act(&n, AC_RESIZE, 0) ? &node_act(&n, AC_RESIZE, 0)->u.resize : NULL;
}

SlotsTest(who_finds_a_free_one_needs_no_more)
{
	node_open(&n, ROLE_PRIMARY, 2, PROTOCOL_C);
	cr_assert_eq(reserve(ALL(1, 4))->rc, SS_SUCCESS);
	cr_assert_null(asked());
	cr_assert_eq(n.vol->bm.slots, NODE_SLOTS);
}

SlotsTest(as_many_as_there_have_to_be)
{
	const struct ac_reply *reply;

	node_open(&n, ROLE_PRIMARY, 2, PROTOCOL_C);
	cr_assert_null(reserve(ALL(1, 7)));
	cr_assert_eq(asked()->slots, 7);
	cr_assert_eq(asked()->sectors, NODE_SECTORS);
	cr_assert(asked()->move);
	reply = widened(7, NULL);
	cr_assert_eq(reply->rc, SS_SUCCESS, "%s", reply->text);
	cr_assert_eq(n.vol->md.max_peers, 7);
	cr_assert_eq(n.vol->resize.phase, RESIZE_NONE);
	for (unsigned p = 1; p <= 7; p++)
		cr_assert_eq(bitmap_alloc_slot(n.vol, p), 0);
	/* The first four knew what has happened since day 0; the others know nothing. */
	cr_assert_eq(bitmap_weight(n.vol, 3), 0);
	for (unsigned p = 5; p <= 7; p++)
		cr_assert_eq(bitmap_weight(n.vol, p), NODE_SECTORS / BM_BLOCK_SECTORS);
}

SlotsTest(no_room_is_said_and_nothing_has_changed)
{
	const struct ac_reply *reply;

	node_open(&n, ROLE_PRIMARY, 2, PROTOCOL_C);
	cr_assert_null(reserve(ALL(1, 9)));
	reply = widened(9, "make it larger");
	cr_assert_lt(reply->rc, SS_UNKNOWN_ERROR);
	cr_assert(strstr(reply->text, "volume 0 lacks bitmap slots: make it larger"));
	cr_assert_eq(n.vol->bm.slots, NODE_SLOTS);
	cr_assert_eq(n.core->st.vol[0].disk, DISK_UP_TO_DATE);
	/* Once there is room. */
	cr_assert_null(reserve(ALL(1, 9)));
	cr_assert_eq(widened(9, NULL)->rc, SS_SUCCESS);
}

SlotsTest(a_resize_under_way_comes_first)
{
	struct core_event ev;

	node_open(&n, ROLE_PRIMARY, 2, PROTOCOL_C);
	ev = node_event(&n, EV_RESIZED);
	cr_assert(resize_measure(n.core, n.vol));
	node_pull(&n);
	cr_assert(asked());
	cr_assert_null(reserve(ALL(1, 5)));
	cr_assert_null(asked());
	ev.u.resized.data_sectors = NODE_SECTORS;
	node_step(&n, &ev);
	node_time(&n, 10);
	cr_assert_eq(n.vol->resize.slots, 5);
	cr_assert_eq(widened(5, NULL)->rc, SS_SUCCESS);
}

SlotsTest(a_disk_that_goes_meanwhile_gets_them_when_it_is_attached)
{
	struct core_event fail;
	const struct ac_reply *reply;

	node_open(&n, ROLE_PRIMARY, 2, PROTOCOL_C);
	cr_assert_null(reserve(ALL(1, 5)));
	volume_io_error(n.core, n.vol, -EIO, "write");
	node_pull(&n);
	fail = node_event(&n, EV_TIME);
	node_step(&n, &fail);
	reply = widened(5, "input/output error");
	cr_assert(!reply || reply->rc < SS_SUCCESS);
	cr_assert_eq(n.vol->resize.slots, 0);
	cr_assert_eq(n.vol->resize.phase, RESIZE_NONE);
}

/* Writes to blocks that are being written to anyway need nothing that waits for it. */
SlotsTest(writes_go_on)
{
	struct core_event ev;

	node_open(&n, ROLE_PRIMARY, 2, PROTOCOL_C);
	ev = node_event(&n, EV_SUBMIT);
	cr_assert_null(reserve(ALL(1, 5)));
	ev.u.submit = (struct ev_submit){ .cookie = 5, .op = OP_WRITE, .sector = 80, .bytes = 4096,
					  .payload = { n.payload_next++, 4096 } };
	node_step(&n, &ev);
	cr_assert(node_act(&n, AC_DISK_WRITE, 0));
	cr_assert(node_act(&n, AC_SEND, 0));
	cr_assert_eq(widened(5, NULL)->rc, SS_SUCCESS);
}

static bool bit_is_dirty(unsigned slot, uint64_t bit)
{
	const struct bitmap *bm = &n.vol->bm;
	uint64_t g = bm_disk_page(bit, slot, bm->slots) >> bm->granule_shift;

	return bm->state[g] & BM_G_SET && bits_test(bm->dirty, g);
}

/* What the disk lacks lies in other pages afterwards, and is still to be written. */
SlotsTest(bits_that_the_disk_lacks_are_not_forgotten)
{
	uint64_t bits = NODE_SECTORS / BM_BLOCK_SECTORS;
	struct { unsigned slot; uint64_t bit; } set[40];
	struct prng rng;

	prng_seed(&rng, 3);
	for (unsigned slots = NODE_SLOTS + 1; slots <= 31; slots++) {
		node_open(&n, ROLE_SECONDARY, 2, PROTOCOL_C);
		for (unsigned i = 0; i < ARRAY_LEN(set); i++) {
			set[i].slot = (unsigned)prng_below(&rng, NODE_SLOTS);
			set[i].bit = (i % 3) * bits / 3 + prng_below(&rng, 64);
			bitmap_set(n.core, n.vol, UINT32_C(1) << set[i].slot,
				   set[i].bit * BM_BLOCK_SECTORS, BM_BLOCK_SECTORS);
		}
		cr_assert_null(reserve(ALL(1, slots)));
		cr_assert_eq(widened(slots, NULL)->rc, SS_SUCCESS);
		for (unsigned i = 0; i < ARRAY_LEN(set); i++)
			cr_assert(bit_is_dirty(set[i].slot, set[i].bit), "%u slots: %u %u", slots,
				  set[i].slot, (unsigned)set[i].bit);
		cr_assert_lt(n.vol->bm.dirty_count, n.vol->bm.granules);
		if (slots < 31)
			node_close(&n);
	}
}

/* In memory a slot is rounded up; what lies behind the last bit is not on the disk. */
SlotsTest(no_page_behind_the_last_bit_is_written)
{
	uint64_t last = NODE_SECTORS / BM_BLOCK_SECTORS - 3 * BM_BLOCK_SECTORS * 64, end;

	for (unsigned slots = NODE_SLOTS + 1; slots <= 31; slots++) {
		node_open(&n, ROLE_SECONDARY, 2, PROTOCOL_C);
		n.vol->size_sectors = (last + 1) * BM_BLOCK_SECTORS;
		bitmap_size_changed(n.core, n.vol);
		bitmap_set(n.core, n.vol, 1, last * BM_BLOCK_SECTORS, BM_BLOCK_SECTORS);
		cr_assert_null(reserve(ALL(1, slots)));
		cr_assert_eq(widened(slots, NULL)->rc, SS_SUCCESS);
		cr_assert(bit_is_dirty(0, last));
		end = bm_disk_page(last, slots - 1, slots);
		for (uint64_t g = n.vol->bm.pages - 1; g > end; g--)
			cr_assert(!bits_test(n.vol->bm.dirty, g), "%u slots", slots);
		if (slots < 31)
			node_close(&n);
	}
}

SlotsTest(a_page_that_is_being_written_comes_first)
{
	struct core_event ev;
	struct core_action page;

	node_open(&n, ROLE_SECONDARY, 2, PROTOCOL_C);
	bitmap_set(n.core, n.vol, 1, 0, 8);
	bitmap_write_all(n.core, n.vol);
	cr_assert_eq(n.vol->bm.in_flight, 1);
	node_pull(&n);
	page = *node_act(&n, AC_META_BITMAP, 0);
	cr_assert_null(reserve(ALL(1, 5)));
	cr_assert_null(asked());
	/* This one is for the next time. */
	bitmap_set(n.core, n.vol, 2, 8, 8);
	bitmap_write_all(n.core, n.vol);
	node_pull(&n);
	cr_assert_eq(n.count, 0);
	ev = node_event(&n, EV_META_DONE);
	ev.u.done.tag = page.u.meta.tag;
	node_step(&n, &ev);
	cr_assert(asked());
	cr_assert_null(node_act(&n, AC_META_BITMAP, 0));
	cr_assert_eq(widened(5, NULL)->rc, SS_SUCCESS);
	cr_assert(node_act(&n, AC_META_BITMAP, 0));
	cr_assert(bitmap_is_clean(n.vol));
}

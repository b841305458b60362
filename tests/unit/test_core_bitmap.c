/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The bitmap of a volume: rounding, weights, slots, which
 * pages are written when, the FULL_SYNC guard, exchange. */
#include "core_node.h"

#include <errno.h>

#include "base/vli.h"
#include "core/bitmap_io.h"
#include "core/resync_int.h"

#define SLOT(n) (UINT32_C(1) << (n))

static struct node n;

static void setup(void)
{
	node_open(&n, ROLE_SECONDARY, 2, PROTOCOL_C);
}

static void teardown(void)
{
	node_close(&n);
}

TestSuite(bitmap, .init = setup, .fini = teardown);

/* Like core_step() without an event: what was emitted since is in n.acts. */
static void pull(void)
{
	node_pull(&n);
	n.core->ring_head = n.core->ring_tail = 0;
}

static unsigned actions(enum core_action_kind kind)
{
	unsigned count = 0;

	for (unsigned i = 0; i < n.count; i++)
		count += n.acts[i].kind == kind;
	return count;
}

static uint64_t weight(unsigned slot)
{
	return n.vol->bm.weight[slot];
}

static void complete(unsigned i, int error)
{
	struct ev_done done = { .tag = n.acts[i].u.meta.tag, .error = error };

	bitmap_meta_done(n.core, &done);
}

/* Completes all metadata actions until there are no more; counts the pages. */
static unsigned complete_all(void)
{
	unsigned pages = 0;

	for (pull(); n.count; pull()) {
		unsigned count = n.count;
		struct core_action acts[64];

		cr_assert_lt(count, 64);
		memcpy(acts, n.acts, count * sizeof(acts[0]));
		for (unsigned i = 0; i < count; i++) {
			struct ev_done done = { .tag = acts[i].u.meta.tag };

			pages += acts[i].kind == AC_META_BITMAP;
			if (acts[i].kind == AC_META_SUPER)
				md_meta_done(n.core, &done);
			else
				bitmap_meta_done(n.core, &done);
		}
	}
	return pages;
}

Test(bitmap, sets_round_outward_clears_inward)
{
	bitmap_set(n.core, n.vol, SLOT(0), 7, 2); /* touches two blocks */
	cr_assert_eq(weight(0), 2);
	bitmap_clear(n.core, n.vol, SLOT(0), 1, 15); /* covers only the second */
	cr_assert_eq(weight(0), 1);
	cr_assert(bitmap_test(n.vol, SLOT(0), 0, 8));
	cr_assert_not(bitmap_test(n.vol, SLOT(0), 8, 8));
	bitmap_clear(n.core, n.vol, SLOT(0), 0, 8);
	cr_assert_eq(weight(0), 0);
}

Test(bitmap, the_last_block_counts_as_whole)
{
	n.vol->size_sectors = NODE_SECTORS - 3;
	bitmap_size_changed(n.core, n.vol);
	bitmap_set(n.core, n.vol, SLOT(1), n.vol->size_sectors - 1, 1);
	cr_assert_eq(weight(1), 1);
	bitmap_clear(n.core, n.vol, SLOT(1), NODE_SECTORS - 8, 4); /* ends before the end */
	cr_assert_eq(weight(1), 1);
	bitmap_clear(n.core, n.vol, SLOT(1), NODE_SECTORS - 8, 5);
	cr_assert_eq(weight(1), 0);
}

Test(bitmap, ranges_are_clipped)
{
	bitmap_set(n.core, n.vol, SLOT(0), NODE_SECTORS - 8, UINT64_MAX / 4);
	cr_assert_eq(weight(0), 1);
	bitmap_set(n.core, n.vol, SLOT(0), NODE_SECTORS + 8, 8);
	bitmap_set(n.core, n.vol, SLOT(0), 0, 0);
	cr_assert_eq(weight(0), 1);
	bitmap_set(n.core, n.vol, UINT32_MAX, 0, 8); /* slots that do not exist are ignored */
	cr_assert_eq(weight(3), 1);
}

Test(bitmap, weight_counts_changes_only)
{
	bitmap_set(n.core, n.vol, SLOT(0), 0, 80);
	bitmap_set(n.core, n.vol, SLOT(0), 40, 80);
	cr_assert_eq(weight(0), 15);
	bitmap_clear(n.core, n.vol, SLOT(0), 0, 8000);
	cr_assert_eq(weight(0), 0);
	cr_assert_eq(bitmap_weight(n.vol, 1), 0);
}

Test(bitmap, slots_by_node_and_free_ones)
{
	cr_assert_eq(bitmap_slots_of(n.vol, 0x6), SLOT(0) | SLOT(1));
	cr_assert_eq(bitmap_slots_of(n.vol, 0x8), 0);
	cr_assert_eq(bitmap_slots_free(n.vol), SLOT(2) | SLOT(3));
	cr_assert_eq(bitmap_alloc_slot(n.vol, 5), 0);
	cr_assert_eq(n.vol->md.peers[5].bitmap_index, 2);
	cr_assert_eq(bitmap_alloc_slot(n.vol, 6), 0);
	cr_assert_eq(bitmap_alloc_slot(n.vol, 7), -ENOSPC);
	cr_assert_eq(bitmap_slots_free(n.vol), 0);
}

Test(bitmap, growth_sets_new_bits_and_shrinking_forgets)
{
	n.vol->size_sectors = 800;
	bitmap_size_changed(n.core, n.vol);
	cr_assert_eq(weight(0), 0);
	n.vol->size_sectors = 1600;
	bitmap_size_changed(n.core, n.vol);
	cr_assert_eq(weight(0), 100);
	cr_assert_eq(weight(3), 100);
	n.vol->size_sectors = 1200;
	bitmap_size_changed(n.core, n.vol);
	cr_assert_eq(weight(0), 50);
}

Test(bitmap, copy_keeps_what_is_there)
{
	bitmap_set(n.core, n.vol, SLOT(0), 0, 16);
	bitmap_set(n.core, n.vol, SLOT(1), 800, 8);
	bitmap_copy_slot(n.core, n.vol, 0, 1);
	cr_assert_eq(weight(1), 3);
	bitmap_copy_slot(n.core, n.vol, 1, 1);
	cr_assert_eq(weight(1), 3);
}

/* ---- writing ---- */

Test(bitmap, an_extent_is_written_before_it_leaves_the_log)
{
	bitmap_set(n.core, n.vol, SLOT(0), 0, 8);
	cr_assert(bitmap_write_extent(n.core, n.vol, 0));
	pull();
	cr_assert_eq(actions(AC_META_BITMAP), 1);
	cr_assert_eq(actions(AC_META_FLUSH), 0); /* the log's own flush covers it */
	complete(0, 0);
	pull();
	cr_assert_not(bitmap_write_extent(n.core, n.vol, 0));
}

Test(bitmap, only_cleared_bits_do_not_hold_up_the_log)
{
	bitmap_set(n.core, n.vol, SLOT(0), 0, 8);
	bitmap_write_extent(n.core, n.vol, 0);
	pull();
	complete(0, 0);
	bitmap_clear(n.core, n.vol, SLOT(0), 0, 8);
	cr_assert_not(bitmap_write_extent(n.core, n.vol, 0));
	cr_assert_not(bitmap_is_clean(n.vol));
	cr_assert_eq(bitmap_deadline(n.core), n.core->now_ns + BM_LAZY_NS);
	n.core->now_ns += BM_LAZY_NS;
	bitmap_time(n.core);
	pull();
	cr_assert_eq(actions(AC_META_BITMAP), 1);
}

Test(bitmap, a_page_changed_while_it_is_written_is_written_again)
{
	bitmap_set(n.core, n.vol, SLOT(0), 0, 8);
	bitmap_write_all(n.core, n.vol);
	pull();
	bitmap_set(n.core, n.vol, SLOT(0), 8, 8);
	cr_assert(bitmap_write_extent(n.core, n.vol, 0));
	pull();
	cr_assert_eq(n.count, 0); /* a second write must not overtake the first */
	bitmap_meta_done(n.core, &(struct ev_done){ .tag = tag_make(TAG_BITMAP, 0) });
	pull();
	cr_assert_eq(actions(AC_META_BITMAP), 1);
}

Test(bitmap, write_all_ends_with_a_flush)
{
	bitmap_set(n.core, n.vol, SLOT(0), 0, 8);
	bitmap_set(n.core, n.vol, SLOT(2), NODE_SECTORS - 8, 8);
	bitmap_write_all(n.core, n.vol);
	cr_assert_not(bitmap_is_clean(n.vol));
	cr_assert_eq(complete_all(), 2);
	cr_assert(bitmap_is_clean(n.vol));
	bitmap_write_all(n.core, n.vol);
	pull();
	cr_assert_eq(n.count, 0);
}

Test(bitmap, set_all_is_guarded_by_the_superblock)
{
	bitmap_set_all(n.core, n.vol, 0x2, false);
	cr_assert_eq(weight(0), n.vol->bm.bits);
	cr_assert_eq(weight(1), 0);
	cr_assert(n.vol->md.peers[1].flags & MDF_PEER_FULL_SYNC);
	cr_assert_not(n.vol->md.peers[2].flags & MDF_PEER_FULL_SYNC);
	pull();
	cr_assert_eq(n.count, 0); /* no page before the flag is durable */
	md_run(n.core);
	pull();
	cr_assert_eq(actions(AC_META_SUPER), 1);
	cr_assert(n.acts[0].u.meta.super->peers[1].flags & MDF_PEER_FULL_SYNC);
	md_meta_done(n.core, &(struct ev_done){ .tag = n.acts[0].u.meta.tag });
	cr_assert(n.vol->md.peers[1].flags & MDF_PEER_FULL_SYNC);
	complete_all();
	cr_assert_not(n.vol->md.peers[1].flags & MDF_PEER_FULL_SYNC);
}

Test(bitmap, attach_counts_and_drops_bits_beyond_the_end)
{
	struct bm_store store = n.vol->bm.store;

	n.vol->md.effective_sectors = 80;
	memset(store.slot[0], 0xff, store.words_per_slot * 8);
	bitmap_attach(n.core, n.vol, &store);
	cr_assert_eq(n.vol->bm.bits, 10);
	cr_assert_eq(weight(0), 10);
	cr_assert_eq(store.slot[0][0], 0x3ff);
}

/* ---- exchange ---- */

static void rx(const struct pkt *pkt)
{
	rx_bitmap(n.core, n.core->peer[1], pkt);
	pull();
}

static bool failed(void)
{
	return n.core->st.peer[1].conn != CONN_CONNECTED;
}

static struct pkt plain(const uint8_t *bytes, uint32_t count)
{
	return (struct pkt){ .type = P_BITMAP, .var = bytes, .var_bytes = count };
}

static struct peer_device *expecting(void)
{
	struct peer_device *pd = &n.core->peer[1]->pd[0];

	n.core->st.pd[1][0].repl = REPL_WF_BITMAP_T;
	xfer_expect(pd);
	return pd;
}

Test(bitmap, plain_chunks_have_their_exact_length)
{
	static uint8_t bytes[4096] = { 0x05 };
	struct pkt pkt = plain(bytes, 4080);

	expecting();
	rx(&pkt);
	cr_assert_not(failed());
	cr_assert_eq(weight(0), 2);
	cr_assert(bitmap_test(n.vol, SLOT(0), 16, 8));
	pkt = plain(bytes, 4072); /* not the last one: too short */
	rx(&pkt);
	cr_assert(failed());
}

Test(bitmap, plain_transfer_ends_with_an_empty_packet)
{
	static uint8_t bytes[4096];
	uint32_t left = NODE_SECTORS / 8 / 8;
	struct pkt pkt;

	expecting();
	while (left) {
		uint32_t chunk = left < 4080 ? left : 4080;

		pkt = plain(bytes, chunk);
		rx(&pkt);
		cr_assert_not(failed());
		left -= chunk;
	}
	cr_assert_eq(n.core->st.pd[1][0].repl, REPL_WF_BITMAP_T);
	pkt = plain(bytes, 0);
	rx(&pkt);
	cr_assert_eq(n.core->st.pd[1][0].repl, REPL_SYNC_TARGET);
	/* The merged bitmap goes back. */
	cr_assert_eq(actions(AC_SEND_BITMAP), 1);
}

Test(bitmap, an_early_end_is_refused)
{
	struct pkt pkt = plain(NULL, 0);

	expecting();
	rx(&pkt);
	cr_assert(failed());
}

Test(bitmap, coded_runs)
{
	uint64_t words[NODE_SECTORS / 8 / 64] = { 0 };
	uint8_t code[128];
	uint64_t pos = 0;
	bool first_set;
	unsigned pad;
	struct pkt pkt = { .type = P_COMPRESSED_BITMAP, .var = code };

	words[3] = 0xff;
	pkt.var_bytes = (uint32_t)vli_encode(words, NODE_SECTORS / 8, &pos, code, sizeof(code),
					     &first_set, &pad);
	pkt.u.bitmap_encoding = (uint8_t)(2 | pad << 4 | (first_set ? 0x80 : 0));
	expecting();
	rx(&pkt);
	cr_assert_eq(weight(0), 8);
	cr_assert_eq(n.core->st.pd[1][0].repl, REPL_SYNC_TARGET);
}

Test(bitmap, a_foreign_code_is_refused)
{
	uint8_t code[4] = { 0x3f, 0xc5, 0, 0 };
	struct pkt pkt = { .type = P_COMPRESSED_BITMAP, .var = code, .var_bytes = 4 };

	pkt.u.bitmap_encoding = 0x83;
	expecting();
	rx(&pkt);
	cr_assert(failed());
}

Test(bitmap, a_bitmap_that_nobody_asked_for_is_refused)
{
	static uint8_t bytes[4096];
	struct pkt pkt = plain(bytes, 4080);

	rx(&pkt);
	cr_assert(failed());
}

Test(bitmap, nothing_comes_between_its_packets)
{
	static uint8_t bytes[4096];
	struct pkt pkt = plain(bytes, 4080), state = { .type = P_STATE };
	const struct peer *peer = n.core->peer[1];

	expecting();
	cr_assert_not(sync_foreign_packet(peer, &state));
	rx(&pkt);
	cr_assert(sync_foreign_packet(peer, &state));
	cr_assert_not(sync_foreign_packet(peer, &pkt));
	pkt.vnr = 9;
	cr_assert(sync_foreign_packet(peer, &pkt));
	cr_assert_not(sync_foreign_packet(n.core->peer[2], &state));
}

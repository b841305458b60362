/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A resize as its packets show it: what is answered, what is refused, what a commit may say. */
#include <criterion/criterion.h>
#include <string.h>

#include "../lib/core_pair.h"
#include "core/core_int.h"
#include "core/resize.h"
#include "core/cluster.h"

static struct pair *nodes(unsigned count)
{
	struct pair *p = pair_new(&(struct pair_opts){ .nodes = count });

	pair_up_to_date(p);
	cr_assert(pair_wait(p, 10000, pair_healthy), "%s", pair_describe(p));
	return p;
}

static struct pkt packet(enum packet type, uint32_t tid)
{
	struct pkt pkt = { .type = (uint16_t)type };

	pkt.u.twopc.tid = tid;
	pkt.u.twopc.flags = TWOPC_FLAG_V2;
	pkt.u.twopc.target = -1;
	return pkt;
}

static int resize(struct pair *p, unsigned node, uint64_t sectors)
{
	struct ev_command ev = { .cmd = CMD_RESIZE, .size_sectors = sectors };

	return pair_command(p, node, &ev);
}

static uint64_t size_of(struct pair *p, unsigned node)
{
	return pair_core(p, node)->vol[0]->size_sectors;
}

TestSuite(resize);

Test(resize, a_commit_beyond_what_was_answered_ends_the_connection)
{
	struct pair *p = nodes(2);
	struct pkt pkt = packet(P_TWOPC_PREP_RSZ, 1);
	uint64_t size = size_of(p, 1);

	pair_inject(p, 0, 1, STREAM_DATA, &pkt);
	pair_run(p);
	cr_assert_eq(pair_core(p, 1)->twopc.phase, TWOPC_ANSWERED);
	cr_assert_eq(pair_core(p, 1)->twopc.max_sectors, PAIR_SECTORS);
	cr_assert_eq(pair_core(p, 1)->twopc.answer, P_TWOPC_YES);
	pkt = packet(P_TWOPC_COMMIT, 1);
	pkt.u.twopc.exposed_sectors = PAIR_SECTORS + 8;
	pair_inject(p, 0, 1, STREAM_DATA, &pkt);
	pair_run(p);
	cr_assert_neq(pair_conn(p, 1, 0), CONN_CONNECTED);
	cr_assert_eq(size_of(p, 1), size);
	pair_free(p);
}

Test(resize, a_commit_without_a_size_ends_the_connection)
{
	struct pair *p = nodes(2);
	struct pkt pkt = packet(P_TWOPC_PREP_RSZ, 1);

	pair_inject(p, 0, 1, STREAM_DATA, &pkt);
	pair_run(p);
	pkt = packet(P_TWOPC_COMMIT, 1);
	pair_inject(p, 0, 1, STREAM_DATA, &pkt);
	pair_run(p);
	cr_assert_neq(pair_conn(p, 1, 0), CONN_CONNECTED);
	pair_free(p);
}

Test(resize, shrinks_on_all_nodes_and_grows_again)
{
	struct pair *p = nodes(3);

	cr_assert_eq(resize(p, 1, PAIR_SECTORS / 2), SS_SUCCESS, "%s", pair_text(p));
	pair_pass_ms(p, 1000);
	for (unsigned i = 0; i < 3; i++) {
		cr_assert_eq(size_of(p, i), PAIR_SECTORS / 2, "node %u", i);
		cr_assert_eq(pair_core(p, i)->vol[0]->md.effective_sectors, PAIR_SECTORS / 2);
		cr_assert_eq(pair_core(p, i)->vol[0]->bm.bits, PAIR_SECTORS / 16);
	}
	cr_assert_eq(pair_simple(p, 0, CMD_PRIMARY), SS_SUCCESS);
	cr_assert_eq(pair_write(p, 0, 0, 8, 7), 0);
	/* From the Primary to both, whoever asks. */
	cr_assert_eq(resize(p, 2, 0), SS_SUCCESS, "%s", pair_text(p));
	cr_assert_eq(pair_repl(p, 2, 0), REPL_SYNC_TARGET);
	cr_assert_eq(pair_repl(p, 1, 2), REPL_ESTABLISHED);
	cr_assert_eq(pair_write(p, 0, PAIR_SECTORS - 8, 8, 8), 0);
	cr_assert(pair_wait(p, 60000, pair_healthy), "%s", pair_describe(p));
	for (unsigned i = 0; i < 3; i++)
		cr_assert_eq(size_of(p, i), PAIR_SECTORS, "node %u", i);
	pair_free(p);
}

/* To one that conducted it that would be a size of its own, if it came before it has got there. */
Test(resize, a_kernel_is_not_told_of_what_was_agreed_with_it)
{
	struct pair *p = nodes(2);
	unsigned told;

	pair_core(p, 0)->peer[1]->features &= ~FEATURE_DRBDFS;
	told = pair_sent(p, 0, 1, P_SIZES);
	cr_assert_eq(resize(p, 1, PAIR_SECTORS / 2), SS_SUCCESS, "%s", pair_text(p));
	cr_assert(pair_wait(p, 60000, pair_healthy), "%s", pair_describe(p));
	cr_assert_eq(resize(p, 1, 0), SS_SUCCESS, "%s", pair_text(p));
	cr_assert(pair_wait(p, 60000, pair_healthy), "%s", pair_describe(p));
	cr_assert_eq(pair_sent(p, 0, 1, P_SIZES), told);
	pair_free(p);
}

/* DRBD takes a limit of 0 from a connected peer with a disk for leave to grow again. */
Test(resize, the_size_that_was_asked_for_is_named_to_connected_peers)
{
	struct pair *p = nodes(2);

	cr_assert_eq(resize(p, 1, PAIR_SECTORS / 2), SS_SUCCESS, "%s", pair_text(p));
	pair_pass_ms(p, 1000);
	cr_assert_eq(pair_core(p, 0)->peer[1]->pd[0].sizes.u_sectors, PAIR_SECTORS / 2);
	cr_assert_eq(pair_core(p, 1)->peer[0]->pd[0].sizes.u_sectors, PAIR_SECTORS / 2);
	cr_assert_eq(pair_simple(p, 1, CMD_DETACH), SS_SUCCESS);
	cr_assert_eq(pair_simple(p, 1, CMD_ATTACH), SS_SUCCESS);
	cr_assert(pair_wait(p, 10000, pair_healthy), "%s", pair_describe(p));
	cr_assert_eq(pair_core(p, 0)->peer[1]->pd[0].sizes.u_sectors, PAIR_SECTORS / 2);
	cr_assert_eq(resize(p, 0, 0), SS_SUCCESS, "%s", pair_text(p));
	cr_assert(pair_wait(p, 60000, pair_healthy), "%s", pair_describe(p));
	for (unsigned i = 0; i < 2; i++) {
		cr_assert_eq(size_of(p, i), PAIR_SECTORS, "node %u", i);
		cr_assert_eq(pair_core(p, i)->peer[1 - i]->pd[0].sizes.u_sectors, 0);
	}
	pair_free(p);
}

/* Its metadata were not moved, and say so when it is attached again. */
Test(resize, a_disk_that_is_being_detached_keeps_its_size)
{
	struct pair *p = nodes(2);
	struct core *core = pair_core(p, 0);
	struct volume *vol = core->vol[0];

	core->st.vol[0].disk = DISK_DETACHING;
	sizes_set(core, vol, 2 * PAIR_SECTORS, false);
	cr_assert_eq(vol->size_sectors, 2 * PAIR_SECTORS);
	cr_assert_eq(vol->md.effective_sectors, PAIR_SECTORS);
	cr_assert_eq(vol->bm.bits, PAIR_SECTORS / 8);
	core->st.vol[0].disk = DISK_FAILED;
	sizes_set(core, vol, PAIR_SECTORS / 2, false);
	cr_assert_eq(vol->md.effective_sectors, PAIR_SECTORS);
	pair_free(p);
}

/* Its generation is one that node 1 has got no part in: what is marked there is to be resynced. */
static void tell_generation(struct pair *p)
{
	static struct pkt_uuids uuids;
	const struct volume *vol = pair_core(p, 1)->vol[0];
	struct pkt pkt = { .type = P_UUIDS110 };

	memset(&uuids, 0, sizeof(uuids));
	uuids.current = 0x1111222233334444 | UUID_PRIMARY;
	uuids.flags = UUID_FLAG_NEW_DATAGEN | UUID_FLAG_STABLE;
	uuids.node_mask = 2;
	uuids.bitmap_mask = 2;
	uuids.bitmap[1] = vol->md.current_uuid;
	pkt.u.uuids = &uuids;
	pair_inject(p, 0, 1, STREAM_DATA, &pkt);
	pair_run(p);
}

/* A source that has committed begins without exchanging bitmaps:
 * who waits for them waits for ever. */
Test(resize, a_resync_waits_for_its_end)
{
	for (unsigned commits = 0; commits < 2; commits++) {
		struct pair *p = nodes(2);
		struct pkt pkt = packet(P_TWOPC_PREP_RSZ, 1);

		cr_assert_eq(resize(p, 0, PAIR_SECTORS / 2), SS_SUCCESS, "%s", pair_text(p));
		cr_assert_eq(pair_simple(p, 0, CMD_PRIMARY), SS_SUCCESS);
		pair_inject(p, 0, 1, STREAM_DATA, &pkt);
		pair_run(p);
		cr_assert_eq(pair_core(p, 1)->twopc.answer, P_TWOPC_YES);
		pair_hold(p, 1, 0, STREAM_DATA, true);
		tell_generation(p);
		cr_assert_eq(pair_disk(p, 1), DISK_OUTDATED);
		cr_assert_eq(pair_repl(p, 1, 0), REPL_ESTABLISHED);
		pkt = packet(commits ? P_TWOPC_COMMIT : P_TWOPC_ABORT, 1);
		pkt.u.twopc.exposed_sectors = PAIR_SECTORS;
		pkt.u.twopc.primary_nodes = 1;
		pair_inject(p, 0, 1, STREAM_DATA, &pkt);
		pair_run(p);
		cr_assert_eq(pair_core(p, 1)->twopc.phase, TWOPC_IDLE);
		cr_assert_eq(pair_repl(p, 1, 0), commits ? REPL_SYNC_TARGET : REPL_WF_BITMAP_T);
		pair_free(p);
	}
}

Test(resize, refusals_say_why)
{
	struct pair *p = nodes(2);
	struct ev_command opened = { .cmd = CMD_OPEN, .write = true };

	cr_assert_eq(resize(p, 0, PAIR_SECTORS + 8), SS_LOWER_THAN_OUTDATED);
	cr_assert(strstr(pair_text(p), "do not fit"), "%s", pair_text(p));
	cr_assert_eq(resize(p, 0, PAIR_SECTORS), SS_SUCCESS);
	cr_assert_eq(pair_command(p, 1, &opened), 0);
	cr_assert_lt(resize(p, 0, PAIR_SECTORS / 2), SS_UNKNOWN_ERROR);
	cr_assert_eq(resize(p, 1, PAIR_SECTORS / 2), SS_DEVICE_IN_USE);
	opened.cmd = CMD_CLOSE;
	cr_assert_eq(pair_command(p, 1, &opened), 0);
	pair_pass_ms(p, 1000);
	cr_assert_eq(pair_simple(p, 1, CMD_DETACH), SS_SUCCESS);
	cr_assert_eq(resize(p, 0, PAIR_SECTORS / 2), SS_NEED_CONNECTION);
	cr_assert(strstr(pair_text(p), "not in sight"), "%s", pair_text(p));
	cr_assert_eq(resize(p, 1, 0), SS_NO_LOCAL_DISK);
	pair_free(p);
}

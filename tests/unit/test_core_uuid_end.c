/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The end of a resync and who is left behind: generations, references, marks of a crash. */
#include "core_uuid.h"

TestSuite(uuid_end, .fini = teardown);

Test(uuid_end, the_target_adopts_what_the_source_knows)
{
	struct pkt_uuids u = from_peer(NEW | UUID_PRIMARY, UUID_FLAG_STABLE);
	struct peer_device *pd;

	open_as(ROLE_SECONDARY);
	n.core->st.peer[1].role = ROLE_SECONDARY;
	absent(2);
	absent(3);
	pd = &n.core->peer[1]->pd[0];
	u.bitmap[0] = OLD;
	u.bitmap[2] = A;  /* node 2 is behind the source */
	u.bitmap[3] = 0;  /* node 3 is not */
	u.history[0] = B;
	pd->uuids = u;
	pd->uuids_valid = true;
	entry(3)->bitmap_uuid = A;
	uuid_resync_start(n.core, pd);
	cr_assert_eq(entry(2)->bitmap_uuid, OLD);
	cr_assert_eq(entry(1)->bitmap_uuid, 0);
	entry(2)->bitmap_uuid = 0;
	uuid_resync_finished(n.core, pd);
	cr_assert_eq(n.vol->md.current_uuid, NEW);
	cr_assert_eq(entry(1)->bitmap_uuid, 0);
	cr_assert_eq(entry(2)->bitmap_uuid, OLD); /* the generation at the start */
	cr_assert_eq(entry(3)->bitmap_uuid, 0);
	/* The old generation is still a reference; the one that node 3 had is history. */
	cr_assert_eq(n.vol->md.history[0], A);
	cr_assert_eq(n.vol->md.history[1], B);
}

/* A target of node 1; all peers are Secondary and tell the same. */
static void begin_as_target_among_equals(void)
{
	open_as(ROLE_SECONDARY);
	for (unsigned p = 1; p <= 3; p++) {
		n.core->st.peer[p].role = ROLE_SECONDARY;
		n.core->peer[p]->pd[0].uuids =
			from_peer(OLD, UUID_FLAG_STABLE | UUID_FLAG_KEEPS_BITS);
		n.core->peer[p]->pd[0].uuids_valid = true;
	}
	n.core->st.vol[0].disk = DISK_INCONSISTENT;
	n.core->st.pd[1][0].repl = REPL_SYNC_TARGET;
}

/* Nothing is missing any more, and the own metadata are written. */
static void finish(struct peer_device *pd)
{
	finish_try(n.core, pd);
	durable();
	finish_try(n.core, pd);
}

/* A crashed Primary may lack what it had answered: another source that went on is asked as well. */
Test(uuid_end, a_resync_from_a_crashed_primary_is_not_the_last)
{
	for (unsigned crashed = 0; crashed < 2; crashed++) {
		begin_as_target_among_equals();
		n.core->st.pd[2][0].repl = REPL_PAUSED_SYNC_T;
		n.core->peer[1]->pd[0].rs.source_crashed = crashed;
		n.core->peer[2]->pd[0].uuids.current = B;
		n.core->peer[2]->pd[0].uuids.bitmap[0] = 0;
		entry(2)->bitmap_uuid = B; /* older than what we have */
		finish(&n.core->peer[1]->pd[0]);
		cr_assert_eq(n.core->st.pd[1][0].repl, REPL_ESTABLISHED);
		cr_assert_eq(resync_is_target(n.core->st.pd[2][0].repl), crashed);
		cr_assert_eq(n.core->st.vol[0].disk == DISK_UP_TO_DATE, !crashed);
		pull();
		/* What is told at the end is the own generation, if it is the end. */
		cr_assert_not_null(sent_uuids(1));
		cr_assert_eq(!(sent_uuids(1)->flags & UUID_FLAG_SYNC_TARGET), !crashed);
		cr_assert_eq(sent_uuids(1)->current, crashed ? B : OLD);
		if (!crashed)
			node_close(&n);
	}
}

/* What is in sight and better than what the resync brought: newer, or not from a crash, also one
 * of a Secondary, which has no mark of it. */
Test(uuid_end, a_resync_does_not_end_good_beside_something_better)
{
	for (unsigned i = 0; i < 4; i++) {
		struct peer_device *better;

		begin_as_target_among_equals();
		better = &n.core->peer[2]->pd[0];
		if (i == 1) {
			better->uuids.current = NEW;
			better->uuids.bitmap[0] = OLD;
		}
		n.core->peer[1]->pd[0].rs.source_crashed = i == 2;
		n.core->peer[1]->pd[0].rs.source_restarted = i == 3;
		if (i == 3)
			better->uuids.flags |= UUID_FLAG_WENT_ON;
		if (i == 2)
			n.core->st.pd[2][0].pdsk = DISK_CONSISTENT; /* a survivor in doubt */
		n.core->peer[3]->pd[0].uuids.flags |= UUID_FLAG_CRASHED_PRIMARY;
		finish(&n.core->peer[1]->pd[0]);
		cr_assert_eq(n.core->st.pd[1][0].repl, REPL_ESTABLISHED);
		cr_assert_eq(n.core->st.vol[0].disk, i ? DISK_OUTDATED : DISK_UP_TO_DATE);
		cr_assert_eq(better->rs.again, i != 0);
		cr_assert_not(n.core->peer[3]->pd[0].rs.again);
		if (i < 3)
			node_close(&n);
	}
}

/* What a survivor has is not overwritten by what a crash has left, however good that is called. */
Test(uuid_end, a_crashed_source_has_nothing_to_add_to_a_survivor)
{
	begin_as_target_among_equals();
	for (unsigned p = 1; p <= 3; p++)
		n.core->st.pd[p][0].pdsk = DISK_CONSISTENT;
	n.core->st.pd[2][0].repl = REPL_PAUSED_SYNC_T;
	n.core->st.pd[2][0].pdsk = DISK_UP_TO_DATE;
	n.core->peer[2]->pd[0].rs.source_crashed = true;
	n.core->peer[2]->pd[0].uuids.flags |= UUID_FLAG_CRASHED_PRIMARY;
	finish(&n.core->peer[1]->pd[0]);
	cr_assert_eq(n.core->st.pd[2][0].repl, REPL_ESTABLISHED);
	cr_assert_eq(n.core->st.vol[0].disk, DISK_CONSISTENT);
}

/* Its generation lives on the peers' disks; without it this disk would fork from them. */
Test(uuid_end, a_primary_takes_the_generation_over_that_it_made_as_a_target)
{
	struct pkt_uuids u = from_peer(OLD, UUID_FLAG_STABLE);
	struct peer_device *pd;

	open_as(ROLE_PRIMARY);
	pd = &n.core->peer[1]->pd[0];
	rx(1, &u);
	n.core->st.vol[0].disk = DISK_INCONSISTENT;
	n.core->st.pd[1][0].repl = REPL_SYNC_TARGET;
	n.vol->new_uuid_wanted = true;
	uuid_bump_if_wanted(n.core);
	cr_assert(!uuid_eq(n.vol->exposed_uuid, OLD));
	for (unsigned i = 0; i < 2; i++) {
		finish_try(n.core, pd);
		durable();
	}
	cr_assert_eq(n.core->st.pd[1][0].repl, REPL_SYNC_TARGET);
	u.current = n.vol->exposed_uuid;
	rx(1, &u);
	finish(pd);
	cr_assert_eq(n.core->st.pd[1][0].repl, REPL_ESTABLISHED);
	cr_assert(uuid_eq(n.vol->md.current_uuid, n.vol->exposed_uuid));
}

/* Its connection to the Primary is gone, which it cannot say any more without a disk. */
Test(uuid_end, a_node_without_a_disk_owes_no_flush_ack)
{
	struct pkt_uuids u = from_peer(OLD, 0);
	struct peer_device *pd;

	open_as(ROLE_SECONDARY);
	pd = &n.core->peer[1]->pd[0];
	n.core->st.peer[2].role = n.core->st.peer[3].role = ROLE_SECONDARY;
	u.node_mask = UINT64_C(1) << 1;
	rx(2, &u);
	u.flags = UUID_FLAG_STABLE;
	rx(1, &u);
	n.core->peer[2]->pd[0].conn_rx = REPL_ESTABLISHED;
	n.core->st.vol[0].disk = DISK_INCONSISTENT;
	n.core->st.pd[1][0].repl = REPL_SYNC_TARGET;
	finish_try(n.core, pd);
	cr_assert_eq(pd->rs.flush_wait[1], UINT64_C(3) << 1);
	pd->rs.flush_wait[1] = UINT64_C(1) << 2;
	finish_try(n.core, pd);
	cr_assert_eq(pd->rs.finish_seq, 0);
	n.core->st.pd[2][0].pdsk = DISK_DISKLESS;
	finish_try(n.core, pd);
	cr_assert_neq(pd->rs.finish_seq, 0);
}

/* The source cannot know what a third node has by now; that one has told us. */
Test(uuid_end, a_target_refers_to_where_others_have_stayed)
{
	static const struct { uint64_t had, source_says, flags, then; } row[] = {
		{ 0, 0, UUID_FLAG_STABLE, B },   /* it was to take part, but died */
		{ OLD, B, UUID_FLAG_STABLE, B }, /* it got further since */
		{ 0, 0, 0, 0 },                  /* its Primary may be telling it */
		{ 0, B, 0, B },                  /* no: not even the source says so */
		/* it follows another one */
		{ 0, 0, UUID_FLAG_STABLE | UUID_FLAG_SYNC_TARGET, 0 },
	};

	for (size_t i = 0; i < ARRAY_LEN(row); i++) {
		struct peer_device *pd;

		open_as(ROLE_SECONDARY);
		pd = &n.core->peer[1]->pd[0];
		pd->uuids = from_peer(NEW, UUID_FLAG_STABLE);
		pd->uuids.bitmap[0] = OLD;
		pd->uuids.bitmap[2] = row[i].source_says;
		pd->uuids.history[0] = B;
		n.core->peer[2]->pd[0].uuids = from_peer(B, row[i].flags);
		pd->uuids_valid = n.core->peer[2]->pd[0].uuids_valid = true;
		uuid_resync_start(n.core, pd);
		entry(2)->bitmap_uuid = row[i].had;
		uuid_resync_finished(n.core, pd);
		cr_assert_eq(entry(2)->bitmap_uuid, row[i].then, "row %zu", i);
		if (i + 1 < ARRAY_LEN(row))
			node_close(&n);
	}
}

/* Its generations come ahead of the state that makes them count. */
Test(uuid_end, who_is_left_behind_follows_also_when_the_other_becomes_good_later)
{
	struct pkt_uuids u = from_peer(NEW, UUID_FLAG_STABLE | UUID_FLAG_RECONNECT);
	struct pkt state = { .type = P_STATE };

	open_as(ROLE_SECONDARY);
	for (unsigned p = 1; p <= 3; p++)
		n.core->st.peer[p].role = ROLE_SECONDARY;
	n.core->st.pd[1][0].pdsk = DISK_INCONSISTENT;
	u.bitmap[0] = OLD;
	rx(1, &u);
	cr_assert_eq(n.core->st.pd[1][0].repl, REPL_ESTABLISHED);
	state.u.state = ROLE_SECONDARY | REPL_ESTABLISHED << SW_CONN_SHIFT |
			(uint32_t)DISK_UP_TO_DATE << SW_DISK_SHIFT;
	node_rx(&n, 1, STREAM_DATA, &state);
	cr_assert_eq(n.core->st.pd[1][0].repl, REPL_WF_BITMAP_T);
	cr_assert_eq(n.core->st.vol[0].disk, DISK_OUTDATED);
}

/* As a DRBD kernel does after a resync beside a diskless Primary. */
Test(uuid_end, who_has_the_same_generation_may_copy_once_more)
{
	struct pkt_uuids u = from_peer(OLD, UUID_FLAG_STABLE);
	struct pkt state = { .type = P_STATE };

	open_as(ROLE_SECONDARY);
	for (unsigned p = 1; p <= 3; p++)
		n.core->st.peer[p].role = ROLE_SECONDARY;
	rx(1, &u);
	cr_assert_eq(n.core->st.pd[1][0].repl, REPL_ESTABLISHED);
	state.u.state = ROLE_SECONDARY | REPL_WF_BITMAP_T << SW_CONN_SHIFT |
			(uint32_t)DISK_OUTDATED << SW_DISK_SHIFT;
	node_rx(&n, 1, STREAM_DATA, &state);
	cr_assert_eq(n.core->st.pd[1][0].repl, REPL_WF_BITMAP_S);
}

/* If its disk fails first, what is here is the newest that is left. */
Test(uuid_end, who_is_left_behind_stays_whole_until_the_newer_generation_is_on_a_disk)
{
	struct pkt_uuids u = from_peer(NEW, UUID_FLAG_RECONNECT | UUID_FLAG_KEEPS_BITS |
						    UUID_FLAG_NOT_DURABLE);

	open_as(ROLE_SECONDARY);
	for (unsigned p = 1; p <= 3; p++)
		n.core->st.peer[p].role = ROLE_SECONDARY;
	u.bitmap[0] = OLD;
	rx(1, &u);
	cr_assert_eq(n.core->st.pd[1][0].repl, REPL_ESTABLISHED);
	cr_assert_eq(n.core->st.vol[0].disk, DISK_OUTDATED);
	u.flags &= ~UUID_FLAG_NOT_DURABLE;
	u.flags |= UUID_FLAG_RESYNC;
	rx(1, &u);
	cr_assert_eq(n.core->st.pd[1][0].repl, REPL_WF_BITMAP_T);
}

/* A Primary that goes on with what is here as well: that counts now. */
Test(uuid_end, the_mark_of_a_crash_ends_with_the_next_primary)
{
	struct state old;

	open_as(ROLE_SECONDARY);
	n.core->st.peer[2].role = n.core->st.peer[3].role = ROLE_SECONDARY;
	absent(3);
	old = n.core->st;
	n.vol->crashed_primary = true;
	bitmap_set(n.core, n.vol, bitmap_slots_of(n.vol, 1 << 1), 0, 8);
	uuid_state_changed(n.core, &old);
	cr_assert(n.vol->crashed_primary);
	bitmap_clear(n.core, n.vol, bitmap_slots_of(n.vol, 1 << 1), 0, 8);
	n.core->st.peer[1].role = ROLE_SECONDARY;
	uuid_state_changed(n.core, &old);
	cr_assert(n.vol->crashed_primary);
	n.core->st.peer[1].role = ROLE_PRIMARY;
	uuid_state_changed(n.core, &old);
	cr_assert_not(n.vol->crashed_primary);
}

/* What we had may be unknown to a node that stayed at the
 * generation after which the source went on without us. */
Test(uuid_end, the_target_remembers_what_the_source_had_when_they_parted)
{
	struct peer_device *pd;
	bool known = false;

	open_as(ROLE_SECONDARY);
	absent(2);
	absent(3);
	pd = &n.core->peer[1]->pd[0];
	pd->uuids = from_peer(NEW, UUID_FLAG_STABLE);
	pd->uuids.bitmap[0] = A;
	pd->uuids_valid = true;
	uuid_resync_start(n.core, pd);
	uuid_resync_finished(n.core, pd);
	for (unsigned i = 0; i < HISTORY_UUIDS; i++)
		known |= n.vol->md.history[i] == A;
	cr_assert(known);
}

Test(uuid_end, an_initial_sync_can_be_resumed)
{
	struct peer_device *pd;

	open_as(ROLE_SECONDARY);
	pd = &n.core->peer[1]->pd[0];
	n.vol->md.current_uuid = UUID_JUST_CREATED;
	pd->uuids = from_peer(NEW, UUID_FLAG_STABLE);
	pd->uuids.bitmap[0] = A;
	pd->uuids_valid = true;
	uuid_resync_start(n.core, pd);
	cr_assert_eq(n.vol->md.current_uuid, A);
}

static uint64_t promised_to_itself(unsigned apv)
{
	node_open(&n, ROLE_PRIMARY, 1, PROTOCOL_C);
	n.core->peer[1]->apv = apv;
	n.core->st.vol[0].disk = DISK_INCONSISTENT;
	n.core->st.pd[1][0].repl = REPL_SYNC_TARGET;
	n.vol->new_uuid_wanted = true;
	cr_assert_not(uuid_bump_if_wanted(n.core));
	return n.core->peer[1]->pd[0].rs.promised_uuid;
}

/* Before 110 there is no packet that would tell it, and its source would never take part in it. */
Test(uuid_end, a_target_that_is_primary_makes_no_generation_with_8_4)
{
	cr_assert_eq(promised_to_itself(101), 0);
	teardown();
	cr_assert_neq(promised_to_itself(124), 0);
}

/* What is begun now passes it by: with the new generation it would pass for one that has it. */
Test(uuid_end, who_is_not_counted_on_yet_is_left_behind)
{
	struct state_peer_device *pd;

	open_as(ROLE_PRIMARY);
	pd = &n.core->st.pd[2][0];
	pd->pdsk = DISK_CONSISTENT;
	cr_assert_not(cluster_weak_nodes(n.core, 0) >> 2 & 1);
	pd->untrusted = true;
	cr_assert(cluster_weak_nodes(n.core, 0) >> 2 & 1);
	pd->untrusted = false;
	pd->behind = true;
	cr_assert(cluster_weak_nodes(n.core, 0) >> 2 & 1);
}

/* ---- Outdated by name ---- */

/* This node and 1 are equal, 2 has marked blocks towards us, 3 is being resynced from 2. */
static void all_outdated(void)
{
	struct pkt_uuids u = from_peer(OLD, UUID_FLAG_STABLE | UUID_FLAG_KEEPS_BITS);

	open_as(ROLE_SECONDARY);
	n.core->st.vol[0].disk = DISK_OUTDATED;
	for (unsigned p = 1; p <= 3; p++) {
		n.core->st.peer[p].role = ROLE_SECONDARY;
		n.core->st.pd[p][0].pdsk = DISK_OUTDATED;
		n.core->peer[p]->pd[0].uuids = u;
		n.core->peer[p]->pd[0].uuids_valid = true;
	}
	n.core->peer[2]->pd[0].uuids.dirty_bits = 5;
	n.core->st.pd[3][0].pdsk = DISK_INCONSISTENT;
	n.core->peer[3]->pd[0].uuids.flags |= UUID_FLAG_SYNC_TARGET;
}

/* Of disks that are all Outdated and differ, some may be resynced at any time: the one that would
 * be the source of all does not wait for a moment in which none is. */
Test(uuid_end, who_leads_all_outdated_disks_is_up_to_date)
{
	all_outdated();
	outdated_run(n.core);
	cr_assert_eq(n.core->st.vol[0].disk, DISK_UP_TO_DATE);
}

Test(uuid_end, who_may_lack_something_stays_outdated)
{
	all_outdated();
	n.vol->crashed_primary = true;
	n.core->peer[2]->pd[0].uuids.flags |= UUID_FLAG_RECONNECT;
	outdated_run(n.core);
	cr_assert_eq(n.core->st.vol[0].disk, DISK_OUTDATED, "node 2 was there before the crash");
	node_close(&n);
	all_outdated();
	n.core->peer[3]->pd[0].uuids.current = NEW;
	outdated_run(n.core);
	cr_assert_eq(n.core->st.vol[0].disk, DISK_OUTDATED, "what node 3 gets is newer");
	node_close(&n);
	all_outdated();
	absent(3);
	outdated_run(n.core);
	cr_assert_eq(n.core->st.vol[0].disk, DISK_OUTDATED, "node 3 is out of sight");
	node_close(&n);
	all_outdated();
	n.core->st.peer[1].role = ROLE_PRIMARY;
	outdated_run(n.core);
	cr_assert_eq(n.core->st.vol[0].disk, DISK_OUTDATED, "a Primary may use the other copy");
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Data generations: history, rotation, new ones, those of
 * peers, what is told and when the superblock is written. */
#include "core_uuid.h"

TestSuite(uuid, .fini = teardown);

/* ---- history ---- */

Test(uuid, the_first_entry_is_taken_even_if_in_use)
{
	open_as(ROLE_SECONDARY);
	entry(1)->bitmap_uuid = A;
	uuid_push_history(n.vol, A | UUID_PRIMARY, NODES_MAX);
	cr_assert_eq(n.vol->md.history[0], A);
}

Test(uuid, history_takes_no_useless_values)
{
	open_as(ROLE_SECONDARY);
	uuid_push_history(n.vol, 0, NODES_MAX);
	uuid_push_history(n.vol, UUID_JUST_CREATED, NODES_MAX);
	uuid_push_history(n.vol, OLD, NODES_MAX);
	cr_assert_eq(n.vol->md.history[0], 0);
	uuid_push_history(n.vol, A, NODES_MAX);
	uuid_push_history(n.vol, A, NODES_MAX);
	entry(2)->bitmap_uuid = B;
	uuid_push_history(n.vol, B, 1); /* still somebody's reference */
	cr_assert_eq(n.vol->md.history[0], A);
	cr_assert_eq(n.vol->md.history[1], 0);
	uuid_push_history(n.vol, B, 2);
	cr_assert_eq(n.vol->md.history[0], B);
	cr_assert_eq(n.vol->md.history[1], A);
	/* A reference without a slot is told to nobody: the history has to tell it. */
	entry(7)->bitmap_uuid = C;
	uuid_push_history(n.vol, C, NODES_MAX);
	cr_assert_eq(n.vol->md.history[0], C);
}

Test(uuid, the_oldest_entry_is_lost)
{
	open_as(ROLE_SECONDARY);
	for (uint64_t i = 1; i <= HISTORY_UUIDS + 1; i++)
		uuid_push_history(n.vol, i << 8, NODES_MAX);
	cr_assert_eq(n.vol->md.history[0], (uint64_t)(HISTORY_UUIDS + 1) << 8);
	cr_assert_eq(n.vol->md.history[HISTORY_UUIDS - 1], 2 << 8);
}

/* ---- rotation ---- */

Test(uuid, only_absent_and_weak_peers_get_a_reference)
{
	open_as(ROLE_PRIMARY);
	absent(1);
	uuid_rotate(n.core, n.vol, UINT64_C(1) << 3, 77);
	cr_assert_eq(entry(1)->bitmap_uuid, OLD);
	cr_assert_eq(entry(1)->bitmap_dagtag, 77);
	cr_assert_eq(entry(2)->bitmap_uuid, 0);
	cr_assert_eq(entry(3)->bitmap_uuid, OLD);
}

Test(uuid, an_older_reference_is_worth_more)
{
	open_as(ROLE_PRIMARY);
	absent(1);
	entry(1)->bitmap_uuid = A;
	uuid_rotate(n.core, n.vol, 0, 0);
	cr_assert_eq(entry(1)->bitmap_uuid, A);
}

Test(uuid, ids_without_peer_follow_for_later_peers)
{
	open_as(ROLE_PRIMARY);
	/* Three slots are taken by peers, one is left: it counts once. */
	cr_assert(uuid_rotate(n.core, n.vol, 0, 0));
	cr_assert_eq(entry(9)->bitmap_uuid, OLD);
	cr_assert_eq(entry(0)->bitmap_uuid, 0); /* never towards oneself */
	cr_assert_eq(entry(9)->bitmap_index, -1);
	n.vol->md.current_uuid = NEW;
	cr_assert_not(uuid_rotate(n.core, n.vol, 0, 0));
	cr_assert_eq(entry(9)->bitmap_uuid, OLD);
}

Test(uuid, a_device_never_written_rotates_a_random_value)
{
	open_as(ROLE_SECONDARY);
	n.vol->md.current_uuid = UUID_JUST_CREATED;
	absent(1);
	uuid_rotate(n.core, n.vol, 0, 0);
	cr_assert_neq(entry(1)->bitmap_uuid, 0);
	cr_assert_neq(entry(1)->bitmap_uuid, UUID_JUST_CREATED);
}

/* ---- own new generations ---- */

static void use_up_day_0(void)
{
	uuid_rotate(n.core, n.vol, 0, 0);
	n.vol->md.history[0] = A;
	n.vol->md.current_uuid = NEW;
}

Test(uuid, no_new_generation_with_all_peers_present)
{
	open_as(ROLE_PRIMARY);
	use_up_day_0();
	n.vol->new_uuid_wanted = true;
	cr_assert_not(uuid_bump_if_wanted(n.core));
	cr_assert_eq(n.vol->md.current_uuid, NEW);
	cr_assert_not(n.vol->new_uuid_wanted);
}

/* The peers are told what the disk has, and may follow that without what is written meanwhile. */
Test(uuid, no_new_generation_while_the_disk_is_compared)
{
	open_as(ROLE_PRIMARY);
	use_up_day_0();
	n.vol->exposed_uuid = NEW;
	n.vol->new_uuid_wanted = true;
	n.core->st.vol[0].disk = DISK_NEGOTIATING;
	cr_assert(uuid_bump_if_wanted(n.core));
	cr_assert_eq(n.vol->exposed_uuid, NEW);
	/* Another generation is in use already: this disk cannot lead. */
	n.vol->exposed_uuid = A;
	cr_assert_not(uuid_bump_if_wanted(n.core));
	cr_assert_neq(n.vol->exposed_uuid, A);
}

Test(uuid, writes_wait_until_the_generation_is_durable_and_announced)
{
	open_as(ROLE_PRIMARY);
	use_up_day_0();
	absent(1);
	n.vol->new_uuid_wanted = true;
	cr_assert(uuid_bump_if_wanted(n.core));
	cr_assert(uuid_bump_running(n.core));
	pull();
	cr_assert_null(sent_uuids(2)); /* not before it is on disk */
	cr_assert_neq(n.vol->md.current_uuid & ~UUID_PRIMARY, NEW);
	cr_assert(n.vol->md.current_uuid & UUID_PRIMARY);
	cr_assert_eq(entry(1)->bitmap_uuid, NEW);
	cr_assert_eq(entry(2)->bitmap_uuid, 0);
	durable();
	cr_assert_not(uuid_bump_running(n.core));
}

Test(uuid, announcement_names_the_weak_nodes)
{
	const struct pkt_uuids *sent;

	open_as(ROLE_PRIMARY);
	use_up_day_0();
	absent(1);
	n.vol->new_uuid_wanted = true;
	uuid_bump_if_wanted(n.core);
	md_run(n.core);
	pull();
	for (unsigned i = 0; i < n.count; i++) {
		if (n.acts[i].kind == AC_META_SUPER) {
			md_meta_done(n.core, &(struct ev_done){ .tag = n.acts[i].u.meta.tag });
			break;
		}
	}
	pull();
	sent = sent_uuids(2);
	cr_assert_not_null(sent);
	cr_assert(sent->flags & UUID_FLAG_NEW_DATAGEN);
	cr_assert(sent->flags & UUID_FLAG_STABLE);
	cr_assert(sent->node_mask & 0x2);
	cr_assert_not(sent->node_mask & 0x5);
	cr_assert_null(sent_uuids(1));
	cr_assert_not_null(sent_uuids(3));
}

Test(uuid, a_day_0_device_keeps_its_first_generation_in_the_history)
{
	open_as(ROLE_PRIMARY);
	n.vol->new_uuid_wanted = true;
	uuid_bump_if_wanted(n.core);
	cr_assert_eq(n.vol->md.history[0], OLD);
}

Test(uuid, losing_a_peer_asks_for_a_new_generation)
{
	struct state old;

	open_as(ROLE_PRIMARY);
	old = n.core->st;
	absent(2);
	uuid_state_changed(n.core, &old);
	cr_assert(n.vol->new_uuid_wanted);
	/* Demotion without a write in between: no trace (1.7). */
	old = n.core->st;
	n.vol->md.current_uuid |= UUID_PRIMARY;
	n.core->st.role = ROLE_SECONDARY;
	uuid_state_changed(n.core, &old);
	cr_assert_not(n.vol->new_uuid_wanted);
	cr_assert_eq(n.vol->md.current_uuid, OLD);
}

static void lose_a_target(void)
{
	struct state old;

	entry(1)->bitmap_uuid = A;
	n.core->st.pd[1][0].repl = REPL_SYNC_SOURCE;
	n.core->st.pd[1][0].pdsk = DISK_INCONSISTENT;
	old = n.core->st;
	n.core->st.peer[1].conn = CONN_CONNECTING;
	n.core->st.pd[1][0].repl = REPL_OFF;
	uuid_state_changed(n.core, &old);
}

Test(uuid, the_next_writes_after_a_lost_target_are_a_new_generation)
{
	struct state old;

	open_as(ROLE_SECONDARY);
	use_up_day_0();
	lose_a_target();
	cr_assert_not(n.vol->new_uuid_wanted);
	old = n.core->st;
	n.core->st.role = ROLE_PRIMARY;
	/* The node before. */
	for (unsigned p = 1; p <= 3; p++)
		n.core->st.peer[p].role = ROLE_SECONDARY;
	uuid_state_changed(n.core, &old);
	cr_assert(uuid_bump_if_wanted(n.core));
	cr_assert_neq(n.vol->md.current_uuid & ~UUID_PRIMARY, NEW);
	cr_assert_eq(entry(1)->bitmap_uuid, A);
	cr_assert_eq(n.vol->md.history[0], NEW);
	durable();
	/* One is enough. */
	n.vol->new_uuid_wanted = true;
	cr_assert_not(uuid_bump_if_wanted(n.core));
}

Test(uuid, a_lost_target_that_came_back_needs_no_new_generation)
{
	open_as(ROLE_PRIMARY);
	use_up_day_0();
	lose_a_target();
	entry(1)->bitmap_uuid = 0;
	n.core->st.pd[1][0].repl = REPL_ESTABLISHED;
	n.core->st.pd[1][0].pdsk = DISK_UP_TO_DATE;
	cr_assert_not(uuid_bump_if_wanted(n.core));
}

/* ---- generations of a Primary ---- */

Test(uuid, a_new_generation_is_adopted_with_its_references)
{
	struct pkt_uuids u = from_peer(NEW | UUID_PRIMARY,
				       UUID_FLAG_NEW_DATAGEN | UUID_FLAG_STABLE);

	open_as(ROLE_SECONDARY);
	n.core->st.peer[2].role = n.core->st.peer[3].role = ROLE_SECONDARY;
	absent(3);
	entry(3)->bitmap_uuid = A; /* absent here, but with the Primary */
	absent(2);
	u.node_mask = UINT64_C(1) << 2; /* weak */
	rx(1, &u);
	cr_assert_eq(n.vol->md.current_uuid, NEW);
	cr_assert_eq(entry(2)->bitmap_uuid, OLD);
	cr_assert(uuid_eq(entry(3)->bitmap_uuid, NEW));
	cr_assert_eq(entry(1)->bitmap_uuid, 0);
	cr_assert_eq(n.vol->md.history[0], A);
	cr_assert_not_null(sent_uuids(1));
}

Test(uuid, a_disk_that_does_not_take_part_keeps_its_generation)
{
	struct pkt_uuids u = from_peer(NEW, UUID_FLAG_NEW_DATAGEN | UUID_FLAG_STABLE);

	open_as(ROLE_SECONDARY);
	n.core->st.vol[0].disk = DISK_OUTDATED;
	rx(1, &u);
	cr_assert_eq(n.vol->md.current_uuid, OLD);
}

/* A target of node 2, which has told that it has A. */
static struct peer_device *begin_as_target(void)
{
	struct pkt_uuids u = from_peer(A, UUID_FLAG_STABLE);

	open_as(ROLE_SECONDARY);
	n.core->st.peer[2].role = n.core->st.peer[3].role = ROLE_SECONDARY;
	rx(2, &u);
	n.core->st.vol[0].disk = DISK_INCONSISTENT;
	n.core->st.pd[2][0].repl = REPL_SYNC_TARGET;
	return &n.core->peer[2]->pd[0];
}

/* Nothing is missing any more, and then nor are the flush acks for Primary 1. */
static void finish(struct peer_device *pd)
{
	finish_try(n.core, pd);
	pd->rs.flush_wait[1] = 0;
	finish_try(n.core, pd);
}

Test(uuid, a_resync_target_leaves_it_to_the_end)
{
	struct pkt_uuids u = from_peer(NEW, UUID_FLAG_NEW_DATAGEN | UUID_FLAG_STABLE);
	struct peer_device *pd = begin_as_target();

	rx(1, &u);
	cr_assert_eq(n.vol->md.current_uuid, OLD);
	/* Only the source knows whether it got there. */
	cr_assert_eq(pd->uuids.current, A);
	pd->rs.running = true;
	finish(pd);
	cr_assert_eq(n.vol->md.current_uuid, OLD);
	u = from_peer(NEW, UUID_FLAG_STABLE);
	rx(2, &u);
	finish_try(n.core, pd);
	cr_assert_eq(n.vol->md.current_uuid, NEW);
}

/* The source may be part of a generation that we are not. */
Test(uuid, a_target_waits_for_the_last_generation_named)
{
	struct peer_device *pd = begin_as_target();
	struct pkt_uuids u;

	u = from_peer(B, UUID_FLAG_NEW_DATAGEN | UUID_FLAG_STABLE);
	rx(1, &u);
	u.current = NEW;
	u.node_mask = 1;
	rx(1, &u);
	cr_assert_eq(pd->rs.promised_uuid, NEW);
	finish_peer_lost(n.core, n.core->peer[1]);
	cr_assert_eq(pd->rs.promised_uuid, 0);
}

/* A source that has got it may resync from elsewhere and be further, in one that named it weak. */
Test(uuid, a_target_does_not_wait_for_a_generation_that_its_source_has_left)
{
	struct peer_device *pd = begin_as_target();
	struct pkt_uuids u;

	u = from_peer(B, UUID_FLAG_NEW_DATAGEN | UUID_FLAG_STABLE);
	rx(1, &u);
	cr_assert_eq(pd->rs.promised_uuid, B);
	u.flags = UUID_FLAG_STABLE;
	rx(2, &u);
	u = from_peer(NEW, UUID_FLAG_STABLE);
	rx(2, &u);
	finish(pd);
	cr_assert_eq(n.vol->md.current_uuid, NEW);
}

/* The Primary counts the source as missing, or is
 * lost: the resync ends with what the source has. */
Test(uuid, a_target_does_not_wait_for_a_weak_source)
{
	struct peer_device *pd = begin_as_target();
	struct pkt_uuids u;

	pd->rs.running = true;
	u = from_peer(NEW, UUID_FLAG_NEW_DATAGEN);
	u.node_mask = UINT64_C(1) << 2;
	rx(1, &u);
	finish(pd);
	cr_assert_eq(n.vol->md.current_uuid, A);
}

/* What the source has is older than what the Primary sends us now: it would overwrite that. */
Test(uuid, a_target_leaves_a_source_that_a_primary_without_a_disk_does_not_see)
{
	struct pkt_uuids u = from_peer(A, UUID_FLAG_STABLE);
	struct pkt diskless = { .type = P_CURRENT_UUID };

	open_as(ROLE_SECONDARY);
	n.core->st.peer[2].role = n.core->st.peer[3].role = ROLE_SECONDARY;
	n.core->st.pd[1][0].pdsk = DISK_DISKLESS;
	rx(2, &u);
	rx(3, &u);
	n.core->st.vol[0].disk = DISK_INCONSISTENT;
	n.core->st.pd[2][0].repl = REPL_SYNC_TARGET;
	n.core->st.pd[3][0].repl = REPL_PAUSED_SYNC_T;
	diskless.u.current_uuid.uuid = NEW;
	diskless.u.current_uuid.weak_nodes = UINT64_C(1) << 1 | UINT64_C(1) << 2;
	rx_current_uuid(n.core, n.core->peer[1], &diskless);
	cr_assert_eq(n.core->st.pd[2][0].repl, REPL_ESTABLISHED);
	cr_assert_eq(n.core->st.pd[3][0].repl, REPL_SYNC_TARGET);
}

/* It is told by the Primary that it is not part of what comes now. */
Test(uuid, a_weak_node_does_not_adopt)
{
	struct pkt_uuids u = from_peer(NEW, UUID_FLAG_NEW_DATAGEN | UUID_FLAG_STABLE);
	struct pkt diskless = { .type = P_CURRENT_UUID };

	open_as(ROLE_SECONDARY);
	n.core->st.peer[2].role = n.core->st.peer[3].role = ROLE_SECONDARY;
	u.node_mask = 1;
	u.bitmap[0] = OLD;
	rx(1, &u);
	cr_assert_eq(n.vol->md.current_uuid, OLD);
	cr_assert_eq(n.core->st.pd[1][0].repl, REPL_WF_BITMAP_T);
	node_close(&n);
	/* A Secondary says so, and its Primary does not see us: it is no source yet. */
	open_as(ROLE_SECONDARY);
	n.core->st.peer[1].role = n.core->st.peer[2].role = n.core->st.peer[3].role =
		ROLE_SECONDARY;
	u.flags = 0;
	u.node_mask = UINT64_C(1) << 5;
	rx(1, &u);
	cr_assert_eq(n.core->st.pd[1][0].repl, REPL_ESTABLISHED);
	cr_assert_eq(n.core->st.vol[0].disk, DISK_OUTDATED);
	node_close(&n);
	open_as(ROLE_SECONDARY);
	n.core->st.pd[1][0].pdsk = DISK_DISKLESS;
	diskless.u.current_uuid.uuid = NEW;
	diskless.u.current_uuid.weak_nodes = 3;
	rx_current_uuid(n.core, n.core->peer[1], &diskless);
	cr_assert_eq(n.vol->md.current_uuid, OLD);
	cr_assert_eq(n.core->st.vol[0].disk, DISK_OUTDATED);
}

/* The Primary counts on it, but goes on from a generation that did not get here. */
Test(uuid, a_disk_that_missed_a_generation_does_not_adopt_the_next)
{
	struct pkt_uuids u = from_peer(A, UUID_FLAG_STABLE | UUID_FLAG_KEEPS_BITS);
	struct pkt diskless = { .type = P_CURRENT_UUID };

	open_as(ROLE_SECONDARY);
	n.core->st.peer[2].role = n.core->st.peer[3].role = ROLE_SECONDARY;
	u.history[0] = OLD;
	rx(1, &u);
	u.current = NEW;
	u.flags |= UUID_FLAG_NEW_DATAGEN;
	rx(1, &u);
	cr_assert_eq(n.vol->md.current_uuid, OLD);
	cr_assert_eq(n.core->st.pd[1][0].repl, REPL_WF_BITMAP_T);
	cr_assert_eq(n.core->st.vol[0].disk, DISK_OUTDATED);
	node_close(&n);
	open_as(ROLE_SECONDARY);
	n.core->st.pd[1][0].pdsk = DISK_DISKLESS;
	n.core->peer[1]->pd[0].current_uuid_rx = A;
	diskless.u.current_uuid.uuid = NEW;
	diskless.u.current_uuid.weak_nodes = UINT64_C(1) << 1;
	rx_current_uuid(n.core, n.core->peer[1], &diskless);
	cr_assert_eq(n.vol->md.current_uuid, OLD);
	cr_assert_eq(n.core->st.vol[0].disk, DISK_OUTDATED);
	node_close(&n);
	/* It was behind us until we came: one that we know is no generation that we missed. */
	open_as(ROLE_SECONDARY);
	n.core->st.pd[1][0].pdsk = DISK_DISKLESS;
	n.vol->md.history[0] = A;
	n.core->peer[1]->pd[0].current_uuid_rx = A | UUID_PRIMARY;
	rx_current_uuid(n.core, n.core->peer[1], &diskless);
	cr_assert_eq(n.vol->md.current_uuid, NEW);
}

/* Nor is anything written in it before it is on the disk; it is told then. */
Test(uuid, a_primary_counts_on_what_is_on_the_disk)
{
	struct pkt pkt = { .type = P_CURRENT_UUID };
	uint64_t tag;

	open_as(ROLE_SECONDARY);
	n.core->st.peer[2].role = n.core->st.peer[3].role = ROLE_SECONDARY;
	n.core->st.pd[1][0].pdsk = DISK_DISKLESS;
	pkt.u.current_uuid.uuid = NEW;
	pkt.u.current_uuid.weak_nodes = 4;
	rx_current_uuid(n.core, n.core->peer[1], &pkt);
	pull();
	cr_assert_eq(sent_uuids(1)->current, NEW);
	cr_assert(sent_uuids(1)->flags & UUID_FLAG_NOT_DURABLE);
	cr_assert_not_null(node_act(&n, AC_META_SUPER, 0));
	tag = node_act(&n, AC_META_SUPER, 0)->u.meta.tag;
	pkt = (struct pkt){ .type = P_DATA, .payload = { 1, 4096 } };
	pkt.u.block.bytes = 4096;
	pkt.u.block.dp_flags = DP_SEND_WRITE_ACK;
	rx_data(n.core, n.core->peer[1], &pkt);
	pull();
	cr_assert_null(node_act(&n, AC_META_AL, 0));
	cr_assert_null(node_act(&n, AC_DISK_WRITE, 0));
	md_meta_done(n.core, &(struct ev_done){ .tag = tag });
	pull();
	cr_assert_eq(sent_uuids(1)->current, NEW);
	cr_assert_not(sent_uuids(1)->flags & UUID_FLAG_NOT_DURABLE);
	/* Who was told that it is not there yet takes us for no source until it hears of it. */
	cr_assert_eq(sent_uuids(2)->current, NEW);
	cr_assert_not(sent_uuids(2)->flags & UUID_FLAG_NOT_DURABLE);
	cr_assert_not_null(node_act(&n, AC_META_AL, 0));
}

Test(uuid, a_report_of_what_is_not_on_the_disk_yet_does_not_count)
{
	struct pkt_uuids u = from_peer(NEW, UUID_FLAG_NOT_DURABLE);

	open_as(ROLE_PRIMARY);
	n.vol->exposed_uuid = NEW | UUID_PRIMARY;
	rx(1, &u);
	cr_assert_not(uuid_peer_follows(&n.core->peer[1]->pd[0], n.vol));
	u.flags = 0;
	rx(1, &u);
	cr_assert(uuid_peer_follows(&n.core->peer[1]->pd[0], n.vol));
}

Test(uuid, a_failed_disk_is_not_declared_equal)
{
	struct pkt_uuids u = from_peer(NEW, UUID_FLAG_SKIP_INITIAL_SYNC);

	open_as(ROLE_SECONDARY);
	n.vol->md.current_uuid = UUID_JUST_CREATED;
	n.core->st.vol[0].disk = DISK_FAILED;
	rx(1, &u);
	cr_assert_eq(n.core->st.vol[0].disk, DISK_FAILED);
	n.core->st.vol[0].disk = DISK_INCONSISTENT;
	rx(1, &u);
	cr_assert_eq(n.core->st.vol[0].disk, DISK_UP_TO_DATE);
}

/* Peer 1 is told what there is here, and it is decided who resyncs from whom. */
/* core/cluster.h, which does not go with core_node.h. */
void sizes_send(struct core *core, struct peer *peer, unsigned v);
void rx_state(struct core *core, struct peer *peer, const struct pkt *pkt);

static void tell_and_decide(void)
{
	sizes_send(n.core, n.core->peer[1], 0);
	uuid_send(n.core, n.core->peer[1], 0, 0, 0);
	peer_send_state(n.core, n.core->peer[1], 0);
	sync_handshake(n.core, n.core->peer[1], n.vol);
}

/* A node that takes over a generation which does not survive a crash would be alone with it. */
Test(uuid, no_handshake_while_a_generation_is_being_written)
{
	struct peer_device *pd;

	open_as(ROLE_PRIMARY);
	use_up_day_0();
	absent(1);
	absent(2);
	n.vol->new_uuid_wanted = true;
	cr_assert(uuid_bump_if_wanted(n.core));
	pull();
	pd = &n.core->peer[1]->pd[0];
	pd->uuids = from_peer(NEW, UUID_FLAG_STABLE);
	pd->uuids_valid = true;
	pd->state_word = ROLE_SECONDARY | DISK_UP_TO_DATE << SW_DISK_SHIFT;
	tell_and_decide();
	cr_assert_eq(pd->verdict.kind, VERDICT_RETRY);
	durable();
	cr_assert_not(uuid_bump_running(n.core));
	sync_handshake(n.core, n.core->peer[1], n.vol);
	cr_assert_eq(pd->verdict.kind, VERDICT_GO);
	cr_assert_eq(pd->verdict.strategy, SYNC_SOURCE_USE_BITMAP);
}

/* The peer is a resync target with a history of its own: they are compared when that is over. */
Test(uuid, an_attached_disk_that_cannot_be_compared_yet_is_kept_outdated)
{
	struct pkt pkt = { .type = P_STATE };
	struct peer_device *pd;

	open_as(ROLE_SECONDARY);
	pkt.vnr = n.vol->vnr;
	pd = &n.core->peer[1]->pd[0];
	n.core->st.vol[0].disk = DISK_NEGOTIATING;
	n.vol->md.flags |= MDF_CONSISTENT | MDF_WAS_UP_TO_DATE;
	pd->attach_pending = true;
	pd->uuids = from_peer(0x7770, UUID_FLAG_STABLE | UUID_FLAG_SYNC_TARGET);
	pd->uuids_valid = true;
	uuid_send(n.core, n.core->peer[1], 0, 0, 0);
	pkt.u.state = ROLE_SECONDARY | REPL_ESTABLISHED << SW_CONN_SHIFT |
		      DISK_INCONSISTENT << SW_DISK_SHIFT;
	rx_state(n.core, n.core->peer[1], &pkt);
	cr_assert_eq(pd->verdict.kind, VERDICT_RETRY);
	cr_assert_eq(disk_of(n.core, n.vol), DISK_OUTDATED);
	cr_assert_not(pd->attach_pending);
	cr_assert(peer_connected(n.core, n.core->peer[1]));
}

Test(uuid, what_a_crash_has_left_has_not_gone_on)
{
	struct pkt_uuids own;

	open_as(ROLE_SECONDARY);
	n.core->peer[1]->pd[0].was_connected = true;
	uuid_fill(n.core, n.core->peer[1], n.vol, 0, 0, &own);
	cr_assert(own.flags & UUID_FLAG_RECONNECT);
	n.vol->crashed_primary = true;
	uuid_fill(n.core, n.core->peer[1], n.vol, 0, 0, &own);
	cr_assert(own.flags & UUID_FLAG_CRASHED_PRIMARY);
	cr_assert_not(own.flags & UUID_FLAG_RECONNECT);
}

Test(uuid, settled_references_go_but_bits_stay)
{
	struct pkt_uuids u = from_peer(OLD, UUID_FLAG_STABLE);

	open_as(ROLE_SECONDARY);
	n.core->st.peer[1].role = ROLE_SECONDARY;
	entry(1)->bitmap_uuid = A;
	entry(3)->bitmap_uuid = B;
	absent(3);
	bitmap_set(n.core, n.vol, bitmap_slots_of(n.vol, 1 << 3), 0, 8);
	rx(1, &u);
	cr_assert_eq(entry(1)->bitmap_uuid, 0);
	cr_assert_eq(entry(3)->bitmap_uuid, 0);
	cr_assert_eq(bitmap_weight(n.vol, 3), 1);
	cr_assert_eq(n.vol->md.history[0], B);
	cr_assert_eq(n.vol->md.history[1], A);
}

Test(uuid, another_generation_settles_nothing)
{
	struct pkt_uuids u = from_peer(NEW, UUID_FLAG_STABLE);

	open_as(ROLE_SECONDARY);
	entry(1)->bitmap_uuid = A;
	rx(1, &u);
	cr_assert_eq(entry(1)->bitmap_uuid, A);
}

/* ---- superblock ---- */

Test(uuid, the_superblock_is_written_once_per_step)
{
	open_as(ROLE_SECONDARY);
	md_sync(n.core, n.vol);
	md_sync(n.core, n.vol);
	md_run(n.core);
	md_run(n.core);
	pull();
	cr_assert_eq(n.count, 1);
	cr_assert_eq(n.acts[0].kind, AC_META_SUPER);
	cr_assert_lt(n.vol->md_durable_seq, n.vol->md_seq);
	md_meta_done(n.core, &(struct ev_done){ .tag = n.acts[0].u.meta.tag });
	cr_assert_eq(n.vol->md_durable_seq, n.vol->md_seq);
}

Test(uuid, lazy_changes_wait_at_most_five_seconds)
{
	open_as(ROLE_SECONDARY);
	md_dirty(n.core, n.vol);
	md_run(n.core);
	pull();
	cr_assert_eq(n.count, 0);
	cr_assert_eq(md_deadline(n.core), n.core->now_ns + 5 * NS_PER_S);
	n.core->now_ns += 5 * NS_PER_S;
	md_run(n.core);
	pull();
	cr_assert_eq(n.count, 1);
}

Test(uuid, flags_follow_the_state)
{
	struct state old;

	open_as(ROLE_SECONDARY);
	n.vol->md.flags = MDF_AL_CLEAN;
	old = n.core->st;
	md_state_changed(n.core, &old);
	pull();
	/* A Primary is connected: the log counts from
	 * now on, and that is on its way to the disk. */
	cr_assert_eq(n.vol->md.flags,
		     MDF_CONSISTENT | MDF_WAS_UP_TO_DATE | MDF_PRIMARY_IND | MDF_HAVE_QUORUM);
	cr_assert_eq(n.count, 1);
	cr_assert_eq(n.acts[0].u.meta.super->flags, n.vol->md.flags);
	cr_assert(entry(1)->flags & MDF_PEER_CONNECTED);
	cr_assert(entry(1)->flags & MDF_PEER_DEVICE_SEEN);
	n.core->st.vol[0].disk = DISK_INCONSISTENT;
	n.core->st.pd[1][0].pdsk = DISK_OUTDATED;
	md_state_changed(n.core, &old);
	cr_assert_not(n.vol->md.flags & (MDF_CONSISTENT | MDF_WAS_UP_TO_DATE));
	cr_assert(entry(1)->flags & MDF_PEER_OUTDATED);
}

/* What its users have seen is on another node's disk: they must not find something else. */
Test(uuid, a_primary_without_a_good_disk_takes_no_other_generation)
{
	struct peer_device *pd;

	open_as(ROLE_PRIMARY);
	absent(1);
	n.core->st.vol[0].disk = DISK_INCONSISTENT;
	n.vol->exposed_uuid = NEW | UUID_PRIMARY;
	pd = &n.core->peer[1]->pd[0];
	pd->uuids = from_peer(A, UUID_FLAG_STABLE | UUID_FLAG_KEEPS_BITS);
	pd->uuids.bitmap[0] = OLD;
	pd->uuids_valid = true;
	pd->state_word = ROLE_SECONDARY | DISK_UP_TO_DATE << SW_DISK_SHIFT;
	tell_and_decide();
	cr_assert_eq(pd->verdict.kind, VERDICT_RETRY);
	/* Nor one that was attached while nobody who has it was in sight. */
	n.core->st.vol[0].disk = DISK_OUTDATED;
	tell_and_decide();
	cr_assert_eq(pd->verdict.kind, VERDICT_RETRY);
	n.vol->exposed_uuid = A | UUID_PRIMARY;
	sync_handshake(n.core, n.core->peer[1], n.vol);
	cr_assert_eq(pd->verdict.kind, VERDICT_GO);
	cr_assert_eq(pd->verdict.repl, REPL_WF_BITMAP_T);
}

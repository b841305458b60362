/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Quorum: the arithmetic over all small clusters, and what a Primary does without it. */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "core/core_int.h"
#include "core/quorum.h"
#include "../lib/core_pair.h"

/* ---- the arithmetic ---- */

static struct quorum_peer here(enum disk_state disk)
{
	return (struct quorum_peer){ .connected = true, .disk = disk, .member = true };
}

static struct quorum_peer gone(void)
{
	return (struct quorum_peer){ .disk = DISK_UNKNOWN, .member = true };
}

static struct quorum_peer tiebreaker(bool connected)
{
	return (struct quorum_peer){ .client = true, .connected = connected, .member = true,
				     .disk = connected ? DISK_DISKLESS : DISK_UNKNOWN };
}

static struct quorum_peer disk_failed(bool knows_more)
{
	return (struct quorum_peer){ .connected = true, .disk = DISK_DISKLESS, .member = true,
				     .knows_more = knows_more };
}

static struct quorum_input good(uint32_t quorum)
{
	return (struct quorum_input){ .quorum = quorum, .with_disk = true,
				      .disk = DISK_UP_TO_DATE, .had = true };
}

static void add(struct quorum_input *in, struct quorum_peer peer)
{
	in->peers[in->peer_count++] = peer;
}

Test(quorum, two_nodes_and_a_tiebreaker)
{
	struct quorum_input in = good(QUORUM_MAJORITY);

	add(&in, gone());
	cr_assert_not(quorum_compute(&in), "one of two");
	add(&in, tiebreaker(true));
	cr_assert(quorum_compute(&in), "it keeps it with the tie-breaker");
	in.had = false;
	cr_assert_not(quorum_compute(&in), "it does not get it by the tie-breaker");
	in.had = true;
	in.peers[1] = tiebreaker(false);
	cr_assert_not(quorum_compute(&in));
	in.peers[0] = here(DISK_UP_TO_DATE);
	cr_assert(quorum_compute(&in), "both data nodes need no tie-breaker");
}

Test(quorum, most_tiebreakers_decide)
{
	struct quorum_input in = good(QUORUM_MAJORITY);

	add(&in, gone());
	add(&in, tiebreaker(true));
	add(&in, tiebreaker(false));
	cr_assert_not(quorum_compute(&in), "one of two tie-breakers");
	add(&in, tiebreaker(true));
	cr_assert(quorum_compute(&in), "two of three");
}

Test(quorum, who_is_known_to_be_harmless_leaves_the_vote)
{
	struct quorum_input in = good(QUORUM_MAJORITY);

	add(&in, gone());
	in.peers[0].outdated = true;
	cr_assert(quorum_compute(&in), "the other one has old data");
	add(&in, gone());
	cr_assert_not(quorum_compute(&in), "one of three is not known");
	in.peers[1].outdated = true;
	cr_assert(quorum_compute(&in));
}

Test(quorum, who_had_none_when_last_heard_counts_unless_they_are_many)
{
	struct quorum_input in = good(QUORUM_MAJORITY);

	add(&in, here(DISK_UP_TO_DATE));
	for (unsigned i = 0; i < 2; i++) {
		add(&in, gone());
		in.peers[1 + i].member = false;
	}
	cr_assert(quorum_compute(&in), "half of four, the others dropped out before");
	in.had = false;
	cr_assert_not(quorum_compute(&in), "the members of a lost quorum say nothing");
	in.had = true;
	add(&in, gone());
	in.peers[3].member = false;
	cr_assert_not(quorum_compute(&in), "three of five could have one");
}

Test(quorum, redundancy_counts_up_to_date_disks)
{
	struct quorum_input in = good(QUORUM_MAJORITY);

	in.min_redundancy = 2;
	add(&in, here(DISK_INCONSISTENT));
	add(&in, gone());
	cr_assert_not(quorum_compute(&in));
	in.peers[0].disk = DISK_UP_TO_DATE;
	cr_assert(quorum_compute(&in));
}

Test(quorum, a_client_has_what_its_peers_have)
{
	struct quorum_input in = { .quorum = QUORUM_MAJORITY, .client = true };

	add(&in, here(DISK_UP_TO_DATE));
	add(&in, gone());
	cr_assert_not(quorum_compute(&in));
	in.peers[0].quorate = true;
	cr_assert(quorum_compute(&in));
}

/* What it knows of later data is gone when it restarts. */
Test(quorum, a_node_without_its_disk_keeps_a_quorum_and_gives_none)
{
	struct quorum_input in = good(QUORUM_MAJORITY);

	add(&in, disk_failed(false));
	cr_assert(quorum_compute(&in));
	in.peers[0].knows_more = true;
	cr_assert_not(quorum_compute(&in), "others went on");
	in.peers[0].knows_more = in.had = false;
	cr_assert_not(quorum_compute(&in));
}

/* A Primary that others have left behind: who has got their data since is not on its side. */
Test(quorum, a_disk_with_newer_data_does_not_vote)
{
	struct quorum_input in = good(QUORUM_MAJORITY);

	add(&in, here(DISK_INCONSISTENT));
	add(&in, gone());
	cr_assert(quorum_compute(&in));
	in.peers[0].knows_more = true;
	cr_assert_not(quorum_compute(&in));
	in.had = false;
	cr_assert_not(quorum_compute(&in));
}

Test(quorum, a_tiebreaker_does_not_take_a_failed_disk_for_another_tiebreaker)
{
	struct quorum_input in = { .quorum = QUORUM_MAJORITY, .client = true };

	add(&in, here(DISK_UP_TO_DATE));
	add(&in, disk_failed(false));
	cr_assert_not(quorum_compute(&in), "one of two disks");
	in.had = true;
	cr_assert(quorum_compute(&in));
	add(&in, gone());
	in.peers[1].knows_more = true;
	cr_assert_not(quorum_compute(&in), "one of three disks");
}

Test(quorum, a_tiebreaker_stands_for_one_disk)
{
	struct quorum_input in = good(QUORUM_MAJORITY);

	in.min_redundancy = QUORUM_MAJORITY;
	add(&in, here(DISK_UP_TO_DATE));
	add(&in, gone());
	add(&in, gone());
	add(&in, tiebreaker(true));
	cr_assert(quorum_compute(&in), "two of four disks and the tie-breaker");
	in.peers[0].disk = DISK_INCONSISTENT;
	cr_assert_not(quorum_compute(&in), "what is written would be on one of four");
	in.min_redundancy = QUORUM_OFF;
	cr_assert(quorum_compute(&in));
}

/* Calls check() with every cluster of up to three other nodes. */
static void every_input(void (*check)(const struct quorum_input *in))
{
	static const uint32_t options[] = { QUORUM_OFF, 1, 2, 3, QUORUM_MAJORITY, QUORUM_ALL };
	const struct quorum_peer kinds[] = {
		gone(), { .disk = DISK_UNKNOWN }, { .disk = DISK_OUTDATED, .outdated = true },
		here(DISK_INCONSISTENT), here(DISK_UP_TO_DATE), tiebreaker(true),
		tiebreaker(false), disk_failed(false), disk_failed(true),
		{ .connected = true, .disk = DISK_UP_TO_DATE, .quorate = true },
	};
	const unsigned n = sizeof(kinds) / sizeof(kinds[0]);

	for (unsigned own = 0; own < 4 * 2; own++) {
		for (unsigned o = 0; o < 36; o++) {
			for (unsigned k = 0; k < n * n * n * 4; k++) {
				struct quorum_input in = {
					.quorum = options[o % 6], .min_redundancy = options[o / 6],
					.had = own & 1, .with_disk = own / 2 < 2,
					.disk = own / 2 == 0 ? DISK_UP_TO_DATE :
						own / 2 == 1 ? DISK_OUTDATED : DISK_DISKLESS,
					.client = own / 2 == 2, .peer_count = k % 4,
				};

				in.peers[0] = kinds[k / 4 % n];
				in.peers[1] = kinds[k / 4 / n % n];
				in.peers[2] = kinds[k / 4 / n / n];
				check(&in);
			}
		}
	}
}

/* Of disks in sight; a node without its disk may vote only where there was quorum before. */
static unsigned votes_here(const struct quorum_input *in)
{
	unsigned n = in->with_disk;

	for (unsigned i = 0; i < in->peer_count; i++) {
		const struct quorum_peer *p = &in->peers[i];

		n += p->connected && !p->client && !p->knows_more &&
		     (p->disk >= DISK_INCONSISTENT || in->had);
	}
	return n;
}

static bool any_quorate(const struct quorum_input *in)
{
	for (unsigned i = 0; i < in->peer_count; i++) {
		if (in->peers[i].quorate && !in->with_disk)
			return true;
	}
	return false;
}

static void check_rules(const struct quorum_input *in)
{
	bool have = quorum_compute(in);
	unsigned votes = votes_here(in);
	struct quorum_input other = *in;

	if (in->quorum == QUORUM_OFF && in->min_redundancy == QUORUM_OFF)
		cr_assert(have);
	if (any_quorate(in))
		cr_assert(have);
	else if (have && in->quorum <= NODES_MAX)
		cr_assert_geq(votes + in->had, in->quorum, "so many votes are there");
	/* To have had quorum, or to see a tie-breaker, never takes it away. */
	other.had = true;
	cr_assert(!have || quorum_compute(&other));
	for (unsigned i = 0; i < in->peer_count; i++) {
		other = *in;
		if (!in->peers[i].client)
			continue;
		other.peers[i] = tiebreaker(true);
		cr_assert(!have || quorum_compute(&other));
	}
	/* What a node without its disk says is worth no more than if it was away. */
	other = *in;
	for (unsigned i = 0; i < in->peer_count; i++) {
		if (in->peers[i].disk == DISK_DISKLESS && !in->peers[i].client)
			other.peers[i] = gone();
	}
	cr_assert(in->had || have == quorum_compute(&other));
	if (in->quorum != QUORUM_MAJORITY || in->min_redundancy != QUORUM_OFF)
		return;
	/* Nor to hear that an absent node is harmless. */
	for (unsigned i = 0; i < in->peer_count; i++) {
		other = *in;
		if (in->peers[i].connected || in->peers[i].client)
			continue;
		other.peers[i].outdated = true;
		cr_assert(!have || quorum_compute(&other));
	}
}

Test(quorum, rules_hold_for_every_small_cluster)
{
	every_input(check_rules);
}

/* Some data node on this side of a full partition has quorum; the tie-breakers come last. */
static bool side_has(uint32_t option, unsigned data, unsigned ties, unsigned nodes)
{
	for (unsigned me = 0; me < data; me++) {
		struct quorum_input in = good(option);

		if (!(nodes >> me & 1))
			continue;
		for (unsigned p = 0; p < data + ties; p++) {
			bool near = nodes >> p & 1;

			if (p >= data)
				add(&in, tiebreaker(near));
			else if (p != me)
				add(&in, near ? here(DISK_UP_TO_DATE) : gone());
		}
		if (quorum_compute(&in))
			return true;
	}
	return false;
}

static void check_partitions(uint32_t option, unsigned data, unsigned ties)
{
	for (unsigned side = 0; side < 1U << (data + ties); side++)
		cr_assert_not(side_has(option, data, ties, side) &&
				      side_has(option, data, ties, ~side),
			      "%u data, %u ties, side %x", data, ties, side);
}

Test(quorum, at_most_one_side_of_a_partition)
{
	for (unsigned data = 1; data <= 5; data++) {
		for (unsigned ties = 0; ties <= 3; ties++) {
			check_partitions(QUORUM_MAJORITY, data, ties);
			check_partitions(QUORUM_ALL, data, ties);
		}
	}
}

/* ---- nodes ---- */

static void majority(struct core_conf *conf)
{
	conf->quorum = QUORUM_MAJORITY;
	conf->on_no_quorum = NO_QUORUM_SUSPEND;
}

static void majority_io_error(struct core_conf *conf)
{
	conf->quorum = QUORUM_MAJORITY;
	conf->on_no_quorum = NO_QUORUM_IO_ERROR;
}

static void off(struct core_conf *conf)
{
	conf->quorum = QUORUM_OFF;
}

/* Nodes 0 and 1 with data, 2 with or without; 0 is Primary. */
static struct pair *cluster(bool diskless, void (*tune)(struct core_conf *conf))
{
	struct pair *p = pair_new(&(struct pair_opts){ .nodes = 3, .diskless = diskless ? 4 : 0,
						       .tune = tune });

	pair_up_to_date(p);
	cr_assert(pair_core(p, 0)->st.vol[0].have_quorum, "%s", pair_describe(p));
	cr_assert(pair_core(p, 2)->st.vol[0].have_quorum, "%s", pair_describe(p));
	cr_assert_eq(pair_simple(p, 0, CMD_PRIMARY), SS_SUCCESS, "%s", pair_text(p));
	cr_assert_eq(pair_write(p, 0, 0, 8, 100), 0);
	return p;
}

static bool has_quorum(struct pair *p, unsigned node)
{
	return pair_core(p, node)->st.vol[0].have_quorum;
}

static uint64_t current(struct pair *p, unsigned node)
{
	return pair_core(p, node)->vol[0]->md.current_uuid & ~UUID_PRIMARY;
}

static void isolate(struct pair *p, unsigned node)
{
	for (unsigned n = 0; n < 3; n++) {
		if (n != node)
			pair_cut(p, node, n);
	}
	pair_pass_ms(p, 1000);
}

static void rejoin(struct pair *p, unsigned node)
{
	for (unsigned n = 0; n < 3; n++) {
		if (n != node)
			pair_heal(p, node, n);
	}
	pair_pass_ms(p, 30000);
}

Test(no_quorum, an_isolated_primary_holds_its_writes_until_it_is_back)
{
	struct pair *p = cluster(false, majority);
	uint64_t uuid = current(p, 0);

	/* One write is under way when the peers are lost, another one comes later. */
	pair_hold(p, 0, 1, STREAM_DATA, true);
	pair_submit_write(p, 0, 8, 8, 200);
	isolate(p, 0);
	pair_hold(p, 0, 1, STREAM_DATA, false);
	cr_assert_not(has_quorum(p, 0));
	cr_assert(pair_core(p, 0)->st.susp_quorum);
	cr_assert(pair_core(p, 0)->vol[0]->md.flags & MDF_PRIMARY_LOST_QUORUM);
	cr_assert_not(pair_core(p, 0)->vol[0]->md.flags & MDF_HAVE_QUORUM);
	pair_submit_write(p, 0, 16, 8, 300);
	pair_pass_ms(p, 60000);
	cr_assert_eq(pair_outstanding(p), 2, "%u", pair_outstanding(p));
	cr_assert_eq(current(p, 0), uuid, "no generation without quorum");
	cr_assert(has_quorum(p, 1));
	rejoin(p, 0);
	cr_assert_eq(pair_outstanding(p), 0, "%s", pair_describe(p));
	cr_assert_eq(pair_last_error(p), 0);
	cr_assert(pair_healthy(p), "%s", pair_describe(p));
	cr_assert(pair_same(p, 0, 1));
	cr_assert(pair_same(p, 0, 2));
	cr_assert_eq(pair_disk_tag(p, 1, 8), 200);
	cr_assert_not(pair_core(p, 0)->vol[0]->md.flags & MDF_PRIMARY_LOST_QUORUM);
	pair_free(p);
}

Test(no_quorum, with_io_error_writes_fail_at_once)
{
	struct pair *p = cluster(false, majority_io_error);

	pair_hold(p, 0, 1, STREAM_DATA, true);
	pair_submit_write(p, 0, 8, 8, 200);
	isolate(p, 0);
	pair_hold(p, 0, 1, STREAM_DATA, false);
	cr_assert_eq(pair_outstanding(p), 0);
	cr_assert_eq(pair_last_error(p), -EIO);
	cr_assert_eq(pair_write(p, 0, 16, 8, 300), -EIO);
	cr_assert_eq(pair_flush(p, 0), -EIO);
	cr_assert_gt(pair_out_of_sync(p, 0, 1), 0, "what failed may be here and not there");
	rejoin(p, 0);
	cr_assert(pair_healthy(p), "%s", pair_describe(p));
	cr_assert_eq(pair_write(p, 0, 16, 8, 300), 0);
	cr_assert(pair_same(p, 0, 1));
	cr_assert(pair_same(p, 0, 2));
	pair_free(p);
}

Test(no_quorum, the_majority_goes_on_and_the_old_primary_follows)
{
	struct pair *p = cluster(false, majority_io_error);

	isolate(p, 0);
	cr_assert_eq(pair_simple(p, 1, CMD_PRIMARY), SS_SUCCESS, "%s", pair_text(p));
	cr_assert_eq(pair_write(p, 1, 8, 8, 400), 0);
	cr_assert_eq(pair_write(p, 0, 8, 8, 300), -EIO);
	cr_assert_eq(pair_simple(p, 0, CMD_SECONDARY), SS_SUCCESS, "%s", pair_text(p));
	rejoin(p, 0);
	cr_assert(pair_healthy(p), "%s", pair_describe(p));
	cr_assert(pair_same(p, 0, 1));
	cr_assert_eq(pair_disk_tag(p, 0, 8), 400);
	pair_free(p);
}

Test(no_quorum, a_forced_demotion_fails_what_waits)
{
	struct pair *p = cluster(false, majority);
	struct ev_command force = { .cmd = CMD_SECONDARY, .force = true };

	isolate(p, 0);
	pair_submit_write(p, 0, 8, 8, 300);
	pair_pass_ms(p, 5000);
	cr_assert_eq(pair_outstanding(p), 1);
	cr_assert_eq(pair_command(p, 0, &force), SS_SUCCESS, "%s", pair_text(p));
	cr_assert_eq(pair_outstanding(p), 0);
	cr_assert_eq(pair_last_error(p), -EIO);
	rejoin(p, 0);
	cr_assert(pair_healthy(p), "%s", pair_describe(p));
	pair_free(p);
}

Test(no_quorum, a_minority_is_not_promoted_nor_opened)
{
	struct pair *p = cluster(false, majority);
	struct ev_command open = { .cmd = CMD_OPEN, .nonblock = true };

	isolate(p, 1);
	cr_assert_not(has_quorum(p, 1));
	cr_assert(has_quorum(p, 0));
	cr_assert_eq(pair_write(p, 0, 8, 8, 200), 0, "two of three go on");
	cr_assert_eq(pair_simple(p, 1, CMD_PRIMARY), SS_NO_QUORUM, "%s", pair_text(p));
	cr_assert(strstr(pair_text(p), "no quorum"), "%s", pair_text(p));
	cr_assert_eq(pair_command(p, 1, &open), -ENODATA);
	open.write = true;
	cr_assert_eq(pair_command(p, 1, &open), -ENODATA);
	pair_free(p);
}

Test(no_quorum, force_declares_the_absent_outdated)
{
	struct pair *p = cluster(false, majority);
	struct ev_command force = { .cmd = CMD_PRIMARY, .force = true };

	pair_crash(p, 0);
	pair_pass_ms(p, 1000);
	pair_crash(p, 2);
	pair_pass_ms(p, 5000);
	cr_assert_eq(pair_simple(p, 1, CMD_PRIMARY), SS_NO_QUORUM, "%s", pair_text(p));
	cr_assert_eq(pair_command(p, 1, &force), SS_SUCCESS, "%s", pair_text(p));
	cr_assert(has_quorum(p, 1));
	cr_assert_eq(pair_write(p, 1, 8, 8, 500), 0);
	pair_free(p);
}

Test(no_quorum, options_take_effect_at_once)
{
	struct pair *p = cluster(false, majority);

	isolate(p, 0);
	pair_submit_write(p, 0, 8, 8, 300);
	pair_run(p);
	cr_assert_eq(pair_outstanding(p), 1);
	pair_configure(p, 0, majority_io_error);
	pair_run(p);
	cr_assert_eq(pair_last_error(p), -EIO);
	pair_configure(p, 0, off);
	cr_assert_eq(pair_write(p, 0, 8, 8, 300), 0);
	pair_configure(p, 0, majority);
	cr_assert(pair_core(p, 0)->st.susp_quorum, "%s", pair_describe(p));
	pair_free(p);
}

/* ---- two nodes and a diskless one: oracle 12 ---- */

Test(tiebreaker, each_cut_leaves_one_side_with_quorum)
{
	for (unsigned alone = 0; alone < 3; alone++) {
		struct pair *p = cluster(true, majority_io_error);
		int rc;

		isolate(p, alone);
		rc = pair_write(p, 0, 8, 8, 200);
		cr_assert_eq(rc, alone == 0 ? -EIO : 0, "%u alone: %d, %s", alone, rc,
			     pair_describe(p));
		cr_assert_eq(has_quorum(p, 0), alone != 0);
		cr_assert_eq(has_quorum(p, 1), alone != 1);
		if (alone == 0)
			cr_assert_eq(pair_simple(p, 1, CMD_PRIMARY), SS_SUCCESS, "%s",
				     pair_text(p));
		pair_free(p);
	}
}

Test(tiebreaker, between_the_two_a_cut_makes_the_secondary_outdated)
{
	struct pair *p = cluster(true, majority_io_error);

	pair_cut(p, 0, 1);
	pair_pass_ms(p, 5000);
	cr_assert(has_quorum(p, 0));
	cr_assert_eq(pair_write(p, 0, 8, 8, 200), 0);
	cr_assert_eq(pair_disk(p, 1), DISK_OUTDATED, "%s", pair_describe(p));
	cr_assert_lt(pair_simple(p, 1, CMD_PRIMARY), SS_SUCCESS);
	rejoin(p, 0);
	cr_assert(pair_same(p, 0, 1), "%s", pair_describe(p));
	cr_assert_eq(pair_disk(p, 1), DISK_UP_TO_DATE, "%s", pair_describe(p));
	pair_free(p);
}

Test(tiebreaker, it_does_not_give_quorum_to_who_starts_with_it)
{
	struct pair *p = cluster(true, majority);

	pair_crash(p, 0);
	pair_pass_ms(p, 2000);
	pair_crash(p, 1);
	pair_pass_ms(p, 2000);
	pair_restart(p, 1);
	pair_pass_ms(p, 10000);
	cr_assert_eq(pair_conn(p, 1, 2), CONN_CONNECTED);
	cr_assert_not(has_quorum(p, 1), "%s", pair_describe(p));
	cr_assert_eq(pair_simple(p, 1, CMD_PRIMARY), SS_NO_QUORUM, "%s", pair_text(p));
	pair_free(p);
}

Test(tiebreaker, who_parts_from_both_has_no_quorum)
{
	struct pair *p = cluster(true, majority);

	cr_assert_eq(pair_simple(p, 0, CMD_SECONDARY), SS_SUCCESS, "%s", pair_text(p));
	cr_assert_geq(pair_peer_command(p, 0, CMD_DISCONNECT, 2), SS_SUCCESS, "%s", pair_text(p));
	cr_assert(has_quorum(p, 0));
	cr_assert_geq(pair_peer_command(p, 0, CMD_DISCONNECT, 1), SS_SUCCESS, "%s", pair_text(p));
	cr_assert_not(has_quorum(p, 0), "the members before it count: %s", pair_describe(p));
	cr_assert(has_quorum(p, 1), "%s", pair_describe(p));
	pair_free(p);
}

/* ---- restart ---- */

Test(restart, the_only_one_that_had_quorum_has_it_again)
{
	struct pair *p = cluster(false, majority);

	/* Each leaves in order: its data are Outdated, and the rest is a quorum. */
	cr_assert_geq(pair_peer_command(p, 0, CMD_DISCONNECT, 1), SS_SUCCESS, "%s", pair_text(p));
	cr_assert_geq(pair_peer_command(p, 2, CMD_DISCONNECT, 1), SS_SUCCESS, "%s", pair_text(p));
	cr_assert_geq(pair_peer_command(p, 0, CMD_DISCONNECT, 2), SS_SUCCESS, "%s", pair_text(p));
	cr_assert(has_quorum(p, 0), "%s", pair_describe(p));
	cr_assert_eq(pair_write(p, 0, 8, 8, 200), 0);
	cr_assert_eq(pair_simple(p, 0, CMD_SECONDARY), SS_SUCCESS, "%s", pair_text(p));
	pair_pass_ms(p, 10000);
	pair_cut(p, 0, 1);
	pair_cut(p, 0, 2);
	pair_crash(p, 0);
	pair_restart(p, 0);
	pair_pass_ms(p, 5000);
	cr_assert(has_quorum(p, 0), "%s", pair_describe(p));
	cr_assert_eq(pair_simple(p, 0, CMD_PRIMARY), SS_SUCCESS, "%s", pair_text(p));
	pair_free(p);
}

Test(restart, a_crashed_primary_alone_has_none)
{
	struct pair *p = cluster(false, majority);

	pair_crash(p, 0);
	pair_cut(p, 0, 1);
	pair_cut(p, 0, 2);
	pair_pass_ms(p, 5000);
	pair_restart(p, 0);
	pair_pass_ms(p, 5000);
	cr_assert_not(has_quorum(p, 0), "%s", pair_describe(p));
	cr_assert_eq(pair_simple(p, 0, CMD_PRIMARY), SS_NO_QUORUM, "%s", pair_text(p));
	cr_assert_eq(pair_simple(p, 1, CMD_PRIMARY), SS_SUCCESS, "%s", pair_text(p));
	pair_free(p);
}

Test(restart, the_mark_of_lost_quorum_survives)
{
	struct pair *p = cluster(false, majority);

	isolate(p, 0);
	pair_submit_write(p, 0, 8, 8, 300);
	pair_pass_ms(p, 10000);
	pair_crash(p, 0);
	pair_restart(p, 0);
	pair_pass_ms(p, 5000);
	cr_assert(pair_core(p, 0)->vol[0]->lost_quorum);
	rejoin(p, 0);
	cr_assert_not(pair_core(p, 0)->vol[0]->lost_quorum);
	cr_assert(pair_healthy(p), "%s", pair_describe(p));
	cr_assert(pair_same(p, 0, 1));
	pair_free(p);
}

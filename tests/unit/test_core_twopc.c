/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Two-phase commit: initiator, participant, forwarder;
 * concurrent initiators, losses, duplicates, outdating. */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "core/core_hooks.h"
#include "core/core_int.h"
#include "core/state.h"
#include "core/twopc.h"
#include "../lib/core_pair.h"

static struct pair *nodes(unsigned count, uint64_t seed)
{
	struct pair *p = pair_new(&(struct pair_opts){ .nodes = count, .seed = seed });

	pair_up_to_date(p);
	cr_assert(pair_wait(p, 10000, pair_healthy), "%s", pair_describe(p));
	return p;
}

/* n0 - n1 - n2: the ends do not see each other. */
static struct pair *chain(uint64_t seed)
{
	struct pair *p = pair_new(&(struct pair_opts){ .nodes = 3, .seed = seed });
	struct ev_command ev = { .cmd = CMD_NEW_CURRENT_UUID, .clear_bitmap = true };

	pair_cut(p, 0, 2);
	pair_up(p);
	cr_assert_geq(pair_command(p, 1, &ev), SS_SUCCESS, "%s", pair_text(p));
	pair_pass_ms(p, 1000);
	cr_assert_eq(pair_disk(p, 0), DISK_UP_TO_DATE, "%s", pair_describe(p));
	cr_assert_eq(pair_disk(p, 2), DISK_UP_TO_DATE, "%s", pair_describe(p));
	return p;
}

static bool idle(struct pair *p, unsigned node)
{
	return pair_core(p, node)->twopc.phase == TWOPC_IDLE;
}

Test(mesh, everybody_takes_part)
{
	struct pair *p = nodes(3, 0);
	unsigned before[3][3];

	for (unsigned a = 0; a < 3; a++) {
		for (unsigned b = 0; b < 3; b++)
			before[a][b] = pair_sent(p, a, b, P_TWOPC_PREPARE);
	}
	cr_assert_eq(pair_simple(p, 2, CMD_PRIMARY), SS_SUCCESS);
	cr_assert_eq(pair_sent(p, 2, 0, P_TWOPC_PREPARE), before[2][0] + 1);
	cr_assert_eq(pair_sent(p, 2, 1, P_TWOPC_PREPARE), before[2][1] + 1);
	/* Whom the initiator reaches itself nobody else asks. */
	cr_assert_eq(pair_sent(p, 0, 1, P_TWOPC_PREPARE), before[0][1]);
	cr_assert_eq(pair_sent(p, 1, 0, P_TWOPC_PREPARE), before[1][0]);
	for (unsigned i = 0; i < 3; i++)
		cr_assert(idle(p, i));
	cr_assert_eq(pair_core(p, 0)->st.peer[2].role, ROLE_PRIMARY);
	pair_free(p);
}

Test(mesh, concurrent_promotions_have_one_winner)
{
	for (uint64_t seed = 1; seed <= 40; seed++) {
		struct pair *p = nodes(3, seed);
		struct ev_command ev = { .cmd = CMD_PRIMARY };
		uint64_t cookie[3];
		unsigned primaries = 0;

		for (unsigned i = 0; i < 3; i++)
			cookie[i] = pair_submit_command(p, i, &ev);
		pair_pass_ms(p, 20000);
		for (unsigned i = 0; i < 3; i++) {
			int rc = 0;

			cr_assert(pair_replied(p, cookie[i], &rc), "seed %d node %u", (int)seed, i);
			cr_assert_eq(rc == SS_SUCCESS, pair_role(p, i) == ROLE_PRIMARY);
			primaries += rc == SS_SUCCESS;
		}
		cr_assert_eq(primaries, 1, "seed %d: %u", (int)seed, primaries);
		pair_free(p);
	}
}

Test(mesh, concurrent_disconnects_end)
{
	for (uint64_t seed = 1; seed <= 20; seed++) {
		struct pair *p = nodes(3, seed);
		uint64_t cookie[3];

		for (unsigned i = 0; i < 3; i++) {
			struct ev_command ev = { .cmd = CMD_DISCONNECT,
						 .peer = (uint8_t)((i + 1) % 3) };

			cookie[i] = pair_submit_command(p, i, &ev);
		}
		pair_pass_ms(p, 20000);
		for (unsigned i = 0; i < 3; i++) {
			int rc = 0;

			cr_assert(pair_replied(p, cookie[i], &rc), "seed %d", (int)seed);
			cr_assert_geq(rc, SS_SUCCESS, "seed %d: %d", (int)seed, rc);
			cr_assert_eq(pair_conn(p, i, (i + 1) % 3), CONN_STANDALONE);
		}
		pair_free(p);
	}
}

Test(mesh, everybody_reconnects_after_everything_was_cut)
{
	for (uint64_t seed = 1; seed <= 20; seed++) {
		struct pair *p = nodes(4, seed);

		for (unsigned round = 0; round < 3; round++) {
			for (unsigned a = 0; a < 4; a++) {
				for (unsigned b = a + 1; b < 4; b++) {
					pair_cut(p, a, b);
					pair_heal(p, a, b);
				}
			}
			cr_assert(pair_wait(p, 30000, pair_healthy), "seed %d\n%s", (int)seed,
				  pair_describe(p));
		}
		pair_free(p);
	}
}

Test(loss, an_answer_that_never_comes)
{
	struct pair *p = nodes(3, 0);
	struct ev_command ev = { .cmd = CMD_PRIMARY };
	uint64_t cookie;
	int rc = 0;

	pair_hold(p, 1, 0, STREAM_CONTROL, true);
	cookie = pair_submit_command(p, 0, &ev);
	pair_pass_ms(p, 5000);
	/* The silent peer was dropped by its ping, the rest agreed. */
	cr_assert(pair_replied(p, cookie, &rc));
	cr_assert_eq(rc, SS_SUCCESS, "%d %s", rc, pair_text(p));
	cr_assert_neq(pair_conn(p, 0, 1), CONN_CONNECTED);
	pair_free(p);
}

Test(loss, the_initiator_dies_between_prepare_and_commit)
{
	struct pair *p = nodes(3, 0);
	struct ev_command ev = { .cmd = CMD_PRIMARY };

	pair_hold(p, 1, 0, STREAM_CONTROL, true);
	pair_hold(p, 2, 0, STREAM_CONTROL, true);
	/* The pings before the promotion are not answered:
	 * the transaction starts after their time. */
	pair_submit_command(p, 0, &ev);
	pair_pass_ms(p, 10);
	pair_crash(p, 0);
	pair_pass_ms(p, 100);
	cr_assert(idle(p, 1));
	cr_assert(idle(p, 2));
	cr_assert_eq(pair_simple(p, 1, CMD_PRIMARY), SS_SUCCESS, "%s", pair_text(p));
	pair_free(p);
}

Test(loss, a_prepared_participant_forgets_after_the_timeout)
{
	struct pair *p = nodes(2, 0);
	struct pkt pkt = { .type = P_TWOPC_PREPARE, .vnr = VNR_NONE };

	pkt.u.twopc.tid = 4711;
	pkt.u.twopc.flags = TWOPC_FLAG_V2 | TWOPC_FLAG_HAS_REACHABLE;
	pkt.u.twopc.initiator = 0;
	pkt.u.twopc.target = -1;
	pkt.u.twopc.nodes_to_reach = ~UINT64_C(3);
	pkt.u.twopc.mask = SW_ROLE_MASK;
	pkt.u.twopc.val = ROLE_PRIMARY;
	pair_inject(p, 0, 1, STREAM_DATA, &pkt);
	pair_run(p);
	cr_assert_eq(pair_core(p, 1)->twopc.phase, TWOPC_ANSWERED);
	pair_pass_ms(p, 29000);
	cr_assert_eq(pair_core(p, 1)->twopc.phase, TWOPC_ANSWERED);
	pair_pass_ms(p, 2000);
	cr_assert(idle(p, 1));
	/* A late COMMIT of it means nothing any more. */
	pkt.type = P_TWOPC_COMMIT;
	pkt.u.twopc.primary_nodes = 1;
	pair_inject(p, 0, 1, STREAM_DATA, &pkt);
	pair_run(p);
	cr_assert_eq(pair_core(p, 1)->st.peer[0].role, ROLE_SECONDARY);
	cr_assert(pair_healthy(p));
	pair_free(p);
}

Test(participant, busy_means_retry)
{
	struct pair *p = nodes(2, 0);
	struct pkt pkt = { .type = P_TWOPC_PREPARE, .vnr = VNR_NONE };
	unsigned retries = pair_sent(p, 1, 0, P_TWOPC_RETRY);

	pkt.u.twopc.tid = 1;
	pkt.u.twopc.flags = TWOPC_FLAG_V2;
	pkt.u.twopc.target = -1;
	pkt.u.twopc.nodes_to_reach = ~UINT64_C(3);
	pair_inject(p, 0, 1, STREAM_DATA, &pkt);
	pkt.u.twopc.tid = 2;
	pair_inject(p, 0, 1, STREAM_DATA, &pkt);
	pair_run(p);
	cr_assert_eq(pair_sent(p, 1, 0, P_TWOPC_RETRY), retries + 1);
	pair_free(p);
}

Test(participant, the_same_transaction_twice_is_answered_twice)
{
	struct pair *p = nodes(2, 0);
	struct pkt pkt = { .type = P_TWOPC_PREPARE, .vnr = VNR_NONE };
	unsigned yes = pair_sent(p, 1, 0, P_TWOPC_YES);

	pkt.u.twopc.tid = 1;
	pkt.u.twopc.flags = TWOPC_FLAG_V2;
	pkt.u.twopc.target = -1;
	pair_inject(p, 0, 1, STREAM_DATA, &pkt);
	pair_inject(p, 0, 1, STREAM_DATA, &pkt);
	pair_run(p);
	cr_assert_eq(pair_sent(p, 1, 0, P_TWOPC_YES), yes + 2);
	pkt.type = P_TWOPC_ABORT;
	pair_inject(p, 0, 1, STREAM_DATA, &pkt);
	pair_run(p);
	cr_assert(idle(p, 1));
	pair_free(p);
}

Test(participant, what_is_not_supported_is_refused)
{
	static const struct {
		uint16_t type, vnr;
		int8_t target;
		uint32_t mask, val;
	} cases[] = {
		{ P_TWOPC_PREP_RSZ, VNR_NONE, -1, 0, 0 },
		{ P_TWOPC_PREP_RSZ, 0, 1, 0, 0 },
		{ P_TWOPC_PREPARE, 0, 1, SW_CONN_MASK, REPL_VERIFY_S << SW_CONN_SHIFT },
		{ P_TWOPC_PREPARE, 0, 1, SW_CONN_MASK, REPL_OFF << SW_CONN_SHIFT },
		{ P_TWOPC_PREPARE, VNR_NONE, -1, SW_CONN_MASK, CONN_CONNECTED << SW_CONN_SHIFT },
		{ P_TWOPC_PREPARE, VNR_NONE, 1, SW_CONN_MASK, CONN_TIMEOUT << SW_CONN_SHIFT },
		{ P_TWOPC_PREPARE, VNR_NONE, -1, SW_ROLE_MASK, 0 },
		{ P_TWOPC_PREPARE, VNR_NONE, -1, SW_ROLE_MASK, 3 },
		{ P_TWOPC_PREPARE, VNR_NONE, -1, SW_DISK_MASK, DISK_FAILED << SW_DISK_SHIFT },
		{ P_TWOPC_PREPARE, 0, -1, SW_DISK_MASK, 15U << SW_DISK_SHIFT },
	};

	for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
		struct pair *p = nodes(2, 0);
		struct pkt pkt = { .type = cases[i].type, .vnr = cases[i].vnr };

		pkt.u.twopc.tid = 1;
		pkt.u.twopc.flags = TWOPC_FLAG_V2;
		pkt.u.twopc.target = cases[i].target;
		pkt.u.twopc.mask = cases[i].mask;
		pkt.u.twopc.val = cases[i].val;
		pair_inject(p, 0, 1, STREAM_DATA, &pkt);
		pair_run(p);
		cr_assert_eq(pair_sent(p, 1, 0, P_TWOPC_NO), 1, "case %u", i);
		cr_assert(idle(p, 1), "case %u", i);
		cr_assert_eq(pair_conn(p, 1, 0), CONN_CONNECTED);
		pair_free(p);
	}
}

Test(participant, commit_without_consent_ends_the_connection)
{
	struct pair *p = nodes(3, 0);
	struct pkt pkt = { .type = P_TWOPC_PREPARE, .vnr = VNR_NONE };

	/* Forwarded and not answered: node 2 keeps its answer back. */
	pair_hold(p, 2, 1, STREAM_CONTROL, true);
	pkt.u.twopc.tid = 9;
	pkt.u.twopc.flags = TWOPC_FLAG_V2;
	pkt.u.twopc.target = -1;
	pkt.u.twopc.nodes_to_reach = 4;
	pair_inject(p, 0, 1, STREAM_DATA, &pkt);
	pair_run(p);
	cr_assert_eq(pair_core(p, 1)->twopc.phase, TWOPC_FORWARDING);
	pkt.type = P_TWOPC_COMMIT;
	pair_inject(p, 0, 1, STREAM_DATA, &pkt);
	pair_run(p);
	cr_assert_neq(pair_core(p, 1)->twopc.phase, TWOPC_FORWARDING);
	pair_free(p);
}

Test(chain, promotion_reaches_the_far_end_and_outdates_it)
{
	struct pair *p = chain(0);

	cr_assert_eq(pair_simple(p, 0, CMD_PRIMARY), SS_SUCCESS, "%s", pair_text(p));
	/* It will not hear of what the Primary writes. */
	cr_assert_eq(pair_disk(p, 2), DISK_OUTDATED, "%s", pair_describe(p));
	cr_assert_eq(pair_disk(p, 1), DISK_UP_TO_DATE);
	cr_assert_eq(pair_simple(p, 2, CMD_PRIMARY) < SS_SUCCESS, 1);
	pair_free(p);
}

Test(chain, the_far_end_refuses_a_second_primary)
{
	struct pair *p = chain(0);
	struct pkt pkt = { .type = P_TWOPC_PREPARE, .vnr = VNR_NONE };

	cr_assert_eq(pair_simple(p, 0, CMD_PRIMARY), SS_SUCCESS);
	/* As if node 2 asked although it is Outdated: node 1 forwards, both know better. */
	pkt.u.twopc.tid = 5;
	pkt.u.twopc.flags = TWOPC_FLAG_V2;
	pkt.u.twopc.initiator = 2;
	pkt.u.twopc.target = -1;
	pkt.u.twopc.nodes_to_reach = ~UINT64_C(6);
	pkt.u.twopc.mask = SW_ROLE_MASK;
	pkt.u.twopc.val = ROLE_PRIMARY;
	pair_inject(p, 2, 1, STREAM_DATA, &pkt);
	pair_run(p);
	cr_assert_eq(pair_sent(p, 1, 2, P_TWOPC_NO), 1);
	pair_free(p);
}

Test(chain, closing_the_ring_heals_the_outdated_end)
{
	for (uint64_t seed = 0; seed < 10; seed++) {
		struct pair *p = chain(seed);

		cr_assert_eq(pair_simple(p, 0, CMD_PRIMARY), SS_SUCCESS);
		cr_assert_eq(pair_write(p, 0, 0, 8, 42), 0);
		pair_heal(p, 0, 2);
		cr_assert(pair_wait(p, 60000, pair_healthy), "seed %d\n%s", (int)seed,
			  pair_describe(p));
		cr_assert(pair_same(p, 0, 2));
		pair_free(p);
	}
}

Test(chain, members_follow_the_reachable_nodes)
{
	struct pair *p = chain(0);

	cr_assert_eq(pair_simple(p, 0, CMD_PRIMARY), SS_SUCCESS);
	for (unsigned i = 0; i < 3; i++)
		cr_assert_eq(pair_core(p, i)->members, 7, "node %u: %llx", i,
			     (unsigned long long)pair_core(p, i)->members);
	pair_free(p);
}

Test(outdating, a_lost_secondary_keeps_its_data)
{
	struct pair *p = nodes(3, 0);

	cr_assert_eq(pair_simple(p, 0, CMD_PRIMARY), SS_SUCCESS);
	pair_crash(p, 1);
	pair_pass_ms(p, 1000);
	cr_assert_eq(pair_disk(p, 0), DISK_UP_TO_DATE);
	cr_assert_eq(pair_disk(p, 2), DISK_UP_TO_DATE);
	pair_free(p);
}

Test(outdating, the_cut_off_secondary_learns_it_through_the_third)
{
	struct pair *p = nodes(3, 0);

	cr_assert_eq(pair_simple(p, 0, CMD_PRIMARY), SS_SUCCESS);
	cr_assert_eq(pair_write(p, 0, 0, 8, 1), 0);
	/* Node 1 loses the Primary, node 2 still sees both. */
	pair_cut(p, 0, 1);
	pair_pass_ms(p, 1000);
	cr_assert_eq(pair_disk(p, 1), DISK_OUTDATED, "%s", pair_describe(p));
	cr_assert_eq(pair_disk(p, 2), DISK_UP_TO_DATE);
	cr_assert_lt(pair_simple(p, 1, CMD_PRIMARY), SS_SUCCESS);
	cr_assert_eq(pair_write(p, 0, 8, 8, 2), 0);
	pair_heal(p, 0, 1);
	cr_assert(pair_wait(p, 30000, pair_healthy), "%s", pair_describe(p));
	cr_assert(pair_same(p, 0, 1));
	pair_free(p);
}

Test(change, kinds_are_recognised)
{
	struct pkt pkt = { .type = P_TWOPC_PREPARE, .vnr = VNR_NONE };
	struct twopc_change c;

	pkt.u.twopc.target = -1;
	cr_assert(twopc_change_parse(&pkt, &c));
	cr_assert_eq(c.kind, TWOPC_EMPTY);
	pkt.u.twopc.mask = 0x1e03; /* forced promotion as kernels send it */
	pkt.u.twopc.val = 0x1201;
	cr_assert(twopc_change_parse(&pkt, &c));
	cr_assert_eq(c.kind, TWOPC_ROLE);
	pkt.u.twopc.target = 1;
	pkt.u.twopc.mask = 0x1f3;
	pkt.u.twopc.val = 0x92;
	cr_assert(twopc_change_parse(&pkt, &c));
	cr_assert_eq(c.kind, TWOPC_CONNECT);
	pkt.u.twopc.mask = 0x1f0;
	pkt.u.twopc.val = 0x10;
	cr_assert(twopc_change_parse(&pkt, &c));
	cr_assert_eq(c.kind, TWOPC_DISCONNECT);
	pkt.vnr = 0;
	pkt.u.twopc.val = 0xe0;
	cr_assert(twopc_change_parse(&pkt, &c));
	cr_assert_eq(c.kind, TWOPC_REPL);
	pkt.u.twopc.target = -1;
	pkt.u.twopc.mask = 0x1e00;
	pkt.u.twopc.val = 0x800;
	cr_assert(twopc_change_parse(&pkt, &c));
	cr_assert_eq(c.kind, TWOPC_DISK);
}

/* The loss of a Primary asked for it that is back, and goes on elsewhere without its disk. */
Test(twopc, an_empty_change_that_settles_nothing_leaves_room_for_others)
{
	struct pair *p = pair_new(&(struct pair_opts){ .nodes = 2 });
	struct core *core = pair_core(p, 0);

	pair_up_to_date(p);
	cr_assert_geq(pair_simple(p, 1, CMD_PRIMARY), SS_SUCCESS, "%s", pair_text(p));
	cr_assert_geq(pair_simple(p, 1, CMD_DETACH), SS_SUCCESS, "%s", pair_text(p));
	core->peer[1]->pd[0].current_uuid_rx = 0x1110;
	state_begin(core)->vol[0].disk = DISK_CONSISTENT;
	state_end(core, STATE_HARD);
	twopc_request_empty(core);
	cr_assert(pair_run(p), "without end");
	cr_assert_eq(pair_disk(p, 0), DISK_CONSISTENT);
	pair_free(p);
}

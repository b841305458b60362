/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Verify by verify-interval, between whole cores: when, by whom, and what is told of it. */
#include <criterion/criterion.h>
#include <string.h>

#include "core/core_int.h"
#include "../lib/core_pair_int.h"

#define BLOCKS (PAIR_SECTORS / BM_BLOCK_SECTORS)
#define INTERVAL_S 600U

static uint32_t interval_s;
static uint32_t max_rate_kib;
static unsigned told;
static char reason[STATUS_REASON_MAX];

static void changed(void *ctx, const struct state_change *change)
{
	(void)ctx;
	if (change->what != CHANGE_DIFFERS)
		return;
	told++;
	cr_assert_eq(change->to, 1);
	strcpy(reason, change->reason);
}

static void tune(struct core_conf *conf)
{
	conf->verify_interval_s = interval_s;
	conf->changed = changed;
	conf->volumes[0].disk.c_max_rate_kib = max_rate_kib;
	for (unsigned i = 0; i < conf->peer_count; i++)
		strcpy(conf->peers[i].net.verify_alg, "crc32c");
}

static struct pair *start(unsigned nodes, uint64_t seed)
{
	struct pair *p;

	told = 0;
	interval_s = INTERVAL_S;
	max_rate_kib = 102400;
	p = pair_new(&(struct pair_opts){ .nodes = nodes, .seed = seed, .tune = tune });
	pair_up_to_date(p);
	return p;
}

static void pass_s(struct pair *p, unsigned s)
{
	for (unsigned i = 0; i < s; i++)
		pair_pass_ms(p, 1000);
}

static unsigned asked(struct pair *p, unsigned a, unsigned b)
{
	return pair_sent(p, a, b, P_OV_DAGTAG_REQ) + pair_sent(p, b, a, P_OV_DAGTAG_REQ);
}

static const struct status_verify *status_of(struct pair *p, unsigned node)
{
	static struct resource_status s;

	core_status(pair_core(p, node), &s);
	return &s.peers[0].devices[0].verify;
}

Test(verify_schedule, every_pair_is_compared_once_in_the_interval)
{
	struct pair *p = start(3, 0);

	for (unsigned round = 1; round <= 3; round++) {
		/* An eighth of it is jitter; the first one comes earlier. */
		pass_s(p, round == 1 ? INTERVAL_S + 60 : INTERVAL_S + INTERVAL_S / 8);
		for (unsigned a = 0; a < 3; a++) {
			for (unsigned b = a + 1; b < 3; b++) {
				cr_assert_geq(asked(p, a, b), round * BLOCKS, "%u: %u %u", round,
					      a, b);
				cr_assert_leq(asked(p, a, b), (round + 1) * BLOCKS);
			}
		}
	}
	cr_assert(pair_healthy(p), "%s", pair_describe(p));
	pair_free(p);
}

Test(verify_schedule, only_when_it_is_asked_for_and_agreed_on)
{
	struct pair *p = start(2, 0);

	interval_s = 0;
	pair_configure(p, 0, tune);
	pair_configure(p, 1, tune);
	pass_s(p, 2 * INTERVAL_S);
	cr_assert_eq(asked(p, 0, 1), 0);
	cr_assert_eq(status_of(p, 0)->next_ns, UINT64_MAX);
	/* And by one node for both. */
	interval_s = INTERVAL_S;
	pair_configure(p, 1, tune);
	pass_s(p, INTERVAL_S + 60);
	cr_assert_geq(pair_sent(p, 1, 0, P_OV_DAGTAG_REQ), BLOCKS);
	cr_assert_eq(pair_sent(p, 0, 1, P_OV_DAGTAG_REQ), 0);
	cr_assert_gt(status_of(p, 1)->next_ns, p->now_ns);
	cr_assert_neq(status_of(p, 1)->next_ns, UINT64_MAX);
	cr_assert(status_of(p, 0)->last_whole, "its peer has compared");
	pair_free(p);
}

static bool runs(struct pair *p)
{
	return pair_repl(p, 0, 1) == REPL_VERIFY_S || pair_repl(p, 0, 1) == REPL_VERIFY_T;
}

Test(verify_schedule, one_that_is_cut_off_goes_on_where_it_was)
{
	struct pair *p = start(2, 0);

	max_rate_kib = 4096;
	pair_configure(p, 0, tune);
	interval_s = 0;
	pair_configure(p, 1, tune);
	cr_assert(pair_wait(p, INTERVAL_S * 1000, runs));
	pass_s(p, 4);
	pair_cut(p, 0, 1);
	pass_s(p, 20);
	cr_assert_lt(asked(p, 0, 1), BLOCKS);
	cr_assert_not(status_of(p, 0)->last_whole);
	pair_heal(p, 0, 1);
	/* It is tried again soon, not in the next interval. */
	pass_s(p, 90);
	cr_assert(status_of(p, 0)->last_whole, "%s", pair_describe(p));
	cr_assert_leq(asked(p, 0, 1), BLOCKS + 512, "%u", asked(p, 0, 1));
	pair_free(p);
}

Test(verify_schedule, what_it_finds_is_told)
{
	struct pair *p = start(2, 0);

	p->node[1].store.tags[10 * BM_BLOCK_SECTORS + 3] ^= 0xbad;
	p->node[1].store.tags[11 * BM_BLOCK_SECTORS + 3] ^= 0xbad;
	pass_s(p, INTERVAL_S + 60);
	for (unsigned node = 0; node < 2; node++) {
		const struct status_verify *v = status_of(p, node);

		cr_assert(v->unresolved);
		cr_assert(v->last_whole);
		cr_assert_eq(v->last_found_bits, 2);
		cr_assert_eq(v->last_skipped_bits, 0);
		cr_assert_gt(v->last_ended_ns, 0);
		cr_assert_eq(pair_out_of_sync(p, node, 1 - node), 16);
	}
	cr_assert_geq(told, 2, "by both nodes");
	cr_assert_str_eq(reason, "verify found 8 KiB that differ");
	pair_free(p);
}

/* A range by command is none of all; one up to the end that went on where another was is. */
Test(verify_schedule, a_part_does_not_count)
{
	struct pair *p = start(2, 0);
	struct ev_command part = { .cmd = CMD_VERIFY, .peer = 1, .has_start = true,
				   .start_sector = 800 };

	interval_s = 0;
	pair_configure(p, 0, tune);
	pair_configure(p, 1, tune);
	cr_assert_geq(pair_command(p, 0, &part), SS_SUCCESS, "%s", pair_text(p));
	pass_s(p, 60);
	cr_assert_gt(status_of(p, 0)->last_ended_ns, 0);
	cr_assert_not(status_of(p, 0)->last_whole);
	part.start_sector = 0;
	part.stop_sector = 800;
	cr_assert_geq(pair_command(p, 0, &part), SS_SUCCESS, "%s", pair_text(p));
	pass_s(p, 60);
	cr_assert_not(status_of(p, 0)->last_whole);
	cr_assert_geq(pair_command(p, 0, &(struct ev_command){ .cmd = CMD_VERIFY, .peer = 1 }),
		      SS_SUCCESS, "%s", pair_text(p));
	pass_s(p, 60);
	cr_assert(status_of(p, 0)->last_whole);
	pair_free(p);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* State rules and sanitizing, as pure functions over many states; the state word. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "base/prng.h"
#include "core/core_int.h"
#include "core/state.h"
#include "../lib/core_pair.h"

/* ---- hard rules: every pair of connection states ---- */

static bool conn_step_legal(enum conn_state was, enum conn_state is)
{
	if (was == is)
		return true;
	switch (was) {
	case CONN_STANDALONE:
		return is == CONN_UNCONNECTED;
	case CONN_DISCONNECTING:
		return is == CONN_STANDALONE;
	case CONN_TIMEOUT:
	case CONN_BROKEN_PIPE:
	case CONN_NETWORK_FAILURE:
	case CONN_PROTOCOL_ERROR:
	case CONN_TEAR_DOWN:
		return is == CONN_UNCONNECTED || is == CONN_DISCONNECTING;
	case CONN_UNCONNECTED:
	case CONN_CONNECTING:
	case CONN_CONNECTED:
		break;
	}
	return true;
}

Test(hard, connection_states)
{
	struct pair *p = pair_new(&(struct pair_opts){ 0 });
	struct core *core = pair_core(p, 0);
	struct state *old = malloc(sizeof(*old)), *next = malloc(sizeof(*next));

	for (int was = CONN_STANDALONE; was <= CONN_CONNECTED; was++) {
		for (int is = CONN_STANDALONE; is <= CONN_CONNECTED; is++) {
			*old = *next = core->st;
			old->peer[1].conn = (enum conn_state)was;
			next->peer[1].conn = (enum conn_state)is;
			cr_assert_eq(state_check_hard(core, old, next) >= SS_SUCCESS,
				     conn_step_legal(was, is), "%s -> %s", conn_state_name(was),
				     conn_state_name(is));
		}
	}
	*old = *next = core->st;
	next->vol[0].disk = DISK_FAILED;
	cr_assert_eq(state_check_hard(core, old, next), SS_IS_DISKLESS);
	free(old);
	free(next);
	pair_free(p);
}

/* ---- soft rules, one by one from a good state ---- */

struct rules {
	struct pair *p;
	struct core *core;
	struct state old, next;
};

static struct rules *rules_new(void)
{
	struct rules *r = calloc(1, sizeof(*r));

	r->p = pair_new(&(struct pair_opts){ 0 });
	pair_up_to_date(r->p);
	r->core = pair_core(r->p, 0);
	r->old = r->next = r->core->st;
	return r;
}

static enum state_rv judge(struct rules *r)
{
	enum state_rv rv = state_check_soft(r->core, &r->old, &r->next);

	r->old = r->next = r->core->st;
	return rv;
}

static void rules_free(struct rules *r)
{
	pair_free(r->p);
	free(r);
}

Test(soft, roles)
{
	struct rules *r = rules_new();

	cr_assert_geq(judge(r), SS_SUCCESS);
	r->next.role = ROLE_PRIMARY;
	cr_assert_geq(judge(r), SS_SUCCESS);
	r->old.peer[1].role = r->next.peer[1].role = ROLE_PRIMARY;
	r->next.role = ROLE_PRIMARY;
	cr_assert_eq(judge(r), SS_TWO_PRIMARIES);
	r->old.role = r->next.role = ROLE_PRIMARY;
	r->next.peer[1].role = ROLE_PRIMARY;
	cr_assert_eq(judge(r), SS_TWO_PRIMARIES);
	r->core->vol[0]->open_ro = 1;
	r->next.peer[1].role = ROLE_PRIMARY;
	cr_assert_eq(judge(r), SS_PRIMARY_READER);
	r->core->vol[0]->open_ro = 0;
	r->core->vol[0]->open_rw = 1;
	r->old.role = ROLE_PRIMARY;
	cr_assert_eq(judge(r), SS_DEVICE_IN_USE);
	r->core->commands.ignore_openers = true;
	r->old.role = ROLE_PRIMARY;
	cr_assert_geq(judge(r), SS_SUCCESS);
	r->core->commands.ignore_openers = false;
	r->core->vol[0]->open_rw = 0;
	rules_free(r);
}

Test(soft, data_must_stay_accessible)
{
	struct rules *r = rules_new();

	r->next.role = ROLE_PRIMARY;
	r->next.vol[0].disk = DISK_DISKLESS;
	cr_assert_geq(judge(r), SS_SUCCESS, "the peer has it");
	r->next.role = ROLE_PRIMARY;
	r->next.vol[0].disk = DISK_DISKLESS;
	r->next.pd[1][0].pdsk = DISK_OUTDATED;
	cr_assert_eq(judge(r), SS_NO_UP_TO_DATE_DISK);
	/* It was so already: no worse than before. */
	r->old.role = r->next.role = ROLE_PRIMARY;
	r->old.vol[0].disk = r->next.vol[0].disk = DISK_DISKLESS;
	r->old.pd[1][0].pdsk = r->next.pd[1][0].pdsk = DISK_OUTDATED;
	cr_assert_geq(judge(r), SS_SUCCESS);
	r->core->vol[0]->open_ro = 1;
	r->next.vol[0].disk = DISK_INCONSISTENT;
	r->next.pd[1][0].pdsk = DISK_INCONSISTENT;
	cr_assert_eq(judge(r), SS_NO_UP_TO_DATE_DISK);
	r->core->vol[0]->open_ro = 0;
	rules_free(r);
}

Test(soft, outdating)
{
	struct rules *r = rules_new();

	r->next.vol[0].disk = DISK_OUTDATED;
	cr_assert_geq(judge(r), SS_SUCCESS);
	r->old.peer[1].role = r->next.peer[1].role = ROLE_PRIMARY;
	r->next.vol[0].disk = DISK_OUTDATED;
	cr_assert_eq(judge(r), SS_CONNECTED_OUTDATES);
	r->old.peer[1].conn = CONN_CONNECTING;
	r->old.peer[1].role = ROLE_UNKNOWN;
	r->next.peer[1].role = ROLE_PRIMARY;
	r->next.peer[1].conn = CONN_CONNECTED;
	r->next.vol[0].disk = DISK_OUTDATED;
	cr_assert_geq(judge(r), SS_SUCCESS, "a Primary that comes has newer data");
	r->old.peer[1].role = r->next.peer[1].role = ROLE_PRIMARY;
	r->next.vol[0].disk = DISK_OUTDATED;
	r->next.pd[1][0].repl = REPL_WF_BITMAP_T;
	cr_assert_geq(judge(r), SS_SUCCESS);
	r->old.vol[0].disk = DISK_INCONSISTENT;
	r->next.vol[0].disk = DISK_OUTDATED;
	cr_assert_eq(judge(r), SS_LOWER_THAN_OUTDATED);
	r->old.vol[0].disk = DISK_INCONSISTENT;
	r->old.pd[1][0].repl = REPL_SYNC_TARGET;
	r->next.vol[0].disk = DISK_OUTDATED;
	cr_assert_geq(judge(r), SS_SUCCESS, "the end of a resync from an Outdated source");
	rules_free(r);
}

Test(soft, resync)
{
	struct rules *r = rules_new();

	r->next.pd[1][0].repl = REPL_STARTING_SYNC_T;
	cr_assert_geq(judge(r), SS_SUCCESS);
	r->old.pd[1][0].repl = REPL_SYNC_SOURCE;
	r->next.pd[1][0].repl = REPL_STARTING_SYNC_S;
	cr_assert_eq(judge(r), SS_RESYNC_RUNNING);
	r->old.pd[1][0].repl = REPL_SYNC_SOURCE;
	r->next.pd[1][0].repl = REPL_WF_BITMAP_S;
	cr_assert_eq(judge(r), SS_RESYNC_RUNNING);
	r->old.pd[1][0].repl = REPL_PAUSED_SYNC_T;
	r->next.pd[1][0].repl = REPL_WF_BITMAP_T;
	cr_assert_eq(judge(r), SS_RESYNC_RUNNING);
	r->old.pd[1][0].repl = REPL_OFF;
	r->next.pd[1][0].repl = REPL_STARTING_SYNC_T;
	cr_assert_eq(judge(r), SS_NEED_CONNECTION);
	r->next.pd[1][0].repl = REPL_STARTING_SYNC_T;
	r->next.vol[0].disk = DISK_DISKLESS;
	cr_assert_eq(judge(r), SS_NO_LOCAL_DISK);
	r->next.pd[1][0].repl = REPL_STARTING_SYNC_S;
	r->next.pd[1][0].pdsk = DISK_DISKLESS;
	cr_assert_eq(judge(r), SS_NO_REMOTE_DISK);
	r->next.vol[0].disk = DISK_NEGOTIATING;
	r->next.pd[1][0].pdsk = DISK_NEGOTIATING;
	cr_assert_eq(judge(r), SS_IN_TRANSIENT_STATE);
	rules_free(r);
}

/* ---- sanitizing ---- */

static const enum repl_state repls[] = {
	REPL_OFF,          REPL_ESTABLISHED, REPL_STARTING_SYNC_S, REPL_STARTING_SYNC_T,
	REPL_WF_BITMAP_S,  REPL_WF_BITMAP_T, REPL_SYNC_SOURCE,     REPL_SYNC_TARGET,
	REPL_PAUSED_SYNC_S, REPL_PAUSED_SYNC_T,
};

static void randomize(struct prng *rng, struct state *s)
{
	s->role = prng_below(rng, 2) ? ROLE_PRIMARY : ROLE_SECONDARY;
	s->vol[0].disk = (enum disk_state)prng_below(rng, DISK_UP_TO_DATE + 1);
	for (unsigned i = 1; i < 3; i++) {
		s->peer[i].conn = prng_below(rng, 3) ?
					  CONN_CONNECTED :
					  (enum conn_state)prng_below(rng, CONN_CONNECTED + 1);
		s->peer[i].role = (enum role)prng_below(rng, 3);
		s->pd[i][0].repl = repls[prng_below(rng, ARRAY_LEN(repls))];
		s->pd[i][0].pdsk = (enum disk_state)prng_below(rng, DISK_UP_TO_DATE + 1);
		s->pd[i][0].susp_user = prng_below(rng, 8) == 0;
		s->pd[i][0].susp_peer = prng_below(rng, 8) == 0;
		s->pd[i][0].susp_other = prng_below(rng, 8) == 0;
	}
}

/* S15, S23 and the pause rules hold in whatever comes out. */
static void check_sane(const struct state *s, uint64_t seed)
{
	unsigned targets = 0;
	bool target_elsewhere = false;

	for (unsigned i = 1; i < 3; i++) {
		enum repl_state repl = s->pd[i][0].repl;

		targets += repl == REPL_SYNC_TARGET;
		target_elsewhere |= repl == REPL_SYNC_TARGET || repl == REPL_PAUSED_SYNC_T;
	}
	cr_assert_leq(targets, 1, "seed %llu", (unsigned long long)seed);
	for (unsigned i = 1; i < 3; i++) {
		enum repl_state repl = s->pd[i][0].repl;
		enum disk_state disk = s->vol[0].disk, pdsk = s->pd[i][0].pdsk;

		if (s->peer[i].conn != CONN_CONNECTED) {
			cr_assert_eq(repl, REPL_OFF);
			cr_assert_eq(s->peer[i].role, ROLE_UNKNOWN);
		}
		if (repl < REPL_ESTABLISHED)
			cr_assert(pdsk >= DISK_INCONSISTENT && pdsk <= DISK_UNKNOWN);
		if (repl > REPL_ESTABLISHED)
			cr_assert(disk > DISK_FAILED && pdsk > DISK_FAILED);
		if (repl == REPL_SYNC_TARGET || repl == REPL_PAUSED_SYNC_T)
			cr_assert_eq(disk, DISK_INCONSISTENT, "seed %llu",
				     (unsigned long long)seed);
		if (repl == REPL_WF_BITMAP_T)
			cr_assert_leq(disk, DISK_OUTDATED);
		if (repl == REPL_SYNC_SOURCE) {
			cr_assert_eq(pdsk, DISK_INCONSISTENT);
			cr_assert_not(target_elsewhere);
		}
		if (repl == REPL_WF_BITMAP_S || repl == REPL_PAUSED_SYNC_S)
			cr_assert_leq(pdsk, DISK_CONSISTENT);
	}
}

Test(sanitize, result_is_sane_and_final)
{
	struct pair *p = pair_new(&(struct pair_opts){ .nodes = 3 });
	struct core *core = pair_core(p, 0);
	struct state *old = malloc(sizeof(*old)), *next = malloc(sizeof(*next)),
		     *again = malloc(sizeof(*again));

	pair_up_to_date(p);
	for (uint64_t seed = 1; seed <= 200000; seed++) {
		struct prng rng;

		prng_seed(&rng, seed);
		*old = core->st;
		randomize(&rng, old);
		/* What was before has come out of sanitizing too. */
		*again = *old;
		state_sanitize(core, again, old);
		*next = *old;
		randomize(&rng, next);
		state_sanitize(core, old, next);
		check_sane(next, seed);
		*again = *next;
		state_sanitize(core, old, again);
		cr_assert_eq(memcmp(again, next, sizeof(*next)), 0, "seed %llu is not final",
			     (unsigned long long)seed);
	}
	free(old);
	free(next);
	free(again);
	pair_free(p);
}

Test(sanitize, the_last_primary_leaves_everybody_in_doubt)
{
	struct pair *p = pair_new(&(struct pair_opts){ .nodes = 3 });
	struct core *core = pair_core(p, 0);
	struct state *next = malloc(sizeof(*next)), *old = malloc(sizeof(*old));

	pair_up_to_date(p);
	*old = core->st;
	old->peer[1].role = ROLE_PRIMARY;
	*next = *old;
	next->peer[1].conn = CONN_NETWORK_FAILURE;
	state_sanitize(core, old, next);
	cr_assert_eq(next->vol[0].disk, DISK_CONSISTENT);
	/* It left properly: its data are here. */
	*next = *old;
	next->peer[1].conn = CONN_TEAR_DOWN;
	state_sanitize(core, old, next);
	cr_assert_eq(next->vol[0].disk, DISK_UP_TO_DATE);
	/* A Secondary was lost. */
	old->peer[1].role = ROLE_SECONDARY;
	*next = *old;
	next->peer[1].conn = CONN_NETWORK_FAILURE;
	state_sanitize(core, old, next);
	cr_assert_eq(next->vol[0].disk, DISK_UP_TO_DATE);
	free(next);
	free(old);
	pair_free(p);
}

/* A Primary that is losing its disk still shows what
 * was on it: data of another generation will not do. */
Test(sanitize, a_primary_without_a_good_disk_trusts_its_generation_only)
{
	static const enum disk_state bad[] = { DISK_DISKLESS, DISK_ATTACHING, DISK_DETACHING,
					       DISK_FAILED, DISK_NEGOTIATING };
	struct pair *p = pair_new(&(struct pair_opts){ 0 });
	struct core *core;
	struct state *old = malloc(sizeof(*old)), *next = malloc(sizeof(*next));

	pair_up_to_date(p);
	core = pair_core(p, 0);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		*old = core->st;
		old->role = ROLE_PRIMARY;
		old->vol[0].disk = bad[i];
		core->peer[1]->pd[0].attach_pending = bad[i] == DISK_NEGOTIATING;
		old->peer[1].conn = CONN_CONNECTING;
		old->pd[1][0] = (struct state_peer_device){ .pdsk = DISK_UNKNOWN };
		*next = *old;
		next->peer[1].conn = CONN_CONNECTED;
		next->peer[1].role = ROLE_SECONDARY;
		next->pd[1][0].repl = REPL_ESTABLISHED;
		next->pd[1][0].pdsk = DISK_UP_TO_DATE;
		core->vol[0]->exposed_uuid = core->vol[0]->md.current_uuid;
		state_sanitize(core, old, next);
		cr_assert_eq(next->pd[1][0].pdsk, DISK_UP_TO_DATE);
		core->vol[0]->exposed_uuid = 0x4444;
		next->pd[1][0].pdsk = DISK_UP_TO_DATE;
		state_sanitize(core, old, next);
		cr_assert_eq(next->pd[1][0].pdsk, DISK_CONSISTENT, "%s", disk_state_name(bad[i]));
	}
	free(next);
	free(old);
	pair_free(p);
}

Test(word, as_in_the_captures)
{
	struct pair *p = pair_new(&(struct pair_opts){ 0 });
	struct core *core = pair_core(p, 0);

	/* Handshake: role 2, peer 0, conn 8, pdsk 7, quorum. */
	pair_simple(p, 0, CMD_ATTACH);
	pair_peer_command(p, 0, CMD_CONNECT, 1);
	cr_assert_eq(state_word(core, core->peer[1], 0),
		     2U | 8U << 4 | 5U << 9 | 7U << 13 | 0x00800000U);
	pair_up_to_date(p);
	/* Established: role 2, peer 2, conn 10, disk 9, pdsk 9. */
	cr_assert_eq(state_word(core, core->peer[1], 0),
		     2U | 2U << 2 | 10U << 4 | 9U << 9 | 9U << 13 | 0x00800000U);
	pair_free(p);
}

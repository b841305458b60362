/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The resync controller on a simulated link, alone and beside an application. */
#include "core_node.h"
#include "core/resync_int.h"

#define TICKS_PER_S 10U
#define DELAY_MAX 10U /* ticks */

/* A link of so many KiB/s, whose replies come so many ticks after the request. */
struct sim_link {
	struct node n;
	struct peer_device *pd;
	uint64_t kib_s;
	unsigned delay;
	uint64_t pipe[DELAY_MAX + 1]; /* sectors that come in that many ticks */
	uint64_t backlog;             /* behind it */
	uint64_t arrived;
	uint64_t in_flight_most;
};

static struct core_disk_conf *options(struct sim_link *l)
{
	return &l->n.core->conf.volumes[0].disk;
}

static void begin(struct sim_link *l, uint64_t kib_s, unsigned delay)
{
	memset(l, 0, sizeof(*l));
	node_open(&l->n, ROLE_SECONDARY, 1, PROTOCOL_C);
	l->pd = &l->n.core->peer[1]->pd[0];
	l->kib_s = kib_s;
	l->delay = delay;
	options(l)->resync_rate_kib = 250;
	options(l)->c_plan_ahead_ds = 20;
	options(l)->c_delay_target_ds = 10;
	options(l)->c_fill_target_sectors = 100;
	options(l)->c_max_rate_kib = 102400;
	options(l)->c_min_share = 25;
	rate_reset(l->n.core, l->pd);
}

/* The application moves so many KiB in each second. KiB/s of the resync over that time. */
static uint64_t run(struct sim_link *l, unsigned seconds, uint64_t app_kib_s)
{
	struct resync *rs = &l->pd->rs;
	uint64_t before = l->arrived;

	for (unsigned t = 0; t < seconds * TICKS_PER_S; t++) {
		uint64_t most = l->kib_s * 2 / TICKS_PER_S, now;

		l->n.core->now_ns += RS_TICK_NS;
		l->n.vol->app_sectors += app_kib_s * 2 / TICKS_PER_S;
		l->backlog += l->pipe[0];
		memmove(l->pipe, l->pipe + 1, sizeof(l->pipe) - sizeof(l->pipe[0]));
		l->pipe[DELAY_MAX] = 0;
		now = l->backlog < most ? l->backlog : most;
		l->backlog -= now;
		l->arrived += now;
		rs->in_sectors += now;
		rs->in_flight_sectors -= now;
		now = rate_tick(l->n.core, l->pd);
		rs->in_flight_sectors += now;
		if (rs->in_flight_sectors > l->in_flight_most)
			l->in_flight_most = rs->in_flight_sectors;
		l->pipe[l->delay] += now;
	}
	return (l->arrived - before) / 2 / seconds;
}

static enum resync_limit limit(const struct sim_link *l)
{
	return (enum resync_limit)l->pd->rs.limit;
}

static void end(struct sim_link *l)
{
	l->pd->rs.in_flight_sectors = 0;
	node_close(&l->n);
}

Test(rate, the_ceiling_of_a_fast_link)
{
	struct sim_link l;

	begin(&l, 10 << 20, 0);
	options(&l)->c_fill_target_sectors = 1 << 20;
	run(&l, 10, 0);
	cr_assert_leq(run(&l, 10, 0), 102400);
	cr_assert_eq(limit(&l), LIMIT_MAX_RATE);
	options(&l)->c_max_rate_kib = 0;
	run(&l, 10, 0);
	cr_assert_gt(run(&l, 10, 0), 2 << 20);
	end(&l);
}

Test(rate, a_goal_for_the_amount_in_flight)
{
	struct sim_link l;
	uint64_t kib_s;

	/* 20 MiB/s that take 300 ms: 6 MiB fill it. */
	begin(&l, 20480, 3);
	options(&l)->c_fill_target_sectors = 20480;
	run(&l, 20, 0);
	l.in_flight_most = 0;
	kib_s = run(&l, 20, 0);
	cr_assert(kib_s > 18000 && kib_s <= 20480, "%u KiB/s", (unsigned)kib_s);
	/* It swings, not more than that. */
	cr_assert_lt(l.in_flight_most, 2 * 20480);
	cr_assert(limit(&l) == LIMIT_FILL_TARGET || limit(&l) == LIMIT_MAX_RATE);
	end(&l);
}

Test(rate, a_goal_for_the_delay)
{
	struct sim_link l;
	uint64_t kib_s;

	begin(&l, 20480, 2);
	options(&l)->c_fill_target_sectors = 0;
	run(&l, 30, 0);
	kib_s = run(&l, 20, 0);
	cr_assert(kib_s > 18000 && kib_s <= 20480, "%u KiB/s", (unsigned)kib_s);
	cr_assert_eq(limit(&l), LIMIT_DELAY_TARGET);
	end(&l);
}

Test(rate, a_fixed_rate)
{
	struct sim_link l;
	uint64_t kib_s;

	begin(&l, 20480, 2);
	options(&l)->c_plan_ahead_ds = 0;
	options(&l)->resync_rate_kib = 4096;
	rate_reset(l.n.core, l.pd);
	run(&l, 2, 0);
	kib_s = run(&l, 10, 0);
	cr_assert(kib_s > 4000 && kib_s < 4200, "%u KiB/s", (unsigned)kib_s);
	cr_assert_eq(limit(&l), LIMIT_RESYNC_RATE);
	end(&l);
}

Test(rate, beside_an_application_a_share_is_kept)
{
	struct sim_link l;
	uint64_t alone, beside;

	begin(&l, 20480, 1);
	options(&l)->c_fill_target_sectors = 20480;
	run(&l, 10, 0);
	alone = run(&l, 10, 0);
	run(&l, 2, 8192);
	beside = run(&l, 20, 8192);
	cr_assert(beside > alone / 5 && beside < alone * 3 / 10, "%u of %u KiB/s",
		  (unsigned)beside, (unsigned)alone);
	cr_assert_eq(limit(&l), LIMIT_APPLICATION);
	/* Not less and less, however often the application pauses. */
	for (unsigned i = 0; i < 20; i++) {
		run(&l, 1, 0);
		run(&l, 3, 8192);
	}
	beside = run(&l, 10, 8192);
	cr_assert_gt(beside, alone / 8);
	/* A few requests are no load. */
	run(&l, 3, 100);
	cr_assert_gt(run(&l, 10, 100), alone * 9 / 10);
	end(&l);
}

Test(rate, beside_an_application_from_the_beginning)
{
	struct sim_link l;
	uint64_t kib_s;

	/* Days for 100 GiB they were, at 250 KiB/s. */
	begin(&l, 20480, 1);
	options(&l)->c_fill_target_sectors = 20480;
	run(&l, 10, 8192);
	kib_s = run(&l, 10, 8192);
	cr_assert_gt(kib_s, 1024, "%u KiB/s", (unsigned)kib_s);
	end(&l);
}

Test(rate, beside_an_application_as_configured)
{
	struct sim_link l;
	uint64_t kib_s;

	begin(&l, 20480, 1);
	options(&l)->c_fill_target_sectors = 20480;
	options(&l)->c_min_share = 0;
	options(&l)->c_min_rate_kib = 2048;
	run(&l, 10, 0);
	run(&l, 3, 8192);
	kib_s = run(&l, 10, 8192);
	cr_assert(kib_s > 1900 && kib_s < 2200, "%u KiB/s", (unsigned)kib_s);
	options(&l)->c_min_rate_kib = 0;
	run(&l, 10, 8192);
	cr_assert_gt(run(&l, 10, 8192), 18000, "never held back");
	end(&l);
}

/* Reads for peers: in each 100 ms the share, and one in any case. */
Test(rate, a_source_leaves_its_disk_to_the_application)
{
	struct sim_link l;
	struct core *core;
	unsigned read = 0;

	begin(&l, 20480, 0);
	core = l.n.core;
	for (unsigned t = 0; t < 30; t++) {
		core->now_ns += RS_TICK_NS;
		for (unsigned i = 0; i < 10; i++)
			cr_assert_not(rate_source_waits(core, l.n.vol, 2048));
	}
	cr_assert_eq(l.n.vol->rs.pace.idle_kib_s, 102400);
	for (unsigned t = 0; t < 30; t++) {
		core->now_ns += RS_TICK_NS;
		l.n.vol->app_sectors += 1000;
		while (!rate_source_waits(core, l.n.vol, 2048))
			read++;
		cr_assert_leq(l.n.vol->rs.read_again_ns, core->now_ns + RS_TICK_NS);
	}
	cr_assert(read >= 60 && read <= 75, "%u MiB in 3 s", read);
	options(&l)->c_min_share = 1;
	read = 0;
	for (unsigned t = 0; t < 30; t++) {
		core->now_ns += RS_TICK_NS;
		l.n.vol->app_sectors += 1000;
		while (!rate_source_waits(core, l.n.vol, 2048))
			read++;
	}
	cr_assert_eq(read, 30);
	end(&l);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How much a resync target asks for in each tick of 100 ms (states-and-resync 5.5). */
#include <string.h>

#include "core/resync_int.h"

#define TICKS_PER_S 10U
#define SECTORS_PER_KIB 2U

void rate_reset(struct core *core, struct peer_device *pd)
{
	struct resync *rs = &pd->rs;
	uint32_t steps = core->vol[pd->v]->conf->disk.c_plan_ahead_ds;

	rs->plan_steps = steps < RS_PLAN_STEPS_MAX ? steps : RS_PLAN_STEPS_MAX;
	rs->plan_pos = 0;
	rs->plan_total = 0;
	memset(rs->plan, 0, sizeof(rs->plan));
	rs->in_sectors = 0;
	rs->owed_sectors = 0;
	rs->last_tick_ns = core->now_ns;
}

static uint64_t wanted_fill(const struct core_disk_conf *conf, const struct resync *rs,
			    uint64_t in, uint64_t duration_ns)
{
	if (!rs->in_flight_sectors && !in)
		return (uint64_t)conf->resync_rate_kib * SECTORS_PER_KIB / TICKS_PER_S *
		       rs->plan_steps;
	if (conf->c_fill_target_sectors)
		return conf->c_fill_target_sectors;
	return in * conf->c_delay_target_ds * NS_PER_S / (duration_ns * TICKS_PER_S);
}

/* Spreads the correction over the plan and takes this tick's share. */
static int64_t plan_step(struct resync *rs, int64_t correction)
{
	int64_t share = correction / (int64_t)rs->plan_steps;
	int64_t now;

	for (unsigned i = 0; i < rs->plan_steps; i++)
		rs->plan[i] = (int32_t)(rs->plan[i] + share);
	rs->plan_total += share * (int64_t)rs->plan_steps;
	now = rs->plan[rs->plan_pos];
	rs->plan[rs->plan_pos] = 0;
	rs->plan_pos = (rs->plan_pos + 1) % rs->plan_steps;
	rs->plan_total -= now;
	return now;
}

uint64_t rate_tick(struct core *core, struct peer_device *pd)
{
	const struct core_disk_conf *conf = &core->vol[pd->v]->conf->disk;
	struct resync *rs = &pd->rs;
	uint64_t passed_ns = core->now_ns - rs->last_tick_ns;
	/* After less than a tick, because all that was in flight came back, less is due. */
	uint64_t share_ns = passed_ns && passed_ns < RS_TICK_NS ? passed_ns : RS_TICK_NS;
	uint64_t in = rs->in_sectors, want, request, most;
	int64_t next;

	rs->last_tick_ns = core->now_ns;
	rs->in_sectors = 0;
	if (!rs->plan_steps) {
		request = (uint64_t)conf->resync_rate_kib * SECTORS_PER_KIB * share_ns / NS_PER_S;
	} else {
		in = in * RS_TICK_NS / share_ns;
		if (passed_ns > NS_PER_S)
			passed_ns = NS_PER_S;
		want = wanted_fill(conf, rs, in, passed_ns > RS_TICK_NS ? passed_ns : RS_TICK_NS);
		next = (int64_t)in + plan_step(rs, (int64_t)want - (int64_t)rs->in_flight_sectors -
							   rs->plan_total);
		request = next > 0 ? (uint64_t)next : 0;
		most = (uint64_t)conf->c_max_rate_kib * SECTORS_PER_KIB * share_ns / NS_PER_S;
		if (conf->c_max_rate_kib && request > most)
			request = most;
	}
	rs->want_kib_s = request * NS_PER_S / share_ns / SECTORS_PER_KIB;
	return request;
}

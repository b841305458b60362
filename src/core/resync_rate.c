/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How much a resync target asks for in each tick of 100 ms, and a source reads (5.5).
 *
 * Beside an application that uses the disk a resync keeps a share of what it reaches without one.
 * The original's floor is a fixed rate, by default 250 KiB/s: five days for 100 GiB.
 */
#include <string.h>

#include "core/resync_int.h"

#define TICKS_PER_S 10U
#define SECTORS_PER_KIB 2U

/* ---- beside an application ---- */

/* More than this in 100 ms counts: as much as in the original. */
#define APP_SECTORS 64U
#define PACE_NS NS_PER_S
/* What was reached is forgotten slowly, for each second without an application that was slower. */
#define PACE_KEEP(kib) ((kib) - (kib) / 8)

static bool app_is_busy(const struct core *core, struct volume *vol)
{
	struct rs_volume *rs = &vol->rs;
	uint64_t passed_ns = core->now_ns - rs->app_seen_ns;

	if (passed_ns < RS_TICK_NS)
		return rs->app_busy;
	rs->app_busy = (vol->app_sectors - rs->app_seen) * RS_TICK_NS / passed_ns > APP_SECTORS ||
		       actlog_has_waiters(vol);
	rs->app_seen = vol->app_sectors;
	rs->app_seen_ns = core->now_ns;
	return rs->app_busy;
}

static void pace_note(struct core *core, struct rs_pace *pace, uint64_t sectors, bool busy)
{
	uint64_t passed_ns = core->now_ns - pace->since_ns, kib_s;

	pace->sectors += sectors;
	pace->beside |= busy;
	if (passed_ns < PACE_NS)
		return;
	kib_s = pace->sectors * NS_PER_S / passed_ns / SECTORS_PER_KIB;
	/* After a pause it says nothing. */
	if (passed_ns < 2 * PACE_NS && kib_s && (!pace->beside || !pace->idle_kib_s))
		pace->idle_kib_s = kib_s > PACE_KEEP(pace->idle_kib_s) ?
					   kib_s : PACE_KEEP(pace->idle_kib_s);
	pace->since_ns = core->now_ns;
	pace->sectors = 0;
	pace->beside = false;
}

/* Sectors in that time that an application leaves to a resync; UINT64_MAX = all. */
static uint64_t left_over(const struct core_disk_conf *conf, const struct rs_pace *pace, bool busy,
			  uint64_t ns)
{
	uint64_t kib_s = pace->idle_kib_s * conf->c_min_share / 100;

	if (kib_s < conf->c_min_rate_kib)
		kib_s = conf->c_min_rate_kib;
	if (!busy || !kib_s || conf->c_min_share == 100)
		return UINT64_MAX;
	return kib_s * SECTORS_PER_KIB * ns / NS_PER_S;
}

bool rate_source_waits(struct core *core, struct volume *vol, uint32_t sectors)
{
	struct rs_volume *rs = &vol->rs;
	bool busy = app_is_busy(core, vol);

	if (core->now_ns >= rs->slice_ns + RS_TICK_NS) {
		pace_note(core, &rs->pace, rs->slice_sectors, busy);
		rs->slice_ns = core->now_ns;
		rs->slice_sectors = 0;
	}
	/* One request in any case. */
	if (rs->slice_sectors &&
	    rs->slice_sectors + sectors > left_over(&vol->conf->disk, &rs->pace, busy,
						    RS_TICK_NS)) {
		rs->yielded_ns = core->now_ns;
		rs->read_again_ns = rs->slice_ns + RS_TICK_NS;
		return true;
	}
	rs->slice_sectors += sectors;
	return false;
}

/* ---- the controller ---- */

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

static uint64_t controlled(struct core *core, struct peer_device *pd, uint64_t in,
			   uint64_t passed_ns)
{
	const struct core_disk_conf *conf = &core->vol[pd->v]->conf->disk;
	struct resync *rs = &pd->rs;
	uint64_t want;
	int64_t next;

	if (passed_ns > NS_PER_S)
		passed_ns = NS_PER_S;
	want = wanted_fill(conf, rs, in, passed_ns > RS_TICK_NS ? passed_ns : RS_TICK_NS);
	next = (int64_t)in +
	       plan_step(rs, (int64_t)want - (int64_t)rs->in_flight_sectors - rs->plan_total);
	rs->limit = conf->c_fill_target_sectors ? LIMIT_FILL_TARGET : LIMIT_DELAY_TARGET;
	return next > 0 ? (uint64_t)next : 0;
}

uint64_t rate_tick(struct core *core, struct peer_device *pd)
{
	struct volume *vol = core->vol[pd->v];
	const struct core_disk_conf *conf = &vol->conf->disk;
	struct resync *rs = &pd->rs;
	uint64_t passed_ns = core->now_ns - rs->last_tick_ns;
	/* After less than a tick, because all that was in flight came back, less is due. */
	uint64_t share_ns = passed_ns && passed_ns < RS_TICK_NS ? passed_ns : RS_TICK_NS;
	uint64_t in = rs->in_sectors, request, most;
	bool busy = app_is_busy(core, vol);

	rs->last_tick_ns = core->now_ns;
	rs->in_sectors = 0;
	pace_note(core, &rs->pace, in, busy);
	if (!rs->plan_steps) {
		request = (uint64_t)conf->resync_rate_kib * SECTORS_PER_KIB * share_ns / NS_PER_S;
		rs->limit = LIMIT_RESYNC_RATE;
	} else {
		request = controlled(core, pd, in * RS_TICK_NS / share_ns, passed_ns);
		most = (uint64_t)conf->c_max_rate_kib * SECTORS_PER_KIB * share_ns / NS_PER_S;
		if (conf->c_max_rate_kib && request > most) {
			request = most;
			rs->limit = LIMIT_MAX_RATE;
		}
	}
	most = left_over(conf, &rs->pace, busy, share_ns);
	if (request > most) {
		request = most;
		rs->limit = LIMIT_APPLICATION;
	}
	rs->want_kib_s = request * NS_PER_S / share_ns / SECTORS_PER_KIB;
	return request;
}

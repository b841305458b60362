/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Application I/O over whole cores: random loads, cut links, failing disks, a model of the data. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/prng.h"
#include "../lib/core_pair.h"

#define SECTORS 4000U
#define UNKNOWN UINT64_MAX

static uint64_t model[SECTORS];
static uint64_t next_tag;
static struct prng rng;

static void tune(struct core_conf *conf)
{
	conf->requests_max = 64;
	conf->volumes[0].disk.al_extents = AL_EXTENTS_MIN;
}

static struct pair *open_pair(unsigned seed, unsigned nodes, uint32_t diskless)
{
	struct pair_opts opts = {
		.nodes = nodes, .seed = seed, .diskless = diskless, .tune = tune,
	};
	struct pair *p;

	opts.protocol = (enum wire_protocol)(PROTOCOL_A + seed % 3);
	p = pair_new(&opts);
	pair_up_to_date(p);
	cr_assert_geq(pair_simple(p, 0, CMD_PRIMARY), 1, "seed %u: %s", seed, pair_text(p));
	prng_seed(&rng, seed);
	memset(model, 0, sizeof(model));
	next_tag = 1000;
	return p;
}

static void write_some(struct pair *p, unsigned seed)
{
	uint32_t n = (uint32_t)prng_range(&rng, 1, 40);
	uint64_t sector = prng_below(&rng, SECTORS - n);

	next_tag += 64;
	cr_assert_eq(pair_write(p, 0, sector, n, next_tag), 0, "seed %u", seed);
	for (uint32_t i = 0; i < n; i++)
		model[sector + i] = next_tag + i;
}

static void read_some(struct pair *p, unsigned seed)
{
	uint32_t n = (uint32_t)prng_range(&rng, 1, 40);
	uint64_t sector = prng_below(&rng, SECTORS - n), tags[40];

	cr_assert_eq(pair_read(p, 0, sector, n, tags), 0, "seed %u", seed);
	for (uint32_t i = 0; i < n; i++) {
		if (model[sector + i])
			cr_assert_eq(tags[i], model[sector + i], "seed %u sector %u", seed,
				     (unsigned)sector + i);
	}
}

/* One disk of two or three breaks in the middle: no error, and every read is right. */
Test(core_io, a_broken_disk_is_not_noticed)
{
	for (unsigned seed = 1; seed <= 60; seed++) {
		bool client = seed % 5 == 0;
		struct pair *p = open_pair(seed, client ? 3 : 2 + seed % 2, client ? 1 : 0);

		for (unsigned i = 0; i < 120; i++) {
			unsigned what = (unsigned)prng_below(&rng, 10);

			if (i == 50)
				pair_break_disk(p, client ? 1 : (unsigned)prng_below(&rng, 2));
			if (what < 5)
				write_some(p, seed);
			else if (what == 5)
				cr_assert_eq(pair_flush(p, 0), 0, "seed %u", seed);
			else if (what == 6)
				pair_pass_ms(p, prng_below(&rng, 300));
			else
				read_some(p, seed);
		}
		cr_assert_eq(pair_outstanding(p), 0, "seed %u", seed);
		pair_free(p);
	}
}

static void load(struct pair *p)
{
	for (uint64_t n = prng_range(&rng, 1, 20); n > 0 && core_room(pair_core(p, 0)); n--) {
		uint64_t sector = prng_below(&rng, 2000) * 8;

		if (prng_chance(&rng, 1, 4))
			sector += prng_below(&rng, 8);
		next_tag += 64;
		pair_submit_write(p, 0, sector, (uint32_t)prng_range(&rng, 1, 40), next_tag);
	}
}

static uint32_t upper_pending(struct pair *p)
{
	struct resource_status *s = malloc(sizeof(*s));
	uint32_t pending;

	cr_assert_not_null(s);
	core_status(pair_core(p, 0), s);
	pending = s->volumes[0].upper_pending;
	free(s);
	return pending;
}

/* The status counts the requests that are not answered yet. */
Test(core_io, requests_under_way_are_counted)
{
	struct pair *p = open_pair(1, 2, 0);

	cr_assert_eq(upper_pending(p), 0);
	pair_submit_write(p, 0, 0, 8, 1);
	pair_submit_write(p, 0, 64, 8, 2);
	cr_assert_eq(upper_pending(p), 2);
	cr_assert(pair_run(p));
	cr_assert_eq(upper_pending(p), 0);
	pair_free(p);
}

/* Writes in flight while the link comes and goes: all are answered, and both disks end equal. */
Test(core_io, two_nodes_end_equal)
{
	for (unsigned seed = 1; seed <= 100; seed++) {
		struct pair *p = open_pair(seed, 2, 0);

		for (unsigned i = 0; i < 100; i++) {
			unsigned what = (unsigned)prng_below(&rng, 16);

			if (what < 8)
				load(p);
			else if (what == 8)
				cr_assert_eq(pair_flush(p, 0), 0);
			else if (what == 9)
				pair_cut(p, 0, 1);
			else if (what == 10 || what == 11)
				pair_heal(p, 0, 1);
			else if (what == 12)
				cr_assert(pair_run(p));
			else
				pair_pass_ms(p, prng_below(&rng, 1500));
		}
		pair_heal(p, 0, 1);
		cr_assert(pair_wait(p, 60000, pair_healthy), "seed %u: %s", seed, pair_describe(p));
		cr_assert_eq(pair_outstanding(p), 0, "seed %u", seed);
		cr_assert(pair_same(p, 0, 1), "seed %u", seed);
		pair_free(p);
	}
}

static void tune_short_epochs(struct core_conf *conf)
{
	for (unsigned i = 0; i < conf->peer_count; i++)
		conf->peers[i].net.max_epoch_size = 1;
}

/* A diskless Primary whose last write node 1 has on stable storage, node 2 never answered. */
static struct pair *one_copy(void)
{
	struct pair_opts opts = { .nodes = 3, .seed = 1,
				  .diskless = 1U << 0, .tune = tune_short_epochs };
	struct pair *p = pair_new(&opts);

	pair_up_to_date(p);
	cr_assert_geq(pair_simple(p, 0, CMD_PRIMARY), 1, "%s", pair_text(p));
	cr_assert_eq(pair_write(p, 0, 8, 8, 500), 0);
	pair_hold(p, 2, 0, STREAM_CONTROL, true);
	pair_submit_write(p, 0, 8, 8, 700);
	pair_pass_ms(p, 20);
	cr_assert_eq(pair_last_error(p), -EINPROGRESS);
	return p;
}

Test(io, a_copy_that_only_a_lost_node_has_is_no_success)
{
	struct pair *p = one_copy();

	pair_cut(p, 0, 1);
	pair_run(p);
	cr_assert_eq(pair_last_error(p), -EINPROGRESS);
	pair_cut(p, 0, 2);
	pair_run(p);
	cr_assert_eq(pair_last_error(p), -EIO);
	pair_free(p);
}

Test(io, a_copy_on_a_disk_that_was_given_up_is_no_success)
{
	struct pair *p = one_copy();

	cr_assert_geq(pair_simple(p, 1, CMD_DETACH), 1, "%s", pair_text(p));
	pair_cut(p, 0, 2);
	pair_run(p);
	cr_assert_eq(pair_last_error(p), -EIO);
	pair_free(p);
}

Test(io, a_diskless_primary_answers_when_a_disk_is_of_the_generation_without_the_lost_node)
{
	struct pair *p = one_copy();

	pair_hold(p, 1, 0, STREAM_DATA, true);
	pair_cut(p, 0, 2);
	pair_run(p);
	cr_assert_eq(pair_last_error(p), -EINPROGRESS);
	pair_hold(p, 1, 0, STREAM_DATA, false);
	pair_run(p);
	cr_assert_eq(pair_last_error(p), 0);
	pair_free(p);
}

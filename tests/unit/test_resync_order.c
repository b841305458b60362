/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which volumes of a node may resync: resync-after, the limit, and both over random histories. */
#include <criterion/criterion.h>
#include <string.h>

#include "base/prng.h"
#include "core/resync_order.h"

#define SLOTS 24

static struct resync_slot slots[SLOTS];

static void fresh(void)
{
	memset(slots, 0, sizeof(slots));
	for (unsigned i = 0; i < SLOTS; i++) {
		slots[i].after = RESYNC_AFTER_NONE;
		slots[i].group = i / 4;
	}
}

/* It is a target and would like to go on. */
static void want(unsigned i)
{
	slots[i].busy = slots[i].wants = true;
	slots[i].runs = !slots[i].parallel && !slots[i].dependency;
}

static void end(unsigned i)
{
	slots[i].busy = slots[i].wants = slots[i].runs = false;
}

static void order(unsigned limit)
{
	resync_order(slots, SLOTS, limit);
	for (unsigned i = 0; i < SLOTS; i++)
		slots[i].runs = slots[i].wants && !slots[i].parallel && !slots[i].dependency;
}

static unsigned running(void)
{
	unsigned count = 0;

	for (unsigned i = 0; i < SLOTS; i++)
		count += slots[i].runs;
	return count;
}

Test(resync_order, one_after_the_other)
{
	fresh();
	slots[2].after = 1;
	slots[5].after = 2;
	want(1);
	want(2);
	want(5);
	order(0);
	cr_assert(slots[1].runs && !slots[2].runs && !slots[5].runs);
	cr_assert(slots[2].dependency && slots[5].dependency);
	end(1);
	order(0);
	cr_assert(slots[2].runs && !slots[5].runs);
	end(2);
	order(0);
	cr_assert(slots[5].runs && !slots[5].dependency);
}

Test(resync_order, what_is_between_two_need_not_resync_itself)
{
	fresh();
	slots[2].after = 1;
	slots[5].after = 2;
	slots[1].busy = true; /* as a source, or paused */
	want(5);
	order(0);
	cr_assert(slots[5].dependency);
	slots[1].busy = false;
	order(0);
	cr_assert(slots[5].runs);
}

Test(resync_order, a_circle_does_no_harm)
{
	fresh();
	slots[1].after = 2;
	slots[2].after = 1;
	slots[3].after = 3;
	want(1);
	want(3);
	order(1);
	cr_assert(slots[1].runs && !slots[3].runs && !slots[3].dependency);
}

Test(resync_order, the_limit_holds_and_turns_are_kept)
{
	fresh();
	for (unsigned i = 4; i < 10; i++)
		want(i);
	order(2);
	cr_assert_eq(running(), 2);
	cr_assert(slots[4].runs && slots[5].runs);
	/* One that stands further in front does not take a turn away. */
	cr_assert(slots[0].parallel);
	want(0);
	order(2);
	cr_assert(!slots[0].runs && slots[4].runs && slots[5].runs);
	/* The resource is finished first. */
	end(4);
	order(2);
	cr_assert(slots[5].runs && slots[6].runs && !slots[0].runs);
	end(5);
	end(6);
	end(7);
	order(2);
	cr_assert(slots[0].runs && slots[8].runs);
	order(0);
	cr_assert_eq(running(), 3);
}

Test(resync_order, who_waits_for_another_has_no_turn)
{
	fresh();
	slots[0].after = 8;
	want(0);
	want(4);
	want(8);
	order(1);
	/* It was first, but comes after one that has no turn yet. */
	cr_assert(!slots[0].runs && slots[4].runs && !slots[8].runs);
	end(4);
	order(1);
	cr_assert(!slots[0].runs && slots[8].runs);
	end(8);
	order(1);
	cr_assert(slots[0].runs);
}

Test(resync_order, with_room_left_a_resync_begins_at_once)
{
	fresh();
	want(0);
	order(2);
	for (unsigned i = 1; i < SLOTS; i++)
		cr_assert_not(slots[i].parallel);
	want(1);
	order(2);
	for (unsigned i = 2; i < SLOTS; i++)
		cr_assert(slots[i].parallel);
	end(0);
	order(2);
	cr_assert_not(slots[7].parallel);
}

static bool any_could_run(unsigned limit)
{
	for (unsigned i = 0; i < SLOTS; i++) {
		if (slots[i].wants && !slots[i].runs && !slots[i].dependency &&
		    (!limit || running() < limit))
			return true;
	}
	return false;
}

/* Never more than the limit, nobody waits without need, and all come to their end. */
Test(resync_order, random_histories)
{
	struct prng rng;

	prng_seed(&rng, 7);
	for (unsigned life = 0; life < 300; life++) {
		unsigned limit = (unsigned)prng_below(&rng, 4);

		fresh();
		for (unsigned i = 1; i < SLOTS; i++) {
			if (prng_chance(&rng, 1, 3))
				slots[i].after = (uint32_t)prng_below(&rng, i);
		}
		for (unsigned step = 0; step < 400; step++) {
			unsigned i = (unsigned)prng_below(&rng, SLOTS);

			if (slots[i].runs && (step >= 300 || prng_chance(&rng, 1, 2)))
				end(i);
			else if (step < 300 && prng_chance(&rng, 1, 2))
				want(i);
			order(limit);
			cr_assert(!limit || running() <= limit);
			cr_assert_not(any_could_run(limit), "life %u, step %u", life, step);
		}
		for (unsigned i = 0; i < SLOTS * SLOTS && running(); i++) {
			if (slots[i % SLOTS].runs)
				end(i % SLOTS);
			order(limit);
		}
		for (unsigned i = 0; i < SLOTS; i++)
			cr_assert_not(slots[i].wants, "life %u: slot %u never ran", life, i);
	}
}

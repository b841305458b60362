/* SPDX-License-Identifier: GPL-2.0-or-later */
/* I/O that waits: for data, by command; and who gives way to newer data meanwhile. */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "core/core_hooks.h"
#include "core/core_int.h"
#include "core/quorum.h"
#include "core/request.h"
#include "core/resync_int.h"
#include "core/state.h"
#include "../lib/core_pair.h"

static void wait_for_data(struct core_conf *conf)
{
	conf->on_no_data = NO_DATA_SUSPEND;
}

static void fail_without_data(struct core_conf *conf)
{
	conf->on_no_data = NO_DATA_IO_ERROR;
}

/* Node 0 is Primary without a disk, the others have the data. */
static struct pair *client(unsigned nodes, void (*tune)(struct core_conf *conf))
{
	struct pair *p = pair_new(
		&(struct pair_opts){ .nodes = nodes, .diskless = 1, .tune = tune });

	pair_up(p);
	cr_assert_eq(pair_command(p, 1, &(struct ev_command){ .cmd = CMD_NEW_CURRENT_UUID,
							      .clear_bitmap = true }),
		     SS_SUCCESS, "%s", pair_text(p));
	cr_assert_eq(pair_simple(p, 0, CMD_PRIMARY), SS_SUCCESS, "%s", pair_text(p));
	cr_assert_eq(pair_write(p, 0, 0, 8, 100), 0);
	return p;
}

Test(no_data, reads_and_writes_wait_for_the_peer)
{
	struct pair *p = client(2, wait_for_data);
	uint64_t tags[8];

	/* One write is on its way when the peer is lost, the others come later. */
	pair_hold(p, 0, 1, STREAM_DATA, true);
	pair_submit_write(p, 0, 8, 8, 200);
	pair_cut(p, 0, 1);
	pair_hold(p, 0, 1, STREAM_DATA, false);
	pair_pass_ms(p, 1000);
	cr_assert(pair_core(p, 0)->st.susp_nod, "%s", pair_describe(p));
	pair_submit_write(p, 0, 16, 8, 300);
	pair_pass_ms(p, 60000);
	cr_assert_eq(pair_outstanding(p), 2);
	pair_heal(p, 0, 1);
	pair_pass_ms(p, 30000);
	cr_assert_not(pair_core(p, 0)->st.susp_nod, "%s", pair_describe(p));
	cr_assert_eq(pair_outstanding(p), 0, "%s", pair_describe(p));
	cr_assert_eq(pair_last_error(p), 0);
	cr_assert_eq(pair_disk_tag(p, 1, 8), 200);
	cr_assert_eq(pair_disk_tag(p, 1, 16), 300);
	cr_assert_eq(pair_read(p, 0, 16, 8, tags), 0);
	cr_assert_eq(tags[0], 300);
	pair_free(p);
}

Test(no_data, without_the_option_they_fail)
{
	struct pair *p = client(2, fail_without_data);
	uint64_t tags[8];

	pair_hold(p, 0, 1, STREAM_DATA, true);
	pair_submit_write(p, 0, 8, 8, 200);
	pair_cut(p, 0, 1);
	pair_hold(p, 0, 1, STREAM_DATA, false);
	pair_pass_ms(p, 1000);
	cr_assert_eq(pair_last_error(p), -EIO);
	cr_assert_eq(pair_read(p, 0, 0, 8, tags), -EIO);
	cr_assert_eq(pair_write(p, 0, 16, 8, 300), -EIO);
	pair_free(p);
}

Test(no_data, resume_io_fails_what_waits_once)
{
	struct pair *p = client(2, wait_for_data);

	pair_cut(p, 0, 1);
	pair_pass_ms(p, 1000);
	pair_submit_write(p, 0, 16, 8, 300);
	pair_pass_ms(p, 1000);
	cr_assert_eq(pair_outstanding(p), 1);
	cr_assert_eq(pair_simple(p, 0, CMD_RESUME_IO), SS_SUCCESS, "%s", pair_text(p));
	cr_assert_eq(pair_last_error(p), -EIO);
	cr_assert_eq(pair_write(p, 0, 16, 8, 300), -EIO);
	/* It has the data again, and then loses them again. */
	pair_heal(p, 0, 1);
	pair_pass_ms(p, 30000);
	cr_assert_eq(pair_write(p, 0, 16, 8, 300), 0);
	pair_cut(p, 0, 1);
	pair_pass_ms(p, 1000);
	cr_assert(pair_core(p, 0)->st.susp_nod);
	pair_free(p);
}

Test(no_data, the_option_takes_effect_at_once)
{
	struct pair *p = client(2, wait_for_data);

	pair_cut(p, 0, 1);
	pair_pass_ms(p, 1000);
	pair_submit_write(p, 0, 16, 8, 300);
	pair_configure(p, 0, fail_without_data);
	pair_run(p);
	cr_assert_eq(pair_last_error(p), -EIO);
	pair_free(p);
}

Test(no_data, a_forced_demotion_fails_what_waits)
{
	struct pair *p = client(2, wait_for_data);
	struct ev_command force = { .cmd = CMD_SECONDARY, .force = true };

	pair_cut(p, 0, 1);
	pair_pass_ms(p, 1000);
	pair_submit_write(p, 0, 16, 8, 300);
	cr_assert_eq(pair_command(p, 0, &force), SS_SUCCESS, "%s", pair_text(p));
	cr_assert_eq(pair_last_error(p), -EIO);
	cr_assert_eq(pair_role(p, 0), ROLE_SECONDARY);
	pair_free(p);
}

/* ---- by command ---- */

Test(suspend_io, reads_and_writes_wait_for_resume_io)
{
	struct pair *p = pair_new(&(struct pair_opts){ 0 });

	pair_up_to_date(p);
	cr_assert_eq(pair_simple(p, 0, CMD_PRIMARY), SS_SUCCESS, "%s", pair_text(p));
	cr_assert_eq(pair_simple(p, 0, CMD_RESUME_IO), SS_NOTHING_TO_DO);
	cr_assert(pair_local_reads(p, 0));
	cr_assert_eq(pair_simple(p, 0, CMD_SUSPEND_IO), SS_SUCCESS);
	cr_assert_eq(pair_simple(p, 0, CMD_SUSPEND_IO), SS_NOTHING_TO_DO);
	cr_assert_not(pair_local_reads(p, 0));
	pair_submit_write(p, 0, 8, 8, 200);
	pair_pass_ms(p, 60000);
	cr_assert_eq(pair_outstanding(p), 1);
	cr_assert_eq(pair_simple(p, 0, CMD_RESUME_IO), SS_SUCCESS);
	cr_assert_eq(pair_last_error(p), 0);
	cr_assert_eq(pair_disk_tag(p, 1, 8), 200);
	pair_free(p);
}

Test(suspend_io, the_reply_comes_when_what_has_begun_is_done)
{
	struct pair *p = pair_new(&(struct pair_opts){ 0 });
	struct ev_command suspend = { .cmd = CMD_SUSPEND_IO };
	uint64_t cookie;
	int rc;

	pair_up_to_date(p);
	cr_assert_eq(pair_simple(p, 0, CMD_PRIMARY), SS_SUCCESS, "%s", pair_text(p));
	pair_hold(p, 0, 1, STREAM_DATA, true);
	pair_submit_write(p, 0, 8, 8, 200);
	pair_run(p);
	cookie = pair_submit_command(p, 0, &suspend);
	pair_run(p);
	pair_submit_write(p, 0, 16, 8, 300);
	pair_run(p);
	cr_assert_not(pair_replied(p, cookie, &rc), "a write is on its way");
	pair_hold(p, 0, 1, STREAM_DATA, false);
	pair_run(p);
	cr_assert(pair_replied(p, cookie, &rc));
	cr_assert_eq(rc, SS_SUCCESS);
	cr_assert_eq(pair_disk_tag(p, 1, 8), 200);
	cr_assert_eq(pair_outstanding(p), 1, "the other one waits");
	cr_assert_eq(pair_simple(p, 0, CMD_RESUME_IO), SS_SUCCESS);
	cr_assert_eq(pair_disk_tag(p, 1, 16), 300);
	pair_free(p);
}

Test(suspend_io, a_forced_demotion_ends_it)
{
	struct pair *p = pair_new(&(struct pair_opts){ 0 });
	struct ev_command force = { .cmd = CMD_SECONDARY, .force = true };

	pair_up_to_date(p);
	cr_assert_eq(pair_simple(p, 0, CMD_PRIMARY), SS_SUCCESS, "%s", pair_text(p));
	cr_assert_eq(pair_simple(p, 0, CMD_SUSPEND_IO), SS_SUCCESS);
	pair_submit_write(p, 0, 8, 8, 200);
	cr_assert_eq(pair_command(p, 0, &force), SS_SUCCESS, "%s", pair_text(p));
	cr_assert_eq(pair_outstanding(p), 0);
	cr_assert_not(pair_core(p, 0)->st.susp_user);
	pair_free(p);
}

/* ---- who gives way ---- */

static void give_way(struct core_conf *conf)
{
	conf->quorum = QUORUM_MAJORITY;
	conf->on_no_quorum = NO_QUORUM_SUSPEND;
	conf->on_suspended_primary_outdated = OUTDATED_FORCE_SECONDARY;
}

static void stay(struct core_conf *conf)
{
	conf->quorum = QUORUM_MAJORITY;
	conf->on_no_quorum = NO_QUORUM_SUSPEND;
	conf->on_suspended_primary_outdated = OUTDATED_DISCONNECT;
}

/* The others go on without node 0, whose write waits; then they meet again. */
static struct pair *superseded(void (*tune)(struct core_conf *conf))
{
	struct pair *p = pair_new(&(struct pair_opts){ .nodes = 3, .tune = tune });

	pair_up_to_date(p);
	cr_assert_eq(pair_simple(p, 0, CMD_PRIMARY), SS_SUCCESS, "%s", pair_text(p));
	cr_assert_eq(pair_write(p, 0, 0, 8, 100), 0);
	pair_cut(p, 0, 1);
	pair_cut(p, 0, 2);
	pair_pass_ms(p, 1000);
	pair_submit_write(p, 0, 8, 8, 200);
	cr_assert_eq(pair_simple(p, 1, CMD_PRIMARY), SS_SUCCESS, "%s", pair_text(p));
	cr_assert_eq(pair_write(p, 1, 8, 8, 400), 0);
	cr_assert_eq(pair_simple(p, 1, CMD_SECONDARY), SS_SUCCESS, "%s", pair_text(p));
	pair_heal(p, 0, 1);
	pair_heal(p, 0, 2);
	pair_pass_ms(p, 30000);
	return p;
}

Test(outdated, a_suspended_primary_stays)
{
	struct pair *p = superseded(stay);

	cr_assert_eq(pair_role(p, 0), ROLE_PRIMARY);
	cr_assert_eq(pair_outstanding(p), 1, "its write waits on");
	cr_assert_neq(pair_conn(p, 0, 1), CONN_CONNECTED, "%s", pair_describe(p));
	pair_free(p);
}

Test(outdated, a_suspended_primary_gives_way)
{
	struct pair *p = superseded(give_way);

	cr_assert_eq(pair_role(p, 0), ROLE_SECONDARY, "%s", pair_describe(p));
	cr_assert_eq(pair_last_error(p), 0, "of the write of node 1");
	cr_assert_eq(pair_outstanding(p), 0);
	cr_assert(pair_healthy(p), "%s", pair_describe(p));
	cr_assert_eq(pair_disk_tag(p, 0, 8), 400);
	cr_assert(pair_same(p, 0, 1));
	pair_free(p);
}

/* ---- what counts when answers wait ---- */

Test(copies, a_write_whose_copies_are_in_doubt_is_written_again)
{
	struct pair *p = pair_new(&(struct pair_opts){ .nodes = 3, .tune = stay });
	struct core *core;

	pair_up_to_date(p);
	cr_assert_eq(pair_simple(p, 0, CMD_PRIMARY), SS_SUCCESS, "%s", pair_text(p));
	cr_assert_eq(pair_write(p, 0, 0, 8, 100), 0);
	pair_hold(p, 0, 1, STREAM_DATA, true);
	pair_hold(p, 0, 2, STREAM_DATA, true);
	pair_submit_write(p, 0, 8, 8, 200);
	pair_cut(p, 0, 1);
	pair_cut(p, 0, 2);
	pair_hold(p, 0, 1, STREAM_DATA, false);
	pair_hold(p, 0, 2, STREAM_DATA, false);
	pair_pass_ms(p, 1000);
	cr_assert_eq(pair_outstanding(p), 1);
	core = pair_core(p, 0);
	request_copies_doubtful(core, core->vol[0], 1);
	pair_heal(p, 0, 1);
	pair_heal(p, 0, 2);
	pair_pass_ms(p, 30000);
	cr_assert_eq(pair_outstanding(p), 0, "%s", pair_describe(p));
	cr_assert_eq(pair_last_error(p), 0);
	cr_assert_gt(pair_sent(p, 0, 1, P_DATA), 1, "it was sent");
	cr_assert_eq(pair_disk_tag(p, 1, 8), 200);
	cr_assert_eq(pair_disk_tag(p, 2, 8), 200);
	pair_free(p);
}

Test(copies, a_failing_disk_has_no_vote)
{
	struct pair *p = pair_new(&(struct pair_opts){ .nodes = 3, .tune = stay });
	struct core *core;
	struct state next;

	pair_up_to_date(p);
	cr_assert_eq(pair_simple(p, 0, CMD_PRIMARY), SS_SUCCESS, "%s", pair_text(p));
	pair_cut(p, 0, 2);
	pair_pass_ms(p, 1000);
	core = pair_core(p, 0);
	next = core->st;
	next.pd[1][0].quorate = false;
	cr_assert(quorum_of(core, &core->st, &next, 0), "two of three");
	next.vol[0].disk = DISK_FAILED;
	cr_assert_not(quorum_of(core, &core->st, &next, 0), "one of three");
	pair_free(p);
}

static void redundant(struct core_conf *conf)
{
	conf->quorum = conf->quorum_min_redundancy = QUORUM_MAJORITY;
}

Test(copies, a_disk_that_is_attached_takes_no_quorum_away)
{
	struct pair *p = pair_new(
		&(struct pair_opts){ .nodes = 3, .diskless = 4, .tune = redundant });
	struct core *core;
	struct state next;

	pair_up_to_date(p);
	cr_assert_eq(pair_simple(p, 0, CMD_PRIMARY), SS_SUCCESS, "%s", pair_text(p));
	core = pair_core(p, 0);
	next = core->st;
	next.pd[1][0].quorate = false;
	next.vol[0].disk = DISK_DISKLESS;
	cr_assert(quorum_of(core, &core->st, &next, 0), "the tie-breaker keeps it");
	next.vol[0].disk = DISK_NEGOTIATING;
	cr_assert(quorum_of(core, &core->st, &next, 0), "one of two is UpToDate");
	pair_free(p);
}

static void report_dirty(struct pair *p, uint64_t bits)
{
	struct pkt pkt = { .type = P_UUIDS110 };
	struct pkt_uuids uuids = pair_core(p, 0)->peer[1]->pd[0].uuids;

	uuids.dirty_bits = bits;
	pkt.u.uuids = &uuids;
	pair_inject(p, 1, 0, STREAM_DATA, &pkt);
	pair_run(p);
}

Test(outdated, what_the_peer_has_marked_keeps_a_disk_outdated)
{
	struct pair *p = pair_new(&(struct pair_opts){ 0 });
	struct core *core;

	pair_up_to_date(p);
	core = pair_core(p, 0);
	report_dirty(p, 5);
	state_begin(core)->vol[0].disk = DISK_OUTDATED;
	state_end(core, STATE_HARD);
	pair_pass_ms(p, 100);
	cr_assert_eq(pair_disk(p, 0), DISK_OUTDATED, "equal generations, but not equal data");
	report_dirty(p, 0);
	cr_assert_eq(pair_disk(p, 0), DISK_UP_TO_DATE, "%s", pair_describe(p));
	pair_free(p);
}

Test(resync, a_generation_named_while_bitmaps_are_exchanged_is_waited_for)
{
	struct pair *p = pair_new(&(struct pair_opts){ 0 });
	struct core *core;
	struct peer_device *pd;
	enum repl_state was;

	pair_up_to_date(p);
	core = pair_core(p, 0);
	pd = &core->peer[1]->pd[0];
	was = core->st.pd[1][0].repl;
	core->st.pd[1][0].repl = REPL_WF_BITMAP_T;
	finish_promised(core, core->vol[0], core->self, 0x1234, 0);
	resync_begin(core, pd);
	cr_assert_eq(pd->rs.promised_uuid, 0x1234);
	cr_assert_eq(pd->rs.promised_by, core->self);
	core->st.pd[1][0].repl = was;
	memset(&pd->rs, 0, sizeof(pd->rs));
	pair_free(p);
}

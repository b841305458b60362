/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Operator commands on two and three cores: roles, opens, disks, connections, shutdown. */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "core/cluster.h"
#include "core/core_int.h"
#include "../lib/core_pair.h"

static struct pair *two(void)
{
	struct pair *p = pair_new(&(struct pair_opts){ 0 });

	pair_up_to_date(p);
	cr_assert(pair_healthy(p), "%s", pair_describe(p));
	return p;
}

static int open_file(struct pair *p, unsigned node, bool write, bool nonblock)
{
	struct ev_command ev = { .cmd = CMD_OPEN, .write = write, .nonblock = nonblock };

	return pair_command(p, node, &ev);
}

static int close_file(struct pair *p, unsigned node, bool write)
{
	struct ev_command ev = { .cmd = CMD_CLOSE, .write = write };

	return pair_command(p, node, &ev);
}

static int forced(struct pair *p, unsigned node, enum core_command cmd)
{
	struct ev_command ev = { .cmd = cmd, .force = true };

	return pair_command(p, node, &ev);
}

Test(role, promote_write_demote)
{
	struct pair *p = two();

	cr_assert_eq(pair_simple(p, 0, CMD_PRIMARY), SS_SUCCESS, "%s", pair_text(p));
	cr_assert_eq(pair_role(p, 0), ROLE_PRIMARY);
	cr_assert_eq(pair_core(p, 1)->st.peer[0].role, ROLE_PRIMARY);
	cr_assert_eq(pair_write(p, 0, 0, 8, 100), 0);
	cr_assert_eq(pair_disk_tag(p, 1, 7), 107);
	cr_assert_eq(pair_simple(p, 0, CMD_PRIMARY), SS_NOTHING_TO_DO);
	cr_assert_eq(pair_simple(p, 0, CMD_SECONDARY), SS_SUCCESS, "%s", pair_text(p));
	cr_assert_eq(pair_core(p, 1)->st.peer[0].role, ROLE_SECONDARY);
	cr_assert_eq(pair_simple(p, 0, CMD_SECONDARY), SS_NOTHING_TO_DO);
	pair_free(p);
}

/* Node 0 gives a change up early, node 1 is held by one for long. */
static void impatient(struct core_conf *conf)
{
	if (conf->node_id == 0)
		conf->twopc_timeout_ds = 10;
}

/* Node 1 takes part in a change that does not end, and answers others that they have to wait. */
static void keep_busy(struct pair *p, uint32_t tid)
{
	struct pkt pkt = { .type = P_TWOPC_PREPARE, .vnr = VNR_NONE };

	pkt.u.twopc.tid = tid;
	pkt.u.twopc.flags = TWOPC_FLAG_V2;
	pkt.u.twopc.target = -1;
	pkt.u.twopc.nodes_to_reach = ~UINT64_C(3);
	pair_inject(p, 0, 1, STREAM_DATA, &pkt);
	pair_run(p);
}

/* Nobody else would do it: what is closed is not in use. */
Test(role, closing_demotes_also_when_other_changes_are_in_the_way_for_long)
{
	struct pair *p = pair_new(&(struct pair_opts){ .tune = impatient });

	pair_up_to_date(p);
	cr_assert_eq(open_file(p, 0, true, false), 0, "%s", pair_text(p));
	keep_busy(p, 4711);
	cr_assert_eq(close_file(p, 0, true), 0);
	pair_pass_ms(p, 10000);
	cr_assert_eq(pair_role(p, 0), ROLE_PRIMARY);
	/* Opened meanwhile: it stays. */
	cr_assert_eq(open_file(p, 0, true, false), 0, "%s", pair_text(p));
	pair_pass_ms(p, 60000);
	cr_assert_eq(pair_role(p, 0), ROLE_PRIMARY);
	keep_busy(p, 4712);
	cr_assert_eq(close_file(p, 0, true), 0);
	pair_pass_ms(p, 10000);
	/* Another command need not wait for it. */
	cr_assert_geq(pair_command(p, 0, &(struct ev_command){ .cmd = CMD_PAUSE_SYNC, .peer = 1 }),
		      SS_SUCCESS, "%s", pair_text(p));
	pair_pass_ms(p, 30000);
	cr_assert_eq(pair_role(p, 0), ROLE_SECONDARY);
	cr_assert_eq(open_file(p, 1, true, false), 0, "%s", pair_text(p));
	pair_free(p);
}

Test(role, second_primary_is_refused_by_name)
{
	struct pair *p = two();

	cr_assert_eq(pair_simple(p, 0, CMD_PRIMARY), SS_SUCCESS);
	cr_assert_eq(pair_simple(p, 1, CMD_PRIMARY), SS_TWO_PRIMARIES);
	cr_assert(strstr(pair_text(p), "n0 is Primary"), "%s", pair_text(p));
	pair_free(p);
}

/* What they hold may be written over meanwhile: nobody goes on behind their back. */
Test(role, who_was_demoted_by_force_closes_first)
{
	struct pair *p = two();

	cr_assert_eq(open_file(p, 0, true, false), 0);
	cr_assert_eq(forced(p, 0, CMD_SECONDARY), SS_SUCCESS, "%s", pair_text(p));
	cr_assert_lt(pair_write(p, 0, 0, 8, 100), 0);
	cr_assert_eq(pair_simple(p, 0, CMD_PRIMARY), SS_DEVICE_IN_USE);
	cr_assert(strstr(pair_text(p), "demoted by force"), "%s", pair_text(p));
	cr_assert_eq(forced(p, 0, CMD_PRIMARY), SS_DEVICE_IN_USE);
	cr_assert_eq(open_file(p, 0, true, false), -ENOTRECOVERABLE);
	cr_assert_eq(open_file(p, 0, false, false), -ENOTRECOVERABLE);
	cr_assert_eq(pair_role(p, 0), ROLE_SECONDARY);
	cr_assert_eq(close_file(p, 0, true), 0);
	cr_assert_eq(open_file(p, 0, true, false), 0);
	pair_free(p);
}

Test(role, demotion_is_refused_while_open)
{
	struct pair *p = two();

	cr_assert_eq(pair_simple(p, 0, CMD_PRIMARY), SS_SUCCESS);
	cr_assert_eq(open_file(p, 0, true, false), 0);
	cr_assert_eq(pair_simple(p, 0, CMD_SECONDARY), SS_DEVICE_IN_USE);
	cr_assert_eq(close_file(p, 0, true), 0);
	/* Promoted by command: closing does not demote. */
	cr_assert_eq(pair_role(p, 0), ROLE_PRIMARY);
	cr_assert_eq(pair_simple(p, 0, CMD_SECONDARY), SS_SUCCESS);
	pair_free(p);
}

Test(role, inconsistent_needs_force_and_then_feeds_the_peer)
{
	struct pair *p = pair_new(&(struct pair_opts){ 0 });

	pair_up(p);
	cr_assert_eq(pair_simple(p, 0, CMD_PRIMARY), SS_NO_UP_TO_DATE_DISK);
	cr_assert(strstr(pair_text(p), "Inconsistent"), "%s", pair_text(p));
	cr_assert_eq(forced(p, 0, CMD_PRIMARY), SS_SUCCESS, "%s", pair_text(p));
	cr_assert_eq(pair_write(p, 0, 800, 8, 5), 0);
	cr_assert(pair_wait(p, 60000, pair_healthy), "%s", pair_describe(p));
	cr_assert(pair_same(p, 0, 1));
	pair_free(p);
}

Test(role, force_without_any_disk_is_refused_in_time)
{
	struct pair *p = pair_new(&(struct pair_opts){ .diskless = 1, .no_connect = true });

	pair_up(p);
	cr_assert_eq(forced(p, 0, CMD_PRIMARY), SS_NO_UP_TO_DATE_DISK, "%s", pair_text(p));
	cr_assert_eq(pair_role(p, 0), ROLE_SECONDARY);
	pair_free(p);
}

Test(open, writing_promotes_and_the_last_close_demotes)
{
	struct pair *p = two();

	cr_assert_eq(open_file(p, 1, true, false), 0, "%s", pair_text(p));
	cr_assert_eq(open_file(p, 1, true, false), 0);
	cr_assert_eq(pair_role(p, 1), ROLE_PRIMARY);
	cr_assert_eq(open_file(p, 0, true, true), -EROFS);
	cr_assert_eq(open_file(p, 0, false, true), -EMEDIUMTYPE);
	cr_assert_eq(pair_write(p, 1, 0, 8, 1), 0);
	close_file(p, 1, true);
	cr_assert_eq(pair_role(p, 1), ROLE_PRIMARY);
	close_file(p, 1, true);
	pair_pass_ms(p, 100);
	cr_assert_eq(pair_role(p, 1), ROLE_SECONDARY);
	cr_assert_eq(open_file(p, 0, true, false), 0);
	pair_free(p);
}

Test(open, a_reader_keeps_the_peer_from_promoting)
{
	struct pair *p = two();

	cr_assert_eq(open_file(p, 0, false, false), 0);
	cr_assert_eq(pair_simple(p, 1, CMD_PRIMARY), SS_CW_FAILED_BY_PEER);
	cr_assert_eq(close_file(p, 0, false), 0);
	cr_assert_eq(pair_simple(p, 1, CMD_PRIMARY), SS_SUCCESS);
	pair_free(p);
}

Test(open, errno_without_data)
{
	struct pair *p = pair_new(&(struct pair_opts){ .no_connect = true, .diskless = 1 });

	pair_up(p);
	cr_assert_eq(open_file(p, 0, false, false), -ENODATA);
	cr_assert_eq(open_file(p, 0, true, false), -EROFS);
	pair_free(p);
}

Test(open, without_auto_promote)
{
	struct pair *p = pair_new(&(struct pair_opts){ .no_auto_promote = true });

	pair_up_to_date(p);
	cr_assert_eq(open_file(p, 0, true, false), -EROFS);
	cr_assert_eq(open_file(p, 0, false, false), -EMEDIUMTYPE);
	cr_assert_eq(pair_simple(p, 0, CMD_PRIMARY), SS_SUCCESS);
	cr_assert_eq(open_file(p, 0, true, false), 0);
	pair_free(p);
}

Test(disk, detach_and_attach_while_the_peer_writes)
{
	struct pair *p = two();

	cr_assert_eq(pair_simple(p, 0, CMD_PRIMARY), SS_SUCCESS);
	cr_assert_eq(pair_simple(p, 1, CMD_DETACH), SS_SUCCESS, "%s", pair_text(p));
	cr_assert_eq(pair_disk(p, 1), DISK_DISKLESS);
	cr_assert_eq(pair_pdsk(p, 0, 1), DISK_DISKLESS);
	cr_assert_eq(pair_write(p, 0, 0, 64, 7), 0);
	cr_assert_eq(pair_write(p, 0, 9000, 8, 7), 0);
	cr_assert_not(pair_same(p, 0, 1));
	cr_assert_eq(pair_simple(p, 1, CMD_ATTACH), SS_SUCCESS, "%s", pair_text(p));
	cr_assert(pair_wait(p, 30000, pair_healthy), "%s", pair_describe(p));
	cr_assert(pair_same(p, 0, 1));
	pair_free(p);
}

/* It answers pings, but does not say what it thinks of our disk. */
Test(disk, an_attach_does_not_wait_forever_for_a_peer)
{
	struct pair *p = two();

	cr_assert_eq(pair_simple(p, 0, CMD_DETACH), SS_SUCCESS, "%s", pair_text(p));
	pair_hold(p, 1, 0, STREAM_DATA, true);
	cr_assert_geq(pair_simple(p, 0, CMD_ATTACH), SS_SUCCESS, "%s", pair_text(p));
	cr_assert_geq(pair_disk(p, 0), DISK_OUTDATED, "%s", pair_describe(p));
	pair_hold(p, 1, 0, STREAM_DATA, false);
	cr_assert(pair_wait(p, 60000, pair_healthy), "%s", pair_describe(p));
	pair_free(p);
}

Test(disk, the_only_good_one_stays)
{
	struct pair *p = two();

	cr_assert_eq(pair_simple(p, 0, CMD_PRIMARY), SS_SUCCESS);
	cr_assert_eq(pair_peer_command(p, 0, CMD_DISCONNECT, 1), SS_SUCCESS);
	cr_assert_eq(pair_simple(p, 0, CMD_DETACH), SS_NO_UP_TO_DATE_DISK);
	cr_assert_eq(pair_disk(p, 0), DISK_UP_TO_DATE);
	pair_free(p);
}

Test(disk, primary_detaches_and_works_through_the_peer)
{
	struct pair *p = two();
	uint64_t tags[8];

	cr_assert_eq(pair_simple(p, 0, CMD_PRIMARY), SS_SUCCESS);
	cr_assert_eq(pair_write(p, 0, 0, 8, 1000), 0);
	cr_assert_eq(pair_simple(p, 0, CMD_DETACH), SS_SUCCESS, "%s", pair_text(p));
	cr_assert_eq(pair_write(p, 0, 8, 8, 2000), 0);
	cr_assert_eq(pair_read(p, 0, 8, 8, tags), 0);
	cr_assert_eq(tags[3], 2003);
	cr_assert_eq(pair_simple(p, 0, CMD_ATTACH), SS_SUCCESS, "%s", pair_text(p));
	cr_assert(pair_wait(p, 30000, pair_healthy), "%s", pair_describe(p));
	cr_assert(pair_same(p, 0, 1));
	pair_free(p);
}

/* That it is so in every state is checked by the harness after each step. */
Test(disk, is_read_without_asking_while_it_is_good)
{
	const struct ev_command attach = { .cmd = CMD_ATTACH };
	struct pair *p = two();

	cr_assert(pair_local_reads(p, 0));
	cr_assert_eq(pair_simple(p, 0, CMD_PRIMARY), SS_SUCCESS);
	cr_assert_eq(pair_simple(p, 1, CMD_DETACH), SS_SUCCESS, "%s", pair_text(p));
	cr_assert_not(pair_local_reads(p, 1));
	cr_assert_eq(pair_write(p, 0, 0, 64, 7), 0);
	pair_hold(p, 0, 1, STREAM_DATA, true);
	pair_submit_command(p, 1, &attach);
	cr_assert(pair_run(p));
	cr_assert_not(pair_local_reads(p, 1));
	pair_hold(p, 0, 1, STREAM_DATA, false);
	cr_assert(pair_wait(p, 30000, pair_healthy), "%s", pair_describe(p));
	cr_assert(pair_local_reads(p, 1));
	pair_break_disk(p, 0);
	cr_assert_eq(pair_write(p, 0, 8, 8, 2000), 0);
	cr_assert_not(pair_local_reads(p, 0));
	pair_free(p);
}

Test(disk, an_io_error_detaches_and_the_primary_goes_on)
{
	struct pair *p = two();
	uint64_t tags[8];

	cr_assert_eq(pair_simple(p, 0, CMD_PRIMARY), SS_SUCCESS);
	cr_assert_eq(pair_write(p, 0, 0, 8, 1000), 0);
	pair_break_disk(p, 0);
	cr_assert_eq(pair_write(p, 0, 8, 8, 2000), 0);
	cr_assert_eq(pair_read(p, 0, 0, 8, tags), 0);
	cr_assert_eq(tags[0], 1000);
	cr_assert_eq(pair_disk(p, 0), DISK_DISKLESS);
	cr_assert_eq(pair_pdsk(p, 1, 0), DISK_DISKLESS);
	pair_free(p);
}

Test(disk, a_failing_disk_cannot_be_attached)
{
	struct pair *p = pair_new(&(struct pair_opts){ .no_connect = true });

	pair_break_disk(p, 0);
	cr_assert_eq(pair_simple(p, 0, CMD_ATTACH), SS_NO_LOCAL_DISK);
	cr_assert_eq(pair_disk(p, 0), DISK_DISKLESS);
	pair_free(p);
}

Test(disk, invalidate_copies_everything_again)
{
	struct pair *p = two();

	cr_assert_eq(pair_simple(p, 0, CMD_PRIMARY), SS_SUCCESS);
	cr_assert_eq(pair_write(p, 0, 0, 8, 1000), 0);
	cr_assert_eq(pair_simple(p, 1, CMD_INVALIDATE), SS_SUCCESS, "%s", pair_text(p));
	cr_assert_neq(pair_disk(p, 1), DISK_UP_TO_DATE);
	cr_assert(pair_wait(p, 60000, pair_healthy), "%s", pair_describe(p));
	cr_assert_eq(pair_peer_command(p, 0, CMD_INVALIDATE_REMOTE, 1), SS_SUCCESS, "%s",
		     pair_text(p));
	cr_assert(pair_wait(p, 60000, pair_healthy), "%s", pair_describe(p));
	cr_assert(pair_same(p, 0, 1));
	pair_free(p);
}

/* Neither sends a bitmap then; P_SYNC_UUID may overtake the answer to the request. */
Test(disk, before_110_a_full_sync_begins_with_p_sync_uuid)
{
	struct pair *p = two();
	struct ev_command marked = { .cmd = CMD_INVALIDATE_REMOTE, .peer = 1, .keep_bitmap = true };

	cr_assert_eq(pair_simple(p, 0, CMD_PRIMARY), SS_SUCCESS);
	cr_assert_eq(pair_write(p, 0, 0, 8, 1000), 0);
	pair_core(p, 0)->peer[1]->apv = 101;
	pair_core(p, 1)->peer[0]->apv = 101;
	cr_assert_eq(pair_simple(p, 1, CMD_INVALIDATE), SS_SUCCESS, "%s", pair_text(p));
	cr_assert(pair_wait(p, 60000, pair_healthy), "%s", pair_describe(p));
	cr_assert_eq(pair_conn(p, 0, 1), CONN_CONNECTED);
	cr_assert_eq(pair_sent(p, 0, 1, P_SYNC_UUID), 1);
	cr_assert_eq(pair_peer_command(p, 0, CMD_INVALIDATE_REMOTE, 1), SS_SUCCESS, "%s",
		     pair_text(p));
	cr_assert(pair_wait(p, 60000, pair_healthy), "%s", pair_describe(p));
	cr_assert_eq(pair_sent(p, 0, 1, P_SYNC_UUID), 2);
	cr_assert_eq(pair_sent(p, 0, 1, P_COMPRESSED_BITMAP) + pair_sent(p, 0, 1, P_BITMAP), 0);
	cr_assert_eq(pair_command(p, 0, &marked), SS_NOT_SUPPORTED);
	pair_free(p);
}

static void report_of_8_4(struct pair *p, unsigned disk)
{
	struct pkt pkt = { .type = P_STATE };

	pkt.u.state = ROLE_SECONDARY | ROLE_SECONDARY << 2 | REPL_ESTABLISHED << SW_CONN_SHIFT |
		      disk << SW_DISK_SHIFT | 8U << SW_PDSK_SHIFT;
	rx_state(pair_core(p, 0), pair_core(p, 0)->peer[1], &pkt);
}

/* It says that it is connected once, and that may cross with our word that the disks are equal. */
Test(disk, before_110_the_first_report_is_older_than_a_skipped_sync)
{
	struct pair *p = two();
	struct core *core = pair_core(p, 0);

	core->peer[1]->apv = 101;
	core->peer[1]->pd[0].conn_rx = 0;
	report_of_8_4(p, 4);
	cr_assert_eq(core->st.pd[1][0].pdsk, DISK_UP_TO_DATE);
	report_of_8_4(p, 4);
	cr_assert_eq(core->st.pd[1][0].pdsk, DISK_INCONSISTENT);
	pair_free(p);
}

Test(disk, invalidate_needs_a_good_peer)
{
	struct pair *p = two();

	cr_assert_eq(pair_peer_command(p, 0, CMD_DISCONNECT, 1), SS_SUCCESS);
	cr_assert_eq(pair_simple(p, 0, CMD_INVALIDATE), SS_NO_REMOTE_DISK);
	pair_free(p);
}

Test(net, disconnect_leaves_the_peer_connecting)
{
	struct pair *p = two();

	cr_assert_eq(pair_peer_command(p, 0, CMD_DISCONNECT, 1), SS_SUCCESS, "%s", pair_text(p));
	cr_assert_eq(pair_conn(p, 0, 1), CONN_STANDALONE);
	cr_assert_eq(pair_conn(p, 1, 0), CONN_CONNECTING);
	cr_assert_eq(pair_peer_command(p, 0, CMD_DISCONNECT, 1), SS_NOTHING_TO_DO);
	cr_assert_eq(pair_peer_command(p, 0, CMD_CONNECT, 1), SS_SUCCESS);
	cr_assert(pair_wait(p, 20000, pair_healthy), "%s", pair_describe(p));
	cr_assert_eq(pair_peer_command(p, 0, CMD_CONNECT, 1), SS_NOTHING_TO_DO);
	pair_free(p);
}

Test(net, a_primary_that_disconnects_outdates_the_peer)
{
	struct pair *p = two();

	cr_assert_eq(pair_simple(p, 0, CMD_PRIMARY), SS_SUCCESS);
	cr_assert_eq(pair_peer_command(p, 0, CMD_DISCONNECT, 1), SS_SUCCESS);
	cr_assert_eq(pair_disk(p, 1), DISK_OUTDATED);
	cr_assert_eq(pair_simple(p, 1, CMD_PRIMARY), SS_NO_UP_TO_DATE_DISK);
	cr_assert_eq(pair_peer_command(p, 0, CMD_CONNECT, 1), SS_SUCCESS);
	cr_assert(pair_wait(p, 20000, pair_healthy), "%s", pair_describe(p));
	pair_free(p);
}

Test(net, force_does_not_ask)
{
	struct pair *p = two();
	struct ev_command ev = { .cmd = CMD_DISCONNECT, .peer = 1, .force = true };

	pair_hold(p, 1, 0, STREAM_CONTROL, true);
	cr_assert_eq(pair_command(p, 0, &ev), SS_SUCCESS);
	cr_assert_eq(pair_conn(p, 0, 1), CONN_STANDALONE);
	pair_free(p);
}

Test(net, unknown_peer_and_volume)
{
	struct pair *p = two();
	struct ev_command ev = { .cmd = CMD_DETACH, .vnr = 9 };

	cr_assert_eq(pair_peer_command(p, 0, CMD_CONNECT, 17), SS_NO_NET_CONFIG);
	cr_assert_leq(pair_command(p, 0, &ev), 0);
	cr_assert(strstr(pair_text(p), "volume 9"));
	pair_free(p);
}

Test(net, shutdown_ends_everything_and_starts_again_without_resync)
{
	struct pair *p = two();

	cr_assert_eq(open_file(p, 0, true, false), 0);
	cr_assert_eq(pair_write(p, 0, 0, 8, 3), 0);
	close_file(p, 0, true);
	cr_assert_eq(pair_simple(p, 0, CMD_SHUTDOWN), SS_SUCCESS, "%s", pair_text(p));
	cr_assert_eq(pair_disk(p, 0), DISK_DISKLESS);
	cr_assert_eq(pair_conn(p, 0, 1), CONN_STANDALONE);
	cr_assert_eq(pair_simple(p, 1, CMD_SHUTDOWN), SS_SUCCESS);
	pair_crash(p, 0);
	pair_crash(p, 1);
	pair_restart(p, 0);
	pair_restart(p, 1);
	cr_assert(pair_wait(p, 20000, pair_healthy), "%s", pair_describe(p));
	cr_assert_eq(pair_sent(p, 0, 1, P_RS_DATA_REPLY), 0);
	cr_assert_eq(pair_sent(p, 1, 0, P_RS_DATA_REPLY), 0);
	pair_free(p);
}

Test(net, shutdown_of_an_open_primary_with_the_peer_gone)
{
	struct pair *p = two();

	cr_assert_eq(open_file(p, 0, true, false), 0);
	pair_cut(p, 0, 1);
	cr_assert_eq(pair_simple(p, 0, CMD_SHUTDOWN), SS_SUCCESS, "%s", pair_text(p));
	cr_assert_eq(pair_role(p, 0), ROLE_SECONDARY);
	pair_free(p);
}

static unsigned errors_logged;

static void count_errors(void *ctx, enum log_level level, const char *text)
{
	(void)ctx;
	(void)text;
	errors_logged += level == LOG_LEVEL_ERR;
}

static void log_to_counter(struct core_conf *conf)
{
	conf->log = count_errors;
}

Test(net, an_orderly_end_is_no_error)
{
	struct pair *p = pair_new(&(struct pair_opts){ .nodes = 3, .tune = log_to_counter });

	pair_up_to_date(p);
	errors_logged = 0;
	cr_assert_eq(pair_peer_command(p, 0, CMD_DISCONNECT, 1), SS_SUCCESS);
	cr_assert_eq(pair_peer_command(p, 1, CMD_CONNECT, 0), SS_NOTHING_TO_DO);
	pair_cut(p, 0, 2);
	cr_assert_eq(pair_peer_command(p, 2, CMD_DISCONNECT, 0), SS_SUCCESS);
	cr_assert_eq(pair_simple(p, 0, CMD_SHUTDOWN), SS_SUCCESS, "%s", pair_text(p));
	cr_assert_eq(pair_simple(p, 1, CMD_SHUTDOWN), SS_SUCCESS, "%s", pair_text(p));
	cr_assert_eq(errors_logged, 0);
	pair_free(p);
}

Test(queue, what_waits_behind_a_shutdown_is_answered)
{
	struct pair *p = two();
	struct ev_command down = { .cmd = CMD_SHUTDOWN }, attach = { .cmd = CMD_ATTACH };
	struct ev_command open = { .cmd = CMD_OPEN, .write = true };
	uint64_t cookie[3];
	int rc[3];

	/* The shutdown waits for the peer's answer. */
	pair_hold(p, 1, 0, STREAM_CONTROL, true);
	cookie[0] = pair_submit_command(p, 0, &down);
	cookie[1] = pair_submit_command(p, 0, &attach);
	cookie[2] = pair_submit_command(p, 0, &open);
	pair_hold(p, 1, 0, STREAM_CONTROL, false);
	pair_pass_ms(p, 1000);
	for (unsigned i = 0; i < 3; i++)
		cr_assert(pair_replied(p, cookie[i], &rc[i]), "command %u", i);
	cr_assert_eq(rc[0], SS_SUCCESS);
	cr_assert_eq(rc[1], SS_IN_TRANSIENT_STATE);
	cr_assert_eq(rc[2], -ENODEV);
	cr_assert_eq(pair_disk(p, 0), DISK_DISKLESS);
	pair_free(p);
}

Test(queue, too_many_commands_are_refused_not_lost)
{
	struct pair *p = two();
	uint64_t cookie[COMMANDS_MAX + 8];
	unsigned refused = 0;
	int rc;

	/* The disconnect waits for an answer that is held back. */
	pair_hold(p, 1, 0, STREAM_CONTROL, true);
	for (unsigned i = 0; i < COMMANDS_MAX + 8; i++) {
		struct ev_command ev = { .cmd = CMD_DISCONNECT, .peer = 1 };

		cookie[i] = pair_submit_command(p, 0, &ev);
	}
	pair_hold(p, 1, 0, STREAM_CONTROL, false);
	pair_pass_ms(p, 1000);
	for (unsigned i = 0; i < COMMANDS_MAX + 8; i++) {
		cr_assert(pair_replied(p, cookie[i], &rc), "command %u", i);
		refused += rc == SS_IN_TRANSIENT_STATE;
	}
	cr_assert_eq(refused, 9);
	pair_free(p);
}

Test(split_brain, both_ends_stop_and_discard_my_data_resolves_it)
{
	struct pair *p = two();
	struct ev_command discard = { .cmd = CMD_CONNECT, .peer = 0, .discard_my_data = true };

	pair_cut(p, 0, 1);
	pair_pass_ms(p, 100);
	cr_assert_eq(pair_simple(p, 0, CMD_PRIMARY), SS_SUCCESS, "%s", pair_text(p));
	cr_assert_eq(pair_write(p, 0, 0, 8, 100), 0);
	cr_assert_eq(pair_simple(p, 0, CMD_SECONDARY), SS_SUCCESS);
	cr_assert_eq(pair_simple(p, 1, CMD_PRIMARY), SS_SUCCESS, "%s", pair_text(p));
	cr_assert_eq(pair_write(p, 1, 64, 8, 200), 0);
	cr_assert_eq(pair_simple(p, 1, CMD_SECONDARY), SS_SUCCESS);
	pair_heal(p, 0, 1);
	pair_pass_ms(p, 30000);
	cr_assert_eq(pair_conn(p, 0, 1), CONN_STANDALONE, "%s", pair_describe(p));
	cr_assert_eq(pair_conn(p, 1, 0), CONN_STANDALONE, "%s", pair_describe(p));
	cr_assert(strstr(pair_describe(p), "plit"), "%s", pair_describe(p));
	cr_assert_eq(pair_command(p, 1, &discard), SS_SUCCESS);
	cr_assert_eq(pair_peer_command(p, 0, CMD_CONNECT, 1), SS_SUCCESS);
	cr_assert(pair_wait(p, 30000, pair_healthy), "%s", pair_describe(p));
	cr_assert(pair_same(p, 0, 1));
	cr_assert_eq(pair_disk_tag(p, 1, 0), 100);
	cr_assert_eq(pair_disk_tag(p, 1, 64), 0);
	pair_free(p);
}

Test(split_brain, a_primary_may_not_discard)
{
	struct pair *p = two();
	struct ev_command discard = { .cmd = CMD_CONNECT, .peer = 1, .discard_my_data = true };

	cr_assert_eq(pair_simple(p, 0, CMD_PRIMARY), SS_SUCCESS);
	cr_assert_eq(pair_peer_command(p, 0, CMD_DISCONNECT, 1), SS_SUCCESS);
	cr_assert_eq(pair_command(p, 0, &discard), SS_DEVICE_IN_USE);
	pair_free(p);
}

Test(diskless, client_promotes_and_works)
{
	struct pair *p = pair_new(&(struct pair_opts){ .nodes = 3, .diskless = 4 });
	uint64_t tags[8];

	pair_up_to_date(p);
	cr_assert(pair_healthy(p), "%s", pair_describe(p));
	cr_assert_eq(open_file(p, 2, true, false), 0, "%s", pair_text(p));
	cr_assert_eq(pair_write(p, 2, 4096, 8, 70), 0);
	cr_assert_eq(pair_read(p, 2, 4096, 8, tags), 0);
	cr_assert_eq(tags[7], 77);
	cr_assert(pair_same(p, 0, 1));
	pair_crash(p, 0);
	pair_pass_ms(p, 1000);
	cr_assert_eq(pair_write(p, 2, 8192, 8, 80), 0);
	pair_restart(p, 0);
	cr_assert(pair_wait(p, 30000, pair_healthy), "%s", pair_describe(p));
	cr_assert(pair_same(p, 0, 1));
	pair_free(p);
}

Test(failover, the_survivor_is_promoted_at_once)
{
	struct pair *p = pair_new(&(struct pair_opts){ .nodes = 3 });

	pair_up_to_date(p);
	cr_assert_eq(open_file(p, 0, true, false), 0);
	cr_assert_eq(pair_write(p, 0, 0, 8, 9), 0);
	pair_crash(p, 0);
	cr_assert_eq(open_file(p, 1, true, false), 0, "%s", pair_text(p));
	cr_assert_eq(pair_write(p, 1, 8, 8, 19), 0);
	pair_restart(p, 0);
	cr_assert(pair_wait(p, 30000, pair_healthy), "%s", pair_describe(p));
	cr_assert(pair_same(p, 0, 1));
	cr_assert(pair_same(p, 1, 2));
	pair_free(p);
}

Test(failover, a_silent_primary_is_found_out)
{
	struct pair *p = pair_new(&(struct pair_opts){ .nodes = 3 });

	pair_up_to_date(p);
	cr_assert_eq(open_file(p, 0, true, false), 0);
	/* Nothing comes back from it any more, yet no stream ends. */
	for (unsigned i = 1; i < 3; i++) {
		pair_hold(p, 0, i, STREAM_CONTROL, true);
		pair_hold(p, 0, i, STREAM_DATA, true);
	}
	cr_assert_eq(open_file(p, 1, true, false), 0, "%s\n%s", pair_text(p), pair_describe(p));
	pair_free(p);
}

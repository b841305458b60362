/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Other options for a running core: what fits, and what a peer is told. */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "core/core_int.h"
#include "../lib/core_pair.h"

static struct core_conf from, to;

static void fresh(void)
{
	memset(&from, 0, sizeof(from));
	from.volume_count = 1;
	from.volumes[0].disk.has_disk = true;
	from.volumes[0].disk.al_extents = 1237;
	from.peer_count = 1;
	from.peers[0].node_id = 1;
	from.peers[0].net.protocol = PROTOCOL_C;
	memcpy(&to, &from, sizeof(to));
}

Test(configure, options_of_connections_and_resync_fit)
{
	fresh();
	cr_assert(core_conf_fits(&from, &to));
	to.auto_promote = true;
	to.volumes[0].disk.c_max_rate_kib = 5;
	to.volumes[0].disk.on_io_error = IOERR_PASS_ON;
	to.peers[0].net.protocol = PROTOCOL_A;
	to.peers[0].net.ping_int_s = 7;
	to.volumes[0].disk.size_sectors = 4096;
	cr_assert(core_conf_fits(&from, &to));
}

Test(configure, another_shape_does_not_fit)
{
	fresh();
	to.volumes[0].disk.al_extents = 67;
	cr_assert_not(core_conf_fits(&from, &to));
	fresh();
	to.volumes[0].disk.has_disk = false;
	cr_assert_not(core_conf_fits(&from, &to));
	fresh();
	to.node_id = 2;
	cr_assert_not(core_conf_fits(&from, &to));
}

/* Whatever it is made of; the one that it has has to leave before. */
Test(configure, another_volume_fits)
{
	fresh();
	to.volumes[0].vnr = 1;
	to.volumes[0].disk.al_extents = 67;
	cr_assert(core_conf_fits(&from, &to));
	cr_assert_not(core_volume_stays(&to, 0));
	cr_assert(core_volume_stays(&to, 1));
}

Test(configure, peers_that_are_other_ones_have_to_leave_before)
{
	struct pair *p = pair_new(&(struct pair_opts){ .nodes = 3 });
	struct core *core = pair_core(p, 0);
	static struct core_conf conf;

	conf = core->conf;
	cr_assert_eq(core_departures(core, &conf), 0);
	cr_assert_eq(core_configure_bytes(core, &conf), 0);
	conf.peers[0].net.protocol = PROTOCOL_A;
	conf.peers[2] = conf.peers[0];
	conf.peers[2].node_id = 9;
	conf.peer_count = 3;
	cr_assert(core_conf_fits(&core->conf, &conf));
	cr_assert_eq(core_departures(core, &conf), 0, "one that comes does not matter");
	cr_assert_gt(core_configure_bytes(core, &conf), sizeof(struct peer));
	conf.peers[0].has_disk[0] = false;
	cr_assert_eq(core_departures(core, &conf), 1U << conf.peers[0].node_id);
	conf.peers[0].has_disk[0] = true;
	strcpy(conf.peers[1].name, "omega");
	cr_assert_eq(core_departures(core, &conf), 1U << conf.peers[1].node_id);
	conf.peer_count = 0;
	cr_assert_eq(core_departures(core, &conf), 1U << 1 | 1U << 2);
	pair_free(p);
}

static struct core_conf full;

static void all_peers(struct core_conf *conf)
{
	*conf = full;
}

Test(configure, a_peer_leaves_a_node_in_use_and_returns)
{
	struct pair *p = pair_new(&(struct pair_opts){ .nodes = 3 });
	unsigned handshakes;

	pair_up_to_date(p);
	full = pair_core(p, 0)->conf;
	pair_simple(p, 0, CMD_PRIMARY);
	handshakes = pair_sent(p, 0, 2, P_PROTOCOL);
	for (unsigned round = 0; round < 3; round++) {
		cr_assert_eq(pair_peer_command(p, 0, CMD_DEL_PEER, 1), SS_SUCCESS, "%s",
			     pair_text(p));
		cr_assert_null(pair_core(p, 0)->peer[1]);
		cr_assert_eq(pair_core(p, 0)->conf.peer_count, 1);
		cr_assert_eq(pair_core(p, 0)->peer[2]->conf, pair_core(p, 0)->conf.peers);
		cr_assert_eq(pair_peer_command(p, 0, CMD_DEL_PEER, 1), SS_NOTHING_TO_DO);
		cr_assert_eq(pair_write(p, 0, 8 * round, 8, 7 + round), 0);
		cr_assert_eq(core_configure_bytes(pair_core(p, 0), &full), 0,
			     "its memory is kept for the next one");
		pair_configure(p, 0, all_peers);
		cr_assert_eq(pair_core(p, 0)->peer[1]->conf->node_id, 1);
		pair_peer_command(p, 0, CMD_CONNECT, 1);
		cr_assert(pair_wait(p, 10000, pair_healthy), "%s", pair_describe(p));
		cr_assert(pair_same(p, 0, 1));
	}
	cr_assert_eq(pair_sent(p, 0, 2, P_PROTOCOL), handshakes, "the other stays connected");
	pair_free(p);
}

static void protocol_a(struct core_conf *conf)
{
	conf->peers[0].net.protocol = PROTOCOL_A;
}

Test(configure, the_protocol_changes_on_both_nodes_without_a_disconnect)
{
	struct pair *p = pair_new(&(struct pair_opts){ 0 });

	pair_up_to_date(p);
	pair_simple(p, 0, CMD_PRIMARY);
	pair_hold(p, 1, 0, STREAM_CONTROL, true);
	pair_submit_write(p, 0, 8, 8, 1);
	pair_run(p);
	cr_assert_eq(pair_last_error(p), -EINPROGRESS, "protocol C waits for the peer");
	pair_hold(p, 1, 0, STREAM_CONTROL, false);
	pair_run(p);

	pair_configure(p, 0, protocol_a);
	cr_assert_eq(pair_sent(p, 0, 1, P_PROTOCOL_UPDATE), 1);
	cr_assert_eq(pair_conn(p, 0, 1), CONN_CONNECTED, "%s", pair_describe(p));
	cr_assert_eq(pair_core(p, 1)->conf.peers[0].net.protocol, PROTOCOL_A);
	pair_hold(p, 1, 0, STREAM_CONTROL, true);
	cr_assert_eq(pair_write(p, 0, 8, 8, 2), 0, "protocol A does not");
	pair_hold(p, 1, 0, STREAM_CONTROL, false);
	pair_run(p);

	/* They still agree at the next connect. */
	pair_cut(p, 0, 1);
	pair_heal(p, 0, 1);
	pair_pass_ms(p, 5000);
	cr_assert(pair_healthy(p), "%s", pair_describe(p));
	cr_assert(pair_same(p, 0, 1));
	pair_free(p);
}

static void discard_local(struct core_conf *conf)
{
	conf->peers[0].net.after_sb_0p = ASB_DISCARD_REMOTE;
}

Test(configure, a_policy_that_discards_data_is_not_taken_over_from_a_peer)
{
	struct pair *p = pair_new(&(struct pair_opts){ 0 });

	pair_up_to_date(p);
	pair_configure(p, 0, discard_local);
	cr_assert_eq(pair_sent(p, 0, 1, P_PROTOCOL_UPDATE), 1);
	cr_assert_eq(pair_core(p, 1)->conf.peers[0].net.after_sb_0p, ASB_DISCONNECT);
	cr_assert(pair_healthy(p), "%s", pair_describe(p));
	pair_free(p);
}

static void with_digest(struct core_conf *conf)
{
	strcpy(conf->peers[0].net.data_integrity_alg, "crc32c");
}

Test(configure, a_digest_takes_a_new_connection)
{
	struct pair *p = pair_new(&(struct pair_opts){ 0 });

	pair_up_to_date(p);
	pair_configure(p, 0, with_digest);
	cr_assert_lt(pair_conn(p, 0, 1), CONN_CONNECTED, "%s", pair_describe(p));
	pair_configure(p, 1, with_digest);
	pair_peer_command(p, 0, CMD_CONNECT, 1);
	pair_peer_command(p, 1, CMD_CONNECT, 0);
	pair_pass_ms(p, 5000);
	cr_assert(pair_healthy(p), "%s", pair_describe(p));
	pair_free(p);
}

static void limits(struct core_conf *conf)
{
	conf->volumes[0].disk.c_max_rate_kib = 77;
	conf->peers[0].net.max_epoch_size = 3;
	conf->peers[0].net.ping_timeout_ds = 9;
	conf->auto_promote_timeout_ds = 5;
}

Test(configure, limits_hold_from_then_on)
{
	struct pair *p = pair_new(&(struct pair_opts){ 0 });
	const struct core_conf *conf = &pair_core(p, 0)->conf;

	pair_up_to_date(p);
	pair_configure(p, 0, limits);
	cr_assert_eq(conf->volumes[0].disk.c_max_rate_kib, 77);
	cr_assert_eq(conf->peers[0].net.ping_timeout_ds, 9);
	cr_assert_eq(conf->auto_promote_timeout_ds, 5);
	cr_assert_eq(pair_core(p, 0)->req.epoch_max, 3);
	cr_assert_eq(pair_sent(p, 0, 1, P_PROTOCOL_UPDATE), 0);
	cr_assert(pair_healthy(p), "%s", pair_describe(p));
	pair_free(p);
}

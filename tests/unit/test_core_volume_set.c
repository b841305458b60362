/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Volumes that come to a core that runs, and go: places, memory, what the peers see of it. */
#include <criterion/criterion.h>
#include <string.h>

#include "core/core_int.h"
#include "../lib/core_pair.h"

#define CLIENT_VNR 5U

/* Volume 5 has no disk on any node; volume 0 is the one with the disks. */
static void client_only(struct core_conf *conf)
{
	conf->volumes[0].vnr = CLIENT_VNR;
	conf->volumes[0].disk.has_disk = false;
	for (unsigned i = 0; i < conf->peer_count; i++)
		conf->peers[i].has_disk[0] = false;
}

static const struct core_volume_conf *of(const struct core_conf *conf, uint16_t vnr)
{
	for (unsigned v = 0; v < conf->volume_count; v++) {
		if (conf->volumes[v].vnr == vnr)
			return &conf->volumes[v];
	}
	return NULL;
}

/* As a configuration has them: ascending. */
static void set(struct core_conf *conf, unsigned count, const uint16_t vnr[])
{
	struct core_conf was = *conf;

	conf->volume_count = count;
	for (unsigned v = 0; v < count; v++) {
		bool disk = vnr[v] != CLIENT_VNR;

		conf->volumes[v] = was.volumes[0];
		if (of(&was, vnr[v]))
			conf->volumes[v] = *of(&was, vnr[v]);
		conf->volumes[v].vnr = vnr[v];
		conf->volumes[v].disk.has_disk = disk;
		for (unsigned i = 0; i < conf->peer_count; i++)
			conf->peers[i].has_disk[v] = disk;
	}
}

static void with_0(struct core_conf *conf)
{
	set(conf, 2, (const uint16_t[]){ 0, CLIENT_VNR });
}

static void with_7(struct core_conf *conf)
{
	set(conf, 2, (const uint16_t[]){ CLIENT_VNR, 7 });
}

static struct pair *one_volume(void)
{
	struct pair *p = pair_new(&(struct pair_opts){ .tune = client_only });

	for (unsigned n = 0; n < 2; n++)
		pair_peer_command(p, n, CMD_CONNECT, 1 - n);
	pair_pass_ms(p, 3000);
	cr_assert_eq(pair_conn(p, 0, 1), CONN_CONNECTED);
	return p;
}

static void attach(struct pair *p, unsigned node)
{
	cr_assert_eq(pair_simple(p, node, CMD_ATTACH), SS_SUCCESS, "%s", pair_text(p));
}

static int leave(struct pair *p, unsigned node, uint16_t vnr)
{
	return pair_command(p, node, &(struct ev_command){ .cmd = CMD_DEL_VOLUME, .vnr = vnr });
}

/* Of the other volume there are no data, which is in the way of a promotion. */
static void use_it_alone(struct pair *p)
{
	for (unsigned n = 0; n < 2; n++)
		cr_assert_eq(leave(p, n, CLIENT_VNR), SS_SUCCESS, "%s", pair_text(p));
	cr_assert_eq(pair_simple(p, 0, CMD_PRIMARY), SS_SUCCESS, "%s", pair_text(p));
}

/* What the status says of volume 0, which is the first one. */
static const struct status_peer_device *seen(struct pair *p, unsigned node)
{
	static struct resource_status status;

	core_status(pair_core(p, node), &status);
	cr_assert_eq(status.volumes[0].vnr, 0);
	cr_assert_eq(status.peers[0].devices[0].vnr, 0);
	return &status.peers[0].devices[0];
}

static bool good(struct pair *p)
{
	for (unsigned n = 0; n < 2; n++) {
		const struct status_peer_device *pd = seen(p, n);

		if (pd->peer_disk != DISK_UP_TO_DATE || pd->repl != REPL_ESTABLISHED ||
		    pd->out_of_sync_sectors)
			return false;
	}
	return true;
}

Test(volume_set, comes_to_one_node_and_then_to_the_other)
{
	struct ev_command clear = { .cmd = CMD_NEW_CURRENT_UUID, .clear_bitmap = true };
	struct pair *p = one_volume();
	unsigned handshakes = pair_sent(p, 0, 1, P_PROTOCOL);

	pair_configure(p, 0, with_0);
	attach(p, 0);
	pair_pass_ms(p, 5000);
	cr_assert_eq(pair_conn(p, 0, 1), CONN_CONNECTED);
	cr_assert_eq(seen(p, 0)->repl, REPL_OFF, "the peer has not told of it");
	pair_configure(p, 1, with_0);
	cr_assert_eq(seen(p, 0)->repl, REPL_ESTABLISHED);
	cr_assert_eq(seen(p, 1)->repl, REPL_ESTABLISHED);
	cr_assert_eq(seen(p, 1)->peer_disk, DISK_INCONSISTENT);
	attach(p, 1);
	cr_assert_eq(pair_command(p, 1, &clear), SS_SUCCESS, "%s", pair_text(p));
	cr_assert(pair_wait(p, 5000, good), "%s", pair_describe(p));
	use_it_alone(p);
	cr_assert_eq(pair_write(p, 0, 64, 8, 77), 0);
	cr_assert(pair_same(p, 0, 1));
	cr_assert_eq(pair_sent(p, 0, 1, P_PROTOCOL), handshakes, "the connection stays");
	pair_free(p);
}

Test(volume_set, has_data_before_the_other_node_gets_it)
{
	struct ev_command clear = { .cmd = CMD_NEW_CURRENT_UUID, .clear_bitmap = true };
	struct pair *p = one_volume();

	pair_configure(p, 0, with_0);
	attach(p, 0);
	cr_assert_eq(pair_command(p, 0, &clear), SS_SUCCESS, "%s", pair_text(p));
	use_it_alone(p);
	for (unsigned i = 0; i < 10; i++)
		cr_assert_eq(pair_write(p, 0, 80 * i, 8, 100 * i), 0);
	pair_configure(p, 1, with_0);
	attach(p, 1);
	cr_assert(pair_wait(p, 20000, good), "%s", pair_describe(p));
	cr_assert(pair_same(p, 0, 1));
	pair_free(p);
}

/* The place of one that is gone serves another one; the same one finds its peers as they were. */
Test(volume_set, goes_and_gives_its_place)
{
	struct ev_command open = { .cmd = CMD_OPEN, .write = true };
	struct pair *p = pair_new(&(struct pair_opts){ 0 });
	struct core *core = pair_core(p, 0);

	pair_up_to_date(p);
	cr_assert_eq(pair_command(p, 0, &open), 0);
	cr_assert_eq(leave(p, 0, 0), SS_DEVICE_IN_USE);
	cr_assert_eq(leave(p, 0, 3), SS_UNKNOWN_ERROR);
	cr_assert_eq(leave(p, 1, 0), SS_SUCCESS, "%s", pair_text(p));
	cr_assert_eq(pair_pdsk(p, 0, 1), DISK_DISKLESS);
	cr_assert_eq(pair_write(p, 0, 64, 8, 77), 0);
	cr_assert_eq(pair_simple(p, 1, CMD_ATTACH), SS_UNKNOWN_ERROR, "it has no such volume");
	open.cmd = CMD_CLOSE;
	pair_command(p, 0, &open);
	pair_pass_ms(p, 3000);
	cr_assert_eq(leave(p, 0, 0), SS_SUCCESS, "%s", pair_text(p));
	for (unsigned n = 0; n < 2; n++)
		pair_configure(p, n, with_7);
	cr_assert_eq(core->vol_count, 2);
	cr_assert_eq(core->vol[0]->vnr, CLIENT_VNR, "in its place");
	cr_assert_eq(core->vol[1]->vnr, 7);
	cr_assert_eq(core->st.pd[1][0].repl, REPL_ESTABLISHED);
	cr_assert_eq(core->st.pd[1][1].repl, REPL_ESTABLISHED);
	cr_assert_eq(leave(p, 0, 7), SS_SUCCESS);
	pair_configure(p, 0, with_0);
	cr_assert_eq(core->vol[1]->vnr, 0);
	cr_assert_eq(core->st.pd[1][1].repl, REPL_OFF, "node 1 has no such volume any more");
	pair_free(p);
}

static void quorum(struct core_conf *conf)
{
	conf->quorum = QUORUM_MAJORITY;
	conf->on_no_quorum = NO_QUORUM_SUSPEND;
	conf->on_no_data = NO_DATA_SUSPEND;
}

/* A volume that nobody uses yet does not stop the one that is used. */
Test(volume_set, a_primary_goes_on)
{
	struct pair *p = pair_new(&(struct pair_opts){ .tune = quorum });

	pair_up_to_date(p);
	cr_assert_eq(pair_simple(p, 0, CMD_PRIMARY), SS_SUCCESS);
	pair_configure(p, 0, with_0);
	cr_assert_eq(pair_write(p, 0, 64, 8, 77), 0);
	cr_assert_eq(leave(p, 0, CLIENT_VNR), SS_SUCCESS);
	cr_assert_eq(pair_write(p, 0, 80, 8, 78), 0);
	pair_free(p);
}

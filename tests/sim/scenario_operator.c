/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What an operator may do at any moment, also where it is wrong: every verb, and other options. */
#include <stdio.h>
#include <string.h>

#include "scenario.h"

/* ---- verbs ---- */

static void idle(struct world *w)
{
	sc_begin(w, 3);
}

static void in_use(struct world *w)
{
	sc_begin(w, 3);
	sc_open(w, A);
	sc_write(w, 1);
	for (unsigned i = 0; i < 5; i++)
		sc_write_async(w, 2 + 1024 * i);
}

static void one_behind(struct world *w)
{
	sc_begin(w, 3);
	sc_make_difference(w, 5);
}

static void resyncing(struct world *w)
{
	sc_begin(w, 3);
	sc_make_difference(w, 5);
	simnet_hold_type(w, A, B, P_RS_DATA_REPLY, NS_SEC);
	sc_begin_resync(w, A, B);
}

static void without_disk(struct world *w)
{
	sc_begin(w, 3);
	sc_open(w, A);
	sc_detach(w, C);
	sc_write(w, 1);
}

static void (*const situations[])(struct world *w) = {
	idle, in_use, one_behind, resyncing, without_disk,
};

/* `peer` is counted from the node on: 1 is the next one. */
static const struct ev_command verbs[] = {
	{ .cmd = CMD_ATTACH },
	{ .cmd = CMD_ATTACH, .vnr = 7 },
	{ .cmd = CMD_DETACH },
	{ .cmd = CMD_DETACH, .force = true },
	{ .cmd = CMD_CONNECT, .peer = 1 },
	{ .cmd = CMD_CONNECT, .peer = 9 },
	{ .cmd = CMD_DISCONNECT, .peer = 1 },
	{ .cmd = CMD_DISCONNECT, .peer = 1, .force = true },
	{ .cmd = CMD_DISCONNECT, .peer = 9 },
	{ .cmd = CMD_PRIMARY },
	{ .cmd = CMD_SECONDARY },
	{ .cmd = CMD_INVALIDATE },
	{ .cmd = CMD_INVALIDATE, .keep_bitmap = true },
	{ .cmd = CMD_INVALIDATE_REMOTE, .peer = 1 },
	{ .cmd = CMD_INVALIDATE_REMOTE, .peer = 1, .keep_bitmap = true },
	{ .cmd = CMD_INVALIDATE_REMOTE, .peer = 9 },
	{ .cmd = CMD_PAUSE_SYNC, .peer = 1 },
	{ .cmd = CMD_PAUSE_SYNC, .peer = 9 },
	{ .cmd = CMD_RESUME_SYNC, .peer = 1 },
	{ .cmd = CMD_VERIFY, .peer = 1 },
	{ .cmd = CMD_VERIFY, .peer = 1, .repair = true },
	{ .cmd = CMD_VERIFY, .peer = 1, .abort = true },
	{ .cmd = CMD_VERIFY, .peer = 1, .has_start = true, .start_sector = UINT64_C(1) << 40 },
	{ .cmd = CMD_VERIFY, .peer = 9 },
	{ .cmd = CMD_NEW_CURRENT_UUID },
	{ .cmd = CMD_NEW_CURRENT_UUID, .clear_bitmap = true },
	{ .cmd = CMD_SHUTDOWN },
};

/* A new generation where a peer is missing says that what the others have does not count. */
static bool would_fork(const struct ev_command *verb, unsigned situation, unsigned node)
{
	return verb->cmd == CMD_NEW_CURRENT_UUID && node != A && situation >= 2;
}

static bool is_silent(struct world *w)
{
	for (unsigned i = 0; i < SIM_COMMANDS_MAX; i++)
		if (w->commands[i].cookie)
			return false;
	return true;
}

/* Links, connections, disks and roles as they should be. */
static void put_right(struct world *w)
{
	simnet_heal(w);
	resync_heal(w);
	for (unsigned n = A; n <= C; n++) {
		const struct resource_status *st;

		if (!w->nodes[n].up || node_status(w, n)->peers[0].conn == CONN_STANDALONE)
			sc_restart(w, n);
		st = node_status(w, n);
		if (st->volumes[0].disk == DISK_DISKLESS)
			node_command(w, n, (struct ev_command){ .cmd = CMD_ATTACH }, NULL, 0);
		if (st->role == ROLE_PRIMARY && w->app.node != (int)n)
			node_command(w, n, (struct ev_command){ .cmd = CMD_SECONDARY }, NULL, 0);
		for (unsigned p = A; p <= C; p++)
			if (p != n && status_peer(st, p)->conn == CONN_STANDALONE)
				node_command(w, n, (struct ev_command){ .cmd = CMD_CONNECT,
									.peer = (uint8_t)p },
					     NULL, 0);
	}
	sc_wait(w, 3000);
}

static void verb_at(struct world *w, unsigned situation, const struct ev_command *verb,
		    unsigned node)
{
	struct ev_command cmd = *verb;

	situations[situation](w);
	if (cmd.peer == 1)
		cmd.peer = (uint8_t)((node + 1) % 3);
	node_command(w, node, cmd, NULL, 0);
	world_run_until(w, is_silent, 20 * NS_SEC);
	sc_wait(w, 500);
	sc_expect_honest(w);
	if (cmd.cmd == CMD_SHUTDOWN)
		sc_kill(w, node);
	put_right(w);
	put_right(w);
	life_expect_converged(w);
}

static void every_verb(struct world *w)
{
	for (unsigned s = 0; s < ARRAY_LEN(situations); s++)
		for (unsigned v = 0; v < ARRAY_LEN(verbs); v++)
			for (unsigned n = A; n <= C; n++)
				if (!would_fork(&verbs[v], s, n))
					verb_at(w, s, &verbs[v], n);
}

/* ---- options ---- */

static struct core_net_conf *net_of(struct world *w, unsigned node, unsigned peer)
{
	struct core_conf *conf = &w->nodes[node].conf;

	for (unsigned i = 0; i < conf->peer_count; i++)
		if (conf->peers[i].node_id == peer)
			return &conf->peers[i].net;
	sim_fail(w, "node %u has no peer %u", node, peer);
}

static void set_protocol(struct core_net_conf *net)
{
	net->protocol = PROTOCOL_A;
}

static void set_policy(struct core_net_conf *net)
{
	net->after_sb_0p = ASB_DISCARD_LEAST_CHANGES;
}

static void set_verify(struct core_net_conf *net)
{
	net->verify_alg[0] = '\0';
}

static void set_csums(struct core_net_conf *net)
{
	snprintf(net->csums_alg, sizeof(net->csums_alg), "crc32c");
}

static void set_integrity(struct core_net_conf *net)
{
	snprintf(net->data_integrity_alg, sizeof(net->data_integrity_alg), "crc32c");
}

static void (*const changes[])(struct core_net_conf *net) = {
	set_protocol, set_policy, set_verify, set_csums, set_integrity,
};

/* One option after the other changes on one end of a connection, and later on the other. */
static void options_change(struct world *w)
{
	for (unsigned i = 0; i < ARRAY_LEN(changes); i++) {
		sc_begin(w, 3);
		sc_open(w, A);
		sc_write(w, 1);
		changes[i](net_of(w, A, B));
		node_adjust(w, A);
		sc_write(w, 2);
		sc_wait(w, 1000);
		changes[i](net_of(w, B, A));
		node_adjust(w, B);
		sc_write(w, 3);
		put_right(w);
		put_right(w);
		life_expect_converged(w);
	}
}

/* Options that have to be the same: neither end goes on without a reason, and both do when they
 * are the same again. */
static void options_differ(struct world *w)
{
	for (unsigned i = 0; i < ARRAY_LEN(changes); i++) {
		struct core_net_conf before;

		sc_begin(w, 2);
		before = *net_of(w, B, A);
		changes[i](net_of(w, B, A));
		sc_restart(w, B);
		sc_wait(w, 3000);
		for (unsigned n = A; n <= B; n++) {
			const struct status_peer *sp = status_peer(node_status(w, n), 1 - n);

			sc_expect(w, sp->conn == CONN_CONNECTED || sp->reason[0],
				  "who is not connected says why");
		}
		*net_of(w, B, A) = before;
		sc_restart(w, A);
		sc_restart(w, B);
		life_expect_converged(w);
	}
}

/* Two secrets: nobody gets in, and it is said why. */
static void secrets_differ(struct world *w)
{
	life_plain(w, w->scenario_seed, 2)->auth = true;
	life_set_up(w);
	snprintf(net_of(w, B, A)->shared_secret, sizeof(net_of(w, B, A)->shared_secret), "other");
	sc_restart(w, B);
	sc_wait(w, 5000);
	for (unsigned n = A; n <= B; n++) {
		const struct status_peer *sp = status_peer(node_status(w, n), 1 - n);

		sc_expect(w, sp->conn != CONN_CONNECTED && sp->reason[0], "refused with a reason");
	}
	snprintf(net_of(w, B, A)->shared_secret, sizeof(net_of(w, B, A)->shared_secret), "secret");
	sc_restart(w, A);
	sc_restart(w, B);
	life_expect_converged(w);
}

/* Somebody asks for the resync that an attach is about to begin. */
static void asked_for_while_attaching(struct world *w)
{
	struct ev_command attach = { .cmd = CMD_ATTACH, .vnr = SIM_VNR };
	struct ev_command invalidate = { .cmd = CMD_INVALIDATE_REMOTE, .vnr = SIM_VNR, .peer = B,
					 .keep_bitmap = true };

	sc_begin(w, 2);
	sc_open(w, A);
	sc_write(w, 1);
	sc_detach(w, B);
	sc_write(w, 2);
	simnet_hold_type(w, B, A, P_TWOPC_COMMIT, 200 * NS_MS);
	node_command(w, B, attach, NULL, 0);
	sc_wait(w, 50);
	sc_command(w, A, invalidate, SS_RESYNC_RUNNING);
	life_expect_converged(w);
}

const struct scenario scenarios_operator[] = {
	{ "operator-every-verb", every_verb },
	{ "options-change", options_change },
	{ "options-differ", options_differ },
	{ "secrets-differ", secrets_differ },
	{ "resync-asked-for-while-attaching", asked_for_while_attaching },
	{ NULL, NULL },
};

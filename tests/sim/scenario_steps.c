/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The steps that scenarios are made of. */
#include <stdio.h>

#include "scenario.h"

#define STEP_LIMIT_NS (90 * NS_SEC)

/* What the step waits for; one world runs at a time. */
static struct {
	unsigned node, peer;
	int want;
	unsigned done;
	int rc;
} wait;

static void until(struct world *w, bool (*pred)(struct world *w), const char *what)
{
	if (!world_run_until(w, pred, STEP_LIMIT_NS))
		sim_fail(w, "step does not come about: %s (node %u, peer %u, wanted %d)", what,
			 wait.node, wait.peer, wait.want);
}

void sc_begin(struct world *w, unsigned nodes)
{
	life_set_up_plain(w, w->scenario_seed, nodes);
}

static bool is_open(struct world *w)
{
	return w->app.phase == APP_OPEN;
}

static bool is_closed(struct world *w)
{
	return w->app.phase == APP_IDLE;
}

static bool is_drained(struct world *w)
{
	return w->app.in_flight == 0;
}

void sc_open(struct world *w, unsigned node)
{
	wait.node = node;
	app_open_on(w, node);
	w->app.quiet = true;
	until(w, is_open, "open");
}

void sc_close(struct world *w)
{
	wait.node = (unsigned)w->app.node;
	w->app.stop = true;
	app_kick(w);
	until(w, is_closed, "close");
	w->app.stop = false;
}

static void request(struct world *w, enum request_op op, uint64_t block, uint32_t blocks)
{
	unsigned errors = w->app.errors;

	wait.node = (unsigned)w->app.node;
	app_do(w, op, block * BM_BLOCK_SECTORS, blocks * BM_BLOCK_BYTES);
	until(w, is_drained, "request");
	if (w->app.errors != errors)
		sim_fail(w, "a request on node %u ends with an error", wait.node);
}

void sc_write(struct world *w, uint64_t block)
{
	request(w, OP_WRITE, block, 1);
}

void sc_discard(struct world *w, uint64_t block, uint32_t blocks)
{
	request(w, OP_DISCARD, block, blocks);
}

void sc_flush(struct world *w)
{
	request(w, OP_FLUSH, 0, 0);
}

void sc_read(struct world *w, uint64_t block)
{
	request(w, OP_READ, block, 1);
}

void sc_write_async(struct world *w, uint64_t block)
{
	app_do(w, OP_WRITE, block * BM_BLOCK_SECTORS, BM_BLOCK_BYTES);
}

void sc_write_scattered(struct world *w, unsigned first, unsigned end)
{
	for (unsigned i = first; i < end; i++)
		sc_write(w, 3 + 7 * i);
}

void sc_make_difference(struct world *w, unsigned blocks)
{
	sc_open(w, A);
	sc_write(w, 0);
	sc_part(w, A, B);
	sc_write_scattered(w, 0, blocks);
}

void sc_leave_behind(struct world *w, unsigned blocks)
{
	sc_open(w, A);
	sc_write(w, 0);
	sc_part(w, A, C);
	sc_part(w, B, C);
	sc_write_scattered(w, 0, blocks);
}

bool sc_try(struct world *w, enum request_op op, uint64_t block)
{
	unsigned errors = w->app.errors;

	wait.node = (unsigned)w->app.node;
	app_do(w, op, block * BM_BLOCK_SECTORS, op == OP_FLUSH ? 0 : BM_BLOCK_BYTES);
	until(w, is_drained, "request");
	return w->app.errors == errors;
}

static void replied(struct world *w, unsigned node, int rc, uint64_t arg)
{
	(void)w;
	(void)node;
	(void)arg;
	wait.done = 1;
	wait.rc = rc;
}

static bool is_replied(struct world *w)
{
	(void)w;
	return wait.done != 0;
}

void sc_command(struct world *w, unsigned node, struct ev_command cmd, int least_rc)
{
	wait.node = node;
	wait.done = 0;
	node_command(w, node, cmd, replied, 0);
	until(w, is_replied, "reply to a command");
	if (wait.rc < least_rc)
		sim_fail(w, "command %u on node %u: %d (%s)", cmd.cmd, node, wait.rc,
			 state_rv_text((enum state_rv)wait.rc));
}

static bool foreign_done(struct world *w)
{
	return w->app.foreign_done >= wait.done;
}

void sc_submit_elsewhere(struct world *w, unsigned node, uint64_t block)
{
	struct core_event ev = { .kind = EV_SUBMIT };
	unsigned op = oracle_issue(w, block * BM_BLOCK_SECTORS, BM_BLOCK_SECTORS, false);
	uint64_t *tags;

	wait.node = node;
	wait.done = w->app.foreign_done + 1;
	ev.u.submit = (struct ev_submit){
		.cookie = APP_COOKIE_FOREIGN + w->step, .vnr = SIM_VNR, .op = OP_WRITE,
		.sector = block * BM_BLOCK_SECTORS, .bytes = BM_BLOCK_BYTES,
		.payload = payload_new(w, node, BM_BLOCK_BYTES),
	};
	tags = payload_tags(w, ev.u.submit.payload);
	for (unsigned i = 0; i < BM_BLOCK_SECTORS; i++)
		tags[i] = oracle_value(w, op, block * BM_BLOCK_SECTORS + i);
	oracle_fail(w, op);
	node_step(w, node, &ev);
}

void sc_write_elsewhere(struct world *w, unsigned node, uint64_t block)
{
	sc_command(w, node, (struct ev_command){ .cmd = CMD_PRIMARY }, SS_SUCCESS);
	sc_submit_elsewhere(w, node, block);
	until(w, foreign_done, "second Primary's write");
	sc_command(w, node, (struct ev_command){ .cmd = CMD_SECONDARY }, SS_SUCCESS);
}

void sc_attach(struct world *w, unsigned node)
{
	sc_command(w, node, (struct ev_command){ .cmd = CMD_ATTACH, .vnr = SIM_VNR }, SS_SUCCESS);
}

void sc_detach(struct world *w, unsigned node)
{
	sc_command(w, node, (struct ev_command){ .cmd = CMD_DETACH, .vnr = SIM_VNR }, SS_SUCCESS);
}

void sc_detach_forced(struct world *w, unsigned node)
{
	sc_command(w, node,
		   (struct ev_command){ .cmd = CMD_DETACH, .vnr = SIM_VNR, .force = true },
		   SS_SUCCESS);
}

static void stop_node(struct world *w, unsigned node, bool power_cut)
{
	node_kill(w, node, power_cut);
	/* The cluster software does not act by itself here. */
	w->app.quiet = true;
	w->app.ops_left = 0;
}

void sc_kill(struct world *w, unsigned node)
{
	stop_node(w, node, false);
}

void sc_power_cut(struct world *w, unsigned node)
{
	stop_node(w, node, true);
}

void sc_start(struct world *w, unsigned node)
{
	node_start(w, node);
}

void sc_restart(struct world *w, unsigned node)
{
	sc_kill(w, node);
	sc_start(w, node);
}

static bool conn_is(struct world *w)
{
	const struct status_peer *sp;

	if (!w->nodes[wait.node].up)
		return false;
	sp = status_peer(node_status(w, wait.node), wait.peer);
	return sp && (int)sp->conn == wait.want;
}

void sc_wait_conn(struct world *w, unsigned node, unsigned peer, enum conn_state conn)
{
	wait.node = node;
	wait.peer = peer;
	wait.want = (int)conn;
	until(w, conn_is, "connection state");
}

void sc_kill_noticed(struct world *w, unsigned node, unsigned by)
{
	sc_kill(w, node);
	sc_wait_conn(w, by, node, CONN_CONNECTING);
}

static bool conn_is_lost(struct world *w)
{
	const struct status_peer *sp;

	if (!w->nodes[wait.node].up)
		return true;
	sp = status_peer(node_status(w, wait.node), wait.peer);
	return !sp || sp->conn != CONN_CONNECTED;
}

void sc_unplug(struct world *w, unsigned a, unsigned b)
{
	simnet_link(w, a, b, false);
	simnet_link(w, b, a, false);
}

void sc_part(struct world *w, unsigned a, unsigned b)
{
	sc_unplug(w, a, b);
	wait.node = a;
	wait.peer = b;
	until(w, conn_is_lost, "loss noticed");
	wait.node = b;
	wait.peer = a;
	until(w, conn_is_lost, "loss noticed");
}

void sc_join(struct world *w, unsigned a, unsigned b)
{
	simnet_link(w, a, b, true);
	simnet_link(w, b, a, true);
}

void sc_wait(struct world *w, uint64_t ms)
{
	world_run_for(w, ms * NS_MS);
}

static bool disk_is(struct world *w)
{
	return w->nodes[wait.node].up &&
	       (int)node_status(w, wait.node)->volumes[0].disk == wait.want;
}

void sc_wait_disk(struct world *w, unsigned node, enum disk_state disk)
{
	wait.node = node;
	wait.want = (int)disk;
	until(w, disk_is, "disk state");
}

static bool repl_is(struct world *w)
{
	const struct status_peer *sp;

	if (!w->nodes[wait.node].up)
		return false;
	sp = status_peer(node_status(w, wait.node), wait.peer);
	return sp && (int)sp->devices[0].repl == wait.want;
}

void sc_wait_repl(struct world *w, unsigned node, unsigned peer, enum repl_state repl)
{
	wait.node = node;
	wait.peer = peer;
	wait.want = (int)repl;
	until(w, repl_is, "replication state");
}

void sc_begin_resync(struct world *w, unsigned source, unsigned target)
{
	sc_join(w, source, target);
	sc_wait_repl(w, target, source, REPL_SYNC_TARGET);
}

void sc_wait_reunited(struct world *w, unsigned a, unsigned b)
{
	sc_wait_repl(w, a, b, REPL_ESTABLISHED);
	sc_wait_repl(w, b, a, REPL_ESTABLISHED);
	sc_wait_disk(w, a, DISK_UP_TO_DATE);
	sc_wait_disk(w, b, DISK_UP_TO_DATE);
}

uint64_t sc_uuid(struct world *w, unsigned node)
{
	const struct md_super *md = core_md(w->nodes[node].core, SIM_VNR);

	return md ? md->current_uuid & ~UUID_PRIMARY : 0;
}

void sc_expect(struct world *w, bool cond, const char *what)
{
	if (!cond)
		sim_fail(w, "expected: %s", what);
}

uint64_t sc_received(struct world *w, unsigned node, unsigned peer)
{
	const struct status_peer *sp = status_peer(node_status(w, node), peer);

	return sp ? sp->devices[0].received_sectors : 0;
}

void sc_expect_honest(struct world *w)
{
	for (unsigned n = 0; n < w->node_count; n++) {
		uint64_t bad;

		if (!w->nodes[n].up || node_status(w, n)->volumes[0].disk != DISK_UP_TO_DATE)
			continue;
		bad = oracle_check_node(w, n);
		if (bad != SIM_NEVER)
			sim_fail(w, "I1: node %u is UpToDate and lacks what was answered at "
				 "sector %llu", n, (unsigned long long)bad);
	}
}

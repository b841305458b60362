/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The life of a connection: streams, loss, retry, StandAlone. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/cluster.h"
#include "core/core_hooks.h"
#include "core/state.h"

#define RETRY_FIRST_NS NS_PER_S

/* About 1 s, doubled with each failure up to connect-int,
 * +-1/8 so that two nodes get out of step. */
static uint64_t retry_pause_ns(struct core *core, struct peer *peer)
{
	uint64_t max = peer->conf->net.connect_int_s * NS_PER_S;
	uint64_t pause = RETRY_FIRST_NS;

	for (unsigned i = 0; i < peer->retry_count && pause < max; i++)
		pause *= 2;
	if (pause > max)
		pause = max;
	peer->retry_count++;
	return pause - pause / 8 + core_random64(core) % (pause / 4 + 1);
}

static void streams_close(struct core *core, struct peer *peer)
{
	if (peer->attempt)
		core_act(core, AC_DISCONNECT)->u.peer = peer->id;
	peer->attempt = false;
	peer->streams_up = false;
	peer->ping_at_ns = NEVER_NS;
	keepalive_reset(peer);
	peer->hs_deadline_ns = NEVER_NS;
	peer->hs_again_ns = NEVER_NS;
	peer->refused_until_ns = NEVER_NS;
}

/* Moves the connection to a state below Connecting and forgets the streams' agreements. */
static void conn_leave(struct core *core, struct peer *peer, enum conn_state to)
{
	enum state_rv rv;

	state_begin(core)->peer[peer->id].conn = to;
	rv = state_end(core, STATE_HARD);
	ASSERT(rv >= SS_SUCCESS);
	handshake_reset(peer);
	twopc_peer_lost(core, peer);
	peer->forced_down = false;
}

static bool is_up(const struct core *core, const struct peer *peer)
{
	return core->st.peer[peer->id].conn >= CONN_CONNECTING && !peer->fail_why;
}

static void set_reason(struct peer *peer, const char *fmt, va_list ap)
{
	vsnprintf(peer->reason, sizeof(peer->reason), fmt, ap);
}

void peer_fail(struct core *core, struct peer *peer, enum conn_state why, const char *fmt, ...)
{
	va_list ap;

	if (!is_up(core, peer))
		return;
	va_start(ap, fmt);
	set_reason(peer, fmt, ap);
	va_end(ap);
	core_log(core, LOG_LEVEL_WARNING, "%s %s: connection dropped: %s", core->conf.name,
		 peer->conf->name, peer->reason);
	streams_close(core, peer);
	core_work(core, WORK_PEERS);
	if (core->in_change || core->in_effects)
		peer->fail_why = why;
	else
		conn_leave(core, peer, why);
}

void peer_keep_data(struct core *core, struct peer *peer)
{
	peer->discard_my_data = false;
	for (unsigned v = 0; v < core->vol_count; v++)
		peer->pd[v].yields = false;
}

/* For the reason that the peer has by now. */
static void end_for_good(struct core *core, struct peer *peer, bool tell, enum log_level level)
{
	struct pkt pkt = { .type = P_DISCONNECT, .vnr = VNR_NONE };

	peer->want_connect = false;
	peer_keep_data(core, peer);
	core_work(core, WORK_PEERS);
	if (!is_up(core, peer))
		return;
	core_log(core, level, "%s %s: connection ended: %s", core->conf.name, peer->conf->name,
		 peer->reason);
	if (tell && peer->phase == HS_READY)
		core_send(core, peer, STREAM_DATA, &pkt);
	streams_close(core, peer);
	if (core->in_change || core->in_effects)
		peer->fail_why = CONN_DISCONNECTING;
	else
		conn_leave(core, peer, CONN_DISCONNECTING);
}

void peer_standalone(struct core *core, struct peer *peer, bool tell, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	if (fmt)
		set_reason(peer, fmt, ap);
	va_end(ap);
	end_for_good(core, peer, tell, LOG_LEVEL_ERR);
}

void peer_leave(struct core *core, struct peer *peer, const char *reason)
{
	snprintf(peer->reason, sizeof(peer->reason), "%s", reason);
	end_for_good(core, peer, false, LOG_LEVEL_INFO);
}

void peer_disconnected(struct core *core, struct peer *peer, bool again)
{
	ASSERT(core->st.peer[peer->id].conn < CONN_CONNECTING);
	snprintf(peer->reason, sizeof(peer->reason), "%s",
		 again ? "the peer disconnected" : "disconnected by command");
	peer->want_connect = again;
	streams_close(core, peer);
	handshake_reset(peer);
	twopc_peer_lost(core, peer);
	core_work(core, WORK_PEERS);
}

void rx_disconnect(struct core *core, struct peer *peer, const struct pkt *pkt)
{
	(void)pkt;
	/* Our own verdict, when there is one, says more than that the peer hung up. */
	if (peer->reason[0])
		peer_standalone(core, peer, false, NULL);
	else
		peer_standalone(core, peer, false, "%s ended the connection for good",
				peer->conf->name);
}

void peer_streams_up(struct core *core, const struct ev_streams *ev)
{
	struct peer *peer = ev->peer < NODES_MAX ? core->peer[ev->peer] : NULL;

	if (!peer || !peer->attempt || peer->streams_up)
		return;
	peer->streams_up = true;
	peer->refused_until_ns = NEVER_NS;
	peer->reason[0] = '\0';
	peer->resolve_conflicts = ev->resolve_conflicts;
	keepalive_rx(core, peer);
	handshake_start(core, peer);
}

/*
 * It hung up because of the same verdict, and its P_DISCONNECT was overtaken; or the connection was
 * lost before it heard of ours: then it comes back, and both see why there is no connection.
 */
static void refused_and_lost(struct core *core, struct peer *peer)
{
	char reason[sizeof(peer->reason)];

	memcpy(reason, peer->reason, sizeof(reason));
	peer_fail(core, peer, CONN_NETWORK_FAILURE, "%s", reason);
	peer->refused_until_ns =
		core->now_ns + 2 * (uint64_t)peer->conf->net.connect_int_s * NS_PER_S;
}

void peer_streams_down(struct core *core, const struct ev_streams *ev)
{
	struct peer *peer = ev->peer < NODES_MAX ? core->peer[ev->peer] : NULL;

	if (!peer || !peer->attempt)
		return;
	peer->attempt = false;
	if (peer->streams_up && peer->hs_refused) {
		refused_and_lost(core, peer);
		return;
	}
	if (peer->streams_up) {
		peer_fail(core, peer, CONN_NETWORK_FAILURE, "%s",
			  ev->reason ? ev->reason : "the connection was lost");
		return;
	}
	/* Nothing was established: stays Connecting and tries again later. */
	if (ev->reason && peer->refused_until_ns == NEVER_NS)
		snprintf(peer->reason, sizeof(peer->reason), "%s", ev->reason);
	peer->retry_at_ns = core->now_ns + retry_pause_ns(core, peer);
	core->notify = true;
}

void peer_connect(struct core *core, struct peer *peer, const struct ev_command *ev)
{
	peer->want_connect = true;
	peer_keep_data(core, peer);
	for (unsigned v = 0; v < core->vol_count; v++) {
		struct peer_device *pd = &peer->pd[v];

		pd->split_told = pd->split_unsolved_told = pd->pri_lost_told = false;
	}
	peer->discard_my_data = ev->discard_my_data;
	peer->discard_one = ev->one_volume;
	peer->discard_vnr = ev->vnr;
	memcpy(peer->save_to, ev->save_to, sizeof(peer->save_to));
	peer->retry_count = 0;
	peer->retry_at_ns = core->now_ns;
	peer->refused_until_ns = NEVER_NS;
	peer->reason[0] = '\0';
	core_work(core, WORK_PEERS);
}

static void conn_set(struct core *core, struct peer *peer, enum conn_state to)
{
	enum state_rv rv;

	state_begin(core)->peer[peer->id].conn = to;
	rv = state_end(core, STATE_HARD);
	ASSERT(rv >= SS_SUCCESS);
}

static void peer_run_one(struct core *core, struct peer *peer)
{
	enum conn_state why = peer->fail_why;

	if (why) {
		peer->fail_why = 0;
		conn_leave(core, peer, why);
	}
	switch (core->st.peer[peer->id].conn) {
	case CONN_TIMEOUT:
	case CONN_BROKEN_PIPE:
	case CONN_NETWORK_FAILURE:
	case CONN_PROTOCOL_ERROR:
	case CONN_TEAR_DOWN:
		peer->retry_at_ns = core->now_ns + retry_pause_ns(core, peer);
		conn_set(core, peer, CONN_UNCONNECTED);
		return;
	case CONN_DISCONNECTING:
		conn_set(core, peer, CONN_STANDALONE);
		peer->retry_at_ns = NEVER_NS;
		return;
	case CONN_STANDALONE:
		if (peer->want_connect)
			conn_set(core, peer, CONN_UNCONNECTED);
		else
			peer->retry_at_ns = NEVER_NS;
		return;
	case CONN_UNCONNECTED:
		/* The pause belongs to Connecting, as a user sees it: it keeps trying. */
		conn_set(core, peer, peer->want_connect ? CONN_CONNECTING : CONN_STANDALONE);
		return;
	case CONN_CONNECTING:
		if (peer->attempt || core->now_ns < peer->retry_at_ns)
			return;
		peer->retry_at_ns = NEVER_NS;
		peer->attempt = true;
		core_act(core, AC_CONNECT)->u.peer = peer->id;
		return;
	case CONN_CONNECTED:
		return;
	}
}

void peer_run(struct core *core)
{
	FOR_EACH_PEER(core, peer)
		peer_run_one(core, peer);
}

void peer_time(struct core *core)
{
	FOR_EACH_PEER(core, peer) {
		if (core->now_ns >= peer->hs_deadline_ns) {
			peer_fail(core, peer, CONN_NETWORK_FAILURE,
				  "the handshake did not go on (%s)",
				  handshake_waiting_for(core, peer));
			continue;
		}
		if (core->now_ns >= peer->hs_again_ns) {
			peer->hs_again_ns = NEVER_NS;
			twopc_request_connect(core, peer);
		}
		if (core->now_ns >= peer->refused_until_ns) {
			peer->refused_until_ns = NEVER_NS;
			peer_standalone(core, peer, false, NULL);
		}
		if (core->now_ns >= peer->retry_at_ns)
			core_work(core, WORK_PEERS);
	}
}

uint64_t peer_deadline(const struct core *core)
{
	uint64_t t = NEVER_NS;

	FOR_EACH_PEER(core, peer) {
		if (peer->hs_deadline_ns < t)
			t = peer->hs_deadline_ns;
		if (peer->hs_again_ns < t)
			t = peer->hs_again_ns;
		if (peer->refused_until_ns < t)
			t = peer->refused_until_ns;
		if (peer->retry_at_ns < t)
			t = peer->retry_at_ns;
	}
	return t;
}

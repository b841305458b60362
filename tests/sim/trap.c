/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Traps: the next packet of a type, wherever it is on its way, comes late, is lost with its
 * connection, or arrives in part. */
#include <stdio.h>
#include <string.h>

#include "sim_net.h"

#define VERIFY_SECTORS 16384U

/* The types that lives without traps seldom hit; see --packets. */
static const uint16_t scarce[] = {
	P_DATA_REPLY, P_DATA_REPLY, P_DATA_REQUEST, P_RS_DATA_REPLY, P_PROTOCOL, P_SIZES,
	P_AUTH_CHALLENGE, P_AUTH_RESPONSE, P_RECV_ACK, P_RECV_ACK, P_RECV_ACK, P_RECV_ACK,
	P_RECV_ACK, P_RECV_ACK, P_WRITE_ACK, P_NEG_ACK, P_NEG_ACK, P_NEG_ACK, P_NEG_DREPLY,
	P_NEG_DREPLY, P_NEG_DREPLY, P_NEG_DREPLY, P_NEG_RS_DREPLY, P_NEG_RS_DREPLY, P_BARRIER_ACK,
	P_RS_IS_IN_SYNC, P_RS_IS_IN_SYNC, P_SYNC_PARAM89, P_COMPRESSED_BITMAP, P_OUT_OF_SYNC,
	P_OUT_OF_SYNC, P_RS_CANCEL, P_RS_CANCEL, P_DAGTAG, P_TRIM, P_ZEROES, P_TWOPC_PREP_RSZ,
	P_TWOPC_PREP_RSZ, P_TWOPC_PREP_RSZ, P_PEERS_IN_SYNC, P_PEER_DAGTAG, P_CURRENT_UUID,
	P_TWOPC_NO, P_TWOPC_NO, P_TWOPC_NO, P_TWOPC_YES, P_TWOPC_RETRY, P_DISCONNECT, P_DISCONNECT,
	P_DISCONNECT, P_RS_DAGTAG_REQ, P_RS_CSUM_DAGTAG_REQ, P_RS_THIN_DAGTAG_REQ, P_OV_DAGTAG_REQ,
	P_OV_DAGTAG_REPLY, P_OV_DAGTAG_REPLY, P_OV_RESULT_ID, P_RS_DEALLOCATED_ID,
	P_WRITE_ACK_IN_SYNC, P_RS_NEG_ACK, P_RS_NEG_ACK, P_FLUSH_REQUESTS, P_FLUSH_FORWARD,
	P_FLUSH_FORWARD, P_FLUSH_REQUESTS_ACK, P_CONNECTION_FEATURES,
};

static const uint16_t common[] = {
	P_DATA, P_BARRIER, P_STATE, P_PING, P_PING_ACK, P_RS_WRITE_ACK, P_TWOPC_PREPARE,
	P_TWOPC_ABORT, P_TWOPC_COMMIT, P_PEER_ACK, P_UUIDS110,
};

void trap_set(struct world *w, enum packet type, enum packet_fate fate, uint64_t ns)
{
	struct sim_traps *t = &w->traps;
	/* With all of them waiting the oldest one has waited in vain. */
	struct sim_trap *trap = &t->trap[t->next++ % SIM_TRAPS];

	t->set += !trap->set;
	*trap = (struct sim_trap){ .set = true, .type = (uint16_t)type, .fate = (uint8_t)fate,
				   .ns = ns };
}

bool trap_springs(struct world *w, struct net_conn *c, unsigned side, unsigned stream,
		  unsigned type)
{
	struct sim_traps *t = &w->traps;
	struct sim_trap *trap = t->trap;

	if (!t->set)
		return false;
	while (trap < t->trap + SIM_TRAPS && !(trap->set && trap->type == type))
		trap++;
	if (trap == t->trap + SIM_TRAPS)
		return false;
	trap->set = false;
	t->set--;
	sim_trace(w, "trap: %s from node %u to node %u is %s", packet_name(type), c->node[side],
		  c->node[!side],
		  (const char *[]){ "", "delayed", "lost", "cut" }[trap->fate]);
	if (trap->fate == PACKET_DELAYED) {
		/* The end of the other stream must not overtake what is the last of its own. */
		simnet_stall(w, c->node[side], c->node[!side],
			     type == P_DISCONNECT ? -1 : (int)stream, trap->ns);
		stream_kick(w, c, side, stream);
	} else {
		conn_break_at(w, c, side, stream, trap->fate == PACKET_CUT);
	}
	return true;
}

/* ---- at random ---- */

/* The peer says goodbye to who wants to verify by a digest that it does not have. */
static void set_digest(struct world *w, unsigned node, unsigned peer, const char *verify_alg)
{
	struct core_conf *conf = &w->nodes[node].conf;

	for (unsigned i = 0; i < conf->peer_count; i++) {
		if (conf->peers[i].node_id == peer)
			snprintf(conf->peers[i].net.verify_alg, ALG_NAME_MAX, "%s", verify_alg);
	}
	if (w->nodes[node].up)
		node_adjust(w, node);
}

static void reconnect(struct world *w, unsigned node, unsigned peer)
{
	const struct status_peer *sp =
		w->nodes[node].up ? status_peer(node_status(w, node), peer) : NULL;

	if (sp && sp->conn == CONN_STANDALONE && !strstr(sp->reason, "split brain"))
		node_command(w, node,
			     (struct ev_command){ .cmd = CMD_CONNECT, .peer = (uint8_t)peer }, NULL,
			     0);
}

static void mended_event(struct world *w, uint64_t node, uint64_t peer)
{
	if (!w->faults_on)
		return;
	set_digest(w, (unsigned)node, (unsigned)peer, SIM_DIGEST);
	reconnect(w, (unsigned)node, (unsigned)peer);
	reconnect(w, (unsigned)peer, (unsigned)node);
}

/* A Primary that has no disk of its own asks others, and lets the last one of them not go. */
static void without_disk(struct world *w, unsigned type)
{
	unsigned primary = w->app.node >= 0 ? (unsigned)w->app.node : 0;

	fault_put(w, FAULT_DETACH, primary, 0);
	for (unsigned n = 0; n < w->node_count; n++) {
		if (n != primary)
			fault_put(w, type == P_TWOPC_NO ? FAULT_DETACH : FAULT_READ_ERROR, n, 0);
	}
}

static void give(struct world *w, unsigned node, struct ev_command cmd)
{
	if (w->nodes[node].up && w->nodes[node].has_disk && !w->nodes[node].paused)
		node_command(w, node, cmd, NULL, 0);
}

static void verify(struct world *w, unsigned node, unsigned peer)
{
	struct ev_command cmd = { .cmd = CMD_VERIFY, .vnr = SIM_VNR, .peer = (uint8_t)peer,
				  .has_start = true };

	cmd.start_sector = prng_below(&w->traps.rng, w->params.device_sectors);
	cmd.stop_sector = cmd.start_sector + prng_range(&w->traps.rng, 1, VERIFY_SECTORS);
	give(w, node, cmd);
}

/* Some types come only when something goes wrong, or somebody wants it. */
static void bait(struct world *w, unsigned type)
{
	struct prng *rng = &w->traps.rng;
	unsigned node = (unsigned)prng_below(rng, w->node_count);
	unsigned peer = (node + 1 + (unsigned)prng_below(rng, w->node_count - 1)) % w->node_count;

	switch (type) {
	case P_NEG_DREPLY:
	case P_TWOPC_NO:
		without_disk(w, type);
		break;
	case P_NEG_RS_DREPLY:
		fault_put(w, FAULT_READ_ERROR, node, peer);
		break;
	case P_NEG_ACK:
	case P_RS_NEG_ACK:
		fault_put(w, FAULT_WRITE_ERROR, node, peer);
		break;
	case P_OV_DAGTAG_REQ:
	case P_OV_DAGTAG_REPLY:
	case P_OV_RESULT_ID:
		verify(w, node, peer);
		break;
	case P_TWOPC_PREP_RSZ:
		give(w, node, (struct ev_command){ .cmd = CMD_RESIZE, .vnr = SIM_VNR });
		break;
	case P_DISCONNECT:
		set_digest(w, node, peer, "md4");
		world_at(w, prng_range(rng, 2 * NS_SEC, 6 * NS_SEC), mended_event, node, peer);
		break;
	default:
		break;
	}
}

static void trap_event(struct world *w, uint64_t a, uint64_t b)
{
	struct prng *rng = &w->traps.rng;
	unsigned type, fate;
	uint64_t ns;

	(void)a;
	(void)b;
	if (!w->faults_on)
		return;
	type = prng_chance(rng, 1, 8) ? common[prng_below(rng, ARRAY_LEN(common))] :
					scarce[prng_below(rng, ARRAY_LEN(scarce))];
	/* What is delayed may still be lost. */
	fate = prng_chance(rng, 1, 2) ? PACKET_DELAYED :
	       prng_chance(rng, 1, 2) ? PACKET_LOST :
					PACKET_CUT;
	ns = prng_exp(rng, prng_chance(rng, 1, 4) ? 6 * NS_SEC : 100 * NS_MS) + NS_US;
	sim_trace(w, "trap for %s", packet_name(type));
	trap_set(w, (enum packet)type, (enum packet_fate)fate, ns);
	bait(w, type);
	world_at(w, prng_exp(rng, 300 * NS_MS), trap_event, 0, 0);
}

void traps_reset(struct world *w)
{
	memset(&w->traps, 0, sizeof(w->traps));
}

void traps_params_draw(struct world *w, uint64_t seed)
{
	w->params.traps = life_is(w, LIFE_TRAPS, seed, &w->traps.rng);
}

void traps_at_random(struct world *w)
{
	if (w->params.traps)
		world_at(w, prng_exp(&w->traps.rng, NS_SEC), trap_event, 0, 0);
}

void traps_heal(struct world *w)
{
	for (unsigned i = 0; i < SIM_TRAPS; i++)
		w->traps.trap[i].set = false;
	w->traps.set = 0;
	for (unsigned n = 0; w->params.traps && n < w->node_count; n++) {
		for (unsigned p = 0; p < w->node_count; p++) {
			if (p != n)
				set_digest(w, n, p, SIM_DIGEST);
		}
	}
}

void traps_look_after(struct world *w)
{
	if (!w->params.traps && !w->params.more_faults)
		return;
	for (unsigned n = 0; n < w->node_count; n++) {
		for (unsigned p = 0; p < w->node_count; p++) {
			if (p != n)
				reconnect(w, n, p);
		}
	}
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Packets, connect and state changes with a peer of protocol 101 (wire-protocol 2.1, 6.8, 7.3). */
#include "core/drbd8.h"

#include <string.h>

#include "core/cluster.h"
#include "core/core_hooks.h"
#include "core/state.h"
#include "core/twopc.h"

#define FLAGS_8 UINT64_C(0xf)   /* of the flags of P_UUIDS110 */
#define HISTORY_8 2U
#define DISK_FIRST_SHIFTED 2U   /* Detaching does not exist there: what follows is one less */

/* ---- state words ---- */

static uint32_t disks_moved(uint32_t word, int by)
{
	static const struct {
		uint32_t mask, shift;
	} field[] = { { SW_DISK_MASK, SW_DISK_SHIFT }, { SW_PDSK_MASK, SW_PDSK_SHIFT } };

	for (unsigned i = 0; i < 2; i++) {
		uint32_t disk = (word & field[i].mask) >> field[i].shift;

		if (disk >= DISK_FIRST_SHIFTED + (by < 0))
			disk = (uint32_t)((int)disk + by);
		word = (word & ~field[i].mask) | (disk << field[i].shift & field[i].mask);
	}
	return word;
}

uint32_t drbd8_state_received(uint32_t word)
{
	return disks_moved(word, 1);
}

/* ---- packets ---- */

/* The newest two that the packet does not name anyway. */
static void history_to_8(const struct pkt_uuids *u, struct pkt_uuids_8 *out)
{
	unsigned n = 0;

	for (unsigned i = 0; i < HISTORY_UUIDS && n < HISTORY_8; i++) {
		if (u->history[i] && !uuid_eq(u->history[i], out->current) &&
		    !uuid_eq(u->history[i], out->bitmap))
			out->history[n++] = u->history[i];
	}
}

static void uuids_to_8(const struct peer *peer, struct pkt *pkt)
{
	const struct pkt_uuids *u = pkt->u.uuids;
	uint64_t bitmap = u->bitmap[peer->id];

	pkt->type = P_UUIDS;
	pkt->u.uuids_8 = (struct pkt_uuids_8){
		.current = u->current,
		.bitmap = bitmap == UUID_UNKNOWN ? 0 : bitmap,
		.dirty_bits = u->dirty_bits,
		.flags = u->flags & FLAGS_8,
	};
	history_to_8(u, &pkt->u.uuids_8);
}

/* Our answer to its request. */
static void answer_to_8(struct peer *peer, struct pkt *pkt)
{
	int result = pkt->type == P_TWOPC_YES ? SS_SUCCESS :
		     pkt->type == P_TWOPC_NO  ? SS_CW_FAILED_BY_PEER :
						SS_CONCURRENT_ST_CHG;

	pkt->type = peer->drbd8_reply;
	pkt->vnr = peer->drbd8_reply_vnr;
	pkt->u.change_result = result;
}

bool drbd8_send(const struct core *core, struct peer *peer, struct pkt *pkt)
{
	(void)core;
	switch (pkt->type) {
	case P_UUIDS110:
		uuids_to_8(peer, pkt);
		return true;
	case P_STATE:
		pkt->u.state = disks_moved(pkt->u.state, -1);
		return pkt->vnr != VNR_NONE;
	case P_TWOPC_YES:
	case P_TWOPC_NO:
	case P_TWOPC_RETRY:
		answer_to_8(peer, pkt);
		return true;
	case P_CURRENT_UUID:
	case P_DAGTAG:
	case P_PEER_ACK:
	case P_PEERS_IN_SYNC:
	case P_PEER_DAGTAG:
	case P_FLUSH_REQUESTS:
	case P_FLUSH_REQUESTS_ACK:
	case P_FLUSH_FORWARD:
	case P_DISCONNECT:
		return false;
	default:
		return true;
	}
}

void rx_drbd8_uuids(struct core *core, struct peer *peer, const struct pkt *pkt)
{
	const struct pkt_uuids_8 *f = &pkt->u.uuids_8;
	struct pkt_uuids *u = core_scratch(core, sizeof(*u));
	struct pkt later = { .type = P_UUIDS110, .vnr = pkt->vnr };

	u->current = f->current;
	u->dirty_bits = f->dirty_bits;
	/* There is no third node whose Primary could change its data. */
	u->flags = (f->flags & FLAGS_8) | UUID_FLAG_STABLE;
	u->bitmap_mask = node_bit(core->self);
	for (unsigned n = 0; n < NODES_MAX; n++)
		u->bitmap[n] = UUID_UNKNOWN;
	/* "Just created" has nothing to refer to. */
	u->bitmap[core->self] = uuid_eq(f->bitmap, UUID_JUST_CREATED) ? 0 : f->bitmap;
	u->history[0] = f->history[0];
	u->history[1] = f->history[1];
	later.u.uuids = u;
	peer->pd[core_volume_by_vnr(core, pkt->vnr)->v].have_uuids = true;
	rx_uuids(core, peer, &later);
}

/* ---- connect ---- */

static uint64_t primaries(const struct core *core, const struct peer *peer, enum role its_role)
{
	return (core->st.role == ROLE_PRIMARY ? node_bit(core->self) : 0) |
	       (its_role == ROLE_PRIMARY ? node_bit(peer->id) : 0);
}

void drbd8_connect(struct core *core, struct peer *peer)
{
	struct twopc_change change = {
		.kind = TWOPC_CONNECT,
		.initiator = (int8_t)core->self,
		.target = (int8_t)peer->id,
		.vnr = VNR_NONE,
	};
	const char *reason = "the handshake failed";
	enum state_rv rv = handshake_decide(core, peer, &reason);
	uint64_t primary =
		primaries(core, peer, (enum role)(peer->pd[0].state_word & SW_ROLE_MASK));

	if (rv == SS_HANDSHAKE_DISCONNECT) {
		peer_standalone(core, peer, false, "%s", reason);
	} else if (rv < SS_SUCCESS) {
		peer_fail(core, peer, CONN_NETWORK_FAILURE, "%s", reason);
	} else if (primary & (primary - 1)) {
		peer_standalone(core, peer, false, "%s", state_rv_text(SS_TWO_PRIMARIES));
	} else {
		handshake_commit(core, peer);
		twopc_change_commit(core, &change, primary,
				    node_bit(core->self) | node_bit(peer->id), 0);
	}
}

/* ---- changes of ours ---- */

void drbd8_request_change(struct core *core, struct peer *peer)
{
	struct twopc *tp = &core->twopc;
	const struct twopc_change *c = &tp->change;
	struct pkt pkt = { .type = P_CONN_ST_CHG_REQ, .vnr = VNR_NONE };

	switch (c->kind) {
	case TWOPC_ROLE:
	case TWOPC_DISCONNECT:
		break;
	case TWOPC_REPL:
		pkt.type = P_STATE_CHG_REQ;
		pkt.vnr = c->vnr;
		break;
	case TWOPC_EMPTY:
	case TWOPC_CONNECT:
	case TWOPC_DISK: /* it learns that from our P_STATE */
	case TWOPC_RESIZE: /* refused before */
		tp->pending &= ~node_bit(peer->id);
		return;
	}
	pkt.u.change.mask = c->mask;
	pkt.u.change.val = disks_moved(c->val & c->mask, -1);
	core_send(core, peer, STREAM_DATA, &pkt);
}

void rx_drbd8_change_reply(struct core *core, struct peer *peer, const struct pkt *pkt)
{
	const struct twopc *tp = &core->twopc;
	struct pkt answer = { .vnr = tp->change.vnr };
	int result = pkt->u.change_result;

	if (tp->phase != TWOPC_INITIATING)
		return;
	answer.type = result >= SS_SUCCESS				    ? P_TWOPC_YES :
		      result == SS_CONCURRENT_ST_CHG || result == SS_IN_TRANSIENT_STATE ?
									      P_TWOPC_RETRY :
									      P_TWOPC_NO;
	answer.u.twopc_reply = (struct pkt_twopc_reply){
		.tid = tp->tid,
		.initiator = core->self,
		.reachable_nodes = node_bit(peer->id),
		.primary_nodes = core->st.peer[peer->id].role == ROLE_PRIMARY ?
					 node_bit(peer->id) : 0,
	};
	rx_twopc_reply(core, peer, &answer);
}

/* ---- changes of the peer's ---- */

/* Its request as the PREPARE that a later version would have sent. */
static void prepare_of(const struct core *core, const struct peer *peer, const struct pkt *request,
		       uint32_t tid, struct pkt *prepare)
{
	uint32_t mask = request->u.change.mask;
	bool whole = !(mask & SW_CONN_MASK) && mask & SW_ROLE_MASK;

	*prepare = (struct pkt){ .type = P_TWOPC_PREPARE };
	prepare->vnr = whole ? VNR_NONE : request->vnr;
	prepare->u.twopc = (struct pkt_twopc){
		.tid = tid,
		.initiator = (int8_t)peer->id,
		.target = whole ? -1 : (int8_t)core->self,
		.mask = mask,
		.val = drbd8_state_received(request->u.change.val),
	};
}

void rx_drbd8_change(struct core *core, struct peer *peer, const struct pkt *pkt)
{
	struct twopc *tp = &core->twopc;
	uint32_t tid = ++core->tid_counter;
	struct pkt prepare, commit;

	peer->drbd8_reply = pkt->type == P_STATE_CHG_REQ ? P_STATE_CHG_REPLY :
							   P_CONN_ST_CHG_REPLY;
	peer->drbd8_reply_vnr = pkt->vnr;
	prepare_of(core, peer, pkt, tid, &prepare);
	rx_twopc_prepare(core, peer, &prepare);
	if (tp->phase != TWOPC_ANSWERED || tp->tid != tid || tp->answer != P_TWOPC_YES)
		return;
	/* Nothing more will be said: it takes effect with the answer. */
	commit = prepare;
	commit.type = P_TWOPC_COMMIT;
	commit.u.twopc.primary_nodes = primaries(core, peer, core->st.peer[peer->id].role);
	if (prepare.vnr == VNR_NONE && prepare.u.twopc.mask & SW_ROLE_MASK)
		commit.u.twopc.primary_nodes =
			primaries(core, peer,
				  (enum role)(prepare.u.twopc.val & SW_ROLE_MASK));
	rx_twopc_decision(core, peer, &commit);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What operators and applications did at the recorded node, seen in its packets: done at ours. */
#include <stdio.h>
#include <stdlib.h>

#include "replay_int.h"

void replay_command(struct replay *r, enum core_command cmd, unsigned peer, bool flag)
{
	struct core_event ev = { .kind = EV_COMMAND };

	ev.u.command.cookie = ++r->cookie;
	ev.u.command.cmd = cmd;
	ev.u.command.peer = (uint8_t)peer;
	ev.u.command.force = flag && cmd == CMD_PRIMARY;
	ev.u.command.clear_bitmap = flag && cmd == CMD_NEW_CURRENT_UUID;
	ev.u.command.keep_bitmap = flag && cmd == CMD_INVALIDATE;
	ev.u.command.has_start = cmd == CMD_VERIFY;
	if (getenv("REPLAY_VERBOSE"))
		printf("  %9.4f command %d peer %u\n", (double)(r->now_ns - r->base_ns) / 1e9,
		       (int)cmd, peer);
	replay_event(r, &ev);
	replay_settle(r);
}

void replay_submit(struct replay *r, enum request_op op, uint64_t sector, uint32_t bytes,
		   const uint8_t *data)
{
	struct core_event ev = { .kind = EV_SUBMIT };

	ev.u.submit.cookie = ++r->cookie;
	ev.u.submit.op = op;
	ev.u.submit.sector = sector;
	ev.u.submit.bytes = bytes;
	if (data)
		ev.u.submit.payload = replay_payload(r, data, bytes);
	r->outstanding++;
	replay_event(r, &ev);
	replay_settle(r);
}

static void inject_transaction(struct replay *r, const struct pkt_twopc *t)
{
	uint32_t conn = (t->val & t->mask & SW_CONN_MASK) >> SW_CONN_SHIFT;

	if (t->initiator != r->rc->us)
		return;
	if (t->mask & SW_ROLE_MASK && !(t->mask & SW_CONN_MASK))
		replay_command(r,
			       (t->val & SW_ROLE_MASK) == ROLE_PRIMARY ? CMD_PRIMARY :
									 CMD_SECONDARY,
			       0, t->mask & SW_DISK_MASK);
	else if (t->mask & SW_CONN_MASK && conn == REPL_VERIFY_S)
		replay_command(r, CMD_VERIFY, (unsigned)t->target, false);
	else if (t->mask & SW_CONN_MASK && conn == REPL_WF_BITMAP_T)
		replay_command(r, CMD_INVALIDATE, (unsigned)t->target, true);
	else if (t->mask & SW_CONN_MASK && conn == CONN_DISCONNECTING)
		replay_command(r, CMD_DISCONNECT, (unsigned)t->target, false);
	else if (t->mask == SW_DISK_MASK)
		replay_command(r, (t->val & SW_DISK_MASK) >> SW_DISK_SHIFT == DISK_DETACHING ?
				   CMD_DETACH :
				   CMD_ATTACH,
			0, false);
}

static void inject_change(struct replay *r, unsigned peer, const struct pkt_change *c)
{
	struct pkt_twopc t = { .initiator = (int8_t)r->rc->us, .target = (int8_t)peer,
			       .mask = c->mask, .val = c->val };

	inject_transaction(r, &t);
}

/* The recorded packet is the beginning of something that our node was not told yet. */
bool replay_inject(struct replay *r, const struct replay_pkt *want)
{
	const struct pkt *pkt = &want->d.pkt;
	const struct pkt_block *b = &pkt->u.block;

	switch (pkt->type) {
	case P_TWOPC_PREPARE:
		inject_transaction(r, &pkt->u.twopc);
		return true;
	case P_DATA:
		replay_submit(r, OP_WRITE, b->sector, want->d.payload_bytes,
		       want->bytes + want->n - want->d.payload_bytes);
		return true;
	case P_TRIM:
		replay_submit(r, OP_DISCARD, b->sector, b->bytes, NULL);
		return true;
	case P_ZEROES:
		replay_submit(r, OP_ZEROES, b->sector, b->bytes, NULL);
		return true;
	case P_DATA_REQUEST:
		replay_submit(r, OP_READ, b->sector, b->bytes, NULL);
		return true;
	case P_STATE_CHG_REQ:
	case P_CONN_ST_CHG_REQ:
		inject_change(r, want->peer, &pkt->u.change);
		return true;
	case P_UUIDS:
		if (!(pkt->u.uuids_8.flags & UUID_FLAG_SKIP_INITIAL_SYNC))
			return false;
		replay_command(r, CMD_NEW_CURRENT_UUID, 0, true);
		return true;
	case P_UUIDS110:
		if (pkt->u.uuids->flags & UUID_FLAG_SKIP_INITIAL_SYNC &&
		    pkt->u.uuids->flags & UUID_FLAG_INCONSISTENT)
			replay_command(r, CMD_NEW_CURRENT_UUID, 0, true);
		else if (pkt->u.uuids->flags & UUID_FLAG_NEW_DATAGEN)
			replay_submit(r, OP_READ, 0, BM_BLOCK_BYTES, NULL); /* local, so not seen */
		else
			return false;
		return true;
	default:
		return false;
	}
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Resync without replication: whether a node whose disk is Inconsistent gets what is written, or
 * is told of it only (states-and-resync 5.3, wire-protocol 5.9). */
#include "core/core_hooks.h"
#include "core/resync_int.h"
#include "core/state.h"

/*
 * Each node says when it connects what it wants when its disk is Inconsistent, and during a resync
 * when it wants to have everything again: before the last pass, so that the end comes. Nobody may
 * go on telling of writes after that end: a good disk would lack them.
 */
static void send_wish(struct core *core, struct peer_device *pd, enum packet type, bool enable)
{
	struct pkt pkt = { .type = (uint16_t)type, .vnr = core->vol[pd->v]->vnr };

	pkt.u.enable_replication = enable;
	core_send(core, core->peer[pd->p], STREAM_DATA, &pkt);
}

void replicate_connects(struct core *core, struct peer_device *pd)
{
	const struct peer *peer = core->peer[pd->p];

	pd->no_data_next = false;
	pd->told_no_data = core->vol[pd->v]->conf->disk.rs_without_replication &&
			   peer->features & FEATURE_RESYNC_WITHOUT_REPLICATION && peer->apv >= 123;
	pd->wants_data = false;
	if (pd->told_no_data)
		send_wish(core, pd, P_ENABLE_REPLICATION_NEXT, false);
}

void replicate_begins(struct core *core, unsigned v)
{
	FOR_EACH_PEER(core, peer)
		peer->pd[v].wants_data = false;
}

bool replicate_enable(struct core *core, unsigned v)
{
	bool asked = false;

	FOR_EACH_PEER(core, peer) {
		struct peer_device *pd = &peer->pd[v];

		if (!pd->told_no_data || pd->wants_data || !peer_connected(core, peer))
			continue;
		send_wish(core, pd, P_ENABLE_REPLICATION, true);
		pd->wants_data = true;
		asked = true;
	}
	return asked;
}

void replicate_pass_ended(struct core *core, struct peer_device *pd)
{
	struct resync *rs = &pd->rs;
	uint64_t left = resync_left(core, pd), before = rs->pass_bits;

	rs->pass_bits = left;
	if (left >= before / 2)
		replicate_enable(core, pd->v);
}

void rx_enable_replication_next(struct core *core, struct peer *peer, const struct pkt *pkt)
{
	struct volume *vol = core_volume_by_vnr(core, pkt->vnr);

	if (vol)
		peer->pd[vol->v].no_data_next = !pkt->u.enable_replication;
}

void rx_enable_replication(struct core *core, struct peer *peer, const struct pkt *pkt)
{
	struct volume *vol = core_volume_by_vnr(core, pkt->vnr);

	if (!vol)
		return;
	state_begin(core)->pd[peer->id][vol->v].no_data = !pkt->u.enable_replication;
	state_end(core, STATE_HARD);
}

static bool is_inconsistent(const struct state *st, unsigned p, unsigned v)
{
	return st->peer[p].conn == CONN_CONNECTED && st->pd[p][v].pdsk == DISK_INCONSISTENT;
}

void replicate_sanitize(const struct core *core, const struct state *old, struct state *next)
{
	FOR_EACH_PEER(core, peer) {
		FOR_EACH_VOLUME(core, vol) {
			const struct state_peer_device *was = &old->pd[peer->id][vol->v];
			struct state_peer_device *is = &next->pd[peer->id][vol->v];
			bool begins = !resync_is_source(was->repl) && resync_is_source(is->repl);

			if (!is_inconsistent(next, peer->id, vol->v))
				is->no_data = false;
			else if (begins || !is_inconsistent(old, peer->id, vol->v))
				is->no_data = peer->pd[vol->v].no_data_next;
		}
	}
}

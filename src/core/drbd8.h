/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A peer of protocol 101 (DRBD 8.4): what it says is put into the words of later versions before
 * anybody sees it, and ours into its words behind everybody's back. Two nodes, no more.
 */
#ifndef CORE_DRBD8_H
#define CORE_DRBD8_H

#include "core/core_int.h"

static inline bool peer_is_drbd8(const struct peer *peer)
{
	return peer->apv && peer->apv < 110;
}

/* ---- drbd8.c: packets and state words ---- */

/* The packet as this peer knows it; false: it has none like that and misses nothing. */
bool drbd8_send(const struct core *core, struct peer *peer, struct pkt *pkt);
/* Disk states as they are numbered since 110. */
uint32_t drbd8_state_received(uint32_t word);
void rx_drbd8_uuids(struct core *core, struct peer *peer, const struct pkt *pkt);

/* ---- drbd8.c: connect without a transaction ---- */

/* All P_STATEs are here: both sides decide for themselves. */
void drbd8_connect(struct core *core, struct peer *peer);

/* ---- drbd8.c: one-to-one changes instead of two-phase commit ---- */

/* PREPARE of the running own transaction. */
void drbd8_request_change(struct core *core, struct peer *peer);
void rx_drbd8_change(struct core *core, struct peer *peer, const struct pkt *pkt);
void rx_drbd8_change_reply(struct core *core, struct peer *peer, const struct pkt *pkt);

/* ---- drbd8_sync.c ---- */

/* The barrier ack of these epochs is out: with two nodes that is all a peer ack could say. */
void drbd8_epochs_acknowledged(struct core *core, struct peer *peer);
/* The bitmaps are exchanged: the source names the generation that the target starts from. */
void drbd8_send_sync_uuid(struct core *core, struct peer_device *pd);
void rx_drbd8_sync_uuid(struct core *core, struct peer *peer, const struct pkt *pkt);
/* All bits are set: a full sync goes without bitmaps. */
void drbd8_start_full(struct core *core, struct peer_device *pd);
/* The target told the end by its state alone: the source settles its reference itself. */
void drbd8_source_finished(struct core *core, struct peer_device *pd);
/* Its last acks are here, too. */
void drbd8_source_run(struct core *core, struct peer_device *pd);
/* Both decide with what travelled in P_UUIDS. */
void drbd8_limit_input(struct sync_input *in);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What sim_net.c (connections) and sim_stream.c (bytes of one direction) share. */
#ifndef SIM_NET_H
#define SIM_NET_H

#include "sim.h"

/* Events name a stream by a key: both nodes, sending side, stream. */
uint64_t conn_key(const struct net_conn *c, unsigned side, unsigned stream);
struct net_conn *conn_of_key(struct world *w, uint64_t key);
bool simnet_path_up(const struct world *w, unsigned a, unsigned b);
/* EV_STREAMS_DOWN to an established side, unless it is closed already. */
void conn_side_down(struct world *w, struct net_conn *c, unsigned side, const char *reason);

/* The connection breaks at the first packet in flight of that stream: all of it is lost, or a part
 * of it arrives. */
void conn_break_at(struct world *w, struct net_conn *c, unsigned from, unsigned stream, bool part);

/* Keeps the first `keep` packets in flight; of the next one only a part arrives. */
void stream_cut(struct world *w, struct net_stream *st, unsigned keep);
/* Keeps the first `keep` packets in flight. */
void stream_drop(struct world *w, struct net_stream *st, unsigned keep);
void stream_push_fin(struct world *w, struct net_conn *c, unsigned side, unsigned stream);
/* Something that blocked the stream may be gone: arm its delivery. */
void stream_kick(struct world *w, struct net_conn *c, unsigned side, unsigned stream);
bool stream_has(const struct world *w, const struct net_stream *st, enum packet type);
/* Nothing but keepalives in flight. */
bool stream_quiet(const struct world *w, const struct net_stream *st);

/* ---- what happens to packets (sim_packets.c) ---- */

void sim_packet_count(unsigned type, enum packet_fate fate);

/* ---- traps (trap.c) ---- */

/* True: something happens to the packet that is about to be delivered. */
bool trap_springs(struct world *w, struct net_conn *c, unsigned side, unsigned stream,
		  unsigned type);

#endif

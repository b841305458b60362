/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Several nodes with real sockets on loopback in one event base. */
#ifndef NET_WORLD_H
#define NET_WORLD_H

#include <stdbool.h>
#include <stdint.h>

#include "disk/buf_pool.h"
#include "net/net.h"

#define WORLD_NODES_MAX 4
#define WORLD_PACKETS_MAX 64

struct world;

/* One end of a connection, and what it was told. */
struct world_end {
	struct world *world;
	uint8_t node, peer;
	struct net_conn *conn;
	unsigned up_count, down_count;
	bool resolve_conflicts;
	char reason[256];
	uint64_t tx_bytes[STREAM_COUNT];
	unsigned packet_count;
	/* borrowed parts are gone; payload references are ours */
	struct pkt packets[WORLD_PACKETS_MAX];
	uint8_t streams[WORLD_PACKETS_MAX];
	bool full;                  /* no P_DATA is taken from the data stream */
	/* Called inside the packet callback when set. */
	void (*on_packet)(struct world_end *end, const struct pkt *pkt);
};

struct world {
	struct event_base *base;
	unsigned node_count;
	uint16_t ports[WORLD_NODES_MAX];
	struct buf_pool *pools[WORLD_NODES_MAX];
	struct net *nets[WORLD_NODES_MAX];
	struct world_end ends[WORLD_NODES_MAX][WORLD_NODES_MAX];
	bool timed_out;
	/* for what is linked from now on */
	bool tls[WORLD_NODES_MAX];
	uint8_t fingerprints[WORLD_NODES_MAX][NET_FINGERPRINT_BYTES];
};

/* Nodes 0 .. count-1 on 127.0.0.1, ports ascending
 * with the node id; a budget for received payload. */
void world_open(struct world *w, unsigned count, uint64_t peer_budget_bytes);
void world_close(struct world *w);
/* TLS on all nodes, with certificates for "node0", "node1", ... made in a scratch directory. */
void world_use_tls(struct world *w);
/* Files STEM.pem and STEM.key in the scratch directory; ca: NULL = by fingerprint. */
void world_identity(struct world *w, uint8_t node, const char *stem, const char *ca);
/* Creates the two ends (listeners exist then); nothing connects yet. */
void world_link(struct world *w, uint8_t a, uint8_t b);
/* Runs turns until cond(ctx); false after a minute. */
bool world_run(struct world *w, bool (*cond)(void *ctx), void *ctx);
/* Runs turns for this long; for what must not happen. */
void world_idle(struct world *w, unsigned ms);
/* Both ends of the pair are up. */
bool world_connect(struct world *w, uint8_t a, uint8_t b);
/* P_CONNECTION_FEATURES in both directions: later packets need an agreed version. */
bool world_agree(struct world *w, uint8_t a, uint8_t b);
void world_send_features(struct world_end *end);

#endif

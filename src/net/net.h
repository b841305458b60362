/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Connections to peers: listeners, establishment of the two streams, packets in and out
 * (wire-protocol 1). Everything here belongs to one thread and its event base; callbacks come from
 * that thread.
 */
#ifndef NET_H
#define NET_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/err.h"
#include "disk/buf_pool.h"
#include "proto/proto_enum.h"
#include "proto/proto_pkt.h"

#define NET_PATHS_MAX 4
#define NET_INBOUND_MAX 64          /* accepted, first packet not yet seen */
#define NET_INBOUND_DEADLINE_MS 5000
#define NET_EARLY_DEADLINE_MS 5000  /* a stream that came before AC_CONNECT is kept this long */
/* after AC_DISCONNECT: for what is queued, and the peer's end */
#define NET_LINGER_MS 2000
#define NET_RX_BYTES_PER_TURN (256U << 10)
#define NET_TX_BYTES_PER_TURN (4U << 20)

struct event_base;
struct net;
struct net_conn;
struct net_identity;

struct net_path {
	struct sockaddr_storage local, remote; /* with ports; same family */
	socklen_t local_len, remote_len;
};

#define NET_FINGERPRINT_BYTES 32U   /* SHA-256 of the public key (SPKI) of a certificate */

struct net_conn_conf {
	char name[NAME_MAX_BYTES];  /* "resource:peer", for logs */
	uint8_t own_node_id, peer_node_id;
	/*
	 * Other nodes of the resource have the same address as this one, or as this peer, and
	 * differ in the port only: see the comment at the top of net_connect.c.
	 */
	bool own_address_shared, peer_address_shared;
	unsigned path_count;
	struct net_path paths[NET_PATHS_MAX];
	uint32_t connect_int_s;
	uint32_t sock_check_ms;     /* both streams exist this long before they count as up */
	bool tls;                   /* nothing but TLS; net_set_identity() comes first */
	uint32_t tls_handshake_ms;  /* for the handshakes on both streams */
	char peer_name[NAME_MAX_BYTES];
	/* of the peer's key, where the identity goes by fingerprints */
	uint8_t peer_fingerprint[NET_FINGERPRINT_BYTES];
};

/* Who this node is towards its peers, and whom it believes. */
struct net_identity_conf {
	const char *own_name;       /* the certificate is for this node */
	const char *certificate, *private_key; /* PEM files; the certificate with its chain */
	/* Peers: with their name, signed by a certificate in this file. NULL: by fingerprint. */
	const char *ca;
};

struct net_tls_info {
	bool on;                    /* false: all else is zero */
	bool kernel;                /* what is sent is encrypted by the kernel */
	int64_t peer_expires_s;     /* end of the peer's certificate, Unix time */
	char cipher[40];
};

/* `ctx` is that of net_conn_new(). None of them is called from within a net_conn_*() function. */
struct net_callbacks {
	/* Both streams exist. resolve_conflicts: we accepted the control stream. */
	void (*up)(void *ctx, bool resolve_conflicts);
	/* Lost: no further packet of this incarnation. `reason` is borrowed. */
	void (*down)(void *ctx, const char *reason);
	/*
	 * Whether the next packet of the data stream, of this type, may come. False: the stream is
	 * not read on; net_resume() asks again. NULL: everything may.
	 */
	bool (*room)(void *ctx, uint16_t type);
	/* pkt is borrowed; the reference of its payload passes to the callee. */
	void (*packet)(void *ctx, enum stream stream, const struct pkt *pkt);
	/* `bytes` left the send queue. */
	void (*tx_done)(void *ctx, enum stream stream, uint32_t bytes);
	/* net_conn_tls_problem() has changed. NULL: nobody wants to know. */
	void (*tls_problem)(void *ctx);
};

/* pool: payloads are received into it and sent from it; both outlive the net. NULL: no memory. */
struct net *net_new(struct event_base *base, struct buf_pool *pool,
		    const struct net_callbacks *callbacks);
/* All connections must be freed; streams that still linger are cut. */
void net_free(struct net *net);
/* A log line per packet. */
void net_set_trace(struct net *net, bool on);

/* Reads and checks the files; err names the one that cannot be used, and why. Any thread. */
int net_identity_new(const struct net_identity_conf *conf, struct net_identity **out,
		     struct err *err);
void net_identity_free(struct net_identity *identity);
/* End of the own certificate, Unix time. */
int64_t net_identity_expires_s(const struct net_identity *identity);
/* Takes the identity, for handshakes from now on; what is connected stays as it is. */
void net_set_identity(struct net *net, struct net_identity *identity);

/* Opens the listeners that the paths need. -EADDRINUSE and others: err says which address. */
int net_conn_new(struct net *net, const struct net_conn_conf *conf, void *ctx,
		 struct net_conn **out, struct err *err);
/* Times, and who is believed, for what is connected from now on; names and paths stay. */
void net_conn_configure(struct net_conn *conn, const struct net_conn_conf *conf);
/*
 * Other paths. What is established stays if its path is among them; otherwise it ends without a
 * callback, and *ended is set. On failure (no listener) nothing has changed.
 */
int net_conn_set_paths(struct net_conn *conn, const struct net_conn_conf *conf, bool *ended,
		       struct err *err);
/* The path of what is established, by its place in the configuration; -1 = none is. */
int net_conn_path(const struct net_conn *conn);
/* Sends what is queued and closes in the background; no callback any more. */
void net_conn_free(struct net_conn *conn);

/* AC_CONNECT: keeps trying until `up` or net_conn_disconnect(). */
void net_conn_connect(struct net_conn *conn);
/* AC_DISCONNECT: sends what is queued and closes in
 * the background; no callback of this incarnation. */
void net_conn_disconnect(struct net_conn *conn);
/* "connecting to 10.0.0.2:7000: Connection refused" while not up; "" otherwise. */
const char *net_conn_problem(const struct net_conn *conn);
/* The same if the last attempt ended in the TLS handshake; "" otherwise. */
const char *net_conn_tls_problem(const struct net_conn *conn);
/* Of the data stream; all zero while not up. */
void net_conn_tls_info(const struct net_conn *conn, struct net_tls_info *info);
/* The data stream has more to send than its socket takes at present. */
bool net_conn_congested(const struct net_conn *conn);

/*
 * Queues one packet; it leaves with net_flush(). Takes a reference of its own to the payload.
 * Nothing happens when the stream does not exist.
 */
void net_conn_send(struct net_conn *conn, enum stream stream, const struct pkt *pkt);
/* Queues a whole bitmap transfer (5.2) on the data stream. */
void net_conn_send_bitmap(struct net_conn *conn, uint16_t vnr, const uint64_t *words,
			  uint64_t bits);

/* At the end of a turn: one sendmsg per stream with something to send; calls tx_done and down. */
void net_flush(struct net *net);
/* True when net_flush() or net_resume() would do something. */
bool net_has_output(const struct net *net);
/* Late in a turn: buffers may have come back to the pool, or there may be room again. Streams that
 * waited for that go on, and those that have read more than they were allowed to deliver. */
void net_resume(struct net *net);

#endif

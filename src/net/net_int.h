/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Structs that the files of net/ share. */
#ifndef NET_INT_H
#define NET_INT_H

#include <sys/uio.h>

#include "base/list.h"
#include "base/prng.h"
#include "net/net.h"
#include "net/net_digest.h"
#include "net/net_event.h"
#include "wire/wire.h"

/* ---- byte layer ---- */

struct net_stream;

/*
 * What carries the bytes of a stream. read and write move as much as they can without blocking and
 * return the count; 0 from read = orderly end; -EAGAIN = later; other -errno = lost.
 */
struct net_layer {
	ssize_t (*read)(struct net_stream *s, const struct iovec *iov, int iov_count);
	ssize_t (*write)(struct net_stream *s, const struct iovec *iov, int iov_count);
	/* A read would find something although the socket has nothing. */
	bool (*read_ready)(const struct net_stream *s);
	/* write() took bytes that the socket has not; writing nothing (0 bytes) goes on. */
	bool (*write_held)(const struct net_stream *s);
	/* Nothing more will be written. */
	void (*end)(struct net_stream *s);
	/* What `error`, returned by read or write, means. */
	const char *(*error_text)(const struct net_stream *s, int error);
};

extern const struct net_layer net_layer_plain, net_layer_tls;

/* ---- TLS ---- */

struct net_identity {
	struct ssl_ctx_st *ctx;
	bool by_fingerprint;        /* of the peer's key; nobody's signature is asked for */
	int64_t expires_s;
};

/* TLS of one TCP connection (net_tls.c). */

struct net_tls;
struct x509_store_ctx_st;

enum net_tls_step { NET_TLS_FAILED, NET_TLS_DONE, NET_TLS_WANTS_READ, NET_TLS_WANTS_WRITE };

/* ---- receiving ---- */

#define NET_RX_BUFFER_BYTES (32U << 10)

enum net_rx_state { NET_RX_HEADER, NET_RX_BODY, NET_RX_PAYLOAD };

struct net_rx {
	uint8_t *bytes;             /* NET_RX_BUFFER_BYTES; [start, end) is not yet parsed */
	uint32_t start, end;
	enum net_rx_state state;
	struct wire_header header;
	uint32_t fixed_bytes;
	uint32_t payload_bytes, payload_got;
	struct buf *payload;
	uint8_t body[WIRE_BODY_MAX_BYTES]; /* of a packet whose payload is under way */
};

/* ---- sending ---- */

#define NET_CHUNK_BYTES (32U << 10)

/* Encoded headers; freed when no segment points into it and it is not the current one. */
struct net_chunk {
	struct net_chunk *next_free;
	uint32_t users;
	uint32_t used_bytes;
	uint8_t bytes[NET_CHUNK_BYTES];
};

/* A run of bytes to send: of a chunk, or of a payload buffer. */
struct net_segment {
	const uint8_t *base;
	uint32_t bytes;
	struct net_chunk *chunk;
	struct buf *buf;
};

struct net_tx {
	struct net_segment *ring;   /* power-of-two capacity */
	uint32_t capacity, head, count;
	uint64_t queued_bytes;
	struct net_chunk *current;
	bool blocked;               /* waits until the socket is writable */
};

/* ---- one TCP connection in use ---- */

struct net_stream {
	struct net *net;
	struct net_conn *conn;      /* NULL: it lingers */
	enum stream kind;
	const struct net_layer *layer;
	struct net_tls *tls;        /* NULL: plain */
	int fd;
	bool closed;                /* freed at the end of the turn */
	bool starved;               /* on net->starved: no buffer for a payload, or no room */
	bool write_ended;           /* lingering, everything is sent */
	struct net_stream *partner; /* lingering: the other stream, while it does too */
	const char *broken;         /* found while queueing; reported by net_flush() */
	struct event ev_read, ev_write, ev_linger;
	struct list link;           /* net->lingering or net->graves */
	struct list output_link;    /* net->output */
	struct list starved_link;
	struct list unread_link;    /* net->unread */
	struct net_rx rx;
	struct net_tx tx;
};

/* ---- establishment ---- */

/* A TCP connection whose stream is known, before both exist. */
struct net_half {
	int fd;                     /* -1 = none */
	bool accepted;
	uint8_t path_idx;
	struct net_tls *tls;        /* NET_SECURING */
};

enum net_phase {
	NET_IDLE,
	NET_TRYING,                 /* at least one half is missing */
	NET_CHECKING,               /* both exist, sock_check_ms run */
	NET_SECURING,               /* both exist, TLS handshakes run on them */
	NET_UP,
};

struct net_conn {
	struct list link;           /* net->conns */
	struct net *net;
	struct net_conn_conf conf;
	void *ctx;
	struct net_listener *listeners[NET_PATHS_MAX];
	enum net_phase phase;
	struct net_half half[STREAM_COUNT];
	struct net_half early[STREAM_COUNT]; /* came before net_conn_connect() */
	int try_fd;                 /* an active connect is under way, else -1 */
	uint8_t try_path_idx;
	uint32_t failed_tries;
	struct event ev_try, ev_timer, ev_early;
	struct event ev_secure[STREAM_COUNT];
	char problem[ERR_TEXT_MAX];
	bool tls_refused;           /* the problem is one of TLS */
	/* while NET_UP */
	struct net_stream *streams[STREAM_COUNT];
	uint8_t path_idx;
	struct wire_ctx wire_rx, wire_tx;
	struct net_digest digest_rx, digest_tx;
	bool features_sent;
	struct pkt_features own_features;
};

struct net_listener {
	struct list link;           /* net->listeners */
	struct net *net;
	struct sockaddr_storage local;
	int fd;
	unsigned user_count;
	struct event ev, ev_again;
};

/* Accepted; its first packet is awaited. */
struct net_inbound {
	struct list link;           /* net->inbounds, oldest first */
	struct net *net;
	struct net_conn *conn;      /* by source address */
	uint8_t path_idx;
	int fd;
	uint32_t got_bytes;
	uint8_t first[WIRE_INITIAL_BYTES];
	struct event ev;
};

struct net {
	struct event_base *base;
	struct buf_pool *pool;
	const struct net_callbacks *cb;
	bool trace;
	struct prng prng;
	struct list conns, listeners, inbounds;
	unsigned inbound_count;
	time_t strangers_since_s;   /* of the lines about who is no peer (yet) */
	unsigned strangers_count;
	struct net_identity *identity; /* NULL: no TLS */
	struct bio_method_st *records; /* net_tls.c's; NULL until one is needed */
	struct list output, starved, lingering, graves;
	struct list unread;         /* streams that read on without an event */
	struct net_chunk *free_chunks;
	unsigned free_chunk_count;
	struct pkt_uuids uuids;     /* of the packet being delivered */
};

/* net_listen.c */
int net_listener_get(struct net *net, const struct sockaddr_storage *local, socklen_t len,
		     struct net_listener **out, struct err *err);
void net_listener_put(struct net_listener *listener);
/* Drops what was accepted for this connection. */
void net_inbound_forget(struct net_conn *conn);

/* net_connect.c */
void net_connect_init(struct net_conn *conn);
void net_connect_start(struct net_conn *conn);
/* Closes everything that is not an established stream. */
void net_connect_stop(struct net_conn *conn);
/* A peer opened a stream to us; takes the fd. */
void net_connect_inbound(struct net_conn *conn, enum stream kind, uint8_t path_idx, int fd);
/* Both streams exist, but cannot be used: closes them and tries again later. */
void net_connect_refused(struct net_conn *conn, const char *problem);
void net_set_nonblocking_options(int fd);

/* net_conn.c */
void net_conn_established(struct net_conn *conn);
/* Ends the present incarnation and reports it. */
void net_conn_fail(struct net_conn *conn, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
void net_trace(const struct net_stream *s, const char *arrow, const struct pkt *pkt);

/* net_secure.c */
/* Both halves are alive: TLS handshakes on them, then net_conn_established(). */
void net_secure_start(struct net_conn *conn);
void net_secure_timeout(struct net_conn *conn);
void net_secure_stop(struct net_conn *conn);

/* net_tls.c */
void net_tls_net_free(struct net *net);
/* The fd stays the caller's. NULL: no memory. */
struct net_tls *net_tls_new(const struct net_conn *conn, int fd, bool accepted);
void net_tls_free(struct net_tls *tls);
/* On NET_TLS_FAILED `why` is filled. */
enum net_tls_step net_tls_handshake(struct net_tls *tls, char why[ERR_TEXT_MAX]);
bool net_tls_done(const struct net_tls *tls);
/* OpenSSL's question whether a certificate is that of the peer. */
int net_tls_check_peer(struct x509_store_ctx_st *store, void *arg);
void net_tls_info(const struct net_tls *tls, struct net_tls_info *info);
/* The first bytes of a stream are TLS. */
bool net_tls_is_record(const uint8_t *bytes, size_t count);

/* net_stream.c */
/* Takes fd and tls (may be NULL) when it succeeds. */
struct net_stream *net_stream_new(struct net_conn *conn, enum stream kind, int fd,
				  struct net_tls *tls);
/* Something can be read. */
void net_stream_readable(struct net_stream *s);
/* The fd is closed now, the memory freed by net_stream_bury(). */
void net_stream_close(struct net_stream *s);
/* Detaches from its connection; sends what is queued, then closes. */
void net_stream_linger(struct net_stream *s);
void net_stream_bury(struct net *net);

/* net_rx.c */
int net_rx_init(struct net_stream *s);
void net_rx_clear(struct net_stream *s);
/* Reads and delivers up to max_bytes; stops early when nothing is there. */
void net_rx_run(struct net_stream *s, uint32_t max_bytes);

/* net_tx.c */
void net_tx_clear(struct net_stream *s);
void net_tx_packet(struct net_stream *s, const struct wire_ctx *wire,
		   const struct net_digest *digest, const struct pkt *pkt);
void net_tx_bitmap(struct net_stream *s, const struct wire_ctx *wire, uint16_t vnr,
		   const uint64_t *words, uint64_t bits);
/* Sends what the socket takes. Returns the bytes sent or -errno; -EAGAIN is not an error. */
int64_t net_tx_run(struct net_stream *s);
void net_tx_free_chunks(struct net *net);

#endif

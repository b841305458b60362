/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One session of fuzz_session: our node (session_node.c) with one to three scripted peers
 * (session_peer.c, session_packet.c), connected by socket pairs (session_pipe.c).
 */
#ifndef FUZZ_SESSION_H
#define FUZZ_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "core/core.h"
#include "disk/buf_pool.h"
#include "meta/meta_layout.h"
#include "net/net_int.h"

#define PEERS_MAX 3U
#define NODE_IDS 4U
#define STORE_BYTES (5U << 20) /* two extents of the activity log */
#define BITMAP_WORDS (STORE_BYTES / BM_BLOCK_BYTES / 64)
#define TAMPERS_MAX 8U
#define SEEN_MAX 32U
#define SESSION_MAGIC_100 0x8620ec20U

/* What the peer's data are, seen from ours. */
enum relation { REL_EQUAL, REL_NEWER, REL_OLDER, REL_FRESH, REL_SPLIT, REL_COUNT };

struct session_conf {
	unsigned peer_count;
	bool own_id_last;      /* the peers begin the connect transactions */
	bool auth, integrity;
	bool checksums;        /* for verifies and resyncs */
	enum wire_protocol protocol;
	unsigned apv;          /* of the peers */
	uint32_t features;
	bool primary;          /* ours; else peer_primary may be */
	bool peer_primary;     /* the first peer */
	bool diskless;         /* ours */
	uint8_t peer_disk;     /* enum disk_state of the peers */
	uint8_t relation[PEERS_MAX];
	bool sockets;          /* of the system; else session_pipe.c's */
	bool bitmap_plain;     /* those of the peers */
	bool bitmap_later;     /* only when the input says so */
	uint8_t seed;
};

/* ---- our node ---- */

struct session_node {
	struct core_conf conf;
	struct core *core;
	struct net *net;
	struct event_base *base;
	struct buf_pool *pool;
	struct net_conn *conn[NODE_IDS];
	unsigned read_turns;         /* of sockets: so often there may be something to read */
	bool sent[NODE_IDS][STREAM_COUNT]; /* the peers have something to read there */
	uint64_t steps;
	bool ends[NODE_IDS];         /* or will find the end of the streams */
	bool wanted[NODE_IDS];       /* AC_CONNECT */
	bool dropped[NODE_IDS];      /* AC_DISCONNECT or a lost connection in this step */
	uint64_t now_ns;
	uint64_t random;
	unsigned requests;           /* of the application, not complete */
	bool replied;                /* the last command is */
	uint64_t cookie, command_cookie;
	uint64_t action_count;
	/* the disk */
	bool hold_disk;
	unsigned fail_count;         /* so many completions fail */
	uint64_t sectors;            /* the last AC_SIZE */
};

struct session;

/* Builds core and connections; what is attached has the contents that the configuration says. */
void node_open(struct session *s);
/* Shuts down, and checks that nothing is left. */
void node_close(struct session *s);
void node_command(struct session *s, enum core_command cmd, unsigned peer, bool flag);
void node_submit(struct session *s, enum request_op op, uint64_t sector, uint32_t bytes);
/* False: it has not seen the end of the last streams yet. */
bool node_is_down(const struct session *s, unsigned peer);
/* The peer's sockets, of which ours are the other ends, take the place of an establishment. */
void node_streams(struct session *s, unsigned peer, const int fd[STREAM_COUNT]);
/* Moves everything once; false: there was nothing to do. */
bool node_turn(struct session *s);
/* Virtual time, with all timers on the way. */
void node_pass_ms(struct session *s, uint64_t ms);
enum conn_state node_conn_state(const struct session *s, unsigned peer);
bool node_is_primary(const struct session *s);
enum wire_protocol node_protocol(const struct session *s, unsigned peer);
uint64_t node_uuid(const struct session *s);

/* ---- socket pairs in memory ---- */

/* Descriptors for close, shutdown, readv, recv, send and sendmsg, none of which ever waits. */
void pipe_pair(int fd[static 2]);
bool pipe_is(int fd);
bool pipe_readable(int fd);
bool pipe_writable(int fd);
/* Ends not closed yet. */
unsigned pipe_open_count(void);

/* ---- its disk ---- */

#define SESSION_UUID_BASE UINT64_C(0x1111111111111110) /* what both once had */
#define SESSION_UUID_OWN UINT64_C(0x2222222222222220)
#define SESSION_UUID_PEER UINT64_C(0x3333333333333330)

void disk_open(const struct session *s);
void disk_close(struct session *s);
void disk_data_action(struct session *s, const struct core_action *a);
void disk_meta_action(struct session *s, const struct core_action *a);
void disk_attach_action(uint16_t vnr);
void disk_detach_action(uint16_t vnr);
void disk_resize_action(const struct ac_resize *a);
/* The next completion, unless they are held. */
bool disk_next_done(struct session *s, struct core_event *ev);
/* The metadata area is what our own writes made of it. */
void disk_check(const struct session *s);
uint64_t disk_sectors(void);
/* Where ranges begin or end: the device's and the activity log extents' borders. */
uint64_t disk_edge(unsigned choice);

/* ---- the peers ---- */

enum tamper_kind {
	TAMPER_SET, TAMPER_XOR, TAMPER_CUT, TAMPER_DROP, TAMPER_TWICE, TAMPER_INSERT, TAMPER_REMOVE,
	TAMPER_TYPE, TAMPER_COUNT,
};

/* To be done to a packet that the script sends. */
struct tamper {
	bool armed;
	uint8_t kind, skip, count;
	uint16_t at;
	uint8_t bytes[8];
};

/* A packet of ours whose fields an answer repeats. */
struct seen {
	uint16_t type;
	struct pkt_block block;
};

enum script_phase { SCRIPT_DOWN, SCRIPT_FEATURES, SCRIPT_AUTH, SCRIPT_READY, SCRIPT_CONNECTED };

struct script_rx {
	uint8_t *bytes;          /* [start, count) is not parsed yet */
	uint32_t start, count;
	uint32_t skip;           /* of a payload that is still to come */
};

/* What is written goes out with the next turn of our node. */
struct script_tx {
	uint8_t *bytes;
	uint32_t count;
};

struct script {
	uint8_t id;
	enum script_phase phase;
	bool silent;             /* reads, but says nothing of its own */
	bool blind;              /* does not understand what comes */
	bool healthy;            /* the last connection: without a disk, and not tampered with */
	bool responded, answered, mirrored, exchanged;
	int fd[STREAM_COUNT];
	struct wire_ctx ctx;
	struct net_digest digest;
	struct script_rx rx[STREAM_COUNT];
	struct script_tx tx[STREAM_COUNT];
	uint32_t features;       /* as sent */
	unsigned apv;
	/* of its own */
	enum role role;
	enum disk_state disk;
	enum repl_state repl;
	uint64_t current_uuid, bitmap_uuid;
	/* transactions */
	uint32_t own_tid, their_tid;
	int8_t their_initiator;
	unsigned attempts;
	/* what an answer needs */
	uint32_t epoch_writes;
	struct pkt_barrier barrier;
	struct seen seen[SEEN_MAX];
	unsigned seen_count;
	uint64_t dagtag;
	struct tamper tamper[TAMPERS_MAX];
};

void script_init(struct session *s, unsigned i);
/* Opens the streams when our node wants them. */
void script_connect(struct session *s, struct script *sc);
void script_close(struct session *s, struct script *sc);
/* What has been written so far becomes readable; false: there was nothing. */
bool script_flush(struct session *s, struct script *sc);
/* Says that no more comes on this stream. */
void script_end_stream(struct session *s, struct script *sc, enum stream stream);
/* Reads what our node sent, and answers it. */
bool script_run(struct session *s, struct script *sc);
void script_send(struct session *s, struct script *sc, enum stream stream, const struct pkt *pkt);
/* Bytes as they are. */
void script_write(struct session *s, struct script *sc, enum stream stream, const uint8_t *p,
		  size_t n);
/* session_packet.c: what came; the handshake is answered by the functions behind it. */
void script_rx(struct session *s, struct script *sc, enum stream stream, const struct pkt *got);
void script_rx_features(struct session *s, struct script *sc, const struct pkt_features *f);
void script_rx_auth(struct session *s, struct script *sc, const struct pkt *got);
void script_rx_protocol(struct session *s, struct script *sc);
void script_rx_twopc(struct session *s, struct script *sc, const struct pkt *got);
uint32_t script_state_word(const struct session *s, const struct script *sc, unsigned conn);
void script_send_bitmap(struct session *s, struct script *sc, uint64_t pattern);

/* A packet of this type, plausible in the present state; a to d choose what varies. */
struct packet_choice {
	uint16_t type;
	uint8_t a, b, c;
	uint16_t d;
};
void script_send_choice(struct session *s, struct script *sc, enum stream stream,
			const struct packet_choice *choice);

/* ---- the whole ---- */

struct session {
	struct session_conf conf;
	struct session_node node;
	struct script script[PEERS_MAX];
	bool verbose;
};

/* Until nothing moves any more, or for very long. */
void session_run(struct session *s);
static inline struct script *session_script(struct session *s, unsigned id)
{
	for (unsigned i = 0; i < s->conf.peer_count; i++) {
		if (s->script[i].id == id)
			return &s->script[i];
	}
	return NULL;
}

static inline uint8_t session_own_id(const struct session *s)
{
	return s->conf.own_id_last ? (uint8_t)s->conf.peer_count : 0;
}

size_t session_hmac(void *ctx, const char *alg, const void *key, size_t key_bytes, const void *msg,
		    size_t msg_bytes, uint8_t out[64]);

#endif

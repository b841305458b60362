/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Structs of the cores wired together, for the two files of core_pair. */
#ifndef TEST_CORE_PAIR_INT_H
#define TEST_CORE_PAIR_INT_H

#include "base/list.h"
#include "core/core_int.h"
#include "core_pair.h"
#include "event_queue.h"
#include "md_memory.h"

#define PAYLOADS_MAX 65536U
#define STEPS_MAX 2000000U
#define PKT_TYPES 0x60U
#define REPLIES_MAX 256U
#define MORE_MEM_MAX 8U
#define PAIR_CALLS_MAX 64U
#define CHUNK_BYTES 4080U

struct blob {
	unsigned refs;
	uint32_t sectors;
	uint64_t *tags;
};

struct msg {
	struct msg *next;
	bool down; /* end of the stream, not a packet */
	struct pkt pkt;
	struct pkt_uuids uuids;
	uint8_t *var;
};

struct queue {
	struct msg *head, **tail;
	bool held;
};

/* What survives a crash. */
struct store {
	uint64_t *tags;
	struct md_memory md;
};

struct node {
	struct core_conf conf;
	void *mem, *more[MORE_MEM_MAX]; /* for what came by EV_CONFIGURE */
	unsigned more_count;
	struct core *core;
	bool up;
	bool broken;
	bool local_reads;      /* the last AC_SIZE */
	uint64_t save_tag;     /* of the AC_SAVE that is not answered, 0 = none */
	struct ac_handler calls[PAIR_CALLS_MAX];
	bool answered[PAIR_CALLS_MAX];
	unsigned call_count;
	struct store store;
	struct event_queue local;
	bool attempt[PAIR_NODES_MAX], streams[PAIR_NODES_MAX];
	bool up_pending[PAIR_NODES_MAX]; /* EV_STREAMS_UP not delivered yet: packets wait */
	unsigned sent[PAIR_NODES_MAX][PKT_TYPES];
};

struct reply {
	uint64_t cookie;
	int rc;
};

struct pair {
	struct pair_opts opts;
	unsigned nodes;
	struct node node[PAIR_NODES_MAX];
	struct queue queue[PAIR_NODES_MAX][PAIR_NODES_MAX][STREAM_COUNT];
	bool cut[PAIR_NODES_MAX][PAIR_NODES_MAX];
	struct blob blob[PAYLOADS_MAX];
	uint32_t blob_next;
	uint64_t now_ns;
	uint64_t cookie;
	uint64_t rng;
	struct reply reply[REPLIES_MAX];
	unsigned reply_count;
	char text[PAIR_TEXT_MAX];
	char description[2048];
	unsigned outstanding;
	uint64_t io_cookie;
	bool io_done;
	int io_error;
	uint64_t *io_tags;
	unsigned steps;
};

uint64_t world_next_random(struct pair *p);
void world_random_bytes(void *ctx, void *out, size_t bytes);
size_t world_toy_hmac(void *ctx, const char *alg, const void *key, size_t key_bytes,
		       const void *msg, size_t msg_bytes, uint8_t out[64]);
size_t world_digest_bytes(void *ctx, const char *alg);
void world_log_line(void *ctx, enum log_level level, const char *line);
struct payload world_blob_new(struct pair *p, uint32_t sectors);
void world_blob_put(struct pair *p, struct payload pl);
struct msg *world_queue_pop(struct queue *q);
void world_msg_free(struct msg *m);
void world_queue_drop(struct pair *p, struct queue *q);
void world_pkt_push(struct pair *p, unsigned from, unsigned to, unsigned stream,
		     const struct pkt *pkt);
void world_match_connections(struct pair *p);
void world_streams_down(struct pair *p, unsigned node, unsigned peer);
void world_step(struct pair *p, unsigned node, struct core_event *ev);

#endif

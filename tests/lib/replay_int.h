/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Structs of the replay: one core, its disk of bytes in memory, what it sent, what it should. */
#ifndef TESTS_LIB_REPLAY_INT_H
#define TESTS_LIB_REPLAY_INT_H

#include "capture.h"
#include "core/cluster.h"
#include "core/core_int.h"
#include "core/drbd8.h"
#include "event_queue.h"
#include "md_memory.h"
#include "replay.h"
#include "wire_check.h"

#define REPLAY_BUFS 8192U
#define REPLAY_TEXT 1024U
#define REPLAY_MAP 4096U

struct replay_buf {
	unsigned refs;
	uint32_t bytes;
	uint8_t *data;
};

/* A packet of ours, or one that the real node sent: decoded, and as a line of text. */
struct replay_pkt {
	struct replay_pkt *next;
	uint64_t at_ns;
	uint8_t peer, stream;
	uint16_t overtaken_by; /* 1 + type of the first one that came before it there */
	struct decoded d;
	uint8_t *bytes;   /* header, body, payload */
	size_t n;
	char text[REPLAY_TEXT];
};

struct replay_list {
	struct replay_pkt *head, **tail;
};

/* Values that each node chooses: the recorded one and ours. */
enum replay_kind { KIND_UUID, KIND_TID, KIND_BLOCK_ID, KIND_BARRIER, KIND_FLUSH };

struct replay_pair {
	enum replay_kind kind;
	uint64_t theirs, ours;
};

struct replay_store {
	uint8_t *data;
	struct md_memory md;
};

/* One connection to a peer, as recorded. */
struct replay_link {
	bool attempt, up;
	/* P_UUIDS110 and P_STATE told last: the same again says nothing. */
	char told_rec[2][REPLAY_TEXT], told_own[2][REPLAY_TEXT];
	struct wire_ctx rx, own; /* as recorded, from the peer and from the real node */
	struct wire_ctx tx;      /* as agreed with us */
	unsigned connection;
	uint64_t last_ns;        /* of the peer's last packet in this connection */
	uint8_t *arrived;        /* per sector: resync data of this connection have come */
	uint8_t *content;        /* what they are */
	/* Answers to what we ask later than the real node did, and all behind them. */
	struct replay_list late[STREAM_COUNT];
	struct replay_list asked;/* our resync requests that wait for them */
	struct pkt_dagtag acked_rec, acked_own; /* the last P_PEER_ACK: they are cumulative */
	uint8_t *acked_ranges;   /* per sector: written by our resync, acknowledged */
	uint8_t *wanted_rec, *wanted_own; /* per sector: requested by the real node, by us */
	/* Verify: recorded digests that we have not asked for yet, our requests without one. */
	struct replay_list digests, digest_asked;
};

struct replay {
	const struct replay_case *rc;
	struct capture *cap;
	struct wire_ctx agreed;  /* by the recorded nodes */
	unsigned at;             /* next record of the capture */
	struct core_conf conf;
	void *mem;
	struct core *core;
	uint64_t base_ns;        /* virtual time of the recording's start */
	uint64_t now_ns;
	struct replay_store store;
	struct event_queue local;
	struct event_queue held; /* local writes whose end waits for the barrier */
	struct replay_buf buf[REPLAY_BUFS];
	uint32_t buf_next;
	struct replay_link link[NODES_MAX];
	struct replay_list out, want;
	struct replay_pair map[REPLAY_MAP];
	unsigned map_count;
	uint64_t fed_uuid[REPLAY_MAP];
	unsigned fed_count;
	uint64_t rng;
	uint64_t cookie;
	unsigned outstanding;
	unsigned next_step;
	uint8_t *image;          /* what the real node sent in resyncs and to readers */
	bool stopped;
	struct replay_result *result;
};

/* replay_world.c */
void replay_init(struct replay *r);
void replay_close(struct replay *r);
void replay_start(struct replay *r);
void replay_stop(struct replay *r);
void replay_event(struct replay *r, struct core_event *ev);
void replay_settle(struct replay *r);
void replay_pass_until(struct replay *r, uint64_t ns);
void replay_release_writes(struct replay *r);
struct payload replay_payload(struct replay *r, const uint8_t *data, uint32_t bytes);

/* replay_compare.c */
struct replay_pkt *replay_pkt_new(const struct wire_ctx *ctx, unsigned peer, unsigned stream,
				  const uint8_t *bytes, size_t n);
void replay_pkt_free(struct replay_pkt *p);
void pkt_normalise(const struct replay *r, struct replay_pkt *p);
void list_init_pkts(struct replay_list *l);
void list_append(struct replay_list *l, struct replay_pkt *p);
void list_remove(struct replay_list *l, struct replay_pkt *p);
void list_drop(struct replay_list *l);
/* The first one about the same range; NULL = none. */
struct replay_pkt *list_find_block(struct replay_list *l, const struct pkt_block *b);
bool pkt_same_kind(struct replay *r, const struct replay_pkt *want, const struct replay_pkt *got);
/* The recorded answer belongs to a transaction of ours that we have not begun. */
bool pkt_answers_later(struct replay *r, const struct pkt *pkt);
/* Number of fields with equal text. */
unsigned pkt_likeness(const struct replay_pkt *want, const struct replay_pkt *got);
void pkt_compare(struct replay *r, struct replay_pkt *want, struct replay_pkt *got);
void pkt_translate(struct replay *r, struct pkt *pkt, struct pkt_uuids *uuids);
void replay_note(struct replay *r, enum replay_difference kind, const char *packet,
		 const char *field, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));

/* replay_prepare.c: node and disk as the real one began. */
void replay_prepare(struct replay *r);
void replay_end(struct replay *r);

/* replay_inject.c */
void replay_command(struct replay *r, enum core_command cmd, unsigned peer, bool flag);
void replay_submit(struct replay *r, enum request_op op, uint64_t sector, uint32_t bytes,
		   const uint8_t *data);
/* The recorded packet is the beginning of something that our node was not told yet. */
bool replay_inject(struct replay *r, const struct replay_pkt *want);

/* replay.c */
void replay_sent(struct replay *r, struct replay_pkt *p);

#endif

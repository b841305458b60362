/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One resync of one peer device, and the reconciliation
 * after a lost Primary (states-and-resync 5). */
#ifndef CORE_RESYNC_H
#define CORE_RESYNC_H

#include <stdbool.h>
#include <stdint.h>

#include "core/hold.h"
#include "proto/proto_limits.h"
#include "proto/proto_pkt.h"

/* A source that does not reach the position in a
 * Primary's stream by then lets the target ask again. */
#define RS_DAGTAG_WAIT_NS (UINT64_C(5) * 1000000000)
#define RS_TICK_NS (UINT64_C(100) * 1000000)
#define RS_REQUEST_MAX_BYTES (1U << 20)
#define RS_TARGET_REQUESTS 1024U   /* per volume */
/*
 * Per volume, all peers: a verify of a DRBD kernel skips what is cancelled, and it has up to
 * max-buffers (2048 by default) requests of one bit under way.
 */
#define RS_SOURCE_REQUESTS 4096U
#define RS_SOURCE_WINDOW_SECTORS (64U << 11) /* read and not yet acknowledged, per volume */
/* So much around what it has asked for is closed to writes at a target of DRBD 9.0 or 9.1. */
#define RS_LOCK_SECTORS (UINT64_C(128) << 11)
#define RS_PLAN_STEPS_MAX 300      /* c-plan-ahead in 0.1 s */
#define RS_MARKS 8
#define RS_MARK_NS (UINT64_C(3) * 1000000000)

enum rs_state {
	RS_FREE,
	/* target */
	RS_DIGESTING,  /* the own data are read, for a request by checksum */
	RS_REQUESTED,  /* reply awaited */
	RS_REPLY_HERE, /* waits until the bits that it needs are being written */
	RS_MARKING,    /* they are being written */
	RS_WAIT_HOLD,
	RS_WRITING,    /* at the disk */
	RS_WRITTEN,    /* waits for the next flush */
	RS_SETTLING,   /* in the running one */
	/* verify source */
	RS_OV_AGAIN,   /* writes were in the way: to be asked for later */
	RS_OV_ASKED,   /* the peer's digest awaited */
	/* source, and both sides of a verify */
	RS_WAIT_DAGTAG,
	RS_WAIT_WINDOW,
	RS_WAIT_READ,  /* waits for its hold */
	RS_READING,
	RS_REPLIED,    /* ack or result awaited */
	RS_SAID_SAME,  /* source: told that it is in sync; until a ping shows that it knows */
};

/* What is read for whom. */
enum rs_kind {
	RS_DATA,
	RS_THIN,       /* data only where they are not all zero */
	RS_CHECKSUM,   /* data only where they differ from the target's digest */
	RS_OV_SOURCE,  /* verify: compared with the digest of the peer */
	RS_OV_TARGET,  /* verify: the digest for the peer */
};

/* One request: at the target, or where something is read on account of a peer. */
struct rs_request {
	struct hold hold;      /* its range covers the request in every state */
	struct range watch;    /* in volume's watch map while in use */
	struct list link;      /* rs_pool.free, queue of its state */
	uint32_t index;
	uint32_t serial;       /* makes block ids unique */
	uint8_t state;         /* enum rs_state */
	uint8_t kind;          /* enum rs_kind */
	uint8_t tries;         /* verify: writes were in the way so often */
	uint8_t p;             /* peer */
	uint8_t v;
	/* target: a newer write covers it, the reply is not written; source, verify: a write came
	 * since what is compared or sent was read */
	bool superseded;
	bool overwritten;      /* verify: and that write covers all of it */
	bool dirtied;          /* bits were set explicitly meanwhile: do not clear them */
	bool failed;           /* target: write error */
	bool zeroes;           /* target: instead of a payload */
	bool orphan;           /* connection or resync gone: free it when the disk returns it */
	uint64_t sector;
	uint32_t bytes;
	uint64_t block_id;     /* source: the target's; target: our own */
	uint64_t dagtag;
	uint64_t since_ns;     /* RS_WAIT_DAGTAG */
	uint32_t ping;         /* RS_SAID_SAME */
	uint8_t dagtag_node;   /* NODES_MAX = none */
	uint8_t digest_bytes;
	uint8_t digest[DIGEST_MAX_BYTES]; /* of the peer's data; target: of its own */
	struct payload payload;
};

/* How fast it goes while no application uses the disk. */
struct rs_pace {
	uint64_t since_ns;
	uint64_t sectors;           /* since then */
	bool beside;                /* an application used the disk since then */
	uint64_t idle_kib_s;        /* 0 = not known yet */
};

struct rs_pool {
	struct rs_request *items;
	uint32_t max, made;         /* items[made] and on have not been touched yet */
	struct list free;
};

/*
 * Requests of one volume: as target (one active source); and as source (all targets), which the
 * two sides of a verify share, since they read in the same order.
 */
struct rs_volume {
	struct rs_pool target, source; /* RS_TARGET_REQUESTS, RS_SOURCE_REQUESTS */
	/* target: RS_DIGESTING, RS_REQUESTED, RS_WAIT_HOLD, RS_WRITING */
	struct list asked;
	struct list replied;        /* target: RS_REPLY_HERE */
	struct list marking;        /* target: RS_MARKING */
	struct list written;        /* target: RS_WRITTEN */
	struct list settling;       /* target: RS_SETTLING */
	struct list wait_dagtag, wait_window;
	struct list said_same;      /* source: RS_SAID_SAME */
	struct list serving;        /* source: RS_WAIT_READ .. RS_REPLIED */
	struct list ov_asked;       /* RS_OV_ASKED */
	struct list ov_again;       /* RS_OV_AGAIN */
	struct range_map target_map, source_map;
	uint32_t target_count, source_count;
	uint32_t source_window;     /* sectors RS_WAIT_READ..RS_REPLIED */
	/* resync_rate.c */
	uint64_t app_seen, app_seen_ns; /* volume.app_sectors at the last look */
	bool app_busy;              /* an application used the disk before it */
	struct rs_pace pace;        /* source: of what is read for peers */
	uint64_t slice_ns, slice_sectors; /* source: the present 100 ms */
	uint64_t yielded_ns;        /* source: the application came first, last */
	uint64_t read_again_ns;     /* source: when it goes on after that, 0 = at once */
	bool flush_running;         /* target: disk flush for `settling` */
	int settle_error;
	uint32_t serial;
	/* telling third nodes what is in sync (wire-protocol 5.7) */
	bool announce;              /* a sweep over the device runs */
	bool announce_again;        /* it met extents with writes under way */
	bool announce_asked;        /* pings were sent before its next step */
	unsigned announce_rounds;
	uint64_t announce_bit;
	uint64_t announce_at_ns;
};

/* Progress and control of one peer device. Read by status.c. */
struct resync {
	bool running;          /* repl is SyncTarget/Source or Paused */
	uint64_t total_bits;   /* out of sync when it started */
	uint64_t failed_bits;
	uint64_t same_bits;    /* by checksum */
	uint64_t zero_bits;    /* told by a word */
	uint64_t started_ns;
	uint64_t paused_since_ns, paused_ns;
	uint64_t mark_ns[RS_MARKS], mark_left[RS_MARKS];
	unsigned mark_next, mark_count;
	uint64_t want_kib_s;   /* what the controller asked for at the last tick */
	uint8_t limit;         /* enum resync_limit: why not more */
	struct rs_pace pace;
	/* target */
	uint64_t start_uuid;   /* own current when it started */
	/* generation that a Primary made meanwhile, and the source is said to be part of */
	uint64_t promised_uuid;
	uint8_t promised_by;   /* that Primary */
	/* superblock (Inconsistent, references) that must be durable before data changes */
	uint64_t begin_seq;
	bool source_crashed;   /* the source had the CRASHED_PRIMARY mark */
	bool source_lagged;    /* the source had the LAGGED mark */
	bool source_restarted; /* the source did not say WENT_ON */
	bool unstable;         /* the source was unstable at some time */
	bool again;            /* one more handshake was asked for meanwhile */
	bool aborted;
	bool released;         /* paused, and the source that is done with was enough */
	bool checksums;        /* target: asks by digest of its own data */
	uint32_t flushes;      /* first of them: what was here before is not durable yet */
	uint64_t target_since_ns; /* active, not paused */
	uint64_t cursor_bit;
	uint64_t pass_bits;    /* marked when this pass over the device began */
	uint64_t tick_at_ns, last_tick_ns;
	uint32_t in_flight;        /* requests */
	uint64_t in_flight_sectors;
	uint64_t in_sectors;       /* received since the last tick */
	uint64_t owed_sectors;     /* asked beyond what was due, since requests are not cut */
	int32_t plan[RS_PLAN_STEPS_MAX];
	unsigned plan_steps, plan_pos;
	int64_t plan_total;
	/* finishing: P_FLUSH_REQUESTS (wire-protocol 5.8) */
	uint64_t flush_seq;    /* 0 = not sent */
	uint64_t flush_wait[NODES_MAX]; /* by Primary: nodes whose ack is missing */
	uint64_t finish_seq;   /* superblock that must be durable before the end is told */
	bool finish_uuids;     /* generation adopted with it */
};

/* Online verify with one peer device: verify.c. */
struct verify {
	uint64_t start_bit, end_bit; /* of the one that runs */
	uint64_t next_bit;     /* source: asked for next; where one goes on that was ended */
	uint64_t left_bits;
	uint64_t found_bits, skipped_bits;
	uint64_t range_sector, range_sectors; /* the last difference, until it is logged */
	uint32_t requests;     /* source: in use */
	bool target_started;   /* the first request is here, it tells the start */
	bool repair;           /* source: what is found is resynced from here */
	bool elsewhere;        /* source: it does not begin where it should */
	uint64_t marked;       /* so many blocks were marked before on the other side */
	/* verify_schedule.c */
	bool repair_due, begin_due; /* as commands */
	uint32_t ping;         /* the repair waits for the answer */
	uint64_t due_at_ns;    /* the next one by verify-interval, 0 = not drawn yet */
	struct {
		uint64_t ended_ns; /* 0 = there was none */
		uint64_t found_bits, skipped_bits;
		bool whole;
	} last;
	/*
	 * Bits are set that a verify found. Which side is right only the operator knows: they stay
	 * until a resync is asked for, or the connection ends.
	 */
	bool found;
};

/*
 * From when on a peer's P_PEERS_IN_SYNC counts: it was sent after both sides were at the same
 * generation. A ping tells, since its answer comes behind everything that was sent before on that
 * stream.
 */
struct claim_fence {
	/* bits are left between good disks: when to ask for a resync, 0 = not */
	uint64_t leftover_at_ns;
	uint64_t current;      /* generation for which claims count */
	uint64_t asked;        /* generation that `ping` was sent for */
	uint32_t ping;
	uint32_t alive_ping;   /* sent before this step of the own announcements */
	bool resync_marks;     /* some bits towards it are there since a resync changed our data */
};

/* The lost Primary, for its survivors (5.6). */
struct reconcile {
	bool pending;                 /* own disks stay Consistent */
	uint8_t lost;                 /* node id, NODES_MAX = none */
	bool back;                    /* connected again since, without anything of its own */
	uint64_t back_dagtag;         /* where its stream ended here before that */
	bool told;                    /* the survivors have our notice */
	uint64_t told_dagtag;         /* that it named */
	uint64_t survivors;           /* peers that were connected then */
	/* of these: compared, nothing more to do but the resyncs under way */
	uint64_t settled;
	uint64_t deadline_ns;
	/* last P_PEER_DAGTAG of each connected peer */
	bool noticed[NODES_MAX];
	uint8_t notice_node[NODES_MAX];
	uint64_t notice_dagtag[NODES_MAX];
	/* what the running handshake named, NODES_MAX = nothing */
	uint8_t sent_node[NODES_MAX];
	uint64_t sent_dagtag[NODES_MAX];
	uint64_t flush_serial;        /* P_FLUSH_REQUESTS sent */
};

#endif

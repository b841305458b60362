/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Structs that the core's files share. Each struct names the file that owns its fields: others read
 * them, only the owner writes. Included by src/core/ only.
 *
 * Conventions: a peer is found by node id (core->peer[id], NULL = not configured), a volume by
 * index v (core->vol[v], 0..vol_count-1). A peer device is core->peer[p]->pd[v].
 */
#ifndef CORE_INT_H
#define CORE_INT_H

#include "base/assert.h"
#include "base/list.h"
#include "core/actlog.h"
#include "core/bitmap.h"
#include "core/core.h"
#include "core/local_io.h"
#include "core/handlers.h"
#include "core/request.h"
#include "core/resize.h"
#include "core/resync.h"
#include "core/twopc.h"
#include "core/uuid.h"

#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_S UINT64_C(1000000000)
#define NEVER_NS UINT64_MAX

/* ---- replicated and local state: state.c ---- */

struct state_volume {
	enum disk_state disk;
	bool have_quorum; /* quorum.c */
	bool susp_dependency, susp_parallel; /* resyncs have to wait for those of other resources */
};

struct state_peer {
	enum conn_state conn;
	enum role role;
};

struct state_peer_device {
	enum repl_state repl;
	enum disk_state pdsk;
	bool susp_user, susp_peer, susp_other; /* resync paused because of */
	bool held;      /* its I/O waits, or its answers do */
	bool quorate;   /* it says that it has quorum */
	bool behind;    /* back, but not met yet who has what it lacks */
	bool no_data;   /* its disk is Inconsistent, and it is told of writes only */
	bool untrusted; /* Consistent only because its generation is not what we have shown */
};

struct state {
	enum role role;
	bool susp_user, susp_nod, susp_quorum, susp_uuid; /* new application I/O is held */
	uint32_t susp_fen;  /* and until these nodes are fenced, or back: fencing.c */
	struct state_volume vol[VOLUMES_MAX];
	struct state_peer peer[NODES_MAX];
	struct state_peer_device pd[NODES_MAX][VOLUMES_MAX];
};

/* history.c: what the present step is about. */
struct cause {
	enum change_cause why;
	uint8_t node;        /* NODES_MAX = none */
	const char *detail;  /* static, or NULL */
};

/* ---- one peer device ---- */

struct peer_device {
	uint8_t p; /* peer's node id */
	uint8_t v;
	/* handshake.c, sizes.c: what the peer told us in this connection */
	bool have_sizes, have_uuids, have_state;
	struct pkt_sizes sizes;
	uint64_t sectors_sent;      /* what it was told last of our size */
	uint32_t state_word;        /* last P_STATE of the handshake */
	/* peer_state.c */
	uint32_t state_word_sent;   /* last P_STATE that went out, 0 = none in this connection */
	/* connection or replication state that the peer reported last */
	uint8_t conn_rx;
	uint8_t disk_rx;            /* and the disk state */
	bool begin_awaited;         /* as target of what is new: not told yet */
	/* DRBD 8.4 as our target is through, and its last acks are on their way */
	bool end_told;
	bool consider_resync;       /* the peer was promoted by force: decide on its next P_STATE */
	bool attach_pending;        /* our attach waits for this peer's P_STATE */
	/* RECONNECT: a connection was lost in this lifetime, and not before the resync that what
	 * is here lacked had begun */
	bool was_connected;
	/* uuid.c */
	struct pkt_uuids uuids;     /* as received */
	bool uuids_valid;           /* uuids holds P_UUIDS110 of this connection */
	bool left_behind;           /* it is not part of the newest generation, whatever it says */
	bool lacks_lost;            /* lost_source.c: what that source had */
	/* two_primaries.c: was Primary as we were when it, or its disk, was lost; and had the only
	 * good disk */
	bool may_go_on, goes_on;
	uint64_t current_uuid_rx;   /* P_CURRENT_UUID of a diskless peer */
	uint64_t shown_uuid;        /* the last such one, also when it is out of sight */
	uint64_t moved_from;        /* what it was before, while a transaction ran; 0 = not so */
	/* what we last sent: the peer decides with this
	 * (the comm_ copies); diskless: current alone */
	struct pkt_uuids sent;
	uint64_t sent_bitmap;       /* reference towards the peer then, also when it was not told */
	bool sent_valid;
	struct sync_verdict verdict;/* result of the handshake, applied at commit */
	bool yields;                /* sync_handshake.c: as victim of a policy it gives data up */
	struct status_split split;  /* sync_handshake.c: if it was a split brain */
	/* replicate.c: what it wants when Inconsistent; what we have told it, and since then */
	bool no_data_next, told_no_data, wants_data;
	/* handlers.c */
	struct handler_run before_resync;
	bool before_resync_agreed;  /* a full sync: not begun yet */
	bool split_told, split_unsolved_told, pri_lost_told; /* since the last `connect` */
	/* save.c */
	bool save_wanted;           /* before our bitmap goes out */
	bool save_running;
	uint32_t save_serial;
	uint32_t saves;             /* AC_SAVE under way, also such that nobody waits for */
	/* resync*.c, bitmap_xfer.c */
	struct bitmap_rx bm_rx;
	uint64_t sync_uuid;         /* drbd8_sync.c: told before a full sync could begin */
	struct resync rs;
	struct claim_fence fence;
	struct verify ov; /* verify.c */
	/* request.c, peer_write.c: statistics and the packet counters of wire-protocol 4.6 */
	uint32_t seq_tx;
	uint32_t writes_rx, acks_rx; /* numbered packets that came on either stream */
	uint64_t sent_sectors, received_sectors;
	uint32_t pending, unacked;
};

/* ---- one peer ---- */

enum hs_phase { HS_NONE, HS_FEATURES, HS_AUTH, HS_PROTOCOL, HS_READY };

struct peer {
	uint8_t id;
	const struct core_peer_conf *conf;
	/* peer.c: connection life cycle */
	bool want_connect;          /* configured to connect (not StandAlone by command) */
	bool streams_up;
	bool resolve_conflicts;
	bool discard_my_data;       /* of the running connect attempts */
	bool discard_one;           /* only of the volume discard_vnr */
	uint16_t discard_vnr;
	char save_to[SAVE_PATH_MAX]; /* a file for what is given up, "" = none */
	/* AC_CONNECT is out: ends with AC_DISCONNECT or EV_STREAMS_DOWN */
	bool attempt;
	bool forced_down;           /* disconnected by force: its role counts as lost */
	enum conn_state fail_why;   /* a failure that is still to be committed, 0 = none */
	uint64_t retry_at_ns;       /* next AC_CONNECT, NEVER_NS = none */
	unsigned retry_count;
	char reason[STATUS_REASON_MAX];
	/* handshake.c, auth.c */
	enum hs_phase phase;
	unsigned apv;
	uint32_t features;
	bool got_features, got_challenge, got_auth_ok, sent_response, got_protocol;
	uint8_t my_challenge[AUTH_CHALLENGE_BYTES];
	uint64_t hs_deadline_ns;
	uint16_t drbd8_reply, drbd8_reply_vnr; /* drbd8.c: what its request is answered with */
	bool discard_their_data;    /* the peer announced discard-my-data */
	uint64_t crossed_log_ns;    /* two_primaries.c: when it may be said again */
	bool gives_way;             /* CONN_FLAG_GIVES_WAY */
	uint64_t lost_primary_dagtag; /* P_PEER_DAGTAG inside the handshake (RECONCILE_RECONNECT) */
	uint8_t lost_primary_node;    /* NODES_MAX = none named */
	char verify_alg[ALG_NAME_MAX], csums_alg[ALG_NAME_MAX]; /* as agreed on, "" = none */
	/* keepalive.c */
	uint64_t ping_at_ns, ping_deadline_ns;
	uint32_t ping_sent, ping_acked; /* counts; see keepalive_ping() */
	bool ping_again;            /* one more as soon as the last one is answered */
	/* handshake.c: an aborted connect PREPARE whose packets of step 7 may still come */
	uint64_t hs_again_ns;       /* next connect transaction on these streams */
	bool hs_owed;
	uint32_t hs_owed_tid;
	bool hs_refused;            /* our own verdict on these streams: no connection */
	uint64_t refused_until_ns;  /* peer.c: such streams were lost; it may come back till then */
	uint64_t fork_at_ns;        /* sync_handshake.c: both went their own way, 0 = not so */
	/* fencing.c */
	struct handler_run fence;
	bool fence_due;
	bool fence_failed;          /* with that exit code */
	int fence_status;
	uint64_t fence_at_ns;       /* due, but not before */
	/* request.c, request_log.c: sending side (we are Primary) */
	struct peer_tx tx;
	/* peer_write.c, epoch.c, peer_ack.c: receiving side (the peer is Primary) */
	struct peer_rx rx;
	uint64_t sent_bytes, received_bytes;
	unsigned pd_count;          /* core.vol_count */
	struct peer_device *pd;     /* by volume index; room for VOLUMES_MAX */
};

/* ---- one volume ---- */

enum volume_phase { VOL_DETACHED, VOL_ATTACHING, VOL_ATTACHED, VOL_DETACHING };

#define LOST_UUIDS_MAX 4

/* lost_source.c: the newer generation of the two that an Inconsistent disk is between. */
struct lost_source {
	bool known;
	bool is_new;            /* peers that are connected have not been judged by it */
	uint8_t node;
	struct pkt_uuids uuids; /* as that node has told */
};

/* uuid_adopt.c: what the disk has while the generation in `md` waits for writes. */
struct adoption {
	bool waits, failed;
	uint32_t serial;
	unsigned writes;
	uint64_t current_uuid;
	uint64_t history[HISTORY_UUIDS];
	uint64_t bitmap_uuid[NODES_MAX], bitmap_dagtag[NODES_MAX];
};

struct volume {
	uint8_t v;
	uint16_t vnr;
	const struct core_volume_conf *conf;
	/* volume_set.c */
	bool gone;                  /* for the peers it is without a disk, for users not there */
	bool comes;                 /* to a Primary, and was not usable yet */
	bool leaves;
	/* volume.c */
	enum volume_phase phase;
	uint64_t attach_began_ns;
	uint64_t data_sectors;      /* capacity of the local data area */
	uint64_t size_sectors;      /* agreed size, 0 = none yet: sizes.c */
	bool discard_ok;
	unsigned open_rw, open_ro;
	uint64_t gate_sectors;      /* last AC_SIZE */
	bool gate_readable, gate_writable, gate_local_reads;
	bool io_failed;             /* the disk is being given up after an error */
	bool md_failed;             /* the error was one of the metadata: nothing more is written */
	char reason[STATUS_REASON_MAX];
	/* md.c: in-core superblock; uuid.c changes uuids,
	 * others flags, each followed by md_dirty() */
	struct md_super md;
	bool md_is_dirty;
	bool md_writing;
	uint64_t md_seq;            /* number of the last change */
	uint64_t md_writing_seq;
	uint64_t md_durable_seq;
	uint64_t md_write_at_ns;    /* lazy write deadline */
	uint64_t returns_seq;       /* last change for md_peer_returns() */
	uint64_t md_mark_seq;       /* last change of the flags that make the activity log count */
	uint64_t forget_seq;        /* last forget-peer: command_forget.c */
	bool md_unsettled;          /* detaching with writes that not every node has */
	/* resize.c */
	struct resize resize;
	/* bitmap.c */
	struct bitmap bm;
	/* actlog.c */
	struct actlog al;
	/* request.c, conflict.c */
	struct holds holds;
	unsigned local_pending;     /* data I/O at the local disk */
	/* local_io.c */
	struct local_queue io;
	/* uuid.c */
	bool new_uuid_wanted;       /* make a new generation before the next write */
	bool new_uuid_owed;         /* also if nothing is written any more */
	bool absent_forgotten;      /* as Primary: a new generation was made for that */
	uint8_t origin;             /* whose data resyncs at this generation have brought */
	bool uuid_given_away;       /* a node out of sight may have taken over this generation */
	uint64_t lost_primaries;    /* in it, and not seen since */
	uint64_t bump_seq;          /* md_seq that must be durable before writes go on, 0 = none */
	uint64_t bump_weak;         /* nodes that do not take part in the new generation */
	uint64_t bump_flags;        /* UUID_FLAG_* it is announced with */
	/* uuid_attach.c: one that is being made here, or did not get onto the disk, 0 = none; who
	 * may have taken it over; and the one before it */
	uint64_t made_uuid, made_told, made_before;
	bool awaits_disk;           /* made without a good disk: no peer has it on its disk yet */
	uint64_t exposed_before;    /* then: the last generation that is on a disk */
	bool before_lags;           /* who has that one lacks what was answered in it */
	uint64_t left_uuid;         /* in which this Primary has lost its good disk, 0 = none */
	/* Generations that nobody has, as far as is known; nothing was answered in them. */
	uint64_t lost_uuid[LOST_UUIDS_MAX];
	unsigned lost_uuids;
	/* md_seq of a Primary's generation until it is durable, or 0; UINT64_MAX while it waits */
	uint64_t adopt_seq;
	struct adoption adoption;
	bool was_stable;            /* as last told to the peers */
	uint64_t was_authoritative;
	bool crashed_primary;       /* we were Primary when we crashed */
	bool just_attached;         /* not compared yet with a disk that went on */
	bool unproved;              /* fencing.c: it was not UpToDate since it was attached */
	bool lost_quorum;           /* we were Primary when quorum was lost; it is not back yet */
	bool restore_quorum;        /* its metadata say that nobody else had quorum */
	bool lagged;                /* behind a lost Primary of protocol A; restarted: also B */
	uint64_t exposed_uuid;      /* generation a diskless Primary has shown */
	uint64_t led_uuid;          /* the last one made so, with quorum */
	struct lost_source lost_source;
	/* resync*.c */
	struct rs_volume rs;
	/* statistics */
	uint64_t read_sectors, written_sectors, bm_writes;
	uint64_t app_sectors;       /* I/O of applications at the local disk, here or of a peer */
};

/* ---- the resource ---- */

/* Kinds of the 64-bit tags of AC_DISK_* and AC_META_*: top byte; the rest is the owner's. */
enum tag_kind {
	TAG_REQUEST = 1,   /* request.c: local part of an application request */
	TAG_APP_FLUSH,     /* request.c */
	TAG_PEER_REQUEST,  /* peer_write.c: write or read on behalf of a peer */
	TAG_EPOCH_FLUSH,   /* epoch.c */
	TAG_RS_READ,       /* resync_source.c, verify.c */
	TAG_RS_WRITE,      /* resync_target.c */
	TAG_SAVE,          /* save.c */
	TAG_MD_SUPER,      /* md.c */
	TAG_AL,            /* actlog.c */
	TAG_BITMAP,        /* bitmap.c */
	TAG_BITMAP_FLUSH,  /* bitmap.c */
	TAG_RESIZE,        /* resize.c; its answer names the volume */
};

#define TAG_KIND_SHIFT 56
static inline uint64_t tag_make(enum tag_kind kind, uint64_t rest)
{
	return ((uint64_t)kind << TAG_KIND_SHIFT) | rest;
}

static inline enum tag_kind tag_kind(uint64_t tag)
{
	return (enum tag_kind)(tag >> TAG_KIND_SHIFT);
}

static inline uint64_t tag_rest(uint64_t tag)
{
	return tag & ((UINT64_C(1) << TAG_KIND_SHIFT) - 1);
}

struct core {
	struct core_conf conf;
	uint8_t self;               /* own node id */
	uint64_t now_ns;
	/* state.c */
	struct state st;            /* committed */
	struct state next;          /* being edited between state_begin() and state_end() */
	bool in_change;
	bool in_effects;            /* state_effects() runs: no further change now */
	struct cause cause;         /* history.c; a part of a step may set another one meanwhile */
	unsigned peer_count, vol_count;
	uint8_t peer_ids[NODES_MAX];/* ascending */
	struct peer *peer[NODES_MAX];
	/* what the ring and the scratch memory are enough for */
	unsigned sized_peers, sized_volumes;
	unsigned spare_count;       /* membership.c: memory of peers that have gone */
	struct peer *spare_peer[NODES_MAX];
	struct volume *vol[VOLUMES_MAX];
	/* twopc.c */
	struct twopc twopc;
	uint64_t members;           /* nodes of the last set that had quorum */
	/* quorum.c: a peer was lost; whether the others are still here is being asked */
	bool quorum_unproved, quorum_asked;
	/* It is back, and not everything that shows it is known to be there. */
	bool quorum_regained;
	uint64_t far_primaries;     /* named by the last transactions, not connected to us */
	/* command.c: promote, demote, open, ... */
	struct commands commands;
	/* request.c */
	struct requests req;
	/* uuid.c, resync_reconcile.c */
	struct reconcile reconcile;
	bool resync_wants_uuid;     /* a generation that cannot wait for a write, nor be made now */
	struct local_ios local_ios;
	/* core.c: action ring, scratch memory that lives until the next step, arena of creation */
	struct core_action *ring;
	uint32_t ring_size, ring_head, ring_tail;
	uint8_t *scratch;
	size_t scratch_bytes, scratch_used;
	uint8_t *arena;
	size_t arena_bytes, arena_used;
	uint64_t deadline_ns;
	/* WORK_*: done at the end of the step, core.c core_run_work() */
	uint32_t work;
	uint32_t tid_counter;
	bool notify;
};

/*
 * Deferred work: set a bit anywhere in a step, the function runs once at its end (bits are drained
 * in ascending order until none is left). This is how one state change leads to the next without
 * recursion.
 */
#define WORK_TWOPC 0x01U        /* twopc_run */
#define WORK_COMMAND 0x02U      /* command_run */
#define WORK_SEND_STATE 0x04U   /* peer_send_states: state changed, tell Connected peers */
#define WORK_SYNC 0x08U         /* resync_run */
#define WORK_REQUESTS 0x10U     /* request_run: gates may have opened */
#define WORK_MD 0x20U           /* md_run */
#define WORK_RECONCILE 0x40U    /* reconcile_run */
#define WORK_PEERS 0x80U        /* peer_run: connect, tear down */

/* ---- core.c ---- */

/* Next free action; its contents are zero. Asserts that
 * the ring has room (sized for the worst step). */
struct core_action *core_act(struct core *core, enum core_action_kind kind);
/* Memory valid until the next core_step(). Zeroed. */
void *core_scratch(struct core *core, size_t bytes);
#define ARENA_ALIGN_BYTES 64U
/* What so many bytes take of the arena. */
static inline size_t core_rounded(size_t bytes)
{
	return (bytes + ARENA_ALIGN_BYTES - 1) / ARENA_ALIGN_BYTES * ARENA_ALIGN_BYTES;
}

/* Zeroed, aligned memory at creation. */
void *core_arena(struct core *core, size_t bytes);
/* Leaves the memory as it is, so that unused pages stay unmapped. */
void *core_arena_untouched(struct core *core, size_t bytes);
/* EV_CONFIGURE: what core_arena() takes from now on. */
void core_take_memory(struct core *core, const struct core_conf *to, void *mem, size_t bytes);
void core_log(struct core *core, enum log_level level, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
uint64_t core_random64(struct core *core);
/* Asks for EV_TIME at t or before. Each module re-announces its deadlines in its *_deadline(). */
static inline void core_work(struct core *core, uint32_t bits)
{
	core->work |= bits;
}
/* Copies *pkt into an AC_SEND for the peer; dropped silently when its streams are not up. Takes no
 * payload reference: the sender keeps its own and puts it back itself. Counts sent_bytes. */
void core_send(struct core *core, struct peer *peer, enum stream stream, const struct pkt *pkt);
/* What EV_DISK_DONE and EV_META_DONE say is true. */
void core_disk_done(struct core *core, const struct ev_done *done);
void core_meta_done(struct core *core, const struct ev_done *done);
/* Drops the core's reference (id 0: nothing). */
void core_payload_put(struct core *core, struct payload *payload);
/* Also one that is gone. */
struct volume *core_volume_by_vnr(struct core *core, unsigned vnr);
struct volume *core_volume_in_use(struct core *core, unsigned vnr);

/* NULL: gone. */
static inline struct volume *core_volume_at(const struct core *core, unsigned v)
{
	return core->vol[v]->gone ? NULL : core->vol[v];
}

/* Bounded loops over what is configured. */
#define FOR_EACH_PEER(core, it)                                                                    \
	for (unsigned it##_i = 0; it##_i < (core)->peer_count; it##_i++)                           \
		for (struct peer *it = (core)->peer[(core)->peer_ids[it##_i]]; it; it = NULL)
#define FOR_EACH_VOLUME(core, it)                                                                  \
	for (unsigned it##_i = 0; it##_i < (core)->vol_count; it##_i++)                            \
		for (struct volume *it = core_volume_at((core), it##_i); it; it = NULL)

/* Shorthands for the committed state. */
static inline enum disk_state disk_of(const struct core *core, const struct volume *vol)
{
	return core->st.vol[vol->v].disk;
}
static inline enum repl_state repl_of(const struct core *core, const struct peer_device *pd)
{
	return core->st.pd[pd->p][pd->v].repl;
}
static inline enum disk_state pdsk_of(const struct core *core, const struct peer_device *pd)
{
	return core->st.pd[pd->p][pd->v].pdsk;
}
static inline bool peer_connected(const struct core *core, const struct peer *peer)
{
	return core->st.peer[peer->id].conn == CONN_CONNECTED;
}
/* Connected, and no resync under way: what is compared meanwhile stays in use. */
static inline bool repl_is_settled(enum repl_state repl)
{
	return repl == REPL_ESTABLISHED || repl == REPL_VERIFY_S || repl == REPL_VERIFY_T;
}
/* A resync begins, runs or is paused. */
static inline bool repl_resyncs(enum repl_state repl)
{
	return repl > REPL_ESTABLISHED && repl <= REPL_PAUSED_SYNC_T && !repl_is_settled(repl);
}
/* A Primary's users do not wait for it, nor does the role. */
static inline bool vol_is_aside(const struct volume *vol)
{
	return vol->comes || vol->leaves;
}
/* Own disk is attached and its metadata usable. */
static inline bool vol_has_md(const struct volume *vol)
{
	return vol->phase == VOL_ATTACHED;
}
/* And the disk has not failed. */
static inline bool vol_has_disk(const struct core *core, const struct volume *vol)
{
	return vol_has_md(vol) && disk_of(core, vol) > DISK_FAILED;
}
/* What a volume has of that many sectors: blocks of the bitmap. */
static inline uint64_t whole_blocks(uint64_t sectors)
{
	return sectors / BM_BLOCK_SECTORS * BM_BLOCK_SECTORS;
}

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Application requests, transfer log and epochs of the sender; received writes of the receiver. */
#ifndef CORE_REQUEST_H
#define CORE_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slab.h"
#include "core/actlog.h"
#include "core/core.h"
#include "core/hold.h"

struct core;
struct peer;
struct peer_device;
struct volume;

/* ---- a request at one peer: request_state.c ---- */

/*
 * Bits of one write towards one peer. Legal combinations (net_legal()):
 *   none                                   no data went there
 *   SENT [WANTED] [ACK_DUE] [RECEIVED]     on its way; RECEIVED excludes WANTED
 *   SENT [RECEIVED] WRITTEN [IN_SYNC]      P_WRITE_ACK, P_WRITE_ACK_IN_SYNC
 *   SENT [RECEIVED] FAILED                 P_NEG_ACK
 *   SENT REFUSED                           P_RETRY_WRITE
 *   each of the last three, or SENT [RECEIVED] without a due ack, with STABLE or with LOST
 *   SENT LOST with anything but WANTED, ACK_DUE, STABLE
 */
enum net_bit {
	NET_SENT,     /* P_DATA, P_TRIM or P_ZEROES went out */
	NET_WANTED,   /* the application waits for this peer (protocol B, C) */
	NET_ACK_DUE,  /* P_WRITE_ACK or P_NEG_ACK must come */
	NET_RECEIVED, /* P_RECV_ACK came */
	NET_WRITTEN,  /* P_WRITE_ACK came */
	NET_IN_SYNC,  /* it said that the peer cleared its bits too */
	NET_FAILED,   /* P_NEG_ACK came */
	NET_REFUSED,  /* P_RETRY_WRITE came: it was not written there */
	NET_STABLE,   /* P_BARRIER_ACK or P_CONFIRM_STABLE covered it */
	NET_LOST,     /* the connection ended before STABLE */
	NET_BITS
};

enum net_event {
	NET_EV_RECV_ACK,
	NET_EV_WRITE_ACK,
	NET_EV_WRITE_ACK_IN_SYNC,
	NET_EV_NEG_ACK,
	NET_EV_RETRY,
	NET_EV_STABLE,
	NET_EV_LOST,
};

/* The bits of one write by node id, and for each bit the mask of nodes that have it. */
struct net_state {
	uint16_t bits[NODES_MAX];
	uint32_t of[NET_BITS];
};

/* True when this combination (1 << NET_x) may exist. */
bool net_legal(unsigned bits);
static inline unsigned net_bits_of(const struct net_state *net, unsigned node)
{
	return net->bits[node];
}
/* SENT plus what is expected. */
void net_send(struct net_state *net, unsigned node, bool wanted, bool ack_due);
/* False: the event is impossible in this state (protocol error of the peer); nothing changed. */
bool net_move(struct net_state *net, unsigned node, enum net_event event);
/* No peer owes anything: each is STABLE or LOST. */
static inline bool net_done(const struct net_state *net)
{
	return net->of[NET_SENT] == (net->of[NET_STABLE] | net->of[NET_LOST]);
}
/* Nodes that are known to have the write on stable storage. */
static inline uint32_t net_has(const struct net_state *net)
{
	return net->of[NET_STABLE] & ~net->of[NET_FAILED] & ~net->of[NET_REFUSED];
}

/* ---- one application request ---- */

enum request_stage {
	REQ_GATED,    /* waits until I/O may go on; on requests.gated */
	REQ_HOLD,     /* write: waits for an overlapping one */
	REQ_AL,       /* write: waits for the activity log */
	REQ_KEPT,     /* write: waits for answers to a resync target; on requests.kept */
	REQ_LOGGED,   /* write: on the transfer log */
	REQ_HELD,     /* write: done everywhere, waits for quorum; on requests.held */
	REQ_READING,  /* read: at the local disk or a peer */
	REQ_FLUSHING, /* flush: on volume_io.flushing or requests.flushes */
	REQ_SPLIT,    /* large discard or zero-out: its pieces are requests of their own */
};

struct request {
	struct hold hold;
	struct al_ref al;
	struct list link;        /* gated, log, held, reading or flushes; or waiting_al */
	struct list refused_link;/* requests.refused */
	struct request *whole;   /* of a piece: the split request */
	uint64_t cookie;
	uint64_t sector;
	uint64_t dagtag;         /* after its own sectors */
	uint64_t sent_ns;
	struct payload payload;
	uint32_t bytes;
	uint32_t split_done_bytes;
	uint32_t epoch;
	uint8_t v;
	uint8_t op;              /* enum request_op */
	uint8_t stage;           /* enum request_stage */
	uint8_t server;          /* read: node id it was sent to, NODES_MAX = local */
	bool fua;
	bool prepared;           /* write: hold and activity log are taken */
	bool local_pending;
	bool local_ok;
	bool local_good;         /* the local disk is UpToDate since */
	bool marked;             /* not written here: bits set towards everybody */
	bool completed;          /* the application has its answer */
	bool failed;             /* which is an error */
	bool settled;            /* hold given back: local and all acks are in */
	bool again;              /* no copy is left: it starts once more when I/O goes on */
	int error;               /* of the local part, or the answer of a split request */
	uint32_t tried;          /* read: nodes that could not serve it */
	uint32_t refused;        /* write: nodes that it has to be sent to once more */
	uint32_t al_share;       /* extents that count in volume_io.al_used */
	uint32_t good;           /* write: targets whose disk is UpToDate since it was sent */
	uint32_t parted;         /* and those whose disk or connection was lost since */
	uint32_t lacking;        /* write: nodes that came back without it */
	uint32_t resent;         /* to which it was sent once more */
	struct net_state net;
};

/* ---- sending side ---- */

/* A P_BARRIER that the peer has not acknowledged. */
struct tx_barrier {
	uint32_t number;
	uint32_t set_size;       /* writes not reported in P_CONFIRM_STABLE */
	uint64_t sent_ns;
};

/* Per peer, while we are Primary. */
struct peer_tx {
	bool active;             /* Connected */
	uint64_t dagtag;         /* running value at the receiver */
	uint32_t epoch;          /* of the last write sent */
	uint32_t epoch_writes;   /* sent in it and not closed by a barrier */
	uint32_t epoch_confirmed;/* of these, reported in P_CONFIRM_STABLE */
	bool barrier_due;        /* its epoch is closed, P_BARRIER not sent */
	struct tx_barrier *barriers; /* ring */
	uint32_t barrier_head, barrier_tail;
	struct request *oldest;  /* first on the log that is SENT and neither STABLE nor LOST */
	uint64_t in_flight_sectors;
	uint64_t ack_dagtag;     /* last write that waits for a P_PEER_ACK, 0 = none */
};

/* P_FLUSH_REQUESTS of one initiator (wire-protocol 5.8). */
struct flush_wait {
	bool pending;
	uint64_t sequence;
	uint64_t dagtag;         /* all writes up to it must be peer-acked first */
};

struct volume_io {
	bool flush_running;
	struct list flushing;    /* requests that the running local flush covers */
	struct list waiting;     /* requests for the next one */
	uint32_t requests;       /* not yet answered to the application */
	/* two_primaries.c: extents of own writes in the activity log, and writes that wait until
	 * these are fewer */
	uint32_t al_used;
	struct list waiting_al;
};

struct requests {
	struct slab slab;
	uint64_t bytes;          /* payload of requests on the slab */
	struct list gated;       /* in order of submission */
	struct list kept;        /* prepared: a resync target has to have its answers first */
	struct list log;         /* the transfer log: writes in dagtag order */
	struct list held;        /* off the log, but not answered: no quorum */
	struct list refused;     /* anywhere: some peer does not have what is written here */
	struct list reading;
	struct list flushes;     /* wait for barrier acks */
	bool answers_held;       /* some wait for a new generation to be durable, or for quorum */
	struct list split;       /* split requests whose next piece waits for a free slot */
	uint32_t epoch;          /* current write epoch */
	uint32_t epoch_writes;
	uint32_t epoch_max;      /* least max-epoch-size of all peers */
	uint64_t dagtag;         /* sectors written as Primary */
	uint32_t barriers_due;   /* peers with barrier_due */
	uint64_t barrier_at_ns;  /* when closed epochs get their barrier at the latest */
	uint32_t barrier_ring;   /* size of the rings, power of two */
	uint64_t done_dagtag;    /* every write up to it left the log */
	/* peer_ack.c: merged acknowledgement that is not sent yet */
	bool ack_pending;
	uint64_t ack_mask;
	uint64_t ack_sectors;
	uint64_t ack_at_ns;
	struct flush_wait flush_wait[NODES_MAX];
	uint32_t flush_waits;    /* pending ones */
	bool settle_wanted;      /* request_settle() answered false */
	struct volume_io vol[VOLUMES_MAX];
	unsigned read_turn;      /* rotates among peers that serve reads */
};

/* ---- receiving side ---- */

enum peer_request_stage {
	PREQ_ACKS,    /* waits for acks that its sender sent before */
	PREQ_HOLD,    /* waits for overlapping I/O */
	PREQ_DRAIN,   /* waits for earlier epochs (no DP_SEND_WRITE_ACK) */
	PREQ_AL,      /* waits for the activity log */
	PREQ_DISK,    /* submitted */
	PREQ_DONE,    /* write: waits for its P_PEER_ACK */
};

/* A write or read received from a peer. */
struct peer_request {
	struct hold hold;
	struct al_ref al;
	struct list link;        /* rx.writes (arrival order), rx.orphans or rx.reads */
	struct list drain;       /* rx.drain, or rx.early */
	uint64_t sector;
	uint64_t block_id;
	uint64_t dagtag;
	uint64_t epoch;          /* sequence in rx.epochs */
	uint64_t arrived_ns;
	struct payload payload;
	uint32_t bytes;
	uint32_t dp_flags;
	uint32_t acks;           /* that its sender sent before it in this connection */
	uint8_t p;
	uint8_t v;
	uint8_t op;              /* OP_READ, OP_WRITE, OP_DISCARD, OP_ZEROES */
	uint8_t stage;           /* enum peer_request_stage */
	bool failed;             /* not on our disk */
	bool settled;            /* bits set for every node but the sender */
	bool sender_marked;      /* bits set for the sender, whose disk is not there */
	bool overwritten;        /* by a resync: others may have something else here */
	bool lost;               /* the connection it came by is gone: no answer */
	uint32_t adoption;       /* uuid_adopt.c: the generation that waits for it */
};

struct rx_epoch {
	uint32_t number;         /* of the P_BARRIER that closed it */
	uint32_t set_size;
	uint32_t unfinished;
	uint32_t volumes;        /* mask of those written to */
	bool closed;
};

/* Per peer, while it is Primary. */
struct peer_rx {
	struct slab slab;        /* struct peer_request */
	uint64_t dagtag;         /* last received */
	bool dagtag_heard;       /* in this connection: others count it from there, too */
	struct list writes;      /* peer_request, not peer-acked, arrival order */
	struct list orphans;     /* unfinished writes of a connection that is gone */
	struct list reads;
	struct list drain;       /* writes that wait for earlier epochs */
	struct list early;       /* writes that wait for acks: two_primaries.c */
	uint32_t requests;       /* on these lists */
	uint32_t unfinished;     /* writes of these, not done at the disk */
	struct rx_epoch *epochs; /* ring */
	uint32_t ring;           /* its size, power of two */
	uint64_t first;          /* sequence of the oldest epoch that is not acknowledged */
	uint64_t drained;        /* oldest epoch with unfinished writes, or the current one */
	uint64_t current;        /* the open epoch */
	uint64_t void_before;    /* epochs of a connection that is gone: nobody to answer */
	uint64_t full_ns;        /* a packet waits for a free entry since then, or NEVER_NS */
	bool full_asked;         /* and a ping was sent: */
	uint32_t full_ping;      /* its number for keepalive_answered() */
	uint64_t forgotten;      /* dagtag up to which entries were given up before their peer
	                          * ack, 0 = none whose peer ack is still to come */
	unsigned flushes;        /* AC_DISK_FLUSH running */
	uint64_t flush_upto;     /* epochs before it are covered by them */
	uint32_t flush_serial;
	bool flush_failed;
};

/* ---- shared by the files of the data path ---- */

/* Without what each peer and each volume take. */
size_t request_mem_bytes(const struct core_conf *conf);
void request_create(struct core *core);
void request_volume_create(struct core *core, struct volume *vol);
size_t request_peer_mem_bytes(const struct core_conf *conf);
/* Takes that from the arena, or uses again what the peer has. */
void request_peer_create(struct core *core, struct peer *peer);

/* request_log.c */
enum write_mode { MODE_NONE, MODE_DATA, MODE_OUT_OF_SYNC };
/* Where a write to this peer device goes (states-and-resync 6.1). */
enum write_mode request_mode(const struct core *core, const struct peer_device *pd);
/* A prepared write goes to the local disk, the log and the peers. */
void request_log_start(struct core *core, struct request *req);
/* Looks whether the request can be answered, given its hold back, or leave the log. */
void request_log_progress(struct core *core, struct request *req);
/* How a discard or zero-out is carried out here, so that it reads back as zero:
 * AC_DISK_DISCARD or _ZEROES. */
enum core_action_kind request_discard_kind(const struct volume *vol, enum request_op op,
					   uint64_t sector, uint32_t bytes);
/* P_DAGTAG: all writes so far are of no concern to the peer. */
void request_dagtag_announce(struct core *core, struct peer *peer);
/* Closes the current epoch if it has writes. */
void request_epoch_close(struct core *core);
/* P_BARRIER for every closed epoch that lacks one. */
void request_barriers_send(struct core *core);
/* What no disk can take or give waits for one, instead of ending with an error. */
bool request_waits(const struct core *core);
/* Removes from the head of the log what is entirely done. */
void request_log_retire(struct core *core);
/* Quorum is back, or will not be waited for: answers what it can, starts what is left again. */
void request_log_release(struct core *core);
/* These disks may be overwritten with what others have: what they got does not count any more
 * for a write without an answer. */
void request_copies_doubtful(struct core *core, const struct volume *vol, uint64_t nodes);

/* request.c */
void request_complete(struct core *core, struct request *req, int error);
void request_free(struct core *core, struct request *req);
/* It has its answer. */
void request_answered(struct core *core, const struct request *req);
/* A read or flush that has begun begins once more when I/O goes on; it is on no list. */
void request_wait_again(struct core *core, struct request *req);
/* Writable local disk. */
bool request_local_writable(const struct core *core, const struct volume *vol);
/* A request to the local disk, counted until request_local_end(); the caller fills in the rest. */
struct core_action *request_local_begin(struct core *core, struct volume *vol,
					enum core_action_kind kind, uint64_t tag);
void request_local_end(struct core *core, struct volume *vol);

/* All slots of the activity log are referenced: barriers go out at once, finished writes of
 * peers are settled early. True when a reference was given back. */
bool request_relieve_al(struct core *core, struct volume *vol);

/* two_primaries.c */
/* A write of the other Primary has come: true when it is dealt with, or waits here. */
bool two_primaries_arrived(struct core *core, struct peer_request *preq);
/* An own write has just been sent. */
void two_primaries_sent(struct core *core, const struct request *req, uint32_t nodes);
/* Some of these nodes may want to have a write once more. */
bool two_primaries_may_refuse(const struct core *core, uint32_t nodes);
/* The request ends, or loses what covers the difference that it has made: bits do that now. */
void two_primaries_mark(struct core *core, struct request *req);
/* All of them. */
void two_primaries_mark_all(struct core *core, struct volume *vol);
/* The peer's connection is lost, or a resync with it begins. */
void two_primaries_mark_peer(struct core *core, const struct peer *peer, unsigned v);
/* The connection is lost: what has not begun of the peer's writes does not come after own ones. */
void two_primaries_drop(struct core *core, struct peer *peer);
/* What waited for acks of a connection that is gone. */
void two_primaries_lost(struct core *core, struct peer *peer);
/* Room in the activity log for a write of this node: false = it waits for some. */
bool two_primaries_al_get(struct core *core, struct request *req);
void two_primaries_al_put(struct core *core, struct request *req);
/* Next write that waited and has its room now. */
struct request *two_primaries_al_next(struct core *core, struct volume *vol);

/* peer_write.c */
/* A write ends without the disk: its sender is told `type`. */
void peer_write_give_up(struct core *core, struct peer_request *preq, enum packet type);
/* So does one of a connection that is gone. */
void peer_write_drop(struct core *core, struct peer_request *preq);
/* Goes on to the disk. */
void peer_write_go_on(struct core *core, struct peer_request *preq);

/* local_flush.c */
/* Owner of a flush that only makes data durable; plus the volume index. */
#define LOCAL_FLUSH_OWN 0x100U
/* AC_DISK_FLUSH with a tag of this enum tag_kind; the low 16 bits of its rest are `owner`. */
void local_flush_submit(struct core *core, struct volume *vol, unsigned kind, uint32_t owner);
/* Any flush that ended, by the rest of its tag: remembers what it covered. */
void local_flush_ended(struct core *core, struct volume *vol, uint64_t rest, int error);
/* Flushes unless all that ended is durable or such a flush runs already. */
void local_flush(struct core *core, struct volume *vol);
void local_flush_done(struct core *core, struct volume *vol, const struct ev_done *done);
/* True when a flush was started (or runs) that an orderly detach must wait for. */
bool local_flush_before_detach(struct core *core, struct volume *vol);

/* request_flush.c */
void request_flush_start(struct core *core, struct request *req);
void request_flush_progress(struct core *core);
void request_flush_local_done(struct core *core, struct volume *vol, int error);

/* read_path.c */
void read_start(struct core *core, struct request *req);
void read_local_done(struct core *core, struct request *req, const struct ev_done *done);
void read_peer_lost(struct core *core, struct peer *peer);

/* peer_ack.c */
void peer_ack_add(struct core *core, const struct request *req, uint64_t mask);
void peer_ack_flush(struct core *core);
void peer_ack_answer_flushes(struct core *core);
/* Peers that resync from us learn what they lack of a
 * received write; `mask`: the nodes that have it. */
void peer_ack_tell_targets(struct core *core, const struct peer_request *preq, uint64_t mask);

/* peer_write.c */
void peer_rx_connected(struct peer *peer);
void peer_rx_lost(struct core *core, struct peer *peer);
/* Sets the bits of finished writes and gives their activity-log references back before the
 * P_PEER_ACK, so that writes that wait for the log can go on. True when something was given
 * back. */
bool peer_write_relieve_al(struct core *core, struct volume *vol);
/* Time has passed, or when it matters: entries that are kept in vain are given up. */
void peer_write_time(struct core *core);
uint64_t peer_write_deadline(const struct core *core);
/* Bits towards this peer device for all that was received from others and is not peer-acked: nobody
 * has said yet whether it has that. */
void peer_write_record_pending(struct core *core, const struct peer_device *pd);
/* The sender's disk failed: it may lack any write that it has not peer-acked. */
void peer_write_disk_lost(struct core *core, const struct peer_device *pd);
/* Earlier epochs are on disk now: what waited for them goes on. */
void peer_write_start_drained(struct core *core, struct peer *peer);
/* Takes a free peer request; peer_rx_room() said that there is one. */
struct peer_request *peer_request_new(struct core *core, struct peer *peer, struct volume *vol,
				      const struct pkt_block *block);
/* Some that are not done with yet. */
bool peer_requests_of(const struct peer *peer, const struct volume *vol);
void peer_request_free(struct core *core, struct peer_request *preq);
/* Of what it asks of the disk. */
uint64_t peer_request_tag(const struct core *core, const struct peer_request *preq);
/* Any packet of layout ack on the control stream. */
void peer_request_answer(struct core *core, struct peer_request *preq, enum packet type);
/* Byte range of a request from outside: whole sectors, not empty, within the volume and
 * `bytes_max`. */
bool peer_range_ok(const struct volume *vol, const struct pkt_block *block, uint32_t bytes_max);

/* peer_read.c */
void peer_read_done(struct core *core, struct peer_request *preq, const struct ev_done *done);
void peer_reads_lost(struct core *core, struct peer *peer);

/* epoch.c */
void epoch_write_begin(struct peer *peer, struct peer_request *preq);
void epoch_write_end(struct core *core, struct peer *peer, struct peer_request *preq);
bool epoch_room(const struct peer *peer);
/* The connection is gone: what it owes is owed to nobody. */
void epoch_lost(struct core *core, struct peer *peer);

#endif

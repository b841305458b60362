/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The replication state machine of one resource on one node: events in, actions out.
 *
 * Pure: no thread, clock, socket, file, allocation or random source. The driver (daemon shard or
 * simulator) calls core_step() with one event and then pulls core_next() until it returns false,
 * before the next core_step(). A step cannot fail; everything is sized at creation.
 *
 * Contract of the driver
 * - Streams: AC_CONNECT asks for both TCP streams to a peer. Until AC_DISCONNECT or EV_STREAMS_DOWN
 *   the driver delivers EV_STREAMS_UP once both exist, then EV_PKT in order per stream, and sends
 *   AC_SEND packets in order per stream. After AC_DISCONNECT (send what is queued, then close)
 *   or EV_STREAMS_DOWN no further event of that incarnation arrives.
 * - Disk: AC_DISK_* complete with EV_DISK_DONE in any order. Overlap order is kept by the core,
 *   which never has two overlapping writes in flight.
 * - Metadata: AC_META_* complete with EV_META_DONE; SUPER and AL are durable then (flush before
 *   and after), a BITMAP page is durable after a later SUPER, AL or META_FLUSH completes; the
 *   driver keeps AC_META_* of one volume in order.
 * - Payload: an event that carries a payload gives its reference to the core. An action that uses
 *   one (AC_DISK_WRITE, AC_SEND) makes the driver take a reference of its own for as long as it
 *   needs it; the core gives its own reference back with AC_BUF_PUT. AC_COMPLETE of a read hands
 *   the reference over to the driver.
 * - Pointers inside actions are valid until the next core_step().
 */
#ifndef CORE_H
#define CORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/log_level.h"
#include "proto/proto_change.h"
#include "proto/proto_enum.h"
#include "proto/proto_limits.h"
#include "proto/proto_md.h"
#include "proto/proto_pkt.h"
#include "proto/proto_status.h"

/* ---- configuration ---- */

enum on_io_error { IOERR_DETACH = 0, IOERR_PASS_ON = 1, IOERR_CALL_HANDLER = 2 };
enum on_no_quorum { NO_QUORUM_SUSPEND = 0, NO_QUORUM_IO_ERROR = 1 };
enum on_no_data { NO_DATA_IO_ERROR = 0, NO_DATA_SUSPEND = 1 };
/* What a Primary does whose I/O waits while others have gone on with newer data. */
enum on_outdated { OUTDATED_DISCONNECT = 0, OUTDATED_FORCE_SECONDARY = 1 };
/* What becomes of a peer with a disk that is out of sight (states-and-resync 4.9). */
enum fencing { FENCING_DONT_CARE = 0, FENCING_RESOURCE = 1, FENCING_STONITH = 2 };
/* Which copy serves a read; striping: by the bits of the byte offset from this one on. */
enum read_balancing {
	READ_PREFER_LOCAL,
	READ_PREFER_REMOTE,
	READ_ROUND_ROBIN,
	READ_LEAST_PENDING,
	READ_WHEN_CONGESTED_REMOTE,
	READ_STRIPING_32K = 15,
	READ_STRIPING_64K,
	READ_STRIPING_128K,
	READ_STRIPING_256K,
	READ_STRIPING_512K,
	READ_STRIPING_1M,
};

struct core_disk_conf {
	bool has_disk;             /* false: intentionally diskless here */
	enum on_io_error on_io_error;
	enum read_balancing read_balancing;
	uint32_t al_extents;       /* AL_EXTENTS_MIN..AL_EXTENTS_MAX */
	uint64_t size_sectors;     /* user-requested limit (disk-size), 0 = none */
	uint32_t disk_timeout_ds;  /* a disk that takes longer is given up; 0 = never */
	/* resync controller (states-and-resync 5.5) */
	uint32_t resync_rate_kib;
	uint32_t c_plan_ahead_ds;
	uint32_t c_delay_target_ds;
	uint32_t c_fill_target_sectors;
	uint32_t c_max_rate_kib;
	uint32_t c_min_rate_kib;   /* beside an application; so is */
	uint32_t c_min_share;      /* percent of what goes without one */
	uint32_t rs_discard_bytes; /* thin resync, in blocks of that size; 0 = not */
	bool rs_without_replication; /* as a target: writes are told until near the end, not sent */
	/* the driver's: the core knows one resource; "RES/VOL", "" = none */
	char resync_after[VOLUME_REF_MAX];
};

struct core_volume_conf {
	uint16_t vnr;
	struct core_disk_conf disk;
	uint32_t far_disks; /* nodes that have one, and no connection to this node */
};

struct core_net_conf {
	enum wire_protocol protocol;
	enum fencing fencing;
	uint32_t timeout_ds;       /* 0.1 s */
	uint32_t ko_count;
	uint32_t ping_int_s;
	uint32_t ping_timeout_ds;
	uint32_t connect_int_s;
	uint32_t socket_check_timeout_ds; /* 0 = ping_timeout_ds */
	uint32_t max_epoch_size;
	uint32_t max_buffers;      /* 4 KiB pages, bounds resync requests in flight */
	enum after_sb after_sb_0p, after_sb_1p, after_sb_2p;
	/* DISCONNECT, RETRY_CONNECT, VIOLENTLY, AUTO_DISCARD or CALL_PRI_LOST */
	enum after_sb rr_conflict;
	bool always_asbp;
	bool allow_remote_read;
	bool two_primaries;        /* with protocol C only */
	char cram_hmac_alg[ALG_NAME_MAX]; /* "" = no authentication */
	char shared_secret[SHARED_SECRET_MAX];
	char data_integrity_alg[ALG_NAME_MAX]; /* "" = none */
	bool tls;                  /* the driver's: the core does not know how bytes travel */
	char verify_alg[ALG_NAME_MAX]; /* online verify, "" = none */
	char csums_alg[ALG_NAME_MAX];  /* resync by checksums, "" = none */
	bool csums_after_crash_only;
};

struct core_peer_conf {
	uint8_t node_id;
	char name[NAME_MAX_BYTES];
	struct core_net_conf net;
	bool has_disk[VOLUMES_MAX]; /* by index into core_conf.volumes; false = diskless peer */
};

/* Deterministic functions that the core must not contain. */
struct core_crypto {
	void *ctx;
	void (*random)(void *ctx, void *out, size_t bytes);
	/* HMAC of msg; writes at most 64 bytes, returns their count, 0 = unknown algorithm. */
	size_t (*hmac)(void *ctx, const char *alg, const void *key, size_t key_bytes,
		       const void *msg, size_t msg_bytes, uint8_t out[64]);
	/* Size of a digest that AC_DISK_READ can make; 0 = unknown algorithm. */
	size_t (*digest_bytes)(void *ctx, const char *alg);
};

struct core_conf {
	char name[NAME_MAX_BYTES];
	uint8_t node_id;
	bool auto_promote;
	uint32_t auto_promote_timeout_ds;
	uint32_t twopc_timeout_ds;
	uint32_t twopc_retry_timeout_ds;
	uint32_t quorum;                /* QUORUM_OFF, 1..32, QUORUM_MAJORITY or QUORUM_ALL */
	uint32_t quorum_min_redundancy; /* the same */
	enum on_no_quorum on_no_quorum;
	enum on_no_data on_no_data;
	enum on_outdated on_suspended_primary_outdated;
	uint32_t verify_interval_s;     /* all is compared once in it; 0 = when asked for */
	uint32_t handlers;              /* bits of enum handler: the driver has them */
	unsigned volume_count;
	struct core_volume_conf volumes[VOLUMES_MAX]; /* ascending vnr */
	unsigned peer_count;
	struct core_peer_conf peers[NODES_MAX];
	/* bounds */
	uint32_t requests_max;          /* application requests not yet off the transfer log */
	uint64_t request_bytes_max;     /* their payload */
	uint32_t peer_requests_max;     /* per peer: writes not peer-acked, reads not answered */
	struct core_crypto crypto;
	/* Called synchronously with a formatted line; must not call back. NULL = silent. */
	void (*log)(void *ctx, enum log_level level, const char *line);
	/* The same for every change of a state. */
	void (*changed)(void *ctx, const struct state_change *change);
	void *log_ctx;             /* of both */
	/* Test switch of the simulator: leaves out activity-log writes (must then be caught). */
	bool test_skip_al;
};

/* ---- events ---- */

enum core_event_kind {
	EV_TIME,         /* the deadline passed */
	EV_SUBMIT,       /* application request */
	EV_CANCEL,       /* u.cancel: give up a request that has not started */
	EV_STREAMS_UP,   /* both streams to u.streams.peer exist */
	EV_STREAMS_DOWN, /* lost or could not be made: the core decides when to try again */
	EV_PKT,
	EV_TX_DONE,      /* bytes left the send queue of a stream */
	EV_DISK_DONE,
	EV_META_DONE,
	EV_ATTACHED,     /* answer to AC_ATTACH */
	EV_DETACHED,     /* answer to AC_DETACH */
	EV_RESIZED,      /* answer to AC_RESIZE */
	EV_COMMAND,
	EV_CONFIGURE,    /* u.configure: other options, more peers, more volumes */
	EV_RESYNC_GATE,  /* u.gate: resyncs of other resources begin or end to be in the way */
	EV_HANDLER_DONE, /* u.handler: answer to AC_HANDLER */
};

enum request_op { OP_READ, OP_WRITE, OP_DISCARD, OP_ZEROES, OP_FLUSH };

struct ev_submit {
	uint64_t cookie;         /* the driver's, repeated in AC_COMPLETE */
	uint16_t vnr;
	enum request_op op;
	uint64_t sector;
	uint32_t bytes;          /* multiple of 512; writes and reads <= BIO_MAX_BYTES */
	bool fua;
	struct payload payload;  /* writes */
};

struct ev_streams {
	uint8_t peer;            /* node id */
	bool resolve_conflicts;  /* UP: I accepted the control stream (wire-protocol 1.2) */
	const char *reason;      /* DOWN: borrowed, for logs and status */
};

struct ev_pkt {
	uint8_t peer;
	uint8_t stream;          /* enum stream */
	const struct pkt *pkt;   /* borrowed; the payload's reference passes to the core */
};

struct ev_tx {
	uint8_t peer;
	uint8_t stream;
	uint32_t bytes;
};

struct ev_done {
	uint64_t tag;            /* of the action */
	int error;               /* 0 or -errno */
	struct payload payload;  /* AC_DISK_READ */
	const uint8_t *digest;   /* of what was read, if one was asked for; borrowed */
	uint32_t digest_bytes;
	/* AC_DISK_READ with find_zeroes: there is nothing else, and no payload */
	bool zeroes;
};

/* Where the in-core bitmap lives: one run of words per slot, allocated by the driver. */
struct bm_store {
	uint64_t *slot[NODES_MAX]; /* [0 .. max_peers-1], each words_per_slot long */
	uint64_t words_per_slot;   /* covers ceil(data_sectors / 8) bits, zero beyond */
};

struct ev_attached {
	uint16_t vnr;
	int error;               /* -errno; the driver has logged the details into `reason` */
	const char *reason;
	uint64_t data_sectors;   /* capacity of the data area */
	uint64_t backing_sectors;/* present size of the backing device */
	struct md_super super;   /* after apply-al; AL_CLEAN set */
	struct bm_store bitmap;  /* borrowed until AC_DETACH */
	bool discard_ok;         /* discards reach the backing store and read back as zero */
};

/* Only after a move that succeeded the rest of the fields counts. */
struct ev_resized {
	uint16_t vnr;
	bool moved;              /* as AC_RESIZE asked for it */
	int error;               /* -errno */
	const char *reason;      /* of the error; or what keeps the room small; may be NULL */
	uint64_t data_sectors;   /* room for data; not moved: what a move would make of it */
	uint64_t backing_sectors;
	/* moved: the superblock's new geometry, which the driver puts into all that it writes */
	uint32_t md_size_sectors;
	int32_t al_offset_sectors, bm_offset_sectors;
	/* moved: the bitmap as it was, with room for all data_sectors; new slots are zero */
	struct bm_store bitmap;
};

enum core_command {
	CMD_ATTACH,              /* vnr */
	CMD_DETACH,              /* vnr, force */
	CMD_CONNECT,             /* peer, discard_my_data (one_volume: vnr alone), save_to */
	CMD_DISCONNECT,          /* peer, force */
	CMD_PRIMARY,             /* force */
	CMD_SECONDARY,           /* force */
	CMD_INVALIDATE,          /* vnr, keep_bitmap: the local copy */
	CMD_INVALIDATE_REMOTE,   /* vnr, peer, keep_bitmap */
	CMD_PAUSE_SYNC,          /* vnr, peer: no resync with it, until */
	CMD_RESUME_SYNC,         /* vnr, peer; or the resource goes down */
	/* vnr, peer, start_sector, stop_sector, repair; or abort: ends the one that runs */
	CMD_VERIFY,
	CMD_NEW_CURRENT_UUID,    /* vnr, clear_bitmap */
	/* vnr, size_sectors (0 = as large as possible), assume_clean, force: also without peers */
	CMD_RESIZE,
	CMD_OUTDATE,             /* vnr: the local disk; refused beside a Primary; then durable */
	CMD_FORGET_PEER,         /* peer: a node id that is not configured */
	CMD_RESERVE_SLOTS,       /* vnr, nodes: each of them is to find a bitmap slot */
	CMD_DEL_VOLUME,          /* vnr: refused while it is open */
	CMD_DEL_PEER,            /* peer, force: disconnects; then it is no peer any more */
	CMD_OPEN,                /* vnr, write: promotes as auto-promote says; rc is 0 or -errno */
	CMD_CLOSE,               /* vnr, write: cannot fail */
	CMD_SUSPEND_IO,          /* new I/O waits; replies when what has begun is done */
	CMD_RESUME_IO,           /* also what waits for data goes on, and fails */
	CMD_SHUTDOWN,            /* demote, disconnect all, detach all; replies when all is quiet */
};

#define SAVE_PATH_MAX 256

struct ev_command {
	uint64_t cookie;         /* repeated in AC_REPLY; 0 = no reply wanted */
	enum core_command cmd;
	uint16_t vnr;
	uint8_t peer;
	bool force, write, discard_my_data, clear_bitmap;
	bool one_volume;
	bool has_peer;           /* CMD_OUTDATE: for whose sake is known */
	bool nonblock;           /* CMD_OPEN with O_NONBLOCK */
	bool keep_bitmap;        /* only what is marked is resynced */
	bool abort;
	bool repair;             /* then resync what differs, from this node */
	bool has_start;          /* else a verify goes on where the last one was ended */
	uint64_t start_sector;
	uint64_t stop_sector;    /* 0 = the end of the device */
	/* Where the driver saves what is given up, before it is overwritten; "" = it is lost. */
	char save_to[SAVE_PATH_MAX];
	uint64_t size_sectors;
	bool assume_clean;       /* what is new is the same on all nodes already */
	uint64_t nodes;
};

struct ev_resync_gate {
	uint16_t vnr;
	bool dependency;         /* resync-after: paused, in either direction */
	bool parallel;           /* as many as may run do: paused where this node is the target */
};

struct ev_handler {
	uint64_t tag;            /* of the action */
	int status;              /* exit code; below 0: could not be run, or was killed */
};

/* core_conf_fits() holds, core_departures() is 0; bounds that differ are not looked at. */
struct ev_configure {
	const struct core_conf *conf; /* borrowed */
	void *mem;                    /* 64-byte aligned, for as long as the core is there */
	size_t mem_bytes;             /* at least core_configure_bytes() */
};

struct core_event {
	enum core_event_kind kind;
	uint64_t now_ns;         /* monotonic; never goes back */
	union {
		struct ev_submit submit;
		uint64_t cancel;     /* cookie */
		struct ev_streams streams;
		struct ev_pkt pkt;
		struct ev_tx tx;
		struct ev_done done;
		struct ev_attached attached;
		uint16_t detached_vnr;
		struct ev_resized resized;
		struct ev_command command;
		struct ev_configure configure;
		struct ev_resync_gate gate;
		struct ev_handler handler;
	} u;
};

/* ---- actions ---- */

enum core_action_kind {
	AC_COMPLETE,      /* u.complete: application request is done */
	AC_SEND,          /* u.send */
	AC_SEND_BITMAP,   /* u.send_bitmap: a whole bitmap transfer, nothing else in between */
	AC_CONNECT,       /* u.peer */
	AC_DISCONNECT,    /* u.peer */
	AC_DISK_READ,     /* u.disk */
	AC_DISK_WRITE,
	AC_DISK_DISCARD,
	AC_DISK_ZEROES,
	AC_DISK_FLUSH,
	AC_SAVE,          /* u.disk: blocks marked towards a peer into a file; EV_DISK_DONE */
	AC_META_SUPER,    /* u.meta */
	AC_META_AL,
	AC_META_BITMAP,   /* one page */
	AC_META_FLUSH,
	/* u.attach: open the backing store, make slots for all, apply the AL, load; EV_ATTACHED */
	AC_ATTACH,
	/*
	 * u.vnr: close it as soon as nothing is under way at it any more; EV_DETACHED; the bitmap
	 * memory may be freed then. Requests of a disk that hangs may still be under way: each of
	 * them completes as always, before EV_DETACHED, and nobody waits for it.
	 */
	AC_DETACH,
	/*
	 * u.resize: asks the backing store for its present size; EV_RESIZED. move: makes use of it.
	 * In order with AC_META_*: bitmap pages and activity log are copied to where they belong by
	 * the new size, then the superblock with the size that it had; a crash leaves one or the
	 * other. slots: makes the bitmap one with so many slots; in those that are new all bits are
	 * set on disk.
	 */
	AC_RESIZE,
	AC_BUF_PUT,       /* u.payload */
	AC_SIZE,          /* u.size: exposed size or gate of a volume changed */
	AC_REPLY,         /* u.reply: result of a command */
	AC_NOTIFY,        /* something in the status changed: publish */
	AC_HANDLER,       /* u.handler: run the operator's program; EV_HANDLER_DONE, in any order */
};

struct ac_complete {
	uint64_t cookie;
	int error;               /* 0 or -errno */
	struct payload payload;  /* reads that succeeded: reference handed over */
};

struct ac_send {
	uint8_t peer;
	uint8_t stream;
	struct pkt pkt;
};

struct ac_send_bitmap {
	uint8_t peer;            /* on the data stream */
	uint16_t vnr;
	const uint64_t *words;   /* encode before the next core_step() */
	uint64_t bits;
};

struct ac_disk {
	uint64_t tag;
	uint16_t vnr;
	uint64_t sector;
	uint32_t bytes;
	bool fua;
	bool unmap;              /* AC_DISK_ZEROES: deallocating is allowed */
	struct payload payload;  /* AC_DISK_WRITE */
	const char *digest_alg;  /* AC_DISK_READ: a digest of the data is wanted too; or NULL */
	uint8_t peer;            /* AC_SAVE: the slot of core_bitmap(), as it is now */
	const char *save_to;     /* AC_SAVE: complete and durable when it is done without error */
	bool find_zeroes;        /* AC_DISK_READ: if it is all zero, this is wanted instead */
};

struct ac_meta {
	uint64_t tag;
	uint16_t vnr;
	const struct md_super *super;
	const struct al_transaction *al;
	uint64_t page;           /* BITMAP: bm_disk_page(); encode from the slots when pulled */
};

struct ac_resize {
	uint16_t vnr;
	bool move;
	uint32_t slots;          /* move: 0 = as many as there are */
	uint64_t sectors;        /* slots: that the bitmap stands for, now */
};

struct ac_attach {
	uint16_t vnr;
	uint64_t nodes;          /* that are to have a slot, or to find a free one */
};

struct ac_size {
	uint16_t vnr;
	uint64_t sectors;
	bool readable;           /* an open for reading can succeed now */
	bool writable;
	bool local_reads;        /* any block may be read from the local disk without EV_SUBMIT */
};

struct ac_reply {
	uint64_t cookie;
	int rc;                  /* enum state_rv (>= 1 success); CMD_OPEN/CLOSE: 0 or -errno */
	const char *text;        /* what happened, for people; never NULL */
};

struct ac_handler {
	uint64_t tag;
	enum handler what;       /* one of core_conf.handlers */
	uint8_t peer;            /* NODES_MAX = not about one */
	uint32_t vnr;            /* VNR_NONE = about all volumes */
	enum conn_state conn;    /* the connection to the peer */
	uint64_t up_to_date;     /* nodes that are UpToDate on every volume, as known here */
};

struct core_action {
	enum core_action_kind kind;
	union {
		struct ac_complete complete;
		struct ac_send send;
		struct ac_send_bitmap send_bitmap;
		uint8_t peer;
		uint16_t vnr;
		struct ac_disk disk;
		struct ac_meta meta;
		struct payload payload;
		struct ac_resize resize;
		struct ac_attach attach;
		struct ac_size size;
		struct ac_reply reply;
		struct ac_handler handler;
	} u;
};

/* ---- entry points ---- */

struct core;

/* Bytes of memory that core_create() needs for this configuration. */
size_t core_mem_bytes(const struct core_conf *conf);
/*
 * Whether a core with the options `from` can go on with those of `to` (EV_CONFIGURE): this node and
 * al-extents and whether there is a disk of the volumes that stay must be the same; bounds, crypto
 * and log stay. Volumes that leave have to be gone before (CMD_DEL_VOLUME).
 */
bool core_conf_fits(const struct core_conf *from, const struct core_conf *to);
/* False: CMD_DEL_VOLUME has to come before. */
bool core_volume_stays(const struct core_conf *to, uint16_t vnr);
/* Nodes that are no peers in `to`, or other ones: CMD_DEL_PEER has to come before. */
uint64_t core_departures(const struct core *core, const struct core_conf *to);
/* More memory that it takes then. */
size_t core_configure_bytes(const struct core *core, const struct core_conf *to);
/* Builds the core in `mem` (64-byte aligned). The configuration is copied. Never fails. */
struct core *core_create(const struct core_conf *conf, void *mem, size_t mem_bytes);
void core_step(struct core *core, const struct core_event *event);
bool core_next(struct core *core, struct core_action *action);
/* Monotonic time of the next EV_TIME wanted; UINT64_MAX = none. */
uint64_t core_deadline_ns(const struct core *core);
/* Application requests that may be submitted now; 0 = stop reading requests (back-pressure). */
unsigned core_room(const struct core *core);
/*
 * Whether the next packet of a peer's data stream, of this type, may be delivered now. False: the
 * driver leaves it and what follows unread (back-pressure), until after a later core_step() the
 * answer is another one.
 */
bool core_peer_room(struct core *core, uint8_t peer, uint16_t type);
/*
 * For resyncs of other resources (resync_order.h): the volume has a resync, running or paused; it
 * is the target of one that only a gate may keep back; that runs, or still takes in replies.
 */
void core_resync(const struct core *core, uint16_t vnr, bool *busy, bool *wants, bool *runs);
/* Fills *status, as many entries as its counts say; cheap enough for ten calls a second. */
void core_status(const struct core *core, struct resource_status *status);
/* Without the peers. */
void core_status_own(const struct core *core, struct resource_status *status);
/* For the simulator's checkers: in-core metadata and bitmap of a volume, NULL if diskless. */
const struct md_super *core_md(const struct core *core, uint16_t vnr);
const struct bm_store *core_bitmap(const struct core *core, uint16_t vnr);

#endif

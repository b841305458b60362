/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Read model of one resource: filled by the core, published by the daemon, printed by the API. */
#ifndef PROTO_STATUS_H
#define PROTO_STATUS_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/proto_enum.h"
#include "proto/proto_limits.h"

#define STATUS_REASON_MAX 256

/* Progress of a resync, or of a verify; all zero when none runs. */
struct status_resync {
	bool running;
	bool verify;
	uint64_t total_bits;      /* out of sync when it started; to be compared */
	uint64_t left_bits;
	uint64_t same_bits;       /* by checksum */
	uint64_t zero_bits;       /* that did not travel */
	uint64_t failed_bits;
	uint64_t started_ns;      /* core time */
	uint64_t paused_ns;
	uint64_t rate_bytes_s;    /* over the last marks, 0 = unknown */
	uint64_t want_kib_s;      /* what the controller asks for */
	enum resync_limit limit;  /* why not more */
};

struct status_verify {
	uint64_t start_sector, stop_sector, position_sector;
	uint64_t skipped_bits, found_bits; /* also of the last one */
	bool unresolved;          /* what it has found waits for the operator */
	uint64_t last_ended_ns;   /* core time, 0 = there was none */
	uint64_t next_ns;         /* when it is due, UINT64_MAX = it is not */
	uint64_t last_found_bits, last_skipped_bits;
	bool last_whole;
};

/* What the last handshake, which a split brain ended, told; bits are blocks of 4 KiB. */
struct status_split {
	bool known;
	bool whole;               /* the bits do not tell all that differs: all is copied */
	uint64_t ancestor;        /* the last generation that both had, 0 = not known */
	uint64_t own_current, peer_current;
	uint64_t peer_bits;       /* changed there since; what was changed here is out of sync */
	bool was_primary, peer_was_primary; /* when they parted */
	bool peer_is_primary;
};

struct status_peer_device {
	uint32_t vnr;
	enum repl_state repl;
	enum disk_state peer_disk;
	bool peer_client;         /* intentionally diskless */
	bool susp_user, susp_peer, susp_dependency, susp_parallel;
	bool saving;              /* what is given up is saved before the resync */
	bool agreeing;            /* a handler is waited for before the resync */
	uint64_t received_sectors;
	uint64_t sent_sectors;
	uint64_t out_of_sync_sectors;
	uint32_t pending;         /* sent, not yet acknowledged */
	uint32_t unacked;         /* received, not yet acknowledged */
	uint64_t bitmap_uuid;
	struct status_resync resync;
	struct status_verify verify;
	struct status_split split;
};

struct status_peer {
	uint8_t node_id;
	char name[NAME_MAX_BYTES];
	enum conn_state conn;
	enum role role;
	unsigned apv;
	uint32_t features;
	enum wire_protocol protocol;
	int path;                 /* the one in use, by its place in the configuration; -1 = none */
	bool congested;           /* more to send than the socket takes */
	bool tls, tls_kernel;     /* encrypted; by the kernel, as far as it is sent */
	int64_t tls_peer_expires_s; /* end of the peer's certificate, Unix time */
	char tls_cipher[40];
	uint64_t ap_in_flight_sectors;
	uint64_t rs_in_flight_sectors;
	uint64_t sent_bytes;      /* data stream, since the core was created */
	uint64_t received_bytes;
	bool may_be_two;          /* it and this node may both be Primary */
	bool readable;            /* its UpToDate data may be read from here */
	bool suspends;            /* I/O waits until it is fenced */
	bool fencing;             /* the handler fence-peer runs for it */
	bool not_fenced;          /* it has ended like this: exit code, below 0 = it was killed */
	int fence_status;
	uint64_t retry_at_ns;     /* the next attempt to connect, core time; UINT64_MAX = none */
	char reason[STATUS_REASON_MAX]; /* why it is not Connected; "" when it is */
	unsigned device_count;
	struct status_peer_device devices[VOLUMES_MAX];
};

struct status_volume {
	uint32_t vnr;
	enum disk_state disk;
	bool client;
	bool quorum;
	bool open_rw, open_ro;
	uint64_t size_sectors;    /* exposed size, 0 = not known yet */
	uint64_t read_sectors, written_sectors;
	uint64_t al_writes, bm_writes;
	uint32_t al_hot_extents;  /* of 4 MiB: a crash now would bring these into doubt */
	uint32_t upper_pending, lower_pending;
	uint32_t unanswered;      /* by a disk that was given up because it hangs; not closed yet */
	uint64_t current_uuid;
	char reason[STATUS_REASON_MAX]; /* last disk error or refused attach, "" if none */
};

struct resource_status {
	char name[NAME_MAX_BYTES];
	uint8_t node_id;
	enum role role;
	bool susp_user, susp_no_data, susp_quorum, susp_fencing;
	uint64_t now_ns;          /* core time of this picture */
	int64_t unix_ms;          /* the same as Unix time, by the driver; 0 = not known */
	unsigned volume_count, peer_count;
	struct status_volume volumes[VOLUMES_MAX];
	struct status_peer peers[NODES_MAX];
};

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The deterministic world: nodes with an unmodified core each, virtual time, one event queue.
 *
 * A seed gives one life: set-up, faulted phase, healing, checks. Everything random comes from
 * world.rng and the streams beside it, every order from (time, sequence), so that equal seeds give
 * equal traces. One world is reused for many lives; big arrays are stamped with the number of the
 * life instead of cleared.
 */
#ifndef SIM_H
#define SIM_H

#include <setjmp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/assert.h"
#include "base/prng.h"
#include "core/core.h"
#include "meta/meta_layout.h"
#include "wire/wire.h"

#define SIM_NODES_MAX 32
#define SIM_VOLUMES_MAX 4
#define SIM_DEVICE_SECTORS_MAX (UINT64_C(1) << 20) /* 512 MiB */
#define SIM_SECTORS_MAX (SIM_VOLUMES_MAX * SIM_DEVICE_SECTORS_MAX)
#define SIM_BLOCKS_MAX (SIM_SECTORS_MAX / BM_BLOCK_SECTORS)
#define SIM_EXTENTS_MAX (SIM_DEVICE_SECTORS_MAX / AL_EXTENT_SECTORS)
#define SIM_IO_BYTES_MAX (1U << 20)
#define SIM_VNR 0 /* of lives with one volume; only this one changes its size */

#define NS_US UINT64_C(1000)
#define NS_MS UINT64_C(1000000)
#define NS_SEC UINT64_C(1000000000)
#define SIM_NEVER UINT64_MAX

struct world;

/* Sectors and blocks of all volumes in one row: of the disk of a node, and what was written. */
static inline uint64_t sim_sector(unsigned vnr, uint64_t sector)
{
	return vnr * SIM_DEVICE_SECTORS_MAX + sector;
}

static inline unsigned sim_vnr(uint64_t sector)
{
	return (unsigned)(sector / SIM_DEVICE_SECTORS_MAX);
}

#include "fault.h"
#include "kinds.h"
#include "oracle.h"
#include "moments.h"
#include "trap.h"
#include "guest.h"
#include "plan.h"
#include "sim_handlers.h"
#include "sim_fencing.h"
#include "sim_shape.h"

/* ---- parameters of one life, drawn from its seed (sim_params.c) ---- */

struct sim_params {
	unsigned nodes;
	unsigned volumes;
	uint64_t device_sectors;  /* of volume 0 */
	uint64_t room_sectors;    /* what the metadata have room for */
	bool resizes, internal_md;
	bool peers_leave, slots_grow, traps, replaces;
	unsigned more_faults;     /* which (bit 0 is FAULT_KINDS) */
	uint32_t al_extents;
	uint8_t protocol[SIM_NODES_MAX][SIM_NODES_MAX]; /* of each connection */
	bool full_initial_sync;   /* else the initial sync is skipped */
	bool auth;
	bool skip_al;             /* test switch: the core leaves out activity-log writes */
	bool careful;             /* failover only along one lineage: no split brain may be seen */
	bool discard_ok;          /* backing stores pass discards down */
	uint64_t net_latency_ns;  /* means of exponential distributions */
	uint64_t disk_latency_ns;
	unsigned ops;             /* application operations of the faulted phase */
	unsigned faults;
	bool csums, csums_after_crash_only;
	bool pass_on; /* on-io-error */
	uint32_t disk_timeout_ds;
	uint32_t rs_discard_bytes;
	bool rs_without_replication;
	bool verifies;
	bool meddles;             /* resyncs are paused, and asked for */
	bool repairs; /* the verify of the end does */
	uint32_t verify_interval_s; /* as long as there are faults */
	unsigned fault_mask;      /* which kinds (bit per enum fault) */
	unsigned qd;              /* application queue depth */
	uint64_t think_ns;
	unsigned hot_blocks;      /* size of the working set in 4 KiB blocks */
	bool healing_io;          /* writes go on while healing */
	uint32_t max_epoch_size;
	uint32_t requests_max;
	uint32_t quorum;          /* and a second application that only quorum keeps away */
	uint32_t quorum_min_redundancy;
	enum on_no_quorum on_no_quorum;
	enum on_no_data on_no_data;
	enum on_outdated on_outdated;
	bool suspends;            /* suspend-io and resume-io now and then */
	bool two_primaries;       /* a second application is open on the other node */
	uint32_t no_disk;         /* nodes that have none from the beginning */
	uint32_t unlinked[SIM_NODES_MAX]; /* nodes that this one has no connection to */
	bool tiebreaker;          /* nor has the last one */
	bool drbd8;               /* each of two nodes takes the other for DRBD 8.4 */
	enum read_balancing read_balancing;
	uint32_t handlers;        /* bits of enum handler: all nodes have them */
	enum fencing fencing;     /* of all connections */
};

void sim_params_draw(struct sim_params *p, struct prng *rng);
/* The same on all connections. */
void sim_params_protocol(struct sim_params *p, enum wire_protocol protocol);
/* The volumes differ in size, so that they are not mistaken for each other. */
uint64_t sim_volume_sectors(const struct world *w, unsigned vnr);
/* One of them at random. */
unsigned sim_any_volume(struct world *w);

/* ---- events ---- */

typedef void (*sim_event_fn)(struct world *w, uint64_t a, uint64_t b);

struct sim_event {
	uint64_t time_ns;
	uint64_t seq;
	sim_event_fn fn;
	uint64_t a, b;
};

struct sim_queue {
	struct sim_event *heap;
	unsigned count, cap;
	uint64_t seq;
};

/* Events that have come for something that stands still, in their order. */
struct sim_held {
	struct sim_event *events;
	unsigned count, cap;
};

/* ---- payload: content tags, one per sector; 0 = zeroes ---- */

struct sim_payload {
	uint8_t node;
	bool in_use;
	unsigned core_refs;
	unsigned io_refs;
	uint32_t bytes;
	uint32_t cap_sectors;
	uint64_t *tags;
	uint32_t next_free;
};

struct sim_payloads {
	struct sim_payload *p; /* id - 1 */
	unsigned count, cap;
	uint32_t free_head;    /* id, 0 = none */
};

/* New payload with one reference of the node's core; tags are undefined. */
struct payload payload_new(struct world *w, unsigned node, uint32_t bytes);
uint64_t *payload_tags(struct world *w, struct payload payload);
void payload_io_get(struct world *w, unsigned node, struct payload payload);
void payload_io_put(struct world *w, struct payload payload);
void payload_core_put(struct world *w, unsigned node, struct payload payload);
/* The node's process died: its core's references are gone. */
void payload_node_died(struct world *w, unsigned node);
/* Payloads that the node's core still holds. */
unsigned payload_core_held(const struct world *w, unsigned node);
void payload_reset(struct world *w);

/* ---- disk (sim_disk.c, sim_md.c) ---- */

enum disk_op_kind { DOP_READ, DOP_WRITE, DOP_DISCARD, DOP_ZEROES, DOP_FLUSH, DOP_SAVE };

struct disk_op {
	bool in_use;
	uint8_t kind;
	bool fua;
	bool digest, find_zeroes; /* of a read */
	uint64_t tag;
	uint64_t sector;
	uint32_t bytes;
	struct payload payload;
	uint64_t flush_seq;  /* log position that a flush covers */
	uint64_t gen;        /* of the slot, to recognise late completions */
};

#define DISK_OPS_MAX 8192 /* more than the core has requests of any kind */

struct disk_block {
	uint64_t now[BM_BLOCK_SECTORS];     /* what a read returns: page cache over medium */
	uint64_t durable[BM_BLOCK_SECTORS];
};

/* An unflushed sector write, oldest first. */
struct disk_log_entry {
	uint64_t sector, tag, seq;
};

enum power_mode { POWER_ALL_LOST, POWER_NONE_LOST, POWER_RANDOM, POWER_PREFIX, POWER_MODES };

enum md_op_kind { MOP_SUPER, MOP_AL, MOP_BITMAP, MOP_FLUSH, MOP_MEASURE, MOP_MOVE, MOP_KINDS };

struct md_op {
	enum md_op_kind kind;
	uint64_t tag, byte;  /* and the position in the image */
	uint8_t block[MD_PAGE_BYTES];
	uint64_t slots, sectors; /* MOP_MOVE: so many, for a volume of that size */
};

#define MD_OPS_MAX 1024
#define MD_IMAGE_MAX (MD_PAGE_BYTES * 512)

/* Metadata of one volume: the image, and which of its sectors are not durable. */
struct md_image {
	uint8_t *now, *durable;
	bool *dirty;         /* per sector */
	unsigned dirty_count;
	uint64_t bytes;
	struct meta_layout layout;
	uint32_t max_peers;
	uint64_t room_bits;        /* of every slot */
	bool full;                 /* no room for more slots */
	uint64_t store_sectors;    /* present size of the volume's store without metadata */
	uint64_t capacity_sectors; /* what the metadata were laid out for, or the attach found */
	struct md_op *ops;   /* ring; the first one runs */
	unsigned head, count;
	uint64_t gen;
	uint64_t data_seq;   /* log position that the running superblock write flushes */
	unsigned al_writes;
};

/* One per node: it has the stores of all volumes. */
struct disk {
	uint32_t life;
	struct disk_block *blocks;
	uint32_t *block_life, *touched; /* the life it was written in; those of this one */
	unsigned touched_count, touched_cap;
	struct disk_log_entry *log;
	unsigned log_count, log_cap;
	uint64_t log_seq;
	struct disk_op *ops;
	unsigned ops_high;   /* slots from here on are free */
	uint64_t op_gen;
	struct md_image md[SIM_VOLUMES_MAX];
	/* faults */
	uint64_t stall_until_ns;
	bool hangs;          /* nothing that it was asked for ends */
	uint32_t closing;    /* volumes that are closed when nothing is under way there */
	struct sim_held held;
	uint64_t slow_until_ns, slow_ns; /* so much slower on average */
	uint64_t full_until_ns; /* no room for blocks that were never written */
	unsigned fail_reads, fail_writes, fail_flushes, fail_meta; /* the next so many fail */
	uint8_t fail_meta_kinds; /* of these (bit per enum md_op_kind) */
	bool forgets, fail_save; /* what a failed flush has not written is lost; next save fails */
	/* what the save under way has to find as it was: a copy of the slot */
	uint64_t *save_words[SIM_VOLUMES_MAX];
	bool broken;         /* everything fails until it is replaced */
};

void disk_create_md(struct world *w, unsigned node);
void disk_submit(struct world *w, unsigned node, enum disk_op_kind kind, const struct ac_disk *ac);
void md_submit(struct world *w, unsigned node, enum core_action_kind kind,
	       const struct ac_meta *ac);
void disk_attach(struct world *w, unsigned node, unsigned vnr);
void disk_resize(struct world *w, unsigned node, const struct ac_resize *ac);
/* The backing store becomes larger; what is new has any content. */
void disk_enlarge(struct world *w, unsigned node, uint64_t sectors);
void disk_detach(struct world *w, unsigned node, unsigned vnr);
/* A request has ended. */
void disk_went_on(struct world *w, unsigned node, unsigned vnr);
/* What is in flight may or may not have happened; the page cache survives. */
void disk_process_died(struct world *w, unsigned node);
/* After disk_process_died(): the page cache is lost as the mode says. */
void disk_power_lost(struct world *w, unsigned node, enum power_mode mode);
void disk_reset(struct world *w, unsigned node);
void disk_hang(struct world *w, unsigned node);
/* It goes on where it was. */
void disk_unhang(struct world *w, unsigned node);
uint64_t disk_peek(const struct disk *d, uint64_t sector);
/* The block of this life, zeroed when it is new. */
struct disk_block *disk_block(struct disk *d, uint64_t block);
bool disk_same_block(const struct disk *a, const struct disk *b, uint64_t block);
/* Blocks that may differ between disks: what has been written on any since it was found equal. */
struct disk_suspects {
	uint32_t life;
	uint32_t *block;
	unsigned count;
	uint32_t *listed; /* per block: the life in which it is one */
};
struct disk_suspects *disk_suspects(uint32_t life);
/* The last one takes its place. */
void disk_no_suspect(unsigned i);
/* Everything of the volume up to this log position is on the medium. */
void disk_flush_to(struct disk *d, unsigned vnr, uint64_t seq);
/* Nothing that it was asked for is under way. */
bool disk_is_idle(const struct world *w, unsigned node);
/* Metadata after a crash: what was in flight, what the page cache held. */
void md_process_died(struct world *w, unsigned node);
void md_power_lost(struct world *w, unsigned node, enum power_mode mode);
/* Completion time of a disk request issued now. */
uint64_t disk_delay(struct world *w, unsigned node);
/* True: nothing ends there now, the event comes again when something does. */
bool disk_holds(struct world *w, unsigned node, sim_event_fn fn, uint64_t a, uint64_t b);
/* Decodes the superblock as it would be read now; false when it cannot be used. */
bool disk_super(const struct disk *d, unsigned vnr, struct md_super *super);
/* Written as if by a tool while the node is down. */
void disk_put_super(struct disk *d, unsigned vnr, const struct md_super *super);
/* Bit of a slot as an attach would load it now: stored bits plus the replayed activity log. */
void disk_load_bitmap(struct world *w, unsigned node, unsigned vnr, const struct md_super *super,
		      struct bm_store *store, bool *replayed);

/* ---- network (sim_net.c) ---- */

struct net_packet {
	uint32_t bytes_used, bytes_cap;
	uint8_t *bytes;
	uint32_t tags_used, tags_cap; /* sectors of payload */
	uint64_t *tags;
	uint64_t arrive_ns;
	uint16_t type;  /* of the packet, for holds and quiet points */
	bool fin;
	bool tx_late;   /* EV_TX_DONE only at arrival: the window was full */
	uint32_t next;  /* index + 1 */
};

struct net_stream {
	uint32_t head, tail;       /* packets in flight, index + 1 */
	unsigned count;
	uint64_t bytes_in_flight;
	uint64_t last_arrive_ns;
	uint64_t stall_until_ns;
	bool deliver_pending;
	bool no_room;              /* the receiver does not read on */
	bool hold_on;              /* stop in front of the next packet of this type */
	uint16_t hold_type;
	uint64_t hold_ns;          /* for so long */
	uint64_t tx_done_bytes;    /* to be reported */
	bool tx_pending;
};

enum side_state { SIDE_IDLE, SIDE_WANT, SIDE_UP };

#define SIM_BARRIERS 64U

/* Order numbers at which barriers were sent, to know what their acks cover. */
struct net_barriers {
	unsigned next;
	uint32_t number[SIM_BARRIERS];
	uint64_t clock[SIM_BARRIERS];
};

/* Side 0 is the lower node. stream[from side][enum stream]. */
struct net_conn {
	uint8_t node[2];
	enum side_state side[2];
	bool told_up[2];           /* EV_STREAMS_UP was delivered */
	bool cut;                  /* bytes sent now get lost */
	uint64_t gen;              /* incarnation of the two streams */
	bool opening;              /* the event that makes the streams is pending */
	uint8_t resolver;          /* side that has resolve_conflicts */
	bool unaware[2];           /* the next connection: this side never learns of it */
	bool sent_features[2], got_features[2];
	struct pkt_features features[2]; /* as sent by the side */
	struct wire_ctx ctx[2];    /* of what the side sends and receives */
	struct net_stream stream[2][STREAM_COUNT];
	struct net_barriers barriers[2]; /* by the side that sends them */
};

struct net {
	struct net_conn conn[SIM_NODES_MAX][SIM_NODES_MAX]; /* [lower][higher] */
	bool down[SIM_NODES_MAX][SIM_NODES_MAX];            /* from -> to: bytes wait */
	struct net_packet *packets;
	unsigned packet_count, packet_cap;
	uint32_t free_head;
	uint64_t packets_sent;
};

void simnet_reset(struct world *w);
void simnet_want(struct world *w, unsigned node, unsigned peer);
void simnet_close(struct world *w, unsigned node, unsigned peer);
void simnet_send(struct world *w, unsigned node, const struct ac_send *ac);
void simnet_send_bitmap(struct world *w, unsigned node, const struct ac_send_bitmap *ac);
/* After a step: there may be room again for packets that were not read. */
void simnet_read_on(struct world *w, unsigned node);
void simnet_node_died(struct world *w, unsigned node, bool power_lost);
void simnet_node_started(struct world *w, unsigned node);
/* Faults. A cut loses what is in flight behind a random byte; half: only one side is told. */
void simnet_cut(struct world *w, unsigned a, unsigned b, bool half);
/* Both ends are told at once, what is in flight is lost. */
void simnet_reset_conn(struct world *w, unsigned a, unsigned b);
void simnet_link(struct world *w, unsigned from, unsigned to, bool up);
void simnet_stall(struct world *w, unsigned from, unsigned to, int stream, uint64_t ns);
void simnet_hold_type(struct world *w, unsigned from, unsigned to, enum packet type, uint64_t ns);
/* The next connection is accepted, and not a byte follows, nor is one read. */
void simnet_accept_only(struct world *w, unsigned from, unsigned to);
void simnet_heal(struct world *w);
struct net_conn *simnet_conn(struct world *w, unsigned a, unsigned b);
/* From now on packets are counted by type and fate; false when there is no memory for it. */
bool sim_packets_begin(void);
void sim_packets_print(bool each);
/* A packet of this type is on its way somewhere. */
bool simnet_in_flight(const struct world *w, enum packet type);
/* Nothing is in flight on any established connection except keepalives. */
bool simnet_quiet(const struct world *w);

/* ---- nodes (node.c) ---- */

#define SIM_COMMANDS_MAX 2048
#define SIM_DIGEST "crc32c" /* the only one that nodes have */

typedef void (*sim_reply_fn)(struct world *w, unsigned node, int rc, uint64_t arg);

struct sim_command {
	uint64_t cookie; /* 0 = free */
	uint8_t node;
	struct ev_command cmd;
	sim_reply_fn fn;
	uint64_t arg;
};

struct node {
	struct world *world;
	uint8_t id;
	bool up;
	bool has_disk;
	uint64_t life;            /* +1 at every start and death: stale events are recognised */
	uint64_t epoch_ns;        /* core time = world time + this */
	struct core *core;
	void *mem;
	size_t mem_bytes;
	void *more;               /* memory for more peers */
	struct core_conf conf;
	struct prng rng;          /* core_crypto.random */
	uint64_t timer_ns;        /* world time of the armed timer, SIM_NEVER = none */
	uint32_t attached;        /* volumes */
	struct bm_store bm[SIM_VOLUMES_MAX];
	uint64_t *bm_words[SIM_VOLUMES_MAX]; /* memory behind bm */
	uint64_t bm_cap_words[SIM_VOLUMES_MAX];
	unsigned die_after_actions; /* 0 = off: crash at that action boundary */
	bool die_power;
	bool starting;            /* a restart is scheduled */
	bool paused;              /* the process is stopped; what comes waits */
	struct sim_held held;
	bool saw_split_brain;     /* its core logged one */
	/* volumes: */
	uint32_t lacked_quorum;   /* when the step began */
	uint32_t had_disk;        /* then, and no error of it made the step */
	bool answer_to_prove;     /* of a write, in a step that has taken quorum away */
	char state_line[1000];     /* as last traced */
	uint64_t size_sectors[SIM_VOLUMES_MAX]; /* AC_SIZE */
	struct disk disk;
};

void node_init(struct world *w, unsigned node);
void node_start(struct world *w, unsigned node);
/* Process death, or power loss with it. */
void node_kill(struct world *w, unsigned node, bool power);
/* Stopped as by SIGSTOP; goes on, or dies. */
void node_pause(struct world *w, unsigned node);
void node_unpause(struct world *w, unsigned node);
/* True: the node does nothing now, the event comes again when it goes on. */
bool node_holds(struct world *w, unsigned node, sim_event_fn fn, uint64_t a, uint64_t b);
void node_step(struct world *w, unsigned node, struct core_event *ev);
/* Whether node reads this packet now; if not, simnet_read_on() comes later. */
bool node_has_room(struct world *w, unsigned node, unsigned from, uint16_t type);
/* The command is an event of its own, right now; fn (may be NULL) gets the result. */
void node_command(struct world *w, unsigned node, struct ev_command cmd, sim_reply_fn fn,
		  uint64_t arg);
/* As the core has it; NULL when the volume is not attached. */
const struct md_super *node_md(const struct world *w, unsigned node, unsigned vnr);
/* As of this step; valid until the next call for the node. */
const struct resource_status *node_status(struct world *w, unsigned node);
/* Without peers; for what looks at a node before each of its steps. */
const struct resource_status *node_own_status(struct world *w, unsigned node);

/* Short forms over a status; peer by node id. */
const struct status_peer *status_peer(const struct resource_status *st, unsigned peer);
bool status_peer_uptodate(const struct resource_status *st, unsigned peer, unsigned vnr);
/* Volumes whose disk is UpToDate. */
uint32_t status_uptodate(const struct world *w, const struct resource_status *st);

/* ---- application (sim_app.c) ---- */

enum app_phase { APP_IDLE, APP_OPENING, APP_OPEN, APP_DRAINING, APP_CLOSING };

#define APP_IOS_MAX 16
#define APP_COOKIE_FOREIGN (UINT64_C(1) << 32) /* requests of a second application, only counted */

struct app_io {
	bool in_use;
	uint64_t cookie;
	enum request_op op;
	uint64_t sector;   /* of all volumes */
	uint32_t bytes;
	bool fua;
	unsigned write;    /* oracle op */
	uint64_t since;    /* order number at submission */
	uint64_t start_ns;
};

/* Nodes that held all acknowledged data of a volume when they lost power. */
struct app_suspects {
	unsigned holders[SIM_NODES_MAX]; /* mask of who still holds it, 0 with suspect off */
	bool suspect[SIM_NODES_MAX];
	bool copy[SIM_NODES_MAX];        /* only equals one that is */
};

struct app {
	enum app_phase phase;
	int node;            /* where it is open or opening, -1 = none */
	unsigned opening;    /* the volume */
	uint32_t from[SIM_VOLUMES_MAX]; /* the good disks for which a node without one was chosen */
	int last;            /* last Primary by its choice */
	unsigned ops_left;
	bool quiet;          /* do not start new I/O, stay where it is */
	bool stop;           /* close when drained */
	int only;            /* the node where it may be open, -1 = any */
	uint64_t opened_at;  /* order number */
	unsigned in_flight;
	struct app_io io[APP_IOS_MAX];
	uint64_t cookie;
	uint64_t hot[256];   /* working set: block numbers */
	unsigned hot_count;
	bool tick_pending;
	unsigned done, errors, opens, open_failed, failovers, foreign_done;
	struct app_suspects suspects[SIM_VOLUMES_MAX];
};

void app_reset(struct world *w);
void app_kick(struct world *w);
/* What it works with: its own good disk, or, where there was never one, those of its peers. */
uint32_t app_sources(struct world *w, unsigned node, unsigned vnr);
/* The first sector where one of them lacks what was acknowledged, or SIM_NEVER. */
uint64_t app_sources_bad(struct world *w, unsigned node);
/* They go on with what they have. */
void app_sources_go_on(struct world *w, unsigned node);
/* No disk has a generation that this node, or a peer whose disk it uses, never heard of. */
bool app_lineage_ok(struct world *w, unsigned node);
/* After a power loss, and where lineages may fork, only current data will do. */
bool app_is_current(struct world *w, unsigned node);
void app_trusts(struct world *w, unsigned node);
/* For scenarios: one request on the node where it is open; open it there. */
void app_do(struct world *w, enum request_op op, uint64_t sector, uint32_t bytes);
void app_open_on(struct world *w, unsigned node);
void app_completed(struct world *w, unsigned node, const struct ac_complete *ac);
void app_node_died(struct world *w, unsigned node, bool power);
/* Every node that claims current data holds all acknowledged data. */
void app_track_suspects(struct world *w);

/* ---- second application, checks of quorum (sim_rival.c) ---- */

#define RIVAL_COOKIE (UINT64_C(1) << 40)

struct rival {
	enum app_phase phase;
	int node;            /* where it is open or opening, -1 = none */
	bool stop;
	unsigned ops_left;
	bool in_flight;      /* one write at a time */
	unsigned write;      /* its oracle op */
	uint64_t cookie, serial;
	unsigned opens, acks, fenced;
	uint64_t stale_since_ns; /* a node is Primary that was opened before another, 0 = none */
	/* Order numbers: last opened; first acknowledgement by another node since then. */
	uint64_t opened_at[SIM_NODES_MAX];
	uint64_t foreign_first[SIM_NODES_MAX];
	bool foreign_lesser[SIM_NODES_MAX]; /* a disk that is not good had a vote in that */
	bool got_lesser[SIM_NODES_MAX]; /* and in the quorum that the node has got after that */
};

void rival_reset(struct world *w);
void rival_start(struct world *w);
void rival_completed(struct world *w, unsigned node, const struct ac_complete *ac);
void rival_node_died(struct world *w, unsigned node);
/* S9, S10: a step of the node and what it does there: a command is answered, an application has
 * opened the volume for writing, a write ends. */
void quorum_step_begins(struct world *w, unsigned node, const struct core_event *ev);
void quorum_command_replied(struct world *w, unsigned node);
void quorum_step_ends(struct world *w, unsigned node);
void quorum_opened(struct world *w, unsigned node);
void quorum_write_ended(struct world *w, unsigned node, unsigned write, int error);
/* A node was opened that lacks something: the life ends if its quorum does not promise that. While
 * the open waited others may have gone on, though nobody had when it began. */
void quorum_opened_behind(struct world *w, unsigned node);
/* Another node has acknowledged writes since this one was opened. */
bool quorum_superseded(const struct world *w, unsigned node);

/* ---- checkers (check.c) ---- */

/* I2: differences between every pair of disks are covered. `why` names the moment. */
void check_difference_covered(struct world *w, const char *why);
/* The Primary's connected UpToDate peers hold everything acknowledged. */
void check_primary_peers(struct world *w);
/* I3, S2: for a quiet cluster. */
void check_identical(struct world *w, const char *why);
/* I4, I5: roles and connection states of all nodes. */
void check_states(struct world *w);
bool check_converged(struct world *w, char *why, size_t n);

/* ---- what happens from outside, numbered (schedule.c); shorter lives (shrink.c) ---- */

#define SIM_FAULTS_MAX 128U
#define SIM_OPS_MAX 1024U

struct sim_fault_record {
	uint64_t time_ns;
	struct prng rng;     /* what it was drawn from */
	struct prng more_rng;
	uint8_t fault, node; /* for people */
};

/* Which entries of a list are left out; numbered from 1 in texts, such as "1-3,7". */
struct sim_list {
	bool out[SIM_OPS_MAX];
};

struct sim_schedule {
	bool again;          /* as recorded, but for what is left out */
	unsigned faults, ops;
	unsigned next_fault, next_op;
	struct sim_fault_record fault[SIM_FAULTS_MAX];
	struct sim_list fault_out, op_out;
};

void schedule_begin(struct world *w);
/* The next fault; false when no more were recorded. */
bool schedule_fault(struct world *w);
/* Until the next one: as drawn, or as recorded. */
uint64_t schedule_pause(const struct world *w, uint64_t drawn_ns);
void schedule_note(struct world *w, enum fault fault, unsigned node);
/* The next request of the application: false = it is left out, or was not recorded. */
bool schedule_op(struct world *w);
void sim_list_print(FILE *f, const struct sim_list *l, unsigned count);
bool sim_list_parse(const char *text, struct sim_list *l);
unsigned sim_list_kept(const struct sim_list *l, unsigned count);

/* One life in four, by a generator of its own: the others stay what they are. */
void resize_params_draw(struct world *w, uint64_t seed);
/* Stores grow, and volumes grow and shrink, as long as there are faults. */
void resize_at_random(struct world *w);
/* Healing: all stores get the same size; then, from time to time, all volumes. */
void resize_heal(struct world *w);
/* Nothing is left to grow. */
bool resize_is_over(struct world *w);
void resize_look_after(struct world *w);
/* What the application uses of the volume that it has open. */
uint64_t resize_app_sectors(const struct world *w);
/* Options, and peers that have come, which are connected then: n->conf. */
void node_adjust(struct world *w, unsigned node);
/* Disks that hang: sim_hang.c. */
void hang_params_draw(struct world *w, uint64_t seed);
void hang_at_random(struct world *w);
void hang_heal(struct world *w);
/* One life in four: nodes forget a peer, and get it back. */
void peers_params_draw(struct world *w, uint64_t seed);
void peers_at_random(struct world *w);
void peers_look_after(struct world *w);
void peers_await(struct world *w); /* all of them are in again */
/* Verifies between random nodes as long as there are faults. */
void verify_at_random(struct world *w);
/* Another verify-interval for all nodes. */
void verify_schedule(struct world *w, uint32_t interval_s);
/* One verify of a converged cluster where a disk was changed behind its node's back. */
void verify_phase(struct world *w);

/* Drawn from a stream of their own: a life that has none of it is what it was. */
void resync_params_draw(struct world *w, uint64_t seed);
/* Operators pause, resume and ask for resyncs as long as there are faults; others come first. */
void resync_meddle_at_random(struct world *w);
/* Nothing stays paused. */
void resync_heal(struct world *w);
void resync_gate_set(struct world *w, unsigned node, bool dependency, bool parallel);

/* From now on somebody looks after detached disks,
 * and where lineages may fork after split brains. */
void operator_start(struct world *w);
/* Reconnects two that were disconnected; where both went on, the last Primary keeps its data. */
void operator_resolve(struct world *w, unsigned a, unsigned b);
/* In the phase with faults: suspend-io and resume-io now and then. */
void operator_suspends(struct world *w);

#define SIM_DAMAGE_MAX 6U

/* Blocks that were changed on one disk. */
struct sim_damage {
	unsigned count;
	uint64_t block[SIM_DAMAGE_MAX];
};

/* Reads go to all copies, and one of them was changed here. */
bool verify_may_read_damage(const struct world *w, uint64_t sector);
/* A verify reports a range as different. */
void verify_reported(struct world *w, unsigned node, uint64_t sector, uint64_t sectors);

struct sim_result {
	bool failed;
	uint64_t step;
	uint64_t hash;
	char why[600];
};

/* Random parameters replaced by plain ones, which may be changed before the set-up. */
struct sim_params *life_plain(struct world *w, uint64_t seed, unsigned nodes);
/* Nodes made and connected, all UpToDate. */
void life_set_up(struct world *w);
/* Both. */
void life_set_up_plain(struct world *w, uint64_t seed, unsigned nodes);
/* Waits until everything is UpToDate and quiet; a violation if it never is. Then all checks. */
void life_expect_converged(struct world *w);
/* Runs one life. */
void sim_life(struct world *w, uint64_t seed, struct sim_result *result);
/* Looks for the shortest life that fails like this one, and prints it with the command that runs it
 * again; `options` are those that it needs. */
void sim_shrink(struct world *w, uint64_t seed, const struct sim_result *r, unsigned limit_s,
		const char *options);
/* Named scenarios: number run and failed. */
unsigned sim_scenarios(struct world *w, const char *only, unsigned *failed);
/* Tests of the models themselves; the number of failures. */
unsigned sim_self_test(struct world *w);

/* ---- the world (world.c) ---- */

struct world {
	struct sim_params params;
	unsigned force_nodes;     /* command line: 0 = as the seed says */
	bool force_no_al;
	unsigned kernels;         /* scenarios: others pass for DRBD 9; 2: in all they say */
	uint32_t kinds;           /* command line: of lives (bit per enum life_kind) */
	uint64_t scenario_seed;   /* of named scenarios */
	struct prng rng;
	struct prng resync_rng;   /* of who meddles with resyncs */
	uint64_t now_ns;
	uint64_t step;
	uint64_t hash;
	bool trace;
	uint32_t life;
	struct sim_queue queue;
	struct sim_payloads payloads;
	struct net net;
	struct sim_traps traps;
	struct node nodes[SIM_NODES_MAX];
	unsigned node_count;
	struct oracle oracle;
	struct app app;
	struct rival rival;
	struct guest guest;
	struct moments moments;
	struct plan plan;
	struct sim_handlers handlers;
	struct sim_fencing fencing;
	struct sim_command commands[SIM_COMMANDS_MAX];
	uint64_t command_cookie;
	struct resource_status status[SIM_NODES_MAX];
	uint64_t status_step[SIM_NODES_MAX];
	bool faults_on;
	unsigned faults_left, fault_count[FAULT_ALL];
	struct sim_schedule schedule;
	bool split_brain_ok, verify_started;
	unsigned verify_source, verify_target;
	struct prng peers_rng, slots_rng, volumes_rng, hang_rng, fault_rng;
	struct replaced replaced;
	int op_primary;           /* by command, for a while; -1 = none */
	bool op_waits;            /* for the answer of that command */
	struct prng resize_rng;   /* apart, so that other lives stay what they are */
	bool damaged;             /* a disk was changed behind its node's back */
	struct sim_damage damage;
	jmp_buf fail_jmp;
	char why[600];
	/* Tests of the models: takes the events instead of a core. */
	void (*tap)(struct world *w, unsigned node, const struct core_event *ev);
};

struct world *world_create(void);
void world_reset(struct world *w, uint64_t seed);
void world_at(struct world *w, uint64_t delay_ns, sim_event_fn fn, uint64_t a, uint64_t b);
/* The event waits; and all that wait come now. */
void world_hold(struct sim_held *held, sim_event_fn fn, uint64_t a, uint64_t b);
void world_release(struct world *w, struct sim_held *held);
/* One event; false when none is left. */
bool world_step(struct world *w);
void world_run_for(struct world *w, uint64_t ns);
/* Runs until pred or the limit; true when pred held. */
bool world_run_until(struct world *w, bool (*pred)(struct world *w), uint64_t limit_ns);
/* The life ends here, and nothing is wrong: the options allow what nobody can judge from now on. */
#define SIM_FORKED 2
_Noreturn void sim_forked(struct world *w, const char *what);
_Noreturn void sim_fail(struct world *w, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
void sim_trace(struct world *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void sim_hash(struct world *w, uint64_t x);
void sim_hash_bytes(struct world *w, const void *p, size_t n);

#endif

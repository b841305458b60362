/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Structs that the files of a shard share. Everything
 * here is touched by the shard's thread only. */
#ifndef SHARD_INT_H
#define SHARD_INT_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/list.h"
#include "handlers.h"
#include "shard.h"
#include "disk/buf_pool.h"
#include "disk/disk_pool.h"
#include "disk/md_store.h"
#include "net/net.h"
#include "net/net_digest.h"
#include "net/net_event.h"

#define SHARD_INBOX_MAX 4096U
#define SHARD_INLINE_JOBS_PER_TURN 256U
#define SHARD_PUBLISH_INTERVAL_MS 100
#define SHARD_NEVER_NS UINT64_MAX
/* Times that a resource gets more memory under way. */
#define MORE_MEM_MAX (NODES_MAX + VOLUMES_MAX)
/* Once this much waits to be copied to or from memory, do it while it is in the cache. */
#define SHARD_INLINE_BYTES_MAX (256U << 10)

struct gather;
struct resource;
struct fuse_pump;

/* Somebody waits for the answer to a command. Its address is the cookie. */
struct pending {
	void (*reply)(struct pending *p, int rc, const char *text);
};

/* How the disk calls of an open store are made. */
enum disk_mode {
	DISK_POOL,        /* they may block: on a worker */
	DISK_INLINE,      /* memory behind it: on the shard's thread */
};

/* One volume. A volume without a local disk has store == NULL for ever. */
struct volume {
	struct resource *res;         /* NULL: not in use */
	uint16_t vnr;
	bool has_disk;
	char disk_path[CONF_PATH_MAX];
	char meta_path[CONF_PATH_MAX];
	enum conf_meta meta;
	unsigned meta_index;
	struct md_store *store;       /* between AC_ATTACH and AC_DETACH */
	struct backing *backing;
	uint32_t max_peers;
	bool attached;
	bool direct_io;
	atomic_bool closing;          /* AC_DETACH came; written by the shard's thread */
	enum disk_mode mode;
	unsigned jobs;                /* data and metadata jobs under way */
	struct list saves;            /* struct save_work under way: save.c */
	struct disk_share share;      /* of the threads */
	struct disk_lane meta_lane;
	char resync_after[VOLUME_REF_MAX]; /* "RES/VOL", "" = none */
	bool resync_dependency, resync_parallel; /* as last told to the core */
	uint64_t size_sectors;        /* AC_SIZE */
	bool readable, writable, local_reads;
	uint64_t direct_read_sectors; /* that the core was not asked for */
	struct file *file;
	unsigned open_count;
	/* app_range.c */
	struct list active_writes;    /* app_req that change data, submitted or about to be */
	struct list waiting_writes;   /* in order of arrival, for an overlapping one */
	unsigned exclusive_count;     /* of both lists: those that read before they write */
	unsigned unclosed[2];         /* opens for reading, writing whose opener had gone */
};

struct peer {
	struct resource *res;
	uint8_t node_id;
	struct net_conn *conn;
};

struct resource {
	struct list link;             /* shard->resources */
	struct shard *shard;
	char name[NAME_MAX_BYTES];
	uint8_t own_node_id;
	/* tells what was opened before a down from what was opened after */
	uint64_t incarnation;
	void *core_mem;
	void *more_mem[MORE_MEM_MAX]; /* for peers and volumes that came later */
	unsigned more_count;
	struct core *core;
	struct handler_set *handlers;
	bool configuring;
	struct gather *departed;      /* what configuring goes on with at the end of the turn */
	bool in_step;
	bool dirty;                   /* stepped since the last publication */
	bool notify;                  /* the status changed, not only counters */
	uint64_t published_ns;
	bool unclosed;                /* a volume has some */
	struct shard_reply *down_reply; /* the resource ends after this step */
	bool dead;
	unsigned volume_count;        /* with those that are not in use any more */
	struct volume volumes[VOLUMES_MAX];
	unsigned peer_count;          /* when it came up */
	struct peer peers[NODES_MAX]; /* in use where there is a conn */
	struct peer *by_node[NODES_MAX];
	struct list blocked;          /* app_req that wait for core_room() */
	struct list completed;        /* app_req to be answered after the step */
	bool settling;
};

#define FOR_EACH_VOLUME(resource, it)                                                              \
	for (unsigned it##_i = 0; it##_i < (resource)->volume_count; it##_i++)                     \
		for (struct volume *it = resource_volume_at((resource), it##_i); it; it = NULL)

static inline struct volume *resource_volume_at(struct resource *res, unsigned i)
{
	return res->volumes[i].res ? &res->volumes[i] : NULL;
}

enum job_kind {
	JOB_READ, JOB_WRITE, JOB_DISCARD, JOB_ZEROES, JOB_FLUSH,
	JOB_SUPER, JOB_AL, JOB_BITMAP, JOB_META_FLUSH,
	JOB_ATTACH, JOB_DETACH, JOB_SAVE, JOB_RESIZE,
};

/* One disk call on behalf of the core. */
struct job {
	struct disk_job base;
	struct list free_link;
	struct volume *vol;
	enum job_kind kind;
	bool is_meta;                 /* answered by EV_META_DONE */
	uint64_t tag;
	uint64_t sector;
	uint32_t bytes;
	bool fua, unmap;
	bool find_zeroes, zeroes;     /* of a read */
	struct buf *buf;              /* a reference of ours */
	struct net_digest digest;     /* of what is read, .bytes 0 = none */
	uint8_t digest_value[DIGEST_MAX_BYTES];
	uint64_t page;
	struct attach_work *attach;   /* JOB_ATTACH */
	struct save_work *save;       /* JOB_SAVE */
	struct resize_work *resize;   /* JOB_RESIZE */
	uint8_t *block;               /* MD_PAGE_BYTES, allocated with the first metadata job */
};

struct shard {
	struct shard_conf conf;
	pthread_t thread;
	bool started;
	bool ending;                  /* leave the loop when all is quiet */
	struct event_base *base;
	struct inbox inbox;
	struct buf_pool *bufs;
	struct disk_pool *disks;
	struct disk_port *port;
	struct net *net;
	struct list resources;        /* in byte order of their names */
	bool resyncs_changed;         /* maybe; shard_resync_order() is due */
	struct list inline_jobs;
	uint64_t inline_bytes;        /* of the reads and writes among them */
	atomic_uint_fast64_t jobs_ended; /* written by the shard's thread, read by any */
	uint64_t direct_bytes;        /* read without the core in this turn */
	struct list free_jobs;
	struct list free_reqs;
	struct fuse_pump *pump;
	struct handler_runner *handlers;
	struct list files;            /* of the mount; never removed */
	uint64_t next_ino;
	uint64_t incarnations;        /* resources that ever came up */
	uint64_t now_ns;
	unsigned now_uses;            /* steps since the clock was read */
	/*
	 * One timer for all deadlines. Not one of the event loop: with a time limit every wait
	 * costs the kernel a timer of its own.
	 */
	int timer_fd;
	uint64_t armed_ns;            /* the timer; or SHARD_NEVER_NS */
	uint64_t publish_ns;          /* shard_publish_due() is; or SHARD_NEVER_NS */
	struct event ev_inbox, ev_disk, ev_deadline;
};

/* shard.c */
uint64_t shard_now_ns(struct shard *shard);
/* One event into the core; all actions are carried out before it returns. Must not be nested. */
void resource_step(struct resource *res, struct core_event *event);

/* shard_exec.c */
void shard_exec(struct resource *res, struct core_action *action);

/* shard_disk.c */
void shard_disk_data(struct resource *res, enum job_kind kind, const struct ac_disk *a);
void shard_disk_save(struct resource *res, const struct ac_disk *a);
void shard_disk_meta(struct resource *res, enum job_kind kind, const struct ac_meta *a);
void shard_disk_attach(struct resource *res, const struct ac_attach *a);
void shard_disk_resize(struct resource *res, const struct ac_resize *a);
void shard_disk_detach(struct volume *vol);
/*
 * Reads now, on this thread and without the core, where that is as good: a store in memory whose
 * every block is up to date. False: it is not, or the read failed; the core knows what to do then.
 */
bool shard_disk_read_now(struct volume *vol, uint64_t sector, void *data, uint32_t bytes);
/* Runs what may run on this thread; true when more is left. */
bool shard_disk_run_inline(struct shard *shard);
void shard_disk_free_jobs(struct shard *shard);
struct volume *resource_volume(struct resource *res, uint16_t vnr);

/* save.c */
/* AC_SAVE; without memory NULL. Takes the words of the bitmap as they are now. */
struct save_work *save_new(struct volume *vol, const struct ac_disk *a);
/* On a worker. */
int save_run(struct save_work *w, struct backing *b);
/* On the shard's thread: says what became of it, and frees it. */
void save_end(struct save_work *w, int rc);
/* The connection that it was for is gone. */
void save_cancel(struct resource *res, uint8_t peer);

/* shard_net.c */
extern const struct net_callbacks shard_net_callbacks;

/* shard_resource.c */
/* A command without an answer. */
void resource_command(struct resource *res, const struct ev_command *cmd);
/* Frees what went down in this turn. */
void shard_bury_resources(struct shard *shard);
/* What could not be done in the step of a core. */
void shard_go_on_configuring(struct shard *shard);
/* Hands an answer to the control thread; takes it. */
void shard_reply_post(struct shard *shard, struct shard_reply *reply);

/* shard_status.c */
void shard_publish(struct resource *res);
void shard_publish_gone(struct resource *res);
/* Publishes what has changed; shard->publish_ns has come. */
void shard_publish_due(struct shard *shard);
/* After a step: publishes now what changed after a quiet time, else within the interval. */
void shard_publish_step(struct resource *res);

/* shard_resync.c */
/* Tells the cores which volumes may resync now. */
void shard_resync_order(struct shard *shard);

/* crypto.c */
extern const struct core_crypto crypto_openssl;

/* fuse_pump.c */
void fuse_pump_run(struct shard *shard);
bool fuse_pump_wants_run(const struct shard *shard);
void fuse_pump_free(struct shard *shard);

#endif

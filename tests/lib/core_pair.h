/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A few cores wired together in one process: packets travel as structs, disks and metadata answer
 * at once, time is virtual. For tests of the protocol from both ends; a node can crash and come
 * back from what it had written.
 */
#ifndef TEST_CORE_PAIR_H
#define TEST_CORE_PAIR_H

#include <stdbool.h>
#include <stdint.h>

#include "core/core.h"

#define PAIR_NODES_MAX 4
#define PAIR_SECTORS (UINT64_C(32) << 11) /* 32 MiB per volume */
#define PAIR_TEXT_MAX 512

struct pair_opts {
	unsigned nodes;             /* 0 = 2 */
	uint32_t diskless;          /* mask of nodes without a disk */
	enum wire_protocol protocol;/* 0 = C */
	uint64_t seed;              /* 0 = queues in turn; else a random order of deliveries */
	bool verbose;               /* core log on stderr */
	bool no_auto_promote;
	bool no_connect;            /* pair_up() attaches only */
	uint64_t sectors[PAIR_NODES_MAX]; /* data areas; 0 = PAIR_SECTORS */
	/* Last word on a node's configuration. */
	void (*tune)(struct core_conf *conf);
};

struct pair;

struct pair *pair_new(const struct pair_opts *opts);
void pair_free(struct pair *p);
struct core *pair_core(struct pair *p, unsigned node);

/* Delivers until all is quiet; time stands still. False: no end in sight. */
bool pair_run(struct pair *p);
/* Lets virtual time pass, with all timers on the way. */
void pair_pass_ms(struct pair *p, uint64_t ms);
/* As pair_pass_ms(), in small portions, until done(); false = not within that time. */
bool pair_wait(struct pair *p, uint64_t ms, bool (*done)(struct pair *p));

/* Attaches and connects all; runs until quiet. */
void pair_up(struct pair *p);
/* pair_up() and new-current-uuid --clear-bitmap: everything UpToDate. */
void pair_up_to_date(struct pair *p);

/* Runs until the reply; its code. The text is kept:
 * pair_text(). At most a minute of virtual time. */
int pair_command(struct pair *p, unsigned node, const struct ev_command *command);
int pair_simple(struct pair *p, unsigned node, enum core_command cmd);
int pair_peer_command(struct pair *p, unsigned node, enum core_command cmd, unsigned peer);
const char *pair_text(const struct pair *p);
/* Hands a command in without waiting; pair_replied() tells the code once it is there. */
uint64_t pair_submit_command(struct pair *p, unsigned node, const struct ev_command *command);
bool pair_replied(const struct pair *p, uint64_t cookie, int *rc);

/* Other options for a running node (EV_CONFIGURE). */
void pair_configure(struct pair *p, unsigned node, void (*change)(struct core_conf *conf));

/* Whole operation; 0 or -errno. Contents are one tag per sector. */
int pair_write(struct pair *p, unsigned node, uint64_t sector, uint32_t sectors, uint64_t tag);
int pair_read(struct pair *p, unsigned node, uint64_t sector, uint32_t sectors, uint64_t *tags);
int pair_flush(struct pair *p, unsigned node);
/* Without waiting for the end. */
void pair_submit_write(struct pair *p, unsigned node, uint64_t sector, uint32_t sectors,
		       uint64_t tag);
unsigned pair_outstanding(const struct pair *p);
/* Of the operation that was begun last: 0, -errno, -EINPROGRESS. */
int pair_last_error(const struct pair *p);

/* The link between two nodes: cutting it breaks their streams, and no new ones are made. */
void pair_cut(struct pair *p, unsigned a, unsigned b);
void pair_heal(struct pair *p, unsigned a, unsigned b);
/* Packets from a to b stay in the queue (one stream). */
void pair_hold(struct pair *p, unsigned a, unsigned b, enum stream stream, bool hold);
/* kill -9: peers see their streams end. The node is back, empty, after pair_restart(). */
void pair_crash(struct pair *p, unsigned node);
/* A new core on what was written; the activity log is applied. Attaches and connects. */
void pair_restart(struct pair *p, unsigned node);
/* All local I/O of this node fails with EIO from now on. */
void pair_break_disk(struct pair *p, unsigned node);
/* A save of what is given up was asked for; it lasts until it is answered. */
bool pair_saves(const struct pair *p, unsigned node);
void pair_answer_save(struct pair *p, unsigned node, int error);
/* How often that handler was called, for that peer (NODES_MAX: not for one). */
unsigned pair_calls(const struct pair *p, unsigned node, enum handler what, unsigned peer);
/* The end of the oldest of these calls that has not ended. */
void pair_answer_call(struct pair *p, unsigned node, enum handler what, int status);
/* Delivers one packet as if it came from the peer. */
void pair_inject(struct pair *p, unsigned from, unsigned to, enum stream stream,
		 const struct pkt *pkt);
/* Packets of this type sent from a to b so far. */
unsigned pair_sent(const struct pair *p, unsigned a, unsigned b, enum packet type);

/* Equal contents of both disks. */
bool pair_same(const struct pair *p, unsigned a, unsigned b);
uint64_t pair_disk_tag(const struct pair *p, unsigned node, uint64_t sector);

/* ---- states ---- */
enum role pair_role(struct pair *p, unsigned node);
enum disk_state pair_disk(struct pair *p, unsigned node);
enum conn_state pair_conn(struct pair *p, unsigned node, unsigned peer);
enum repl_state pair_repl(struct pair *p, unsigned node, unsigned peer);
enum disk_state pair_pdsk(struct pair *p, unsigned node, unsigned peer);
/* The core says that its disk may be read without asking it. */
bool pair_local_reads(const struct pair *p, unsigned node);
uint64_t pair_out_of_sync(struct pair *p, unsigned node, unsigned peer);
/* All connected, Established, and all disks UpToDate, nothing out of sync. */
bool pair_healthy(struct pair *p);
/* One line per node, for failure messages. */
const char *pair_describe(struct pair *p);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the tests of generations share: a node with three peers, what it tells, what it is told. */
#ifndef TEST_CORE_UUID_H
#define TEST_CORE_UUID_H

#include "core_node.h"

#include "core/resync_int.h"

#define OLD UINT64_C(0x1234567890abcdee)
#define NEW UINT64_C(0x7777777777777770)
#define A UINT64_C(0xaaaaaaaaaaaaaaa0)
#define B UINT64_C(0xbbbbbbbbbbbbbbb0)
#define C UINT64_C(0xccccccccccccccc0)

static struct node n;

static inline void open_as(enum role role)
{
	node_open(&n, role, 3, PROTOCOL_C);
}

static inline void teardown(void)
{
	node_close(&n);
}

static inline struct md_peer *entry(unsigned p)
{
	return &n.vol->md.peers[p];
}

static inline void pull(void)
{
	node_pull(&n);
	n.core->ring_head = n.core->ring_tail = 0;
}

/* Lets the superblock become durable. */
static inline void durable(void)
{
	md_run(n.core);
	pull();
	for (unsigned i = 0; i < n.count; i++) {
		if (n.acts[i].kind == AC_META_SUPER)
			md_meta_done(n.core, &(struct ev_done){ .tag = n.acts[i].u.meta.tag });
	}
}

/* P_UUIDS110 among what was emitted, NULL = none. */
static inline const struct pkt_uuids *sent_uuids(unsigned p)
{
	for (unsigned i = 0; i < n.count; i++) {
		const struct ac_send *send = &n.acts[i].u.send;

		if (n.acts[i].kind == AC_SEND && send->peer == p && send->pkt.type == P_UUIDS110)
			return send->pkt.u.uuids;
	}
	return NULL;
}

static inline void rx(unsigned p, const struct pkt_uuids *uuids)
{
	struct pkt pkt = { .type = P_UUIDS110, .u.uuids = uuids };

	rx_uuids(n.core, n.core->peer[p], &pkt);
	pull();
}

static inline struct pkt_uuids from_peer(uint64_t current, uint64_t flags)
{
	struct pkt_uuids u = { .current = current, .flags = flags, .bitmap_mask = 0xf };

	for (unsigned i = 4; i < NODES_MAX; i++)
		u.bitmap[i] = UUID_UNKNOWN;
	return u;
}

static inline void absent(unsigned p)
{
	n.core->st.peer[p].conn = CONN_CONNECTING;
	n.core->st.pd[p][0].repl = REPL_OFF;
	n.core->st.pd[p][0].pdsk = DISK_UNKNOWN;
	n.core->peer[p]->streams_up = false;
}

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the cluster part's files offer each other:
 * connections, handshake, sizes, volumes, keepalive. */
#ifndef CORE_CLUSTER_H
#define CORE_CLUSTER_H

#include "core/core_int.h"

/* Header and fixed part of a packet, for the byte counters of the status. */
#define PKT_OVERHEAD_BYTES 40U

/* ---- core_rx.c ---- */

/* Dispatches a packet; what may not come in the present
 * phase fails the connection (wire-protocol 9.4). */
void rx_packet(struct core *core, const struct ev_pkt *ev);

/* ---- peer.c: life of a connection ---- */

void peer_streams_up(struct core *core, const struct ev_streams *ev);
void peer_streams_down(struct core *core, const struct ev_streams *ev);
/* Starts to connect; StandAlone before. */
/* Nothing is given up to this peer (any more). */
void peer_keep_data(struct core *core, struct peer *peer);
void peer_connect(struct core *core, struct peer *peer, const struct ev_command *ev);
/* As peer_standalone(), because the operator wants it so. */
void peer_leave(struct core *core, struct peer *peer, const char *reason);
/* A disconnect was committed: closes the streams; `again` tries to connect afterwards. */
void peer_disconnected(struct core *core, struct peer *peer, bool again);
/* Takes peers on from lost or disconnected to their next attempt or to StandAlone. */
void peer_run(struct core *core);
void peer_time(struct core *core);
uint64_t peer_deadline(const struct core *core);
void rx_disconnect(struct core *core, struct peer *peer, const struct pkt *pkt);

/* ---- volume_set.c: volumes that are there from the beginning, and such that come and go ---- */

size_t volume_mem_bytes(const struct core_volume_conf *conf);
/* Of the core's own configuration. */
void volume_create(struct core *core, unsigned v);
/* Whether the configuration has it, and where. */
bool volume_in(const struct core_conf *conf, uint16_t vnr, unsigned *at);
/* Places that there will be with `to`, and the memory that they take. */
unsigned volumes_after(const struct core *core, const struct core_conf *to);
size_t volumes_more_bytes(const struct core *core, const struct core_conf *to);
/* Those of `to` that are not there yet; which ones. */
uint32_t volumes_add(struct core *core, const struct core_conf *to);
/* Takes over who has a disk of which: `from` is of `to`, `conf` of the core. */
void volumes_place_disks(const struct core *core, const struct core_conf *to,
			 const struct core_peer_conf *from, struct core_peer_conf *conf);
/* Tells the connected peers of them. */
void volumes_introduce(struct core *core, uint32_t added);
/* A peer has told of a volume that it had not before; false: it is not connected any more. */
bool volume_meet(struct core *core, struct peer *peer, struct volume *vol, enum disk_state disk);
/* A connected peer has not told of it. */
bool volume_is_unmet(const struct core *core, const struct volume *vol);
/* After a change: what came is in use like all others from when it can be. */
void volumes_settled(struct core *core);

/* ---- configure.c, membership.c ---- */

size_t peer_mem_bytes(const struct core_conf *conf);
/* Of the core's own configuration. */
void peer_add(struct core *core, const struct core_peer_conf *conf);
/* As before any connection. */
void peer_device_create(struct core *core, struct peer *peer, unsigned v);
void core_configure(struct core *core, const struct ev_configure *ev);
/* The options of a connection, to be changed. */
struct core_net_conf *configure_net(struct core *core, const struct peer *peer);

/* ---- handshake.c, auth.c ---- */

void handshake_start(struct core *core, struct peer *peer);
/* Forgets what was agreed and exchanged with the peer. */
void handshake_reset(struct peer *peer);
void rx_features(struct core *core, struct peer *peer, const struct pkt *pkt);
void rx_protocol(struct core *core, struct peer *peer, const struct pkt *pkt);
void rx_protocol_update(struct core *core, struct peer *peer, const struct pkt *pkt);
void rx_sync_param(struct core *core, struct peer *peer, const struct pkt *pkt);
void handshake_send_protocol(struct core *core, struct peer *peer);
void handshake_send_sync_param(struct core *core, struct peer *peer, const struct volume *vol);
/* The same while connected: the peer takes over what has changed. */
void handshake_send_protocol_update(struct core *core, struct peer *peer);
/* verify-alg and csums-alg have changed here: the peer follows. */
void handshake_send_digests(struct core *core, struct peer *peer);
void auth_start(struct core *core, struct peer *peer);
void rx_auth_challenge(struct core *core, struct peer *peer, const struct pkt *pkt);
void rx_auth_response(struct core *core, struct peer *peer, const struct pkt *pkt);
/* Step 7 of 2.1: sizes, generations and states of all
 * volumes; a new round forgets the one before. */
void handshake_exchange(struct core *core, struct peer *peer);
/* An ABORT: everything exchanged in this round is forgotten. */
void handshake_forget(struct peer *peer);
/* All volumes' P_STATE of this round are here. */
bool handshake_complete(const struct core *core, const struct peer *peer);
/* The peer has a while from now for its next word; NEVER_NS in hs_deadline_ns ends that. */
void handshake_deadline_arm(struct core *core, struct peer *peer);
/* What an unfinished handshake lacks, for people. */
const char *handshake_waiting_for(const struct core *core, const struct peer *peer);
/* P_STATE before the connection is Connected. */
void handshake_rx_state(struct core *core, struct peer *peer, struct volume *vol, uint32_t word);
/* Decides all volumes; SS_SUCCESS, SS_HANDSHAKE_RETRY
 * or SS_HANDSHAKE_DISCONNECT with *reason set. */
enum state_rv handshake_decide(struct core *core, struct peer *peer, const char **reason);
/* What the connection will look like once it is committed. */
void handshake_apply(struct core *core, struct state *next, struct peer *peer);
/* Bitmap and generation actions and the agreed sizes, at the commit. */
void handshake_commit(struct core *core, struct peer *peer);
/* What becomes of the connection after its connect transaction failed. */
void handshake_failed(struct core *core, struct peer *peer, enum state_rv rv);

/* ---- sizes.c ---- */

void sizes_send(struct core *core, struct peer *peer, unsigned v);
void rx_sizes(struct core *core, struct peer *peer, const struct pkt *pkt);
/* The size after connecting to this peer; false and
 * *reason when the connection must be refused (2.6). */
bool sizes_agree(const struct core *core, const struct peer *peer, unsigned v, uint64_t *sectors,
		 const char **reason);
/* Both have data, and one has not gone through with a resize: 1 = this node, -1 = the peer. */
int sizes_missed_growth(const struct core *core, const struct peer *peer, unsigned v);
/* The size of a volume whose disk was just attached. */
bool sizes_at_attach(const struct core *core, const struct volume *vol, uint64_t *sectors,
		     const char **reason);
/* What connected peers have told of theirs is looked at again: no resize is under way any more. */
void sizes_look_again(struct core *core, struct volume *vol);
/*
 * Tells connected peers. Not a DRBD kernel what was agreed by a transaction: one that conducted it
 * may hear of it before it has got the size itself, and begins another resync than the agreed one.
 */
void sizes_set(struct core *core, struct volume *vol, uint64_t sectors, bool agreed);

/* ---- peer_state.c: P_STATE ---- */

void peer_send_states(struct core *core);
void rx_state(struct core *core, struct peer *peer, const struct pkt *pkt);

/* ---- keepalive.c ---- */

/* Something came in on the control stream. */
void keepalive_rx(struct core *core, struct peer *peer);
void rx_ping(struct core *core, struct peer *peer, const struct pkt *pkt);
void rx_ping_ack(struct core *core, struct peer *peer, const struct pkt *pkt);
void keepalive_time(struct core *core);
uint64_t keepalive_deadline(const struct core *core);

/* ---- volume.c, io_error.c ---- */

void volume_attach(struct core *core, struct volume *vol);
void volume_attached(struct core *core, const struct ev_attached *ev);
/* The disk does not answer: it is closed when it does. */
void volume_give_up_attach(struct core *core, struct volume *vol);
void volume_detached(struct core *core, uint16_t vnr);
/* Disk state Detaching or Failed: goes on to Diskless when nothing uses the disk any more. */
void volume_run(struct core *core);
/* Marks the connected peers with a disk, whose answers an attach needs; false = there are none. */
bool volume_await_peers(struct core *core, struct volume *vol, bool pending);
/* Why a Primary cannot use the disk that was read: its generation is not in use; or NULL. */
const char *volume_refuses_disk(const struct core *core, struct volume *vol);
/* One more has a disk by now. */
void volume_await_peer(struct core *core, struct peer *peer, const struct volume *vol);
/* Commit of the attach transaction: introduces the disk to the connected peers. */
void volume_introduce(struct core *core, struct volume *vol);
/* The peers have been told what our disk has, which is what they have shown us: one of them may
 * follow it already, and overwrite what we write there in another generation. */
bool volume_may_lead(const struct core *core, const struct volume *vol);
/* The first or a further peer's answer to our attach; word carries its disk state. */
void volume_negotiate(struct core *core, struct peer *peer, struct volume *vol, uint32_t word);
/* The disk state that the metadata flags imply (on-disk-metadata 5.1). */
enum disk_state volume_disk_from_md(const struct volume *vol);
/* The same when no peer has a say: what is Consistent
 * becomes UpToDate, or Outdated if it is known to be old. */
enum disk_state volume_disk_alone(const struct core *core, const struct state *st,
				  const struct volume *vol);
/* AC_SIZE when size or gate changed. */
void volume_update_gates(struct core *core);

/* ---- reach.c ---- */

/* Directly connected nodes without self. */
uint64_t cluster_neighbours(const struct core *core);
/* Neighbours that are Primary, and self when Primary. */
uint64_t cluster_primaries(const struct core *core, const struct state *st);
/* This connection may have a Primary at either end. */
bool cluster_allows_two_primaries(const struct core *core, const struct peer *peer);
/* As one of two: the other one. */
struct peer *cluster_other_primary(const struct core *core);
/* Nodes with a disk of it that this one never has a connection to. */
uint32_t cluster_far_disks(const struct core *core, const struct volume *vol);
/* There are some, or a node that is no peer any more had a disk of it, and was not forgotten: they
 * may have gone on. */
bool cluster_lost_a_disk(const struct core *core, const struct volume *vol);
/* Own disk may be called UpToDate (4.2, below the table). */
bool cluster_may_be_up_to_date(const struct core *core, const struct state *st, unsigned v);

static inline uint64_t node_bit(unsigned node)
{
	return UINT64_C(1) << node;
}

#endif

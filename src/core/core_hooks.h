/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who calls whom inside the core: every function that one part offers to another, by owner. The
 * three parts are: cluster (connections, state, two-phase commit, volumes, commands), data path
 * (requests, peer writes, epochs, activity log), sync (bitmaps, generations, resync, metadata
 * writes).
 */
#ifndef CORE_HOOKS_H
#define CORE_HOOKS_H

#include "core/core_int.h"

/* ================= cluster: peer.c handshake.c sizes.c twopc.c volume.c command.c status.c ==== */

/* Drops the connection: state conn := why (NetworkFailure, ProtocolError, ...), streams closed,
 * retried after a pause. `fmt` becomes the reason in status and log. May be called from packet
 * handlers; the caller must return at once afterwards. */
void peer_fail(struct core *core, struct peer *peer, enum conn_state why, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
/* Ends it for good: StandAlone until `connect` is given. Sends P_DISCONNECT first when `tell`. fmt
 * NULL: the reason in peer->reason stays. */
void peer_standalone(struct core *core, struct peer *peer, bool tell, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
/* P_STATE of one peer device now (ordered with other packets of the data stream). */
void peer_send_state(struct core *core, struct peer *peer, unsigned v);
/* Data I/O of the local disk failed: on-io-error policy; detach -> Failed -> Diskless. */
void volume_io_error(struct core *core, struct volume *vol, int error, const char *what);
/* Metadata I/O failed, or a flush, and what it has lost is not known: the disk is given up whatever
 * the policy. */
void volume_store_error(struct core *core, struct volume *vol, int error, const char *what);
/* The volume has become larger than the disk, which is given up. */
void volume_too_small(struct core *core, struct volume *vol);
/* The disk has not answered for so long, and is given up: local_io.c. */
void volume_hangs(struct core *core, struct volume *vol, uint64_t ns);
/* Local data I/O of the volume went down to zero (data
 * path and sync call it after each completion). */
void volume_local_idle(struct core *core, struct volume *vol);
/* The empty two-phase commit after a lost Primary; turns Consistent into UpToDate or Outdated. */
void twopc_request_empty(struct core *core);
/* A Primary whose I/O waits gives way to who has newer data: it demotes itself by force. */
void command_demote_suspended(struct core *core);
/* An own empty change has been agreed on: who is left still counts on us. */
void quorum_proved(struct core *core);
/* Node masks for 2PC, uuids: directly connected nodes incl. self. */
uint64_t cluster_reachable(const struct core *core);
/* Complement of {self if UpToDate, peers with usable disks}: states-and-resync 1.5 `weak`. */
uint64_t cluster_weak_nodes(const struct core *core, unsigned v);

/* history.c: tells the driver what a state change, just committed, has changed. */
void history_committed(struct core *core, const struct state *old);
/* What core->cause is for an event, a command, the running two-phase commit. */
struct cause history_event(const struct core_event *event);
/* A handler is called; or has ended, as `end` says. */
void history_handler(struct core *core, enum handler what, const struct peer *peer,
		     const struct volume *vol, const char *end);
struct cause history_command(const struct ev_command *ev);
struct cause history_twopc(const struct core *core);

/* save.c: the connection that is being made gives data up, and they are wanted in a file. */
void save_ask(struct core *core, struct peer *peer);
void save_done(struct core *core, const struct ev_done *done);

/* Sends P_PING, now or when the one before it is answered; the answer sets WORK_SYNC and
 * WORK_COMMAND. Returns a number for keepalive_answered(). What the peer sent on its control stream
 * before it answered has been handled then. */
uint32_t keepalive_ping(struct core *core, struct peer *peer);
bool keepalive_answered(const struct peer *peer, uint32_t number);
/* The connection is gone: nothing is waited for any more. */
void keepalive_reset(struct peer *peer);

/* ================= data path: request*.c peer_write.c epoch.c peer_ack.c actlog.c conflict.c == */

/* Memory from core_arena() and its initialisation; also the
 * request, holds and actlog parts of peers and volumes. */
size_t request_mem_bytes(const struct core_conf *conf);
void request_create(struct core *core);
/* Options have changed. */
void request_configure(struct core *core);
void request_submit(struct core *core, const struct ev_submit *ev);
void request_cancel(struct core *core, uint64_t cookie);
unsigned request_room(const struct core *core);
/* A gate may have opened (resume, promotion, new generation durable): start what waits. */
void request_run(struct core *core);
/* Connection is Connected now (commit of the connect 2PC): reset counters, announce the dagtag. */
void request_peer_connected(struct core *core, struct peer *peer);
/* Replication to a peer device switched between data / out-of-sync / nothing: closes the epoch. */
void request_peer_mode_changed(struct core *core, struct peer_device *pd);
/* All P_OUT_OF_SYNC for requests already in the log and not yet sent there (on WFBitMapS/Ahead
 * entry): sets the bits of pending requests that this peer has not acknowledged. */
void request_record_pending(struct core *core, struct peer_device *pd);
/* Connection lost: everything not barrier-acked is out of sync there, completes without it;
 * received writes of that peer finish locally; if it was Primary its un-peer-acked writes are
 * settled (bits set towards every node but it). Requests read from it are retried elsewhere. */
void request_peer_lost(struct core *core, struct peer *peer);
/* Local disk is gone: reads go to peers; local parts of
 * writes in flight count as failed when they return. */
void request_disk_lost(struct core *core, struct volume *vol);
/* A new write epoch on all connections (new generation). */
void request_new_epoch(struct core *core);
/* We stopped being Primary / became it. */
void request_role_changed(struct core *core);
/* No application request in flight on the volume. */
bool request_volume_idle(const struct core *core, const struct volume *vol);
/* Writes to it may not be on stable storage of every peer yet, answered or not. */
bool request_volume_logged(const struct core *core, const struct volume *vol);
/* two_primaries.c: the other Primary makes a generation when one is due. */
bool two_primaries_other_bumps(const struct core *core, const struct volume *vol);
/* After a state change: the other one is lost, and may go on. */
void two_primaries_parted(const struct core *core, const struct state *old, struct volume *vol);
/* A disk of ours alone is not what the two had when the other one was lost. */
bool two_primaries_left_behind(const struct core *core, const struct volume *vol);
/* It is back, and has told its generations. */
void two_primaries_follow(const struct core *core, struct volume *vol,
			  const struct peer_device *pd);
/* An ack has come; writes may wait for it. */
void two_primaries_acked(struct core *core, struct peer *peer, uint16_t vnr);
uint64_t two_primaries_deadline(const struct core *core);
void two_primaries_time(struct core *core);
/* When the oldest write or barrier that this peer has
 * not answered was sent; NEVER_NS = none (ko-count). */
uint64_t request_oldest_ns(const struct core *core, const struct peer *peer);
/* A write that overlaps the range was sent to the peer and may not be on its disk yet, or is about
 * to be sent and waits for answers to a resync target. */
bool request_unwritten(struct core *core, const struct peer *peer, const struct volume *vol,
		       uint64_t sector, uint64_t sectors);
/* Writes that resync_keeps_write() has kept look again. */
void request_kept_release(struct core *core);
/* Before a demotion: closes the epoch, sends pending peer acks. True when the transfer log is
 * empty; else WORK_COMMAND is set when it becomes so. */
bool request_settle(struct core *core);
/* Sectors in flight to the peer (status). */
uint64_t request_in_flight_sectors(const struct core *core, const struct peer *peer);
/* Last dagtag received from that peer as Primary (reconciliation, resync dependency). */
uint64_t peer_rx_dagtag(const struct peer *peer);
/* Of one that is lost: up to here all that it has sent is on the disk. */
uint64_t peer_rx_written_dagtag(const struct peer *peer);
uint64_t request_own_dagtag(const struct core *core);
uint64_t request_deadline(const struct core *core);
void request_time(struct core *core);
/* TAG_REQUEST, TAG_APP_FLUSH */
void request_disk_done(struct core *core, const struct ev_done *done);
void peer_request_disk_done(struct core *core, const struct ev_done *done); /* TAG_PEER_REQUEST */
void epoch_flush_done(struct core *core, const struct ev_done *done);
void actlog_attach(struct core *core, struct volume *vol);
/* md.c: a superblock became durable. */
void actlog_md_durable(struct core *core, struct volume *vol);
void actlog_meta_done(struct core *core, const struct ev_done *done);
/* bitmap.c: pages of an extent became durable. */
void actlog_bitmap_clean(struct core *core, struct volume *vol);
/* A write of this extent holds a reference: not yet
 * barrier-acked everywhere, or not yet peer-acked. */
bool actlog_extent_busy(const struct volume *vol, uint32_t extent);
/* No write refers to an extent: all nodes have what was written, or bits say which do not. */
bool actlog_is_idle(const struct volume *vol);
/* All data writes that ended are on stable storage here. */
bool local_flush_is_clean(const struct volume *vol);
/* A disk is attached, or the generation leaves it behind. True: it had failed with writes that were
 * not flushed: it may lack some, as after a power loss, though this node went on. */
bool local_flush_forget(struct volume *vol);
/* A resync brings what its source has: peer acks of the writes received
 * before say no more that what is here is what others have. */
void peer_writes_overwritten(struct core *core, const struct volume *vol, uint64_t sector,
			     uint32_t sectors);
/* A write there was marked as missing at the others before its peer ack, which is still to come. */
bool peer_writes_marked_early(const struct core *core, const struct volume *vol, uint64_t sector,
			      uint64_t sectors);
/* True when no write received from this peer awaits its disk or its ack. */
bool peer_rx_idle(const struct peer *peer);
/* See core_peer_room(). */
bool peer_rx_room(struct core *core, struct peer *peer, uint16_t type);
/* Calls resync_dagtag_reached() whenever the received dagtag of `peer` advances and its writes are
 * on disk or in flight with a hold on their range. */

/* Packets: true = consumed without protocol error (else the handler called peer_fail). */
/* DATA TRIM ZEROES */
void rx_data(struct core *core, struct peer *peer, const struct pkt *pkt);
void rx_data_request(struct core *core, struct peer *peer, const struct pkt *pkt);/* DATA_REQUEST */
void rx_data_reply(struct core *core, struct peer *peer, const struct pkt *pkt);  /* DATA_REPLY */
void rx_neg_dreply(struct core *core, struct peer *peer, const struct pkt *pkt);
/* RECV_ACK WRITE_ACK WRITE_ACK_IN_SYNC NEG_ACK */
void rx_block_ack(struct core *core, struct peer *peer, const struct pkt *pkt);
void rx_barrier(struct core *core, struct peer *peer, const struct pkt *pkt);
void rx_barrier_ack(struct core *core, struct peer *peer, const struct pkt *pkt);
void rx_confirm_stable(struct core *core, struct peer *peer, const struct pkt *pkt);
void rx_dagtag(struct core *core, struct peer *peer, const struct pkt *pkt);
void rx_peer_ack(struct core *core, struct peer *peer, const struct pkt *pkt);
/* we are Primary: 5.8 */
void rx_flush_requests(struct core *core, struct peer *peer, const struct pkt *pkt);
void rx_flush_forward(struct core *core, struct peer *peer, const struct pkt *pkt);

/* ================= sync: md.c bitmap.c uuid*.c resync*.c split_brain.c ======================== */

/* Memory from core_arena() and its initialisation; also
 * the bitmap and resync parts of peers and volumes. */
void sync_create(struct core *core);
/* Of one volume; uses again what it has. */
size_t sync_mem_bytes(void);
void sync_volume_create(struct core *core, struct volume *vol);
/* The superblock changed. md_sync: write it soon; returns the number that must become durable.
 * md_dirty: within 5 s. */
uint64_t md_sync(struct core *core, struct volume *vol);
void md_dirty(struct core *core, struct volume *vol);
void md_run(struct core *core);
void md_meta_done(struct core *core, const struct ev_done *done);
uint64_t md_deadline(const struct core *core);
/* Metadata flags after a state change (on-disk-metadata 5.2). Also writes AL_CLEAN and PRIMARY_IND
 * before any later activity-log transaction: call it before anything else reacts to the change. */
void md_state_changed(struct core *core, const struct state *old);
/* A peer that counts as Outdated is about to be connected: for quorum that has to be off the disk
 * before. */
void md_peer_returns(struct core *core, struct volume *vol, unsigned p);
/* Orderly detach: writes the bitmap, then the superblock with the flags of a clean stop. Call again
 * after each EV_META_DONE until it returns true; no local write may be in flight. */
bool md_quiesce(struct core *core, struct volume *vol);
/* No write of metadata is under way: only then may AC_DETACH
 * follow. WORK_PEERS is set when it becomes so. */
bool md_idle(const struct volume *vol);

/* After vol->md was filled and vol->phase set; vol->data_sectors known. */
void bitmap_attach(struct core *core, struct volume *vol, const struct bm_store *store);
/* At EV_DETACHED, or when the disk failed: forgets the
 * memory; setting bits is a no-op from then on. */
void bitmap_detach(struct core *core, struct volume *vol);
/* Any bit of these slots is set in the range (local reads
 * of an Inconsistent disk: allocated slots only). */
bool bitmap_test(const struct volume *vol, uint32_t slots, uint64_t sector, uint64_t sectors);
/* vol->size_sectors changed (0 before the first agreement); new bits are set, old ones kept. */
void bitmap_size_changed(struct core *core, struct volume *vol);
/* Slots as a mask; SLOTS_ALL includes unallocated ones. Sets round outward, clears inward (9.2). */
void bitmap_set(struct core *core, struct volume *vol, uint32_t slots, uint64_t sector,
		uint64_t sectors);
void bitmap_clear(struct core *core, struct volume *vol, uint32_t slots, uint64_t sector,
		  uint64_t sectors);
/* Slot masks by node mask: bit n of `nodes` -> slot of
 * node n. Unallocated slots: bitmap_slots_free(). */
uint32_t bitmap_slots_of(const struct volume *vol, uint64_t nodes);
uint32_t bitmap_slots_free(const struct volume *vol);
uint64_t bitmap_weight(const struct volume *vol, unsigned p); /* bits out of sync towards node p */
/* Writes the dirty pages that cover an AL extent; false when all are durable already, else
 * actlog_bitmap_clean() is called when they are. */
bool bitmap_write_extent(struct core *core, struct volume *vol, uint32_t extent);
/* Writes all dirty pages (demotion, disconnect, detach). bitmap_is_clean() tells when done. */
void bitmap_write_all(struct core *core, struct volume *vol);
bool bitmap_is_clean(const struct volume *vol);
void bitmap_meta_done(struct core *core, const struct ev_done *done);
uint64_t bitmap_deadline(const struct core *core);
void bitmap_time(struct core *core);

/* Is a new generation needed before the first write (1.6)? Then starts making it; the data path
 * holds application I/O while this is true, WORK_REQUESTS follows. */
bool uuid_bump_if_wanted(struct core *core);
bool uuid_bump_running(const struct core *core);
/* A generation has to be made, and waits until the others have agreed that a peer is lost. */
bool uuid_owed(const struct core *core);
/* A generation that a peer made is on its way to the disk. */
bool uuid_adopting(const struct core *core);
/* uuid_adopt.c: behind protocol A and B a generation waits for what was received before it. Before
 * it replaces the one in `md`; then its way to the disk; the end of a write of a peer. */
void uuid_adopt_begin(struct core *core, struct volume *vol);
void uuid_adopt_sync(struct core *core, struct volume *vol);
void uuid_adopt_written(struct core *core, const struct peer_request *preq);
/* Another generation follows, which does not wait. */
void uuid_adopt_at_once(struct core *core, struct volume *vol);
/* What is written to the disk meanwhile has the one before. */
void uuid_adopt_keep_old(const struct volume *vol, struct md_super *super);
/* Ends the mark of a crash once a Primary goes on with what is here, or all disks are equal. */
void uuid_settle_crash(struct core *core, struct volume *vol);
/* The generation that this node has shown follows what it sees. */
void uuid_update_exposed(struct core *core, struct volume *vol);
/* The disk is at the generation that this node shows its users, if it is Primary. */
bool uuid_disk_is_shown(const struct volume *vol, enum role role);
/* A generation is made here, on the own disk, after that one; the peer may take it over. */
void uuid_made(struct volume *vol, uint64_t before);
void uuid_made_told(struct volume *vol, const struct peer *peer, uint64_t uuid);
/* What this node has made last as Primary got onto no disk, not even its own, which is where it was
 * before: nothing was answered in it, and what counts is on that disk. */
bool uuid_take_back_made(const struct core *core, struct volume *vol);
/*
 * A Primary loses its disk, and peers that it has lost before lag behind it, for it has made no
 * generation without them: without quorum it makes none. From now on it counts on none of them.
 */
void uuid_disk_lost(struct core *core, const struct state *old, struct volume *vol);
/* The same if it loses them after the disk, with no generation made in between. */
void uuid_peers_lost(struct core *core, struct volume *vol);
/* No transaction runs any more: what was put off until then. */
void uuid_twopc_over(struct core *core);
/* A node without its disk says which data it vouches for, or that somebody went on from them. */
void uuid_tell_exposed(struct core *core, struct volume *vol);
/* What this node shows, to all who are connected. */
void uuid_send_exposed(struct core *core, struct volume *vol);
/* A new generation of a Primary without a good disk. */
void uuid_bump_exposed(struct core *core, struct volume *vol);
/* After a change of states: what follows for such a generation that is on no disk yet. */
void uuid_note_lagging(const struct core *core, const struct state *old, struct volume *vol);
void uuid_take_back_exposed(struct core *core, struct volume *vol);
/* This Primary made it without a disk, answered nothing in it and went on from the one before,
 * for it has not heard that a disk has it. */
bool uuid_was_lost(const struct volume *vol, uint64_t uuid);
/* Our disk has this generation, or had it once. */
bool uuid_known(const struct volume *vol, uint64_t uuid);
/* A generation, not 0, among references; among those that a node has told with its current one,
 * which has gone on from it then, or from one that has. */
bool uuid_is_among(const uint64_t *uuids, unsigned count, uint64_t uuid);
bool uuid_comes_after(const struct pkt_uuids *its, uint64_t uuid);
/* Something of the application has begun and has no answer; the end of it sets WORK_COMMAND while
 * I/O is suspended by command. */
bool request_under_way(const struct core *core);
/* A write without an answer has begun that this node does not have. */
bool request_unanswered_without(const struct core *core, const struct volume *vol, unsigned node);
/* A write was answered by protocol A or B before that node has said that it has it. */
bool request_answered_without(const struct core *core, const struct volume *vol, unsigned node);
/* Writes under way complete without a lost peer:
 * their generation must differ from its own. */
void uuid_bump_for_writes(struct core *core);
/* The generation that a Primary without a good disk has made last is on the peer's disk. */
bool uuid_peer_follows(const struct peer_device *pd, const struct volume *vol);
/* lost_source.c */
void lost_source_state_changed(struct core *core, const struct state *old, struct volume *vol);
/* What a peer that lacks it is told; the reference towards the peer that goes with it. */
void lost_source_fill(const struct core *core, const struct peer *peer, const struct volume *vol,
		      struct pkt_uuids *out);
uint64_t lost_source_reference(const struct core *core, const struct peer *peer,
			       const struct volume *vol);
/* The peer has told its generation. */
void lost_source_judge(struct core *core, struct peer *peer, struct volume *vol);
void lost_source_run(struct core *core, struct volume *vol);
/* The peer has what we have, and tells that a node out of sight may have it, too. */
void uuid_told_given_away(struct core *core, struct volume *vol, const struct peer_device *pd);
/* The peer has gone on from what this node has: our disk is Outdated, and follows. */
void uuid_follow_if_behind(struct core *core, struct volume *vol, struct peer *peer);
/* 1.6 triggers, STABLE changes, exposed uuid; called by state_effects. */
void uuid_state_changed(struct core *core, const struct state *old);
/* Fills and sends P_UUIDS110 (diskful) or P_CURRENT_UUID
 * (diskless) with extra flags; remembers it as sent. */
void uuid_send(struct core *core, struct peer *peer, unsigned v, uint64_t flags,
	       uint64_t node_mask);
/* P_CURRENT_UUID: of a node without a good disk. */
void uuid_send_current(struct core *core, struct peer *peer, unsigned v);
/* The generation that was being written when the disk went. */
void uuid_announce_pending(struct core *core, struct volume *vol);
/* Primaries whose writes reach us. */
uint64_t uuid_authoritative_nodes(const struct core *core, unsigned v);
/* Called at attach: slots for configured peers,
 * crashed-primary mark, FULL_SYNC guard; -errno + reason. */
int uuid_attach(struct core *core, struct volume *vol, const char **reason);
/* Forced promotion, new-current-uuid (1.12). */
void uuid_forced_primary(struct core *core);
enum state_rv uuid_new_current(struct core *core, struct volume *vol, bool clear_bitmap);
void rx_uuids(struct core *core, struct peer *peer, const struct pkt *pkt);       /* UUIDS110 */
void rx_current_uuid(struct core *core, struct peer *peer, const struct pkt *pkt);
void rx_peer_dagtag(struct core *core, struct peer *peer, const struct pkt *pkt);

/*
 * The handshake decision for one volume, from what both sides sent (states-and-resync 2.3-2.6).
 * Pure with respect to state: fills pd->verdict {kind, repl, reason}. Called when both states are
 * known, on both sides, inside the connect 2PC; applied by sync_verdict_apply() at its commit.
 */
void sync_handshake(struct core *core, struct peer *peer, struct volume *vol);
/*
 * The generations are equal, but one of the two (1: this node, -1: the peer) has not gone through
 * with the resize that the other has: what is new comes from there, or from the Primary.
 */
void sync_fill_growth(struct core *core, struct peer *peer, struct volume *vol, int missed);
/* The same decision again on a running connection, with present values (2.5 last line, 2.7):
 * "consider resync" after a forced promotion, peer reports StartingSyncS/T or WFBitMapT while
 * Established. Changes repl itself. */
void sync_consider(struct core *core, struct peer *peer, struct volume *vol);
/* The same where the peer has not begun one: not before the end of a resize. */
void sync_propose(struct core *core, struct peer *peer, struct volume *vol);
bool sync_waits_for_resize(const struct core *core, const struct volume *vol);
/* A bitmap of this peer is half received: only P_BITMAP and P_COMPRESSED_BITMAP of that volume may
 * follow on the data stream (5.1). True = this packet is a protocol error. */
bool sync_foreign_packet(const struct peer *peer, const struct pkt *pkt);
/* Bitmap and uuid actions of the verdict (copy, clear,
 * set all); after the commit, before repl is entered. */
void sync_verdict_apply(struct core *core, struct peer *peer, struct volume *vol);

/* Called by state_effects for each peer device whose repl changed. */
void sync_repl_changed(struct core *core, struct peer_device *pd, enum repl_state old);
/* Connection lost: forget transfers and requests of this peer device, keep bits. */
void sync_peer_lost(struct core *core, struct peer *peer);
/* A verify that runs ends where the volume does now. */
void verify_size_changed(struct core *core, struct volume *vol);
/* Requests of this resync are in flight (choice of one SyncTarget per volume, 5.3). */
bool resync_active(const struct core *core, const struct peer_device *pd);
void resync_run(struct core *core);
void resync_time(struct core *core);
/* Resyncs of other resources begin or end to be in the way. */
void resync_gate(struct core *core, const struct ev_resync_gate *gate);
uint64_t resync_deadline(const struct core *core);
void resync_read_done(struct core *core, const struct ev_done *done);
void resync_write_done(struct core *core, const struct ev_done *done);
/* Data path: an application or peer write overlaps; outstanding resync requests for that range are
 * superseded: their replies are acknowledged but not written, the bits stay. Called before the
 * write is submitted to the disk, on every write, so it must be cheap when no resync runs. */
void resync_write_overlaps(struct core *core, struct volume *vol, uint64_t sector,
			   uint64_t sectors);
/* Data path: a write is about to go out. True: the answer to what is being read for a resync target
 * has to go first, or the ack of that answer to come; request_kept_release() follows. What is not
 * read yet is refused. */
bool resync_keeps_write(struct core *core, struct volume *vol, uint64_t sector, uint64_t sectors);
/* Data path: dagtag of the stream from `peer` advanced; delayed reads of the source may go. */
void resync_dagtag_reached(struct core *core, struct peer *peer);
/* BITMAP COMPRESSED_BITMAP */
void rx_bitmap(struct core *core, struct peer *peer, const struct pkt *pkt);
/* RS_DATA_REQUEST RS_DAGTAG_REQ CSUM_RS_REQUEST RS_CSUM_DAGTAG_REQ OV_REQUEST OV_DAGTAG_REQ */
void rx_rs_request(struct core *core, struct peer *peer, const struct pkt *pkt);
/* RS_DATA_REPLY */
void rx_rs_reply(struct core *core, struct peer *peer, const struct pkt *pkt);
void rx_rs_deallocated(struct core *core, struct peer *peer, const struct pkt *pkt);
/* NEG_RS_DREPLY RS_CANCEL RS_CANCEL_AHEAD */
void rx_rs_negative(struct core *core, struct peer *peer, const struct pkt *pkt);
void rx_rs_is_in_sync(struct core *core, struct peer *peer, const struct pkt *pkt);
/* Ends the verifies with this peer that run from here. */
void verify_alg_changed(struct core *core, struct peer *peer);
/* history.c: a verify ended that has found something. */
void history_differences(struct core *core, const struct peer_device *pd);
/* verify_schedule.c: another verify-interval. */
void verify_schedule_changed(struct core *core);
/* OV_REPLY OV_DAGTAG_REPLY */
void rx_ov_reply(struct core *core, struct peer *peer, const struct pkt *pkt);
/* OV_RESULT OV_RESULT_ID */
void rx_ov_result(struct core *core, struct peer *peer, const struct pkt *pkt);
/* RS_WRITE_ACK RS_NEG_ACK */
void rx_rs_ack(struct core *core, struct peer *peer, const struct pkt *pkt);
void rx_out_of_sync(struct core *core, struct peer *peer, const struct pkt *pkt);
void rx_peers_in_sync(struct core *core, struct peer *peer, const struct pkt *pkt);
void rx_flush_requests_ack(struct core *core, struct peer *peer, const struct pkt *pkt);

/* Handshake with RECONCILE_RECONNECT agreed: the lost Primary to name in P_PEER_DAGTAG, as first
 * packet of step 7 (wire-protocol 4.9); false = none to name. */
bool reconcile_name_lost(struct core *core, struct peer *peer, struct pkt_dagtag *out);
/* A Primary was lost: notice to the other survivors, hold at Consistent until settled (5.6). */
void reconcile_primary_lost(struct core *core, struct peer *peer);
/* The peer has just lost the Primary that this node lost before it, and will tell how much of its
 * stream it has got: that goes before what the disk states say. */
bool reconcile_awaits(const struct core *core, const struct peer *peer, const struct volume *vol);
/* Before the first word of its own stream after it was connected again. */
void reconcile_lost_is_back(struct core *core, const struct peer *peer);
void reconcile_state_changed(struct core *core);
void reconcile_run(struct core *core);
/* Own disk must not become UpToDate yet. */
bool reconcile_holds(const struct core *core);
/* Positions in the lost one's stream are still to be compared; only resyncs follow after that. */
bool reconcile_compares(const struct core *core, const struct peer *lost);
/* It is no peer any more. */
void reconcile_forget(struct core *core, const struct peer *lost);

/* ---- replicate.c ---- */

/* The exchange of a connection, or of a volume that both have got: what this node wants. */
void replicate_connects(struct core *core, struct peer_device *pd);
/* The target has been over the device once more, and there are bits left. */
void replicate_pass_ended(struct core *core, struct peer_device *pd);
/* From now on all peers are to send what is written; true = one of them had been told not to. */
bool replicate_enable(struct core *core, unsigned v);
/* The disk here is Inconsistent now. */
void replicate_begins(struct core *core, unsigned v);
/* What follows for st.pd[][].no_data. */
void replicate_sanitize(const struct core *core, const struct state *old, struct state *next);
void rx_enable_replication_next(struct core *core, struct peer *peer, const struct pkt *pkt);
void rx_enable_replication(struct core *core, struct peer *peer, const struct pkt *pkt);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of the sync part offer each other. */
#ifndef CORE_RESYNC_INT_H
#define CORE_RESYNC_INT_H

#include "core/core_int.h"
#include "core/state.h"

/* ---- resync.c ---- */

/* Bits of these slots were set explicitly: requests
 * under way there must not clear them when they end. */
void resync_bits_set(struct volume *vol, uint32_t slots, uint64_t sector, uint64_t sectors);
/* The disk is gone: what is at it comes back with an error or not at all. */
void resync_disk_gone(struct core *core, struct volume *vol);
/* What bitmap_settle() was asked for is durable. */
void resync_bitmap_durable(struct core *core, struct volume *vol);
/* A superblock became durable. */
void resync_md_durable(struct core *core, struct volume *vol);
/* Bits towards this peer device still to be resynced. */
uint64_t resync_left(const struct core *core, const struct peer_device *pd);
/* Primaries that the source takes part with and this node does not see. */
uint64_t resync_unseen_primaries(const struct core *core, const struct peer_device *pd);
/* Primaries write to this source behind our back: what
 * we get from it may lack their last writes (1.9). */
bool resync_source_unstable(const struct core *core, const struct peer_device *pd);
/* Neither has a Primary behind the other's back: a resync between the two can be trusted. */
bool resync_same_primaries(const struct core *core, const struct peer_device *pd);
bool resync_is_target(enum repl_state repl);
/* By which the two compare blocks, "" = they cannot. */
const char *resync_digest(const struct peer *peer);
bool resync_is_source(enum repl_state repl);
/* The resync starts now: counters, marks. */
void resync_begin(struct core *core, struct peer_device *pd);
/* Requests of a volume; in the watch map of their kind while in use. NULL = none free. */
struct rs_request *rs_target_get(struct volume *vol, uint64_t sector, uint32_t bytes);
struct rs_request *rs_source_get(struct volume *vol, uint64_t sector, uint32_t bytes,
				 enum rs_kind kind);
void rs_target_put(struct core *core, struct volume *vol, struct rs_request *rq);
void rs_source_put(struct core *core, struct volume *vol, struct rs_request *rq);
/* Acks and negative answers on the control stream; the block id travels from protocol 122 on. */
void rs_answer(struct core *core, const struct rs_request *rq, enum packet type);
/* The block id of this packet is that of the request, as far as the protocol tells (5.4). */
bool rs_id_matches(const struct peer *peer, const struct rs_request *rq, uint64_t block_id);
/* Range of a packet: whole sectors, not empty, at most 1 MiB, within the volume. */
bool rs_range_ok(const struct volume *vol, const struct pkt_block *block);

/* Makes ids of requests unique. */
uint64_t rs_block_id(struct volume *vol, const struct rs_request *rq);
/* The stream position that the peer must have reached before it reads (5.4). */
void rs_set_dependency(const struct core *core, struct pkt_block *block);

/* ---- resync_target.c ---- */

void target_start(struct core *core, struct peer_device *pd);
/* Sends what the controller allows now; looks whether the resync is finished. */
void target_run(struct core *core, struct peer_device *pd);
void target_time(struct core *core, struct peer_device *pd);
uint64_t target_deadline(const struct core *core, const struct peer_device *pd);
/* Gives up all requests towards this source; their bits stay. `connected`: replies still come. */
void target_drop(struct core *core, struct peer_device *pd, bool connected);
void target_bitmap_durable(struct core *core, struct volume *vol);
/* What waits for the disk or the bitmap fails. */
void target_disk_gone(struct core *core, struct volume *vol);

/* ---- resync_source.c ---- */

/* Ends serving this target. `connected`: what it waits
 * for is cancelled, replies that are out stay. */
void source_drop(struct core *core, struct peer_device *pd, bool connected);
/* A node is gone: reads that depend on its stream will never be served. */
void source_dependency_lost(struct core *core, unsigned node);
void source_time(struct core *core, struct volume *vol);
uint64_t source_deadline(const struct volume *vol);
/* Reads that waited for the window. */
void source_run(struct core *core, struct volume *vol);
/* What the packet says about a read: stream position, digest. */
void source_note(struct rs_request *rq, const struct pkt *pkt);
/* The read is due as soon as the stream position is reached. */
void source_queue(struct core *core, struct volume *vol, struct rs_request *rq);
/* Once more, in the same place of the window. */
void source_read(struct core *core, struct volume *vol, struct rs_request *rq);
void source_leave_window(struct volume *vol, const struct rs_request *rq);
/* Takes the request off; `answer` 0 = none. */
void source_end(struct core *core, struct volume *vol, struct rs_request *rq, unsigned answer);
/* The request of this peer that the packet is about; NULL = none. */
struct rs_request *source_find(const struct peer *peer, struct volume *vol,
			       const struct pkt_block *block, enum rs_state state,
			       bool (*is_kind)(enum rs_kind kind), bool by_id);

/* ---- verify_schedule.c ---- */

void verify_schedule_time(struct core *core);
uint64_t verify_schedule_deadline(const struct core *core);
/* All of the device has been compared now. */
void verify_schedule_next(struct core *core, struct peer_device *pd);
/* The command for a repair or a verify that is to begin; false = none is. */
bool verify_next_command(struct core *core, struct ev_command *ev);

/* ---- verify.c ---- */

bool verify_is_running(enum repl_state repl);
void verify_enter(struct core *core, struct peer_device *pd);
void verify_leave(struct core *core, struct peer_device *pd, enum repl_state old, bool connected);
void verify_peer_lost(struct core *core, struct peer_device *pd);
/* Looks whether it is finished, or has to end. */
void verify_run(struct core *core, struct peer_device *pd);
/* Sends what the controller allows now. */
void verify_time(struct core *core, struct peer_device *pd);
/* As its target: a request is here. */
void verify_requested(struct core *core, struct peer_device *pd, const struct pkt_block *block);
/* What was to be read for a verify is read; digest NULL = it cannot be read. */
void verify_read_done(struct core *core, struct volume *vol, struct rs_request *rq,
		      const uint8_t *digest, uint32_t digest_bytes);
/* As its source: this block is not compared now. */
void verify_skip(struct core *core, struct volume *vol, struct rs_request *rq);
/* A request of its source goes back. */
void verify_source_freed(struct core *core, const struct volume *vol,
			 const struct rs_request *rq);
/* A negative answer to a request for a digest; false = there is none. */
bool verify_refused(struct core *core, struct peer *peer, struct volume *vol,
		    const struct pkt_block *block);

/* ---- resync_rate.c ---- */

/* Sectors to ask for in this tick (5.5). */
uint64_t rate_tick(struct core *core, struct peer_device *pd);
void rate_reset(struct core *core, struct peer_device *pd);
/* As a source: the application comes first; else it is counted as read. */
bool rate_source_waits(struct core *core, struct volume *vol, uint32_t sectors);

/* ---- resync_finish.c ---- */

/* Nothing left and nothing in flight at the target: flush requests, uuids, state. */
void finish_try(struct core *core, struct peer_device *pd);
/* A node is gone or changed: it owes no flush ack any more. */
void finish_peer_lost(struct core *core, struct peer *peer);
/* As a target: the generation comes with the end of the resync, if the source has it: what the
 * Primary `by`, maybe this node, sends it may never arrive. `weak`: who does not take part. */
void finish_promised(struct core *core, const struct volume *vol, unsigned by, uint64_t uuid,
		     uint64_t weak);
/* P_UUIDS110 of a connected peer: maybe it does not hear from some Primary any more. */
void finish_uuids_received(struct core *core, struct peer_device *teller);

/* ---- sync_handshake.c ---- */

/* As sync_handshake() from what is known of a connected
 * peer. `counts_stale`: without an exchange right before. */
void sync_handshake_again(struct core *core, struct peer *peer, struct volume *vol,
			  bool counts_stale);

/* The peer's generation is one that ours led to: it has what we lack. */
bool sync_is_newer(const struct core *core, const struct peer *peer, const struct volume *vol);
/* It is somewhere before what it would be told now. */
bool sync_lacks_told(const struct core *core, const struct peer *peer, const struct volume *vol);
/* Ours is one that the connected peer's led to. */
bool sync_is_older(const struct core *core, const struct peer *peer, const struct volume *vol);
/* By what both have told, a resync between the two would be from here, had this node that role. */
bool sync_leads(const struct core *core, const struct peer *peer, const struct volume *vol,
		enum role as);

/* ---- outdated.c ---- */

/* Connected disks that stay different, or keep bits, are decided about again after a while. */
void leftover_run(struct core *core, struct peer_device *pd);
void leftover_time(struct core *core, struct peer_device *pd);

/* Own disks that are Outdated but as new as any become UpToDate. */
void outdated_run(struct core *core);
/* Peers that are not behind what this diskless node has shown any more. */
void trust_run(struct core *core);

/* ---- reconcile.c ---- */

/* A resync with this source ended well. */
void reconcile_resynced(struct core *core, const struct peer_device *pd);

/* ---- announce.c: P_PEERS_IN_SYNC ---- */

/* A resync ended well: tell the others about the whole device. */
void announce_all(struct core *core, struct volume *vol);
void announce_time(struct core *core, struct volume *vol);
/* Generations changed here or there: claims of this peer count only from now on. */
void announce_fence(struct core *core, struct peer_device *pd);
/* Tells the peer when no bits are left towards it,
 * and when this node is no sync target any more. */
void announce_count(struct core *core, struct peer_device *pd);
/* Some disk started or ended to be good: what was claimed before is void. */
void announce_fences_reset(struct core *core, struct volume *vol);

/* ---- bitmap_xfer.c ---- */

void xfer_send(struct core *core, struct peer_device *pd);
void xfer_expect(struct peer_device *pd);
void xfer_reset(struct peer_device *pd);
/* Both bitmaps are here and nothing is to be done first: the resync. */
void xfer_go_on(struct core *core, struct peer_device *pd);
/* The handler that was asked before the resync has agreed. */
void xfer_agreed(struct core *core, struct peer_device *pd);

/* ---- save.c ---- */

/* True: the resync has to wait, xfer_go_on() comes later. */
bool save_begin(struct core *core, struct peer_device *pd);
/* The transfer of bitmaps is over, or lost: nothing waits for a save any more. */
void save_forget(struct peer_device *pd);

/* ---- uuid.c, uuid_rx.c ---- */

/* Before the first request of a resync: rotation, start uuid (1.9). */
void uuid_resync_start(struct core *core, struct peer_device *pd);
/* Finished, source UpToDate and stable: adopts the
 * source's generation; superblock number to wait for. */
uint64_t uuid_resync_finished(struct core *core, struct peer_device *pd);
/* P_UUIDS110 or P_CURRENT_UUID to every connected peer. */
void uuid_send_all(struct core *core, unsigned v, uint64_t flags, uint64_t node_mask);
/* What uuid_send() would put into P_UUIDS110 now. */
void uuid_fill(const struct core *core, const struct peer *peer, const struct volume *vol,
	       uint64_t flags, uint64_t node_mask, struct pkt_uuids *out);
void uuid_md_durable(struct core *core, struct volume *vol);
/* Puts a value into the history (1.4); `node` is the entry it comes from, NODES_MAX = none. */
void uuid_push_history(struct volume *vol, uint64_t value, unsigned node);
/* 1.5 part 1; false = nothing was set. */
bool uuid_rotate(struct core *core, struct volume *vol, uint64_t weak, uint64_t dagtag);
void uuid_set_current(struct core *core, struct volume *vol, uint64_t value);
uint64_t uuid_random(struct core *core);
/* A Primary's: uuid_adopt_sync() follows. */
void uuid_put_current(struct core *core, struct volume *vol, uint64_t value);
/* Resync target of some peer on this volume, except of node `but`; NULL = none. */
struct peer_device *uuid_sync_source(const struct core *core, const struct volume *vol,
				     unsigned but);
/* No difference any more towards this node: its reference goes to the history. */
void uuid_forget_bitmap_uuid(struct core *core, struct volume *vol, unsigned p);

#endif

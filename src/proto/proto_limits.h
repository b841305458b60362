/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Limits and constants that the wire, the metadata and the core share. */
#ifndef PROTO_LIMITS_H
#define PROTO_LIMITS_H

#include <stdint.h>

#define NODES_MAX 32           /* node ids 0..31 (P_CONNECTION_FEATURES, metadata peers[]) */
#define VOLUMES_MAX 32         /* volumes of one resource */
#define VNR_NONE 0xffffU       /* connection-wide packet */
#define VNR_MAX 65534U
#define SECTOR_BYTES 512U
#define BM_BLOCK_BYTES 4096U   /* bytes per bitmap bit on the wire and by default on disk */
#define BM_BLOCK_SECTORS 8U
#define BIO_MAX_BYTES (1U << 20)        /* largest P_DATA payload */
#define DISCARD_MAX_BYTES (128U << 20)  /* largest P_TRIM / P_ZEROES when WSAME is agreed */
#define HISTORY_UUIDS 32
#define UUID_JUST_CREATED UINT64_C(4)
#define UUID_PRIMARY UINT64_C(1)        /* marker bit, masked in every comparison */
#define SYNC_UUID_STEP (UINT64_C(1) << 48) /* before 110: from a reference to that of its resync */
#define UUID_UNKNOWN UINT64_MAX         /* "not in the sender's mask" */
#define SHARED_SECRET_MAX 64            /* with the NUL */
#define ALG_NAME_MAX 64                 /* with the NUL */
#define DIGEST_MAX_BYTES 64
#define AUTH_CHALLENGE_BYTES 64U
/* Options quorum and quorum-minimum-redundancy: a number of nodes 1..32, or one of these. */
#define QUORUM_OFF 0U
#define QUORUM_MAJORITY 33U
#define QUORUM_ALL 34U
#define NAME_MAX_BYTES 128              /* resource and node names, with the NUL */
#define VOLUME_REF_MAX (NAME_MAX_BYTES + 8) /* "RES/VOL", with the NUL */

#define APV_MIN 118            /* agreed protocol versions that this program speaks */
#define APV_MAX 124
#define APV_8_4 101            /* the last one before DRBD 9; 102 to 117 are nobody's, or 9.0's */

#define FEATURE_TRIM 0x001U
#define FEATURE_THIN_RESYNC 0x002U
#define FEATURE_WSAME 0x004U
#define FEATURE_WZEROES 0x008U
#define FEATURE_RESYNC_DAGTAG 0x010U
#define FEATURE_TWOPC_V2 0x020U
#define FEATURE_RS_SKIP_UUID 0x040U
#define FEATURE_RESYNC_WITHOUT_REPLICATION 0x080U
#define FEATURE_BM_BLOCK_SHIFT 0x100U
#define FEATURE_RECONCILE_RECONNECT 0x200U
/* The far end of the word, where DRBD's will not come for long: the peer is drbdfs, too. */
#define FEATURE_DRBDFS 0x80000000U
/*
 * What this program offers in P_CONNECTION_FEATURES. Of what DRBD 9.1 to 9.3 offer RS_SKIP_UUID is
 * not among it (only who is told of a skipped initial sync).
 * BM_BLOCK_SHIFT is, so that a peer whose bitmap is coarser says so and can be refused.
 */
#define FEATURES_OFFERED                                                                           \
	(FEATURE_TRIM | FEATURE_THIN_RESYNC | FEATURE_WSAME | FEATURE_WZEROES |                    \
	 FEATURE_RESYNC_DAGTAG | FEATURE_TWOPC_V2 | FEATURE_BM_BLOCK_SHIFT |                       \
	 FEATURE_RESYNC_WITHOUT_REPLICATION | FEATURE_RECONCILE_RECONNECT | FEATURE_DRBDFS)

/* Activity log (on-disk-metadata 8). */
#define AL_EXTENT_SHIFT 22              /* 4 MiB */
#define AL_EXTENT_SECTORS (1U << (AL_EXTENT_SHIFT - 9))
#define AL_UPDATES_MAX 64
#define AL_CONTEXT_MAX 919
#define AL_EXTENTS_MIN 67
#define AL_EXTENTS_DEFAULT 1237
#define AL_EXTENTS_MAX 6433             /* what the default ring of 8 blocks can carry */
#define AL_FREE 0xffffffffU             /* slot without extent */

#endif

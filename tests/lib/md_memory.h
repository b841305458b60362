/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The metadata of one volume in memory, for cores under test: what a crash leaves of them. */
#ifndef TEST_MD_MEMORY_H
#define TEST_MD_MEMORY_H

#include "core/core.h"

#define MD_MEMORY_PEERS 7U
#define MD_MEMORY_AL_SLOTS 8192U

struct md_memory {
	uint64_t sectors;                      /* of the data area */
	struct md_super super;
	uint64_t words;                        /* per bitmap slot */
	uint64_t *slot[MD_MEMORY_PEERS];
	uint64_t *core_slot[MD_MEMORY_PEERS];  /* the running core's, not durable until written */
	uint32_t al[MD_MEMORY_AL_SLOTS];
};

/* As drbdmeta create-md: all is out of sync. */
void md_memory_create(struct md_memory *md, uint64_t sectors, unsigned max_peers);
void md_memory_free(struct md_memory *md);
/* Carries one of AC_META_* out. */
void md_memory_write(struct md_memory *md, const struct core_action *a);
/* As drbdmeta apply-al; then what the core is told: EV_ATTACHED. */
struct core_event md_memory_attach(struct md_memory *md, uint16_t vnr);
/* The store has the size that it had: EV_RESIZED. */
struct core_event md_memory_resize(struct md_memory *md, const struct ac_resize *a);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A plain model of an activity log that writes its transactions into a ring in memory. */
#ifndef AL_MODEL_H
#define AL_MODEL_H

#include <stdint.h>

#include "meta/meta_al.h"

struct al_model {
	uint32_t stripes, stripe_4k;
	uint32_t slot_count;
	uint32_t next_number;
	uint32_t context_start;
	uint32_t extent[META_AL_SLOTS_MAX]; /* the truth after the last transaction */
	uint32_t before[META_AL_SLOTS_MAX]; /* the truth before it */
	uint8_t *ring;                      /* owned */
};

/* A fresh, initialised ring whose first transaction will be `first`. */
void al_model_init(struct al_model *m, uint32_t stripes, uint32_t stripe_4k, uint32_t slot_count,
		   uint32_t first);
void al_model_release(struct al_model *m);
/* Writes a transaction that puts extent[i] into slot[i]. */
void al_model_write(struct al_model *m, unsigned count, const uint32_t *slot,
		    const uint32_t *extent);
/* Block of transaction `number` in the ring. */
uint8_t *al_model_block(struct al_model *m, uint32_t number);
/* Replays the ring. */
enum meta_al_outcome al_model_replay(struct al_model *m, struct meta_al_table *table);

#endif

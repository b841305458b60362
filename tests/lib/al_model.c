/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Model of an activity log after on-disk-metadata 8, without the replay under test. */
#include "al_model.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

void al_model_init(struct al_model *m, uint32_t stripes, uint32_t stripe_4k, uint32_t slot_count,
		   uint32_t first)
{
	uint32_t blocks = stripes * stripe_4k;

	m->stripes = stripes;
	m->stripe_4k = stripe_4k;
	m->slot_count = slot_count;
	m->next_number = first;
	m->context_start = 0;
	memset(m->extent, 0xff, sizeof(m->extent));
	memset(m->before, 0xff, sizeof(m->before));
	m->ring = malloc((size_t)blocks * MD_PAGE_BYTES);
	ASSERT(m->ring);
	for (uint32_t i = 0; i < blocks; i++)
		meta_al_encode_initialised(m->ring + (size_t)i * MD_PAGE_BYTES);
}

void al_model_release(struct al_model *m)
{
	free(m->ring);
}

uint8_t *al_model_block(struct al_model *m, uint32_t number)
{
	uint32_t p = number % (m->stripes * m->stripe_4k);

	return m->ring + (size_t)(p % m->stripes * m->stripe_4k + p / m->stripes) * MD_PAGE_BYTES;
}

void al_model_write(struct al_model *m, unsigned count, const uint32_t *slot,
		    const uint32_t *extent)
{
	struct al_transaction tr;

	memset(&tr, 0, sizeof(tr));
	tr.number = m->next_number++;
	tr.update_count = (uint16_t)count;
	tr.context_size = (uint16_t)m->slot_count;
	tr.context_start = (uint16_t)m->context_start;
	for (unsigned i = 0; i < AL_CONTEXT_MAX && m->context_start + i < m->slot_count; i++)
		tr.context[i] = m->extent[m->context_start + i];
	m->context_start += AL_CONTEXT_MAX;
	if (m->context_start >= m->slot_count)
		m->context_start = 0;
	memcpy(m->before, m->extent, sizeof(m->before));
	for (unsigned i = 0; i < count; i++) {
		tr.update_slot[i] = (uint16_t)slot[i];
		tr.update_extent[i] = extent[i];
		m->extent[slot[i]] = extent[i];
	}
	meta_al_encode(&tr, al_model_block(m, tr.number));
}

static int read_block(void *ctx, uint32_t index, uint8_t block[static MD_PAGE_BYTES])
{
	struct al_model *m = ctx;

	ASSERT(index < m->stripes * m->stripe_4k);
	memcpy(block, m->ring + (size_t)index * MD_PAGE_BYTES, MD_PAGE_BYTES);
	return 0;
}

enum meta_al_outcome al_model_replay(struct al_model *m, struct meta_al_table *table)
{
	struct meta_al_ring ring = {
		.stripes = m->stripes, .stripe_4k = m->stripe_4k, .read = read_block, .ctx = m
	};
	enum meta_al_outcome outcome;
	int rc = meta_al_replay(&ring, table, &outcome);

	ASSERT(rc == 0);
	return outcome;
}

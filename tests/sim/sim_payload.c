/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Payload references of all nodes: content tags, counted as the contract of core.h says. */
#include <stdlib.h>
#include <string.h>

#include "sim.h"

static struct sim_payload *lookup(struct world *w, uint32_t id)
{
	if (id == 0 || id > w->payloads.count || !w->payloads.p[id - 1].in_use)
		sim_fail(w, "payload %u does not exist", id);
	return &w->payloads.p[id - 1];
}

static uint32_t grow(struct sim_payloads *ps)
{
	if (ps->count == ps->cap) {
		ps->cap = ps->cap ? ps->cap * 2 : 256;
		ps->p = realloc(ps->p, ps->cap * sizeof(*ps->p));
		ASSERT(ps->p);
	}
	memset(&ps->p[ps->count], 0, sizeof(ps->p[0]));
	return ++ps->count;
}

struct payload payload_new(struct world *w, unsigned node, uint32_t bytes)
{
	struct sim_payloads *ps = &w->payloads;
	uint32_t sectors = bytes / SECTOR_BYTES;
	uint32_t id = ps->free_head;
	struct sim_payload *p;

	if (id != 0)
		ps->free_head = ps->p[id - 1].next_free;
	else
		id = grow(ps);
	p = &ps->p[id - 1];
	if (p->cap_sectors < sectors) {
		p->cap_sectors = sectors;
		p->tags = realloc(p->tags, sectors * sizeof(*p->tags));
		ASSERT(p->tags);
	}
	p->node = (uint8_t)node;
	p->in_use = true;
	p->core_refs = 1;
	p->io_refs = 0;
	p->bytes = bytes;
	return (struct payload){ .id = id, .bytes = bytes };
}

static void maybe_free(struct world *w, uint32_t id)
{
	struct sim_payload *p = &w->payloads.p[id - 1];

	if (p->core_refs > 0 || p->io_refs > 0)
		return;
	p->in_use = false;
	p->next_free = w->payloads.free_head;
	w->payloads.free_head = id;
}

uint64_t *payload_tags(struct world *w, struct payload payload)
{
	return lookup(w, payload.id)->tags;
}

void payload_io_get(struct world *w, unsigned node, struct payload payload)
{
	struct sim_payload *p = lookup(w, payload.id);

	if (p->node != node || p->core_refs == 0)
		sim_fail(w, "node %u uses payload %u without a reference", node, payload.id);
	if (payload.bytes != p->bytes)
		sim_fail(w, "node %u says payload %u has %u bytes, it has %u", node, payload.id,
			 payload.bytes, p->bytes);
	p->io_refs++;
}

void payload_io_put(struct world *w, struct payload payload)
{
	struct sim_payload *p = lookup(w, payload.id);

	ASSERT(p->io_refs > 0);
	p->io_refs--;
	maybe_free(w, payload.id);
}

void payload_core_put(struct world *w, unsigned node, struct payload payload)
{
	struct sim_payload *p = lookup(w, payload.id);

	if (p->node != node || p->core_refs == 0)
		sim_fail(w, "node %u puts payload %u twice", node, payload.id);
	p->core_refs--;
	maybe_free(w, payload.id);
}

void payload_node_died(struct world *w, unsigned node)
{
	for (uint32_t id = 1; id <= w->payloads.count; id++) {
		struct sim_payload *p = &w->payloads.p[id - 1];

		if (!p->in_use || p->node != node)
			continue;
		p->core_refs = 0;
		maybe_free(w, id);
	}
}

unsigned payload_core_held(const struct world *w, unsigned node)
{
	unsigned n = 0;

	for (unsigned i = 0; i < w->payloads.count; i++) {
		const struct sim_payload *p = &w->payloads.p[i];

		n += p->in_use && p->node == node && p->core_refs > 0;
	}
	return n;
}

void payload_reset(struct world *w)
{
	struct sim_payloads *ps = &w->payloads;

	ps->free_head = 0;
	for (uint32_t id = ps->count; id >= 1; id--) {
		ps->p[id - 1].in_use = false;
		ps->p[id - 1].next_free = ps->free_head;
		ps->free_head = id;
	}
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The operator's programs: how long they run, and what they say. */
#include "sim.h"

static bool is_pending(const struct sim_handlers *h, uint64_t run)
{
	return h->runs[run % SIM_HANDLER_RUNS].number == run + 1;
}

static void ends(struct world *w, uint64_t run, uint64_t node)
{
	struct sim_handlers *h = &w->handlers;
	const struct sim_handler_run *r = &h->runs[run % SIM_HANDLER_RUNS];
	struct core_event ev = { .kind = EV_HANDLER_DONE };

	/* Its node has died since. */
	if (!is_pending(h, run) || r->life != w->nodes[node].life ||
	    node_holds(w, (unsigned)node, ends, run, node))
		return;
	ev.u.handler.tag = r->call.tag;
	ev.u.handler.status = h->answer[r->call.what];
	sim_trace(w, "node %u: handler %s ends with %d", (unsigned)node,
		  handler_name(r->call.what), ev.u.handler.status);
	node_step(w, (unsigned)node, &ev);
}

void handler_runs(struct world *w, unsigned node, const struct ac_handler *call)
{
	struct sim_handlers *h = &w->handlers;
	uint64_t number = h->count++;

	h->runs[number % SIM_HANDLER_RUNS] = (struct sim_handler_run){
		.number = number + 1, .life = w->nodes[node].life, .call = *call,
	};
	h->calls[node][call->what]++;
	sim_trace(w, "node %u: handler %s for node %u begins", node, handler_name(call->what),
		  call->peer);
	world_at(w, h->delay_ns, ends, number, node);
}

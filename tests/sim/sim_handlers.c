/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The operator's programs: how long they run, and what they say. */
#include "sim.h"

struct sim_handler_run *handler_run(struct world *w, uint64_t run)
{
	struct sim_handler_run *r = &w->handlers.runs[run % SIM_HANDLER_RUNS];

	return r->number == run + 1 ? r : NULL;
}

static void ends(struct world *w, uint64_t run, uint64_t node)
{
	const struct sim_handler_run *r = handler_run(w, run);
	struct core_event ev = { .kind = EV_HANDLER_DONE };

	/* Its node has died since. */
	if (!r || r->life != w->nodes[node].life ||
	    node_holds(w, (unsigned)node, ends, run, node))
		return;
	ev.u.handler.tag = r->call.tag;
	ev.u.handler.status = r->status;
	sim_trace(w, "node %u: handler %s ends with %d", (unsigned)node,
		  handler_name(r->call.what), ev.u.handler.status);
	node_step(w, (unsigned)node, &ev);
}

void handler_says(struct world *w, unsigned node, uint64_t run, int status, uint64_t delay_ns)
{
	struct sim_handler_run *r = handler_run(w, run);

	if (!r || r->said)
		return;
	r->said = true;
	r->status = status;
	world_at(w, delay_ns, ends, run, node);
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
	if (!fencing_plays(w, node, number))
		handler_says(w, node, number, h->answer[call->what], h->delay_ns);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Queue of events for a core under test. */
#include "event_queue.h"

#include <stdlib.h>
#include <string.h>

void event_queue_init(struct event_queue *q)
{
	q->head = NULL;
	q->tail = &q->head;
}

void event_queue_push(struct event_queue *q, const struct core_event *ev)
{
	struct queued_event *e = calloc(1, sizeof(*e));

	e->ev = *ev;
	if (ev->kind == EV_DISK_DONE && ev->u.done.digest_bytes) {
		memcpy(e->digest, ev->u.done.digest, ev->u.done.digest_bytes);
		e->ev.u.done.digest = e->digest;
	}
	*q->tail = e;
	q->tail = &e->next;
}

struct queued_event *event_queue_pop(struct event_queue *q)
{
	struct queued_event *e = q->head;

	if (!e)
		return NULL;
	q->head = e->next;
	if (!q->head)
		q->tail = &q->head;
	return e;
}

void event_queue_append(struct event_queue *q, struct event_queue *from)
{
	if (!from->head)
		return;
	*q->tail = from->head;
	q->tail = from->tail;
	event_queue_init(from);
}

void event_queue_drop(struct event_queue *q)
{
	struct queued_event *e;

	while ((e = event_queue_pop(q)))
		free(e);
}

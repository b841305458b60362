/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Events on their way to a core under test, in order. */
#ifndef TEST_EVENT_QUEUE_H
#define TEST_EVENT_QUEUE_H

#include "core/core.h"

struct queued_event {
	struct queued_event *next;
	struct core_event ev;
	uint8_t digest[DIGEST_MAX_BYTES];
};

struct event_queue {
	struct queued_event *head, **tail;
};

void event_queue_init(struct event_queue *q);
/* Copies the event, and the digest that it may point to. */
void event_queue_push(struct event_queue *q, const struct core_event *ev);
/* For the caller to free; NULL = empty. */
struct queued_event *event_queue_pop(struct event_queue *q);
/* Moves all of `from` behind what is in `q`. */
void event_queue_append(struct event_queue *q, struct event_queue *from);
void event_queue_drop(struct event_queue *q);

#endif

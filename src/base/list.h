/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Intrusive doubly linked list with a sentinel head. */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

#include "base/assert.h"

struct list {
	struct list *next;
	struct list *prev;
};

static inline void list_init(struct list *l)
{
	l->next = l->prev = l;
}

static inline bool list_empty(const struct list *l)
{
	return l->next == l;
}

/* True when the entry is on some list; an entry must be list_init()ed before first use. */
static inline bool list_linked(const struct list *e)
{
	return e->next != e;
}

static inline void list_insert_before(struct list *pos, struct list *e)
{
	e->prev = pos->prev;
	e->next = pos;
	pos->prev->next = e;
	pos->prev = e;
}

static inline void list_push_back(struct list *head, struct list *e)
{
	list_insert_before(head, e);
}

static inline void list_push_front(struct list *head, struct list *e)
{
	list_insert_before(head->next, e);
}

/* Unlinks and re-initialises the entry; harmless on an unlinked one. */
static inline void list_del(struct list *e)
{
	e->prev->next = e->next;
	e->next->prev = e->prev;
	list_init(e);
}

static inline struct list *list_first(struct list *head)
{
	return list_empty(head) ? NULL : head->next;
}

/* Moves all entries of `from` to the end of `to`. */
static inline void list_splice_back(struct list *to, struct list *from)
{
	if (list_empty(from))
		return;
	from->next->prev = to->prev;
	to->prev->next = from->next;
	from->prev->next = to;
	to->prev = from->prev;
	list_init(from);
}

#define LIST_ENTRY(e, type, member) CONTAINER_OF(e, type, member)
#define LIST_FOR_EACH(it, head) for (struct list *it = (head)->next; it != (head); it = it->next)
/* Safe against removal of `it` itself, not of its neighbour. */
#define LIST_FOR_EACH_SAFE(it, head)                                                               \
	for (struct list *it = (head)->next, *it##_next = it->next; it != (head);                  \
	     it = it##_next, it##_next = it->next)

#endif

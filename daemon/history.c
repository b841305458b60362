/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The last state changes of each resource: the shard adds them, the control thread copies them. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/str.h"
#include "daemon_int.h"

/* Of more resources the one without a change for longest is forgotten. */
#define HISTORIES_MAX 256U

/* A ring; it outlives the resource it tells about. */
struct history {
	struct list link;
	char name[NAME_MAX_BYTES];
	uint64_t count; /* ever added */
	unsigned kept;  /* size of the ring */
	struct kept_change ring[];
};

void history_init(struct daemon *d)
{
	pthread_mutex_init(&d->history_lock, NULL);
	list_init(&d->histories);
}

void history_clear(struct daemon *d)
{
	while (!list_empty(&d->histories)) {
		struct list *first = list_first(&d->histories);

		list_del(first);
		free(LIST_ENTRY(first, struct history, link));
	}
	pthread_mutex_destroy(&d->history_lock);
}

/* Called with the lock held. */
static struct history *find(struct daemon *d, const char *name)
{
	LIST_FOR_EACH(it, &d->histories) {
		struct history *h = LIST_ENTRY(it, struct history, link);

		if (str_eq(h->name, name))
			return h;
	}
	return NULL;
}

/* Called with the lock held. The list begins with what has not changed for longest. */
static void forget_oldest(struct daemon *d)
{
	struct list *first = list_first(&d->histories);
	unsigned count = 0;

	LIST_FOR_EACH(it, &d->histories)
		count++;
	if (count < HISTORIES_MAX)
		return;
	list_del(first);
	free(LIST_ENTRY(first, struct history, link));
}

/* NULL: no memory; that change is not remembered. */
static struct history *find_or_add(struct daemon *d, const char *name)
{
	struct history *h = find(d, name);
	unsigned kept;

	if (h) {
		list_del(&h->link);
		list_push_back(&d->histories, &h->link);
		return h;
	}
	forget_oldest(d);
	kept = d->options.arbiter ? CHANGES_KEPT_ARBITER : CHANGES_KEPT;
	h = calloc(1, sizeof(*h) + kept * sizeof(h->ring[0]));
	if (!h)
		return NULL;
	h->kept = kept;
	str_copy(h->name, sizeof(h->name), name);
	list_push_back(&d->histories, &h->link);
	return h;
}

void daemon_changed(struct daemon *d, const char *name, const struct state_change *change)
{
	struct timespec now;
	struct history *h;

	clock_gettime(CLOCK_REALTIME, &now);
	pthread_mutex_lock(&d->history_lock);
	h = find_or_add(d, name);
	if (h) {
		struct kept_change *entry = &h->ring[h->count++ % h->kept];

		entry->unix_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
		entry->change = *change;
	}
	pthread_mutex_unlock(&d->history_lock);
}

unsigned daemon_history_get(struct daemon *d, const char *name, struct kept_change *out)
{
	unsigned n = 0;
	struct history *h;

	pthread_mutex_lock(&d->history_lock);
	h = find(d, name);
	if (h) {
		uint64_t first = h->count > h->kept ? h->count - h->kept : 0;

		for (uint64_t i = first; i < h->count; i++)
			out[n++] = h->ring[i % h->kept];
	}
	pthread_mutex_unlock(&d->history_lock);
	return n;
}

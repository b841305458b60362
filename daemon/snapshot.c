/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Published pictures of resources: the shard replaces them, the control thread copies them. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/assert.h"
#include "base/str.h"
#include "daemon_int.h"

void snapshot_init(struct daemon *d)
{
	pthread_mutex_init(&d->published_lock, NULL);
	list_init(&d->published);
}

static void status_put(struct published_status *s)
{
	if (!s || __atomic_sub_fetch(&s->user_count, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	free(s->resource);
	free(s);
}

void snapshot_clear(struct daemon *d)
{
	while (!list_empty(&d->published)) {
		struct list *first = list_first(&d->published);
		struct published *p = LIST_ENTRY(first, struct published, link);

		list_del(first);
		status_put(p->status);
		free(p);
	}
	pthread_mutex_destroy(&d->published_lock);
}

/* Called with the lock held. */
static struct published *find(struct daemon *d, const char *name)
{
	LIST_FOR_EACH(it, &d->published) {
		struct published *p = LIST_ENTRY(it, struct published, link);

		if (str_eq(p->name, name))
			return p;
	}
	return NULL;
}

void daemon_publish(struct daemon *d, const char *name, struct status_resource *resource)
{
	struct published_status *s = NULL, *old = NULL;
	struct published *p, *fresh = NULL;

	if (resource) {
		s = calloc(1, sizeof(*s));
		fresh = calloc(1, sizeof(*fresh));
		if (!s || !fresh) {
			/* The previous picture stays. */
			free(s);
			free(fresh);
			free(resource);
			return;
		}
		s->user_count = 1;
		s->resource = resource;
		str_copy(fresh->name, sizeof(fresh->name), name);
	}
	pthread_mutex_lock(&d->published_lock);
	p = find(d, name);
	if (!p && fresh) {
		p = fresh;
		fresh = NULL;
		list_push_back(&d->published, &p->link);
	}
	if (p) {
		old = p->status;
		p->status = s;
	}
	pthread_mutex_unlock(&d->published_lock);
	status_put(old);
	free(fresh);
}

static struct published_status *status_get(struct daemon *d, const char *name)
{
	struct published_status *s = NULL;
	struct published *p;

	pthread_mutex_lock(&d->published_lock);
	p = find(d, name);
	if (p && p->status) {
		s = p->status;
		__atomic_add_fetch(&s->user_count, 1, __ATOMIC_RELAXED);
	}
	pthread_mutex_unlock(&d->published_lock);
	return s;
}

bool daemon_is_published(struct daemon *d, const char *name)
{
	struct published_status *s = status_get(d, name);

	status_put(s);
	return s != NULL;
}

/* ---- for the control interface ---- */

struct snapshot {
	struct status_snapshot base;
	unsigned capacity;
};

static void add(struct snapshot *s, struct daemon *d, const char *name)
{
	struct status_resource *out;
	struct published_status *status;

	for (unsigned i = 0; i < s->base.resource_count; i++) {
		if (str_eq(s->base.resources[i].name, name))
			return;
	}
	ASSERT(s->base.resource_count < s->capacity);
	out = &s->base.resources[s->base.resource_count++];
	status = status_get(d, name);
	if (status)
		memcpy(out, status->resource, sizeof(*out));
	status_put(status);
	str_copy(out->name, sizeof(out->name), name);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct status_resource *)a)->name,
		      ((const struct status_resource *)b)->name);
}

const char *daemon_node(struct daemon *d)
{
	return d->options.node;
}

void daemon_snapshot_refresh(struct daemon *d)
{
	shard_refresh(d->shard);
}

const struct status_snapshot *daemon_snapshot_get(struct daemon *d)
{
	const struct conf *conf = d->conf->conf;
	struct snapshot *s = calloc(1, sizeof(*s));
	struct timespec ts;

	if (!s)
		return NULL;
	s->capacity = conf->resource_count;
	LIST_FOR_EACH(it, &d->running)
		s->capacity++;
	s->base.resources = calloc(s->capacity ? s->capacity : 1, sizeof(*s->base.resources));
	if (!s->base.resources) {
		free(s);
		return NULL;
	}
	clock_gettime(CLOCK_MONOTONIC, &ts);
	s->base.taken_ns = (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
	for (unsigned i = 0; i < conf->resource_count; i++) {
		if (conf_node_find(&conf->resources[i], d->options.node))
			add(s, d, conf->resources[i].name);
	}
	/* Running, but no longer in the configuration. */
	LIST_FOR_EACH(it, &d->running)
		add(s, d, LIST_ENTRY(it, struct daemon_resource, link)->name);
	qsort(s->base.resources, s->base.resource_count, sizeof(*s->base.resources), by_name);
	return &s->base;
}

void daemon_snapshot_put(struct daemon *d, const struct status_snapshot *base)
{
	struct snapshot *s = CONTAINER_OF(base, struct snapshot, base);

	(void)d;
	if (!base)
		return;
	free(s->base.resources);
	free(s);
}

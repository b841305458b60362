/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The thread of a shard and its turn: collect what
 * happened, step the cores, send everything at once. */
#include "shard.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/log.h"
#include "core/core.h"
#include "fuse_int.h"
#include "shard_int.h"

#define STEPS_PER_CLOCK 16U
#define PEER_BUDGET_BYTES (UINT64_C(256) << 20)

uint64_t shard_now_ns(struct shard *shard)
{
	struct timespec ts;

	shard->now_uses = 0;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	shard->now_ns = (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
	return shard->now_ns;
}

/* Opens that were answered to nobody. */
static void close_unclosed(struct resource *res)
{
	res->unclosed = false;
	FOR_EACH_VOLUME(res, vol) {
		for (unsigned write = 0; write < 2; write++) {
			while (vol->unclosed[write] > 0) {
				struct ev_command cmd = {
					.cmd = CMD_CLOSE, .vnr = vol->vnr, .write = write,
				};

				vol->unclosed[write]--;
				resource_command(res, &cmd);
			}
		}
	}
}

void resource_step(struct resource *res, struct core_event *event)
{
	struct core_action action;

	ASSERT(!res->in_step && !res->dead);
	res->in_step = true;
	/* A turn is short: not every step needs to ask the clock. */
	if (++res->shard->now_uses >= STEPS_PER_CLOCK)
		shard_now_ns(res->shard);
	event->now_ns = res->shard->now_ns;
	core_step(res->core, event);
	while (core_next(res->core, &action))
		shard_exec(res, &action);
	res->in_step = false;
	shard_publish_step(res);
	if (!list_empty(&res->completed))
		app_settle(res);
	if (res->unclosed)
		close_unclosed(res);
}

/* ---- the turn ---- */

static void on_inbox(evutil_socket_t fd, short what, void *arg)
{
	struct shard *shard = arg;

	(void)fd;
	(void)what;
	inbox_drain(&shard->inbox);
}

static void on_disk(evutil_socket_t fd, short what, void *arg)
{
	struct shard *shard = arg;

	(void)fd;
	(void)what;
	disk_port_reap(shard->port);
}

static void on_deadline(evutil_socket_t fd, short what, void *arg)
{
	struct shard *shard = arg;
	uint64_t times;

	(void)what;
	if (read(fd, &times, sizeof(times)) < 0)
		ASSERT(errno == EAGAIN || errno == EINTR);
	shard->armed_ns = SHARD_NEVER_NS;
}

/* One EV_TIME per core whose deadline has passed. */
static void run_deadlines(struct shard *shard)
{
	if (shard->publish_ns <= shard->now_ns)
		shard_publish_due(shard);
	LIST_FOR_EACH(it, &shard->resources) {
		struct resource *res = LIST_ENTRY(it, struct resource, link);
		struct core_event ev = { .kind = EV_TIME };

		if (!res->dead && core_deadline_ns(res->core) <= shard->now_ns)
			resource_step(res, &ev);
	}
}

static uint64_t earliest_deadline(struct shard *shard)
{
	uint64_t earliest = shard->publish_ns;

	LIST_FOR_EACH(it, &shard->resources) {
		struct resource *res = LIST_ENTRY(it, struct resource, link);
		uint64_t deadline = core_deadline_ns(res->core);

		if (deadline < earliest)
			earliest = deadline;
	}
	return earliest;
}

/* A later deadline than the armed one is found when that one fires. */
static void arm_deadline(struct shard *shard, uint64_t deadline_ns)
{
	struct itimerspec when = { .it_value.tv_nsec = 1 };

	if (deadline_ns >= shard->armed_ns)
		return;
	shard->armed_ns = deadline_ns;
	if (deadline_ns > 0) {
		when.it_value.tv_sec = (time_t)(deadline_ns / 1000000000);
		when.it_value.tv_nsec = (long)(deadline_ns % 1000000000);
	}
	timerfd_settime(shard->timer_fd, TFD_TIMER_ABSTIME, &when, NULL);
}

/* True when there is more to do at once. */
static bool turn(struct shard *shard)
{
	bool more_inline;

	shard_now_ns(shard);
	fuse_pump_run(shard);
	LIST_FOR_EACH(it, &shard->resources) {
		struct resource *res = LIST_ENTRY(it, struct resource, link);

		if (!list_empty(&res->blocked))
			app_unblock(res);
	}
	/* Peers start on their copies while the own disk is written. */
	net_flush(shard->net);
	disk_port_flush(shard->port);
	more_inline = shard_disk_run_inline(shard);
	run_deadlines(shard);
	if (shard->resyncs_changed)
		shard_resync_order(shard);
	/* What is freed after this is freed by an event. */
	net_resume(shard->net);
	if (net_has_output(shard->net))
		net_flush(shard->net);
	disk_port_flush(shard->port);
	shard_go_on_configuring(shard);
	shard_bury_resources(shard);
	arm_deadline(shard, earliest_deadline(shard));
	return more_inline || shard->resyncs_changed || net_has_output(shard->net) ||
	       fuse_pump_wants_run(shard) || !list_empty(&shard->inline_jobs);
}

static void *shard_main(void *arg)
{
	struct shard *shard = arg;
	bool more = false;

	prctl(PR_SET_NAME, "drbdfs-shard");
	while (!shard->ending) {
		/* It may sleep: the first step after it asks the clock. */
		shard->now_uses = STEPS_PER_CLOCK;
		event_base_loop(shard->base, EVLOOP_ONCE | (more ? EVLOOP_NONBLOCK : 0));
		more = turn(shard);
	}
	return NULL;
}

/* ---- life ---- */

static struct event_base *new_base(void)
{
	struct event_config *config = event_config_new();
	struct event_base *base = NULL;

	if (config) {
		event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
		base = event_base_new_with_config(config);
		event_config_free(config);
	}
	return base;
}

static bool init_parts(struct shard *shard)
{
	const uint64_t budgets[BUF_USE_COUNT] = {
		[BUF_APP] = 2 * CONF_REQUEST_BYTES_MAX,
		[BUF_PEER] = PEER_BUDGET_BYTES,
		[BUF_READ] = PEER_BUDGET_BYTES,
	};

	shard->base = new_base();
	shard->bufs = buf_pool_new(budgets);
	shard->disks = disk_pool_new(shard->conf.disk_threads);
	shard->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (!shard->base || !shard->bufs || !shard->disks || shard->timer_fd < 0)
		return false;
	shard->handlers = handler_runner_new(shard);
	shard->port = disk_port_new(shard->disks);
	shard->net = net_new(shard->base, shard->bufs, &shard_net_callbacks);
	return shard->port && shard->net && shard->handlers;
}

struct shard *shard_new(const struct shard_conf *conf, struct err *err)
{
	struct shard *shard = calloc(1, sizeof(*shard));

	if (!shard || inbox_init(&shard->inbox, SHARD_INBOX_MAX)) {
		err_set(err, -ENOMEM, "no memory or descriptors to start with");
		free(shard);
		return NULL;
	}
	shard->conf = *conf;
	shard->armed_ns = shard->publish_ns = SHARD_NEVER_NS;
	shard->timer_fd = -1;
	shard->next_ino = FUSE_ROOT_ID + 1;
	list_init(&shard->resources);
	list_init(&shard->inline_jobs);
	list_init(&shard->free_jobs);
	list_init(&shard->free_reqs);
	list_init(&shard->files);
	if (!init_parts(shard)) {
		err_set(err, -ENOMEM, "no memory, descriptors or threads to start with");
		shard_free(shard);
		return NULL;
	}
	net_set_trace(shard->net, conf->trace_wire);
	event_assign(&shard->ev_inbox, shard->base, inbox_fd(&shard->inbox), EV_READ | EV_PERSIST,
		     on_inbox, shard);
	event_assign(&shard->ev_disk, shard->base, disk_port_fd(shard->port), EV_READ | EV_PERSIST,
		     on_disk, shard);
	event_assign(&shard->ev_deadline, shard->base, shard->timer_fd, EV_READ | EV_PERSIST,
		     on_deadline, shard);
	event_add(&shard->ev_inbox, NULL);
	event_add(&shard->ev_disk, NULL);
	event_add(&shard->ev_deadline, NULL);
	return shard;
}

int shard_start(struct shard *shard, struct err *err)
{
	sigset_t all, before;
	int rc;

	/* Signals belong to the control thread. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = pthread_create(&shard->thread, NULL, shard_main, shard);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (rc)
		return err_errno(err, rc, "start a thread");
	shard->started = true;
	return 0;
}

struct end_msg {
	struct inbox_msg msg;
	struct shard *shard;
};

static void run_end(struct inbox_msg *msg)
{
	struct end_msg *m = CONTAINER_OF(msg, struct end_msg, msg);

	m->shard->ending = true;
}

void shard_stop(struct shard *shard)
{
	struct end_msg m = { .msg.run = run_end, .shard = shard };

	if (!shard->started)
		return;
	list_init(&m.msg.link);
	while (inbox_post(&shard->inbox, &m.msg) == -EAGAIN)
		sched_yield();
	pthread_join(shard->thread, NULL);
	shard->started = false;
}

void shard_free(struct shard *shard)
{
	if (!shard)
		return;
	ASSERT(!shard->started && list_empty(&shard->resources));
	fuse_pump_free(shard);
	handler_runner_free(shard->handlers);
	if (shard->net)
		net_free(shard->net);
	disk_port_free(shard->port);
	disk_pool_free(shard->disks);
	shard_disk_free_jobs(shard);
	app_free_all(shard);
	fuse_ns_free(shard);
	inbox_drain(&shard->inbox);
	inbox_close(&shard->inbox);
	if (shard->timer_fd >= 0)
		close(shard->timer_fd);
	if (shard->bufs)
		buf_pool_free(shard->bufs);
	if (shard->base)
		event_base_free(shard->base);
	free(shard);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The order in which the daemon starts and ends. The control thread is the main thread. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FUSE_USE_VERSION 314
#include <fuse_lowlevel.h>

#include "base/assert.h"
#include "base/log.h"
#include "base/str.h"
#include "daemon_int.h"
#include "disk/disk_pool.h"
#include "net/net.h"

STATIC_ASSERT(CONF_DISK_THREADS_MAX <= DISK_POOL_THREADS_MAX,
	      "every allowed number can be started");

struct event_base *daemon_control_base(struct daemon *d)
{
	return d->base;
}

/* ---- replies ---- */

static void on_replies(evutil_socket_t fd, short what, void *arg)
{
	struct daemon *d = arg;

	(void)fd;
	(void)what;
	inbox_drain(&d->replies);
}

static void run_reply(struct inbox_msg *msg)
{
	struct shard_reply *r = CONTAINER_OF(msg, struct shard_reply, msg);

	r->done(r->ctx, r->rc, r->text);
	free(r);
}

void daemon_reply_later(control_done done, void *ctx, struct daemon *d, int rc, const char *text)
{
	struct shard_reply *r = calloc(1, sizeof(*r));

	ASSERT(r);
	list_init(&r->msg.link);
	r->msg.run = run_reply;
	r->done = done;
	r->ctx = ctx;
	r->rc = rc;
	str_copy(r->text, sizeof(r->text), text);
	if (inbox_post(&d->replies, &r->msg))
		run_reply(&r->msg);
}

/* ---- the end ---- */

static void leave(struct daemon *d)
{
	event_base_loopbreak(d->base);
}

static void went_down(void *ctx, int rc, const char *text)
{
	struct daemon *d = ctx;

	if (rc < SS_SUCCESS)
		log_warning("a resource did not go down: %s", text);
	ASSERT(d->going_down > 0);
	if (--d->going_down == 0)
		leave(d);
}

static void begin_end(struct daemon *d)
{
	const struct timeval second = { .tv_sec = 1 };

	if (d->phase == DAEMON_ENDING)
		return;
	d->phase = DAEMON_ENDING;
	notify_service("STOPPING=1");
	d->going_down = 1;
	LIST_FOR_EACH_SAFE(it, &d->running) {
		struct daemon_resource *r = LIST_ENTRY(it, struct daemon_resource, link);

		if (!daemon_resource_down(d, r->name, true, went_down, d))
			d->going_down++;
	}
	event_add(&d->ev_down, &second);
	went_down(d, SS_SUCCESS, "");
}

/* A large bitmap takes its time: what goes on is waited for. */
static void on_down_second(evutil_socket_t fd, short what, void *arg)
{
	struct daemon *d = arg;
	uint64_t progress = shard_progress(d->shard);

	(void)fd;
	(void)what;
	if (progress != d->down_progress) {
		d->down_progress = progress;
		d->down_idle_s = 0;
		notify_service("EXTEND_TIMEOUT_USEC=30000000");
		return;
	}
	if (++d->down_idle_s < DAEMON_DOWN_DEADLINE_S)
		return;
	log_err("ending although resources are not down and nothing has happened for %u s: a disk "
		"or a peer does not answer", DAEMON_DOWN_DEADLINE_S);
	d->exit_code = 1;
	leave(d);
}

static void on_signal(evutil_socket_t signal_number, short what, void *arg)
{
	struct daemon *d = arg;

	(void)what;
	if (signal_number == SIGHUP && d->hung_up) {
		d->hung_up(d->start_ctx);
		daemon_tls_reload(d);
		return;
	}
	log_notice("received %s, ending", sigabbrev_np((int)signal_number));
	if (d->phase == DAEMON_ENDING) {
		leave(d);
		return;
	}
	begin_end(d);
}

void daemon_shutdown(struct daemon *d)
{
	log_notice("ending as told through the control socket");
	begin_end(d);
}

static void unmounted(void *ctx, int rc, const char *text)
{
	struct daemon *d = ctx;

	if (rc < SS_SUCCESS)
		log_err("serving the mount: %s", text);
	if (d->phase == DAEMON_ENDING)
		return;
	log_notice("%s: unmounted, ending", d->options.mountpoint);
	begin_end(d);
}

/* ---- the start ---- */

static void fail_start(struct daemon *d, const char *text)
{
	d->say(d->start_ctx, text);
	d->exit_code = 10;
	begin_end(d);
}

/* Mounts, and looks whether the mount answers. */
static bool serve_mount(struct daemon *d)
{
	struct err err = ERR_INIT;
	struct stat st;

	if (mount_start(d, &err)) {
		fail_start(d, err.text);
		return false;
	}
	if (shard_serve(d->shard, d->session, unmounted, d)) {
		fail_start(d, "no memory to serve the mount");
		return false;
	}
	/* The shard answers this, not we. */
	if (stat(d->options.mountpoint, &st) || st.st_ino != FUSE_ROOT_ID) {
		fail_start(d, "the mount does not answer; the lines of fuse in the log say why");
		return false;
	}
	return true;
}

/* Everything is up. */
static void finish_start(struct daemon *d)
{
	if (d->phase != DAEMON_STARTING)
		return;
	if (d->start_failed) {
		d->exit_code = 10;
		begin_end(d);
		return;
	}
	if (!d->options.arbiter && !serve_mount(d))
		return;
	d->phase = DAEMON_RUNNING;
	d->ready(d->start_ctx);
}

struct start_up {
	struct daemon *d;
	char name[NAME_MAX_BYTES];
};

static void came_up(void *ctx, int rc, const char *text)
{
	struct start_up *s = ctx;
	struct daemon *d = s->d;
	char line[ERR_TEXT_MAX + NAME_MAX_BYTES + 16];

	if (rc < SS_SUCCESS) {
		str_format(line, sizeof(line), "%s: %s", s->name, text);
		log_warning("%s", line);
		d->say(d->start_ctx, line);
		/* Without its addresses it is not there at
		 * all; without its disk it is, diskless. */
		if (!daemon_is_published(d, s->name))
			d->start_failed = true;
	}
	free(s);
	ASSERT(d->coming_up > 0);
	if (--d->coming_up == 0 && d->phase == DAEMON_STARTING)
		finish_start(d);
}

static void on_start(evutil_socket_t fd, short what, void *arg)
{
	struct daemon *d = arg;
	const struct conf *conf = d->conf->conf;

	(void)fd;
	(void)what;
	d->coming_up = 1;
	for (unsigned i = 0; i < conf->resource_count; i++) {
		const struct conf_resource *res = &conf->resources[i];
		struct start_up *s;

		if (!daemon_node_in(&d->options, res)) {
			if (conf_node_find(res, d->options.node))
				log_notice("%s: left out, an arbiter has no disk and this node "
					   "has one there", res->name);
			continue;
		}
		s = calloc(1, sizeof(*s));
		ASSERT(s);
		s->d = d;
		str_copy(s->name, sizeof(s->name), res->name);
		d->coming_up++;
		if (daemon_resource_up(d, res, came_up, s))
			came_up(s, SS_UNKNOWN_ERROR, "no memory");
	}
	if (--d->coming_up == 0)
		finish_start(d);
}

/* ---- life ---- */

static int start_control(struct daemon *d, struct err *err)
{
	static const int signals[] = { SIGTERM, SIGINT, SIGHUP };
	char text[ERR_TEXT_MAX] = "";

	for (unsigned i = 0; i < ARRAY_LEN(signals); i++) {
		event_assign(&d->ev_signals[i], d->base, signals[i], EV_SIGNAL | EV_PERSIST,
			     on_signal, d);
		event_add(&d->ev_signals[i], NULL);
	}
	event_assign(&d->ev_replies, d->base, inbox_fd(&d->replies), EV_READ | EV_PERSIST,
		     on_replies, d);
	event_add(&d->ev_replies, NULL);
	event_assign(&d->ev_down, d->base, -1, EV_PERSIST, on_down_second, d);
	event_assign(&d->ev_start, d->base, -1, EV_TIMEOUT, on_start, d);
	event_active(&d->ev_start, EV_TIMEOUT, 0);
	if (!d->options.socket_path[0])
		return 0;
	d->http = http_server_new(d, d->base, d->options.socket_path, text, sizeof(text));
	if (!d->http)
		return err_set(err, -EIO, "%s", text);
	http_server_allow(d->http, d->conf->conf->control_users,
			  d->conf->conf->control_user_count);
	return 0;
}

static int start_shard(struct daemon *d, struct err *err)
{
	const struct shard_conf conf = {
		.daemon = d,
		.replies = &d->replies,
		.disk_threads = d->options.arbiter ? 1 : d->conf->conf->disk_threads,
		.voter = d->options.arbiter,
		.parallel_resyncs = d->conf->conf->parallel_resyncs,
		.trace_wire = d->options.trace_wire,
	};

	d->shard = shard_new(&conf, err);
	if (!d->shard)
		return -ENOMEM;
	daemon_tls_use(d, d->options.identity);
	d->options.identity = NULL;
	return shard_start(d->shard, err);
}

static bool wants_nonempty(const char *options)
{
	return options && strstr(options, "nonempty");
}

static bool start_parts(struct daemon *d, struct err *err)
{
	const struct daemon_options *o = &d->options;
	bool mounts = !o->arbiter;

	return !(mounts && mount_prepare(o->mountpoint, wants_nonempty(o->fuse_options), err)) &&
	       !start_control(d, err) && !start_shard(d, err) &&
	       !(mounts && mount_session_new(d, err));
}

struct daemon *daemon_new(const struct daemon_options *options, struct conf *conf, struct err *err)
{
	struct daemon *d = calloc(1, sizeof(*d));

	if (!d || !(d->conf = conf_ref_new(conf)) || inbox_init(&d->replies, DAEMON_REPLIES_MAX)) {
		err_set(err, -ENOMEM, "no memory or descriptors to start with");
		if (d)
			free(d->conf);
		conf_free(conf);
		net_identity_free(options->identity);
		free(d);
		return NULL;
	}
	d->options = *options;
	list_init(&d->running);
	snapshot_init(d);
	history_init(d);
	d->base = event_base_new();
	if (!d->base) {
		err_set(err, -ENOMEM, "no event base: out of memory or descriptors");
		daemon_free(d);
		return NULL;
	}
	if (!start_parts(d, err)) {
		daemon_free(d);
		return NULL;
	}
	return d;
}

int daemon_run(struct daemon *d)
{
	event_base_dispatch(d->base);
	mount_end(d);
	return d->exit_code;
}

void daemon_free(struct daemon *d)
{
	if (!d)
		return;
	if (d->http)
		http_server_free(d->http);
	if (d->shard) {
		shard_stop(d->shard);
		inbox_drain(&d->replies);
		shard_free(d->shard);
	}
	if (d->session)
		fuse_session_destroy(d->session);
	inbox_drain(&d->replies);
	inbox_close(&d->replies);
	snapshot_clear(d);
	history_clear(d);
	conf_ref_put(d->conf);
	net_identity_free(d->options.identity);
	if (d->base)
		event_base_free(d->base);
	free(d);
}

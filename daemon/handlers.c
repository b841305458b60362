/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The operator's programs: each is a process group of its own, with nothing open but its output,
 * which goes to the log line by line. It ends by itself, or is killed after handler-timeout.
 */
#include "handlers.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/log.h"
#include "base/str.h"
#include "core/core.h"
#include "handler_env.h"
#include "shard_int.h"

#define AT_ONCE_MAX 16U      /* of one shard; the others wait for their turn */
#define LINE_BYTES 400U
#define LINES_MAX 200U       /* of one run; what follows is read, and forgotten */

struct handler_runner {
	struct shard *shard;
	struct list runs;    /* that wait for their turn, or have it */
	unsigned running;
	struct event ev_more;
};

struct run {
	struct list link;
	struct handler_runner *runner;
	struct resource *res;        /* NULL: it is gone */
	struct ac_handler call;
	char name[NAME_MAX_BYTES];   /* of the resource */
	char *command;
	struct handler_env *env;
	uint32_t timeout_s;
	bool begun, killed, exited;
	pid_t pid;
	int pid_fd, out_fd;
	int status;
	struct event ev_pid, ev_out, ev_timeout;
	char line[LINE_BYTES];
	unsigned line_bytes, lines;
};

/* ---- output ---- */

static void log_line(struct run *r)
{
	r->line[r->line_bytes] = '\0';
	if (r->line_bytes && r->lines++ < LINES_MAX)
		log_info("%s: handler %s: %s", r->name, handler_name(r->call.what), r->line);
	r->line_bytes = 0;
}

static void take_output(struct run *r, const char *data, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++) {
		if (data[i] == '\n' || r->line_bytes == LINE_BYTES - 1)
			log_line(r);
		if (data[i] != '\n')
			r->line[r->line_bytes++] = (char)((unsigned char)data[i] < ' ' ? ' ' :
									data[i]);
	}
}

/* False: there will be no more. */
static bool read_output(struct run *r)
{
	char data[4096];
	ssize_t n;

	while ((n = read(r->out_fd, data, sizeof(data))) > 0)
		take_output(r, data, (size_t)n);
	return n < 0 && (errno == EAGAIN || errno == EINTR);
}

static void on_output(evutil_socket_t fd, short what, void *arg)
{
	struct run *r = arg;

	(void)fd;
	(void)what;
	if (!read_output(r))
		event_del(&r->ev_out);
}

/* ---- the end ---- */

static void run_free(struct run *r)
{
	list_del(&r->link);
	handler_env_free(r->env);
	free(r->command);
	free(r);
}

static void tell_core(struct run *r)
{
	struct core_event ev = { .kind = EV_HANDLER_DONE };

	if (!r->res)
		return;
	ev.u.handler.tag = r->call.tag;
	ev.u.handler.status = r->status;
	resource_step(r->res, &ev);
}

static void run_end(struct run *r)
{
	struct handler_runner *runner = r->runner;

	if (r->begun) {
		event_del(&r->ev_pid);
		event_del(&r->ev_out);
		event_del(&r->ev_timeout);
		(void)read_output(r);
		log_line(r);
		(void)close(r->pid_fd);
		(void)close(r->out_fd);
		runner->running--;
	}
	tell_core(r);
	run_free(r);
	event_active(&runner->ev_more, EV_TIMEOUT, 0);
}

static void on_exit_of(evutil_socket_t fd, short what, void *arg)
{
	struct run *r = arg;
	int status = 0;

	(void)fd;
	(void)what;
	if (waitpid(r->pid, &status, WNOHANG) != r->pid)
		return;
	r->status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
	if (WIFSIGNALED(status))
		log_warning("%s: handler %s was ended by signal %d%s", r->name,
			    handler_name(r->call.what), WTERMSIG(status),
			    r->killed ? ", after handler-timeout" : "");
	run_end(r);
}

static void on_timeout(evutil_socket_t fd, short what, void *arg)
{
	struct run *r = arg;

	(void)fd;
	(void)what;
	r->killed = true;
	log_err("%s: handler %s has not ended for %u s (handler-timeout): it is killed", r->name,
		handler_name(r->call.what), r->timeout_s);
	/* Whatever it has begun. */
	(void)kill(-r->pid, SIGKILL);
}

/* ---- the begin ---- */

static int spawn(struct run *r, int out_fd)
{
	static char shell[] = "/bin/sh", option[] = "-c";
	char *const argv[] = { shell, option, r->command, NULL };
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	sigset_t none, all;
	int rc = posix_spawn_file_actions_init(&files);

	if (rc)
		return rc;
	rc = posix_spawnattr_init(&attr);
	if (rc) {
		(void)posix_spawn_file_actions_destroy(&files);
		return rc;
	}
	(void)sigemptyset(&none);
	(void)sigfillset(&all);
	(void)posix_spawnattr_setsigmask(&attr, &none);
	(void)posix_spawnattr_setsigdefault(&attr, &all);
	(void)posix_spawnattr_setpgroup(&attr, 0);
	(void)posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK |
					       POSIX_SPAWN_SETSIGDEF);
	rc = posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	if (!rc)
		rc = posix_spawn_file_actions_adddup2(&files, out_fd, STDOUT_FILENO);
	if (!rc)
		rc = posix_spawn_file_actions_adddup2(&files, out_fd, STDERR_FILENO);
	if (!rc)
		rc = posix_spawn_file_actions_addclosefrom_np(&files, STDERR_FILENO + 1);
	/* Not where the daemon was started: that may be in a mount. */
	if (!rc)
		rc = posix_spawn_file_actions_addchdir_np(&files, "/");
	if (!rc)
		rc = posix_spawn(&r->pid, argv[0], &files, &attr, argv, handler_env_list(r->env));
	(void)posix_spawnattr_destroy(&attr);
	(void)posix_spawn_file_actions_destroy(&files);
	return rc;
}

static void watch(struct run *r)
{
	struct event_base *base = r->runner->shard->base;
	struct timeval timeout = { .tv_sec = r->timeout_s };

	event_assign(&r->ev_pid, base, r->pid_fd, EV_READ | EV_PERSIST, on_exit_of, r);
	event_assign(&r->ev_out, base, r->out_fd, EV_READ | EV_PERSIST, on_output, r);
	event_assign(&r->ev_timeout, base, -1, 0, on_timeout, r);
	event_add(&r->ev_pid, NULL);
	event_add(&r->ev_out, NULL);
	if (r->timeout_s)
		event_add(&r->ev_timeout, &timeout);
}

static int begin(struct run *r)
{
	int fds[2], rc;

	if (!r->env || !r->command)
		return ENOMEM;
	if (pipe2(fds, O_CLOEXEC | O_NONBLOCK))
		return errno;
	rc = spawn(r, fds[1]);
	(void)close(fds[1]);
	r->out_fd = fds[0];
	r->pid_fd = rc ? -1 : (int)syscall(SYS_pidfd_open, r->pid, 0);
	if (!rc && r->pid_fd < 0) {
		rc = errno;
		(void)kill(-r->pid, SIGKILL);
		(void)waitpid(r->pid, NULL, 0);
	}
	if (rc) {
		(void)close(fds[0]);
		return rc;
	}
	r->begun = true;
	r->runner->running++;
	watch(r);
	return 0;
}

static struct run *next_run(struct handler_runner *runner)
{
	if (runner->running >= AT_ONCE_MAX)
		return NULL;
	LIST_FOR_EACH(it, &runner->runs) {
		struct run *r = LIST_ENTRY(it, struct run, link);

		if (!r->begun)
			return r;
	}
	return NULL;
}

static void on_more(evutil_socket_t fd, short what, void *arg)
{
	struct handler_runner *runner = arg;
	struct run *r = next_run(runner);
	int rc;

	(void)fd;
	(void)what;
	if (!r)
		return;
	if (r->res) {
		rc = begin(r);
		if (rc)
			log_err("%s: handler %s cannot be run: %s", r->name,
				handler_name(r->call.what), strerror(rc));
		if (rc)
			run_end(r);
	} else {
		run_end(r);
	}
	event_active(&runner->ev_more, EV_TIMEOUT, 0);
}

void handler_run(struct resource *res, const struct ac_handler *call)
{
	struct handler_runner *runner = res->shard->handlers;
	struct run *r = calloc(1, sizeof(*r));
	const char *command = handler_set_command(res->handlers, call->what);

	ASSERT(r); /* what waits for it would wait for ever */
	r->runner = runner;
	r->res = res;
	r->call = *call;
	r->status = -1;
	str_copy(r->name, sizeof(r->name), res->name);
	r->timeout_s = handler_set_timeout_s(res->handlers);
	r->command = command ? strdup(command) : NULL;
	r->env = handler_env_new(res->handlers, res, call);
	list_push_back(&runner->runs, &r->link);
	/* In the step of the core that asks for it nothing is told to it. */
	event_active(&runner->ev_more, EV_TIMEOUT, 0);
}

/* ---- life ---- */

struct handler_runner *handler_runner_new(struct shard *shard)
{
	struct handler_runner *runner = calloc(1, sizeof(*runner));

	if (!runner)
		return NULL;
	runner->shard = shard;
	list_init(&runner->runs);
	event_assign(&runner->ev_more, shard->base, -1, 0, on_more, runner);
	return runner;
}

void handler_resource_gone(struct resource *res)
{
	LIST_FOR_EACH(it, &res->shard->handlers->runs) {
		struct run *r = LIST_ENTRY(it, struct run, link);

		if (r->res == res)
			r->res = NULL;
	}
}

void handler_runner_free(struct handler_runner *runner)
{
	if (!runner)
		return;
	event_del(&runner->ev_more);
	while (!list_empty(&runner->runs)) {
		struct run *r = LIST_ENTRY(list_first(&runner->runs), struct run, link);

		ASSERT(!r->res);
		if (r->begun) {
			event_del(&r->ev_pid);
			event_del(&r->ev_out);
			event_del(&r->ev_timeout);
			(void)close(r->pid_fd);
			(void)close(r->out_fd);
		}
		run_free(r);
	}
	free(runner);
}

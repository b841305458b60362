/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The command line of drbdfs, and going to the background. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/log.h"
#include "base/std_fds.h"
#include "base/str.h"
#include "daemon_int.h"
#include "net/net.h"

#ifndef PR_SET_IO_FLUSHER
#define PR_SET_IO_FLUSHER 57
#endif

/* As drbdctl's: the configuration or something outside is wrong; the command line is wrong. */
enum { EXIT_ERROR = 10, EXIT_USAGE = 20 };

struct command_line {
	struct daemon_options options;
	const char *config_file;
	const char *node;
	const char *socket_path;
	bool foreground;
	bool debug;
};

static const char usage_text[] =
	"Usage: drbdfs mount [OPTIONS] MOUNTPOINT\n"
	"       drbdfs arbiter [OPTIONS]\n"
	"\n"
	"mount shows the resources of this node as files under MOUNTPOINT and replicates them.\n"
	"arbiter is a voice in the quorum of those without a disk on this node, and no more.\n"
	"\n"
	"  -c, --config FILE   configuration (root: /etc/drbdfs/drbdfs.conf)\n"
	"  -n, --node NAME     which node of the configuration this is (default: the host name)\n"
	"  -s, --socket PATH   control socket (root: /run/drbdfs/control.sock, arbiter: none)\n"
	"  -f, --foreground    stay in the foreground, log to stderr\n"
	"  -o OPTIONS          mount options for FUSE, e.g. allow_other\n"
	"      --trace wire    log every packet (implies --debug)\n"
	"      --debug         log more\n"
	"      --help, --version\n"
	"\n"
	"End it with SIGTERM, 'drbdctl shutdown' or, a mount, 'fusermount3 -u MOUNTPOINT'.\n";

/* ---- going to the background ---- */

/* The end of a pipe on which the starting shell's process waits; -1 in the foreground. */
struct starter {
	int fd;
	bool foreground;
	char log[CONF_PATH_MAX];
};

/* What the starter gets: lines to print, then one byte 'k' after a NUL if all went well. */
static void say(void *ctx, const char *text)
{
	const struct starter *s = ctx;

	if (s->fd >= 0)
		dprintf(s->fd, "drbdfs: %s\n", text);
	else
		fprintf(stderr, "drbdfs: %s\n", text);
}

static void open_log(const struct starter *s)
{
	int rc = 0;

	if (s->log[0] == '/')
		rc = log_open(LOG_SINK_FILE, s->log);
	else if (!s->foreground || str_eq(s->log, "syslog"))
		rc = log_open(LOG_SINK_SYSLOG, NULL);
	if (!rc)
		return;
	if (!s->foreground)
		(void)log_open(LOG_SINK_SYSLOG, NULL);
	log_warning("log %s: %s; going on with %s", s->log, strerror(-rc),
		    s->foreground ? "stderr" : "syslog");
}

/* After the log was moved away. In the foreground a hang-up is the end. */
static void hung_up(void *ctx)
{
	open_log(ctx);
	log_notice("the log was opened again");
}

static void ready(void *ctx)
{
	struct starter *s = ctx;
	int null_fd;

	/* What the start has used and given back. */
	malloc_trim(0);
	notify_service("READY=1");
	if (s->foreground)
		return;
	null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null_fd >= 0) {
		dup2(null_fd, STDIN_FILENO);
		dup2(null_fd, STDOUT_FILENO);
		dup2(null_fd, STDERR_FILENO);
		close(null_fd);
	}
	if (write(s->fd, "\0k", 2) != 2)
		log_warning("the process that started the daemon has gone");
	close(s->fd);
	s->fd = -1;
}

/* In the starting process: prints what the daemon says until it is up or gone. */
static int wait_for_daemon(int fd, pid_t pid)
{
	char buffer[1024];
	bool up = false;
	ssize_t n;
	int status;

	while ((n = read(fd, buffer, sizeof(buffer))) > 0 || (n < 0 && errno == EINTR)) {
		for (ssize_t i = 0; i < n; i++) {
			if (buffer[i] == '\0')
				up = true;
			else if (!up)
				fputc(buffer[i], stderr);
		}
	}
	if (up)
		return 0;
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFSIGNALED(status))
		fprintf(stderr, "drbdfs: the daemon was killed by signal %d while starting\n",
			WTERMSIG(status));
	return WIFEXITED(status) && WEXITSTATUS(status) ? WEXITSTATUS(status) : EXIT_ERROR;
}

/* Returns in the daemon only; the starting process exits here. */
static int go_to_background(struct starter *s)
{
	int fds[2];
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC))
		return -errno;
	fflush(NULL);
	pid = fork();
	if (pid < 0)
		return -errno;
	if (pid > 0) {
		close(fds[1]);
		_exit(wait_for_daemon(fds[0], pid));
	}
	close(fds[0]);
	s->fd = fds[1];
	setsid();
	return 0;
}

/* ---- the process ---- */

/*
 * A file system on one of our files makes us part of its write-back: then the kernel must not wait
 * for us in order to give us memory.
 */
static void prepare_for_writeback(void)
{
	struct rlimit limit;

	if (prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0))
		log_info("not marked as part of the write-back path (%s): under extreme lack "
			 "of memory a file system on a loop device over this mount may stall",
			 strerror(errno));
	/* With a limit, a later allocation would fail: worse than being swapped. */
	if (getrlimit(RLIMIT_MEMLOCK, &limit) ||
	    (limit.rlim_cur != RLIM_INFINITY && geteuid() != 0)) {
		log_info("memory is not locked: the limit on locked memory is too small");
		return;
	}
	if (mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT))
		log_info("memory is not locked: %s", strerror(errno));
}

/* What is large is mostly empty, and given back as it was got: each piece by itself, in pages. */
static void keep_small(void)
{
	mallopt(M_MMAP_THRESHOLD, 64 << 10);
	mallopt(M_ARENA_MAX, 1);
}

static void set_process_defaults(void)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN };
	struct rlimit files;

	umask(027);
	sigaction(SIGPIPE, &ignore, NULL);
	if (!getrlimit(RLIMIT_NOFILE, &files) && files.rlim_cur < files.rlim_max) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
}

static void assertion_failed(const char *expr, const char *file, int line)
{
	log_err("%s:%d: this must always hold: %s", file, line, expr);
}

/* ---- command line ---- */

static int usage_error(const char *text)
{
	fprintf(stderr, "drbdfs: %s; see 'drbdfs --help'\n", text);
	return EXIT_USAGE;
}

/* The words behind the options. -1: go on; else the exit code. */
static int parse_words(int argc, char **argv, struct daemon_options *o)
{
	if (optind >= argc)
		return usage_error("a command is missing");
	o->arbiter = str_eq(argv[optind], "arbiter");
	if (!o->arbiter && !str_eq(argv[optind], "mount"))
		return usage_error("the command must be 'mount' or 'arbiter'");
	if (o->arbiter && optind + 1 != argc)
		return usage_error("an arbiter has no MOUNTPOINT");
	if (o->arbiter && o->fuse_options)
		return usage_error("an arbiter mounts nothing: -o is of no use to it");
	if (!o->arbiter && optind + 2 != argc)
		return usage_error(optind + 1 < argc ? "one MOUNTPOINT only" :
						       "the MOUNTPOINT is missing");
	return -1;
}

/* -1: go on; else the exit code. */
static int parse(int argc, char **argv, struct command_line *cl)
{
	static const struct option options[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "node", required_argument, NULL, 'n' },
		{ "socket", required_argument, NULL, 's' },
		{ "foreground", no_argument, NULL, 'f' },
		{ "trace", required_argument, NULL, 't' },
		{ "debug", no_argument, NULL, 'd' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "c:n:s:fo:hV", options, NULL)) != -1) {
		switch (c) {
		case 'c':
			cl->config_file = optarg;
			break;
		case 'n':
			cl->node = optarg;
			break;
		case 's':
			cl->socket_path = optarg;
			break;
		case 'f':
			cl->foreground = true;
			break;
		case 'o':
			cl->options.fuse_options = optarg;
			break;
		case 't':
			if (!str_eq(optarg, "wire"))
				return usage_error("--trace: only \"wire\" can be traced");
			cl->options.trace_wire = true;
			cl->debug = true;
			break;
		case 'd':
			cl->debug = true;
			break;
		case 'h':
			fputs(usage_text, stdout);
			return 0;
		case 'V':
			puts("drbdfs " DRBDFS_VERSION);
			return 0;
		default:
			return usage_error("wrong option");
		}
	}
	return parse_words(argc, argv, &cl->options);
}

/* At least one resource is for this daemon. */
static bool has_work(const struct daemon_options *o, const struct conf *conf)
{
	for (unsigned i = 0; i < conf->resource_count; i++) {
		if (daemon_node_in(o, &conf->resources[i]))
			return true;
	}
	fprintf(stderr, "drbdfs: %s: an arbiter has no disk, but in every resource of node '%s' "
		"this node has one; give it disk = \"none\" where it is to be the arbiter, or "
		"select another node with -n\n", o->config_file, o->node);
	return false;
}

/* The configuration of this node, with everything checked that needs no daemon. NULL: said why. */
static struct conf *load(struct command_line *cl)
{
	struct daemon_options *o = &cl->options;
	struct conf_messages messages = { .error_count = 0 };
	char path[CONF_PATH_MAX];
	struct err err = ERR_INIT;
	struct conf *conf;

	conf_default_file(path);
	if (!realpath(cl->config_file ? cl->config_file : path, o->config_file))
		str_copy(o->config_file, sizeof(o->config_file),
			 cl->config_file ? cl->config_file : path);
	conf = conf_load(o->config_file, &messages);
	if (conf && conf_node_select(conf, cl->node, o->node, &err)) {
		fprintf(stderr, "drbdfs: %s\n", err.text);
		conf_free(conf);
		conf = NULL;
	} else if (conf && (!has_work(o, conf) || !conf_check_node(conf, o->node, &messages) ||
			    !daemon_tls_load(conf, o->node, &o->identity, &messages))) {
		conf_free(conf);
		conf = NULL;
	}
	conf_messages_print(&messages, stderr);
	conf_messages_clear(&messages);
	return conf;
}

/* Absolute paths, because the daemon leaves the directory it was started in. */
static int resolve(struct command_line *cl, const struct conf *conf, const char *mountpoint,
		   struct err *err)
{
	struct daemon_options *o = &cl->options;
	char cwd[PATH_MAX];

	if (cl->socket_path && !cl->socket_path[0])
		return err_set(err, -EINVAL, "the path of the control socket (-s) is empty");
	if (cl->socket_path && cl->socket_path[0] != '/') {
		if (!getcwd(cwd, sizeof(cwd)) ||
		    !str_format(o->socket_path, sizeof(o->socket_path), "%s/%s", cwd,
				cl->socket_path))
			return err_set(err, -ENAMETOOLONG, "socket %s: path too long",
				       cl->socket_path);
	} else if (cl->socket_path) {
		if (!str_copy(o->socket_path, sizeof(o->socket_path), cl->socket_path))
			return err_set(err, -ENAMETOOLONG, "socket %s: path too long",
				       cl->socket_path);
	} else if (o->arbiter) {
		o->socket_path[0] = '\0';
	} else if (conf->control_socket[0]) {
		str_copy(o->socket_path, sizeof(o->socket_path), conf->control_socket);
	} else {
		conf_default_socket(o->socket_path);
	}
	return o->arbiter ? 0 : mount_resolve(mountpoint, o->mountpoint, err);
}

static bool handlers_can_run(const struct daemon_options *o, const struct conf *conf)
{
	struct conf_messages messages = { .error_count = 0 };
	bool good = o->arbiter || conf_check_handlers(conf, o->node, o->mountpoint, &messages);

	conf_messages_print(&messages, stderr);
	conf_messages_clear(&messages);
	return good;
}

static int run(struct command_line *cl, struct conf *conf)
{
	struct starter starter = { .fd = -1, .foreground = cl->foreground };
	struct err err = ERR_INIT;
	struct daemon *d;
	int rc;

	if (!cl->foreground) {
		rc = go_to_background(&starter);
		if (rc) {
			fprintf(stderr, "drbdfs: going to the background: %s\n", strerror(-rc));
			net_identity_free(cl->options.identity);
			conf_free(conf);
			return EXIT_ERROR;
		}
	}
	str_copy(starter.log, sizeof(starter.log), conf->log);
	open_log(&starter);
	set_process_defaults();
	if (!cl->options.arbiter)
		prepare_for_writeback();
	if (chdir("/"))
		log_warning("chdir /: %s", strerror(errno));
	d = daemon_new(&cl->options, conf, &err);
	if (!d) {
		say(&starter, err.text);
		return EXIT_ERROR;
	}
	d->ready = ready;
	d->say = say;
	d->hung_up = cl->foreground ? NULL : hung_up;
	d->start_ctx = &starter;
	rc = daemon_run(d);
	/* What hangs in a disk call cannot be taken apart. */
	if (!list_empty(&d->running))
		_exit(rc ? rc : 1);
	daemon_free(d);
	return rc;
}

int main(int argc, char **argv)
{
	struct command_line cl = { .config_file = NULL };
	struct err err = ERR_INIT;
	struct conf *conf;
	int rc;

	std_fds_occupy();
	rc = parse(argc, argv, &cl);
	if (rc >= 0)
		return rc;
	assert_hook = assertion_failed;
	if (cl.options.arbiter)
		keep_small();
	if (cl.debug)
		log_set_level(LOG_LEVEL_DEBUG);
	conf = load(&cl);
	if (!conf)
		return EXIT_ERROR;
	if (resolve(&cl, conf, argv[optind + 1], &err) ||
	    !handlers_can_run(&cl.options, conf)) {
		if (err.text[0])
			fprintf(stderr, "drbdfs: %s\n", err.text);
		net_identity_free(cl.options.identity);
		conf_free(conf);
		return EXIT_ERROR;
	}
	return run(&cl, conf);
}

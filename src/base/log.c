/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Owns the sink of log lines and the rate limit. */
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#define LINE_BYTES_MAX 1024
#define BURST_LINES 500      /* notices, informations and debug lines at once */
#define RATE_LINES_S 100     /* ... and in the long run; a trace at debug level is not limited */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* all below except level; leaf */
static enum log_sink current_sink = LOG_SINK_STDERR;
static int current_fd = STDERR_FILENO;
static double tokens = BURST_LINES;
static struct timespec tokens_at;
static uint64_t suppressed_count;

static _Atomic enum log_level max_level = LOG_LEVEL_INFO;

static const int priorities[] = { LOG_ERR, LOG_WARNING, LOG_NOTICE, LOG_INFO, LOG_DEBUG };
static const char *const words[] = { "error", "warning", "notice", "info", "debug" };

void log_set_level(enum log_level level)
{
	atomic_store_explicit(&max_level, level, memory_order_relaxed);
}

bool log_enabled(enum log_level level)
{
	return level <= atomic_load_explicit(&max_level, memory_order_relaxed);
}

int log_open(enum log_sink sink, const char *path)
{
	int fd = STDERR_FILENO;

	if (sink == LOG_SINK_FILE) {
		fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0640);
		if (fd < 0)
			return -errno;
	} else if (sink == LOG_SINK_SYSLOG) {
		openlog("drbdfs", LOG_PID | LOG_NDELAY, LOG_DAEMON);
	}
	pthread_mutex_lock(&lock);
	if (current_sink == LOG_SINK_FILE)
		close(current_fd);
	current_sink = sink;
	current_fd = fd;
	pthread_mutex_unlock(&lock);
	return 0;
}

/* Called with the lock held. */
static bool may_print(enum log_level level)
{
	struct timespec now;

	if (level <= LOG_LEVEL_WARNING || log_enabled(LOG_LEVEL_DEBUG))
		return true;
	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	if (tokens_at.tv_sec != 0)
		tokens += RATE_LINES_S * ((double)(now.tv_sec - tokens_at.tv_sec) +
					  (double)(now.tv_nsec - tokens_at.tv_nsec) / 1e9);
	tokens_at = now;
	if (tokens > BURST_LINES)
		tokens = BURST_LINES;
	if (tokens < 1) {
		suppressed_count++;
		return false;
	}
	tokens--;
	return true;
}

/* The variable is inherited by what a service starts, with another stderr perhaps: see
 * systemd.exec(5). */
static bool stderr_is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long dev, ino;
	struct stat st;

	return stream && sscanf(stream, "%llu:%llu", &dev, &ino) == 2 &&
	       !fstat(STDERR_FILENO, &st) && st.st_dev == dev && st.st_ino == ino;
}

/* A pipe that nobody reads, a terminal that is stopped. Called with the lock held. */
static bool would_block(void)
{
	struct pollfd p = { .fd = current_fd, .events = POLLOUT };

	return current_sink == LOG_SINK_STDERR && poll(&p, 1, 0) == 0;
}

/* Called with the lock held. */
static void emit(enum log_level level, const char *text)
{
	char line[LINE_BYTES_MAX + 64];
	struct timespec now;
	struct tm tm;
	int n;

	if (current_sink == LOG_SINK_SYSLOG) {
		syslog(priorities[level], "%s", text);
		return;
	}
	if (current_sink == LOG_SINK_STDERR && stderr_is_journal()) {
		n = snprintf(line, sizeof(line), "<%d>%s\n", priorities[level], text);
	} else {
		char stamp[32];

		clock_gettime(CLOCK_REALTIME, &now);
		localtime_r(&now.tv_sec, &tm);
		strftime(stamp, sizeof(stamp), "%Y-%m-%d %H:%M:%S", &tm);
		n = snprintf(line, sizeof(line), "%s.%03ld %s: %s\n", stamp,
			     now.tv_nsec / 1000000, words[level], text);
	}
	/* A log that cannot be written must not stop the service. */
	if (would_block() || write(current_fd, line, (size_t)n) < 0)
		suppressed_count++;
}

void log_print(enum log_level level, const char *fmt, ...)
{
	char text[LINE_BYTES_MAX];
	va_list ap;
	int saved_errno = errno;

	if (!log_enabled(level))
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	pthread_mutex_lock(&lock);
	if (may_print(level)) {
		if (suppressed_count > 0) {
			char note[64];

			snprintf(note, sizeof(note), "%llu lines were left out here",
				 (unsigned long long)suppressed_count);
			suppressed_count = 0;
			emit(LOG_LEVEL_NOTICE, note);
		}
		emit(level, text);
	}
	pthread_mutex_unlock(&lock);
	errno = saved_errno;
}

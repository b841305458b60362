/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Log lines for people: levels, one sink, a limit on the rate. Any thread. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>

#include "base/log_level.h"

enum log_sink {
	LOG_SINK_STDERR, /* with time stamps; with <N> priorities when systemd reads it */
	LOG_SINK_SYSLOG,
	LOG_SINK_FILE,   /* appended to */
};

/* `path` for LOG_SINK_FILE. 0 or -errno (then the sink stays as it was). */
int log_open(enum log_sink sink, const char *path);
/* Lines above this level are dropped; default LOG_LEVEL_INFO. */
void log_set_level(enum log_level level);
bool log_enabled(enum log_level level);
/* One line, without the newline. Errors and warnings are never suppressed. */
void log_print(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define log_err(...) log_print(LOG_LEVEL_ERR, __VA_ARGS__)
#define log_warning(...) log_print(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_notice(...) log_print(LOG_LEVEL_NOTICE, __VA_ARGS__)
#define log_info(...) log_print(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_print(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How much a log line matters. */
#ifndef BASE_LOG_LEVEL_H
#define BASE_LOG_LEVEL_H

enum log_level {
	LOG_LEVEL_ERR,
	LOG_LEVEL_WARNING,
	LOG_LEVEL_NOTICE,
	LOG_LEVEL_INFO,
	LOG_LEVEL_DEBUG,
};

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The one check of the thread tests: says what failed and ends the program. */
#ifndef THREAD_CHECK_H
#define THREAD_CHECK_H

#include <stdio.h>
#include <stdlib.h>

#define CHECK(cond)                                                                                \
	do {                                                                                       \
		if (!(cond)) {                                                                     \
			fprintf(stderr, "%s:%d: failed: %s\n", __FILE__, __LINE__, #cond);         \
			exit(1);                                                                   \
		}                                                                                  \
	} while (0)

#endif

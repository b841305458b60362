/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Tests of the log. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"

/* Who does not read what a daemon prints must not stop it. */
Test(log, a_full_pipe_does_not_block, .timeout = 10)
{
	static char buf[1 << 20];
	int fds[2], saved = dup(STDERR_FILENO);
	ssize_t n;

	cr_assert_eq(pipe(fds), 0);
	cr_assert_geq(dup2(fds[1], STDERR_FILENO), 0);
	for (unsigned i = 0; i < 2000; i++)
		log_warning("%0200u", i);
	n = read(fds[0], buf, sizeof(buf) - 1);
	cr_assert_gt(n, 4096);
	log_warning("and on");
	n = read(fds[0], buf, sizeof(buf) - 1);
	cr_assert_gt(n, 0);
	buf[n] = '\0';
	(void)dup2(saved, STDERR_FILENO);
	cr_assert_not_null(strstr(buf, " lines were left out here\n"), "%s", buf);
	cr_assert_not_null(strstr(buf, "warning: and on\n"), "%s", buf);
}

Test(log, priorities_for_the_journal_only)
{
	int fds[2], saved = dup(STDERR_FILENO);
	char stream[64], buf[256];
	struct stat st;
	ssize_t n;

	cr_assert_eq(pipe(fds), 0);
	cr_assert_geq(dup2(fds[1], STDERR_FILENO), 0);
	cr_assert_eq(fstat(STDERR_FILENO, &st), 0);
	(void)snprintf(stream, sizeof(stream), "%llu:%llu", (unsigned long long)st.st_dev,
		       (unsigned long long)st.st_ino);
	cr_assert_eq(setenv("JOURNAL_STREAM", stream, 1), 0);
	log_warning("one");
	cr_assert_eq(setenv("JOURNAL_STREAM", "1:1", 1), 0);
	log_warning("two");
	n = read(fds[0], buf, sizeof(buf) - 1);
	(void)dup2(saved, STDERR_FILENO);
	cr_assert_gt(n, 0);
	buf[n] = '\0';
	cr_assert_eq(strncmp(buf, "<4>one\n", 7), 0, "%s", buf);
	cr_assert_not_null(strstr(buf, " warning: two\n"), "%s", buf);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Owns the occupation of closed standard descriptors. */
#include "base/std_fds.h"

#include <fcntl.h>
#include <unistd.h>

void std_fds_occupy(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDONLY);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		(void)close(fd);
}

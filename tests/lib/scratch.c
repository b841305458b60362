/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Scratch files for tests. */
#include "scratch.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"

static char dir[256];
static char paths[8][512];
static unsigned next_path;

void scratch_begin(void)
{
	const char *tmp = getenv("TMPDIR");

	(void)snprintf(dir, sizeof(dir), "%s/drbdfs-unit.XXXXXX", tmp && *tmp ? tmp : "/tmp");
	ASSERT(mkdtemp(dir));
}

void scratch_end(void)
{
	DIR *d = opendir(dir);
	struct dirent *entry;

	ASSERT(d);
	while ((entry = readdir(d)))
		if (entry->d_name[0] != '.')
			(void)unlinkat(dirfd(d), entry->d_name, 0);
	closedir(d);
	(void)rmdir(dir);
}

const char *scratch_path(const char *name)
{
	char *path = paths[next_path++ % ARRAY_LEN(paths)];

	(void)snprintf(path, sizeof(paths[0]), "%s/%s", dir, name);
	return path;
}

const char *scratch_file(const char *name, uint64_t bytes)
{
	const char *path = scratch_path(name);
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	ASSERT(fd >= 0);
	ASSERT(ftruncate(fd, (off_t)bytes) == 0);
	close(fd);
	return path;
}

void scratch_read(const char *path, uint64_t byte, void *buf, size_t bytes)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	ASSERT(fd >= 0);
	ASSERT(pread(fd, buf, bytes, (off_t)byte) == (ssize_t)bytes);
	close(fd);
}

void scratch_write(const char *path, uint64_t byte, const void *buf, size_t bytes)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	ASSERT(fd >= 0);
	ASSERT(pwrite(fd, buf, bytes, (off_t)byte) == (ssize_t)bytes);
	close(fd);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The mountpoint: checks, the dead mount of a killed
 * daemon, mounting through libfuse, unmounting. */
#define FUSE_USE_VERSION 314
#include <fuse_lowlevel.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/log.h"
#include "base/str.h"
#include "daemon_int.h"

#define MOUNT_TYPE "fuse.drbdfs"
#define STACKED_MOUNTS_MAX 16

extern char **environ;

/* By way of a descriptor, because a dead mount answers no call but this one. */
int mount_resolve(const char *mountpoint, char out[PATH_MAX], struct err *err)
{
	int fd = open(mountpoint, O_PATH | O_CLOEXEC);
	char link[64];
	ssize_t n;

	if (fd < 0)
		return err_errno(err, errno, "mountpoint %s", mountpoint);
	str_format(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, out, PATH_MAX);
	close(fd);
	if (n < 0)
		return err_errno(err, errno, "mountpoint %s", mountpoint);
	if (n == PATH_MAX)
		return err_set(err, -ENAMETOOLONG, "mountpoint %s: name too long", mountpoint);
	out[n] = '\0';
	return 0;
}

/* Undoes the escapes of /proc/self/mountinfo. */
static void unescape(char *s)
{
	char *out = s;

	while (*s) {
		unsigned code;

		if (s[0] == '\\' && sscanf(s + 1, "%3o", &code) == 1) {
			*out++ = (char)code;
			s += 4;
		} else {
			*out++ = *s++;
		}
	}
	*out = '\0';
}

/* The type of the topmost mount at exactly this path; false: nothing is mounted there. */
static bool mount_type(const char *path, char *type, size_t type_bytes)
{
	FILE *f = fopen("/proc/self/mountinfo", "re");
	char *line = NULL;
	size_t capacity = 0;
	bool found = false;

	if (!f)
		return false;
	while (getline(&line, &capacity, f) > 0) {
		char at[PATH_MAX], fs[64];
		const char *dash = strstr(line, " - ");

		if (!dash || sscanf(line, "%*s %*s %*s %*s %4095s", at) != 1 ||
		    sscanf(dash, " - %63s", fs) != 1)
			continue;
		unescape(at);
		if (str_eq(at, path)) {
			found = true;
			str_copy(type, type_bytes, fs);
		}
	}
	free(line);
	fclose(f);
	return found;
}

static int run_fusermount(const char *path)
{
	const char *const words[] = { "fusermount3", "-u", "-z", "-q", "--", path, NULL };
	char *argv[ARRAY_LEN(words)];
	pid_t pid;
	int status, rc;

	/* posix_spawn does not change the words, only its type says so. */
	memcpy(argv, words, sizeof(argv));
	rc = posix_spawnp(&pid, argv[0], NULL, NULL, argv, environ);
	if (rc)
		return -rc;
	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return -errno;
	}
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EPERM;
}

static int detach(const char *path)
{
	if (umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) == 0)
		return 0;
	return errno == EPERM ? run_fusermount(path) : -errno;
}

static int take_over_dead(const char *path, struct err *err)
{
	char type[64];
	struct stat st;
	int rc;

	for (unsigned i = 0; i < STACKED_MOUNTS_MAX; i++) {
		if (stat(path, &st) == 0)
			return 0;
		if (errno != ENOTCONN && errno != ECONNABORTED)
			return err_errno(err, errno, "mountpoint %s", path);
		if (!mount_type(path, type, sizeof(type)) || !str_eq(type, MOUNT_TYPE))
			return err_set(err, -EBUSY,
				       "mountpoint %s: a dead mount of another program "
				       "is there; unmount it first (fusermount3 -u -z)",
				       path);
		rc = detach(path);
		if (rc)
			return err_errno(err, -rc, "mountpoint %s: cannot unmount what a killed "
					 "daemon left (fusermount3 -u -z)", path);
		log_notice("%s: removed the mount that a killed daemon had left", path);
	}
	return err_set(err, -EBUSY, "mountpoint %s: too many dead mounts on top of each other",
		       path);
}

static bool is_empty(const char *path)
{
	DIR *dir = opendir(path);
	const struct dirent *e;
	bool empty = true;

	if (!dir)
		return true;
	while (empty && (e = readdir(dir)))
		empty = str_eq(e->d_name, ".") || str_eq(e->d_name, "..");
	closedir(dir);
	return empty;
}

int mount_prepare(const char *path, bool nonempty, struct err *err)
{
	char type[64];
	struct stat st;
	int rc = take_over_dead(path, err);

	if (rc)
		return rc;
	if (stat(path, &st))
		return err_errno(err, errno, "mountpoint %s", path);
	if (!S_ISDIR(st.st_mode))
		return err_set(err, -ENOTDIR, "mountpoint %s: not a directory", path);
	if (mount_type(path, type, sizeof(type)) && str_eq(type, MOUNT_TYPE))
		return err_set(err, -EBUSY,
			       "mountpoint %s: another drbdfs daemon is mounted there; "
			       "end it first (fusermount3 -u)",
			       path);
	if (!nonempty && !is_empty(path))
		return err_set(err, -ENOTEMPTY, "mountpoint %s: not empty; what is in it would be "
			       "hidden (-o nonempty allows that)", path);
	return 0;
}

static void fuse_log_line(enum fuse_log_level level, const char *fmt, va_list ap)
{
	char text[512];
	size_t n;

	vsnprintf(text, sizeof(text), fmt, ap);
	n = strlen(text);
	if (n > 0 && text[n - 1] == '\n')
		text[n - 1] = '\0';
	log_print(level <= FUSE_LOG_ERR ? LOG_LEVEL_ERR : level == FUSE_LOG_WARNING ?
		  LOG_LEVEL_WARNING : LOG_LEVEL_INFO, "fuse: %s", text);
}

/* What libfuse takes, and what then fails with this file system, or makes its mount another's. */
static const char *cannot_work(const char *option)
{
	static const struct {
		const char *option, *why;
	} table[] = {
		{ "max_read", "drbdfs itself says how much it reads at once" },
		{ "blkdev", "drbdfs is not mounted from a block device" },
		{ "blksize", "drbdfs is not mounted from a block device" },
		{ "subtype", "the mount must be found as one of drbdfs again" },
	};
	size_t n = strcspn(option, "=");

	for (unsigned i = 0; i < ARRAY_LEN(table); i++) {
		if (strlen(table[i].option) == n && !memcmp(option, table[i].option, n))
			return table[i].why;
	}
	return NULL;
}

/* All but "nonempty", which is ours to judge and unknown to libfuse. */
static int add_options(struct fuse_args *args, const char *extra, struct err *err)
{
	char copy[1024], *rest = copy, *word;

	if (!str_copy(copy, sizeof(copy), extra ? extra : ""))
		return err_set(err, -ENAMETOOLONG, "-o: the options are too long");
	if (fuse_opt_add_arg(args, "drbdfs") || fuse_opt_add_arg(args, "-o") ||
	    fuse_opt_add_arg(args, "fsname=drbdfs,subtype=drbdfs,default_permissions"))
		return err_set(err, -ENOMEM, "no memory for the options of the mount");
	while ((word = strsep(&rest, ","))) {
		if (word[0] == '\0' || str_eq(word, "nonempty"))
			continue;
		if (cannot_work(word))
			return err_set(err, -EINVAL, "-o %s: leave it out, %s", word,
				       cannot_work(word));
		if (fuse_opt_add_arg(args, "-o") || fuse_opt_add_arg(args, word))
			return err_set(err, -ENOMEM, "no memory for the options of the mount");
	}
	return 0;
}

int mount_session_new(struct daemon *d, struct err *err)
{
	struct fuse_args args = FUSE_ARGS_INIT(0, NULL);
	int rc = add_options(&args, d->options.fuse_options, err);

	fuse_set_log_func(fuse_log_line);
	if (!rc) {
		d->session = fuse_session_new(&args, shard_fuse_ops(), shard_fuse_ops_bytes(),
					      d->shard);
		if (!d->session)
			rc = err_set(err, -EINVAL, "-o %s: an option is not valid; the lines of "
				     "fuse in the log name it",
				     d->options.fuse_options ? d->options.fuse_options : "");
	}
	fuse_opt_free_args(&args);
	return rc;
}

int mount_start(struct daemon *d, struct err *err)
{
	const char *path = d->options.mountpoint;

	if (fuse_session_mount(d->session, path))
		return err_set(err, -EIO, "mount %s: refused; the lines of fuse in the log say why "
			       "(is /dev/fuse there, is fusermount3 installed?)", path);
	d->mounted = true;
	return 0;
}

void mount_end(struct daemon *d)
{
	if (d->mounted)
		fuse_session_unmount(d->session);
	d->mounted = false;
}

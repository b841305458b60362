/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A disk with a volatile cache, as one file: what was written and not flushed can be lost, in any
 * order and any sector of it.
 *
 *   volatile_disk FILE MOUNTPOINT
 *           serves MOUNTPOINT/disk until it is unmounted; FILE has what is durable
 *
 * Lines written into MOUNTPOINT/ctl:
 *   cut MODE SEED
 *           power is lost: all (that is not flushed) | none | random | prefix | torn
 *   fail KIND FIRST LAST
 *           from now on a read or write of these bytes is an I/O error, or (any bytes) a flush
 *   mend    no more errors
 * MOUNTPOINT/ctl reads as "LOST KEPT": sectors of the last cut that were not as last written, and
 * that were.
 */
#define FUSE_USE_VERSION 35
#include <errno.h>
#include <fcntl.h>
#include <fuse.h>
#include <inttypes.h>
#include <linux/falloc.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define SECTOR 512U
/* A cache has an end: then it is written back as by a flush. */
#define CACHED_SECTORS_MAX (256U << 10)

/* What a sector was given since it was last durable; newest first. */
struct version {
	struct version *older;
	uint64_t write; /* number of the write that it came with */
	uint8_t data[SECTOR];
};

enum failing { FAIL_READ, FAIL_WRITE, FAIL_FLUSH, FAIL_KINDS };
enum cut { CUT_ALL, CUT_NONE, CUT_RANDOM, CUT_PREFIX, CUT_TORN, CUT_MODES };

static const char *const failing_names[FAIL_KINDS] = { "read", "write", "flush" };
static const char *const cut_names[CUT_MODES] = { "all", "none", "random", "prefix", "torn" };

static struct {
	int fd;
	uint64_t sectors;
	uint8_t *now;                /* as last written: what reads see */
	struct version **unflushed;  /* per sector */
	uint64_t cached, writes, lost, kept;
	struct { bool on; uint64_t first, last; } fail[FAIL_KINDS];
} disk;

static bool fails(enum failing kind, uint64_t byte, uint64_t bytes)
{
	return disk.fail[kind].on && byte <= disk.fail[kind].last &&
	       byte + bytes > disk.fail[kind].first;
}

static int make_durable(uint64_t sector, const uint8_t *data)
{
	return pwrite(disk.fd, data, SECTOR, (off_t)(sector * SECTOR)) == SECTOR ? 0 : -EIO;
}

static void forget(uint64_t sector)
{
	while (disk.unflushed[sector]) {
		struct version *v = disk.unflushed[sector];

		disk.unflushed[sector] = v->older;
		free(v);
		disk.cached--;
	}
}

static int flush_sectors(uint64_t sector, uint64_t end)
{
	int rc = 0;

	for (; sector < end && disk.cached; sector++) {
		if (disk.unflushed[sector] &&
		    make_durable(sector, disk.now + sector * SECTOR))
			rc = -EIO;
		forget(sector);
	}
	return rc;
}

static bool keep_version(uint64_t sector)
{
	struct version *v = malloc(sizeof(*v));

	if (!v)
		return false;
	memcpy(v->data, disk.now + sector * SECTOR, SECTOR);
	v->write = disk.writes;
	v->older = disk.unflushed[sector];
	disk.unflushed[sector] = v;
	disk.cached++;
	return true;
}

/* data NULL: zeroes. Whole sectors, as of every disk. */
static int change(const uint8_t *data, uint64_t byte, uint64_t bytes, bool durable)
{
	if ((byte | bytes) % SECTOR || byte + bytes > disk.sectors * SECTOR)
		return -EINVAL;
	if (fails(FAIL_WRITE, byte, bytes))
		return -EIO;
	if (disk.cached > CACHED_SECTORS_MAX && flush_sectors(0, disk.sectors))
		return -EIO;
	disk.writes++;
	if (data)
		memcpy(disk.now + byte, data, bytes);
	else
		memset(disk.now + byte, 0, bytes);
	for (uint64_t s = byte / SECTOR; s < (byte + bytes) / SECTOR; s++) {
		if (!keep_version(s))
			return -ENOMEM;
	}
	return durable ? flush_sectors(byte / SECTOR, (byte + bytes) / SECTOR) : 0;
}

/* The version that the cut leaves of a sector; NULL: the durable one. */
static const struct version *survivor(enum cut mode, const struct version *v, uint64_t last)
{
	unsigned n = 0;

	if (mode == CUT_ALL)
		return NULL;
	if (mode == CUT_NONE)
		return v;
	if (mode == CUT_PREFIX || mode == CUT_TORN) {
		while (v && (v->write > last ||
			     (mode == CUT_TORN && v->write == last && random() % 2)))
			v = v->older;
		return v;
	}
	for (const struct version *c = v; c; c = c->older)
		n++;
	for (n = (unsigned)random() % (n + 1); n && v; n--)
		v = v->older;
	return v;
}

static int cut(enum cut mode, unsigned seed)
{
	uint64_t oldest = disk.writes, last;

	srandom(seed);
	for (uint64_t s = 0; s < disk.sectors; s++) {
		for (const struct version *v = disk.unflushed[s]; v; v = v->older)
			oldest = v->write < oldest ? v->write : oldest;
	}
	last = oldest + (uint64_t)random() % (disk.writes - oldest + 1);
	disk.lost = disk.kept = 0;
	for (uint64_t s = 0; s < disk.sectors; s++) {
		const struct version *v;

		if (!disk.unflushed[s])
			continue;
		v = survivor(mode, disk.unflushed[s], last);
		if (v == disk.unflushed[s])
			disk.kept++;
		else
			disk.lost++;
		if (v && make_durable(s, v->data))
			return -EIO;
		forget(s);
		if (pread(disk.fd, disk.now + s * SECTOR, SECTOR, (off_t)(s * SECTOR)) != SECTOR)
			return -EIO;
	}
	return 0;
}

static int name_index(const char *name, const char *const *names, int count)
{
	while (count-- > 0 && strcmp(name, names[count]))
		;
	return count;
}

static int command(const char *line)
{
	char word[16];
	uint64_t first, last;
	unsigned seed;
	int i;

	if (sscanf(line, "cut %15s %u", word, &seed) == 2) {
		i = name_index(word, cut_names, CUT_MODES);
		return i < 0 ? -EINVAL : cut((enum cut)i, seed);
	}
	if (sscanf(line, "fail %15s %" SCNu64 " %" SCNu64, word, &first, &last) == 3) {
		i = name_index(word, failing_names, FAIL_KINDS);
		if (i < 0)
			return -EINVAL;
		disk.fail[i].on = true;
		disk.fail[i].first = first;
		disk.fail[i].last = last;
		return 0;
	}
	if (strncmp(line, "mend", 4))
		return -EINVAL;
	memset(disk.fail, 0, sizeof(disk.fail));
	return 0;
}

/* ---- the file system ---- */

static bool is_disk(const char *path) { return !strcmp(path, "/disk"); }
static bool is_ctl(const char *path) { return !strcmp(path, "/ctl"); }

static int op_getattr(const char *path, struct stat *st, struct fuse_file_info *fi)
{
	(void)fi;
	memset(st, 0, sizeof(*st));
	st->st_nlink = 1;
	st->st_uid = getuid();
	st->st_gid = getgid();
	if (!strcmp(path, "/")) {
		st->st_mode = S_IFDIR | 0700;
		return 0;
	}
	st->st_mode = S_IFREG | 0600;
	if (is_disk(path))
		st->st_size = (off_t)(disk.sectors * SECTOR);
	return is_disk(path) || is_ctl(path) ? 0 : -ENOENT;
}

static int op_open(const char *path, struct fuse_file_info *fi)
{
	fi->direct_io = 1;
	return is_disk(path) || is_ctl(path) ? 0 : -ENOENT;
}

/* `echo line >ctl` truncates first. */
static int op_truncate(const char *path, off_t size, struct fuse_file_info *fi)
{
	(void)size;
	(void)fi;
	return is_ctl(path) ? 0 : -EPERM;
}

static int op_read(const char *path, char *buf, size_t bytes, off_t byte, struct fuse_file_info *fi)
{
	uint64_t end = disk.sectors * SECTOR, at = (uint64_t)byte;

	(void)fi;
	if (is_ctl(path))
		return at ? 0 : snprintf(buf, bytes, "%" PRIu64 " %" PRIu64 "\n", disk.lost,
					 disk.kept);
	if (fails(FAIL_READ, at, bytes))
		return -EIO;
	if (at >= end)
		return 0;
	bytes = bytes > end - at ? end - at : bytes;
	memcpy(buf, disk.now + at, bytes);
	return (int)bytes;
}

static int op_write(const char *path, const char *buf, size_t bytes, off_t byte,
		    struct fuse_file_info *fi)
{
	char line[64];
	int rc;

	if (is_ctl(path)) {
		snprintf(line, sizeof(line), "%.*s", (int)bytes, buf);
		rc = command(line);
	} else {
		rc = change((const uint8_t *)buf, (uint64_t)byte, bytes,
			    (fi->flags & (O_SYNC | O_DSYNC)) != 0);
	}
	return rc ? rc : (int)bytes;
}

static int op_fsync(const char *path, int datasync, struct fuse_file_info *fi)
{
	(void)datasync;
	(void)fi;
	if (!is_disk(path))
		return 0;
	if (disk.fail[FAIL_FLUSH].on)
		return -EIO;
	return flush_sectors(0, disk.sectors);
}

static int op_fallocate(const char *path, int mode, off_t byte, off_t bytes,
			struct fuse_file_info *fi)
{
	(void)fi;
	if (!is_disk(path) || !(mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE)))
		return -EOPNOTSUPP;
	return change(NULL, (uint64_t)byte, (uint64_t)bytes, false);
}

static int op_readdir(const char *path, void *buf, fuse_fill_dir_t fill, off_t at,
		      struct fuse_file_info *fi, enum fuse_readdir_flags flags)
{
	static const char *const names[] = { ".", "..", "disk", "ctl" };

	(void)path;
	(void)at;
	(void)fi;
	(void)flags;
	for (unsigned i = 0; i < 4; i++)
		fill(buf, names[i], NULL, 0, 0);
	return 0;
}

static const struct fuse_operations ops = {
	.getattr = op_getattr,
	.open = op_open,
	.truncate = op_truncate,
	.read = op_read,
	.write = op_write,
	.fsync = op_fsync,
	.fallocate = op_fallocate,
	.readdir = op_readdir,
};

static bool open_disk(const char *path)
{
	struct stat st;

	disk.fd = open(path, O_RDWR | O_CLOEXEC);
	if (disk.fd < 0 || fstat(disk.fd, &st))
		return false;
	disk.sectors = (uint64_t)st.st_size / SECTOR;
	disk.unflushed = calloc(disk.sectors, sizeof(struct version *));
	disk.now = mmap(NULL, disk.sectors * SECTOR, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (!disk.unflushed || disk.now == MAP_FAILED)
		return false;
	for (uint64_t byte = 0; byte < disk.sectors * SECTOR;) {
		ssize_t n = pread(disk.fd, disk.now + byte, disk.sectors * SECTOR - byte,
				  (off_t)byte);

		if (n <= 0)
			return false;
		byte += (uint64_t)n;
	}
	return true;
}

int main(int argc, char **argv)
{
	char one_thread[] = "-s", foreground[] = "-f";
	char *fuse_argv[] = { argv[0], argc == 3 ? argv[2] : NULL, one_thread, foreground, NULL };

	if (argc != 3) {
		fprintf(stderr, "usage: volatile_disk FILE MOUNTPOINT\n");
		return 2;
	}
	if (!open_disk(argv[1])) {
		fprintf(stderr, "volatile_disk: %s: %s\n", argv[1], strerror(errno));
		return 2;
	}
	return fuse_main(4, fuse_argv, &ops, NULL);
}

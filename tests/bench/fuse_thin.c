/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The thinnest FUSE pass-through of one file: the yardstick
 * of the benchmark, with the same mount options as drbdfs. */
#define FUSE_USE_VERSION 35
#include <errno.h>
#include <fcntl.h>
#include <fuse_lowlevel.h>
#include <linux/fuse.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static int backing_fd;
static off_t backing_bytes;
static void *io_buf;

#define FILE_INO 2
#define MAX_WRITE (1U << 20)
/* libfuse reads up to its own buffer size: 1 MiB and a page. */
#define REQUEST_BYTES (MAX_WRITE + (1U << 16))
#define PAGE_BYTES 4096U

static void thin_attr(fuse_ino_t ino, struct stat *st)
{
	memset(st, 0, sizeof(*st));
	st->st_ino = ino;
	st->st_nlink = 1;
	st->st_uid = getuid();
	st->st_gid = getgid();
	if (ino == FUSE_ROOT_ID) {
		st->st_mode = S_IFDIR | 0700;
		return;
	}
	st->st_mode = S_IFREG | 0600;
	st->st_size = backing_bytes;
}

static void thin_init(void *userdata, struct fuse_conn_info *conn)
{
	(void)userdata;
	conn->max_write = MAX_WRITE;
	conn->max_background = 256;
	conn->congestion_threshold = 192;
	conn->want &= ~(unsigned)(FUSE_CAP_SPLICE_READ | FUSE_CAP_SPLICE_WRITE |
				  FUSE_CAP_SPLICE_MOVE);
}

static void thin_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct fuse_entry_param e = { .ino = FILE_INO };

	if (parent != FUSE_ROOT_ID || strcmp(name, "data") != 0) {
		fuse_reply_err(req, ENOENT);
		return;
	}
	thin_attr(FILE_INO, &e.attr);
	fuse_reply_entry(req, &e);
}

static void thin_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct stat st;

	(void)fi;
	thin_attr(ino, &st);
	fuse_reply_attr(req, &st, 0);
}

static void thin_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct fuse_open_out out = { .fh = 1,
				     .open_flags = FOPEN_DIRECT_IO | FOPEN_PARALLEL_DIRECT_WRITES };

	(void)ino;
	(void)fi;
	fuse_reply_buf(req, (const char *)&out, sizeof(out));
}

static void thin_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		      struct fuse_file_info *fi)
{
	ssize_t n = pread(backing_fd, io_buf, size, off);

	(void)ino;
	(void)fi;
	if (n < 0)
		fuse_reply_err(req, errno);
	else
		fuse_reply_buf(req, io_buf, (size_t)n);
}

static void thin_write(fuse_req_t req, fuse_ino_t ino, const char *buf, size_t size, off_t off,
		       struct fuse_file_info *fi)
{
	ssize_t n = pwrite(backing_fd, buf, size, off);

	(void)ino;
	(void)fi;
	if (n < 0)
		fuse_reply_err(req, errno);
	else
		fuse_reply_write(req, (size_t)n);
}

static void thin_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
	(void)ino;
	(void)datasync;
	(void)fi;
	fuse_reply_err(req, fdatasync(backing_fd) ? errno : 0);
}

static const struct fuse_lowlevel_ops thin_ops = {
	.init = thin_init,
	.lookup = thin_lookup,
	.getattr = thin_getattr,
	.open = thin_open,
	.read = thin_read,
	.write = thin_write,
	.fsync = thin_fsync,
};

/* As fuse_session_loop, but the payload of a write lies page aligned, as O_DIRECT wants it. */
static int thin_loop(struct fuse_session *se)
{
	size_t before = PAGE_BYTES - sizeof(struct fuse_in_header) - sizeof(struct fuse_write_in);
	struct fuse_buf request = { 0 };
	void *mem;
	int n = 0;

	if (posix_memalign(&mem, PAGE_BYTES, PAGE_BYTES + REQUEST_BYTES))
		return -ENOMEM;
	request.mem = (char *)mem + before;
	while (!fuse_session_exited(se)) {
		n = fuse_session_receive_buf(se, &request);
		if (n == -EINTR)
			continue;
		if (n <= 0)
			break;
		fuse_session_process_buf(se, &request);
	}
	free(mem);
	return n;
}

/* Past the page cache where the file system can, as drbdfs does. */
static int open_backing(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC | O_DIRECT);

	return fd < 0 && errno == EINVAL ? open(path, O_RDWR | O_CLOEXEC) : fd;
}

int main(int argc, char **argv)
{
	char prog[] = "fuse_thin";
	char *fuse_argv[] = { prog, NULL };
	struct fuse_args args = FUSE_ARGS_INIT(1, fuse_argv);
	struct fuse_session *se;
	struct stat st;
	int rc;

	if (argc != 3) {
		fprintf(stderr, "usage: fuse_thin FILE MOUNTPOINT\n");
		return 2;
	}
	backing_fd = open_backing(argv[1]);
	if (backing_fd < 0 || fstat(backing_fd, &st)) {
		fprintf(stderr, "fuse_thin: open %s: %s\n", argv[1], strerror(errno));
		return 1;
	}
	backing_bytes = st.st_size;
	if (posix_memalign(&io_buf, PAGE_BYTES, MAX_WRITE))
		return 1;
	se = fuse_session_new(&args, &thin_ops, sizeof(thin_ops), NULL);
	if (!se || fuse_set_signal_handlers(se) || fuse_session_mount(se, argv[2]))
		return 1;
	rc = thin_loop(se);
	fuse_session_unmount(se);
	fuse_session_destroy(se);
	return rc < 0;
}

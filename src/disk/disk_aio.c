/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Owns a native AIO context of the kernel; its system calls have no wrappers in libc. */
#include "disk/disk_aio.h"

#include <errno.h>
#include <linux/aio_abi.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "disk/disk_pool.h"

/*
 * Under way at most. Deep queues are for the workers: a submission can cost the owner's thread as
 * much as the rest of its work on a request (virtual disks), and workers submit beside it.
 */
#define AIO_TRANSFERS 4U

struct disk_aio {
	aio_context_t context;
	int event_fd;
	unsigned busy_count;
};

struct disk_aio *disk_aio_new(int event_fd)
{
	struct disk_aio *aio = calloc(1, sizeof(*aio));

	if (!aio)
		return NULL;
	aio->event_fd = event_fd;
	if (syscall(SYS_io_setup, AIO_TRANSFERS, &aio->context)) {
		free(aio);
		return NULL;
	}
	return aio;
}

void disk_aio_free(struct disk_aio *aio)
{
	if (!aio)
		return;
	ASSERT(aio->busy_count == 0);
	syscall(SYS_io_destroy, aio->context);
	free(aio);
}

static struct iocb iocb_of(const struct disk_aio *aio, const struct disk_job *job)
{
	const struct disk_transfer *t = &job->transfer;

	return (struct iocb){
		.aio_data = (uint64_t)(uintptr_t)job,
		.aio_lio_opcode = t->write ? IOCB_CMD_PWRITE : IOCB_CMD_PREAD,
		.aio_rw_flags = RWF_NOWAIT,
		.aio_fildes = (uint32_t)t->fd,
		.aio_buf = (uint64_t)(uintptr_t)t->data,
		.aio_nbytes = t->bytes,
		.aio_offset = (int64_t)t->byte,
		.aio_flags = IOCB_FLAG_RESFD,
		.aio_resfd = (uint32_t)aio->event_fd,
	};
}

void disk_aio_submit(struct disk_aio *aio, struct list *jobs, struct list *refused)
{
	struct iocb iocbs[AIO_TRANSFERS], *pointers[AIO_TRANSFERS];
	struct disk_job *batch[AIO_TRANSFERS];
	unsigned count = 0;
	long taken = 0;

	while (aio->busy_count + count < AIO_TRANSFERS && !list_empty(jobs)) {
		batch[count] = LIST_ENTRY(list_first(jobs), struct disk_job, link);
		list_del(&batch[count]->link);
		iocbs[count] = iocb_of(aio, batch[count]);
		pointers[count] = &iocbs[count];
		count++;
	}
	if (count > 0)
		taken = syscall(SYS_io_submit, aio->context, (long)count, pointers);
	if (taken < 0)
		taken = 0;
	aio->busy_count += (unsigned)taken;
	for (unsigned i = (unsigned)taken; i < count; i++)
		list_push_back(refused, &batch[i]->link);
	list_splice_back(refused, jobs);
}

void disk_aio_reap(struct disk_aio *aio, struct list *finished, struct list *refused)
{
	struct timespec now = { .tv_sec = 0 };
	struct io_event events[AIO_TRANSFERS];
	long count;

	if (aio->busy_count == 0)
		return;
	count = syscall(SYS_io_getevents, aio->context, 0L, (long)AIO_TRANSFERS, events, &now);
	for (long i = 0; i < count; i++) {
		struct disk_job *job = (struct disk_job *)(uintptr_t)events[i].data;

		aio->busy_count--;
		list_push_back(events[i].res == (int64_t)job->transfer.bytes ? finished : refused,
			       &job->link);
	}
}

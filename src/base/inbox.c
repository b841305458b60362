/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Owns the queue between threads. */
#include "base/inbox.h"

#include <errno.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

int inbox_init(struct inbox *inbox, unsigned capacity)
{
	inbox->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (inbox->event_fd < 0)
		return -errno;
	pthread_mutex_init(&inbox->lock, NULL);
	list_init(&inbox->messages);
	inbox->count = 0;
	inbox->capacity = capacity;
	inbox->closed = false;
	return 0;
}

void inbox_close(struct inbox *inbox)
{
	ASSERT(list_empty(&inbox->messages));
	pthread_mutex_destroy(&inbox->lock);
	close(inbox->event_fd);
	inbox->event_fd = -1;
}

int inbox_fd(const struct inbox *inbox)
{
	return inbox->event_fd;
}

int inbox_post(struct inbox *inbox, struct inbox_msg *msg)
{
	uint64_t one = 1;
	int rc = 0;

	pthread_mutex_lock(&inbox->lock);
	if (inbox->closed) {
		rc = -ESHUTDOWN;
	} else if (inbox->count == inbox->capacity) {
		rc = -EAGAIN;
	} else {
		list_push_back(&inbox->messages, &msg->link);
		/* Under the lock: after inbox_shut() nobody touches the descriptor. */
		if (inbox->count++ == 0 && write(inbox->event_fd, &one, sizeof(one)) < 0)
			ASSERT(errno == EAGAIN);
	}
	pthread_mutex_unlock(&inbox->lock);
	return rc;
}

unsigned inbox_drain(struct inbox *inbox)
{
	struct list now;
	uint64_t wakes;
	unsigned count;

	/* Before the messages are taken: a later wake-up must not be swallowed. */
	if (read(inbox->event_fd, &wakes, sizeof(wakes)) < 0)
		ASSERT(errno == EAGAIN || errno == EINTR);
	list_init(&now);
	pthread_mutex_lock(&inbox->lock);
	list_splice_back(&now, &inbox->messages);
	count = inbox->count;
	inbox->count = 0;
	pthread_mutex_unlock(&inbox->lock);
	while (!list_empty(&now)) {
		struct list *first = list_first(&now);
		struct inbox_msg *msg = LIST_ENTRY(first, struct inbox_msg, link);

		list_del(first);
		msg->run(msg);
	}
	return count;
}

void inbox_shut(struct inbox *inbox)
{
	pthread_mutex_lock(&inbox->lock);
	inbox->closed = true;
	pthread_mutex_unlock(&inbox->lock);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A bounded queue of messages from any thread to one thread; wakes it only when it was empty. */
#ifndef BASE_INBOX_H
#define BASE_INBOX_H

#include <pthread.h>
#include <stdbool.h>

#include "base/list.h"

/* Embedded in the message proper; run() is called on the receiving thread and owns the message. */
struct inbox_msg {
	struct list link;
	void (*run)(struct inbox_msg *msg);
};

struct inbox {
	pthread_mutex_t lock; /* messages, count, closed; leaf */
	struct list messages;
	unsigned count;
	unsigned capacity;
	bool closed;
	int event_fd;         /* readable while messages wait */
};

/* 0 or -errno. */
int inbox_init(struct inbox *inbox, unsigned capacity);
/* No message may be left and no thread may still post. */
void inbox_close(struct inbox *inbox);
int inbox_fd(const struct inbox *inbox);

/* Any thread. 0; -EAGAIN: full; -ESHUTDOWN: after
 * inbox_shut(). The message stays the caller's then. */
int inbox_post(struct inbox *inbox, struct inbox_msg *msg);
/* Receiver: runs all messages that are there now; returns their count. */
unsigned inbox_drain(struct inbox *inbox);
/* Receiver: from now on nothing is accepted. */
void inbox_shut(struct inbox *inbox);

#endif

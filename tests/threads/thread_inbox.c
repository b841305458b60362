/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Several threads post to one: nothing is lost or
 * doubled, order per sender holds, the bound holds. */
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdint.h>

#include "base/assert.h"
#include "base/inbox.h"
#include "thread_check.h"

#define SENDERS 3
#define MESSAGES 20000
#define CAPACITY 64

struct message {
	struct inbox_msg msg;
	unsigned sender, number;
};

static struct inbox inbox;
static struct message messages[SENDERS][MESSAGES];
static unsigned next_number[SENDERS]; /* receiver only */
static unsigned received;

static void run(struct inbox_msg *msg)
{
	struct message *m = CONTAINER_OF(msg, struct message, msg);

	CHECK(next_number[m->sender] == m->number);
	next_number[m->sender]++;
	received++;
}

static void *send_all(void *arg)
{
	unsigned sender = (unsigned)(uintptr_t)arg;

	for (unsigned i = 0; i < MESSAGES; i++) {
		struct message *m = &messages[sender][i];
		int rc;

		m->msg.run = run;
		m->sender = sender;
		m->number = i;
		list_init(&m->msg.link);
		while ((rc = inbox_post(&inbox, &m->msg)) == -EAGAIN)
			sched_yield();
		CHECK(rc == 0);
	}
	return NULL;
}

int main(void)
{
	struct message extra[CAPACITY + 1];
	pthread_t threads[SENDERS];

	CHECK(!inbox_init(&inbox, CAPACITY));
	for (uintptr_t i = 0; i < SENDERS; i++)
		CHECK(!pthread_create(&threads[i], NULL, send_all, (void *)i));
	while (received < SENDERS * MESSAGES) {
		struct pollfd pfd = { .fd = inbox_fd(&inbox), .events = POLLIN };

		/* A lost wake-up shows here. */
		CHECK(poll(&pfd, 1, 10000) == 1);
		CHECK(inbox_drain(&inbox) <= CAPACITY);
	}
	for (unsigned i = 0; i < SENDERS; i++)
		pthread_join(threads[i], NULL);
	for (unsigned i = 0; i <= CAPACITY; i++) {
		extra[i] = (struct message){
			.msg.run = run, .sender = 0, .number = MESSAGES + i,
		};
		list_init(&extra[i].msg.link);
		CHECK(inbox_post(&inbox, &extra[i].msg) == (i < CAPACITY ? 0 : -EAGAIN));
	}
	CHECK(inbox_drain(&inbox) == CAPACITY);
	inbox_shut(&inbox);
	CHECK(inbox_post(&inbox, &extra[CAPACITY].msg) == -ESHUTDOWN);
	inbox_close(&inbox);
	return 0;
}

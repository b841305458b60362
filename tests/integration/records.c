/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Numbered records in a file and a journal of them, for tests that kill what is under the file.
 *
 *   records write FILE JOURNAL SEED THREADS
 *           until a write fails or SIGTERM: each thread writes 1 to 16 neighbouring places of its
 *           own part again and again
 *   records sync FILE JOURNAL SEED THREADS
 *           the same, with an fdatasync after up to 16 writes, which acknowledges them
 *   records verify FILE JOURNAL
 *           each place holds its last acknowledged number, or a later one that was issued there;
 *           what is read counts as acknowledged from then on
 *   records look FILE JOURNAL
 *           the same, and what is read counts for nothing
 *   records verify-cut FILE JOURNAL
 *           as verify, for each 512 bytes of a place: what was not acknowledged may be torn there
 *   records acknowledged JOURNAL
 *           how many were
 *
 * A place is 4 KiB. Exit 0 when all is well, 1 on a difference, 2 on other errors.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PLACE_BYTES 4096U
#define SECTOR_BYTES 512U
#define RUN_MAX 16U
#define THREADS_MAX 64U
#define UNSYNCED_MAX 16U
#define PLACES_MAX (1U << 20)

enum entry_kind { ISSUED = 1, ACKNOWLEDGED = 2 };

/* One place in the journal; several go in one write(2) with O_APPEND, so that none is cut. */
struct entry {
	uint32_t kind;
	uint32_t place;
	uint64_t number;
};

/* What a place holds, repeated to its end. */
struct mark {
	uint64_t number;
	uint64_t place;
};

struct journal {
	struct entry *entries;
	size_t count;
};

static int file_fd, journal_fd;
static uint32_t places;
static unsigned thread_count;
static atomic_uint_fast64_t next_number;
static atomic_bool stop;
static bool synced;
static size_t whole_bytes = PLACE_BYTES; /* what a power loss does not tear */

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "records: %s: %s\n", what, strerror(errno));
	exit(2);
}

static void journal_add(uint32_t kind, uint32_t first, uint32_t count, uint64_t number)
{
	struct entry e[RUN_MAX];

	for (uint32_t i = 0; i < count; i++)
		e[i] = (struct entry){ kind, first + i, number };
	if (write(journal_fd, e, count * sizeof(e[0])) != (ssize_t)(count * sizeof(e[0])))
		die("journal");
}

static struct journal journal_read(const char *path)
{
	struct journal j = { NULL, 0 };
	struct stat st;
	size_t got = 0;

	journal_fd = open(path, O_RDWR | O_CREAT | O_APPEND, 0600);
	if (journal_fd < 0 || fstat(journal_fd, &st))
		die(path);
	j.count = (size_t)st.st_size / sizeof(struct entry);
	j.entries = malloc((j.count + 1) * sizeof(struct entry));
	if (!j.entries)
		die("memory");
	while (got < j.count * sizeof(struct entry)) {
		ssize_t n = pread(journal_fd, (char *)j.entries + got,
				  j.count * sizeof(struct entry) - got, (off_t)got);

		if (n <= 0)
			die(path);
		got += (size_t)n;
	}
	return j;
}

static void open_file(const char *path, int mode)
{
	struct stat st;

	file_fd = open(path, mode | O_CLOEXEC);
	if (file_fd < 0 || fstat(file_fd, &st))
		die(path);
	places = (uint32_t)(st.st_size / PLACE_BYTES);
	if (places > PLACES_MAX)
		places = PLACES_MAX;
}

static void fill(unsigned char *buf, uint32_t first, uint32_t count, uint64_t number)
{
	struct mark m = { .number = number };

	for (uint32_t i = 0; i < count; i++) {
		m.place = first + i;
		for (size_t at = 0; at < PLACE_BYTES; at += sizeof(m))
			memcpy(buf + (size_t)i * PLACE_BYTES + at, &m, sizeof(m));
	}
}

struct writer {
	pthread_t thread;
	unsigned index;
	unsigned seed;
	int error;
	/* Written and not acknowledged. */
	unsigned unsynced;
	struct { uint32_t first, count; uint64_t number; } written[UNSYNCED_MAX];
};

/* With sync: not after each. */
static int acknowledge(struct writer *w, uint32_t first, uint32_t count, uint64_t number)
{
	w->written[w->unsynced].first = first;
	w->written[w->unsynced].count = count;
	w->written[w->unsynced++].number = number;
	if (synced) {
		if (w->unsynced < UNSYNCED_MAX && rand_r(&w->seed) % UNSYNCED_MAX)
			return 0;
		if (fdatasync(file_fd))
			return errno;
	}
	for (unsigned i = 0; i < w->unsynced; i++)
		journal_add(ACKNOWLEDGED, w->written[i].first, w->written[i].count,
			    w->written[i].number);
	w->unsynced = 0;
	return 0;
}

static void *write_records(void *arg)
{
	struct writer *w = arg;
	uint32_t part = places / thread_count, base = part * w->index;
	unsigned char *buf = aligned_alloc(PLACE_BYTES, RUN_MAX * PLACE_BYTES);

	if (!buf)
		die("memory");
	while (!atomic_load(&stop)) {
		uint32_t count = rand_r(&w->seed) % 4 ? 1
						      : 1 + (uint32_t)rand_r(&w->seed) % RUN_MAX;
		uint32_t first = base + (uint32_t)rand_r(&w->seed) % (part - count);
		uint64_t number = atomic_fetch_add(&next_number, 1);
		size_t bytes = (size_t)count * PLACE_BYTES;
		ssize_t n;

		fill(buf, first, count, number);
		journal_add(ISSUED, first, count, number);
		n = pwrite(file_fd, buf, bytes, (off_t)first * PLACE_BYTES);
		w->error = n < 0 ? errno : n != (ssize_t)bytes ? EIO :
			   acknowledge(w, first, count, number);
		if (w->error)
			break;
	}
	free(buf);
	return NULL;
}

static void on_signal(int signo)
{
	(void)signo;
	atomic_store(&stop, true);
}

static int run_write(char **argv)
{
	struct writer writers[THREADS_MAX] = { 0 };
	struct sigaction action = { .sa_handler = on_signal };
	struct journal j = journal_read(argv[1]);
	uint64_t last = 0;
	int error = 0;

	for (size_t i = 0; i < j.count; i++)
		last = j.entries[i].number > last ? j.entries[i].number : last;
	free(j.entries);
	atomic_store(&next_number, last + 1);
	thread_count = (unsigned)atoi(argv[3]);
	open_file(argv[0], O_RDWR);
	if (thread_count < 1 || thread_count > THREADS_MAX || places / thread_count <= RUN_MAX)
		return 2;
	sigaction(SIGTERM, &action, NULL);
	for (unsigned i = 0; i < thread_count; i++) {
		writers[i].index = i;
		writers[i].seed = (unsigned)atoi(argv[2]) * THREADS_MAX + i;
		if (pthread_create(&writers[i].thread, NULL, write_records, &writers[i]))
			die("thread");
	}
	for (unsigned i = 0; i < thread_count; i++) {
		pthread_join(writers[i].thread, NULL);
		error = writers[i].error ? writers[i].error : error;
	}
	if (close(file_fd) && !error)
		error = errno;
	if (error)
		fprintf(stderr, "records: writing ended: %s\n", strerror(error));
	return error ? 1 : 0;
}

/* Last acknowledged number of each place. */
static uint64_t *acknowledged(const struct journal *j)
{
	uint64_t *last = calloc(PLACES_MAX, sizeof(*last));

	if (!last)
		die("memory");
	for (size_t i = 0; i < j->count; i++) {
		const struct entry *e = &j->entries[i];

		if (e->kind == ACKNOWLEDGED && e->place < PLACES_MAX && e->number > last[e->place])
			last[e->place] = e->number;
	}
	return last;
}

static bool was_issued(const struct journal *j, uint32_t place, uint64_t number)
{
	for (size_t i = j->count; i > 0; i--) {
		const struct entry *e = &j->entries[i - 1];

		if (e->place == place && e->number == number)
			return true;
	}
	return false;
}

/* A part of a place that is whole or torn by nothing. */
static bool part_is_good(const struct journal *j, const unsigned char *part, size_t bytes,
			 uint32_t place, uint64_t last, uint64_t *number)
{
	struct mark m;

	memcpy(&m, part, sizeof(m));
	*number = m.number;
	for (size_t at = sizeof(m); at < bytes; at += sizeof(m)) {
		if (memcmp(part, part + at, sizeof(m))) {
			printf("place %u is torn at byte %zu\n", place, at);
			return false;
		}
	}
	if (m.number < last) {
		printf("place %u: holds %" PRIu64 ", but %" PRIu64 " was acknowledged\n", place,
		       m.number, last);
		return false;
	}
	if (m.number &&
	    (m.place != place || (m.number != last && !was_issued(j, place, m.number)))) {
		printf("place %u: holds number %" PRIu64 " of place %" PRIu64
		       ", which was not written here\n", place, m.number, m.place);
		return false;
	}
	return true;
}

/* *number: the oldest in it. */
static bool place_is_good(const struct journal *j, const unsigned char *block, uint32_t place,
			  uint64_t last, uint64_t *number)
{
	uint64_t n;

	*number = UINT64_MAX;
	for (size_t at = 0; at < PLACE_BYTES; at += whole_bytes) {
		if (!part_is_good(j, block + at, whole_bytes, place, last, &n))
			return false;
		*number = n < *number ? n : *number;
	}
	return true;
}

static int run_verify(char **argv, bool keep)
{
	struct journal j = journal_read(argv[1]);
	uint64_t *last = acknowledged(&j), number, bad = 0;
	unsigned char *block = aligned_alloc(PLACE_BYTES, RUN_MAX * PLACE_BYTES);

	open_file(argv[0], O_RDONLY);
	if (!block)
		die("memory");
	for (uint32_t first = 0; first < places; first += RUN_MAX) {
		uint32_t count = places - first < RUN_MAX ? places - first : RUN_MAX;

		if (pread(file_fd, block, (size_t)count * PLACE_BYTES,
			  (off_t)first * PLACE_BYTES) != (ssize_t)count * PLACE_BYTES)
			die(argv[0]);
		for (uint32_t i = 0; i < count; i++) {
			if (!place_is_good(&j, block + (size_t)i * PLACE_BYTES, first + i,
					   last[first + i], &number))
				bad++;
			else if (keep && number != last[first + i])
				journal_add(ACKNOWLEDGED, first + i, 1, number);
		}
	}
	free(block);
	free(last);
	free(j.entries);
	if (bad)
		printf("%" PRIu64 " places are wrong\n", bad);
	return bad ? 1 : 0;
}

static int run_count(char **argv)
{
	struct journal j = journal_read(argv[0]);
	size_t n = 0;

	for (size_t i = 0; i < j.count; i++)
		n += j.entries[i].kind == ACKNOWLEDGED;
	free(j.entries);
	printf("%zu\n", n);
	return 0;
}

int main(int argc, char **argv)
{
	synced = argc == 6 && !strcmp(argv[1], "sync");
	if (synced || (argc == 6 && !strcmp(argv[1], "write")))
		return run_write(argv + 2);
	if (argc == 4 && !strcmp(argv[1], "verify-cut"))
		whole_bytes = SECTOR_BYTES;
	if (argc == 4 && (!strcmp(argv[1], "verify") || !strcmp(argv[1], "verify-cut")))
		return run_verify(argv + 2, true);
	if (argc == 4 && !strcmp(argv[1], "look"))
		return run_verify(argv + 2, false);
	if (argc == 3 && !strcmp(argv[1], "acknowledged"))
		return run_count(argv + 2);
	fprintf(stderr, "usage: records write|sync FILE JOURNAL SEED THREADS | "
		"verify|verify-cut FILE JOURNAL | "
		"look FILE JOURNAL | acknowledged JOURNAL\n");
	return 2;
}

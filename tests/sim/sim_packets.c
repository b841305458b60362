/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What has happened to packets of each type, in all lives of all processes of a run. */
#include <stdio.h>
#include <sys/mman.h>

#include "sim_net.h"

#define TYPES 256U /* P_CONNECTION_FEATURES is counted as the last one */
#define LEAST 100U

static uint64_t (*counts)[PACKET_FATES];

static unsigned index_of(unsigned type)
{
	return type < TYPES - 1 ? type : TYPES - 1;
}

bool sim_packets_begin(void)
{
	size_t bytes = TYPES * sizeof(*counts);

	counts = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (counts != MAP_FAILED)
		return true;
	counts = NULL;
	return false;
}

void sim_packet_count(unsigned type, enum packet_fate fate)
{
	if (counts)
		__atomic_fetch_add(&counts[index_of(type)][fate], 1, __ATOMIC_RELAXED);
}

static void print_one(const char *name, const uint64_t *c, bool good)
{
	printf("%-26s %12llu %10llu %10llu %10llu%s\n", name, (unsigned long long)c[PACKET_SENT],
	       (unsigned long long)c[PACKET_DELAYED], (unsigned long long)c[PACKET_LOST],
	       (unsigned long long)c[PACKET_CUT], good ? "" : "  missed");
}

void sim_packets_print(bool each)
{
	static const unsigned features = P_CONNECTION_FEATURES;
	unsigned sent = 0, enough = 0;

	if (each)
		printf("%-26s %12s %10s %10s %10s\n", "packet", "sent", "delayed", "lost", "cut");
	for (unsigned i = 0; i < TYPES; i++) {
		const char *name = packet_name(i == TYPES - 1 ? features : i);
		const uint64_t *c = counts[i];
		bool good = c[PACKET_DELAYED] >= LEAST && c[PACKET_LOST] >= LEAST &&
			    c[PACKET_CUT] >= LEAST;

		if (!c[PACKET_SENT])
			continue;
		sent++;
		enough += good;
		if (each)
			print_one(name ? name : "?", c, good);
	}
	printf("%u of %u types of packets delayed, lost and cut at least %u times each\n", enough,
	       sent, LEAST);
}

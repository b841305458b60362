/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who has quorum, exhaustively over a small model: up to five nodes, some of them tie-breakers, go
 * through all sequences of two or three partitions; before each a node may be restarted, or leave
 * in good order, by which its disk becomes Outdated. Links are lost before others are made. In no
 * moment two groups may write, and none may write that does not have what was written last.
 */
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "core/quorum.h"

#define NODES 5U
#define PARTITIONS_MAX 52U

struct world {
	unsigned nodes, disks;     /* the first `disks` have one, the others break ties */
	uint32_t quorum;
	bool idle;                 /* nobody writes: all disks stay equal */
	unsigned written;          /* the last version that was answered */
	unsigned group[NODES];
	unsigned version[NODES];   /* on its disk */
	bool good[NODES];          /* the disk is not Outdated */
	bool had[NODES];
	uint32_t members[NODES];   /* that shared its quorum last */
	uint32_t outdated[NODES];  /* that it knows to be so */
};

/* What may happen to one node before a partition. */
enum incident { NOTHING, RESTARTED, LEAVES, INCIDENTS };

static uint64_t cases;

static uint32_t group_of(const struct world *w, unsigned n)
{
	uint32_t mask = 0;

	for (unsigned m = 0; m < w->nodes; m++)
		mask |= (uint32_t)(w->group[m] == w->group[n]) << m;
	return mask;
}

static enum disk_state disk_of(const struct world *w, unsigned n)
{
	if (n >= w->disks)
		return DISK_DISKLESS;
	return w->good[n] ? DISK_UP_TO_DATE : DISK_OUTDATED;
}

static bool has_quorum(const struct world *w, unsigned n)
{
	struct quorum_input in = {
		.quorum = w->quorum,
		.with_disk = n < w->disks,
		.client = n >= w->disks,
		.disk = disk_of(w, n),
		.had = w->had[n],
	};

	for (unsigned p = 0; p < w->nodes; p++) {
		bool here = w->group[p] == w->group[n];

		if (p == n)
			continue;
		in.peers[in.peer_count++] = (struct quorum_peer){
			.client = p >= w->disks,
			.connected = here,
			.disk = here ? disk_of(w, p) : DISK_UNKNOWN,
			.outdated = w->outdated[n] >> p & 1,
			.member = w->members[n] >> p & 1,
			.quorate = here && w->had[p],
		};
	}
	return quorum_compute(&in);
}

/* What the newest disk of a group has; it is good when it was, or when all disks are there. */
static void newest(const struct world *w, unsigned group, unsigned *version, bool *good)
{
	unsigned here = 0;

	*version = 0;
	*good = false;
	for (unsigned n = 0; n < w->disks; n++) {
		if (w->group[n] != group)
			continue;
		here++;
		if (w->version[n] > *version) {
			*version = w->version[n];
			*good = false;
		}
		*good |= w->good[n] && w->version[n] == *version;
	}
	*good |= here == w->disks;
}

/* All of a group resync from that. */
static void resync(struct world *w)
{
	const struct world before = *w;

	for (unsigned n = 0; n < w->disks; n++)
		newest(&before, w->group[n], &w->version[n], &w->good[n]);
	for (unsigned n = 0; n < w->nodes; n++)
		for (unsigned m = 0; m < w->disks; m++)
			if (w->group[m] == w->group[n] && w->good[m])
				w->outdated[n] &= ~(UINT32_C(1) << m);
}

static const char *settle(struct world *w)
{
	bool have[NODES], any[NODES] = { false };
	int writers = -1;

	cases++;
	resync(w);
	for (unsigned n = 0; n < w->nodes; n++)
		have[n] = has_quorum(w, n);
	for (unsigned n = 0; n < w->nodes; n++)
		for (unsigned m = 0; m < w->nodes; m++)
			any[n] |= w->group[m] == w->group[n] && have[m];
	for (unsigned n = 0; n < w->nodes; n++) {
		w->had[n] = have[n];
		/* Agreed upon by the group. */
		if (any[n])
			w->members[n] = group_of(w, n);
	}
	for (unsigned n = 0; n < w->disks; n++) {
		if (!have[n] || !w->good[n])
			continue;
		if (writers >= 0 && w->group[n] != (unsigned)writers)
			return "two groups have quorum";
		if (w->version[n] != w->written)
			return "a group writes that does not have what was written last";
		writers = (int)w->group[n];
	}
	if (writers < 0 || w->idle)
		return NULL;
	w->written++;
	for (unsigned n = 0; n < w->disks; n++)
		if (w->group[n] == (unsigned)writers)
			w->version[n] = w->written;
	return NULL;
}

static const char *leave(struct world *w, unsigned node)
{
	for (unsigned n = 0; n < w->nodes; n++)
		if (n != node && w->group[n] == w->group[node] && node < w->disks)
			w->outdated[n] |= UINT32_C(1) << node;
	w->good[node] = false;
	w->group[node] = NODES;
	return settle(w);
}

/* Who loses sight of a disk that is not Outdated does not know any more of others that they are:
 * they may get better data from there. */
static void forget_outdated(struct world *w, const unsigned *before)
{
	for (unsigned n = 0; n < w->nodes; n++)
		for (unsigned m = 0; m < w->disks; m++)
			if (before[m] == before[n] && w->group[m] != w->group[n] &&
			    !(w->outdated[n] >> m & 1))
				w->outdated[n] = 0;
}

static const char *step(struct world *w, const uint8_t *partition, enum incident incident,
			unsigned node)
{
	const char *why = NULL;
	unsigned before[NODES];

	if (incident == RESTARTED)
		w->had[node] = false;
	if (incident == LEAVES)
		why = leave(w, node);
	memcpy(before, w->group, sizeof(before));
	/* What is left of the old groups, then the new ones. */
	for (unsigned n = 0; n < w->nodes; n++)
		w->group[n] = w->group[n] * NODES + partition[n];
	forget_outdated(w, before);
	why = why ? why : settle(w);
	for (unsigned n = 0; n < w->nodes; n++)
		w->group[n] = partition[n];
	return why ? why : settle(w);
}

/* ---- enumeration ---- */

static uint8_t partitions[PARTITIONS_MAX][NODES];
static unsigned partition_count;

/* Each node joins a group that exists or begins the next one. */
static void enumerate(unsigned nodes, unsigned n, unsigned groups, uint8_t *at)
{
	if (n == nodes) {
		ASSERT(partition_count < PARTITIONS_MAX);
		memcpy(partitions[partition_count++], at, NODES);
		return;
	}
	for (unsigned g = 0; g <= groups; g++) {
		at[n] = (uint8_t)g;
		enumerate(nodes, n + 1, g == groups ? groups + 1 : groups, at);
	}
}

static void print_step(const struct world *w, const uint8_t *partition, enum incident incident,
		       unsigned node)
{
	static const char *const texts[] = { "", "restarted: ", "leaves: " };

	printf("  %s", texts[incident]);
	if (incident != NOTHING)
		printf("%u; ", node);
	printf("groups");
	for (unsigned n = 0; n < w->nodes; n++)
		printf(" %u", partition[n]);
	printf("\n");
}

static bool go_on(const struct world *before, unsigned steps)
{
	unsigned incidents = 1 + (INCIDENTS - 1) * before->nodes;

	for (unsigned i = 0; i < partition_count * incidents; i++) {
		const uint8_t *partition = partitions[i / incidents];
		unsigned x = i % incidents, node = x ? (x - 1) / (INCIDENTS - 1) : 0;
		enum incident incident = x ? RESTARTED + (x - 1) % (INCIDENTS - 1) : NOTHING;
		struct world w = *before;
		const char *why = step(&w, partition, incident, node);

		if (why)
			printf("%s: %u disks, %u tie-breakers, quorum %u; backwards:\n", why,
			       w.disks, w.nodes - w.disks, w.quorum);
		if (why || (steps > 1 && !go_on(&w, steps - 1))) {
			print_step(&w, partition, incident, node);
			return false;
		}
	}
	return true;
}

static bool check(unsigned disks, unsigned clients, uint32_t quorum, bool idle)
{
	uint8_t at[NODES] = { 0 };
	struct world w = { .nodes = disks + clients, .disks = disks, .quorum = quorum,
			   .idle = idle, .written = 1 };

	for (unsigned n = 0; n < w.nodes; n++) {
		w.had[n] = true;
		w.good[n] = n < disks;
		w.version[n] = 1;
		w.members[n] = (UINT32_C(1) << w.nodes) - 1;
	}
	partition_count = 0;
	enumerate(w.nodes, 0, 0, at);
	return go_on(&w, w.nodes > 3 ? 2 : 3);
}

static bool check_all(unsigned disks, unsigned clients, bool idle)
{
	return check(disks, clients, QUORUM_MAJORITY, idle) &&
	       check(disks, clients, QUORUM_ALL, idle) &&
	       check(disks, clients, disks / 2 + 1, idle);
}

int main(void)
{
	for (unsigned disks = 1; disks <= NODES; disks++) {
		for (unsigned clients = 0; disks + clients <= NODES && clients <= 2; clients++) {
			if (!check_all(disks, clients, false) || !check_all(disks, clients, true))
				return 1;
		}
	}
	printf("prop_quorum: %llu moments\n", (unsigned long long)cases);
	return 0;
}

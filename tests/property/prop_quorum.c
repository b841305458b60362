/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who has quorum, exhaustively over a small model: up to five nodes, some of them tie-breakers, go
 * through all sequences of two or three partitions; before each a node may be restarted, with its
 * disk or without, leave in good order, by which its disk becomes Outdated, lose its disk or get it
 * back; or all are restarted, one of them without its disk. Links are lost before others are made.
 * In no moment two groups may write, through whichever of their nodes, and none may write that does
 * not have what was written last.
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
	bool redundant;            /* quorum-minimum-redundancy is the same */
	bool idle;                 /* nobody writes: all disks stay equal */
	bool single;               /* what was written may be on too few disks */
	unsigned written;          /* the last version that was answered */
	unsigned group[NODES];
	unsigned version[NODES];   /* on its disk */
	bool good[NODES];          /* the disk is not Outdated */
	bool lacks_disk[NODES];    /* which is still there, and may come back */
	unsigned seen[NODES];      /* the newest version, since it was started */
	bool had[NODES];
	uint32_t members[NODES];   /* that shared its quorum last */
	uint32_t outdated[NODES];  /* that it knows to be so */
	uint32_t saved[NODES];     /* the same, on its disk */
};

/* What may happen to one node before a partition. */
enum incident {
	NOTHING, RESTARTED, RESTARTED_WITHOUT_DISK, LEAVES, LOSES_DISK, GETS_DISK,
	ALL_RESTARTED_IT_WITHOUT_DISK, INCIDENTS,
};

static uint64_t cases;

static uint32_t group_of(const struct world *w, unsigned n)
{
	uint32_t mask = 0;

	for (unsigned m = 0; m < w->nodes; m++)
		mask |= (uint32_t)(w->group[m] == w->group[n]) << m;
	return mask;
}

static bool with_disk(const struct world *w, unsigned n)
{
	return n < w->disks && !w->lacks_disk[n];
}

static enum disk_state disk_of(const struct world *w, unsigned n)
{
	if (!with_disk(w, n))
		return DISK_DISKLESS;
	return w->good[n] ? DISK_UP_TO_DATE : DISK_OUTDATED;
}

static bool has_quorum(const struct world *w, unsigned n)
{
	struct quorum_input in = {
		.quorum = w->quorum,
		.min_redundancy = w->redundant ? w->quorum : QUORUM_OFF,
		.with_disk = with_disk(w, n),
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
			.knows_more = here && w->seen[p] > w->seen[n],
		};
	}
	return quorum_compute(&in);
}

/* What the newest disk of a group has; it is good when it was and nobody
 * there has seen newer data, or when all disks are there. */
struct newest {
	unsigned version;
	bool good;
};

static struct newest newest_of(const struct world *w, unsigned group)
{
	struct newest at = { 0 };
	unsigned here = 0;

	for (unsigned n = 0; n < w->disks; n++) {
		if (w->group[n] != group || !with_disk(w, n))
			continue;
		here++;
		if (w->version[n] > at.version)
			at = (struct newest){ .version = w->version[n] };
		at.good |= w->good[n] && w->version[n] == at.version;
	}
	for (unsigned n = 0; n < w->nodes; n++)
		at.good &= w->group[n] != group || w->seen[n] <= at.version;
	at.good |= here == w->disks;
	return at;
}

/* Of the group of each node. */
static void all_newest(const struct world *w, struct newest at[NODES])
{
	for (unsigned n = 0; n < w->nodes; n++) {
		unsigned same = 0;

		while (w->group[same] != w->group[n])
			same++;
		at[n] = same < n ? at[same] : newest_of(w, w->group[n]);
	}
}

/* All of a group resync from that. */
static void resync(struct world *w)
{
	struct newest at[NODES];

	all_newest(w, at);
	for (unsigned n = 0; n < w->nodes; n++) {
		if (with_disk(w, n)) {
			w->version[n] = at[n].version;
			w->good[n] = at[n].good;
		}
		if (w->seen[n] < at[n].version)
			w->seen[n] = at[n].version;
	}
	for (unsigned n = 0; n < w->nodes; n++)
		for (unsigned m = 0; m < w->disks; m++)
			if (w->group[m] == w->group[n] && with_disk(w, m) && w->good[m])
				w->outdated[n] &= ~(UINT32_C(1) << m);
}

/* Nodes without a disk have heard from those with one whether there is quorum. */
static void decide(struct world *w)
{
	bool have[NODES], any[NODES] = { false };

	for (unsigned disk = 0; disk < 2; disk++) {
		for (unsigned n = 0; n < w->nodes; n++)
			if (with_disk(w, n) != disk)
				have[n] = has_quorum(w, n);
		for (unsigned n = 0; n < w->nodes; n++)
			if (with_disk(w, n) != disk)
				w->had[n] = have[n];
	}
	for (unsigned n = 0; n < w->nodes; n++)
		for (unsigned m = 0; m < w->nodes; m++)
			any[n] |= w->group[m] == w->group[n] && w->had[m];
	/* Agreed upon by the group. */
	for (unsigned n = 0; n < w->nodes; n++)
		if (any[n])
			w->members[n] = group_of(w, n);
}

static const char *settle(struct world *w)
{
	struct newest at[NODES];
	int writers = -1;

	cases++;
	resync(w);
	decide(w);
	for (unsigned n = 0; n < w->nodes; n++)
		if (with_disk(w, n))
			w->saved[n] = w->outdated[n];
	all_newest(w, at);
	for (unsigned n = 0; n < w->nodes; n++) {
		if (!w->had[n] || !at[n].good)
			continue;
		if (writers >= 0 && w->group[n] != (unsigned)writers)
			return "two groups have quorum";
		if (at[n].version != w->written && !w->single)
			return "a group writes that does not have what was written last";
		writers = (int)w->group[n];
	}
	if (writers < 0 || w->idle)
		return NULL;
	w->written++;
	for (unsigned n = 0; n < w->nodes; n++) {
		if (w->group[n] != (unsigned)writers)
			continue;
		w->seen[n] = w->written;
		if (with_disk(w, n))
			w->version[n] = w->written;
	}
	return NULL;
}

static const char *leave(struct world *w, unsigned node)
{
	for (unsigned n = 0; n < w->nodes; n++)
		if (n != node && w->group[n] == w->group[node] && with_disk(w, node))
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

static void restart(struct world *w, unsigned node)
{
	w->had[node] = false;
	w->seen[node] = 0;
	w->outdated[node] = w->saved[node];
	w->lacks_disk[node] = false;
}

static bool possible(const struct world *w, enum incident incident, unsigned node)
{
	if (incident == GETS_DISK)
		return w->lacks_disk[node];
	if (incident == LOSES_DISK)
		return with_disk(w, node);
	return incident <= RESTARTED || incident == LEAVES || node < w->disks;
}

static void happens(struct world *w, enum incident incident, unsigned node)
{
	switch (incident) {
	case RESTARTED:
	case RESTARTED_WITHOUT_DISK:
		restart(w, node);
		break;
	case ALL_RESTARTED_IT_WITHOUT_DISK:
		for (unsigned n = 0; n < w->nodes; n++)
			restart(w, n);
		break;
	case GETS_DISK:
		w->lacks_disk[node] = false;
		w->outdated[node] = w->saved[node];
		w->good[node] &= w->seen[node] <= w->version[node];
		break;
	default:
		break;
	}
	if (incident == RESTARTED_WITHOUT_DISK || incident == LOSES_DISK ||
	    incident == ALL_RESTARTED_IT_WITHOUT_DISK) {
		w->lacks_disk[node] = true;
		w->single |= !w->redundant;
	}
}

static const char *step(struct world *w, const uint8_t *partition, enum incident incident,
			unsigned node)
{
	const char *why = incident == LEAVES ? leave(w, node) : NULL;
	unsigned before[NODES];

	happens(w, incident, node);
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
	static const char *const texts[INCIDENTS] = {
		"", "restarted: ", "restarted without disk: ", "leaves: ", "loses its disk: ",
		"gets its disk back: ", "all restarted, without its disk: ",
	};

	printf("  %s", texts[incident]);
	if (incident != NOTHING)
		printf("%u; ", node);
	printf("groups");
	for (unsigned n = 0; n < w->nodes; n++)
		printf(" %u", partition[n]);
	printf("\n");
}

/* Nodes of a kind are alike at first: of partitions that differ in their names one will do. */
static bool sorted(const struct world *w, const uint8_t *partition)
{
	for (unsigned n = 1; n < w->nodes; n++)
		if (n != w->disks && partition[n] < partition[n - 1])
			return false;
	return true;
}

static bool go_on(const struct world *before, unsigned done)
{
	unsigned steps = before->nodes > 3 ? 2 : 3;
	unsigned incidents = 1 + (INCIDENTS - 1) * before->nodes;

	for (unsigned i = 0; i < partition_count * incidents; i++) {
		const uint8_t *partition = partitions[i / incidents];
		unsigned x = i % incidents, node = x ? (x - 1) / (INCIDENTS - 1) : 0;
		enum incident incident = x ? RESTARTED + (x - 1) % (INCIDENTS - 1) : NOTHING;
		struct world w = *before;
		const char *why;

		if (!possible(&w, incident, node) ||
		    (done == 0 && !sorted(&w, partition)))
			continue;
		why = step(&w, partition, incident, node);
		if (why)
			printf("%s: %u disks, %u tie-breakers, quorum %u; backwards:\n", why,
			       w.disks, w.nodes - w.disks, w.quorum);
		if (why || (done + 1 < steps && !go_on(&w, done + 1))) {
			print_step(&w, partition, incident, node);
			return false;
		}
	}
	return true;
}

static bool check(const struct world *kind)
{
	struct world w = *kind;
	uint8_t at[NODES] = { 0 };

	w.written = 1;
	for (unsigned n = 0; n < w.nodes; n++) {
		w.had[n] = true;
		w.good[n] = n < w.disks;
		w.version[n] = w.seen[n] = 1;
		w.members[n] = (UINT32_C(1) << w.nodes) - 1;
	}
	partition_count = 0;
	enumerate(w.nodes, 0, 0, at);
	return go_on(&w, 0);
}

static bool check_all(unsigned disks, unsigned clients)
{
	const uint32_t quorum[] = { QUORUM_MAJORITY, QUORUM_ALL, disks / 2 + 1 };

	for (unsigned i = 0; i < 3; i++) {
		struct world kind = { .nodes = disks + clients, .disks = disks,
				      .quorum = quorum[i] };
		struct world idle = kind, redundant = kind;

		idle.idle = true;
		redundant.redundant = true;
		if (!check(&kind) || (i < 2 && !check(&idle)) || (i < 1 && !check(&redundant)))
			return false;
	}
	return true;
}

int main(void)
{
	for (unsigned disks = 1; disks <= NODES; disks++)
		for (unsigned clients = 0; disks + clients <= NODES && clients <= 2; clients++)
			if (!check_all(disks, clients))
				return 1;
	printf("prop_quorum: %llu moments\n", (unsigned long long)cases);
	return 0;
}

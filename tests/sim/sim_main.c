/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The simulator's command line: ranges of seeds over
 * all processors, one seed with a trace, scenarios. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "sim.h"

#define WORKERS_MAX 64

struct options {
	uint64_t first, count;
	unsigned nodes, workers;
	bool trace, no_al, scenarios, self_test, keep_going, hashes, twice, again, packets, each;
	unsigned shrink_s;
	struct sim_list only, requests;
	const char *scenario;
	uint32_t kinds, having;
	char again_with[200]; /* options that make it the same life */
};

static void usage(FILE *f)
{
	fputs("usage: sim [--seed N] [--schedules M] [--nodes K] [--workers W] [--no-al]\n"
	      "           [--kinds LIST] [--having LIST] [--keep-going] [--hashes]\n"
	      "           [--packets[=count]] [--trace] [--shrink SECONDS] [--only FAULTS]\n"
	      "           [--requests REQUESTS]\n"
	      "       sim --scenarios [NAME] [--seed N] | --self-test\n"
	      "  --seed N       first seed (1)          --schedules M  how many (1)\n"
	      "  --nodes K      2..32 instead of what the seed says\n"
	      "  --workers W    processes (1)           --keep-going   do not stop at a failure\n"
	      "  --kinds LIST   lives of these kinds, too: default, all, none, or names:\n",
	      f);
	kinds_print(f);
	fputs("  --having LIST  only lives that are of one of these kinds, no others\n"
	      "  --no-al        core without activity-log writes: must be found out\n"
	      "  --seeds M      as --schedules, with a process per processor\n"
	      "  --hashes       print the hash of each trace\n"
	      "  --packets      print what has happened to packets of each type; --packets=count:\n"
	      "                 of how many types enough was delayed, lost and cut\n"
	      "  --twice        run every seed twice and compare the traces\n"
	      "  --shrink S     look so long for a shorter one (30; 0 with --keep-going)\n"
	      "  --only LIST    leave the other faults of that life out, such as 1-3,7 or none\n"
	      "  --requests LIST  leave the other requests of the application out\n"
	      "  --trace        print every event, packet and decision of one seed\n",
	      f);
}

static void report(struct world *w, const struct options *o, uint64_t seed,
		   const struct sim_result *r)
{
	printf("seed %llu failed at step %llu: %s\n", (unsigned long long)seed,
	       (unsigned long long)r->step, r->why);
	printf("  again: sim --seed %llu%s --trace\n", (unsigned long long)seed, o->again_with);
	if (o->nodes != 0)
		printf("  with --nodes %u\n", o->nodes);
	fflush(stdout);
	if (o->shrink_s && !o->again && !o->trace && !o->twice)
		sim_shrink(w, seed, r, o->shrink_s, o->again_with);
}

/* The same seed, without some of what happened. */
static void leave_out(struct world *w, const struct options *o, uint64_t seed)
{
	struct sim_result r;

	w->trace = false;
	sim_life(w, seed, &r);
	w->trace = o->trace;
	w->schedule.fault_out = o->only;
	w->schedule.op_out = o->requests;
	w->schedule.again = true;
}

/* The same seed must give the same trace. */
static void compare_again(struct world *w, uint64_t seed, struct sim_result *r)
{
	struct sim_result again;

	sim_life(w, seed, &again);
	if (again.hash == r->hash && again.step == r->step)
		return;
	r->failed = true;
	snprintf(r->why, sizeof(r->why),
		 "not deterministic: %llu steps, hash %016llx, then %llu, %016llx",
		 (unsigned long long)r->step, (unsigned long long)r->hash,
		 (unsigned long long)again.step, (unsigned long long)again.hash);
}

/* Every `stride`th seed from `first` on; the number of failures. */
static unsigned run_seeds(const struct options *o, uint64_t first, uint64_t stride)
{
	struct world *w = world_create();
	unsigned failures = 0;

	w->force_nodes = o->nodes;
	w->force_no_al = o->no_al;
	w->kinds = o->kinds;
	w->trace = o->trace;
	for (uint64_t seed = first; seed < o->first + o->count; seed += stride) {
		struct sim_result r;

		if (o->having && !kinds_have(o->having, o->kinds, seed))
			continue;
		if (o->again)
			leave_out(w, o, seed);
		sim_life(w, seed, &r);
		if (o->twice)
			compare_again(w, seed, &r);
		if (o->hashes)
			printf("seed %llu hash %016llx steps %llu\n", (unsigned long long)seed,
			       (unsigned long long)r.hash, (unsigned long long)r.step);
		if (!r.failed)
			continue;
		report(w, o, seed, &r);
		failures++;
		if (!o->keep_going)
			break;
	}
	fflush(stdout);
	return failures;
}

static unsigned run_workers(const struct options *o)
{
	pid_t pid[WORKERS_MAX];
	unsigned failures = 0;

	for (unsigned i = 0; i < o->workers; i++) {
		pid[i] = fork();
		if (pid[i] == 0) {
			unsigned n = run_seeds(o, o->first + i, o->workers);

			_exit(n > 100 ? 100 : (int)n);
		}
	}
	for (unsigned i = 0; i < o->workers; i++) {
		int status;

		if (pid[i] < 0 || waitpid(pid[i], &status, 0) < 0 || !WIFEXITED(status)) {
			printf("worker %u died\n", i);
			failures++;
		} else {
			failures += (unsigned)WEXITSTATUS(status);
		}
	}
	return failures;
}

static double seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static int run_all(const struct options *o)
{
	double start = seconds(), took;
	unsigned failures;

	failures = o->workers > 1 ? run_workers(o) : run_seeds(o, o->first, 1);
	took = seconds() - start;
	if (o->packets)
		sim_packets_print(o->each);
	if (o->trace)
		return failures > 0;
	printf("seeds %llu..%llu: %u failed, %.1f s", (unsigned long long)o->first,
	       (unsigned long long)(o->first + o->count - 1), failures, took);
	if (failures == 0)
		printf(", %.0f schedules per minute", (double)o->count * 60 / took);
	printf("\n");
	return failures > 0;
}

static int run_named(const struct options *o)
{
	struct world *w = world_create();
	unsigned failed = 0, run;

	w->trace = o->trace;
	w->force_no_al = o->no_al;
	w->scenario_seed = o->first;
	run = sim_scenarios(w, o->scenario, &failed);
	printf("scenarios: %u run, %u failed\n", run, failed);
	return failed > 0 || run == 0;
}

static bool parse(int argc, char **argv, struct options *o)
{
	static const struct option longs[] = {
		{ "seed", required_argument, NULL, 's' },
		{ "schedules", required_argument, NULL, 'm' },
		{ "nodes", required_argument, NULL, 'n' },
		{ "workers", required_argument, NULL, 'w' },
		{ "trace", no_argument, NULL, 't' },
		{ "kinds", required_argument, NULL, 'K' },
		{ "having", required_argument, NULL, 'V' },
		{ "no-al", no_argument, NULL, 'a' },
		{ "keep-going", no_argument, NULL, 'k' },
		{ "hashes", no_argument, NULL, 'H' },
		{ "twice", no_argument, NULL, '2' },
		{ "seeds", required_argument, NULL, 'M' },
		{ "scenarios", no_argument, NULL, 'S' },
		{ "self-test", no_argument, NULL, 'T' },
		{ "shrink", required_argument, NULL, 'r' },
		{ "packets", optional_argument, NULL, 'p' },
		{ "only", required_argument, NULL, 'o' },
		{ "requests", required_argument, NULL, 'q' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	const char *kinds = NULL;
	int c;

	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		switch (c) {
		case 's': o->first = strtoull(optarg, NULL, 10); break;
		case 'm': o->count = strtoull(optarg, NULL, 10); break;
		case 'n': o->nodes = (unsigned)strtoul(optarg, NULL, 10); break;
		case 'w': o->workers = (unsigned)strtoul(optarg, NULL, 10); break;
		case 't': o->trace = true; break;
		case 'a': o->no_al = true; break;
		case 'K':
			if (!kinds_parse(optarg, &o->kinds))
				return false;
			kinds = optarg;
			break;
		case 'V':
			if (!kinds_parse(optarg, &o->having))
				return false;
			break;
		case 'k':
			o->keep_going = true;
			o->shrink_s = 0;
			break;
		case 'H': o->hashes = true; break;
		case 'p':
			o->packets = sim_packets_begin();
			o->each = !optarg;
			if (optarg && strcmp(optarg, "count") != 0)
				return false;
			break;
		case '2': o->twice = true; break;
		case 'M':
			o->count = strtoull(optarg, NULL, 10);
			o->workers = (unsigned)sysconf(_SC_NPROCESSORS_ONLN);
			break;
		case 'S': o->scenarios = true; break;
		case 'T': o->self_test = true; break;
		case 'r': o->shrink_s = (unsigned)strtoul(optarg, NULL, 10); break;
		case 'o':
		case 'q':
			o->again = true;
			if (!sim_list_parse(optarg, c == 'o' ? &o->only : &o->requests))
				return false;
			break;
		default: return false;
		}
	}
	snprintf(o->again_with, sizeof(o->again_with), "%s%s%s", o->no_al ? " --no-al" : "",
		 kinds ? " --kinds " : "", kinds ? kinds : "");
	if (optind < argc && o->scenarios)
		o->scenario = argv[optind++];
	return optind == argc && o->count > 0 && o->workers >= 1 && o->workers <= WORKERS_MAX &&
	       (o->nodes == 0 || (o->nodes >= 2 && o->nodes <= SIM_NODES_MAX));
}

int main(int argc, char **argv)
{
	struct options o = { .first = 1, .count = 1, .workers = 1, .shrink_s = 30,
			     .kinds = kinds_default() };

	if (!parse(argc, argv, &o)) {
		usage(stderr);
		return 2;
	}
	if (o.self_test) {
		unsigned failed = sim_self_test(world_create());

		printf("models: %u failed\n", failed);
		return failed > 0;
	}
	return o.scenarios ? run_named(&o) : run_all(&o);
}

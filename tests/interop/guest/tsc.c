/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Prints the frequency of the time stamp counter in kHz: an emulated processor shows the same. */
#include <stdint.h>
#include <stdio.h>
#include <time.h>
#include <x86intrin.h>

#define MEASURE_NS UINT64_C(300000000)

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

int main(void)
{
	struct timespec rest = { .tv_nsec = MEASURE_NS };
	uint64_t start_ns = now_ns(), start = __rdtsc(), ns, ticks;

	nanosleep(&rest, NULL);
	ns = now_ns() - start_ns;
	ticks = __rdtsc() - start;
	printf("%.0f\n", (double)ticks * 1e6 / (double)ns);
	return 0;
}

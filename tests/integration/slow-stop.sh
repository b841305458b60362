#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The end of a daemon waits as long as its disk goes on with the metadata, however slowly, and leaves them clean.
. "$(dirname "$0")/functions.sh"
need gcc
need jq
nm "$B/drbdfs" 2>/dev/null | grep -q __asan && skip "a sanitizer wants to be loaded first"

# From the file $WORK/slow on each write of a page takes its time.
cat >"$WORK/slow.c" <<'C'
#define _GNU_SOURCE
#include <dlfcn.h>
#include <unistd.h>

ssize_t pwrite64(int fd, const void *buf, size_t n, off_t at)
{
	ssize_t (*real)(int, const void *, size_t, off_t) = dlsym(RTLD_NEXT, "pwrite64");

	if (n == 4096 && access(SLOW, F_OK) == 0)
		usleep(200000);
	return real(fd, buf, n, at);
}

ssize_t pwrite(int fd, const void *buf, size_t n, off_t at)
{
	return pwrite64(fd, buf, n, at);
}
C
must gcc -shared -fPIC -DSLOW="\"$WORK/slow\"" -o "$WORK/slow.so" "$WORK/slow.c" -ldl

# A page of the bitmap is for 128 MiB; beta is not there.
cluster_new "$WORK" 13G alpha beta
must cluster_create_md >/dev/null
LD_PRELOAD=$WORK/slow.so must node_start alpha
must ctl alpha primary r0 --force
for ((i = 0; i < 100; i++)); do
	printf x | dd of="$(node_file alpha)" bs=4096 seek=$((i * 32768)) conv=notrunc status=none || fail "write $i"
done
: >"$WORK/slow"
pid=${NODE_PID[alpha]} before=$SECONDS
kill -TERM "$pid"
must wait_for 90 "alpha to end" node_gone "$pid"
wait "$pid" || fail "alpha ended with $?"
unset 'NODE_PID[alpha]'
[ $((SECONDS - before)) -gt 15 ] || fail "it took $((SECONDS - before)) s only: nothing was slow"
must ctl alpha dump-md r0 >/dev/null

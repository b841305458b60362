#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# With rs-discard-granularity a full resync transfers data only: what is a hole or zero on the source becomes a hole on the target.
# Time limit: 180 s
. "$(dirname "$0")/functions.sh"
need jq

CLUSTER_DISK='rs-discard-granularity = "64K";'
two_nodes 64M
allocated_kib() { echo $(($(stat -c '%b * %B' "$(node_disk "$1")") / 1024)); }
put_random alpha 8192 1024
# Zeroes that are written are no holes.
dd if=/dev/zero of="$(node_file alpha)" bs=1M count=4 seek=32 conv=notrunc,nocreat,fsync status=none || fail "dd"
must wait_for 30 "alpha to demote" role_is alpha Secondary

# Beta holds something else, in holes of alpha, too.
must node_stop beta
dd if=/dev/urandom of="$(node_disk beta)" bs=1M count=24 seek=16 conv=notrunc,fsync status=none || fail "dd to beta's disk"
before=$(allocated_kib beta)
must node_start beta
must wait_for 60 "both nodes settled" cluster_settled
sent=$(sent_kib alpha beta)
must ctl beta invalidate r0
must wait_for 120 "both nodes settled" cluster_settled
sent=$(($(sent_kib alpha beta) - sent))
{ [ "$sent" -ge 1024 ] && [ "$sent" -le 1280 ]; } || fail "$sent KiB travelled for 1024 KiB that are not zero"
grep -Eq 'resync done: .* [1-9][0-9]* zero' "$CLUSTER_DIR/beta/log" || fail "beta's log does not tell of zeroes"
after=$(allocated_kib beta)
[ "$after" -le $((before - 20 * 1024)) ] || fail "beta's store has $after KiB allocated, $before before the resync of zeroes"
stop_all
must cluster_compare

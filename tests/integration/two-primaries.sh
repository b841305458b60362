#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# allow-two-primaries: both nodes have the file open for writing and write to the same blocks at once; both copies are the same afterwards.
# Time limit: 300 s
. "$(dirname "$0")/functions.sh"
need jq fio

CLUSTER_NET='allow-two-primaries = true;'
two_nodes 32M
exec 3<>"$(node_file alpha)"
exec 4<>"$(node_file beta)"
must wait_for 30 "alpha to be Primary" role_is alpha Primary
must wait_for 30 "beta to be Primary" role_is beta Primary
run ctl alpha status && said 'role:Primary' 'beta.*role:Primary'
[ "$(field alpha '.role + .connections[0]."peer-role"')" = PrimaryPrimary ] || fail "roles: $(field alpha .role)"

# What one has written the other one reads, at once and without closing anything.
for turn in 1 2 3; do
	for n in alpha beta; do
		other=$([ "$n" = alpha ] && echo beta || echo alpha)
		head -c 65536 /dev/urandom >"$WORK/block"
		must dd if="$WORK/block" of="$(node_file "$n")" bs=64k seek="$turn" conv=notrunc,nocreat status=none
		cmp <(dd if="$(node_file "$other")" bs=64k skip="$turn" count=1 status=none) "$WORK/block" ||
			fail "turn $turn: $other does not read what $n has written"
	done
done

# Four writers on each node in 1 MiB: most of what they write crosses something on its way.
both() { # JOB FIO_OPTIONS...
	local n pids=() pid
	for n in alpha beta; do
		fio --name="$1" --filename="$(node_file "$n")" --ioengine=psync --rw=randwrite --numjobs=4 --thread --size=1M \
			--randseed="${NODE_ID[$n]}" --time_based --runtime=5 --refill_buffers --output="$WORK/fio.$n" "${@:2}" &
		pids+=($!)
	done
	for pid in "${pids[@]}"; do wait "$pid" || { cat "$WORK"/fio.*; fail "a writer failed"; }; done
	[ "$1" = discards ] && return
	must wait_for 60 "both nodes settled" cluster_settled
	cmp "$(node_file alpha)" "$(node_file beta)" || fail "$1: the nodes differ"
}
must both blocks --bs=4k
must both ranges --bsrange=512-64k --bs_unaligned --blockalign=512
must both flushes --bs=4k --fsync=8
touch "$WORK/punching"
while [ -e "$WORK/punching" ]; do
	fallocate --punch-hole --offset $((RANDOM % 240 * 4096)) --length $((RANDOM % 16 * 4096 + 4096)) "$(node_file beta)" || echo failed >"$WORK/punching.failed"
done &
puncher=$!
on_exit 'rm -f "$WORK/punching"; kill_jobs KILL "$puncher"'
must both discards --bs=16k
rm "$WORK/punching"
wait "$puncher"
[ ! -e "$WORK/punching.failed" ] || fail "a discard failed"
must wait_for 60 "both nodes settled" cluster_settled
cmp "$(node_file alpha)" "$(node_file beta)" || fail "discards: the nodes differ"
[ "$(field alpha '.connections[0]."connection-state"')" = Connected ] || fail "the connection was lost"

# One gives its role up and the other goes on.
must_fail 11 ctl beta secondary r0
exec 4>&-
must wait_for 30 "beta to demote" role_is beta Secondary
[ "$(ctl alpha role r0)" = Primary ] || fail "alpha is $(ctl alpha role r0)"
must ctl beta primary r0
must ctl beta secondary r0

# Switched off while it runs: the second one is refused, and told why.
sed -i 's/allow-two-primaries = true/allow-two-primaries = false/' "$CLUSTER_DIR/drbdfs.conf"
for n in alpha beta; do must ctl "$n" adjust r0; done
must_fail 11 ctl beta primary r0
said 'alpha is Primary'
exec 3>&-
must wait_for 30 "alpha to demote" role_is alpha Secondary
stop_all
must cluster_compare

# One of the two is killed: the other one goes on, and it follows.
sed -i 's/allow-two-primaries = false/allow-two-primaries = true/' "$CLUSTER_DIR/drbdfs.conf"
for n in alpha beta; do must node_start "$n"; done
must wait_for 60 "both nodes settled" cluster_settled
for n in alpha beta; do must ctl "$n" primary r0; done
fio --name=lost --filename="$(node_file alpha)" --ioengine=psync --rw=randwrite --bs=4k --size=1M --time_based --runtime=4 \
	--output="$WORK/fio.alpha" &
writer=$!
fio --name=gone --filename="$(node_file beta)" --ioengine=psync --rw=randwrite --bs=4k --size=1M --time_based --runtime=60 \
	--output="$WORK/fio.beta" >/dev/null 2>&1 &
gone=$!
on_exit 'kill_jobs KILL "$writer" "$gone"'
has_sent() { [ "$(field "$1" '.connections[0].peer_devices[0].sent')" -gt 0 ]; }
must wait_for 30 "beta to write" has_sent beta
node_kill beta
must wait "$writer"
wait "$gone"
must node_start beta
must wait_for 60 "both nodes settled" cluster_settled
stop_all
must cluster_compare

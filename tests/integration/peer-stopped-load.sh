#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A peer is stopped (SIGSTOP) for a minute at full load, and nothing gives it up: the Primary's memory stays within its buffers for what
# applications write (256 MiB) and 16 MiB, status answers, writes go on afterwards, and both are equal.
. "$(dirname "$0")/functions.sh"
need jq fio
seconds=${SECONDS_STOPPED:-60}
buffers_kib=$((256 << 10)) more_kib=$((16 << 10))

# Protocol A: whoever does not wait for the peer fills whatever there is to be filled.
CLUSTER_PING_TIMEOUT=300
CLUSTER_PING_INT=60 # given up after both, which must be longer than it is stopped
CLUSTER_NET='protocol = "A"; ko-count = 0;'
two_nodes 256M
must ctl alpha primary r0
rss() { awk '/^VmRSS/ { print $2 }' "/proc/${NODE_PID[alpha]}/status"; }
in_flight() { peer_field alpha beta '."ap-in-flight"'; }
base=$(rss)
fio --name=load --filename="$(node_file alpha)" --rw=randwrite --bs=1M --size=200M --time_based --runtime=3600 --iodepth=32 --numjobs=4 \
	--ioengine=libaio --direct=1 >"$WORK/fio.out" 2>&1 &
load=$!
stopped=${NODE_PID[beta]}
on_exit "kill_jobs CONT $stopped; kill_jobs KILL $load"
must wait_for 60 "the load" eval '[ "$(sent_kib alpha beta)" -gt 65536 ]'
kill -STOP "$stopped"
end=$((SECONDS + seconds)) most=0
while [ "$SECONDS" -lt "$end" ]; do
	must timeout 3 "$B/drbdctl" -s "$WORK/alpha/control.sock" status >/dev/null
	now=$(rss)
	[ "$now" -le "$most" ] || most=$now
	pause 0.5
done
conn_is alpha beta Connected || fail "beta was given up, so the test has shown nothing"
[ "$(in_flight)" -ge $((buffers_kib / 2)) ] || fail "only $(in_flight) KiB were under way, so the test has shown nothing"
[ "$most" -le $((base + buffers_kib + more_kib)) ] || fail "$most KiB of memory, with $base when idle"
kill -CONT "$stopped"
before=$(sent_kib alpha beta)
must wait_for 60 "writes to go on" eval '[ "$(sent_kib alpha beta)" -gt $((before + 131072)) ]'
kill "$load"
must wait_for 60 "the load to end" node_gone "$load"
must wait_for 60 "both nodes settled" cluster_settled
must ctl alpha secondary r0
stop_all
must cluster_compare
echo "$base KiB when idle, at most $most KiB in $seconds s with a stopped peer"

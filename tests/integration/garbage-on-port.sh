#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Strangers on the replication port: silence, garbage, floods and half a handshake disturb neither connection nor data.
. "$(dirname "$0")/functions.sh"
need jq timeout

CLUSTER_PING_TIMEOUT=100
two_nodes 16M
port=$(sed -nE 's/.*name = "alpha".*address = "127.0.0.1:([0-9]+)".*/\1/p' "$CLUSTER_DIR/drbdfs.conf")
send() { timeout 3 bash -c "exec 3<>/dev/tcp/127.0.0.1/$port; cat >&3; cat <&3 >/dev/null" <"$1" 2>/dev/null; }
must put_random alpha 0 512
: >"$WORK/g"; send "$WORK/g"
for i in 1 2 3 4; do head -c $((i * 40000)) /dev/urandom >"$WORK/g"; send "$WORK/g"; done
printf 'GET / HTTP/1.1\r\n\r\n' >"$WORK/g"; send "$WORK/g"
# Header of 8 bytes: magic, P_INITIAL_META or P_INITIAL_DATA, length; then nonsense; then cut short.
first() { printf '\x83\x74\x02\x67\xff\xf'"$1"'\x00\x00'; }
for w in 1 2; do
	{ first "$w"; head -c 20000 /dev/urandom; } >"$WORK/g"; send "$WORK/g"
	{ first "$w"; printf '\x86\x20\xec\x20\x00\x00\xff\xfe\xff\xff\xff\xff\x00\x00\x00\x00'; } >"$WORK/g"; send "$WORK/g"
	first "$w" | head -c 5 >"$WORK/g"; send "$WORK/g"
done
# Many of them do not fill the log.
for i in $(seq 1 60); do
	{ exec 9<>"/dev/tcp/127.0.0.1/$port" && printf 'GET /%015d' 0 >&9 && read -r -t 10 <&9; exec 9>&-; } 2>/dev/null
done
lines=$(grep -c 'its first packet is wrong' "$WORK/alpha/log")
[ "$lines" -ge 1 ] || { cat "$WORK/alpha/log"; fail "garbage left no trace in the log"; }
[ "$lines" -le 30 ] || fail "60 times garbage left $lines lines in the log"
# Many that stay and say nothing.
pids=()
for i in $(seq 1 60); do
	{ exec 9<>"/dev/tcp/127.0.0.1/$port" && read -r -t 20 <&9; } 2>/dev/null &
	pids+=($!)
done
on_exit 'kill_jobs TERM "${pids[@]}"'
node_alive alpha || fail "alpha died"
must put_random alpha 1024 512
conn_is alpha beta Connected || fail "the connection was lost: $(ctl alpha cstate r0)"
# A peer that has to come back meanwhile gets in.
must node_kill beta
must node_start beta
must wait_for 60 "both nodes settled" cluster_settled
kill_jobs TERM "${pids[@]}"
must put_random alpha 2048 512
must wait_for 30 "alpha to demote" role_is alpha Secondary
stop_all
must cluster_compare

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A volume grows on both nodes while it is written to, its metadata move; it shrinks; what cannot be is refused with the reason.
# Time limit: 240 s
. "$(dirname "$0")/functions.sh"
need jq fio

two_nodes 64M
size_is() { [ "$(stat -c %s "$(node_file "$1")")" -"$2" $(($3 << 20)) ]; }

enlarge() { local n; for n in "${@:2}"; do must truncate -s "$1" "$(node_disk "$n")"; done; }

# No room yet, then only on one node.
before=$(stat -c %s "$(node_file alpha)")
must ctl alpha resize r0/0
[ "$(stat -c %s "$(node_file alpha)")" = "$before" ] || fail "it grew without room"
must_fail 11 ctl alpha resize r0/0 --size 128M
said 'cannot resize volume 0: 131072 KiB do not fit'
enlarge 192M alpha
must_fail 11 ctl alpha resize r0/0 --size 128M
said 'one of the disks .* has room for'

# Under load, with what was written before still there.
must put_random alpha 0 8192
fio --verify_state_save=0 --name=verify --filename="$(node_file alpha)" --offset=16M --size=32M --rw=randrw --bsrange=4k-64k --ioengine=libaio \
	--iodepth=8 --direct=1 --verify=crc32c --verify_backlog=256 --do_verify=1 --time_based --runtime=10 --output="$WORK/fio.log" &
load=$!
must wait_for 30 "alpha to be Primary" role_is alpha Primary
enlarge 192M beta
must ctl alpha resize r0/0
size_is alpha gt 190 || fail "alpha has $(stat -c %s "$(node_file alpha)") bytes"
must wait_for 30 "beta to have the size" size_is beta gt 190
wait "$load" || { cat "$WORK/fio.log"; fail "fio met an error or a difference"; }
must wait_for 60 "both nodes settled" cluster_settled
must wait_for 30 "alpha to demote" role_is alpha Secondary
must put_random alpha $((150 << 10)) 4096

# The metadata are where they belong: a crash and a clean stop find them.
must node_kill beta
must node_start beta
must wait_for 60 "both nodes settled" cluster_settled
size_is beta gt 190 || fail "beta lost its size"
stop_all
must cluster_compare
for n in alpha beta; do must node_start $n; done
must wait_for 60 "both nodes settled" cluster_settled
size_is alpha gt 190 || fail "alpha lost its size"

# A peer that is away is in the way, unless the operator knows better; it follows when it is back.
must node_stop beta
enlarge 256M alpha
must_fail 11 ctl alpha resize r0/0
said 'the disk of beta is not in sight'
must ctl alpha resize r0/0 --size 200M --assume-peer-has-space
size_is alpha eq 200 || fail "alpha has $(stat -c %s "$(node_file alpha)") bytes"
must node_start beta
must wait_for 30 "beta to be refused" conn_is beta alpha StandAlone
status_shows beta 'smaller than the data on the peer: enlarge it here'
enlarge 256M beta
must_fail 11 ctl beta resize r0/0
for n in alpha beta; do must ctl $n connect r0; done
must wait_for 60 "both nodes settled" cluster_settled
size_is beta eq 200 || fail "beta has $(stat -c %s "$(node_file beta)") bytes"

# Smaller: not while it is in use.
exec 3<>"$(node_file beta)"
must_fail 11 ctl alpha resize r0/0 --size 100M
exec 3>&-
must wait_for 30 "beta to demote" role_is beta Secondary
must ctl alpha resize r0/0 --size 100M
size_is alpha eq 100 || fail "alpha has $(stat -c %s "$(node_file alpha)") bytes"
must wait_for 30 "beta to have the size" size_is beta eq 100
must put_random beta $((90 << 10)) 1024
must wait_for 60 "both nodes settled" cluster_settled
stop_all
for n in alpha beta; do must node_start $n; done
must wait_for 60 "both nodes settled" cluster_settled
size_is alpha eq 100 || fail "alpha lost its size"
stop_all
must cluster_compare

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A backing store is used by one daemon only: a second one comes up without it and says why; create-md is refused.
. "$(dirname "$0")/functions.sh"
need jq

two_nodes 16M
must put_random alpha 0 256
must node_stop beta
# Another cluster, whose node delta claims alpha's store.
mkdir -p "$WORK/delta/mnt"
free_port; port=$PORT
free_port
cat >"$WORK/other.conf" <<CONF
version = 1;
resources = ( { name = "r0"; volumes = ( { volume = 0; } );
  nodes = ( { name = "delta"; node-id = 0; address = "127.0.0.1:$port"; volumes = ( { volume = 0; disk = "$(node_disk alpha)"; } ); },
            { name = "echo"; node-id = 1; address = "127.0.0.1:$PORT"; volumes = ( { volume = 0; disk = "none"; } ); } ); } );
CONF
delta() { "$B/drbdctl" -c "$WORK/other.conf" -n delta -s "$WORK/delta/control.sock" "$@"; }
must_fail 10 delta create-md r0 --force
said "cannot use .$(node_disk alpha)" 'in use by another drbdfs daemon'
"$B/drbdfs" mount -f -c "$WORK/other.conf" -n delta -s "$WORK/delta/control.sock" "$WORK/delta/mnt" >"$WORK/delta/log" 2>&1 </dev/null &
pid=$!
on_exit "kill_jobs KILL $pid; fusermount3 -uz '$WORK/delta/mnt' 2>/dev/null"
must wait_for 60 "delta to answer" delta role r0
grep -q 'in use by another drbdfs daemon' "$WORK/delta/log" || { cat "$WORK/delta/log"; fail "delta did not say why"; }
[ "$(delta dstate r0)" = Diskless/DUnknown ] || fail "delta has the disk: $(delta dstate r0)"
must_fail 10 delta attach r0
said 'in use'
must put_random alpha 512 256
must ctl alpha detach r0 --force
must wait_for 30 "alpha to be without disk" disk_is alpha Diskless
must delta shutdown
must wait_for 30 "delta to end" node_gone "$pid"
must ctl alpha attach r0
must wait_for 30 "alpha to have its disk again" disk_is alpha UpToDate
must node_stop alpha

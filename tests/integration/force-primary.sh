#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# primary --force makes fresh data UpToDate and starts the initial sync; refused while another node is Primary.
. "$(dirname "$0")/functions.sh"
need jq

cluster_new "$WORK" 24M alpha beta
must cluster_create_md >/dev/null
head -c 20M /dev/urandom | dd of="$(node_disk alpha)" conv=notrunc status=none
for n in alpha beta; do must node_start "$n"; done
must ctl alpha wait-connect r0 --timeout 60
must_fail 17 ctl alpha primary r0
said '--force'
! ( exec 3<>"$(node_file alpha)" ) 2>/dev/null || fail "opened without data"
must ctl alpha primary r0 --force
[ "$(ctl alpha role r0)" = Primary ] || fail "not Primary"
disk_is alpha UpToDate || fail "alpha is not UpToDate"
must_fail 11 ctl beta primary r0
must_fail 11 ctl beta primary r0 --force
must put_random alpha 1024 512
must ctl beta wait-sync r0 --timeout 60
must wait_for 30 "both nodes settled" cluster_settled
must ctl alpha secondary r0
stop_all
must cluster_compare

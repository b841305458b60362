#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Opening for writing promotes, closing demotes; a second writer elsewhere gets EROFS, a reader elsewhere EMEDIUMTYPE.
. "$(dirname "$0")/functions.sh"
need jq

three_nodes 32M
opens() { ( exec 3<>"$(node_file "$1")" ) 2>"$WORK/out"; }
reads() { ( exec 3<"$(node_file "$1")" ) 2>"$WORK/out"; }

exec 3<>"$(node_file alpha)"
must wait_for 30 "opening for writing to promote" role_is alpha Primary
! opens beta || fail "a second writer was let in"
said 'Read-only file system'
! reads beta || fail "a reader was let in beside a Primary elsewhere"
said 'Wrong medium type'
[ "$(ctl beta role r0)" = Secondary ] || fail "beta is $(ctl beta role r0)"
# The same node may open more often; the last close demotes.
exec 4<>"$(node_file alpha)"
exec 3>&-
[ "$(ctl alpha role r0)" = Primary ] || fail "the first close demoted"
must_fail 11 ctl alpha secondary r0
said 'open for writing' 'close or unmount'
exec 4>&-
must wait_for 30 "the last close to demote" role_is alpha Secondary

# Demoted by force nobody goes on here until all have closed it.
exec 3<>"$(node_file alpha)"
must wait_for 30 "alpha to promote" role_is alpha Primary
must ctl alpha secondary r0 --force
must status_shows alpha 'force-io-failures:yes'
! dd if=/dev/zero bs=4k count=1 oflag=direct conv=notrunc status=none >&3 2>/dev/null || fail "a write after the demotion succeeded"
! opens alpha || fail "opened beside those who were demoted by force"
said 'State not recoverable'
must_fail 11 ctl alpha primary r0
said 'still open for writing' 'close or unmount'
must opens beta
must wait_for 30 "beta to demote" role_is beta Secondary
exec 3>&-
must wait_for 30 "alpha to be free again" opens alpha
must wait_for 30 "alpha to demote" role_is alpha Secondary

# Now beta may; what it wrote is read on gamma once it closed.
must put_random beta 128 64
must wait_for 30 "beta to demote" role_is beta Secondary
cmp <(dd if="$(node_file gamma)" bs=64k skip=2 count=1 status=none) "$WORK/put.tmp" || fail "gamma reads something else"
[ "$(ctl gamma role r0)" = Secondary ] || fail "reading promoted"

# By command it stays, whatever is opened and closed.
must ctl alpha primary r0
must put_random alpha 0 64
[ "$(ctl alpha role r0)" = Primary ] || fail "closing demoted what was promoted by command"
! opens beta || fail "a second writer was let in"
must ctl alpha secondary r0
must opens beta

# A reader keeps nobody from becoming Primary on the same node, but elsewhere.
exec 3<"$(node_file gamma)"
! opens alpha || fail "promoted although gamma has it open for reading"
must opens gamma
exec 3<&-
must opens alpha
stop_all

# Without auto-promote only the command helps.
sed -i 's/options = {/options = { auto-promote = false; /' "$CLUSTER_DIR/drbdfs.conf"
for n in alpha beta gamma; do must node_start "$n"; done
must wait_for 60 "all nodes settled" cluster_settled
! opens alpha || fail "promoted without auto-promote"
said 'Read-only file system'
must ctl alpha primary r0
must opens alpha
must put_random alpha 64 64
[ "$(ctl alpha role r0)" = Primary ] || fail "closing demoted"
stop_all
must cluster_compare

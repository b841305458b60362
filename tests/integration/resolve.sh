#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# resolve ends a split brain from both sides; what the loser gives up is saved before, all of it or nothing is overwritten; the undo file
# gives it back byte for byte.
. "$(dirname "$0")/functions.sh"
need jq

two_nodes 48M
model_new alpha
must put_random alpha 0 4096
must wait_for 30 "alpha to demote" role_is alpha Secondary

must_part() {
	must ctl alpha disconnect r0:beta --force
	must wait_for 30 "beta to notice" eval '! conn_is beta alpha Connected'
	must ctl beta disconnect r0:alpha --force
}
# Overlapping, and each for itself.
must_split() {
	must_part
	must put_random alpha 8192 1024
	must put_random alpha 30720 5
	must wait_for 30 "alpha to demote" role_is alpha Secondary
	mv "$WORK/model" "$WORK/alphas"
	cp "$(node_disk beta)" "$WORK/betas.before"
	must ctl beta primary r0 --force
	must put_random beta 8704 2048
	must put_random beta 20480 512
	dd if=/dev/zero of="$(node_file beta)" bs=64k seek=10 count=8 conv=notrunc,nocreat,fsync status=none || fail "zeroes"
	must ctl beta secondary r0
	cp "$(node_file beta)" "$WORK/betas"
	must ctl alpha connect r0
	must ctl beta connect r0
	must wait_for 60 "alpha to report the split brain" conn_is alpha beta StandAlone
	must wait_for 60 "beta to report the split brain" conn_is beta alpha StandAlone
}

must_split
# What cannot be right.
must_fail 20 ctl beta resolve r0
said -- '--keep NODE is missing'
must_fail 10 ctl beta resolve r0 --keep gamma
must_fail 20 ctl alpha resolve r0 --keep alpha --save-loser "$WORK/undo"
said 'run it there'
must ctl beta primary r0
must_fail 11 ctl beta resolve r0 --keep alpha
said 'drbdctl secondary r0'
must ctl beta secondary r0

# A save that fails ends it before anything is overwritten.
echo precious >"$WORK/undo"
ctl alpha resolve r0 --keep alpha --timeout 60 >"$WORK/alpha.out" 2>&1 &
winner=$!
must_fail 11 ctl beta resolve r0 --keep alpha --save-loser "$WORK/undo" --timeout 60
said 'nothing was overwritten' 'File exists'
[ "$(cat "$WORK/undo")" = precious ] || fail "a file that was there is gone"
cmp -n "$(stat -c %s "$WORK/betas")" "$WORK/betas" "$(node_disk beta)" || fail "beta was overwritten"
must run ctl beta why r0
said 'StandAlone: .*nothing was overwritten'
rm "$WORK/undo"

# The whole repair; alpha goes on waiting meanwhile, and is in use.
exec 5<>"$(node_file alpha)"
must role_is alpha Primary
must ctl beta resolve r0 --keep alpha --save-loser "$WORK/undo" --timeout 60
must role_is alpha Primary
exec 5>&-
wait "$winner" || { cat "$WORK/alpha.out"; fail "resolve on alpha"; }
must wait_for 30 "both nodes settled" cluster_settled
[ "$(stat -c %a "$WORK/undo")" = 600 ] || fail "others may read the undo file"
must cmp "$WORK/alphas" "$(node_file alpha)"
must cmp -n "$(stat -c %s "$WORK/alphas")" "$WORK/alphas" "$(node_disk beta)"
# Again: nothing is left to do.
must ctl beta resolve r0 --keep alpha --timeout 60
must ctl alpha resolve r0 --keep alpha --timeout 60
must run ctl beta apply-undo "$WORK/undo"
said ' KiB of r0/0 \([0-9]+ bytes\) as beta had them in generation [0-9A-F]{16}'

# Applied again it gives beta's data, to all nodes; a damaged or unfinished one changes nothing.
head -c 100000 "$WORK/undo" >"$WORK/cut"
must_fail 10 ctl alpha apply-undo "$WORK/cut" "$(node_file alpha)"
said 'was not finished, or was cut'
cp "$WORK/undo" "$WORK/bad"
printf 'X' | dd of="$WORK/bad" bs=1 seek=60000 conv=notrunc status=none
must_fail 10 ctl alpha apply-undo "$WORK/bad" "$(node_file alpha)"
said 'the checksum does not fit'
must cmp "$WORK/alphas" "$(node_file alpha)"
must ctl alpha apply-undo "$WORK/undo" "$(node_file alpha)"
must cmp "$WORK/betas" "$(node_file alpha)"
# Written out: to a copy of what the winner has.
cp "$WORK/alphas" "$WORK/copy"
must ctl alpha apply-undo "$WORK/undo" "$WORK/copy"
must cmp "$WORK/betas" "$WORK/copy"
must wait_for 30 "both nodes settled" cluster_settled
stop_all
mv "$WORK/betas" "$WORK/model"
must_equal_model alpha beta

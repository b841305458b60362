#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A peer that hangs (SIGSTOP) delays a write only until ping or ko-count gives it up; when it wakes up it is brought up to date.
. "$(dirname "$0")/functions.sh"
need jq

# What is given up is the one that hangs, not the one that is slow.
CLUSTER_PING_TIMEOUT=30
CLUSTER_NET='timeout = 20; ko-count = 2;'
three_nodes 32M
model_new alpha
must put_random alpha 0 256
pid=${NODE_PID[beta]}
on_exit "kill_jobs CONT $pid"
kill -STOP "$pid"
before=$SECONDS
must put_random alpha 512 256
delay=$((SECONDS - before))
[ "$delay" -le 12 ] || fail "the write took $delay s"
# The picture that status shows is at most a tenth of a second old.
must wait_for 3 "beta, without which the write was acknowledged, to count as gone" not conn_is alpha beta Connected
conn_is alpha gamma Connected || fail "gamma was given up, too"
# One of three is enough: a busy disk may delay a write, too.
for round in 1 2 3; do
	before=$SECONDS
	must put_random alpha 1024 1024
	delay=$((SECONDS - before))
	[ "$delay" -gt 2 ] || break
done
[ "$delay" -le 2 ] || fail "further writes take $delay s"
# Status of the others answers, and that of the stopped one fails in time.
must ctl gamma status >/dev/null
must_fail any timeout 15 "$B/drbdctl" -c "$CLUSTER_DIR/drbdfs.conf" -n beta -s "$WORK/beta/control.sock" status
kill -CONT "$pid"
must wait_for 40 "all nodes settled" cluster_settled
must wait_for 30 "alpha to demote" role_is alpha Secondary

# The Primary itself stops: the others see it gone, one takes over, it is refused when it wakes up... and follows.
must ctl alpha primary r0
pid=${NODE_PID[alpha]}
on_exit "kill_jobs CONT $pid"
kill -STOP "$pid"
must wait_for 60 "beta to notice" eval '! conn_is beta alpha Connected'
must wait_for 60 "gamma to notice" eval '! conn_is gamma alpha Connected'
must wait_for 60 "beta to be UpToDate" disk_is beta UpToDate
must put_random beta 4096 256
kill -CONT "$pid"
must wait_for 30 "alpha to answer" node_answers alpha
must wait_for 60 "alpha to know beta's state" eval '! conn_is alpha beta Connected || disk_is alpha UpToDate'
must ctl alpha secondary r0
settle() { ctl alpha connect r0; ctl beta connect r0:alpha; ctl gamma connect r0:alpha; cluster_settled; }
must wait_for 60 "all nodes settled" settle
stop_all
must_equal_model alpha beta gamma

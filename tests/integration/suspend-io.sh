#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Reads and writes wait: by command, and while no data can be reached; resume-io lets the first go on, the others fail.
. "$(dirname "$0")/functions.sh"
need jq

CLUSTER_PING_TIMEOUT=20
CLUSTER_OPTIONS='on-no-data-accessible = "suspend-io";'
two_nodes 32M
model_new alpha
must ctl alpha primary r0
must put_random alpha 0 256

suspended() { [ "$(field alpha ".\"suspended-$1\"")" = true ]; }
waits() { # PID
	pause 2
	job_runs "$1" || fail "a write did not wait"
}

must ctl alpha suspend-io r0
must status_shows alpha 'suspended:user' 'BLOCKED.*resume-io'
put_random alpha 512 64 &
writer=$!
waits "$writer"
must ctl alpha resume-io r0
must wait "$writer"
must status_shows alpha 'r0: OK'

# The only good disk is beta's, and beta hangs.
must ctl alpha detach r0/0
on_exit "kill_jobs CONT ${NODE_PID[beta]}"
kill -STOP "${NODE_PID[beta]}"
must wait_for 60 "alpha to hold its I/O" suspended no-data
must status_shows alpha 'suspended:no-data' 'BLOCKED'
put_random alpha 1024 64 &
writer=$!
waits "$writer"
kill -CONT "${NODE_PID[beta]}"
must wait "$writer"
must wait_for 10 "I/O to go on" not suspended no-data

# In vain.
kill -STOP "${NODE_PID[beta]}"
must wait_for 60 "alpha to hold its I/O" suspended no-data
mv "$WORK/model" "$WORK/kept"
put_random alpha 1024 64 2>/dev/null &
writer=$!
waits "$writer"
must ctl alpha resume-io r0
wait "$writer" && fail "a write without data succeeded"
mv "$WORK/kept" "$WORK/model"
suspended no-data && fail "I/O waits again at once"
kill -CONT "${NODE_PID[beta]}"
must wait_for 60 "beta connected" conn_is alpha beta Connected
must put_random alpha 1024 64
must ctl alpha attach r0/0
must wait_for 60 "both nodes settled" cluster_settled
must ctl alpha secondary r0
stop_all
must_equal_model alpha beta

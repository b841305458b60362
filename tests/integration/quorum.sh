#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A Primary that loses the majority holds its writes, or fails them, and goes on when it is back; the majority goes on without it.
. "$(dirname "$0")/functions.sh"
need jq

CLUSTER_PING_TIMEOUT=20
CLUSTER_OPTIONS='quorum = "majority";'
three_nodes 32M
model_new alpha
must put_random alpha 0 256
must ctl alpha primary r0
status_shows alpha 'quorum:yes' || status_shows alpha 'r0: OK' || fail "alpha does not have quorum"

has_quorum() { [ "$(field "$1" '.devices[0].quorum')" = true ]; }
suspended() { [ "$(field "$1" '."suspended-quorum"')" = true ]; }
no_split_brain() { ! grep -qi 'split.brain' "$WORK"/*/log || fail "there was a split brain"; }

# Both peers hang: a write waits, and is done when they are back.
for n in beta gamma; do
	on_exit "kill_jobs CONT ${NODE_PID[$n]}"
	kill -STOP "${NODE_PID[$n]}"
done
must wait_for 60 "alpha to lose quorum" not has_quorum alpha
must wait_for 10 "alpha to hold its I/O" suspended alpha
must status_shows alpha 'suspended:quorum' 'quorum:no' 'BLOCKED.*no quorum'
put_random alpha 512 256 &
writer=$!
pause 2
job_runs "$writer" || fail "a write without quorum did not wait"
for n in beta gamma; do kill -CONT "${NODE_PID[$n]}"; done
must wait "$writer"
must wait_for 60 "all nodes settled" cluster_settled
has_quorum alpha || fail "alpha does not have its quorum back"

# The same with errors, changed under way; the peers are killed.
sed -i 's/quorum = "majority";/quorum = "majority"; on-no-quorum = "io-error";/' "$CLUSTER_DIR/drbdfs.conf"
for n in alpha beta gamma; do must ctl "$n" adjust r0; done
for n in beta gamma; do must node_kill "$n"; done
must wait_for 60 "alpha to lose quorum" not has_quorum alpha
suspended alpha && fail "alpha holds its I/O although it is to fail"
mv "$WORK/model" "$WORK/kept"
put_random alpha 1024 64 2>/dev/null && fail "a write without quorum succeeded"
mv "$WORK/kept" "$WORK/model"
must status_shows alpha 'BLOCKED.*no quorum'
for n in beta gamma; do must node_start "$n"; done
must wait_for 60 "all nodes settled" cluster_settled
must put_random alpha 1024 64

# The Primary is cut off: the others go on, what it tries fails, and it follows.
on_exit "kill_jobs CONT ${NODE_PID[alpha]}"
kill -STOP "${NODE_PID[alpha]}"
must wait_for 60 "beta to notice" not conn_is beta alpha Connected
must wait_for 60 "gamma to notice" not conn_is gamma alpha Connected
must wait_for 30 "beta to become Primary" ctl beta primary r0
must put_random beta 2048 256
kill -CONT "${NODE_PID[alpha]}"
must wait_for 60 "alpha to lose quorum" not has_quorum alpha
mv "$WORK/model" "$WORK/kept"
put_random alpha 2048 64 2>/dev/null && fail "both sides wrote"
mv "$WORK/kept" "$WORK/model"
must ctl alpha secondary r0 --force
for n in beta gamma; do
	conn_is alpha "$n" Connected || ctl alpha connect "r0:$n"
	conn_is "$n" alpha Connected || ctl "$n" connect r0:alpha
done
must wait_for 60 "all nodes settled" cluster_settled
must ctl beta secondary r0

# The same, but alpha gives way by itself.
sed -i 's/on-no-quorum = "io-error";/on-no-quorum = "suspend-io"; on-suspended-primary-outdated = "force-secondary";/' \
	"$CLUSTER_DIR/drbdfs.conf"
for n in alpha beta gamma; do must ctl "$n" adjust r0; done
must ctl alpha primary r0
must put_random alpha 0 64
kill -STOP "${NODE_PID[alpha]}"
must wait_for 60 "beta to notice" not conn_is beta alpha Connected
must wait_for 60 "gamma to notice" not conn_is gamma alpha Connected
must wait_for 30 "beta to become Primary" ctl beta primary r0
must put_random beta 2560 256
must ctl beta secondary r0
kill -CONT "${NODE_PID[alpha]}"
must wait_for 60 "alpha to give way" role_is alpha Secondary
must wait_for 60 "all nodes settled" cluster_settled
no_split_brain
stop_all
must_equal_model alpha beta gamma

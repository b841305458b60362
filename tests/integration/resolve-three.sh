#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# resolve with three nodes: alpha has written alone, beta and gamma together; alpha gives its data up, and all three are one again.
. "$(dirname "$0")/functions.sh"
need jq

three_nodes 24M
must put_random alpha 0 2048
must wait_for 30 "alpha to demote" role_is alpha Secondary
for n in beta gamma; do must ctl alpha disconnect r0:$n --force; done
for n in beta gamma; do
	must wait_for 30 "$n to notice" eval "! conn_is $n alpha Connected"
	must ctl $n disconnect r0:alpha --force
done
must ctl alpha primary r0 --force
must put_random alpha 1024 256
must ctl alpha secondary r0
cp "$(node_file alpha)" "$WORK/alphas"
must put_random beta 1152 256
must wait_for 30 "beta to demote" role_is beta Secondary
cp "$(node_file beta)" "$WORK/betas"
for n in beta gamma; do
	must ctl alpha connect r0:$n
	must ctl $n connect r0:alpha
	must wait_for 60 "alpha to part from $n" conn_is alpha $n StandAlone
	must wait_for 60 "$n to part from alpha" conn_is $n alpha StandAlone
done

# Each on its node, the loser first; those with the data that are kept wait for it.
ctl alpha resolve r0 --keep beta --save-loser "$WORK/undo" --timeout 100 >"$WORK/alpha.out" 2>&1 &
loser=$!
must wait_for 30 "alpha to wait" conn_is alpha beta Connecting
must ctl gamma resolve r0 --keep beta --timeout 60
must ctl beta resolve r0 --keep beta --timeout 60
wait "$loser" || { cat "$WORK/alpha.out"; fail "resolve on alpha"; }
must wait_for 60 "all nodes settled" cluster_settled
must ctl gamma apply-undo "$WORK/undo" "$WORK/betas"
must cmp "$WORK/alphas" "$WORK/betas"
stop_all
mv "$(node_disk alpha)" "$WORK/data"
must cmp -n "$(stat -c %s "$WORK/alphas")" "$WORK/data" "$(node_disk beta)"
must cmp -n "$(stat -c %s "$WORK/alphas")" "$WORK/data" "$(node_disk gamma)"

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A split brain with both ends Primary: neither gives in; a Primary cannot discard its data; its Secondary peer can.
. "$(dirname "$0")/functions.sh"
need jq

two_nodes 32M
must ctl alpha primary r0
must ctl alpha disconnect r0:beta --force
must ctl beta disconnect r0:alpha --force
must ctl beta primary r0 --force
must put_random alpha 0 128
must put_random beta 64 128
must ctl alpha connect r0
must ctl beta connect r0
stopped() { conn_is "$1" "$2" StandAlone; }
must wait_for 60 "alpha to stop" stopped alpha beta
must wait_for 60 "beta to stop" stopped beta alpha
role_is alpha Primary && role_is beta Primary || fail "somebody was demoted"
must_fail any ctl beta connect r0:alpha --discard-my-data
must ctl beta secondary r0
must ctl beta connect r0:alpha --discard-my-data
must ctl alpha connect r0
must ctl beta wait-connect r0 --timeout 60
must ctl beta wait-sync r0 --timeout 60
must wait_for 30 "both nodes settled" cluster_settled
role_is alpha Primary || fail "alpha was demoted"
must ctl alpha secondary r0
stop_all
must cluster_compare

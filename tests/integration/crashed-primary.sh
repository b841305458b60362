#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A Primary crashes in the middle of writing and the survivor never takes over: it returns, the activity log makes both equal.
# Time limit: 420 s
. "$(dirname "$0")/functions.sh"
need jq

two_nodes 64M
for round in 1 2 3; do
	# Unsynced writes all over the place, so that some have reached one side only.
	( while :; do
		head -c 131072 /dev/urandom | dd of="$(node_file alpha)" bs=128k oflag=seek_bytes seek=$((RANDOM * 2048 % 60000000)) conv=notrunc,nocreat status=none || exit 0
		echo >>"$WORK/writes"
	done ) 2>/dev/null &
	writer=$!
	: >"$WORK/writes"
	enough() { [ "$(wc -l <"$WORK/writes")" -ge 30 ]; }
	must wait_for 60 "some writes" enough
	must node_kill alpha
	wait "$writer" 2>/dev/null
	must wait_for 60 "beta to notice" conn_is beta alpha Connecting
	must node_start alpha
	must wait_for 60 "both nodes settled (round $round)" cluster_settled
done
stop_all
must cluster_compare

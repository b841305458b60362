#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A random node is killed with SIGKILL under load, 20 times: no acknowledged write is lost, all data areas are equal in the end.
# Time limit: 900 s
. "$(dirname "$0")/functions.sh"
need jq
cycles=${CYCLES:-20}
seed=${SEED:-$RANDOM}
echo "seed $seed"
RANDOM=$seed

three_nodes 64M

# The load: records with a running number at random places, synced one by one; the journal gets a record only
# after its fsync. A place keeps its last journalled number, or any later one that was being written.
cat >"$WORK/load.sh" <<'LOAD'
file=$1 journal=$2 first=$3 RANDOM=$4
i=$first
while :; do
	place=$((RANDOM % 3800))
	printf 'record %08d at %06d %4070s\n' "$i" "$place" "" >"$journal.rec"
	echo "$place $i" >>"$journal.issued"
	dd if="$journal.rec" of="$file" bs=4096 count=1 iflag=fullblock seek="$place" conv=notrunc,fsync status=none 2>/dev/null || exit 0
	echo "$place $i" >>"$journal"
	i=$((i + 1))
done
LOAD

verify() { # NODE: last acknowledged record of each place, or one issued later, is there
	local place acked got
	tac "$WORK/journal" | awk '!seen[$1]++' >"$WORK/last"
	while read -r place acked; do
		got=$(dd if="$(node_file "$1")" bs=4096 skip="$place" count=1 status=none | head -c 15 | awk '{print $2 + 0}')
		[ "${got:-0}" -ge "$acked" ] || fail "place $place on $1: record $got, but $acked was acknowledged"
		grep -q "^$place $got\$" "$WORK/journal.issued" || fail "place $place on $1: record $got was never written there"
	done <"$WORK/last"
}

primary=alpha
next=1
: >"$WORK/journal"; : >"$WORK/journal.issued"
nodes=(alpha beta gamma)
count_lines() { wc -l <"$WORK/journal"; }
for ((cycle = 1; cycle <= cycles; cycle++)); do
	bash "$WORK/load.sh" "$(node_file $primary)" "$WORK/journal" "$next" $((RANDOM)) &
	load=$!
	target=$(($(count_lines) + 10 + RANDOM % 40))
	enough() { [ "$(count_lines)" -ge "$target" ] || ! kill -0 "$load" 2>/dev/null; }
	must wait_for 60 "records to be written" enough
	kill -0 "$load" 2>/dev/null || fail "cycle $cycle: the load on $primary ended by itself"
	victim=${nodes[RANDOM % 3]}
	node_kill "$victim"
	if [ "$victim" = "$primary" ]; then
		must wait_for 60 "the load to end" node_gone "$load"
		while [ "$primary" = "$victim" ]; do primary=${nodes[RANDOM % 3]}; done
		must wait_for 60 "$primary to be UpToDate" disk_is "$primary" UpToDate
	else
		target=$(($(count_lines) + 5))
		must wait_for 60 "writes to go on without $victim" enough
		kill "$load" 2>/dev/null
		must wait_for 60 "the load to end" node_gone "$load"
	fi
	next=$(($(tail -n 1 "$WORK/journal.issued" | awk '{print $2}') + 1))
	verify "$primary"
	must node_start "$victim"
	must wait_for 60 "all nodes settled after cycle $cycle" cluster_settled
done
for n in alpha beta gamma; do must node_stop "$n"; done
must cluster_compare
echo "$cycles cycles, $(count_lines) acknowledged records"

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Three and five nodes with quorum, each in a network namespace, are parted in every way, and then all of them promote and write: never do two
# acknowledge, a majority that sees itself does, and after healing what was acknowledged is everywhere. ROUNDS=n (of each) SEED=n.
# Time limit: 900 s
. "$(dirname "$0")/functions.sh"
need jq ip nsenter
rounds=${ROUNDS:-10}
seed=${SEED:-$RANDOM}
echo "seed $seed"
RANDOM=$seed

# ---- a bridge and a namespace per node, in one of our own ----
if [ -z "${IN_NAMESPACE:-}" ]; then
	as=-n
	is_root || as=-Urn
	unshare $as true 2>/dev/null || skip "may not make network namespaces"
	IN_NAMESPACE=1 SEED=$seed unshare $as bash "$PWD/tests/integration/partitions.sh"
	exit
fi
declare -A ADDRESS=()
net_new() { # NODE...
	local n i=0 holder
	must ip link add bridge type bridge
	must ip link set bridge up
	for n in "$@"; do
		i=$((i + 1))
		ADDRESS[$n]=10.77.0.$i
		unshare -n sleep infinity 2>/dev/null &
		holder=$!
		on_exit "kill_jobs TERM $holder"
		must wait_for 10 "the namespace of $n" eval '[ "$(readlink /proc/'$holder'/ns/net)" != "$(readlink /proc/self/ns/net)" ]'
		NODE_EXEC[$n]="nsenter --net=/proc/$holder/ns/net"
		must ip link add "port$i" type veth peer name eth0 netns "$holder"
		must ip link set "port$i" master bridge up
		must ${NODE_EXEC[$n]} ip address add "${ADDRESS[$n]}/24" dev eth0
		must ${NODE_EXEC[$n]} ip link set eth0 up
		must ${NODE_EXEC[$n]} ip link set lo up
	done
}
deaf() { ${NODE_EXEC[$1]} ip route replace blackhole "${ADDRESS[$2]}/32"; } # NODE sends nothing to NODE
cut_link() { deaf "$1" "$2"; deaf "$2" "$1"; }
heal() {
	local a b
	for a in $CLUSTER_NODES; do for b in $CLUSTER_NODES; do
		[ "$a" = "$b" ] || ${NODE_EXEC[$a]} ip route del blackhole "${ADDRESS[$b]}/32" 2>/dev/null
	done; done
}
part_groups() { # "NODE..." "NODE..."
	local a b
	for a in $1; do for b in $2; do cut_link "$a" "$b"; done; done
}

# ---- the ways; $nodes is in random order; $sure: somebody must be able to write ----
isolate() { part_groups "${nodes[0]}" "${nodes[*]:1}"; sure=1; }
halves() { part_groups "${nodes[*]:0:count / 2}" "${nodes[*]:count / 2}"; sure=1; }
bridged() { part_groups "${nodes[*]:1:count / 2}" "${nodes[*]:1 + count / 2}"; sure=0; }
one_way() { deaf "${nodes[0]}" "${nodes[1]}"; sure=0; }
pieces() { local i; for ((i = 1; i < count; i++)); do part_groups "${nodes[i]}" "${nodes[*]:0:i}"; done; sure=0; }
# Each sees its two neighbours only: with five, all of them a majority.
ring() {
	local i j
	for ((i = 0; i < count; i++)); do for ((j = i + 2; j < count; j++)); do
		[ $((j - i)) = $((count - 1)) ] || cut_link "${nodes[i]}" "${nodes[j]}"
	done; done
	sure=0
}
flapping() {
	local i
	for ((i = 0; i < 5; i++)); do isolate; pause 0.3; heal; pause 0.3; done
	isolate
}
ways=(isolate halves bridged one_way pieces ring flapping)

# ---- writing: a place of the file for each attempt ----
place=0
attempt() { # NODE PLACE: 0 when the write was acknowledged
	timeout 20 "$B/drbdctl" -s "$CLUSTER_DIR/$1/control.sock" primary r0 >/dev/null 2>&1 || return 1
	timeout 20 dd if="$WORK/data.$2" of="$(node_file "$1")" bs=4k seek="$2" conv=notrunc,nocreat,fsync status=none 2>/dev/null || return 1
	echo "$1 $2" >>"$WORK/acknowledged"
}
all_attempt() {
	local n jobs=()
	for n in $CLUSTER_NODES; do
		place=$((place + 1))
		head -c 4096 /dev/urandom >"$WORK/data.$place"
		attempt "$n" $place &
		jobs+=($!)
	done
	wait "${jobs[@]}"
}
demoted() { local n; for n in $CLUSTER_NODES; do ctl "$n" secondary r0 >/dev/null 2>&1; role_is "$n" Secondary || return 1; done; }

one_round() {
	local way=${ways[RANDOM % ${#ways[@]}]} n who before
	nodes=($(shuf -e $CLUSTER_NODES --random-source=<(yes $RANDOM)))
	: >"$WORK/acknowledged"
	$way
	all_attempt
	# Who had to wait for the loss of somebody to be noticed has another try.
	[ -s "$WORK/acknowledged" ] || all_attempt
	who=$(cut -d ' ' -f 1 "$WORK/acknowledged" | sort -u)
	echo "round $round of $count nodes, $way (${nodes[*]}): written by ${who:-nobody}"
	[ "$(wc -w <<<"$who")" -le 1 ] || fail "two sides wrote: $who"
	[ "$sure" = 0 ] || [ -n "$who" ] || fail "there is a majority, and nobody could write"
	heal
	must wait_for 60 "all to be Secondary" demoted
	must wait_for 60 "all nodes settled" cluster_settled
	cat "$WORK/acknowledged" >>"$CLUSTER_DIR/acknowledged"
}

# On the disks of stopped nodes.
must_hold_all() {
	local n who at
	while read -r who at; do
		for n in $CLUSTER_NODES; do
			dd if="$(node_disk "$n")" bs=4k skip="$at" count=1 status=none | cmp -s - "$WORK/data.$at" ||
				fail "what $who was told to be written is not on $n (place $at)"
		done
	done <"$CLUSTER_DIR/acknowledged"
}

for names in "alpha beta gamma" "alpha beta gamma delta epsilon"; do
	count=$(wc -w <<<"$names")
	CLUSTER_PING_TIMEOUT=10
	CLUSTER_MAX_PEERS=$((count - 1))
	CLUSTER_NET='timeout = 15; ko-count = 1; connect-int = 1;'
	CLUSTER_OPTIONS='quorum = "majority"; on-no-quorum = "io-error"; auto-promote = false;'
	mkdir "$WORK/$count"
	cluster_new "$WORK/$count" 16M $names
	net_new $names
	for n in $names; do sed -i "s/name = \"$n\"\(.*\)address = \"127.0.0.1:/name = \"$n\"\1address = \"${ADDRESS[$n]}:/" "$CLUSTER_DIR/drbdfs.conf"; done
	sed -i 's/connect-int = 2;//' "$CLUSTER_DIR/drbdfs.conf"
	must cluster_create_md >/dev/null
	for n in $names; do must node_start "$n"; done
	for n in $names; do must ctl "$n" wait-connect r0 --timeout 60; done
	must ctl alpha new-current-uuid r0/0 --clear-bitmap
	must wait_for 60 "all nodes settled" cluster_settled
	for ((round = 1; round <= rounds; round++)); do one_round; done
	stop_all
	must cluster_compare
	must_hold_all
	echo "$count nodes: $(wc -l <"$CLUSTER_DIR/acknowledged") writes acknowledged in $rounds rounds"
	ip link del bridge
	for ((i = 1; i <= count; i++)); do ip link del "port$i"; done
done

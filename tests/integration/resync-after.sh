#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Three resources in one daemon: one waits for another's resync (resync-after), and no more than max-parallel-resyncs run at once;
# in the end all are equal. A circle is refused.
# Time limit: 300 s
. "$(dirname "$0")/functions.sh"
need jq

CLUSTER_DISK='c-plan-ahead = 0; resync-rate = "4M"; c-max-rate = "4M";'
cluster_new "$WORK" 24M alpha beta
conf=$CLUSTER_DIR/drbdfs.conf
resource() { # NAME PORT PORT OPTIONS
	local n ports=("$2" "$3") i=0 nodes=
	for n in alpha beta; do
		truncate -s 24M "$WORK/$n/$1.img"
		nodes="$nodes${nodes:+,} { name = \"$n\"; node-id = $i; address = \"127.0.0.1:${ports[i]}\";
			volumes = ( { volume = 0; disk = \"$WORK/$n/$1.img\"; } ); }"
		i=$((i + 1))
	done
	echo "resources = ( { name = \"$1\"; volumes = ( { volume = 0; options = { $4 }; } ); nodes = ( $nodes ); } );" >"$WORK/$1.conf"
}
for r in r1 r2; do
	free_port; port=$PORT
	free_port
	resource $r "$port" "$PORT" "$([ $r = r2 ] || echo 'resync-after = "r2/0";')"
done
sed -i 's/^version = 1;/version = 1; include-files = [ "r1.conf", "r2.conf" ];/' "$conf"
all='r0 r1 r2'
for r in $all; do for n in alpha beta; do must ctl $n create-md $r >/dev/null; done; done
for n in alpha beta; do must node_start $n; done
for r in $all; do
	must ctl alpha wait-connect $r --timeout 60
	must ctl alpha new-current-uuid $r/0 --clear-bitmap
done
of() { ctl "$1" status "$2" --json | jq -r '.[0].connections[0].peer_devices[0] | ."replication-state" + " " + ."resync-suspended"'; } # NODE RES
of_is() { [[ "$(of "$1" "$2")" = $3 ]]; } # NODE RES PATTERN
ok() { [ "$(ctl "$1" status --json | jq -r '[.[].verdict] | unique | join(",")')" = OK ]; }
for n in alpha beta; do must wait_for 60 "all to be settled on $n" ok $n; done
# Everything of every resource.
miss() {
	must node_stop beta
	for r in $all; do
		dd if=/dev/urandom of="$WORK/alpha/mnt/$r" bs=1M count=20 conv=notrunc,nocreat,fsync status=none || fail "dd to $r"
		must wait_for 30 "alpha to demote" eval "[ \"\$(ctl alpha role $r)\" = Secondary ]"
	done
}

# r1 waits for r2, r0 for nobody.
miss
must node_start beta
must wait_for 60 "r1 to wait" of_is beta r1 'PausedSyncT *dependency'
of_is beta r2 'SyncTarget no' || fail "r2 is $(of beta r2) while r1 waits for it"
must wait_for 60 "r0 to resync, too" eval "of_is beta r0 'SyncTarget no' || of_is beta r0 'Established no'"
must wait_for 60 "r1 to get its turn" of_is beta r1 'SyncTarget no'
of_is beta r2 'Established no' || fail "r2 is $(of beta r2) while r1 resyncs"
for n in alpha beta; do must wait_for 60 "all to be settled on $n" ok $n; done

# Two at most: r0 and r1, which waits for r2, which has no turn yet; so r0 and r2, then r1.
miss
sed -i 's/^version = 1;/version = 1; node = { max-parallel-resyncs = 1; };/' "$conf"
must node_start beta
# What waits for another one holds no turn.
# Of r0 and r2 the one that connects first has it.
first=
turns() {
	local a b
	for a in r0 r2; do
		[ $a = r0 ] && b=r2 || b=r0
		! { of_is beta $b 'PausedSyncT max-parallel' && of_is beta $a 'SyncTarget no'; } || { first=$a second=$b; return 0; }
	done
	return 1
}
must wait_for 60 "r0 or r2 to wait for its turn" turns
status_shows beta 'resync' || { cat "$WORK/out"; fail "status"; }
must wait_for 60 "$second to get its turn" of_is beta $second 'SyncTarget no'
of_is beta $first 'Established no' || fail "$first is $(of beta $first) although one resync may run"
[ $second = r0 ] || [[ "$(of beta r1)" = 'PausedSyncT '* ]] || fail "r1 is $(of beta r1)"
must wait_for 60 "r1 to get its turn" of_is beta r1 'SyncTarget no'
for n in alpha beta; do must wait_for 60 "all to be settled on $n" ok $n; done
stop_all
for r in $all; do
	[ $r = r0 ] && img=disk || img=$r
	cmp -n $((20 << 20)) "$WORK/alpha/$img.img" "$WORK/beta/$img.img" || fail "$r differs"
done

sed -i 's/options = {  }/options = { resync-after = "r1\/0"; }/' "$WORK/r2.conf"
must_fail 10 ctl alpha dump-md r0
said 'resync-after goes in a circle.*r1/0 after r2/0 after r1/0'

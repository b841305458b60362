#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# sqlite on ext4 on a loop device, each commit durable: its node is killed in the middle of transactions, another one takes over, four times:
# the database is whole and no committed transaction is missing.
# Time limit: 600 s
. "$(dirname "$0")/functions.sh"
need jq mkfs.ext4 losetup sqlite3 stdbuf
may_mount_loop "$WORK" || skip "may not mount a loop device here (needs root)"
rounds=${ROUNDS:-4}

# A Primary must not count as lost because the machine is busy.
CLUSTER_PING_TIMEOUT=50
three_nodes 64M
mkdir "$WORK/fs"
loop= writer=
let_go() {
	! grep -q " $WORK/fs " /proc/mounts || umount "$WORK/fs" 2>/dev/null || umount -l "$WORK/fs"
	[ -z "$loop" ] || losetup -d "$loop"
	loop=
}
on_exit 'kill_jobs KILL $writer; let_go'
take() { # NODE
	loop=$(losetup --direct-io=on -f --show "$(node_file "$1")") || fail "losetup on $1"
	must mount "$loop" "$WORK/fs"
}
db() { sqlite3 -batch "$WORK/fs/db" "$@"; }

loop=$(losetup --direct-io=on -f --show "$(node_file alpha)") || fail "losetup on alpha"
must mkfs.ext4 -q "$loop"
must mount "$loop" "$WORK/fs"
must db 'CREATE TABLE t (n INTEGER PRIMARY KEY, data BLOB)'
must sync -f "$WORK/fs/db"

: >"$WORK/committed"
last() { grep '^[0-9]' "$WORK/committed" | tail -n 1 | grep . || echo 0; }
# Each transaction has ten rows; its last number is printed after the commit. FULL does not sync the directory after the rollback journal
# is gone from it, which is the commit; EXTRA does.
durable=('PRAGMA journal_mode = DELETE; PRAGMA synchronous = EXTRA;' 'PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;')
transactions() { # FIRST
	local n=$1
	echo "${durable[round % 2]}"
	while :; do
		echo 'BEGIN;'
		for ((i = 0; i < 10; i++)); do echo "INSERT INTO t VALUES ($((n++)), randomblob(600));"; done
		echo "COMMIT; SELECT max(n) FROM t;"
	done
}
enough() { [ "$(last)" -ge "$target" ]; }

nodes=(alpha beta gamma)
for ((round = 0; round < rounds; round++)); do
	node=${nodes[round % 3]} next=${nodes[(round + 1) % 3]}
	first=$(($(last) + 1))
	[ "$round" = 0 ] || first=$(($(db 'SELECT max(n) FROM t') + 1))
	transactions "$first" 2>/dev/null | stdbuf -oL sqlite3 -batch -bail "$WORK/fs/db" >>"$WORK/committed" 2>"$WORK/sqlite.err" &
	writer=$!
	target=$((first + 500 + RANDOM % 500))
	must wait_for 120 "transactions on $node" enough
	node_kill "$node"
	must wait_for 60 "sqlite to end" node_gone "$writer"
	let_go
	committed=$(last)
	must wait_for 60 "$next to be UpToDate" disk_is "$next" UpToDate
	take "$next"
	answer=$(db 'PRAGMA integrity_check; SELECT count(*) % 10, max(n) >= '"$committed"', max(n) - count(*) FROM t') || fail "sqlite on $next"
	[ "$answer" = $'ok\n0|1|0' ] || fail "round $round: after commit of $committed the database on $next says: $answer"
	must node_start "$node"
	must wait_for 60 "all nodes settled" cluster_settled
done
let_go
must wait_for 30 "$next to demote" role_is "$next" Secondary
stop_all
must cluster_compare
echo "$rounds failovers, $committed rows committed before the last"

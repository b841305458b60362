# SPDX-License-Identifier: GPL-2.0-or-later
# What every integration test starts from: a scratch directory, cleanup on all exits, skip with a reason. Sourced.
set -u
cd "$(dirname "$0")/../.." || exit 2
. tests/lib/cluster.sh

WORK=$(mktemp -d "${TMPDIR:-/tmp}/drbdfs-test.XXXXXX")
cleanup_hooks=()
on_exit() { cleanup_hooks=("$*" "${cleanup_hooks[@]}"); }
finish() {
	local rc=$? hook
	trap - EXIT INT TERM
	if [ "$rc" -ne 0 ] && [ "$rc" -ne 77 ] && [ -n "$CLUSTER_DIR" ]; then
		for n in ${CLUSTER_NODES:-}; do
			echo "--- $n: status and end of the log"
			node_alive "$n" && ctl "$n" status --verbose 2>&1
			tail -n 25 "$CLUSTER_DIR/$n/log" 2>/dev/null
		done
	fi
	for hook in "${cleanup_hooks[@]}"; do eval "$hook"; done
	cluster_cleanup
	rm -rf "$WORK"
	exit "$rc"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

skip() { echo "$*"; exit 77; }
fail() { echo "FAIL: $*"; exit 1; }
must() { "$@" || fail "$* (exit $?)"; }
must_fail() { # WANTED_EXIT COMMAND...: any failure if WANTED_EXIT is "any"
	local want=$1 rc=0
	shift
	"$@" >"$WORK/out" 2>&1 || rc=$?
	[ "$rc" -ne 0 ] || fail "$* succeeded, expected exit $want"
	[ "$want" = any ] || [ "$rc" = "$want" ] || { cat "$WORK/out"; fail "$*: exit $rc, expected $want"; }
}
need() { local c; for c in "$@"; do command -v "$c" >/dev/null || skip "needs $c"; done; }
[ -w /dev/fuse ] || skip "needs /dev/fuse"

# Three nodes, metadata created, mounted, connected, declared equal.
three_nodes() { # SIZE
	cluster_new "$WORK" "${1:-64M}" alpha beta gamma
	must cluster_create_md >/dev/null
	for n in alpha beta gamma; do must node_start "$n"; done
	must ctl alpha wait-connect r0 --timeout 20
	must ctl alpha new-current-uuid r0/0 --clear-bitmap
	must wait_for 20 "all nodes settled" cluster_settled
}

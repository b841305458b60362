#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Runs the scenarios against a machine with kernel DRBD; README.md here says how. The last line is "N passed, N failed, N skipped".
#
# run.sh --peer-run COMMAND --peer ADDRESS --own ADDRESS --peer-disk DEVICE [OPTIONS] [SCENARIO...]
#   --peer-run COMMAND    runs its last argument as a line of shell on the peer, e.g. "ssh root@10.1.0.2"
#   --peer, --own         addresses that the two nodes use
#   --peer-disk DEVICE    block device on the peer, at least 64 MiB; OVERWRITTEN
#   --peer-image FILE     the same device as a file here, if there is one: compared directly
#   --peer-console FILE   its kernel log as a file here: searched for complaints instead of dmesg
#   --peer-crash COMMAND  resets the peer without warning and returns when it answers again, DRBD loaded
#   --link-cut COMMAND, --link-heal COMMAND
#   --more "ADDRESS ADDRESS"  further addresses here, for scenarios with more nodes of ours
#   --own-id 0|1          our node id; default: every scenario with both
#   --build DIR           default build
# A SCENARIO with a slash is a file of its own.
set -u
here=$(cd "$(dirname "$0")" && pwd)
ids="0 1"
export B=${B:-build}
usage() { sed -n '5,18s/^# \{0,1\}//p' "$0" >&2; exit 2; }
while [ $# -gt 0 ]; do
	[[ $1 = --* ]] || break
	[ $# -ge 2 ] || usage
	case $1 in
	--peer-run) export PEER_RUN=$2 ;;
	--peer) export PEER_ADDRESS=$2 ;;
	--own) export OWN_ADDRESS=$2 ;;
	--peer-disk) export PEER_DISK=$2 ;;
	--peer-image) export PEER_IMAGE=$2 ;;
	--peer-console) export PEER_CONSOLE=$2 ;;
	--peer-crash) export PEER_CRASH=$2 ;;
	--link-cut) export LINK_CUT=$2 ;;
	--link-heal) export LINK_HEAL=$2 ;;
	--more) export MORE_ADDRESSES=$2 ;;
	--own-id) ids=$2 ;;
	--build) B=$2 ;;
	*) usage ;;
	esac
	shift 2
done
[ -n "${PEER_RUN:-}" ] && [ -n "${PEER_ADDRESS:-}" ] && [ -n "${OWN_ADDRESS:-}" ] && [ -n "${PEER_DISK:-}" ] || usage
[ $# -gt 0 ] || set -- $(cd "$here/scenarios" && ls ./*.sh | sed 's/^\.\///; s/\.sh$//')

echo "peer: $($PEER_RUN 'sed -n s/^version:.//p /proc/drbd')"
passed=0 failed=0 skipped=0 failures=
out=$(mktemp)
trap 'rm -f "$out"' EXIT
for name in "$@"; do
	file=$name
	[[ $name = */* ]] || file=$here/scenarios/$name.sh
	for id in $ids; do
		rc=0 start=$SECONDS
		OWN_ID=$id timeout -k 10 "${LIMIT:-420}" bash -c '. "$1" && . "$2"' scenario "$here/functions.sh" "$file" >"$out" 2>&1 </dev/null || rc=$?
		label="$name (our id $id)"
		case $rc in
		0) passed=$((passed + 1)); printf '  %-46s ok, %s s\n' "$label" $((SECONDS - start)) ;;
		77) skipped=$((skipped + 1)); printf '  %-46s skipped: %s\n' "$label" "$(tail -n 1 "$out")" ;;
		*) failed=$((failed + 1)); printf '  %-46s FAILED (exit %s)\n' "$label" "$rc"; sed 's/^/    | /' "$out"
			failures+="failed: $label: $(sed '/^FAIL: /!d; q' "$out" | grep . || sed q "$out")"$'\n' ;;
		esac
	done
done
printf %s "$failures"
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]

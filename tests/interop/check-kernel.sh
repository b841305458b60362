#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Our node against DRBD 8.4 as Debian's kernel has it: builds the guest, starts it in namespaces of its own and runs the scenarios.
# check-kernel.sh [SCENARIO...]; the last line is "N passed, N failed, N skipped".
set -u
cd "$(dirname "$0")/../.." || exit 2
export B=${B:-build}
guest=tests/interop/guest/guest.sh
QUICK_MS=1500 # what the guest needs for the piece of work below on a machine that does nothing else

skip() { echo "skipped: $*"; echo "0 passed, 0 failed, 1 skipped"; exit 0; }

if [ -z "${GUEST_DIR:-}" ]; then
	for program in qemu-system-x86_64 unshare ip jq cpio zstd depmod drbdadm; do
		PATH=$PATH:/usr/sbin:/sbin command -v $program >/dev/null || skip "no $program (packaging/deps.sh kernel)"
	done
	[ -w /dev/fuse ] || skip "/dev/fuse may not be opened here"
	[ -w /dev/net/tun ] || skip "/dev/net/tun may not be opened here"
	apart="unshare --net --mount"
	$apart true 2>/dev/null || apart="unshare --user --map-root-user --net --mount"
	$apart true 2>/dev/null || skip "no namespaces may be made here"
	rc=0
	bash tests/interop/guest/image.sh "$B/kernel-guest" || rc=$?
	[ $rc -ne 77 ] || skip "the guest cannot be made here"
	[ $rc -eq 0 ] || exit 1
	GUEST_DIR=$(mktemp -d "${TMPDIR:-/tmp}/drbdfs-guest.XXXXXX")
	trap 'rm -rf "$GUEST_DIR"' EXIT
	# Not before those inside, who need it to stop the guest.
	trap 'exit 130' INT
	trap 'exit 143' TERM
	ln -s "$(cd "$B/kernel-guest" && pwd)"/{vmlinuz,initrd} "$GUEST_DIR/"
	GUEST_DIR=$GUEST_DIR $apart bash "$0" "$@"
	exit
fi

export PATH=$PATH:/usr/sbin:/sbin
GUEST_KHZ=$("$B/tests/interop/guest/tsc")
export GUEST_DIR GUEST_KHZ
guest() { bash $guest "$@"; }
trap 'guest stop' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
failed() { echo "FAIL: $*"; echo "0 passed, 1 failed, 0 skipped"; exit 1; }
now_ms() { echo $((${EPOCHREALTIME/[.,]/} / 1000)); }
guest_ms() { guest run 'read -r up rest </proc/uptime; echo "${up/./}0"'; }

guest network >/dev/null 2>"$GUEST_DIR/network.log" || skip "no network can be made here: $(tail -n 1 "$GUEST_DIR/network.log")"
began=$(now_ms)
guest start || failed "the guest does not start"
echo "guest up after $((($(now_ms) - began) / 1000)) s: $(guest run 'uname -r; sed -n s/^version:.//p /proc/drbd' | tr '\n' ' ')"

scenarios() { # run.sh ARGUMENTS...
	LIMIT=$((300 * ${SLOW:-1})) bash tests/interop/run.sh --peer-run "bash $guest run" --peer 10.77.0.2 --own 10.77.0.1 --peer-disk /dev/vda --peer-image "$GUEST_DIR/disk.img" \
		--peer-console "$GUEST_DIR/console.log" --peer-crash "bash $guest crash" --link-cut "bash $guest cut" --link-heal "bash $guest heal" --more "10.77.0.3 10.77.0.4" --own-id "$@"
}

# What judges the guest's kernel: a complaint must fail a scenario that is otherwise fine, anything else must not.
clock_here=$(now_ms) clock_there=$(guest_ms)
for line in "drbd r0: nothing" "BUG: self-check" "Oops: 0000 self-check" "WARNING: CPU: 0 PID: 1 at self-check" "drbd r0: BAD! self-check" "drbd r0: ASSERT( self-check ) in check.c:1"; do
	echo "must there \"echo '<3>$line' >/dev/kmsg\"" >"$GUEST_DIR/complaint.sh"
	rc=0
	scenarios 0 "$GUEST_DIR/complaint.sh" >"$GUEST_DIR/complaint.out" || rc=$?
	case $line:$rc in
	*nothing:0 | *self-check*:1) ;;
	*) cat "$GUEST_DIR/complaint.out"; failed "the line '$line' in the guest's log has given $rc" ;;
	esac
done
echo "complaints of the guest's kernel are noticed"

# The guest's clock must be ours, and its speed says how patient one has to be.
took=$(($(now_ms) - clock_here)) there=$(($(guest_ms) - clock_there))
[ $((there * 100)) -gt $((took * 90)) ] && [ $((there * 100)) -lt $((took * 110)) ] || failed "in $took ms here the guest's clock went on by $there ms"
began=$(now_ms)
guest run 'for i in 1 2 3 4 5 6 7 8; do dd if=/dev/zero bs=64k count=16 status=none | sha256sum; done >/dev/null' || failed "the guest does not compute"
took=$(($(now_ms) - began))
export SLOW=$((1 + took / QUICK_MS)) PING_DS=${PING_DS:-$((40 * (1 + took / QUICK_MS)))}
echo "the guest's clock is right; limits times $SLOW"

if [ $# -eq 0 ]; then set -- $(cd tests/interop/scenarios && ls ./*.sh | sed 's/^\.\///; s/\.sh$//'); fi
scenarios 0 "$@"

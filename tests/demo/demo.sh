#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The main job in one terminal: three nodes, a crash in the middle of writing, fail-over, return, comparison.
# Exit 0 only if every comparison held. KEEP=1 leaves the cluster running. DEMO_TREE: what is copied, as far as it fits.
set -u
cd "$(dirname "$0")/../.." || exit 2
. tests/lib/cluster.sh

tree=${DEMO_TREE:-/usr/share/doc}
work=$(mktemp -d "${TMPDIR:-/tmp}/drbdfs-demo.XXXXXX")
fs=$work/fs
loop= mounted= failed=0 writer=
bold= dim= green= red= off=
if [ -t 1 ]; then bold=$'\e[1m' dim=$'\e[2m' green=$'\e[32m' red=$'\e[31m' off=$'\e[0m'; fi

step() { printf '\n%s== %s%s\n' "$bold" "$*" "$off"; }
say() { printf '   %s\n' "$*"; }
ok() { printf '   %sok%s  %s\n' "$green" "$off" "$*"; }
bad() { printf '   %sFAILED%s  %s\n' "$red" "$off" "$*"; failed=1; }
check() { # WHAT COMMAND...
	local what=$1
	shift
	if "$@" >"$work/check.log" 2>&1; then ok "$what"; else bad "$what"; tail -n 5 "$work/check.log" | sed 's/^/       /'; fi
}
status() { printf '%s   $ drbdctl -n %s status%s\n' "$dim" "$1" "$off"; ctl "$1" status r0 | sed 's/^/   /'; }

release_loop() {
	if [ -n "$mounted" ]; then umount "$fs" 2>/dev/null || umount -l "$fs" 2>/dev/null; mounted=; fi
	if [ -n "$loop" ]; then losetup -d "$loop" 2>/dev/null; loop=; fi
	return 0
}

cleanup() {
	local rc=$?
	trap - EXIT INT TERM HUP
	[ -z "$writer" ] || kill_jobs TERM "$writer"
	if [ "${KEEP:-}" = 1 ] && [ "$rc" -eq 0 ]; then
		release_loop
		cat <<TXT

The cluster goes on in $work. Try:
   ctl() { n=\$1; shift; $B/drbdctl -c $work/drbdfs.conf -n \$n -s $work/\$n/control.sock "\$@"; }
   ctl alpha status --watch
   ctl beta disconnect r0:alpha; ctl beta status; ctl beta connect r0:alpha
   dd if=/dev/urandom of=$work/alpha/mnt/r0 bs=1M count=16 conv=notrunc,fsync
To end it:  for n in alpha beta gamma; do ctl \$n shutdown; done; rm -rf $work
TXT
		exit "$rc"
	fi
	release_loop
	cluster_cleanup
	rm -rf "$work"
	exit "$rc"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

use_fs=0
if may_mount_loop "$work"; then use_fs=1; fi

# --- the application: on a file system where it may, on the file itself elsewhere ---------------
app_open() { # NODE
	[ "$use_fs" = 1 ] || return 0
	loop=$(losetup --direct-io=on -f --show "$(node_file "$1")") || return 1
	# Lazy initialisation would write for minutes after mkfs.
	if [ "${2:-}" = new ]; then mkfs.ext4 -q -F -E lazy_itable_init=0,lazy_journal_init=0 "$loop" || return 1; fi
	mkdir -p "$fs"
	mount -o noatime "$loop" "$fs" || return 1
	mounted=1
}
tree_archive() { tar -C "$tree" --null --no-recursion -T "$work/tree.list" -cf -; }
app_copy_tree() { # NODE
	if [ "$use_fs" = 1 ]; then
		mkdir "$fs/tree" && tree_archive | tar -C "$fs/tree" -xf - && sync -f "$fs"
	else
		tree_archive >"$work/tree.tar" && truncate -s %1M "$work/tree.tar" &&
			dd if="$work/tree.tar" of="$(node_file "$1")" bs=1M conv=notrunc,fsync status=none
	fi
}
app_tree_sums() { # NODE: checksums of the copied tree
	if [ "$use_fs" = 1 ]; then
		(cd "$fs/tree" && find . -type f -print0 | sort -z | xargs -0 -r sha256sum)
	else
		head -c "$(stat -c %s "$work/tree.tar")" "$(node_file "$1")" | sha256sum
	fi
}
# Writes records one by one, each synced, and journals a record's checksum only after its fsync returned.
app_write_records() { # NODE FIRST COUNT JOURNAL
	local node=$1 i sum
	for ((i = $2; i < $2 + $3; i++)); do
		head -c 65536 /dev/urandom >"$work/record.$node" || return 1
		sum=$(sha256sum <"$work/record.$node") || return 1
		if [ "$use_fs" = 1 ]; then
			dd if="$work/record.$node" of="$fs/record.$i" bs=64k conv=fsync status=none 2>/dev/null || return 1
		else
			dd if="$work/record.$node" of="$(node_file "$node")" bs=64k seek=$((2048 + i)) conv=notrunc,fsync status=none 2>/dev/null || return 1
		fi
		echo "$i $sum" >>"$4"
	done
}
app_check_records() { # NODE JOURNAL
	local i sum rest got
	while read -r i sum rest; do
		if [ "$use_fs" = 1 ]; then
			got=$(sha256sum <"$fs/record.$i")
		else
			got=$(dd if="$(node_file "$1")" bs=64k skip=$((2048 + i)) count=1 status=none | sha256sum)
		fi
		[ "${got%% *}" = "$sum" ] || { echo "record $i differs"; return 1; }
	done <"$2"
}

# Nothing is written from here on.
app_settle() {
	[ "$use_fs" = 1 ] || return 0
	mount -o remount,ro "$fs"
}

# As much of the tree as leaves room for the rest of the demonstration.
tree_budget=$((64 << 20)) tree_entries_max=10000 tree_bytes=0 tree_files=0 tree_entries=0
while [ "$tree_entries" -lt "$tree_entries_max" ] && read -r -d '' kind bytes entry; do
	[ "$kind" = f ] || bytes=4096
	[ $((tree_bytes + bytes)) -le "$tree_budget" ] || continue
	tree_bytes=$((tree_bytes + bytes)) tree_entries=$((tree_entries + 1))
	[ "$kind" != f ] || tree_files=$((tree_files + 1))
	printf '%s\0' "$entry"
done < <(cd "$tree" 2>/dev/null && find . -xdev ! -path . -readable \( -type f -o -type l -o -type d -executable \) -printf '%y %s %P\0' 2>/dev/null) >"$work/tree.list"
[ "$tree_files" -gt 0 ] || die "no file to copy in $tree (set DEMO_TREE to a directory with files of less than 64 MiB)"

started=$SECONDS
step "Three nodes alpha, beta, gamma on 127.0.0.1, volumes of 256 MiB in $work"
# No connection is to be lost, and nothing to travel twice, because the machine is busy for a second.
CLUSTER_PING_TIMEOUT=100
CLUSTER_DISK='c-max-rate = "24M"; resync-rate = "24M"; c-plan-ahead = 0;'
cluster_new "$work" 256M alpha beta gamma
for n in alpha beta gamma; do
	ctl "$n" create-md r0 --max-peers 3 >/dev/null || die "create-md failed on $n"
done
ok "metadata created on all three"
for n in alpha beta gamma; do node_start "$n" || exit 1; done
ok "all three mounted; the volume is the file NODE/mnt/r0"
ctl alpha wait-connect r0 --timeout 60 || exit 1
say "New volumes, nothing to copy: declare them equal (drbdctl new-current-uuid --clear-bitmap)"
ctl alpha new-current-uuid r0/0 --clear-bitmap || exit 1
wait_for 60 "all nodes UpToDate" cluster_settled || exit 1
status alpha

if [ "$use_fs" = 1 ]; then
	step "alpha: a loop device over the file, ext4 on it (opening promotes), $tree copied onto it"
else
	step "alpha: a loop device may not be mounted here, so $tree is written to the file itself (opening promotes)"
fi
app_open alpha new || die "cannot use alpha's file"
app_copy_tree alpha || die "copying $tree failed"
app_tree_sums alpha >"$work/tree.sums" 2>/dev/null
say "$(wc -l <"$work/tree.sums") checksums taken of $tree_files files, $((tree_bytes >> 20)) MiB"
status alpha

hot() { field alpha '.devices[0]."al-hot-extents"'; }
cooled() { [ "$(hot)" -le 4 ]; }
say "$(hot) extents of 4 MiB are in the activity log; those that nobody writes to leave it"
wait_for 180 "the activity log to cool down" cooled || exit 1
say "$(hot) are left: that is what a crash can bring into doubt"

step "alpha is killed (SIGKILL) in the middle of writing"
: >"$work/journal.1"
app_write_records alpha 0 1000 "$work/journal.1" &
writer=$!
enough() { [ "$(wc -l <"$work/journal.1")" -ge 40 ]; }
wait_for 180 "40 synced records" enough || exit 1
node_kill alpha
wait "$writer" 2>/dev/null
writer=
say "$(wc -l <"$work/journal.1") records of 64 KiB were written and synced before the crash"
release_loop
beta_saw() { [ "$(field beta '.connections[] | select(.name == "alpha") | ."connection-state"')" != Connected ] && disk_is beta UpToDate; }
wait_for 90 "beta to notice" beta_saw || exit 1
status beta

step "beta takes over"
app_open beta || { bad "cannot open the volume on beta"; status beta; exit 1; }
app_tree_sums beta >"$work/tree.beta" 2>/dev/null
check "the copied tree is complete and unchanged on beta" cmp "$work/tree.sums" "$work/tree.beta"
check "every record that was synced on alpha is on beta" app_check_records beta "$work/journal.1"
: >"$work/journal.2"
app_write_records beta 1000 200 "$work/journal.2" || bad "writing on beta failed"
if [ "$use_fs" = 1 ]; then
	head -c 48M /dev/urandom >"$fs/more" && sync -f "$fs"
else
	head -c 48M /dev/urandom | dd of="$(node_file beta)" bs=1M seek=204 conv=notrunc,fsync iflag=fullblock status=none
fi
app_settle || bad "the file system on beta cannot be made read-only"
say "beta wrote $(wc -l <"$work/journal.2") further records and 48 MiB; now it only reads"

step "alpha returns"
to_alpha() { field "$1" "[.connections[] | select(.name == \"alpha\") | .peer_devices[].$2] | add"; }
sent_to_alpha() { echo $(($(to_alpha beta sent) + $(to_alpha gamma sent))); }
sent_before=$(sent_to_alpha)
changed_kib=$(to_alpha beta '"out-of-sync"')
node_start alpha || exit 1
say "$((changed_kib >> 10)) MiB were changed while alpha was away"
bar() { # LEFT_KIB TOTAL_KIB
	local width=40 done_ n
	done_=$((($2 - $1) * 100 / ($2 > 0 ? $2 : 1)))
	n=$((done_ * width / 100))
	printf '   resync of alpha [%s%s] %3d %%  %6d KiB left' "$(printf '%*s' "$n" '' | tr ' ' '#')" \
		"$(printf '%*s' $((width - n)) '' | tr ' ' '.')" "$done_" "$1"
}
target='[.connections[].peer_devices[]? | select(."replication-state" == "SyncTarget")]'
total=0 left=0 shown=
end=$((SECONDS + 300))
until cluster_settled; do
	read -r sectors left < <(field alpha "$target | \"\(.[0].\"rs-total\" // 0) \(.[0].\"out-of-sync\" // 0)\"")
	if [ "${sectors:-0}" -gt 0 ]; then
		total=$((sectors / 2))
		line=$(bar "$left" "$total")
		if [ "$line" != "$shown" ]; then
			if [ -t 1 ]; then printf '\r%s' "$line"; else printf '%s\n' "$line"; fi
			shown=$line
		fi
	fi
	[ "$SECONDS" -lt "$end" ] || { echo; bad "the nodes did not settle within 300 s"; for n in alpha beta gamma; do status "$n"; done; exit 1; }
	pause 0.2
done
if [ -t 1 ]; then printf '\r'; fi
bar 0 "$total"
echo
sent_kib=$(($(sent_to_alpha) - sent_before))
doubtful=$(sed -nE 's/.*the activity log was not clean: ([0-9]+) extents marked/\1/p' "$work/alpha/log" | tail -n 1)
most_kib=$((changed_kib + ${doubtful:=0} * 4096))
say "$((sent_kib >> 10)) MiB travelled to bring alpha up to date: $((sent_kib * 100 / (256 << 10))) % of the 256 MiB of the device"
check "all that was changed travelled ($sent_kib of at least $changed_kib KiB)" test "$sent_kib" -ge "$changed_kib"
check "nothing else but what the crash had brought into doubt, $doubtful extents of 4 MiB (at most $most_kib KiB)" \
	test "$sent_kib" -le "$most_kib"
status alpha

step "Everything once more, then the three data areas byte for byte"
app_tree_sums beta >"$work/tree.beta" 2>/dev/null
check "the copied tree on beta is still the same" cmp "$work/tree.sums" "$work/tree.beta"
check "all records are readable" app_check_records beta "$work/journal.2"
release_loop
ctl beta secondary r0 >/dev/null 2>&1
for n in alpha beta gamma; do node_stop "$n" || bad "node $n did not end by itself"; done
check "alpha, beta and gamma are byte for byte equal ($(data_bytes alpha) bytes each)" cluster_compare
if [ "${KEEP:-}" = 1 ] && [ "$failed" = 0 ]; then
	for n in alpha beta gamma; do node_start "$n" || exit 1; done
fi

step "Summary"
say "tree: $(wc -l <"$work/tree.sums") checksums; records synced before the crash: $(wc -l <"$work/journal.1"), after: $(wc -l <"$work/journal.2")"
say "resync: $((sent_kib >> 10)) MiB of 256 MiB; duration of the demo: $((SECONDS - started)) s"
if [ "$failed" = 0 ]; then ok "every comparison held"; else bad "at least one comparison failed"; fi
exit "$failed"

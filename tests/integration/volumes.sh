#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Volumes are added to a resource that is in use, and taken out of it, by adjust alone; what is connected and open stays.
# Time limit: 240 s
. "$(dirname "$0")/functions.sh"
need jq fio

cluster_new "$WORK" 48M alpha beta
conf=$CLUSTER_DIR/drbdfs.conf
cp "$conf" "$WORK/plain.conf"
# The resource with volume 0 and those: VNR...
with_volumes() {
	cp "$WORK/plain.conf" "$conf"
	for v in "$@"; do
		sed -i "s/volumes = ( { volume = 0; }/&, { volume = $v; }/" "$conf"
		for n in alpha beta; do
			sed -i "s|disk = \"$WORK/$n/disk.img\"; }|&, { volume = $v; disk = \"$WORK/$n/$v.img\"; }|" "$conf"
		done
	done
}
file_of() { echo "$WORK/$1/mnt/r0@$2"; }
volume_field() { ctl "$1" status r0 --json | jq -r ".[0].devices[] | select(.volume == $2) | $3"; } # NODE VNR JQ
volume_is() { [ "$(volume_field "$1" "$2" '."disk-state"')" = "$3" ]; }
met() { [ "$(peer_field "$1" "$2" ".peer_devices[] | select(.volume == $3) | .\"replication-state\"")" = Established ]; }
good_on_both() { volume_is alpha "$1" UpToDate && volume_is beta "$1" UpToDate && met alpha beta "$1" && met beta alpha "$1"; }
for v in 1 3 7; do truncate -s 24M "$WORK/alpha/$v.img" "$WORK/beta/$v.img"; done
with_volumes 1 3 7
must cluster_create_md >/dev/null
with_volumes
for n in alpha beta; do must node_start $n; done
must ctl alpha wait-connect r0 --timeout 60
must ctl alpha new-current-uuid r0/0 --clear-bitmap
must wait_for 60 "both nodes settled" cluster_settled
connections() { grep -c 'r0 beta: connection Connecting -> Connected' "$WORK/alpha/log"; }
before=$(connections)

fio --verify_state_save=0 --name=verify --filename="$(node_file alpha)" --offset=4M --size=32M --rw=randrw --bsrange=4k-64k --ioengine=libaio \
	--iodepth=8 --direct=1 --verify=crc32c --verify_backlog=256 --do_verify=1 --time_based --runtime=20 --output="$WORK/fio.log" &
load=$!
must wait_for 30 "alpha to be Primary" role_is alpha Primary
# fio closes its file between its rounds; while a new volume has no good data nothing could be opened for writing again.
exec 4<>"$(node_file alpha)"

# One that both get: first the one, then the other.
with_volumes 7
must ctl alpha adjust r0
[ -e "$(file_of alpha 7)" ] || fail "no file of the new volume"
[ "$(ls "$WORK/beta/mnt" | tr '\n' ' ')" = 'r0 ' ] || fail "beta has $(ls "$WORK/beta/mnt")"
must ctl beta adjust r0
must wait_for 30 "volume 7 to be met" met alpha beta 7
must ctl alpha new-current-uuid r0/7 --clear-bitmap
must wait_for 30 "volume 7 to be good" good_on_both 7
head -c 4M /dev/urandom >"$WORK/seven"
dd if="$WORK/seven" of="$(file_of alpha 7)" bs=256k conv=notrunc,fsync status=none || fail "dd"

# One with data before the other node has it: that node gets all by its first resync.
with_volumes 3 7
must ctl alpha adjust r0
must ctl alpha new-current-uuid r0/3 --clear-bitmap
must wait_for 30 "volume 3 to be good" volume_is alpha 3 UpToDate
head -c 4M /dev/urandom >"$WORK/three"
dd if="$WORK/three" of="$(file_of alpha 3)" bs=256k seek=8 conv=notrunc,fsync status=none || fail "dd"
must ctl beta adjust r0
must wait_for 60 "the first resync of volume 3" good_on_both 3
[ "$(ctl beta status r0 --json | jq -r '[.[0].devices[].volume] | join(" ")')" = '0 3 7' ] || fail "volumes out of order"

# Not while it is open; then, on one node and on the other.
exec 3<>"$(file_of alpha 3)"
with_volumes 7
must_fail 11 ctl alpha adjust r0
said 'adjust r0: volume 3 is gone from the configuration, and its file is open'
[ -e "$(file_of alpha 3)" ] || fail "the file of volume 3 is gone"
must ctl beta adjust r0
[ ! -e "$(file_of beta 3)" ] || fail "the file of volume 3 is still there on beta"
dd if="$WORK/seven" of="$(file_of alpha 3)" bs=256k seek=40 count=4 conv=notrunc,fsync status=none || fail "dd"
exec 3>&-
must wait_for 30 "volume 3 to be closed" eval '[ "$(volume_field alpha 3 .open)" = false ]'
must ctl alpha adjust r0
[ "$(ls "$WORK/alpha/mnt" | tr '\n' ' ')" = 'r0 r0@7 ' ] || fail "alpha has $(ls "$WORK/alpha/mnt")"

# It returns, with what it has missed; so does one with another number in its place.
with_volumes 1 3 7
for n in beta alpha; do must ctl $n adjust r0; done
must wait_for 60 "volume 3 to be good again" good_on_both 3
must wait_for 30 "volume 1 to be met" met alpha beta 1
must ctl beta new-current-uuid r0/1 --clear-bitmap
must wait_for 30 "volume 1 to be good" good_on_both 1
dd if="$WORK/three" of="$(file_of alpha 1)" bs=256k conv=notrunc,fsync status=none || fail "dd"

wait "$load" || { cat "$WORK/fio.log"; fail "fio met an error or a difference"; }
exec 4>&-
must wait_for 30 "alpha to demote" role_is alpha Secondary
[ "$(connections)" = "$before" ] || fail "a volume disturbed the connection to beta"

# After a restart all is as before.
stop_all
for n in alpha beta; do must node_start $n; done
must wait_for 60 "both nodes settled" cluster_settled
stop_all
cmp -n $((36 << 20)) "$WORK/alpha/disk.img" "$WORK/beta/disk.img" || fail "volume 0"
for v in 1 3 7; do cmp -n $((20 << 20)) "$WORK/alpha/$v.img" "$WORK/beta/$v.img" || fail "volume $v"; done
for n in alpha beta; do
	cmp -n 4194304 "$WORK/seven" "$WORK/$n/7.img" || fail "volume 7 on $n"
	cmp -n 4194304 "$WORK/three" "$WORK/$n/1.img" || fail "volume 1 on $n"
	cmp -n 4194304 "$WORK/three" <(tail -c +$((2 * 1048576 + 1)) "$WORK/$n/3.img") || fail "volume 3 on $n"
	cmp -n 1048576 "$WORK/seven" <(tail -c +$((10 * 1048576 + 1)) "$WORK/$n/3.img") || fail "volume 3 on $n"
done

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Each class of disk access fails (data read, data written, flush, activity log, bitmap, superblock), on a Primary and on a Secondary, with
# on-io-error detach and pass_on: writes go on, nothing is lost, and with the disk mended all are equal again.
# Time limit: 900 s
. "$(dirname "$0")/functions.sh"
need jq
[ -x "$B/volatile_disk" ] || skip "needs $B/volatile_disk (make tests)"

CLUSTER_NET='verify-alg = "crc32c";'
CLUSTER_DISK='on-io-error = "detach";'
size=$((24 << 20))
cluster_new "$WORK" "$size" alpha beta gamma
volatile_disk_below alpha
must cluster_create_md >/dev/null
for n in $CLUSTER_NODES; do must node_start "$n"; done
for n in alpha beta; do must ctl "$n" wait-connect r0 --timeout 60; done
must ctl alpha new-current-uuid r0/0 --clear-bitmap
must wait_for 60 "all nodes settled" cluster_settled
model_new alpha

# Internal metadata: data, bitmap (one page), activity log, superblock.
superblock=$((size - 4096)) log=$((size - 4096 - 32768)) bitmap=$((size - 4096 - 32768 - 4096))
alpha_fails() { # CLASS
	case $1 in
	data-read) must echo "fail read 0 $((bitmap - 1))" ;;
	data-write) must echo "fail write 0 $((bitmap - 1))" ;;
	flush) must echo "fail flush 0 0" ;;
	log) must echo "fail write $log $((superblock - 1))" ;;
	bitmap) must echo "fail write $bitmap $((log - 1))" ;;
	superblock) must echo "fail write $superblock $((size - 1))" ;;
	esac >"$WORK/alpha/below/ctl"
}
alpha_is_mended() { must echo mend >"$WORK/alpha/below/ctl"; }

# What makes alpha do that. $primary has the file; $at moves on, so that each write is into other blocks.
at=0
write_some() { must put_random "$primary" $((at = (at + 64) % 20480)) 64; }
access() { # CLASS
	case $1 in
	data-read)
		[ "$primary" != alpha ] || must dd if="$(node_file alpha)" of=/dev/null bs=64k count=16 iflag=direct status=none
		[ "$primary" = alpha ] || must ctl beta verify r0:alpha ;;
	log) at=$((at + 4096)) ;;
	bitmap)
		# It is written at once when all is to be marked.
		[ "$primary" = alpha ] && run ctl alpha invalidate-remote r0:gamma || run ctl alpha invalidate r0 ;;
	superblock) node_kill gamma ;; # which begins a new generation
	esac
	write_some
}

one_case() { # POLICY PRIMARY CLASS
	local wanted=Diskless
	primary=$2
	echo "$3 fails on alpha, Primary $primary, on-io-error $1"
	[ "$1 ${3%-*}" != "pass_on data" ] || wanted=Inconsistent
	must ctl "$primary" primary r0
	write_some
	alpha_fails "$3"
	access "$3"
	must wait_for 30 "alpha to be $wanted" not disk_is alpha UpToDate
	[ "$wanted" != Diskless ] || must wait_for 30 "alpha to be Diskless" disk_is alpha Diskless
	must wait_for 30 "status to say why" eval 'ctl alpha status -v | grep -q "local disk: .* failed: Input/output error"'
	# It goes on, and it is all there; what could not be read or written comes back by itself.
	for ((i = 0; i < 3; i++)); do write_some; done
	cmp "$(node_file "$primary")" "$WORK/model" || fail "wrong data on $primary"
	alpha_is_mended
	if [ "$wanted" = Diskless ]; then
		must ctl alpha attach r0
	fi
	[ "$3" != superblock ] || must node_start gamma
	must wait_for 60 "all nodes settled" cluster_settled
	must ctl "$primary" secondary r0
	must wait_for 30 "all to be Secondary" role_is "$primary" Secondary
}

for policy in detach pass_on; do
	for primary in alpha beta; do
		for class in data-read data-write flush log bitmap superblock; do one_case "$policy" "$primary" "$class"; done
	done
	sed -i 's/"detach"/"pass_on"/' "$CLUSTER_DIR/drbdfs.conf"
	for n in $CLUSTER_NODES; do must ctl "$n" adjust r0; done
done
stop_all
must_equal_model alpha beta gamma

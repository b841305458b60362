#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Every mistake in the configuration is found before anything starts: exit 10, FILE:LINE, nothing mounted, no socket.
. "$(dirname "$0")/functions.sh"

cluster_new "$WORK" 16M alpha beta
conf=$CLUSTER_DIR/drbdfs.conf
cp "$conf" "$WORK/good.conf"
addr_alpha=$(sed -nE 's/.*name = "alpha".*address = "([^"]+)".*/\1/p' "$WORK/good.conf")
addr_beta=$(sed -nE 's/.*name = "beta".*address = "([^"]+)".*/\1/p' "$WORK/good.conf")

mount_alpha() { "$B/drbdfs" mount -c "$conf" -n alpha -s "$WORK/alpha/control.sock" "$WORK/alpha/mnt"; }
# Replaces TEXT by BY in the good configuration; then neither program takes it, and says so.
refused() { # SED-SCRIPT REGEX...
	sed -E "$1" "$WORK/good.conf" >"$conf"
	shift
	cmp -s "$conf" "$WORK/good.conf" && fail "the mistake was not made: $*"
	must_fail 10 mount_alpha
	said "$@"
	[ ! -S "$WORK/alpha/control.sock" ] || fail "a control socket was made"
	! grep -q " $WORK/alpha/mnt " /proc/mounts || fail "something was mounted"
}

refused "s/${addr_beta}/${addr_alpha}/" "drbdfs.conf:[0-9]+: .*address ${addr_alpha} is also used by node 'alpha'"
refused 's/ping-int = 1/pnig-int = 1/' "drbdfs.conf:3: .*unknown key 'pnig-int'; did you mean 'ping-int'\?"
refused 's/ping-int = 1/quorum = "majority"/' "drbdfs.conf:3: .*unknown key 'quorum'"
refused 's/ping-int = 1/c-max-rate = 1/' "unknown key 'c-max-rate'; it belongs into 'disk'"
refused 's/ping-int = 1/ping-int = 1000/' 'drbdfs.conf:3: .*ping-int: value is too big, allowed are 1 to 120'
refused 's/ping-int = 1/protocol = "D"/' 'protocol: "D" is not a valid value; allowed are "A" \| "B" \| "C"'
refused 's/ping-int = 1/ping-int = "soon"/' 'ping-int: not a number'
refused 's/ping-int = 1/cram-hmac-alg = "sha256"/' 'cram-hmac-alg needs a shared-secret'
refused 's/ping-int = 1/shared-secret = "geheim"/' 'shared-secret without cram-hmac-alg'
refused 's/node-id = 1;/node-id = 32;/' 'drbdfs.conf:[0-9]+: .*node-id 32 is out of range'
refused 's/node-id = 1;/node-id = -1;/' 'drbdfs.conf:[0-9]+: .*node-id -1 is out of range'
refused 's/node-id = 1;/node-id = 0;/' "node 'beta': node-id 0 is that of 'alpha'"
refused 's/name = "beta"/name = "alpha"/' "node 'alpha' is there already"
refused 's/volumes = \( \{ volume = 0; \} \)/volumes = ( { volume = 70000; } )/' 'volume 70000 is out of range'
refused "s|disk = \"$WORK/alpha/disk.img\"|disk = \"$WORK/none.img\"|" \
	"drbdfs.conf:[0-9]+: resource 'r0', node 'alpha', volume 0: disk $WORK/none.img: No such file"
refused "s|disk = \"$WORK/alpha/disk.img\"|disk = \"$WORK/alpha\"|" 'neither a regular file nor a block device'
refused "s|disk = \"$WORK/alpha/disk.img\"|disk = \"disk.img\"|" 'is not an absolute path'
refused 's/version = 1/version = 2/' 'drbdfs.conf:1: .*version 2 is not known'
refused 's/^resources = /rseources = /' "unknown key 'rseources'; did you mean 'resources'\?"
refused '3s/=/{/' 'drbdfs.conf:3: .*syntax error'
# More than one per run.
refused 's/ping-int = 1/pnig-int = 1/; s/node-id = 1;/node-id = 32;/; s/connect-int = 2/connect-int = 0/' \
	"unknown key 'pnig-int'" 'node-id 32' 'connect-int: value is too small'

# Two volumes on one backing store: by name, then by a second name of the same file.
ln "$WORK/alpha/disk.img" "$WORK/alpha/again.img"
two() { # PATH-OF-VOLUME-1
	sed -E "s|volumes = \( \{ volume = 0; \} \)|volumes = ( { volume = 0; }, { volume = 1; disk = \"$WORK/other.img\"; } )|
		s|(disk = \"$WORK/alpha/disk.img\"; \})|\1, { volume = 1; disk = \"$1\"; }|" "$WORK/good.conf" >"$conf"
	must_fail 10 mount_alpha
	said "resource 'r0', node 'alpha', volume 1: disk $1 is also used as disk of volume 0"
}
two "$WORK/alpha/disk.img"
two "$WORK/alpha/again.img"
rm "$WORK/alpha/again.img"

rm "$conf"
must_fail 10 mount_alpha
said 'cannot read the configuration: No such file'
cp "$WORK/good.conf" "$conf"
must_fail 10 "$B/drbdfs" mount -c "$conf" -n delta -s "$WORK/alpha/control.sock" "$WORK/alpha/mnt"
said "no resource has a node 'delta' \(from the option -n\)" 'alpha'
must_fail 10 ctl delta create-md r0
said "no resource has a node 'delta'"

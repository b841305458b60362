# SPDX-License-Identifier: GPL-2.0-or-later
# A peer whose bitmap has more than 4 KiB for a bit is refused, and so is its disk.
needs_drbd9 "it has 4 KiB for a bit only"
world_new C
there "drbdmeta --help 2>&1 | grep -q bitmap-block-size" || skip "drbd-utils there do not know bitmap-block-size"
must adm create-md --force --max-peers=3 --bitmap-block-size=16k r0
there_up >/dev/null 2>&1 || skip "the kernel there has 4 KiB for a bit only"
must node_start here
must wait_for 60 "StandAlone here" here_conn_is StandAlone
must wait_for 60 "StandAlone there" there_conn_is StandAlone
must grep -q 'bitmap-block-size of volume 0 on there is 16 KiB' "$WORK/here/log"
[ -n "${PEER_IMAGE:-}" ] || exit 0
must node_stop here
must there_down
swap_disks
must node_start here
must wait_for 30 "the refusal of the disk" grep -q 'counts 16384 bytes per bitmap bit' "$WORK/here/log"
must disk_is here Diskless

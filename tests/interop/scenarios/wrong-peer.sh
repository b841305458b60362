# SPDX-License-Identifier: GPL-2.0-or-later
# Wrong node ids are refused, for ever retried, and the connection is made when they are right.
needs_drbd9 "there are no node ids"
world_new C
sed -i "s/node-id $OWN_ID;/node-id 5;/" "$WORK/there.conf"
must there_put "$WORK/there.conf" $THERE_CONF
both_up
must wait_for 60 "the refusal here" grep -q 'node ids do not match' "$WORK/here/log"
not connected || fail "connected to a node that means another one"
must there_down
must conf_there
must there_up
must wait_for 60 "the connection" connected

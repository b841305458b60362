# SPDX-License-Identifier: GPL-2.0-or-later
# Wrong node ids are refused, for ever retried, and the connection is made when they are right.
needs_drbd9 "there are no node ids"
for wrong in $OWN_ID $THERE_ID; do
	world_new C
	sed -i "s/node-id $wrong;/node-id 5;/" "$WORK/there.conf"
	must there_put "$WORK/there.conf" $THERE_CONF
	: >"$WORK/here/log"
	both_up
	must wait_for 60 "the refusal here" grep -q 'node ids do not match' "$WORK/here/log"
	not connected || fail "connected to a node that means another one"
	must there_down
	must conf_there
	# A disk keeps the node id that it was used with.
	[ "$wrong" = "$OWN_ID" ] || must there_create_md
	must there_up
	must wait_for 60 "the connection" connected
	must node_stop here
done

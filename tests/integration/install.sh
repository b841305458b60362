#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# make install into DESTDIR puts everything in place, the programs run from there; make uninstall leaves nothing behind.
. "$(dirname "$0")/functions.sh"
need make

dest=$WORK/dest
quiet_make() { make --no-print-directory B="$B" DESTDIR="$dest" PREFIX=/opt/x "$@" >"$WORK/out" 2>&1; }
must quiet_make install
for f in sbin/drbdfs sbin/drbdctl share/man/man8/drbdfs.8 share/man/man8/drbdctl.8 share/man/man5/drbdfs.conf.5 \
	lib/systemd/system/drbdfs.service lib/systemd/system/drbdfs-arbiter.service share/doc/drbdfs/drbdfs.conf.example \
	share/bash-completion/completions/drbdctl; do
	[ -s "$dest/opt/x/$f" ] || fail "$f is not installed"
done
must "$dest/opt/x/sbin/drbdfs" --version >/dev/null
must "$dest/opt/x/sbin/drbdctl" help >/dev/null
grep -q '^ExecStart=/opt/x/sbin/drbdfs mount' "$dest/opt/x/lib/systemd/system/drbdfs.service" || fail "the unit does not name the installed program"
grep -q '^ExecStart=/opt/x/sbin/drbdfs arbiter' "$dest/opt/x/lib/systemd/system/drbdfs-arbiter.service" || fail "the arbiter's unit does not name the installed program"
! grep -q '@PREFIX@' "$dest/opt/x/lib/systemd/system/"* || fail "the unit has a placeholder"
! command -v systemd-analyze >/dev/null || [ ! -e /run/systemd/system ] || must systemd-analyze verify --man=no "$dest/opt/x/lib/systemd/system/drbdfs.service" "$dest/opt/x/lib/systemd/system/drbdfs-arbiter.service" >/dev/null 2>&1

# The example is a valid configuration: as far as its backing files, which are not here.
must_fail 10 "$dest/opt/x/sbin/drbdfs" mount -f -c "$dest/opt/x/share/doc/drbdfs/drbdfs.conf.example" -n alpha -s "$WORK/s" "$WORK"
said 'r0.img: No such file'
[ "$(grep -c . "$WORK/out")" = 1 ] || { cat "$WORK/out"; fail "the example has more mistakes than its missing file"; }

must quiet_make uninstall
left=$(find "$dest" ! -type d)
[ -z "$left" ] || fail "left behind: $left"

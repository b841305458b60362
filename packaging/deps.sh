#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Installs the Debian 12 packages that a set of targets needs; does nothing when all are there.
# Usage: packaging/deps.sh build|demo|test|kernel|bench ...
set -eu

build="gcc make pkg-config libc6-dev libfuse3-dev fuse3 libevent-dev libcurl4-openssl-dev
	libconfig-dev libjansson-dev libssl-dev"
demo="e2fsprogs util-linux jq"
test="libcriterion-dev fio curl clang libclang-rt-14-dev python3 openssl drbd-utils groff-base sqlite3"
kernel="qemu-system-x86 iproute2 kmod cpio zstd drbd-utils"
bench="fio jq"

want=
for set in "$@"; do
	case $set in
	build) want="$want $build" ;;
	demo) want="$want $build $demo" ;;
	test) want="$want $build $demo $test" ;;
	kernel) want="$want $build $demo $kernel" ;;
	bench) want="$want $build $bench" ;;
	*)
		echo "deps.sh: unknown set '$set' (build, demo, test, kernel, bench)" >&2
		exit 2
		;;
	esac
done
[ -n "$want" ] || { echo "usage: deps.sh build|demo|test|kernel|bench ..." >&2; exit 2; }

if ! command -v dpkg-query >/dev/null; then
	echo "deps.sh: this is not a Debian system; install the counterparts of:" $want >&2
	echo "deps.sh: going on, the build tells what is missing" >&2
	exit 0
fi

missing=
for pkg in $want; do
	case " $missing " in *" $pkg "*) continue ;; esac
	state=$(dpkg-query -W -f '${db:Status-Status}' "$pkg" 2>/dev/null || true)
	[ "$state" = installed ] || missing="$missing $pkg"
done
[ -n "$missing" ] || exit 0

sudo=
if [ "$(id -u)" -ne 0 ]; then
	if command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
		sudo="sudo -n"
	else
		echo "deps.sh: missing packages:$missing" >&2
		echo "deps.sh: may not install them as $(id -un); run as root: apt-get install$missing" >&2
		exit 1
	fi
fi

echo "deps.sh: installing$missing"
export DEBIAN_FRONTEND=noninteractive
install() { $sudo apt-get install -y -q --no-install-recommends $missing; }
# The package lists of a new machine may be absent or old: fetch them only if the first try fails.
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! install >"$log" 2>&1; then
	$sudo apt-get update -q >"$log" 2>&1 || true
	if ! install >"$log" 2>&1; then
		tail -n 20 "$log" >&2
		echo "deps.sh: apt-get could not install:$missing" >&2
		exit 1
	fi
fi

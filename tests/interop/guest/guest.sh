#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The guest of `make check-kernel`: one emulated machine with Debian's kernel and its DRBD 8.4, in the network namespace of the caller.
#
# guest.sh network        bridge br0 10.77.0.1, .3 and .4 for the replication, tap-run 10.78.0.1 for what is run in the guest
# guest.sh start | stop   as one switches a machine on and off: its disk stays
# guest.sh crash          both
# guest.sh run LINE       runs a line of bash in the guest, prints what it printed, ends with its exit code
# guest.sh cut | heal     takes the guest's port off the bridge, and puts it back
#
# GUEST_DIR: vmlinuz and initrd (image.sh) and all that the running guest has here; GUEST_KHZ: this machine's time stamp counter.
set -u
D=$GUEST_DIR
pause() { read -r -t "$1" <> <(:) || true; } # SECONDS

network() {
	ip link set lo up &&
		ip link add br0 address 52:54:00:77:00:01 type bridge && ip addr add 10.77.0.1/24 dev br0 && ip addr add 10.77.0.3/24 dev br0 &&
		ip addr add 10.77.0.4/24 dev br0 && ip link set br0 up &&
		ip tuntap add tap0 mode tap && ip link set tap0 master br0 && ip link set tap0 up &&
		ip tuntap add tap-run mode tap && ip addr add 10.78.0.1/24 dev tap-run && ip link set tap-run up
}

running() { kill -0 "$(cat "$D/pid" 2>/dev/null)" 2>/dev/null; }

# maxcpus=2: for one processor alone the emulator leaves out memory barriers, and a network card that runs beside it misses its packets.
# The emulated time stamp counter is that of this machine. A guest that measured it itself would go wrong where this machine is busy.
start() {
	local said
	[ -e "$D/disk.img" ] || truncate -s 64M "$D/disk.img"
	said=$(stat -c %s "$D/console.log" 2>/dev/null || echo 0)
	qemu-system-x86_64 -accel tcg -cpu qemu64,+rdrand -smp 1,maxcpus=2 -m 384 -nodefaults -no-user-config -display none \
		-daemonize -pidfile "$D/pid" -kernel "$D/vmlinuz" -initrd "$D/initrd" \
		-append "console=ttyS0 quiet loglevel=7 panic=0 mitigations=off tsc_early_khz=$GUEST_KHZ tsc=reliable clocksource=tsc no_timer_check lpj=4000000" \
		-chardev "file,id=console,path=$D/console.log,append=on" -serial chardev:console \
		-drive "if=none,id=disk,file=$D/disk.img,format=raw,cache=writeback,discard=unmap" -device virtio-blk-pci,drive=disk \
		-netdev tap,id=net,ifname=tap0,script=no,downscript=no -device virtio-net-pci,netdev=net,mac=52:54:00:77:00:02,romfile= \
		-netdev tap,id=run,ifname=tap-run,script=no,downscript=no -device virtio-net-pci,netdev=run,mac=52:54:00:78:00:02,romfile= \
		>"$D/qemu.log" 2>&1 </dev/null || { cat "$D/qemu.log"; return 1; }
	for ((i = 0; i < 1200; i++)); do
		running || { cat "$D/qemu.log"; return 1; }
		if tail -c +$((said + 1)) "$D/console.log" | grep -q 'guest is up' && run true 2>/dev/null; then return 0; fi
		pause 0.1
	done
	tail -n 20 "$D/console.log"
	echo "guest.sh: the guest is not up after 120 s"
	return 1
}

stop() {
	running || return 0
	kill -KILL "$(cat "$D/pid")"
	while running; do pause 0.05; done
}

run() { # LINE
	local answer
	exec 3<>/dev/tcp/10.78.0.2/7000 || return 255
	printf '%s\0' "$1" >&3
	answer=$(timeout "${GUEST_LIMIT:-300}" cat <&3) || return 254
	case ${answer##*$'\n'} in
	'' | *[!0-9]*) return 253 ;;
	esac
	printf '%s' "${answer%$'\n'*}"
	return "${answer##*$'\n'}"
}

case ${1:-} in
network | start | stop) "$1" ;;
crash) stop && start ;;
run) run "$2" ;;
cut) ip link set tap0 nomaster ;;
heal) ip link set tap0 master br0 ;;
*) sed -n 5,9p "$0" >&2; exit 2 ;;
esac

#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A peer that shares no code with drbdfs: does what a DRBD kernel with TLS does up to the first packets, or misbehaves.

The two P_INITIAL_* packets go in clear; then a TLS 1.3 handshake runs on each TCP connection, the control one first, whoever
opened it being the client; everything else is inside. Here that is the features handshake, a ping and P_PROTOCOL.
Prints one line per step, the last one `done` (exit 0) or `refused: WHY` (exit 3).
"""
import argparse
import os
import socket
import ssl
import struct
import sys
import time

DATA, CONTROL = 0xFFF2, 0xFFF1
FEATURES, PROTOCOL, PING, PING_ACK = 0xFFFE, 0x0B, 0x13, 0x14
LIMIT_S = 20


class Refused(Exception):
    pass


def say(text):
    print(text, flush=True)


class Plain:
    """A stream without TLS."""

    def __init__(self, sock):
        self.sock = sock
        self.pending = b""

    def send(self, data):
        self.sock.sendall(data)

    def read(self, count):
        while len(self.pending) < count:
            data = self.sock.recv(65536)
            if not data:
                raise Refused("end of stream")
            self.pending += data
        out, self.pending = self.pending[:count], self.pending[count:]
        return out


class Tls:
    """A stream with TLS; the bytes pass through our hands so that they can be cut up."""

    def __init__(self, sock, context, server, name, bytewise):
        self.sock, self.bytewise, self.pending = sock, bytewise, b""
        self.inb, self.outb = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.obj = context.wrap_bio(self.inb, self.outb, server_side=server, server_hostname=None if server else name)

    def flush(self):
        data = self.outb.read()
        if not self.bytewise:
            self.sock.sendall(data)
            return
        for i in range(len(data)):
            self.sock.sendall(data[i:i + 1])

    def run(self, call):
        while True:
            try:
                result = call()
                self.flush()
                return result
            except ssl.SSLWantReadError:
                self.flush()
                data = self.sock.recv(65536)
                if data:
                    self.inb.write(data)
                else:
                    self.inb.write_eof()
            except ssl.SSLError:
                self.flush()
                raise

    def handshake(self):
        self.run(self.obj.do_handshake)

    def send(self, data):
        self.run(lambda: self.obj.write(data))

    def read(self, count):
        while len(self.pending) < count:
            data = self.run(lambda: self.obj.read(65536))
            if not data:
                raise Refused("end of stream")
            self.pending += data
        out, self.pending = self.pending[:count], self.pending[count:]
        return out


def initial(kind):
    return struct.pack(">IHH", 0x83740267, kind, 0)


def features(own, peer):
    return struct.pack(">IHH", 0x83740267, FEATURES, 72) + struct.pack(">6I48x", 118, 0, 122, own, peer, 0)


def header100(command, length=0):
    return struct.pack(">IHHII", 0x8620EC20, 0xFFFF, command, length, 0)


def read_packet(stream):
    magic, = struct.unpack(">I", stream.read(4))
    if magic == 0x83740267:
        command, length = struct.unpack(">HH", stream.read(4))
    elif magic == 0x8620EC20:
        _, command, length, pad = struct.unpack(">HHII", stream.read(12))
        if pad:
            raise Refused("padding is not zero")
    else:
        raise Refused("no packet: %08x" % magic)
    return command, stream.read(length)


def expect(stream, wanted):
    while True:
        command, body = read_packet(stream)
        if command == wanted:
            return body
        # The node may ping at any time.
        if command != PING:
            raise Refused("packet %#x instead of %#x" % (command, wanted))
        stream.send(header100(PING_ACK))


def address(text):
    host, port = text.rsplit(":", 1)
    return host, int(port)


def tune(sock):
    sock.settimeout(LIMIT_S)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def open_stream(args, kind):
    end = time.monotonic() + LIMIT_S
    while True:
        sock = socket.socket()
        try:
            sock.connect(address(args.node))
            break
        except OSError:
            sock.close()
            if time.monotonic() > end:
                raise
            time.sleep(0.05)
    tune(sock).sendall(initial(kind))
    return sock


def establish(args):
    """The two TCP connections: {kind: (socket, whether we are the server on it)}."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(address(args.listen))
    if args.open != "both":
        listener.listen(8)
        listener.settimeout(LIMIT_S)
    found = {}
    if args.open in ("data", "both"):
        found[DATA] = (open_stream(args, DATA), False)
    if args.open == "both":
        found[CONTROL] = (open_stream(args, CONTROL), False)
    while len(found) < 2:
        sock = tune(listener.accept()[0])
        first = b""
        while len(first) < 8:
            data = sock.recv(8 - len(first))
            if not data:
                break
            first += data
        for kind in (DATA, CONTROL):
            # Of two that cross, the accepted one stays.
            if first == initial(kind):
                found[kind] = (sock, True)
    listener.close()
    return found


def context(args, server):
    ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT)
    version = ssl.TLSVersion.TLSv1_2 if args.mode == "tls12" else ssl.TLSVersion.TLSv1_3
    ctx.minimum_version = ctx.maximum_version = version
    ctx.check_hostname = not server
    ctx.verify_mode = ssl.CERT_REQUIRED
    ctx.load_verify_locations(args.ca)
    if args.cert:
        ctx.load_cert_chain(args.cert, args.key)
    if server:
        ctx.num_tickets = 0
    return ctx


def secure(args, found, kind):
    sock, server = found[kind]
    stream = Tls(sock, context(args, server), server, args.name, args.mode == "bytewise")
    stream.handshake()
    say("%s: %s, %s, %s" % ("data" if kind == DATA else "control", "server" if server else "client",
                            stream.obj.version(), stream.obj.cipher()[0]))
    return stream


def wait_for_end(sock):
    begin = time.monotonic()
    try:
        while sock.recv(65536):
            pass
    except OSError:
        pass
    raise Refused("closed after %.1f s" % (time.monotonic() - begin))


def misbehave_after(args, stream, sock):
    if args.mode == "garbage":
        sock.sendall(os.urandom(4096))
    elif args.mode == "clear-after":
        sock.sendall(features(args.own_id, args.peer_id))
    elif args.mode == "hello-after":
        again = Tls(sock, context(args, False), False, args.name, False)
        try:
            again.obj.do_handshake()
        except ssl.SSLWantReadError:
            again.flush()
    elif args.mode == "cut":
        stream.obj.write(features(args.own_id, args.peer_id))
        record = bytearray(stream.outb.read())
        record[-1] ^= 1
        sock.sendall(record)
    else:
        return
    wait_for_end(sock)


def play(args):
    found = establish(args)
    if args.mode == "silent":
        wait_for_end(found[DATA][0])
    if args.mode == "plain":
        control, data = Plain(found[CONTROL][0]), Plain(found[DATA][0])
    else:
        control = secure(args, found, CONTROL)
        if args.mode == "half":
            wait_for_end(found[DATA][0])
        data = secure(args, found, DATA)
        misbehave_after(args, data, found[DATA][0])
    data.send(features(args.own_id, args.peer_id))
    body = expect(data, FEATURES)
    least, _, most, own, peer, _ = struct.unpack(">6I48x", body)
    say("features: protocol %u to %u, nodes %u and %u" % (least, most, own, peer))
    if (own, peer) != (args.peer_id, args.own_id) or not least <= 122 <= most:
        raise Refused("not what was expected")
    control.send(header100(PING))
    expect(control, PING_ACK)
    say("ping answered")
    body = expect(data, PROTOCOL)
    for stream in (control, data):
        # The kernel's TLS takes nothing but data and alerts once the handshake is done.
        session = getattr(getattr(stream, "obj", None), "session", None)
        if session and session.has_ticket:
            raise Refused("a session ticket came")
    say("protocol %u" % struct.unpack(">I", body[:4])[0])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--listen", required=True, help="our address, ADDR:PORT")
    parser.add_argument("--node", required=True, help="the node's")
    parser.add_argument("--open", choices=("both", "data", "none"), default="data", help="what we open actively")
    parser.add_argument("--name", required=True, help="of the node, as its certificate has it")
    parser.add_argument("--ca", required=True)
    parser.add_argument("--cert")
    parser.add_argument("--key")
    parser.add_argument("--own-id", type=int, default=1)
    parser.add_argument("--peer-id", type=int, default=0)
    parser.add_argument("--mode", default="good", choices=(
        "good", "bytewise", "plain", "tls12", "silent", "half", "garbage", "clear-after", "hello-after", "cut"))
    args = parser.parse_args()
    try:
        play(args)
    except (Refused, OSError) as error:  # ssl.SSLError is an OSError
        say("refused: %s" % error)
        return 3
    say("done")
    return 0


sys.exit(main())

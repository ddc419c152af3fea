"""A proxy in front of a server on the loopback that does to connections what networks do to them."""

import contextlib
import select
import socket
import struct
import threading
import time


class Proxy:
    """Passes everything on, until told otherwise. What it did to a connection stays so; new ones are passed on."""

    def __init__(self, server_port):
        self.server_port = server_port
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.lock = threading.Lock()
        self.pairs = []  # of [client, server, what is done to them]
        self.latency = 0.0  # seconds that each piece of data is held up, on every connection
        self.silent_from = None  # once a client has sent this, answers to it wait for `speaks`
        self.speaks = threading.Event()
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                try:
                    server = socket.create_connection(("127.0.0.1", self.server_port))
                except OSError:
                    client.close()
                    continue
                for each in (client, server):  # as redis-server's own: no answer waits for the receipt of another
                    each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                pair = [client, server, "pass"]
                with self.lock:
                    self.pairs.append(pair)
                threading.Thread(target=self.serve, args=(pair,), daemon=True).start()

    def serve(self, pair):
        client, server, _ = pair
        held = []
        with contextlib.suppress(OSError):
            while True:
                if pair[2] == "silent" and self.speaks.is_set():
                    pair[2] = "pass"
                    client.sendall(b"".join(held))
                wait = 0.02 if pair[2] == "silent" else None
                for source in select.select([client, server], [], [], wait)[0]:
                    data = source.recv(65536)
                    if not data:
                        raise OSError
                    if pair[2] == "blackhole":
                        continue
                    if source is client and self.silent_from and self.silent_from in data:
                        pair[2] = "silent"
                    if source is server and pair[2] == "silent":
                        held.append(data)
                        continue
                    time.sleep(self.latency)
                    if pair[2] == "truncate":
                        (server if source is client else client).sendall(data[:len(data) // 2])
                        raise OSError
                    (server if source is client else client).sendall(data)
        for each in (client, server):
            each.close()
        with self.lock, contextlib.suppress(ValueError):
            self.pairs.remove(pair)

    def all_pairs(self):
        with self.lock:
            return list(self.pairs)

    def reset(self):
        """Every connection ends with a RST on both sides."""
        for client, server, _ in self.all_pairs():
            for each in (client, server):
                with contextlib.suppress(OSError):
                    each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    each.shutdown(socket.SHUT_RDWR)

    def blackhole(self):
        """What is sent on today's connections is never seen again, and nobody is told."""
        for pair in self.all_pairs():
            pair[2] = "blackhole"

    def truncate(self):
        """The next piece of data on each connection passes by half, then it ends."""
        for pair in self.all_pairs():
            pair[2] = "truncate"

    def close(self):
        self.listener.close()
        self.reset()

"""What the benchmarks need of the machine: a redis-server of their own, a client for it, processes and their memory."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse

DATABASES = 8  # of the server, that one comparison uses


class Missing(Exception):
    """Something is not there; the text says what, and how to get it."""


class Redis:
    """Enough of a client to count: one connection, one command at a time."""

    def __init__(self, url):
        parts = urllib.parse.urlsplit(url)
        self.name = "%s:%d" % (parts.hostname or "127.0.0.1", parts.port or 6379)
        if parts.scheme != "redis":
            raise Missing("redis-server: '%s' is no redis:// URL" % parts.scheme)
        try:
            address = (parts.hostname or "127.0.0.1", parts.port or 6379)
            self.socket = socket.create_connection(address, timeout=30)
        except OSError as error:
            raise Missing("redis-server: %s: %s" % (self.name, error.strerror or error)) from None
        self.replies = self.socket.makefile("rb")
        if parts.password:
            credentials = [urllib.parse.unquote(text) for text in (parts.username, parts.password) if text]
            self.command("AUTH", *credentials)
        self.command("SELECT", parts.path.strip("/") or "0")

    def command(self, *words):
        encoded = [str(word).encode() for word in words]
        request = b"*%d\r\n" % len(encoded) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in encoded)
        self.socket.sendall(request)
        return self._reply()

    def _reply(self):
        line = self.replies.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionError("redis-server: %s closed the connection" % self.name)
        kind, text = line[:1], line[1:-2]
        if kind == b"-":
            raise RuntimeError("redis-server: %s: %s" % (self.name, text.decode()))
        if kind == b":":
            return int(text)
        if kind == b"$":
            return None if text == b"-1" else self.replies.read(int(text) + 2)[:-2].decode()
        if kind == b"*":
            return [self._reply() for _ in range(int(text))]
        return text.decode()

    def version(self):
        lines = self.command("INFO", "server").splitlines()
        return next(line.split(":", 1)[1] for line in lines if line.startswith("redis_version:"))

    def want_empty(self):
        if self.command("DBSIZE"):
            raise Missing("an empty database: one on %s holds keys, and a benchmark deletes all it finds" % self.name)


class RedisServer:
    """A redis-server on a free loopback port, without persistence, stopped by its own pid."""

    def __init__(self):
        program = shutil.which("redis-server")
        if program is None:
            raise Missing("redis-server: apt-get install redis-server")
        self.folder = tempfile.TemporaryDirectory(prefix="lovage-bench-")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        command = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        self.process = subprocess.Popen(command + ["--dir", self.folder.name], stdout=subprocess.DEVNULL)
        self.url = "redis://127.0.0.1:%d" % port
        deadline = time.monotonic() + 30
        while True:
            try:
                Redis(self.url)
                return
            except Missing:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    self.stop()
                    raise Missing("redis-server: %s did not start" % program) from None
                time.sleep(0.01)

    def stop(self):
        stop(self.process)
        self.folder.cleanup()


@contextlib.contextmanager
def server(url):
    """The URL, without a database, of the server at `url` whose databases are empty, or of one started for the run."""
    own = None if url else RedisServer()
    try:
        base = (url or own.url).rstrip("/")
        if urllib.parse.urlsplit(base).path:
            raise Missing("--redis: wants redis://HOST:PORT without a database")
        databases = ["%s/%d" % (base, database) for database in range(DATABASES)]
        for database in databases:
            Redis(database).want_empty()
        try:
            yield base
        finally:
            for database in databases:
                Redis(database).command("FLUSHDB")
    finally:
        if own:
            own.stop()


def run(name, main):
    """Runs a program: exit code 2 for what is missing, 1 for what failed."""
    try:
        main()
    except Missing as missing:
        sys.exit(fail(name, missing, 2))
    except (RuntimeError, OSError, subprocess.SubprocessError) as error:
        sys.exit(fail(name, error, 1))


def fail(name, error, code):
    sys.stderr.write("%s: %s\n" % (name, error))
    return code


def stop(process):
    """Ends a process that we started: TERM, and KILL when it does not obey."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def read(path):
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except OSError:
        return ""  # the process has just ended


def process_tree(pid):
    pids = [pid]
    for parent in pids:  # grows while it is walked
        try:
            threads = os.listdir("/proc/%d/task" % parent)
        except OSError:
            continue
        for thread in threads:
            pids += [int(child) for child in read("/proc/%d/task/%s/children" % (parent, thread)).split()]
    return pids


def pss_mib(processes):
    """Proportional set size of the processes and all their descendants, each counted once, in MiB."""
    pids = {pid for process in processes for pid in process_tree(process.pid)}
    lines = [line for pid in pids for line in read("/proc/%d/smaps_rollup" % pid).splitlines()]
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


def file_system(path):
    """The type of the file system that holds `path`: "ext4"."""
    path = os.path.realpath(path)
    found = ("", "unknown")
    for line in read("/proc/mounts").splitlines():
        place, kind = line.split()[1:3]
        if (path == place or path.startswith(place.rstrip("/") + "/")) and len(place) >= len(found[0]):
            found = (place, kind)
    return found[1]


def description():
    """One sentence for the tables."""
    models = [line.split(":", 1)[1].strip() for line in read("/proc/cpuinfo").splitlines() if line.startswith("model name")]
    return "%d cores (%s), load average before the run %s" % (
        os.cpu_count(), models[0] if models else "unknown", read("/proc/loadavg").split()[0])

"""What the tests of this folder share: a store of their own, workers as processes, and ways to wait for states.

Each test is a program: `test_name.py --app PAINS_APP --lovage LOVAGE [SCENARIO...]`. It ends with 0 when all its figures hold,
with 1 and a line FAILED when one does not, with 2 when something that it needs is missing, with 77 when all held that
this machine lets run. LOVAGE_TEST_LONG=1 makes it run with the figures of docs/reliability.md.
"""

import argparse
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "..", "interop"))

try:
    import redis
except ImportError:
    print("python3-redis is missing: tools/install-packages test")
    sys.exit(2)

from matrix import free_port  # noqa: E402: from the folder just added

LONG = os.environ.get("LOVAGE_TEST_LONG", "") not in ("", "0")
WAIT = 60
_arguments = None


def arguments():
    global _arguments
    if _arguments is None:
        parser = argparse.ArgumentParser()
        parser.add_argument("--app", required=True, type=os.path.abspath)
        parser.add_argument("--lovage", required=True, type=os.path.abspath)
        parser.add_argument("--wall-clock", type=os.path.abspath, help="the library that moves a program's clock")
        parser.add_argument("scenarios", nargs="*", help="the names of those to run; none: all")
        _arguments = parser.parse_args()
    return _arguments


class NotHere(Exception):
    """This machine does not let the scenario run: the test counts as skipped, unless another scenario fails."""


def check(condition, what):
    if not condition:
        raise SystemExit(f"FAILED: {what}")


def until(condition, what, seconds=WAIT, every=0.02):
    """Asks again and again, because nobody tells of changes in files and stores. Returns how long it took."""
    begin = time.monotonic()
    while not condition():
        if time.monotonic() > begin + seconds:
            raise SystemExit(f"FAILED: {what} did not happen within {seconds} s")
        time.sleep(every)
    return time.monotonic() - begin


def tree(pid):
    """The process and its descendants."""
    pids = [pid]
    for each in pids:
        with contextlib.suppress(OSError), open(f"/proc/{each}/task/{each}/children", encoding="ascii") as file:
            pids += map(int, file.read().split())
    return pids


def memory_kib(pids, field):
    """The sum of a field of smaps_rollup over the processes. (Pss changes with whoever else runs the program.)"""
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError), open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
            total += sum(int(line.split()[1]) for line in file if line.startswith(field + ":"))
    return total


class RedisServer:
    """With an append-only file, so that it may be killed and started again. Each write is in it before it is answered:
    by `everysec` a server whose disk is busy answers up to two seconds of writes that a kill -9 loses.
    """

    def __init__(self, folder, *options):
        self.port = free_port()
        self.command = ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", folder,
                        "--appendonly", "yes", "--appendfsync", "always", *options]
        self.environment = {}
        self.start()

    def start(self):
        self.process = subprocess.Popen(self.command, env={**os.environ, **self.environment}, stdout=subprocess.DEVNULL)
        until(self.answers, "redis-server's answer")

    def answers(self):
        with contextlib.suppress(redis.RedisError):
            return self.client().ping()
        return False

    def client(self, db=0):
        return redis.Redis(host="127.0.0.1", port=self.port, db=db)

    def stop(self, with_signal=signal.SIGTERM):
        self.process.send_signal(with_signal)
        self.process.wait()


class Worker:
    """A process in a session of its own, from when it is ready until TERM has ended it (or it was killed).

    Lovage's workers tell NOTIFY_SOCKET that they are ready, Celery's their log.
    """

    def __init__(self, scene, name, command, environment):
        self.log_path = scene.path(f"{name}.log")
        address = scene.path(f"{name}.notify")
        with contextlib.suppress(FileNotFoundError):
            os.unlink(address)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notified:
            notified.bind(address)
            notified.setblocking(False)
            with open(self.log_path, "w", encoding="utf-8") as log:
                self.process = subprocess.Popen(command, env={**environment, "NOTIFY_SOCKET": address}, cwd=HERE,
                                                stdout=log, stderr=log, start_new_session=True)

            def ready():
                with contextlib.suppress(BlockingIOError):
                    if b"READY=1" in notified.recv(4096):
                        return True
                return "ready." in self.log() or self.process.poll() is not None

            until(ready, f"the start of {name}")
        check(self.process.poll() is None, f"{name} did not start:\n{self.log()}")

    @property
    def pid(self):
        return self.process.pid

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as file:
            return file.read()

    def children(self):
        """The processes that run tasks: those of the fork server."""
        return tree(self.pid)[2:]

    def signal(self, number):
        self.process.send_signal(number)

    def kill(self):
        """kill -9 of all its processes at once."""
        for pid in tree(self.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()

    def stop(self):
        if self.process.poll() is None:
            self.signal(signal.SIGTERM)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.kill()
                raise SystemExit(f"FAILED: no end on TERM:\n{self.log()[-3000:]}") from None


class Published:
    """What is published of results from now on (Redis), each once."""

    def __init__(self, scene):
        self.subscription = scene.server.client().pubsub()
        self.subscription.psubscribe("celery-task-meta-*")
        until(lambda: (self.subscription.get_message() or {}).get("type") == "psubscribe", "the subscription")

    def next(self, seconds):
        """The next result's meta, or None when none comes in time."""
        deadline = time.monotonic() + seconds
        while (message := self.subscription.get_message(timeout=max(0, deadline - time.monotonic()))) is not None:
            # A worker that starts publishes an empty probe, to see whether it may.
            if message["type"] == "pmessage" and message["data"].startswith(b"{"):
                return json.loads(message["data"])
        return None


class Scene(contextlib.ExitStack):
    """A store of the test's own, and everything that works on it."""

    def __init__(self, engine="redis", *redis_options):
        super().__init__()
        self.engine = engine
        self.ids = []  # of the tasks that were sent: the audit explains each
        self.app = arguments().app
        self.folder = self.enter_context(tempfile.TemporaryDirectory(prefix="lovage-pains-"))
        if engine == "redis":
            self.server = RedisServer(self.folder, *redis_options)
            self.callback(self.server.stop)
            self.broker = f"redis://127.0.0.1:{self.server.port}/0"
            self.backend = f"redis://127.0.0.1:{self.server.port}/1"
        else:
            os.mkdir(self.path("store"))
            self.broker = self.backend = f"sqlite:///{self.path('store/pains.db')}"

    def path(self, name):
        return os.path.join(self.folder, name)

    def environment(self, **more):
        kept = {name: value for name, value in os.environ.items()
                if not name.startswith(("CELERY", "LOVAGE_")) and name not in ("PYTHONPATH", "VIRTUAL_ENV")}
        return {**kept, "CELERY_BROKER_URL": self.broker, "CELERY_RESULT_BACKEND": self.backend, **more}

    def worker_command(self, name, *options, settings=(), broker=None, quiet=False):
        """Its lease is short, so that the dead are found while the test lasts. A quiet one does not log each task."""
        command = [self.app, "worker", "-n", f"{name}@%h", "-l", "ERROR" if quiet else "INFO"]
        if broker:
            command += ["-b", broker]
        return [*command, *options, "--", "worker_lease=1.5", *settings]

    def worker(self, name, *options, environment=None, command=(), **more):
        """A Lovage worker that is ready; started by `command`, such as setpriv."""
        worker = Worker(self, name, [*command, *self.worker_command(name, *options, **more)],
                        self.environment(**(environment or {})))
        self.callback(worker.stop)
        return worker

    def celery_worker(self, name, *options, environment=None):
        """A Python worker with the same tasks (pains_celery.py). PAINS_PYTHON names another Python than Debian's."""
        python = os.environ.get("PAINS_PYTHON", "/usr/bin/python3")
        command = [python, "-m", "celery", "-A", "pains_celery", "worker", "-n", f"{name}@%h", "-l", "INFO"]
        worker = Worker(self, name, [*command, *options], self.environment(**(environment or {})))
        self.callback(worker.stop)
        return worker

    def start_client(self, *words, environment=None, command=(), stdin=None):
        """`command`: what it is started by, such as setpriv."""
        return subprocess.Popen([*command, self.app, *map(str, words)],
                                env=self.environment(**(environment or {})), stdin=stdin, stdout=subprocess.PIPE,
                                text=True)

    def client(self, *words, **more):
        """A client to its end: the lines that it printed."""
        process = self.start_client(*words, **more)
        out, _ = process.communicate(timeout=900)
        check(process.returncode == 0, f"client {words} ended with {process.returncode}")
        return out.splitlines()

    def send(self, task, count, file, milliseconds=0, *, priority=0, countdown=0, time_limit=0, soft_time_limit=0):
        ids = self.client("send", f"pains.{task}", count, self.path(file), milliseconds, priority, countdown,
                          time_limit, soft_time_limit)
        self.ids += ids
        return ids

    def lines(self, file):
        with contextlib.suppress(FileNotFoundError), open(self.path(file), encoding="utf-8") as opened:
            return opened.read().splitlines()
        return []

    def wait_lines(self, file, count, seconds=WAIT):
        return until(lambda: len(self.lines(file)) >= count, f"{count} lines in {file}", seconds)

    def lovage(self, *words, codes=(0,)):
        done = subprocess.run([arguments().lovage, *words], env=self.environment(), stdout=subprocess.PIPE, text=True,
                              timeout=WAIT, check=False)
        check(done.returncode in codes, f"lovage {words} ended with {done.returncode}: {done.stdout}")
        return done.stdout

    def queue(self):
        """ready, scheduled and reserved messages of the queue "celery"."""
        queues = {each["name"]: each for each in json.loads(self.lovage("list", "queues", "--json"))}
        return queues.get("celery", {"ready": 0, "scheduled": 0, "reserved": 0})

    def ready(self):
        """Messages that wait in the queue "celery": from Redis itself, in less time than lovage takes to start."""
        if self.engine == "redis":
            return self.server.client().llen("celery")
        return self.queue()["ready"]

    def wait_empty(self, seconds=WAIT):
        def empty():
            queue = self.queue()
            return queue["ready"] + queue["scheduled"] + queue["reserved"] == 0
        return until(empty, "an empty queue", seconds, every=0.3)

    def states(self, ids):
        """The stored states of tasks (Redis)."""
        client = self.server.client(1)
        out = []
        for first in range(0, len(ids), 1000):
            found = client.mget([f"celery-task-meta-{each}" for each in ids[first:first + 1000]])
            out += [json.loads(each)["status"] if each else None for each in found]
        return out

    def unexplained(self, ids):
        """The ids that `lovage audit` cannot account for: neither in one place nor done. It finds nothing else wrong."""
        path = self.path("sent ids")
        with open(path, "w", encoding="utf-8") as file:
            file.writelines(f"{each}\n" for each in ids)
        report = json.loads(self.lovage("audit", "--ids-from", path, "--json", codes=(0, 1)))
        other = [each for each in report["problems"] if each["kind"] != "unexplained"]
        check(not other, f"the audit's problems: {other}")
        return {each["id"] for each in report["problems"]}

    def account(self):
        """The end of every test: each task that was sent is in one place, or done."""
        unexplained = self.unexplained(self.ids)
        check(not unexplained, f"the audit cannot account for {unexplained}")

    def audit(self, seconds=WAIT):
        """The same where all is to be done by now: nothing waits, nothing is held, none died."""
        self.wait_empty(seconds)
        dead = json.loads(self.lovage("dlq", "list", "--json"))
        check(dead == [], f"dead letters: {dead}")
        self.account()


def run(*scenarios):
    wanted = arguments().scenarios
    unknown = set(wanted) - {scenario.__name__ for scenario in scenarios}
    check(not unknown, f"no such scenarios: {unknown}")
    skipped = False
    for scenario in scenarios:
        if wanted and scenario.__name__ not in wanted:
            continue
        begin = time.monotonic()
        try:
            scenario()
        except NotHere as reason:
            print(f"{scenario.__name__} was not run: {reason}", flush=True)
            skipped = True
            continue
        print(f"{scenario.__name__} holds ({time.monotonic() - begin:.1f} s)", flush=True)
    sys.exit(77 if skipped else 0)

"""Real Celery and Lovage with the same transport options on one redis-server.

Usage: transport_options.py --app INTEROP_APP [--python PYTHON ...]

For each PYTHON that has Celery: messages of a Celery worker that was killed come back by its visibility timeout, and
only where Lovage was told of it; priority_steps and sep mean the same lists on both sides; chords without an order are
counted by both.
"""

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time

import redis

from matrix import QUEUES, read, redis_server, running, version_of

HERE = os.path.dirname(os.path.abspath(__file__))
WAIT = 60


def until(condition, what):
    deadline = time.monotonic() + WAIT
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit(f"FAILED: {what} did not happen within {WAIT} s")
        time.sleep(0.02)


def check(condition, what):
    if not condition:
        raise SystemExit(f"FAILED: {what}")


def lines(path):
    with contextlib.suppress(FileNotFoundError), open(path, encoding="utf-8") as file:
        return file.read().split()
    return []


class Scene:
    def __init__(self, app, python, folder, port, options):
        self.app, self.python, self.folder, self.port = app, python, folder, port
        self.store = redis.Redis(host="127.0.0.1", port=port, db=0)
        self.environment = dict(os.environ)
        self.environment.pop("PYTHONPATH", None)
        self.environment.update(
            INTEROP_BROKER=f"redis://127.0.0.1:{port}/0",
            INTEROP_BACKEND=f"redis://127.0.0.1:{port}/1",
            INTEROP_TRANSPORT_OPTIONS=json.dumps(options),
            CELERY_BROKER_URL=f"redis://127.0.0.1:{port}/0",
            CELERY_RESULT_BACKEND=f"redis://127.0.0.1:{port}/1",
            LOVAGE_JSON_TYPES="5.2",
        )

    def lovage(self, options=None):
        own = {"LOVAGE_BROKER_TRANSPORT_OPTIONS": json.dumps(options or {}), "LOVAGE_WORKER_LEASE": "3"}
        return dict(self.environment, **own)

    def lovage_worker(self, name, options=None):
        command = [self.app, "worker", "-Q", QUEUES, "-c", "1", "-l", "INFO", "-n", f"{name}@%h"]
        return running(name, command, self.lovage(options), self.folder, "ready.")

    def celery_worker(self, name):
        command = [self.python, "-m", "celery", "-A", "pyapp", "worker", "-Q", QUEUES, "-c", "1", "-l", "INFO"]
        return running(name, command + ["-n", f"{name}@%h"], self.environment, self.folder, "ready.")

    def celery(self, program):
        command = [self.python, "-u", "-c", "import pyapp\n" + program]
        try:
            done = subprocess.run(
                command, env=self.environment, cwd=HERE, stdout=subprocess.PIPE, text=True, timeout=WAIT, check=True
            )
        except subprocess.SubprocessError as error:
            print(f"--- the client had said\n{error.output}")
            self.report()
            raise
        return done.stdout.strip()

    def lovage_says(self, options, *arguments):
        command = [self.app, *arguments]
        done = subprocess.run(
            command, env=self.lovage(options), stdout=subprocess.PIPE, text=True, timeout=WAIT, check=True
        )
        return done.stdout.strip()

    def report(self):
        """Prints what it takes to understand a failure afterwards: the workers' logs, and what the server holds."""
        for name in sorted(os.listdir(self.folder)):
            if name.endswith(".log"):
                print(f"--- {name}\n{read(os.path.join(self.folder, name))[-20_000:]}")
        reads = {
            b"string": lambda store, key: store.get(key),
            b"list": lambda store, key: store.lrange(key, 0, -1),
            b"set": lambda store, key: store.smembers(key),
            b"zset": lambda store, key: store.zrange(key, 0, -1, withscores=True),
            b"hash": lambda store, key: store.hgetall(key),
        }
        for db in (0, 1):
            store = redis.Redis(host="127.0.0.1", port=self.port, db=db)
            for key in sorted(store.keys()):
                kind = store.type(key)
                value = reads[kind](store, key) if kind in reads else kind
                print(f"--- db {db} {key.decode()} = {repr(value)[:2000]}")
        print("--- clients", *self.store.client_list(), sep="\n", flush=True)

    def sweeps(self):
        """How often a Lovage worker has had its turn at looking after others."""
        return self.store.info("commandstats").get("cmdstat_zrange", {"calls": 0})["calls"]


def killed_worker(app, python, folder, port):
    options = {"visibility_timeout": 2}
    scene = Scene(app, python, folder, port, options)
    ran = os.path.join(folder, "ran")
    # In a group of its own: kill -9 hits the worker and its pool at once.
    command = [python, "-m", "celery", "-A", "pyapp", "worker", "-Q", QUEUES, "-c", "1", "-n", "killed@%h"]
    with open(os.path.join(folder, "killed.log"), "w", encoding="utf-8") as log:
        worker = subprocess.Popen(
            command, env=scene.environment, cwd=HERE, stdout=log, stderr=log, start_new_session=True
        )
    try:
        task = scene.celery(f"print(pyapp.hold.delay({ran!r}).id)")
        until(lambda: lines(ran) == ["py"], "the task in Python")
    finally:
        os.killpg(worker.pid, signal.SIGKILL)
        worker.wait()
    check(scene.store.hlen("unacked") == 1, "the dead worker's message is in unacked")
    check(scene.store.llen("interop") == 0, "and nowhere else")
    delivered = scene.store.zrange("unacked_index", 0, -1, withscores=True)[0][1]
    until(lambda: time.time() > delivered + 3, "the end of the visibility timeout")

    with scene.lovage_worker("not-told"):
        turns = scene.sweeps() + 4
        until(lambda: scene.sweeps() >= turns, "the sweeper's turns")
        check(scene.store.hlen("unacked") == 1, "a worker without visibility_timeout leaves unacked alone")
        check(lines(ran) == ["py"], "and nothing runs")

    with scene.lovage_worker("told", options):
        answer = scene.celery(f"print(pyapp.app.AsyncResult({task!r}).get(timeout={WAIT}))")
        check(answer == "cpp", f"the task's result is {answer}")
        turns = scene.sweeps() + 4
        until(lambda: scene.sweeps() >= turns, "more turns")
        check(lines(ran) == ["py", "cpp"], f"it ran as {lines(ran)}")
    check(scene.store.hlen("unacked") == 0 and scene.store.zcard("unacked_index") == 0, "unacked is empty")


def priority_lists(app, python, folder, port):
    options = {"priority_steps": [0, 5], "sep": "|"}
    scene = Scene(app, python, folder, port, options)

    def waiting():
        return scene.store.llen("interop"), scene.store.llen("interop|5")

    ids = scene.celery("for p in (7, 4): print(pyapp.add.apply_async((p, 1), priority=p).id)").split()
    check(waiting() == (1, 1), f"Celery's messages wait in {scene.store.keys()}")
    counted = json.loads(scene.lovage_says(options, "list", "queues", "--json"))
    check({"interop": 2}.items() <= {each["name"]: each["ready"] for each in counted}.items(), f"lists {counted}")
    with scene.lovage_worker("steps", options):
        for task, sum_ in zip(ids, ("8", "5")):
            answer = scene.celery(f"print(pyapp.app.AsyncResult({task!r}).get(timeout={WAIT}))")
            check(answer == sum_, f"the result is {answer}")

    ids = []
    for priority in ("7", "4"):
        ids.append(scene.lovage_says(options, "call", "interop.add", "-a", f"[{priority}, 2]", "--priority", priority))
    check(waiting() == (1, 1), f"Lovage's messages wait in {scene.store.keys()}")
    check(scene.store.smembers("_kombu.binding.interop") == {b"interop||interop"}, "one binding, spelt by both")
    with scene.celery_worker("celery-steps"):
        for task, sum_ in zip(ids, ("9", "6")):
            answer = scene.celery(f"print(pyapp.app.AsyncResult({task!r}).get(timeout={WAIT}))")
            check(answer == sum_, f"the result is {answer}")
    scene.celery("pyapp.add.apply_async((1, 1), priority=9)")
    scene.lovage_says(options, "purge", "-f", "-Q", "interop")
    check(waiting() == (0, 0), "purged")


def unordered_chords(app, python, folder, port):
    scene = Scene(app, python, folder, port, {})
    options = json.dumps({"result_chord_ordered": False})
    scene.environment.update(INTEROP_RESULT_OPTIONS=options, LOVAGE_RESULT_BACKEND_TRANSPORT_OPTIONS=options)
    chords = f"""
from celery import chord
for _ in range(10):
    body = pyapp.app.signature("interop.echo")
    print(sum(chord([pyapp.add.s(i, i) for i in range(20)])(body).get(timeout={WAIT // 2})))
"""
    with scene.lovage_worker("cpp"), scene.celery_worker("py"):
        check(scene.celery(chords).split() == ["380"] * 10, "sums of chords whose parts both counted")
    counted = scene.store.info("commandstats")
    # A Lovage worker pushes the parts of one batch at once.
    check(counted["cmdstat_rpush"]["calls"] >= 10, f"parts were pushed: {counted['cmdstat_rpush']}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--app", required=True)
    parser.add_argument("--python", action="append", default=[])
    arguments = parser.parse_args()
    tried = 0
    for python in map(os.path.abspath, arguments.python):
        version = version_of(python)
        if version is None:
            print(f"{python} has no Celery: left out", flush=True)
            continue
        for scenario in (killed_worker, priority_lists, unordered_chords):
            with tempfile.TemporaryDirectory(prefix="lovage-options-") as folder, redis_server(folder) as port:
                scenario(os.path.abspath(arguments.app), python, folder, port)
            print(f"Celery {version[0]}: {scenario.__name__} holds", flush=True)
            tried += 1
    if tried == 0:
        print("no Python with Celery: install Debian's python3-celery and python3-redis")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())

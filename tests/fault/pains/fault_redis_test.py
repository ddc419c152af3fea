"""redis-server is killed (with and without its data), read-only, full, busy and stalled, while tasks are sent and run.

Each time: what was accepted runs, what was refused does not and says why, and no living worker is taken for dead.
"""

import contextlib
import os
import shutil
import signal
import socket
import threading
import time

from faults import Account, Sender
from pains import LONG, Scene, check, redis, run, until

LEASE = 1.5
OUTAGE = 20 if LONG else 3  # seconds, longer than the lease
DIED = ("missed heartbeat", "declared lost")
GONE = ("Connection refused", "closed by the server", "Connection reset", "Broken pipe", "LOADING", "not connected")


class Load:
    """Two workers, tasks that run all through the fault, and a sender."""

    def __init__(self, scene, long_ms, **sending):
        self.scene = scene
        self.workers = [scene.worker("one", "-c", "2"), scene.worker("two", "-c", "2", "-P", "threads")]
        self.ids = scene.send("mark", 2, "long", long_ms)
        scene.wait_lines("long", 2)
        self.sender = Sender(scene, "ran", **sending)
        self.sender.wait_sent(50)

    def account(self, title, *reasons):
        self.sender.wait_sent(50)
        account = Account(self.sender)
        print(f"{title}: {account}", flush=True)
        account.check_whole()
        account.check_reasons(*reasons)
        check(sorted(self.scene.lines("long")) == ["0", "1"], "what ran all the time started once")
        ids = self.ids + list(account.sent.values())
        check(set(self.scene.states(ids)) == {"SUCCESS"}, "every result is SUCCESS")
        for worker in self.workers:
            check(worker.process.poll() is None, f"a worker has ended:\n{worker.log()[-3000:]}")
            check(not any(words in worker.log() for words in DIED), "no living worker is taken for dead")


def killed_with_its_data():
    kills = 20 if LONG else 3
    with Scene() as scene:
        load = Load(scene, 3_000)
        for _ in range(kills):
            load.sender.wait_sent(100)
            scene.server.stop(signal.SIGKILL)
            scene.server.start()
        load.account(f"{kills} x kill -9, restarted with its append-only file", *GONE)


def killed_without_its_data():
    with Scene() as scene:
        workers = [scene.worker("one", "-c", "2"), scene.worker("two", "-c", "2", "-P", "threads")]
        before = scene.send("mark", 50, "before", 5_000)
        scene.wait_lines("before", 4)
        scene.server.stop(signal.SIGKILL)
        shutil.rmtree(os.path.join(scene.folder, "appendonlydir"))
        begin = time.monotonic()
        scene.server.start()
        for worker in workers:
            until(lambda: "came back without its data" in worker.log(), f"it said: {worker.log()}", 20)
        took = time.monotonic() - begin
        after = scene.send("mark", 50, "after")
        scene.wait_lines("after", 50)
        workers[1].kill()  # its threads cannot be stopped, their tasks belong to nobody
        scene.ids = after
        scene.audit()
        check(sorted(map(int, scene.lines("after"))) == list(range(50)), "what was sent afterwards ran once")
        missing = scene.unexplained(before + after)
        check(missing == set(before), "the audit names what the server has lost, and nothing else")
        print(f"restarted without its data: said within {took:.1f} s, {len(after)} sent afterwards all ran; of the "
              f"{len(before)} sent before, the audit says that {len(missing)} are nowhere", flush=True)


def outage(title, begin, end, *reasons, refused=3, options=(), **sending):
    with Scene("redis", *options) as scene:
        load = Load(scene, int(OUTAGE * 700), **sending)
        client = scene.server.client()
        started = time.monotonic()
        begin(client)
        load.sender.wait_refused(refused)
        until(lambda: time.monotonic() > started + OUTAGE, "the end of the fault", OUTAGE + 10)
        end(client)
        load.account(f"{title} for {OUTAGE} s", *reasons)


def read_only_replica():
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # and nobody listens
        outage("a read-only replica", lambda client: client.replicaof("127.0.0.1", nobody.getsockname()[1]),
               lambda client: client.replicaof("NO", "ONE"), "READONLY", "replica")


def too_few_replicas():
    outage("refusing writes for want of replicas", lambda client: client.config_set("min-replicas-to-write", 1),
           lambda client: client.config_set("min-replicas-to-write", 0), "NOREPLICAS")


def busy():
    """Somebody's script that does not end: the server answers BUSY to everything."""
    running = None

    def never_ends(client):
        nonlocal running
        client.config_set("lua-time-limit", 50)

        def evaluate():
            with contextlib.suppress(redis.RedisError):
                client.eval("while true do end", 0)

        running = threading.Thread(target=evaluate)
        running.start()

    def kill(client):
        client.script_kill()
        running.join()

    outage("busy with another's script", never_ends, kill, "BUSY")


def stalled():
    outage("stalled", lambda client: client.execute_command("DEBUG", "SLEEP", OUTAGE), lambda client: None,
           "timed out", "in time", refused=0, options=("--enable-debug-command", "local"), timeout=1)


def out_of_memory():
    waiting = 4_000 if LONG else 400
    with Scene() as scene:
        ids = scene.send("mark", waiting, "ran", 5)
        client = scene.server.client()
        worker = scene.worker("worker", "-c", "2", quiet=True)
        scene.wait_lines("ran", 10)
        client.config_set("maxmemory", 1)
        sender = Sender(scene, "sent", first=waiting)
        sender.wait_refused(3)
        scene.wait_empty(600)
        check(not sender.ids["sent"], "nothing is accepted by a full server")
        client.config_set("maxmemory", 0)
        sender.wait_sent(50)
        account = Account(sender)
        print(f"out of memory: all {waiting} waiting tasks drained; {account}", flush=True)
        account.check_whole()
        account.check_reasons("OOM")
        check(sorted(map(int, scene.lines("ran"))) == list(range(waiting)), "each waiting task ran once")
        check(set(scene.states(ids)) == {"SUCCESS"}, "and its result is kept")
        check("settle" not in worker.log(), f"no settlement is refused:\n{worker.log()[-2000:]}")


if __name__ == "__main__":
    run(killed_with_its_data, killed_without_its_data, read_only_replica, too_few_replicas, busy, stalled,
        out_of_memory)

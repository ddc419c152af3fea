"""SQLite's file locked by another program, read-only, and on a disk that is full; Redis' append-only file on a full one:
while tasks are sent and run."""

import contextlib
import os
import sqlite3
import subprocess
import sys
import tempfile
import time

from faults import Account, Sender, as_nobody
from pains import LONG, NotHere, Scene, arguments, check, run, until

LEASE = 1.5
OUTAGE = 20 if LONG else 3  # seconds, longer than the lease
MIB = 1024 * 1024
MOUNT = ("mount", "-t", "tmpfs", "-o", "size=4m", "none")
DIED = ("missed heartbeat", "declared lost")


class Load:
    """Two workers, a task that runs all through the fault, and a sender."""

    def __init__(self, scene, **sending):
        self.scene = scene
        self.workers = [scene.worker("one", "-c", "1"), scene.worker("two", "-c", "1", "-P", "threads")]
        scene.send("mark", 2, "long", int(OUTAGE * 700))
        scene.wait_lines("long", 2)
        self.sender = Sender(scene, "ran", timeout=1, **sending)
        self.sender.wait_sent(20)

    def account(self, title, *reasons):
        self.sender.wait_sent(20)
        account = Account(self.sender)
        print(f"{title}: {account}", flush=True)
        account.check_whole()
        account.check_reasons(*reasons)
        check(sorted(self.scene.lines("long")) == ["0", "1"], "what ran all the time started once")
        for worker in self.workers:
            check(worker.process.poll() is None, f"a worker has ended:\n{worker.log()[-3000:]}")
            check(not any(words in worker.log() for words in DIED), "no living worker is taken for dead")


@contextlib.contextmanager
def small_disk(folder):
    """4 MiB, mounted on the folder where this process and those that it starts alone see it."""
    subprocess.run([*MOUNT, folder], check=True)
    yield
    subprocess.run(["umount", "--lazy", folder], check=True)


def with_own_mounts(scenario):
    """Runs the scenario in a program of its own, which has mounts of its own. True: this is that program."""
    if "PAINS_OWN_MOUNTS" in os.environ:
        return True
    unshare = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--map-root-user", "--mount"]
    with tempfile.TemporaryDirectory(prefix="lovage-disk-") as folder:
        if subprocess.run([*unshare, *MOUNT, folder], check=False).returncode != 0:
            raise NotHere("a full disk wants a small file system, mounted where nobody else sees it: by root, or by a "
                          "user where users may have namespaces")
    options = ["--app", arguments().app, "--lovage", arguments().lovage, scenario]
    done = subprocess.run([*unshare, sys.executable, os.path.abspath(__file__), *options],
                          env={**os.environ, "PAINS_OWN_MOUNTS": "1"}, check=False)
    check(done.returncode == 0, scenario)
    return False


def fill_up(folder, sender):
    """To the last byte, and again whenever there is room, for the length of the fault; some sends are refused."""
    begin, ballast = time.monotonic(), os.path.join(folder, "ballast")
    with open(ballast, "wb", buffering=0) as file:
        def filled_up():
            for size in (MIB, 4096, 1):
                with contextlib.suppress(OSError):
                    while file.write(b"x" * size) == size:
                        pass
            return len(sender.reasons) >= 3 and time.monotonic() > begin + OUTAGE

        until(filled_up, "refused sends", 60 + OUTAGE, every=0.01)
    os.unlink(ballast)


def sqlite_on_a_full_disk():
    if not with_own_mounts("sqlite_on_a_full_disk"):
        return
    with Scene("sqlite") as scene:
        scene.enter_context(small_disk(scene.path("store")))
        load = Load(scene)
        fill_up(scene.path("store"), load.sender)
        load.account(f"SQLite's disk full for {OUTAGE} s", "is full")


def redis_on_a_full_disk():
    if not with_own_mounts("redis_on_a_full_disk"):
        return
    with tempfile.TemporaryDirectory(prefix="lovage-disk-") as folder, small_disk(folder), \
            Scene("redis", "--dir", folder, "--appendfsync", "everysec") as scene:  # by "always" the server ends itself
        load = Load(scene)
        fill_up(folder, load.sender)
        load.account(f"Redis' disk full for {OUTAGE} s", "MISCONF")


def locked():
    """Another program writes for longer than the lease and lets nobody in."""
    with Scene("sqlite") as scene:
        load = Load(scene)
        other = sqlite3.connect(scene.path("store/pains.db"), timeout=30, isolation_level=None)
        begin = time.monotonic()
        other.execute("BEGIN IMMEDIATE")
        load.sender.wait_refused(2)
        until(lambda: time.monotonic() > begin + OUTAGE, "the end of the fault", OUTAGE + 10)
        other.execute("ROLLBACK")
        other.close()
        load.account(f"locked by another program for {OUTAGE} s", "another program holds its lock",
                     "another process holds its write lock")


def read_only():
    """A file that another user's worker and sender may read alone: both say so, and go on when they may write."""
    store = "store/pains.db"
    with Scene("sqlite") as scene:
        nobody = as_nobody(scene)
        os.chmod(scene.path("store"), 0o777)
        ids = scene.send("mark", 20, "ran")
        files = [scene.path("store/" + name) for name in os.listdir(scene.path("store"))]
        for file in files:
            os.chmod(file, 0o444 if file == scene.path(store) else 0o666)
        sender = Sender(scene, "sent", first=20, timeout=1, command=nobody)
        sender.wait_refused(3)
        refusing = subprocess.run([*nobody, *scene.worker_command("refused")], env=scene.environment(), timeout=60,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        check(refusing.returncode not in (0, -6, -11) and "read-only" in refusing.stdout,
              f"a worker says why it cannot start: {refusing.returncode} {refusing.stdout}")
        check(not sender.ids["sent"], "nothing is accepted")
        for file in files:
            os.chmod(file, 0o666)
        scene.worker("worker", "-c", "2", command=nobody)
        sender.wait_sent(20)
        account = Account(sender)
        print(f"read-only: a worker did not start, exit code {refusing.returncode}; {account}; all {len(ids)} tasks "
              "that were there ran", flush=True)
        account.check_whole()
        account.check_reasons("read-only")
        check(sorted(map(int, scene.lines("ran"))) == list(range(20)), "what was there ran once")


if __name__ == "__main__":
    run(locked, read_only, sqlite_on_a_full_disk, redis_on_a_full_disk)

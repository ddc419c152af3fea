"""The wall clock is put forward and back, the worker's and the server's: leases do not care, and etas are due by the
server's clock. (wall_clock.cpp, preloaded, moves a program's clock.)"""

import os
import sys
import time

from faults import Account, Sender
from pains import LONG, Scene, arguments, check, run, until

LEASE = 1.5
JUMP = 3600
COUNTDOWN = 4
DIED = ("missed heartbeat", "declared lost")


class WallClock:
    """The wall clock of the programs that have this environment; the monotonic one stays what it is."""

    def __init__(self, scene, name):
        self.path = scene.path(name + ".clock")
        with open(self.path, "wb") as file:
            file.write(bytes(8))
        self.environment = {"LD_PRELOAD": arguments().wall_clock, "PAINS_WALL_CLOCK": self.path}

    def set(self, seconds):
        with open(self.path, "r+b", buffering=0) as file:
            file.write(seconds.to_bytes(8, sys.byteorder, signed=True))


def jump(scene, clock, workers, sender):
    """Forward, and back beyond where it was, each for three leases; tasks run all the time."""
    jumps = (JUMP, -JUMP, 86_400, -86_400, 0) * 3 if LONG else (JUMP, -JUMP)
    scene.send("mark", 4, "long", len(jumps) * 3_500)
    scene.wait_lines("long", 4)
    for seconds in jumps:
        clock.set(seconds)
        sender.wait_sent(50)
        begin = time.monotonic()
        until(lambda: time.monotonic() > begin + 2 * LEASE, "two leases")
    account = Account(sender)
    account.check_whole()
    check(sorted(scene.lines("long")) == list("0123"), f"what ran all the time started once: {scene.lines('long')}")
    for worker in workers:
        check(not any(words in worker.log() for words in DIED), "no living worker is taken for dead")
    return account


def late(file, scene, sent):
    scene.wait_lines(file, 1)
    return os.stat(scene.path(file)).st_mtime - sent - COUNTDOWN


def worker_s_clock():
    with Scene() as scene:
        clock = WallClock(scene, "worker")
        workers = [scene.worker("jumping", "-c", "2", environment=clock.environment), scene.worker("steady", "-c", "2")]
        account = jump(scene, clock, workers, Sender(scene, "ran", pause_ms=20))
        print(f"a worker's clock put forward and back: {account}", flush=True)
        workers[1].stop()
        for seconds in (JUMP, -JUMP):
            clock.set(seconds)
            sent = time.time()
            scene.send("mark", 1, f"eta{seconds}", countdown=COUNTDOWN)
            after = late(f"eta{seconds}", scene, sent)
            calls = scene.server.client().info("commandstats")["cmdstat_zadd"]["calls"]
            print(f"countdown of {COUNTDOWN} s, worker's clock {seconds:+d} s: run {after:+.2f} s after its time, "
                  f"{calls} times scheduled so far", flush=True)
            check(-0.1 <= after < 1, "it is due by the server's clock")
            check(calls < 50, "it is not scheduled again and again")
        scene.audit()


def server_s_clock():
    with Scene() as scene:
        clock = WallClock(scene, "server")
        scene.server.environment = clock.environment
        scene.server.stop()
        scene.server.start()
        keep = ["result_expires=1000000"]  # so that the jumps expire no results
        workers = [scene.worker(name, "-c", "2", settings=keep) for name in ("one", "two")]
        account = jump(scene, clock, workers, Sender(scene, "ran", pause_ms=20))
        print(f"the server's clock put forward and back: {account}", flush=True)
        # Whoever held the sweepers' lock dies just after the server's clock is put back.
        clock.set(-JUMP)
        scene.send("mark", 1, "held", 3_000)
        scene.wait_lines("held", 1)
        scene.worker("heir", "-c", "4", settings=keep)
        for worker in workers:
            worker.kill()
        again = scene.wait_lines("held", 2)
        print(f"both workers killed after it was put back: their task started again after {again:.1f} s", flush=True)
        check(again <= LEASE * 5 / 3 + 2, "as soon as with a steady clock")
        clock.set(0)
        scene.send("mark", 1, "eta", countdown=86_400)
        until(lambda: scene.queue()["scheduled"] == 1, "the schedule")
        clock.set(86_400)
        began = scene.wait_lines("eta", 1)
        print(f"an eta a day away: run {began:.2f} s after the server's clock was put forward by a day", flush=True)
        scene.audit()
        check(len(scene.lines("held")) == 2 and len(scene.lines("eta")) == 1, "no more starts than that")


if __name__ == "__main__":
    run(worker_s_clock, server_s_clock)

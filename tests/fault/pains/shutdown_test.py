"""TERM while long tasks run and others are prefetched: these are for others at once, and the second TERM ends all.

As an orchestrator with a grace period of 10 s does it to tasks of 60 s.
"""

import random
import signal
import time

from pains import LONG, Scene, check, run, until

GRACE = 10
TASKS = 12
CONCURRENCY = 2


def ends_in_time(engine):
    with Scene(engine) as scene:
        for number in range(50 if LONG else 2):
            scene.send("mark", TASKS, f"round{number}", 60_000)
            # With the usual lease: what a worker forgot would not come back while the test lasts.
            worker = scene.worker("worker", "-c", str(CONCURRENCY), "--prefetch-multiplier", "4",
                                  settings=["worker_lease=15"])
            scene.wait_lines(f"round{number}", CONCURRENCY)
            time.sleep(random.uniform(0, 0.2))  # the random point
            begin = time.monotonic()
            worker.signal(signal.SIGTERM)
            until(lambda: scene.ready() == TASKS - CONCURRENCY, "prefetched messages given back", GRACE)
            given_back = time.monotonic() - begin
            check(worker.process.poll() is None, "the first TERM lets tasks finish")
            worker.signal(signal.SIGTERM)
            worker.process.wait(GRACE)
            ended = time.monotonic() - begin
            left = scene.queue()
            print(f"{engine}: given back after {given_back:.2f} s, ended after {ended:.2f} s", flush=True)
            check(ended < GRACE, f"it took {ended:.1f} s")
            check((left["ready"], left["reserved"]) == (TASKS, 0), f"not everything is back: {left}")
            scene.lovage("purge", "-f", "-Q", "celery")
        scene.audit()


def redis():
    ends_in_time("redis")


def sqlite():
    ends_in_time("sqlite")


if __name__ == "__main__":
    run(redis, sqlite)

"""TERM while long tasks run and others are prefetched: these are for others at once, and the running ones too when
worker_warm_shutdown_timeout has passed, or at a second TERM.

As an orchestrator with a grace period of 10 s does it to tasks of 60 s.
"""

import random
import signal
import time

from pains import LONG, Scene, check, run, until

GRACE = 10
TASKS = 12
CONCURRENCY = 2
WARM = 2  # seconds that running tasks have


def ends_in_time(engine):
    with Scene(engine) as scene:
        for number in range(50 if LONG else 2):
            alone = number % 2 == 1  # one TERM and the limit, or two TERMs and none
            scene.send("mark", TASKS, f"round{number}", 60_000)
            # With the usual lease: what a worker forgot would not come back while the test lasts.
            worker = scene.worker("worker", "-c", str(CONCURRENCY), "--prefetch-multiplier", "4",
                                  settings=["worker_lease=15",
                                            f"worker_warm_shutdown_timeout={WARM if alone else 0}"])
            scene.wait_lines(f"round{number}", CONCURRENCY)
            time.sleep(random.uniform(0, 0.2))  # the random point
            begin = time.monotonic()
            worker.signal(signal.SIGTERM)
            until(lambda: scene.ready() == TASKS - CONCURRENCY, "prefetched messages given back", GRACE)
            given_back = time.monotonic() - begin
            check(worker.process.poll() is None, "the first TERM lets tasks finish")
            if not alone:
                worker.signal(signal.SIGTERM)
            worker.process.wait(GRACE)
            ended = time.monotonic() - begin
            left = scene.queue()
            how = f"one TERM, limit of {WARM} s" if alone else "two TERMs"
            print(f"{engine}, {how}: given back after {given_back:.2f} s, ended after {ended:.2f} s", flush=True)
            check((WARM if alone else 0) <= ended < GRACE, f"it took {ended:.1f} s")
            check(worker.process.returncode == 0, f"exit code {worker.process.returncode}")
            check((left["ready"], left["reserved"]) == (TASKS, 0), f"not everything is back: {left}")
            scene.account()
            scene.lovage("purge", "-f", "-Q", "celery")
            scene.ids.clear()
        scene.audit()


def redis():
    ends_in_time("redis")


def sqlite():
    ends_in_time("sqlite")


if __name__ == "__main__":
    run(redis, sqlite)

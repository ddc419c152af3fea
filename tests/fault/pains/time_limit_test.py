"""The hard time limit ends tasks that do not co-operate: a busy loop, a blocked system call, a deaf soft limit."""

import os
import statistics
import time

from pains import LONG, Published, Scene, check, run, until

LIMIT = 0.7
TOLERANCE = 0.2 if LONG else 0.5  # the short form runs beside other tests
CONCURRENCY = 2
KINDS = {"busy loop": ("compute", 0), "blocked system call": ("block", 0), "deaf to the soft limit": ("compute", 200)}


def hard_limits():
    with Scene() as scene:
        published = Published(scene)
        worker = scene.worker("worker", "-c", str(CONCURRENCY))
        children = len(worker.children())
        for title, (task, soft) in KINDS.items():
            late = []
            for number in range(20 if LONG else 3):
                file = f"{task}{soft}{number}"
                scene.send(task, 1, file, 30_000, time_limit=int(LIMIT * 1000), soft_time_limit=soft)
                meta = published.next(30)
                check(meta is not None, f"no end of {title} within 30 s")
                late.append(time.time() - os.stat(scene.path(file)).st_mtime - LIMIT)
                check((meta["result"] or {}).get("exc_type") == "TimeLimitExceeded", f"{title} ended with {meta}")
            print(f"{title}: ended {statistics.median(late) * 1000:+.0f} ms after its limit (median), "
                  f"{max(late) * 1000:+.0f} at worst", flush=True)
            # The best of a few: what the machine is busy with beside this test is not the limit's.
            check(abs(min(late)) <= TOLERANCE, f"{title} is not within {TOLERANCE} s of its limit: {late}")
            check(max(late) <= 2, f"{title} ended long after its limit: {late}")
            until(lambda: len(worker.children()) == children, "the pool's size")
        scene.send("mark", CONCURRENCY * 5, "after", 1)
        scene.wait_lines("after", CONCURRENCY * 5)
        scene.audit()


if __name__ == "__main__":
    run(hard_limits)

"""kill -9 of a worker with all its processes, over and over, while it drains a queue: nothing is lost.

The program by which real Celery lost 6 to 8 of 6,000 tasks in 14 kills (docs/reliability.md).
"""

import random
import time

from pains import LONG, Scene, check, run, until

CONCURRENCY = 2
TASK_MS = 1


def killed(engine, tasks, kills):
    with Scene(engine) as scene:
        ids = scene.send("mark", tasks, "ran", TASK_MS)
        held = 0
        for _ in range(kills):
            worker = scene.worker("killed", "-c", str(CONCURRENCY))
            before = len(scene.lines("ran"))
            until(lambda: len(scene.lines("ran")) > before, "work after the start")
            time.sleep(random.uniform(0.05, 0.25))  # the random point
            worker.kill()
            held += scene.queue()["reserved"]
        left = scene.queue()
        check(left["ready"] + left["reserved"] > 0, "the last kill came while there was work")
        scene.worker("last", "-c", str(CONCURRENCY))
        scene.audit(seconds=600)
        ran = [int(line) for line in scene.lines("ran")]
        lost = tasks - len(set(ran))
        twice = len(ran) - len(set(ran))
        print(f"{engine}: kills={kills} published={tasks} LOST={lost} run again={twice}", flush=True)
        check(lost == 0, f"{lost} tasks were lost")
        check(twice <= held, f"{twice} tasks ran again, {held} were held by workers at their deaths")
        if engine == "redis":
            check(set(scene.states(ids)) == {"SUCCESS"}, "every result is SUCCESS")


def redis():
    killed("redis", *((6_000, 14) if LONG else (600, 5)))


def sqlite():
    killed("sqlite", *((2_000, 14) if LONG else (300, 3)))


if __name__ == "__main__":
    run(redis, sqlite)

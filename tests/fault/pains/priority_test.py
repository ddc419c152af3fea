"""1,000 tasks of low priority, then one of high: it is the next to start, but for what was taken already."""

from pains import Scene, check, run

TASK_MS = 40  # longer than what the look-ahead is for, so one runs and one is reserved
HELD = 2


def next_to_start(engine):
    with Scene(engine) as scene:
        scene.send("mark", 1_000, "ran", TASK_MS, priority=9)
        scene.worker("worker", "-c", "1")
        scene.wait_lines("ran", 5)
        scene.send("mark", 1, "high", TASK_MS, priority=0)
        sent_after = len(scene.lines("ran"))
        scene.wait_lines("high", 1)
        between = len(scene.lines("ran")) - sent_after
        print(f"{engine}: {between} of {1_000 - sent_after} waiting low ones started before the high one", flush=True)
        check(between <= HELD, f"{between} started before it, {HELD} were held")
        scene.account()
        scene.lovage("purge", "-f", "-Q", "celery")


def redis():
    next_to_start("redis")


def sqlite():
    next_to_start("sqlite")


if __name__ == "__main__":
    run(redis, sqlite)

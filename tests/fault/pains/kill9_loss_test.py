"""kill -9 of a worker with all its processes, over and over, while it drains a queue: nothing is lost.

The long form does the same to Celery's worker and says what that loses, with early and with late acknowledgement.
"""

import random
import time

from pains import LONG, Scene, check, run, until

CONCURRENCY = 2
TASK_MS = 1  # a worker as fast as Lovage's would otherwise be done before the last kill


def kill_over_and_over(scene, kills, start):
    """Starts a worker, lets it work for a random while, kills it: `kills` times. Returns how much they all held."""
    held = 0
    for _ in range(kills):
        worker = start("killed")
        before = len(scene.lines("ran"))
        until(lambda: len(scene.lines("ran")) > before, "work after the start")
        time.sleep(random.uniform(0.05, 0.25))  # the random point
        worker.kill()
        held += scene.queue()["reserved"]
    return held


def outcome(scene, title, kills, tasks):
    ran = [int(line) for line in scene.lines("ran")]
    lost = tasks - len(set(ran))
    twice = len(ran) - len(set(ran))
    print(f"{title}: kills={kills} published={tasks} LOST={lost} run again={twice}", flush=True)
    return lost, twice


def killed(engine, tasks, kills):
    with Scene(engine) as scene:
        ids = scene.send("mark", tasks, "ran", TASK_MS)
        held = kill_over_and_over(scene, kills, lambda name: scene.worker(name, "-c", str(CONCURRENCY)))
        left = scene.queue()
        check(left["ready"] + left["reserved"] > 0, "the last kill came while there was work")
        scene.worker("last", "-c", str(CONCURRENCY))
        scene.audit(seconds=600)
        lost, twice = outcome(scene, engine, kills, tasks)
        check(lost == 0, f"{lost} tasks were lost")
        check(twice <= held, f"{twice} tasks ran again, {held} were held by workers at their deaths")
        if engine == "redis":
            check(set(scene.states(ids)) == {"SUCCESS"}, "every result is SUCCESS")


def redis():
    killed("redis", *((6_000, 14) if LONG else (600, 5)))


def sqlite():
    killed("sqlite", *((2_000, 14) if LONG else (300, 3)))


def celery():
    """What is compared with: its losses are printed, and are nobody's failure here."""
    for late in ("0", "1") if LONG else ():
        with Scene() as scene:
            def start(name):
                options = ("-c", str(CONCURRENCY), "--without-gossip", "--without-mingle", "--without-heartbeat")
                return scene.celery_worker(name, *options, environment={"PAINS_VISIBILITY_TIMEOUT": "8",
                                                                        "PAINS_ACKS_LATE": late})
            scene.send("mark", 6_000, "ran", TASK_MS)
            kill_over_and_over(scene, 14, start)
            start("last")
            client = scene.server.client()
            seen, since = 0, time.monotonic()
            while client.llen("celery") + client.zcard("unacked_index") > 0 and time.monotonic() < since + 45:
                if len(scene.lines("ran")) > seen:  # it still does something
                    seen, since = len(scene.lines("ran")), time.monotonic()
                time.sleep(0.5)
            time.sleep(2)  # what was taken last
            left = client.llen("celery"), client.zcard("unacked_index")
            print(f"left in the queue {left[0]}, unacknowledged {left[1]}", flush=True)
            outcome(scene, f"Celery, {'late' if late == '1' else 'early'} acknowledgement", 14, 6_000)


if __name__ == "__main__":
    run(redis, sqlite, celery)

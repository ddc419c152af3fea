"""Long tasks and tasks with an ETA in a fleet with short visibility timeouts: each starts once.

The long form does the same to three of Celery's workers and says how often they start a long task.
"""

import time

from pains import LONG, Scene, check, run, until

TIMEOUT = 4
LEASE = 3
WAIT_MORE = 60


def starts_of_a_long_task(title, start, task_s):
    """Of three workers' alike, whose visibility timeout is shorter than the task."""
    with Scene() as scene:
        for number in range(3):
            start(scene, f"worker{number}")
        scene.send("mark", 1, "ran", task_s * 1000)
        scene.wait_lines("ran", 1)
        begin = time.monotonic()
        until(lambda: time.monotonic() > begin + task_s + 3 * TIMEOUT, "some more visibility timeouts", 2 * WAIT_MORE)
        starts = len(scene.lines("ran"))
        print(f"{title}: a task of {task_s} s, visibility timeout {TIMEOUT} s, 3 workers: {starts} starts", flush=True)
        if title == "Lovage":
            scene.audit()
        return starts


def long_task():
    options = ['broker_transport_options={"visibility_timeout": %d}' % TIMEOUT]
    starts = starts_of_a_long_task("Lovage", lambda scene, name: scene.worker(name, "-c", "1", settings=options),
                                   25 if LONG else 6)
    check(starts == 1, f"{starts} starts")


def celery():
    """What is compared with: its starts are printed, and are nobody's failure here."""
    if LONG:
        starts_of_a_long_task("Celery", lambda scene, name: scene.celery_worker(
            name, "-c", "1", environment={"PAINS_VISIBILITY_TIMEOUT": str(TIMEOUT)}), 25)


def mixed_cluster():
    task_s = 60 if LONG else 12
    short = {"PAINS_VISIBILITY_TIMEOUT": str(TIMEOUT)}
    with Scene() as scene:
        ours = scene.worker("ours", "-c", "1", settings=[f"worker_lease={LEASE}"])
        scene.send("mark", 1, "ran", task_s * 1000)
        scene.wait_lines("ran", 1)
        begin = time.monotonic()
        pythons = [scene.celery_worker(f"python{number}", "-c", "1", environment=short) for number in range(2)]
        # They take part: those that are idle run what is sent, and look for messages to restore.
        until(lambda: scene.send("mark", 1, "theirs") and scene.lines("theirs.python"), "a task in Python", every=0.5)

        def looks():
            return scene.server.client().info("commandstats").get("cmdstat_zrevrangebyscore", {"calls": 0})["calls"]

        until(lambda: time.monotonic() > begin + 2 * TIMEOUT, "two visibility timeouts")
        seen = looks()
        until(lambda: looks() >= seen + 2, "Python workers that look for messages to restore")
        until(lambda: scene.queue()["reserved"] == 0, "the long task's end", task_s + WAIT_MORE, every=0.3)
        check(len(scene.lines("ran")) == 1, f"it started {len(scene.lines('ran'))} times")
        print(f"a task of {task_s} s beside 2 Python workers, visibility timeout {TIMEOUT} s: 1 start", flush=True)

        for python in pythons:
            python.stop()
        scene.send("mark", 1, "killed", task_s * 1000)
        scene.wait_lines("killed", 1)
        heir = scene.worker("heir", "-c", "1", settings=[f"worker_lease={LEASE}"])
        ours.kill()
        again = scene.wait_lines("killed", 2)
        print(f"kill -9: started again after {again:.1f} s with a lease of {LEASE} s", flush=True)
        heir.kill()
        check(again <= LEASE * 5 / 3 + 2, "within four ticks of a third of the lease, and a little")


def eta():
    timeout, countdown = (5, 240) if LONG else (1, 6)
    with Scene() as scene:
        options = ['broker_transport_options={"visibility_timeout": %d}' % timeout]
        for number in range(3):
            scene.worker(f"worker{number}", "-c", "1", settings=options)
        sent = time.time()
        scene.send("mark", 3, "ran", countdown=countdown)
        scene.wait_lines("ran", 1, countdown + WAIT_MORE)
        late = time.time() - sent - countdown
        scene.audit()
        print(f"3 tasks with a countdown of {countdown} s, visibility timeout {timeout} s, 3 workers: "
              f"{len(scene.lines('ran'))} runs, first {late:.2f} s after its time", flush=True)
        check(sorted(scene.lines("ran")) == ["0", "1", "2"], f"they ran as {scene.lines('ran')}")
        check(late < 1, "within a second of its time")


if __name__ == "__main__":
    run(long_task, mixed_cluster, eta, celery)

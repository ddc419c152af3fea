"""kill -9 of a worker with all its processes, over and over, while it drains a queue: nothing is lost.

The long form does the same to Celery's worker and says what that loses, with early and with late acknowledgement.
"""

import random
import time

from pains import LONG, Scene, check, run, until

CONCURRENCY = 2
TASK_MS = 1  # a worker as fast as Lovage's would otherwise be done before the last kill


class Killing:
    """Starts a worker, lets it work for a random while, kills it: until `kills` of them came while there was work."""

    def __init__(self, scene, tasks, kills, start):
        self.scene, self.kills = scene, kills
        self.files = []
        self.held = 0  # messages that the workers held at their deaths
        self.send(tasks)
        came = 0
        while came < kills:
            worker = start("killed")
            before = len(self.ran())
            until(lambda: len(self.ran()) > before, "work after the start")
            time.sleep(random.uniform(0.05, 0.25))  # the random point
            worker.kill()
            left = scene.queue()
            self.held += left["reserved"]
            if left["ready"] + left["reserved"] > 0:
                came += 1
            else:  # it was done before its kill, which shows nothing
                self.send(tasks)

    def send(self, tasks):
        self.files.append(f"ran{len(self.files)}")
        self.scene.send("mark", tasks, self.files[-1], TASK_MS)

    def ran(self):
        return [(file, line) for file in self.files for line in self.scene.lines(file)]

    def outcome(self, title):
        """How many are lost, and how many starts were not the first."""
        ran = self.ran()
        published, once = len(self.scene.ids), len(set(ran))
        print(f"{title}: kills={self.kills} published={published} LOST={published - once} "
              f"run again={len(ran) - once}", flush=True)
        return published - once, len(ran) - once


def killed(engine, tasks, kills):
    with Scene(engine) as scene:
        killing = Killing(scene, tasks, kills, lambda name: scene.worker(name, "-c", str(CONCURRENCY)))
        scene.worker("last", "-c", str(CONCURRENCY))
        scene.audit(seconds=600)
        lost, twice = killing.outcome(engine)
        check(lost == 0, f"{lost} tasks were lost")
        check(twice <= killing.held, f"{twice} tasks ran again, {killing.held} were held by workers at their deaths")
        if engine == "redis":
            check(set(scene.states(scene.ids)) == {"SUCCESS"}, "every result is SUCCESS")


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
            killing = Killing(scene, 6_000, 14, start)
            start("last")
            client = scene.server.client()
            seen, since = 0, time.monotonic()
            while client.llen("celery") + client.zcard("unacked_index") > 0 and time.monotonic() < since + 45:
                if len(killing.ran()) > seen:  # it still does something
                    seen, since = len(killing.ran()), time.monotonic()
                time.sleep(0.5)
            time.sleep(2)  # what was taken last
            left = client.llen("celery"), client.zcard("unacked_index")
            print(f"left in the queue {left[0]}, unacknowledged {left[1]}", flush=True)
            killing.outcome(f"Celery, {'late' if late == '1' else 'early'} acknowledgement")


if __name__ == "__main__":
    run(redis, sqlite, celery)

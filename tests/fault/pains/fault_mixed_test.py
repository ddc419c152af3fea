"""Two Lovage workers and a real Celery worker on one queue, each killed with -9 in its turn while they work.

A death of Lovage's loses nothing. Celery's may: kombu takes a message from its list in one step and writes it down as
unacknowledged in the next.
"""

import random
import time

from faults import Account, Sender
from pains import LONG, Scene, check, run, until

VISIBILITY = 4  # seconds after which what a dead Python worker held is for others
SHORT = {"PAINS_VISIBILITY_TIMEOUT": str(VISIBILITY)}
OPTIONS = 'broker_transport_options={"visibility_timeout": %d}' % VISIBILITY


class Fleet:
    def __init__(self, scene):
        self.scene = scene
        self.starts = {"prefork": lambda: self.lovage("prefork"), "threads": lambda: self.lovage("threads"),
                       "celery": lambda: scene.celery_worker("celery", "-c", "2", environment=SHORT)}
        self.workers = {name: start() for name, start in self.starts.items()}

    def lovage(self, pool):
        return self.scene.worker(pool, "-c", "2", "-P", pool, settings=[OPTIONS])

    def ran_by(self, name):
        return self.workers[name].log().count(" succeeded in ")

    def kill(self, name):
        """At a random point, after it has had its part of the work."""
        before = self.ran_by(name)
        until(lambda: self.ran_by(name) > before, f"{name} works")
        time.sleep(random.uniform(0, 0.2))  # the random point
        self.workers[name].kill()
        self.workers[name] = self.starts[name]()


def any_one_killed():
    kills = 15 if LONG else 2
    with Scene() as scene:
        fleet = Fleet(scene)
        accounts = {}
        for name in fleet.starts:
            sender = Sender(scene, f"{name}-killed", milliseconds=10, pause_ms=2)
            sender.wait_sent(50)
            for _ in range(kills):
                fleet.kill(name)
            sender.end()
            scene.wait_empty(300)
            until(lambda: not scene.server.client().exists("unacked"), "what Python workers held", 60)
            account = accounts[name] = Account(sender)
            print(f"{name} killed {kills} times beside the two others: {account}; nowhere by the audit: "
                  f"{len(account.unexplained)}", flush=True)
            never_ran = {account.sent[number] for number in account.lost}
            check(never_ran <= account.unexplained, "the audit names all that never ran")
        for name in ("prefork", "threads"):
            accounts[name].check_whole(again=1_000)
        # What a Python worker's children and its prefetch hold.
        check(len(accounts["celery"].lost) <= 4 * kills, "a kill costs no more than a worker held")


if __name__ == "__main__":
    run(any_one_killed)

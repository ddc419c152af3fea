"""A network between Redis, workers and senders that resets, truncates, drops and delays."""

import random
import time

from faults import Account, Sender
from pains import LONG, Scene, check, run, until
from proxy import Proxy

DIED = ("missed heartbeat", "declared lost")
REASONS = ("Connection re", "closed", "Broken pipe", "timed out", "connection to", "no reply", "unreachable")


def through(scene):
    proxy = Proxy(scene.server.port)
    scene.callback(proxy.close)
    return proxy, f"redis://127.0.0.1:{proxy.port}/0"


def cut_at_random():
    """Workers and sender behind proxies of their own; the usual lease, which no cut outlasts."""
    faults = 100 if LONG else 8
    with Scene() as scene:
        proxies, workers = [], []
        for number, pool in enumerate(("prefork", "threads")):
            proxy, url = through(scene)
            proxies.append(proxy)
            workers.append(scene.worker(f"worker{number}", "-c", "2", "-P", pool, broker=url, quiet=True,
                                        settings=["worker_lease=15"]))
        proxy, url = through(scene)
        proxies.append(proxy)
        sender = Sender(scene, "ran", broker=url, milliseconds=2, timeout=2)

        def delay(at):
            at.latency = 0.2
            sender.wait_sent(1)
            at.latency = 0

        kinds = [Proxy.reset, Proxy.truncate, delay, Proxy.blackhole]
        done = {kind.__name__: 0 for kind in kinds}
        for number in range(faults):
            sender.wait_sent(20)
            # A drop holds a connection up for seconds, so there are few.
            kind = Proxy.blackhole if number % 25 == 1 else random.choice(kinds[:3])
            kind(random.choice(proxies))
            done[kind.__name__] += 1
        sender.wait_sent(50)
        account = Account(sender)
        print(f"{done}: {account}", flush=True)
        account.check_whole()
        account.check_reasons(*REASONS)
        for worker in workers:
            check(not any(words in worker.log() for words in DIED), "no living worker is taken for dead")


def slower_than_the_lease(everybody):
    """Replies come after twice the lease: to all workers, or to one of two."""
    lease, tasks = 1.5, 4
    with Scene() as scene:
        proxy, slow = through(scene)
        workers = [scene.worker("slow", "-c", "2", broker=slow),
                   scene.worker("other", "-c", "2", broker=slow if everybody else None)]
        scene.send("mark", tasks, "ran", int(lease * 5000))
        scene.wait_lines("ran", tasks)
        proxy.latency = 2 * lease
        begin = time.monotonic()
        if everybody:
            until(lambda: time.monotonic() > begin + 4 * lease, "four leases")
        else:
            until(lambda: "missed heartbeat from slow@" in workers[1].log(), "the slow one is found out")
        proxy.latency = 0
        scene.audit()
        runs = len(scene.lines("ran"))
        died = sum(words in worker.log() for worker in workers for words in DIED)
        print(f"{tasks} tasks, replies {2 * lease} s late for {'both workers' if everybody else 'one of two workers'}, "
              f"lease {lease} s: {runs} starts", flush=True)
        if everybody:
            check(died == 0, "nobody is taken for dead")
            check(runs == tasks, "each started once")
        else:
            check("declared lost" in workers[0].log(), "the slow one is told that it was lost")
            check(set(map(int, scene.lines("ran"))) == set(range(tasks)) and runs <= 2 * tasks, f"{runs} starts")


def slow_for_all():
    slower_than_the_lease(everybody=True)


def slow_for_one():
    slower_than_the_lease(everybody=False)


if __name__ == "__main__":
    run(cut_at_random, slow_for_all, slow_for_one)

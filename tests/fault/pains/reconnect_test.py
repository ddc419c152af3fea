"""Connections are reset, swallowed, cut in the middle, killed by the server, and the server restarts, also after so long
that the worker's lease has to be renewed before a task may start: the worker fetches again each time."""

import random
import signal
import time

from pains import LONG, Scene, check, run
from proxy import Proxy

AGAIN = 5  # seconds


def fetches_again():
    faults = 1_000 if LONG else 10
    with Scene() as scene:
        proxy = Proxy(scene.server.port)
        scene.callback(proxy.close)
        redis = scene.server.client()

        def client_kill():
            redis.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")

        def restart():
            scene.server.stop(signal.SIGKILL)
            scene.server.start()

        def restart_cleanly():
            scene.server.stop()
            scene.server.start()

        kinds = [proxy.reset, proxy.blackhole, proxy.truncate, client_kill, restart, restart_cleanly]
        worker = scene.worker("worker", "-c", "1", broker=f"redis://127.0.0.1:{proxy.port}/0", quiet=True,
                              settings=["worker_lease=15"])  # the default: its ticks are 5 s apart
        took = {kind.__name__: [] for kind in kinds}
        for number in range(faults):
            kind = kinds[number] if number < len(kinds) else random.choice(kinds)
            kind()
            scene.send("mark", 1, f"ran{number}")
            took[kind.__name__].append(scene.wait_lines(f"ran{number}", 1, 60))
            check(worker.process.poll() is None, f"the worker has ended:\n{worker.log()[-2000:]}")
        for name, each in took.items():
            print(f"{name}: {len(each)} times, fetching again after {max(each):.2f} s at most", flush=True)
        scene.audit()
        for name, each in took.items():
            check(max(each) < AGAIN, f"{name}: {max(each):.1f} s")
        starts = [len(scene.lines(f"ran{number}")) for number in range(faults)]
        print(f"{faults} faults, {sum(starts)} starts of {faults} tasks", flush=True)
        check(set(starts) == {1}, "a living worker's tasks are not run again")


def starts_again_after_an_outage():
    outages = 5 if LONG else 1
    lease = 30  # long, that it does not end at the server's return by chance
    with Scene() as scene:
        worker = scene.worker("worker", "-c", "1", settings=[f"worker_lease={lease}"])
        took = []
        for number in range(outages):
            scene.server.stop()
            time.sleep(2 * lease / 3 + 1)  # by then no task may start
            scene.server.start()
            scene.send("mark", 1, f"ran{number}")
            took.append(scene.wait_lines(f"ran{number}", 1, 60))
        print(f"{outages} outages of {2 * lease / 3 + 1:.0f} s: started again after {max(took):.2f} s at most", flush=True)
        scene.audit()
        check(max(took) < AGAIN, f"{took}\n{worker.log()[-5000:]}")


if __name__ == "__main__":
    run(fetches_again, starts_again_after_an_outage)

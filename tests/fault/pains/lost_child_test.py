"""Children of the prefork pool are killed while they run tasks, and while they write results.

Row "early acknowledgement": one final SUCCESS for each task, never a FAILURE before it. Row "prefork": the pool
never stalls and neither file descriptors nor zombies add up.
"""

import os
import random
import signal
import time

from pains import LONG, Published, Scene, check, run, tree, until

CONCURRENCY = 4
SETTINGS = ["task_max_strikes=1000000"]  # the kills are the test's, not the tasks'


def kill_one(worker):
    children = worker.children()
    if not children:
        return False
    try:
        os.kill(random.choice(children), signal.SIGKILL)
    except ProcessLookupError:  # it has ended since it was seen
        return False
    return True


def one_success_each():
    rounds, milliseconds = (100, 1000) if LONG else (5, 200)
    with Scene() as scene:
        published = Published(scene)
        states, ids = {}, []
        worker = scene.worker("worker", "-c", str(CONCURRENCY), settings=SETTINGS)
        for number in range(rounds):
            file = f"round{number}"
            ids += scene.send("mark", CONCURRENCY, file, milliseconds)
            scene.wait_lines(file, CONCURRENCY)
            time.sleep(random.uniform(0, milliseconds / 1000))  # the random point
            until(lambda: kill_one(worker), "a child to kill")
            while len(states) < len(ids):
                meta = published.next(30)
                check(meta is not None, "a result for each task within 30 s")
                states.setdefault(meta["task_id"], []).append(meta["status"])
        scene.audit()
        check(published.next(1) is None, "a result was published after the last one")
        runs = sum(len(scene.lines(f"round{number}")) for number in range(rounds))
        print(f"{rounds} kills, {len(ids)} tasks, {runs} starts", flush=True)
        wrong = {each: states.get(each) for each in ids if states.get(each) != ["SUCCESS"]}
        check(not wrong, f"published other than one SUCCESS: {wrong}")


def census(worker):
    """Open files of the worker and its fork server, children, and zombies among all of them."""
    pids = tree(worker.pid)
    zombies = 0
    for pid in pids:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            zombies += file.read().rsplit(")", 1)[1].split()[0] == "Z"
    return [len(os.listdir(f"/proc/{pid}/fd")) for pid in pids[:2]], len(pids) - 2, zombies


def kill_children(scene, worker, kills, tasks, ran):
    """Runs `tasks` tasks with large results while children are killed; all of them have run at the end."""
    client = scene.start_client("send", "pains.large", tasks, scene.path(ran), 5)
    for number in range(kills):
        done = len(scene.lines(ran))
        if done < tasks - CONCURRENCY and number % CONCURRENCY == 0:
            until(lambda: len(scene.lines(ran)) > done, "a task that runs after a kill")
        time.sleep(random.uniform(0, 0.02))  # the random point
        until(lambda: kill_one(worker), "a child to kill")
    client.communicate()
    scene.audit(seconds=900)
    check({int(line) for line in scene.lines(ran)} == set(range(tasks)), "every task has run")


def no_stall_no_leak():
    kills, tasks = (500, 4_000) if LONG else (20, 150)
    with Scene() as scene:
        worker = scene.worker("worker", "-c", str(CONCURRENCY), settings=[*SETTINGS, "result_expires=5"], quiet=True)
        # A worker opens some of its connections when it first needs them: so the second half is compared to the first.
        kill_children(scene, worker, kills, tasks, "first")
        until(lambda: census(worker)[1:] == (CONCURRENCY, 0), "a whole pool")
        before = census(worker)
        kill_children(scene, worker, kills, tasks, "second")
        after = None

        def settled():
            nonlocal after
            try:
                after = census(worker)
            except OSError:  # a process that ended while it was looked at
                return False
            return after == before

        begin = time.monotonic()
        while not settled() and time.monotonic() < begin + 10:
            time.sleep(0.1)
        print(f"{kills} kills: open files, children, zombies {before} -> {after}", flush=True)
        check(after == before, f"before {before}, after {after}")


if __name__ == "__main__":
    run(one_success_each, no_stall_no_leak)

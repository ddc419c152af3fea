"""Tasks that are due in a day wait in the broker: the worker's memory does not grow, and its death loses none."""

from pains import LONG, Scene, check, memory_kib, run, tree, until

GROWTH_KIB = 5 * 1024


def far_eta():
    tasks = 200_000 if LONG else 10_000
    with Scene() as scene:
        worker = scene.worker("worker", "-c", "2", quiet=True)
        scene.send("mark", 200, "warm")
        scene.wait_lines("warm", 200)
        scene.wait_empty()
        before = memory_kib(tree(worker.pid), "Anonymous")
        scene.send("mark", tasks, "ran", countdown=86_400)
        until(lambda: scene.ready() == 0, "an empty queue", 1800, every=0.1)
        until(lambda: scene.queue()["scheduled"] == tasks, "all of them in the schedule", every=0.3)
        after = memory_kib(tree(worker.pid), "Anonymous")
        check(scene.queue()["reserved"] == 0, "none is held")
        worker.kill()
        check(scene.queue()["scheduled"] == tasks, "kill -9 loses none")
        print(f"{tasks} tasks with an eta a day away: worker's memory {before} -> {after} KiB (anonymous)", flush=True)
        check(after - before < GROWTH_KIB, f"it grew by {after - before} KiB")
        check(scene.lines("ran") == [], "none has run")
        scene.account()


if __name__ == "__main__":
    run(far_eta)

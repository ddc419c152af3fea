"""Tasks of which one in twenty fails, and connections that are killed now and then: memory does not grow with time."""

import time

from pains import LONG, Scene, check, memory_kib, run, tree

# Allocators settle in the first third of the run; from there on it may grow by so much.
GROWTH_KIB = 1024


def memory_is_flat():
    seconds = 600 if LONG else 12
    with Scene() as scene:
        worker = scene.worker("worker", "-c", "2", quiet=True)
        redis = scene.server.client()
        begin, samples, tasks = time.monotonic(), [], 0
        while time.monotonic() < begin + seconds:
            scene.send("mark", 190, "ran")
            scene.send("fail", 10, "ran")
            tasks += 200
            redis.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            scene.wait_lines("ran", tasks)
            samples.append((time.monotonic() - begin, memory_kib(tree(worker.pid)[:2], "Rss")))
        early = [kib for at, kib in samples if at < seconds * 2 / 3 and at > seconds / 3]
        late = [kib for at, kib in samples if at > seconds * 2 / 3]
        scene.audit()
        print(f"{tasks} tasks in {seconds} s, {len(samples)} times all connections killed: memory {max(early)} KiB in "
              f"the second third, {max(late)} in the last", flush=True)
        check(max(late) - max(early) < GROWTH_KIB, f"it grew: {samples}")


if __name__ == "__main__":
    run(memory_is_flat)

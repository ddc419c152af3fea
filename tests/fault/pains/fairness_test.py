"""Tasks of one length on two workers: slots are busy all the time, nobody hoards what another could run."""

import os
import time

from pains import LONG, Scene, check, run

SLOTS = 5


def slots_are_busy():
    tasks, seconds = (100, 10) if LONG else (30, 2)
    least = 0.98 if LONG else 0.8  # with four rounds instead of three, as hoarding makes it, it would be 0.75
    with Scene() as scene:
        for number in range(2):
            scene.worker(f"worker{number}", "-c", str(SLOTS))
        scene.send("mark", tasks, "ran", seconds * 1000)
        scene.wait_lines("ran", 1)
        begin = os.stat(scene.path("ran")).st_mtime
        scene.wait_empty(tasks * seconds)
        busy = tasks * seconds / (2 * SLOTS * (time.time() - begin))
        scene.audit()
        print(f"{tasks} tasks of {seconds} s on 2 x {SLOTS} slots: busy {busy:.1%} of the time", flush=True)
        check(len(scene.lines("ran")) == tasks, "each ran once")
        check(busy >= least, f"less than {least:.0%}")


if __name__ == "__main__":
    run(slots_are_busy)

"""Tasks of a new release reach workers of the old one: none is thrown away, all run once a new worker is there."""

import json
import time

from pains import LONG, Scene, check, run, until


def old_then_new():
    seconds = 60 if LONG else 3
    with Scene() as scene:
        scene.worker("old", "-c", "2")
        sent, begin = 0, time.monotonic()
        while time.monotonic() < begin + seconds:
            scene.send("new", 5, f"new{sent}")
            scene.send("mark", 5, f"old{sent}")
            scene.wait_lines(f"old{sent}", 5)  # the old ones are not held up
            sent += 1
        check(not any(scene.lines(f"new{number}") for number in range(sent)), "nobody knows it yet")
        check(json.loads(scene.lovage("dlq", "list", "--json")) == [], "none is a dead letter")
        scene.worker("new", "-c", "2", environment={"PAINS_KNOWS_NEW": "1"})
        joined = until(lambda: all(len(scene.lines(f"new{number}")) == 5 for number in range(sent)), "all of them", 90)
        scene.audit(seconds=90)
        check(all(sorted(scene.lines(f"new{number}")) == list("01234") for number in range(sent)), "each ran once")
        print(f"{sent * 5} tasks that nobody knew for up to {seconds} s: all ran {joined:.1f} s after the new worker's "
              "start", flush=True)


if __name__ == "__main__":
    run(old_then_new)

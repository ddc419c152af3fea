"""Sidekiq, as bench/compare runs it: one process with a thread for each slot.

    python3 bench/rivals/sidekiq_drain.py --broker redis://127.0.0.1:6379/5 --tasks 10000

Sidekiq stores no results, so there is no latency; a job counts as done when it has left the queue.
"""

import os
import shutil
import subprocess
import sys

FOLDER = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(FOLDER, os.pardir))
import machine
import rival

TASKS = os.path.join(FOLDER, "sidekiq_tasks.rb")


def main():
    if shutil.which("sidekiq") is None or shutil.which("ruby") is None:
        raise machine.Missing("sidekiq: apt-get install ruby-sidekiq, or gem install sidekiq")
    arguments = rival.parse(__doc__.splitlines()[0])
    os.environ["REDIS_URL"] = arguments.broker

    def ruby(*words):
        return subprocess.run(["ruby", TASKS, *words], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()

    worker = ["sidekiq", "-r", TASKS, "-q", "bench", "-c", str(arguments.concurrency), "-t", "5"]
    figures = rival.measure(
        arguments, lambda tasks: ruby("enqueue", str(tasks)), [worker],
        done=lambda broker, backend: -broker.command("LLEN", "queue:bench"),  # grows towards 0
        latency=lambda: None)
    return {"version": ruby("version"), **figures}


if __name__ == "__main__":
    rival.run("sidekiq_drain", main)

"""RQ, as bench/compare runs it: one worker process for each slot, which forks for every job.

    python3 bench/rivals/rq_drain.py --broker redis://127.0.0.1:6379/4 --tasks 300
"""

import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir))
import machine
import rival

try:
    import redis
    import rq
except ImportError as missing:
    sys.exit(machine.fail("rq_drain", "%s: apt-get install python3-rq, or pip install rq" % missing, 2))

QUEUE = "bench"
FINISHED = "rq:finished:" + QUEUE  # RQ's sorted set of the jobs whose results it keeps


def queue():
    return rq.Queue(QUEUE, connection=redis.Redis.from_url(os.environ["BENCH_BROKER"]))


def enqueue(jobs, tasks):
    for _ in range(tasks):
        jobs.enqueue("rival.work")


def call(jobs):
    """RQ has no wait for a result that is told of it (before 1.15): this asks again and again."""
    job = jobs.enqueue("rival.work")
    deadline = time.monotonic() + 30
    while not job.is_finished:
        if job.is_failed or time.monotonic() > deadline:
            raise RuntimeError("a job failed or did not end")
        time.sleep(0.0005)


def main():
    arguments = rival.parse(__doc__.splitlines()[0])
    jobs = queue()
    command = [sys.executable, os.path.abspath(__file__), "worker"]
    figures = rival.measure(
        arguments, lambda tasks: enqueue(jobs, tasks), [command] * arguments.concurrency,
        done=lambda broker, backend: broker.command("ZCARD", FINISHED),
        latency=lambda: rival.latency_p50_ms(arguments.calls, lambda: call(jobs)))
    return {"version": rq.VERSION, **figures}


if __name__ == "__main__":
    if sys.argv[1:] == ["worker"]:
        rq.Worker([queue()], connection=queue().connection).work(logging_level="ERROR")
    else:
        rival.run("rq_drain", main)

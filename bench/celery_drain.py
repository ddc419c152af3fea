"""Real Celery, as bench/compare runs it: the row that stands beside lovage-bench in docs/benchmarks.md.

    python3 bench/celery_drain.py --broker redis://127.0.0.1:6379/2 --backend redis://127.0.0.1:6379/3

Pool prefork, late acknowledgement, results stored: as Lovage is measured. Both databases have to be empty. Prints one
JSON object (its figures: bench/rival.py). Needs the package "celery[redis]"; exit code 2 says what is missing.
"""

import os
import sys

FOLDER = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, FOLDER)
import machine
import rival

try:
    import celery
    import kombu.transport.redis  # imported late by Celery itself: what it lacks is to be said now
except ImportError as missing:
    sys.exit(machine.fail("celery_drain", "%s: apt-get install python3-celery python3-redis, or "
                        "pip install 'celery[redis]' packaging" % missing, 2))

QUEUE = "celery_bench"

app = celery.Celery("celery_drain", broker=os.environ.get("BENCH_BROKER"), backend=os.environ.get("BENCH_BACKEND"))
app.conf.update(
    task_default_queue=QUEUE,
    result_expires=600,
    task_acks_late=True,
    worker_hijack_root_logger=False,
    broker_connection_retry_on_startup=False,
)
task = app.task(name="bench.noop")(rival.work)


def enqueue(tasks):
    with app.producer_pool.acquire(block=True) as producer:
        for _ in range(tasks):
            task.apply_async(producer=producer)


def call():
    return task.delay().get(timeout=30)


def results(backend):
    return backend.command("DBSIZE")


def worker(arguments):
    """The command that starts the worker in FOLDER, once the app knows its databases."""
    app.conf.update(broker_url=arguments.broker, result_backend=arguments.backend)
    command = [sys.executable, "-m", "celery", "-A", "celery_drain", "worker", "-Q", QUEUE, "-P", "prefork"]
    return command + ["-c", str(arguments.concurrency), "-l", "ERROR", "--without-gossip", "--without-mingle"]


def main():
    arguments = rival.parse(__doc__.splitlines()[0])
    figures = rival.measure(
        arguments, enqueue, [worker(arguments)], done=lambda broker, backend: results(backend),
        latency=lambda: rival.latency_p50_ms(arguments.calls, call), folder=FOLDER)
    return {"version": celery.__version__, **figures}


if __name__ == "__main__":
    rival.run("celery_drain", main)
